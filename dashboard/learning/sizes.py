"""Curves by training size: each model fitted anew on growing parts of the same folds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import Model, Task
from ..data import EvalSet
from ..diagnostics.metrics import METRICS, Metric
from ..diagnostics.size_curves import SizeCurve
from ..errors import DiagnosticsError, NotApplicable, ParameterError
from ..evaluation import Failure, as_evalset, as_model, named, read_helpers
from ..explainers.staging import BlockStore
from ..importance.measuring import metric_for
from ..sandbox.processes import WorkCancelled
from ..settings import Settings, get_settings
from ..wording import count, listing, plural
from .folding import Folds, choose_folds
from .lanes import Fit, FitOptions, Refit, Request, Turn, fits_in_lanes, refit_of
from .together import can_be_together, fits_together

__all__ = [
    "SizeCurves",
    "SizeOptions",
    "chosen_sizes",
    "fitted_metrics",
    "learning",
    "size_curve_in_stages",
    "size_requests",
]

Ints = npt.NDArray[np.int64]

LEAST_ROWS = 20  # of the smallest size that is chosen here
MOST_NOTES = 8


@dataclass(frozen=True)
class SizeOptions:
    """How a curve by training size is made.

    Attributes
    ----------
    metric : what is drawn; None = the usual one of the task. It ranks where it can.
    sizes : rows (whole numbers) or shares of the smallest fold's training rows (0 to 1);
        empty = `n_sizes` of them, each larger than the last by the same factor.
    n_splits, n_repeats, seed, kind : as for `choose_folds`.
    epochs, batch_size : of networks; None = what is proposed.
    lanes : fits at a time; 0 = as many as there are processors, at most two.
    """

    metric: str | None = None
    sizes: tuple[float, ...] = ()
    n_sizes: int = 6
    n_splits: int = 5
    n_repeats: int = 1
    seed: int = 0
    kind: str = "auto"
    epochs: int | None = None
    batch_size: int | None = None
    lanes: int = 0


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


def _directed(name: str | None, task: Task) -> Metric:
    """The metric of this name, or the usual one; one of which more or less is better.

    Raises
    ------
    NotApplicable : one that is best at zero.
    """
    metric = metric_for(name, task)
    if metric.orientation == "zero":
        raise NotApplicable(
            f"{metric.title} is best at zero, so a curve of it does not rise or fall towards "
            "better; choose another metric."
        )
    return metric


def chosen_sizes(options: SizeOptions, n_train: int) -> tuple[int, ...]:
    """Numbers of rows, increasing, the last one at most `n_train`.

    Raises
    ------
    ParameterError : none of the sizes is within the rows.
    """
    if not options.sizes:
        least = min(max(LEAST_ROWS, n_train // 20), n_train)
        spread = np.geomspace(least, n_train, max(1, options.n_sizes))
        return tuple(int(size) for size in np.unique(np.round(spread).astype(np.int64)))
    rows = [_rows(size, n_train) for size in options.sizes]
    found = sorted({size for size in rows if 1 <= size <= n_train})
    if not found:
        raise ParameterError(
            f"The sizes {listing([f'{size:g}' for size in options.sizes], 6)} are not within the "
            f"{plural(n_train, 'row')} that every fold can learn from. Choose smaller ones, or "
            "shares above 0 and up to 1."
        )
    return tuple(found)


def _too_large(options: SizeOptions, n_train: int) -> tuple[str, ...]:
    """What is said of the sizes that not every fold has rows for."""
    large = [size for size in options.sizes if not 1 <= _rows(size, n_train) <= n_train]
    if not large:
        return ()
    verb = "is" if len(large) == 1 else "are"
    return (
        f"{listing([f'{size:g}' for size in large], 6)} {verb} not within the "
        f"{plural(n_train, 'row')} that every fold can learn from and {verb} left out.",
    )


def _rows(size: float, n_train: int) -> int:
    """A share is of all, a whole number is itself; 1 is all where it is written 1.0."""
    if isinstance(size, float) and 0 < size <= 1:
        return int(size * n_train)  # as scikit-learn rounds
    return int(size)


def size_requests(folds: Folds, sizes: Sequence[int]) -> list[Request]:
    """Every size in the first fold, then in the next: a whole curve is there early."""
    return [Request(fold, size) for fold in folds.pairs for size in sizes]


def size_curve_in_stages(
    model: Model,
    evalset: EvalSet,
    name: str,
    options: SizeOptions | None = None,
    *,
    folds: Folds | None = None,
    store: BlockStore | None = None,
    turn: Turn = nullcontext,
) -> Iterator[SizeCurve]:
    """The curve of one model, drawn anew after each fit.

    Parameters
    ----------
    evalset : as for `choose_folds`.
    folds : the same for every model; None = chosen by the options.
    store : where finished fits are kept: a later run begins with what an earlier one had done.
    turn : gives what is entered for each fit.

    Yields
    ------
    SizeCurve : NaN where a fit is still to come or failed; first what the store had, at last all.

    Raises
    ------
    NotApplicable : the model cannot be fitted again, or no fit succeeded; with the reason.
    ParameterError : sizes, folds or a metric that do not fit the rows.
    WorkCancelled : the watcher stopped it; finished fits stay in the store.
    """
    options = options or SizeOptions(seed=get_settings().random_state)
    task = evalset.target.task
    metric = _directed(options.metric, task)
    names = fitted_metrics(options.metric, task)
    folds = folds or choose_folds(
        evalset, options.n_splits, options.n_repeats, options.seed, kind=options.kind
    )
    sizes = chosen_sizes(options, folds.n_train)
    _need(model, name)
    growing = _Growing(name, evalset, metric, names.index(metric.name), sizes, folds, options)
    growing.left_out = _too_large(options, folds.n_train)
    told = FitOptions(
        metrics=names,
        seed=options.seed,
        epochs=options.epochs,
        batch_size=options.batch_size,
        lanes=options.lanes,
    )
    requests = size_requests(folds, sizes)
    for place, fit in fits_in_lanes(model, evalset, name, requests, told, store=store, turn=turn):
        growing.add(place, fit)
        yield growing.curve()


def _need(model: Model, name: str) -> Refit:
    """How the model is fitted again.

    Raises
    ------
    NotApplicable : it cannot be.
    """
    refit = refit_of(model, name)
    if not refit.can:
        raise NotApplicable(f"{name} cannot be fitted again. {refit.reason}")
    return refit


class _Growing:
    """A curve while its fits come in."""

    def __init__(
        self,
        name: str,
        evalset: EvalSet,
        metric: Metric,
        column: int,
        sizes: tuple[int, ...],
        folds: Folds,
        options: SizeOptions,
    ) -> None:
        self._name, self._evalset, self._metric, self._column = name, evalset, metric, column
        self._sizes, self._folds, self._options = sizes, folds, options
        shape = (len(sizes), len(folds))
        self._train, self._validation = np.full(shape, np.nan), np.full(shape, np.nan)
        self._seconds = np.full(shape, np.nan)
        self._failed: dict[str, int] = {}
        self._told: dict[str, None] = {}
        self.n_done = 0
        self.left_out: tuple[str, ...] = ()

    def add(self, place: int, fit: Fit) -> None:
        """One fit, by its place among the requests."""
        fold, size = divmod(place, len(self._sizes))
        self.n_done += 1
        self._train[size, fold] = fit.train[self._column]
        self._validation[size, fold] = fit.validation[self._column]
        self._seconds[size, fold] = fit.fit_seconds
        why = fit.failure or fit.reasons.get(self._metric.name, "")
        if why:
            self._failed[why] = self._failed.get(why, 0) + 1
        self._told.update(dict.fromkeys(fit.notes))

    def curve(self) -> SizeCurve:
        """All that is known so far."""
        folds, metric = self._folds, self._metric
        return SizeCurve(
            model=self._name,
            metric=metric.name,
            title=metric.title,
            larger_is_better=metric.orientation == "higher",
            sizes=np.array(self._sizes, dtype=np.int64),
            train=self._train.copy(),
            validation=self._validation.copy(),
            fit_seconds=self._seconds.copy(),
            n_given=self._evalset.n,
            folds=folds.reason,
            independent=folds.n_splits,
            n_done=self.n_done,
            n_fits=self._train.size,
            notes=self._notes(),
        )

    def _notes(self) -> tuple[str, ...]:
        total = self._train.size
        failed = [
            f"{count(n)} of {count(total)} fits have no score: {why}"
            for why, n in self._failed.items()
        ]
        kept = [note for note in self._told if note not in failed]
        cut = max(0, len(failed) - MOST_NOTES)
        more = [f"{count(cut)} more reasons for missing scores."] if cut else []
        return (*failed[:MOST_NOTES], *more, *self.left_out, *self._folds.notes, *kept)


# ---- several models --------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class SizeCurves:
    """Several models on the same folds.

    Attributes
    ----------
    evalset, folds : the rows and how they were divided.
    curves : one for each model that could be fitted, in the order given.
    failures : the others, and why.
    """

    evalset: EvalSet
    folds: Folds
    curves: tuple[SizeCurve, ...]
    failures: tuple[Failure, ...] = ()


def learning(
    data: Any,
    y: Any = None,
    *,
    target: str | Sequence[str] | None = None,
    models: Any,
    options: SizeOptions | None = None,
    helpers: Sequence[str | Path] = (),
    store: BlockStore | None = None,
    settings: Settings | None = None,
    **roles: Any,
) -> SizeCurves:
    """Curves by training size of several models on the same folds.

    Parameters
    ----------
    data, y, target, models, helpers : as for `dashboard.evaluate`; of a table with a split
        column pass `split_value="all rows"`, and its test part is left alone.
    roles : passed on to the reader.

    Raises
    ------
    DataError : the data cannot be read or has no usable target.
    ParameterError : sizes, folds or a metric that do not fit the rows; no models.
    """
    settings = settings or get_settings()
    options = options or SizeOptions(seed=settings.random_state)
    evalset = as_evalset(data, y, target, **roles)
    asked: Mapping[str, Any] = named(models)
    if not asked:
        raise ParameterError("No models were given. Pass at least one.")
    folds = choose_folds(
        evalset, options.n_splits, options.n_repeats, options.seed, kind=options.kind
    )
    beside = read_helpers(helpers)
    failures: dict[str, Failure] = {}
    ready: dict[str, Model] = {}
    for name, item in asked.items():
        with _noted(name, failures):
            model = as_model(name, item, beside, settings)
            _need(model, name)
            ready[name] = model
    curves: dict[str, SizeCurve] = {}
    if ready and can_be_together(ready):
        curves = _fitted_together(ready, evalset, options, folds, failures)
    else:
        for name, model in ready.items():
            with _noted(name, failures):
                *_, curves[name] = size_curve_in_stages(
                    model, evalset, name, options, folds=folds, store=store
                )
    return SizeCurves(
        evalset,
        folds,
        tuple(curves[name] for name in asked if name in curves),
        tuple(failures[name] for name in asked if name in failures),
    )


@contextmanager
def _noted(name: str, failures: dict[str, Failure]) -> Iterator[None]:
    """One model's failure stops nobody else; what was asked wrongly does."""
    try:
        yield
    except (ParameterError, WorkCancelled):
        raise
    except DiagnosticsError as error:
        failures[name] = Failure(name, str(error))


def _fitted_together(
    models: Mapping[str, Model],
    evalset: EvalSet,
    options: SizeOptions,
    folds: Folds,
    failures: dict[str, Failure],
) -> dict[str, SizeCurve]:
    """The curves of estimators in memory."""
    task = evalset.target.task
    metric, names = _directed(options.metric, task), fitted_metrics(options.metric, task)
    sizes = chosen_sizes(options, folds.n_train)
    growing = {
        name: _Growing(name, evalset, metric, names.index(metric.name), sizes, folds, options)
        for name in models
    }
    told = FitOptions(metrics=names, seed=options.seed, lanes=options.lanes)
    good, why = set[str](), dict[str, str]()
    for place, fits in fits_together(models, evalset, size_requests(folds, sizes), told):
        for name, fit in fits.items():
            growing[name].add(place, fit)
            if fit.failure:
                why[name] = fit.failure
            else:
                good.add(name)
    for name in models:
        growing[name].left_out = _too_large(options, folds.n_train)
        if name not in good:
            failures[name] = Failure(name, f"{name} could not be fitted on any rows: {why[name]}")
    return {name: growing[name].curve() for name in models if name in good}
