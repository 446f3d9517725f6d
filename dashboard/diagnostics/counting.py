"""Metrics that are functions of right and wrong answers per class, and their intervals.

Everything is computed from four weights of each class: right (`tp`), true, predicted, total.
The value and all bootstrap replicates go through the same formula at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import Predictions, Task
from .confusion import positive_class
from .intervals import (
    Cells,
    Estimate,
    Estimates,
    Options,
    effective_n,
    percentile_interval,
    resampled_cells,
    resampled_sums,
    wilson_interval,
)
from .metric_list import Metric

__all__ = ["Outcomes", "compute_counts"]

Floats = npt.NDArray[np.float64]
BY_ROW = frozenset({"subset_accuracy", "hamming_loss"})
WILSON = frozenset({"accuracy", "precision", "recall", "specificity"})


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Weights by class, `(..., k)`; `total` is `(..., 1)`."""

    tp: Floats
    truth: Floats
    predicted: Floats
    total: Floats

    @property
    def negative(self) -> Floats:
        rest = self.total - self.truth
        return np.asarray(np.where(rest > 1e-12 * self.total, rest, 0.0))

    @property
    def tn(self) -> Floats:
        return np.maximum(self.negative - (self.predicted - self.tp), 0.0)

    def pooled(self) -> Outcomes:
        """All classes as one, `(..., 1)`: what micro averages are computed from."""
        k = self.tp.shape[-1]
        tp, truth, predicted = (
            part.sum(axis=-1, keepdims=True) for part in (self.tp, self.truth, self.predicted)
        )
        return Outcomes(tp, truth, predicted, self.total * k)

    def denominator(self, base: str) -> Floats:
        """What a share is a share of."""
        if base == "precision":
            return self.predicted
        if base == "recall":
            return self.truth
        if base == "specificity":
            return self.negative
        return np.broadcast_to(self.total, self.tp.shape)


def _ratio(part: Floats, whole: Floats, undefined: float = 0.0) -> Floats:
    part, whole = np.broadcast_arrays(part, whole)
    out = np.full(part.shape, undefined)
    return np.asarray(np.divide(part, whole, out=out, where=whole > 0))


def _class_values(metric: Metric, o: Outcomes) -> Floats:
    """`(..., k)`: each class or label against the rest; undefined ratios are 0."""
    if metric.base in WILSON:
        part = {"accuracy": o.tp + o.tn, "specificity": o.tn}.get(metric.base, o.tp)
        return _ratio(part, o.denominator(metric.base))
    if metric.base == "f":
        b = metric.parameter**2
        return _ratio((1 + b) * o.tp, b * o.truth + o.predicted)
    if metric.base == "balanced_accuracy":
        recall, rest = _ratio(o.tp, o.truth), _ratio(o.tn, o.negative)
        return _ratio(recall + rest, (o.truth > 0).astype(float) + (o.negative > 0))
    truth = np.stack([o.truth, o.negative], axis=-1)
    clear = np.maximum(o.total - o.predicted, 0.0)
    predicted = np.stack([o.predicted, clear], axis=-1)
    return _agreement(metric.base, o.tp + o.tn, truth, predicted, o.total)


def _agreement(base: str, right: Floats, truth: Floats, predicted: Floats, total: Floats) -> Floats:
    """MCC (0 where undefined) or kappa (nan) from class totals along the last axis."""
    # T² − Σ p² as Σ p (T − p): one flagged row of 10⁸ must not be lost in the difference
    others = total[..., None] - predicted, total[..., None] - truth
    rest_predicted, rest_truth = (
        np.where(rest > 1e-12 * total[..., None], rest, 0.0) for rest in others
    )
    agreed = right * total - (truth * predicted).sum(axis=-1)
    if base == "kappa":
        return _ratio(agreed, (truth * rest_predicted).sum(axis=-1), np.nan)
    spread = (predicted * rest_predicted).sum(axis=-1), (truth * rest_truth).sum(axis=-1)
    return _ratio(agreed, np.sqrt(spread[0]) * np.sqrt(spread[1]))


