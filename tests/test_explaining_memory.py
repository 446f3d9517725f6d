"""What an explanation holds: one block of doubles at a time, and finished blocks whatever comes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LinearRegression

from dashboard.errors import DiagnosticsError
from dashboard.evaluation import as_evalset
from dashboard.explainers import running, staging
from dashboard.explanation import ExplainOptions, explain_in_stages, plan_explanation
from dashboard.models.confined import ConfinedModel, confined_load
from dashboard.sandbox.pool import get_pool
from dashboard.settings import Settings

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    made = Settings(home=str(tmp_path), spare_workers=0, max_workers=1)
    yield made
    get_pool(made).close()


MEMORY = 420  # megabytes


class _Store:
    def __init__(self) -> None:
        self.found: dict[str, bytes] = {}
        self.read = 0

    def get(self, key: str) -> bytes | None:
        self.read += key in self.found
        return self.found.get(key)

    def put(self, key: str, content: bytes) -> None:
        self.found[key] = content


def _load(model: Any, settings: Settings) -> ConfinedModel:
    return _open(skops.io.dumps(model), settings)


def _open(content: bytes, settings: Settings) -> ConfinedModel:
    digest = hashlib.sha256(content).hexdigest()
    return confined_load(content, "model.skops", digest, settings=settings)


def _worker_of(model: ConfinedModel) -> int:
    """The process that computes: the last child where others stand around it."""
    worker = model._upload.pool._places[model._upload.key].worker
    assert worker is not None
    pid = worker.pid
    while True:
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        if not below:
            return pid
        pid = int(below[-1])


def _resident(pid: int | str) -> int:
    """Bytes of its own in memory now: what is mapped from files is nobody's."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = [one for one in text.splitlines() if one.startswith("RssAnon")]
    return int(line.split()[1]) << 10


class _Peak:
    """The largest own size of a process beyond that at the start, looked at all the time."""

    def __init__(self, pid: int | str) -> None:
        self._pid, self.start = pid, _resident(pid)
        self.top, self._over = self.start, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(0.005):
            try:
                self.top = max(self.top, _resident(self._pid))
            except OSError:
                return

    def stop(self) -> int:
        self._over.set()
        self._thread.join()
        return self.top - self.start


@pytest.mark.slow
def test_a_million_rows_never_hold_more_than_one_block_of_doubles(settings: Settings) -> None:
    n, m = 1_000_000, 20
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, m))
    y = X @ np.arange(m)
    opened = _load(LinearRegression().fit(X[:1_000], y[:1_000]), settings)
    evalset = as_evalset(X, y, "y")
    (first,) = explain_in_stages(opened, evalset, "model", stages=(200,))
    assert first.n == 200
    parent, child = _Peak("self"), _Peak(_worker_of(opened))
    (found,) = explain_in_stages(opened, evalset, "model", stages=(None,))
    grown = parent.stop(), child.stop()
    assert found.n == n and found.exact
    assert any("single precision" in note for note in found.notes)
    block = running.CALL_BYTES  # of doubles: what a call may take
    given = found.values.nbytes + found.predictions.nbytes + found.rows.nbytes + X.nbytes
    assert found.values.dtype == np.float32 and found.values.nbytes == 4 * n * m < block
    # all doubles at once would be more
    assert 8 * n * m > 1.1 * block
    # the worker: the rows of one call, and their values
    assert grown[1] < block, [size >> 20 for size in grown]
    # the app: what it gives back, and one call's answer
    assert grown[0] < given + block, [size >> 20 for size in grown]


def test_more_rows_than_can_be_held_are_said(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = np.random.default_rng(0).normal(size=(600, 4))
    opened = _load(LinearRegression().fit(X, X[:, 0]), settings)
    monkeypatch.setattr(staging, "MOST_VALUES", 4 * 450)
    (found,) = explain_in_stages(opened, as_evalset(X, X[:, 0], "y"), "model", stages=(None,))
    assert (found.n, found.n_given) == (450, 600)
    assert any(note.startswith("450 of 600 rows: the values of more") for note in found.notes)


@pytest.mark.slow
def test_a_worker_without_memory_leaves_the_finished_blocks(tmp_path: Path) -> None:
    """Enough for opening the model and for a few rows, but not for a call with many."""
    few = Settings(home=str(tmp_path), spare_workers=0, max_workers=1, worker_memory_mb=MEMORY)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120_000, 60))
    content = skops.io.dumps(LinearRegression().fit(X[:1_000], X[:1_000, 0]))
    evalset, store = as_evalset(X, X[:, 0], "y"), _Store()
    try:
        opened = _open(content, few)
        plan = plan_explanation(opened, evalset, ExplainOptions(engine="linear"))
        more = {"plan": plan, "store": store}
        stages = explain_in_stages(opened, evalset, "model", stages=(200, None), **more)
        first, kept = next(stages), dict(store.found)
        assert kept and first.n == 200
        with pytest.raises(DiagnosticsError, match="memory"):
            next(stages)
        assert kept.items() <= store.found.items()
        before = store.read
        (found,) = explain_in_stages(opened, evalset, "model", stages=(200,), **more)
    finally:
        get_pool(few).close()
    assert store.read > before and found.n == 200
    np.testing.assert_array_equal(found.values, first.values)
