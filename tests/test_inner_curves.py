"""Curves that fitted models carry, equal to what their libraries tell; networks trained anew."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import (
    AdaBoostClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.metrics import log_loss, roc_auc_score, root_mean_squared_error
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dashboard.contracts import Run
from dashboard.data import EvalSet
from dashboard.errors import NotApplicable
from dashboard.evaluation import as_evalset
from dashboard.frames import Frame, FrameError
from dashboard.learning import (
    FitOptions,
    Request,
    choose_folds,
    curves_of_model,
    estimate_fits,
    fits_in_lanes,
    refit_of,
)
from dashboard.models import adapt
from dashboard.refitting.inner_curves import read_inner_curves


@pytest.fixture(scope="module")
def cancer() -> EvalSet:
    X, y = load_breast_cancer(return_X_y=True)
    return as_evalset(X[:, :8], y, None)


def _rows(data: EvalSet) -> tuple[Any, Any]:
    return data.X.to_numpy(), data.target.y  # type: ignore[union-attr]


def _curves(model: Any, data: EvalSet | None, *metrics: str, **more: Any) -> dict[str, Run]:
    runs = curves_of_model(adapt(model, "m"), data, "m", metrics=metrics, **more)
    assert len({run.name for run in runs}) == len(runs)
    return {run.source: run for run in runs}


def _values(run: Run, metric: str, part: str) -> Any:
    series = run.get(metric, part)
    assert series is not None
    return series.values


def test_histogram_boosting_that_stops_early(cancer: EvalSet) -> None:
    X, y = _rows(cancer)
    model = HistGradientBoostingClassifier(max_iter=6, early_stopping=True, random_state=0)
    runs = _curves(model.fit(X, y), cancer, "log_loss", "roc_auc")
    logged = runs["HistGradientBoostingClassifier"]
    assert _values(logged, "loss", "train") == pytest.approx(-model.train_score_)
    assert _values(logged, "loss", "validation") == pytest.approx(-model.validation_score_)
    assert logged.series[0].steps.tolist() == list(range(7))
    staged = runs["Stages of boosting"]
    shares = list(model.staged_predict_proba(X))
    expected = [log_loss(y, share) for share in shares]
    assert _values(staged, "log_loss", "validation") == pytest.approx(expected, abs=1e-12)
    expected = [roc_auc_score(y, share[:, 1]) for share in shares]
    assert _values(staged, "roc_auc", "validation") == pytest.approx(expected, abs=1e-12)


def test_gradient_boosting_within_a_pipeline_and_fewer_stages(cancer: EvalSet) -> None:
    X, _ = _rows(cancer)
    y = X[:, 0] * 3 + np.random.default_rng(0).normal(size=len(X))
    data = as_evalset(X, y, None)
    last = GradientBoostingRegressor(n_estimators=9, subsample=0.7, random_state=0)
    model = make_pipeline(StandardScaler(), last).fit(X, y)
    runs = _curves(model, data, "rmse", stages=3)
    logged = runs["GradientBoostingRegressor"]
    assert _values(logged, "loss", "train") == pytest.approx(last.train_score_)
    assert _values(logged, "loss", "validation") == pytest.approx(last.oob_scores_)
    staged = runs["Stages of boosting"]
    assert staged.series[0].steps.tolist() == [1, 5, 9]
    assert "3 of 9 rounds" in staged.notes[0]
    every = [root_mean_squared_error(y, one) for one in last.staged_predict(model[0].transform(X))]
    assert _values(staged, "rmse", "validation") == pytest.approx(np.array(every)[[0, 4, 8]])


def test_other_boosters_and_their_native_forms(cancer: EvalSet) -> None:
    import xgboost

    X, y = _rows(cancer)
    model = xgboost.XGBClassifier(n_estimators=4, max_depth=2, n_jobs=1)
    model.fit(X, y, eval_set=[(X[:300], y[:300]), (X[300:], y[300:])], verbose=False)
    runs = _curves(model, cancer, "log_loss")
    told = model.evals_result()
    assert _values(runs["XGBoost"], "logloss", "train") == pytest.approx(
        told["validation_0"]["logloss"]
    )
    assert _values(runs["XGBoost"], "logloss", "validation") == pytest.approx(
        told["validation_1"]["logloss"]
    )
    shares = [model.predict_proba(X, iteration_range=(0, k))[:, 1] for k in range(1, 5)]
    expected = [log_loss(y, share.astype(float)) for share in shares]
    staged = _values(runs["Stages of boosting"], "log_loss", "validation")
    assert staged == pytest.approx(expected, abs=1e-6)
    native = _curves(model.get_booster(), cancer, "log_loss")["Stages of boosting"]
    assert _values(native, "log_loss", "validation") == pytest.approx(expected, abs=1e-6)


def test_lightgbm_and_catboost(cancer: EvalSet) -> None:
    import catboost
    import lightgbm

    X, y = _rows(cancer)
    light = lightgbm.LGBMClassifier(n_estimators=4, num_leaves=4, verbose=-1, n_jobs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        light.fit(X, y, eval_set=[(X[:100], y[:100])])
        runs = _curves(light, cancer, "log_loss")
        expected = [log_loss(y, light.predict_proba(X, num_iteration=k)) for k in range(1, 5)]
    (series,) = runs["LightGBM"].series
    assert series.values == pytest.approx(light.evals_result_["valid_0"]["binary_logloss"])
    for model in (light, light.booster_):
        staged = _curves(model, cancer, "log_loss")["Stages of boosting"]
        assert _values(staged, "log_loss", "validation") == pytest.approx(expected, abs=1e-9)
    cat = catboost.CatBoostClassifier(
        iterations=4, depth=2, verbose=0, allow_writing_files=False, thread_count=1
    )
    cat.fit(X, y, eval_set=(X[:100], y[:100]))
    runs = _curves(cat, cancer, "log_loss")
    told = cat.get_evals_result()
    assert _values(runs["CatBoost"], "logloss", "train") == pytest.approx(told["learn"]["Logloss"])
    expected = [log_loss(y, share) for share in cat.staged_predict_proba(X)]
    staged = _values(runs["Stages of boosting"], "log_loss", "validation")
    assert staged == pytest.approx(expected, abs=1e-9)


def test_perceptrons(cancer: EvalSet) -> None:
    X, y = _rows(cancer)
    last = MLPClassifier((4,), max_iter=3, early_stopping=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make_pipeline(StandardScaler(), last).fit(X, y)
    (run,) = _curves(model, None).values()
    assert _values(run, "loss", "train") == pytest.approx(last.loss_curve_)
    assert _values(run, "accuracy", "validation") == pytest.approx(last.validation_scores_)
    assert run.series[0].unit == "epoch" and "penalty" in run.notes[0]


def test_ada_has_stages_and_a_forest_has_none(cancer: EvalSet) -> None:
    X, y = _rows(cancer)
    ada = AdaBoostClassifier(n_estimators=3, random_state=0).fit(X, y)
    (run,) = _curves(ada, cancer, "log_loss").values()
    expected = [log_loss(y, share) for share in ada.staged_predict_proba(X)]
    assert _values(run, "log_loss", "validation") == pytest.approx(expected, abs=1e-12)
    with pytest.raises(NotApplicable, match="carries no curve"):
        _curves(RandomForestClassifier(2).fit(X, y), cancer)
    with pytest.raises(NotApplicable, match="carries no curve"):
        _curves(ada, None)


@pytest.mark.parametrize(
    ("header", "arrays"),
    [
        ({}, ()),
        ({"runs": [{"source": "x", "series": [["loss", "train", "epoch", ""]], "notes": []}]}, ()),
        (
            {"runs": [{"source": "x", "series": [["loss", "odd", "epoch", ""]], "notes": []}]},
            (np.arange(2), np.zeros(2)),
        ),
        (
            {"runs": [{"source": "x", "series": [["loss", "train", "epoch", ""]], "notes": []}]},
            (np.arange(2), np.zeros(3)),
        ),
        ({"runs": [{"source": "x", "series": [], "notes": []}]}, (np.zeros(1),)),
    ],
    ids=["nothing", "no numbers", "unknown rows", "lengths", "too many"],
)
def test_answers_that_make_no_sense_are_not_believed(header: Any, arrays: Any) -> None:
    with pytest.raises(FrameError):
        read_inner_curves(Frame(header, arrays), name="m")


def test_a_network_is_trained_anew() -> None:
    import keras

    X, y = load_digits(return_X_y=True)
    X, y = X[:300] / 16, y[:300]
    network = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Normalization(),
            keras.layers.Dense(24, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    network.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    history = network.fit(X, y, epochs=1, verbose=0)
    weights = [array.copy() for array in network.get_weights()]
    model, data = adapt(network, "net"), as_evalset(X, y, None)
    (run,) = curves_of_model(model, None, "net")
    assert run.source == "Keras History"
    assert _values(run, "loss", "train") == pytest.approx(history.history["loss"])
    refit = refit_of(model, "net")
    assert (refit.kind, refit.epochs) == ("network", 1)  # as many as its own history has
    assert "new weights" in refit.sentence
    fold = choose_folds(data, 3).pairs[0]
    options = FitOptions(metrics=("accuracy", "log_loss"), epochs=12, batch_size=32)
    told = estimate_fits(model, data, "net", [Request(fold)] * 3, options)
    assert told.seconds > 0 and "3 fits of 12 epochs on 200 rows" in told.sentence
    drawn = np.random.get_state()[1].copy()  # noqa: NPY002 - what Keras would have drawn from
    fits = [
        fit
        for _ in range(2)
        for _, fit in fits_in_lanes(model, data, "net", [Request(fold)], options)
    ]
    assert fits[0].validation == pytest.approx(fits[1].validation)
    assert fits[0].train[0] > 0.9 and fits[0].validation[0] > 0.7
    assert "12 epochs" in fits[0].notes[0]
    assert np.array_equal(drawn, np.random.get_state()[1])  # noqa: NPY002
    assert all(np.array_equal(a, b) for a, b in zip(weights, network.get_weights(), strict=True))
