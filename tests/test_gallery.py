"""The exhibits: what applies to what, figures from exact results, and the one-sentence headline."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

import dashboard
from dashboard.contracts import RawPredictions, Task
from dashboard.diagnostics.thresholds import compute_thresholds
from dashboard.evaluation import Evaluation
from dashboard.figures import canvas
from dashboard.figures.theme import style_of
from dashboard.gallery import EXHIBITS, View, compute_now, exhibits, headline


def _evaluation(task: Task, *, scores: bool = True) -> Evaluation:
    rng = np.random.default_rng(2)
    n = 90
    frame = pd.DataFrame({"x": rng.normal(size=n)})
    raw: RawPredictions
    target: str | list[str] = "y"
    if task is Task.BINARY:
        frame["y"] = np.where(frame["x"] + rng.normal(size=n) > 0.5, "yes", "no")
        chance = 1 / (1 + np.exp(-frame["x"].to_numpy()))
        raw = RawPredictions(scores=chance) if scores else RawPredictions(labels=frame["y"])
    elif task is Task.MULTICLASS:
        frame["y"] = rng.choice(["a", "b", "c"], n)
        chance = rng.dirichlet([1, 1, 1], n)
        raw = RawPredictions(scores=chance, classes=["a", "b", "c"])
    elif task is Task.MULTILABEL:
        target = ["p", "q"]
        frame["p"], frame["q"] = rng.integers(0, 2, n), rng.integers(0, 2, n)
        raw = RawPredictions(scores=rng.random((n, 2)))
    else:
        k = 2 if task is Task.MULTIOUTPUT_REGRESSION else 1
        target = [f"y{i}" for i in range(k)]
        for name in target:
            frame[name] = frame["x"] * 3 + rng.normal(size=n)
        raw = RawPredictions(labels=np.repeat(frame[["x"]].to_numpy() * 3, k, axis=1))
        target = target if k > 1 else target[0]
    return dashboard.evaluate(frame, target=target, predictions={"one": raw, "two": raw}, task=task)


def _view(evaluation: Evaluation) -> View:
    label = 0 if evaluation.evalset.target.task in (Task.MULTICLASS, Task.MULTILABEL) else None
    operating = {
        each.name: compute_thresholds(each, label).at(each.default_threshold)
        for each in evaluation.models
        if each.y_score is not None
    }
    styles = {"one": style_of(0), "two": style_of(1)}
    output = 0 if evaluation.evalset.target.task is Task.MULTIOUTPUT_REGRESSION else None
    return View(styles=styles, label=label, operating=operating, output=output)


@pytest.mark.parametrize("task", list(Task))
def test_every_exhibit_of_a_task_draws_every_model(task: Task) -> None:
    evaluation = _evaluation(task)
    assert not evaluation.failures, evaluation.failures
    shown = exhibits(task, evaluation.models)
    assert {each.name for each in shown} == {
        name for name, each in EXHIBITS.items() if task in each.tasks
    }
    for exhibit in shown:
        drawings = exhibit.draw(evaluation.models, _view(evaluation), compute_now)
        named = {name for one in drawings for name in one.results}
        assert named == {"one", "two"}, exhibit.name
        for one in drawings:
            assert one.figure.layout.meta["caption"] and one.figure.layout.meta["alt"]
            assert all(len(result.frame()) for result in one.results.values())
            marks = sum(len(t.x) for t in one.figure.data if getattr(t, "x", None) is not None)
            assert marks < 10_000


def test_labels_alone_have_a_matrix_and_no_curves() -> None:
    evaluation = _evaluation(Task.BINARY, scores=False)
    assert [each.name for each in exhibits(Task.BINARY, evaluation.models)] == ["confusion"]


@pytest.mark.parametrize("task", list(Task))
def test_the_headline_names_a_model_and_a_number(task: Task) -> None:
    evaluation = _evaluation(task)
    said = headline(evaluation.predictions, evaluation.scores, _view(evaluation).operating)
    assert "one" in said and any(letter.isdigit() for letter in said) and said.endswith(".")


def test_against_the_rest_is_two_by_two_at_the_threshold() -> None:
    evaluation = _evaluation(Task.MULTICLASS)
    view = View(**{**_view(evaluation).__dict__, "against_rest": True})
    drawings = EXHIBITS["confusion"].draw(evaluation.models, view, compute_now)
    matrix = drawings[0].results["one"]
    counts = view.operating["one"]
    # rows are true classes: rest, then the class in focus
    assert matrix.counts.tolist() == [[counts.tn, counts.fp], [counts.fn, counts.tp]]


def test_beyond_fifty_classes_all_models_show_the_same_ones_and_clicks_find_their_rows() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(60), 4)
    frame = pd.DataFrame({"x": rng.normal(size=240), "y": [f"c{i:02}" for i in truth]})
    one, two = truth.copy(), truth.copy()
    one[truth == 7], two[truth == 55] = 8, 56
    answers = {
        name: RawPredictions(labels=np.array([f"c{i:02}" for i in codes]))
        for name, codes in (("one", one), ("two", two))
    }
    evaluation = dashboard.evaluate(frame, target="y", predictions=answers)
    drawings = EXHIBITS["confusion"].draw(evaluation.models, _view(evaluation), compute_now)
    assert drawings[0].kept == drawings[1].kept and len(drawings[0].kept) == 50
    at = drawings[0].kept.index(55)
    assert drawings[0].cell((at, at)) == (55, 55)
    # all four rows of class 7 were called 8, a share of the whole row
    drawn = drawings[0].results["one"].most_confused(50)
    shares = drawn.shares("true")
    assert shares[drawn.kept.index(7), drawn.kept.index(8)] == 1.0


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("task", list(Task))
def test_figures_as_the_app_draws_them_are_the_checked_ones(
    task: Task, theme: Literal["light", "dark"], monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluation = _evaluation(task)
    view = replace(_view(evaluation), theme=theme)
    for exhibit in exhibits(task, evaluation.models):
        checked = exhibit.draw(evaluation.models, view, compute_now)
        monkeypatch.setitem(canvas.UNCHECKED, "_validate", False)
        drawn = exhibit.draw(evaluation.models, view, compute_now)
        monkeypatch.delitem(canvas.UNCHECKED, "_validate")
        for one, other in zip(drawn, checked, strict=True):
            assert _parts(one.figure) == _parts(other.figure)
            assert one.figure.layout.xaxis == other.figure.layout.xaxis  # can be read, too


def _parts(figure: go.Figure) -> dict[str, Any]:
    parts: dict[str, Any] = json.loads(figure.to_json())
    return {**parts, "layout": {name: part for name, part in parts["layout"].items() if part != []}}
