"""Intervals: Wilson for shares, bootstrap from sufficient statistics, order statistics.

Nothing here knows a metric. A metric that is a function of sums over rows (or of a table of
counts) is bootstrapped by resampling those sums: `resampled_sums` and `resampled_cells` give
the replicates, the metric's own formula turns all of them into values at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, ndtri

from ..errors import ParameterError

__all__ = [
    "Cells",
    "Estimate",
    "Estimates",
    "Options",
    "check_level",
    "effective_n",
    "logit_interval",
    "median_interval",
    "percentile_interval",
    "resampled_cells",
    "resampled_sums",
    "weighted_median",
    "wilson_interval",
]

Floats = npt.NDArray[np.float64]

BLOCKS = 4_096
"""More rows than these are redrawn as this many random blocks; the standard deviation of the
bootstrap's standard deviation is then 1/sqrt(2 · 4096) = 1.1 %, a quarter of what 1,000
resamples add to the end of an interval."""

DRAWS_AT_ONCE = 500_000
"""Draws turned into counts at once: 4 MB, which stays in the cache of a processor."""

DRAWS_KEPT = 8_000_000
"""Largest table of draws that is kept for the next call, in bytes."""


class Estimate(NamedTuple):
    """A value with its interval; nan where there is none, and then `reason` says why."""

    value: float
    low: float = np.nan
    high: float = np.nan
    reason: str = ""


Estimates = dict[tuple[str, int], Estimate]
"""(metric name, position of the class, label or output; -1 for the whole) → estimate."""


@dataclass(frozen=True)
class Options:
    """How intervals are made: `level` in (0, 1), bootstrap size and seed; rows per class or not."""

    level: float = 0.95
    n_bootstrap: int = 1_000
    random_state: int = 0
    per_class: bool = True


def check_level(level: float) -> float:
    """The level itself.

    Raises
    ------
    ParameterError : outside 0 < level < 1.
    """
    if not 0 < level < 1:
        raise ParameterError(f"Argument level must fulfil 0 < level < 1, got {level}.")
    return level


def effective_n(weight: Any, weight_squared: Any) -> Any:
    """Kish's effective number of rows (Σw)²/Σw²; the number of rows where weights are equal.

    Source: Kish, Survey Sampling (1965), section 8.2.
    """
    weight, weight_squared = np.asarray(weight, float), np.asarray(weight_squared, float)
    out = np.zeros(np.broadcast_shapes(weight.shape, weight_squared.shape))
    return np.divide(weight**2, weight_squared, out=out, where=weight_squared > 0)


def wilson_interval(share: Any, n: Any, level: float = 0.95) -> tuple[Any, Any]:
    """Score interval of a share seen on `n` (effective) rows; nan where `n` is 0.

    Source: Wilson, JASA 22 (1927) 209–212; without continuity correction.
    """
    z = ndtri((1 + check_level(level)) / 2)
    share, n = np.asarray(share, float), np.asarray(n, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = (share + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    low = np.where(share == 0, 0.0, np.clip(centre - half, 0, 1))
    high = np.where(share == 1, 1.0, np.clip(centre + half, 0, 1))
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


def percentile_interval(replicates: Floats, level: float = 0.95) -> tuple[Any, Any]:
    """Percentile bootstrap interval along the first axis; nan replicates are left out."""
    tail = (1 - check_level(level)) / 2
    if np.isnan(replicates).any():
        every = np.isnan(replicates).all(axis=0)
        low, high = np.nanquantile(np.where(every, 0.0, replicates), (tail, 1 - tail), axis=0)
        return np.where(every, np.nan, low), np.where(every, np.nan, high)
    low, high = np.quantile(replicates, (tail, 1 - tail), axis=0)
    return low, high


def logit_interval(value: float, error: float, level: float = 0.95) -> tuple[float, float]:
    """Normal interval on the log-odds scale for a value in [0, 1], so that it stays in there.

    At exactly 0 or 1, where log-odds end, the interval is the value itself.
    """
    z = float(ndtri((1 + check_level(level)) / 2))
    if not np.isfinite(error):
        return np.nan, np.nan
    if not 0 < value < 1:
        return value, value
    spread = z * error / (value * (1 - value))
    centre = logit(value)
    return float(expit(centre - spread)), float(expit(centre + spread))


# ---------------------------------------------------------------- bootstrap of tables of counts


@dataclass(frozen=True, eq=False)
class Cells:
    """Cross table of true (rows) and predicted (columns) classes, `(k, k)` each.

    Attributes
    ----------
    n : rows in a cell; w : their weight; q : the sum of their squared weights.
    """

    n: Floats
    w: Floats
    q: Floats


def resampled_cells(
    cells: Cells, *, n_bootstrap: int, random_state: int
) -> tuple[Floats, Floats, Floats]:
    """Correct, true and predicted weight of each class in stratified bootstrap samples.

    Returns three `(n_bootstrap, k)` arrays. Rows are redrawn within their true class, so the
    counts of a class are multinomial: exact, and independent of the number of rows. With
    weights, the weight of the rows drawn from a cell is drawn from the gamma distribution
    with the right mean and variance.
    """
    rng = np.random.default_rng(random_state)
    k = len(cells.n)
    correct, truth, predicted = (np.zeros((n_bootstrap, k)) for _ in range(3))
    for i in np.flatnonzero(cells.n.sum(axis=1)):
        columns = np.flatnonzero(cells.n[i])
        n = cells.n[i, columns]
        draws = rng.multinomial(round(n.sum()), n / n.sum(), size=n_bootstrap).astype(float)
        weight = _drawn_weight(draws, n, cells.w[i, columns], cells.q[i, columns], rng)
        predicted[:, columns] += weight
        truth[:, i] = weight.sum(axis=1)
        if cells.n[i, i]:
            correct[:, i] = weight[:, np.searchsorted(columns, i)]
    return correct, truth, predicted


def _drawn_weight(
    draws: Floats, n: Floats, w: Floats, q: Floats, rng: np.random.Generator
) -> Floats:
    mean = w / n
    variance = np.maximum(q / n - mean**2, 0)
    varied = variance > 1e-12 * mean**2
    out = draws * mean
    if varied.any():
        shape = mean[varied] ** 2 / variance[varied]
        scale = variance[varied] / mean[varied]
        out[:, varied] = rng.gamma(draws[:, varied] * shape, scale)
    return out


# ----------------------------------------------------------------- bootstrap of sums over rows


def resampled_sums(
    columns: Floats,
    strata: npt.NDArray[Any] | None = None,
    *,
    n_bootstrap: int,
    random_state: int,
    max_rows: int = BLOCKS,
) -> Floats:
    """Column sums of bootstrap samples, `(n_bootstrap, c)`, for columns `(n, c)`.

    Rows are redrawn within strata (codes `(n,)`; None = one stratum). The draws depend on the
    seed and the strata alone, so columns computed together or apart, or for two models, meet
    the same samples. A stratum of more than `max_rows` rows is first summed into that many
    random blocks of equal size, and the blocks are redrawn: same mean and variance, less work.
    """
    if strata is None:
        return _redrawn(columns, n_bootstrap, max_rows, (random_state, 0))
    out = np.zeros((n_bootstrap, columns.shape[1]))
    order = np.argsort(strata, kind="stable")
    ends = np.cumsum(np.bincount(strata))
    for code, (start, end) in enumerate(zip(np.r_[0, ends[:-1]], ends, strict=True)):
        if end > start:
            part = columns[order[start:end]]
            out += _redrawn(part, n_bootstrap, max_rows, (random_state, code))
    return out


def _redrawn(columns: Floats, n_bootstrap: int, max_rows: int, seed: tuple[int, int]) -> Floats:
    if len(columns) > max_rows:
        columns = _block_sums(columns, max_rows, seed)
    n = len(columns)
    draw = _draws if n_bootstrap * n <= DRAWS_KEPT else _draws.__wrapped__
    times = draw(n, n_bootstrap, seed)
    out = np.empty((n_bootstrap, columns.shape[1]))
    step = max(1, DRAWS_AT_ONCE // n)
    for start in range(0, n_bootstrap, step):
        out[start : start + step] = times[start : start + step].astype(float) @ columns
    return out


@lru_cache(maxsize=16)
def _draws(n: int, n_bootstrap: int, seed: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """How often each of `n` rows is drawn in each sample of `n` rows, `(n_bootstrap, n)`.

    Kept, because the next model, metric or threshold on the same rows meets the same samples.
    """
    rng = np.random.default_rng(seed)
    out = np.empty((n_bootstrap, n), dtype=np.uint8)
    step = max(1, DRAWS_AT_ONCE // n)
    for start in range(0, n_bootstrap, step):
        size = min(step, n_bootstrap - start)
        drawn = rng.integers(0, n, (size, n), dtype=np.uint32).astype(np.int64)
        drawn += np.arange(size)[:, None] * n
        out[start : start + size] = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
    out.flags.writeable = False
    return out


def _block_sums(columns: Floats, n_blocks: int, seed: tuple[int, int]) -> Floats:
    n, width = columns.shape
    starts = np.linspace(0, n, n_blocks, endpoint=False).astype(np.int64)
    order = np.random.default_rng((*seed, 1)).permutation(n)
    out = np.empty((n_blocks, width))
    for j in range(width):
        out[:, j] = np.add.reduceat(columns[order, j], starts)
    return out


# -------------------------------------------------------------------------------- the median


def weighted_median(values: Floats, sample_weight: Floats | None = None) -> float:
    """The median; with weights the mean of the lower and upper weighted median, as scikit-learn."""
    if sample_weight is None:
        return float(np.median(values))
    order = np.argsort(values)
    return float(_quantile_of_sorted(values[order], np.cumsum(sample_weight[order]), 0.5))


def _quantile_of_sorted(values: Floats, cumulated: Floats, share: float) -> float:
    wanted = share * cumulated[-1]
    index = min(int(np.searchsorted(cumulated, wanted)), len(values) - 1)
    if cumulated[index] == wanted and index + 1 < len(values):
        more = int(np.searchsorted(cumulated, wanted, side="right"))
        return float((values[index] + values[min(more, len(values) - 1)]) / 2)
    return float(values[index])


def median_interval(
    values: Floats, sample_weight: Floats | None = None, level: float = 0.95
) -> tuple[float, float]:
    """Order statistics around the median: the limit of the percentile bootstrap, without draws.

    Source: Woodruff, JASA 47 (1952) 635–646; with weights on Kish's effective n.
    """
    z = float(ndtri((1 + check_level(level)) / 2))
    weight = np.ones(len(values)) if sample_weight is None else sample_weight
    n = float(effective_n(weight.sum(), (weight**2).sum()))
    if n < 2:
        return np.nan, np.nan
    half = z * 0.5 / np.sqrt(n)
    order = np.argsort(values)
    ordered, cumulated = values[order], np.cumsum(weight[order])
    low = _quantile_of_sorted(ordered, cumulated, max(0.5 - half, 0.0))
    return low, _quantile_of_sorted(ordered, cumulated, min(0.5 + half, 1.0))
