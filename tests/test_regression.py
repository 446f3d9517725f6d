from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dashboard.contracts import Task
from dashboard.diagnostics.regression import RegressionFit, compute_fit, residual_edges
from dashboard.errors import NotApplicable, ParameterError
from tests.drawn import drawn_binary, drawn_regression, given


def fit_of(y_true: object, y_pred: object, weight: object = None) -> RegressionFit:
    return compute_fit(given(Task.REGRESSION, y_true, y_pred=y_pred, sample_weight=weight))


def test_residual_is_predicted_minus_true() -> None:
    fit = fit_of([1.0, 2.0, 4.0], [2.0, 2.0, 1.0], [1, 2, 3])
    assert fit.residual.tolist() == [1.0, 0.0, -3.0]
    assert (fit.model, fit.output, fit.n) == ("m", "target", 3)
    frame = fit.frame()
    assert list(frame) == ["y_true", "y_pred", "residual", "weight"]
    assert frame["residual"].tolist() == [1.0, 0.0, -3.0]
    assert list(fit_of([1.0], [1.0]).frame()) == ["y_true", "y_pred", "residual"]


def test_values_are_not_copied() -> None:
    p = drawn_regression()
    fit = compute_fit(p)
    assert np.shares_memory(fit.y_true, p.target.y)
    assert np.shares_memory(fit.y_pred, p.y_pred)
    several = drawn_regression(k=3)
    assert np.shares_memory(compute_fit(several, 1).y_pred, several.y_pred)


def test_one_output_of_several() -> None:
    p = drawn_regression(k=3)
    fit = compute_fit(p, 2)
    assert fit.output == "output 2"
    assert (fit.residual == p.y_pred[:, 2] - p.target.y[:, 2]).all()
    with pytest.raises(NotApplicable, match="choose one"):
        compute_fit(p)
    with pytest.raises(ParameterError, match="from 0 to 2, got 3"):
        compute_fit(p, 3)
    with pytest.raises(ParameterError, match="one output"):
        compute_fit(drawn_regression(), 1)


def test_what_has_no_residuals_says_why() -> None:
    with pytest.raises(NotApplicable, match="numeric target"):
        compute_fit(drawn_binary())
    with pytest.raises(NotApplicable, match="no predicted values"):
        compute_fit(replace(drawn_regression(), y_pred=None))


def test_few_rows_are_all_drawn() -> None:
    assert fit_of(np.arange(5.0), np.arange(5.0)).sample(5).tolist() == [0, 1, 2, 3, 4]


def test_the_sample_is_spread_over_the_predictions_whatever_the_order_of_the_file() -> None:
    # the first 90 % of the file are predicted 0 … 1, the last 10 % 1 … 100: the first rows
    # of the file would never show the tail
    y_pred = np.concatenate([np.linspace(0, 1, 9_000), np.linspace(1, 100, 1_000)])
    fit = fit_of(y_pred, y_pred)
    chosen = fit.sample(500)
    assert len(chosen) == len(set(chosen.tolist())) == 500
    assert (np.diff(chosen) > 0).all()
    drawn = np.sort(y_pred[chosen])
    # one of each run of 20 rows: every quantile is met within 20 rows
    assert np.abs(np.searchsorted(y_pred, drawn) - np.arange(500) * 20).max() <= 20
    assert drawn[-1] > 97
    assert np.array_equal(chosen, fit.sample(500))
    assert not np.array_equal(chosen, fit.sample(500, random_state=1))


def test_a_sample_of_equal_predictions_is_not_the_head_of_the_file() -> None:
    y_true = np.arange(10_000.0)  # ordered by the target, as files often are
    chosen = fit_of(y_true, np.zeros(10_000)).sample(200)
    assert y_true[chosen].mean() == pytest.approx(5_000, abs=5 * 2887 / np.sqrt(200))


def test_density_counts_every_row_on_equal_axes() -> None:
    weight = np.array([1.0, 2.0, 4.0])
    fit = fit_of([0.0, 0.0, 10.0], [0.0, 5.0, 9.99], weight)
    grid = fit.density(2)
    # cells of 5 × 5: (0, 0) → [0][0]; (0, 5) → [0][1]; (10, 9.99) → [1][1]
    assert grid.counts.tolist() == [[1, 2], [0, 4]]
    assert grid.x_edges.tolist() == grid.y_edges.tolist() == [0, 5, 10]
    large = compute_fit(drawn_regression(n=5_000))
    expected, _, _ = np.histogram2d(
        large.y_true, large.y_pred, bins=(large.density(40).x_edges, large.density(40).y_edges)
    )
    assert np.abs(large.density(40).counts - expected).sum() <= 2  # rounding at edges
    assert large.density(40).counts.sum() == 5_000


def test_density_of_residuals_has_its_own_axes() -> None:
    grid = fit_of([0.0, 1.0], [1.0, 3.0]).density(2, residuals=True)  # residuals 1, 2
    assert grid.counts.tolist() == [[1, 0], [0, 1]]
    assert grid.x_edges.tolist() == [1, 2, 3]
    assert grid.y_edges.tolist() == [1, 1.5, 2]


def test_histograms_of_several_models_share_their_edges() -> None:
    one, two = fit_of([0.0, 0.0], [-1.0, 1.0]), fit_of([0.0, 0.0], [3.0, 0.1], [1, 5])
    edges = residual_edges([one, two], 4)
    assert edges.tolist() == [-1, 0, 1, 2, 3]
    assert one.histogram(edges=edges).counts.tolist() == [1, 0, 1, 0]
    assert two.histogram(edges=edges).counts.tolist() == [0, 5, 0, 1]
    assert one.histogram(2).counts.tolist() == [1, 1]
    narrow = two.histogram(edges=np.array([-1.0, 0.0, 1.0]))
    assert narrow.counts.sum() == 6  # beyond the edges counts in the last bin


def test_equal_and_no_values_still_have_edges() -> None:
    assert fit_of([1.0, 1.0], [1.0, 1.0]).histogram(2).counts.tolist() == [0, 2]
    empty = fit_of(np.zeros(0), np.zeros(0))
    assert empty.histogram(3).counts.tolist() == [0, 0, 0]
    assert empty.sample(3).tolist() == []


def test_bounds_are_checked() -> None:
    fit = fit_of([0.0], [0.0])
    for call in (
        lambda: fit.sample(0),
        lambda: fit.density(0),
        lambda: fit.histogram(0),
        lambda: residual_edges([fit], 0),
    ):
        with pytest.raises(ParameterError, match="at least 1, got 0"):
            call()
