"""Properties of every metric in METRICS; a new metric inherits all of them."""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given as drawn_by
from hypothesis import settings
from hypothesis import strategies as st
from sklearn.metrics import multilabel_confusion_matrix

from dashboard.contracts import Predictions, ScoreKind, Target, Task
from dashboard.diagnostics.baseline import compute_baseline
from dashboard.diagnostics.metrics import (
    METRICS,
    Metric,
    MetricTable,
    Orientation,
    compute_metrics,
    find_metric,
    headline_metrics,
)
from dashboard.errors import ParameterError
from tests.drawn import (
    binary_labels,
    drawn,
    drawn_binary,
    drawn_multiclass,
    drawn_multilabel,
    drawn_regression,
    given,
)

MORE = ["f3", "f0.25_weighted", "top_4_accuracy", "pinball_0.75"]
EVERY = [*METRICS.values(), *map(find_metric, MORE)]
CASES = [
    pytest.param(metric, task, id=f"{metric.name}-{task}")
    for metric in EVERY
    for task in Task
    if task in metric.tasks
]
each_case = pytest.mark.parametrize(("metric", "task"), CASES)


def function_of(metric: Metric) -> Callable[..., Any]:
    module, _, name = metric.function.rpartition(".")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def values_of(p: Predictions, metric: Metric, **options: Any) -> dict[str, float]:
    table = compute_metrics(p, metrics=[metric.name], n_bootstrap=2, **options)
    return {row.label: row.value for row in table.rows}


# ------------------------------------------------------------- the named function, called here


def reference(metric: Metric, p: Predictions) -> dict[str, float]:
    """What the function named by the metric says, by label; classes decided at .5."""
    w = p.sample_weight
    y, labels = p.target.y, [str(label) for label in p.target.labels]
    if p.task is Task.BINARY:
        return {"": two_classes(metric, y, (p.y_score >= 0.5).astype(int), p.y_score, w)}
    if p.task is Task.MULTICLASS and metric.each:
        return {
            label: two_classes(metric, y == j, p.y_pred == j, p.y_score[:, j], w)
            for j, label in enumerate(labels)
            if p.task in metric.each
        } or {"": many_classes(metric, p)}
    if p.task is Task.MULTICLASS:
        return {"": many_classes(metric, p)}
    if p.task is Task.MULTILABEL:
        each = {
            label: two_classes(metric, y[:, j], p.y_score[:, j] >= 0.5, p.y_score[:, j], w)
            for j, label in enumerate(labels)
            if metric.base not in ("subset_accuracy", "hamming_loss")
        }
        if p.task in metric.each:
            return each
        return {"": many_labels(metric, p, list(each.values()))}
    return numbers(metric, p, labels)


def two_classes(metric: Metric, y: Any, pred: Any, score: Any, w: Any) -> float:
    f, y, pred = function_of(metric), np.asarray(y, int), np.asarray(pred, int)
    if metric.base == "specificity":
        (tn, fp), _ = multilabel_confusion_matrix(y, pred, sample_weight=w, labels=[0, 1])[1]
        return tn / (tn + fp) if tn + fp else 0.0
    if metric.base in ("precision", "recall"):
        return f(y, pred, sample_weight=w, zero_division=0)
    if metric.base == "f":
        return f(y, pred, sample_weight=w, zero_division=0, **beta_of(metric))
    if metric.needs == "labels":
        return f(y, pred, sample_weight=w)
    if metric.base == "log_loss":
        return f(y, score, sample_weight=w, labels=[0, 1])
    return f(y, score, sample_weight=w)


def beta_of(metric: Metric) -> dict[str, float]:
    return {} if metric.function.endswith("f1_score") else {"beta": metric.parameter}


def specificity(matrices: Any, metric: Metric) -> float:
    tn, fp = matrices[:, 0, 0], matrices[:, 0, 1]
    if metric.average == "micro":
        return tn.sum() / (tn.sum() + fp.sum())
    weights = matrices[:, 1].sum(axis=1) if metric.average == "weighted" else None
    return np.average(tn / (tn + fp), weights=weights)


