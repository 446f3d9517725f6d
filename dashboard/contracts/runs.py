"""Training runs: what was logged while models were fitted, whatever wrote the log."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ParameterError

__all__ = ["Histograms", "Run", "Scalar", "Series"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
Scalar = str | int | float | bool


@dataclass(frozen=True, eq=False)
class Series:
    """One number over the steps of one run, in the order in which it was logged.

    Attributes
    ----------
    metric : its usual name: "loss", "accuracy", "auc", "learning_rate", …
    part : the rows it was measured on: "train", "validation", "test"; "" where there are none, as
        for a learning rate.
    steps : `(n,)` int64, as logged: epochs counted from 0 or batches; not always increasing.
    values : `(n,)` float64; NaN and infinite ones are kept.
    unit : what a step is: "epoch", "batch", "iteration" or "step".
    wall : `(n,)` seconds since 1970, or None.
    logged_as : the name in the log.
    """

    metric: str
    part: str
    steps: IntArray
    values: FloatArray
    unit: str = "step"
    wall: FloatArray | None = None
    logged_as: str = ""

    def __post_init__(self) -> None:
        n = len(self.steps)
        if len(self.values) != n or (self.wall is not None and len(self.wall) != n):
            raise ParameterError(
                f"Series {self.metric!r} has {n} steps and {len(self.values)} values; they must be "
                "equally many."
            )


@dataclass(frozen=True, eq=False)
class Histograms:
    """The distribution of one array inside a network over the steps of one run.

    Attributes
    ----------
    layer, kind : whose; kind is "weight", "bias", "gradient", "activation" or "".
    steps : `(t,)` int64.
    edges : `(t, b + 1)` float64, increasing.
    counts : `(t, b)` float64.
    logged_as : the name in the log.
    """

    layer: str
    kind: str
    steps: IntArray
    edges: FloatArray
    counts: FloatArray
    logged_as: str = ""


@dataclass(frozen=True, eq=False)
class Run:
    """One fit of one configuration.

    Attributes
    ----------
    name : of the file or folder.
    source : what wrote it: "Keras CSVLogger", "TensorBoard", "XGBoost", …
    series, histograms : what was logged.
    config : hyper-parameters, as far as the log holds them.
    notes : sentences on what was understood, mended or left out.
    """

    name: str
    source: str
    series: tuple[Series, ...] = ()
    histograms: tuple[Histograms, ...] = ()
    config: Mapping[str, Scalar] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of what was measured, loss first; learning rates are none of them."""
        found = dict.fromkeys(one.metric for one in self.series if one.part)
        return tuple(sorted(found, key=lambda name: (name != "loss", list(found).index(name))))

    def get(self, metric: str, part: str) -> Series | None:
        """The series of a metric on some rows, or None."""
        return next((s for s in self.series if s.metric == metric and s.part == part), None)

    def frame(self) -> pd.DataFrame:
        """Columns run, metric, part, unit, step, value; a row for each logged number."""
        parts = [
            pd.DataFrame(
                {
                    "run": self.name,
                    "metric": one.metric,
                    "part": one.part,
                    "unit": one.unit,
                    "step": one.steps,
                    "value": one.values,
                }
            )
            for one in self.series
        ]
        columns = ["run", "metric", "part", "unit", "step", "value"]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)

    @property
    def is_finite(self) -> bool:
        """Whether no logged number is NaN or infinite."""
        return all(bool(np.isfinite(one.values).all()) for one in self.series) and not any(
            isinstance(value, float) and not math.isfinite(value) for value in self.config.values()
        )
