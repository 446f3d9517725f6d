"""The command line and the reports: the same numbers in every format, exit codes, safe exports."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

import dashboard
from dashboard.__main__ import main
from dashboard.errors import ParameterError
from dashboard.report import FORMATS, render_report, safe_csv, write_report


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small binary problem with one model, one prediction file and one refused file."""
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(5)
    x = rng.normal(size=(200, 2))
    y = np.where(x[:, 0] + 0.7 * rng.normal(size=200) > 0, "yes", "no")
    frame = pd.DataFrame({"id": [f"r{i:03}" for i in range(200)], "a": x[:, 0], "b": x[:, 1]})
    frame.assign(bought=y).to_csv(folder / "data.csv", index=False)
    model = LogisticRegression().fit(frame[["a", "b"]], y)
    skops.io.dump(model, folder / "linear.skops")
    chance = model.predict_proba(frame[["a", "b"]])[:, 1]
    order = rng.permutation(200)
    pd.DataFrame({"id": frame["id"].to_numpy()[order], "proba_yes": chance[order]}).to_csv(
        folder / "by_id.csv", index=False
    )
    (folder / "old.pkl").write_bytes(b"\x80\x04K\x01.")
    return folder


def _argv(files: Path, *more: str) -> list[str]:
    data = ["evaluate", "--data", str(files / "data.csv"), "--target", "bought"]
    models = [
        "--model",
        f"Line={files / 'linear.skops'}",
        "--predictions",
        str(files / "by_id.csv"),
    ]
    return [*data, *models, *more]


def test_json_holds_the_same_numbers_as_python(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_argv(files, "--format", "json")) == 0
    content = json.loads(capsys.readouterr().out)
    result = dashboard.evaluate(
        files / "data.csv", target="bought", models={"Line": files / "linear.skops"}
    )
    rows = {(r["model"], r["metric"]): r["value"] for r in content["scores"] if r["label"] == ""}
    assert rows["Line", "roc_auc"] == result.scores.value("Line", "roc_auc")
    # joined by id, the shuffled file says what the model says
    assert rows["by_id", "roc_auc"] == pytest.approx(rows["Line", "roc_auc"], abs=1e-12)
    assert content["positive"] == "yes"
    assert content["rows"] == {"read": 200, "excluded": [], "evaluated": 200}
    assert sum(map(sum, content["confusion"]["Line"]["counts"])) == 200
    assert len(content["provenance"]["data_digest"]) == 64


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_names_every_model(files: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    assert main(_argv(files, "--format", form, "--output", str(out))) == 0
    text = out.read_text(encoding="utf-8")
    assert "Line" in text and "by_id" in text and "Baseline" in text


def test_html_is_one_file_that_asks_nobody(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    assert main(_argv(files, "--output", str(out))) == 0
    text = out.read_text(encoding="utf-8")
    assert text.count("plotly-graph-div") >= 6
    assert "<script src" not in text and '<link rel="stylesheet"' not in text


def test_csv_reads_back(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(_argv(files, "--format", "csv", "--metric", "accuracy")) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["metric"] for row in rows} == {"accuracy"}
    assert {"model", "label", "metric", "value", "low", "high", "n"} <= set(rows[0])


def test_a_refused_file_is_reported_and_the_others_stay(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_argv(files, "--model", str(files / "old.pkl"), "--format", "csv")) == 1
    said = capsys.readouterr()
    assert "old:" in said.err and "skops" in said.err
    assert "Line" in said.out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["evaluate", "--data", "none.csv", "--model", "x.skops"], "none.csv"),
        (["evaluate", "--data", "DATA", "--target", "nope", "--model", "x.skops"], "nope"),
        (["evaluate", "--data", "DATA", "--target", "bought"], "No models"),
        (["evaluate", "--data", "DATA", "--target", "bought", "--positive", "maybe"], "maybe"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    files: Path, capsys: pytest.CaptureFixture[str], argv: list[str], words: str
) -> None:
    given = [str(files / "data.csv") if one == "DATA" else one for one in argv]
    assert main(given) == 2
    said = capsys.readouterr()
    assert words in said.err and said.err.count("\n") == 1 and not said.out


def test_as_a_module(files: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dashboard", *_argv(files, "--metric", "roc_auc")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "roc_auc" in done.stdout and "All 200 rows" in done.stdout


def test_formulas_are_neutralised_and_numbers_are_not() -> None:
    frame = pd.DataFrame({"=cmd": ["=1+1", "+x", "@y", "ok"], "v": [-1.5, 2.0, 3.0, 4.0]})
    text = safe_csv(frame)
    assert text.splitlines()[0] == "'=cmd,v"
    assert text.splitlines()[1] == "'=1+1,-1.5"
    assert "'+x" in text and "'@y" in text and "\nok," in text


def test_unknown_format_and_folder(files: Path, tmp_path: Path) -> None:
    result = dashboard.evaluate(
        files / "data.csv", target="bought", models={"Line": files / "linear.skops"}
    )
    with pytest.raises(ParameterError, match="pdf"):
        render_report(result, "pdf")
    with pytest.raises(ParameterError, match="folder"):
        write_report(result, tmp_path / "none" / "x.html")
    assert write_report(result, tmp_path / "x.json").exists()


def test_one_file_with_truth_and_predictions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.DataFrame({"y_true": ["a", "b", "b", "a"], "forest_pred": ["a", "b", "a", "a"]})
    frame.to_csv(tmp_path / "both.csv", index=False)
    argv = ["evaluate", "--data", str(tmp_path / "both.csv"), "--format", "json"]
    assert main(argv) == 0
    content = json.loads(capsys.readouterr().out)
    rows = {r["model"]: r["value"] for r in content["scores"] if r["metric"] == "accuracy"}
    assert rows["forest"] == 0.75
