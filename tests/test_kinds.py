"""What a file is taken for: asked where only a person can tell, changed, mapped, undone, kept."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from components import cached, kinds, opening
from components.entries import Said
from components.recognising import recognise
from components.snapshots import Readers, restore, snapshot
from components.state import AppState
from dashboard.data import HistoryKind
from dashboard.errors import DataError, WorkspaceError
from dashboard.logs.search_logs import SearchKind

ROOT = Path(__file__).resolve().parent.parent
DATA = pd.DataFrame({"a": range(40), "b": [1.5, 2.5] * 20, "bought": ["yes", "no"] * 20})
ROWS = DATA.to_csv(index=False).encode()
RESUMED = b"epoch,loss,val_loss\n0,3,4\n1,2,3\n2,1,2\n1,2,3\n2,1,2\n3,1,2\n"
UNSURE = b"step,cost,quality\n0,3,1\n10,2,2\n20,1,3\n"
SEARCH = b"colour,max_depth,accuracy,other\nred,2,.5,3\nblue,3,.6,4\nred,4,.7,5\n"


def _key(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _settled(state: AppState) -> AppState:
    give_up = time.monotonic() + 60
    while state.reading is not None or any(one.job is not None for one in state.waiting):
        assert time.monotonic() < give_up
        opening.settle(state)
        time.sleep(0.01)
    return state


def _state(*files: tuple[str, bytes]) -> AppState:
    state = AppState()
    state.open_data("data.csv", ROWS)
    for name, content in files:
        opening.stage_model(state, name, content)
    return _settled(state)


def _change(state: AppState, content: bytes, kind: str, name: str = "a.csv") -> AppState:
    kinds.change(state, _key(content), name, kind)
    return _settled(state)


def test_a_resumed_log_is_a_log_and_no_table_of_predictions() -> None:
    state = _state(("log.csv", RESUMED))
    assert [one.about.steps for one in state.histories] == [4]
    assert not state.entries and not state.waiting and not state.problems


def test_a_table_of_steps_is_asked_about_and_becomes_what_is_said() -> None:
    state = _state(("a.csv", UNSURE))
    (waiting,) = state.waiting
    assert (waiting.stage, waiting.job, state.entries, state.histories) == ("naming", None, [], [])
    assert waiting.doubt == "a.csv may be a training log: it counts epochs or steps."
    _change(state, UNSURE, "log")
    assert [one.about for one in state.histories] == [
        HistoryKind("csv", 3, ("cost", "quality"), unit="step")
    ]
    _change(state, UNSURE, "predictions")
    assert [one.name for one in state.entries] == ["a"] and not state.histories
    kinds.undo(state)
    assert kinds.kind_of(_settled(state), _key(UNSURE)) == "log"
    kinds.undo(state)
    assert [one.stage for one in _settled(state).waiting] == ["naming"]
    assert not state.moves and not state.said and not state.problems
    opening.discard(state, _key(UNSURE))
    assert list(state.files) == [_key(ROWS)]


def test_what_is_sure_can_be_changed_and_taken_back() -> None:
    state = _state(("a.csv", RESUMED), ("p.csv", b"prediction\n" + b"yes\nno\n" * 20))
    _change(state, RESUMED, "predictions")
    assert [one.name for one in state.entries] == ["p", "a"]
    kinds.undo(state)
    assert [one.name for one in _settled(state).histories] == ["a.csv"]
    assert [one.name for one in state.entries] == ["p"]
    kinds.change(state, _key(RESUMED), "a.csv", "log")  # as it is
    kinds.change(state, "0" * 64, "gone.csv", "log")
    assert not state.moves


def test_what_cannot_be_read_as_said_is_asked_about_with_the_reason() -> None:
    words = b"kind,word\na,b\nc,d\n"
    state = _state(("p.csv", words))
    _change(state, words, "log", "p.csv")
    (waiting,) = state.waiting
    assert waiting.stage == "naming" and "neither a column of epochs" in waiting.doubt
    kinds.undo(state)
    assert [one.file for one in _settled(state).entries] == ["p.csv"]


def test_a_file_becomes_the_data_and_back() -> None:
    other = b"x,kind\n1,p\n2,q\n3,p\n4,q\n"
    state = _state(("o.csv", other))
    assert kinds.kind_of(state, _key(other)) == "predictions"
    _change(state, other, "data", "o.csv")
    assert state.table is not None and state.table.name == "o.csv" and not state.entries
    assert kinds.kind_of(state, _key(other)) == "data"
    kinds.undo(state)
    _settled(state)
    assert state.table is not None and state.table.name == "data.csv"
    assert [one.file for one in state.entries] == ["o.csv"]
    _change(state, ROWS, "predictions", "data.csv")
    assert state.table is None and not state.sources
    kinds.undo(state)
    assert _settled(state).table is not None and state.evalset is not None
    assert not state.problems


def test_a_sample_that_was_replaced_comes_back() -> None:
    state = AppState()
    state.open_sample("loans", cached.sample_model, cached.sample_table)
    names = [one.name for one in state.entries]
    opening.stage_model(state, "log.csv", RESUMED)
    _change(_settled(state), RESUMED, "data", "log.csv")
    assert state.sample is None
    kinds.undo(state, cached.sample_model, cached.sample_table)
    _settled(state)
    assert state.sample == "loans" and [one.name for one in state.entries] == names
    assert [one.name for one in state.histories] == ["log.csv"]


def test_the_columns_of_a_search_are_said_and_kept_in_the_workspace() -> None:
    state = _state(("a.csv", SEARCH))
    assert "may be results of a search" in state.waiting[0].doubt
    _change(state, SEARCH, "search")
    assert [one.about for one in state.histories] == [SearchKind("table", 3)]
    kinds.tell_columns(
        state, _key(SEARCH), "a.csv", {"other": "score", "accuracy": "ignore"}, False
    )
    kinds.tell_columns(
        state, _key(SEARCH), "a.csv", {"other": "score", "accuracy": "ignore"}, False
    )
    assert len(state.moves) == 2
    kept = json.loads(json.dumps(snapshot(state)))
    paths = Readers(lambda digest: _file(state, digest), cached.sample_model, cached.sample_table)
    again = AppState()
    restore(again, kept, paths)
    assert again.said == state.said
    assert [one.about for one in again.histories] == [SearchKind("table", 3)]
    assert snapshot(again) == snapshot(state)
    kinds.undo(state)
    assert state.said == {_key(SEARCH): Said("search")}
    for damaged in (["x", [], None], ["log", [["a", "b"]], None], ["log", [], 1], 3):
        with pytest.raises(WorkspaceError):
            restore(AppState(), kept | {"said": {_key(SEARCH): damaged}}, paths)
    older = AppState()
    restore(older, {name: one for name, one in kept.items() if name != "said"}, paths)
    assert not _settled(older).said and not older.histories
    assert [one.stage for one in older.waiting] == ["naming"]  # what nobody has said is asked


_FOLDER: list[Path] = []


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> None:
    _FOLDER[:] = [tmp_path]


def _file(state: AppState, digest: str) -> Path:
    path, content = _FOLDER[0] / digest, state.files[digest]
    path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    return path


@pytest.mark.parametrize("content", [b"", b"not an event file at all", b"\0" * 40])
def test_event_files_that_are_none_are_told_by_their_reader(content: bytes) -> None:
    name = "events.out.tfevents.1700000000.host.1.0.v2"
    state = _state((name, content))
    (problem,) = state.problems
    assert problem.source == name
    assert "event" in problem.message and "scikit-learn" not in problem.message
    assert problem.message.endswith(".")
    assert opening.is_for_models(name, content)  # in the data's uploader, too


def test_predictions_that_join_the_data_are_not_asked_about() -> None:
    for content in (
        b"epoch,prediction\n" + b"".join(b"%d,yes\n" % k for k in range(40)),
        b"epoch,y_score\n" + b"".join(b"%d,.5\n" % k for k in range(40)),
        b"row,score\n" + b"".join(b"%d,.5\n" % k for k in range(40)),
    ):
        assert recognise(content, "p.csv", None)[0] is None
    state = _state(("p.csv", b"epoch,prediction\n" + b"0,yes\n1,no\n" * 20))
    assert [one.name for one in state.entries] == ["p"] and not state.waiting
    with pytest.raises(DataError):
        recognise(b"x", "events.out.tfevents.1.a.1.0", None)


# -- on the page ----------------------------------------------------------------------------------


def _run(at: AppTest) -> AppTest:
    at.run()
    assert not at.exception, [one.value for one in at.exception]
    return at


def _text(at: AppTest) -> str:
    parts = [*at.markdown, *at.caption, *at.error, *at.info, *at.warning]
    return "\n".join(str(one.value) for one in parts).replace("\\", "")


def _app(where: str, name: str, content: bytes) -> AppTest:
    at = _run(AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=120))
    if where == "models":  # of a sample all models would be asked
        at.file_uploader(key="upload-data").upload("data.csv", ROWS)
    at.file_uploader(key=f"upload-{where}").upload(name, content)
    return _run(at)


def test_home_asks_what_a_table_of_trials_is_and_learning_draws_it() -> None:
    at = _app("models", "found.csv", SEARCH.replace(b"accuracy", b"cv_result"))
    key = _key(SEARCH.replace(b"accuracy", b"cv_result"))
    assert "What is this file?" in _text(at)
    at.button(key=f"kind-search-{key}").click()
    _run(at)
    assert "Results of a search with 3 trials" in _text(at)
    assert "as scores: cv_result" in _text(at) and "does not say whether larger" in _text(at)
    state: AppState = at.session_state["sidelight"]
    (better,) = [one for one in at.button_group if str(one.key).startswith("search-better-")]
    better.set_value("Larger")
    _run(at)
    assert state.said[key] == Said("search", {}, True)
    _run(at.switch_page(str(ROOT / "pages" / "learning.py")))
    at.session_state["learning"] = "By parameter"
    _run(at)
    assert not at.error and "found.csv" in _text(at) + str(at.selectbox)
    _run(at.switch_page(str(ROOT / "pages" / "home.py")))
    at.button(key="undo-kind").click()
    _run(at)
    assert state.said[key] == Said("search")
    at.button(key="undo-kind").click()
    _run(at)
    assert "What is this file?" in _text(at) and not state.histories


def test_a_log_among_the_data_is_told_and_taken_for_one() -> None:
    at = _app("data", "log.csv", RESUMED)
    state: AppState = at.session_state["sidelight"]
    key = _key(RESUMED)
    assert "was read as data, but may be something else: a training history" in _text(at)
    (choice,) = [one for one in at.selectbox if str(one.key).startswith(f"kinddoubt-{key}")]
    choice.set_value("log")
    _run(at)
    assert [one.name for one in state.histories] == ["log.csv"] and state.table is None
    (choice,) = [one for one in at.selectbox if str(one.key).startswith(f"kind-{key}-log")]
    assert choice.value == "log"
    at.button(key="undo-kind").click()
    _run(at)
    assert state.table is not None and not state.histories
