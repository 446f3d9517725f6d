from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor

from dashboard.contracts import ScoreKind, Task
from dashboard.diagnostics.baseline import Verdict, beats_baseline, compute_baseline
from dashboard.diagnostics.metrics import METRICS, MetricRow, MetricTable, compute_metrics
from dashboard.errors import ParameterError
from tests.drawn import (
    drawn,
    drawn_binary,
    drawn_multiclass,
    drawn_multilabel,
    drawn_regression,
)


@pytest.mark.parametrize("weighted", [False, True])
def test_class_baseline_is_scikit_learns_prior(weighted: bool) -> None:
    weight = np.random.default_rng(0).random(200) if weighted else None
    for p in (drawn_binary(), drawn_multiclass()):
        y = p.target.y
        dummy = DummyClassifier(strategy="prior").fit(np.zeros((p.n, 1)), y, sample_weight=weight)
        baseline = compute_baseline(p.target, sample_weight=weight)
        shares = dummy.predict_proba(np.zeros((p.n, 1)))
        expected = shares[:, 1] if p.task is Task.BINARY else shares
        assert baseline.y_score == pytest.approx(expected)
        assert (baseline.y_pred == dummy.predict(np.zeros((p.n, 1)))).all()
        assert baseline.name == "Baseline (majority)"
        assert baseline.score_kind is ScoreKind.PROBABILITY
        assert baseline.n == p.n
        assert baseline.sample_weight is weight


def test_value_baseline_is_scikit_learns_mean() -> None:
    for p in (drawn_regression(), drawn_regression(k=3)):
        weight = np.random.default_rng(0).random(200)
        dummy = DummyRegressor().fit(np.zeros((p.n, 1)), p.target.y, sample_weight=weight)
        baseline = compute_baseline(p.target, sample_weight=weight)
        expected = dummy.predict(np.zeros((p.n, 1))).reshape(p.target.y.shape)
        assert baseline.y_pred == pytest.approx(expected)
        assert baseline.name == "Baseline (mean)"
        assert baseline.y_score is None


def test_label_baseline_is_the_majority_of_each_label() -> None:
    p = drawn_multilabel()
    baseline = compute_baseline(p.target)
    assert baseline.y_score[0] == pytest.approx(p.target.y.mean(axis=0))
    assert (baseline.y_pred[0] == (p.target.y.mean(axis=0) >= 0.5)).all()


def test_last_value_follows_the_time_and_starts_with_the_mean() -> None:
    p = drawn_regression(n=4)
    target = replace(p.target, y=np.array([10.0, 40.0, 20.0, 30.0]))
    order = np.array([0, 2, 3, 1])  # 10, 20, 30, 40 in time
    baseline = compute_baseline(target, time_order=order)
    assert baseline.name == "Baseline (last value)"
    assert baseline.y_pred.tolist() == [25.0, 30.0, 10.0, 20.0]
    several = drawn_regression(n=5, k=2)
    last = compute_baseline(several.target, time_order=np.arange(5)).y_pred
    assert (last[1:] == several.target.y[:-1]).all()
    for bad in (np.array([0, 1]), np.array([0, 0, 1, 2])):
        with pytest.raises(ParameterError, match="each of the 4 rows once"):
            compute_baseline(target, time_order=bad)


def test_time_changes_nothing_for_classes() -> None:
    p = drawn_binary(n=20)
    assert compute_baseline(p.target, time_order=np.arange(20)).name == "Baseline (majority)"


def test_the_reference_gives_shares_and_mean_and_is_told() -> None:
    p = drawn_binary()
    training = replace(p.target, y=np.array([0, 1, 1, 1]))
    baseline = compute_baseline(p.target, reference=training)
    assert set(baseline.y_score) == {0.75}
    assert set(baseline.y_pred) == {1}
    assert "training rows" in baseline.notes[0]
    assert "these rows themselves" in compute_baseline(p.target).notes[0]
    values = drawn_regression(n=3)
    reference = replace(values.target, y=np.array([1.0, 2.0]))
    assert set(compute_baseline(values.target, reference=reference).y_pred) == {1.5}
    with pytest.raises(ParameterError, match="Encode both alike"):
        compute_baseline(p.target, reference=values.target)


