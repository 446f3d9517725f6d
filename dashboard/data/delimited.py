"""Delimited text → frames: parsed by pandas' own engine, then checked for what it does in silence.

Silent in pandas: short rows are filled, long rows become an index, leading zeros are dropped,
whole numbers beyond 2⁵³ are rounded when a cell is missing.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import DataError
from ..settings import Settings
from ..wording import listing, plural
from .dialects import (
    HEAD_BYTES,
    SNIFF_ROWS,
    Dialect,
    decode,
    head_encoding,
    read_head,
    say_mark,
    sniff,
)
from .dtypes import keep_long_integers, parse_dates, parse_grouped_numbers, say_mixed
from .large_text import LARGE, has_leading_zeros, read_large
from .table_limits import check_shape

__all__ = ["read_delimited"]


def read_delimited(
    data: bytes,
    name: str,
    settings: Settings,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """A text table as a frame, and sentences on what was understood.

    Raises
    ------
    DataError : ragged rows (with the line), a header without rows, repeated names, not text.
    LimitExceeded : more rows or columns than the settings allow.
    """
    reading = None
    if encoding is None and len(data) >= LARGE:
        reading = _read_large(data, name, settings, delimiter, decimal)
    if reading is None:
        reading = _read_whole(data, name, settings, delimiter, encoding, decimal)
    dialect, spoken = reading.dialect, reading.encoding
    _check_ragged(reading.frame, reading.data, name, dialect)
    frame, codes = _restore_codes(reading)
    frame, dates = parse_dates(keep_long_integers(frame), skip=codes)
    frame, numbers = parse_grouped_numbers(frame, dialect.decimal, skip=codes)
    zeros = [f"Leading zeros are kept: {listing([repr(c) for c in codes], limit=6)} stay text."]
    mixed = say_mixed(frame, skip=codes)
    notes = [*dialect.notes, *(zeros if codes else []), *numbers, *dates, *mixed]
    return frame, [f"Text in {spoken}.", *notes]


@dataclass(frozen=True)
class _Reading:
    """A parsed table, and how to look at its text again."""

    frame: pd.DataFrame
    data: bytes
    encoding: str
    dialect: Dialect
    texts: Callable[[Sequence[str]], pd.DataFrame]
    has_zeros: Callable[[], bool]


def _read_large(
    data: bytes, name: str, settings: Settings, delimiter: str | None, decimal: str | None
) -> _Reading | None:
    """On all cores, or None when only pandas can be trusted with the file."""
    spoken = head_encoding(data)
    if spoken is None:
        return None
    head = read_head(data).removeprefix("\ufeff")
    dialect = sniff(head, name, delimiter=delimiter, decimal=decimal)
    check_shape(0, len(dialect.names), name, settings)
    if spoken != "UTF-8" and not dialect.header_cells:
        return None

    def parse(part: bytes) -> pd.DataFrame:
        return _parse(part, name, dialect, settings)

    large = read_large(data, dialect, parse, settings, name)
    if large is None:
        return None
    return _Reading(large.frame, data, spoken, dialect, large.texts, lambda: large.has_zeros)


def _read_whole(
    data: bytes,
    name: str,
    settings: Settings,
    delimiter: str | None,
    encoding: str | None,
    decimal: str | None,
) -> _Reading:
    plain, spoken = decode(data, name, encoding)
    dialect = sniff(read_head(plain), name, delimiter=delimiter, decimal=decimal)
    check_shape(0, len(dialect.names), name, settings)

    def texts(columns: Sequence[str]) -> pd.DataFrame:
        positions = tuple(i for i, c in enumerate(dialect.names) if c in columns)
        return _parse(plain, name, replace(dialect, text=positions), settings)

    def has_zeros() -> bool:
        return has_leading_zeros(plain, dialect.delimiter)

    frame = _parse(plain, name, dialect, settings)
    return _Reading(frame, plain, spoken, dialect, texts, has_zeros)


def _parse(
    data: bytes, name: str, dialect: Dialect, settings: Settings, **options: Any
) -> pd.DataFrame:
    many = data.count(b"\n") > settings.max_rows
    try:
        frame: pd.DataFrame = pd.read_csv(
            io.BytesIO(data),
            sep=dialect.delimiter,
            decimal=dialect.decimal,
            header=0 if dialect.header_cells else None,
            names=list(dialect.names),
            skiprows=dialect.skip,
            dtype={dialect.names[i]: "str" for i in dialect.text},
            nrows=settings.max_rows + 1 if many else None,
            low_memory=False,
            **options,
        )
    except pd.errors.ParserError as error:
        raise DataError(_parser_message(str(error), name, dialect)) from error
    except (ValueError, OverflowError, csv.Error) as error:
        raise DataError(f"{name} cannot be read as a text table: {error}.") from error
    return frame


def _parser_message(message: str, name: str, dialect: Dialect) -> str:
    found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", message)
    if found:
        needed, line, fields = map(int, found.groups())
        return _ragged(line, fields, needed, name, dialect)
    if "EOF inside string" in message:
        return f"{name} has a quote that is opened and never closed. Close it, or remove it."
    return f"{name} cannot be read as a text table: {message.strip()}."


def _restore_codes(reading: _Reading) -> tuple[pd.DataFrame, list[str]]:
    """Read number columns again as text where the sniffed head could not tell that they are codes.

    These are digits with a leading zero further down, and whole numbers too long for a float.
    Gives the frame and the names of the columns that are text for their leading zeros.
    """
    frame, dialect = reading.frame, reading.dialect
    known = [dialect.names[i] for i in dialect.text]
    numbers = frame.select_dtypes("number").items()
    numeric = {str(c): column for c, column in numbers if c not in known and _is_whole(column)}
    long = [c for c, column in numeric.items() if _is_inexact(column)]
    sniffed_all = len(reading.data) <= HEAD_BYTES and len(frame) < SNIFF_ROWS
    whole = [] if sniffed_all else list(numeric)
    if whole and not reading.has_zeros():
        whole = []
    again = [c for c in numeric if c in {*whole, *long}]
    if not again:
        return frame, known
    texts = reading.texts(again)
    coded = [c for c in again if texts[c].str.match(r"[+-]?0\d+$").any()]
    changed: dict[str, Any] = {c: texts[c] for c in coded}
    for column in (c for c in long if c not in coded):
        if texts[column].dropna().str.fullmatch(r"[+-]?\d+").all():
            changed[column] = _exact_integers(texts[column])
    return frame.assign(**changed), known + coded


def _is_whole(column: pd.Series[Any]) -> bool:
    values = column.to_numpy()
    if values.dtype.kind != "f":
        return True
    for part in (values[:1000], values):  # most columns of fractions show it at once
        kept = part[np.isfinite(part)]
        if not np.all(kept == np.floor(kept)):
            return False
    return True


def _is_inexact(column: pd.Series[Any]) -> bool:
    """Whole floats so large that neighbouring numbers read the same."""
    if not pd.api.types.is_float_dtype(column.dtype):
        return False
    return bool(2**53 <= column.abs().max() < 1e40)


def _exact_integers(texts: pd.Series[Any]) -> pd.Series[Any]:
    try:
        return texts.astype("Int64")
    except (OverflowError, ValueError, TypeError):
        return texts


def _check_ragged(frame: pd.DataFrame, data: bytes, name: str, dialect: Dialect) -> None:
    """pandas fills short rows with gaps, and takes long ones for an index, without a word."""
    long = not isinstance(frame.index, pd.RangeIndex)
    if not long and (frame.shape[1] < 2 or not frame.iloc[:, -1].isna().any()):
        return
    mark, needed = dialect.delimiter.encode(), frame.shape[1] - 1
    expected = needed * len(frame) + max(dialect.header_cells - 1, 0)
    if len(mark) != 1 or (not long and b'"' not in data and data.count(mark) == expected):
        return
    header = dialect.header_cells > 0
    for line, fields in _field_counts(data, mark[0], dialect.skip):
        if header and len(kept := np.flatnonzero(fields >= 0)):
            fields[kept[0]], header = -1, False
        ragged = np.flatnonzero((fields != needed) & (fields >= 0))
        if len(ragged):
            at = int(ragged[0])
            raise DataError(_ragged(int(line[at]), int(fields[at]) + 1, needed + 1, name, dialect))


def _ragged(line: int, fields: int, needed: int, name: str, dialect: Dialect) -> str:
    what_to_do = (
        f"Put cells that contain a {say_mark(dialect.delimiter)} in quotes"
        if fields > needed
        else "Complete the row"
    )
    return (
        f"{name} has {plural(fields, 'field')} in line {line:,}; the header has {needed:,}. "
        f"{what_to_do}, or give another delimiter."
    )


def _field_counts(
    data: bytes, delimiter: int, skip: int, block: int = 8 * 1024 * 1024
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """For each block: line numbers where records end, and delimiters outside quotes in each.

    Blank lines count −1. Vectorised; quotes are followed by the parity of their number.
    """
    raw = np.frombuffer(data if data.endswith(b"\n") else data + b"\n", dtype=np.uint8)
    found: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = []
    parity, carried, lines, last_end = 0, 0, 0, -1
    for start in range(0, len(raw), block):
        part = raw[start : start + block]
        quoted = (np.cumsum(part == 34) + parity) % 2 == 1
        newline = part == 10
        marks = np.cumsum((part == delimiter) & ~quoted)
        ends = np.flatnonzero(newline & ~quoted)
        counts = np.diff(marks[ends], prepend=0)
        if len(ends):
            counts[0] += carried
            carried = int(marks[-1] - marks[ends[-1]])
        else:
            carried += int(marks[-1])
        numbers = lines + np.cumsum(newline)[ends]
        sizes = np.diff(ends + start, prepend=last_end)
        blank = (sizes == 1) | ((sizes == 2) & (part[np.maximum(ends - 1, 0)] == 13))
        counts[blank | (numbers <= skip)] = -1
        found.append((numbers.astype(np.int64), counts.astype(np.int64)))
        if len(ends):
            last_end = int(ends[-1]) + start
        lines += int(newline.sum())
        parity = (parity + int((part == 34).sum())) % 2
    return found
