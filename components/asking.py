"""Slow questions to models, asked beside the script: progress, cancel, resume, ask again.

A question may answer several times, each answer better than the last: the page shows the newest
and is drawn anew when there is a newer one. Sessions share the questions about a sample; those
about an uploaded model are the session's own.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import streamlit as st

from components import cached, progress
from components.jobs import Job
from components.markup import plain
from components.state import AppState, ModelEntry
from components.turns import get_loading_turns, get_turns
from dashboard.contracts import Model
from dashboard.data import EvalSet
from dashboard.errors import DiagnosticsError, NotApplicable
from dashboard.samples import read_sample
from dashboard.sandbox.processes import watched
from dashboard.settings import get_settings

__all__ = [
    "Answer",
    "Asked",
    "Question",
    "Request",
    "able",
    "ask",
    "forget_held",
    "is_awaited",
    "n_waiting",
    "show_held",
]

T = TypeVar("T")
Key = tuple[Hashable, ...]
_STEP = 0.1
_SILENT = 0.4  # what is answered by then needs no row
_PATIENCE = 300.0  # seconds for a first answer, where nobody draws the page again
# What is at work and was not shown yet in this run of the page.
_HELD: ContextVar[tuple[progress.Row, ...]] = ContextVar("held", default=())
_WAITING: ContextVar[int] = ContextVar("waiting", default=0)


class Question(Generic[T]):
    """One question at work, from the moment it is made.

    Attributes
    ----------
    latest : the newest answer; `news` counts them.
    watchers : the sessions that wait; when the last of them cancels, the work stops.
    """

    def __init__(self, title: str, work: Callable[[Asked[T]], None]) -> None:
        self.latest: T | None = None
        self.news = 0
        self.watchers: set[str] = set()
        self.job: Job[None] = Job(title, partial(self._run, work))

    def _run(self, work: Callable[[Asked[T]], None], job: Job[None]) -> None:
        def report(done: float, total: float, sentence: str = "") -> None:
            job.report(done, total, _short_of(sentence, job.title))

        with watched(report, job.cancelled):
            work(Asked(self, job))

    def post(self, answer: T) -> None:
        self.latest = answer
        self.news += 1

    def leave(self, scope: str) -> None:
        """One session less; the last one ends the work."""
        self.watchers.discard(scope)
        if not self.watchers:
            self.job.cancel()


def _short_of(sentence: str, title: str) -> str:
    """What a report adds to the title: neither that nor its verb is said twice."""
    return sentence.removeprefix(f"{title}: ").removeprefix(f"{title.partition(' ')[0]} ")


class Questions:
    """The questions of this server by key; finished ones are forgotten beyond `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: OrderedDict[Key, Question[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Question[Any] | None:
        with self._lock:
            return self._found.get(key)

    def get_or_begin(self, key: Key, begin: Callable[[], Question[T]], scope: str) -> Question[T]:
        """The question at work or done; begun anew where all others had left it."""
        with self._lock:
            found = self._found.get(key)
            if found is None or found.job.cancelled():
                found = self._found[key] = begin()
            self._found.move_to_end(key)
            found.watchers.add(scope)
            done = [one for one, each in self._found.items() if each.job.done and one != key]
            for one in done[: max(0, len(self._found) - self._most)]:
                del self._found[one]
            return found

    def forget(self, key: Key) -> None:
        with self._lock:
            self._found.pop(key, None)


_QUESTIONS = Questions(2 * get_settings().cache_entries)


@dataclass(frozen=True, eq=False)
class Asked(Generic[T]):
    """What the work is given: where answers go, and how it takes its turn."""

    question: Question[T]
    job: Job[None]

    def post(self, answer: T) -> None:
        """A first answer, or a better one."""
        self.question.post(answer)

    def turn(self, *rank: float) -> Any:
        """As `Turns.turn`: to be had while a worker computes."""
        return get_turns().turn(rank, self.job.cancelled)

    def opened(self, model: Callable[[], Model], *, late: bool = False) -> Model:
        """The model, loaded as soon as there is room for it: in the order of asking.

        `late` : after all others that wait, which it would keep waiting for long.
        """
        with get_loading_turns().turn((late,), self.job.cancelled):
            return model()


@dataclass(frozen=True, eq=False)
class Request(Generic[T]):
    """A question about one model, before it is asked.

    Attributes
    ----------
    kind, parameters : with the model and the data, what the answer depends on.
    work : gets the model (loaded late, in the thread), the data, and where answers go.
    """

    entry: ModelEntry
    kind: str
    parameters: Key
    title: str
    work: Callable[[Callable[[], Model], EvalSet, Asked[T]], None]


@dataclass(frozen=True, eq=False)
class Answer(Generic[T]):
    """What one model answered last; `key` changes with it. `final`: nothing better will come."""

    entry: ModelEntry
    value: T
    key: Key
    final: bool


def able(state: AppState) -> list[ModelEntry]:
    """The shown entries that hold a model, with a word on those that hold predictions only."""
    without = [plain(entry.name) for entry in state.shown if entry.table is not None]
    if without and len(without) == len(state.shown):
        st.info(
            "This page needs a model: files of predictions cannot be asked what they would answer "
            "to other values. Open a model file on Home; the page Performance compares "
            "predictions.",
            icon=":material/model_training:",
        )
        st.page_link("../pages/home.py", label="Add a model on Home", icon=":material/upload:")
    elif without:
        what = "this is a file" if len(without) == 1 else "these are files"
        st.caption(
            f":material/info: Not shown here: {', '.join(without)}. Only models can be asked for "
            f"new answers, and {what} of predictions."
        )
    return [entry for entry in state.shown if entry.table is None]


def ask(state: AppState, requests: Sequence[Request[T]], *, later: bool = False) -> list[Answer[T]]:
    """The newest answers, in the order of the requests, and here a line on how far they are.

    Without a browser, where nobody draws the page again, it waits for the first answers.
    `later` : what is at work is shown with the next questions, or by `show_held`.
    """
    line = None if later else st.container()  # the same places in every run: nothing lingers
    problems, keys = st.container(), [_key(state, one) for one in requests]
    questions = [
        None if key in state.paused else _question(state, one, key)
        for one, key in zip(requests, keys, strict=True)
    ]
    _wait([one for one in questions if one is not None])
    answers = []
    rows, answered = _HELD.get(), list[str]()
    waiting = len(rows)
    for request, key, question in zip(requests, keys, questions, strict=True):
        with problems:
            if question is None:
                _show_paused(state, request, key)
            elif question.job.done:
                if not _show_failure(state, request, key, question):
                    answered.append(request.title)
            elif not (later and question.news):  # what is asked next stands for it
                waiting += not question.news
                rows = (*rows, _row(state, key, question))
        if question is None:
            question = _QUESTIONS.get(key)
        if question is not None and question.latest is not None:
            final = question.job.done
            answers.append(Answer(request.entry, question.latest, (*key, question.news), final))
    _HELD.set(rows if later else ())
    _WAITING.set(waiting)
    if line is not None:
        with line:
            progress.show_questions(rows, answered, len(rows) + len(answered) - waiting)
    return answers


def n_waiting() -> int:
    """Of the models that were asked last, those that have not answered at all and still may."""
    return _WAITING.get()


def forget_held() -> None:
    """At the beginning of a run: one that was broken off before may have left some."""
    _HELD.set(())


def show_held() -> None:
    """A line on what was to be shown later, where nothing else is asked."""
    rows = _HELD.get()
    _HELD.set(())
    progress.show_questions(rows, (), 0)


def is_awaited(state: AppState, request: Request[Any]) -> bool:
    """Whether a first answer to what was asked may still come."""
    key = _key(state, request)
    question = None if key in state.paused else _QUESTIONS.get(key)
    return question is not None and not question.news and not question.job.done


def _key(state: AppState, request: Request[Any]) -> Key:
    shared = state.sample is not None and not request.entry.uploaded
    evalset = state.need_evalset()
    scope = "" if shared else state.scope
    return (request.kind, request.entry.digest, evalset.digest, scope, *request.parameters)


def _question(state: AppState, request: Request[T], key: Key) -> Question[T]:
    model, evalset = model_of(request.entry), state.need_evalset()
    begin = partial(Question, request.title, lambda asked: request.work(model, evalset, asked))
    return _QUESTIONS.get_or_begin(key, begin, state.scope)


def model_of(entry: ModelEntry) -> Callable[[], Model]:
    """How a thread gets the model: always one in a worker, for engines would hold up the app."""
    if entry.uploaded or entry.load is None:
        return entry.need_model
    return lambda: cached.sample_worker(read_sample(entry.key.partition("/")[0]), entry.file)


def _wait(questions: Sequence[Question[Any]]) -> None:
    """Give quick answers the time they need; each step lets a click break in."""
    patience = _SILENT if progress.has_browser() else _PATIENCE
    tick = st.empty()
    while slow := next((one for one in questions if not (one.news or one.job.done)), None):
        if slow.job.seconds > patience:
            return
        slow.job.wait(_STEP)
        tick.empty()


# -- rows ---------------------------------------------------------------------------------------


def _name(key: Key) -> str:
    """A short name for the keys of controls."""
    return hashlib.sha256(repr(key).encode()).hexdigest()[:12]


def _row(state: AppState, key: Key, question: Question[Any]) -> progress.Row:
    seen = question.news
    pause = partial(_pause, state, key, question)
    return progress.Row(question.job, _name(key), pause, lambda: question.news != seen)


def _pause(state: AppState, key: Key, question: Question[Any]) -> None:
    state.paused.add(key)
    question.leave(state.scope)


def _show_paused(state: AppState, request: Request[Any], key: Key) -> None:
    text, button = st.columns([6, 1], vertical_alignment="center")
    text.caption(f":material/pause_circle: {plain(request.title)}: you stopped it.")
    button.button(
        "Resume",
        key=f"resume-{_name(key)}",
        type="tertiary",
        icon=":material/play_arrow:",
        help="Goes on where it stopped: what was finished is kept.",
        on_click=state.paused.discard,
        args=(key,),
    )


def _show_failure(
    state: AppState, request: Request[Any], key: Key, question: Question[Any]
) -> bool:
    """Say why there is no answer, or none better; whether there was something to say."""
    try:
        question.job.result()
        return False
    except NotApplicable as error:
        st.info(f"**{plain(request.entry.name)}**: {plain(error.reason)}", icon=":material/info:")
    except DiagnosticsError as error:
        text, button = st.columns([6, 1], vertical_alignment="center")
        name, said = plain(request.entry.name), plain(str(error).replace("`", ""))
        text.error(f"**{name}** gave no explanation. {said}", icon=":material/error:")
        button.button(
            "Ask again",
            key=f"again-{_name(key)}",
            type="tertiary",
            icon=":material/refresh:",
            on_click=_QUESTIONS.forget,
            args=(key,),
        )
    return True
