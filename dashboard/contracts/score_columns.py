"""Scores and values in every shape that frameworks and files produce, read as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import PredictionError
from .vocabulary import (
    Label,
    ScoreKind,
    Task,
    canonical_label,
    listing,
    match_labels,
    plural,
)

__all__ = ["Columns", "Expected", "number_array", "read_columns"]

FloatArray = npt.NDArray[np.floating[Any]]

_PROBABILITY_NAMES = ("probabilities", "probability", "proba", "probs", "predictions", "scores")
_LOGIT_NAMES = ("logits", "logit")


class Expected(NamedTuple):
    """What predictions are for: the fields of a `Target` that their form depends on."""

    task: Task
    labels: tuple[Label, ...]
    pos_label: int | None
    n: int


@dataclass(frozen=True, eq=False)
class Columns:
    """Scores as one table.

    Attributes
    ----------
    values : `(n, m)` float32 or float64.
    classes : the class, label or output of each column; None when the source names none.
    kind : what the source says they are; None = detect.
    notes : sentences on what was done.
    """

    values: FloatArray
    classes: tuple[Label, ...] | None
    kind: ScoreKind | None
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        return int(self.values.shape[1])

    @property
    def settled(self) -> ScoreKind:
        """The kind once `_settle_kind` has run."""
        return self.kind or ScoreKind.PROBABILITY

    def noting(self, *notes: str | None, **changes: Any) -> Columns:
        """A copy with notes added and fields changed."""
        said = tuple(note for note in notes if note)
        return replace(self, notes=self.notes + said, **changes)


def read_columns(
    scores: Any,
    classes: Sequence[Any] | None,
    kind: ScoreKind | None,
    expected: Expected,
    what: str = "y_score",
) -> Columns:
    """One table from arrays, frames, lists of arrays and dicts.

    Raises
    ------
    PredictionError : text, more than two dimensions, wrong length, ambiguous dicts.
    """
    if isinstance(scores, Mapping):
        return _read_mapping(scores, classes, kind, expected, what)
    if isinstance(scores, (list, tuple)) and _is_list_of_columns(scores, expected):
        return _read_list(scores, classes, kind, expected, what)
    if isinstance(scores, pd.DataFrame) and classes is None:
        classes = _named_columns(scores.columns, expected)
    values = _table(number_array(scores, what), expected.n, what)
    return Columns(values, _canonical_classes(classes), kind)


def number_array(values: Any, what: str) -> FloatArray:
    """Floats (float32 stays, everything else becomes float64) with NaN where missing."""
    if hasattr(values, "toarray"):
        values = values.toarray()
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.float64), np.nan)
    try:
        if isinstance(values, (pd.Series, pd.DataFrame)):
            return _number_frame(values)
        array = np.asarray(values)
        if array.dtype.kind == "O" and array.ndim in (1, 2):
            return _number_frame(pd.DataFrame(array)).reshape(array.shape)
        if array.dtype in (np.float32, np.float16):
            return array.astype(np.float32, copy=False)
        if array.dtype.kind not in "biufOUS":
            raise TypeError(f"{array.dtype} values")
        return array.astype(np.float64, copy=False)
    except (TypeError, ValueError, OverflowError) as error:
        raise PredictionError(
            f"{what} holds values that are no numbers ({error}). Pass numeric columns."
        ) from error


def _number_frame(values: pd.Series[Any] | pd.DataFrame) -> FloatArray:
    types = list(values.dtypes) if isinstance(values, pd.DataFrame) else [values.dtype]
    if any(getattr(kind, "kind", "O") in "mMc" for kind in types):
        raise TypeError("dates, durations or complex numbers")
    if all(kind == np.float32 for kind in types):
        return values.to_numpy(dtype=np.float32)
    return values.to_numpy(dtype=np.float64, na_value=np.nan)


def _table(array: FloatArray, n: int, what: str) -> FloatArray:
    """`(n, m)` from `(n,)`, `(n, m)` or arrays whose further dimensions are 1."""
    if array.ndim == 0:
        raise PredictionError(f"{what} is a single number; {plural(n, 'row')} are needed.")
    if len(array) != n:
        raise PredictionError(
            f"{what} has {plural(len(array), 'row')}; the evaluation set has {n:,}. "
            "Pass one answer per evaluated row, in the same order."
        )
    if 0 in array.shape[1:]:
        raise PredictionError(f"{what} has no columns; one per class or output is needed.")
    wide = [length for length in array.shape[1:] if length != 1]
    if len(wide) > 1:
        raise PredictionError(
            f"{what} has the shape {array.shape}; (rows,) or (rows, columns) is needed. "
            "For sequences or images, reduce each row to one answer per class first."
        )
    return array.reshape(n, wide[0] if wide else 1)


def _canonical_classes(classes: Sequence[Any] | None) -> tuple[Label, ...] | None:
    if classes is None:
        return None
    labels = tuple(canonical_label(value) for value in classes)
    if any(label is None for label in labels):
        raise PredictionError(f"The classes {listing(classes)} contain a missing value. Name each.")
    return tuple(label for label in labels if label is not None)


def _named_columns(names: Any, expected: Expected) -> list[Label] | None:
    """The columns of a frame as classes, when they are written like the labels."""
    labels = [label for label in map(canonical_label, names) if label is not None]
    if len(labels) != len(names) or not labels:
        return None
    match = match_labels(labels, expected.labels, complete=True)
    return labels if not match.unknown and not match.note else None


def _read_mapping(
    scores: Mapping[Any, Any],
    classes: Sequence[Any] | None,
    kind: ScoreKind | None,
    expected: Expected,
    what: str,
) -> Columns:
    by_name = {str(key).strip().lower(): value for key, value in scores.items()}
    named = _named_columns(list(scores), expected)
    if named is not None:
        stacked = _stack([scores[key] for key in scores], expected, what)
        return Columns(stacked, tuple(named), kind)
    for names, meaning in ((_PROBABILITY_NAMES, kind), (_LOGIT_NAMES, kind or ScoreKind.LOGIT)):
        for name in names:
            if name in by_name:
                columns = read_columns(by_name[name], classes, meaning, expected, what)
                others = len(scores) - 1
                return columns.noting(
                    f"Of {others + 1} outputs {name!r} is read." if others else None
                )
    if len(scores) == 1:
        return read_columns(next(iter(scores.values())), classes, kind, expected, what)
    if _one_head_each(scores, expected):
        columns = read_columns(list(scores.values()), classes, kind, expected, what)
        return columns.noting(f"Its outputs are named otherwise: {listing(scores)}.")
    raise PredictionError(
        f"The source answers with {len(scores)} outputs ({listing(scores)}); one, or one per class "
        f"({listing(expected.labels)}), is needed. Name the outputs like the classes, or pass one."
    )


def _one_head_each(names: Any, expected: Expected) -> bool:
    """Whether there is one output for each label or target, and none is named like one."""
    if expected.task not in (Task.MULTILABEL, Task.MULTIOUTPUT_REGRESSION):
        return False
    labels = [label for label in map(canonical_label, names) if label is not None]
    unknown = match_labels(labels, expected.labels).unknown
    return len(unknown) == len(names) == len(expected.labels)


def _is_list_of_columns(scores: Sequence[Any], expected: Expected) -> bool:
    """Whether a list holds columns (one array per label) rather than rows or numbers."""
    if not scores or not all(np.ndim(getattr(part, "shape", None) or 0) for part in scores):
        return False
    if all(len(part.shape) > 1 for part in scores):
        return True
    return len(scores) != expected.n and all(part.shape[0] == expected.n for part in scores)


def _read_list(
    scores: Sequence[Any],
    classes: Sequence[Any] | None,
    kind: ScoreKind | None,
    expected: Expected,
    what: str,
) -> Columns:
    if len(scores) == 1:
        return read_columns(scores[0], classes, kind, expected, what)
    if expected.task is Task.MULTILABEL:
        return _read_label_list(scores, classes, kind, expected, what)
    return Columns(_stack(scores, expected, what), _canonical_classes(classes), kind)


def _stack(parts: Sequence[Any], expected: Expected, what: str) -> FloatArray:
    tables = [_table(number_array(part, what), expected.n, what) for part in parts]
    widths = sorted({table.shape[1] for table in tables})
    if widths == [2] and expected.task.is_classification:  # a pair (absent, present) for each class
        tables = [table[:, 1:] for table in tables]
    elif widths != [1]:
        raise PredictionError(
            f"{what} is {len(parts)} arrays of {listing(widths)} columns; one column each is "
            "needed. Pass one array with one column per class."
        )
    return np.hstack(tables)


def _read_label_list(
    scores: Sequence[Any],
    classes: Sequence[Any] | None,
    kind: ScoreKind | None,
    expected: Expected,
    what: str,
) -> Columns:
    """Multilabel `predict_proba` of scikit-learn: for each label an array `(n, 2)` or `(n, 1)`."""
    known = list(classes) if classes is not None and len(classes) == len(scores) else None
    pairs = known if known and all(np.ndim(known_class) for known_class in known) else None
    columns, notes = [], []
    for i, part in enumerate(scores):
        table = _table(number_array(part, what), expected.n, what)
        seen = None if pairs is None else [canonical_label(value) for value in pairs[i]]
        column, note = _label_column(table, seen, i, what)
        columns.append(column)
        notes += [note] if note else []
    names = None if pairs is not None else _canonical_classes(classes)
    return Columns(np.column_stack(columns), names, kind, tuple(notes))


def _label_column(
    table: FloatArray, seen: list[Label | None] | None, i: int, what: str
) -> tuple[FloatArray, str | None]:
    if table.shape[1] == 2:
        return table[:, 1], None
    if table.shape[1] != 1:
        raise PredictionError(
            f"{what} has {table.shape[1]} columns for label {i + 1}; two (absent, present) or one "
            "is needed. Pass the probability that the label is present."
        )
    column = table[:, 0]
    constant = seen is not None and len(seen) == 1
    if not constant and not (seen is None and np.all(column == 1)):
        return column, None
    present = constant and seen is not None and bool(seen[0])
    word = "always" if present else "never"
    note = f"Label {i + 1} was {word} present when the model was fitted, so it {word} predicts it."
    return np.full_like(column, 1.0 if present else 0.0), note
