"""Many fits of one model, two at a time: each kept when it is done, found again, and stopped."""

from __future__ import annotations

import contextvars
import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from ..contracts import Model
from ..data import EvalSet
from ..errors import DiagnosticsError, ModelError, NotApplicable
from ..evaluation import rows_for
from ..explainers.asking import ask
from ..explainers.kept import BlockStore, KeptParts, parts_of
from ..explainers.permutation import truth
from ..models.confined import ConfinedModel
from ..refitting import fits
from ..refitting.fits import Fit, Refit, Value, encode_fit, read_fit, read_refit
from ..sandbox.processes import WorkCancelled, is_unwanted, tell_progress, watched
from ..wording import count, listing
from .folding import Fold

__all__ = [
    "Fit",
    "FitOptions",
    "Refit",
    "Request",
    "Turn",
    "asked_fit",
    "fits_in_lanes",
    "refit_of",
]

_FITTING = Path(fits.__file__).parent
MOST_LANES = 2
ANSWER_BYTES = 512 << 20
Turn = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, eq=False)
class Request:
    """One fit that is asked for.

    Attributes
    ----------
    fold : whose first `size` training rows are learned from (None = all).
    params : settings for `set_params`.
    """

    fold: Fold
    size: int | None = None
    params: Mapping[str, Value] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Rows that are learned from."""
        return len(self.fold.train) if self.size is None else min(self.size, len(self.fold.train))


@dataclass(frozen=True)
class FitOptions:
    """What is the same for all fits.

    Attributes
    ----------
    metrics : names in `diagnostics.metrics.METRICS`; scores are in their order.
    seed : for whatever in the model draws at random and has no seed of its own.
    answers : keep what each fit says of its validation rows (out-of-fold predictions).
    epochs, batch_size : of networks; None = what "can_refit" proposes.
    patience : of networks: epochs without gain on held-out training rows; 0 = no early stop.
    lanes : fits at a time; 0 = as many as there are processors, at most two.
    """

    metrics: tuple[str, ...]
    seed: int = 0
    answers: bool = False
    epochs: int | None = None
    batch_size: int | None = None
    patience: int = 0
    lanes: int = 0


def refit_of(model: Model, name: str) -> Refit:
    """Whether and how a model can be fitted again.

    Raises
    ------
    ModelError : the worker could not say.
    """
    return ask(model, "can_refit", {"name": name}, {}, read=read_refit)


def fits_in_lanes(
    model: Model,
    evalset: EvalSet,
    name: str,
    requests: Sequence[Request],
    options: FitOptions,
    *,
    store: BlockStore | None = None,
    turn: Turn = nullcontext,
) -> Iterator[tuple[int, Fit]]:
    """The fits, as they are done: those in the store first, the others in the order asked.

    Parameters
    ----------
    store : where finished fits are kept under the digest of all that they depend on; fits of
        models without a digest are not.
    turn : gives what is entered for each fit, so that others may compute between two.

    Yields
    ------
    The place in `requests`, and the fit; one that failed has `failure`, the others go on.

    Raises
    ------
    NotApplicable : the model cannot be fitted again, or no fit succeeded, with the reason.
    WorkCancelled : the watcher stopped it; finished fits stay in the store.
    """
    work = _Work(model, evalset, name, requests, options, store, turn)
    yield from work.stored()
    yield from work.computed()
    work.check_any()


def expected_of(request: Request, options: FitOptions) -> dict[str, Any]:
    """What an answer must fit, as `read_fit` takes it."""
    return {
        "n_metrics": len(options.metrics),
        "n_validation": len(request.fold.validation),
        "answers": options.answers,
    }


def asked_fit(
    model: Model, evalset: EvalSet, request: Request, options: FitOptions, threads: int | None
) -> Fit:
    """One fit, now. `threads`: as many as numeric libraries may use; None = as they like.

    Raises
    ------
    DiagnosticsError : it failed.
    """
    tables: dict[str, Any] = {
        "X": rows_for(model, evalset),
        "y": evalset.target.y,
        "train": request.fold.train,
        "validation": request.fold.validation,
    }
    if evalset.sample_weight is not None:
        tables["w"] = evalset.sample_weight
    arguments = {
        "target": truth(evalset.target),
        "metrics": list(options.metrics),
        "size": request.size,
        "seed": options.seed,
        "params": dict(request.params),
        "answers": options.answers,
        "threads": threads,
        "data": evalset.digest,
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "patience": options.patience,
    }
    read = partial(read_fit, **expected_of(request, options))
    most = ANSWER_BYTES if options.answers else 1 << 20
    return ask(model, "fit_fold", arguments, tables, read=read, array_bytes=most)


@dataclass
class _Work:
    """All fits of one model: which are done, and what is known of their times."""

    model: Model
    evalset: EvalSet
    name: str
    requests: Sequence[Request]
    options: FitOptions
    store: BlockStore | None
    turn: Turn
    done: set[int] = field(default_factory=set)
    good: int = 0
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    fitted_rows: int = 0

    # -- the store --

    def stored(self) -> Iterator[tuple[int, Fit]]:
        """What earlier runs finished."""
        for place, request in enumerate(self.requests):
            if (fit := self._take(request)) is not None:
                self._note(place, fit)
                yield place, fit

    @cached_property
    def _kept(self) -> KeptParts:
        """By all that every fit depends on; corrected code fits anew."""
        told = repr(replace(self.options, lanes=0))
        return parts_of(self.store, self.model, self.evalset, "fit", told, code=_FITTING)

    def _what(self, request: Request) -> tuple[Any, ...]:
        fold = request.fold
        return sorted(request.params.items()), fold.train[: request.n], fold.validation

    def _take(self, request: Request) -> Fit | None:
        expected = expected_of(request, self.options)
        return self._kept.recall(
            self._what(request), lambda frame: replace(read_fit(frame, **expected), kept=True)
        )

    def _keep(self, request: Request, fit: Fit) -> None:
        if not fit.failure:
            self._kept.keep(self._what(request), *encode_fit(fit))

    # -- fitting --

    def computed(self) -> Iterator[tuple[int, Fit]]:
        """What is left, as it is done."""
        left = [place for place in range(len(self.requests)) if place not in self.done]
        if not left:
            return
        self._tell()
        lanes = self._lanes(len(left))
        for place, fit in _through(lanes, left, self.name):
            self._keep(self.requests[place], fit)
            self._note(place, fit)
            self._tell()
            yield place, fit

    def _lanes(self, n: int) -> list[Callable[[int], Fit]]:
        """What fits: a worker each; for a model in memory this thread alone."""
        wanted = self.options.lanes or min(MOST_LANES, os.cpu_count() or 1)
        models: list[Model] = [self.model]
        if isinstance(self.model, ConfinedModel):
            models += [self.model.twin(number) for number in range(1, min(wanted, n))]
        threads = 1 if len(models) > 1 else None
        return [partial(self._fit, one, threads) for one in models]

    def _fit(self, model: Model, threads: int | None, place: int) -> Fit:
        """One fit, a second time where its worker was ended."""
        request = self.requests[place]
        for attempt in (1, 2):
            try:
                with self.turn():
                    return asked_fit(model, self.evalset, request, self.options, threads)
            except (NotApplicable, WorkCancelled):
                raise
            except DiagnosticsError as error:
                gone = isinstance(error, ModelError) and "ended its worker" in str(error)
                if not gone or attempt == 2:
                    return Fit.failed(len(self.options.metrics), str(error))
        raise AssertionError  # the loop returns or raises

    # -- progress --

    def _note(self, place: int, fit: Fit) -> None:
        self.done.add(place)
        if fit.failure:
            self.failures.append(fit.failure)
            return
        self.good += 1
        self.seconds += fit.fit_seconds + fit.score_seconds
        self.fitted_rows += self.requests[place].n

    def _tell(self) -> None:
        n, total = len(self.done), len(self.requests)
        left = sum(one.n for place, one in enumerate(self.requests) if place not in self.done)
        said = f"Fitting {self.name}: {count(n)} of {count(total)} fits"
        if self.fitted_rows:
            lanes = 1
            if isinstance(self.model, ConfinedModel):
                lanes = self.options.lanes or min(MOST_LANES, os.cpu_count() or 1)
            seconds = self.seconds / self.fitted_rows * left / lanes
            said += f", about {seconds:,.0f} s of fitting left"
        tell_progress(n, total, said)

    def check_any(self) -> None:
        """Raises where nothing succeeded."""
        if self.requests and not self.good:
            why = listing(list(dict.fromkeys(self.failures)), 2) or "no fit was asked for."
            raise NotApplicable(f"{self.name} could not be fitted on any part of the rows: {why}")


# ---- lanes -----------------------------------------------------------------------------------


def _through(
    lanes: Sequence[Callable[[int], Fit]], places: Sequence[int], name: str
) -> Iterator[tuple[int, Fit]]:
    """Each place through the first lane that is free."""
    if len(lanes) == 1:
        for place in places:
            if is_unwanted():
                raise WorkCancelled(f"You stopped fitting {name}.")
            yield place, lanes[0](place)
        return
    crossing = _Crossing(places)
    threads = [crossing.start(lane) for lane in lanes]
    try:
        yield from crossing.results(name, len(lanes))
    finally:
        crossing.stop.set()
        for thread in threads:
            thread.join()


class _Crossing:
    """Places that several threads take from, and what they made of them."""

    def __init__(self, places: Sequence[int]) -> None:
        self.stop = threading.Event()
        self._waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._made: queue.SimpleQueue[tuple[int, Fit] | BaseException | None] = queue.SimpleQueue()
        for place in places:
            self._waiting.put(place)

    def start(self, lane: Callable[[int], Fit]) -> threading.Thread:
        context = contextvars.copy_context()
        thread = threading.Thread(
            target=context.run, args=(self._run, lane), daemon=True, name="fits"
        )
        thread.start()
        return thread

    def _run(self, lane: Callable[[int], Fit]) -> None:
        unwanted = is_unwanted_here()
        try:
            with watched(None, lambda: self.stop.is_set() or unwanted()):
                while not is_unwanted():
                    place = self._waiting.get_nowait()
                    self._made.put((place, lane(place)))
        except queue.Empty:
            self._made.put(None)
        except BaseException as error:  # noqa: BLE001 - it is raised where the fits are awaited
            self._made.put(error)
        else:
            self._made.put(None)

    def results(self, name: str, n_lanes: int) -> Iterator[tuple[int, Fit]]:
        """As they come, until every lane is done."""
        running = n_lanes
        while running:
            if is_unwanted():
                raise WorkCancelled(f"You stopped fitting {name}.")
            try:
                made = self._made.get(timeout=0.1)
            except queue.Empty:
                continue
            if isinstance(made, BaseException):
                raise made
            if made is None:
                running -= 1
            else:
                yield made


def is_unwanted_here() -> Callable[[], bool]:
    """Whether the watcher of this thread, as it is now, wants its work to stop."""
    context = contextvars.copy_context()
    lock = threading.Lock()

    def ask_watcher() -> bool:
        with lock:  # one thread at a time may run in a context
            return bool(context.run(is_unwanted))

    return ask_watcher
