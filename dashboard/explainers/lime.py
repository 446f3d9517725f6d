"""The operation "lime": neighbours of one row, the model's answers, a linear model of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ..contracts import Model, OutputSpace, Work
from ..diagnostics.local_surrogates import Fit, fit_surrogate, rule_of
from ..errors import ModelError, NotApplicable
from ..frames import Frame, FrameError, plain_text, tag_values, untag_values
from .answers import Asked
from .effects import LONGEST_NAME, read_space, space_of
from .mixing import Questions, Stock
from .pipelines import TRIED, answered_rows, known_subject, raw_rows, rows_at
from .subjects import FloatArray, IntArray, Subject

__all__ = ["SurrogateAnswers", "explain_row", "read_surrogates"]

CHUNK = 2_048
FEWEST = 50  # neighbours, and two for each feature


def explain_row(
    model: Model, tables: Mapping[str, Any], arguments: Mapping[str, Any], work: Work
) -> tuple[dict[str, Any], list[Any]]:
    """A linear model for each output, of one row of table "X".

    `arguments`: "row", "reference" (positions of the rows whose values neighbours take),
    "n_samples", "n_features", "random_state", "space", "asked", "seconds". Answers with `outputs`,
    `space`, `features`, `n`, and the arrays weights, errors `(f, k)`, and `(5, k)`: intercept,
    score, the linear model's answer, the model's, and what the neighbours' answers average.

    Raises
    ------
    NotApplicable : pictures and sequences; a model that is too slow for enough neighbours.
    """
    X = tables["X"]
    subject = known_subject(model, X[:TRIED], Asked.from_json(arguments["asked"]))
    if subject.cell_shape is not None:
        raise NotApplicable(
            "LIME is offered for rows of a table; this model reads pictures or sequences."
        )
    space = space_of(subject, str(arguments["space"]))
    reference = np.asarray(arguments["reference"], dtype=np.int64)
    questions = Questions(subject, space, work)
    questions.asked_about = "neighbours of the row"
    asked = partial(_ask, questions, X, arguments, work)
    notes: tuple[str, ...] = ()
    try:
        part, at, answers = asked(reference)
    except NotApplicable:  # perhaps rows lend values that the model knows in none
        if not _is_answered(subject, space, raw_rows(subject, rows_at(X, [arguments["row"]]))):
            raise NotApplicable(
                "The model gives no number for this row, so there is nothing to explain. Choose "
                "another row."
            ) from None
        answered = answered_rows(subject, raw_rows(subject, rows_at(X, reference)), space)
        if len(answered) in (0, len(reference)):
            raise
        notes = (
            f"Neighbours take their values from {len(answered):,} of {len(reference):,} rows: the "
            "model gives no number for the others.",
        )
        part, at, answers = asked(reference[answered])
    same = _same_bins(part, subject, at[: len(answers)])
    fits = [fit_surrogate(same, each, int(arguments["n_features"])) for each in answers.T]
    header = {
        "outputs": tag_values(subject.output_names),
        "features": list(subject.features),
        "space": space.value,
        "n": len(answers),
        "notes": [*subject.notes, *notes, *questions.notes()],
    }
    return header, _arrays(fits, answers)


def _ask(
    questions: Questions, X: Any, arguments: Mapping[str, Any], work: Work, reference: IntArray
) -> tuple[Any, IntArray, FloatArray]:
    """The row and those that lend values, the neighbours' places among them, and their answers."""
    subject = questions.subject
    part = raw_rows(subject, rows_at(X, np.concatenate([[int(arguments["row"])], reference])))
    rng = np.random.default_rng(int(arguments["random_state"]))
    at = _neighbours(len(reference), len(subject.features), int(arguments["n_samples"]), rng)
    stock = Stock(part, subject.features)
    return part, at, _answers(questions, stock, at, float(arguments["seconds"]), work)


