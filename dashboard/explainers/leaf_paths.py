"""Path-dependent Shapley values of few rows: all leaves of many trees at once.

For a leaf whose features j each have a share z_j of the training that stays on its path, and a row
that satisfies some of them (o_j is 0 or 1), the value of feature i is, as in `leaf_tables`,
`(o_i - z_i) ∫₀¹ Π_{j≠i} (z_j (1-t) + o_j t) dt`. With P the product over all j, divided by `1 - t`,
that is `-∫P` for a feature that is missed and `∫P / (z_i (1-t) + t) - ∫P` for one that is met: one
sum for each leaf and row, and a product of small matrices. No tables of all patterns are made,
which would dwarf a few rows where trees are deep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import Work
from .forests import Forest, Tree
from .leaf_tables import gauss_points

__all__ = ["LeafPaths", "add_values", "paths_of", "seconds_by_row", "values_by_row"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]

_PART = 6  # bits of a pattern whose products are tabled together
_CELLS = 1 << 18  # numbers at work at once; they stay in the processor's cache
_ROWS, _LEAVES = 256, 8_192  # whose patterns are held at once


@dataclass(frozen=True, eq=False)
class _Level:
    """The nodes of one depth: which are splits and which leaves, and how patterns go on.

    Attributes
    ----------
    splits : `(m,)` places among the nodes; the next level has their left children, then the right.
    first : `(m, 1)` the bit of its feature where the path asks for it the first time, else 0.
    again : `(m, 1)` all bits but that of its feature where the path asked for it before, else all.
    ends : number of features → places of the leaves that so many decide on.
    """

    splits: IntArray
    feature: IntArray
    threshold: FloatArray
    missing_left: BoolArray
    first: IntArray
    again: IntArray
    ends: dict[int, IntArray]

    def below(self, pattern: IntArray, columns: FloatArray, lacking: bool) -> IntArray:
        """The patterns of the next level."""
        asked = columns[self.feature]
        left = asked <= self.threshold[:, None]
        if lacking:
            left |= np.isnan(asked) & self.missing_left[:, None]
        here = pattern[self.splits]
        met, missed = here | self.first, here & self.again
        return np.concatenate([np.where(left, met, missed), np.where(left, missed, met)])


@dataclass(frozen=True, eq=False)
class _Leaves:
    """Leaves that d features decide on: features, z `(L, d)`; values `(L, k)`."""

    features: IntArray
    z: FloatArray
    values: FloatArray


@dataclass(frozen=True, eq=False)
class LeafPaths:
    """Some trees, level by level; `leaves` by the number of features that decide on them."""

    n_trees: int
    levels: tuple[_Level, ...]
    leaves: dict[int, _Leaves]

    @property
    def n_leaves(self) -> int:
        return sum(len(some.z) for some in self.leaves.values())

    def patterns(self, columns: FloatArray) -> dict[int, IntArray]:
        """For each number of features the patterns `(L, n)` of rows `(n_columns, n)`."""
        kind: Any = np.int32 if max(self.leaves, default=0) < 31 else np.int64
        pattern = np.zeros((self.n_trees, columns.shape[1]), dtype=kind)
        lacking = bool(np.isnan(columns).any())
        found: dict[int, list[IntArray]] = {d: [] for d in self.leaves}
        for level in self.levels:
            for d, places in level.ends.items():
                found[d].append(pattern[places])
            pattern = level.below(pattern, columns, lacking)
        return {d: np.concatenate(parts) for d, parts in found.items()}


# ---- reading trees ---------------------------------------------------------------------------


@dataclass(eq=False)
class _Nodes:
    """The nodes of several trees in one numbering."""

    left: IntArray
    right: IntArray
    feature: IntArray
    threshold: FloatArray
    missing_left: BoolArray
    cover: FloatArray
    values: FloatArray


def _nodes(trees: Sequence[Tree], starts: IntArray) -> _Nodes:
    def joined(name: str) -> Any:
        return np.concatenate([getattr(tree, name) for tree in trees])

    sizes = [len(tree.left) for tree in trees]
    shift = np.repeat(starts, sizes)
    left, right = joined("left").astype(np.int64), joined("right").astype(np.int64)
    return _Nodes(
        np.where(left < 0, -1, left + shift),
        np.where(left < 0, -1, right + shift),
        joined("feature").astype(np.int64),
        joined("threshold"),
        joined("missing_left"),
        joined("cover"),
        joined("values"),
    )


@dataclass(eq=False)
class _Reached:
    """The nodes of one depth, with what was asked on the way to each.

    Attributes
    ----------
    asked, z : `(m, width)` the features in the order of the bits of patterns, -1 beyond, and the
        share of the training that stays on the path at the splits by each.
    n_asked : `(m,)` how many they are.
    """

    at: IntArray
    asked: IntArray
    z: FloatArray
    n_asked: IntArray

    def take(self, places: IntArray) -> _Reached:
        return _Reached(self.at[places], self.asked[places], self.z[places], self.n_asked[places])


def paths_of(trees: Sequence[Tree]) -> LeafPaths:
    """The paths of trees without splits by category."""
    starts = np.cumsum([0, *(len(tree.left) for tree in trees)])[:-1]
    nodes, none = _nodes(trees, starts), np.zeros((len(starts), 0))
    here = _Reached(starts, none.astype(np.int64), none, np.zeros(len(starts), dtype=np.int64))
    levels: list[_Level] = []
    leaves: dict[int, list[_Leaves]] = {}
    while len(here.at):
        is_leaf = nodes.left[here.at] < 0
        ends, splits = np.flatnonzero(is_leaf), np.flatnonzero(~is_leaf)
        sizes = here.n_asked[ends]
        by_size = {int(d): ends[sizes == d] for d in np.unique(sizes) if d}
        for d, places in by_size.items():
            some = here.take(places)
            leaves.setdefault(d, []).append(
                _Leaves(some.asked[:, :d], some.z[:, :d], nodes.values[some.at])
            )
        level, here = _next(nodes, here.take(splits), splits, by_size)
        levels.append(level)
    return LeafPaths(len(trees), tuple(levels), {d: _joined(some) for d, some in leaves.items()})


def _next(
    nodes: _Nodes, here: _Reached, splits: IntArray, ends: dict[int, IntArray]
) -> tuple[_Level, _Reached]:
    """How patterns go on from the splits that are here, and what is below them."""
    feature = nodes.feature[here.at]
    same = here.asked == feature[:, None]
    known = same.any(axis=1)
    slot = np.where(known, np.argmax(same, axis=1) if same.size else 0, here.n_asked)
    bit, again = np.int64(1) << slot[:, None], known[:, None]
    level = _Level(
        splits=splits,
        feature=feature,
        threshold=nodes.threshold[here.at],
        missing_left=nodes.missing_left[here.at],
        first=np.where(again, 0, bit),
        again=np.where(again, ~bit, -1),
        ends=ends,
    )
    asked, z = here.asked, here.z
    if slot.max(initial=-1) >= asked.shape[1]:
        asked = np.pad(asked, ((0, 0), (0, 1)), constant_values=-1)
        z = np.pad(z, ((0, 0), (0, 1)), constant_values=1.0)
    asked[np.arange(len(slot)), slot] = feature
    below = np.concatenate([nodes.left[here.at], nodes.right[here.at]])
    z = np.tile(z, (2, 1))
    share = nodes.cover[below] / np.tile(nodes.cover[here.at], 2)
    z[np.arange(len(below)), np.tile(slot, 2)] *= share
    n_asked = np.tile(here.n_asked + ~known, 2)
    return level, _Reached(below, np.tile(asked, (2, 1)), z, n_asked)


def _joined(some: Sequence[_Leaves]) -> _Leaves:
    return _Leaves(
        np.concatenate([one.features for one in some]),
        np.concatenate([one.z for one in some]),
        np.concatenate([one.values for one in some]),
    )


# ---- many trees ------------------------------------------------------------------------------


def seconds_by_row(forest: Forest, n: int) -> float:
    """What `values_by_row` takes for n rows."""
    d, leaves = forest.mean_features, forest.n_leaves
    each = 4e-8 + d * (6e-9 + 1e-9 * (forest.n_outputs - 1))
    return 0.01 + leaves * (4e-6 + n * each)


def values_by_row(forest: Forest, matrix: FloatArray, work: Work) -> FloatArray:
    """Path-dependent values `(n, n_columns, n_outputs)` of rows of the matrix.

    The trees have no splits by category, and at most 62 features on a path.
    """
    from threadpoolctl import threadpool_limits

    found = np.zeros((forest.n_outputs, forest.n_columns, len(matrix)))
    done = 0
    # products of small matrices: further threads would mostly wait for each other
    with threadpool_limits(1, user_api="blas"):
        for trees in _batches(forest.trees):
            work.progress(done, len(forest.trees), f"Tree {done:,} of {len(forest.trees):,}")
            paths = paths_of(trees)
            for start in range(0, len(matrix), _ROWS):
                part = slice(start, start + _ROWS)
                columns = np.ascontiguousarray(matrix[part].T)
                some = np.zeros((*found.shape[:2], columns.shape[1]))
                add_values(paths, columns, some, work.check)
                found[..., part] += some
            done += len(trees)
    return found.transpose(2, 1, 0)


def _batches(trees: Sequence[Tree]) -> Iterator[list[Tree]]:
    """Trees in order, as many at once as have a bounded number of leaves; at least one.

    At most half of them, so that somebody who waits hears of it and can stop it.
    """
    most = max(1, (len(trees) + 1) // 2)
    held: list[Tree] = []
    leaves = 0
    for tree in trees:
        more = int(tree.is_leaf.sum())
        if held and (leaves + more > _LEAVES or len(held) == most):
            yield held
            held, leaves = [], 0
        held.append(tree)
        leaves += more
    if held:
        yield held


# ---- values ----------------------------------------------------------------------------------


def add_values(
    paths: LeafPaths, columns: FloatArray, values: FloatArray, check: Callable[[], None]
) -> None:
    """Add the values of these trees to `(n_outputs, n_columns, n)`, rows given as columns."""
    n = columns.shape[1]
    flat = values.reshape(-1, n)
    for d, patterns in paths.patterns(columns).items():
        leaves = paths.leaves[d]
        size = max(1, _CELLS // ((n + 2**_PART) * (2 * d)))
        for start in range(0, len(leaves.z), size):
            check()
            part = slice(start, start + size)
            some = _Leaves(leaves.features[part], leaves.z[part], leaves.values[part])
            _add(some, patterns[part], flat, values.shape[1])


def _add(leaves: _Leaves, patterns: IntArray, flat: FloatArray, n_columns: int) -> None:
    """Add the values of some leaves with d features to `(n_outputs · n_columns, n)`."""
    from scipy.sparse import csr_matrix

    n_leaves, d = leaves.z.shape
    t, weights = gauss_points(d)
    missed = leaves.z[..., None] * (1 - t)
    met = missed + t
    products = _products(missed, met, weights / (1 - t), patterns)  # (L, n, points)
    ways = np.concatenate([1 / met, np.ones((n_leaves, 1, len(t)))], axis=1)
    sums = ways @ products.transpose(0, 2, 1)  # (L, d + 1, n)
    gains = sums[:, :d]
    for slot in range(d):
        gains[:, slot] *= (patterns >> slot) & 1
    gains -= sums[:, d:]
    places = leaves.features[:, :, None] + n_columns * np.arange(leaves.values.shape[1])
    weighing = np.broadcast_to(leaves.values[:, None], places.shape)
    lines = np.broadcast_to(np.arange(n_leaves * d).reshape(n_leaves, d, 1), places.shape)
    shape = (len(flat), n_leaves * d)
    spread = csr_matrix((weighing.ravel(), (places.ravel(), lines.ravel())), shape=shape)
    flat += spread @ gains.reshape(n_leaves * d, -1)


def _products(
    missed: FloatArray, met: FloatArray, weights: FloatArray, patterns: IntArray
) -> FloatArray:
    """`(L, n, points)` the weighted products of the factors that each pattern stands for."""
    n_leaves, d, points = met.shape
    parts: list[FloatArray] = []
    for start in range(0, d, _PART):
        bits = min(_PART, d - start)
        table = (
            np.ones((n_leaves, 1, points))
            if start
            else np.broadcast_to(weights, (n_leaves, 1, points))
        )
        for j in range(start, start + bits):  # a pattern with bit j follows all those without
            table = np.concatenate([table * missed[:, j, None], table * met[:, j, None]], axis=1)
        at = ((patterns >> start) & (2**bits - 1)) + (np.arange(n_leaves) << bits)[:, None]
        parts.append(table.reshape(-1, points)[at])
    for part in parts[1:]:
        parts[0] *= part
    return parts[0]
