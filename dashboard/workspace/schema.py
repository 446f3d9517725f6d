"""The database of the workspaces: its tables, how older ones are brought up to date, connections.

`PRAGMA user_version` counts the migrations a file has seen. A migration that has been released is
never changed; a new one is added at the end.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import WorkspaceError

__all__ = ["MIGRATIONS", "Database"]

APPLICATION = 0x534C5457  # "SLTW": tells our file from any other SQLite database
BUSY_SECONDS = 20.0

# fmt: off
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE workspaces (
            id TEXT PRIMARY KEY,
            owner TEXT NOT NULL,
            title TEXT NOT NULL DEFAULT '',
            shared INTEGER NOT NULL DEFAULT 0,
            created REAL NOT NULL,
            opened REAL NOT NULL,
            revision INTEGER NOT NULL DEFAULT 0,
            snapshot TEXT NOT NULL DEFAULT '{}'
        ) STRICT""",
        "CREATE INDEX workspaces_of_owner ON workspaces (owner, opened)",
        # Contents by digest, each on disk once, whoever refers to it.
        "CREATE TABLE blobs (digest TEXT PRIMARY KEY, size INTEGER NOT NULL) STRICT",
        """CREATE TABLE files (
            workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
            digest TEXT NOT NULL REFERENCES blobs (digest),
            name TEXT NOT NULL,
            PRIMARY KEY (workspace, digest)
        ) STRICT""",
        "CREATE INDEX files_of_blob ON files (digest)",
        """CREATE TABLE results (
            workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
            key TEXT NOT NULL,
            model TEXT NOT NULL,
            digest TEXT NOT NULL REFERENCES blobs (digest),
            PRIMARY KEY (workspace, key)
        ) STRICT""",
        "CREATE INDEX results_of_blob ON results (digest)",
    ),
)
# fmt: on


class Database:
    """One SQLite file in WAL mode. A connection lives for one transaction, in any thread.

    Raises
    ------
    WorkspaceError : the file is damaged, of a newer version, of something else, or cannot be
        written.
    """

    def __init__(self, path: Path, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
        self.path = path
        self._migrate(migrations)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view; writers do not wait for it."""
        with self._connected() as connection:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; one writer at a time, of all threads and processes."""
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    def forget_deleted(self) -> None:
        """Rewrite the journal, so that what was deleted is in no file any more."""
        with self._connected() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection that is rolled back and closed on any error."""
        connection: sqlite3.Connection | None = None
        try:
            connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA synchronous = FULL")
            yield connection
        except sqlite3.Error as error:
            raise WorkspaceError(self._sentence(error)) from error
        finally:
            if connection is not None:
                connection.close()

    def _sentence(self, error: sqlite3.Error) -> str:
        code = getattr(error, "sqlite_errorname", "") or ""
        if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return (
                f"The database of the workspaces is damaged ({self.path}). Move it away, or put a "
                "backup in its place; what is loaded here goes on, and is not kept."
            )
        if code.startswith("SQLITE_BUSY"):
            return (
                "Another process has kept the workspaces locked for "
                f"{BUSY_SECONDS:.0f} seconds. Try again."
            )
        return (
            f"The workspaces in {self.path.parent} cannot be used ({error}). Check that there is "
            "room on the disk and that the folder may be written."
        )

    def _migrate(self, migrations: Sequence[Sequence[str]]) -> None:
        with self._connected() as connection:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            connection.execute("BEGIN IMMEDIATE")
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            ours = int(connection.execute("PRAGMA application_id").fetchone()[0])
            tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
            if tables and ours != APPLICATION:
                raise WorkspaceError(
                    f"{self.path} is a database of another program. Move it away, or choose "
                    "another folder with SIDELIGHT_HOME."
                )
            if version > len(migrations):
                raise WorkspaceError(
                    f"The workspaces in {self.path.parent} were written by a newer Sidelight "
                    f"(version {version}; this one knows {len(migrations)}). Update Sidelight, or "
                    "choose another folder with SIDELIGHT_HOME."
                )
            for statement in (one for step in migrations[version:] for one in step):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(migrations)}")
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute("COMMIT")
