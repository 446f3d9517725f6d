"""Charts of importances: what is drawn, folded, said, and what a click tells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dashboard import figures
from dashboard.diagnostics.importance import Importance
from dashboard.diagnostics.importance_comparison import compare_importances, compute_importance_gap
from dashboard.errors import NotApplicable, ParameterError
from tests.test_importance import made


def _measured(model: str = "forest", scale: float = 1.0, **options: Any) -> Importance:
    values = np.array([0.30, 0.12, 0.10, 0.002, 0.0]) * scale
    deviations = np.random.default_rng(0).normal(0, 0.01 * scale, (500, 5))
    spread = 2 * 0.01 * scale
    given = {"low": values - spread, "high": values + spread, "deviations": deviations} | options
    return made(values, model=model, **given)


def _spans(figure: Any, kind: str) -> list[Any]:
    return [trace for trace in figure.data if trace.type == kind]


@pytest.mark.parametrize("layout", ["dots", "columns"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_model_on_the_same_rows(layout: Any, theme: Any) -> None:
    figure = figures.plot_importances(
        [_measured("one"), _measured("two", 0.5)], layout=layout, theme=theme
    )
    assert list(figure.layout.meta["features"]) == ["a", "b", "c"]
    assert list(figure.layout.meta["models"]) == ["one", "two"]
    marks = _spans(figure, "scatter" if layout == "dots" else "bar")
    assert [list(np.round(mark.x, 3)) for mark in marks] == [[0.3, 0.12, 0.1], [0.15, 0.06, 0.05]]
    errors = marks[0].error_x
    assert np.asarray(errors.array) == pytest.approx([0.02] * 3)
    assert np.asarray(errors.arrayminus) == pytest.approx([0.02] * 3)
    assert figures.clicked(figure.layout.meta, marks[1].customdata[2])[:3] == (None, "c", "two")
    assert "not drawn: 2 near zero for all" in figure.layout.title.text
    assert "Both put a first" in figure.layout.meta["caption"]
    assert figure.layout.meta["alt"].startswith("Importance of 3 features.")


def test_ties_and_ranks_are_said() -> None:
    one = _measured()
    figure = figures.plot_importances([one])
    hover = figure.data[0].hovertext
    assert "rank 1 of 5" in hover[0] and "between" not in hover[0]
    assert "rank 2 of 5, between 2 and 3" in hover[1]
    tied = replace(one, deviations=one.deviations * 20)
    caption = figures.plot_importances([tied]).layout.meta["caption"]
    assert "too close to call against" in caption


def test_repeats_are_drawn_as_ticks() -> None:
    repeats = np.tile(np.array([[0.3], [0.12], [0.1], [0.0], [0.0]]), 4)
    figure = figures.plot_importances([_measured(repeats=repeats)])
    ticks = figure.data[0]
    assert ticks.marker.symbol == "line-ns-open" and len(ticks.x) == 12


def test_units_that_differ_become_shares() -> None:
    gain = _measured("boosting", unit="share of the gain", title="Gain", method="gain")
    line = _measured("line", 40.0, unit="standard deviation of the contribution",
                     title="Size of the coefficient", method="coefficient",
                     signs=np.array([1, -1, 0, 1, 1]))  # fmt: skip
    figure = figures.plot_importances([gain, line])
    assert figure.data[0].x == pytest.approx(figure.data[1].x, rel=1e-6)
    assert "Share of each one" in figure.layout.xaxis.title.text
    assert [text.strip() for text in figure.data[1].text] == ["+", "−", ""]
    title = figure.layout.title.text
    assert "Gain and size of the coefficient" in title and "+ and −: larger values" in title
    unsigned = figures.plot_importances([gain, replace(line, signs=None)])
    assert "larger values" not in unsigned.layout.title.text
    bars = figures.plot_importances([gain, line], layout="columns").data
    assert [text.strip() for text in bars[1].text] == ["+", "−", ""]


def test_no_interval_is_not_an_interval_of_no_length() -> None:
    assert figures.plot_importances([_measured()]).data[0].error_x.visible
    assert not figures.plot_importances([made([0.2, 0.1])]).data[0].error_x.visible


def test_a_feature_that_a_model_lacks_is_not_zero() -> None:
    other = made([0.2, 0.1], model="other", features=("a", "z"))
    dots = figures.plot_importances([_measured(), other])
    places = list(dots.layout.meta["features"])
    assert np.isnan(dots.data[1].x[places.index("b")])
    columns = figures.plot_importances([_measured(), other], layout="columns")
    said = [note.text for note in columns.layout.annotations]
    assert said.count("not one of its features") == 3


def test_many_features_and_models() -> None:
    rng = np.random.default_rng(0)
    names = tuple(f"a rather long feature name, number {k}" for k in range(300))
    many = [made(rng.random(300) + 0.1, model=f"model {k}", features=names) for k in range(6)]
    figure = figures.plot_importances(many, layout="columns", limit=20)
    assert len(figure.layout.meta["features"]) == 20 and len(figure.data) == 6
    assert "20 of 300 features; not drawn: 280 less important" in figure.layout.title.text
    assert len(set(figure.layout.yaxis.ticktext)) == 20


def test_names_are_plain_text() -> None:
    evil = made([1.0, 0.5], model="<b>x</b>", features=("<script>", "a%{x}"))
    for layout in ("dots", "columns"):
        text = figures.plot_importances([evil, replace(evil, model="y")], layout=layout).to_json()
        assert "<script>" not in text.replace('"<script>"', "")
        assert "<b>x</b>" not in text.replace('"<b>x</b>"', "")


def test_nothing_measured_and_nothing_important() -> None:
    for values in ([0.0, 0.0], [np.nan, np.nan]):
        figure = figures.plot_importances([made(values)])
        assert "relies on none of its features measurably" in figure.layout.meta["caption"]
    for options in ({"layout": "rows"}, {"limit": 0}):
        with pytest.raises(ParameterError):
            figures.plot_importances([_measured()], **options)
    with pytest.raises(ParameterError):
        figures.plot_importances([])


def test_agreement_of_two_and_of_four() -> None:
    rng = np.random.default_rng(0)
    four = [made(rng.random(6), model=f"model {k}") for k in range(4)]
    compared = compare_importances(four)
    figure = figures.plot_agreement(compared)
    z = np.asarray(figure.data[0].z, dtype=float)
    assert np.isnan(np.diag(z)).all()
    assert z[0, 1] == pytest.approx(max(compared.matrix()[0, 1], 0))
    assert len(figure.layout.annotations) == 12
    two = compare_importances(four[:2])
    scatter = figures.plot_agreement(two, theme="dark")
    dots = scatter.data[-1]
    assert np.asarray(dots.x).sum() == pytest.approx(100, rel=1e-5)
    assert figures.clicked(scatter.layout.meta, dots.customdata[0]).feature == two.features[0]


def test_places_from_model_to_model() -> None:
    one = made([3.0, 2.0, 1.0], model="one")
    two = made([3.0, 1.0, 2.0], model="two")
    figure = figures.plot_rank_flow([one, two])
    names = figure.layout.meta["features"]
    lines = dict(zip(names, (list(line.y) for line in figure.data), strict=True))
    assert lines == {"a": [1, 1], "b": [2, 3], "c": [3, 2]}
    assert [(note.text, note.y) for note in figure.layout.annotations] == [
        ("a", 1), ("c", 2), ("b", 3)
    ]  # fmt: skip
    assert list(figure.layout.yaxis.tickvals) == [1, 2, 3]  # there is no place 1.5
    # without errors nothing is clear: a place is not far enough to stand out, two are
    assert len({line.line.color for line in figure.data}) == 1
    assert "moves by 2 or more" in figure.layout.title.text
    far = figures.plot_rank_flow([one, made([1.0, 2.0, 3.0], model="two")])
    assert len({line.line.color for line in far.data}) == 2
    sure = replace(one, deviations=np.zeros((9, 3)))
    clear = figures.plot_rank_flow([sure, replace(two, deviations=np.zeros((9, 3)))])
    assert clear.data[0].line.color != clear.data[1].line.color
    assert "differs clearly" in clear.layout.title.text
    with pytest.raises(ParameterError, match="two importances"):
        figures.plot_rank_flow([one])


def test_places_of_shared_features_only_and_names_that_cover_nobody() -> None:
    names = tuple(f"pixel {k}" for k in range(60))
    values = 1.0 / (1 + np.arange(60.0))
    one, two = (made(values, model=name, features=names) for name in ("one", "two"))
    three = made([2.0, 1.0], model="three", features=("step 1", "step 2"))
    figure = figures.plot_rank_flow([one, two, three], limit=6)
    assert list(figure.layout.meta["features"]) == list(names[:6])
    assert "6 of 62 features" in figure.layout.title.text
    assert figure.layout.yaxis.range[0] < 8  # as deep as what is drawn
    tied = made(np.ones(6), model="flat", features=names[:6])
    heights = np.array([note.y for note in figures.plot_rank_flow([one, tied]).layout.annotations])
    assert len(heights) == 6 and np.diff(heights).min() > 0
    with pytest.raises(NotApplicable, match="in common"):
        figures.plot_rank_flow([one, three])


def test_training_against_evaluation() -> None:
    training, evaluation = _measured(part="training"), _measured(scale=0.5, part="evaluation")
    gap = compute_importance_gap(training, evaluation)
    figure = figures.plot_importance_gap([gap])
    assert list(figure.layout.meta["features"]) == ["a", "b", "c"]
    assert [list(line.x) for line in figure.data] == [
        pytest.approx([0.3, 0.15]), pytest.approx([0.12, 0.06]), pytest.approx([0.1, 0.05])
    ]  # fmt: skip
    assert "3 of 5 features" in figure.layout.title.text
    # .15, .06 and .05 of .522 in training are lost
    assert gap.memorised == ("a", "b", "c") and gap.lost == pytest.approx(0.26 / 0.522)
    said = figure.layout.meta["caption"]
    assert "clearly more on the training rows" in said and "50 % of all importance" in said
    same = compute_importance_gap(training, training)
    assert same.lost == 0
    assert (
        "No feature helps clearly more"
        in figures.plot_importance_gap([same]).layout.meta["caption"]
    )


def test_gaps_of_several_models_share_features_and_axis() -> None:
    halves = [
        compute_importance_gap(
            _measured(name, part="training"), _measured(name, scale, part="evaluation")
        )
        for name, scale in (("tree", 0.5), ("line", 1.0))
    ]
    figure = figures.plot_importance_gap(halves, theme="dark")
    assert len(figure.data) == 6 and {line.xaxis for line in figure.data} == {"x", "x2"}
    assert figure.layout.xaxis.range == figure.layout.xaxis2.range
    assert figures.clicked(figure.layout.meta, figure.data[3].customdata[0])[1:3] == ("a", "line")
    said = figure.layout.meta["caption"]
    assert said.startswith("tree: a, b and c help") and "line: no feature" in said
    alone = figures.plot_importance_gap(halves[1:], among=halves)
    assert alone.layout.xaxis.range == figure.layout.xaxis.range and len(alone.data) == 3
    with pytest.raises(ParameterError, match="different units"):
        figures.plot_importance_gap([halves[0], replace(halves[1], unit="rise of RMSE")])
