"""Several importances against each other: how alike they are, and the place of each feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ..errors import NotApplicable, ParameterError
from ..wording import count, number, percent, plural, shorten_all
from .canvas import axis, canvas, models_title, number_ticks, reference_line, wrapped
from .drawn import add_meta, heatmap, scatter
from .importance_captions import caption_agreement, caption_ranks, place_words
from .importances import DrawnRows, Styles, drawn_rows, tell_meta
from .panels import brief, marks_of, span_axis, zero_line
from .theme import Theme, escape, ink, label, sequential_scale, text_on, translucent

if TYPE_CHECKING:
    from ..diagnostics.importance import Importance
    from ..diagnostics.importance_comparison import ImportanceComparison

__all__ = ["plot_agreement", "plot_rank_flow"]

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
    return _matrix(compared, styles, theme, words)


def _signs(labels: Sequence[str], styles: Styles | None) -> list[str]:
    """A short sign for each column, where names have no room: its marker, or a letter."""
    if styles is None or not all(one in styles for one in labels):
        return [chr(ord("A") + k) for k in range(len(labels))]
    return [
        f'<span style="color:{styles[one].colour}">{styles[one].glyph}</span>' for one in labels
    ]


def _matrix(
    compared: ImportanceComparison, styles: Styles | None, theme: Theme, words: dict[str, Any]
) -> go.Figure:
    m = len(compared.labels)
    correlations, overlaps = compared.matrix("spearman"), compared.matrix("overlap")
    tops = {(pair.first, pair.second): pair for pair in compared.pairs}
    signs = _signs(compared.labels, styles)
    letters = 24 if m <= _NAMED else 16
    names = [label(one, letters) for one in shorten_all(list(compared.labels), letters)]
    named = [f"{name} {sign}" for name, sign in zip(names, signs, strict=True)]
    ticks = {"tickmode": "array", "tickvals": list(range(m)), "ticks": "", "showgrid": False}
    figure = canvas(
        theme,
        subtitle="Rank correlation of the features that both have; below it, the share of the "
        "first ones that are the same.",
        height=60 + 48 * m,
        width=46,
        xaxis={**ticks, "ticktext": signs, "range": [-0.5, m - 0.5], "side": "top"},
        yaxis={**ticks, "ticktext": named, "range": [m - 0.5, -0.5]},
        above=14,
        below=-34,
        **words,
    )
    scale = sequential_scale(theme)
    shown = np.where(np.eye(m, dtype=bool), np.nan, np.clip(correlations, 0, 1))
    hover = [[_pair_words(tops, compared.labels, i, j) for j in range(m)] for i in range(m)]
    figure.add_trace(
        heatmap(
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


_LINE = 17  # pixels from one name to the next
_NAMED = 4  # columns that have room for names
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
    named = _with_room(x / most, y / most)
    ticks = {**span_axis((0.0, most), 1), **zero_line(theme)}
    figure = canvas(
        theme,
        subtitle="Each dot is a feature: its share of the whole, in percent. On the line both "
        "agree.",
        height=345,
        square=True,
        xaxis={**axis(first), **ticks},
        yaxis={**axis(second), **ticks},
        showlegend=False,
        clickmode="event+select",
        **words,
    )
    add_meta(figure, features=features, models=[])
    figure.add_trace(reference_line([0, most], [0, most], theme))
    figure.add_trace(
        scatter(
            x=x.astype(np.float32),
            y=y.astype(np.float32),
            mode="markers+text",
            marker={"size": 9, "color": ink(theme).text, "opacity": 0.75},
            text=[brief(features[k], 18) if k in named else "" for k in range(len(features))],
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


def _with_room(x: Floats, y: Floats) -> list[int]:
    """The first features, by share, whose names cover no other name; shares of the axes."""
    named: list[int] = []
    for k, (a, b) in enumerate(zip(x, y, strict=True)):
        free = all(abs(a - x[j]) > 0.5 or abs(b - y[j]) > 0.06 for j in named)
        if len(named) < _LABELLED and max(a, b) > 0.05 and free:
            named.append(k)
    return named


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
    NotApplicable : no two have a feature in common.
    """
    if len(importances) < 2:
        raise ParameterError("Places can be followed across two importances or more.")
    rows = _shared(drawn_rows(importances, 1 << 20), limit)
    caption = caption_ranks(rows.entries, rows.features)
    m, f = len(rows.entries), len(rows.features)
    places = [_places_in(rows, k) for k in range(m)]
    deepest = max(float(np.nanmax(place[0], initial=1)) for place in places)
    reach = _clear_move(rows)
    names = _column_names(rows, styles)
    clearly = "differs clearly" if reach is None else f"moves by {reach} or more"
    height = 60 + 26 * max(f, int(min(deepest, 2 * f)))
    figure = canvas(
        theme,
        title=models_title("Places", []),
        subtitle=" ".join(
            [f"1 is most important. Strong lines: the place {clearly}.", *_left_out(rows)]
        ),
        name="places of features",
        alt=caption,
        caption=caption,
        height=height,
        width=64,
        above=8 + 16 * (1 + max(name.count("<br>") for name in names)),
        below=-34,
        xaxis={
            "tickmode": "array",
            "tickvals": list(range(m)),
            "ticktext": names,
            "range": [-0.2, m - 0.9],
            "showgrid": False,
            "side": "top",
            "tickangle": 0,
        },
        yaxis={**axis("Place"), "range": [deepest + 0.6, 0.4], **_whole_ticks(deepest)},
        showlegend=False,
        clickmode="event+select",
    )
    tell_meta(figure, rows)
    moved = [_has_moved(places, row, reach) for row in range(f)]
    for row in range(f):
        _add_flow(figure, rows, row, places, moved[row], theme)
    _name_ends(figure, rows, places, moved, _LINE * deepest / height, theme)
    return figure


