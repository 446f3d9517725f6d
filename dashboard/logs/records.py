"""TFRecord framing: where the records of an event file lie, and which of them are sound.

A record is its length (8 bytes), a checksum of that, the content, and a checksum of the content
(https://www.tensorflow.org/tutorials/load_data/tfrecord). The checksum is CRC-32C (Castagnoli),
turned by 15 bits and shifted. It is linear in the bits of its input, so that it is looked up for
all records of one length at once, one column of bytes after the other.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Records", "checksum", "rows_at", "split_records"]

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]
Bytes = npt.NDArray[np.uint8]

_FRAME = 16  # bytes around the content of a record
_BLOCK = 256  # bytes that one set of tables covers
_AT_ONCE = 1 << 25  # bytes that are arranged in rows at a time
_PERIODS = 64  # the longest pattern of lengths that is looked for
_AHEAD = 1 << 20  # records that are foretold at a time
_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True, eq=False)
class Records:
    """The records of one file.

    Attributes
    ----------
    data : all bytes of the file.
    starts, lengths : `(n,)` of the content of every sound record, in order.
    damaged : records left out because their content does not fit its checksum.
    left : bytes behind the last record whose length could be trusted; 0 in a whole file.
    """

    data: Bytes
    starts: Ints
    lengths: Ints
    damaged: int = 0
    left: int = 0


def split_records(content: bytes, most: int = 1 << 62) -> Records:
    """Every record of a file, with all checksums compared; never fails.

    Beyond `most` records not many more are looked for.
    """
    data = np.frombuffer(content, dtype=np.uint8)
    starts, lengths, end = _walk(content, most)
    trusted = _count_trusted(data, starts, lengths)
    if trusted < len(starts):
        end = int(starts[trusted]) - 12
        starts, lengths = starts[:trusted], lengths[:trusted]
    sound = np.ones(len(starts), dtype=bool)
    for length, chosen in _by_length(lengths):
        for some in _portions(chosen, int(length)):
            at = starts[some]
            stated = rows_at(data, at + length, 4).view("<u4")[:, 0]
            sound[some] = _checksums(rows_at(data, at, int(length))) == stated
    damaged = int(len(sound) - sound.sum())
    return Records(data, starts[sound], lengths[sound], damaged, len(content) - end)


def checksum(part: bytes) -> int:
    """CRC-32C, turned and shifted as TFRecord does."""
    table, value = _tables()[0], 0xFFFFFFFF
    for byte in part:
        value = int(table[(value ^ byte) & 0xFF]) ^ (value >> 8)
    value ^= 0xFFFFFFFF
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def rows_at(data: Bytes, starts: Ints, width: int) -> Bytes:
    """`(n, width)` bytes from each start; every row must lie inside the data."""
    if not width or not len(starts):
        return np.zeros((len(starts), width), dtype=np.uint8)
    cells: Any = np.ndarray((len(data) - width + 1,), f"V{width}", data, strides=(1,))
    found: Bytes = cells[starts].view(np.uint8).reshape(len(starts), width)
    return found


# --- where records lie ---------------------------------------------------------------------------


def _walk(content: bytes, most: int) -> tuple[Ints, Ints, int]:
    """Starts and lengths by following lengths that nobody has checked yet, and the end.

    Logs repeat themselves: after some steps the next lengths are foretold and compared.
    """
    found: list[tuple[Ints, Ints]] = []
    at, count, few = 0, 0, 2 * _PERIODS
    while True:
        lengths = _followed(content, at, few)
        found.append(_placed(at, np.array(lengths, dtype=np.int64)))
        at += sum(lengths) + _FRAME * len(lengths)
        count += len(lengths)
        if len(lengths) < few or count > most:
            break
        ahead = list(_foretold(content, at, lengths, most - count))
        found += ahead
        count += sum(len(sizes) for _, sizes in ahead)
        at += sum(int(sizes.sum()) + _FRAME * len(sizes) for _, sizes in ahead)
        # where nothing repeats, look for patterns less and less often
        few = 2 * _PERIODS if ahead and len(ahead[0][0]) else min(2 * few, 1 << 16)
    starts, sizes = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return starts, sizes, at


def _followed(content: bytes, at: int, most: int) -> list[int]:
    """The lengths of the next records, fewer than `most` only at the end."""
    lengths: list[int] = []
    size = len(content)
    while len(lengths) < most and at + _FRAME <= size:
        (length,) = _LENGTH.unpack_from(content, at)
        if length > size - at - _FRAME:
            break
        lengths.append(length)
        at += length + _FRAME
    return lengths


def _placed(first: int, sizes: Ints) -> tuple[Ints, Ints]:
    ends = np.cumsum(sizes + _FRAME)
    return first + ends - sizes - 4, sizes


def _foretold(content: bytes, at: int, before: list[int], most: int) -> Iterator[tuple[Ints, Ints]]:
    """Records from `at` on, as long as their lengths repeat the pattern of those before."""
    tail = before[-2 * _PERIODS :]
    period = next((p for p in range(1, _PERIODS + 1) if tail[:-p] == tail[p:]), 0)
    pattern = np.array(tail[-period:] if period else [], dtype=np.int64)
    around = int((pattern + _FRAME).sum())
    data, times = np.frombuffer(content, dtype=np.uint8), 1 + 4 * _PERIODS // max(period, 1)
    while period and (times := min(times, (len(content) - at) // around)):
        starts, sizes = _placed(at, np.tile(pattern, times))
        given = rows_at(data, starts - 12, 8).view("<i8")[:, 0]
        wrong = np.flatnonzero(given != sizes)
        end = int(wrong[0]) if len(wrong) else len(starts)
        yield starts[:end], sizes[:end]
        most -= len(starts)
        if len(wrong) or most < 0:
            return
        at, times = at + times * around, min(2 * times, 1 + _AHEAD // period)


def _count_trusted(data: Bytes, starts: Ints, lengths: Ints) -> int:
    """How many records come before the first whose length does not fit its checksum."""
    if not len(starts):
        return 0
    distinct, which = np.unique(lengths, return_inverse=True)
    expected = _checksums(distinct.astype("<i8").view(np.uint8).reshape(-1, 8))
    stated = rows_at(data, starts - 4, 4).view("<u4")[:, 0]
    wrong = np.flatnonzero(expected[which] != stated)
    return int(wrong[0]) if len(wrong) else len(starts)


def _by_length(lengths: Ints) -> Iterator[tuple[int, Ints]]:
    """Each length with the positions of the records that have it."""
    order = np.argsort(lengths, kind="stable")
    arranged = lengths[order]
    edges = np.flatnonzero(np.diff(arranged)) + 1
    for some in np.split(order, edges) if len(order) else ():
        yield int(lengths[some[0]]), some


def _portions(chosen: Ints, width: int) -> Iterator[Ints]:
    step = max(1, _AT_ONCE // max(width, 1))
    for first in range(0, len(chosen), step):
        yield chosen[first : first + step]


# --- checksums -----------------------------------------------------------------------------------


def _checksums(rows: Bytes) -> Words:
    """`(n,)` turned and shifted CRC-32C of the rows of `(n, length)` bytes."""
    length = rows.shape[1]
    if length < 4:
        return np.array([checksum(row.tobytes()) for row in rows], dtype=np.uint32)
    value = _remainders(rows, first=True) if length <= _BLOCK else _folded(rows)
    value = ~value
    return (value >> np.uint32(15) | value << np.uint32(17)) + np.uint32(0xA282EAD8)


def _remainders(rows: Bytes, *, first: bool) -> Words:
    """Of at most `_BLOCK` bytes a row; those that all rows share are looked up once."""
    n, length = rows.shape
    shared = (rows == rows[:1]).all(axis=0)
    value = np.zeros(n, dtype=np.uint32)
    same = 0
    for column in range(length):
        table = _tables()[length - 1 - column]
        flip = 0xFF if first and column < 4 else 0
        if shared[column]:
            same ^= int(table[int(rows[0, column]) ^ flip])
        else:
            value ^= table.take(rows[:, column] ^ flip if flip else rows[:, column])
    return value ^ np.uint32(same)


def _folded(rows: Bytes) -> Words:
    """Of long rows: blocks on their own, then pairs of neighbours, and pairs of those."""
    n, length = rows.shape
    blocks = 1 << (-(-length // _BLOCK) - 1).bit_length()
    padded = np.zeros((n, blocks * _BLOCK), dtype=np.uint8)  # zeros in front change nothing
    padded[:, -length:] = rows
    padded[:, -length : 4 - length] ^= 0xFF
    value = _remainders(padded.reshape(-1, _BLOCK), first=False).reshape(n, blocks)
    level = 0
    while value.shape[1] > 1:
        value = _moved(value[:, 0::2], level) ^ value[:, 1::2]
        level += 1
    return value[:, 0]


def _moved(value: Words, level: int) -> Words:
    """Remainders with `_BLOCK` × 2^level bytes of zeros behind them."""
    tables = _shifts(level)
    moved: Words = np.zeros_like(value)
    for k in range(4):
        moved ^= tables[k].take(value >> np.uint32(8 * k) & np.uint32(255))
    return moved


@lru_cache(maxsize=1)
def _tables() -> Words:
    """`(_BLOCK, 256)`: the remainder of each byte with 0, 1, 2, … bytes of zeros behind it."""
    value = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        value = value >> np.uint32(1) ^ np.where(value & 1, np.uint32(0x82F63B78), np.uint32(0))
    found = np.empty((_BLOCK, 256), dtype=np.uint32)
    found[0] = value
    for k in range(1, _BLOCK):
        found[k] = value[found[k - 1] & 255] ^ found[k - 1] >> np.uint32(8)
    return found


@lru_cache(maxsize=32)
def _shifts(level: int) -> Words:
    """`(4, 256)`: each byte of a remainder, moved by `_BLOCK` × 2^level bytes."""
    if level:
        return _moved(_shifts(level - 1), level - 1)
    # the state enters with the first four bytes of the block
    return _tables()[[_BLOCK - 1 - k for k in range(4)]]
