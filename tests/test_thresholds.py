"""The threshold engine against scikit-learn, brute force, and numbers derived by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from dashboard.contracts import Target, Task
from dashboard.diagnostics.histograms import ScoreHistogram
from dashboard.diagnostics.thresholds import (
    CRITERIA,
    ThresholdTable,
    compute_thresholds,
    delong_interval,
    flagged,
)
from dashboard.errors import NotApplicable, ParameterError
from tests.score_cases import CLOSE, FEW, MANY, Case, cases, predictions, quietly, table_of

# ------------------------------------------------------------------ equal to scikit-learn


@MANY
@given(cases())
def test_curves_and_areas_equal_scikit_learn(case: Case) -> None:
    truth, scores, weights = case
    table = ThresholdTable.from_scores(truth, scores, weights)
    expected = quietly(
        sk.roc_curve, truth, scores, sample_weight=weights, drop_intermediate=False, pos_label=True
    )
    for ours, theirs in zip(table.roc(), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, **CLOSE)
    expected = quietly(
        sk.precision_recall_curve, truth, scores, sample_weight=weights, pos_label=True
    )
    for ours, theirs in zip(table.precision_recall(), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, **CLOSE)
    kept = truth if weights is None else truth[weights > 0]
    if kept.any() and not kept.all():
        area = sk.roc_auc_score(truth, scores, sample_weight=weights)
        assert table.roc_auc == pytest.approx(area, abs=1e-12)
        step_sum = sk.average_precision_score(truth, scores, sample_weight=weights)
        assert table.average_precision == pytest.approx(step_sum, abs=1e-12)
    else:
        assert math.isnan(table.roc_auc)
        assert math.isnan(table.average_precision)


@FEW
@given(cases(), st.data())
def test_counts_at_any_threshold_equal_the_confusion_matrix(
    case: Case, data: st.DataObject
) -> None:
    truth, scores, weights = case
    threshold = data.draw(
        st.one_of(
            st.sampled_from([*map(float, scores), np.inf, -np.inf]), st.floats(allow_nan=False)
        )
    )
    at = ThresholdTable.from_scores(truth, scores, weights).at(threshold)
    # sample_weight as an array of ones where none is given: same matrix
    given_weights = np.ones(len(truth)) if weights is None else weights
    expected = quietly(
        sk.confusion_matrix,
        truth,
        flagged(scores, threshold),
        sample_weight=given_weights,
        labels=[False, True],
    )
    np.testing.assert_allclose(at.matrix(), expected, **CLOSE)
    assert at.threshold == threshold


@FEW
@given(cases(probabilities=True, both=True))
def test_losses_equal_scikit_learn(case: Case) -> None:
    truth, scores, weights = case
    table = ThresholdTable.from_scores(truth, scores, weights)
    brier = sk.brier_score_loss(truth, scores.astype(np.float64), sample_weight=weights)
    assert table.brier() == pytest.approx(brier, abs=1e-12)
    # scikit-learn computes float32 logarithms in float32
    tolerance = 1e-12 if scores.dtype == np.float64 else 2e-6
    loss = sk.log_loss(truth, scores, sample_weight=weights, labels=[False, True])
    assert table.log_loss() == pytest.approx(loss, rel=tolerance, abs=tolerance)


def test_weighted_quantile_bins_are_those_of_repeated_rows() -> None:
    # weights 0 to 4 as repetitions; the upper inverted distribution function, so that a bin
    # (edge, next edge] holds a share of the weight that is as even as ties allow
    rng = np.random.default_rng(0)
    scores, truth, weights = rng.random(200), rng.random(200) < 0.4, rng.integers(0, 5, 200)
    repeated = np.repeat(scores, weights)
    edges = ThresholdTable.from_scores(truth, scores, weights).calibration_edges(4, "quantile")
    assert (edges[0], edges[-1]) == (repeated.min(), repeated.max())
    for edge, share in zip(edges[1:-1], (0.25, 0.5, 0.75), strict=True):
        assert (repeated >= edge).mean() >= 1 - share > (repeated > edge).mean()
    _, _, count = ThresholdTable.from_scores(truth, scores, weights).calibration(4, "quantile")
    assert count.sum() == weights.sum()


@pytest.mark.parametrize("n", [37, 8_193, 20_000])
def test_losses_of_distinct_scores_equal_scikit_learn(n: int) -> None:
    # every score once: logarithms are taken of products of sixteen
    rng = np.random.default_rng(n)
    scores = rng.random(n)
    scores[:2] = [0.0, 1.0]
    truth = rng.random(n) < scores
    truth[:4] = [True, False, True, False]
    table = ThresholdTable.from_scores(truth, scores)
    assert len(table.thresholds) == n
    assert table.log_loss() == pytest.approx(sk.log_loss(truth, scores), rel=1e-12)
    assert table.brier() == pytest.approx(sk.brier_score_loss(truth, scores), rel=1e-12)


@MANY
@given(cases(probabilities=True), st.integers(1, 12), st.sampled_from(["uniform", "quantile"]))
def test_calibration_equals_scikit_learn(case: Case, n_bins: int, strategy: Any) -> None:
    truth, scores, _ = case
    expected = calibration_curve(truth, scores, n_bins=n_bins, strategy=strategy, pos_label=True)
    share, mean, count = ThresholdTable.from_scores(truth, scores).calibration(n_bins, strategy)
    np.testing.assert_allclose(share, expected[0], **CLOSE)
    np.testing.assert_allclose(mean, expected[1], **CLOSE)
    assert count.sum() == len(truth)


def test_infinite_scores_order_like_very_large_ones() -> None:
    truth = np.array([True, False, True, False, True])
    scores = np.array([np.inf, -np.inf, 0.5, np.inf, -3.0])
    table = ThresholdTable.from_scores(truth, scores)
    finite = ThresholdTable.from_scores(truth, np.clip(scores, -1e9, 1e9))
    np.testing.assert_array_equal(table.thresholds, [np.inf, 0.5, -3.0, -np.inf])
    np.testing.assert_array_equal(table.tps, finite.tps)
    assert table.roc_auc == finite.roc_auc == sk.roc_auc_score(truth, np.clip(scores, -1e9, 1e9))
    assert table.at(np.inf).matrix().tolist() == [[1, 1], [2, 1]]
    assert table.at(-np.inf).matrix().tolist() == [[0, 2], [0, 3]]


@FEW
@given(cases(finite=False))
def test_infinite_scores_count_as_brute_force_does(case: Case) -> None:
    truth, scores, weights = case
    table = ThresholdTable.from_scores(truth, scores, weights)
    ones = np.ones(len(truth)) if weights is None else weights
    for threshold, tp, fp in zip(table.thresholds, table.tps, table.fps, strict=True):
        hit = scores >= threshold
        assert tp == pytest.approx(ones[hit & truth].sum(), abs=1e-12)
        assert fp == pytest.approx(ones[hit & ~truth].sum(), abs=1e-12)
    assert (np.diff(table.thresholds) < 0).all()


def test_det_curve_holds_scikit_learns_points() -> None:
    rng = np.random.default_rng(0)
    truth, scores = rng.random(200) < 0.4, rng.integers(0, 30, 200).astype(float)
    fpr, fnr, thresholds = sk.det_curve(truth, scores)
    ours = {
        (round(a, 12), round(b, 12), c)
        for a, b, c in zip(*table_of(truth, scores).det(), strict=True)
    }
    theirs = {(round(a, 12), round(b, 12), c) for a, b, c in zip(fpr, fnr, thresholds, strict=True)}
    assert theirs <= ours


def test_ks_is_scipys_two_sample_statistic() -> None:
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(1)
    truth = rng.random(300) < 0.3
    scores = rng.normal(size=300).round(1) + truth
    assert table_of(truth, scores).ks == pytest.approx(
        ks_2samp(scores[truth], scores[~truth]).statistic, abs=1e-12
    )


# ------------------------------------------------------------- exact figures from the books


def expanded(matrix: list[list[int]]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Labels and 0/1 scores with this confusion matrix (rows are true classes)."""
    (tn, fp), (fn, tp) = matrix
    truth = np.repeat([False, False, True, True], [tn, fp, fn, tp])
    return truth, np.repeat([0.0, 1.0, 0.0, 1.0], [tn, fp, fn, tp])


