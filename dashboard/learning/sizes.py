"""Curves by training size: each model fitted anew on growing parts of the same folds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import Model
from ..data import EvalSet
from ..diagnostics.size_curves import SizeCurve
from ..errors import DiagnosticsError, NotApplicable, ParameterError
from ..evaluation import Failure, as_evalset, as_model, named, read_helpers
from ..explainers.kept import BlockStore
from ..sandbox.processes import WorkCancelled
from ..settings import Settings, get_settings
from ..wording import count, listing, percent, plural
from .folding import Folds
from .lanes import Request, Turn, fits_in_lanes
from .stages import Beginning, FoldChoices, Growing, begin, last_of
from .together import can_be_together, fits_together

__all__ = [
    "SizeCurves",
    "SizeOptions",
    "chosen_sizes",
    "learning",
    "size_curve_in_stages",
    "size_requests",
    "too_large",
]

Ints = npt.NDArray[np.int64]

LEAST_ROWS = 20  # of the smallest size that is chosen here


@dataclass(frozen=True)
class SizeOptions(FoldChoices):
    """How a curve by training size is made; the folds and the fits as in `FoldChoices`.

    Attributes
    ----------
    metric : what is drawn; None = the usual one of the task. It ranks where it can.
    sizes : rows (whole numbers) or shares of the smallest fold's training rows (0 to 1);
        empty = `n_sizes` of them, each larger than the last by the same factor.
    """

    metric: str | None = None
    sizes: tuple[float, ...] = ()
    n_sizes: int = 6


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


def too_large(options: SizeOptions, n_train: int) -> tuple[str, ...]:
    """What is said of the sizes that not every fold has rows for; nothing where all do."""
    large = [size for size in options.sizes if not 1 <= _rows(size, n_train) <= n_train]
    if not large:
        return ()
    verb = "is" if len(large) == 1 else "are"
    return (
        f"{listing([_written(size) for size in large], 6)} {verb} not within the "
        f"{plural(n_train, 'row')} that every fold can learn from and {verb} left out.",
    )


def _written(size: float) -> str:
    return percent(size) if isinstance(size, float) and 0 < size <= 1 else count(size)


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
    growing = _Growing(begin(model, evalset, name, options.metric, options, folds), options)
    yield from growing.stages(model, store, turn)


class _Growing(Growing):
    """A curve while its fits come in."""

    def __init__(self, begun: Beginning, options: SizeOptions) -> None:
        if begun.metric.orientation == "zero":
            raise NotApplicable(
                f"{begun.metric.title} is best at zero, so a curve of it does not rise or fall "
                "towards better; choose another metric."
            )
        n_train = begun.folds.n_train
        self._sizes = chosen_sizes(options, n_train)
        self._left_out = too_large(options, n_train)
        self.requests = size_requests(begun.folds, self._sizes)
        super().__init__(begun, len(self._sizes))

    def stages(
        self, model: Model, store: BlockStore | None, turn: Turn = nullcontext
    ) -> Iterator[SizeCurve]:
        one = self.begun
        for place, fit in fits_in_lanes(
            model, one.evalset, one.name, self.requests, one.told, store=store, turn=turn
        ):
            self.add(place, fit)
            yield self.curve()

    def curve(self) -> SizeCurve:
        """All that is known so far."""
        failed = [
            f"{count(n)} of {count(self.n_fits)} fits have no score: {why}"
            for why, n in self.reasons()
        ]
        return SizeCurve(
            sizes=np.array(self._sizes, dtype=np.int64),
            independent=self.begun.folds.n_splits,
            **self.fields(failed, self._left_out),
        )


# ---- several models --------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class SizeCurves:
    """Several models on the same folds.

    Attributes
    ----------
    evalset, folds : the rows and how they were divided.
    curves : one for each model that could be fitted, in the order given; of work that was stopped,
        as far as they came.
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

    What the watcher stopped is returned as far as it came.

    Raises
    ------
    DataError : the data cannot be read or has no usable target.
    ParameterError : sizes, folds or a metric that do not fit the rows; no models.
    WorkCancelled : the watcher stopped it before the first fit.
    """
    settings = settings or get_settings()
    options = options or SizeOptions(seed=settings.random_state)
    evalset = as_evalset(data, y, target, **roles)
    asked: Mapping[str, Any] = named(models)
    if not asked:
        raise ParameterError("No models were given. Pass at least one.")
    folds = options.divided(evalset)
    beside = read_helpers(helpers)
    failures: dict[str, Failure] = {}
    ready: dict[str, tuple[Model, _Growing]] = {}
    for name, item in asked.items():
        with _noted(name, failures):
            model = as_model(name, item, beside, settings)
            begun = begin(model, evalset, name, options.metric, options, folds)
            ready[name] = model, _Growing(begun, options)
    curves = _all_curves(ready, options, store, failures)
    return SizeCurves(
        evalset,
        folds,
        tuple(curves[name] for name in asked if name in curves),
        tuple(failures[name] for name in asked if name in failures),
    )


def _all_curves(
    ready: Mapping[str, tuple[Model, _Growing]],
    options: SizeOptions,
    store: BlockStore | None,
    failures: dict[str, Failure],
) -> dict[str, SizeCurve]:
    """Models in memory side by side; those of files one after the other, in their workers."""
    models = {name: model for name, (model, _) in ready.items()}
    if ready and can_be_together(models):
        return _fitted_together(models, {name: one for name, (_, one) in ready.items()}, failures)
    curves: dict[str, SizeCurve] = {}
    try:
        for name, (model, growing) in ready.items():
            with _noted(name, failures):
                curves[name] = last_of(growing.stages(model, store))
    except WorkCancelled:
        if not curves:
            raise
    return curves


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
    models: Mapping[str, Model], growing: Mapping[str, _Growing], failures: dict[str, Failure]
) -> dict[str, SizeCurve]:
    """The curves of estimators in memory."""
    first = next(iter(growing.values()))
    good, why = set[str](), dict[str, str]()
    try:
        for place, fits in fits_together(
            models, first.begun.evalset, first.requests, first.begun.told
        ):
            for name, fit in fits.items():
                growing[name].add(place, fit)
                if fit.failure:
                    why[name] = fit.failure
                else:
                    good.add(name)
    except WorkCancelled:
        if not good:
            raise
    for name in models:
        if name not in good:
            failures[name] = Failure(name, f"{name} could not be fitted on any rows: {why[name]}")
    return {name: growing[name].curve() for name in models if name in good}
