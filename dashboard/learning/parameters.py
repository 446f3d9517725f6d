"""Validation curves: a model fitted anew with other values of one parameter, on the same folds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from ..contracts import Model
from ..data import EvalSet
from ..diagnostics.metrics import Metric
from ..diagnostics.parameter_curves import ParameterCurve
from ..errors import NotApplicable, ParameterError
from ..explainers.staging import BlockStore
from ..importance.measuring import metric_for
from ..refitting.fits import Value
from ..wording import count, listing, plural
from .folding import Folds, choose_folds
from .lanes import Fit, FitOptions, Refit, Request, Turn, fits_in_lanes, refit_of
from .reasons import counted_reasons
from .sizes import fitted_metrics

__all__ = [
    "ParameterOptions",
    "parameter_curve_in_stages",
    "suggested_values",
    "tunable_parameters",
]

MOST_VALUES = 100
MOST_NOTES = 8
# What changes nothing, or only how fast and how loudly a model is fitted.
_NO_TUNING = (
    "verbose",
    "verbosity",
    "n_jobs",
    "thread_count",
    "random_state",
    "seed",
    "random_seed",
    "copy",
    "copy_X",
    "memory",
    "warm_start",
    "missing",
    "allow_writing_files",
    "enable_categorical",
    "importance_type",
    "device",
    "silent",
    "cache_size",
    "max_cat_to_onehot",
)
_SHARES = ("subsample", "colsample", "dropout", "l1_ratio", "momentum", "max_samples", "fraction")


@dataclass(frozen=True)
class ParameterOptions:
    """How a curve by parameter is made.

    Attributes
    ----------
    parameter : as `set_params` takes it: "max_depth", "logisticregression__C".
    values : what is tried, numbers by size; empty = what `suggested_values` proposes.
    metric : what is drawn; None = the usual one of the task.
    n_splits, n_repeats, seed, kind : as for `choose_folds`.
    epochs, batch_size : of networks; None = what is proposed.
    lanes : fits at a time; 0 = as many as there are processors, at most two.
    """

    parameter: str
    values: tuple[Value, ...] = ()
    metric: str | None = None
    n_splits: int = 5
    n_repeats: int = 1
    seed: int = 0
    kind: str = "auto"
    epochs: int | None = None
    batch_size: int | None = None
    lanes: int = 0


def tunable_parameters(refit: Refit) -> dict[str, Value]:
    """The parameters that can be varied, with the model's own values; the usual ones first.

    Left out: threads, seeds, loudness, and the settings of a step that are no plain values.
    """
    known = {
        name: value
        for name, value in refit.parameters.items()
        if name.rpartition("__")[2] not in _NO_TUNING
    }
    return dict(sorted(known.items(), key=lambda item: (_unlikely(*item), item[0])))


_USUAL = (
    ("C", "alpha", "max_depth", "n_neighbors", "learning_rate", "n_estimators", "num_leaves"),
    ("min_samples_leaf", "max_leaf_nodes", "max_features", "max_iter", "gamma", "l1_ratio"),
    ("subsample", "reg_lambda", "reg_alpha", "degree", "min_samples_split", "ccp_alpha"),
)


def _unlikely(name: str, value: Value) -> int:
    bare = name.rpartition("__")[2]
    place = next((k for k, names in enumerate(_USUAL) if bare in names), len(_USUAL))
    return place + (value is None or isinstance(value, (bool, str))) * (place == len(_USUAL))


def suggested_values(parameter: str, current: Value) -> tuple[Value, ...]:
    """A first range around the model's own value; empty where only a person can say.

    Counts and rates in equal ratios, shares in equal steps; truth values both.
    """
    bare = parameter.rpartition("__")[2]
    if isinstance(current, bool):
        return (False, True)
    if bare in ("max_depth", "max_leaf_nodes", "depth"):
        found: tuple[Value, ...] = (1, 2, 3, 5, 8, 13)
        if bare == "max_leaf_nodes":
            found = (2, 4, 8, 16, 32, 64, 128)
        return (*_with(found, current), *([None] if current is None else []))
    if isinstance(current, int) and current >= 1:
        tried = [max(1, round(current * factor)) for factor in (0.25, 0.5, 1, 2, 4)]
        return tuple(dict.fromkeys(tried))
    if isinstance(current, float) and current >= 0:
        if any(word in bare for word in _SHARES) and current <= 1:
            return _with((0.25, 0.5, 0.75, 1.0), current)
        if current == 0:
            return (0.0, 0.001, 0.01, 0.1, 1.0)
        return tuple(float(f"{current * 10.0**power:.6g}") for power in range(-3, 4))
    return ()


def _with(values: Sequence[Value], current: Value) -> tuple[Value, ...]:
    """The values and the model's own, by size."""
    if current is None or isinstance(current, str) or current in values:
        return tuple(values)
    return ordered((*values, current))


