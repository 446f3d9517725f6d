"""Metrics that are functions of weighted means over rows, and the two that need the order.

Each metric says which columns of per-row numbers it needs and how their means combine; the
value and all bootstrap replicates go through the same `_combined`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from ..contracts import Predictions, Task
from ..errors import NotApplicable
from .confusion import positive_class
from .intervals import (
    Estimate,
    Estimates,
    Options,
    effective_n,
    median_interval,
    percentile_interval,
    resampled_sums,
    weighted_median,
    wilson_interval,
)
from .metric_list import Metric

__all__ = ["compute_moments", "compute_order"]

Floats = npt.NDArray[np.float64]


# ---------------------------------------------------------------------------- per-row columns


def _residual_columns(metric: Metric, y: Floats, p: Floats, weight: Floats | None) -> list[Floats]:
    error = p - y
    if metric.base == "bias":
        return [error]
    if metric.base == "rmse":
        return [np.square(error)]
    if metric.base == "mae":
        return [np.abs(error)]
    if metric.base == "mape":
        return [np.abs(error) / np.maximum(np.abs(y), np.finfo(np.float64).eps)]
    if metric.base == "pinball":
        return [np.maximum((metric.parameter - 1) * -error, metric.parameter * -error)]
    centred = y - np.average(y, weights=weight)
    return [np.square(error), centred, np.square(centred)]


def _truth_score(y: npt.NDArray[Any], score: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Probability given to what is true: `(n,)`, or `(n, n_labels)` for labels."""
    if score.ndim == 2 and y.ndim == 1:
        return np.take_along_axis(score, y[:, None].astype(np.int64), axis=1)[:, 0]
    return np.where(y.astype(bool), score, 1 - score)


def _probability_columns(metric: Metric, y: npt.NDArray[Any], score: npt.NDArray[Any]) -> Floats:
    """`(n,)` or, for labels, `(n, n_labels)`."""
    if metric.base == "top_k":
        return _hits(y.astype(np.int64), score, int(metric.parameter))
    told = _truth_score(y, score)
    if metric.base == "log_loss":
        eps = np.finfo(told.dtype).eps
        loss: Floats = -np.log(np.clip(told, eps, 1 - eps).astype(np.float64))
        return loss
    if score.ndim == 2 and y.ndim == 1:
        squares = np.einsum("ij,ij->i", score, score, dtype=np.float64)
        return np.asarray(np.maximum(squares - 2 * told.astype(np.float64) + 1, 0.0))
    return np.square(1 - told.astype(np.float64))


def _hits(y: npt.NDArray[np.int64], score: npt.NDArray[Any], k: int) -> Floats:
    """Whether the true class is among the k highest; of equal scores the later class is higher."""
    own = np.take_along_axis(score, y[:, None], axis=1)
    later = np.arange(score.shape[1]) > y[:, None]
    above = (score > own) | ((score == own) & later)
    hits: Floats = (above.sum(axis=1) < k).astype(np.float64)
    return hits


def _combined(metric: Metric, means: Floats) -> Floats:
    """The metric from the means of its columns, `(..., c)` → `(...)`."""
    if metric.base == "rmse":
        return np.sqrt(means[..., 0])
    if metric.base != "r2":
        return means[..., 0]
    variance = means[..., 2] - np.square(means[..., 1])
    constant = variance <= 1e-15 * np.abs(means[..., 2])
    unexplained = np.divide(means[..., 0], variance, out=np.zeros(variance.shape), where=~constant)
    return np.where(constant, np.where(means[..., 0] == 0, 1.0, 0.0), 1 - unexplained)


# -------------------------------------------------------------------------------------- moments


