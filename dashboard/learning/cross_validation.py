"""Cross-validation of one model: every fold's scores, and its answers for rows it never saw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np

from ..contracts import Model
from ..data import EvalSet
from ..diagnostics.folds import FoldScores
from ..diagnostics.metrics import find_metric
from ..errors import NotApplicable, ParameterError
from ..explainers.kept import BlockStore
from ..settings import get_settings
from ..wording import count, listing, number, plural
from .baselines import baseline_score
from .folding import Fold, Folds
from .lanes import Fit, Request, Turn, fits_in_lanes
from .out_of_fold import GatheredAnswers, OutOfFold
from .reasons import counted_reasons
from .stages import FoldChoices, begin

__all__ = [
    "CrossValidation",
    "FoldOptions",
    "OutOfFold",
    "cross_validation_in_stages",
    "fold_requests",
]


@dataclass(frozen=True)
class FoldOptions(FoldChoices):
    """How a model is cross-validated; the folds and the fits as in `FoldChoices`.

    Attributes
    ----------
    metric : what is drawn; None = the usual one of the task.
    """

    metric: str | None = None


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """One model in every fold, as far as it is done.

    Attributes
    ----------
    model : its display name; metric : the one that is drawn; metrics : all that were measured.
    fits : one for each fold, None where it is still to come.
    n_given : rows of the data.
    apart : a fit on all rows of the folds, judged on those that were kept apart; None where it is
        still to come, or where there are none.
    baselines : metric → the score of a model that looks at no feature.
    """

    model: str
    metric: str
    metrics: tuple[str, ...]
    folds: Folds
    fits: tuple[Fit | None, ...]
    n_given: int
    apart: Fit | None = None
    baselines: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        waiting = len(self.folds.apart) > 0 and self.apart is None
        return None not in self.fits and not waiting

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
        wanted = 1 if len(self.folds.apart) else 0
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
            n_done=sum(fit is not None for fit in (*fits, self.apart)),
            n_fits=len(fits) + wanted,
            notes=self._notes(failures, chosen.name),
            apart=np.nan if self.apart is None else float(self.apart.validation[at]),
            n_apart=len(self.folds.apart),
            baseline=self.baselines.get(chosen.name, np.nan),
        )

    def _notes(self, failures: list[str], metric: str) -> tuple[str, ...]:
        failed = [
            f"{count(n)} of {plural(len(failures), 'fold')} {'has' if n == 1 else 'have'} no "
            f"score: {why}"
            for why, n in counted_reasons(failures).items()
        ]
        told = dict.fromkeys(note for fit in self.fits if fit is not None for note in fit.notes)
        return (*failed, *self._of_apart(metric), *self.folds.notes, *told)

    def _of_apart(self, metric: str) -> list[str]:
        """What was done with the rows that no fold has."""
        if self.apart is None:
            return []
        rows = plural(len(self.folds.apart), "row")
        why = _why(self.apart, metric)
        if why:
            return [f"The {rows} kept apart have no score: {why}"]
        score = number(float(self.apart.validation[self.metrics.index(metric)]))
        return [
            f"Fitted on all {count(len(self.folds.rows))} rows of the folds, it was judged once on "
            f"the {rows} kept apart ({score}), to see whether they are like the others."
        ]

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
        gathered = GatheredAnswers(evalset.target.known_to([answers for _, answers in done]))
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

    Where the table has a test part, a fit on all other rows is judged on it at the end.

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
    begun = begin(model, evalset, name, options.metric, options, folds, answers=True)
    folds, metric = begun.folds, begun.metric.name
    base = baseline_score(evalset, metric, folds.rows)
    requests = fold_requests(folds)
    done: dict[int, Fit] = {}
    for place, fit in fits_in_lanes(
        model, evalset, name, requests, begun.told, store=store, turn=turn
    ):
        done[place] = fit
        if not fit.kept or len(done) == len(requests):
            yield CrossValidation(
                name,
                metric,
                begun.metrics,
                folds,
                tuple(done.get(k) for k in range(len(folds))),
                evalset.n,
                apart=done.get(len(folds)),
                baselines={} if base is None else {metric: base},
            )


def fold_requests(folds: Folds) -> list[Request]:
    """A fit for each fold; where rows are kept apart, a last one on all others, judged on these."""
    requests = [Request(fold) for fold in folds.pairs]
    if len(folds.apart):
        within = [np.concatenate([fold.train, fold.validation]) for fold in folds.pairs]
        requests.append(Request(Fold(np.unique(np.concatenate(within)), folds.apart)))
    return requests
