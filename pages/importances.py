"""Importances: which features each model uses, side by side."""

import streamlit as st

from components import (
    attribution_panels,
    importance_agreement,
    importance_gaps,
    importance_panels,
    leaks,
    loading,
    panels,
    state,
)

session = state.app_state()
st.title("Which features does each model use?")
loading.show_link_problems(session)
panels.needs(session)
answer = st.container()
with panels.guard_page("The importances"):
    importances, found, waiting = importance_panels.measured(session)
    importance_panels.show_headline(importances, waiting, answer)
    importance_panels.show_importances(session, importances)
with panels.guard("The dependence"):
    attribution_panels.show_clicked_feature(session, found)
with panels.guard("How it was measured"):
    importance_panels.show_measuring(importances, found)
with panels.guard("The agreement"):
    importance_agreement.show_agreement(session, importances, waiting)
with panels.guard("Training against evaluation"):
    importance_gaps.show_gaps(session, importances)
with panels.guard("Each feature by itself"):
    leaks.show_leaks(session)
importance_panels.show_every_number(importances)
