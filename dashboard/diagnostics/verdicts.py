"""Short verdicts on models from curves by training size: what they are, and what would help.

Rules of thumb misfire on one split, so every verdict is judged against the spread over folds, with
the correction for training rows that folds share (Nadeau and Bengio 2003). Only the gap between
training and validation is judged, with three repetitions or more, against the spread of their
means: whether it persists however these rows are divided. What is said of other rows (better than
a baseline, behind another model, more rows would help) keeps the correction, which no number of
repetitions makes vanish.
It says "undecided" where the spread is larger than the difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..contracts import Finding, Severity
from ..wording import count, in_sentence, number, percent, threshold
from .folds import FoldScores, MeanInterval
from .metric_list import METRICS
from .mismatch import RATIO, judge_apart
from .size_cases import SizeCase, beyond, case_of, errors_of, held_out
from .size_curves import SizeCurve
from .verdict_joining import judge
from .wanted_scores import behind_wanted, judge_wanted

__all__ = ["VERDICTS", "judge", "judge_folds", "judge_size_curve", "judge_size_curves"]

Floats = npt.NDArray[np.float64]

VERDICTS = (
    "underfitting",
    "overfitting",
    "memorised",
    "about_right",
    "no_better_than_baseline",
    "data_mismatch",
    "undecided",
)
PERFECT = 0.01  # training error as a share of the validation error that counts as none
FAR = 1.15  # error over that of the best model, or of the target, from which it is far
GAIN = 0.2  # of the baseline's error: a smaller gain that chance explains counts as none
_SURER = ("Repeat the cross-validation, or use more folds.", "Get more rows.")
_SIMPLER = (
    "Use a simpler model or fewer features.",
    "Regularise: prune, penalise, drop out, stop early.",
    "Get more rows, or cleaner ones.",
)
_RICHER = (
    "Use a richer model.",
    "Give it better features.",
    "Regularise less.",
)


def judge_size_curves(
    curves: Sequence[SizeCurve],
    *,
    baselines: Mapping[str, float] | None = None,
    target: float | None = None,
    level: float = 0.95,
) -> list[Finding]:
    """Verdicts on models that were fitted on the same folds, each judged beside the best of them.

    `baselines` : metric → the score of a model that looks at no feature; `target` : the score that
    is wanted.
    """
    scored = [one for one in curves if np.isfinite(one.validation[-1]).any()]
    found = []
    for curve in curves:
        others = [one for one in scored if one is not curve and one.metric == curve.metric]
        found += judge_size_curve(
            curve,
            others=others,
            baseline=(baselines or {}).get(curve.metric),
            target=target,
            level=level,
        )
    return found


def judge_folds(
    scores: Sequence[FoldScores],
    *,
    baselines: Mapping[str, float] | None = None,
    target: float | None = None,
    level: float = 0.95,
) -> list[Finding]:
    """The same verdicts from a cross-validation: one size, all rows that a fold learns from.

    And whether rows kept apart are like these, where the scores tell of such.

    `baselines` : metric → the score of a model that looks at no feature; the scores' own where
    they are not given.
    """
    own = {one.metric: one.baseline for one in scores if np.isfinite(one.baseline)}
    curves = [_one_size(one) for one in scores if one.n_scored]
    theirs = {**own, **(baselines or {})}
    found = judge_size_curves(curves, baselines=theirs, target=target, level=level)
    found = [replace(one, chart="folds", at=None) for one in found]
    return [*found, *(one for each in scores for one in judge_apart(each, level=level))]


def _one_size(scores: FoldScores) -> SizeCurve:
    repeats = max(1, len(np.unique(scores.repeats)))
    n = len(scores.validation)
    return SizeCurve(
        model=scores.model,
        metric=scores.metric,
        title=scores.title,
        larger_is_better=scores.larger_is_better,
        sizes=np.array([int(np.median(scores.n_train))]),
        train=scores.train[None, :],
        validation=scores.validation[None, :],
        fit_seconds=scores.fit_seconds[None, :],
        n_given=scores.n_given,
        folds=scores.folds,
        independent=n // repeats if n % repeats == 0 else 0,
        n_done=scores.n_done,
        n_fits=scores.n_fits,
    )


def judge_size_curve(
    curve: SizeCurve,
    *,
    others: Sequence[SizeCurve] = (),
    baseline: float | None = None,
    target: float | None = None,
    level: float = 0.95,
) -> list[Finding]:
    """One verdict of `VERDICTS`, whether it reaches the target, and whether more rows would help.

    Parameters
    ----------
    others : curves of other models in the same metric and the same folds.
    baseline, target : scores that no feature is needed for, and that is wanted: a model that
        reaches it is not called underfitting because another is better.
    level : of the intervals over folds.

    Returns
    -------
    list : nothing while the largest size has no score.
    """
    case = case_of(curve)
    wanted = [] if target is None else judge_wanted(curve, target, level)
    if not case.n:
        return wanted  # without training scores there is no more to tell
    if case.n < 2:
        known = curve.deviations is not None and np.isfinite(curve.deviations[-1, 1])
        return [_by_deviation(case) if known else _one_split(case), *wanted]
    verdict = _verdict(case, others, baseline, target, level)
    wanted = [] if "wanted" in verdict.evidence else wanted
    return [verdict, *wanted, *_more_rows(case, level)]


def _finding(
    case: SizeCase,
    code: str,
    severity: Severity,
    sentence: str,
    remedies: Sequence[str],
    **evidence: float | int | str,
) -> Finding:
    at = float(case.curve.sizes[-1])
    return Finding(
        code, severity, case.curve.model, sentence, evidence, tuple(remedies), "size_curve", at
    )


def _one_split(case: SizeCase) -> Finding:
    return _finding(
        case,
        "undecided",
        "info",
        f"One split says nothing about {case.curve.model}: the same gap comes and goes with the "
        "rows that are held out.",
        ("Use repeated cross-validation.",),
        folds=case.n,
    )


def _by_deviation(case: SizeCase) -> Finding:
    """Of a table of means: its number of folds is not known, so their spread is all there is."""
    spread = float(case.curve.validation_sd[-1])
    gap = case.error - case.train_error
    large = case.train_error > 0 and case.error >= RATIO * case.train_error
    title = in_sentence(case.curve.title)
    told = (
        f"{title} {_score(case.curve, case.train_error)} on the rows it learned from and "
        f"{_score(case.curve, case.error)} on others, a gap of {number(gap)} where folds spread by "
        f"{number(spread)}."
    )
    numbers: dict[str, float | int | str] = {
        "metric": case.curve.metric,
        "train": _score_value(case, case.train_error),
        "validation": _score_value(case, case.error),
        "gap": gap,
        "fold_sd": spread,
        "rows": int(case.curve.sizes[-1]),
    }
    name = case.curve.model
    if _has_zero(case.curve) and gap > spread and case.train_error <= PERFECT * case.error:
        words = f"{name} has learned its rows by heart: {told}"
        return _finding(case, "memorised", "warning", words, _SIMPLER, **numbers)
    if gap > spread and (large or not _has_zero(case.curve)):
        words = f"{name} overfits: {told}"
        return _finding(case, "overfitting", "warning", words, _SIMPLER, **numbers)
    if _has_zero(case.curve) and gap + spread < (RATIO - 1) * case.train_error:
        words = f"{name} fits about right: {told}"
        return _finding(case, "about_right", "good", words, (), **numbers)
    words = f"Whether {name} overfits cannot be told: {told}"
    remedies = ("Give the score of each fold; means say less.", "Use more folds or rows.")
    return _finding(case, "undecided", "info", words, remedies, **numbers)


def _verdict(
    case: SizeCase,
    others: Sequence[SizeCurve],
    baseline: float | None,
    target: float | None,
    level: float,
) -> Finding:
    gap = case.interval(case.validation - case.train, level)
    told = _gap_words(case, gap)
    if baseline is not None:
        theirs = errors_of(case.curve, np.array([baseline]))
        worst = beyond(case.curve, held_out(case.curve) - theirs, level)
        if worst.low > 0 or abs(worst.mean) <= abs(worst.high - worst.mean):
            open_ = worst.low <= 0 and -worst.mean >= GAIN * float(theirs[0])
            return (_may_beat if open_ else _beats_nothing)(case, baseline, worst)
    positive = case.error > 0 and case.train_error >= 0 and _has_zero(case.curve)
    ratio = case.error / case.train_error if positive and case.train_error > 0 else np.inf
    if positive and case.train_error <= PERFECT * case.error and gap.low > 0:
        return _finding(
            case,
            "memorised",
            "warning",
            f"{case.curve.model} has learned its rows by heart: {told}",
            _SIMPLER,
            **_numbers(case, gap),
        )
    wide = gap.mean > case.spread and (ratio >= RATIO or not positive)
    if wide and gap.low > 0:
        return _finding(
            case,
            "overfitting",
            "warning",
            f"{case.curve.model} overfits: {told}",
            _SIMPLER,
            **_numbers(case, gap),
        )
    far = _far(case, others, target, level)
    if far is not None and not (ratio >= RATIO and gap.low > 0):
        return far
    # "about right" needs a gap that is surely small, not one that may be small
    if positive and (ratio >= RATIO or not gap.high < (RATIO - 1) * case.train_error):
        return _finding(
            case,
            "undecided",
            "info",
            f"Whether {case.curve.model} overfits cannot be told: {told}",
            _SURER,
            **_numbers(case, gap),
        )
    return _finding(
        case,
        "about_right",
        "good",
        f"{case.curve.model} fits about right: {told}",
        (),
        **_numbers(case, gap),
    )


def _has_zero(curve: SizeCurve) -> bool:
    """Whether its errors have a natural zero, so that ratios mean something."""
    if curve.metric in METRICS or not curve.larger_is_better:
        return True  # the best value of all that are higher for the better is 1
    known = curve.validation[np.isfinite(curve.validation)]
    return bool(len(known) and known.min() >= 0 and known.max() <= 1)


def _score(curve: SizeCurve, error: float) -> str:
    """An error as the score that people read."""
    return number(1 - error if curve.larger_is_better else error)


def _gap_words(case: SizeCase, gap: MeanInterval) -> str:
    title = in_sentence(case.curve.title)
    return (
        f"{title} {_score(case.curve, case.train_error)} on the rows it learned from and "
        f"{_score(case.curve, case.error)} on others, a gap of {number(gap.mean)} "
        f"({number(gap.low)} to {number(gap.high)} over {case.over}, which spread by "
        f"{number(case.spread)})."
    )


def _numbers(case: SizeCase, gap: MeanInterval) -> dict[str, float | int | str]:
    return {
        "metric": case.curve.metric,
        "train": float(_score_value(case, case.train_error)),
        "validation": float(_score_value(case, case.error)),
        "gap": gap.mean,
        "gap_low": gap.low,
        "gap_high": gap.high,
        "fold_sd": case.spread,
        "folds": case.n,
        "rows": int(case.curve.sizes[-1]),
    }


def _score_value(case: SizeCase, error: float) -> float:
    return 1 - error if case.curve.larger_is_better else error


def _beats_nothing(case: SizeCase, baseline: float, worst: MeanInterval) -> Finding:
    title = in_sentence(case.curve.title)
    clear = worst.low > 0
    verb = "does worse than" if clear else "does no better than"
    free = case.error > 0 and case.train_error * RATIO <= case.error  # it fits its own rows only
    own = f" On the rows it learned from it is {_score(case.curve, case.train_error)}." * free
    return _finding(
        case,
        "no_better_than_baseline",
        "problem",
        f"{case.curve.model} {verb} a model that looks at no feature: {title} "
        f"{_score(case.curve, case.error)} against {number(baseline)}; {case.over} spread "
        f"by {number(case.spread)}.{own}",
        (
            "See whether features and target belong to the same rows.",
            *(_SIMPLER if free else _RICHER),
        ),
        baseline=baseline,
        validation=float(_score_value(case, case.error)),
        fold_sd=case.spread,
        folds=case.n,
    )


def _may_beat(case: SizeCase, baseline: float, behind: MeanInterval) -> Finding:
    """Better than the baseline by much, but the folds differ as much."""
    return _finding(
        case,
        "undecided",
        "info",
        f"Whether {case.curve.model} is better than a model that looks at no feature cannot be "
        f"told: {in_sentence(case.curve.title)} {_score(case.curve, case.error)} against "
        f"{number(baseline)}; {case.over} spread by {number(case.spread)}.",
        _SURER,
        baseline=baseline,
        behind=behind.mean,
        validation=float(_score_value(case, case.error)),
        fold_sd=case.spread,
        folds=case.n,
    )


def _far(
    case: SizeCase, others: Sequence[SizeCurve], target: float | None, level: float
) -> Finding | None:
    """Underfitting: close curves that stay far from the target or the best other model."""
    if not _has_zero(case.curve) or not case.error > 0:
        return None
    if target is not None:
        wanted = float(errors_of(case.curve, np.array([target]))[0])
        behind = behind_wanted(case.curve, target, level)
        if behind.high <= 0:
            return None
        if behind.low > 0 and case.error >= FAR * max(wanted, 0.0):
            return _underfit(case, f"the {threshold(target)} that is wanted", behind, wanted=target)
    best: tuple[float, SizeCurve, Floats] | None = None
    for other in others:
        theirs, mine = held_out(other), held_out(case.curve)
        if theirs.shape != mine.shape:
            continue
        both = np.isfinite(theirs) & np.isfinite(mine)
        if both.sum() >= 2 and (best is None or theirs[both].mean() < best[0]):
            best = float(theirs[both].mean()), other, mine[both] - theirs[both]
    if best is None:
        return None
    error, other, differences = best
    behind = beyond(case.curve, differences, level)
    if behind.low > 0 and case.error >= FAR * max(error, 0.0):
        return _underfit(case, f"{other.model} ({_score(other, error)})", behind)
    return None


def _underfit(case: SizeCase, what: str, behind: MeanInterval, **told: float) -> Finding:
    title = in_sentence(case.curve.title)
    return _finding(
        case,
        "underfitting",
        "warning",
        f"{case.curve.model} underfits: {title} {_score(case.curve, case.train_error)} even on the "
        f"rows it learned from, {_score(case.curve, case.error)} on others, behind {what} by "
        f"{number(behind.mean)} ({number(behind.low)} to {number(behind.high)} with other rows).",
        (*_RICHER, "More rows will not help."),
        train=float(_score_value(case, case.train_error)),
        validation=float(_score_value(case, case.error)),
        behind=behind.mean,
        behind_low=behind.low,
        behind_high=behind.high,
        folds=case.n,
        **told,
    )


def _more_rows(case: SizeCase, level: float) -> list[Finding]:
    """Whether the validation score still improved over the last doubling of the rows."""
    curve = case.curve
    if len(curve.sizes) < 2:
        return []
    half = int(np.argmin(np.abs(np.log(curve.sizes[:-1] / (curve.sizes[-1] / 2)))))
    before, now = held_out(curve, half), held_out(curve)
    both = np.isfinite(before) & np.isfinite(now)
    if both.sum() < 2:
        return []
    won = beyond(curve, before[both] - now[both], level)
    least = 0.01 * abs(case.error)
    rows = f"from {count(int(curve.sizes[half]))} to {count(int(curve.sizes[-1]))} rows"
    title = in_sentence(curve.title)
    told = f"{number(won.low)} to {number(won.high)} with other rows"
    evidence: dict[str, float | int | str] = {
        "won": won.mean,
        "won_low": won.low,
        "won_high": won.high,
        "rows": rows,
    }
    if won.low > 0 and won.mean >= least:
        return [
            _finding(
                case,
                "more_data_helps",
                "info",
                f"{curve.model} still improves with more rows: {title} by {number(won.mean)} "
                f"{rows} ({told}).",
                ("Get more rows.", "Look at the continued curve for what they may bring."),
                **evidence,
            )
        ]
    if won.high < max(0.05 * abs(case.error), least):
        share = percent(abs(won.mean) / abs(case.error)) if case.error else "0 %"
        return [
            _finding(
                case,
                "more_data_flat",
                "info",
                f"More rows of this kind would hardly help {curve.model}: {title} changed by "
                f"{share} of the error {rows} ({told}).",
                ("A better model or better features.",),
                **evidence,
            )
        ]
    return []
