"""The trees of XGBoost, LightGBM and CatBoost."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import NotApplicable
from .fitted_forests import double, single
from .forests import Choice, FloatArray, Forest, Tree, Unit

__all__ = ["catboost_told", "read_boosted", "xgboost_range"]

# The answer as a function of the sum of the trees.
_LOGISTIC = {"binary:logistic", "binary:logitraw", "reg:logistic"}
_LOGARITHM = {"count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft"}
_CLASSES = {"multi:softmax", "multi:softprob"}
_LIGHTGBM_LOGARITHM = {"poisson", "gamma", "tweedie"}


def read_boosted(estimator: Any, kinds: Collection[tuple[str, str]]) -> Forest | None:
    """The trees of a booster, native or with the scikit-learn API; None for other models.

    Raises
    ------
    NotApplicable : boosters without trees, and trees that are not read here.
    """
    if ("xgboost", "XGBModel") in kinds or ("xgboost", "Booster") in kinds:
        return _xgboost(estimator)
    if ("lightgbm", "LGBMModel") in kinds:
        return _lightgbm(estimator.booster_)
    if ("lightgbm", "Booster") in kinds:
        return _lightgbm(estimator)
    if ("catboost", "CatBoost") in kinds:
        return _catboost(estimator)
    return None


def xgboost_range(estimator: Any) -> tuple[int, int]:
    """The iterations that its own predictions use: up to the best one where it stopped early."""
    own = getattr(estimator, "_get_iteration_range", None)
    if own is None:
        rounds = int(estimator.num_boosted_rounds())
        best = (estimator.attributes().get("best_iteration") or "").strip()
        return 0, min(int(best) + 1, rounds) if best.isdigit() else rounds
    begin, end = own(None)
    return int(begin), int(end) or int(estimator.get_booster().num_boosted_rounds())


def _xgboost(estimator: Any) -> Forest:
    booster = estimator.get_booster() if hasattr(estimator, "get_booster") else estimator
    learner = json.loads(booster.save_raw("json"))["learner"]
    part = learner["gradient_booster"]
    if part["name"] == "gblinear":
        raise NotApplicable("The booster is linear; it has no trees.")
    drop = part.get("weight_drop")
    model = part["gbtree"]["model"] if part["name"] == "dart" else part["model"]
    objective = learner["objective"]["name"]
    base = _xgboost_base(learner["learner_model_param"], objective)
    begin, end = (model["iteration_indptr"][at] for at in xgboost_range(estimator))
    trees = [
        _xgboost_tree(
            model["trees"][at], model["tree_info"][at], len(base), 1.0 if drop is None else drop[at]
        )
        for at in range(begin, end)
    ]
    missing = getattr(estimator, "missing", np.nan)

    def matrix(rows: Any) -> FloatArray:
        found = single(rows)
        return np.where(found == missing, np.nan, found)

    read = single if np.isnan(missing) else matrix
    return Forest(tuple(trees), base, _xgboost_unit(objective), read, booster.num_features())


def _xgboost_unit(objective: str) -> Unit:
    if objective in _LOGISTIC or objective in _CLASSES:
        return "log-odds"
    return "logarithm" if objective in _LOGARITHM else "value"


def _xgboost_base(told: dict[str, str], objective: str) -> FloatArray:
    score = np.atleast_1d(np.asarray(json.loads(told["base_score"]), dtype=np.float64))
    n_outputs = max(int(told["num_class"]), int(told["num_target"]), 1)
    if objective in _LOGISTIC:
        score = np.log(score) - np.log1p(-score)
    elif objective in _LOGARITHM:
        score = np.log(score)
    return np.asarray(np.broadcast_to(score, (n_outputs,))).copy()


def _xgboost_tree(told: dict[str, Any], at: int, n_outputs: int, weight: float) -> Tree:
    if int(told["tree_param"]["size_leaf_vector"]) > 1:
        raise NotApplicable("The leaves hold one number for each output, which is not read here.")
    left = np.asarray(told["left_children"], dtype=np.int32)
    conditions = np.asarray(told["split_conditions"], dtype=np.float32)
    values = np.zeros((len(left), n_outputs))
    values[:, at] = conditions.astype(np.float64) * weight
    choices = {}
    for node, begin, size in zip(
        told["categories_nodes"], told["categories_segments"], told["categories_sizes"], strict=True
    ):
        codes = told["categories"][begin : begin + size]  # these go right, all others left
        table = np.ones(max(codes) + 1, dtype=bool)
        table[codes] = False
        choices[int(node)] = Choice(table, True)
    return Tree(
        left=left,
        right=np.asarray(told["right_children"], dtype=np.int32),
        feature=np.asarray(told["split_indices"], dtype=np.int32),
        # equal values go right there
        threshold=np.nextafter(conditions, np.float32(-np.inf)).astype(np.float64),
        missing_left=np.asarray(told["default_left"], dtype=bool),
        values=values,
        cover=np.asarray(told["sum_hessian"], dtype=np.float64),
        choices=choices,
    )


def _lightgbm(booster: Any) -> Forest:
    told = booster.dump_model()
    objective = str(told.get("objective", "")).split(" ")[0]
    n_outputs = int(told["num_tree_per_iteration"])
    scale = 1.0
    if told.get("average_output"):
        scale = n_outputs / len(told["tree_info"])
    unit: Unit = "value"
    if objective in ("binary", "multiclass", "softmax", "cross_entropy", "xentropy"):
        unit = "log-odds"
        for word in str(told["objective"]).split(" "):
            if word.startswith("sigmoid:"):
                scale *= float(word.removeprefix("sigmoid:"))
    elif objective in _LIGHTGBM_LOGARITHM:
        unit = "logarithm"
    elif objective in ("multiclassova", "ova"):
        raise NotApplicable("One-against-all classes are no log-odds that add up.")
    elif "sqrt" in str(told.get("objective", "")).split(" "):
        raise NotApplicable("The trees add up to the square root of the answer.")
    trees = [
        _lightgbm_tree(each, at % n_outputs, n_outputs, scale)
        for at, each in enumerate(told["tree_info"])
    ]
    n_columns = int(told["max_feature_idx"]) + 1
    return Forest(tuple(trees), np.zeros(n_outputs), unit, double, n_columns)


def _nodes(root: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any], int, int]]:
    """Number, node and the numbers of its children, every parent before its children."""
    waiting, count = [(0, root)], 1
    while waiting:
        number, node = waiting.pop()
        if "split_index" not in node:
            yield number, node, -1, -1
            continue
        yield number, node, count, count + 1
        waiting += [(count, node["left_child"]), (count + 1, node["right_child"])]
        count += 2


def _lightgbm_tree(told: dict[str, Any], at: int, n_outputs: int, scale: float) -> Tree:
    size = 2 * int(told["num_leaves"]) - 1
    left, right, feature = (np.full(size, value, dtype=np.int32) for value in (-1, -1, 0))
    threshold, cover, values = np.zeros(size), np.zeros(size), np.zeros((size, n_outputs))
    missing, choices = np.zeros(size, dtype=bool), {}
    for number, node, low, high in _nodes(told["tree_structure"]):
        left[number], right[number] = low, high
        if low < 0:
            if "leaf_coeff" in node:
                raise NotApplicable("The leaves hold linear models, which are not read here.")
            values[number, at] = float(node["leaf_value"]) * scale
            cover[number] = float(node.get("leaf_count", 1))
            continue
        feature[number], cover[number] = node["split_feature"], node["internal_count"]
        if node["decision_type"] == "==":
            codes = [int(code) for code in str(node["threshold"]).split("||")]
            table = np.zeros(max(codes) + 1, dtype=bool)
            table[codes] = True
            choices[number] = Choice(table)
            continue
        if node["missing_type"] == "Zero":
            raise NotApplicable("The trees count zeros as missing, which is not read here.")
        threshold[number] = float(node["threshold"])
        # without a place of their own, missing values count as 0
        is_none = node["missing_type"] == "None"
        missing[number] = threshold[number] >= 0 if is_none else bool(node["default_left"])
    return Tree(left, right, feature, threshold, missing, values, cover, choices)


def catboost_told(estimator: Any) -> dict[str, Any]:
    """A CatBoost model in its own JSON form."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        estimator.save_model(str(path), format="json")
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return told


