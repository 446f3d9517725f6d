"""All trials of a search as lines across their parameters; those without an end stay in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ..contracts import SearchParameter, SearchResults, SearchScore
from ..contracts.searches import NOTHING
from ..errors import NotApplicable
from ..wording import count, number, plural, shorten, shorten_all
from .canvas import canvas, note
from .drawn import Trace, scatter
from .epoch_lines import log_ticks, short_tick
from .search_captions import caption_lines, statuses_words
from .theme import Theme, escape, ink, sequential_scale, style_of, translucent

__all__ = ["parameter_names", "plot_search_lines", "shown_trials", "trial_sentence"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_AXES = 12
MOST_MARKS = 4_000
BELOW = -0.16  # where lines pass an axis on which they have no value
SHADES = 8
MOST_LINES = 8  # parameters that a mark names when it is pointed at
_CEILING = 0.86  # of an axis of numbers that also has None, which stands at its top
_FEW = 6  # numbers beside an axis
_ROOM = 0.06  # of an axis, between two numbers beside it


@dataclass(frozen=True, eq=False)
class Axis:
    """One vertical axis.

    Attributes
    ----------
    places : `(n,)` 0 to 1 upwards; nan where a trial has no value.
    ticks : place → text.
    """

    title: str
    places: Floats
    ticks: dict[float, str]


def plot_search_lines(
    results: SearchResults, metric: str | None = None, *, theme: Theme = "light"
) -> go.Figure:
    """Parallel coordinates: a line for each trial, the score as the last axis, better upwards.

    A trial without a parameter, or without a score, passes below that axis, so that unfinished
    and conditional trials can be seen; they are dotted. At most 12 axes and 4,000 corners are
    drawn; what is left out is said.

    Raises
    ------
    NotApplicable : no trial has a score, or no parameter was varied.
    ParameterError : no such metric.
    """
    score = results.score(metric)
    varied = results.varied[:MOST_AXES]
    if not varied:
        raise NotApplicable(f"All trials of {results.name} have the same parameters.")
    axes = [
        _parameter_axis(one, name)
        for one, name in zip(varied, parameter_names(varied), strict=True)
    ]
    axes.append(_score_axis(score))
    drawn = shown_trials(results, score, MOST_MARKS // len(axes))
    figure = _empty(results, score, axes, len(drawn), theme)
    heights = np.column_stack([axis.places for axis in axes])
    complete = results.comparable(score.metric)
    _add_unfinished(figure, heights, drawn[~complete[drawn]], theme)
    _add_finished(figure, heights, drawn[complete[drawn]], theme)
    _add_ends(figure, results, score, heights, drawn, theme)
    best = results.best(score.metric)
    if best is not None:
        _add_best(figure, results, score, heights[best], best, theme)
    return figure


# --- axes --------------------------------------------------------------------------------------


def parameter_names(parameters: tuple[SearchParameter, ...] | list[SearchParameter]) -> list[str]:
    """Names without the steps before them, where still distinct: `max_depth`."""
    names = [one.name for one in parameters]
    bare = [name.rpartition("__")[2].rpartition("/")[2] for name in names]
    return bare if len(set(bare)) == len(set(names)) else names


def _parameter_axis(parameter: SearchParameter, title: str) -> Axis:
    if parameter.is_number:
        return _number_axis(parameter, title)
    known = parameter.categories
    step = 1 / max(1, len(known) - 1)
    places = np.array(
        [
            known.index(parameter.text(k)) * step if value is not None else np.nan
            for k, value in enumerate(parameter.values)
        ]
    )
    every = max(1, -(-len(known) // 8))
    return Axis(title, places, {k * step: known[k] for k in range(0, len(known), every)})


def _number_axis(parameter: SearchParameter, title: str) -> Axis:
    values = parameter.numbers
    known = np.unique(values[np.isfinite(values)])
    with_none = NOTHING in parameter.values
    top = _CEILING if with_none and len(known) else 1.0
    places = top * _unit(values, known, parameter.scale == "log")
    shown = _shown_numbers(known, parameter.scale == "log")
    heights = top * _unit(shown, known, parameter.scale == "log")
    kept = _apart(heights)
    ticks = {
        float(at): short_tick(float(v)) for at, v in zip(heights, shown, strict=True) if at in kept
    }
    if with_none:
        absent = np.array([value == NOTHING for value in parameter.values], dtype=bool)
        places = np.where(absent, 1.0, places)
        ticks[1.0] = NOTHING
    return Axis(title, places, ticks)


def _shown_numbers(known: Floats, log: bool) -> Floats:
    """What stands beside an axis: few values themselves, else round or evenly spread numbers."""
    if len(known) <= _FEW:
        return known
    if not log:
        return np.linspace(known[0], known[-1], 3)
    ticks = log_ticks(float(known[0]), float(known[-1]), _FEW).get("tickvals", ())
    return np.array(ticks if len(ticks) > 1 else [known[0], known[-1]])


def _apart(heights: Floats) -> set[float]:
    """Those that do not run into each other: the ends, and upwards what has room."""
    if not len(heights):
        return set()
    last = float(heights[-1])
    kept = [last]
    for at in map(float, heights[:-1]):
        if all(abs(at - one) >= _ROOM for one in kept):
            kept.append(at)
    return set(kept)


def _unit(values: Floats, known: Floats, log: bool) -> Floats:
    """0 at the smallest known value, 1 at the largest."""
    low, high = float(known[0]), float(known[-1])
    if low == high:
        return np.where(np.isfinite(values), 0.5, np.nan)
    if log:
        return np.asarray(np.log(values / low) / np.log(high / low))
    return np.asarray((values - low) / (high - low))


def _score_axis(score: SearchScore) -> Axis:
    values = score.validation
    known = np.unique(values[np.isfinite(values)])
    if not len(known):
        return Axis(score.metric, np.full(len(values), np.nan), {})
    places = _unit(values, known, False)
    shown = np.linspace(known[0], known[-1], 3) if len(known) > 1 else known
    heights = _unit(shown, known, False)
    if score.larger_is_better is False:
        places, heights = 1 - places, 1 - heights
    ticks = {float(at): number(float(v)) for at, v in zip(heights, shown, strict=True)}
    return Axis(score.metric, places, ticks)


def shown_trials(results: SearchResults, score: SearchScore, most: int) -> Ints:
    """Places of the trials that are drawn: the better half of them by rank, the rest evenly."""
    n = len(results)
    if n <= most:
        return np.arange(n)
    ranks = np.where(np.isfinite(score.validation), results.ranks(score.metric), np.inf)
    order = np.argsort(np.where(np.isnan(ranks), np.inf, ranks), kind="stable")
    half = most // 2
    rest = order[half:]
    evenly = rest[np.linspace(0, len(rest) - 1, most - half).astype(np.int64)]
    return np.sort(np.concatenate([order[:half], evenly]))


# --- the empty chart ---------------------------------------------------------------------------


def _empty(
    results: SearchResults, score: SearchScore, axes: list[Axis], n_drawn: int, theme: Theme
) -> go.Figure:
    caption = caption_lines(results, score)
    left_out = []
    if n_drawn < len(results):
        left_out.append(
            f"Drawn: {count(n_drawn)} of {plural(len(results), 'trial')}, the best among them."
        )
    if len(results.varied) > MOST_AXES:
        left_out.append(f"Drawn: {MOST_AXES} of {len(results.varied)} parameters.")
    n = len(axes)
    two_rows = n > 5
    absent = any(np.isnan(axis.places).any() for axis in axes)
    names = shorten_all([axis.title for axis in axes], max(8, round((85 + 85 * two_rows) / n)))
    hidden = {"showgrid": False, "showticklabels": False, "ticks": "", "showline": False}
    return canvas(
        theme,
        title="<b>All trials across their parameters</b>",
        subtitle=" ".join([statuses_words(results), *left_out]),
        name=f"search {results.name}",
        alt=f"Parallel coordinates of {plural(len(results), 'trial')}. {caption}",
        caption=caption,
        width=100,
        height=360,
        above=28 + 18 * two_rows,
        below=-24,
        left=24,
        xaxis={"range": [-0.35, n - 0.65], "fixedrange": True, **hidden},
        yaxis={
            "range": [BELOW - 0.06 if absent else -0.04, 1.04],
            "fixedrange": True,
            **hidden,
        },
        showlegend=False,
        # Given at once: Plotly checks all of them again with each that is added.
        shapes=[_axis_line(k, theme) for k in range(n)],
        annotations=[
            text
            for k, (axis, name) in enumerate(zip(axes, names, strict=True))
            for text in _axis_texts(axis, k, name, two_rows and k % 2 == 1, theme, last=k == n - 1)
        ],
    )


def _axis_line(k: int, theme: Theme) -> dict[str, Any]:
    line = {"color": ink(theme).rule, "width": 1}
    return {"type": "line", "x0": k, "x1": k, "y0": 0, "y1": 1, "line": line, "layer": "below"}


def _axis_texts(
    axis: Axis, k: int, name: str, raised: bool, theme: Theme, *, last: bool
) -> list[dict[str, Any]]:
    """The title above, the values beside, and what passing below means."""
    title = {
        **note(k, 1.04, name, theme, yanchor="bottom", yshift=4 + 18 * raised),
        "text": f"<b>{escape(name)}</b>" if last else escape(name),
        "hovertext": escape(axis.title),
        "font": {"size": 12, "color": ink(theme).text},
    }
    small = {"font": {"size": 11, "color": ink(theme).muted}}
    beside = {
        "xanchor": "left",
        "xshift": 5,
        "yshift": 7,
        "bgcolor": translucent(ink(theme).page, 0.9),
    }
    texts = [
        {**note(k, at, shorten(text, 12), theme, **beside), **small}
        for at, text in axis.ticks.items()
    ]
    if np.isnan(axis.places).any():
        said = "no score" if last else "not set"
        texts.append({**note(k, BELOW, said, theme, yanchor="top", yshift=-3), **small})
    return [title, *texts]


# --- lines -------------------------------------------------------------------------------------


def _corners(heights: Floats, trials: Ints) -> tuple[Floats, Floats]:
    """Lines of several trials as one, parted by nan."""
    held = np.where(np.isnan(heights[trials]), BELOW, heights[trials])
    m = held.shape[1]
    gap = np.full((len(trials), 1), np.nan)
    x = np.broadcast_to(np.arange(m, dtype=float), held.shape)
    return np.hstack([x, gap]).ravel(), np.hstack([held, gap]).ravel()


def _lines(heights: Floats, trials: Ints, line: dict[str, object], name: str) -> Trace:
    x, y = _corners(heights, trials)
    return scatter(
        x=x.astype(np.float32),
        y=y.astype(np.float32),
        mode="lines",
        line=line,
        hoverinfo="skip",
        name=name,
    )


def _add_unfinished(figure: go.Figure, heights: Floats, trials: Ints, theme: Theme) -> None:
    if len(trials):
        line = {"color": ink(theme).rule, "width": 1.2, "dash": "2px,3px"}
        figure.add_trace(_lines(heights, trials, line, "not complete"))


def _add_finished(figure: go.Figure, heights: Floats, trials: Ints, theme: Theme) -> None:
    """From pale to strong with the score; the strongest last, on top."""
    scale = sequential_scale(theme)
    shade = np.minimum((heights[trials, -1] * SHADES).astype(np.int64), SHADES - 1)
    for k in range(SHADES):
        held = trials[shade == k]
        if len(held):
            at = round((0.3 + 0.7 * k / (SHADES - 1)) * (len(scale) - 1))
            line = {"color": scale[at][1], "width": 1.2 + 0.6 * k / SHADES}
            figure.add_trace(_lines(heights, held, line, f"score in part {k + 1} of {SHADES}"))


def _add_ends(
    figure: go.Figure,
    results: SearchResults,
    score: SearchScore,
    heights: Floats,
    trials: Ints,
    theme: Theme,
) -> None:
    """A dot on the score axis for each trial, which says all of it."""
    ends = np.where(np.isnan(heights[trials, -1]), BELOW, heights[trials, -1])
    open_ = ~results.comparable(score.metric)[trials]
    figure.add_trace(
        scatter(
            x=np.full(len(trials), heights.shape[1] - 1, dtype=np.float32),
            y=ends.astype(np.float32),
            mode="markers",
            marker={
                "size": 7,
                "symbol": ["circle-open" if one else "circle" for one in open_],
                "color": ink(theme).muted,
            },
            text=[trial_sentence(results, score, int(at)) for at in trials],
            hovertemplate="%{text}<extra></extra>",
            cliponaxis=False,
            name="trials",
        )
    )


def _add_best(
    figure: go.Figure,
    results: SearchResults,
    score: SearchScore,
    heights: Floats,
    best: int,
    theme: Theme,
) -> None:
    style = style_of(3)
    figure.add_trace(
        scatter(
            x=np.arange(len(heights), dtype=np.float32),
            y=np.where(np.isnan(heights), BELOW, heights).astype(np.float32),
            mode="lines+markers",
            line={"color": style.colour, "width": 3},
            marker={"size": 8, "color": style.colour, "symbol": "diamond"},
            text=[trial_sentence(results, score, best)] * len(heights),
            hovertemplate="%{text}<extra></extra>",
            cliponaxis=False,
            name="best",
        )
    )


def trial_sentence(results: SearchResults, score: SearchScore, at: int) -> str:
    """What a mark of one trial says when it is pointed at."""
    status = results.status[at]
    value = float(score.validation[at])
    head = f"Trial <i>{escape(results.trials[at])}</i>: "
    if np.isfinite(value):
        head += f"{escape(score.metric)} {number(value)}"
        if score.spread is not None and np.isfinite(score.spread[at]):
            head += f" ± {number(float(score.spread[at]))}"
    else:
        head += "no score"
    head += "" if status == "complete" else f" ({status})"
    if results.resource is not None and np.isfinite(results.resource[at]):
        head += f", {count(float(results.resource[at]))} {escape(results.resource_name)}"
    if results.fit_seconds is not None and np.isfinite(results.fit_seconds[at]):
        head += f", {number(float(results.fit_seconds[at]))} s"
    names = parameter_names(results.parameters)
    held = [k for k, one in enumerate(results.parameters) if one.values[at] is not None]
    lines = [
        f"{escape(names[k])} = {escape(results.parameters[k].brief(at)[:40])}"
        for k in held[:MOST_LINES]
    ]
    more = [f"and {len(held) - MOST_LINES} more"] if len(held) > MOST_LINES else []
    return "<br>".join([head, *lines, *more])
