"""Who gives way to whom: whole pages to the move of a slider.

Pages of one server share one interpreter. Somebody who opens a page waits a second in any case;
under somebody's hand a tenth is long. Between two charts, pages therefore let moves pass.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Courtesy", "get_courtesy"]

_PATIENCE = 0.1  # seconds at one chart, so that a slow move holds nobody up


class Courtesy:
    """Counts the moves that are under way; whoever is not one of them can wait for their end."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._changed = threading.Condition()
        self._moving: list[int] = []  # the threads

    @contextmanager
    def move(self) -> Iterator[None]:
        """What a person's hand waits for: the others give way until the block ends."""
        me = threading.get_ident()
        with self._changed:
            self._moving.append(me)
        try:
            yield
        finally:
            with self._changed:
                self._moving.remove(me)
                self._changed.notify_all()

    def give_way(self) -> None:
        """Return once no move is under way, at the latest when patience ends; at once in a move."""
        with self._changed:
            if threading.get_ident() not in self._moving:
                self._changed.wait_for(lambda: not self._moving, self._patience)


_COURTESY = Courtesy()


def get_courtesy() -> Courtesy:
    """That of this server."""
    return _COURTESY
