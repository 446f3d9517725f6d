"""A figure that is only sent: as Plotly would send it, and Plotly's own when asked for more."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
import pytest

from dashboard.figures.drawn import Drawn, add_meta, meta_of

ARRAYS = {
    "float32": np.linspace(0, 1, 7, dtype=np.float32),
    "float64": np.array([0.1, np.nan, np.inf]),
    "int8": np.arange(3, dtype=np.int8),
    "int64": np.array([1, 400, 70_000]),
    "uint32": np.array([1, 2**31 + 1], dtype=np.uint32),
    "large": np.array([1, 2**40]),
    "texts": np.array(["a", "<b>"]),
    "objects": np.array(["a", None, 1.5], dtype=object),
    "bools": np.array([True, False]),
    "dates": np.array(["2026-01-01", "2026-02-01"], dtype="datetime64[D]"),
    "empty": np.array([]),
    "turned": np.arange(6.0)[::-2],
}


def _given(values: Any) -> dict[str, Any]:
    return {
        "data": [
            {"type": "scatter", "y": values, "name": "one", "line": {"color": "red"}},
            {"type": "heatmap", "z": np.arange(6.0).reshape(2, 3), "x": ["a", "b", "c"]},
        ],
        "layout": {
            "title": {"text": "Title"},
            "xaxis": {"range": np.array([0.0, 1.0]), "tickvals": [0, 0.5]},
            "shapes": [{"type": "line", "x0": 0, "x1": np.float64(1.5)}],
            "meta": {"name": "figure"},
            "template": {"layout": {"font": {"size": 13}}},
        },
    }


def _json(figure: Any) -> Any:
    return json.loads(pio.to_json(figure, validate=False))


@pytest.mark.parametrize("kind", list(ARRAYS))
def test_it_is_sent_as_plotly_sends_it(kind: str) -> None:
    given = _given(ARRAYS[kind])
    made = Drawn(**given, _validate=False)
    assert _json(made) == _json(go.Figure(**given))
    assert made.specification is not None  # nothing of Plotly was made for it
    assert _json(made.add_trace(go.Scatter(y=[1]))) == _json(
        go.Figure(**given).add_trace(go.Scatter(y=[1]))
    )


def _added(figure: Any) -> Any:
    """Everything that can be put on a drawing without asking Plotly."""
    figure.add_trace({"type": "scatter", "x": np.arange(3), "y": [3, None, 1], "error_y": None})
    figure.add_traces([{"type": "bar", "y": [1, 2]}, {"type": "heatmap", "z": [[1, 2]]}])
    figure.add_annotation(x=1, y=2, text="note")
    figure.add_annotation({"x": 3, "y": 2, "text": "another"})
    figure.add_shape(type="rect", x0=0, x1=1, y0=0, y1=1, line={"width": 2})
    figure.add_vline(x=0.5, line={"color": "red"}, xref="x2")
    figure.add_hline(y=2, line={"width": 1}, layer="below")
    add_meta(figure, models=["a"])
    return figure


def test_what_is_added_is_added_as_plotly_does() -> None:
    made = _added(Drawn(**_given([1, 2]), _validate=False))
    assert made.specification is not None
    expected = _json(_added(go.Figure(**_given([1, 2]))))
    assert _json(made) == expected
    assert _json(_added(Drawn(**_given([1, 2])))) == expected  # one that is checked
    assert len(made.layout.shapes) == 4 and made.specification is None  # the line that was given


def test_what_only_plotly_can_add_is_added_by_plotly() -> None:
    words = {"annotation_text": "half", "annotation_position": "top"}
    for figure in (
        Drawn(**_given([1, 2]), _validate=False).add_vline(x=0.5, **words),
        Drawn(**_given([1, 2]), _validate=False).add_trace(go.Scatter(y=[1])),
    ):
        assert figure.specification is None
    made = Drawn(**_given([1, 2]), _validate=False).add_vline(x=0.5, **words)
    assert _json(made) == _json(go.Figure(**_given([1, 2])).add_vline(x=0.5, **words))


def test_a_figure_that_is_checked_names_what_plotly_does_not_know() -> None:
    figure = Drawn(**_given([1, 2])).add_trace({"type": "scatter", "colour": "red"})
    with pytest.raises(ValueError, match="colour"):
        figure.to_dict()


def test_what_is_sent_is_not_the_figures_own() -> None:
    made = Drawn(**_given([1, 2]), _validate=False)
    made.to_dict()["layout"]["title"]["text"] = "another"
    made.to_dict()["data"][0]["line"]["color"] = "blue"
    assert _json(made) == _json(go.Figure(**_given([1, 2])))


def test_it_is_plotlys_figure_for_whoever_asks() -> None:
    made = Drawn(**_given([1, 2]), _validate=False)
    assert meta_of(made) == {"name": "figure"} and made.specification is not None
    assert made.layout.title.text == "Title" and made.specification is None
    assert meta_of(made) == {"name": "figure"}
    assert len(made.data) == 2 and made.data[0].name == "one"
    made.layout.title.text = "another"
    assert made.to_dict()["layout"]["title"]["text"] == "another"
    assert not hasattr(made, "nothing_of_the_kind")


@pytest.mark.parametrize("looked_into", [False, True])
def test_copies_and_pickles_are_equal(looked_into: bool) -> None:
    made = Drawn(**_given(np.arange(3.0)), _validate=False)
    if looked_into:
        assert made.layout.title.text == "Title"
    expected = _json(go.Figure(**_given(np.arange(3.0))))
    for other in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert _json(other) == expected
