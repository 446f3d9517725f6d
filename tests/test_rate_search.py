"""Learning-rate search against a curve whose marks are known, and schedules by their formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dashboard.contracts import Run
from dashboard.diagnostics.rate_search import compute_rate_search, is_rate_search
from dashboard.diagnostics.schedules import compute_schedule
from dashboard.errors import NotApplicable
from tests.logged import logged


def _loss(x: Any) -> Any:
    """Falls fastest at 10⁻³, is lowest at 10^-1.27, 10 % of the fall higher at 10^-.68."""
    return 2.3 - 1.8 / (1 + np.exp(-3 * (x + 3))) + 0.5 * np.exp(6 * (x + 0.5))


def _search(n: int, noise: float = 0.0, high: float = 1.0, bad: float = math.inf) -> Run:
    x = np.linspace(-6, high, n)
    losses = _loss(x) + noise * np.random.default_rng(0).normal(size=n)
    losses[x > bad] = np.nan
    return logged(losses, rates=10**x, unit="batch", name="net")


@pytest.mark.parametrize("n", [24, 100, 2_000])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_marks_lie_where_they_are(n: int, noise: float) -> None:
    grid = np.linspace(-6, 1, 20_001)
    exact = _loss(grid)
    lowest = int(np.argmin(exact))
    steepest = grid[np.argmin(np.gradient(exact, grid)[:lowest])]
    fall = exact[0] - exact[lowest]
    turning = grid[lowest:][exact[lowest:] > exact[lowest] + 0.1 * fall][0]
    found = compute_rate_search(_search(n, noise))
    assert found.steepest and found.minimum and found.turning and found.suggested
    assert math.log10(found.steepest) == pytest.approx(steepest, abs=0.25)
    assert math.log10(found.turning) == pytest.approx(turning, abs=0.2)
    assert math.log10(found.minimum) == pytest.approx(grid[lowest], abs=0.5)
    assert found.suggested == pytest.approx(found.turning / 10)
    assert found.low and found.high and found.low <= found.suggested <= found.high < found.minimum
    assert "a tenth of that" in found.reason
    assert len(found.frame()) == n


def test_a_search_that_ends_before_it_turns() -> None:
    found = compute_rate_search(_search(100, 0.02, high=-1.5))
    assert found.turning is None and found.suggested == found.steepest
    assert "had not turned" in found.reason


def test_a_search_that_explodes_turns_there_at_the_latest() -> None:
    found = compute_rate_search(_search(100, 0.02, bad=-1.0))
    assert found.turning == pytest.approx(0.1, rel=0.15)
    assert found.notes == ("29 losses not finite, drawn as marks.",)


def test_a_loss_that_never_falls_suggests_nothing() -> None:
    noise = 2.3 + 0.05 * np.random.default_rng(0).normal(size=100)
    found = compute_rate_search(logged(noise, rates=np.geomspace(1e-6, 1, 100), unit="batch"))
    assert found.suggested is None and found.low is None and "never falls clearly" in found.reason


def test_what_is_no_search_is_refused() -> None:
    with pytest.raises(NotApplicable, match="no learning rate"):
        compute_rate_search(logged([1.0] * 20))
    falling = logged(np.ones(20), rates=np.geomspace(1, 1e-3, 20))
    assert not is_rate_search(falling) and is_rate_search(_search(20))
    with pytest.raises(NotApplicable, match="a schedule, not a search"):
        compute_rate_search(falling)
    losses = np.append(np.ones(7), np.full(13, np.nan))
    with pytest.raises(NotApplicable, match="7 finite losses"):
        compute_rate_search(logged(losses, rates=np.geomspace(1e-3, 1, 20)))


# Schedules. The formulas are those of Keras' schedules of the same names, in float32 as logged.

T = np.arange(100)


def _cosine(t: Any, length: float, floor: float = 0.0) -> Any:
    return floor + (1 - floor) * 0.5 * (1 + np.cos(np.pi * np.asarray(t) / length))


def _restarts(n: int, length: float, growth: float, fade: float = 1.0) -> list[float]:
    """Keras' `CosineDecayRestarts`: i-th cycle `length · growth**i`, its top `fade**i`."""
    found, begin, top = [], 0.0, 1.0
    for t in range(n):
        if t >= begin + length:
            begin, length, top = begin + length, length * growth, top * fade
        found.append(top * float(_cosine(t - begin, length)))
    return found


def _schedule(rates: Any) -> Any:
    given = np.asarray(rates, np.float32).astype(np.float64)
    return compute_schedule(logged(None, rates=given))


@pytest.mark.parametrize(
    ("rates", "kind"),
    [
        (np.full(20, 0.01), "constant"),
        ([0.1] * 10 + [0.01] * 10 + [0.001] * 10, "steps"),
        (0.01 * (1 - T / 100), "linear"),
        (0.01 * 0.95**T, "exponential"),
        (0.01 / (1 + 0.1 * T), "inverse_time"),
        (0.01 / np.sqrt(1 + T), "inverse_root"),
        (0.01 * (1 - T / 100) ** 2, "polynomial"),
        (0.01 * _cosine(T, 100), "cosine"),
        (0.01 * _cosine(T, 100, 0.1), "cosine"),
        (0.01 * _cosine(np.arange(10_000), 10_000), "cosine"),
        (0.01 * _cosine(T, 300), "cosine"),
        (np.append(np.linspace(1e-3, 0.1, 40), 0.1 * _cosine(np.arange(60), 60)), "one_cycle"),
        (np.tile([1, 2, 3, 4, 3, 2], 8) / 100, "cyclic"),
        (1e-6 * 2.0 ** np.arange(20), "rising"),
        (np.random.default_rng(0).random(50), "other"),
    ],
)
def test_schedules_are_recognised(rates: Any, kind: str) -> None:
    found = _schedule(rates)
    assert found.kind == kind, found.sentence
    assert found.restarts == ()
    assert found.sentence.endswith(".")


def test_cosine_annealing_is_measured() -> None:
    found = _schedule(0.01 * _cosine(T, 100, 0.1))
    assert found.cycle == pytest.approx(100, rel=1e-4)
    assert found.floor == pytest.approx(0.001, rel=1e-3) and found.misfit < 1e-6
    assert "without restarts" in found.sentence and "takes 100 epochs" in found.sentence


def test_restarts_are_found() -> None:
    even = _schedule(_restarts(60, 10, 1))
    assert (even.kind, even.restarts) == ("cosine", (10, 20, 30, 40, 50))
    longer = _schedule(_restarts(140, 20, 2))
    assert longer.restarts == (20, 60) and longer.growth == 2.0
    assert "2 times as long as the one before" in longer.sentence
    faded = _schedule(_restarts(60, 20, 1, 0.8))
    assert (faded.kind, faded.restarts) == ("cosine", (20, 40))


def test_warm_up_and_cuts() -> None:
    warm = _schedule(np.append(np.linspace(1e-4, 0.01, 10), 0.01 * _cosine(T, 100)))
    assert (warm.kind, warm.warm_up) == ("cosine", 10)
    cut = _schedule([0.1] * 10 + [0.05] * 7 + [0.025] * 12)
    assert "at epochs 10 and 17" in cut.sentence and "on a plateau" in cut.sentence
    for run in (logged([1.0]), logged([1.0], rates=[0.1])):
        with pytest.raises(NotApplicable):
            compute_schedule(run)