def _is_answered(subject: Subject, space: OutputSpace, row: Any) -> bool:
    try:
        return len(answered_rows(subject, row, space)) == 1
    except ModelError:
        return False


def _neighbours(n_reference: int, f: int, n: int, rng: np.random.Generator) -> IntArray:
    """`(n, f)` places in the stock: the row itself first, then each feature drawn on its own."""
    at: IntArray = rng.integers(1, n_reference + 1, size=(n, f))
    at[0] = 0
    return at


def _answers(
    questions: Questions, stock: Stock, at: IntArray, seconds: float, work: Work
) -> FloatArray:
    found: list[FloatArray] = []
    began, start, step = time.perf_counter(), 0, 16
    least = min(len(at), max(FEWEST, 2 * at.shape[1]))
    while start < len(at):
        part = at[start : start + step]
        found.append(questions.ask(stock, part, np.zeros(len(part), dtype=np.int64)))
        start, step = start + len(part), min(CHUNK, step * 4)
        work.progress(start, len(at), "Asking the model about neighbours of the row")
        spent = time.perf_counter() - began
        if spent > seconds and start >= least:
            break
        if spent * least / start > 10 * seconds:
            raise NotApplicable(
                f"The model takes {spent / start:.2g} s a row, too long for the {least:,} "
                "neighbours that LIME needs at least."
            )
        step = max(1, min(step, int(start / max(spent, 1e-9))))  # about a second
    return np.concatenate(found)


def _same_bins(part: Any, subject: Subject, at: IntArray) -> Any:
    """`(n, f)` which neighbours lie in the row's own bin of each feature."""
    same = np.empty(at.shape, dtype=bool)
    reference = np.arange(1, len(part))
    for j, name in enumerate(subject.features):
        column = part[name] if isinstance(part, pd.DataFrame) else pd.Series(part[:, j])
        codes = rule_of(column.reset_index(drop=True), name, 0, reference).codes
        same[:, j] = codes[at[:, j]] == codes[0]
    return same


def _arrays(fits: list[Fit], answers: FloatArray) -> list[FloatArray]:
    ends = [
        [fit.intercept, fit.score, fit.intercept + fit.weights.sum(), own, mean]
        for fit, own, mean in zip(fits, answers[0], answers.mean(axis=0), strict=True)
    ]
    return [
        np.stack([fit.weights for fit in fits], axis=1),
        np.stack([fit.errors for fit in fits], axis=1),
        np.array(ends).T,
    ]


class SurrogateAnswers:
    """What a worker answered, checked: names and numbers as `explain_row` gives them."""

    def __init__(self, frame: Frame, n_samples: int) -> None:
        header = frame.header
        self.outputs = tuple(untag_values(header.get("outputs"), LONGEST_NAME))
        features, notes, n = header.get("features"), header.get("notes"), header.get("n")
        if not isinstance(features, list) or not isinstance(notes, list) or len(frame.arrays) != 3:
            raise FrameError("The local explanation is incomplete.")
        if type(n) is not int or not 0 < n <= n_samples:
            raise FrameError("The local explanation comes without its number of neighbours.")
        self.n = n
        self.features = tuple(plain_text(name, 1 << 20) for name in features)
        self.notes = tuple(plain_text(note, LONGEST_NAME) for note in notes[:20])
        self.space = read_space(header)
        self.weights, self.errors, self.ends = frame.arrays
        f, k = len(self.features), len(self.outputs)
        shapes = [array.shape for array in frame.arrays]
        if shapes != [(f, k), (f, k), (5, k)]:
            raise FrameError("The local explanation has other shapes than was asked for.")
        for array in frame.arrays:
            if array.dtype != np.float64 or not np.isfinite(array).all():
                raise FrameError("The local explanation holds what is no number.")


def read_surrogates(n_samples: int) -> Any:
    """A reader for `ask`."""
    return lambda frame: SurrogateAnswers(frame, n_samples)
