"""Curves by epoch: what was logged for one metric, smoothed; its best epoch; early stopping.

Best epoch and early stopping are always read off the raw values. Epochs are numbered as the log
numbers them: Keras counts from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Run, Series
from ..contracts.runs import Scalar
from ..errors import NotApplicable, ParameterError
from ..wording import count, in_sentence, listing, plural, quoted
from .logged_metrics import larger_is_better, metric_title
from .smoothing import smooth

__all__ = [
    "EarlyStop",
    "EpochCurve",
    "Gap",
    "LoggedPart",
    "compute_epoch_curves",
    "in_order",
    "not_drawn",
    "stop_early",
    "units",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Part = Literal["train", "validation"]
RATE = "learning_rate"


class Gap(NamedTuple):
    """Logged numbers in a row that are not finite: first and last step, how many, what they are."""

    first: int
    last: int
    n: int
    kind: str  # "NaN", "∞", "−∞", "NaN and ∞"


@dataclass(frozen=True, eq=False)
class LoggedPart:
    """One metric on one part of the rows, each step once and in order.

    Attributes
    ----------
    part : "train", "validation" or "test".
    unit : what a step is: "epoch", "batch", "iteration" or "step".
    steps : `(n,)` int64, strictly increasing, as logged.
    places : `(n,)` float64, where they are drawn: the steps, or half a step earlier.
    values, smoothed : `(n,)` float64; what is not finite is so in both.
    n_logged : numbers in the log; more than n where steps were logged again.
    notes : sentences on steps that were logged again or out of order.
    """

    part: str
    unit: str
    steps: Ints
    places: Floats
    values: Floats
    smoothed: Floats
    n_logged: int
    notes: tuple[str, ...] = ()

    @property
    def finite(self) -> npt.NDArray[np.bool_]:
        return np.isfinite(self.values)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Where no number can be drawn."""
        bad = np.flatnonzero(~self.finite)
        starts = np.split(bad, np.flatnonzero(np.diff(bad) > 1) + 1) if len(bad) else []
        return tuple(
            Gap(
                int(self.steps[one[0]]), int(self.steps[one[-1]]), len(one), _kind(self.values[one])
            )
            for one in starts
        )


def units(n: float, unit: str) -> str:
    """`1 epoch`, `20 epochs`, `3 batches`."""
    ending = "" if n == 1 else ("es" if unit == "batch" else "s")
    return f"{count(n)} {unit}{ending}"


def _several(unit: str) -> str:
    return units(2, unit).split(" ")[1]


def _kind(values: Floats) -> str:
    kinds = [("NaN", np.isnan(values)), ("∞", values == np.inf), ("−∞", values == -np.inf)]
    return listing([name for name, which in kinds if which.any()])


@dataclass(frozen=True)
class EarlyStop:
    """What early stopping would have done.

    Attributes
    ----------
    part, patience : what was watched, and for how many logged values without a better one.
    stop : the step after which training would have ended; None where it would have gone on.
    best, best_value : the best step until then, whose weights would have been kept.
    later_best, later_value : a better one that came too late, or None.
    saved : logged values that would not have been needed.
    """

    part: str
    patience: int
    stop: int | None
    best: int
    best_value: float
    later_best: int | None = None
    later_value: float | None = None
    saved: int = 0


