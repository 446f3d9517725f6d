"""Files → `Table`: told apart by content, read by the format's own library, within limits.

A table is a frame, and for NPZ/NPY files with a feature array also that array: features in
`arrays["X"]` (tabular `(n, f)` or images `(n, h, w[, c])`), everything with one value a row in
the frame.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import DataError
from ..settings import Settings, get_settings
from ..wording import listing
from .delimited import read_delimited
from .dtypes import object_columns, parse_dates, settle_objects
from .json_tables import looks_like_json, read_json
from .table_limits import check_columns, check_rows_given, check_shape, check_unpacked_size
from .unpacking import DAMAGED, Unpacked, read_bytes, unpack

__all__ = ["Table", "read_table"]

ENDINGS = {
    "text": ("csv", "tsv", "txt", "data", "tab", "psv", "dat", "json", "jsonl", "ndjson"),
    "parquet": ("parquet", "pq"),
    "feather": ("feather", "arrow", "ipc"),
    "arrow stream": ("arrow", "arrows", "ipc", "feather"),
    "excel": ("xlsx", "xlsm"),
    "npz": ("npz",),
    "npy": ("npy",),
}
FORMATS = {
    "text": "a text table",
    "parquet": "a Parquet file",
    "feather": "a Feather (Arrow) file",
    "arrow stream": "an Arrow stream",
    "excel": "an Excel workbook",
    "npz": "an NPZ archive of arrays",
    "npy": "an NPY array",
}
PACKED_ENDINGS = {".gz", ".bz2", ".xz", ".zst", ".zip"}


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

    @property
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


def read_table(
    source: Path | str | bytes | BinaryIO,
    name: str | None = None,
    *,
    settings: Settings | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
    sheet: str | None = None,
) -> Table:
    """Read any supported file; `delimiter`, `encoding`, `decimal`, `sheet` overrule what is found.

    Raises
    ------
    DataError : not readable as a table; the message says what it is and what to do.
    LimitExceeded : larger than `upload_limit_mb`, `max_rows` or `max_columns`, or unpacks to
        too much.
    """
    settings = settings or get_settings()
    shown = name or (Path(source).name if isinstance(source, (str, Path)) else "the data")
    packed = read_bytes(source, shown, settings)
    digest = hashlib.sha256(packed).hexdigest()
    unpacked = unpack(packed, shown, settings)
    del packed
    notes = [*unpacked.notes, *_renamed(unpacked)]
    arrays: dict[str, npt.NDArray[Any]] = {}
    if unpacked.kind == "text":
        frame, more = _read_text(unpacked, settings, delimiter, encoding, decimal)
    elif unpacked.kind == "excel":
        frame, more = _read_excel(unpacked, settings, sheet)
    elif unpacked.kind in ("npz", "npy"):
        from .array_files import read_npy, read_npz

        reader = read_npz if unpacked.kind == "npz" else read_npy
        frame, arrays, more = reader(unpacked.data, shown, settings)
    else:
        frame, more = _read_arrow(unpacked, settings)
    check_columns(frame.columns, shown)
    table = Table(shown, frame, arrays, digest, (*notes, *more))
    check_shape(table.n_read, frame.shape[1], shown, settings)
    check_rows_given(table.n_read, frame.shape[1], shown)
    return table


def _renamed(unpacked: Unpacked) -> list[str]:
    """A sentence when the file's ending says something else than its content."""
    path = Path(unpacked.name.lower())
    if path.suffix in PACKED_ENDINGS:
        path = path.with_suffix("")
    ending = path.suffix.removeprefix(".")
    known = {name for names in ENDINGS.values() for name in names}
    if ending not in known or ending in ENDINGS[unpacked.kind]:
        return []
    what = FORMATS[unpacked.kind]
    return [f"The name ends in .{ending}, but the file is {what}; it was read as {what}."]


def _read_text(
    unpacked: Unpacked,
    settings: Settings,
    delimiter: str | None,
    encoding: str | None,
    decimal: str | None,
) -> tuple[pd.DataFrame, list[str]]:
    if delimiter is None and looks_like_json(unpacked.data):
        return read_json(unpacked.data, unpacked.name, settings, encoding)
    return read_delimited(
        unpacked.data,
        unpacked.name,
        settings,
        delimiter=delimiter,
        encoding=encoding,
        decimal=decimal,
    )


# Parquet, Feather, Arrow


def _read_arrow(unpacked: Unpacked, settings: Settings) -> tuple[pd.DataFrame, list[str]]:
    import pyarrow as pa

    name, data = unpacked.name, unpacked.data
    try:
        if unpacked.kind == "parquet":
            table = _parquet_table(data, name, settings)
        else:
            table = _ipc_table(data, unpacked.kind)
        check_columns(table.column_names, name)
        check_shape(table.num_rows, table.num_columns, name, settings)
        return _arrow_frame(table)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"{name} is {FORMATS[unpacked.kind]} that is cut off or damaged ({first}). "
            f"Copy or download it again."
        ) from error


def _parquet_table(data: bytes, name: str, settings: Settings) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(data))
    about = file.metadata
    check_shape(about.num_rows, len(file.schema_arrow.names), name, settings)
    declared = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    cells = about.num_rows * len(file.schema_arrow.names)
    check_unpacked_size(max(declared, cells), len(data), name, settings)
    check_columns(file.schema_arrow.names, name)
    return file.read()


