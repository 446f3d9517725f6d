"""Score tables as dots with intervals: one panel per metric, one row per model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from ..captions import caption_metric
from ..wording import interval, plural
from .canvas import axis, canvas, models_title, number_ticks
from .drawn import scatter
from .theme import ModelStyle, Theme, baseline_style, escape, label, style_for

if TYPE_CHECKING:
    from ..diagnostics.metrics import MetricTable

__all__ = ["plot_metrics"]


def _metric_facts(metric: str) -> tuple[str, str]:
    """Title and orientation of a metric of the catalogue; the name itself where it has none."""
    from ..diagnostics.metrics import METRICS

    found = METRICS.get(metric)
    return (metric, "higher") if found is None else (found.title, str(found.orientation))


def plot_metrics(
    table: MetricTable,
    metrics: str | Sequence[str],
    styles: Mapping[str, ModelStyle] | None = None,
    *,
    baseline: str | None = None,
    label_name: str = "",
    theme: Theme = "light",
) -> go.Figure:
    """Dots with intervals: one panel per metric, one row per model, the baseline a dashed line.

    Parameters
    ----------
    metrics : names in the table.
    baseline : the dummy model in the table: drawn as a line, not as a row.
    label_name : class, label or output whose rows are shown; "" = overall.
    """
    wanted = [metrics] if isinstance(metrics, str) else list(metrics)
    rows = [row for row in table.rows if row.label == label_name and row.metric in wanted]
    models = list(dict.fromkeys(row.model for row in rows if row.model != baseline))
    facts = {metric: _metric_facts(metric) for metric in wanted}
    captions = [
        caption_metric(
            [row for row in rows if row.metric == metric and row.model != baseline],
            facts[metric][0],
            lower_is_better=facts[metric][1] == "lower",
        )
        for metric in wanted
        if facts[metric][1] != "zero"
    ]
    n = max((row.n for row in rows), default=0)
    figure = canvas(
        theme,
        title=models_title("Scores", models, 72),
        subtitle=f"{plural(n, 'row')}. Bars: 95 % interval"
        + (f"; dashed: {baseline}" if baseline else ""),
        name="scores " + " ".join(wanted),
        alt=" ".join(captions) or "Scores of each model.",
        caption=" ".join(captions),
        height=60 + 34 * max(1, len(models)),
        showlegend=False,
        width=100,
        **_metric_axes(wanted, facts, models, rows),
    )
    for place, metric in enumerate(wanted, start=1):
        _add_dots(
            figure,
            [row for row in rows if row.metric == metric],
            models,
            styles,
            place,
            baseline,
            facts[metric],
        )
    return figure


def _metric_axes(
    metrics: Sequence[str],
    facts: Mapping[str, tuple[str, str]],
    models: Sequence[str],
    rows: Sequence[Any],
) -> dict[str, Any]:
    gap = 0.06
    width = (1 - gap * (len(metrics) - 1)) / len(metrics)
    better = {"higher": "higher is better", "lower": "lower is better", "zero": "0 is best"}
    layout: dict[str, Any] = {
        "yaxis": {
            "tickmode": "array",
            "tickvals": list(range(len(models))),
            "ticktext": [label(name, 26) for name in models],
            "range": [len(models) - 0.5, -0.5],
            "showgrid": False,
            "ticks": "",
        }
    }
    for k, metric in enumerate(metrics):
        tail = "" if k == 0 else str(k + 1)
        left = k * (width + gap)
        title, orientation = facts[metric]
        layout[f"xaxis{tail}"] = axis(
            f"{title} ({better.get(orientation, orientation)})",
            domain=[left, min(1.0, left + width)],
            **_reach([row for row in rows if row.metric == metric]),
        )
    return layout


def _reach(rows: Sequence[Any]) -> dict[str, Any]:
    """Range and ticks that hold every value and interval, the baseline's included."""
    ends = [x for row in rows for x in (row.value, row.low, row.high) if math.isfinite(x)]
    if not ends:
        return {}
    air = 0.06 * ((max(ends) - min(ends)) or abs(ends[0]) or 1.0)
    low, high = min(ends) - air, max(ends) + air
    return {"range": [low, high], **number_ticks(low, high)}


def _add_dots(
    figure: go.Figure,
    rows: Sequence[Any],
    models: Sequence[str],
    styles: Mapping[str, ModelStyle] | None,
    place: int,
    baseline: str | None,
    facts: tuple[str, str],
) -> None:
    xaxis = "x" if place == 1 else f"x{place}"
    for row in rows:
        if math.isnan(row.value):
            continue
        shown = interval(row.value, row.low, row.high)
        sentence = (
            f"<i>{escape(row.model)}</i> has {escape(facts[0])} {shown} on {plural(row.n, 'row')}."
        )
        if row.model == baseline:
            look = baseline_style()
            figure.add_trace(
                scatter(
                    x=[row.value, row.value],
                    y=[-0.5, len(models) - 0.5],
                    mode="lines",
                    line={**look.line, "width": 1.5},
                    name=label(row.model),
                    text=[sentence, sentence],
                    hovertemplate="%{text}<extra></extra>",
                    xaxis=xaxis,
                )
            )
            continue
        place_of = models.index(row.model)
        style = style_for(styles, row.model, place_of)
        known = not (math.isnan(row.low) or math.isnan(row.high))
        figure.add_trace(
            scatter(
                x=[row.value],
                y=[place_of],
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [row.high - row.value if known else 0],
                    "arrayminus": [row.value - row.low if known else 0],
                    "thickness": 2,
                    "width": 4,
                },
                mode="markers",
                marker={"symbol": style.symbol, "size": 10, "color": style.colour},
                name=label(row.model),
                text=[sentence],
                hovertemplate="%{text}<extra></extra>",
                xaxis=xaxis,
            )
        )
