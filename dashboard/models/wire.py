"""Protocol buffers read field by field, without their library and without building messages.

For looking into a file before its own library opens it: fields are yielded in the order of the
file, lengths are checked, nothing is copied. https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["Malformed", "delimited", "fields", "pieces", "text_of", "varint", "within"]

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


class Malformed(ValueError):
    """Bytes that are no protocol buffer."""


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """`(field number, value)` of each field: whole numbers as int, all others as their bytes.

    Raises
    ------
    Malformed : lengths that leave the message, or wire types that do not exist.
    """
    for number, value, _ in pieces(message):
        yield number, value


def pieces(message: memoryview) -> Iterator[tuple[int, int | memoryview, memoryview]]:
    """As `fields`, each with the bytes of the whole field to copy it as it is."""
    position = 0
    while position < len(message):
        start = position
        key, position = varint(message, position)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise Malformed("a field without a number")
        value: int | memoryview
        if kind == _VARINT:
            value, position = varint(message, position)
        else:
            size = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}.get(kind)
            if kind == _LENGTH:
                size, position = varint(message, position)
            if size is None:
                raise Malformed(f"wire type {kind}")
            if size > len(message) - position:
                raise Malformed("a field longer than its message")
            value = message[position : position + size]
            position += size
        yield number, value, message[start:position]


def within(message: memoryview, *path: int) -> Iterator[memoryview]:
    """Every message at a path of field numbers below `message`."""
    for number, value in fields(message):
        if number == path[0] and isinstance(value, memoryview):
            if len(path) == 1:
                yield value
            else:
                yield from within(value, *path[1:])


def text_of(message: memoryview, number: int) -> str:
    """The last text of a field, as protocol buffers read it; empty where there is none."""
    found = ""
    for value in within(message, number):
        found = bytes(value[:10_000]).decode("utf-8", "replace")
    return found


def delimited(number: int, value: int | bytes | memoryview) -> bytes:
    """A field as bytes, a whole number or a message; fixed sizes are not written."""
    if isinstance(value, int):
        return _written(number << 3 | _VARINT) + _written(value)
    return _written(number << 3 | _LENGTH) + _written(len(value)) + bytes(value)


def _written(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def varint(message: memoryview, position: int) -> tuple[int, int]:
    """The number at a position and the position behind it.

    Raises
    ------
    Malformed : cut off, or more than ten bytes.
    """
    value = shift = 0
    while shift < 70:
        if position >= len(message):
            raise Malformed("a number that is cut off")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
        shift += 7
    raise Malformed("a number of more than ten bytes")
