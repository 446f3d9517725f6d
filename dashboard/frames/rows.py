"""Rows for a model as one file that a worker maps into memory: written once, read without a copy.

The file is a row of sections, each at a multiple of 64 bytes, then a JSON index, its length and a
magic word. A section is an Arrow stream of one record batch, or the plain buffer of an array, or
JSON for cells that Arrow has no type for. Missing numbers stay NaN, so that columns map back as
they were; categories, dates, nullable columns and text keep their types.
"""

from __future__ import annotations

import ctypes
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ModelError
from .tagged import tag_value, tag_values, untag_values
from .wire import FrameError

__all__ = ["fingerprint", "held_for_fingerprint", "read_rows", "write_rows"]

Rows = pd.DataFrame | npt.NDArray[Any]
Array = npt.NDArray[Any]
Index = dict[str, Any]

MAGIC = b"SLr1"
ALIGNMENT = 64
GROUP_BYTES = 64 << 20
PLAIN = "biufmM"


# ---- writing ---------------------------------------------------------------------------------


def write_rows(path: Path, X: Rows) -> None:
    """Write `X` to `path`; nothing of its size is copied unless its columns lie scattered.

    Raises
    ------
    ModelError : cells or arrays of types that cannot be given to a confined model (named).
    """
    with path.open("wb", buffering=0) as file:
        index = _write_frame(file, X) if isinstance(X, pd.DataFrame) else _write_array(file, X)
        text = json.dumps(index).encode()
        file.write(text + len(text).to_bytes(8, "little") + MAGIC)


def _section(file: Any, write: Callable[[], object]) -> tuple[int, int]:
    """Offset and length of what `write` adds to the file."""
    file.write(bytes(-file.tell() % ALIGNMENT))
    start = file.tell()
    write()
    return start, file.tell() - start


def _write_array(file: Any, X: Any) -> Index:
    array = np.asarray(X)
    index: Index = {"array": array.dtype.str, "shape": list(array.shape)}
    if array.dtype.kind == "O":
        cells = _json([tag_value(cell) for cell in array.ravel().tolist()])
        return {**index, "cells": _section(file, lambda: file.write(cells))}
    if array.dtype.kind not in PLAIN + "US" or array.dtype.itemsize == 0:
        raise ModelError(
            f"Arrays of type {array.dtype} cannot be given to a model here; pass numbers or text."
        )
    turned = array.T if array.flags.f_contiguous and not array.flags.c_contiguous else array
    index["turned"] = turned is not array
    index["buffer"] = _section(file, lambda: _write_buffer(file, turned))
    return index


