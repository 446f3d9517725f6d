"""Metrics of the ranking: ROC AUC and average precision, with intervals from one sort a class.

The standard error is the sandwich of each row's influence on the metric: for ROC AUC that is
DeLong's, for average precision the infinitesimal jackknife, the limit of the stratified
bootstrap as resamples grow (Efron, JRSS B 54 (1992) 83–127). A mean over classes adds up the
influences of each row, so that classes scored on the same rows are not taken for independent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import Predictions, Task
from ..errors import NotApplicable
from .confusion import positive_class
from .intervals import Estimate, Estimates, Options, effective_n, logit_interval
from .metric_list import Metric
from .thresholds import auc_interval

__all__ = [
    "RankOrder",
    "Ranked",
    "compute_ranks",
    "rank_interval",
    "rank_precision",
    "rank_roc",
]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Ranked:
    """A value in [0, 1] and each row's influence on it, `(n,)`; value nan where undefined."""

    value: float
    influence: Floats


class RankOrder:
    """Rows sorted by falling score; equal scores share a step."""

    def __init__(self, score: npt.NDArray[Any]) -> None:
        self.order = np.argsort(score)[::-1]
        ranked = score[self.order]
        new = np.empty(len(ranked), dtype=bool)
        new[:1] = True
        np.not_equal(ranked[1:], ranked[:-1], out=new[1:])
        self.ends = np.append(np.flatnonzero(new)[1:], len(ranked)) - 1
        self.step: Ints = np.empty(len(ranked), dtype=np.int64)
        self.step[self.order] = np.cumsum(new) - 1

    def cumulated(self, positive: Bools, weight: Floats) -> tuple[Floats, Floats]:
        """Weight of the positives and of the negatives down to each step, this one included."""
        ranked = weight[self.order]
        hit = np.where(positive[self.order], ranked, 0.0)
        return np.cumsum(hit)[self.ends], np.cumsum(ranked - hit)[self.ends]


def rank_roc(rows: RankOrder, positive: Bools, weight: Floats) -> Ranked:
    """ROC AUC, ties count half; `positive` and `weight` are `(n,)`.

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837–845; the placement of a
    positive is the share of negatives below it, of a negative the share of positives above it.
    """
    tp, fp = rows.cumulated(positive, weight)
    if not len(tp) or tp[-1] <= 0 or fp[-1] <= 0:
        return Ranked(np.nan, np.zeros(len(positive)))
    p, n = tp[-1], fp[-1]
    above = (tp + np.append(0.0, tp[:-1])) / (2 * p)
    below = 1 - (fp + np.append(0.0, fp[:-1])) / (2 * n)
    auc = float(np.sum(np.diff(fp, prepend=0.0) / n * above))
    placed = np.where(positive, below[rows.step], above[rows.step])
    return Ranked(auc, weight * (placed - auc) / np.where(positive, p, n))


def rank_precision(rows: RankOrder, positive: Bools, weight: Floats) -> Ranked:
    """Average precision as the step sum Σ ΔTP/P · TP/(TP + FP).

    The influence of a row is the derivative of that sum by the row's weight, times the weight.
    """
    tp, fp = rows.cumulated(positive, weight)
    if not len(tp) or tp[-1] <= 0:
        return Ranked(np.nan, np.zeros(len(positive)))
    flagged = tp + fp
    gain = np.diff(tp, prepend=0.0)
    precision = np.divide(tp, flagged, out=np.zeros(len(tp)), where=flagged > 0)
    slope = np.divide(gain, flagged, out=np.zeros(len(tp)), where=flagged > 0)
    value = float(np.sum(gain * precision) / tp[-1])
    # A row moves the precision of its own step and of all steps below it.
    helps = np.cumsum((slope * (1 - precision))[::-1])[::-1] + precision - value
    hurts = np.cumsum((slope * precision)[::-1])[::-1]
    change = np.where(positive, helps[rows.step], -hurts[rows.step])
    return Ranked(value, weight * change / tp[-1])


Engine = Callable[[RankOrder, Bools, Floats], Ranked]
ENGINES: dict[str, Engine] = {"roc": rank_roc, "precision": rank_precision}


def _engine_name(metric: str) -> str:
    return "roc" if metric.startswith("roc") else "precision"


def _standard_error(influence: Floats, strata: Ints | None) -> float:
    """Root of the summed squared influences about the mean of their stratum."""
    if strata is None:
        strata = np.zeros(len(influence), dtype=np.int64)
    count = np.bincount(strata)
    mean = np.bincount(strata, weights=influence) / np.maximum(count, 1)
    squares = np.bincount(strata, weights=np.square(influence - mean[strata]))
    return float(np.sqrt(np.sum(squares * count / np.maximum(count - 1, 1))))


