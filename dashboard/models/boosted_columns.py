"""The columns of gradient boosters: what they were fitted on, and their categories.

A table from a file holds categories as text; XGBoost, LightGBM and histogram boosting want them
as categories with the codes that they had in training, and each keeps these in another place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import canonical_label
from ..errors import ModelError

__all__ = ["BoostedColumns", "boosted_columns", "catboost_loss"]

# The categories of a column: in the order of their codes; ANY where values are matched by the
# model itself; TEXT where it reads text; UNKNOWN where the file does not say.
ANY, TEXT, UNKNOWN = "any", "text", "unknown"
Categories = Sequence[Any] | str


@dataclass(frozen=True)
class BoostedColumns:
    """What a booster knows of its columns.

    Attributes
    ----------
    names : in order, or None where it was fitted on an array.
    count : number of columns, None where it does not say.
    categories : position → the known categories of a column that is no number.
    underscores : names lost their spaces when the booster was fitted.
    multilabel : its classes are labels of their own, not one choice among them.
    """

    library: str
    names: tuple[str, ...] | None
    count: int | None
    categories: Mapping[int, Categories] = field(default_factory=dict)
    underscores: bool = False
    multilabel: bool = False

    def renamed(self, X: Any) -> Any:
        """Columns under the names of the booster where only spaces differ."""
        if not self.underscores or self.names is None or not isinstance(X, pd.DataFrame):
            return X
        wanted = set(self.names) - {str(name) for name in X.columns}
        found = {name: re.sub(r"\s", "_", str(name)) for name in X.columns}
        return X.rename(columns={old: new for old, new in found.items() if new in wanted})

    def as_categories(self, given: Any, model: str) -> tuple[Any, list[str]]:
        """`(n, count)` frame with the categories of training; what was never seen is missing.

        Raises
        ------
        ModelError : text in a column whose codes the file does not explain.
        """
        if not isinstance(given, pd.DataFrame) or not self.categories:
            return given, []
        notes: list[str] = []
        changed: dict[str, Any] = {}
        for at, known in self.categories.items():
            if at < given.shape[1]:
                column = given.iloc[:, at]
                changed[str(column.name)] = self._categorical(column, known, model, notes)
        return given.assign(**changed), notes

    def _categorical(
        self, column: pd.Series[Any], known: Categories, model: str, notes: list[str]
    ) -> Any:
        if isinstance(known, str):
            return self._unexplained(column, known, model, notes)
        categories = pd.Index(list(known))
        codes, values = _distinct(column, model)
        places = categories.get_indexer(pd.Index(_matching(values, known)))
        found = pd.Series(
            pd.Categorical.from_codes(_spread(places, codes, -1), categories=categories),
            index=column.index,
        )
        new = int((found.isna() & column.notna()).sum())
        if new:
            notes.append(
                f"{new:,} values of {column.name} were never seen in training; they count as "
                "missing."
            )
        return found

    def _unexplained(self, column: pd.Series[Any], known: str, model: str, notes: list[str]) -> Any:
        if known == TEXT:
            if column.isna().any():
                notes.append(f'Missing values of {column.name} are given as the text "nan".')
            return _as_text(column, model)
        numeric = pd.api.types.is_numeric_dtype(column.dtype)
        if known == ANY or numeric:
            return column if numeric and known == UNKNOWN else column.astype("category")
        raise ModelError(
            f"{model} counts the values of {column.name} as categories and does not record which "
            f"number stands for which value; save it again with {self.library} 3.1 or newer, or "
            "export the whole pipeline that encodes them."
        )


def _distinct(column: pd.Series[Any], model: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Codes `(n,)` into the distinct values, -1 where a value is missing; and the values."""
    try:
        codes, values = pd.factorize(column.astype("object").to_numpy())
    except TypeError as error:
        raise ModelError(
            f"{model} reads {column.name} as categories, and it holds lists or other values that "
            "are no category. Use a column of texts or numbers."
        ) from error
    return codes.astype(np.int64), np.asarray(values, dtype=object)


def _spread(values: npt.NDArray[Any], codes: npt.NDArray[np.int64], missing: Any) -> Any:
    """The value of every row, `missing` where its code is -1."""
    return np.append(values, missing)[codes]


def _matching(values: npt.NDArray[Any], known: Sequence[Any]) -> list[Any]:
    """The values as the known categories are written: 1.0 and "1" are 1."""
    if any(value in set(known) for value in values):
        return list(values)
    written = {str(canonical_label(value)): value for value in known}
    return [written.get(str(canonical_label(value)), value) for value in values]


