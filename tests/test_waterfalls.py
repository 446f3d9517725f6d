"""One row: steps in shap's order that add up, for all models on the same features, and in words."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import NearestNeighbors

from dashboard import figures
from dashboard.contracts import OutputSpace
from dashboard.diagnostics.neighbours import compute_neighbourhood, nearest_rows
from dashboard.diagnostics.sentences import explain_in_words
from dashboard.diagnostics.waterfalls import compute_decision_paths, compute_waterfalls
from dashboard.diagnostics.words import WordExplanation, split_text
from dashboard.errors import NotApplicable, ParameterError
from dashboard.wording import number
from tests.explained import attributed, forest, mixed, shap_library, three_classes


def _shap_labels(place: int, most: int) -> list[str]:
    """The features that shap's own waterfall shows, from top to bottom."""
    import matplotlib.pyplot as plt

    shap = shap_library()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        axes = shap.plots.waterfall(forest()[1][place], max_display=most, show=False)
        texts = [tick.get_text() for tick in axes.get_yticklabels()]
        plt.close("all")
    named = dict.fromkeys(text.split(" = ")[-1] for text in texts if text)
    return [name for name in reversed(named) if name.startswith("x") or "other" in name]


@pytest.mark.parametrize("place", [0, 7, 100])
def test_the_order_is_that_of_shaps_waterfall(place: int) -> None:
    one, explanation = forest()
    fall = compute_waterfalls([one], place, limit=4)[0]
    theirs = _shap_labels(place, 5)
    assert sorted([*fall.features, f"{fall.n_rest} other features"]) == sorted(theirs)
    order = np.argsort(-np.abs(explanation.values[place]))[:4]
    assert fall.features == tuple(f"x{k}" for k in order)
    assert fall.values.tolist() == explanation.values[place][order].tolist()
    assert fall.rest == pytest.approx(np.delete(explanation.values[place], order).sum())


def test_the_steps_add_up_to_the_models_answer() -> None:
    one, other = mixed(50), mixed(50, 2.0, model="boosting")
    for fall in compute_waterfalls([one, other], 30, limit=3):
        assert fall.row == 30
        assert fall.base + fall.values.sum() + fall.rest == pytest.approx(fall.prediction)
        assert fall.sums[-1] == pytest.approx(fall.prediction)
        assert fall.gap == pytest.approx(0, abs=1e-12)
        table = fall.frame()
        assert table["feature"].tolist()[-1] == "3 other features"
        assert fall.base + table["value"].sum() == pytest.approx(fall.prediction)


def test_models_share_features_and_axis() -> None:
    one = mixed(50)
    part = attributed(
        one.values[:, [0, 5]], one.data[["income", "noise"]], model="part", rows=one.rows
    )
    falls = compute_waterfalls([one, part], 30)
    assert falls[0].features == falls[1].features
    assert falls[0].span == falls[1].span
    assert falls[1].used.sum() == 2
    assert falls[1].cells[falls[1].features.index("region")] == ""
    assert falls[1].prediction == pytest.approx(falls[1].base + np.nansum(falls[1].values))
    low, high = falls[0].span
    assert all(low <= at <= high for fall in falls for at in fall.sums)
    apart = compute_waterfalls([one, mixed(50, space=OutputSpace.LOG_ODDS, model="b")], 30)
    assert apart[0].features == apart[1].features


def test_a_single_feature_left_over_stands_alone() -> None:
    assert compute_waterfalls([mixed(20)], 3, limit=5)[0].n_rest == 0
    assert compute_waterfalls([mixed(20)], 3, limit=4)[0].n_rest == 2


def test_cells_are_those_of_the_row() -> None:
    one = mixed(20)
    fall = compute_waterfalls([one], 0)[0]
    cells = dict(zip(fall.features, fall.cells, strict=True))
    assert cells["age"] == "missing"
    assert cells["region"] == one.data["region"].iloc[0]
    assert cells["day"] == one.data["day"].iloc[0].strftime("%Y-%m-%d")


def test_the_class_asked_for_is_shown() -> None:
    one = three_classes()
    fall = compute_waterfalls([one], 60, "virginica")[0]
    assert (fall.output, fall.n_outputs) == ("virginica", 3)
    assert fall.prediction == pytest.approx(one.predictions[60, 2])


def test_rows_that_are_not_explained_are_said() -> None:
    with pytest.raises(NotApplicable, match="Explain this row first"):
        compute_waterfalls([mixed(20)], 4)
    with pytest.raises(NotApplicable):
        compute_waterfalls([], 4)


# Decision paths


def test_paths_are_those_of_shaps_decision_plot() -> None:
    import matplotlib.pyplot as plt

    one, explanation = forest()
    rows = [3, 10, 50]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = shap_library().decision_plot(
            explanation.base_values[0],
            explanation.values[rows],
            feature_order="importance",
            return_objects=True,
            show=False,
        )
        plt.close("all")
    paths = compute_decision_paths([one], rows=rows, limit=7)[0]
    values = explanation.values[rows][:, [one.feature_names.index(n) for n in paths.features]]
    expected = np.cumsum(np.column_stack([np.full(3, explanation.base_values[0]), values]), axis=1)
    assert paths.paths[:, 1:] == pytest.approx(expected)
    assert paths.paths[:, -1] == pytest.approx(one.predictions[rows, 0])
    low, high = theirs.xlim
    assert low <= paths.paths.min()
    assert paths.paths.max() <= high


