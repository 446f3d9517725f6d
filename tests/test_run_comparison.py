"""Runs that settle far behind the best: only where both were logged alike, beyond the noise."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.contracts import Run
from dashboard.diagnostics.epoch_findings import find_in_epochs
from dashboard.diagnostics.layer_histograms import compute_layer_curves, find_in_layers
from dashboard.diagnostics.run_comparison import curves_of_runs, find_behind
from dashboard.diagnostics.verdicts import judge
from dashboard.logs import read_runs
from tests.logged import SAMPLES, logged


def _run(name: str, level: float, gap: float = 0.01, n: int = 40, seed: int = 0) -> Run:
    """A loss that falls to `level` within a quarter of the epochs."""
    rng = np.random.default_rng(seed)
    fall = 2 * np.exp(-20 * np.arange(n) / n)
    noise = 0.003 * rng.normal(size=(2, n))
    made = logged(level + fall + noise[0], level + gap + fall + noise[1])
    return Run(name, made.source, made.series)


def test_the_run_that_stays_high_underfits() -> None:
    low, high = _run("large", 0.30, seed=1), _run("small", 0.60, seed=2)
    (found,) = find_behind(curves_of_runs([low, high]))
    assert (found.code, found.subject, found.chart) == ("underfitting", "small", "epochs")
    assert found.evidence["beside"] == "large" and found.severity == "info"
    assert found.evidence["change"] == pytest.approx(0.3, abs=0.01)
    assert found.evidence["spread"] < 0.01  # type: ignore[operator]
    own = find_in_epochs(high)
    (verdict,) = [one for one in judge([*own, found]) if one.subject == "small"]
    assert verdict.code == "underfitting" and "Yet" not in verdict.sentence


@pytest.mark.parametrize(
    ("level", "gap"),
    [(0.31, 0.01), (0.60, 0.35)],  # as good as the other; overfits rather
)
def test_others_do_not(level: float, gap: float) -> None:
    assert find_behind(curves_of_runs([_run("a", 0.30), _run("b", level, gap, seed=3)])) == []


def test_runs_that_still_fall_and_losses_of_other_tools_are_no_comparison() -> None:
    low, high = _run("large", 0.30), _run("small", 0.60, seed=4)
    assert find_behind(curves_of_runs([low, Run("small", "another tool", high.series)])) == []
    at = np.arange(40)
    still = logged(2.0 - 0.03 * at, 2.01 - 0.03 * at)
    assert find_behind(curves_of_runs([low, Run("slow", low.source, still.series)])) == []
    assert find_behind([]) == []


def test_a_run_that_fails_is_behind_for_that_reason() -> None:
    """The networks of the sample differ in their labels as well: none is said to underfit."""
    runs = read_runs({"runs.zip": SAMPLES / "digits" / "training_runs.zip"})
    own = [one for run in runs for one in find_in_epochs(run)]
    inside = [run for run in runs if run.histograms]
    own += [one for run in inside for one in find_in_layers(compute_layer_curves(run))]
    curves = curves_of_runs(runs)
    assert {one.subject for one in find_behind(curves)} >= {"Rate too high", "Inputs times 255"}
    assert find_behind(curves, own) == []
