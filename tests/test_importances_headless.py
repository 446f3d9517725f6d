"""`importances` and `importance_gap`: objects and files, one failure beside the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from dashboard.contracts import Model
from dashboard.data import EvalSet, evalset_from_frame
from dashboard.errors import ParameterError
from dashboard.importance import importance_gap, importances, permutation_importance
from dashboard.models import adapt, load_model
from dashboard.models.confined import ConfinedModel
from dashboard.samples import read_sample


@pytest.fixture(scope="module")
def data() -> tuple[pd.DataFrame, Any]:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(400, 3)), columns=["a", "b", "noise"])
    return X, np.where(2 * X["a"] + X["b"] + rng.normal(size=400) > 0, "yes", "no")


def test_every_method_on_several_models(data: tuple[pd.DataFrame, Any]) -> None:
    X, y = data
    models = {
        "line": LogisticRegression().fit(X, y),
        "forest": RandomForestClassifier(20, random_state=0).fit(X, y),
    }
    cases: dict[str, dict[str, int]] = {
        "permutation": {"n_repeats": 2},
        "native": {},
        "drop-column": {"n_folds": 2},
        "shap": {"n_rows": 100},
    }
    for method, options in cases.items():
        found = importances(models, X, y, method=method, **options)
        assert [one.model for one in found.importances] == ["line", "forest"]
        assert not found.failures
        firsts = found.frame().groupby("model")["feature"].first().tolist()
        assert firsts == ["a", "a"], method
    assert found.importances[0].n == 100


def test_one_failure_stops_nobody(data: tuple[pd.DataFrame, Any]) -> None:
    X, y = data
    models = {"near": KNeighborsClassifier().fit(X, y), "line": LogisticRegression().fit(X, y)}
    found = importances(models, X, y, method="native")
    assert [one.model for one in found.importances] == ["line"]
    assert found.failures[0].name == "near" and "keeps no counts" in found.failures[0].message
    with pytest.raises(ParameterError, match="no method"):
        importances(models, X, y, method="magic")
    with pytest.raises(ParameterError, match="n_repeats"):
        importances(models, X, y, n_repeats=0)


def test_a_memorising_tree_is_seen(data: tuple[pd.DataFrame, Any]) -> None:
    X, y = data

    def part(rows: slice) -> EvalSet:
        frame = X[rows].assign(target=y[rows]).reset_index(drop=True)
        return evalset_from_frame(frame, target="target")

    tree = DecisionTreeClassifier(random_state=0).fit(X[:200], y[:200])
    gap = importance_gap(
        adapt(tree, "tree"), part(slice(200)), part(slice(200, 400)), "tree", metric="accuracy"
    )
    assert "noise" in gap.memorised
    shallow = DecisionTreeClassifier(max_depth=1).fit(X[:200], y[:200])
    gap = importance_gap(
        adapt(shallow, "stump"), part(slice(200)), part(slice(200, 400)), "stump", metric="accuracy"
    )
    assert "noise" not in gap.memorised


def test_a_worker_gives_the_same_as_this_process() -> None:
    from dashboard.data import build_evalset, read_table
    from dashboard.models import load_native

    sample = read_sample("loans")
    table = read_table(sample.path(sample.data), sample.data)
    evalset = build_evalset(
        table, sample.roles_for(table), pos_label=sample.pos_label, split_value=sample.split_value
    )
    path = sample.path("logistic.skops")
    models: list[Model] = [load_model(path, "m"), load_native(path, "m")]
    assert isinstance(models[0], ConfinedModel)
    far, near = (
        permutation_importance(model, evalset, "m", n_repeats=2, n_rows=300) for model in models
    )
    assert far.features == near.features and (far.values == near.values).all()
    assert far.low == pytest.approx(near.low, abs=1e-12) and far.notes == near.notes
