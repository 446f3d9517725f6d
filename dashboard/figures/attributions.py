"""Attributions as heat maps and dots: classes, cohorts, pairs of features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ..contracts import OutputSpace
from ..diagnostics.attributions import in_unit, the_unit
from ..wording import count, number, percent, plural, shorten, shorten_all
from .attribution_captions import (
    caption_by_class,
    caption_cohorts,
    caption_interactions,
    rows_note,
)
from .canvas import lying_colorbar
from .drawn import Trace, heatmap, scatter
from .panels import (
    PANEL_WIDTHS,
    Styles,
    add_targets_style,
    brief,
    feature_axis,
    looks_of,
    marks_of,
    panel_letters,
    panels,
    panels_title,
    shared_features,
    span_axis,
    zero_line,
)
from .theme import (
    ModelStyle,
    Theme,
    escape,
    ink,
    sequential_scale,
    text_on,
    translucent,
)
from .waterfalls import signed

if TYPE_CHECKING:
    from ..diagnostics.cohorts import ClassAttributions, CohortComparison
    from ..diagnostics.interactions import InteractionMatrix

__all__ = ["heat", "heat_bar", "plot_by_class", "plot_cohorts", "plot_interactions"]

Floats = npt.NDArray[np.floating[Any]]
Scale = tuple[tuple[float, str], ...]

PITCH = 28
COLOURBAR = 34


def heat(
    z: Floats, limits: tuple[float, float], scale: Scale, where: dict[str, str], **more: Any
) -> Trace:
    """Cells in one panel; marks that answer the mouse lie over them."""
    return heatmap(
        z=z.astype(np.float32),
        zmin=limits[0],
        zmax=limits[1],
        colorscale=[list(stop) for stop in scale],
        hoverinfo="skip",
        **where,
        **more,
    )


def heat_bar(title: str, low: float, high: float, **more: Any) -> dict[str, Any]:
    """The bar of colours of a heat map, with its ends and middle; `title` is ready for Plotly."""
    words = {"text": f" {title}", "side": "right", "font": {"size": 12}}
    places = [low, (low + high) / 2, high]
    texts = [number(at, 2) for at in places]
    return lying_colorbar(
        title=words, tickvals=places, ticktext=texts, len=300, tickangle=0, **more
    )


# ---- classes -----------------------------------------------------------------------------------


def plot_by_class(
    results: Sequence[ClassAttributions],
    styles: Styles | None = None,
    *,
    theme: Theme = "light",
) -> go.Figure:
    """Features downwards, classes across: how far each feature moves each class's answer."""
    models = [one.model for one in results]
    first, n = results[0], len(results)
    caption = caption_by_class(results)
    figure, axes = panels(
        theme,
        models,
        styles,
        features=shared_features(results),
        title=panels_title("What moves the answer for each class", models),
        subtitle=f"{rows_note(results)}\nMean size of the values, whatever their direction",
        width=76,
        name="by class " + " ".join(models),
        alt=f"Mean size of attributions by class for {plural(n, 'model')}. {caption}",
        caption=caption,
        height=60 + PITCH * len(first.features),
        below=COLOURBAR,
        xaxes=[_class_axis(one, n) for one in results],
        x_title="Class",
        yaxis=feature_axis(first.features, panel_letters(n), showgrid=False),
        hoverdistance=-1,
    )
    for k, (one, where) in enumerate(zip(results, axes, strict=True)):
        limit = one.limit or 1.0
        figure.add_trace(
            heat(
                one.values,
                (0.0, limit),
                sequential_scale(theme),
                where,
                showscale=k == 0,
                colorbar=heat_bar(f"mean size, {escape(one.space.value)}", 0.0, limit),
                xgap=1,
                ygap=1,
                name="values",
            )
        )
        texts = [[number(v, 2) if np.isfinite(v) else "" for v in row] for row in one.values]
        if PANEL_WIDTHS[n - 1] / max(1, len(one.outputs)) >= 40:
            _add_texts(figure, texts, one.values / limit, sequential_scale(theme), where)
        _add_class_targets(figure, one, where, k, theme)
    return figure


