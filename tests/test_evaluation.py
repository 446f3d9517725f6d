"""The shared path: in-memory estimators, files and predictions, one failure stopping nobody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import dashboard
from dashboard.contracts import Task
from dashboard.errors import DataError, ParameterError
from dashboard.evaluation import Evaluation


@pytest.fixture(scope="module")
def cancer() -> tuple[pd.DataFrame, pd.Series]:
    bunch = load_breast_cancer(as_frame=True)
    y = pd.Series(np.where(bunch.target == 0, "malignant", "benign"), name="diagnosis")
    return bunch.data, y


@pytest.fixture(scope="module")
def estimators(cancer: tuple[pd.DataFrame, pd.Series]) -> dict[str, object]:
    X, y = cancer
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    forest = RandomForestClassifier(n_estimators=20, max_depth=3, random_state=0)
    return {"linear": linear.fit(X[::2], y[::2]), "forest": forest.fit(X[::2], y[::2])}


def test_in_memory_estimators_score_as_scikit_learn(
    cancer: tuple[pd.DataFrame, pd.Series], estimators: dict[str, object]
) -> None:
    X, y = cancer
    result = dashboard.evaluate(X, y, models=estimators)
    assert result.evalset.target.task is Task.BINARY
    assert result.evalset.target.labels[result.evalset.target.pos_label] == "malignant"
    for name, model in estimators.items():
        chance = model.predict_proba(X)[:, list(model.classes_).index("malignant")]
        expected = roc_auc_score(y == "malignant", chance)
        assert result.scores.value(name, "roc_auc") == pytest.approx(expected, abs=1e-12)
        expected = log_loss(y == "malignant", chance)
        assert result.scores.value(name, "log_loss") == pytest.approx(expected, abs=1e-12)
        expected = accuracy_score(y == "malignant", chance >= 0.5)
        assert result.scores.value(name, "accuracy") == pytest.approx(expected, abs=1e-12)


def test_baseline_comes_first_and_is_the_majority(
    cancer: tuple[pd.DataFrame, pd.Series], estimators: dict[str, object]
) -> None:
    X, y = cancer
    result = dashboard.evaluate(X, y, models=estimators)
    assert result.baseline.name.startswith("Baseline")
    share = (y == "benign").mean()
    assert result.scores.value(result.baseline.name, "accuracy") == pytest.approx(share, abs=1e-12)
    assert [each.name for each in result.models] == ["linear", "forest"]


def test_positive_class_and_threshold_are_honoured(
    cancer: tuple[pd.DataFrame, pd.Series], estimators: dict[str, object]
) -> None:
    X, y = cancer
    result = dashboard.evaluate(X, y, models=estimators, pos_label="benign", threshold=0.9)
    chance = estimators["linear"].predict_proba(X)[:, 0]  # classes_: benign, malignant
    flagged = chance >= 0.9
    truth = y == "benign"
    expected = (flagged & truth).sum() / truth.sum()
    assert result.scores.value("linear", "recall") == pytest.approx(expected, abs=1e-12)


def test_one_failure_stops_nobody(
    cancer: tuple[pd.DataFrame, pd.Series], estimators: dict[str, object]
) -> None:
    X, y = cancer
    broken = LogisticRegression().fit(X[["mean radius"]].to_numpy(), y)
    result = dashboard.evaluate(X, y, models={**estimators, "broken": broken})
    assert [failure.name for failure in result.failures] == ["broken"]
    assert "30" in result.failures[0].message and "1" in result.failures[0].message
    assert len(result.models) == 2


def test_files_and_frames_give_the_same(
    cancer: tuple[pd.DataFrame, pd.Series], estimators: dict[str, object], tmp_path: Path
) -> None:
    X, y = cancer
    data = X.assign(diagnosis=y)
    data.to_csv(tmp_path / "cancer.csv", index=False)
    skops.io.dump(estimators["linear"], tmp_path / "linear.skops")
    chance = estimators["linear"].predict_proba(X)
    pd.DataFrame({"proba_benign": chance[:, 0], "proba_malignant": chance[:, 1]}).to_csv(
        tmp_path / "file.csv", index=False
    )
    result = dashboard.evaluate(
        tmp_path / "cancer.csv",
        target="diagnosis",
        models=[tmp_path / "linear.skops"],
        predictions=[tmp_path / "file.csv"],
    )
    memory = dashboard.evaluate(data, target="diagnosis", models={"linear": estimators["linear"]})
    assert not result.failures
    for name in ("linear", "file"):
        for metric in ("roc_auc", "average_precision", "accuracy", "brier"):
            expected = memory.scores.value("linear", metric)
            assert result.scores.value(name, metric) == pytest.approx(expected, abs=1e-12)


def test_arrays_and_regression() -> None:
    X, y = load_diabetes(return_X_y=True)
    model = LinearRegression().fit(X, y)
    result = dashboard.evaluate(X, y, models={"linear": model})
    expected = mean_squared_error(y, model.predict(X)) ** 0.5
    assert result.evalset.target.task is Task.REGRESSION
    assert result.scores.value("linear", "rmse") == pytest.approx(expected, rel=1e-12)


def test_images_for_a_flat_estimator() -> None:
    digits = load_digits()
    model = LogisticRegression(max_iter=200, tol=0.1).fit(digits.data / 16, digits.target)
    result = dashboard.evaluate(digits.images / 16, digits.target, models={"linear": model})
    expected = model.score(digits.data / 16, digits.target)
    assert result.scores.value("linear", "accuracy") == pytest.approx(expected, abs=1e-12)
    assert result.confusion()["linear"].counts.sum() == 1_797


def test_a_class_that_only_the_model_knows_keeps_its_column() -> None:
    X = np.array([[0.0], [1.0], [2.0], [0.1], [1.1], [2.1]])
    model = LogisticRegression().fit(X, ["a", "b", "c", "a", "b", "c"])
    result = dashboard.evaluate(
        pd.DataFrame({"x": [0.0, 1.0, 0.2, 1.2]}),
        pd.Series(["a", "b", "a", "b"]),
        models={"m": model},
        task="multiclass",
    )
    assert result.models[0].target.labels == ("a", "b", "c")
    assert not result.failures


def test_predictions_of_the_wrong_length_name_both() -> None:
    frame = pd.DataFrame({"x": range(10), "y": ["a", "b"] * 5})
    good = pd.DataFrame({"prediction": ["a", "b"] * 5})
    bad = pd.DataFrame({"prediction": ["a", "b"] * 4})
    result = dashboard.evaluate(frame, target="y", predictions={"good": good, "bad": bad})
    assert [one.name for one in result.failures] == ["bad"]
    assert "8" in result.failures[0].message and "10" in result.failures[0].message
    assert result.scores.value("good", "accuracy") == 1.0


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"target": "y"}, ParameterError, "No models"),
        ({"target": "y", "models": [], "threshold": 2}, ParameterError, "threshold"),
        ({"target": "nope", "models": {"m": len}}, DataError, "nope"),
        ({"models": {"m": len}}, ParameterError, "target"),
    ],
)
def test_bad_requests_are_one_sentence(
    options: dict[str, object], error: type[Exception], words: str
) -> None:
    frame = pd.DataFrame({"x": range(10), "y": ["a", "b"] * 5})
    with pytest.raises(error, match=words):
        dashboard.evaluate(frame, **options)


def test_missing_model_file_is_a_failure_not_a_crash(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": range(10), "y": ["a", "b"] * 5})
    result = dashboard.evaluate(frame, target="y", models=[tmp_path / "none.skops"])
    assert isinstance(result, Evaluation)
    assert "none.skops" in result.failures[0].message
