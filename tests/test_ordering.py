"""The one sort: bits, radix passes, and what scikit-learn makes of the same rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from dashboard.diagnostics.ordering import _Code, _sort_keys
from tests.score_cases import CLOSE, table_of


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", ["probability", "decision", "rounded", "extreme", "crowded"])
@pytest.mark.parametrize("n", [10_001, 150_000])
def test_the_radix_path_equals_scikit_learn(n: int, kind: str, dtype: Any) -> None:
    rng = np.random.default_rng(7)
    truth = rng.random(n) < 0.1
    scores = rng.normal(size=n) + truth
    if kind in ("probability", "rounded"):
        scores = 1 / (1 + np.exp(-scores))
    if kind == "rounded":
        scores = scores.round(2)
    if kind == "extreme":
        scores[:4] = [0.0, -0.0, 1e-30, -1e30]
    if kind == "crowded":
        scores = 0.5 + rng.integers(0, 1_000, n) * 1e-12
        scores[0] = 1e-300
    scores = scores.astype(dtype)
    table = table_of(truth, scores)
    expected = sk.roc_curve(truth, scores, drop_intermediate=False)
    for ours, theirs in zip(table.roc(), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, **CLOSE)
    assert table.roc_auc == pytest.approx(sk.roc_auc_score(truth, scores), abs=1e-12)


@pytest.mark.parametrize("n", [10_000, 10_255, 100_000, 2_000_001])
def test_the_radix_sort_sorts(n: int) -> None:
    rng = np.random.default_rng(3)
    scores, truth = rng.random(n), rng.random(n) < 0.5
    code = _Code.of(scores)
    assert code is not None
    keys = code.pack(scores, truth)
    ordered = _sort_keys(keys.copy(), code.span)
    np.testing.assert_array_equal(ordered >> np.uint64(1), np.sort(keys) >> np.uint64(1))
    assert (ordered & np.uint64(1)).sum() == truth.sum()


@pytest.mark.parametrize("weights", [None, [1.0, 1.0, 1.0]])
def test_minus_zero_is_zero(weights: list[float] | None) -> None:
    table = table_of(np.array([True, False, True]), np.array([-0.0, 0.0, -1.0]), weights)
    assert not np.signbit(table.thresholds[0])
    np.testing.assert_array_equal(table.thresholds, [0.0, -1.0])
    assert table.at(0.0).tp == table.at(-0.0).tp == 1


def test_rows_of_weight_zero_add_no_threshold() -> None:
    # as scikit-learn: the curve does not turn at a score that weighs nothing
    table = table_of([True, False, True], np.array([0.9, 0.5, 0.1]), [1.0, 0.0, 2.0])
    np.testing.assert_array_equal(table.thresholds, [0.9, 0.1])
    assert table.n_rows == 3
