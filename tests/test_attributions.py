"""What results of attributions share, and beeswarms: orders and colours as in shap."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dashboard.contracts import OutputSpace
from dashboard.diagnostics.attributions import (
    column_of,
    common_features,
    in_unit,
    output_position,
    place_of_row,
    same_unit,
    strengths,
    value_ranks,
)
from dashboard.diagnostics.beeswarm import COLUMNS, LAYERS, RASTER_ABOVE, compute_beeswarm
from dashboard.errors import NotApplicable, ParameterError
from tests.explained import attributed, forest, mixed, three_classes


def test_the_order_is_that_of_shap() -> None:
    one, explanation = forest()
    order = explanation.abs.mean(0).values.argsort()[::-1]
    assert common_features([one])[0] == tuple(explanation.feature_names[k] for k in order)
    assert strengths(one) == pytest.approx(explanation.abs.mean(0).values, rel=1e-12)
    assert compute_beeswarm([one], limit=3)[0].features == common_features([one])[0][:3]


def test_models_of_different_units_count_alike() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    dollars = attributed([[900.0, 100.0], [900.0, -100.0]], frame)
    shares = attributed([[0.1, 0.9], [0.1, 0.9]], frame, model="b", space=OutputSpace.PROBABILITY)
    lacking = attributed([[0.5], [0.5]], frame[["b"]], model="c")
    assert common_features([dollars, shares]) == (("a", "b"), 2)  # .9 + .1 each: order of the data
    assert common_features([dollars, shares, lacking], limit=1) == (("b",), 2)
    assert same_unit([dollars, lacking])
    assert not same_unit([dollars, shares])


def test_outputs_are_found_by_name() -> None:
    one = three_classes()
    assert [output_position(one, name) for name in (None, "setosa", "virginica")] == [0, 0, 2]
    with pytest.raises(ParameterError, match="setosa, versicolor and virginica"):
        output_position(one, "rose")
    digits = attributed(np.zeros((1, 1, 2)), np.zeros((1, 1)), outputs=(1, True))
    assert output_position(digits, True) == 1
    assert output_position(digits, "True") == 1
    assert in_unit(OutputSpace.PROBABILITY, "yes") == "probability of yes"
    assert in_unit(OutputSpace.TARGET, "price") == "price"


def test_rows_that_are_not_explained_are_said() -> None:
    one = mixed(10)
    assert place_of_row(one, 27) == 9
    with pytest.raises(NotApplicable, match="Row 28 is not among the 10 rows"):
        place_of_row(one, 28)


def test_cells_stay_readable() -> None:
    frame = pd.DataFrame(
        {
            "number": [1.23456, np.inf],
            "whole": [1200, -5],
            "text": ["b", None],
            "flag": [True, False],
            "day": [pd.Timestamp("2024-02-29"), pd.NaT],
            "zoned": pd.to_datetime(["2024-02-29 12:30+02:00", None], utc=True),
            "level": pd.Categorical(["low", None], categories=["low", "high"], ordered=True),
            "nullable": pd.array([3, None], dtype="Int64"),
            "objects": pd.Series([1.5, None], dtype=object),
            "mixture": pd.Series(["a", 1], dtype=object),
            "empty": pd.Series([None, None], dtype=object),
        }
    )
    one = attributed(np.zeros((2, frame.shape[1])), frame)
    texts = {name: [column_of(one, name).text(k) for k in (0, 1)] for name in frame}
    assert texts == {
        "number": ["1.235", "missing"],
        "whole": ["1,200", "−5"],
        "text": ["b", "missing"],
        "flag": ["True", "False"],
        "day": ["2024-02-29", "missing"],
        "zoned": ["2024-02-29 10:30", "missing"],
        "level": ["low", "missing"],
        "nullable": ["3", "missing"],
        "objects": ["1.5", "missing"],
        "mixture": ["a", "1"],
        "empty": ["missing", "missing"],
    }
    both = np.array([1, 0, 1])
    assert all(
        column_of(one, name).texts(both) == [text[1], text[0], text[1]]
        for name, text in texts.items()
    )
    kinds = {name: column_of(one, name).kind for name in frame}
    assert [name for name, kind in kinds.items() if kind == "date"] == ["day", "zoned"]
    assert kinds["objects"] == kinds["nullable"] == "number"
    with pytest.raises(ParameterError, match="does not use 'height'"):
        column_of(one, "height")


def test_columns_of_one_name_and_cells_of_arrays_are_taken_by_place() -> None:
    pixels = attributed(
        np.zeros((2, 4)), np.arange(8.0).reshape(2, 2, 2), names=("p1", "p2", "p3", "p4")
    )
    assert column_of(pixels, "p3").numbers.tolist() == [2.0, 6.0]


def test_colours_run_from_the_5th_to_the_95th_percentile() -> None:
    numbers = np.arange(101.0)
    one = attributed(np.zeros((101, 1)), numbers[:, None])
    ranks = value_ranks(column_of(one, "x0"))
    assert ranks[[0, 5, 14, 50, 95, 100]] == pytest.approx([0, 0, 0.1, 0.5, 1, 1])
    rare = np.zeros(101)
    rare[0] = 1.0  # neither percentile sees it
    ranks = value_ranks(column_of(attributed(np.zeros((101, 1)), rare[:, None]), "x0"))
    assert (ranks[0], ranks[1]) == (1.0, 0.0)
    constant = value_ranks(column_of(attributed(np.zeros((3, 1)), np.ones((3, 1))), "x0"))
    assert constant.tolist() == [0.5] * 3
    assert np.isnan(value_ranks(column_of(mixed(5), "region"))).all()


# Beeswarms


def test_every_row_is_drawn_where_they_fit() -> None:
    one = mixed(100)
    swarm = compute_beeswarm([one])[0]
    points = swarm.points
    assert points is not None
    assert swarm.cells is None
    assert len(points.value) == swarm.n_points == 600
    for k, name in enumerate(swarm.features):
        mine = points.feature == k
        place = one.feature_names.index(name)
        expected = dict(zip(one.rows.tolist(), one.values[:, place, 0].tolist(), strict=True))
        assert (
            dict(zip(points.row[mine].tolist(), points.value[mine].tolist(), strict=True))
            == expected
        )
        assert np.abs(points.offset[mine]).max() <= 0.4
    table = swarm.frame()
    assert table.columns.tolist() == ["model", "output", "row", "feature", "value", "data"]
    assert len(table) == 600
    assert table["value"].sum() == pytest.approx(one.values.sum())


def test_within_a_column_higher_values_lie_on_top() -> None:
    one = attributed(np.ones((21, 1)), np.arange(21.0)[:, None])
    points = compute_beeswarm([one])[0].points
    assert points is not None
    order = np.argsort(points.offset)
    assert points.colour[order].tolist() == sorted(points.colour.tolist())
    assert (points.offset.min(), points.offset.max()) == pytest.approx((-0.4, 0.4))


def test_models_share_features_span_and_marks() -> None:
    small, large = mixed(200), mixed(200, 3.0, model="boosting")
    part = attributed(small.values[:, :1], small.data[["income"]], model="part", rows=small.rows)
    swarms = compute_beeswarm([small, large, part], max_marks=900)
    assert len({swarm.features for swarm in swarms}) == len({swarm.span for swarm in swarms}) == 1
    assert swarms[0].span[1] == pytest.approx(large.values.max())
    assert sum(len(swarm.points.value) for swarm in swarms if swarm.points) <= 900
    assert swarms[2].used.sum() == 1
    assert np.isnan(swarms[2].strength).sum() == 5
    log_odds = mixed(200, space=OutputSpace.LOG_ODDS)
    apart = compute_beeswarm([log_odds, large])
    assert apart[0].span != apart[1].span


def test_thinning_leaves_lonely_rows() -> None:
    values = np.concatenate([np.zeros(995), [-9.0, -6.0, -3.0, 4.0, 8.0]])[:, None]
    points = compute_beeswarm([attributed(values, values)], max_marks=50)[0].points
    assert points is not None
    assert len(points.value) <= 50
    assert {-9.0, -6.0, -3.0, 4.0, 8.0} <= set(points.value.tolist())


def test_many_rows_are_a_raster_that_counts_all_of_them() -> None:
    n = 5_000
    one = mixed(n)
    swarm = compute_beeswarm([one])[0]
    assert swarm.points is None
    cells = swarm.cells
    assert cells is not None
    assert swarm.n_points == 6 * n > RASTER_ABOVE
    assert cells.shade.shape == (6, LAYERS, COLUMNS)
    for k, name in enumerate(swarm.features):
        assert cells.sizes[cells.targets.feature == k].sum() == n
        low, high = swarm.span
        values = one.values[:, one.feature_names.index(name), 0]
        filled = np.histogram(values, bins=COLUMNS, range=(low, high))[0] > 0
        assert (~np.isnan(cells.shade[k])).any(axis=0).tolist() == filled.tolist()
        ordered = name not in ("region", "flag")
        shown = cells.shade[k][~np.isnan(cells.shade[k])]
        assert (shown >= 0).any() if ordered else (shown == -1).all()
    assert set(cells.targets.row.tolist()) <= set(one.rows.tolist())
    # income itself orders its values: dark to the right
    middle = cells.shade[0, LAYERS // 2]
    known = middle[~np.isnan(middle)]
    assert (np.diff(known) >= -1e-12).all()
    few = compute_beeswarm([one], max_rows=1_000)[0]
    assert few.n == 1_000
    assert few.n_given == one.n_given


def test_one_row_can_be_asked_for() -> None:
    one = mixed(50)
    swarm = compute_beeswarm([one])[0]
    row = swarm.of_row(30)
    assert row is not None
    place = [one.feature_names.index(name) for name in swarm.features]
    assert row.value.tolist() == one.values[10, place, 0].tolist()
    assert swarm.of_row(31) is None


@pytest.mark.parametrize("values", [np.zeros((1, 1)), np.full((3, 2), 0.5)])
def test_one_row_and_constant_values_have_a_span(values: np.ndarray) -> None:
    swarm = compute_beeswarm([attributed(values, values)])[0]
    assert swarm.span[0] < swarm.span[1]


def test_nothing_explained_is_said() -> None:
    with pytest.raises(NotApplicable, match="No rows are explained"):
        compute_beeswarm([mixed(5).take(np.zeros(0, dtype=np.int64))])
    with pytest.raises(NotApplicable):
        compute_beeswarm([])
