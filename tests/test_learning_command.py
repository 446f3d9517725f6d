"""`python -m dashboard learning`: stopped and resumed, files beside the curves, rows kept apart."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.tree import DecisionTreeClassifier

import dashboard
from dashboard.__main__ import main
from dashboard.data import ALL_ROWS, evalset_from_frame
from dashboard.errors import DataError, ParameterError
from dashboard.learning import choose_folds
from dashboard.learning.headless import LearningOptions, learning_curves
from dashboard.learning.kept import CountedBlocks, FolderBlocks
from dashboard.learning.rows import count_training_rows
from dashboard.learning_command import _stopped_words
from dashboard.report_learning import render_learning
from dashboard.report_learning_tables import write_out_of_fold
from dashboard.sandbox.processes import watched
from tests.browser import ROOT

from .event_writing import event, event_file, simple


def _table(n: int = 240, shift: float = 0.0, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    score = X["a"] * (1 - shift) + X["b"] * shift + 0.3 * rng.normal(size=n)
    return X.assign(y=np.where(score > 0, "yes", "no"))


def _fit(estimator: Any, table: pd.DataFrame) -> Any:
    return estimator.fit(table[["a", "b", "c"]], table["y"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("command")
    table = _table()
    table.to_csv(made / "rows.csv", index=False)
    _table(120, shift=1.0, seed=2).to_csv(made / "elsewhere.csv", index=False)
    _table(120, seed=3).to_csv(made / "alike.csv", index=False)
    for name, model in _models().items():
        skops.io.dump(model, made / f"{name}.skops")
    return made


def _words(folder: Path, *models: str) -> list[str]:
    asked = ["learning", "--data", str(folder / "rows.csv"), "--target", "y", "--splits", "4"]
    return asked + [word for name in models for word in ("--model", str(folder / f"{name}.skops"))]


# -- stopped and resumed --------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="not available on this platform")
def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(
    folder: Path, tmp_path: Path
) -> None:
    forest = _fit(RandomForestClassifier(150, random_state=0), _table())
    skops.io.dump(forest, tmp_path / "forest.skops")
    out, keep = tmp_path / "out.json", tmp_path / "keep"
    command = [sys.executable, "-m", "dashboard", "learning", "--data", str(folder / "rows.csv")]
    command += ["--target", "y", "--model", str(tmp_path / "forest.skops"), "--sizes", "100,150"]
    command += ["--splits", "8", "--keep", str(keep), "--output", str(out)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    give_up = time.monotonic() + 120
    try:
        while len(list(keep.glob("*.fit"))) < 2 and time.monotonic() < give_up:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        said, heard = process.communicate(timeout=60)
    finally:
        process.kill()
    kept = len(list(keep.glob("*.fit")))
    assert process.returncode == 130 and not said
    assert 2 <= kept < 16 and not list(keep.glob("*.draft"))
    told = json.loads(out.read_text())
    n = told["fits"]["done"]
    last = heard.strip().splitlines()[-1]
    assert last == (
        f"sidelight: stopped; {n} finished fits are kept in {keep}, and the same command goes on "
        "from there."
    )
    assert "Traceback" not in heard
    assert told["fits"]["stopped"] and told["sizes"][0]["fits_done"] == n < told["sizes"][0]["fits"]
    assert not told["verdicts"]  # a curve that is not complete is not judged
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0
    assert f"{kept} of 16 finished fits were kept from an earlier call" in done.stderr
    told = json.loads(out.read_text())
    assert told["fits"] == {"done": 16, "reused": kept, "stopped": False}
    assert np.isfinite(told["sizes"][0]["validation"]).all() and told["verdicts"]


def test_stopped_before_the_first_fit_there_is_nothing_to_write(folder: Path) -> None:
    with watched(None, lambda: True):
        found = learning_curves({"line": folder / "line.skops"}, folder / "rows.csv", target="y")
    assert found.stopped and not found.fitted and not found.failures
    assert _stopped_words(found, None) == "stopped before the first fit was done."


def test_what_was_stopped_is_drawn_as_far_as_it_came(folder: Path, tmp_path: Path) -> None:
    """Of both models in memory and in files, for every kind."""
    table = _table()
    tree, file = _models()["tree"], folder / "tree.skops"
    count = [0]

    def tell(done: int, total: int, sentence: str) -> None:
        count[0] += "fits" in sentence

    for model, kinds in ((tree, ("sizes", "folds")), (tree, ("folds",)), (file, ("sizes",))):
        count[0], options = 0, LearningOptions(kinds=kinds, sizes=(50, 100))
        with watched(tell, lambda: count[0] > 2):
            found = learning_curves({"m": model}, table, target="y", options=options)
        assert found.stopped and not found.verdicts
        (curve,) = found.fitted
        assert 0 < curve.n_done < curve.n_fits
        assert getattr(found, kinds[0]) == [curve]
        assert "Stopped before all fits were done" in render_learning(found, "text").decode()


def test_a_folder_of_fits_knows_what_is_whole(tmp_path: Path) -> None:
    store = FolderBlocks(tmp_path / "new" / "keep")
    counted = CountedBlocks(store)
    counted.put("a", b"content")
    assert counted.get("a") == b"content" and counted.get("b") is None and counted.n_found == 1
    (file,) = store.folder.iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    assert store.get("a") is None
    file.write_bytes(b"")
    assert store.get("a") is None
    (tmp_path / "file").write_text("")
    with pytest.raises(ParameterError, match="Fits cannot be kept in"):
        FolderBlocks(tmp_path / "file" / "keep")
    store.folder.joinpath(file.name).unlink()
    store.folder.rmdir()
    counted.put("a", b"content")  # the disk is gone: nobody is stopped
    assert "Fits could not be kept in" in counted.problem


# -- answers out of fold --------------------------------------------------------------------------


def _models() -> dict[str, Any]:
    table = _table()
    return {
        "tree": _fit(DecisionTreeClassifier(max_depth=3, random_state=0), table),
        "line": _fit(LogisticRegression(), table),
    }


def _check_read_back(
    files: dict[str, Path], folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`evaluate` scores the files as scikit-learn scores its own predictions across the folds."""
    asked = ["evaluate", "--data", str(folder / "rows.csv"), "--target", "y", "--positive", "yes"]
    asked += [word for name, path in files.items() for word in ("--predictions", f"{name}={path}")]
    capfd.readouterr()
    assert main([*asked, "--format", "csv"]) == 0
    scores = pd.read_csv(io.StringIO(capfd.readouterr().out))
    table = _table()
    X, y = table[["a", "b", "c"]], table["y"]
    folds = list(choose_folds(evalset_from_frame(table, target="y"), 4))
    for name in files:
        mine = scores[(scores["model"] == name) & scores["label"].isna()]
        found = mine.set_index("metric")["value"]
        proba = cross_val_predict(_models()[name], X, y, cv=folds, method="predict_proba")[:, 1]
        labels = np.where(proba >= 0.5, "yes", "no")
        assert found["roc_auc"] == pytest.approx(roc_auc_score(y == "yes", proba), abs=1e-12)
        assert found["accuracy"] == pytest.approx(accuracy_score(y, labels), abs=1e-12)


