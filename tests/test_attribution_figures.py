"""Figures of attributions, asserted through their data: marks, clicks, sentences, both themes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from scipy.stats import norm

from dashboard import figures
from dashboard.contracts import Attributions, OutputSpace
from dashboard.diagnostics.beeswarm import compute_beeswarm
from dashboard.diagnostics.clusters import compute_explanation_clusters
from dashboard.diagnostics.cohorts import cohort_of, compute_by_class, compute_cohorts
from dashboard.diagnostics.dependence import compute_dependence
from dashboard.diagnostics.interactions import (
    compute_interaction_hints,
    compute_interaction_matrix,
)
from dashboard.diagnostics.waterfalls import compute_decision_paths, compute_waterfalls
from dashboard.errors import ParameterError
from dashboard.figures import theme as look
from dashboard.figures.panels import clicked, marks_of, panels
from tests.explained import HOSTILE, attributed, mixed, three_classes

THEMES: tuple[look.Theme, ...] = ("light", "dark")


def _named(one: Attributions, name: str, label: str) -> Attributions:
    """The same with hostile names everywhere a person can put one."""
    frame = one.data.rename(columns={"region": label})
    if label == HOSTILE:
        frame[label] = frame[label].map(lambda text: f"{HOSTILE} {text}")
    names = tuple(label if n == "region" else n for n in one.feature_names)
    return replace(one, model=name, data=frame, feature_names=names, output_names=(label,))


def _every_figure(name: str, label: str, theme: look.Theme) -> dict[str, go.Figure]:
    """One figure of each kind, with `name` as model and `label` as feature, class and target."""
    two = [_named(mixed(200), name, label), _named(mixed(200, 2.0), "other", label)]
    many = [_named(mixed(4_000), name, label)]
    classes = [replace(three_classes(), model=name, output_names=(label, "b", "c"))]
    values = np.zeros((200, 6, 6, 1))
    values[:, range(6), range(6)] = two[0].values
    cohort = cohort_of(two[0], label, values=[two[0].data[label].iloc[0]])
    drawn = {
        "beeswarm": figures.plot_beeswarm(compute_beeswarm(two), theme=theme, selected=30),
        "raster": figures.plot_beeswarm(compute_beeswarm(many), theme=theme, selected=30),
        "clusters": figures.plot_clusters(
            compute_explanation_clusters(two), theme=theme, selected=30
        ),
        "by_class": figures.plot_by_class(compute_by_class(classes), theme=theme),
        "cohorts": figures.plot_cohorts(compute_cohorts(two, cohort), theme=theme),
        "pairs": figures.plot_interactions(
            [compute_interaction_matrix(values, two[0])], theme=theme
        ),
        "hints": figures.plot_interactions(compute_interaction_hints(two), theme=theme),
        "waterfalls": figures.plot_waterfalls(compute_waterfalls(two, 30, limit=3), theme=theme),
        "paths": figures.plot_decision_paths(
            compute_decision_paths(two, highlight=[30]), theme=theme
        ),
    }
    for feature in ("income", "age", "day", label):
        drawn[f"dependence of {'region' if feature == label else feature}"] = (
            figures.plot_dependence(compute_dependence(two, feature), theme=theme, selected=30)
        )
    return drawn


PLAIN = _every_figure("forest", "region", "light")
KINDS = tuple(PLAIN)


@pytest.fixture(scope="module")
def dark() -> dict[str, go.Figure]:
    return _every_figure("forest", "region", "dark")


@pytest.fixture(scope="module")
def hostile() -> dict[str, go.Figure]:
    return _every_figure(HOSTILE, HOSTILE, "light")


def _listed(node: Any) -> Any:
    if isinstance(node, np.ndarray):
        return _listed(node.tolist())
    if isinstance(node, Mapping):
        return {key: _listed(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_listed(value) for value in node]
    return node


def _strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, Mapping):
        for one in node.values():
            yield from _strings(one)
    elif isinstance(node, list):
        for one in node:
            yield from _strings(one)


# Colour


def test_raising_and_lowering_stand_off_both_pages_and_are_not_red_and_green() -> None:
    for colour in (look.RAISES, look.LOWERS):
        assert min(look.contrast(colour, look.ink(theme).page) for theme in THEMES) >= 3
        others = [look.oklab(model) for model in look.MODEL_COLOURS]
        assert min(np.linalg.norm(look.oklab(colour) - other) for other in others) > 0.05
    raises, lowers = look.oklab(look.RAISES), look.oklab(look.LOWERS)
    assert raises[2] < -0.05  # blue
    assert lowers[2] > 0.05  # orange: the axis that every common kind of eye tells apart
    assert np.linalg.norm(raises - lowers) > 0.2


@pytest.mark.parametrize("theme", THEMES)
def test_values_run_evenly_from_one_end_to_the_other_and_stay_visible(theme: look.Theme) -> None:
    scale = look.value_scale(theme)
    page = look.ink(theme).page
    assert min(look.contrast(colour, page) for _, colour in scale) >= 3
    steps = np.diff([float(look.oklab(colour)[0]) for _, colour in scale])
    assert np.ptp(steps) < 0.02
    assert abs(look.oklab(scale[0][1])[0] - look.oklab(scale[-1][1])[0]) > 0.3
    first, last = look.contrast(scale[0][1], page), look.contrast(scale[-1][1], page)
    assert last > 2 * first  # high values stand out most, on both pages


# Every figure


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_says_what_it_shows(kind: str) -> None:
    meta, title = PLAIN[kind].layout.meta, PLAIN[kind].layout.title.text
    assert re.fullmatch(r"[a-z0-9-]+", meta["name"])
    assert len(meta["alt"]) > 20
    assert meta["caption"].endswith(".")
    named = [title, *(note.text for note in PLAIN[kind].layout.annotations)]
    assert any("forest" in text for text in named)
    assert re.search(r"[0-9,]+ (explained )?rows|row [0-9]+", title), title
    assert PLAIN[kind].layout.xaxis.title.text
    assert "forest" in meta["models"]
    assert meta["features"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_mark_answers_the_mouse_in_a_sentence_and_a_click(kind: str) -> None:
    meta = PLAIN[kind].layout.meta
    spoken = [trace for trace in PLAIN[kind].data if trace.hoverinfo != "skip"]
    assert spoken
    for trace in spoken:
        assert trace.hovertemplate.endswith("<extra></extra>")
        said = trace.hovertemplate.replace("<extra></extra>", "")
        text = trace.text[0] if said == "%{text}" and len(trace.text) else said
        assert text.rstrip().endswith("."), text
    targets = [trace for trace in spoken if trace.customdata is not None and len(trace.customdata)]
    assert targets
    for trace in targets:
        for data in (trace.customdata[0], trace.customdata[-1]):
            hit = clicked(meta, data)
            assert hit.model in meta["models"]
            assert hit.row is not None or hit.feature in meta["features"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_name_is_read_as_markup(kind: str, hostile: dict[str, go.Figure]) -> None:
    allowed = re.compile(
        r"</?(b|i|br|extra)>|<span style=\"(font-size:13px;?)?(color:#[0-9a-f]{6})?\">|</span>"
    )
    fields = re.compile(r"%\{(x|y|z|text|customdata(\[\d\])?)(:[^}]*)?\}")
    shown = hostile[kind].to_plotly_json()
    for part in ("meta", "template", "uirevision"):
        del shown["layout"][part]
    for trace in shown["data"]:
        trace.pop("legendgroup", None)
    texts = list(_strings(_listed(shown)))
    assert any("&lt;" in text for text in texts)
    for text in texts:
        rest = fields.sub("", allowed.sub("", text))
        assert "<" not in rest, text
        assert "%{" not in rest, text
        assert "$" not in rest, text


@pytest.mark.parametrize("kind", KINDS)
def test_one_template_in_both_themes(kind: str, dark: dict[str, go.Figure]) -> None:
    light_page, dark_page = PLAIN[kind].layout.template, dark[kind].layout.template
    assert light_page.layout.font.color == "#262730"
    assert dark_page.layout.font.color == "#fafafa"
    assert [trace.name for trace in PLAIN[kind].data] == [trace.name for trace in dark[kind].data]
    assert PLAIN[kind].layout.height == dark[kind].layout.height


@pytest.mark.parametrize("kind", KINDS)
def test_figures_are_small(kind: str) -> None:
    assert len(PLAIN[kind].to_json()) < 250_000


# Panels


def test_models_stand_side_by_side_on_one_axis_of_rows() -> None:
    four = [mixed(60, k + 1.0, model=f"model {k}") for k in range(4)]
    figure = figures.plot_beeswarm(compute_beeswarm(four))
    axes = [figure.layout[f"xaxis{k}" if k > 1 else "xaxis"] for k in range(1, 5)]
    assert len({axis.range for axis in axes}) == 1
    widths = [axis.domain[1] - axis.domain[0] for axis in axes]
    assert np.ptp(widths) < 1e-9
    assert all(a.domain[1] < b.domain[0] for a, b in itertools.pairwise(axes))
    assert {trace.yaxis for trace in figure.data} <= {"y", None}
    names = [note.text for note in figure.layout.annotations]
    assert [any(f"model {k}" in name for name in names) for k in range(4)] == [True] * 4
    with pytest.raises(ParameterError, match="1 to 4 can stand side by side"):
        figures.plot_beeswarm(compute_beeswarm([*four, mixed(60, model="fifth")]))
    with pytest.raises(ParameterError):
        panels("light", [], None, xaxes=[], x_title="", yaxis={}, height=1)


def test_results_of_separate_calls_are_not_put_on_one_axis() -> None:
    one = mixed(60)
    other = replace(one, model="b", values=one.values[:, ::-1])
    with pytest.raises(ParameterError, match="in one call"):
        figures.plot_beeswarm([*compute_beeswarm([one]), *compute_beeswarm([other])])


@pytest.mark.parametrize("data", [None, [], [1], ["a", "b", "c"], [None, 0, 0]])
def test_a_click_that_means_nothing_gives_nothing(data: Any) -> None:
    assert clicked({"features": ["a"], "models": ["m"]}, data) == (None,) * 4


def test_a_click_gives_the_row_the_feature_and_the_model() -> None:
    meta = {"features": ["a", "b"], "models": ["m"]}
    assert clicked(meta, [7, 1, 0]) == (7, "b", "m", None)
    assert clicked(meta, [-1, 5, 3]) == (None,) * 4


# Beeswarms


def test_marks_are_the_values_and_lead_to_their_rows() -> None:
    one = mixed(80)
    figure = figures.plot_beeswarm(compute_beeswarm([one]))
    found: dict[tuple[int, str], float] = {}
    for trace in figure.data:
        for x, data in zip(trace.x, trace.customdata, strict=True):
            hit = clicked(figure.layout.meta, data)
            assert hit.row is not None
            assert hit.feature is not None
            found[hit.row, hit.feature] = float(x)
    assert len(found) == 80 * 6
    for (row, feature), value in found.items():
        expected = one.values[row // 3, one.feature_names.index(feature), 0]
        assert value == pytest.approx(expected, abs=1e-6)
    rings = figure.data[0]
    assert rings.marker.symbol == "circle-open"  # categories have no order
    assert {clicked(figure.layout.meta, d).feature for d in rings.customdata} >= {"region", "flag"}


def test_higher_values_are_drawn_above_lower_ones() -> None:
    one = attributed(np.ones((21, 1)), np.arange(21.0)[:, None])
    figure = figures.plot_beeswarm(compute_beeswarm([one]))
    trace = figure.data[-1]
    upwards = -np.asarray(trace.y)  # the axis runs down
    assert (np.diff(upwards[np.argsort(trace.marker.color)]) > 0).all()
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]


def test_marks_are_a_few_thousand_at_most_and_it_is_said() -> None:
    four = [mixed(700, model=f"m{k}") for k in range(4)]
    figure = figures.plot_beeswarm(compute_beeswarm(four, max_marks=4_000))
    assert sum(len(trace.x) for trace in figure.data) <= 4_000
    assert re.search(r"Drawn: [0-9,]+ of 16,800 points", figure.layout.meta["caption"])


def test_a_raster_answers_the_mouse_and_clicks() -> None:
    figure = PLAIN["raster"]
    heat, targets = figure.data[0], figure.data[1]
    assert heat.z.dtype == np.uint8
    assert heat.hoverinfo == "skip"
    assert heat.colorscale[0][1] == "rgba(0,0,0,0)"
    # Plotly's rows are centred on y: an empty one lies on either side of a feature
    assert heat.z.shape[0] == 6 * 13
    assert not heat.z[::13].any()
    assert len(targets.x) <= 6 * 160
    total = sum(int(text.split(" row")[0].replace(",", "")) for text in targets.text)
    assert total == 6 * 4_000
    assert targets.marker.opacity == 0.01
    assert "Every row is counted" in figure.layout.title.text


def test_the_layers_of_a_raster_rise_with_the_feature() -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(25_000, 1))
    one = attributed(np.full((25_000, 1), 0.5), data)
    figure = figures.plot_beeswarm(compute_beeswarm([one]))
    column = figure.data[0].z[:, figure.data[0].z.any(axis=0)][:, 0]
    filled = column[column > 0].astype(int)
    assert (np.diff(filled) <= 0).all()  # the axis runs down: high values first
    assert figure.data[0].y[0] < figure.data[0].y[-1]
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]


@pytest.mark.parametrize(
    ("space", "adds", "goes"),
    [(OutputSpace.TARGET, "load_mw", "load_mw"), (OutputSpace.LOG_ODDS, "the log-odds of load_mw",
     "Log-odds of load_mw")],
)  # fmt: skip
def test_the_target_keeps_its_name(space: OutputSpace, adds: str, goes: str) -> None:
    one = replace(mixed(200), space=space, output_names=("load_mw",))
    swarm = figures.plot_beeswarm(compute_beeswarm([one]))
    assert swarm.layout.xaxis.title.text == f"Adds to {adds}"
    assert f"to {adds}." in swarm.data[0].hovertemplate
    fall = figures.plot_waterfalls(compute_waterfalls([one], 30))
    assert fall.layout.xaxis.title.text == goes
    said_of_steps = [text for trace in fall.data for text in (trace.text or ())]
    assert any(f"<i>{one.model}</i>, income = " in text for text in said_of_steps)
    assert any(f"to {adds}." in text for text in said_of_steps)
    said = figures.plot_dependence(compute_dependence([one], "income")).layout.meta["caption"]
    assert f": {adds} is typically" in said
    places = re.findall(r"near ([\d.]+?)[.;]? ", said)
    assert places and all(len(re.sub(r"^0?\.0*|\.", "", place)) <= 3 for place in places), said


def test_a_feature_that_a_model_lacks_is_said() -> None:
    one = mixed(50)
    part = attributed(one.values[:, :1], one.data[["income"]], model="part", rows=one.rows)
    figure = figures.plot_beeswarm(compute_beeswarm([one, part]))
    unused = [note for note in figure.layout.annotations if note.text == "not used"]
    assert len(unused) == 5
    assert {note.xref for note in unused} == {"x2"}


# Dependence


def test_categories_have_ticks_in_the_order_of_their_effect() -> None:
    axis = PLAIN["dependence of region"].layout.xaxis
    assert list(axis.ticktext) == ["inland", "ocean", "bay"]
    age = PLAIN["dependence of age"]
    assert any(note.text == "missing" for note in age.layout.annotations)
    assert age.layout.showlegend  # coloured by the region
    shown = [trace.name for trace in age.data if trace.showlegend]
    assert sorted(shown) == ["bay", "inland", "ocean"]
    day = PLAIN["dependence of day"].layout.xaxis
    assert all(re.fullmatch(r"20\d\d-\d\d", text) for text in day.ticktext)


def test_selected_rows_are_ringed() -> None:
    one = mixed(200)
    for kind in ("beeswarm", "dependence of age"):
        chosen = [trace for trace in PLAIN[kind].data if trace.name == "selected row"]
        assert len(chosen) == 2
        assert {data[0] for trace in chosen for data in trace.customdata} == {30}
    swarm = next(t for t in PLAIN["beeswarm"].data if t.name == "selected row")
    assert sorted(swarm.x) == pytest.approx(sorted(one.values[10, :, 0]), abs=1e-6)
    lines = [shape for shape in PLAIN["clusters"].layout.shapes if shape.line.dash == "dot"]
    assert len(lines) == 2


# Waterfalls


def test_steps_run_from_the_average_to_the_answer() -> None:
    falls = compute_waterfalls([mixed(50)], 30, limit=3)
    figure = figures.plot_waterfalls(falls)
    bars = figure.data[0]
    assert bars.base[0] == pytest.approx(falls[0].base)
    ends = np.asarray(bars.base) + np.asarray(bars.x)
    assert bars.base[1:] == pytest.approx(ends[:-1], abs=1e-6)
    assert ends[-1] == pytest.approx(falls[0].prediction, abs=1e-6)
    assert list(bars.y) == [3, 2, 1, 0]  # folded features below
    assert [colour == look.RAISES for colour in bars.marker.color] == (bars.x > 0).tolist()
    signs = [note.text for note in figure.layout.annotations]
    for step in bars.x:
        assert any(text[:1] == ("+" if step > 0 else "−") for text in signs)
    assert figure.layout.yaxis.ticktext[-1] == "3 other features"
    assert "add up to the model's own answer" in figure.layout.meta["caption"]


def test_unused_features_have_no_step_and_sampled_ones_a_whisker() -> None:
    one = mixed(50)
    part = attributed(
        one.values[:, [0, 5]],
        one.data[["income", "noise"]],
        model="part",
        rows=one.rows,
        errors=np.full((50, 2, 1), 0.1),
    )
    figure = figures.plot_waterfalls(compute_waterfalls([one, part], 30))
    bars = [trace for trace in figure.data if trace.name == "steps"]
    assert [len(trace.x) for trace in bars] == [6, 2]
    assert bars[1].error_x.visible
    assert not bars[0].error_x.visible
    assert bars[1].error_x.array == pytest.approx(norm.ppf(0.975) * np.array([0.1, 0.1]))
    assert "95 % interval" in figure.layout.title.text


def test_a_gap_is_said() -> None:
    one = mixed(5)
    off = replace(one, predictions=one.predictions + 0.01)
    figure = figures.plot_waterfalls(compute_waterfalls([off], 3))
    assert "miss the model's own answer by at most .01" in figure.layout.meta["caption"]


def test_paths_end_at_the_answers() -> None:
    paths = compute_decision_paths([mixed(100)], highlight=[30])
    figure = figures.plot_decision_paths(paths)
    answers = next(trace for trace in figure.data if trace.name == "answers")
    assert answers.x == pytest.approx(paths[0].predictions, abs=1e-6)
    strong = next(trace for trace in figure.data if trace.name == "rows asked for")
    assert strong.x[-2] == pytest.approx(paths[0].predictions[paths[0].rows == 30][0], abs=1e-6)
    lines = [trace for trace in figure.data if trace.name.startswith("rows that end")]
    assert {trace.line.color[:4] for trace in lines} == {"rgba"}
    assert sum(np.isnan(np.asarray(trace.x)).sum() for trace in lines) == paths[0].n - 1


# Heat maps


def test_groups_share_colours_and_are_parted() -> None:
    figure = PLAIN["clusters"]
    heats = [trace for trace in figure.data if trace.type == "heatmap"]
    assert heats[0].zmax == heats[1].zmax == -heats[0].zmin
    one = compute_explanation_clusters([mixed(2_000)], max_rows=1_000)[0]
    large = figures.plot_clusters([one])
    assert large.data[0].z.shape == (6, 320)
    assert large.data[0].z.mean(axis=1) == pytest.approx(np.nanmean(one.values, axis=0), abs=0.01)
    assert len(large.layout.shapes) == len(one.groups) - 1


def test_the_diagonal_of_pairs_is_a_number_without_colour() -> None:
    heat = PLAIN["pairs"].data[0]
    assert np.isnan(np.diag(np.asarray(heat.z))).all()
    texts = [note.text for note in PLAIN["pairs"].layout.annotations]
    assert any(re.fullmatch(r"[0-9.]+", text) for text in texts)


def test_cohorts_are_filled_and_the_rest_is_hollow() -> None:
    figure = PLAIN["cohorts"]
    cohort = next(trace for trace in figure.data if trace.name == "cohort")
    rest = next(trace for trace in figure.data if trace.name == "rest")
    assert cohort.marker.color == figures.style_of(0).colour
    assert rest.marker.color == look.ink("light").page
    assert clicked(figure.layout.meta, cohort.customdata[0]).feature is not None


def test_long_names_keep_two_ends_and_stay_distinct() -> None:
    names = [f"a very long name of a column that ends in {k}" for k in range(3)]
    one = attributed(np.ones((60, 3)) * [3, 2, 1], pd.DataFrame(np.ones((60, 3)), columns=names))
    log_odds = replace(one, space=OutputSpace.LOG_ODDS, output_names=("a class of a long name",))
    for figure in (
        figures.plot_beeswarm(compute_beeswarm([log_odds])),
        figures.plot_waterfalls(compute_waterfalls([log_odds], 0)),
    ):
        ticks = list(figure.layout.yaxis.ticktext)
        assert len(set(ticks)) == len(ticks) == 3
        assert all(re.sub(r"<[^>]+>", "", text)[:1] == "a" for text in ticks)


# Awkward data


def _all_kinds(one: Attributions) -> list[go.Figure]:
    drawn = [
        figures.plot_beeswarm(compute_beeswarm([one])),
        figures.plot_dependence(compute_dependence([one], one.feature_names[0])),
        figures.plot_waterfalls(compute_waterfalls([one], int(one.rows[0]))),
        figures.plot_decision_paths(compute_decision_paths([one])),
    ]
    if one.n >= 3:
        drawn.append(figures.plot_clusters(compute_explanation_clusters([one])))
    if one.n >= 50:
        drawn.append(figures.plot_interactions(compute_interaction_hints([one])))
    return drawn


def test_two_thousand_features_are_folded() -> None:
    rng = np.random.default_rng(0)
    wide = attributed(rng.normal(size=(50, 2_000)), rng.normal(size=(50, 2_000)))
    drawn = _all_kinds(wide)
    for figure in drawn:
        assert len(figure.layout.meta["features"]) <= 20
        assert len(figure.to_json()) < 250_000
    assert "20 of 2,000 features" in drawn[0].layout.title.text
    fall = compute_waterfalls([wide], 0)[0]
    assert fall.n_rest == 1_990
    assert fall.sums[-1] == pytest.approx(fall.prediction)


@pytest.mark.parametrize("n", [1, 2, 60])
def test_constant_and_missing_columns_and_a_single_row(n: int) -> None:
    frame = pd.DataFrame(
        {
            "missing": pd.Series([np.nan] * n),
            "constant": 1.0,
            "never": pd.Series([None] * n, dtype=object),
            "one name": "a",
        }
    )
    for values in (np.zeros((n, 4)), np.ones((n, 4)) * [0.0, 1.0, -1.0, 1e-300]):
        for name in frame:
            one = attributed(values, frame)
            figures.plot_dependence(compute_dependence([one], str(name)))
        for figure in _all_kinds(one):
            assert figure.layout.meta["caption"].endswith(".")


def test_very_large_and_very_small_values_keep_their_axes() -> None:
    frame = pd.DataFrame({"a": np.linspace(0, 1, 60), "b": 1.0})
    for size in (1e-9, 1e12):
        one = attributed(size * np.column_stack([frame["a"] - 0.5, frame["a"]]), frame, base=size)
        for figure in _all_kinds(one):
            assert all(np.isfinite(figure.layout.xaxis.range))


def test_no_marks_have_no_custom_data() -> None:
    """One feature makes no pair: the chart of pairs once failed on it."""
    assert marks_of(-1, np.zeros(0, dtype=int), 0) == []
    assert marks_of(7, [0, 1], 2) == [[7, 0, 2], [7, 1, 2]]
