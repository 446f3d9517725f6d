"""The empty chart that every figure starts from, and the parts that several of them share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ..wording import listing, number, shorten_all, threshold
from .drawn import Drawn
from .export import file_stem
from .theme import ModelStyle, Theme, escape, ink, label, template

__all__ = [
    "SHARE_TICKS",
    "SMALL_AXIS",
    "axis",
    "canvas",
    "columns",
    "few_ticks",
    "lying_colorbar",
    "model_title",
    "models_title",
    "note",
    "number_ticks",
    "reference_line",
    "share_axis",
    "threshold_texts",
    "wrapped",
]

SHARE_TICKS: dict[str, Any] = {
    "tickmode": "array",
    "tickvals": [0, 0.2, 0.4, 0.6, 0.8, 1],
    "ticktext": ["0", ".2", ".4", ".6", ".8", "1"],
}


def wrapped(text: str, width: int) -> str:
    """Escaped text with line breaks at words, for Plotly, which never wraps by itself.

    A number and the word after it stay together; line breaks in the text are kept.
    """
    lines: list[str] = []
    for part in text.strip().split("\n"):
        line, *words = re.split(r"(?<!\d)\s+", part.strip())
        for word in words:
            if len(line) + 1 + len(word) <= width:
                line += f" {word}"
            else:
                lines.append(line)
                line = word
        lines.append(line)
    return "<br>".join(escape(line) for line in lines)


def model_title(name: str, style: ModelStyle | None, width: int = 20) -> str:
    """A title for one model's chart: its marker in its colour, then its name on one line."""
    mark = f'<span style="color:{style.colour}">{style.glyph}</span> ' if style else ""
    return f'{mark}<span style="font-size:13px"><b>{label(name, width)}</b></span>'


