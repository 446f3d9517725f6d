"""Confusion matrices: which classes are taken for which, and which rows those are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import IntArray, Label, Predictions, Target, Task
from ..errors import NotApplicable, ParameterError
from .thresholds import flagged

__all__ = [
    "NORMALISATIONS",
    "ConfusionMatrix",
    "compute_confusion",
    "confusion_rows",
    "decide",
    "positive_class",
]

Floats = npt.NDArray[np.float64]
Threshold = float | Sequence[float] | None

NORMALISATIONS = {
    "none": "Counts",
    "true": "Share of the true class (rows sum to 1)",
    "pred": "Share of the predicted class (columns sum to 1)",
    "all": "Share of all rows",
    "errors": "Errors only: share of the true class, correct answers left out",
}


def positive_class(target: Target) -> int:
    """Position in `labels` of the positive class of a binary target; the second if none is set."""
    return 1 if target.pos_label is None else target.pos_label


def decide(predictions: Predictions, threshold: Threshold = None) -> npt.NDArray[Any]:
    """Predicted classes in the form of `target.y`, by the rule `score >= threshold`.

    `threshold` is in units of `y_score`: one number, or one a label (multilabel). None means
    the model's own operating point `default_threshold`. Without scores, and for more than two
    classes, the predicted labels are taken (the highest score where there are none) and no
    threshold applies.

    Raises
    ------
    NotApplicable : a regression, or predictions without labels and scores.
    ParameterError : thresholds that do not fit the labels.
    """
    task, target = predictions.task, predictions.target
    if not task.is_classification:
        raise NotApplicable("A regression predicts values, not classes; look at its residuals.")
    if task is Task.MULTICLASS:
        return _highest(predictions)
    if predictions.y_score is None:
        return _labels_only(predictions)
    limit = np.asarray(predictions.default_threshold if threshold is None else threshold, float)
    if task is Task.BINARY:
        if limit.ndim:
            raise ParameterError(f"threshold must be one number for two classes, got {threshold}.")
        is_flagged = flagged(predictions.y_score, float(limit))
        positive = positive_class(target)
        return np.where(is_flagged, positive, 1 - positive).astype(np.int64)
    if limit.ndim and limit.shape != (len(target.labels),):
        raise ParameterError(
            f"threshold has {limit.size} values; there are {len(target.labels)} labels. "
            "Pass one number, or one a label."
        )
    limits = np.broadcast_to(limit, len(target.labels))
    columns = zip(predictions.y_score.T, limits, strict=True)
    return np.column_stack([flagged(score, float(one)) for score, one in columns]).astype(np.uint8)


def _highest(predictions: Predictions) -> npt.NDArray[Any]:
    if predictions.y_pred is not None:
        return predictions.y_pred
    if predictions.y_score is None:
        raise NotApplicable(f"{predictions.name} gives neither labels nor scores.")
    return np.asarray(np.argmax(predictions.y_score, axis=1))


def _labels_only(predictions: Predictions) -> npt.NDArray[Any]:
    if predictions.y_pred is None:
        raise NotApplicable(f"{predictions.name} gives neither labels nor scores.")
    return predictions.y_pred


@dataclass(frozen=True, eq=False)
class ConfusionMatrix:
    """Rows of the evaluation set by true class (rows) and predicted class (columns).

    Attributes
    ----------
    model : name of the model.
    labels : the classes as text, in the order of rows and columns.
    counts : `(k, k)`, rows are true classes; sums of weights where `weighted`.
    n : rows counted, before weights.
    label : the class or label that is set against the rest, or None.
    threshold : in units of `y_score`, or None where no threshold applies.
    note : what was left out, or "".
    kept, whole : after `most_confused`: the places of the classes shown, and all counts; shares
        stay those of the whole matrix.
    """

    model: str
    labels: tuple[str, ...]
    counts: Floats
    n: int
    weighted: bool = False
    label: Label | None = None
    threshold: float | None = None
    note: str = ""
    kept: tuple[int, ...] = ()
    whole: Floats | None = None

    def shares(self, normalise: str = "true") -> Floats:
        """The matrix as shares: "none", "true", "pred", "all" or "errors"; empty sums give 0.

        "errors" divides by the true class and sets the diagonal to zero, so that only the
        mistakes are left to see.
        """
        if normalise not in NORMALISATIONS:
            known = ", ".join(NORMALISATIONS)
            raise ParameterError(f"normalise must be one of {known}, got {normalise!r}.")
        if normalise == "none":
            return self.counts.copy()
        whole = self.counts if self.whole is None else self.whole
        places = slice(None) if self.whole is None else np.asarray(self.kept)
        if normalise == "all":
            return _divided(self.counts, np.asarray(whole.sum()))
        if normalise == "pred":
            return _divided(self.counts, whole.sum(axis=0, keepdims=True)[:, places])
        shares = _divided(self.counts, whole.sum(axis=1, keepdims=True)[places])
        if normalise == "errors":
            np.fill_diagonal(shares, 0.0)
        return shares

    def worst(self) -> tuple[int, int, float, float] | None:
        """The most frequent mistake: (true, predicted, count, share of the true class).

        None when there is no mistake.
        """
        errors = self.counts.copy()
        np.fill_diagonal(errors, 0.0)
        if not errors.any():
            return None
        i, j = np.unravel_index(int(np.argmax(errors)), errors.shape)
        share = float(errors[i, j] / self.counts[i].sum())
        return int(i), int(j), float(errors[i, j]), share

    def most_confused(
        self, max_classes: int, among: Sequence[ConfusionMatrix] = ()
    ) -> ConfusionMatrix:
        """The classes with the largest share of mistakes, made or suffered, in their old order.

        `among`: matrices of one shape that are looked at together; their mistakes are summed, so
        that all of them keep the same classes.
        """
        k = len(self.labels)
        if max_classes < 1:
            raise ParameterError(f"max_classes must be at least 1, got {max_classes}.")
        if k <= max_classes:
            return self
        errors = self.counts.copy()
        np.fill_diagonal(errors, 0.0)
        everyone = np.sum([one.counts for one in among or (self,)], axis=0)
        np.fill_diagonal(everyone, 0.0)
        wrong = everyone.sum(axis=0) + everyone.sum(axis=1)
        keep = np.sort(np.argsort(-wrong, kind="stable")[:max_classes])
        counts = self.counts[np.ix_(keep, keep)]
        shown = float(counts.sum() - np.trace(counts))
        share = shown / errors.sum() if errors.any() else 1.0
        return replace(
            self,
            labels=tuple(self.labels[i] for i in keep),
            counts=counts,
            kept=tuple(int(i) for i in keep),
            whole=self.counts,
            note=f"The {max_classes} most confused of {k} classes are shown; "
            f"they hold {share:.0%} of the mistakes.",
        )

    def frame(self) -> pd.DataFrame:
        """Columns true, predicted, count, row_share, column_share, share; one row a cell."""
        k = len(self.labels)
        names = np.asarray(self.labels, dtype=object)
        return pd.DataFrame(
            {
                "true": np.repeat(names, k),
                "predicted": np.tile(names, k),
                "count": self.counts.ravel(),
                "row_share": self.shares("true").ravel(),
                "column_share": self.shares("pred").ravel(),
                "share": self.shares("all").ravel(),
            }
        )


def _divided(counts: Floats, total: Floats) -> Floats:
    out = np.zeros_like(counts)
    return np.divide(counts, total, out=out, where=np.broadcast_to(total > 0, counts.shape))


def _sides(
    predictions: Predictions, threshold: Threshold, label: int | None
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], tuple[str, ...]]:
    """True codes, predicted codes and the classes' names of the matrix that is asked for."""
    target, task = predictions.target, predictions.task
    decided = decide(predictions, threshold)
    if label is not None and not 0 <= label < len(target.labels):
        raise ParameterError(f"label must be from 0 to {len(target.labels) - 1}, got {label}.")
    if task is Task.MULTILABEL:
        if label is None:
            raise NotApplicable("Labels are not exclusive here; choose one label to see a matrix.")
        return target.y[:, label], decided[:, label], _against_rest(target.labels[label])
    if label is not None and _one_class_alone(predictions, threshold):
        alone = flagged(predictions.scores_of(label), _own(threshold, label))
        return target.y == label, alone, _against_rest(target.labels[label])
    if label is not None:
        return target.y == label, decided == label, _against_rest(target.labels[label])
    return target.y, decided, tuple(str(one) for one in target.labels)


