"""What a person did survives a rerun of the page; nothing else changes."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.fragment import MemoryFragmentStorage
from streamlit.runtime.scriptrunner.exec_code import modified_sys_path
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequests
from streamlit.runtime.state import SafeSessionState, SessionState
from streamlit.runtime.state.common import WidgetMetadata

from components import races
from components.races import close_races, of_the_page_at_hand, one_run_at_a_time

APP = Path(__file__).resolve().parent.parent / "dashboard" / "app.py"


def _queue() -> ForwardMsgQueue:
    queue = ForwardMsgQueue()
    answer, text = ForwardMsg(), ForwardMsg()
    answer.file_urls_response.response_id = "one"
    text.delta.new_element.text.body = "drawn"
    text.metadata.delta_path.append(0)
    queue.enqueue(text)
    queue.enqueue(answer)
    return queue


def test_the_address_survives_the_start_of_a_run() -> None:
    close_races()
    close_races()
    queue = _queue()
    queue.clear(retain_lifecycle_msgs=True)
    assert [one.WhichOneof("type") for one in queue.flush()] == ["file_urls_response"]
    assert queue.is_empty()


def test_in_a_fragment_it_is_sent_once() -> None:
    close_races()
    queue = _queue()
    queue.clear(retain_lifecycle_msgs=True, fragment_ids_this_run=["other"])
    kept = [one.WhichOneof("type") for one in queue.flush()]
    assert kept.count("file_urls_response") == 1


def test_streamlit_still_drops_addresses() -> None:
    """In a fresh interpreter, without the patch. When this fails, the patch can go."""
    code = (
        "from streamlit.proto.ForwardMsg_pb2 import ForwardMsg\n"
        "from streamlit.runtime.forward_msg_queue import ForwardMsgQueue\n"
        "queue, answer = ForwardMsgQueue(), ForwardMsg()\n"
        "answer.file_urls_response.response_id = 'one'\n"
        "queue.enqueue(answer)\n"
        "queue.clear(retain_lifecycle_msgs=True)\n"
        "print(queue.is_empty())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_streamlit_still_drops_what_a_fragment_drew() -> None:
    """Why `progress` gives each row a place of its own: its neighbour's place may never come."""
    queue = ForwardMsgQueue()
    for at, fragment in enumerate(("first", "second")):
        row = ForwardMsg()
        row.delta.new_element.text.body = fragment
        row.delta.fragment_id = fragment
        row.metadata.delta_path.extend([0, at])
        queue.enqueue(row)
    queue.clear(retain_lifecycle_msgs=True, fragment_ids_this_run=["first"])
    assert [list(one.metadata.delta_path) for one in queue.flush()] == [[0, 1]]


class Session:
    """Takes requests as `AppSession` does, and remembers which pages it was asked for.

    `page_script_hash` : the page that was drawn last; that of a request once its script starts.
    """

    def __init__(self) -> None:
        self.pages: list[str] = []
        self.page_script_hash = ""

    def request_rerun(self, client_state: Any) -> None:
        self.pages.append("again" if client_state is None else client_state.page_script_hash)


@pytest.fixture
def ask() -> Any:
    session = Session()
    request = of_the_page_at_hand(Session.request_rerun)

    def one(page: str | None, timer: bool = False) -> list[str]:
        state = None if page is None else ClientState(page_script_hash=page, is_auto_rerun=timer)
        request(session, state)
        return session.pages

    return one


def test_a_timer_of_the_page_that_was_left_is_ignored(ask: Any) -> None:
    ask("home")
    assert ask("home", timer=True) == ["home", "home"]
    ask("performance")
    assert ask("home", timer=True) == ["home", "home", "performance"]
    assert ask("performance", timer=True)[-2:] == ["performance", "performance"]
    assert ask("home") == ["home", "home", "performance", "performance", "home"]
    assert ask("home", timer=True)[-1] == "home"
    assert ask(None)[-1] == "again"


