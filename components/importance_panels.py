"""Importances side by side: measured in four ways, drawn together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import pandas as pd
import streamlit as st

from components import cached, progress
from components.asking import Answer, able, ask, n_waiting
from components.attribution_panels import show_sentence
from components.importance_asking import (
    Wish,
    dropping,
    importances_of,
    native,
    permuting,
    planning_to_drop,
    refit_key,
    refitting,
    wish,
)
from components.importance_controls import (
    choose_counted,
    choose_method,
    choose_metric,
    choose_shuffling,
    open_feature,
    tell_groups,
)
from components.markup import plain
from components.panels import show_figure, show_table, theme
from components.provenance import show_provenance
from components.scene import Scene, scene
from components.state import AppState
from dashboard.contracts import Attributions, Label
from dashboard.diagnostics.attributions import output_position
from dashboard.diagnostics.headlines import headline_importances
from dashboard.diagnostics.importance import Importance, compute_shap_importance
from dashboard.diagnostics.importance_comparison import importance_labels
from dashboard.figures import plot_importances
from dashboard.figures.panels import MOST_PANELS
from dashboard.importance import RefittingPlan
from dashboard.settings import get_settings
from dashboard.wording import plural, shorten

__all__ = [
    "first_of_each",
    "measured",
    "show_every_number",
    "show_headline",
    "show_importances",
    "show_measuring",
]

_COMING = {
    "permutation": "how much worse each model gets when the values of a feature are shuffled",
    "native": "what each model itself counts of its features",
    "drop": "how much worse each model gets without a feature; how long that takes is told first",
}
_LAYOUTS = {"dots": "Dots on shared rows", "columns": "One column a model"}


def measured(state: AppState) -> tuple[list[Importance], Scene | None, int]:
    """The importances of every shown model by the chosen method; ends the page before the first.

    With them the explanations that they were made of, if they were, and how many models have none
    yet.
    """
    controls = st.container(horizontal=True, vertical_alignment="bottom")
    with controls:
        method = choose_method(state)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        metric = choose_metric(state) if method in ("permutation", "drop") else ""
        if metric:
            choose_shuffling(state, repeats=method == "permutation")
    if metric:
        tell_groups(state)
    if method == "shap":
        return _of_contributions(state)
    planning = offered = 0
    if method == "native":
        answers = ask(state, [native(entry) for entry in able(state)])
        found = choose_counted(state, [importances_of(one) for one in answers], controls)
    elif method == "permutation":
        found = _permuted(state, metric)
    else:
        found, planning, offered = _dropped(state, metric)
    waiting = n_waiting() + planning
    if not found:
        progress.wait_here(state, waiting, _COMING[method])
    return found, None, waiting + offered


# -- contributions --------------------------------------------------------------------------------


def _of_contributions(state: AppState) -> tuple[list[Importance], Scene, int]:
    found = scene(state)
    settings = get_settings()
    outputs = [_in_focus(one.value, found.output) for one in found.answers]
    made = [
        cached.computed(
            "shap_importance",
            (one.entry.name, *one.key, output),
            partial(
                compute_shap_importance,
                one.value,
                output,
                level=settings.confidence_level,
                random_state=settings.random_state,
            ),
        )
        for one, output in zip(found.answers, outputs, strict=True)
    ]
    return made, found, found.waiting


def _in_focus(one: Attributions, output: Label | None) -> int | None:
    """The position of the class or target that is looked at; None = all there are."""
    several = output is not None and len(one.output_names) > 1
    return output_position(one, output) if several else None


# -- shuffled and left out ------------------------------------------------------------------------


def _permuted(state: AppState, metric: str) -> list[Importance]:
    asked = wish(state, metric)
    answers = ask(state, [permuting(state, entry, asked) for entry in able(state)])
    return [one for answer in answers for one in importances_of(answer)]


def _dropped(state: AppState, metric: str) -> tuple[list[Importance], int, int]:
    """Fitted again only on request: after it is known how long that takes.

    With them how many models wait for a plan, and how many for that request.
    """
    asked = refitting(wish(state, metric))
    entries = able(state)
    plans = ask(state, [planning_to_drop(state, entry, asked) for entry in entries])
    unplanned = n_waiting()
    ready = [one.entry for one in plans if not one.value.left or _is_wanted(state, one, asked)]
    waiting = [one for one in plans if one.entry not in ready]
    if waiting:
        _offer_refitting(state, waiting, asked)
    answers = ask(state, [dropping(state, entry, asked) for entry in ready])
    found = [one for answer in answers for one in importances_of(answer)]
    return found, unplanned, len(waiting)


def _is_wanted(state: AppState, plan: Answer[RefittingPlan], asked: Wish) -> bool:
    return refit_key(state, plan.entry, asked) in state.refitted


def _offer_refitting(state: AppState, plans: Sequence[Answer[RefittingPlan]], asked: Wish) -> None:
    """What fitting again takes, model by model, and the button that begins it."""
    st.markdown(
        "To see what is lost without a feature, each model is fitted again without it, on folds of "
        "the evaluated rows. By the time that one fit took:"
    )
    lines = [
        f"- **{plain(one.entry.name)}**: {plural(one.value.left, 'fit')} on "
        f"{one.value.n:,} of {one.value.n_given:,} rows, about {_duration(one.value.seconds)}"
        for one in plans
    ]
    st.markdown("\n".join(lines))
    total = sum(one.value.seconds for one in plans)
    keys = {refit_key(state, one.entry, asked) for one in plans}
    st.button(
        f"Fit {plural(len(plans), 'model')} again (about {_duration(total)})",
        key="refit",
        type="primary",
        icon=":material/play_arrow:",
        on_click=state.refitted.update,
        args=(keys,),
        help="It can be cancelled; finished fits are kept.",
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"


# -- shown ----------------------------------------------------------------------------------------


def first_of_each(importances: Sequence[Importance]) -> list[Importance]:
    """One importance a model: the most telling one of those that count several things."""
    return list({one.model: one for one in reversed(importances)}.values())[::-1]


def show_headline(importances: Sequence[Importance], waiting: int, place: Any) -> None:
    """The one sentence that answers the page's question, put at `place`, above the controls."""
    show_sentence(headline_importances(first_of_each(importances), waiting=waiting), place)


