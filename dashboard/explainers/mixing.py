"""Rows mixed from two real rows, cell by cell, and a model's answers to them, in few calls."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import OutputSpace, Work
from ..errors import DiagnosticsError, NotApplicable
from ..sandbox.processes import WorkCancelled
from .answers import INFINITE
from .subjects import FloatArray, IntArray, Subject

__all__ = ["LOG_ODDS_BOUND", "Mixer", "Questions", "Stock"]

# The log-odds of a probability of 1: of .999999, so that a sum of parts stays a number.
LOG_ODDS_BOUND = math.log(1e6 - 1)
BATCH_CELLS, BATCH_ROWS = 4_000_000, 16_384
GOAL_SECONDS = 0.4  # of one call: cancel and progress are looked at in between
FIRST_BATCH = 2  # rows of the first call: a model may take half a second a row
AGAIN = 4  # rows that a slow model is asked twice, to see whether the answers stay the same
MIXED = "rows that are mixed from two of them"
MOST_KNOWN = 8  # backgrounds that are remembered for each model
MOST_FAILED = 32  # rows on whose mixed rows a model may fail: each takes some calls to be found


class Stock:
    """Rows that cells are taken from: `(n, f)` features, each cell by the position of its row.

    Columns keep their types: categories, dates, text and missing values travel as they are.
    Columns that the model does not read stay those of the home row.
    """

    def __init__(self, rows: Any, features: tuple[str, ...]) -> None:
        self.n, self.features = len(rows), features
        self._frame = rows if isinstance(rows, pd.DataFrame) else None
        # all cells as one array, where they are of one plain type
        self._cells: npt.NDArray[Any] | None = None
        if self._frame is None:
            array = np.asarray(rows)
            self._shape = array.shape[1:]
            self._cells = array.reshape(len(array), -1)
            self._places: IntArray = np.arange(self._cells.shape[1])
        else:
            self._places = _places(self._frame, features)
            kinds = set(self._frame.dtypes)
            if len(kinds) == 1 and all(isinstance(kind, np.dtype) for kind in kinds):
                self._cells = self._frame.to_numpy()
        if len(self._places) != len(features):
            raise NotApplicable(
                f"The rows have {len(self._places):,} columns; the model reads {len(features):,}."
            )

    def codes(self) -> IntArray:
        """`(n, f)`: equal cells of a column have equal numbers; missing is equal to missing."""
        found = np.empty((self.n, len(self.features)), dtype=np.int32)
        for at, place in enumerate(self._places):
            found[:, at] = pd.factorize(self._column(int(place)))[0]
        return found

    def _column(self, place: int) -> Any:
        if self._frame is None:
            return self._cells[:, place] if self._cells is not None else None
        column = self._frame.iloc[:, place]
        return column.to_numpy() if isinstance(column.dtype, np.dtype) else column.array

    def compose(self, at: IntArray, home: IntArray) -> Any:
        """Rows whose feature j is that of row `at[:, j]`; the other columns are those of `home`."""
        if self._cells is not None:
            mixed = _mixed(self._cells, self._places, at, home)
            if self._frame is None:
                return mixed.reshape(len(at), *self._shape)
            return pd.DataFrame(mixed, columns=self._frame.columns, copy=False)
        names = () if self._frame is None else self._frame.columns
        source = {int(place): at[:, j] for j, place in enumerate(self._places)}
        columns = {
            place: self._column(place).take(source.get(place, home)) for place in range(len(names))
        }
        return pd.DataFrame(columns).set_axis(names, axis="columns")


def _mixed(
    cells: npt.NDArray[Any], places: IntArray, at: IntArray, home: IntArray
) -> npt.NDArray[Any]:
    if len(places) == cells.shape[1]:
        mixed = np.empty((len(at), len(places)), dtype=cells.dtype)
    else:
        mixed = cells[home]
    mixed[:, places] = cells[at, places]
    return mixed


def _places(frame: pd.DataFrame, features: tuple[str, ...]) -> IntArray:
    known = {str(name): place for place, name in enumerate(frame.columns)}
    missing = [name for name in features if name not in known]
    if missing:
        raise NotApplicable(f"The rows have no column {missing[0]!r}, which the model reads.")
    return np.array([known[name] for name in features], dtype=np.int64)


class _Failed(NotApplicable):
    """The model's own failure on rows that it was asked about."""


