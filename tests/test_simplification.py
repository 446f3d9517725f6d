"""Few marks, and a displacement that an independent measurement confirms."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.diagnostics.simplification import simplify, turning_points
from dashboard.errors import ParameterError

Points = npt.NDArray[np.float64]


def distance_to(path: Points, points: Points) -> float:
    """Largest distance of `points` from a polyline, over all pairs of point and segment."""
    start, step = path[:-1], np.diff(path, axis=0)
    length = np.maximum((step**2).sum(axis=1), 1e-300)
    worst = 0.0
    for point in points:
        part = np.clip(((point - start) * step).sum(axis=1) / length, 0, 1)
        near = start + part[:, None] * step
        worst = max(worst, float(np.sqrt(((near - point) ** 2).sum(axis=1)).min()))
    return worst


def dense(path: Points, times: int) -> Points:
    """Points along a polyline."""
    shares = np.linspace(0, 1, times, endpoint=False)[:, None, None]
    return np.asarray(path[:-1] + shares * np.diff(path, axis=0)).reshape(-1, 2)


def walk(rng: np.random.Generator, n: int, kind: str) -> tuple[Points, Points]:
    if kind == "monotone":
        steps = rng.exponential(size=(2, n)) * (rng.random((2, n)) < 0.5)
        x, y = np.cumsum(steps, axis=1)
        return x / x[-1], y / y[-1]
    x = np.sort(rng.random(n))
    y = np.cumsum(rng.normal(size=n)) if kind == "rough" else rng.random(n)
    return x, (y - y.min()) / (y.max() - y.min())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["monotone", "rough", "noise"]), st.booleans())
def test_the_error_is_a_bound_in_both_directions(seed: int, kind: str, falling: bool) -> None:
    x, y = walk(np.random.default_rng(seed), 700, kind)
    if falling:
        x, y = x[::-1], y[::-1]
    index, error = simplify(x, y, max_marks=60, tolerance=0.02)
    exact = np.column_stack((x, y))
    drawn = exact[index]
    assert len(index) <= 60
    assert (index[0], index[-1]) == (0, len(x) - 1)
    assert (np.diff(index) > 0).all()
    assert distance_to(drawn, exact) <= error + 1e-12
    assert distance_to(exact, dense(drawn, 7)) <= error + 1e-12


def test_the_error_of_crowded_columns_is_a_bound_too() -> None:
    # 20,000 points in 125 columns of .008: the thinning step is what is measured here
    rng = np.random.default_rng(0)
    x = np.sort(rng.random(20_000))
    y = 0.5 + 0.3 * np.sin(5 * x) + 0.002 * rng.normal(size=20_000)
    index, error = simplify(x, y, max_marks=400, tolerance=0.02)
    exact = np.column_stack((x, y))
    assert 0 < distance_to(exact[index], exact) <= error <= 0.02


def test_short_curves_are_drawn_whole() -> None:
    x = np.linspace(0, 1, 500)
    index, error = simplify(x, x**2)
    assert (len(index), error) == (500, 0.0)
    index, error = simplify(np.array([]), np.array([]))
    assert (len(index), error) == (0, 0.0)


def test_smooth_curves_need_few_marks() -> None:
    x = np.linspace(0, 1, 1_000_000)
    index, error = simplify(x, np.sqrt(x))
    assert len(index) <= 510
    assert error <= 0.00025


def test_straight_runs_cost_nothing() -> None:
    # up, along, up: 3 corners of 3,001 points; a run that turns back keeps its end
    x = np.repeat([0.0, 0.5, 1.0], [1_000, 1, 2_000])
    y = np.concatenate((np.linspace(0, 0.4, 1_000), [0.4], np.linspace(0.4, 1, 2_000)))
    kept = turning_points(x, y)
    assert kept is not None
    assert kept.tolist() == [0, 999, 1001, 3000]
    back = turning_points(np.zeros(4), np.array([0.0, 1.0, 0.5, 0.2]))
    assert back is not None
    assert back.tolist() == [0, 1, 3]
    assert turning_points(np.arange(9.0), np.arange(9.0) ** 2, at_most=4) is None
    assert turning_points(np.zeros(2), np.zeros(2)) is None


def test_too_few_marks_are_used_well_and_the_error_is_honest() -> None:
    rng = np.random.default_rng(1)
    x = np.linspace(0, 1, 3_000)
    y = rng.random(3_000)
    index, error = simplify(x, y, max_marks=100)
    assert len(index) == 100
    assert error > 0.00025
    exact = np.column_stack((x, y))
    assert distance_to(exact[index], exact) <= error


@pytest.mark.parametrize(
    ("x", "y", "options"),
    [
        ([0.0, 1.0], [0.0], {}),
        ([0.0, 1.0], [0.0, 1.0], {"max_marks": 4}),
        ([0.0, 1.0], [0.0, 1.0], {"tolerance": 0}),
        (np.arange(600.0), np.full(600, np.nan), {}),
    ],
)
def test_bad_input_is_refused(x: object, y: object, options: dict[str, float]) -> None:
    with pytest.raises(ParameterError):
        simplify(x, y, **options)  # type: ignore[arg-type]


def test_points_out_of_order_are_still_bounded() -> None:
    angle = np.linspace(0, 2 * np.pi, 5_000)
    x, y = 0.5 + 0.5 * np.cos(angle), 0.5 + 0.5 * np.sin(angle)
    index, error = simplify(x, y, max_marks=200, tolerance=0.001)
    exact = np.column_stack((x, y))
    assert distance_to(exact[index], exact[::7]) <= error <= 0.001


def test_a_corner_said_twice_is_kept() -> None:
    x, y = np.array([0.0, 0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0, 1.0])
    kept = turning_points(x, y)
    assert kept is not None
    assert kept.tolist() in ([0, 1, 3], [0, 2, 3])


def test_long_curves_that_turn_back_are_not_cut_into_columns() -> None:
    angle = np.linspace(0, 2 * np.pi, 60_000)
    index, error = simplify(0.5 + 0.5 * np.cos(angle), 0.5 + 0.5 * np.sin(angle))
    assert 0 < error <= 0.00025
    assert len(index) <= 2_000


def test_falling_curves_mirror_rising_ones() -> None:
    rng = np.random.default_rng(2)
    x = np.sort(rng.random(90_000))
    y = 0.5 + 0.1 * np.sin(9 * x) + 2e-5 * rng.normal(size=90_000)
    _, rising = simplify(x, y)
    index, falling = simplify(x[::-1], y[::-1])
    assert falling <= 0.00025
    assert rising <= 0.00025
    exact = np.column_stack((x, y))[::-1]
    assert distance_to(exact[index], exact[::101]) <= falling


def test_columns_that_hold_few_points_are_left_alone() -> None:
    x = np.linspace(0, 1, 25_000)
    index, error = simplify(x, 0.5 + 0.4 * np.sin(20 * x))
    assert error <= 0.00025
    assert len(index) <= 600
