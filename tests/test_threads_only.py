"""Locks between threads in the place of locks between processes."""

from __future__ import annotations

import _multiprocessing
import threading
import time

import pytest

from dashboard.sandbox.confinement import Confinement
from dashboard.worker.threads_only import ThreadLock
from tests.confined import BOTH, Place

KINDS = (ThreadLock, _multiprocessing.SemLock)


def _new(kind: type, recursive: bool, value: int, most: int) -> object:
    return kind(0 if recursive else 1, value, most, f"/sidelight-{time.monotonic_ns()}", True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_lock_behaves_as_the_original(kind: type) -> None:
    lock = _new(kind, False, 1, 1)
    assert lock.acquire() is True
    assert lock.acquire(False) is False
    assert lock.acquire(True, 0.01) is False
    assert (lock._count(), lock._is_mine(), lock._is_zero(), lock._get_value()) == (
        1,
        True,
        True,
        0,
    )
    lock.release()
    assert (lock._count(), lock._is_mine(), lock._is_zero(), lock._get_value()) == (
        0,
        False,
        False,
        1,
    )
    with pytest.raises(ValueError, match="released too many times"):
        lock.release()
    assert (lock.name, lock.maxvalue, lock.kind) == (None, 1, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_recursive_lock_behaves_as_the_original(kind: type) -> None:
    lock = _new(kind, True, 1, 1)
    with lock, lock:
        assert (lock._count(), lock._is_mine(), lock._get_value()) == (2, True, 0)
        seen = []
        other = threading.Thread(target=lambda: seen.append((lock.acquire(False), lock._is_mine())))
        other.start()
        other.join()
        assert seen == [(False, False)]
    assert lock._get_value() == 1
    with pytest.raises(AssertionError, match="not owned"):
        lock.release()


@pytest.mark.parametrize("kind", KINDS)
def test_a_semaphore_lets_so_many_in(kind: type) -> None:
    gate = _new(kind, False, 2, 3)
    assert [gate.acquire(False) for _ in range(3)] == [True, True, False]
    for _ in range(3):
        gate.release()
    assert gate._get_value() == 3
    with pytest.raises(ValueError, match="released too many times"):
        gate.release()


def test_who_waits_is_woken() -> None:
    lock = ThreadLock(1, 0, 1)
    threading.Timer(0.05, lock.release).start()
    began = time.monotonic()
    assert lock.acquire(True, 5)
    assert time.monotonic() - began < 4.5


CODE = """
import warnings
warnings.simplefilter("error")
from dashboard.worker.threads_only import replace_pools
replace_pools()
import multiprocessing, threading, time
from multiprocessing.pool import ThreadPool
import joblib

met = threading.Barrier(2, timeout=20)  # passed by two threads at once only
def work(value):
    met.wait()
    return value
for how in ({}, {"backend": "loky"}, {"backend": "multiprocessing"}, {"prefer": "processes"}):
    assert joblib.Parallel(2, **how)(joblib.delayed(work)(i) for i in range(2)) == [0, 1], how
assert joblib.cpu_count() == 2
with ThreadPool(2) as pool:
    assert pool.map(work, [1, 2]) == [1, 2]
with multiprocessing.RLock(), multiprocessing.Condition() as condition:
    pass
print("computed")
"""


@pytest.mark.parametrize("kind", BOTH)
def test_pools_compute_in_threads_in_a_confined_worker(kind: Confinement, tmp_path: object) -> None:
    done = Place(tmp_path, kind).run(CODE)
    assert (done.stdout.strip(), done.stderr) == ("computed", "")
