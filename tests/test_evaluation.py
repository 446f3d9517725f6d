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
from dashboard.contracts import ModelInfo, RawPredictions, Task
from dashboard.data import Table, evalset_from_frame
from dashboard.errors import DataError, ParameterError
from dashboard.evaluation import Evaluation, predict_evalset


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


TRUTH = ["a", "b"] * 5
FRAME = pd.DataFrame({"x": range(10), "y": TRUTH})


@pytest.mark.parametrize(
    "given",
    [
        RawPredictions(labels=np.array(TRUTH)),
        np.array(TRUTH),
        TRUTH,
        np.array([0.1, 0.9] * 5),  # scores of the second class
        Table.from_frame("t", pd.DataFrame({"prediction": TRUTH})),
        pd.DataFrame({"prediction": TRUTH}),
    ],
    ids=["raw", "labels", "list", "scores", "table", "frame"],
)
def test_predictions_in_memory_of_any_form(given: object) -> None:
    result = dashboard.evaluate(FRAME, target="y", predictions={"m": given}, pos_label="b")
    assert not result.failures
    assert result.scores.value("m", "accuracy") == 1.0


def test_values_in_memory_are_no_scores() -> None:
    X, y = load_diabetes(return_X_y=True)
    result = dashboard.evaluate(X, y, predictions={"off": y + 2.0})
    assert result.scores.value("off", "rmse") == pytest.approx(2, rel=1e-12)


@pytest.mark.parametrize("data", [Table.from_frame("t", FRAME), evalset_from_frame(FRAME, "y")])
def test_data_that_is_read_already(data: object) -> None:
    options = {"target": "y"} if isinstance(data, Table) else {}
    result = dashboard.evaluate(data, predictions={"m": np.array(TRUTH)}, **options)
    assert result.evalset.target.name == "y"
    assert result.scores.value("m", "accuracy") == 1.0


def test_one_table_object_keeps_its_target() -> None:
    """`target` names the column of a Table too, not only of a file."""
    frame = FRAME.assign(z=["u"] * 4 + ["v"] * 6)
    result = dashboard.evaluate(
        Table.from_frame("t", frame), target="z", predictions={"m": frame["z"].to_numpy()}
    )
    assert result.evalset.target.name == "z"


def test_y_beside_a_column_of_its_name_is_refused() -> None:
    with pytest.raises(ParameterError, match="already has a column 'y'"):
        dashboard.evaluate(FRAME, FRAME["y"], predictions={"m": np.array(TRUTH)})


@pytest.mark.parametrize("data", [7, None, np.zeros((10, 2))])
def test_data_of_an_unusable_type_says_what_is_needed(data: object) -> None:
    with pytest.raises(ParameterError, match="X with y"):
        dashboard.evaluate(data, predictions={"m": np.array(TRUTH)})


def test_predictions_named_like_a_model_are_told_apart(tmp_path: Path) -> None:
    model = LogisticRegression().fit(FRAME[["x"]], TRUTH)
    result = dashboard.evaluate(
        FRAME, target="y", models={"m": model}, predictions={"m": np.array(TRUTH)}
    )
    assert [each.name for each in result.models] == ["m", "m (file)"]
    assert result.scores.value("m (file)", "accuracy") == 1.0


def test_files_and_objects_of_one_name_are_told_apart(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "p.csv" for folder in ("one", "two")]
    for path in paths:
        path.parent.mkdir()
        pd.DataFrame({"prediction": TRUTH}).to_csv(path, index=False)
    result = dashboard.evaluate(FRAME, target="y", predictions=paths)
    assert [each.name for each in result.models] == ["p", "p (2)"]
    single = dashboard.evaluate(FRAME, target="y", predictions=str(paths[0]))
    assert [each.name for each in single.models] == ["p"]


