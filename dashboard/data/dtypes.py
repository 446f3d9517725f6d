"""Columns of text or mixed objects → the type that their cells hold, whole columns at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from ..wording import listing, plural

__all__ = [
    "is_text",
    "keep_long_integers",
    "object_columns",
    "parse_dates",
    "parse_grouped_numbers",
    "say_empty",
    "say_mixed",
    "settle_objects",
]

HEAD_CELLS = 200
EXACT = 2**53  # larger integers are not exact as floats
ISO_DATE = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?( ?(Z|[+-]\d{2}(:?\d{2})?))?)?"
)
YEAR_FIRST = re.compile(r"\d{4}([/.])\d{1,2}\1\d{1,2}( \d{1,2}:\d{2}(:\d{2})?)?")
MONTH_NAMED = re.compile(r"\d{1,2}([ -])[A-Z][a-z]{2,8}\1\d{4}")
SLASH_DATE = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})( \d{1,2}:\d{2}(:\d{2})?)?")
GROUPED = {
    ",": re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)(\.\d*)?"),
    ".": re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d*)?"),
    " ": re.compile("[+-]?(\\d{1,3}([ \u00a0\u202f]\\d{3})+|\\d+)([.,]\\d*)?"),
    "'": re.compile(r"[+-]?(\d{1,3}(['’]\d{3})+|\d+)([.,]\d*)?"),
}


def is_text(column: pd.Series[Any]) -> bool:
    """Whether a column holds text: the `str` dtype, or objects that are all text or missing."""
    if isinstance(column.dtype, pd.StringDtype):
        return True
    return column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) == "string"


def object_columns(frame: pd.DataFrame) -> list[str]:
    """Names of the columns of Python objects; text of the `str` dtype is none."""
    return [
        str(name)
        for name, dtype in frame.dtypes.items()
        if isinstance(dtype, np.dtype) and dtype.kind == "O"
    ]


def settle_objects(values: Any, name: str, index: pd.Index | None = None) -> tuple[Any, str | None]:
    """A column of Python objects (from JSON or Excel) in its best dtype, and a note or None.

    Integers with gaps become floats, as in a CSV file, but stay integers (`Int64`) where a
    float would not be exact. Numbers mixed with text become text, dates become datetimes.
    """
    column: pd.Series[Any] = pd.Series(values, dtype=object, index=index, name=name)
    kind = pd.api.types.infer_dtype(column, skipna=True)
    missing = column.isna()
    if kind == "empty":
        return column.astype("float64"), None
    if kind == "boolean":
        # Gaps leave True and False as objects, as pandas does: models were fitted on that.
        return (column.where(~missing, np.nan) if missing.any() else column.astype("bool")), None
    if kind == "integer":
        return _settle_integers(column, bool(missing.any())), None
    if kind in ("floating", "mixed-integer-float", "decimal"):
        return column.where(~missing, np.nan).astype("float64"), None
    if kind == "string":
        return column.astype("str"), None
    if kind in ("datetime", "datetime64", "date"):
        return pd.to_datetime(column, errors="coerce"), None
    if any(
        isinstance(value, (list, dict, tuple, np.ndarray))
        for value in column[~missing].head(HEAD_CELLS)
    ):
        return (
            column,
            f"Column '{name}' holds lists or nested records; it is not used as a feature.",
        )
    text = column.where(missing, column.map(str, na_action="ignore")).astype("str")
    return text, f"Column '{name}' mixes numbers and text; it is read as text."


def _settle_integers(column: pd.Series[Any], gaps: bool) -> pd.Series[Any]:
    whole = column.dropna()
    try:
        if not gaps:
            return column.astype("int64")
        largest = max(abs(int(whole.max())), abs(int(whole.min())))
        return column.astype("float64" if largest <= EXACT else "Int64")
    except (OverflowError, TypeError):
        return column.map(str, na_action="ignore").astype("str")


def keep_long_integers(frame: pd.DataFrame) -> pd.DataFrame:
    """Integers beyond 64 bits, which pandas keeps as objects, as text."""
    changed = {
        name: frame[name].map(str, na_action="ignore").astype("str")
        for name in object_columns(frame)
        if pd.api.types.infer_dtype(frame[name], skipna=True) == "integer"
    }
    return frame.assign(**changed) if changed else frame


def _looks_like(column: pd.Series[Any], pattern: re.Pattern[str]) -> bool:
    """Whether all of the first non-missing cells match as a whole."""
    head = column.dropna().head(HEAD_CELLS)
    return len(head) > 0 and all(pattern.fullmatch(str(cell)) for cell in head)


def _text_columns(frame: pd.DataFrame, skip: Iterable[str]) -> list[str]:
    left_out = set(skip)
    return [
        str(name)
        for name, dtype in frame.dtypes.items()
        if name not in left_out
        and (isinstance(dtype, pd.StringDtype) or (dtype.kind == "O" and is_text(frame[name])))
    ]


def parse_dates(frame: pd.DataFrame, skip: Iterable[str] = ()) -> tuple[pd.DataFrame, list[str]]:
    """Text columns of ISO dates, or of day/month dates with one possible order, as datetimes.

    A column in which both orders are possible stays text, and a note says so.
    """
    changed: dict[str, Any] = {}
    notes: list[str] = []
    for name in _text_columns(frame, skip):
        column = frame[name]
        if _looks_like(column, ISO_DATE):
            parsed, note = _parse_iso(column, name)
        elif _looks_like(column, SLASH_DATE):
            parsed, note = _parse_day_month(column, name)
        elif _looks_like(column, YEAR_FIRST):
            parsed, note = _parse_year_first(column, name)
        elif _looks_like(column, MONTH_NAMED):
            parsed, note = _parse_named_months(column, name)
        else:
            continue
        notes.append(note)
        if parsed is not None:
            changed[name] = parsed
    return (frame.assign(**changed) if changed else frame), notes


def _parse_iso(column: pd.Series[Any], name: str) -> tuple[pd.Series[Any] | None, str]:
    parsed: Any = _cast_iso(column)
    if parsed is not None:
        return _accept(column, parsed, name, "ISO dates")
    try:
        parsed = pd.to_datetime(column, format="ISO8601", errors="coerce")
    except ValueError:  # several time zones
        parsed = pd.to_datetime(column, format="ISO8601", errors="coerce", utc=True)
    return _accept(column, parsed, name, "ISO dates")


def _cast_iso(column: pd.Series[Any]) -> pd.Series[Any] | None:
    """Dates without a zone in microseconds, or None where Arrow's cast, ten times as quick, ends.

    pandas gives microseconds too, unless a cell is finer: then the cast fails.
    """
    import pyarrow as pa

    try:
        cast = pa.array(column).cast(pa.timestamp("us"))
    except (pa.ArrowException, NotImplementedError):
        return None
    if isinstance(cast, pa.ChunkedArray) and cast.num_chunks > 1:
        cast = cast.combine_chunks()
    return pd.Series(cast.to_pandas().to_numpy(), index=column.index, name=column.name)


def _accept(
    column: pd.Series[Any], parsed: pd.Series[Any], name: str, form: str
) -> tuple[pd.Series[Any] | None, str]:
    odd = parsed.isna() & column.notna()
    if odd.any():
        first = column[odd].iloc[0]
        return None, (
            f"Column '{name}' holds {form} but for {plural(int(odd.sum()), 'cell')} "
            f"(the first is {first!r}); it stays text."
        )
    return parsed, f"Column '{name}' holds {form}; it is read as dates."


def _parse_year_first(column: pd.Series[Any], name: str) -> tuple[pd.Series[Any] | None, str]:
    unified = column.str.replace(r"[/.]", "-", regex=True)
    parsed = pd.to_datetime(unified, format="%Y-%m-%d" + _clock(column), errors="coerce")
    return _accept(column, parsed, name, "dates with the year first")


def _parse_named_months(column: pd.Series[Any], name: str) -> tuple[pd.Series[Any] | None, str]:
    unified = column.str.replace("-", " ", regex=False)
    short = pd.to_datetime(unified, format="%d %b %Y", errors="coerce")
    parsed = short.fillna(pd.to_datetime(unified, format="%d %B %Y", errors="coerce"))
    parsed = parsed.astype("datetime64[us]")  # as every other date; a lone gap is in seconds
    return _accept(column, parsed, name, "dates with the month's name")


def _clock(column: pd.Series[Any]) -> str:
    return ("", " %H:%M", " %H:%M:%S")[column.dropna().iloc[0].count(":")]


def _parse_day_month(column: pd.Series[Any], name: str) -> tuple[pd.Series[Any] | None, str]:
    parts = column.str.extract(r"^(\d{1,2})[/.-](\d{1,2})[/.-]\d{4}")
    first = pd.to_numeric(parts[0], errors="coerce")
    second = pd.to_numeric(parts[1], errors="coerce")
    if (first > 12).any() == (second > 12).any():
        return None, (
            f"Column '{name}' looks like dates, but whether the day or the month comes first "
            f"cannot be told; it stays text. Write dates as 2024-01-31."
        )
    day_first = bool((first > 12).any())
    unified = column.str.replace(r"[/.-]", "/", regex=True)
    order = "%d/%m/%Y" if day_first else "%m/%d/%Y"
    parsed = pd.to_datetime(unified, format=order + _clock(column), errors="coerce")
    return _accept(
        column,
        parsed,
        name,
        "dates with the day first" if day_first else "dates with the month first",
    )


def say_mixed(frame: pd.DataFrame, skip: Iterable[str] = ()) -> list[str]:
    """A sentence on each text column in which most cells are numbers, with a cell that is none."""
    notes = []
    for name in _text_columns(frame, skip):
        head = frame[name].dropna().head(HEAD_CELLS)
        if 2 * pd.to_numeric(head, errors="coerce").notna().sum() < max(len(head), 1):
            continue
        filled = frame[name].dropna()
        words = filled[pd.to_numeric(filled, errors="coerce").isna()]
        if len(words):
            said = listing([repr(word) for word in words.head(1000).unique()[:3]], 3)
            notes.append(
                f"Column '{name}' holds numbers and {plural(len(words), 'cell')} of text, such as "
                f"{said}; it is read as text. Leave such cells empty if they mean a missing value."
            )
    return notes


def say_empty(frame: pd.DataFrame) -> list[str]:
    """A sentence on the columns in which no row has a value."""
    empty = frame.head(HEAD_CELLS).isna().all()
    names = [f"'{name}'" for name in empty.index[empty] if frame[name].isna().all()]
    if not names:
        return []
    return [f"No row has a value in {listing(names, 6)}."]


def parse_grouped_numbers(
    frame: pd.DataFrame, decimal: str, skip: Iterable[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """Text columns such as `1,234.5` (or `1.234,5` with a decimal comma) as numbers."""
    changed: dict[str, Any] = {}
    names: list[str] = []
    groups = (".", " ", "'") if decimal == "," else (",", " ", "'")
    for name in _text_columns(frame, skip):
        for group in groups:
            if _looks_like(frame[name], GROUPED[group]):
                numbers = _ungroup(frame[name], group, decimal)
                if numbers is not None:
                    changed[name] = numbers
                    names.append(f"'{name}'")
                break
    if not changed:
        return frame, []
    sentence = f"Thousands separators were removed in {listing(names, limit=6)}."
    return frame.assign(**changed), [sentence]


def _ungroup(column: pd.Series[Any], group: str, decimal: str) -> pd.Series[Any] | None:
    filled = column.dropna()
    marks = {" ": "[ \u00a0\u202f]", "'": "['’]"}.get(group, re.escape(group))
    if not filled.str.contains(marks).any() or not filled.str.fullmatch(GROUPED[group]).all():
        return None
    plain = column.str.replace(marks, "", regex=True)
    if decimal == ",":
        plain = plain.str.replace(",", ".", regex=False)
    numbers: pd.Series[Any] = pd.to_numeric(plain, errors="coerce")
    return None if bool((numbers.isna() & column.notna()).any()) else numbers
