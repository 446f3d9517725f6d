"""Contents by digest: a file is whole and in its place, or it is not there.

Contents are written beside their place, flushed to the disk, and moved by one rename. The move
happens while the caller holds the database's write lock, and so does every removal: a content
that is being added is never taken away at the same moment. What a killed process leaves behind is
swept at the next start.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import WorkspaceError

__all__ = ["Blobs", "Written", "is_digest", "megabytes"]

BLOCK = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DRAFT = re.compile(r"(\d+)-([0-9a-f]{16})-[0-9a-f]{16}")
# In a container every server has the same process id.
_THIS_RUN = secrets.token_hex(8)


def is_digest(text: object) -> bool:
    """Whether this is a hex sha-256, and thus safe as part of a path."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def megabytes(size: float) -> str:
    """`1,024.0 MB`."""
    return f"{size / 1e6:,.1f} MB"


@dataclass(frozen=True)
class Written:
    """A content on the disk that has not been moved to its place yet."""

    digest: str
    size: int
    draft: Path


class Blobs:
    """The folders `files/ab/<sha-256>` and `drafts` in one folder, for its owner only."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "files"
        self.drafts = folder / "drafts"
        with _disk("be set up", folder):
            for each in (folder, self.files, self.drafts):
                each.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.name != "nt":
                folder.chmod(0o700)

    def path(self, digest: str) -> Path:
        """Where this content lies, or would lie."""
        return self.files / digest[:2] / digest

    @contextmanager
    def write(self, source: bytes | Path | BinaryIO) -> Iterator[Written]:
        """The content as a draft; gone at the end of the block unless it was `place`d.

        Raises
        ------
        WorkspaceError : it cannot be read, or written (no room on the disk …).
        """
        with self.draft() as draft:
            with _disk("be written", self.files.parent):
                digest, size = _write(source, draft)
            yield Written(digest, size, draft)

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """A new path beside the contents; what lies there at the end of the block goes."""
        path = self.drafts / f"{os.getpid()}-{_THIS_RUN}-{secrets.token_hex(8)}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def place(self, written: Written) -> None:
        """Move a draft to its place. The caller holds the write lock."""
        target = self.path(written.digest)
        with _disk("be written", self.files.parent):
            if not target.parent.is_dir():
                target.parent.mkdir(mode=0o700, exist_ok=True)
                _flush_folder(self.files)
            written.draft.replace(target)
            _flush_folder(target.parent)

    def remove(self, digests: Iterable[str]) -> None:
        """Really remove contents. The caller holds the write lock, and nothing refers to them."""
        for digest in digests:
            self.path(digest).unlink(missing_ok=True)

    def sweep(self, known: set[str]) -> None:
        """Remove what no row names, and drafts of processes that are gone; under the lock."""
        for path in self.files.glob("*/*"):
            if path.name not in known:
                path.unlink(missing_ok=True)
        for path in self.drafts.iterdir():
            match = _DRAFT.fullmatch(path.name)
            if match is None or not _is_running(int(match[1]), match[2]):
                path.unlink(missing_ok=True)


def _write(source: bytes | Path | BinaryIO, draft: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(draft, flags, 0o600), "wb") as sink:
        for block in _blocks(source):
            digest.update(block)
            size += sink.write(block)
        sink.flush()
        os.fsync(sink.fileno())
    return digest.hexdigest(), size


def _blocks(source: bytes | Path | BinaryIO) -> Iterator[bytes | memoryview]:
    if isinstance(source, bytes):
        whole = memoryview(source)
        yield from (whole[at : at + BLOCK] for at in range(0, len(whole), BLOCK))
    elif isinstance(source, Path):
        with source.open("rb") as stream:
            yield from _blocks(stream)
    else:
        while block := source.read(BLOCK):
            yield block


def _flush_folder(folder: Path) -> None:
    """Make a rename survive a power cut; Windows does that by itself."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_running(pid: int, run: str) -> bool:
    if pid == os.getpid():
        return run == _THIS_RUN
    if os.name == "nt":
        return False  # an open draft cannot be removed there anyway
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def _disk(what: str, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WorkspaceError(
            f"The workspaces in {folder} cannot {what}: {error.strerror or error}. Check that "
            "there is room on the disk and that the folder may be written."
        ) from error
