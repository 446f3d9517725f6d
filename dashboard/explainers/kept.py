"""Finished parts of slow work, kept under the digest of all that they depend on."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from ..contracts import Model
from ..data import EvalSet
from ..frames import Frame, FrameError, FrameLimits, read_frame, write_frame

__all__ = ["BlockStore", "KeptParts", "code_digest", "parts_of"]

T = TypeVar("T")
ENGINES = Path(__file__).parent
_SEAL = hashlib.sha256().digest_size


class BlockStore(Protocol):
    """Where finished parts are kept, by digest."""

    def get(self, key: str) -> bytes | None: ...

    def put(self, key: str, content: bytes) -> None: ...


@cache
def code_digest(folder: Path = ENGINES) -> str:
    """A digest of the code in a folder: what an older one computed is not taken for its own."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@dataclass(frozen=True)
class KeptParts:
    """The parts of one answer; without a store nothing is kept and nothing found.

    A part is a message as workers send it, behind its own digest: what was cut or changed is none.

    Attributes
    ----------
    told : all that every part depends on, the code that computes it among it. What a single part
        depends on, its `what`, may hold arrays, too.
    """

    store: BlockStore | None
    told: tuple[Any, ...] = ()

    def _key(self, what: Sequence[Any]) -> str:
        told = (*self.told, *map(_named, what))
        return hashlib.sha256(repr(told).encode()).hexdigest()

    def recall(self, what: Sequence[Any], read: Callable[[Frame], T]) -> T | None:
        """A part as `read` understands it; None where there is none that can be read."""
        content = None if self.store is None else self.store.get(self._key(what))
        if content is None or _seal(memoryview(content)[_SEAL:]) != content[:_SEAL]:
            return None
        limits = FrameLimits(header_bytes=8 << 20, array_bytes=len(content), arrays=1_000)
        stream = io.BytesIO(content)
        stream.seek(_SEAL)
        try:
            return read(read_frame(stream, limits))
        except (FrameError, EOFError):
            return None

    def keep(self, what: Sequence[Any], header: dict[str, Any], arrays: Sequence[Any]) -> None:
        """Keep a part; the arrays are numbers."""
        if self.store is None:
            return
        stream = io.BytesIO(bytes(_SEAL))
        stream.seek(_SEAL)
        write_frame(stream, header, arrays)
        with stream.getbuffer() as written:
            written[:_SEAL] = _seal(written[_SEAL:])
        self.store.put(self._key(what), stream.getvalue())

    def answer(
        self,
        what: Sequence[Any],
        read: Callable[[Frame], T],
        ask: Callable[[Callable[[Frame], tuple[T, Frame]]], tuple[T, Frame]],
        *,
        fresh: bool = False,
    ) -> T:
        """A kept part, else what `ask` is answered with when it is given a reader; that is kept.

        `fresh`: asked even where there is one.
        """
        found = None if fresh else self.recall(what, read)
        if found is None:
            found, frame = ask(lambda frame: (read(frame), frame))
            self.keep(what, frame.header, frame.arrays)
        return found


def _seal(content: memoryview) -> bytes:
    return hashlib.sha256(content).digest()


def _named(part: Any) -> Any:
    """Arrays by their digest."""
    if not isinstance(part, np.ndarray):
        return part
    return part.dtype.str, part.shape, _seal(np.ascontiguousarray(part).data).hex()


def parts_of(
    store: BlockStore | None,
    model: Model,
    evalset: EvalSet,
    method: str,
    *told: Any,
    code: Path = ENGINES,
) -> KeptParts:
    """Where parts of an answer are kept: nowhere for models without a digest.

    `told` : plain values, all that the parts depend on beside the model and the rows.
    `code` : the folder of the code that computes them.
    """
    digest = model.info.digest
    known = (code_digest(code), method, digest, evalset.digest)
    return KeptParts(store if digest else None, (*known, *told))
