"""LIME for one row of a table: a weighted linear model of "the same as in this row or not".

Ribeiro, Singh & Guestrin, 2016, with the choices of their package: quartile bins, an exponential
kernel of width .75 √f, ridge regression, forward selection up to six features and the largest
weights beyond. Other than theirs, neighbours take values that rows really hold, where the package
draws from a normal distribution within the bin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Label, OutputSpace, normal_quantile
from ..wording import count, number
from .effect_grids import places_of
from .effects import Told

__all__ = [
    "Fit",
    "LocalSurrogate",
    "Rule",
    "compute_surrogate",
    "fit_surrogate",
    "kernel_weights",
    "rule_of",
]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

QUARTILES = (25, 50, 75)
FORWARD = 6  # features up to which they are selected one by one
GROUPS = 10
KERNEL_WIDTH = 0.75


@dataclass(frozen=True, eq=False)
class LocalSurrogate:
    """What a linear model says of one row, for one output.

    Attributes
    ----------
    rules : one a feature, what holds for this row: "25.0 < age ≤ 40.0", "colour = red".
    weights : `(f,)` what each rule adds to the answer in the neighbourhood; 0 = not selected.
    errors : `(f,)` standard errors over the neighbours drawn.
    intercept, local : the linear model's own, and its answer to the row.
    prediction : the model's answer to the row.
    score : weighted R² of the linear model over the neighbours: below about .5 it says little.
    row : position in the evaluation set.
    n : neighbours asked; n_reference : rows whose values they hold, of n_given.
    """

    model: str
    output: Label
    space: OutputSpace
    row: int
    features: tuple[str, ...]
    rules: tuple[str, ...]
    weights: FloatArray
    errors: FloatArray
    intercept: float
    local: float
    prediction: float
    score: float
    n: int
    n_reference: int
    n_given: int
    notes: tuple[str, ...] = ()
    level: float = 0.95

    @property
    def spread(self) -> FloatArray:
        """`(f,)` half of the intervals of `level`."""
        wide: FloatArray = normal_quantile(self.level) * self.errors
        return wide

    def order(self) -> IntArray:
        """The selected features, the largest weight first."""
        ranked: IntArray = np.argsort(-np.abs(self.weights), kind="stable")
        selected: IntArray = ranked[self.weights[ranked] != 0]
        return selected

    def frame(self) -> pd.DataFrame:
        """Columns `model, row, output, feature, rule, weight, low, high, rank, n`, of `level`."""
        at = self.order()
        return pd.DataFrame(
            {
                "model": self.model,
                "row": self.row,
                "output": [self.output] * len(at),
                "feature": [self.features[i] for i in at],
                "rule": [self.rules[i] for i in at],
                "weight": self.weights[at],
                "low": (self.weights - self.spread)[at],
                "high": (self.weights + self.spread)[at],
                "rank": np.arange(1, len(at) + 1),
                "n": self.n,
            }
        )


@dataclass(frozen=True, eq=False)
class Rule:
    """A feature's bins: `codes` `(n,)` of all rows, and in words the bin of the one row."""

    codes: IntArray
    text: str


def rule_of(column: pd.Series[Any], feature: str, row: int, reference: IntArray) -> Rule:
    """Quartile bins over the reference rows; categories and missing values are their own bins."""
    kind, places = places_of(column)
    known = np.isfinite(places)
    if kind == "category":
        codes = np.where(known, places, -1).astype(np.int64)
        return Rule(codes, f"{feature} = {column.iloc[row]}" if known[row] else _unknown(feature))
    among = places[reference][known[reference]]
    edges = np.unique(np.percentile(among, QUARTILES)) if len(among) else np.empty(0)
    codes = np.where(known, np.searchsorted(edges, places), -1).astype(np.int64)
    if not known[row]:
        return Rule(codes, _unknown(feature))
    return Rule(codes, _bin_in_words(feature, edges, int(codes[row]), kind == "date"))


def _unknown(feature: str) -> str:
    return f"{feature} is missing"


def _bin_in_words(feature: str, edges: FloatArray, at: int, is_date: bool) -> str:
    shown = [_edge(edge, is_date) for edge in edges]
    if not shown:
        return feature
    if at == 0:
        return f"{feature} ≤ {shown[0]}"
    if at == len(shown):
        return f"{feature} > {shown[-1]}"
    return f"{shown[at - 1]} < {feature} ≤ {shown[at]}"


def _edge(edge: float, is_date: bool) -> str:
    if is_date:
        return f"{pd.Timestamp(edge, unit='ms'):%Y-%m-%d}"
    return count(edge) if edge == round(edge) and abs(edge) < 1e12 else number(edge)


