"""Scores by class: every row is counted once."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.contracts import ScoreKind
from dashboard.diagnostics.distribution import compute_score_distribution
from dashboard.errors import ParameterError
from tests.score_cases import many, predictions


def test_score_distribution_counts_every_row_once() -> None:
    given = many(1_000, 200)
    shown = compute_score_distribution(given, threshold=0.4, n_bins=20)
    assert shown.labels == ("no", "yes")
    np.testing.assert_array_equal(shown.counts.sum(axis=1), [800, 200])
    np.testing.assert_allclose(shown.density.sum(axis=1), 1)
    np.testing.assert_array_equal(shown.edges, np.linspace(0, 1, 21))
    assert len(shown.frame()) == 40
    assert shown.frame()["count"].sum() == 1_000
    with pytest.raises(ParameterError, match="n_bins"):
        compute_score_distribution(given, n_bins=0)


def test_score_distribution_of_unbounded_and_weighted_scores() -> None:
    scores = np.array([-3.0, 5.0, np.inf, -np.inf])
    weights = np.array([1.0, 2.0, 4.0, 8.0])
    shown = compute_score_distribution(
        predictions(y_score=scores, score_kind=ScoreKind.DECISION, sample_weight=weights), n_bins=4
    )
    np.testing.assert_array_equal(shown.edges, [-3, -1, 1, 3, 5])
    np.testing.assert_array_equal(shown.counts, [[1, 0, 0, 0], [0, 0, 0, 2]])
    np.testing.assert_array_equal(shown.above, [0, 4])
    np.testing.assert_array_equal(shown.below, [8, 0])
    flat = compute_score_distribution(
        predictions(y_score=np.full(4, 7.0), score_kind=ScoreKind.LOGIT), n_bins=2
    )
    np.testing.assert_array_equal(flat.edges, [6.5, 7.0, 7.5])
