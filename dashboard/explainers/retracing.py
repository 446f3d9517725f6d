"""Forests asked again for shuffled values, where only the paths that meet them are walked anew.

A row keeps its leaf in every tree whose path to it asks nothing about the shuffled columns, or
lets the new values pass as it did the old ones. The answers are those of the forest itself, summed
over the trees in its own order.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Model, RawPredictions
from ..errors import DiagnosticsError
from ..models import EstimatorModel
from ..settings import get_settings
from .answers import Asked
from .pipelines import known_subject, prepare_answered, raw_rows
from .subjects import Subject

__all__ = ["Retraced", "retraced"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Change = tuple[Ints, Sequence[int]]

_KINDS = frozenset(
    (
        "RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier",
        "ExtraTreesRegressor", "DecisionTreeClassifier", "DecisionTreeRegressor",
    )
)  # fmt: skip
MOST_CELLS = 200_000_000
"""Rows × columns × trees up to which the paths are kept in mind."""
MOST_BOUNDS = 50_000_000
"""Nodes × columns of all trees for which the values that pass are kept."""
CHECKED = 50
"""Rows on which the answers are compared with the model's own."""


@dataclass(frozen=True, eq=False)
class _Tree:
    """One tree: its walker, `(n_nodes, k)` values, and the leaf of each row.

    `low`, `high`: `(m, n_nodes)`; a row that reaches a node has in each column a value above `low`
    and up to `high`.
    """

    walker: Any
    values: Floats
    low: npt.NDArray[np.float32]
    high: npt.NDArray[np.float32]
    leaves: Ints


class Retraced:
    """The answers of one forest for copies of the same rows with some columns exchanged."""

    def __init__(
        self, matrix: npt.NDArray[np.float32], places: Mapping[int, Ints], trees: list[_Tree],
        classes: list[Any] | None,
    ) -> None:  # fmt: skip
        self._matrix, self._places, self._trees = matrix, places, trees
        self._classes = classes

    def answers(self, changes: Sequence[Change]) -> RawPredictions:
        """For each change `(lent, columns)` all rows with these columns of the rows `lent`."""
        n, k = len(self._matrix), self._trees[0].values.shape[1]
        alike: dict[tuple[int, ...], list[int]] = {}
        for place, (_, columns) in enumerate(changes):
            alike.setdefault(tuple(columns), []).append(place)
        total = np.zeros((len(changes), n, k))
        threads = max(1, min(get_settings().threads, os.cpu_count() or 1))
        step = -(-n // threads)
        parts = [slice(start, min(start + step, n)) for start in range(0, n, step)]
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda part: self._sum(part, changes, alike, total[:, part]), parts))
        total /= len(self._trees)
        flat = total.reshape(-1, k)
        if self._classes is None:
            return RawPredictions(labels=flat[:, 0])
        return RawPredictions(scores=flat, classes=self._classes)

    def _sum(
        self,
        part: slice,
        changes: Sequence[Change],
        alike: Mapping[tuple[int, ...], list[int]],
        total: Floats,
    ) -> None:
        """Add the answers of every tree for some of the rows, in the order of the trees."""
        matrix = self._matrix[part]
        lent = {
            columns: np.stack([changes[place][0][part] for place in places])
            for columns, places in alike.items()
        }
        for tree in self._trees:
            for columns, places in alike.items():
                at = np.concatenate([self._places[column] for column in columns])
                found = self._walked(tree, matrix, tree.leaves[part], lent[columns], at)
                for place, leaves in zip(places, found, strict=True):
                    total[place] += tree.values.take(leaves, axis=0)

    def _walked(
        self,
        tree: _Tree,
        matrix: npt.NDArray[np.float32],
        leaves: Ints,
        lent: Ints,
        at: Ints,
    ) -> Ints:
        """`(changes, rows)` the leaves that the rows reach with columns `at` of the rows `lent`."""
        found = np.repeat(leaves[None], len(lent), axis=0)
        stays: npt.NDArray[np.bool_] = np.ones(lent.shape, dtype=bool)
        for column in at:
            values = self._matrix[:, column][lent]
            low, high = tree.low[column][leaves], tree.high[column][leaves]
            stays &= ((values > low) & (values <= high)) | np.isneginf(low)
        moves, rows = np.nonzero(~stays)
        moved = matrix[rows]
        moved[:, at] = self._matrix[lent[moves, rows][:, None], at]
        found[moves, rows] = tree.walker.apply(moved)
        return found


