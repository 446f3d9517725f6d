"""What a training curve says of the learning rate: too high, too low, or nothing is learned."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..contracts import Finding
from ..wording import number, percent
from .epoch_cases import MATERIAL, EpochCase, chance, size_of
from .epoch_trends import LEAST, Change, Trend

__all__ = ["about_training"]

STALLED = 0.05  # noise of the training loss as a share of its fall
FLAT = 0.01  # of the start: no fall to speak of
LEAST_FALL = 0.001  # of the start, where it is a clear line
STILL = 1e-9  # of the level: less is rounding
JUMPS = 0.02  # of the start: noise of a loss over all training rows that learns nothing
SLOW = 0.2  # of the start: a small fall


def about_training(case: EpochCase) -> Iterator[Finding]:
    train = case.train
    if train is None or len(train) < LEAST:
        return
    rise = train.after_best()
    if rise.is_clear and rise.size > MATERIAL * size_of(train):
        yield _rising(case, train, rise)
        return
    if _is_frozen(train):
        yield _frozen(case, train)
        return
    fall = Change(train.start - train.end, train.noise * float(np.sqrt(1 + 1 / train.window)))
    if _is_slow(train, fall):
        yield _slow(case, train, fall)
    elif fall.size < max(FLAT * abs(train.start), fall.spread):
        by_epoch = case.curve.unit in ("epoch", "iteration")
        jumps = by_epoch and train.single > JUMPS * abs(train.start)
        yield (_jumping if jumps else _stuck)(case, train, fall)
    elif case.curve.unit in ("epoch", "iteration") and _stalls(train, fall):
        yield _unsteady(case, train, fall)


def _is_frozen(train: Trend) -> bool:
    """Not the least change in the second half: no weight moves any more."""
    late = train.values[len(train) // 2 :]
    return bool(np.ptp(late) <= STILL * max(abs(float(late[0])), np.finfo(float).tiny))


def _frozen(case: EpochCase, train: Trend) -> Finding:
    still = np.abs(train.values - train.values[-1]) <= STILL * abs(train.values[-1])
    moving = np.flatnonzero(~still)
    since = float(train.steps[moving[-1] + 1 if len(moving) else 0])
    return case.finding(
        "stuck",
        "warning",
        f"The training {case.name} of {case.curve.run} does not change at all from "
        f"{case.at(since)} on: it stays at {case.shown(train.end)} (it began at "
        f"{case.shown(train.start)}). No weight moves any more.",
        [
            "if the loss jumped before: divide the learning rate by 10, its units may be dead",
            "look for dead units and gradients of 0: scale the inputs, another initialiser",
            "check that the rate is not 0 and that layers are not frozen",
        ],
        since,
        start=case.sign * train.start,
        end=case.sign * train.end,
        change=float(np.ptp(train.values[len(train) // 2 :])),
        spread=STILL * abs(train.end),
    )


def _rising(case: EpochCase, train: Trend, rise: Change) -> Finding:
    worse = train.end > train.start + rise.spread
    validation = case.validation
    middle = case.step(train, train.lowest + train.window // 2)
    step = case.best_of(train)[0] if validation is None else middle
    both = validation is not None and len(validation) >= LEAST and validation.after_best().is_clear
    lowest = f"{case.shown(train.best)} around {case.at(step)}"
    return case.finding(
        "diverging" if worse else "rate_too_high",
        "problem" if worse else "warning",
        f"The training {case.name} of {case.curve.run} gets worse: from {lowest} to "
        f"{case.shown(train.end)} at the end, a change of {number(rise.size)} where "
        f"{chance(rise.spread)}."
        + (" Validation gets worse with it." if both else "")
        + (f" It ends worse than it began ({case.shown(train.start)})." if worse else ""),
        ["divide the learning rate by 10", "clip the gradients", "a larger batch"],
        step,
        lowest=case.sign * train.best,
        end=case.sign * train.end,
        change=rise.size,
        spread=rise.spread,
    )


def _stuck(case: EpochCase, train: Trend, fall: Change) -> Finding:
    return case.finding(
        "stuck",
        "warning",
        f"The training {case.name} of {case.curve.run} is flat from the start: "
        f"{case.shown(train.start)} at first, {case.shown(train.end)} at the end; a fall counts "
        f"from {number(max(FLAT * abs(train.start), fall.spread))}.",
        [
            "search for a learning rate: 10 times higher and 10 times lower ones first",
            "look for dead units and vanishing gradients: scale the inputs, another initialiser, "
            "batch normalisation",
            "check that inputs and targets belong together and that there is something to learn",
        ],
        start=case.sign * train.start,
        end=case.sign * train.end,
        change=fall.size,
        spread=fall.spread,
    )


def _jumping(case: EpochCase, train: Trend, fall: Change) -> Finding:
    return case.finding(
        "rate_too_high",
        "warning",
        f"The training {case.name} of {case.curve.run} does not fall ({case.shown(train.start)} at "
        f"first, {case.shown(train.end)} at the end) and jumps by {number(train.single)} from "
        f"{case.curve.unit} to {case.curve.unit}: the weights move, but too far.",
        ["divide the learning rate by 10", "clip the gradients", "scale the inputs"],
        start=case.sign * train.start,
        end=case.sign * train.end,
        noise=train.single,
        change=fall.size,
        spread=fall.spread,
    )


def _is_slow(train: Trend, fall: Change) -> bool:
    """A small fall in a line that does not flatten."""
    if not LEAST_FALL * abs(train.start) < fall.size < SLOW * abs(train.start):
        return False
    first, second = train.falling(0.5, 0.5), train.falling(0.5)
    return first.is_clear and second.is_clear and second.size > 0.7 * first.size


def _slow(case: EpochCase, train: Trend, fall: Change) -> Finding:
    second = train.falling(0.5)
    return case.finding(
        "rate_too_low",
        "warning",
        f"The training {case.name} of {case.curve.run} falls in a line that does not flatten, by "
        f"{percent(fall.size / abs(train.start))} in all ({case.shown(train.start)} to "
        f"{case.shown(train.end)}); in the second half still by {number(second.size)} where "
        f"{chance(second.spread)}.",
        [
            "multiply the learning rate by 10, or search for one",
            "scale the inputs",
            "train for longer",
        ],
        float(train.steps[-1]),
        start=case.sign * train.start,
        end=case.sign * train.end,
        change=fall.size,
        spread=fall.spread,
    )


def _stalls(train: Trend, fall: Change) -> bool:
    """Fell fast, then stays at one level and scatters there."""
    late = train.falling(0.5)
    if late.is_clear or len(train) < 2 * LEAST:
        return False
    return train.single > STALLED * max(fall.size, size_of(train))


def _unsteady(case: EpochCase, train: Trend, fall: Change) -> Finding:
    return case.finding(
        "rate_too_high",
        "warning",
        f"The training {case.name} of {case.curve.run} falls fast, then stalls near "
        f"{case.shown(train.end)} and scatters by {number(train.single)} from {case.curve.unit} to "
        f"{case.curve.unit}, {percent(train.single / fall.size)} of its fall: the rate may be "
        "slightly too high.",
        [
            "let the rate fall over time: a schedule, or a drop on a plateau (patience 5)",
            "a learning rate 3 to 10 times lower",
            "a larger batch",
        ],
        float(train.steps[-1]),
        end=case.sign * train.end,
        noise=train.single,
        change=fall.size,
        spread=train.falling(0.5).spread,
    )
