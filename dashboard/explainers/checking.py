"""Whether an engine's values add up to what the model itself answers; else nobody sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .subjects import EngineResult, FloatArray

__all__ = ["Check", "check_result"]

# Relative to the largest answer: rounding of sums in double and in single precision.
DOUBLE, SINGLE = 1e-6, 2e-5
# Standard errors that a sampled row may be off.
SURE = 5.0


@dataclass(frozen=True)
class Check:
    """The largest gap between an answer and the sum of its parts, and what is allowed.

    Attributes
    ----------
    failure : why the values are not shown, "" where they are.
    """

    gap: float
    tolerance: float
    failure: str = ""


def check_result(result: EngineResult, predictions: FloatArray, *, exact: bool, m: int) -> Check:
    """Compare `base + values.sum(axis=1)` with the model's own answers.

    Parameters
    ----------
    predictions : `(n, k)`, what the whole model answers in the same space.
    m : columns that the values must have.
    """
    n, k = predictions.shape
    if result.values.shape != (n, m, k) or result.base.shape != (k,):
        shape = " × ".join(map(str, result.values.shape))
        return Check(0.0, 0.0, f"it gave values of {shape}; {n} × {m} × {k} are needed")
    parts = [result.values, result.base, *([] if result.errors is None else [result.errors])]
    if not all(np.isfinite(part).all() for part in parts):
        return Check(0.0, 0.0, "some of its values are no numbers")
    gaps = np.abs(result.base + result.values.sum(axis=1) - predictions)
    allowed = np.full(gaps.shape, _rounding(result, predictions))
    if not exact and (gaps > allowed).any() and result.errors is not None:
        allowed = allowed + SURE * np.sqrt((result.errors**2).sum(axis=1))
    gap, tolerance = float(gaps.max(initial=0.0)), float(allowed.max(initial=0.0))
    if (gaps > allowed).any():
        return Check(
            gap,
            tolerance,
            f"its values miss the model's own answers by up to {gap:.2g}, and "
            f"{tolerance:.2g} are allowed",
        )
    return Check(gap, tolerance)


def _rounding(result: EngineResult, predictions: FloatArray) -> float:
    """What rounding alone may do."""
    largest = max(
        float(np.abs(predictions).max(initial=0.0)), float(np.abs(result.base).max(initial=0.0))
    )
    single = np.array_equal(predictions.astype(np.float32).astype(np.float64), predictions)
    return (SINGLE if single else DOUBLE) * max(largest, 1e-12)