def ordered(values: Sequence[Value]) -> tuple[Value, ...]:
    """Distinct values, numbers by size, then the others as they came."""
    distinct: dict[tuple[str, Value], Value] = {
        ("number" if _is_number(value) else type(value).__name__, value): value for value in values
    }
    return tuple(
        sorted(distinct.values(), key=lambda v: (0, float(v)) if _is_number(v) else (1, 0.0))  # type: ignore[arg-type]
    )


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def parameter_curve_in_stages(
    model: Model,
    evalset: EvalSet,
    name: str,
    options: ParameterOptions,
    *,
    folds: Folds | None = None,
    store: BlockStore | None = None,
    turn: Turn = nullcontext,
) -> Iterator[ParameterCurve]:
    """The validation curve of one model, drawn anew after each fit.

    Equal to `sklearn.model_selection.validation_curve` with `cv=folds`, for models whose seeds are
    set. A value that the model refuses has no scores, with the reason in the notes.

    Parameters
    ----------
    evalset, folds, store, turn : as for `size_curve_in_stages`.

    Yields
    ------
    ParameterCurve : NaN where a fit is still to come or failed; the last one is complete.

    Raises
    ------
    NotApplicable : the model cannot be fitted again, or no fit succeeded; with the reason.
    ParameterError : a parameter that the model does not have; values, folds or a metric that do
        not fit.
    WorkCancelled : the watcher stopped it; finished fits stay in the store.
    """
    task = evalset.target.task
    metric, names = metric_for(options.metric, task), fitted_metrics(options.metric, task)
    refit = refit_of(model, name)
    if not refit.can:
        raise NotApplicable(f"{name} cannot be fitted again. {refit.reason}")
    values = _values(options, refit, name)
    folds = folds or choose_folds(
        evalset, options.n_splits, options.n_repeats, options.seed, kind=options.kind
    )
    growing = _Growing(name, evalset, metric, names.index(metric.name), values, folds, options)
    growing.current = refit.parameters.get(options.parameter)
    growing.has_current = options.parameter in refit.parameters
    told = FitOptions(
        metrics=names,
        seed=options.seed,
        epochs=options.epochs,
        batch_size=options.batch_size,
        lanes=options.lanes,
    )
    requests = [
        Request(fold, None, {options.parameter: value}) for fold in folds.pairs for value in values
    ]
    for place, fit in fits_in_lanes(model, evalset, name, requests, told, store=store, turn=turn):
        growing.add(place, fit)
        if not fit.kept or growing.n_done == len(requests):
            yield growing.curve()


def _values(options: ParameterOptions, refit: Refit, name: str) -> tuple[Value, ...]:
    """What is tried, checked."""
    known = refit.parameters
    if refit.kind == "network":
        raise NotApplicable(
            f"{name} is a network, whose settings are part of its layers; only its size curve can "
            "be fitted anew. Show the results of a search instead."
        )
    if options.parameter not in known and not options.values:
        raise ParameterError(
            f"{name} has no plain setting {options.parameter!r}. It has "
            f"{listing(list(tunable_parameters(refit)), 8)}."
        )
    values = options.values or suggested_values(options.parameter, known.get(options.parameter))
    found = ordered(values)
    if len(found) < 2 or len(found) > MOST_VALUES:
        raise ParameterError(
            f"{plural(len(found), 'value')} of {options.parameter} were given; 2 to {MOST_VALUES} "
            "different ones are needed."
        )
    odd = [v for v in found if isinstance(v, float) and not np.isfinite(v)]
    if odd:
        raise ParameterError(f"{odd[0]} is no value for {options.parameter}. Give finite numbers.")
    return found


class _Growing:
    """A curve while its fits come in."""

    current: Value = None
    has_current = False

    def __init__(
        self,
        name: str,
        evalset: EvalSet,
        metric: Metric,
        column: int,
        values: tuple[Value, ...],
        folds: Folds,
        options: ParameterOptions,
    ) -> None:
        self._name, self._evalset, self._metric, self._column = name, evalset, metric, column
        self._values, self._folds, self._options = values, folds, options
        shape = (len(values), len(folds))
        self._train, self._validation = np.full(shape, np.nan), np.full(shape, np.nan)
        self._seconds = np.full(shape, np.nan)
        self._failed: dict[int, list[str]] = {}
        self._told: dict[str, None] = {}
        self.n_done = 0

    def add(self, place: int, fit: Fit) -> None:
        """One fit, by its place among the requests."""
        fold, value = divmod(place, len(self._values))
        self.n_done += 1
        self._train[value, fold] = fit.train[self._column]
        self._validation[value, fold] = fit.validation[self._column]
        self._seconds[value, fold] = fit.fit_seconds
        why = fit.failure or fit.reasons.get(self._metric.name, "")
        if why:
            self._failed.setdefault(value, []).append(why)
        self._told.update(dict.fromkeys(fit.notes))

    def curve(self) -> ParameterCurve:
        """All that is known so far."""
        folds, metric = self._folds, self._metric
        return ParameterCurve(
            model=self._name,
            parameter=self._options.parameter,
            metric=metric.name,
            title=metric.title,
            larger_is_better=metric.orientation == "higher",
            values=self._values,
            train=self._train.copy(),
            validation=self._validation.copy(),
            fit_seconds=self._seconds.copy(),
            current=self.current,
            has_current=self.has_current,
            n_train=folds.n_train,
            n_given=self._evalset.n,
            ratio=float(np.mean([len(f.validation) / len(f.train) for f in folds.pairs])),
            folds=folds.reason,
            digest=folds.digest(),
            n_done=self.n_done,
            n_fits=self._train.size,
            notes=self._notes(),
        )

    def _notes(self) -> tuple[str, ...]:
        n_folds = len(self._folds)
        failed = [
            f"{self._options.parameter} = {self._values[value]} has no score in {count(n)} of "
            f"{plural(n_folds, 'fold')}: {why}"
            for value, reasons in sorted(self._failed.items())
            for why, n in counted_reasons(reasons).items()
        ]
        cut = len(failed) - MOST_NOTES
        more = [f"{count(cut)} more reasons for missing scores."] if cut > 0 else []
        return (*failed[:MOST_NOTES], *more, *self._folds.notes, *self._told)
