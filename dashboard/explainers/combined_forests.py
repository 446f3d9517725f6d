"""Ensembles of tree models as one forest: averages, votes, boosted classes, affine targets.

Only what is a weighted sum of trees is read. A median or a majority of several models is none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import NotApplicable
from .fitted_forests import fitted_tree, single
from .forests import FloatArray, Forest, Tree

__all__ = ["affine_target", "read_combined"]

Read = Callable[[Any], Forest]


def read_combined(estimator: Any, kinds: Collection[tuple[str, str]], read: Read) -> Forest | None:
    """The trees of scikit-learn's ensembles of other models; None for other models.

    `read` gives the forest of a member.

    Raises
    ------
    NotApplicable : members that are no trees, or that are not simply added up.
    """
    names = {name for library, name in kinds if library == "sklearn"}
    if names & {"BaggingClassifier", "BaggingRegressor"}:
        return _bagged(estimator, read)
    if names & {"VotingClassifier", "VotingRegressor"}:
        return _voted(estimator, read)
    if "AdaBoostClassifier" in names:
        return _adaptive(estimator)
    if "AdaBoostRegressor" in names:
        raise NotApplicable("AdaBoost answers the median of its trees, which is no sum of them.")
    if "TransformedTargetRegressor" in names:
        return _retransformed(estimator, read)
    return None


# ---- averages --------------------------------------------------------------------------------


def _bagged(estimator: Any, read: Read) -> Forest:
    """The mean of members that each see some of the columns."""
    members = estimator.estimators_
    is_classifier = hasattr(estimator, "classes_")
    forests = []
    for member, columns in zip(members, estimator.estimators_features_, strict=True):
        forest = _on_columns(read(member), np.asarray(columns), estimator.n_features_in_)
        if is_classifier:
            _of_shares(forest, member)
            forest = _all_classes(forest, np.asarray(member.classes_), len(estimator.classes_))
        forests.append(forest)
    return _average(forests, np.ones(len(forests)))


def _voted(estimator: Any, read: Read) -> Forest:
    members = estimator.estimators_
    if getattr(estimator, "voting", "soft") == "hard":
        raise NotApplicable("The models vote for classes; a majority is no sum of trees.")
    forests = [read(member) for member in members]
    if hasattr(estimator, "classes_"):
        for forest, member in zip(forests, members, strict=True):
            _of_shares(forest, member)
    weights = estimator._weights_not_none
    return _average(forests, np.ones(len(members)) if weights is None else np.asarray(weights))


def _of_shares(forest: Forest, member: Any) -> None:
    if forest.unit != "probability":
        raise NotApplicable(
            f"The probabilities of {type(member).__name__} are averaged, and its trees add up to "
            "log-odds."
        )


def _average(forests: Sequence[Forest], weights: Any) -> Forest:
    """The weighted mean of forests that read the same columns in the same way."""
    first = forests[0]
    shares = np.asarray(weights, dtype=np.float64) / np.sum(weights)
    for forest in forests:
        if forest.matrix is not first.matrix or forest.source is not None:
            raise NotApplicable("The models inside read their columns each in a way of its own.")
        if (forest.unit, forest.n_outputs) != (first.unit, first.n_outputs):
            raise NotApplicable("The answers of the models inside are of different kinds.")
    if first.unit == "logarithm":
        raise NotApplicable("The trees add up to the logarithms of the answers of single models.")
    scaled = [_scaled(forest, share) for forest, share in zip(forests, shares, strict=True)]
    trees = tuple(tree for forest in scaled for tree in forest.trees)
    base = np.sum([forest.base for forest in scaled], axis=0)
    n_columns = max(forest.n_columns for forest in forests)
    return replace(first, trees=trees, base=base, n_columns=n_columns)


def _scaled(forest: Forest, scale: Any) -> Forest:
    return forest.outputs(lambda values: values * scale)


def _on_columns(forest: Forest, columns: Any, n_columns: int) -> Forest:
    """The same trees on a table of which the forest reads some columns."""
    if forest.source is not None:
        raise NotApplicable("The models inside read their columns each in a way of its own.")
    trees = tuple(
        replace(tree, feature=columns[tree.feature].astype(np.int32)) for tree in forest.trees
    )
    return replace(forest, trees=trees, n_columns=int(n_columns))


def _all_classes(forest: Forest, seen: Any, n_classes: int) -> Forest:
    """Zeros for classes that a member never saw; members count classes by their places."""
    if len(seen) == n_classes:
        return forest
    places = seen.astype(np.int64)

    def spread(values: FloatArray) -> FloatArray:
        found = np.zeros((*values.shape[:-1], n_classes))
        found[..., places] = values
        return found

    return forest.outputs(spread)


# ---- AdaBoost --------------------------------------------------------------------------------


def _adaptive(estimator: Any) -> Forest:
    """Two classes: log-odds are the weighted votes of the trees, twice ±1."""
    if len(estimator.classes_) != 2:
        raise NotApplicable("The classes of AdaBoost are no sum of its trees when there are three.")
    weights = np.asarray(estimator.estimator_weights_, dtype=np.float64)
    members = estimator.estimators_
    trees = []
    for member, weight in zip(members, weights / weights.sum(), strict=False):
        if not hasattr(member, "tree_") or len(member.classes_) != 2:
            raise NotApplicable(
                f"AdaBoost asks each {type(member).__name__} for a class, which is no sum of trees."
            )
        votes = np.where(member.tree_.value[:, 0].argmax(axis=1) == 1, 2.0, -2.0) * weight
        tree: Tree = fitted_tree(member.tree_, 1.0, normalise=False)
        trees.append(replace(tree, values=votes[:, None]))
    n_columns = int(estimator.n_features_in_)
    return Forest(tuple(trees), np.zeros(1), "log-odds", single, n_columns)


# ---- targets ---------------------------------------------------------------------------------

_AFFINE = ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler")


def affine_target(estimator: Any) -> tuple[FloatArray, FloatArray] | None:
    """Factors and shifts `(k,)` from what the regressor inside answers to the model's answer.

    None where the target is changed in another way.
    """
    change = estimator.transformer_
    as_it_is = type(change).__name__ == "FunctionTransformer" and change.inverse_func is None
    if type(change).__name__ not in _AFFINE and not as_it_is:
        return None
    k = int(change.n_features_in_)
    shift = np.asarray(change.inverse_transform(np.zeros((1, k))), dtype=np.float64)[0]
    moved = np.asarray(change.inverse_transform(np.eye(k)), dtype=np.float64) - shift
    return np.diag(moved).copy(), shift


def _retransformed(estimator: Any, read: Read) -> Forest:
    parts = affine_target(estimator)
    if parts is None:
        name = type(estimator.transformer_).__name__
        raise NotApplicable(f"The target is changed by {name}, after which trees do not add up.")
    forest = read(estimator.regressor_)
    if forest.unit != "value" or forest.n_outputs != len(parts[0]):
        raise NotApplicable("What the target is made of does not add up inside the trees.")
    scaled = _scaled(forest, parts[0])
    return replace(scaled, base=scaled.base + parts[1])
