"""What fits in stages share: how rows are divided, how they begin, how scores are gathered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from ..contracts import Model, Task
from ..data import EvalSet
from ..diagnostics.metrics import METRICS, Metric
from ..errors import NotApplicable
from ..importance.measuring import metric_for
from ..sandbox.processes import WorkCancelled
from ..wording import count
from .folding import Folds, choose_folds
from .lanes import Fit, FitOptions, Refit, refit_of
from .reasons import counted_reasons

__all__ = ["Beginning", "FoldChoices", "Growing", "begin", "fitted_metrics", "last_of"]

T = TypeVar("T")

MOST_NOTES = 8


@dataclass(frozen=True, kw_only=True)
class FoldChoices:
    """How rows are divided and models fitted, whatever is varied.

    Attributes
    ----------
    n_splits, n_repeats, seed, kind : as for `choose_folds`.
    epochs, batch_size : of networks; None = what is proposed.
    patience : of networks: epochs without gain before it stops; 0 = never.
    lanes : fits at a time; 0 = as many as there are processors, at most two.
    """

    n_splits: int = 5
    n_repeats: int = 1
    seed: int = 0
    kind: str = "auto"
    epochs: int | None = None
    batch_size: int | None = None
    patience: int = 0
    lanes: int = 0

    def divided(self, evalset: EvalSet) -> Folds:
        """The folds that are asked for."""
        return choose_folds(evalset, self.n_splits, self.n_repeats, self.seed, kind=self.kind)

    def told(self, metrics: tuple[str, ...], *, answers: bool = False) -> FitOptions:
        """The same as every fit is told it."""
        return FitOptions(
            metrics=metrics,
            seed=self.seed,
            answers=answers,
            epochs=self.epochs,
            batch_size=self.batch_size,
            patience=self.patience,
            lanes=self.lanes,
        )


def fitted_metrics(metric: str | None, task: Task) -> tuple[str, ...]:
    """What every fit is scored by: the headline metrics of the task, and the one that is asked.

    So that another one of them can be drawn without fitting anew.

    Raises
    ------
    ParameterError : no such metric.
    NotApplicable : a metric without one number for the whole.
    """
    usual = [
        name
        for name, one in METRICS.items()
        if one.headline and one.has_overall(task) and one.base != "support"
    ]
    more = (metric_for(None, task).name, metric_for(metric, task).name)
    return tuple(dict.fromkeys((*usual, *more)))


@dataclass(frozen=True, eq=False)
class Beginning:
    """One model before its first fit.

    Attributes
    ----------
    metric : what is drawn; metrics : all that every fit is scored by.
    refit : how it is fitted again; told : what every fit is told.
    """

    name: str
    evalset: EvalSet
    metric: Metric
    metrics: tuple[str, ...]
    refit: Refit
    folds: Folds
    told: FitOptions


def begin(
    model: Model,
    evalset: EvalSet,
    name: str,
    metric: str | None,
    options: FoldChoices,
    folds: Folds | None,
    *,
    answers: bool = False,
) -> Beginning:
    """The metric, the folds and how the model is fitted again.

    Raises
    ------
    NotApplicable : the model cannot be fitted again, with the reason.
    ParameterError : folds or a metric that do not fit the rows.
    """
    task = evalset.target.task
    drawn, metrics = metric_for(metric, task), fitted_metrics(metric, task)
    refit = refit_of(model, name)
    if not refit.can:
        raise NotApplicable(f"{name} cannot be fitted again. {refit.reason}")
    folds = folds or options.divided(evalset)
    told = options.told(metrics, answers=answers)
    return Beginning(name, evalset, drawn, metrics, refit, folds, told)


class Growing:
    """The scores of one model while its fits come in: `(k, f)` for what is varied and the folds.

    Requests are in the order of the folds, in each fold one for each of the `k`.
    """

    def __init__(self, begun: Beginning, k: int) -> None:
        self.begun = begun
        self._column = begun.metrics.index(begun.metric.name)
        self._scores = {
            name: np.full((k, len(begun.folds)), np.nan)
            for name in ("train", "validation", "fit_seconds")
        }
        self._told: dict[str, None] = {}
        self.failed: dict[int, list[str]] = {}
        self.n_done = 0

    def add(self, place: int, fit: Fit) -> None:
        """One fit, by its place among the requests."""
        fold, at = divmod(place, len(self._scores["train"]))
        self.n_done += 1
        self._scores["train"][at, fold] = fit.train[self._column]
        self._scores["validation"][at, fold] = fit.validation[self._column]
        self._scores["fit_seconds"][at, fold] = fit.fit_seconds
        why = fit.failure or fit.reasons.get(self.begun.metric.name, "")
        if why:
            self.failed.setdefault(at, []).append(why)
        self._told.update(dict.fromkeys(fit.notes))

    @property
    def n_fits(self) -> int:
        return self._scores["train"].size

    def fields(self, failed: Sequence[str], left_out: Sequence[str] = ()) -> dict[str, Any]:
        """What curves of all kinds hold of what is known so far.

        `failed`, `left_out` : sentences on fits without a score, and on what was not fitted.
        """
        begun, metric = self.begun, self.begun.metric
        cut = len(failed) - MOST_NOTES
        more = [f"{count(cut)} more reasons for missing scores."] if cut > 0 else []
        said = (*failed[:MOST_NOTES], *more, *left_out, *begun.folds.notes, *self._told)
        return {
            "model": begun.name,
            "metric": metric.name,
            "title": metric.title,
            "larger_is_better": metric.orientation == "higher",
            **{name: values.copy() for name, values in self._scores.items()},
            "n_given": begun.evalset.n,
            "folds": begun.folds.reason,
            "n_done": self.n_done,
            "n_fits": self.n_fits,
            "notes": tuple(dict.fromkeys(said)),
        }

    def reasons(self) -> Iterable[tuple[str, int]]:
        """Why fits have no score, and how many share each reason."""
        return counted_reasons(why for many in self.failed.values() for why in many).items()


def last_of(stages: Iterator[T]) -> T:
    """The last stage; of work that was stopped the last one that there was.

    Raises
    ------
    WorkCancelled : it was stopped before the first.
    """
    last: list[T] = []
    try:
        for stage in stages:
            last[:] = [stage]
    except WorkCancelled:
        if not last:
            raise
    return last[0]
