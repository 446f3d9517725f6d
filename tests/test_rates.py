"""Rates of a 2×2 matrix against scikit-learn and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from dashboard.diagnostics.rates import Counts, check_threshold, criterion, flagged
from dashboard.diagnostics.thresholds import ThresholdTable
from dashboard.errors import ParameterError
from tests.score_cases import FEW, Case, cases, quietly


def test_undefined_rates_are_nan_and_f1_is_zero_without_hits() -> None:
    nothing = Counts(tp=0, fp=0, fn=2, tn=3, threshold=1.0)
    assert math.isnan(nothing.precision)
    assert (nothing.recall, nothing.f1, nothing.mcc, nothing.f_beta(2)) == (0, 0, 0, 0)
    assert nothing.n == 5


@FEW
@given(cases(both=True), st.floats(-2, 2))
def test_rates_equal_scikit_learn(case: Case, threshold: float) -> None:
    truth, scores, weights = case
    at = ThresholdTable.from_scores(truth, scores, weights).at(threshold)
    hit = flagged(scores, threshold)
    options = {"sample_weight": weights}
    expected = {
        "recall": quietly(sk.recall_score, truth, hit, zero_division=0, **options),
        "accuracy": sk.accuracy_score(truth, hit, **options),
        "f1": quietly(sk.f1_score, truth, hit, zero_division=0, **options),
        "f2": quietly(sk.fbeta_score, truth, hit, beta=2, zero_division=0, **options),
        "f0.5": quietly(sk.fbeta_score, truth, hit, beta=0.5, zero_division=0, **options),
        "balanced_accuracy": quietly(sk.balanced_accuracy_score, truth, hit, **options),
        "mcc": sk.matthews_corrcoef(truth, hit, **options),
    }
    if hit.any() and at.tp + at.fp > 0:
        expected["precision"] = sk.precision_score(truth, hit, **options)
    for name, value in expected.items():
        assert at.rate(name) == pytest.approx(value, abs=1e-9 if name == "mcc" else 1e-12), name


def test_unknown_names_and_nan_are_refused() -> None:
    with pytest.raises(ParameterError, match="Known: precision"):
        criterion("profit")
    with pytest.raises(ParameterError, match="NaN"):
        check_threshold(math.nan)
    with pytest.raises(ParameterError, match="NaN"):
        flagged(np.array([0.1]), math.nan)


def test_a_threshold_beyond_float32_flags_nothing() -> None:
    assert check_threshold(1e300, single=True) == math.inf
    assert not flagged(np.array([3e38], dtype=np.float32), 1e300).any()
