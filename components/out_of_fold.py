"""Answers out of fold as predictions of their own, which every page compares like a file's."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from components import cached
from components.asking import Answer
from components.markup import plain
from components.state import AppState, ModelEntry, forget_widgets
from dashboard.contracts import IntArray
from dashboard.data import ALL_ROWS, EvalSet, PredictionColumns, read_table
from dashboard.errors import DiagnosticsError
from dashboard.figures.export import file_stem
from dashboard.learning.cross_validation import CrossValidation
from dashboard.learning.out_of_fold import OutOfFold
from dashboard.settings import get_settings
from dashboard.wording import count, plural

__all__ = ["FoldAnswers", "add", "fold_answers", "offer", "offer_all_rows"]


@dataclass(frozen=True, eq=False)
class FoldAnswers:
    """What one model's folds answered, as a prediction file.

    Attributes
    ----------
    name : as the model is to be called; file, content, digest : the file, a row for each row of
        the data file; columns : how it is read.
    frame : the answers as a person downloads them, one row for each row that folds are made of.
    rows : positions in the data file of the rows that have an answer.
    """

    name: str
    file: str
    content: bytes
    digest: str
    columns: PredictionColumns
    frame: pd.DataFrame
    rows: IntArray


def fold_answers(found: OutOfFold, evalset: EvalSet) -> FoldAnswers:
    """Out-of-fold answers as a file that holds a row for each row of the data file.

    So the rows that are evaluated may be chosen anew later. Ids go along where they can join.
    """
    table, columns = found.table(evalset)
    known = evalset.all_ids
    held = [name for name in table.columns if evalset.id is None or name != evalset.roles.id]
    whole = table.frame[held].set_axis(evalset.row_numbers, axis="index")
    whole = whole.reindex(range(evalset.ledger.n_read))
    if evalset.id is not None and known is not None and known.is_unique and known.notna().all():
        whole.insert(0, str(evalset.roles.id), known.to_numpy())
        columns = replace(columns, id=str(evalset.roles.id))
    buffer = io.BytesIO()
    whole.to_parquet(buffer, index=False)
    content = buffer.getvalue()
    return FoldAnswers(
        f"{found.model} (out of fold)",
        f"{file_stem(found.model)}-out-of-fold.parquet",
        content,
        hashlib.sha256(content).hexdigest(),
        columns,
        found.frame(evalset),
        evalset.row_numbers[found.covered],
    )


def add(state: AppState, above: str, given: FoldAnswers) -> None:
    """Put the answers among the models, below the one they are of; twice does nothing.

    They are kept, linked, renamed and removed like a prediction file that was dropped on Home.
    """
    with state.changing:
        if _entry(state, given) is not None or not _room(state):
            return
        try:
            table = read_table(given.content, given.file)
        except DiagnosticsError as error:
            state.report(given.name, error)
            return
        state.files[given.digest] = given.content
        entry = ModelEntry(
            key=given.digest,
            name=state.free_name(given.name),
            file=given.file,
            slot=state.free_slot(),
            table=table,
            columns=given.columns,
            arrival=max((one.arrival for one in state.entries), default=0) + 1,
        )
        state.add_entry(entry, [above])


def _entry(state: AppState, given: FoldAnswers) -> ModelEntry | None:
    return next((one for one in state.entries if one.key == given.digest), None)


def _room(state: AppState) -> bool:
    return len(state.entries) + len(state.waiting) < get_settings().max_models


def offer(state: AppState, answer: Answer[CrossValidation], evalset: EvalSet) -> FoldAnswers:
    """A button that has all pages compare the answers, or the word that they do.

    `evalset` : the rows that the folds are made of.

    Raises
    ------
    DiagnosticsError : there are no answers, or they cannot be put together.
    """

    def gather() -> FoldAnswers:
        return fold_answers(answer.value.out_of_fold(evalset), evalset)

    key = hashlib.sha256(repr(answer.key).encode()).hexdigest()
    name = answer.entry.name
    found = cached.computed("fold answers", (key, evalset.digest, name), gather)
    judged = state.need_evalset().row_numbers
    n = int(np.isin(judged, found.rows).sum())
    entry = _entry(state, found)
    with st.container(horizontal=True, vertical_alignment="center"):
        if entry is None:
            _show_button(state, answer.entry.key, found, n)
        else:
            st.markdown(
                f":material/check_circle: **{plain(entry.name)}** is among the models"
                f"{'' if entry.shown else ', hidden'}."
            )
        share = "All" if n == len(judged) > 0 else f"{count(n)} of"
        st.caption(f"{share} {plural(len(judged), 'evaluated row')} have an answer.")
    return found


def offer_all_rows(state: AppState, found: Sequence[FoldAnswers]) -> None:
    """Where the pages evaluate rows that no fold touches: that it is so, and a way out."""
    judged = state.need_evalset().row_numbers
    if not found or any(np.isin(judged, one.rows).any() for one in found):
        return
    st.caption(
        f":material/info: The {plural(len(judged), 'row')} that the other pages evaluate are in no "
        "fold. Evaluate all rows to compare the answers; the models themselves have learned from "
        "some of those rows."
    )
    st.button(
        "Evaluate all rows on every page",
        key="out-of-fold-all-rows",
        icon=":material/select_all:",
        help="As *Rows evaluated* on Home does, where it can be undone.",
        on_click=partial(_evaluate_all, state),
    )


def _evaluate_all(state: AppState) -> None:
    state.remember()
    state.split_value = ALL_ROWS
    state.version += 1
    state.rebuild()
    forget_widgets("focus", "threshold")


def _show_button(state: AppState, above: str, found: FoldAnswers, n: int) -> None:
    full = not _room(state)
    limit = get_settings().max_models
    st.button(
        f"Compare **{plain(found.name)}** on every page",
        key=f"out-of-fold-{found.digest[:12]}",
        icon=":material/add:",
        disabled=full or not n,
        help=f"{limit} models are loaded, the most that are compared at once. Remove one first."
        if full
        else "Adds the answers to the models, as a file of predictions would be.",
        on_click=partial(add, state, above, found),
    )
