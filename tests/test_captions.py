"""Captions say what is in the results, in sentences written by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dashboard import captions as c
from dashboard.contracts import Predictions, ScoreKind, Target, Task
from dashboard.diagnostics.confusion import ConfusionMatrix
from dashboard.diagnostics.curves import (
    compute_calibration,
    compute_cost,
    compute_gain,
    compute_precision_recall,
    compute_roc,
    compute_score_distribution,
)
from dashboard.diagnostics.metrics import MetricRow
from dashboard.diagnostics.regression import RegressionFit

# ten rows: positives score .9 .8 .7 .2, negatives .6 .5 .4 .3 .1 .05
Y = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
GOOD = [0.9, 0.8, 0.7, 0.2, 0.6, 0.5, 0.4, 0.3, 0.1, 0.05]


def _binary(name: str, y: list[int], score: list[float]) -> Predictions:
    target = Target(Task.BINARY, "hit", ("no", "yes"), np.array(y, dtype=np.int64), 1)
    scores = np.array(score, dtype=float)
    rows = np.arange(len(y))
    return Predictions(name, target, None, scores, ScoreKind.PROBABILITY, None, rows, len(y))


good = _binary("good", Y, GOOD)
bad = _binary("bad", Y, [1 - s for s in GOOD])


def _matrix(counts: list[list[float]], model: str = "forest") -> ConfusionMatrix:
    names = ("cat", "dog", "cow")[: len(counts)]
    return ConfusionMatrix(model, names, np.array(counts, dtype=float), n=int(np.sum(counts)))


def test_roc_reads_the_area_as_pairs() -> None:
    # .2 beats two of six negatives, the others all six: 20 of 24 pairs = .8333
    caption = c.caption_roc([replace(compute_roc(good), low=0.7, high=0.9)])
    assert caption == (
        "A randomly chosen positive gets a higher score from good than a randomly chosen "
        "negative in 83.3 % of pairs (AUC .833 [.700, .900]). The diagonal is guessing."
    )


def test_roc_says_too_close_to_call_or_who_is_last() -> None:
    a = replace(compute_roc(good), low=0.7, high=0.9)
    b = replace(compute_roc(bad), low=0.1, high=0.3)
    assert "next comes bad with .167 [.100, .300]" in c.caption_roc([b, a])
    close = replace(b, high=0.75)
    assert "too close to call against bad, whose intervals overlap" in c.caption_roc([a, close])


def test_curves_without_one_class_say_so() -> None:
    alone = _binary("alone", [0, 0], [0.1, 0.2])
    assert c.caption_roc([compute_roc(alone)]).startswith("No curve: these rows hold only one")
    assert c.caption_precision_recall([compute_precision_recall(alone)]) == (
        "No curve: these rows hold no positives."
    )
    assert c.caption_gain([compute_gain(alone)]) == "No curve: these rows hold no positives."
    assert c.caption_cost([]) == "No costs to compare."


def test_precision_recall_names_what_guessing_reaches() -> None:
    # precision at the positives: 1, 1, 1 and 4/8: AP = (1 + 1 + 1 + .5) / 4 = .875
    curve = replace(compute_precision_recall(good), low=0.6, high=1.0)
    assert c.caption_precision_recall([curve]) == (
        "good keeps precision highest over all recalls (average precision .875 [.600, 1.00], "
        "where guessing reaches the share of positives, .400)."
    )


def test_gain_at_a_tenth() -> None:
    # the top row of ten is one of four positives
    assert c.caption_gain([compute_gain(bad), compute_gain(good)]) == (
        "Flagging the 10 % of rows that good scores highest catches 25 % of the positives, 2.50 "
        "times what a random 10 % would."
    )


def test_cost_names_the_cheapest_threshold() -> None:
    # from .7: one miss at 5; from .2: four false alarms at 1
    curves = [compute_cost(p, cost_fp=1, cost_fn=5) for p in (good, bad)]
    assert c.caption_cost(curves[:1]) == (
        "Where a false alarm costs 1 and a miss 5, good is cheapest: 4.00 in all when it flags "
        "from .2."
    )
    assert c.caption_cost(curves).endswith("bad never gets below 6.00.")


def test_confusion_names_the_worst_cell() -> None:
    assert c.caption_confusion(_matrix([[273, 27], [5, 95]])) == (
        "The most frequent mistake of forest: of 300 rows that are “cat”, 27 (9.0 %) are called "
        "“dog”."
    )
    assert c.caption_confusion(_matrix([[3, 0], [1, 3]])).endswith("1 (25 %) is called “cat”.")
    assert c.caption_confusion(_matrix([[3, 0], [0, 3]])) == (
        "forest makes no mistake on these 6 rows."
    )
    noted = replace(_matrix([[3, 1], [0, 3]]), note="Two of nine classes are shown.")
    assert c.caption_confusion(noted).endswith("“dog”. Two of nine classes are shown.")


def test_confusion_difference_in_points() -> None:
    ours, theirs = _matrix([[80, 20], [10, 90]]), _matrix([[90, 10], [10, 90]], "linear")
    assert c.caption_confusion_difference(ours, theirs) == (
        "Against linear, forest differs most on “cat”: it gets 10 points fewer of them right."
    )
    assert c.caption_confusion_difference(ours, ours).endswith("same share of every class right.")


def test_score_distribution_counts_both_sides() -> None:
    shown = compute_score_distribution(good, threshold=0.65)
    assert c.caption_score_distribution(shown).startswith(
        "At or above .65, good places about 0 % of “no” and about 75 % of “yes”."
    )
    free = replace(shown, threshold=None)
    assert c.caption_score_distribution(free) == "Scores of good on 10 rows, by true class."


def test_calibration_blames_only_what_the_interval_excludes() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random(2_000) < 0.3).astype(int).tolist()
    honest = compute_calibration(_binary("honest", truth, [0.3] * 2_000))
    sure = compute_calibration(_binary("sure", truth, [0.95] * 2_000))
    assert c.caption_calibration([honest]) == (
        "In every bin the interval holds what the models say: nothing here speaks against them."
    )
    seen = round(100 * float(np.mean(truth)))
    assert c.caption_calibration([honest, sure]) == (
        f"sure is most off where it says 95 % on average: {seen} % of those 2,000 rows are "
        "positive (too sure)."
    )


def _fit(model: str, residual: np.ndarray) -> RegressionFit:
    truth = np.linspace(0, 100, len(residual))
    return RegressionFit(model, "price", truth, truth + residual)


def test_fit_says_typical_error_and_side() -> None:
    # |residual| = 0 … 10: median 5, ninth decile 9, mean residual 5
    fit = _fit("tree", np.arange(11.0))
    assert c.caption_fit(fit, "dollars") == (
        "Half of the 11 predictions of tree are within 5.00 dollars of the truth, nine in ten "
        "within 9.00 dollars; on average they lie 5.00 dollars above it."
    )
    assert "below it" in c.caption_fit(_fit("tree", -np.arange(11.0)))
    assert c.caption_fit(_fit("tree", np.zeros(0))) == "No rows to show."
    noise = _fit("tree", np.array([-3.0, 3.0 + 1e-12, 0.0]))
    assert c.caption_fit(noise).endswith("on average they lie neither above nor below it.")


def test_residuals_compare_low_and_high_predictions() -> None:
    fit = _fit("tree", np.repeat([1.0, 2.0, 3.0, 8.0], 10))
    assert c.caption_residuals(fit) == (
        "The typical error of tree is 1.00 in the quarter of rows it predicts lowest and 8.00 in "
        "the quarter it predicts highest."
    )
    assert c.caption_residuals(_fit("tree", np.ones(5))).startswith("Half of the 5 predictions")


def test_residual_spread_orders_by_the_typical_error() -> None:
    fits = [_fit("a", np.full(9, 5.0)), _fit("b", np.full(9, -2.0)), _fit("c", np.full(9, 7.0))]
    assert c.caption_residual_spread(fits, "days") == (
        "Half of the predictions of b are within 2.00 days of the truth; the same half reaches "
        "5.00 for a and 7.00 for c."
    )
    assert c.caption_residual_spread(fits[:1]).endswith("within 5.00 of the truth.")
    assert c.caption_residual_spread([]) == "No rows to show."


@pytest.mark.parametrize("low", [False, True])
def test_metric_leader_follows_the_orientation(low: bool) -> None:
    rows = [
        MetricRow(model="a", label="", metric="m", value=0.9, low=0.85, high=0.95, n=9),
        MetricRow(model="b", label="", metric="m", value=0.1, low=0.05, high=0.15, n=9),
    ]
    best = "b has the best RMSE (.100" if low else "a has the best RMSE (.900"
    assert c.caption_metric(rows, "RMSE", lower_is_better=low).startswith(best)
    assert c.caption_metric([], "RMSE") == "RMSE does not apply to any of these models."
