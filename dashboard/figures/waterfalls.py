"""One row taken apart for every model on the same features and axis; paths of many rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from ..diagnostics.attributions import the_unit, unit_title
from ..wording import number, percent, plural, shorten, shorten_all
from .attribution_captions import caption_decision_paths, caption_waterfalls
from .drawn import bar, scatter
from .panels import (
    Styles,
    brief,
    feature_axis,
    looks_of,
    marks_of,
    panel_letters,
    panels,
    panels_title,
    shared_features,
    span_axis,
)
from .theme import LOWERS, RAISES, ModelStyle, Theme, escape, ink, translucent

if TYPE_CHECKING:
    from ..diagnostics.waterfalls import DecisionPaths, Waterfall

__all__ = ["plot_decision_paths", "plot_waterfalls", "signed"]

PITCH = 32  # pixels a feature


def signed(value: float) -> str:
    """`+.12`, `−3.4`, `0`: the sign is always there, since colour alone never says it."""
    return f"+{number(value)}" if value > 0 else number(value)


def plot_waterfalls(
    waterfalls: Sequence[Waterfall],
    styles: Styles | None = None,
    *,
    theme: Theme = "light",
) -> go.Figure:
    """From each model's average answer, at the bottom, to its answer for this row, on top.

    Blue steps raise the answer, orange ones lower it; each also carries its sign. A click gives
    the row and the feature (see `panels`).
    """
    models = [one.model for one in waterfalls]
    first, n = waterfalls[0], len(waterfalls)
    caption = caption_waterfalls(waterfalls)
    labels = _labels(waterfalls)
    figure, axes = panels(
        theme,
        models,
        styles,
        features=shared_features(waterfalls),
        title=panels_title(f"Why row {first.row:,} gets its answers", models),
        subtitle="Read upwards, from the average answer to the one for this row\n"
        f"{_how(waterfalls)}",
        width=76,
        name=f"waterfall row {first.row} " + " ".join(models),
        alt=f"Waterfall of row {first.row:,} for {plural(n, 'model')}. {caption}",
        caption=caption,
        height=84 + PITCH * len(labels),
        above=22,
        below=10,
        xaxes=[span_axis(one.span, n, (0.1, 0.15, 0.22, 0.3)[min(n, 4) - 1]) for one in waterfalls],
        x_title=[unit_title(one.space, one.output) for one in waterfalls],
        yaxis={
            **feature_axis(labels, 60),
            "ticktext": labels,
            "showgrid": True,
            "range": [len(labels) + 0.15, -0.65],
        },
        hoverdistance=30,
        barmode="overlay",
    )
    looks = looks_of(models, styles)
    for k, (one, where, style) in enumerate(zip(waterfalls, axes, looks, strict=True)):
        _add_steps(figure, one, where, k, theme)
        _add_ends(figure, one, where, style, theme)
    return figure


def _how(waterfalls: Sequence[Waterfall]) -> str:
    methods = list(dict.fromkeys(one.method for one in waterfalls))
    parts = [shorten(methods[0], 50)] if len(methods) == 1 else []
    if not all(one.exact for one in waterfalls):
        parts.append(f"whiskers: {percent(waterfalls[0].level)} interval of sampled steps")
    said = "; ".join(parts)
    return said[:1].upper() + said[1:] or "Every step is exact; how it was computed stands below"


def _labels(waterfalls: Sequence[Waterfall]) -> list[str]:
    """ "name = cell" for the shown features and a last line for those folded."""
    first = waterfalls[0]
    width = panel_letters(len(waterfalls))
    names = shorten_all(list(first.features), width - 6)
    found = []
    for k, name in enumerate(names):
        cell = next((one.cells[k] for one in waterfalls if one.cells[k]), "")
        found.append(f"{escape(name)} = <b>{escape(shorten(cell, 12))}</b>")
    folded = max(one.n_rest for one in waterfalls)
    return [*found, plural(folded, "other feature")] if folded else found


def _places(one: Waterfall) -> tuple[Any, Any, Any, Any]:
    """Lines, starts, ends and places among the features of the steps, folded ones first."""
    sums, n = one.sums, len(one.features)
    start, end = sums[:-1], sums[1:]
    lines = np.arange(n, -1, -1)
    feature = np.where(lines < n, lines, -1)
    kept = (lines < n) | (one.n_rest > 0)
    kept[1:] &= one.used[::-1]
    return lines[kept], start[kept], end[kept], feature[kept]


def _add_steps(
    figure: go.Figure, one: Waterfall, where: dict[str, str], model: int, theme: Theme
) -> None:
    lines, start, end, feature = _places(one)
    moved = end - start
    texts = [signed(float(step)) for step in moved]
    spread = np.where(feature >= 0, one.spread[feature], 0.0)
    figure.add_trace(
        bar(
            orientation="h",
            x=moved.astype(np.float32),
            base=start.astype(np.float32),
            y=lines,
            width=0.66,
            marker={"color": [RAISES if step > 0 else LOWERS for step in moved], "cornerradius": 2},
            error_x={
                "type": "data",
                "array": spread.astype(np.float32),
                "color": ink(theme).text,
                "thickness": 1,
                "width": 3,
                "visible": bool(spread.any()),
            },
            text=[_hover(one, int(k), text) for k, text in zip(feature, texts, strict=True)],
            textposition="none",
            customdata=marks_of(one.row, feature, model),
            hovertemplate="%{text}<extra></extra>",
            unselected={"marker": {"opacity": 1}},
            name="steps",
            **where,
        )
    )
    _add_links(figure, one, where, theme)
    _add_targets(figure, one, where, model)
    for line, left, right, text, reach in zip(lines, start, end, texts, spread, strict=True):
        figure.add_annotation(_step_label(line, left, right, text, reach, where, theme, one))


def _add_targets(figure: go.Figure, one: Waterfall, where: dict[str, str], model: int) -> None:
    """The whole line of a step takes hover and clicks: a small step is too thin for a pointer."""
    lines, start, end, feature = _places(one)
    figure.add_trace(
        bar(
            orientation="h",
            x=np.full(len(lines), one.span[1] - one.span[0], dtype=np.float32),
            base=one.span[0],
            y=lines,
            width=0.9,
            marker={"color": "rgba(0,0,0,0)", "opacity": 0.01},
            text=[
                _hover(one, int(k), signed(float(step)))
                for k, step in zip(feature, end - start, strict=True)
            ],
            textposition="none",
            customdata=marks_of(one.row, feature, model),
            hovertemplate="%{text}<extra></extra>",
            unselected={"marker": {"opacity": 0.01}},
            name="lines",
            **where,
        )
    )


def _step_label(
    line: Any,
    left: float,
    right: float,
    text: str,
    reach: float,
    where: dict[str, str],
    theme: Theme,
    one: Waterfall,
) -> dict[str, Any]:
    """The step beside the end of its bar, on the side where there is more room."""
    low, high = min(left, right) - reach, max(left, right) + reach
    to_right = one.span[1] - high >= low - one.span[0]
    return {
        "x": float(high if to_right else low),
        "y": int(line),
        "xref": where["xaxis"],
        "yref": "y",
        "xanchor": "left" if to_right else "right",
        "xshift": 3 if to_right else -3,
        "text": text,
        "showarrow": False,
        "font": {"size": 12, "color": ink(theme).text},
        "bgcolor": translucent(ink(theme).page, 0.6),
        "borderpad": 0,
    }


def _hover(one: Waterfall, feature: int, text: str) -> str:
    unit = brief(the_unit(one.space, one.output))
    if feature < 0:
        rest, verb = plural(one.n_rest, "other feature"), "add" if one.n_rest > 1 else "adds"
        return f"<i>{brief(one.model)}</i>:<br>{rest} {verb} {text} to {unit}."
    name, cell = brief(one.features[feature], 40), brief(one.cells[feature], 40)
    reach = float(one.spread[feature])
    spread = f"<br>({percent(one.level)} interval ± {number(reach)})" if reach > 0 else ""
    return f"<i>{brief(one.model)}</i>, {name} = {cell}:<br>adds {text} to {unit}{spread}."


def _add_links(figure: go.Figure, one: Waterfall, where: dict[str, str], theme: Theme) -> None:
    """Thin lines from the end of each step up to the start of the next."""
    lines, _, end, _ = _places(one)
    bottom, top = len(one.features) + 1.0, -0.45
    x: list[float | None] = [one.base, one.base, None]
    y: list[float | None] = [bottom, float(lines[0]) if len(lines) else top, None]
    for k in range(len(lines)):
        above = float(lines[k + 1]) if k + 1 < len(lines) else top
        x += [float(end[k]), float(end[k]), None]
        y += [float(lines[k]), above, None]
    figure.add_trace(
        scatter(
            x=x,
            y=y,
            mode="lines",
            line={"color": ink(theme).rule, "width": 1},
            hoverinfo="skip",
            name="links",
            **where,
        )
    )


def _add_ends(
    figure: go.Figure, one: Waterfall, where: dict[str, str], style: ModelStyle, theme: Theme
) -> None:
    """The model's own answer above, and its average below, each as a line with its number."""
    figure.add_shape(
        type="line",
        x0=one.prediction,
        x1=one.prediction,
        y0=-0.65,
        y1=0.45,
        xref=where["xaxis"],
        yref="y",
        line={"color": style.colour, "width": 2, "dash": "solid"},
        layer="below",
    )
    _mark_average(figure, one.base, where, theme)
    middle = (one.span[0] + one.span[1]) / 2
    ends = (
        (one.prediction, 1, f"answer <b>{number(one.prediction)}</b>", ink(theme).text, "bottom"),
        (one.base, 0, f"average {number(one.base)}", ink(theme).muted, "bottom"),
    )
    for at, y, text, colour, anchor in ends:
        figure.add_annotation(
            x=at,
            y=y,
            xref=where["xaxis"],
            yref="paper",
            xanchor="right" if at > middle else "left",
            xshift=3
            if y == 1 and at > middle
            else -3
            if y == 1
            else 4 * (1 if at <= middle else -1),
            yanchor=anchor,
            text=text,
            showarrow=False,
            font={"size": 12, "color": colour},
        )


