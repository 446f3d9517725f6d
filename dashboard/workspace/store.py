"""Workspaces on the disk: who may open which, their snapshots, files and finished results.

A workspace's id is its key: 128 random bits, given to nobody but in the link. With sign-in it
also has an owner; anyone else with the link gets in only where the owner shares it, and only to
read.
"""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import LimitExceeded, WorkspaceError
from ..settings import Settings, get_settings
from .blobs import Blobs, Written, megabytes
from .schema import Database

__all__ = ["Store", "StoredFile", "Workspace"]

MEGABYTE = 1_000_000
DAY = 86_400.0
MAX_SNAPSHOT = 32 * MEGABYTE
MAX_RESULTS = 2_000  # of one workspace; the oldest go first
_ID = re.compile(r"[A-Za-z0-9_-]{22}")
_COLUMNS = "id, owner, title, shared, created, opened, revision"


@dataclass(frozen=True)
class Workspace:
    """What is known of a workspace without its contents; times are seconds since 1970."""

    id: str
    owner: str
    title: str
    shared: bool
    created: float
    opened: float
    revision: int
    writable: bool = True


@dataclass(frozen=True)
class StoredFile:
    """An upload that a workspace keeps; not `there`: its content was removed by somebody."""

    digest: str
    name: str
    size: int
    there: bool = True


