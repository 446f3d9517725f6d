"""LIME of one row: the rules that hold for it, and what each is worth to one to four models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from ..diagnostics.attributions import the_unit
from ..errors import ParameterError
from ..wording import interval, number, percent, plural, shorten
from .canvas import axis, canvas, models_title, number_ticks
from .drawn import add_meta, scatter
from .panels import feature_axis, marks_of
from .theme import ModelStyle, Theme, escape, ink, label, style_for

if TYPE_CHECKING:
    from ..diagnostics.local_surrogates import LocalSurrogate

__all__ = ["caption_surrogates", "plot_surrogates"]

Styles = Mapping[str, ModelStyle]

MOST_MODELS = 4
ROW_HEIGHT = 26


def plot_surrogates(
    surrogates: LocalSurrogate | Sequence[LocalSurrogate],
    styles: Styles | None = None,
    *,
    theme: Theme = "light",
    limit: int = 12,
) -> go.Figure:
    """Rules downwards, the heaviest first; one marker a model, with its interval.

    Raises
    ------
    ParameterError : linear models of different rows or units; none, or more than four.
    """
    shown = list(surrogates) if isinstance(surrogates, Sequence) else [surrogates]
    _check(shown)
    rules = _rules(shown, limit)
    names = [one.model for one in shown]
    caption = caption_surrogates(shown)
    unit = the_unit(shown[0].space, shown[0].output)
    figure = canvas(
        theme,
        width=76,
        title=models_title(f"LIME: row {shown[0].row:,}", names, 76),
        subtitle=f"{plural(max(one.n for one in shown), 'neighbour')} of the row, "
        "a weighted linear model for each. "
        f"Whiskers: {percent(shown[0].level)} interval",
        name=f"lime {shown[0].row} " + " ".join(names),
        alt=f"Local linear models of {plural(len(names), 'model')} for one row. {caption}",
        caption=caption,
        height=60 + ROW_HEIGHT * max(1, len(rules)),
        legend_rows=len(names),
        clickmode="event+select",
        xaxis=axis(f"What the rule adds to {unit}", **_span(shown)),
        yaxis=feature_axis(list(rules), 30),
    )
    features = list(rules.values())
    add_meta(figure, features=features, models=names)
    figure.add_vline(x=0, line={"color": ink(theme).rule, "width": 1})
    for k, one in enumerate(shown):
        _add(figure, one, list(rules), style_for(styles, one.model, k), (k, len(shown)))
    return figure


def _check(shown: Sequence[LocalSurrogate]) -> None:
    if not 1 <= len(shown) <= MOST_MODELS:
        raise ParameterError(f"{len(shown)} models were given; 1 to {MOST_MODELS} are needed.")
    if len({(one.row, one.output, one.space) for one in shown}) > 1:
        raise ParameterError("Linear models of different rows, outputs or units were given.")


def _rules(shown: Sequence[LocalSurrogate], limit: int) -> dict[str, str]:
    """Rule → its feature, by the largest weight that any model gives it."""
    worth: dict[str, float] = {}
    of: dict[str, str] = {}
    for one in shown:
        for at in one.order():
            rule = one.rules[int(at)]
            worth[rule] = max(worth.get(rule, 0.0), abs(float(one.weights[at])))
            of[rule] = one.features[int(at)]
    ranked = sorted(worth, key=lambda rule: -worth[rule])[:limit]
    return {rule: of[rule] for rule in ranked}


def _span(shown: Sequence[LocalSurrogate]) -> dict[str, object]:
    ends = [0.0]
    for one in shown:
        reach = one.spread
        ends += [float((one.weights - reach).min()), float((one.weights + reach).max())]
    low, high = min(ends), max(ends)
    air = 0.05 * ((high - low) or 1.0)
    return {"range": [low - air, high + air], **number_ticks(low - air, high + air, most=8)}


def _add(
    figure: go.Figure,
    one: LocalSurrogate,
    rules: Sequence[str],
    style: ModelStyle,
    place: tuple[int, int],
) -> None:
    k, of = place
    found = {one.rules[int(at)]: int(at) for at in one.order()}
    rows = [row for row, rule in enumerate(rules) if rule in found]
    at = [found[rules[row]] for row in rows]
    weights, reach = one.weights[at], one.spread[at]
    texts = [
        f"In rows like this one, <i>{escape(shorten(rules[row], 60))}</i> adds<br>"
        f"{interval(weight, weight - width, weight + width)} to what {escape(one.model)} answers."
        for row, weight, width in zip(rows, weights.tolist(), reach.tolist(), strict=True)
    ]
    figure.add_trace(
        scatter(
            x=np.asarray(weights, dtype=np.float32),
            y=np.asarray(rows, dtype=np.float64) + (k - (of - 1) / 2) * 0.6 / max(1, of),
            mode="markers",
            marker={"color": style.colour, "symbol": style.symbol, "size": 9},
            unselected={"marker": {"opacity": 1}},
            error_x={
                "type": "data",
                "array": reach.tolist(),
                "color": style.colour,
                "thickness": 1.5,
                "width": 3,
            },
            name=label(one.model),
            customdata=marks_of(np.full(len(rows), one.row), np.array(rows, dtype=int), k),
            text=texts,
            hovertemplate="%{text}<extra></extra>",
        )
    )


def caption_surrogates(shown: Sequence[LocalSurrogate]) -> str:
    """The heaviest rule of each model, and how far its linear model can be believed."""
    parts = []
    for one in shown:
        order = one.order()
        heaviest = ""
        if len(order):
            at = int(order[0])
            heaviest = f"{shorten(one.rules[at], 50)} weighs most ({number(one.weights[at])}); "
        parts.append(
            f"For {one.model} {heaviest}the linear model says {number(one.local)} where the model "
            f"says {number(one.prediction)}, and explains {percent(one.score)} of the "
            f"neighbours' variation"
        )
    weak = [one.model for one in shown if one.score < 0.5]
    doubt = " Below 50 % it describes the model badly: prefer the waterfall." if weak else ""
    return f"{'. '.join(parts)}.{doubt}"
