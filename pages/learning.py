"""Learning: curves by epoch, size and parameter, folds, and what they say to do."""

import streamlit as st

from components import learning_panels, loading, panels, state, training_logs

session = state.app_state()
st.title("Is the model learning, and what would help?")
loading.show_link_problems(session)
answer = st.empty()
with panels.guard_page("The training logs"):
    logs = training_logs.gather_logs(session)
    learning_panels.show_answer(session, logs, answer)
learning_panels.show_tabs(session, logs, answer)
