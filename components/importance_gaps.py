"""What models use on the rows they were trained on against what they use on others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from components import cached
from components.asking import ask
from components.importance_asking import importances_of, permuting, wish
from components.importance_controls import open_feature
from components.markup import plain
from components.panels import show_figure, theme
from components.state import AppState
from dashboard.data import EvalSet
from dashboard.diagnostics.importance import Importance
from dashboard.diagnostics.importance_comparison import ImportanceGap, compute_importance_gap
from dashboard.errors import NotApplicable
from dashboard.figures import plot_importance_gap
from dashboard.figures.importance_captions import caption_gap
from dashboard.figures.panels import MOST_PANELS
from dashboard.importance import training_rows
from dashboard.wording import count

__all__ = ["show_gaps"]

_HELP = (
    "A feature that helps on the rows a model was trained on, and not on others, was learnt by "
    "heart: what the model found in it is chance."
)


def show_gaps(state: AppState, importances: Sequence[Importance]) -> None:
    """Training against evaluation, where the data says which rows were trained on."""
    training = _training(state)
    if training is None:
        return
    st.header("Learnt, or learnt by heart?", anchor=False, help=_HELP)
    if state.explored.method != "permutation":
        st.markdown(
            f"The data holds {count(training.n)} training rows. By permutation it can be seen "
            "which features help on them only."
        )
        st.button(
            "Compare by permutation",
            key="compare-training",
            icon=":material/compare_arrows:",
            on_click=partial(state.explore, method="permutation"),
        )
        return
    gaps = _gaps(state, importances, training)
    if gaps:
        st.markdown(plain(caption_gap(gaps)))
    abreast = -(-len(gaps) // -(-len(gaps) // MOST_PANELS)) if gaps else 1  # rows alike in width
    for start in range(0, len(gaps), abreast):
        some = gaps[start : start + abreast]
        figure = plot_importance_gap(some, state.styles(), among=gaps, theme=theme())
        show_figure(
            figure,
            key=f"gap-{start}",
            tables={one.model: one for one in some},
            on_pick=partial(open_feature, state),
            caption=False,
        )


def _training(state: AppState) -> EvalSet | None:
    """The training rows; None where the data does not say which they are."""
    table, evalset = state.table, state.need_evalset()
    if table is None or evalset.split is None:
        return None
    try:
        found: EvalSet = cached.computed(
            "training_rows", (evalset.digest,), partial(training_rows, table, evalset)
        )
    except NotApplicable as error:
        st.caption(f":material/info: {plain(error.reason)}")
        return None
    return found


def _gaps(
    state: AppState, importances: Sequence[Importance], training: EvalSet
) -> list[ImportanceGap]:
    """Of the models that were measured on the evaluated rows, those of the training rows too."""
    measured = {one.model: one for one in importances}
    metric = next((one.metric for one in importances if one.metric), "")
    asked = wish(state, metric, part="training")
    entries = [one for one in state.shown if one.name in measured and one.table is None]
    answers = ask(state, [permuting(state, entry, asked, training) for entry in entries])
    return [
        compute_importance_gap(one, measured[one.model])
        for answer in answers
        for one in importances_of(answer)
    ]
