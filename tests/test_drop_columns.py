"""Drop-column importance: refits by hand, and what cannot be fitted again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score, root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from dashboard.data import EvalSet, evalset_from_frame
from dashboard.errors import ModelError, NotApplicable, ParameterError
from dashboard.explainers.drop_columns import _without
from dashboard.importance import drop_column_importance, plan_refitting
from dashboard.importance.refitted import _folds
from dashboard.models import adapt
from dashboard.models.adapting import wrap
from dashboard.sandbox.processes import watched


def _with_target(X: pd.DataFrame, y: Any) -> EvalSet:
    return evalset_from_frame(X.assign(target=y), target="target")


def _line(n: int = 200) -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    return X, 2 * X["a"] + X["b"] + rng.normal(size=n)


def test_a_linear_model_is_as_if_the_column_were_not_there() -> None:
    X, y = _line()
    evalset = _with_target(X, y)
    model = LinearRegression().fit(X, y)
    found = drop_column_importance(adapt(model, "m"), evalset, "m", n_folds=4)
    fold = _folds(evalset, np.arange(len(X)), 4, 0)

    def by_hand(names: list[str], k: int) -> float:
        train, test = fold != k, fold == k
        fresh = LinearRegression().fit(X.loc[train, names], y[train])
        return root_mean_squared_error(y[test], fresh.predict(X.loc[test, names]))

    expected = [
        [by_hand([n for n in X if n != name], k) - by_hand(list(X), k) for k in range(4)]
        for name in X
    ]
    assert found.repeats == pytest.approx(np.array(expected), abs=1e-10)
    assert found.metric == "rmse" and found.values.argmax() == 0
    assert sorted(np.bincount(fold)) == [50, 50, 50, 50]


def test_the_interval_is_the_corrected_t_interval() -> None:
    X, y = _line()
    found = drop_column_importance(
        adapt(LinearRegression().fit(X, y), "m"), _with_target(X, y), "m", n_folds=5
    )
    from scipy import stats

    assert found.repeats is not None
    for values, low, high in zip(found.repeats, found.low, found.high, strict=True):
        error = np.sqrt((1 / 5 + 1 / 4) * values.var(ddof=1))
        assert (low, high) == pytest.approx(stats.t.interval(0.95, 4, values.mean(), error))


def test_pipelines_that_name_columns_and_text_labels() -> None:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X = X.iloc[:300, :3].assign(kind=np.where(y[:300] == 1, "round", "rough"))
    X.loc[X.index[::7], "kind"] = "other"
    truth = np.where(y[:300] == 1, "benign", "malignant")
    columns = ColumnTransformer(
        [("n", StandardScaler(), list(X.columns[:3])), ("k", OneHotEncoder(), ["kind"])]
    )
    model = make_pipeline(columns, LogisticRegression()).fit(X, truth)
    evalset = _with_target(X, truth)
    found = drop_column_importance(adapt(model, "m"), evalset, "m", "roc_auc", n_folds=3)
    fold = _folds(evalset, np.arange(300), 3, 0)
    hand = []
    for k in range(3):
        rest = make_pipeline(StandardScaler(), LogisticRegression())
        rest.fit(X.iloc[fold != k, :3], truth[fold != k])
        scores = rest.predict_proba(X.iloc[fold == k, :3])[:, 1]
        hand.append(roc_auc_score(truth[fold == k] == "malignant", scores))
    assert found.repeats is not None
    assert found.frame()["feature"][0] == "kind"
    after = found.baseline - found.values[3]
    # one constant indicator is left beside the intercept, which the penalty hardly touches
    assert after == pytest.approx(np.mean(hand), abs=2e-3)


def test_groups_are_left_out_together() -> None:
    X, y = _line()
    X["twin"] = X["a"]
    model = adapt(DecisionTreeRegressor(max_depth=4, random_state=0).fit(X, y), "m")
    evalset = _with_target(X, y)
    alone = drop_column_importance(model, evalset, "m", n_folds=3)
    pair = drop_column_importance(
        model, evalset, "m", n_folds=3, groups={"a and its twin": ["a", "twin"]}
    )
    assert abs(alone.values[0]) < 0.2 < 0.8 < pair.values[0]


def test_a_column_is_told_nothing_of() -> None:
    frame = pd.DataFrame({"n": [1.0, np.nan, 2.0, 2.0], "t": pd.Categorical(["x", "y", "x", None])})
    told = _without(frame, [0, 1])
    assert told["n"].tolist() == [2.0] * 4 and told["t"].tolist() == ["x"] * 4
    assert told["t"].dtype == frame["t"].dtype and frame["n"].isna().sum() == 1
    assert _without(frame.assign(n=np.nan), [0])["n"].isna().all()
    assert _without(np.arange(6.0).reshape(3, 2), [1])[:, 1].tolist() == [1.0] * 3


def test_what_cannot_be_fitted_again_says_so() -> None:
    X, y = _line()
    evalset = _with_target(X, y)
    with pytest.raises(NotApplicable, match="can be fitted again"):
        drop_column_importance(adapt(lambda X: X["a"].to_numpy(), "f"), evalset, "f")
    with pytest.raises(ParameterError, match="n_folds"):
        drop_column_importance(adapt(LinearRegression().fit(X, y), "m"), evalset, "m", n_folds=1)


class _Once(LinearRegression):
    """Refuses to be fitted where a column is constant."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        if (np.ptp(np.asarray(X), axis=0) == 0).any():
            raise ValueError("a constant column")
        return super().fit(X, y)


