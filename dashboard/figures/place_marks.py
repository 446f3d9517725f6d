"""A mark on a drawn chart at the place that a finding is about."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from .canvas import note
from .theme import Theme, ink

__all__ = ["mark_place"]


def mark_place(figure: go.Figure, x: float, text: str, theme: Theme) -> go.Figure:
    """A copy with a thin upright line at `x` in every panel, named `text` in the first.

    `x` : as the curves count, in front of what a logarithmic axis has moved them by (`shift` in
    the figure's `meta`). A place outside of the axis widens it; one that a logarithmic axis has
    no room for is left out.
    """
    made = go.Figure(figure)
    x += float((made.layout.meta or {}).get("shift", 0.0))
    for k, across in enumerate(made.select_xaxes()):
        name = across.plotly_name.replace("axis", "")
        log = across.type == "log"
        if log and x <= 0:
            return figure
        place = float(np.log10(x)) if log else float(x)
        _make_room(across, place)
        line = {"color": ink(theme).text, "width": 1, "dash": "dash"}
        made.add_shape(
            type="line",
            xref=name,
            yref=f"{_beside(across)} domain",
            x0=x,
            x1=x,
            y0=0,
            y1=1,
            line=line,
            name="place",
        )
        if k == 0:
            right = place > float(np.mean(across.range)) if across.range else False
            made.add_annotation(_named(place, text, name, across, theme, right))
    return made


def _beside(across: Any) -> str:
    return str(across.anchor or "y").replace("free", "y")


def _make_room(across: Any, place: float) -> None:
    if not across.range:
        return
    low, high = across.range
    air = 0.02 * (high - low)
    across.range = [min(low, place - air), max(high, place + air)]


def _named(
    place: float, text: str, name: str, across: Any, theme: Theme, right: bool
) -> dict[str, Any]:
    """The words stand on the side where there is more room."""
    return note(
        place,
        1,
        text,
        theme,
        xref=name,
        yref=f"{_beside(across)} domain",
        xanchor="right" if right else "left",
        yanchor="top",
        xshift=-4 if right else 4,
    )
