"""`Attributions`: what each feature adds to each answer, in the one form that everything reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ParameterError
from .vocabulary import Label

__all__ = ["Attributions", "Background", "OutputSpace", "normal_quantile"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]


@cache
def normal_quantile(level: float) -> float:
    """Standard errors on either side of a normal value that hold a share `level` of its draws.

    1.96 for .95; the one place where intervals of attributions take their width from.

    Raises
    ------
    ParameterError : outside 0 < level < 1.
    """
    if not 0 < level < 1:
        raise ParameterError(f"A confidence level must fulfil 0 < level < 1, got {level}.")
    return NormalDist().inv_cdf((1 + level) / 2)


class OutputSpace(StrEnum):
    """The unit in which the values of one row add up."""

    PROBABILITY = "probability"
    LOG_ODDS = "log-odds"
    DECISION = "decision value"
    TARGET = "target unit"


@dataclass(frozen=True)
class Background:
    """What "feature unknown" means: the rows that stand in for it, never silently cut.

    Attributes
    ----------
    n, n_given : rows used, of the rows there are; `n` 0 where the model's own training counts
        are used (path-dependent trees).
    how : one plain sentence, "100 rows drawn at random, the same for every model".
    digest : of the positions used, for cache keys.
    rows : those positions in the evaluation set, ascending; none where training counts are used.
    """

    n: int
    n_given: int
    how: str
    digest: str = ""
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Attributions:
    """One model's explanation of n rows: `base_values + values.sum(axis=1)` is the prediction.

    Attributes
    ----------
    model : the display name.
    values : `(n, n_features, n_outputs)` float64, in the unit of `space`.
    base_values : `(n_outputs,)` float64, the mean answer over the background.
    predictions : `(n, n_outputs)` float64, the model's own raw output in the same space.
    data : the explained rows in the person's own columns, `(n, n_features)`, index 0 … n-1; for
        images and sequences the array `(n, …)` whose cells are the features.
    feature_names : the person's own columns; cells of arrays are "pixel 3, 4" or "step 5".
    output_names : one per output: the positive class, every class, or the target's name.
    rows : `(n,)` int64, positions in the evaluation set.
    n_given : rows of the evaluation set.
    engine : the key of the engine; `method` its name for people.
    exact : whether values are exact Shapley values of the stated game.
    additivity_error : largest |base + sum - prediction| over rows and outputs; `tolerance` is
        what was allowed.
    errors : `(n, n_features, n_outputs)` standard errors of sampled values, None where exact.
    cell_shape : shape of one row where features are the cells of an array, else None.
    level : of the intervals that `errors` are shown as.
    notes : sentences to show: engines that were tried and refused, and why; what was capped.
    """

    model: str
    values: FloatArray
    base_values: FloatArray
    predictions: FloatArray
    data: Any
    feature_names: tuple[str, ...]
    output_names: tuple[Label, ...]
    space: OutputSpace
    engine: str
    method: str
    exact: bool
    background: Background
    rows: IntArray
    n_given: int
    additivity_error: float
    tolerance: float
    errors: FloatArray | None = None
    cell_shape: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()
    level: float = 0.95

    def __post_init__(self) -> None:
        n, n_features, n_outputs = self.values.shape
        expected = {
            "base_values": (self.base_values.shape, (n_outputs,)),
            "predictions": (self.predictions.shape, (n, n_outputs)),
            "feature_names": ((len(self.feature_names),), (n_features,)),
            "output_names": ((len(self.output_names),), (n_outputs,)),
            "rows": (self.rows.shape, (n,)),
            "data": ((len(self.data),), (n,)),
        }
        if self.errors is not None:
            expected["errors"] = (self.errors.shape, self.values.shape)
        for name, (given, needed) in expected.items():
            if given != needed:
                raise ParameterError(f"{name} has shape {given}; the values need {needed}.")

    @property
    def n(self) -> int:
        return len(self.rows)

    def output(self, index: int) -> FloatArray:
        """`(n, n_features)` values of one output."""
        return self.values[:, :, index]

    def spread(self) -> FloatArray:
        """`(n, n_features, n_outputs)` half of each value's interval, 0 where it is exact."""
        if self.errors is None:
            return np.zeros_like(self.values)
        wide: FloatArray = normal_quantile(self.level) * self.errors
        return wide

    def take(self, at: IntArray) -> Attributions:
        """The explanation of some of the rows, by place in this one."""
        data = self.data
        data = data.iloc[at].reset_index(drop=True) if isinstance(data, pd.DataFrame) else data[at]
        return replace(
            self,
            values=self.values[at],
            predictions=self.predictions[at],
            data=data,
            rows=self.rows[at],
            errors=None if self.errors is None else self.errors[at],
        )

    def frame(self) -> pd.DataFrame:
        """One row per explained row, feature and output.

        Columns `model, row, output, feature, value, low, high, data, base, prediction`; `low` and
        `high` are the ends of the interval of `level` around a sampled value, and the value itself
        where it is exact.
        """
        n, n_features, n_outputs = self.values.shape
        spread = self.spread()
        cells = np.asarray(self.data, dtype=object).reshape(n, n_features)
        shape = (n, n_features, n_outputs)
        names = np.asarray(self.feature_names, dtype=object)
        outputs = np.empty(n_outputs, dtype=object)
        outputs[:] = self.output_names
        columns = {
            "row": np.broadcast_to(self.rows[:, None, None], shape),
            "output": np.broadcast_to(outputs, shape),
            "feature": np.broadcast_to(names[:, None], shape),
            "value": self.values,
            "low": self.values - spread,
            "high": self.values + spread,
            "data": np.broadcast_to(cells[:, :, None], shape),
            "base": np.broadcast_to(self.base_values, shape),
            "prediction": np.broadcast_to(self.predictions[:, None, :], shape),
        }
        flat = {name: np.asarray(values).reshape(-1) for name, values in columns.items()}
        return pd.DataFrame({"model": self.model, **flat})
