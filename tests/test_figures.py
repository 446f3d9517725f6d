"""Figures, asserted through their data: never through images."""

from __future__ import annotations

import html
import inspect
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from sklearn.metrics import roc_curve

from dashboard import figures
from dashboard.contracts import Predictions, ScoreKind, Target, Task
from dashboard.diagnostics.confusion import ConfusionMatrix, compute_confusion
from dashboard.diagnostics.curves import (
    compute_calibration,
    compute_cost,
    compute_gain,
    compute_precision_recall,
    compute_roc,
    compute_score_distribution,
)
from dashboard.diagnostics.metrics import MetricTable, compute_metrics
from dashboard.diagnostics.regression import RegressionFit, compute_fit
from dashboard.diagnostics.thresholds import compute_thresholds
from dashboard.errors import ParameterError
from dashboard.figures import theme as look
from dashboard.figures.canvas import models_title, number_ticks, wrapped

HOSTILE = "<b>x</b> & %{y} $a$ <script>alert(1)</script>"
THEMES: tuple[look.Theme, ...] = ("light", "dark")


def _binary(name: str, n: int = 400, *, label: str = "yes", seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(np.int64)
    score = 1 / (1 + np.exp(-(rng.normal(size=n) + 1.5 * y - 1)))
    target = Target(Task.BINARY, "hit", ("no", label), y, 1)
    return Predictions(name, target, None, score, ScoreKind.PROBABILITY, None, np.arange(n), n)


def _values(name: str, n: int = 300, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    y = rng.normal(100, 20, n)
    target = Target(Task.REGRESSION, HOSTILE if name == HOSTILE else "price", (), y)
    guess = y + rng.normal(0, 5, n)
    return Predictions(name, target, guess, None, None, None, np.arange(n), n)


def _matrix(k: int, model: str = "forest", seed: int = 0, prefix: str = "class") -> ConfusionMatrix:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 5, (k, k)).astype(float) + np.diag(rng.integers(50, 90, k))
    counts[0, 1:] = 0
    labels = tuple(f"{prefix} {i}" for i in range(k))
    return ConfusionMatrix(model, labels, counts, n=int(counts.sum()))


def _scores(models: list[Predictions]) -> MetricTable:
    names = ["roc_auc", "accuracy"]
    return MetricTable.concat([compute_metrics(p, metrics=names, n_bootstrap=50) for p in models])


def _every_figure(name: str, label: str, theme: look.Theme) -> dict[str, go.Figure]:
    """One figure of each kind, with `name` as model and `label` as class."""
    two = [_binary(name, label=label), _binary("other", label=label, seed=1)]
    fits = [compute_fit(_values(name)), compute_fit(_values("other", seed=1))]
    tables = {p.name: compute_thresholds(p) for p in two}
    matrix = compute_confusion(two[0], threshold=0.5)
    return {
        "confusion": figures.plot_confusion(matrix, theme=theme),
        "difference": figures.plot_confusion_difference(
            matrix, compute_confusion(two[1], threshold=0.5), theme=theme
        ),
        "roc": figures.plot_roc([compute_roc(p, threshold=0.5) for p in two], theme=theme),
        "precision_recall": figures.plot_precision_recall(
            [compute_precision_recall(p, threshold=0.5) for p in two], theme=theme
        ),
        "gain": figures.plot_gain([compute_gain(p, threshold=0.5) for p in two], theme=theme),
        "lift": figures.plot_lift([compute_gain(p, threshold=0.5) for p in two], theme=theme),
        "cost": figures.plot_cost([compute_cost(p, cost_fn=5) for p in two], theme=theme),
        "calibration": figures.plot_calibration([compute_calibration(p) for p in two], theme=theme),
        "distribution": figures.plot_score_distribution(
            compute_score_distribution(two[0], threshold=0.5), theme=theme
        ),
        "by_threshold": figures.plot_metric_by_threshold(
            tables, thresholds=dict.fromkeys(tables, 0.5), theme=theme
        ),
        "metrics": figures.plot_metrics(
            _scores(two), ["roc_auc", "accuracy"], baseline="other", theme=theme
        ),
        "predicted_actual": figures.plot_predicted_actual(fits[0], theme=theme, unit=label),
        "density": figures.plot_predicted_actual(compute_fit(_values(name, 5_000)), theme=theme),
        "residuals": figures.plot_residuals(fits[0], theme=theme, unit=label),
        "residual_histogram": figures.plot_residual_histogram(fits, theme=theme, unit=label),
    }


KINDS = tuple(_every_figure("forest", "yes", "light"))


@pytest.fixture(scope="module")
def plain() -> dict[str, go.Figure]:
    return _every_figure("forest", "yes", "light")


@pytest.fixture(scope="module")
def dark() -> dict[str, go.Figure]:
    return _every_figure("forest", "yes", "dark")


@pytest.fixture(scope="module")
def hostile() -> dict[str, go.Figure]:
    return _every_figure(HOSTILE, HOSTILE, "light")


def _strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, Mapping):
        for one in node.values():
            yield from _strings(one)
    elif isinstance(node, list | tuple):
        for one in node:
            yield from _strings(one)


# Colour


@pytest.mark.parametrize("theme", THEMES)
def test_marks_stand_out_from_both_pages(theme: look.Theme) -> None:
    page = look.ink(theme).page
    marks = [*look.MODEL_COLOURS, look.BASELINE.colour, look.ink(theme).rule]
    marks += [look.class_style(k, theme).line for k in range(30)]
    assert min(look.contrast(colour, page) for colour in marks) >= 3


@pytest.mark.parametrize("theme", THEMES)
def test_text_reads_on_both_pages(theme: look.Theme) -> None:
    ink = look.ink(theme)
    assert min(look.contrast(colour, ink.page) for colour in (ink.text, ink.muted)) >= 4.5


