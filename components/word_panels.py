"""Rows that hold text: each word on the colour of what it adds, for every shown model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from components.asking import Asked, Request, ask
from components.attribution_panels import in_fours
from components.markup import plain
from components.panels import show_figure
from components.scene import Scene
from components.state import AppState
from dashboard.contracts import Label, Model
from dashboard.data import EvalSet
from dashboard.diagnostics.words import WordExplanation, compute_strongest_words, text_columns
from dashboard.explanation import ExplainOptions, explain_words
from dashboard.figures.words import plot_words, words_html
from dashboard.settings import get_settings

__all__ = ["has_text", "show_words"]


def has_text(state: AppState) -> bool:
    """Whether a feature holds texts of several words."""
    X = state.need_evalset().X
    return isinstance(X, pd.DataFrame) and bool(text_columns(X))


def show_words(state: AppState, row: int, found: Scene) -> None:
    """The text once for each model, on one scale of colours where units are the same."""
    st.caption(
        "What each word adds to the answer: the model is asked about the text with words taken "
        "out. Blue with a solid line raises the answer, orange with a dotted line lowers it; point "
        "at a word for its number."
    )
    requests = [
        Request(
            one.entry,
            "words",
            (row, one.value.space.value),
            f"Words of row {row:,} for {one.entry.name}",
            partial(_words, row, one.value.space.value, one.entry.name),
        )
        for one in found.answers
    ]
    texts = [answer.value for answer in ask(state, requests)]
    for one in texts:
        _show_text(one, texts, found)
    for note in dict.fromkeys(note for one in texts for note in one.notes):
        st.caption(f":material/info: {plain(note)}")
    for start, part in in_fours(texts):
        if len({one.split.text for one in part}) == 1:
            output = _output(part[0], found)
            strongest = compute_strongest_words(part, output)
            figure = plot_words(strongest, found.styles, theme=found.theme)
            show_figure(figure, key=f"words-{start}", tables={one.model: one for one in part})


def _show_text(one: WordExplanation, texts: list[WordExplanation], found: Scene) -> None:
    span = max(_strongest(other, found) for other in texts if other.space is one.space)
    st.markdown(f"**{plain(one.model)}** reads {plain(one.column)}:")
    st.html(words_html(one, _output(one, found), span=span, theme=found.theme))


def _output(one: WordExplanation, found: Scene) -> Label | None:
    """The output that is looked at, where this model has it."""
    known = [str(name) for name in one.output_names]
    return found.output if found.output is not None and str(found.output) in known else None


def _strongest(one: WordExplanation, found: Scene) -> float:
    return float(np.abs(one.values[:, one.place(_output(one, found))]).max(initial=0))


def _words(
    row: int,
    space: str,
    name: str,
    model: Callable[[], Model],
    evalset: EvalSet,
    asked: Asked[WordExplanation],
) -> None:
    options = ExplainOptions(space=space, seed=get_settings().random_state)
    with asked.turn(1, 0):
        asked.post(explain_words(model(), evalset, name, row, options))
