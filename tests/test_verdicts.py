"""Verdicts on curves by training size: clear cases, unclear ones, and the books' stories."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dashboard.contracts import Finding
from dashboard.diagnostics.folds import FoldScores
from dashboard.diagnostics.mismatch import KEPT_APART, judge_apart
from dashboard.diagnostics.size_curves import SizeCurve
from dashboard.diagnostics.verdicts import (
    VERDICTS,
    judge,
    judge_folds,
    judge_size_curve,
    judge_size_curves,
)
from tests import verdict_simulation


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


@pytest.mark.parametrize(
    ("train", "validation", "spread", "code"),
    [
        (0.5, 1.0, 0.1, "overfitting"),
        (0.5, 1.0, 0.6, "undecided"),
        (0.9, 1.0, 0.05, "undecided"),  # a gap above its spread, but 1.11 times the error
        (1.0, 1.02, 0.1, "about_right"),
        (0.0, 1.0, 0.1, "memorised"),
    ],
)
def test_a_table_of_means_is_judged_by_its_deviations(
    train: float, validation: float, spread: float, code: str
) -> None:
    means = curve(np.array([[train]]), np.array([[validation]]), metric="rmse", sizes=[100])
    (found,) = judge_size_curve(replace(means, deviations=np.array([[0.01, spread]])))
    assert found.code == code and found.evidence["fold_sd"] == spread
    assert codes(judge_size_curve(means)) == ["undecided"]


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
    (found,) = judge_size_curve(chance, baseline=0.5)
    assert found.code == "no_better_than_baseline"
    by_heart = replace(chance, train=np.ones(chance.train.shape))
    (known,) = judge_size_curve(by_heart, baseline=0.5)
    assert "Use a richer model." in found.remedies and "Use a richer model." not in known.remedies
    assert "On the rows it learned from it is 1" in known.sentence
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


@pytest.mark.parametrize("n_repeats", [1, 10])
def test_noise_is_no_better_than_the_baseline_however_often_it_is_divided(n_repeats: int) -> None:
    """Repetitions judge the same rows again: they make no evidence about others."""
    from scipy.stats import rankdata
    from sklearn.model_selection import RepeatedKFold

    def area(rows: Any) -> float:
        ranks, positive = rankdata(x[rows] @ weights), y[rows] > 0
        n = int(positive.sum())
        return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(rows) - n)))

    codes_found = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(100, 5)), np.sign(rng.normal(size=100))
        train, held_out = [], []
        for given, rest in RepeatedKFold(n_splits=5, n_repeats=n_repeats, random_state=0).split(x):
            weights = np.linalg.lstsq(x[given], y[given], rcond=None)[0]
            train.append(area(given))
            held_out.append(area(rest))
        scores = np.array(train), np.array(held_out)
        one = curve(*scores, metric="roc_auc", sizes=[80])
        codes_found += codes(judge_size_curve(one, baseline=0.5))[:1]
    none, open_ = (codes_found.count(one) for one in ("no_better_than_baseline", "undecided"))
    assert none + open_ >= 27 and none > 4 * open_  # 95 % are promised


# -- folds ----------------------------------------------------------------------------------------


def folds(train: Any, validation: Any, metric: str = "rmse", **more: Any) -> FoldScores:
    """Five folds of 125 rows, `validation` their scores."""
    return FoldScores(
        model="m",
        metric=metric,
        title="RMSE" if metric == "rmse" else metric,
        larger_is_better=metric in ("accuracy", "roc_auc", "r2"),
        train=train,
        validation=validation,
        fit_seconds=np.zeros(5),
        n_train=np.full(5, 100),
        n_validation=np.full(5, 25),
        repeats=np.zeros(5, dtype=np.int64),
        failures=("",) * 5,
        **more,
    )


def test_folds_are_judged_as_the_largest_size_is() -> None:
    train, validation = 0.5 + SPREAD, 1 + SPREAD
    (by_folds,) = judge_folds([folds(train, validation)])
    (by_size,) = judge_size_curve(curve(train, validation))
    assert (by_folds.code, by_folds.evidence) == (by_size.code, by_size.evidence)
    assert by_folds.chart == "folds" and by_folds.at is None


def test_folds_know_what_no_feature_would_score() -> None:
    chance = folds(0.51 + SPREAD, 0.5 + SPREAD, "roc_auc", baseline=0.5)
    assert codes(judge_folds([chance])) == ["no_better_than_baseline"]
    assert codes(judge_folds([chance], baselines={"roc_auc": 0.3})) != ["no_better_than_baseline"]


# -- rows kept apart ------------------------------------------------------------------------------


def test_worse_rows_apart_are_a_mismatch_with_an_interval_made_by_hand() -> None:
    """t of 4 degrees of freedom is 2.776445 at .975; 25 of 125 rows a fold, 50 kept apart."""
    scores = folds(0.98 + SPREAD, 1 + SPREAD, apart=1.5, n_apart=50)
    fits, apart = judge_folds([scores])
    assert fits.code == "about_right"
    assert (apart.code, apart.severity, apart.chart) == ("data_mismatch", "warning", "folds")
    s = np.sqrt((0.02**2 + 0.01**2 + 0.01**2 + 0.02**2) / 4)
    reach = 2.776445 * s * np.sqrt(1 / 5 + 25 / 100 + 25 / 50)
    told = apart.evidence
    assert told["worse"] == pytest.approx(0.5)
    assert told["worse_low"] == pytest.approx(0.5 - reach, rel=1e-6)
    assert told["worse_high"] == pytest.approx(0.5 + reach, rel=1e-6)
    assert (told["fold_sd"], told["rows"], told["folds"]) == (pytest.approx(s), 50, 5)
    (joined,) = judge([fits, apart])
    assert joined.code == "data_mismatch" and joined.evidence["disagrees"] == "about_right"
    assert "Yet across folds it fits about right: folds judge by rows like" in joined.sentence
    assert "Compare both sets of rows" in joined.remedies[0]


@pytest.mark.parametrize(
    ("metric", "base", "apart", "spread", "code"),
    [
        ("accuracy", 0.9, 0.8, 0.2, "data_mismatch"),  # twice the error
        ("accuracy", 0.9, 0.89, 1.0, "undecided"),  # a tenth more, and the folds differ as much
        ("accuracy", 0.9, 0.9, 0.05, "as_expected"),
        ("accuracy", 0.9, 0.97, 0.2, "as_expected"),  # better rows are no mismatch
        ("rmse", 1.0, 1.1, 0.1, "as_expected"),  # surely worse, but by less than 15 %
        ("rmse", 1.0, 1.3, 12.0, "undecided"),  # within what chance allows
        ("rmse", 1.0, 0.9, 12.0, "undecided"),
        ("rmse", 1.0, 1.02, 0.2, "as_expected"),
        ("bias", 0.1, 5.0, 0.1, None),  # best at zero: worse is no direction
        ("rmse", 1.0, np.nan, 0.1, None),
    ],
)
def test_rows_apart_are_judged_by_the_spread_of_the_folds(
    metric: str, base: float, apart: float, spread: float, code: str | None
) -> None:
    scores = folds(base + SPREAD, base + spread * SPREAD, metric, apart=apart, n_apart=100)
    found = judge_apart(scores)
    assert codes(found) == ([] if code is None else [code])
    assert all("worse by −" not in one.sentence for one in found)


def test_worse_by_less_than_one_fold_spreads_is_undecided() -> None:
    """Many folds make the interval narrow; single folds still differ by more."""
    validation = 1 + 0.3 * np.tile([-1.0, 1.0], 50)
    scores = replace(
        folds(np.ones(5), np.ones(5), apart=1.25, n_apart=4_000),
        **dict.fromkeys(("train", "validation", "fit_seconds"), validation),
        n_train=np.full(100, 950),
        n_validation=np.full(100, 50),
        repeats=np.repeat(np.arange(5), 20),
        failures=("",) * 100,
    )
    (found,) = judge_apart(scores)
    assert found.code == "undecided" and found.evidence["worse_low"] > 0  # type: ignore[operator]


def test_one_fold_has_no_spread_to_judge_rows_apart_by() -> None:
    lone = np.array([1.0, np.nan, np.nan, np.nan, np.nan])
    (found,) = judge_apart(folds(lone, lone, apart=9.0, n_apart=100))
    assert found.code == "undecided" and "one split has no spread" in found.sentence


def test_rows_apart_in_the_joined_verdict() -> None:
    fine = said("about_right", "good", "folds")
    doubt = said("undecided", "info", "folds", judged_on=KEPT_APART)
    (one,) = judge([fine, doubt])
    assert one.sentence == "about_right of m. Undecided on the rows kept apart."
    (one,) = judge([said("undecided", "info", "size_curve"), doubt])
    assert one.sentence == "undecided of m." and "agrees" not in one.evidence
    assert one.evidence["undecided"] == "undecided"
    told = {"judged_on": KEPT_APART, "worse": 9.0, "worse_low": 8.0}
    shifted = said("data_mismatch", "warning", "folds", **told)
    over = said("overfitting", "warning", "folds", gap=1.0, gap_low=0.5)
    (one,) = judge([over, shifted])
    assert one.code == "data_mismatch" and one.evidence["agrees"] == "overfitting"
    assert one.sentence == "data_mismatch of m. Also across folds it overfits."
    (one,) = judge([said("diverging", "problem", "epochs"), shifted])
    assert one.sentence.endswith("Also on the rows kept apart it does worse than the folds say.")


# -- one verdict for each model -------------------------------------------------------------------


def said(code: str, severity: Any, chart: str, subject: str = "m", **told: Any) -> Finding:
    return Finding(code, severity, subject, f"{code} of {subject}.", told, ("do it",), chart)


def test_the_worst_that_is_supported_leads() -> None:
    weak = said("overfitting", "warning", "epochs", change=1.1, spread=1.0)
    strong = said("memorised", "warning", "size_curve", gap=1.0, gap_low=0.9, gap_high=1.1)
    note = said("validation_better_at_first", "info", "epochs")
    (one,) = judge([note, weak, strong, said("undecided", "info", "folds")])
    assert (one.code, one.subject, one.chart) == ("memorised", "m", "size_curve")
    assert one.sentence == ("memorised of m. Also by epoch it overfits. Undecided across folds.")
    assert one.evidence["agrees"] == "overfitting" and one.evidence["undecided"] == "undecided"
    assert judge([note]) == []


def test_verdicts_that_contradict_each_other_say_so() -> None:
    over = said("overfitting", "warning", "epochs", change=9.0, spread=1.0)
    under = said("underfitting", "warning", "size_curve", behind=1.0, behind_low=0.5)
    (one,) = judge([under, over])
    assert one.code == "overfitting" and one.evidence["disagrees"] == "underfitting"
    assert one.sentence.endswith(
        "Yet by training size it underfits: one looks at a single fit, the other at fits on parts "
        "of the rows."
    )
    (fine,) = judge([over, said("about_right", "good", "size_curve")])
    assert "it is this training that went wrong" in fine.sentence
    settled = said("converged", "good", "epochs")
    layer = said("vanishing_gradients", "problem", "layers", "m: first")
    (one,) = judge([settled, layer])
    assert one.evidence["layer"] == "first" and one.subject == "m"
    assert "settle while a layer learns nothing" in str(one.evidence["otherwise"])
    assert judge([settled])[0].sentence == settled.sentence


def test_whether_more_rows_help_is_part_of_the_verdict() -> None:
    rows = said("more_data_helps", "info", "size_curve")
    (one,) = judge([said("overfitting", "warning", "size_curve"), rows])
    assert one.sentence.endswith("It still improves with more rows.")
    assert one.evidence["more_rows"] == "more_data_helps"
    assert judge([rows]) == []


def test_a_colon_in_a_name_is_part_of_it() -> None:
    found = judge([said("converged", "good", "epochs", f"seed:{k}") for k in (1, 2)])
    assert [one.subject for one in found] == ["seed:1", "seed:2"]


def test_models_are_in_order_and_what_is_undecided_comes_last() -> None:
    found = judge(
        [
            said("undecided", "info", "epochs", "open"),
            said("converged", "good", "epochs", "fine"),
            said("overfitting", "warning", "epochs", "bad"),
            said("diverging", "problem", "epochs", "worst"),
        ]
    )
    assert [one.subject for one in found] == ["worst", "bad", "fine", "open"]


# -- 200 curves of known truth --------------------------------------------------------------------


@pytest.fixture(scope="module")
def outcomes() -> list[verdict_simulation.Outcome]:
    return verdict_simulation.simulate()


def test_verdicts_are_right_on_simulated_curves(
    outcomes: list[verdict_simulation.Outcome],
) -> None:
    """The issue's shares, of the documented curves and of those of other seeds."""
    assert len(outcomes) == 200
    assert sum(one.truth == verdict_simulation.UNCLEAR for one in outcomes) >= 40
    others = [one for seed in (1, 2, 3) for one in verdict_simulation.simulate(120, seed)]
    for curves in (outcomes, others):
        for kind in ("size", "apart", "epoch"):
            assert verdict_simulation.right(curves, clear=True, kind=kind) >= 0.9
            assert verdict_simulation.right(curves, clear=False, kind=kind) >= 0.8


def test_the_table_of_verdicts_is_what_the_code_says(
    outcomes: list[verdict_simulation.Outcome],
) -> None:
    text = verdict_simulation.DOCS.read_text(encoding="utf-8")
    assert verdict_simulation.BEGIN in text and verdict_simulation.END in text
    assert verdict_simulation.written(text, outcomes) == text, "run make docs"


def test_a_large_gain_that_folds_cannot_tell_from_chance_is_undecided() -> None:
    """A line through a noisy parabola in five folds: RMSE 1.77 against 2.27, but they differ."""
    held_out = [[1.0, 1.3, 1.6, 2.1, 2.85]]
    one = curve([[1.6, 1.65, 1.7, 1.7, 1.75]], held_out, metric="rmse", sizes=[80])
    (found, *_) = judge_size_curve(one, baseline=2.27)
    assert found.code == "undecided"
    assert "better than a model that looks at no feature cannot be told" in found.sentence
    # a small gain, or none, stays one that counts as none
    (found, *_) = judge_size_curve(one, baseline=1.9)
    assert found.code == "no_better_than_baseline"
    (found, *_) = judge_size_curve(one, baseline=9.0)
    assert found.code not in ("no_better_than_baseline",) and "no feature" not in found.sentence
