"""Several tables of one schema → one that knows which file, and which split, a row is from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError
from ..settings import Settings
from ..wording import listing, plural
from .dtypes import is_text
from .table_limits import check_shape
from .tables import Table

__all__ = ["SOURCE_FILE", "SPLIT", "concatenate", "split_of"]

SOURCE_FILE = "source file"  # the column that says which file a row came from
SPLIT = "split"
SPLIT_WORDS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("valid", "validation", "val", "dev"),
    "holdout": ("holdout",),
}
EXACT = 2**53


def concatenate(tables: Sequence[Table], settings: Settings) -> Table:
    """The rows of all tables in the order given, with the column `source file` at the end.

    Where every name says train, test or validation, a column `split` says which. Columns are
    matched by name. A file given twice counts once.

    Raises
    ------
    DataError : columns that differ, or whose kinds cannot be joined; the message names them.
    LimitExceeded : more rows together than `max_rows`.
    """
    kept, notes = _without_repeats(tables)
    if len(kept) == 1:
        return Table(
            kept[0].name, kept[0].frame, kept[0].arrays, kept[0].digest, _told(kept, notes)
        )
    name = _name(kept)
    _check_columns(kept)
    check_shape(sum(table.n_read for table in kept), len(kept[0].columns), name, settings)
    frame, mixed = _joined_frames(kept)
    names = _short_names(kept)
    sizes = np.array([table.n_read for table in kept])
    frame, added = _with_sources(frame, names, [split_of(table.name) for table in kept], sizes)
    rows = listing([f"{size:,} from {each}" for size, each in zip(sizes, names, strict=True)], 6)
    notes = [f"{len(kept):,} files of one schema: {rows}.", *added, *mixed, *notes]
    digest = hashlib.sha256("\n".join(f"{t.digest} {t.name}" for t in kept).encode()).hexdigest()
    return Table(name, frame, _joined_arrays(kept), digest, _told(kept, notes))


def split_of(name: str) -> str | None:
    """ "train", "test", "validation" or "holdout" when exactly one of them is in a file's name."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    words = {re.sub(r"(set|data|ing)$", "", word) for word in re.findall(r"[a-z]+", spaced)}
    words |= set(re.findall(r"[a-z]+", spaced))
    found = [split for split, known in SPLIT_WORDS.items() if words & set(known)]
    return found[0] if len(found) == 1 else None


def _without_repeats(tables: Sequence[Table]) -> tuple[list[Table], list[str]]:
    kept: dict[str, Table] = {}
    notes = []
    for table in tables:
        twin = kept.setdefault(table.digest, table)
        if twin is not table:
            notes.append(f"{table.name} has the content of {twin.name} and is left out.")
    return list(kept.values()), notes


def _told(tables: Sequence[Table], notes: Sequence[str]) -> tuple[str, ...]:
    """Our notes, then those of the files, each once."""
    return tuple(dict.fromkeys([*notes, *(line for table in tables for line in table.source)]))


def _name(tables: Sequence[Table]) -> str:
    first, *others = _short_names(tables)
    return f"{first} and {others[0] if len(others) == 1 else f'{len(others):,} more files'}"


def _short_names(tables: Sequence[Table]) -> list[str]:
    short = [PurePath(table.name).name for table in tables]
    return short if len(set(short)) == len(short) else [table.name for table in tables]


def _check_columns(tables: Sequence[Table]) -> None:
    first = tables[0]
    for table in tables[1:]:
        missing = [repr(c) for c in first.columns if c not in table.columns]
        more = [repr(c) for c in table.columns if c not in first.columns]
        if missing or more:
            lacks = f"lacks {listing(missing, 5)}, which {first.name} has" if missing else ""
            has = f"has {listing(more, 5)}, which {first.name} lacks" if more else ""
            raise DataError(
                f"{table.name} {', and '.join(part for part in (lacks, has) if part)}. Load files "
                f"with the same columns together, or one of them alone."
            )
        shapes = [t.arrays["X"].shape[1:] if "X" in t.arrays else None for t in (first, table)]
        if shapes[0] != shapes[1]:
            raise DataError(
                f"{table.name} has features of the shape {shapes[1]} for each row, and "
                f"{first.name} {shapes[0]}. Load files of one shape."
            )


def _joined_frames(tables: Sequence[Table]) -> tuple[pd.DataFrame, list[str]]:
    columns: dict[str, Any] = {}
    mixed = []
    for name in tables[0].columns:
        parts = [table.frame[name] for table in tables]
        kinds = {_kind(part) for part in parts} - {"empty"}
        if kinds > {"text"} and kinds <= {"text", "number", "truth value", "category"}:
            mixed.append(f"'{name}'")
        columns[name] = _join(parts, kinds, name, tables)
    if not mixed:
        return pd.DataFrame(columns, index=range(sum(len(t.frame) for t in tables))), []
    note = f"Read as text, as it is text in one of the files: {listing(mixed, 6)}."
    return pd.DataFrame(columns), [note]


