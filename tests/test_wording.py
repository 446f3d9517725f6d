"""Numbers and findings in plain words, against sentences written by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import wording as w
from dashboard.diagnostics.confusion import ConfusionMatrix
from dashboard.diagnostics.metrics import MetricRow, MetricTable
from dashboard.diagnostics.thresholds import Counts

NAN = math.nan


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0.9241379, ".924"),
        (47_873.2, "47,900"),
        (1_234_567, "1,230,000"),
        (1, "1.00"),
        (0, "0"),
        (-3.2, "−3.20"),
        (-0.5, "−.500"),
        (0.99964, ".9996"),  # never certainty
        (0.999996, ".99999"),  # at most five decimals, cut
        (0.99999996, ".99999"),
        (1 - 1e-12, "1.00"),  # the noise of summation
        (1 - 5e-9, ".99999"),
        (-0.9999999, "−.99999"),
        (9.999, "10.0"),  # rounding up a digit keeps three digits
        (99.96, "100"),
        (1 - 0.9, ".100"),  # .0999…98
        (999.6, "1,000"),
        (0.000123, ".000123"),
        (0.000012, "1.20×10⁻⁵"),
        (1e16, "1.00×10¹⁶"),
        (NAN, "–"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
    ],
)
def test_numbers_have_three_significant_digits(x: float, text: str) -> None:
    assert w.number(x) == text


def test_units_and_fewer_digits() -> None:
    assert w.number(47_873, unit="dollars") == "47,900 dollars"
    assert w.number(0.0147, 2) == ".015"


@given(st.floats(min_value=-1e14, max_value=1e14, allow_nan=False))
def test_a_number_reads_back_within_half_a_unit_of_the_third_digit(x: float) -> None:
    text = w.number(x).replace(",", "").replace("−", "-")
    if "×10" in text:
        mantissa, _, power = text.partition("×10")
        plain = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
        read = float(f"{mantissa}e{power.translate(plain)}")
    else:
        read = float(text)
    assert read == pytest.approx(x, rel=0.00501, abs=0)


@given(st.floats(min_value=0, max_value=1, exclude_max=True))
def test_no_share_below_one_is_shown_as_one_or_as_all(share: float) -> None:
    assert share > 1 - 1e-9 or w.number(share) != "1.00"
    assert share > 1 - 1e-9 or w.percent(share) != "100 %"


@pytest.mark.parametrize(
    ("x", "text"), [(0.5, ".5"), (0.31, ".31"), (-1.25, "−1.25"), (0, "0"), (100, "100")]
)
def test_thresholds_have_no_trailing_zeros(x: float, text: str) -> None:
    assert w.threshold(x) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0904, "9.0 %"),
        (0.181, "18 %"),
        (0.9964, "99.6 %"),
        (0.9999, "99.99 %"),
        (0.99999996, ">99.99 %"),
        (-0.99999996, "−99.99 %"),
        (1 - 1e-12, "100 %"),
        (1 - 0.9, "10 %"),  # .0999…98
        (1.0, "100 %"),
        (0.0, "0 %"),
        (-0.0, "0 %"),
        (0.004, "0.40 %"),
        (0.00001, "<0.01 %"),
        (-0.12, "−12 %"),
        (NAN, "–"),
    ],
)
def test_percent(share: float, text: str) -> None:
    assert w.percent(share) == text


def test_counts_points_plurals() -> None:
    assert w.count(12_000) == "12,000"
    assert w.count(1234.5) == "1,234.5"
    assert w.count(NAN) == "–"
    assert [w.plural(1, "row"), w.plural(2_400, "row"), w.plural(3, "class")] == [
        "1 row",
        "2,400 rows",
        "3 classes",
    ]
    assert [w.points(x) for x in (0.031, -0.12, 0.0001, 0.004, NAN)] == [
        "+3.1 points",
        "−12 points",
        "0 points",
        "+.4 points",
        "–",
    ]


def test_interval_needs_both_bounds() -> None:
    assert w.interval(0.924, 0.911, 0.936) == ".924 [.911, .936]"
    assert w.interval(0.924, NAN, 0.936) == ".924"
    assert w.interval(47_873, 45_893, 49_774, "dollars") == "47,900 dollars [45,900, 49,800]"


def test_intervals_of_shares_stay_short() -> None:
    assert w.interval(0.992, 0.986, 0.99999999999) == ".992 [.986, 1.00]"
    assert w.interval(0.992, 0.986, 0.9999999) == ".992 [.986, .99999]"
    assert w.interval(0.002, 2.21e-5, 0.03) == ".00200 [<.0001, .0300]"
    assert w.interval(2.21e-5, 0, 0.03, "m") == "<.0001 m [0, .0300]"
    # where everything is that small, the digits are the news
    assert w.interval(2e-5, 1e-5, 3e-5) == "2.00×10⁻⁵ [1.00×10⁻⁵, 3.00×10⁻⁵]"


@given(st.floats(min_value=0, max_value=1), st.floats(min_value=0.001, max_value=1))
def test_no_interval_of_shares_is_longer_than_two_shares(low: float, high: float) -> None:
    assert len(w.interval(high, min(low, high), high)) <= len(".000123 [<.0001, .000123]")


def test_names_are_cut_in_the_middle() -> None:
    assert w.shorten("short", 10) == "short"
    assert w.shorten("abcdefghijklmnop", 7) == "abc…nop"
    assert len(w.shorten("x" * 400, 24)) == 24


def test_names_that_differ_only_in_the_middle_stay_distinct() -> None:
    names = [f"class number {i:02d} of the set" for i in range(50)]
    short = w.shorten_all(names, 10)
    assert short[:2] == ["…00…", "…01…"]
    assert len(set(short)) == 50
    tangled = [f"{a}{'m' * 40}{i}{'n' * 40}{a}" for a in "pq" for i in range(3)]
    assert w.shorten_all(tangled, 8)[:2] == ["pm…p 1", "pm…p 2"]
    assert w.shorten_all(["a", "a"], 8) == ["a", "a"]


def test_listing() -> None:
    assert [w.listing(list("abcde")[:k]) for k in range(6)] == [
        "",
        "a",
        "a and b",
        "a, b and c",
        "a, b and 2 more",
        "a, b and 3 more",
    ]


def test_titles_inside_sentences() -> None:
    assert [w.in_sentence(t) for t in ("Accuracy", "ROC AUC", "R²", "")] == [
        "accuracy",
        "ROC AUC",
        "R²",
        "",
    ]


def _row(model: str, metric: str, value: float, low: float = NAN, high: float = NAN) -> MetricRow:
    return MetricRow(model=model, label="", metric=metric, value=value, low=low, high=high, n=899)


def test_too_close_is_overlap_of_intervals() -> None:
    a, b, c = (
        _row("a", "f1", 0.9, 0.85, 0.95),
        _row("b", "f1", 0.8, 0.75, 0.85),
        _row("c", "f1", 0.5, 0.4, 0.6),
    )
    assert w.too_close(a, b)  # they touch at .85
    assert not w.too_close(a, c)
    assert not w.too_close(a, _row("d", "f1", 0.9))  # no interval: nothing can be said


FIVE = MetricTable(
    (
        _row("Baseline (majority)", "roc_auc", 0.5),
        _row("Baseline (majority)", "accuracy", 0.899),
        _row("SGD", "roc_auc", 0.987, 0.978, 0.989),
        _row("SGD", "accuracy", 0.968, 0.955, 0.978),
        _row("forest", "roc_auc", 0.995, 0.990, 0.999),
        _row("forest", "accuracy", 0.982, 0.971, 0.989),
    )
)


def test_the_story_of_the_five() -> None:
    # 91 fives, 808 others; the forest misses 16.5 of 91 = 18.1 % (weights)
    counts = {"forest": Counts(tp=74.5, fp=0, fn=16.5, tn=808, threshold=0.5)}
    sentence = w.headline_binary(
        FIVE, counts, baseline="Baseline (majority)", answer="“no”", positive="positives"
    )
    assert sentence == (
        "forest ranks best (ROC AUC .995 [.990, .999]) but at .5 it misses 18 % of positives. "
        "Always answering “no” would score .899 accuracy."
    )


def test_too_close_to_call_is_written_out() -> None:
    table = MetricTable(
        (_row("a", "roc_auc", 0.90, 0.88, 0.92), _row("b", "roc_auc", 0.89, 0.87, 0.91))
    )
    sentence = w.headline_binary(table, {"a": Counts(tp=9, fp=4, fn=1, tn=6, threshold=0.3)})
    assert sentence == (
        "Too close to call which model ranks best: a leads (ROC AUC .900 [.880, .920]). Its "
        "interval overlaps with that of b. At .3 a misses 10 % of positives."
    )


def test_binary_headline_where_nothing_is_missed() -> None:
    table = MetricTable((_row("a", "roc_auc", 1.0),))
    perfect = w.headline_binary(table, {"a": Counts(tp=5, fp=0, fn=0, tn=5, threshold=0.5)})
    assert perfect == "a reaches ROC AUC 1.00 and at .5 it makes no mistake."
    eager = w.headline_binary(table, {"a": Counts(tp=5, fp=3, fn=0, tn=2, threshold=0.5)})
    assert eager.endswith("but at .5 it catches all positives at the price of 3 false alarms.")


def test_a_model_that_loses_to_the_dummy_is_named() -> None:
    # Mosconi's employee turnover: accuracy .757 loses to "always stay", .775
    table = MetricTable(
        (_row("dummy", "accuracy", 0.775), _row("net", "accuracy", 0.757, 0.741, 0.772))
    )
    sentence = w.headline_binary(table, {}, baseline="dummy", answer="“stay”")
    assert sentence == (
        "net reaches accuracy .757 [.741, .772]. Always answering “stay” would score .775 "
        "accuracy, which net does not beat."
    )
    both = MetricTable((*table.rows, _row("tree", "accuracy", 0.7, 0.68, 0.72)))
    assert w.headline_binary(both, {}, baseline="dummy", answer="“stay”") == (
        "net is right most often (accuracy .757 [.741, .772]). Always answering “stay” would score "
        ".775 accuracy, which no model beats."
    )


LONG = [
    f"a model with a name that goes on and on, number {i}, of the long series" for i in range(5)
]


def test_headlines_of_many_long_names_start_with_a_short_sentence() -> None:
    rows = [_row(name, "roc_auc", 0.9, 0.85, 0.95) for name in LONG]
    rows += [_row(name, "accuracy", 0.7, 0.65, 0.75) for name in LONG]
    dummy = _row("dummy", "accuracy", 0.69)
    table = MetricTable((dummy, *rows))
    counts = {LONG[0]: Counts(tp=9, fp=4, fn=1, tn=6, threshold=0.3)}
    said = w.headline_binary(table, counts, baseline="dummy", positive="rows that are “yes”")
    first, second, third, last = said.split(". ")
    assert first.startswith("Too close to call which model ranks best: ")
    assert len(first) <= w.FIRST
    assert second.endswith("and 3 more") and second.startswith("Its interval overlaps with those")
    assert third.startswith("At .3 ") and third.endswith("misses 10 % of rows that are “yes”")
    assert last == "Always answering the same would score .690 accuracy."
    matrices = {LONG[0]: _matrix([[5, 5], [0, 9]], ("a class " * 9, "another " * 9))}
    alone = MetricTable((dummy, _row(LONG[0], "accuracy", 0.7, 0.65, 0.75)))
    said = w.headline_multiclass(alone, matrices, baseline="dummy")
    assert len(said.split(". ")[0]) <= w.FIRST
    assert said.split(". ")[1].startswith("Its most frequent mistake is to take 50 % of “a class")


def test_one_model_is_not_ranked() -> None:
    """It read: multilabel is right most often …, which multilabel does not beat."""
    table = MetricTable(
        (_row("dummy", "f1_micro", 0.9), _row("multilabel", "f1_micro", 0.9, 0.85, 0.95))
    )
    said = w.headline_multiclass(table, {}, metric="f1_micro", title="micro F1", baseline="dummy")
    assert said == (
        "multilabel reaches micro F1 .900 [.850, .950]. Always answering the most frequent class "
        "would score .900 micro F1, which multilabel does not beat."
    )
    one = MetricTable((_row("dummy", "rmse", 10.0), _row("tree", "rmse", 5.0, 4.0, 6.0)))
    assert w.headline_regression(one, baseline="dummy") == (
        "tree reaches RMSE 5.00 [4.00, 6.00]. Its error is 50 % below always answering the mean "
        "(10.0)."
    )


def test_nothing_to_score_is_said() -> None:
    empty = MetricTable((_row("a", "roc_auc", NAN), _row("a", "rmse", NAN)))
    for sentence in (
        w.headline_binary(empty, {}),
        w.headline_multiclass(empty, {}),
        w.headline_regression(empty),
    ):
        assert sentence.startswith("There is nothing to score yet")


def _matrix(counts: list[list[float]], labels: tuple[str, ...]) -> ConfusionMatrix:
    import numpy as np

    return ConfusionMatrix("forest", labels, np.array(counts, dtype=float), n=int(np.sum(counts)))


def test_multiclass_headline_names_the_worst_confusion() -> None:
    table = MetricTable(
        (
            _row("dummy", "accuracy", 0.34),
            _row("forest", "accuracy", 0.9, 0.85, 0.94),
            _row("tree", "accuracy", 0.3, 0.25, 0.35),
        )
    )
    matrix = _matrix([[90, 10, 0], [4, 95, 1], [0, 5, 95]], ("8", "1", "3"))
    assert w.headline_multiclass(table, {"forest": matrix}, baseline="dummy") == (
        "forest is right most often (accuracy .900 [.850, .940]); its most frequent mistake is "
        "to take 10 % of “8” for “1”. Always answering the most frequent class would score .340 "
        "accuracy, which tree does not beat."
    )


def test_multiclass_headline_without_mistakes() -> None:
    table = MetricTable((_row("forest", "accuracy", 1.0),))
    matrix = _matrix([[3, 0], [0, 3]], ("a", "b"))
    sentence = w.headline_multiclass(table, {"forest": matrix})
    assert sentence == "forest reaches accuracy 1.00."


def test_regression_headline_counts_down_from_the_dummy() -> None:
    table = MetricTable(
        (
            _row("dummy", "rmse", 100.0),
            _row("forest", "rmse", 69.0, 66.0, 72.0),
            _row("tree", "rmse", 120.0, 110.0, 130.0),
        )
    )
    assert w.headline_regression(table, baseline="dummy", unit="points") == (
        "forest is off least (RMSE 69.0 [66.0, 72.0]). Its error is 31 % below always answering "
        "the mean (100 points), which tree does not beat."
    )
    worse = MetricTable((_row("dummy", "rmse", 10.0), _row("tree", "rmse", 12.0)))
    assert w.headline_regression(worse, baseline="dummy").endswith(
        "Always answering the mean (10.0) is better."
    )
    assert w.headline_regression(worse) == "dummy is off least (RMSE 10.0)."
    same = MetricTable((_row("dummy", "rmse", 10.0), _row("tree", "rmse", 10.0)))
    assert w.headline_regression(same, baseline="dummy").endswith("(10.0) is just as good.")


def test_regression_headline_takes_any_phrase_for_the_dummy() -> None:
    table = MetricTable(
        (
            _row("dummy", "rmse", 10.0),
            _row("net", "rmse", 5.0, 4.0, 6.0),
            _row("tree", "rmse", 5.5, 4.5, 6.5),
        )
    )
    said = w.headline_regression(table, baseline="dummy", answer="repeating the last value")
    assert said == (
        "Too close to call which model is off least: net leads (RMSE 5.00 [4.00, 6.00]). Its "
        "interval overlaps with that of tree. The error of net is 50 % below repeating the last "
        "value (10.0)."
    )
    worse = MetricTable((_row("dummy", "rmse", 10.0), _row("tree", "rmse", 12.0)))
    said = w.headline_regression(worse, baseline="dummy", answer="repeating the last value")
    assert said == "tree reaches RMSE 12.0. Repeating the last value (10.0) is better."


def test_another_threshold_is_one_short_sentence() -> None:
    now = Counts(tp=50, fp=0, fn=50, tn=900, threshold=0.5)  # F1 = 2/3
    best = Counts(tp=90, fp=10, fn=10, tn=890, threshold=0.2)  # F1 = .9
    assert w.other_threshold(now, best, "forest") == (
        "Another threshold helps: at .2 forest would miss 10 %, not 50 %, and flag 10 wrongly, "
        "not 0."
    )
    assert w.other_threshold(best, best, "forest") == ""
    eager = Counts(tp=95, fp=100, fn=5, tn=800, threshold=0.1)  # misses less, F1 = .64
    assert w.other_threshold(eager, best, "forest").startswith("Better balanced: at .2 forest")


def test_per_thousand_adds_up() -> None:
    counts = Counts(tp=68, fp=28, fn=13, tn=790, threshold=0.5)  # of 899
    # 75.64, 31.15, 14.46, 878.75 → 75, 31, 14, 878 and two more to the largest remainders
    assert w.per_thousand(counts) == (
        "Of 1,000 rows like these, at .5, 31 are flagged wrongly, 14 are missed and 76 are caught."
    )
    assert w.per_thousand(counts, model="forest") == (
        "Of 1,000 rows like these, at .5 forest flags 76 rightly and 31 wrongly and misses 14."
    )
    empty = Counts(tp=0, fp=0, fn=0, tn=0, threshold=0.5)
    assert w.per_thousand(empty) == "There are no rows to count."


@given(st.lists(st.floats(min_value=0.0, max_value=1e6), min_size=2, max_size=6))
def test_whole_parts_always_add_up(parts: list[float]) -> None:
    if sum(parts) > 1e-3:
        whole = w._whole(parts, 1_000)
        assert sum(whole) == 1_000
        assert all(
            abs(a - 1_000 * b / sum(parts)) < 1 + 1e-6 for a, b in zip(whole, parts, strict=True)
        )


def test_rounding_noise_beside_its_interval_is_zero() -> None:
    assert w.tidy(7.22e-12, -10.0, 11.5) == (0.0, -10.0, 11.5)
    assert w.tidy(7.22e-12, 1e-12, 9e-12) == (7.22e-12, 1e-12, 9e-12)
    assert w.tidy(5.0, -math.inf, math.inf) == (5.0, -math.inf, math.inf)
    value, low, high = w.tidy(math.nan, math.nan, 1.0)
    assert math.isnan(value) and math.isnan(low) and high == 1.0