def many_classes(metric: Metric, p: Predictions) -> float:
    f, y, pred, score, w = (
        function_of(metric), p.target.y, p.y_pred, p.y_score, p.sample_weight
    )  # fmt: skip
    classes = list(range(score.shape[1]))
    if metric.base == "specificity":
        return specificity(f(y, pred, sample_weight=w), metric)
    if metric.base in ("precision", "recall", "f"):
        extra = beta_of(metric) if metric.base == "f" else {}
        return f(y, pred, sample_weight=w, average=metric.average, zero_division=0, **extra)
    if metric.base == "roc_auc_ovr":
        return f(y, score, sample_weight=w, multi_class="ovr", average=metric.average)
    if metric.base == "roc_auc_ovo":  # takes no weights: repeat the rows
        times = np.ones(len(y), int) if w is None else w.astype(int)
        y, score = np.repeat(y, times), np.repeat(score, times, axis=0)
        return f(y, score, multi_class="ovo", average=metric.average)
    if metric.base == "average_precision":
        return f(y, score, sample_weight=w, average=metric.average)
    if metric.base == "top_k":
        return f(y, score, sample_weight=w, labels=classes, k=int(metric.parameter))
    if metric.needs == "probabilities":
        return f(y, score, sample_weight=w, labels=classes)
    return f(y, pred, sample_weight=w)


def many_labels(metric: Metric, p: Predictions, each: list[float]) -> float:
    f, y, score, w = function_of(metric), p.target.y, p.y_score, p.sample_weight
    pred = (score >= 0.5).astype(int)
    if metric.needs == "probabilities":  # scikit-learn has none for labels
        return float(np.mean(each))
    if metric.base == "specificity":
        return specificity(f(y, pred, sample_weight=w), metric)
    if metric.needs == "scores":
        return f(y, score, sample_weight=w, average=metric.average)
    if not metric.average:
        return f(y, pred, sample_weight=w)
    extra = beta_of(metric) if metric.base == "f" else {}
    return f(y, pred, sample_weight=w, average=metric.average, zero_division=0, **extra)


def numbers(metric: Metric, p: Predictions, labels: list[str]) -> dict[str, float]:
    f, w = function_of(metric), p.sample_weight

    def one(y: Any, pred: Any) -> float:
        if metric.base == "bias":
            return f(pred - y, weights=w)
        if metric.base == "max_error":
            return f(y, pred)
        extra = {"alpha": metric.parameter} if metric.base == "pinball" else {}
        return f(y, pred, sample_weight=w, **extra)

    y, pred = p.target.y, p.y_pred
    if y.ndim == 1:
        return {"": one(y, pred)}
    each = {label: one(y[:, j], pred[:, j]) for j, label in enumerate(labels)}
    scikit_averages = metric.base not in ("bias", "max_error")
    return {"": one(y, pred) if scikit_averages else float(np.mean(list(each.values()))), **each}


# --------------------------------------------------------------------------------- properties


@each_case
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "ties"])
def test_equals_the_named_function(metric: Metric, task: Task, weighted: bool, ties: bool) -> None:
    for seed in range(3):
        weight = np.random.default_rng(seed).integers(1, 5, 200) if weighted else None
        p = drawn(task, seed=seed, ties=ties, weight=weight)
        assert values_of(p, metric) == pytest.approx(reference(metric, p), abs=1e-12, rel=1e-12)


@each_case
def test_equals_the_named_function_with_fractional_weights(metric: Metric, task: Task) -> None:
    if metric.base == "roc_auc_ovo":
        return  # no reference: scikit-learn takes no weights; integer weights are tested above
    p = drawn(task, seed=5, weight=np.random.default_rng(5).exponential(size=200))
    assert values_of(p, metric) == pytest.approx(reference(metric, p), abs=1e-12, rel=1e-12)