@pytest.mark.parametrize("task", list(Task))
def test_the_baseline_scores_as_guessing_does(task: Task) -> None:
    baseline = compute_baseline(drawn(task).target)
    table = compute_metrics(baseline, n_bootstrap=20)
    values = {row.metric: row.value for row in table.rows if not row.label}
    if task.is_classification:
        ranks = [value for name, value in values.items() if name.startswith("roc_auc")
                 and not name.endswith("micro")]  # fmt: skip
        assert ranks
        assert ranks == pytest.approx([0.5] * len(ranks))
    else:
        assert values["r2"] == pytest.approx(0.0, abs=1e-12)
        assert values["bias"] == pytest.approx(0.0, abs=1e-12)
    if task is Task.BINARY:
        positive = drawn(task).target.y.mean()
        assert values["average_precision"] == pytest.approx(positive)
        assert (values["accuracy"], values["recall"]) == (pytest.approx(1 - positive), 0)


def test_the_positive_class_may_be_the_first_and_a_majority() -> None:
    p = drawn_binary()
    turned = replace(p.target, pos_label=0)
    baseline = compute_baseline(turned)
    assert set(baseline.y_pred) == {0}
    assert baseline.y_score[0] == pytest.approx((p.target.y == 0).mean())


def test_rows_of_one_class_or_none_still_have_a_baseline() -> None:
    p = drawn_binary()
    only = compute_baseline(replace(p.target, y=np.zeros(5, np.int64)))
    assert set(only.y_score) == {0.0}
    for empty in (p.target.take(np.arange(0)), drawn_multilabel().target.take(np.arange(0)),
                  drawn_regression().target.take(np.arange(0))):  # fmt: skip
        assert compute_baseline(empty).n == 0


# ---------------------------------------------------------------------------------- the verdict


def row(value: float, low: float = np.nan, high: float = np.nan, metric: str = "f1") -> MetricTable:
    return MetricTable((MetricRow("m", "", metric, value, low, high, 10),))


@pytest.mark.parametrize(
    ("metric", "model", "baseline", "verdict"),
    [
        ("f1", (0.8, 0.7, 0.9), (0.5, 0.4, 0.6), Verdict.BETTER),
        ("f1", (0.8, 0.7, 0.9), (0.7, 0.65, 0.75), Verdict.TOO_CLOSE),
        ("f1", (0.5, 0.4, 0.6), (0.5, 0.4, 0.6), Verdict.NOT_BETTER),
        ("f1", (0.4, 0.3, 0.5), (0.5, 0.4, 0.6), Verdict.NOT_BETTER),
        ("f1", (0.8,), (0.5,), Verdict.BETTER),
        ("roc_auc", (0.6, 0.45, 0.7), (0.5, 0.5, 0.5), Verdict.TOO_CLOSE),
        ("rmse", (1.0, 0.9, 1.1), (2.0, 1.9, 2.1), Verdict.BETTER),
        ("rmse", (1.0, 0.9, 1.95), (2.0, 1.9, 2.1), Verdict.TOO_CLOSE),
        ("rmse", (2.0, 1.9, 2.1), (1.0, 0.9, 1.1), Verdict.NOT_BETTER),
        ("bias", (-0.1, -0.2, 0.0), (1.0, 0.9, 1.1), Verdict.BETTER),
        ("bias", (-0.8, -0.95, -0.7), (1.0, 0.9, 1.1), Verdict.TOO_CLOSE),
        ("bias", (-1.0, -1.1, -0.9), (0.0, -0.1, 0.1), Verdict.NOT_BETTER),
        ("f1", (np.nan,), (0.5,), None),
        ("f1", (0.5,), (np.nan,), None),
    ],
)
def test_verdict(metric: str, model: tuple, baseline: tuple, verdict: Verdict | None) -> None:
    table_model, table_baseline = row(*model, metric=metric), row(*baseline, metric=metric)
    assert beats_baseline(table_model, table_baseline, metric) is verdict


def test_the_verdict_is_one_sided() -> None:
    """Twenty per cent better accuracy is never a finding, twenty per cent worse is."""
    base = row(0.75, 0.74, 0.76, "accuracy")
    better = beats_baseline(row(0.9, 0.89, 0.91, "accuracy"), base, "accuracy")
    worse = beats_baseline(row(0.6, 0.59, 0.61, "accuracy"), base, "accuracy")
    assert (better, worse) == (Verdict.BETTER, Verdict.NOT_BETTER)
    assert [str(verdict) for verdict in Verdict] == ["better", "not better", "too close to call"]


def test_a_missing_row_has_no_verdict() -> None:
    assert beats_baseline(row(0.5), row(0.5), "mcc") is None
    assert beats_baseline(row(0.5), row(0.5), "f1", "yes") is None


@pytest.mark.parametrize("task", list(Task))
def test_no_baseline_beats_itself(task: Task) -> None:
    table = compute_metrics(compute_baseline(drawn(task).target), n_bootstrap=50)
    for name in METRICS:
        assert beats_baseline(table, table, name) in (Verdict.NOT_BETTER, None)
