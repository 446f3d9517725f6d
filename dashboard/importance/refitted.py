"""Drop-column importance: the model fitted again without each feature."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from ..contracts import Model
from ..data import EvalSet
from ..diagnostics.importance import Importance
from ..diagnostics.intervals import check_level
from ..diagnostics.metrics import Metric
from ..errors import ParameterError
from ..evaluation import rows_for
from ..explainers.asking import ask
from ..explainers.kept import BlockStore, KeptParts, parts_of
from ..explainers.ordering import digest_of
from ..explainers.permutation import truth
from ..frames import Frame
from ..sandbox.processes import tell_progress
from ..wording import count, number, plural
from .measuring import (
    Groups,
    change_of,
    check_arrays,
    grouped_features,
    metric_for,
    sampled_rows,
    worse,
)

__all__ = ["RefittingPlan", "drop_column_importance", "plan_refitting"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


SLOW = 2.0
"""Seconds of a fit from which on one tells enough."""


@dataclass(frozen=True)
class RefittingPlan:
    """What measuring by refitting would take.

    Attributes
    ----------
    fits, left : how many there are, and how many of them are not kept yet.
    seconds : for those that are left, by the time of one or two.
    n, n_given : rows used, of the rows there are.
    """

    fits: int
    left: int
    seconds: float
    n: int
    n_given: int


def plan_refitting(
    model: Model,
    evalset: EvalSet,
    metric: str | None = None,
    n_folds: int = 5,
    n_rows: int | None = 5_000,
    groups: Groups = None,
    random_state: int = 0,
    *,
    store: BlockStore | None = None,
    turn: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> RefittingPlan:
    """Fit once or twice, to know how long `drop_column_importance` would take.

    Raises
    ------
    NotApplicable, ModelError, ParameterError : as for `drop_column_importance`.
    """
    run = _Refitting(model, evalset, metric, n_folds, n_rows, groups, random_state, store, turn)
    took = 0.0
    for place, fold in run.todo()[:2]:  # the first fit pays for what the library loads
        took = run.fit(place, fold)
        if took > SLOW:
            break
    left = len(run.todo())
    return RefittingPlan(run.scores.size, left, took * left, len(run.at), evalset.n)


def drop_column_importance(
    model: Model,
    evalset: EvalSet,
    name: str,
    metric: str | None = None,
    n_folds: int = 5,
    n_rows: int | None = 5_000,
    groups: Groups = None,
    random_state: int = 0,
    *,
    level: float = 0.95,
    store: BlockStore | None = None,
    turn: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Importance:
    """How much worse the metric is when the model is fitted again without a feature.

    The model is fitted anew on folds of the evaluation rows, with and without each feature, and
    scored on the fold left out; its own training rows are not known here.

    Parameters
    ----------
    metric, n_rows, groups, store, turn : as for `permutation_importance`.
    n_folds : parts of the rows, alike in the target.

    Returns
    -------
    Importance : `values` are means over the folds, which `repeats` shows one by one. Intervals
        are of the corrected resampled t-test, since the folds share training rows
        (Nadeau and Bengio, Machine Learning 52 (2003) 239–281).

    Raises
    ------
    NotApplicable : the model cannot be fitted again, or the metric has no value in a fold.
    ParameterError : unknown metric or columns; fewer than two folds; fewer rows than folds.
    """
    check_level(level)
    run = _Refitting(model, evalset, metric, n_folds, n_rows, groups, random_state, store, turn)
    run.fit_all()
    return _dropped(run, name, level)


def _folds(evalset: EvalSet, at: Ints, n_folds: int, random_state: int) -> Ints:
    """`(n,)` fold of each row, alike in the target."""
    y = evalset.target.y[at]
    y = y if y.ndim == 1 else y.sum(axis=1)
    rng = np.random.default_rng(random_state)
    fold = np.empty(len(at), dtype=np.int64)
    fold[np.lexsort((rng.random(len(at)), y))] = np.arange(len(at)) % n_folds
    return fold


class _Refitting:
    """One model's fits: with every feature, then without each, on every fold."""

    def __init__(
        self,
        model: Model,
        evalset: EvalSet,
        metric: str | None,
        n_folds: int,
        n_rows: int | None,
        groups: Groups,
        random_state: int,
        store: BlockStore | None,
        turn: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        X = rows_for(model, evalset)
        self.features, self.notes = grouped_features(model, X, groups)
        self.at = sampled_rows(evalset, n_rows, random_state)
        if not 2 <= n_folds <= len(self.at):
            raise ParameterError(
                f"n_folds must be at least 2 and at most the {count(len(self.at))} rows, got "
                f"{n_folds}."
            )
        self.metric: Metric = metric_for(metric, evalset.target.task)
        self.model, self.evalset, self._turn = model, evalset, turn
        fold = _folds(evalset, self.at, n_folds, random_state)
        self._tables: dict[str, Any] = {"X": X, "y": evalset.target.y, "at": self.at, "fold": fold}
        if evalset.sample_weight is not None:
            self._tables["w"] = evalset.sample_weight
        told = (truth(evalset.target), self.metric.name, digest_of(self.at), digest_of(fold))
        self._kept: KeptParts = parts_of(store, model, evalset, "drop-column", *told)
        self._columns = [(), *(feature.columns for feature in self.features)]
        self.scores = np.full((len(self._columns), n_folds), np.nan)
        for place, columns in enumerate(self._columns):
            known = self._kept.recall(columns, lambda frame: _read_kept(frame, n_folds))
            self.scores[place] = np.nan if known is None else known

    def todo(self) -> list[tuple[int, int]]:
        """Fits that are neither done nor kept, the first ones with every feature."""
        return [(int(place), int(fold)) for place, fold in np.argwhere(np.isnan(self.scores))]

    def fit(self, place: int, fold: int) -> float:
        """One fit, and its score; kept with those of the other folds. Gives its seconds."""
        columns = self._columns[place]
        arguments = {
            "target": truth(self.evalset.target),
            "metric": self.metric.name,
            "columns": [list(columns)],
            "folds": [fold],
        }
        with self._turn():
            began = time.monotonic()
            score = ask(self.model, "drop_columns", arguments, self._tables, read=_read_refitted)
            took = time.monotonic() - began
        self.scores[place, fold] = score
        self._kept.keep(columns, {}, [self.scores[place]])
        return took

    def fit_all(self) -> None:
        todo = self.todo()
        began, total = time.monotonic(), self.scores.size
        for done, (place, fold) in enumerate(todo, start=1):
            self.fit(place, fold)
            left = (time.monotonic() - began) * (len(todo) - done) / done
            reached = total - len(todo) + done
            tell_progress(reached, total, f"{reached} of {total} fits, about {left:.0f} s left")


def _read_kept(frame: Frame, n_folds: int) -> Floats:
    check_arrays(frame.arrays, [(n_folds,)])
    return np.asarray(frame.arrays[0], dtype=np.float64)


def _read_refitted(frame: Frame) -> float:
    check_arrays(frame.arrays, [(1, 1)])
    return float(frame.arrays[0][0, 0])


def _dropped(run: _Refitting, name: str, level: float) -> Importance:
    scores, metric, evalset = run.scores, run.metric, run.evalset
    n_folds = scores.shape[1]
    repeats = worse(metric, scores[0], scores[1:])
    values = repeats.mean(axis=1)
    # a fold is 1/k of the rows and its training part the rest: 1/k + (1/k) / (1 - 1/k)
    correction = 1 / n_folds + 1 / (n_folds - 1)
    spread = (repeats - values[:, None]) * np.sqrt(correction * n_folds / (n_folds - 1))
    reach = stdtrit(n_folds - 1, (1 + level) / 2) * np.sqrt((spread**2).mean(axis=1))
    return Importance(
        model=name,
        method="drop-column",
        title="Drop-column importance",
        unit=change_of(metric),
        features=tuple(feature.name for feature in run.features),
        values=values,
        low=values - reach,
        high=values + reach,
        n=len(run.at),
        n_given=evalset.n,
        level=level,
        repeats=repeats,
        deviations=np.ascontiguousarray(spread.T),
        freedom=n_folds - 1,
        metric=metric.name,
        baseline=float(scores[0].mean()),
        warning=(
            "What a newly fitted model loses without the feature: near zero where others carry the "
            "same information. It is about the kind of model, not about this fitted one."
        ),
        notes=(
            f"Fitted again {count(scores.size)} times, on folds of {count(len(run.at))} of "
            f"{plural(evalset.n, 'row')}; with every feature {metric.title} is "
            f"{number(float(scores[0].mean()))}. A feature is taken away by giving it the same "
            "value in every row.",
            *run.notes,
        ),
    )