def _one_class_alone(predictions: Predictions, threshold: Threshold) -> bool:
    """Whether one of many classes is decided by its own score and threshold."""
    return (
        predictions.task is Task.MULTICLASS
        and threshold is not None
        and predictions.y_score is not None
    )


def _against_rest(label: Label) -> tuple[str, str]:
    return f"not {label}", str(label)


def compute_confusion(
    predictions: Predictions, *, threshold: Threshold = None, label: int | None = None
) -> ConfusionMatrix:
    """The matrix of one model; `label` sets one class or label against the rest (positive last).

    `threshold` is in units of `y_score` and counts for two classes, for multilabel (see
    `decide`) and for one of many classes against the rest, by the score of that class; without
    it a row is of its likeliest class. Weights of the predictions are used.

    Raises
    ------
    NotApplicable : a regression, or multilabel without `label`.
    ParameterError : a label or thresholds that do not exist here.
    """
    truth, decided, names = _sides(predictions, threshold, label)
    k = len(names)
    weight = predictions.sample_weight
    counts = np.bincount(
        truth.astype(np.int64) * k + decided.astype(np.int64), weights=weight, minlength=k * k
    )
    return ConfusionMatrix(
        model=predictions.name,
        labels=names,
        counts=counts.reshape(k, k).astype(float),
        n=predictions.n,
        weighted=weight is not None,
        label=None if label is None else predictions.target.labels[label],
        threshold=_used_threshold(predictions, threshold, label),
    )


def _used_threshold(
    predictions: Predictions, threshold: Threshold, label: int | None
) -> float | None:
    alone = label is not None and _one_class_alone(predictions, threshold)
    if predictions.y_score is None or (predictions.task is Task.MULTICLASS and not alone):
        return None
    if threshold is None:
        return float(predictions.default_threshold)
    return _own(threshold, label)


def _own(threshold: Threshold, label: int | None) -> float:
    """The threshold of one label, out of one number or one a label."""
    values = np.asarray(threshold, float)
    return float(values[label] if values.ndim and label is not None else values)


def confusion_rows(
    predictions: Predictions,
    true: int,
    pred: int,
    threshold: Threshold = None,
    label: int | None = None,
) -> IntArray:
    """Positions in the evaluation set of the rows in one cell of `compute_confusion`'s matrix."""
    truth, decided, names = _sides(predictions, threshold, label)
    for value in (true, pred):
        if not 0 <= value < len(names):
            raise ParameterError(f"The matrix has {len(names)} classes; there is no {value}.")
    rows: IntArray = predictions.rows[(truth == true) & (decided == pred)]
    return rows
