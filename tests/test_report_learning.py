"""Learning curves of every kind in one call and by command: curves, findings, formats, codes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_validate, learning_curve, validation_curve
from sklearn.tree import DecisionTreeClassifier

import dashboard
from dashboard.__main__ import main
from dashboard.data import evalset_from_frame
from dashboard.errors import DataError, NotApplicable, ParameterError
from dashboard.learning import choose_folds
from dashboard.learning.gathered import Learning
from dashboard.learning.headless import LearningOptions, learning_curves
from dashboard.report_learning import FORMATS, render_learning, write_learning

HARM = "<s>x</s>"


def _table(n: int = 160) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    X = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    return X.assign(y=np.where(X["a"] + rng.normal(size=n) > 0, "yes", "no"))


def _history(path: Path, validation: Any) -> Path:
    train = np.geomspace(0.9, 0.05, len(validation)) + 0 * np.asarray(validation)
    table = pd.DataFrame({"epoch": range(len(train)), "loss": train, "val_loss": validation})
    table.to_csv(path, index=False, na_rep="nan")
    return path


def _overfitting(path: Path, seed: int = 0) -> Path:
    x = np.linspace(0, 1, 40)
    noise = np.random.default_rng(seed).normal(0, 0.004, len(x))
    return _history(path, 0.5 + 1.2 * (x - 0.3) ** 2 + noise)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("learning")
    _overfitting(made / "net.csv")
    _history(made / "burst.csv", [0.9, 0.8, 0.7, 0.7, 0.6, 0.6, np.nan, np.nan])
    held = _history(made / "held.csv", np.geomspace(0.9, 0.3, 12))
    whole = pd.read_csv(held)
    whole.assign(val_loss=whole["val_loss"].where(whole["epoch"] < 9)).to_csv(
        held, index=False, na_rep="nan"
    )
    scores = [0.70, 0.74, 0.79, 0.85]
    pd.DataFrame(
        {
            "param_depth": [1, 2, 4, 8],
            "mean_test_score": scores,
            "std_test_score": [0.01] * 4,
            "mean_fit_time": [0.1, 0.2, 0.3, 0.4],
            "params": [f"{{'depth': {k}}}" for k in (1, 2, 4, 8)],
        }
    ).to_csv(made / "search.csv", index=False)
    pd.DataFrame(
        {"train_size": [50, 100], "train_score": [0.9, 0.89], "validation_score": [0.7, 0.72]}
    ).to_csv(made / "sizes.csv", index=False)
    return made


@pytest.fixture(scope="module")
def found(folder: Path) -> Learning:
    models = {
        HARM: DecisionTreeClassifier(random_state=0),
        "line": LogisticRegression(),
        "no model": LogisticRegression(C=-1.0),
    }
    table = _table()
    X, y = table.drop(columns="y"), table["y"]
    for model in list(models.values())[:2]:
        model.fit(X, y)
    models["no model"].classes_, models["no model"].coef_ = np.array(["no", "yes"]), np.ones((1, 3))
    models["no model"].intercept_ = np.zeros(1)
    return learning_curves(
        models,
        table,
        target="y",
        logs=[folder / "net.csv"],
        searches=[folder / "search.csv"],
        options=LearningOptions(
            kinds=("sizes", "folds"),
            parameter="max_depth",
            values=(1, 4),
            sizes=(20, 80),
            n_splits=2,
            n_repeats=2,
            seed=5,
        ),
    )


def test_curves_equal_those_of_scikit_learn(found: Learning) -> None:
    table = _table()
    X, y = table.drop(columns="y"), table["y"]
    folds = choose_folds(evalset_from_frame(table, target="y"), 2, 2, 5)
    tree = DecisionTreeClassifier(random_state=0)
    how: dict[str, Any] = {"cv": list(folds), "scoring": "roc_auc"}
    _, train, validation = learning_curve(tree, X, y, train_sizes=[20, 80], **how)
    curve = found.sizes[0]
    assert (curve.model, curve.metric) == (HARM, "roc_auc")
    np.testing.assert_allclose(curve.train, train, rtol=0, atol=1e-12)
    np.testing.assert_allclose(curve.validation, validation, rtol=0, atol=1e-12)
    _, expected = validation_curve(tree, X, y, param_name="max_depth", param_range=[1, 4], **how)
    assert [one.model for one in found.parameters] == [HARM]  # a line has no depth
    np.testing.assert_allclose(found.parameters[0].validation, expected, rtol=0, atol=1e-12)
    scores = cross_validate(tree, X, y, **how)["test_score"]
    np.testing.assert_allclose(found.folds[0].validation, scores, rtol=0, atol=1e-12)
    assert found.validations[0].out_of_fold(evalset_from_frame(table, target="y")).covered.all()


def test_verdicts_come_first_and_failures_beside_them(found: Learning) -> None:
    subjects = list(dict.fromkeys(one.subject.partition(":")[0] for one in found.findings))
    assert subjects == [HARM, "line", "net", "search.csv"]
    codes = {(one.subject, one.code) for one in found.findings}
    assert {(HARM, "memorised"), ("net", "overfitting")} <= codes
    assert any(one.code == "best_at_edge" and "depth" in one.subject for one in found.findings)
    failed = {one.name: one.message for one in found.failures}
    assert set(failed) == {"line", "no model"} and "max_depth" in failed["line"]


def test_every_table_holds_every_score(found: Learning) -> None:
    csv = pd.read_csv(io.BytesIO(render_learning(found, "csv")), keep_default_na=False)
    arrow = pa.ipc.open_file(render_learning(found, "arrow")).read_all().to_pandas()
    kinds = {"epochs": 80, "sizes": 2 * 2 * 2 * 4, "parameter": 2 * 2 * 4, "folds": 2 * 2 * 4}
    kinds["search"] = 4
    for table in (csv, arrow):
        assert table["kind"].value_counts().to_dict() == kinds
    part = arrow[(arrow["kind"] == "parameter") & (arrow["part"] == "validation")]
    np.testing.assert_array_equal(part["value"], found.parameters[0].validation.ravel())
    assert part["setting"].tolist() == ["max_depth=1"] * 4 + ["max_depth=4"] * 4
    part = arrow[(arrow["kind"] == "sizes") & (arrow["subject"] == "line")]
    assert part["at"].tolist() == 2 * ([20.0] * 4 + [80.0] * 4)


def test_findings_are_data(found: Learning) -> None:
    told = json.loads(render_learning(found, "json"))
    one = next(each for each in told["findings"] if each["code"] == "memorised")
    assert one["severity"] == "warning" and one["subject"] == HARM and one["remedies"]
    curve = found.sizes[0]
    assert one["evidence"]["validation"] == pytest.approx(curve.validation_mean[-1])
    assert told["worst"] == "warning"
    assert told["sizes"][0]["validation"] == curve.validation.tolist()
    assert told["sizes"][0]["projection"]["withheld"]  # two sizes are no law
    assert told["epochs"][0]["best"] == found.epochs[0].best
    assert told["searches"][0]["best"] == found.searches[0].trials[3]
    assert len(told["differences"]) == 1 and told["failures"]


def test_text_and_page_say_it(found: Learning) -> None:
    text = render_learning(found, "text").decode()
    first = found.verdicts[0]
    assert text.startswith(f"Warning ({first.code}). {first.sentence}\n  What to do")
    assert {"memorised", "overfitting"} <= {one.code for one in found.verdicts}
    page = render_learning(found, "html").decode()
    after = page.split("</script>", 1)[1]  # Plotly's own text is before
    assert HARM not in after.split("<section")[1] and "&lt;s&gt;x" in after
    for name in ("epochs", "sizes", "parameter", "folds", "search-0"):
        part = page.split(f'<section id="{name}">')[1].split("</section>")[0]
        assert "<figure>" in part, name
    for said in (text, after):
        assert "2 folds with the classes in proportion" in said
        assert "Not drawn on" in said or "is not drawn on" in said


def test_what_cannot_be_drawn_says_so(folder: Path, tmp_path: Path, found: Learning) -> None:
    assert write_learning(found, tmp_path / "l.feather").stat().st_size > 1_000
    with pytest.raises(ParameterError, match="no format 'docx'"):
        write_learning(found, tmp_path / "l.docx")
    with pytest.raises(ParameterError, match="folder"):
        write_learning(found, tmp_path / "no" / "l.csv")
    with pytest.raises(ParameterError, match="No curve could be drawn"):
        render_learning(Learning(), FORMATS[0])
    with pytest.raises(ParameterError, match="Nothing to draw"):
        learning_curves()
    with pytest.raises(NotApplicable, match="logs hold loss"):
        learning_curves(logs=[folder / "net.csv"], options=LearningOptions(metric="auc"))
    table = _table()
    tree = DecisionTreeClassifier(max_depth=1).fit(table.drop(columns="y"), table["y"])
    with pytest.raises(ParameterError, match="no plain setting 'depth'"):
        learning_curves(tree, table, target="y", options=LearningOptions(parameter="depth"))
    with pytest.raises(ParameterError, match="give data"):
        learning_curves(tree)
    with pytest.raises(DataError, match="There is no file"):
        learning_curves(logs=[folder / "none.csv"])
    (tmp_path / "foreign.csv").write_bytes(b"\x00\x01")
    some = learning_curves(logs=[folder / "net.csv", tmp_path / "foreign.csv"])
    assert [one.name for one in some.failures] == ["foreign.csv"] and len(some.runs) == 1


def test_equal_names_of_logs_are_told_apart(folder: Path, tmp_path: Path) -> None:
    other = _overfitting(tmp_path / "net.csv", seed=1)
    found = dashboard.learning_curves(logs=[folder / "net.csv", other])
    assert len({run.name for run in found.runs}) == len(found.epochs) == 2
    tables = dashboard.learning_curves(size_tables=[folder / "sizes.csv"])
    assert tables.sizes[0].model == "sizes" and tables.findings[0].code == "undecided"


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (["--logs", "net.csv"], 0, ""),
        (["--logs", "net.csv", "--fail-on", "problem"], 0, ""),
        (["--logs", "net.csv", "--fail-on", "warning"], 1, "net: overfitting (warning)"),
        (["--logs", "burst.csv", "--fail-on", "problem"], 1, "burst: non_finite (problem)"),
        (["--logs", "held.csv", "--fail-on", "problem"], 1, "held: non_finite (problem)"),
        (["--search", "search.csv", "--logs", "net.csv", "--metric", "loss"], 0, ""),
        (["--logs", "none.csv"], 2, "There is no file"),
        (["--logs", "net.csv", "--folds"], 2, "give --data"),
        (["--logs", "net.csv", "--values", "1,2"], 2, "give --data"),
        ([], 2, "Nothing to draw"),
    ],
)
def test_exit_codes(
    asked: list[str], code: int, said: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = [str(folder / word) if word.endswith(".csv") else word for word in asked]
    assert main(["learning", *paths]) == code
    heard = capfd.readouterr()
    assert said in heard.err and bool(heard.out) == (code != 2)


def test_the_command_fits_models_of_files(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = _table(60)
    X, y = table.drop(columns="y"), table["y"]
    skops.io.dump(DecisionTreeClassifier(random_state=0).fit(X, y), tmp_path / "tree.skops")
    table.assign(g=np.arange(60) // 3).to_csv(tmp_path / "d.csv", index=False)
    base = ["learning", "--data", str(tmp_path / "d.csv"), "--target", "y", "--group", "g"]
    base += ["--model", f"mine={tmp_path / 'tree.skops'}", "--splits", "2"]
    out = tmp_path / "o.json"
    assert main([*base, "--sizes", "10,0.5", "--metric", "accuracy", "--output", str(out)]) == 0
    told = json.loads(out.read_text())
    one = told["sizes"][0]
    assert (one["model"], one["metric"], one["sizes"]) == ("mine", "accuracy", [10, 15])
    assert "keep each group together" in one["folds"]
    assert np.shape(one["validation"]) == (2, 2)
    capfd.readouterr()
    for more, why in (
        (["--sizes", "many"], "write how many sizes"),
        (["--values", "1"], "give its name"),
        (["--time", "none"], "There is no column 'none'"),
    ):
        assert main([*base, *more]) == 2
        assert why in capfd.readouterr().err