def test_the_5_detector_of_geron() -> None:
    at = table_of(*expanded([[53057, 1522], [1325, 4096]])).at(0.5)
    assert at.matrix().tolist() == [[53057, 1522], [1325, 4096]]
    # 4096 / (4096 + 1522), 4096 / (4096 + 1325), their harmonic mean
    assert at.precision == pytest.approx(0.7290850836596654, abs=1e-15)
    assert at.recall == pytest.approx(0.7555801512636044, abs=1e-15)
    assert at.f1 == pytest.approx(0.7420962043663375, abs=1e-15)
    assert at.accuracy == pytest.approx(0.95255, abs=1e-15)
    assert at.specificity == pytest.approx(0.972114, abs=5e-7)
    assert at.fpr == pytest.approx(0.027886, abs=5e-7)
    assert at.balanced_accuracy == pytest.approx(0.863847, abs=5e-7)


def test_visit_duration_of_mosconi() -> None:
    at = table_of(*expanded([[40, 10], [7, 43]])).at(0.5)
    rounded = [round(rate, 3) for rate in (at.accuracy, at.precision, at.recall, at.f1)]
    assert rounded == [0.83, 0.811, 0.86, 0.835]


def test_employee_turnover_loses_to_always_stay() -> None:
    at = table_of(*expanded([[1850, 475], [254, 421]])).at(0.5)
    assert [round(rate, 2) for rate in (at.precision, at.recall, at.f1)] == [0.47, 0.62, 0.54]
    assert round(at.accuracy, 3) == 0.757
    assert table_of(*expanded([[1850, 475], [254, 421]])).at(np.inf).accuracy == 0.775


