"""The 2×2 matrix at one threshold and the rates read from it, for one threshold or all at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ParameterError

__all__ = ["CRITERIA", "Counts", "check_threshold", "criterion", "flagged", "ratio"]

FloatArray = npt.NDArray[np.float64]
Rate = Callable[[Any, Any, Any, Any], Any]


def flagged(y_score: npt.ArrayLike, threshold: float) -> npt.NDArray[np.bool_]:
    """The one rule: `score >= threshold`, the threshold rounded to the precision of the scores.

    Without the rounding a float32 score shown as .7 would not reach a threshold of .7.
    """
    scores = np.asarray(y_score)
    result: npt.NDArray[np.bool_] = scores >= check_threshold(
        threshold, single=scores.dtype == np.float32
    )
    return result


def check_threshold(threshold: float, *, single: bool = False) -> float:
    """The threshold itself, or rounded to float32; NaN raises ParameterError."""
    if np.isnan(threshold):
        raise ParameterError("threshold is NaN; a number is needed (inf flags nothing).")
    with np.errstate(over="ignore"):
        return float(np.float32(threshold) if single else threshold)


def ratio(part: Any, whole: Any) -> Any:
    """`part / whole`, nan where `whole` is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, np.divide(part, whole), np.nan)


def _f_beta(tp: Any, fp: Any, fn: Any, beta: float) -> Any:
    weighted = (1 + beta**2) * tp
    return np.where(tp > 0, ratio(weighted, weighted + beta**2 * fn + fp), 0.0)


def _mcc(tp: Any, fp: Any, fn: Any, tn: Any) -> Any:
    # roots before products: counts of 1e7 to the fourth power would lose digits
    scale = np.sqrt(tp + fp) * np.sqrt(tp + fn) * np.sqrt(tn + fp) * np.sqrt(tn + fn)
    return np.where(scale > 0, ratio(tp * tn - fp * fn, scale), 0.0)


CRITERIA: dict[str, Rate] = {
    "precision": lambda tp, fp, fn, tn: ratio(tp, tp + fp),
    "recall": lambda tp, fp, fn, tn: ratio(tp, tp + fn),
    "specificity": lambda tp, fp, fn, tn: ratio(tn, tn + fp),
    "fpr": lambda tp, fp, fn, tn: ratio(fp, tn + fp),
    "fnr": lambda tp, fp, fn, tn: ratio(fn, tp + fn),
    "accuracy": lambda tp, fp, fn, tn: ratio(tp + tn, tp + fp + fn + tn),
    "selection_rate": lambda tp, fp, fn, tn: ratio(tp + fp, tp + fp + fn + tn),
    "f1": lambda tp, fp, fn, tn: _f_beta(tp, fp, fn, 1.0),
    "f2": lambda tp, fp, fn, tn: _f_beta(tp, fp, fn, 2.0),
    "f0.5": lambda tp, fp, fn, tn: _f_beta(tp, fp, fn, 0.5),
    "mcc": _mcc,
    "balanced_accuracy": lambda tp, fp, fn, tn: (ratio(tp, tp + fn) + ratio(tn, tn + fp)) / 2,
    "youden": lambda tp, fp, fn, tn: ratio(tp, tp + fn) - ratio(fp, tn + fp),
}
"""Rates of a 2×2 matrix by name: functions of (tp, fp, fn, tn), scalars or arrays alike.

nan where undefined (precision with nothing flagged); as in scikit-learn the F-scores and
MCC are 0 where their numerator or denominator is 0.
"""


@dataclass(frozen=True, eq=False)
class Counts:
    """The 2×2 matrix at one threshold, as weights (whole numbers without sample weights)."""

    tp: float
    fp: float
    fn: float
    tn: float
    threshold: float

    def rate(self, name: str) -> float:
        """One of `CRITERIA` by name; nan where undefined."""
        return float(criterion(name)(self.tp, self.fp, self.fn, self.tn))

    @property
    def n(self) -> float:
        return self.tp + self.fp + self.fn + self.tn

    @property
    def precision(self) -> float:
        return self.rate("precision")

    @property
    def recall(self) -> float:
        return self.rate("recall")

    @property
    def specificity(self) -> float:
        return self.rate("specificity")

    @property
    def fpr(self) -> float:
        return self.rate("fpr")

    @property
    def fnr(self) -> float:
        return self.rate("fnr")

    @property
    def accuracy(self) -> float:
        return self.rate("accuracy")

    @property
    def selection_rate(self) -> float:
        return self.rate("selection_rate")

    @property
    def f1(self) -> float:
        return self.rate("f1")

    @property
    def mcc(self) -> float:
        return self.rate("mcc")

    @property
    def balanced_accuracy(self) -> float:
        return self.rate("balanced_accuracy")

    def f_beta(self, beta: float) -> float:
        """F-beta; 0 without true positives, as in scikit-learn."""
        return float(_f_beta(self.tp, self.fp, self.fn, beta))

    def matrix(self) -> FloatArray:
        """[[tn, fp], [fn, tp]]: rows are true classes, negative first."""
        return np.array([[self.tn, self.fp], [self.fn, self.tp]])


def criterion(name: str) -> Rate:
    if name not in CRITERIA:
        raise ParameterError(f"Unknown criterion {name!r}. Known: {', '.join(CRITERIA)}.")
    return CRITERIA[name]
