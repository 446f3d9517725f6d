"""How alike models, or the methods of one model, order the features."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from components.asking import Request, ask
from components.importance_asking import (
    Wish,
    importances_of,
    native,
    permuting,
    shap,
    usual_metric,
    wish,
)
from components.importance_controls import open_feature
from components.importance_panels import first_of_each
from components.markup import plain
from components.panels import show_figure, theme
from components.state import AppState, ModelEntry
from dashboard.diagnostics.importance import Importance
from dashboard.diagnostics.importance_comparison import (
    ImportanceComparison,
    compare_importances,
)
from dashboard.diagnostics.metrics import METRICS
from dashboard.figures import plot_agreement, plot_rank_flow
from dashboard.figures.panels import MOST_PANELS
from dashboard.wording import listing, shorten

__all__ = ["show_agreement"]

_HELP = (
    "Models that order the features differently found different ways to the answer. Methods that "
    "differ for one model answer different questions: what moves its answers, what it loses "
    "without, what it split on."
)


def show_agreement(state: AppState, importances: Sequence[Importance]) -> None:
    """The models against each other, or all methods of one model."""
    entries = [one for one in state.shown if one.table is None]
    between = first_of_each(importances)
    if not entries:
        return
    st.header("Agreement", anchor=False, help=_HELP)
    entry = _choose(state, entries, len(between) > 1)
    if entry is not None:
        between = _by_every_method(state, entry, importances)
    if len(between) > 1:
        _show(state, between, methods=entry is not None)


def _choose(state: AppState, entries: Sequence[ModelEntry], several: bool) -> ModelEntry | None:
    """The model whose methods are compared; None: the models are, where there are several."""
    files = [one.file for one in entries]
    known = [""] * several + files
    start = state.explored.compared if state.explored.compared in known else known[0]
    place = known.index(start) if several or state.explored.compared in files else None
    names = {one.file: one.name for one in entries}
    chosen = st.selectbox(
        "Compare",
        known,
        index=place,
        format_func=lambda file: (
            f"The methods, for {shorten(names[file], 40)}" if file else "The models"
        ),
        key=f"compared-{start}-{several}",
        width=420,
        placeholder="Choose a model to compare its methods",
    )
    if (chosen or "") != state.explored.compared:
        state.explore(compared=str(chosen or ""))
    return next((one for one in entries if chosen and one.file == chosen), None)


def _by_every_method(
    state: AppState, entry: ModelEntry, importances: Sequence[Importance]
) -> list[Importance]:
    """Contributions, permutation and what it counts itself, each feature alone."""
    asked = wish(state, _metric(state), together="alone", groups="")
    requests: list[Request[Any]] = [shap(state, entry)]
    requests += [] if _is_above(state, "permutation", asked) else [permuting(state, entry, asked)]
    requests += [] if _is_above(state, "native", asked) else [native(entry)]
    found = [one for answer in ask(state, requests) for one in importances_of(answer)]
    # what is asked above already has its row there
    return [
        *found,
        *(one for one in importances if one.model == entry.name and one.method != "shap"),
    ]


def _is_above(state: AppState, method: str, asked: Wish) -> bool:
    """Whether the page asks the same for its first chart."""
    if state.explored.method != method:
        return False
    return method == "native" or wish(state, asked.metric) == asked


def _metric(state: AppState) -> str:
    """The chosen metric, or the usual one."""
    task, chosen = state.need_evalset().target.task, METRICS.get(state.explored.metric)
    usable = chosen is not None and task in chosen.tasks and chosen.has_overall(task)
    return state.explored.metric if usable else usual_metric(task)


def _show(state: AppState, importances: Sequence[Importance], *, methods: bool) -> None:
    compared = compare_importances(importances)
    left, right = st.columns([2, 3] if len(importances) <= MOST_PANELS else [1, 1])
    with left:
        figure = plot_agreement(compared, state.styles(), theme=theme())
        show_figure(figure, key=f"agreement-{methods}", tables={"agreement": compared})
    if any(pair.n_shared for pair in compared.pairs):
        with right:
            figure = plot_rank_flow(importances, state.styles(), theme=theme())
            show_figure(
                figure,
                key=f"places-{methods}",
                tables=dict(zip(compared.labels, importances, strict=True)),
                on_pick=partial(open_feature, state),
            )
    _tell_use(compared)


def _tell_use(compared: ImportanceComparison) -> None:
    """Which features one alone uses or has, and which none uses."""
    said = [
        f"**Only {plain(label)}** uses {plain(listing(features, 6))}."
        for label, features in compared.only.items()
        if features
    ]
    said += [
        f"**Only {plain(label)}** has {plain(listing(features, 6))} "
        f"({len(features)} of {len(compared.features)} features)."
        for label, features in compared.alone.items()
        if features
    ]
    if compared.unused:
        said.append(
            f"**Used by none**: {plain(listing(compared.unused, 8))} "
            f"({len(compared.unused)} of {len(compared.features)})."
        )
    if said:
        st.markdown("\n".join(f"- {one}" for one in said))
