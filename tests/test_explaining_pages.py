"""The pages about explanations × samples, through the entry file; answers come from workers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LinearRegression, Ridge
from streamlit.testing.v1 import AppTest

from components.importance_asking import Wish, _steps
from components.importance_controls import open_feature
from components.state import AppState
from dashboard.data import evalset_from_frame
from dashboard.figures import Clicked

ROOT = Path(__file__).resolve().parent.parent
APP = str(ROOT / "dashboard" / "app.py")
PAGES = {
    "importances": "Which features does each model use?",
    "explanations": "How does each feature move the prediction?",
    "one_row": "Why this row?",
}


def _page(name: str) -> str:
    return str(ROOT / "pages" / f"{name}.py")


def _html(at: AppTest) -> str:
    return "\n".join(str(one.proto.body) for one in at.get("html"))


def _sound(at: AppTest) -> AppTest:
    assert not at.exception, [one.value for one in at.exception]
    assert not at.error, [one.value for one in at.error]
    return at


def _open(sample: str, **parameters: str) -> AppTest:
    at = AppTest.from_file(APP, default_timeout=300)
    at.query_params["sample"] = sample
    at.query_params["rows"] = "first"
    for name, value in parameters.items():
        at.query_params[name] = value
    return _sound(at.run())


def _state(at: AppTest) -> AppState:
    state: AppState = at.session_state["sidelight"]
    return state


def _only(at: AppTest, files: list[str]) -> AppTest:
    """Show these models only, to keep the machine free."""
    _state(at).arrange(files)
    return _sound(at.run())


def test_a_linear_model_and_a_tree_on_every_page() -> None:
    at = _only(_open("diabetes"), ["linear.skops", "tree.skops"])
    for name, title in PAGES.items():
        _sound(at.switch_page(_page(name)).run())
        assert at.title[0].value == title
        said = _html(at)
        assert "sl-headline" in said and "sl-how" in said, name
        assert "Linear regression" in said and "Unpruned tree" in said
    assert "explain" not in at.query_params
    at.number_input[0].set_value(5)
    _sound(at.run())
    assert _state(at).explored.row == 5
    assert at.query_params["row"] == "5"


def _tabs(at: AppTest, key: str) -> list[str]:
    """Open every tab in turn; each says what it shows or, in a sentence, why it does not."""
    said = []
    for title in [tab.label for tab in at.tabs]:
        at.session_state[key] = title
        _sound(at.run())
        said.append("\n".join(str(one.value) for one in (*at.caption, *at.info)))
    return said


def test_every_tab_of_a_row_and_of_the_explanations() -> None:
    at = _only(_open("diabetes"), ["linear.skops", "tree.skops"])
    _sound(at.switch_page(_page("one_row")).run())
    assert "The truth (progression): **52" in "\n".join(str(one.value) for one in at.caption)
    paths, near, saw, lime = _tabs(at, "row-tabs")
    assert "From the average answer" in paths
    assert "the 10 rows nearest in values" in near
    assert "as above (progression)" in lime and "the linear model says" in lime
    assert "after the model's own preprocessing" in saw
    _sound(at.switch_page(_page("explanations")).run())
    effects, pairs, groups, cohort = _tabs(at, "closer")
    assert "more where s5 is" in effects and "differs most with" in pairs
    assert "groups" in groups
    assert "rows that Linear regression gets most wrong" in cohort
    assert at.query_params["closer"] == "cohort"
    at.session_state["closer"] = at.tabs[1].label
    _state(at).explore(pairs="exact")
    said = "\n".join(str(one.value) for one in _sound(at.run()).caption)
    assert "a row of pairs does not sum to the contribution shown there" in said
    assert "Measured against the trees' own counts" in said
    _single_rows(at)


def _single_rows(at: AppTest) -> None:
    """A chart a model, on one scale, whose lines tell which row they are."""
    at.session_state["closer"] = next(tab.label for tab in at.tabs)
    _sound(at.run())
    _sound(at.button_group(key="effect-kind").set_value("ice").run())
    drawn = [json.loads(one.proto.spec) for one in at.get("plotly_chart")]
    singles = [
        one for one in drawn if any(trace.get("name") == "single rows" for trace in one["data"])
    ]
    assert len(singles) == 2
    assert singles[0]["layout"]["yaxis"]["range"] == singles[1]["layout"]["yaxis"]["range"]
    assert any("Click a thin line" in str(one.value) for one in at.caption)


@pytest.mark.slow
def test_models_of_different_features_share_those_that_both_have() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(60, 4)), columns=list("abcd"))
    rows["y"] = 2 * rows["a"] - rows["b"] + rows["c"]
    models = {
        "ab.skops": LinearRegression().fit(rows[["a", "b"]], rows["y"]),
        "bcd.skops": Ridge().fit(rows[["b", "c", "d"]], rows["y"]),
    }
    at = AppTest.from_file(APP, default_timeout=300)
    at.run()
    at.file_uploader(key="upload-data").upload("d.csv", rows.to_csv(index=False).encode()).run()
    for name, native in models.items():
        at.file_uploader(key="upload-models").upload(name, skops.io.dumps(native)).run()
    _state(at).explore(background=1)
    _sound(at.switch_page(_page("explanations")).run())
    assert "1 of 60 rows" in _html(at)
    next(box for box in at.selectbox if box.label == "Feature").set_value("a")
    _sound(at.run())
    assert any("bcd: does not use a" in str(one.value) for one in at.caption)
    _tabs(at, "closer")
    _sound(at.switch_page(_page("one_row")).run())
    _tabs(at, "row-tabs")


def test_importances_that_models_count_themselves() -> None:
    at = _only(_open("diabetes", method="native"), ["linear.skops", "tree.skops"])
    _sound(at.switch_page(_page("importances")).run())
    assert "sl-headline" in _html(at)
    assert at.query_params["method"] == "native"


def test_many_columns_are_shuffled_once_before_they_are_shuffled_often() -> None:
    few, many = (
        evalset_from_frame(pd.DataFrame(np.eye(9, m + 1)).add_prefix("c"), target="c0")
        for m in (5, 300)
    )
    wish = Wish("rmse", 5, 10_000, "alone", "", 0)
    assert _steps(wish, few) == [(2_000, 5)]
    assert _steps(wish, many) == [(2_000, 1), (2_000, 5)]
    assert _steps(replace(wish, repeats=1), many) == [(2_000, 1)]


def _labelled(found: Any, label: str) -> Any:
    (one,) = [each for each in found if each.label == label]
    return one


def _drawn_ticks(at: AppTest) -> int:
    """How many repeats are drawn for a feature in the first chart."""
    figure = json.loads(at.get("plotly_chart")[0].proto.spec)
    (ticks,) = [one for one in figure["data"] if one["marker"].get("symbol") == "line-ns-open"]
    return len(ticks["x"]["bdata"]) // len(figure["layout"]["meta"]["features"])


@pytest.mark.slow
def test_shuffling_as_chosen_in_the_link_and_by_hand() -> None:
    """Metric, repeats, groups; training rows and methods against each other; then left out."""
    chosen = {"method": "permutation", "metric": "mae", "repeats": "3", "together": "own"}
    chosen |= {"groups": '{"blood":["s1","s2"]}', "compared": "linear.skops"}
    at = _only(_open("diabetes", **chosen), ["linear.skops"])
    _sound(at.switch_page(_page("importances")).run())
    headers = [one.value for one in at.header]
    assert headers[:2] == ["Agreement", "Learnt, or learnt by heart?"]
    metric = _labelled(at.selectbox, "Worse by")
    assert metric.value == "mae" and not any("per class" in one for one in metric.options)
    three = _drawn_ticks(at)
    said = "\n".join(one.value for one in at.markdown)
    assert "3 repeats; MAE is" in said and "**blood**: s1 and s2" in said
    assert "No feature helps clearly more on the training rows" in said
    charts = [json.loads(one.proto.spec)["layout"]["meta"] for one in at.get("plotly_chart")]
    assert [one["name"] for one in charts] == [
        "importances-permutation", "agreement-of-importances", "places-of-features",
        "importance-gap-linear-regression",
    ]  # fmt: skip
    open_feature(_state(at), Clicked(None, "blood", None))
    assert _state(at).explored.feature == "s1"  # the first column of the group
    open_feature(_state(at), Clicked(None, "no such column", None))
    assert _state(at).explored.feature == "s1"
    _state(at).explore(feature="")
    assert "blood" in charts[0]["features"] and "s1" in charts[2]["features"]
    _sound(_labelled(at.number_input, "Repeats").set_value(6).run())
    assert _drawn_ticks(at) > 1.5 * three and at.query_params["repeats"] == "6"
    at.button(key="ungroup-0").click()
    _sound(at.run())
    assert "groups" not in at.query_params and _state(at).explored.groups == ""
    assert any("no group yet" in one.value for one in at.caption)
    at.multiselect(key="group-columns-0").set_value(["bmi", "bp"])
    at.text_input(key="group-name-0").set_value("body")
    _sound(at.run())
    at.button(key="group-add").click()
    _sound(at.run())
    assert _state(at).explored.groups == '{"body":["bmi","bp"]}'

    _state(at).explore(method="drop", compared="")
    _sound(at.run())
    assert not at.get("plotly_chart")  # nothing is fitted before it is asked for
    (refit,) = [one for one in at.button if one.key == "refit"]
    assert "Fit 1 model again (about" in refit.label
    assert any("48 fits on 177 of 177 rows" in one.value for one in at.markdown)
    refit.click()
    _sound(at.run())
    (chart, *_) = [json.loads(one.proto.spec)["layout"]["meta"] for one in at.get("plotly_chart")]
    assert chart["name"] == "importances-drop-column" and "body" in chart["features"]

    # among the methods of one model once it was fitted again for that, with a way to it before
    _state(at).explore(method="shap", compared="linear.skops", together="alone")
    _sound(at.run())
    assert not _compares(at, "Drop-column")
    at.button(key="compare-dropped").click()
    _sound(at.run())
    assert _state(at).explored.method == "drop"
    at.button(key="refit").click()
    _sound(at.run())
    _state(at).explore(method="shap")
    _sound(at.run())
    assert _compares(at, "Drop-column")
    assert not [one for one in at.button if one.key == "compare-dropped"]


def _compares(at: AppTest, method: str) -> bool:
    """Whether a method is among those compared."""
    figures = [json.loads(one.proto.spec) for one in at.get("plotly_chart")]
    (places,) = [one for one in figures if one["layout"]["meta"]["name"] == "places-of-features"]
    return any(method in str(one) for one in places["layout"]["xaxis"]["ticktext"])


@pytest.mark.parametrize("name", PAGES)
def test_predictions_alone_need_a_model(name: str) -> None:
    at = _open("churn_predictions")
    _sound(at.switch_page(_page(name)).run())
    assert any("needs a model" in str(one.value) for one in at.info)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("sample", ["loans", "cancer", "digits", "diabetes", "demand"])
def test_every_sample_on_every_page(sample: str, name: str) -> None:
    at = _open(sample)
    _sound(at.switch_page(_page(name)).run())
    said = _html(at)
    assert "sl-how" in said
    for entry in _state(at).shown:
        assert entry.name.split(",")[0] in said


def test_importances_are_those_of_the_class_in_focus() -> None:
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    rows = load_iris(as_frame=True).frame
    names = list(rows.columns[:4])
    rows["kind"] = np.array(["setosa", "versicolor", "virginica"])[rows.pop("target")]
    model = LogisticRegression(max_iter=1_000).fit(rows[names], rows["kind"])
    at = AppTest.from_file(APP, default_timeout=300)
    at.run()
    at.file_uploader(key="upload-data").upload("d.csv", rows.to_csv(index=False).encode()).run()
    at.file_uploader(key="upload-models").upload("m.skops", skops.io.dumps(model)).run()
    _sound(at.switch_page(_page("importances")).run())

    def drawn() -> tuple[str, str]:
        figure = json.loads(at.get("plotly_chart")[0].proto.spec)
        return figure["layout"]["title"]["text"], json.dumps(figure["data"])

    found = {}
    for place, kind in enumerate(("setosa", "versicolor", "virginica")):
        focus = next(box for box in at.selectbox if box.label == "Answer for")
        _sound(focus.set_value(place).run())
        title, found[kind] = drawn()
        assert f"for {kind}" in title
    assert len(set(found.values())) == 3


def test_contributions_among_methods_are_in_the_chosen_unit() -> None:
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression

    data = load_breast_cancer(as_frame=True)
    rows = data.data.iloc[::5, :4].assign(kind=np.where(data.target[::5], "benign", "malignant"))
    model = LogisticRegression(max_iter=2_000).fit(rows.iloc[:, :4], rows["kind"])
    at = AppTest.from_file(APP, default_timeout=300)
    at.run()
    at.file_uploader(key="upload-data").upload("d.csv", rows.to_csv(index=False).encode()).run()
    at.file_uploader(key="upload-models").upload("m.skops", skops.io.dumps(model)).run()
    _state(at).explore(method="permutation", compared="m.skops")
    _sound(at.switch_page(_page("importances")).run())
    for space, n in (("log-odds", 30), ("probability", 20)):
        _state(at).explore(space=space, background=n)
        said = "\n".join(str(one.value) for one in _sound(at.run()).caption)
        assert f"in {space}, measured against {n} of {len(rows)} rows" in said
        assert _compares(at, "SHAP")
