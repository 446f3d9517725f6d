"""The insides of a loaded estimator: indices that compiled code follows without bounds checks.

A file of trusted types can still hold a tree whose child index points outside its array or back to
itself: a crash or an endless loop on the first prediction. Each rule here is what the library's own
`fit` guarantees. It narrows the damage a crafted file can do; it is not a sandbox.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UntrustedModel

__all__ = ["check_structure"]

_CONTAINERS = (list, tuple, set, frozenset)
_PLAIN = (str, bytes, int, float, complex, bool, type(None), np.generic, type, ModuleType)
_BOOSTERS = ("catboost", "lightgbm", "xgboost")


class _Damaged(Exception):
    """A rule that does not hold; becomes one sentence with the file's name."""


def check_structure(estimator: Any, name: str, *, threads: int = 1) -> None:
    """Check every tree, neighbour index, support vector and sparse array inside `estimator`.

    Parts that would start threads or processes are set to one job, so that sums have one order and
    answers do not vary between calls; boosters, which add up each row in one thread, get `threads`.

    Raises
    ------
    UntrustedModel : an index or shape that no fitting produces.
    """
    try:
        for part in _parts(estimator):
            _check(part, threads)
    except (_Damaged, AttributeError, TypeError, ValueError, IndexError, KeyError) as error:
        raise UntrustedModel(
            f"{name} holds inconsistent internals ({error}), which could crash the process, so it "
            "is not used; export the fitted model again."
        ) from error


def _parts(root: Any) -> Iterator[Any]:
    """Every object reachable through attributes and containers, once."""
    stack, seen, kept = [root], {id(root)}, []
    while stack:
        part = stack.pop()
        yield part
        kept.append(part)  # keeps ids unique while they are compared
        for child in _children(part):
            if not isinstance(child, _PLAIN) and id(child) not in seen:
                seen.add(id(child))
                stack.append(child)


def _children(part: Any) -> list[Any]:
    if isinstance(part, np.ndarray):
        return list(part.ravel()) if part.dtype == object else []
    if isinstance(part, _CONTAINERS):
        return list(part)
    if isinstance(part, dict):
        return (
            [*part.values(), *vars(part).values()]
            if hasattr(part, "__dict__")
            else [*part.values()]
        )
    return list(getattr(part, "__dict__", {}).values())


def _check(part: Any, threads: int) -> None:
    for kind in (klass.__name__ for klass in type(part).__mro__):
        fitted, check = _CHECKS.get(kind, ("", None))
        if check is not None and (not fitted or hasattr(part, fitted)):
            check(part)
    if "n_jobs" in getattr(part, "__dict__", {}):
        part.n_jobs = threads if type(part).__module__.startswith(_BOOSTERS) else 1


def _need(holds: Any, rule: str) -> None:
    if not holds:
        raise _Damaged(rule)


def _within(values: npt.NDArray[Any], low: int, high: int) -> bool:
    return bool(values.size == 0 or (values.min() >= low and values.max() < high))


def _check_tree(model: Any) -> None:
    tree = model.tree_
    count = tree.node_count
    _need(tree.n_features == model.n_features_in_, "a tree is made for other columns")
    _need(0 < count <= tree.capacity, "a tree counts nodes that it does not have")
    left, right = np.asarray(tree.children_left), np.asarray(tree.children_right)
    inner = left != -1
    _need(bool((right[inner] != -1).all()), "a tree node has one child")
    # Both growers append children after their parent, so larger indices rule out cycles as well.
    own = np.flatnonzero(inner)
    for child in (left[inner], right[inner]):
        _need(_within(child, 1, count) and bool((child > own).all()), "a tree child lies outside")
    _need(_within(np.asarray(tree.feature)[inner], 0, tree.n_features), "a split on no column")


def _check_same_columns(model: Any) -> None:
    for member in np.ravel(np.asarray(model.estimators_, dtype=object)):
        _need(member.n_features_in_ == model.n_features_in_, "a member is made for other columns")


def _check_boosting(model: Any) -> None:
    _check_same_columns(model)
    stages = np.asarray(model.estimators_)
    _need(stages.ndim == 2 and stages.shape[1] == model.n_trees_per_iteration_, "odd stages")
    # `predict_stages` writes column k of this array for each k of a stage, unchecked.
    start = model._raw_predict_init(np.zeros((1, model.n_features_in_), dtype=np.float32))
    _need(start.shape == (1, stages.shape[1]), "stages without a start value")


def _check_histogram_boosting(model: Any) -> None:
    n_features = model.n_features_in_
    _need(len(model._bin_mapper.is_categorical_) == n_features, "bins are made for other columns")
    categorical = np.asarray(model._bin_mapper.is_categorical_, dtype=bool)
    for iteration in model._predictors:
        for predictor in iteration:
            _check_predictor(predictor, categorical)