def test_paths_span_the_predictions_and_hold_the_rows_asked_for() -> None:
    one = mixed(300)
    paths = compute_decision_paths([one], highlight=[30, 31], max_rows=20)[0]
    assert paths.n in (20, 21)
    assert paths.highlight == (30,)
    assert 30 in paths.rows
    ends = one.predictions[:, 0]
    assert paths.predictions.min() == ends.min()
    assert paths.predictions.max() == ends.max()
    assert paths.paths[:, -1] == pytest.approx(paths.predictions)
    assert len(paths.frame()) == paths.n * (len(paths.features) + 2)
    few = compute_decision_paths([one], limit=2)[0]
    assert few.n_rest == 4
    assert few.paths[:, -1] == pytest.approx(few.predictions)


def test_paths_of_several_models_are_of_the_same_rows() -> None:
    one = mixed(100)
    other = mixed(100, 2.0, model="b").take(np.arange(50, 100))
    found = compute_decision_paths([one, other])
    assert found[0].rows.tolist() == found[1].rows.tolist()
    assert found[0].span == found[1].span
    with pytest.raises(NotApplicable, match="no explained row in common"):
        compute_decision_paths([one.take(np.arange(50)), other])


# In words


def _fall(values: list[float], base: float, space: OutputSpace, **options: object):  # type: ignore[no-untyped-def]
    frame = pd.DataFrame({"radius": [25.4], "texture": [17.3], "age": [np.nan]})
    one = attributed([values], frame, base=base, space=space, outputs=("malignant",), **options)
    return compute_waterfalls([one], 0)[0]


def test_a_probability_is_told_as_a_percentage() -> None:
    fall = _fall([0.5, -0.1, 0.15], 0.37, OutputSpace.PROBABILITY)
    assert explain_in_words(fall) == (
        "forest gives “malignant” a probability of 92 %, above its average of 37 %. Mostly radius "
        "(25.4) and the missing age bring it up. texture (17.3) pulls it down."
    )


def test_log_odds_are_told_as_a_probability_for_two_classes_only() -> None:
    fall = _fall([2.0, 0.0, 0.0], 0.0, OutputSpace.LOG_ODDS)
    assert explain_in_words(fall) == (
        "forest gives “malignant” a probability of 88 %, above its starting point of 50 %. "
        "Mostly radius (25.4) brings it up."
    )
    several = compute_waterfalls([three_classes()], 0, "setosa")[0]
    assert explain_in_words(several).startswith("forest scores “setosa” at ")


def test_a_text_alone_is_told_by_its_words() -> None:
    text = "claim your free prize now, friend"
    data, space = pd.DataFrame({"message": [text]}), OutputSpace.PROBABILITY
    one = attributed([[0.6]], data, base=0.2, outputs=("yes",), space=space)
    fall = compute_waterfalls([one], 0)[0]
    lead = "forest gives “yes” a probability of 80 %, above its average of 20 %. "
    assert explain_in_words(fall) == (
        lead + "It reads nothing but message, and what that says brings it up."
    )
    values = np.array([[0.3], [0.01], [0.25], [-0.1], [0.0], [0.1]])
    errors = np.array([[0.0], [0.0], [0.0], [0.0], [0.0], [0.2]])  # “friend” may do nothing
    words = WordExplanation(
        model="forest",
        row=0,
        column="message",
        split=split_text(text),
        values=values,
        errors=errors,
        base=np.array([0.24]),
        predictions=np.array([0.8]),
        output_names=("yes",),
        space=space,
        exact=False,
        n_texts=100,
    )
    assert explain_in_words(fall, words=words) == (
        lead + "Of the words of message, “claim” and “free” raise it most; “prize” lowers it."
    )
    low = replace(fall, base=0.9, prediction=0.2)
    assert explain_in_words(low, words=words).endswith(
        "Of the words of message, “prize” lowers it most; “claim” and “free” raise it."
    )
    nothing = replace(words, values=np.zeros((6, 1)))
    assert explain_in_words(fall, words=nothing).endswith(
        "Many words of message move it a little; none stands out."
    )


def test_numbers_are_told_in_their_unit() -> None:
    fall = _fall([-3000.0, 500.0, 0.0], 20_000.0, OutputSpace.TARGET)
    assert explain_in_words(fall, "price", "$") == (
        "forest answers 17,500 $ for price, 2,500 $ below its average of 20,000 $. Mostly radius "
        "(25.4) brings it down. texture (17.3) pulls it up."
    )


