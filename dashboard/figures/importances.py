"""Importances of several models on shared rows, as dots or as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ..diagnostics.importance_comparison import importance_labels
from ..errors import ParameterError
from ..wording import count, in_sentence, interval, listing, percent, plural
from .canvas import axis, canvas, models_title
from .drawn import Trace, add_meta, bar, scatter
from .importance_captions import (
    caption_importances,
    place_words,
)
from .panels import (
    MOST_PANELS,
    brief,
    feature_axis,
    looks_of,
    marks_of,
    panel_letters,
    panels,
    span_axis,
    zero_line,
)
from .theme import (
    ModelStyle,
    Theme,
    escape,
    ink,
    label,
    translucent,
)

if TYPE_CHECKING:
    from ..diagnostics.importance import Importance

__all__ = ["DrawnRows", "Styles", "drawn_rows", "folded_words", "plot_importances", "tell_meta"]

Floats = npt.NDArray[np.float64]
Styles = Mapping[str, ModelStyle]
Layout = Literal["dots", "columns"]


@dataclass(frozen=True, eq=False)
class DrawnRows:
    """What is drawn: features downwards, one entry for each importance.

    Attributes
    ----------
    features : shown ones, the largest mean share first; total : of all there are.
    places : `(n_entries, n_features)` positions in each importance, -1 where it lacks one.
    scales : what values are multiplied by: 1, or to shares of the whole where units differ.
    unit : of the axis.
    """

    entries: tuple[Importance, ...]
    labels: tuple[str, ...]
    features: tuple[str, ...]
    total: int
    near_zero: int
    places: npt.NDArray[np.int64]
    scales: Floats
    unit: str

    def values(self, k: int, name: str) -> Floats:
        """`(n_features,)` of one entry, scaled; nan where it lacks the feature."""
        given = getattr(self.entries[k], name)
        at = self.places[k]
        return np.asarray(np.where(at >= 0, given[at], np.nan) * self.scales[k])


def drawn_rows(importances: Sequence[Importance], limit: int) -> DrawnRows:
    if not importances:
        raise ParameterError("No importances were given; pass at least one.")
    if limit < 1:
        raise ParameterError(f"Argument limit must be at least 1, got {limit}.")
    every = list(dict.fromkeys(name for one in importances for name in one.features))
    index = [{name: at for at, name in enumerate(one.features)} for one in importances]
    shares = np.array(
        [
            [one.shares[where[name]] if name in where else 0.0 for name in every]
            for one, where in zip(importances, index, strict=True)
        ]
    ).reshape(len(importances), len(every))
    used = np.array(
        [
            any(
                name in where and not one.near_zero[where[name]]
                for one, where in zip(importances, index, strict=True)
            )
            for name in every
        ],
        dtype=bool,
    )
    order = np.argsort(-shares.mean(axis=0), kind="stable")
    kept = [at for at in order if used[at]] or list(order[:5])
    features = tuple(every[at] for at in kept[:limit])
    alike = len({one.unit for one in importances}) == 1
    totals = [float(np.maximum(np.nan_to_num(one.values), 0).sum()) for one in importances]
    return DrawnRows(
        tuple(importances),
        importance_labels(importances),
        features,
        len(every),
        int((~used).sum()),
        np.array([[where.get(name, -1) for name in features] for where in index]),
        np.array([1.0 if alike or not total else 1 / total for total in totals]),
        importances[0].unit if alike else "share of each one's whole",
    )


def plot_importances(
    importances: Sequence[Importance],
    styles: Styles | None = None,
    *,
    layout: Layout = "dots",
    limit: int = 20,
    theme: Theme = "light",
) -> go.Figure:
    """Features as shared rows, the models as dots with intervals or as one column each.

    Features that hardly matter to any model are folded away with their number. Where units
    differ (gain beside coefficients) each one's shares of its whole are drawn. Beyond four models
    there are no columns, only dots.

    Raises
    ------
    ParameterError : no importances, an unknown layout, limit below 1.
    """
    if layout not in ("dots", "columns"):
        raise ParameterError(f"There is no layout {layout!r}; there are dots and columns.")
    rows = drawn_rows(importances, limit)
    if layout == "columns" and 1 < len(rows.entries) <= MOST_PANELS:
        return _as_columns(rows, styles, theme)
    return _as_dots(rows, styles, theme)


def _words(rows: DrawnRows) -> dict[str, Any]:
    """Title, subtitle, name, alt and caption."""
    titles = list(dict.fromkeys(one.title for one in rows.entries))
    parts = {one.part for one in rows.entries} - {""}
    caption = caption_importances(rows.entries, len(rows.features), rows.total)
    return {
        "title": models_title(listing([*titles[:1], *map(in_sentence, titles[1:])]), [], 72),
        "subtitle": " ".join([_rows_used(rows, parts), *folded_words(rows)]),
        "name": "importances " + " ".join(dict.fromkeys(one.method for one in rows.entries)),
        "alt": f"Importance of {plural(len(rows.features), 'feature')}. {caption}",
        "caption": caption,
    }


def _rows_used(rows: DrawnRows, parts: set[str]) -> str:
    used = list(dict.fromkeys((one.n, one.n_given) for one in rows.entries if one.n))
    if not used:
        return "Counted by each model while it was trained."
    said = [
        f"{count(n)} of {plural(given, 'row')}" if n < given else plural(n, "row")
        for n, given in used
    ]
    level = percent(rows.entries[0].level)
    has = any(not np.isnan(one.low).all() for one in rows.entries)
    signed = any(one.signs is not None and np.any(one.signs) for one in rows.entries)
    which = f" ({listing(sorted(parts))})" if len(parts) == 1 else ""
    counted = " The others counted in training." if not all(one.n for one in rows.entries) else ""
    bars = f" Bars: {level} interval." if has else ""
    signs = " + and −: larger values raise or lower the answer." if signed else ""
    return f"{listing(said)}{which}.{counted}{bars}{signs}"


def folded_words(rows: DrawnRows) -> list[str]:
    folded = rows.total - len(rows.features)
    if not folded:
        return []
    near = min(rows.near_zero, folded)
    what = [f"{count(near)} near zero for all"] if near else []
    what += [f"{count(folded - near)} less important"] if folded > near else []
    return [
        f"{count(len(rows.features))} of {plural(rows.total, 'feature')}; "
        f"not drawn: {listing(what)}."
    ]


def _span(rows: DrawnRows) -> tuple[float, float]:
    every = [
        rows.values(k, name) for k in range(len(rows.entries)) for name in ("values", "low", "high")
    ]
    ends = np.concatenate([values[np.isfinite(values)] for values in every])
    return min(0.0, float(ends.min(initial=0.0))), max(float(ends.max(initial=0.0)), 1e-12)


def _symbols(rows: DrawnRows, looks: Sequence[ModelStyle]) -> list[str]:
    """Each model's own marker; open where a model is there for the second time."""
    models = [one.model for one in rows.entries]
    return [
        look.symbol + ("-open" if models.index(model) < k else "")
        for k, (model, look) in enumerate(zip(models, looks, strict=True))
    ]


