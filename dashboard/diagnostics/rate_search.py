"""Learning-rate search: loss against a rate that rises from step to step, and what to choose.

The search was proposed by Smith ("Cyclical learning rates for training neural networks", WACV
2017); the rule of a tenth of the turning point is Géron's (Hands-On Machine Learning, ch. 11).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Run, Series
from ..errors import NotApplicable
from ..wording import number, plural
from .epochs import RATE, in_order

__all__ = ["RateSearch", "compute_rate_search", "is_rate_search"]

Floats = npt.NDArray[np.float64]

LEAST = 8  # finite losses
LEAST_FACTOR = 10.0  # between the lowest and the highest rate
WINDOW = 0.05  # of the range of rates in decades, to each side
RISE = 0.1  # of the fall before it, and twice the noise: that is a turn
CLEAR = 6.0  # standard errors of the fit, which is less sure at the ends and lowest somewhere
MOST_PLACES = 400  # at which the smoothed loss is evaluated


@dataclass(frozen=True, eq=False)
class RateSearch:
    """What a search says.

    Attributes
    ----------
    run : its name; metric, part : the loss that was searched with.
    rates, losses : `(n,)` by rising rate; what is not finite is kept.
    places, smoothed : `(m,)` rates and a local linear fit on the logarithm of the rate.
    noise : standard deviation of the losses around it.
    start : the loss at the lowest rates.
    steepest : the rate at which the loss falls fastest per decade; None without a clear fall.
    minimum : the rate of the lowest smoothed loss, or None.
    turning : the first rate behind it at which the loss has clearly risen or is not finite; None
        where the search ended before.
    suggested, low, high : a rate and a range to train with; None without a clear fall.
    reason : why, in a sentence or two.
    notes : what was left out.
    """

    run: str
    metric: str
    part: str
    rates: Floats
    losses: Floats
    places: Floats
    smoothed: Floats
    noise: float
    start: float
    steepest: float | None
    minimum: float | None
    turning: float | None
    suggested: float | None
    low: float | None
    high: float | None
    reason: str
    notes: tuple[str, ...] = ()

    def frame(self) -> pd.DataFrame:
        """Columns run, rate, loss, smoothed (the fit at that rate)."""
        known = np.log10(self.places)
        smoothed = np.interp(np.log10(self.rates), known, self.smoothed)
        return pd.DataFrame(
            {"run": self.run, "rate": self.rates, "loss": self.losses, "smoothed": smoothed}
        )


class _Marks(NamedTuple):
    """Positions among the places; -1 for none."""

    steepest: int
    minimum: int
    turning: float | None


def is_rate_search(run: Run) -> bool:
    """Whether the logged rate does nothing but rise, at least tenfold."""
    pairs = _pairs(run)
    return pairs is not None and _rises(pairs[0])


def compute_rate_search(run: Run) -> RateSearch:
    """The training loss against the rate, its marks and what they suggest.

    Losses far above the start (further than the search fell below it) count as that far only,
    so that an explosion does not reach back into the fit.

    Raises
    ------
    NotApplicable : no rates or losses in the log, a rate that does not rise tenfold, fewer than 8
        finite losses.
    """
    pairs = _pairs(run)
    if pairs is None:
        raise NotApplicable(
            f"{run.name} logged no learning rate beside a loss; a search needs both for each step."
        )
    rates, losses, series = pairs
    if not _rises(rates):
        raise NotApplicable(
            f"The rate of {run.name} does not rise tenfold from step to step, so this is a "
            "schedule, not a search."
        )
    finite = np.isfinite(losses)
    if finite.sum() < LEAST:
        raise NotApplicable(
            f"{run.name} has {plural(int(finite.sum()), 'finite loss')}; a search needs {LEAST}."
        )
    places, smoothed, slopes, noise, start = _fit(rates[finite], losses[finite])
    spread = noise * np.sqrt(_share_in_window(rates[finite]))
    marks = _find(places, smoothed, slopes, noise, start, rates[~finite], spread)
    found = _suggest(run.name, places, marks, rates, start, smoothed, spread)
    n_bad = int((~finite).sum())
    notes = (f"{plural(n_bad, 'loss')} not finite, drawn as marks.",) if n_bad else ()
    return RateSearch(
        run.name,
        series.metric,
        series.part,
        rates,
        losses,
        10**places,
        smoothed,
        noise,
        start,
        *found,
        notes=notes,
    )


def _pairs(run: Run) -> tuple[Floats, Floats, Series] | None:
    """Rates and losses by rising rate; each loss with the last rate logged until its step."""
    rate = next((one for one in run.series if one.metric == RATE), None)
    loss = run.get("loss", "train") or run.get("loss", "validation")
    if rate is None or loss is None:
        return None
    order, _ = in_order(loss)
    at, _ = in_order(rate)
    rate_steps = np.asarray(rate.steps)[at]
    place = np.searchsorted(rate_steps, np.asarray(loss.steps)[order], side="right") - 1
    order, place = order[place >= 0], place[place >= 0]
    rates = np.asarray(rate.values, np.float64)[at][place]
    usable = np.isfinite(rates) & (rates > 0)
    losses = np.asarray(loss.values, np.float64)[order]
    return rates[usable], losses[usable], loss


def _rises(rates: Floats) -> bool:
    if len(rates) < LEAST or rates[-1] < LEAST_FACTOR * rates[0]:
        return False
    return bool((np.diff(rates) >= -1e-9 * rates[:-1]).all())


def _fit(rates: Floats, losses: Floats) -> tuple[Floats, Floats, Floats, float, float]:
    """Places (log10), fit and slope per decade there, noise, and the loss at the lowest rates."""
    x = np.log10(rates)
    first = max(3, len(x) // 10)
    start = float(np.median(losses[:first]))
    lowest = float(np.median(np.sort(losses)[:3]))
    cap = start + max(start - lowest, 0.05 * abs(start), 1e-12)
    y = np.minimum(losses, cap)
    places = np.unique(x)
    if len(places) > MOST_PLACES:
        places = np.linspace(x[0], x[-1], MOST_PLACES)
    smoothed, _ = _local_lines(x, y, places, _width(x))
    _, slopes = _local_lines(x, y, places, 2 * _width(x))  # a slope needs more points than a level
    calm = y < cap
    rest = y[calm] - np.interp(x[calm], places, smoothed)
    noise = float(1.4826 * np.median(np.abs(rest - np.median(rest)))) if calm.any() else 0.0
    return places, smoothed, slopes, noise, start


def _width(x: Floats) -> float:
    apart = np.diff(np.unique(x))
    return max(WINDOW * float(x[-1] - x[0]), 2.5 * float(np.median(apart)))


def _share_in_window(rates: Floats) -> float:
    """What averaging in the window leaves of the variance of single losses."""
    x = np.log10(rates)
    inside = len(x) * min(1.0, _width(x) / float(x[-1] - x[0]))
    return 1.0 / max(1.0, inside)


def _local_lines(x: Floats, y: Floats, places: Floats, width: float) -> tuple[Floats, Floats]:
    """Local linear regression with tricube weights (Cleveland, JASA 74, 1979)."""
    offset = x[None, :] - places[:, None]
    weight = np.clip(1 - np.abs(offset / width) ** 3, 0, None) ** 3
    total = weight.sum(axis=1)
    mean_x = (weight * offset).sum(axis=1) / total
    mean_y = weight @ y / total
    centred = offset - mean_x[:, None]
    spread = (weight * centred**2).sum(axis=1)
    covered: Any = (weight * centred) @ y
    slope = np.divide(covered, spread, out=np.zeros(len(places)), where=spread > 1e-12)
    return mean_y - slope * mean_x, slope


def _find(
    places: Floats,
    smoothed: Floats,
    slopes: Floats,
    noise: float,
    start: float,
    bad: Floats,
    spread: float,
) -> _Marks:
    """Nothing is marked where the loss does not fall by more than the noise leaves open."""
    end = len(places)
    if len(bad):
        end = max(1, int(np.searchsorted(places, np.log10(bad.min()))))
    lowest = int(np.argmin(smoothed[:end]))
    fall = start - float(smoothed[lowest])
    if fall <= max(CLEAR * spread, 0.01 * abs(start)):
        return _Marks(-1, -1, None)
    steepest = int(np.argmin(slopes[: lowest + 1]))
    risen = np.flatnonzero(smoothed[lowest:end] > smoothed[lowest] + max(RISE * fall, 2 * noise))
    turning = float(10 ** places[lowest + risen[0]]) if len(risen) else None
    if turning is None and len(bad):
        turning = float(bad.min())
    return _Marks(steepest, lowest, turning)


Suggestion = tuple[
    float | None, float | None, float | None, float | None, float | None, float | None, str
]


def _suggest(
    name: str,
    places: Floats,
    marks: _Marks,
    rates: Floats,
    start: float,
    smoothed: Floats,
    spread: float,
) -> Suggestion:
    """Steepest, minimum, turning point, suggestion, range, reason."""
    if marks.minimum < 0:
        fall = start - float(smoothed.min())
        return (
            *(None,) * 6,
            f"The loss of {name} never falls clearly below its start: by {number(max(fall, 0.0))} "
            f"of {number(start)}, where a fall counts from "
            f"{number(max(CLEAR * spread, 0.01 * abs(start)))}. Search other rates, "
            "or look for what keeps the network from learning.",
        )
    steepest, minimum = float(10 ** places[marks.steepest]), float(10 ** places[marks.minimum])
    if marks.turning is None:
        return (
            steepest,
            minimum,
            None,
            steepest,
            steepest,
            minimum,
            f"The loss falls fastest at {number(steepest)} and is lowest at {number(minimum)}; it "
            f"had not turned by the highest rate tried, {number(float(rates[-1]))}. Start where it "
            "falls fastest, and search higher rates to see where it turns.",
        )
    tenth = min(marks.turning / 10, minimum)
    low, high = min(steepest, tenth), max(steepest, tenth)
    return (
        steepest,
        minimum,
        marks.turning,
        tenth,
        low,
        high,
        f"The loss turns up at {number(marks.turning)}; a tenth of that is "
        f"{number(marks.turning / 10)}. It falls fastest at {number(steepest)}. Both "
        f"{'lie below' if marks.turning / 10 < minimum else 'are kept at or below'} its minimum at "
        f"{number(minimum)}, where training is already unsteady.",
    )
