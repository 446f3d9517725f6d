"""What a model or file said, brought into the form of the target: labels, scores, values, rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ParameterError, PredictionError
from .score_columns import Expected, number_array, read_columns
from .scores import (
    Scores,
    binary_scores,
    label_scores,
    match_classes,
    multiclass_scores,
    unnamed_order,
)
from .vocabulary import (
    Label,
    ScoreKind,
    Task,
    canonical_label,
    encode_labels,
    in_style_of,
    listing,
    match_labels,
    plural,
    sorted_labels,
)

__all__ = ["Answers", "NormalForm", "check_weights", "known_labels", "normalise_answers"]

FloatArray = npt.NDArray[np.floating[Any]]
_LABEL = "Predicted labels"


@dataclass(frozen=True, eq=False)
class Answers:
    """The fields of a `RawPredictions`, as given."""

    labels: Any | None
    scores: Any | None
    classes: Sequence[Any] | None
    score_kind: ScoreKind | None


@dataclass(frozen=True, eq=False)
class NormalForm:
    """Answers of the usable rows, as `Predictions` documents them.

    Attributes
    ----------
    y_pred, y_score, score_kind : of the kept rows.
    rows : positions of the kept rows.
    notes : what was detected, converted, left out.
    """

    y_pred: npt.NDArray[Any] | None
    y_score: FloatArray | None
    score_kind: ScoreKind | None
    rows: npt.NDArray[np.int64]
    notes: tuple[str, ...]


def normalise_answers(answers: Answers, expected: Expected) -> NormalForm:
    """Bring `answers` into the form that `expected` asks for.

    Raises
    ------
    PredictionError : shapes, classes or lengths that do not fit; no usable row.
    """
    if answers.labels is None and answers.scores is None:
        raise PredictionError(
            "Neither labels nor scores were given; one of them is needed for each row."
        )
    answers = _readable(answers)
    if not expected.task.is_classification:
        return _numbers(answers, expected)
    answers, notes = _sort_out(answers, expected)
    y_pred = None
    if answers.labels is not None:
        read = _label_matrix if expected.task is Task.MULTILABEL else _class_codes
        y_pred, said = read(answers, expected)
        notes += said
    if answers.scores is None:
        return _kept(y_pred, None, notes, expected)
    scores = _scores(answers, y_pred, expected)
    if y_pred is None and expected.task is Task.MULTICLASS:
        y_pred = _argmax(scores.values)
    return _kept(y_pred, scores, tuple(dict.fromkeys((*notes, *scores.notes))), expected)


def _readable(answers: Answers) -> Answers:
    classes = answers.classes
    if classes is not None and (isinstance(classes, str) or not np.iterable(classes)):
        raise PredictionError(f"The classes are {classes!r}; a list of one name each is needed.")
    return Answers(
        _plain(answers.labels, _LABEL),
        _plain(answers.scores, "y_score"),
        None if classes is None or not len(classes) else list(classes),
        answers.score_kind,
    )


def _plain(values: Any, what: str) -> Any:
    """An array from a list of numbers, texts or rows; lists of arrays and the rest unchanged."""
    if isinstance(values, np.ma.MaskedArray):
        plain = values.data.astype(object)
        plain[np.ma.getmaskarray(values)] = None
        return plain
    if hasattr(values, "to_pandas") and not hasattr(values, "iloc"):
        return values.to_pandas()
    if values is None or isinstance(values, Mapping) or len(getattr(values, "shape", ())):
        return values
    if isinstance(values, str) or not np.iterable(values):
        raise PredictionError(f"{what} is a single {type(values).__name__}; pass one per row.")
    values = list(values)
    if values and len(getattr(values[0], "shape", ())):
        return values
    try:
        array = np.asarray(values)
        return array if array.dtype.kind in "biuf" else np.array(values, dtype=object)
    except ValueError as error:
        raise PredictionError(
            "The rows of the predictions differ in length. Pass the same number of columns in each."
        ) from error


def known_labels(answers: Answers, expected: Expected) -> tuple[Label, ...]:
    """Classes that a source names or answers and a multiclass target lacks.

    Written like the target's own labels; codes 0 … k-1 for k classes name nothing new. A network
    without names and with more columns than classes, where all classes are whole numbers below
    the number of columns, answers 0 … columns - 1.
    """
    if expected.task is not Task.MULTICLASS:
        return ()
    answers = _readable(answers)
    if answers.classes is not None:
        known = _new_labels(list(answers.classes), expected, complete=True)
    else:
        known = _unnamed_columns(answers.scores, expected)
    if answers.labels is None or isinstance(answers.labels, list) or _width(answers.labels) != 1:
        return known
    _, seen = encode_labels(_vector(answers.labels))
    answered = _new_labels(seen, expected, complete=False)
    # Mostly strange labels are the wrong file or column, not new classes.
    few = len(answered) <= len(seen) / 2 and not any(isinstance(v, float) for v in answered)
    return tuple(dict.fromkeys((*known, *answered))) if few else known


def _new_labels(given: Sequence[Any], expected: Expected, *, complete: bool) -> tuple[Label, ...]:
    labels = [label for label in map(canonical_label, given) if label is not None]
    unknown = match_labels(labels, expected.labels, complete=complete).unknown
    styled = [in_style_of(label, expected.labels) for label in unknown]
    return tuple(dict.fromkeys(label for label in styled if label is not None))


def _unnamed_columns(scores: Any, expected: Expected) -> tuple[Label, ...]:
    width = _width(scores) if isinstance(scores, np.ndarray) else 0
    codes = all(isinstance(label, int) and 0 <= label < width for label in expected.labels)
    if not codes or width <= len(expected.labels):
        return ()
    return tuple(code for code in range(width) if code not in expected.labels)


def _any_float(labels: Sequence[Label]) -> bool:
    return any(isinstance(label, float) for label in labels)


# ---- which of the answers is what ------------------------------------------------------------


def _sort_out(answers: Answers, expected: Expected) -> tuple[Answers, tuple[str, ...]]:
    """Move scores that were given as labels, and labels that were given as scores."""
    if answers.scores is None and _are_scores(answers.labels, expected):
        note = "Predicted labels hold fractions between 0 and 1, so they are read as scores."
        both = answers.labels if _width(answers.labels) > 1 else None
        if expected.task is Task.MULTILABEL:
            both = None
        return Answers(both, answers.labels, answers.classes, answers.score_kind), (note,)
    if answers.labels is None and _are_labels(answers.scores, expected):
        note = "The scores are one column of class labels, so they are read as predicted labels."
        return Answers(answers.scores, None, answers.classes, None), (note,)
    return answers, ()


def _width(values: Any) -> int:
    """Columns of an array or frame; 1 for everything without a shape."""
    return int(np.prod(getattr(values, "shape", ())[1:]))


def _vector(values: Any) -> Any:
    """`(n,)` of `(n,)`, `(n, 1)` or a frame of one column."""
    if isinstance(values, pd.DataFrame):
        return values.iloc[:, 0]
    if isinstance(values, np.ndarray) and values.ndim != 1:
        return values.reshape(-1)
    return values


def _fractions(values: Any) -> npt.NDArray[np.float64] | None:
    """The values as floats when they are numbers with fractions, else None."""
    if hasattr(values, "toarray") or isinstance(values, (Mapping, list, tuple)):
        return None
    if isinstance(values, pd.DataFrame):
        kinds = {dtype.kind for dtype in values.dtypes}
    else:
        kinds = {getattr(getattr(values, "dtype", None), "kind", "O")}
    if not kinds <= set("fiub") or "f" not in kinds:
        return None
    array = number_array(values, _LABEL).astype(np.float64)
    finite = array[np.isfinite(array)]
    return finite if np.any(finite != np.round(finite)) else None


def _are_scores(labels: Any, expected: Expected) -> bool:
    if expected.task is Task.MULTICLASS and _width(labels) == 1:
        return False
    fractions = None if _any_float(expected.labels) else _fractions(labels)
    return fractions is not None and (
        _width(labels) > 1 or (fractions.min() >= 0 and fractions.max() <= 1)
    )


def _are_labels(scores: Any, expected: Expected) -> bool:
    """One column for several classes can only be labels; text can never be scores."""
    if isinstance(scores, (Mapping, list, tuple)) or _width(scores) != 1:
        return False
    if expected.task is not Task.MULTICLASS or len(expected.labels) == 2:
        return False
    if _fractions(scores) is not None:
        return False
    _, seen = encode_labels(_vector(scores))
    return not match_labels(seen, expected.labels).unknown


# ---- labels ----------------------------------------------------------------------------------


def _class_codes(answers: Answers, expected: Expected) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """`(n,)` int64 codes of the predicted classes, -1 where missing."""
    if isinstance(answers.labels, (Mapping, list, tuple)) or _width(answers.labels) != 1:
        return _codes_of_columns(answers, expected)
    vector = _vector(answers.labels)
    _check_length(len(vector), expected.n)
    if _fractions(vector) is not None and not _any_float(expected.labels):
        raise PredictionError(_continuous(vector, expected))
    codes, seen = encode_labels(vector)
    positions, note = _positions(seen, answers.classes, expected)
    return np.append(positions, -1)[codes], (note,) if note else ()


def _positions(
    seen: tuple[Label, ...], classes: Sequence[Any] | None, expected: Expected
) -> tuple[npt.NDArray[np.int64], str | None]:
    named = [] if classes is None else [canonical_label(value) for value in classes]
    complete = [label for label in named if label is not None]
    # What the labels 1 and 2 mean can depend on classes that were never predicted.
    if set(seen) <= set(complete):
        match = match_labels(complete, expected.labels, complete=True)
    else:
        match = match_labels(seen, expected.labels)
    if any(label not in match.positions for label in seen):
        unknown = [label for label in seen if label not in match.positions]
        raise PredictionError(
            f"{_LABEL} {listing(sorted_labels(unknown))} are no classes of the target, which are "
            f"{listing(expected.labels)}. Add them to the target, or correct the labels."
        )
    return np.array([match.positions[label] for label in seen], dtype=np.int64), match.note


def _continuous(values: Any, expected: Expected) -> str:
    fractions = _fractions(values)
    low, high = (0.0, 0.0) if fractions is None else (fractions.min(), fractions.max())
    return (
        f"{_LABEL} are numbers with fractions from {low:.3g} to {high:.3g}; the classes "
        f"{listing(expected.labels)} are needed. Use a classifier, or choose regression."
    )


def _check_length(given: int, n: int) -> None:
    if given != n:
        raise PredictionError(
            f"{_LABEL} have {plural(given, 'row')}; the evaluation set has {n:,}. "
            "Pass one answer per evaluated row, in the same order."
        )


def _codes_of_columns(
    answers: Answers, expected: Expected
) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """One-hot or softmax output given as labels: the largest column."""
    columns = read_columns(answers.labels, answers.classes, None, expected, _LABEL)
    names = columns.classes if columns.classes is not None else expected.labels
    if len(names) != columns.width:
        raise PredictionError(
            f"{_LABEL} have {columns.width} columns; {len(names):,} classes are named "
            f"({listing(names, 20)}). Pass one label per row, or one column per class."
        )
    positions, note = match_classes(names, expected.labels)
    winners = _argmax(columns.values)
    said = f"{_LABEL} have {columns.width} columns; the class of the largest is used."
    codes: npt.NDArray[Any] = np.append(np.array(positions, dtype=np.int64), -1)[winners]
    return codes, (said, note) if note else (said,)


def _argmax(values: FloatArray) -> npt.NDArray[np.int64]:
    """The largest column of each row, the first among equals; -1 where a value is missing."""
    winners: npt.NDArray[np.int64] = values.argmax(axis=1).astype(np.int64)
    winners[np.isnan(values).any(axis=1)] = -1
    return winners


def _label_matrix(answers: Answers, expected: Expected) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """`(n, n_labels)` floats 0 and 1, NaN where missing."""
    names = answers.classes
    if names is not None and any(np.ndim(name) for name in names):
        names = None  # scikit-learn names (0, 1) for each label
    columns = read_columns(answers.labels, names, None, expected, _LABEL)
    finite = columns.values[~np.isnan(columns.values)]
    if not np.isin(finite, (0, 1)).all():
        raise PredictionError(
            f"{_LABEL} hold values other than 0 and 1; the task is multilabel. "
            "Pass 0 or 1 for each label, or pass the values as scores."
        )
    positional = columns.classes == tuple(range(len(expected.labels)))
    if columns.classes is None or positional:
        positions: list[int] = list(range(columns.width))
        note: str | None = unnamed_order(expected)
    else:
        positions, note = match_classes(columns.classes, expected.labels)
    if sorted(positions) != list(range(len(expected.labels))):
        raise PredictionError(
            f"{_LABEL} have {columns.width} columns; the target has {len(expected.labels)} labels "
            f"({listing(expected.labels, 20)}). Pass one column per label in that order."
        )
    arranged = np.empty((expected.n, len(expected.labels)))
    arranged[:, positions] = columns.values
    return arranged, (note,) if note else ()


# ---- scores ----------------------------------------------------------------------------------


def _scores(answers: Answers, y_pred: npt.NDArray[Any] | None, expected: Expected) -> Scores:
    classes = answers.classes
    per_label = expected.task is Task.MULTILABEL and isinstance(answers.scores, (list, tuple))
    if classes is not None and not per_label and any(np.ndim(known) for known in classes):
        classes = None
    columns = read_columns(answers.scores, classes, answers.score_kind, expected)
    if expected.task is Task.MULTICLASS:
        return multiclass_scores(columns, expected)
    if expected.task is Task.MULTILABEL:
        return label_scores(columns, expected)
    scores = binary_scores(columns, expected)
    if columns.width == 1 and columns.classes is None and y_pred is not None:
        return _agreeing(scores, y_pred, expected)
    return scores


def _agreeing(scores: Scores, y_pred: npt.NDArray[Any], expected: Expected) -> Scores:
    """Turn unnamed scores round when the source's own labels say they are of the other class."""
    usable = (y_pred >= 0) & np.isfinite(scores.values)
    flagged = y_pred[usable] == expected.pos_label
    values = scores.values[usable]
    if flagged.all() or not flagged.any():
        return scores
    if np.median(values[flagged]) >= np.median(values[~flagged]):
        return scores
    note = (
        "Scores are lower where the source predicts the positive class, so they are read as those "
        "of the other class and were turned round."
    )
    unbounded = scores.kind in (ScoreKind.LOGIT, ScoreKind.DECISION)
    turned = -scores.values if unbounded else 1 - scores.values
    return Scores(turned, scores.kind, (*scores.notes, note))


