"""Shapley interaction values of trees: what two features add together beyond what each adds alone.

The matrix of a row has the interactions of pairs, halved, off its diagonal (Lundberg et al. 2020);
its rows sum to the path-dependent values of the features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import OutputSpace, Work
from ..errors import NotApplicable
from .bulk_trees import BULK_PATH, MOST_BITS, Leaf, distinct_patterns, leaves_of, patterns_of
from .forest_reading import forest_of
from .forests import UNITS, Forest, Tree
from .leaf_tables import path_interactions
from .native import CATBOOST, own_interactions
from .pair_sums import pair_sums
from .subjects import Engine, Subject
from .trees import explainer_of, in_parts

__all__ = ["base_of_pairs", "engine_of_pairs", "tree_interactions"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]

FEW = 8  # rows up to which shap is faster
MOST_BYTES = 2 << 30
CHECKED = 3  # rows of a call whose pairs are compared with walks through the trees
ROUNDING = 1e-6  # relative to the largest answer
_DENSE = 256  # patterns of a leaf that are made without looking which there are


def engine_of_pairs(subject: Subject, space: OutputSpace) -> Engine:
    """Whose values the pairs sum to."""
    return BULK_PATH if CATBOOST.refuses(subject, space) else CATBOOST


def base_of_pairs(subject: Subject, rows: Any, space: OutputSpace, work: Work) -> FloatArray:
    """`(n_outputs,)` what the trees answer with all features unknown.

    `rows` : prepared; one will do.

    Raises
    ------
    NotApplicable : no trees that can be read.
    """
    if engine_of_pairs(subject, space) is CATBOOST:
        return CATBOOST.explain(subject, rows[:1], None, space, work, {}).base
    return forest_of(subject).expectation


def tree_interactions(
    subject: Subject, rows: Any, background: Any, work: Work, space: OutputSpace | None = None
) -> FloatArray:
    """Path-dependent interaction values in the unit of the trees.

    Parameters
    ----------
    rows : prepared rows; background : not used, the training's own counts take its place.
    space : the unit that is asked for; None takes the model's natural one.

    Returns
    -------
    `(n, m, m, n_outputs)` float64, m columns of the prepared rows; symmetric, and
    `values.sum(axis=2)` are the values of the engine "bulk-tree".

    Raises
    ------
    NotApplicable : no trees that can be read, another unit, no counts in them, too many numbers,
        or pairs that are not those of a walk through the trees.
    """
    space = space or subject.spaces[0]
    if engine_of_pairs(subject, space) is CATBOOST:
        return _by_catboost(subject, rows, work)
    forest = forest_of(subject)
    _check(forest, space)
    matrix = forest.matrix(rows)
    n, m = matrix.shape
    _check_size(n, m, forest.n_outputs)
    if n <= FEW and forest.counted and not (forest.has_choices or forest.is_merged):
        return _believed(forest, matrix, _by_shap(forest, matrix, work))
    values = np.zeros((forest.n_outputs, m, m, n))
    columns = np.ascontiguousarray(matrix.T)
    for at, tree in enumerate(forest.trees):
        work.progress(at, len(forest.trees), f"Tree {at + 1:,} of {len(forest.trees):,}")
        _add(tree, columns, values, work)
    alone = BULK_PATH.on_matrix(forest, matrix, None, work)
    return _believed(forest, matrix, _whole(forest, values, alone))


def _check(forest: Forest, space: OutputSpace) -> None:
    if forest.unit == "logarithm":
        raise NotApplicable("The trees add up to the logarithm of the answer, not to the answer.")
    if not forest.in_space(space):
        raise NotApplicable(
            f"The trees add up to {UNITS[forest.unit]}, not to the {space.value}. Pairs of "
            "features can only be had in the unit of the trees."
        )
    if not forest.passable:
        raise NotApplicable("The trees hold no counts of the training rows for all their splits.")
    if forest.widest > MOST_BITS:
        raise NotApplicable(
            f"Some paths of the trees ask for more than {MOST_BITS} different features."
        )


def _believed(forest: Forest, matrix: FloatArray, values: FloatArray) -> FloatArray:
    """The values, if some rows' pairs are what the answers without each feature say.

    The sums over whole rows of the matrix cannot tell: the diagonal is what is left for it.
    """
    some = np.unique(np.linspace(0, len(matrix) - 1, CHECKED).astype(np.int64))
    pairs = values[some].sum(axis=2) - np.einsum("niik->nik", values[some])
    gap = float(np.abs(pairs - forest.spread(pair_sums(forest, matrix[some]))).max(initial=0.0))
    largest = float(np.abs(forest.predict(matrix[some])).max(initial=0.0))
    allowed = ROUNDING * max(largest, float(np.abs(forest.expectation).max()), 1e-12)
    if not gap <= allowed:
        raise NotApplicable(
            f"The computation of interactions was put aside: its pairs miss what a feature adds "
            f"together with all others by up to {gap:.2g}, and {allowed:.2g} are allowed."
        )
    return values


def _check_size(n: int, m: int, n_outputs: int) -> None:
    if n * m * m * n_outputs * 8 > MOST_BYTES:
        most = MOST_BYTES // (m * m * n_outputs * 8)
        raise NotApplicable(
            f"All pairs of {m:,} columns of {n:,} rows take more than 2 GB; "
            f"ask for {most:,} rows at most."
        )


def _by_catboost(subject: Subject, rows: Any, work: Work) -> FloatArray:
    """Its own interaction values, which know its categories."""
    n = len(rows)
    _check_size(n, len(subject.estimator.feature_names_), subject.n_outputs)
    found = [
        own_interactions(subject, rows.iloc[part] if hasattr(rows, "iloc") else rows[part])
        for part in in_parts(n, work)
    ]
    values = np.concatenate(found)
    try:
        forest = forest_of(subject)
    except NotApplicable:  # splits by statistics of its categories: only the sums can be compared
        return values
    return _believed(forest, forest.matrix(rows), values)


def _by_shap(forest: Forest, matrix: FloatArray, work: Work) -> FloatArray:
    n, m = matrix.shape
    explainer = explainer_of(forest, None)
    values = np.empty((n, m, m, forest.n_outputs))
    for part in in_parts(n, work):
        found = np.asarray(explainer.shap_interaction_values(matrix[part]))
        values[part] = found.reshape(values[part].shape)
    return _placed(forest, values)


def _add(tree: Tree, columns: FloatArray, values: FloatArray, work: Work) -> None:
    """Add the pairs of one tree to the upper triangles of `(n_outputs, m, m, n)`."""
    leaves = leaves_of(tree, pairs=values.shape[0] == 1)
    found = np.empty(columns.shape[1])
    for at, (leaf, patterns) in enumerate(patterns_of(tree, leaves, columns)):
        if at % 64 == 0:
            work.check()
        if len(leaf.features) < 2:
            continue
        d = len(leaf.features)
        if 2**d <= _DENSE:
            distinct, places = np.arange(2**d), patterns
        else:
            distinct, places = distinct_patterns(patterns)
        places = places.astype(np.intp)
        first, second = np.triu_indices(d, 1)
        for output, table in _tables(tree, leaf, distinct):
            for i, j, line in zip(first, second, table, strict=True):
                np.take(line, places, out=found, mode="clip")
                low, high = sorted((leaf.features[i], leaf.features[j]))
                values[output, low, high] += found


def _tables(tree: Tree, leaf: Leaf, distinct: IntArray) -> list[tuple[int, FloatArray]]:
    """Output and `(pairs, patterns)` table, for outputs that the leaf adds to."""
    z = np.array(leaf.z)
    one = path_interactions(z, distinct)
    if leaf.beside < 0:
        weights = tree.values[leaf.node]
        return [(int(output), one * weights[output]) for output in np.flatnonzero(weights)]
    z[-1] = 1 - z[-1]
    other = path_interactions(z, distinct ^ (1 << (len(z) - 1)))
    return [(0, one * tree.values[leaf.node, 0] + other * tree.values[leaf.beside, 0])]


def _whole(forest: Forest, values: FloatArray, alone: FloatArray) -> FloatArray:
    """Both triangles and the diagonal; `(n, m, m, n_outputs)`."""
    values += values.transpose(0, 2, 1, 3)
    m = values.shape[1]
    diagonal = np.arange(m)
    values[:, diagonal, diagonal] = alone.transpose(2, 1, 0) - values.sum(axis=2)
    return _placed(forest, values.transpose(3, 1, 2, 0))


def _placed(forest: Forest, values: FloatArray) -> FloatArray:
    """In the order of the prepared columns."""
    if forest.source is None:
        return np.ascontiguousarray(values)
    found = np.empty_like(values)
    found[:, forest.source[:, None], forest.source] = values
    return found
