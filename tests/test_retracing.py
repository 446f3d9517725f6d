"""Forests asked for shuffled values through their trees: the forest's own answers, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from dashboard.contracts import Task
from dashboard.explainers import retracing
from dashboard.explainers.answers import Asked
from dashboard.explainers.retracing import retraced
from dashboard.models import adapt


def _rows(n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(n, 4)), columns=list("abcd"))
    frame["kind"] = rng.choice(["x", "y", "z"], n)
    frame.loc[::9, "b"] = np.nan
    return frame


def _target(X: pd.DataFrame, classes: int) -> Any:
    value = X["a"] + X["c"] * X["d"] + (X["kind"] == "x")
    if not classes:
        return value.to_numpy()
    return np.array(list("pqrs"))[pd.qcut(value, classes, labels=False)]


def _pipe(model: Any) -> Any:
    columns = ColumnTransformer(
        [("n", StandardScaler(), list("dcba")), ("k", OneHotEncoder(), ["kind"])]
    )
    return make_pipeline(columns, model)


CASES = [
    (RandomForestClassifier(15, random_state=0), 2),
    (RandomForestClassifier(15, max_depth=4, class_weight="balanced", random_state=0), 3),
    (DecisionTreeClassifier(random_state=0), 4),
    (RandomForestRegressor(15, random_state=0), 0),
    (ExtraTreesRegressor(15, random_state=0), 0),
]


@pytest.mark.parametrize(("model", "classes"), CASES)
def test_answers_are_the_models_own(model: Any, classes: int) -> None:
    X = _rows()
    pipe = _pipe(model).fit(X, _target(X, classes))
    adapted = adapt(pipe, "m")
    task = {0: Task.REGRESSION, 2: Task.BINARY}.get(classes, Task.MULTICLASS)
    labels = tuple("pqrs"[:classes])
    found = retraced(adapted, X, Asked(task, labels, 1 if classes == 2 else None, "y"))
    assert found is not None
    rng = np.random.default_rng(1)
    changes = [(rng.permutation(len(X)), columns) for columns in ([0], [1], [4], [2, 4])]
    raw = found.answers(changes)
    ours = np.asarray(raw.scores if classes else raw.labels).reshape(len(changes), len(X), -1)
    for (lent, columns), mine in zip(changes, ours, strict=True):
        changed = X.copy()
        for at in columns:
            changed.isetitem(at, X.iloc[:, at].to_numpy()[lent])
        theirs = pipe.predict_proba(changed) if classes else pipe.predict(changed)[:, None]
        assert (mine == theirs).all()
    # the same rows are not prepared again, other rows are
    assert retraced(adapted, X, Asked(task, labels, 1 if classes == 2 else None, "y")) is found


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), PCA(2), RandomForestRegressor(3)),
        GradientBoostingRegressor(n_estimators=3),
        RandomForestRegressor(3),
    ],
)
def test_models_that_it_is_not_for(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    X = _rows()[["a", "c", "d"]]
    y = X["a"].to_numpy()
    asked = Asked(Task.REGRESSION, (), None, "y")
    if isinstance(model, RandomForestRegressor):
        monkeypatch.setattr(retracing, "MOST_CELLS", 300 * 3 * 3 - 1)
    assert retraced(adapt(model.fit(X, y), "m"), X, asked) is None


def test_several_outputs_and_functions_are_left_alone() -> None:
    X = _rows()[["a", "c", "d"]]
    asked = Asked(Task.REGRESSION, (), None, "y")
    two = RandomForestRegressor(3).fit(X, X[["a", "c"]])
    assert retraced(adapt(two, "m"), X, asked) is None
    assert retraced(adapt(lambda X: X["a"].to_numpy(), "f"), X, asked) is None


class _Doubled(RandomForestRegressor):
    """Answers otherwise than its trees say."""

    def predict(self, X: Any) -> Any:
        return 2 * super().predict(X)


_Doubled.__name__, _Doubled.__module__ = "RandomForestRegressor", "sklearn.ensemble"


def test_a_forest_that_does_not_answer_like_its_trees_is_left_alone() -> None:
    X = _rows()[["a", "c", "d"]]
    model = adapt(_Doubled(5, random_state=0).fit(X, X["a"]), "m")
    assert retraced(model, X, Asked(Task.REGRESSION, (), None, "y")) is None
