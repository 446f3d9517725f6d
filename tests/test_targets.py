"""Printed results of books, and the wrong numbers that peers ship (those about metrics)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import auc, precision_recall_curve

from dashboard.contracts import Predictions, RawPredictions, Target, Task
from dashboard.diagnostics.baseline import Verdict, beats_baseline, compute_baseline
from dashboard.diagnostics.confusion import compute_confusion
from dashboard.diagnostics.metrics import MetricTable, compute_metrics
from dashboard.diagnostics.regression import compute_fit
from tests.drawn import binary_labels, drawn_multiclass, drawn_regression, from_matrix, given


def scored(p: Predictions) -> MetricTable:
    return compute_metrics(p, n_bootstrap=50)


# ------------------------------------------------------------------------------ printed matrices


def test_five_or_not() -> None:
    """Géron, Hands-On Machine Learning (2nd ed.), chapter 3."""
    table = scored(from_matrix([[53057, 1522], [1325, 4096]]))
    assert table.value("m", "precision") == pytest.approx(0.7290850836596654, abs=1e-15)
    assert table.value("m", "recall") == pytest.approx(0.7555801512636044, abs=1e-15)
    assert table.value("m", "f1") == pytest.approx(0.7420962043663375, abs=1e-15)
    assert table.value("m", "accuracy") == pytest.approx(0.95255, abs=1e-15)
    assert table.value("m", "specificity") == pytest.approx(0.972114, abs=5e-7)
    assert 1 - table.value("m", "specificity") == pytest.approx(0.027886, abs=5e-7)
    assert table.value("m", "balanced_accuracy") == pytest.approx(0.863847, abs=5e-7)


def test_visit_duration() -> None:
    """Mosconi, Zero to Deep Learning."""
    table = scored(from_matrix([[40, 10], [7, 43]]))
    for metric, printed in (("accuracy", 0.83), ("precision", 0.811), ("recall", 0.86),
                            ("f1", 0.835)):  # fmt: skip
        assert table.value("m", metric) == pytest.approx(printed, abs=5e-4)


def test_employee_turnover_loses_to_always_stay() -> None:
    """Mosconi: a fair-looking report that the baseline beats."""
    p = from_matrix([[1850, 475], [254, 421]])
    table = scored(p)
    for metric, printed in (("precision", 0.47), ("recall", 0.62), ("f1", 0.54),
                            ("accuracy", 0.757)):  # fmt: skip
        assert table.value("m", metric) == pytest.approx(printed, abs=5e-3)
    weighted = scored(given(Task.MULTICLASS, p.target.y, y_pred=p.y_pred, labels=("no", "yes")))
    for metric, printed in (("precision", 0.79), ("recall", 0.76), ("f1", 0.77)):
        assert weighted.value("m", f"{metric}_weighted") == pytest.approx(printed, abs=5e-3)
    stay = scored(compute_baseline(p.target))
    assert stay.value("Baseline (majority)", "accuracy") == pytest.approx(0.775)
    assert beats_baseline(table, stay, "accuracy") is Verdict.NOT_BETTER
    assert beats_baseline(table, stay, "f1") is Verdict.BETTER


def test_always_no_is_right_nine_times_of_ten_and_finds_nobody() -> None:
    y = (load_digits().target == 5).astype(np.int64)
    target = Target(Task.BINARY, "is it a 5?", (False, True), y, 1)
    table = scored(compute_baseline(target))
    name = "Baseline (majority)"
    assert table.value(name, "accuracy") == pytest.approx(0.899, abs=5e-4)
    assert table.value(name, "recall") == 0
    assert table.value(name, "roc_auc") == 0.5


def test_ratios_of_batches_are_pooled() -> None:
    """Géron: precision .8 after batch one, .5 after two; the mean of the batches says .4."""
    y = [0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 0, 0, 1, 0, 1, 1]
    pred = [1, 1, 0, 1, 0, 1, 0, 1, 1, 0, 1, 1, 0, 0, 0, 0]
    first = scored(binary_labels(y[:8], pred[:8])).value("m", "precision")
    assert (first, scored(binary_labels(y, pred)).value("m", "precision")) == (0.8, 0.5)


# ------------------------------------------------------------------------- what peers get wrong


def test_1_the_cells_of_the_matrix_are_not_mixed_up() -> None:
    # TN 80, FP 10, FN 2, TP 8: FNR 2/10, FPR 10/90, selection rate 18/100
    p = from_matrix([[80, 10], [2, 8]])
    table, matrix = scored(p), compute_confusion(p)
    assert matrix.counts.tolist() == [[80, 10], [2, 8]]
    assert 1 - table.value("m", "recall") == pytest.approx(0.20)
    assert 1 - table.value("m", "specificity") == pytest.approx(10 / 90)
    assert matrix.counts[:, 1].sum() / matrix.counts.sum() == pytest.approx(0.18)


def test_2_macro_f1_is_the_mean_of_class_f1_and_counts_classes_never_predicted() -> None:
    # a: P 3/5, R 3/4, F1 6/9; b: P 1/3, R 1/2, F1 2/5; c: never predicted, F1 0
    # mean (2/3 + 2/5 + 0)/3 = .355556; harmonic mean of macro P .311 and macro R .417 is .356158
    y = [0, 0, 0, 0, 1, 1, 2, 2]
    pred = [0, 0, 0, 1, 1, 0, 0, 1]
    table = scored(given(Task.MULTICLASS, y, y_pred=pred, labels=("a", "b", "c")))
    assert table.value("m", "f1_macro") == pytest.approx((2 / 3 + 2 / 5) / 3, abs=1e-15)
    p, r = table.value("m", "precision_macro"), table.value("m", "recall_macro")
    assert 2 * p * r / (p + r) != pytest.approx(table.value("m", "f1_macro"), abs=1e-4)
    assert "c" in table.row("m", "f1_macro").reason or table.value("m", "f1", "c") == 0


def test_4_a_score_on_the_threshold_is_positive_in_matrix_and_table() -> None:
    p = given(Task.BINARY, [0, 1, 1, 0], y_score=[0.5, 0.5, 0.2, 0.1], labels=(0, 1), pos_label=1)
    for threshold, positives in ((0.5, 2), (0.2, 3), (0.1, 4), (np.nextafter(0.5, 1), 0)):
        counts = compute_confusion(p, threshold=threshold).counts
        assert counts[:, 1].sum() == positives
        table = compute_metrics(p, threshold=threshold, metrics=["recall"])
        assert table.value("m", "recall") == counts[1, 1] / 2


def test_5_average_precision_is_the_step_sum() -> None:
    # positives first and fourth: recall .5 at precision 1, recall 1 at precision 2/4
    # → .5 · 1 + .5 · .5 = .75. Trapezoids: .5 · 1 + .5 · (1/3 + 1/2)/2 = .708; a peer that
    # leaves out the falling segment is left with .5 · .5 = .25
    y, score = np.array([1, 0, 0, 1]), np.array([0.9, 0.8, 0.7, 0.6])
    p = given(Task.BINARY, y, y_score=score, labels=(0, 1), pos_label=1)
    assert compute_metrics(p).value("m", "average_precision") == 0.75
    precision, recall, _ = precision_recall_curve(y, score)
    assert auc(recall, precision) == pytest.approx(0.5 + 0.5 * (1 / 3 + 1 / 2) / 2)


@pytest.mark.parametrize("k", [11, 20, 26])
def test_7_no_class_is_dropped(k: int) -> None:
    p = drawn_multiclass(n=20 * k, k=k)
    frame = compute_metrics(p, n_bootstrap=20).frame()
    for metric in ("precision", "recall", "f1", "roc_auc"):
        rows = frame[(frame["metric"] == metric) & (frame["label"] != "")]
        assert list(rows["label"]) == list(p.target.labels)
    assert len(compute_confusion(p).frame()) == k * k


def test_8_a_sample_of_ordered_rows_looks_like_all_of_them() -> None:
    p = drawn_regression(n=50_000)
    order = np.argsort(p.target.y)
    p = replace(p, target=replace(p.target, y=p.target.y[order]), y_pred=p.y_pred[order])
    fit = compute_fit(p)
    sample = fit.sample(5_000)
    for share in (0.05, 0.5, 0.95):
        whole = np.quantile(fit.y_true, share)
        assert np.quantile(fit.y_true[sample], share) == pytest.approx(whole, abs=0.25)
    assert abs(np.median(fit.y_true[:5_000]) - np.median(fit.y_true)) > 4  # what the head says


def test_9_a_large_improvement_is_no_finding() -> None:
    y = np.repeat([0, 1], [750, 250])
    good = np.r_[np.zeros(750, int), np.ones(250, int)]
    good[::10] = 1 - good[::10]
    better = scored(binary_labels(y, good))
    base = scored(compute_baseline(binary_labels(y, good).target))
    assert better.value("m", "accuracy") == pytest.approx(1.2 * 0.75)
    assert beats_baseline(better, base, "accuracy") is Verdict.BETTER
    assert beats_baseline(base, replace_model(better), "accuracy") is Verdict.NOT_BETTER


def replace_model(table: MetricTable) -> MetricTable:
    return MetricTable(tuple(replace(row, model="Baseline") for row in table.rows))


def test_10_rows_without_an_answer_are_left_out_once_and_counted() -> None:
    target = Target.from_values(["a", "b", "a", "b", "a"], task=Task.BINARY, pos_label="b")
    raw = RawPredictions(labels=["a", "b", None, "b", "b"])
    p = Predictions.normalise(raw, target, name="m")
    row = compute_metrics(p, metrics=["accuracy"]).rows[0]
    assert (row.value, row.n, p.n_given) == (0.75, 4, 5)
    assert compute_confusion(p).counts.sum() == 4
