"""Effects of features: one to four models on shared axes, the data's distribution beneath."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ..diagnostics.attributions import in_unit
from ..errors import ParameterError
from ..wording import count, interval, number, percent, plural, shorten, shorten_all
from .attribution_captions import rows_note
from .canvas import (
    axis,
    canvas,
    models_title,
    note,
    number_ticks,
)
from .drawn import add_meta, bar, scatter
from .panels import marks_of
from .theme import (
    ModelStyle,
    Theme,
    escape,
    ink,
    label,
    style_for,
    translucent,
)

if TYPE_CHECKING:
    from ..diagnostics.effect_grids import EffectGrid
    from ..diagnostics.effects import FeatureEffect

__all__ = ["caption_effects", "plot_effects"]

Styles = Mapping[str, ModelStyle]
Array = npt.NDArray[Any]

MOST_MODELS = 4
MOST_CURVES = 40
STRIP = 0.16  # of the height: the distribution of the data
DRAWING = 340
MOST_TICKS = 8


def plot_effects(
    effects: FeatureEffect | Sequence[FeatureEffect],
    styles: Styles | None = None,
    *,
    theme: Theme = "light",
    curves: bool | None = None,
    among: Sequence[FeatureEffect] = (),
) -> go.Figure:
    """The effect of one feature on one output, for one to four models.

    `curves`: single rows behind the averages; None = where there is one model.
    `among`: effects on charts side by side, whose heights are comparable.

    Raises
    ------
    ParameterError : effects of different features, kinds or outputs; none, or more than four.
    """
    shown = [effects] if not isinstance(effects, Sequence) else list(effects)
    _check(shown)
    first = shown[0]
    singles = curves is not False and any(one.curves is not None for one in shown)
    singles = singles and (curves is True or len(shown) == 1)
    figure = _empty(shown, theme, singles, among or shown)
    _add_extrapolation(figure, first.grid, theme)
    _add_distribution(figure, first.grid, theme)
    for k, effect in enumerate(shown):
        style = style_for(styles, effect.model, k)
        if singles:
            _add_curves(figure, effect, style, k)
        if effect.grid.kind == "category":
            _add_dots(figure, effect, style, k, len(shown))
        else:
            _add_line(figure, effect, style, k)
            _add_missing(figure, effect, style, k, len(shown))
    _add_reference(figure, first, theme, len(shown))
    return figure


def _check(effects: Sequence[FeatureEffect]) -> None:
    if not 1 <= len(effects) <= MOST_MODELS:
        raise ParameterError(f"{len(effects)} effects were given; 1 to {MOST_MODELS} are needed.")
    kinds = {(one.feature, one.kind, one.output, one.space, one.centred_at) for one in effects}
    if len(kinds) > 1:
        raise ParameterError(
            "Effects of different features, kinds, outputs or units were given; draw each on "
            "axes of its own."
        )


# ---- words -------------------------------------------------------------------------------------


def _unit(effect: FeatureEffect) -> str:
    return in_unit(effect.space, effect.output)


def _title(effect: FeatureEffect) -> str:
    if effect.kind == "ale":
        return "Accumulated local effect"
    return "Centred partial dependence" if effect.centred_at is not None else "Partial dependence"


def _height_title(effect: FeatureEffect) -> str:
    unit = _unit(effect)
    if effect.kind == "ale":
        return f"Change of {unit}"
    if effect.centred_at is not None:
        return f"Change of {unit} from {shorten(effect.grid.labels[effect.centred_at], 16)}"
    return f"Average {unit}"


def caption_effects(effects: Sequence[FeatureEffect]) -> str:
    """Where each model's average is lowest and highest, and how far apart."""
    parts = []
    for effect in effects:
        known = np.isfinite(effect.value)
        held = np.flatnonzero(~effect.grid.sparse & known)
        held = held if len(held) else np.flatnonzero(known)
        low, high = (int(held[f(effect.value[held])]) for f in (np.argmin, np.argmax))
        span = float(effect.value[high] - effect.value[low])
        if span <= 1e-9 * max(1.0, abs(float(effect.value[high]))):
            parts.append(f"{effect.model} does not react to {shorten(effect.feature, 40)}")
            continue
        parts.append(
            f"{effect.model} answers {number(span)} more where {shorten(effect.feature, 40)} is "
            f"{shorten(effect.grid.labels[high], 24)} than where it is "
            f"{shorten(effect.grid.labels[low], 24)}"
        )
    few = bool(effects[0].grid.sparse.any()) if effects else False
    shaded = " Shaded: fewer than 1 % of the rows lie near, so the models extrapolate." * few
    return f"{'; '.join(parts)}.{shaded}{_outside(effects[0].grid) if effects else ''}"


