"""Texts: each word coloured by what it adds, and the strongest words of all models in rows."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from ..contracts import Label
from ..diagnostics.attributions import in_unit, the_unit
from ..wording import count, listing, number, percent, plural, shorten
from .canvas import models_title, number_ticks
from .drawn import Trace, bar
from .panels import Styles, feature_axis, panels, zero_line
from .theme import LOWERS, RAISES, Theme, escape, ink, translucent
from .waterfalls import signed

if TYPE_CHECKING:
    from ..diagnostics.words import StrongestWords, WordExplanation

__all__ = ["plot_words", "words_html"]

PITCH = 26  # pixels a word
_STRONG = 0.5  # of the colour behind the strongest word: text on it stays readable
_FAINT = 0.04  # of the strongest: weaker words are left without colour


def words_html(
    explanation: WordExplanation,
    output: Label | None = None,
    *,
    span: float | None = None,
    theme: Theme = "light",
) -> str:
    """The text as HTML, each word on the colour of what it adds; safe to show as it is.

    Blue with a solid line under it raises the answer, orange with a dotted line lowers it; the
    number is in the tooltip. `span` is the strongest value of all texts side by side.
    """
    place = explanation.place(output)
    values, spread = explanation.values[:, place], explanation.spread[:, place]
    unit = in_unit(explanation.space, explanation.output_names[place], 60)
    most = span or float(np.abs(values).max(initial=0)) or 1.0
    text, pieces, last = explanation.split.text, [], 0
    for start, end, term in explanation.split.spans:
        pieces.append(_plain(text[last:start]))
        pieces.append(_word(text[start:end], float(values[term]), float(spread[term]), most, unit))
        last = end
    pieces.append(_plain(text[last:]))
    colour = ink(theme).text
    return (
        f'<div class="sidelight-words" style="color:{colour};line-height:1.9;'
        f'overflow-wrap:anywhere">{"".join(pieces)}</div>'
    )


def _plain(text: str) -> str:
    """Text that neither HTML nor Markdown reads anything into."""
    escaped = html.escape(text, quote=True)
    for sign in "\\`*_{}[]()#+-!|~$:":
        escaped = escaped.replace(sign, f"&#{ord(sign)};") if sign != "#" else escaped
    return escaped.replace("\r\n", "\n").replace("\n", "<br>")


def _word(word: str, value: float, reach: float, most: float, unit: str) -> str:
    share = min(1.0, abs(value) / most)
    if share < _FAINT:
        return _plain(word)
    raises = value > 0
    give = f" (± {number(reach)})" if reach > 0 else ""
    title = _plain(f"{'raises' if raises else 'lowers'} the {unit} by {number(abs(value))}{give}")
    colour, line = (RAISES, "solid") if raises else (LOWERS, "dotted")
    ground = translucent(colour, round(_STRONG * share**0.7, 3))
    return (
        f'<span title="{title}" style="background:{ground};border-bottom:2px {line} {colour};'
        f'border-radius:3px;padding:1px 2px">{_plain(word)}</span>'
    )


def plot_words(
    strongest: StrongestWords,
    styles: Styles | None = None,
    *,
    theme: Theme = "light",
) -> go.Figure:
    """The words that move the models most for one text, on the same rows and axis."""
    explanations, words, output = strongest.explanations, strongest.words, strongest.output
    models, first = [one.model for one in explanations], explanations[0]
    caption = _caption(explanations, output)
    reach = max(_reach(one, output) for one in explanations) or 1.0
    rest = f"{count(len(words))} of {plural(strongest.n_words, 'word')}"
    figure, axes = panels(
        theme,
        models,
        styles,
        features=words,
        title=models_title(f"Which words of row {first.row:,} move the answer", models),
        subtitle=f"{rest}; blue raises, orange lowers\n{_how(explanations)}",
        width=76,
        name=f"words row {first.row} " + " ".join(models),
        alt=f"Words of row {first.row:,} for {plural(len(models), 'model')}. {caption}",
        caption=caption,
        height=70 + PITCH * len(words),
        xaxes=[
            {"range": [-reach, reach], **number_ticks(-reach, reach, 4), **zero_line(theme)}
            for _ in explanations
        ],
        x_title=[
            f"Adds to {the_unit(one.space, one.output_names[one.place(output)])}"
            for one in explanations
        ],
        yaxis=feature_axis([_quoted(word) for word in words], 26),
        bargap=0.3,
    )
    for k, (one, where) in enumerate(zip(explanations, axes, strict=True)):
        figure.add_trace(_bars(one, words, output, where, k, theme))
    return figure


def _quoted(word: str) -> str:
    return f"“{shorten(word, 24)}”"


def _reach(one: WordExplanation, output: Label | None) -> float:
    place = one.place(output)
    ends = np.abs(one.values[:, place]) + one.spread[:, place]
    return 1.08 * float(ends.max(initial=0))


def _bars(
    one: WordExplanation,
    words: Sequence[str],
    output: Label | None,
    where: dict[str, str],
    model: int,
    theme: Theme,
) -> Trace:
    place = one.place(output)
    at = [one.split.terms.index(word) for word in words]
    values, spread = one.values[at, place], one.spread[at, place]
    times = np.bincount([term for _, _, term in one.split.spans], minlength=len(one.values))[at]
    said = [
        f"{escape(_quoted(word))}, {plural(int(n), 'time')}:<br>{signed(float(value))}"
        + (f" (± {number(float(reach))})" if reach > 0 else "")
        for word, n, value, reach in zip(words, times, values, spread, strict=True)
    ]
    return bar(
        x=values.tolist(),
        y=list(range(len(words))),
        orientation="h",
        marker={"color": [RAISES if value >= 0 else LOWERS for value in values]},
        unselected={"marker": {"opacity": 1}},
        error_x={
            "type": "data",
            "array": spread.tolist(),
            "color": ink(theme).muted,
            "thickness": 1.5,
            "width": 0,
            "visible": bool(spread.any()),
        },
        customdata=[[one.row, k, model] for k in range(len(words))],
        hovertext=said,
        hovertemplate="%{hovertext}<extra></extra>",
        name=f"words {escape(one.model)}",
        **where,
    )


def _how(explanations: Sequence[WordExplanation]) -> str:
    if all(one.exact for one in explanations):
        return "Exact Shapley values: words that are unknown are taken out of the text"
    texts = max(one.n_texts for one in explanations)
    level = percent(explanations[0].level)
    return f"Shapley values from {count(texts)} shortened texts; whiskers: {level} interval"


def _caption(explanations: Sequence[WordExplanation], output: Label | None) -> str:
    """Each model's strongest words and what they do."""
    parts = []
    for one in explanations:
        values = one.values[:, one.place(output)]
        order = np.argsort(-np.abs(values), kind="stable")[:3]
        strong = [
            f"{_quoted(one.split.terms[at])} ({signed(float(values[at]))})"
            for at in order
            if values[at]
        ]
        place = one.place(output)
        ends = f"{number(float(one.base[place]))} without any word"
        if strong:
            ends += f", {number(float(one.predictions[place]))} with all; most by {listing(strong)}"
        parts.append(f"{one.model}: {ends}")
    return f"{'. '.join(parts)}."
