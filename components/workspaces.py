"""The workspace of a session: kept on the server after every step, opened again by its link.

A session has none until it holds a file of its own; a look at a sample leaves no trace.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from components import cached, opening, results
from components.merging import LISTS, digests, merge
from components.snapshots import Readers, restore, snapshot
from components.state import AppState
from components.visitors import visitor
from dashboard.errors import DiagnosticsError, WorkspaceError
from dashboard.settings import get_settings, home_folder
from dashboard.wording import listing, shorten
from dashboard.workspace import Store, export_workspace, import_workspace

__all__ = [
    "Kept",
    "delete",
    "export",
    "import_file",
    "keep",
    "keep_copy",
    "leave",
    "open_workspace",
    "store",
]

ATTEMPTS = 5
# What a session keeps when it turns to another workspace: uploads that it has seen are not new.
_STAYS = ("seen_uploads", "version", "started")
_INCOMPLETE = (
    "The data of this workspace cannot be read, and nothing is saved over it. Load data, and what "
    "is here is kept from then on."
)


@dataclass
class Kept:
    """What a session knows of its workspace.

    Attributes
    ----------
    saved : the snapshot as it was saved or opened last.
    stored : digests of the files that the workspace has.
    incomplete : the data could not be read; nothing is saved over it until other data is loaded.
    problem : why the last change was not kept, or "".
    """

    store: Store
    id: str
    owner: str
    writable: bool = True
    revision: int = 0
    saved: dict[str, Any] = field(default_factory=dict)
    stored: set[str] = field(default_factory=set)
    incomplete: bool = False
    problem: str = ""

    @property
    def mark(self) -> str:
        """Says in a snapshot which workspace it was made in, without the key to it."""
        return hashlib.sha256(self.id.encode()).hexdigest()


# -- the store ---------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def _store(folder: Path) -> Store:
    return Store(folder)


def store() -> Store:
    """The workspaces of this server, opened once.

    Raises
    ------
    WorkspaceError : the folder cannot be used.
    """
    return _store(home_folder(get_settings()) / "workspaces")


# -- keeping -----------------------------------------------------------------------------------


def keep(state: AppState) -> bool:
    """Save what has changed. Whether the state was replaced by one merged with another window's.

    Draws nothing and never raises for a disk that fails: then `state.unkept` says why. Two runs of
    one session take turns, or the slower would take the faster for another window that removed
    what is not in its own, older snapshot.
    """
    with state.changing:
        return _keep(state)


def _keep(state: AppState) -> bool:
    try:
        kept = state.workspace or _begin(state)
        if kept is None:
            return False
        if kept.incomplete and state.table is None:
            state.unkept = _INCOMPLETE
            return False
        kept.incomplete = False
        if not kept.writable:
            if set(state.files) <= kept.stored or visitor().owner is None:
                return False
            kept = _own_copy(state, kept)
        merged = _save(state, kept)
        state.unkept = kept.problem
        return merged
    except DiagnosticsError as error:
        state.unkept = str(error)
        return False


def _begin(state: AppState) -> Kept | None:
    """A workspace from the first own file on; None before, and where nobody is signed in."""
    owner = visitor().owner if state.files or state.sources else None
    if owner is None:
        return None
    place = store()
    kept = Kept(place, place.create(owner), owner)
    _attach(state, kept)
    return kept


def _attach(state: AppState, kept: Kept) -> None:
    state.workspace = kept
    state.recall = partial(results.recall_raw, kept)
    state.keep = partial(results.keep_raw, kept) if kept.writable else None


def _own_copy(state: AppState, kept: Kept) -> Kept:
    """Go on in a copy of a workspace that was shared for reading."""
    own = Kept(kept.store, kept.store.copy(kept.id, kept.owner), kept.owner)
    own.saved, own.stored = kept.saved, kept.stored
    for digest in state.files.keys() & own.stored:
        state.files[digest] = own.store.file_path(own.id, digest, own.owner)
    _attach(state, own)
    return own


def _described(state: AppState, kept: Kept) -> dict[str, Any]:
    return {**snapshot(state), "session": {"of": kept.mark, "scope": state.scope}}


def _save(state: AppState, kept: Kept) -> bool:
    now = _described(state, kept)
    if now == kept.saved:
        return False
    state.forget_files()
    _store_files(state, kept, now)
    merged = False
    for _ in range(ATTEMPTS):
        # What a person may still go back to is in `files`, and stays.
        drop = kept.stored - digests(now) - state.files.keys()
        revision = kept.store.save_state(
            kept.id, now, owner=kept.owner, revision=kept.revision, drop=drop, title=_title(state)
        )
        if revision is not None:
            kept.revision, kept.saved = revision, now
            kept.stored -= drop
            kept.problem = ""
            break
        found, theirs = kept.store.open(kept.id, kept.owner)
        now = merge(kept.saved, now, theirs) if kept.saved and theirs else now
        kept.revision, merged = found.revision, True
    if merged:
        reading, state.reading = state.reading, None  # an upload under way is not cancelled
        _turn_to(state, kept, now)
        state.reading = reading
    return merged


def _store_files(state: AppState, kept: Kept, now: Mapping[str, Any]) -> None:
    """Uploads go to the disk once, and from memory then."""
    names = _names(now)
    for digest in sorted(digests(now) - kept.stored):
        content = state.files.get(digest)
        if content is None:  # a file in the server's folder of large data
            continue
        kept.store.add_file(kept.id, names[digest], content, kept.owner)
        state.files[digest] = kept.store.file_path(kept.id, digest, kept.owner)
        kept.stored.add(digest)


def _names(now: Mapping[str, Any]) -> dict[str, str]:
    pairs = [pair for name in LISTS for pair in now[name]]
    pairs += [pair[:2] for pair in now["failed"]]
    for entry in (*now["models"], *now.get("returning", ())):
        pairs += [[entry["file"], entry["key"]], *entry["helpers"]]
    return {digest: name for name, digest in pairs}


def _title(state: AppState) -> str:
    """What tells it from others in the list: the data and the first models."""
    data = state.table.name if state.table is not None else "No data"
    names = [shorten(entry.name, 30) for entry in state.entries if entry.uploaded]
    return f"{data}: {listing(names, 2)}" if names else data


# -- opening -----------------------------------------------------------------------------------


def open_workspace(state: AppState, id: str) -> None:
    """Replace the session's state by a workspace's. No model is opened, no worker started.

    Raises
    ------
    WorkspaceError : there is none with this id, or not for this person; nothing has changed.
    """
    place, owner = store(), visitor().owner or ""
    found, given = place.open(id, owner)
    kept = Kept(place, id, owner, found.writable, found.revision)
    _turn_to(state, kept, given)


def _turn_to(state: AppState, kept: Kept, given: dict[str, Any]) -> None:
    """Make the state what the snapshot says, with this workspace behind it."""
    fresh = AppState()
    session = given.get("session")
    session = session if isinstance(session, dict) else {}
    mine = kept.writable and session.get("of") == kept.mark
    if mine:
        fresh.scope = str(session["scope"])
    _attach(fresh, kept)
    told = {**given, "consented": given.get("consented", []) if mine else []} if given else {}
    restore(fresh, told, _readers(kept, foreign=not mine))
    kept.incomplete = fresh.table is None and bool(fresh.sources or given.get("sample"))
    kept.stored = {one.digest for one in kept.store.files(kept.id, kept.owner) if one.there}
    kept.saved = given if not given else _described(fresh, kept)
    _replace(state, fresh)


def _readers(kept: Kept, foreign: bool) -> Readers:
    return Readers(
        path=lambda digest: kept.store.file_path(kept.id, digest, kept.owner),
        model=cached.sample_model,
        table=cached.sample_table,
        foreign=foreign,
    )


def _replace(state: AppState, fresh: AppState) -> None:
    """Put the contents of one state into another, which the session holds on to."""
    for waiting in list(state.waiting):
        opening.discard(state, waiting.key)
    opening.cancel_reading(state)
    for one in fields(AppState):
        if one.name not in _STAYS:
            setattr(state, one.name, getattr(fresh, one.name))
    for entry in state.entries:
        if entry.uploaded and entry.table is None:  # it is to find its file in this state
            entry.load = opening.loader(state, entry.key, entry.file, entry.helpers)
    state.version += 1


def leave(state: AppState) -> None:
    """Go on with nothing loaded; the workspace stays as it is."""
    _replace(state, AppState())


def delete(state: AppState) -> None:
    """Remove the session's workspace from the disk for good, and go on with nothing loaded.

    Raises
    ------
    WorkspaceError : it is gone already, or somebody else's.
    """
    kept = state.workspace
    if kept is not None:
        kept.store.delete(kept.id, kept.owner)
    leave(state)


def _signed_in() -> str:
    owner = visitor().owner
    if owner is None:
        raise WorkspaceError("Workspaces are kept for people who have signed in. Sign in first.")
    return owner


def keep_copy(state: AppState) -> None:
    """Go on in a copy of one's own of a workspace that is shared for reading.

    Raises
    ------
    WorkspaceError : it is no longer shared, or nobody is signed in.
    """
    _signed_in()
    if state.workspace is not None:
        _own_copy(state, state.workspace)


def export(kept: Kept) -> bytes:
    """The workspace as one file.

    Raises
    ------
    WorkspaceError : it is gone, or the disk is full.
    """
    with kept.store.blobs.draft() as target:
        export_workspace(kept.store, kept.id, target, kept.owner)
        return target.read_bytes()


def import_file(state: AppState, content: bytes, name: str) -> None:
    """Open an exported workspace as a new one.

    Raises
    ------
    DiagnosticsError : it is no exported workspace, or unsound; nothing has changed.
    """
    place, owner = store(), _signed_in()
    id = import_workspace(place, content, name, owner)
    try:
        open_workspace(state, id)
    except DiagnosticsError:
        place.delete(id, owner)
        raise
