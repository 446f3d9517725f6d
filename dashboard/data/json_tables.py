"""JSON and JSON lines → frames: records, columns, split, table schema, rows with a header."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from ..errors import DataError
from ..settings import Settings
from ..wording import listing, plural
from .dialects import decode
from .dtypes import parse_dates, settle_objects
from .table_limits import check_columns, check_shape

__all__ = ["looks_like_json", "read_json"]

LEVELS = 3
SHAPES = 'Write a list of records, [{"a": 1}, …], one record a line, or columns, {"a": [1, …]}.'


def looks_like_json(data: bytes) -> bool:
    """Whether text starts as JSON does: `{"`, `[{`, `[[` (after a byte-order mark and blanks)."""
    head = data[:512].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    compact = b"".join(head.split())
    return compact.startswith((b'{"', b"{}", b"[{", b"[[", b"[]"))


def read_json(
    data: bytes, name: str, settings: Settings, encoding: str | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """A frame, and sentences on the layout that was found.

    Raises
    ------
    DataError : not valid JSON (with the line), or valid and not a table.
    """
    plain, _ = decode(data, name, encoding)
    lines = _read_lines(plain, name)
    if lines is not None:
        frame, notes = _from_records(lines, name), ["JSON lines, one record a line."]
    else:
        frame, notes = _from_document(_parse(plain, name), name)
    if not len(frame):
        raise DataError(f"{name} holds no rows. At least one row is needed. {SHAPES}")
    check_shape(len(frame), frame.shape[1], name, settings)
    frame, nested = _flatten(frame, name, settings)
    frame, settled = _settle(frame)
    frame, dates = parse_dates(frame)
    return frame, [*notes, *nested, *settled, *dates]


def _flatten(frame: pd.DataFrame, name: str, settings: Settings) -> tuple[pd.DataFrame, list[str]]:
    """Columns of records as one column for each of their names: `a.b`, three levels deep."""
    made: list[str] = []
    for _ in range(LEVELS):
        nested = [i for i in range(frame.shape[1]) if _holds_records(frame.iloc[:, i])]
        if not nested:
            break
        parts: list[Any] = []
        for i, column in enumerate(map(str, frame.columns)):
            cells = frame.iloc[:, i]
            if i not in nested:
                parts.append(cells.rename(column))
                continue
            keys = dict.fromkeys(key for cell in cells.dropna() for key in cell)
            check_shape(0, len(keys) + len(parts), name, settings)
            for key in keys:
                inner = [cell.get(key) if isinstance(cell, dict) else None for cell in cells]
                parts.append(pd.Series(inner, dtype=object, name=f"{column}.{key}"))
                made.append(f"'{column}.{key}'")
        check_columns([part.name for part in parts], name)
        frame = pd.concat(parts, axis="columns") if parts else frame.iloc[:, :0]
    if not made:
        return frame, []
    return frame, [f"Nested records became columns: {listing(made, 6)}."]


def _holds_records(column: pd.Series[Any]) -> bool:
    filled = column.dropna()
    return len(filled) > 0 and all(isinstance(cell, dict) for cell in filled)


def _settle(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    columns: dict[str, Any] = {}
    notes: list[str] = []
    for position, column in enumerate(frame.columns):
        columns[str(column)], note = settle_objects(frame.iloc[:, position].to_numpy(), str(column))
        notes.extend([note] if note else [])
    return pd.DataFrame(columns), notes


def _loads(data: bytes) -> Any:
    import orjson

    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        found = json.loads(data)  # NaN and Infinity, as Python writes them
        if b"\\u" in data:  # half of a character is a ValueError here, and further on otherwise
            json.dumps(found, ensure_ascii=False).encode()
        return found


def _parse(data: bytes, name: str) -> Any:
    try:
        return _loads(data)
    except RecursionError as error:
        raise DataError(f"{name} is nested too deeply for a table. {SHAPES}") from error
    except ValueError as error:
        where = getattr(error, "lineno", None)
        line = f" in line {where:,}" if where else ""
        raise DataError(f"{name} is not valid JSON{line}: {error}. {SHAPES}") from error


def _read_lines(data: bytes, name: str) -> list[Any] | None:
    """The records of JSON lines, or None when the text is one document."""
    first, _, rest = data.lstrip().partition(b"\n")
    if not rest.strip() or not first.strip().startswith(b"{"):
        return None
    try:
        if not isinstance(_loads(first), dict):
            return None
    except (ValueError, RecursionError):
        return None
    records: list[Any] = []
    for number, line in enumerate(data.splitlines(), start=1):
        if line.strip():
            try:
                records.append(_loads(line))
            except (ValueError, RecursionError) as error:
                raise DataError(
                    f"{name} is not valid JSON in line {number:,}: {error}. {SHAPES}"
                ) from error
    return records


def _from_records(records: list[Any], name: str) -> pd.DataFrame:
    odd = next((i for i, record in enumerate(records) if not isinstance(record, dict)), None)
    if odd is not None:
        raise DataError(f"{name} has no object with names in record {odd + 1:,}. {SHAPES}")
    names = list(dict.fromkeys(key for record in records for key in record))
    columns = {key: [record.get(key) for record in records] for key in names}
    return pd.DataFrame({key: pd.Series(values, dtype=object) for key, values in columns.items()})


def _from_document(document: Any, name: str) -> tuple[pd.DataFrame, list[str]]:
    if isinstance(document, list):
        return _from_list(document, name)
    if not isinstance(document, dict):
        raise DataError(f"{name} is valid JSON and not a table. {SHAPES}")
    if "columns" in document and "data" in document:
        return _from_rows(document["columns"], document["data"], name), ["JSON, split layout."]
    lists = [key for key, value in document.items() if isinstance(value, list)]
    if "schema" in document and "data" in lists:
        return _from_records(document["data"], name), ["JSON, table layout."]
    if len(lists) == 1 and document[lists[0]] and isinstance(document[lists[0]][0], dict):
        return _from_records(document[lists[0]], name), [f"JSON, records under '{lists[0]}'."]
    return _from_columns(document, name), ["JSON, one entry a column."]


def _from_list(document: list[Any], name: str) -> tuple[pd.DataFrame, list[str]]:
    if document and isinstance(document[0], list):
        header, body = document[0], document[1:]
        if not all(isinstance(cell, str) for cell in header):
            header, body = [f"column_{i + 1}" for i in range(len(header))], document
        return _from_rows(header, body, name), ["JSON, a list of rows."]
    return _from_records(document, name), ["JSON, a list of records."]


def _from_rows(header: Any, rows: Any, name: str) -> pd.DataFrame:
    if not isinstance(header, list) or not isinstance(rows, list):
        raise DataError(f"{name} is valid JSON and not a table. {SHAPES}")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, list) or len(row) != len(header):
            raise DataError(
                f"{name} does not have {plural(len(header), 'value')} in row {number:,}, one for "
                f"each column. Complete the row."
            )
    check_columns(map(str, header), name)
    columns = [[row[i] for row in rows] for i in range(len(header))]
    return pd.DataFrame(
        {str(k): pd.Series(v, dtype=object) for k, v in zip(header, columns, strict=True)}
    )


def _from_columns(document: dict[str, Any], name: str) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, (dict, list)):
            columns[key] = pd.Series(value, dtype=object)
        else:
            raise DataError(f"{name} is valid JSON and not a table ('{key}' is no list). {SHAPES}")
    if len({len(column) for column in columns.values()}) > 1:
        sizes = ", ".join(f"{key} {len(column):,}" for key, column in list(columns.items())[:5])
        raise DataError(f"{name} has columns of different lengths: {sizes}. {SHAPES}")
    return pd.DataFrame(columns).reset_index(drop=True)