def _overall_values(metric: Metric, o: Outcomes, present: npt.NDArray[np.bool_]) -> Floats:
    """`(...)`: one number for all classes; `present` are the classes that averages count."""
    if metric.average == "micro":
        return _class_values(metric, o.pooled())[..., 0]
    if metric.average:
        values = _class_values(metric, o)
        weight = o.truth if metric.average == "weighted" else np.broadcast_to(
            present.astype(float), values.shape
        )  # fmt: skip
        return _ratio((values * weight).sum(axis=-1), weight.sum(axis=-1))
    total, right = o.total[..., 0], o.tp.sum(axis=-1)
    if metric.base == "accuracy":
        return _ratio(right, total)
    if metric.base == "balanced_accuracy":
        seen = (o.truth > 0).astype(float)
        return _ratio((_ratio(o.tp, o.truth) * seen).sum(axis=-1), seen.sum(axis=-1))
    return _agreement(metric.base, right, o.truth, o.predicted, total)


# ------------------------------------------------------------------------------- where they are


class _Exclusive:
    """Outcomes of exclusive classes (two or more), and their stratified bootstrap."""

    def __init__(
        self, predictions: Predictions, decided: npt.NDArray[Any], options: Options
    ) -> None:
        target, weight = predictions.target, predictions.sample_weight
        truth, k = target.y, max(len(target.labels), 1)
        self.binary = target.task is Task.BINARY
        if self.binary:
            positive = positive_class(target)
            truth, decided, k = truth == positive, decided == positive, 2
        cell = truth.astype(np.int64) * k + decided.astype(np.int64)
        n = np.bincount(cell, minlength=k * k).reshape(k, k).astype(float)
        if weight is None:
            self.cells = Cells(n, n, n)
        else:
            w, q = (
                np.bincount(cell, weights=one, minlength=k * k).reshape(k, k)
                for one in (weight, np.square(weight))
            )
            self.cells = Cells(n, w.astype(float), q.astype(float))
        self.options = options
        self.present = (n.sum(axis=0) + n.sum(axis=1)) > 0
        self.point = self._outcomes(self.cells.w)
        self.squares = self._outcomes(self.cells.q)

    def _outcomes(self, table: Floats) -> Outcomes:
        return self._seen(np.diagonal(table), table.sum(axis=1), table.sum(axis=0))

    def _seen(self, tp: Floats, truth: Floats, predicted: Floats) -> Outcomes:
        total = truth.sum(axis=-1, keepdims=True)
        if self.binary:
            tp, truth, predicted = tp[..., 1:], truth[..., 1:], predicted[..., 1:]
        return Outcomes(tp, truth, predicted, total)

    @cached_property
    def replicates(self) -> Outcomes:
        return self._seen(
            *resampled_cells(
                self.cells,
                n_bootstrap=self.options.n_bootstrap,
                random_state=self.options.random_state,
            )
        )


