"""Exact Shapley values of trees against shap, woodelf-explainer and explainerdashboard.

shap is timed on as many rows as take it some seconds and counted per row, in turns with ours, which
computes all rows; a ratio is the median of such pairs. Both sides must agree on the rows that both
computed before a time counts. explainerdashboard gets an environment of its own, made here; where
that cannot be installed, its row says so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from dashboard.contracts import Task
from dashboard.explainers.answers import Asked
from dashboard.explainers.engines import ENGINES
from dashboard.explainers.interactions import tree_interactions
from dashboard.explainers.pipelines import subject_of
from dashboard.explainers.subjects import Subject
from dashboard.models import EstimatorModel

Row = dict[str, object]
Values = npt.NDArray[np.float64]

COLUMNS, TREES = 20, 100
PATH = ("xgboost", "lightgbm", "tree", "bulk-tree")
BACKGROUND = ("tree-interventional", "bulk-tree-interventional")


class _Alone:
    """Nobody waits."""

    def progress(self, done: int, total: int, sentence: str, /) -> None:
        return

    def check(self) -> None:
        return


@dataclass(frozen=True, eq=False)
class Pair:
    """One comparison: ours for all rows, theirs for the first `few` of them."""

    work: str
    n: int
    few: int
    ours: Callable[[], Values]
    theirs: Callable[[int], Values]
    close: float
    against: str = "shap"
    judge: Callable[[Any], Values] | None = None  # the values of some rows by the model's library


def run(*, quick: bool = False) -> list[Row]:
    """One row for each comparison; `quick` takes a tenth of the rows and no other environment."""
    scale, turns = (10, 1) if quick else (1, 3)
    rows = [_compared(pair, turns) for pair in _pairs(scale)]
    return [*rows, *([] if quick else _against_dashboard())]


def data(n: int) -> tuple[Values, Values]:
    rng = np.random.default_rng(0)
    # numbers that float32 holds: XGBoost rounds to them, and not all of the others do
    X = rng.normal(size=(n, COLUMNS)).astype(np.float32).astype(np.float64)
    return X, 2 * X[:, 0] + X[:, 1] * X[:, 2] + np.sin(3 * X[:, 3]) + rng.normal(0, 0.3, n)


def _subject(model: Any, X: Values) -> Subject:
    asked = Asked(Task.REGRESSION, (), None, "y")
    return subject_of(EstimatorModel(model, name="model"), X[:50], asked)


_CHOSEN: dict[Any, Any] = {}


def _ours(subject: Subject, X: Values, background: Values, keys: tuple[str, ...]) -> Values:
    """Values by the engine that is estimated to be fastest, chosen once as in a plan."""
    space = subject.spaces[0]
    asked = (id(subject), len(X), len(background), keys)
    best = _CHOSEN.get(asked)
    if best is None:
        known = [ENGINES[key] for key in keys]
        offered = [engine for engine in known if not engine.refuses(subject, space)]
        best = min(offered, key=lambda each: each.seconds(subject, len(X), len(background)))
        _CHOSEN[asked] = best
    found = best.explain(subject, X, background, space, _Alone(), {"random_state": 0})
    return np.asarray(found.values[:, :, 0])


def _pairs(scale: int) -> list[Pair]:
    import shap
    from sklearn.ensemble import RandomForestRegressor
    from xgboost import XGBRegressor

    X, y = data(100_000 // scale)
    train = slice(0, 10_000)
    boosted = XGBRegressor(n_estimators=TREES, max_depth=6).fit(X[train], y[train])
    forest = RandomForestRegressor(TREES, max_depth=10, n_jobs=-1, random_state=0)
    forest.fit(X[train], y[train])
    pairs = []
    for name, model, few in (
        ("XGBoost 100 × d6", boosted, 2_000),
        ("forest 100 × d10", forest, 200),
    ):
        subject, explainer = _subject(model, X), shap.TreeExplainer(model)
        for n, work in ((len(X), "all values"), (500, "500 rows"), (1, "1 row")):
            pairs.append(
                Pair(
                    f"{work}, {name}",
                    n,
                    min(few // scale, n) if n > 500 else n,
                    lambda n=n, subject=subject: _ours(subject, X[:n], X[:1], PATH),
                    lambda n, explainer=explainer: explainer.shap_values(
                        X[:n], check_additivity=False
                    ),
                    2e-5,
                )
            )
    further = _further(X, _subject(boosted, X), boosted, scale)
    return [*pairs, *further, *_bulk(X, boosted, forest, scale)]


def _bulk(X: Values, boosted: Any, forest: Any, scale: int) -> list[Pair]:
    """Against the library that computes many rows at once, too, all rows on both sides."""
    import pandas as pd
    from woodelf import WoodelfExplainer

    names = [f"x{at}" for at in range(COLUMNS)]
    table = pd.DataFrame(X, columns=names)
    pairs = []
    for name, model, n in (
        ("XGBoost 100 × d6", boosted, 100_000 // scale),
        ("forest 100 × d10", forest, 20_000 // scale),
    ):
        subject = _subject(model, X)
        for work, background, keys in (
            ("all values", None, PATH),
            ("interventional, 1,000 background rows", X[-1_000:], BACKGROUND),
        ):
            others = None if background is None else table.iloc[-1_000:]
            explainer = WoodelfExplainer(model, others)
            pairs.append(
                Pair(
                    f"{work}, {name}",
                    n,
                    n,
                    lambda n=n, s=subject, b=background, k=keys: _ours(
                        s, X[:n], X[:1] if b is None else b, k
                    ),
                    lambda n, explainer=explainer: np.asarray(
                        explainer.shap_values(table.iloc[:n], verbose=False)
                    ),
                    5e-5,
                    "woodelf-explainer",
                    _judge(model, X, background) if model is boosted else None,
                )
            )
    return pairs


def _judge(boosted: Any, X: Values, background: Values | None) -> Callable[[Any], Values]:
    """The values of some rows by XGBoost itself, against a background by shap."""
    import shap
    from xgboost import DMatrix

    if background is not None:
        whole = shap.maskers.Independent(background, max_samples=len(background))
        explainer = shap.TreeExplainer(boosted, whole)
        return lambda at: explainer.shap_values(X[at], check_additivity=False)
    booster = boosted.get_booster()
    return lambda at: np.asarray(booster.predict(DMatrix(X[at]), pred_contribs=True))[:, :-1]


def _further(X: Values, subject: Subject, boosted: Any, scale: int) -> list[Pair]:
    import shap

    background = X[-1_000:]
    whole = shap.maskers.Independent(background, max_samples=len(background))
    against = shap.TreeExplainer(boosted, whole)
    alone = shap.TreeExplainer(boosted)
    n, pairs = 10_000 // scale, 2_000 // scale
    return [
        Pair(
            "interventional, 1,000 background rows, XGBoost 100 × d6",
            n,
            20,
            lambda: _ours(subject, X[:n], background, BACKGROUND),
            lambda few: against.shap_values(X[:few], check_additivity=False),
            2e-5,
        ),
        Pair(
            "interactions, XGBoost 100 × d6",
            pairs,
            20,
            lambda: tree_interactions(subject, X[:pairs], None, _Alone())[..., 0],
            lambda few: np.asarray(alone.shap_interaction_values(X[:few])),
            2e-5,
        ),
    ]


def _timed(work: Callable[[], Values]) -> tuple[float, Values]:
    """Seconds of one call; of a quick one the median of 30."""
    times: list[float] = []
    while True:
        start = time.perf_counter()
        found = work()
        times.append(time.perf_counter() - start)
        if len(times) == 30 or times[0] > 0.05:
            return median(times), found


def _compared(pair: Pair, turns: int) -> Row:
    ours, ratios, gap = [], [], 0.0
    for turn in range(turns + 1):
        took, found = _timed(pair.ours)
        theirs, expected = _timed(lambda: pair.theirs(pair.few))
        gap, missed = _agreement(pair, found, expected)
        if turn:  # the first one imports and reads the trees
            ours.append(took)
            ratios.append(theirs / pair.few * pair.n / took)
    return {
        "work": pair.work,
        "rows": f"{pair.n:,}",
        "ours, s": f"{median(ours):.3g}",
        "against": pair.against,
        "its rows": f"{pair.few:,}",
        "ratio": f"{median(ratios):.3g}×",
        "largest difference": f"{gap:.1e}{missed}",
    }


def _agreement(pair: Pair, found: Values, expected: Values) -> tuple[float, str]:
    """The largest difference, and in how many rows the other side is off.

    Such rows are left out where they are fewer than one in 1,000 and a third library gives our
    values for them, not the other side's.
    """
    close = pair.close * max(float(np.abs(expected).max()), 1.0)
    by_row = np.abs(found[: pair.few] - expected).reshape(pair.few, -1).max(axis=1)
    off = by_row > close
    if not off.any():
        return float(by_row.max()), ""
    said = f"{pair.work}: {pair.against}'s values differ by {by_row.max():.2g}; no time counts."
    if pair.judge is None or off.mean() > 1e-3:
        raise SystemExit(said)
    truth = pair.judge(np.flatnonzero(off))
    if np.abs(found[: pair.few][off] - truth).max() > close:
        raise SystemExit(said)
    return float(by_row[~off].max()), f"; {off.sum():,} rows are not as a third library says"


# ---- the widest-used dashboard ---------------------------------------------------------------

_THEIRS = """
import json, sys, time
import numpy as np, pandas as pd
from sklearn.ensemble import RandomForestClassifier
from explainerdashboard import ClassifierExplainer, ExplainerDashboard
X = pd.read_csv(sys.argv[1]); y = X.pop("target")
model = RandomForestClassifier(100, n_jobs=-1, random_state=0).fit(X, y)
start = time.perf_counter()
explainer = ClassifierExplainer(model, X, y)
ExplainerDashboard(explainer)
seconds = time.perf_counter() - start
shap = explainer.get_mean_abs_shap_df()
print(json.dumps({"seconds": seconds, "order": list(shap.iloc[:3, 0])}))
"""


def _against_dashboard() -> list[Row]:
    """10,000 × 20, a forest of 100 trees of unlimited depth."""
    import pandas as pd

    X, y = data(10_000)
    table = pd.DataFrame(X, columns=[f"x{at}" for at in range(COLUMNS)])
    table["target"] = (y > 0).astype(int)
    with tempfile.TemporaryDirectory() as folder:
        theirs = _built(Path(folder), table)
    first, every, order = _our_answers(table)
    rows: list[Row] = []
    for work, took in (("first importances with intervals", first), ("all rows exact", every)):
        row: Row = {"work": f"{work}, forest 100, unlimited depth", "rows": "10,000"}
        row |= {"ours, s": f"{took:.3g}", "against": "explainerdashboard", "its rows": "10,000"}
        if isinstance(theirs, str):
            rows.append({**row, "ratio": theirs})
            continue
        if order != theirs["order"]:
            raise SystemExit(f"The first features differ: {order} and {theirs['order']}.")
        rows.append({**row, "ratio": f"{theirs['seconds'] / took:.3g}×"})
    return rows


def _built(folder: Path, table: Any) -> Mapping[str, Any] | str:
    """Seconds until explainerdashboard has built its pages, or why there are none."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        return "explainerdashboard was not timed: uv, which would install it, is not there."
    table.to_csv(folder / "rows.csv", index=False)
    (folder / "theirs.py").write_text(_THEIRS, encoding="utf-8")
    python = folder / "env" / "bin" / "python"
    commands = [
        [uv, "venv", "--quiet", str(folder / "env")],
        [
            uv,
            "pip",
            "install",
            "--quiet",
            "--python",
            str(python),
            "explainerdashboard",
            "setuptools<81",
        ],
        [str(python), "-W", "ignore", str(folder / "theirs.py"), str(folder / "rows.csv")],
    ]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, timeout=3_600, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no word"])[-1]
            return f"explainerdashboard was not timed: {last[:120]}"
    answer: Mapping[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def _our_answers(table: Any) -> tuple[float, float, list[str]]:
    """Seconds until 200 rows are there with bootstrap intervals, until all rows are, and the first
    features.

    As the app does it, from the fitted model: engines are chosen and measured first, and every
    block is checked against the model's own answers.
    """
    from sklearn.ensemble import RandomForestClassifier

    from dashboard.diagnostics.importance import compute_shap_importance
    from dashboard.evaluation import as_evalset
    from dashboard.explanation import explain_in_stages, plan_explanation

    X, y = table.drop(columns="target"), table["target"]
    model = RandomForestClassifier(TREES, n_jobs=-1, random_state=0).fit(X, y)
    evalset, opened = as_evalset(X, y, "target"), EstimatorModel(model, name="forest")
    start = time.perf_counter()
    plan = plan_explanation(opened, evalset)
    stages = explain_in_stages(opened, evalset, "forest", plan=plan, stages=(200, None))
    compute_shap_importance(next(stages))
    first = time.perf_counter() - start
    (found,) = stages
    every = time.perf_counter() - start
    order = np.argsort(-np.abs(found.values[:, :, 0]).mean(axis=0))[:3]
    return first, every, [str(X.columns[at]) for at in order]
