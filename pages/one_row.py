"""One row: why every model answers as it does, feature by feature."""

import streamlit as st

from components import (
    leading,
    loading,
    panels,
    picking_panels,
    progress,
    row_panels,
    state,
)

session = state.app_state()
st.title("Why this row?")
loading.show_link_problems(session)
panels.needs(session)
answer = st.container()
with panels.guard_page("The rows"):
    answers = progress.answered(session)
    panels.show_failures(answers.failures)
    leading.arrive(session, leading.ROWS)
    row = picking_panels.choose_row(session, answers)
with panels.guard_page("The explanation"):
    found = row_panels.show_row(session, row, answer, answers)
st.header("Look closer", anchor=False)
row_panels.show_closer(session, row, found)
