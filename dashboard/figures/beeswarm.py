"""Beeswarms side by side: every row's value of every feature, points or a raster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from ..diagnostics.attributions import the_unit
from ..wording import count, plural
from .attribution_captions import caption_beeswarm, rows_note
from .canvas import lying_colorbar
from .drawn import heatmap, scatter
from .panels import (
    Styles,
    add_targets_style,
    brief,
    feature_axis,
    marks_of,
    panel_letters,
    panels,
    panels_title,
    shared_features,
    span_axis,
    zero_line,
)
from .theme import Theme, ink, translucent, value_scale

if TYPE_CHECKING:
    from ..diagnostics.beeswarm import Beeswarm, SwarmCells, SwarmPoints

__all__ = ["plot_beeswarm", "value_colorbar"]

PITCH = 30  # pixels a feature
COLOURBAR = 34


def value_colorbar(text: str = "feature value") -> dict[str, Any]:
    """A bar from low to high, without numbers: every feature has its own."""
    return lying_colorbar(
        title={"text": f" {text}", "side": "right", "font": {"size": 12}},
        tickvals=[0, 1],
        ticktext=["low", "high"],
        tickangle=0,
        len=230,
    )


def plot_beeswarm(
    swarms: Sequence[Beeswarm],
    styles: Styles | None = None,
    *,
    theme: Theme = "light",
    selected: int | None = None,
) -> go.Figure:
    """One panel a model on shared features and axis; colour is the feature's own value.

    `selected`: a row to ring. A click gives the row and the feature (see `panels`).
    """
    models = [one.model for one in swarms]
    first = swarms[0]
    caption = caption_beeswarm(swarms)
    folded = (
        ""
        if len(first.features) == first.n_features
        else (f". {count(len(first.features))} of {plural(first.n_features, 'feature')}")
    )
    figure, axes = panels(
        theme,
        models,
        styles,
        features=shared_features(swarms),
        title=panels_title("What moves each answer, row by row", models),
        subtitle=f"{rows_note(swarms)}{folded}\n{_how_to_read(swarms)}",
        width=76,
        name="beeswarm " + " ".join(models),
        alt=f"Beeswarm of attributions of {plural(len(swarms), 'model')}. {caption}",
        caption=caption,
        height=40 + PITCH * len(first.features),
        below=COLOURBAR,
        xaxes=[{**span_axis(one.span, len(swarms)), **zero_line(theme)} for one in swarms],
        x_title=[f"Adds to {the_unit(one.space, one.output)}" for one in swarms],
        yaxis=feature_axis(first.features, panel_letters(len(swarms))),
        hoverdistance=20,
    )
    for k, (one, where) in enumerate(zip(swarms, axes, strict=True)):
        if one.points is not None:
            _add_points(figure, one, one.points, where, k, theme, colorbar=k == 0)
        if one.cells is not None:
            _add_raster(figure, one, one.cells, where, k, theme, colorbar=k == 0)
        _say_unused(figure, one, where, theme)
        if selected is not None:
            _add_selected(figure, one, selected, where, k, theme)
    return figure


def _how_to_read(swarms: Sequence[Beeswarm]) -> str:
    if all(one.points is None for one in swarms):
        return "Every row is counted; point at a place for how many are there and their values"
    return "A dot is a row; within a column, higher values of the feature lie on top"


def _sentence(one: Beeswarm) -> str:
    unit = brief(the_unit(one.space, one.output))
    return (
        f"Row %{{customdata[0]:,}}, <i>{brief(one.model)}</i>:<br>%{{text}}<br>"
        f"adds %{{x:+,.3~g}} to {unit}.<extra></extra>"
    )


def _texts(one: Beeswarm, points: SwarmPoints) -> list[str]:
    names = [brief(name, 24) for name in one.features]
    return [
        f"{names[feature]} = {brief(text, 24)}"
        for feature, text in zip(points.feature.tolist(), points.text, strict=True)
    ]


def _add_points(
    figure: go.Figure,
    one: Beeswarm,
    points: SwarmPoints,
    where: dict[str, str],
    model: int,
    theme: Theme,
    *,
    colorbar: bool,
) -> None:
    """Rows with an order in colour, on top of those without (categories, missing) as rings."""
    ordered = ~np.isnan(points.colour)
    texts = np.asarray(_texts(one, points), dtype=object)
    size = 6 if len(points.value) <= 1_500 else 4
    scale = [list(stop) for stop in value_scale(theme)]
    bar = {"showscale": colorbar, "colorbar": value_colorbar()}
    looks: list[tuple[str, Any, dict[str, Any]]] = [
        (
            "rows without an order",
            ~ordered,
            {"symbol": "circle-open", "color": ink(theme).rule, "line": {"width": 1.2}},
        ),
        (
            "rows",
            ordered,
            {
                "color": points.colour[ordered].astype(np.float32),
                "colorscale": scale,
                "cmin": 0,
                "cmax": 1,
                **bar,
            },
        ),
    ]
    for name, mask, marker in looks:
        if not mask.any() and not (name == "rows" and colorbar):
            continue
        figure.add_trace(
            scatter(
                x=points.value[mask].astype(np.float32),
                # upwards on an axis that runs down
                y=(points.feature - points.offset)[mask].astype(np.float32),
                mode="markers",
                marker={"size": size, "opacity": 0.85, **marker},
                text=texts[mask].tolist(),
                customdata=marks_of(points.row[mask], points.feature[mask], model),
                hovertemplate=_sentence(one),
                unselected={"marker": {"opacity": 0.85}},
                name=name,
                **where,
            )
        )


def _raster_scale(theme: Theme) -> list[list[Any]]:
    """0 nothing, 1 rows without an order, 2 … 255 low to high."""
    clear, plain = "rgba(0,0,0,0)", ink(theme).rule
    stops: list[list[Any]] = [
        [0, clear],
        [0.5 / 255, clear],
        [0.5 / 255, plain],
        [1.5 / 255, plain],
    ]
    inner = value_scale(theme)
    return [*stops, *([(1.5 + at * 253.5) / 255, colour] for at, colour in inner)]


def _add_raster(
    figure: go.Figure,
    one: Beeswarm,
    cells: SwarmCells,
    where: dict[str, str],
    model: int,
    theme: Theme,
    *,
    colorbar: bool,
) -> None:
    n, layers, width = cells.shade.shape
    low, high = one.span
    codes = np.where(cells.shade < 0, 1, np.rint(2 + np.nan_to_num(cells.shade) * 253))
    codes = np.where(np.isnan(cells.shade), 0, codes).astype(np.uint8)
    # the axis runs down, the first layer is the lowest; an empty layer of air on either side
    tall = layers + 2
    codes = np.pad(codes[:, ::-1], ((0, 0), (1, 1), (0, 0))).reshape(n * tall, width)
    step = (high - low) / width
    figure.add_trace(
        heatmap(
            x=(low + step * (np.arange(width) + 0.5)).astype(np.float32),
            y=((np.arange(n * tall) + 0.5) / tall - 0.5).astype(np.float32),
            z=codes,
            zmin=0,
            zmax=255,
            colorscale=_raster_scale(theme),
            showscale=False,
            hoverinfo="skip",
            name="raster",
            **where,
        )
    )
    targets = cells.targets
    texts = [
        f"{plural(int(rows), 'row')} with {text}"
        for rows, text in zip(cells.sizes, _texts(one, targets), strict=True)
    ]
    unit = brief(the_unit(one.space, one.output))
    figure.add_trace(
        scatter(
            x=targets.value.astype(np.float32),
            y=targets.feature.astype(np.float32),
            mode="markers",
            text=texts,
            customdata=marks_of(targets.row, targets.feature, model),
            hovertemplate=f"%{{text}}:<br>about %{{x:+,.3~g}} to {unit}<br>of "
            f"<i>{brief(one.model)}</i>. A click takes row %{{customdata[0]:,}}.<extra></extra>",
            name="columns of rows",
            **{**add_targets_style(theme, 14), **where},
        )
    )
    if colorbar:
        _add_scale(figure, where, theme)


def _add_scale(figure: go.Figure, where: dict[str, str], theme: Theme) -> None:
    """The colour bar of low to high; the raster's own scale has two more entries."""
    figure.add_trace(
        scatter(
            x=[None],
            y=[None],
            mode="markers",
            marker={
                "color": [0],
                "colorscale": [list(stop) for stop in value_scale(theme)],
                "cmin": 0,
                "cmax": 1,
                "showscale": True,
                "colorbar": value_colorbar(),
            },
            hoverinfo="skip",
            name="scale",
            **where,
        )
    )


def _say_unused(figure: go.Figure, one: Beeswarm, where: dict[str, str], theme: Theme) -> None:
    for k in np.flatnonzero(~one.used):
        figure.add_annotation(
            x=0,
            y=int(k),
            xref=where["xaxis"],
            yref="y",
            text="not used",
            showarrow=False,
            bgcolor=translucent(ink(theme).page, 0.7),
            font={"size": 12, "color": ink(theme).muted},
        )


def _add_selected(
    figure: go.Figure, one: Beeswarm, row: int, where: dict[str, str], model: int, theme: Theme
) -> None:
    points = one.of_row(row)
    if points is None:
        return
    figure.add_trace(
        scatter(
            x=points.value.astype(np.float32),
            y=points.feature.astype(np.float32),
            mode="markers",
            marker={
                "symbol": "diamond",
                "size": 11,
                "color": ink(theme).text,
                "line": {"color": ink(theme).page, "width": 2},
            },
            text=_texts(one, points),
            customdata=marks_of(points.row, points.feature, model),
            hovertemplate=_sentence(one),
            name="selected row",
            **where,
        )
    )
