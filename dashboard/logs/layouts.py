"""The wire format of protocol buffers, read as far as TensorBoard's events need it.

A record is taken apart once, as a layout: where in it the numbers lie, and which of its bytes say
how it is built. Every other record with the same bytes there has its numbers in the same places.
Field numbers are those of event.proto, summary.proto, tensor.proto and histogram.proto; the format
is https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Chunk", "Layout", "Malformed", "Value", "fields_of", "read_layout"]

_VARINT, _EIGHT, _SIZED, _FOUR = 0, 1, 2, 5
_MOST_VARINTS = 1_000  # of one tensor; what TensorBoard keeps as whole numbers is short
_RANK = 8
# how the content of a tensor of each DataType is laid out
_TYPES = {
    1: "<f4",
    2: "<f8",
    3: "<i4",
    4: "|u1",
    5: "<i2",
    6: "|i1",
    9: "<i8",
    10: "|b1",
    14: "bfloat16",
    17: "<u2",
    19: "<f2",
    22: "<u4",
    23: "<u8",
}
_FLOATS = {5: (_FOUR, "<f4"), 6: (_EIGHT, "<f8")}  # float_val and double_val
_WHOLES = (7, 10, 11, 13, 16, 17)  # int_val, int64_val, bool_val, half_val, uint32_val, uint64_val


class Malformed(Exception):
    """A record that is no message."""


class Field(NamedTuple):
    """One field of a message: its number, its wire type, and where its content lies."""

    number: int
    kind: int
    start: int
    end: int


class Chunk(NamedTuple):
    """Numbers in a row: `size` of a fixed type, or one varint of `size` bytes."""

    start: int
    size: int
    type: str  # as numpy writes it, or "varint"


@dataclass
class Value:
    """One tagged value of a summary.

    Attributes
    ----------
    form : "simple", "tensor", "histogram", or "" for what is not read here.
    numbers : of a "simple" value or a tensor.
    type, shape : of a tensor; `type` is "" where it holds no numbers.
    limits, buckets : of a "histogram"; `ends` : its smallest and largest value.
    """

    tag: str = ""
    plugin: str = ""
    content: bytes = b""
    form: str = ""
    numbers: list[Chunk] = field(default_factory=list)
    type: str = ""
    shape: tuple[int, ...] = ()
    limits: list[Chunk] = field(default_factory=list)
    buckets: list[Chunk] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)


@dataclass
class Layout:
    """How one record is built.

    Attributes
    ----------
    mask : for every byte the bits that other records must share to be built alike.
    wall, step : where the time and the step lie; None where they are left out, that is 0.
    version : of the first record of a file, "brain.Event:2".
    """

    mask: bytearray
    wall: int | None = None
    step: Chunk | None = None
    version: str = ""
    values: list[Value] = field(default_factory=list)

    def free(self, start: int, end: int) -> None:
        """What lies here may differ."""
        self.mask[start:end] = bytes(end - start)

    def free_varint(self, start: int, end: int) -> None:
        """The number may differ, the bytes that it takes may not."""
        self.mask[start:end] = b"\x80" * (end - start)


def read_layout(record: bytes) -> Layout:
    """How a record is built.

    Raises
    ------
    Malformed : it is no event.
    """
    layout = Layout(bytearray(b"\xff") * len(record))
    for one in fields_of(record, 0, len(record)):
        if one[:2] == (1, _EIGHT):
            layout.wall = one.start
            layout.free(one.start, one.end)
        elif one[:2] == (2, _VARINT):
            layout.step = Chunk(one.start, one.end - one.start, "varint")
            layout.free_varint(one.start, one.end)
        elif one[:2] == (3, _SIZED):
            layout.version = record[one.start : one.end].decode("utf-8", "replace")
        elif one[:2] == (5, _SIZED):
            _read_summary(record, one, layout)
        else:
            _pass_over(one, layout)
    return layout


def fields_of(record: bytes, start: int, end: int) -> Iterator[Field]:
    """The fields of the message between two positions.

    Raises
    ------
    Malformed : it is none.
    """
    at = start
    while at < end:
        key, at = _varint(record, at, end)
        number, kind = key >> 3, key & 7
        first = at
        if kind == _VARINT:
            _, at = _varint(record, at, end)
        elif kind == _SIZED:
            size, first = _varint(record, at, end)
            at = first + size
        elif kind in (_EIGHT, _FOUR):
            at += 8 if kind == _EIGHT else 4
        else:
            raise Malformed
        if at > end or not number:
            raise Malformed
        yield Field(number, kind, first, at)


def _varint(record: bytes, at: int, end: int) -> tuple[int, int]:
    """A number of seven bits a byte, lowest first, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise Malformed
        byte = record[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise Malformed


def _pass_over(one: Field, layout: Layout) -> None:
    """A field that is not needed may hold anything."""
    if one.kind == _VARINT:
        layout.free_varint(one.start, one.end)
    else:
        layout.free(one.start, one.end)


def _read_summary(record: bytes, summary: Field, layout: Layout) -> None:
    for one in fields_of(record, summary.start, summary.end):
        if one[:2] == (1, _SIZED):
            layout.values.append(_read_value(record, one, layout))
        else:
            _pass_over(one, layout)


def _read_value(record: bytes, whole: Field, layout: Layout) -> Value:
    value = Value()
    for one in fields_of(record, whole.start, whole.end):
        if one[:2] == (1, _SIZED):
            value.tag = record[one.start : one.end].decode("utf-8", "replace")
        elif one[:2] == (9, _SIZED):
            _read_metadata(record, one, value)
        elif one[:2] == (2, _FOUR):
            value.form, value.numbers = "simple", [Chunk(one.start, 1, "<f4")]
            layout.free(one.start, one.end)
        elif one[:2] == (5, _SIZED):
            value.form = "histogram"
            _read_histogram(record, one, value, layout)
        elif one[:2] == (8, _SIZED):
            value.form = "tensor"
            _read_tensor(record, one, value, layout)
        else:
            _pass_over(one, layout)
    return value


def _read_metadata(record: bytes, metadata: Field, value: Value) -> None:
    for one in fields_of(record, metadata.start, metadata.end):
        if one[:2] != (1, _SIZED):
            continue
        for inner in fields_of(record, one.start, one.end):
            if inner[:2] == (1, _SIZED):
                value.plugin = record[inner.start : inner.end].decode("utf-8", "replace")
            elif inner[:2] == (2, _SIZED):
                value.content = record[inner.start : inner.end]


def _read_histogram(record: bytes, whole: Field, value: Value, layout: Layout) -> None:
    for one in fields_of(record, whole.start, whole.end):
        if one.number in (6, 7) and one.kind in (_SIZED, _EIGHT):
            into = value.limits if one.number == 6 else value.buckets
            into.append(Chunk(one.start, (one.end - one.start) // 8, "<f8"))
        elif one.number in (1, 2) and one.kind == _EIGHT:
            value.ends[one.number] = one.start
        _pass_over(one, layout)


def _read_tensor(record: bytes, whole: Field, value: Value, layout: Layout) -> None:
    content = None
    for one in fields_of(record, whole.start, whole.end):
        if one[:2] == (1, _VARINT):
            value.type = _TYPES.get(_varint(record, one.start, one.end)[0], "")
        elif one[:2] == (2, _SIZED):
            value.shape = _read_shape(record, one)
        elif one[:2] == (4, _SIZED):
            content = one
            layout.free(one.start, one.end)
        elif one.number in _FLOATS and one.kind in (_SIZED, _FLOATS[one.number][0]):
            written = _FLOATS[one.number][1]
            width = int(written[-1])
            value.numbers.append(Chunk(one.start, (one.end - one.start) // width, written))
            layout.free(one.start, one.end)
        elif one.number in _WHOLES and one.kind in (_SIZED, _VARINT):
            value.numbers += _read_wholes(record, one, layout)
        else:
            _pass_over(one, layout)
    if content is not None and content.end > content.start and value.type:
        width = 2 if value.type == "bfloat16" else int(value.type[-1])
        count = (content.end - content.start) // width
        value.numbers = [Chunk(content.start, count, value.type)]


def _read_shape(record: bytes, shape: Field) -> tuple[int, ...]:
    sizes = []
    for dim in fields_of(record, shape.start, shape.end):
        if dim[:2] == (2, _SIZED):
            size = 0
            for one in fields_of(record, dim.start, dim.end):
                if one[:2] == (1, _VARINT):
                    size, _ = _varint(record, one.start, one.end)
            sizes.append(size)
    return tuple(sizes[: _RANK + 1])


def _read_wholes(record: bytes, one: Field, layout: Layout) -> list[Chunk]:
    """Whole numbers, each with its own number of bytes; a long list of them is none of ours."""
    if one.end - one.start > _MOST_VARINTS:
        layout.free(one.start, one.end)
        return []
    found, at = [], one.start
    while at < one.end:
        first = at
        _, at = _varint(record, at, one.end)
        found.append(Chunk(first, at - first, "varint"))
        layout.free_varint(first, at)
    return found
