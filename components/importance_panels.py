"""Importances side by side: measured in four ways, drawn together, compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import pandas as pd
import streamlit as st

from components import cached, progress
from components.asking import Answer, Asked, Request, able, ask
from components.attribution_panels import show_sentence
from components.markup import plain
from components.panels import show_figure, show_table, theme
from components.provenance import show_provenance
from components.scene import Scene, scene
from components.state import AppState
from dashboard.contracts import Model, Task
from dashboard.data import EvalSet
from dashboard.diagnostics.headlines import headline_importances
from dashboard.diagnostics.importance import Importance, compute_shap_importance
from dashboard.diagnostics.importance_comparison import compare_importances
from dashboard.diagnostics.metrics import METRICS
from dashboard.figures import plot_agreement, plot_importances
from dashboard.importance import (
    drop_column_importance,
    native_importances,
    permutation_importance,
)
from dashboard.settings import get_settings
from dashboard.wording import listing

__all__ = ["measured", "show_agreement", "show_every_number", "show_headline", "show_importances"]

_WORDS = {
    "shap": "Contributions",
    "permutation": "Permutation",
    "native": "Built in",
    "drop": "Left out",
}
_HELP = (
    "**Contributions**: how far a feature moves the answers, on average (mean |SHAP|); right or "
    "wrong answers count alike. **Permutation**: how much worse the model gets when the feature's "
    "values are shuffled. **Built in**: what the model itself counts (gain, impurity, "
    "coefficients), which each kind of model measures in its own way. **Left out**: how much worse "
    "the model is when it is fitted again without the feature."
)
_LAYOUTS = {"dots": "Dots on shared rows", "columns": "One column a model"}


def measured(state: AppState) -> tuple[list[Importance], Scene | None]:
    """The importances of every shown model by the chosen method; ends the page before the first.

    With them the explanations that they were made of, if they were.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = _choose_method(state)
        metric = _choose_metric(state) if method in ("permutation", "drop") else ""
    if method == "shap":
        return _of_contributions(state)
    answers = ask(state, _requests(state, method, metric))
    if not answers:
        progress.stop_here(state)
    return [one for answer in answers for one in _named(answer)], None


def _choose_method(state: AppState) -> str:
    chosen = st.segmented_control(
        "Importance by",
        list(_WORDS),
        default=state.explored.method,
        required=True,
        format_func=lambda one: _WORDS[one],
        key="importance-method",
        help=_HELP,
    )
    state.explore(method=str(chosen or "shap"))
    return state.explored.method


def _choose_metric(state: AppState) -> str:
    task = state.need_evalset().target.task
    known = [name for name, one in METRICS.items() if task in one.tasks]
    start = state.explored.metric if state.explored.metric in known else _usual(task)
    chosen = st.selectbox(
        "Worse by",
        known,
        index=known.index(start) if start in known else 0,
        format_func=lambda name: METRICS[name].title,
        key="importance-metric",
        help="The metric whose loss is measured.",
    )
    if chosen != start:
        state.explore(metric=str(chosen))
    return str(chosen)


def _usual(task: Task) -> str:
    return "roc_auc" if task is Task.BINARY else "accuracy" if task.is_classification else "rmse"


# -- contributions --------------------------------------------------------------------------------


def _of_contributions(state: AppState) -> tuple[list[Importance], Scene]:
    found = scene(state)
    settings = get_settings()
    made = [
        cached.computed(
            "shap_importance",
            (one.entry.name, *one.key),
            partial(
                compute_shap_importance,
                one.value,
                level=settings.confidence_level,
                random_state=settings.random_state,
            ),
        )
        for one in found.answers
    ]
    return made, found


# -- asked for ------------------------------------------------------------------------------------


def _requests(state: AppState, method: str, metric: str) -> list[Request[Any]]:
    known: dict[str, Callable[..., None]] = {
        "permutation": partial(_permute, metric),
        "native": _native,
        "drop": partial(_drop, metric),
    }
    work = known[method]
    verb = {"permutation": "Shuffling columns for", "native": "Asking", "drop": "Refitting"}[method]
    return [
        Request(entry, method, (metric,), f"{verb} {entry.name}", partial(work, entry.name))
        for entry in able(state)
    ]


