"""Dependence: partners in shap's order, groups that keep all rows, every kind of cell."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import OneHotEncoder

from dashboard.diagnostics.attributions import FeatureColumn, column_of
from dashboard.diagnostics.dependence import (
    MOST_CATEGORIES,
    compute_dependence,
    interaction_strengths,
    spread_explained,
)
from dashboard.errors import NotApplicable, ParameterError
from tests.explained import attributed, forest, mixed, shap_library


@pytest.mark.parametrize("feature", ["x0", "x1", "x3"])
def test_partners_are_ordered_as_by_shap(feature: str) -> None:
    one, explanation = forest()
    index = one.feature_names.index(feature)
    theirs = shap_library().utils.approximate_interactions(
        index, explanation.values, one.data.to_numpy()
    )
    ours = interaction_strengths(one, feature)
    assert ours[index] == 0
    assert np.argsort(-ours, kind="stable")[:-1].tolist() == [k for k in theirs if k != index]


def test_missing_values_count_as_in_shap() -> None:
    one = mixed(300)
    numbers = one.data[["income", "age", "noise"]].to_numpy()
    part = attributed(one.values[:, [0, 1, 5], 0], pd.DataFrame(numbers, columns=["a", "b", "c"]))
    for index, name in enumerate("abc"):
        theirs = shap_library().utils.approximate_interactions(index, part.output(0), numbers)
        ours = interaction_strengths(part, name)
        assert np.argsort(-ours, kind="stable")[0] == theirs[0]


def test_the_partner_is_the_one_that_explains_the_spread() -> None:
    found = compute_dependence([mixed(500)], "age")[0]
    assert found.partner is not None
    assert found.partner.name == "region"  # by its classes, in no order that a correlation follows
    assert found.explained > 0.8
    assert found.partners[0] == ("region", found.explained)
    alone = compute_dependence([mixed(500)], "income")[0]
    assert alone.explained < 0.1  # income acts alone; what bends within a group is not explained
    friedman = compute_dependence([forest()[0]], "x0")[0]
    assert friedman.partners[0][0] == "x1"  # sin(π x0 x1)


def test_the_share_explained_is_that_of_a_regression_in_one_group() -> None:
    rng = np.random.default_rng(0)
    own, other = np.zeros(20), rng.normal(size=20)
    values = 2 * other + rng.normal(size=20)
    one = attributed(values[:, None].repeat(2, axis=1), np.column_stack([own, other]))
    share = spread_explained(column_of(one, "x0"), values, column_of(one, "x1"))
    r2 = LinearRegression().fit(other[:, None], values).score(other[:, None], values)
    assert share == pytest.approx(1 - (1 - r2) * (1 + 1 / (18 - 1)), abs=1e-12)
    assert spread_explained(column_of(one, "x0"), values, None) == 0


@pytest.mark.parametrize("kind", ["number", "category"])
@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_the_share_explained_is_that_of_regressions_in_each_group(
    kind: Literal["number", "category"], gaps: float
) -> None:
    """Of 130 rows: six groups of twenty neighbours and one of ten, each fitted by scikit-learn."""
    rng = np.random.default_rng(3)
    own = rng.normal(size=130)
    cells = rng.normal(size=130) if kind == "number" else rng.integers(0, 4, 130).astype(float)
    values = own * np.nan_to_num(cells) + 0.5 * rng.normal(size=130)
    cells[rng.random(130) < gaps] = np.nan
    squares = explained = 0.0
    order = np.argsort(own)
    for group in np.split(order, range(20, 130, 20)):
        x, y = own[group][:, None], values[group]
        left = y - LinearRegression().fit(x, y).predict(x)
        missing = np.isnan(cells[group])
        filled = np.where(missing, 0.0, cells[group])[:, None]
        parts = filled if kind == "number" else OneHotEncoder().fit_transform(filled).toarray()
        design = np.column_stack([parts * ~missing[:, None], missing])
        centred = design - design.mean(axis=0)
        free = int(np.linalg.matrix_rank(centred))
        share = LinearRegression().fit(centred, left).score(centred, left)
        squares += left @ left
        rest = max(len(group) - 2 - free, 1)
        explained += (left @ left) * max(0.0, share - (1 - share) * free / rest)
    names = ("a", "b", "c", "d") if kind == "category" else ()
    one, other = FeatureColumn("x", "number", own), FeatureColumn("z", kind, cells, names)
    assert spread_explained(one, values, other) == pytest.approx(explained / squares, abs=1e-9)
    assert 0.2 < explained / squares < 0.9


def test_a_constant_explains_nothing_however_its_mean_is_rounded() -> None:
    rng = np.random.default_rng(4)
    own, values = rng.normal(size=(2, 60))
    gaps = np.where(rng.random(60) < 0.3, np.nan, 1.0)
    found = [
        spread_explained(
            FeatureColumn("x", "number", own), values, FeatureColumn("z", "number", c * gaps)
        )
        for c in (0.1, 0.5)  # the mean of nineteen 0.1 is not 0.1
    ]
    assert found[0] == pytest.approx(found[1], abs=1e-12)


def test_rounding_has_no_partner() -> None:
    """A linear model's values are those of the feature alone, but for their last digits."""
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 2_000))
    own, other = FeatureColumn("x", "number", x), FeatureColumn("z", "number", z)
    values = 3 * x + 1e-7 * z
    assert spread_explained(own, values, other) == 0
    assert spread_explained(own, 3 * x + 0.01 * z, other) > 0.9


