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
from .folding import Folds, choose_folds
from .lanes import MOST_LANES, FitOptions, Request, asked_fit, refit_of
from .sizes import SizeOptions, chosen_sizes, fitted_metrics, size_requests

__all__ = ["Estimate", "estimate_fits", "estimate_size_curve"]

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
    folds = folds or choose_folds(
        evalset, options.n_splits, options.n_repeats, options.seed, kind=options.kind
    )
    told = FitOptions(
        metrics=fitted_metrics(options.metric, evalset.target.task),
        seed=options.seed,
        epochs=options.epochs,
        batch_size=options.batch_size,
        lanes=options.lanes,
    )
    requests = size_requests(folds, chosen_sizes(options, folds.n_train))
    return estimate_fits(model, evalset, name, requests, told)


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
    small = replace(smallest, size=min(smallest.n, FEW_ROWS))
    begin, each = _pace(model, evalset, small, options, refit)
    n_rows = sum(request.n for request in requests)
    lanes = options.lanes or min(MOST_LANES, os.cpu_count() or 1)
    lanes = min(lanes, len(requests)) if isinstance(model, ConfinedModel) else 1
    seconds = (begin * len(requests) + each * n_rows) / lanes
    epochs = f" of {options.epochs or refit.epochs} epochs" if refit.epochs else ""
    return Estimate(
        seconds,
        len(requests),
        n_rows,
        f"{plural(len(requests), 'fit')}{epochs} on {_range(requests)}: about "
        f"{_duration(seconds)}. {refit.sentence}",
    )


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
