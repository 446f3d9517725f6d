"""Progress of slow work: what runs, how far it is, a way to cancel.

Files on their way in are looked after by a fragment, so that the page stays alive and other pages
can be opened; the answers that a page cannot do without are waited for, in steps that any click
interrupts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import streamlit as st

from components import cached, opening, races
from components.entries import Waiting
from components.jobs import Job
from components.markup import plain
from components.state import AppState, ModelEntry, forget_widgets
from dashboard.evaluation import Answers
from dashboard.settings import get_settings
from dashboard.wording import plural, shorten

__all__ = [
    "Row",
    "answered",
    "begin",
    "follow",
    "has_browser",
    "show_opening",
    "show_questions",
    "show_reading",
    "stop_here",
    "wait_here",
]

_STEP = 0.1  # seconds between two looks
_POLL = 0.5
_LINE = 84  # signs of what is at work that fit into a line
_BARS = (92, 71, 64, 52, 45, 31, 27, 16, 12, 7)  # percent: a chart that is not there yet
_LINGERING = 2  # parts of a question or a message beyond the first
_PATIENCE = 20.0  # seconds for a model that others wait for
_SILENT = 0.3  # what is done by then is not worth a line that flashes


def begin(state: AppState) -> None:
    """Take over what has been finished since the last run; before anything is drawn."""
    with state.changing:
        changed = opening.settle(state)
    if changed:
        forget_widgets("focus", "threshold", "rule")


# -- rows ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Row:
    """A job as it is shown: `key` tells its button from others, `cancel` is what that does.

    `has_news` : whether the page should be drawn anew, though it goes on.
    """

    job: Job[Any]
    key: str
    cancel: Callable[[], None]
    has_news: Callable[[], bool] = lambda: False

    @property
    def is_over(self) -> bool:
        return self.job.done or self.job.cancelled() or self.has_news()

    def show(self, narrow: bool = False) -> Any:
        """What runs and how far it is, with a button that cancels it; the text's place."""
        text, button = st.columns([4, 1] if narrow else [6, 1], vertical_alignment="center")
        place = text.empty()
        button.button(
            "" if narrow else "Cancel",
            key=f"cancel-{self.key}",
            type="tertiary",
            icon=":material/close:",
            help="Cancel" if narrow else None,
            on_click=self.cancel,
        )
        _draw(self.job, place)
        return place


def _draw(job: Job[Any], place: Any) -> None:
    text = plain(job.words())
    if job.fraction is None:
        place.markdown(f":material/hourglass_top: {text}")
    else:
        place.progress(job.fraction, text)


# -- files on their way in ------------------------------------------------------------------------


def _on_their_way(state: AppState) -> list[Job[Any]]:
    jobs: list[Job[Any]] = [one.job for one in state.waiting if one.job is not None]
    return [*jobs, state.reading] if state.reading is not None else jobs


def show_reading(state: AppState, *, narrow: bool = False) -> None:
    """A row for the data that is being read, alive until it is."""
    if state.reading is not None:
        _show(Row(state.reading, "data", partial(opening.cancel_reading, state)), narrow)


def show_opening(state: AppState, waiting: Waiting, *, narrow: bool = False) -> None:
    """A row for a file that is being looked into or opened, alive until it is."""
    if waiting.job is not None:
        cancel = partial(opening.cancel, state, waiting.key)
        _show(Row(waiting.job, waiting.key, cancel), narrow)


def _show(row: Row, narrow: bool) -> None:
    """A row, alive until its work is over."""
    _in_its_own_place([row], partial(row.show, narrow))


def _in_its_own_place(rows: Sequence[Row], draw: Callable[[], object]) -> None:
    """Rows in a place that the page draws and not the fragment.

    Streamlit drops what a fragment drew and has not sent when that fragment runs again; were the
    places neighbours, the next one would have none then, and the browser gives up the page.
    """
    if not has_browser():
        draw()
        return
    with st.container():
        with st.container():  # its own: what follows would have no place either
            if rows:
                _watch(rows, draw)
            else:
                draw()
        for _ in range(_LINGERING):
            st.empty()  # in the place of what stood here before, which would linger


@st.fragment(run_every=_POLL)
def _watch(rows: Sequence[Row], draw: Callable[[], object]) -> None:
    if any(row.is_over for row in rows):  # what is cancelled may still take a while to end
        st.rerun()
    draw()


# -- questions to models --------------------------------------------------------------------------


def show_questions(rows: Sequence[Row], answered: Sequence[str], there: int) -> None:
    """One line for all questions, which stays when the last is answered: nothing below it moves.

    `answered` : the titles of those that are; `there` : how many have an answer, if not the last.
    Each question is listed behind the line, those at work with a button that cancels them.
    """
    if rows or answered:
        _in_its_own_place(rows, partial(_draw_questions, rows, answered, there))