def retraced(model: Model, rows: Any, asked: Asked) -> Retraced | None:
    """The forest inside a model, ready to be asked; None where there is none or it is too large.

    `rows`: all the rows, as the model is given them; their columns are numbered from 0.
    """
    if not isinstance(model, EstimatorModel) or not isinstance(rows, pd.DataFrame):
        return None
    try:
        subject = known_subject(model, rows, asked)
    except DiagnosticsError:
        return None
    forest = subject.estimator
    if type(forest).__name__ not in _KINDS or subject.sources is None:
        return None
    if forest.n_outputs_ != 1 or not type(forest).__module__.startswith("sklearn."):
        return None
    n_columns, members = len(subject.sources), _members(subject)
    if len(rows) * n_columns * len(members) > MOST_CELLS:
        return None
    if n_columns * sum(each.tree_.node_count for each in members) > MOST_BOUNDS:
        return None
    made_rows, answered = prepare_answered(subject, raw_rows(subject, rows))
    if len(answered) < len(rows):
        return None
    matrix = np.ascontiguousarray(np.asarray(made_rows), dtype=np.float32)
    key = hashlib.sha256(matrix.data).hexdigest()
    known = _KNOWN.get(model)
    if known is None or known[0] != key:
        known = _KNOWN[model] = (key, _made(model, subject, rows, matrix))
    return known[1]


# The last rows that each model was asked for: a worker is asked several times about the same.
_KNOWN: WeakKeyDictionary[Model, tuple[str, Retraced | None]] = WeakKeyDictionary()


def _made(
    model: EstimatorModel, subject: Subject, rows: pd.DataFrame, matrix: npt.NDArray[np.float32]
) -> Retraced | None:
    members = _members(subject)
    classes = getattr(model.estimator, "classes_", None)
    made = Retraced(
        matrix,
        _places(subject, rows),
        [_tree(each.tree_, matrix) for each in members],
        None if classes is None else np.asarray(classes).tolist(),
    )
    return made if _agrees(made, model, rows) else None


def _members(subject: Subject) -> list[Any]:
    return list(getattr(subject.estimator, "estimators_", [subject.estimator]))


def _places(subject: Subject, rows: pd.DataFrame) -> dict[int, Ints]:
    """Column of the rows → the columns of the matrix that are made of it."""
    position = {name: at for at, name in enumerate(subject.features)}
    assert subject.sources is not None  # noqa: S101 - seen to by the caller
    return {
        at: np.flatnonzero(subject.sources == position.get(str(name), -1))
        for at, name in enumerate(rows.columns)
    }


def _tree(tree: Any, matrix: npt.NDArray[np.float32]) -> _Tree:
    values = tree.value.reshape(tree.node_count, -1).astype(np.float64)
    return _Tree(tree, values, *_bounds(tree), tree.apply(matrix).astype(np.int64))


def _bounds(tree: Any) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """`(m, n_nodes)` between which values, above and up to, rows on the way to each node lie."""
    low = np.full((tree.n_features, tree.node_count), -np.inf, dtype=np.float32)
    high = np.full_like(low, np.inf)
    # the largest float32 up to each threshold: values are float32, and compare with it alike
    limit = tree.threshold.astype(np.float32)
    limit = np.where(limit > tree.threshold, np.nextafter(limit, np.float32(-np.inf)), limit)
    level = np.zeros(1, dtype=np.int64)
    while len(level):
        level = level[tree.children_left[level] >= 0]
        left, right, asked = tree.children_left[level], tree.children_right[level], tree.feature
        for children in (left, right):
            low[:, children], high[:, children] = low[:, level], high[:, level]
        at = asked[level]
        for children in (left, right):  # only what is never asked about keeps infinite bounds
            low[at, children] = np.maximum(low[at, children], np.finfo(np.float32).min)
        high[at, left] = np.minimum(high[at, left], limit[level])
        low[at, right] = np.maximum(low[at, right], limit[level])
        level = np.concatenate([left, right])
    return low, high


def _agrees(made: Retraced, model: EstimatorModel, rows: pd.DataFrame) -> bool:
    """Whether a shuffled copy is answered as the model itself answers it."""
    lent = np.roll(np.arange(len(rows)), 1)
    columns = [at for at in range(rows.shape[1]) if len(made._places[at])]
    ours = made.answers([(lent, columns[:1])])
    few = np.arange(min(CHECKED, len(rows)))
    changed = rows.iloc[few].copy()
    for at in columns[:1]:
        changed.isetitem(at, rows.iloc[:, at].array.take(lent[few]))
    theirs = model.predict(changed)
    own = theirs.labels if ours.scores is None else theirs.scores
    mine = np.asarray(ours.labels if ours.scores is None else ours.scores)[few]
    if own is None or np.shape(own) != mine.shape:
        return False
    return bool(np.allclose(mine, own, rtol=1e-10, atol=1e-12))
