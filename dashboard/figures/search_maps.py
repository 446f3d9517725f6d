"""Two parameters of a search as a map: the score of the trials in each cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ..contracts import SearchParameter, SearchResults, SearchScore
from ..errors import ParameterError
from ..wording import count, number, plural
from .canvas import axis, canvas, lying_colorbar, number_ticks
from .drawn import heatmap, scatter
from .search_axes import (
    Across,
    along,
    best_ring,
    better_words,
    equal_steps,
    short_name,
    short_number,
)
from .search_captions import caption_best, statuses_words
from .search_lines import shown_trials, trial_sentence
from .theme import Theme, escape, ink, sequential_scale, style_of, text_on

__all__ = ["plot_search_map"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_MARKS = 2_000
MOST_CELLS = 24  # of one side of a map
MOST_TEXTS = 144  # cells up to which each says its score
DRAWING = 380


def plot_search_map(
    results: SearchResults,
    across: str,
    up: str,
    metric: str | None = None,
    *,
    summary: Literal["best", "mean"] = "best",
    theme: Theme = "light",
) -> go.Figure:
    """Two parameters as a heat map: the best (or mean) score of the trials in each cell.

    Parameters with more than 24 values (a random search) are drawn as dots whose shade is the
    score, since nearly every trial would have a cell of its own.

    Raises
    ------
    ParameterError : no such parameter or metric, or the same parameter twice.
    NotApplicable : no trial has a score.
    """
    score = results.score(metric)
    first, second = results.parameter(across), results.parameter(up)
    if across == up:
        raise ParameterError(f"{across} was given twice; a map needs two different parameters.")
    if summary not in ("best", "mean"):
        raise ParameterError(f"There is no summary {summary!r}; there are best and mean.")
    many = max(len(one.categories) for one in (first, second)) > MOST_CELLS
    x, y = (along(first), along(second)) if many else (equal_steps(first), equal_steps(second))
    shown = (
        f"shade: {score.metric}"
        if many
        else f"each cell: the {summary} {score.metric} of its trials"
    )
    caption = caption_best(results, score)
    names = f"{short_name(first)} and {short_name(second)}"
    title = f"{score.metric[:1].upper()}{score.metric[1:]} by {names}"
    figure = canvas(
        theme,
        title=f"<b>{escape(title)}</b>",
        subtitle=f"{statuses_words(results)} {shown[:1].upper()}{shown[1:]}.{better_words(score)}",
        name=f"search map {results.name} {across} {up}",
        alt=f"Scores by {names} of {plural(len(results), 'trial')}. {caption}",
        caption=caption,
        height=DRAWING if many else 140 + 34 * min(MOST_CELLS, len(second.categories)),
        width=76,
        below=44,
        xaxis=axis(short_name(first), **x.options),
        yaxis=axis(short_name(second), **y.options),
        showlegend=False,
    )
    if many:
        _add_shaded(figure, results, score, x, y, theme)
    else:
        _add_cells(figure, results, score, (first, second), (x, y), summary, theme)
    best = results.best(score.metric)
    if best is not None and np.isfinite(x.places[best]) and np.isfinite(y.places[best]):
        at = float(x.places[best]), float(y.places[best])
        if many:
            figure.add_trace(best_ring(*at))
        else:
            _frame_cell(figure, *at)
    return figure


def _frame_cell(figure: go.Figure, x: float, y: float) -> None:
    """A frame around the cell of the best trial, which leaves its number readable."""
    figure.add_shape(
        type="rect",
        x0=x - 0.48,
        x1=x + 0.48,
        y0=y - 0.48,
        y1=y + 0.48,
        line={"color": style_of(3).colour, "width": 3},
    )


def _shades(score: SearchScore, theme: Theme) -> tuple[list[tuple[float, str]], dict[str, Any]]:
    """Strong is better, where that is known."""
    scale = [(float(at), colour) for at, colour in sequential_scale(theme)]
    if score.larger_is_better is False:
        scale = [(1 - at, colour) for at, colour in reversed(scale)]
    known = score.validation[np.isfinite(score.validation)]
    ticks = number_ticks(float(known.min()), float(known.max()), 3) if len(known) else {}
    title = {"text": escape(score.metric), "side": "top", "font": {"size": 12}}
    return scale, lying_colorbar(title=title, tickfont={"size": 11}, **ticks)


def _add_shaded(
    figure: go.Figure,
    results: SearchResults,
    score: SearchScore,
    x: Across,
    y: Across,
    theme: Theme,
) -> None:
    scale, bar = _shades(score, theme)
    drawn = shown_trials(results, score, MOST_MARKS)
    both = np.isfinite(x.places) & np.isfinite(y.places)
    fit = results.comparable(score.metric)
    held, rest = drawn[(fit & both)[drawn]], drawn[(~fit & both)[drawn]]
    shared = {"mode": "markers", "hovertemplate": "%{text}<extra></extra>", "cliponaxis": False}
    for at, marker in (
        (rest, {"symbol": "x-thin-open", "size": 8, "color": ink(theme).rule}),
        (
            held,
            {
                "size": 11,
                "color": score.validation[held].astype(np.float32),
                "colorscale": scale,
                "colorbar": bar,
                "line": {"width": 1, "color": ink(theme).rule},
            },
        ),
    ):
        if len(at):
            figure.add_trace(
                scatter(
                    x=x.places[at].astype(np.float32),
                    y=y.places[at].astype(np.float32),
                    marker=marker,
                    text=[trial_sentence(results, score, int(k)) for k in at],
                    **shared,
                )
            )


def _add_cells(
    figure: go.Figure,
    results: SearchResults,
    score: SearchScore,
    parameters: tuple[SearchParameter, SearchParameter],
    axes: tuple[Across, Across],
    summary: str,
    theme: Theme,
) -> None:
    first, second = parameters
    shape = (len(second.categories), len(first.categories))
    cells, n, lost = _summarised(results, score, axes, shape, summary)
    scale, bar = _shades(score, theme)
    known = cells[np.isfinite(cells)]
    if not len(known):
        return
    figure.add_trace(
        heatmap(
            z=cells.astype(np.float32),
            colorscale=scale,
            colorbar=bar,
            xgap=2,
            ygap=2,
            hoverongaps=False,
            text=_cell_sentences(score, parameters, cells, n, lost, summary),
            hovertemplate="%{text}<extra></extra>",
        )
    )
    _write_cells(figure, cells, lost, scale, theme)


def _summarised(
    results: SearchResults,
    score: SearchScore,
    axes: tuple[Across, Across],
    shape: tuple[int, int],
    summary: str,
) -> tuple[Floats, Ints, Ints]:
    """`(rows, columns)`: the score of each cell, complete trials in it, trials without a score."""
    x, y = axes
    cells = np.full(shape, np.nan)
    n, lost = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    fit = results.comparable(score.metric)
    larger = score.larger_is_better is not False
    for k in np.flatnonzero(np.isfinite(x.places) & np.isfinite(y.places)):
        at = int(y.places[k]), int(x.places[k])
        if not fit[k]:
            lost[at] += 1
            continue
        n[at] += 1
        value = float(score.validation[k])
        if n[at] == 1:
            cells[at] = value
        elif summary == "mean":
            cells[at] += (value - cells[at]) / n[at]
        else:
            cells[at] = max(cells[at], value) if larger else min(cells[at], value)
    return cells, n, lost


def _cell_sentences(
    score: SearchScore,
    parameters: Sequence[SearchParameter],
    cells: Floats,
    n: Ints,
    lost: Ints,
    summary: str,
) -> list[list[str]]:
    names = [escape(short_name(one)) for one in parameters]
    first, second = ([escape(short_number(text)) for text in one.categories] for one in parameters)
    metric = escape(score.metric)
    out: list[list[str]] = []
    for i, row in enumerate(cells):
        out.append([])
        for j, value in enumerate(row):
            more = f",<br>{count(int(lost[i, j]))} more without a score" if lost[i, j] else ""
            out[-1].append(
                f"{names[0]} = {first[j]}, {names[1]} = {second[i]}:<br>{summary} {metric} "
                f"{number(float(value))} of {plural(int(n[i, j]), 'trial')}{more}"
            )
    return out


def _write_cells(
    figure: go.Figure,
    cells: Floats,
    lost: Ints,
    scale: list[tuple[float, str]],
    theme: Theme,
) -> None:
    """The score in each cell, where there is room; a cross where trials ended without one."""
    known = cells[np.isfinite(cells)]
    low, span = float(known.min()), float(np.ptp(known)) or 1.0
    texts = cells.size <= MOST_TEXTS
    marks = []
    for i, j in np.ndindex(cells.shape):
        value = float(cells[i, j])
        if np.isfinite(value) and texts:
            text, colour = number(value), text_on(scale, (value - low) / span)
        elif not np.isfinite(value) and lost[i, j]:
            text, colour = "×", ink(theme).muted
        else:
            continue
        font = {"size": 12, "color": colour}
        marks.append({"x": j, "y": i, "text": text, "showarrow": False, "font": font})
    figure.layout.annotations = marks
