"""Validation curves: a model fitted anew with other values of one parameter, on the same folds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from ..contracts import Model
from ..data import EvalSet
from ..diagnostics.parameter_curves import ParameterCurve
from ..errors import ParameterError
from ..explainers.kept import BlockStore
from ..refitting.fits import Value
from ..wording import count, listing, plural
from .folding import Folds
from .lanes import Refit, Request, Turn, fits_in_lanes
from .reasons import counted_reasons
from .stages import Beginning, FoldChoices, Growing, begin

__all__ = [
    "ParameterOptions",
    "parameter_curve_in_stages",
    "suggested_values",
    "tunable_parameters",
]

MOST_VALUES = 100
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
class ParameterOptions(FoldChoices):
    """How a curve by parameter is made; the folds and the fits as in `FoldChoices`.

    Attributes
    ----------
    parameter : as `set_params` takes it: "max_depth", "logisticregression__C".
    values : what is tried, numbers by size; empty = what `suggested_values` proposes.
    metric : what is drawn; None = the usual one of the task.
    """

    parameter: str
    values: tuple[Value, ...] = ()
    metric: str | None = None


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
    ("batch_size", "epochs", "dropout_rate", "units", "filters"),
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
        if bare in ("rate", "dropout_rate"):  # of layers that drop out
            return _with((0.0, 0.1, 0.25, 0.5, 0.75), current)
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
    begun = begin(model, evalset, name, options.metric, options, folds)
    growing = _Growing(begun, options.parameter, _values(options, begun.refit, name))
    requests, told = growing.requests(), begun.told
    for place, fit in fits_in_lanes(model, evalset, name, requests, told, store=store, turn=turn):
        growing.add(place, fit)
        if not fit.kept or growing.n_done == len(requests):
            yield growing.curve()


def _values(options: ParameterOptions, refit: Refit, name: str) -> tuple[Value, ...]:
    """What is tried, checked."""
    known = refit.parameters
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


class _Growing(Growing):
    """A curve while its fits come in."""

    def __init__(self, begun: Beginning, parameter: str, values: tuple[Value, ...]) -> None:
        self._parameter, self._values = parameter, values
        super().__init__(begun, len(values))

    def requests(self) -> list[Request]:
        """Every value in the first fold, then in the next."""
        return [
            Request(fold, None, {self._parameter: value})
            for fold in self.begun.folds.pairs
            for value in self._values
        ]

    def curve(self) -> ParameterCurve:
        """All that is known so far."""
        folds, known = self.begun.folds, self.begun.refit.parameters
        return ParameterCurve(
            parameter=self._parameter,
            values=self._values,
            current=known.get(self._parameter),
            has_current=self._parameter in known,
            n_train=folds.n_train,
            ratio=float(np.mean([len(f.validation) / len(f.train) for f in folds.pairs])),
            digest=folds.digest(),
            **self.fields(self._failures()),
        )

    def _failures(self) -> list[str]:
        return [
            f"{self._parameter} = {self._values[value]} has no score in {count(n)} of "
            f"{plural(len(self.begun.folds), 'fold')}: {why}"
            for value, reasons in sorted(self.failed.items())
            for why, n in counted_reasons(reasons).items()
        ]