def plot_decision_paths(
    results: Sequence[DecisionPaths],
    styles: Styles | None = None,
    *,
    theme: Theme = "light",
) -> go.Figure:
    """Each line is a row on its way from the average answer, below, to its own, on top.

    Lines that end above the average are blue, below it orange; rows asked for are strong. A click
    gives the row (see `panels`).
    """
    models = [one.model for one in results]
    first, n = results[0], len(results)
    caption = caption_decision_paths(results)
    steps = ["average", "other features", *first.features][::-1]
    figure, axes = panels(
        theme,
        models,
        styles,
        features=shared_features(results),
        title=panels_title("How the answers build up", models),
        subtitle=f"{plural(first.n, 'path')}, of {plural(first.n_explained, 'explained row')}\n"
        "Read upwards; where lines part, the rows part",
        width=76,
        name="decision paths " + " ".join(models),
        alt=f"Decision paths of {plural(first.n, 'row')} for {plural(n, 'model')}. {caption}",
        caption=caption,
        height=60 + 26 * len(steps),
        xaxes=[span_axis(one.span, n) for one in results],
        x_title=[unit_title(one.space, one.output) for one in results],
        yaxis=feature_axis(steps, panel_letters(n)),
        hoverdistance=20,
    )
    looks = looks_of(models, styles)
    for k, (one, where, style) in enumerate(zip(results, axes, looks, strict=True)):
        _add_paths(figure, one, where, k, style, theme)
    return figure