@each_case
def test_better_predictions_do_not_score_worse_and_perfect_ones_score_best(
    metric: Metric, task: Task
) -> None:
    before: dict[str, float] | None = None
    start = drawn(task, seed=1)
    if metric.average == "samples":  # a row without labels counts 0, however right
        start.target.y[:, 0] |= ~start.target.y.any(axis=1)
    for step in (0.0, 0.25, 0.5, 0.75, 1.0):
        after = values_of(nearer_to_truth(start, step), metric)
        losses = {label: loss(metric, value) for label, value in after.items()}
        for label, value in losses.items():
            assert before is None or value <= before[label] + 1e-12, (label, step)
        before = losses
    best = {Orientation.HIGHER: metric.range[1], Orientation.LOWER: metric.range[0]}
    assert after == pytest.approx(
        dict.fromkeys(after, best.get(metric.orientation, 0.0)), abs=1e-12
    )


def loss(metric: Metric, value: float) -> float:
    return {
        Orientation.HIGHER: -value,
        Orientation.LOWER: value,
        Orientation.ZERO: abs(value),
    }[metric.orientation]


def nearer_to_truth(p: Predictions, step: float) -> Predictions:
    """Scores, labels or values moved towards the truth by a share `step` of the way."""
    y = p.target.y
    if not p.task.is_classification:
        return replace(p, y_pred=p.y_pred + step * (y - p.y_pred))
    truth = np.eye(len(p.target.labels))[y] if p.task is Task.MULTICLASS else y
    score = p.y_score + step * (truth - p.y_score)
    pred = score.argmax(axis=1) if p.task is Task.MULTICLASS else None
    return replace(p, y_score=score, y_pred=pred)


@each_case
def test_values_and_intervals_stay_in_range(metric: Metric, task: Task) -> None:
    for seed in range(4):
        p = drawn(task, n=30, seed=seed)
        for row in compute_metrics(p, metrics=[metric.name], n_bootstrap=50).rows:
            low, high = metric.range
            assert low - 1e-12 <= row.value <= high + 1e-12
            if not math.isnan(row.low):
                assert low - 1e-12 <= row.low <= row.high <= high + 1e-12
            else:
                assert row.reason


@each_case
def test_the_order_of_rows_does_not_matter(metric: Metric, task: Task) -> None:
    p = drawn(task, seed=2, weight=np.random.default_rng(2).random(200))
    order = np.random.default_rng(3).permutation(p.n)
    assert values_of(taken(p, order), metric) == pytest.approx(
        values_of(p, metric), rel=1e-11, abs=1e-12
    )


def taken(p: Predictions, rows: Any) -> Predictions:
    def part(a: Any) -> Any:
        return None if a is None else a[rows]

    return Predictions(
        p.name, replace(p.target, y=p.target.y[rows]), part(p.y_pred), part(p.y_score),
        p.score_kind, part(p.sample_weight), np.arange(len(rows)), len(rows),
    )  # fmt: skip


@each_case
def test_names_and_order_of_classes_do_not_matter(metric: Metric, task: Task) -> None:
    p = drawn(task, seed=4)
    k = len(p.target.labels)
    if not k:
        return
    order = np.random.default_rng(0).permutation(k) if k > 2 else np.array([1, 0])
    place = np.argsort(order)  # old code → new code
    renamed = tuple(f"class {p.target.labels[j]}" for j in order)
    target = replace(p.target, labels=renamed)
    if task is Task.BINARY:
        other = replace(p, target=replace(target, y=place[p.target.y], pos_label=int(place[1])))
    elif task is Task.MULTICLASS:
        other = replace(
            p, target=replace(target, y=place[p.target.y]), y_pred=place[p.y_pred],
            y_score=p.y_score[:, order],
        )  # fmt: skip
    else:
        columns = {"y_score": None if p.y_score is None else p.y_score[:, order],
                   "y_pred": None if p.y_pred is None else p.y_pred[:, order]}  # fmt: skip
        other = replace(p, target=replace(target, y=p.target.y[:, order]), **columns)
    expected = {label and f"class {label}": v for label, v in values_of(p, metric).items()}
    assert values_of(other, metric) == pytest.approx(expected, abs=1e-12)


