"""A model that fails on some rows: the others are answered, those are found and said.

One category that an encoder has not seen in training makes it refuse a whole table. Halves are
asked until the rows that it fails on stand alone.
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


def answer_in_parts(ask: Callable[[Ints], T], n: int) -> InParts[T] | None:
    """Ask for all rows but those that a model fails on, after it failed on all `n` together.

    Parameters
    ----------
    ask : positions → the answers; raises for all of them when it fails on one.

    Returns
    -------
    None where more than a tenth of the rows and more than 20 are refused, or every one, or none by
    itself, or where finding them takes too long.
    """
    if n < 2:
        return None
    most = max(int(n * MOST_SHARE), min(FEW_ROWS, n - 1))
    until = time.monotonic() + MOST_SECONDS
    if n > FEW_ROWS:
        probes = np.unique(np.linspace(0, n - 1, PROBES).astype(np.int64))
        failing = sum(_asked(ask, probes[at : at + 1]) is None for at in range(len(probes)))
        if failing > len(probes) * most / n + CHANCE:
            return None
    found: list[tuple[Ints, T]] = []
    refused: list[int] = []
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
        elif len(at) == 1:
            refused.append(int(at[0]))
        else:
            waiting += np.array_split(at, 2)
    if not 0 < len(refused) <= most or not found:
        return None
    return InParts(tuple(found), np.array(sorted(refused), dtype=np.int64), n)


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
    arrays = [(at, np.asarray(answer)) for at, answer in parts.parts]
    kinds = {array.dtype.kind for _, array in arrays}
    shapes = {array.shape[1:] for _, array in arrays}
    if len(shapes) != 1 or any(len(at) != len(array) for at, array in arrays):
        raise ValueError("The parts of an answer have different shapes.")
    (shape,) = shapes
    if kinds <= {"f"} or shape:
        whole: npt.NDArray[Any] = np.full((parts.n, *shape), np.nan)
    else:
        whole = np.full(parts.n, None, dtype=object)
    for at, array in arrays:
        whole[at] = array
    return whole
