"""Rows like a given one: by what they look like, or by why the model answers as it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Attributions, Label
from ..errors import ParameterError
from .attributions import FeatureColumn, column_of, output_position, place_of_row

__all__ = ["NearestRows", "nearest_rows"]

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
        distance = np.sqrt(((values - values[at]) ** 2).sum(axis=1))
    elif by == "features":
        distance = _gower(attributions, at)
    else:
        raise ParameterError(f"by must be features or explanation, got {by!r}.")
    others = np.flatnonzero(np.arange(attributions.n) != at)
    found = others[np.argsort(distance[others], kind="stable")][:k]
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
        among=len(others),
        n_given=attributions.n_given,
        data=pd.DataFrame(data, index=range(len(found))),
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
