"""Finished fits in a folder: a later call, or the same one after a stop, goes on from there."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from pathlib import Path

from .. import __version__
from ..errors import ParameterError
from ..explainers.kept import BlockStore

__all__ = ["CountedBlocks", "FolderBlocks"]

_DIGEST = hashlib.sha256().digest_size


class FolderBlocks:
    """A `BlockStore` of one file for each block, which is there as a whole or not at all.

    A file that was changed or cut is no block any more; what belongs to another version of
    Sidelight is not found. Several processes may use one folder. A block that cannot be kept
    stops nobody; `problem` says so.

    Raises
    ------
    ParameterError : the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problem = ""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ParameterError(
                f"Fits cannot be kept in {folder}: {error.strerror}. Choose another folder."
            ) from error

    def get(self, key: str) -> bytes | None:
        try:
            content = self._path(key).read_bytes()
        except OSError:
            return None
        digest, block = content[:_DIGEST], content[_DIGEST:]
        return block if hashlib.sha256(block).digest() == digest else None

    def put(self, key: str, content: bytes) -> None:
        draft = self.folder / f"{secrets.token_hex(8)}.draft"
        try:
            draft.write_bytes(hashlib.sha256(content).digest() + content)
            draft.replace(self._path(key))
        except OSError as error:
            self.problem = f"Fits could not be kept in {self.folder}: {error.strerror}."
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(f"{__version__} {key}".encode()).hexdigest()
        return self.folder / f"{name}.fit"


class CountedBlocks:
    """Another store, counting what was found in it."""

    def __init__(self, store: BlockStore) -> None:
        self._store = store
        self.n_found = 0

    @property
    def problem(self) -> str:
        """Why something could not be kept; "" where nothing went wrong."""
        return str(getattr(self._store, "problem", ""))

    def get(self, key: str) -> bytes | None:
        block = self._store.get(key)
        self.n_found += block is not None
        return block

    def put(self, key: str, content: bytes) -> None:
        self._store.put(key, content)
