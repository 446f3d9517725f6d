"""One control value, three rules: checked by counting the rows."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.contracts import Predictions, RawPredictions, ScoreKind, Target
from dashboard.diagnostics.operating import RULES, compute_operating
from dashboard.diagnostics.thresholds import compute_thresholds
from dashboard.errors import ParameterError

TRUTH = np.array([0, 0, 1, 0, 1, 0, 0, 1, 1, 0])
SCORE = np.array([0.05, 0.1, 0.15, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8, 0.9])


def _predictions(score: np.ndarray, kind: ScoreKind) -> Predictions:
    target = Target.from_values(TRUTH)
    return Predictions.normalise(
        RawPredictions(scores=score, classes=[0, 1], score_kind=kind), target, name="m"
    )


def _operate(rule: str, value: float, score: np.ndarray = SCORE) -> tuple[float, float]:
    """True and false positives at the operating point."""
    kind = ScoreKind.PROBABILITY if score.max() <= 1 else ScoreKind.DECISION
    predictions = _predictions(score, kind)
    at = compute_operating(predictions, compute_thresholds(predictions), rule=rule, value=value)
    return at.tp, at.fp


def test_same_score_is_the_score_itself() -> None:
    # score >= .5: rows 6 (0), 7 (1), 8 (1), 9 (0)
    assert _operate("score", 0.5) == (2, 2)


def test_same_score_of_decision_values_starts_at_zero() -> None:
    # (score - .4) * 10 >= 0: rows 5 (0), 6 (0), 7 (1), 8 (1), 9 (0)
    assert _operate("score", 0.5, (SCORE - 0.4) * 10) == (2, 3)


def test_same_share_flags_at_most_that_many() -> None:
    # the three highest: .9 (0), .8 (1), .6 (1)
    assert _operate("flagged", 0.3) == (2, 1)
    assert _operate("flagged", 0.39) == (2, 1)
    assert _operate("flagged", 0.0) == (0, 0)
    assert _operate("flagged", 1.0) == (4, 6)


def test_same_recall_catches_at_least_that_many() -> None:
    # three of four positives: down to .35, with the negatives .9, .5, .4 above it
    assert _operate("recall", 0.75) == (3, 3)
    assert _operate("recall", 0.7) == (3, 3)
    assert _operate("recall", 1.0) == (4, 4)


@pytest.mark.parametrize("rule", RULES)
def test_rules_do_not_depend_on_a_monotone_scale_beyond_the_score_rule(rule: str) -> None:
    if rule != "score":
        assert _operate(rule, 0.5) == _operate(rule, 0.5, SCORE * 8 - 3)


def test_bounds() -> None:
    with pytest.raises(ParameterError, match="score, flagged, recall"):
        _operate("luck", 0.5)
    with pytest.raises(ParameterError, match="0 <= value <= 1"):
        _operate("score", 1.5)
