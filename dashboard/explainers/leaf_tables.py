"""Shapley values of one leaf, for every pattern of which of its features a row satisfies.

A leaf is reached where all features on its path fit, so its game is a product with one factor for
each feature j: o_j (0 or 1) where j is known, z_j where it is not. The Shapley value of feature i
is then `(o_i - z_i) ∫₀¹ Π_{j≠i} (z_j (1-t) + o_j t) dt`, which a Gauss–Legendre rule of half as
many points as features gives exactly: a polynomial of degree d - 1. (Multilinear extension:
Owen 1972, doi:10.1287/mnsc.18.5.64.) Path-dependent: z_j is the share of the training that went
on. Interventional: the mean over background rows, whose z_j are 0 or 1 themselves, by counts of
their patterns; the integral is then a Beta function.

Patterns are whole numbers: bit j is set where feature j is satisfied.
"""

from __future__ import annotations

from functools import lru_cache
from math import factorial
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "background_pairs",
    "background_tables",
    "bits_of",
    "gauss_points",
    "path_interactions",
    "path_rows",
    "path_tables",
]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]


def bits_of(patterns: IntArray, d: int) -> FloatArray:
    """`(…, d)` zeros and ones."""
    return ((patterns[..., None] >> np.arange(d)) & 1).astype(np.float64)


