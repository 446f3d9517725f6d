"""The pool of workers: one for each key, never more than allowed, never one for two."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dashboard.errors import ModelError
from dashboard.sandbox import pool as pool_module
from dashboard.sandbox.pool import WorkerPool, get_pool
from dashboard.sandbox.processes import WorkCancelled, Worker, watched
from dashboard.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=str(tmp_path), spare_workers=0, max_workers=2)


Make = Callable[..., WorkerPool]


@pytest.fixture
def make(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.setattr(pool_module, "SWEEP_SECONDS", 0.1)
    pools = []

    def begin(**changes: Any) -> WorkerPool:
        pools.append(WorkerPool(replace(settings, **changes)))
        return pools[-1]

    yield begin
    for pool in pools:
        pool.close()


def greet(worker: Worker) -> str:
    worker.call("warm", {"libraries": []}, seconds=60, doing="getting ready")
    return f"hello from {worker.pid}"


def eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_one_worker_for_each_key_and_the_oldest_makes_room(make: Make) -> None:
    pool = make()
    with pool.lease("a", greet) as (first, greeting):
        assert greeting == f"hello from {first.pid}"
        inbox = first.inbox
        assert inbox.is_dir()
    with pool.lease("b", greet) as (second, _):
        assert second.pid != first.pid
    with pool.lease("a", greet) as (again, said):
        assert again is first
        assert said == greeting  # it was not opened again
    with pool.lease("c", greet):
        assert pool.keys == ("a", "c")
        assert first.is_alive
        assert not second.is_alive  # asked least recently
    pool.close()
    assert not first.is_alive
    assert not inbox.exists()
    assert pool.keys == ()
    with pool.lease("a", greet) as (anew, _):
        assert anew is not first


def test_busy_workers_are_waited_for(make: Make) -> None:
    pool = make(max_workers=1)
    order: list[str] = []

    def other() -> None:
        with pool.lease("b", greet):
            order.append("b")

    with pool.lease("a") as (worker, _):
        stopped = watched(cancelled=lambda: True)
        with pytest.raises(WorkCancelled, match="waiting"), stopped, pool.lease("b"):
            raise AssertionError
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.2)
        order.append("a")
        assert worker.is_alive
    thread.join()
    assert order == ["a", "b"]
    assert not worker.is_alive


def test_two_callers_of_one_key_take_turns(make: Make) -> None:
    pool = make()
    inside: list[int] = []
    most: list[int] = []

    def one() -> None:
        with pool.lease("a", greet) as (worker, _):
            inside.append(worker.pid)
            most.append(len(inside))
            time.sleep(0.02)
            inside.pop()

    threads = [threading.Thread(target=one) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 5
    assert len(pool.keys) == 1


def test_an_opener_that_fails_ends_its_worker(make: Make) -> None:
    pool = make()
    seen: list[Worker] = []

    def fail(worker: Worker) -> None:
        seen.append(worker)
        raise ModelError("No model.")

    with pytest.raises(ModelError, match="No model"), pool.lease("a", fail):
        raise AssertionError
    assert not seen[0].is_alive
    assert not seen[0].inbox.exists()
    assert pool.keys == ()


def test_looking_before_opening_uses_one_worker(make: Make) -> None:
    pool = make()
    with pool.lease("a") as (looked, greeting):
        assert greeting is None
    with pool.lease("a", greet) as (opened, greeting):
        assert opened is looked
        assert greeting


def test_a_dead_worker_is_replaced(make: Make) -> None:
    pool = make()
    with pool.lease("a", greet) as (first, _):
        pass
    os.kill(first.pid, signal.SIGKILL)
    assert eventually(lambda: not first.is_alive)
    with pool.lease("a", greet) as (second, greeting):
        assert second.is_alive
        assert greeting == f"hello from {second.pid}"
    with pool.lease("a") as (same, _):
        assert same is second
        same.kill()
    assert pool.keys == ()  # died in use


def test_idle_workers_end(make: Make) -> None:
    pool = make(worker_idle_seconds=1)
    with pool.lease("a", greet) as (worker, _):
        time.sleep(1.2)
        assert worker.is_alive  # not while it is asked
    assert eventually(lambda: not worker.is_alive)
    assert pool.keys == ()
    assert eventually(lambda: not worker.inbox.exists())


class Tenant:
    pass


def test_workers_end_with_the_last_that_needs_them(make: Make) -> None:
    pool = make()
    tenants = [Tenant(), Tenant()]
    for tenant in tenants:
        pool.claim("a", tenant)
    with pool.lease("a") as (worker, _):
        pass
    assert pool.is_needed
    del tenants[0], tenant
    gc.collect()
    time.sleep(0.3)
    assert worker.is_alive
    tenants.clear()
    gc.collect()
    assert not pool.is_needed
    assert eventually(lambda: not worker.is_alive)


def test_retiring_by_scope(make: Make) -> None:
    pool = make()
    with pool.lease("mine|a") as (mine, _):
        pass
    with pool.lease("theirs|a") as (theirs, _):
        pool.retire("mine|")
        assert not mine.is_alive
        pool.retire("theirs|")
        assert theirs.is_alive  # it is busy
    assert not theirs.is_alive
    assert pool.keys == ()


def test_a_spare_worker_is_ready_and_replaced(make: Make) -> None:
    pool = make(spare_workers=1)
    pool.warm()
    pool.warm()  # there is one on its way already
    assert len(pool._spares) == 1
    spare = pool._spares[0].result(timeout=120)
    with pool.lease("a") as (worker, _):
        assert worker is spare
    assert not pool._spares
    with pool.lease("a", greet) as (same, _):
        assert same is spare
        assert len(pool._spares) == 1
    pool._spares[0].result(timeout=120).kill()
    with pool.lease("b", greet) as (other, _):  # a dead one is passed over
        assert other.is_alive
    coming = pool._spares[0]
    pool.close()  # while the next one warms up
    assert not coming.result(timeout=120).is_alive


def test_who_waits_for_a_spare_worker_can_stop(make: Make) -> None:
    pool = make(spare_workers=1)
    coming: Future[Worker] = Future()
    pool._spares.append(coming)
    stopped = watched(cancelled=lambda: True)
    with pytest.raises(WorkCancelled, match="waiting"), stopped, pool.lease("a"):
        raise AssertionError
    assert list(pool._spares) == [coming]  # for whoever is next
    assert pool.keys == ()
    coming.set_exception(ModelError("It did not start."))
    with pool.lease("a") as (worker, _):
        assert worker.is_alive


def test_a_worker_that_computed_for_long_is_replaced(make: Make) -> None:
    """The kernel counts over its whole life, and would end it in the middle of a call."""
    pool = make()
    with pool.lease("a", greet) as (first, _):
        assert not first.is_spent
        first._settings = replace(pool.settings, worker_cpu_seconds=1)  # the kernel's own is larger
        first.call("warm", {"libraries": ["sklearn"]}, seconds=60, doing="getting ready")
    assert first.is_spent and not first.is_alive
    assert not first.inbox.exists()
    with pool.lease("a", greet) as (second, greeting):
        assert greeting == f"hello from {second.pid}" != f"hello from {first.pid}"


def _group(number: int) -> list[str]:
    """The command lines of a process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[2]) == number and fields[0] != "Z":
                found.append(stat.with_name("cmdline").read_text())
        except OSError:
            continue  # it ended meanwhile
    return found


def test_a_worker_that_is_ended_at_its_birth_leaves_nothing(make: Make) -> None:
    pool = make()
    for number in range(20):
        worker = pool._start()
        time.sleep(number / 2_000)
        pool._end(worker)
        assert eventually(lambda group=worker.pid: not _group(group), 5)


def test_pools_by_settings(settings: Settings) -> None:
    first = get_pool(settings)
    assert get_pool(replace(settings, predict_seconds=5)) is first
    waiting = replace(settings, sandbox="landlock", spare_workers=1)
    other = get_pool(waiting)
    assert other is not first
    tenant = Tenant()
    first.claim("a", tenant)
    for number in range(2 * pool_module.MOST_POOLS):
        get_pool(replace(settings, worker_cpu_seconds=10 + number))
    assert get_pool(settings) is first  # somebody needs it
    assert len(pool_module._POOLS) <= pool_module.MOST_POOLS + 1
    assert get_pool(waiting) is not other
    with other.lease("late", greet) as (worker, _):
        assert worker.is_alive
    assert not other._spares  # nobody would end it
    other.close()
