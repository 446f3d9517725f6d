"""Explanations: how each feature moves the predictions, side by side."""

import streamlit as st

from components import attribution_panels, closer_panels, leading, loading, panels, state
from components.scene import scene

session = state.app_state()
st.title("How does each feature move the prediction?")
loading.show_link_problems(session)
panels.needs(session)
answer = st.container()
with panels.guard_page("The explanation"):
    found = scene(session)
    attribution_panels.show_headline(found, answer)
    attribution_panels.show_beeswarms(session, found)
leading.arrive(session, leading.ONE_FEATURE)
st.header("One feature", anchor=False)
with panels.guard("The dependence"):
    attribution_panels.show_dependence(session, found)
st.header("Look closer", anchor=False)
closer_panels.show_closer(session, found)
