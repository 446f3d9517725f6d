"""The rows around one row: how different their values, their reasons and their answers are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ..diagnostics.attributions import in_unit
from ..wording import number, plural, shorten
from .attributions import heat_bar
from .drawn import Trace, scatter
from .panels import Styles, brief, marks_of, panels, panels_title, span_axis
from .theme import Theme, diverging_scale, ink

if TYPE_CHECKING:
    from ..diagnostics.neighbours import Neighbourhood

__all__ = ["caption_neighbours", "plot_neighbours"]

Mask = npt.NDArray[np.bool_]

HEIGHT = 300
COLOURBAR = 34


def plot_neighbours(
    results: Sequence[Neighbourhood],
    styles: Styles | None = None,
    *,
    theme: Theme = "light",
) -> go.Figure:
    """One panel a model: difference of values to the right, of reasons upwards, of answers in
    colour. The row itself is the lower left corner. A click gives the row (see `panels`)."""
    models = [one.model for one in results]
    first, n = results[0], len(results)
    caption = caption_neighbours(results)
    farthest = max(float(one.by_features.max()) for one in results)
    highest = max(float(one.by_reasons.max()) for one in results)
    alone = all(one.n == one.n_explained for one in results)
    drawn = "" if alone else f"; {first.n:,} drawn"
    figure, axes = panels(
        theme,
        models,
        styles,
        title=panels_title(f"Rows around row {first.row:,}", models),
        subtitle=f"{plural(first.n_explained, 'other explained row')} of {first.n_given:,}{drawn}\n"
        f"Circles: the {first.k} nearest in values. Diamonds: in reasons. Stars: in both",
        width=76,
        name=f"rows around {first.row} " + " ".join(models),
        alt=f"Rows around row {first.row:,} for {plural(n, 'model')}. {caption}",
        caption=caption,
        height=HEIGHT,
        below=COLOURBAR,
        xaxes=[span_axis((0.0, farthest), n, 0.05) for _ in results],
        x_title="How different the values are",
        yaxis={
            **span_axis((0.0, highest), 1, 0.05, most=5),
            "title": {"text": "How different the reasons are<br>(1 = as rows usually are)"},
        },
        hoverdistance=20,
    )
    limits = _limits(results)
    for k, (one, where) in enumerate(zip(results, axes, strict=True)):
        for name, mask, look in _kinds(one, theme):
            if mask.any():
                figure.add_trace(_dots(one, mask, k, limits[k], theme, where, name, look))
    _add_bar(figure, results, limits[0], theme)
    return figure


def _limits(results: Sequence[Neighbourhood]) -> list[float]:
    """The ends of the colours; one for all where the answers have one unit."""
    found = [float(np.abs(one.predictions - one.answer).max()) or 1.0 for one in results]
    return [max(found)] * len(found) if len({one.space for one in results}) == 1 else found


def _kinds(one: Neighbourhood, theme: Theme) -> list[tuple[str, Mask, dict[str, Any]]]:
    both = one.near_features & one.near_reasons
    edge = {"color": ink(theme).text, "width": 1.5}
    faint = {"color": ink(theme).rule, "width": 1}  # the middle of the colours is the page's own
    return [
        ("others", ~(one.near_features | one.near_reasons), _look("circle", 6, faint)),
        ("nearest in values", one.near_features & ~both, _look("circle", 10, edge)),
        ("nearest in reasons", one.near_reasons & ~both, _look("diamond", 10, edge)),
        ("nearest in both", both, _look("star", 14, edge)),
    ]


def _look(symbol: str, size: int, line: dict[str, Any]) -> dict[str, Any]:
    return {"symbol": symbol, "size": size, "line": line, "opacity": 1}


def _dots(
    one: Neighbourhood,
    mask: Mask,
    model: int,
    limit: float,
    theme: Theme,
    where: dict[str, str],
    name: str,
    look: dict[str, Any],
) -> Trace:
    unit = brief(in_unit(one.space, one.output))
    return scatter(
        x=one.by_features[mask].astype(np.float32),
        y=one.by_reasons[mask].astype(np.float32),
        mode="markers",
        marker={
            **look,
            "color": (one.predictions - one.answer)[mask].astype(np.float32),
            "colorscale": [list(stop) for stop in diverging_scale(theme)],
            "cmin": -limit,
            "cmax": limit,
        },
        text=[number(float(value)) for value in one.predictions[mask]],
        customdata=marks_of(one.rows[mask], -1, model),
        hovertemplate=f"<i>{brief(one.model)}</i> answers %{{text}} ({unit})<br>for row "
        f"%{{customdata[0]:,}}, and {number(one.answer)} for this one.<br>Values differ by "
        "%{x:.2~f} of 1, reasons by %{y:.2~f}<br>of what is usual.<extra></extra>",
        unselected={"marker": {"opacity": 1}},
        name=name,
        **where,
    )


def _add_bar(
    figure: go.Figure, results: Sequence[Neighbourhood], limit: float, theme: Theme
) -> None:
    """A bar of colours along the lower edge; models of different units have their own ends."""
    bar = heat_bar("answer beside this row's", -limit, limit)
    if len({one.space for one in results}) > 1:
        bar["ticktext"] = ["lower", "equal", "higher"]
    figure.add_trace(
        scatter(
            x=[None],
            y=[None],
            mode="markers",
            marker={
                "color": [0.0],
                "colorscale": [list(stop) for stop in diverging_scale(theme)],
                "cmin": -limit,
                "cmax": limit,
                "showscale": True,
                "colorbar": bar,
            },
            hoverinfo="skip",
            name="colours",
        )
    )


def caption_neighbours(results: Sequence[Neighbourhood]) -> str:
    """How the nearest rows are answered, and how many are near in both ways."""
    parts = []
    for one in results:
        near = one.predictions[one.near_features]
        low, high = number(float(near.min())), number(float(near.max()))
        answers = low if low == high else f"{low} to {high}"
        both = int((one.near_features & one.near_reasons).sum())
        parts.append(
            f"{shorten(one.model, 44)} answers {number(one.answer)} here and {answers} for the "
            f"{plural(one.k, 'row')} nearest in values, of which {both or 'none'} "
            f"{'is' if both == 1 else 'are'} among the nearest in reasons too"
        )
    return f"{'. '.join(parts)}."
