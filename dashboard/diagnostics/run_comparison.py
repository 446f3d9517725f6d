"""Runs that settle far behind the best of them: underfitting, which one run alone cannot show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..contracts import Finding, Run
from ..wording import in_sentence, number
from .epoch_cases import MATERIAL, chance, size_of
from .epoch_trends import LEAST, Change, Trend, trend_of
from .epochs import EpochCurve, compute_epoch_curves
from .mismatch import RATIO
from .rate_search import is_rate_search

__all__ = ["curves_of_runs", "find_behind"]

# What explains that a run stays behind, other than too little freedom.
_REASONS = (
    "non_finite",
    "diverging",
    "rate_too_high",
    "rate_too_low",
    "stuck",
    "not_converged",
    "overfitting",
    "memorised",
    "vanishing_gradients",
    "exploding_gradients",
    "dead_units",
    "saturated_units",
    "not_moving",
)


def curves_of_runs(runs: Sequence[Run]) -> list[EpochCurve]:
    """Every metric of every run, but of searches for a learning rate."""
    kept = [one for one in runs if one.metrics and not is_rate_search(one)]
    metrics = dict.fromkeys(name for run in kept for name in run.metrics)
    return [
        curve
        for metric in metrics
        for curve in compute_epoch_curves(
            [run for run in kept if metric in run.metrics], metric=metric
        )
    ]


@dataclass(frozen=True, eq=False)
class _Learned:
    """One metric of one run, low is good."""

    curve: EpochCurve
    train: Trend
    validation: Trend

    @property
    def offset(self) -> float:
        """What makes errors of values: 1 of a share such as accuracy, which is best at 1."""
        return 1.0 if self.curve.larger_is_better else 0.0

    def shown(self, value: float) -> str:
        return number(-value if self.curve.larger_is_better else value)

    @property
    def has_settled(self) -> bool:
        """It came down, does not fall any more, and training is no better by much."""
        held, train = self.validation, self.train
        late, came = held.falling(), held.start - held.best
        falls = late.is_clear and late.size > MATERIAL * size_of(held)
        gap = held.end - train.end
        noise = 2 * float(np.hypot(held.noise, train.noise)) / float(np.sqrt(held.window))
        near = gap <= max(noise, (RATIO - 1) * (train.end + self.offset))
        return not falls and near and came > 2 * held.noise

    def behind(self, other: _Learned) -> Change:
        """How much higher its best level is."""
        mine, theirs = self.validation, other.validation
        single = [one.noise / np.sqrt(one.window) for one in (mine, theirs)]
        return Change(mine.best - theirs.best, float(np.hypot(*single)))


def find_behind(curves: Sequence[EpochCurve], known: Sequence[Finding] = ()) -> list[Finding]:
    """Underfitting runs: settled, training as high as validation, clearly worse than the best run.

    Runs are compared in a metric that both logged on validation rows; in a loss, which differs from
    tool to tool, only those of one source. A run is named once, by the first metric that shows it.
    No log tells whether two runs were judged on the same rows, so that it is a note.

    `known` : what else was found; a run that fails or still improves is behind for that reason.
    """
    explained = {one.subject.partition(": ")[0] for one in known if one.code in _REASONS}
    found: dict[str, Finding] = {}
    metrics = sorted(dict.fromkeys(one.metric for one in curves), key=lambda name: name != "loss")
    for metric in metrics:
        learned = [one for curve in curves if curve.metric == metric and (one := _learned(curve))]
        for one in learned:
            if one.curve.run in found or one.curve.run in explained or not one.has_settled:
                continue
            said = _beside_best(one, learned)
            if said is not None:
                found[one.curve.run] = said
    return list(found.values())


def _beside_best(one: _Learned, learned: Sequence[_Learned]) -> Finding | None:
    alike = one.curve.metric != "loss"
    rivals = [each for each in learned if each is not one and (alike or _same_tool(one, each))]
    if not rivals:
        return None
    best = min(rivals, key=lambda each: each.validation.best)
    behind = one.behind(best)
    far = one.validation.best + one.offset >= RATIO * (best.validation.best + one.offset)
    return _tell(one, best, behind) if behind.is_clear and far else None


def _same_tool(one: _Learned, other: _Learned) -> bool:
    return one.curve.source == other.curve.source


def _learned(curve: EpochCurve) -> _Learned | None:
    """What can be compared: both parts, long enough, in a metric with a natural zero of errors."""
    if curve.larger_is_better is None or curve.validation is None or curve.train is None:
        return None
    sign = -1.0 if curve.larger_is_better else 1.0
    train, held = trend_of(curve.train, sign), trend_of(curve.validation, sign)
    if train is None or held is None or min(len(train), len(held)) < LEAST:
        return None
    low, high = (-1.0, 0.0) if curve.larger_is_better else (0.0, np.inf)
    levels = (train.best, train.end, held.best, held.end)
    if not all(low <= one <= high for one in levels):
        return None
    return _Learned(curve, train, held)


def _tell(one: _Learned, best: _Learned, behind: Change) -> Finding:
    curve = one.curve
    name = in_sentence(curve.title)
    return Finding(
        "underfitting",
        "info",
        curve.run,
        f"{curve.run} underfits beside {best.curve.run}, if both were judged on the same rows: its "
        f"{name} settles at {one.shown(one.validation.end)} on validation and "
        f"{one.shown(one.train.end)} on training rows, {best.curve.run} reaches "
        f"{best.shown(best.validation.best)}. That is {number(behind.size)} behind, where "
        f"{chance(behind.spread)}.",
        {
            "metric": curve.metric,
            "beside": best.curve.run,
            "change": behind.size,
            "spread": behind.spread,
            "train": -one.train.end if curve.larger_is_better else one.train.end,
            "end": -one.validation.end if curve.larger_is_better else one.validation.end,
        },
        (
            "a richer model: more layers, units or trees",
            "better features",
            "less regularisation; more rows will not help",
        ),
        "epochs",
        None if curve.best is None else float(curve.best),
    )