def _mark_average(figure: go.Figure, x: float, where: dict[str, str], theme: Theme) -> None:
    """A dotted line where the average answer is."""
    figure.add_shape(
        type="line",
        x0=x,
        x1=x,
        y0=0,
        y1=1,
        xref=where["xaxis"],
        yref="paper",
        line={"color": ink(theme).rule, "width": 1.5, "dash": "dot"},
        layer="below",
    )


def _add_paths(
    figure: go.Figure,
    one: DecisionPaths,
    where: dict[str, str],
    model: int,
    style: ModelStyle,
    theme: Theme,
) -> None:
    n_steps = one.paths.shape[1]
    strong = np.isin(one.rows, one.highlight)
    rises = one.predictions >= one.paths[:, 0]
    alpha = 0.35 if one.n > 20 else 0.6
    groups = [
        ("rows that end lower", ~rises & ~strong, translucent(LOWERS, alpha), 1.2),
        ("rows that end higher", rises & ~strong, translucent(RAISES, alpha), 1.2),
        ("rows asked for", strong, ink(theme).text, 3),
    ]
    lines = np.arange(n_steps)[::-1]
    for name, mask, colour, width in groups:
        rows = np.flatnonzero(mask)
        if not len(rows):
            continue
        x = np.full((len(rows), n_steps + 1), np.nan, dtype=np.float32)
        x[:, :-1] = one.paths[rows]
        y = np.append(lines, np.nan).astype(np.float32)
        features = np.append(np.concatenate([[-1, -1], np.arange(len(one.features))]), -1)
        figure.add_trace(
            scatter(
                x=x.reshape(-1),
                y=np.tile(y, len(rows)),
                mode="lines+markers",
                connectgaps=False,
                line={"color": colour, "width": width},
                marker={"size": 5, "opacity": 0.01 if width < 2 else 1, "color": colour},
                customdata=marks_of(
                    np.repeat(one.rows[rows], n_steps + 1), np.tile(features, len(rows)), model
                ),
                text=_path_texts(one, rows),
                hovertemplate=f"Row %{{customdata[0]:,}}, <i>{brief(one.model)}</i>:<br>%{{text}}"
                "<br>the sum so far is %{x:,.3~g}.<extra></extra>",
                unselected={"marker": {"opacity": 0.01 if width < 2 else 1}},
                name=name,
                **where,
            )
        )
    _add_path_ends(figure, one, where, style, theme)