class Questions:
    """A model's answers, asked in calls of about half a second, each of them checked.

    Attributes
    ----------
    n_clipped : answers of certainty (probability 0 or 1) that were brought back to
        `LOG_ODDS_BOUND`.
    n_asked, n_expected : rows asked so far, of about so many; 0 where nobody knows.
    seconds_a_row : of the best call so far.
    failed : home rows of mixed rows on which the model fails; None where it may fail on none.
    failure : what it said then.
    asked_about : what the rows are, for sentences.
    """

    def __init__(self, subject: Subject, space: OutputSpace, work: Work) -> None:
        self.subject, self.space, self.work = subject, space, work
        self.n_clipped = self.n_asked = self.n_expected = 0
        self.failed: set[int] | None = None
        self.failure: NotApplicable | None = None
        self.seconds_a_row = math.inf
        self.asked_about = MIXED
        self._batch = FIRST_BATCH
        self._last = (0, 0.0)

    def ask(self, stock: Stock, at: IntArray, home: IntArray, *, check: bool = True) -> FloatArray:
        """`(n, k)` answers to the rows `stock.compose(at, home)`.

        Raises
        ------
        NotApplicable : the model fails on rows, or (`check`) answers no number to some. Where a
            few may fail these have no number, and no other rows of the same home are asked.
        """
        found = np.empty((len(at), self.subject.n_outputs))
        most = max(1, min(BATCH_ROWS, BATCH_CELLS // max(1, at.shape[1])))
        start = 0
        while start < len(at):
            self.work.check()
            stop = min(len(at), start + min(self._batch, most))
            began = time.perf_counter()
            answers = self._answers(stock, at[start:stop], home[start:stop])
            found[start:stop] = self._believed(answers, check)
            self._pace(time.perf_counter() - began, stop - start)
            start = stop
        return found

    def _pace(self, seconds: float, n: int) -> None:
        self.n_asked += n
        self.seconds_a_row = min(self.seconds_a_row, seconds / n)
        if self.n_expected:
            done = min(self.n_asked, self.n_expected)
            self.work.progress(done, self.n_expected, "Asking the model about mixed rows")
        if seconds <= GOAL_SECONDS and n < self._batch:
            return  # there were no more to ask
        (few, quicker), (many, slower) = sorted([self._last, (n, seconds)])
        # what a call takes whatever it holds is no reason to hold less
        each = (slower - quicker) / (many - few) if many > few else seconds / n
        if n == 1 == self._last[0]:
            each = 0.0  # two calls of one row tell nothing of a second one
        most = n * (2 if seconds > GOAL_SECONDS else 4)
        room = GOAL_SECONDS / each if each > GOAL_SECONDS / most else most
        self._batch, self._last = max(1, min(BATCH_ROWS, int(room))), (n, seconds)

    def _answers(self, stock: Stock, at: IntArray, home: IntArray) -> FloatArray:
        """`(n, k)` answers, no numbers where the model failed."""
        failed = self.failed or set()
        is_open = ~np.isin(home, list(failed))
        if not is_open.all():
            found = np.full((len(at), self.subject.n_outputs), np.nan)
            if is_open.any():
                found[is_open] = self._answers(stock, at[is_open], home[is_open])
            return found
        try:
            return self._answer(stock.compose(at, home), len(at))
        except _Failed as failure:
            if self.failed is None or len(failed) >= MOST_FAILED:
                raise
            self.failure = failure
        self.work.check()
        if len(at) == 1:
            self.failed.add(int(home[0]))
            return np.full((1, self.subject.n_outputs), np.nan)
        half = len(at) // 2
        parts = slice(None, half), slice(half, None)
        return np.concatenate([self._answers(stock, at[one], home[one]) for one in parts])

    def _answer(self, mixed: Any, n: int) -> FloatArray:
        try:
            answers = np.asarray(self.subject.answer(mixed, self.space), dtype=np.float64)
        except (MemoryError, WorkCancelled, NotApplicable):
            raise
        # a stranger's model raises what it likes
        except Exception as error:
            said = str(error).strip().splitlines()[:1]
            what = said[0] if said and isinstance(error, DiagnosticsError) else repr(error)
            where = f"fails on {self.asked_about}"
            if self.asked_about == MIXED:
                where = f"answers the rows themselves and {where}, which this method needs"
            raise _Failed(f"The model {where}: {what[:300]}") from error
        if answers.shape != (n, self.subject.n_outputs):
            raise NotApplicable(
                f"The model answered {n:,} rows with numbers of shape {answers.shape}; one row of "
                f"{self.subject.n_outputs} for each is needed."
            )
        return answers

    def _believed(self, answers: FloatArray, check: bool) -> FloatArray:
        if self.space is OutputSpace.LOG_ODDS:
            # infinite, or clipped already by who made log-odds of probabilities
            bound = np.abs(np.abs(answers) - LOG_ODDS_BOUND) < 1e-9
            infinite = np.isinf(answers)
            self.n_clipped += int((bound | infinite).any(axis=1).sum())
            answers = np.where(infinite, np.copysign(LOG_ODDS_BOUND, answers), answers)
        unusable = int((~np.isfinite(answers)).any(axis=1).sum()) if check else 0
        if unusable:
            raise NotApplicable(
                f"The model answers some of the {self.asked_about} with no finite number, so "
                "what a feature adds is not defined. Choose another unit, or have the model "
                "answer every row."
            )
        return answers

    def notes(self) -> tuple[str, ...]:
        """What has to be said about the answers."""
        if not self.n_clipped:
            return ()
        return (f"Some answers were exactly 0 or 1, {INFINITE}",)


# What models said of background rows in a unit, and how long they took for one.
_KNOWN: WeakKeyDictionary[Subject, dict[tuple[str, int], tuple[FloatArray, float]]]
_KNOWN = WeakKeyDictionary()


class Mixer:
    """Explained rows and background rows as one stock, and what the model says of them itself.

    Attributes
    ----------
    n, n_background : rows of the stock: the explained ones first. Background rows for which the
        model gives no number are none of it.
    own : `(n, k)` answers to the explained rows; background : `(n_background, k)`; base : `(k,)`.
    unanswered : places of those among all background rows.
    seconds_a_row : how long the model takes for one row, at best.
    seeds : `(n,)` of what the rows hold, whatever block they are explained in.
    """

    def __init__(
        self, subject: Subject, space: OutputSpace, rows: Any, background: Any, work: Work
    ) -> None:
        if not len(background):
            raise NotApplicable("There are no background rows. Choose at least one.")
        self.n, self.n_given = len(rows), len(background)
        self._take(subject, rows, background)
        self.seeds = _seeds(rows)
        self.questions = Questions(subject, space, work)
        self.questions.failed = set()
        self.questions.asked_about = "background rows"
        known = _KNOWN.setdefault(subject, {})
        key = (space.value, hash(tuple(_seeds(background))))
        if key not in known:
            if len(known) >= MOST_KNOWN:
                known.clear()
            known[key] = self._ask_background()
        self.background, self.seconds_a_row = known[key]
        sound = np.isfinite(self.background).all(axis=1)
        answered = np.flatnonzero(sound)
        self.unanswered: tuple[int, ...] = tuple(np.flatnonzero(~sound).tolist())
        if len(answered) < self.n_given:
            some = background.iloc[answered] if hasattr(background, "iloc") else None
            self._take(subject, rows, background[answered] if some is None else some)
            self.background = self.background[answered]
        self.base = self.background.mean(axis=0)
        self.questions.failed.clear()
        self.questions.asked_about = "rows to explain"
        everyone = np.arange(self.n)
        self.own = self.questions.ask(self.stock, self._unmixed(everyone), everyone)
        self.questions.asked_about = MIXED

    def _take(self, subject: Subject, rows: Any, background: Any) -> None:
        self.n_background = len(background)
        self.stock = Stock(_stacked(rows, background), subject.features)
        self._codes = self.stock.codes()

    def _unmixed(self, at: IntArray) -> IntArray:
        return np.broadcast_to(at[:, None], (len(at), self.n_features))

    @property
    def n_features(self) -> int:
        return len(self.stock.features)

    def _ask_background(self) -> tuple[FloatArray, float]:
        """Its answers, and how long one row takes; asked twice. Some may be no numbers.

        A model that answers at random cannot be explained by comparing its answers.
        """
        rows = self.n + np.arange(self.n_background)
        answers = self.answers(self._unmixed(rows), rows)
        slow = self.questions.seconds_a_row * self.n_background > 1
        first = rows[: AGAIN if slow else self.n_background]
        again = self.answers(self._unmixed(first), first)
        sound = answers[np.isfinite(answers).all(axis=1)]
        if not len(sound):
            raise NotApplicable("The model gives no number for any of the background rows.")
        twice = np.isfinite(again - answers[: len(first)])
        apart = float(np.abs(again - answers[: len(first)])[twice].max(initial=0.0))
        spread = float(np.ptp(sound, axis=0).max())
        # networks in float32 differ in the last digits from one batch size to the next
        if apart > max(1e-4 * spread, 1e-5 * float(np.abs(sound).max())):
            raise NotApplicable(
                f"The model answers the same rows differently each time (by up to {apart:.3g}), so "
                "what a feature adds cannot be told from chance. Fix its random seed, or switch "
                "off what is random in it."
            )
        return answers, self.questions.seconds_a_row

    def differ(self, row: int) -> npt.NDArray[np.bool_]:
        """`(n_background, f)`: which cells of an explained row are not those of the background."""
        unequal: npt.NDArray[np.bool_] = self._codes[self.n :] != self._codes[row]
        return unequal

    def answers(self, at: IntArray, home: IntArray) -> FloatArray:
        """`(N, k)` answers to rows with feature j of the stock's row `at[:, j]`, NaN for none."""
        found = self.questions.ask(self.stock, at, home, check=False)
        found[~np.isfinite(found)] = np.nan
        return found

    def notes(self) -> tuple[str, ...]:
        """What has to be said about the background."""
        return unanswered_notes(self.n_background, self.n_given)

    def each(self, requests: Iterable[tuple[int, IntArray]]) -> Iterator[FloatArray]:
        """The answers to each (explained row, positions `(m, f)`), many small ones in one call."""
        waiting: list[tuple[int, IntArray]] = []
        size = 0
        for request in requests:
            waiting.append(request)
            size += len(request[1])
            if size >= BATCH_ROWS or size * self.n_features >= BATCH_CELLS:
                yield from self._together(waiting)
                waiting, size = [], 0
        if waiting:
            yield from self._together(waiting)

    def _together(self, requests: list[tuple[int, IntArray]]) -> list[FloatArray]:
        lengths = [len(at) for _, at in requests]
        at = np.concatenate([at for _, at in requests])
        home = np.repeat([row for row, _ in requests], lengths)
        answers = self.answers(at, home)
        return np.split(answers, np.cumsum(lengths)[:-1])


def _seeds(rows: Any) -> list[int]:
    """A number for each row that depends on its cells alone."""
    if not isinstance(rows, pd.DataFrame):
        cells = np.ascontiguousarray(np.asarray(rows)).reshape(len(rows), -1)
        return [zlib.crc32(repr(row.tolist()).encode()) for row in cells]
    return [zlib.crc32(repr(row).encode()) for row in rows.itertuples(index=False, name=None)]


def unanswered_notes(n: int, n_given: int) -> tuple[str, ...]:
    """What is said where n of the given background rows have answers."""
    if n == n_given:
        return ()
    return (
        f"{n:,} of {n_given:,} background rows stand in for unknown features: the model gives no "
        "number for the others.",
    )


def _stacked(rows: Any, background: Any) -> Any:
    """One below the other, with the column types of the explained rows."""
    if not isinstance(rows, pd.DataFrame):
        return np.concatenate([np.asarray(rows), np.asarray(background)])
    both = pd.concat([rows, background], ignore_index=True)
    if list(both.dtypes) == list(rows.dtypes):
        return both
    try:
        return both.astype({name: rows[name].dtype for name in rows.columns})
    except (ValueError, TypeError) as error:
        raise NotApplicable(
            f"The background rows have other column types than the explained rows ({error})."
        ) from error
