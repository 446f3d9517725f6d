"""The pages about explanations × samples, through the entry file; answers come from workers."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from components.state import AppState

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


def test_importances_that_models_count_themselves() -> None:
    at = _only(_open("diabetes", method="native"), ["linear.skops", "tree.skops"])
    _sound(at.switch_page(_page("importances")).run())
    assert "sl-headline" in _html(at)
    assert at.query_params["method"] == "native"


@pytest.mark.parametrize("name", PAGES)
def test_predictions_alone_need_a_model(name: str) -> None:
    at = _open("churn_predictions")
    _sound(at.switch_page(_page(name)).run())
    assert any("needs a model" in str(one.value) for one in at.caption)


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
