"""Answers out of fold: each row's by a fit that never saw it, as others take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Label, Predictions, RawPredictions, ScoreKind, Target, Task
from ..data import EvalSet, PredictionColumns, Table
from ..errors import DiagnosticsError
from ..wording import count, plural

__all__ = ["GatheredAnswers", "OutOfFold"]

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Answers for rows of the evaluation set, each by a fit that never saw it.

    Attributes
    ----------
    model : its display name.
    raw : one answer for each row of the evaluation set, in its order; missing where no fold
        judged a row. It goes wherever the answers of a model or of a prediction file go.
    covered : `(n,)` the rows with an answer.
    notes : how it was made, "n of N" rows.
    """

    model: str
    raw: RawPredictions
    covered: Bools
    notes: tuple[str, ...] = ()

    def predictions(self, evalset: EvalSet, name: str | None = None) -> Predictions:
        """The answers beside the truth.

        Raises
        ------
        PredictionError : another evaluation set than the folds'.
        """
        return Predictions.normalise(
            self.raw,
            evalset.target.known_to([self.raw]),
            name=name or f"{self.model} (out of fold)",
            sample_weight=evalset.sample_weight,
        )

    def frame(self, evalset: EvalSet) -> pd.DataFrame:
        """The answers as a prediction file: id where there is one, y_pred, y_score or proba_….

        One row for each row of the evaluation set.
        """
        said, scored = self._labels(evalset.target), self._scores(evalset.target)
        # of several labels a reader takes the first columns that are named after them
        held = {**scored, **said} if len(said) > 1 else {**said, **scored}
        if evalset.id is not None:
            held = {str(evalset.roles.id): evalset.id.to_numpy(), **held}
        return pd.DataFrame(held)

    def table(self, evalset: EvalSet) -> tuple[Table, PredictionColumns]:
        """The same as an uploaded prediction file is held: its table, and how it is read."""
        target = evalset.target
        said, scored = list(self._labels(target)), list(self._scores(target))
        classes = list(self.raw.classes or target.labels)[-len(scored) :]
        scores: dict[str, Label | None] = dict(zip(scored, classes, strict=False))
        labels: dict[str, Label] = {}
        if target.task is Task.MULTILABEL:
            labels = dict(zip(said, target.labels, strict=False))
        elif said and said != ["y_pred"]:
            scores = dict(zip(said, target.labels, strict=True))
        columns = PredictionColumns(
            label="y_pred" if said == ["y_pred"] else None,
            scores=scores,
            labels=labels,
            kind=self.raw.score_kind,
            notes=self.notes,
        )
        return Table.from_frame(f"{self.model} (out of fold)", self.frame(evalset)), columns

    def _labels(self, target: Target) -> dict[str, npt.NDArray[Any]]:
        if self.raw.labels is None:
            return {}
        values = np.asarray(self.raw.labels)
        if values.ndim == 1:
            return {"y_pred": values}
        return {f"pred_{name}": values[:, k] for k, name in enumerate(target.labels)}

    def _scores(self, target: Target) -> dict[str, npt.NDArray[Any]]:
        if self.raw.scores is None:
            return {}
        word = _WORDS.get(self.raw.score_kind or ScoreKind.PROBABILITY, "proba")
        scores = np.asarray(self.raw.scores).reshape(len(self.covered), -1)
        classes = list(self.raw.classes or target.labels)[-scores.shape[1] :]
        return {f"{word}_{name}": scores[:, k] for k, name in enumerate(classes)}


_WORDS = {ScoreKind.LOGIT: "logit", ScoreKind.DECISION: "decision"}


class GatheredAnswers:
    """Answers of several fits in the order of the evaluation set."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._labels: npt.NDArray[Any] | None = None
        self._scores: npt.NDArray[Any] | None = None
        self._kinds: list[ScoreKind] = []
        self._covered = np.zeros(target.n, dtype=bool)
        self._notes: dict[str, None] = {}

    def add(self, rows: npt.NDArray[np.int64], raw: RawPredictions, name: str) -> None:
        """The answers of one fit for its validation rows."""
        try:
            one = Predictions.normalise(raw, self._target.take(rows), name=name)
        except DiagnosticsError as error:
            self._notes[f"The answers of one fold do not fit: {error}"] = None
            return
        at = rows[one.rows]
        if one.y_pred is not None:
            self._labels = self._filled(self._labels, at, self._named(one.y_pred))
        if one.y_score is not None and one.score_kind is not None:
            self._scores = self._filled(self._scores, at, np.asarray(one.y_score, np.float64))
            self._kinds.append(one.score_kind)
        self._covered[at] = True
        self._notes.update(dict.fromkeys(one.notes))

    def _named(self, codes: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self._target.task in (Task.BINARY, Task.MULTICLASS):
            return np.array(self._target.labels, dtype=object)[codes.astype(np.int64)]
        return codes.astype(np.float64)

    def _filled(
        self, held: npt.NDArray[Any] | None, at: npt.NDArray[np.int64], found: npt.NDArray[Any]
    ) -> npt.NDArray[Any]:
        if held is None:
            empty = None if found.dtype == object else np.nan
            held = np.full((self._target.n, *found.shape[1:]), empty, dtype=found.dtype)
        held[at] = found
        return held

    def result(self, notes: list[str]) -> tuple[RawPredictions, Bools, tuple[str, ...]]:
        """One set of answers; scores of folds that mean different things are left out."""
        target, n = self._target, int(self._covered.sum())
        if n < target.n:
            notes.append(
                f"{count(n)} of {plural(target.n, 'row')} have an answer; no finished fold judges "
                "the others."
            )
        kinds = set(self._kinds)
        scores = self._scores if len(kinds) == 1 else None
        if len(kinds) > 1:
            notes.append("Scores of the folds differ in kind and were left out.")
        if kinds & {ScoreKind.DECISION}:
            notes.append("Decision values of different fits need not have the same scale.")
        classes: tuple[object, ...] | None = target.labels or None
        if target.task is Task.BINARY and target.pos_label is not None:
            classes = (target.labels[target.pos_label],)
        notes.extend(self._notes)
        raw = RawPredictions(
            labels=self._labels,
            scores=scores,
            classes=classes if scores is not None else None,
            score_kind=kinds.pop() if scores is not None else None,
            notes=tuple(notes),
        )
        return raw, self._covered, tuple(notes)
