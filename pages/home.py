"""Home: what is loaded, was it understood right, and which models answer."""

import streamlit as st

from components import loading, log_verdicts, state, understanding

session = state.app_state()
st.title("What are we looking at?")
st.caption(
    "Sidelight shows trained models side by side on your data: where each is wrong, how sure that "
    "is, and what to do next."
)
loading.show_samples(session)
loading.show_uploads(session)
loading.show_way_in(session)
log_verdicts.show_log_verdicts(session)
if session.table is not None:
    st.header("What was understood", anchor=False)
understanding.show_understood(session)
understanding.show_ledger(session)
if session.roles is not None:
    with st.expander("Columns and their roles", icon=":material/view_column:"):
        understanding.show_columns(session)
if session.table is not None:
    st.header("Models", anchor=False)
    understanding.show_models(session)
if session.evalset is not None and session.entries:
    st.page_link(
        "../pages/performance.py", label="Compare their performance", icon=":material/target:"
    )