@lru_cache(maxsize=128)
def gauss_points(d: int) -> tuple[FloatArray, FloatArray]:
    """Points and weights on [0, 1], exact for polynomials of degree d - 1."""
    at, weights = np.polynomial.legendre.leggauss(max((d + 1) // 2, 1))
    return (at + 1) / 2, weights / 2


def path_tables(z: FloatArray, values: FloatArray) -> FloatArray:
    """Path-dependent Shapley values of leaves, for all 2^d patterns in order.

    Parameters
    ----------
    z : `(L, d)` for each leaf and feature, the share of the training that stays on the path.
    values : `(L, 2)` the value of the leaf, and of the leaf beside it, which is reached where all
        but the last feature fit; 0 where that is no leaf.

    Returns
    -------
    `(L, d, 2^d)` float64.
    """
    n_leaves, d = z.shape
    t, weights = gauss_points(d)
    missed = z[..., None] * (1 - t)
    met = missed + t
    products = np.broadcast_to(weights[:, None], (n_leaves, len(t), 1))
    for j in range(d - 1):  # a pattern with bit j follows all those without
        at = np.s_[:, j, :, None]
        products = np.concatenate([products * missed[at], products * met[at]], axis=2)
    table = np.empty((n_leaves, d, 2**d))
    sums = (values[:, 0] - values[:, 1])[:, None] * products.sum(axis=1)
    table[:, -1, : 2 ** (d - 1)] = -z[:, -1:] * sums
    table[:, -1, 2 ** (d - 1) :] = (1 - z[:, -1:]) * sums
    own, beside = values[:, :1], values[:, 1:]
    with_last = (own * met[:, -1] + beside * (1 - met[:, -1]))[..., None]
    without = (own * missed[:, -1] + beside * (1 - missed[:, -1]))[..., None]
    products = np.concatenate([products * without, products * with_last], axis=2)
    # products without feature j, from the patterns that meet it: there its factor is never 0
    rest = (1 / met[:, :-1]) @ products
    for j in range(d - 1):
        met_half = rest[:, j].reshape(n_leaves, -1, 2, 2**j)[:, :, 1]
        halves = table[:, j].reshape(n_leaves, -1, 2, 2**j)
        np.multiply(met_half, -z[:, j, None, None], out=halves[:, :, 0])
        np.multiply(met_half, 1 - z[:, j, None, None], out=halves[:, :, 1])
    return table


def path_rows(z: FloatArray, patterns: IntArray) -> FloatArray:
    """Path-dependent Shapley values `(d, p)` of a leaf of value 1 with shares `(d,)`.

    Parameters
    ----------
    patterns : `(p,)`, where they are fewer than all.
    """
    d = len(z)
    t, weights = gauss_points(d)
    met_bits = bits_of(patterns, d)  # (p, d)
    factors = z[:, None, None] * (1 - t)[:, None] + t[:, None] * met_bits.T[:, None]
    products = np.prod(factors, axis=0) * weights[:, None]
    # a feature with share 0 that is missed: its own change is 0, and all others' products too
    rest = (products * _inverse(factors)).sum(axis=1)
    return np.asarray((met_bits.T - z[:, None]) * rest)


def _inverse(values: FloatArray) -> FloatArray:
    """1 / x, and 0 where x is 0: there every product without it counts for nothing."""
    return np.divide(1.0, values, out=np.zeros_like(values), where=values != 0)


def path_interactions(z: FloatArray, patterns: IntArray) -> FloatArray:
    """Path-dependent Shapley interaction indices of a leaf of value 1, halved as shap does.

    Parameters
    ----------
    z : `(d,)`; patterns : `(p,)`.

    Returns
    -------
    `(d (d-1) / 2, p)` for the pairs of `np.triu_indices(d, 1)`.
    """
    d = len(z)
    t, weights = gauss_points(d - 1)
    met_bits = bits_of(patterns, d).T
    factors = z[:, None, None] * (1 - t)[:, None] + t[:, None] * met_bits[:, None]
    products = np.prod(factors, axis=0) * weights[:, None]
    inverse = _inverse(factors)
    first, second = np.triu_indices(d, 1)
    integral = np.einsum("qp,iqp,iqp->ip", products, inverse[first], inverse[second])
    change = met_bits - z[:, None]
    return np.asarray(0.5 * change[first] * change[second] * integral)


@lru_cache(maxsize=16)
def _beta(d: int) -> tuple[FloatArray, FloatArray]:
    """`(d+1, d+1)` weights of a feature among `a` that the row has alone and `b` that it lacks."""
    alone, lacking = np.zeros((d + 1, d + 1)), np.zeros((d + 1, d + 1))
    for a in range(d + 1):
        for b in range(d + 1 - a):
            if a:
                alone[a, b] = factorial(a - 1) * factorial(b) / factorial(a + b)
            if b:
                lacking[a, b] = -factorial(a) * factorial(b - 1) / factorial(a + b)
    return alone, lacking


def _pair_weights(rows: IntArray, others: IntArray, d: int) -> tuple[FloatArray, FloatArray]:
    """`(rows, others)` weights of features that only the row has, and that only the other has."""
    joint = (rows[:, None] | others) == (1 << d) - 1  # else both miss one feature: always 0
    a = np.bitwise_count(rows[:, None] & ~others).astype(np.int64)
    b = np.bitwise_count(others & ~rows[:, None]).astype(np.int64)
    a, b = np.where(joint, a, 0), np.where(joint, b, 0)
    alone, lacking = _beta(d)
    return alone[a, b], lacking[a, b]


def background_pairs(
    patterns: IntArray, others: IntArray, shares: FloatArray, d: int
) -> FloatArray:
    """Interventional Shapley values `(d, p)` of a leaf of value 1.

    Parameters
    ----------
    patterns : `(p,)` of the explained rows; others : `(b,)` of the background, with the share of
        its rows that have each.
    """
    alone, lacking = _pair_weights(patterns, others, d)
    has, other_has = bits_of(patterns, d), bits_of(others, d)
    found = has * ((alone * shares) @ (1 - other_has))
    found += (1 - has) * ((lacking * shares) @ other_has)
    return np.ascontiguousarray(found.T)


@lru_cache(maxsize=16)
def _everything(d: int) -> FloatArray:
    """`(2^d, d · 2^d)` Shapley values: of every background pattern, those of every other one."""
    every = np.arange(2**d)
    alone, lacking = _pair_weights(every, every, d)
    bits = bits_of(every, d)
    found = alone[..., None] * (bits[:, None] * (1 - bits)) + lacking[..., None] * (
        (1 - bits)[:, None] * bits
    )
    return np.ascontiguousarray(found.transpose(1, 2, 0)).reshape(2**d, -1)


def background_tables(shares: FloatArray, d: int) -> FloatArray:
    """Interventional Shapley values of leaves of value 1, for all 2^d patterns; d is small.

    Parameters
    ----------
    shares : `(L, 2^d)` of the background rows with each pattern.

    Returns
    -------
    `(L, d, 2^d)` float64.
    """
    return (shares @ _everything(d)).reshape(len(shares), d, 2**d)
