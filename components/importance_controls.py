"""The controls of the page of importances: how they are measured, and on what."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from components.choices import MOST_REPEATS, read_groups, write_groups
from components.importance_asking import usual_metric
from components.markup import plain
from components.state import AppState, following, widget_value
from dashboard.diagnostics.importance import Importance
from dashboard.diagnostics.metrics import METRICS
from dashboard.figures import Clicked
from dashboard.wording import listing, plural, shorten

__all__ = [
    "choose_counted",
    "choose_method",
    "choose_metric",
    "choose_shuffling",
    "open_feature",
    "tell_groups",
]

_METHODS = {
    "shap": "Contributions",
    "permutation": "Permutation",
    "native": "Built in",
    "drop": "Left out",
}
_METHODS_HELP = (
    "**Contributions**: how far a feature moves the answers, on average (mean |SHAP|); right or "
    "wrong answers count alike. **Permutation**: how much worse the model gets when the feature's "
    "values are shuffled. **Built in**: what the model itself counts (gain, impurity, "
    "coefficients), which each kind of model measures in its own way. **Left out**: how much worse "
    "the model is when it is fitted again without the feature."
)
_TOGETHER = {
    "alone": "Each alone",
    "correlated": "Correlated together",
    "own": "My groups",
}
_TOGETHER_HELP = (
    "Columns that say the same cover for each other: alone, none of them seems to matter. "
    "**Correlated together** treats numbers with a rank correlation of at least .9 as one. "
    "**My groups**: columns that you put together, like all parts of an address."
)
_COUNTED = {"first": "How much splits helped", "split": "How often split on", "every": "Both"}
_COUNTED_HELP = (
    "Boosted trees count two things. **How much splits helped** (gain): what a feature contributed "
    "to the fit. **How often split on**: how many splits it has, however little each helped. "
    "Models that count one thing show that."
)
_SIZES = (500, 2_000, 10_000, 50_000)


def choose_method(state: AppState) -> str:
    """How importance is measured."""
    now = state.explored.method
    st.segmented_control(
        "Importance by",
        list(_METHODS),
        required=True,
        format_func=lambda one: _METHODS[one],
        **following(
            "importance-method", now, lambda one: state.explore(method=str(one or now)), default=now
        ),
        help=_METHODS_HELP,
    )
    return state.explored.method


def choose_metric(state: AppState) -> str:
    """The metric whose loss is measured: one with a number for the whole."""
    task = state.need_evalset().target.task
    known = [name for name, one in METRICS.items() if task in one.tasks and one.has_overall(task)]
    start = state.explored.metric if state.explored.metric in known else usual_metric(task)
    chosen = st.selectbox(
        "Worse by",
        known,
        format_func=lambda name: METRICS[name].title,
        **following(
            "importance-metric",
            start,
            lambda name: state.explore(metric=str(name)),
            index=known.index(start),
        ),
        width=210,
        help="The metric whose loss is measured. "
        "ROC AUC and the like judge the order of the scores; no threshold has a say in them.",
    )
    return str(chosen)


def choose_shuffling(state: AppState, *, repeats: bool) -> None:
    """How often, in how many rows, and which columns together; `repeats`: the first two."""
    if repeats:
        _choose_repeats(state)
        _choose_rows(state)
    if isinstance(state.need_evalset().X, pd.DataFrame):
        _choose_together(state)


def _choose_repeats(state: AppState) -> None:
    start = state.explored.repeats
    st.number_input(
        "Repeats",
        min_value=1,
        max_value=MOST_REPEATS,
        **following(
            "importance-repeats", start, lambda n: state.explore(repeats=int(n)), value=start
        ),
        width=110,
        help="How often each column is shuffled; every repeat is drawn as a small tick. "
        "The seed is the setting `random_state`.",
    )


def _choose_rows(state: AppState) -> None:
    n = state.need_evalset().n
    start = state.explored.shuffled if 0 < state.explored.shuffled < n else 0
    sizes = sorted({one for one in (*_SIZES, start) if 0 < one < n})
    if not sizes:
        return
    st.selectbox(
        "Rows",
        [*sizes, 0],
        format_func=lambda one: f"{one:,} of {n:,}" if one else f"All {n:,}",
        **following(
            "importance-rows",
            start,
            lambda one: state.explore(shuffled=int(one)),
            index=[*sizes, 0].index(start),
        ),
        width=160,
        help="Drawn alike in the target. The intervals hold what other rows would have changed.",
    )


# -- columns together -----------------------------------------------------------------------------


def _choose_together(state: AppState) -> None:
    now = state.explored.together
    key = f"importance-together-{now}"
    coming = str(widget_value(key) or now)  # drawn before the control that holds it
    with st.popover(f"Columns: {_TOGETHER[coming].lower()}", icon=":material/link:"):
        chosen = st.segmented_control(
            "Columns are taken",
            list(_TOGETHER),
            default=now,
            required=True,
            format_func=lambda one: _TOGETHER[one],
            key=key,
            help=_TOGETHER_HELP,
        )
        state.explore(together=str(chosen or now))
        if state.explored.together == "own":
            _edit_groups(state)


def _edit_groups(state: AppState) -> None:
    """The groups that there are, each with a way to dissolve it; and one more."""
    groups = read_groups(state.explored.groups)
    for at, (name, columns) in enumerate(groups.items()):
        text, button = st.columns([5, 1], vertical_alignment="center")
        text.markdown(f"**{plain(name)}**: {plain(listing(columns, 6))}")
        button.button(
            "",
            key=f"ungroup-{at}",
            type="tertiary",
            icon=":material/close:",
            help=f"Take {plain(name)} apart",
            on_click=partial(_forget_group, state, name),
        )
    free = _free_columns(state, groups)
    if len(free) < 2:
        st.caption("Every column is in a group.")
        return
    st.multiselect(
        "Columns of a new group",
        free,
        format_func=lambda one: shorten(one, 60),
        key=f"group-columns-{len(groups)}",
        placeholder="Choose two or more",
    )
    st.text_input(
        "Its name", key=f"group-name-{len(groups)}", placeholder="Named after the first column"
    )
    st.button(
        "Group them",
        key="group-add",
        icon=":material/add:",
        on_click=partial(_add_group, state, len(groups)),
    )


def _free_columns(state: AppState, groups: dict[str, tuple[str, ...]]) -> list[str]:
    taken = {column for columns in groups.values() for column in columns}
    return [str(one) for one in state.need_evalset().X if str(one) not in taken]


def _add_group(state: AppState, at: int) -> None:
    """Called before the page is drawn: what the editor holds becomes a group."""
    given: Any = widget_value(f"group-columns-{at}") or []
    groups = read_groups(state.explored.groups)
    free = _free_columns(state, groups)
    columns = [one for one in given if one in free]
    if len(columns) < 2:
        return
    name = str(widget_value(f"group-name-{at}") or "").strip()[:100]
    known = {*groups, *(str(one) for one in state.need_evalset().X)}
    name = name if name and name not in known else f"{columns[0]} + {len(columns) - 1}"
    while name in known:
        name += "…"
    state.explore(groups=write_groups({**groups, name: columns}))


def _forget_group(state: AppState, name: str) -> None:
    groups = read_groups(state.explored.groups)
    groups.pop(name, None)
    state.explore(groups=write_groups(groups))


def tell_groups(state: AppState) -> None:
    """A word on groups that were chosen and are not there yet, or whose columns are gone."""
    if state.explored.together != "own":
        return
    groups = read_groups(state.explored.groups)
    if not groups:
        st.caption(":material/info: There is no group yet: each column is taken alone.")
        return
    known = {str(one) for one in state.need_evalset().X}
    gone = [one for columns in groups.values() for one in columns if one not in known]
    if gone:
        st.caption(
            f":material/info: {plural(len(gone), 'grouped column')} not in this data: "
            f"{plain(listing(gone, 4))}."
        )


def open_feature(state: AppState, hit: Clicked) -> None:
    """A clicked mark opens its feature below; of a group its first column, where that is known."""
    X, feature = state.need_evalset().X, hit.feature
    if feature is not None and isinstance(X, pd.DataFrame):
        known = [str(one) for one in X]
        group = read_groups(state.explored.groups).get(feature, ())
        among = (feature, *group, feature.rpartition(" + ")[0])  # "age + 2"
        feature = next((one for one in among if one in known), None)
    if feature is not None:
        state.explore(feature=feature)


# -- several counts of one model ------------------------------------------------------------------


def choose_counted(
    state: AppState, answers: Sequence[Sequence[Importance]], place: Any
) -> list[Importance]:
    """Which of its own counts each model shows, chosen at `place` where any has several."""
    if all(len(one) < 2 for one in answers):
        return [each for one in answers for each in one]
    now = state.explored.counted
    place.segmented_control(
        "Counted",
        list(_COUNTED),
        required=True,
        format_func=lambda one: _COUNTED[one],
        **following(
            "importance-counted",
            now,
            lambda one: state.explore(counted=str(one or now)),
            default=now,
        ),
        help=_COUNTED_HELP,
    )
    found: list[Importance] = []
    for one in answers:
        splits = [each for each in one if each.method == "split"]
        kinds = {"first": one[:1], "split": splits or one[:1], "every": one}
        found += kinds[state.explored.counted]
    return found
