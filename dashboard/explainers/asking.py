"""One door to a model's operations, whether it lives in a worker or in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy.typing as npt
import pandas as pd

from ..contracts import Model
from ..frames import Frame, FrameLimits
from ..models.confined import ConfinedModel
from ..sandbox.processes import WorkCancelled, is_unwanted, tell_progress

__all__ = ["ask"]

Rows = pd.DataFrame | npt.NDArray[Any]
T = TypeVar("T")


class _Here:
    """Long work in this thread: its watcher hears of it and may stop it."""

    def progress(self, done: int, total: int, sentence: str, /) -> None:
        tell_progress(done, total, sentence)

    def check(self) -> None:
        if is_unwanted():
            raise WorkCancelled("You stopped the explanation.")


def ask(
    model: Model,
    operation: str,
    arguments: Mapping[str, Any],
    tables: Mapping[str, Rows],
    *,
    read: Callable[[Frame], T],
    array_bytes: int = 256 << 20,
) -> T:
    """The answer of an operation of `OPERATIONS`, checked by `read`.

    Parameters
    ----------
    arguments : plain JSON values.
    tables : what the operation reads, each under its name; a worker gets each of them once.
    array_bytes : what the arrays of the answer may take at most.

    Raises
    ------
    ModelError : the operation failed, was stopped, or answered what `read` does not believe.
    """
    if isinstance(model, ConfinedModel):
        limits = FrameLimits(header_bytes=8 << 20, array_bytes=array_bytes, arrays=1_000)
        return model.ask(operation, arguments, tables, limits=limits, read=read)
    from .operations import OPERATIONS

    told = {**arguments, "name": model.info.kind}
    header, arrays = OPERATIONS[operation](model, tables, told, _Here())
    return read(Frame(header, tuple(arrays)))
