"""Linear models: each feature adds its coefficient times its distance from the background's mean.

Exact interventional Shapley values of a sum (Štrumbelj and Kononenko 2014,
doi:10.1007/s10115-013-0679-x); scaled columns are summed back to their source by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..contracts import OutputSpace, Work
from .combined_forests import affine_target
from .forest_reading import is_first
from .forests import dense
from .subjects import EngineResult, Game, Subject

__all__ = ["LINEAR", "LinearModels", "linear_parts"]

FloatArray = npt.NDArray[np.floating[Any]]

# Packages of scikit-learn whose `coef_` and `intercept_` are all there is to an answer.
_HOMES = ("linear_model", "svm", "discriminant_analysis", "cross_decomposition")
_LINKED = ("PoissonRegressor", "GammaRegressor", "TweedieRegressor")


class LinearModels:
    """scikit-learn's linear models: values and decision values, log-odds of classes."""

    key, method = "linear", "Linear model, exact"
    game: Game = "interventional"
    exact = True
    level: Literal["raw", "prepared"] = "prepared"

    def refuses(self, subject: Subject, space: OutputSpace) -> str:
        """Why not: no coefficients, a link function, probabilities."""
        estimator, changed = _unchanged(subject.estimator)
        if changed is None:
            return "The target is changed in a way after which a linear sum does not add up."
        kinds = [kind for kind in type(estimator).__mro__ if kind.__module__.startswith("sklearn.")]
        home = kinds[0].__module__.split(".")[1] if kinds else ""
        if home not in _HOMES or getattr(estimator, "coef_", None) is None:
            return f"{type(estimator).__name__} is no linear model."
        if any(kind.__name__ in _LINKED for kind in kinds):
            return "The answer is the exponential of a linear sum, which does not add up."
        if space is OutputSpace.PROBABILITY:
            return "The model is linear in log-odds or decision values, not in probabilities."
        if linear_parts(subject) is None:
            return "The coefficients do not fit the outputs of the model."
        return ""

    def seconds(self, subject: Subject, n_rows: int, n_background: int) -> float:
        """Always next to nothing."""
        return 1e-3 + 1e-8 * n_rows * subject.n_outputs * len(subject.features)

    def explain(
        self,
        subject: Subject,
        rows: Any,
        background: Any,
        space: OutputSpace,
        work: Work,
        options: Mapping[str, Any],
    ) -> EngineResult:
        """Exact values `(n, m, n_outputs)`."""
        work.check()
        parts = linear_parts(subject)
        if parts is None:
            raise AssertionError  # refused before
        coefficients, intercept = parts
        mean = dense(background).astype(np.float64).mean(axis=0)
        distance = dense(rows).astype(np.float64, copy=False) - mean
        values = distance[:, :, None]
        if len(coefficients) == 1:
            values *= coefficients.T[None]
        else:
            values = values * coefficients.T[None]
        return EngineResult(values, mean @ coefficients.T + intercept)


def linear_parts(subject: Subject) -> tuple[FloatArray, FloatArray] | None:
    """Coefficients `(n_outputs, m)` and intercepts `(n_outputs,)`; None where they do not fit."""
    estimator, changed = _unchanged(subject.estimator)
    found = estimator.coef_
    found = found.toarray() if hasattr(found, "toarray") else found
    coefficients = np.atleast_2d(np.asarray(found, dtype=np.float64))
    intercept = np.atleast_1d(np.asarray(getattr(estimator, "intercept_", 0.0), dtype=np.float64))
    wanted = subject.n_outputs
    if len(coefficients) == 1 and wanted == 1 and is_first(subject):
        coefficients, intercept = -coefficients, -intercept
    elif len(coefficients) == 1 and wanted == 2 and hasattr(estimator, "classes_"):
        coefficients = np.concatenate([-coefficients, coefficients])
        intercept = np.concatenate([-intercept, intercept])
    if len(coefficients) != wanted or len(intercept) not in (1, wanted):
        return None
    factors, shifts = (1.0, 0.0) if changed is None else changed
    intercept = np.broadcast_to(intercept, (wanted,)) * factors + shifts
    return coefficients * np.reshape(factors, (-1, 1)), intercept


def _unchanged(estimator: Any) -> tuple[Any, tuple[Any, Any] | None]:
    """The model of a changed target, and factors and shifts from its answer; None: no such."""
    if type(estimator).__name__ != "TransformedTargetRegressor":
        return estimator, (1.0, 0.0)
    return estimator.regressor_, affine_target(estimator)


LINEAR = LinearModels()
