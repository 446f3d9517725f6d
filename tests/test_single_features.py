"""Leaks: what each feature alone says about the target."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from dashboard.contracts import Target, Task
from dashboard.diagnostics.single_features import _area, compute_single_features
from dashboard.errors import NotApplicable, ParameterError


def _table(n: int = 3_000) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.random(n) < 0.3
    X = pd.DataFrame(
        {
            "noise": rng.normal(size=n),
            "helps": rng.normal(size=n) + y,
            "refund paid": np.where(y, "yes", "no"),
            "bent": np.where(y, rng.choice([-3.0, 3.0], n), 0.0) + 0.1 * rng.normal(size=n),
            "number": [f"id {k}" for k in range(n)],
            "missing if true": np.where(y, np.nan, 1.0),
            "empty": np.nan,
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 9, n), "D"),
        }
    )
    X.loc[5, "when"] = pd.NaT
    return X, y.astype(int)


def test_leaks_of_a_binary_target() -> None:
    X, y = _table()
    found = compute_single_features(X, Target.from_values(y, name="y"))
    score = dict(zip(found.features, found.scores, strict=True))
    assert set(found.leaky) == {"refund paid", "bent", "missing if true"}
    assert score["refund paid"] == score["missing if true"] == 1
    # two normals one standard deviation apart: Φ(1/√2) = .760
    assert score["helps"] == pytest.approx(0.760, abs=0.02)
    for nothing in ("noise", "number", "empty", "when"):
        assert score[nothing] == pytest.approx(0.5, abs=0.04)
    assert found.frame()["feature"].tolist()[-1] in ("noise", "number", "empty", "when")
    assert (found.n, found.n_given) == (3_000, 3_000)


def test_what_is_said_of_them() -> None:
    X, y = _table()
    target = Target.from_values(y, name="y")
    said = compute_single_features(X, target).sentence()
    assert said.startswith("By itself nearly gives the target away: ") and "ROC AUC 1" in said
    fine = compute_single_features(X[["noise", "helps"]], target).sentence()
    assert "No feature gives the target away" in fine and "helps, alone reaches ROC AUC .7" in fine
    assert compute_single_features(X[[]], target).sentence() == ""


def test_which_class_is_positive_does_not_matter() -> None:
    X, y = _table(500)
    one = Target(Task.BINARY, "y", (0, 1), y, 1)
    two = Target(Task.BINARY, "y", (0, 1), y, 0)
    a, b = (compute_single_features(X, each).scores for each in (one, two))
    assert a == pytest.approx(b, abs=1e-12)


def test_several_classes_and_numbers() -> None:
    rng = np.random.default_rng(0)
    kind = rng.choice(["a", "b", "c"], 900)
    X = pd.DataFrame({"copy": kind, "half": kind == "a", "noise": rng.normal(size=900)})
    found = compute_single_features(X, Target.from_values(kind, name="kind"))
    assert found.leaky == ("copy",)
    assert found.scores[1] == pytest.approx(np.mean([1, 0.75, 0.75]), abs=0.01)
    x = rng.normal(size=900)
    X = pd.DataFrame({"x": x, "noise": rng.normal(size=900)})
    value = compute_single_features(X, Target.from_values(x**3 + 5, name="v"), max_rows=800)
    assert value.metric == "r2" and value.scores[0] > 0.8 and abs(value.scores[1]) < 0.15
    assert (value.n, value.n_given) == (800, 900)


def test_the_area_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    score, y = rng.integers(0, 5, 200).astype(float), rng.random(200) < 0.4
    assert _area(score, y) == pytest.approx(roc_auc_score(y, score), abs=1e-12)
    assert np.isnan(_area(score, np.ones(200, bool)))


def test_where_it_does_not_apply() -> None:
    X, y = _table(100)
    target = Target.from_values(y, name="y")
    with pytest.raises(NotApplicable, match="tables"):
        compute_single_features(np.zeros((100, 2)), target)
    several = Target(Task.MULTILABEL, "y", ("a", "b"), np.zeros((100, 2), np.uint8))
    with pytest.raises(NotApplicable, match="one target"):
        compute_single_features(X, several)
    with pytest.raises(ParameterError, match="n_folds"):
        compute_single_features(X, target, n_folds=1)
