"""What a threshold moves: tables and charts of all models, drawn anew without the rest."""

from __future__ import annotations

import streamlit as st

from components import cached, inputs, links, panels
from components.courtesy import get_courtesy
from components.state import AppState
from dashboard.evaluation import Answers
from dashboard.gallery import exhibits

__all__ = ["compare"]


@st.fragment
def compare(state: AppState, answers: Answers) -> None:
    """The headline, the controls, the scores, every exhibit.

    A fragment: a move of the slider draws neither the sidebar nor what stands above, and other
    pages give way to it. What a whole run does at its end is done here as well.
    """
    with get_courtesy().move():
        _compare(state, answers)


def _compare(state: AppState, answers: Answers) -> None:
    answer = st.container()
    with panels.guard_page("The comparison"):
        view = inputs.view(state, answers)
        table = cached.score_table(answers, view, state.workspace)
        panels.show_headline(answers, table, view, answer)
        panels.show_scores(state, answers, table)
    shown = exhibits(answers.evalset.target.task, answers.predictions)
    for exhibit, place in panels.places(state, shown):
        with place, panels.guard(exhibit.title):
            view = inputs.exhibit_options(state, exhibit, view, answers)
            clicked = panels.show_exhibit(exhibit, answers, view)
            panels.show_rows(answers, view, clicked)
    panels.show_every_number(table)
    if state.next_page:  # a chosen row is explained on another page
        st.rerun()
    links.write_link(state)