def _outside(grid: EffectGrid) -> str:
    """Rows that the chart does not show."""
    where = "hold other categories" if grid.kind == "category" else "lie beyond the ends"
    parts = []
    if grid.n_outside:
        parts.append(f"{count(grid.n_outside)} of {plural(grid.n, 'row')} {where}")
    if grid.n_missing:
        parts.append(f"{count(grid.n_missing)} of {plural(grid.n, 'row')} have no value")
    return f" {'; '.join(parts)}." if parts else ""


def _sentences(effect: FeatureEffect) -> list[str]:
    name, feature = escape(effect.model), escape(shorten(effect.feature, 40))
    said = "changes by" if effect.kind == "ale" or effect.centred_at is not None else "is"
    return [
        f"Where <i>{feature}</i> is {escape(shorten(text, 40))}, the average answer of "
        f"<i>{name}</i><br>{said} {interval(value, low, high)}; "
        f"{percent(share)} of the rows are near."
        for text, value, low, high, share in zip(
            effect.grid.labels, effect.value, effect.low, effect.high, effect.grid.near, strict=True
        )
    ]


# ---- the empty chart ---------------------------------------------------------------------------


def _empty(
    effects: Sequence[FeatureEffect],
    theme: Theme,
    singles: bool,
    among: Sequence[FeatureEffect],
) -> go.Figure:
    first, names = effects[0], [one.model for one in effects]
    caption = caption_effects(effects)
    feature = shorten(first.feature, 40)
    beneath = "rows in each category" if first.grid.kind == "category" else "where the rows lie"
    most = max(one.n for one in effects)
    drawn = f", {count(min(most, MOST_CURVES))} of them as single curves" if singles else ""
    across = _across(effects)
    figure = canvas(
        theme,
        title=models_title(f"{_title(first)}: {feature}", names, 44 if singles else 76),
        subtitle=f"{rows_note(effects)}{drawn}. Beneath: {beneath}",
        name=f"{first.kind} {first.feature} " + " ".join(names),
        alt=f"{_title(first)} of {feature} for {plural(len(names), 'model')}. {caption}",
        caption=caption,
        height=DRAWING,
        legend_rows=len(names),
        xaxis={**across, "anchor": "y2"},
        yaxis=axis(_height_title(first), domain=[STRIP + 0.04, 1], **_heights(among, singles)),
        yaxis2={
            "domain": [0, STRIP],
            "showticklabels": False,
            "showgrid": False,
            "ticks": "",
            "fixedrange": True,
        },
        bargap=0 if first.grid.kind != "category" else 0.3,
    )
    add_meta(figure, features=[first.feature], models=names)
    return figure


