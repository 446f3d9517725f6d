"""One look for every figure: colours, one style per model, and the template of both themes.

Model colours keep 3:1 against white and against `#0E1117` and stay apart for protan, deutan
and tritan eyes (smallest OKLab distance .081); each comes with its own dash and marker, so
that colour alone never carries meaning. Ramps are even in OKLab lightness
(Ottosson, "A perceptual color space for image processing", 2020).
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ..wording import shorten

__all__ = [
    "BASELINE",
    "CLASS_COLOURS",
    "LOWERS",
    "MODEL_COLOURS",
    "RAISES",
    "ClassStyle",
    "Ink",
    "ModelStyle",
    "Theme",
    "baseline_style",
    "class_style",
    "contrast",
    "diverging_scale",
    "escape",
    "ink",
    "label",
    "oklab",
    "sequential_scale",
    "style_for",
    "style_of",
    "template",
    "text_on",
    "translucent",
    "value_scale",
]

Theme = Literal["light", "dark"]
RGB = tuple[float, float, float]

MODEL_COLOURS: tuple[str, ...] = (
    "#209993",  # teal
    "#8038d1",  # violet
    "#c18434",  # amber
    "#c21b0d",  # red
    "#9284d6",  # lavender
    "#197037",  # green
    "#fc4a93",  # pink
    "#8f517b",  # plum
)
_DASHES = (
    "solid",
    "10px,3px",
    "2px,3px",
    "10px,3px,2px,3px",
    "18px,4px",
    "18px,4px,2px,4px",
    "6px,3px,2px,3px,2px,3px",
    "5px,2px",
)
_SYMBOLS = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "cross",
    "x",
    "star",
    "hexagon",
)
_GLYPHS = {
    "circle": "●",
    "square": "■",
    "diamond": "◆",
    "triangle-up": "▲",
    "cross": "✚",
    "x": "✖",
    "star": "★",
    "hexagon": "⬢",
    "circle-open": "○",
}
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif'


@dataclass(frozen=True)
class ModelStyle:
    """How one model looks on every chart: hex colour, Plotly dash and marker symbol."""

    colour: str
    dash: str
    symbol: str

    @property
    def glyph(self) -> str:
        """The marker as one character, for titles and lists."""
        return _GLYPHS.get(self.symbol, "●")

    @property
    def line(self) -> dict[str, Any]:
        return {"color": self.colour, "dash": self.dash, "width": 2}


BASELINE = ModelStyle("#7a7a7a", "dash", "circle-open")

# What a feature does to an answer, the same two on every chart and in both themes: blue raises,
# orange lowers, as above and below zero on heat maps. Never red and green.
RAISES, LOWERS = "#2f7fd6", "#d95f02"


def style_of(index: int) -> ModelStyle:
    """The style of the model in place `index`; beyond eight, colours repeat with other dashes."""
    k = len(MODEL_COLOURS)
    place, turn = index % k, index // k
    shifted = (place + turn) % k
    return ModelStyle(MODEL_COLOURS[place], _DASHES[shifted], _SYMBOLS[shifted])


def baseline_style() -> ModelStyle:
    """Grey and dashed, on every chart."""
    return BASELINE


def style_for(styles: Mapping[str, ModelStyle] | None, model: str, index: int) -> ModelStyle:
    """The given style of a model, or that of its place."""
    return (styles or {}).get(model) or style_of(index)


# Colour arithmetic


def _channels(colour: str) -> RGB:
    value = colour.lstrip("#")
    return int(value[:2], 16) / 255, int(value[2:4], 16) / 255, int(value[4:6], 16) / 255


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _gamma(channel: float) -> float:
    channel = min(1.0, max(0.0, channel))
    return 12.92 * channel if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055


def _luminance(colour: str) -> float:
    r, g, b = (_linear(c) for c in _channels(colour))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: str, b: str) -> float:
    """Contrast ratio of two hex colours, 1 to 21 (WCAG 2.2)."""
    high, low = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def oklab(colour: str) -> npt.NDArray[np.float64]:
    """Hex colour → (L, a, b) in OKLab."""
    rgb = np.array([_linear(c) for c in _channels(colour)])
    lab: npt.NDArray[np.float64] = _TO_LAB @ np.cbrt(_TO_LMS @ rgb)
    return lab


def _hex(lab: npt.NDArray[np.float64]) -> str:
    rgb = np.linalg.solve(_TO_LMS, np.linalg.solve(_TO_LAB, lab) ** 3)
    return "#" + "".join(f"{round(_gamma(float(c)) * 255):02x}" for c in rgb)


def _polar(lightness: float, chroma: float, hue: float) -> str:
    angle = math.radians(hue)
    return _hex(np.array([lightness, chroma * math.cos(angle), chroma * math.sin(angle)]))


def _ramp(start: str, end: str, steps: int = 9) -> list[str]:
    """Colours at equal OKLab steps from `start` to `end`."""
    a, b = oklab(start), oklab(end)
    inner = [_hex(a + (b - a) * t) for t in np.linspace(0, 1, steps)[1:-1]]
    return [start.lower(), *inner, end.lower()]


def _mix(scale: Sequence[tuple[float, str]], at: float) -> str:
    """The colour that Plotly draws at `at` in [0, 1] of a colour scale: linear in sRGB."""
    positions = [p for p, _ in scale]
    channels = np.array([_channels(c) for _, c in scale])
    mixed = [float(np.interp(at, positions, channels[:, k])) for k in range(3)]
    return "#" + "".join(f"{round(c * 255):02x}" for c in mixed)


def text_on(scale: Sequence[tuple[float, str]], at: float) -> str:
    """Black or white, whichever reads better on the colour at `at` of a scale."""
    ground = _mix(scale, min(1.0, max(0.0, at)))
    return max(("#000000", "#ffffff"), key=lambda colour: contrast(colour, ground))


def translucent(colour: str, alpha: float) -> str:
    """Hex colour → `rgba(…)`."""
    r, g, b = (round(c * 255) for c in _channels(colour))
    return f"rgba({r},{g},{b},{alpha:g})"


# Themes


@dataclass(frozen=True)
class Ink:
    """The neutral colours of one theme: page, text, quiet text, grid lines, reference lines."""

    page: str
    text: str
    muted: str
    grid: str
    rule: str


_INKS: dict[str, Ink] = {
    "light": Ink("#ffffff", "#262730", "#5a5d68", "#eceef2", "#7f838e"),
    "dark": Ink("#0e1117", "#fafafa", "#a9adb8", "#23272f", "#878b96"),
}


def ink(theme: Theme) -> Ink:
    """The neutral colours of a theme."""
    return _INKS[theme]


@cache
def sequential_scale(theme: Theme) -> tuple[tuple[float, str], ...]:
    """Single-hue ramp that starts at the page: zero disappears, the rest stands out."""
    end = "#0a3d7a" if theme == "light" else "#a9d3ff"
    colours = _ramp(ink(theme).page, end)
    return tuple((k / (len(colours) - 1), c) for k, c in enumerate(colours))


@cache
def diverging_scale(theme: Theme) -> tuple[tuple[float, str], ...]:
    """Orange (below zero) over the page's own colour (zero) to blue (above zero)."""
    page = ink(theme).page
    low, high = ("#93400a", "#0f4c94") if theme == "light" else ("#f6a562", "#86bfff")
    colours = [*reversed(_ramp(page, low, 6)), *_ramp(page, high, 6)[1:]]
    return tuple((k / (len(colours) - 1), c) for k, c in enumerate(colours))


