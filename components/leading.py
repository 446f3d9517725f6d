"""Where a click on a chart leads: to what a feature does, to a row, to rows that hold a word."""

from __future__ import annotations

import json
from functools import cache

import streamlit as st

from components.state import AppState
from dashboard.figures import Clicked

__all__ = [
    "ONE_FEATURE",
    "ROWS",
    "arrive",
    "lead_to_feature",
    "lead_to_rows_with",
    "lead_up_to",
]

ONE_FEATURE, ROWS = "one-feature", "rows-to-look-at"
# Charts above the place take a moment to have their height; whoever scrolls meanwhile is let.
_SCRIPT = """<script>(() => {
    const until = Date.now() + 3000;
    let left = false;
    const leave = () => { left = true; };
    for (const kind of ["wheel", "touchstart", "keydown", "pointerdown"])
        addEventListener(kind, leave, {once: true, passive: true});
    const go = () => {
        if (left) return;
        document.querySelector(PLACE)?.scrollIntoView({block: "start"});
        if (Date.now() < until) setTimeout(go, 150);
    };
    go();
})()</script>"""


def lead_up_to(state: AppState, place: str) -> None:
    """The next run of the page scrolls to `place`, once."""
    state.next_place = place


def arrive(state: AppState, place: str) -> None:
    """Here is `place`: scrolled to where a click wanted that."""
    mark = st.container(key=f"place-{place}", height=1, border=False)
    with mark:
        if state.next_place == place:
            state.next_place = ""
            st.html(_scroll(place), unsafe_allow_javascript=True)
        else:
            st.empty()


@cache
def _scroll(place: str) -> str:
    """A script that holds nothing but the name of a place of ours."""
    return _SCRIPT.replace("PLACE", json.dumps(f".st-key-place-{place}"))


def lead_to_feature(state: AppState, hit: Clicked) -> None:
    """From another page: what the clicked feature does, over many rows."""
    if hit.feature is not None:
        state.explore(feature=hit.feature)
        state.next_page = "explanations"
        lead_up_to(state, ONE_FEATURE)


def lead_to_rows_with(state: AppState, hit: Clicked) -> None:
    """The rows in which the clicked word stands."""
    if hit.feature is not None:
        state.explore(pick="table", sought=hit.feature)
        lead_up_to(state, ROWS)
