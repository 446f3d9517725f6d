"""Files that workers may read: written once, lent to as many workers as need them.

    <home>/run/<process>-<random>/      of this process alone, mode 0700, gone when it ends
        lock                            held as long as the process lives
        files/<name>                    models by digest, rows by number
        inbox-<number>/                 what one worker sees: hard links to such files

Rows are known by the identity of their frame or array, so the second model on the same data
transfers nothing, and they leave the shelf when the frame does.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import secrets
import shutil
import sys
import threading
import time
import weakref
from collections import deque
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pandas as pd

from ..errors import ModelError
from ..frames import fingerprint, held_for_fingerprint, write_rows
from ..settings import Settings, home_folder
from .confinement import scratch_folder
from .scratch import remove_folder

__all__ = ["Shelf", "Shelved"]

Rows = pd.DataFrame | npt.NDArray[Any]

ABANDONED_SECONDS = 3_600
_CHUNK = 4 << 20


class Shelved:
    """One file on the shelf; it is removed, with all its links, when nobody holds this object."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._links: dict[Path, None] = {}
        self._end = weakref.finalize(self, _unlink_all, path, self._links)
        self._end.atexit = False

    def lend(self, inbox: Path, name: str | None = None) -> str:
        """Make it readable in an inbox; its name there."""
        link = inbox / (name or self.path.name)
        if not self.path.exists():
            raise ModelError("The files of the worker were removed. Load the model again.")
        if link not in self._links:
            try:
                link.parent.mkdir(exist_ok=True)
                _link(self.path, link)
            except OSError as error:
                raise ModelError(_no_room(error)) from error
            self._links[link] = None
        return link.relative_to(inbox).as_posix()

    def forget(self, inbox: Path) -> None:
        """The inbox is gone, and its links with it."""
        for link in list(self._links):  # first a copy: others lend at the same time
            if link.is_relative_to(inbox):
                self._links.pop(link, None)


def _unlink_all(path: Path, links: dict[Path, None]) -> None:
    for each in (*links, path):
        each.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def _no_room(error: OSError) -> str:
    return (
        f"A worker's files cannot be written ({error.strerror}). Free some space where Sidelight "
        "keeps its files (setting home)."
    )