def rank_interval(
    positive: Bools,
    score: npt.NDArray[Any],
    sample_weight: Floats | None = None,
    *,
    metric: str = "average_precision",
    level: float = 0.95,
) -> Estimate:
    """ "average_precision" or "roc_auc" of one class against the rest, with its interval.

    Rows are resampled within each side. Without weights the ROC interval is that of
    `thresholds.delong_interval`; with weights each row's own weight enters the variance.
    """
    weight = np.ones(len(score)) if sample_weight is None else sample_weight
    engine = ENGINES[_engine_name(metric)]
    ranked = engine(RankOrder(np.ascontiguousarray(score)), positive, weight)
    return _two_sided(ranked, positive, weight, _engine_name(metric), level)


def _two_sided(
    ranked: Ranked, positive: Bools, weight: Floats, engine: str, level: float
) -> Estimate:
    if np.isnan(ranked.value):
        return Estimate(np.nan, reason="One of the two sides is empty: undefined.")
    sides = [weight[positive], weight[~positive]]
    error = _standard_error(ranked.influence, positive.astype(np.int64))
    if engine == "precision":
        if len(sides[0]) < 2:
            return Estimate(ranked.value, reason="Only one row is positive: no interval.")
        return _logit_estimate(ranked.value, error, level)
    if min(map(len, sides)) < 2:
        return Estimate(ranked.value, reason="One of the two sides has a single row: no interval.")
    sizes = [float(effective_n(side.sum(), np.square(side).sum())) for side in sides]
    return Estimate(ranked.value, *auc_interval(ranked.value, error, (sizes[0], sizes[1]), level))


def _logit_estimate(value: float, error: float, level: float) -> Estimate:
    low, high = logit_interval(value, error, level)
    reason = ""
    if low == high:
        reason = "The ranking is perfect or perfectly wrong, so the interval has no width."
    return Estimate(value, low, high, reason)


# ---------------------------------------------------------------------------------- estimates


def compute_ranks(
    predictions: Predictions, metrics: Sequence[Metric], options: Options
) -> Estimates:
    """Estimates of all `metrics` of the ranking family, one class after the other.

    Raises
    ------
    NotApplicable : predictions without scores.
    """
    board = _Board(predictions, options)
    single = [m for m in metrics if board.binary or predictions.task in m.each]
    pooled = [m for m in metrics if m not in single and m.average == "micro"]
    means = [board.mean_of(m) for m in metrics if m not in single and m not in pooled]
    out: Estimates = {}
    for j in range(board.k):
        one = board.ranked_class(j)
        for metric in single:
            if options.per_class or board.binary:
                out[metric.name, -1 if board.binary else j] = board.single(metric, one)
        for mean in means:
            mean.add(one)
    out |= {(mean.metric.name, -1): mean.estimate() for mean in means}
    out |= {(metric.name, -1): board.pooled(metric) for metric in pooled}
    return out


class _RankedClass:
    """One class or label against the rest: sorted once, ranked when asked."""

    def __init__(self, j: int, truth: Bools, score: npt.NDArray[Any], weight: Floats) -> None:
        self.j, self.truth, self.weight = j, truth, weight
        self.rows = RankOrder(np.ascontiguousarray(score))
        self.support = float(weight[truth].sum())
        self.known: dict[str, Ranked] = {}

    def ranked(self, engine: str) -> Ranked:
        if engine not in self.known:
            self.known[engine] = ENGINES[engine](self.rows, self.truth, self.weight)
        return self.known[engine]


class _Board:
    """The scores of all classes or labels, `(n, k)`, against their truth."""

    def __init__(self, predictions: Predictions, options: Options) -> None:
        target, scores = predictions.target, predictions.y_score
        if scores is None:
            raise NotApplicable(f"{predictions.name} gives no scores to rank.")
        self.level = options.level
        self.names = [str(label) for label in target.labels]
        self.binary = target.task is Task.BINARY
        self.codes: Ints | None = None
        if self.binary:
            positive = positive_class(target)
            self.names = self.names[positive : positive + 1]
            self.scores: npt.NDArray[Any] = scores[:, None]
            self.truth: Bools = (target.y == positive)[:, None]
        elif target.task is Task.MULTICLASS:
            self.scores, self.codes = scores, target.y.astype(np.int64)
            self.truth = self.codes[:, None] == np.arange(scores.shape[1])
        else:
            self.scores, self.truth = scores, target.y.astype(bool)
        self.k = self.scores.shape[1]
        given = predictions.sample_weight
        self.weight: Floats = np.ones(len(scores)) if given is None else given.astype(np.float64)

    def ranked_class(self, j: int) -> _RankedClass:
        return _RankedClass(j, self.truth[:, j], self.scores[:, j], self.weight)

    def mean_of(self, metric: Metric) -> _Mean | _PairMean:
        return (_PairMean if metric.base == "roc_auc_ovo" else _Mean)(self, metric)

    def single(self, metric: Metric, one: _RankedClass) -> Estimate:
        """One class or label against the rest, resampled within each side."""
        ranked, name = one.ranked(_engine_name(metric.base)), self.names[one.j]
        if np.isnan(ranked.value):
            outside = "No row" if not one.support else "Every row"
            return Estimate(np.nan, reason=f"{outside} is {name}, so {metric.title} is undefined.")
        return _two_sided(ranked, one.truth, one.weight, _engine_name(metric.base), self.level)

    def pooled(self, metric: Metric) -> Estimate:
        """Micro average: every (row, class) pair is one decision; rows are drawn whole."""
        rows = RankOrder(np.ascontiguousarray(self.scores).ravel())
        engine = ENGINES[_engine_name(metric.base)]
        ranked = engine(rows, self.truth.ravel(), np.repeat(self.weight, self.k))
        if np.isnan(ranked.value):
            return Estimate(np.nan, reason=f"No row has a label, so {metric.title} is undefined.")
        influence = ranked.influence.reshape(-1, self.k).sum(axis=1)
        return self.estimate(Ranked(ranked.value, influence), self.codes)

    def estimate(self, ranked: Ranked, strata: Ints | None) -> Estimate:
        error = _standard_error(ranked.influence, strata)
        return _logit_estimate(ranked.value, error, self.level)

    def left_out(self, classes: Sequence[int]) -> str:
        names = [self.names[j] for j in classes]
        shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        return f"{len(names)} of {self.k} left out, with one side empty in these rows: {shown}."