def test_timers_of_a_page_to_which_the_app_led_are_heard() -> None:
    """A click on a chart asks for the page it stands on, and `st.switch_page` leads elsewhere."""
    session, request = Session(), of_the_page_at_hand(Session.request_rerun)
    request(session, ClientState(page_script_hash="importances"))
    session.page_script_hash = "importances"
    request(session, ClientState(page_script_hash="importances"))  # the click
    session.page_script_hash = "row"
    request(session, ClientState(page_script_hash="row", is_auto_rerun=True))
    assert session.pages[2:] == ["row"]
    request(session, ClientState(page_script_hash="importances", is_auto_rerun=True))
    request(session, ClientState(page_script_hash="home"))
    request(session, ClientState(page_script_hash="row", is_auto_rerun=True))
    assert session.pages[2:] == ["row", "home"]


def test_the_page_that_is_drawn_is_that_of_the_session() -> None:
    assert isinstance(inspect.getattr_static(AppSession, "page_script_hash"), property)


def test_a_first_request_without_a_page_stops_no_timer(ask: Any) -> None:
    ask("")
    assert ask("home", timer=True) == ["", "home"]


def test_sessions_do_not_stop_each_others_timers() -> None:
    one, two = Session(), Session()
    request = of_the_page_at_hand(Session.request_rerun)
    request(one, ClientState(page_script_hash="home"))
    request(two, ClientState(page_script_hash="performance"))
    request(one, ClientState(page_script_hash="home", is_auto_rerun=True))
    assert (one.pages, two.pages) == (["home", "home"], ["performance"])


def test_streamlit_still_forgets_a_change_of_page() -> None:
    """When this fails, the patch can go."""
    requests = ScriptRequests()
    requests.request_rerun(RerunData(page_script_hash="performance"))
    requests.request_rerun(
        RerunData(page_script_hash="home", fragment_id="timer", is_auto_rerun=True)
    )
    merged = requests.on_scriptrunner_ready().rerun_data
    assert merged.page_script_hash == "home"


def test_it_is_in_force_where_requests_arrive() -> None:
    close_races()
    assert hasattr(AppSession.request_rerun, "__wrapped__")
    assert list(inspect.signature(AppSession.request_rerun).parameters) == ["self", "client_state"]


def test_a_page_that_ends_early_forgets_the_fragments_it_has_not_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage = MemoryFragmentStorage()
    for name in ("drawn", "old"):
        storage.register(name, lambda: None)
    drawn = SimpleNamespace(new_fragment_ids=SimpleNamespace(snapshot=lambda: frozenset({"drawn"})))
    context = SimpleNamespace(shared=drawn, fragment_storage=storage)
    monkeypatch.setattr(races, "get_script_run_ctx", lambda **_: context)
    races.forget_fragments()
    assert storage.contains("drawn")
    assert not storage.contains("old")


def test_a_run_moves_no_place_on_the_path() -> None:
    """Whoever imports at that moment would skip the folder that has moved."""
    close_races()
    before = list(sys.path)
    with modified_sys_path(str(APP)):
        assert sys.path == before
    assert sys.path == before


