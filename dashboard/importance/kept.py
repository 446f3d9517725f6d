"""Finished parts of a slow measurement, kept under the digest of all that they depend on."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from ..contracts import Model
from ..data import EvalSet
from ..explainers.staging import BlockStore
from ..frames import Frame, FrameError, FrameLimits, read_frame, write_frame

__all__ = ["BlockStore", "KeptParts", "parts_of"]

T = TypeVar("T")
VERSION = 1  # of what is stored


@dataclass(frozen=True)
class KeptParts:
    """The parts of one measurement; without a store nothing is kept and nothing found."""

    store: BlockStore | None
    told: tuple[Any, ...]

    def _key(self, what: Sequence[Any]) -> str:
        return hashlib.sha256(repr((VERSION, *self.told, *what)).encode()).hexdigest()

    def recall(self, what: Sequence[Any], read: Callable[[Frame], T]) -> T | None:
        """A part as `read` understands it; None where there is none that can be read."""
        content = None if self.store is None else self.store.get(self._key(what))
        if content is None:
            return None
        limits = FrameLimits(header_bytes=8 << 20, array_bytes=len(content), arrays=8)
        try:
            return read(read_frame(io.BytesIO(content), limits))
        except (FrameError, EOFError):
            return None

    def keep(self, what: Sequence[Any], header: dict[str, Any], arrays: Sequence[Any]) -> None:
        """Keep a part; the arrays are numbers."""
        if self.store is None:
            return
        stream = io.BytesIO()
        write_frame(stream, header, [np.ascontiguousarray(one) for one in arrays])
        self.store.put(self._key(what), stream.getvalue())


def parts_of(
    store: BlockStore | None, model: Model, evalset: EvalSet, method: str, *told: Any
) -> KeptParts:
    """Where parts of a model's measurement are kept: nowhere for models without a digest.

    `told` : plain values, all that the parts depend on beside the model and the rows.
    """
    digest = model.info.digest
    return KeptParts(store if digest else None, (method, digest, evalset.digest, *told))
