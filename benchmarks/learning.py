"""Curves by training size against scikit-learn's `learning_curve`, on the same folds and sizes.

`python -m benchmarks learning [--quick]`. Three models share the preparation of their columns.
Scikit-learn fits each with one job and with two, and scores ROC AUC; ours scores every headline
metric. Every score must be the same number before a time counts. They take turns, and a ratio is
the median of such pairs. In the second table row the model is a file in confined workers, two of
them, which are started within the time.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from dashboard.data import EvalSet
from dashboard.evaluation import as_evalset
from dashboard.learning import SizeOptions, choose_folds, learning, size_curve_in_stages
from dashboard.models import load_model
from dashboard.sandbox.pool import get_pool
from dashboard.wording import listing

Row = dict[str, object]

ROWS, SIZES = 20_000, (0.1, 0.25, 0.5, 0.75, 1.0)
NUMBERS, WORDS = 10, 4


def data(n: int) -> EvalSet:
    """Numbers with gaps and columns of words, two classes."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(n, NUMBERS)), columns=[f"x{k}" for k in range(NUMBERS)])
    signal = 2 * X["x0"] + X["x1"] * X["x2"] + rng.normal(size=n)
    for k in range(WORDS):
        codes = rng.integers(0, 12, n)
        X[f"w{k}"] = np.array([f"word {code}" for code in range(12)])[codes]
        signal += 0.2 * (codes > 6)
    for k in range(0, NUMBERS, 2):
        X.loc[rng.random(n) < 0.05, f"x{k}"] = np.nan
    return as_evalset(X, (signal > 1).astype(int), None)


def models(evalset: EvalSet) -> dict[str, Any]:
    """Four pipelines that begin alike, fitted."""
    assert isinstance(evalset.X, pd.DataFrame)
    made = {}
    for name, last in {
        "logistic regression": LogisticRegression(max_iter=500),
        "forest": RandomForestClassifier(50, random_state=0),
        "extra trees": ExtraTreesClassifier(50, random_state=0),
        "boosting": HistGradientBoostingClassifier(random_state=0),
    }.items():
        numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
        words = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
        columns = list(evalset.X.columns)
        first = make_column_transformer((numbers, columns[:NUMBERS]), (words, columns[NUMBERS:]))
        made[name] = make_pipeline(first, last).fit(evalset.X, evalset.target.y)
    return made


def _seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    gc.collect()
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def _theirs(evalset: EvalSet, fitted: dict[str, Any], folds: Any, jobs: int) -> list[Any]:
    return [
        learning_curve(
            model,
            evalset.X,
            evalset.target.y,
            train_sizes=SIZES,
            cv=list(folds),
            scoring="roc_auc",
            n_jobs=jobs,
        )[1:]
        for model in fitted.values()
    ]


def _check(name: str, ours: list[Any], theirs: list[Any]) -> str:
    errors = [
        max(float(np.abs(one.train - train).max()), float(np.abs(one.validation - held).max()))
        for one, (train, held) in zip(ours, theirs, strict=True)
    ]
    if max(errors) > 1e-12:
        raise SystemExit(f"{name}: scores differ from scikit-learn's by {max(errors):.2g}.")
    return f"scores equal to {max(errors):.0e}"


def _compare(
    what: str, ours: Callable[[], list[Any]], theirs: Callable[[int], list[Any]], turns: int
) -> Row:
    taken: dict[str, list[float]] = {"ours": [], "1": [], "2": []}
    checked = ""
    for _ in range(turns):
        took, alone = _seconds(lambda: theirs(1))
        taken["1"].append(took)
        took, found = _seconds(ours)
        taken["ours"].append(took)
        took, _pair = _seconds(lambda: theirs(2))
        taken["2"].append(took)
        checked = _check(what, found, alone)

    def times(jobs: str) -> str:
        pairs = zip(taken[jobs], taken["ours"], strict=True)
        return f"{median(their / our for their, our in pairs):.2f}"

    return {
        "what": what,
        "ours": f"{median(taken['ours']):.1f} s",
        "1 job": f"{median(taken['1']):.1f} s",
        "times as fast": times("1"),
        "2 jobs": f"{median(taken['2']):.1f} s",
        "times as fast as 2 jobs": times("2"),
        "checked": checked,
    }


def run(quick: bool = False) -> list[Row]:
    n, n_splits, turns = (4_000, 3, 1) if quick else (ROWS, 5, 3)
    evalset = data(n)
    fitted = models(evalset)
    folds = choose_folds(evalset, n_splits)
    options = SizeOptions(sizes=SIZES, n_splits=n_splits)
    shape = f"{n:,} rows, {n_splits} folds of {len(SIZES)} sizes"
    three = {name: fitted[name] for name in ("logistic regression", "forest", "extra trees")}
    rows = [
        _compare(
            f"{listing(list(three), 3)} in memory, {shape}",
            lambda: list(learning(evalset, models=three, options=options).curves),
            lambda jobs: _theirs(evalset, three, folds, jobs),
            turns,
        )
    ]
    for name in ("forest", "boosting"):
        content, one = skops.io.dumps(fitted[name]), {name: fitted[name]}

        def confined(name: str = name, content: bytes = content) -> list[Any]:
            get_pool().retire()
            model = load_model(content, f"{name}.skops")
            *_, last = size_curve_in_stages(model, evalset, name, options, folds=folds)
            return [last]

        rows.append(
            _compare(
                f"{name} in confined workers, {shape}",
                confined,
                lambda jobs, one=one: _theirs(evalset, one, folds, jobs),
                turns,
            )
        )
    return rows
