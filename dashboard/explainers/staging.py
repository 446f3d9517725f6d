"""Rows by rows: the blocks in which they are explained and kept, and what was collected of them.

Blocks have fixed boundaries, so that a later run finds them; a call to the model may hold several
of them, or a part of one, by how long its engine takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..contracts import OutputSpace
from ..wording import count
from .answers import CLIP, INFINITE
from .blocks import Block
from .subjects import FloatArray, IntArray

__all__ = [
    "MOST_VALUES",
    "Collected",
    "join_blocks",
    "most_rows",
    "part_of",
    "unit_bounds",
]

# Values of all rows together that the app holds: half a gigabyte in single precision.
MOST_VALUES = 128 << 20
# Beyond, values are held in single precision.
DOUBLE_VALUES = 16 << 20
MOST_NOTES = 12


def unit_bounds(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The blocks between two places of the order: 10, 20, 50, 100, 200, then 200, 2,000, 10,000."""
    while start < stop:
        end = _next_bound(start)
        yield start, min(end, stop)
        start = end


def _next_bound(start: int) -> int:
    first = next((bound for bound in (10, 20, 50, 100, 200) if bound > start), 0)
    if first:
        return first
    step = 200 if start < 2_000 else 2_000 if start < 20_000 else 10_000
    return (start // step + 1) * step


def most_rows(n_features: int, n_outputs: int) -> int:
    """Rows whose values can be held at once."""
    return max(1, MOST_VALUES // max(1, n_features * n_outputs))


def join_blocks(blocks: list[Block]) -> Block:
    """Several blocks of one engine as one; `kept` counts on through the rows of each.

    Every block's `kept` must already count from the first row of the first block.
    """
    if len(blocks) == 1:
        return blocks[0]
    errors = [block.errors for block in blocks if block.errors is not None]
    return replace(
        blocks[0],
        kept=np.concatenate([block.kept for block in blocks]),
        values=np.concatenate([block.values for block in blocks]),
        predictions=np.concatenate([block.predictions for block in blocks]),
        errors=np.concatenate(errors) if len(errors) == len(blocks) else None,
        additivity_error=max(block.additivity_error for block in blocks),
        tolerance=max(block.tolerance for block in blocks),
        notes=tuple(dict.fromkeys(note for block in blocks for note in block.notes)),
    )


def part_of(block: Block, start: int, stop: int) -> Block:
    """The asked rows from `start` to before `stop` of a block, counted from 0."""
    inside = (block.kept >= start) & (block.kept < stop)
    return replace(
        block,
        kept=block.kept[inside] - start,
        values=block.values[inside],
        predictions=block.predictions[inside],
        errors=None if block.errors is None else block.errors[inside],
    )


@dataclass
class Collected:
    """The rows explained so far, in the order in which they were asked.

    Attributes
    ----------
    order : positions of all rows that may be asked for; `done` of them were.
    expected : rows that will be asked for next, for which there is room at once: arrays that grow
        are held twice.
    kept : places in `order` of the rows that have values.
    """

    order: IntArray
    n_features: int
    n_outputs: int
    done: int = 0
    expected: int = 0
    kept: list[IntArray] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    _values: FloatArray | None = None
    _errors: FloatArray | None = None
    _filled: int = 0

    def add(self, block: Block, n_asked: int) -> None:
        """The next `n_asked` rows of the order; only their values are kept of the block."""
        n = len(block.kept)
        self._make_room(n, block.errors is not None)
        place = slice(self._filled, self._filled + n)
        if self._values is not None:
            self._values[place] = block.values
        if self._errors is not None and block.errors is not None:
            self._errors[place] = block.errors
        self.kept.append(block.kept + self.done)
        empty = np.empty((0, self.n_features, self.n_outputs))
        nothing = np.empty(0, dtype=np.int64)  # not a part of the block's, which would stay
        self.blocks.append(replace(block, values=empty, errors=None, kept=nothing))
        self._filled += n
        self.done += n_asked

    def _make_room(self, n: int, sampled: bool) -> None:
        """Arrays for the rows that are expected, in single precision where they are large."""
        need = self._filled + n
        if self._values is None or need > len(self._values):
            size = min(len(self.order), max(need, self.expected))
            cells = self.n_features * self.n_outputs
            kind = np.float64 if size * cells <= DOUBLE_VALUES else np.float32
            self._values = _grown(self._values, (size, self.n_features, self.n_outputs), kind)
            if self._errors is not None:
                self._errors = _grown(self._errors, self._values.shape, kind)
        if sampled and self._errors is None:
            self._errors = _grown(None, self._values.shape, self._values.dtype)

    @property
    def rows(self) -> IntArray:
        """Positions in the evaluation set of the rows that have values."""
        places = np.concatenate(self.kept) if self.kept else np.empty(0, dtype=np.int64)
        found: IntArray = self.order[places]
        return found

    def fields(self, space: OutputSpace) -> dict[str, Any]:
        """What of `Attributions` comes from the blocks.

        Values are views of arrays that only grow: what was given before stays as it was.
        """
        self._make_room(0, sampled=False)
        last, n = self.blocks[-1], self._filled
        predictions = np.concatenate([block.predictions for block in self.blocks])
        base = self.blocks[0].base
        shift = max(gap_of_bases(block.base, base) for block in self.blocks)
        counted = self._counts(space, predictions)
        return {
            "values": np.empty((0, 0, 0)) if self._values is None else self._values[:n],
            "base_values": base,
            "predictions": predictions,
            "errors": None if self._errors is None else self._errors[:n],
            "rows": self.rows,
            "engine": last.engine,
            "method": last.method,
            "exact": all(block.exact for block in self.blocks),
            "additivity_error": shift + max(block.additivity_error for block in self.blocks),
            "tolerance": shift + max(block.tolerance for block in self.blocks),
            "notes": (*counted, *self._notes(counted)),
        }

    def _counts(self, space: OutputSpace, predictions: FloatArray) -> tuple[str, ...]:
        notes = []
        if self._filled < self.done:
            notes.append(
                f"{count(self.done - self._filled)} of {count(self.done)} rows are left out: the "
                "model gives no number for them."
            )
        edge = float(np.log1p(-CLIP) - np.log(CLIP))
        if space is OutputSpace.LOG_ODDS:
            n = int((np.abs(predictions) >= edge * (1 - 1e-12)).any(axis=1).sum())
            cut = any(bool((np.abs(p.predictions) == edge).any()) for p in self.blocks)
            if n and cut:
                notes.append(
                    f"{count(n)} of {count(self._filled)} rows are answered with a probability of "
                    f"exactly 0 or 1, {INFINITE}"
                )
        if self._values is not None and self._values.dtype == np.float32:
            notes.append("So many values are kept in single precision (7 digits).")
        return tuple(notes)

    def _notes(self, counted: Sequence[str]) -> tuple[str, ...]:
        said = dict.fromkeys(note for block in self.blocks for note in block.notes)
        if any(note.endswith(INFINITE) for note in counted):
            said = {note: None for note in said if not note.endswith(INFINITE)}  # said of how many
        shown = tuple(said)[:MOST_NOTES]
        left = len(said) - len(shown)
        return (*shown, f"{count(left)} more notes are not shown.") if left else shown


def gap_of_bases(one: FloatArray, other: FloatArray) -> float:
    return float(np.abs(one - other).max(initial=0.0))


def _grown(held: FloatArray | None, shape: tuple[int, ...], kind: Any) -> FloatArray:
    """Zeros, which are the errors of exact values; they take memory as they are written to."""
    made = np.zeros(shape, dtype=kind)
    if held is not None:
        made[: len(held)] = held
    return made