# ---- numbers ---------------------------------------------------------------------------------


def _numbers(answers: Answers, expected: Expected) -> NormalForm:
    """Regression: `(n,)` or `(n, n_outputs)` float64. Networks give their values as scores."""
    values = answers.scores if answers.labels is None else answers.labels
    columns = read_columns(values, answers.classes, None, expected, "y_pred")
    array, labels = columns.values.astype(np.float64), expected.labels
    width = len(labels) or 1
    if columns.width != width:
        wanted = f"{width} outputs ({listing(labels, 20)})" if labels else "one output"
        raise PredictionError(
            f"y_pred has {plural(columns.width, 'column')}; the target has {wanted}. "
            "Pass one column per output in that order."
        )
    note = unnamed_order(expected) if labels else None
    if columns.classes is not None and labels and len(columns.classes) == width:
        positions, note = match_classes(columns.classes, labels)
        array = array[:, np.argsort(positions)]
    array = np.where(np.isfinite(array), array, np.nan)
    y_pred = array if labels else array[:, 0]
    return _kept(y_pred, None, (note,) if note else (), expected)


# ---- rows ------------------------------------------------------------------------------------


def _kept(
    y_pred: npt.NDArray[Any] | None,
    scores: Scores | None,
    notes: tuple[str, ...],
    expected: Expected,
) -> NormalForm:
    """Leave out, count and name the rows without a usable answer."""
    lacking = np.zeros(expected.n, dtype=bool)
    parts = []
    if scores is not None:
        lacking |= _any_in_row(np.isnan(scores.values))
        parts += ["score"] if lacking.any() else []
    if y_pred is not None:
        unlabelled = _any_in_row(np.isnan(y_pred) if y_pred.dtype.kind == "f" else y_pred < 0)
        word = "predicted label" if expected.task.is_classification else "prediction"
        parts += [word] if (unlabelled & ~lacking).any() else []
        lacking |= unlabelled
    rows = np.flatnonzero(~lacking).astype(np.int64)
    n_out = expected.n - len(rows)
    if not len(rows):
        raise PredictionError(
            f"None of {plural(expected.n, 'row')} has a usable {' and '.join(parts) or 'row'}. "
            "Check the predictions for missing and infinite values."
        )
    if n_out:
        verb = "has" if n_out == 1 else "have"
        are = "is" if n_out == 1 else "are"
        note = (
            f"{n_out:,} of {plural(expected.n, 'row')} {verb} no usable {' or '.join(parts)} "
            f"and {are} left out for this model."
        )
        notes = (*notes, note)
    values = None if scores is None else (scores.values[rows] if n_out else scores.values)
    labels = y_pred if y_pred is None or not n_out else y_pred[rows]
    if labels is not None and expected.task is Task.MULTILABEL:
        labels = labels.astype(np.uint8)
    return NormalForm(labels, values, scores.kind if scores else None, rows, notes)


def _any_in_row(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    return flags if flags.ndim == 1 else np.asarray(flags.any(axis=1))


def check_weights(sample_weight: Any, n: int) -> npt.NDArray[np.float64]:
    """`(n,)` float64 weights.

    Raises
    ------
    ParameterError : wrong length, negative or non-finite weights, or a sum of zero.
    """
    weights = np.asarray(sample_weight, dtype=np.float64).reshape(-1)
    if len(weights) != n:
        raise ParameterError(
            f"sample_weight has {plural(len(weights), 'value')}; the evaluation set has {n:,} "
            "rows. Pass one weight per row."
        )
    if not np.isfinite(weights).all() or weights.min() < 0 or weights.sum() <= 0:
        raise ParameterError(
            "sample_weight must be finite, not negative and not all zero. Correct the column, or "
            "leave the weights out."
        )
    return weights
