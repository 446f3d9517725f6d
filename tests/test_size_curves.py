"""Curves by training size: joined from fits, kept and resumed, read from tables, drawn."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from dashboard.contracts import Model, Task
from dashboard.data import EvalSet
from dashboard.diagnostics.size_curves import SizeCurve
from dashboard.diagnostics.size_tables import is_size_table, read_size_table
from dashboard.errors import DataError, NotApplicable, ParameterError
from dashboard.evaluation import as_evalset
from dashboard.figures.size_curves import plot_fit_times, plot_size_curves
from dashboard.learning import (
    SizeOptions,
    choose_folds,
    estimate_size_curve,
    learning,
    size_curve_in_stages,
)
from dashboard.learning.sizes import chosen_sizes
from dashboard.learning.stages import fitted_metrics
from dashboard.models import adapt, load_model
from dashboard.sandbox.processes import WorkCancelled, watched

SIZES = (40, 120, 300)


@pytest.fixture(scope="module")
def cancer() -> EvalSet:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return as_evalset(X.iloc[:, :6], y, None)


@pytest.fixture(scope="module")
def tree(cancer: EvalSet) -> Any:
    return DecisionTreeClassifier(max_depth=3, random_state=0).fit(cancer.X, cancer.target.y)


@pytest.fixture(scope="module")
def confined(tree: Any) -> Model:
    return load_model(skops.io.dumps(tree), "tree.skops")


class Store(dict[str, bytes]):
    """Blocks in memory."""

    def put(self, key: str, content: bytes) -> None:
        self[key] = content


def _last(curves: Any) -> SizeCurve:
    *_, last = curves
    return last


def _equals(a: Any, b: Any) -> bool:
    return bool(np.allclose(a, b, rtol=0, atol=1e-12, equal_nan=True))


def test_two_workers_give_scikit_learn_s_numbers_and_a_second_run_fits_nothing(
    confined: Model, tree: Any, cancer: EvalSet
) -> None:
    store, turns = Store(), [0]
    options = SizeOptions(metric="balanced_accuracy", sizes=SIZES, n_splits=3, lanes=2)

    @contextmanager
    def turn() -> Any:
        turns[0] += 1
        yield

    heard: list[str] = []
    with watched(lambda done, total, said: heard.append(said)):
        stages = list(
            size_curve_in_stages(confined, cancer, "tree", options, store=store, turn=turn)
        )
    curve = stages[-1]
    assert [one.n_done for one in stages] == list(range(1, 10)) and curve.is_complete
    folds = choose_folds(cancer, 3)
    sizes, train, validation = learning_curve(
        tree, cancer.X, cancer.target.y, train_sizes=list(SIZES), cv=list(folds),
        scoring="balanced_accuracy",
    )  # fmt: skip
    assert curve.sizes.tolist() == sizes.tolist()
    assert _equals(curve.train, train) and _equals(curve.validation, validation)
    assert turns == [9] and len(store) == 9
    assert any("s of fitting left" in said for said in heard) and "9 of 9 fits" in heard[-1]
    again = list(size_curve_in_stages(confined, cancer, "tree", options, store=store, turn=turn))
    assert turns == [9] and _equals(again[-1].validation, curve.validation)
    other = SizeOptions(metric="roc_auc", sizes=SIZES, n_splits=3)
    ranked = _last(size_curve_in_stages(confined, cancer, "tree", other, store=store, turn=turn))
    assert turns == [9] and ranked.title == "ROC AUC"  # every headline metric was scored at once
    _, _, validation = learning_curve(
        tree, cancer.X, cancer.target.y, train_sizes=list(SIZES), cv=list(folds), scoring="roc_auc"
    )
    assert _equals(ranked.validation, validation)


def test_cancelled_at_any_moment_and_resumed(confined: Model, cancer: EvalSet) -> None:
    store = Store()
    options = SizeOptions(sizes=SIZES, n_splits=3, lanes=2)
    stop = [False]
    reached = 0
    with pytest.raises(WorkCancelled), watched(None, lambda: stop[0]):
        for curve in size_curve_in_stages(confined, cancer, "tree", options, store=store):
            reached = curve.n_done
            stop[0] = reached == 4
    assert 4 <= reached < 9 and reached <= len(store) < 9
    kept = len(store)
    stages = list(size_curve_in_stages(confined, cancer, "tree", options, store=store))
    assert stages[kept - 1].n_done == kept and stages[-1].is_complete
    assert len(store) == 9


def test_several_models_on_the_same_folds(tree: Any, cancer: EvalSet) -> None:
    logistic = make_pipeline(StandardScaler(), LogisticRegression())
    logistic.fit(cancer.X, cancer.target.y)
    found = learning(
        cancer,
        models={"tree": tree, "logistic": logistic, "answers": lambda X: np.zeros(len(X))},
        options=SizeOptions(sizes=(0.1, 0.5, 1.0), n_splits=3, lanes=1),
    )
    assert [one.model for one in found.curves] == ["tree", "logistic"]
    assert [one.name for one in found.failures] == ["answers"]
    assert "only its answers" in found.failures[0].message
    for curve in found.curves:
        assert curve.folds == found.folds.reason and curve.metric == "roc_auc"
        assert curve.sizes.tolist() == [37, 189, 379]
        assert (curve.gap > 0).all() and (curve.validation_sd > 0).all()
        assert np.isfinite(curve.seconds).all()
    means = found.curves[0].validation.mean(axis=1)
    assert _equals(found.curves[0].validation_mean, means)
    assert _equals(found.curves[0].validation_sd, found.curves[0].validation.std(axis=1, ddof=1))
    with pytest.raises(ParameterError, match="No models"):
        learning(cancer, models=None)


@pytest.mark.slow
def test_processes_of_their_own_change_no_number(
    tree: Any, cancer: EvalSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    logistic = make_pipeline(StandardScaler(), LogisticRegression())
    models = {"tree": tree, "logistic": logistic.fit(cancer.X, cancer.target.y)}
    found = []
    for worth in (1e9, 0.0):
        monkeypatch.setattr("dashboard.learning.together.WORTH_SECONDS", worth)
        options = SizeOptions(sizes=SIZES, n_splits=3, lanes=2)
        found.append(learning(cancer, models=models, options=options).curves)
    for one, other in zip(*found, strict=True):
        assert one.is_complete and other.is_complete
        assert _equals(one.train, other.train) and _equals(one.validation, other.validation)


def test_sizes() -> None:
    assert chosen_sizes(SizeOptions(n_sizes=4), 1_000) == (50, 136, 368, 1_000)
    assert chosen_sizes(SizeOptions(), 12) == (12,)
    assert chosen_sizes(SizeOptions(sizes=(0.5, 1.0, 7, 2_000)), 100) == (7, 50, 100)
    with pytest.raises(ParameterError, match="not within the 10 rows"):
        chosen_sizes(SizeOptions(sizes=(20, 30)), 10)
    assert "log_loss" in fitted_metrics(None, Task.BINARY)
    assert "rmse" in fitted_metrics("r2", Task.REGRESSION)
    with pytest.raises(NotApplicable):
        fitted_metrics("rmse", Task.BINARY)


def test_a_size_that_is_too_large_is_said(tree: Any, cancer: EvalSet) -> None:
    options = SizeOptions(sizes=(50, 5_000), n_splits=2)
    (curve,) = learning(cancer, models={"tree": tree}, options=options).curves
    assert curve.sizes.tolist() == [50]
    assert any(note.startswith("5,000 is not within the 284 rows") for note in curve.notes)


def test_time_is_estimated_before_anything_long_starts(tree: Any, cancer: EvalSet) -> None:
    options = SizeOptions(sizes=SIZES, n_splits=3)
    found = estimate_size_curve(adapt(tree, "tree"), cancer, "tree", options)
    assert (found.n_fits, found.n_rows) == (9, 3 * sum(SIZES))
    assert 0 < found.seconds < 60
    assert found.sentence.startswith("9 fits on 40 to 300 rows: about ")
    with pytest.raises(NotApplicable, match="only its answers"):
        estimate_size_curve(adapt(lambda X: X, "f"), cancer, "f", options)


def _curve(model: str = "tree", **more: Any) -> SizeCurve:
    sizes = np.array([100, 400, 1_600])
    validation = np.array([[0.7, 0.72], [0.8, 0.82], [0.85, np.nan]])
    fields: dict[str, Any] = {
        "model": model,
        "metric": "roc_auc",
        "title": "ROC AUC",
        "larger_is_better": True,
        "sizes": sizes,
        "train": np.minimum(validation + 0.1, 1),
        "validation": validation,
        "fit_seconds": validation * 0 + sizes[:, None] / 1_000,
        "folds": "2 folds.",
        "n_done": 5,
        "n_fits": 6,
    }
    return SizeCurve(**{**fields, **more})


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ParameterError, match="3 sizes"):
        _curve(validation=np.zeros((2, 2)))
    with pytest.raises(ParameterError, match="shape of the others"):
        _curve(train=np.zeros((3, 1)))
    with pytest.raises(ParameterError, match="increase"):
        _curve(sizes=np.array([100, 100, 200]))


# ---- tables ------------------------------------------------------------------------------------


def test_our_own_table_is_read_back() -> None:
    curve = _curve()
    frame = pd.concat([curve.frame(), _curve("other").frame()])
    assert is_size_table(frame)
    first, second = read_size_table(frame)
    assert (first.model, second.model, first.metric, first.title) == (
        "tree", "other", "roc_auc", "ROC AUC",
    )  # fmt: skip
    for name in ("sizes", "train", "validation", "fit_seconds"):
        assert _equals(getattr(first, name), getattr(curve, name))


def test_wide_tables_of_folds_and_of_means() -> None:
    wide = pd.DataFrame(
        {
            "train_sizes": [10, 20],
            "train_score_0": [1.0, 0.9],
            "train_score_1": [1.0, 0.8],
            "split0_test_score": [0.5, 0.6],
            "split1_test_score": [0.4, 0.7],
        }
    )
    (curve,) = read_size_table(wide, model="net", metric="accuracy")
    assert curve.validation.tolist() == [[0.5, 0.4], [0.6, 0.7]]
    assert curve.train.tolist() == [[1.0, 1.0], [0.9, 0.8]]
    assert (curve.model, curve.title, curve.larger_is_better) == ("net", "Accuracy", True)
    means = pd.DataFrame(
        {
            "n_samples": [20, 10],
            "train_rmse_mean": [3.0, 1.0],
            "train_rmse_std": [0.2, 0.1],
            "val_rmse_mean": [4.0, 6.0],
            "val_rmse_std": [0.5, 0.7],
        }
    )
    (curve,) = read_size_table(means)
    assert curve.sizes.tolist() == [10, 20] and not curve.larger_is_better
    assert curve.validation_mean.tolist() == [6.0, 4.0]
    assert curve.validation_sd.tolist() == [0.7, 0.5] and curve.train_sd.tolist() == [0.1, 0.2]


@pytest.mark.parametrize(
    ("frame", "what"),
    [
        (pd.DataFrame({"a": [1], "b": [2]}), "a column of sizes"),
        (pd.DataFrame({"train_size": [1], "train_score": [2]}), "a column of sizes"),
        (pd.DataFrame({"train_size": [0.1], "test_score": [2]}), "whole numbers of rows"),
        (pd.DataFrame({"train_size": ["x"], "test_score": [2]}), "whole numbers of rows"),
        (pd.DataFrame({"train_size": [], "test_score": []}), "a column of sizes"),
    ],
)
def test_tables_that_are_none(frame: pd.DataFrame, what: str) -> None:
    with pytest.raises(DataError, match=what):
        read_size_table(frame)


def test_rows_without_a_size_are_counted() -> None:
    frame = pd.DataFrame({"size": [10, None], "validation": [0.5, 0.6]})
    (curve,) = read_size_table(frame)
    assert "1 of 2 rows have no size" in curve.notes[0]


# ---- figures -----------------------------------------------------------------------------------


def test_figures_show_every_number(tree: Any) -> None:
    curve, other = _curve(), _curve("<b>odd</b>")
    figure = plot_size_curves([curve, other])
    named = {trace.name: trace for trace in figure.data if trace.showlegend is not False}
    line = named["tree, validation"]
    assert np.allclose(line.x, curve.sizes) and np.allclose(line.y, curve.validation_mean)
    assert np.allclose(named["tree, on its training rows"].y, curve.train_mean)
    bands = [trace.y for trace in figure.data if trace.name == "band"][:2]
    for band, held in zip(bands, (curve.train, curve.validation), strict=True):
        mean, spread = held[:2].mean(axis=1), held[:2].std(axis=1, ddof=1)  # the third has one fold
        assert np.allclose(band, np.concatenate([mean + spread, (mean - spread)[::-1]]))
    dots = next(trace for trace in figure.data if trace.name == "folds")
    assert len(dots.x) == 5
    assert not any("<b>odd" in str(trace.name) for trace in figure.data)
    assert "5 of 6" in figure.layout.title.text or "10 of 12" in figure.layout.title.text
    assert figure.layout.meta["models"] == ["tree", "<b>odd</b>"]
    assert "ROC AUC" in figure.layout.meta["caption"]
    times = plot_fit_times(curve, theme="dark")
    assert np.allclose(times.data[0].y, curve.seconds)
    with pytest.raises(ParameterError, match="different metrics"):
        plot_size_curves([curve, _curve(metric="accuracy")])
    with pytest.raises(ParameterError, match="0 curves"):
        plot_size_curves([])


def test_a_curve_without_scores_is_drawn_empty() -> None:
    nothing = np.full((3, 2), np.nan)
    curve = _curve(train=nothing, validation=nothing, fit_seconds=nothing)
    assert "no score yet" in plot_size_curves(curve, log_x=False).layout.meta["caption"]
    assert "No times" in plot_fit_times(curve).layout.meta["caption"]
