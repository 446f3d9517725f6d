"""Contributions by the boosters' own code: `pred_contribs`, `pred_contrib`, `ShapValues`.

They are path-dependent Tree SHAP with the splits by category and the missing values of the
library itself, in log-odds or in the unit of the target.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import OutputSpace, Work
from ..errors import NotApplicable
from .boosted_forests import catboost_told, xgboost_range
from .forest_reading import forest_of, is_first
from .subjects import EngineResult, Game, Subject
from .trees import MERGED, in_parts

__all__ = ["NativeTrees", "catboost_pool", "own_interactions", "xgboost_rows"]

FloatArray = npt.NDArray[np.floating[Any]]

_LINKED = {"poisson", "gamma", "tweedie", "cross_entropy_lambda", "multiclassova", "ova"}


# What was found out about a model, which takes reading all of it.
_REFUSED: WeakKeyDictionary[Subject, dict[tuple[str, OutputSpace], str]] = WeakKeyDictionary()


class NativeTrees:
    """One of the three libraries."""

    exact = True
    level: Literal["raw", "prepared"] = "prepared"
    game: Game = "path-dependent"

    def __init__(self, key: str, method: str, library: str, kinds: tuple[str, ...]) -> None:
        self.key, self.method, self._library, self._kinds = key, method, library, kinds

    def _is_mine(self, estimator: Any) -> bool:
        return any(
            kind.__module__.split(".")[0] == self._library and kind.__name__ in self._kinds
            for kind in type(estimator).__mro__
        )

    def refuses(self, subject: Subject, space: OutputSpace) -> str:
        """Why not: another library, probabilities, or an answer that is no sum of its trees."""
        if not self._is_mine(subject.estimator):
            return f"The model is no booster of {self.method.split(':')[0]}."
        if subject.sources is not None and len(set(subject.sources)) < len(subject.sources):
            return MERGED
        if space is OutputSpace.PROBABILITY:
            return "Its own contributions add up to log-odds, not to probabilities."
        known = _REFUSED.setdefault(subject, {})
        if (self.key, space) not in known:
            known[self.key, space] = _REFUSALS[self.key](subject, space)
        return known[self.key, space]

    def seconds(self, subject: Subject, n_rows: int, n_background: int) -> float:
        """As Tree SHAP: leaves times the square of the features on their paths."""
        speed = 0.15 if self.key == "catboost" else 1.0
        try:
            forest = forest_of(subject)
        except NotApplicable:
            return 0.02 + n_rows * 5e-4 * speed
        d, leaves = forest.mean_features, forest.n_leaves
        return 0.02 + speed * n_rows * leaves * d * d * 5e-9

    def explain(
        self,
        subject: Subject,
        rows: Any,
        background: Any,
        space: OutputSpace,
        work: Work,
        options: Mapping[str, Any],
    ) -> EngineResult:
        """Exact values `(n, m, n_outputs)` by the training's own counts."""
        ask, n = _ASK[self.key], _length(rows)
        parts = [ask(subject.estimator, _some(rows, part)) for part in in_parts(n, work)]
        found = np.concatenate(parts).astype(np.float64)  # (n, k, m + 1)
        values = np.ascontiguousarray(found[:, :, :-1].transpose(0, 2, 1))
        return EngineResult(*_matched(values, found[:, :, -1].mean(axis=0), subject))


def _matched(
    values: FloatArray, base: FloatArray, subject: Subject
) -> tuple[FloatArray, FloatArray]:
    if len(base) == 1 and subject.n_outputs == 1 and is_first(subject):
        return -values, -base
    if len(base) == 1 and subject.n_outputs == 2:
        return np.concatenate([-values, values], axis=-1), np.concatenate([-base, base])
    return values, base


def _length(rows: Any) -> int:
    return len(rows) if isinstance(rows, pd.DataFrame) else int(np.shape(rows)[0])


def _some(rows: Any, part: slice) -> Any:
    return rows.iloc[part] if isinstance(rows, pd.DataFrame) else rows[part]


def _not_xgboost(subject: Subject, space: OutputSpace) -> str:
    import json

    estimator = subject.estimator
    booster = estimator.get_booster() if hasattr(estimator, "get_booster") else estimator
    learner = json.loads(booster.save_config())["learner"]
    objective = learner["objective"]["name"]
    if learner["gradient_booster"]["name"] == "gblinear":
        return "The booster is linear; its contributions have no background."
    if space is OutputSpace.TARGET and objective.startswith(
        ("count:", "reg:gamma", "reg:tweedie", "reg:logistic", "survival:")
    ):
        return f"Its contributions add up before the link function of {objective}."
    try:
        forest_of(subject)
    except NotApplicable as reason:
        return str(reason)
    return ""


