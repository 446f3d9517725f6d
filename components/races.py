"""Races of Streamlit 1.67 that lose what a person did, a library, or the page, closed.

All are shown, with how often they struck, in `docs/decisions/0009-races-in-streamlit.md`. This is
the only place that touches Streamlit's internals while it serves; `dashboard/launcher.py` sets an
option of its socket before.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from threading import Lock, RLock
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from streamlit.runtime.app_session import AppSession
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner.exec_code import modified_sys_path
from streamlit.runtime.state import SafeSessionState

__all__ = [
    "close_races",
    "forget_fragments",
    "keeping_addresses",
    "leave_the_path",
    "of_the_page_at_hand",
    "one_run_at_a_time",
]

_ADDRESSES = "file_urls_response"


def close_races() -> None:
    """Close those of the session. Calling it again changes nothing."""
    if not hasattr(ForwardMsgQueue.clear, "__wrapped__"):
        ForwardMsgQueue.clear = keeping_addresses(ForwardMsgQueue.clear)  # type: ignore[method-assign]
        AppSession.request_rerun = of_the_page_at_hand(  # type: ignore[method-assign]
            AppSession.request_rerun
        )
        modified_sys_path.__enter__ = leave_the_path  # type: ignore[method-assign]
        one_run_at_a_time(SafeSessionState)


def keeping_addresses(clear: Callable[..., None]) -> Callable[..., None]:
    """Let the answer to "where may I send this file?" survive the start of a run.

    Without, the answer is dropped when a run begins before it was sent; the browser waits for ever
    and the file is lost without a word.
    """

    @wraps(clear)
    def clear_the_rest(
        self: ForwardMsgQueue,
        retain_lifecycle_msgs: bool = False,
        fragment_ids_this_run: list[str] | None = None,
    ) -> None:
        waiting = [one for one in self._queue if one.WhichOneof("type") == _ADDRESSES]
        clear(self, retain_lifecycle_msgs, fragment_ids_this_run)
        if retain_lifecycle_msgs:
            kept = {id(one) for one in self._queue}
            self._queue.extend(one for one in waiting if id(one) not in kept)

    return clear_the_rest


def of_the_page_at_hand(request_rerun: Callable[..., None]) -> Callable[..., None]:
    """Ignore timers of a page that the person has just left.

    A fragment that runs every half second asks for the page it stands on. When that meets the
    click that asks for another page, Streamlit merges the two and goes to the timer's page. The
    page at hand is the one that was asked for last, or where `st.switch_page` led from there.
    """
    asked: WeakKeyDictionary[Any, tuple[str, str]] = WeakKeyDictionary()

    @wraps(request_rerun)
    def request_of_this_page(self: Any, client_state: Any) -> None:
        if client_state is not None:
            page, drawn = client_state.page_script_hash, self.page_script_hash
            if not client_state.is_auto_rerun:
                asked[self] = (page, drawn)
            else:
                known = asked.get(self, ("", ""))
                at_hand = known[0] if drawn in known else drawn
                if page != (at_hand or page):  # a first request may name no page
                    return
        request_rerun(self, client_state)

    return request_of_this_page


class _Runs:
    """What the runs of one session share: one lock, and how many have begun."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.begun = 0


def one_run_at_a_time(safe: type[SafeSessionState]) -> None:
    """Let the runs of one session share the lock on its state, and a run's end only its own.

    A click begins a run in a thread of its own while the one before goes on to where it can stop.
    Each run has a lock of its own, so both change one dictionary ("dictionary changed size during
    iteration": the page shows an error), and the end of the old run takes back the new one's click.
    """
    init, begin, end = safe.__init__, safe.on_script_will_rerun, safe.on_script_finished
    at_hand: WeakValueDictionary[int, _Runs] = WeakValueDictionary()
    finding = Lock()

    @wraps(init)
    def sharing(self: Any, state: Any, *rest: Any, **named: Any) -> None:
        init(self, state, *rest, **named)
        with finding:  # a state lives at least as long as the runs that are found under its id
            runs = at_hand.setdefault(id(state), _Runs())
        for name, value in {"_lock": runs.lock, "_runs": runs, "_number": 0}.items():
            object.__setattr__(self, name, value)

    @wraps(begin)
    def beginning(self: Any, *given: Any, **named: Any) -> None:
        self._yield_callback()  # a run that is stopped here has not begun
        with self._lock:
            if "_runs" in vars(self):  # all but the run that closes the gap
                self._runs.begun += 1
                object.__setattr__(self, "_number", self._runs.begun)
            begin(self, *given, **named)

    @wraps(end)
    def ending(self: Any, *given: Any, **named: Any) -> None:
        with self._lock:
            followed = "_runs" in vars(self) and self._number != self._runs.begun
            if not followed or self._number == 0:  # 0: it has not begun, it makes room
                end(self, *given, **named)

    safe.__init__ = sharing  # type: ignore[method-assign]
    safe.on_script_will_rerun = beginning  # type: ignore[method-assign]
    safe.on_script_finished = ending  # type: ignore[method-assign]


def leave_the_path(self: modified_sys_path) -> None:
    """Put nothing on `sys.path`: `dashboard/app.py` has put there what is needed, for good.

    Streamlit puts the script's folder first at the start of each run and takes it away at its end.
    A library that another session imports at that moment is not found: its search goes on at a
    place of a list that has moved.
    """


def forget_fragments() -> None:
    """Before a page ends early: forget the fragments that this run has not drawn.

    Streamlit does so when a page ends as usual, but not after `st.stop`. A timer of such a fragment
    that is on its way would draw it into places that are taken by something else now, or that no
    longer exist, and the browser gives up the page.
    """
    context = get_script_run_ctx(suppress_warning=True)
    if context is not None:
        drawn = context.shared.new_fragment_ids.snapshot()
        context.fragment_storage.clear(new_fragment_ids=drawn)
