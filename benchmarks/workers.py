"""What confinement costs: predicting through a worker, getting one ready, moving the data.

`python -m benchmarks workers [--quick]`. Seconds are wall clock; ours and theirs take turns, and
a ratio is the median of the ratios of such pairs. Answers are compared before anything is timed.
Memory is what this process allocates on top of the data (`tracemalloc`).
"""

from __future__ import annotations

import gc
import hashlib
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dashboard.models import load_native
from dashboard.models.confined import ConfinedModel, confined_load
from dashboard.sandbox.confinement import find_confinement
from dashboard.sandbox.pool import WorkerPool, get_pool
from dashboard.settings import Settings
from dashboard.threads import numeric_environment

Row = dict[str, object]
Work = Callable[..., Any]

COLUMNS = 20
# What a worker imports before the first model comes, without Sidelight's own modules.
LIBRARIES = (
    "pandas, pyarrow, sklearn.pipeline, sklearn.compose, sklearn.ensemble, "
    "sklearn.linear_model, skops.io"
)


def seconds(work: Work, *arguments: Any) -> float:
    gc.collect()
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


def row(what: str, ours: list[float], theirs: list[float], against: str, **more: object) -> Row:
    pairs = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return {
        "what": what,
        "ours": f"{median(ours):.3f} s",
        "theirs": f"{median(theirs):.3f} s",
        "ratio": f"{median(pairs):.2f}",
        "against": against,
        **more,
    }


def table(n: int) -> tuple[pd.DataFrame, pd.Series]:
    """Rows as a reader gives them: the columns of one type lie together."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"x{at}": rng.normal(size=n) for at in range(COLUMNS)}).copy()
    signal = frame["x0"] + frame["x1"] * frame["x2"] + rng.normal(size=n)
    return frame, pd.Series(np.where(signal > 0, "yes", "no"))


def models() -> dict[str, Any]:
    frame, labels = table(20_000)
    found = {
        "logistic regression with scaling": make_pipeline(StandardScaler(), LogisticRegression()),
        "gradient boosting, 100 trees": HistGradientBoostingClassifier(random_state=0),
    }
    return {name: model.fit(frame, labels) for name, model in found.items()}


def confined(content: bytes, name: str, settings: Settings) -> ConfinedModel:
    return confined_load(content, name, hashlib.sha256(content).hexdigest(), settings=settings)


def predicting(n: int, repeats: int, settings: Settings) -> list[Row]:
    """The second model and the first one again; and the first time, with the data to be moved."""
    found = []
    frame, _ = table(n)
    for name, model in models().items():
        content = skops.io.dumps(model)
        here, there = load_native(content, "m.skops"), confined(content, "m.skops", settings)
        mine, other = there.predict(frame), here.predict(frame)
        np.testing.assert_array_equal(mine.scores, other.scores)
        np.testing.assert_array_equal(mine.labels, other.labels)
        del mine, other
        pairs = [
            (seconds(there.predict, frame), seconds(here.predict, frame)) for _ in range(repeats)
        ]
        ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        found.append(row(f"predict {n:,} × {COLUMNS}: {name}", ours, theirs, "in this process"))
        first = [seconds(there.predict, frame.copy()) for _ in range(max(2, repeats // 2))]
        theirs = [median(theirs)] * len(first)
        found.append(row("the same, first model on new data", first, theirs, "in this process"))
    return found


def memory(n: int, settings: Settings) -> list[Row]:
    """What the parent allocates while new data go to a worker and answers come back."""
    model = LogisticRegression().fit(*table(2_000))
    there = confined(skops.io.dumps(model), "memory.skops", settings)
    there.predict(table(100)[0])
    frame, _ = table(n)
    tracemalloc.start()
    raw = there.predict(frame)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    answers = (raw.scores.nbytes + raw.labels.nbytes + raw.labels.nbytes // 2) / 1e6
    return [
        {
            "what": f"memory of the parent, {frame.to_numpy().nbytes / 1e6:,.0f} MB of data",
            "ours": f"{peak:,.0f} MB",
            "theirs": f"{answers:,.0f} MB",
            "ratio": f"{peak / answers:.2f}",
            "against": "the answers and their codes alone",
        }
    ]


def ready(repeats: int, settings: Settings) -> list[Row]:
    """A worker that has imported what models need, against an interpreter that imports the same."""
    bare, cold = [], []
    command = [sys.executable, "-I", "-c", f"import {LIBRARIES}"]
    environment = numeric_environment(settings)
    for _ in range(repeats):
        bare.append(seconds(lambda: subprocess.run(command, check=True, env=environment)))
        pool = WorkerPool(settings)
        cold.append(seconds(_warm, pool))
        pool.close()
    return [row("worker ready for scikit-learn", cold, bare, f"python -c 'import {LIBRARIES}'")]


def _warm(pool: WorkerPool) -> None:
    with pool.lease("") as (worker, _):
        worker.call("warm", {"libraries": ["sklearn"]}, seconds=120, doing="getting ready")


def opening(repeats: int, settings: Settings) -> list[Row]:
    """The first upload, with a spare worker waiting and without."""
    content = skops.io.dumps(models()["gradient boosting, 100 trees"])
    spare, cold = [], []
    waiting = replace(settings, spare_workers=1)
    for _ in range(repeats):
        pool = get_pool(waiting)
        pool.warm()
        pool._spares[0].result()
        spare.append(seconds(confined, content, "m.skops", waiting))
        pool.close()
        cold.append(seconds(confined, content, "m.skops", settings))
        get_pool(settings).close()
    return [row("first upload opened by a spare worker", spare, cold, "without a spare worker")]


def run(quick: bool = False) -> list[Row]:
    """All measurements; `quick` uses a tenth of the rows and repeats less."""
    n, repeats = (100_000, 3) if quick else (1_000_000, 7)
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=str(Path(folder)), spare_workers=0)
        found += predicting(n, repeats, settings)
        found += memory(n, settings)
        get_pool(settings).close()
        for sandbox in ("bubblewrap", "landlock"):
            these = replace(settings, sandbox=sandbox)
            if find_confinement(these) == sandbox:
                rows = ready(max(3, repeats // 2), these)
                found += [{**each, "what": f"{each['what']} ({sandbox})"} for each in rows]
        found += opening(max(2, repeats // 2), settings)
        get_pool(settings).close()
    return found
