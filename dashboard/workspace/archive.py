"""A workspace as one file, out and in again: a zip of `workspace.json` and contents by digest.

The file carries no id and no owner: whoever imports it gets a workspace of their own. What comes
in is a stranger's file: names, sizes and digests are checked before anything is kept, and nothing
is kept of a file with anything wrong in it.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from ..errors import LimitExceeded, WorkspaceError
from .blobs import Written, is_digest, megabytes
from .store import MAX_RESULTS, MAX_SNAPSHOT, Store

__all__ = ["export_workspace", "import_workspace"]

FORMAT = 1
LISTING = "workspace.json"
MAX_FILES = 10_000
MAX_NAME = 1_000
# What zipfile and zlib raise on broken archives.
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


@dataclass(frozen=True)
class _Listed:
    """What `workspace.json` says, checked."""

    title: str
    snapshot: dict[str, Any]
    files: dict[str, str]  # digest → name
    results: dict[str, tuple[str, str]]  # key → model, digest

    @property
    def digests(self) -> set[str]:
        return {*self.files, *(digest for _, digest in self.results.values())}


def export_workspace(store: Store, id: str, target: Path, owner: str = "") -> None:
    """Write a workspace with its files and results to `target`.

    Raises
    ------
    WorkspaceError : no such workspace for this person, or the disk fails.
    """
    found, snapshot, files, results = store.contents(id, owner)
    listing = {
        "sidelight workspace": FORMAT,
        "title": found.title,
        "snapshot": snapshot,
        "files": files,
        "results": results,
    }
    digests = {*files, *(digest for _, digest in results.values())}
    try:
        with zipfile.ZipFile(target, "w") as archive:  # stored: models are packed already
            archive.writestr(LISTING, json.dumps(listing, ensure_ascii=False))
            for digest in sorted(digests):
                archive.write(store.blobs.path(digest), f"files/{digest}")
    except OSError as error:
        raise WorkspaceError(
            f"The workspace cannot be written to a file ({error.strerror or error}). Check that "
            "there is room on the disk."
        ) from error


def import_workspace(
    store: Store, source: bytes | Path | BinaryIO, name: str, owner: str = ""
) -> str:
    """A new workspace from an exported file; its id. `name` is the file's name in messages.

    Raises
    ------
    LimitExceeded : it unpacks to more than `workspace_quota_mb` leaves room for.
    WorkspaceError : it is no exported workspace, or damaged, or was changed by hand.
    """
    opened: Any = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with zipfile.ZipFile(opened) as archive, ExitStack() as drafts:
            listed = _read_listing(archive, name)
            members = _members(archive, listed, name)
            store.check_room(name, sum(member.file_size for member in members.values()))
            written: dict[str, Written] = {}
            for digest, member in members.items():
                with archive.open(member) as stream:
                    draft = drafts.enter_context(store.blobs.write(stream))  # type: ignore[arg-type]
                if draft.digest != digest:
                    _refuse(name, "a file in it does not have the content that its name promises")
                written[digest] = draft
            return store.adopt(
                owner, listed.title, listed.snapshot, listed.files, listed.results, written
            )
    except DAMAGED as error:
        raise WorkspaceError(
            f"{name} is not a workspace that was exported here, or is cut off or damaged. Export "
            "it again, and upload that file as it is."
        ) from error


def _refuse(name: str, why: str) -> NoReturn:
    raise WorkspaceError(f"{name} was not imported: {why}. Export the workspace again.")


def _read_listing(archive: zipfile.ZipFile, name: str) -> _Listed:
    if len(archive.infolist()) > MAX_FILES:
        _refuse(name, f"it holds more than {MAX_FILES:,} files")
    found = [one for one in archive.infolist() if one.filename == LISTING]
    if len(found) != 1:
        _refuse(name, f"it has no {LISTING}" if not found else f"it has {LISTING} twice")
    if found[0].file_size > 2 * MAX_SNAPSHOT:
        raise LimitExceeded(
            f"{name} describes itself in {megabytes(found[0].file_size)}; at most "
            f"{megabytes(2 * MAX_SNAPSHOT)} are read. Export the workspace again."
        )
    try:
        listing = json.loads(archive.read(found[0]), parse_constant=_no_constant)
    except RecursionError:
        _refuse(name, f"its {LISTING} is nested too deeply")
    if not isinstance(listing, dict) or listing.get("sidelight workspace") != FORMAT:
        _refuse(name, f"its {LISTING} is not of this version of Sidelight")
    return _checked(listing, name)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _checked(listing: Mapping[str, Any], name: str) -> _Listed:
    title, snapshot = listing.get("title"), listing.get("snapshot")
    files, results = listing.get("files"), listing.get("results")
    sound = (
        isinstance(title, str)
        and isinstance(snapshot, dict)
        and isinstance(files, dict)
        and all(is_digest(one) and _is_name(other) for one, other in files.items())
        and isinstance(results, dict)
        and len(results) <= MAX_RESULTS
        and all(_is_name(key) and _is_result(value) for key, value in results.items())
    )
    if not sound:
        _refuse(name, f"its {LISTING} does not have the form that an export has")
    pairs = {key: (value[0], value[1]) for key, value in results.items()}  # type: ignore[union-attr]
    return _Listed(title[:MAX_NAME], snapshot, files, pairs)  # type: ignore[index, arg-type]


def _is_name(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= MAX_NAME


def _is_result(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and len(value[0]) <= MAX_NAME
        and is_digest(value[1])
    )


def _members(archive: zipfile.ZipFile, listed: _Listed, name: str) -> dict[str, zipfile.ZipInfo]:
    """Digest → member; names decide nothing about where anything is written."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        if member.filename == LISTING:
            continue
        if member.compress_type != zipfile.ZIP_STORED:
            _refuse(name, "it was packed again, so what it unpacks to is not known")
        folder, _, digest = member.filename.partition("/")
        if folder != "files" or not is_digest(digest) or digest in members:
            _refuse(name, f"it holds {member.filename[:80]!r}, which no export holds")
        members[digest] = member
    if sum(member.file_size for member in members.values()) > archive.start_dir:
        _refuse(name, "files in it share their content, as no export does")
    if set(members) != listed.digests:
        _refuse(name, "the files in it are not those that it lists")
    return members
