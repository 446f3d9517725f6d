"""Curves over all thresholds, each read from one `ThresholdTable`.

Every curve keeps its exact arrays and gives the few marks that a figure needs with `drawn()`:
`(x, y, index, error)`, float32 coordinates, the index of each mark in the exact arrays (for
hovering) and the largest displacement in units of the side of the figure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Label, Predictions, ScoreKind
from ..errors import NotApplicable
from .confusion import positive_class
from .distribution import ScoreDistribution, compute_score_distribution
from .intervals import effective_n, wilson_interval
from .ranking import rank_interval
from .simplification import MAX_MARKS, TOLERANCE, simplify, turning_points
from .thresholds import (
    Counts,
    Strategy,
    ThresholdTable,
    check_label,
    compute_thresholds,
    delong_interval,
)

__all__ = [
    "CalibrationCurve",
    "CostCurve",
    "Drawn",
    "GainCurve",
    "PrecisionRecallCurve",
    "RocCurve",
    "ScoreDistribution",
    "compute_calibration",
    "compute_cost",
    "compute_gain",
    "compute_precision_recall",
    "compute_roc",
    "compute_score_distribution",
    "simplify",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Drawn = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], IntArray, float]

_CORNER = 2.5e-5  # steps smaller than this in either direction are drawn as slopes


def _drawn(
    x: FloatArray, y: FloatArray, index: IntArray | None, max_marks: int, displaced: float = 0.0
) -> Drawn:
    """Marks of one curve; `index` names the exact point behind each of `x`, None = its place."""
    if not (np.isfinite(x.sum()) and np.isfinite(y.sum())):  # a class is absent: no curve
        x, y, index = x[:0], y[:0], np.arange(0)
    marks, error = simplify(x, y, max_marks=max_marks, tolerance=TOLERANCE - displaced)
    named = marks if index is None else index[marks]
    return x[marks].astype(np.float32), y[marks].astype(np.float32), named, error + displaced


@dataclass(frozen=True, eq=False)
class RocCurve:
    """Recall against false positive rate.

    Attributes
    ----------
    fpr, tpr, thresholds : `(m + 1,)` from (0, 0, inf); nan where a class is absent.
    auc, low, high : area with its DeLong interval, larger is better.
    n, n_positive, n_negative : rows, and weight of the classes.
    operating : the matrix at a chosen threshold.
    table : what everything is read from.
    """

    model: str
    label: Label
    fpr: FloatArray = field(repr=False)
    tpr: FloatArray = field(repr=False)
    thresholds: FloatArray = field(repr=False)
    auc: float
    low: float
    high: float
    n: int
    n_positive: float
    n_negative: float
    operating: Counts | None
    table: ThresholdTable = field(repr=False)

    def frame(self) -> pd.DataFrame:
        """The exact curve: model, label, threshold, fpr, tpr."""
        return pd.DataFrame({"threshold": self.thresholds, "fpr": self.fpr, "tpr": self.tpr}).pipe(
            _named, self
        )

    def drawn(self, max_marks: int = MAX_MARKS) -> Drawn:
        """Marks to be joined by straight lines (ties are slopes, which count half)."""
        return _memo(
            self.table, ("roc", max_marks), lambda: _drawn(self.fpr, self.tpr, None, max_marks)
        )


@dataclass(frozen=True, eq=False)
class PrecisionRecallCurve:
    """Precision against recall.

    Attributes
    ----------
    precision, recall, thresholds : `(m + 1,)`, thresholds ascending, the last point is
        (1, 0, inf): scikit-learn's arrays with inf added to the thresholds.
    average_precision, low, high : step sum with its bootstrap interval, larger is better.
    prevalence : share of positives by weight, which guessing reaches.
    """

    model: str
    label: Label
    precision: FloatArray = field(repr=False)
    recall: FloatArray = field(repr=False)
    thresholds: FloatArray = field(repr=False)
    average_precision: float
    low: float
    high: float
    prevalence: float
    n: int
    n_positive: float
    n_negative: float
    operating: Counts | None
    table: ThresholdTable = field(repr=False)

    def frame(self) -> pd.DataFrame:
        """The exact curve: model, label, threshold, precision, recall."""
        return pd.DataFrame(
            {"threshold": self.thresholds, "precision": self.precision, "recall": self.recall}
        ).pipe(_named, self)

    def drawn(self, max_marks: int = MAX_MARKS) -> Drawn:
        """Marks to be joined by straight lines, by rising recall.

        Visible steps get their corner, so that the area below what is drawn is the average
        precision and no trapezoid. A corner carries the index of the point it steps to. The
        point (1, 0), where nothing is flagged, is a convention and is not drawn.
        """
        return _memo(self.table, ("precision_recall", max_marks), lambda: self._steps(max_marks))

    def _steps(self, max_marks: int) -> Drawn:
        recall, precision = self.recall[::-1], self.precision[::-1][1:]
        last = len(precision)
        if not self.n_positive:
            return _drawn(recall[:0], precision[:0], None, max_marks)
        index = turning_points(recall[1:], precision)
        if index is not None:
            recall, precision = np.append(0.0, recall[1:][index]), precision[index]
        # the step sum gives the whole width since the recall before to this precision
        step = recall[1:] - recall[:-1]
        if (displaced := float(step.max())) > _CORNER:
            np.minimum(step, np.abs(np.diff(precision, prepend=np.inf)), out=step)
            displaced = float(step.max(where=step <= _CORNER, initial=0.0))
        corners = np.flatnonzero(step > _CORNER)
        x, y = recall[1:], precision
        if len(corners):
            index = np.arange(last) if index is None else index
            x = np.insert(x, corners, recall[corners])
            y, index = np.insert(y, corners, y[corners]), np.insert(index, corners, index[corners])
        x_marks, y_marks, place, error = _drawn(x, y, index, max_marks, displaced)
        return x_marks, y_marks, last - 1 - place, error


@dataclass(frozen=True, eq=False)
class GainCurve:
    """What flagging the highest scores catches.

    Attributes
    ----------
    share : `(m + 1,)` share of the weight flagged, from 0 to 1.
    recall : share of the positives among them.
    lift : precision over prevalence (its value at 0 repeats the next).
    thresholds : `(m + 1,)` descending from inf.
    """

    model: str
    label: Label
    share: FloatArray = field(repr=False)
    recall: FloatArray = field(repr=False)
    lift: FloatArray = field(repr=False)
    thresholds: FloatArray = field(repr=False)
    n: int
    n_positive: float
    n_negative: float
    operating: Counts | None
    table: ThresholdTable = field(repr=False)

    def frame(self) -> pd.DataFrame:
        """The exact curve: model, label, threshold, share, recall, lift."""
        columns = {"threshold": self.thresholds, "share": self.share}
        return pd.DataFrame(columns | {"recall": self.recall, "lift": self.lift}).pipe(_named, self)

    def drawn(self, max_marks: int = MAX_MARKS) -> Drawn:
        """Marks of recall against share."""
        return _memo(
            self.table,
            ("gain", max_marks),
            lambda: _drawn(self.share, self.recall, None, max_marks),
        )


@dataclass(frozen=True, eq=False)
class CostCurve:
    """Total cost of the errors at every threshold.

    Attributes
    ----------
    threshold : `(m + 1,)` descending from inf (flag nothing).
    cost : `(m + 1,)` in units of `cost_fp` and `cost_fn`, smaller is better.
    best : the cheapest threshold, the highest of equals.
    """

    model: str
    label: Label
    threshold: FloatArray = field(repr=False)
    cost: FloatArray = field(repr=False)
    cost_fp: float
    cost_fn: float
    best: float
    n: int
    n_positive: float
    n_negative: float
    operating: Counts | None
    table: ThresholdTable = field(repr=False)

    def frame(self) -> pd.DataFrame:
        """The exact curve: model, label, threshold, cost."""
        return pd.DataFrame({"threshold": self.threshold, "cost": self.cost}).pipe(_named, self)

    def drawn(self, max_marks: int = MAX_MARKS) -> Drawn:
        """Marks of cost against finite thresholds, by falling threshold."""
        key = ("cost", self.cost_fp, self.cost_fn, max_marks)
        return _memo(self.table, key, lambda: self._scaled(max_marks))

    def _scaled(self, max_marks: int) -> Drawn:
        finite = np.flatnonzero(np.isfinite(self.threshold))
        x, y = self.threshold[finite], self.cost[finite]
        if not len(x):
            return _drawn(x, y, finite, max_marks)
        width, height = float(x[0] - x[-1]) or 1.0, float(y.max()) or 1.0
        _, _, index, error = _drawn((x - x[-1]) / width, y / height, finite, max_marks)
        drawn_x, drawn_y = self.threshold[index], self.cost[index]
        return drawn_x.astype(np.float32), drawn_y.astype(np.float32), index, error


@dataclass(frozen=True, eq=False)
class CalibrationCurve:
    """Share of positives against mean score; bins without rows are left out.

    Attributes
    ----------
    mean_score, share_positive : `(b,)`, equal for a calibrated model.
    low, high : Wilson interval of the share (with weights on Kish's effective n).
    count : `(b,)` weight in each bin; brier : over all rows, smaller is better.
    """

    model: str
    label: Label
    mean_score: FloatArray
    share_positive: FloatArray
    low: FloatArray
    high: FloatArray
    count: FloatArray
    brier: float
    n: int

    @property
    def error(self) -> float:
        """Expected calibration error: the mean gap, weighted by the bins' counts."""
        gap = np.abs(self.mean_score - self.share_positive)
        total = self.count.sum()
        return float(np.dot(gap, self.count) / total) if total else float("nan")

    def frame(self) -> pd.DataFrame:
        """model, label, mean_score, share_positive, low, high, count: one row per bin."""
        names = ("mean_score", "share_positive", "low", "high", "count")
        return pd.DataFrame({name: getattr(self, name) for name in names}).pipe(_named, self)


def _named(frame: pd.DataFrame, curve: Any) -> pd.DataFrame:
    frame.insert(0, "model", curve.model)
    frame.insert(1, "label", curve.label)
    return frame


def _memo(table: ThresholdTable, key: tuple[Any, ...], compute: Callable[[], Drawn]) -> Drawn:
    if key not in table.memo:
        table.memo[key] = compute()
    found: Drawn = table.memo[key]
    return found


def _prepare(
    predictions: Predictions,
    label: int | None,
    threshold: float | None,
    table: ThresholdTable | None,
) -> tuple[ThresholdTable, dict[str, Any]]:
    """The table and the fields that every curve has."""
    label = check_label(predictions, label)
    table = table or compute_thresholds(predictions, label)
    common = {
        "model": predictions.name,
        "label": predictions.target.labels[label],
        "n": table.n_rows,
        "n_positive": table.n_positive,
        "n_negative": table.n_negative,
        "operating": None if threshold is None else table.at(threshold),
        "table": table,
    }
    return table, common


def compute_roc(
    predictions: Predictions,
    label: int | None = None,
    threshold: float | None = None,
    table: ThresholdTable | None = None,
    level: float = 0.95,
) -> RocCurve:
    """ROC curve of one class or label against the rest, with its DeLong interval.

    Parameters
    ----------
    label : index into `target.labels`; None = the positive class of a binary task.
    threshold : in units of the scores; marks the operating point.
    table : the result of `compute_thresholds`, when it is there already.

    Raises
    ------
    NotApplicable : no scores, or no classes. ParameterError : an unknown label.
    """
    table, common = _prepare(predictions, label, threshold, table)
    fpr, tpr, thresholds = table.roc()
    auc, _, low, high = delong_interval(table, level)
    if table.weighted:  # each row's own weight in the variance, as in the score table
        low, high = _interval(predictions, label, table, "roc_auc", level)
    return RocCurve(fpr=fpr, tpr=tpr, thresholds=thresholds, auc=auc, low=low, high=high, **common)


def _interval(
    predictions: Predictions, label: int | None, table: ThresholdTable, metric: str, level: float
) -> tuple[float, float]:
    """Kept with the table: a move of the threshold does not change it."""
    key = (metric, level)
    if key not in table.memo:
        table.memo[key] = _rank_bounds(predictions, label, metric, level)
    low, high = table.memo[key]
    return float(low), float(high)


def _rank_bounds(
    predictions: Predictions, label: int | None, metric: str, level: float
) -> tuple[float, float]:
    focus = positive_class(predictions.target) if label is None else label
    truth, score = predictions.truth_of(focus), predictions.scores_of(focus)
    if not truth.any() or truth.all():
        return float("nan"), float("nan")
    given = predictions.sample_weight
    weight = None if given is None else given.astype(np.float64)
    estimate = rank_interval(truth, score, weight, metric=metric, level=level)
    return estimate.low, estimate.high


def compute_precision_recall(
    predictions: Predictions,
    label: int | None = None,
    threshold: float | None = None,
    table: ThresholdTable | None = None,
    level: float = 0.95,
) -> PrecisionRecallCurve:
    """Precision-recall curve with average precision; parameters as in `compute_roc`.

    The interval is the one of the score table (infinitesimal jackknife), so that both agree.
    """
    table, common = _prepare(predictions, label, threshold, table)
    precision, recall, _ = table.precision_recall()
    low, high = _interval(predictions, label, table, "average_precision", level)
    total = table.n_positive + table.n_negative
    return PrecisionRecallCurve(
        precision=precision,
        recall=recall,
        thresholds=table.steps[0][::-1],
        average_precision=table.average_precision,
        low=low,
        high=high,
        prevalence=table.n_positive / total if total else float("nan"),
        **common,
    )


def compute_gain(
    predictions: Predictions,
    label: int | None = None,
    threshold: float | None = None,
    table: ThresholdTable | None = None,
) -> GainCurve:
    """Gain and lift; parameters as in `compute_roc`."""
    table, common = _prepare(predictions, label, threshold, table)
    share, recall = table.gain()
    return GainCurve(
        share=share, recall=recall, lift=table.lift()[1], thresholds=table.steps[0], **common
    )


def compute_cost(
    predictions: Predictions,
    label: int | None = None,
    threshold: float | None = None,
    table: ThresholdTable | None = None,
    cost_fp: float = 1.0,
    cost_fn: float = 1.0,
) -> CostCurve:
    """Total cost at every threshold; parameters as in `compute_roc`."""
    table, common = _prepare(predictions, label, threshold, table)
    return CostCurve(
        threshold=table.steps[0],
        cost=table.cost(cost_fp, cost_fn),
        cost_fp=cost_fp,
        cost_fn=cost_fn,
        best=table.cheapest(cost_fp, cost_fn),
        **common,
    )


def compute_calibration(
    predictions: Predictions,
    label: int | None = None,
    table: ThresholdTable | None = None,
    n_bins: int = 10,
    strategy: Strategy = "uniform",
    level: float = 0.95,
) -> CalibrationCurve:
    """Share of positives by predicted probability, with Wilson intervals.

    Parameters
    ----------
    strategy : "uniform" (equal widths) or "quantile" (equal weights), as in scikit-learn.

    Raises
    ------
    NotApplicable : scores that are no probabilities.
    """
    table, common = _prepare(predictions, label, None, table)
    if predictions.score_kind not in (ScoreKind.PROBABILITY, ScoreKind.INDEPENDENT):
        kind = predictions.score_kind.value if predictions.score_kind else "unknown"
        raise NotApplicable(f"Calibration needs probabilities; {predictions.name} gives {kind}s.")
    share, mean_score, count = table.calibration(n_bins, strategy)
    effective = count
    if predictions.sample_weight is not None:
        scores = predictions.scores_of(check_label(predictions, label))
        bins = np.searchsorted(table.calibration_edges(n_bins, strategy)[1:-1], scores)
        squares = np.bincount(bins, predictions.sample_weight**2, minlength=n_bins)
        effective = effective_n(count, squares[squares > 0])
    low, high = wilson_interval(share, effective, level)
    return CalibrationCurve(
        model=common["model"],
        label=common["label"],
        mean_score=mean_score,
        share_positive=share,
        low=low,
        high=high,
        count=count,
        brier=table.brier(),
        n=table.n_rows,
    )
