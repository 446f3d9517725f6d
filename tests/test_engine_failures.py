"""Engines and workers that fail in the middle: what was finished stays, the next one is tried."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

from dashboard.data import EvalSet, evalset_from_frame
from dashboard.errors import DiagnosticsError
from dashboard.explainers import engines
from dashboard.explainers.linear import LINEAR
from dashboard.explanation import ExplainOptions, explain_in_stages, plan_explanation
from dashboard.models import adapt, load_model
from dashboard.models.confined import ConfinedModel
from dashboard.sandbox.processes import watched

N = 400


@pytest.fixture(scope="module")
def evalset() -> EvalSet:
    rng = np.random.default_rng(8)
    rows = pd.DataFrame(rng.normal(size=(N, 4)), columns=list("abcd"))
    return evalset_from_frame(rows.assign(y=2 * rows["a"] + rows["b"]), target="y")


@pytest.fixture(scope="module")
def confined(evalset: EvalSet, tmp_path_factory: Any) -> Iterator[ConfinedModel]:
    path: Path = tmp_path_factory.mktemp("models") / "near.skops"
    skops.io.dump(KNeighborsRegressor().fit(evalset.X, evalset.target.y), path)
    model = load_model(path, path.name)
    assert isinstance(model, ConfinedModel)
    yield model


def _worker(model: ConfinedModel) -> int:
    upload = model._upload
    with upload.pool.lease(upload.key, upload.open) as (worker, _):
        return worker.pid


def test_a_worker_killed_while_it_computes_loses_one_block_at_most(
    evalset: EvalSet, confined: ConfinedModel
) -> None:
    class Kept(dict[str, bytes]):
        def put(self, key: str, content: bytes) -> None:
            self[key] = content

    store, told = Kept(), list[str]()
    plan = plan_explanation(confined, evalset, ExplainOptions(engine="permutation", budget=60))
    pid = _worker(confined)

    def kill(done: int, total: int, sentence: str) -> None:
        told.append(sentence)
        if store and "killed" not in told:  # a moment later, when the call is under way
            told.append("killed")
            threading.Timer(0.02, os.kill, (pid, signal.SIGKILL)).start()

    run = explain_in_stages(confined, evalset, "m", plan=plan, stages=(20, 120), store=store)
    first = next(run)
    before = dict(store)
    try:
        with watched(kill, lambda: False):
            second = next(run)
    except DiagnosticsError as error:
        assert "killed" in told and len(str(error)) > 20
        second = list(
            explain_in_stages(confined, evalset, "m", plan=plan, stages=(120,), store=store)
        )[-1]
    assert "killed" in told
    assert {key: store[key] for key in before} == before
    np.testing.assert_array_equal(second.values[:20], first.values)
    assert second.n == 120


def test_an_engine_without_enough_memory_is_put_aside(
    evalset: EvalSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hungry:
        key, method, game, exact = "hungry", "A hungry engine", "interventional", True
        level = "prepared"

        def refuses(self, subject: Any, space: Any) -> str:
            return ""

        def seconds(self, subject: Any, n_rows: int, n_background: int) -> float:
            return 1e-9 * n_rows

        def explain(self, *given: Any) -> Any:
            raise MemoryError

    monkeypatch.setattr(engines, "ENGINES", {"hungry": Hungry(), "linear": LINEAR})
    model = adapt(LinearRegression().fit(evalset.X, evalset.target.y), "m")
    plan = plan_explanation(model, evalset)
    refusal = next(offer.refusal for offer in plan.offers if offer.key == "hungry")
    assert "A hungry engine was put aside: it needs more memory than there is." in refusal
    assert "worker_memory_mb" in refusal
    *_, one = explain_in_stages(model, evalset, "m", plan=plan, stages=(5,))
    assert one.engine == "linear"


@pytest.mark.slow
def test_half_a_second_a_row_is_planned_in_bounded_time(evalset: EvalSet) -> None:
    def slow(rows: Any) -> Any:
        time.sleep(0.5 * len(rows))
        return np.asarray(rows["a"] + rows["b"])

    model = adapt(slow, "slow")
    begun = time.monotonic()
    plan = plan_explanation(model, evalset, ExplainOptions(n_background=4))
    assert time.monotonic() - begun < 90
    assert min(offer.seconds_per_row for offer in plan.engines(200)) > 1
