"""A person without a browser: Streamlit's own messages over a websocket.

What a server takes to answer cannot be told from a browser that draws on the same two cores.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

__all__ = ["Person", "visit"]

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
        message = BackMsg()
        state = message.rerun_script
        state.page_name = "" if self.script else self.page
        state.page_script_hash = self.script
        state.fragment_id = fragment
        state.context_info.url = f"{self.url}/{self.page}"
        state.context_info.timezone = "UTC"
        for widget, value in self.values.items():
            one = state.widget_states.widgets.add()
            one.id = widget
            one.double_array_value.data.append(value)
        started = time.perf_counter()
        self.socket.send(message.SerializeToString())
        self._listen()
        return time.perf_counter() - started

    def _listen(self) -> None:
        begun = False
        while True:
            answer = ForwardMsg()
            content = self.socket.recv(timeout=_PATIENCE)
            answer.ParseFromString(content if isinstance(content, bytes) else content.encode())
            kind = answer.WhichOneof("type")
            if kind == "new_session":
                begun, self.script = True, answer.new_session.page_script_hash
            elif kind == "delta" and answer.delta.new_element.WhichOneof("type") == "slider":
                slider = answer.delta.new_element.slider
                self.widgets[slider.label] = slider.id
                self.fragments[slider.label] = answer.delta.fragment_id
            elif kind == "script_finished" and begun:
                return


@contextmanager
def visit(url: str, page: str) -> Iterator[Person]:
    """A person with a page open."""
    address = url.replace("http://", "ws://") + "/_stcore/stream"
    options: Any = {"subprotocols": ["streamlit"], "origin": url, "max_size": None}
    with connect(address, **options) as socket:
        person = Person(socket, url, page)
        person.open()
        yield person
