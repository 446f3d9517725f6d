"""The command line and the reports: the same numbers in every format, exit codes, safe exports."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import multilabel_confusion_matrix

import dashboard
from dashboard.__main__ import main
from dashboard.contracts import RawPredictions, ScoreKind
from dashboard.diagnostics.metrics import METRICS
from dashboard.errors import ParameterError
from dashboard.report import FORMATS, render_report, safe_csv, write_report
from dashboard.samples import read_sample


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """The command line sets variables for the libraries it loads; the other tests keep theirs."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


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


class Page(HTMLParser):
    """The tags of a page in order, and the text without scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.inside and tag == self.inside[-1]:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if not self.inside:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def html_text(files: Path) -> str:
    result = dashboard.evaluate(
        files / "data.csv",
        target="bought",
        models={"Line": files / "linear.skops", "old": files / "old.pkl"},
        predictions={"by id": files / "by_id.csv"},
    )
    return render_report(result, "html")


def test_html_begins_with_the_answer_and_the_scores(html_text: str) -> None:
    page = Page(html_text)
    text = page.text
    order = [
        "data.csv: 2 models side by side",
        "ROC AUC .",  # of the headline
        "Baseline (majority)",
        "old gave no answers",
        "Confusion matrices Which classes",
        "ROC and precision–recall Which model",
        "Calibration When",
        "What was evaluated All 200 rows",
        "Where these numbers come from Written",
    ]
    places = [text.index(one) for one in order]
    assert places == sorted(places)
    first = html_text.index('class="scores')
    head = Page(html_text[first : html_text.index("</thead>", first)]).text
    assert "Balanced accuracy ↑" in head and "Log loss ↓" in head
    assert "kappa" not in head  # folded away with the others
    assert text.index("6 more metrics") < text.rindex("Cohen's kappa")
    tips = [one["title"] for one in page.of("span") if "title" in one]
    assert any(tip and "always-no" in tip for tip in tips)


def test_html_puts_its_caption_under_each_chart(html_text: str) -> None:
    page = Page(html_text)
    tags = [name for name, _ in page.tags]
    assert tags.count("figure") == tags.count("figcaption") >= 8
    for part in html_text.split("<figure>")[1:]:
        drawn, _, caption = part.partition("<figcaption>")
        assert "plotly-graph-div" in drawn
        assert len(caption.partition("</figcaption>")[0]) > 30
    # two models: their matrices side by side
    row = html_text[html_text.index('id="confusion"') :]
    assert re.search(r'class="row n2"', row[:600])


def test_html_says_where_the_numbers_come_from_line_by_line(html_text: str) -> None:
    page = Page(html_text[html_text.index('id="provenance"') :])
    assert "{" not in page.text and "numpy" in page.text
    assert len(re.findall(r"\b[0-9a-f]{64}\b", page.text)) == 3  # the data, two models


HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report in which every name would run if it were taken for markup."""
    rng = np.random.default_rng(0)
    target, classes = f"y{HOSTILE}", np.array(["</script><script>alert(2)</script>", HOSTILE])
    frame = pd.DataFrame({"x": rng.normal(size=80), target: classes[np.arange(80) % 2]})
    answers = {
        HOSTILE: pd.DataFrame({"prediction": classes[(np.arange(80) // 3) % 2]}),
        f"b{HOSTILE}": pd.DataFrame({"prediction": classes[:1].repeat(7)}),
    }
    result = dashboard.evaluate(frame, target=target, predictions=answers)
    return write_report(result, tmp_path_factory.mktemp("hostile") / "hostile.html")


def test_html_takes_no_name_for_markup(hostile: Path) -> None:
    page = Page(hostile.read_text(encoding="utf-8"))
    assert not page.of("img")
    assert not [one for _, attributes in page.tags for one in attributes if one == "onerror"]
    assert HOSTILE in page.text and "alert(2)" in page.text


@pytest.mark.browser
def test_html_draws_and_asks_nobody(
    hostile: Path, html_text: str, tmp_path: Path, page: Any, traffic: Any
) -> None:
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    page.goto(hostile.as_uri())
    page.wait_for_selector(".js-plotly-plot .main-svg")
    plain = tmp_path / "plain.html"
    plain.write_text(html_text, encoding="utf-8")
    page.goto(plain.as_uri())
    page.wait_for_selector("#calibration .js-plotly-plot .main-svg")
    wide = "document.documentElement.scrollWidth <= innerWidth"
    assert page.evaluate(wide)
    page.set_viewport_size({"width": 420, "height": 800})
    page.wait_for_function(
        "[...document.querySelectorAll('.js-plotly-plot .main-svg')]"
        ".every(one => one.getBoundingClientRect().width <= 400)"
    )
    assert page.evaluate(wide)
    assert traffic.requests == [hostile.as_uri(), plain.as_uri()]
    traffic.requests.clear()  # the watch takes files for another machine


@pytest.mark.parametrize("metric", ["kappa", "f3"])
def test_html_of_one_metric_still_has_its_headline(
    files: Path, tmp_path: Path, metric: str
) -> None:
    out = tmp_path / "one.html"
    assert main(_argv(files, "--metric", metric, "--output", str(out))) == 0
    text = Page(out.read_text(encoding="utf-8")).text
    assert "ROC AUC ." in text and "more metric" not in text


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
    assert said.err.startswith("old: old.pkl is of type int; needed is a fitted estimator")
    assert "Line" in said.out


def test_a_model_of_own_classes_finds_them_in_the_file_beside_it(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "own.pkl").write_bytes(b"\x80\x04c__main__\nAlways\n)\x81.")
    (files / "own_classes.py").write_text(
        "class Always:\n    def predict(self, X):\n        return ['yes'] * len(X)"
    )
    asked = ["--model", str(files / "own.pkl"), "--metric", "accuracy", "--format", "csv"]
    assert main(_argv(files, *asked, "--helper", str(files / "own_classes.py"))) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["model"] for row in rows} >= {"Line", "own"}
    assert main(_argv(files, *asked)) == 1
    assert "own.pkl needs Always, which the script or notebook" in capsys.readouterr().err
    assert main(_argv(files, *asked, "--helper", "none.py")) == 2
    assert "The helper file none.py cannot be read" in capsys.readouterr().err


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
    assert done.stderr == ""


def test_a_network_keeps_the_streams_clean() -> None:
    """TensorFlow, Keras and absl introduce themselves on stderr, which scripts read."""
    sample = read_sample("loans")
    quiet = {name: one for name, one in os.environ.items() if not name.startswith("TF_")}
    argv = ["evaluate", "--data", str(sample.path(sample.data)), "--target", "default"]
    argv += ["--split", "test", "--metric", "roc_auc", "--format", "csv"]
    argv += ["--model", str(sample.path("network.keras")), "--model", "none.keras"]
    done = subprocess.run(
        [sys.executable, "-m", "dashboard", *argv],
        capture_output=True,
        text=True,
        check=False,
        env=quiet,
    )
    assert done.stderr == "none: There is no model file none.keras. Check the path.\n"
    assert done.returncode == 1
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["model"] for row in rows] == ["Baseline (majority)", "network"]


def test_text_is_aligned_and_free_of_rounding_noise() -> None:
    y = np.array([0.1, 0.2, 0.7, 1.1, 2.3] * 8)
    result = dashboard.evaluate(np.arange(40.0)[:, None], y, predictions={"a name": y[::-1].copy()})
    assert result.scores.value("Baseline (mean)", "bias") != 0  # 0 but for rounding
    lines = render_report(result, "text").splitlines()
    head = next(at for at, line in enumerate(lines) if line.startswith("metric"))
    table = lines[head : lines.index("", head)]
    start = table[0].index("a name")
    assert {line[start - 1] for line in table} == {" "}
    bias = next(line for line in table if line.startswith("bias "))
    assert "Bias →0" in bias and re.search(r"→0\s+0 \[", bias) and "10⁻" not in bias
    for line in table[1:]:
        assert line.split()[0] in {*METRICS, "n"}


def test_formulas_are_neutralised_and_numbers_are_not() -> None:
    frame = pd.DataFrame({"=cmd": ["=1+1", "+x", "@y", "ok"], "v": [-1.5, 2.0, 3.0, 4.0]})
    text = safe_csv(frame)
    assert text.splitlines()[0] == "'=cmd,v"
    assert text.splitlines()[1] == "'=1+1,-1.5"
    assert safe_csv(pd.DataFrame({"label": ["-1", "+1"]})) == "label\n-1\n+1\n"
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


def test_what_cannot_be_written_is_one_sentence(files: Path, tmp_path: Path) -> None:
    (tmp_path / "taken.json").mkdir()
    argv = _argv(files, "--metric", "accuracy", "--output", str(tmp_path / "taken.json"))
    assert main(argv) == 2


def _labels(folder: Path) -> tuple[Path, Path, pd.DataFrame, pd.DataFrame]:
    """Three labels, and scores for them that are right more often than not."""
    rng = np.random.default_rng(3)
    truth = pd.DataFrame(rng.random((60, 3)) < (0.3, 0.5, 0.6), columns=["red", "green", "blue"])
    truth = truth.astype(int)
    scores = (0.6 * truth + 0.4 * rng.random((60, 3))).round(3).add_prefix("proba_")
    truth.assign(x=rng.normal(size=60)).to_csv(folder / "truth.csv", index=False)
    scores.to_csv(folder / "model.csv", index=False)
    return folder / "truth.csv", folder / "model.csv", truth, scores


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_labels_follow_the_threshold_and_have_a_matrix_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], share: float
) -> None:
    data, predictions, truth, scores = _labels(tmp_path)
    targets = [part for name in truth for part in ("--target", name)]
    argv = ["evaluate", "--data", str(data), "--predictions", str(predictions), *targets]
    argv += ["--task", "multilabel", "--threshold", str(share)]
    assert main([*argv, "--format", "json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["task"] == "multilabel"
    assert content["thresholds"] == {"Baseline (majority)": share, "model": share}
    expected = multilabel_confusion_matrix(truth, scores.to_numpy() >= share)
    for name, matrix in zip(truth, expected, strict=True):
        found = content["confusion"]["model"][name]
        assert found == {"labels": [f"not {name}", name], "counts": matrix.tolist()}
    assert main([*argv, "--output", str(tmp_path / "labels.html")]) == 0
    text = Page((tmp_path / "labels.html").read_text(encoding="utf-8")).text
    assert "“red”, the first of 3 labels" in text and "Every metric by label" in text


def test_a_threshold_where_none_decides_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pd.DataFrame({"y": ["a", "b", "c"] * 5, "y_pred": ["a", "b", "b"] * 5}).to_csv(
        tmp_path / "three.csv", index=False
    )
    argv = ["evaluate", "--data", str(tmp_path / "three.csv"), "--target", "y"]
    assert main([*argv, "--threshold", "0.3"]) == 2
    assert "multiclass" in capsys.readouterr().err


def test_html_of_numbers_and_of_several_of_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(50, 3)), columns=["x", "y1", "y2"])
    told = frame[["y1", "y2"]].to_numpy() + 0.1
    result = dashboard.evaluate(frame, target=["y1", "y2"], predictions={"m": told})
    text = Page(render_report(result, "html")).text
    assert "m beside the baseline" in text and "“y1”, the first of 2" in text
    assert json.loads(render_report(result, "json"))["confusion"] == {}


def test_html_without_any_answer_says_so(files: Path) -> None:
    result = dashboard.evaluate(
        files / "data.csv", target="bought", models={"old": files / "old.pkl"}
    )
    assert "No model gave usable answers." in Page(render_report(result, "html")).text


def test_html_says_what_does_not_apply() -> None:
    """Decision values have no calibration; that section says so, the others stay."""
    rng = np.random.default_rng(2)
    y = np.arange(90) % 3
    scores = 5 * np.eye(3)[y] + 4 * rng.normal(size=(90, 3))
    raw = RawPredictions(scores=scores, score_kind=ScoreKind.DECISION)
    result = dashboard.evaluate(np.zeros((90, 1)), y, predictions={"svm": raw}, task="multiclass")
    text = Page(render_report(result, "html")).text
    assert "does not apply here: None of the shown models gives probabilities." in text
    assert "against the rest, the class that the models find least often" in text


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
