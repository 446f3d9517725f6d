"""Long work as it is seen from inside: progress to report, and whether anybody still waits."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Work"]


class Work(Protocol):
    """What an operation is given beside its data."""

    def progress(self, done: int, total: int, sentence: str, /) -> None:
        """Say how far it is; as often as one likes."""

    def check(self) -> None:
        """To be called a few times a second; raises when the work is to stop."""