def _write_buffer(file: Any, array: Array) -> None:
    """The bytes of an array in C order, in pieces where it is not in that order."""
    if array.ndim == 0 or array.flags.c_contiguous:
        _write_all(file, np.ascontiguousarray(array))
        return
    step = max(1, GROUP_BYTES // max(1, array.nbytes // max(1, len(array))))
    for start in range(0, len(array), step):
        _write_all(file, np.ascontiguousarray(array[start : start + step]))


def _write_all(file: Any, array: Array) -> None:
    view = memoryview(array.reshape(-1).view(np.uint8).data)
    while len(view):
        view = view[file.write(view) :]


def _json(values: Any) -> bytes:
    return json.dumps(values, allow_nan=False).encode()


def _write_frame(file: Any, X: pd.DataFrame) -> Index:
    groups: dict[str, dict[int, Array]] = {}
    sections: list[Index] = []
    for at, dtype in enumerate(X.dtypes):
        column: Any = X.iloc[:, at]
        if isinstance(dtype, pd.SparseDtype):
            column = column.sparse.to_dense()
        if _is_plain(column.dtype):
            name = column.dtype.newbyteorder("<").str
            groups.setdefault(name, {})[at] = column.to_numpy()
        else:
            sections.append(_write_column(file, column, at))
    for name, arrays in groups.items():
        sections += _write_group(file, arrays, name)
    try:
        names = tag_values(X.columns)
    except FrameError as error:
        raise ModelError(f"The columns have names that are no text or number ({error})") from error
    return {"rows": len(X), "columns": names, "sections": sections}


def _is_plain(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind in PLAIN and dtype.itemsize <= 8


def _write_group(file: Any, arrays: dict[int, Array], dtype: str) -> Iterator[Index]:
    """Columns of one NumPy type: together as they lie in memory, or copied a few at a time."""
    columns, given = list(arrays), list(arrays.values())
    matrix = _as_matrix(given)
    if matrix is not None:
        place = _section(file, lambda: _write_buffer(file, matrix))
        yield {"kind": "matrix", "dtype": dtype, "columns": columns, "place": place}
        return
    contiguous = all(array.flags.c_contiguous for array in given)
    step = len(given) if contiguous else max(1, GROUP_BYTES // max(1, given[0].nbytes))
    for start in range(0, len(given), step):
        part = [_arrow_numbers(np.ascontiguousarray(one)) for one in given[start : start + step]]
        place = _write_stream(file, part)
        chosen = columns[start : start + step]
        yield {"kind": "numbers", "dtype": dtype, "columns": chosen, "place": place}


def _as_matrix(arrays: list[Array]) -> Array | None:
    """The `(n, k)` array in C order whose columns these are, side by side in memory; or None."""
    first, k = arrays[0], len(arrays)
    size = first.dtype.itemsize
    if k < 2 or len(first) < 2 or any(array.strides != (k * size,) for array in arrays):
        return None
    start = first.ctypes.data
    if any(array.ctypes.data != start + size * at for at, array in enumerate(arrays)):
        return None
    shape, strides = (len(first), k), (k * size, size)
    return np.lib.stride_tricks.as_strided(first, shape, strides, writeable=False)


def _arrow_numbers(array: Array) -> Any:
    """An Arrow array over the same memory; booleans and dates as whole numbers."""
    import pyarrow as pa

    kind = array.dtype.kind
    if kind in "bmM":
        array = array.view(np.uint8 if kind == "b" else np.int64)
    elif array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    return pa.Array.from_buffers(
        pa.from_numpy_dtype(array.dtype), len(array), [None, pa.py_buffer(array)]
    )


def _write_stream(file: Any, arrays: list[Any]) -> tuple[int, int]:
    import pyarrow as pa

    batch = pa.RecordBatch.from_arrays(arrays, names=[str(at) for at in range(len(arrays))])

    def write() -> None:
        with pa.ipc.new_stream(pa.PythonFile(file, "w"), batch.schema) as stream:
            stream.write_batch(batch)

    return _section(file, write)


def _write_column(file: Any, column: pd.Series[Any], at: int) -> Index:
    """A column that is more than plain numbers."""
    import pyarrow as pa

    name, dtype = str(column.name), column.dtype
    if not isinstance(dtype, np.dtype):
        frame = pd.DataFrame({"0": column.reset_index(drop=True)})
        try:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            same = bool(table.slice(0, 0).to_pandas()["0"].dtype == dtype)
        except (pa.ArrowException, TypeError, ValueError, NotImplementedError):
            same = False
        if same:

            def write() -> None:
                with pa.ipc.new_stream(pa.PythonFile(file, "w"), table.schema) as stream:
                    stream.write_table(table)

            return {"kind": "arrow", "columns": [at], "place": _section(file, write)}
    return _write_cells(file, column, at, name)


def _write_cells(file: Any, column: pd.Series[Any], at: int, name: str) -> Index:
    """Cells of any Python type, each with its type."""
    import pyarrow as pa

    values = column.astype("object").to_numpy()
    if pd.api.types.infer_dtype(values, skipna=False) == "string":
        try:
            texts = pa.array(values, pa.large_string())
        except UnicodeEncodeError:  # half a surrogate pair, which JSON can hold
            texts = None
        if texts is not None:
            place = _write_stream(file, [texts])
            return {"kind": "texts", "columns": [at], "place": place}
    try:
        cells = _json(tag_values(values))
    except FrameError as error:
        raise ModelError(
            f"Column {name!r} cannot be given to a model here: {str(error).rstrip('.')}. Leave it "
            "out, or write its cells as text or numbers."
        ) from error
    return {"kind": "cells", "columns": [at], "place": _section(file, lambda: file.write(cells))}


# ---- reading ---------------------------------------------------------------------------------


def read_rows(path: Path, *, writable: bool = False) -> Rows:
    """What `write_rows` wrote, mapped into memory; copied where a model must write into it.

    Raises
    ------
    ModelError : no such file, or none that `write_rows` wrote.
    """
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as source:
            content = source.read_buffer()
        index = _read_index(content)
        rows = _read_array(content, index) if "array" in index else _read_frame(content, index)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise ModelError(f"The rows for the model cannot be read ({error}).") from error
    return rows.copy() if writable else rows


def _read_index(content: Any) -> Index:
    end = content.size - len(MAGIC) - 8
    if end < 0 or content[end + 8 :].to_pybytes() != MAGIC:
        raise ValueError("the file is incomplete")
    length = int.from_bytes(content[end : end + 8].to_pybytes(), "little")
    index: Index = json.loads(content[end - length : end].to_pybytes())
    return index


def _read_array(content: Any, index: Index) -> Array:
    shape = tuple(index["shape"])
    if "cells" in index:
        cells = untag_values(json.loads(_bytes(content, index["cells"])), limit=1 << 40)
        array = np.empty(len(cells), dtype=object)
        array[:] = cells
        return array.reshape(shape)
    start, length = index["buffer"]
    flat = np.frombuffer(content.slice(start, length), dtype=np.dtype(index["array"]))
    return flat.reshape(shape[::-1]).T if index["turned"] else flat.reshape(shape)


def _bytes(content: Any, place: list[int]) -> bytes:
    found: bytes = content.slice(place[0], place[1]).to_pybytes()
    return found


def _read_frame(content: Any, index: Index) -> pd.DataFrame:
    n, names = index["rows"], untag_values(index["columns"], limit=1 << 40)
    rows = pd.RangeIndex(n)
    columns: dict[int, Any] = {}
    for section in index["sections"]:
        found = _READERS[section["kind"]](content, section, n)
        block = _as_block(found, section["columns"])
        if block is not None and len(found) == len(names):
            return _named(pd.DataFrame(block, index=rows, copy=False), names)
        columns.update(zip(section["columns"], found, strict=True))
    ordered = {at: columns[at] for at in range(len(names))}
    return _named(pd.DataFrame(ordered, index=rows, copy=False), names)


def _named(frame: pd.DataFrame, names: list[Any]) -> pd.DataFrame:
    return frame.set_axis(pd.Index(names, dtype=None if names else object), axis="columns")


def _as_block(arrays: Any, columns: list[int]) -> Array | None:
    """`(n, k)` over columns that lie evenly in memory, so that a frame holds them as one block."""
    if isinstance(arrays, _Matrix):
        return arrays.values
    first = arrays[0]
    if columns != list(range(len(columns))) or not isinstance(first, np.ndarray):
        return None
    if len(arrays) < 2 or not len(first):
        return None
    gap = arrays[1].ctypes.data - first.ctypes.data
    if gap < first.nbytes or any(
        array.ctypes.data != first.ctypes.data + at * gap for at, array in enumerate(arrays)
    ):
        return None
    shape, strides = (len(first), len(arrays)), (first.itemsize, gap)
    return np.lib.stride_tricks.as_strided(first, shape, strides, writeable=False)


class _Matrix(list[Array]):
    """The columns of a matrix in C order, and the matrix."""

    def __init__(self, values: Array) -> None:
        super().__init__(values.T)
        self.values = values


def _read_matrix(content: Any, section: Index, n: int) -> list[Array]:
    start, length = section["place"]
    flat = np.frombuffer(content.slice(start, length), dtype=np.dtype(section["dtype"]))
    return _Matrix(flat.reshape(n, len(section["columns"])))


def _table(content: Any, section: Index) -> Any:
    import pyarrow as pa

    return pa.ipc.open_stream(content.slice(*section["place"])).read_all()


def _read_numbers(content: Any, section: Index, n: int) -> list[Array]:
    dtype = np.dtype(section["dtype"])
    if not n:
        return [np.empty(0, dtype) for _ in section["columns"]]
    table = _table(content, section)
    return [column.chunk(0).to_numpy(zero_copy_only=True).view(dtype) for column in table.columns]


def _read_arrow(content: Any, section: Index, n: int) -> list[Any]:
    return [_table(content, section).to_pandas()["0"].array]


def _read_texts(content: Any, section: Index, n: int) -> list[Any]:
    return [_objects(_table(content, section).column(0).to_pylist())]


def _read_cells(content: Any, section: Index, n: int) -> list[Any]:
    return [_objects(untag_values(json.loads(_bytes(content, section["place"])), limit=1 << 40))]


def _objects(values: list[Any]) -> pd.Series[Any]:
    """Cells as they are: without a type, pandas would read texts as its own and lists as rows."""
    cells = np.empty(len(values), dtype=object)
    for at, value in enumerate(values):
        cells[at] = value
    return pd.Series(cells, dtype=object)


_READERS: dict[str, Callable[[Any, Index, int], list[Any]]] = {
    "matrix": _read_matrix,
    "numbers": _read_numbers,
    "arrow": _read_arrow,
    "texts": _read_texts,
    "cells": _read_cells,
}


# ---- whether it is still the same ------------------------------------------------------------


def fingerprint(X: Rows) -> int:
    """A checksum that changes when somebody writes into `X`; reads everything, keeps nothing.

    Of cells that are Python objects or Arrow's, it reads where they lie. Two checksums can be
    compared as long as somebody keeps what `held_for_fingerprint` gave with the first.
    """
    if not isinstance(X, pd.DataFrame):
        return _sum(np.asarray(X), 0)
    found = zlib.crc32(repr((tuple(X.columns), X.shape)).encode())
    for at in range(X.shape[1]):
        column = X.iloc[:, at]
        if isinstance(column.dtype, np.dtype):
            found = _sum(column.to_numpy(), found)
        elif isinstance(column.dtype, pd.CategoricalDtype):
            found = _sum(column.cat.codes.to_numpy(), found)
            known = pd.util.hash_pandas_object(pd.Series(column.cat.categories), index=False)
            found = _sum(known.to_numpy(), found)
        else:
            found = zlib.crc32(repr(_addresses(column)).encode(), found)
    return found


def held_for_fingerprint(X: Rows) -> list[Any]:
    """The objects whose places the checksum of `X` tells, so that no others come to lie there."""
    if not isinstance(X, pd.DataFrame):
        return [np.array(X)] if np.asarray(X).dtype.kind == "O" else []
    held: list[Any] = []
    for at, dtype in enumerate(X.dtypes):
        if isinstance(dtype, np.dtype):
            held += [X.iloc[:, at].to_numpy(copy=True)] if dtype.kind == "O" else []
        else:
            held.append(getattr(X.iloc[:, at].array, "_pa_array", None))
    return held


def _sum(array: Array, start: int) -> int:
    """CRC-32 of the bytes in memory; of an array of objects, of which objects they are."""
    if array.dtype.kind == "O":
        if not array.flags.c_contiguous:
            array = np.array(array, order="C")
        memory = (ctypes.c_char * array.nbytes).from_address(array.ctypes.data)
        return zlib.crc32(memory, start)
    if array.flags.f_contiguous:
        array = array.T
    if array.flags.c_contiguous:
        return zlib.crc32(array.reshape(-1).view(np.uint8).data, start)
    step = max(1, GROUP_BYTES // max(1, array.nbytes // max(1, len(array))))
    for at in range(0, len(array), step):
        part = np.ascontiguousarray(array[at : at + step])
        start = zlib.crc32(part.reshape(-1).view(np.uint8).data, start)
    return start


def _addresses(column: pd.Series[Any]) -> list[Any]:
    """Where the immutable Arrow buffers of a column lie; a hash of its cells where it has none."""
    array = column.array
    if isinstance(column.dtype, (pd.StringDtype, pd.ArrowDtype)) and hasattr(array, "_pa_array"):
        chunks = array._pa_array.chunks
        return [
            (chunk.offset, len(chunk), [b and b.address for b in chunk.buffers()])
            for chunk in chunks
        ]
    return [_sum(pd.util.hash_pandas_object(column, index=False).to_numpy(), 0)]
