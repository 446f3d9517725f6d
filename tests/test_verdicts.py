"""Verdicts on curves by training size: clear cases, unclear ones, and the books' stories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dashboard.contracts import Finding
from dashboard.diagnostics.size_curves import SizeCurve
from dashboard.diagnostics.verdicts import VERDICTS, judge_size_curve, judge_size_curves


def curve(
    train: Any, validation: Any, *, metric: str = "rmse", name: str = "m", sizes: Any = None
) -> SizeCurve:
    """A curve of `(s, f)` scores."""
    train, validation = np.atleast_2d(train), np.atleast_2d(validation)
    at = np.asarray(sizes if sizes is not None else 100 * 2 ** np.arange(len(train)))
    return SizeCurve(
        model=name,
        metric=metric,
        title=metric,
        larger_is_better=metric in ("accuracy", "roc_auc", "r2"),
        sizes=at,
        train=train,
        validation=validation,
        fit_seconds=np.zeros(train.shape),
        n_given=1_000,
        independent=5,
        n_done=train.size,
        n_fits=train.size,
    )


def codes(found: list[Finding]) -> list[str]:
    return [one.code for one in found]


SPREAD = np.array([-0.02, 0.01, 0.0, -0.01, 0.02])


def test_a_wide_steady_gap_is_overfitting() -> None:
    (found,) = judge_size_curve(curve(0.5 + SPREAD, 1 + SPREAD))
    assert (found.code, found.severity) == ("overfitting", "warning")
    assert found.evidence["gap"] == pytest.approx(0.5)
    assert found.evidence["fold_sd"] == pytest.approx(SPREAD.std(ddof=1))
    assert found.remedies and found.at == 100


def test_a_perfect_training_score_is_memorising() -> None:
    assert codes(judge_size_curve(curve(np.ones(5), 0.7 + SPREAD, metric="accuracy"))) == [
        "memorised"
    ]


def test_equal_scores_are_about_right() -> None:
    assert codes(judge_size_curve(curve(0.99 + SPREAD, 1 + SPREAD))) == ["about_right"]


def test_a_gap_within_the_spread_is_undecided() -> None:
    wild = np.array([-0.4, 0.5, -0.3, 0.1, 0.1])
    assert codes(judge_size_curve(curve(0.8 + 0 * wild, 1 + wild))) == ["undecided"]


def test_one_split_is_undecided_however_wide_the_gap() -> None:
    assert codes(judge_size_curve(curve([0.5], [1.0]))) == ["undecided"]


def test_close_curves_far_behind_another_model_underfit() -> None:
    poor = curve(1.9 + SPREAD, 2 + SPREAD, name="poor")
    good = curve(0.95 + SPREAD, 1 + SPREAD, name="good")
    found = {one.subject: one for one in judge_size_curves([poor, good])}
    assert found["poor"].code == "underfitting"
    assert found["poor"].evidence["behind"] == pytest.approx(1)
    assert found["good"].code == "about_right"
    assert codes(judge_size_curve(poor, target=1.0)) == ["underfitting"]
    assert codes(judge_size_curve(poor)) == ["about_right"]


def test_no_better_than_the_baseline() -> None:
    chance = curve(0.51 + SPREAD, 0.5 + SPREAD, metric="roc_auc")
    assert codes(judge_size_curve(chance, baseline=0.5)) == ["no_better_than_baseline"]
    better = curve(0.91 + SPREAD / 2, 0.9 + SPREAD / 2, metric="roc_auc")
    assert codes(judge_size_curve(better, baseline=0.5)) != ["no_better_than_baseline"]


def test_more_rows_help_or_do_not() -> None:
    rising = curve(
        np.full((4, 5), 0.5),
        np.array([[2.0], [1.6], [1.3], [1.1]]) + SPREAD,
    )
    assert codes(judge_size_curve(rising))[1:] == ["more_data_helps"]
    flat = curve(np.full((4, 5), 0.98), np.array([[1.2], [1.0], [1.0], [1.0]]) + SPREAD)
    assert codes(judge_size_curve(flat))[1:] == ["more_data_flat"]


def test_nothing_is_said_before_the_largest_size_is_there() -> None:
    assert judge_size_curve(curve(np.full(5, np.nan), np.full(5, np.nan))) == []


def test_every_verdict_is_known() -> None:
    assert {"overfitting", "memorised", "about_right", "undecided"} <= set(VERDICTS)


# -- polynomials ----------------------------------------------------------------------------------


def _polynomials(n_repeats: int) -> list[SizeCurve]:
    """Degrees 1, 2 and 10 on a noisy parabola, by scikit-learn alone."""
    from sklearn.linear_model import LinearRegression
    from sklearn.model_selection import RepeatedKFold, cross_validate
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    rng = np.random.default_rng(42)
    x = 6 * rng.random((100, 1)) - 3
    y = 0.5 * x[:, 0] ** 2 + x[:, 0] + 2 + rng.normal(size=100)
    made = []
    for degree in (1, 2, 10):
        model = make_pipeline(
            PolynomialFeatures(degree, include_bias=False), StandardScaler(), LinearRegression()
        )
        cv = RepeatedKFold(n_splits=5, n_repeats=n_repeats, random_state=0)
        scores = cross_validate(
            model,
            x,
            y,
            cv=cv,
            scoring="neg_root_mean_squared_error",
            return_train_score=True,
        )
        made.append(
            curve(-scores["train_score"], -scores["test_score"], name=str(degree), sizes=[80])
        )
    return made


def test_polynomials_separate_under_repeated_cross_validation() -> None:
    found = {
        one.subject: one.code for one in judge_size_curves(_polynomials(20)) if one.code in VERDICTS
    }
    assert found["1"] == "underfitting"
    assert found["2"] == "about_right"
    assert found["10"] == "overfitting"


def test_polynomials_are_undecided_on_one_split() -> None:
    for one in _polynomials(1):
        single = curve(one.train[:, :1], one.validation[:, :1], sizes=[80])
        assert codes(judge_size_curve(single)) == ["undecided"]
