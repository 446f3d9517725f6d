"""Two features together: a tile for each pair of values, crosses where no row is near."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from ..wording import count, listing, number, percent, shorten, shorten_all
from .attribution_captions import rows_note
from .canvas import axis, canvas, few_ticks, lying_colorbar, model_title
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
    """One model's answers for pairs of values; `limits` align the colours of several models."""
    low, high = limits or two_way_limits([effect])
    style = (styles or {}).get(effect.model) or style_of(0)
    caption = caption_two_way(effect)
    first, second = effect.grids
    names = [shorten(name, 30) for name in effect.features]
    kind = "Joint partial dependence" if effect.kind == "pdp" else "Interaction"
    figure = canvas(
        theme,
        title=model_title(effect.model, style),
        subtitle=f"{kind}, {rows_note([effect])}",
        small=True,
        below=44,
        name=f"{effect.kind} {' '.join(effect.features)} {effect.model}",
        alt=f"{kind} of {listing(names, 2)} in {effect.model}. {caption}",
        caption=caption,
        height=330,
        xaxis={**_tiles(second), **axis(names[1])},
        yaxis={**_tiles(first), **axis(names[0])},
    )
    figure.layout.meta = {
        **figure.layout.meta, "features": list(effect.features), "models": [effect.model]
    }  # fmt: skip
    _add_tiles(figure, effect, (low, high), theme)
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


def _add_tiles(
    figure: go.Figure, effect: TwoWayEffect, limits: tuple[float, float], theme: Theme
) -> None:
    scale = diverging_scale(theme) if effect.kind == "ale" else sequential_scale(theme)
    first, second = effect.grids
    names = [escape(shorten(name, 30)) for name in effect.features]
    said = "the average answer is" if effect.kind == "pdp" else "they add"
    texts = [
        [
            f"Where {names[0]} is {escape(shorten(a, 24))} and {names[1]} is "
            f"{escape(shorten(b, 24))},<br>{said} {number(value)}; {percent(near)} of the rows "
            "are near."
            for b, value, near in zip(second.labels, values, nears, strict=True)
        ]
        for a, values, nears in zip(first.labels, effect.value, effect.near, strict=True)
    ]
    figure.add_trace(
        go.Heatmap(
            z=np.asarray(effect.value, dtype=np.float32),
            zmin=limits[0],
            zmax=limits[1],
            colorscale=[[at, colour] for at, colour in scale],
            colorbar=lying_colorbar(**few_ticks(*limits)),
            text=texts,
            hovertemplate="%{text}<extra></extra>",
            name="answers",
        )
    )
    i, j = np.nonzero(effect.sparse)
    cross = {"symbol": "x-thin", "size": 6, "line": {"width": 1, "color": ink(theme).rule}}
    if len(i):
        figure.add_trace(
            go.Scatter(
                x=j,
                y=i,
                mode="markers",
                marker=cross,
                hoverinfo="skip",
                showlegend=False,
                name="no rows near",
            )
        )
