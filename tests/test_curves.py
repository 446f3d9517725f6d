"""Curves read from one table: values, intervals, and what is drawn of them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from dashboard.contracts import Result, ScoreKind, Target, Task
from dashboard.diagnostics.curves import (
    compute_calibration,
    compute_cost,
    compute_gain,
    compute_precision_recall,
    compute_roc,
    compute_score_distribution,
)
from dashboard.diagnostics.simplification import MAX_MARKS, TOLERANCE
from dashboard.diagnostics.thresholds import compute_thresholds
from dashboard.errors import NotApplicable, ParameterError
from tests.score_cases import many, predictions

COMPUTE = (compute_roc, compute_precision_recall, compute_gain, compute_cost)


def displacement(
    x: npt.NDArray[Any], y: npt.NDArray[Any], index: npt.NDArray[Any], path: npt.NDArray[Any]
) -> float:
    """Largest distance of an exact point from the drawn segment that stands for it."""
    place = np.clip(np.searchsorted(index, np.arange(len(x)), side="right"), 1, len(index) - 1)
    start, end = path[place - 1], path[place]
    step, offset = end - start, np.column_stack((x, y)) - start
    length = np.maximum((step**2).sum(axis=1), 1e-300)
    part = np.clip((step * offset).sum(axis=1) / length, 0, 1)
    return float(np.sqrt(((offset - part[:, None] * step) ** 2).sum(axis=1)).max())


# ------------------------------------------------------------------------------------ values


def test_areas_intervals_and_frames() -> None:
    given = many(2_000, 300)
    truth, scores = given.truth_of(1), given.scores_of(1)
    roc, pr = compute_roc(given, threshold=0.5), compute_precision_recall(given, threshold=0.5)
    assert roc.auc == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert pr.average_precision == pytest.approx(average_precision_score(truth, scores), abs=1e-12)
    assert 0 < roc.low < roc.auc < roc.high < 1
    assert 0 < pr.low < pr.average_precision < pr.high < 1
    assert pr.prevalence == 0.15
    assert roc.table is pr.table
    assert roc.operating is not None
    assert roc.operating.tp == (truth & (scores >= 0.5)).sum()
    assert (roc.model, roc.label, roc.n, roc.n_positive, roc.n_negative) == (
        "model",
        "yes",
        2_000,
        300,
        1_700,
    )
    frame = pr.frame()
    assert list(frame) == ["model", "label", "threshold", "precision", "recall"]
    assert len(frame) == 2_001
    assert frame.threshold.iloc[-1] == np.inf
    assert list(roc.frame()) == ["model", "label", "threshold", "fpr", "tpr"]


def test_every_curve_is_a_result_with_exact_arrays() -> None:
    given = predictions()
    table = compute_thresholds(given)
    for compute in COMPUTE:
        curve = compute(given, table=table)
        assert isinstance(curve, Result)
        assert curve.table is table
        assert curve.operating is None
        assert len(curve.frame()) == 4  # three distinct scores and inf
        x, y, index, error = curve.drawn()
        assert x.dtype == y.dtype == np.float32
        assert len(x) == len(y) == len(index) <= 5
        assert error <= TOLERANCE


def test_gain_and_cost_by_hand() -> None:
    # scores .8 (positive), .4 twice (one positive), .1: flagged 0, 1, 3, 4 of 4
    gain = compute_gain(predictions())
    np.testing.assert_allclose(gain.share, [0, 0.25, 0.75, 1])
    np.testing.assert_allclose(gain.recall, [0, 0.5, 1, 1])
    np.testing.assert_allclose(gain.lift, [2, 2, 4 / 3, 1])
    # a false alarm costs 1, a miss 5: 10 at inf, then 0 + 5, 1 + 0, 2 + 0
    cost = compute_cost(predictions(), cost_fp=1, cost_fn=5, threshold=0.8)
    np.testing.assert_allclose(cost.cost, [10, 5, 1, 2])
    assert cost.best == 0.4
    assert cost.operating is not None
    assert cost.operating.tp == 1


def test_one_class_of_several_and_what_does_not_apply() -> None:
    target = Target(Task.MULTICLASS, "y", ("a", "b", "c"), np.array([0, 1, 2, 1]))
    scores = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.5, 0.4, 0.1]])
    several = predictions(target=target, y_score=scores)
    assert compute_roc(several, label=1).auc == 1.0
    assert compute_roc(several, label=1).label == "b"
    assert compute_score_distribution(several, label=1).labels == ("other", "b")
    for compute in (*COMPUTE, compute_calibration, compute_score_distribution):
        with pytest.raises(ParameterError, match="index from 0 to 2"):
            compute(several)
        with pytest.raises(NotApplicable, match="labels without scores"):
            compute(predictions(y_score=None, score_kind=None))


def test_one_class_has_no_curve_but_no_failure() -> None:
    target = Target(Task.BINARY, "y", ("no", "yes"), np.zeros(4, dtype=int), pos_label=1)
    only = predictions(target=target)
    roc, pr = compute_roc(only), compute_precision_recall(only)
    assert math.isnan(roc.auc)
    assert math.isnan(pr.average_precision)
    assert math.isnan(pr.low)
    assert pr.prevalence == 0
    for curve in (roc, pr, compute_gain(only)):
        assert [len(part) for part in curve.drawn()[:3]] == [0, 0, 0]
    assert len(compute_cost(only).drawn()[0]) == 3
    nobody = Target(Task.BINARY, "y", ("no", "yes"), np.zeros(0, dtype=int), pos_label=1)
    empty = predictions(target=nobody, y_score=np.zeros(0), rows=np.arange(0), n_given=0)
    assert math.isnan(compute_precision_recall(empty).prevalence)
    for compute in COMPUTE:
        assert len(compute(empty).drawn()[0]) in (0, 1)
    assert compute_score_distribution(empty).counts.sum() == 0
    assert len(compute_calibration(empty).count) == 0


# --------------------------------------------------------------------------- what is drawn


@pytest.mark.parametrize(
    ("n", "positives", "apart", "reachable"),
    [
        (1_000_000, 10_000, 1.0, True),
        (1_000_000, 10_000, 2.5, True),
        (1_000_000, 500_000, 1.0, True),
        (1_000_000, 1_000, 2.5, True),
        (100_000, 8_000, 1.0, True),
        (100_000, 50_000, 0.3, True),
        (10_000, 3_000, 0.3, False),
        (4_000, 1_500, 0.0, False),
    ],
)
def test_curves_are_drawn_within_a_quarter_of_a_pixel(
    n: int, positives: int, apart: float, reachable: bool
) -> None:
    given = many(n, positives, apart)
    roc = compute_roc(given)
    x, y, index, error = roc.drawn()
    assert len(x) <= MAX_MARKS
    assert error <= TOLERANCE
    assert displacement(roc.fpr, roc.tpr, index, np.column_stack((x, y))) <= error + 1e-6
    pr = compute_precision_recall(given)
    x, y, index, error = pr.drawn()
    assert len(x) <= MAX_MARKS
    # precision near guessing jumps by more than a pixel at nearly every positive
    assert error <= (TOLERANCE if reachable else 0.0005)
    # the corners of drawn steps are not points of the curve, so the area decides here
    area = float(np.trapezoid(y.astype(float), x.astype(float)))
    assert area == pytest.approx(pr.average_precision, abs=error)


def test_precision_recall_is_drawn_in_steps_whose_area_is_average_precision() -> None:
    given = many(50, 20)
    given = replace(given, y_score=given.scores_of(1).round(1))
    pr = compute_precision_recall(given)
    x, y, index, error = pr.drawn()
    assert error < 1e-4
    assert np.trapezoid(y, x) == pytest.approx(pr.average_precision, abs=1e-6)
    # joined without corners, the trapezoids would say something else
    assert -np.trapezoid(pr.precision, pr.recall) != pytest.approx(pr.average_precision, abs=1e-3)
    np.testing.assert_allclose(y, pr.precision[index], atol=1e-6)
    assert set(index) == set(range(len(pr.precision) - 1))
    assert x[0] == 0
    assert (np.diff(x) >= 0).all()


def test_the_index_of_a_mark_names_its_threshold() -> None:
    given = many(30_000, 4_000)
    for curve, exact in (
        (compute_roc(given), ("fpr", "tpr")),
        (compute_gain(given), ("share", "recall")),
        (compute_cost(given, cost_fn=3.0), ("threshold", "cost")),
    ):
        x, y, index, _ = curve.drawn()
        np.testing.assert_allclose(x, getattr(curve, exact[0])[index], rtol=1e-6)
        np.testing.assert_allclose(y, getattr(curve, exact[1])[index], rtol=1e-6)
    at = compute_roc(given).table.at(float(compute_roc(given).thresholds[700]))
    assert at.recall == compute_roc(given).tpr[700]


def test_moving_the_threshold_draws_nothing_anew() -> None:
    given = many(5_000, 700)
    first, moved = compute_roc(given, threshold=0.2), compute_roc(given, threshold=0.7)
    assert first.operating != moved.operating
    assert first.drawn() is moved.drawn()
    assert replace(first, operating=None).drawn() is first.drawn()


def test_cost_is_drawn_over_finite_thresholds() -> None:
    scores = np.array([np.inf, 2.0, -1.0, -np.inf])
    curve = compute_cost(predictions(y_score=scores, score_kind=ScoreKind.LOGIT))
    x, y, index, _ = curve.drawn()
    np.testing.assert_array_equal(x, [2, -1])
    np.testing.assert_array_equal(curve.threshold[index], [2, -1])
    np.testing.assert_array_equal(y, curve.cost[index])


# ------------------------------------------------------------------------------ calibration


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_calibration_equals_scikit_learn_with_wilson_intervals(strategy: Any) -> None:
    given = many(3_000, 500)
    curve = compute_calibration(given, n_bins=8, strategy=strategy)
    share, mean = calibration_curve(
        given.truth_of(1), given.scores_of(1), n_bins=8, strategy=strategy
    )
    np.testing.assert_allclose(curve.share_positive, share, atol=1e-12)
    np.testing.assert_allclose(curve.mean_score, mean, atol=1e-12)
    assert curve.brier == pytest.approx(brier_score_loss(given.truth_of(1), given.scores_of(1)))
    assert (curve.low <= curve.share_positive).all()
    assert (curve.share_positive <= curve.high).all()
    # gaps weighted by rows, by hand from scikit-learn's curve
    assert curve.error == pytest.approx((np.abs(share - mean) * curve.count).sum() / 3_000)
    assert len(curve.frame()) == len(share)


def test_calibration_of_weighted_rows_widens_by_kish() -> None:
    given = many(2_000, 500)
    plain = compute_calibration(given, n_bins=5)
    equal = compute_calibration(replace(given, sample_weight=np.full(2_000, 3.0)), n_bins=5)
    np.testing.assert_allclose(equal.low, plain.low, atol=1e-12)
    np.testing.assert_allclose(equal.count, 3 * plain.count)
    mixed = compute_calibration(
        replace(given, sample_weight=np.tile([0.2, 0.0, 5.0, 1.0], 500)), n_bins=5
    )
    assert ((mixed.high - mixed.low) > (plain.high - plain.low)).all()


def test_calibration_of_decision_values_does_not_apply() -> None:
    with pytest.raises(NotApplicable, match="gives decision"):
        compute_calibration(predictions(score_kind=ScoreKind.DECISION))


def test_calibration_of_the_negative_class_mirrors_the_positive() -> None:
    given = many(1_000, 300)
    positive, negative = compute_calibration(given), compute_calibration(given, label=0)
    np.testing.assert_allclose(negative.mean_score, 1 - positive.mean_score[::-1], atol=1e-9)
    assert negative.brier == pytest.approx(positive.brier, abs=1e-12)
