"""Home: "What is this file?", asked where only a person can tell, and changed in place."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from components import cached, kinds, opening
from components.column_editors import edit_columns
from components.entries import History, Source, Waiting
from components.markup import plain
from components.state import AppState, widget_value
from dashboard.data import HistoryKind, identify_history
from dashboard.errors import DataError
from dashboard.logs.search_logs import SearchKind, read_search, suggest_roles
from dashboard.wording import shorten

__all__ = [
    "ask_kind",
    "show_data_doubt",
    "show_data_kind",
    "show_kind",
    "show_remove",
    "show_search_columns",
    "show_undo",
]

_QUESTION = "What is this file?"
_HELP = (
    "Predictions: one row per case of the data. Training log: one row per epoch or step. Search "
    "results: one row per trial of parameters. Data: one row per case, one column with the truth."
)
_ROLES = {
    "parameter": "parameter",
    "score": "score on validation rows",
    "train": "score on training rows",
    "sd": "deviation of the score",
    "seconds": "time to fit",
    "status": "status",
    "trial": "name of the trial",
    "resource": "rows or epochs given",
    "ignore": "left out",
}
_BETTER = {"As named": None, "Larger": True, "Smaller": False}
_MOST_LOOKED_AT = 2 << 20  # bytes of data that is looked at again while Home is drawn


def ask_kind(state: AppState, waiting: Waiting) -> None:
    """A table that may be several things stands for nothing until a person has said what it is."""
    with st.container(border=True):
        st.markdown(
            f":material/help: {plain(shorten(waiting.doubt, 400))} **{_QUESTION}**", help=_HELP
        )
        with st.container(horizontal=True):
            for kind, words in kinds.KINDS.items():
                st.button(
                    words,
                    key=f"kind-{kind}-{waiting.key}",
                    on_click=kinds.change,
                    args=(state, waiting.key, waiting.name, kind),
                )
            show_remove(state, waiting.key)


def show_remove(state: AppState, digest: str) -> None:
    """A button that forgets a file."""
    st.button(
        "Remove",
        key=f"discard-{digest}",
        type="tertiary",
        icon=":material/close:",
        on_click=opening.discard,
        args=(state, digest),
    )


def show_kind(state: AppState, digest: str, name: str, *, at: str = "") -> None:
    """What a table was taken for, and the choice of something else; `at` : where, if twice."""
    content, now = state.files.get(digest), kinds.kind_of(state, digest)
    if content is None or not now or not kinds.is_text_table(content):
        return
    options = dict(kinds.KINDS) | ({"sizes": "Scores by training size"} if now == "sizes" else {})
    key = f"kind{at}-{digest}-{now}-{state.version}"
    st.selectbox(
        _QUESTION,
        list(options),
        index=list(options).index(now),
        format_func=options.__getitem__,
        key=key,
        help=_HELP,
        on_change=_choose,
        args=(state, digest, name, key),
        width=310,
    )


def _choose(state: AppState, digest: str, name: str, key: str) -> None:
    kinds.change(state, digest, name, str(widget_value(key) or ""))


def show_undo(state: AppState) -> None:
    """The last change of what a file is can be taken back."""
    if not kinds.may_undo(state):
        return
    move = state.moves[-1]
    text, button = st.columns([6, 1], vertical_alignment="center")
    what = "has other columns" if move.was == move.now else f"is now: {kinds.KINDS[move.now]}"
    text.caption(f":material/swap_horiz: {plain(shorten(f'{move.name} {what}', 200))}.")
    button.button(
        "Undo",
        key="undo-kind",
        type="tertiary",
        icon=":material/undo:",
        on_click=kinds.undo,
        args=(state, cached.sample_model, cached.sample_table),
    )


def show_data_doubt(state: AppState) -> None:
    """Data that looks like a log, which may have been dropped among the data by mistake."""
    source = _own_file(state)
    content = None if source is None else state.files.get(source.digest)
    if source is None or content is None or not kinds.is_text_table(content):
        return
    found = cached.computed("data kind", (source.digest,), lambda: _looks_like(content))
    if found is not None:
        sentence = found.sentence().partition(";")[0]
        st.info(
            f"{plain(source.name)} was read as data, but may be something else: "
            f"{plain(sentence[:1].lower() + sentence[1:])}.",
            icon=":material/help:",
        )
        show_kind(state, source.digest, source.name, at="doubt")


def show_data_kind(state: AppState) -> None:
    """The choice of something else for a data file that was uploaded on its own."""
    source = _own_file(state)
    if source is not None:
        show_kind(state, source.digest, source.name)


def _own_file(state: AppState) -> Source | None:
    return state.sources[0] if len(state.sources) == 1 else None


def _looks_like(content: bytes | Path) -> HistoryKind | SearchKind | None:
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if size > _MOST_LOOKED_AT:
        return None
    return identify_history(content if isinstance(content, bytes) else content.read_bytes(), "")


# -- the columns of a search ----------------------------------------------------------------------


def show_search_columns(state: AppState, history: History) -> None:
    """Which columns are parameters and scores, and which way is better; said in place."""
    content = state.files.get(history.digest)
    if content is None or not isinstance(history.about, SearchKind):
        return
    if history.about.kind != "table":
        return
    said = state.said.get(history.digest)
    columns = dict(said.columns) if said is not None else {}
    larger = said.larger if said is not None else None
    with st.expander(f"Columns of {plain(shorten(history.name, 80))}"):
        try:
            usual = suggest_roles(content, history.name)
        except DataError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
        key = f"{history.digest}-{hash(str(said))}"
        roles = _edit_roles(usual | columns, key)
        better = st.segmented_control(
            "A better score is",
            list(_BETTER),
            default=next(word for word, way in _BETTER.items() if way is larger),
            required=True,
            key=f"search-better-{key}",
            help="As named: a loss or an error is better small, an accuracy large; where the name "
            "does not say it, no trial is called the best.",
        )
        changed = {name: role for name, role in roles.items() if role != usual[name]}
        if (changed, _BETTER[str(better)]) != (columns, larger):
            kinds.tell_columns(state, history.digest, history.name, changed, _BETTER[str(better)])
            st.rerun()
        _show_outcome(content, history.name, columns, larger)


def _edit_roles(roles: dict[str, str], key: str) -> dict[str, str]:
    table = pd.DataFrame(
        {"column": list(roles), "what it is": [_ROLES[role] for role in roles.values()]}
    )
    key = f"search-columns-{key}"
    said = edit_columns(table, "what it is", list(_ROLES.values()), key)
    named = {words: role for role, words in _ROLES.items()}
    return {column: named[words] for column, words in said.items()}


def _show_outcome(
    content: bytes | Path, name: str, columns: dict[str, str], larger: bool | None
) -> None:
    """What the page on learning will make of it."""
    try:
        found = read_search({name: content}, mapping=columns, larger_is_better=larger)
    except DataError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.caption(plain(" ".join(found.notes)))
