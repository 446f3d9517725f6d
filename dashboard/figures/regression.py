"""Regression: predictions against the truth, and what is left over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ..captions import caption_fit, caption_residual_spread, caption_residuals
from ..wording import count, number, percent, plural, shorten
from .canvas import (
    SMALL_AXIS,
    axis,
    canvas,
    few_ticks,
    lying_colorbar,
    model_title,
    models_title,
    note,
    reference_line,
)
from .drawn import heatmap, scatter
from .theme import ModelStyle, Theme, escape, ink, label, sequential_scale, style_for, style_of

if TYPE_CHECKING:
    from ..diagnostics.regression import RegressionFit

__all__ = [
    "common_limits",
    "plot_predicted_actual",
    "plot_residual_histogram",
    "plot_residuals",
    "residual_limits",
]

Range = tuple[float, float]
Array = npt.NDArray[Any]

MAX_POINTS = 4_000  # beyond that, density
DENSITY_BINS = 60
COLOURBAR = 40  # pixels below a density


def _padded(low: float, high: float) -> Range:
    air = 0.03 * ((high - low) or abs(high) or 1.0)
    return low - air, high + air


def common_limits(fits: Sequence[RegressionFit]) -> Range:
    """One range that holds every true and predicted value, for axes aligned over models."""
    kept = [fit for fit in fits if fit.n]
    if not kept:
        return 0.0, 1.0
    values = [f(x) for fit in kept for x in (fit.y_true, fit.y_pred) for f in (np.min, np.max)]
    return _padded(float(min(values)), float(max(values)))


def residual_limits(fits: Sequence[RegressionFit]) -> Range:
    """One range, symmetric around zero, that holds every residual of these models."""
    widest = max((float(np.max(np.abs(fit.residual))) for fit in fits if fit.n), default=1.0)
    return _padded(-(widest or 1.0), widest or 1.0)


def _with_unit(text: str, unit: str) -> str:
    return f"{text} ({shorten(unit, 10)})" if unit else text


def _across(word: str, fit: RegressionFit, unit: str, **options: Any) -> dict[str, Any]:
    """The axis below the drawing: its title in short lines, long names cut in the middle."""
    what = _what(fit)
    lines = [f"{word} {what}"]
    if len(lines[0]) > SMALL_AXIS:
        lines = [word, shorten(what, SMALL_AXIS)]
    if unit:
        lines.append(f"({shorten(unit, SMALL_AXIS - 2)})")
    text = "<br>".join(escape(line) for line in lines)
    return {"title": {"text": text}, **options, **few_ticks(*options["range"])}


def _upwards(word: str, fit: RegressionFit, unit: str, **options: Any) -> dict[str, Any]:
    return axis(_with_unit(f"{word} {shorten(_what(fit), 16)}", unit), **options)


def _what(fit: RegressionFit) -> str:
    return str(fit.output) if getattr(fit, "output", None) else "value"


def _add_points(
    figure: go.Figure, x: Array, y: Array, sentences: list[str], style: ModelStyle
) -> None:
    figure.add_trace(
        scatter(
            x=np.asarray(x, dtype=np.float32),
            y=np.asarray(y, dtype=np.float32),
            mode="markers",
            marker={
                "symbol": style.symbol,
                "size": 6 if len(x) < 1_000 else 4,
                "color": style.colour,
                "opacity": 0.9 if len(x) < 1_000 else 0.6,
            },
            text=sentences,
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
            name="rows",
        )
    )


def _add_density(
    figure: go.Figure,
    x: Array,
    y: Array,
    weight: Array | None,
    ranges: tuple[Range, Range],
    theme: Theme,
) -> None:
    """Rows per tile on a logarithmic ramp; a tile without rows stays the page's colour."""
    counts, across, up = np.histogram2d(x, y, bins=DENSITY_BINS, range=ranges, weights=weight)
    tiles = counts.T.astype(np.float32)
    shown = np.log10(tiles, out=np.full_like(tiles, np.nan), where=tiles > 0)
    scale = sequential_scale(theme)[2:]
    stops = [[k / (len(scale) - 1), colour] for k, (_, colour) in enumerate(scale)]
    top = int(np.nanmax(shown)) + 1 if np.isfinite(shown).any() else 1
    figure.add_trace(
        heatmap(
            x=np.asarray((across[:-1] + across[1:]) / 2, dtype=np.float32),
            y=np.asarray((up[:-1] + up[1:]) / 2, dtype=np.float32),
            z=shown.astype(np.float32),
            customdata=tiles,
            colorscale=stops,
            colorbar=lying_colorbar(
                title={"text": " rows", "side": "right", "font": {"size": 12}},
                tickvals=list(range(top + 1)),
                ticktext=[count(10**k) for k in range(top + 1)],
            ),
            hovertemplate="%{customdata:,} rows near %{x:,.3~s}, %{y:,.3~s}.<extra></extra>",
            hoverongaps=False,
            name="density",
        )
    )


def _dense(fit: RegressionFit) -> bool:
    return bool(fit.n > MAX_POINTS)


def _rows_note(fit: RegressionFit) -> str:
    return f"{plural(fit.n, 'row')}{', density' if _dense(fit) else ''}"


def _fit_sentences(fit: RegressionFit, unit: str) -> list[str]:
    name, unit = escape(fit.model), escape(unit)
    return [
        f"<i>{name}</i> predicts {number(p, unit=unit)} where the truth is "
        f"{number(t, unit=unit)}:<br>{number(abs(p - t), unit=unit)} too "
        f"{'high' if p >= t else 'low'}."
        for t, p in zip(fit.y_true.tolist(), fit.y_pred.tolist(), strict=True)
    ]