@each_case
def test_whole_weights_are_repeated_rows(metric: Metric, task: Task) -> None:
    weight = np.random.default_rng(6).integers(0, 4, 200)
    p = drawn(task, seed=6, weight=weight)
    repeated = replace(taken(p, np.repeat(np.arange(p.n), weight)), sample_weight=None)
    if metric.base == "max_error":  # takes no weights, as scikit-learn's
        return
    assert values_of(p, metric) == pytest.approx(values_of(repeated, metric), abs=1e-12)


@each_case
def test_equal_weights_change_neither_value_nor_interval(metric: Metric, task: Task) -> None:
    p = drawn(task, seed=7)
    plain = compute_metrics(p, metrics=[metric.name], n_bootstrap=60)
    weighted = compute_metrics(
        replace(p, sample_weight=np.full(p.n, 4.0)), metrics=[metric.name], n_bootstrap=60
    )
    for one, two in zip(plain.rows, weighted.rows, strict=True):
        assert (two.value, two.low, two.high) == pytest.approx(
            (one.value, one.low, one.high), rel=1e-9, nan_ok=True
        )


@each_case
def test_a_metric_asked_alone_is_the_metric_asked_with_all(metric: Metric, task: Task) -> None:
    p = drawn(task, seed=8)
    every = compute_metrics(p, metrics=[one.name for one in EVERY], n_bootstrap=40)
    alone = compute_metrics(p, metrics=[metric.name], n_bootstrap=40)
    for row in alone.rows:
        again = every.row("m", metric.name, row.label)
        assert (again.value, again.low, again.high) == pytest.approx(
            (row.value, row.low, row.high), rel=1e-12, nan_ok=True
        )


# ---------------------------------------------------------- small and degenerate, against sklearn


@settings(max_examples=60, deadline=None)
@drawn_by(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(1, 3)), min_size=1,
             max_size=12)
)  # fmt: skip
def test_any_two_class_table_equals_scikit_learn(rows: list[tuple[int, int, int]]) -> None:
    y, pred, w = np.array(rows).T
    p = binary_labels(y, pred, sample_weight=w)
    for metric in (m for m in METRICS.values() if Task.BINARY in m.tasks and m.needs == "labels"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = two_classes(metric, y, pred, None, w)
        assert values_of(p, metric)[""] == pytest.approx(expected, abs=1e-12, nan_ok=True)


@settings(max_examples=40, deadline=None)
@drawn_by(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(1, 3)), min_size=1,
             max_size=12)
)  # fmt: skip
def test_any_table_with_absent_classes_equals_scikit_learn(rows: list[tuple[int, ...]]) -> None:
    y, pred, w = np.array(rows).T
    p = given(
        Task.MULTICLASS, y, y_pred=pred, labels=tuple("abcde"), sample_weight=w,
        y_score=np.eye(5)[pred],
    )  # fmt: skip
    for metric in METRICS.values():
        if Task.MULTICLASS not in metric.tasks or metric.needs != "labels" or metric.each:
            continue
        if metric.base == "specificity":
            continue  # a class that every row is has no specificity in the reference
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = many_classes(metric, p)
        assert values_of(p, metric)[""] == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_one_flagged_row_of_a_hundred_million_keeps_its_digits() -> None:
    # the counts of ten thousand rows, each standing for 10,000
    y, pred = np.zeros(10_000, int), np.zeros(10_000, int)
    y[:3] = pred[0] = 1
    p = binary_labels(y, pred, sample_weight=np.full(10_000, 1e4))
    # φ of [[T − P, 0], [P − 1, 1]]: sqrt((T − P)/(P (T − 1)))
    assert values_of(p, METRICS["mcc"])[""] == pytest.approx(
        np.sqrt((10_000 - 3) / (3 * (10_000 - 1))), rel=1e-13
    )
    only = binary_labels([1] + [0] * 9, [1] + [0] * 9, sample_weight=[1e-9] + [1e4] * 9)
    assert values_of(only, METRICS["recall"])[""] == 1.0