@dataclass(frozen=True, eq=False)
class EpochCurve:
    """One metric of one run by epoch.

    Attributes
    ----------
    run, source, metric, title : whose, what wrote it, which; title for people.
    larger_is_better : None where the name of the metric does not tell; then nothing is best.
    train, validation : None where not logged; validation holds test rows where only they are.
    best_from : the part whose best step is meant, "train" where nothing else was logged.
    best : the step of the best raw value, the first of equals; None where there is none.
    best_value : at that step; NaN where there is none.
    early_stop : with the patience asked for; None where there is no best step.
    smoothing, shifted : the weight used; whether training values are drawn half a step earlier.
    rate_steps, rates : `(r,)` the learning rates in the log, in order; empty where there are none.
    config : hyper-parameters of the run.
    notes : of both parts.
    """

    run: str
    source: str
    metric: str
    title: str
    larger_is_better: bool | None
    train: LoggedPart | None
    validation: LoggedPart | None
    best_from: str
    best: int | None
    best_value: float
    early_stop: EarlyStop | None
    smoothing: float
    shifted: bool
    rate_steps: Ints
    rates: Floats
    config: dict[str, Scalar]
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[LoggedPart, ...]:
        """What was logged, training first."""
        return tuple(one for one in (self.train, self.validation) if one is not None)

    @property
    def watched(self) -> LoggedPart | None:
        """The part that the best step is of."""
        return next((one for one in self.parts if one.part == self.best_from), None)

    @property
    def unit(self) -> str:
        return self.parts[0].unit if self.parts else "step"

    @property
    def n_bad(self) -> int:
        """How many logged numbers are not finite."""
        return sum(int((~one.finite).sum()) for one in self.parts)

    def gap(self) -> tuple[Ints, Floats]:
        """Steps and how much better training is than validation there, NaN where unknown.

        Where training values are means over the epoch, they are taken at its middle and
        interpolated to its end; at the last epoch the last one is used as it is.
        """
        if self.train is None or self.validation is None:
            return np.zeros(0, np.int64), np.zeros(0)
        known = self.train.finite
        if not known.any():
            return self.validation.steps, np.full(len(self.validation.steps), np.nan)
        at = self.validation.steps.astype(np.float64)
        train = np.interp(at, self.train.places[known], self.train.values[known])
        outside = (at < self.train.steps[known][0]) | (at > self.train.steps[known][-1])
        values = np.where(self.validation.finite, self.validation.values, np.nan)
        worse = train - values if self.larger_is_better else values - train
        return self.validation.steps, np.where(outside, np.nan, worse)

    def frame(self) -> pd.DataFrame:
        """Columns run, metric, part, unit, step, drawn_at, value, smoothed."""
        columns = ["run", "metric", "part", "unit", "step", "drawn_at", "value", "smoothed"]
        tables = [
            pd.DataFrame(
                {
                    "run": self.run,
                    "metric": self.metric,
                    "part": one.part,
                    "unit": one.unit,
                    "step": one.steps,
                    "drawn_at": one.places,
                    "value": one.values,
                    "smoothed": one.smoothed,
                }
            )
            for one in self.parts
        ]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def compute_epoch_curves(
    runs: Sequence[Run],
    *,
    metric: str = "loss",
    smoothing: float = 0.0,
    patience: int = 10,
    half_epoch: bool = True,
    from_: Part = "validation",
) -> list[EpochCurve]:
    """One curve for each run, in their order; a run without the metric has no parts and a note.

    Parameters
    ----------
    smoothing : from 0 (none) to below 1, as TensorBoard's slider.
    patience : of early stopping, in logged values, as `keras.callbacks.EarlyStopping` counts.
    half_epoch : training values logged by epoch are means over the epoch while the weights
        changed; draw them at its middle.
    from_ : whose best step is meant; "train" is taken where nothing else was logged.

    Raises
    ------
    ParameterError : no runs, patience below 1, smoothing outside of [0, 1), an unknown part.
    NotApplicable : no run logged the metric.
    """
    if not runs:
        raise ParameterError("No runs were given; pass at least one.")
    if patience < 1:
        raise ParameterError(f"Patience must be at least 1, got {patience}.")
    if not 0 <= smoothing < 1:
        raise ParameterError(f"Smoothing must be from 0 to below 1, got {smoothing}.")
    if from_ not in ("train", "validation"):
        raise ParameterError(f"from_ must be 'train' or 'validation', got {from_!r}.")
    curves = [_curve(run, metric, smoothing, patience, half_epoch, from_) for run in runs]
    if not any(one.parts for one in curves):
        there = list(dict.fromkeys(name for run in runs for name in run.metrics))
        known = f"The logs hold {listing(there, 6)}." if there else "The logs hold no metric."
        raise NotApplicable(f"No run logged {quoted(metric)}. {known}")
    return curves


def _curve(
    run: Run, metric: str, smoothing: float, patience: int, half_epoch: bool, from_: Part
) -> EpochCurve:
    train = _part(run.get(metric, "train"), smoothing, half_epoch)
    held = run.get(metric, "validation") or run.get(metric, "test")
    validation = _part(held, smoothing, False)
    watched = (validation or train) if from_ == "validation" else (train or validation)
    larger = larger_is_better(metric)
    stop = None
    if watched is not None and larger is not None:
        stop = stop_early(watched, larger, patience)
    best = None if stop is None else _best(watched, larger)
    rate_steps, rates = _rates(run)
    return EpochCurve(
        run.name,
        run.source,
        metric,
        metric_title(metric),
        larger,
        train,
        validation,
        watched.part if watched else "",
        None if best is None or watched is None else int(watched.steps[best]),
        float("nan") if best is None or watched is None else float(watched.values[best]),
        stop,
        smoothing,
        bool(train is not None and (train.places < train.steps).any()),
        rate_steps,
        rates,
        dict(run.config),
        _notes(run, metric, train, validation, larger),
    )


def _notes(
    run: Run,
    metric: str,
    train: LoggedPart | None,
    validation: LoggedPart | None,
    larger: bool | None,
) -> tuple[str, ...]:
    notes = [note for one in (train, validation) if one for note in one.notes]
    if undrawn := not_drawn(run, metric):
        notes.append(undrawn)
    if train is None and validation is None:
        notes.append(f"{run.name} did not log {quoted(metric)}.")
    elif larger is None:
        notes.append(
            f"Whether {quoted(metric)} should be high or low is not known from its name, so no "
            "epoch is called the best."
        )
    return tuple(dict.fromkeys(notes))


def not_drawn(run: Run, metric: str) -> str:
    """Said of a run that logged validation and test rows: the test rows are left alone."""
    if run.get(metric, "validation") is None or run.get(metric, "test") is None:
        return ""
    return (
        f"{run.name} logged its {in_sentence(metric_title(metric))} on validation and on test rows;"
        " drawn and judged are the validation rows, and the test rows are left for the end."
    )


