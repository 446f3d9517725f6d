"""Marks of findings on charts, and the settings of runs side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dashboard.contracts import Run, Series
from dashboard.diagnostics.epochs import EpochCurve, compute_epoch_curves
from dashboard.diagnostics.run_settings import settings_of_runs
from dashboard.figures import mark_place, plot_epoch_curves, plot_gap


def _run(name: str, **config: str | int | float) -> Run:
    at = np.arange(10)
    series = tuple(
        Series("loss", part, at, high - at / 20, "epoch")
        for part, high in (("train", 1.0), ("validation", 1.2))
    )
    return Run(name, "", series, (), config)


def _curves() -> list[EpochCurve]:
    return compute_epoch_curves([_run("a"), _run("b")])


def _mark(figure: Any) -> tuple[Any, list[Any]]:
    shapes = [one for one in figure.layout.shapes if one.name == "place"]
    (words,) = [one for one in figure.layout.annotations if one.text == "a: epoch 4"]
    return words, shapes


@pytest.mark.parametrize("draw", [plot_epoch_curves, plot_gap])
def test_the_mark_stands_where_the_curve_counts_it(draw: Any) -> None:
    plain = draw(_curves())
    words, (line,) = _mark(mark_place(plain, 4.0, "a: epoch 4", "light"))
    assert (line.x0, line.x1, words.x) == (4.0, 4.0, 4.0)
    assert not [one for one in plain.layout.shapes if one.name == "place"]  # it is a copy
    log = draw(_curves(), log_x=True)  # epoch 0 stands at 1
    words, (line,) = _mark(mark_place(log, 4.0, "a: epoch 4", "dark"))
    assert line.x0 == 5.0 and words.x == pytest.approx(np.log10(5.0))
    assert mark_place(log, -2.0, "a: epoch 4", "dark") is log  # no place for it


def test_every_panel_has_the_line_and_a_place_beyond_the_axis_widens_it() -> None:
    panels = plot_epoch_curves(_curves(), layout="grid")
    _, lines = _mark(mark_place(panels, 4.0, "a: epoch 4", "light"))
    assert [one.xref for one in lines] == ["x", "x2"]
    wide = mark_place(plot_epoch_curves(_curves()), 40.0, "a: epoch 40", "light")
    assert wide.layout.xaxis.range[1] > 40


def test_settings_that_differ_come_first() -> None:
    runs = [_run("a", batch=32, rate=0.1), _run("b", batch=32, rate=0.2, seed=3), _run("c")]
    table = settings_of_runs(runs)
    assert list(table.columns) == ["run", "rate", "seed", "batch"]
    assert table.to_numpy().tolist() == [["a", "0.1", "", "32"], ["b", "0.2", "3", "32"]]
    assert settings_of_runs([_run("c")]).shape == (0, 1)
