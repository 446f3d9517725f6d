"""TensorBoard event files with the same bytes for the same numbers: no clock, no host name."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np

from dashboard.logs.records import checksum

__all__ = ["event_log"]

_BEGAN = 1_700_000_000.0  # seconds since 1970; of no meaning
_BINS = 24


def event_log(
    scalars: Mapping[str, list[float]], arrays: Mapping[int, Mapping[str, np.ndarray]]
) -> bytes:
    """One event file: `scalars` by tag, a value for each epoch; `arrays` by epoch and tag, each
    written as a histogram of 24 bins."""
    records = [_head(0) + _sized(3, b"brain.Event:2")]
    n_epochs = max(map(len, scalars.values()))
    for epoch in range(n_epochs):
        values = [_scalar(tag, told[epoch]) for tag, told in scalars.items() if epoch < len(told)]
        values += [_histogram(tag, array) for tag, array in arrays.get(epoch, {}).items()]
        summary = b"".join(_sized(1, value) for value in values)
        records.append(_head(epoch) + _sized(5, summary))
    return b"".join(map(_framed, records))


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _sized(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _head(epoch: int) -> bytes:
    """Wall time and step; a step of 0 is not written, as in every event file."""
    step = b"\x10" + _varint(epoch) if epoch else b""
    return b"\x09" + struct.pack("<d", _BEGAN + epoch) + step


def _framed(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    sums = (struct.pack("<I", checksum(part)) for part in (length, content))
    return length + next(sums) + content + next(sums)


def _scalar(tag: str, value: float) -> bytes:
    return _sized(1, tag.encode()) + b"\x15" + struct.pack("<f", value)


def _histogram(tag: str, array: np.ndarray) -> bytes:
    values = np.asarray(array, dtype=np.float64).ravel()
    low, high = float(values.min()), float(values.max())
    if high <= low:
        high = low + 1e-12  # all equal: one bin around them
    counts, edges = np.histogram(values, _BINS, (low, high))
    numbers = (low, high, values.size, values.sum(), np.square(values).sum())
    content = b"".join(
        bytes([field << 3 | 1]) + struct.pack("<d", number)
        for field, number in enumerate(numbers, 1)
    )
    content += _sized(6, struct.pack(f"<{_BINS}d", *edges[1:]))
    content += _sized(7, struct.pack(f"<{_BINS}d", *counts))
    return _sized(1, tag.encode()) + _sized(5, content)