def kernel_weights(same: npt.NDArray[np.bool_]) -> FloatArray:
    """`(n,)` how much each neighbour counts: `(n, f)` which of its bins are those of the row."""
    f = same.shape[1]
    squared = (~same).sum(axis=1).astype(np.float64)
    weights: FloatArray = np.sqrt(np.exp(-squared / (KERNEL_WIDTH**2 * f)))
    return weights


@dataclass(frozen=True, eq=False)
class Fit:
    """`weights`, `errors` `(f,)`, `intercept`, and the weighted R² of one linear model."""

    weights: FloatArray
    errors: FloatArray
    intercept: float
    score: float


def compute_surrogate(
    fit: Fit,
    prediction: float,
    told: Told,
    *,
    row: int,
    rules: Mapping[str, str],
    n: int,
    n_reference: int,
    level: float = 0.95,
) -> LocalSurrogate:
    """The linear model of one output of one model; `rules`: feature → what holds for the row."""
    return LocalSurrogate(
        model=told.model,
        output=told.output,
        space=told.space,
        row=row,
        features=tuple(rules),
        rules=tuple(rules.values()),
        weights=fit.weights,
        errors=fit.errors,
        intercept=fit.intercept,
        local=fit.intercept + float(fit.weights.sum()),
        prediction=prediction,
        score=fit.score,
        n=n,
        n_reference=n_reference,
        n_given=told.n_given,
        notes=told.notes,
        level=level,
    )


def fit_surrogate(same: npt.NDArray[np.bool_], answers: FloatArray, n_features: int) -> Fit:
    """The linear model of one output.

    Parameters
    ----------
    same : `(n, f)`, the row itself first; answers : `(n,)`.
    n_features : at most so many features get a weight.
    """
    z, w = same.astype(np.float64), kernel_weights(same)
    groups = np.arange(len(z)) % GROUPS
    parts = [_moments(z[groups == g], answers[groups == g], w[groups == g]) for g in range(GROUPS)]
    whole = np.sum(parts, axis=0)
    chosen = _selected(whole, min(n_features, z.shape[1]))
    weights, intercept = _ridge(whole, chosen, 1.0)
    without = np.array([_ridge(whole - part, chosen, 1.0 - 1.0 / GROUPS)[0] for part in parts])
    errors = np.sqrt((GROUPS - 1) * without.var(axis=0))
    made = z[:, chosen] @ weights + intercept
    mean = np.average(answers, weights=w)
    total = float((w * (answers - mean) ** 2).sum())
    score = 1.0 - float((w * (answers - made) ** 2).sum()) / total if total > 0 else 1.0
    spread = np.zeros((2, z.shape[1]))
    spread[:, chosen] = weights, errors
    return Fit(spread[0], spread[1], intercept, score)


def _moments(z: FloatArray, y: FloatArray, w: FloatArray) -> FloatArray:
    """`(f + 2, f + 2)` weighted sums of products of 1, z and y: all that a linear model needs."""
    columns = np.concatenate([np.ones((len(z), 1)), z, y[:, None]], axis=1)
    sums: FloatArray = (columns * w[:, None]).T @ columns
    return sums


def _centred(moments: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Covariances with the means taken out: of z with z, of z with y; and both means."""
    z, w = moments[0, 1:-1], moments[0, 0]
    mean, height = z / w, float(moments[0, -1] / w)
    return moments[1:-1, 1:-1] - np.outer(z, mean), moments[1:-1, -1] - z * height, mean, height


def _ridge(moments: FloatArray, chosen: IntArray, alpha: float) -> tuple[FloatArray, float]:
    zz, zy, mean, height = _centred(moments)
    a = zz[np.ix_(chosen, chosen)] + alpha * np.eye(len(chosen))
    weights: FloatArray = np.linalg.lstsq(a, zy[chosen], rcond=None)[0].astype(np.float64)
    return weights, float(height - mean[chosen] @ weights)


def _selected(moments: FloatArray, n_features: int) -> IntArray:
    """Which features get a weight, as the package's `auto` selects them."""
    zz, zy, _, _ = _centred(moments)
    if n_features > FORWARD:
        everyone = np.arange(len(zy))
        size = np.abs(_ridge(moments, everyone, 0.01)[0])
        return np.sort(np.argsort(-size, kind="stable")[:n_features])
    used: list[int] = []
    for _ in range(n_features):
        gains = [-np.inf if j in used else _explained(zz, zy, [*used, j]) for j in range(len(zy))]
        used.append(int(np.argmax(gains)))
    return np.array(used, dtype=np.int64)


def _explained(zz: FloatArray, zy: FloatArray, used: list[int]) -> float:
    """How much of the squares of y a linear model of these features explains."""
    weights = np.linalg.lstsq(zz[np.ix_(used, used)], zy[used], rcond=None)[0]
    return float(zy[used] @ weights)
