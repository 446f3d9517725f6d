"""Text and marks made safe for the page: strangers' names are text, never markup."""

from __future__ import annotations

from dashboard.figures.theme import ModelStyle

__all__ = ["message", "plain", "swatch"]

_MARKS = "\\`*_{}[]()#+!|~$:"
# Marks and gaps in px, as Plotly draws them at a line width of 3.
_DASHES = {
    "solid": (),
    "dot": (3, 3),
    "dash": (8, 4),
    "dashdot": (8, 4, 3, 4),
    "longdash": (14, 5),
    "longdashdot": (14, 4, 3, 4),
}


def plain(text: str) -> str:
    """`text` escaped so that Markdown shows exactly these characters."""
    for mark in _MARKS:
        text = text.replace(mark, f"\\{mark}")
    return text.replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")


def swatch(style: ModelStyle, width: int = 34) -> str:
    """The model's colour and dash as a short line, as it is drawn in every chart (HTML).

    A gradient, because `st.html` lets no SVG through.
    """
    pattern = _DASHES.get(style.dash) or tuple(
        int(float(part)) for part in style.dash.replace("px", "").split(",") if part != "solid"
    )
    stops, at = [], 0
    scale = min(1.0, width / 44)  # a short swatch shows the pattern more than once, too
    for number, part in enumerate(pattern):
        length = max(2, round(part * scale))
        colour = "transparent" if number % 2 else style.colour
        stops.append(f"{colour} {at}px {at + length}px")
        at += length
    paint = f"repeating-linear-gradient(90deg,{','.join(stops)})" if stops else style.colour
    return (
        f'<span aria-hidden="true" style="display:inline-block;width:{width}px;height:3px;'
        f'vertical-align:middle;background:{paint}"></span>'
    )


def message(source: str, text: str) -> str:
    """A problem as Markdown: the source in bold, then the sentence, which may start with it."""
    rest = text.removeprefix(f"{source} ").replace("`", "")
    joint = " " if rest != text.replace("`", "") else ": "
    return f"**{plain(source)}**{joint}{plain(rest)}"
