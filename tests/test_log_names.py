"""Names in training logs, corrected in place."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from components import log_names
from components.log_names import mapping_of
from components.state import AppState

LOG = b"epoch,cost,quality\n0,3,.1\n1,2,.2\n"


def _page() -> None:
    import streamlit as st

    from components.entries import History
    from components.log_names import show_names
    from components.state import AppState
    from components.training_logs import gather_logs
    from dashboard.data import identify_history

    content: bytes = st.session_state["content"]
    state = st.session_state.setdefault("state", AppState())
    state.study(names=st.session_state["names"])
    state.files = {"digest": content}
    state.histories = [History("log.csv", "digest", identify_history(content, "log.csv"))]
    logs = gather_logs(state)
    st.session_state["logs"] = logs
    show_names(state, logs)


def _drawn(names: str) -> AppTest:
    at = AppTest.from_function(_page)
    at.session_state["content"] = LOG
    at.session_state["names"] = names
    at.run(timeout=60)
    assert not at.exception and not at.error
    return at


def _meant(at: AppTest) -> list[tuple[str, str]]:
    (run,) = at.session_state["logs"].runs
    return [(one.metric, one.part) for one in run.series]


def test_a_log_is_read_again_with_the_names_that_were_given() -> None:
    at = _drawn("")
    assert _meant(at) == [("cost", "train"), ("quality", "train")]
    names = {"cost": ["loss", "train"], "quality": ["accuracy", "validation"]}
    mapped = _drawn(json.dumps(names))
    assert _meant(mapped) == [("loss", "train"), ("accuracy", "validation")]
    assert mapped.session_state["logs"].key != at.session_state["logs"].key
    assert not mapped.button(key="learn-names-clear").disabled
    left = _drawn(json.dumps({"cost": ["", ""]}))
    assert _meant(left) == [("quality", "train")]  # and it can be taken back


@pytest.mark.parametrize(
    "names",
    ["", "x", "[]", "{", '{"a": 1}', '{"a": ["b"]}', '{"a": ["b", "rows"]}', '{"a": [1, ""]}'],
)
def test_what_is_not_sound_in_a_link_is_passed_over(names: str) -> None:
    state = AppState()
    state.study(names=names)
    assert mapping_of(state) == {}


def test_only_rows_that_were_changed_are_said() -> None:
    columns = ["Name in the log", "Metric", "Measured on"]
    before = pd.DataFrame([(name, name, "training") for name in "abcde"], columns=columns)
    now = before.copy()
    now.loc[0, "Measured on"] = "validation"
    now.loc[1, "Metric"] = "loss"
    now.loc[2, "Measured on"] = "counts the steps"
    now.loc[3, "Measured on"] = "left out"
    found = log_names._changed({"z": ("loss", "test")}, before, now)
    assert found == {
        "z": ("loss", "test"),
        "a": ("a", "validation"),
        "b": ("loss", "train"),
        "c": ("epoch", ""),
        "d": ("", ""),
    }
