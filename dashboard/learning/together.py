"""Several models in memory fitted on the same folds, in processes of their own.

The models of one fold and size are fitted in one process, one after the other, so that a step which
they share is fitted once. Models that came as files live in confined workers, one each, and never
learn of each other: theirs are shared between the fits of one model only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..contracts import Model
from ..data import EvalSet
from ..errors import DiagnosticsError
from ..models import EstimatorModel
from ..refitting.estimators import without_trees
from ..sandbox.processes import WorkCancelled, is_unwanted, tell_progress
from ..wording import count, listing
from .lanes import MOST_LANES, Fit, FitOptions, Request, asked_fit

__all__ = ["can_be_together", "fits_together"]

# Processes are worth their start where this many seconds of fits are left.
WORTH_SECONDS = 6.0


def can_be_together(models: Mapping[str, Model]) -> bool:
    """Whether all models are estimators in memory."""
    return all(isinstance(model, EstimatorModel) for model in models.values())


def fits_together(
    models: Mapping[str, Model],
    evalset: EvalSet,
    requests: Sequence[Request],
    options: FitOptions,
) -> Iterator[tuple[int, dict[str, Fit]]]:
    """Every request for every model: its place, and a fit by each model's name.

    Fits are made in this process until it is known that others are worth their start.

    Raises
    ------
    WorkCancelled : the watcher stopped it.
    """
    places = sorted(range(len(requests)), key=lambda place: requests[place].n)
    began, rows, done = time.monotonic(), 0, 0
    total = len(requests)
    wanted = options.lanes or min(MOST_LANES, os.cpu_count() or 1)
    while places:
        left = sum(requests[place].n for place in places)
        if wanted > 1 and len(places) > 1 and rows:
            expected = (time.monotonic() - began) / rows * left
            if expected > WORTH_SECONDS:
                break
        _go_on(models, done, total)
        place = places.pop(0)
        yield place, _fit_all(models, evalset, requests[place], options, None)
        rows, done = rows + requests[place].n, done + 1
    if places:
        largest_first = places[::-1]
        for found in _apart(models, evalset, requests, largest_first, options, wanted):
            done += 1
            _go_on(models, done, total)
            yield found


def _go_on(models: Mapping[str, Model], done: int, total: int) -> None:
    """Say how far it is; raises where nobody waits."""
    if is_unwanted():
        raise WorkCancelled("You stopped fitting.")
    shown = listing(list(models), 3)
    tell_progress(done, total, f"Fitting {shown}: {count(done)} of {count(total)} fits of each")


def _apart(
    models: Mapping[str, Model],
    evalset: EvalSet,
    requests: Sequence[Request],
    places: Sequence[int],
    options: FitOptions,
    wanted: int,
) -> Iterator[tuple[int, dict[str, Fit]]]:
    """The same in so many processes, the largest first so that none ends long after the others."""
    from sklearn.utils.parallel import Parallel, delayed

    light = {name: without_trees(model) for name, model in models.items()}  # sent with each request
    yield from Parallel(n_jobs=wanted, return_as="generator_unordered", batch_size=1)(
        delayed(_placed)(light, evalset, requests[place], options, place) for place in places
    )


def _placed(
    models: Mapping[str, Model],
    evalset: EvalSet,
    request: Request,
    options: FitOptions,
    place: int,
) -> tuple[int, dict[str, Fit]]:
    return place, _fit_all(models, evalset, request, options, 1)


def _fit_all(
    models: Mapping[str, Model],
    evalset: EvalSet,
    request: Request,
    options: FitOptions,
    threads: int | None,
) -> dict[str, Fit]:
    """One request for every model; what fails is said."""
    found: dict[str, Any] = {}
    for name, model in models.items():
        try:
            found[name] = asked_fit(model, evalset, request, options, threads)
        except DiagnosticsError as error:
            found[name] = Fit.failed(len(options.metrics), str(error))
    return found