def _class_axis(one: ClassAttributions, n: int) -> dict[str, Any]:
    k = len(one.outputs)
    room = PANEL_WIDTHS[n - 1] / max(1, k)
    names = shorten_all([str(name) for name in one.outputs], 12)
    level = max(map(len, names)) * 7 <= room
    step = max(1, int(np.ceil(13 / room)))
    return {
        "range": [-0.5, k - 0.5],
        "tickmode": "array",
        "tickvals": list(range(0, k, step)),
        "ticktext": [escape(name) for name in names[::step]],
        "tickangle": 0 if level else -90,
        "ticks": "",
        "showgrid": False,
    }


def _add_texts(
    figure: go.Figure, texts: list[list[str]], share: Floats, scale: Scale, where: dict[str, str]
) -> None:
    """Numbers on the cells, dark or light, whichever reads better."""
    for i, row in enumerate(texts):
        for j, text in enumerate(row):
            if text:
                figure.add_annotation(
                    x=j,
                    y=i,
                    xref=where["xaxis"],
                    yref="y",
                    text=text,
                    showarrow=False,
                    font={"size": 11, "color": text_on(scale, float(np.nan_to_num(share[i, j])))},
                )


def _add_class_targets(
    figure: go.Figure, one: ClassAttributions, where: dict[str, str], model: int, theme: Theme
) -> None:
    i, j = np.nonzero(np.isfinite(one.values))
    names = [brief(name, 30) for name in one.features]
    outputs = [brief(name, 20) for name in one.outputs]
    figure.add_trace(
        scatter(
            x=j.astype(np.float32),
            y=i.astype(np.float32),
            mode="markers",
            text=[
                f"<i>{names[a]}</i> moves the {one.space.value} of <i>{outputs[b]}</i> by "
                f"{number(one.values[a, b])} on average<br>"
                f"({percent(one.level)} interval {number(one.low[a, b])} to "
                f"{number(one.high[a, b])})"
                for a, b in zip(i.tolist(), j.tolist(), strict=True)
            ],
            customdata=marks_of(-1, i, model),
            hovertemplate=f"%{{text}}, says <i>{brief(one.model)}</i>.<extra></extra>",
            name="cells",
            **{**add_targets_style(theme, 18), **where},
        )
    )


# ---- cohorts -----------------------------------------------------------------------------------


