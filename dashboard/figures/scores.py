"""Scores: how they are spread by class, and what metrics do along the threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ..captions import caption_score_distribution
from ..errors import ParameterError
from ..wording import count, listing, number, percent, plural, threshold
from .canvas import (
    SHARE_TICKS,
    axis,
    canvas,
    columns,
    few_ticks,
    model_title,
    models_title,
    note,
    threshold_texts,
)
from .theme import (
    ModelStyle,
    Theme,
    class_style,
    escape,
    ink,
    label,
    style_for,
    translucent,
)

if TYPE_CHECKING:
    from ..diagnostics.curves import ScoreDistribution
    from ..diagnostics.thresholds import ThresholdTable

__all__ = ["plot_metric_by_threshold", "plot_score_distribution", "score_ranges"]

Range = tuple[float, float]
Array = npt.NDArray[Any]
Trace = dict[str, Any]


def plot_score_distribution(
    distribution: ScoreDistribution,
    *,
    style: ModelStyle | None = None,
    theme: Theme = "light",
    x_range: Range | None = None,
    y_range: Range | None = None,
) -> go.Figure:
    """Scores of one model by true class, each class summing to 1, with the threshold.

    `x_range` and `y_range` align several models: see `score_ranges`.
    """
    edges = np.asarray(distribution.edges, dtype=float)
    shares = distribution.density
    caption = caption_score_distribution(distribution)
    span = x_range or (float(edges[0]), float(edges[-1]))
    at = distribution.threshold
    marks = _mark(at, (edges[0], edges[-1]), theme) if at is not None and math.isfinite(at) else {}
    if theme not in distribution.memo:
        distribution.memo[theme] = [
            trace
            for k, name in enumerate(distribution.labels)
            for trace in _class(str(name), edges, distribution.counts[k], shares[k], k, theme)
        ]
    return canvas(
        theme,
        title=model_title(distribution.model, style),
        subtitle=f"Scores by true class\n{plural(distribution.n, 'row')}",
        small=True,
        name=f"scores {distribution.model}",
        alt=f"Score distributions of {distribution.model}. {caption}",
        caption=caption,
        height=270,
        xaxis=axis("Score", range=list(span), **few_ticks(*span)),
        yaxis=axis(
            "Share of the class",
            tickformat=".0%",
            range=list(y_range or ()) or None,
            rangemode="tozero",
        ),
        barmode="overlay",
        bargap=0,
        legend_rows=len(distribution.labels),
        data=distribution.memo[theme],
        **marks,
    )


def _class(
    name: str, edges: Array, counts: Array, shares: Array, k: int, theme: Theme
) -> list[Trace]:
    """Bars for the hover and the fill, a stepped outline for the eye."""
    look = class_style(k, theme)
    total = float(np.sum(counts))
    sentences = [
        f"{percent(share)} of <i>{escape(name)}</i> ({count(n)} of {count(total)})<br>"
        f"score from {number(a)} to {number(b)}."
        for share, n, a, b in zip(shares, counts, edges[:-1], edges[1:], strict=True)
    ]
    bars = {
        "type": "bar",
        "x": np.asarray((edges[:-1] + edges[1:]) / 2, dtype=np.float32),
        "width": np.asarray(np.diff(edges), dtype=np.float32),
        "y": np.asarray(shares, dtype=np.float32),
        "marker": {"color": translucent(look.fill, 0.55), "line": {"width": 0}},
        "name": label(name),
        "legendgroup": name,
        "showlegend": False,
        "text": sentences,
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
    }
    outline = {
        "type": "scatter",
        "x": np.asarray(edges, dtype=np.float32),
        "y": np.asarray([*shares, shares[-1] if len(shares) else 0], dtype=np.float32),
        "mode": "lines",
        "line": {"shape": "hv", "color": look.line, "width": 2, "dash": look.dash},
        "name": f"{label(name, 13)} ({count(total)})",
        "legendgroup": name,
        "hoverinfo": "skip",
    }
    return [bars, outline]


def _mark(value: float, span: Range, theme: Theme) -> dict[str, Any]:
    """The threshold: a line over the whole height, and its number beside it."""
    colours = ink(theme)
    line = {
        "type": "line",
        "x0": value,
        "x1": value,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": colours.text, "width": 1.5, "dash": "dot"},
    }
    right = value > (span[0] + span[1]) / 2
    words = note(
        value,
        1,
        f"from {threshold(value)} →",
        theme,
        yref="paper",
        yanchor="top",
        xanchor="right" if right else "left",
        xshift=-4 if right else 4,
        bgcolor=translucent(colours.page, 0.7),
    )
    return {"shapes": [line], "annotations": [words]}


def score_ranges(distributions: Sequence[ScoreDistribution]) -> tuple[Range, Range]:
    """Common (x, y) ranges for small multiples; the x range only where edges are comparable."""
    if not distributions:
        return (0.0, 1.0), (0.0, 1.0)
    x = (
        min(float(d.edges[0]) for d in distributions),
        max(float(d.edges[-1]) for d in distributions),
    )
    top = max(float(d.density.max(initial=0)) for d in distributions)
    return x, (0.0, 1.08 * (top or 1.0))


# Metrics along the threshold

_BY_THRESHOLD = {
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "specificity": "Specificity",
    "accuracy": "Accuracy",
    "flagged": "Share flagged",
}


def _metric_values(table: ThresholdTable, metric: str) -> Array:
    tp, fp = table.tps, table.fps
    positive, negative = table.n_positive, table.n_negative
    tops: dict[str, tuple[Array, Any]] = {
        "precision": (tp, tp + fp),
        "recall": (tp, positive),
        "f1": (2 * tp, tp + fp + positive),
        "specificity": (negative - fp, negative),
        "accuracy": (tp + negative - fp, positive + negative),
        "flagged": (tp + fp, positive + negative),
    }
    top, bottom = tops[metric]
    below = np.broadcast_to(np.asarray(bottom, dtype=float), top.shape)
    values: Array = np.divide(top, below, out=np.full(top.shape, np.nan), where=below > 0)
    return values


def plot_metric_by_threshold(
    tables: Mapping[str, ThresholdTable],
    styles: Mapping[str, ModelStyle] | None = None,
    *,
    metrics: Sequence[str] = ("precision", "recall", "f1"),
    thresholds: Mapping[str, float] | None = None,
    max_marks: int = 600,
    theme: Theme = "light",
) -> go.Figure:
    """One panel per metric, one line per model, against the threshold; operating points marked.

    Parameters
    ----------
    tables : model → its exact threshold table.
    metrics : of precision, recall, f1, specificity, accuracy, flagged.
    thresholds : model → the operating point, in units of its scores.

    Raises
    ------
    ParameterError : an unknown metric.
    """
    unknown = [metric for metric in metrics if metric not in _BY_THRESHOLD]
    if unknown:
        raise ParameterError(
            f"{listing(unknown)} cannot be drawn against the threshold. "
            f"Known: {', '.join(_BY_THRESHOLD)}."
        )
    names = list(tables)
    rows = max((table.n_rows for table in tables.values()), default=0)
    titles = listing([_BY_THRESHOLD[metric] for metric in metrics], 6)
    caption = (
        f"{titles} of {listing(names)} for every threshold: a score at or above it is flagged."
    )
    lines = list[Trace]()
    for place, metric in enumerate(metrics, start=1):
        for k, (name, table) in enumerate(tables.items()):
            style = style_for(styles, name, k)
            at = (thresholds or {}).get(name)
            lines += _metric_line(name, table, metric, style, place, at, max_marks, theme)
    return canvas(
        theme,
        title=models_title(f"{titles} by threshold", names, 72),
        subtitle=plural(rows, "row"),
        name="metrics by threshold " + " ".join(names),
        alt=caption,
        caption=caption,
        height=290,
        width=100,
        above=22,  # the titles of the panels
        legend_rows=len(names),
        data=lines,
        **_panels([_BY_THRESHOLD[metric] for metric in metrics], _all_shares(tables)),
    )


def _all_shares(tables: Mapping[str, ThresholdTable]) -> bool:
    ends = [float(x) for t in tables.values() if len(t.thresholds) for x in t.thresholds[[0, -1]]]
    return all(0 <= x <= 1 for x in ends)


def _panels(titles: Sequence[str], shares: bool) -> dict[str, Any]:
    """Axes of panels side by side that share both ranges; `shares`: thresholds in [0, 1]."""
    n = len(titles)
    gap = 0.05
    width = (1 - gap * (n - 1)) / n
    layout: dict[str, Any] = {"annotations": []}
    for k in range(n):
        tail = "" if k == 0 else str(k + 1)
        left = k * (width + gap)
        layout[f"xaxis{tail}"] = axis(
            "Threshold",
            **(SHARE_TICKS if shares else {}),
            domain=[left, min(1.0, left + width)],
            anchor=f"y{tail}",
            **({"matches": "x"} if k else {}),
        )
        layout[f"yaxis{tail}"] = {
            "range": [-0.02, 1.02],
            "anchor": f"x{tail}",
            **SHARE_TICKS,
            **({"matches": "y", "showticklabels": False} if k else {}),
        }
        layout["annotations"].append(
            {
                "text": escape(titles[k]),
                "x": left,
                "xanchor": "left",
                "xref": "paper",
                "y": 1,
                "yanchor": "bottom",
                "yref": "paper",
                "showarrow": False,
                "font": {"size": 13},
            }
        )
    return layout


def _thinned(x: Array, y: Array, max_marks: int) -> tuple[Array, Array]:
    from ..diagnostics.simplification import simplify

    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < 3:
        return x, y
    span = float(x.max() - x.min()) or 1.0
    index, _ = simplify((x - x.min()) / span, y, max_marks=max_marks)
    return x[index], y[index]


def _metric_line(
    name: str,
    table: ThresholdTable,
    metric: str,
    style: ModelStyle,
    place: int,
    at: float | None,
    max_marks: int,
    theme: Theme,
) -> list[Trace]:
    """The line, and its operating point where there is one."""
    key = ("line", metric, max_marks)
    if key not in table.memo:
        table.memo[key] = _thinned(table.thresholds, _metric_values(table, metric), max_marks)
    x, y = table.memo[key]
    axes = {"xaxis": f"x{place}", "yaxis": f"y{place}"} if place > 1 else {}
    line = {
        "type": "scatter",
        "x": np.asarray(x, dtype=np.float32),
        "y": np.asarray(y, dtype=np.float32),
        "mode": "lines",
        "line": style.line,
        "name": label(name),
        "legendgroup": name,
        "showlegend": place == 1,
        "text": threshold_texts(x),
        "customdata": columns(y),
        "hovertemplate": f"At %{{text}} the {_BY_THRESHOLD[metric].lower()} of "
        f"<i>{escape(name)}</i><br>is %{{customdata[0]:.3~g}}.<extra></extra>",
        **axes,
    }
    if at is None or not math.isfinite(at):
        return [line]
    counts = table.at(at)
    total = counts.tp + counts.fp + counts.fn + counts.tn
    value = (counts.tp + counts.fp) / total if metric == "flagged" else getattr(counts, metric)
    point = {
        "type": "scatter",
        "x": [at],
        "y": [value],
        "mode": "markers",
        "marker": {
            "symbol": style.symbol,
            "size": 12,
            "color": style.colour,
            "line": {"color": ink(theme).page, "width": 1.5},
        },
        "name": f"{label(name)} operating point",
        "legendgroup": name,
        "showlegend": False,
        "hovertemplate": f"At {threshold(at)}, the operating point, the "
        f"{_BY_THRESHOLD[metric].lower()} of<br><i>{escape(name)}</i> is {number(value)}."
        "<extra></extra>",
        **axes,
    }
    return [line, point]