def _shared(rows: DrawnRows, limit: int) -> DrawnRows:
    """The features that two or more have, whose places can be followed."""
    at = np.flatnonzero((rows.places >= 0).sum(axis=0) > 1)[:limit]
    if not len(at):
        raise NotApplicable("No two of these have a feature in common, so places say nothing.")
    return replace(rows, features=tuple(rows.features[k] for k in at), places=rows.places[:, at])


def _left_out(rows: DrawnRows) -> list[str]:
    n = len(rows.features)
    return [f"{count(n)} of {plural(rows.total, 'feature')}."] if n < rows.total else []


def _column_names(rows: DrawnRows, styles: Styles | None) -> list[str]:
    """Each one's sign, with its name below where there is room."""
    signs = _signs(rows.labels, styles)
    if len(signs) > _NAMED:
        return signs
    names = shorten_all(list(rows.labels), 24)
    return [f"{sign}<br>{wrapped(name, 13)}" for sign, name in zip(signs, names, strict=True)]


def _clear_move(rows: DrawnRows) -> int | None:
    """Places by which a feature moves noticeably, where no errors say what is clear."""
    if any(one.deviations is not None for one in rows.entries):
        return None
    return max(2, -(-max(len(one.features) for one in rows.entries) // 4))


def _has_moved(places: Sequence[Floats], row: int, reach: int | None) -> bool:
    rank, best, worst = (np.array([place[part, row] for place in places]) for part in range(3))
    if np.isnan(rank).all():
        return False
    if reach is None:
        return bool(np.nanmax(best) > np.nanmin(worst))
    return bool(np.nanmax(rank) - np.nanmin(rank) >= reach)


def _name_ends(
    figure: go.Figure,
    rows: DrawnRows,
    places: Sequence[Floats],
    moved: Sequence[bool],
    apart: float,
    theme: Theme,
) -> None:
    """The features beside the last column, in a margin of their own, `apart` places at least."""
    last = [
        next((place[0, row] for place in reversed(places) if not np.isnan(place[0, row])), np.nan)
        for row in range(len(rows.features))
    ]
    names = shorten_all(list(rows.features), 22)
    figure.update_layout(margin_r=24 + 7 * max(len(name) for name in names))
    reached = -np.inf
    for row in np.argsort(last, kind="stable"):
        if np.isnan(last[row]):
            continue
        reached = max(float(last[row]), reached + apart)
        colour = ink(theme).text if moved[row] else ink(theme).muted
        figure.add_annotation(
            x=1,
            y=reached,
            xref="paper",
            xanchor="left",
            xshift=6,
            text=escape(names[row]),
            showarrow=False,
            font={"color": colour, "size": 12},
        )


def _whole_ticks(deepest: float) -> dict[str, Any]:
    most = min(5, max(1, round(deepest) - 1))
    return {**number_ticks(1, max(2.0, deepest), most), "zeroline": False}


def _places_in(rows: DrawnRows, k: int) -> Floats:
    """`(3, n_features)` place, best and worst, nan where the model lacks the feature."""
    one, at = rows.entries[k], rows.places[k]
    best, worst = one.rank_bounds
    return np.stack([np.where(at >= 0, values[at], np.nan) for values in (one.ranks, best, worst)])


def _add_flow(
    figure: go.Figure,
    rows: DrawnRows,
    row: int,
    places: Sequence[Floats],
    moved: bool,
    theme: Theme,
) -> None:
    rank, best, worst = (np.array([place[part, row] for place in places]) for part in range(3))
    colour = ink(theme).text if moved else translucent(ink(theme).rule, 0.7)
    m = len(places)
    name = rows.features[row]
    figure.add_trace(
        scatter(
            x=np.arange(m),
            y=rank.astype(np.float32),
            mode="lines+markers",
            line={"color": colour, "width": 2 if moved else 1.5},
            marker={"color": colour, "size": 8},
            unselected={"marker": {"opacity": 1}},
            hovertext=[
                f"{brief(name, 40)}, <i>{brief(rows.labels[k])}</i>:<br>"
                + place_words(rank[k], best[k], worst[k], len(rows.entries[k].features))
                for k in range(m)
            ],
            hovertemplate="%{hovertext}<extra></extra>",
            customdata=[[-1, row, k] for k in range(m)],
        )
    )
