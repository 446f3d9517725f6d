"""What the curves of a run by epoch say: each finding with its numbers and what it is judged by.

Signals and remedies are those of Géron (Hands-On Machine Learning), Chollet (Deep Learning with
Python) and Mosconi (Zero to Deep Learning). A difference counts where it exceeds twice its
standard error, as the noise of the curve gives it, and what choosing the best of many epochs
gives by itself; otherwise the finding is "undecided".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..contracts import Finding, Run
from ..errors import ParameterError
from ..wording import in_sentence, number, percent
from .epoch_cases import MATERIAL, EpochCase, about_the_log, chance, size_of, too_short
from .epoch_trends import LEAST, Change, Trend, trend_of
from .epochs import EpochCurve, compute_epoch_curves, units
from .rate_findings import about_training
from .rate_search import is_rate_search

__all__ = ["find_in_epochs"]

NOISY = 0.1  # noise as a share of the fall
EARLY = 0.1  # of the epochs
TELLING = 0.1  # of the level: a change that must not hide in the noise of what has settled
SMALL = 0.05  # of the level: what may be there without a doubt that it has settled
EASIER = 0.05  # of the training value: how much better validation has to be
PERFECT = 0.995  # of a share such as accuracy
UNSOUND = ("diverging", "rate_too_high", "rate_too_low", "stuck")  # nothing has settled then


def find_in_epochs(subject: Run | Sequence[EpochCurve], patience: int = 10) -> list[Finding]:
    """What the curves of a run, or of several, show; the loss is judged where it was logged.

    Parameters
    ----------
    subject : a run, or curves of one or more runs, one for each metric. Raw values count,
        whatever the smoothing. A search for a learning rate, which is to explode, says nothing.

    patience : of early stopping, which is advised; curves have their own.

    Raises
    ------
    ParameterError : no curves.
    """
    if isinstance(subject, Run) and is_rate_search(subject):
        return []
    curves = _curves(subject, patience) if isinstance(subject, Run) else list(subject)
    if not curves and not isinstance(subject, Run):
        raise ParameterError("No curves were given; pass at least one.")
    found: list[Finding] = []
    for run in dict.fromkeys(one.run for one in curves):
        found += _findings([one for one in curves if one.run == run])
    return found


def _curves(run: Run, patience: int) -> list[EpochCurve]:
    return [
        compute_epoch_curves([run], metric=metric, patience=patience)[0] for metric in run.metrics
    ]


def _findings(curves: Sequence[EpochCurve]) -> list[Finding]:
    known = [one for one in curves if one.parts and one.larger_is_better is not None]
    if not known:
        return []
    main = min(known, key=lambda one: (one.metric != "loss", bool(one.larger_is_better)))
    sign = -1.0 if main.larger_is_better else 1.0
    case = EpochCase(
        main,
        tuple(one for one in known if one is not main),
        trend_of(main.train, sign),
        trend_of(main.validation, sign),
    )
    found = [*about_the_log(case)]
    if case.watched is None:
        return found
    if len(case.watched) < LEAST:
        return [*found, too_short(case, case.watched)]
    training = list(about_training(case))
    unsound = any(one.code in UNSOUND for one in training)
    beside = [
        one
        for one in _about_validation(case)
        if not (unsound and one.code in ("converged", "undecided"))
    ]
    return [*found, *training, *beside]


# Validation beside training


def _about_validation(case: EpochCase) -> Iterator[Finding]:
    watched = case.watched
    if watched is None:
        return
    if case.validation is not None:
        yield from _at_first(case, case.validation)
    yield _where_it_ends(case, watched)
    if case.validation is not None:
        memorised = _memorised(case)
        if memorised is not None:
            yield memorised
        yield from _noisy(case, case.validation)


def _where_it_ends(case: EpochCase, watched: Trend) -> Finding:
    """Past its best, still improving, level, or undecided."""
    rise = watched.after_best()
    late = watched.falling()
    material = MATERIAL * size_of(watched)
    if rise.is_clear and rise.size > material:
        return _past_best(case, watched, rise)
    if late.is_clear and late.size > material:
        return _improving(case, watched, late)
    hidden, level = max(abs(late.size) + late.spread, rise.spread), size_of(watched)
    doubtful = rise.is_possible or late.is_possible
    allowed = (SMALL if doubtful else TELLING) * level
    if hidden > allowed or len(watched) < 2 * LEAST:
        return _undecided(case, watched, rise, late)
    return _level(case, watched, rise, late)


def _past_best(case: EpochCase, watched: Trend, rise: Change) -> Finding:
    if case.validation is None:
        return _undecided(case, watched, rise, watched.falling())
    train, (step, _) = case.train, case.best_of(watched)
    falls = None
    if train is not None and len(train) >= LEAST:
        since = min(int(np.searchsorted(train.steps, step)), len(train) - train.window)
        falls = train.between(since, len(train) - train.window)
    if falls is None or not falls.is_clear:
        return _worse_alone(case, watched, rise, step, falls)
    return _overfits(case, watched, rise, falls)


def _overfits(case: EpochCase, watched: Trend, rise: Change, falls: Change) -> Finding:
    curve, (step, marked) = case.curve, case.best_of(watched)
    early = watched.lowest <= EARLY * len(watched)
    n_after = int((watched.steps > step).sum()) * watched.block
    smaller = "a smaller model" if curve.unit != "iteration" else "smaller trees"
    stop = f"stop at the best {curve.unit} (early stopping with patience {case.patience})"
    regular = ["regularise: dropout, weight decay, data augmentation", "more or cleaner data"]
    if curve.unit == "iteration":
        regular = ["regularise: fewer leaves, subsampling, a lower rate", "more or cleaner data"]
    first = [smaller, stop] if early else [stop, smaller]
    where = f"at {case.at(step)} ({number(curve.best_value)})"
    if not marked:
        where = f"around {case.at(step)} (its best single value, at {case.at(curve.best or 0)}, is "
        where += "an exception)"
    averaged = units(watched.window * watched.block, curve.unit)
    return case.finding(
        "overfitting",
        "warning",
        f"The validation {case.name} of {curve.run} is best {where} and then gets worse: averaged "
        f"over {averaged}, from {case.shown(watched.best)} to {case.shown(watched.end)} at the "
        f"end, {units(n_after, curve.unit)} later, a change of {number(rise.size)} where "
        f"{chance(rise.spread)}. On training rows it improves meanwhile by {number(falls.size)}."
        + (" It overfits from the first epochs on." if early else "")
        + _confirmed(case, step),
        [*first, *regular],
        step,
        best_step=step,
        best=case.sign * watched.best,
        end=case.sign * watched.end,
        change=rise.size,
        spread=rise.spread,
        train_change=falls.size,
        from_first_epochs=int(early),
    )


def _confirmed(case: EpochCase, step: float) -> str:
    """What the other metrics did on validation rows meanwhile."""
    for other in case.others:
        trend = trend_of(other.validation, -1.0 if other.larger_is_better else 1.0)
        if trend is None or len(trend) < LEAST:
            continue
        worse = trend.after_best()
        name = in_sentence(other.title)
        if worse.is_clear:
            return f" Its {name} gets worse as well, by {number(worse.size)}."
        since = min(int(np.searchsorted(trend.steps, step)), len(trend) - trend.window)
        better = trend.between(since, len(trend) - trend.window)
        how = "still improves" if better.is_clear else "does not get worse"
        return (
            f" Its {name} {how} (it ends {number(max(worse.size, 0.0))} off its best, where "
            f"{chance(worse.spread)}): it grows overconfident rather than wrong."
        )
    return ""


def _worse_alone(
    case: EpochCase, watched: Trend, rise: Change, step: float, falls: Change | None
) -> Finding:
    why = (
        "training values were not logged"
        if falls is None
        else f"training does not improve clearly meanwhile (by {number(max(falls.size, 0.0))}, "
        f"{chance(falls.spread)})"
    )
    return case.finding(
        "undecided",
        "info",
        f"The validation {case.name} of {case.curve.run} gets worse after {case.at(step)}, by "
        f"{number(rise.size)} where {chance(rise.spread)}, but {why}: overfitting "
        "or a rate that is too high, which of them cannot be told.",
        [f"keep the weights of {case.at(step)}", "a lower learning rate", "log both parts"],
        step,
        best=case.sign * watched.best,
        end=case.sign * watched.end,
        change=rise.size,
        spread=rise.spread,
    )


def _improving(case: EpochCase, watched: Trend, late: Change) -> Finding:
    part = "validation" if case.validation is not None else "training"
    best = case.curve.best
    last = case.curve.watched.steps[-1] if case.curve.watched is not None else None
    is_last = best is not None and last is not None and best == int(last)
    ends = f" The best {case.curve.unit} is the last one, {case.at(last or 0)}." if is_last else ""
    return case.finding(
        "not_converged",
        "warning",
        f"The {part} {case.name} of {case.curve.run} still improves at the end: by "
        f"{number(late.size)} over the last quarter, where {chance(late.spread)}.{ends}",
        ["train for longer, with early stopping", "a higher learning rate, or a schedule"],
        float(watched.steps[-1]),
        end=case.sign * watched.end,
        change=late.size,
        spread=late.spread,
        best_is_last=int(is_last),
    )


def _undecided(case: EpochCase, watched: Trend, rise: Change, late: Change) -> Finding:
    part = "validation" if case.validation is not None else "training"
    n = len(watched) * watched.block
    return case.finding(
        "undecided",
        "info",
        f"Whether the {part} {case.name} of {case.curve.run} is past its best cannot be told after "
        f"{units(n, case.curve.unit)}: the end is {number(max(rise.size, 0.0))} off its best level "
        f"({chance(rise.spread)}), and the last quarter changed it by "
        f"{number(abs(late.size))} ({chance(late.spread)}).",
        [
            "train for longer, with early stopping",
            "repeat with other seeds",
            "more validation rows",
        ],
        float(watched.steps[-1]),
        change=rise.size,
        spread=rise.spread,
        late_change=late.size,
        late_spread=late.spread,
    )


def _level(case: EpochCase, watched: Trend, rise: Change, late: Change) -> Finding:
    part = "validation" if case.validation is not None else "training"
    near = int((watched.values <= watched.best + watched.noise).sum()) * watched.block
    return case.finding(
        "converged",
        "good",
        f"The {part} {case.name} of {case.curve.run} has settled near {case.shown(watched.end)}: "
        f"the last quarter changed it by {number(abs(late.size))} ({chance(late.spread)}), and a "
        f"change of {percent(TELLING)} of its level would have been seen. As good as the best, "
        f"give or take its ups and downs: {units(near, case.curve.unit)}.",
        (),
        None if case.curve.best is None else float(case.curve.best),
        end=case.sign * watched.end,
        change=rise.size,
        spread=rise.spread,
        n_near_best=near,
    )


def _at_first(case: EpochCase, validation: Trend) -> Iterator[Finding]:
    """Validation better than training: at first, or throughout."""
    train = case.train
    if train is None or len(train) < LEAST or len(validation) < LEAST:
        return
    spread = 2 * float(np.hypot(train.noise, validation.noise))
    first = train.start - validation.start
    end = train.end - validation.end
    end_spread = spread / float(np.sqrt(min(train.window, validation.window)))
    if first <= max(spread, EASIER * abs(train.start)):
        return
    lasting = end > max(end_spread, EASIER * abs(train.end))
    if not lasting and case.curve.unit != "epoch":
        return  # only a mean over an epoch explains it
    how = (
        f"from the first {case.curve.unit} to the last (by {number(end)} at the end; "
        f"{chance(end_spread)}): dropout and penalties count in training only, or the validation "
        "rows are easier or were seen in training"
        if lasting
        else f"at first, by {number(first)} ({chance(spread)}): the logged training "
        "value is a mean over the epoch while the network learns, with dropout at work if there is "
        "any; this is no fault"
    )
    yield case.finding(
        "validation_better" if lasting else "validation_better_at_first",
        "info",
        f"The validation {case.name} of {case.curve.run} is better than the training one {how}.",
        ["measure training rows without dropout at the end", "look for rows in both parts"]
        if lasting
        else ["draw training half an epoch earlier to compare"],
        float(validation.steps[0]),
        first=first,
        end=end,
        spread=end_spread if lasting else spread,
    )


def _memorised(case: EpochCase) -> Finding | None:
    """Training rows are answered almost without error, validation rows clearly worse."""
    for other in (case.curve, *case.others):
        if not other.larger_is_better or other.validation is None or other.train is None:
            continue
        train, validation = trend_of(other.train, 1.0), trend_of(other.validation, 1.0)
        if train is None or validation is None or not PERFECT <= train.end <= 1.0:
            continue
        spread = 3 * validation.noise / float(np.sqrt(validation.window))
        gap = train.end - validation.end
        if gap > max(0.05, spread):
            return _tell_memorised(case, other.title, train.end, validation.end, spread)
    train_, held = case.train, case.validation
    if case.curve.larger_is_better or train_ is None or held is None:
        return None
    spread = 3 * held.noise / float(np.sqrt(held.window))
    small = 0 <= train_.end <= 0.02 * train_.start
    large = held.end - train_.end > max(spread, 0.1 * held.start) and held.end > 10 * train_.end
    if small and large:
        return _tell_memorised(case, case.curve.title, train_.end, held.end, spread)
    return None


def _tell_memorised(
    case: EpochCase, title: str, train: float, validation: float, spread: float
) -> Finding:
    name = in_sentence(title)
    return case.finding(
        "memorised",
        "warning",
        f"{case.curve.run} has learned its training rows by heart: {name} {number(train)} on "
        f"training and {number(validation)} on validation rows, where "
        f"{chance(spread)}.",
        [
            "a smaller model: fewer layers, units or leaves",
            "regularise: dropout, weight decay",
            "more or cleaner data",
        ],
        train=train,
        validation=validation,
        change=abs(train - validation),
        spread=spread,
    )


def _noisy(case: EpochCase, validation: Trend) -> Iterator[Finding]:
    """Single epochs count here, not blocks of them; single batches scatter anyway."""
    part, train = case.curve.validation, case.train
    if part is None or part.unit not in ("epoch", "iteration"):
        return
    noise, values = validation.single, case.sign * part.values[part.finite]
    fall = validation.start - validation.best
    calmer = train is None or noise > 3 * train.single
    small = noise <= max(NOISY * max(fall, 0.0), MATERIAL * size_of(validation))
    if len(validation) < 2 * LEAST or small or not calmer:
        return
    near = int((values <= values.min() + noise).sum())
    beside = f", that of training by {number(train.single)}" if train is not None else ""
    yield case.finding(
        "noisy_validation",
        "info",
        f"The validation {case.name} of {case.curve.run} scatters by {number(noise)} "
        f"from {case.curve.unit} to {case.curve.unit}{beside}; it falls by "
        f"{number(max(fall, 0.0))} in all. As good as the best, give or take that much: "
        f"{units(near, case.curve.unit)}.",
        [
            "more validation rows",
            "a lower learning rate or a larger batch",
            f"a patience above {case.patience}",
        ],
        noise=noise,
        change=max(fall, 0.0),
        spread=noise,
        n_near_best=near,
    )
