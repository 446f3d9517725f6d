"""Two features together: a tile for each pair of values, and where the rows are among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from ..wording import count, listing, number, percent, shorten, shorten_all
from .attribution_captions import rows_note
from .canvas import axis, canvas, few_ticks, lying_colorbar, model_title
from .drawn import Trace, add_meta, bar, heatmap, scatter
from .panels import add_targets_style, marks_of
from .theme import (
    ModelStyle,
    Theme,
    diverging_scale,
    escape,
    ink,
    sequential_scale,
    style_of,
)

if TYPE_CHECKING:
    from ..diagnostics.effect_grids import EffectGrid
    from ..diagnostics.two_way_effects import TwoWayEffect

__all__ = ["caption_two_way", "plot_two_way", "two_way_limits"]

Styles = Mapping[str, ModelStyle]

DRAWING = 370
TILES = 0.84  # of either side; the rest shows how the rows lie along the other axis


def two_way_limits(effects: Sequence[TwoWayEffect]) -> tuple[float, float]:
    """One range of colours for several models; symmetric for accumulated effects."""
    values = np.concatenate([one.value.ravel() for one in effects])
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    if effects[0].kind == "ale":
        widest = max(abs(low), abs(high)) or 1.0
        return -widest, widest
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def caption_two_way(effect: TwoWayEffect) -> str:
    """How much of what the two features do is interaction, and where nobody is."""
    first, second = (shorten(name, 40) for name in effect.features)
    if effect.strength is not None:
        text = (
            f"{percent(effect.strength)} of what {first} and {second} change together in "
            f"{effect.model} is interaction; the rest is the sum of both alone."
        )
    else:
        span = float(np.nanmax(effect.value) - np.nanmin(effect.value))
        text = (
            f"Beyond their own effects {first} and {second} together move {effect.model} by up to "
            f"{number(span)}."
        )
    empty = int(effect.sparse.sum())
    if empty:
        text += (
            f" Crosses: {count(empty)} of {count(effect.sparse.size)} pairs of values that no row "
            "is near."
        )
    return text


def plot_two_way(
    effect: TwoWayEffect,
    styles: Styles | None = None,
    *,
    theme: Theme = "light",
    limits: tuple[float, float] | None = None,
) -> go.Figure:
    """One model's answers for pairs of values; `limits` align the colours of several models.

    Bars above and beside the tiles say how the rows lie along either feature; crosses mark pairs
    that no row is near. A click on a tile or a bar gives the row nearest to it (see `panels`).
    """
    low, high = limits or two_way_limits([effect])
    style = (styles or {}).get(effect.model) or style_of(0)
    caption = caption_two_way(effect)
    first, second = effect.grids
    names = [shorten(name, 30) for name in effect.features]
    kind = "Joint partial dependence" if effect.kind == "pdp" else "Interaction"
    figure = canvas(
        theme,
        title=model_title(effect.model, style),
        subtitle=f"{kind}, {rows_note([effect])}\nBars: where the rows lie",
        small=True,
        below=44,
        name=f"{effect.kind} {' '.join(effect.features)} {effect.model}",
        alt=f"{kind} of {listing(names, 2)} in {effect.model}. {caption}",
        caption=caption,
        height=DRAWING,
        showlegend=False,
        clickmode="event+select",
        bargap=0.12,
        xaxis={**_tiles(second), **axis(names[1]), "domain": [0, TILES]},
        yaxis={**_tiles(first), **axis(names[0]), "domain": [0, TILES]},
        xaxis2=_strip(effect.shares[0], "y"),
        yaxis2=_strip(effect.shares[1], "x"),
    )
    add_meta(figure, features=list(effect.features), models=[effect.model])  # fmt: skip
    figure.add_trace(_heat(effect, (low, high), theme))
    figure.add_traces([_bars(effect, 0, theme), _bars(effect, 1, theme)])
    figure.add_traces([*_crosses(effect, theme), _targets(effect, theme)])
    return figure


def _tiles(grid: EffectGrid) -> dict[str, Any]:
    """Tiles of equal size, some of them named."""
    every = max(1, -(-len(grid) // 6))
    at = list(range(0, len(grid), every))
    texts = shorten_all(grid.labels, 10)
    return {
        "tickvals": at,
        "ticktext": [escape(texts[k]) for k in at],
        "range": [-0.5, len(grid) - 0.5],
        "showgrid": False,
        "tickangle": 0 if max(len(texts[k]) for k in at) <= 5 else -45,
    }


def _strip(shares: Any, anchor: str) -> dict[str, Any]:
    """The axis of the lengths of bars."""
    return {
        "domain": [TILES + 0.02, 1],
        "anchor": anchor,
        "range": [0, 1.05 * float(np.max(shares, initial=0)) or 1.0],
        "showticklabels": False,
        "showgrid": False,
        "showline": False,
        "zeroline": False,
        "ticks": "",
        "fixedrange": True,
    }


def _heat(effect: TwoWayEffect, limits: tuple[float, float], theme: Theme) -> Trace:
    scale = diverging_scale(theme) if effect.kind == "ale" else sequential_scale(theme)
    return heatmap(
        z=np.asarray(effect.value, dtype=np.float32),
        zmin=limits[0],
        zmax=limits[1],
        colorscale=[[at, colour] for at, colour in scale],
        colorbar=lying_colorbar(**few_ticks(*limits)),
        hoverinfo="skip",
        name="answers",
    )


def _bars(effect: TwoWayEffect, which: int, theme: Theme) -> Trace:
    """The share of the rows that lie nearest to each value: beside the tiles, or above them."""
    grid, shares = effect.grids[which], np.asarray(effect.shares[which])
    name = escape(shorten(effect.features[which], 30))
    places = np.arange(len(grid), dtype=np.float32)
    lengths = shares.astype(np.float32)
    beside = which == 0
    said = "hold" if grid.kind == "category" else "lie nearest to"
    return bar(
        x=lengths if beside else places,
        y=places if beside else lengths,
        orientation="h" if beside else "v",
        xaxis="x2" if beside else "x",
        yaxis="y" if beside else "y2",
        marker={"color": ink(theme).rule, "line": {"width": 0}},
        unselected={"marker": {"opacity": 1}},
        customdata=marks_of(grid.rows, which, 0),
        hovertext=[
            f"{percent(share)} of the rows {said} {name} = {escape(shorten(text, 24))}.<br>"
            f"A click takes row {count(int(row))}."
            for share, text, row in zip(shares.tolist(), grid.labels, grid.rows, strict=True)
        ],
        hovertemplate="%{hovertext}<extra></extra>",
        name=f"rows along {name}",
    )


def _targets(effect: TwoWayEffect, theme: Theme) -> Trace:
    """A near-invisible mark on each tile, since a browser selects no tiles."""
    first, second = effect.grids
    names = [escape(shorten(name, 30)) for name in effect.features]
    said = "the average answer is" if effect.kind == "pdp" else "they add"
    i, j = (at.ravel() for at in np.indices(effect.value.shape))
    style = add_targets_style(theme)
    size = float(np.clip(250 / max(effect.value.shape), 8, 60))
    return scatter(
        x=j.astype(np.float32),
        y=i.astype(np.float32),
        mode="markers",
        customdata=marks_of(effect.rows.ravel(), 0, 0),
        text=[
            f"Where {names[0]} is {escape(shorten(first.labels[a], 24))} and {names[1]} is "
            f"{escape(shorten(second.labels[b], 24))},<br>{said} {number(effect.value[a, b])}; "
            f"{_nearness(float(effect.near[a, b]), int(effect.rows[a, b]))}"
            for a, b in zip(i.tolist(), j.tolist(), strict=True)
        ],
        hovertemplate="%{text}<extra></extra>",
        name="tiles",
        **{**style, "marker": {**style["marker"], "size": size}},
    )


def _nearness(near: float, row: int) -> str:
    held = f"{percent(near)} of the rows are near." if near > 0 else "no row is near: a guess."
    return held if row < 0 else f"{held}<br>A click takes the nearest, row {count(row)}."


def _crosses(effect: TwoWayEffect, theme: Theme) -> list[Trace]:
    """Where the model was asked for what no row is like."""
    i, j = np.nonzero(effect.sparse)
    if not len(i):
        return []
    cross = {"symbol": "x-thin", "size": 6, "line": {"width": 1, "color": ink(theme).rule}}
    return [
        scatter(
            x=j.astype(np.float32),
            y=i.astype(np.float32),
            mode="markers",
            marker=cross,
            unselected={"marker": {"opacity": 1}},
            hoverinfo="skip",
            name="no rows near",
        )
    ]
