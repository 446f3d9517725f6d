"""Excel workbooks → frames: the values of one sheet; formulas, macros and links never run."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..errors import DataError, LimitExceeded
from ..settings import Settings
from ..wording import listing, plural
from .dtypes import parse_dates, settle_objects
from .table_limits import check_columns, check_rows_given, check_shape, check_unpacked_size
from .unpacking import DAMAGED, Unpacked

__all__ = ["read_excel"]

# What openpyxl raises on workbooks whose parts are missing or malformed.
BROKEN_WORKBOOK = (*DAMAGED, KeyError, IndexError, TypeError, AttributeError, SyntaxError)
MACROS = "The workbook holds macros; they were not run, and its cells are read as values."
HEAD_ROWS = 20
EXCEL_ROWS = 1_048_576  # the most that Excel itself writes
MOST_CELLS = 64_000_000


def read_excel(
    unpacked: Unpacked, settings: Settings, sheet: str | None
) -> tuple[pd.DataFrame, list[str]]:
    import warnings
    import zipfile

    import openpyxl

    name = unpacked.name
    try:
        with zipfile.ZipFile(io.BytesIO(unpacked.data)) as archive:
            size = sum(member.file_size for member in archive.infolist())
            macros = "xl/vbaProject.bin" in archive.namelist()
        check_unpacked_size(size, len(unpacked.data), name, settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # styles and validations that openpyxl does not know
            book = openpyxl.load_workbook(
                io.BytesIO(unpacked.data), read_only=True, data_only=True, keep_links=False
            )
            try:
                frame, notes = _first_table(book, name, settings, sheet)
            finally:
                book.close()
        return frame, [*notes, *([MACROS] if macros else [])]
    except BROKEN_WORKBOOK as error:
        raise DataError(
            f"{name} is an Excel workbook that is cut off or damaged. Save it again in Excel."
        ) from error


def _first_table(
    book: Any, name: str, settings: Settings, sheet: str | None
) -> tuple[pd.DataFrame, list[str]]:
    """The sheet asked for, or the first that holds more than a title page does."""
    titles: list[str] = [page.title for page in book.worksheets]
    if sheet is not None and sheet not in titles:
        raise DataError(f"{name} has no sheet {sheet!r}. Its sheets are {listing(titles, 8)}.")
    found: dict[str, list[tuple[Any, ...]]] = {}
    for title in [sheet] if sheet is not None else titles:
        rows = _sheet_rows(book[title], name, settings)
        if rows:
            found[title] = rows
        if _is_table(rows):
            break
    if not found:
        raise DataError(f"{name} has no sheet with cells in it. Load one with a header and rows.")
    title = list(found)[-1] if _is_table(list(found.values())[-1]) else next(iter(found))
    rows, skipped = _without_titles(found[title])
    frame, notes = _sheet_frame(rows, name)
    others = f" (of {len(titles)})" if len(titles) > 1 else ""
    return frame, [f"Read sheet '{title}'{others}.", *skipped, *notes]


def _is_table(rows: list[tuple[Any, ...]]) -> bool:
    return len(rows) > 1 and max(map(_filled, rows[:HEAD_ROWS])) > 1


def _filled(row: tuple[Any, ...]) -> int:
    return sum(cell is not None for cell in row)


def _without_titles(rows: list[tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], list[str]]:
    """Without the lines of one cell or none that stand above the names of a wider table."""
    if max(map(_filled, rows[:HEAD_ROWS])) < 3:
        return rows, []
    first = next(i for i, row in enumerate(rows) if _filled(row) > 1)
    if first == 0 or len(rows) - first < 2:
        return rows, []
    return rows[first:], [f"The first {plural(first, 'line')} above the names: a title, left out."]


def _sheet_rows(page: Any, name: str, settings: Settings) -> list[tuple[Any, ...]]:
    """Rows without the empty cells at their end; sizes that the file only claims are not believed.

    A cell far to the right or far down costs a few bytes in the file and a whole row here.
    """
    page.reset_dimensions()
    rows: list[tuple[Any, ...]] = []
    cells = 0
    for number, row in enumerate(page.iter_rows(values_only=True)):
        filled = _without_end(row)
        if rows or filled:
            rows.append(filled)
            cells += len(filled)
        if number > EXCEL_ROWS or cells > MOST_CELLS:
            raise LimitExceeded(
                f"{name} is an Excel workbook with more than {EXCEL_ROWS:,} rows or "
                f"{MOST_CELLS:,} cells. Save it as Parquet or CSV."
            )
        if len(rows) > settings.max_rows + 1:
            check_shape(len(rows) - 1, 0, name, settings)
    while rows and not rows[-1]:
        rows.pop()
    return rows


def _without_end(row: Sequence[Any]) -> tuple[Any, ...]:
    end = len(row)
    while end and row[end - 1] is None:
        end -= 1
    return tuple(row[:end])


def _sheet_frame(rows: list[tuple[Any, ...]], name: str) -> tuple[pd.DataFrame, list[str]]:
    width = max(map(len, rows))
    header = [*rows[0], *[None] * (width - len(rows[0]))]
    names = [
        str(cell) if cell is not None and str(cell).strip() else f"Unnamed: {i}"
        for i, cell in enumerate(header)
    ]
    check_columns(names, name)
    check_rows_given(len(rows) - 1, len(names), name)
    body = [row + (None,) * (width - len(row)) for row in rows[1:]]
    columns: dict[str, Any] = {}
    notes: list[str] = []
    for column, values in zip(names, zip(*body, strict=True), strict=True):
        columns[column], note = settle_objects(_without_errors(values), column)
        notes.extend([note] if note else [])
    frame, dates = parse_dates(pd.DataFrame(columns))
    return frame, [*notes, *dates]


def _without_errors(values: Sequence[Any]) -> list[Any]:
    """Excel's error cells (#N/A, #DIV/0!, …) and empty texts are missing values."""
    return [
        None if isinstance(v, str) and (not v.strip() or (v[0] == "#" and v in EXCEL_ERRORS)) else v
        for v in values
    ]


EXCEL_ERRORS = frozenset(
    {"#N/A", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!"}
)
