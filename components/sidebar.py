"""The sidebar: what is loaded, and the models with their colour, dash, eye and reference mark."""

from __future__ import annotations

import streamlit as st

from components.markup import plain, swatch
from components.progress import show_opening, show_reading
from components.state import AppState, ModelEntry, forget_widgets, widget_value
from components.workspace_panel import show_workspace
from dashboard.wording import listing, shorten

__all__ = ["show_sidebar"]


# Streamlit's wide layout spends 160 px on margins, which four charts side by side need at 1280 px.
# No theme option reaches them. A table's own download writes cells that a spreadsheet takes for
# formulas; ours, below every table, does not. Captions and what is chosen have a contrast of less
# than 4.5 in Streamlit's own colours, and a page's name no visible focus.
_ROOM = """<style>
.stMainBlockContainer{padding-left:2rem;padding-right:2rem}
[data-testid="stCaptionContainer"]{opacity:.72}
.stApp [aria-checked="true"] p,.stApp [aria-selected="true"] p,[data-testid="stSliderThumbValue"]{
 color:light-dark(#0b5c55,#4fd1c7)}
[data-testid="stSidebarNavLink"]:focus-visible{outline:2px solid light-dark(#0f766e,#4fd1c7)}
[data-testid="stSidebarUserContent"] .stButton button{text-align:left;justify-content:flex-start}
[data-testid="stElementToolbarButton"]:has(button[aria-label^="Download as CSV"]){display:none}
</style>"""


def show_sidebar(state: AppState, *, at_home: bool = False) -> None:
    """Draw the sidebar; every change goes straight to the state.

    What is on its way in stands here, too, but on Home, where it stands by the uploaders.
    """
    st.html(_ROOM)
    with st.sidebar:
        show_workspace(state)
        _show_data(state)
        if not at_home:
            _show_way_in(state)
        if state.entries:
            st.subheader("Models")
            for entry in list(state.entries):
                _show_model(state, entry)
            _show_picture_choice(state)
            hidden = len(state.entries) - len(state.shown)
            if hidden:
                st.caption(f"{len(state.shown)} of {len(state.entries)} models shown.")


def _show_way_in(state: AppState) -> None:
    """Slow work goes on while another page is open, and can be cancelled there."""
    with st.container():
        show_reading(state, narrow=True)
        for waiting in list(state.waiting):
            show_opening(state, waiting, narrow=True)
        asking = [one.name for one in state.waiting if one.stage == "asking"]
        if asking:
            names = shorten(listing(asking, 2), 60)
            st.caption(f":material/code: {plain(names)}: Home asks before opening.")


def _show_picture_choice(state: AppState) -> None:
    """What the camera button of each chart saves; Plotly has one button for both."""
    chosen = st.segmented_control(
        "Save charts as",
        ["png", "svg"],
        default=state.picture,
        required=True,
        format_func=str.upper,
        key="picture",
        help="What the camera above each chart saves. PNG for slides and chat; SVG for print, "
        "where it stays sharp at any size.",
    )
    state.picture = "svg" if chosen == "svg" else "png"


def _show_data(state: AppState) -> None:
    if state.table is None:
        st.caption("No data loaded. Choose a sample or upload a file on Home.")
        return
    st.subheader("Data")
    st.markdown(f"**{plain(shorten(state.table.name, 40))}**")
    if state.evalset is None:
        st.caption(":material/error: Not ready: see Home.")
        return
    st.caption(plain(state.evalset.ledger.sentence()))


def _toggle(state: AppState, entry: ModelEntry) -> None:
    """Show or hide a model; the last one shown stays."""
    if entry.shown and len(state.shown) == 1:
        st.toast("At least one model stays shown.", icon=":material/visibility:")
        return
    entry.shown = not entry.shown


def _rename(state: AppState, key: str, widget: str) -> None:
    state.rename(key, str(widget_value(widget) or ""))
    forget_widgets(widget)  # a name that was taken is shown as it became


def _choose(state: AppState, entry: ModelEntry) -> None:
    state.reference = entry.key
    entry.shown = True


def _show_model(state: AppState, entry: ModelEntry) -> None:
    is_reference = state.reference_entry is entry
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
        st.html(swatch(entry.style, 22), width=22)
        with st.container(horizontal=True, gap=None):
            st.button(
                plain(shorten(entry.name, 44)),
                key=f"eye-{entry.key}",
                icon=":material/visibility:" if entry.shown else ":material/visibility_off:",
                help=f"{'Hide' if entry.shown else 'Show'} {plain(entry.name)}",
                type="tertiary",
                wrap=True,
                on_click=_toggle,
                args=(state, entry),
            )
        with st.popover(
            "",
            icon=":material/star:" if is_reference else ":material/more_vert:",
            help=f"{plain(entry.name)}: rename, reorder, set as reference, remove",
            type="tertiary",
        ):
            _show_model_menu(state, entry, is_reference)


def _show_model_menu(state: AppState, entry: ModelEntry, is_reference: bool) -> None:
    widget = f"name-{entry.key}"
    st.text_input(
        "Name",
        value=entry.name,
        key=widget,
        max_chars=120,
        on_change=_rename,
        args=(state, entry.key, widget),
    )
    st.button(
        "This is the reference" if is_reference else "Set as reference",
        key=f"reference-{entry.key}",
        icon=":material/star:",
        help="Differences in the score table are shown against the reference.",
        disabled=is_reference,
        on_click=_choose,
        args=(state, entry),
    )
    order = st.container(horizontal=True)
    # An earlier run of the page may still be drawing what the next one has replaced.
    at = next((n for n, one in enumerate(state.entries) if one.key == entry.key), 0)
    for step, word, icon, stop in (
        (-1, "Move up", "arrow_upward", at == 0),
        (1, "Move down", "arrow_downward", at == len(state.entries) - 1),
    ):
        order.button(
            word,
            key=f"move{step}-{entry.key}",
            icon=f":material/{icon}:",
            disabled=stop,
            on_click=state.move,
            args=(entry.key, step),
        )
    st.button(
        "Remove",
        key=f"remove-{entry.key}",
        icon=":material/delete:",
        on_click=state.remove,
        args=(entry.key,),
    )
    st.caption(f"File: {plain(shorten(entry.file, 40))}")
