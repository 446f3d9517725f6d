"""Inside a network: histograms of a layer over the steps, norms of all layers, layers on rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ..errors import NotApplicable
from ..wording import count, listing, number, percent, plural, shorten
from .canvas import axis, canvas, number_ticks
from .drawn import heatmap, scatter
from .epoch_scene import number_axis
from .theme import (
    MODEL_COLOURS,
    Theme,
    escape,
    ink,
    label,
    sequential_scale,
    style_of,
    translucent,
)

if TYPE_CHECKING:
    from ..contracts import LayerSummary, NetworkSummary
    from ..diagnostics.layer_histograms import LayerCurve

__all__ = ["plot_layer_heatmap", "plot_layer_norms", "plot_layers", "plot_ridges"]

Floats = npt.NDArray[np.float64]

RIDGES, BINS = 24, 64
MOST_STEPS, MOST_LAYERS = 120, 12
_GRADIENT = "Size of the gradient over that of the weights (log)"
_SHARE = "Share of the layer's units or answers"
_KINDS = {
    "weight": "Weights",
    "bias": "Biases",
    "gradient": "Gradients",
    "activation": "Activations",
    "": "Values",
}


def _title(curve: LayerCurve) -> str:
    return f"<b>{_KINDS.get(curve.kind, 'Values')} of {label(curve.layer, 30)}</b>"


def _on_grid(curve: LayerCurve, steps: npt.NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Densities `(steps, BINS)` on one axis of values that holds 99 % of every step."""
    with np.errstate(invalid="ignore"):
        low = float(np.nanmin(curve.quantiles[:, 0] - curve.sd))
        high = float(np.nanmax(curve.quantiles[:, -1] + curve.sd))
    first, last = curve.edges[:, 0].min(), curve.edges[:, -1].max()
    low, high = max(low, float(first)), min(high, float(last))
    if not (np.isfinite([low, high]).all() and high > low):
        middle = low if np.isfinite(low) else 0.0
        low, high = middle - 0.5, middle + 0.5
    grid = np.linspace(low, high, BINS + 1)
    shares = np.empty((len(steps), BINS))
    for row, at in enumerate(steps):
        total = curve.counts[at].sum() or 1.0
        reached = np.append(0.0, np.cumsum(curve.counts[at])) / total
        shares[row] = np.diff(np.interp(grid, curve.edges[at], reached))
    return (grid[:-1] + grid[1:]) / 2, shares / (grid[1] - grid[0])


def _chosen(n: int, most: int) -> npt.NDArray[np.intp]:
    """At most so many places, evenly, the first and the last among them."""
    return np.unique(np.round(np.linspace(0, n - 1, min(n, most))).astype(np.intp))


def _of(shown: int, n: int) -> str:
    return f"{count(shown)} of {plural(n, 'step')}" if shown < n else plural(n, "step")


