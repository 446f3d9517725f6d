"""Which coalitions of features are asked, and how their answers become Shapley values.

Exact: the definition (Shapley, 1953). Kernel: weighted least squares under the constraint that the
values add up (Lundberg & Lee, 2017), small and large coalitions enumerated, the rest drawn with
their complements (Covert & Lee, 2021). Permutations: each forwards and backwards (Castro et al.,
2009; Mitchell et al., 2022), one background row each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import comb, factorial

import numpy as np
import numpy.typing as npt

from ..contracts import normal_quantile
from .subjects import FloatArray, IntArray

__all__ = [
    "Coalitions",
    "all_coalitions",
    "chains",
    "draw_coalitions",
    "neighbours_mean",
    "shapley",
    "solve",
    "stratified_mean",
]

BoolArray = npt.NDArray[np.bool_]
GROUPS = 10
FEW_DRAWS = 20


@lru_cache(maxsize=16)
def all_coalitions(f: int) -> BoolArray:
    """`(2 ** f, f)`: feature j is in coalition c where bit j of c is set."""
    bits: BoolArray = (np.arange(1 << f)[:, None] >> np.arange(f)) & 1 == 1
    return bits


def shapley(worth: FloatArray) -> FloatArray:
    """`(f, k)` Shapley values of games of which `worth` `(2 ** f, k)` is that of each coalition."""
    f = len(worth).bit_length() - 1
    everyone, size = np.arange(1 << f), all_coalitions(f).sum(axis=1)
    weight = np.array([factorial(s) * factorial(f - s - 1) / factorial(f) for s in range(f)])
    values = np.zeros((f, worth.shape[1]))
    for j in range(f):
        without = everyone[(everyone >> j) & 1 == 0]
        # differences first: a feature that changes nothing gets exactly nothing
        values[j] = weight[size[without]] @ (worth[without | (1 << j)] - worth[without])
    return values


@dataclass(frozen=True, eq=False)
class Coalitions:
    """What a kernel estimate asks.

    Attributes
    ----------
    masks : `(m, f)`, without the empty and the full coalition.
    weights : `(m,)`; they sum to the weight of the whole kernel.
    groups : `(m,)`: −1 for enumerated coalitions, else 0 … n_groups − 1, pairs together.
    """

    masks: BoolArray
    weights: FloatArray
    groups: IntArray

    @property
    def n_groups(self) -> int:
        return int(self.groups.max()) + 1


def draw_coalitions(f: int, m: int, rng: np.random.Generator) -> Coalitions:
    """About `m` coalitions of f ≥ 2 features, in pairs of complements; all of them if few."""
    sizes = np.arange(1, f // 2 + 1)
    mass = (f - 1) / (sizes * (f - sizes)) * np.where(2 * sizes == f, 1.0, 2.0)
    counts = np.array([comb(f, int(s)) * (1 if 2 * s == f else 2) for s in sizes], dtype=float)
    left, done = float(m), 0
    while done < len(sizes) and left * mass[done] / mass[done:].sum() >= counts[done] - 1e-9:
        left -= counts[done]
        done += 1
    masks, weights, groups = [], [], []
    for at in range(done):
        whole = _subsets_of_size(f, int(sizes[at]))
        masks.append(whole)
        weights.append(np.full(len(whole), mass[at] / len(whole)))
        groups.append(np.full(len(whole), -1))
    if done < len(sizes):
        pairs = max(GROUPS, int(left) // 2)
        drawn = _draw_pairs(f, sizes[done:], mass[done:], pairs, rng)
        masks.append(drawn)
        weights.append(np.full(2 * pairs, mass[done:].sum() / (2 * pairs)))
        groups.append(np.tile(np.arange(pairs) % GROUPS, 2))
    return Coalitions(np.concatenate(masks), np.concatenate(weights), np.concatenate(groups))


def _subsets_of_size(f: int, size: int) -> BoolArray:
    """All coalitions of `size` features and of all but `size`."""
    from itertools import combinations

    chosen = np.array(list(combinations(range(f), size)), dtype=np.int64).reshape(-1, size)
    masks = np.zeros((len(chosen), f), dtype=bool)
    masks[np.arange(len(chosen))[:, None], chosen] = True
    return masks if 2 * size == f else np.concatenate([masks, ~masks])


def _draw_pairs(
    f: int, sizes: IntArray, mass: FloatArray, pairs: int, rng: np.random.Generator
) -> BoolArray:
    """Random coalitions, their sizes in exact proportion to `mass`, then the complements."""
    places = (rng.permutation(pairs) + rng.random()) / pairs
    size = sizes[np.searchsorted(np.cumsum(mass) / mass.sum(), places).clip(max=len(sizes) - 1)]
    ranks = rng.random((pairs, f)).argsort(axis=1).argsort(axis=1)
    masks = ranks < size[:, None]
    return np.concatenate([masks, ~masks])


def solve(
    coalitions: Coalitions, worth: FloatArray, total: FloatArray, *, level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Values and standard errors, both `(f, k)`.

    Parameters
    ----------
    worth : `(m, k)` what each coalition adds to the empty one.
    total : `(k,)` what all features add together: the values sum to it exactly.
    level : of the intervals for which the errors are wide enough, few as the groups are.

    The errors are those of leaving out one of ten groups of drawn pairs at a time (jackknife).
    """
    z, w = coalitions.masks.astype(np.float64), coalitions.weights
    n_groups = coalitions.n_groups
    parts = [_moments(z, w, worth, coalitions.groups == g) for g in range(-1, n_groups)]
    fixed, drawn = parts[0], parts[1:]
    if not drawn:
        return _constrained(*fixed, total), np.zeros((z.shape[1], worth.shape[1]))
    whole = [sum((part[side] for part in drawn), np.zeros(())) for side in (0, 1)]
    values = _constrained(fixed[0] + whole[0], fixed[1] + whole[1], total)
    scale = n_groups / (n_groups - 1)
    without = np.array(
        [
            _constrained(
                fixed[0] + scale * (whole[0] - part[0]),
                fixed[1] + scale * (whole[1] - part[1]),
                total,
            )
            for part in drawn
        ]
    )
    variance = (n_groups - 1) * without.var(axis=0)
    return values, np.sqrt(variance) * _few(n_groups - 1, level)


