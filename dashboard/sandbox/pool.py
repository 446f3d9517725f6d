"""The workers of this process: one for each model, some kept warm, never more than allowed."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..settings import Settings, get_settings
from .confinement import (
    Confinement,
    find_confinement,
    scratch_folder,
    worker_command,
    worker_environment,
)
from .processes import WorkCancelled, Worker, is_unwanted
from .scratch import watch_folder
from .shelf import Shelf

__all__ = ["WorkerPool", "get_pool"]

WARM_SECONDS = 120.0
POLL_SECONDS = 0.1
SWEEP_SECONDS = 5.0
MOST_POOLS = 8

_log = logging.getLogger(__name__)

Opener = Callable[[Worker], Any]


class _Place:
    """A worker of the pool, or the room for one; busy while somebody asks it."""

    def __init__(self) -> None:
        self.worker: Worker | None = None
        self.greeting: Any = None
        self.busy = True
        self.used = time.monotonic()


class WorkerPool:
    """Workers by key; thread-safe.

    A key names what a worker holds, and for whom: nobody else is ever given that worker. Beyond
    `max_workers` the one that was asked least recently is ended; what it held can be opened again.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or get_settings()
        self.shelf = Shelf(self.settings)
        self._changed = threading.Condition()
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._spares: deque[Future[Worker]] = deque()
        # beside one worker that gets ready there is a processor for what people wait for
        self._warming = threading.Semaphore(max(1, (os.cpu_count() or 2) // 2))
        self._tenants: Counter[str] = Counter()
        self._left: deque[str] = deque()  # filled by the collector, which must not wait for locks
        self._sweeper: threading.Thread | None = None
        self._closings = 0

    @property
    def confinement(self) -> Confinement:
        return find_confinement(self.settings)

    @property
    def keys(self) -> tuple[str, ...]:
        """What is held at this moment, the least recently asked first."""
        with self._changed:
            return tuple(self._places)

    @property
    def is_needed(self) -> bool:
        """Whether anything that was opened here is still held by somebody."""
        with self._changed:
            held = Counter(self._tenants)
            held.subtract(self._left)
            return any(count > 0 for count in held.values())

    # ---- asking ----------------------------------------------------------------------------

    @contextmanager
    def lease(self, key: str, opener: Opener | None = None) -> Iterator[tuple[Worker, Any]]:
        """The worker of `key` for this caller alone, and what `opener` gave when it was opened.

        `opener(worker)` is asked once for each worker; when it raises, the worker is ended.

        Raises
        ------
        WorkCancelled : while waiting for a worker that is free.
        """
        place, ended = self._take(key)
        try:
            for worker in ended:
                self._end(worker)
            yield self._filled(place, opener), place.greeting
        finally:
            self._give_back(key, place)

    def claim(self, key: str, tenant: object) -> None:
        """Keep the worker of `key` for as long as `tenant`, or another that claimed it, lives."""
        with self._changed:
            self._tenants[key] += 1
        weakref.finalize(tenant, self._left.append, key).atexit = False

    def _take(self, key: str) -> tuple[_Place, list[Worker]]:
        """A place marked busy, and the workers that must end to make room for it."""
        with self._changed:
            while True:
                place = self._places.get(key)
                if place is None and (ended := self._make_room()) is not None:
                    place = self._places[key] = _Place()
                    return place, ended
                if place is not None and not place.busy:
                    place.busy = True
                    self._places.move_to_end(key)
                    return place, []
                if is_unwanted():
                    raise WorkCancelled("You stopped waiting for a free worker.")
                self._changed.wait(POLL_SECONDS)

    def _make_room(self) -> list[Worker] | None:
        """Workers to end so that one more can be had; None when all are busy."""
        ended = []
        while len(self._places) >= self.settings.max_workers:
            idle = next((key for key, place in self._places.items() if not place.busy), None)
            if idle is None:
                return None
            worker = self._places.pop(idle).worker
            ended += [worker] if worker is not None else []
        return ended

    def _filled(self, place: _Place, opener: Opener | None) -> Worker:
        """The living worker of a place, with what it is for opened in it."""
        if place.worker is not None and not place.worker.is_alive:
            self._end(place.worker)
            place.worker = place.greeting = None
        if place.worker is None:
            place.worker = self._new_worker()
        if opener is not None and place.greeting is None:
            try:
                place.greeting = opener(place.worker)
            except BaseException:
                self._end(place.worker)
                place.worker = None
                raise
            finally:
                self._refill()
        return place.worker

    def _give_back(self, key: str, place: _Place) -> None:
        done = place.worker is None or place.worker.is_spent or not place.worker.is_alive
        with self._changed:
            place.busy, place.used = False, time.monotonic()
            if done and self._places.get(key) is place:
                del self._places[key]
            unwanted = self._places.get(key) is not place
            self._watch()
            self._changed.notify_all()
        if unwanted and place.worker is not None:
            self._end(place.worker)

    # ---- workers ---------------------------------------------------------------------------

    def _new_worker(self) -> Worker:
        """A spare one, or a fresh one."""
        while True:
            with self._changed:
                future = self._spares.popleft() if self._spares else None
            if future is None:
                return self._start()
            self._wait_for(future)
            try:
                worker = future.result()
            except Exception as error:  # noqa: BLE001 - a fresh one may start, or say why not
                _log.warning("A spare worker could not be started: %s", error)
                return self._start()
            if worker.is_alive:
                return worker
            self._end(worker)

    def _wait_for(self, spare: Future[Worker]) -> None:
        """Until a spare worker is ready, or has failed; who stops waiting leaves it to others."""
        while not wait([spare], POLL_SECONDS).done:
            if is_unwanted():
                with self._changed:
                    self._spares.appendleft(spare)
                raise WorkCancelled("You stopped waiting for a worker.")

    def _start(self) -> Worker:
        inbox = self.shelf.new_inbox()
        try:
            command = worker_command(self.confinement, inbox, (), self.settings)
            environment = worker_environment(self.settings)
            worker = Worker(command, environment, inbox, settings=self.settings)
        except BaseException:
            self.shelf.remove_inbox(inbox)
            raise
        if self.confinement is not Confinement.BUBBLEWRAP:  # which limits what it writes itself
            most = self.settings.worker_file_mb << 20
            watch_folder(scratch_folder(inbox), most, lambda: worker.is_alive, worker.kill)
        return worker

    def _end(self, worker: Worker) -> None:
        worker.close()
        self.shelf.remove_inbox(worker.inbox)

    def warm(self) -> None:
        """See to it that spare workers are there or on their way; returns at once."""
        self._refill()

    def _refill(self) -> None:
        with self._changed:
            while len(self._spares) < self.settings.spare_workers:
                future: Future[Worker] = Future()
                self._spares.append(future)
                threading.Thread(
                    target=self._warm_one,
                    args=(future, self._closings),
                    daemon=True,
                    name="worker-spare",
                ).start()

    def _warm_one(self, future: Future[Worker], closings: int) -> None:
        """Start a worker and have it import what most models need."""
        worker = None
        try:
            with self._warming:
                worker = self._start()
                worker.call(
                    "warm",
                    {"libraries": ["sklearn"]},
                    seconds=WARM_SECONDS,
                    doing="getting a worker ready",
                )
        except BaseException as error:  # noqa: BLE001 - whoever takes the spare is told
            if worker is not None:
                self._end(worker)
            future.set_exception(error)
            return
        with self._changed:
            closed = closings != self._closings  # meanwhile
            if not closed:
                future.set_result(worker)
        if closed:
            self._end(worker)
            future.set_result(worker)

    # ---- ending ----------------------------------------------------------------------------

    def retire(self, prefix: str = "") -> None:
        """End the idle workers whose key starts with `prefix`; busy ones when they are done."""
        with self._changed:
            keys = [key for key in self._places if key.startswith(prefix)]
            places = [self._places.pop(key) for key in keys]
            idle = [each.worker for each in places if not each.busy and each.worker is not None]
            self._changed.notify_all()
        for worker in idle:
            self._end(worker)

    def close(self) -> None:
        """End all workers and remove all files; what was opened before must be opened again."""
        with self._changed:
            self._closings += 1
            places = list(self._places.values())
            spares = list(self._spares)
            self._places.clear()
            self._spares.clear()
            self._changed.notify_all()
        workers = [place.worker for place in places]
        workers += [each.result() for each in spares if each.done() and not each.exception()]
        for worker in workers:
            if worker is not None:
                self._end(worker)
        self.shelf.close()

    def _watch(self) -> None:
        """Have somebody look for workers that were idle too long; called with the lock held."""
        if self._sweeper is None and self._places:
            self._sweeper = threading.Thread(target=self._sweep, daemon=True, name="worker-sweeper")
            self._sweeper.start()

    def _sweep(self) -> None:
        """End idle and dead workers until none is left."""
        while True:
            time.sleep(min(SWEEP_SECONDS, self.settings.worker_idle_seconds / 4))
            with self._changed:
                unclaimed = self._unclaimed()
                idle = {
                    key: place
                    for key, place in self._places.items()
                    if not place.busy and (key in unclaimed or self._is_spent(place))
                }
                for key in idle:
                    del self._places[key]
                done = not self._places
                if done:
                    self._sweeper = None
            for place in idle.values():
                if place.worker is not None:
                    self._end(place.worker)
            if done:
                return

    def _unclaimed(self) -> set[str]:
        """Keys whose last tenant has gone."""
        gone = set()
        while self._left:
            key = self._left.popleft()
            self._tenants[key] -= 1
            if self._tenants[key] <= 0:
                del self._tenants[key]
                gone.add(key)
        return gone

    def _is_spent(self, place: _Place) -> bool:
        if place.worker is None:
            return False
        idle = time.monotonic() - place.used
        return idle > self.settings.worker_idle_seconds or not place.worker.is_alive


_POOLS: OrderedDict[tuple[Any, ...], WorkerPool] = OrderedDict()
_POOLS_LOCK = threading.Lock()


def get_pool(settings: Settings | None = None) -> WorkerPool:
    """The pool of this process for workers of these settings."""
    settings = settings or get_settings()
    names = ("home", "data_dir", "sandbox", "trust", "threads", "max_workers", "spare_workers")
    limits = ("worker_memory_mb", "worker_file_mb", "worker_cpu_seconds", "worker_idle_seconds")
    key = tuple(getattr(settings, name) for name in (*names, *limits))
    with _POOLS_LOCK:
        if key not in _POOLS:
            _POOLS[key] = WorkerPool(settings)
        _POOLS.move_to_end(key)
        unused = [other for other in _POOLS if other != key and not _POOLS[other].is_needed]
        surplus = [_POOLS.pop(other) for other in unused[: max(0, len(_POOLS) - MOST_POOLS)]]
        found = _POOLS[key]
    for pool in surplus:
        # whoever still asks it finds no spare worker, which nobody would end
        pool.settings = replace(pool.settings, spare_workers=0)
        pool.close()
    return found


@atexit.register
def _close_all() -> None:
    for pool in list(_POOLS.values()):
        pool.close()
