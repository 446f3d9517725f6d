"""Exact Shapley values of trees for many rows at once, with categories and missing values.

For each leaf the values depend only on which of the features on its path a row satisfies, so they
are computed once for each such pattern and looked up for every row. The idea is that of WOODELF
(Nadel and Wettenstein, arXiv:2511.09376); the tables are those of `leaf_tables`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..contracts import OutputSpace, Work
from ..errors import NotApplicable
from .forest_reading import forest_of
from .forests import UNITS, Forest, Tree
from .leaf_paths import seconds_by_row, values_by_row
from .leaf_tables import background_pairs, background_tables, path_rows, path_tables
from .subjects import EngineResult, Game, Subject

__all__ = ["BulkTrees", "Leaf", "distinct_patterns", "leaves_of", "patterns_of"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]

MOST_BITS = 62  # different features on one path
_SMALL = 8  # up to so many features all patterns of the background are a matrix product
_DENSE = 1_024  # patterns that are cheaper to make than to look for
_PAIRS = 1 << 20  # pairs of patterns compared at once
_BLOCK = 1 << 18  # numbers of tables made at once; they stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Leaf:
    """A leaf and the features that decide whether it is reached.

    Attributes
    ----------
    beside : the leaf that differs in the last feature only and is computed with this one, or -1.
    features : `(d,)` columns, in the order of the bits of patterns.
    z : `(d,)` share of the training that stays on the path at the splits by each feature.
    """

    node: int
    beside: int
    features: tuple[int, ...]
    z: tuple[float, ...]


def leaves_of(tree: Tree, *, pairs: bool) -> dict[int, Leaf]:
    """The leaves below at least one split, by node; two beside each other as one with `pairs`."""
    found: dict[int, Leaf] = {}
    waiting: list[tuple[int, int, tuple[int, ...], tuple[float, ...]]] = [(0, -1, (), ())]
    cover = np.where(tree.cover > 0, tree.cover, np.nan)
    left, right, asked = tree.left.tolist(), tree.right.tolist(), tree.players.tolist()
    while waiting:
        node, beside, features, z = waiting.pop()
        low, high, feature = left[node], right[node], asked[node]
        if low < 0:
            if features:
                found[node] = Leaf(node, beside, features, z)
            continue
        shares = float(tree.cover[low] / cover[node]), float(tree.cover[high] / cover[node])
        if feature in features:
            at = features.index(feature)
            for child, share in zip((low, high), shares, strict=True):
                waiting.append((child, -1, features, (*z[:at], z[at] * share, *z[at + 1 :])))
            continue
        is_pair = pairs and left[low] < 0 and left[high] < 0
        waiting.append((low, high if is_pair else -1, (*features, feature), (*z, shares[0])))
        if not is_pair:
            waiting.append((high, -1, (*features, feature), (*z, shares[1])))
    return found


def patterns_of(
    tree: Tree, leaves: Mapping[int, Leaf], columns: FloatArray
) -> Iterator[tuple[Leaf, IntArray]]:
    """Each leaf with the patterns `(n,)` of rows, given by columns `(n_columns, n)`."""
    depth = max((len(leaf.features) for leaf in leaves.values()), default=0)
    kind: Any = next(
        kind
        for bits, kind in ((8, np.uint8), (16, np.uint16), (32, np.uint32), (64, np.int64))
        if depth <= bits
    )
    waiting: list[tuple[int, tuple[int, ...], IntArray]] = [
        (0, (), np.zeros(columns.shape[1], dtype=kind))
    ]
    while waiting:
        node, features, pattern = waiting.pop()
        if tree.left[node] < 0:
            if features:
                yield leaves[node], pattern
            continue
        feature = int(tree.players[node])
        goes_left = tree.goes_left(node, columns[tree.feature[node]])
        known = feature in features
        at = kind(features.index(feature) if known else len(features))
        below = features if known else (*features, feature)
        for child, met in ((int(tree.left[node]), goes_left), (int(tree.right[node]), ~goes_left)):
            if tree.left[child] < 0 and child not in leaves:
                continue  # computed with the leaf beside it
            if known:
                waiting.append((child, below, pattern & ~((~met).astype(kind) << at)))
            else:
                waiting.append((child, below, pattern | (met.astype(kind) << at)))


class BulkTrees:
    """Both games; one pass over the trees serves all rows and outputs."""

    exact = True
    level: Literal["raw", "prepared"] = "prepared"

    def __init__(self, key: str, method: str, game: Game) -> None:
        self.key, self.method, self.game = key, method, game

    def refuses(self, subject: Subject, space: OutputSpace) -> str:
        """Why not: no readable trees, another unit, incomplete counts."""
        try:
            forest = forest_of(subject)
        except NotApplicable as reason:
            return str(reason)
        if not forest.in_space(space):
            return f"The trees add up to {UNITS[forest.unit]}, not to the {space.value}."
        if self.game == "path-dependent" and not forest.passable:
            return "The trees hold no counts of the training rows for some of their splits."
        if forest.widest > MOST_BITS:
            return f"Some paths of its trees ask for more than {MOST_BITS} different features."
        return ""

    def seconds(self, subject: Subject, n_rows: int, n_background: int) -> float:
        """From the sizes of the leaves' tables and the number of look-ups."""
        forest = forest_of(subject)
        if self.game == "path-dependent":
            by_table = _seconds_by_table(forest, n_rows)
            if forest.has_choices or forest.is_merged:
                return by_table
            return min(by_table, seconds_by_row(forest, n_rows))
        d, leaves = forest.mean_features, forest.n_leaves
        each = 5e-5 if d <= _SMALL else 3e-4
        return 0.02 + _seconds_of_looking(forest, n_rows) + leaves * each

    def explain(
        self,
        subject: Subject,
        rows: Any,
        background: Any,
        space: OutputSpace,
        work: Work,
        options: Mapping[str, Any],
    ) -> EngineResult:
        """Exact values `(n, m, n_outputs)`; `background` is not used by the path-dependent game."""
        forest = forest_of(subject)
        others = None if self.game == "path-dependent" else forest.matrix(background)
        base = forest.expectation if others is None else forest.predict(others).mean(axis=0)
        values = self.on_matrix(forest, forest.matrix(rows), others, work)
        return EngineResult(forest.spread(values), base)

    def on_matrix(
        self, forest: Forest, matrix: FloatArray, others: FloatArray | None, work: Work
    ) -> FloatArray:
        """Values `(n, n_columns, n_outputs)` for rows of the matrix, against background rows.

        Few rows are computed leaf by leaf and row by row, which takes no tables of patterns.
        """
        n = len(matrix)
        few = others is None and not forest.has_choices and not forest.is_merged
        if few and seconds_by_row(forest, n) < _seconds_by_table(forest, n):
            return values_by_row(forest, matrix, work)
        return self.by_tables(forest, matrix, others, work)

    def by_tables(
        self, forest: Forest, matrix: FloatArray, others: FloatArray | None, work: Work
    ) -> FloatArray:
        """The same from tables of patterns, whatever the number of rows."""
        from threadpoolctl import threadpool_limits

        columns = np.ascontiguousarray(matrix.T)
        beside = None if others is None else np.ascontiguousarray(others.T)
        values = np.zeros((forest.n_outputs, forest.n_columns, len(matrix)))
        # products of small matrices: further threads would mostly wait for each other
        with threadpool_limits(1, user_api="blas"):
            for at, tree in enumerate(forest.trees):
                work.progress(at, len(forest.trees), f"Tree {at + 1:,} of {len(forest.trees):,}")
                _add(tree, columns, beside, values, work.check)
        return values.transpose(2, 1, 0)


