"""Dummy baselines: what anyone reaches without a feature, and whether a model beats that."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import FloatArray, IntArray, Predictions, ScoreKind, Target, Task
from ..errors import ParameterError
from .confusion import positive_class
from .metric_list import Orientation, find_metric
from .metrics import MetricRow, MetricTable

__all__ = ["Verdict", "beats_baseline", "compute_baseline"]

Floats = npt.NDArray[np.float64]


class Verdict(StrEnum):
    """A model beside the baseline. The value is what a person reads."""

    BETTER = "better"
    NOT_BETTER = "not better"
    TOO_CLOSE = "too close to call"


def compute_baseline(
    target: Target,
    *,
    sample_weight: FloatArray | None = None,
    time_order: IntArray | None = None,
    reference: Target | None = None,
) -> Predictions:
    """Constant predictions for `target`: majority class with class shares, or the mean.

    Parameters
    ----------
    sample_weight : `(n,)` weights of the rows of `target`; they also weight the shares or the
        mean where these are taken from `target`.
    time_order : `(n,)` positions of the rows from the earliest to the latest; regressions then
        predict the value before (the first row: the mean), "Baseline (last value)".
    reference : the training target, if known; without it shares and means come from the
        evaluated rows themselves, which flatters the baseline a little, and the notes say so.
    """
    source = target if reference is None else reference
    _check_fits(target, source)
    weight = sample_weight if reference is None else None
    origin = "the training rows" if reference is not None else "these rows themselves"
    if target.task in (Task.REGRESSION, Task.MULTIOUTPUT_REGRESSION):
        return _value_baseline(target, source, sample_weight, weight, time_order, origin)
    shares = _shares(source, weight)
    if target.task is Task.BINARY:
        positive = positive_class(target)
        score = np.full(target.n, shares[positive])
        pred: npt.NDArray[Any] = np.full(
            target.n, positive if shares[positive] >= 0.5 else 1 - positive, dtype=np.int64
        )
    elif target.task is Task.MULTICLASS:
        score = np.tile(shares, (target.n, 1))
        pred = np.full(target.n, int(np.argmax(shares)), dtype=np.int64)
    else:
        score = np.tile(shares, (target.n, 1))
        pred = (score >= 0.5).astype(np.uint8)
    note = f"Always the most frequent answer; scores are the class shares of {origin}."
    return _predictions("Baseline (majority)", target, pred, score, sample_weight, note)


def _check_fits(target: Target, source: Target) -> None:
    if source.task is not target.task or source.labels != target.labels:
        raise ParameterError(
            f"The reference target is {source.task} with {len(source.labels)} labels; the "
            f"evaluated one is {target.task} with {len(target.labels)}. Encode both alike."
        )


def _shares(source: Target, weight: FloatArray | None) -> Floats:
    if source.task is Task.MULTILABEL:
        if not source.n:
            return np.zeros(source.y.shape[1])
        return np.average(source.y.astype(float), axis=0, weights=weight)
    k = max(len(source.labels), 2 if source.task is Task.BINARY else 1)
    counts = np.bincount(source.y, weights=weight, minlength=k).astype(float)
    total = counts.sum()
    return counts / total if total > 0 else np.full(k, 1 / k)


def _value_baseline(
    target: Target,
    source: Target,
    sample_weight: FloatArray | None,
    weight: FloatArray | None,
    time_order: IntArray | None,
    origin: str,
) -> Predictions:
    mean = (
        np.average(source.y, axis=0, weights=weight) if source.n else np.zeros(source.y.shape[1:])
    )
    pred = np.broadcast_to(np.asarray(mean, float), target.y.shape).copy()
    if time_order is None:
        note = f"Always the mean of {origin}."
        return _predictions("Baseline (mean)", target, pred, None, sample_weight, note)
    order = np.asarray(time_order)
    if not np.array_equal(np.sort(order), np.arange(target.n)):
        raise ParameterError(
            f"time_order must name each of the {target.n} rows once, got {len(order)} positions."
        )
    pred[order[1:]] = target.y[order[:-1]]
    note = f"Repeats the value of the row before in time; the first row gets the mean of {origin}."
    return _predictions("Baseline (last value)", target, pred, None, sample_weight, note)


def _predictions(
    name: str,
    target: Target,
    pred: npt.NDArray[Any],
    score: Floats | None,
    sample_weight: FloatArray | None,
    note: str,
) -> Predictions:
    return Predictions(
        name=name,
        target=target,
        y_pred=pred,
        y_score=score,
        score_kind=None if score is None else ScoreKind.PROBABILITY,
        sample_weight=sample_weight,
        rows=np.arange(target.n),
        n_given=target.n,
        notes=(note,),
    )


def beats_baseline(
    table_model: MetricTable, table_baseline: MetricTable, metric: str, label: str = ""
) -> Verdict | None:
    """Whether one model's table is better than the baseline's in `metric`, by its orientation.

    One-sided: only "not better" is a finding; being much better never is. "Too close to call"
    when the model's value is better but the intervals overlap (a baseline without an interval
    counts as a point). None when either has no such row or no value.
    """
    orientation = find_metric(metric).orientation
    model, baseline = (
        next((row for row in table.rows if (row.metric, row.label) == (metric, label)), None)
        for table in (table_model, table_baseline)
    )
    if model is None or baseline is None:
        return None
    ours, theirs = _losses(model, orientation), _losses(baseline, orientation)
    if np.isnan(ours[0]) or np.isnan(theirs[0]):
        return None
    if ours[0] >= theirs[0]:
        return Verdict.NOT_BETTER
    worst, best = _or(ours[2], ours[0]), _or(theirs[1], theirs[0])
    return Verdict.TOO_CLOSE if worst >= best else Verdict.BETTER


def _losses(row: MetricRow, orientation: Orientation) -> tuple[float, float, float]:
    """Value, best and worst end as losses (lower is better)."""
    if orientation is Orientation.LOWER:
        return row.value, row.low, row.high
    if orientation is Orientation.HIGHER:
        return -row.value, -row.high, -row.low
    inside = row.low <= 0 <= row.high
    ends = abs(row.low), abs(row.high)
    return abs(row.value), 0.0 if inside else min(ends), max(ends)


def _or(value: float, otherwise: float) -> float:
    return otherwise if np.isnan(value) else value