@dataclass(eq=False)
class _Mean:
    """Macro or weighted mean over the classes that have a value, class by class."""

    board: _Board
    metric: Metric
    kept: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    influence: Any = 0.0

    def add(self, one: _RankedClass) -> None:
        ranked = one.ranked(_engine_name(self.metric.base))
        if not np.isnan(ranked.value):
            share = one.support if self.metric.average == "weighted" else 1.0
            self.kept.append(one.j)
            self.values.append(ranked.value)
            self.shares.append(share)
            self.influence = self.influence + share * ranked.influence

    def estimate(self) -> Estimate:
        board = self.board
        if not self.kept:
            return Estimate(
                np.nan, reason=f"No class has rows on both sides: {self.metric.title} is undefined."
            )
        values, shares = np.asarray(self.values), np.asarray(self.shares)
        value, influence = float(shares @ values / shares.sum()), self.influence / shares.sum()
        if self.metric.average == "weighted":
            # The weights of the classes move with the rows that are drawn.
            moved = board.truth[:, self.kept] @ (values - value)
            influence = influence + board.weight * moved / shares.sum()
        estimate = board.estimate(Ranked(value, influence), board.codes)
        absent = sorted(set(range(board.k)) - set(self.kept))
        return estimate._replace(reason=board.left_out(absent)) if absent else estimate


class _PairMean:
    """One-vs-one: the mean over ordered pairs of classes, with one sort a class.

    Among the rows of class a (by its score) and all others, weighting the others so that each
    class b has the share of the pair (a, b) gives the sum of all pairs of a at once.
    """

    def __init__(self, board: _Board, metric: Metric) -> None:
        self.board, self.metric = board, metric
        self.codes = np.zeros(0, dtype=np.int64) if board.codes is None else board.codes
        size = np.bincount(self.codes, weights=board.weight, minlength=board.k)
        self.size = size
        self.per_row = np.divide(1.0, size, out=np.zeros(board.k), where=size > 0)
        pair = np.outer(size > 0, size > 0).astype(float)
        if metric.average == "weighted":
            pair *= size[:, None] + size
        np.fill_diagonal(pair, 0.0)
        self.total = float(pair.sum())
        self.pair = pair / self.total if self.total else pair
        self.area = np.zeros(pair.shape)  # [a, b]: ROC AUC of class a against class b
        self.influence = np.zeros(len(self.codes))

    def add(self, one: _RankedClass) -> None:
        share = self.pair[one.j]
        whole = float(share.sum())
        if not whole:
            return
        others = (share * self.per_row)[self.codes]
        weight = one.weight * np.where(one.truth, self.per_row[one.j], others)
        ranked = rank_roc(one.rows, one.truth, weight)
        # Each row's influence within its own class: around that class's mean placement.
        raw = whole * ranked.influence
        centre = np.bincount(self.codes, weights=raw, minlength=self.board.k)
        self.influence += raw - one.weight * (centre * self.per_row)[self.codes]
        mean = np.divide(centre, share, out=np.zeros(len(share)), where=share > 0)
        self.area[one.j] = (ranked.value + mean) * (share > 0)

    def estimate(self) -> Estimate:
        if not self.pair.any():
            return Estimate(
                np.nan,
                reason=f"Fewer than two classes have rows: {self.metric.title} is undefined.",
            )
        value = float((self.pair * self.area).sum())
        influence = self.influence
        if self.metric.average == "weighted":
            # The weights of the pairs move with the weight of the rows that are drawn.
            linked = self.pair > 0
            pull = (self.area - value * linked).sum(axis=1) + (self.area - value * linked).sum(
                axis=0
            )
            influence = influence + self.board.weight * (pull / self.total)[self.codes]
        estimate = self.board.estimate(Ranked(value, influence), self.board.codes)
        absent = [int(j) for j in np.flatnonzero(self.size <= 0)]
        return estimate._replace(reason=self.board.left_out(absent)) if absent else estimate
