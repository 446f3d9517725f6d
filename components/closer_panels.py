"""Behind the tabs of the page on explanations: effects, interactions, groups, classes, cohorts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from components.asking import Answer, Asked, Request, ask
from components.attribution_panels import features_of, in_fours, pick
from components.markup import plain
from components.panels import guard, show_figure
from components.scene import Scene
from components.state import AppState
from dashboard.contracts import Model
from dashboard.data import EvalSet
from dashboard.diagnostics.clusters import compute_explanation_clusters
from dashboard.diagnostics.cohorts import Cohort, compute_by_class, compute_cohorts
from dashboard.diagnostics.effects import FeatureEffect
from dashboard.diagnostics.interactions import (
    InteractionMatrix,
    align_interactions,
    compute_interaction_hints,
    compute_interaction_matrix,
)
from dashboard.diagnostics.two_way_effects import TwoWayEffect
from dashboard.effects import feature_effects, two_way_effect
from dashboard.explanation import ExplainOptions, interaction_values
from dashboard.figures import plot_by_class, plot_clusters, plot_cohorts, plot_interactions
from dashboard.figures.effects import plot_effects
from dashboard.figures.two_way_effects import plot_two_way, two_way_limits
from dashboard.settings import get_settings
from dashboard.wording import number, shorten

__all__ = ["show_closer"]

_KINDS = {"pdp": "Average", "ice": "Single rows", "ale": "Accumulated"}
_KINDS_HELP = (
    "**Average** (partial dependence): the mean answer when the feature is set to each value for "
    "every row. **Single rows** (centred ICE): the same for each row, from a common start, so that "
    "rows that react differently part. **Accumulated** (ALE): small steps within rows that are "
    "near, which stays with combinations that occur where features go together."
)


def show_closer(state: AppState, found: Scene) -> None:
    """Only the open tab is computed."""
    known = {
        name: one
        for name, one in _CLOSER.items()
        if name != "by_class" or any(len(each.output_names) > 1 for each in found.attributions)
    }
    titles = [title for title, _, _ in known.values()]
    start = known.get(state.explored.closer, known["effects"])[0]
    tabs = st.tabs(titles, default=start, key="closer", on_change="rerun")
    for tab, (name, (title, sentence, show)) in zip(tabs, known.items(), strict=True):
        if tab.open:
            state.explore(closer=name if name != "effects" else "")
            with tab, guard(title):
                st.caption(sentence)
                show(state, found)


# -- effects --------------------------------------------------------------------------------------


def _show_effects(state: AppState, found: Scene) -> None:
    feature, second, kind = _choose_effect(state, found)
    space = found.attributions[0].space.value
    requests = [
        Request(
            one.entry,
            "effects",
            (feature, second, kind == "ale", space),
            f"Asking {one.entry.name} about {shorten(feature, 40)}",
            partial(_ask_effects, feature, second, kind, space),
        )
        for one in found.answers
        if feature in one.value.feature_names
    ]
    answers = ask(state, requests)
    effects = [_of_output(one, found) for one in answers]
    if second:
        _draw_two_way(found, [one for one in effects if isinstance(one, TwoWayEffect)])
    else:
        _draw_effects(found, [one for one in effects if isinstance(one, FeatureEffect)], kind)
    notes = {f"{one.model}: {note}" for one in effects for note in one.notes}
    for note in sorted(notes):
        st.caption(f":material/info: {plain(note)}")


def _choose_effect(state: AppState, found: Scene) -> tuple[str, str, str]:
    known = features_of(found)
    feature = state.explored.feature if state.explored.feature in known else known[0]
    left, middle, right = st.columns([3, 3, 4], vertical_alignment="bottom")
    chosen = left.selectbox(
        "Effect of",
        known,
        index=known.index(feature),
        format_func=lambda name: shorten(name, 60),
        key=f"effect-{feature}",
    )
    if chosen != feature:
        state.explore(feature=str(chosen))
    others = ["", *(name for name in known if name != chosen)]
    start = state.explored.second if state.explored.second in others else ""
    second = middle.selectbox(
        "Together with",
        others,
        index=others.index(start),
        format_func=lambda name: shorten(name, 60) if name else "No other feature",
        key=f"effect-with-{chosen}-{start}",
    )
    if second != start:
        state.explore(second=str(second))
    kind = right.segmented_control(
        "As",
        list(_KINDS),
        default=state.explored.effect,
        required=True,
        format_func=lambda one: _KINDS[one],
        key="effect-kind",
        help=_KINDS_HELP,
    )
    state.explore(effect=str(kind or "pdp"))
    return str(chosen), str(second or ""), state.explored.effect


def _ask_effects(
    feature: str,
    second: str,
    kind: str,
    space: str,
    model: Callable[[], Model],
    evalset: EvalSet,
    asked: Asked[Any],
) -> None:
    how: Any = "ale" if kind == "ale" else "pdp"
    options: dict[str, Any] = {
        "kind": how,
        "space": space,
        "random_state": get_settings().random_state,
    }
    with asked.turn(1, 0):
        opened = model()
        if second:
            asked.post(two_way_effect(opened, evalset, (feature, second), **options))
        else:
            asked.post(feature_effects(opened, evalset, [feature], **options))


def _of_output(answer: Answer[Any], found: Scene) -> Any:
    """The effect on the output in focus, under the model's present name."""
    same = [one for one in answer.value if str(one.output) == str(found.output)]
    return replace((same or answer.value)[0], model=answer.entry.name)