def _kind(column: pd.Series[Any]) -> str:
    dtype = column.dtype
    if not column.notna().any():
        return "empty"
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    if pd.api.types.is_bool_dtype(dtype) or (
        dtype.kind == "O" and pd.api.types.infer_dtype(column, skipna=True) == "boolean"
    ):
        return "truth value"
    if pd.api.types.is_numeric_dtype(dtype):
        return "number"
    if isinstance(dtype, pd.DatetimeTZDtype):
        return "date with a time zone"
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "date"
    return "text" if is_text(column) else "record"


def _join(
    parts: list[pd.Series[Any]], kinds: set[str], name: str, tables: Sequence[Table]
) -> pd.Series[Any]:
    if (
        len(kinds) > 1
        and "text" in kinds
        and kinds <= {"text", "number", "truth value", "category"}
    ):
        parts = [part if is_text(part) else _as_text(part) for part in parts]
    elif kinds == {"category"}:
        return _join_categories(parts)
    elif kinds == {"number"}:
        parts = _exact(parts)
    elif len(kinds) > 1:
        said = [f"{_kind(p)}s in {t.name}" for p, t in zip(parts, tables, strict=True)]
        raise DataError(f"Column '{name}' holds {listing(said, 4)}. Write it alike in all files.")
    filled = [part for part in parts if part.notna().any()] or parts[:1]
    joined: pd.Series[Any] = pd.concat(
        [part if part.notna().any() else _gaps(part, filled[0]) for part in parts],
        ignore_index=True,
    )
    return joined


def _gaps(part: pd.Series[Any], like: pd.Series[Any]) -> pd.Series[Any]:
    """A column without a value, in a type that joins with another's."""
    dtype: Any = like.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "iu":
        dtype = np.float64
    elif isinstance(dtype, np.dtype) and dtype.kind == "b":
        dtype = object
    return pd.Series([np.nan] * len(part), dtype=object).astype(dtype)


def _as_text(part: pd.Series[Any]) -> pd.Series[Any]:
    """Cells as they were written, as far as can be told: gaps alone make floats of 1, 2, 3."""
    missing = part.isna()
    if part.dtype == np.float64 and missing.any():
        kept = part.dropna()
        if (kept.abs() <= EXACT).all() and (kept % 1 == 0).all():
            part = part.astype("Int64")
    return part.astype(object).where(missing, part.map(str, na_action="ignore")).astype("str")


def _join_categories(parts: list[pd.Series[Any]]) -> pd.Series[Any]:
    same = pd.concat(parts, ignore_index=True)
    if isinstance(same.dtype, pd.CategoricalDtype):
        return same
    named = [part for part in parts if isinstance(part.dtype, pd.CategoricalDtype)]
    values = list(dict.fromkeys(value for part in named for value in part.cat.categories))
    dtype = pd.CategoricalDtype(values)
    return pd.concat([part.astype(dtype) for part in parts], ignore_index=True)


def _exact(parts: list[pd.Series[Any]]) -> list[pd.Series[Any]]:
    """Whole numbers too long for a float stay exact beside a file in which some are missing."""
    whole = [part for part in parts if pd.api.types.is_integer_dtype(part.dtype)]
    if len(whole) in (0, len(parts)) or max(part.abs().max() for part in whole) <= EXACT:
        return parts
    try:
        return [part.astype("Int64") for part in parts]
    except (TypeError, ValueError):  # fractions
        return parts


def _with_sources(
    frame: pd.DataFrame, names: list[str], splits: list[str | None], sizes: Any
) -> tuple[pd.DataFrame, list[str]]:
    notes = []
    taken = {column.strip().lower() for column in frame.columns}
    if None not in splits and len(set(splits)) > 1 and SPLIT not in taken:
        frame[SPLIT] = pd.Series(np.repeat(np.array(splits, dtype=object), sizes), dtype="str")
        said = plural(len(set(splits)), "part")
        notes.append(f"The names of the files say which part a row is of: {said}.")
    if SOURCE_FILE not in taken:
        codes = np.repeat(np.array(names, dtype=object), sizes)
        frame[SOURCE_FILE] = pd.Series(codes, dtype="str")
    return frame, notes


def _joined_arrays(tables: Sequence[Table]) -> dict[str, Any]:
    if "X" not in tables[0].arrays:
        return {}
    return {"X": np.concatenate([table.arrays["X"] for table in tables])}
