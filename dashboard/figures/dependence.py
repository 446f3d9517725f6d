"""Dependence: a feature's value against what it adds, one panel a model, coloured by a partner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from ..diagnostics.attributions import MISSING, the_unit, value_ranks
from ..wording import plural, shorten, shorten_all
from .attribution_captions import caption_dependence, rows_note
from .beeswarm import value_colorbar
from .canvas import axis, note
from .drawn import Trace, scatter
from .panels import (
    Styles,
    brief,
    looks_of,
    marks_of,
    panels,
    panels_title,
    span_axis,
    zero_line,
)
from .theme import ModelStyle, Theme, class_style, escape, ink, translucent, value_scale

if TYPE_CHECKING:
    from ..diagnostics.attributions import FeatureColumn
    from ..diagnostics.dependence import Dependence

__all__ = ["plot_dependence"]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]
Layer = tuple[str, Ints, dict[str, Any]]

HEIGHT = 300
COLOURBAR = 34
MOST_COLOURS = 6  # categories of a partner with a colour of their own


def plot_dependence(
    results: Sequence[Dependence],
    styles: Styles | None = None,
    *,
    theme: Theme = "light",
    selected: int | None = None,
) -> go.Figure:
    """One panel a model on shared axes, with the medians of groups of equal size as a line.

    `selected`: a row to ring. A click gives the row (see `panels`).
    """
    models = [one.model for one in results]
    first = results[0]
    caption = caption_dependence(results)
    partner = next((one.partner for one in results if one.partner is not None), None)
    legend: dict[str, Any] = {}
    if partner is not None and partner.kind == "category":
        legend = {"showlegend": True, "legend": _legend(partner.name, theme)}
    colours = f", coloured by {shorten(partner.name, 30)}" if partner else ""
    figure, axes = panels(
        theme,
        models,
        styles,
        features=[first.feature],
        title=panels_title(f"What {shorten(first.feature, 30)} does", models),
        subtitle=f"{rows_note(results)}{colours}\n"
        "The line runs through medians, its band from the lower to the upper quarter",
        width=76,
        name=f"dependence {first.feature} " + " ".join(models),
        alt=f"What {first.feature} adds to the answers of {plural(len(results), 'model')}, by its "
        f"value. {caption}",
        caption=caption,
        height=HEIGHT,
        below=COLOURBAR if partner else 0,
        xaxes=_across(results),
        x_title=shorten(first.feature, 60),
        yaxis=_upwards(results, theme),
        hoverdistance=20,
        **legend,
    )
    looks = looks_of(models, styles)
    coloured = next((k for k, one in enumerate(results) if one.partner is not None), 0)
    for k, (one, where, style) in enumerate(zip(results, axes, looks, strict=True)):
        _add_rows(figure, one, where, k, theme, colorbar=k == coloured)
        _add_trend(figure, one, where, style, theme)
        if selected is not None:
            _add_selected(figure, one, selected, where, k, theme)
        if one.missing_at is not None and not one.ticks:
            _name_missing(figure, one.missing_at, where, theme)
    return figure


def _name_missing(figure: go.Figure, at: float, where: dict[str, str], theme: Theme) -> None:
    """Beside the rows without a value, upright: below the axis it would touch the first number."""
    text = note(at, 0, MISSING, theme, xref=where["xaxis"], yref="paper", textangle=-90)
    figure.add_annotation({**text, "yanchor": "bottom", "yshift": 4, "xshift": 9})


def _legend(name: str, theme: Theme) -> dict[str, Any]:
    """The partner's categories in a row along the lower edge."""
    return {
        "orientation": "h",
        "x": 0,
        "y": 0,
        "yref": "container",
        "yanchor": "bottom",
        "title": {"text": f"{brief(name, 24)}: ", "font": {"size": 12, "color": ink(theme).text}},
        "itemwidth": 30,
        "itemclick": False,
        "itemdoubleclick": False,
    }


def _upwards(results: Sequence[Dependence], theme: Theme) -> dict[str, Any]:
    values = [one.values for one in results]
    span = (
        min(0.0, *(float(v.min()) for v in values)),
        max(0.0, *(float(v.max()) for v in values)),
    )
    units = {the_unit(one.space, one.output) for one in results}
    unit = units.pop() if len(units) == 1 else "the model's own answer"
    return {**axis(f"Adds to {shorten(unit, 36)}"), **span_axis(span, 1), **zero_line(theme)}


