"""Charts of searches, parameters and folds: every trial is drawn, and said what is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboard.contracts import SearchParameter, SearchResults, SearchScore
from dashboard.diagnostics.folds import FoldScores, compare_folds
from dashboard.diagnostics.parameter_curves import ParameterCurve
from dashboard.errors import NotApplicable, ParameterError
from dashboard.figures import (
    plot_fold_differences,
    plot_fold_scores,
    plot_parameter_curves,
    plot_search_lines,
    plot_search_map,
    plot_search_parameter,
    plot_search_times,
    plot_search_training,
)
from dashboard.figures.search_lines import BELOW, shown_trials
from dashboard.logs.search_logs import read_search

FILES = Path(__file__).parent / "searches"


@pytest.fixture(scope="module")
def optuna() -> SearchResults:
    return read_search({"optuna.csv": FILES / "optuna.csv"}, larger_is_better=True)


def _grid(n: int = 4) -> SearchResults:
    """Two parameters, every pair twice, one pair without a score."""
    a, b, again = (each.ravel() for each in np.meshgrid(range(n), range(n), range(2)))
    scores = np.array(10.0 * a + b + again / 2)
    scores[(a == 0) & (b == 0)] = np.nan
    return SearchResults(
        "grid",
        "table",
        tuple(map(str, range(len(a)))),
        tuple("complete" if np.isfinite(x) else "failed" for x in scores),
        tuple(
            SearchParameter(name, tuple(int(v) for v in values))
            for name, values in (("step__alpha", a), ("step__beta", b))
        ),
        (SearchScore("points", True, scores, train=scores + 1),),
        fit_seconds=np.arange(len(a)) + 1.0,
    )


def _all(figure: go.Figure) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data}


def _marks(figure: go.Figure) -> int:
    return sum(0 if trace.x is None else len(trace.x) for trace in figure.data)


def test_lines_keep_every_trial_and_pass_below_what_is_absent(optuna: SearchResults) -> None:
    for theme in ("light", "dark"):
        figure = plot_search_lines(optuna, theme=theme)
        found = _all(figure)
        ends = found["trials"]
        assert len(ends.x) == 17
        # failed and waiting trials end at "no score"
        assert np.sum(np.isclose(ends.y, BELOW)) == 2
        assert ends.marker.symbol.count("circle-open") == 4
        assert np.isnan(found["not complete"].y).sum() == 4  # one gap after each line
        lines = sum(
            int(np.isnan(t.y).sum()) for t in figure.data if t.mode == "lines" and t.y is not None
        )
        assert lines == 17
    assert "17 trials: 13 complete, 2 partial" in figure.layout.title.text
    assert (
        "trial 7, value .942 (classifier = svc and svc_c = 4.02)" in figure.layout.meta["caption"]
    )
    best = next(t for t in figure.data if str(t.name).startswith("best"))
    assert best.y[-1] == 1.0
    assert best.y[1] == np.float32(BELOW)  # no max_depth


def test_lower_scores_stand_higher_where_lower_is_better() -> None:
    tuner = read_search({"t.zip": FILES / "keras_tuner.zip"})
    ends = _all(plot_search_lines(tuner))["trials"]
    assert ends.y[4] == 1.0  # the smallest loss
    assert ends.y[0] == 0.0
    assert ends.y[3] == np.float32(BELOW)


def test_of_very_many_trials_the_best_are_drawn_and_the_rest_is_counted() -> None:
    rng = np.random.default_rng(0)
    n = 3_000
    scores = rng.normal(size=n)
    found = SearchResults(
        "many",
        "table",
        tuple(map(str, range(n))),
        ("complete",) * n,
        tuple(SearchParameter(f"p{k}", tuple(rng.normal(size=n))) for k in range(15)),
        (SearchScore("score", True, scores),),
        fit_seconds=rng.random(n) + 0.1,
    )
    figure = plot_search_lines(found)
    assert _marks(figure) < 5_000
    text = figure.layout.title.text.replace("<br>", " ")
    assert "307 of 3,000 trials" in text
    assert "12 of 15 parameters" in text
    kept = shown_trials(found, found.score(), 100)
    assert len(kept) == 100
    assert int(np.argmax(scores)) in kept
    times = plot_search_times(found)
    assert _marks(times) < 5_000
    assert "2,000 of 3,000 trials" in times.layout.title.text.replace("<br>", " ")


def test_a_map_shows_the_best_of_each_cell_and_marks_the_empty_one() -> None:
    found = _grid()
    figure = plot_search_map(found, "step__alpha", "step__beta")
    heat = figure.data[0]
    expected = np.array([[10 * a + b + 0.5 for a in range(4)] for b in range(4)])
    expected[0, 0] = np.nan
    np.testing.assert_allclose(heat.z, expected, rtol=1e-6)
    texts = [one.text for one in figure.layout.annotations]
    assert texts.count("×") == 1
    assert "33.5" in texts
    mean = plot_search_map(found, "step__alpha", "step__beta", summary="mean").data[0]
    np.testing.assert_allclose(mean.z[1:, 1:], expected[1:, 1:] - 0.25, rtol=1e-6)
    assert "of 2 trials" in heat.text[1][1]
    assert "2 more without a score" in heat.text[0][0]
    many = _grid(30)
    dots = plot_search_map(many, "step__alpha", "step__beta")
    assert dots.data[-1].name == "best"
    assert not any(isinstance(trace, go.Heatmap) for trace in dots.data)
    with pytest.raises(ParameterError, match="given twice"):
        plot_search_map(found, "step__alpha", "step__alpha")


def test_dots_by_parameter_time_and_training_score(optuna: SearchResults) -> None:
    by = plot_search_parameter(optuna, "svc_c")
    assert len(_all(by)["complete"].x) == 5
    assert len(_all(by)["not comparable"].x) == 2
    assert by.layout.xaxis.type == "log"
    assert "10 trials without it are not drawn" in by.layout.meta["caption"]
    depth = plot_search_parameter(optuna, "max_depth")
    assert len(_all(depth)["no score"].x) == 1  # the trial that failed, on the lower edge
    assert _all(depth)["no score"].y[0] < np.nanmin(optuna.score().validation)
    times = plot_search_times(_grid())
    front = _all(times)["the best for their time"]
    assert (np.diff(front.x) > 0).all()
    assert (np.diff(front.y) > 0).all()
    assert front.y[-1] == 33.5
    training = plot_search_training(_grid())
    assert _all(training)["no gap"].x.tolist() == _all(training)["no gap"].y.tolist()
    assert "1.00 more" in training.layout.meta["caption"]
    with pytest.raises(NotApplicable, match="return_train_score"):
        plot_search_training(optuna)
    two = read_search({"k.zip": FILES / "keras_tuner.zip"})
    with pytest.raises(NotApplicable, match="how long"):
        plot_search_times(two)


def test_an_unknown_direction_names_no_best() -> None:
    found = read_search({"optuna.csv": FILES / "optuna.csv"})
    for figure in (plot_search_lines(found), plot_search_parameter(found, "svc_c")):
        assert "No trial is called the best" in figure.layout.meta["caption"]
        assert not any(str(trace.name).startswith("best") for trace in figure.data)


def test_one_parameter_value_has_nothing_to_compare() -> None:
    found = SearchResults(
        "one",
        "",
        ("0",),
        ("complete",),
        (SearchParameter("a", (1,)),),
        (SearchScore("s", True, np.array([1.0])),),
    )
    with pytest.raises(NotApplicable, match="the same parameters"):
        plot_search_lines(found)
    assert plot_search_parameter(found, "a").data


def _curve(values: tuple[Any, ...], model: str = "m", **more: Any) -> ParameterCurve:
    rng = np.random.default_rng(len(values))
    scores = rng.random((len(values), 5))
    options = {"parameter": "depth", "has_current": True, "current": values[1], **more}
    return ParameterCurve(
        model=model,
        metric="accuracy",
        title="Accuracy",
        larger_is_better=True,
        values=values,
        train=scores + 0.1,
        validation=scores,
        fit_seconds=scores,
        n_done=5 * len(values),
        n_fits=5 * len(values) + 5,
        **options,
    )


def test_parameter_curves_of_models_share_their_axis() -> None:
    one, other = _curve((1, 2, 4, None)), _curve((1, 8), "other")
    figure = plot_parameter_curves([one, other])
    assert list(figure.layout.xaxis.ticktext) == ["1", "2", "4", "8", "None"]
    lines = [t for t in figure.data if str(t.name).endswith("validation")]
    assert lines[0].x.tolist() == [0, 1, 2, 4]
    assert lines[1].x.tolist() == [0, 3]
    np.testing.assert_allclose(lines[0].y, one.validation_mean, rtol=1e-6)
    assert "30 of 40 fits are done" in figure.layout.title.text
    band = next(t for t in figure.data if t.name == "band")
    low = (one.validation_mean - one.validation.std(axis=1)).min()
    assert band.y.min() == pytest.approx(low, rel=1e-6)
    log = plot_parameter_curves(_curve((0.001, 0.01, 0.1, 1.0, 10.0)), theme="dark")
    assert log.layout.xaxis.type == "log"
    assert any("its own: .01" in str(a.text) for a in log.layout.annotations)
    with pytest.raises(ParameterError, match="different metrics or parameters"):
        plot_parameter_curves([one, _curve((1, 2), parameter="leaf")])
    empty = _curve((1, 2))
    empty.validation[:] = np.nan
    assert "no score yet" in plot_parameter_curves(empty).layout.meta["caption"]


def _scores(model: str, values: list[float]) -> FoldScores:
    held, n = np.array(values), len(values)
    return FoldScores(
        model,
        "accuracy",
        "Accuracy",
        True,
        held + 0.05,
        held,
        np.ones(n),
        np.full(n, 80),
        np.full(n, 20),
        np.zeros(n, dtype=np.int64),
        tuple("" if np.isfinite(v) else "why" for v in values),
        digest="d",
        n_done=n,
        n_fits=n,
    )


def test_folds_are_dots_with_mean_and_deviation_joined_between_models() -> None:
    one, other = _scores("a", [0.7, 0.8, 0.9]), _scores("b", [0.6, np.nan, 0.7])
    figure = plot_fold_scores([one, other])
    found = [trace for trace in figure.data if str(trace.name).startswith("folds of")]
    assert [len(trace.x) for trace in found] == [3, 2]
    means = [trace for trace in figure.data if trace.name == "mean"]
    assert means[0].x[0] == pytest.approx(0.8)
    assert means[0].error_x.array[0] == pytest.approx(np.std([0.7, 0.8, 0.9]))
    joined = _all(figure)["same fold"]
    assert np.isnan(joined.x).sum() == 2  # the fold that one lacks is not joined
    assert "1 of 3 have no score" in figure.layout.meta["caption"]
    drawn = plot_fold_differences(compare_folds([one, other]), theme="dark")
    bar = next(trace for trace in drawn.data if trace.name == "mean")
    difference = compare_folds([one, other])[0]
    assert bar.error_x.array[0] == pytest.approx(difference.high - difference.mean)
    assert drawn.layout.meta["caption"] == difference.sentence
    low, high = drawn.layout.xaxis.range
    assert low < 0 < high
    with pytest.raises(NotApplicable):
        plot_fold_differences([])


def test_rows_kept_apart_are_a_cross_within_the_axis() -> None:
    one = replace(_scores("a", [0.8, 0.85, 0.9]), apart=0.4, n_apart=30)
    figure = plot_fold_scores([one, _scores("b", [0.6, 0.65, 0.7])])
    (cross,) = [trace for trace in figure.data if trace.name == "rows kept apart"]
    assert list(cross.x) == [0.4] and abs(cross.y[0]) < 0.5
    assert figure.layout.xaxis.range[0] < 0.4
    assert ".400 on 30 rows kept apart" in figure.layout.meta["caption"]
    assert "cross: rows kept apart" in figure.layout.title.text


def test_hostile_names_stay_text() -> None:
    name = "<b>%{x}</b> $a$" * 9
    found = SearchResults(
        name,
        name,
        (name, "1"),
        ("complete", "complete"),
        (SearchParameter(name, (name, "b")), SearchParameter("c", (1.0, 2.0))),
        (SearchScore(name, True, np.array([1.0, 2.0])),),
    )
    for figure in (plot_search_lines(found), plot_search_map(found, name, "c")):
        texts = [str(one.text) for one in figure.layout.annotations]
        texts += [str(figure.layout.title.text), *(str(trace.name) for trace in figure.data)]
        texts += [str(text) for trace in figure.data for text in np.ravel(trace.text)]
        assert any("&#37;{x}" in text for text in texts)
        for text in texts:
            assert "%{x}" not in text
            assert "$" not in text


def test_numbers_beside_an_axis_do_not_run_into_each_other() -> None:
    rng = np.random.default_rng(0)
    crowded = (0.001, 0.0011, 0.0012, 0.5, 1.0)
    scores = rng.random(40)
    found = SearchResults(
        "rates",
        "table",
        tuple(map(str, range(40))),
        ("complete",) * 40,
        (
            SearchParameter("rate", tuple(10 ** rng.uniform(-6, -1, 40))),
            SearchParameter("drop", tuple(crowded[k % 5] for k in range(40)), None, "linear"),
        ),
        (SearchScore("points", True, scores),),
    )
    notes = plot_search_lines(found).layout.annotations
    beside: dict[float, list[tuple[float, str]]] = {0.0: [], 1.0: []}
    for one in notes:
        if one.xanchor == "left" and one.x in beside:
            beside[one.x].append((float(one.y), one.text))
    for texts in beside.values():
        heights = sorted(at for at, _ in texts)
        assert len(heights) > 1 and np.diff(heights).min() >= 0.05
    assert {"10⁻⁵", ".001"} <= {text for _, text in beside[0.0]}
    assert {".001", "1"} <= {text for _, text in beside[1.0]}


def test_training_and_validation_scores_stand_on_the_same_axes() -> None:
    figure = plot_search_training(_grid())
    (line,) = (one for one in figure.data if one.name == "no gap")
    low, high = figure.layout.xaxis.range
    assert low <= line.x.min() and line.x.max() <= high  # the line of no gap is in sight
    assert (
        figure.layout.yaxis.range[0] <= line.y.min() < line.y.max() <= figure.layout.yaxis.range[1]
    )
    assert figure.layout.xaxis.tickvals == figure.layout.yaxis.tickvals
