"""The trees of scikit-learn's forests and boosted trees."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import NotApplicable
from .forests import Choice, FloatArray, Forest, Tree, Unit, dense

__all__ = ["double", "fitted_tree", "read_fitted", "single"]

_FORESTS = {
    "RandomForestClassifier",
    "RandomForestRegressor",
    "ExtraTreesClassifier",
    "ExtraTreesRegressor",
}
_TREES = {"DecisionTreeClassifier", "DecisionTreeRegressor"}


def read_fitted(estimator: Any, kinds: Collection[tuple[str, str]]) -> Forest | None:
    """The trees of a scikit-learn estimator; None where it is another kind of model.

    Raises
    ------
    NotApplicable : several class outputs, or a start that is a model of its own.
    """
    names = {name for library, name in kinds if library == "sklearn"}
    if names & _FORESTS:
        return _averaged(estimator, list(estimator.estimators_))
    if names & _TREES:
        return _averaged(estimator, [estimator])
    if "BaseGradientBoosting" in names:
        return _boosted(estimator)
    if "BaseHistGradientBoosting" in names:
        return _histograms(estimator)
    return None


def single(rows: Any) -> FloatArray:
    """Rows as scikit-learn's trees read them: rounded to float32."""
    return np.asarray(dense(rows).astype(np.float32).astype(np.float64))


def double(rows: Any) -> FloatArray:
    """Rows as they are."""
    return np.asarray(dense(rows).astype(np.float64))


def _averaged(estimator: Any, members: list[Any]) -> Forest:
    is_classifier = hasattr(estimator, "classes_")
    if is_classifier and estimator.n_outputs_ > 1:
        raise NotApplicable("The trees answer several classes at once.")
    trees = tuple(
        fitted_tree(each.tree_, 1.0 / len(members), normalise=is_classifier) for each in members
    )
    unit: Unit = "probability" if is_classifier else "value"
    n_outputs = trees[0].values.shape[1]
    return Forest(trees, np.zeros(n_outputs), unit, single, int(estimator.n_features_in_))


def fitted_tree(tree: Any, scale: float, *, normalise: bool) -> Tree:
    values = tree.value.reshape(tree.node_count, -1).astype(np.float64)
    if normalise:
        values = values / values.sum(axis=1, keepdims=True)
    missing = getattr(tree, "missing_go_to_left", None)
    return Tree(
        left=tree.children_left.astype(np.int32),
        right=tree.children_right.astype(np.int32),
        feature=np.maximum(tree.feature, 0).astype(np.int32),
        threshold=tree.threshold.astype(np.float64),
        missing_left=np.zeros(tree.node_count, bool) if missing is None else missing.astype(bool),
        values=values * scale,
        cover=tree.weighted_n_node_samples.astype(np.float64),
    )


def _boosted(estimator: Any) -> Forest:
    """Gradient boosting; its classes are log-odds, several of them one tree a class each."""
    start = estimator.init_
    if start != "zero" and type(start).__name__ not in ("DummyClassifier", "DummyRegressor"):
        raise NotApplicable(
            f"The boosting starts from a {type(start).__name__}, whose part is not in the trees."
        )
    rate, n_outputs = estimator.learning_rate, estimator.estimators_.shape[1]
    # log-odds are twice the raw answer of the exponential loss
    scale = 2.0 if getattr(estimator, "loss", "") == "exponential" else 1.0
    trees = []
    for stage in estimator.estimators_:
        for at, member in enumerate(stage):
            trees.append(
                _in_column(fitted_tree(member.tree_, rate * scale, normalise=False), at, n_outputs)
            )
    row = np.zeros((1, int(estimator.n_features_in_)), dtype=np.float32)
    base = np.asarray(estimator._raw_predict_init(row), dtype=np.float64).reshape(-1) * scale
    unit: Unit = "log-odds" if hasattr(estimator, "classes_") else "value"
    return Forest(tuple(trees), base, unit, single, int(estimator.n_features_in_))


def _in_column(tree: Tree, at: int, n_outputs: int) -> Tree:
    """The one value of each node as that of one output among several."""
    from dataclasses import replace

    values = np.zeros((len(tree.values), n_outputs))
    values[:, at] = tree.values[:, 0]
    return replace(tree, values=values)


def _histograms(estimator: Any) -> Forest:
    """Histogram boosting, splits by category included.

    Its trees see the categorical columns first, encoded by a step inside the estimator.
    """
    link = type(estimator._loss.link).__name__
    unit: Unit = "log-odds" if hasattr(estimator, "classes_") else "value"
    if unit == "value" and link != "IdentityLink":
        unit = "logarithm"
    base = np.asarray(estimator._baseline_prediction, dtype=np.float64).reshape(-1)
    known, places = _known(estimator)
    trees = []
    for stage in estimator._predictors:
        for at, predictor in enumerate(stage):
            tree = _histogram_tree(predictor, known, places)
            trees.append(_in_column(tree, at, len(base)))
    flags = estimator.is_categorical_
    n_columns = int(estimator.n_features_in_)
    if flags is None:
        return Forest(tuple(trees), base, unit, double, n_columns)
    source = np.concatenate([np.flatnonzero(flags), np.flatnonzero(~flags)])

    def encode(rows: Any) -> FloatArray:
        return np.asarray(estimator._preprocessor.transform(rows), dtype=np.float64)

    return Forest(tuple(trees), base, unit, encode, n_columns, source)


def _known(estimator: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Bit sets of the categories seen in training, and the place of each column in them."""
    known, places = estimator._bin_mapper.make_known_categories_bitsets()
    return known, places


def _histogram_tree(predictor: Any, known: npt.NDArray[Any], places: npt.NDArray[Any]) -> Tree:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    choices = {}
    for node in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~leaf):
        bits = _bits(predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]])
        seen = _bits(known[places[nodes["feature_idx"][node]]])
        missing = bool(nodes["missing_go_to_left"][node])
        choices[int(node)] = Choice(np.where(seen, bits, missing), missing)
    return Tree(
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)).astype(np.int32),
        right=np.where(leaf, -1, nodes["right"].astype(np.int64)).astype(np.int32),
        feature=np.where(leaf, 0, nodes["feature_idx"]).astype(np.int32),
        threshold=nodes["num_threshold"].astype(np.float64),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        values=nodes["value"].astype(np.float64)[:, None],
        cover=nodes["count"].astype(np.float64),
        choices=choices,
    )


def _bits(words: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """`(256,)` whether each code is in a set of eight 32-bit words."""
    raw = np.ascontiguousarray(words, dtype="<u4").view(np.uint8)
    return np.unpackbits(raw, bitorder="little").astype(bool)
