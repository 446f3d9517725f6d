"""Slow work beside the script: a thread with progress, cancel and a result.

The script that asks waits in short steps and calls Streamlit between them, so that any click, or
a change of page, interrupts the waiting and never the work.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from dashboard.errors import DiagnosticsError
from dashboard.wording import duration

__all__ = ["Job"]

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_TELLING = 0.1  # share of the work after which its own pace says more than the promise


class Job(Generic[T]):
    """One piece of work, running from the moment it is made.

    `work` gets the job itself: it may `report` how far it is, and should stop when `cancelled`
    says so. Work that cannot stop runs on unheard.
    """

    def __init__(self, title: str, work: Callable[[Job[T]], T]) -> None:
        self.title = title
        self.sentence = ""
        self.fraction: float | None = None
        self._started = time.monotonic()
        self._promised: float | None = None
        self._began: tuple[float, float] | None = None  # of what was promised: when, how far
        self._newest = self._started
        self._finished = threading.Event()
        self._cancelled = threading.Event()
        self._result: T | None = None
        self._error: DiagnosticsError | None = None
        # A daemon: a model that never answers must not keep the server from stopping.
        threading.Thread(target=self._run, args=(work,), name=f"job {title}", daemon=True).start()

    def _run(self, work: Callable[[Job[T]], T]) -> None:
        try:
            self._result = work(self)
        except DiagnosticsError as error:
            self._error = error  # raised again where the result is asked for
        except BaseException:  # noqa: BLE001  # an oversight of ours costs one sentence, no page
            _LOG.exception("%s failed", self.title)
            self._error = DiagnosticsError(
                f"{self.title} failed in a way that was not foreseen. The server's log has the "
                "details; the rest goes on."
            )
        finally:
            self._finished.set()

    # -- from the work ----------------------------------------------------------------------

    def report(self, done: float, total: float, sentence: str = "") -> None:
        """How far it is; `total` 0 where that is not known."""
        self.fraction = min(max(done / total, 0.0), 1.0) if total else None
        self.sentence, self._newest = sentence, time.monotonic()

    def promise(self, seconds: float) -> None:
        """How long what begins now should take; from here on the time left is told."""
        self._promised, self._began = seconds, (time.monotonic(), self.fraction or 0.0)

    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    # -- from the script --------------------------------------------------------------------

    def cancel(self) -> None:
        self._cancelled.set()

    @property
    def done(self) -> bool:
        return self._finished.is_set()

    @property
    def succeeded(self) -> bool:
        """Whether it is done and gave what was asked for."""
        return self.done and self._error is None

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._started

    @property
    def left(self) -> float | None:
        """Seconds until what was promised is there: as promised, then by the pace of the work.

        None where nothing was promised, or it takes longer than promised and tells no pace.
        """
        if self._promised is None or self._began is None or self.done:
            return None
        now, (began, start) = time.monotonic(), self._began
        reached = (self.fraction or 0.0) - start
        rest = 1.0 - start - reached
        if reached < _TELLING * (1.0 - start) or now <= began:
            left = self._promised - (now - began)
            return left if left > 0 else None
        spent = max(self._newest - began, 1e-9)
        return max(0.0, spent / reached * rest - (now - self._newest))

    def wait(self, seconds: float) -> bool:
        """Whether it is done, after at most this long."""
        return self._finished.wait(seconds)

    def result(self) -> T:
        """What the work returned, waiting for it.

        Raises
        ------
        DiagnosticsError : what the work raised, or one sentence for an error nobody foresaw.
        """
        self._finished.wait()
        if self._error is not None:
            raise self._error
        result: Any = self._result
        return result  # type: ignore[no-any-return]

    def words(self) -> str:
        """The title, how far it is, and how long it has taken once that is noticeable."""
        said = f"{self.title}: {self.sentence}" if self.sentence else self.title
        if self.fraction is not None:
            said = f"{said}, {self.fraction:.0%}"
        if self.seconds < 2:
            return f"{said} …"
        left = self.left
        rest = "" if left is None or left < 1 else f", about {duration(left)} left"
        return f"{said} … {duration(self.seconds)}{rest}"
