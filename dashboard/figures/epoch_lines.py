"""Lines over steps: few marks, gaps where nothing finite was logged, ticks of log axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..wording import count, percent, threshold
from .canvas import number_ticks

__all__ = ["BUDGET", "DrawnLine", "Frame", "drawing_note", "log_ticks", "short_tick", "thin"]

Floats = npt.NDArray[np.float64]

BUDGET = 4_500  # marks of one figure's lines
MOST = 1_000  # of one line
LEAST = 8  # fewer cannot be chosen
ROUGH = 0.05  # of the chart: lines that are further off do not show their course


class DrawnLine(NamedTuple):
    """What is drawn of a line: `(m,)` places and values, NaN at breaks; positions, -1 at breaks.

    `n` is the number of values that could be drawn, `error` the largest displacement as a share
    of the side of the figure, `lone` whether a value stands between breaks and needs a dot.
    """

    x: Floats
    y: Floats
    at: npt.NDArray[np.int64]
    n: int
    error: float
    lone: npt.NDArray[np.bool_]

    @property
    def marks(self) -> int:
        return int((self.at >= 0).sum())


@dataclass(frozen=True)
class Frame:
    """The ends of both axes and whether they are logarithmic."""

    x: tuple[float, float]
    y: tuple[float, float]
    log_x: bool = False
    log_y: bool = False

    @classmethod
    def around(
        cls, x: Sequence[Floats], y: Sequence[Floats], *, log_x: bool = False, log_y: bool = False
    ) -> Frame:
        """Whatever is finite, and positive on a log axis."""
        return cls(_ends(x, log_x), _ends(y, log_y), log_x, log_y)

    def scaled(self, values: Floats, side: str) -> Floats:
        """In units of the side of the figure; values outside lie outside of 0 to 1."""
        log, (low, high) = (self.log_x, self.x) if side == "x" else (self.log_y, self.y)
        if log:
            values, low, high = np.log10(values), np.log10(low), np.log10(high)
        found: Floats = (values - low) / ((high - low) or 1.0)
        return found

    def can_draw(self, x: Floats, y: Floats) -> npt.NDArray[np.bool_]:
        fine = np.isfinite(x) & np.isfinite(y)
        if self.log_x:
            fine &= x > 0
        return fine & (y > 0) if self.log_y else fine


def _ends(arrays: Sequence[Floats], log: bool) -> tuple[float, float]:
    every = np.concatenate([np.zeros(0), *arrays])
    every = every[np.isfinite(every) & ((every > 0) if log else True)]
    if not len(every):
        return (1.0, 10.0) if log else (0.0, 1.0)
    return float(every.min()), float(every.max())


def thin(x: Floats, y: Floats, frame: Frame, marks: int) -> DrawnLine:
    """The line with at most about `marks` marks, broken where values cannot be drawn.

    A log with more breaks than marks is drawn without them; the marks of its gaps remain.
    """
    marks = max(LEAST, min(marks, MOST))
    fine = np.flatnonzero(frame.can_draw(x, y))
    breaks = np.flatnonzero(np.diff(fine) > 1) + 1
    stretches = np.split(fine, breaks) if len(fine) else []
    if len(stretches) > marks // LEAST and len(fine) > marks:
        stretches = [fine]
    pieces: list[npt.NDArray[np.int64]] = []
    error = 0.0
    for one in stretches:
        share = max(LEAST, round(marks * len(one) / len(fine)))
        kept, off = _kept(x[one], y[one], frame, share)
        error = max(error, off)
        pieces += [one[kept], np.array([-1])]
    at = np.concatenate(pieces[:-1]) if pieces else np.zeros(0, np.int64)
    shown = at >= 0
    lone = shown & ~np.append(False, shown[:-1]) & ~np.append(shown[1:], False)
    return DrawnLine(
        np.where(shown, x[at], np.nan) if len(x) else x,
        np.where(shown, y[at], np.nan) if len(y) else y,
        at,
        len(fine),
        error,
        lone,
    )


def _kept(x: Floats, y: Floats, frame: Frame, marks: int) -> tuple[npt.NDArray[np.int64], float]:
    if len(x) <= marks:
        return np.arange(len(x)), 0.0
    # Values far outside of the frame would take all marks for what nobody sees.
    across, up = frame.scaled(x, "x"), np.clip(frame.scaled(y, "y"), -0.5, 1.5)
    extremes, width = _extremes(across, up, 4 * marks)
    across, up = across[extremes], up[extremes]
    kept = _fewest(across, up, marks)
    return extremes[kept], _displacement(across, up, kept) + width


def _fewest(x: Floats, y: Floats, most: int) -> npt.NDArray[np.int64]:
    """Points are dropped whose triangle with their neighbours is smallest, no two neighbours at
    once (Visvalingam & Whyatt, Cartographic Journal 30, 1993, in rounds).
    """
    kept = np.arange(len(x))
    while len(kept) > most:
        dx, dy = np.diff(x[kept]), np.diff(y[kept])
        area = np.abs(dx[:-1] * dy[1:] - dx[1:] * dy[:-1])
        least = np.flatnonzero(
            (area <= np.append(area[1:], np.inf)) & (area < np.append(np.inf, area[:-1]))
        )
        least = least[np.argsort(area[least], kind="stable")][: len(kept) - most]
        kept = np.delete(kept, least + 1)
    return kept


def _displacement(x: Floats, y: Floats, kept: npt.NDArray[np.int64]) -> float:
    """The largest distance of a dropped point from the segment that passes it."""
    if len(kept) == len(x):
        return 0.0
    place = np.searchsorted(kept, np.arange(len(x)), side="right").clip(1, len(kept) - 1)
    a, b = kept[place - 1], kept[place]
    dx, dy = x[b] - x[a], y[b] - y[a]
    length = np.maximum(dx**2 + dy**2, 1e-30)
    along = np.clip(((x - x[a]) * dx + (y - y[a]) * dy) / length, 0, 1)
    return float(np.hypot(x - x[a] - along * dx, y - y[a] - along * dy).max())


def _extremes(x: Floats, y: Floats, most: int) -> tuple[npt.NDArray[np.int64], float]:
    """Lowest and highest value of columns of equally many values, and the widest column.

    What is dropped lies between two drawn values of its column, so no further off than its width.
    """
    n, columns = len(x), most // 2
    if n <= 2 * most:
        return np.arange(n), 0.0
    starts = np.linspace(0, n, columns, endpoint=False).astype(np.int64)
    column = np.repeat(np.arange(columns), np.diff(np.append(starts, n)))
    order = np.lexsort((y, column))
    stops = np.append(starts[1:], n) - 1
    kept = np.unique(np.concatenate(([0], order[starts], order[stops], [n - 1])))
    return kept, float((x[stops] - x[starts]).max())


def drawing_note(lines: Sequence[DrawnLine]) -> str:
    """What the picture leaves out."""
    thinned = [one for one in lines if one.marks < one.n]
    if not thinned:
        return ""
    drawn, total = sum(one.marks for one in lines), sum(one.n for one in lines)
    off = min(max(one.error for one in thinned), 1.0)
    said = (
        f"Drawn with {count(drawn)} of {count(total)} values: lines are off by at most "
        f"{percent(off)} of the chart; the data download is exact."
    )
    return said + " Smoothing shows where they go." * (off > ROUGH)


def log_ticks(low: float, high: float, most: int = 7) -> dict[str, Any]:
    """Ticks of a log axis at 1, 2 and 5 times powers of ten, or at powers alone."""
    if high < 5 * low:
        return number_ticks(low, high, most)
    first, last = np.floor(np.log10(low)), np.ceil(np.log10(high))
    decades = np.arange(first, last + 1)
    for factors in ((1, 2, 5), (1,)):
        ticks = np.array([f * 10.0**d for d in decades for f in factors])
        ticks = ticks[(ticks >= low * 0.999) & (ticks <= high * 1.001)]
        if len(ticks) <= most:
            break
    ticks = ticks[:: max(1, -(-len(ticks) // most))]
    if len(ticks) < 2:
        return {}
    return {
        "tickmode": "array",
        "tickvals": ticks.tolist(),
        "ticktext": [short_tick(float(x)) for x in ticks],
    }


def short_tick(value: float) -> str:
    """A number beside an axis: `.001`, `10⁻⁶`, `2×10⁻⁶`."""
    return threshold(value).replace(".00×", "×").removeprefix("1×")
