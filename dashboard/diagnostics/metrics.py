"""Metrics of one model with intervals: `compute_metrics(predictions) -> MetricTable`.

The list itself is in `metric_list`; the four engines are `counting` (right and wrong answers),
`moments` (means over rows, and errors by order) and `ranking` (ROC AUC, average precision).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ..contracts import Predictions, ScoreKind, Task
from ..errors import ParameterError
from .confusion import decide
from .counting import compute_counts
from .intervals import Estimate, Estimates, Options, check_level
from .metric_list import METRICS, Metric, Orientation, find_metric, headline_metrics
from .moments import compute_moments, compute_order
from .ranking import compute_ranks

__all__ = [
    "METRICS",
    "Metric",
    "MetricRow",
    "MetricTable",
    "Orientation",
    "compute_metrics",
    "find_metric",
    "headline_metrics",
]


@dataclass(frozen=True)
class MetricRow:
    """One number of one model.

    Attributes
    ----------
    label : "" for the whole, else the class, label or output.
    value, low, high : the number and its interval; nan where there is none.
    n : rows evaluated; for a class or label the rows that truly have it.
    reason : why a number is missing or a convention, or a warning; "" otherwise.
    """

    model: str
    label: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    reason: str = ""


@dataclass(frozen=True)
class MetricTable:
    """Metrics of one or several models, in the order they were asked for."""

    rows: tuple[MetricRow, ...]

    def frame(self) -> pd.DataFrame:
        """Columns model, label, metric, value, low, high, n, reason."""
        columns = list(MetricRow.__dataclass_fields__)
        return pd.DataFrame(
            {name: [getattr(row, name) for row in self.rows] for name in columns}, columns=columns
        )

    def row(self, model: str, metric: str, label: str = "") -> MetricRow:
        """The row of this model, metric and label.

        Raises
        ------
        ParameterError : the table has no such row.
        """
        found = self._index.get((model, metric, label))
        if found is not None:
            return found
        of_label = f" of {label!r}" if label else ""
        raise ParameterError(
            f"The table has no {metric!r}{of_label} for {model!r}. "
            f"Models: {', '.join(dict.fromkeys(row.model for row in self.rows)) or 'none'}."
        )

    @cached_property
    def _index(self) -> dict[tuple[str, str, str], MetricRow]:
        return {(row.model, row.metric, row.label): row for row in reversed(self.rows)}

    def value(self, model: str, metric: str, label: str = "") -> float:
        """The value alone; nan where the metric does not apply."""
        return self.row(model, metric, label).value

    @classmethod
    def concat(cls, tables: Sequence[MetricTable]) -> MetricTable:
        """The rows of several tables, in order."""
        return cls(tuple(row for table in tables for row in table.rows))


def compute_metrics(
    predictions: Predictions,
    *,
    threshold: float | Sequence[float] | None = None,
    metrics: Sequence[str] | None = None,
    level: float = 0.95,
    n_bootstrap: int = 1_000,
    random_state: int = 0,
    per_class: bool = True,
) -> MetricTable:
    """Metrics with intervals of level `level`; only the `metrics` named, or all that apply.

    `threshold` (units of `y_score`; one number, or one a label) decides the classes for two
    classes and for multilabel, by `score >= threshold`; see `confusion.decide` for None.
    Undefined ratios are 0 as with scikit-learn's `zero_division=0`, and `reason` says so. Shares
    of rows have Wilson intervals (with weights on Kish's effective n), rankings have DeLong's or
    the infinitesimal jackknife's, the median order statistics, everything else a bootstrap
    stratified by the true class. `per_class=False` leaves out rows about one class or output.

    Raises
    ------
    ParameterError : an unknown metric, or level, n_bootstrap or threshold out of bounds.
    """
    check_level(level)
    if n_bootstrap < 2:
        raise ParameterError(f"n_bootstrap must be at least 2, got {n_bootstrap}.")
    _check_weights(predictions)
    options = Options(level, n_bootstrap, random_state, per_class)
    chosen = _chosen(predictions.task, metrics)
    reasons = {metric.name: _unavailable(metric, predictions) for metric in chosen}
    usable = [metric for metric in chosen if not reasons[metric.name]]
    found: Estimates = {
        (name, -1): Estimate(np.nan, reason=reason) for name, reason in reasons.items() if reason
    }
    found |= _computed(predictions, usable, options, threshold)
    return _assembled(predictions, chosen, found)


def _check_weights(predictions: Predictions) -> None:
    weight = predictions.sample_weight
    if weight is not None and len(weight) and not (np.isfinite(weight).all() and weight.min() >= 0):
        raise ParameterError(
            "Sample weights must be finite and not negative; "
            f"the lowest is {weight.min()}. Correct or leave out the weight column."
        )


def _chosen(task: Task, names: Sequence[str] | None) -> list[Metric]:
    if names is None:
        return [metric for metric in METRICS.values() if task in metric.tasks]
    return [find_metric(name) for name in dict.fromkeys(names)]


def _unavailable(metric: Metric, predictions: Predictions) -> str:
    """Why a metric has no value here, in one sentence, or ""."""
    task, kind = predictions.task, predictions.score_kind
    if task not in metric.tasks:
        return f"{metric.title} is not for {task} targets."
    if not predictions.n:
        return "There are no rows to evaluate."
    weight = predictions.sample_weight
    if weight is not None and not weight.any():
        return "All sample weights are zero."
    given = _given(predictions)
    if metric.needs == "values":
        return "" if predictions.y_pred is not None else f"{metric.title} needs predicted values."
    if metric.needs == "labels":
        missing = predictions.y_pred is None and predictions.y_score is None
        return f"{metric.title} needs labels or scores." if missing else ""
    if predictions.y_score is None:
        return f"{metric.title} needs {metric.needs}; this model gives {given}."
    if metric.needs == "probabilities":
        exclusive = task is Task.MULTICLASS
        enough = {ScoreKind.PROBABILITY} | (set() if exclusive else {ScoreKind.INDEPENDENT})
        return (
            ""
            if kind in enough
            else f"{metric.title} needs probabilities; this model gives {given}."
        )
    if metric.base == "top_k" and metric.parameter >= predictions.y_score.shape[1]:
        return (
            f"With {predictions.y_score.shape[1]} classes the true one is always "
            f"among {metric.parameter:g}."
        )
    return ""


def _given(predictions: Predictions) -> str:
    if predictions.y_score is None:
        return "labels only"
    return {
        ScoreKind.PROBABILITY: "probabilities",
        ScoreKind.INDEPENDENT: "scores that do not sum to 1",
        ScoreKind.LOGIT: "log-odds",
        ScoreKind.DECISION: "decision values",
        None: "scores of unknown meaning",
    }[predictions.score_kind]


def _computed(
    predictions: Predictions,
    metrics: Sequence[Metric],
    options: Options,
    threshold: float | Sequence[float] | None,
) -> Estimates:
    families: dict[str, list[Metric]] = {}
    for metric in metrics:
        families.setdefault(metric.family, []).append(metric)
    found: Estimates = {}
    if "counts" in families:
        decided = decide(predictions, threshold)
        found |= compute_counts(predictions, decided, families["counts"], options)
    if "ranks" in families:
        found |= compute_ranks(predictions, families["ranks"], options)
    if "moments" in families:
        found |= compute_moments(predictions, families["moments"], options)
    if "order" in families:
        found |= compute_order(predictions, families["order"], options)
    return found


def _assembled(
    predictions: Predictions, metrics: Sequence[Metric], found: Estimates
) -> MetricTable:
    labels = [str(label) for label in predictions.target.labels]
    support = _support(predictions)
    rows = []
    for metric in metrics:
        for j in range(-1, len(labels)):
            estimate = found.get((metric.name, j))
            if estimate is not None:
                label, n = ("", predictions.n) if j < 0 else (labels[j], int(support[j]))
                value, low, high = _around_value(estimate)
                rows.append(
                    MetricRow(
                        predictions.name, label, metric.name, value, low, high, n, estimate.reason
                    )
                )
    return MetricTable(tuple(rows))


def _around_value(estimate: Estimate) -> tuple[float, float, float]:
    """The value with bounds that hold it; nan bounds stay."""
    # A statistic that cannot pass its value in any resample has all percentiles on one side: R²
    # of a constant mean is at most 0 however the rows are redrawn, so [−.0003, −3×10⁻⁸] around 0.
    value = estimate.value
    return value, min(estimate.low, value), max(estimate.high, value)


def _support(predictions: Predictions) -> Sequence[int]:
    target = predictions.target
    if target.task in (Task.BINARY, Task.MULTICLASS):
        return [int(n) for n in np.bincount(target.y, minlength=len(target.labels))]
    if target.task is Task.MULTILABEL:
        return [int(n) for n in target.y.sum(axis=0, dtype=np.int64)]
    return [predictions.n] * len(target.labels)
