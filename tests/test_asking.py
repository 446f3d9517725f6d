"""Questions to models: shared, answered in steps, left, begun anew."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest

from components.asking import Asked, Question, Questions, _short_of
from components.jobs import Job
from components.progress import Row, _summary
from components.turns import get_loading_turns, get_turns
from dashboard.errors import ModelError
from dashboard.sandbox.processes import is_unwanted, tell_progress


def _steps(gates: list[threading.Event], asked: Asked[int]) -> None:
    for at, gate in enumerate(gates):
        gate.wait(5)
        if asked.job.cancelled():
            raise ModelError("stopped")
        asked.post(at)


def _begin(gates: list[threading.Event]) -> Any:
    return partial(Question, "Asking", partial(_steps, gates))


def _until(question: Question[Any], news: int) -> None:
    until = threading.Event()
    for _ in range(500):
        if question.news >= news:
            return
        until.wait(0.01)
    raise AssertionError(question.news)


def test_each_answer_replaces_the_last() -> None:
    gates = [threading.Event(), threading.Event()]
    question: Question[int] = _begin(gates)()
    assert question.latest is None
    gates[0].set()
    _until(question, 1)
    assert question.latest == 0 and not question.job.done
    gates[1].set()
    question.job.result()
    assert (question.latest, question.news) == (1, 2)


def test_the_work_hears_of_cancelling_and_its_progress_is_heard() -> None:
    heard: list[bool] = []

    def work(asked: Asked[int]) -> None:
        tell_progress(1, 4, "Asking: a quarter")
        asked.post(1)
        while not is_unwanted():
            threading.Event().wait(0.005)
        heard.append(True)

    question: Question[int] = Question("Asking", work)
    _until(question, 1)
    assert (question.job.fraction, question.job.sentence) == (0.25, "a quarter")
    question.job.cancel()
    question.job.result()
    assert heard == [True]


def test_only_the_last_session_to_leave_stops_shared_work() -> None:
    questions, gate = Questions(8), threading.Event()
    first = questions.get_or_begin(("k",), _begin([gate]), "mine")
    assert questions.get_or_begin(("k",), _begin([gate]), "yours") is first
    first.leave("mine")
    assert not first.job.cancelled()
    first.leave("yours")
    assert first.job.cancelled()
    gate.set()
    again = questions.get_or_begin(("k",), _begin([gate]), "third")
    assert again is not first
    again.job.result()
    assert again.latest == 0


def test_finished_questions_are_forgotten_beyond_the_most() -> None:
    questions, gate, open_gate = Questions(2), threading.Event(), threading.Event()
    gate.set()
    busy = questions.get_or_begin(("busy",), _begin([open_gate]), "s")
    for at in range(4):
        questions.get_or_begin((at,), _begin([gate]), "s").job.result()
    assert questions.get(("busy",)) is busy  # what is at work stays
    assert questions.get((0,)) is None and questions.get((3,)) is not None
    open_gate.set()
    busy.job.result()


def test_a_failure_is_told_once_asked_and_can_be_forgotten() -> None:
    questions = Questions(2)

    def fail(asked: Asked[int]) -> None:
        raise ModelError("no")

    found = questions.get_or_begin(("k",), partial(Question, "Asking", fail), "s")
    with pytest.raises(ModelError, match="no"):
        found.job.result()
    questions.forget(("k",))
    assert questions.get(("k",)) is None


def test_models_are_loaded_beside_what_is_computed() -> None:
    """A turn that somebody has keeps nobody from loading; what loads slowly comes last."""
    gate, asked_for = threading.Event(), threading.Semaphore(0)
    loaded: list[str] = []

    def model(name: str) -> Any:
        gate.wait(5)
        return name

    def work(name: str, asked: Asked[str]) -> None:
        asked_for.release()
        loaded.append(str(asked.opened(partial(model, name), late=name == "late")))
        asked.post("done")

    names = ["first", *["taken"] * (get_loading_turns().room - 1), "late", "second"]
    with get_turns().turn((0,), lambda: False):
        questions: list[Question[str]] = []
        for name in names:
            questions.append(Question("Asking", partial(work, name)))
            assert asked_for.acquire(timeout=5)
            threading.Event().wait(0.02)  # until it stands in the row
        gate.set()
        for one in questions:
            one.job.result()
    assert loaded[-1] == "late" and sorted(loaded) == sorted(names)


GATE = threading.Event()


def _two_questions() -> None:
    import pandas as pd
    import streamlit as st

    from components.asking import Request, ask, n_waiting
    from components.entries import ModelEntry
    from components.state import AppState
    from dashboard.data import evalset_from_frame
    from tests.test_asking import GATE

    frame = pd.DataFrame({"a": range(8), "y": range(8)})
    entries = [ModelEntry(key=name, name=name, file=name, slot=0) for name in ("one", "two")]
    state = st.session_state.setdefault("mine", AppState(entries=entries))
    state.evalset = state.evalset or evalset_from_frame(frame, target="y")

    def work(model, evalset, asked):  # type: ignore[no-untyped-def]
        if asked.job.title == "two":
            GATE.wait(10)
        asked.post(1)

    requests = [Request(one, "k", (state.scope,), one.name, work) for one in state.entries]
    st.text(f"{len(ask(state, requests))} there, {n_waiting()} at work")


def test_models_without_an_answer_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    from streamlit.testing.v1 import AppTest

    monkeypatch.setattr("components.asking._PATIENCE", 0.1)  # as if somebody draws it again
    GATE.clear()
    at = AppTest.from_function(_two_questions).run()
    assert not at.exception
    assert at.text[0].value == "1 there, 1 at work"
    assert any("1 of 2 models so far" in one.value for one in at.markdown)
    GATE.set()
    monkeypatch.setattr("components.asking._PATIENCE", 10.0)
    assert at.run().text[0].value == "2 there, 0 at work"


def test_a_report_says_neither_the_title_nor_its_verb_again() -> None:
    assert _short_of("Explaining forest: 5 of 9 rows", "Explaining forest") == "5 of 9 rows"
    assert _short_of("Measuring Tree SHAP", "Measuring forest") == "Tree SHAP"
    assert _short_of("Measured", "Measuring forest") == "Measured"


def _nothing_yet(waiting: int) -> None:
    from components.progress import wait_here
    from components.state import AppState

    wait_here(AppState(), waiting, "what each feature adds")


@pytest.mark.parametrize("waiting", [0, 2])
def test_a_chart_is_promised_only_where_one_may_come(waiting: int) -> None:
    from streamlit.testing.v1 import AppTest

    at = AppTest.from_function(_nothing_yet, args=(waiting,)).run()
    assert not at.exception
    said = [one.value for one in at.caption if "Soon here: what each feature adds." in one.value]
    assert len(said) == bool(waiting)


def test_one_line_says_how_far_all_questions_are() -> None:
    gate = threading.Event()

    def row(title: str, done: int) -> Row:
        def work(job: Job[None]) -> None:
            job.report(done, 10 if done else 0, "a very long sentence " * 9)
            gate.wait(5)

        return Row(Job(title, work), title, lambda: None)

    rows = [row("Opening the first", 0), row("Explaining the second", 4)]
    threading.Event().wait(0.05)
    said = _summary(rows, ["a third"], 1)
    assert "1 of 3 models so far" in said and "Explaining the second" in said
    assert "40%" in said and len(said) < 150  # it fits into a line
    assert "so far" not in _summary(rows[:1], [], 0)
    assert "2 models answered, nothing is at work" in _summary([], ["a", "b"], 2)
    gate.set()