def plot_predicted_actual(
    fit: RegressionFit,
    *,
    style: ModelStyle | None = None,
    theme: Theme = "light",
    limits: Range | None = None,
    unit: str = "",
) -> go.Figure:
    """Predicted against actual values with the line of perfect answers; density when many.

    `limits`: range of both axes, to align several models; see `common_limits`.
    """
    span = limits or common_limits([fit])
    caption = caption_fit(fit, unit)
    figure = canvas(
        theme,
        title=model_title(fit.model, style),
        subtitle=f"Predicted against actual\n{_rows_note(fit)}",
        small=True,
        below=COLOURBAR if _dense(fit) else 0,
        name=f"predicted actual {fit.model}",
        alt=f"Predicted against actual values of {fit.model}. {caption}",
        caption=caption,
        height=330,
        xaxis=_across("Actual", fit, unit, range=span),
        yaxis=_upwards("Predicted", fit, unit, range=span),
    )
    if _dense(fit):
        _add_density(figure, fit.y_true, fit.y_pred, fit.sample_weight, (span, span), theme)
    else:
        sentences = _fit_sentences(fit, unit)
        _add_points(figure, fit.y_true, fit.y_pred, sentences, style or style_of(0))
    figure.add_trace(reference_line(span, span, theme, name="identity"))
    return figure


def plot_residuals(
    fit: RegressionFit,
    *,
    style: ModelStyle | None = None,
    theme: Theme = "light",
    x_range: Range | None = None,
    y_range: Range | None = None,
    unit: str = "",
) -> go.Figure:
    """Residual (predicted − actual) against predicted value with the zero line."""
    x_span, y_span = x_range or common_limits([fit]), y_range or residual_limits([fit])
    caption = caption_residuals(fit, unit)
    figure = canvas(
        theme,
        title=model_title(fit.model, style),
        subtitle=f"Residual by prediction\n{_rows_note(fit)}",
        small=True,
        below=COLOURBAR if _dense(fit) else 0,
        name=f"residuals {fit.model}",
        alt=f"Residuals of {fit.model} against its predictions. {caption}",
        caption=caption,
        height=330,
        xaxis=_across("Predicted", fit, unit, range=x_span),
        yaxis=axis(_with_unit("Residual: predicted − actual", unit), range=y_span),
    )
    if _dense(fit):
        _add_density(figure, fit.y_pred, fit.residual, fit.sample_weight, (x_span, y_span), theme)
    else:
        sentences = _fit_sentences(fit, unit)
        _add_points(figure, fit.y_pred, fit.residual, sentences, style or style_of(0))
    figure.add_trace(reference_line(x_span, [0, 0], theme, name="zero"))
    for place, words in ((y_span[1], "too high"), (y_span[0], "too low")):
        anchor = "top" if words == "too high" else "bottom"
        text = note(x_span[1], place, words, theme, xanchor="right", yanchor=anchor)
        figure.add_annotation(text)
    return figure


def _shared_edges(fits: Sequence[RegressionFit], n_bins: int) -> Array:
    """Equal bins over the middle 99 % of all residuals; the ends take the rest."""
    pooled = np.concatenate([fit.residual for fit in fits]) if fits else np.zeros(1)
    low, high = np.quantile(pooled, [0.005, 0.995]) if len(pooled) else (-1.0, 1.0)
    widest = max(abs(float(low)), abs(float(high))) or 1.0
    return np.linspace(-widest, widest, n_bins + 1)


def plot_residual_histogram(
    fits: Sequence[RegressionFit],
    styles: Mapping[str, ModelStyle] | None = None,
    *,
    theme: Theme = "light",
    n_bins: int = 41,
    unit: str = "",
) -> go.Figure:
    """Residuals of all models over the same bins, each summing to 1."""
    edges = _shared_edges(fits, n_bins)
    caption = caption_residual_spread(fits, unit)
    figure = canvas(
        theme,
        title=models_title("Residuals", [fit.model for fit in fits]),
        subtitle=f"{plural(max((fit.n for fit in fits), default=0), 'row')}. "
        "The outer bins hold all beyond them",
        name="residual histogram " + " ".join(fit.model for fit in fits),
        alt=f"Histogram of residuals of {plural(len(fits), 'model')}. {caption}",
        caption=caption,
        height=310,
        legend_rows=len(fits),
        xaxis=axis(_with_unit("Residual: predicted − actual", unit)),
        yaxis=axis("Share of rows in each bin", tickformat=".0%", rangemode="tozero"),
    )
    figure.add_vline(x=0, line={"color": ink(theme).rule, "dash": "dot", "width": 1.5})
    for k, fit in enumerate(fits):
        _add_steps(figure, fit, edges, style_for(styles, fit.model, k), unit)
    return figure


def _add_steps(
    figure: go.Figure, fit: RegressionFit, edges: Array, style: ModelStyle, unit: str
) -> None:
    counts, _ = fit.histogram(edges=edges)
    shares = counts / (counts.sum() or 1)
    middles = (edges[:-1] + edges[1:]) / 2
    sentences = [
        f"{percent(share)} of the predictions of <i>{escape(fit.model)}</i><br>are off by "
        f"{number(a)} to {number(b, unit=escape(unit))}."
        for share, a, b in zip(shares, edges[:-1], edges[1:], strict=True)
    ]
    figure.add_trace(
        scatter(
            x=np.asarray(middles, dtype=np.float32),
            y=np.asarray(shares, dtype=np.float32),
            mode="lines",
            line={**style.line, "shape": "hvh"},
            name=label(fit.model),
            legendgroup=fit.model,
            text=sentences,
            hovertemplate="%{text}<extra></extra>",
        )
    )