def _as_text(column: pd.Series[Any], model: str) -> pd.Series[Any]:
    codes, values = _distinct(column, model)
    texts = np.array([str(canonical_label(value)) for value in values], dtype=object)
    return pd.Series(_spread(texts, codes, "nan"), index=column.index, dtype="object")


def boosted_columns(estimator: Any) -> BoostedColumns | None:
    """What a booster, native or with the scikit-learn API, knows of its columns; else None."""
    kinds = {(kind.__module__.split(".")[0], kind.__name__) for kind in type(estimator).__mro__}
    if ("xgboost", "XGBModel") in kinds:
        return _of_xgboost(estimator.get_booster())
    if ("xgboost", "Booster") in kinds:
        return _of_xgboost(estimator)
    if ("lightgbm", "LGBMModel") in kinds:
        return _of_lightgbm(estimator.booster_)
    if ("lightgbm", "Booster") in kinds:
        return _of_lightgbm(estimator)
    if ("catboost", "CatBoost") in kinds:
        return _of_catboost(estimator)
    if ("sklearn", "BaseHistGradientBoosting") in kinds:
        return _of_histograms(estimator)
    return None


def _of_xgboost(booster: Any) -> BoostedColumns:
    names, types = booster.feature_names, booster.feature_types or []
    categorical = [at for at, kind in enumerate(types) if kind == "c"]
    categories: dict[int, Categories] = dict.fromkeys(categorical, UNKNOWN)
    if categorical:
        exported = booster.get_categories(export_to_arrow=True).to_arrow() or []
        for at, (_, values) in enumerate(exported):
            if at in categories and values is not None:
                categories[at] = values.to_pylist()
    return BoostedColumns(
        "XGBoost",
        None if names is None else tuple(names),
        int(booster.num_features()),
        categories,
    )


def _of_lightgbm(booster: Any) -> BoostedColumns:
    names = tuple(booster.feature_name())
    unnamed = names == tuple(f"Column_{at}" for at in range(len(names)))
    known = booster.pandas_categorical or []
    columns = booster.params.get("categorical_feature", booster.params.get("categorical_column"))
    if not isinstance(columns, (list, tuple)) or len(columns) != len(known):
        columns = _lightgbm_categorical(booster) if known else []
    if len(columns) != len(known):
        raise ModelError(
            "The LightGBM model has categories for "
            f"{len(known):,} columns and does not say which; save it again."
        )
    return BoostedColumns(
        "LightGBM",
        None if unnamed else names,
        len(names),
        {int(at): values for at, values in zip(columns, known, strict=True)},
        underscores=True,
    )


def _lightgbm_categorical(booster: Any) -> list[int]:
    """From the parameters that the model's text ends with."""
    found = re.search(r"\[categorical_feature: ([\d,]+)\]", booster.model_to_string())
    return [int(at) for at in found.group(1).split(",")] if found else []


def _of_catboost(estimator: Any) -> BoostedColumns:
    names = tuple(str(name) for name in estimator.feature_names_)
    unnamed = names == tuple(str(at) for at in range(len(names)))
    texts = [*estimator.get_cat_feature_indices(), *estimator.get_text_feature_indices()]
    return BoostedColumns(
        "CatBoost",
        None if unnamed else names,
        len(names),
        dict.fromkeys(texts, TEXT),
        multilabel=catboost_loss(estimator) in ("MultiLogloss", "MultiCrossEntropy"),
    )


def catboost_loss(model: Any) -> str:
    """The loss that a CatBoost model was trained with, "" where its file does not say."""
    try:
        return str(json.loads(dict(model.get_metadata())["params"])["loss_function"]["type"])
    except (KeyError, TypeError, ValueError):
        return ""


def _of_histograms(estimator: Any) -> BoostedColumns:
    names = getattr(estimator, "feature_names_in_", None)
    flags = getattr(estimator, "is_categorical_", None)
    by_dtype = getattr(estimator, "categorical_features", None) == "from_dtype"
    columns = np.flatnonzero(flags).tolist() if flags is not None and by_dtype else []
    return BoostedColumns(
        "scikit-learn",
        None if names is None else tuple(str(name) for name in names),
        int(estimator.n_features_in_),
        dict.fromkeys(columns, ANY),
    )
