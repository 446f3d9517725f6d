"""Any ensemble of trees in one form: what exact engines compute with, whatever library fitted it.

Each reader states what its library computes: on which side of a threshold equal values go, where
missing and unknown values go, and what is added to the sum of the trees. Nothing is believed: the
sums are compared with the model's own answers on every run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..contracts import OutputSpace

__all__ = ["UNITS", "Choice", "Forest", "Tree", "dense"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]

# What the trees add up to: the answer itself, the probability, log-odds, or its logarithm.
Unit = Literal["value", "probability", "log-odds", "logarithm"]
UNITS = {
    "value": "the answer itself",
    "probability": "the probability",
    "log-odds": "log-odds",
    "logarithm": "the logarithm of the answer",
}


@dataclass(frozen=True, eq=False)
class Choice:
    """A split by category: codes 0 … len-1 go left where `left` says so.

    Attributes
    ----------
    beyond : whether any other code goes left.
    """

    left: BoolArray
    beyond: bool = False

    def goes_left(self, codes: FloatArray) -> BoolArray:
        """Whether rows go left; missing codes count as unknown ones here."""
        known = np.isfinite(codes) & (codes >= 0) & (codes < len(self.left))
        at = np.where(known, codes, 0).astype(np.int64)
        return np.where(known, self.left[at], self.beyond)


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree; node 0 is the root, and a value equal to its threshold goes left.

    Attributes
    ----------
    left, right : `(nodes,)` int32, -1 at leaves.
    feature : `(nodes,)` int32, the column of the matrix that is asked for.
    threshold : `(nodes,)` float64.
    missing_left : `(nodes,)` whether missing values go left.
    values : `(nodes, n_outputs)` float64; those of leaves count.
    cover : `(nodes,)` float64, the training's own counts (or weights, or hessians).
    choices : node → split by category, in place of its threshold.
    player : `(nodes,)` int32, the first of the columns that are made of the same feature as the one
        that is asked for; None where every column is a feature of its own.
    """

    left: IntArray
    right: IntArray
    feature: IntArray
    threshold: FloatArray
    missing_left: BoolArray
    values: FloatArray
    cover: FloatArray
    choices: Mapping[int, Choice] = field(default_factory=dict)
    player: IntArray | None = None

    @property
    def players(self) -> IntArray:
        """`(nodes,)` whose value a split changes: columns of one feature are known together."""
        return self.feature if self.player is None else self.player

    def goes_left(self, node: int, column: FloatArray) -> BoolArray:
        """Which values of the column of `node` go to its left child."""
        choice = self.choices.get(node)
        test = column <= self.threshold[node] if choice is None else choice.goes_left(column)
        if self.missing_left[node]:
            test = test | np.isnan(column)
        elif choice is not None:
            test = test & ~np.isnan(column)
        return np.asarray(test)

    @property
    def is_leaf(self) -> BoolArray:
        return self.left < 0

    def reached(self) -> FloatArray:
        """`(nodes,)` share of the training that came to each node, by its counts."""
        share = np.ones(len(self.left))
        for node in self.order():
            if self.left[node] >= 0:
                for child in (self.left[node], self.right[node]):
                    share[child] = share[node] * self.cover[child] / self.cover[node]
        return share

    def order(self) -> list[int]:
        """The nodes, every parent before its children."""
        found, waiting = [], [0]
        while waiting:
            node = waiting.pop()
            found.append(node)
            if self.left[node] >= 0:
                waiting += [int(self.left[node]), int(self.right[node])]
        return found

    def predict(self, matrix: FloatArray) -> FloatArray:
        """`(n, n_outputs)` the values of the leaves that rows fall into."""
        answer = np.empty((len(matrix), self.values.shape[1]))
        waiting = [(0, np.arange(len(matrix)))]
        while waiting:
            node, rows = waiting.pop()
            if self.left[node] < 0:
                answer[rows] = self.values[node]
            elif len(rows):
                left = self.goes_left(node, matrix[rows, self.feature[node]])
                waiting.append((int(self.left[node]), rows[left]))
                waiting.append((int(self.right[node]), rows[~left]))
        return answer


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees whose values are added to `base`.

    Attributes
    ----------
    base : `(n_outputs,)` float64.
    unit : what the sum is.
    matrix : what the model is given → `(n, n_columns)` float64, NaN where missing, categories as
        codes, rounded as the model rounds.
    counted : whether the counts of the nodes are complete, as path-dependent values need them.
    source : `(n_columns,)` the place of each column of the matrix in what the model is given.
    """

    trees: tuple[Tree, ...]
    base: FloatArray
    unit: Unit
    matrix: Callable[[Any], FloatArray]
    n_columns: int
    source: IntArray | None = None

    @property
    def n_outputs(self) -> int:
        return len(self.base)

    @cached_property
    def counted(self) -> bool:
        return all(bool((tree.cover[tree.order()] > 0).all()) for tree in self.trees)

    @cached_property
    def passable(self) -> bool:
        """Whether every split was reached in training; leaves may be empty."""
        return all(
            bool((tree.cover[[at for at in tree.order() if tree.left[at] >= 0]] > 0).all())
            for tree in self.trees
        )

    @cached_property
    def has_choices(self) -> bool:
        return any(tree.choices for tree in self.trees)

    @cached_property
    def is_merged(self) -> bool:
        """Whether columns that are made of the same feature are known together."""
        return any(tree.player is not None for tree in self.trees)

    def merged(self, sources: IntArray | None) -> Forest:
        """The same forest, in which columns with the same source are one player.

        `sources` are by columns of what the model is given. Values of a player are those of its
        first column; its other columns have none.
        """
        if sources is None or len(np.unique(sources)) == len(sources):
            return self
        own = np.asarray(sources if self.source is None else np.asarray(sources)[self.source])
        _, first, place = np.unique(own, return_index=True, return_inverse=True)
        players = first[place].astype(np.int32)
        trees = tuple(replace(tree, player=players[tree.feature]) for tree in self.trees)
        return replace(self, trees=trees)

    @cached_property
    def n_leaves(self) -> int:
        return sum(int(tree.is_leaf.sum()) for tree in self.trees)

    @cached_property
    def path_sizes(self) -> IntArray:
        """`(n_leaves,)` how many different features decide on each leaf."""
        sizes = []
        for tree in self.trees:
            waiting: list[tuple[int, frozenset[int]]] = [(0, frozenset())]
            while waiting:
                node, features = waiting.pop()
                if tree.left[node] < 0:
                    sizes.append(len(features))
                    continue
                below = features | {int(tree.players[node])}
                waiting += [(int(tree.left[node]), below), (int(tree.right[node]), below)]
        return np.array(sizes)

    @cached_property
    def thresholds(self) -> tuple[FloatArray, ...]:
        """The different thresholds of each column, in order."""
        asked = [np.flatnonzero(tree.left >= 0) for tree in self.trees]
        pairs = list(zip(self.trees, asked, strict=True))
        columns = np.concatenate([tree.feature[at] for tree, at in pairs])
        values = np.concatenate([tree.threshold[at] for tree, at in pairs])
        return tuple(np.unique(values[columns == column]) for column in range(self.n_columns))

    @cached_property
    def widest(self) -> int:
        return int(self.path_sizes.max())

    @cached_property
    def mean_features(self) -> float:
        return float(self.path_sizes.mean())

    def predict(self, matrix: FloatArray) -> FloatArray:
        """`(n, n_outputs)` float64, for rows of the matrix."""
        answer = np.tile(self.base, (len(matrix), 1))
        for tree in self.trees:
            answer += tree.predict(matrix)
        return answer

    @cached_property
    def expectation(self) -> FloatArray:
        """`(n_outputs,)` the mean answer by the training's own counts."""
        answer = self.base.astype(np.float64).copy()
        for tree in self.trees:
            leaves = np.array([node for node in tree.order() if tree.left[node] < 0])
            answer += tree.reached()[leaves] @ tree.values[leaves]
        return answer

    def outputs(self, change: Callable[[FloatArray], FloatArray]) -> Forest:
        """The same trees with their `(…, n_outputs)` values changed."""
        trees = tuple(replace(tree, values=change(tree.values)) for tree in self.trees)
        return replace(self, trees=trees, base=change(self.base))

    def in_space(self, space: OutputSpace) -> bool:
        """Whether the sum of the trees is the answer in that unit."""
        fits = {
            "value": (OutputSpace.TARGET,),
            "probability": (OutputSpace.PROBABILITY,),
            "log-odds": (OutputSpace.LOG_ODDS, OutputSpace.DECISION),
            "logarithm": (),
        }
        return space in fits[self.unit]

    def spread(self, values: FloatArray) -> FloatArray:
        """Values by columns of the matrix → by columns of what the model is given."""
        if self.source is None:
            return values
        found = np.zeros_like(values)
        found[:, self.source] = values
        return found


def dense(rows: Any) -> npt.NDArray[Any]:
    """Prepared rows as an array `(n, m)`; the codes of categorical columns in their place."""
    import pandas as pd

    if isinstance(rows, pd.DataFrame):
        columns = [_numbers(rows.iloc[:, at]) for at in range(rows.shape[1])]
        return np.column_stack(columns) if columns else np.empty((len(rows), 0))
    if hasattr(rows, "toarray"):
        rows = rows.toarray()
    return np.asarray(rows)


def _numbers(column: Any) -> FloatArray:
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        codes = column.cat.codes.to_numpy().astype(np.float64)
        return np.where(codes < 0, np.nan, codes)
    return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
