"""The rows of one fit, and what is asked of a copy that was fitted on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import RawPredictions, Target, Work

__all__ = ["Task", "Trained", "rows_at"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Trained(Protocol):
    """A copy that was fitted, and its rows.

    Attributes
    ----------
    shared : its columns were prepared by a step fitted on the same rows before.
    notes : what was set anew.
    """

    shared: bool
    notes: tuple[str, ...]

    def on_train(self) -> RawPredictions:
        """Its answers for the rows that it was fitted on."""

    def on_validation(self) -> RawPredictions:
        """Its answers for the rows that it never saw."""


@dataclass(frozen=True, eq=False)
class Task:
    """The rows of one fit.

    Attributes
    ----------
    X : all rows as they are given to the model; train, validation : positions among them.
    target : the truth of all rows; weight : of all rows, or None.
    name : of the model, for sentences.
    data : digest of X and the truth, "" where nothing may be kept between two fits.
    work : whether anybody still waits.
    """

    X: Any
    target: Target
    weight: Floats | None
    train: Ints
    validation: Ints
    name: str
    data: str
    work: Work


def rows_at(X: Any, at: Ints) -> Any:
    """Some rows, by position, as a copy of their own."""
    if isinstance(X, pd.DataFrame):
        return X.iloc[at].reset_index(drop=True)
    return np.asarray(X)[at]
