"""What a data file holds before anything is known of its columns' roles, and its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import DataError
from ..settings import get_settings
from .table_limits import check_columns

__all__ = ["Table", "frame_digest"]


@dataclass(frozen=True, eq=False)
class Table:
    """What a file holds, before anything is known of its columns' roles.

    Attributes
    ----------
    name : the file's name, as shown.
    frame : one row per row of the file; for array files the columns beside the feature array.
    arrays : `{}`, or `{"X": features (n, …)}` from NPZ and NPY files.
    digest : sha-256 of the file's bytes (of the full contents for frames in memory).
    source : sentences on what was understood (format, delimiter, encoding, sheet, dates …).
    n_read : rows.
    """

    name: str
    frame: pd.DataFrame
    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    digest: str = ""
    source: tuple[str, ...] = ()

    @property
    def n_read(self) -> int:
        return len(self.arrays["X"]) if "X" in self.arrays else len(self.frame)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.frame.columns)

    @classmethod
    def from_frame(cls, name: str, frame: pd.DataFrame) -> Table:
        """A frame in memory; a named index becomes a column, column names become text.

        Raises
        ------
        DataError : no rows, or the same column name twice.
        """
        if isinstance(frame.columns, pd.MultiIndex):
            raise DataError(
                f"{name} has {frame.columns.nlevels} levels of column names; one is needed. Join "
                f"them, as in frame.columns = frame.columns.map('_'.join)."
            )
        named = any(level is not None for level in frame.index.names)
        plain = frame.reset_index(drop=not named)
        plain.columns = pd.Index([str(column) for column in plain.columns], dtype="str")
        check_columns(plain.columns, name)
        if not len(plain):
            raise DataError(f"{name} has no rows. At least one row is needed.")
        return cls(name, plain, {}, frame_digest(plain), ())

    @classmethod
    def from_arrays(cls, name: str, arrays: Mapping[str, npt.ArrayLike]) -> Table:
        """Arrays in memory: `X` for the features, `y` and others with one value a row.

        Raises
        ------
        DataError : arrays of different lengths, of Python objects, or without rows.
        """
        from .array_files import table_of_arrays

        frame, kept, notes = table_of_arrays(
            {key: np.asarray(value) for key, value in arrays.items()}, name, get_settings()
        )
        table = cls(name, frame, kept, frame_digest(frame, kept), tuple(notes))
        if table.n_read == 0:
            raise DataError(f"{name} has no rows. At least one row is needed.")
        return table


def frame_digest(frame: pd.DataFrame, arrays: dict[str, npt.NDArray[Any]] | None = None) -> str:
    """sha-256 over every cell, dtype and name of a frame and arrays in memory."""
    digest = hashlib.sha256()
    for position, name in enumerate(frame.columns):
        column = frame.iloc[:, position]
        digest.update(f"{name!r}\0{column.dtype}\0{len(column)}\0".encode())
        if isinstance(column.dtype, pd.CategoricalDtype):
            digest.update(repr(column.cat.categories.tolist()).encode())
        try:
            cells = pd.util.hash_pandas_object(column, index=False)
        except TypeError:  # lists and other unhashable objects
            cells = pd.util.hash_pandas_object(column.map(repr), index=False)
        digest.update(cells.to_numpy().tobytes())
    for name, array in sorted((arrays or {}).items()):
        digest.update(f"{name}\0{array.dtype}\0{array.shape}\0".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