def show_importances(state: AppState, importances: Sequence[Importance]) -> None:
    """All models on shared rows; a click on a mark opens that feature below."""
    several = 1 < max(len(importances), len(state.shown)) <= MOST_PANELS
    layout = _choose_layout(state) if several else "dots"
    figure = plot_importances(list(importances), state.styles(), layout=layout, theme=theme())
    labels = importance_labels(importances)
    show_figure(
        figure,
        key=f"importances-{state.explored.method}-{layout}",
        tables=dict(zip(labels, importances, strict=True)),
        on_pick=partial(open_feature, state),
    )
    st.caption(_what_a_click_does(state.explored.feature))


def _what_a_click_does(clicked: str) -> str:
    """What a click opens lies beneath a tall chart: that it came is said where one looks."""
    if not clicked:
        return "Click a mark to see how that feature moves the answers."
    name = plain(shorten(clicked, 60))
    return (
        f":material/arrow_downward: Below: how {name} moves the answers. Click another to change."
    )


def show_measuring(importances: Sequence[Importance], found: Scene | None) -> None:
    """By which method each model was measured, and what to keep in mind about it."""
    if found is not None:
        show_provenance(found.attributions)
    for warning in dict.fromkeys(one.warning for one in importances if one.warning):
        st.caption(f":material/info: {plain(warning)}")
    shown = {note for one in found.attributions for note in one.notes} if found else set()
    notes = [
        f"{one.model}: {note}" for one in importances for note in one.notes if note not in shown
    ]
    if notes:
        with st.expander(f"How it was measured ({len(notes)})", icon=":material/info:"):
            st.markdown("\n".join(f"- {plain(note)}" for note in dict.fromkeys(notes)))


def _choose_layout(state: AppState) -> Literal["dots", "columns"]:
    layout = st.segmented_control(
        "Models as",
        list(_LAYOUTS),
        default=state.explored.layout,
        required=True,
        format_func=lambda one: _LAYOUTS[one],
        key="importance-layout",
    )
    state.explore(layout=str(layout or "dots"))
    return "columns" if state.explored.layout == "columns" else "dots"


def show_every_number(importances: Sequence[Importance]) -> None:
    """All values with intervals and ranks, folded away."""
    with st.expander("Every number, with intervals and ranks", icon=":material/table:"):
        frame = pd.concat([one.frame() for one in importances], ignore_index=True)
        show_table(frame, key="importances", name="importances")
