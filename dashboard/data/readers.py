"""Files → `Table`: told apart by content, read by the format's own library, within limits.

A table is a frame, and for NPZ/NPY files with a feature array also that array: features in
`arrays["X"]` (tabular `(n, f)` or images `(n, h, w[, c])`), everything with one value a row in
the frame.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy.typing as npt
import pandas as pd

from ..errors import DataError
from ..settings import Settings, get_settings
from ..wording import listing
from .concatenation import concatenate
from .delimited import read_delimited
from .dtypes import object_columns, say_empty, settle_objects
from .excel_files import read_excel
from .json_tables import looks_like_json, read_json
from .table_limits import check_columns, check_rows_given, check_shape, check_unpacked_size
from .tables import Table
from .unpacking import Unpacked, read_bytes, read_members, unpack

__all__ = ["Table", "read_table", "read_tables"]

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

    A zip archive of several tables is one table, as `read_tables` makes it.

    Raises
    ------
    DataError : not readable as a table; the message says what it is and what to do.
    LimitExceeded : larger than `upload_limit_mb`, `max_rows` or `max_columns`, or unpacks to
        too much.
    """
    settings = settings or get_settings()
    shown = name or (Path(source).name if isinstance(source, (str, Path)) else "the data")
    options = _Options(delimiter, encoding, decimal, sheet)
    data = read_bytes(source, shown, settings)
    with ThreadPoolExecutor(1) as pool:  # hashing a gigabyte takes as long as parsing a quarter
        digest = pool.submit(lambda: hashlib.sha256(data).hexdigest())
        unpacked = unpack(data, shown, settings)
        if unpacked.kind == "tables":
            return replace(_read_archive(unpacked, settings, options), digest=digest.result())
        return replace(_read_one(unpacked, settings, options), digest=digest.result())


def read_tables(
    sources: Sequence[tuple[Path | str | bytes | BinaryIO, str]],
    *,
    settings: Settings | None = None,
    **options: str | None,
) -> Table:
    """Several files of one schema as one table; `(source, name)` for each, options as above.

    A column `source file` says which file a row is from. Where all names say train, test or
    validation, a column `split` says which, and the test part is what is evaluated.

    Raises
    ------
    DataError : no file, one that is not readable, or columns that differ; they are named.
    LimitExceeded : too large, one by one or together.
    """
    if not sources:
        raise DataError("No file was given. Load one data file, or several of one schema.")
    settings = settings or get_settings()
    tables = [read_table(source, name, settings=settings, **options) for source, name in sources]
    return tables[0] if len(tables) == 1 else concatenate(tables, settings)


@dataclass(frozen=True)
class _Options:
    """What a person says of a file; None: find out."""

    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    sheet: str | None = None


def _read_archive(archive: Unpacked, settings: Settings, options: _Options) -> Table:
    """The tables of a zip archive; one that is an archive itself is refused."""
    tables = []
    try:
        for data, member in read_members(archive, settings):
            unpacked = unpack(data, member, settings)
            if unpacked.kind == "tables":
                raise DataError(f"{member} is an archive itself. Unpack that one first.")
            digest = hashlib.sha256(data).hexdigest()
            tables.append(replace(_read_one(unpacked, settings, options), digest=digest))
        joined = concatenate(tables, settings)
    except DataError as error:
        if str(error).startswith(f"{archive.name} "):
            raise
        raise type(error)(f"{archive.name} cannot be read as one table: {error}") from error
    return replace(joined, name=archive.name, source=(*archive.notes, *joined.source))


def _read_one(unpacked: Unpacked, settings: Settings, options: _Options) -> Table:
    shown, notes = unpacked.name, [*unpacked.notes, *_renamed(unpacked)]
    arrays: dict[str, npt.NDArray[Any]] = {}
    if unpacked.kind == "text":
        frame, more = _read_text(unpacked, settings, options)
    elif unpacked.kind == "excel":
        frame, more = read_excel(unpacked, settings, options.sheet)
    elif unpacked.kind in ("npz", "npy"):
        from .array_files import read_npy, read_npz

        reader = read_npz if unpacked.kind == "npz" else read_npy
        frame, arrays, more = reader(unpacked.data, shown, settings)
    else:
        frame, more = _read_arrow(unpacked, settings)
    check_columns(frame.columns, shown)
    table = Table(shown, frame, arrays, "", (*notes, *more, *say_empty(frame)))
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
    unpacked: Unpacked, settings: Settings, options: _Options
) -> tuple[pd.DataFrame, list[str]]:
    if options.delimiter is None and looks_like_json(unpacked.data):
        return read_json(unpacked.data, unpacked.name, settings, options.encoding)
    return read_delimited(
        unpacked.data,
        unpacked.name,
        settings,
        delimiter=options.delimiter,
        encoding=options.encoding,
        decimal=options.decimal,
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