def models_title(kind: str, names: Sequence[str], width: int = 44) -> str:
    """A title for a chart of several models: what is shown; below it, whom it compares.

    The names stand on lines of their own, so that charts of the same models side by side have
    titles of the same height, whatever they show. They have two lines together.
    """
    title = f"<b>{wrapped(kind, width)}</b>"
    if not names:
        return title
    named = min(len(names), 3)  # of more, the others are counted
    room = max(24, min(width, 2 * width // named) - 4)
    return f"{title}<br>{wrapped(listing(shorten_all(names, room)), width)}"


def axis(title: str, **options: Any) -> dict[str, Any]:
    """A titled axis; `title` is plain text."""
    return {"title": {"text": escape(title)}, **options}


# A chart that stands four abreast at 1280 px is 196 px wide. That leaves so many letters:
SMALL = 25  # of a subtitle
SMALL_AXIS = 17  # of the title below the drawing, which is centred on the drawing alone


def share_axis(title: str, **options: Any) -> dict[str, Any]:
    """An axis from 0 to 1 with ticks `.2`, `.4`, …; a little air keeps curves off the frame."""
    return axis(title, range=[-0.02, 1.02], **SHARE_TICKS, **options)


def number_ticks(low: float, high: float, most: int = 5) -> dict[str, Any]:
    """Ticks at 1, 2 or 5 times a power of ten, written as everywhere else: `.85`, `1,200`."""
    span = high - low
    if not (np.isfinite(span) and span > 0):
        return {}
    power = 10.0 ** np.floor(np.log10(span / most))
    step = power * next(m for m in (1, 2, 5, 10) if span / (power * m) <= most)
    places = np.arange(np.ceil(low / step), np.floor(high / step + 1e-9) + 1) * step
    places = np.round(places, 12)
    texts = [threshold(float(x)) for x in places]
    if len(set(texts)) < len(texts):  # three digits do not tell .9985 from .999
        texts = [_bare(number(float(x), 6)) for x in places]
    return {"tickmode": "array", "tickvals": places.tolist(), "ticktext": texts}


def _bare(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text and "×" not in text else text


# Plotly checks every property of a figure twice, which takes most of the time of drawing it. The
# tests empty this, so that all of their figures are Plotly's own, and checked.
UNCHECKED: dict[str, Any] = {"_validate": False}


@cache
def _template(theme: Theme) -> dict[str, Any]:
    plain: dict[str, Any] = template(theme).to_plotly_json()
    return plain


def canvas(
    theme: Theme,
    *,
    title: str,
    subtitle: str,
    name: str,
    alt: str,
    caption: str,
    height: int = 420,
    width: int = 52,
    square: bool = False,
    legend_rows: int = 0,
    small: bool = False,
    above: int = 0,
    below: int = 0,
    left: int | None = None,
    data: Sequence[Mapping[str, Any]] = (),
    **layout: Any,
) -> go.Figure:
    """A figure in the house style: empty, or with the traces of `data` (`{"type": …, …}`).

    `title` is ready for Plotly, `subtitle` plain text, broken after `width` letters. `height`
    is that of the drawing with its axes: lines of the title and of the legend come on top, so
    that charts side by side keep their axes aligned. The legend stands below, one model a line.
    `small`: one of up to four abreast, with narrow margins and subtitle. `above`, `below`:
    more pixels between title and drawing, and under it. `left`: least room for the numbers.

    What is given here is not checked, see `UNCHECKED`; what is added later is.
    """
    lines = wrapped(subtitle, SMALL if small else width)
    quiet = f'<span style="font-size:13px;color:{ink(theme).muted}">{lines}</span>'
    top = 28 + 20 * (title.count("<br>") + 1) + 17 * (lines.count("<br>") + 1) + above
    stem = file_stem(name)
    if square:
        layout["xaxis"] = {**layout["xaxis"], "constrain": "domain", "constraintoward": "left"}
        layout["yaxis"] = {
            **layout["yaxis"],
            "scaleanchor": "x",
            "constrain": "domain",
            "constraintoward": "top",
        }
    if legend_rows:
        layout["legend"] = {"x": 0, "y": 0, "yref": "container", "yanchor": "bottom"}
    legend = 20 * legend_rows + 4 * bool(legend_rows) + below
    margin = {"t": top, "b": 52 + legend, **({"l": 8, "r": 8} if small else {})}
    if left is not None:
        margin["l"] = left
    return Drawn(
        data=list(data),
        layout={
            "template": _template(theme),
            "title": {"text": f"{title}<br>{quiet}"},
            "height": height + top + legend,
            "margin": margin,
            "uirevision": stem,
            "meta": {"alt": alt, "caption": caption, "name": stem},
            **layout,
        },
        **UNCHECKED,
    )


def few_ticks(low: float, high: float) -> dict[str, Any]:
    """At most four short ticks, for the axis below a narrow chart; two at least, if they have room.

    A range from 10 to 330 holds only one multiple of 200.
    """
    found = [number_ticks(low, high, most) for most in (3, 4, 5)]
    texts = [one.get("ticktext", []) for one in found]
    fits = [2 <= len(each) <= 4 and len("".join(each)) <= 15 for each in texts]
    ticks = next((one for one, fit in zip(found, fits, strict=True) if fit), found[0])
    longest = max((len(text) for text in ticks.get("ticktext", ())), default=0)
    return {"tickangle": 0, **(ticks if longest <= 5 else {"nticks": 4})}


def lying_colorbar(**options: Any) -> dict[str, Any]:
    """A colour bar along the lower edge, where it takes no width from a narrow chart."""
    return {
        "orientation": "h",
        "x": 0,
        "xanchor": "left",
        "y": 0,
        "yref": "container",
        "yanchor": "bottom",
        "thickness": 8,
        "len": 120,
        "lenmode": "pixels",
        "xpad": 8,
        "ypad": 4,
        "outlinewidth": 0,
        **options,
    }


def columns(*values: Any) -> npt.NDArray[np.float32]:
    """Columns side by side as float32 `(n, k)`, the form of hover data."""
    return np.column_stack([np.asarray(v, dtype=np.float32) for v in values])


def reference_line(
    x: Sequence[float], y: Sequence[float], theme: Theme, **more: Any
) -> dict[str, Any]:
    """A trace of a quiet dotted line that is no model: chance, identity, zero."""
    return {
        "type": "scatter",
        "x": np.asarray(x, dtype=np.float32),
        "y": np.asarray(y, dtype=np.float32),
        "mode": "lines",
        "line": {"color": ink(theme).rule, "dash": "dot", "width": 1.5},
        "hoverinfo": "skip",
        "showlegend": False,
        **more,
    }


def note(x: float, y: float, text: str, theme: Theme, **more: Any) -> dict[str, Any]:
    """A direct label in the chart, in place of a legend entry; `text` is plain."""
    return {
        "x": x,
        "y": y,
        "text": escape(text),
        "showarrow": False,
        "font": {"size": 12, "color": ink(theme).muted},
        **more,
    }


def threshold_texts(values: npt.NDArray[Any]) -> list[str]:
    """Thresholds for hover sentences, `.31`; the open start of a curve is `∞`."""
    return list(_texts(np.asarray(values, dtype=np.float64).tobytes()))


@lru_cache(maxsize=256)  # a curve's are the same at every move of a slider
def _texts(values: bytes) -> tuple[str, ...]:
    return tuple(number(v) for v in np.frombuffer(values, dtype=np.float64).tolist())