def test_streaming_precision_is_pooled_not_averaged() -> None:
    # Géron: batch one has 4 true and 1 false alarm, batch two 0 and 3: .8, then 4/8 = .5,
    # where the mean of the batches' precisions says (.8 + 0)/2 = .4
    first = np.array([1, 1, 1, 1, 0, 0, 0, 0], bool), np.array([1.0, 1, 1, 1, 1, 0, 0, 0])
    second = np.array([0, 1, 0, 0, 1, 0, 1, 1], bool), np.array([1.0, 0, 1, 0, 0, 1, 0, 0])
    stream = ScoreHistogram.from_scores(*first)
    assert stream.table().at(0.5).precision == 0.8
    stream += ScoreHistogram.from_scores(*second)
    assert stream.table().at(0.5).precision == 0.5


# --------------------------------------------------------------- wrong numbers of our peers


def test_peer_bug_1_order_of_the_matrix() -> None:
    at = table_of(*expanded([[80, 10], [2, 8]])).at(0.5)
    assert (at.tn, at.fp, at.fn, at.tp) == (80, 10, 2, 8)
    assert at.fnr == pytest.approx(0.2)  # 2 / 10
    assert at.fpr == pytest.approx(1 / 9)  # 10 / 90
    assert at.selection_rate == pytest.approx(0.18)  # 18 / 100


@pytest.mark.parametrize("cutoff", [0.29, 0.57, 0.58])
def test_peer_bug_3_a_cutoff_shows_its_own_figures(cutoff: float) -> None:
    # int(.29 * 100) is 28
    scores = np.arange(101) / 100
    truth = scores > 0.5
    at = table_of(truth, scores).at(cutoff)
    assert at.tp + at.fp == (scores >= cutoff).sum() == 101 - round(cutoff * 100)