def plot_ridges(curve: LayerCurve, *, theme: Theme = "light") -> go.Figure:
    """The distribution at each of some steps, one ridge above the other, the first at the back."""
    steps = _chosen(len(curve.steps), RIDGES)
    values, density = _on_grid(curve, steps)
    tallest = float(density.max()) or 1.0
    caption = (
        f"{_KINDS[curve.kind]} of {curve.layer} in {curve.run}: standard deviation "
        f"{number(float(curve.sd[0]))} at step {count(int(curve.steps[0]))}, "
        f"{number(float(curve.sd[-1]))} at step {count(int(curve.steps[-1]))}."
    )
    figure = canvas(
        theme,
        title=_title(curve),
        subtitle=f"Each ridge is one step, the latest in front; {_of(len(steps), len(curve.steps))}"
        " drawn.",
        name=f"{curve.kind} of {curve.layer}",
        alt=caption,
        caption=caption,
        height=440,
        xaxis=axis("Value", **number_ticks(float(values[0]), float(values[-1]))),
        yaxis=axis(
            "Step",
            tickmode="array",
            tickvals=[-row for row in range(0, len(steps), max(1, len(steps) // 8))],
            ticktext=[
                count(int(curve.steps[at])) for at in steps[:: max(1, len(steps) // 8)].tolist()
            ],
            showgrid=False,
        ),
        showlegend=False,
    )
    colour = MODEL_COLOURS[0]
    for row, at in enumerate(steps.tolist()):
        height = 2.2 * density[row] / tallest - row
        alpha = 0.25 + 0.5 * row / max(1, len(steps) - 1)
        figure.add_trace(
            scatter(
                x=np.concatenate([values[:1], values, values[-1:]]).astype(np.float32),
                y=np.concatenate([[-row], height, [-row]]).astype(np.float32),
                mode="lines",
                line={"color": colour, "width": 1},
                fill="toself",
                fillcolor=translucent(colour, alpha),
                hoverinfo="text",
                hoveron="fills",
                text=f"step {count(int(curve.steps[at]))}: mean {number(float(curve.mean[at]))}, "
                f"standard deviation {number(float(curve.sd[at]))}",
            )
        )
    return figure


def plot_layer_heatmap(curve: LayerCurve, *, theme: Theme = "light") -> go.Figure:
    """The distribution over all steps: columns are steps, colour is density."""
    steps = _chosen(len(curve.steps), MOST_STEPS)
    values, density = _on_grid(curve, steps)
    tallest = density.max(axis=1, keepdims=True)
    shown = np.divide(density, tallest, out=np.zeros_like(density), where=tallest > 0)
    low, high = (number(float(curve.quantiles[-1, place])) for place in (1, 3))
    caption = (
        f"{_KINDS[curve.kind]} of {curve.layer} in {curve.run} over "
        f"{plural(len(curve.steps), 'step')}: the middle half lies between {low} and {high} at the "
        "end."
    )
    figure = canvas(
        theme,
        title=_title(curve),
        subtitle="Colour is density, each step on its own scale; lines hold the middle 90 % and "
        f"the median. {_of(len(steps), len(curve.steps))} drawn.",
        name=f"{curve.kind} of {curve.layer} over steps",
        alt=caption,
        caption=caption,
        xaxis=axis("Step"),
        yaxis=axis("Value", **number_ticks(float(values[0]), float(values[-1]))),
        showlegend=False,
    )
    at = curve.steps[steps].astype(np.float64)
    figure.add_trace(
        heatmap(
            x=at,
            y=values.astype(np.float32),
            z=shown.T.astype(np.float32),
            colorscale=[list(step) for step in sequential_scale(theme)],
            showscale=False,
            hovertemplate="step %{x:,}<br>value %{y:.3g}<extra></extra>",
        )
    )
    for place, dash in ((0, "dot"), (2, "solid"), (4, "dot")):
        figure.add_trace(
            scatter(
                x=at,
                y=curve.quantiles[steps, place].astype(np.float32),
                mode="lines",
                line={"color": ink(theme).text, "width": 1, "dash": dash},
                hoverinfo="skip",
            )
        )
    return figure


def plot_layer_norms(curves: Sequence[LayerCurve], *, theme: Theme = "light") -> go.Figure:
    """The size of one kind of arrays in every layer over the steps, on a logarithmic axis.

    Raises
    ------
    NotApplicable : no curves.
    """
    if not curves:
        raise NotApplicable("There are no histograms of this kind.")
    shown = list(curves)[:MOST_LAYERS]
    kind = _KINDS.get(shown[0].kind, "Values")
    ends = [float(one.norm[-1]) for one in shown]
    caption = (
        f"{kind} of {plural(len(curves), 'layer')}: at the end the norm is largest in "
        f"{shown[int(np.nanargmax(ends))].layer} ({number(max(ends))}) and smallest in "
        f"{shown[int(np.nanargmin(ends))].layer} ({number(min(ends))})."
    )
    part = f" The first {len(shown)} of {len(curves)} layers." if len(shown) < len(curves) else ""
    figure = canvas(
        theme,
        title=f"<b>Norms of the {kind.lower()}</b>",
        subtitle=f"Square root of the sum of squares, logarithmic axis.{part}",
        name=f"norms of {kind}",
        alt=caption,
        caption=caption,
        legend_rows=len(shown),
        xaxis=axis("Step"),
        yaxis=axis("Norm", **_decades([one.norm for one in shown])),
    )
    for index, one in enumerate(shown):
        at = _chosen(len(one.steps), MOST_STEPS)
        style = style_of(index)
        positive = np.where(one.norm > 0, one.norm, np.nan)
        figure.add_trace(
            scatter(
                x=one.steps[at].astype(np.float64),
                y=positive[at].astype(np.float32),
                mode="lines+markers" if len(at) < 20 else "lines",
                name=escape(shorten(one.layer, 40)),
                line=style.line,
                marker={"symbol": style.symbol, "size": 7, "color": style.colour},
                hovertemplate=f"<i>{label(one.layer, 40)}</i><br>step %{{x:,}}: norm %{{y:.3g}}"
                "<extra></extra>",
            )
        )
    return figure


def _decades(values: Sequence[Any]) -> dict[str, Any]:
    """A logarithmic axis around all that can stand on it."""
    flat = np.concatenate([np.asarray(one, dtype=np.float64) for one in values])
    flat = flat[np.isfinite(flat) & (flat > 0)]
    if not len(flat):
        return {"type": "log"}
    low, high = float(flat.min()), float(flat.max())
    if high < 2 * low:  # a little may not look like much
        low, high = low / 1.5, high * 1.5
    return number_axis((low, high), True, 5)


def plot_layers(summary: NetworkSummary, *, theme: Theme = "light") -> go.Figure:
    """The layers of a loaded network on some rows: gradients, and units that do nothing.

    Raises
    ------
    NotApplicable : nothing could be measured in any layer.
    """
    layers = _measured(summary)
    if not layers:
        raise NotApplicable(f"{summary.model} has no layers whose outputs could be measured.")
    caption = _layers_caption(summary)
    rows = list(range(len(layers)))
    gradients = [
        one.gradient_norm / one.weight_norm if one.gradient_norm and one.weight_norm else np.nan
        for one in layers
    ]
    figure = canvas(
        theme,
        title=f"<b>Layers of {label(summary.model, 30)}</b>",
        subtitle=f"On {count(summary.n_rows)} of {plural(summary.n_given, 'row')}, first layer on "
        f"top.{_left_out(summary, layers)}",
        name=f"layers of {summary.model}",
        alt=caption,
        caption=caption,
        height=90 + 30 * len(layers),
        xaxis=axis(_GRADIENT, domain=[0, 0.46], **_decades([gradients])),
        xaxis2=axis(_SHARE, domain=[0.54, 1], range=[-0.03, 1.03], tickformat=".0%", nticks=5),
        yaxis={
            "tickmode": "array",
            "tickvals": rows,
            "ticktext": [label(one.name, 24) for one in layers],
            "range": [len(layers) - 0.5, -0.5],
        },
        legend_rows=2,
    )
    _add_marks(figure, layers, gradients, theme)
    return figure


def _left_out(summary: NetworkSummary, shown: Sequence[LayerSummary]) -> str:
    if len(shown) == len(summary.layers):
        return ""
    return f" {count(len(shown))} of {plural(len(summary.layers), 'layer')}: those that learn."


def _measured(summary: NetworkSummary) -> list[LayerSummary]:
    """The layers that learn or have an activation: those that encode inputs have neither."""
    return [
        one
        for one in summary.layers
        if one.gradient_norm is not None or (one.activation and one.dead is not None)
    ]


def _add_marks(
    figure: go.Figure, layers: Sequence[LayerSummary], gradients: Sequence[float], theme: Theme
) -> None:
    """One mark a layer: its gradient on the left, two shares on the right; no model's colours."""
    names = [label(one.name, 40) for one in layers]
    marks: list[tuple[str, Any, str, str, str]] = [
        ("", gradients, "x", "circle", "gradient / weights %{x:.2g}"),
        (
            "Units with one answer for every row",
            [one.dead for one in layers],
            "x2",
            "circle",
            "%{x:.0%}",
        ),
        (
            "Answers where the activation is flat",
            [one.saturated for one in layers],
            "x2",
            "diamond-open",
            "%{x:.0%}",
        ),
    ]
    for name, values, place, symbol, hover in marks:
        figure.add_trace(
            scatter(
                x=np.array([np.nan if v is None else v for v in values], dtype=np.float64),
                y=list(range(len(layers))),
                xaxis=place,
                mode="markers",
                name=name,
                showlegend=bool(name),
                marker={"color": ink(theme).text, "symbol": symbol, "size": 10},
                text=names,
                hovertemplate=f"<i>%{{text}}</i><br>{name} {hover}<extra></extra>",
            )
        )


def _layers_caption(summary: NetworkSummary) -> str:
    dead = [one for one in _measured(summary) if one.dead is not None and one.dead > 0]
    said = (
        f"{plural(len(summary.layers), 'layer')}, {count(summary.n_trainable)} trained parameters."
    )
    if dead:
        worst = max(dead, key=lambda one: one.dead or 0.0)
        said += (
            f" In the layer “{worst.name}” {percent(worst.dead or 0.0)} of the units give the same "
            "answer for every row."
        )
    losses = [one.replace("_", " ") for one in summary.losses if one]
    return f"{said} Trained with {listing(losses)}." if losses else said