def _draw_effects(found: Scene, effects: Sequence[FeatureEffect], kind: str) -> None:
    if kind != "ice":
        for start, part in in_fours(effects):
            figure = plot_effects(part, found.styles, theme=found.theme)
            show_figure(figure, key=f"effects-{start}", tables={one.model: one for one in part})
        return
    _side_by_side(
        "single",
        [
            (one, plot_effects(one.centred(), found.styles, theme=found.theme, curves=True))
            for one in effects
        ],
    )


def _draw_two_way(found: Scene, effects: Sequence[TwoWayEffect]) -> None:
    limits = two_way_limits(effects) if effects else None
    _side_by_side(
        "two-way",
        [
            (one, plot_two_way(one, found.styles, theme=found.theme, limits=limits))
            for one in effects
        ],
    )


def _side_by_side(key: str, drawn: Sequence[tuple[Any, go.Figure]]) -> None:
    """One chart a model, two abreast."""
    for start in range(0, len(drawn), 2):
        for at, (one, figure) in enumerate(drawn[start : start + 2]):
            if at == 0:
                columns = st.columns(2)
            with columns[at]:
                show_figure(figure, key=f"{key}-{start + at}", tables={one.model: one})


# -- from the explanations ------------------------------------------------------------------------


def _show_interactions(state: AppState, found: Scene) -> None:
    exact = st.toggle(
        "Exact, for trees",
        key="exact-pairs",
        help="What pairs add together beyond what each of the two adds alone (Shapley interaction "
        "values), from up to 500 rows. Without, a hint that every model allows: how much of one "
        "feature's spread at equal value another explains.",
    )
    if exact:
        matrices = _exact_pairs(state, found)
    else:
        compute = partial(compute_interaction_hints, found.attributions, found.output)
        matrices = found.computed("interaction hints", compute)
    for start, part in in_fours(matrices):
        figure = plot_interactions(part, found.styles, theme=found.theme)
        show_figure(
            figure,
            key=f"interactions-{start}",
            tables={one.model: one for one in part},
            on_pick=partial(pick, state),
        )


def _exact_pairs(state: AppState, found: Scene) -> list[InteractionMatrix]:
    """Those of the models that have them, on the same features."""
    options = {plan.entry.key: plan.value.options for plan in found.plans}
    requests = [
        Request(
            one.entry,
            "interactions",
            (repr(options[one.entry.key]),),
            f"Pairs of {one.entry.name}",
            partial(_ask_pairs, one.entry.name, options[one.entry.key]),
        )
        for one in found.answers
    ]
    features = features_of(found)[:_PAIRED]
    made = []
    for answer in ask(state, requests):
        values, attributions = answer.value
        attributions = replace(attributions, model=answer.entry.name)
        made.append(
            compute_interaction_matrix(values, attributions, found.output, features=features)
        )
    return align_interactions(made)


def _ask_pairs(
    name: str,
    options: ExplainOptions,
    model: Callable[[], Model],
    evalset: EvalSet,
    asked: Asked[Any],
) -> None:
    with asked.turn(2, 0):
        asked.post(interaction_values(model(), evalset, name, options))


