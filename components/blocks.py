"""Where finished blocks of an explanation lie: in the workspace, else in a bounded memory."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from dashboard import __version__
from dashboard.errors import DiagnosticsError

if TYPE_CHECKING:
    from components.workspaces import Kept

__all__ = ["MemoryBlocks", "ScopedBlocks", "WorkspaceBlocks", "shared_blocks"]

_MEMORY = 256 << 20


class MemoryBlocks:
    """Blocks by key, the least recently used dropped beyond `most` bytes."""

    def __init__(self, most: int) -> None:
        self._most, self._size = most, 0
        self._blocks: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        with self._lock:
            if key in self._blocks:
                self._blocks.move_to_end(key)
            return self._blocks.get(key)

    def put(self, key: str, block: bytes) -> None:
        with self._lock:
            self._size += len(block) - len(self._blocks.pop(key, b""))
            self._blocks[key] = block
            while self._size > self._most and self._blocks:
                _, dropped = self._blocks.popitem(last=False)
                self._size -= len(dropped)


@lru_cache(maxsize=1)
def shared_blocks() -> MemoryBlocks:
    """Those of this server's memory."""
    return MemoryBlocks(_MEMORY)


@dataclass(frozen=True)
class ScopedBlocks:
    """One session's part of a memory that others use, too; "" : everybody's, for samples."""

    blocks: MemoryBlocks
    scope: str

    def get(self, key: str) -> bytes | None:
        return self.blocks.get(f"{self.scope}/{key}")

    def put(self, key: str, block: bytes) -> None:
        self.blocks.put(f"{self.scope}/{key}", block)


@dataclass(frozen=True)
class WorkspaceBlocks:
    """Blocks of one model's explanations in a workspace; they go when the model goes.

    A block that cannot be read is computed anew, and one that cannot be kept is computed again
    next time: neither stops anybody.
    """

    kept: Kept
    model: str

    def get(self, key: str) -> bytes | None:
        try:
            return self.kept.store.get_result(self.kept.id, _named(key), self.kept.owner)
        except DiagnosticsError:
            return None

    def put(self, key: str, block: bytes) -> None:
        if not self.kept.writable:
            return
        try:
            self.kept.store.put_result(
                self.kept.id, _named(key), block, model=self.model, owner=self.kept.owner
            )
        except DiagnosticsError as error:
            self.kept.problem = str(error)


def _named(key: str) -> str:
    return f"block/{hashlib.sha256(f'{__version__} {key}'.encode()).hexdigest()}"