def _across(effects: Sequence[FeatureEffect]) -> dict[str, Any]:
    grid = effects[0].grid
    title = shorten(grid.feature, 48)
    low, high = float(grid.places.min()), float(grid.places.max())
    if grid.kind == "category":
        held = list(shorten_all(grid.labels, 14))
        texts = [escape(text) for text in held]
        ends = [-0.6, len(grid) - 0.4]
        if any(one.missing is not None for one in effects):
            texts.append("missing")
            ends[1] += 1
        every = max(1, -(-len(texts) // 24))
        ticks = list(range(0, len(texts), every))
        return axis(
            title, range=ends, tickvals=ticks, ticktext=[texts[at] for at in ticks], showgrid=False
        )
    air = 0.02 * ((high - low) or 1.0)
    end = _beyond(grid) + 2 * air if any(one.missing is not None for one in effects) else high + air
    if grid.kind == "date":
        return axis(title, type="date", range=[_stamp(low - air), _stamp(end)])
    return axis(title, range=[low - air, end], **number_ticks(low, high, MOST_TICKS))


def _stamp(milliseconds: float) -> str:
    return str(np.datetime64(round(milliseconds), "ms"))


def _beyond(grid: EffectGrid) -> float:
    """A place to the right of the values, for rows without one."""
    low, high = float(grid.places.min()), float(grid.places.max())
    return high + 0.08 * ((high - low) or 1.0)


def _on_axis(grid: EffectGrid, places: Array) -> Any:
    if grid.kind == "date":
        return [_stamp(float(place)) for place in places]
    return np.asarray(places, dtype=np.float64)


def _heights(effects: Sequence[FeatureEffect], singles: bool) -> dict[str, Any]:
    ends = [
        value
        for one in effects
        for value in (*one.low, *one.high, *one.value, *(one.missing or ()))
        if np.isfinite(value)
    ]
    low, high = min(ends), max(ends)
    for one in effects:
        if one.curves is not None and singles:
            drawn = one.curves[:MOST_CURVES]
            low, high = min(low, float(np.nanmin(drawn))), max(high, float(np.nanmax(drawn)))
    air = 0.05 * ((high - low) or abs(high) or 1.0)
    return {"range": [low - air, high + air], **number_ticks(low - air, high + air)}


# ---- marks -------------------------------------------------------------------------------------


def _add_distribution(figure: go.Figure, grid: EffectGrid, theme: Theme) -> None:
    total = max(1, grid.n)
    if grid.kind == "category":
        places, widths = grid.places, None
        texts = [
            f"{count(n)} rows of {count(total)} hold {escape(shorten(text, 40))}."
            for n, text in zip(grid.counts, grid.labels, strict=True)
        ]
    else:
        places, widths = (grid.edges[1:] + grid.edges[:-1]) / 2, np.diff(grid.edges)
        texts = [f"{count(n)} rows of {count(total)} lie here." for n in grid.counts]
    figure.add_trace(
        bar(
            x=_on_axis(grid, places),
            y=np.asarray(grid.counts, dtype=np.float32),
            width=None if widths is None else widths.tolist(),
            yaxis="y2",
            marker={"color": ink(theme).rule, "line": {"width": 0}},
            text=texts,
            textposition="none",
            customdata=marks_of(grid.held, 0, -1),
            unselected={"marker": {"opacity": 1}},
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
            name="rows",
        )
    )


def _add_extrapolation(figure: go.Figure, grid: EffectGrid, theme: Theme) -> None:
    """Grey behind what hardly any row holds."""
    sparse = grid.sparse
    if not sparse.any() or sparse.all():
        return
    middles = (grid.places[1:] + grid.places[:-1]) / 2
    lefts = np.concatenate([grid.places[:1], middles])
    rights = np.concatenate([middles, grid.places[-1:]])
    if grid.kind == "category":
        lefts, rights = grid.places - 0.5, grid.places + 0.5
    edges = np.flatnonzero(np.diff(np.concatenate([[False], sparse, [False]]).astype(int)))
    for start, stop in edges.reshape(-1, 2):
        ends = _on_axis(grid, np.array([lefts[start], rights[stop - 1]]))
        figure.add_shape(
            type="rect",
            xref="x",
            yref="paper",
            x0=ends[0],
            x1=ends[1],
            y0=STRIP + 0.04,
            y1=1,
            fillcolor=translucent(ink(theme).rule, 0.18),
            line={"width": 0},
            layer="below",
        )


def _add_curves(figure: go.Figure, effect: FeatureEffect, style: ModelStyle, k: int) -> None:
    """Some single rows, each a thin line that can be clicked."""
    if effect.curves is None:
        return
    g = len(effect.grid)
    x = _on_axis(effect.grid, effect.grid.places)
    for row, curve in zip(effect.rows[:MOST_CURVES], effect.curves[:MOST_CURVES], strict=True):
        figure.add_trace(
            scatter(
                x=x,
                y=np.asarray(curve, dtype=np.float32),
                mode="lines+markers",  # a browser selects marks, not lines
                line={"color": translucent(style.colour, 0.28), "width": 1},
                marker={"opacity": 0.01, "size": 8},
                selected={"marker": {"opacity": 0.01}},
                unselected={"marker": {"opacity": 0.01}},
                customdata=marks_of(np.full(g, row), 0, k),
                hovertemplate=f"Row {int(row)} alone.<extra></extra>",
                showlegend=False,
                name="single rows",
            )
        )


def _add_line(figure: go.Figure, effect: FeatureEffect, style: ModelStyle, k: int) -> None:
    x = _on_axis(effect.grid, effect.grid.places)
    if np.isfinite(effect.low).all():
        around = np.concatenate([effect.high, effect.low[::-1]])
        figure.add_trace(
            scatter(
                x=[*x, *x[::-1]],
                y=np.asarray(around, dtype=np.float32),
                mode="lines",
                line={"width": 0},
                fill="toself",
                fillcolor=translucent(style.colour, 0.16),
                hoverinfo="skip",
                showlegend=False,
                legendgroup=effect.model,
                name="interval",
            )
        )
    figure.add_trace(
        scatter(
            x=x,
            y=np.asarray(effect.value, dtype=np.float32),
            mode="lines+markers" if len(effect.grid) > 1 else "markers",
            line={**style.line, "width": 2.5},
            marker={
                "color": style.colour,
                "symbol": style.symbol,
                "size": 9,
                # a browser selects marks, not lines
                "opacity": 0.01 if len(effect.grid) > 1 else 1,
            },
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 0.01 if len(effect.grid) > 1 else 1}},
            name=label(effect.model, 60),
            legendgroup=effect.model,
            customdata=marks_of(np.full(len(effect.grid), -1), 0, k),
            text=_sentences(effect),
            hovertemplate="%{text}<extra></extra>",
        )
    )