def _part(series: Series | None, smoothing: float, half_epoch: bool) -> LoggedPart | None:
    if series is None or not len(series.steps):
        return None
    kept, notes = in_order(series)
    steps = np.asarray(series.steps, np.int64)[kept]
    values = np.asarray(series.values, np.float64)[kept]
    shift = 0.5 if half_epoch and series.unit == "epoch" else 0.0
    return LoggedPart(
        series.part,
        series.unit,
        steps,
        steps.astype(np.float64) - shift,
        values,
        smooth(steps, values, smoothing),
        len(series.steps),
        notes,
    )


def _rates(run: Run) -> tuple[Ints, Floats]:
    found = next((one for one in run.series if one.metric == RATE), None)
    if found is None:
        return np.zeros(0, np.int64), np.zeros(0)
    kept, _ = in_order(found)
    steps = np.asarray(found.steps, np.int64)[kept]
    return steps, np.asarray(found.values, np.float64)[kept]


def in_order(series: Series) -> tuple[Ints, tuple[str, ...]]:
    """Positions to show, by rising step, and sentences on what was done.

    Where every step was logged once, they are only sorted. Where a log goes back to an earlier
    step, what it says from there on replaces what it had said, as in TensorBoard: a run that was
    started again from a checkpoint repeats the steps behind it.
    """
    steps = np.asarray(series.steps, np.int64)
    back = np.flatnonzero(np.diff(steps) < 0)
    if not len(back) and bool((np.diff(steps) > 0).all()):
        return np.arange(len(steps)), ()
    what = f"{metric_title(series.metric)} on {series.part} rows" if series.part else series.metric
    if len(np.unique(steps)) == len(steps):
        return np.argsort(steps, kind="stable"), (
            f"{what}: {_several(series.unit)} were logged out of order "
            f"({plural(len(back), 'time')}) and are sorted here.",
        )
    later = np.append(np.minimum.accumulate(steps[::-1])[::-1][1:], np.iinfo(np.int64).max)
    kept = np.flatnonzero(steps < later)
    return kept, (_repeated(what, series.unit, steps, back, len(kept)),)


def _repeated(what: str, unit: str, steps: Ints, back: Ints, n_kept: int) -> str:
    shown = f"{count(n_kept)} of {plural(len(steps), 'logged value')} are shown"
    if not len(back):
        again = f"some {_several(unit)} were logged more than once; the last value counts"
        return f"{what}: {again}. {shown}."
    places = listing([count(float(steps[k + 1])) for k in back], 4)
    return (
        f"{what}: the log goes back {plural(len(back), 'time')}, to {unit} {places}, as when a run "
        f"is started again; what it says last about a {unit} counts. {shown}."
    )


# What is best, and when it is given up


def _best(part: LoggedPart | None, larger: bool | None) -> int | None:
    """Position of the best finite value, the first of equals."""
    if part is None or larger is None or not part.finite.any():
        return None
    worst = -np.inf if larger else np.inf
    values = np.where(part.finite, part.values, worst)
    return int(np.argmax(values) if larger else np.argmin(values))


def stop_early(part: LoggedPart, larger: bool, patience: int) -> EarlyStop | None:
    """Where `keras.callbacks.EarlyStopping` with `min_delta=0` would have ended training.

    It counts logged values in a row that are not better than the best one, NaN among them, and
    stops at `patience`. None where no value is finite. (Keras takes a NaN in the first epoch for
    the best value for ever; here any number is better than NaN.)
    """
    best = _best(part, larger)
    if best is None:
        return None
    sign = -1.0 if larger else 1.0
    values = np.where(np.isnan(part.values), np.inf, sign * part.values)
    so_far = np.minimum.accumulate(values)
    better = np.append(True, values[1:] < so_far[:-1])
    for position, following in pairwise([*np.flatnonzero(better).tolist(), len(values)]):
        if position + patience < following:
            return _stopped(part, larger, patience, position + patience, best)
    return _running(part, patience, best)


def _stopped(part: LoggedPart, larger: bool, patience: int, stop: int, best: int) -> EarlyStop:
    until = _best(_head(part, stop + 1), larger)
    kept = best if until is None else until
    late = best > stop
    return EarlyStop(
        part.part,
        patience,
        int(part.steps[stop]),
        int(part.steps[kept]),
        float(part.values[kept]),
        int(part.steps[best]) if late else None,
        float(part.values[best]) if late else None,
        len(part.steps) - 1 - stop,
    )


def _running(part: LoggedPart, patience: int, best: int) -> EarlyStop:
    return EarlyStop(part.part, patience, None, int(part.steps[best]), float(part.values[best]))


def _head(part: LoggedPart, n: int) -> LoggedPart:
    return replace(
        part,
        steps=part.steps[:n],
        places=part.places[:n],
        values=part.values[:n],
        smoothed=part.smoothed[:n],
    )
