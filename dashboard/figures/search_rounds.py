"""A search in rounds: every candidate's score by what it was given, a line through its rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ..contracts import SearchResults, SearchScore
from ..wording import count, number, plural
from .canvas import axis, canvas, number_ticks
from .search_axes import best_ring, better_words, numbers_axis
from .search_captions import caption_best
from .search_lines import trial_sentence
from .theme import Theme, escape, ink, style_of, translucent

if TYPE_CHECKING:
    from ..diagnostics.search_rounds import SearchRounds

__all__ = ["plot_search_rounds"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_LINES = 400  # candidates
DRAWING = 380
_FEW = 8  # amounts that are all written at the axis
_NARROW = 4.0  # largest over smallest amount from which the axis is logarithmic


def plot_search_rounds(
    results: SearchResults,
    rounds: SearchRounds,
    metric: str | None = None,
    *,
    theme: Theme = "light",
) -> go.Figure:
    """Score by rows, epochs or whatever the rounds give more of; those that went on are joined.

    Candidates of the last round are drawn strong, those dropped before in grey.

    Raises
    ------
    NotApplicable : no trial has a score.
    ParameterError : no such metric.
    """
    score = results.score(metric)
    paths = [
        held for path in rounds.paths if len(held := path[np.isfinite(score.validation[path])])
    ]
    ended = [rounds.level[path[-1]] == len(rounds.levels) - 1 for path in paths]
    shown, cut = _shown(paths, ended)
    given = rounds.levels[np.maximum(rounds.level, 0)]
    log = rounds.levels[0] > 0 and rounds.levels[-1] >= _NARROW * rounds.levels[0]
    across = _across(rounds.levels, bool(log))
    caption = _caption(results, score, rounds, paths)
    figure = canvas(
        theme,
        title=f"<b>{escape(f'{score.metric[:1].upper()}{score.metric[1:]} round by round')}</b>",
        subtitle=f"{rounds.sentence}{better_words(score)}{cut}",
        name=f"search rounds {results.name}",
        alt=f"Score of {plural(len(paths), 'candidate')} by {rounds.name}. {caption}",
        caption=caption,
        height=DRAWING,
        width=76,
        xaxis=axis(f"{rounds.name[:1].upper()}{rounds.name[1:]} given to a trial", **across),
        yaxis=axis(score.metric, **_heights(score)),
        showlegend=False,
        data=[
            _trace(results, score, given, [p for p, last in shown if last is which], which, theme)
            for which in (False, True)
        ],
    )
    best = results.best(score.metric)
    if best is not None and rounds.level[best] >= 0:
        figure.add_trace(best_ring(float(given[best]), float(score.validation[best])))
    return figure


def _shown(paths: list[Ints], ended: list[Any]) -> tuple[list[tuple[Ints, bool]], str]:
    """The candidates that came furthest first, and what is left out, in words."""
    both = [(path, bool(last)) for path, last in zip(paths, ended, strict=True)]
    both.sort(key=lambda pair: -len(pair[0]))
    left = len(both) > MOST_LINES
    words = f" Drawn: {MOST_LINES} of {count(len(both))} candidates." if left else ""
    return both[:MOST_LINES], words


def _across(levels: Floats, log: bool) -> dict[str, Any]:
    """An axis whose numbers are the amounts themselves, where they are few."""
    options = numbers_axis(levels, log)
    if len(levels) <= _FEW:
        options |= {"tickmode": "array", "tickvals": levels.tolist()}
        options["ticktext"] = [count(float(one)) for one in levels]
    return options


def _heights(score: SearchScore) -> dict[str, Any]:
    known = score.validation[np.isfinite(score.validation)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    air = 0.06 * ((high - low) or abs(high) or 1.0)
    return {"range": [low - air, high + air], **number_ticks(low - air, high + air)}


def _trace(
    results: SearchResults,
    score: SearchScore,
    given: Floats,
    paths: list[Ints],
    last: bool,
    theme: Theme,
) -> dict[str, Any]:
    """Lines of several candidates as one trace, parted by gaps."""
    colour = style_of(0).colour if last else ink(theme).rule
    gap = np.array([np.nan])
    x = [part for path in paths for part in (given[path], gap)]
    y = [part for path in paths for part in (score.validation[path], gap)]
    texts = [[trial_sentence(results, score, int(at)) for at in path] + [""] for path in paths]
    return {
        "type": "scatter",
        "x": np.concatenate(x).astype(np.float32) if x else np.empty(0, dtype=np.float32),
        "y": np.concatenate(y).astype(np.float32) if y else np.empty(0, dtype=np.float32),
        "mode": "lines+markers",
        "line": {"color": translucent(colour, 0.7), "width": 2 if last else 1.2},
        "marker": {"color": colour, "size": 8, "symbol": "circle" if last else "circle-open"},
        "text": [text for some in texts for text in some],
        "hovertemplate": "%{text}<extra></extra>",
        "connectgaps": False,
        "cliponaxis": False,
        "name": "reached the last round" if last else "dropped before",
    }


def _caption(
    results: SearchResults, score: SearchScore, rounds: SearchRounds, paths: list[Ints]
) -> str:
    """The best, and where it stood at first."""
    text = caption_best(results, score)
    best = results.best(score.metric)
    marks = " Filled: candidates of the last round; open: dropped before."
    own = [path for path in paths if best is not None and best in path and len(path) > 1]
    if best is None or not own:
        return text + marks
    start = int(own[0][0])
    beside = np.flatnonzero((rounds.level == rounds.level[start]) & np.isfinite(score.validation))
    sign = 1 if score.larger_is_better else -1
    ahead = int((sign * score.validation[beside] > sign * score.validation[start]).sum())
    amount = count(float(rounds.levels[rounds.level[start]]))
    place = "first" if not ahead else f"number {count(ahead + 1)}"
    return (
        f"{text} With {amount} {rounds.name} it was {place} of {count(len(beside))}, at "
        f"{number(float(score.validation[start]))}.{marks}"
    )