def _across(results: Sequence[Dependence]) -> list[dict[str, Any]]:
    """The same axis for all: categories by name, dates as dates, numbers as numbers."""
    first, n = results[0], len(results)
    missing = [one.missing_at for one in results if one.missing_at is not None]
    if first.ticks:
        names = shorten_all([text for _, text in first.ticks], (18, 14, 10, 9)[min(n, 4) - 1])
        places = [place for place, _ in first.ticks]
        start = -1.6 if missing else -0.6
        ticks = [*places, *([-1.0] if missing else [])]
        texts = [*(escape(name) for name in names), *([MISSING] if missing else [])]
        one = {"range": [start, places[-1] + 0.6], "tickvals": ticks, "ticktext": texts}
        level = sum(map(len, texts)) * 8 * n < 800
        return [{"tickmode": "array", "tickangle": 0 if level else -90, **one}] * n
    known = np.concatenate([one.column.numbers for one in results])
    known = known[~np.isnan(known)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    air = 0.03 * ((high - low) or abs(high) or 1.0)
    ends = (min([low, *missing]) - air, high + air)
    marks = (
        _date_ticks(low, high, n)
        if first.column.kind == "date"
        else span_axis((low, high), n, 0.03)
    )
    return [{"tickangle": 0, **marks, "range": list(ends)}] * n


def _date_ticks(low: float, high: float, n: int) -> dict[str, Any]:
    places = np.linspace(low, high, (6, 4, 3, 2)[min(n, 4) - 1])
    form = "%Y" if high - low > 5 * 366 * 86_400 else "%Y-%m" if high - low > 9e6 else "%m-%d"
    texts = [pd.Timestamp(float(at), unit="s").strftime(form) for at in places]
    return {"tickmode": "array", "tickvals": places.tolist(), "ticktext": texts}


def _jitter(one: Dependence, rows: Ints) -> Floats:
    """Categories and missing values spread sideways by a fixed pattern of the row."""
    turn = (one.rows[rows] * 0.618033988749895) % 1.0 - 0.5
    if one.column.kind == "category":
        return np.asarray(0.5 * turn)
    known = one.places[~np.isnan(one.column.numbers)]
    width = 0.03 * float(np.ptp(known)) if len(known) else 0.0
    return np.asarray(np.where(np.isnan(one.column.numbers[rows]), width * turn, 0.0))


def _sentence(one: Dependence) -> str:
    unit = brief(the_unit(one.space, one.output))
    return (
        f"Row %{{customdata[0]:,}}, <i>{brief(one.model)}</i>:<br>%{{text}}<br>"
        f"adds %{{y:+,.3~g}} to {unit}.<extra></extra>"
    )


def _texts(one: Dependence, rows: Ints) -> list[str]:
    own = _cells(one.column, rows)
    if one.partner is None:
        return own
    return [f"{a}, {b}" for a, b in zip(own, _cells(one.partner, rows), strict=True)]


def _cells(column: FeatureColumn, rows: Ints) -> list[str]:
    """ "age = 41" for each row; each distinct text is made ready once."""
    name, texts = brief(column.name, 24), column.texts(rows)
    ready = {text: f"{name} = {brief(text, 24)}" for text in set(texts)}
    return [ready[text] for text in texts]


def _add_rows(
    figure: go.Figure,
    one: Dependence,
    where: dict[str, str],
    model: int,
    theme: Theme,
    *,
    colorbar: bool,
) -> None:
    for name, rows, marker in _layers(one, theme, colorbar=colorbar):
        figure.add_trace(
            scatter(
                x=(one.places[rows] + _jitter(one, rows)).astype(np.float32)
                if one.column.kind != "date"
                else one.places[rows],
                y=one.values[rows].astype(np.float32),
                mode="markers",
                marker={"size": 5 if len(one.shown) <= 1_500 else 4, "opacity": 0.75, **marker},
                text=_texts(one, rows),
                customdata=marks_of(one.rows[rows], 0, model),
                hovertemplate=_sentence(one),
                unselected={"marker": {"opacity": 0.75}},
                name=name,
                legendgroup=name,
                showlegend=bool(colorbar and one.partner and one.partner.kind == "category"),
                **where,
            )
        )


def _layers(one: Dependence, theme: Theme, *, colorbar: bool) -> list[Layer]:
    """Rows by how they are coloured: by the partner's value, by its category, or not at all."""
    rows, partner = one.shown, one.partner
    plain = {"color": translucent(ink(theme).muted, 0.8)}
    if partner is None:
        return [("rows", rows, plain)]
    if partner.kind == "category":
        return _by_category(one, theme)
    colour = value_ranks(partner)[rows]
    known = ~np.isnan(colour)
    scaled = {
        "color": colour[known].astype(np.float32),
        "colorscale": [list(stop) for stop in value_scale(theme)],
        "cmin": 0,
        "cmax": 1,
        "showscale": colorbar,
        "colorbar": value_colorbar(f"value of {brief(partner.name, 24)}"),
    }
    rings = {"symbol": "circle-open", "color": ink(theme).rule}
    found: list[Layer] = (
        [(f"{brief(partner.name, 24)}: {MISSING}", rows[~known], rings)] if (~known).any() else []
    )
    return [*found, ("rows", rows[known], scaled)]


def _by_category(one: Dependence, theme: Theme) -> list[Layer]:
    partner = one.partner
    if partner is None:
        return []
    codes, rows = partner.numbers, one.shown
    seen = np.nan_to_num(codes, nan=-1).astype(np.int64)
    sizes = np.bincount(seen[seen >= 0], minlength=len(partner.categories))
    # By size, and by name within a size: the same order for all models on the same rows.
    frequent = np.argsort(-sizes, kind="stable")[:MOST_COLOURS]
    found: list[Layer] = []
    for k, code in enumerate(frequent[sizes[frequent] > 0]):
        style = class_style(k, theme)
        marker = {"color": style.fill, "line": {"color": style.line, "width": 1}}
        name = brief(partner.categories[int(code)], 18)
        found.append((name, rows[seen[rows] == code], marker))
    rest = rows[~np.isin(seen[rows], frequent)]
    if len(rest):
        found.append(("others", rest, {"symbol": "circle-open", "color": ink(theme).rule}))
    return found


def _add_trend(
    figure: go.Figure, one: Dependence, where: dict[str, str], style: ModelStyle, theme: Theme
) -> None:
    trend = one.trend
    if not len(trend):
        return
    x = trend["x"].to_numpy()
    category = one.column.kind == "category"
    name = brief(one.feature, 24)
    near = dict(one.ticks) if category else {}
    texts = [
        f"{plural(n, 'row')} with {name} {'=' if category else 'near'} "
        f"{brief(near.get(at, MISSING) if category else one.column.text_of(at), 24)}"
        for at, n in zip(x.tolist(), trend["n"].tolist(), strict=True)
    ]
    outline = {"color": ink(theme).page, "width": 1.5}
    spread = {
        "type": "data",
        "symmetric": False,
        "array": (trend["high"] - trend["median"]).to_numpy(np.float32),
        "arrayminus": (trend["median"] - trend["low"]).to_numpy(np.float32),
        "thickness": 1.5,
        "width": 0,
    }
    if not category:
        figure.add_trace(_band(trend, style, where))
    figure.add_trace(
        scatter(
            x=x,
            y=trend["median"].to_numpy(np.float32),
            mode="markers" if category else "lines+markers",
            line={**style.line, "width": 2.5},
            marker={"symbol": style.symbol, "size": 9, "color": style.colour, "line": outline},
            error_y=spread if category else None,
            text=texts,
            hovertemplate=f"%{{text}}:<br>the median of <i>{brief(one.model)}</i> is "
            "%{y:+,.3~g}.<extra></extra>",
            name="median",
            showlegend=False,
            **where,
        )
    )


def _band(trend: pd.DataFrame, style: ModelStyle, where: dict[str, str]) -> Trace:
    x = trend["x"].to_numpy()
    low, high = trend["low"].to_numpy(), trend["high"].to_numpy()
    return scatter(
        x=np.concatenate([x, x[::-1]]),
        y=np.concatenate([high, low[::-1]]).astype(np.float32),
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=translucent(style.colour, 0.2),
        hoverinfo="skip",
        showlegend=False,
        name="quartiles",
        **where,
    )


def _add_selected(
    figure: go.Figure, one: Dependence, row: int, where: dict[str, str], model: int, theme: Theme
) -> None:
    rows = np.flatnonzero(one.rows == row)
    if not len(rows):
        return
    figure.add_trace(
        scatter(
            x=one.places[rows] + _jitter(one, rows),
            y=one.values[rows].astype(np.float32),
            mode="markers",
            marker={
                "symbol": "diamond",
                "size": 12,
                "color": ink(theme).text,
                "line": {"color": ink(theme).page, "width": 2},
            },
            text=_texts(one, rows),
            customdata=marks_of(one.rows[rows], 0, model),
            hovertemplate=_sentence(one),
            name="selected row",
            showlegend=False,
            **where,
        )
    )