def test_random_partners_explain_nothing() -> None:
    rng = np.random.default_rng(1)
    data = rng.normal(size=(2_000, 2))
    one = attributed(rng.normal(size=(2_000, 2)), data)
    assert spread_explained(column_of(one, "x0"), one.values[:, 0, 0], column_of(one, "x1")) < 0.03


def test_all_rows_are_kept_and_thinning_prefers_crowds() -> None:
    one = mixed(3_000)
    found = compute_dependence([one], "income", max_marks=500)[0]
    assert found.n == 3_000
    assert len(found.shown) == 500
    assert len(found.frame()) == 3_000
    assert found.frame()["value"].sum() == pytest.approx(one.values[:, 0].sum())
    highest = int(np.argmax(one.data["income"].to_numpy()))
    assert highest in found.shown
    assert found.trend["n"].sum() == 3_000
    again = compute_dependence([one], "income", max_marks=500)[0]
    assert again.shown.tolist() == found.shown.tolist()


def test_groups_hold_medians_and_quartiles() -> None:
    x = np.arange(500.0)
    found = compute_dependence([attributed(x[:, None], x[:, None])], "x0", colour=None)[0]
    assert len(found.trend) == 20
    first = found.trend.iloc[0]
    assert first.to_dict() == {"x": 12.0, "median": 12.0, "low": 6.0, "high": 18.0, "n": 25}
    assert found.partner is None


def test_categories_stand_in_the_order_of_their_effect() -> None:
    one, other = mixed(300), mixed(300, 2.0, model="b")
    found = compute_dependence([one, other], "region")
    assert [text for _, text in found[0].ticks] == ["inland", "ocean", "bay"]
    assert found[0].ticks == found[1].ticks
    inland = one.data["region"].to_numpy() == "inland"
    assert set(found[0].places[inland]) == {0.0}
    assert found[0].trend["n"].tolist() == [
        int((one.data["region"] == name).sum()) for name in ("inland", "ocean", "bay")
    ]


def test_rare_categories_share_a_place() -> None:
    names = np.array([f"town {k:02}" for k in range(30)] + ["town 00"] * 5, dtype=object)
    one = attributed(np.arange(35.0)[:, None], pd.DataFrame({"town": names}))
    found = compute_dependence([one], "town")[0]
    assert len(found.ticks) == MOST_CATEGORIES + 1
    assert found.ticks[-1] == (float(MOST_CATEGORIES), "10 other values")
    assert (found.places == MOST_CATEGORIES).sum() == 10


def test_missing_values_stand_apart() -> None:
    found = compute_dependence([mixed(100)], "age")[0]
    missing = np.isnan(found.column.numbers)
    assert missing.any()
    assert found.missing_at is not None
    assert (found.places[missing] == found.missing_at).all()
    assert found.missing_at < found.places[~missing].min()
    assert compute_dependence([mixed(100)], "income")[0].missing_at is None
    empty = attributed(np.zeros((3, 1)), pd.DataFrame({"a": [np.nan] * 3}))
    assert len(compute_dependence([empty], "a")[0].trend) == 0


def test_what_cannot_be_asked_is_said() -> None:
    one = mixed(20)
    with pytest.raises(NotApplicable, match="None of the models shown uses 'height'"):
        compute_dependence([one], "height")
    with pytest.raises(ParameterError, match="No model uses 'height'"):
        compute_dependence([one], "age", colour="height")
    part = attributed(one.values[:, :1], one.data[["income"]], model="part")
    found = compute_dependence([one, part], "income", colour="region")
    assert [result.partner is None for result in found] == [False, True]
    assert [result.model for result in compute_dependence([part, one], "age")] == ["forest"]
