"""Learning-rate schedules recognised from the rates in a log.

Cosine annealing and its restarts are those of Loshchilov & Hutter (SGDR, ICLR 2017), as Keras'
`CosineDecay` and `CosineDecayRestarts` and PyTorch's `CosineAnnealingLR` compute them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Run
from ..errors import NotApplicable
from ..wording import count, listing, number, plural, threshold
from .epochs import RATE, in_order, units

__all__ = ["Schedule", "compute_schedule"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TOLERANCE = 2e-3  # largest misfit of a recognised schedule, as a share of its range of rates
FITTED = 64  # rates of one cycle that are compared with a formula
LEAST = 6  # rates in a cycle that a formula is looked for in
JUMP = 0.3  # of the range of rates, upwards in one step: a restart


@dataclass(frozen=True, eq=False)
class Schedule:
    """What the rate did.

    Attributes
    ----------
    run, unit : whose; what a step is.
    steps, rates : `(n,)` by rising step.
    kind : "constant", "steps", "linear", "exponential", "inverse_time", "inverse_root",
        "polynomial", "cosine", "one_cycle", "cyclic", "rising" or "other".
    sentence : what it is, with its numbers.
    restarts : steps at which the rate jumped back up.
    cycle : length of the first cycle in steps, where it follows a formula that has one; growth :
        of each cycle over the one before.
    warm_up : steps until the rate was at its highest; 0 without a warm-up.
    peak, floor : highest rate, and what the schedule falls to.
    misfit : largest difference from the formula, as a share of the range; NaN without a formula.
    """

    run: str
    unit: str
    steps: Ints
    rates: Floats
    kind: str
    sentence: str
    restarts: tuple[int, ...] = ()
    cycle: float | None = None
    growth: float | None = None
    warm_up: int = 0
    peak: float = float("nan")
    floor: float = float("nan")
    misfit: float = float("nan")

    def frame(self) -> pd.DataFrame:
        """Columns run, step, rate."""
        return pd.DataFrame({"run": self.run, "step": self.steps, "rate": self.rates})


class _Fit(NamedTuple):
    """A formula for one cycle: its misfit, where it ends up, how long it takes in all."""

    kind: str
    misfit: float
    floor: float
    length: float | None = None


def compute_schedule(run: Run) -> Schedule:
    """The schedule of the logged learning rates; rates that are not finite are left out.

    Raises
    ------
    NotApplicable : no learning rate in the log, or a single one.
    """
    found = next((one for one in run.series if one.metric == RATE), None)
    if found is None:
        raise NotApplicable(f"{run.name} logged no learning rate.")
    kept, _ = in_order(found)
    steps = np.asarray(found.steps, np.int64)[kept]
    rates = np.asarray(found.values, np.float64)[kept]
    steps, rates = steps[np.isfinite(rates)], rates[np.isfinite(rates)]
    if len(rates) < 2:
        raise NotApplicable(f"{run.name} logged {plural(len(rates), 'learning rate')}; 2 at least.")
    plain = Schedule(
        run.name,
        found.unit,
        steps,
        rates,
        "other",
        "",
        peak=float(rates.max()),
        floor=float(rates.min()),
    )
    for recognise in (_constant, _stepwise, _rising, _cycles):
        schedule = recognise(plain)
        if schedule is not None:
            return schedule
    return replace(plain, sentence=f"The rate moves between {_span(plain)} by no known formula.")


def _span(one: Schedule) -> str:
    return f"{number(one.floor)} and {number(one.peak)}"


def _moves(rates: Floats) -> Floats:
    """Differences; what is below the precision of float32 is none."""
    moves = np.diff(rates)
    return np.where(np.abs(moves) <= 3e-7 * np.abs(rates).max(), 0.0, moves)


def _constant(one: Schedule) -> Schedule | None:
    if one.peak - one.floor > 1e-6 * abs(one.peak):
        return None
    return replace(one, kind="constant", sentence=f"The rate stays at {number(one.peak)}.")


def _stepwise(one: Schedule) -> Schedule | None:
    """Held for a while, then cut; recognised where it is held three times as often as cut."""
    moves = _moves(one.rates)
    cuts = np.flatnonzero(moves)
    if (moves > 0).any() or len(cuts) * 4 > len(one.rates):
        return None
    factors = one.rates[cuts + 1] / one.rates[cuts]
    places = [int(step) for step in one.steps[cuts + 1]]
    same = bool(np.ptp(factors) <= 1e-3 * abs(factors.mean()))
    to = f"to {number(float(factors.mean()))} of what it was" if same else "by different factors"
    waits = np.diff([one.steps[0], *places])
    uneven = same and len(cuts) > 1 and bool((waits != waits[0]).any())
    sentence = (
        f"The rate is cut {plural(len(cuts), 'time')}, {to}, at {_at(one, places)}: from "
        f"{number(one.peak)} down to {number(one.floor)}."
        + (" Uneven waits, as when it is cut on a plateau." if uneven else "")
    )
    return replace(one, kind="steps", sentence=sentence)


def _rising(one: Schedule) -> Schedule | None:
    if (_moves(one.rates) < 0).any():
        return None
    fits = [fit for name in ("linear", "exponential") if (fit := _FORMULAS[name](*_cut(one)))]
    best = min(fits, key=lambda fit: fit.misfit, default=None)
    how = f" ({best.kind})" if best is not None and best.misfit <= TOLERANCE else ""
    return replace(
        one,
        kind="rising",
        sentence=f"The rate does nothing but rise{how}, from {number(one.floor)} to "
        f"{number(one.peak)}, as in a learning-rate search.",
    )


def _cut(one: Schedule) -> tuple[Floats, Floats]:
    return _thinned(one.steps.astype(np.float64), one.rates)


def _thinned(steps: Floats, rates: Floats) -> tuple[Floats, Floats]:
    stride = max(1, len(steps) // FITTED)
    return steps[::stride], rates[::stride]


# Falling, once or in cycles


def _cycles(one: Schedule) -> Schedule | None:
    moves = _moves(one.rates)
    span = one.peak - one.floor
    ups = _runs(moves > 0)
    start = ups[0][1] if ups and ups[0][0] == 0 else 0  # position of the first peak
    while start < len(moves) and start and moves[start] == 0:
        start += 1  # the top is held for a while
    later = [up for up in ups if up[0] > 0]
    restarts = [end for begin, end in later if _height(one, begin, end) > JUMP * span]
    if any(end - begin > 1 for begin, end in later) or len(restarts) < len(later):
        return _swinging(one, [*ups]) if len(ups) > 1 else None
    bounds = [start, *restarts, len(one.rates)]
    long = [(a, b) for a, b in pairwise(bounds) if b - a >= LEAST]
    if not long:
        return None
    fits = [_formula(one, a, b) for a, b in long]
    kinds = {fit.kind for fit in fits if fit is not None}
    if None in fits or len(kinds) != 1:
        return _unknown_fall(one, start, restarts)
    return _named(one, start, restarts, [fit for fit in fits if fit is not None])


def _height(one: Schedule, begin: int, end: int) -> float:
    return float(one.rates[end] - one.rates[begin])


def _runs(which: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and one-past-last position of each run of True; as positions of rates: from, to."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], which, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _formula(one: Schedule, begin: int, end: int) -> _Fit | None:
    """The simplest formula that the cycle follows."""
    steps, rates = _thinned(one.steps[begin:end].astype(np.float64), one.rates[begin:end])
    for fit in _FORMULAS.values():
        found = fit(steps, rates)
        if found is not None and found.misfit <= TOLERANCE:
            return found
    return None


def _misfit(rates: Floats, fitted: Floats) -> float:
    return float(np.abs(rates - fitted).max() / np.ptp(rates))


def _line(x: Floats, y: Floats) -> Floats:
    slope, level = np.polyfit(x - x[0], y, 1)
    fitted: Floats = slope * (x - x[0]) + level
    return fitted


def _straight(
    kind: str, there: Callable[[Floats], Floats], back: Callable[[Floats], Floats]
) -> Callable[[Floats, Floats], _Fit | None]:
    """A formula that is a straight line in time after a change of scale."""

    def fit(steps: Floats, rates: Floats) -> _Fit | None:
        if rates.min() <= 0 and kind != "linear":
            return None
        line = _line(steps, there(rates))
        if line.min() <= 0 and kind in ("inverse_time", "inverse_root", "polynomial"):
            return None
        return _Fit(kind, _misfit(rates, back(line)), float(rates[-1]))

    return fit


def _cosine(steps: Floats, rates: Floats) -> _Fit | None:
    """`floor + amplitude · (1 + cos(π t / length)) / 2`, from its start or shortly behind it.

    The differences of an evenly sampled cosine follow `d[i+1] + d[i-1] = 2 cos(ω) d[i]`.
    """
    if bool((np.abs(np.diff(steps, 2)) > 1e-9).any()):
        return None
    d = np.diff(rates)
    cosine = float((d[1:-1] * (d[2:] + d[:-2])).sum() / (2 * (d[1:-1] ** 2).sum()))
    if not -1 < cosine < 1:
        return None
    omega = float(np.arccos(cosine)) / float(steps[1] - steps[0])
    phase = omega * (steps - steps[0])
    design = np.column_stack([np.ones(len(steps)), np.cos(phase), np.sin(phase)])
    (level, a, b), *_ = np.linalg.lstsq(design, rates, rcond=None)
    amplitude, shift = float(np.hypot(a, b)), float(np.arctan2(-b, a))
    length = float(np.pi / omega)
    # It must start near its top and end before it would rise again.
    if not -0.05 <= shift / np.pi <= 0.2 or shift + phase[-1] > 1.1 * np.pi:
        return None
    floor = float(level) - amplitude
    floor = 0.0 if abs(floor) < 1e-3 * amplitude else floor
    return _Fit("cosine", _misfit(rates, design @ np.array([level, a, b])), floor, length)


_FORMULAS: dict[str, Callable[[Floats, Floats], _Fit | None]] = {
    "linear": _straight("linear", np.asarray, np.asarray),
    "exponential": _straight("exponential", np.log, np.exp),
    "inverse_time": _straight("inverse_time", np.reciprocal, np.reciprocal),
    "inverse_root": _straight("inverse_root", lambda rate: rate**-2.0, lambda line: line**-0.5),
    "polynomial": _straight("polynomial", np.sqrt, np.square),
    "cosine": _cosine,
}
_WORDS = {
    "linear": "falls in a straight line",
    "exponential": "falls exponentially",
    "inverse_time": "falls as 1 / time",
    "inverse_root": "falls as 1 / √time",
    "polynomial": "falls with the square of the time left",
    "cosine": "follows cosine annealing",
}


def _named(one: Schedule, start: int, restarts: list[int], fits: list[_Fit]) -> Schedule:
    kind = fits[0].kind
    warm = int(one.steps[start] - one.steps[0])
    floor = min(fit.floor for fit in fits)
    cycle, growth = _lengths(one, [start, *restarts], fits[0].length)
    if not restarts and start >= 0.2 * len(one.rates):
        kind = "one_cycle"
    return replace(
        one,
        kind=kind,
        restarts=tuple(int(one.steps[at]) for at in restarts),
        cycle=cycle,
        growth=growth,
        warm_up=warm,
        floor=floor,
        misfit=max(fit.misfit for fit in fits),
        sentence=_say(one, fits[0].kind, kind, warm, restarts, cycle, growth, floor),
    )


def _lengths(
    one: Schedule, starts: list[int], fitted: float | None
) -> tuple[float | None, float | None]:
    """Length of the first cycle and the growth from cycle to cycle, where it is one number."""
    if len(starts) == 1:
        return fitted, None
    lengths = np.diff(one.steps[starts]).astype(np.float64)
    if len(lengths) == 1:
        return float(lengths[0]), None
    ratios = lengths[1:] / lengths[:-1]
    even = float(np.abs(ratios - ratios.mean()).max()) <= 0.1 * float(ratios.mean())
    return float(lengths[0]), float(np.round(ratios.mean(), 2)) if even else None


def _say(
    one: Schedule,
    formula: str,
    kind: str,
    warm: int,
    restarts: list[int],
    cycle: float | None,
    growth: float | None,
    floor: float,
) -> str:
    rise = f"rises for {units(warm, one.unit)}, then " if warm else ""
    named = " (one cycle)" if kind == "one_cycle" else ""
    if restarts:
        places = _at(one, one.steps[restarts].tolist())
        again = f" with {plural(len(restarts), 'restart')}, at {places}"
    else:
        again = " without restarts" if formula == "cosine" else ""
    ends = f", from {number(one.peak)} down to {number(floor)}"
    grows = ""
    if growth is not None and abs(growth - 1) > 0.02:
        grows = f"; each cycle is {threshold(growth)} times as long as the one before"
    elif cycle is not None and (restarts or formula == "cosine"):
        grows = f"; a cycle takes {units(_tidy(cycle), one.unit)}"
    return f"The rate {rise}{_WORDS[formula]}{again}{named}{ends}{grows}."


def _at(one: Schedule, steps: Sequence[int]) -> str:
    several = units(len(steps), one.unit).split(" ")[1]
    return f"{several} {listing([count(step) for step in steps], 5)}"


def _tidy(length: float) -> float:
    """A length as people say it: a fit finds 99.9999 for 100."""
    return round(length) if abs(length - round(length)) < 2e-3 * length else round(length, 1)


def _unknown_fall(one: Schedule, start: int, restarts: list[int]) -> Schedule:
    warm = int(one.steps[start] - one.steps[0])
    rise = f"rises for {units(warm, one.unit)}, then " if warm else ""
    places = _at(one, one.steps[restarts].tolist()) if restarts else ""
    again = f", with jumps back up at {places}" if restarts else ""
    return replace(
        one,
        restarts=tuple(int(one.steps[at]) for at in restarts),
        warm_up=warm,
        sentence=f"The rate {rise}falls by no formula known here{again}; it moves between "
        f"{_span(one)}.",
    )


def _swinging(one: Schedule, ups: list[tuple[int, int]]) -> Schedule:
    tops = [float(one.steps[end]) for _, end in ups if end < len(one.rates) - 1]
    apart = np.diff(tops)
    if len(apart) and float(np.ptp(apart)) <= max(2.0, 0.1 * float(apart.mean())):
        return replace(
            one,
            kind="cyclic",
            cycle=float(apart.mean()),
            sentence=f"The rate swings between {_span(one)}, once in "
            f"{units(_tidy(float(apart.mean())), one.unit)}.",
        )
    return replace(
        one,
        sentence=f"The rate rises {plural(len(ups), 'time')} and falls again, by no known formula; "
        f"it moves between {_span(one)}.",
    )