def plot_cohorts(
    results: Sequence[CohortComparison],
    styles: Styles | None = None,
    *,
    theme: Theme = "light",
) -> go.Figure:
    """Mean value of each feature in the cohort (filled) and in the rest (hollow), joined.

    Strong joins are differences whose interval leaves zero out. A click gives the feature.
    """
    models = [one.model for one in results]
    first, n = results[0], len(results)
    caption = caption_cohorts(results)
    figure, axes = panels(
        theme,
        models,
        styles,
        features=shared_features(results),
        title=panels_title(f"{_upper(shorten(first.name, 48))} beside the rest", models),
        subtitle=f"{plural(first.n_cohort, 'row')} (filled) beside {count(first.n_rest)} (hollow), "
        f"{rows_note(results)}\nWhiskers: "
        f"{percent(first.level)} interval of the difference; bold where it leaves zero out",
        width=76,
        name=f"cohort {first.name} " + " ".join(models),
        alt=f"Mean attributions of {first.name} and of the rest for {plural(n, 'model')}. "
        f"{caption}",
        caption=caption,
        height=50 + PITCH * len(first.features),
        xaxes=[{**span_axis(one.span, n), **zero_line(theme)} for one in results],
        x_title=[f"Adds to {the_unit(one.space, one.output)}, mean" for one in results],
        yaxis=feature_axis(first.features, panel_letters(n)),
        hoverdistance=30,
    )
    looks = looks_of(models, styles)
    for k, (one, where, style) in enumerate(zip(results, axes, looks, strict=True)):
        _add_cohort(figure, one, where, k, style, theme)
    return figure


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _add_cohort(
    figure: go.Figure,
    one: CohortComparison,
    where: dict[str, str],
    model: int,
    style: ModelStyle,
    theme: Theme,
) -> None:
    for strong in (False, True):
        rows = np.flatnonzero((one.clear == strong) & np.isfinite(one.difference))
        x = np.column_stack([one.rest[rows], one.cohort[rows], np.full(len(rows), np.nan)])
        figure.add_trace(
            scatter(
                x=x.reshape(-1).astype(np.float32),
                y=np.repeat(rows, 3).astype(np.float32),
                mode="lines",
                line={
                    "color": style.colour if strong else ink(theme).rule,
                    "width": 4 if strong else 1.5,
                },
                hoverinfo="skip",
                name="clear" if strong else "not clear",
                **where,
            )
        )
    known = np.flatnonzero(np.isfinite(one.difference))
    for name, values, filled in (("rest", one.rest, False), ("cohort", one.cohort, True)):
        figure.add_trace(
            scatter(
                x=values[known].astype(np.float32),
                y=known.astype(np.float32),
                mode="markers",
                marker={
                    "symbol": style.symbol,
                    "size": 10,
                    "color": style.colour if filled else ink(theme).page,
                    "line": {"color": style.colour, "width": 2},
                },
                error_x={
                    "type": "data",
                    "array": (one.high - one.difference)[known].astype(np.float32),
                    "color": ink(theme).text,
                    "thickness": 1,
                    "width": 3,
                    "visible": filled,
                },
                text=[_cohort_text(one, int(k)) for k in known],
                customdata=marks_of(-1, known, model),
                hovertemplate="%{text}<extra></extra>",
                unselected={"marker": {"opacity": 1}},
                name=name,
                **where,
            )
        )


def _cohort_text(one: CohortComparison, k: int) -> str:
    return (
        f"<i>{brief(one.features[k], 30)}</i> adds {signed(one.cohort[k])} for "
        f"{brief(one.name, 30)},<br>{signed(one.rest[k])} for the rest: "
        f"{signed(one.difference[k])}<br>({percent(one.level)} interval {number(one.low[k])} to "
        f"{number(one.high[k])}), says <i>{brief(one.model)}</i>."
    )


# ---- pairs -------------------------------------------------------------------------------------


def plot_interactions(
    matrices: Sequence[InteractionMatrix],
    styles: Styles | None = None,
    *,
    theme: Theme = "light",
) -> go.Figure:
    """Features against features; the diagonal, where it is known, is a feature on its own.

    A click gives the feature downwards and the one across.
    """
    models = [one.model for one in matrices]
    first, n = matrices[0], len(matrices)
    caption = caption_interactions(matrices)
    what = (
        "Mean size of what the pair does beyond each alone; on the diagonal each alone"
        if first.exact
        else "Share of one's spread at equal value that the other explains: a hint, not an amount"
    )
    figure, axes = panels(
        theme,
        models,
        styles,
        features=shared_features(matrices),
        title=panels_title("Which features work together", models),
        subtitle=f"{rows_note(matrices)}\n{what}",
        width=84,
        name="interactions " + " ".join(models),
        alt=f"Pairs of features that work together, for {plural(n, 'model')}. {caption}",
        caption=caption,
        height=130 + PITCH * len(first.features),
        below=COLOURBAR,
        xaxes=[_pair_axis(one, n) for one in matrices],
        x_title="with",
        yaxis=feature_axis(first.features, panel_letters(n), showgrid=False),
        hoverdistance=-1,
    )
    for k, (one, where) in enumerate(zip(matrices, axes, strict=True)):
        _add_pairs(figure, one, where, k, n, theme)
        _add_pair_targets(figure, one, where, k, theme)
    return figure


