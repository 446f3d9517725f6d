"""Rows like a given one: by what they look like, or by why the model answers as it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Attributions, Label, OutputSpace
from ..errors import NotApplicable, ParameterError
from .attributions import FeatureColumn, column_of, output_position, place_of_row

__all__ = ["NearestRows", "Neighbourhood", "compute_neighbourhood", "nearest_rows"]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]
By = Literal["features", "explanation"]


@dataclass(frozen=True, eq=False)
class NearestRows:
    """The rows nearest to one row, nearest first.

    Attributes
    ----------
    rows : `(k,)` positions in the evaluation set; `distance` `(k,)`: by features the mean over
        features of 0 (equal) to 1 (as far apart as they get); by explanation the root of the sum
        of squares, in the unit of the values.
    predictions : `(k,)` of the same output.
    among : explained rows looked at, of `n_given`.
    """

    model: str
    row: int
    by: By
    output: Label
    rows: Ints
    distance: Floats
    predictions: Floats
    among: int
    n_given: int
    data: pd.DataFrame

    def frame(self) -> pd.DataFrame:
        """Columns row, distance, prediction, then the features of the rows as text."""
        return pd.concat(
            [
                pd.DataFrame(
                    {"row": self.rows, "distance": self.distance, "prediction": self.predictions}
                ),
                self.data,
            ],
            axis=1,
        )


def nearest_rows(
    attributions: Attributions,
    row: int,
    by: By = "features",
    k: int = 10,
    output: Label | None = None,
    *,
    most_features: int = 30,
) -> NearestRows:
    """The `k` explained rows most like `row`.

    By features the distance is Gower's (Biometrics 27, 1971): numbers and dates by their
    difference over the spread from the 1st to the 99th percentile, at most 1; categories 0 or 1;
    a missing value is like another missing value only. The frame holds the `most_features`
    features that move the given row most.

    Raises
    ------
    NotApplicable : the row is not explained.
    ParameterError : an unknown `by`.
    """
    at = place_of_row(attributions, row)
    place = output_position(attributions, output)
    values = attributions.output(place)
    if by == "explanation":
        distance = _euclid(values, at)
    elif by == "features":
        distance = _gower(attributions, at)
    else:
        raise ParameterError(f"by must be features or explanation, got {by!r}.")
    found = _nearest(distance, at, k)
    strongest = np.argsort(-np.abs(values[at]), kind="stable")[:most_features]
    data = {}
    for name in (attributions.feature_names[int(j)] for j in strongest):
        column = column_of(attributions, name)
        data[name] = [column.text(int(i)) for i in found]
    return NearestRows(
        model=attributions.model,
        row=row,
        by=by,
        output=attributions.output_names[place],
        rows=attributions.rows[found].astype(np.int64),
        distance=distance[found],
        predictions=np.asarray(attributions.predictions[found, place], dtype=np.float64),
        among=attributions.n - 1,
        n_given=attributions.n_given,
        data=pd.DataFrame(data, index=range(len(found))),
    )


def _euclid(values: Floats, at: int) -> Floats:
    return np.asarray(np.sqrt(((values - values[at]) ** 2).sum(axis=1)))


def _nearest(distance: Floats, at: int, k: int) -> Ints:
    """Places of the `k` smallest, without the row itself; of equals the first."""
    others = np.flatnonzero(np.arange(len(distance)) != at)
    return others[np.argsort(distance[others], kind="stable")][:k]


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """Other explained rows around one row: how different their values, reasons and answers are.

    Attributes
    ----------
    rows : `(n,)` positions in the evaluation set, without the row itself; at most `most`, of
        which all that are nearest in either way.
    by_features : `(n,)` Gower's distance, 0 to 1; by_reasons : `(n,)` the distance of the
        explanations over `typical`, so that 1 is as different as rows usually are.
    predictions : `(n,)`; `answer` is the model's own for the row.
    near_features, near_reasons : `(n,)` whether a row is among the `k` nearest.
    typical : the median distance of explanations to this row, in the unit of the values.
    n_explained : other explained rows, of `n_given`.
    """

    model: str
    row: int
    output: Label
    space: OutputSpace
    rows: Ints
    by_features: Floats
    by_reasons: Floats
    predictions: Floats
    answer: float
    near_features: npt.NDArray[np.bool_]
    near_reasons: npt.NDArray[np.bool_]
    k: int
    typical: float
    n_explained: int
    n_given: int

    @property
    def n(self) -> int:
        return len(self.rows)

    def frame(self) -> pd.DataFrame:
        """Columns model, output, row, by_features, by_reasons, prediction, difference, near_…"""
        return pd.DataFrame(
            {
                "model": self.model,
                "output": self.output,
                "row": self.rows,
                "by_features": self.by_features,
                "by_reasons": self.by_reasons,
                "prediction": self.predictions,
                "difference": self.predictions - self.answer,
                "near_features": self.near_features,
                "near_reasons": self.near_reasons,
            }
        )


def compute_neighbourhood(
    attributions: Attributions,
    row: int,
    output: Label | None = None,
    *,
    k: int = 10,
    most: int = 500,
) -> Neighbourhood:
    """The explained rows around `row`, the `k` nearest in either way among them.

    Distances as in `nearest_rows`. Beyond `most` rows, those that are not nearest are thinned
    evenly over the distance of their values.

    Raises
    ------
    NotApplicable : the row is not explained, or is the only one that is.
    """
    at = place_of_row(attributions, row)
    if attributions.n < 2:
        raise NotApplicable("No other row is explained, so there is nothing to compare with.")
    place = output_position(attributions, output)
    reasons, features = _euclid(attributions.output(place), at), _gower(attributions, at)
    near, alike = _nearest(features, at, k), _nearest(reasons, at, k)
    order = _nearest(features, at, attributions.n)
    even = np.unique(np.linspace(0, len(order) - 1, min(most, len(order))).astype(np.int64))
    shown = np.unique(np.concatenate([order[even], near, alike]))
    shown = shown[np.argsort(features[shown], kind="stable")]
    typical = float(np.median(np.delete(reasons, at)))
    return Neighbourhood(
        model=attributions.model,
        row=row,
        output=attributions.output_names[place],
        space=attributions.space,
        rows=attributions.rows[shown].astype(np.int64),
        by_features=features[shown],
        by_reasons=reasons[shown] / (typical or 1.0),
        predictions=np.asarray(attributions.predictions[shown, place], dtype=np.float64),
        answer=float(attributions.predictions[at, place]),
        near_features=np.isin(shown, near),
        near_reasons=np.isin(shown, alike),
        k=min(k, attributions.n - 1),
        typical=typical,
        n_explained=attributions.n - 1,
        n_given=attributions.n_given,
    )


def _gower(attributions: Attributions, at: int) -> Floats:
    total = np.zeros(attributions.n)
    for name in attributions.feature_names:
        total += _apart(column_of(attributions, name), at)
    return total / max(1, len(attributions.feature_names))


def _apart(column: FeatureColumn, at: int) -> Floats:
    """`(n,)` from 0 to 1: how far each cell is from that of one row."""
    numbers = column.numbers
    missing = np.isnan(numbers)
    if missing[at]:
        return np.asarray(~missing, dtype=np.float64)
    if column.kind == "category":
        apart = (numbers != numbers[at]) * 1.0
    else:
        low, high = np.percentile(numbers[~missing], [1, 99])
        if not high > low:
            low, high = np.nanmin(numbers), np.nanmax(numbers)
        apart = np.minimum(np.abs(numbers - numbers[at]) / ((high - low) or 1.0), 1.0)
    return np.where(missing, 1.0, apart)
