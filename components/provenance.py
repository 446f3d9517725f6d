"""Beside the charts: how contributions were computed, against what, and how well they add up."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import streamlit as st

from components.markup import plain, swatch
from components.state import app_state
from dashboard.contracts import Attributions
from dashboard.wording import number

__all__ = ["show_provenance"]

_STYLE = """<style>
.sl-how{border-collapse:collapse;width:100%;font-size:.8rem;font-variant-numeric:tabular-nums}
.sl-how th,.sl-how td{padding:.2rem .5rem .2rem 0;text-align:left;vertical-align:top;
 border-bottom:1px solid #8884;overflow-wrap:anywhere}
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


def _sampling_error(one: Attributions) -> str:
    """Half of the 95 % interval that is usual for one value."""
    if one.errors is None or not one.errors.size:
        return ""
    return f", most values ± {number(1.96 * float(np.median(one.errors)), 2)} (95 %)"


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
