"""The interval of an area under ROC at its ends."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dashboard.diagnostics.delong import auc_interval
from dashboard.diagnostics.thresholds import delong_interval
from dashboard.errors import ParameterError
from tests.score_cases import table_of


def test_a_perfect_area_still_has_an_honest_interval() -> None:
    # 5 positives above 20 negatives: 5 disjoint pairs all in order, so the area is at least
    # .025^(1/5) = .478
    truth = np.repeat([True, False], [5, 20])
    auc, se, low, high = delong_interval(table_of(truth, truth.astype(float)))
    assert (auc, se, high) == (1.0, 0.0, 1.0)
    assert low == pytest.approx(0.025**0.2)
    auc, _, low, high = delong_interval(table_of(~truth, truth.astype(float)))
    assert (auc, low) == (0.0, 0.0)
    assert high == pytest.approx(1 - 0.025**0.2)
    assert all(math.isnan(edge) for edge in auc_interval(0.7, math.nan, (1, 5)))


@pytest.mark.parametrize("auc", [1e-9, 0.001, 0.5, 0.999, 1 - 1e-9])
@pytest.mark.parametrize("se", [0.0, 1e-6, 0.3])
def test_the_interval_never_leaves_the_unit_interval(auc: float, se: float) -> None:
    low, high = auc_interval(auc, se, (10, 10))
    assert 0 <= low <= auc + 1e-15
    assert auc - 1e-15 <= high <= 1


def test_the_interval_by_hand() -> None:
    # logit(.8) = ln 4 = 1.386294; .05 / (.8 · .2) = .3125, times 1.959964 = .612489;
    # 1 / (1 + exp(-.773806)) = .684344, 1 / (1 + exp(-1.998783)) = .880669
    low, high = auc_interval(0.8, 0.05, (50, 50))
    assert low == pytest.approx(0.684344, abs=2e-6)
    assert high == pytest.approx(0.880669, abs=2e-6)
    with pytest.raises(ParameterError, match="0 < level < 1"):
        auc_interval(0.8, 0.05, (50, 50), level=0)