@cache
def value_scale(theme: Theme) -> tuple[tuple[float, str], ...]:
    """Low to high values of a feature, pale to strong plum; both ends stand off the page."""
    low, high = ((0.66, 0.09), (0.3, 0.14)) if theme == "light" else ((0.51, 0.1), (0.93, 0.06))
    colours = _ramp(_polar(*low, 330), _polar(*high, 330))
    return tuple((k / (len(colours) - 1), c) for k, c in enumerate(colours))


# Hue-ordered and lighter than every model colour; read beside an outline of the same hue.
_CLASS_HUES = (250, 70, 160, 350, 110, 300, 200, 25, 135, 275, 45, 325)
CLASS_COLOURS: tuple[str, ...] = tuple(_polar(0.83, 0.085, hue) for hue in _CLASS_HUES)


@dataclass(frozen=True)
class ClassStyle:
    """How one class looks within one model: a light fill, an outline at 3:1, a fill pattern."""

    fill: str
    line: str
    dash: str


@cache
def class_style(index: int, theme: Theme) -> ClassStyle:
    """The style of class `index`; hues repeat beyond twelve, with another dash."""
    k = len(_CLASS_HUES)
    hue, turn = _CLASS_HUES[index % k], index // k
    fill = CLASS_COLOURS[index % k]
    line = _polar(0.5, 0.1, hue) if theme == "light" else fill
    return ClassStyle(fill, line, _DASHES[(index + turn) % len(_DASHES)] if index else "solid")


def _axis(colours: Ink) -> dict[str, Any]:
    return {
        "automargin": True,
        "gridcolor": colours.grid,
        "linecolor": colours.rule,
        "separatethousands": True,
        "tickcolor": colours.rule,
        "tickfont": {"color": colours.muted, "size": 12},
        "ticks": "outside",
        "ticklen": 4,
        "title": {"standoff": 10, "font": {"color": colours.text, "size": 13}},
        "zeroline": False,
    }


@cache
def template(theme: Theme = "light") -> go.layout.Template:
    """The one template: transparent paper, system fonts, a quiet grid, nothing else."""
    colours = ink(theme)
    return go.layout.Template(
        layout={
            "autotypenumbers": "strict",
            "colorway": list(MODEL_COLOURS),
            "dragmode": "zoom",
            "font": {"family": FONT, "size": 13, "color": colours.text},
            "hoverlabel": {
                "align": "left",
                "bgcolor": colours.page,
                "bordercolor": colours.rule,
                "font": {"family": FONT, "size": 13, "color": colours.text},
                "namelength": 0,
            },
            "hovermode": "closest",
            "legend": {
                "bgcolor": "rgba(0,0,0,0)",
                "font": {"size": 12, "color": colours.text},
                "itemwidth": 38,
                "tracegroupgap": 0,
            },
            "margin": {"l": 60, "r": 16, "t": 64, "b": 48},
            "modebar": {
                "bgcolor": "rgba(0,0,0,0)",
                "color": colours.muted,
                "activecolor": colours.text,
            },
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "title": {
                "x": 0,
                "xanchor": "left",
                "xref": "container",
                "y": 1,
                "yanchor": "top",
                "yref": "container",
                "pad": {"l": 4, "t": 24},
                "font": {"size": 15, "color": colours.text},
            },
            "xaxis": _axis(colours),
            "yaxis": _axis(colours),
        }
    )


# Text


def escape(text: object) -> str:
    """Any text as plain text in Plotly: no pseudo-HTML, no `%{…}` fields, no `$…$` formulas."""
    flat = " ".join(str(text).split())
    return html.escape(flat, quote=False).replace("%{", "&#37;{").replace("$", "&#36;")


def label(text: object, n: int = 28) -> str:
    """A name for ticks, legends and titles: cut in the middle, then escaped."""
    return escape(shorten(" ".join(str(text).split()), n))
