"""One explanation at work: engine by engine, call by call, block by block."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from ..contracts import Attributions, Model
from ..data import EvalSet
from ..errors import ModelError, NotApplicable
from ..frames import Frame, plain_text
from ..sandbox.processes import WorkCancelled, is_unwanted
from ..wording import count, listing
from .asking import as_part, ask
from .blocks import NO_NUMBER, Block, encode_block, read_block, read_interactions
from .kept import BlockStore, KeptParts, parts_of
from .ordering import background_of, digest_of
from .plans import Plan
from .staging import (
    Collected,
    join_blocks,
    most_rows,
    part_of,
    unit_bounds,
)
from .subjects import FloatArray, IntArray, Offer

__all__ = ["CALL_BYTES", "Run", "promised_seconds"]

CALL_SECONDS = 1.5
MOST_TAKEN = 10  # rows that are looked for one by one among those explained before
# What one call may hold in its worker, in doubles for each prepared column: the rows as they are
# given, prepared, and turned for looking up; the values, and as many again while they are sent.
CALL_BYTES = 128 << 20
# Of what is told, the rows are kept by their digest and the engine with the values.
_ELSEWHERE = ("background", "engine")


def promised_seconds(plan: Plan, stages: Sequence[int | None]) -> list[float]:
    """Seconds until each of these stages is shown, from what was measured on a few rows.

    Rows are asked for in calls of a second or two, each of which begins anew.
    """
    done, spent, found = 0, 0.0, list[float]()
    for stage in stages:
        n = plan.n_given if stage is None else min(stage, plan.n_given)
        offer, rows = plan.offer(n), max(0, n - done)
        work = rows * offer.seconds_per_row
        calls = math.ceil(work / max(CALL_SECONDS, 4 * offer.seconds_fixed))
        spent += (max(1, calls) * offer.seconds_fixed + work) if rows else 0.0
        done = max(done, n)
        found.append(spent)
    return found


@dataclass
class Run:
    """One explanation at work: what was asked, what is done, which engines are left.

    `turn` : held for each call, so that other models may be asked between two.
    `larger` : an order of many rows whose stored blocks may hold some that are asked for here.
    """

    model: Model
    evalset: EvalSet
    name: str
    plan: Plan
    store: BlockStore | None
    rows: Any
    told: dict[str, Any]
    collected: Collected
    turn: Callable[[], AbstractContextManager[Any]] = nullcontext
    larger: IntArray | None = None
    refused: dict[str, str] = field(default_factory=dict)
    times: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    # -- engines --

    def engine(self, n: int) -> Offer:
        """The best engine that was not put aside.

        Raises
        ------
        NotApplicable : all of them were.
        """
        for offer in self.plan.engines(n):
            if offer.key not in self.refused and not self._was_refused(offer):
                return offer
        raise NotApplicable(
            f"{self.name} cannot be explained: {' '.join(self.refused.values())[:1_500]}"
        )

    def put_aside(self, offer: Offer, why: str) -> None:
        """An engine that failed once is not believed on other rows either: all begin anew."""
        self.refused[offer.key] = why
        self.kept.keep(("refused", offer.key), {"why": why}, [])
        old = self.collected
        self.collected = Collected(old.order, old.n_features, old.n_outputs)

    def _was_refused(self, offer: Offer) -> bool:
        """Whether an earlier run put it aside, which need not be found out again."""
        why = self.kept.recall(("refused", offer.key), _read_refusal)
        if why is not None:
            self.refused[offer.key] = why
        return why is not None

    # -- rows --

    def reach(self, n: int) -> None:
        """Explain the first `n` rows of the order."""
        while self.collected.done < n:
            if is_unwanted():
                raise WorkCancelled(f"You stopped explaining {self.name}.")
            offer, self.collected.expected = self.engine(n), n
            bounds = list(unit_bounds(self.collected.done, n))
            if self._take_stored(offer, bounds[0]) or self._take_explained(bounds[0]):
                continue
            self._compute(offer, bounds, n)

    @cached_property
    def kept(self) -> KeptParts:
        """By all that values depend on beside the engine and the rows."""
        told = {name: each for name, each in self.told.items() if name not in _ELSEWHERE}
        background = digest_of(self.plan.background_rows)
        more = (sorted(told.items()), self.plan.features, background)
        return parts_of(self.store, self.model, self.evalset, "explain", *more)

    def _take_stored(self, offer: Offer, bound: tuple[int, int]) -> bool:
        found = self._stored(offer, self.collected.order[slice(*bound)])
        if found is None:
            return False
        self.collected.add(found, bound[1] - bound[0])
        return True

    def _stored(self, offer: Offer, positions: IntArray) -> Block | None:
        return self.kept.recall(("rows", offer.key, positions), self._reader(len(positions)))

    def _reader(self, asked: int) -> Callable[[Frame], Block]:
        n_features, n_outputs = self.collected.n_features, self.collected.n_outputs
        return partial(read_block, asked=asked, n_features=n_features, n_outputs=n_outputs)

    def _take_explained(self, bound: tuple[int, int]) -> bool:
        """A few rows from stored blocks of the larger order, by whichever engine made them."""
        if self.kept.store is None or self.larger is None or bound[1] - bound[0] > MOST_TAKEN:
            return False
        asked = self.collected.order[bound[0] : bound[1]]
        for offer in self.plan.engines(len(asked)):
            found = [self._explained(offer, position) for position in asked.tolist()]
            pieces = [
                replace(piece, kept=piece.kept + at)
                for at, piece in enumerate(found)
                if piece is not None
            ]
            if len(pieces) == len(asked) and offer.game == self.plan.game:
                self.collected.add(join_blocks(pieces), len(asked))
                return True
        return False

    def _explained(self, offer: Offer, position: int) -> Block | None:
        """One row of the larger order, if its block is stored."""
        larger = np.empty(0, dtype=np.int64) if self.larger is None else self.larger
        for place in np.flatnonzero(larger == position).tolist():
            start, stop = next(
                each for each in unit_bounds(0, len(larger)) if each[0] <= place < each[1]
            )
            block = self._stored(offer, larger[start:stop])
            return None if block is None else part_of(block, place - start, place - start + 1)
        return None

    def _compute(self, offer: Offer, bounds: list[tuple[int, int]], n: int) -> None:
        """One block or several in one call, or one block in several calls."""
        first = bounds[0][0]
        size = self._call_rows(offer, n - first)
        stop = bounds[0][1]
        for _, end in bounds[1:]:
            if end - first <= size:
                stop = end
        pieces: list[Block] = []
        for start in range(first, stop, max(1, size)):
            end = min(stop, start + size)
            piece = self._call(offer, start, end, n)
            if piece is None:
                return
            pieces.append(replace(piece, kept=piece.kept + (start - first)))
        whole = join_blocks(pieces)
        for start, end in bounds:
            if end <= stop:
                part = part_of(whole, start - first, end - first)
                what = ("rows", offer.key, self.collected.order[start:end])
                self.kept.keep(what, *encode_block(part))
                self.collected.add(part, end - start)

    def _call_rows(self, offer: Offer, left: int) -> int:
        """Rows for one call of a second or two, or of several where beginning takes long."""
        fixed, per_row = self._pace(offer)
        seconds = max(CALL_SECONDS, 4 * fixed)
        # a little longer is better than to begin once more for the rest
        quick = left if left * per_row <= 1.5 * seconds else int(seconds / per_row)
        found = self.plan.found
        width = max(found.n_columns, len(found.features))
        fits = CALL_BYTES // (8 * width * (3 + 2 * max(1, len(found.outputs))))
        return max(1, min(quick, fits, left))

    def _pace(self, offer: Offer) -> tuple[float, float]:
        """Seconds to begin a call and for each row, from the last calls, else from the plan."""
        seen = self.times.get(offer.key, [])
        if not seen:
            return offer.seconds_fixed, offer.seconds_per_row
        few, many = min(seen), max(seen)
        if many[0] > 2 * few[0]:
            per_row = max(0.0, many[1] - few[1]) / (many[0] - few[0])
        else:
            per_row = min(offer.seconds_per_row, many[1] / many[0])
        return max(0.0, many[1] - per_row * many[0]), per_row

    def _call(self, offer: Offer, start: int, stop: int, n: int) -> Block | None:
        """The values of some rows; None where the engine was put aside."""
        positions = self.collected.order[start:stop]
        arguments = {**self.told, "rows": positions.tolist(), "engines": [offer.key]}
        for attempt in (1, 2):
            try:
                with self.turn(), self._watched(start, stop - start, n):
                    begin = time.monotonic()
                    block = self._ask(arguments, len(positions))
            except (NotApplicable, WorkCancelled) as error:
                if isinstance(error, WorkCancelled):
                    raise
                self.put_aside(offer, _reason(error, offer))
                return None
            except ModelError as error:
                if NO_NUMBER in str(error) and self.collected.blocks:
                    return _empty(self.collected.blocks[0])
                # the worker ended: by the engine, or somebody ended it, which once is forgiven
                if "ended its worker" not in str(error):
                    raise
                if attempt == 2:
                    self.put_aside(offer, f"{offer.method} was put aside: {error}")
                    return None
            else:
                spent = (len(positions), time.monotonic() - begin)
                self.times[offer.key] = [*self.times.get(offer.key, [])[-5:], spent]
                return block
        return None

    def _ask(self, arguments: dict[str, Any], n: int) -> Block:
        n_features, n_outputs = self.collected.n_features, self.collected.n_outputs
        most = 64 * n * n_outputs * (n_features + 2) + (1 << 20)
        return ask(
            self.model,
            "explain",
            arguments,
            {"X": self.rows},
            read=self._reader(n),
            array_bytes=most,
        )

    def interactions(self, size: int) -> FloatArray:
        """`(n, f, f, k)` of all rows of the order, `size` rows a call; the rows are collected."""
        order, found = self.collected.order, list[FloatArray]()
        self.collected.expected = len(order)
        for start in range(0, len(order), size):
            if is_unwanted():
                raise WorkCancelled(f"You stopped explaining {self.name}.")
            positions = order[start : start + size]
            with self._watched(start, len(positions), len(order)):
                block, pairs = self._pairs(positions)
            self.collected.add(block, len(positions))
            found.append(pairs)
        return np.concatenate(found)

    def _pairs(self, positions: IntArray) -> tuple[Block, FloatArray]:
        """Those of some rows, kept or computed now."""
        n, f, k = len(positions), self.collected.n_features, self.collected.n_outputs
        return ask(
            self.model,
            "interactions",
            {**self.told, "rows": positions.tolist()},
            {"X": self.rows},
            read=partial(read_interactions, asked=n, n_features=f, n_outputs=k),
            array_bytes=16 * n * k * (f + 4) ** 2 + (1 << 20),
            kept=self.kept,
        )

    def _watched(self, done: int, here: int, n: int) -> Any:
        """The progress of one call as that of the whole."""
        return as_part(
            done, here, n, lambda at: f"Explaining {self.name}: {count(at)} of {count(n)} rows"
        )

    # -- the answer --

    def attributions(self) -> Attributions:
        plan, found = self.plan, self.collected.fields(self.plan.space)
        if not len(found["rows"]):
            raise NotApplicable(
                f"{self.name} cannot be explained on these rows: it gives no number for them, or "
                "for rows mixed from them and background rows."
            )
        rows, features = found["rows"], list(plan.features)
        data = (
            self.rows[features].iloc[rows].reset_index(drop=True)
            if isinstance(self.rows, pd.DataFrame)
            else self.rows[rows]
        )
        last = self.collected.blocks[-1]
        aside = dict.fromkeys((*plan.put_aside, *self.refused.values()))
        notes = (*aside, *plan.notes, *found.pop("notes"))
        return Attributions(
            model=self.name,
            data=data,
            feature_names=plan.features,
            output_names=plan.output_names,
            space=plan.space,
            background=background_of(
                self.evalset, plan.background_rows, last.game, last.unanswered
            ),
            n_given=self.evalset.n,
            cell_shape=plan.cell_shape,
            level=plan.options.level,
            notes=(*notes, *self._capped(), *self._engines_note()),
            **found,
        )

    def _capped(self) -> tuple[str, ...]:
        most = most_rows(self.collected.n_features, self.collected.n_outputs)
        if self.collected.done < min(most, self.evalset.n) or most >= self.evalset.n:
            return ()
        return (
            f"{count(self.collected.done)} of {count(self.evalset.n)} rows: the values of more "
            "cannot be held at once.",
        )

    def _engines_note(self) -> tuple[str, ...]:
        methods = [block.method for block in self.collected.blocks]
        if len(set(methods)) < 2:
            return ()
        parts = [
            f"{count(sum(len(b.predictions) for b in self.collected.blocks if b.method == one))} "
            f"rows by {one}"
            for one in dict.fromkeys(methods)
        ]
        return (f"Computed with more than one engine: {listing(parts, 6)}.",)


def _empty(block: Block) -> Block:
    """A part of the explanation whose rows have no answers."""
    n_features, n_outputs = block.values.shape[1:]
    nothing = np.empty((0, n_features, n_outputs))
    return replace(
        block,
        kept=np.empty(0, dtype=np.int64),
        values=nothing,
        predictions=nothing[:, 0],
        errors=None if block.exact else nothing,
        notes=(),
    )


def _read_refusal(frame: Frame) -> str:
    return plain_text(frame.header.get("why"), 2_000)


def _reason(error: NotApplicable, offer: Offer) -> str:
    told = error.reason.removeprefix("None of the engines that were tried can explain this model. ")
    return told or f"{offer.method} was put aside."
