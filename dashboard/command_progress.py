"""How far a command is, on stderr, while it works."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["telling"]

SHOWN_EVERY = 0.2  # seconds between two lines of progress
LOGGED_EVERY = 10.0  # the same where nobody watches, as in CI


@contextmanager
def telling(
    heard: Callable[[], None] | None = None, cancelled: Callable[[], bool] | None = None
) -> Iterator[None]:
    """What is done within reports to stderr: one line that is written over, or one now and then.

    `heard` is called at each piece of news; the work stops when `cancelled` says True.
    """
    from .sandbox.processes import watched

    seen = sys.stderr.isatty()
    every = SHOWN_EVERY if seen else LOGGED_EVERY
    last, width = time.monotonic() - (every if seen else 0), 0

    def tell(done: int, total: int, sentence: str) -> None:
        nonlocal last, width
        del done, total
        if heard is not None:
            heard()
        if time.monotonic() - last < every:
            return
        last = time.monotonic()
        sentence = sentence[: shutil.get_terminal_size().columns - 1] if seen else sentence
        sys.stderr.write(f"\r{sentence:<{width}}" if seen else f"{sentence}\n")
        sys.stderr.flush()
        width = max(width, len(sentence))

    try:
        with watched(tell, cancelled):
            yield
    finally:
        if seen and width:
            sys.stderr.write(f"\r{'':<{width}}\r")
