"""The rows that a worker was asked about last, kept for the next call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..frames import read_rows

__all__ = ["HeldTables", "Rows"]

Rows = pd.DataFrame | npt.NDArray[np.generic]

# Memory of its own lies in large pages, a file that is mapped in small ones: a model that does
# little more than read its rows takes a tenth longer over these.
COPIED_BYTES = 256 << 20


class HeldTables:
    """Files of rows, mapped into memory until others are asked for.

    Each call is given frames of its own; only cells that nobody can write into are shared.
    """

    def __init__(self) -> None:
        self._held: dict[Path, Rows] = {}
        self._copied: set[Path] = set()

    def take(self, paths: Sequence[Path]) -> list[Rows]:
        """The tables of one call; those of the call before that are not among them are let go.

        Raises
        ------
        ModelError : no such file, or none of rows.
        """
        self._held = {path: self._held[path] for path in paths if path in self._held}
        self._copied &= self._held.keys()
        return [self._one(path) for path in paths]

    def _one(self, path: Path) -> Rows:
        rows = self._held.get(path)
        if rows is None:
            rows = read_rows(path)
            if _is_mapped(rows):
                self._held[path] = rows
        elif path not in self._copied:  # it is asked about again and again
            rows = self._held[path] = _in_own_memory(rows)
            self._copied.add(path)
        return rows.copy(deep=False) if isinstance(rows, pd.DataFrame) else rows


def _is_mapped(rows: Rows) -> bool:
    """Whether rows take no memory of their own and nobody can write into them."""
    if not isinstance(rows, pd.DataFrame):
        return not rows.flags.writeable
    return all(isinstance(dtype, np.dtype) and dtype.kind != "O" for dtype in rows.dtypes)


def _in_own_memory(rows: Rows) -> Rows:
    """A copy that nobody can write into either, of rows that are one small array."""
    if isinstance(rows, pd.DataFrame) and len(set(rows.dtypes)) != 1:
        return rows
    values = rows.to_numpy() if isinstance(rows, pd.DataFrame) else rows
    if values.nbytes > COPIED_BYTES:
        return rows
    own = values.copy(order="K")
    own.flags.writeable = False
    if not isinstance(rows, pd.DataFrame):
        return own
    return pd.DataFrame(own, index=rows.index, columns=rows.columns, copy=False)