def test_a_column_that_only_the_model_wants_comes_from_the_whole_table() -> None:
    frame = FRAME.assign(id=range(100, 110))
    model = LogisticRegression().fit(frame[["x", "id"]], TRUTH)
    evalset = evalset_from_frame(frame, "y")
    assert "id" not in evalset.X.columns
    result = dashboard.evaluate(evalset, models={"m": model})
    expected = model.score(frame[["x", "id"]], TRUTH)
    assert not result.failures
    assert result.scores.value("m", "accuracy") == pytest.approx(expected, abs=1e-12)


def test_answers_that_fit_no_target_stop_nobody() -> None:
    result = dashboard.evaluate(
        FRAME, target="y", predictions={"good": np.array(TRUTH), "flat": np.zeros((10, 5))}
    )
    assert [one.name for one in result.failures] == ["flat"]
    assert [each.name for each in result.models] == ["good"]


def test_a_data_file_without_answers_says_what_is_missing(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "data.csv", index=False)
    with pytest.raises(ParameterError, match="No models"):
        dashboard.evaluate(tmp_path / "data.csv", target="y")


def test_matrices_of_one_class_against_the_rest() -> None:
    truth = np.array(["a", "b", "c"] * 4)
    told = np.array(["a", "b", "b"] * 4)
    result = dashboard.evaluate(np.zeros((12, 1)), truth, predictions={"m": told})
    # b: 4 found, 4 wrongly taken for it, 4 left alone
    assert result.confusion(1)["m"].counts.tolist() == [[4, 4], [0, 4]]


def test_unknown_task_and_lengths_are_one_sentence() -> None:
    frame = pd.DataFrame({"x": range(10)})
    with pytest.raises(ParameterError, match="no task 'foo'"):
        dashboard.evaluate(frame, list("ab") * 5, models={"m": len}, task="foo")
    with pytest.raises(DataError, match="10 rows and y has 8"):
        dashboard.evaluate(frame, list("ab") * 4, models={"m": len})


def test_several_outputs_in_memory() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    Y = X @ np.array([[1.0, 2.0], [0.5, -1.0]]) + rng.normal(size=(40, 2))
    model = LinearRegression().fit(X, Y)
    result = dashboard.evaluate(X, Y, models={"m": model})
    assert result.evalset.target.task is Task.MULTIOUTPUT_REGRESSION
    expected = np.mean(np.sqrt(np.mean((Y - model.predict(X)) ** 2, axis=0)))
    assert result.scores.value("m", "rmse") == pytest.approx(expected, rel=1e-12)
    frame = pd.DataFrame(X, columns=["a", "b"])
    named = dashboard.evaluate(frame, pd.DataFrame(Y, columns=["u", "v"]), models={"m": model})
    assert named.evalset.target.labels == ("u", "v")


def test_a_common_threshold_leaves_the_baseline_alone(
    cancer: tuple[pd.DataFrame, pd.Series], estimators: dict[str, object]
) -> None:
    X, y = cancer
    share = (y == "benign").mean()
    for threshold in (0.05, 0.95):
        result = dashboard.evaluate(X, y, models=estimators, threshold=threshold)
        assert result.scores.value(result.baseline.name, "accuracy") == pytest.approx(share)


def test_models_that_borrow_a_column_are_given_one_and_the_same_frame() -> None:
    class Remembering:
        info = ModelInfo("in-memory", "test", feature_names=("a", "id"))
        given: pd.DataFrame

        def predict(self, X: pd.DataFrame) -> RawPredictions:
            self.given = X
            return RawPredictions(labels=X["id"].to_numpy())

    frame = pd.DataFrame({"id": range(8), "a": range(8), "y": ["p", "q"] * 4})
    evalset = evalset_from_frame(frame, "y")
    assert "id" not in evalset.X.columns
    first, second = Remembering(), Remembering()
    for model in (first, second):
        assert predict_evalset(model, evalset).labels.tolist() == list(range(8))
    assert first.given is second.given  # so that a worker is sent it once
