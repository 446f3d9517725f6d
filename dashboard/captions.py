"""What to see in each chart, in one or two sentences computed from its numbers.

Plain text without markup: whoever shows it escapes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .wording import (
    count,
    in_sentence,
    interval,
    listing,
    number,
    percent,
    plural,
    points,
    quoted,
    ranked,
    runner_up,
    threshold,
    tidy,
)

if TYPE_CHECKING:
    from .diagnostics.confusion import ConfusionMatrix
    from .diagnostics.curves import (
        CalibrationCurve,
        CostCurve,
        GainCurve,
        PrecisionRecallCurve,
        RocCurve,
        ScoreDistribution,
    )
    from .diagnostics.regression import RegressionFit

__all__ = [
    "caption_calibration",
    "caption_confusion",
    "caption_confusion_difference",
    "caption_cost",
    "caption_fit",
    "caption_gain",
    "caption_metric",
    "caption_precision_recall",
    "caption_residual_spread",
    "caption_residuals",
    "caption_roc",
    "caption_score_distribution",
]


def caption_roc(curves: Sequence[RocCurve]) -> str:
    """Who ranks best, by how much, and whether that is too close to call."""
    order = ranked(curves, lambda c: float(c.auc))
    if not order:
        return "No curve: these rows hold only one of the two classes."
    best = order[0]
    text = (
        f"A randomly chosen positive gets a higher score from {best.model} than a randomly chosen "
        f"negative in {percent(best.auc, 3)} of pairs "
        f"(AUC {interval(best.auc, best.low, best.high)})"
    )
    if len(order) > 1:
        text += "; " + runner_up(order, lambda c: interval(c.auc, c.low, c.high))
    return f"{text}. The diagonal is guessing."


def caption_precision_recall(curves: Sequence[PrecisionRecallCurve]) -> str:
    """Average precision of the best beside the prevalence, which is what guessing reaches."""
    order = ranked(curves, lambda c: float(c.average_precision))
    if not order:
        return "No curve: these rows hold no positives."
    best = order[0]
    text = (
        f"{best.model} keeps precision highest over all recalls (average precision "
        f"{interval(best.average_precision, best.low, best.high)}, where guessing reaches "
        f"the share of positives, {number(best.prevalence)})"
    )
    if len(order) > 1:
        text += "; " + runner_up(order, lambda c: interval(c.average_precision, c.low, c.high))
    return f"{text}."


def caption_gain(curves: Sequence[GainCurve], share: float = 0.1) -> str:
    """What flagging the top tenth catches, for the model that catches most."""
    reached = [(_at(c.share, c.recall, share), c.model) for c in curves]
    known = sorted(((r, m) for r, m in reached if not math.isnan(r)), reverse=True)
    if not known:
        return "No curve: these rows hold no positives."
    recall, model = known[0]
    return (
        f"Flagging the {percent(share)} of rows that {model} scores highest catches "
        f"{percent(recall)} of the positives, {number(recall / share)} times what a random "
        f"{percent(share)} would."
    )


def _at(x: Any, y: Any, where: float) -> float:
    """Linear interpolation of a curve at one x."""
    return float(np.interp(where, x, y)) if len(x) else math.nan


def caption_cost(curves: Sequence[CostCurve]) -> str:
    """The cheapest threshold of each model and what it costs."""
    cheapest = sorted(curves, key=lambda c: float(np.min(c.cost)))
    if not cheapest:
        return "No costs to compare."
    best = cheapest[0]
    prices = f"a false alarm costs {threshold(best.cost_fp)} and a miss {threshold(best.cost_fn)}"
    text = (
        f"Where {prices}, {best.model} is cheapest: {number(float(np.min(best.cost)))} in all when "
        f"it flags from {threshold(best.best)}"
    )
    if len(cheapest) > 1:
        last = cheapest[-1]
        text += f"; {last.model} never gets below {number(float(np.min(last.cost)))}"
    return f"{text}."


def caption_confusion(matrix: ConfusionMatrix) -> str:
    """The worst cell named, with its count and its share of the true class."""
    worst = matrix.worst()
    if worst is None:
        return f"{matrix.model} makes no mistake on these {plural(matrix.n, 'row')}."
    i, j, wrong, share = worst
    total = float(matrix.counts[i].sum())
    verb = "is" if wrong == 1 else "are"
    return (
        f"The most frequent mistake of {matrix.model}: of {plural(total, 'row')} that are "
        f"{quoted(matrix.labels[i])}, {count(wrong)} ({percent(share)}) {verb} called "
        f"{quoted(matrix.labels[j])}."
        f"{' ' + matrix.note if matrix.note else ''}"
    )


def caption_confusion_difference(matrix: ConfusionMatrix, reference: ConfusionMatrix) -> str:
    """The class whose recall differs most from the reference, in points."""
    change = np.diagonal(matrix.shares("true")) - np.diagonal(reference.shares("true"))
    if not np.isfinite(change).any() or not np.nanmax(np.abs(change)) > 0:
        return f"{matrix.model} and {reference.model} get the same share of every class right."
    k = int(np.nanargmax(np.abs(change)))
    word = "more" if change[k] > 0 else "fewer"
    name = quoted(matrix.labels[k])
    return (
        f"Against {reference.model}, {matrix.model} differs most on {name}: it gets "
        f"{points(abs(change[k])).lstrip('+')} {word} of them right."
    )


def caption_score_distribution(distribution: ScoreDistribution) -> str:
    """How many of each class lie at or above the threshold."""
    if distribution.threshold is None:
        return f"Scores of {distribution.model} on {plural(distribution.n, 'row')}, by true class."
    above = []
    counts = np.column_stack([distribution.counts, distribution.above])
    totals = counts.sum(axis=1) + distribution.below
    middles = np.append((distribution.edges[:-1] + distribution.edges[1:]) / 2, np.inf)
    for name, row, total in zip(distribution.labels, counts, totals, strict=True):
        if total > 0:
            share = row[middles >= distribution.threshold].sum() / total
            above.append(f"about {percent(share)} of {quoted(name)}")
    return (
        f"At or above {threshold(distribution.threshold)}, {distribution.model} places "
        f"{listing(above)}. The less the classes overlap, the better it tells them apart."
    )


def caption_calibration(curves: Sequence[CalibrationCurve]) -> str:
    """The bin whose gap concerns most rows, among those whose interval excludes what was said."""
    worst: tuple[float, str] | None = None
    for curve in curves:
        said, seen = curve.mean_score, curve.share_positive
        sure = (said < curve.low) | (said > curve.high)
        rows = np.where(sure, np.abs(seen - said) * curve.count, 0.0)
        if not len(rows) or not rows.max() > 0:
            continue
        k = int(np.argmax(rows))
        word = "too sure" if abs(said[k] - 0.5) > abs(seen[k] - 0.5) else "not sure enough"
        text = (
            f"{curve.model} is most off where it says {percent(said[k])} on average: "
            f"{percent(seen[k])} of those {plural(curve.count[k], 'row')} are positive ({word})."
        )
        if worst is None or rows[k] > worst[0]:
            worst = (float(rows[k]), text)
    if worst:
        return worst[1]
    return "In every bin the interval holds what the models say: nothing here speaks against them."


def caption_fit(fit: RegressionFit, unit: str = "") -> str:
    """Typical error, and whether the model runs high or low."""
    residual = np.abs(fit.residual)
    if not len(residual):
        return "No rows to show."
    middle, wide = np.quantile(residual, [0.5, 0.9])
    mean, _ = tidy(float(np.mean(fit.residual)), float(wide))  # rounding noise is no lean
    side = "above" if mean > 0 else "below"
    lean = f"{number(abs(mean), unit=unit)} {side} it" if mean else "neither above nor below it"
    return (
        f"Half of the {plural(fit.n, 'prediction')} of {fit.model} are within "
        f"{number(middle, unit=unit)} of the truth, nine in ten within {number(wide, unit=unit)}; "
        f"on average they lie {lean}."
    )


def caption_residuals(fit: RegressionFit, unit: str = "") -> str:
    """Whether the size of the error grows with the prediction."""
    if fit.n < 20:
        return caption_fit(fit, unit)
    order = np.argsort(fit.y_pred, kind="stable")
    low, high = np.array_split(np.abs(fit.residual[order]), 4)[::3]
    small, large = float(np.median(low)), float(np.median(high))
    return (
        f"The typical error of {fit.model} is {number(small, unit=unit)} in the quarter of rows it "
        f"predicts lowest and {number(large, unit=unit)} in the quarter it predicts highest."
    )


def caption_residual_spread(fits: Sequence[RegressionFit], unit: str = "") -> str:
    """The typical error of each model, smallest first."""
    typical = sorted((float(np.median(np.abs(f.residual))), f.model) for f in fits if f.n)
    if not typical:
        return "No rows to show."
    (least, best), *rest = typical
    more = listing([f"{number(size)} for {model}" for size, model in rest], 4)
    text = f"Half of the predictions of {best} are within {number(least, unit=unit)} of the truth"
    return f"{text}; the same half reaches {more}." if rest else f"{text}."


def caption_metric(rows: Sequence[Any], title: str, *, lower_is_better: bool = False) -> str:
    """First and last by one metric; `rows` have model, value, low, high."""
    order = ranked(rows, lambda r: float(r.value), low=lower_is_better)
    if not order:
        return f"{title} does not apply to any of these models."
    best = order[0]
    shown = interval(best.value, best.low, best.high)
    text = f"{best.model} has the best {in_sentence(title)} ({shown})"
    if len(order) > 1:
        text += "; " + runner_up(order, lambda r: interval(r.value, r.low, r.high))
    return f"{text}."