def test_nothing_is_made_of_noise() -> None:
    errors = np.array([[[0.3], [0.0], [0.0]]])
    noisy = _fall([0.5, 0.1, 0.0], 0.0, OutputSpace.DECISION, errors=errors)
    assert "radius" not in explain_in_words(noisy)
    flat = _fall([0.0, 0.0, 0.0], 0.5, OutputSpace.PROBABILITY)
    assert explain_in_words(flat) == (
        "forest gives “malignant” a probability of 50 %, which is what it says on average. "
        "No feature moves its answer."
    )
    wide = attributed(
        [[0.01] * 40], pd.DataFrame([[1.0] * 40], columns=[f"f{k}" for k in range(40)])
    )
    assert explain_in_words(compute_waterfalls([wide], 0)[0]).endswith("none stands out.")
    one = attributed([[0.01] * 40 + [-0.1]], pd.DataFrame([[1.0] * 41]).add_prefix("f"))
    assert explain_in_words(compute_waterfalls([one], 0)[0]).endswith(
        "Many features bring it up a little; none of these stands out. f40 (1) pulls it down."
    )


# Nearest rows


def test_nearest_by_explanation_as_scikit_learn_finds_them() -> None:
    one, _ = forest()
    found = nearest_rows(one, 5, "explanation", 8)
    distance, order = (
        NearestNeighbors(n_neighbors=9).fit(one.output(0)).kneighbors(one.output(0)[[5]])
    )
    assert found.rows.tolist() == order[0, 1:].tolist()
    assert found.distance == pytest.approx(distance[0, 1:])
    assert found.among == 399
    assert found.frame().columns.tolist()[:3] == ["row", "distance", "prediction"]


def test_nearest_by_features_is_gowers_distance() -> None:
    frame = pd.DataFrame(
        {
            "a": np.concatenate([[0.0, 1.0, 5.0], np.linspace(0, 10, 98)]),
            "c": ["u", "u", "v", *["w"] * 98],
            "m": [np.nan, 1.0, np.nan, *[1.0] * 98],
        }
    )
    one = attributed(np.zeros((101, 3)), frame)
    found = nearest_rows(one, 0, "features", 100)
    spread = np.diff(np.percentile(frame["a"], [1, 99]))[0]
    distance = dict(zip(found.rows.tolist(), found.distance.tolist(), strict=True))
    assert distance[1] == pytest.approx((1 / spread + 0 + 1) / 3)
    assert distance[2] == pytest.approx((5 / spread + 1 + 0) / 3)
    assert distance[100] == pytest.approx((1 + 1 + 1) / 3)
    with pytest.raises(ParameterError, match="features or explanation"):
        nearest_rows(one, 0, "colour")  # type: ignore[arg-type]


def test_the_neighbourhood_holds_the_nearest_in_either_way() -> None:
    one, _ = forest()
    around = compute_neighbourhood(one, 5, k=8, most=60)
    for near, by in ((around.near_features, "features"), (around.near_reasons, "explanation")):
        expected = nearest_rows(one, 5, by, 8)  # type: ignore[arg-type]
        assert set(around.rows[near].tolist()) == set(expected.rows.tolist())
    apart = np.linalg.norm(one.output(0) - one.output(0)[5], axis=1)
    assert around.typical == pytest.approx(np.median(np.delete(apart, 5)))
    assert around.by_reasons * around.typical == pytest.approx(apart[around.rows])
    assert 5 not in around.rows and 60 <= around.n <= 76 and around.n_explained == 399
    assert (np.diff(around.by_features) >= 0).all()
    everything = compute_neighbourhood(one, 5, most=10**6)
    assert sorted(everything.rows.tolist()) == [row for row in range(400) if row != 5]
    assert len(everything.frame()) == 399
    assert everything.frame()["difference"].to_numpy() == pytest.approx(
        one.predictions[everything.rows, 0] - one.predictions[5, 0]
    )
    with pytest.raises(NotApplicable, match="No other row"):
        compute_neighbourhood(one.take(np.asarray([5])), 5)


def test_the_neighbourhood_is_drawn_with_every_row_as_a_target() -> None:
    one, other = mixed(50), mixed(50, 2.0, model="<b>boosting")
    around = [compute_neighbourhood(each, 30) for each in (one, other)]
    figure = figures.plot_neighbours(around, theme="dark")
    meta = figure.layout.meta
    marks = [mark for trace in figure.data if trace.customdata for mark in trace.customdata]
    assert len(marks) == 98
    assert {figures.clicked(meta, mark).row for mark in marks} == set(one.rows.tolist()) - {30}
    assert {figures.clicked(meta, mark).model for mark in marks} == {"forest", "<b>boosting"}
    near = around[0].predictions[around[0].near_features]
    assert f"{number(near.min())} to {number(near.max())}" in meta["caption"]
    assert "10 rows nearest in values" in meta["caption"]
    assert "<b>" not in str([trace.hovertemplate for trace in figure.data])


def test_constant_and_missing_columns_are_no_distance() -> None:
    frame = pd.DataFrame({"a": [1.0, 1.0, 1.0], "b": [np.nan] * 3})
    assert nearest_rows(attributed(np.zeros((3, 2)), frame), 0).distance.tolist() == [0.0, 0.0]
