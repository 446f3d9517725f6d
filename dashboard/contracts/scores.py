"""Scores brought to one column order and one meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import PredictionError
from .score_columns import Columns, Expected
from .vocabulary import Label, ScoreKind, Task, listing, match_labels, plural

__all__ = [
    "Scores",
    "binary_scores",
    "label_scores",
    "match_classes",
    "multiclass_scores",
    "unnamed_order",
]

FloatArray = npt.NDArray[np.floating[Any]]

# Float32 sigmoids and softmaxes overshoot [0, 1] by rounding only.
OVERSHOOT = 1e-6
# Rows of a softmax in float32, or written to a file with a few digits, sum to 1 within this.
SUM_TOLERANCE = 1e-3
_UNBOUNDED = (ScoreKind.LOGIT, ScoreKind.DECISION)


class Scores(NamedTuple):
    """Scores in their final form and meaning; NaN = no usable score in this row."""

    values: FloatArray
    kind: ScoreKind
    notes: tuple[str, ...]


# ---- column order ----------------------------------------------------------------------------


def match_classes(
    classes: Sequence[Label], labels: Sequence[Label]
) -> tuple[list[int], str | None]:
    """For each of the source's classes its index into `labels`.

    Raises
    ------
    PredictionError : a class that the target lacks, or one that is named twice.
    """
    match = match_labels(classes, labels, complete=True)
    if match.unknown:
        raise PredictionError(
            f"The model knows {plural(len(match.unknown), 'class', 'classes')} "
            f"({listing(match.unknown)}) that the target lacks; the target's are "
            f"{listing(labels)}. Add them to the target, or correct the names."
        )
    positions = [match.positions[label] for label in classes]
    if len(set(positions)) < len(positions):
        raise PredictionError(
            f"The classes of the score columns ({listing(classes)}) name a class twice. "
            "Name each once."
        )
    return positions, match.note


def _arrange(columns: Columns, expected: Expected, fill: float) -> Columns:
    """Columns in the order of the labels; `fill` for labels that the source does not know."""
    labels = expected.labels
    if columns.classes is None:
        if columns.width != len(labels):
            raise PredictionError(_wrong_width(columns.width, labels))
        return columns.noting(unnamed_order(expected))
    if len(columns.classes) != columns.width:
        raise PredictionError(_wrong_width(columns.width, columns.classes))
    positions, note = match_classes(columns.classes, labels)
    if positions == list(range(len(labels))):
        return columns.noting(note)
    arranged = np.full((expected.n, len(labels)), fill, dtype=columns.values.dtype)
    arranged[:, positions] = columns.values
    lacking = [label for i, label in enumerate(labels) if i not in positions]
    unseen = (
        f"The model does not know {listing(lacking)} and never answers it." if lacking else None
    )
    return columns.noting(note, unseen, values=arranged)


def unnamed_order(expected: Expected) -> str:
    """What is assumed of columns that the source does not name."""
    words = {Task.MULTILABEL: "labels", Task.MULTIOUTPUT_REGRESSION: "outputs"}
    return (
        f"The source names no {words.get(expected.task, 'classes')}; its columns are read in the "
        f"order {listing(expected.labels)}."
    )


def _wrong_width(width: int, labels: Sequence[Label]) -> str:
    return (
        f"y_score has {plural(width, 'column')}; {len(labels):,} classes are named "
        f"({listing(labels, 20)}). Pass one column per class in that order."
    )


# ---- meaning ---------------------------------------------------------------------------------


def _settle_kind(columns: Columns) -> Columns:
    """Decide what the scores mean and clean probabilities; infinities are no probabilities."""
    low, high = _finite_range(columns.values)
    inside = low >= -OVERSHOOT and high <= 1 + OVERSHOOT
    if columns.kind in _UNBOUNDED:
        return columns
    if inside:
        values = _clean_probabilities(columns.values, low, high)
        return columns.noting(values=values, kind=columns.kind or ScoreKind.PROBABILITY)
    if columns.kind is not None:
        raise PredictionError(
            f"y_score was said to hold probabilities and ranges from {low:.3g} to {high:.3g}; "
            "values in [0, 1] are needed. Convert them, or leave the kind of score open."
        )
    spread = f"Scores range from {low:.3g} to {high:.3g}"
    if not (columns.values < -OVERSHOOT).any():
        # Some log-odds of a model are negative; a softmax of shares or votes means nothing.
        note = (
            f"{spread} and none is negative, so they are neither probabilities nor log-odds: they "
            "only rank, and log loss and Brier score do not apply. If they are percentages or "
            "points, convert them first."
        )
        return columns.noting(note, kind=ScoreKind.DECISION)
    return columns.noting(f"{spread}, so they are read as log-odds (logits).", kind=ScoreKind.LOGIT)


def _finite_range(values: FloatArray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if np.isfinite(low) and np.isfinite(high):
        return low, high
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _clean_probabilities(values: FloatArray, low: float, high: float) -> FloatArray:
    infinite = np.isinf(values)
    if infinite.any():
        values = np.where(infinite, np.asarray(np.nan, dtype=values.dtype), values)
    return np.clip(values, 0, 1) if low < 0 or high > 1 else values


def _from_percent(columns: Columns) -> Columns:
    """Divide by 100 when every row of several columns says so by its sum."""
    if columns.width < 2 or columns.kind is not None:
        return columns
    sums = _row_sums(columns.values)
    if not sums.size or np.nanmin(columns.values) < 0 or np.abs(sums - 100).max() > 1:
        return columns
    note = "Rows of scores sum to 100, so they are read as percentages."
    return columns.noting(note, values=columns.values / 100)


def _row_sums(values: FloatArray) -> npt.NDArray[np.float64]:
    """Sums of the rows that hold no NaN and no infinity."""
    with np.errstate(invalid="ignore", over="ignore"):  # rows with infinities are left out
        sums: npt.NDArray[np.float64] = values.sum(axis=1, dtype=np.float64)
    return sums[np.isfinite(sums)]


def _settle_sums(columns: Columns) -> Columns:
    """Tell probabilities that sum to 1 from independent ones; rescale what was only rounded."""
    sums = _row_sums(columns.values)
    if columns.kind is not ScoreKind.PROBABILITY or columns.width < 2 or not sums.size:
        return columns
    low, high = float(sums.min()), float(sums.max())
    deviation = max(1 - low, high - 1)
    if deviation <= SUM_TOLERANCE:
        return columns
    if deviation <= _rounding(columns.values) and low > 0:
        values = columns.values / columns.values.sum(axis=1, keepdims=True)
        note = f"Rounded probabilities sum to {low:.3g} … {high:.3g} and were rescaled to 1."
        return columns.noting(note, values=values)
    note = (
        f"Rows of y_score sum to {low:.3g} … {high:.3g}, not to 1: each column is read as an "
        "independent score, and log loss and Brier score do not apply."
    )
    return columns.noting(note, kind=ScoreKind.INDEPENDENT)


def _rounding(values: FloatArray) -> float:
    """By how much rounding to few decimals can move the sum of a row; 0 when not rounded."""
    finite = values[np.isfinite(values)].astype(np.float64)
    for decimals in (1, 2, 3, 4):
        # A few values nearly always tell; only then look at all of them.
        if _has_decimals(finite[:100], decimals) and _has_decimals(finite, decimals):
            return min(0.1, 0.51 * int(values.shape[1]) * 10.0**-decimals)
    return 0.0


def _has_decimals(values: FloatArray, decimals: int) -> bool:
    scaled = values * 10**decimals
    return bool(np.abs(scaled - np.round(scaled)).max() < 1e-3)


# ---- the three forms -------------------------------------------------------------------------


def binary_scores(columns: Columns, expected: Expected) -> Scores:
    """`(n,)` scores of the positive class."""
    if columns.width == 1:
        return _one_column(columns, expected)
    columns = _settle_sums(_settle_kind(_from_percent(columns)))
    if columns.kind in _UNBOUNDED:
        columns = _arrange(columns, expected, -np.inf)
    else:
        columns = _arrange(columns, expected, 0.0)
    positive = expected.pos_label if expected.pos_label is not None else 1
    chosen = columns.values[:, positive]
    if columns.kind not in _UNBOUNDED:
        either = np.isnan(columns.values).any(axis=1)
        chosen = np.where(either, np.asarray(np.nan, dtype=chosen.dtype), chosen)
        return Scores(chosen, columns.settled, columns.notes)
    with np.errstate(invalid="ignore", over="ignore"):  # inf - inf: no usable score
        difference = chosen - columns.values[:, 1 - positive]
    note = "Two columns of unbounded scores: the difference of the positive and the other is used."
    return Scores(difference, columns.settled, (*columns.notes, note))


def _one_column(columns: Columns, expected: Expected) -> Scores:
    columns = _settle_kind(columns)
    spoken, columns = _class_of_single_column(columns, expected)
    values = columns.values[:, 0]
    if spoken == expected.pos_label:
        return Scores(values, columns.settled, columns.notes)
    labels = expected.labels
    note = (
        f"Scores are of {labels[spoken]} and were turned round for the positive class "
        f"{labels[1 - spoken]}."
    )
    turned = -values if columns.kind in _UNBOUNDED else 1 - values
    return Scores(turned, columns.settled, (*columns.notes, note))


def _class_of_single_column(columns: Columns, expected: Expected) -> tuple[int, Columns]:
    """Which class one column of scores speaks of."""
    labels, classes = expected.labels, columns.classes
    if classes is not None:
        if len(classes) > 2:
            raise PredictionError(_wrong_width(1, classes))
        positions, note = match_classes(classes, labels)
        return positions[-1], columns.noting(note)
    if not any(isinstance(label, str) for label in labels):
        return 1, columns  # 0/1, -1/1, False/True: every library scores the second
    positive = expected.pos_label if expected.pos_label is not None else 1
    note = f"The source names no class; its score is read as that of {labels[positive]}."
    return positive, columns.noting(note)


def multiclass_scores(columns: Columns, expected: Expected) -> Scores:
    """`(n, n_classes)` in the order of the labels."""
    if columns.width == 1 and len(expected.labels) == 2:
        columns = _two_from_one(columns)
    if columns.width == 1:
        raise PredictionError(_wrong_width(1, columns.classes or expected.labels))
    columns = _settle_kind(_from_percent(columns))
    if columns.kind is ScoreKind.LOGIT:
        note = "Log-odds (logits) were turned into probabilities with softmax."
        columns = columns.noting(note, values=_softmax(columns.values), kind=ScoreKind.PROBABILITY)
    columns = _settle_sums(columns)
    fill = -np.inf if columns.kind in _UNBOUNDED else 0.0
    columns = _arrange(columns, expected, fill)
    return Scores(columns.values, columns.settled, columns.notes)


def _two_from_one(columns: Columns) -> Columns:
    columns = _settle_kind(columns)
    second = columns.values
    if columns.kind is ScoreKind.DECISION:
        pair = np.hstack([-second, second])
    elif columns.kind is ScoreKind.LOGIT:
        pair = np.hstack([np.zeros_like(second), second])
    else:
        pair = np.hstack([1 - second, second])
    return columns.noting(values=pair)


def _softmax(values: FloatArray) -> FloatArray:
    """Softmax of each row; one +inf takes all, several (or only -inf) leave no usable score."""
    with np.errstate(invalid="ignore", over="ignore"):
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        shares: FloatArray = powers / powers.sum(axis=1, keepdims=True)
    certain = np.isposinf(values)
    once = certain.sum(axis=1) == 1
    once &= ~np.isnan(values).any(axis=1)
    shares[once] = certain[once]
    return shares


def label_scores(columns: Columns, expected: Expected) -> Scores:
    """Multilabel: `(n, n_labels)` in the order of the labels, each on its own."""
    columns = _settle_kind(columns)
    if columns.classes is not None and len(columns.classes) == columns.width:
        positional = columns.classes == tuple(range(len(expected.labels)))
        columns = columns.noting(classes=None) if positional else columns
    fill = -np.inf if columns.kind in _UNBOUNDED else 0.0
    columns = _arrange(columns, expected, fill)
    return Scores(columns.values, columns.settled, columns.notes)
