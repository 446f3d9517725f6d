"""Features that nearly give the target away: found in the data, whatever the models do."""

from __future__ import annotations

from functools import partial

import streamlit as st

from components import cached
from components.markup import plain
from components.panels import show_table
from components.state import AppState
from dashboard.diagnostics.single_features import compute_single_features
from dashboard.errors import NotApplicable
from dashboard.settings import get_settings
from dashboard.wording import count, plural

__all__ = ["show_leaks"]


def show_leaks(state: AppState) -> None:
    """One sentence, and every feature's own score folded away; nothing where rows are arrays."""
    evalset = state.need_evalset()
    try:
        found = cached.computed(
            "single_features",
            (evalset.digest,),
            partial(
                compute_single_features,
                evalset.X,
                evalset.target,
                random_state=get_settings().random_state,
            ),
        )
    except NotApplicable:
        return
    said = found.sentence()
    if not said:
        return
    st.header("Does one feature say it all?", anchor=False)
    if found.leaky:
        st.warning(f"**Possible leak.** {plain(said)}", icon=":material/warning:")
    else:
        st.markdown(plain(said))
    with st.expander("Each feature by itself", icon=":material/table:"):
        st.caption(
            "How well the target is told by the mean of each feature's groups, on rows that did "
            f"not make the means: {count(found.n)} of {plural(found.n_given, 'row')}."
        )
        show_table(found.frame(), key="single-features", name="single features")