def unit_words(unit: str) -> str:
    return unit[:1].upper() + unit[1:]


def _looks(rows: DrawnRows, styles: Styles | None) -> list[ModelStyle]:
    models = list(dict.fromkeys(one.model for one in rows.entries))
    looks = dict(zip(models, looks_of(models, styles), strict=True))
    return [looks[one.model] for one in rows.entries]


def _as_dots(rows: DrawnRows, styles: Styles | None, theme: Theme) -> go.Figure:
    m, f = len(rows.entries), len(rows.features)
    looks = _looks(rows, styles)
    figure = canvas(
        theme,
        height=int(40 + f * max(24, 8 + 13 * m)),
        width=96,
        legend_rows=m if m > 1 else 0,
        xaxis={**axis(unit_words(rows.unit)), **span_axis(_span(rows), 1), **zero_line(theme)},
        yaxis=feature_axis(rows.features, 34, showgrid=True),
        showlegend=m > 1,
        clickmode="event+select",
        **_words(rows),
    )
    tell_meta(figure, rows)
    reach = min(0.32, 0.1 * (m - 1))
    shifts = np.linspace(-reach, reach, m) if m > 1 else [0.0]
    for k, (look, symbol) in enumerate(zip(looks, _symbols(rows, looks), strict=True)):
        _add_repeats(figure, rows, k, look, float(shifts[k]))
        figure.add_trace(_dots(rows, k, look, symbol, float(shifts[k]), theme))
    return figure


def tell_meta(figure: go.Figure, rows: DrawnRows) -> None:
    add_meta(figure, features=list(rows.features), models=[one.model for one in rows.entries])


def _error(rows: DrawnRows, k: int, colour: str) -> dict[str, Any]:
    values, low, high = (rows.values(k, name) for name in ("values", "low", "high"))
    return {
        "type": "data",
        "visible": not bool(np.isnan(low).all()),  # bars of no length would look like certainty
        "symmetric": False,
        "array": np.nan_to_num(high - values).astype(np.float32),
        "arrayminus": np.nan_to_num(values - low).astype(np.float32),
        "thickness": 2,
        "width": 3,
        "color": colour,
    }