def test_peer_bug_4_a_score_at_the_threshold_is_flagged_everywhere() -> None:
    truth, scores = np.array([True, True, False]), np.array([0.5, 0.9, 0.5])
    table = table_of(truth, scores)
    assert table.at(0.5).matrix().tolist() == [[0, 1], [0, 2]]
    assert flagged(scores, 0.5).tolist() == [True, True, True]
    fpr, tpr, thresholds = table.roc()
    at = list(thresholds).index(0.5)
    assert (fpr[at], tpr[at]) == (1.0, 1.0)
    row = table.frame().set_index("threshold").loc[0.5]
    assert (row.tp, row.fp, row.recall) == (2, 1, 1)


def test_peer_bug_4_float32_scores_meet_the_threshold_they_show() -> None:
    # float32(.7) is .699999988: compared as float64 it would miss its own threshold
    truth, scores = np.array([True, False]), np.array([0.7, 0.2], dtype=np.float32)
    assert table_of(truth, scores).at(0.7).tp == 1
    assert flagged(scores, 0.7).tolist() == [True, False]
    assert table_of(truth, scores.astype(np.float64)).at(0.7).tp == 0


def test_peer_bug_5_area_under_pr_is_the_step_sum() -> None:
    # one positive last of two: recall 0 → 0 → 1 at precision 0, then 1/2: step sum .5
    # two positives around one negative: precisions 1, 1/2, 2/3 at recalls 1/2, 1/2, 1:
    # (1/2)·1 + (1/2)·(2/3) = .8333; trapezoids over the fall give .7917
    table = table_of([1, 0, 1], np.array([3.0, 2.0, 1.0]))
    assert table.average_precision == pytest.approx(5 / 6)
    precision, recall, _ = table.precision_recall()
    assert -np.trapezoid(precision, recall) == pytest.approx(0.7916666667)


def test_peer_bug_6_every_distinct_score_is_a_threshold() -> None:
    # 5 positives in 100,000 rows, all above .9995: a grid of 101 points jumps over them
    scores = np.concatenate((np.linspace(0, 0.9994, 99_995), 0.9995 + np.arange(5) * 1e-5))
    truth = np.arange(100_000) >= 99_995
    table = table_of(truth, scores)
    assert table.at(table.best("f1")).f1 == 1.0
    grid = max(table.at(cut).f1 for cut in np.linspace(0, 1, 101))
    assert grid < 0.02


def test_peer_bug_10_rows_without_a_label_are_left_out_by_the_target() -> None:
    # the engine takes truth and scores of equal length only: nothing is dropped silently here
    with pytest.raises(ParameterError, match="one truth and one score per row"):
        table_of([True, False], np.array([0.1, 0.2, 0.3]))
    with pytest.raises(ParameterError, match="1 missing values"):
        table_of([True, False], np.array([0.1, np.nan]))


# ------------------------------------------------------------------------ finding thresholds


@FEW
@given(cases(both=True), st.floats(0, 1))
def test_threshold_searches_equal_brute_force(case: Case, share: float) -> None:
    truth, scores, weights = case
    table = ThresholdTable.from_scores(truth, scores, weights)
    every = [np.inf, *table.thresholds]
    at = {cut: table._counts(row, cut) for row, cut in enumerate(every)}
    assert table.threshold_for_recall(share) == max(c for c in every if at[c].recall >= share)
    precise = [cut for cut in table.thresholds if at[cut].precision >= share]
    assert table.threshold_for_precision(share) == (min(precise) if precise else None)
    few = [c for c in every if at[c].selection_rate <= share]
    assert table.threshold_for_selection(share) == min(few)
    for name in CRITERIA:
        values = [at[cut].rate(name) for cut in every]
        assert at[table.best(name)].rate(name) == np.nanmax(values)
    costs = [3 * at[cut].fp + 7 * at[cut].fn for cut in every]
    np.testing.assert_allclose(table.cost(3, 7), costs, **CLOSE)
    cheapest = at[table.cheapest(3, 7)]
    assert 3 * cheapest.fp + 7 * cheapest.fn == pytest.approx(min(costs), abs=1e-12)


