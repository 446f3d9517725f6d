"""Permutation importance against scikit-learn's, on the same rows with the same shuffles.

`python -m benchmarks permutation [--quick]`. Ours runs in this process, as for Python callers;
scikit-learn has two processes. They take turns, and a ratio is the median of such pairs. On all
rows every repeat must be the same number; on a sample of rows every value of all rows must lie
within the interval of the sample, but for as many as 95 % intervals miss.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.inspection import permutation_importance as of_sklearn

from dashboard.data import evalset_from_frame
from dashboard.importance import permutation_importance
from dashboard.models import adapt

Row = dict[str, object]

ROWS, COLUMNS, REPEATS = 10_000, 20, 5


def data(n: int) -> tuple[pd.DataFrame, Any]:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(n, COLUMNS)), columns=[f"x{k}" for k in range(COLUMNS)])
    signal = 2 * X["x0"] + X["x1"] * X["x2"] + X["x3"] + rng.normal(size=n)
    return X, np.where(signal > 0, "yes", "no")


def _seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    gc.collect()
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def _held(full: Any, part: Any) -> int:
    return int(((part.low <= full.values) & (full.values <= part.high)).sum())


def _compare(name: str, estimator: Any, n: int, turns: int) -> list[Row]:
    X, y = data(2 * n)
    estimator.fit(X[:n], y[:n])
    X, y = X[n:].reset_index(drop=True), y[n:]
    evalset = evalset_from_frame(X.assign(target=y), target="target")
    model = adapt(estimator, name)
    ours: list[float] = []
    sampled: list[float] = []
    theirs: list[float] = []
    for _ in range(turns):
        took, reference = _seconds(
            lambda: of_sklearn(
                estimator, X, y, scoring="roc_auc", n_repeats=REPEATS, random_state=0, n_jobs=2
            )
        )
        theirs.append(took)
        took, full = _seconds(
            lambda: permutation_importance(model, evalset, name, "roc_auc", REPEATS, None)
        )
        ours.append(took)
        took, part = _seconds(
            lambda: permutation_importance(model, evalset, name, "roc_auc", REPEATS, n // 5)
        )
        sampled.append(took)
    error = float(np.abs(full.repeats - reference.importances).max())
    if error > 1e-9:
        raise SystemExit(f"{name}: repeats differ from scikit-learn's by {error:.2g}.")
    held = _held(full, part)
    if held < COLUMNS - 4:
        raise SystemExit(f"{name}: only {held} of {COLUMNS} intervals of the sample hold.")
    what = f"{name}, {n:,} × {COLUMNS} × {REPEATS}"
    return [
        _row(f"{what}: all rows, with intervals", ours, theirs, f"repeats equal to {error:.0e}"),
        _row(
            f"{what}: {n // 5:,} rows, with intervals",
            sampled,
            theirs,
            f"{held} of {COLUMNS} values of all rows within the interval",
        ),
    ]


def _row(what: str, ours: list[float], theirs: list[float], checked: str) -> Row:
    ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
    return {
        "what": what,
        "ours": f"{median(ours):.2f} s",
        "scikit-learn, 2 jobs": f"{median(theirs):.2f} s",
        "times as fast": f"{median(ratios):.2f}",
        "checked": checked,
    }


def run(quick: bool = False) -> list[Row]:
    n, turns = (ROWS // 5, 1) if quick else (ROWS, 3)
    forest = RandomForestClassifier(100, random_state=0)
    boosting = HistGradientBoostingClassifier(random_state=0)
    return [
        *_compare("forest of 100 trees", forest, n, turns),
        *_compare("histogram boosting", boosting, n, turns),
    ]
