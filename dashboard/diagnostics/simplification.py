"""Few marks for a long curve, with the displacement that this causes measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ParameterError

__all__ = ["MAX_MARKS", "TOLERANCE", "simplify", "turning_points"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MAX_MARKS = 2_000
TOLERANCE = 0.00025
"""A quarter of a pixel on a figure of 1,000 × 1,000 pixels, as a share of its side."""

_THINNING = 0.4  # of the tolerance goes to the first step, the rest to the second


def simplify(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    max_marks: int = MAX_MARKS,
    tolerance: float = TOLERANCE,
) -> tuple[IntArray, float]:
    """Indices of the points to draw, ends included, and the largest displacement.

    Points within straight runs go first: they displace nothing. Where many are left, columns
    narrower than the tolerance keep their first, lowest, highest and last point: whatever
    they do inside fills less than a pixel. Of the rest, a quarter of `max_marks` is spread
    evenly along the curve (for hovering), and segments from which a point lies too far are
    split there (Douglas & Peucker 1973, all segments of a round at once). Where that takes
    more than `max_marks`, too many marks are set, none of them for hovering, and those are
    taken back that displace least.

    Parameters
    ----------
    x, y : `(n,)` finite, in units of the side of the figure.
    max_marks : at least 8.
    tolerance : stop when no point is displaced by more.

    Returns
    -------
    indices : ascending, at most `max_marks`.
    error : upper bound of the Hausdorff distance between drawn and exact polyline, from the
        distances measured; larger than `tolerance` where `max_marks` do not suffice.
    """
    xs, ys = np.ascontiguousarray(x, np.float64), np.ascontiguousarray(y, np.float64)
    if xs.ndim != 1 or xs.shape != ys.shape:
        raise ParameterError(f"x has shape {xs.shape} and y {ys.shape}; equal (n,) are needed.")
    if max_marks < 8 or not tolerance > 0:
        raise ParameterError(
            f"max_marks must be at least 8 and tolerance positive, got {max_marks}, {tolerance}."
        )
    if len(xs) <= max_marks // 4:
        return np.arange(len(xs)), 0.0
    if not (np.isfinite(xs.sum()) and np.isfinite(ys.sum())):
        raise ParameterError("x and y must be finite to be drawn.")
    kept, thinned = turning_points(xs, ys), 0.0
    if kept is None:
        kept, thinned = _thin(xs, ys, _THINNING * tolerance)
    if kept is not None:
        xs, ys = xs[kept], ys[kept]
    rest = tolerance - thinned
    marks, split = _split(xs, ys, max_marks // 4, max_marks, rest)
    if split > rest:  # scarce: none for hovering, and split too often before merging again
        marks, _ = _split(xs, ys, 16, 4 * max_marks, rest)
        marks, split = _prune(xs, ys, marks, max_marks, rest)
    return (marks if kept is None else kept[marks]), thinned + split


def turning_points(x: FloatArray, y: FloatArray, at_most: int = 40_000) -> IntArray | None:
    """Indices without the inside of horizontal and vertical runs; None if more than `at_most`."""
    if len(x) <= 2:
        return None
    still = x[1:] == x[:-1], y[1:] == y[:-1]
    if 2 * min(len(x) - np.count_nonzero(same) for same in still) > at_most:
        return None
    again = still[0] & still[1]
    if again.any():  # two equal points could each be taken for the inside of the other's run
        apart = np.append(0, np.flatnonzero(~again) + 1)
        apart[-1] = len(x) - 1
        inner = turning_points(x[apart], y[apart], at_most)
        return apart if inner is None else apart[inner]
    straight = np.zeros(len(x), dtype=bool)
    for same, other in zip(still, (y, x), strict=True):
        inside = np.flatnonzero(same[1:] & same[:-1]) + 1
        onwards = (other[inside] - other[inside - 1]) * (other[inside + 1] - other[inside]) >= 0
        straight[inside[onwards]] = True
    kept = np.flatnonzero(~straight)
    return kept if len(kept) <= at_most else None


def _thin(x: FloatArray, y: FloatArray, width: float) -> tuple[IntArray | None, float]:
    """Points that matter in columns of `width`, and how far a dropped point may lie off.

    A column's polyline is connected and so is what is drawn of it; both reach from its lowest
    to its highest point. A dropped point therefore has a drawn point at its own height within
    the column, and at its own place within the column's height.
    """
    rising = bool((x[1:] >= x[:-1]).all())
    if not rising and not (x[1:] <= x[:-1]).all():
        return None, 0.0
    n, ascending = len(x), x if rising else x[::-1].copy()
    columns = int(np.ceil((ascending[-1] - ascending[0]) / width)) + 1
    grid = ascending[0] + width * np.arange(columns)
    starts = np.searchsorted(ascending, grid, side="left")
    starts = starts[(starts < n) & (np.diff(starts, prepend=-1) > 0)]
    if len(starts) > n // 3:
        return None, 0.0
    if not rising:
        starts = np.sort(n - np.append(starts[1:], n))
    stops = np.append(starts[1:], n) - 1
    crowded = stops - starts > 1
    spans = np.abs(x[stops] - x[starts])
    up, down = bool((y[1:] >= y[:-1]).all()), bool((y[1:] <= y[:-1]).all())
    if up or down:
        heights = np.abs(y[stops] - y[starts])
        diagonal = np.hypot(spans, heights)
        offset = np.divide(spans * heights, diagonal, out=np.zeros(len(spans)), where=diagonal > 0)
        ends = np.sort(np.concatenate((starts, stops[stops > starts])))
        return ends, float(offset.max(where=crowded, initial=0.0))
    lowest, highest = _first_where(y, starts, np.minimum), _first_where(y, starts, np.maximum)
    crowded = stops - starts > 3
    offset = np.minimum(spans, y[highest] - y[lowest])
    kept = np.zeros(n, dtype=bool)
    for marks in (starts, stops, lowest, highest):
        kept[marks] = True
    few = np.flatnonzero(~crowded)
    for step in (1, 2):
        kept[np.minimum(starts[few] + step, stops[few])] = True
    return np.flatnonzero(kept), float(offset.max(where=crowded, initial=0.0))


def _first_where(y: FloatArray, starts: IntArray, extreme: np.ufunc) -> IntArray:
    """Index of the first extreme value of each segment."""
    values = extreme.reduceat(y, starts)
    at = np.flatnonzero(y == np.repeat(values, np.diff(starts, append=len(y))))
    return at[np.searchsorted(at, starts)]


def _split(
    x: FloatArray, y: FloatArray, even: int, limit: int, tolerance: float
) -> tuple[IntArray, float]:
    """Marks, first `even` along the curve, then where the curve leaves a segment most."""
    lengths = np.abs(np.diff(x)) + np.abs(np.diff(y))
    along = np.concatenate(([0.0], np.cumsum(lengths)))
    marks = np.searchsorted(along, np.linspace(0, along[-1], even))
    marks = np.concatenate(([0], marks[(marks > 0) & (marks < len(x) - 1)], [len(x) - 1]))
    marks = marks[np.diff(marks, prepend=-1) > 0]
    lows, highs, settled = marks[:-1], marks[1:], 0.0
    while True:
        worst, farthest = _displacements(x, y, lows, highs)
        bad = worst > tolerance
        settled = max(settled, float(worst.max(where=~bad, initial=0.0)))
        if not bad.any():
            return marks, settled
        if len(marks) + np.count_nonzero(bad) > limit:
            return marks, float(worst.max())
        lows, highs, cut = lows[bad], highs[bad], farthest[bad]
        marks = np.sort(np.append(marks, cut))
        lows, highs = np.concatenate((lows, cut)), np.concatenate((cut, highs))


def _prune(
    x: FloatArray, y: FloatArray, marks: IntArray, max_marks: int, tolerance: float
) -> tuple[IntArray, float]:
    """Fewer marks: those whose removal displaces least go first, no two neighbours at once."""
    while len(marks) > max_marks:
        cost, _ = _displacements(x, y, marks[:-2], marks[2:])
        least = np.flatnonzero(
            (cost <= np.append(cost[1:], np.inf)) & (cost < np.append(np.inf, cost[:-1]))
        )
        least = least[np.argsort(cost[least])]
        cheap = np.count_nonzero(cost[least] <= tolerance)
        count = min(max(cheap, len(least) // 8, 1), len(marks) - max_marks)
        marks = np.delete(marks, least[:count] + 1)
    worst, _ = _displacements(x, y, marks[:-1], marks[1:])
    return marks, float(worst.max())


def _displacements(
    x: FloatArray, y: FloatArray, lows: IntArray, highs: IntArray
) -> tuple[FloatArray, IntArray]:
    """Largest distance of a point between two marks from their segment, and where it is."""
    counts = highs - lows
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    points = np.arange(counts.sum()) + np.repeat(lows - starts, counts)
    px, py = x[points] - np.repeat(x[lows], counts), y[points] - np.repeat(y[lows], counts)
    dx, dy = x[highs] - x[lows], y[highs] - y[lows]
    length = dx * dx + dy * dy
    inverse: Any = np.divide(1.0, length, out=np.zeros(len(length)), where=length > 0)
    dx_all, dy_all = np.repeat(dx, counts), np.repeat(dy, counts)
    part = (px * dx_all + py * dy_all) * np.repeat(inverse, counts)
    np.clip(part, 0.0, 1.0, out=part)
    px -= part * dx_all
    py -= part * dy_all
    distance = np.hypot(px, py)
    worst = np.maximum.reduceat(distance, starts)
    at = np.flatnonzero(distance == np.repeat(worst, counts))
    return worst, points[at[np.searchsorted(at, starts)]]