def test_float32_scores_give_the_same_numbers() -> None:
    for p in (drawn_binary(), drawn_multiclass(), drawn_multilabel()):
        single = replace(p, y_score=p.y_score.astype(np.float32))
        two = compute_metrics(single, n_bootstrap=2)
        for row in compute_metrics(p, n_bootstrap=2).rows:
            assert two.value("m", row.metric, row.label) == pytest.approx(row.value, abs=1e-6)


# ------------------------------------------------------------------------------- not applicable


def reason(p: Predictions, metric: str, label: str = "") -> str:
    row = compute_metrics(p, metrics=[metric], n_bootstrap=2).row("m", metric, label)
    assert math.isnan(row.value)
    assert math.isnan(row.low)
    return row.reason


def test_metrics_that_need_more_than_there_is_say_so() -> None:
    p = drawn_binary()
    decision = replace(p, score_kind=ScoreKind.DECISION)
    assert reason(decision, "log_loss") == (
        "Log loss needs probabilities; this model gives decision values."
    )
    assert "log-odds" in reason(replace(p, score_kind=ScoreKind.LOGIT), "brier")
    labels = binary_labels(p.target.y, p.target.y)
    assert reason(labels, "roc_auc") == "ROC AUC needs scores; this model gives labels only."
    three = replace(drawn_multiclass(), score_kind=ScoreKind.INDEPENDENT)
    assert "do not sum to 1" in reason(three, "log_loss")
    assert "always" in reason(drawn_multiclass(k=3), "top_3_accuracy")
    assert reason(p, "rmse") == "RMSE is not for binary targets."
    assert "multiclass" in reason(drawn_multiclass(), "subset_accuracy")
    values = replace(drawn_regression(), y_pred=None)
    assert reason(values, "mae") == "MAE needs predicted values."
    assert "labels or scores" in reason(replace(labels, y_pred=None), "accuracy")


def test_ranking_metrics_without_one_of_the_classes_are_undefined() -> None:
    p = drawn_binary()
    all_yes = replace(p, target=replace(p.target, y=np.ones(p.n, np.int64)))
    all_no = replace(p, target=replace(p.target, y=np.zeros(p.n, np.int64)))
    assert reason(all_yes, "roc_auc") == "Every row is yes, so ROC AUC is undefined."
    assert reason(all_no, "roc_auc") == "No row is yes, so ROC AUC is undefined."
    assert reason(all_no, "average_precision").startswith("No row is yes")
    three = drawn_multiclass(k=3)
    one = replace(three, target=replace(three.target, y=np.zeros(three.n, np.int64)))
    for metric in ("roc_auc_ovr", "roc_auc_ovo"):
        assert "undefined" in reason(one, metric)
    none = drawn_multilabel()
    none = replace(none, target=replace(none.target, y=np.zeros_like(none.target.y)))
    assert "undefined" in reason(none, "roc_auc_micro")
    assert "undefined" in reason(none, "average_precision_macro")


def test_means_over_classes_leave_out_absent_ones_and_say_which() -> None:
    p = drawn_multiclass(k=4)
    rows = np.flatnonzero(p.target.y != 2)
    less = taken(p, rows)
    table = compute_metrics(less, n_bootstrap=20)
    kept = [table.value("m", "roc_auc", label) for label in "abd"]
    row = table.row("m", "roc_auc_ovr")
    assert row.value == pytest.approx(np.mean(kept), abs=1e-12)
    assert row.reason == "1 of 4 left out, with one side empty in these rows: c."
    assert "c" in table.row("m", "roc_auc_ovo").reason
    assert math.isnan(table.value("m", "roc_auc", "c"))


def alike_truth() -> Predictions:
    return given(Task.MULTICLASS, [0, 0, 0], y_pred=[0, 1, 1], labels=("a", "b", "c"))


