"""TensorBoard's event files: every scalar, histogram and hyper-parameter, without TensorBoard.

Most records of a log are built alike and differ in a few numbers. Records of one length are
arranged in rows; one of them is taken apart (`layouts`), and the numbers of all that share its
build are read at once. What is built like no other record is taken apart on its own.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError, LimitExceeded
from ..settings import Settings, get_settings
from ..wording import plural
from .layouts import Chunk, Layout, Malformed, Value, read_layout
from .records import Records, checksum, rows_at, split_records

__all__ = ["EventLog", "Tag", "is_event_file", "read_events"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Array = npt.NDArray[Any]

_VERSION = b"brain.Event:"
_TIME = 0x09  # the field of the time, with which every event begins
_FIRST = 200  # the version stands within so many bytes
_ROUNDS = 32  # builds of records of one length that are looked for in all others
_REPEATED = 4  # records on average, where a build is worth looking for in all others
_MOST_LAYOUTS = 200_000  # records that are taken apart on their own
_AT_ONCE = 1 << 25


@dataclass(eq=False)
class Tag:
    """What was logged under one name.

    Attributes
    ----------
    plugin, content : what it is for, as its first record says: "scalars", "histograms", …
    order : positions of the records in the file, one array for each part.
    steps, walls : the same for steps and seconds since 1970.
    scalars : `(n,)` float64 for each part; None for a part that holds histograms.
    histograms : (edges `(n, b + 1)`, counts `(n, b)`) for each part; None for scalars.
    """

    plugin: str = ""
    content: bytes = b""
    order: list[Ints] = field(default_factory=list)
    steps: list[Ints] = field(default_factory=list)
    walls: list[Floats] = field(default_factory=list)
    scalars: list[Floats | None] = field(default_factory=list)
    histograms: list[tuple[Floats, Floats] | None] = field(default_factory=list)


@dataclass(eq=False)
class EventLog:
    """One event file.

    Attributes
    ----------
    tags : by name, in the order in which they first occur.
    records : how many sound ones it has; `damaged` : how many more are not.
    left : bytes behind the last record that could be told apart.
    began : seconds since 1970 of the first record.
    """

    tags: dict[str, Tag] = field(default_factory=dict)
    records: int = 0
    damaged: int = 0
    left: int = 0
    began: float = 0.0
    versioned: bool = False
    other: set[str] = field(default_factory=set)  # tags of pictures, texts, …

    def notes(self, name: str) -> list[str]:
        """Sentences on what could not be read."""
        said = []
        if self.left:
            said.append(
                f"{name} is cut off or damaged behind {plural(self.records, 'record')}: its last "
                f"{plural(self.left, 'byte')} could not be read."
            )
        if self.damaged:
            verb = "is" if self.damaged == 1 else "are"
            said.append(f"{plural(self.damaged, 'record')} of {name} {verb} damaged and left out.")
        return said


def is_event_file(start: bytes) -> bool:
    """Whether a file begins like one of TensorBoard's events: some 200 bytes are enough.

    The version is not written by all; then a sound length and a time must be there.
    """
    if start[:2] == b"PK":  # an archive may hold one unpacked
        return False
    if _VERSION in start[:_FIRST]:
        return True
    (stated,) = struct.unpack_from("<I", start, 8) if len(start) > 12 else (None,)
    return stated == checksum(start[:8]) and start[12] == _TIME


def read_events(content: bytes, name: str, settings: Settings | None = None) -> EventLog:
    """Everything that an event file holds; a cut-off end is left out and noted.

    Raises
    ------
    DataError : it is empty or no event file.
    LimitExceeded : more records than `max_rows` have numbers, or too many are built like no other.
    """
    limit = (settings or get_settings()).max_rows
    if not content:
        raise DataError(f"{name} is empty. Copy it again once something was logged.")
    if not is_event_file(content):
        raise DataError(
            f"{name} is no event file of TensorBoard. Give a file that a TensorBoard callback or a "
            "SummaryWriter wrote."
        )
    records = split_records(content, limit)
    if len(records.starts) > limit:
        raise LimitExceeded(
            f"{name} has more than {limit:,} records, the limit max_rows. Log fewer steps, or "
            "raise the limit with SIDELIGHT_MAX_ROWS."
        )
    log = EventLog({}, len(records.starts), records.damaged, records.left)
    reading = _Reading(records, log, name)
    reading.all()
    if not log.versioned and not log.tags:
        raise DataError(
            f"{name} is no event file of TensorBoard, or is damaged from the beginning. Copy it "
            "again from where it was logged."
        )
    return log


@dataclass(eq=False)
class _Reading:
    """One pass over the records of a file."""

    records: Records
    log: EventLog
    name: str
    taken_apart: int = 0

    def all(self) -> None:
        lengths = self.records.lengths
        order = np.argsort(lengths, kind="stable")
        edges = np.flatnonzero(np.diff(lengths[order])) + 1
        for alike in np.split(order, edges) if len(order) else ():
            step = max(1, _AT_ONCE // max(int(lengths[alike[0]]), 1))
            for first in range(0, len(alike), step):
                self._length(alike[first : first + step])
        self.log.tags = dict(
            sorted(
                self.log.tags.items(), key=lambda one: min(int(part[0]) for part in one[1].order)
            )
        )

    def _length(self, positions: Ints) -> None:
        """All records of one length."""
        length = int(self.records.lengths[positions[0]])
        rows = rows_at(self.records.data, self.records.starts[positions], length)
        words = _words(rows)
        pool = np.arange(len(positions))
        for _ in range(_ROUNDS):
            pool = self._like_first(rows, words, positions, pool)
            if not len(pool):
                return
        for one in pool:
            self._alone(rows, positions, int(one))

    def _like_first(self, rows: Bytes, words: Array, positions: Ints, pool: Ints) -> Ints:
        """Read the records that are built as the first is, whatever they are about.

        What is left of the pool has another build.
        """
        layout = self._layout(rows[pool[0]])
        if layout is None:
            return pool[1:]
        same = _equal(words, _mask(layout), int(pool[0]), pool)
        self._take(layout, rows, positions, pool[same])
        others = pool[~same]
        groups = _alike(words, _mask(layout), others)
        if _REPEATED * len(groups) > len(others):
            return others  # nearly all differ where this build has no numbers
        left = [others[:0]]
        for group in groups:
            layout = self._layout(rows[group[0]])
            if layout is None:
                left.append(group[1:])
                continue
            same = _equal(words, _mask(layout), int(group[0]), group)
            self._take(layout, rows, positions, group[same])
            left.append(group[~same])
        return np.sort(np.concatenate(left))

    def _alone(self, rows: Bytes, positions: Ints, one: int) -> None:
        layout = self._layout(rows[one])
        if layout is not None:
            self._take(layout, rows, positions, np.array([one]))

    def _layout(self, row: Bytes) -> Layout | None:
        self.taken_apart += 1
        if self.taken_apart > _MOST_LAYOUTS:
            raise LimitExceeded(
                f"{self.name} has more than {_MOST_LAYOUTS:,} records that are built like no "
                "other; no training log does. Give a file that a TensorBoard callback wrote."
            )
        try:
            return read_layout(row.tobytes())
        except Malformed:
            self.log.damaged += 1
            self.log.records -= 1
            return None

    def _take(self, layout: Layout, rows: Bytes, positions: Ints, chosen: Ints) -> None:
        """The numbers of all chosen records, which are built like this."""
        some = rows if len(chosen) == len(rows) else rows[chosen]
        order = positions[chosen]
        walls = np.zeros(len(some))
        if layout.wall is not None:
            walls = _fixed(some, Chunk(layout.wall, 1, "<f8"))[:, 0].astype(np.float64)
        steps = np.zeros(len(some), dtype=np.int64)
        if layout.step is not None:
            steps = _varints(some, layout.step).view(np.int64)
        if layout.version.startswith("brain.Event:") and 0 in order:
            self.log.versioned = True
        if 0 in order:
            self.log.began = float(walls[order == 0][0])
        for value in layout.values:
            self._add(value, some, order, steps, walls)

    def _add(self, value: Value, rows: Bytes, order: Ints, steps: Ints, walls: Floats) -> None:
        scalars = histograms = None
        if value.form == "simple" or (value.form == "tensor" and not value.shape):
            scalars = _scalars(value, rows)
        elif value.form == "histogram":
            histograms = _old_histograms(value, rows)
        elif value.form == "tensor" and len(value.shape) == 2 and value.shape[1] == 3:
            histograms = _new_histograms(value, rows)
        if scalars is None and histograms is None and value.plugin != "hparams":
            self.log.other.add(value.tag)
            return
        tag = self.log.tags.setdefault(value.tag, Tag())
        if value.plugin and (not tag.plugin or value.plugin == "hparams"):
            tag.plugin, tag.content = value.plugin, value.content
        tag.order.append(order)
        tag.steps.append(steps)
        tag.walls.append(walls)
        tag.scalars.append(scalars)
        tag.histograms.append(histograms)


# --- rows that are built alike -------------------------------------------------------------------


def _words(rows: Bytes) -> Array:
    """`(n, k)` uint64: eight bytes at a time, zeros behind the last."""
    n, length = rows.shape
    padded = np.zeros((n, -(-length // 8) * 8), dtype=np.uint8)
    padded[:, :length] = rows
    return padded.view(np.uint64)


def _equal(words: Array, mask: Array, first: int, pool: Ints) -> npt.NDArray[np.bool_]:
    """Which of the pool share every masked bit with the first."""
    some = words if len(pool) == len(words) else words[pool]
    different = np.zeros(len(pool), dtype=np.uint64)
    for column in np.flatnonzero(mask):
        different |= (some[:, column] ^ words[first, column]) & mask[column]
    same: npt.NDArray[np.bool_] = different == 0
    return same


def _mask(layout: Layout) -> Array:
    mask: Array = _words(np.frombuffer(layout.mask, dtype=np.uint8)[None, :])[0]
    return mask


def _alike(words: Array, mask: Array, pool: Ints) -> list[Ints]:
    """The pool in groups that probably share every masked bit."""
    if not len(pool):
        return []
    factors = np.random.default_rng(0).integers(1, 1 << 62, len(mask), dtype=np.uint64) | 1
    keys = np.zeros(len(pool), dtype=np.uint64)
    for column in np.flatnonzero(mask):
        keys += (words[pool, column] & mask[column]) * factors[column]
    order = np.argsort(keys, kind="stable")
    edges = np.flatnonzero(np.diff(keys[order])) + 1
    return np.split(pool[order], edges)


# --- numbers -------------------------------------------------------------------------------------


def _fixed(rows: Bytes, chunk: Chunk) -> Array:
    """`(n, count)` numbers of a type with a fixed width."""
    if chunk.type == "bfloat16":  # the upper half of a float32
        bits = _fixed(rows, chunk._replace(type="<u2")).astype(np.uint32) << np.uint32(16)
        return bits.view(np.float32)
    width = int(chunk.type[-1])
    part = np.ascontiguousarray(rows[:, chunk.start : chunk.start + chunk.size * width])
    return part.view(chunk.type)


def _varints(rows: Bytes, chunk: Chunk) -> Array:
    """`(n,)` uint64 of numbers that all take the same bytes."""
    value = np.zeros(len(rows), dtype=np.uint64)
    for k in range(chunk.size):
        part = rows[:, chunk.start + k].astype(np.uint64) & np.uint64(0x7F)
        value |= part << np.uint64(7 * k)
    return value


def _numbers(rows: Bytes, chunks: Sequence[Chunk], written: str) -> Floats:
    """`(n, count)` float64 of several chunks."""
    parts = []
    for chunk in chunks:
        if chunk.type != "varint":
            parts.append(_fixed(rows, chunk).astype(np.float64))
            continue
        whole = _varints(rows, chunk)
        if written in ("<f2", "bfloat16"):  # the bits of halves, as whole numbers
            bits = whole.astype("<u2").view(np.uint8).reshape(-1, 2)
            whole = _fixed(bits, Chunk(0, 1, written))[:, 0]
        elif not written.startswith(("<u", "|")):
            whole = whole.view(np.int64)
        parts.append(whole.astype(np.float64)[:, None])
    return np.hstack(parts) if parts else np.empty((len(rows), 0))


def _scalars(value: Value, rows: Bytes) -> Floats | None:
    found = _numbers(rows, value.numbers[:2], value.type)
    return found[:, 0] if found.shape[1] == 1 else None


def _new_histograms(value: Value, rows: Bytes) -> tuple[Floats, Floats] | None:
    """Rows of left edge, right edge and count, as TensorFlow 2 writes them."""
    count = value.shape[0]
    if not count or sum(chunk.size for chunk in value.numbers) != 3 * count:
        return None
    found = _numbers(rows, value.numbers, value.type)
    if found.shape[1] != 3 * count:
        return None
    found = found.reshape(len(rows), count, 3)
    edges = np.concatenate([found[:, :, 0], found[:, -1:, 1]], axis=1)
    return edges, found[:, :, 2]


def _old_histograms(value: Value, rows: Bytes) -> tuple[Floats, Floats] | None:
    """Right edges and counts beside the smallest and the largest value: HistogramProto."""
    limits, counts = (_numbers(rows, one, "<f8") for one in (value.limits, value.buckets))
    if limits.shape != counts.shape or not limits.shape[1] or set(value.ends) != {1, 2}:
        return None
    low, high = (_fixed(rows, Chunk(value.ends[end], 1, "<f8")) for end in (1, 2))
    with np.errstate(invalid="ignore"):
        inner = np.clip(limits[:, :-1], low, high)  # edges of empty buckets lie outside
    return np.concatenate([low, inner, high], axis=1), counts
