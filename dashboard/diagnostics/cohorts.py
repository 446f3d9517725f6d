"""Attributions of one class beside those of another, and of some rows beside the rest."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Attributions, Label, OutputSpace, normal_quantile
from ..errors import NotApplicable
from ..wording import plural
from .attributions import by_names, column_of, common_features, output_position

__all__ = [
    "ClassAttributions",
    "Cohort",
    "CohortComparison",
    "cohort_of",
    "compute_by_class",
    "compute_cohorts",
]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class ClassAttributions:
    """Mean absolute value of each feature for each class, with intervals over rows.

    Attributes
    ----------
    features : shown ones, strongest over all classes first; the same for all models of one call.
    values, low, high : `(n_shown, n_outputs)`; NaN where a feature is not used.
    limit : the largest value of all models: the end of the colours.
    """

    model: str
    space: OutputSpace
    features: tuple[str, ...]
    n_features: int
    outputs: tuple[Label, ...]
    values: Floats
    low: Floats
    high: Floats
    limit: float
    n: int
    n_given: int
    level: float = 0.95

    def frame(self) -> pd.DataFrame:
        """Columns model, output, feature, value, low, high, n."""
        k = len(self.outputs)
        return pd.DataFrame(
            {
                "model": self.model,
                "output": list(self.outputs) * len(self.features),
                "feature": np.repeat(np.asarray(self.features, dtype=object), k),
                "value": self.values.reshape(-1),
                "low": self.low.reshape(-1),
                "high": self.high.reshape(-1),
                "n": self.n,
            }
        )


def compute_by_class(
    explanations: Sequence[Attributions], *, limit: int = 15
) -> list[ClassAttributions]:
    """How far each feature moves the answer for each class; normal intervals over rows.

    Raises
    ------
    NotApplicable : no model explains more than one output, or no rows are explained.
    """
    several = [one for one in explanations if len(one.output_names) > 1 and one.n]
    if not several:
        raise NotApplicable(
            "There is one output only: what raises one of two classes lowers the other as much."
        )
    features, n_all = _over_all_outputs(several, limit)
    found = [_by_class(one, features, n_all) for one in several]
    if len({one.space for one in found}) > 1:
        return found
    most = max(one.limit for one in found)
    return [replace(one, limit=most) for one in found]


def _over_all_outputs(
    explanations: Sequence[Attributions], limit: int
) -> tuple[tuple[str, ...], int]:
    shares: dict[str, float] = {}
    for one in explanations:
        found = np.abs(one.values).mean(axis=0).sum(axis=1)
        found = found / (found.sum() or 1.0)
        for name, share in zip(one.feature_names, found.tolist(), strict=True):
            shares[name] = shares.get(name, 0.0) + share
    order = sorted(shares, key=lambda name: -shares[name])
    return tuple(order[:limit]), len(order)


def _by_class(one: Attributions, features: tuple[str, ...], n_all: int) -> ClassAttributions:
    places = by_names(one, features)
    size = np.abs(one.values[:, np.maximum(places, 0)])
    mean = size.mean(axis=0)
    error = size.std(axis=0, ddof=1) / np.sqrt(one.n) if one.n > 1 else np.full(mean.shape, np.nan)
    missing = (places < 0)[:, None]
    values = np.where(missing, np.nan, mean)
    wide = normal_quantile(one.level) * error
    return ClassAttributions(
        model=one.model,
        space=one.space,
        features=features,
        n_features=n_all,
        outputs=one.output_names,
        values=values,
        low=np.where(missing, np.nan, np.maximum(mean - wide, 0.0)),
        high=np.where(missing, np.nan, mean + wide),
        limit=float(np.nanmax(values)) if np.isfinite(values).any() else 0.0,
        n=one.n,
        n_given=one.n_given,
        level=one.level,
    )


# ---- cohorts ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cohort:
    """Some rows of the evaluation set, by position, and what they are called."""

    name: str
    rows: frozenset[int]


def cohort_of(
    attributions: Attributions,
    feature: str,
    *,
    low: float | None = None,
    high: float | None = None,
    values: Collection[str] | None = None,
) -> Cohort:
    """The explained rows whose cell lies in `[low, high]`, or whose text is one of `values`.

    Dates are given in seconds since 1970. Missing cells belong to the cohort only where
    `values` holds "missing".

    Raises
    ------
    ParameterError : the model does not use the feature.
    """
    column = column_of(attributions, feature)
    if values is not None:
        wanted = set(values)
        inside = np.asarray([column.text(k) in wanted for k in range(attributions.n)])
        name = f"{feature} = {', '.join(sorted(wanted))}"
    else:
        start = -np.inf if low is None else low
        end = np.inf if high is None else high
        inside = (column.numbers >= start) & (column.numbers <= end)
        name = f"{feature} {_between(column.text_of, low, high)}"
    return Cohort(name, frozenset(int(row) for row in attributions.rows[inside]))


def _between(text: Any, low: float | None, high: float | None) -> str:
    if low is None:
        return "of any value" if high is None else f"up to {text(high)}"
    return f"from {text(low)}" if high is None else f"from {text(low)} to {text(high)}"


@dataclass(frozen=True, eq=False)
class CohortComparison:
    """What features do to the answers of some rows, beside what they do to the rest.

    Attributes
    ----------
    features : shown ones, those that differ most first; the same for all models of one call.
    cohort, rest : `(n_shown,)` mean value (with its sign) in each group.
    difference, low, high : cohort − rest with its interval (Welch's, for unequal spread).
    answer : mean answer of the cohort and of the rest; the differences of *all* features add up
        to the difference of these two.
    """

    model: str
    name: str
    output: Label
    space: OutputSpace
    features: tuple[str, ...]
    n_features: int
    cohort: Floats
    rest: Floats
    difference: Floats
    low: Floats
    high: Floats
    answer: tuple[float, float]
    span: tuple[float, float]
    n_cohort: int
    n_rest: int
    n_given: int
    level: float = 0.95

    @property
    def n(self) -> int:
        return self.n_cohort + self.n_rest

    @property
    def clear(self) -> npt.NDArray[np.bool_]:
        """`(n_shown,)` whether the interval of the difference leaves zero out."""
        return np.asarray((self.low > 0) | (self.high < 0))

    def frame(self) -> pd.DataFrame:
        """Columns model, output, cohort, feature, cohort_mean, rest_mean, value, low, high, n."""
        return pd.DataFrame(
            {
                "model": self.model,
                "output": self.output,
                "cohort": self.name,
                "feature": list(self.features),
                "cohort_mean": self.cohort,
                "rest_mean": self.rest,
                "value": self.difference,
                "low": self.low,
                "high": self.high,
                "n": self.n_cohort,
            }
        )


def compute_cohorts(
    explanations: Sequence[Attributions],
    cohort: Cohort,
    output: Label | None = None,
    *,
    limit: int = 15,
) -> list[CohortComparison]:
    """One comparison per model on the same features.

    Raises
    ------
    NotApplicable : fewer than two explained rows in the cohort or outside it.
    """
    if not explanations:
        raise NotApplicable("No model is explained yet.")
    parts = [_inside(one, cohort) for one in explanations]
    for one, inside in zip(explanations, parts, strict=True):
        n_in, n_out = int(inside.sum()), int((~inside).sum())
        if min(n_in, n_out) < 2:
            raise NotApplicable(
                f"{cohort.name} holds {plural(n_in, 'explained row')} of {one.model} and leaves "
                f"{n_out:,}. Two on either side are needed: explain more rows or widen it."
            )
    features, n_all = _most_different(explanations, parts, output, limit)
    found = [
        _compared(one, inside, cohort, output, features, n_all)
        for one, inside in zip(explanations, parts, strict=True)
    ]
    if len({one.space for one in found}) > 1:
        return found
    span = (min(one.span[0] for one in found), max(one.span[1] for one in found))
    return [replace(one, span=span) for one in found]


def _inside(one: Attributions, cohort: Cohort) -> npt.NDArray[np.bool_]:
    wanted = np.fromiter(cohort.rows, dtype=np.int64, count=len(cohort.rows))
    return np.asarray(np.isin(one.rows, wanted))


def _most_different(
    explanations: Sequence[Attributions],
    parts: Sequence[npt.NDArray[np.bool_]],
    output: Label | None,
    limit: int,
) -> tuple[tuple[str, ...], int]:
    totals: dict[str, float] = dict.fromkeys(common_features(explanations, output, 10**9)[0], 0.0)
    for one, inside in zip(explanations, parts, strict=True):
        values = one.output(output_position(one, output))
        apart = np.abs(values[inside].mean(axis=0) - values[~inside].mean(axis=0))
        apart = apart / (apart.sum() or 1.0)
        for name, share in zip(one.feature_names, apart.tolist(), strict=True):
            totals[name] += share
    order = sorted(totals, key=lambda name: -totals[name])
    return tuple(order[:limit]), len(order)


def _compared(
    one: Attributions,
    inside: npt.NDArray[np.bool_],
    cohort: Cohort,
    output: Label | None,
    features: tuple[str, ...],
    n_all: int,
) -> CohortComparison:
    at = output_position(one, output)
    places = by_names(one, features)
    values = np.where(places >= 0, one.output(at)[:, places], np.nan)
    ours, theirs = values[inside], values[~inside]
    mean, other = ours.mean(axis=0), theirs.mean(axis=0)
    wide = _welch(ours, theirs, one.level)
    low, high = mean - other - wide, mean - other + wide
    ends = np.concatenate([mean, other])
    ends = ends[np.isfinite(ends)]
    answers = one.predictions[:, at]
    return CohortComparison(
        model=one.model,
        name=cohort.name,
        output=one.output_names[at],
        space=one.space,
        features=features,
        n_features=n_all,
        cohort=mean,
        rest=other,
        difference=mean - other,
        low=low,
        high=high,
        answer=(float(answers[inside].mean()), float(answers[~inside].mean())),
        span=_span(ends, other + low, other + high),
        n_cohort=int(inside.sum()),
        n_rest=int((~inside).sum()),
        n_given=one.n_given,
        level=one.level,
    )


def _span(ends: Floats, low: Floats, high: Floats) -> tuple[float, float]:
    """Holds both means, zero, and the whiskers around the cohort's."""
    known = np.concatenate([ends, low, high])
    known = known[np.isfinite(known)]
    if not len(known):
        return -1.0, 1.0
    return min(0.0, float(known.min())), max(0.0, float(known.max()))


def _welch(ours: Floats, theirs: Floats, level: float) -> Floats:
    """Half the width of Welch's interval of the difference of two means, per column."""
    from scipy.stats import t

    a = ours.var(axis=0, ddof=1) / len(ours)
    b = theirs.var(axis=0, ddof=1) / len(theirs)
    both = a + b
    free = np.divide(
        both**2,
        a**2 / (len(ours) - 1) + b**2 / (len(theirs) - 1),
        out=np.full(both.shape, np.inf),
        where=both > 0,
    )
    wide = t.ppf(0.5 + level / 2, free) * np.sqrt(both)
    return np.asarray(np.where(both > 0, wide, np.where(np.isnan(both), np.nan, 0.0)))
