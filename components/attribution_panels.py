"""How features move the answers: swarms, dependence, and what stands behind the tabs."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import streamlit as st

from components.leading import ONE_FEATURE, lead_up_to
from components.markup import plain
from components.panels import HEADLINE, show_figure
from components.provenance import show_provenance
from components.scene import Scene, scene
from components.state import AppState, following
from dashboard.diagnostics.attributions import common_features
from dashboard.diagnostics.beeswarm import compute_beeswarm
from dashboard.diagnostics.dependence import AUTO, compute_dependence
from dashboard.diagnostics.headlines import headline_explanations
from dashboard.figures import Clicked, plot_beeswarm, plot_dependence
from dashboard.figures.panels import MOST_PANELS
from dashboard.settings import get_settings
from dashboard.wording import shorten

__all__ = [
    "pick",
    "show_beeswarms",
    "show_clicked_feature",
    "show_dependence",
    "show_headline",
    "show_sentence",
]

T = TypeVar("T")
_MOST_FEATURES = 2_000
_NONE = "(nothing)"


def pick(state: AppState, hit: Clicked) -> None:
    """A click on a chart: a row leads to its own page, a feature up to its dependence."""
    if hit.feature is not None:
        state.explore(feature=hit.feature)
    if hit.second is not None:
        state.explore(second=hit.second)
    if hit.row is not None:
        state.explore(row=hit.row)
        state.next_page = "one_row"
    elif hit.feature is not None:
        lead_up_to(state, ONE_FEATURE)


def in_fours(results: Sequence[T]) -> Iterator[tuple[int, list[T]]]:
    """As many models as stand side by side, and where they begin."""
    for start in range(0, len(results), MOST_PANELS):
        yield start, list(results[start : start + MOST_PANELS])


def show_headline(found: Scene, place: Any) -> None:
    """The one sentence that answers the page's question, put at `place`, above the controls."""
    said = headline_explanations(found.attributions, found.output, waiting=found.waiting)
    show_sentence(said, place)


def show_sentence(said: str, place: Any) -> None:
    """A headline whose first sentence is bold; a longer one does not move what is below."""
    first, stop, rest = said.partition(". ")
    lead = f"<strong>{html.escape(first + stop.strip())}</strong> {html.escape(rest)}"
    place.html(f'<p class="sl-headline" style="{HEADLINE};min-height:2lh">{lead}</p>')


def show_beeswarms(state: AppState, found: Scene) -> None:
    """Every row's contribution of every feature; below it, how they were computed."""
    compute = partial(
        compute_beeswarm,
        found.attributions,
        found.output,
        max_marks=get_settings().scatter_marks,
    )
    for start, swarms in in_fours(found.computed("beeswarm", compute)):
        figure = plot_beeswarm(swarms, found.styles, theme=found.theme, selected=state.explored.row)
        show_figure(
            figure,
            key=f"beeswarm-{start}",
            tables={one.model: one for one in swarms},
            on_pick=partial(pick, state),
        )
    show_provenance(found.attributions)


# -- one feature ----------------------------------------------------------------------------------


def features_of(found: Scene) -> list[str]:
    """All features, those that move most first."""
    return list(common_features(found.attributions, found.output, _MOST_FEATURES)[0])


def _choose_feature(state: AppState, found: Scene) -> str:
    known = features_of(found)
    start = state.explored.feature if state.explored.feature in known else known[0]
    chosen = st.selectbox(
        "Feature",
        known,
        format_func=lambda name: shorten(name, 60),
        **following(
            "feature",
            start,
            lambda name: state.explore(feature=str(name)),
            index=known.index(start),
        ),
        help="Ordered by how far they move the answers.",
    )
    return str(chosen)


def _choose_partner(state: AppState, found: Scene, feature: str) -> str | None:
    words = {"": "The strongest partner", _NONE: "Nothing"}
    known = ["", _NONE, *(name for name in features_of(found) if name != feature)]
    start = state.explored.second if state.explored.second in known else ""
    chosen = st.selectbox(
        "Coloured by",
        known,
        format_func=lambda name: words.get(name, shorten(name, 60)),
        **following(
            "partner",
            start,
            lambda name: state.explore(second=str(name)),
            index=known.index(start),
        ),
        help="Rows of the same value may still differ. The partner is the feature that explains "
        "most of that difference.",
    )
    return None if chosen == _NONE else chosen or AUTO


def show_dependence(state: AppState, found: Scene, *, choose: bool = True) -> None:
    """One feature: its value against what it adds, for every model that uses it."""
    colour: str | None = AUTO
    feature = state.explored.feature
    if choose:
        left, right = st.columns(2)
        with left:
            feature = _choose_feature(state, found)
        with right:
            colour = _choose_partner(state, found, feature)
    compute = partial(
        compute_dependence,
        found.attributions,
        feature,
        colour=colour,
        output=found.output,
        max_marks=get_settings().scatter_marks,
    )
    for start, results in in_fours(found.computed("dependence", compute, feature, colour)):
        figure = plot_dependence(results, found.styles, theme=found.theme)
        show_figure(
            figure,
            key=f"dependence-{start}",
            tables={one.model: one for one in results},
            on_pick=partial(pick, state),
        )
    without = [one.model for one in found.attributions if feature not in one.feature_names]
    if without:
        st.caption(f"{plain(', '.join(without))}: does not use {plain(feature)}.")


def show_clicked_feature(state: AppState, found: Scene | None) -> None:
    """On the page of importances: what the clicked feature does, right below."""
    if not state.explored.feature:
        return
    st.header(f"How {plain(shorten(state.explored.feature, 60))} moves the answers", anchor=False)
    show_dependence(state, found or scene(state), choose=False)
    st.page_link(
        "../pages/explanations.py",
        label="More about how features move the answers",
        icon=":material/scatter_plot:",
    )