def test_contrast_is_that_of_wcag() -> None:
    assert look.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert look.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # WebAIM


# Machado, Oliveira, Fernandes 2009, severity 1, linear RGB
_VISION = {
    "protan": "0.152286 1.052583 -0.204868 0.114503 0.786281 0.099216 -0.003882 -0.048116 1.051998",
    "deutan": "0.367322 0.860646 -0.227968 0.280085 0.672501 0.047413 -0.011820 0.042940 0.968881",
    "tritan": "1.255528 -0.076749 -0.178779 -0.078411 0.930809 0.147602 0.004733 0.691367 0.303900",
}


def _seen(colour: str, vision: str) -> np.ndarray:
    linear = np.array([look._linear(c) for c in look._channels(colour)])
    matrix = np.array(_VISION[vision].split(), dtype=float).reshape(3, 3)
    return look._TO_LAB @ np.cbrt(look._TO_LMS @ np.clip(matrix @ linear, 0, 1))


@pytest.mark.parametrize("vision", sorted(_VISION))
def test_models_stay_apart_for_every_eye(vision: str) -> None:
    seen = [_seen(colour, vision) for colour in look.MODEL_COLOURS]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 0.08


def test_oklab_of_reference_colours() -> None:
    # Ottosson's own table: white (1, 0, 0); sRGB red about (.628, .225, .126)
    assert look.oklab("#ffffff") == pytest.approx([1, 0, 0], abs=1e-4)
    assert look.oklab("#ff0000") == pytest.approx([0.628, 0.2249, 0.1258], abs=1e-3)


def test_class_colours_are_lighter_than_and_far_from_every_model() -> None:
    classes = [look.oklab(c) for c in look.CLASS_COLOURS]
    models = [look.oklab(c) for c in look.MODEL_COLOURS]
    assert min(c[0] for c in classes) > max(m[0] for m in models) + 0.1
    assert min(np.linalg.norm(c - m) for c in classes for m in models) > 0.15
    assert len(set(look.CLASS_COLOURS)) == len(look.CLASS_COLOURS)


def test_every_model_has_its_own_colour_dash_and_marker() -> None:
    styles = [figures.style_of(k) for k in range(8)]
    for part in ("colour", "dash", "symbol", "glyph"):
        assert len({getattr(style, part) for style in [*styles, figures.baseline_style()]}) == 9
    assert styles[0] == look.ModelStyle("#209993", "solid", "circle")
    assert len({figures.style_of(k) for k in range(24)}) == 24
    assert (look.BASELINE.colour, look.BASELINE.dash) == ("#7a7a7a", "dash")


