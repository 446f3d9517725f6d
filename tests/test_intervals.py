"""Intervals against hand-derived values, naive bootstraps of scikit-learn, and simulated truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn import metrics as sk
from sklearn.utils.stats import _weighted_percentile

from dashboard.contracts import Predictions, ScoreKind, Task
from dashboard.diagnostics import intervals
from dashboard.diagnostics.intervals import (
    Cells,
    effective_n,
    logit_interval,
    median_interval,
    percentile_interval,
    resampled_cells,
    resampled_sums,
    weighted_median,
    wilson_interval,
)
from dashboard.diagnostics.metrics import METRICS, compute_metrics
from dashboard.diagnostics.ranking import rank_interval
from dashboard.diagnostics.thresholds import compute_thresholds, delong_interval
from dashboard.errors import ParameterError
from tests.drawn import (
    drawn_binary,
    drawn_multiclass,
    drawn_multilabel,
    drawn_regression,
    given,
)

# ------------------------------------------------------------------------------------- formulas


def test_wilson_by_hand() -> None:
    # 10 of 20, z = 1.959964: z² = 3.841459; centre (.5 + z²/40)/(1 + z²/20) = .596036/1.192073 = .5
    # half = 1.959964/1.192073 · sqrt(.25/20 + 3.841459/1600) = 1.644164 · .122069 = .200702
    low, high = wilson_interval(0.5, 20)
    assert (low, high) == pytest.approx((0.299298, 0.700702), abs=1e-6)
    # 0 of 10: high = z²/(n + z²) = 3.841459/13.841459
    low, high = wilson_interval(0.0, 10)
    assert low == 0.0
    assert high == pytest.approx(0.277533, abs=1e-6)
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 81/263 and 1/29
    assert wilson_interval(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(1 / 29, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


def test_wilson_of_no_rows_is_no_interval() -> None:
    low, high = wilson_interval([0.0, 1.0], [0, 5])
    assert np.isnan([low[0], high[0]]).all()
    assert high[1] == 1.0


def test_wilson_bounds_solve_the_score_equation() -> None:
    # the ends are the shares p with |share − p| = z · sqrt(p (1 − p)/n)
    for share, n, level in ((0.1, 30, 0.9), (0.97, 1000, 0.99)):
        z = {0.9: 1.6448536269514722, 0.99: 2.5758293035489004}[level]
        for p in wilson_interval(share, n, level):
            assert abs(share - p) == pytest.approx(z * np.sqrt(p * (1 - p) / n), rel=1e-12)


def test_effective_n_by_hand() -> None:
    # weights 1, 1, 2: (4)²/(1 + 1 + 4) = 16/6
    assert effective_n(4.0, 6.0) == pytest.approx(16 / 6)
    assert effective_n(5.0, 5.0) == 5.0
    assert effective_n(0.0, 0.0) == 0.0


def test_wilson_widens_with_uneven_weights() -> None:
    # 2 wrong of 4 rows, weights 1, 1, 1, 3 → share right (1 + 3)/6, n = 36/12 = 3
    p = given(
        Task.BINARY, [0, 0, 1, 1], y_pred=[0, 1, 0, 1], labels=("no", "yes"), pos_label=1,
        sample_weight=[1, 1, 1, 3],
    )  # fmt: skip
    row = compute_metrics(p, metrics=["accuracy"]).rows[0]
    assert row.value == pytest.approx(4 / 6)
    low, high = wilson_interval(4 / 6, 3)
    assert (row.low, row.high) == pytest.approx((float(low), float(high)))


def test_logit_interval_by_hand() -> None:
    # .8, se .05: logit 1.386294, spread 1.959964 · .05/.16 = .612489
    # → expit(.773806) = .684338, expit(1.998783) = .880669
    assert logit_interval(0.8, 0.05) == pytest.approx((0.684338, 0.880669), abs=1e-5)
    assert logit_interval(1.0, 0.0) == (1.0, 1.0)
    assert np.isnan(logit_interval(0.5, np.nan)).all()


def test_percentile_interval_leaves_out_undefined_replicates() -> None:
    replicates = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, np.nan], [3.0, np.nan]])
    low, high = percentile_interval(replicates, 0.5)
    assert (low[0], high[0]) == (1.5, 2.5)
    assert np.isnan([low[1], high[1]]).all()


@pytest.mark.parametrize("level", [0, 1, -0.5, 2])
def test_level_outside_its_bounds_is_refused(level: float) -> None:
    for call in (
        lambda: wilson_interval(0.5, 10, level),
        lambda: percentile_interval(np.ones(3), level),
        lambda: logit_interval(0.5, 0.1, level),
        lambda: median_interval(np.ones(3), None, level),
    ):
        with pytest.raises(ParameterError, match="0 < level < 1"):
            call()


# ----------------------------------------------------------------------------------- the median


def test_weighted_median_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for n in range(1, 40):
        values = rng.integers(0, 9, n).astype(float)
        weight = rng.integers(0, 4, n).astype(float)
        weight[0] = 1
        expected = _weighted_percentile(values, weight, 50, average=True)
        assert weighted_median(values, weight) == expected
        assert weighted_median(values) == np.median(values)


def test_median_interval_by_hand() -> None:
    # 100 values 1 … 100: .5 ± 1.959964 · .05 = .402, .598 → the 41st and the 60th
    assert median_interval(np.arange(1.0, 101)) == (41.0, 60.0)
    assert median_interval(np.arange(1.0, 101), np.full(100, 3.0)) == (41.0, 60.0)
    assert np.isnan(median_interval(np.ones(1))).all()


# ---------------------------------------------------------------------------- resampled statistics


def test_resampled_cells_have_the_moments_of_redrawn_rows() -> None:
    rng = np.random.default_rng(1)
    true, pred = rng.integers(0, 3, 90), rng.integers(0, 3, 90)
    weight = rng.exponential(size=90)
    cell = true * 3 + pred
    n, w, q = (
        np.bincount(cell, weights=one, minlength=9).reshape(3, 3)
        for one in (np.ones(90), weight, weight**2)
    )
    correct, truth, predicted = resampled_cells(Cells(n, w, q), n_bootstrap=8_000, random_state=0)
    assert correct.mean(axis=0) == pytest.approx(np.diagonal(w), rel=0.02)
    assert truth.mean(axis=0) == pytest.approx(w.sum(axis=1), rel=0.02)
    assert predicted.mean(axis=0) == pytest.approx(w.sum(axis=0), rel=0.02)
    for i in range(3):
        rows = true == i
        # redrawing n_i rows: variance of Σ x is Σ (x − mean)²
        x = weight[rows] * (pred[rows] == i)
        assert correct[:, i].std() == pytest.approx(np.sqrt(x.var() * rows.sum()), rel=0.04)
        assert truth[:, i].std() == pytest.approx(
            np.sqrt(weight[rows].var() * rows.sum()), rel=0.04
        )


def test_resampled_cells_without_weights_keep_the_true_classes() -> None:
    n = np.array([[5.0, 1], [0, 4]])
    correct, truth, predicted = resampled_cells(Cells(n, n, n), n_bootstrap=50, random_state=0)
    assert (truth == [6, 4]).all()
    assert (predicted.sum(axis=1) == 10).all()
    assert (correct[:, 1] == 4).all()
    assert set(np.unique(correct[:, 0])) <= set(range(7))


def test_resampled_sums_have_the_moments_of_redrawn_rows() -> None:
    rng = np.random.default_rng(2)
    strata = rng.integers(0, 3, 300)
    columns = np.column_stack([rng.normal(size=300) + strata, rng.exponential(size=300)])
    sums = resampled_sums(columns, strata, n_bootstrap=8_000, random_state=0)
    assert sums.mean(axis=0) == pytest.approx(columns.sum(axis=0), rel=0.02)
    covariance = sum(
        np.cov(columns[strata == s], rowvar=False, bias=True) * (strata == s).sum()
        for s in range(3)
    )
    assert np.cov(sums, rowvar=False) == pytest.approx(covariance, rel=0.07, abs=3)


def test_blocks_stand_for_rows() -> None:
    rng = np.random.default_rng(3)
    columns = np.column_stack([rng.exponential(size=20_000), np.ones(20_000)])
    columns = columns[np.argsort(columns[:, 0])]  # ordered files must not matter
    sums = resampled_sums(columns, n_bootstrap=2_000, random_state=0)
    means = sums[:, 0] / sums[:, 1]
    assert means.std() == pytest.approx(columns[:, 0].std() / np.sqrt(20_000), rel=0.07)


def test_draws_do_not_depend_on_the_columns_and_are_kept() -> None:
    columns = np.random.default_rng(4).normal(size=(50, 3))
    every = resampled_sums(columns, n_bootstrap=30, random_state=9)
    one = resampled_sums(columns[:, 1:2], n_bootstrap=30, random_state=9)
    assert one[:, 0] == pytest.approx(every[:, 1], abs=1e-12)
    assert intervals._draws(50, 30, (9, 0)) is intervals._draws(50, 30, (9, 0))
    assert (intervals._draws(50, 30, (9, 0)).sum(axis=1) == 50).all()


# --------------------------------------------------------- against naive bootstraps over the rows


def naive(
    p: Predictions, value: Callable[[Any], float], strata: Any, repeats: int = 800
) -> np.ndarray:
    """The metric on `repeats` samples of rows drawn with replacement within each stratum."""
    rng = np.random.default_rng(99)
    groups = [np.flatnonzero(strata == s) for s in np.unique(strata)]
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        return np.array(
            [
                value(np.concatenate([rng.choice(group, len(group)) for group in groups]))
                for _ in range(repeats)
            ]
        )


def assert_same_interval(p: Predictions, metric: str, replicates: np.ndarray) -> None:
    """Same place and same width as the naive bootstrap, within Monte-Carlo error.

    The standard error of a 2.5 % quantile from R draws is sqrt(.025 · .975/R)/φ(1.96) =
    2.67/sqrt(R) standard deviations: .094 for 800, .049 for 3,000, .106 together; 4 of them
    are allowed. A width against 2 · 1.96 standard deviations has a relative standard error of
    1/sqrt(2 · 800) = 2.5 % and 1.8 %, 3.1 % together; 12 % are allowed.
    """
    row = compute_metrics(p, metrics=[metric], n_bootstrap=3_000).row("m", metric)
    spread = replicates.std()
    if metric.startswith("average_precision"):
        # Drawing rows twice raises precision at the top, so the replicates lie above the value
        # as the value lies above the truth; our interval does not repeat that bias.
        replicates = replicates - replicates.mean() + row.value
    low, high = np.quantile(replicates, (0.025, 0.975))
    assert abs(row.low - low) < 0.42 * spread, (row, low, spread)
    assert abs(row.high - high) < 0.42 * spread, (row, high, spread)
    assert (row.high - row.low) / (3.92 * spread) == pytest.approx(1, abs=0.12)


BINARY_FUNCTIONS: dict[str, Callable[..., float]] = {
    "f1": lambda y, s, w: sk.f1_score(y, s >= 0.5, sample_weight=w),
    "f2": lambda y, s, w: sk.fbeta_score(y, s >= 0.5, beta=2, sample_weight=w),
    "balanced_accuracy": lambda y, s, w: sk.balanced_accuracy_score(y, s >= 0.5, sample_weight=w),
    "mcc": lambda y, s, w: sk.matthews_corrcoef(y, s >= 0.5, sample_weight=w),
    "kappa": lambda y, s, w: sk.cohen_kappa_score(y, s >= 0.5, sample_weight=w),
    "log_loss": lambda y, s, w: sk.log_loss(y, s, sample_weight=w),
    "brier": lambda y, s, w: sk.brier_score_loss(y, s, sample_weight=w),
    "average_precision": lambda y, s, w: sk.average_precision_score(y, s, sample_weight=w),
    "roc_auc": lambda y, s, w: sk.roc_auc_score(y, s, sample_weight=w),
}


@pytest.mark.parametrize(
    ("metric", "weighted"),
    [(metric, False) for metric in BINARY_FUNCTIONS]
    + [(metric, True) for metric in ("f1", "mcc", "log_loss", "average_precision", "roc_auc")],
)
def test_two_class_intervals_are_those_of_redrawn_rows(metric: str, weighted: bool) -> None:
    weight = np.random.default_rng(3).gamma(2, size=500) if weighted else None
    p = drawn_binary(n=500, seed=3, weight=weight)

    def value(rows: Any) -> float:
        w = None if weight is None else weight[rows]
        return BINARY_FUNCTIONS[metric](p.target.y[rows], p.y_score[rows], w)

    assert_same_interval(p, metric, naive(p, value, p.target.y))


def pair_auc(above: Any, below: Any) -> float:
    """Share of pairs in order, ties half: what sk.roc_auc_score says, without its overhead."""
    beats = above[:, None] > below
    return float(beats.mean() + 0.5 * (above[:, None] == below).mean())


def one_vs_rest(y: Any, s: Any) -> np.ndarray:
    return np.array([pair_auc(s[y == j, j], s[y != j, j]) for j in range(s.shape[1])])


def one_vs_one(y: Any, s: Any) -> float:
    k = s.shape[1]
    pairs = [pair_auc(s[y == a, a], s[y == b, a]) for a in range(k) for b in range(k) if a != b]
    return float(np.mean(pairs))


def test_the_reference_of_the_naive_bootstrap_is_scikit_learn() -> None:
    p = drawn_multiclass(n=300, k=4, ties=True)
    y, s = p.target.y, p.y_score
    assert one_vs_rest(y, s).mean() == pytest.approx(sk.roc_auc_score(y, s, multi_class="ovr"))
    assert one_vs_one(y, s) == pytest.approx(sk.roc_auc_score(y, s, multi_class="ovo"))


MULTICLASS_FUNCTIONS: dict[str, Callable[..., float]] = {
    "f1_macro": lambda y, s: sk.f1_score(y, s.argmax(axis=1), average="macro"),
    "precision_weighted": lambda y, s: sk.precision_score(y, s.argmax(axis=1), average="weighted"),
    "roc_auc_ovr": lambda y, s: one_vs_rest(y, s).mean(),
    "roc_auc_ovr_weighted": lambda y, s: np.average(one_vs_rest(y, s), weights=np.bincount(y)),
    "roc_auc_ovr_micro": lambda y, s: sk.roc_auc_score(y, s, multi_class="ovr", average="micro"),
    "roc_auc_ovo": one_vs_one,
    "average_precision_macro": lambda y, s: sk.average_precision_score(y, s),
    "average_precision_micro": lambda y, s: sk.average_precision_score(y, s, average="micro"),
    "log_loss": lambda y, s: sk.log_loss(y, s),
}


@pytest.mark.parametrize("metric", MULTICLASS_FUNCTIONS)
def test_intervals_over_classes_are_those_of_redrawn_rows(metric: str) -> None:
    p = drawn_multiclass(n=500, k=4, seed=2)

    def value(rows: Any) -> float:
        return MULTICLASS_FUNCTIONS[metric](p.target.y[rows], p.y_score[rows])

    assert_same_interval(p, metric, naive(p, value, p.target.y))


MULTILABEL_FUNCTIONS: dict[str, Callable[..., float]] = {
    "f1_macro": lambda y, s: sk.f1_score(y, s >= 0.5, average="macro"),
    "f1_samples": lambda y, s: sk.f1_score(y, s >= 0.5, average="samples", zero_division=0),
    "precision_micro": lambda y, s: sk.precision_score(y, s >= 0.5, average="micro"),
    "hamming_loss": lambda y, s: sk.hamming_loss(y, s >= 0.5),
    "roc_auc_macro": lambda y, s: sk.roc_auc_score(y, s),
    "roc_auc_weighted": lambda y, s: sk.roc_auc_score(y, s, average="weighted"),
    "average_precision_macro": lambda y, s: sk.average_precision_score(y, s),
    "average_precision_weighted": lambda y, s: sk.average_precision_score(y, s, average="weighted"),
}


@pytest.mark.parametrize("metric", MULTILABEL_FUNCTIONS)
def test_intervals_over_labels_are_those_of_redrawn_rows(metric: str) -> None:
    p = drawn_multilabel(n=400, k=3, seed=1)

    def value(rows: Any) -> float:
        return MULTILABEL_FUNCTIONS[metric](p.target.y[rows], p.y_score[rows])

    assert_same_interval(p, metric, naive(p, value, np.zeros(p.n)))


REGRESSION_FUNCTIONS: dict[str, Callable[..., float]] = {
    "rmse": sk.root_mean_squared_error,
    "mae": sk.mean_absolute_error,
    "mape": sk.mean_absolute_percentage_error,
    "r2": sk.r2_score,
    "median_ae": sk.median_absolute_error,
    "bias": lambda y, p, sample_weight=None: np.average((p - y), weights=sample_weight),
}


@pytest.mark.parametrize("metric", REGRESSION_FUNCTIONS)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_regression_intervals_are_those_of_redrawn_rows(metric: str, weighted: bool) -> None:
    # median: the weights of a redrawn row are its own; Kish's n stands for them
    weight = np.random.default_rng(3).gamma(8, size=500) if weighted else None
    p = drawn_regression(n=500, seed=3, weight=weight)
    p = replace(p, target=replace(p.target, y=p.target.y + 20), y_pred=p.y_pred + 20)

    def value(rows: Any) -> float:
        w = None if weight is None else weight[rows]
        return REGRESSION_FUNCTIONS[metric](p.target.y[rows], p.y_pred[rows], sample_weight=w)

    assert_same_interval(p, metric, naive(p, value, np.zeros(p.n)))


@pytest.mark.parametrize("metric", ["rmse", "r2", "median_ae"])
def test_intervals_over_outputs_are_those_of_redrawn_rows(metric: str) -> None:
    p = drawn_regression(n=400, k=3, seed=4)
    y_pred = p.y_pred.copy()
    y_pred[:, 1] = p.target.y[:, 1] + (y_pred[:, 0] - p.target.y[:, 0])  # errors move together
    p = replace(p, y_pred=y_pred)

    def value(rows: Any) -> float:
        return REGRESSION_FUNCTIONS[metric](p.target.y[rows], p.y_pred[rows])

    assert_same_interval(p, metric, naive(p, value, np.zeros(p.n)))


@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "ties"])
def test_the_roc_interval_is_the_one_of_the_curve(ties: bool) -> None:
    for p, label in (
        (drawn_binary(ties=ties), None),
        (drawn_multiclass(ties=ties), 3),
        (drawn_multilabel(ties=ties), 1),
    ):
        name = "" if label is None else str(p.target.labels[label])
        row = compute_metrics(p, metrics=["roc_auc"]).row("m", "roc_auc", name)
        auc, _, low, high = delong_interval(compute_thresholds(p, label))
        assert (row.value, row.low, row.high) == pytest.approx((auc, low, high), abs=1e-10)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_one_ranking_alone_has_the_interval_of_the_table(weighted: bool) -> None:
    weight = np.random.default_rng(0).random(200) if weighted else None
    p = drawn_binary(weight=weight)
    for metric in ("roc_auc", "average_precision"):
        alone = rank_interval(p.target.y == 1, p.y_score, weight, metric=metric)
        row = compute_metrics(p, metrics=[metric]).rows[0]
        assert (alone.value, alone.low, alone.high) == (row.value, row.low, row.high)
    assert "undefined" in rank_interval(np.zeros(3, bool), np.arange(3.0)).reason


def test_delong_by_hand() -> None:
    # positives .8, .6; negatives .7, .3, .1. Placements of the positives 1, 2/3; of the
    # negatives (share of positives above) 1/2, 1, 1. AUC = 5/6.
    # variance = s²(1, 2/3)/2 + s²(1/2, 1, 1)/3 = (1/18)/2 + (1/12)/3 = 1/18
    # logit 1.609438 ± 1.959964 · .235702/(5/36) = 3.326199
    row = compute_metrics(
        given(
            Task.BINARY, [1, 1, 0, 0, 0], y_score=[0.8, 0.6, 0.7, 0.3, 0.1], labels=(0, 1),
            pos_label=1,
        ),
        metrics=["roc_auc"],
    ).rows[0]  # fmt: skip
    assert row.value == pytest.approx(5 / 6)
    ends = 1 / (1 + np.exp(-(np.log(5) + np.array([-1, 1]) * 1.9599639845 * 18**-0.5 / (5 / 36))))
    assert (row.low, row.high) == pytest.approx(tuple(ends), abs=1e-9)


def spread_from_derivatives(p: Predictions, metric: str, strata: Any) -> float:
    """The infinitesimal jackknife by brute force: each row's weight is moved a little."""
    step = 1e-6
    influence = np.zeros(p.n)
    for i in range(p.n):
        ends = []
        for sign in (-1, 1):
            weight = p.sample_weight.copy()
            weight[i] *= 1 + sign * step
            moved = replace(p, sample_weight=weight)
            ends.append(compute_metrics(moved, metrics=[metric]).value("m", metric))
        influence[i] = (ends[1] - ends[0]) / (2 * step)
    variance = 0.0
    for s in np.unique(strata):
        u = influence[strata == s]
        variance += len(u) * u.var(ddof=1)
    return float(np.sqrt(variance))