def _check_predictor(predictor: Any, categorical: npt.NDArray[np.bool_]) -> None:
    nodes = predictor.nodes
    _need(nodes.ndim == 1 and len(nodes) > 0, "a tree without nodes")
    own = np.flatnonzero(nodes["is_leaf"] == 0)
    inner = nodes[own]
    for side in ("left", "right"):
        child = inner[side].astype(np.int64)
        _need(_within(child, 1, len(nodes)) and bool((child > own).all()), "a child lies outside")
    features = inner["feature_idx"].astype(np.int64)
    _need(_within(features, 0, len(categorical)), "a split on no column")
    by_category = inner["is_categorical"] != 0
    _need(bool(categorical[features[by_category]].all()), "a split on categories of a number")
    sets = predictor.raw_left_cat_bitsets
    _need(sets.ndim == 2 and sets.shape[1] == 8, "category sets of odd width")
    _need(
        _within(inner["bitset_idx"][by_category].astype(np.int64), 0, len(sets)),
        "a category set lies outside",
    )


def _check_neighbours(index: Any) -> None:
    data, order, nodes, bounds = (np.asarray(array) for array in index.get_arrays())
    n_nodes = int(index.__getstate__()[6])
    n = len(data)
    _need(n_nodes == len(nodes) == bounds.shape[1], "a neighbour index counts other nodes")
    _need(bounds.shape[2] == data.shape[1], "bounds of other columns")
    _need(len(order) == n and _within(order, 0, n), "a neighbour index points outside")
    start, end = nodes["idx_start"], nodes["idx_end"]
    _need(_within(start, 0, n + 1) and _within(end, 0, n + 1), "a neighbour node lies outside")
    _need(bool((start <= end).all()), "a neighbour node ends before it starts")
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    _need(_within(2 * inner + 2, 0, n_nodes), "a neighbour node has no children")


def _check_support_vectors(model: Any) -> None:
    counts, coefficients = np.asarray(model._n_support), model._dual_coef_
    n_vectors = model.support_vectors_.shape[0]
    is_classifier = hasattr(model, "classes_")
    k = len(model.classes_) if is_classifier else 2
    pairs = k * (k - 1) // 2
    _need(not is_classifier or len(counts) == k, "support vectors of other classes")
    _need(bool((counts >= 0).all()), "a negative count of support vectors")
    _need(not is_classifier or int(counts.sum()) == n_vectors, "support vectors are missing")
    _need(coefficients.shape == (k - 1, n_vectors), "coefficients of other support vectors")
    _need(np.size(model._intercept_) == pairs, "intercepts of other classes")
    _need(np.size(model.support_) == n_vectors, "support indices are missing")
    for odds in (model._probA, model._probB):
        _need(np.size(odds) in (0, pairs, 1), "probabilities of other classes")
    if not model._sparse and model.kernel != "precomputed":
        _need(
            n_vectors == 0 or model.support_vectors_.shape[1] == model.n_features_in_,
            "support vectors of other columns",
        )


def _check_sparse(array: Any) -> None:
    array.check_format(full_check=True)


def _check_vocabulary(vectorizer: Any) -> None:
    _need(
        getattr(vectorizer, "input", "content") == "content",
        "a text step that opens files named in the data",
    )
    words = getattr(vectorizer, "vocabulary_", None)
    if words is not None:
        _need(_within(np.array(list(words.values()), dtype=np.int64), 0, len(words)), "odd words")


def _check_spline(spline: Any) -> None:
    inner = getattr(spline, "_delegate_to", spline)  # SciPy 1.18 keeps the arrays one level deeper
    named = vars(inner)
    knots = np.asarray(named.get("_t", named.get("t")))
    values = np.asarray(named.get("_c", named.get("c")))
    degree = named.get("k")
    _need(isinstance(degree, int) and 0 <= degree <= 20, "a spline of odd degree")
    _need(knots.ndim == 1 and len(knots) >= 2 * int(degree) + 2, "a spline without knots")
    _need(
        values.ndim >= 1 and len(values) >= len(knots) - int(degree) - 1, "a spline without values"
    )


def _check_isolation(model: Any) -> None:
    for member, columns in zip(model.estimators_, model.estimators_features_, strict=True):
        _need(len(columns) == member.n_features_in_, "a member is made for other columns")
    _need(
        model._max_features != model.n_features_in_
        or all(member.n_features_in_ == model.n_features_in_ for member in model.estimators_),
        "a member is made for other columns",
    )


# By class name along the MRO, so that this module imports no part of scikit-learn. The attribute
# tells a fitted part from an unfitted template beside it (`estimator` of a forest).
_CHECKS: dict[str, tuple[str, Any]] = {
    "BaseDecisionTree": ("tree_", _check_tree),
    "BaseForest": ("estimators_", _check_same_columns),
    "BaseGradientBoosting": ("estimators_", _check_boosting),
    "BaseHistGradientBoosting": ("_predictors", _check_histogram_boosting),
    "BinaryTree64": ("", _check_neighbours),
    "BinaryTree32": ("", _check_neighbours),
    "BaseLibSVM": ("support_vectors_", _check_support_vectors),
    "_cs_matrix": ("", _check_sparse),
    "_VectorizerMixin": ("", _check_vocabulary),
    "BSpline": ("", _check_spline),
    "IsolationForest": ("estimators_", _check_isolation),
}
