"""Shapley values by their definition, for at most ten players: what engines are compared with.

Nothing here shares code with the engines: games are walked or predicted for every coalition.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pandas as pd


def coalitions(m: int) -> list[tuple[int, ...]]:
    return [each for size in range(m + 1) for each in combinations(range(m), size)]


def shapley(worth: dict[tuple[int, ...], np.ndarray], m: int) -> np.ndarray:
    """`(m, …)` from the worth of every coalition of m players."""
    values = []
    for i in range(m):
        total: Any = 0.0
        for each in coalitions(m):
            if i in each:
                continue
            weight = factorial(len(each)) * factorial(m - len(each) - 1) / factorial(m)
            total = total + weight * (worth[tuple(sorted((*each, i)))] - worth[each])
        values.append(total)
    return np.array(values)


def interactions(worth: dict[tuple[int, ...], np.ndarray], m: int) -> np.ndarray:
    """`(m, m, …)` interaction indices, halved; the diagonal makes rows sum to the values."""
    values = shapley(worth, m)
    found = np.zeros((m, m, *np.shape(worth[()])))
    for i, j in combinations(range(m), 2):
        for each in coalitions(m):
            if i in each or j in each:
                continue
            weight = factorial(len(each)) * factorial(m - len(each) - 2) / factorial(m - 1)
            both, one, other = ((*each, i, j), (*each, i), (*each, j))
            change = (
                worth[tuple(sorted(both))]
                - worth[tuple(sorted(one))]
                - worth[tuple(sorted(other))]
                + worth[each]
            )
            found[i, j] = found[j, i] = found[i, j] + weight * change / 2
    for i in range(m):
        found[i, i] = values[i] - found[i].sum(axis=0)
    return found


def mixed(rows: Any, background: Any, known: tuple[int, ...]) -> Any:
    """Every row with every background row, the known columns from the row: `(n · b)` rows."""
    n, b = len(rows), len(background)
    own, other = np.repeat(np.arange(n), b), np.tile(np.arange(b), n)
    if isinstance(rows, pd.DataFrame):
        columns = {
            name: rows[name].take(own).reset_index(drop=True)
            if at in known
            else background[name].take(other).reset_index(drop=True)
            for at, name in enumerate(rows.columns)
        }
        return pd.DataFrame(columns)
    found = background[other].copy()
    found[:, list(known)] = rows[own][:, list(known)]
    return found


def interventional(
    answer: Callable[[Any], np.ndarray], rows: Any, background: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Values `(n, m, k)` and base `(k,)`: unknown columns come from the background rows."""
    n, b, m = len(rows), len(background), rows.shape[1]
    every = coalitions(m)
    tables = [mixed(rows, background, each) for each in every]
    stacked = pd.concat(tables) if isinstance(rows, pd.DataFrame) else np.concatenate(tables)
    if isinstance(stacked, pd.DataFrame):
        stacked = stacked.reset_index(drop=True)
    answers = answer(stacked).reshape(len(every), n, b, -1).mean(axis=2)
    worth = dict(zip(every, answers, strict=True))
    return shapley(worth, m).transpose(1, 0, 2), answers[0].mean(axis=0)


def path_worth(
    forest: Any, matrix: np.ndarray, sources: np.ndarray | None = None
) -> dict[tuple[int, ...], np.ndarray]:
    """The worth `(n, k)` of every coalition by walking the trees: unknown splits are averaged.

    `sources` says which player each column of the matrix belongs to; without it each is one.
    """
    sources = np.arange(matrix.shape[1]) if sources is None else sources
    m = int(sources.max()) + 1
    return {
        known: np.array(
            [
                forest.base + sum(_walk(tree, 0, row, columns) for tree in forest.trees)
                for row in matrix
            ]
        )
        for known in coalitions(m)
        for columns in [tuple(np.flatnonzero(np.isin(sources, known)))]
    }


def _walk(tree: Any, node: int, row: np.ndarray, known: tuple[int, ...]) -> np.ndarray:
    left, right = tree.left[node], tree.right[node]
    if left < 0:
        return tree.values[node]
    feature = tree.feature[node]
    if feature in known:
        goes_left = tree.goes_left(node, row[feature : feature + 1])[0]
        return _walk(tree, left if goes_left else right, row, known)
    parts = [tree.cover[child] / tree.cover[node] for child in (left, right)]
    return parts[0] * _walk(tree, left, row, known) + parts[1] * _walk(tree, right, row, known)


def catboost_worth(
    estimator: Any, pool: Any, told: dict[str, Any], features: list[list[int]]
) -> Any:
    """Worth of every coalition for symmetric trees, by the leaves that CatBoost itself names.

    `features` lists for each tree the one column of each split; bit j of a leaf's number says
    whether split j is met. The last split is asked first.
    """
    leaves = np.asarray(estimator.calc_leaf_indexes(pool)).astype(int)
    scale, bias = told["scale_and_bias"]
    m = pool.num_col()
    k = len(bias)
    worth = {}
    for known in coalitions(m):
        answer = np.tile(np.asarray(bias, dtype=float), (len(leaves), 1))
        for at, tree in enumerate(told["oblivious_trees"]):
            depth = len(tree.get("splits") or [])
            values = np.asarray(tree["leaf_values"]).reshape(2**depth, k) * scale
            weights = np.asarray(tree["leaf_weights"], dtype=float)
            for row, leaf in enumerate(leaves[:, at]):
                answer[row] += _below(values, weights, features[at], leaf, known, depth)
        worth[known] = answer
    return worth


def _below(
    values: np.ndarray, weights: np.ndarray, columns: list[int], leaf: int, known: Any, depth: int
) -> np.ndarray:
    """Mean of the leaves that agree with what is known, split by split from the last one."""
    if depth == 0:
        return values[0]
    half = 2 ** (depth - 1)
    sides = [(values[:half], weights[:half]), (values[half:], weights[half:])]
    parts = [_below(v, w, columns, leaf % half, known, depth - 1) for v, w in sides]
    if columns[depth - 1] in known:
        return parts[leaf // half % 2]
    total = weights.sum()
    share = weights[half:].sum() / total if total > 0 else 0.0
    return (1 - share) * parts[0] + share * parts[1]