RANKS = [m for m in METRICS.values() if m.family == "ranks"]


@pytest.mark.parametrize(
    ("metric", "task"),
    [(m.name, task) for m in RANKS for task in Task if m.has_overall(task)],
)
def test_ranking_errors_are_the_derivatives_by_the_weights(metric: str, task: Task) -> None:
    weight = np.random.default_rng(1).gamma(3, size=24)
    if task is Task.BINARY:
        p = drawn_binary(n=24, weight=weight, ties=True)
    elif task is Task.MULTICLASS:
        p = drawn_multiclass(n=24, k=3, weight=weight, ties=True)
    else:
        p = drawn_multilabel(n=24, k=3, weight=weight, ties=True)
    strata = np.zeros(24) if task is Task.MULTILABEL else p.target.y
    row = compute_metrics(p, metrics=[metric]).rows[0]
    error = spread_from_derivatives(p, metric, strata)
    assert (row.low, row.high) == pytest.approx(logit_interval(row.value, error), rel=1e-6)


# --------------------------------------------------------------------------------------- coverage


def coverage(
    draw: Callable[[np.random.Generator], Predictions], truth: dict[str, float], repeats: int = 300
) -> dict[str, float]:
    rng = np.random.default_rng(2024)
    hits = dict.fromkeys(truth, 0)
    for _ in range(repeats):
        table = compute_metrics(draw(rng), metrics=list(truth), n_bootstrap=300)
        for metric, value in truth.items():
            row = table.row("m", metric)
            hits[metric] += row.low <= value <= row.high
    return {metric: n / repeats for metric, n in hits.items()}


