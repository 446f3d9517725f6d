"""One door to a model's operations, whether it lives in a worker or in this process."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy.typing as npt
import pandas as pd

from ..contracts import Model
from ..frames import Frame, FrameLimits
from ..models.confined import ConfinedModel
from ..sandbox.processes import WorkCancelled, is_unwanted, tell_progress, watched
from .kept import KeptParts

__all__ = ["as_part", "ask"]

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
    kept: KeptParts | None = None,
    hints: Mapping[str, Any] | None = None,
) -> T:
    """The answer of an operation of `OPERATIONS`, checked by `read`.

    Parameters
    ----------
    arguments : plain JSON values.
    tables : what the operation reads, each under its name; a worker gets each of them once.
    array_bytes : what the arrays of the answer may take at most.
    kept : where the answer is looked for first, and kept, by the operation and its arguments; it
        must tell the model and the rows.
    hints : further arguments, of how long it takes only.

    Raises
    ------
    ModelError : the operation failed, was stopped, or answered what `read` does not believe.
    """
    told = {**arguments, **(hints or {})}
    if kept is None:
        return _answered(model, operation, told, tables, read, array_bytes)
    return kept.answer(
        (operation, sorted(arguments.items())),
        read,
        lambda reader: _answered(model, operation, told, tables, reader, array_bytes),
    )


def _answered(
    model: Model,
    operation: str,
    told: Mapping[str, Any],
    tables: Mapping[str, Rows],
    read: Callable[[Frame], T],
    array_bytes: int,
) -> T:
    if isinstance(model, ConfinedModel):
        limits = FrameLimits(header_bytes=8 << 20, array_bytes=array_bytes, arrays=1_000)
        return model.ask(operation, told, tables, limits=limits, read=read)
    from .operations import OPERATIONS

    named = {**told, "name": model.info.kind}
    header, arrays = OPERATIONS[operation](model, tables, named, _Here())
    return read(Frame(header, tuple(arrays)))


def as_part(done: int, here: int, n: int, said: Callable[[int], str]) -> Any:
    """A watcher that hears of a call about `here` of `n` rows as of a part of the whole.

    `done` : rows before it. `said` : the sentence for a number of rows.
    """
    outer = contextvars.copy_context()

    def report(step: int, steps: int, sentence: str) -> None:
        reached = done + (here * step // steps if steps else 0)
        outer.run(tell_progress, reached, n, said(reached))

    report(0, 1, "")
    return watched(report, lambda: bool(outer.run(is_unwanted)))