def _path_texts(one: DecisionPaths, rows: Any) -> list[str]:
    names = [brief(name, 24) for name in one.features]
    texts = []
    for k in rows.tolist():
        cells = [brief(cell, 20) for cell in one.cells[k]]
        texts += ["before any feature", f"after {plural(one.n_rest, 'other feature')}"]
        texts += [f"after {name} = {cell}" for name, cell in zip(names, cells, strict=True)]
        texts.append("")
    return texts


def _add_path_ends(
    figure: go.Figure, one: DecisionPaths, where: dict[str, str], style: ModelStyle, theme: Theme
) -> None:
    """Where the paths start, and the model's own answers at the top."""
    _mark_average(figure, float(one.paths[0, 0]), where, theme)
    figure.add_trace(
        scatter(
            x=one.predictions.astype(np.float32),
            y=np.zeros(one.n, dtype=np.float32),
            mode="markers",
            marker={
                "symbol": style.symbol,
                "size": 6,
                "color": style.colour,
                "line": {"color": ink(theme).page, "width": 0.5},
            },
            customdata=marks_of(one.rows, -1, model=0),
            hovertemplate=f"<i>{brief(one.model)}</i> answers %{{x:,.3~g}}<br>for row "
            "%{customdata[0]:,}.<extra></extra>",
            name="answers",
            **where,
        )
    )