def test_recall_is_reached_despite_rounding() -> None:
    # .07 * 100 = 7.000000000000001, yet seven of a hundred positives are a recall of .07
    table = table_of([True] * 100 + [False], np.arange(101, 0, -1.0))
    assert table.at(table.threshold_for_recall(0.07)).tp == 7


def test_precision_out_of_reach_is_none() -> None:
    # thresholds[np.argmax(precision >= .9)] would answer with the first threshold
    table = table_of([False, True, False], np.array([3.0, 2.0, 1.0]))
    assert table.threshold_for_precision(0.9) is None
    assert table.threshold_for_precision(0.5) == 2.0
    assert table_of([False], np.array([1.0])).threshold_for_recall(0.5) == np.inf


@pytest.mark.parametrize(
    "call",
    [
        lambda table: table.at(math.nan),
        lambda table: table.threshold_for_recall(1.1),
        lambda table: table.threshold_for_precision(-0.1),
        lambda table: table.threshold_for_selection(math.nan),
        lambda table: table.best("profit"),
        lambda table: table.cost(-1, 1),
        lambda table: table.cheapest(1, math.inf),
        lambda table: table.calibration(0),
        lambda table: table.calibration(3, "kmeans"),
        lambda table: delong_interval(table, 1.0),
    ],
)
def test_parameters_out_of_bounds_are_refused(call: Any) -> None:
    with pytest.raises(ParameterError):
        call(table_of([True, False], np.array([0.7, 0.2])))


def test_bad_inputs_are_refused() -> None:
    with pytest.raises(ParameterError, match="boolean"):
        ThresholdTable.from_scores(np.array([0, 1]), np.array([0.1, 0.2]))
    with pytest.raises(ParameterError, match="one weight for each"):
        table_of([True, False], np.array([0.1, 0.2]), [1.0])
    for bad in ([-1.0, 1.0], [np.inf, 1.0], [np.nan, 1.0]):
        with pytest.raises(ParameterError, match="finite and not negative"):
            table_of([True, False], np.array([0.1, 0.2]), bad)
    with pytest.raises(NotApplicable, match="needs probabilities"):
        table_of([True, False], np.array([-1.0, 2.0])).log_loss()


def test_empty_and_one_class_inputs_have_no_areas() -> None:
    empty = table_of([], np.array([]))
    for table in (empty, table_of([], np.array([]), []), table_of([True], np.array([0.3]), [0.0])):
        assert len(table.thresholds) == 0
        for value in (table.roc_auc, table.average_precision, table.ks, table.at(0.5).accuracy):
            assert math.isnan(value)
        assert math.isnan(table.brier())
        assert math.isnan(table.log_loss())
        assert table.threshold_for_selection(0.5) == np.inf
        assert all(math.isnan(value) for value in delong_interval(table))
    one = table_of([True, True], np.array([0.2, 0.3]))
    assert one.at(0.25).matrix().tolist() == [[0, 0], [1, 1]]
    assert math.isnan(one.at(0.25).fpr)
    assert np.isnan(one.roc()[0]).all()
    assert len(empty.frame()) == 0


def test_gain_and_lift_by_hand() -> None:
    # 10 rows, positives ranked 1st and 3rd: after 1, 2, 3 rows recall 1/2, 1/2, 1;
    # prevalence .2, so lift 1/.2 = 5, (1/2)/.2 = 2.5, (2/3)/.2 = 3.33
    truth = np.zeros(10, bool)
    truth[[0, 2]] = True
    table = table_of(truth, np.arange(10, 0, -1.0))
    share, recall = table.gain()
    np.testing.assert_allclose(share[:4], [0, 0.1, 0.2, 0.3])
    np.testing.assert_allclose(recall[:4], [0, 0.5, 0.5, 1])
    np.testing.assert_allclose(table.lift()[1][:4], [5, 5, 2.5, 10 / 3])
    assert (share[-1], recall[-1], table.lift()[1][-1]) == (1, 1, 1)


