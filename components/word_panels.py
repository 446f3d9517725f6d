"""Rows that hold text: each word on the colour of what it adds, for every shown model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from components.asking import Answer, Asked, Request, ask
from components.attribution_panels import in_fours
from components.explaining import blocks_of
from components.leading import lead_to_rows_with
from components.markup import plain
from components.panels import show_figure
from components.scene import Scene
from components.state import AppState
from dashboard.contracts import Attributions, Label, Model
from dashboard.data import EvalSet
from dashboard.diagnostics.words import WordExplanation, compute_strongest_words, text_columns
from dashboard.explanation import BlockStore, ExplainOptions, explain_words
from dashboard.figures.words import plot_words, words_html
from dashboard.settings import get_settings

__all__ = ["has_text", "read_texts_only", "show_texts", "show_words", "words_alone"]


def has_text(state: AppState, found: Scene) -> bool:
    """Whether a model reads texts of several words beside other features."""
    texts = _texts(state)
    return bool(texts) and not all(_reads_only(one.value, texts) for one in found.answers)


def _texts(state: AppState) -> tuple[str, ...]:
    """The features that hold texts of several words."""
    X = state.need_evalset().X
    return text_columns(X) if isinstance(X, pd.DataFrame) else ()


def words_alone(state: AppState, row: int, found: Scene) -> dict[str, WordExplanation]:
    """Model → the words of this row, for models whose one feature is a text."""
    texts = _texts(state)
    alone = [one for one in found.answers if _reads_only(one.value, texts)]
    return {one.model: one for one in _explained(state, row, alone)} if alone else {}


def _reads_only(one: Attributions, texts: Sequence[str]) -> bool:
    return len(one.feature_names) == 1 and one.feature_names[0] in texts


def read_texts_only(state: AppState, features: Sequence[tuple[str, ...]]) -> bool:
    """Whether all models, each with these features, read one text and nothing else."""
    texts = _texts(state)
    return all(len(each) == 1 and each[0] in texts for each in features)


def _explained(
    state: AppState, row: int, answers: Sequence[Answer[Attributions]]
) -> list[WordExplanation]:
    """The words of this row for the models of these answers, in their units."""
    requests = [
        Request(
            one.entry,
            "words",
            (row, one.value.space.value),
            f"Words of row {row:,} for {one.entry.name}",
            partial(
                _words, row, one.value.space.value, one.entry.name, blocks_of(state, one.entry)
            ),
        )
        for one in answers
    ]
    return [replace(one.value, model=one.entry.name) for one in ask(state, requests)]


def show_words(state: AppState, row: int, found: Scene) -> None:
    """The text once for each model that reads more, on one scale where units are the same."""
    texts = _texts(state)
    others = [one for one in found.answers if not _reads_only(one.value, texts)]
    show_texts(state, _explained(state, row, others), found, "words")


def show_texts(state: AppState, texts: Sequence[WordExplanation], found: Scene, key: str) -> None:
    """Texts in colour, then their strongest words side by side for models that read the same."""
    if texts:
        st.caption(
            "What each word adds to the answer: the model is asked about the text with words taken "
            "out. Blue with a solid line raises the answer, orange with a dotted line lowers it; "
            "point at a word for its number."
        )
    for one in texts:
        _show_text(one, texts, found)
    for note in dict.fromkeys(note for one in texts for note in one.notes):
        st.caption(f":material/info: {plain(note)}")
    by_text: dict[str, list[WordExplanation]] = {}
    for one in texts:
        by_text.setdefault(one.split.text, []).append(one)
    for at, same in enumerate(by_text.values()):
        for start, part in in_fours(same):
            strongest = compute_strongest_words(part, _output(part[0], found))
            figure = plot_words(strongest, found.styles, theme=found.theme)
            show_figure(
                figure,
                key=f"{key}-{at}-{start}",
                tables={one.model: one for one in part},
                on_pick=partial(lead_to_rows_with, state),
            )
    if texts:
        st.caption("Click a bar to list the rows in which that word stands.")


def _show_text(one: WordExplanation, texts: Sequence[WordExplanation], found: Scene) -> None:
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
    store: BlockStore,
    model: Callable[[], Model],
    evalset: EvalSet,
    asked: Asked[WordExplanation],
) -> None:
    settings = get_settings()
    options = ExplainOptions(
        space=space, seed=settings.random_state, level=settings.confidence_level
    )
    with asked.turn(1, 0):
        asked.post(explain_words(model(), evalset, name, row, options, store=store))
