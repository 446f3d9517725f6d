"""Results of searches: scikit-learn's own objects, files that Optuna and KerasTuner wrote."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import loguniform
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.tree import DecisionTreeClassifier

from dashboard.contracts import SearchResults
from dashboard.data import identify_history
from dashboard.errors import DataError, NotApplicable, ParameterError
from dashboard.learning.searches import search_of
from dashboard.logs.search_logs import SearchKind, identify_search, read_search, search_files
from dashboard.models import adapt

FILES = Path(__file__).parent / "searches"  # written by Optuna 5.0.0 and KerasTuner 1.4.8
TOLD = json.loads((FILES / "expected.json").read_text())
TREE = DecisionTreeClassifier(random_state=0)


def _grid() -> GridSearchCV:
    """A grid with None among its values, and with a part that cannot be fitted."""
    grid = [
        {"max_depth": [None, 1, 2], "min_samples_leaf": [1, 0.2]},
        {"ccp_alpha": [0.0, 0.5], "max_features": [-1]},
    ]
    return GridSearchCV(TREE, grid, cv=3, return_train_score=True)


@pytest.fixture(scope="module")
def grid() -> GridSearchCV:
    X, y = load_iris(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the part that cannot be fitted
        return _grid().fit(X, y)


def _forms(results: dict[str, Any]) -> dict[str, bytes]:
    frame = pd.DataFrame(results)
    plain = frame.drop(columns="params")
    return {
        "index.csv": frame.to_csv().encode(),
        "bare.csv": frame.to_csv(index=False, sep=";").encode(),
        "columns.json": frame.to_json(double_precision=15).encode(),
        "records.json": frame.to_json(orient="records", double_precision=15).encode(),
        "lines.json": plain.to_json(orient="records", lines=True, double_precision=15).encode(),
        "split.json": frame.to_json(orient="split", double_precision=15).encode(),
        "dict.json": json.dumps({name: plain[name].tolist() for name in plain}).encode(),
    }


def _same(found: SearchResults, search: Any) -> None:
    results, score = search.cv_results_, found.score()
    np.testing.assert_allclose(score.validation, results["mean_test_score"], rtol=1e-12)
    np.testing.assert_allclose(score.spread, results["std_test_score"], rtol=1e-9, atol=1e-9)
    assert score.folds is not None
    for k in range(score.folds.shape[1]):
        np.testing.assert_allclose(score.folds[:, k], results[f"split{k}_test_score"], rtol=1e-12)
    assert found.fit_seconds is not None
    np.testing.assert_allclose(found.fit_seconds, results["mean_fit_time"], rtol=1e-6, atol=1e-9)


def test_every_form_of_a_grid_search_reads_like_the_search_itself(grid: GridSearchCV) -> None:
    for name, content in _forms(grid.cv_results_).items():
        kind = identify_search(content, "any name")
        assert kind is not None, name
        assert (kind.kind, kind.n_trials) == ("scikit-learn", 8)
        found = read_search({name: content})
        _same(found, grid)
        assert found.best() == grid.best_index_, name
        assert found.counts == {"complete": 6, "failed": 2}
        np.testing.assert_allclose(found.score().train, grid.cv_results_["mean_train_score"])
        assert found.notes == ("2 trials could not be fitted or scored.",)


def test_none_as_a_value_is_not_no_value(grid: GridSearchCV) -> None:
    found = read_search({"grid.csv": _forms(grid.cv_results_)["index.csv"]})
    assert found.parameter("max_depth").values == ("None", "None", 1, 1, 2, 2, None, None)
    assert found.parameter("min_samples_leaf").values[:2] == (1, 0.2)
    assert found.parameter("ccp_alpha").values == (None,) * 6 + (0.0, 0.5)
    frame = found.frame()
    assert len(frame) == 8
    assert frame["status"].tolist() == ["complete"] * 6 + ["failed"] * 2
    assert frame["rank"].isna().sum() == 2


def test_a_loaded_search_says_the_same_as_its_file(grid: GridSearchCV) -> None:
    loaded = search_of(adapt(grid, "grid"), "grid")
    _same(loaded, grid)
    written = read_search({"grid.csv": _forms(grid.cv_results_)["index.csv"]})
    for one, other in zip(loaded.parameters, written.parameters, strict=True):
        assert (one.name, one.values) == (other.name, other.values)
    with pytest.raises(NotApplicable, match="no results of a search"):
        search_of(adapt(TREE.fit(*load_iris(return_X_y=True)), "tree"), "tree")


def test_random_and_halving_searches_have_scikit_learns_winner() -> None:
    X, y = load_iris(return_X_y=True)
    space = {"ccp_alpha": loguniform(1e-4, 1), "max_depth": [1, 2, None]}
    drawn = RandomizedSearchCV(TREE, space, n_iter=12, cv=3, random_state=0).fit(X, y)
    found = read_search({"random.csv": pd.DataFrame(drawn.cv_results_).to_csv().encode()})
    assert found.best() == drawn.best_index_
    assert found.parameter("ccp_alpha").scale == "log"
    np.testing.assert_array_equal(
        found.parameter("ccp_alpha").numbers, drawn.cv_results_["param_ccp_alpha"].data
    )
    asked = {"max_depth": [1, 2, 3], "min_samples_leaf": [1, 5, 9]}
    halving = HalvingGridSearchCV(TREE, asked, cv=3, random_state=0, min_resources=40).fit(X, y)
    rounds = read_search({"halving.csv": pd.DataFrame(halving.cv_results_).to_csv().encode()})
    last = halving.cv_results_["iter"] == halving.cv_results_["iter"].max()
    assert [status == "complete" for status in rounds.status] == last.tolist()
    assert rounds.best() == halving.best_index_
    np.testing.assert_array_equal(rounds.resource, halving.cv_results_["n_resources"])


def test_optunas_own_file() -> None:
    told = TOLD["optuna"]
    content = (FILES / "optuna.csv").read_bytes()
    assert identify_search(content, "").kind == "Optuna"  # type: ignore[union-attr]
    found = read_search({"optuna.csv": FILES / "optuna.csv"}, larger_is_better=True)
    assert found.trials[found.best()] == str(told["best"])  # type: ignore[index]
    assert found.score().validation[told["best"]] == pytest.approx(told["value"], abs=1e-12)
    states = {"COMPLETE": "complete", "PRUNED": "partial", "FAIL": "failed", "WAITING": "waiting"}
    assert [states[state] for state in told["states"]] == list(found.status)
    for k, params in enumerate(told["all"][:16]):
        held = {p.name: p.values[k] for p in found.parameters if p.values[k] is not None}
        assert held == pytest.approx(params)
    assert found.fit_seconds is not None
    assert found.fit_seconds[0] == pytest.approx(0.000605)
    unknown = read_search({"optuna.csv": content})
    assert unknown.best() is None
    assert "does not say whether" in unknown.notes[-1]
    two = read_search({"two.csv": FILES / "optuna_two.csv"})
    assert [one.larger_is_better for one in two.scores] == [True, False]
    assert (two.best("accuracy"), two.best("latency")) == (4, 2)


def test_keras_tuners_own_folder(tmp_path: Path) -> None:
    content = (FILES / "keras_tuner.zip").read_bytes()
    assert identify_search(content, "x").n_trials == 8  # type: ignore[union-attr]
    found = read_search({"net.zip": content})
    assert found.metrics == ("loss",)
    for k, (trial, score, status, values) in enumerate(TOLD["keras_tuner"]):
        assert found.trials[k] == trial
        assert found.status[k] == ("failed" if status == "FAILED" else "complete")
        np.testing.assert_equal(found.score().validation[k], np.nan if score is None else score)
        held = {p.name: p.values[k] for p in found.parameters if p.values[k] is not None}
        assert held == values
    assert found.best() == 4
    assert found.parameter("learning_rate").scale == "log"
    assert found.parameter("learning_rate").declared == (1e-4, 0.1)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    again = read_search(files)
    assert again.name == "net"
    assert again.frame().equals(found.frame())
    for name, part in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(part)
    folder = read_search(search_files(tmp_path / "net"))
    assert folder.name == "net"
    assert folder.frame().equals(found.frame())
    with pytest.raises(DataError, match="holds 0 trials"):
        search_files(tmp_path / "nothing")


def test_hyperbands_early_rounds_are_partial() -> None:
    found = read_search({"h.zip": FILES / "hyperband.zip"})
    epochs = [values["tuner/epochs"] for *_, values in TOLD["hyperband"]]
    assert found.resource is not None
    assert found.resource.tolist() == epochs
    assert [status == "complete" for status in found.status] == [n == 8 for n in epochs]
    assert not any(one.name.startswith("tuner/") for one in found.parameters)


PLAIN = (
    b"run,config/lr,config/layers,val_accuracy,accuracy,time_total_s,status,date\n"
    b"a,0.1,2,0.81,0.9,12.5,TERMINATED,2026-01-01\n"
    b"b,0.01,3,0.86,0.88,10,TERMINATED,2026-01-01\n"
    b"c,0.001,,,,3,ERROR,2026-01-01\n"
    b"d,0.0001,4,0.7,0.72,11,PRUNED,2026-01-01\n"
)


def test_a_plain_table_is_read_by_its_names_and_can_be_corrected() -> None:
    found = read_search({"runs.csv": PLAIN})
    assert [one.name for one in found.parameters] == ["lr", "layers"]
    assert found.metrics == ("accuracy",)
    assert found.score().larger_is_better is True
    np.testing.assert_array_equal(found.score().train, [0.9, 0.88, np.nan, 0.72])
    assert found.status == ("complete", "complete", "failed", "partial")
    assert found.trials == ("a", "b", "c", "d")
    np.testing.assert_array_equal(found.fit_seconds, [12.5, 10, 3, 11])
    assert found.best() == 1
    other = read_search(
        {"runs.csv": PLAIN}, mapping={"time_total_s": "score", "accuracy": "ignore"}
    )
    assert other.metrics == ("accuracy", "time_total_s")
    assert identify_search(PLAIN, "runs.csv") is None
    with pytest.raises(DataError, match="no column of runs"):
        read_search({"runs.csv": PLAIN}, mapping={"nothing": "score"})
    with pytest.raises(DataError, match="no role"):
        read_search({"runs.csv": PLAIN}, mapping={"run": "prize"})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\x00\x01\x02", "no text"),
        (b"a,b\n", "no trial"),
        (b"a,b\n1,2\n1\n", "Line 3"),
        (b"a,a,score\n1,2,3\n", "twice"),
        (b'{"mean_test_score": [1, 2', "no complete JSON"),
        (b'{"trial_id": "1"}', "no table"),
        (b"[1, 2, 3]", "other things"),
        (b"x,y\n1,2\n", "No column of f looks like a score"),
        (b"number,value,state\n0,1,DONE\n", "Optuna writes"),
        (b"mean_test_score,param_a\nhigh,1\n", "numbers are needed"),
        (b"PK\x03\x04 cut off", "no readable trial"),
        (b"[" * 100_000, "no complete JSON"),
    ],
)
def test_foreign_content_is_one_sentence(content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_search({"f": content})
    found = identify_search(content, "f")
    assert found is None or b"mean_test_" in content or b"state" in content


def test_home_keeps_such_files() -> None:
    for path in FILES.iterdir():
        found = identify_history(path.read_bytes(), path.name)
        if path.name == "expected.json":
            assert found is None
        else:
            assert isinstance(found, SearchKind)
            assert found.sentence().endswith("kept for the page on learning.")


def test_data_tables_are_no_searches() -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    for frame in (X.assign(target=y), X.assign(params_a=1, value=2)):
        assert identify_search(frame.to_csv(index=False).encode(), "data.csv") is None


def test_odd_values_of_parameters_stay_text() -> None:
    deep = "(" * 5_000
    rows = pd.DataFrame(
        {
            "mean_test_score": [0.5, 0.6, 0.7],
            "param_a": ["DecisionTreeClassifier(\n  max_depth=1)", deep, "1e400"],
            "params": ["{'a': Tree()}", "{'a': " + deep, "{'a': np.float64(inf)}"],
        }
    )
    found = read_search({"f": rows.to_csv().encode()})
    values = found.parameter("a").values
    assert values[0] == "DecisionTreeClassifier( max_depth=1)"
    assert len(str(values[1])) == 120
    assert not found.parameter("a").is_number


def test_a_conditional_parameter_that_does_not_apply_is_absent() -> None:
    with zipfile.ZipFile(FILES / "keras_tuner.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    for number, optimizer in ((0, "adam"), (1, "sgd")):
        path = f"net/trial_{number}/trial.json"
        trial = json.loads(files[path])
        assert trial["hyperparameters"]["values"]["optimizer"] == optimizer
        trial["hyperparameters"]["values"]["momentum"] = 0.5
        files[path] = json.dumps(trial).encode()
    assert read_search(files).parameter("momentum").values[:2] == (None, 0.5)


def test_a_broken_trial_is_counted_and_the_others_stay() -> None:
    with zipfile.ZipFile(FILES / "keras_tuner.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["net/trial_2/trial.json"] = files["net/trial_2/trial.json"][:100]
    found = read_search(files)
    assert len(found) == 7
    assert found.notes[0] == "1 file could not be read as a trial."


def test_contracts_refuse_what_does_not_fit() -> None:
    found = read_search({"runs.csv": PLAIN})
    with pytest.raises(ParameterError, match="no metric 'auc'"):
        found.score("auc")
    with pytest.raises(ParameterError, match="no parameter 'depth'"):
        found.parameter("depth")
    with pytest.raises(ParameterError, match="each trial needs"):
        SearchResults("s", "", ("1",), (), (), ())
    with pytest.raises(NotApplicable, match="has a score yet"):
        SearchResults("s", "", (), (), (), ()).score()