def test_two_class_intervals_hold_the_truth_in_95_of_100_samples() -> None:
    """60 positives and 140 negatives drawn anew 300 times; 95 % ± 2.5 % is two standard errors."""

    def draw(rng: np.random.Generator, n: tuple[int, int] = (140, 60)) -> Predictions:
        y = np.repeat([0, 1], n)
        score = 1 / (1 + np.exp(-(rng.normal(size=len(y)) + 1.6 * y - 0.8)))
        return given(Task.BINARY, y, y_score=score, labels=("no", "yes"), pos_label=1)

    metrics = ["accuracy", "recall", "specificity", "f1", "mcc", "balanced_accuracy", "roc_auc",
               "average_precision", "log_loss", "brier"]  # fmt: skip
    large = compute_metrics(
        draw(np.random.default_rng(1), (1_400_000, 600_000)), metrics=metrics, n_bootstrap=2
    )
    truth = {metric: large.value("m", metric) for metric in metrics}
    for metric, share in coverage(draw, truth).items():
        assert 0.91 <= share <= 0.98, (metric, share)


def test_precision_holds_the_truth_when_classes_are_drawn_too() -> None:
    """Wilson takes the flagged rows as independent: with fixed class sizes it is conservative."""

    def draw(rng: np.random.Generator) -> Predictions:
        y = (rng.random(200) < 0.3).astype(np.int64)
        pred = rng.random(200) < np.where(y == 1, 0.8, 0.2)
        return given(Task.BINARY, y, y_pred=pred.astype(int), labels=("no", "yes"), pos_label=1)

    # .3 · .8/(.3 · .8 + .7 · .2) = .24/.38; accuracy .8
    shares = coverage(draw, {"precision": 0.24 / 0.38, "accuracy": 0.8, "recall": 0.8}, 1_500)
    for metric, share in shares.items():
        assert 0.94 <= share <= 0.97, (metric, share)


