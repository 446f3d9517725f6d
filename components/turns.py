"""Who may make a worker compute next: the quickest answers first, few at a time.

Every model gets its worker; were all of them to compute at once, none would answer soon, and the
app would be slow under everybody's hands.
"""

from __future__ import annotations

import heapq
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dashboard.errors import ModelError

__all__ = ["Turns", "get_fitting_turns", "get_loading_turns", "get_turns"]

_STEP = 0.1  # seconds between two looks at whether somebody gave up


class Turns:
    """At most `room` at work; those who wait are let in by rank, equal ranks as they came."""

    def __init__(self, room: int) -> None:
        self._changed = threading.Condition()
        self.room = self._free = room
        self._waiting: list[tuple[tuple[float, ...], int]] = []
        self._count = itertools.count()

    @contextmanager
    def turn(self, rank: tuple[float, ...], cancelled: Callable[[], bool]) -> Iterator[None]:
        """Wait for a turn, and have it until the block ends.

        Raises
        ------
        ModelError : cancelled while waiting.
        """
        self._wait((rank, next(self._count)), cancelled)
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()

    def _wait(self, me: tuple[tuple[float, ...], int], cancelled: Callable[[], bool]) -> None:
        with self._changed:
            heapq.heappush(self._waiting, me)
            while self._waiting[0] != me or not self._free:
                if cancelled():
                    self._waiting.remove(me)
                    heapq.heapify(self._waiting)
                    self._changed.notify_all()
                    raise ModelError("You stopped the explanation.")
                self._changed.wait(_STEP)
            heapq.heappop(self._waiting)
            self._free -= 1
            self._changed.notify_all()


_CORES = os.cpu_count() or 2
_TURNS = Turns(max(1, _CORES // 2))
_LOADING = Turns(max(1, _CORES - 1))  # were all to load at once, none would be there soon


def get_turns() -> Turns:
    """Those of this server."""
    return _TURNS


def get_loading_turns() -> Turns:
    """Those of this server for opening models, which goes on beside what is computed."""
    return _LOADING


_FITTING = Turns(max(2, _CORES))


def get_fitting_turns() -> Turns:
    """Those of this server for fitting models anew: long work, which leaves the others theirs."""
    return _FITTING
