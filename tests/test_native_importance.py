"""Native importances: the libraries' own numbers, on the columns that people uploaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler
from sklearn.svm import SVC

from dashboard.data import EvalSet, evalset_from_frame
from dashboard.diagnostics.importance import Importance
from dashboard.errors import NotApplicable
from dashboard.frames import Frame, FrameError
from dashboard.importance import native_importance, native_importances
from dashboard.importance.counted import _read_native
from dashboard.models import adapt


def _with_target(X: pd.DataFrame, y: Any, **options: Any) -> EvalSet:
    return evalset_from_frame(X.assign(target=y), target="target", **options)


def _by_name(found: Importance) -> dict[str, float]:
    return dict(zip(found.features, found.values.tolist(), strict=True))


def _mixed(n: int = 300, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "size": rng.normal(50, 10, n),
            "place": rng.choice(["north", "south", "west"], n),
            "age": rng.uniform(0, 1, n),
        }
    )


def _columns() -> ColumnTransformer:
    return ColumnTransformer(
        [("n", StandardScaler(), ["size", "age"]), ("p", OneHotEncoder(), ["place"])]
    )


# ---- reference numbers ---------------------------------------------------------------------------


def test_iris_forest_to_every_digit() -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    forest = RandomForestClassifier(n_estimators=500, random_state=42, n_jobs=2).fit(X, y)
    found = native_importance(adapt(forest, "forest"), _with_target(X, y), "forest")
    assert found.method == "impurity" and found.features == tuple(X.columns)
    assert [f"{value:.4f}" for value in found.values] == ["0.1125", "0.0231", "0.4410", "0.4234"]
    assert found.values.tolist() == forest.feature_importances_.tolist()


def test_housing_first_nine_in_order(housing_path: Path) -> None:
    housing = pd.read_csv(housing_path)
    income = pd.cut(housing["median_income"], [0, 1.5, 3, 4.5, 6, np.inf], labels=False)
    split = StratifiedShuffleSplit(n_splits=1, test_size=0.2, random_state=42)
    train = housing.iloc[next(split.split(housing, income))[0]].copy()
    bedrooms = train["total_bedrooms"].fillna(train["total_bedrooms"].median())
    train["rooms_per_household"] = train["total_rooms"] / train["households"]
    train["population_per_household"] = train["population"] / train["households"]
    train["bedrooms_per_room"] = bedrooms / train["total_rooms"]
    y = train.pop("median_house_value")
    numbers = [name for name in train.columns if name != "ocean_proximity"]
    columns = ColumnTransformer(
        [
            ("n", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("p", OneHotEncoder(), ["ocean_proximity"]),
        ]
    )
    forest = RandomForestRegressor(30, max_features=8, random_state=42, n_jobs=2)
    pipe = make_pipeline(columns, forest).fit(train, y)
    evalset = _with_target(train.iloc[:500], y.iloc[:500].to_numpy())
    found = native_importance(adapt(pipe, "tuned"), evalset, "tuned", prepared=True)
    first = [name.split("__")[1] for name in found.frame()["feature"][:9]]
    assert first == [
        "median_income",
        "ocean_proximity_INLAND",
        "population_per_household",
        "longitude",
        "latitude",
        "rooms_per_household",
        "bedrooms_per_room",
        "housing_median_age",
        "population",
    ]
    assert found.frame()["value"][:2].tolist() == pytest.approx([0.379, 0.166], rel=0.01)
    raw = _by_name(native_importance(adapt(pipe, "tuned"), evalset, "tuned"))
    assert raw["ocean_proximity"] == pytest.approx(forest.feature_importances_[11:].sum())


# ---- boosters ------------------------------------------------------------------------------------


def test_xgboost_is_what_it_says() -> None:
    import xgboost

    X = _mixed()[["size", "age"]]
    model = xgboost.XGBRegressor(n_estimators=10, max_depth=3).fit(X, X["size"] + 9 * X["age"])
    gain, split = native_importances(adapt(model, "x"), _with_target(X, X["size"]), "x")
    for kind, found in (("total_gain", gain), ("weight", split)):
        theirs = model.get_booster().get_score(importance_type=kind)
        total = sum(theirs.values())
        assert _by_name(found) == pytest.approx({k: v / total for k, v in theirs.items()})
    assert (gain.method, split.method) == ("gain", "split")


def test_lightgbm_with_spaces_in_names() -> None:
    import lightgbm

    X = _mixed()[["size", "age"]].rename(columns={"size": "the size"})
    model = lightgbm.LGBMRegressor(n_estimators=10, verbose=-1).fit(X, X["the size"])
    gain, split = native_importances(adapt(model, "l"), _with_target(X, X["the size"]), "l")
    for kind, found in (("gain", gain), ("split", split)):
        theirs = model.booster_.feature_importance(importance_type=kind)
        assert found.features == ("the size", "age")
        assert found.values == pytest.approx(theirs / theirs.sum())


def test_catboost_with_text_categories() -> None:
    import catboost

    X = _mixed()
    y = X["size"] + 20 * (X["place"] == "west")
    model = catboost.CatBoostRegressor(
        iterations=20, verbose=0, cat_features=["place"], allow_writing_files=False
    ).fit(X, y)
    found = native_importance(adapt(model, "c"), _with_target(X, y), "c")
    theirs = model.get_feature_importance(type="PredictionValuesChange")
    assert found.values == pytest.approx(theirs / 100)


def test_histogram_gain_is_the_loss_that_splits_saved() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=400), "b": rng.normal(size=400)})
    y = (2 * X["a"] + X["b"] + rng.normal(size=400)).to_numpy()
    model = HistGradientBoostingRegressor(
        max_iter=8, max_leaf_nodes=2, learning_rate=0.5, early_stopping=False
    ).fit(X, y)
    # by hand: each stump lowers the squared error of the residuals by the between-part of it
    saved, at = {"a": 0.0, "b": 0.0}, np.full(400, y.mean())
    for after in model.staged_predict(X):
        residual, step = y - at, after - at
        left = step < (step.min() + step.max()) / 2
        name = next(
            n
            for n in X
            if X[n][left].max() < X[n][~left].min() or X[n][left].min() > X[n][~left].max()
        )
        means = np.where(left, residual[left].mean(), residual[~left].mean())
        saved[name] += float(((means - residual.mean()) ** 2).sum())
        at = after
    total = sum(saved.values())
    found = native_importance(adapt(model, "h"), _with_target(X, y), "h")
    assert _by_name(found) == pytest.approx({k: v / total for k, v in saved.items()}, rel=1e-4)
    assert min(found.values) > 0.05


def test_histogram_categories_are_counted_in_the_right_column() -> None:
    X = _mixed()
    X["place"] = X["place"].astype("category")
    y = np.where(X["place"] == "west", 10.0, 0.0) + X["age"]
    model = HistGradientBoostingRegressor(max_iter=10, categorical_features="from_dtype").fit(X, y)
    for found in native_importances(adapt(model, "h"), _with_target(X, y), "h")[:1]:
        assert found.frame()["feature"].tolist() == ["place", "age", "size"]


# ---- coefficients --------------------------------------------------------------------------------


def test_coefficients_on_the_standardised_scale_with_sign() -> None:
    X = _mixed()
    y = 3 * X["size"] - 100 * X["age"] + 5 * (X["place"] == "west")
    pipe = make_pipeline(_columns(), LinearRegression()).fit(X, y)
    found = native_importance(adapt(pipe, "m"), _with_target(X, y), "m")
    # of exact data the coefficients are the true ones, so the contribution's spread is theirs
    expected = [3 * X["size"].std(ddof=0), 5 * (X["place"] == "west").std(ddof=0)]
    expected.append(100 * X["age"].std(ddof=0))
    assert found.features == ("size", "place", "age")
    assert found.values == pytest.approx(expected, rel=1e-8)
    assert found.signs is not None and found.signs.tolist() == [1, 0, -1]


def test_signs_are_of_the_positive_class() -> None:
    X = _mixed()[["size", "age"]]
    y = np.where(X["age"] > 0.5, "b", "a")
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    signs = {}
    for positive in ("a", "b"):
        found = native_importance(adapt(model, "m"), _with_target(X, y, pos_label=positive), "m")
        assert found.signs is not None
        signs[positive] = int(found.signs[1])
    assert signs == {"a": -1, "b": 1}


def test_a_bent_line_that_only_rises_has_a_sign() -> None:
    X = _mixed()[["size", "age"]]
    y = X["age"] ** 3 * 10 + 0.1 * (X["size"] - 50) ** 2
    pipe = make_pipeline(SplineTransformer(), LinearRegression()).fit(X, y)
    found = native_importance(adapt(pipe, "m"), _with_target(X, y), "m")
    assert found.signs is not None and found.signs.tolist() == [0, 1]


def test_several_classes_have_no_sign() -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=1_000).fit(X, y)
    found = native_importance(adapt(model, "m"), _with_target(X, y), "m")
    parts = np.abs(model.coef_).mean(axis=0) * X.std(ddof=0).to_numpy()
    assert found.values == pytest.approx(parts)
    assert found.signs is not None and not found.signs.any()


# ---- where it ends -------------------------------------------------------------------------------


def test_mixed_columns_are_shown_as_the_models_own() -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    pipe = make_pipeline(PCA(2), RandomForestClassifier(5, random_state=0)).fit(X, y)
    found = native_importance(adapt(pipe, "m"), _with_target(X, y), "m")
    assert found.features == ("pca0", "pca1")
    assert "columns are mixed" in found.notes[0]


@pytest.mark.parametrize("model", [KNeighborsClassifier(), SVC()])
def test_models_without_counts_say_so(model: Any) -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    with pytest.raises(NotApplicable, match="keeps no counts"):
        native_importance(adapt(model.fit(X, y), "m"), _with_target(X, y), "m")


def test_a_kind_that_the_model_lacks_is_named() -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = adapt(RandomForestClassifier(3).fit(X, y), "m")
    with pytest.raises(NotApplicable, match="it has impurity"):
        native_importance(model, _with_target(X, y), "m", "gain")


def _answer(**changes: Any) -> Frame:
    header = {"features": ["a", "b"], "kinds": ["gain"], "signed": [False], "notes": []}
    arrays = changes.pop("arrays", (np.ones((1, 2)), np.zeros((1, 2))))
    return Frame({**header, **changes}, arrays)


@pytest.mark.parametrize(
    "answer",
    [
        _answer(kinds=["magic"]),
        _answer(kinds=["gain", "gain"]),
        _answer(features="ab"),
        _answer(features=["a", "a"]),
        _answer(features=["a", 3]),
        _answer(signed=[]),
        _answer(arrays=(np.ones((1, 2)),)),
        _answer(arrays=(np.full((1, 2), np.nan), np.zeros((1, 2)))),
        _answer(arrays=(np.ones((1, 2)), np.full((1, 2), 7.0))),
    ],
)
def test_nonsense_from_a_worker_is_not_believed(answer: Frame) -> None:
    assert _read_native(_answer()).features == ("a", "b")
    with pytest.raises(FrameError):
        _read_native(answer)
