"""Length-prefixed frames over a pipe: a JSON header, then the raw buffers that it declares.

    magic (4 bytes) | length of the header (4 bytes, little-endian) | header | buffers

The header is `{"body": {...}, "arrays": [[dtype, [shape]], ...]}`; buffers follow without gaps,
little-endian, in C order.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import ModelError

__all__ = ["Frame", "FrameError", "FrameLimits", "read_frame", "write_frame"]

Array = npt.NDArray[Any]

_MAGIC = b"SLf1"
_PREFIX = struct.Struct("<4sI")
_DTYPES = frozenset(
    ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8")
)
_CHUNK = 1 << 20


class FrameError(ModelError):
    """What came through the pipe is no frame, or not one that was asked for."""


class Stream(Protocol):
    """The part of an unbuffered binary file that frames need."""

    def readinto(self, buffer: Any, /) -> int | None: ...

    def write(self, data: Any, /) -> int | None: ...


@dataclass(frozen=True)
class FrameLimits:
    """What a reader accepts; sizes in bytes.

    Attributes
    ----------
    header_bytes : length of the JSON header.
    array_bytes : all buffers of one frame together.
    arrays, dimensions : how many buffers, and how many dimensions each.
    rows : the length that every array's first dimension must have; None = any.
    """

    header_bytes: int = 1 << 20
    array_bytes: int = 1 << 20
    arrays: int = 64
    dimensions: int = 8
    rows: int | None = None


@dataclass(frozen=True, eq=False)
class Frame:
    """One message: plain JSON values and arrays of numbers."""

    header: dict[str, Any]
    arrays: tuple[Array, ...] = ()


def write_frame(stream: Stream, header: dict[str, Any], arrays: Sequence[Array] = ()) -> None:
    """Send one frame; arrays must be of booleans, integers or floats.

    Raises
    ------
    FrameError : an array of another type, or a header that is no JSON.
    OSError : the other side is gone.
    """
    plain = [_plain(array) for array in arrays]
    declared = [[array.dtype.str, list(array.shape)] for array in plain]
    try:
        text = json.dumps({"body": header, "arrays": declared}, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise FrameError(f"A message cannot be written as JSON ({error}).") from error
    _write_all(stream, _PREFIX.pack(_MAGIC, len(text)) + text)
    for array in plain:
        _write_all(stream, array.reshape(-1).view(np.uint8).data)


def _plain(array: Array) -> Array:
    """Contiguous, little-endian and of a type that travels."""
    given = np.asarray(array)
    little = given.dtype.newbyteorder("<")
    if little.str not in _DTYPES:
        raise FrameError(f"Arrays of {given.dtype} cannot be sent; numbers or booleans can.")
    # not ascontiguousarray, which gives a single number a dimension
    return np.asarray(given, dtype=little, order="C")


def _write_all(stream: Stream, data: Any) -> None:
    view = memoryview(data)
    while len(view):
        written = stream.write(view[:_CHUNK])
        view = view[written or 0 :]


def read_frame(stream: Stream, limits: FrameLimits) -> Frame:
    """The next frame, checked against `limits` before anything of its size is allocated.

    Raises
    ------
    EOFError : the other side closed the pipe.
    FrameError : anything malformed or larger than allowed; the stream is of no use after it.
    """
    magic, length = _PREFIX.unpack(_read_exactly(stream, _PREFIX.size))
    if magic != _MAGIC:
        raise FrameError("The message does not start like a frame.")
    if length > limits.header_bytes:
        raise FrameError(
            f"The header of the message has {length:,} bytes; {limits.header_bytes:,} are allowed."
        )
    body, declared = _parse(_read_exactly(stream, length))
    shapes = _checked(declared, limits)
    return Frame(body, tuple(_read_array(stream, dtype, shape) for dtype, shape in shapes))


def _read_exactly(stream: Stream, size: int) -> bytearray:
    data = bytearray(size)
    _fill(stream, memoryview(data))
    return data


def _fill(stream: Stream, view: memoryview) -> None:
    while len(view):
        count = stream.readinto(view[:_CHUNK])
        if not count:
            raise EOFError("The pipe was closed.")
        view = view[count:]


def _parse(text: bytes | bytearray) -> tuple[dict[str, Any], list[Any]]:
    try:
        message = json.loads(
            text.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise FrameError(f"The header of the message is no JSON ({_short(error)}).") from error
    if not isinstance(message, dict) or set(message) != {"body", "arrays"}:
        raise FrameError("The header of the message lacks its body or its arrays.")
    body, declared = message["body"], message["arrays"]
    if not isinstance(body, dict) or not isinstance(declared, list):
        raise FrameError("The header of the message has a body or arrays of the wrong type.")
    return body, declared


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _short(error: BaseException) -> str:
    return str(error)[:80] or type(error).__name__


def _checked(
    declared: list[Any], limits: FrameLimits
) -> list[tuple[np.dtype[Any], tuple[int, ...]]]:
    if len(declared) > limits.arrays:
        raise FrameError(
            f"The message declares {len(declared):,} arrays; {limits.arrays:,} are allowed."
        )
    shapes = [_one_shape(entry, limits) for entry in declared]
    total = sum(dtype.itemsize * math.prod(shape) for dtype, shape in shapes)
    if total > limits.array_bytes:
        raise FrameError(
            f"The message declares {total:,} bytes of arrays; {limits.array_bytes:,} are allowed."
        )
    return shapes


def _one_shape(entry: Any, limits: FrameLimits) -> tuple[np.dtype[Any], tuple[int, ...]]:
    if not isinstance(entry, list) or len(entry) != 2:
        raise FrameError("An array of the message is not declared by its type and shape.")
    name, shape = entry
    if not isinstance(name, str) or name not in _DTYPES:
        raise FrameError(f"An array of the message has the type {str(name)[:40]!r}.")
    if not isinstance(shape, list) or len(shape) > limits.dimensions:
        raise FrameError(f"An array of the message has more than {limits.dimensions} dimensions.")
    if not all(type(length) is int and 0 <= length < 1 << 48 for length in shape):
        raise FrameError("An array of the message has a shape that is no list of lengths.")
    if 0 in shape and math.prod(max(length, 1) for length in shape) >= 1 << 48:
        raise FrameError("An array of the message has a shape that no array can have.")
    if limits.rows is not None and shape[:1] != [limits.rows]:
        given = f"{shape[0]:,} answers" if shape else "a single answer"
        raise FrameError(f"There are {given} for {limits.rows:,} rows.")
    return np.dtype(name), tuple(shape)


def _read_array(stream: Stream, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    buffer = np.empty(math.prod(shape) * dtype.itemsize, dtype=np.uint8)
    _fill(stream, buffer.data)
    if dtype.kind == "b":  # a byte that is neither 0 nor 1 is no boolean
        return np.not_equal(buffer, 0).reshape(shape)
    return buffer.view(dtype).reshape(shape)
