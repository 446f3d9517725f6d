"""Behind the tabs of the page on explanations: effects, interactions, groups, classes, cohorts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from components.asking import Answer, Asked, Request, ask
from components.attribution_panels import features_of, in_fours, pick
from components.cohort_panels import show_cohorts
from components.explaining import blocks_of
from components.markup import plain
from components.panels import guard, show_figure
from components.scene import Scene
from components.state import AppState, following
from components.steady_tabs import steady_tabs
from dashboard.contracts import Model, OutputSpace
from dashboard.data import EvalSet
from dashboard.diagnostics.clusters import compute_explanation_clusters
from dashboard.diagnostics.cohorts import compute_by_class
from dashboard.diagnostics.effects import FeatureEffect
from dashboard.diagnostics.interactions import (
    InteractionMatrix,
    align_interactions,
    compute_interaction_hints,
    compute_interaction_matrix,
)
from dashboard.diagnostics.pictures import compute_mean_pictures
from dashboard.diagnostics.two_way_effects import TwoWayEffect
from dashboard.effects import feature_effects, two_way_effect
from dashboard.errors import NotApplicable
from dashboard.explanation import BlockStore, ExplainOptions, interaction_values
from dashboard.figures import Clicked, plot_by_class, plot_clusters, plot_interactions
from dashboard.figures.effects import plot_effects
from dashboard.figures.pictures import plot_pictures
from dashboard.figures.two_way_effects import plot_two_way, two_way_limits
from dashboard.settings import get_settings
from dashboard.wording import shorten

__all__ = ["show_closer"]

_KINDS = {"pdp": "Average", "ice": "Single rows", "ale": "Accumulated"}
_PAIRED = 12  # features of an exact matrix of pairs
_KINDS_HELP = (
    "**Average** (partial dependence): the mean answer when the feature is set to each value for "
    "every row. **Single rows** (centred ICE): the same for each row, from a common start, so that "
    "rows that react differently part. **Accumulated** (ALE): small steps within rows that are "
    "near, which stays with combinations that occur where features go together."
)


def show_closer(state: AppState, found: Scene) -> None:
    """Only the open tab is computed."""
    known = {name: one for name, one in _CLOSER.items() if _applies(name, found)}
    first = next(iter(known))
    titles = [title for title, _, _ in known.values()]
    start = known.get(state.explored.closer, known[first])[0]
    tabs = steady_tabs(titles, start, "closer")
    for tab, (name, (title, sentence, show)) in zip(tabs, known.items(), strict=True):
        if tab.open:
            state.explore(closer=name if name != first else "")
            with tab, guard(title):
                st.caption(sentence)
                show(state, found)


def _applies(name: str, found: Scene) -> bool:
    """Pictures and sequences are looked at cell by cell; only several outputs have classes."""
    if name == "by_class":
        return any(len(each.output_names) > 1 for each in found.attributions)
    cells = all(each.cell_shape is not None for each in found.attributions)
    return cells if name == "where" else not cells if name == "effects" else True


def _show_where(state: AppState, found: Scene) -> None:
    compute = partial(compute_mean_pictures, found.attributions, found.output)
    for start, part in in_fours(found.computed("mean pictures", compute)):
        figure = plot_pictures(part, found.styles, theme=found.theme)
        show_figure(
            figure,
            key=f"where-{start}",
            tables={one.model: one for one in part},
            on_pick=partial(pick, state),
        )
    st.caption("Click a cell to see above what it does.")


# -- effects --------------------------------------------------------------------------------------


def _show_effects(state: AppState, found: Scene) -> None:
    feature, second, kind = _choose_effect(state, found)
    requests = [
        Request(
            one.entry,
            "effects",
            (feature, second, kind == "ale", one.value.space.value),
            f"Asking {one.entry.name} about {shorten(feature, 40)}",
            partial(
                _ask_effects,
                feature,
                second,
                kind,
                one.value.space.value,
                blocks_of(state, one.entry),
            ),
        )
        for one in found.answers
        if feature in one.value.feature_names
    ]
    answers = ask(state, requests)
    effects = [_of_output(one, found) for one in answers]
    by_unit: dict[OutputSpace, list[Any]] = {}
    for one in effects:  # what is told in different units has no axis in common
        by_unit.setdefault(one.space, []).append(one)
    for space, alike in by_unit.items():
        if second:
            _draw_two_way(
                state, found, [one for one in alike if isinstance(one, TwoWayEffect)], space
            )
        else:
            some = [one for one in alike if isinstance(one, FeatureEffect)]
            _draw_effects(state, found, some, kind, space)
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
        format_func=lambda name: shorten(name, 60),
        **following(
            "effect",
            feature,
            lambda name: state.explore(feature=str(name)),
            index=known.index(feature),
        ),
    )
    others = ["", *(name for name in known if name != chosen)]
    start = state.explored.second if state.explored.second in others else ""
    second = middle.selectbox(
        "Together with",
        others,
        format_func=lambda name: shorten(name, 60) if name else "No other feature",
        **following(
            "effect-with",
            start,
            lambda name: state.explore(second=str(name)),
            index=others.index(start),
        ),
    )
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
    store: BlockStore,
    model: Callable[[], Model],
    evalset: EvalSet,
    asked: Asked[Any],
) -> None:
    how: Any = "ale" if kind == "ale" else "pdp"
    options: dict[str, Any] = {
        "kind": how,
        "space": space,
        "random_state": get_settings().random_state,
        "store": store,
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


def _draw_effects(
    state: AppState, found: Scene, effects: Sequence[FeatureEffect], kind: str, space: OutputSpace
) -> None:
    if kind != "ice":
        for start, part in in_fours(effects):
            figure = plot_effects(part, found.styles, theme=found.theme)
            key = f"effects-{space.value}-{start}"
            tables = {one.model: one for one in part}
            show_figure(figure, key=key, tables=tables, on_pick=partial(pick, state))
        st.caption(
            "Click a line to see above what each row's own value adds, a bar beneath for a row "
            "that lies there."
        )
        return
    centred = [one.centred() for one in effects]
    look: dict[str, Any] = {"theme": found.theme, "curves": True, "among": centred}
    drawn = [(one, plot_effects(one, found.styles, **look)) for one in centred]
    _side_by_side(f"single-{space.value}", drawn, on_pick=partial(pick, state))
    st.caption("Click a thin line to see that row.")


def _draw_two_way(
    state: AppState, found: Scene, effects: Sequence[TwoWayEffect], space: OutputSpace
) -> None:
    limits = two_way_limits(effects) if effects else None
    _side_by_side(
        f"two-way-{space.value}",
        [
            (one, plot_two_way(one, found.styles, theme=found.theme, limits=limits))
            for one in effects
        ],
        on_pick=partial(pick, state),
    )
    st.caption("Click a tile for the row that is nearest to it.")


def _side_by_side(
    key: str, drawn: Sequence[tuple[Any, go.Figure]], on_pick: Callable[[Clicked], None]
) -> None:
    """One chart a model, two abreast."""
    for start in range(0, len(drawn), 2):
        for at, (one, figure) in enumerate(drawn[start : start + 2]):
            if at == 0:
                columns = st.columns(2)
            with columns[at]:
                show_figure(
                    figure, key=f"{key}-{start + at}", tables={one.model: one}, on_pick=on_pick
                )


# -- from the explanations ------------------------------------------------------------------------


def _show_interactions(state: AppState, found: Scene) -> None:
    if len(features_of(found)) < 2:
        raise NotApplicable("A pair needs two features, and these models use one.")
    exact = st.toggle(
        "Exact, for trees",
        **following(
            "exact-pairs",
            state.explored.pairs == "exact",
            lambda wanted: state.explore(pairs="exact" if wanted else "hint"),
            value=state.explored.pairs == "exact",
        ),
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
    st.caption("Click a pair to see above what the one does, coloured by the other.")


_OTHER_QUESTION = (
    "Pairs are measured against the trees' own counts of their training rows, the contributions "
    "beside them against the background rows: a row of pairs does not sum to the contribution "
    "shown there."
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
            partial(
                _ask_pairs,
                one.entry.name,
                options[one.entry.key],
                blocks_of(state, one.entry),
            ),
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
    if made and any(one.value.background.n for one in found.answers):
        st.caption(_OTHER_QUESTION)
    return align_interactions(made)


def _ask_pairs(
    name: str,
    options: ExplainOptions,
    store: BlockStore,
    model: Callable[[], Model],
    evalset: EvalSet,
    asked: Asked[Any],
) -> None:
    with asked.turn(2, 0):
        asked.post(interaction_values(model(), evalset, name, options, store=store))


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
    st.caption("Click a cell for its row.")


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
    st.caption("Click a cell to see above what its feature does.")


_CLOSER: dict[str, tuple[str, str, Callable[[AppState, Scene], None]]] = {
    "where": (
        "Where in the picture",
        "Which cells bring about a high answer?",
        _show_where,
    ),
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
        show_cohorts,
    ),
}
