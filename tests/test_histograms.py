"""The mergeable engine against the exact one, and bootstraps against rows redrawn one by one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from dashboard.diagnostics.histograms import (
    ScoreHistogram,
    _bins_of,
    _lower_edges,
    average_precision_interval,
    bootstrap_areas,
    coarse_rows,
)
from dashboard.diagnostics.thresholds import ThresholdTable, delong_interval
from dashboard.errors import ParameterError
from tests.score_cases import FEW, Case, cases, table_of


def rows(n: int, seed: int = 0, share: float = 0.1) -> tuple[npt.NDArray[np.bool_], Any]:
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < share
    return truth, 1 / (1 + np.exp(-(rng.normal(size=n) + 1.5 * truth - 3)))


@FEW
@given(st.lists(st.floats(0, 1), min_size=1), st.lists(st.floats(allow_nan=False), min_size=1))
def test_bins_are_ordered_and_closed_below(inside: list[float], anywhere: list[float]) -> None:
    ends = [0.0, 1.0, 0.5, 5e-324, 1 - 2**-53, 2**-60, 0.25, np.nextafter(0.5, 0)]
    for scale, values in (("probability", inside + ends), ("any", anywhere + [-e for e in ends])):
        scores = np.sort(np.array(values))
        bins = _bins_of(scores.copy(), scale)  # type: ignore[arg-type]
        edges = _lower_edges(bins, scale)  # type: ignore[arg-type]
        assert (np.diff(bins) >= 0).all()
        assert (edges <= scores).all()
        # the edge itself is in the bin that it opens, and the float below is not
        same = _bins_of(edges.copy(), scale)  # type: ignore[arg-type]
        np.testing.assert_array_equal(same, bins)
        below = np.nextafter(edges, -np.inf)
        real = (below >= 0) if scale == "probability" else np.isfinite(edges)
        assert (_bins_of(below[real], scale) < bins[real]).all()  # type: ignore[arg-type]


@FEW
@given(cases(), st.integers(0, 40))
def test_merging_blocks_is_counting_at_once(case: Case, cut: int) -> None:
    truth, scores, weights = case
    whole = ScoreHistogram.from_scores(truth, scores, weights, scale="any")
    parts = [
        ScoreHistogram.from_scores(
            truth[part], scores[part], None if weights is None else weights[part], scale="any"
        )
        for part in (slice(cut), slice(cut, None))
    ]
    for merged in (parts[0] + parts[1], parts[1] + parts[0]):
        np.testing.assert_allclose(merged.weights, whole.weights, rtol=1e-14, atol=0)
        np.testing.assert_allclose(merged.squares, whole.squares, rtol=1e-14, atol=0)
        assert merged.n_rows == whole.n_rows
        if weights is None:
            assert (merged.weights == whole.weights).all()


def test_merging_is_associative_to_the_last_bit() -> None:
    truth, scores = rows(3_000)
    a, b, c = (
        ScoreHistogram.from_scores(truth[k::3], scores[k::3], scale="probability") for k in range(3)
    )
    np.testing.assert_array_equal(((a + b) + c).weights, (a + (b + c)).weights)


@pytest.mark.parametrize("scale", ["probability", "any"])
@pytest.mark.parametrize("weighted", [False, True])
def test_counts_at_an_edge_are_the_exact_counts(scale: Any, weighted: bool) -> None:
    truth, scores = rows(20_000)
    weights = np.random.default_rng(1).integers(0, 4, 20_000) if weighted else None
    exact = ThresholdTable.from_scores(truth, scores, weights)
    binned = ScoreHistogram.from_scores(truth, scores, weights, scale=scale).table()
    for cut in [*binned.thresholds[::97], 0.0, 0.5, 1.0]:
        np.testing.assert_array_equal(binned.at(cut).matrix(), exact.at(cut).matrix())
    assert binned.n_rows == exact.n_rows
    np.testing.assert_allclose(binned.effective_sizes, exact.effective_sizes, rtol=1e-12)


@FEW
@given(cases(both=True))
def test_the_bound_holds_the_true_error(case: Case) -> None:
    truth, scores, weights = case
    # squeezed together, so that many scores share a bin
    scores = 1 + scores.astype(np.float64) * 1e-5
    exact = ThresholdTable.from_scores(truth, scores, weights)
    binned = ScoreHistogram.from_scores(truth, scores, weights, scale="any")
    error = abs(binned.table().roc_auc - exact.roc_auc)
    assert error <= binned.auc_error_bound + 1e-12


def test_the_bound_is_reached_where_a_bin_hides_a_perfect_order() -> None:
    truth = np.array([True, True, False])
    binned = ScoreHistogram.from_scores(truth, np.array([1.0 + 2e-9, 1 + 1e-9, 1]), scale="any")
    # one bin: area .5 instead of 1; 2·1 pairs together of 2·1, halved: .5
    assert binned.table().roc_auc == 0.5
    assert binned.auc_error_bound == 0.5


@pytest.mark.parametrize("share", [0.3, 0.0005])
def test_rare_events_keep_their_area(share: float) -> None:
    truth, scores = rows(200_000, share=share)
    exact = table_of(truth, scores)
    for scale in ("probability", "any"):
        binned = ScoreHistogram.from_scores(truth, scores, scale=scale)  # type: ignore[arg-type]
        error = abs(binned.table().roc_auc - exact.roc_auc)
        assert error <= min(binned.auc_error_bound, 5e-5)
        assert binned.auc_error_bound < 2e-3
        assert binned.delong_interval()[1] == pytest.approx(delong_interval(exact)[1], rel=1e-4)
        assert binned.delong_variance() == binned.table().delong_variance()


def test_float32_and_infinite_scores_are_counted() -> None:
    truth = np.array([True, False, True, False])
    scores = np.array([np.inf, -np.inf, 0.25, 0.25], dtype=np.float32)
    binned = ScoreHistogram.from_scores(truth, scores)
    assert binned.scale == "any"
    np.testing.assert_array_equal(binned.table().tps, [1, 2, 2])
    assert binned.table().roc_auc == pytest.approx(roc_auc_score(truth, [9, -9, 0.25, 0.25]))


def test_scales_are_checked() -> None:
    truth = np.array([True, False])
    with pytest.raises(ParameterError, match="'any' otherwise"):
        ScoreHistogram.from_scores(truth, np.array([0.5, 2.0]), scale="probability")
    with pytest.raises(ParameterError, match="'any' otherwise"):
        ScoreHistogram.from_scores(truth, np.array([0.5, 0.2]), scale="linear")  # type: ignore[arg-type]
    probabilities = ScoreHistogram.from_scores(truth, np.array([0.5, 0.2]))
    with pytest.raises(ParameterError, match="cannot be merged"):
        probabilities + ScoreHistogram.from_scores(truth, np.array([5.0, 0.2]))


def test_nothing_and_one_class_have_no_areas() -> None:
    empty = ScoreHistogram.from_scores(np.zeros(0, bool), np.zeros(0))
    one = ScoreHistogram.from_scores(np.ones(3, bool), np.array([0.1, 0.2, 0.3]))
    for histogram in (empty, one):
        assert math.isnan(histogram.auc_error_bound)
        assert math.isnan(histogram.table().roc_auc)
        assert np.isnan(histogram.bootstrap(10).roc_auc).all()
    low, high = average_precision_interval(table_of([True], np.array([0.5])))
    assert math.isnan(low)
    assert math.isnan(high)


# --------------------------------------------------------------------------------- bootstrap


def naive(truth: Any, scores: Any, times: int, seed: int) -> npt.NDArray[np.float64]:
    """Areas of rows redrawn within each class, one replicate at a time."""
    rng = np.random.default_rng(seed)
    classes = np.flatnonzero(truth), np.flatnonzero(~truth)
    found = []
    for _ in range(times):
        drawn = np.concatenate([rng.choice(rows, len(rows)) for rows in classes])
        found.append(
            (
                roc_auc_score(truth[drawn], scores[drawn]),
                average_precision_score(truth[drawn], scores[drawn]),
            )
        )
    return np.array(found).T


@pytest.mark.parametrize("max_bins", [2_048, 300])
def test_bootstrap_spreads_like_rows_redrawn(max_bins: int) -> None:
    truth, scores = rows(1_500, share=0.15)
    table = table_of(truth, scores)
    areas = bootstrap_areas(table, 2_000, random_state=0, max_bins=max_bins)
    slow = naive(truth, scores, 400, seed=1)
    for ours, theirs in zip(areas[:2], slow, strict=True):
        # standard error of a standard deviation from 400 replicates is 3.5 %
        assert ours.std() == pytest.approx(theirs.std(), rel=0.12)
        assert ours.mean() == pytest.approx(theirs.mean(), abs=0.25 * theirs.std())
    assert areas.binned_roc_auc == pytest.approx(table.roc_auc, abs=5e-4)
    assert areas.binned_average_precision == pytest.approx(table.average_precision, abs=5e-3)
    # DeLong answers the same question without draws
    assert areas.roc_auc.std() == pytest.approx(delong_interval(table)[1], rel=0.08)


def test_bootstrap_is_seeded_and_whole_bins_are_exact() -> None:
    truth, scores = rows(900)
    table = table_of(truth, scores)
    first, again = bootstrap_areas(table, 50, 3), bootstrap_areas(table, 50, 3)
    np.testing.assert_array_equal(first.average_precision, again.average_precision)
    assert (bootstrap_areas(table, 50, 4).roc_auc != first.roc_auc).any()
    # fewer distinct scores than bins: nothing is lost
    assert first.binned_average_precision == pytest.approx(table.average_precision, abs=1e-12)
    assert first.binned_roc_auc == pytest.approx(table.roc_auc, abs=1e-12)
    with pytest.raises(ParameterError, match="n_bootstrap"):
        bootstrap_areas(table, 0)


def test_binned_scores_bootstrap_through_the_histogram() -> None:
    truth, scores = rows(5_000)
    histogram = ScoreHistogram.from_scores(truth, scores)
    areas = histogram.bootstrap(200, random_state=1)
    assert areas.roc_auc.mean() == pytest.approx(roc_auc_score(truth, scores), abs=0.01)


def test_average_precision_interval_holds_the_value_and_is_kept() -> None:
    truth, scores = rows(30_000, share=0.02)
    table = table_of(truth, scores)
    low, high = average_precision_interval(table)
    assert 0 <= low < table.average_precision < high <= 1
    assert average_precision_interval(table) is average_precision_interval(table)
    narrower = average_precision_interval(table, level=0.5)
    assert low < narrower[0] < narrower[1] < high
    with pytest.raises(ParameterError, match="level"):
        average_precision_interval(table, level=1.5)


def test_weights_widen_the_interval_by_their_effective_number() -> None:
    # weights 1 and 3 in equal parts: Kish (Σw)²/Σw² = 16/20 = .8 of the rows count
    truth, scores = rows(4_000)
    weights = np.tile([1.0, 3.0], 2_000)
    plain = bootstrap_areas(table_of(truth, scores), 1_000, 0).roc_auc.std()
    weighted = bootstrap_areas(table_of(truth, scores, weights), 1_000, 0).roc_auc.std()
    assert weighted / plain == pytest.approx(math.sqrt(1 / 0.8), rel=0.12)


def test_coarse_rows_keep_the_top_apart() -> None:
    truth, scores = rows(200_000, share=0.01)
    table = table_of(truth, scores)
    chosen = coarse_rows(table)
    assert len(chosen) <= 2_049
    assert (chosen[0], chosen[-1]) == (0, len(table.steps[0]) - 1)
    assert chosen[:20].tolist() == list(range(20))
    coarse = bootstrap_areas(table, 1)
    assert coarse.binned_average_precision == pytest.approx(table.average_precision, abs=1e-3)
    assert coarse.binned_roc_auc == pytest.approx(table.roc_auc, abs=1e-4)
