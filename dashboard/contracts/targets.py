"""From a column, or several, to a task, its labels and the encoded truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import DataError, LimitExceeded, ParameterError
from .vocabulary import (
    Label,
    Task,
    canonical_label,
    encode_labels,
    listing,
    match_labels,
    plural,
    sorted_labels,
)

__all__ = ["EncodedTarget", "encode_target"]

# Whole numbers with at most this many distinct values are classes.
MANY_VALUES = 20
# Beyond, they stay classes only with this many rows per value and no gap between them.
SHARE_OF_ROWS = 0.05

# fmt: off
_POSITIVE = frozenset((
    "1", "true", "t", "yes", "y", "positive", "pos", "default", "defaulted", "bad", "malignant",
    "fraud", "churn", "churned", "spam", "sick", "disease", "failure", "failed", "event",
    "anomaly", "attack",
))
_NEGATIVE = frozenset((
    "0", "-1", "false", "f", "no", "n", "negative", "neg", "none", "good", "benign", "normal",
    "healthy", "ham", "legit", "other", "rest",
))
# fmt: on


class EncodedTarget(NamedTuple):
    """The fields of a `Target`, in its order and meaning, but for the name."""

    task: Task
    labels: tuple[Label, ...]
    y: npt.NDArray[Any]
    pos_label: int | None
    notes: tuple[str, ...]


def encode_target(
    values: Any, name: str, task: Task | None, pos_label: Label | None, max_classes: int
) -> EncodedTarget:
    """Infer the task where it is None, then encode; see `Target.from_values` for the errors."""
    frame = _frame(values, name)
    _check_complete(frame, name)
    if frame.shape[1] == 1:
        encoded = _encode_column(frame.iloc[:, 0], name, task, max_classes)
    else:
        encoded = _encode_columns(frame, name, task)
    if encoded.task is Task.BINARY:
        return _with_positive_class(encoded, pos_label, name)
    if pos_label is not None:
        raise ParameterError(
            f"A positive class ({pos_label}) was given; the task of {name} is {encoded.task}. "
            "Leave it out, or choose a target with two classes."
        )
    return encoded


def _called(name: str) -> str:
    """`target price`, and only `target` for a column of that name."""
    return "target" if name.strip().lower() == "target" else f"target {name}"


def _frame(values: Any, name: str) -> pd.DataFrame:
    if not isinstance(values, (pd.DataFrame, pd.Series)) and hasattr(values, "to_pandas"):
        values = values.to_pandas()
    if isinstance(values, pd.DataFrame):
        frame = values
    elif isinstance(values, (pd.Series, pd.Index, pd.api.extensions.ExtensionArray)):
        frame = pd.DataFrame({name: values})
    else:
        frame = _frame_from_array(_array(values), name)
    if frame.shape[1] == 0 or len(frame) == 0:
        raise DataError(
            f"The {_called(name)} has {plural(len(frame), 'row')} and "
            f"{plural(frame.shape[1], 'column')}; at least one of each is needed."
        )
    return frame


def _array(values: Any) -> npt.NDArray[Any]:
    """An array that keeps mixed lists as they are; rows of equal length become 2-D."""
    if hasattr(values, "toarray"):
        values = values.toarray()
    if isinstance(values, np.ndarray):
        return values.astype(np.float64) if values.dtype == np.float16 else values
    listed = list(values)
    widths = {len(row) if isinstance(row, (list, tuple, np.ndarray)) else None for row in listed}
    if len(widths) == 1 and None not in widths:
        return np.asarray(listed)
    array = np.empty(len(listed), dtype=object)
    array[:] = listed
    return array


def _frame_from_array(array: npt.NDArray[Any], name: str) -> pd.DataFrame:
    if array.ndim == 2 and array.shape[1] != 1:
        return pd.DataFrame(array)
    if array.ndim in (1, 2):
        return pd.DataFrame({name: array.reshape(-1)})
    raise DataError(
        f"The {_called(name)} has the shape {array.shape}; (rows,) or (rows, columns) is needed. "
        "Pass one value or one row of columns for each row of data."
    )


def _check_complete(frame: pd.DataFrame, name: str) -> None:
    n_missing = int(frame.isna().any(axis=1).sum())
    if n_missing:
        raise DataError(
            f"The {_called(name)} has no value in {n_missing:,} of {plural(len(frame), 'row')}. "
            "Leave these rows out first."
        )


def _encode_column(
    column: pd.Series[Any], name: str, task: Task | None, max_classes: int
) -> EncodedTarget:
    if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
        raise DataError(
            f"The {_called(name)} holds dates or durations; classes or numbers are needed. "
            "Choose another column, or turn it into numbers."
        )
    if task in (Task.MULTILABEL, Task.MULTIOUTPUT_REGRESSION):
        raise ParameterError(
            f"The task {task} was asked for; the {_called(name)} is one column. "
            "Pass one column per label or output, or choose another task."
        )
    numbers = _numbers(column)
    reason = "as asked" if task is not None else None
    if task is None:
        task, reason = _infer_numeric(numbers) if numbers is not None else (None, None)
    if task is Task.REGRESSION:
        return _encode_numbers(column if numbers is None else numbers, name, reason)
    return _encode_classes(column, name, task, reason, max_classes)


def _numbers(column: pd.Series[Any]) -> npt.NDArray[np.float64] | None:
    """The column as floats, or None when it is meant as names (text, bools, categories)."""
    if pd.api.types.is_bool_dtype(column) or isinstance(column.dtype, pd.CategoricalDtype):
        return None
    if pd.api.types.is_numeric_dtype(column):
        return np.asarray(column, dtype=np.float64)
    kind = pd.api.types.infer_dtype(column)
    if kind in ("integer", "floating", "mixed-integer-float", "decimal"):
        return np.asarray(column, dtype=np.float64)
    return None


def _infer_numeric(values: npt.NDArray[np.float64]) -> tuple[Task | None, str | None]:
    """Regression and why, or None for classes; the number of classes is counted later."""
    distinct = np.unique(values)
    if np.any(distinct != np.round(distinct)):
        return Task.REGRESSION, "it holds fractions"
    count = len(distinct)
    if count <= MANY_VALUES:
        return None, None
    if count > SHARE_OF_ROWS * len(values):
        share = count / len(values)
        return Task.REGRESSION, f"{count:,} distinct whole numbers, {share:.0%} of the rows"
    if distinct[-1] - distinct[0] != count - 1:
        return Task.REGRESSION, f"{count:,} distinct whole numbers with gaps between them"
    return None, f"{count:,} consecutive whole numbers, each on many rows"


def _encode_numbers(values: Any, name: str, reason: str | None) -> EncodedTarget:
    try:
        y = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"The task regression was asked for; the {_called(name)} holds values that are no "
            f"numbers ({error}). Clean the column, or choose a classification task."
        ) from error
    _check_finite(y, name)
    notes = [f"{name} is read as a number to predict ({reason}): regression."]
    if np.all(y == y[0]):
        notes.append(f"Every row of {name} has the same value, {y[0]:.3g}.")
    return EncodedTarget(Task.REGRESSION, (), y, None, tuple(notes))


def _check_finite(y: npt.NDArray[np.float64], name: str) -> None:
    n_infinite = int((~np.isfinite(y)).reshape(len(y), -1).any(axis=1).sum())
    if n_infinite:
        raise DataError(
            f"The {_called(name)} is infinite in {n_infinite:,} of {plural(len(y), 'row')}; "
            "finite numbers are needed. Leave these rows out or correct them."
        )


def _encode_classes(
    column: pd.Series[Any], name: str, task: Task | None, reason: str | None, max_classes: int
) -> EncodedTarget:
    codes, seen = encode_labels(column)
    labels = sorted_labels(seen)
    _check_class_count(labels, name, len(column), max_classes)
    if task is Task.BINARY and len(labels) != 2:
        raise ParameterError(
            f"The task binary was asked for; the {_called(name)} has {len(labels):,} classes "
            f"({listing(labels)}). Choose multiclass, or a target with two classes."
        )
    order = {label: i for i, label in enumerate(labels)}
    y = np.array([order[label] for label in seen], dtype=np.int64)[codes]
    if task is None:
        task = Task.BINARY if len(labels) == 2 else Task.MULTICLASS
    because = f" ({reason})" if reason else ""
    note = f"{name} is read as {len(labels):,} classes{because}: {listing(labels)}."
    return EncodedTarget(task, labels, y, None, (note,))


def _check_class_count(labels: Sequence[Label], name: str, n: int, max_classes: int) -> None:
    if len(labels) == 1:
        raise DataError(
            f"The {_called(name)} has one class: {labels[0]} in all {plural(n, 'row')}. "
            "At least two are needed; choose another column or rows with both classes."
        )
    if len(labels) > max_classes:
        raise LimitExceeded(
            f"The {_called(name)} has {len(labels):,} distinct values in {plural(n, 'row')}; "
            f"max_classes allows {max_classes:,}. Choose regression if they are quantities, "
            "ignore the column if they are identifiers, or raise the limit "
            "(SIDELIGHT_MAX_CLASSES)."
        )


def _encode_columns(frame: pd.DataFrame, name: str, task: Task | None) -> EncodedTarget:
    names = tuple(label for label in map(canonical_label, frame.columns) if label is not None)
    y = _matrix(frame, name)
    zero_one = bool(np.isin(y, (0.0, 1.0)).all())
    one_hot = zero_one and bool((y.sum(axis=1) == 1).all())
    if task is None:
        if one_hot:
            task = Task.BINARY if len(names) == 2 else Task.MULTICLASS
        else:
            task = Task.MULTILABEL if zero_one else Task.MULTIOUTPUT_REGRESSION
    if task is Task.MULTIOUTPUT_REGRESSION:
        note = f"{name} is read as {len(names):,} numbers to predict: {listing(names)}."
        return EncodedTarget(task, names, y, None, (note,))
    if task is Task.MULTILABEL and zero_one:
        note = f"{name} is read as {len(names):,} labels, any number of them per row: "
        return EncodedTarget(task, names, y.astype(np.uint8), None, (f"{note}{listing(names)}.",))
    if one_hot and (task is Task.MULTICLASS or (task is Task.BINARY and len(names) == 2)):
        return _encode_one_hot(y, names, name, task)
    raise ParameterError(
        f"The task {task} was asked for; the {_called(name)} is {len(names):,} columns "
        f"({listing(names)}) {_matrix_content(zero_one, one_hot)}. "
        "Choose another task, or one column."
    )


def _matrix_content(zero_one: bool, one_hot: bool) -> str:
    if one_hot:
        return "of 0 and 1 with exactly one 1 per row"
    if zero_one:
        return "of 0 and 1 without exactly one 1 per row"
    return "of numbers other than 0 and 1"


def _matrix(frame: pd.DataFrame, name: str) -> npt.NDArray[np.float64]:
    try:
        y = frame.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"The {_called(name)} is {frame.shape[1]:,} columns and not all hold numbers "
            f"({error}). Choose one column, or columns of numbers or of 0 and 1."
        ) from error
    _check_finite(y, name)
    return y


def _encode_one_hot(
    y: npt.NDArray[np.float64], names: tuple[Label, ...], name: str, task: Task
) -> EncodedTarget:
    codes = y.argmax(axis=1).astype(np.int64)
    if np.all(codes == codes[0]):
        _check_class_count(names[codes[0] : codes[0] + 1], name, len(y), len(names))
    note = (
        f"{name} holds exactly one 1 per row, so its {len(names):,} columns are read as one-hot "
        f"classes in the order of the columns: {listing(names)}."
    )
    return EncodedTarget(task, names, codes, None, (note,))


def _with_positive_class(
    encoded: EncodedTarget, pos_label: Label | None, name: str
) -> EncodedTarget:
    labels = encoded.labels
    if pos_label is None:
        position, how = _default_positive(labels)
    else:
        position, how = _find_positive(pos_label, labels, name), "as asked"
    note = f"The positive class is {labels[position]} ({how})."
    return encoded._replace(pos_label=position, notes=(*encoded.notes, note))


def _find_positive(pos_label: Label, labels: Sequence[Label], name: str) -> int:
    given = canonical_label(pos_label)
    match = match_labels([given], labels) if given is not None else None
    # A code (0 or 1) for a named class is a guess that nobody asked for.
    if match is None or match.unknown or match.note:
        raise ParameterError(
            f"The positive class {pos_label!r} is no class of {name}; its classes are "
            f"{listing(labels)}. Choose one of them."
        )
    return next(iter(match.positions.values()))


def _default_positive(labels: Sequence[Label]) -> tuple[int, str]:
    """By meaning when exactly one name says it, else the second in order, like scikit-learn."""
    if all(isinstance(label, str) for label in labels):
        words = [str(label).strip().lower() for label in labels]
        for names, offset in ((_POSITIVE, 0), (_NEGATIVE, 1)):
            hits = [i for i, word in enumerate(words) if word in names]
            if len(hits) == 1:
                return (hits[0] + offset) % 2, "by its name"
    return 1, "the second in order"
