"""Beside the charts: how contributions were computed, against what, and how well they add up."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from components.markup import plain, swatch
from components.panels import show_table
from components.state import app_state
from dashboard.contracts import Attributions
from dashboard.wording import listing, number, percent, plural, shorten

__all__ = ["show_provenance"]

_STYLE = """<style>
.sl-how{border-collapse:collapse;width:100%;font-size:.8rem;font-variant-numeric:tabular-nums}
.sl-how th,.sl-how td{padding:.2rem .5rem .2rem 0;text-align:left;vertical-align:top;
 border-bottom:1px solid #8884}
.sl-how tbody th{overflow-wrap:anywhere}
.sl-how thead th{font-weight:600}.sl-how tbody th{font-weight:500}
</style>"""
_HEADS = ("Model", "Method", "Measured against", "Adds up within", "Rows")


def show_provenance(attributions: Sequence[Attributions]) -> None:
    """One line a model: method, game and background, additivity error, rows of rows."""
    state = app_state()
    head = "".join(f'<th scope="col">{one}</th>' for one in _HEADS)
    body = "".join(_line(one, swatch(state.style_for(one.model), 22)) for one in attributions)
    st.html(
        f'{_STYLE}<div class="sl-scroll" tabindex="0" role="region" aria-label="How it was '
        f'computed"><table class="sl-how"><thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
        "</table></div>"
    )
    notes = [f"{one.model}: {note}" for one in attributions for note in one.notes]
    if notes:
        with st.expander(f"What else was done ({len(notes)})", icon=":material/info:"):
            st.markdown("\n".join(f"- {plain(note)}" for note in notes))
    _show_backgrounds(attributions)


def _show_backgrounds(attributions: Sequence[Attributions]) -> None:
    """The rows that stood in for unknown values, listed and to be had as a file."""
    models = dict[tuple[int, ...], list[Attributions]]()
    for one in attributions:
        if one.background.rows:
            models.setdefault(one.background.rows, []).append(one)
    if not models:
        return
    place = st.expander(
        f"Background rows ({', '.join(f'{len(rows):,}' for rows in models)})",
        icon=":material/table_rows:",
        key="background-rows",
        on_change="rerun",
    )
    if not place.open:
        return
    with place:
        for at, (rows, those) in enumerate(models.items()):
            shown = listing([shorten(one.model, 40) for one in those], 6)
            st.caption(
                f"{plain(shown)}: where a value is unknown, that of each of these "
                f"{plural(len(rows), 'row')} stands in for it. **row** is the position among the "
                "evaluated rows, **line** the position in the file, both from 0."
            )
            name = "background-rows" if len(models) == 1 else f"background-rows-{at + 1}"
            show_table(
                _background_table(rows, those[0].feature_names), key=f"background-{at}", name=name
            )


def _background_table(rows: Sequence[int], names: Sequence[str]) -> pd.DataFrame:
    """These rows of the data, with their places in it."""
    evalset = app_state().need_evalset()
    at = np.asarray(rows, dtype=np.int64)
    found = evalset.frame.iloc[at].reset_index(drop=True)
    if not isinstance(evalset.X, pd.DataFrame):  # cells of pictures or sequences
        cells = pd.DataFrame(evalset.X[at].reshape(len(at), -1))
        if cells.shape[1] == len(names):
            cells.columns = pd.Index(names)
            found = pd.concat([found, cells], axis=1)
    found.insert(0, "line", evalset.row_numbers[at], allow_duplicates=True)
    found.insert(0, "row", at, allow_duplicates=True)
    return found


def _sampling_error(one: Attributions) -> str:
    """Half of the interval that is usual for one value."""
    if one.errors is None or not one.errors.size:
        return ""
    usual = number(float(np.median(one.spread())), 2)
    return f", most values ± {usual} ({percent(one.level)})"


def _line(one: Attributions, mark: str) -> str:
    kind = "exact" if one.exact else f"sampled{_sampling_error(one)}"
    cells = (
        one.method if one.method.endswith(kind) else f"{one.method}, {kind}",
        one.background.how,
        f"{number(one.additivity_error, 2)} of {number(one.tolerance, 2)} allowed",
        f"{one.n:,} of {one.n_given:,}",
    )
    row = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{mark} {html.escape(one.model)}</th>{row}</tr>'
