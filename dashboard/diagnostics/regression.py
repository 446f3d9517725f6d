"""Regression fits: true against predicted values, residuals, and what to draw of many rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Predictions
from ..errors import NotApplicable, ParameterError

__all__ = ["DensityGrid", "RegressionFit", "ResidualHistogram", "compute_fit", "residual_edges"]

Floats = npt.NDArray[np.float64]


class DensityGrid(NamedTuple):
    """Weight of the rows in cells: `counts[i, j]` for x in `x_edges[i:i+2]`, y likewise in j."""

    counts: Floats
    x_edges: Floats
    y_edges: Floats


class ResidualHistogram(NamedTuple):
    """Weight `(b,)` of the rows with a residual between `edges[i]` and `edges[i + 1]`."""

    counts: Floats
    edges: Floats


@dataclass(frozen=True, eq=False)
class RegressionFit:
    """All rows of one model and one output; arrays `(n,)` float64, not copied where possible."""

    model: str
    output: str
    y_true: Floats
    y_pred: Floats
    sample_weight: Floats | None = None

    @property
    def n(self) -> int:
        return len(self.y_true)

    @cached_property
    def residual(self) -> Floats:
        """Predicted minus true, units of the target: positive = predicted too high."""
        return self.y_pred - self.y_true

    def frame(self) -> pd.DataFrame:
        """Columns y_true, y_pred, residual (and weight); every row, in the order given."""
        columns: dict[str, Any] = {
            "y_true": self.y_true,
            "y_pred": self.y_pred,
            "residual": self.residual,
        }
        if self.sample_weight is not None:
            columns["weight"] = self.sample_weight
        return pd.DataFrame(columns)

    def sample(self, max_marks: int = 4_000, random_state: int = 0) -> npt.NDArray[np.int64]:
        """Sorted positions of at most `max_marks` rows to draw; all rows when they fit.

        Seeded, and stratified over the predicted values: the rows are put in their order and
        one is drawn from each of `max_marks` equal runs, so that the sample has the spread of
        all rows, tails included, whatever the order of the file.
        """
        if max_marks < 1:
            raise ParameterError(f"max_marks must be at least 1, got {max_marks}.")
        if self.n <= max_marks:
            return np.arange(self.n)
        rng = np.random.default_rng(random_state)
        edges = np.linspace(0, self.n, max_marks + 1).astype(np.int64)
        drawn = rng.integers(edges[:-1], edges[1:])
        # Stable: rows of equal prediction (a stump, a baseline) are spread over the file.
        order = np.argsort(self.y_pred, kind="stable")
        return np.asarray(np.sort(order[drawn]), dtype=np.int64)

    def density(self, n_bins: int = 100, *, residuals: bool = False) -> DensityGrid:
        """Counts on a grid for many rows: true (x) by predicted (y), on equal axes.

        With `residuals` predicted (x) by residual (y).
        """
        if n_bins < 1:
            raise ParameterError(f"n_bins must be at least 1, got {n_bins}.")
        if residuals:
            x, y = self.y_pred, self.residual
            x_edges, y_edges = _edges([x], n_bins), _edges([y], n_bins)
        else:
            x, y = self.y_true, self.y_pred
            x_edges = y_edges = _edges([x, y], n_bins)
        cell = _bin(x, x_edges) * n_bins + _bin(y, y_edges)
        counts = np.bincount(cell, weights=self.sample_weight, minlength=n_bins * n_bins)
        return DensityGrid(counts.reshape(n_bins, n_bins).astype(float), x_edges, y_edges)

    def histogram(self, n_bins: int = 40, *, edges: Floats | None = None) -> ResidualHistogram:
        """Weight of the rows by residual; `edges` from `residual_edges` make models comparable.

        Residuals beyond the given edges are counted in the outermost bins.
        """
        if edges is None:
            edges = residual_edges([self], n_bins)
        counts = np.bincount(
            _bin(self.residual, edges), weights=self.sample_weight, minlength=len(edges) - 1
        )
        return ResidualHistogram(counts.astype(float), edges)


def residual_edges(fits: Sequence[RegressionFit], n_bins: int = 40) -> Floats:
    """Common bin edges `(n_bins + 1,)` for the residuals of several models."""
    if n_bins < 1:
        raise ParameterError(f"n_bins must be at least 1, got {n_bins}.")
    return _edges([fit.residual for fit in fits], n_bins)


def _edges(values: Sequence[Floats], n_bins: int) -> Floats:
    filled = [one for one in values if len(one)]
    low = min((float(one.min()) for one in filled), default=0.0)
    high = max((float(one.max()) for one in filled), default=1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, n_bins + 1)


def _bin(values: Floats, edges: Floats) -> npt.NDArray[np.int64]:
    n_bins = len(edges) - 1
    width = (edges[-1] - edges[0]) / n_bins
    place = np.floor((values - edges[0]) / width).astype(np.int64)
    return np.asarray(np.clip(place, 0, n_bins - 1, out=place), dtype=np.int64)


def compute_fit(predictions: Predictions, output: int | None = None) -> RegressionFit:
    """The fit of one model; `output` chooses among several outputs (by position).

    Raises
    ------
    NotApplicable : a classification, no predicted values, or several outputs and none chosen.
    ParameterError : an output that does not exist.
    """
    target = predictions.target
    if target.task.is_classification:
        raise NotApplicable("Residuals need a numeric target; this one has classes.")
    if predictions.y_pred is None:
        raise NotApplicable(f"{predictions.name} gives no predicted values.")
    y_true, y_pred, name = target.y, predictions.y_pred, target.name
    if y_true.ndim == 2:
        if output is None:
            raise NotApplicable("There are several outputs; choose one to see its residuals.")
        if not 0 <= output < y_true.shape[1]:
            raise ParameterError(f"output must be from 0 to {y_true.shape[1] - 1}, got {output}.")
        y_true, y_pred, name = y_true[:, output], y_pred[:, output], str(target.labels[output])
    elif output not in (None, 0):
        raise ParameterError(f"There is one output; output must be 0 or None, got {output}.")
    return RegressionFit(
        predictions.name,
        name,
        np.asarray(y_true, dtype=np.float64),
        np.asarray(y_pred, dtype=np.float64),
        None if predictions.sample_weight is None else np.asarray(predictions.sample_weight, float),
    )
