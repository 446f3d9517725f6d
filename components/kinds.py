"""What a table is taken for, changed by a person: predictions, a log, a search, data. Undoable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from components.entries import Move, Said
from components.opening import cancel_reading, stage_data, stage_model, take_out
from components.state import AppState
from dashboard.contracts import Model
from dashboard.data import Table
from dashboard.errors import DiagnosticsError
from dashboard.logs.search_logs import SearchKind
from dashboard.samples import Sample

__all__ = [
    "KINDS",
    "change",
    "is_text_table",
    "kind_of",
    "may_undo",
    "tell_columns",
    "undo",
]

_MOST_MOVES = 5

KINDS = {
    "predictions": "Predictions",
    "log": "Training log",
    "search": "Search results",
    "data": "Data",
}


def kind_of(state: AppState, digest: str) -> str:
    """What a file is taken for; "" where it waits to be told, or is none of these."""
    history = next((one for one in state.histories if one.digest == digest), None)
    if history is not None:
        found = "search" if isinstance(history.about, SearchKind) else history.about.kind
        return found if found in ("search", "sizes") else "log"
    if any(one.key == digest and one.table is not None for one in state.entries):
        return "predictions"
    return "data" if [one.digest for one in state.sources] == [digest] else ""


def is_text_table(content: bytes | Path) -> bool:
    """Whether a file may be any of these: text, no archive and no event file."""
    if isinstance(content, Path):
        with content.open("rb") as file:
            start = file.read(1 << 12)
    else:
        start = content[: 1 << 12]
    return bool(start) and b"\0" not in start and not start.startswith(b"PK\x03\x04")


def change(state: AppState, digest: str, name: str, kind: str) -> None:
    """Take a file for something else; what it was is kept for `undo`."""
    with state.changing:
        was = kind_of(state, digest)
        if digest not in state.files or kind == was or kind not in KINDS:
            return
        _remember(
            state,
            Move(name, digest, was, kind, state.said.get(digest), state.sample, state.sources),
        )
        said = None if kind == "data" else Said(kind)  # type: ignore[arg-type]
        try:
            _place(state, digest, name, said, as_data=kind == "data")
        except DiagnosticsError as error:
            state.report(name, error)


def tell_columns(
    state: AppState, digest: str, name: str, columns: Mapping[str, str], larger: bool | None
) -> None:
    """What the columns of a search are, and which way its scores are better."""
    now = state.said.get(digest)
    told = replace(now or Said("search"), columns=dict(columns), larger=larger)
    if digest in state.files and told != (now or Said("search")):
        _remember(state, Move(name, digest, "search", "search", now))
        state.said[digest] = told


def _remember(state: AppState, move: Move) -> None:
    state.moves = [*state.moves, move][-_MOST_MOVES:]


def may_undo(state: AppState) -> bool:
    """Whether the last change still stands."""
    if not state.moves:
        return False
    move = state.moves[-1]
    return move.digest in state.files and kind_of(state, move.digest) in (move.now, "")


def undo(
    state: AppState,
    load: Callable[[Sample, str], Model] | None = None,
    read: Callable[[Sample, str], Table] | None = None,
) -> None:
    """Take back the last change. `load`, `read` : the readers of a sample that was replaced."""
    with state.changing:
        if not may_undo(state):
            return
        move = state.moves.pop()
        if move.was == move.now:
            _say(state, move.digest, move.said)
            return
        content = state.files[move.digest]
        try:
            if move.now == "data":
                cancel_reading(state)
                _load_again(state, move, load, read)
            state.files[move.digest] = content
            _place(state, move.digest, move.name, move.said, as_data=move.was == "data")
        except DiagnosticsError as error:
            state.report(move.name, error)


def _load_again(
    state: AppState,
    move: Move,
    load: Callable[[Sample, str], Model] | None,
    read: Callable[[Sample, str], Table] | None,
) -> None:
    """The data that was there before the file took its place."""
    if move.sample is not None and load is not None and read is not None:
        state.open_sample(move.sample, load, read)
        return
    files = [(one.name, state.files.get(one.digest)) for one in move.sources]
    _forget_data(state)
    if files:
        stage_data(state, [(name, _in_memory(content)) for name, content in files])


def _in_memory(content: bytes | Path | None) -> bytes | None:
    """While it is read nothing names it, and the workspace may drop its file."""
    return content.read_bytes() if isinstance(content, Path) else content


def _say(state: AppState, digest: str, said: Said | None) -> None:
    state.said.pop(digest, None)
    if said is not None:
        state.said[digest] = said


def _place(state: AppState, digest: str, name: str, said: Said | None, *, as_data: bool) -> None:
    """Take the file out of where it is, and in again as what was said."""
    content = _in_memory(state.files[digest])
    take_out(state, digest)
    state.entries = [one for one in state.entries if one.key != digest]
    if [one.digest for one in state.sources] == [digest]:
        _forget_data(state)
    state.version += 1
    _say(state, digest, said)
    if as_data:
        stage_data(state, [(name, content)])
    elif content is not None:
        stage_model(state, name, content)


def _forget_data(state: AppState) -> None:
    """Models stay, and are asked again when there is data; those in the data go with it."""
    state.forget_data()
    state.entries = [one for one in state.entries if one.uploaded]
    for entry in state.entries:
        entry.columns = None
