"""What the pairs of a feature must sum to: found without pairs, from answers with features unknown.

For the Shapley interaction index I, summed over all other features j,
`sum I(i, j) = [v(all) - v(all but i)] - [v(i alone) - v(none)]`: the weights of a feature's
contributions telescope (Grabisch and Roubens 1999, doi:10.1007/s001820050125). The four answers
are walks through the trees, so that wrong tables of pairs cannot agree with them by construction.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .forests import Forest, Tree

__all__ = ["pair_sums"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]

MOST_CELLS = 1 << 20  # weights of leaves that are held at once


def pair_sums(forest: Forest, matrix: FloatArray) -> FloatArray:
    """`(n, n_columns, n_outputs)` half of what each feature adds together with all others.

    `matrix` : rows as `forest.matrix` gives them; unknown features follow the training's counts.
    """
    found = np.zeros((len(matrix), forest.n_columns, forest.n_outputs))
    for tree in forest.trees:
        asked = np.unique(tree.players[tree.left >= 0])
        together = max(1, MOST_CELLS // (len(tree.left) * max(1, len(matrix))))
        for at in range(0, len(asked), together):
            some = asked[at : at + together]
            found[:, some] += _of_tree(tree, matrix, some)
    return found


def _of_tree(tree: Tree, matrix: FloatArray, players: IntArray) -> FloatArray:
    """`(n, players, n_outputs)` for one tree, level by level from its root."""
    n = len(matrix)
    # shares of each row that come to each node: the player unknown, and it alone known
    nodes, but = np.zeros(1, dtype=np.int64), np.ones((1, n, len(players)))
    only, whole, none = but.copy(), np.ones((1, n)), np.ones(1)
    found = np.zeros((n, len(players), tree.values.shape[1]))
    while len(nodes):
        is_leaf = tree.left[nodes] < 0
        share = whole[:, :, None] - but - only + none[:, None, None]
        found += np.einsum("lrp,lk->rpk", share[is_leaf], tree.values[nodes[is_leaf]])
        above = nodes[~is_leaf]
        is_own = (tree.players[above][:, None] == players)[:, None, :]
        is_met = _goes_left(tree, above, matrix)
        parts = [_shares(tree, above, child[above]) for child in (tree.left, tree.right)]
        weights: list[FloatArray] = [part[~is_leaf] for part in (but, only, whole, none)]
        sides = [
            _below(weights, is_own, is_met, parts[0]),
            _below(weights, is_own, ~is_met, parts[1]),
        ]
        nodes = np.concatenate([tree.left[above], tree.right[above]]).astype(np.int64)
        but, only, whole, none = (np.concatenate(pair) for pair in zip(*sides, strict=True))
    return found / 2


def _shares(tree: Tree, nodes: IntArray, children: IntArray) -> FloatArray:
    """Of the training rows at each node those that went on to its child; none where none came."""
    above = tree.cover[nodes]
    found: FloatArray = np.divide(
        tree.cover[children], above, out=np.zeros(len(nodes)), where=above > 0
    )
    return found


def _below(
    weights: list[FloatArray], is_own: BoolArray, is_met: BoolArray, share: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """What comes to one child of each node."""
    but, only, whole, none = weights
    met, part = is_met[:, :, None].astype(np.float64), share[:, None, None]
    return (
        but * np.where(is_own, part, met),
        only * np.where(is_own, met, part),
        whole * is_met,
        none * share,
    )


def _goes_left(tree: Tree, nodes: IntArray, matrix: FloatArray) -> BoolArray:
    """`(nodes, n)` whether each row goes left at each of them."""
    columns = matrix[:, tree.feature[nodes]].T
    found: BoolArray = columns <= tree.threshold[nodes][:, None]
    found |= np.isnan(columns) & tree.missing_left[nodes][:, None]
    for at, node in enumerate(nodes.tolist()):
        if node in tree.choices:
            found[at] = tree.goes_left(node, columns[at])
    return found
