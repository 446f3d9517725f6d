"""`importances` and `importance_gap`: objects and files, one failure beside the others."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from dashboard.__main__ import main
from dashboard.contracts import Model
from dashboard.data import ALL_ROWS, EvalSet, Roles, Table, build_evalset, evalset_from_frame
from dashboard.diagnostics.importance_comparison import ImportanceGap
from dashboard.errors import NotApplicable, ParameterError
from dashboard.importance import (
    Importances,
    importance_gap,
    importances,
    permutation_importance,
    training_rows,
    training_value,
)
from dashboard.models import adapt, load_model
from dashboard.models.confined import ConfinedModel
from dashboard.report_importances import render_importances
from dashboard.samples import read_sample


@pytest.fixture(scope="module")
def data() -> tuple[pd.DataFrame, Any]:
    return _drawn(400)


def test_every_method_on_several_models(data: tuple[pd.DataFrame, Any]) -> None:
    X, y = data
    models = {
        "line": LogisticRegression().fit(X, y),
        "forest": RandomForestClassifier(20, random_state=0).fit(X, y),
    }
    cases: dict[str, dict[str, int]] = {
        "permutation": {"n_repeats": 2},
        "native": {},
        "drop-column": {"n_folds": 2},
        "shap": {"n_rows": 100},
    }
    for method, options in cases.items():
        found = importances(models, X, y, method=method, **options)
        assert [one.model for one in found.importances] == ["line", "forest"]
        assert not found.failures
        firsts = found.frame().groupby("model")["feature"].first().tolist()
        assert firsts == ["a", "a"], method
    assert found.importances[0].n == 100


def test_one_failure_stops_nobody(data: tuple[pd.DataFrame, Any]) -> None:
    X, y = data
    models = {"near": KNeighborsClassifier().fit(X, y), "line": LogisticRegression().fit(X, y)}
    found = importances(models, X, y, method="native")
    assert [one.model for one in found.importances] == ["line"]
    assert found.failures[0].name == "near" and "keeps no counts" in found.failures[0].message
    with pytest.raises(ParameterError, match="no method"):
        importances(models, X, y, method="magic")
    with pytest.raises(ParameterError, match="n_repeats"):
        importances(models, X, y, n_repeats=0)


def _drawn(n: int) -> tuple[pd.DataFrame, Any]:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "noise"])
    return X, np.where(2 * X["a"] + X["b"] + rng.normal(size=n) > 0, "yes", "no")


def test_a_memorising_tree_is_seen() -> None:
    X, y = _drawn(1_600)

    def part(rows: slice) -> EvalSet:
        frame = X[rows].assign(target=y[rows]).reset_index(drop=True)
        return evalset_from_frame(frame, target="target")

    def gap_of(model: Any) -> ImportanceGap:
        model.fit(X[:800], y[:800])
        return importance_gap(
            adapt(model, "m"), part(slice(800)), part(slice(800, 1600)), "m", metric="accuracy"
        )

    gap = gap_of(DecisionTreeClassifier(random_state=0))
    assert "noise" in gap.memorised and gap.n == (800, 800)
    assert gap.unit == "drop of accuracy" and 0.1 < gap.lost < 0.9
    assert not gap_of(DecisionTreeClassifier(max_depth=1)).memorised


def test_a_worker_gives_the_same_as_this_process() -> None:
    from dashboard.data import build_evalset, read_table
    from dashboard.models import load_native

    sample = read_sample("loans")
    table = read_table(sample.path(sample.data), sample.data)
    evalset = build_evalset(
        table, sample.roles_for(table), pos_label=sample.pos_label, split_value=sample.split_value
    )
    path = sample.path("logistic.skops")
    models: list[Model] = [load_model(path, "m"), load_native(path, "m")]
    assert isinstance(models[0], ConfinedModel)
    far, near = (
        permutation_importance(model, evalset, "m", n_repeats=2, n_rows=300) for model in models
    )
    assert far.features == near.features and (far.values == near.values).all()
    assert far.low == pytest.approx(near.low, abs=1e-12) and far.notes == near.notes


# ---- rows that were trained on -------------------------------------------------------------------


def _split(parts: list[str], value: str | None = None) -> tuple[Table, EvalSet]:
    frame = pd.DataFrame({"a": np.arange(60.0), "y": np.arange(60) % 2, "part": parts * 20})
    table = Table.from_frame("t", frame)
    roles = Roles(target=("y",), features=("a",), split="part")
    return table, build_evalset(table, roles, split_value=value)


def test_training_rows_are_those_that_the_split_column_tells() -> None:
    table, evalset = _split(["Train", "test", "extra"])
    assert training_value(table, evalset) == "Train"
    learnt = training_rows(table, evalset)
    assert learnt.X["a"].tolist() == list(range(0, 60, 3))
    assert learnt.target.labels == evalset.target.labels
    assert training_value(*_split(["seen", "test", "test"])) == "seen"  # the only other part


@pytest.mark.parametrize(
    ("parts", "value", "said"),
    [
        (["a", "b", "test"], "test", "is not clear"),
        (["train", "test", "test"], ALL_ROWS, "no training rows to compare"),
    ],
)
def test_unclear_training_rows_are_not_guessed(parts: list[str], value: str, said: str) -> None:
    with pytest.raises(NotApplicable, match=said):
        training_value(*_split(parts, value))


def test_without_a_split_nobody_knows_the_training_rows() -> None:
    frame = pd.DataFrame({"a": np.arange(20.0), "y": np.arange(20) % 2})
    with pytest.raises(NotApplicable, match="role split"):
        training_value(Table.from_frame("t", frame), evalset_from_frame(frame, target="y"))


# ---- written -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def measured() -> Importances:
    X, y = _drawn(600)
    frame = X.assign(y=y, split=["train", "test"] * 300)
    train = frame["split"] == "train"
    models = {
        "tree": DecisionTreeClassifier(random_state=0).fit(X[train], y[train]),
        "line": LogisticRegression().fit(X[train], y[train]),
    }
    return importances(models, frame, target="y", training=True, n_repeats=2, metric="accuracy")


def test_training_rows_may_be_asked_for(measured: Importances) -> None:
    assert [gap.model for gap in measured.gaps] == ["tree", "line"]
    assert [one.n for one in measured.importances] == [300, 300]
    assert measured.gaps[0].n == (300, 300) and measured.gaps[0].memorised
    assert measured.gaps[0].training[0] == pytest.approx(
        measured.importances[0].values[0] + measured.gaps[0].difference[0]
    )
    X, y = _drawn(60)
    with pytest.raises(ParameterError, match="choose that method"):
        importances(LogisticRegression().fit(X, y), X, y, method="native", training=True)


def test_training_rows_have_the_groups_of_the_evaluated_ones() -> None:
    rng = np.random.default_rng(0)
    a, noise = rng.normal(size=400), rng.normal(size=400)
    split = np.repeat(["train", "test"], 200)
    # nearly the same in the evaluated rows only
    b = a + np.where(split == "test", 0.01, 2) * noise
    frame = pd.DataFrame({"a": a, "b": b, "c": noise, "y": a + noise, "split": split})
    line = LinearRegression().fit(frame[["a", "b", "c"]], frame["y"])
    options = {"n_repeats": 1, "groups": "correlated"}
    found = importances(line, frame, target="y", training=True, **options)
    assert found.importances[0].features == ("a + 1", "c")
    assert found.gaps[0].features == ("a + 1", "c")


@pytest.mark.parametrize("form", ["text", "json", "csv", "arrow", "html"])
def test_every_form_holds_the_values(measured: Importances, form: str) -> None:
    content = render_importances(measured, form)
    first = measured.importances[0]
    if form == "json":
        told = json.loads(content)
        assert told["importances"][0]["values"] == first.values.tolist()
        assert np.array(told["importances"][1]["repeats"]).shape == (3, 2)
        assert told["gaps"][0]["memorised"] == list(measured.gaps[0].memorised)
    elif form == "csv":
        table = pd.read_csv(io.BytesIO(content))
        assert table["value"].tolist() == pytest.approx(measured.frame()["value"].tolist())
    elif form == "arrow":
        table = pa.ipc.open_file(io.BytesIO(content)).read_all().to_pandas()
        assert table["value"].tolist() == measured.frame()["value"].tolist()
    else:
        said = content.decode()
        assert "Both models rely most on a" in said and "clearly more on the training rows" in said
        assert "rank correlation" in said and "<script>alert" not in said


def test_nothing_measured_is_an_error_with_its_reasons() -> None:
    with pytest.raises(ParameterError, match=r"near: This model keeps no counts|keeps no counts"):
        X, y = _drawn(60)
        found = importances(KNeighborsClassifier().fit(X, y), X, y, method="native")
        render_importances(found, "text")
    with pytest.raises(ParameterError, match="no format"):
        render_importances(Importances(()), "pdf")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--method", "native", "--seed", "1"], "says nothing to the method native"),
        (["--group", "size"], "write NAME=COLUMN"),
        (["--group", "g=a,b", "--correlated"], "not both"),
        (["--repeats", "0"], "at least 1"),
    ],
)
def test_flags_that_do_not_fit_are_named(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = read_sample("diabetes")
    data, model = sample.path(sample.data), sample.path("linear.skops")
    start = ["importances", "--data", str(data), "--model", str(model), "--target", "progression"]
    assert main([*start, *flags]) == 2
    assert said in capsys.readouterr().err


def test_the_command_line_gives_the_same_as_python(tmp_path: Path) -> None:
    sample = read_sample("diabetes")
    data, model = sample.path(sample.data), sample.path("linear.skops")
    output = tmp_path / "found.json"
    flags = ["--target", "progression", "--repeats", "2", "--rows", "0", "--seed", "3"]
    files = ["--data", str(data), "--model", f"Line={model}", "--output", str(output)]
    assert main(["importances", *files, *flags, "--group", "blood=s1,s2", "--training"]) == 0
    told = json.loads(output.read_text())["importances"][0]
    groups = {"blood": ["s1", "s2"]}
    found = importances(
        {"Line": model}, data, target="progression", n_repeats=2, n_rows=None, random_state=3,
        groups=groups,
    )  # fmt: skip
    assert told["model"] == "Line" and "blood" in told["features"]
    assert told["values"] == found.importances[0].values.tolist()
