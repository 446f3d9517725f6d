"""Performance: where each model goes wrong, side by side."""

import streamlit as st

from components import comparing, loading, panels, progress, state

session = state.app_state()
st.title("Where does each model go wrong?")
loading.show_link_problems(session)
panels.needs(session)
with panels.guard_page("The comparison"):
    answers = progress.answered(session)
    panels.show_failures(answers.failures)
    panels.needs_answers(answers)
    comparing.compare(session, answers)
