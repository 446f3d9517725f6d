"""Confusion matrices: counts and shares on the cells, every cell a click target."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ..captions import caption_confusion, caption_confusion_difference
from ..errors import ParameterError
from ..wording import count, percent, plural, points, shorten, shorten_all, threshold
from .canvas import canvas, lying_colorbar, model_title, note
from .theme import (
    ModelStyle,
    Theme,
    diverging_scale,
    escape,
    ink,
    sequential_scale,
    text_on,
    translucent,
)

if TYPE_CHECKING:
    from ..diagnostics.confusion import ConfusionMatrix

__all__ = ["plot_confusion", "plot_confusion_difference"]

Normalise = Literal["none", "true", "pred", "all", "errors"]
FloatMatrix = npt.NDArray[np.floating[Any]]
Scale = tuple[tuple[float, str], ...]

_WORDS: dict[str, str] = {
    "none": "Rows in each cell",
    "true": "Share of each true class",
    "pred": "Share of each predicted class",
    "all": "Share of all rows",
    "errors": "Mistakes as a share of each true class",
}
SHARES_BELOW = 12  # classes up to which a cell holds its count and its share
SEEN = 0.0005  # smaller differences of shares read "0 points"
_AIR = "\u200a"  # a letter that Plotly counts when it sizes text to cells, but hardly draws
TEXT_BELOW = 15  # classes up to which a cell holds any text


def _sentences(matrix: ConfusionMatrix) -> list[str]:
    """One full sentence per cell, in row order; where cells are many, the part that differs.

    The rest is then in the hover template, which keeps 50 classes below 100 kB.
    """
    if len(matrix.labels) > TEXT_BELOW:
        totals = matrix.counts.sum(axis=1)
        return [
            f"{count(n)} of {plural(total, 'row')} ({percent(n / total)})" if n else "no rows"
            for row, total in zip(matrix.counts.tolist(), totals.tolist(), strict=True)
            for n in row
        ]
    return _full_sentences(matrix)


def _full_sentences(matrix: ConfusionMatrix) -> list[str]:
    names = [escape(name) for name in matrix.labels]
    totals = matrix.counts.sum(axis=1)
    found: list[str] = []
    for i, true in enumerate(names):
        if not totals[i] > 0:
            found.extend([f"No rows are <i>{true}</i>."] * len(names))
            continue
        shown = " shown here" if matrix.note else ""
        start = f"Of {plural(totals[i], 'row')}{shown} that are <i>{true}</i>,<br>"
        for j, predicted in enumerate(names):
            n = float(matrix.counts[i, j])
            share = percent(n / totals[i])
            verb = "was" if n == 1 else "were"
            end = "rightly called" if i == j else "called"
            found.append(f"{start}{count(n)} ({share}) {verb} {end} <i>{predicted}</i>.")
    return found


def _brief(share: float, k: int) -> str:
    """A share short enough for its cell; whole percentages where cells are small."""
    if k <= 2:
        return percent(share).replace(" %", "%")
    return "<1%" if 0 < share < 0.005 else f"{share * 100:.0f}%"


def _cell_texts(matrix: ConfusionMatrix, normalise: Normalise) -> list[list[str]]:
    k = len(matrix.labels)
    if k > TEXT_BELOW:
        return []
    shares = matrix.shares("true" if normalise == "none" else normalise)
    rows: list[list[str]] = []
    for i in range(k):
        row = []
        for j in range(k):
            n, share = float(matrix.counts[i, j]), float(shares[i, j])
            if (n == 0 and k > 4) or (normalise == "errors" and i == j):
                row.append("")
            elif k <= SHARES_BELOW:
                row.append(f"{count(n)}<br>{_brief(share, k)}{_AIR}")
            else:
                row.append(f"{count(n) if normalise == 'none' else _brief(share, k)}{_AIR}")
        rows.append(row)
    return rows


def _blank(text: str) -> str:
    """As many letters and lines as `text`, none of them visible, so that both layers size alike."""
    return "<br>".join("\u2007" * max(1, len(line)) for line in text.split("<br>"))


def _text_layers(
    texts: list[list[str]], z: FloatMatrix, scale: Scale, low: float, high: float
) -> list[dict[str, Any]]:
    """Dark and light text over the cells; Plotly sizes the letters to the cells."""
    if not texts:
        return []
    at = np.nan_to_num((z - low) / (high - low) if high > low else np.zeros_like(z))
    colours = [[text_on(scale, float(value)) for value in row] for row in at]
    clear = [[0, "rgba(0,0,0,0)"], [1, "rgba(0,0,0,0)"]]
    layers = []
    for colour in sorted({one for row in colours for one in row}):
        shown = [
            [text if own == colour else _blank(text) for text, own in zip(row, owns, strict=True)]
            for row, owns in zip(texts, colours, strict=True)
        ]
        layers.append(
            {
                "type": "heatmap",
                "z": np.zeros(z.shape, dtype=np.float32),
                "text": shown,
                "texttemplate": "%{text}",
                "textfont": {"color": colour},
                "colorscale": clear,
                "showscale": False,
                "hoverinfo": "skip",
                "name": f"text {colour}",
            }
        )
    return layers


def _targets(sentences: list[str], k: int, side: float, theme: Theme) -> dict[str, Any]:
    """Near-invisible squares that take hover and clicks: heat maps send no click to Streamlit."""
    cells = [[i, j] for i in range(k) for j in range(k)]
    return {
        "type": "scatter",
        "x": [j for _, j in cells],
        "y": [i for i, _ in cells],
        "customdata": cells,
        "text": sentences,
        "mode": "markers",
        "marker": {"symbol": "square", "size": side, "opacity": 0.01, "color": "rgba(0,0,0,0)"},
        "selected": {"marker": {"opacity": 0.35, "color": ink(theme).rule}},
        "unselected": {"marker": {"opacity": 0.01}},
        "hovertemplate": (
            "" if k <= TEXT_BELOW else "True class <i>%{y}</i>, called <i>%{x}</i>:<br>"
        )
        + "%{text}<extra></extra>",
        "showlegend": False,
        "name": "cells",
    }


def _size(k: int) -> int:
    """Largest side of the matrix in pixels, the same for every model with these classes.

    Cells are square: in columns narrower than this the matrix is as wide as they allow.
    """
    return 200 if k <= 4 else 270 if k <= 10 else 420


def _letters(k: int) -> int:
    """How long the names of `k` classes are at most."""
    return 9 if k <= 2 else 10 if k <= 10 else 12


def _class_axis(title: str, names: tuple[str, ...], angle: int, **options: Any) -> dict[str, Any]:
    """Names cut in the middle, turned by `angle`; only every other one where they would touch."""
    k = len(names)
    pitch = 360 / k  # pixels a class, beyond ten classes, in a column of 450
    step = math.ceil(10 / pitch)
    shown = shorten_all(names, _letters(k))
    return {
        "title": {"text": title, "standoff": 6},
        "tickmode": "array",
        "tickvals": list(range(0, k, step)),
        "ticktext": [escape(name) for name in shown[::step]],
        "tickangle": angle,
        "ticklabeloverflow": "allow",
        "tickfont": {"size": int(min(12, 11 if k <= 10 else 0.75 * pitch * step))},
        "range": [-0.5, k - 0.5],
        "showgrid": False,
        "tickcolor": "rgba(0,0,0,0)",
        **options,
    }


def _matrix_figure(
    matrix: ConfusionMatrix,
    z: FloatMatrix,
    texts: list[list[str]],
    sentences: list[str],
    *,
    bounds: tuple[float, float],
    scale: Scale,
    theme: Theme,
    titles: tuple[str, str],
    name: str,
    alt: str,
    caption: str,
    tickformat: str,
    selected: tuple[int, int] | None,
) -> go.Figure:
    k, side = len(matrix.labels), _size(len(matrix.labels))
    low, high = bounds
    cells = {
        "type": "heatmap",
        "z": np.asarray(z, dtype=np.float32),
        "zmin": low,
        "zmax": high,
        "colorscale": [list(stop) for stop in scale],
        "hoverinfo": "skip",
        "showscale": k > TEXT_BELOW,
        "colorbar": lying_colorbar(tickformat=tickformat, nticks=3),
        "xgap": 1 if k <= TEXT_BELOW else 0,
        "ygap": 1 if k <= TEXT_BELOW else 0,
        "name": "share",
    }
    layers = _text_layers(texts, z, scale, low, high)
    return canvas(
        theme,
        title=titles[0],
        subtitle=titles[1],
        name=name,
        alt=alt,
        caption=caption,
        height=side + 60,
        small=True,
        square=True,
        below=30 if k > TEXT_BELOW else 0,
        xaxis=_class_axis("Predicted class", matrix.labels, _turned(matrix.labels)),
        yaxis=_class_axis("True class", matrix.labels, -90 * (k <= 2), range=[k - 0.5, -0.5]),
        clickmode="event+select",
        dragmode=False,
        hoverdistance=-1,
        showlegend=False,
        shapes=_frames(k, selected, theme),
        data=[cells, *layers, _targets(sentences, k, 0.62 * side / k, theme)],
    )


def _frames(k: int, selected: tuple[int, int] | None, theme: Theme) -> list[dict[str, Any]]:
    """A quiet line around the matrix, and a strong one around the selected cell."""
    frames = [
        {**_around(0, k, 0, k), "line": {"color": translucent(ink(theme).rule, 0.5), "width": 1}}
    ]
    if selected is not None:
        i, j = selected
        # a dark line on a dark cell needs a light one around it, and the reverse
        for colour, width in ((ink(theme).page, 7), (ink(theme).text, 3)):
            frames.append({**_around(i, 1, j, 1), "line": {"color": colour, "width": width}})
    return frames


def _turned(names: tuple[str, ...]) -> int:
    """The angle of the names below the matrix: level only where the narrowest column has room."""
    k = len(names)
    room = {1: 9, 2: 9, 3: 4, 4: 3}.get(k, 2 if k <= 20 else 1)
    longest = max((len(name) for name in shorten_all(names, _letters(k))), default=0)
    return 0 if longest <= room else -90


def _around(row: int, rows: int, column: int, columns: int) -> dict[str, Any]:
    """A rectangle around cells."""
    across = {"x0": column - 0.5, "x1": column + columns - 0.5}
    return {"type": "rect", "y0": row - 0.5, "y1": row + rows - 0.5, **across}


def plot_confusion(
    matrix: ConfusionMatrix,
    *,
    normalise: Normalise = "true",
    style: ModelStyle | None = None,
    theme: Theme = "light",
    zmax: float | None = None,
    selected: tuple[int, int] | None = None,
) -> go.Figure:
    """One model's confusion matrix: true classes downwards, predicted classes across.

    Parameters
    ----------
    normalise : what the colour shows: counts, share of the row, of the column, of all, or
        the mistakes alone as shares of the row ("errors": diagonal left out).
    zmax : upper end of the colours, to share one scale among several models.
    selected : `(true, predicted)` of a cell to frame.

    A click selects a point of the last trace, whose `customdata` is `[true, predicted]`.

    Raises
    ------
    ParameterError : an unknown `normalise`.
    """
    if normalise not in _WORDS:
        raise ParameterError(f"normalise {normalise!r} is unknown. Known: {', '.join(_WORDS)}.")
    z = matrix.counts if normalise == "none" else matrix.shares(normalise)
    top = float(np.nanmax(z)) if z.size and np.isfinite(z).any() else 1.0
    if normalise in ("true", "pred"):
        top = 1.0
    high = (top or 1.0) if zmax is None else zmax
    at = "" if matrix.threshold is None else f"\nThreshold {threshold(matrix.threshold)}"
    caption = caption_confusion(matrix)
    return _matrix_figure(
        matrix,
        z,
        _cell_texts(matrix, normalise),
        _sentences(matrix),
        bounds=(0.0, high),
        scale=sequential_scale(theme),
        theme=theme,
        titles=(
            model_title(matrix.model, style),
            f"{_WORDS[normalise]}\n{plural(matrix.n, 'row')}{at}",
        ),
        name=f"confusion {matrix.model}",
        alt=f"Confusion matrix of {matrix.model} with {len(matrix.labels)} classes. {caption}",
        caption=caption,
        tickformat=",.3~s" if normalise == "none" else ".0%",
        selected=selected,
    )


def _difference_sentences(
    matrix: ConfusionMatrix, reference: ConfusionMatrix, change: FloatMatrix
) -> list[str]:
    ours, theirs = matrix.shares("true"), reference.shares("true")
    if len(matrix.labels) > TEXT_BELOW:
        return [points(x) for x in change.ravel().tolist()]
    names = [escape(name) for name in matrix.labels]
    one, other = escape(matrix.model), escape(reference.model)
    return [
        f"Of rows that are <i>{names[i]}</i>, <i>{one}</i> calls {percent(ours[i, j])} "
        f"<i>{names[j]}</i>,<br><i>{other}</i> {percent(theirs[i, j])} ({points(change[i, j])})."
        for i in range(len(names))
        for j in range(len(names))
    ]


def plot_confusion_difference(
    matrix: ConfusionMatrix,
    reference: ConfusionMatrix,
    *,
    style: ModelStyle | None = None,
    theme: Theme = "light",
    zmax: float | None = None,
    selected: tuple[int, int] | None = None,
) -> go.Figure:
    """Shares of each true class, minus those of the reference, in percentage points.

    Blue: more than the reference; orange: less. `zmax`: largest difference on the colour scale.

    Raises
    ------
    ParameterError : the two matrices have different classes.
    """
    if tuple(matrix.labels) != tuple(reference.labels):
        raise ParameterError(
            f"{matrix.model} has {len(matrix.labels)} classes, {reference.model} "
            f"{len(reference.labels)}, or in another order. Compare matrices of the same classes."
        )
    change = matrix.shares("true") - reference.shares("true")
    k = len(matrix.labels)
    most = float(np.nanmax(np.abs(change))) if np.isfinite(change).any() else 0.0
    high = zmax or most or 0.01
    texts = [
        ["" if abs(x) < SEEN or np.isnan(x) else points(x).split()[0] for x in row.tolist()]
        for row in (change if k <= TEXT_BELOW else change[:0])
    ]
    caption = caption_confusion_difference(matrix, reference)
    other = shorten(reference.model, 19)
    what = (
        f"Minus {other}\nPoints of each true class"
        if most >= SEEN
        else f"No difference to\n{other}"
    )
    figure = _matrix_figure(
        matrix,
        change,
        texts,
        _difference_sentences(matrix, reference, change),
        bounds=(-high, high),
        scale=diverging_scale(theme),
        theme=theme,
        titles=(
            model_title(matrix.model, style),
            f"{what}\n{plural(matrix.n, 'row')}",
        ),
        name=f"confusion {matrix.model} minus {reference.model}",
        alt=f"Difference of two confusion matrices. {caption}",
        caption=caption,
        tickformat="+.0%",
        selected=selected,
    )
    if most < SEEN:
        _say_equal(figure, matrix, theme)
    return figure


def _say_equal(figure: go.Figure, matrix: ConfusionMatrix, theme: Theme) -> None:
    """The counts, quietly, or words where cells are small: an empty box looks like a failure."""
    middle = (len(matrix.labels) - 1) / 2
    if len(matrix.labels) > TEXT_BELOW:
        figure.add_annotation(note(middle, middle, "No difference", theme))
        return
    figure.data[0].update(
        text=[[f"{count(n)}{_AIR}" for n in row] for row in matrix.counts.tolist()],
        texttemplate="%{text}",
        textfont={"color": ink(theme).muted},
    )
