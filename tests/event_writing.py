"""Event files written by hand: the wire format with nothing between, so that all can go wrong."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from dashboard.logs.records import checksum


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    found = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        found.append(low | (0x80 if value else 0))
        if not value:
            return bytes(found)


def sized(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def framed(content: bytes) -> bytes:
    head = struct.pack("<Q", len(content))
    ends = (struct.pack("<I", checksum(part)) for part in (head, content))
    return head + next(ends) + content + next(ends)


def event(step: int, *values: bytes, wall: float = 1e9) -> bytes:
    """A record of a summary; as writers do, without a step where that is 0."""
    count = b"\x10" + varint(step) if step else b""
    summary = sized(5, b"".join(sized(1, value) for value in values)) if values else b""
    return b"\x09" + struct.pack("<d", wall) + count + summary


def simple(tag: str, value: float) -> bytes:
    return sized(1, tag.encode()) + b"\x15" + struct.pack("<f", value)


def metadata(plugin: str, content: bytes = b"") -> bytes:
    return sized(9, sized(1, sized(1, plugin.encode()) + sized(2, content)))


def tensor(
    tag: str, kind: int, content: bytes, shape: Iterable[int] = (), plugin: str = "scalars"
) -> bytes:
    """`content` : the field of the numbers, written out."""
    sizes = b"".join(sized(2, b"\x08" + varint(size)) for size in shape)
    whole = b"\x08" + varint(kind) + sized(2, sizes) + content
    return sized(1, tag.encode()) + sized(8, whole) + (metadata(plugin) if plugin else b"")


def histogram(tag: str, low: float, high: float, limits: list[float], counts: list[float]) -> bytes:
    ends = b"\x09" + struct.pack("<d", low) + b"\x11" + struct.pack("<d", high)
    bins = sized(6, struct.pack(f"<{len(limits)}d", *limits))
    bins += sized(7, struct.pack(f"<{len(counts)}d", *counts))
    return sized(1, tag.encode()) + sized(5, ends + bins)


def event_file(*records: bytes) -> bytes:
    """A version and the given records."""
    version = b"\x09" + struct.pack("<d", 1e9) + sized(3, b"brain.Event:2")
    return b"".join(map(framed, (version, *records)))