def _ipc_table(data: bytes, kind: str) -> Any:
    import pyarrow as pa
    from pyarrow import feather

    if kind == "arrow stream":
        table = pa.ipc.open_stream(pa.BufferReader(data)).read_all()
    else:
        table = feather.read_table(pa.BufferReader(data))
    table.validate(full=True)  # Arrow believes offsets in a file until it is asked to check them
    return table


def _arrow_frame(table: Any) -> tuple[pd.DataFrame, list[str]]:
    """pandas' own types from Arrow's; integers stay exact, decimals become floats."""
    import pyarrow as pa

    notes: list[str] = []
    decimals = [f.name for f in table.schema if pa.types.is_decimal(f.type)]
    for name in decimals:
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table[name].cast(pa.float64()))
    if decimals:
        notes.append(f"Decimal numbers became floats in {listing(list(map(repr, decimals)), 6)}.")
    frame: pd.DataFrame = table.to_pandas(date_as_object=False)
    for name in table.column_names:
        dtype = _exact_dtype(table[name]) if name in frame.columns else None
        if dtype is not None and not isinstance(frame[name].dtype, type(dtype)):
            frame[name] = dtype.__from_arrow__(table[name])
    frame = _index_as_column(frame)
    frame.columns = pd.Index([str(column) for column in frame.columns], dtype="str")
    return _settle_leftovers(frame, notes)


def _exact_dtype(column: Any) -> Any:
    """The nullable type for gaps among integers that a float would round, else None."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not column.null_count or column.type not in (pa.int64(), pa.uint64()):
        return None
    if not _is_large(pc.min_max(column)):
        return None
    return pd.Int64Dtype() if column.type == pa.int64() else pd.UInt64Dtype()


def _is_large(bounds: Any) -> bool:
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    return high is not None and max(abs(low), abs(high)) > 2**53


def _index_as_column(frame: pd.DataFrame) -> pd.DataFrame:
    """A pandas index that was saved with the file is a column like any other."""
    if isinstance(frame.index, pd.RangeIndex):
        return frame.reset_index(drop=True)
    named = [
        str(level) if level is not None else f"Unnamed: {i}"
        for i, level in enumerate(frame.index.names)
    ]
    return frame.reset_index(names=named)


def _settle_leftovers(frame: pd.DataFrame, notes: list[str]) -> tuple[pd.DataFrame, list[str]]:
    for name in object_columns(frame):
        frame[name], note = settle_objects(frame[name].to_numpy(), name)
        notes.extend([note] if note else [])
    return frame, notes


# Excel

# What openpyxl raises on workbooks whose parts are missing or malformed.
BROKEN_WORKBOOK = (*DAMAGED, KeyError, IndexError, TypeError, AttributeError, SyntaxError)


def _read_excel(
    unpacked: Unpacked, settings: Settings, sheet: str | None
) -> tuple[pd.DataFrame, list[str]]:
    import warnings
    import zipfile

    import openpyxl

    name = unpacked.name
    try:
        with zipfile.ZipFile(io.BytesIO(unpacked.data)) as archive:
            size = sum(member.file_size for member in archive.infolist())
        check_unpacked_size(size, len(unpacked.data), name, settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # styles and validations that openpyxl does not know
            book = openpyxl.load_workbook(
                io.BytesIO(unpacked.data), read_only=True, data_only=True, keep_links=False
            )
            try:
                return _first_sheet(book, name, settings, sheet)
            finally:
                book.close()
    except BROKEN_WORKBOOK as error:
        raise DataError(
            f"{name} is an Excel workbook that is cut off or damaged. Save it again in Excel."
        ) from error


def _first_sheet(
    book: Any, name: str, settings: Settings, sheet: str | None
) -> tuple[pd.DataFrame, list[str]]:
    titles: list[str] = [page.title for page in book.worksheets]
    if sheet is not None and sheet not in titles:
        raise DataError(f"{name} has no sheet {sheet!r}. Its sheets are {listing(titles, 8)}.")
    for title in [sheet] if sheet is not None else titles:
        rows = _sheet_rows(book[title], name, settings)
        if rows:
            frame, notes = _sheet_frame(rows, name)
            others = f" (of {len(titles)})" if len(titles) > 1 else ""
            return frame, [f"Read sheet '{title}'{others}.", *notes]
    raise DataError(f"{name} has no sheet with cells in it. Load one with a header and rows.")


def _sheet_rows(page: Any, name: str, settings: Settings) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for row in page.iter_rows(values_only=True, max_col=settings.max_columns + 1):
        if rows or any(cell is not None for cell in row):
            rows.append(row)
        if len(rows) > settings.max_rows + 1:
            check_shape(len(rows) - 1, 0, name, settings)
    while rows and all(cell is None for cell in rows[-1]):
        rows.pop()
    return rows


def _sheet_frame(rows: list[tuple[Any, ...]], name: str) -> tuple[pd.DataFrame, list[str]]:
    header = list(rows[0])
    while (
        header
        and header[-1] is None
        and all(r[len(header) - 1 :][:1] in ((), (None,)) for r in rows)
    ):
        header.pop()
    names = [
        str(cell) if cell is not None and str(cell).strip() else f"Unnamed: {i}"
        for i, cell in enumerate(header)
    ]
    check_columns(names, name)
    check_rows_given(len(rows) - 1, len(names), name)
    width = len(names)
    body = [row[:width] + (None,) * (width - len(row)) for row in rows[1:]]
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