def compute_moments(
    predictions: Predictions, metrics: Sequence[Metric], options: Options
) -> Estimates:
    """Estimates of all `metrics` of the moment family: one bootstrap for all of them."""
    weight = predictions.sample_weight
    plan: list[tuple[Metric, int, int]] = []  # metric, first column, width of one output
    columns: list[Floats] = []
    for metric in metrics:
        made = _columns(metric, predictions)
        plan.append((metric, len(columns), len(made) // _outputs(metric, predictions)))
        columns += made
    columns.append(np.ones(predictions.n))
    table = np.empty((predictions.n, len(columns)), order="F")
    for j, column in enumerate(columns):
        np.multiply(column, 1.0 if weight is None else weight, out=table[:, j])
    del columns
    sums = table.sum(axis=0)
    strata = predictions.target.y if predictions.task.is_classification else None
    if predictions.task is Task.MULTILABEL:
        strata = None
    replicates = resampled_sums(
        table,
        strata,
        n_bootstrap=options.n_bootstrap,
        random_state=options.random_state,
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        means, drawn = sums[:-1] / sums[-1], replicates[:, :-1] / replicates[:, -1:]
    out: Estimates = {}
    for metric, start, width in plan:
        stop = start + width * _outputs(metric, predictions)
        out |= _spread(
            metric,
            _combined(metric, means[start:stop].reshape(-1, width)),
            _combined(metric, drawn[:, start:stop].reshape(len(drawn), -1, width)),
            predictions,
            options,
        )
    return out


def _outputs(metric: Metric, predictions: Predictions) -> int:
    if predictions.task in (Task.MULTILABEL, Task.MULTIOUTPUT_REGRESSION):
        return int(predictions.target.y.shape[1])
    return 1


def _columns(metric: Metric, predictions: Predictions) -> list[Floats]:
    y = predictions.target.y
    if predictions.task.is_classification:
        if predictions.y_score is None:
            raise NotApplicable(f"{predictions.name} gives no scores.")
        if predictions.task is Task.BINARY:
            y = y == positive_class(predictions.target)
        return list(_probability_columns(metric, y, predictions.y_score).reshape(len(y), -1).T)
    weight = _weight(predictions)
    truth, values = _truth_and_values(predictions)
    return [
        column
        for one, two in zip(truth, values, strict=True)
        for column in _residual_columns(metric, one, two, weight)
    ]


def _truth_and_values(predictions: Predictions) -> tuple[Floats, Floats]:
    """True and predicted values by output, `(o, n)`."""
    if predictions.y_pred is None:
        raise NotApplicable(f"{predictions.name} gives no predicted values.")
    n = predictions.n
    return (
        np.asarray(predictions.target.y, np.float64).reshape(n, -1).T,
        np.asarray(predictions.y_pred, np.float64).reshape(n, -1).T,
    )


def _weight(predictions: Predictions) -> Floats | None:
    weight = predictions.sample_weight
    return None if weight is None else np.asarray(weight, np.float64)


def _spread(
    metric: Metric, values: Floats, drawn: Floats, predictions: Predictions, options: Options
) -> Estimates:
    """Rows for each output and for their mean, from values `(o,)` and replicates `(R, o)`."""
    out: Estimates = {}
    several = predictions.task in (Task.MULTILABEL, Task.MULTIOUTPUT_REGRESSION)
    if several and predictions.task in metric.each and options.per_class:
        for j in range(len(values)):
            out[metric.name, j] = _estimate(metric, values[j], drawn[:, j], predictions, options, j)
    if not several or predictions.task not in metric.each or predictions.task is (
        Task.MULTIOUTPUT_REGRESSION
    ):  # fmt: skip
        out[metric.name, -1] = _estimate(
            metric, values.mean(), drawn.mean(axis=1), predictions, options, None
        )
    return out


def _estimate(
    metric: Metric,
    value: Any,
    drawn: Floats,
    predictions: Predictions,
    options: Options,
    output: int | None,
) -> Estimate:
    if metric.base == "top_k":
        weight = predictions.sample_weight
        n = predictions.n if weight is None else effective_n(weight.sum(), (weight**2).sum())
        low, high = wilson_interval(value, n, options.level)
    else:
        low, high = percentile_interval(drawn, options.level)
    if metric.base == "r2" and predictions.n < 2:
        return Estimate(np.nan, reason="R² needs at least two rows.")
    return Estimate(float(value), float(low), float(high), _warning(metric, predictions, output))


def _warning(metric: Metric, predictions: Predictions, output: int | None) -> str:
    y = predictions.target.y
    if output is not None:
        y = y[:, output]
    if metric.base == "r2" and np.ptp(y, axis=0).min() == 0:
        return "All true values are the same, so R² is 1 when all are met and 0 otherwise."
    if metric.base != "mape":
        return ""
    size = np.abs(y)
    near = int(np.count_nonzero(size <= 0.01 * np.median(size, axis=0)))
    if not near:
        return ""
    return (
        f"{near:,} of {size.size:,} true values are nearer to zero than a hundredth of the "
        "median size; they dominate MAPE."
    )


# ---------------------------------------------------------------------------------------- order


def compute_order(
    predictions: Predictions, metrics: Sequence[Metric], options: Options
) -> Estimates:
    """Median and largest error, for each output and as the mean over the outputs."""
    truth, values = _truth_and_values(predictions)
    error, weight = np.abs(values - truth), _weight(predictions)
    several = predictions.task is Task.MULTIOUTPUT_REGRESSION
    out: Estimates = {}
    for metric in metrics:
        if metric.base == "max_error":
            each = [_largest(one) for one in error]
            whole = Estimate(float(np.mean([one.value for one in each])), reason=each[0].reason)
        else:
            each = [
                Estimate(weighted_median(one, weight), *median_interval(one, weight, options.level))
                for one in error
            ]
            whole = _mean_of_medians(error, each, weight, options.level) if several else each[0]
        out[metric.name, -1] = whole
        if several and options.per_class:
            out |= {(metric.name, j): one for j, one in enumerate(each)}
    return out


def _largest(error: Floats) -> Estimate:
    return Estimate(
        float(error.max()),
        reason="The largest error of a sample says nothing certain about other rows: no interval.",
    )


def _mean_of_medians(
    error: Floats, each: Sequence[Estimate], weight: Floats | None, level: float
) -> Estimate:
    """Mean over outputs; its error from those of the medians and how often they move together.

    Medians co-vary as the indicators "error above its median" do (Bahadur's representation).
    """
    value = float(np.mean([one.value for one in each]))
    z = float(ndtri((1 + level) / 2))
    errors = np.asarray([(one.high - one.low) / (2 * z) for one in each])
    sides = np.sign(error - np.asarray([one.value for one in each])[:, None])
    w = np.ones(error.shape[1]) if weight is None else weight
    together = (sides * w) @ sides.T
    size = np.sqrt(np.maximum(np.diagonal(together), 1e-300))
    spread = float(np.sqrt(max(errors @ (together / np.outer(size, size)) @ errors, 0)) / len(each))
    return Estimate(value, max(value - z * spread, 0.0), value + z * spread)