@pytest.mark.parametrize("theme", THEMES)
def test_ramps_start_at_the_page_and_are_even(theme: look.Theme) -> None:
    page = look.ink(theme).page
    scale = look.sequential_scale(theme)
    light = [float(look.oklab(colour)[0]) for _, colour in scale]
    steps = np.diff(light)
    assert scale[0] == (0.0, page)
    assert np.ptp(steps) < 0.02
    assert (steps > 0).all() or (steps < 0).all()
    hues = [np.arctan2(*look.oklab(colour)[[2, 1]]) for _, colour in scale[2:]]
    assert np.ptp(hues) < 0.2  # one hue
    middle = look.diverging_scale(theme)[len(look.diverging_scale(theme)) // 2]
    assert middle == (0.5, page)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("scale", [look.sequential_scale, look.diverging_scale])
def test_text_on_any_cell_has_contrast(theme: look.Theme, scale: Callable[..., Any]) -> None:
    stops = scale(theme)
    for at in np.linspace(0, 1, 201):
        assert look.contrast(look.text_on(stops, float(at)), look._mix(stops, float(at))) >= 4.5


def test_translucent() -> None:
    assert look.translucent("#209993", 0.5) == "rgba(32,153,147,0.5)"


# Every figure


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_says_what_it_shows(kind: str, plain: dict[str, go.Figure]) -> None:
    figure = plain[kind]
    meta, title = figure.layout.meta, figure.layout.title.text
    assert re.fullmatch(r"[a-z0-9-]+", meta["name"])
    assert len(meta["alt"]) > 20
    assert meta["caption"].endswith(".")
    assert "forest" in title
    assert re.search(r"[0-9,]+ rows", title), title
    assert figure.layout.xaxis.title.text
    axes = [figure.layout.yaxis.title.text, *(a.text for a in figure.layout.annotations)]
    assert any(axes) or kind == "metrics"


@pytest.mark.parametrize("kind", KINDS)
def test_every_mark_answers_the_mouse_in_a_sentence(kind: str, plain: dict[str, go.Figure]) -> None:
    spoken = [trace for trace in plain[kind].data if trace.hoverinfo != "skip"]
    assert spoken
    for trace in spoken:
        assert trace.hovertemplate.endswith("<extra></extra>")
        said = trace.hovertemplate.replace("<extra></extra>", "")
        text = trace.text[0] if said == "%{text}" else said
        assert text.rstrip().endswith("."), text


@pytest.mark.parametrize("kind", KINDS)
def test_no_name_is_read_as_markup(
    kind: str, hostile: dict[str, go.Figure], plain: dict[str, go.Figure]
) -> None:
    allowed = re.compile(
        r"</?(b|i|br|extra)>|<span style=\"(font-size:13px;?)?(color:#[0-9a-f]{6})?\">|</span>"
    )
    fields = re.compile(r"%\{(x|y|z|text|customdata(\[\d\])?)(:[^}]*)?\}")
    shown = hostile[kind].to_plotly_json()
    del shown["layout"]["meta"], shown["layout"]["template"], shown["layout"]["uirevision"]
    for trace in shown["data"]:
        trace.pop("legendgroup", None)
    for text in _strings(_listed(shown)):
        rest = fields.sub("", allowed.sub("", text))
        assert "<" not in rest, text
        assert "%{" not in rest, text
        assert "$" not in rest, text
    assert "&lt;" in json.dumps(_listed(shown))


def _listed(node: Any) -> Any:
    if isinstance(node, np.ndarray):
        return _listed(node.tolist())
    if isinstance(node, Mapping):
        return {key: _listed(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_listed(value) for value in node]
    return node


@pytest.mark.parametrize("kind", KINDS)
def test_one_template_in_both_themes(
    kind: str, plain: dict[str, go.Figure], dark: dict[str, go.Figure]
) -> None:
    light_page, dark_page = plain[kind].layout.template, dark[kind].layout.template
    assert light_page.layout.paper_bgcolor == dark_page.layout.paper_bgcolor == "rgba(0,0,0,0)"
    assert light_page.layout.font.color == "#262730"
    assert dark_page.layout.font.color == "#fafafa"
    assert not light_page.data.to_plotly_json()  # none of Plotly's own
    assert len(plain[kind].data) == len(dark[kind].data)
    assert plain[kind].layout.height == dark[kind].layout.height


@pytest.mark.parametrize("kind", KINDS)
def test_figures_are_small(kind: str, plain: dict[str, go.Figure]) -> None:
    assert len(plain[kind].to_json()) < 120_000


def test_every_public_plot_takes_a_theme() -> None:
    plots = [name for name in figures.__all__ if name.startswith("plot_")]
    assert len(plots) >= 14
    for name in plots:
        assert inspect.signature(getattr(figures, name)).parameters["theme"].default == "light"


# Confusion matrices


def test_confusion_cells_are_click_targets_in_row_order() -> None:
    matrix = _matrix(3)
    figure = figures.plot_confusion(matrix)
    heat, cells = figure.data[0], figure.data[-1]
    assert heat.hoverinfo == "skip"
    assert [list(pair) for pair in cells.customdata] == [[i, j] for i in range(3) for j in range(3)]
    assert [list(pair) for pair in zip(cells.y, cells.x, strict=True)] == [
        list(pair) for pair in cells.customdata
    ]
    assert cells.marker.opacity == 0.01
    assert figure.layout.clickmode == "event+select"
    assert figure.layout.hoverdistance == -1  # the nearest cell, wherever in it the pointer is
    assert list(figure.layout.yaxis.range) == [2.5, -0.5]  # true classes downwards
    assert heat.z.dtype == np.float32
    assert heat.z == pytest.approx(matrix.counts / matrix.counts.sum(axis=1, keepdims=True))


def test_confusion_speaks_in_full_sentences() -> None:
    counts = np.array([[272.0, 27, 1], [0, 5, 0], [0, 0, 0]])
    matrix = ConfusionMatrix("forest", ("cat", "dog", "cow"), counts, n=305)
    said = figures.plot_confusion(matrix).data[-1].text
    assert (
        said[0] == "Of 300 rows that are <i>cat</i>,<br>272 (91 %) were rightly called <i>cat</i>."
    )
    assert said[1] == "Of 300 rows that are <i>cat</i>,<br>27 (9.0 %) were called <i>dog</i>."
    assert said[2] == "Of 300 rows that are <i>cat</i>,<br>1 (0.33 %) was called <i>cow</i>."
    assert said[6] == "No rows are <i>cow</i>."
    part = replace(matrix, note="Three of nine classes are shown.")
    assert figures.plot_confusion(part).data[-1].text[0].startswith("Of 300 rows shown here that")


def _cell_texts(figure: go.Figure) -> list[list[str]]:
    """The visible text of each cell, over both layers."""
    layers = [trace for trace in figure.data if trace.texttemplate]
    k = len(figure.data[0].z)
    return [
        ["".join(layer.text[i][j].strip("\u2007<br>\u200a") for layer in layers) for j in range(k)]
        for i in range(k)
    ]


def test_cells_hold_count_and_share_up_to_twelve_classes() -> None:
    counts = np.array([[90.0, 10], [25, 75]])
    texts = _cell_texts(figures.plot_confusion(ConfusionMatrix("m", ("a", "b"), counts, n=200)))
    assert texts == [["90<br>90%", "10<br>10%"], ["25<br>25%", "75<br>75%"]]
    twelve = _cell_texts(figures.plot_confusion(_matrix(12)))
    assert all("<br>" in text for row in twelve for text in row if text)
    more = _cell_texts(figures.plot_confusion(_matrix(14)))
    assert any(more[3])
    assert not any("<br>" in text for row in more for text in row)
    counted = _cell_texts(figures.plot_confusion(_matrix(14), normalise="none"))
    assert counted[0][0] == f"{_matrix(14).counts[0, 0]:.0f}"
    assert not any(t.texttemplate for t in figures.plot_confusion(_matrix(16)).data)


def test_fifty_classes_stay_legible_and_small() -> None:
    matrix = _matrix(50, prefix="a class with a rather long name and number")
    figure = figures.plot_confusion(matrix)
    assert not any(trace.texttemplate for trace in figure.data)
    for axis in (figure.layout.xaxis, figure.layout.yaxis):
        # every other name, so that letters of 10 px do not touch in a column of 450 px
        assert list(axis.tickvals) == list(range(0, 50, 2))
        assert len(set(axis.ticktext)) == 25
        assert max(map(len, axis.ticktext)) <= 12
        assert axis.tickfont.size >= 9
        assert axis.tickfont.size <= 360 / 50 * 2
    assert figure.layout.xaxis.tickangle == -90
    assert figure.data[0].colorbar.orientation == "h"  # takes no width
    assert figure.data[0].showscale
    assert len(figure.to_json()) < 130_000
    assert figure.data[-1].text[1] == "no rows"


@pytest.mark.parametrize("normalise", ["none", "true", "pred", "all", "errors"])
def test_each_normalisation_colours_what_it_names(normalise: Any) -> None:
    matrix = _matrix(4)
    figure = figures.plot_confusion(matrix, normalise=normalise)
    assert figure.data[0].z == pytest.approx(matrix.shares(normalise))
    assert figure.data[0].zmin == 0
    full = {"true": 1.0, "pred": 1.0}
    expected = full.get(normalise, float(matrix.shares(normalise).max()))
    assert figure.data[0].zmax == pytest.approx(expected)
    if normalise == "errors":
        assert [_cell_texts(figure)[k][k] for k in range(4)] == [""] * 4


def test_text_flips_with_the_cell() -> None:
    layers = {
        t.textfont.color: t for t in figures.plot_confusion(_matrix(3)).data if t.texttemplate
    }
    assert set(layers) == {"#000000", "#ffffff"}
    assert layers["#ffffff"].text[0][0].strip("\u2007<br>")  # the dark diagonal
    assert not layers["#ffffff"].text[0][1].strip("\u2007<br>")


def test_both_text_layers_are_sized_alike() -> None:
    counts = np.array([[123_456.0, 999], [999, 123_456]])  # long text on dark cells, short on light
    matrix = ConfusionMatrix("m", ("a", "b"), counts, n=248_910)
    layers = [trace for trace in figures.plot_confusion(matrix).data if trace.texttemplate]
    longest = {
        max(len(line) for row in layer.text for cell in row for line in cell.split("<br>"))
        for layer in layers
    }
    assert len(layers) == 2
    assert longest == {len("123,456")}  # Plotly sizes a layer's text by its longest line


def test_matrices_side_by_side_are_alike() -> None:
    a = figures.plot_confusion(_matrix(5), normalise="errors", zmax=0.4)
    b = figures.plot_confusion(
        _matrix(5, "a model with a name that goes on and on and on", seed=1),
        normalise="errors",
        zmax=0.4,
        style=figures.style_of(1),
    )
    assert a.layout.height == b.layout.height
    assert a.layout.margin == b.layout.margin
    assert a.data[0].zmax == b.data[0].zmax == 0.4
    assert "■" in b.layout.title.text
    assert figures.style_of(1).colour in b.layout.title.text


@pytest.mark.parametrize("k", [2, 3, 5, 12, 26, 50])
def test_cells_are_square_and_stand_left(k: int) -> None:
    layout = figures.plot_confusion(_matrix(k)).layout
    assert layout.yaxis.scaleanchor == "x"
    assert layout.xaxis.constrain == layout.yaxis.constrain == "domain"
    assert (layout.xaxis.constraintoward, layout.yaxis.constraintoward) == ("left", "top")
    # in a column of 1,900 px a matrix is no wider than it is high
    assert layout.height - layout.margin.t - layout.margin.b <= 430


@pytest.mark.parametrize("k", [26, 30, 36, 40, 50])
def test_every_tick_has_room(k: int) -> None:
    axis = figures.plot_confusion(_matrix(k)).layout.xaxis
    pitch = 360 / k * (axis.tickvals[1] - axis.tickvals[0])
    assert 7 <= axis.tickfont.size <= 0.8 * pitch


def test_short_class_names_stay_level() -> None:
    digits = ConfusionMatrix("m", tuple("0123456789"), np.eye(10) * 9, n=90)
    assert figures.plot_confusion(digits).layout.xaxis.tickangle == 0
    assert figures.plot_confusion(_matrix(2)).layout.xaxis.tickangle == 0
    assert figures.plot_confusion(_matrix(4)).layout.xaxis.tickangle == -90


def test_no_difference_is_said_and_the_counts_stay() -> None:
    ours, theirs = _matrix(2), _matrix(2, "a rather long reference")
    figure = figures.plot_confusion_difference(ours, theirs)
    assert _lines(figure.layout.title.text)[1:3] == ["No difference to", "a rather…reference"]
    assert not figure.layout.annotations
    shown = [text.strip("\u200a") for row in figure.data[0].text for text in row]
    assert shown == [f"{n:.0f}" for n in ours.counts.ravel()]
    assert figure.data[0].textfont.color == look.ink("light").muted
    changed = figures.plot_confusion_difference(ours, _matrix(2, "b", seed=3))
    assert _lines(changed.layout.title.text)[1] == "Minus b"
    assert changed.layout.margin.t == figure.layout.margin.t  # side by side they align
    many = figures.plot_confusion_difference(_matrix(30), _matrix(30, "b"))
    assert many.layout.annotations[0].text == "No difference"


# Four abreast


def _lines(text: str) -> list[str]:
    """The lines of a title as letters."""
    plain = re.sub(r"</?(b|i|span[^>]*)>", "", text)
    return [html.unescape(line) for line in plain.split("<br>")]


def _narrow(name: str) -> dict[str, go.Figure]:
    """Every figure of one model, with long names everywhere."""
    label = "a class with a long name"
    one, other = _binary(name, label=label), _binary("the other model, long", label=label, seed=1)
    few = replace(compute_fit(_values(name)), output="the median value of houses")
    many = replace(compute_fit(_values(name, 5_000)), output="the median value of houses")
    matrix = compute_confusion(one, threshold=0.123)
    found = {
        "scores": figures.plot_score_distribution(
            compute_score_distribution(one, threshold=0.123), style=figures.style_of(0)
        ),
        "difference": figures.plot_confusion_difference(
            matrix, compute_confusion(other, threshold=0.5), style=figures.style_of(0)
        ),
    }
    for how in ("none", "true", "pred", "all", "errors"):
        found[how] = figures.plot_confusion(matrix, normalise=how, style=figures.style_of(0))  # type: ignore[arg-type]
    for key, fit in {"few": few, "many": many}.items():
        found[f"predicted {key}"] = figures.plot_predicted_actual(
            fit, style=figures.style_of(0), unit="thousands of US dollars"
        )
        found[f"residuals {key}"] = figures.plot_residuals(
            fit, style=figures.style_of(0), unit="thousands of US dollars"
        )
    return found


NARROW = _narrow("A random forest of 500 trees with weights")


@pytest.mark.parametrize("kind", NARROW)
def test_nothing_is_cut_at_196_pixels(kind: str) -> None:
    layout = NARROW[kind].layout
    title, *subtitle = _lines(layout.title.text)
    assert len(title) <= 22  # the marker, a space and 20 letters in bold, small
    assert max(map(len, subtitle)) <= 25
    assert max(map(len, _lines(layout.xaxis.title.text))) <= 17
    assert len(_lines(layout.yaxis.title.text)[0]) <= 42  # upwards: 280 px
    assert layout.margin.l == layout.margin.r == 8
    for trace in NARROW[kind].data:
        if trace.showlegend is not False and trace.name and trace.legendgroup:
            assert len(trace.name) <= 20
    assert all(len(line) <= 14 for a in layout.annotations for line in _lines(a.text))
    assert max(map(len, layout.xaxis.ticktext or [""])) <= 9
    assert layout.xaxis.tickangle in (0, -90)


@pytest.mark.parametrize(
    ("threshold", "anchor"), [(0.1, "left"), (0.5, "left"), (0.6, "right"), (0.99, "right")]
)
def test_the_label_of_the_threshold_stays_inside(threshold: float, anchor: str) -> None:
    found = compute_score_distribution(_binary("m"), threshold=threshold)
    figure = figures.plot_score_distribution(found, x_range=(0.0, 1.0))
    assert figure.layout.annotations[0].xanchor == anchor


def test_densities_keep_their_width_for_the_drawing() -> None:
    figure = NARROW["predicted many"]
    assert figure.data[0].colorbar.orientation == "h"
    assert figure.layout.height == NARROW["predicted few"].layout.height + 40


def test_a_selected_cell_is_framed() -> None:
    figure = figures.plot_confusion(_matrix(3), selected=(2, 1))
    frame = figure.layout.shapes[-1]
    assert (frame.x0, frame.x1, frame.y0, frame.y1) == (0.5, 1.5, 1.5, 2.5)


def test_difference_is_centred_on_zero_in_points() -> None:
    ours = ConfusionMatrix("a", ("x", "y"), np.array([[80.0, 20], [10, 90]]), n=200)
    theirs = ConfusionMatrix("b", ("x", "y"), np.array([[90.0, 10], [10, 90]]), n=200)
    figure = figures.plot_confusion_difference(ours, theirs)
    heat = figure.data[0]
    assert heat.z == pytest.approx(np.array([[-0.1, 0.1], [0, 0]]), abs=1e-7)
    assert (heat.zmin, heat.zmax) == (pytest.approx(-0.1), pytest.approx(0.1))
    assert _cell_texts(figure) == [["−10", "+10"], ["", ""]]
    assert figure.data[-1].text[0] == (
        "Of rows that are <i>x</i>, <i>a</i> calls 80 % <i>x</i>,<br><i>b</i> 90 % (−10 points)."
    )
    many = figures.plot_confusion_difference(_matrix(30), _matrix(30, seed=2))
    assert many.data[-1].text[0].endswith(" points")
    with pytest.raises(ParameterError, match="Compare matrices of the same classes"):
        figures.plot_confusion_difference(ours, _matrix(3))


def test_unknown_normalisation_is_refused() -> None:
    with pytest.raises(ParameterError, match="'rows' is unknown"):
        figures.plot_confusion(_matrix(2), normalise="rows")  # type: ignore[arg-type]


# Curves


def _area(figure: go.Figure) -> tuple[float, float, float]:
    """Top, bottom and left of the drawing, in pixels from the upper left corner."""
    layout = figure.layout
    return layout.margin.t, layout.height - layout.margin.b, layout.margin.l


def test_gain_lift_and_cost_stand_side_by_side() -> None:
    models = [_binary(f"a model with a long name {i}", seed=i) for i in range(3)]
    gains = [compute_gain(p, threshold=0.5) for p in models]
    drawn = [
        figures.plot_gain(gains),
        figures.plot_lift(gains),
        figures.plot_cost([compute_cost(p) for p in models]),
    ]
    assert len({_area(figure) for figure in drawn}) == 1
    assert drawn[0].layout.margin.l == 72  # Plotly widens it only for costs of seven digits
    assert len({figure.layout.height for figure in drawn}) == 1
    assert not any(figure.layout.yaxis.scaleanchor for figure in drawn)
    pair = [
        figures.plot_roc([compute_roc(p) for p in models]),
        figures.plot_precision_recall([compute_precision_recall(p) for p in models]),
    ]
    assert len({_area(figure)[:2] for figure in pair}) == 1


def test_guessing_is_named_once_where_lines_lie_close() -> None:
    curve = compute_precision_recall(_binary("a"))
    curves = [replace(curve, model=m, prevalence=p) for m, p in (("a", 0.3), ("b", 0.31))]
    assert len(figures.plot_precision_recall(curves).layout.annotations) == 1
    apart = [curves[0], replace(curves[1], prevalence=0.5)]
    assert len(figures.plot_precision_recall(apart).layout.annotations) == 2


def test_titles_of_panels_have_room_below_the_subtitle() -> None:
    tables = {"forest": compute_thresholds(_binary("forest"))}
    layout = figures.plot_metric_by_threshold(tables).layout
    lines = len(_lines(layout.title.text))
    # 24 above, 20 a line of the title, 17 the subtitle; 18 for the title of the panel
    assert layout.margin.t >= 24 + 20 * (lines - 1) + 17 + 18 + 6


def test_roc_draws_the_exact_curve_as_float32() -> None:
    p = _binary("forest")
    figure = figures.plot_roc([compute_roc(p, threshold=0.5)])
    line = next(trace for trace in figure.data if trace.legendgroup == "forest")
    assert line.x.dtype == line.y.dtype == line.customdata.dtype == np.float32
    fpr, tpr, _ = roc_curve(p.target.y, p.y_score, drop_intermediate=False)
    assert set(zip(line.x, line.y, strict=True)) <= set(
        zip(fpr.astype(np.float32), tpr.astype(np.float32), strict=True)
    )
    positives = p.target.y.sum()
    assert line.customdata[:, 0] == pytest.approx(line.y * positives, abs=0.06)
    assert line.customdata[:, 1] == pytest.approx(line.x * (400 - positives), abs=0.06)
    assert f"of {positives} positives" in line.hovertemplate
    assert f"of {400 - positives} negatives" in line.hovertemplate
    assert line.text[0] == "∞"  # the curve begins above every score
    curve = compute_roc(p)
    assert f"{curve.auc:.3f}"[1:] in line.name


def test_roc_is_square_with_a_chance_line() -> None:
    figure = figures.plot_roc([compute_roc(_binary("forest"))])
    assert figure.layout.yaxis.scaleanchor == "x"
    assert figure.layout.xaxis.constrain == figure.layout.yaxis.constrain == "domain"
    chance = figure.data[0]
    assert (list(chance.x), list(chance.y)) == ([0, 1], [0, 1])
    assert chance.line.dash == "dot"


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_the_operating_point_is_on_both_curves(threshold: float) -> None:
    p = _binary("forest")
    flagged = p.y_score >= threshold
    truth = p.target.y == 1
    tp, fp = (flagged & truth).sum(), (flagged & ~truth).sum()
    style = {"forest": figures.style_of(3)}
    roc = figures.plot_roc([compute_roc(p, threshold=threshold)], style).data[-1]
    assert (roc.x[0], roc.y[0]) == pytest.approx((fp / (~truth).sum(), tp / truth.sum()))
    assert roc.marker.symbol == "triangle-up"
    assert roc.text[0].startswith(f"At {str(threshold)[1:]} <i>forest</i><br>catches {tp} of")
    assert f"flags {fp} of {(~truth).sum()} negatives" in roc.text[0]
    curve = compute_precision_recall(p, threshold=threshold)
    pr = figures.plot_precision_recall([curve], style).data[-1]
    assert (pr.x[0], pr.y[0]) == pytest.approx((tp / truth.sum(), tp / (tp + fp)))


def test_nothing_flagged_has_no_point_on_precision_recall() -> None:
    curve = compute_precision_recall(_binary("forest"), threshold=2.0)
    figure = figures.plot_precision_recall([curve])
    assert all(trace.mode == "lines" for trace in figure.data)


def test_prevalence_line() -> None:
    p = _binary("forest")
    figure = figures.plot_precision_recall([compute_precision_recall(p)])
    assert figure.data[0].y == pytest.approx([p.target.y.mean()] * 2)
    assert "are positive" in figure.layout.annotations[0].text


def test_long_curves_are_thinned_and_the_caption_says_so() -> None:
    curve = compute_roc(_binary("forest", 100_000))
    figure = figures.plot_roc([curve])
    line = next(trace for trace in figure.data if trace.legendgroup == "forest")
    assert len(line.x) <= 2_000 < len(curve.fpr)
    assert f"at most {len(line.x):,} marks a curve" in figure.layout.meta["caption"]
    assert len(figure.to_json()) < 100_000


def test_models_keep_their_style_whatever_is_shown() -> None:
    styles = {"b": figures.style_of(1), "a": figures.style_of(0)}
    curves = [compute_roc(_binary(name, seed=k)) for k, name in enumerate("ba")]
    for shown in (curves, curves[::-1], curves[:1]):
        for trace in figures.plot_roc(shown, styles).data:
            if trace.legendgroup:
                assert trace.line.color == styles[trace.legendgroup].colour
                assert trace.line.dash == styles[trace.legendgroup].dash


def test_curves_without_positives_are_empty_not_errors() -> None:
    target = Target(Task.BINARY, "hit", ("no", "yes"), np.zeros(5, dtype=np.int64), 1)
    score = np.linspace(0.1, 0.9, 5)
    p = Predictions("m", target, None, score, ScoreKind.PROBABILITY, None, np.arange(5), 5)
    assert figures.plot_roc([compute_roc(p, threshold=0.5)]).layout.meta["caption"]
    assert figures.plot_precision_recall([compute_precision_recall(p, threshold=0.5)]).data
    assert figures.plot_gain([compute_gain(p, threshold=0.5)]).data
    assert figures.plot_lift([compute_gain(p, threshold=0.5)]).data
    assert figures.plot_cost([compute_cost(p)]).data
    assert figures.plot_calibration([compute_calibration(p)]).data
    assert figures.plot_metric_by_threshold({"m": compute_thresholds(p)}).data


@pytest.mark.parametrize(
    "plot",
    [
        figures.plot_roc,
        figures.plot_precision_recall,
        figures.plot_gain,
        figures.plot_lift,
        figures.plot_cost,
        figures.plot_calibration,
        figures.plot_residual_histogram,
    ],
)
def test_no_models_give_an_empty_chart(plot: Callable[[list[Any]], go.Figure]) -> None:
    figure = plot([])
    assert not [trace for trace in figure.data if trace.legendgroup]
    assert figure.layout.meta["caption"]


def test_cost_marks_the_cheapest_threshold() -> None:
    curve = compute_cost(_binary("forest"), cost_fp=1, cost_fn=5)
    mark = figures.plot_cost([curve]).data[-1]
    assert mark.x[0] == pytest.approx(curve.best)
    assert mark.y[0] == pytest.approx(curve.cost.min())


def test_lift_is_that_of_the_result() -> None:
    curve = compute_gain(_binary("forest"), threshold=0.5)
    figure = figures.plot_lift([curve])
    line, mark = figure.data[1], figure.data[2]
    _, _, index, _ = curve.drawn()
    assert line.y == pytest.approx(curve.lift[index].astype(np.float32))
    assert curve.operating is not None
    prevalence = curve.n_positive / curve.n
    assert mark.y[0] == pytest.approx(curve.operating.precision / prevalence)


def test_calibration_bars_are_the_interval() -> None:
    curve = compute_calibration(_binary("forest"))
    trace = figures.plot_calibration([curve]).data[1]
    assert trace.y + trace.error_y.array == pytest.approx(curve.high, abs=1e-6)
    assert trace.y - trace.error_y.arrayminus == pytest.approx(curve.low, abs=1e-6)


# Scores


def test_distributions_align_and_mark_the_threshold() -> None:
    found = [
        compute_score_distribution(_binary(name, seed=k), threshold=0.31)
        for k, name in enumerate(("forest", "linear"))
    ]
    x_range, y_range = figures.score_ranges(found)
    drawn = [
        figures.plot_score_distribution(one, x_range=x_range, y_range=y_range) for one in found
    ]
    assert drawn[0].layout.xaxis.range == drawn[1].layout.xaxis.range == x_range
    assert drawn[0].layout.yaxis.range == drawn[1].layout.yaxis.range
    assert y_range[1] > max(one.density.max() for one in found)
    assert drawn[0].layout.shapes[0].x0 == 0.31
    assert drawn[0].layout.annotations[0].text == "from .31 →"
    bars = [trace for trace in drawn[0].data if trace.type == "bar"]
    assert [float(np.sum(bar.y)) for bar in bars] == pytest.approx([1, 1])
    assert figures.score_ranges([]) == ((0.0, 1.0), (0.0, 1.0))


def test_metrics_by_threshold_are_those_of_the_counts() -> None:
    table = compute_thresholds(_binary("forest"))
    names = ("precision", "recall", "f1", "specificity", "accuracy", "flagged")
    figure = figures.plot_metric_by_threshold(
        {"forest": table}, metrics=names, thresholds={"forest": 0.4}
    )
    frame = table.frame().set_index("threshold")
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    marks = [trace for trace in figure.data if trace.mode == "markers"]
    at = table.at(0.4)
    for name, line, mark in zip(names, lines, marks, strict=True):
        for x, y in list(zip(line.x, line.y, strict=True))[::25]:
            row = frame.iloc[int(np.argmin(np.abs(frame.index - x)))]
            exact = table.at(float(row.name))
            value = exact.selection_rate if name == "flagged" else getattr(exact, name)
            assert y == pytest.approx(value, abs=1e-6), (name, x)
        value = at.selection_rate if name == "flagged" else getattr(at, name)
        assert mark.y[0] == pytest.approx(value)
    assert [trace.showlegend for trace in lines] == [True] + [False] * 5
    with pytest.raises(ParameterError, match="mcc cannot be drawn against the threshold"):
        figures.plot_metric_by_threshold({"forest": table}, metrics=["mcc"])


def test_metric_dots_carry_intervals_and_the_baseline_is_a_line() -> None:
    table = _scores([_binary("dummy", seed=5), _binary("forest"), _binary("linear", seed=1)])
    styles = {"forest": figures.style_of(4), "linear": figures.style_of(6)}
    figure = figures.plot_metrics(table, "accuracy", styles, baseline="dummy")
    line = next(trace for trace in figure.data if trace.mode == "lines")
    assert list(line.x) == [table.value("dummy", "accuracy")] * 2
    assert (line.line.dash, line.line.color) == ("dash", "#7a7a7a")
    dot = next(trace for trace in figure.data if trace.name == "forest")
    row = table.row("forest", "accuracy")
    assert dot.x[0] == row.value
    assert dot.x[0] + dot.error_x.array[0] == pytest.approx(row.high)
    assert dot.x[0] - dot.error_x.arrayminus[0] == pytest.approx(row.low)
    assert dot.marker.color == figures.style_of(4).colour
    assert list(figure.layout.yaxis.ticktext) == ["forest", "linear"]
    low, high = figure.layout.xaxis.range
    assert low < min(line.x) < max(row.high, line.x[0]) < high
    assert "higher is better" in figure.layout.xaxis.title.text


def test_metrics_without_a_value_leave_an_empty_panel() -> None:
    labels_only = replace(_binary("forest"), y_score=None, score_kind=None)
    given = replace(labels_only, y_pred=(np.arange(400) % 2).astype(np.int64))
    table = compute_metrics(given, metrics=["roc_auc", "accuracy"], n_bootstrap=50)
    figure = figures.plot_metrics(table, ["roc_auc", "accuracy"])
    assert [trace.xaxis for trace in figure.data] == ["x2"]
    assert "ROC AUC does not apply" in figure.layout.meta["caption"]


# Regression


def test_few_rows_are_points_and_many_are_density() -> None:
    few, many = compute_fit(_values("forest")), compute_fit(_values("forest", 6_000))
    points = figures.plot_predicted_actual(few).data[0]
    assert points.mode == "markers"
    assert points.x == pytest.approx(few.y_true.astype(np.float32))
    assert points.x.dtype == np.float32
    for figure in (figures.plot_predicted_actual(many), figures.plot_residuals(many)):
        heat = figure.data[0]
        assert heat.type == "heatmap"
        assert heat.customdata.sum() == 6_000
        assert 10 ** np.nanmax(heat.z) == pytest.approx(heat.customdata.max(), rel=1e-5)
        assert np.isnan(heat.z[heat.customdata == 0]).all()


def test_points_say_how_far_off() -> None:
    fit = RegressionFit("forest", "price", np.array([10.0, 20.0]), np.array([12.5, 16.0]))
    said = figures.plot_predicted_actual(fit, unit="EUR").data[0].text
    assert said == (
        "<i>forest</i> predicts 12.5 EUR where the truth is 10.0 EUR:<br>2.50 EUR too high.",
        "<i>forest</i> predicts 16.0 EUR where the truth is 20.0 EUR:<br>4.00 EUR too low.",
    )


def test_identity_zero_line_and_common_limits() -> None:
    fits = [compute_fit(_values("a")), compute_fit(_values("b", seed=1))]
    limits, rest = figures.common_limits(fits), figures.residual_limits(fits)
    assert all(limits[0] < fit.y_true.min() and limits[1] > fit.y_pred.max() for fit in fits)
    assert rest[0] == pytest.approx(-rest[1])
    figure = figures.plot_predicted_actual(fits[0], limits=limits)
    assert figure.layout.xaxis.range == figure.layout.yaxis.range == limits
    identity = figure.data[-1]
    assert list(identity.x) == list(identity.y)
    shown = figures.plot_residuals(fits[0], x_range=limits, y_range=rest)
    assert list(shown.data[-1].y) == [0, 0]
    assert shown.layout.yaxis.range == rest
    assert "(EUR)" in figures.plot_residuals(fits[0], unit="EUR").layout.yaxis.title.text
    assert figures.common_limits([]) == (0.0, 1.0)


def test_residual_histograms_share_their_bins() -> None:
    fits = [compute_fit(_values("a")), compute_fit(_values("b", 500, seed=1))]
    lines = figures.plot_residual_histogram(fits, n_bins=21).data
    assert len(lines) == 2
    assert lines[0].x == pytest.approx(lines[1].x)
    assert [float(np.sum(line.y)) for line in lines] == pytest.approx([1, 1])


def test_constant_and_empty_fits_draw() -> None:
    flat = RegressionFit("m", "y", np.full(9, 3.0), np.full(9, 3.0))
    none = RegressionFit("m", "y", np.zeros(0), np.zeros(0))
    for fit in (flat, none):
        assert figures.plot_predicted_actual(fit).data
        assert figures.plot_residuals(fit).data
        assert figures.plot_residual_histogram([fit]).data


# Out of the browser


def test_html_stands_alone(hostile: dict[str, go.Figure]) -> None:
    page = figures.figure_html(hostile["confusion"], "dark")
    assert page.startswith("<!DOCTYPE html>")
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=", page)
    assert "<script>alert(1)" not in page
    assert "#0e1117" in page
    assert "Plotly.newPlot" in page
    assert 'data-format="svg"' in page
    assert 'role="img" aria-label="Confusion matrix of &lt;b&gt;' in page
    assert "The most frequent mistake" in page


def test_picture_formats_and_names() -> None:
    options = figures.figure_config("ROC: forest / linear", "svg")["toImageButtonOptions"]
    assert options == {"format": "svg", "filename": "roc-forest-linear", "scale": 1}
    assert figures.figure_config("x")["toImageButtonOptions"]["format"] == "png"
    assert json.dumps(figures.figure_config("x"))  # Streamlit sends it as JSON
    assert figures.file_stem("…") == "figure"


# Small parts


def test_ticks_are_round_and_written_as_everywhere() -> None:
    assert number_ticks(0.84, 1.0) == {
        "tickmode": "array",
        "tickvals": [0.85, 0.9, 0.95, 1.0],
        "ticktext": [".85", ".9", ".95", "1"],
    }
    assert number_ticks(-3_000, 9_000)["ticktext"] == ["0", "5,000"]
    assert number_ticks(1, 1) == {}


def test_wrapping_breaks_at_words_and_escapes() -> None:
    assert wrapped("one two three", 7) == "one two<br>three"
    assert wrapped("look, 300 rows", 10) == "look,<br>300 rows"
    assert wrapped("one\ntwo three", 40) == "one<br>two three"
    assert wrapped("a<b & c", 40) == "a&lt;b &amp; c"
    assert look.label("a long name with a tail", 9) == "a lo…tail"
    assert look.escape("line\nbreak %{x} $1$") == "line break &#37;{x} &#36;1&#36;"


def test_frames_behind_figures_are_tables() -> None:
    assert isinstance(compute_roc(_binary("forest")).frame(), pd.DataFrame)


def test_names_in_a_title_are_cut_only_where_there_is_no_room() -> None:
    long = "Gradient boosting, eighth attempt"
    assert long in models_title("Scores", [long])
    assert long in models_title("Scores", [long, "Linear"])
    assert long not in models_title("Scores", [long] * 9) and "…" in models_title(
        "Scores", [long] * 9
    )
    wide = [f"{long} with seed {k}" for k in range(3)]
    assert wide[0] in models_title("Loss by epoch", wide, 100)


def test_ticks_that_lie_close_are_told_apart() -> None:
    ticks = number_ticks(0.9975, 1.0003, 7)
    assert ticks["ticktext"] == [".9975", ".998", ".9985", ".999", ".9995", "1"]
    assert number_ticks(100_000, 100_004, 4)["ticktext"][0] == "100,000"
