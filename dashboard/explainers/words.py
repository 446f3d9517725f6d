"""The operation "words": one text with words taken out, and what the model answers then.

The game is played on the text itself, so that it is the same for every model that reads text:
vectorisers of any kind, n-grams, networks, functions. Up to ten words are enumerated; more are
taken in and out in random orders, forwards and backwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Label, Model, OutputSpace, Work, canonical_label
from ..diagnostics.words import FREE_TEXT, SplitText, WordExplanation, split_text
from ..errors import NotApplicable
from ..frames import Frame, FrameError, plain_text, tag_values, untag_values
from ..models import EstimatorModel, KerasModel
from .answers import Asked
from .arranging import arrangement
from .asking import ask
from .coalitions import all_coalitions, shapley, stratified_mean
from .effects import LONGEST_NAME, read_space, space_of
from .kept import KeptParts
from .pipelines import TRIED, known_subject, raw_rows, rows_at
from .subjects import FloatArray, Subject

__all__ = ["read_words", "take_words", "word_values"]

MOST_EXACT = 10  # words: 1,024 texts
BUDGET = 4_000  # texts
SECONDS = 20.0
FEWEST_ORDERS, MOST_ORDERS = 4, 100
CHUNK = 256

Answering = Callable[[npt.NDArray[np.bool_]], FloatArray]


def take_words(
    model: Model, tables: Mapping[str, Any], arguments: Mapping[str, Any], work: Work
) -> tuple[dict[str, Any], list[Any]]:
    """What each word of one cell adds to each answer.

    `arguments`: "row" (position in table "X"), "column" ("" chooses), "asked", "space",
    "random_state", "seconds", "level" of the intervals. Answers with `column`, `outputs`,
    `space`, `n_texts`, `exact`, `notes` and the arrays values, errors `(n_terms, k)`, base,
    predictions `(k,)`.

    Raises
    ------
    NotApplicable : the model reads no text, the cell has no words, or the model is too slow.
    """
    X, asked = tables["X"], Asked.from_json(arguments["asked"])
    subject = known_subject(model, X[:TRIED], asked)
    space = space_of(subject, str(arguments["space"]))
    row = raw_rows(subject, rows_at(X, [int(arguments["row"])]))
    column = _column(model, subject, row, str(arguments.get("column") or ""))
    split = split_text(_text(row, column))
    if not split.terms:
        raise NotApplicable(f"The text in {column} has no words, so there is nothing to colour.")
    seconds, seed = float(arguments["seconds"]), int(arguments["random_state"])
    game = _Game(subject, space, row, column, split, work)
    rng = np.random.default_rng(seed)
    values, errors = game.solved(seconds, rng, float(arguments["level"]))
    order = arrangement(subject.output_names, space, asked)
    header = {
        "column": column,
        "outputs": tag_values(order.names),
        "space": space.value,
        "n_texts": game.n_texts,
        "exact": game.exact,
        "notes": list(_notes(split)),
    }
    totals = [order.totals(game.known(full), space) for full in (False, True)]
    return header, [order.parts(values), order.spreads(errors), *totals]


def _notes(split: SplitText) -> Iterator[str]:
    yield (
        "A word that is unknown is taken out of the text; what is left is answered by the model. "
        "All other columns stay as they are."
    )
    if split.run > 1:
        yield (
            f"The text has more different words than can be told apart, so runs of {split.run} "
            "words are taken out together."
        )


class _Game:
    """Shortened texts and the model's answers to them."""

    def __init__(
        self,
        subject: Subject,
        space: OutputSpace,
        row: Any,
        column: str,
        split: SplitText,
        work: Work,
    ) -> None:
        self._subject, self._space, self._row, self._column = subject, space, row, column
        self._split, self._work = split, work
        self.f = len(split.terms)
        self.exact = self.f <= MOST_EXACT
        self.n_texts = 0
        started = time.perf_counter()
        self._ends = self._answers(np.stack([np.zeros(self.f, bool), np.ones(self.f, bool)]))
        self._each = (time.perf_counter() - started) / 2

    def known(self, full: bool) -> FloatArray:
        """`(k,)` the answer to no words, or to all."""
        answer: FloatArray = self._ends[int(full)]
        return answer

    def solved(
        self, seconds: float, rng: np.random.Generator, level: float
    ) -> tuple[FloatArray, FloatArray]:
        """Values and standard errors, `(n_terms, k)`."""
        if self.f == 1:
            values = (self._ends[1] - self._ends[0])[None]
        elif self.exact:
            values = shapley(self._answers(all_coalitions(self.f)))
        else:
            return self._sampled(seconds, rng, level)
        return values, np.zeros_like(values)

    def _sampled(
        self, seconds: float, rng: np.random.Generator, level: float
    ) -> tuple[FloatArray, FloatArray]:
        texts = 2 * (self.f - 1)  # of one order, both ways
        started = time.perf_counter()
        first = self._draw(rng)
        each = time.perf_counter() - started
        if each * FEWEST_ORDERS > 10 * seconds:
            raise NotApplicable(
                f"The model takes {each / texts:.2g} s a text, too long for the "
                f"{FEWEST_ORDERS * texts:,} shortened texts that its words need at least."
            )
        wanted = min(MOST_ORDERS, BUDGET // texts, int(seconds / max(each, 1e-9)))
        orders = max(FEWEST_ORDERS, wanted)
        draws = [first]
        while len(draws) < orders:
            draws.append(self._draw(rng))
            self._work.progress(len(draws), orders, "Taking words out of the text")
        return stratified_mean(np.stack(draws), np.zeros(orders, dtype=np.int64), level=level)

    def _draw(self, rng: np.random.Generator) -> FloatArray:
        """`(n_terms, k)` what each term adds in one random order, forwards and backwards."""
        order = rng.permutation(self.f)
        rank = np.empty(self.f, dtype=np.int64)
        rank[order] = np.arange(self.f)
        forwards = rank < np.arange(1, self.f)[:, None]
        answers = self._answers(np.concatenate([forwards, ~forwards]))
        added = np.zeros((self.f, answers.shape[1]))
        there, back = answers[: self.f - 1], answers[self.f - 1 :]
        empty, full = self._ends
        added[order] += np.diff(np.concatenate([empty[None], there, full[None]]), axis=0)
        # without the first s of the order: what is taken out next leaves this much less
        added[order] -= np.diff(np.concatenate([full[None], back, empty[None]]), axis=0)
        return added / 2

    def _answers(self, present: npt.NDArray[np.bool_]) -> FloatArray:
        """`(m, k)` the model's answers to the text with only some of its terms."""
        found = []
        for start in range(0, len(present), CHUNK):
            self._work.check()
            part = present[start : start + CHUNK]
            texts = [self._split.without(mask) for mask in part]
            rows = _with_text(self._row, self._column, texts)
            found.append(self._subject.answer(rows, self._space))
        self.n_texts += len(present)
        answers = np.concatenate(found)
        if not np.isfinite(answers).all():
            raise NotApplicable("The model gives no number for some of the shortened texts.")
        return answers


# ---- where the text is -----------------------------------------------------------------------


def _text(row: Any, column: str) -> str:
    cell = row[column].iloc[0] if isinstance(row, pd.DataFrame) else np.ravel(row)[0]
    return "" if cell is None or (isinstance(cell, float) and np.isnan(cell)) else str(cell)


def _with_text(row: Any, column: str, texts: list[str]) -> Any:
    """The row once for each text, with the text in its column."""
    if isinstance(row, pd.DataFrame):
        rows = row.iloc[np.zeros(len(texts), dtype=np.int64)].reset_index(drop=True)
        return rows.assign(**{column: pd.Series(texts, dtype="object")})
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array.reshape(len(texts), *np.shape(row)[1:])


def _column(model: Model, subject: Subject, row: Any, wanted: str) -> str:
    """The column whose words are taken out: the wanted one, or the longest that is read as text.

    Raises
    ------
    NotApplicable : the model reads no column word by word.
    """
    names = subject.features
    texts = [name for name in names if isinstance(_cell(row, name), str)]
    read = _read_as_text(model, names)
    if read is None:  # nobody knows; categories are short
        read = [name for name in texts if len(split_text(_text(row, name)).spans) >= FREE_TEXT]
    found = [name for name in texts if name in read]
    if wanted in found:
        return wanted
    if wanted or not found:
        raise NotApplicable(
            f"The model does not read {wanted} word by word."
            if wanted
            else "The model reads no text of this row word by word."
        )
    return max(found, key=lambda name: len(_text(row, name)))


def _cell(row: Any, name: str) -> Any:
    return row[name].iloc[0] if isinstance(row, pd.DataFrame) else np.ravel(row)[0]


def _read_as_text(model: Model, names: tuple[str, ...]) -> list[str] | None:
    """The columns that go through a vectoriser; None where that cannot be seen."""
    if isinstance(model, EstimatorModel):
        return _vectorised(model.estimator, list(names))
    if isinstance(model, KerasModel):
        kinds = {type(layer).__name__ for layer in _deep_layers(model.network)}
        return None if "TextVectorization" in kinds else []
    return None


def _deep_layers(network: Any) -> Iterator[Any]:
    for layer in getattr(network, "layers", ()):
        yield layer
        yield from _deep_layers(layer)


# Where a search or a threshold keeps the one fitted estimator inside, or the steps in order.
_INSIDE = ("best_estimator_", "estimator_", "regressor_", "estimator")


def _vectorised(estimator: Any, names: list[str]) -> list[str]:
    """Of the columns `names` that a step is given, those that it splits into words."""
    if callable(getattr(estimator, "build_analyzer", None)):
        return names if len(names) == 1 else []
    steps = getattr(estimator, "steps", None)
    if isinstance(steps, list):
        real = [step for _, step in steps if step is not None and not isinstance(step, str)]
        return _vectorised(real[0], names) if real else []
    union = getattr(estimator, "transformer_list", None)
    if isinstance(union, list):
        found = [_vectorised(step, names) for _, step in union]
        return next((one for one in found if one), [])
    parts = getattr(estimator, "transformers_", None)
    if isinstance(parts, list):
        return [name for _, step, cols in parts for name in _vectorised(step, _named(cols, names))]
    for name in _INSIDE:
        if getattr(estimator, name, None) is not None:
            return _vectorised(getattr(estimator, name), names)
    return []


def _named(columns: Any, names: list[str]) -> list[str]:
    """Names of the columns that one part of a ColumnTransformer is given."""
    listed = [columns] if isinstance(columns, str | int) else columns
    if not isinstance(listed, list | np.ndarray | pd.Index):
        return []
    found = [
        names[int(one)] if isinstance(one, int | np.integer) and 0 <= one < len(names) else str(one)
        for one in listed
    ]
    return [name for name in found if name in names]


# ---- the parent's side -----------------------------------------------------------------------


def word_values(
    model: Model,
    rows: Any,
    row: int,
    asked: Asked,
    *,
    name: str,
    space: str = "auto",
    column: str = "",
    random_state: int = 0,
    seconds: float = SECONDS,
    level: float = 0.95,
    kept: KeptParts | None = None,
) -> WordExplanation:
    """What each word of one text adds to the model's answer for row `row` of `rows`.

    Parameters
    ----------
    rows : the evaluated rows as the model is given them (`evaluation.rows_for`).
    column : the one whose words are taken out; "" is the longest one that is read word by word.
    kept : where the answer is looked for first, and kept.

    Raises
    ------
    NotApplicable, ModelError : see `take_words`.
    """
    told = {
        "row": int(row),
        "column": column,
        "asked": asked.to_json(),
        "space": space,
        "random_state": random_state,
        "seconds": seconds,
        "level": level,
    }

    def read(frame: Frame) -> WordExplanation:
        return replace(read_words(frame, rows, int(row), name), level=level)

    return ask(model, "words", told, {"X": rows}, read=read, array_bytes=64 << 20, kept=kept)


def read_words(frame: Frame, rows: Any, row: int, name: str) -> WordExplanation:
    """What a worker answered, checked against the text that is here.

    Raises
    ------
    FrameError : it is of another column or text, or no numbers.
    """
    told = frame.header
    column = plain_text(told.get("column"), 1 << 20)
    one = rows_at(rows, [row])
    if isinstance(one, pd.DataFrame) and column not in [str(known) for known in one.columns]:
        raise FrameError("The words are of a column that is not there.")
    split = split_text(_text(one, column))
    outputs = tuple(_labels(told.get("outputs")))
    notes, n_texts = told.get("notes"), told.get("n_texts")
    if not isinstance(notes, list) or type(n_texts) is not int or len(frame.arrays) != 4:
        raise FrameError("The explanation of the words is incomplete.")
    f, k = len(split.terms), len(outputs)
    for array, shape in zip(frame.arrays, [(f, k), (f, k), (k,), (k,)], strict=True):
        if array.shape != shape or array.dtype != np.float64 or not np.isfinite(array).all():
            raise FrameError("The explanation of the words is not of this text.")
    values, errors, base, predictions = frame.arrays
    return WordExplanation(
        model=name,
        row=row,
        column=column,
        split=split,
        values=values,
        errors=errors,
        base=base,
        predictions=predictions,
        output_names=outputs,
        space=read_space(told),
        exact=told.get("exact") is True,
        n_texts=n_texts,
        notes=tuple(plain_text(note, LONGEST_NAME) for note in notes[:20]),
    )


def _labels(told: Any) -> Iterator[Label]:
    for value in untag_values(told, LONGEST_NAME):
        label = canonical_label(value)
        if label is None:
            raise FrameError("An output of the words has no name.")
        yield label
