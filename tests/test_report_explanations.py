"""Explanations written as text, CSV, JSON, Arrow and HTML, by Python and by the command line."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from dashboard.__main__ import main
from dashboard.contracts import Attributions
from dashboard.errors import ParameterError
from dashboard.evaluation import Failure
from dashboard.explanation import explain
from dashboard.report_explanations import FORMATS, render_explanations, write_explanations


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    X = pd.DataFrame(rng.normal(size=(120, 3)), columns=["=a", "<s>", "c"])
    return X.assign(y=np.where(X["=a"] + X["c"] > 0, "yes", "no"))


@pytest.fixture(scope="module")
def found(table: pd.DataFrame) -> list[Attributions]:
    X, y = table.drop(columns="y"), table["y"]
    models = {
        "line": LogisticRegression().fit(X, y),
        "tree": DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, y),
    }
    return [explain(model, table, target="y", name=name, rows=30) for name, model in models.items()]


def test_every_table_holds_every_value(found: list[Attributions]) -> None:
    csv = pd.read_csv(io.BytesIO(render_explanations(found, "csv")))
    arrow = pa.ipc.open_file(render_explanations(found, "arrow")).read_all().to_pandas()
    for table in (csv, arrow):
        assert len(table) == 2 * 30 * 3
        for one in found:
            part = table[table["model"] == one.model]
            np.testing.assert_allclose(part["value"].to_numpy(), one.values.ravel())
            np.testing.assert_array_equal(part["row"].to_numpy(), np.repeat(one.rows, 3))
    assert set(arrow["feature"]) == {"=a", "<s>", "c"}
    assert set(csv["feature"]) == {"'=a", "<s>", "c"}  # no formula in a spreadsheet


def test_json_says_how_it_was_made(found: list[Attributions]) -> None:
    told = json.loads(
        render_explanations(found, "json", failures=[Failure("bad", "It failed.")], data="d.csv")
    )
    one = told["explanations"][0]
    np.testing.assert_allclose(one["values"], found[0].values)
    np.testing.assert_allclose(
        np.add(one["base_values"], np.sum(one["values"], axis=1)), one["predictions"]
    )
    assert (one["engine"], one["rows_given"], one["outputs"]) == ("linear", 120, ["yes"])
    assert told["failures"] == [{"model": "bad", "message": "It failed."}]
    assert told["provenance"]["data"] == "d.csv"


def test_text_and_page_say_what_a_reader_must_know(found: list[Attributions]) -> None:
    text = render_explanations(found, "text").decode()
    page = render_explanations(found, "html", failures=[Failure("<u>", "No.")]).decode()
    for said in (text, page):
        assert "30 of 120" in said
        assert "100 of 120 rows drawn at random" in said
        assert "Largest difference between an answer and the sum of its parts" in said
    assert text.count("explained in") == 2
    after = page.split("</script>", 1)[1]  # Plotly's own text is before
    assert "&lt;u&gt;" in after and "<u>" not in after and "<s>" not in after
    assert page.count("<figure>") >= 3


def test_what_cannot_be_written_says_so(found: list[Attributions], tmp_path: Path) -> None:
    assert write_explanations(found, tmp_path / "e.feather").stat().st_size > 1_000
    for path, why in ((tmp_path / "e.docx", "no format 'docx'"), (tmp_path / "no/e.csv", "folder")):
        with pytest.raises(ParameterError, match=why):
            write_explanations(found, path)
    with pytest.raises(ParameterError, match=r"No model could be explained\. a: b"):
        render_explanations([], FORMATS[0], failures=[Failure("a", "b")])


def test_the_command_line(
    table: pd.DataFrame, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    X, y = table.drop(columns="y"), table["y"]
    model = LogisticRegression().fit(X, y)
    skops.io.dump(model, tmp_path / "line.skops")
    table.to_csv(tmp_path / "d.csv", index=False)
    base = ["explain", "--data", str(tmp_path / "d.csv"), "--target", "y", "--rows", "20"]
    asked = [*base, "--model", f"mine={tmp_path / 'line.skops'}"]
    assert main([*asked, "--positive", "no", "--output", str(tmp_path / "o.json")]) == 0
    one = json.loads((tmp_path / "o.json").read_text())["explanations"][0]
    assert (one["model"], one["outputs"], len(one["rows"])) == ("mine", ["no"], 20)
    np.testing.assert_allclose(
        np.ravel(one["predictions"]), -model.decision_function(X.iloc[one["rows"]]), atol=1e-9
    )
    capfd.readouterr()
    assert main([*asked, "--engine", "tree"]) == 2
    assert "ensemble of trees" in capfd.readouterr().err
    assert main([*base, "--model", str(tmp_path / "none.skops")]) == 2
    assert "There is no model file" in capfd.readouterr().err
