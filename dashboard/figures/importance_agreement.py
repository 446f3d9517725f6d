"""Several importances against each other: agreement, places, training against evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ..errors import ParameterError
from ..wording import count, interval, number, percent, plural, shorten_all
from .canvas import axis, canvas, models_title, number_ticks, reference_line
from .importance_captions import caption_agreement, caption_gap, caption_ranks, place_words
from .importances import DrawnRows, Styles, drawn_rows, folded_words, tell_meta
from .panels import brief, feature_axis, looks_of, marks_of, span_axis, zero_line
from .theme import Theme, ink, label, sequential_scale, text_on, translucent

if TYPE_CHECKING:
    from ..diagnostics.importance import Importance
    from ..diagnostics.importance_comparison import ImportanceComparison, ImportanceGap

__all__ = ["plot_agreement", "plot_importance_gap", "plot_rank_flow"]

Floats = npt.NDArray[np.float64]

# ---- agreement -----------------------------------------------------------------------------------


def plot_agreement(
    compared: ImportanceComparison,
    styles: Styles | None = None,
    *,
    theme: Theme = "light",
) -> go.Figure:
    """How alike importances order the features: two as a scatter of shares, more as a matrix."""
    caption = caption_agreement(compared)
    words = {
        "title": models_title("Do they agree?", []),
        "name": "agreement of importances",
        "alt": caption,
        "caption": caption,
    }
    if len(compared.labels) == 2:
        return _scatter_of_two(compared, styles, theme, words)
    return _matrix(compared, theme, words)


def _matrix(compared: ImportanceComparison, theme: Theme, words: dict[str, Any]) -> go.Figure:
    m = len(compared.labels)
    correlations, overlaps = compared.matrix("spearman"), compared.matrix("overlap")
    tops = {(pair.first, pair.second): pair for pair in compared.pairs}
    names = [label(one, 22) for one in shorten_all(list(compared.labels), 22)]
    ticks = {"tickmode": "array", "tickvals": list(range(m)), "ticktext": names, "ticks": ""}
    figure = canvas(
        theme,
        subtitle="Rank correlation of the features that both have; below it, the share of the "
        "first ones that are the same.",
        height=60 + 56 * m,
        width=64,
        xaxis={**ticks, "showgrid": False, "range": [-0.5, m - 0.5]},
        yaxis={**ticks, "showgrid": False, "range": [m - 0.5, -0.5]},
        **words,
    )
    scale = sequential_scale(theme)
    shown = np.where(np.eye(m, dtype=bool), np.nan, np.clip(correlations, 0, 1))
    hover = [[_pair_words(tops, compared.labels, i, j) for j in range(m)] for i in range(m)]
    figure.add_trace(
        go.Heatmap(
            z=shown,
            zmin=0,
            zmax=1,
            colorscale=[list(step) for step in scale],
            showscale=False,
            xgap=2,
            ygap=2,
            text=hover,
            hovertemplate="%{text}<extra></extra>",
        )
    )
    for i, j in np.argwhere(~np.eye(m, dtype=bool)):
        value = correlations[i, j]
        colour = text_on(scale, float(np.clip(np.nan_to_num(value), 0, 1)))
        small = percent(overlaps[i, j]) if not np.isnan(overlaps[i, j]) else "–"
        figure.add_annotation(
            x=int(j),
            y=int(i),
            showarrow=False,
            text=f"{number(value, 2)}<br><span style='font-size:11px'>{small}</span>",
            font={"color": colour if not np.isnan(value) else ink(theme).muted},
        )
    return figure


def _pair_words(tops: Mapping[Any, Any], labels: Sequence[str], i: int, j: int) -> str:
    pair = tops.get((labels[i], labels[j])) or tops.get((labels[j], labels[i]))
    if pair is None:
        return ""
    return (
        f"<i>{brief(pair.first)}</i> and <i>{brief(pair.second)}</i>:<br>"
        f"rank correlation {number(pair.spearman)}, Kendall's tau {number(pair.kendall)}<br>"
        f"{count(round(pair.overlap * pair.top)) if pair.top else '–'} of the first "
        f"{count(pair.top)} are the same; {plural(pair.n_shared, 'shared feature')}"
    )


_LABELLED = 6  # features that are named in the scatter of two


def _scatter_of_two(
    compared: ImportanceComparison, styles: Styles | None, theme: Theme, words: dict[str, Any]
) -> go.Figure:
    shares = 100 * compared.shares
    both: npt.NDArray[np.bool_] = np.asarray(~np.isnan(shares).any(axis=1))
    x, y = shares[both, 0], shares[both, 1]
    features = [name for name, kept in zip(compared.features, both, strict=True) if kept]
    most = max(float(np.max(x, initial=0)), float(np.max(y, initial=0)), 1e-9)
    first, second = shorten_all(list(compared.labels), 30)
    ticks = {**span_axis((0.0, most), 1), **zero_line(theme)}
    figure = canvas(
        theme,
        subtitle="Each dot is a feature: its share of the whole, in percent. On the line both "
        "agree.",
        height=380,
        square=True,
        xaxis={**axis(first), **ticks},
        yaxis={**axis(second), **ticks},
        showlegend=False,
        clickmode="event+select",
        **words,
    )
    figure.layout.meta = {**figure.layout.meta, "features": features, "models": []}
    figure.add_trace(reference_line([0, most], [0, most], theme))
    figure.add_trace(
        go.Scatter(
            x=x.astype(np.float32),
            y=y.astype(np.float32),
            mode="markers+text",
            marker={"size": 9, "color": ink(theme).text, "opacity": 0.75},
            text=[
                brief(name, 18) if k < _LABELLED and max(a, b) > most / 20 else ""
                for k, (name, a, b) in enumerate(zip(features, x, y, strict=True))
            ],
            textposition=["middle left" if a > 0.6 * most else "middle right" for a in x],
            hovertext=[
                f"{brief(name, 40)}:<br>{number(a)} % in <i>{brief(first)}</i>, "
                f"{number(b)} % in <i>{brief(second)}</i>"
                for name, a, b in zip(features, x, y, strict=True)
            ],
            hovertemplate="%{hovertext}<extra></extra>",
            customdata=marks_of(-1, np.arange(len(features)), -1),
        )
    )
    return figure


# ---- places --------------------------------------------------------------------------------------


def plot_rank_flow(
    importances: Sequence[Importance],
    styles: Styles | None = None,
    *,
    limit: int = 12,
    theme: Theme = "light",
) -> go.Figure:
    """The place of each feature from one model or method to the next.

    Features whose place differs by more than the intervals of their ranks stand out.

    Raises
    ------
    ParameterError : fewer than two importances.
    """
    if len(importances) < 2:
        raise ParameterError("Places can be followed across two importances or more.")
    rows = drawn_rows(importances, limit)
    caption = caption_ranks(rows.entries, rows.features)
    m, f = len(rows.entries), len(rows.features)
    places = [_places_in(rows, k) for k in range(m)]
    deepest = max(float(np.nanmax(place, initial=1)) for place in places)
    figure = canvas(
        theme,
        title=models_title("Places", []),
        subtitle=" ".join(
            ["1 is the most important. Dark: the place differs clearly.", *folded_words(rows)]
        ),
        name="places of features",
        alt=caption,
        caption=caption,
        height=60 + 26 * max(f, int(min(deepest, 2 * f))),
        width=80,
        xaxis={
            "tickmode": "array",
            "tickvals": list(range(m)),
            "ticktext": [label(one, 22) for one in shorten_all(list(rows.labels), 22)],
            "range": [-0.25, m - 0.4],
            "showgrid": False,
        },
        yaxis={**axis("place"), "range": [deepest + 0.6, 0.4], **_whole_ticks(deepest)},
        showlegend=False,
        clickmode="event+select",
    )
    tell_meta(figure, rows)
    for row in range(f):
        _add_flow(figure, rows, row, places, theme)
    return figure


def _whole_ticks(deepest: float) -> dict[str, Any]:
    return {**number_ticks(1, max(2.0, deepest)), "zeroline": False}


def _places_in(rows: DrawnRows, k: int) -> Floats:
    """`(3, n_features)` place, best and worst, nan where the model lacks the feature."""
    one, at = rows.entries[k], rows.places[k]
    best, worst = one.rank_bounds
    return np.stack([np.where(at >= 0, values[at], np.nan) for values in (one.ranks, best, worst)])


def _add_flow(
    figure: go.Figure, rows: DrawnRows, row: int, places: Sequence[Floats], theme: Theme
) -> None:
    rank, best, worst = (np.array([place[part, row] for place in places]) for part in range(3))
    moved = bool(np.nanmax(best) > np.nanmin(worst)) if not np.isnan(best).all() else False
    colour = ink(theme).text if moved else translucent(ink(theme).rule, 0.7)
    m = len(places)
    last = max((k for k in range(m) if not np.isnan(rank[k])), default=0)
    name = rows.features[row]
    figure.add_trace(
        go.Scatter(
            x=np.arange(m),
            y=rank.astype(np.float32),
            mode="lines+markers+text",
            line={"color": colour, "width": 2 if moved else 1.5},
            marker={"color": colour, "size": 8},
            unselected={"marker": {"opacity": 1}},
            text=["" if k != last else f"  {brief(name, 24)}" for k in range(m)],
            textposition="middle right",
            textfont={"color": ink(theme).text if moved else ink(theme).muted},
            cliponaxis=False,
            hovertext=[
                f"{brief(name, 40)}, <i>{brief(rows.labels[k])}</i>:<br>"
                + place_words(rank[k], best[k], worst[k], len(rows.entries[k].features))
                for k in range(m)
            ],
            hovertemplate="%{hovertext}<extra></extra>",
            customdata=[[-1, row, k] for k in range(m)],
        )
    )


# ---- training against evaluation -----------------------------------------------------------------


def plot_importance_gap(
    gap: ImportanceGap,
    styles: Styles | None = None,
    *,
    limit: int = 20,
    theme: Theme = "light",
) -> go.Figure:
    """Each feature's importance on training and on evaluation rows, joined by a line."""
    order = np.argsort(-np.nan_to_num(np.maximum(gap.training, gap.evaluation)), kind="stable")
    at = order[:limit]
    features = [gap.features[k] for k in at]
    look = looks_of([gap.model], styles)[0]
    both = np.concatenate([gap.training[at], gap.evaluation[at], [0.0]])
    known = both[np.isfinite(both)]
    caption = caption_gap(gap)
    figure = canvas(
        theme,
        title=models_title("Training against evaluation", [gap.model]),
        subtitle=f"{count(len(at))} of {plural(len(gap.features), 'feature')}. Open: training "
        "rows; filled: evaluation rows.",
        name=f"importance gap {gap.model}",
        alt=caption,
        caption=caption,
        height=40 + 26 * len(at),
        width=80,
        xaxis={
            **axis("importance"),
            **span_axis((float(known.min()), float(known.max())), 1),
            **zero_line(theme),
        },
        yaxis=feature_axis(features, 34),
        showlegend=False,
        clickmode="event+select",
    )
    figure.layout.meta = {**figure.layout.meta, "features": features, "models": [gap.model]}
    for row, k in enumerate(at):
        strong = gap.features[k] in gap.memorised
        figure.add_trace(
            go.Scatter(
                x=[gap.training[k], gap.evaluation[k]],
                y=[row, row],
                mode="lines+markers",
                line={"color": look.colour, "width": 3 if strong else 1},
                marker={
                    "color": look.colour,
                    "size": 10,
                    "symbol": [f"{look.symbol}-open", look.symbol],
                },
                unselected={"marker": {"opacity": 1}},
                hovertext=_gap_words(gap, int(k)),
                hovertemplate="%{hovertext}<extra></extra>",
                customdata=marks_of([-1, -1], row, 0),
            )
        )
    return figure


def _gap_words(gap: ImportanceGap, k: int) -> str:
    difference = interval(float(gap.difference[k]), float(gap.low[k]), float(gap.high[k]))
    return (
        f"{brief(gap.features[k], 40)}:<br>{number(gap.training[k])} on training rows, "
        f"{number(gap.evaluation[k])} on evaluation rows;<br>difference {difference}"
    )
