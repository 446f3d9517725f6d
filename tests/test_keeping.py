"""Two runs of one session that overlap, as Streamlit lets them: neither undoes the other."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from components import opening, workspaces
from components.state import AppState
from components.workspaces import Kept
from dashboard.workspace import Store

MODEL = b"not looked into before the test is over"


class PausedStore(Store):
    """A store whose disk is slow at one moment: when the first file is written."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.reached, self.go_on = threading.Event(), threading.Event()

    def add_file(self, *given: Any, **named: Any) -> Any:
        if not self.reached.is_set():
            self.reached.set()
            assert self.go_on.wait(30)
        return super().add_file(*given, **named)


@pytest.fixture
def state(tmp_path: Path) -> AppState:
    made = AppState()
    place = PausedStore(tmp_path)
    made.workspace = Kept(place, place.create(""), "")
    opening.stage_data(made, [("data.csv", b"a,b\n1,2\n3,4\n5,7\n")])
    assert made.reading is not None
    made.use_data(made.reading.result())
    made.reading = None
    return made


def test_a_file_that_comes_while_the_state_is_kept_is_not_lost(state: AppState) -> None:
    kept = state.workspace
    assert kept is not None
    assert isinstance(kept.store, PausedStore)
    slow = threading.Thread(target=workspaces.keep, args=(state,))
    slow.start()  # the run that took the data in; it has its snapshot and waits for the disk
    assert kept.store.reached.wait(30)
    opening.stage_model(state, "model.bin", MODEL)
    quick = threading.Thread(target=workspaces.keep, args=(state,))
    quick.start()  # the next run, begun by the second file
    quick.join(0.5)
    kept.store.go_on.set()
    slow.join(30)
    quick.join(30)
    assert [one.name for one in state.waiting] == ["model.bin"]
    assert not state.unkept
    _, saved = kept.store.open(kept.id, "")
    assert [name for name, _ in saved["waiting"]] == ["model.bin"]
