"""Attributions with values from shap or a closed form, for tests of what reads them."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestRegressor

from dashboard.contracts import Attributions, Background, OutputSpace

TRAINING = Background(0, 0, "the training counts of each tree")
HOSTILE = "<b>x</b> & %{y} $a$ <script>alert(1)</script>"


def attributed(
    values: Any,
    data: Any,
    *,
    names: tuple[str, ...] | None = None,
    base: Any = 0.0,
    model: str = "forest",
    outputs: tuple[Any, ...] = ("price",),
    space: OutputSpace = OutputSpace.TARGET,
    rows: Any = None,
    errors: Any = None,
    n_given: int | None = None,
) -> Attributions:
    """Values `(n, f)` or `(n, f, k)` that add up by construction."""
    values = np.asarray(values, dtype=np.float64)
    values = values[:, :, None] if values.ndim == 2 else values
    n, f, k = values.shape
    base_values = np.broadcast_to(np.asarray(base, dtype=np.float64), (k,)).copy()
    if names is None:
        names = (
            tuple(data.columns)
            if isinstance(data, pd.DataFrame)
            else tuple(f"x{i}" for i in range(f))
        )
    return Attributions(
        model=model,
        values=values,
        base_values=base_values,
        predictions=base_values + values.sum(axis=1),
        data=data,
        feature_names=tuple(names),
        output_names=outputs,
        space=space,
        engine="tree",
        method="Tree SHAP, path-dependent",
        exact=errors is None,
        background=TRAINING,
        rows=np.arange(n) if rows is None else np.asarray(rows),
        n_given=n if n_given is None else n_given,
        additivity_error=0.0,
        tolerance=1e-6,
        errors=errors,
    )


def mixed_frame(n: int = 300, seed: int = 0) -> pd.DataFrame:
    """Numbers with gaps, whole numbers, texts, flags and dates."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "income": rng.gamma(3, 1.3, n),
            "age": rng.integers(18, 80, n).astype(float),
            "region": rng.choice(["inland", "bay", "ocean"], n),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), "D"),
            "flag": rng.random(n) < 0.3,
            "noise": rng.normal(size=n),
        }
    )
    frame.loc[::17, "age"] = np.nan
    return frame


def mixed(n: int = 300, scale: float = 1.0, **options: Any) -> Attributions:
    """A known formula: income alone, and age only through the region."""
    frame = mixed_frame(n)
    side = frame["region"].map({"inland": -1.0, "bay": 0.5, "ocean": 0.2}).to_numpy()
    years = frame["age"].fillna(40).to_numpy()
    values = np.column_stack(
        [
            scale * (np.log(frame["income"] + 0.3) - 1),
            (years - 40) / 60 * side,
            scale * 0.3 * side,
            np.zeros(n),
            np.where(frame["flag"], 0.2, -0.1),
            0.01 * frame["noise"],
        ]
    )
    return attributed(values, frame, base=0.5, rows=3 * np.arange(n), n_given=3 * n, **options)


def shap_library() -> Any:
    """shap, whose import warns of what it does to its own colours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import matplotlib as mpl

        mpl.use("Agg")
        import shap
    return shap


@cache
def forest() -> tuple[Attributions, Any]:
    """A forest on the Friedman function with shap's own values, and shap's explanation of it."""
    from sklearn.datasets import make_friedman1

    shap = shap_library()
    X, y = make_friedman1(n_samples=400, n_features=7, noise=0.3, random_state=1)
    model = RandomForestRegressor(20, max_depth=6, random_state=0).fit(X, y)
    explanation = shap.TreeExplainer(model)(X)
    explanation.feature_names = [f"x{k}" for k in range(7)]
    explanation.base_values = np.asarray(explanation.base_values).reshape(-1)
    frame = pd.DataFrame(X, columns=explanation.feature_names)
    return attributed(explanation.values, frame, base=explanation.base_values[0]), explanation


@cache
def three_classes() -> Attributions:
    """Iris: values of a linear score per class in closed form, three outputs."""
    iris = load_iris(as_frame=True)
    X = iris.data
    weights = np.array([[0.4, -0.9, 0.1], [1.2, -0.3, -0.5], [-2.0, 0.2, 1.4], [-1.0, -0.8, 1.9]])
    values = (X - X.mean()).to_numpy()[:, :, None] * weights
    return attributed(
        values,
        X,
        base=[0.1, 0.2, 0.3],
        outputs=("setosa", "versicolor", "virginica"),
        space=OutputSpace.LOG_ODDS,
    )
