"""The page on learning through the entry file: its tabs, refits by real workers, its link."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from components.checking import Wrong
from components.entries import History
from components.state import AppState
from components.studies import Studied
from dashboard.data import identify_history

ROOT = Path(__file__).resolve().parent.parent
APP = str(ROOT / "dashboard" / "app.py")
TITLE = "Is the model learning, and what would help?"


def _sound(at: AppTest) -> AppTest:
    assert not at.exception, [one.value for one in at.exception]
    assert not at.error, [one.value for one in at.error]
    return at


def _open(sample: str, files: list[str], **parameters: str) -> AppTest:
    """The page with these models only, to keep the machine free."""
    at = AppTest.from_file(APP, default_timeout=300)
    at.query_params["sample"] = sample
    at.query_params["models"] = files
    for name, value in parameters.items():
        at.query_params[f"learn_{name}"] = value
    _sound(at.run())
    return _sound(at.switch_page(str(ROOT / "pages" / "learning.py")).run())


def _state(at: AppTest) -> AppState:
    state: AppState = at.session_state["sidelight"]
    return state


def _said(at: AppTest) -> str:
    html = [str(one.proto.body) for one in at.get("html")]
    parts = (*at.markdown, *at.caption, *at.info)
    return "\n".join([*html, *(one.value for one in parts)])


def _charts(at: AppTest) -> list[str]:
    return [str(one.proto.spec) for one in at.get("plotly_chart")]


def test_a_history_is_drawn_judged_and_named_after_its_model() -> None:
    at = _open("digits", ["linear.skops"])
    assert at.title[0].value == TITLE
    said = _said(at)
    assert "sl-headline" in said
    assert "Small convolution network" in said and "network_history" not in said
    assert any("Loss by epoch" in chart for chart in _charts(at))
    at.slider(key="learn-smoothing").set_value(0.6)
    _sound(at.run())
    assert at.query_params["learn_smoothing"] == "0.6"
    assert _state(at).studied.smoothing == 0.6


@pytest.mark.slow  # test_browser_learning.py grows a curve in a browser
def test_sizes_parameters_and_folds_of_a_model_that_is_fitted_again() -> None:
    few = {"splits": "2", "sizes": "2"}
    at = _open("diabetes", ["linear.skops", "tree.skops"], tab="sizes", **few)
    assert "would be fitted" in _said(at)
    at.button(key="learn-grow").click()
    _sound(at.run())
    assert at.query_params["learn_grown"] == "True"
    for _ in range(40):  # without a browser nobody draws it again
        if any("learned" in chart or "Linear regression" in chart for chart in _charts(at)):
            break
        _sound(at.run())
    assert _charts(at)
    at.session_state["learning"] = "Across folds"
    _sound(at.run())
    at.button(key="learn-cross").click()
    _sound(at.run())
    assert any("fold" in chart for chart in _charts(at))
    at.session_state["learning"] = "By parameter"
    _sound(at.run())
    assert at.selectbox(key="learn-of").value in ("Linear regression", "Unpruned tree")


def test_models_that_keep_no_log_say_what_to_do() -> None:
    at = _open("diabetes", ["linear.skops"], tab="epochs")
    assert "no training log yet" in _said(at)
    at.session_state["learning"] = "Inside the network"
    _sound(at.run())
    assert "no network to look into" in _said(at)


def test_choices_survive_json_and_links_and_refuse_what_is_not_sound() -> None:
    chosen = Studied(tab="sizes", smoothing=0.3, half=False, grown=True, splits=3, left='["a"]')
    assert Studied.from_json(chosen.to_json()) == chosen
    assert Studied().with_link(chosen.link()) == chosen
    assert Studied().link() == {}
    assert Studied().with_link({"learn_smoothing": "2", "learn_half": "maybe"}) == Studied()
    for wrong in ({"smoothing": 1.5}, {"splits": 1}, {"half": "yes"}, {"tab": "x"}, []):
        with pytest.raises(Wrong):
            Studied.from_json(wrong)


def test_scores_by_size_that_were_computed_elsewhere_are_drawn() -> None:
    at = _open("diabetes", ["linear.skops"], tab="sizes")
    table = b"train_size,train_score,test_score\n100,.9,.7\n200,.88,.75\n400,.87,.8\n"
    state, digest = _state(at), hashlib.sha256(table).hexdigest()
    state.files[digest] = table
    about = identify_history(table, "elsewhere.csv")
    state.histories.append(History("elsewhere.csv", digest, about))
    _sound(at.run())
    assert any("elsewhere" in chart for chart in _charts(at))
    assert "One split says nothing" in _said(at)