def _draw_questions(rows: Sequence[Row], answered: Sequence[str], there: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(_summary(rows, answered, there))
        with st.popover("Details", type="tertiary"):
            for row in rows:
                row.show()
            for title in answered:
                st.caption(f":material/check: {plain(title)}: done.")


def _summary(rows: Sequence[Row], answered: Sequence[str], there: int) -> str:
    n = len(rows) + len(answered)
    if not rows:
        return f":small[:gray[:material/check: {plural(n, 'model')} answered, nothing is at work.]]"
    # what moves says more than what waits
    leading = next((row for row in rows if row.job.fraction is not None), rows[0])
    so_far = f"**{there} of {n} models so far** · " if n > 1 else ""
    said = plain(shorten(leading.job.words(), _LINE))
    return f":small[:material/hourglass_top: {so_far}{said}]"


def has_browser() -> bool:
    """Whether somebody runs fragments again; without, a run must wait for itself."""
    return st.context.url is not None


def follow(state: AppState) -> None:
    """What comes when the page is drawn: a spare worker, and waiting where nobody else looks."""
    opening.get_ready()
    jobs = _on_their_way(state)
    if not jobs or has_browser():
        return
    tick = st.empty()
    while not any(job.done for job in jobs):
        jobs[0].wait(_STEP)
        tick.empty()
    st.rerun()


def stop_here(state: AppState) -> NoReturn:
    """End the page early, but not before files on their way in are looked after."""
    follow(state)
    races.forget_fragments()
    st.stop()


def wait_here(state: AppState, waiting: int, coming: str) -> NoReturn:
    """End a page that has no answer yet: what will stand here, and a place as high as a chart.

    `waiting` : models whose first answer may still come; without any, nothing is promised.
    `coming` : what the chart will show.
    """
    if waiting:
        _show_coming(coming)
    stop_here(state)


def _show_coming(coming: str) -> None:
    st.caption(
        f":material/schedule: Soon here: {coming}. The chart comes with the first model's answer, "
        "the others join it. Opening a model takes some seconds, once; other pages can be used "
        "meanwhile."
    )
    bars = "".join(
        f'<div style="width:{width}%;height:14px;margin:14px 0;border-radius:4px;'
        'background:rgba(127,131,142,.18)"></div>'
        for width in _BARS
    )
    st.html(f'<div aria-hidden="true" style="padding:8px 0 120px">{bars}</div>')


# -- answers ------------------------------------------------------------------------------------


def answered(state: AppState, patience: float | None = None) -> Answers:
    """What the shown models answer; the page has nothing to show before the first of them.

    Whoever takes longer than `patience` seconds holds up nobody: the page goes on with the others,
    tells who is still at work, and is drawn anew when that is done. Default: as long as a person
    waits; without a browser, which could be drawn anew, for ever.
    """
    if patience is None:
        patience = _PATIENCE if has_browser() else math.inf
    late = _wait_for_answers(state, patience)
    with st.container():
        if late:
            _in_its_own_place(late, partial(_draw_late, late, len(state.shown)))
    return cached.answers(state)


def _wait_for_answers(state: AppState, patience: float) -> list[Row]:
    """Rows of those that are still at work.

    Each step calls Streamlit, which is where a click or a change of page breaks in.
    """
    jobs = [(entry, cached.asked(state, entry)) for entry in state.shown if not entry.stopped]
    place, tick = st.empty(), st.empty()
    bars: list[tuple[Job[Any], Any]] = []
    while slow := [job for _, job in jobs if not job.done]:
        if any(job.succeeded for _, job in jobs) and min(one.seconds for one in slow) > patience:
            break
        slow[0].wait(_STEP)
        tick.empty()
        if not bars and not slow[0].done and slow[0].seconds > _SILENT:
            with place.container():
                bars = _draw_jobs(jobs)
        for job, bar in bars:
            if not job.done:
                _draw(job, bar)
    place.empty()
    return [_row_of(entry, job, f"late-{entry.key}") for entry, job in jobs if job in slow]


def _row_of(entry: ModelEntry, job: Job[Any], key: str) -> Row:
    return Row(job, key, partial(_stop, entry, job), lambda: entry.stopped)


def _draw_late(rows: Sequence[Row], n: int) -> None:
    st.caption(f"{n - len(rows)} of {plural(n, 'model')} so far; the rest joins when it is done.")
    for row in rows:
        row.show()


def _draw_jobs(jobs: list[tuple[ModelEntry, Job[Any]]]) -> list[tuple[Job[Any], Any]]:
    bars = [(job, _row_of(entry, job, entry.key).show()) for entry, job in jobs if not job.done]
    for _ in range(get_settings().max_models - len(bars)):
        st.empty()  # in the place of rows of the run before, which would linger
    return bars


def _stop(entry: ModelEntry, job: Job[Any]) -> None:
    """Ask it no more; others may share a sample's answers, so that work goes on."""
    entry.stopped = True
    if entry.uploaded:
        job.cancel()