class Store:
    """All workspaces of one folder; safe to use from many threads and processes at once.

    Parameters
    ----------
    folder : made when it is missing; nobody else on this machine may look into it.

    Raises
    ------
    WorkspaceError : the folder cannot be used, or holds something else.
    """

    def __init__(self, folder: Path, settings: Settings | None = None) -> None:
        self.folder = folder
        self._settings = settings or get_settings()
        self.blobs = Blobs(folder)
        self._database = Database(folder / "workspaces.sqlite")
        self.apply_retention()
        self._remove_unused()
        with self._database.writing() as db:
            self.blobs.sweep({row[0] for row in db.execute("SELECT digest FROM blobs")})

    # -- workspaces -----------------------------------------------------------------------

    def create(self, owner: str = "", title: str = "") -> str:
        """A new, empty workspace; its id cannot be guessed. What is past its time goes."""
        self.apply_retention()
        id, now = secrets.token_urlsafe(16), time.time()
        with self._database.writing() as db:
            db.execute(
                "INSERT INTO workspaces (id, owner, title, created, opened) VALUES (?, ?, ?, ?, ?)",
                (id, owner, title, now, now),
            )
        return id

    def open(self, id: str, owner: str = "") -> tuple[Workspace, dict[str, Any]]:
        """A workspace and its snapshot, for its owner or, where shared, for reading.

        A workspace that was made without sign-in belongs to the first person who signs in and
        opens its link.

        Raises
        ------
        WorkspaceError : there is none with this id, or not for this person.
        """
        with self._database.writing() as db:
            found = _find(db, id, owner)
            db.execute(
                "UPDATE workspaces SET opened = ?, owner = ? WHERE id = ?",
                (time.time(), owner if found.writable else found.owner, id),
            )
            text = db.execute("SELECT snapshot FROM workspaces WHERE id = ?", (id,)).fetchone()[0]
        return found, _parsed(text)

    def look_up(self, id: str, owner: str = "") -> Workspace:
        """What is known of a workspace now; opens nothing.

        Raises
        ------
        WorkspaceError : there is none with this id, or not for this person.
        """
        with self._database.reading() as db:
            return _find(db, id, owner)

    def save_state(
        self,
        id: str,
        snapshot: Mapping[str, Any],
        *,
        owner: str = "",
        revision: int,
        drop: Collection[str] = (),
        title: str | None = None,
    ) -> int | None:
        """Replace the snapshot; the new revision, or None when `revision` is not the latest.

        `drop`: digests of files that are no longer used; they go, and the results of models among
        them. What another session has just added is not for this one to drop.

        Raises
        ------
        WorkspaceError : no such workspace for this person, or only for reading.
        """
        text = json.dumps(snapshot, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if len(text) > MAX_SNAPSHOT:
            raise LimitExceeded(
                f"The description of this workspace takes {megabytes(len(text))}; at most "
                f"{megabytes(MAX_SNAPSHOT)} are kept. Use data with fewer columns."
            )
        with self._database.writing() as db:
            if _writable(db, id, owner).revision != revision:
                return None
            db.execute(
                "UPDATE workspaces SET snapshot = ?, revision = revision + 1, opened = ?, "
                "title = coalesce(?, title) WHERE id = ?",
                (text, time.time(), title, id),
            )
            pairs = [(id, digest) for digest in drop]
            db.executemany("DELETE FROM files WHERE workspace = ? AND digest = ?", pairs)
            db.executemany("DELETE FROM results WHERE workspace = ? AND model = ?", pairs)
        if drop:
            self._remove_unused()
        return revision + 1

    def share(self, id: str, shared: bool, owner: str = "") -> None:
        """Let everybody with the link read this workspace, or nobody any more."""
        with self._database.writing() as db:
            _writable(db, id, owner)
            db.execute("UPDATE workspaces SET shared = ? WHERE id = ?", (int(shared), id))

    def recent(self, owner: str = "", limit: int = 20) -> list[Workspace]:
        """This owner's workspaces, the last opened first.

        Without sign-in that is everybody's: ask only where a single person uses this server.
        """
        query = f"SELECT {_COLUMNS} FROM workspaces WHERE owner = ? ORDER BY opened DESC LIMIT ?"  # noqa: S608
        with self._database.reading() as db:
            return [_workspace(row, owner) for row in db.execute(query, (owner, limit))]

    def copy(self, id: str, owner: str = "") -> str:
        """A workspace of one's own with the same contents, from one that may be read."""
        new = secrets.token_urlsafe(16)
        with self._database.writing() as db:
            _find(db, id, owner)
            now = time.time()
            db.execute(
                "INSERT INTO workspaces (id, owner, title, created, opened, revision, snapshot) "
                "SELECT ?, ?, title, ?, ?, 0, snapshot FROM workspaces WHERE id = ?",
                (new, owner, now, now, id),
            )
            db.execute(
                "INSERT INTO files (workspace, digest, name) "
                "SELECT ?, digest, name FROM files WHERE workspace = ?",
                (new, id),
            )
            db.execute(
                "INSERT INTO results (workspace, key, model, digest) "
                "SELECT ?, key, model, digest FROM results WHERE workspace = ?",
                (new, id),
            )
        return new

    def delete(self, id: str, owner: str = "") -> None:
        """Remove a workspace, and every content that no other workspace refers to."""
        with self._database.writing() as db:
            _writable(db, id, owner)
            db.execute("DELETE FROM workspaces WHERE id = ?", (id,))
        self._remove_unused()

    def apply_retention(self, now: float | None = None) -> int:
        """Delete what nobody opened for `workspace_days` days; how many workspaces that were."""
        days = self._settings.workspace_days
        if not days:
            return 0
        before = (time.time() if now is None else now) - days * DAY
        with self._database.writing() as db:
            gone = db.execute("DELETE FROM workspaces WHERE opened < ?", (before,)).rowcount
        if gone:
            self._remove_unused()
        return int(gone)

    # -- files ----------------------------------------------------------------------------

    def add_file(self, id: str, name: str, source: bytes | Path | BinaryIO, owner: str = "") -> str:
        """Keep an upload; its digest. The same content is on the disk once.

        Raises
        ------
        LimitExceeded : all workspaces together would exceed `workspace_quota_mb`.
        WorkspaceError : no such workspace for this person, only for reading, or the disk fails.
        """
        self.look_up(id, owner)
        self.check_room(name, _size(source))
        with self.blobs.write(source) as written, self._database.writing() as db:
            _writable(db, id, owner)
            self._place(db, written, name)
            db.execute(
                "INSERT INTO files (workspace, digest, name) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET name = excluded.name",
                (id, written.digest, name),
            )
        return written.digest

    def files(self, id: str, owner: str = "") -> list[StoredFile]:
        """The uploads of a workspace, by name."""
        with self._database.reading() as db:
            _find(db, id, owner)
            rows = db.execute(
                "SELECT digest, name, size FROM files JOIN blobs USING (digest) "
                "WHERE workspace = ? ORDER BY name, digest",
                (id,),
            )
            place = self.blobs.path
            return [
                StoredFile(digest, kept_as, size, place(digest).is_file())
                for digest, kept_as, size in rows
            ]

    def file_path(self, id: str, digest: str, owner: str = "") -> Path:
        """Where an upload of this workspace lies.

        Raises
        ------
        WorkspaceError : this workspace has no such file, whatever others have.
        """
        with self._database.reading() as db:
            _find(db, id, owner)
            query = "SELECT name FROM files WHERE workspace = ? AND digest = ?"
            row = db.execute(query, (id, digest)).fetchone()
        if row is None or not self.blobs.path(digest).is_file():
            name = row[0] if row else f"file {digest[:12]} …"
            raise WorkspaceError(f"{name} is no longer in this workspace. Upload it again.")
        return self.blobs.path(digest)

    # -- results --------------------------------------------------------------------------

    def put_result(
        self, id: str, key: str, content: bytes, *, model: str = "", owner: str = ""
    ) -> None:
        """Keep a finished result under a key; `model`: the digest of the file it belongs to.

        Raises
        ------
        LimitExceeded : all workspaces together would exceed `workspace_quota_mb`.
        WorkspaceError : no such workspace for this person, only for reading, or the disk fails.
        """
        self.check_room("This result", len(content))
        with self.blobs.write(content) as written, self._database.writing() as db:
            _writable(db, id, owner)
            self._place(db, written, "This result")
            db.execute(
                "INSERT OR REPLACE INTO results (workspace, key, model, digest) "
                "VALUES (?, ?, ?, ?)",
                (id, key, model, written.digest),
            )
            db.execute(
                "DELETE FROM results WHERE workspace = ?1 AND rowid IN (SELECT rowid FROM results "
                "WHERE workspace = ?1 ORDER BY rowid DESC LIMIT -1 OFFSET ?2)",
                (id, MAX_RESULTS),
            )

    def get_result(self, id: str, key: str, owner: str = "") -> bytes | None:
        """What was kept under this key, or None."""
        with self._database.reading() as db:
            _find(db, id, owner)
            query = "SELECT digest FROM results WHERE workspace = ? AND key = ?"
            row = db.execute(query, (id, key)).fetchone()
        if row is None:
            return None
        path = self.blobs.path(row[0])
        return path.read_bytes() if path.is_file() else None

    def usage(self) -> int:
        """Bytes of all contents of all workspaces."""
        with self._database.reading() as db:
            return int(db.execute("SELECT coalesce(sum(size), 0) FROM blobs").fetchone()[0])

    def size(self, id: str, owner: str = "") -> int:
        """Bytes of the contents of one workspace."""
        with self._database.reading() as db:
            _find(db, id, owner)
            query = (
                "SELECT coalesce(sum(size), 0) FROM blobs WHERE digest IN ("
                "SELECT digest FROM files WHERE workspace = ?1 "
                "UNION SELECT digest FROM results WHERE workspace = ?1)"
            )
            return int(db.execute(query, (id,)).fetchone()[0])

    # -- contents -------------------------------------------------------------------------

    def contents(
        self, id: str, owner: str = ""
    ) -> tuple[Workspace, dict[str, Any], dict[str, str], dict[str, tuple[str, str]]]:
        """Everything at one moment: the snapshot, digest → name, key → (model, digest)."""
        with self._database.reading() as db:
            found = _find(db, id, owner)
            query = "SELECT snapshot FROM workspaces WHERE id = ?"
            snapshot = _parsed(db.execute(query, (id,)).fetchone()[0])
            query = "SELECT digest, name FROM files WHERE workspace = ?"
            files = dict(db.execute(query, (id,)).fetchall())
            query = "SELECT key, model, digest FROM results WHERE workspace = ?"
            results = {key: (model, digest) for key, model, digest in db.execute(query, (id,))}
        return found, snapshot, files, results

    def adopt(
        self,
        owner: str,
        title: str,
        snapshot: Mapping[str, Any],
        files: Mapping[str, str],
        results: Mapping[str, tuple[str, str]],
        written: Mapping[str, Written],
    ) -> str:
        """A new workspace with all of these contents at once, or an error and nothing."""
        id, now = secrets.token_urlsafe(16), time.time()
        text = json.dumps(snapshot, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        with self._database.writing() as db:
            db.execute(
                "INSERT INTO workspaces (id, owner, title, created, opened, snapshot) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (id, owner, title, now, now, text),
            )
            for each in written.values():
                self._place(db, each, title or "This workspace")
            db.executemany(
                "INSERT INTO files (workspace, digest, name) VALUES (?, ?, ?)",
                [(id, digest, name) for digest, name in files.items()],
            )
            db.executemany(
                "INSERT INTO results (workspace, key, model, digest) VALUES (?, ?, ?, ?)",
                [(id, key, model, digest) for key, (model, digest) in results.items()],
            )
        return id

    def _place(self, db: sqlite3.Connection, written: Written, name: str) -> None:
        """Move a draft to its place and register it, if there is room; under the write lock."""
        digest = written.digest
        known = db.execute("SELECT 1 FROM blobs WHERE digest = ?", (digest,)).fetchone()
        if known is None:
            total = int(db.execute("SELECT coalesce(sum(size), 0) FROM blobs").fetchone()[0])
            self._refuse_above(name, written.size, total)
        self.blobs.place(written)
        db.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?)", (digest, written.size))

    def check_room(self, name: str, size: int) -> None:
        """Refuse what is too large before it is written; workspaces past their time go first.

        Raises
        ------
        LimitExceeded : all workspaces together would exceed `workspace_quota_mb`.
        """
        limit = self._settings.workspace_quota_mb * MEGABYTE
        if self.usage() + size > limit:
            self.apply_retention()
            self._remove_unused()
            self._refuse_above(name, size, self.usage())

    def _refuse_above(self, name: str, size: int, used: int) -> None:
        limit = self._settings.workspace_quota_mb * MEGABYTE
        if used + size > limit:
            raise LimitExceeded(
                f"{name} needs {megabytes(size)}; all workspaces together may take "
                f"{megabytes(limit)} and take {megabytes(used)} already. Delete workspaces, or "
                "raise the limit with SIDELIGHT_WORKSPACE_QUOTA_MB."
            )

    def _remove_unused(self) -> None:
        """Remove contents that nothing refers to, from the disk and from the journal."""
        with self._database.writing() as db:
            unused = [row[0] for row in db.execute(_UNUSED)]
            self.blobs.remove(unused)
            db.executemany("DELETE FROM blobs WHERE digest = ?", [(one,) for one in unused])
        self._database.forget_deleted()


_UNUSED = (
    "SELECT digest FROM blobs WHERE digest NOT IN (SELECT digest FROM files) "
    "AND digest NOT IN (SELECT digest FROM results)"
)


def _find(db: sqlite3.Connection, id: str, owner: str) -> Workspace:
    row = None
    if isinstance(id, str) and _ID.fullmatch(id):
        row = db.execute(f"SELECT {_COLUMNS} FROM workspaces WHERE id = ?", (id,)).fetchone()  # noqa: S608
    found = _workspace(row, owner) if row else None
    if found is None or not (found.writable or found.shared):
        raise WorkspaceError(
            "There is no workspace with this link, or it is not shared with you. Check the link, "
            "or ask for it to be shared."
        )
    return found


def _writable(db: sqlite3.Connection, id: str, owner: str) -> Workspace:
    found = _find(db, id, owner)
    if not found.writable:
        raise WorkspaceError(
            "This workspace is shared for reading only. Keep a copy of your own to change it."
        )
    return found


def _workspace(row: tuple[Any, ...], owner: str) -> Workspace:
    id, holder, title, shared, created, opened, revision = row
    writable = holder in ("", owner)
    return Workspace(id, holder, title, bool(shared), created, opened, revision, writable)


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WorkspaceError(
            "The description of this workspace is damaged. Open a backup, or start a new one."
        ) from error
    return found if isinstance(found, dict) else {}


def _size(source: bytes | Path | BinaryIO) -> int:
    """Bytes of a source as far as they are known before it is read."""
    if isinstance(source, bytes):
        return len(source)
    if isinstance(source, Path) and source.is_file():
        return source.stat().st_size
    return 0
