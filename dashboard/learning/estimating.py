"""How long fits will take, from one or two small ones, before a person starts them all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..contracts import Model
from ..data import EvalSet
from ..errors import ModelError, NotApplicable
from ..models.confined import ConfinedModel
from ..refitting.fits import Fit, Refit
from ..settings import get_settings
from ..wording import count, plural
from .cross_validation import FoldOptions, fold_requests
from .folding import Folds
from .lanes import MOST_LANES, FitOptions, Request, asked_fit, refit_of
from .parameters import ParameterOptions
from .sizes import SizeOptions, chosen_sizes, size_requests
from .stages import fitted_metrics

__all__ = [
    "Estimate",
    "estimate_cross_validation",
    "estimate_fits",
    "estimate_parameter_curve",
    "estimate_size_curve",
]

FEW_ROWS, MORE_EPOCHS = 500, 4


@dataclass(frozen=True)
class Estimate:
    """What so many fits may take.

    Attributes
    ----------
    seconds : of all of them, on this machine, if nothing else runs on it.
    n_fits, n_rows : how many, and the rows of all of them together.
    sentence : the same in words, and what each fit is.
    """

    seconds: float
    n_fits: int
    n_rows: int
    sentence: str


def estimate_size_curve(
    model: Model,
    evalset: EvalSet,
    name: str,
    options: SizeOptions | None = None,
    *,
    folds: Folds | None = None,
) -> Estimate:
    """How long a curve by training size may take; fits the model once or twice on few rows.

    Raises
    ------
    NotApplicable : the model cannot be fitted again.
    ModelError : a small fit failed.
    ParameterError : sizes, folds or a metric that do not fit the rows.
    """
    options = options or SizeOptions(seed=get_settings().random_state)
    folds = folds or options.divided(evalset)
    requests = size_requests(folds, chosen_sizes(options, folds.n_train))
    return estimate_fits(model, evalset, name, requests, _told(options, evalset))


def estimate_parameter_curve(
    model: Model, evalset: EvalSet, name: str, options: ParameterOptions, *, folds: Folds
) -> Estimate:
    """The same for a curve by parameter; its `values` are given.

    Raises
    ------
    NotApplicable, ModelError, ParameterError : as for `estimate_size_curve`.
    """
    requests = [
        Request(fold, None, {options.parameter: value})
        for fold in folds.pairs
        for value in options.values
    ]
    return estimate_fits(model, evalset, name, requests, _told(options, evalset))


def estimate_cross_validation(
    model: Model, evalset: EvalSet, name: str, options: FoldOptions, *, folds: Folds
) -> Estimate:
    """The same for one fit in each fold, and one for rows that are kept apart.

    Raises
    ------
    NotApplicable, ModelError : as for `estimate_size_curve`.
    """
    requests = fold_requests(folds)
    return estimate_fits(model, evalset, name, requests, _told(options, evalset))


def _told(options: SizeOptions | ParameterOptions | FoldOptions, evalset: EvalSet) -> FitOptions:
    return options.told(fitted_metrics(options.metric, evalset.target.task))


def estimate_fits(
    model: Model,
    evalset: EvalSet,
    name: str,
    requests: Sequence[Request],
    options: FitOptions,
) -> Estimate:
    """How long these fits may take, in proportion to their rows.

    Raises
    ------
    NotApplicable : the model cannot be fitted again, or no fit is asked for.
    ModelError : a small fit failed.
    """
    refit = refit_of(model, name)
    if not refit.can or not requests:
        raise NotApplicable(f"{name} cannot be fitted again. {refit.reason}".strip())
    smallest = min(requests, key=lambda request: request.n)
    params = {key: value for key, value in smallest.params.items() if key != "epochs"}
    small = replace(smallest, size=min(smallest.n, FEW_ROWS), params=params)
    begin, each = _pace(model, evalset, small, options, refit)
    n_rows = sum(request.n for request in requests)
    usual = options.epochs or refit.epochs or 1
    passes = [_number(request, "epochs", usual) for request in requests]
    batch = _number(small, "batch_size", 1)
    work = sum(
        request.n * n / usual * batch / _number(request, "batch_size", batch)
        for request, n in zip(requests, passes, strict=True)
    )
    lanes = options.lanes or min(MOST_LANES, os.cpu_count() or 1)
    lanes = min(lanes, len(requests)) if isinstance(model, ConfinedModel) else 1
    seconds = (begin * len(requests) + each * work) / lanes
    epochs = f" of {_span(passes)}" if refit.epochs else ""
    return Estimate(
        seconds,
        len(requests),
        n_rows,
        f"{plural(len(requests), 'fit')}{epochs} on {_range(requests)}: about "
        f"{_duration(seconds)}. {refit.sentence}",
    )


def _number(request: Request, setting: str, usual: float) -> float:
    """A number among the settings of a fit; the usual one where it has no sound one."""
    told = request.params.get(setting)
    sound = isinstance(told, int | float) and not isinstance(told, bool) and told > 0
    return float(told) if sound else usual  # type: ignore[arg-type]


def _span(epochs: Sequence[float]) -> str:
    low, high = int(min(epochs)), int(max(epochs))
    return plural(high, "epoch") if low == high else f"{count(low)} to {plural(high, 'epoch')}"


def _range(requests: Sequence[Request]) -> str:
    sizes = {request.n for request in requests}
    if len(sizes) == 1:
        return plural(sizes.pop(), "row")
    return f"{count(min(sizes))} to {plural(max(sizes), 'row')}"


def _pace(
    model: Model, evalset: EvalSet, small: Request, options: FitOptions, refit: Refit
) -> tuple[float, float]:
    """Seconds to begin a fit, and for each of its rows."""
    if refit.epochs is None:
        return 0.0, _spent(asked_fit(model, evalset, small, options, None)) / small.n
    few, more = (
        _spent(asked_fit(model, evalset, small, replace(options, epochs=epochs), None))
        for epochs in (1, 1 + MORE_EPOCHS)
    )
    epoch = max(0.0, more - few) / MORE_EPOCHS
    return max(0.0, few - epoch), epoch * (options.epochs or refit.epochs) / small.n


def _spent(fit: Fit) -> float:
    if fit.failure:
        raise ModelError(fit.failure)
    return fit.fit_seconds + fit.score_seconds


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return plural(round(seconds / 60), "minute") if seconds < 5_400 else f"{seconds / 3_600:.1f} h"