def _native(name: str, model: Callable[[], Model], evalset: EvalSet, asked: Asked[Any]) -> None:
    with asked.turn(0, 0):
        asked.post(native_importances(model(), evalset, name))


def _permute(
    metric: str, name: str, model: Callable[[], Model], evalset: EvalSet, asked: Asked[Any]
) -> None:
    with asked.turn(1, 0):
        asked.post(permutation_importance(model(), evalset, name, metric=metric))


def _drop(
    metric: str, name: str, model: Callable[[], Model], evalset: EvalSet, asked: Asked[Any]
) -> None:
    with asked.turn(2, 0):
        asked.post(drop_column_importance(model(), evalset, name, metric=metric))


def _named(answer: Answer[Any]) -> list[Importance]:
    """One model's importances (native ones may be several), under the name it has now."""
    found = answer.value if isinstance(answer.value, (list, tuple)) else [answer.value]
    return [replace(one, model=answer.entry.name) for one in found]


# -- shown ----------------------------------------------------------------------------------------


def show_headline(importances: Sequence[Importance], place: Any) -> None:
    """The one sentence that answers the page's question, put at `place`, above the controls."""
    show_sentence(headline_importances(importances), place)


def show_importances(
    state: AppState, importances: Sequence[Importance], found: Scene | None
) -> None:
    """All models on shared rows; a click on a mark opens that feature below."""
    layout = st.segmented_control(
        "Models as",
        list(_LAYOUTS),
        default=state.explored.layout,
        required=True,
        format_func=lambda one: _LAYOUTS[one],
        key="importance-layout",
    )
    state.explore(layout=str(layout or "dots"))
    figure = plot_importances(
        list(importances), state.styles(), layout=_layout(state), theme=theme()
    )
    show_figure(
        figure,
        key=f"importances-{state.explored.method}-{state.explored.layout}",
        tables={one.model: one for one in importances},
        on_pick=lambda hit: state.explore(feature=hit.feature or state.explored.feature),
    )
    st.caption("Click a mark to see how that feature moves the answers.")
    if found is not None:
        show_provenance(found.attributions)
    for warning in dict.fromkeys(one.warning for one in importances if one.warning):
        st.caption(f":material/info: {plain(warning)}")
    notes = [f"{one.model}: {note}" for one in importances for note in one.notes]
    if notes and found is None:  # else they stand with the explanations
        with st.expander(f"How it was measured ({len(notes)})", icon=":material/info:"):
            st.markdown("\n".join(f"- {plain(note)}" for note in notes))


def _layout(state: AppState) -> Literal["dots", "columns"]:
    return "columns" if state.explored.layout == "columns" else "dots"


def show_agreement(state: AppState, importances: Sequence[Importance]) -> None:
    """How alike the models order the features; what one alone uses, and none."""
    if len(importances) < 2:
        return
    st.header("Agreement", anchor=False)
    compared = compare_importances(importances)
    left, right = st.columns([3, 2])
    with left:
        figure = plot_agreement(compared, state.styles(), theme=theme())
        show_figure(figure, key="agreement", tables={"agreement": compared})
    with right:
        for label, features in compared.only.items():
            if features:
                st.markdown(f"**Only {plain(label)}** uses {plain(listing(features, 6))}.")
        if compared.unused:
            n = len(compared.features)
            st.markdown(
                f"**Used by none**: {plain(listing(compared.unused, 8))} "
                f"({len(compared.unused)} of {n})."
            )


def show_every_number(importances: Sequence[Importance]) -> None:
    """All values with intervals and ranks, folded away."""
    with st.expander("Every number, with intervals and ranks", icon=":material/table:"):
        frame = pd.concat([one.frame() for one in importances], ignore_index=True)
        show_table(frame, key="importances", name="importances")
