"""A person without a browser: Streamlit's own messages over a websocket.

What a server takes to answer cannot be told from a browser that draws on the same two cores.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

__all__ = ["Onlooker", "Person", "visit"]

_PATIENCE = 60.0


@dataclass
class Person:
    """One session. `widgets`: the id of each slider on the page, by its label."""

    socket: ClientConnection
    url: str
    page: str
    widgets: dict[str, str] = field(default_factory=dict)
    fragments: dict[str, str] = field(default_factory=dict)
    script: str = ""
    values: dict[str, float] = field(default_factory=dict)

    def open(self) -> None:
        """Draw the page."""
        self._ask()

    def move(self, label: str, value: float) -> float:
        """Move a slider; seconds until the last message of the answer has come."""
        widget = self.widgets[label]
        self.values[widget] = value
        return self._ask(self.fragments[label])

    def _ask(self, fragment: str = "") -> float:
        message = _request(self.url, self.page, self.script, fragment)
        for widget, value in self.values.items():
            one = message.rerun_script.widget_states.widgets.add()
            one.id = widget
            one.double_array_value.data.append(value)
        started = time.perf_counter()
        self.socket.send(message.SerializeToString())
        self._listen()
        return time.perf_counter() - started

    def _listen(self) -> None:
        begun = False
        while True:
            answer = _answer(self.socket.recv(timeout=_PATIENCE))
            kind = answer.WhichOneof("type")
            if kind == "new_session":
                begun, self.script = True, answer.new_session.page_script_hash
            elif kind == "delta" and answer.delta.new_element.WhichOneof("type") == "slider":
                slider = answer.delta.new_element.slider
                self.widgets[slider.label] = slider.id
                self.fragments[slider.label] = answer.delta.fragment_id
            elif kind == "script_finished" and begun:
                return


class Onlooker(threading.Thread):
    """Somebody who leaves a page open: asks again whenever the page's timers say so.

    `at_work`: whether a line of the page tells of models that have not answered; `seen`: whether
    one ever did. Ends with `leave`.
    """

    def __init__(self, url: str, page: str, query: str) -> None:
        super().__init__(daemon=True)
        self.at_work = self.seen = False
        self._url, self._page, self._query, self._script = url, page, query, ""
        self._timers: dict[str, tuple[float, float]] = {}  # fragment → every, next
        self._lines: dict[tuple[int, ...], str] = {}  # where on the page → what it says
        self._left = threading.Event()

    def leave(self) -> None:
        self._left.set()
        self.join(_PATIENCE)

    def run(self) -> None:
        with _connected(self._url) as socket:
            self._ask(socket, "")
            while not self._left.is_set():
                fragment, due = self._next()
                wait = min(due - time.monotonic(), 1.0)
                if wait <= 0:
                    every = self._timers[fragment][0]
                    self._timers[fragment] = every, time.monotonic() + every
                    self._ask(socket, fragment)
                    continue
                try:
                    content = socket.recv(timeout=wait)
                except TimeoutError:
                    continue
                self._read(_answer(content))

    def _next(self) -> tuple[str, float]:
        due = [(at, fragment) for fragment, (_, at) in self._timers.items()]
        at, fragment = min(due, default=(time.monotonic() + 1.0, ""))
        return fragment, at

    def _ask(self, socket: ClientConnection, fragment: str) -> None:
        message = _request(self._url, self._page, self._script, fragment)
        message.rerun_script.query_string = self._query
        message.rerun_script.is_auto_rerun = bool(fragment)
        socket.send(message.SerializeToString())

    def _read(self, answer: ForwardMsg) -> None:
        kind = answer.WhichOneof("type")
        if kind == "new_session" and not answer.metadata.run.fragment_ids:
            self._timers, self._lines = {}, {}  # the whole page is drawn anew
        elif kind == "navigation":
            self._script = answer.navigation.page_script_hash or self._script
        elif kind == "auto_rerun":
            every = answer.auto_rerun.interval
            self._timers[answer.auto_rerun.fragment_id] = every, time.monotonic() + every
        elif kind == "delta":
            place = tuple(answer.metadata.delta_path)
            self._lines[place] = answer.delta.new_element.markdown.body
        elif kind == "script_finished":
            self.at_work = any("models so far" in text for text in self._lines.values())
            self.seen |= self.at_work


def _request(url: str, page: str, script: str, fragment: str) -> BackMsg:
    message = BackMsg()
    state = message.rerun_script
    state.page_name = "" if script else page
    state.page_script_hash = script
    state.fragment_id = fragment
    state.context_info.url = f"{url}/{page}"
    state.context_info.timezone = "UTC"
    return message


def _answer(content: str | bytes) -> ForwardMsg:
    answer = ForwardMsg()
    answer.ParseFromString(content if isinstance(content, bytes) else content.encode())
    return answer


def _connected(url: str) -> ClientConnection:
    address = url.replace("http://", "ws://") + "/_stcore/stream"
    options: Any = {"subprotocols": ["streamlit"], "origin": url, "max_size": None}
    return connect(address, **options)


@contextmanager
def visit(url: str, page: str) -> Iterator[Person]:
    """A person with a page open."""
    with _connected(url) as socket:
        person = Person(socket, url, page)
        person.open()
        yield person
