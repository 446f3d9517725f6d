"""Scores by the number of rows that a model learned from: one curve of one model and metric."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ParameterError

__all__ = ["SizeCurve"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SizeCurve:
    """Scores of one model fitted anew on growing parts of the rows.

    Attributes
    ----------
    model : its display name.
    metric : a name in `metrics.METRICS`, or of a table's column; title : as people read it.
    larger_is_better : which way is up.
    sizes : `(s,)` int64 rows learned from, increasing.
    train, validation : `(s, f)` score of each fold on the rows it was fitted on and on the others;
        NaN where a fold is not done, failed, or has no value.
    fit_seconds : `(s, f)`, NaN where unknown.
    n_given : rows of the data; 0 where unknown.
    folds : how they were divided, in a sentence.
    independent : folds whose validation rows do not overlap, for the spread of a mean: the number
        of folds of one repetition; 0 where unknown.
    deviations : `(s, 2)` standard deviation over folds of the training and validation scores, of a
        table that has no single folds; None = they are computed from the folds.
    n_done, n_fits : fits that are done, failed ones among them, and all.
    notes : what failed, was left out or set anew.
    """

    model: str
    metric: str
    title: str
    larger_is_better: bool
    sizes: Ints
    train: Floats
    validation: Floats
    fit_seconds: Floats
    n_given: int = 0
    folds: str = ""
    independent: int = 0
    n_done: int = 0
    n_fits: int = 0
    notes: tuple[str, ...] = ()
    deviations: Floats | None = None

    def __post_init__(self) -> None:
        shape = self.validation.shape
        if len(shape) != 2 or shape[0] != len(self.sizes):
            raise ParameterError(
                f"A curve of {len(self.sizes)} sizes has validation scores of shape {shape}; "
                "(sizes, folds) is needed."
            )
        if self.train.shape != shape or self.fit_seconds.shape != shape:
            raise ParameterError("Training scores and fit times must have the shape of the others.")
        if len(self.sizes) > 1 and not (np.diff(self.sizes) > 0).all():
            raise ParameterError("The sizes of a curve must increase.")

    @property
    def is_complete(self) -> bool:
        return self.n_done >= self.n_fits

    @property
    def n_folds(self) -> int:
        return int(self.validation.shape[1])

    @property
    def counted(self) -> Ints:
        """`(s,)` folds that have a validation score."""
        return np.asarray(np.isfinite(self.validation).sum(axis=1), dtype=np.int64)

    @property
    def train_mean(self) -> Floats:
        """`(s,)` mean over the folds that are there; NaN where there is none."""
        return _over(self.train, np.mean)

    @property
    def validation_mean(self) -> Floats:
        """`(s,)` mean over the folds that are there; NaN where there is none."""
        return _over(self.validation, np.mean)

    @property
    def train_sd(self) -> Floats:
        """`(s,)` standard deviation over folds, with one degree of freedom less; NaN below two."""
        return _over(self.train, _sd) if self.deviations is None else self.deviations[:, 0]

    @property
    def validation_sd(self) -> Floats:
        """`(s,)` standard deviation over folds, with one degree of freedom less; NaN below two."""
        return _over(self.validation, _sd) if self.deviations is None else self.deviations[:, 1]

    @property
    def seconds(self) -> Floats:
        """`(s,)` mean time of a fit."""
        return _over(self.fit_seconds, np.mean)

    @property
    def gap(self) -> Floats:
        """`(s,)` how much better it is on the rows it learned from, above zero where it is."""
        gap: Floats = self.train_mean - self.validation_mean
        return gap if self.larger_is_better else -gap

    def frame(self) -> pd.DataFrame:
        """Columns model, metric, size, fold, train, validation, fit_seconds; a row for each fit."""
        s, f = self.validation.shape
        return pd.DataFrame(
            {
                "model": self.model,
                "metric": self.metric,
                "size": np.repeat(self.sizes, f),
                "fold": np.tile(np.arange(f), s),
                "train": self.train.reshape(-1),
                "validation": self.validation.reshape(-1),
                "fit_seconds": self.fit_seconds.reshape(-1),
            }
        )


def _over(values: Floats, how: Callable[[Floats], Any]) -> Floats:
    """`how` over the finite values of each row; NaN where it has none."""
    out = np.full(len(values), np.nan)
    for place, row in enumerate(values):
        finite = row[np.isfinite(row)]
        if len(finite):
            out[place] = how(finite)
    return out


def _sd(values: Floats) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")