def _seconds_of_looking(forest: Forest, n: int) -> float:
    return forest.n_leaves * n * forest.mean_features**2 * forest.n_outputs * 2e-10


def _seconds_by_table(forest: Forest, n: int) -> float:
    """What path-dependent tables take, and looking n rows up in them."""
    sizes = forest.path_sizes
    cells = float((np.minimum(2.0**sizes, max(2 * n, _DENSE)) * sizes).sum())
    return 0.02 + _seconds_of_looking(forest, n) + forest.n_leaves * 2.4e-5 + cells * 5e-9


def _add(
    tree: Tree,
    columns: FloatArray,
    others: FloatArray | None,
    values: FloatArray,
    check: Callable[[], None],
) -> None:
    """Add the values of one tree, leaf by leaf, to `(n_outputs, n_columns, n)`."""
    leaves = leaves_of(tree, pairs=values.shape[0] == 1)
    tables = _Tables(tree, leaves, values.shape[2], others)
    found = np.empty(values.shape[2])
    for at, (leaf, patterns) in enumerate(patterns_of(tree, leaves, columns)):
        if at % 64 == 0:
            check()
        table, places = tables.look_up(leaf, patterns)
        places = places.astype(np.intp)
        if values.shape[0] == 1:
            for feature, line in zip(leaf.features, table, strict=True):
                np.take(line, places, out=found, mode="clip")
                values[0, feature] += found
            continue
        weights = tree.values[leaf.node]
        for feature, line in zip(leaf.features, table, strict=True):
            np.take(line, places, out=found, mode="clip")
            for output in np.flatnonzero(weights):
                values[output, feature] += found * weights[output]


Looked = tuple[FloatArray, IntArray]