class _Labels:
    """Outcomes of labels that do not exclude one another; whole rows are redrawn."""

    binary = False

    def __init__(
        self, predictions: Predictions, decided: npt.NDArray[Any], options: Options
    ) -> None:
        y, p = predictions.target.y.astype(bool), decided.astype(bool)
        self.options = options
        weight = predictions.sample_weight
        self.weight = np.ones(len(y)) if weight is None else np.asarray(weight, float)
        self.k = y.shape[1]
        self.present = np.ones(self.k, dtype=bool)
        self.stack = np.concatenate([y & p, y, p], axis=1)
        self.wrong = y ^ p
        self.rows = (self.stack.reshape(len(y), 3, self.k)).sum(axis=2).astype(float)
        self.point = self._outcomes(self.weight @ self.stack, self.weight.sum())
        square = self.weight**2
        self.squares = self._outcomes(square @ self.stack, square.sum())

    def _outcomes(self, sums: Floats, total: Any) -> Outcomes:
        tp, truth, predicted = np.split(sums, 3, axis=-1)
        return Outcomes(tp, truth, predicted, np.asarray(total)[..., None])

    @cached_property
    def replicates(self) -> Outcomes:
        columns = np.column_stack([self.stack, np.ones(len(self.stack))]) * self.weight[:, None]
        sums = self._redrawn(columns)
        return self._outcomes(sums[:, :-1], sums[:, -1])

    def _redrawn(self, columns: Floats) -> Floats:
        return resampled_sums(
            columns,
            n_bootstrap=self.options.n_bootstrap,
            random_state=self.options.random_state,
        )

    def row_values(self, metric: Metric) -> Floats:
        """`(n,)` value of each row by itself: exact match, share wrong, or a rate."""
        if metric.base == "subset_accuracy":
            return np.asarray(~self.wrong.any(axis=1), dtype=float)
        if metric.base == "hamming_loss":
            return np.asarray(self.wrong.mean(axis=1))
        tp, truth, predicted = self.rows.T
        outcomes = Outcomes(tp, truth, predicted, np.full(len(tp), float(self.k)))
        return _class_values(metric, outcomes)

    def row_means(self, metrics: Sequence[Metric]) -> Estimates:
        """Weighted means of `row_values`, all redrawn together."""
        values = np.column_stack([*map(self.row_values, metrics), np.ones(len(self.weight))])
        values *= self.weight[:, None]
        means = _shares_of_last(values.sum(axis=0))
        low, high = percentile_interval(_shares_of_last(self._redrawn(values)), self.options.level)
        n = effective_n(self.weight.sum(), (self.weight**2).sum())
        out: Estimates = {}
        for j, metric in enumerate(metrics):
            ends = low[j], high[j]
            if metric.base == "subset_accuracy":
                ends = wilson_interval(means[j], n, self.options.level)
            out[metric.name, -1] = _finished(means[j], *ends, self._empty_rows(metric))
        return out

    def _empty_rows(self, metric: Metric) -> str:
        if metric.average != "samples":
            return ""
        tp, truth, predicted = self.rows.T
        whole = {"precision": predicted, "recall": truth}.get(metric.base, truth + predicted)
        empty = int(np.count_nonzero(whole == 0))
        lacks = {"precision": "no predicted label", "recall": "no true label"}
        if not empty:
            return ""
        return (
            f"{empty:,} of {len(tp):,} rows have {lacks.get(metric.base, 'no label at all')} "
            "and enter as 0 by convention."
        )


def _shares_of_last(sums: Floats) -> Floats:
    return np.asarray(_ratio(sums[..., :-1], sums[..., -1:]))


# ------------------------------------------------------------------------------------ estimates


def compute_counts(
    predictions: Predictions,
    decided: npt.NDArray[Any],
    metrics: Sequence[Metric],
    options: Options,
) -> Estimates:
    """Estimates of all `metrics` of the counts family from the decided classes."""
    task, target = predictions.task, predictions.target
    names = [str(label) for label in target.labels]
    by_row: list[Metric] = []
    out: Estimates = {}
    tally: _Exclusive | _Labels
    if task is Task.MULTILABEL:
        tally = _Labels(predictions, decided, options)
        by_row = [one for one in metrics if one.average == "samples" or one.base in BY_ROW]
        out |= tally.row_means(by_row) if by_row else {}
    else:
        tally = _Exclusive(predictions, decided, options)
    for metric in metrics:
        if metric in by_row or (task in metric.each and not options.per_class):
            continue
        if task in metric.each:
            each = _by_class(metric, tally, names)
            out |= {(metric.name, j): estimate for j, estimate in enumerate(each)}
        elif task is Task.BINARY:
            name = names[positive_class(target)]
            out[metric.name, -1] = _by_class(metric, tally, [name])[0]
        else:
            out[metric.name, -1] = _overall(metric, tally, names)
    return out


