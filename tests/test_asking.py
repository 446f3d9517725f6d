"""Questions to models: shared, answered in steps, left, begun anew."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest

from components.asking import Asked, Question, Questions
from components.turns import get_turns
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
    """A turn that somebody has keeps nobody from loading, and two load at the same time."""
    both, loaded = threading.Barrier(2), list[str]()

    def model() -> Any:
        both.wait(5)
        return "a model"

    def work(asked: Asked[str]) -> None:
        loaded.append(str(asked.opened(model)))
        asked.post("done")

    with get_turns().turn((0,), lambda: False):
        questions: list[Question[str]] = [Question("Asking", work) for _ in range(2)]
        for one in questions:
            one.job.result()
    assert loaded == ["a model"] * 2 and [one.latest for one in questions] == ["done"] * 2