def _add_pairs(
    figure: go.Figure,
    one: InteractionMatrix,
    where: dict[str, str],
    model: int,
    n: int,
    theme: Theme,
) -> None:
    """Pairs in colour. The diagonal is another quantity: a number in a frame, without colour."""
    limit, alone = one.limit or 1.0, np.eye(len(one.features), dtype=bool)
    unit = in_unit(one.space, one.output) if one.space is OutputSpace.TARGET else one.space.value
    title = f"mean size, {escape(unit)}" if one.exact else "share explained"
    scale = sequential_scale(theme)
    z = np.where(alone, np.nan, one.values)
    figure.add_trace(
        heat(
            z,
            (0.0, limit),
            scale,
            where,
            showscale=model == 0,
            colorbar=heat_bar(title, 0.0, limit),
            xgap=1,
            ygap=1,
            hoverongaps=False,
            name="pairs",
        )
    )
    if PANEL_WIDTHS[n - 1] / max(1, len(one.features)) >= 40:
        show = np.isfinite(one.values) & (one.values >= 0.005 * limit)
        texts = [
            [number(v, 2) if keep else "" for v, keep in zip(row, keeps, strict=True)]
            for row, keeps in zip(one.values, show, strict=True)
        ]
        _add_texts(figure, texts, z / limit, scale, where)
    _frame_diagonal(figure, one, where, theme)


def _pair_axis(one: InteractionMatrix, n: int) -> dict[str, Any]:
    f = len(one.features)
    names = shorten_all(list(one.features), 14)
    level = max(map(len, names), default=0) * 7 <= PANEL_WIDTHS[n - 1] / max(1, f)
    return {
        "range": [-0.5, f - 0.5],
        "tickmode": "array",
        "tickvals": list(range(f)),
        "ticktext": [escape(name) for name in names],
        "tickangle": 0 if level else -90,
        "ticks": "",
        "showgrid": False,
    }


def _frame_diagonal(
    figure: go.Figure, one: InteractionMatrix, where: dict[str, str], theme: Theme
) -> None:
    """The diagonal is another quantity: framed where it is known, so that it is not compared."""
    for k in range(len(one.features)):
        figure.add_shape(
            type="rect",
            x0=k - 0.5,
            x1=k + 0.5,
            y0=k - 0.5,
            y1=k + 0.5,
            xref=where["xaxis"],
            yref="y",
            line={"color": translucent(ink(theme).rule, 0.9), "width": 1},
        )


def _add_pair_targets(
    figure: go.Figure, one: InteractionMatrix, where: dict[str, str], model: int, theme: Theme
) -> None:
    i, j = np.nonzero(np.isfinite(one.values))
    names = [brief(name, 30) for name in one.features]
    texts = [
        _pair_text(one, names[a], names[b], float(one.values[a, b]), alone=a == b)
        for a, b in zip(i.tolist(), j.tolist(), strict=True)
    ]
    figure.add_trace(
        scatter(
            x=j.astype(np.float32),
            y=i.astype(np.float32),
            mode="markers",
            text=texts,
            customdata=[[*mark, int(b)] for mark, b in zip(marks_of(-1, i, model), j, strict=True)],
            hovertemplate=f"%{{text}}<br>in <i>{brief(one.model)}</i>.<extra></extra>",
            name="cells",
            **{**add_targets_style(theme, 18), **where},
        )
    )


def _pair_text(one: InteractionMatrix, first: str, second: str, value: float, alone: bool) -> str:
    if not one.exact:
        return (
            f"Of rows of equal <i>{first}</i> (or the reverse), <i>{second}</i><br>explains "
            f"{escape(percent(value))} of what still differs"
        )
    unit = brief(the_unit(one.space, one.output))
    if alone:
        return f"<i>{first}</i> alone moves {unit}<br>by {number(value)} on average"
    return (
        f"<i>{first}</i> and <i>{second}</i> together move {unit}<br>by {number(value)} on "
        "average, beyond what each does alone"
    )
