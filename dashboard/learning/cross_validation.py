"""Cross-validation of one model: every fold's scores, and its answers for rows it never saw."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Label, Model, Predictions, RawPredictions, ScoreKind, Target, Task
from ..data import EvalSet, PredictionColumns, Table
from ..diagnostics.folds import FoldScores
from ..diagnostics.metrics import find_metric
from ..errors import DiagnosticsError, NotApplicable, ParameterError
from ..explainers.staging import BlockStore
from ..importance.measuring import metric_for
from ..settings import get_settings
from ..wording import count, listing, plural
from .folding import Folds, choose_folds
from .lanes import Fit, FitOptions, Request, Turn, fits_in_lanes, refit_of
from .reasons import counted_reasons
from .sizes import fitted_metrics

__all__ = ["CrossValidation", "FoldOptions", "OutOfFold", "cross_validation_in_stages"]

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class FoldOptions:
    """How a model is cross-validated.

    Attributes
    ----------
    metric : what is drawn; None = the usual one of the task.
    n_splits, n_repeats, seed, kind : as for `choose_folds`.
    epochs, batch_size : of networks; None = what is proposed.
    lanes : fits at a time; 0 = as many as there are processors, at most two.
    """

    metric: str | None = None
    n_splits: int = 5
    n_repeats: int = 1
    seed: int = 0
    kind: str = "auto"
    epochs: int | None = None
    batch_size: int | None = None
    lanes: int = 0


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


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """One model in every fold, as far as it is done.

    Attributes
    ----------
    model : its display name; metric : the one that is drawn; metrics : all that were measured.
    fits : one for each fold, None where it is still to come.
    """

    model: str
    metric: str
    metrics: tuple[str, ...]
    folds: Folds
    fits: tuple[Fit | None, ...]
    n_given: int

    @property
    def is_complete(self) -> bool:
        return None not in self.fits

    def scores(self, metric: str | None = None) -> FoldScores:
        """Every fold in one metric; in the drawn one where none is named.

        Raises
        ------
        ParameterError : a metric that was not measured.
        """
        chosen = find_metric(metric or self.metric)
        if chosen.name not in self.metrics:
            raise ParameterError(
                f"{chosen.title} was not measured in these folds; there are "
                f"{listing(self.metrics, 9)}."
            )
        at = self.metrics.index(chosen.name)
        pairs, fits = self.folds.pairs, self.fits
        failures = [_why(fit, chosen.name) for fit in fits]
        return FoldScores(
            model=self.model,
            metric=chosen.name,
            title=chosen.title,
            larger_is_better=chosen.orientation == "higher",
            train=np.array([np.nan if fit is None else fit.train[at] for fit in fits]),
            validation=np.array([np.nan if fit is None else fit.validation[at] for fit in fits]),
            fit_seconds=np.array([np.nan if fit is None else fit.fit_seconds for fit in fits]),
            n_train=np.array([len(fold.train) for fold in pairs], dtype=np.int64),
            n_validation=np.array([len(fold.validation) for fold in pairs], dtype=np.int64),
            repeats=np.array([fold.repeat for fold in pairs], dtype=np.int64),
            failures=tuple(failures),
            folds=self.folds.reason,
            digest=self.folds.digest(),
            n_given=self.n_given,
            n_done=sum(fit is not None for fit in fits),
            n_fits=len(fits),
            notes=self._notes(failures),
        )

    def _notes(self, failures: list[str]) -> tuple[str, ...]:
        failed = [
            f"{count(n)} of {plural(len(failures), 'fold')} {'has' if n == 1 else 'have'} no "
            f"score: {why}"
            for why, n in counted_reasons(failures).items()
        ]
        told = dict.fromkeys(note for fit in self.fits if fit is not None for note in fit.notes)
        return (*failed, *self.folds.notes, *told)

    def out_of_fold(self, evalset: EvalSet) -> OutOfFold:
        """Each row's answer by the fit that did not see it, of the first repetition.

        Raises
        ------
        NotApplicable : no fold has answers yet.
        """
        done = [
            (fold, fit.answers)
            for fold, fit in zip(self.folds.pairs, self.fits, strict=True)
            if fold.repeat == 0 and fit is not None and fit.answers is not None
        ]
        if not done:
            raise NotApplicable(f"No fold of {self.model} has answers yet. Wait for the first fit.")
        gathered = _Gathered(evalset.target.known_to([answers for _, answers in done]))
        for fold, answers in done:
            gathered.add(fold.validation, answers, self.model)
        return OutOfFold(self.model, *gathered.result(self._how()))

    def _how(self) -> list[str]:
        notes = [
            f"Out of fold: each row is answered by a fit that never saw it. {self.folds.reason}"
        ]
        if self.folds.n_repeats > 1:
            notes.append(f"Of {self.folds.n_repeats} repetitions the first is taken.")
        return notes


def _why(fit: Fit | None, metric: str) -> str:
    return "" if fit is None else fit.failure or fit.reasons.get(metric, "")


class _Gathered:
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


def cross_validation_in_stages(
    model: Model,
    evalset: EvalSet,
    name: str,
    options: FoldOptions | None = None,
    *,
    folds: Folds | None = None,
    store: BlockStore | None = None,
    turn: Turn = nullcontext,
) -> Iterator[CrossValidation]:
    """One model in every fold, told anew after each fit.

    Parameters
    ----------
    evalset, folds, store, turn : as for `size_curve_in_stages`.

    Yields
    ------
    CrossValidation : with what the store had at first; the last one is complete.

    Raises
    ------
    NotApplicable : the model cannot be fitted again, or no fold succeeded; with the reason.
    ParameterError : folds or a metric that do not fit the rows.
    WorkCancelled : the watcher stopped it; finished fits stay in the store.
    """
    options = options or FoldOptions(seed=get_settings().random_state)
    task = evalset.target.task
    metric, names = metric_for(options.metric, task), fitted_metrics(options.metric, task)
    refit = refit_of(model, name)
    if not refit.can:
        raise NotApplicable(f"{name} cannot be fitted again. {refit.reason}")
    folds = folds or choose_folds(
        evalset, options.n_splits, options.n_repeats, options.seed, kind=options.kind
    )
    told = FitOptions(
        metrics=names,
        seed=options.seed,
        answers=True,
        epochs=options.epochs,
        batch_size=options.batch_size,
        lanes=options.lanes,
    )
    requests = [Request(fold) for fold in folds.pairs]
    done: dict[int, Fit] = {}
    for place, fit in fits_in_lanes(model, evalset, name, requests, told, store=store, turn=turn):
        done[place] = fit
        if not fit.kept or len(done) == len(requests):
            fits = tuple(done.get(k) for k in range(len(requests)))
            yield CrossValidation(name, metric.name, names, folds, fits, evalset.n)
