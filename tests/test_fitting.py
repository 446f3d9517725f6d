"""Models fitted anew: scikit-learn's own numbers, shared steps, what cannot be fitted again."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    StandardScaler,
    TargetEncoder,
)
from sklearn.tree import DecisionTreeClassifier

from dashboard.data import EvalSet
from dashboard.errors import ModelError, NotApplicable, ParameterError
from dashboard.evaluation import as_evalset
from dashboard.learning import (
    Fit,
    FitOptions,
    Folds,
    Request,
    choose_folds,
    fits_in_lanes,
    refit_of,
)
from dashboard.learning.lanes import asked_fit
from dashboard.models import adapt
from dashboard.refitting.estimators import without_trees
from dashboard.refitting.preparing import forget, shared_steps

SIZES = (40, 120, 300)


@pytest.fixture(scope="module")
def cancer() -> EvalSet:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return as_evalset(X.iloc[:, :6], y.map({0: "bad", 1: "good"}), None)


@pytest.fixture(scope="module")
def mixed() -> EvalSet:
    """Numbers with gaps, a text column, and a number to predict."""
    rng = np.random.default_rng(0)
    n = 300
    X = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n)})
    X.loc[::7, "a"] = np.nan
    X["town"] = rng.choice(["x", "y", "z"], n)
    y = X["b"] * 2 + (X["town"] == "y") + rng.normal(0, 0.1, n)
    return as_evalset(X, y.to_numpy(), None)


def _truth(data: EvalSet) -> Any:
    y = data.target.y
    return np.array(data.target.labels)[y] if data.target.labels else y


def _fits(model: Any, data: EvalSet, folds: Folds, metric: str, **more: Any) -> list[Fit]:
    requests = [Request(fold, size) for size in SIZES[:2] for fold in folds.pairs]
    options = FitOptions(metrics=(metric,), **more)
    found = dict(fits_in_lanes(adapt(model, "model"), data, "model", requests, options))
    return [found[place] for place in range(len(requests))]


def _theirs(model: Any, data: EvalSet, folds: Folds, scoring: str) -> tuple[Any, Any]:
    _, train, validation = learning_curve(
        model, data.X, _truth(data), train_sizes=list(SIZES[:2]), cv=list(folds), scoring=scoring
    )
    return train.ravel(), validation.ravel()


def _prepared(last: Any, *first: Any) -> Any:
    return make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), ["a", "b"]),
            *first,
        ),
        last,
    )


@pytest.mark.parametrize(
    ("model", "metric", "scoring", "sign"),
    [
        (RandomForestClassifier(4, random_state=1), "roc_auc", "roc_auc", 1),
        # four trees tie now and then: the labels are the forest's own
        (RandomForestClassifier(4, random_state=1), "accuracy", "accuracy", 1),
        (make_pipeline(StandardScaler(), LogisticRegression()), "log_loss", "neg_log_loss", -1),
        (
            make_pipeline(StandardScaler(), SelectKBest(k=3), LogisticRegression()),
            "accuracy",
            "accuracy",
            1,
        ),
    ],
    ids=["forest", "ties", "logistic", "selection"],
)
def test_scores_are_those_of_scikit_learn(
    cancer: EvalSet, model: Any, metric: str, scoring: str, sign: int
) -> None:
    folds = choose_folds(cancer, 3)
    fitted = model.fit(cancer.X, _truth(cancer))
    ours = _fits(fitted, cancer, folds, metric)
    train, validation = _theirs(model, cancer, folds, scoring)
    assert np.abs(sign * train - [fit.train[0] for fit in ours]).max() < 1e-12
    assert np.abs(sign * validation - [fit.validation[0] for fit in ours]).max() < 1e-12


@pytest.mark.parametrize("encoder", [OneHotEncoder(), TargetEncoder(cv=KFold(3))])
def test_shared_steps_change_no_number(mixed: EvalSet, encoder: Any) -> None:
    """A target encoder gives other numbers for the rows it was fitted on than for others."""
    forget()
    model = _prepared(Ridge(), (encoder, ["town"])).fit(mixed.X, mixed.target.y)
    folds = choose_folds(mixed, 3)
    train, validation = _theirs(model, mixed, folds, "neg_root_mean_squared_error")
    for shared in (False, True):  # the second time everything was prepared before
        ours = _fits(model, mixed, folds, "rmse")
        assert [fit.shared for fit in ours] == [shared] * len(ours)
        assert np.abs(-train - [fit.train[0] for fit in ours]).max() < 1e-12
        assert np.abs(-validation - [fit.validation[0] for fit in ours]).max() < 1e-12


def test_models_share_a_step_only_where_its_settings_are_the_same(mixed: EvalSet) -> None:
    forget()
    folds = choose_folds(mixed, 3)
    other = _prepared(Ridge(), (OneHotEncoder(), ["town"]))
    first = _prepared(Ridge(3.0), (OneHotEncoder(), ["town"])).fit(mixed.X, mixed.target.y)
    assert not any(fit.shared for fit in _fits(first, mixed, folds, "rmse"))
    assert all(
        fit.shared for fit in _fits(other.fit(mixed.X, mixed.target.y), mixed, folds, "rmse")
    )
    changed = _prepared(Ridge(), (OneHotEncoder(min_frequency=2), ["town"]))
    fits = _fits(changed.fit(mixed.X, mixed.target.y), mixed, folds, "rmse")
    assert not any(fit.shared for fit in fits)


def test_steps_that_may_differ_from_fit_to_fit_are_not_shared() -> None:
    plain = make_pipeline(StandardScaler(), Ridge())
    assert [name for name, _ in shared_steps(plain)] == ["standardscaler"]
    assert shared_steps(Ridge()) == []
    assert shared_steps(make_pipeline(FunctionTransformer(lambda X: X), Ridge())) == []
    assert shared_steps(make_pipeline(TargetEncoder(), Ridge())) == []
    assert shared_steps(make_pipeline(StandardScaler(), Ridge(), memory="cache")) == []
    assert shared_steps(make_pipeline(FunctionTransformer(np.log1p), Ridge())) != []


def test_weights_reach_the_last_step() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=90)})
    frame["target"] = frame["a"] * 3 + rng.normal(size=90)
    frame["sample_weight"] = rng.integers(1, 5, 90).astype(float)
    data = as_evalset(frame, None, "target")
    model = make_pipeline(StandardScaler(), Ridge()).fit(frame[["a"]], frame["target"])
    folds = choose_folds(data, 3)
    fold = folds.pairs[0]
    (fit,) = _one(model, data, Request(fold), "rmse")
    y, w = frame["target"].to_numpy(), frame["sample_weight"].to_numpy()
    scaler = StandardScaler().fit(frame[["a"]].iloc[fold.train])
    ridge = Ridge().fit(
        scaler.transform(frame[["a"]].iloc[fold.train]), y[fold.train], w[fold.train]
    )
    error = ridge.predict(scaler.transform(frame[["a"]].iloc[fold.validation])) - y[fold.validation]
    expected = np.sqrt(np.average(error**2, weights=w[fold.validation]))
    assert fit.validation[0] == pytest.approx(expected, abs=1e-12)


def _one(model: Any, data: EvalSet, request: Request, *metrics: str, **more: Any) -> list[Fit]:
    options = FitOptions(metrics=metrics, **more)
    return [fit for _, fit in fits_in_lanes(adapt(model, "m"), data, "m", [request], options)]


def test_settings_are_changed_and_unknown_ones_are_named(cancer: EvalSet) -> None:
    tree = DecisionTreeClassifier(random_state=0).fit(cancer.X, _truth(cancer))
    fold = choose_folds(cancer, 3).pairs[0]
    (deep,) = _one(tree, cancer, Request(fold), "accuracy")
    (flat,) = _one(tree, cancer, Request(fold, params={"max_depth": 1}), "accuracy")
    assert deep.train[0] == 1.0 > flat.train[0]
    with pytest.raises(NotApplicable, match="no setting 'depth'"):
        _one(tree, cancer, Request(fold, params={"depth": 1}), "accuracy")


def test_what_draws_at_random_has_a_seed(cancer: EvalSet) -> None:
    forest = RandomForestClassifier(3).fit(cancer.X, _truth(cancer))
    request = Request(choose_folds(cancer, 3).pairs[0], 100)
    one, same = (_one(forest, cancer, request, "roc_auc", seed=4)[0] for _ in range(2))
    (other,) = _one(forest, cancer, request, "roc_auc", seed=5)
    assert one.validation[0] == same.validation[0] != other.validation[0]
    assert any("seed 4" in note for note in one.notes)


def test_answers_for_rows_that_were_never_seen_come_back(cancer: EvalSet) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(cancer.X, _truth(cancer))
    fold = choose_folds(cancer, 3).pairs[1]
    (fit,) = _one(model, cancer, Request(fold), "roc_auc", answers=True)
    y = _truth(cancer)
    own = make_pipeline(StandardScaler(), LogisticRegression())
    own.fit(cancer.X.iloc[fold.train], y[fold.train])
    assert fit.answers is not None
    expected = own.predict_proba(cancer.X.iloc[fold.validation])
    assert np.abs(np.asarray(fit.answers.scores) - expected).max() < 1e-12


class Unlucky(ClassifierMixin, BaseEstimator):
    """Fails where one row is among those it learns from."""

    def __init__(self, row: float = 0.0) -> None:
        self.row = row

    def fit(self, X: Any, y: Any) -> Unlucky:
        if (np.asarray(X)[:, 0] == self.row).any() and len(X) < 400:
            raise ArithmeticError("a bad row")
        self.classes_ = np.unique(y)
        self.n_features_in_ = np.shape(X)[1]
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[0])


def test_a_fit_that_raises_leaves_the_others(cancer: EvalSet) -> None:
    bad = float(cancer.X.iloc[3, 0])
    model = Unlucky(bad).fit(cancer.X, _truth(cancer))
    requests = [Request(fold) for fold in choose_folds(cancer, 3).pairs]
    options = FitOptions(metrics=("accuracy",))
    fits = [fit for _, fit in fits_in_lanes(adapt(model, "m"), cancer, "m", requests, options)]
    failed = [fit for fit in fits if fit.failure]
    assert len(failed) == 2 and "ArithmeticError: a bad row" in failed[0].failure
    assert [np.isfinite(fit.validation[0]) for fit in fits].count(True) == 1


def test_one_class_among_the_rows_is_said(cancer: EvalSet) -> None:
    y = cancer.target.y
    fold = choose_folds(cancer, 3).pairs[0]
    one = np.flatnonzero(y == 1)[:50]
    logistic = make_pipeline(StandardScaler(), LogisticRegression()).fit(cancer.X, _truth(cancer))
    requests = [
        Request(type(fold)(one, fold.validation)),
        Request(type(fold)(fold.train, one)),
    ]
    options = FitOptions(metrics=("roc_auc", "accuracy"))
    found = dict(fits_in_lanes(adapt(logistic, "m"), cancer, "m", requests, options))
    assert "class" in found[0].failure
    assert np.isnan(found[1].validation[0]) and np.isfinite(found[1].validation[1])
    assert "roc_auc" in found[1].reasons and not found[1].failure


class Bare:
    """Predicts, and cannot be copied."""

    classes_ = np.array(["bad", "good"])

    def predict(self, X: Any) -> Any:
        return np.full(len(X), "bad")


@pytest.mark.parametrize(
    ("model", "what"),
    [
        (Bare(), "no get_params"),
        (lambda X: np.zeros(len(X)), "only its answers"),
    ],
    ids=["bare", "function"],
)
def test_models_that_cannot_be_fitted_again_say_so(model: Any, what: str) -> None:
    refit = refit_of(adapt(model, "m"), "m")
    assert not refit.can and what in refit.reason and "logs by epoch" in refit.reason


def test_a_frozen_part_would_know_all_rows(cancer: EvalSet) -> None:
    scaler = StandardScaler().fit(cancer.X)
    model = make_pipeline(FrozenEstimator(scaler), LogisticRegression())
    refit = refit_of(adapt(model.fit(cancer.X, _truth(cancer)), "m"), "m")
    assert not refit.can and "still know all rows" in refit.reason
    with pytest.raises(NotApplicable, match="still know all rows"):
        _one(model, cancer, Request(choose_folds(cancer, 3).pairs[0]), "accuracy")


def test_boosters_that_stopped_early_keep_their_rounds(cancer: EvalSet) -> None:
    from xgboost import XGBClassifier

    codes = cancer.target.y
    model = XGBClassifier(n_estimators=12, early_stopping_rounds=2, max_depth=2, random_state=0)
    model.fit(cancer.X, codes, eval_set=[(cancer.X[:80], 1 - codes[:80])], verbose=False)
    (fit,) = _one(model, cancer, Request(choose_folds(cancer, 3).pairs[0]), "roc_auc")
    assert np.isfinite(fit.validation).all()
    assert any("Early stopping is off" in note for note in fit.notes)
    assert refit_of(adapt(model, "m"), "m").parameters["n_estimators"] == 12


def test_what_is_sent_to_other_processes_is_without_trees_and_fits_the_same(
    cancer: EvalSet,
) -> None:
    forest = RandomForestClassifier(30, random_state=1).fit(cancer.X, _truth(cancer))
    model = adapt(make_pipeline(StandardScaler(), forest).fit(cancer.X, _truth(cancer)), "m")
    light = without_trees(model)
    assert len(pickle.dumps(light)) < len(pickle.dumps(model)) / 10
    request, options = Request(choose_folds(cancer, 3).pairs[0]), FitOptions(metrics=("roc_auc",))
    one, other = (asked_fit(each, cancer, request, options, 1) for each in (model, light))
    assert one.validation[0] == other.validation[0]
    assert len(forest.estimators_) == 30 and model.predict(cancer.X).labels is not None


def test_unknown_metrics_are_named(cancer: EvalSet) -> None:
    tree = DecisionTreeClassifier(max_depth=1).fit(cancer.X, _truth(cancer))
    with pytest.raises((NotApplicable, ParameterError, ModelError), match="banana"):
        _one(tree, cancer, Request(choose_folds(cancer, 3).pairs[0]), "banana")


def test_boosters_of_other_libraries(cancer: EvalSet) -> None:
    import catboost
    import lightgbm

    X, y = cancer.X.to_numpy(), cancer.target.y  # type: ignore[union-attr]
    data = as_evalset(X, y, None)
    folds = choose_folds(data, 3)
    for model in (
        catboost.CatBoostClassifier(
            iterations=6, depth=2, random_seed=0, verbose=0, allow_writing_files=False
        ),
        lightgbm.LGBMClassifier(n_estimators=6, verbose=-1, random_state=0, n_jobs=1),
    ):
        fits = _fits(model.fit(data.X, y), data, folds, "roc_auc")
        train, validation = _theirs(model, data, folds, "roc_auc")
        assert np.abs(train - [fit.train[0] for fit in fits]).max() < 1e-12
        assert np.abs(validation - [fit.validation[0] for fit in fits]).max() < 1e-12


def test_rows_prepared_for_one_fold_are_not_taken_for_those_of_another(cancer: EvalSet) -> None:
    """The same rows to learn from, others to be judged on: only what was learned is shared."""
    forget()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(cancer.X, _truth(cancer))
    fold, other = choose_folds(cancer, 3).pairs[0], choose_folds(cancer, 3).pairs[1]
    elsewhere = replace(fold, validation=other.train[:50])
    (first,) = _one(model, cancer, Request(fold), "log_loss")
    (second,) = _one(model, cancer, Request(elsewhere), "log_loss")
    assert not first.shared and second.shared
    forget()
    (alone,) = _one(model, cancer, Request(elsewhere), "log_loss")
    assert not alone.shared and second.validation == alone.validation != first.validation