def test_conventions_for_empty_denominators_are_told() -> None:
    p = binary_labels([0, 0, 1], [0, 0, 0])
    table = compute_metrics(p, n_bootstrap=20)
    assert table.row("m", "precision").value == 0
    assert table.row("m", "precision").reason == (
        "No row is predicted yes; precision is 0 by convention."
    )
    assert "predicted alike" in table.row("m", "mcc").reason
    only_no = compute_metrics(binary_labels([0, 0], [0, 0]), n_bootstrap=20)
    assert only_no.row("m", "recall").reason == "No row is yes; recall is 0 by convention."
    assert only_no.row("m", "f1").reason == "No row is or is predicted yes; 0 by convention."
    assert math.isnan(only_no.value("m", "kappa"))
    assert "Only one class" in only_no.row("m", "kappa").reason
    assert "its recall" in only_no.row("m", "balanced_accuracy").reason
    only_yes = compute_metrics(binary_labels([1, 1], [1, 0]), n_bootstrap=20)
    assert only_yes.row("m", "specificity").reason == (
        "Every row is yes; specificity is 0 by convention."
    )
    alike = given(Task.MULTICLASS, [0, 1, 2], y_pred=[1, 1, 1], labels=("a", "b", "c"))
    assert "predicted alike" in compute_metrics(alike, metrics=["mcc"]).rows[0].reason
    assert not compute_metrics(alike, metrics=["kappa"]).rows[0].reason.startswith("Only")
    only_a = given(Task.MULTICLASS, [0, 0, 0], y_pred=[0, 0, 0], labels=("a", "b", "c"))
    assert "is 0 by convention" in compute_metrics(only_a, metrics=["mcc"]).rows[0].reason
    assert "is undefined" in compute_metrics(only_a, metrics=["kappa"]).rows[0].reason
    assert compute_metrics(alike_truth(), metrics=["kappa"]).rows[0].value == 0
    three = given(Task.MULTICLASS, [0, 1, 2, 2], y_pred=[0, 1, 1, 1], labels=("a", "b", "c"))
    macro = compute_metrics(three, n_bootstrap=20).row("m", "precision_macro")
    assert macro.reason == "1 of 3 enter as 0 by convention: c."


def test_rows_without_labels_are_told_in_means_over_rows() -> None:
    p = given(
        Task.MULTILABEL, np.array([[0, 0], [1, 0], [0, 0]], np.uint8), labels=("a", "b"),
        y_pred=np.array([[0, 0], [1, 0], [1, 0]], np.uint8),
    )  # fmt: skip
    table = compute_metrics(p, n_bootstrap=20)
    assert table.row("m", "recall_samples").value == pytest.approx(1 / 3)
    assert table.row("m", "recall_samples").reason.startswith("2 of 3 rows have no true label")
    assert table.row("m", "f1_samples").reason.startswith("1 of 3 rows have no label at all")


def test_no_rows_and_no_weight_give_reasons_not_numbers() -> None:
    empty = taken(drawn_binary(), np.arange(0))
    assert {row.reason for row in compute_metrics(empty).rows} == {"There are no rows to evaluate."}
    nothing = replace(drawn_regression(), sample_weight=np.zeros(200))
    assert {row.reason for row in compute_metrics(nothing).rows} == {"All sample weights are zero."}


def test_single_rows_on_one_side_have_a_value_but_no_interval() -> None:
    p = drawn_binary()
    rows = np.r_[np.flatnonzero(p.target.y == 1)[:1], np.flatnonzero(p.target.y == 0)]
    table = compute_metrics(taken(p, rows), metrics=["roc_auc", "average_precision"])
    for row in table.rows:
        assert 0 <= row.value <= 1
        assert math.isnan(row.low)
        assert row.reason.endswith(": no interval.")


def test_mape_warns_when_true_values_are_near_zero() -> None:
    y = np.r_[np.full(97, 10.0), 0.0, 0.05, -0.01]
    p = given(Task.REGRESSION, y, y_pred=y + 1)
    told = compute_metrics(p, metrics=["mape"]).row("m", "mape").reason
    assert told.startswith("3 of 100 true values are nearer to zero")
    assert not compute_metrics(given(Task.REGRESSION, y[:97], y_pred=y[:97] + 1),
                               metrics=["mape"]).rows[0].reason  # fmt: skip