class _RowsEntry:
    """Rows on the shelf and the checksum they had; the lock makes others wait for the writer."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.shelved: Shelved | None = None
        self.checksum: int | None = None
        self.held: list[Any] = []


class Shelf:
    """The folder of this process; created when it is first needed."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._base = home_folder(settings) / "run"
        self._folder: Path | None = None
        self._held: Any = None
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._rows: dict[int, _RowsEntry] = {}
        self._gone: deque[int] = deque()  # filled by the collector, which must not wait for locks
        self._files: weakref.WeakValueDictionary[str, Shelved] = weakref.WeakValueDictionary()

    # ---- places ----------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        with self._lock:
            if self._folder is None or not self._folder.is_dir():
                if self._held is not None:
                    self._held.close()
                try:
                    self._base.mkdir(mode=0o700, parents=True, exist_ok=True)
                    _sweep(self._base)
                    self._folder, self._held = _settle(self._base)
                except OSError as error:
                    raise ModelError(_no_room(error)) from error
            return self._folder

    def new_inbox(self) -> Path:
        """An empty folder for one worker, with a temporary folder beside it."""
        inbox = self.folder / f"inbox-{next(self._numbers)}"
        try:
            inbox.mkdir(mode=0o700)
        except OSError as error:
            raise ModelError(_no_room(error)) from error
        return inbox

    def remove_inbox(self, inbox: Path) -> None:
        """Remove an inbox, its links and the worker's temporary folder."""
        for known in self._files.valuerefs():  # a copy; `values` fails when others add to it
            file = known()
            if file is not None:
                file.forget(inbox)
        for entry in list(self._rows.values()):
            if entry.shelved is not None:
                entry.shelved.forget(inbox)
        remove_folder(inbox)
        remove_folder(scratch_folder(inbox))

    def close(self) -> None:
        """Remove everything."""
        with self._lock:
            folder, held = self._folder, self._held
            self._folder = self._held = None
            self._rows.clear()
        if folder is not None:
            if held is not None:
                held.close()
            remove_folder(folder)

    # ---- files -----------------------------------------------------------------------------

    def shelve_file(self, source: Path | bytes, digest: str) -> Shelved:
        """A private copy of a file, by its sha-256; kept as long as the result is held.

        Raises
        ------
        ModelError : it cannot be read, is not what the digest says, or there is no room.
        """
        folder = self.folder / "files"
        with self._lock:
            found = self._files.get(digest)
            if found is not None and found.path.exists():
                return found
            path = folder / f"{digest[:64]}-{next(self._numbers)}"
            try:
                actual = _copy(source, path)
            except OSError as error:
                path.unlink(missing_ok=True)
                raise ModelError(_no_room(error)) from error
            if actual != digest:
                path.unlink(missing_ok=True)
                raise ModelError("The file changed while it was read. Load it again.")
            self._files[digest] = shelved = Shelved(path)
            return shelved

    # ---- rows ------------------------------------------------------------------------------

    def shelve_rows(self, X: Rows) -> Shelved:
        """`X` as a file; written only when it is not there already.

        Raises
        ------
        ModelError : cells that cannot be written, or no room.
        """
        entry = self._entry(X)
        with entry.lock:
            if entry.shelved is None or not entry.shelved.path.exists():
                path = self.folder / "files" / f"rows-{next(self._numbers)}"
                try:
                    write_rows(path, X)
                except OSError as error:
                    path.unlink(missing_ok=True)
                    raise ModelError(_no_room(error)) from error
                except ModelError:
                    path.unlink(missing_ok=True)
                    raise
                entry.shelved, entry.checksum = Shelved(path), None
            return entry.shelved

    def is_unchanged(self, X: Rows) -> bool:
        """Whether nobody wrote into `X` since it was shelved; reads it all."""
        entry, checksum = self._entry(X), fingerprint(X)
        with entry.lock:
            if entry.checksum is None:
                entry.checksum, entry.held = checksum, held_for_fingerprint(X)
            if entry.checksum == checksum:
                return True
            entry.shelved = entry.checksum = None
            return False

    def _entry(self, X: Rows) -> _RowsEntry:
        with self._lock:
            self._drop_gone()
            entry = self._rows.get(id(X))
            if entry is None:
                entry = self._rows[id(X)] = _RowsEntry()
                weakref.finalize(X, self._left, id(X)).atexit = False
            return entry

    def _left(self, number: int) -> None:
        """Rows are gone; called wherever the collector runs, so it waits for nobody."""
        self._gone.append(number)
        if self._lock.acquire(blocking=False):
            try:
                self._drop_gone()
            finally:
                self._lock.release()

    def _drop_gone(self) -> None:
        while self._gone:
            self._rows.pop(self._gone.popleft(), None)


def _copy(source: Path | bytes, target: Path) -> str:
    """Write `source` to `target`; the sha-256 of what was written."""
    digest = hashlib.sha256()
    with target.open("xb") as written:
        if isinstance(source, bytes):
            digest.update(source)
            written.write(source)
            return digest.hexdigest()
        with source.open("rb") as read:
            while chunk := read.read(_CHUNK):
                digest.update(chunk)
                written.write(chunk)
    return digest.hexdigest()


# ---- folders of processes ----------------------------------------------------------------------


def _settle(base: Path) -> tuple[Path, Any]:
    """A new folder, seen by others only when its lock is held already."""
    name = f"{os.getpid()}-{secrets.token_hex(8)}"
    hidden, folder = base / f".{name}", base / name
    hidden.mkdir(mode=0o700)
    (hidden / "files").mkdir(mode=0o700)
    held = (hidden / "lock").open("wb")
    _try_lock(held)
    hidden.rename(folder)
    return folder, held


def _try_lock(file: Any) -> bool:
    """Lock an open file for as long as it is open; False when another process has it."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _sweep(base: Path) -> None:
    """Remove the folders of processes that have ended without doing it."""
    for folder in base.iterdir():
        try:
            if folder.name.startswith("."):
                orphan = time.time() - folder.stat().st_mtime > ABANDONED_SECONDS
            else:
                with (folder / "lock").open("ab") as file:
                    orphan = _try_lock(file)
        except OSError:
            continue  # another process removes it at this moment
        if orphan:
            remove_folder(folder)