def _show_clusters(state: AppState, found: Scene) -> None:
    compute = partial(compute_explanation_clusters, found.attributions, found.output)
    for start, part in in_fours(found.computed("clusters", compute)):
        figure = plot_clusters(part, found.styles, theme=found.theme, selected=state.explored.row)
        show_figure(
            figure,
            key=f"clusters-{start}",
            tables={one.model: one for one in part},
            on_pick=partial(pick, state),
        )


def _show_by_class(state: AppState, found: Scene) -> None:
    compute = partial(compute_by_class, found.attributions)
    for start, part in in_fours(found.computed("by class", compute)):
        figure = plot_by_class(part, found.styles, theme=found.theme)
        show_figure(
            figure,
            key=f"by-class-{start}",
            tables={one.model: one for one in part},
            on_pick=partial(pick, state),
        )


def _show_cohorts(state: AppState, found: Scene) -> None:
    cohort = _choose_cohort(state, found)
    if cohort is None:
        return
    compute = partial(compute_cohorts, found.attributions, cohort, found.output)
    for start, part in in_fours(found.computed("cohorts", compute, cohort.name)):
        figure = plot_cohorts(part, found.styles, theme=found.theme)
        show_figure(
            figure,
            key=f"cohorts-{start}",
            tables={one.model: one for one in part},
            on_pick=partial(pick, state),
        )


def _choose_cohort(state: AppState, found: Scene) -> Cohort | None:
    """Rows that share a value, or a quarter of the values, of any column."""
    frame = state.need_evalset().frame
    columns = [str(name) for name in frame.columns]
    if not columns:
        st.caption("The data has no columns to choose rows by.")
        return None
    strongest = next((name for name in features_of(found) if name in columns), columns[0])
    start = state.explored.cohort if state.explored.cohort in columns else strongest
    left, right = st.columns(2)
    column = str(
        left.selectbox("Rows by", columns, index=columns.index(start), key=f"cohort-{start}")
    )
    if column != start:
        state.explore(cohort=column, group="")
    rows = np.unique(np.concatenate([one.rows for one in found.attributions]))
    groups = _groups(frame.iloc[rows, columns.index(column)])
    if not groups:
        st.caption(f"{plain(column)} has no values in the explained rows.")
        return None
    names = list(groups)
    group = state.explored.group if state.explored.group in names else names[0]
    chosen = str(
        right.selectbox(
            "Those that are",
            names,
            index=names.index(group),
            format_func=lambda one: shorten(one, 60),
            key=f"group-{column}-{group}",
            help="They are set against all other explained rows.",
        )
    )
    if chosen != group:
        state.explore(cohort=column, group=chosen)
    return Cohort(f"{column}: {chosen}", frozenset(int(one) for one in rows[groups[chosen]]))


_MOST_GROUPS = 50
_PAIRED = 12


def _groups(cells: pd.Series[Any]) -> dict[str, Any]:
    """Name → which rows: quarters of numbers with many values, else the values themselves."""
    if pd.api.types.is_numeric_dtype(cells) and cells.nunique() > 8:
        values = cells.to_numpy(dtype=float, na_value=np.nan)
        edges = np.unique(np.nanquantile(values, [0, 0.25, 0.5, 0.75, 1]))
        found = {}
        for at, (low, high) in enumerate(itertools.pairwise(edges)):
            last = at == len(edges) - 2
            inside = (values >= low) & ((values <= high) if last else (values < high))
            found[f"{number(low)} to {'' if last else 'below '}{number(high)}"] = inside
    else:
        texts = cells.astype(str).to_numpy()
        common = pd.Series(texts[cells.notna().to_numpy()]).value_counts().index[:_MOST_GROUPS]
        found = {str(one): texts == one for one in common}
    missing = cells.isna().to_numpy()
    return {**found, "missing": missing} if missing.any() else found


_CLOSER: dict[str, tuple[str, str, Callable[[AppState, Scene], None]]] = {
    "effects": (
        "Effects",
        "What would the models answer if only this feature had another value?",
        _show_effects,
    ),
    "interactions": (
        "Pairs",
        "Which features work together, so that one changes what the other does?",
        _show_interactions,
    ),
    "clusters": (
        "Groups of rows",
        "Which rows are answered alike for the same reasons?",
        _show_clusters,
    ),
    "by_class": ("By class", "Which features speak for which class?", _show_by_class),
    "cohort": (
        "One group against the rest",
        "What moves the answers of these rows more, or otherwise, than those of all others?",
        _show_cohorts,
    ),
}
