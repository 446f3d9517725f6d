"""Trials of a search as dots: score by one parameter, by fit time, by training score."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ..contracts import SearchResults, SearchScore
from ..errors import NotApplicable
from ..wording import count, number, plural
from .canvas import axis, canvas, number_ticks, reference_line
from .drawn import Trace, scatter
from .search_axes import Across, along, best_ring, better_words, numbers_axis, short_name
from .search_captions import caption_best, statuses_words
from .search_lines import shown_trials, trial_sentence
from .theme import Theme, escape, ink, style_of, translucent

__all__ = ["plot_search_parameter", "plot_search_times", "plot_search_training"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_MARKS = 2_000
MOST_BARS = 24  # trials up to which each has a bar for the spread of its folds
DRAWING = 380


# --- score against one number ------------------------------------------------------------------


def plot_search_parameter(
    results: SearchResults, parameter: str, metric: str | None = None, *, theme: Theme = "light"
) -> go.Figure:
    """Every trial's score by one parameter; trials without a score lie on the lower edge.

    Raises
    ------
    ParameterError : no such parameter or metric.
    NotApplicable : no trial has a score.
    """
    score, held = results.score(metric), results.parameter(parameter)
    across = along(held)
    name = short_name(held)
    absent = int((~held.present).sum())
    without = (
        f" {plural(absent, 'trial')} without it {'is' if absent == 1 else 'are'} not drawn."
        if absent
        else ""
    )
    caption = caption_best(results, score) + without
    return _scatter(
        results,
        score,
        across,
        theme,
        title=f"{score.metric} by {name}",
        x_title=name,
        what=f"search {results.name} {parameter}",
        caption=caption,
    )


def plot_search_times(
    results: SearchResults, metric: str | None = None, *, theme: Theme = "light"
) -> go.Figure:
    """Every trial's score by the seconds of a fit, with the line of the best for their time.

    Raises
    ------
    NotApplicable : the search did not keep times, or no trial has a score.
    ParameterError : no such metric.
    """
    score = results.score(metric)
    seconds = results.fit_seconds
    if seconds is None or not np.isfinite(seconds).any():
        raise NotApplicable(f"{results.name} does not say how long its fits took.")
    known = seconds[np.isfinite(seconds) & (seconds > 0)]
    log = len(known) > 1 and known.max() > 20 * known.min()
    places = np.where(seconds > 0, seconds, np.nan) if log else seconds
    across = Across(places, numbers_axis(known if log else seconds[np.isfinite(seconds)], log))
    front = _front(results, score, places)
    figure = _scatter(
        results,
        score,
        across,
        theme,
        title=f"{score.metric} by fit time",
        x_title="Seconds of a fit",
        what=f"search times {results.name}",
        caption=_times_caption(results, score, places, front),
    )
    if len(front) > 1:
        _add_front(figure, places[front], score.validation[front], theme)
    return figure


def _front(results: SearchResults, score: SearchScore, seconds: Floats) -> Ints:
    """Trials that no faster trial equals, the fastest first; none where no direction is known."""
    fit = np.flatnonzero(results.comparable(score.metric) & np.isfinite(seconds))
    if score.larger_is_better is None or not len(fit):
        return np.array([], dtype=np.int64)
    signed = score.validation * (1 if score.larger_is_better else -1)
    order = fit[np.lexsort((-signed[fit], seconds[fit]))]
    best = np.maximum.accumulate(signed[order])
    new = np.r_[True, best[1:] > best[:-1]]
    return np.asarray(order[new], dtype=np.int64)


def _add_front(figure: go.Figure, x: Floats, y: Floats, theme: Theme) -> None:
    figure.add_trace(
        scatter(
            x=x.astype(np.float32),
            y=y.astype(np.float32),
            mode="lines",
            line={"color": ink(theme).rule, "dash": "dot", "width": 1.5, "shape": "hv"},
            hoverinfo="skip",
            name="the best for their time",
        )
    )


def _times_caption(results: SearchResults, score: SearchScore, seconds: Floats, front: Ints) -> str:
    text = caption_best(results, score)
    best = results.best(score.metric)
    if best is None or len(front) < 2 or not np.isfinite(seconds[best]):
        return text
    quick = int(front[0])
    return (
        f"{text} It takes {number(float(seconds[best]))} s to fit; the fastest, trial "
        f"{results.trials[quick]}, takes {number(float(seconds[quick]))} s and has {score.metric} "
        f"{number(float(score.validation[quick]))}. Dotted: the best for their time."
    )


def plot_search_training(
    results: SearchResults, metric: str | None = None, *, theme: Theme = "light"
) -> go.Figure:
    """Every trial's validation score against its training score, with the line of no gap.

    Raises
    ------
    NotApplicable : the search did not keep training scores, or no trial has a score.
    ParameterError : no such metric.
    """
    score = results.score(metric)
    if score.train is None or not np.isfinite(score.train).any():
        raise NotApplicable(
            f"{results.name} holds no {score.metric} on the training rows. In scikit-learn, search "
            "with return_train_score=True."
        )
    known = score.train[np.isfinite(score.train)]
    figure = _scatter(
        results,
        score,
        Across(score.train, numbers_axis(known, False)),
        theme,
        title=f"{score.metric}: validation against training rows",
        x_title=f"{score.metric} on the training rows",
        what=f"search training {results.name}",
        caption=_training_caption(results, score),
    )
    fit = np.isfinite(score.train) & np.isfinite(score.validation)
    both = np.concatenate([score.train[fit], score.validation[fit]])
    if len(both):
        ends = [float(both.min()), float(both.max())]
        figure.add_trace(reference_line(ends, ends, theme, name="no gap"))
        low, high = numbers_axis(both, False)["range"]
        lower, upper = figure.layout.yaxis.range
        shared = number_ticks(min(low, lower), max(high, upper))
        figure.update_xaxes(range=[low, high], **shared)
        figure.update_yaxes(range=[min(low, lower), max(high, upper)], **shared)
    return figure


def _training_caption(results: SearchResults, score: SearchScore) -> str:
    best, text = results.best(score.metric), caption_best(results, score)
    if best is None or score.train is None or not np.isfinite(score.train[best]):
        return text
    gap = float(score.train[best] - score.validation[best])
    return (
        f"{text} On its training rows it has {number(float(score.train[best]))}, "
        f"{number(abs(gap))} {'more' if gap >= 0 else 'less'}. Dotted: no gap."
    )


def _scatter(
    results: SearchResults,
    score: SearchScore,
    across: Across,
    theme: Theme,
    *,
    title: str,
    x_title: str,
    what: str,
    caption: str,
) -> go.Figure:
    """Every trial as a dot: complete, not comparable (open), without a score (on the edge)."""
    drawn = shown_trials(results, score, MOST_MARKS)
    cut = (
        f" Drawn: {count(len(drawn))} of {plural(len(results), 'trial')}."
        if len(drawn) < len(results)
        else ""
    )
    floor, heights = _heights(score)
    figure = canvas(
        theme,
        title=f"<b>{escape(title[:1].upper() + title[1:])}</b>",
        subtitle=statuses_words(results) + better_words(score) + cut,
        name=what,
        alt=f"{title} of {plural(len(results), 'trial')}. {caption}",
        caption=caption,
        height=DRAWING,
        width=76,
        xaxis=axis(x_title, **across.options),
        yaxis=axis(score.metric, **heights),
        showlegend=False,
    )
    fit = results.comparable(score.metric)
    scored = np.isfinite(score.validation)
    for which, kind in ((fit, "complete"), (scored & ~fit, "partial"), (~scored, "failed")):
        held = drawn[which[drawn] & np.isfinite(across.places[drawn])]
        if len(held):
            figure.add_trace(_dots(results, score, across, held, kind, floor, theme))
    best = results.best(score.metric)
    if best is not None and np.isfinite(across.places[best]):
        figure.add_trace(best_ring(float(across.places[best]), float(score.validation[best])))
    return figure


def _heights(score: SearchScore) -> tuple[float, dict[str, object]]:
    """Where trials without a score lie, and the axis."""
    known = score.validation[np.isfinite(score.validation)]
    if score.spread is not None and len(score.validation) <= MOST_BARS:
        ends = np.concatenate([score.validation - score.spread, score.validation + score.spread])
        known = np.concatenate([known, ends[np.isfinite(ends)]])
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    span = (high - low) or abs(high) or 1.0
    lower, upper = low - 0.14 * span, high + 0.06 * span
    ticks = number_ticks(low - 0.04 * span, upper)
    return low - 0.1 * span, {"range": [lower, upper], **ticks}


def _dots(
    results: SearchResults,
    score: SearchScore,
    across: Across,
    held: Ints,
    kind: str,
    floor: float,
    theme: Theme,
) -> Trace:
    colour = style_of(0).colour if kind == "complete" else ink(theme).rule
    symbol = {"complete": "circle", "partial": "circle-open", "failed": "x-thin-open"}[kind]
    y = np.where(np.isfinite(score.validation[held]), score.validation[held], floor)
    spread = score.spread[held] if score.spread is not None and kind == "complete" else None
    few = spread is not None and len(results) <= MOST_BARS
    return scatter(
        x=across.places[held].astype(np.float32),
        y=y.astype(np.float32),
        mode="markers",
        marker={
            "symbol": symbol,
            "size": 8,
            "color": translucent(colour, 0.85) if kind == "complete" else colour,
            "line": {"width": 1.5 if kind != "complete" else 0, "color": colour},
        },
        error_y={
            "type": "data",
            "array": np.nan_to_num(spread) if few and spread is not None else [],
            "visible": few,
            "color": translucent(colour, 0.35),
            "thickness": 1,
            "width": 0,
        },
        text=[trial_sentence(results, score, int(at)) for at in held],
        hovertemplate="%{text}<extra></extra>",
        name={"complete": "complete", "partial": "not comparable", "failed": "no score"}[kind],
        cliponaxis=False,
    )
