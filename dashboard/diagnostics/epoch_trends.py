"""Levels, trends and noise of a logged curve, so that what is said of it can be judged.

Everything here is turned so that low is good: of an accuracy, the negative is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .epochs import LoggedPart

__all__ = ["Change", "Trend", "noise_of", "trend_of"]

Floats = npt.NDArray[np.float64]

MOST = 60  # blocks; longer logs are averaged in blocks of equal length
LEAST = 5  # values that a trend can be judged from


class Change(NamedTuple):
    """A difference, what it is judged against, and whether it is clear.

    `error` is its standard error from the noise of single values; `allowance` what choosing the
    lowest of many noisy levels gives by itself.
    """

    size: float
    error: float
    allowance: float = 0.0

    @property
    def is_clear(self) -> bool:
        return self.size - self.allowance > 2 * self.error

    @property
    def is_possible(self) -> bool:
        """Not clear, yet more than nothing."""
        return not self.is_clear and self.size - self.allowance > self.error

    @property
    def spread(self) -> float:
        """What the size has to exceed to be clear."""
        return 2 * self.error + self.allowance


@dataclass(frozen=True, eq=False)
class Trend:
    """A curve of finite values in blocks, low is good.

    Attributes
    ----------
    steps, values : `(n,)` means of the blocks; block : logged values in each.
    noise : standard deviation of single blocks around the local trend; single : of single logged
        values.
    """

    steps: Floats
    values: Floats
    block: int
    noise: float
    single: float

    def __len__(self) -> int:
        return len(self.values)

    @property
    def window(self) -> int:
        """Values that make a level."""
        return min(len(self.values), max(3, len(self.values) // 10))

    @property
    def levels(self) -> Floats:
        """`(n - window + 1,)` means of each window."""
        found: Floats = np.convolve(self.values, np.ones(self.window) / self.window, "valid")
        return found

    @property
    def start(self) -> float:
        return float(self.values[0])

    @property
    def end(self) -> float:
        """Level of the last window."""
        return float(self.levels[-1])

    @property
    def lowest(self) -> int:
        """Where the window of the lowest level begins."""
        return int(np.argmin(self.levels))

    @property
    def best(self) -> float:
        return float(self.levels.min())

    def after_best(self) -> Change:
        """How much higher the end is than the lowest level."""
        w, levels = self.window, self.levels
        single = self.noise / np.sqrt(w)
        allowance = single * np.sqrt(2 * np.log(max(1.0, len(levels) / w)))
        return Change(self.end - float(levels.min()), single * np.sqrt(2), float(allowance))

    def between(self, first: int, last: int) -> Change:
        """Fall from the window that begins at `first` to the one that begins at `last`."""
        levels = self.levels
        fall = float(levels[first] - levels[last])
        return Change(fall, self.noise * float(np.sqrt(2 / self.window)))

    def falling(self, share: float = 0.25, until: float = 1.0) -> Change:
        """Fall along a straight line through a share of the values, those before `until`."""
        stop = round(until * len(self))
        k = min(stop, max(LEAST, round(share * len(self))))
        x, y = self.steps[stop - k : stop], self.values[stop - k : stop]
        x = x - x.mean()
        square = float((x**2).sum())
        slope = float((x * y).sum()) / square if square else 0.0
        length = float(x[-1] - x[0])
        error = self.noise / np.sqrt(square) if square else 0.0
        return Change(-slope * length, error * length)


def noise_of(values: Floats) -> float:
    """Standard deviation of single values around their local trend.

    The larger of two estimates: from second differences (their median, so that a steep start
    does not count) and from the values around a running mean of five in the last two thirds,
    which also sees noise that lasts over neighbours.
    """
    if len(values) < LEAST:
        return 0.0
    second = np.abs(np.diff(values, 2))
    quick = 1.4826 * float(np.median(second)) / np.sqrt(6)
    late = values[len(values) // 3 :]
    if len(late) < 2 * LEAST:
        return float(quick)
    rest = late[2:-2] - np.convolve(late, np.ones(5) / 5, "valid")
    slow = 1.4826 * float(np.median(np.abs(rest - np.median(rest)))) / np.sqrt(0.8)
    return float(max(quick, slow))


def trend_of(part: LoggedPart | None, sign: float) -> Trend | None:
    """The finite values of a part, times `sign`; None where there are none."""
    if part is None or not part.finite.any():
        return None
    steps = part.steps[part.finite].astype(np.float64)
    values = sign * part.values[part.finite]
    single = noise_of(values)
    block = -(-len(values) // MOST)
    if block > 1:
        starts = np.arange(0, len(values) - block // 2, block)
        sizes = np.diff(np.append(starts, len(values)))
        steps = np.add.reduceat(steps, starts) / sizes
        values = np.add.reduceat(values, starts) / sizes
    return Trend(steps, values, block, noise_of(values) if block > 1 else single, single)
