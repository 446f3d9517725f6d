"""Searches over parameters: every trial, whatever tool tried them, the unfinished ones too."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import NotApplicable, ParameterError
from ..wording import threshold
from .runs import Scalar

__all__ = ["SearchParameter", "SearchResults", "SearchScore", "TrialStatus"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
TrialStatus = Literal["complete", "partial", "failed", "running", "waiting"]
_STATUSES: tuple[TrialStatus, ...] = ("complete", "partial", "failed", "running", "waiting")
Scale = Literal["linear", "log", "category"]
NOTHING = "None"  # a parameter that was set to None; an absent one has no value at all
_SPREAD_FOR_LOG = 50.0  # largest over smallest value from which a log axis shows more


@dataclass(frozen=True, eq=False)
class SearchParameter:
    """One parameter over all trials.

    Attributes
    ----------
    values : one for each trial: its value, the text "None" where it was set to None, None where
        the trial has no such parameter.
    declared : the ends that the search could have reached, where its file holds them, else None.
    declared_scale : how the search drew values, where its file holds it, else None.
    """

    name: str
    values: tuple[Scalar | None, ...]
    declared: tuple[float, float] | None = None
    declared_scale: Scale | None = None

    @cached_property
    def numbers(self) -> Floats:
        """`(n,)`; nan for values that are no numbers."""
        return np.array([_as_number(value) for value in self.values], dtype=np.float64)

    @property
    def present(self) -> Bools:
        """`(n,)`: the trial has this parameter."""
        return np.array([value is not None for value in self.values], dtype=bool)

    @cached_property
    def is_number(self) -> bool:
        """Numbers throughout, but for None."""
        others = [value for value in self.values if value is not None and value != NOTHING]
        return bool(others) and all(not math.isnan(_as_number(value)) for value in others)

    @cached_property
    def scale(self) -> Scale:
        """How its values lie: as declared, or as they spread."""
        if not self.is_number:
            return "category"
        known = self.numbers[np.isfinite(self.numbers)]
        ends = np.array(self.declared) if self.declared else known
        if not len(known) or ends.min() <= 0 or known.min() <= 0:
            return "linear"
        if self.declared_scale in ("linear", "log"):
            return self.declared_scale
        distinct = np.unique(known)
        if len(distinct) < 3 or distinct[-1] / distinct[0] < _SPREAD_FOR_LOG:
            return "linear"
        middle = (np.median(distinct) - distinct[0]) / (distinct[-1] - distinct[0])
        return "log" if middle < 0.25 else "linear"

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """The distinct values as text: numbers by size, then the rest in order of appearance."""
        seen = dict.fromkeys(value for value in self.values if value is not None)
        ordered = sorted(
            seen, key=lambda value: (math.isnan(_as_number(value)), _rank(_as_number(value)))
        )
        return tuple(dict.fromkeys(_text(value) for value in ordered))

    def text(self, trial: int) -> str:
        """The value of one trial as shown; "" where it has none."""
        value = self.values[trial]
        return "" if value is None else _text(value)

    def brief(self, trial: int) -> str:
        """The same as a sentence says it: three digits of a fraction; "" where it has none."""
        value = self.values[trial]
        if isinstance(value, float) and math.isfinite(value) and value != round(value):
            return threshold(value)
        return f"{value:,.0f}" if isinstance(value, float) else self.text(trial)


@dataclass(frozen=True, eq=False)
class SearchScore:
    """One metric over all trials.

    Attributes
    ----------
    larger_is_better : None where neither the file nor the metric's name says it.
    validation : `(n,)` mean over the folds, or the one value; nan without one.
    spread : `(n,)` population standard deviation over the folds, or None.
    train : `(n,)` on the training rows, or None.
    folds : `(n, n_folds)`, or None.
    """

    metric: str
    larger_is_better: bool | None
    validation: Floats
    spread: Floats | None = None
    train: Floats | None = None
    folds: Floats | None = None


@dataclass(frozen=True, eq=False)
class SearchResults:
    """All trials of one search.

    Attributes
    ----------
    name : of the file or folder; source : what wrote it.
    trials : what each is called; status : how far each came. "partial": scored on fewer rows or
        epochs than others, so that its score does not compare with theirs.
    parameters : in the order of the file; scores : the metrics, the one searched for first.
    fit_seconds : `(n,)` mean seconds of a fit, or None.
    resource : `(n,)` rows or epochs that each was given, where they differ, called
        `resource_name`; or None.
    notes : sentences on what was understood, mended or left out.
    """

    name: str
    source: str
    trials: tuple[str, ...]
    status: tuple[TrialStatus, ...]
    parameters: tuple[SearchParameter, ...]
    scores: tuple[SearchScore, ...]
    fit_seconds: Floats | None = None
    resource: Floats | None = None
    resource_name: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.trials)
        lengths = [len(self.status), *(len(one.values) for one in self.parameters)]
        lengths += [len(one.validation) for one in self.scores]
        if any(length != n for length in lengths):
            raise ParameterError(
                f"The search {self.name!r} has {n} trials and values for {sorted(set(lengths))}; "
                "each trial needs one status, one value of each parameter and of each metric."
            )

    def __len__(self) -> int:
        return len(self.trials)

    @property
    def counts(self) -> dict[TrialStatus, int]:
        """How many trials came how far, in the order complete … waiting."""
        return {one: self.status.count(one) for one in _STATUSES if one in self.status}

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(one.metric for one in self.scores)

    def score(self, metric: str | None = None) -> SearchScore:
        """One metric; without a name the first.

        Raises
        ------
        ParameterError : there is no such metric.
        NotApplicable : no trial has any score.
        """
        if not self.scores:
            raise NotApplicable(f"No trial of {self.name} has a score yet.")
        found = next((one for one in self.scores if metric in (None, one.metric)), None)
        if found is None:
            raise ParameterError(
                f"The search {self.name} has no metric {metric!r}; it has {list(self.metrics)}."
            )
        return found

    def parameter(self, name: str) -> SearchParameter:
        """One parameter.

        Raises
        ------
        ParameterError : there is none of this name.
        """
        found = next((one for one in self.parameters if one.name == name), None)
        if found is None:
            raise ParameterError(
                f"The search {self.name} has no parameter {name!r}; it has "
                f"{[one.name for one in self.parameters]}."
            )
        return found

    @property
    def varied(self) -> tuple[SearchParameter, ...]:
        """The parameters with more than one value, where being absent is one."""
        return tuple(one for one in self.parameters if len(set(one.values)) > 1)

    def comparable(self, metric: str | None = None) -> Bools:
        """`(n,)`: complete trials with a finite score."""
        complete = np.array([status == "complete" for status in self.status], dtype=bool)
        return np.asarray(complete & np.isfinite(self.score(metric).validation))

    def best(self, metric: str | None = None) -> int | None:
        """The place of the best complete trial, the first of equals; None where that is unknown."""
        score, fit = self.score(metric), self.comparable(metric)
        if score.larger_is_better is None or not fit.any():
            return None
        signed = score.validation if score.larger_is_better else -score.validation
        return int(np.argmax(np.where(fit, signed, -np.inf)))

    def ranks(self, metric: str | None = None) -> Floats:
        """`(n,)` from 1 for the best, ties sharing the smallest; nan where not comparable."""
        score, fit = self.score(metric), self.comparable(metric)
        out = np.full(len(self), np.nan)
        if score.larger_is_better is None:
            return out
        known = score.validation[fit] * (-1 if score.larger_is_better else 1)
        out[fit] = np.searchsorted(np.sort(known), known, side="left") + 1
        return out

    def frame(self, metric: str | None = None) -> pd.DataFrame:
        """One row a trial, none left out: rank, trial, status, parameters, scores, seconds.

        A metric has up to three columns: its name, with " (sd)" and with " (train)".
        """
        columns: dict[str, Any] = {}
        if self.scores:
            columns["rank"] = pd.array(self.ranks(metric), dtype="Float64").astype("Int64")
        columns |= {"trial": list(self.trials), "status": list(self.status)}
        if self.resource is not None:
            columns[self.resource_name or "resource"] = self.resource
        taken = {*columns, *self.metrics, "fit seconds"}
        for one in self.parameters:
            name = one.name if one.name not in taken else f"{one.name} (parameter)"
            plain = one.is_number and NOTHING not in one.values
            columns[name] = one.numbers if plain else [one.text(k) for k in range(len(self))]
        for score in self.scores:
            columns[score.metric] = score.validation
            if score.spread is not None:
                columns[f"{score.metric} (sd)"] = score.spread
            if score.train is not None:
                columns[f"{score.metric} (train)"] = score.train
        if self.fit_seconds is not None:
            columns["fit seconds"] = self.fit_seconds
        return pd.DataFrame(columns)


def _as_number(value: Scalar | None) -> float:
    """nan for everything but numbers; truth values are words."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def _rank(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
