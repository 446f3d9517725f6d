"""From a finding to its place on a chart: a button that opens the chart, and a mark on it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import partial

import plotly.graph_objects as go
import streamlit as st

from components.panels import theme
from components.state import app_state, forget_widgets, widget_value
from components.studies import TITLES
from dashboard.contracts import Finding
from dashboard.figures import mark_place
from dashboard.wording import count, shorten, threshold

__all__ = ["marked", "show_way"]

_TAB_OF = {"epochs": "epochs", "size_curve": "sizes", "parameter_curve": "parameters"}


def show_way(one: Finding, key: str, units: Mapping[str, str]) -> None:
    """The button, where the finding has a place on a chart; pressed again, the mark goes.

    `units` : run → what its steps are.
    """
    if one.at is None or not math.isfinite(one.at) or one.chart not in _TAB_OF:
        return
    shown = app_state().studied.at == _written(one, units)
    st.button(
        f"{'Unmark' if shown else 'At'} {_place(one, units)}",
        key=f"place-{key}",
        type="tertiary",
        icon=":material/location_off:" if shown else ":material/location_on:",
        help="Takes the mark off the chart." if shown else "Marks the place on its chart.",
        on_click=partial(_lead, one, "" if shown else _written(one, units)),
    )


def _lead(one: Finding, text: str) -> None:
    tab = _TAB_OF[one.chart]
    app_state().study(at=text, **({"tab": tab} if text else {}))
    if text and widget_value("learning") != TITLES[tab]:
        forget_widgets("learning")  # the tabs begin with the one in the state


def _place(one: Finding, units: Mapping[str, str]) -> str:
    at = one.at or 0.0
    if one.chart == "epochs":
        return f"{units.get(one.subject, 'epoch')} {count(at)}"
    if one.chart == "size_curve":
        return f"{count(at)} rows"
    return f"{one.subject.rpartition(': ')[2]} = {threshold(at)}"


def _written(one: Finding, units: Mapping[str, str]) -> str:
    return json.dumps([one.chart, one.subject, one.at, _place(one, units)], ensure_ascii=False)


def marked(figure: go.Figure, chart: str) -> go.Figure:
    """The figure with the mark that was asked for, where it shows whom the mark is about."""
    try:
        kind, subject, at, place = json.loads(app_state().studied.at or "[]")
        x, whom = float(at), str(subject).rpartition(": ")[0] or str(subject)
    except (ValueError, TypeError):
        return figure
    meta = figure.layout.meta or {}
    drawn, named = meta.get("models"), meta.get("places")
    subjects = (str(subject), whom)
    if kind != chart or not math.isfinite(x):
        return figure
    if drawn is not None and not any(name in subjects for name in drawn):
        return figure
    if named is not None:  # words beside numbers: each has a place in their order
        if repr(x) not in named:
            return figure
        x = float(named[repr(x)])
    return mark_place(figure, x, f"{shorten(whom, 30)}: {shorten(str(place), 40)}", theme())