def test_r2_of_a_constant_target_and_of_one_row() -> None:
    constant = given(Task.REGRESSION, np.ones(5), y_pred=np.arange(5.0))
    row = compute_metrics(constant, metrics=["r2"], n_bootstrap=20).rows[0]
    assert row.value == 0.0  # scikit-learn: force_finite
    assert "same" in row.reason
    one = compute_metrics(given(Task.REGRESSION, [1.0], y_pred=[2.0]), metrics=["r2"]).rows[0]
    assert one.reason == "R² needs at least two rows."


# ------------------------------------------------------------------------------ asking and table


def test_threshold_is_in_units_of_the_scores_and_ties_are_positive() -> None:
    p = given(
        Task.BINARY, [0, 1, 1], y_score=[-1.0, 2.0, 0.0], labels=("no", "yes"), pos_label=1,
        score_kind=ScoreKind.DECISION,
    )  # fmt: skip
    assert compute_metrics(p).value("m", "recall") == 1.0  # 0 is the model's own; a tie counts
    assert compute_metrics(p, threshold=2.0).value("m", "recall") == 0.5
    assert compute_metrics(p, threshold=2.1).value("m", "recall") == 0.0


def test_each_label_can_have_its_own_threshold() -> None:
    p = given(
        Task.MULTILABEL, np.array([[1, 1], [0, 1]], np.uint8), labels=("a", "b"),
        y_score=np.array([[0.6, 0.3], [0.4, 0.2]]), score_kind=ScoreKind.INDEPENDENT,
    )  # fmt: skip
    table = compute_metrics(p, threshold=[0.4, 0.25], metrics=["recall", "precision"])
    assert table.value("m", "recall", "b") == 0.5
    assert table.value("m", "precision", "a") == 0.5
    with pytest.raises(ParameterError, match="3 values; there are 2 labels"):
        compute_metrics(p, threshold=[0.1, 0.2, 0.3], metrics=["recall"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 1.0}, "0 < level < 1, got 1.0"),
        ({"n_bootstrap": 1}, "at least 2, got 1"),
        ({"metrics": ["f1_makro"]}, "'f1_makro' is unknown.*f1_macro"),
        ({"metrics": ["pinball_2"]}, "'pinball_2' is unknown"),
        ({"threshold": [0.1, 0.2]}, "one number"),
    ],
)
def test_bad_parameters_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        compute_metrics(drawn_binary(), **options)


def test_bad_weights_are_refused() -> None:
    for bad in (-1.0, np.nan, np.inf):
        weight = np.ones(200)
        weight[3] = bad
        with pytest.raises(ParameterError, match="finite and not negative"):
            compute_metrics(drawn_binary(weight=weight))


def test_table_has_the_promised_columns_and_finds_its_rows() -> None:
    one = compute_metrics(drawn_binary(), metrics=["f1", "roc_auc"], n_bootstrap=20)
    two = compute_metrics(replace(drawn_binary(seed=1), name="other"), metrics=["f1"])
    table = MetricTable.concat([one, two])
    frame = table.frame()
    assert list(frame) == ["model", "label", "metric", "value", "low", "high", "n", "reason"]
    assert list(frame["model"]) == ["m", "m", "other"]
    assert table.value("other", "f1") == two.rows[0].value
    with pytest.raises(ParameterError, match=r"no 'mcc' for 'm'.*m, other"):
        table.value("m", "mcc")
    assert list(MetricTable(()).frame()) == list(frame)


def test_rows_about_a_class_count_that_class_and_can_be_left_out() -> None:
    p = drawn_multiclass()
    table = compute_metrics(p, metrics=["recall", "f1_macro"], n_bootstrap=20)
    assert table.row("m", "recall", "g").n == np.count_nonzero(p.target.y == 6)
    assert table.row("m", "f1_macro").n == p.n
    short = compute_metrics(p, metrics=["recall", "f1_macro"], n_bootstrap=20, per_class=False)
    assert [row.metric for row in short.rows] == ["f1_macro"]