def test_regression_intervals_hold_the_truth_in_95_of_100_samples() -> None:
    def draw(rng: np.random.Generator, n: int = 200) -> Predictions:
        y = rng.normal(size=n)
        return given(Task.REGRESSION, y, y_pred=y + 0.1 + 0.5 * rng.normal(size=n))

    # errors normal(.1, .5): E e² = .26; E |e| = .5 · 1.9600…, median by the folded normal (below)
    errors = np.abs(np.random.default_rng(0).normal(0.1, 0.5, 4_000_000))
    truth = {
        "rmse": np.sqrt(0.26),
        "mae": errors.mean(),
        "median_ae": float(np.median(errors)),
        "bias": 0.1,
        "r2": 1 - 0.26,
    }
    for metric, share in coverage(draw, truth).items():
        assert 0.91 <= share <= 0.98, (metric, share)


def test_intervals_narrow_as_rows_grow_and_as_the_level_falls() -> None:
    widths = []
    for n in (100, 1_000, 10_000):
        row = compute_metrics(drawn_binary(n=n), metrics=["f1"]).rows[0]
        widths.append(row.high - row.low)
    assert all(wide > 2 * narrow for wide, narrow in pairwise(widths))
    p = drawn_binary()
    for metric in ("f1", "accuracy", "roc_auc", "average_precision", "log_loss"):
        narrow, wide = (
            compute_metrics(p, metrics=[metric], level=level).rows[0] for level in (0.5, 0.99)
        )
        assert wide.low < narrow.low <= narrow.value <= narrow.high < wide.high


def test_a_perfect_model_has_no_width_and_says_so() -> None:
    y = np.repeat([0, 1], 50)
    p = given(
        Task.BINARY, y, y_score=y * 0.9, score_kind=ScoreKind.PROBABILITY, labels=("no", "yes"),
        pos_label=1,
    )  # fmt: skip
    table = compute_metrics(p)
    assert table.row("m", "f1").reason == (
        "Every resample gives this same value, so the interval has no width."
    )
    assert "no width" in table.row("m", "average_precision").reason
    assert table.row("m", "accuracy").low == pytest.approx(0.963, abs=1e-3)  # Wilson has one
    assert table.row("m", "roc_auc").low < 1.0