def _dots(
    rows: DrawnRows, k: int, look: ModelStyle, symbol: str, shift: float, theme: Theme
) -> Trace:
    values = rows.values(k, "values")
    return scatter(
        x=values.astype(np.float32),
        y=(np.arange(len(rows.features)) + shift).astype(np.float32),
        error_x=_error(rows, k, look.colour),
        mode="markers+text",
        marker={"symbol": symbol, "size": 9, "color": look.colour},
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
        text=_sign_texts(rows, k),
        textposition="middle right",
        textfont={"size": 12, "color": ink(theme).muted},
        name=label(rows.labels[k], 60),
        hovertext=_sentences(rows, k),
        hovertemplate="%{hovertext}<extra></extra>",
        customdata=marks_of(-1, np.arange(len(rows.features)), k),
    )


def _add_repeats(
    figure: go.Figure, rows: DrawnRows, k: int, look: ModelStyle, shift: float, **axes: Any
) -> None:
    """Every repeat as a short tick, so that the spread of the shuffles alone can be seen."""
    one = rows.entries[k]
    if one.repeats is None:
        return
    at = rows.places[k]
    values = np.where((at >= 0)[:, None], one.repeats[at], np.nan) * rows.scales[k]
    n = values.shape[1]
    figure.add_trace(
        scatter(
            x=values.ravel().astype(np.float32),
            y=np.repeat(np.arange(len(at)) + shift, n).astype(np.float32),
            mode="markers",
            marker={
                "symbol": "line-ns-open",
                "size": 8,
                "color": translucent(look.colour, 0.55),
                "line": {"width": 1, "color": translucent(look.colour, 0.55)},
            },
            unselected={"marker": {"opacity": 1}},
            hoverinfo="skip",
            showlegend=False,
            **axes,
        )
    )


def _sign_texts(rows: DrawnRows, k: int) -> list[str]:
    signs = rows.entries[k].signs
    if signs is None:
        return [""] * len(rows.features)
    marks = {1: " +", -1: " −"}
    return [marks.get(int(signs[at]), "") if at >= 0 else "" for at in rows.places[k]]


def _sentences(rows: DrawnRows, k: int) -> list[str]:
    """What a mark says when it is pointed at."""
    one = rows.entries[k]
    best, worst = one.rank_bounds
    out = []
    for feature, at in zip(rows.features, rows.places[k], strict=True):
        if at < 0:
            out.append("")
            continue
        shown = interval(float(one.values[at]), float(one.low[at]), float(one.high[at]))
        place = place_words(one.ranks[at], best[at], worst[at], len(one.features))
        sign = 0 if one.signs is None else int(one.signs[at])
        way = {1: "<br>larger values raise the answer", -1: "<br>larger values lower the answer"}
        out.append(
            f"<i>{brief(one.model)}</i>, {brief(feature, 40)}:<br>"
            f"{shown} ({escape(one.unit)})<br>{place}{way.get(sign, '')}"
        )
    return out


def _as_columns(rows: DrawnRows, styles: Styles | None, theme: Theme) -> go.Figure:
    m, f = len(rows.entries), len(rows.features)
    looks = _looks(rows, styles)
    spans = [_span(rows)] * m
    made = panels(
        theme,
        list(rows.labels),
        dict(zip(rows.labels, looks, strict=True)),
        features=rows.features,
        xaxes=[{**span_axis(span, m, air=0.12), **zero_line(theme)} for span in spans],
        x_title=unit_words(rows.unit),
        yaxis=feature_axis(rows.features, panel_letters(m)),
        height=40 + 26 * f,
        width=96,
        bargap=0.35,
        **_words(rows),
    )
    add_meta(made.figure, models=[one.model for one in rows.entries])
    for k, look in enumerate(looks):
        values = rows.values(k, "values")
        made.figure.add_trace(
            bar(
                x=values.astype(np.float32),
                y=np.arange(f),
                orientation="h",
                marker={"color": translucent(look.colour, 0.75), "line": {"width": 0}},
                error_x=_error(rows, k, ink(theme).text),
                selected={"marker": {"opacity": 1}},
                unselected={"marker": {"opacity": 1}},
                text=_sign_texts(rows, k),
                textposition="outside",
                textfont={"size": 12, "color": ink(theme).muted},
                cliponaxis=False,
                hovertext=_sentences(rows, k),
                hovertemplate="%{hovertext}<extra></extra>",
                customdata=marks_of(-1, np.arange(f), k),
                **made.axes[k],
            )
        )
        _add_repeats(made.figure, rows, k, look, 0.0, **made.axes[k])
        _add_absent(made.figure, rows, k, theme, made.axes[k])
    return made.figure


def _add_absent(
    figure: go.Figure, rows: DrawnRows, k: int, theme: Theme, axes: Mapping[str, str]
) -> None:
    """Say where a model has no such feature; an empty row would read as zero."""
    for row in np.flatnonzero(rows.places[k] < 0):
        figure.add_annotation(
            x=0,
            y=int(row),
            xref=axes["xaxis"],
            yref=axes["yaxis"],
            xanchor="left",
            xshift=4,
            showarrow=False,
            text="not one of its features",
            font={"size": 11, "color": ink(theme).muted},
        )