def _catboost(estimator: Any) -> Forest:
    told = catboost_told(estimator)
    info = told["features_info"]
    if any(info.get(kind) for kind in info if kind not in ("float_features", "cat_features_hash")):
        raise NotApplicable("CatBoost turns categories and texts into numbers in ways of its own.")
    scale, bias = told["scale_and_bias"]
    base = np.asarray(bias, dtype=np.float64)
    floats = {each["feature_index"]: each for each in info["float_features"]}
    read = _catboost_tree if "oblivious_trees" in told else _catboost_nested
    some = told.get("oblivious_trees", told.get("trees", ()))
    trees = tuple(read(each, floats, len(base), float(scale)) for each in some)
    n_columns = 1 + max(each["flat_feature_index"] for each in floats.values())
    return Forest(trees, base, _catboost_unit(estimator), single, n_columns)


def _catboost_unit(estimator: Any) -> Unit:
    if str(estimator.get_all_params().get("loss_function", "")) in ("Poisson", "Tweedie"):
        return "logarithm"
    classes = getattr(estimator, "classes_", None)
    return "value" if classes is None or not len(classes) else "log-odds"


def _catboost_nested(
    told: dict[str, Any], floats: dict[int, Any], n_outputs: int, scale: float
) -> Tree:
    """A tree that is grown leaf by leaf, or with other splits on each side."""
    nodes: list[dict[str, Any]] = []
    children: list[tuple[int, int]] = []
    waiting = [(told, -1, 0)]
    while waiting:
        node, parent, side = waiting.pop()
        number = len(nodes)
        nodes.append(node)
        children.append((-1, -1))
        if parent >= 0:
            low, high = children[parent]
            children[parent] = (low, number) if side else (number, high)
        if "split" in node:
            waiting += [(node["left"], number, 0), (node["right"], number, 1)]
    size = len(nodes)
    feature, threshold = np.zeros(size, dtype=np.int32), np.zeros(size)
    missing, cover = np.zeros(size, dtype=bool), np.zeros(size)
    values = np.zeros((size, n_outputs))
    for number in range(size - 1, -1, -1):  # children first
        node = nodes[number]
        if "split" not in node:
            values[number] = np.asarray(node["value"]) * scale
            cover[number] = node["weight"]
            continue
        column = floats[node["split"]["float_feature_index"]]
        feature[number], threshold[number] = column["flat_feature_index"], node["split"]["border"]
        missing[number] = column["nan_value_treatment"] != "AsTrue"
        cover[number] = sum(cover[child] for child in children[number])
    left, right = np.array(children, dtype=np.int32).T
    return Tree(left, right, feature, threshold, missing, values, cover)


