"""The page on learning through the entry file: its tabs, refits by real workers, its link."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from components.checking import Wrong
from components.entries import History
from components.state import AppState
from components.studies import Studied
from dashboard.data import identify_history
from dashboard.learning.headless import LearningOptions, learning_curves
from dashboard.wording import count

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
    at.session_state["learning"] = "By training size"
    _sound(at.run())
    assert any("Accuracy by training size" in chart for chart in _charts(at))
    assert "Network 64-16-10 overfits" in _said(at)


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
    (way,) = [one for one in at.button if one.label == "At 400 rows"]
    at.session_state["learning"] = "By training size"
    way.click()
    _sound(at.run())
    assert any('"name":"place"' in one and "elsewhere: 400 rows" in one for one in _charts(at))


def test_which_way_a_search_is_better_stays_when_the_tab_changes() -> None:
    at = _open("diabetes", ["linear.skops"], tab="epochs")
    table = (ROOT / "tests" / "searches" / "optuna.csv").read_bytes()
    state, digest = _state(at), hashlib.sha256(table).hexdigest()
    state.files[digest] = table
    state.histories.append(History("optuna.csv", digest, identify_history(table, "optuna.csv")))
    at.session_state["learning"] = "By parameter"
    _sound(at.run())
    assert "No trial is called the best" in _said(at)
    at.button_group(key="learn-search-better-optuna.csv").set_value("Larger")
    _sound(at.run())
    assert "The best is trial" in _said(at)
    at.session_state["learning"] = "By epoch"
    _sound(at.run())
    at.session_state["learning"] = "By parameter"
    _sound(at.run())
    assert "The best is trial" in _said(at)
    assert at.query_params["learn_scores"] == '{"optuna.csv": true}'


def test_folds_and_a_parameter_are_drawn_and_the_verdict_stands_on_home() -> None:
    at = _open("diabetes", ["tree.skops"], tab="folds", splits="3")
    at.button(key="learn-cross").click()
    _until(at, lambda: "no better than guessing" in _said(at))
    assert any("fold" in chart for chart in _charts(at))
    at.session_state["learning"] = "By parameter"
    _sound(at.run())
    at.selectbox(key="learn-parameter-Unpruned tree").set_value("max_depth")
    _sound(at.run())
    at.button(key="learn-vary").click()
    _until(at, lambda: any("max_depth" in chart for chart in _charts(at)))
    _sound(at.switch_page(str(ROOT / "pages" / "home.py")).run())
    said = " ".join(str(one.value) for one in at.markdown)
    assert "Unpruned tree is no better than guessing" in said


def _until(at: AppTest, there: Callable[[], bool]) -> None:
    """Without a browser nobody draws the page again."""
    end = time.monotonic() + 240
    while not there():
        assert time.monotonic() < end, _said(at)
        time.sleep(0.2)
        _sound(at.run())


def _log(rate: str, optimizer: str, seed: int) -> bytes:
    noise = np.random.default_rng(seed).normal(0, 0.004, 30)
    at = np.arange(30)
    held = 0.4 + 0.4 * np.exp(-at / 4) + 0.02 * np.maximum(0, at - 9) + noise
    held += 0.2 * (optimizer == "sgd")
    lines = [
        f"{k},{optimizer},{1 - k / 40:.4f},{value:.4f},{rate}{k % 3 + 1}"
        for k, value in enumerate(held)
    ]
    return ("epoch,optimizer,loss,val_loss,lr\n" + "\n".join(lines) + "\n").encode()


def test_ways_of_drawing_runs_and_the_way_to_the_place_of_a_finding() -> None:
    at = _open("diabetes", ["linear.skops"], tab="epochs")
    state = _state(at)
    for name in ("adam", "sgd"):
        for seed in (1, 2):
            log = _log(".00", name, seed)
            digest = hashlib.sha256(log).hexdigest()
            state.files[digest] = log
            about = identify_history(b"epoch,loss\n0,1\n1,.5\n", "log.csv")
            state.histories.append(History(f"{name} seed {seed}.csv", digest, about))
    _sound(at.run())
    assert any("Settings of the runs (4)" in one.label for one in at.expander)
    assert "early stopping with patience 10" in _said(at)
    at.button(key="place-epochs-0").click()
    _sound(at.run())
    (chart,) = [one for one in _charts(at) if '"shapes"' in one and "place" in one]
    assert '"dash":"dash"' in chart and ": epoch " in chart
    assert json.loads(at.query_params["learn_at"])[0] == "epochs"
    at.button(key="place-epochs-0").click()
    _sound(at.run())
    assert "learn_at" not in at.query_params
    at.number_input(key="learn-patience").set_value(4)
    at.toggle(key="learn-rate").set_value(True)
    at.button_group(key="learn-drawn").set_value("grid")
    _sound(at.run())
    assert "early stopping with patience 4" in _said(at)
    assert any('"xaxis4"' in chart and "Learning rate" in chart for chart in _charts(at))
    at.button_group(key="learn-drawn").set_value("groups")
    _sound(at.run())
    assert at.toggle(key="learn-rate").disabled and at.toggle(key="learn-robust").disabled
    assert not at.toggle(key="learn-log-y").disabled
    assert "more than chance" in _said(at)  # over seeds, one optimizer is better
    at.button_group(key="learn-drawn").set_value("gap")
    _sound(at.run())
    assert any("Generalisation gap" in chart for chart in _charts(at))
    assert at.slider(key="learn-smoothing").disabled and at.toggle(key="learn-log-y").disabled


@pytest.mark.slow  # it starts TensorFlow
def test_parameters_are_held_against_the_rows_that_a_network_learned_from() -> None:
    at = _open("digits", ["network.keras"], tab="inside")
    _until(at, lambda: "Every layer" in [one.label for one in at.expander])
    folder = ROOT / "sample_models" / "digits"
    n = int((np.load(folder / "digits.npz")["split"] == "train").sum())
    assert f"parameters were fitted to {count(n)} rows" in _said(at)
    found = learning_curves(
        folder / "network.keras", folder / "digits.npz", options=LearningOptions(kinds=("own",))
    )
    told = {one.code: one.evidence for one in found.findings}
    assert told["more_parameters_than_rows"]["rows"] == n


def test_sizes_and_the_score_wanted_are_typed_kept_and_judged() -> None:
    at = _open("diabetes", ["linear.skops"], tab="sizes", splits="2")
    _until(at, lambda: any(one.key == "learn-typed" for one in at.text_input))
    at.text_input(key="learn-typed").set_value("50, 50 %, 9000, half")
    _sound(at.run())
    assert at.slider(key="learn-sizes").disabled
    said = (_said(at) + " ".join(str(one.value) for one in at.warning)).replace("\\", "")
    assert "Training sizes: 50 rows and 50 % (66 rows)." in said
    assert "“half” is no training size and is left out" in said
    assert "9,000 is not within the 132 rows" in said
    assert "fitted **4** times" in said
    at.text_input(key="learn-wanted-sizes-rmse").set_value("soon")
    _sound(at.run())
    assert any("“soon” is no score" in str(one.value) for one in at.warning)
    at.text_input(key="learn-wanted-sizes-rmse").set_value("40")
    _sound(at.run())
    assert at.query_params["learn_wanted"] == '{"rmse": "40"}'
    assert at.query_params["learn_typed"] == "50, 50 %, 9000, half"
    at.button(key="learn-grow").click()
    _until(at, lambda: any("wanted: 40" in chart for chart in _charts(at)))
    _until(at, lambda: "that is wanted" in _said(at) or "score wanted" in _said(at))
    at.text_input(key="learn-wanted-sizes-rmse").set_value("")
    _sound(at.run())
    assert "learn_wanted" not in at.query_params
    assert not any("wanted: 40" in chart for chart in _charts(at))


def test_models_beyond_those_that_are_drawn_are_named() -> None:
    def script() -> None:
        from types import SimpleNamespace

        import streamlit as st

        from components.refits import within_reach

        answers = [SimpleNamespace(entry=SimpleNamespace(name=f"model {k}")) for k in range(10)]
        st.write(f"{len(within_reach(answers, 8))} of {len(within_reach(answers[:8], 8))}")

    at = _sound(AppTest.from_function(script).run())
    assert at.markdown[0].value == "8 of 8"
    (said,) = [one.value for one in at.caption]
    assert "8 of 10 models are fitted" in said and "model 8, model 9" in said and "eye" in said


def test_the_rounds_of_a_search_are_drawn() -> None:
    at = _open("diabetes", ["linear.skops"], tab="epochs")
    lines = [f"{k % 4},{0 if k < 4 else 1},{40 if k < 4 else 120},{0.5 + k / 20}" for k in range(6)]
    table = ("param_depth,iter,n_resources,mean_test_score\n" + "\n".join(lines)).encode()
    state, digest = _state(at), hashlib.sha256(table).hexdigest()
    state.files[digest] = table
    state.histories.append(History("halving.csv", digest, identify_history(table, "halving.csv")))
    at.session_state["learning"] = "By parameter"
    _sound(at.run())
    (chart,) = [one for one in _charts(at) if "round by round" in one]
    assert "4 candidates with 40 rows and 2 with 120." in chart