def _by_class(metric: Metric, tally: _Exclusive | _Labels, names: Sequence[str]) -> list[Estimate]:
    values = _class_values(metric, tally.point)
    level = tally.options.level
    if metric.base in WILSON:
        whole = tally.point.denominator(metric.base)
        squares = tally.squares.denominator(metric.base)
        low, high = wilson_interval(values, effective_n(whole, squares), level)
    else:
        low, high = percentile_interval(_class_values(metric, tally.replicates), level)
    return [
        _finished(value, one_low, one_high, _undefined(metric, tally.point, j, name))
        for j, (value, one_low, one_high, name) in enumerate(
            zip(values, low, high, names, strict=True)
        )
    ]


def _overall(metric: Metric, tally: _Exclusive | _Labels, names: Sequence[str]) -> Estimate:
    value = _overall_values(metric, tally.point, tally.present)
    level = tally.options.level
    share_of_rows = metric.base == "accuracy" or (
        metric.average == "micro" and metric.base != "specificity"
    )
    if share_of_rows and isinstance(tally, _Exclusive):
        n = effective_n(tally.point.total[0], tally.squares.total[0])
        low, high = wilson_interval(value, n, level)
    else:
        replicates = _overall_values(metric, tally.replicates, tally.present)
        low, high = percentile_interval(replicates, level)
    return _finished(value, low, high, _undefined_parts(metric, tally, names))


def _finished(value: Any, low: Any, high: Any, reason: str) -> Estimate:
    value, low, high = float(value), float(low), float(high)
    if not reason and low == high:
        reason = "Every resample gives this same value, so the interval has no width."
    return Estimate(value, low, high, reason)


def _undefined(metric: Metric, o: Outcomes, j: int, name: str) -> str:
    """Why the value of a class is a convention, or ""."""
    truth, predicted = o.truth[..., j], o.predicted[..., j]
    if metric.base in ("mcc", "kappa"):
        total = o.total[..., 0]
        if 0 < truth < total or (metric.base == "kappa" and 0 < predicted < total):
            if metric.base == "mcc" and not 0 < predicted < total:
                return f"All rows are predicted alike, so {metric.title} is 0 by convention."
            return ""
        outcome = "0 by convention" if metric.base == "mcc" else "undefined"
        return f"Only one class is in these rows, so {metric.title} is {outcome}."
    if metric.base == "f":
        empty = truth + predicted == 0
        return f"No row is or is predicted {name}; 0 by convention." if empty else ""
    if metric.base == "balanced_accuracy":
        one = truth == 0 or o.negative[..., j] == 0
        return "Only one class is in these rows; this is its recall." if one else ""
    if o.denominator(metric.base)[..., j] > 0:
        return ""
    told = {
        "precision": f"No row is predicted {name}",
        "recall": f"No row is {name}",
        "specificity": f"Every row is {name}",
    }.get(metric.base, "The rows have no weight")
    return f"{told}; {metric.title.lower()} is 0 by convention."


def _undefined_parts(metric: Metric, tally: _Exclusive | _Labels, names: Sequence[str]) -> str:
    """Which classes enter an average as 0, or why an agreement is undefined."""
    point = tally.point
    if metric.base in ("mcc", "kappa"):
        if np.count_nonzero(point.truth) > 1:
            alike = metric.base == "mcc" and np.count_nonzero(point.predicted) < 2
            return f"All rows are predicted alike; {metric.title} is 0." if alike else ""
        if metric.base == "kappa" and np.count_nonzero(point.predicted) > 1:
            return ""
        outcome = "0 by convention" if metric.base == "mcc" else "undefined"
        return f"Only one class is in these rows, so {metric.title} is {outcome}."
    if metric.average not in ("macro", "weighted"):
        return ""
    reasons = [
        name
        for j, name in enumerate(names)
        if tally.present[j] and _undefined(metric, point, j, name)
    ]
    if not reasons:
        return ""
    shown = ", ".join(reasons[:3]) + (", …" if len(reasons) > 3 else "")
    return f"{len(reasons)} of {int(tally.present.sum())} enter as 0 by convention: {shown}."
