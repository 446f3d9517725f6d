"""A model that fails on some rows: the others are answered, those are found and said.

One category that an encoder has not seen in training makes it refuse a whole table. Halves are
asked until a row that it fails on stands alone; rows that share what is odd in it (a category, a
missing or infinite value) are tried, and where these fail too all of them are set aside at once.
`docs/decisions/0016-rows-that-a-model-refuses.md` has the limits and why.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["FEW_ROWS", "InParts", "answer_in_parts", "filled", "taken"]

Ints = npt.NDArray[np.int64]
T = TypeVar("T")

# A model that fails on more than a tenth of many rows has not been given what it needs.
MOST_SHARE, FEW_ROWS = 0.1, 20
PROBES, CHANCE = 16, 2
TRIED = 3  # rows that share a cell, before all of them are set aside
MOST_CALLS, MOST_SECONDS = 400, 10.0


@dataclass(frozen=True, eq=False)
class InParts(Generic[T]):
    """Answers part by part.

    Attributes
    ----------
    parts : positions of rows, ascending in each, and what was answered for them.
    refused : positions of the rows that the model fails on, ascending.
    n : rows in all.
    """

    parts: tuple[tuple[Ints, T], ...]
    refused: Ints
    n: int

    def of(self, part: Callable[[T], Any]) -> InParts[Any]:
        """The same of a part of each answer."""
        return replace(self, parts=tuple((at, part(answer)) for at, answer in self.parts))


def answer_in_parts(ask: Callable[[Ints], T], n: int, rows: Any = None) -> InParts[T] | None:
    """Ask for all rows but those that a model fails on, after it failed on all `n` together.

    Parameters
    ----------
    ask : positions → the answers; raises for all of them when it fails on one.
    rows : frame or array of the n rows, in which to look for what refused rows share.

    Returns
    -------
    None where more than a tenth of the rows and more than 20 are refused, or every one, or none by
    itself, or one at one time and not at another, or where finding them takes too long.
    """
    if n < 2:
        return None
    most = max(int(n * MOST_SHARE), min(FEW_ROWS, n - 1))
    until = time.monotonic() + MOST_SECONDS
    if n > FEW_ROWS:
        probes = np.unique(np.linspace(0, n - 1, PROBES).astype(np.int64))
        if sum(_fails(ask, probe) for probe in probes) > len(probes) * most / n + CHANCE:
            return None
    found: list[tuple[Ints, T]] = []
    refused = np.empty(0, dtype=np.int64)
    waiting = list(np.array_split(np.arange(n, dtype=np.int64), 2))
    calls = 0
    while waiting:
        at = waiting.pop()
        calls += 1
        if calls > MOST_CALLS or len(refused) > most or time.monotonic() > until:
            return None
        answer = _asked(ask, at)
        if answer is not None:
            found.append((at, answer[0]))
        elif len(at) > 1:
            waiting += np.array_split(at, 2)
        elif not _fails(ask, at[0]):
            return None
        else:
            rest = np.concatenate([at[:0], *waiting])
            alike = _alike(ask, rows, int(at[0]), rest, most - len(refused))
            refused = np.concatenate([refused, at, alike])
            if len(alike):
                rest = np.setdiff1d(rest, alike)
                waiting = [rest] if len(rest) else []
    if not 0 < len(refused) <= most or not found:
        return None
    return InParts(tuple(found), np.sort(refused), n)


def _fails(ask: Callable[[Ints], Any], row: Any) -> bool:
    return _asked(ask, np.array([row], dtype=np.int64)) is None


def _alike(ask: Callable[[Ints], Any], rows: Any, row: int, rest: Ints, most: int) -> Ints:
    """Those of the other rows that share a cell for which rows are refused."""
    if np.ndim(rows) == 2:
        frame = rows if isinstance(rows, pd.DataFrame) else None
        for at in range(np.shape(rows)[1]):
            column = rows[:, at] if frame is None else frame.iloc[:, at]
            try:
                same = _sharing(pd.Series(column), row, rest)
            except (TypeError, ValueError):  # cells that are lists, or cannot be compared
                continue
            if not 0 < len(same) <= most:
                continue
            some = same[np.unique(np.linspace(0, len(same) - 1, TRIED).astype(np.int64))]
            if all(_fails(ask, one) for one in some):
                return same
    return rest[:0]


def _sharing(column: pd.Series[Any], row: int, rest: Ints) -> Ints:
    """Rows with the same category, or that lack a finite number as well."""
    value = column.iloc[row]
    others = column.iloc[rest]
    if pd.isna(value):
        return rest[np.flatnonzero(others.isna())]
    if pd.api.types.is_numeric_dtype(column.dtype) and np.isfinite(value):
        return rest[:0]
    same: Ints = rest[(others == value).fillna(False).to_numpy(dtype=bool)]
    return same


def _asked(ask: Callable[[Ints], T], at: Ints) -> tuple[T] | None:
    try:
        return (ask(at),)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a stranger's; the first error was kept
        return None


def taken(rows: Any, at: Ints) -> Any:
    """Some rows of what models are given."""
    return rows.iloc[at] if isinstance(rows, (pd.DataFrame, pd.Series)) else rows[at]


def filled(parts: InParts[Any]) -> npt.NDArray[Any]:
    """`(n, …)` the answers in the order of the rows: numbers with NaN where refused, labels None.

    Raises
    ------
    ValueError : parts of different shapes.
    """
    arrays = [
        (at, np.asarray(answer.toarray() if hasattr(answer, "toarray") else answer))
        for at, answer in parts.parts
    ]
    kinds = {array.dtype.kind for _, array in arrays}
    shapes = {array.shape[1:] for _, array in arrays}
    if len(shapes) != 1 or any(len(at) != len(array) for at, array in arrays):
        raise ValueError("The parts of an answer have different shapes.")
    (shape,) = shapes
    if kinds <= {"f"} or (shape and kinds <= set("biuf")):
        whole: npt.NDArray[Any] = np.full((parts.n, *shape), np.nan)
    else:
        whole = np.full((parts.n, *shape), None, dtype=object)
    for at, array in arrays:
        whole[at] = array
    return whole