# --------------------------------------------------------------------------------- intervals


def delong_from_ranks(
    truth: npt.NDArray[np.bool_], scores: npt.NDArray[Any]
) -> tuple[float, float]:
    """Area and standard error from the definition: structural components over all pairs."""
    positive, negative = scores[truth][:, None], scores[~truth][None, :]
    kernel = (positive > negative) + 0.5 * (positive == negative)
    v10, v01 = kernel.mean(axis=1), kernel.mean(axis=0)
    return kernel.mean(), math.sqrt(v10.var(ddof=1) / len(v10) + v01.var(ddof=1) / len(v01))


@FEW
@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(2, 60), st.integers(2, 50))
def test_delong_equals_the_definition(seed: int, n_pos: int, n_neg: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    truth = np.repeat([True, False], [n_pos, n_neg])
    scores = rng.integers(0, levels, n_pos + n_neg) + truth
    auc, se, low, high = delong_interval(table_of(truth, scores))
    expected = delong_from_ranks(truth, scores)
    assert auc == pytest.approx(expected[0], abs=1e-12)
    assert se == pytest.approx(expected[1], abs=1e-12)
    assert 0 <= low <= auc <= high <= 1


def test_delong_with_equal_weights_is_delong_without() -> None:
    rng = np.random.default_rng(0)
    truth, scores = rng.random(400) < 0.3, rng.random(400)
    plain = delong_interval(table_of(truth, scores))
    np.testing.assert_allclose(
        delong_interval(table_of(truth, scores, np.full(400, 2.5))), plain, rtol=1e-12
    )


def test_delong_interval_covers_the_true_area() -> None:
    # normal scores one deviation apart: area Φ(1/√2) = .7602; 95 % of intervals should hold it
    rng = np.random.default_rng(5)
    truth = np.repeat([True, False], [40, 60])
    held = 0
    for _ in range(400):
        _, _, low, high = delong_interval(table_of(truth, rng.normal(size=100) + truth))
        held += low <= 0.7602499 <= high
    assert 0.92 <= held / 400 <= 0.98


# ------------------------------------------------------------------------- from predictions


def test_compute_thresholds_takes_the_positive_class_and_one_sort() -> None:
    given_predictions = predictions()
    table = compute_thresholds(given_predictions)
    np.testing.assert_array_equal(table.thresholds, [0.8, 0.4, 0.1])
    np.testing.assert_array_equal(table.tps, [1, 2, 2])
    assert compute_thresholds(given_predictions, 1) is table
    np.testing.assert_allclose(compute_thresholds(given_predictions, 0).thresholds, [0.9, 0.6, 0.2])


def test_compute_thresholds_of_one_class_of_several() -> None:
    target = Target(Task.MULTICLASS, "y", ("a", "b", "c"), np.array([0, 1, 2, 1]))
    scores = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.5, 0.4, 0.1]])
    several = predictions(target=target, y_score=scores)
    np.testing.assert_array_equal(compute_thresholds(several, 1).tps, [1, 2, 2, 2])
    with pytest.raises(ParameterError, match="index from 0 to 2"):
        compute_thresholds(several)
    with pytest.raises(ParameterError, match="index from 0 to 2"):
        compute_thresholds(several, 3)


def test_compute_thresholds_says_why_not() -> None:
    with pytest.raises(NotApplicable, match="labels without scores"):
        compute_thresholds(predictions(y_score=None, score_kind=None))
    numbers = Target(Task.REGRESSION, "y", (), np.arange(4.0))
    with pytest.raises(NotApplicable, match="regression"):
        compute_thresholds(predictions(target=numbers))
