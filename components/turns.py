"""Who may make a worker compute next: the quickest answers first, few at a time.

Every model gets its worker; were all of them to compute at once, none would answer soon, and the
app would be slow under everybody's hands.
"""

from __future__ import annotations

import heapq
import itertools
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dashboard.errors import ModelError

__all__ = ["Stretch", "Turns", "get_fitting_turns", "get_loading_turns", "get_turns"]

_STEP = 0.1  # seconds between two looks at whether somebody gave up


class Turns:
    """At most `room` at work; those who wait are let in by rank, equal ranks as they came.

    Whoever has been at work for `patience` seconds keeps the others waiting no longer: as many
    again are let in beside, so that a slow model is slow by itself.
    """

    def __init__(self, room: int, patience: float = math.inf) -> None:
        self._changed = threading.Condition()
        self.room, self._patience = room, patience
        self._inside: dict[int, float] = {}  # who is at work, since when
        self._waiting: list[tuple[tuple[float, ...], int]] = []
        self._count = itertools.count()
        self._kept: tuple[tuple[float, ...], float] = ((), 0.0)  # for whom, until when

    @contextmanager
    def turn(
        self, rank: tuple[float, ...], cancelled: Callable[[], bool], kept: float = 0.0
    ) -> Iterator[None]:
        """Wait for a turn, and have it until the block ends.

        `kept`: seconds for which the place then waits for somebody of this rank, or a lower one.

        Raises
        ------
        ModelError : cancelled while waiting.
        """
        me = (rank, next(self._count))
        self._wait(me, cancelled)
        try:
            yield
        finally:
            with self._changed:
                del self._inside[me[1]]
                if kept:
                    self._kept = rank, time.monotonic() + kept
                self._changed.notify_all()

    def _wait(self, me: tuple[tuple[float, ...], int], cancelled: Callable[[], bool]) -> None:
        with self._changed:
            heapq.heappush(self._waiting, me)
            while self._waiting[0] != me or self._is_full() or self._is_kept_from(me[0]):
                if cancelled():
                    self._waiting.remove(me)
                    heapq.heapify(self._waiting)
                    self._changed.notify_all()
                    raise ModelError("You stopped the explanation.")
                self._changed.wait(_STEP)
            heapq.heappop(self._waiting)
            self._inside[me[1]] = time.monotonic()
            self._changed.notify_all()

    def _is_full(self) -> bool:
        begun = time.monotonic() - self._patience
        lately = sum(since > begun for since in self._inside.values())
        return lately >= self.room or len(self._inside) >= 2 * self.room

    def _is_kept_from(self, rank: tuple[float, ...]) -> bool:
        whom, until = self._kept
        return rank > whom and time.monotonic() < until


class Stretch:
    """Many turns of one piece of work in a row, then the others' stretches.

    Were turns to go round one by one, more models than there are workers would each find its own
    ended by the next, and would open it again for every fit.
    """

    def __init__(self, turns: Turns, seconds: float = 20.0) -> None:
        self._turns, self._seconds = turns, seconds
        self._lined_up = time.monotonic()
        self._began: float | None = None

    @contextmanager
    def turn(self, cancelled: Callable[[], bool]) -> Iterator[None]:
        """As `Turns.turn`: before the others for as long as a stretch lasts, then behind them."""
        if self._began is not None and time.monotonic() - self._began > self._seconds:
            self._lined_up, self._began = time.monotonic(), None
        with self._turns.turn((self._lined_up,), cancelled, kept=_STEP):
            if self._began is None:
                self._began = time.monotonic()
            yield


_CORES = os.cpu_count() or 2
_PATIENCE = 5.0  # seconds; calls are made to take one or two
_TURNS = Turns(max(1, _CORES // 2), _PATIENCE)
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
