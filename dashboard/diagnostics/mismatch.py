"""Whether rows kept apart are like those that a model is made of: data mismatch.

Cross-validation judges a model by rows like those that it learns from. A fit on all of them, judged
on rows that were kept apart, should score the same but for chance. What chance allows: the mean of
J folds varies by (1/J + n_validation/n_train) s² (Nadeau and Bengio 2003, as everywhere here), and
one score of n rows kept apart by s² n_validation/n, as s² is that of scores of n_validation rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..contracts import Finding, Severity
from ..wording import in_sentence, number, percent, plural
from .folds import FoldScores, MeanInterval
from .metric_list import METRICS

__all__ = ["KEPT_APART", "RATIO", "judge_apart"]

RATIO = 1.15  # one error over another from which a difference counts
KEPT_APART = "rows kept apart"  # evidence "judged_on" of findings that do not come from the folds


def judge_apart(scores: FoldScores, *, level: float = 0.95) -> list[Finding]:
    """One finding: data_mismatch, as_expected, or undecided.

    `level` : of the interval of the difference between the rows kept apart and the folds.

    Returns
    -------
    list : nothing where no rows were kept apart, or without a score on them or in any fold.
    """
    metric = METRICS.get(scores.metric)
    if not np.isfinite(scores.apart) or (metric is not None and metric.orientation == "zero"):
        return []
    known = scores.validation[np.isfinite(scores.validation)]
    errors = 1 - known if scores.larger_is_better else known
    if not len(errors):
        return []
    if len(errors) < 2:
        return [_open(scores, MeanInterval(np.nan, np.nan, np.nan, np.nan, 1), 1)]
    apart = 1 - scores.apart if scores.larger_is_better else scores.apart
    worse = _difference(scores, errors, float(apart), level)
    error, spread = float(errors.mean()), float(errors.std(ddof=1))
    if worse.low > 0 and worse.mean > spread and apart >= RATIO * max(error, 0.0):
        return [_mismatch(scores, worse)]
    if worse.high <= (RATIO - 1) * max(error, 0.0):
        return [_expected(scores, worse)]
    return [_open(scores, worse, len(errors))]


def _difference(scores: FoldScores, errors: np.ndarray, apart: float, level: float) -> MeanInterval:
    """How much larger the error is on the rows kept apart than over the folds."""
    from scipy.special import stdtr, stdtrit

    n = len(errors)
    rows = float(np.mean(scores.n_validation)) / scores.n_apart
    variance = (1 / n + scores.ratio + rows) * float(errors.var(ddof=1))
    worse, error = apart - float(errors.mean()), float(np.sqrt(variance))
    reach = float(stdtrit(n - 1, (1 + level) / 2)) * error
    p_value = 2 * float(stdtr(n - 1, -abs(worse) / error)) if error > 0 else float(worse == 0)
    return MeanInterval(worse, worse - reach, worse + reach, p_value, n)


def _finding(
    scores: FoldScores,
    code: str,
    severity: Severity,
    sentence: str,
    remedies: Sequence[str],
    worse: MeanInterval,
) -> Finding:
    known = scores.validation[np.isfinite(scores.validation)]
    evidence: dict[str, float | int | str] = {
        "judged_on": KEPT_APART,
        "metric": scores.metric,
        "validation": scores.mean,
        "apart": scores.apart,
        "worse": worse.mean,
        "worse_low": worse.low,
        "worse_high": worse.high,
        "fold_sd": float(known.std(ddof=1)) if len(known) > 1 else np.nan,
        "folds": len(known),
        "rows": scores.n_apart,
    }
    return Finding(code, severity, scores.model, sentence, evidence, tuple(remedies), chart="folds")


def _both(scores: FoldScores) -> str:
    return (
        f"{in_sentence(scores.title)} {number(scores.apart)} on the "
        f"{plural(scores.n_apart, 'row')} kept apart, {number(scores.mean)} on rows that the folds "
        "held out"
    )


def _judged(scores: FoldScores, worse: MeanInterval) -> str:
    """ "worse by .1 (.08 to .12 by 5 folds, which spread by .02)"; better where it is."""
    known = scores.validation[np.isfinite(scores.validation)]
    way, by, ends = "worse", worse.mean, (worse.low, worse.high)
    if by < 0:
        way, by, ends = "better", -by, (-worse.high, -worse.low)
    return (
        f"{way} by {number(by)} ({number(ends[0])} to {number(ends[1])} by "
        f"{plural(len(known), 'fold')}, which spread by {number(float(known.std(ddof=1)))})"
    )


def _mismatch(scores: FoldScores, worse: MeanInterval) -> Finding:
    return _finding(
        scores,
        "data_mismatch",
        "warning",
        f"The rows kept apart are not like those that {scores.model} learned from: "
        f"{_both(scores)}, {_judged(scores, worse)}.",
        (
            "Compare both sets of rows: new categories, shifted columns, another time or place.",
            "Learn from rows like those kept apart.",
            "If the model was chosen by these folds, choose it within each fold instead.",
            "If rows that belong together lie in several folds, give their column the role group.",
        ),
        worse,
    )


def _expected(scores: FoldScores, worse: MeanInterval) -> Finding:
    return _finding(
        scores,
        "as_expected",
        "good",
        f"On the rows kept apart {scores.model} does about as well as cross-validation says: "
        f"{_both(scores)}; at most {number(max(worse.high, 0.0))} worse, below "
        f"{percent(RATIO - 1)} of the error.",
        (),
        worse,
    )


def _open(scores: FoldScores, worse: MeanInterval, n: int) -> Finding:
    why = "one split has no spread to judge it by" if n < 2 else _judged(scores, worse)
    return _finding(
        scores,
        "undecided",
        "info",
        f"Whether the rows kept apart are like those that {scores.model} learned from cannot be "
        f"told: {_both(scores)}; {why}.",
        ("Repeat the cross-validation, or keep more rows apart.",),
        worse,
    )