def test_streamlit_still_moves_the_path() -> None:
    """In a fresh interpreter, without the patch. When this fails, the patch can go."""
    code = (
        "import sys\n"
        "from streamlit.runtime.scriptrunner.exec_code import modified_sys_path\n"
        "before = list(sys.path)\n"
        f"with modified_sys_path({str(APP)!r}):\n"
        "    print(sys.path[1:] == before)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["True"]


BUTTON = "$$ID-button-None"


def _button() -> WidgetMetadata[bool]:
    return WidgetMetadata(id=BUTTON, deserializer=bool, serializer=bool, value_type="trigger_value")


def _clicked() -> WidgetStates:
    states = WidgetStates()
    states.widgets.add(id=BUTTON, trigger_value=True)
    return states


def _streamlits_own() -> Any:
    own = {
        name: inspect.unwrap(getattr(SafeSessionState, name))
        for name in ("__init__", "on_script_will_rerun", "on_script_finished")
    }
    return type("Run", (SafeSessionState,), own)


@pytest.fixture(params=["closed", "as it is"])
def runs(request: pytest.FixtureRequest) -> Iterator[tuple[str, SessionState, Any]]:
    """Which it is, a session's state, a maker of runs: with the gap closed, and Streamlit's own."""
    Run = _streamlits_own()
    if request.param == "closed":
        one_run_at_a_time(Run)
    state = SessionState()
    yield request.param, state, lambda: Run(state, lambda: None)


def test_the_end_of_a_run_leaves_the_click_of_the_next_one(runs: Any) -> None:
    """The second of the two guards the patch: when it fails, Streamlit keeps the click itself."""
    kind, state, run = runs
    before, after = run(), run()
    before.on_script_will_rerun(WidgetStates())
    before.register_widget(_button(), None)
    after.on_script_will_rerun(_clicked())
    before.on_script_finished(frozenset())
    after.register_widget(_button(), None)
    kept = kind == "closed"
    assert bool(state._new_widget_state.get(BUTTON, False)) is kept
    after.on_script_finished(frozenset({BUTTON}))
    assert state._new_widget_state[BUTTON] is False  # its own end does take it back


def test_a_new_page_still_makes_room_before_it_begins(runs: Any) -> None:
    _, state, run = runs
    before, after = run(), run()
    before.on_script_will_rerun(_clicked())
    before.register_widget(_button(), None)
    after.on_script_finished(frozenset())
    assert state._new_widget_state[BUTTON] is False


def test_two_runs_never_change_the_state_at_once(runs: Any) -> None:
    """One reads a value that takes long to understand; the other begins meanwhile."""
    kind, _, run = runs
    reading, go_on, begun = Event(), Event(), Event()

    def slow(value: Any) -> Any:
        reading.set()
        assert go_on.wait(20)
        return value

    slow_one = WidgetMetadata("slow", slow, bool, value_type="bool_value")
    before, after = run(), run()

    def begin() -> None:
        after.on_script_will_rerun(WidgetStates())
        begun.set()

    threads = Thread(target=before.register_widget, args=(slow_one, None)), Thread(target=begin)
    threads[0].start()
    assert reading.wait(20)
    threads[1].start()
    waited = not begun.wait(0.5 if kind == "closed" else 20)
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert waited is (kind == "closed")
    assert begun.is_set()


def test_the_run_that_closes_the_gap_ends_as_usual() -> None:
    """The app closes it in its first run, which was made before."""
    Run = _streamlits_own()
    state = SessionState()
    first: Any = Run(state, lambda: None)
    one_run_at_a_time(Run)
    first.on_script_will_rerun(_clicked())
    first.register_widget(_button(), None)
    first.on_script_finished(frozenset())
    assert state._new_widget_state[BUTTON] is False


def test_sessions_do_not_wait_for_each_other() -> None:
    close_races()
    one, two = (SafeSessionState(SessionState(), lambda: None) for _ in range(2))
    assert one._lock is not two._lock
    assert SafeSessionState(one._state, lambda: None)._lock is one._lock


def test_controls_that_follow_the_state_begin_with_its_value() -> None:
    """One that the browser makes late would take the first option for a choice; see the record."""
    without = [
        path.stem
        for path in (APP.parent.parent / "components").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "following"
        and not {one.arg for one in node.keywords} & {"default", "index", "value"}
    ]
    assert not without


def test_nothing_that_holds_the_session_asks_for_its_controls() -> None:
    """A callback holds the lock on the controls, and may wait for `changing`: see the record."""
    folder = APP.parent.parent / "components"
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in folder.glob("*.py")}
    asking = {
        one.name
        for tree in trees.values()
        for one in ast.walk(tree)
        if isinstance(one, ast.FunctionDef) and "session_state" in ast.unparse(one)
    }
    held = [
        body
        for tree in trees.values()
        for one in ast.walk(tree)
        if isinstance(one, ast.With) and "changing" in ast.unparse(one.items[0])
        for body in one.body
    ]
    called = {
        ast.unparse(call.func).split(".")[-1]
        for body in held
        for call in ast.walk(body)
        if isinstance(call, ast.Call)
    }
    assert "following" in asking
    assert len(held) > 5
    assert not called & asking
