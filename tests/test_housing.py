"""California housing: the printed and re-measured table, reproduced through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, StratifiedShuffleSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

import dashboard
from dashboard.__main__ import main

TARGET = "median_house_value"


def _prepare(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The recipe's split, and the ratios from columns imputed by the training median."""
    housing = pd.read_csv(path)
    category = pd.cut(housing["median_income"], [0, 1.5, 3, 4.5, 6, np.inf], labels=False)
    split = StratifiedShuffleSplit(n_splits=1, test_size=0.2, random_state=42)
    train_rows, test_rows = next(split.split(housing, category))
    train, test = housing.iloc[train_rows].copy(), housing.iloc[test_rows].copy()
    median = train["total_bedrooms"].median()
    for part in (train, test):
        bedrooms = part["total_bedrooms"].fillna(median)
        part["rooms_per_household"] = part["total_rooms"] / part["households"]
        part["population_per_household"] = part["population"] / part["households"]
        part["bedrooms_per_room"] = bedrooms / part["total_rooms"]
    return train, test


def _pipeline(model: object, train: pd.DataFrame) -> Pipeline:
    numbers = [c for c in train.columns if c not in (TARGET, "ocean_proximity")]
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("place", OneHotEncoder(handle_unknown="ignore"), ["ocean_proximity"]),
        ]
    )
    return make_pipeline(columns, model).fit(train.drop(columns=TARGET), train[TARGET])


@pytest.fixture(scope="module")
def folder(housing_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("housing")
    train, test = _prepare(housing_path)
    train.to_csv(folder / "train.csv", index=False)
    test.to_csv(folder / "test.csv", index=False)
    test[test["ocean_proximity"] == "INLAND"].to_csv(folder / "inland.csv", index=False)
    test[test["ocean_proximity"] == "NEAR OCEAN"].to_csv(folder / "ocean.csv", index=False)
    models = {
        "linear": LinearRegression(),
        "tuned": RandomForestRegressor(n_estimators=30, max_features=8, random_state=42, n_jobs=2),
    }
    for name, model in models.items():
        skops.io.dump(_pipeline(model, train), folder / f"{name}.skops")
    return folder


def _rmse(folder: Path, data: str, out: Path) -> dict[str, dict[str, float]]:
    """Model → the RMSE row that `python -m dashboard evaluate` writes."""
    argv = ["evaluate", "--data", str(folder / data), "--target", TARGET, "--metric", "rmse"]
    argv += ["--model", str(folder / "linear.skops"), "--model", str(folder / "tuned.skops")]
    assert main([*argv, "--output", str(out)]) == 0
    rows = json.loads(out.read_text())["scores"]
    return {row["model"]: row for row in rows if row["metric"] == "rmse" and row["label"] == ""}


def test_linear_train_error(folder: Path, tmp_path: Path) -> None:
    assert _rmse(folder, "train.csv", tmp_path / "o.json")["linear"]["value"] == pytest.approx(
        68_628, rel=0.01
    )


def test_tuned_forest_test_error_with_interval(folder: Path, tmp_path: Path) -> None:
    row = _rmse(folder, "test.csv", tmp_path / "o.json")["tuned"]
    assert row["value"] == pytest.approx(47_873, rel=0.01)
    assert row["low"] == pytest.approx(45_893, rel=0.01)
    assert row["high"] == pytest.approx(49_774, rel=0.01)
    assert row["n"] == 4_128


@pytest.mark.parametrize(("data", "expected"), [("inland.csv", 35_478), ("ocean.csv", 59_906)])
def test_error_by_place(folder: Path, tmp_path: Path, data: str, expected: float) -> None:
    found = _rmse(folder, data, tmp_path / "o.json")["tuned"]["value"]
    assert found == pytest.approx(expected, rel=0.01)


def test_raw_file_is_understood(housing_path: Path) -> None:
    from dashboard import load_data

    evalset = load_data(housing_path, target=TARGET)
    assert evalset.ledger.n_read == evalset.ledger.n_evaluated == 20_640
    assert int(evalset.X["total_bedrooms"].isna().sum()) == 207
    assert int((evalset.target.y == 500_001).sum()) == 965
    assert evalset.target.task == "regression"


@pytest.mark.slow
def test_forest_memorises_the_training_part(folder: Path) -> None:
    train = pd.read_csv(folder / "train.csv")
    forest = _pipeline(RandomForestRegressor(random_state=42, n_jobs=2), train)
    result = dashboard.evaluate(train, target=TARGET, models={"forest": forest}, metrics=["rmse"])
    assert result.scores.value("forest", "rmse") == pytest.approx(18_651, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "mean", "spread"),
    [
        (LinearRegression(), 69_104, None),
        (DecisionTreeRegressor(random_state=42), 71_630, 2_914),
        (RandomForestRegressor(random_state=42, n_jobs=2), 50_436, 2_203),
    ],
    ids=["linear", "tree", "forest"],
)
def test_ten_folds(folder: Path, model: object, mean: float, spread: float | None) -> None:
    train = pd.read_csv(folder / "train.csv")
    scores = []
    for fit, rest in KFold(10).split(train):
        pipeline = _pipeline(model, train.iloc[fit])
        result = dashboard.evaluate(
            train.iloc[rest].reset_index(drop=True),
            target=TARGET,
            models={"m": pipeline},
            metrics=["rmse"],
        )
        scores.append(result.scores.value("m", "rmse"))
    assert np.mean(scores) == pytest.approx(mean, rel=0.01)
    if spread is not None:
        assert np.std(scores) == pytest.approx(spread, rel=0.05)
