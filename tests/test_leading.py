"""Where a click on a chart leads."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from components.attribution_panels import pick
from components.leading import lead_to_feature
from components.state import AppState
from dashboard.figures import Clicked, clicked

META = {"features": ["age", "income"], "models": ["forest"]}


def _page() -> None:
    import streamlit as st

    from components.leading import ONE_FEATURE, ROWS, arrive, lead_up_to
    from components.state import app_state

    arrive(app_state(), ONE_FEATURE)
    arrive(app_state(), ROWS)
    if st.button("go"):
        lead_up_to(app_state(), ONE_FEATURE)
        st.rerun()


def _scripts(at: AppTest) -> list[str]:
    return [str(one.proto.body) for one in at.get("html")]


def test_a_page_is_scrolled_to_the_place_once() -> None:
    at = AppTest.from_function(_page).run()
    assert not at.exception and not _scripts(at)
    at.button[0].click().run()
    (script,) = _scripts(at)
    assert ".st-key-place-one-feature" in script
    assert not _scripts(at.run())


def test_a_mark_of_two_features_names_both() -> None:
    hit = clicked(META, [-1, 0, 0, 1])
    assert hit == (None, "age", "forest", "income")
    assert clicked(META, [-1, 0, 0, 0]).second is None  # a feature alone, on the diagonal
    assert clicked(META, [7, 1, 0]) == (7, "income", "forest", None)


def test_rows_lead_to_their_page_and_features_up_to_their_chart() -> None:
    state = AppState()
    pick(state, Clicked(None, "age", None, "income"))
    assert (state.explored.feature, state.explored.second) == ("age", "income")
    assert (state.next_place, state.next_page) == ("one-feature", "")
    state = AppState()
    pick(state, Clicked(7, "age", "forest"))
    assert (state.explored.row, state.explored.feature, state.next_page) == (7, "age", "one_row")
    lead_to_feature(state, Clicked(7, "income", None))  # from the page of the row itself
    assert (state.explored.feature, state.next_page) == ("income", "explanations")
