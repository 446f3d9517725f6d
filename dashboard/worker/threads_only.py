"""Locks and pools for a process that may start threads but no other process.

`multiprocessing` keeps its locks in shared memory, which a worker has not; without them joblib
falls back to a single thread, and pools of threads fail. Here a lock between threads is as good.
"""

from __future__ import annotations

import threading
from importlib import import_module

__all__ = ["ThreadLock", "replace_locks", "replace_pools"]

RECURSIVE = 0


class ThreadLock:
    """`_multiprocessing.SemLock` for the threads of one process.

    Parameters
    ----------
    kind : 0 for a lock that its owner may take again, 1 for a semaphore.
    value, maxvalue : how often it can be taken now, and at most.
    """

    SEM_VALUE_MAX = 2**31 - 1

    def __init__(
        self, kind: int, value: int, maxvalue: int, name: str = "", unlink: bool = True
    ) -> None:
        self.kind, self.maxvalue, self.handle = kind, maxvalue, 0
        self.name = None  # nothing is left behind to be removed
        self._value, self._held, self._owner = value, 0, 0
        self._changed = threading.Condition()

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Take it, waiting at most `timeout` seconds; whether it was taken."""
        with self._changed:
            if self.kind == RECURSIVE and self._is_mine():
                self._held += 1
                return True
            if not self._changed.wait_for(lambda: self._value > 0, timeout if block else 0):
                return False
            self._value -= 1
            self._held += 1
            self._owner = threading.get_ident()
            return True

    def release(self) -> None:
        """Give it back; raises as the original does when it was not held."""
        with self._changed:
            if self.kind == RECURSIVE:
                if not self._is_mine():
                    raise AssertionError("attempt to release recursive lock not owned by thread")
                self._held -= 1
                if self._held:
                    return
            elif self._value >= self.maxvalue:
                raise ValueError("semaphore or lock released too many times")
            else:
                self._held -= 1
            self._value += 1
            self._changed.notify()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *raised: object) -> None:
        self.release()

    def _count(self) -> int:
        return self._held

    def _is_mine(self) -> bool:
        return self._held > 0 and self._owner == threading.get_ident()

    def _get_value(self) -> int:
        return self._value

    def _is_zero(self) -> bool:
        return self._value == 0

    def _after_fork(self) -> None:
        """There is no fork."""


def replace_locks() -> None:
    """Before anything imports `multiprocessing.synchronize`."""
    import_module("_multiprocessing").SemLock = ThreadLock  # type: ignore[attr-defined]


def replace_pools() -> None:
    """joblib computes in threads, whatever a model asks for; after `replace_locks`."""
    parallel = import_module("joblib.parallel")
    parallel.register_parallel_backend("threading", parallel.ThreadingBackend, make_default=True)
    for name in ("loky", "multiprocessing"):
        parallel.register_parallel_backend(name, parallel.ThreadingBackend)
