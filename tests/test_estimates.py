"""Estimates of time against the time that is then measured, and against time that is known."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import GradientBoostingClassifier

from dashboard.contracts import Model
from dashboard.data import EvalSet, evalset_from_frame
from dashboard.importance import drop_column_importance, plan_refitting
from dashboard.learning import SizeOptions, estimate_size_curve, learning
from dashboard.learning.cross_validation import FoldOptions, fold_requests
from dashboard.learning.estimating import estimate_cross_validation, estimate_parameter_curve
from dashboard.learning.folding import choose_folds
from dashboard.learning.lanes import FitOptions, Request, fits_in_lanes
from dashboard.learning.parameters import ParameterOptions
from dashboard.models import adapt, load_model

SIZES, EACH = (100, 200), 0.001  # rows; seconds that each of them takes
FACTOR = 3  # other work on the machine comes and goes


class Sleeper(ClassifierMixin, BaseEstimator):
    """Learns the larger class, in a time that is in proportion to its rows."""

    def __init__(self, each: float = EACH) -> None:
        self.each = each

    def fit(self, X: Any, y: Any) -> Sleeper:
        time.sleep(self.each * len(X))
        self.classes_, counts = np.unique(y, return_counts=True)
        self.share_ = counts / len(y)
        return self

    def predict_proba(self, X: Any) -> Any:
        return np.tile(self.share_, (len(X), 1))

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[self.share_.argmax()])


def _table(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal(size=(n, 4)), columns=list("abcd"))
    return frame.assign(target=(frame["a"] + rng.normal(size=n) > 0).astype(int))


@pytest.fixture(scope="module")
def rows() -> EvalSet:
    return evalset_from_frame(_table(480), target="target")


@pytest.fixture(scope="module")
def sleeper() -> Sleeper:
    table = _table(20)
    return Sleeper().fit(table[list("abcd")], table["target"])


def _measured(
    model: Model, rows: EvalSet, requests: list[Request], options: FitOptions, lanes: int
) -> float:
    """Seconds that the fits themselves took, side by side in so many lanes."""
    fits = [fit for _, fit in fits_in_lanes(model, rows, "m", requests, options)]
    return sum(fit.fit_seconds + fit.score_seconds for fit in fits) / lanes


def test_a_size_curve_takes_as_long_as_was_told(rows: EvalSet, sleeper: Sleeper) -> None:
    options = SizeOptions(metric="accuracy", sizes=SIZES, n_splits=3)
    told = estimate_size_curve(adapt(sleeper, "m"), rows, "m", options)
    known = 3 * sum(SIZES) * EACH  # 900 ms, by hand
    assert told.n_rows == 3 * sum(SIZES) and known < told.seconds < FACTOR * known
    began = time.perf_counter()
    (curve,) = learning(rows, models={"m": adapt(sleeper, "m")}, options=options).curves
    assert told.seconds / FACTOR < time.perf_counter() - began < FACTOR * told.seconds
    assert np.nansum(curve.fit_seconds) == pytest.approx(known, rel=0.3)


def test_the_folds_of_a_cross_validation_take_as_long_as_was_told(
    rows: EvalSet, sleeper: Sleeper
) -> None:
    options, folds = FoldOptions(metric="accuracy", n_splits=4), choose_folds(rows, 4)
    told = estimate_cross_validation(adapt(sleeper, "m"), rows, "m", options, folds=folds)
    known = 4 * 360 * EACH  # each fold learns from three quarters of 480 rows
    assert known < told.seconds < FACTOR * known
    plain = FitOptions(metrics=("accuracy",))
    spent = _measured(adapt(sleeper, "m"), rows, fold_requests(folds), plain, 1)
    assert told.seconds / FACTOR < spent < FACTOR * told.seconds


@pytest.mark.slow
def test_leaving_columns_out_takes_as_long_as_was_told(rows: EvalSet, sleeper: Sleeper) -> None:
    model = adapt(sleeper, "m")
    plan = plan_refitting(model, rows, metric="accuracy", n_folds=3)
    known = plan.left * 320 * EACH  # 13 of 15 fits, each of two thirds of the rows
    assert plan.left == 13 and known < plan.seconds < FACTOR * known
    began = time.perf_counter()
    drop_column_importance(model, rows, "m", metric="accuracy", n_folds=3)
    spent = (time.perf_counter() - began) * plan.left / plan.fits
    assert plan.seconds / FACTOR < spent < FACTOR * plan.seconds


@pytest.mark.slow
def test_a_confined_model_takes_as_long_as_was_told() -> None:
    """Boosting takes time in proportion to its rows, in two processes half of it."""
    frame = _table(3_000)
    model = GradientBoostingClassifier(n_estimators=60, random_state=0)
    saved = skops.io.dumps(model.fit(frame[list("abcd")][:50], frame["target"][:50]))
    rows = evalset_from_frame(frame, target="target")
    confined, folds = load_model(saved, "m.skops"), choose_folds(rows, 4)
    options = FoldOptions(metric="roc_auc", n_splits=4, lanes=2)
    told = estimate_cross_validation(confined, rows, "m", options, folds=folds)
    plain = FitOptions(metrics=("roc_auc",), lanes=2)
    spent = _measured(confined, rows, fold_requests(folds), plain, 2)
    assert told.seconds / FACTOR < spent < FACTOR * told.seconds


@pytest.mark.slow
def test_a_network_takes_as_long_as_was_told(rows: EvalSet) -> None:
    """Told before and after: what else runs on the machine comes and goes."""
    import keras

    network = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(16, "relu"),
            keras.layers.Dense(1, "sigmoid"),
        ]
    )
    network.compile("adam", "binary_crossentropy")
    model, folds = adapt(network, "m"), choose_folds(rows, 3)
    options = FoldOptions(metric="roc_auc", n_splits=3, epochs=60)
    estimate_cross_validation(model, rows, "m", options, folds=folds)  # what Keras loads once
    before = estimate_cross_validation(model, rows, "m", options, folds=folds)
    plain = FitOptions(metrics=("roc_auc",), epochs=60)
    spent = _measured(model, rows, fold_requests(folds), plain, 1)
    after = estimate_cross_validation(model, rows, "m", options, folds=folds)
    assert "3 fits of 60 epochs on 320 rows" in before.sentence
    low, high = sorted([before.seconds, after.seconds])
    assert low / FACTOR < spent < FACTOR * high


def test_each_value_of_a_parameter_is_told_once_for_each_fold(
    rows: EvalSet, sleeper: Sleeper
) -> None:
    folds, values = choose_folds(rows, 3), (EACH, EACH / 2)
    options = ParameterOptions("each", values, n_splits=3, metric="accuracy")
    told = estimate_parameter_curve(adapt(sleeper, "m"), rows, "m", options, folds=folds)
    known = 6 * 320 * EACH  # as long as the first value takes
    assert told.n_fits == 6 and known < told.seconds < FACTOR * known
