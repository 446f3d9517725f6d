"""The score that is wanted, and sizes as people write them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dashboard.diagnostics.projections import project
from dashboard.diagnostics.size_curves import SizeCurve
from dashboard.diagnostics.verdicts import judge_folds, judge_size_curve
from dashboard.diagnostics.wanted_scores import judge_wanted, when_reached
from dashboard.figures.size_curves import plot_size_curves
from dashboard.learning.size_texts import read_sizes


def _curve(held: list[float], train: float = 0.9, name: str = "net") -> SizeCurve:
    validation = np.array([held])
    return SizeCurve(
        model=name,
        metric="accuracy",
        title="Accuracy",
        larger_is_better=True,
        sizes=np.array([500]),
        train=np.full(validation.shape, train),
        validation=validation,
        fit_seconds=np.ones(validation.shape),
        independent=len(held),
    )


HELD = [0.80, 0.82, 0.81, 0.79, 0.83]


@pytest.mark.parametrize(
    ("wanted", "code"),
    [(0.70, "wanted_reached"), (0.80, "wanted_unclear"), (0.95, "wanted_missed")],
)
def test_what_is_wanted_is_judged_by_what_other_rows_would_change(wanted: float, code: str) -> None:
    (found,) = judge_wanted(_curve(HELD), wanted)
    assert found.code == code and found.chart == "size_curve" and found.at == 500
    # Nadeau and Bengio: the variance of a mean of J folds times 1/J + n_validation/n_train
    values = np.array(HELD)
    wide = stats.t.ppf(0.975, 4) * np.sqrt((1 / 5 + 1 / 4) * values.var(ddof=1))
    short = wanted - values.mean()
    told = found.evidence
    assert told["short"] == pytest.approx(short)
    ends = told["short_low"], told["short_high"]
    assert ends == pytest.approx((short - wide, short + wide))
    assert found.remedies or code == "wanted_reached"
    assert f"{wanted:g}".lstrip("0") in found.sentence


def test_what_is_seen_in_training_says_what_may_help() -> None:
    seen = judge_wanted(_curve(HELD, train=0.99), 0.95)[0]
    unseen = judge_wanted(_curve(HELD, train=0.82), 0.95)[0]
    assert "it does (.990)" in seen.sentence and "more rows" in seen.remedies[0]
    assert "Even on the rows" in unseen.sentence and "richer" in unseen.remedies[0]
    assert judge_wanted(_curve([0.8]), 0.7)[0].code == "wanted_unclear"
    assert judge_wanted(_curve([np.nan, np.nan]), 0.7) == []


def test_a_model_that_reaches_it_does_not_underfit_beside_a_better_one() -> None:
    poor, good = _curve(HELD, 0.815), _curve([x + 0.15 for x in HELD], 0.965, "better")
    plain = judge_size_curve(poor, others=[good])
    assert [one.code for one in plain] == ["underfitting"]
    told = [one.code for one in judge_size_curve(poor, others=[good], target=0.75)]
    assert "underfitting" not in told and "wanted_reached" in told
    (one,) = judge_size_curve(poor, target=0.95)
    assert one.code == "underfitting" and "the .95 that is wanted" in one.sentence
    assert judge_folds([], target=0.9) == []


def test_where_a_continued_curve_reaches_it() -> None:
    sizes = np.array([50, 100, 200, 400, 800])
    rng = np.random.default_rng(0)
    held = (0.95 - 2.0 * sizes**-0.6)[:, None] + rng.normal(0, 0.002, (5, 5))
    shape = held.shape
    fits = np.ones(shape)
    curve = SizeCurve("net", "accuracy", "Accuracy", True, sizes, fits, held, fits, independent=5)
    law = project(curve)
    # .95 - 2 n^-.6 = .925 at (2 / .025)^(1 / .6) rows
    rows = (2.0 / 0.025) ** (1 / 0.6)
    said = when_reached(law, 0.925)
    number = float(said.split("about ")[1].split(" rows")[0].replace(",", ""))
    assert number == pytest.approx(rows, rel=0.25) and said.startswith("Continued, net reaches")
    assert when_reached(law, 0.85) == ""
    assert "does not reach the .99" in when_reached(law, 0.99)
    figure = plot_size_curves(curve, wanted=0.97)
    (line,) = [trace for trace in figure.data if trace.name == "wanted"]
    assert set(np.round(np.asarray(line.y, dtype=float), 6)) == {0.97}
    assert figure.layout.yaxis.range[1] > 0.97
    assert any(note.text == "wanted: .97" for note in figure.layout.annotations)


def test_sizes_as_people_write_them() -> None:
    read = read_sizes("500, 1 000; 25 %, .5\n100 %, 1.0, 1e3, 20 rows")
    assert read.sizes == (500, 1000, 0.25, 0.5, 1.0, 1.0, 1000, 20)
    assert [type(one) for one in read.sizes[:3]] == [int, int, float]
    assert read.problem == ""
    assert read.told(400) == (
        "25 % (100 rows), 50 % (200 rows), 100 % (400 rows), 100 % (400 rows) and 20 rows"
    )
    wrong = read_sizes("half, −5, 120 %, 0, 1.5, 50, nan, inf, ")
    assert wrong.sizes == (50,)
    assert wrong.unread == ("half", "−5", "120 %", "0", "1.5", "nan", "inf")
    assert wrong.problem.startswith("“half”, “−5”, “120 %” and 4 more are no training size")
    assert "Write numbers of rows" in read_sizes("x").problem