def test_every_class_of_many_has_its_rows() -> None:
    p = drawn_multiclass(n=600, k=25)
    table = compute_metrics(p, metrics=["f1", "roc_auc"], n_bootstrap=20)
    for metric in ("f1", "roc_auc"):
        assert [row.label for row in table.rows if row.metric == metric] == list(p.target.labels)


def test_the_seed_decides_and_nothing_else() -> None:
    p = drawn_binary()
    assert compute_metrics(p).rows == compute_metrics(p).rows
    first, other = (
        compute_metrics(p, metrics=["f1"], random_state=seed).rows[0] for seed in (0, 1)
    )
    assert (first.low, first.high) != (other.low, other.high)


def test_metric_descriptions_are_complete() -> None:
    for name, metric in METRICS.items():
        assert name == metric.name == find_metric(name).name
        assert metric.sentence.endswith(".")
        assert metric.title
        assert metric.reference
        assert metric.tasks
        assert metric.each <= metric.tasks
        assert metric.range[0] < metric.range[1]
        assert metric.needs in ("labels", "scores", "probabilities", "values")
        assert callable(function_of(metric))
    for task in Task:
        names = {one.name for one in headline_metrics(task)}
        table = compute_metrics(drawn(task), n_bootstrap=2, per_class=False)
        assert len(names) >= 4
        assert names <= {row.metric for row in table.rows}


def test_an_unknown_metric_gets_names_to_choose_from() -> None:
    with pytest.raises(ParameterError) as caught:
        find_metric("acuracy")
    assert str(caught.value) == "Metric 'acuracy' is unknown. Did you mean accuracy?"
    with pytest.raises(ParameterError) as caught:
        find_metric("ROC-AUC")
    assert str(caught.value).startswith("Metric 'ROC-AUC' is unknown. Did you mean roc_auc")
    for name, wanted in (("auc", "roc_auc"), ("r2_score", "r2"), ("f1score", "f1")):
        with pytest.raises(ParameterError, match=f"Did you mean {wanted}"):
            find_metric(name)
    with pytest.raises(ParameterError) as caught:
        find_metric("nonsense")
    message = str(caught.value)
    assert message.startswith("Metric 'nonsense' is unknown. Names are accuracy, ")
    assert message.endswith(f"and {len(METRICS) - 17} more.")
    assert "roc_auc" in message
    assert "rmse" in message


def test_labels_that_are_not_text_are_named_as_text() -> None:
    y = np.array([0, 1, 2, 0])
    p = replace(
        given(Task.MULTICLASS, y, y_pred=y, labels=(1, 2, 3)),
        target=Target(Task.MULTICLASS, "t", (1, 2, 3), y),
    )
    assert compute_metrics(p, metrics=["recall"]).value("m", "recall", "3") == 1.0


@each_case
def test_an_interval_holds_its_value(metric: Metric, task: Task) -> None:
    """For a constant answer as well, whose statistic may not pass its value in any resample."""
    p = drawn(task, n=60, seed=5)
    for each in (p, compute_baseline(p.target)):
        for row in compute_metrics(each, metrics=[metric.name], n_bootstrap=50).rows:
            if not math.isnan(row.low):
                assert row.low <= row.value <= row.high, row


def test_the_interval_of_a_constant_mean_ends_at_its_value() -> None:
    # y = (0, 2, 4), always 2: R² = 1 − MSE/variance = 0; a resample has the same mean answer but
    # its own variance about its own mean, which is smaller, so every replicate is at most 0
    target = Target(Task.REGRESSION, "y", (), np.array([0.0, 2.0, 4.0] * 20))
    row = compute_metrics(compute_baseline(target), metrics=["r2"]).rows[0]
    assert row.low < 0 and row.value == row.high == pytest.approx(0, abs=1e-12)