def _bars(value: Array, low: Array, high: Array, colour: str) -> dict[str, Any]:
    up, down = np.nan_to_num(high - value), np.nan_to_num(value - low)
    return {
        "type": "data",
        "symmetric": False,
        "array": up.tolist(),
        "arrayminus": down.tolist(),
        "color": colour,
        "thickness": 1.5,
        "width": 4,
    }


def _add_dots(figure: go.Figure, effect: FeatureEffect, style: ModelStyle, k: int, of: int) -> None:
    """Categories: dots with intervals, models beside each other; missing values come last."""
    places, texts = effect.grid.places, _sentences(effect)
    value, low, high = effect.value, effect.low, effect.high
    if effect.missing is not None:
        places = np.append(places, len(places))
        ends = np.array(effect.missing)
        value, low, high = (
            np.append(part, end) for part, end in zip((value, low, high), ends, strict=True)
        )
        texts = [*texts, _missing_sentence(effect)]
    figure.add_trace(
        scatter(
            x=places + (k - (of - 1) / 2) * 0.5 / max(1, of),
            y=np.asarray(value, dtype=np.float32),
            mode="markers",
            marker={"color": style.colour, "symbol": style.symbol, "size": 9},
            unselected={"marker": {"opacity": 1}},
            error_y=_bars(value, low, high, style.colour),
            name=label(effect.model, 60),
            legendgroup=effect.model,
            customdata=marks_of(np.full(len(value), -1), 0, k),
            text=texts,
            hovertemplate="%{text}<extra></extra>",
        )
    )


def _missing_sentence(effect: FeatureEffect) -> str:
    value, low, high = effect.missing or (np.nan, np.nan, np.nan)
    return (
        f"Where <i>{escape(shorten(effect.feature, 40))}</i> is missing, the average answer of "
        f"<i>{escape(effect.model)}</i><br>is {interval(value, low, high)}; "
        f"{percent(effect.grid.n_missing / max(1, effect.grid.n))} of the rows have no value."
    )


def _add_missing(
    figure: go.Figure, effect: FeatureEffect, style: ModelStyle, k: int, of: int
) -> None:
    """A dot to the right of the line for rows without a value."""
    if effect.missing is None:
        return
    grid = effect.grid
    step = 0.02 * (float(np.ptp(grid.places)) or 1.0)
    place = np.array([_beyond(grid) + (k - (of - 1) / 2) * step])
    value, low, high = (np.array([end]) for end in effect.missing)
    figure.add_trace(
        scatter(
            x=_on_axis(grid, place),
            y=np.asarray(value, dtype=np.float32),
            mode="markers",
            marker={"color": style.colour, "symbol": style.symbol, "size": 9},
            unselected={"marker": {"opacity": 1}},
            error_y=_bars(value, low, high, style.colour),
            legendgroup=effect.model,
            showlegend=False,
            customdata=marks_of(np.array([-1]), 0, k),
            text=[_missing_sentence(effect)],
            hovertemplate="%{text}<extra></extra>",
            name="missing",
        )
    )


def _add_reference(figure: go.Figure, effect: FeatureEffect, theme: Theme, of: int) -> None:
    """Zero of changes; the average answer where there is one model; where missing values stand."""
    moved = effect.kind == "ale" or effect.centred_at is not None
    if moved or of == 1:
        figure.add_hline(
            y=0.0 if moved else effect.average,
            line={"color": ink(theme).rule, "dash": "dot", "width": 1.5},
            layer="below",
        )
    if effect.missing is not None and effect.grid.kind != "category":
        place = _on_axis(effect.grid, np.array([_beyond(effect.grid)]))[0]
        figure.add_annotation(note(place, STRIP + 0.05, "missing", theme, yref="paper"))