def _not_lightgbm(subject: Subject, space: OutputSpace) -> str:
    told = (getattr(subject.estimator, "booster_", None) or subject.estimator).dump_model(
        num_iteration=1
    )
    words = str(told.get("objective", "")).split(" ")
    if words[0] in _LINKED or "sqrt" in words:
        return f"Its contributions add up before the link function of {words[0]}."
    if any("leaf_coeff" in str(tree) for tree in told["tree_info"][:1]):
        return "LightGBM computes no contributions of linear leaves."
    if told.get("average_output"):
        return "LightGBM adds the contributions of averaged trees up instead of averaging them."
    return ""


def _not_catboost(subject: Subject, space: OutputSpace) -> str:
    loss = str(subject.estimator.get_all_params().get("loss_function", ""))
    if loss in ("Poisson", "Tweedie", "MultiClassOneVsAll", "RMSEWithUncertainty"):
        return f"Its contributions add up before the link function of {loss}."
    if len(subject.estimator.get_text_feature_indices()):
        return "CatBoost computes no contributions of text columns."
    told = catboost_told(subject.estimator)
    if "oblivious_trees" not in told:
        return "CatBoost's contributions are not exact for trees that are not symmetric."
    if any(_has_unreached(tree) for tree in told["oblivious_trees"]):
        return "Some of its leaves have values that no row of its training reached."
    info = told["features_info"]
    if any(len(each["elements"]) > 1 for each in info.get("ctrs") or ()):
        return "It splits by combinations of columns and divides their part evenly."
    return ""


def _has_unreached(tree: Mapping[str, Any]) -> bool:
    """Whether a leaf without training rows has a value, as monotone constraints give it.

    What an unknown feature does at a split that no row reached is not defined then.
    """
    weights = np.asarray(tree["leaf_weights"], dtype=np.float64)
    values = np.asarray(tree["leaf_values"], dtype=np.float64).reshape(len(weights), -1)
    return bool((values[weights == 0] != 0).any())


def xgboost_rows(estimator: Any, rows: Any) -> Any:
    """A DMatrix of prepared rows, as the estimator itself makes it."""
    import xgboost

    booster = estimator.get_booster() if hasattr(estimator, "get_booster") else estimator
    is_frame = isinstance(rows, pd.DataFrame)
    return xgboost.DMatrix(
        rows,
        missing=getattr(estimator, "missing", np.nan),
        feature_names=None if is_frame else booster.feature_names,
        feature_types=None if is_frame else booster.feature_types,
        enable_categorical=True,
    )


def _of_xgboost(estimator: Any, rows: Any) -> FloatArray:
    booster = estimator.get_booster() if hasattr(estimator, "get_booster") else estimator
    found = booster.predict(
        xgboost_rows(estimator, rows),
        pred_contribs=True,
        iteration_range=xgboost_range(estimator),
        strict_shape=True,
    )
    return np.asarray(found)


def _of_lightgbm(estimator: Any, rows: Any) -> FloatArray:
    booster = getattr(estimator, "booster_", None) or estimator
    found = booster.predict(rows, pred_contrib=True, validate_features=False)
    if hasattr(found, "toarray"):
        found = found.toarray()
    width = booster.num_feature() + 1
    return np.asarray(found).reshape(len(found), -1, width)


def catboost_pool(estimator: Any, rows: Any) -> Any:
    """A Pool of prepared rows with the categorical columns of the model."""
    import catboost

    indices = estimator.get_cat_feature_indices()
    return catboost.Pool(rows, cat_features=indices or None)


def _of_catboost(estimator: Any, rows: Any) -> FloatArray:
    found = np.asarray(
        estimator.get_feature_importance(catboost_pool(estimator, rows), type="ShapValues")
    )
    return found[:, None, :] if found.ndim == 2 else found


def own_interactions(subject: Subject, rows: Any) -> FloatArray:
    """CatBoost's interaction values `(n, m, m, n_outputs)`, halved off the diagonal."""
    pool = catboost_pool(subject.estimator, rows)
    found = np.asarray(subject.estimator.get_feature_importance(pool, type="ShapInteractionValues"))
    found = found[:, None] if found.ndim == 3 else found
    values = np.ascontiguousarray(found[:, :, :-1, :-1].transpose(0, 2, 3, 1), dtype=np.float64)
    return _matched(values, np.zeros(values.shape[-1]), subject)[0]


_REFUSALS = {"xgboost": _not_xgboost, "lightgbm": _not_lightgbm, "catboost": _not_catboost}
_ASK = {"xgboost": _of_xgboost, "lightgbm": _of_lightgbm, "catboost": _of_catboost}

XGBOOST = NativeTrees(
    "xgboost", "XGBoost: its own contributions", "xgboost", ("XGBModel", "Booster")
)
LIGHTGBM = NativeTrees(
    "lightgbm", "LightGBM: its own contributions", "lightgbm", ("LGBMModel", "Booster")
)
CATBOOST = NativeTrees("catboost", "CatBoost: its own contributions", "catboost", ("CatBoost",))
