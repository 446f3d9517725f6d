"""Rows whose features are cells: the picture under what each pixel adds, sequences step by step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from ..diagnostics.attributions import the_unit
from ..errors import ParameterError
from ..wording import count, listing, number, plural, shorten, shorten_all
from .canvas import canvas, lying_colorbar, model_title, number_ticks
from .drawn import Trace, add_meta, bar, heatmap, image, scatter
from .panels import MOST_PANELS, Styles, looks_of, marks_of, panels, panels_title, zero_line
from .theme import LOWERS, RAISES, Theme, escape, ink, translucent
from .waterfalls import signed

if TYPE_CHECKING:
    from ..diagnostics.pictures import Picture

__all__ = ["plot_pictures"]

SIDE = 230  # pixels of the drawing
MOST_MARKS = 4_096  # cells that take clicks; beyond, hovering still tells each
_STRONG = 0.92  # how much of the picture the strongest heat hides
_GAP = 0.03


def plot_pictures(
    pictures: Sequence[Picture],
    styles: Styles | None = None,
    *,
    theme: Theme = "light",
) -> go.Figure:
    """What each pixel or step adds to each model's answer for one row, on one scale of colours.

    Pictures are drawn grey under the heat, and alone beside it for up to three models; blue
    raises the answer, orange lowers it. A click gives the row and the cell (see `panels`).

    Raises
    ------
    ParameterError : no model or more than four, or pictures beside sequences.
    """
    if not 1 <= len(pictures) <= MOST_PANELS:
        raise ParameterError(
            f"{len(pictures)} models were given; 1 to {MOST_PANELS} can stand side by side."
        )
    if len({(one.is_sequence, one.heat.shape) for one in pictures}) > 1:
        raise ParameterError(
            "The models were given rows of different shapes; draw one chart for each shape."
        )
    draw = _plot_sequences if pictures[0].is_sequence else _plot_pictures
    return draw(pictures, styles, theme)


def _caption(pictures: Sequence[Picture]) -> str:
    """Where the answer of each model comes from: the half of the heat, and how much is against."""
    what, parts = ("step" if pictures[0].is_sequence else "pixel"), []
    for one in pictures:
        heat = one.heat.reshape(-1)
        size = np.abs(heat)
        total = size.sum()
        if not total > 0:
            parts.append(f"{one.model} is not moved by any {what}")
            continue
        order = np.sort(size)[::-1].cumsum() / total
        half = int(np.searchsorted(order, 0.5) + 1)
        ups, downs = float(heat[heat > 0].sum()), float(heat[heat < 0].sum())
        parts.append(
            f"{one.model}: half of all movement comes from {count(half)} of "
            f"{plural(heat.size, what)}; from {number(one.base)} on average, {signed(ups)} and "
            f"{signed(downs)} make {number(one.prediction)}"
        )
    return f"{'. '.join(parts)}."


def _whose(one: Picture) -> str:
    return f"row {one.row:,}" if one.n_rows == 1 else plural(one.n_rows, "row")


def _question(one: Picture, where: str) -> str:
    if one.n_rows > 1:
        return f"{where} high answers come from"
    return f"{where} the answers for {_whose(one)} come from"


def _subtitle(pictures: Sequence[Picture]) -> str:
    methods = list(dict.fromkeys(one.method for one in pictures))
    units = list(dict.fromkeys(the_unit(one.space, one.output) for one in pictures))
    scale = ""
    if len(pictures) > 1:
        scale = ", on one scale" if len(units) == 1 else ", each on its own scale"
    line = " Dotted: the sequence itself." if pictures[0].is_sequence else ""
    rows = ""
    if pictures[0].n_rows > 1:
        rows = "For each model, the mean of its tenth of rows with the highest answers\n"
    return (
        f"{rows}What adds to {listing(units, 4)}{scale}\nBlue raises, orange lowers.{line} "
        f"{methods[0] if len(methods) == 1 else ''}"
    )


def heat_scale() -> list[list[Any]]:
    """Orange to blue over clear, so that what is under it shows where nothing is added."""
    steps = np.linspace(0, 1, 6)
    clear = [round(float(_STRONG * step**0.6), 3) for step in steps]
    lowers = [
        [0.5 - step / 2, translucent(LOWERS, alpha)]
        for step, alpha in zip(steps.tolist(), clear, strict=True)
    ]
    raises = [
        [0.5 + step / 2, translucent(RAISES, alpha)]
        for step, alpha in zip(steps.tolist(), clear, strict=True)
    ]
    return [*reversed(lowers), *raises]


def _sentences(one: Picture) -> list[str]:
    """One for each cell of the heat, in row order."""
    heat, spread = one.heat.reshape(-1), one.heat_spread.reshape(-1)
    unit = escape(the_unit(one.space, one.output))
    names = _places(one)
    found = []
    for name, cell, value, reach in zip(names, _cell_texts(one), heat, spread, strict=True):
        verb = "raises" if value > 0 else "lowers" if value < 0 else "does not move"
        by = f" by {number(abs(value))}" if value else ""
        give = f" (± {number(reach)})" if reach > 0 else ""
        found.append(f"{name}{cell}<br>{verb} {unit}{by}{give}")
    return found


def _places(one: Picture) -> list[str]:
    """The names of the cells of the heat: channels are summed."""
    each = len(one.feature_names) // one.heat.size
    return [escape(name.split(", channel ")[0].capitalize()) for name in one.feature_names[::each]]


def _cell_texts(one: Picture) -> list[str]:
    cells = np.asarray(one.cells).reshape(one.heat.size, -1)
    if cells.shape[1] > 4:
        return [""] * len(cells)
    return [" = " + ", ".join(number(float(x)) for x in row) for row in cells]


def _grid_axis(size: int, **options: Any) -> dict[str, Any]:
    return {
        "range": [-0.5, size - 0.5],
        "showgrid": False,
        "showticklabels": False,
        "ticks": "",
        "showline": False,
        "zeroline": False,
        "constrain": "domain",
        **options,
    }


def _plot_pictures(pictures: Sequence[Picture], styles: Styles | None, theme: Theme) -> go.Figure:
    models, first = [one.model for one in pictures], pictures[0]
    alone = len(pictures) < MOST_PANELS
    n = len(pictures) + alone
    height, width = first.heat.shape
    caption = _caption(pictures)
    axes: dict[str, Any] = {}
    for k in range(n):
        wide = (1 - _GAP * (n - 1)) / n
        domain = [k * (wide + _GAP), k * (wide + _GAP) + wide]
        axes["xaxis" if k == 0 else f"xaxis{k + 1}"] = _grid_axis(
            width, domain=domain, anchor="y", scaleanchor="y"
        )
    figure = canvas(
        theme,
        title=panels_title(_question(first, "Where"), models),
        subtitle=_subtitle(pictures),
        width=76,
        name=f"picture {_whose(first)} " + " ".join(models),
        alt=f"Picture of {_whose(first)} with heat for {plural(len(models), 'model')}. {caption}",
        caption=caption,
        height=SIDE + 20,
        above=44,
        below=22,
        left=8,
        yaxis=_grid_axis(height, range=[height - 0.5, -0.5], constraintoward="top"),
        showlegend=False,
        clickmode="event+select",
        dragmode=False,
        hoverdistance=-1,
        **axes,
    )
    names = [str(name) for name in first.feature_names]
    add_meta(figure, features=names, models=models)
    titles = _panel_titles(pictures, styles, alone)
    for k, text in enumerate(titles):
        _add_title(figure, text, k, n)
    if alone:
        _add_grey(figure, first, "x", theme, strong=True)
    for k, one in enumerate(pictures):
        place = k + alone
        _add_heat(figure, one, "x" if place == 0 else f"x{place + 1}", k, theme)
    return figure


def _panel_titles(pictures: Sequence[Picture], styles: Styles | None, alone: bool) -> list[str]:
    models = [one.model for one in pictures]
    short = shorten_all(models, (40, 28, 22, 20)[len(models) - 1])
    looks = looks_of(models, styles)
    found = [
        f"{model_title(name, style, 60)}<br>{escape(number(one.prediction))}"
        for name, style, one in zip(short, looks, pictures, strict=True)
    ]
    if not alone:
        return found
    own = "As it is" if pictures[0].n_rows == 1 else "Their mean"
    return [f"{own}<br>{_whose(pictures[0])}", *found]


def _add_title(figure: go.Figure, text: str, k: int, n: int) -> None:
    wide = (1 - _GAP * (n - 1)) / n
    figure.add_annotation(
        x=k * (wide + _GAP) + wide / 2,
        y=1,
        xref="paper",
        yref="paper",
        xanchor="center",
        yanchor="bottom",
        yshift=4,
        showarrow=False,
        text=text,
    )


def _add_grey(figure: go.Figure, one: Picture, axis: str, theme: Theme, *, strong: bool) -> None:
    """The picture itself: bright cells stand off the page in both themes."""
    if strong and one.cells.ndim == 3 and one.cells.shape[-1] == 3:
        figure.add_trace(_photo(one, axis))
        return
    colours = ink(theme)
    end = colours.text if strong else colours.muted
    figure.add_trace(
        heatmap(
            z=one.grey.astype(np.float32),
            zmin=0,
            zmax=1 if strong else 3.0,  # heat has to stand out
            colorscale=[[0, colours.page], [1, end]],
            showscale=False,
            hoverinfo="skip",
            xaxis=axis,
            yaxis="y",
            name="picture",
        )
    )
    height, width = one.heat.shape
    figure.add_shape(
        type="rect",
        x0=-0.5,
        x1=width - 0.5,
        y0=-0.5,
        y1=height - 0.5,
        xref=axis,
        yref="y",
        line={"color": translucent(colours.rule, 0.6), "width": 1},
    )


def _photo(one: Picture, axis: str) -> Trace:
    cells = np.asarray(one.cells, dtype=np.float64)
    top = float(np.nanmax(cells, initial=0.0))
    low = min(0.0, float(np.nanmin(cells, initial=0.0)))
    most = 255.0 if low == 0 and 1 < top <= 255 else top
    scaled = np.nan_to_num((cells - low) / ((most - low) or 1.0)).clip(0, 1)
    return image(
        z=np.rint(scaled * 255).astype(np.uint8),
        hoverinfo="skip",
        xaxis=axis,
        yaxis="y",
        name="picture",
    )


def _add_heat(figure: go.Figure, one: Picture, axis: str, model: int, theme: Theme) -> None:
    _add_grey(figure, one, axis, theme, strong=False)
    span = one.span or 1.0
    many = one.heat.size > MOST_MARKS
    figure.add_trace(
        heatmap(
            z=one.heat.astype(np.float32),
            zmin=-span,
            zmax=span,
            colorscale=heat_scale(),
            showscale=model == 0,
            colorbar=lying_colorbar(
                len=240,
                xpad=28,
                tickmode="array",
                tickvals=[-span, 0, span],
                ticktext=[number(-span), "0", number(span)],
            ),
            hoverinfo=None if many else "skip",
            hovertemplate="Pixel %{y}, %{x}: %{z:.3g}<extra></extra>" if many else None,
            x0=0,
            xaxis=axis,
            yaxis="y",
            name=f"heat {escape(one.model)}",
        )
    )
    if not many:
        figure.add_trace(_targets(one, axis, model, theme))


def _targets(one: Picture, axis: str, model: int, theme: Theme) -> Trace:
    """Near-invisible squares that take hover and clicks: heat maps send no click to Streamlit."""
    height, width = one.heat.shape
    each = len(one.feature_names) // one.heat.size
    down, across = np.divmod(np.arange(one.heat.size), width)
    return scatter(
        x=across.tolist(),
        y=down.tolist(),
        customdata=marks_of(one.row, np.arange(one.heat.size) * each, model),
        text=_sentences(one),
        hovertemplate="%{text}<extra></extra>",
        mode="markers",
        marker={
            "symbol": "square",
            "size": max(2.0, 0.7 * SIDE / max(height, width)),
            "opacity": 0.01,
            "color": "rgba(0,0,0,0)",
        },
        selected={"marker": {"opacity": 0.35, "color": ink(theme).rule}},
        unselected={"marker": {"opacity": 0.01}},
        showlegend=False,
        xaxis=axis,
        yaxis="y",
        name=f"cells {escape(one.model)}",
    )


# Sequences


def _plot_sequences(pictures: Sequence[Picture], styles: Styles | None, theme: Theme) -> go.Figure:
    models, first = [one.model for one in pictures], pictures[0]
    caption, n = _caption(pictures), len(first.heat)
    top = max(float((np.abs(one.heat) + one.heat_spread).max()) for one in pictures) or 1.0
    figure, axes = panels(
        theme,
        models,
        styles,
        features=[str(name) for name in first.feature_names],
        title=panels_title(_question(first, "Which steps"), models),
        subtitle=_subtitle(pictures),
        width=76,
        name=f"steps {_whose(first)} " + " ".join(models),
        alt=f"Steps of {_whose(first)} for {plural(len(models), 'model')}. {caption}",
        caption=caption,
        height=260,
        xaxes=[{"range": [0.4, n + 0.6], "dtick": max(1, math.ceil(n / 8))} for _ in pictures],
        x_title="Step",
        yaxis={
            "title": {"text": shorten(f"Adds to {the_unit(first.space, first.output)}", 40)},
            "range": [-1.08 * top, 1.08 * top],
            **number_ticks(-1.08 * top, 1.08 * top),
            **zero_line(theme),
        },
        bargap=0.15,
    )
    for k, (one, where) in enumerate(zip(pictures, axes, strict=True)):
        figure.add_trace(_own_values(one, where, top, theme))
        heat = one.heat
        figure.add_trace(
            bar(
                x=np.arange(1, n + 1).tolist(),
                y=heat.tolist(),
                error_y=_whiskers(one, theme),
                marker={"color": [RAISES if value >= 0 else LOWERS for value in heat]},
                customdata=marks_of(one.row, np.arange(n) * (one.values.size // n), k),
                hovertext=_sentences(one),
                hovertemplate="%{hovertext}<extra></extra>",
                name=f"steps {escape(one.model)}",
                **where,
            )
        )
    return figure


def _whiskers(one: Picture, theme: Theme) -> dict[str, Any] | None:
    if not one.heat_errors.any() or len(one.heat) > 60:
        return None
    spread = one.heat_spread.tolist()
    return {"type": "data", "array": spread, "color": ink(theme).muted, "thickness": 1, "width": 0}


def _own_values(one: Picture, where: dict[str, str], top: float, theme: Theme) -> Trace:
    """The sequence itself as a quiet line, in a scale of its own: its shape, not its numbers."""
    height = (one.grey - 0.5) * 1.8 * top
    return scatter(
        x=np.arange(1, len(height) + 1).tolist(),
        y=[None if math.isnan(value) else value for value in height.tolist()],
        mode="lines",
        line={"color": translucent(ink(theme).rule, 0.75), "width": 1.5, "dash": "dot"},
        hoverinfo="skip",
        name="the sequence itself",
        **where,
    )