def _catboost_tree(
    told: dict[str, Any], floats: dict[int, Any], n_outputs: int, scale: float
) -> Tree:
    splits = told.get("splits") or []
    depth = len(splits)
    inner, size = 2**depth - 1, 2 ** (depth + 1) - 1
    left = np.where(np.arange(size) < inner, 2 * np.arange(size) + 1, -1).astype(np.int32)
    right = np.where(left < 0, -1, left + 1).astype(np.int32)
    feature, threshold = np.zeros(size, dtype=np.int32), np.zeros(size)
    missing = np.zeros(size, dtype=bool)
    leaf = np.zeros(1, dtype=np.int64)  # the number of the leaf below, bit by bit
    for level, split in enumerate(reversed(splits)):
        nodes = slice(2**level - 1, 2 ** (level + 1) - 1)
        column = floats[split["float_feature_index"]]
        feature[nodes] = column["flat_feature_index"]
        threshold[nodes] = split["border"]
        missing[nodes] = column["nan_value_treatment"] != "AsTrue"
        leaf = np.stack([leaf, leaf + 2 ** (depth - 1 - level)], axis=1).reshape(-1)
    values, cover = np.zeros((size, n_outputs)), np.zeros(size)
    values[inner:] = np.asarray(told["leaf_values"]).reshape(2**depth, n_outputs)[leaf] * scale
    cover[inner:] = np.asarray(told["leaf_weights"], dtype=np.float64)[leaf]
    for node in range(inner - 1, -1, -1):
        cover[node] = cover[left[node]] + cover[right[node]]
    return Tree(left, right, feature, threshold, missing, values, cover)
