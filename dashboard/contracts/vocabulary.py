"""The words everything else is said in: tasks, kinds of score, labels and how labels match."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import date, time
from decimal import Decimal
from enum import StrEnum
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import DataError
from ..wording import LONGEST, shorten

__all__ = [
    "Label",
    "Match",
    "ScoreKind",
    "Task",
    "canonical_label",
    "encode_labels",
    "in_style_of",
    "listing",
    "match_labels",
    "plural",
    "sorted_labels",
]

Label = str | int | float | bool

# Above this a float no longer tells neighbouring integers apart.
_EXACT_INTEGER = 2**53
# Each way to read a text is the only one: `\d+\.?\d*` takes minutes for a long row of digits.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


class Task(StrEnum):
    """What is predicted. The value is what a person types and reads."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    MULTILABEL = "multilabel"
    REGRESSION = "regression"
    MULTIOUTPUT_REGRESSION = "multi-output regression"

    @property
    def is_classification(self) -> bool:
        return self in (Task.BINARY, Task.MULTICLASS, Task.MULTILABEL)


class ScoreKind(StrEnum):
    """What a score means; only `PROBABILITY` is comparable with log loss and Brier."""

    PROBABILITY = "probability"  # in [0, 1]; multiclass rows sum to 1
    INDEPENDENT = "independent"  # in [0, 1], one a class, rows need not sum to 1
    LOGIT = "logit"  # log-odds of the positive class; 0 ↔ probability .5
    DECISION = "decision"  # unbounded decision value; 0 is the model's own threshold


def canonical_label(value: Any) -> Label | None:
    """One Python value per label: bool, int (also floats that are ints), float or str.

    `None`, NaN, NaT and `pd.NA` give `None` (missing).
    """
    if isinstance(value, str):
        return str(value)
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, (Real, Decimal)):
        return _canonical_number(float(value))
    return _canonical_object(value)


def _canonical_number(number: float) -> Label | None:
    if math.isnan(number):
        return None
    if number.is_integer() and abs(number) <= _EXACT_INTEGER:
        return int(number)
    return number


def _canonical_object(value: Any) -> Label | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return None if np.isnat(value) else str(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, np.ndarray) and value.size == 1:
        return canonical_label(value.reshape(-1)[0])
    if hasattr(value, "as_py"):  # an Arrow scalar
        return canonical_label(value.as_py())
    return str(value)


def sorted_labels(labels: Iterable[Label]) -> tuple[Label, ...]:
    """Numbers in order, then texts in order; never raises for mixed types."""
    return tuple(sorted(labels, key=lambda label: (isinstance(label, str), label)))


def encode_labels(values: Any) -> tuple[npt.NDArray[np.int64], tuple[Label, ...]]:
    """Codes `(n,)` into the distinct labels in order of appearance; -1 where missing.

    Raises
    ------
    DataError : values that are lists or other containers.
    """
    try:
        codes, uniques = pd.factorize(_vector(values))
    except TypeError as error:
        raise DataError(
            "Labels must be single values, got lists or other containers. "
            "Pass one column of 0/1 per label instead."
        ) from error
    positions = np.full(len(uniques) + 1, -1, dtype=np.int64)  # the last stands for missing
    index: dict[Label, int] = {}
    for i, value in enumerate(uniques):
        label = canonical_label(value)
        if label is not None:
            positions[i] = index.setdefault(label, len(index))
    return positions[codes], tuple(index)


def _vector(values: Any) -> Any:
    """Something that `pd.factorize` takes, without NumPy's casting of mixed lists to text."""
    if isinstance(values, (pd.Series, pd.Index, pd.api.extensions.ExtensionArray)):
        return values
    if not isinstance(values, np.ndarray):
        listed = list(values)
        values = np.empty(len(listed), dtype=object)
        values[:] = listed
    if values.dtype.kind == "f" and values.dtype != np.float32:
        return values.astype(np.float64, copy=False)
    return values.astype(object) if values.dtype.kind in "US" else values


def listing(labels: Iterable[Any], most: int = 8) -> str:
    """`a, b, c`, cut after `most` with the number of those left out; long names are shortened."""
    names = [shorten(str(label), LONGEST) for label in labels]
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most:,} more"


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """`1 row`, `1,200 rows`."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


class Match(NamedTuple):
    """How given labels correspond to known ones.

    Attributes
    ----------
    positions : given label → index into the known labels.
    unknown : given labels without a counterpart.
    note : a sentence when they were not simply equal.
    """

    positions: dict[Label, int]
    unknown: tuple[Label, ...]
    note: str | None


def match_labels(
    given: Sequence[Label], labels: Sequence[Label], *, complete: bool = False
) -> Match:
    """Equal labels first; else by written form; else as codes 0 … k-1 of the labels in order.

    `complete` says that `given` is all that its source can answer, so that codes must be exactly
    0 … k-1. Otherwise some of the codes are enough when none of them is a label.
    """
    exact = {label: i for i, label in enumerate(labels)}
    positions = {label: exact[label] for label in given if label in exact}
    if len(positions) < len(set(given)):
        positions |= _loose_positions([g for g in given if g not in exact], labels)
    unknown = tuple(dict.fromkeys(label for label in given if label not in positions))
    codes = {label: _loose(label) for label in given}
    seen, possible = set(codes.values()), set(range(len(labels)))
    if unknown and (seen == possible or (seen <= possible and not positions and not complete)):
        meaning = listing(f"{i} = {label}" for i, label in enumerate(labels))
        return Match(
            {label: int(code) for label, code in codes.items()},
            (),
            f"Labels {listing(sorted_labels(seen))} are read as codes of the classes in order "
            f"({meaning}).",
        )
    return Match(positions, unknown, None)


def in_style_of(label: Label, labels: Sequence[Label]) -> Label | None:
    """A further label written like the known ones (1 or "1"), or None when it cannot be."""
    texts = [isinstance(known, str) for known in labels]
    if any(texts) and not all(texts):
        return label
    if not all(texts):
        value = _loose(label)
        return None if isinstance(value, str) else value
    if isinstance(label, str):
        return label
    numeric = not any(isinstance(_loose(known), str) for known in labels)
    return str(label) if numeric else None


def _loose_positions(given: Sequence[Label], labels: Sequence[Label]) -> dict[Label, int]:
    loose = {_loose(label): i for i, label in enumerate(labels)}
    if len(loose) < len(labels):  # two labels read alike, such as 1 and "1": only equality counts
        return {}
    return {label: loose[_loose(label)] for label in given if _loose(label) in loose}


def _loose(label: Label) -> Label:
    """The value that a label's written form stands for: "1" → 1, "True" → True."""
    if not isinstance(label, str):
        return label
    text = label.strip()
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    number = canonical_label(float(text)) if _NUMBER.fullmatch(text) else None
    return text if number is None else number