def _moments(
    z: FloatArray, w: FloatArray, worth: FloatArray, at: BoolArray
) -> tuple[FloatArray, FloatArray]:
    weighted = z[at] * w[at, None]
    return weighted.T @ z[at], weighted.T @ worth[at]


def _constrained(a: FloatArray, b: FloatArray, total: FloatArray) -> FloatArray:
    """Least squares with the values of each output summing to `total`."""
    ones = np.ones((len(a), 1))
    solved = np.linalg.lstsq(a, np.concatenate([ones, b], axis=1), rcond=None)[0]
    unit, free = solved[:, :1], solved[:, 1:]
    surplus = (free.sum(axis=0) - total) / unit.sum()
    constrained: FloatArray = free - unit * surplus
    return constrained


@lru_cache(maxsize=256)
def _few(degrees: int, level: float) -> float:
    """How much wider an interval must be for an error known from few differences (Student)."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + level) / 2) / normal_quantile(level))


def chains(
    differ: BoolArray, rng: np.random.Generator
) -> tuple[IntArray, IntArray, IntArray, BoolArray]:
    """Random orders of the features in which two rows differ, walked forwards and backwards.

    Parameters
    ----------
    differ : `(p, f)`, one pair of rows each.

    Returns
    -------
    order : `(p, f)` the features in the order in which they enter, those that do not differ last.
    pair, step : `(m,)` each: which pair, and how many features have entered.
    masks : `(2 m, f)` which features have entered: forwards, then backwards.
    """
    p, f = differ.shape
    order = (rng.random((p, f)) + np.where(differ, 0, 2)).argsort(axis=1)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(f), (p, f)), axis=1)
    length = differ.sum(axis=1)
    steps = np.maximum(length - 1, 0)
    pair = np.repeat(np.arange(p), steps)
    step = np.arange(len(pair)) - np.repeat(np.cumsum(steps) - steps, steps) + 1
    forwards = rank[pair] < step[:, None]
    backwards = (rank[pair] >= (length[pair] - step)[:, None]) & differ[pair]
    return order, pair, step, np.concatenate([forwards, backwards])


def neighbours_mean(draws: FloatArray, *, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Mean `(…)` over `(p, …)` draws of one stratum each, and its standard error.

    The strata are sorted, so that neighbours share most of what is no chance: the error is that
    of their differences. Few draws are taken as unsorted, which can only make it larger.
    """
    p = len(draws)
    squares = (np.diff(draws, axis=0) ** 2).sum(axis=0) / 2
    if p < FEW_DRAWS:
        squares = ((draws - draws.mean(axis=0)) ** 2).sum(axis=0)
    return draws.mean(axis=0), np.sqrt(squares / ((p - 1) * p)) * _few(p - 1, level)


def stratified_mean(
    draws: FloatArray, strata: IntArray, *, level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Mean `(…)` over all strata of the means within them, and its standard error.

    Strata stand together, and some of them hold several draws, whose differences tell the error.
    """
    _, first, times = np.unique(strata, return_index=True, return_counts=True)
    in_order = np.argsort(first)
    starts, times = first[in_order], times[in_order]
    means = np.add.reduceat(draws, starts, axis=0) / times.reshape(-1, *[1] * (draws.ndim - 1))
    apart = draws - np.repeat(means, times, axis=0)
    degrees = len(draws) - len(times)
    within = (apart**2).sum(axis=0) / degrees
    errors = np.sqrt(within * (1.0 / times).sum()) / len(times) * _few(degrees, level)
    return means.mean(axis=0), errors
