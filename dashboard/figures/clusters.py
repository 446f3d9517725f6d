"""Rows in the order of their explanation, as a heat map: groups that are explained alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ..diagnostics.attributions import the_unit
from ..wording import count, plural
from .attribution_captions import caption_clusters, rows_note
from .attributions import heat, heat_bar
from .drawn import scatter
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
)
from .theme import Theme, diverging_scale, ink
from .waterfalls import signed

if TYPE_CHECKING:
    from ..diagnostics.clusters import ExplanationClusters

__all__ = ["plot_clusters"]

Floats = npt.NDArray[np.floating[Any]]

PITCH = 28
COLOURBAR = 34
MOST_COLUMNS = 320  # more rows share a column


def plot_clusters(
    results: Sequence[ExplanationClusters],
    styles: Styles | None = None,
    *,
    theme: Theme = "light",
    selected: int | None = None,
) -> go.Figure:
    """Rows across, ordered so that rows explained alike stand together; features downwards.

    Blue raises the answer, orange lowers it; thin lines part the groups. A click gives a row and
    a feature (see `panels`); `selected` is marked by a line.
    """
    models = [one.model for one in results]
    first, n = results[0], len(results)
    caption = caption_clusters(results)
    drawn = "" if first.n == first.n_explained else f", {count(first.n_explained)} are explained"
    figure, axes = panels(
        theme,
        models,
        styles,
        features=shared_features(results),
        title=panels_title("Rows that are explained alike", models),
        subtitle=f"{rows_note(results)}{drawn}\n"
        "Each column is a row; blue raises the answer, orange lowers it",
        width=76,
        name="explanation groups " + " ".join(models),
        alt=f"Rows of {plural(n, 'model')} clustered by explanation. {caption}",
        caption=caption,
        height=50 + PITCH * len(first.features),
        below=COLOURBAR,
        xaxes=[_row_axis(one) for one in results],
        x_title="Rows, grouped by explanation",
        yaxis=feature_axis(first.features, panel_letters(n), showgrid=False),
        hoverdistance=-1,
    )
    for k, (one, where) in enumerate(zip(results, axes, strict=True)):
        _add_clusters(figure, one, where, k, theme)
        if selected is not None:
            _mark_row(figure, one, selected, where, theme)
    return figure


def _row_axis(one: ExplanationClusters) -> dict[str, Any]:
    middles = [(group.start + group.stop) / 2 for group in one.groups]
    wide = [group.n >= 0.06 * one.n for group in one.groups]
    return {
        "range": [-0.5, one.n - 0.5],
        "tickmode": "array",
        "tickvals": [at for at, keep in zip(middles, wide, strict=True) if keep],
        "ticktext": [str(k + 1) for k, keep in enumerate(wide) if keep],
        "tickangle": 0,
        "ticks": "",
        "showgrid": False,
    }


def _add_clusters(
    figure: go.Figure, one: ExplanationClusters, where: dict[str, str], model: int, theme: Theme
) -> None:
    z, starts = _merged(one.values)
    width = one.n / z.shape[0]
    x = starts + (np.append(starts[1:], one.n) - starts) / 2 - 0.5
    limit = one.limit or 1.0
    figure.add_trace(
        heat(
            z.T,
            (-limit, limit),
            diverging_scale(theme),
            where,
            x=x.astype(np.float32),
            showscale=model == 0,
            colorbar=heat_bar(
                f"adds to {brief(the_unit(one.space, one.output), 30)}", -limit, limit
            ),
            hoverongaps=False,
            name="values",
        )
    )
    for group in one.groups[1:]:
        figure.add_vline(
            x=group.start - 0.5,
            xref=where["xaxis"],
            line={"color": ink(theme).text, "width": 1.5},
        )
    _add_cluster_targets(figure, one, where, model, theme, max(width, 1.0))


def _merged(values: Floats) -> tuple[Floats, npt.NDArray[np.integer[Any]]]:
    """At most so many columns; neighbours, which are alike, share one: their mean."""
    n = len(values)
    starts = np.unique(np.linspace(0, n, min(n, MOST_COLUMNS) + 1).astype(np.int64)[:-1])
    sums = np.add.reduceat(values, starts, axis=0)
    sizes = np.diff(np.append(starts, n))
    return sums / sizes[:, None], starts


def _add_cluster_targets(
    figure: go.Figure,
    one: ExplanationClusters,
    where: dict[str, str],
    model: int,
    theme: Theme,
    width: float,
) -> None:
    """At most 60 × features near-invisible marks, each on the middle row of its stretch."""
    steps = np.unique(np.linspace(0, one.n - 1, min(one.n, 60)).astype(np.int64))
    n_features = len(one.features)
    at = np.repeat(steps, n_features)
    feature = np.tile(np.arange(n_features), len(steps))
    values = one.values[at, feature]
    kept = np.isfinite(values)
    at, feature, values = at[kept], feature[kept], values[kept]
    names = [brief(name, 30) for name in one.features]
    unit = brief(the_unit(one.space, one.output))
    size = float(np.clip(600 / len(steps), 8, 20))
    figure.add_trace(
        scatter(
            x=at.astype(np.float32),
            y=feature.astype(np.float32),
            mode="markers",
            text=[
                f"<i>{names[k]}</i> adds {signed(value)}, group {_group_of(one, place)}"
                for place, k, value in zip(
                    at.tolist(), feature.tolist(), values.tolist(), strict=True
                )
            ],
            customdata=marks_of(one.rows[at], feature, model),
            hovertemplate=f"Row %{{customdata[0]:,}}: %{{text}}<br>to {unit} of "
            f"<i>{brief(one.model)}</i>.<extra></extra>",
            name="cells",
            **{**add_targets_style(theme, size), **where},
        )
    )


def _group_of(one: ExplanationClusters, place: int) -> int:
    return next(k for k, group in enumerate(one.groups, 1) if place < group.stop)


def _mark_row(
    figure: go.Figure, one: ExplanationClusters, row: int, where: dict[str, str], theme: Theme
) -> None:
    for at in np.flatnonzero(one.rows == row):
        figure.add_vline(
            x=float(at),
            xref=where["xaxis"],
            line={"color": ink(theme).text, "width": 2, "dash": "dot"},
        )