def test_a_fit_that_fails_is_one_sentence() -> None:
    X, y = _line()
    model = adapt(_Once().fit(X, y), "once")
    with pytest.raises(ModelError, match=r"could not be fitted again .ValueError: a constant"):
        drop_column_importance(model, _with_target(X, y), "once")


# ---- asked first, kept, grouped ------------------------------------------------------------------


class _Store(dict[str, bytes]):
    """Parts in memory."""

    def put(self, key: str, content: bytes) -> None:
        self[key] = content


def test_the_time_is_told_before_and_finished_fits_are_kept() -> None:
    X, y = _line()
    evalset, store = _with_target(X, y), _Store()
    model = wrap(LinearRegression().fit(X, y), "m", digest="5eed")
    plan = plan_refitting(model, evalset, n_folds=3, store=store)
    assert (plan.fits, plan.left, plan.n, plan.n_given) == (12, 10, 200, 200)
    assert 0 < plan.seconds < 60

    steps: list[int] = []
    with (
        pytest.raises(ModelError),
        watched(lambda done, *_: steps.append(done), lambda: 5 in steps),
    ):
        drop_column_importance(model, evalset, "m", n_folds=3, store=store)
    rest = plan_refitting(model, evalset, n_folds=3, store=store)
    assert rest.left <= 12 - 5 - 2  # that question fitted more of them
    found = drop_column_importance(model, evalset, "m", n_folds=3, store=store)
    whole = drop_column_importance(model, evalset, "m", n_folds=3)
    assert found.repeats is not None and np.array_equal(found.repeats, whole.repeats)
    assert plan_refitting(model, evalset, n_folds=3, store=store).left == 0
    assert len(store) == 4  # with every feature, and without each
    assert plan_refitting(model, evalset, n_folds=4, store=store).left == 14  # of its own


def test_correlated_columns_are_left_out_together() -> None:
    X, y = _line()
    X = X.assign(like_a=X["a"] + 0.01 * X["c"])
    model = adapt(LinearRegression().fit(X, y), "m")
    found = drop_column_importance(model, _with_target(X, y), "m", n_folds=3, groups="correlated")
    alone = drop_column_importance(model, _with_target(X, y), "m", n_folds=3)
    assert found.features[0] == "a + 1" and len(found.features) == 3
    assert found.values[0] > 0.5 and alone.values[0] < 0.05  # the other one covers for it
    assert any("vary together" in note for note in found.notes)