def distinct_patterns(patterns: IntArray) -> tuple[IntArray, IntArray]:
    """The different patterns, and the place of each row among them."""
    import pandas as pd

    places, found = pd.factorize(patterns)
    return np.asarray(found).astype(np.int64), places


class _Tables:
    """The tables of the leaves of one tree, each `(d, patterns)`; for `n` rows.

    With one output they hold its values; with several they are for leaves of value 1. Tables of
    all patterns are made for several leaves at once, others for the patterns that occur.
    """

    def __init__(
        self, tree: Tree, leaves: Mapping[int, Leaf], n: int, others: FloatArray | None
    ) -> None:
        self._n = n
        self._one = tree.values[:, 0] if tree.values.shape[1] == 1 else np.ones(len(tree.left))
        self._waiting: dict[int, list[Leaf]] = {}
        for leaf in leaves.values():
            self._waiting.setdefault(len(leaf.features), []).append(leaf)
        self._made: dict[int, FloatArray] = {}
        self._seen: dict[int, tuple[IntArray, FloatArray]] | None = None
        if others is not None:
            self._seen = {
                leaf.node: _counted(patterns)
                for leaf, patterns in patterns_of(tree, leaves, others)
            }

    def look_up(self, leaf: Leaf, patterns: IntArray) -> Looked:
        """The table of a leaf, and the column of each row in it."""
        d = len(leaf.features)
        if self._is_dense(d):
            if leaf.node not in self._made:
                self._make(leaf, d)
            return self._made.pop(leaf.node), patterns
        distinct, places = distinct_patterns(patterns)
        own, beside = self._values(leaf)
        table = own * self._rows(leaf, distinct, turned=False)
        if beside:
            table += beside * self._rows(leaf, distinct, turned=True)
        return table, places

    def _is_dense(self, d: int) -> bool:
        if self._seen is None:
            return bool(2**d <= max(2 * self._n, _DENSE))
        return d <= _SMALL

    def _values(self, leaf: Leaf) -> tuple[float, float]:
        return self._one[leaf.node], 0.0 if leaf.beside < 0 else self._one[leaf.beside]

    def _make(self, leaf: Leaf, d: int) -> None:
        """Tables of several leaves with as many features at once."""
        waiting = self._waiting[d]
        size = max(_BLOCK // (2**d * d), 1)
        waiting.remove(leaf)
        some = [leaf, *waiting[: size - 1]]
        del waiting[: size - 1]
        values = np.array([self._values(each) for each in some])
        if self._seen is None:
            tables = path_tables(np.array([each.z for each in some]), values)
        else:
            shares = np.zeros((len(some), 2**d))
            for line, each in zip(shares, some, strict=True):
                seen, share = self._seen[each.node]
                line[seen] = share
            tables = _both_sides(shares, values, d)
        self._made.update({each.node: one for each, one in zip(some, tables, strict=True)})

    def _rows(self, leaf: Leaf, distinct: IntArray, *, turned: bool) -> FloatArray:
        """The table of one leaf of value 1 for some patterns; `turned` for the leaf beside it."""
        d = len(leaf.features)
        last = 1 << (d - 1) if turned else 0
        if self._seen is None:
            z = np.array(leaf.z)
            if turned:
                z[-1] = 1 - z[-1]
            return path_rows(z, distinct ^ last)
        seen, shares = self._seen[leaf.node]
        return _in_parts(distinct ^ last, seen ^ last, shares, d)


def _counted(patterns: IntArray) -> tuple[IntArray, FloatArray]:
    """The different patterns of the background, and the share of its rows that have each."""
    seen, counts = np.unique(patterns, return_counts=True)
    return seen.astype(np.int64), counts / len(patterns)


def _both_sides(shares: FloatArray, values: FloatArray, d: int) -> FloatArray:
    """Interventional tables of leaves, and of those beside them that differ in the last bit."""
    last = 1 << (d - 1)
    tables = background_tables(shares, d) * values[:, :1, None]
    pairs = np.flatnonzero(values[:, 1])
    if len(pairs):
        turned = background_tables(np.roll(shares[pairs], last, axis=1), d)
        tables[pairs] += np.roll(turned, last, axis=2) * values[pairs, 1:, None]
    return tables


def _in_parts(distinct: IntArray, seen: IntArray, shares: FloatArray, d: int) -> FloatArray:
    """`background_pairs`, a bounded number of pairs at a time."""
    step = max(_PAIRS // len(seen), 1)
    parts = range(0, len(distinct), step)
    return np.hstack([background_pairs(distinct[at : at + step], seen, shares, d) for at in parts])


BULK_PATH = BulkTrees("bulk-tree", "Tree SHAP by leaf tables, path-dependent", "path-dependent")
BULK_BACKGROUND = BulkTrees(
    "bulk-tree-interventional", "Tree SHAP by leaf tables, interventional", "interventional"
)
