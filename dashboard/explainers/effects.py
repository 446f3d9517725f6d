"""The operation "effects": a model's answers with one or two features set to other rows' values."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ..contracts import Model, OutputSpace, Work
from ..errors import NotApplicable
from ..frames import Frame, FrameError, plain_text, tag_values, untag_values
from ..models.refused_rows import FEW_ROWS
from ..sandbox.processes import WorkCancelled, is_unwanted
from .answers import Asked
from .asking import as_part, ask
from .kept import KeptParts
from .mixing import Questions, Stock
from .pipelines import TRIED, known_subject, raw_rows
from .subjects import FloatArray, IntArray, Subject

__all__ = [
    "EffectAnswers",
    "EffectQuestion",
    "ask_effects",
    "effects",
    "read_effects",
    "read_space",
    "space_of",
]

CHUNK_ROWS = 8_192  # mixed rows between two looks at the clock
CHUNK_SECONDS = 1.0
MOST_ANSWERS = 16_000_000  # numbers that are held for one feature
LONGEST_NAME = 1_000
FEWEST_ROWS = 5  # rows after which a value that none is answered with is not asked for again
FIRST_ROWS = 125  # of the blocks in which answers are kept; each has as many as all before it


def effects(
    model: Model, tables: Mapping[str, Any], arguments: Mapping[str, Any], work: Work
) -> tuple[dict[str, Any], list[Any]]:
    """Answers of some rows of table "X" with some columns replaced.

    `arguments`: "rows" (n positions), "columns" (c names), "values" (m × c positions of the rows
    whose values are taken, or n × m × c of them), "space" ("auto" or an `OutputSpace`), "asked",
    "seconds" (after which no further rows are started), "again" (whether the first rows are asked
    twice), perhaps "step" (rows that take a second at most). Answers with `outputs`, `space`, and
    the arrays answers `(n', m, k)` and own `(n', k)`; n' ≤ n where the time was up.

    Raises
    ------
    NotApplicable : the model does not read one of the columns, or fails on changed rows.
    """
    X = tables["X"]
    subject = known_subject(model, X[:TRIED], Asked.from_json(arguments["asked"]))
    space = space_of(subject, str(arguments["space"]))
    values = np.asarray(arguments["values"], dtype=np.int64)
    rows = np.asarray(arguments["rows"], dtype=np.int64)
    columns = [str(name) for name in arguments["columns"]]
    pace = Pace(float(arguments["seconds"]), int(arguments.get("step", 1)))
    again = bool(arguments["again"])
    own, answers, notes = substitute(subject, space, X, rows, columns, values, pace, again, work)
    header = {"outputs": tag_values(subject.output_names), "space": space.value}
    return {**header, "notes": [*subject.notes, *notes]}, [answers, own]


@dataclass(frozen=True)
class Pace:
    """Seconds after which no further rows are started, and rows to begin with."""

    seconds: float
    step: int


def space_of(subject: Subject, wanted: str) -> OutputSpace:
    """Shares of certainty where there are such, unless another unit is asked for."""
    if wanted == "auto":
        shares = OutputSpace.PROBABILITY
        return shares if shares in subject.spaces else subject.spaces[0]
    space = OutputSpace(wanted)
    if space not in subject.spaces:
        known = " or ".join(one.value for one in subject.spaces)
        raise NotApplicable(f"The model does not answer in {wanted}; it answers in {known}.")
    return space


def substitute(
    subject: Subject,
    space: OutputSpace,
    X: Any,
    rows: IntArray,
    columns: list[str],
    values: IntArray,
    pace: Pace,
    twice: bool,
    work: Work,
) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    """`(n', k)` answers to the rows, `(n', m, k)` to each with its columns replaced, and notes."""
    places = _read_places(subject, columns)
    stock, at_rows, at_values = _stock(subject, X, rows, values)
    questions = Questions(subject, space, work)
    questions.asked_about = "rows with values of other rows"
    own_at = np.repeat(at_rows[:, None], len(subject.features), axis=1)
    m = values.shape[-2]
    n = min(len(rows), _most_rows(m, subject.n_outputs))
    taken = np.broadcast_to(at_values, (len(rows), *at_values.shape[-2:]))
    own: list[FloatArray] = []
    found: list[FloatArray] = []
    began = time.perf_counter()
    step, start = max(1, min(CHUNK_ROWS // m, pace.step)), 0
    while start < n and (start < 2 or time.perf_counter() - began < pace.seconds):
        stop = min(n, start + step)
        own.append(_own(questions, stock, own_at[start:stop], at_rows[start:stop]))
        asked = start + np.flatnonzero(np.isfinite(own[-1]).all(axis=1))
        answers = np.full((stop - start, m, subject.n_outputs), np.nan)
        known = _known(found, values, m)
        if len(asked):
            given = Changes(own_at[asked], at_rows[asked], places, taken[asked][:, known])
            changed = _changed(questions, stock, given, apart=values.ndim == 2)
            answers[np.ix_(asked - start, known)] = changed
        found.append(answers)
        room = CHUNK_SECONDS / (questions.seconds_a_row * (m + 1))
        step, start = max(1, min(CHUNK_ROWS // m, step * 4, int(room))), stop
        work.progress(stop, n, "Asking the model about changed rows")
    if questions.failure and not any(np.isfinite(part).any() for part in own):
        raise questions.failure
    notes = questions.notes()
    if twice:
        again = _own(questions, stock, own_at[:2], at_rows[:2])
        notes = (*_chance_note(again, own, found), *notes)
    return np.concatenate(own), np.concatenate(found), notes


@dataclass(frozen=True, eq=False)
class Changes:
    """Rows `(n, f)` and `(n,)` as places in a stock, and at `places` m values each `(n, m, c)`."""

    own: IntArray
    home: IntArray
    places: list[int]
    values: IntArray

    def only(self, at: int) -> Changes:
        """The same with one of the values."""
        return replace(self, values=self.values[:, at : at + 1])


def _known(found: Sequence[FloatArray], values: IntArray, m: int) -> IntArray:
    """Which of the m values are asked for: not those for which no row so far had an answer."""
    answered = [part for part in found if np.isfinite(part).any()]
    if values.ndim > 2 or sum(map(len, answered)) < FEWEST_ROWS:
        return np.arange(m)
    known: IntArray = np.flatnonzero(
        np.any([np.isfinite(part).any(axis=(0, 2)) for part in answered], axis=0)
    )
    return known


def _changed(questions: Questions, stock: Stock, given: Changes, *, apart: bool) -> FloatArray:
    """`(n, m, k)` answers; where the model fails, and `apart`, value by value."""
    n, m = given.values.shape[:2]
    part = np.repeat(given.own, m, axis=0)
    part[:, given.places] = given.values.reshape(len(part), len(given.places))
    try:
        found = questions.ask(stock, part, np.repeat(given.home, m), check=False)
    except NotApplicable:
        if not apart:
            raise
    else:
        return found.reshape(n, m, questions.subject.n_outputs)
    answers = np.full((n, m, questions.subject.n_outputs), np.nan)
    failures = list[NotApplicable]()
    for at in range(m):
        try:
            answers[:, at : at + 1] = _changed(questions, stock, given.only(at), apart=False)
        except NotApplicable as failure:
            failures.append(failure)
    if len(failures) == m:
        raise failures[0]
    return answers


def _own(questions: Questions, stock: Stock, at: IntArray, home: IntArray) -> FloatArray:
    """Answers to the rows themselves; no numbers where the model fails on all of a few."""
    try:
        return questions.ask(stock, at, home, check=False)
    except NotApplicable as failure:
        if len(at) > FEW_ROWS:
            raise
        questions.failure = failure
        return np.full((len(at), questions.subject.n_outputs), np.nan)


def _most_rows(m: int, n_outputs: int) -> int:
    """Rows whose answers with m values each can be held."""
    return max(2, MOST_ANSWERS // (m * n_outputs))


def _chance_note(
    again: FloatArray, own: list[FloatArray], found: list[FloatArray]
) -> tuple[str, ...]:
    """Whether the first rows are answered as they were before."""
    first = np.concatenate(own)[: len(again)]
    apart = float(np.nanmax(np.abs(again - first), initial=0.0))
    every = [part[np.isfinite(part)] for part in (*own, *found)]
    spread = float(np.ptp(np.concatenate([part for part in every if part.size] or [np.zeros(1)])))
    if apart <= max(1e-4 * spread, 1e-5 * float(np.nanmax(np.abs(first), initial=0.0))):
        return ()
    return (
        f"The model answers the same rows differently each time (by up to {apart:.3g}): averages "
        "hold, single curves are mostly chance.",
    )


def _read_places(subject: Subject, columns: list[str]) -> list[int]:
    if subject.cell_shape is not None:
        raise NotApplicable(
            "Effects are drawn for columns of a table; this model reads pictures or sequences."
        )
    unread = [name for name in columns if name not in subject.features]
    if unread:
        raise NotApplicable(
            f"The model does not read {unread[0]!r}, so that has no effect on its answers."
        )
    return [subject.features.index(name) for name in columns]


def _stock(
    subject: Subject, X: Any, rows: IntArray, values: IntArray
) -> tuple[Stock, IntArray, IntArray]:
    """The rows that are needed of X, and where each position given now lies among them."""
    needed, place = np.unique(np.concatenate([rows, values.ravel()]), return_inverse=True)
    part = X.iloc[needed] if isinstance(X, pd.DataFrame) else np.asarray(X)[needed]
    stock = Stock(raw_rows(subject, part), subject.features)
    return stock, place[: len(rows)], place[len(rows) :].reshape(values.shape)


class EffectAnswers:
    """What a worker answered, checked.

    Attributes
    ----------
    outputs, space, notes : as the model has them.
    answers : `(n', m, k)`; own : `(n', k)`; they may hold NaN where the model gave no number.
    """

    def __init__(self, frame: Frame, n: int, m: int) -> None:
        header = frame.header
        self.outputs = tuple(untag_values(header.get("outputs"), LONGEST_NAME))
        self.space = read_space(header)
        if not isinstance(header.get("notes"), list):
            raise FrameError("The effects come without their notes.")
        self.notes = tuple(plain_text(note, LONGEST_NAME) for note in header["notes"][:20])
        if len(frame.arrays) != 2:
            raise FrameError("The effects come without their answers.")
        self.answers, self.own = frame.arrays
        k = len(self.outputs)
        done = len(self.own)
        wanted = ((done, m, k), (done, k))
        if not 0 < done <= n or (self.answers.shape, self.own.shape) != wanted:
            raise FrameError("The effects have other shapes than was asked for.")
        if self.answers.dtype != np.float64 or self.own.dtype != np.float64:
            raise FrameError("The effects are no numbers of double precision.")


def read_space(header: Mapping[str, Any]) -> OutputSpace:
    """The unit that an answer names.

    Raises
    ------
    FrameError : it names none.
    """
    if header.get("space") not in [one.value for one in OutputSpace]:
        raise FrameError("The answer comes without its unit.")
    return OutputSpace(header["space"])


def read_effects(n: int, m: int, like: EffectAnswers | None = None) -> Any:
    """A reader for `ask`: of n rows with m values each, in the unit and outputs of `like`."""

    def read(frame: Frame) -> EffectAnswers:
        found = EffectAnswers(frame, n, m)
        if like is not None and (found.outputs, found.space) != (like.outputs, like.space):
            raise FrameError("The effects are of other outputs than those before.")
        return found

    return read


# ---- the parent's side -----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class EffectQuestion:
    """What is asked: answers to `rows` with `features` set to those of the rows `values`.

    Attributes
    ----------
    values : `(m, c)` positions for every row, or `(n, m, c)`.
    asked : as `Asked.to_json` gives it.
    seconds : after which no further rows are started.
    """

    features: tuple[str, ...]
    rows: IntArray
    values: IntArray
    space: str
    asked: Mapping[str, Any]
    seconds: float

    def arguments(self, start: int, stop: int) -> dict[str, Any]:
        """Those of some of the rows."""
        values = self.values[start:stop] if self.values.ndim == 3 else self.values
        return {
            "rows": self.rows[start:stop].tolist(),
            "columns": list(self.features),
            "values": values.tolist(),
            "space": self.space,
            "asked": dict(self.asked),
            "seconds": self.seconds,
            "again": start == 0,
        }


def ask_effects(model: Model, X: Any, question: EffectQuestion, kept: KeptParts) -> EffectAnswers:
    """The answers to the rows, or to the first of them where the time or the memory is up.

    Where answers are kept it is in blocks, so that what is finished stays when it is stopped.

    Raises
    ------
    NotApplicable, ModelError : see `effects`.
    WorkCancelled : the watcher stopped it.
    """
    m, n, start = question.values.shape[-2], len(question.rows), 0
    parts, took = list[EffectAnswers](), list[float]()
    while start < n and (not parts or sum(took) < question.seconds):
        if is_unwanted():
            raise WorkCancelled("You stopped asking about changed rows.")
        stop = n if kept.store is None else min(n, max(FIRST_ROWS, 2 * start))
        hints: dict[str, Any] = {"seconds": question.seconds - sum(took)}
        if parts:
            hints["step"] = int(len(parts[-1].own) / max(CHUNK_SECONDS, took[-1]))
        began = time.perf_counter()
        with as_part(start, stop - start, n, lambda _: "Asking the model about changed rows"):
            part: EffectAnswers = ask(
                model,
                "effects",
                question.arguments(start, stop),
                {"X": X},
                read=read_effects(stop - start, m, like=parts[0] if parts else None),
                array_bytes=1 << 30,
                kept=kept,
                hints=hints,
            )
        took.append(time.perf_counter() - began)
        parts.append(part)
        if len(part.own) < stop - start:
            break
        n, start = min(n, _most_rows(m, len(part.outputs))), stop
    return _joined(parts)


def _joined(parts: Sequence[EffectAnswers]) -> EffectAnswers:
    """The answers to the rows of all parts, one after another."""
    if len(parts) == 1:
        return parts[0]
    joined = copy(parts[0])
    joined.notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    joined.answers = np.concatenate([part.answers for part in parts])
    joined.own = np.concatenate([part.own for part in parts])
    return joined
