"""Performance: where each model goes wrong, side by side."""

import streamlit as st

from components import cached, inputs, loading, panels, progress, state
from dashboard.gallery import exhibits

session = state.app_state()
st.title("Where does each model go wrong?")
loading.show_link_problems(session)
panels.needs(session)
answer = st.container()
with panels.guard_page("The comparison"):
    progress.wait_for_answers(session)
    answers = cached.answers(session)
    panels.show_failures(answers.failures)
    panels.needs_answers(answers)
    view = inputs.view(session, answers)
    table = cached.score_table(answers, view, session.workspace)
    panels.show_headline(answers, table, view, answer)
    panels.show_scores(session, answers, table)
shown = exhibits(answers.evalset.target.task, answers.predictions)
for exhibit, place in panels.places(session, shown):
    with place, panels.guard(exhibit.title):
        view = inputs.exhibit_options(session, exhibit, view, answers)
        clicked = panels.show_exhibit(exhibit, answers, view)
        panels.show_rows(answers, view, clicked)
panels.show_every_number(table)
