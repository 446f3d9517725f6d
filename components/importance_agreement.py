"""How alike models, or the methods of one model, order the features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from components import cached
from components.asking import Answer, Request, ask, n_waiting
from components.explaining import planned, to_explain
from components.importance_asking import (
    Wish,
    dropping,
    importances_of,
    native,
    permuting,
    refit_key,
    refitting,
    usual_metric,
    wish,
)
from components.importance_controls import open_feature
from components.importance_panels import first_of_each
from components.markup import plain
from components.panels import show_figure, theme
from components.state import AppState, ModelEntry, following
from dashboard.contracts import Attributions
from dashboard.diagnostics.importance import Importance, compute_shap_importance
from dashboard.diagnostics.importance_comparison import (
    ImportanceComparison,
    compare_importances,
)
from dashboard.diagnostics.metrics import METRICS
from dashboard.figures import plot_agreement, plot_rank_flow
from dashboard.figures.panels import MOST_PANELS
from dashboard.settings import get_settings
from dashboard.wording import listing, shorten

__all__ = ["show_agreement"]

_HELP = (
    "Models that order the features differently found different ways to the answer. Methods that "
    "differ for one model answer different questions: what moves its answers, what it loses "
    "without, what it split on."
)


def show_agreement(state: AppState, importances: Sequence[Importance], waiting: int) -> None:
    """The models against each other, or all methods of one model.

    `waiting` : models that have no importance yet.
    """
    entries = [one for one in state.shown if one.table is None]
    between = first_of_each(importances)
    if not entries:
        return
    st.header("Agreement", anchor=False, help=_HELP)
    entry = _choose(state, entries, len(between) > 1)
    if entry is not None:
        between = _by_every_method(state, entry, importances)
        waiting = n_waiting()
    if len(between) > 1:
        _tell_use(_show(state, between, methods=entry is not None), "so far " if waiting else "")
    if entry is not None:
        _offer_dropping(state, entry, between)


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
        format_func=lambda file: (
            f"The methods, for {shorten(names[file], 40)}" if file else "The models"
        ),
        **following(
            "compared",
            start if place is not None else None,
            lambda file: state.explore(compared=str(file or "")),
            index=place,
        ),
        width=420,
        placeholder="Choose a model to compare its methods",
    )
    return next((one for one in entries if chosen and one.file == chosen), None)


def _by_every_method(
    state: AppState, entry: ModelEntry, importances: Sequence[Importance]
) -> list[Importance]:
    """Contributions, permutation, what it counts itself, and fits that were made: each alone.

    Contributions are those of all charts: in their unit, against the same background.
    """
    asked = wish(state, _metric(state), together="alone", groups="")
    requests: list[Request[Any]] = [*to_explain(state, planned(state, entry))]
    requests += [] if _is_above(state, "permutation", asked) else [permuting(state, entry, asked)]
    requests += [] if _is_above(state, "native", asked) else [native(entry)]
    left_out = refitting(asked)
    if state.explored.method != "drop" and refit_key(state, entry, left_out) in state.refitted:
        requests.append(dropping(state, entry, left_out))
    found = [one for answer in ask(state, requests) for one in _measured(answer)]
    # what is asked above already has its row there
    return [
        *found,
        *(one for one in importances if one.model == entry.name and one.method != "shap"),
    ]


def _measured(answer: Answer[Any]) -> list[Importance]:
    """The importances in an answer; of contributions their mean size, and in which unit it is."""
    one, settings = answer.value, get_settings()
    if not isinstance(one, Attributions):
        return importances_of(answer)
    st.caption(
        f"Contributions as on the charts of all models: in {one.space.value}, measured against "
        f"{plain(one.background.how)}. {one.n:,} of {one.n_given:,} rows."
    )
    compute = partial(
        compute_shap_importance,
        one,
        level=settings.confidence_level,
        random_state=settings.random_state,
    )
    made = cached.computed("shap_importance", (answer.entry.name, *answer.key, None), compute)
    return [replace(made, model=answer.entry.name)]


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


def _offer_dropping(state: AppState, entry: ModelEntry, found: Sequence[Importance]) -> None:
    """The way to the one method that takes fitting again, where it is not among those compared."""
    if state.explored.method == "drop" or any(one.method == "drop-column" for one in found):
        return
    st.button(
        "Fit again without each feature",
        key="compare-dropped",
        type="tertiary",
        icon=":material/model_training:",
        help=f"What {plain(entry.name)} loses when it is fitted again without a feature is not "
        "compared: that takes longer. How long is told before it begins.",
        on_click=partial(state.explore, method="drop"),
    )


def _show(
    state: AppState, importances: Sequence[Importance], *, methods: bool
) -> ImportanceComparison:
    compared = compare_importances(importances)
    if all(np.isnan(pair.spearman) for pair in compared.pairs):
        st.caption("They share too few features to compare their order.")
        return compared
    left, right = st.columns([2, 3] if len(importances) <= MOST_PANELS else [1, 1])
    with left:
        figure = plot_agreement(compared, state.styles(), theme=theme())
        show_figure(figure, key=f"agreement-{methods}", tables={"agreement": compared})
    with right:
        figure = plot_rank_flow(importances, state.styles(), theme=theme())
        show_figure(
            figure,
            key=f"places-{methods}",
            tables=dict(zip(compared.labels, importances, strict=True)),
            on_pick=partial(open_feature, state),
        )
    return compared


def _tell_use(compared: ImportanceComparison, so_far: str) -> None:
    """Which features one alone uses or has, which one lacks, and which none uses."""
    n = len(compared.features)
    said = [
        f"**Only {plain(label)}** {so_far}uses {plain(listing(features, 6))}."
        for label, features in compared.only.items()
        if features
    ]
    said += [
        f"**Only {plain(label)}** {so_far}has {plain(listing(features, 6))} "
        f"({len(features)} of {n} features)."
        for label, features in compared.alone.items()
        if features
    ]
    said += [
        f"**{plain(label)}** has no value for {plain(listing(features, 6))}, which others have "
        f"({len(features)} of {n} features): compared on the shared ones."
        for label, features in compared.lacking.items()
        if features
    ]
    if compared.unused:
        said.append(
            f"**Used by none** {so_far.strip()}".strip()
            + f": {plain(listing(compared.unused, 8))} ({len(compared.unused)} of {n})."
        )
    if said:
        st.markdown("\n".join(f"- {one}" for one in said))
