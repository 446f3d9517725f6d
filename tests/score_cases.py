"""Small cases of truth, scores and weights for the tests of the threshold engine."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from dashboard.contracts import Predictions, ScoreKind, Target, Task
from dashboard.diagnostics.thresholds import ThresholdTable

FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
CLOSE: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-12}

Case = tuple[npt.NDArray[np.bool_], npt.NDArray[Any], npt.NDArray[np.float64] | None]


@st.composite
def cases(
    draw: st.DrawFn, probabilities: bool = False, finite: bool = True, both: bool = False
) -> Case:
    """Truth, scores with many ties, weights or none; float64 or float32; one class possible."""
    n = draw(st.integers(2 if both else 1, 40))
    low, high = (0.0, 1.0) if probabilities else (-1e3, 1e3)
    dtype = draw(st.sampled_from([np.float64, np.float32]))
    levels = draw(
        st.lists(
            st.floats(low, high, width=32 if dtype == np.float32 else 64), min_size=1, max_size=25
        )
    )
    levels += [0.0, -0.0, 1.0] + ([] if finite else [np.inf, -np.inf])
    scores = np.array([draw(st.sampled_from(levels)) for _ in range(n)], dtype=dtype)
    kind = draw(st.sampled_from(["both"] * 4 + ([] if both else ["positive", "negative"])))
    truth = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    if kind != "both":
        truth[:] = kind == "positive"
    elif both:
        truth[:2] = [True, False]
    weights = None
    if draw(st.booleans()):
        values = st.sampled_from([0.0, 1.0, 0.5, 2.0, 1 / 3, 7.25])
        weights = np.array(draw(st.lists(values, min_size=n, max_size=n)))
        weights[0 : 2 if both else 1] = 1.0
    return truth, scores, weights


def quietly(function: Any, *arguments: Any, **options: Any) -> Any:
    """scikit-learn's answer without its warnings on absent classes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


def table_of(truth: Any, scores: Any, weights: Any = None) -> ThresholdTable:
    return ThresholdTable.from_scores(np.asarray(truth, dtype=bool), scores, weights)


def predictions(**changes: Any) -> Predictions:
    """Four rows of a binary task, positives at .8 and .4."""
    target = Target(Task.BINARY, "y", ("no", "yes"), np.array([0, 1, 1, 0]), pos_label=1)
    fields: dict[str, Any] = {
        "name": "model",
        "target": target,
        "y_pred": None,
        "y_score": np.array([0.1, 0.8, 0.4, 0.4]),
        "score_kind": ScoreKind.PROBABILITY,
        "sample_weight": None,
        "rows": np.arange(4),
        "n_given": 4,
    }
    return Predictions(**(fields | changes))


def many(n: int, positives: int, apart: float = 1.0, seed: int = 0, **changes: Any) -> Predictions:
    """n rows of which the first are positive, normal scores `apart` deviations higher."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) < positives
    target = Target(Task.BINARY, "y", ("no", "yes"), truth.astype(np.int64), pos_label=1)
    scores = 1 / (1 + np.exp(-(rng.normal(size=n) + apart * truth)))
    fields = {"target": target, "y_score": scores, "rows": np.arange(n), "n_given": n}
    return predictions(**(fields | changes))
