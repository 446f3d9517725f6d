"""Figures by epoch: few marks and what they leave out, gaps with marks, axes, both themes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboard import figures
from dashboard.diagnostics.epochs import compute_epoch_curves
from dashboard.diagnostics.rate_search import compute_rate_search
from dashboard.diagnostics.run_groups import group_runs
from dashboard.diagnostics.schedules import compute_schedule
from dashboard.errors import NotApplicable, ParameterError
from dashboard.figures.epoch_lines import Frame, log_ticks, thin
from dashboard.figures.theme import ink, style_of
from dashboard.wording import number
from tests.logged import falling, logged, sample_run

HOSTILE = "<b>x</b>%{y}$a$"


def _marks(figure: go.Figure) -> int:
    return sum(len(trace.x) for trace in figure.data)


def _caption(figure: go.Figure) -> str:
    return str(figure.layout.meta["caption"])


def _search(name: str = "net") -> Any:
    x = np.linspace(-6, 0.5, 80)
    losses = 2.3 - 1.8 / (1 + np.exp(-3 * (x + 3))) + 0.5 * np.exp(6 * (x + 0.5))
    losses[x > 0] = np.nan
    return compute_rate_search(logged(losses, rates=10**x, unit="batch", name=name))


def _every(theme: Any, name: str) -> dict[str, go.Figure]:
    rates = 0.01 * 0.5 * (1 + np.cos(np.pi * (np.arange(40) % 20) / 20))
    runs = [falling(40, k, name=f"{name} seed {k}") for k in range(2)]
    one = falling(40, 3, name=name)
    rated = logged(one.series[0].values, one.series[1].values, name=name, rates=rates)
    curves = compute_epoch_curves([rated, *runs], smoothing=0.6)
    return {
        "overlay": figures.plot_epoch_curves(curves, rate=True, theme=theme),
        "grid": figures.plot_epoch_curves(curves, layout="grid", rate=True, theme=theme),
        "logs": figures.plot_epoch_curves(curves, log_x=True, log_y=True, theme=theme),
        "groups": figures.plot_epoch_groups(group_runs(curves), theme=theme),
        "gap": figures.plot_gap(curves, theme=theme),
        "search": figures.plot_rate_search([_search(name)], theme=theme),
        "searches": figures.plot_rate_search([_search(name), _search("b")], theme=theme),
        "schedule": figures.plot_schedule(curves[0], compute_schedule(rated), theme=theme),
    }


@pytest.fixture(scope="module")
def plain() -> dict[str, go.Figure]:
    return _every("light", "net")


def test_both_themes_and_hostile_names(plain: dict[str, go.Figure]) -> None:
    for kind, figure in _every("dark", HOSTILE).items():
        meta = figure.layout.meta
        assert meta["alt"] and meta["caption"].endswith(".") and meta["name"], kind
        assert len(figure.data) == len(plain[kind].data)
        shown = figure.layout.to_plotly_json()
        shown.pop("meta"), shown.pop("template")
        said = str(shown) + "".join(str(trace.text) + str(trace.name) for trace in figure.data)
        assert "<b>x</b>" not in said and "x%{y}" not in said and "$a$" not in said, kind


def test_the_sample_is_told(plain: dict[str, go.Figure]) -> None:
    figure = figures.plot_epoch_curves(compute_epoch_curves([sample_run("loans")]))
    assert "best validation loss, .166, at epoch 12 (the 13th of 24)" in _caption(figure)
    assert "would have ended it after epoch 22 and kept epoch 12, saving 1 epoch" in _caption(
        figure
    )
    assert "half an epoch earlier" in _caption(figure)
    assert figure.layout.xaxis.title.text == "Epoch (from 0)"
    assert figure.layout.meta["models"] == ["loans"]
    best, stop = (trace for trace in figure.data if trace.mode == "markers")
    assert (best.x.tolist(), stop.x.tolist()) == ([12], [22])
    train = figure.data[0]
    assert (
        train.x[0] == -0.5 and len(train.x) == 24 and train.line.width < figure.data[1].line.width
    )
    assert train.text[0].startswith("Epoch 0: training loss of<br><i>loans</i> .310")


def test_gaps_are_broken_and_marked() -> None:
    values = np.linspace(2, 1, 20)
    values[5], values[9:12], values[13:] = np.nan, np.inf, np.nan
    figure = figures.plot_epoch_curves(compute_epoch_curves([logged(None, values)]))
    line = figure.data[0]
    assert int(np.isnan(line.y).sum()) == 2  # between the three stretches of a line
    assert line.marker.size.max() == 5  # epoch 12 stands alone
    (cross,) = (trace for trace in figure.data if trace.marker.symbol == "x-thin")
    assert cross.x.tolist() == [5, 9, 13] and np.isfinite(cross.y).all()
    assert "is ∞" in cross.text[1] and "Epoch 9 to 11" in cross.text[1]
    assert "11 of 20 validation values of net (NaN and ∞, from epoch 5 on)" in _caption(figure)
    nothing = figures.plot_epoch_curves(compute_epoch_curves([logged([np.nan] * 4)]))
    assert "No value is finite" in _caption(nothing) and _marks(nothing)


def test_one_epoch_is_a_dot() -> None:
    figure = figures.plot_epoch_curves(compute_epoch_curves([logged([2.0], [1.5])]))
    assert all(trace.marker.size[0] == 5 for trace in figure.data[:2])


@pytest.mark.parametrize("smoothing", [0.0, 0.9])
def test_fifty_runs_stay_under_five_thousand_marks(smoothing: float) -> None:
    runs = [falling(1_000, k, level=0.2 + k / 100, name=f"run {k}", unit="step") for k in range(50)]
    runs[7].series[1].values[::9] = np.nan
    curves = compute_epoch_curves(runs, smoothing=smoothing)
    figure = figures.plot_epoch_curves(curves, robust=True)
    assert 2_000 < _marks(figure) < 5_000
    assert "of 99,888 values: lines are off by at most" in _caption(figure)
    assert "lie outside of the range shown" in _caption(figure)
    assert not figure.layout.showlegend and "strong: run 0, the best" in figure.layout.title.text
    assert len(figure.data) < 10  # all grey lines of one part are one trace
    assert {one.line.color for one in figure.data if one.line.color} == {
        ink("light").muted,
        style_of(0).colour,
    }
    if smoothing:
        return
    assert _marks(figures.plot_gap(curves)) < 5_000
    assert _marks(figures.plot_epoch_groups(group_runs(curves))) < 5_000
    grid = figures.plot_epoch_curves(curves, layout="grid")
    assert _marks(grid) < 5_000 and "24 of 50 runs" in _caption(grid)


def test_a_long_noisy_run_is_thinned_truly() -> None:
    rng = np.random.default_rng(0)
    x, y = np.arange(20_000.0), rng.normal(size=20_000).cumsum()
    y[3_000:3_010] = np.nan
    frame = Frame.around([x], [y])
    drawn = thin(x, y, frame, 400)
    assert drawn.marks <= 440 and drawn.n == 19_990 and int(np.isnan(drawn.y).sum()) == 1
    kept = drawn.at >= 0
    assert (drawn.y[kept] == y[drawn.at[kept]]).all()
    # Every value lies within the stated distance of the drawn line.
    fine = np.isfinite(y)
    across, up = frame.scaled(x, "x"), frame.scaled(y, "y")
    ends = np.flatnonzero(kept[:-1] & kept[1:])
    a, b = drawn.at[ends], drawn.at[ends + 1]
    for point in rng.choice(np.flatnonzero(fine), 200, replace=False):
        dx, dy = across[b] - across[a], up[b] - up[a]
        along = ((across[point] - across[a]) * dx + (up[point] - up[a]) * dy) / (dx**2 + dy**2)
        along = along.clip(0, 1)
        off = np.hypot(across[a] + along * dx - across[point], up[a] + along * dy - up[point])
        assert off.min() <= drawn.error + 1e-9


def test_log_axes() -> None:
    run = logged([4.0, 2, 1, 0], [5.0, 3, -1, 2])
    figure = figures.plot_epoch_curves(compute_epoch_curves([run]), log_x=True, log_y=True)
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
    assert figure.layout.xaxis.title.text == "Epoch + 1"
    assert figure.data[0].x.tolist() == [0.5, 1.5, 2.5]
    assert "2 values of 0 or less have no place on a log axis" in _caption(figure)
    assert log_ticks(1e-6, 1)["ticktext"][0] == "10⁻⁶"
    assert log_ticks(0.9, 2.1)["ticktext"] == ["1", "1.2", "1.4", "1.6", "1.8", "2"]


def test_the_rate_has_its_own_axis(plain: dict[str, go.Figure]) -> None:
    figure = plain["overlay"]
    assert [trace.yaxis for trace in figure.data].count("y2") == 1
    assert (
        figure.layout.yaxis2.side == "right" and "dotted: learning rate" in figure.layout.title.text
    )
    assert "dotted: learning rate" in plain["grid"].layout.title.text
    assert len(plain["grid"].layout.annotations) == 3


def test_raw_values_are_ghosts(plain: dict[str, go.Figure]) -> None:
    curves = compute_epoch_curves([sample_run("digits")], smoothing=0.8)
    with_raw, without = (figures.plot_epoch_curves(curves, show_raw=raw) for raw in (True, False))
    assert len(with_raw.data) == len(without.data) + 2
    ghost = with_raw.data[0]
    assert ghost.opacity < 0.5 and ghost.y.tolist() == pytest.approx(
        curves[0].train.values.tolist()
    )  # type: ignore[union-attr]
    assert "raw faint" in with_raw.layout.title.text


def test_too_close_to_call() -> None:
    runs = [falling(40, k, name=name) for k, name in enumerate("ab")]
    assert "Too close to call" in _caption(figures.plot_epoch_curves(compute_epoch_curves(runs)))
    far = [falling(40, 0, name="a"), falling(40, 1, level=0.9, name="b")]
    said = _caption(figures.plot_epoch_curves(compute_epoch_curves(far)))
    assert "Too close" not in said and "would have ended" in said


def test_training_values_are_not_compared_with_validation_values() -> None:
    down = np.linspace(2, 0.1, 30)
    runs = [logged(down / 9, name="own rows"), logged(down, down + 0.2, name="both")]
    said = _caption(figures.plot_epoch_curves(compute_epoch_curves(runs)))
    assert said.startswith("Best validation loss: both .300 at epoch 29. Not compared, without ")
    assert "values on those rows: own rows." in said


def test_the_search_shows_what_it_says(plain: dict[str, go.Figure]) -> None:
    figure, search = plain["search"], _search()
    (band,) = figure.layout.shapes
    assert (band.x0, band.x1) == (search.low, search.high)
    *marks, suggested = [note.text for note in figure.layout.annotations]
    named = ("steepest descent", "minimum", "turning point")
    rates = (search.steepest, search.minimum, search.turning)
    assert marks == [f"{name} {number(rate)}" for name, rate in zip(named, rates, strict=True)]
    assert suggested == "suggested"
    assert "not finite, drawn as crosses" in _caption(figure)
    assert _caption(figure).startswith(search.reason)


def test_the_schedule_stands_below_the_loss(plain: dict[str, go.Figure]) -> None:
    figure = plain["schedule"]
    assert [shape.x0 for shape in figure.layout.shapes] == [20]
    assert "cosine annealing with 1 restart, at epoch 20" in _caption(figure)
    assert "in cycle" in _caption(figure)
    assert figure.layout.yaxis.domain[0] > figure.layout.yaxis2.domain[1]


def test_wrong_calls_are_refused() -> None:
    curve = compute_epoch_curves([logged([2.0, 1.0], [2.0, 1.0])])
    other = compute_epoch_curves([logged([2.0], metric="auc")], metric="auc")
    for wrong in (
        lambda: figures.plot_epoch_curves([]),
        lambda: figures.plot_gap([*curve, *other]),
    ):
        with pytest.raises(ParameterError):
            wrong()
    with pytest.raises(ParameterError, match="no layout"):
        figures.plot_epoch_curves(curve, layout="pile")  # type: ignore[arg-type]
    with pytest.raises(NotApplicable):
        figures.plot_gap(other)
    with pytest.raises(ParameterError):
        figures.plot_rate_search([])
    with pytest.raises(ParameterError):
        figures.plot_epoch_groups([])


def test_each_panel_has_its_own_learning_rate() -> None:
    rates = np.geomspace(0.1, 0.001, 40)
    rated = [logged(np.exp(-np.arange(40) / 9), name=name, rates=rates) for name in "abc"]
    figure = figures.plot_epoch_curves(
        compute_epoch_curves([*rated, falling(40, 1, name="unrated")]), layout="grid", rate=True
    )
    dotted = [
        one for one in figure.data if one.line.dash == "dot" and one.yaxis in ("y5", "y6", "y7")
    ]
    assert [(one.xaxis, one.yaxis) for one in dotted] == [("x", "y5"), ("x2", "y6"), ("x3", "y7")]
    for one in dotted:
        np.testing.assert_allclose([one.y[0], one.y[-1]], [0.1, 0.001], rtol=1e-6)
    axes = [figure.layout[f"yaxis{k}"] for k in (5, 6, 7, 8)]
    assert [one.overlaying for one in axes] == ["y", "y2", "y3", "y4"]
    assert {one.type for one in axes} == {"log"} and {one.side for one in axes} == {"right"}
    assert [one.showticklabels for one in axes] == [False, False, None, False]


def test_runs_that_count_differently_say_so_below_the_chart() -> None:
    boosted = logged([3.0, 2.0], name="boosted")
    counted = tuple(replace(one, unit="iteration") for one in boosted.series)
    runs = [logged([3.0, 2.0], name="net"), replace(boosted, series=counted)]
    figure = figures.plot_epoch_curves(compute_epoch_curves(runs))
    assert figure.layout.xaxis.title.text.startswith("Epoch or iteration, as each run counts")
