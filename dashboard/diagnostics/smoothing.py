"""Smoothing of logged numbers as TensorBoard does, but aware of steps and of what is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ParameterError

__all__ = ["robust_limits", "smooth"]

Floats = npt.NDArray[np.float64]


def smooth(steps: npt.ArrayLike, values: npt.ArrayLike, weight: float) -> Floats:
    """Exponential moving average without the pull towards zero at its start.

    Each value is the mean of all values up to it, one that lies `d` typical steps back weighted
    by `weight ** d`. On evenly spaced, finite values that is TensorBoard's formula (its
    `classicSmoothing`: debiased, a constant series as it is); where steps are missing, what was
    before counts less, as Weights & Biases' time-weighted average does.

    Parameters
    ----------
    steps : `(n,)` not decreasing; values : `(n,)`, NaN and infinite ones allowed.
    weight : in [0, 1); 0 leaves the values as they are.

    Returns
    -------
    smoothed : `(n,)`; what is not finite stays as it is and counts in no other value.

    Raises
    ------
    ParameterError : weight outside of [0, 1), or arrays of different lengths.
    """
    at, given = np.asarray(steps, np.float64), np.asarray(values, np.float64)
    if not 0 <= weight < 1:
        raise ParameterError(f"Smoothing must be from 0 to below 1, got {weight}.")
    if at.shape != given.shape:
        raise ParameterError(f"{len(at)} steps and {len(given)} values; they must be equally many.")
    smoothed, finite = given.copy(), np.isfinite(given)
    kept = given[finite]
    if weight == 0 or len(kept) < 2 or bool((kept == kept[0]).all()):
        return smoothed
    unit = _typical_step(at)
    decay = np.append(0.0, weight ** (np.diff(at[finite]) / unit))
    smoothed[finite] = _accumulate(decay, kept) / _accumulate(decay, np.ones(len(kept)))
    return smoothed


def _typical_step(steps: Floats) -> float:
    gaps = np.diff(steps)
    gaps = gaps[gaps > 0]
    return float(np.median(gaps)) if len(gaps) else 1.0


def _accumulate(decay: Floats, values: Floats) -> Floats:
    """`y[i] = decay[i] * y[i - 1] + values[i]`, by doubling the reach: log2(n) passes of numpy."""
    total, factor, reach = values.copy(), decay.copy(), 1
    while reach < len(total) and factor[reach:].any():
        total[reach:] += factor[reach:] * total[:-reach]
        factor[reach:] = factor[reach:] * factor[:-reach]
        reach *= 2
    return total


def robust_limits(values: npt.ArrayLike, share: float = 0.05) -> tuple[float, float] | None:
    """The range without the outer `share` on each side, as TensorBoard leaves out outliers.

    None where nothing is finite or where leaving out would not narrow the range by a third.
    """
    found: Any = np.asarray(values, np.float64)
    found = found[np.isfinite(found)]
    if not len(found):
        return None
    low, high = np.quantile(found, [share, 1 - share])
    whole = float(found.max() - found.min())
    if not high > low or high - low > whole * 2 / 3:
        return None
    air = 0.05 * (high - low)
    return max(float(low - air), float(found.min())), min(float(high + air), float(found.max()))