def test_answers_out_of_fold_are_read_back_as_predictions(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "answers.csv"
    assert main([*_words(folder, "tree"), "--out-of-fold", str(out)]) == 0
    heard = capfd.readouterr()
    assert (
        heard.err.endswith(f"Answers out of fold are in {out}.\n") and "across 4 folds" in heard.out
    )
    _check_read_back({"tree": out}, folder, capfd)


def test_answers_of_several_models_are_files_of_their_own(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = LearningOptions(kinds=("folds",), n_splits=4)
    found = learning_curves(_models(), _table(), target="y", options=options)
    files = write_out_of_fold(found, tmp_path / "answers.parquet")
    assert [path.name for path in files] == ["answers-tree.parquet", "answers-line.parquet"]
    _check_read_back(dict(zip(("tree", "line"), files, strict=True)), folder, capfd)


def test_answers_that_csv_would_change_are_not_written(tmp_path: Path) -> None:
    table = _table(60).assign(y=lambda t: t["y"].map({"yes": "+yes", "no": "=no"}))
    tree = _fit(DecisionTreeClassifier(max_depth=2, random_state=0), table)
    options = LearningOptions(kinds=("folds",), n_splits=2)
    found = learning_curves({"m": tree}, table, target="y", options=options)
    with pytest.raises(ParameterError, match=r"Write \.parquet instead"):
        write_out_of_fold(found, tmp_path / "a.csv")
    (path,) = write_out_of_fold(found, tmp_path / "a.feather")
    assert set(pd.read_feather(path)["y_pred"]) == {"+yes", "=no"}
    with pytest.raises(ParameterError, match="names no table format"):
        write_out_of_fold(found, tmp_path / "a.docx")
    with pytest.raises(ParameterError, match="No model was cross-validated"):
        write_out_of_fold(learning_curves({"m": tree}, table, target="y"), tmp_path / "a.csv")


# -- findings as data -----------------------------------------------------------------------------


def test_findings_are_a_table_and_verdicts_come_first(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    x = np.linspace(0, 1, 40)
    history = {"epoch": range(40), "loss": np.geomspace(0.9, 0.05, 40)}
    history["val_loss"] = 0.5 + 1.2 * (x - 0.3) ** 2
    pd.DataFrame(history).to_csv(tmp_path / "tree.csv", index=False)
    asked = [*_words(folder, "tree"), "--logs", str(tmp_path / "tree.csv"), "--folds"]
    asked += ["--findings", str(tmp_path / "f.json"), "--fail-on", "warning"]
    assert main(asked) == 1
    heard = capfd.readouterr()
    assert "tree: overfitting (warning)" in heard.err
    first, *others = json.loads((tmp_path / "f.json").read_text())
    assert first["verdict"] and not any(one["verdict"] for one in others)
    # one verdict on what the log and the folds say together
    assert (first["subject"], first["code"]) == ("tree", "overfitting")
    evidence = json.loads(first["evidence"])
    assert evidence["change"] > evidence["spread"]
    assert {"agrees", "disagrees", "undecided"} & set(evidence)
    assert first["remedies"].startswith("stop at the best epoch")
    assert heard.out.startswith(f"Warning (overfitting). {first['sentence']}")
    assert not any(one["sentence"] in first["sentence"] for one in others)


def test_verdicts_on_the_page_are_those_of_the_call() -> None:
    options = LearningOptions(kinds=("folds",), n_splits=4, n_repeats=3)
    found = dashboard.learning_curves(_models(), _table(), target="y", options=options)
    told = json.loads(render_learning(found, "json"))
    assert [one["subject"] for one in told["verdicts"]] == [one.subject for one in found.verdicts]
    assert {one.subject for one in found.verdicts} == {"tree", "line"}
    assert len(found.verdicts) + len(found.remarks) == len(found.findings)
    page = render_learning(found, "html").decode().split('<section id="findings">')[1]
    part = page.split("</section>")[0]
    for one in found.findings:
        assert f"<td>{one.code}</td>" in part
    assert "fold sd" in part and "What to do" in part


def test_folds_know_the_baseline(tmp_path: Path) -> None:
    table = _table(80)
    table["y"] = np.where(np.random.default_rng(0).random(80) < 0.7, "yes", "no")
    tree = _fit(DecisionTreeClassifier(random_state=0), table)
    options = LearningOptions(kinds=("folds",), metric="accuracy", n_splits=4)
    found = learning_curves({"m": tree}, table, target="y", options=options)
    assert found.folds[0].baseline == pytest.approx((table["y"] == "yes").mean())
    assert found.verdicts[0].code == "no_better_than_baseline"


# -- rows kept apart ------------------------------------------------------------------------------


def test_rows_of_another_kind_are_a_mismatch(folder: Path, tmp_path: Path) -> None:
    out, answers = tmp_path / "o.json", tmp_path / "a.csv"
    asked = [*_words(folder, "line"), "--test-data", str(folder / "elsewhere.csv")]
    asked += ["--metric", "accuracy", "--output", str(out), "--out-of-fold", str(answers)]
    assert main([*asked, "--fail-on", "warning"]) == 1
    told = json.loads(out.read_text())
    rows, apart = pd.read_csv(folder / "rows.csv"), pd.read_csv(folder / "elsewhere.csv")
    line = _fit(LogisticRegression(), rows)
    expected = accuracy_score(apart["y"], line.predict(apart[["a", "b", "c"]]))
    (scores,) = told["folds"]
    assert scores["apart"] == pytest.approx(expected, abs=1e-12) and scores["rows_apart"] == 120
    assert scores["notes"][0].startswith("Fitted on all 240 rows of the folds, it was judged once")
    first = told["verdicts"][0]
    assert (first["code"], first["severity"]) == ("data_mismatch", "warning")
    assert len(pd.read_csv(answers)) == len(rows)  # as --data has them


def test_rows_of_the_same_kind_are_none(folder: Path) -> None:
    options = LearningOptions(kinds=("folds",), metric="accuracy", n_splits=4)
    line = {"line": _models()["line"]}
    alike = pd.read_csv(folder / "alike.csv")
    found = learning_curves(line, _table(), target="y", test_data=alike, options=options)
    (apart,) = [one for one in found.findings if "judged_on" in one.evidence]
    assert apart.code in ("as_expected", "undecided")


def test_a_test_part_of_the_table_is_the_same(folder: Path) -> None:
    rows, apart = pd.read_csv(folder / "rows.csv"), pd.read_csv(folder / "elsewhere.csv")
    table = pd.concat([rows.assign(split="train"), apart.assign(split="test")], ignore_index=True)
    options = LearningOptions(kinds=("folds",), metric="accuracy", n_splits=4)
    line = {"line": _models()["line"]}
    whole = learning_curves(line, table, target="y", options=options)
    parts = learning_curves(line, rows, target="y", test_data=apart, options=options)
    for found in (whole, parts):
        (scores,) = found.folds
        assert (scores.n_apart, scores.n_fits, scores.n_done) == (120, 5, 5)
        assert found.verdicts[0].code == "data_mismatch"
    assert whole.folds[0].apart == parts.folds[0].apart
    np.testing.assert_array_equal(whole.folds[0].validation, parts.folds[0].validation)
    sizes = LearningOptions(kinds=("sizes", "folds"), metric="accuracy", sizes=(60,), n_splits=4)
    both = learning_curves(line, rows, target="y", test_data=apart, options=sizes)
    assert [one.code for one in both.findings if one.chart == "folds"] == ["data_mismatch"]


def test_test_rows_that_do_not_fit_are_refused(folder: Path) -> None:
    rows, tree = folder / "rows.csv", {"m": folder / "tree.skops"}

    def ask(**more: Any) -> None:
        learning_curves(tree, more.pop("data", rows), target="y", **more)

    with pytest.raises(ParameterError, match="has the content of"):
        ask(test_data=rows)
    with pytest.raises(ParameterError, match="a part of the split as well"):
        ask(test_data=folder / "alike.csv", roles={"split_value": "test"})
    with pytest.raises(DataError, match="lacks 'c'"):
        ask(test_data=_table(30).drop(columns="c"))
    with pytest.raises(ParameterError, match="two files, or two frames"):
        ask(test_data=np.zeros((3, 3)))
    with pytest.raises(ParameterError, match="without rows to learn from"):
        learning_curves(logs=[rows], test_data=rows)
    assert main([*_words(folder)[:1], "--keep", "x", "--logs", "y"]) == 2


class _History:
    """As Keras gives it back from `fit`."""

    history: ClassVar[dict[str, Any]] = {
        "loss": [np.float32(0.5), np.float32(0.25)],
        "val_loss": np.array([0.75, np.nan]),
    }
    epoch = (0, 1)


def test_histories_in_memory_are_logs(tmp_path: Path) -> None:
    plain = {name: [float(one) for one in cells] for name, cells in _History.history.items()}
    for given in ([_History.history], _History.history, [_History()], [pd.DataFrame(plain)]):
        (run,) = learning_curves(logs=given).runs
        assert run.name == "history" and run.metrics == ("loss",)
        assert list(run.get("loss", "train").values) == [0.5, 0.25]  # type: ignore[union-attr]
        assert run.get("loss", "validation").values[0] == 0.75  # type: ignore[union-attr]
    (tmp_path / "log.csv").write_text("epoch,loss\n0,1\n1,.5\n")
    found = learning_curves(logs=[plain, tmp_path / "log.csv", {"training": {"l2": [2, 1]}}])
    assert [run.name for run in found.runs] == ["history", "log", "history 2"]
    single = learning_curves(logs=tmp_path / "log.csv")
    assert [run.name for run in single.runs] == ["log"]


@pytest.mark.parametrize("given", [3, [3], [None, {1, 2}], [object()], [{"loss": object()}]])
def test_what_is_no_log_is_refused_in_one_sentence(given: Any) -> None:
    with pytest.raises(ParameterError, match=r"The log history is of type .*history\.history"):
        learning_curves(logs=given)


def test_loose_event_files_keep_their_folders(tmp_path: Path) -> None:
    for folder, loss in (("train", 1.0), ("validation", 2.0)):
        (tmp_path / folder).mkdir()
        log = event_file(event(0, simple("epoch_loss", loss)))
        (tmp_path / folder / f"events.out.tfevents.1.host.7.{loss}").write_bytes(log)
    (run,) = learning_curves(logs=sorted(tmp_path.glob("*/*"))).runs
    assert {(one.part, *one.values) for one in run.series} == {("train", 1), ("validation", 2)}


def test_seeds_settings_and_test_rows_of_logs_are_told(tmp_path: Path) -> None:
    at = np.arange(30)
    for name, much in (("adam", 0.0), ("sgd", 0.2)):
        for seed in (1, 2):
            noise = np.random.default_rng(seed).normal(0, 0.004, 30)
            held = 0.4 + much + 0.4 * np.exp(-at / 4) + noise
            lines = [
                f"{k},{name},{1 - k / 40:.4f},{value:.4f},{value + 0.1:.4f}"
                for k, value in enumerate(held)
            ]
            text = "epoch,optimizer,loss,val_loss,test_loss\n" + "\n".join(lines) + "\n"
            (tmp_path / f"{name} seed {seed}.csv").write_text(text)
    found = learning_curves(logs=sorted(tmp_path.iterdir()))
    assert [one.subject for one in found.findings if one.code == "best_configuration"]
    assert sum("validation and on test rows" in note for note in found.notes) == 4
    runs = json.loads(render_learning(found, "json"))["runs"]
    assert [one["settings"]["optimizer"] for one in runs] == ["adam", "adam", "sgd", "sgd"]
    said = render_learning(found, "text").decode()
    assert re.search(r"Settings of the runs:\n  run +optimizer\n  adam seed 1 +adam\n", said)


def test_rows_that_models_learned_from_are_counted_by_the_split() -> None:
    frame = _table(40)

    def count(*parts: str) -> int | None:
        whole = frame.assign(split=np.resize(np.array(parts), 40)) if parts else frame
        data = evalset_from_frame(whole, "y", split_value=ALL_ROWS if parts else None)
        return count_training_rows(data)

    assert count() is None
    assert count("train", "train", "validation", "test") == 20
    assert count("dev", "validation", "test", "test") == 20


def test_sizes_and_the_score_wanted_are_read(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "elsewhere.csv"
    lines = [f"{n},{0.9 - 2 / n:.4f},{k}" for n in (50, 100, 200, 400) for k in range(5)]
    table.write_text("train_size,test_score,fold\n" + "\n".join(lines) + "\n")
    page = tmp_path / "page.html"
    ask = ["learning", "--size-table", str(table), "--wanted", "0.8"]
    assert main([*ask, "--output", str(page)]) == 0
    assert "wanted: .8" in page.read_text()
    assert main(ask) == 0
    assert "wanted_" in capsys.readouterr().out
    assert main(["learning", "--wanted", "0.8", "--logs", str(table)]) == 2
    assert "--wanted is a score of models" in capsys.readouterr().err
    fit = ["--data", str(folder / "rows.csv"), "--target", "y", "--model"]
    fit.append(str(next(folder.glob("*.skops"))))
    assert main(["learning", *fit, "--sizes", "50, half"]) == 2
    assert "“half” is no training size" in capsys.readouterr().err
