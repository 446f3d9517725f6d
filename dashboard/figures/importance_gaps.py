"""Importance on training rows against importance on evaluation rows, model by model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from ..diagnostics.importance import NEAR_ZERO
from ..errors import ParameterError
from ..wording import count, interval, listing, number, plural
from .drawn import Trace, scatter
from .importance_captions import caption_gap
from .importances import Styles, unit_words
from .panels import (
    brief,
    feature_axis,
    looks_of,
    marks_of,
    panel_letters,
    panels,
    panels_title,
    span_axis,
    zero_line,
)
from .theme import ModelStyle, Theme

if TYPE_CHECKING:
    from ..diagnostics.importance_comparison import ImportanceGap

__all__ = ["plot_importance_gap"]


def plot_importance_gap(
    gaps: Sequence[ImportanceGap],
    styles: Styles | None = None,
    *,
    among: Sequence[ImportanceGap] = (),
    limit: int = 15,
    theme: Theme = "light",
) -> go.Figure:
    """Each feature's importance on training and on evaluation rows, joined by a line.

    One panel a model, the same features and axis in all, and in all charts of the models `among`.
    Features near zero in all of them are folded.

    Raises
    ------
    ParameterError : no model, or more than four; importances in different units.
    """
    everyone = among or gaps
    if len({gap.unit for gap in everyone}) > 1:
        raise ParameterError("These were measured in different units; measure them by one metric.")
    features, total = _drawn_of_gaps(everyone, limit)
    models, span = [gap.model for gap in gaps], _span_of_gaps(everyone)
    caption = caption_gap(gaps)
    made = panels(
        theme,
        models,
        styles,
        features=features,
        xaxes=[{**span_axis(span, len(gaps)), **zero_line(theme)} for _ in gaps],
        x_title=unit_words(gaps[0].unit or "importance"),
        yaxis=feature_axis(features, panel_letters(len(gaps)), showgrid=True),
        height=40 + 26 * len(features),
        width=96,
        title=panels_title("Training against evaluation", models),
        subtitle=_rows_of_gaps(gaps, len(features), total),
        name=f"importance gap {' '.join(models)}",
        alt=caption,
        caption=caption,
    )
    for k, (gap, look) in enumerate(zip(gaps, looks_of(models, styles), strict=True)):
        for row, name in enumerate(features):
            if name in gap.features:
                made.figure.add_trace({**_bridge(gap, look, row, k, name), **made.axes[k]})
    return made.figure


def _drawn_of_gaps(gaps: Sequence[ImportanceGap], limit: int) -> tuple[list[str], int]:
    """The features that are drawn, the largest mean share first, and how many there are."""
    every = list(dict.fromkeys(name for gap in gaps for name in gap.features))
    shares = np.zeros((len(every), len(gaps)))
    kept = np.zeros(len(every), dtype=bool)
    for k, gap in enumerate(gaps):
        size = np.nan_to_num(np.fmax(np.abs(gap.training), np.abs(gap.evaluation)))
        largest = float(size.max(initial=0.0)) or 1.0
        at = [every.index(name) for name in gap.features]
        shares[at, k] = size / largest
        kept[at] |= (size > NEAR_ZERO * largest) | np.isin(gap.features, gap.memorised)
    order = [int(at) for at in np.argsort(-shares.mean(axis=1), kind="stable") if kept[at]]
    return [every[at] for at in order[:limit]], len(every)


def _span_of_gaps(gaps: Sequence[ImportanceGap]) -> tuple[float, float]:
    every = np.concatenate(
        [[0.0], *(values for g in gaps for values in (g.training, g.evaluation))]
    )
    known = every[np.isfinite(every)]
    return float(known.min()), max(float(known.max()), 1e-12)


def _rows_of_gaps(gaps: Sequence[ImportanceGap], shown: int, total: int) -> str:
    training, evaluation = (
        listing([count(n) for n in dict.fromkeys(gap.n[part] for gap in gaps)], 4)
        for part in (0, 1)
    )
    which = f"Open: {training} training rows; filled: {evaluation} others."
    return f"{which} {count(shown)} of {plural(total, 'feature')}." if shown < total else which


def _bridge(gap: ImportanceGap, look: ModelStyle, row: int, model: int, feature: str) -> Trace:
    at = gap.features.index(feature)
    strong = feature in gap.memorised
    return scatter(
        x=[gap.training[at], gap.evaluation[at]],
        y=[row, row],
        mode="lines+markers",
        line={"color": look.colour, "width": 3 if strong else 1},
        marker={
            "color": look.colour,
            "size": 10,
            "symbol": [f"{look.symbol}-open", look.symbol],
        },
        unselected={"marker": {"opacity": 1}},
        hovertext=_gap_words(gap, at),
        hovertemplate="%{hovertext}<extra></extra>",
        customdata=marks_of([-1, -1], row, model),
    )


def _gap_words(gap: ImportanceGap, k: int) -> str:
    difference = interval(float(gap.difference[k]), float(gap.low[k]), float(gap.high[k]))
    return (
        f"{brief(gap.features[k], 40)}:<br>{number(gap.training[k])} on training rows, "
        f"{number(gap.evaluation[k])} on evaluation rows;<br>difference {difference}"
    )
