"""Figures out of the app: mode-bar configuration and self-contained pages."""

from __future__ import annotations

import html
import json
from typing import Any, Literal

import plotly.graph_objects as go

from .theme import FONT, Theme, ink

__all__ = ["figure_config", "figure_html", "file_stem"]

Picture = Literal["svg", "png"]


def file_stem(text: str) -> str:
    """Any text as a file name without suffix: letters, digits and hyphens."""
    kept = "".join(c if c.isalnum() else "-" for c in text.lower())
    return "-".join(part for part in kept.split("-") if part)[:80] or "figure"


# What a drag or a double click does anyway; a long bar would cover the title of a narrow chart.
_REMOVED = ("zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "select2d", "lasso2d", "autoScale2d")


def figure_config(name: str, picture: Picture = "png") -> dict[str, Any]:
    """Plotly config: the camera in the mode bar saves `picture` under the name `name`.

    One format at a time: Plotly takes a second button only as a JavaScript function, which a
    JSON configuration cannot carry. PNG comes at double size.
    """
    image = {"format": picture, "filename": file_stem(name), "scale": 2 if picture == "png" else 1}
    return {
        "displaylogo": False,
        "responsive": True,
        "scrollZoom": False,
        "toImageButtonOptions": image,
        "modeBarButtonsToRemove": [*_REMOVED],
    }


_STYLE = (
    "body{{margin:1.5rem;max-width:70rem;background:{page};color:{text};font:15px/1.5 {font}}}"
    "figure{{margin:0}}button{{font:inherit;color:inherit;background:none;"
    "border:1px solid {rule};border-radius:4px;padding:.2rem .7rem;margin:.5rem .5rem 0 0}}"
)
_BUTTONS = (
    "<script>document.querySelectorAll('button[data-format]').forEach(function(b){"
    "b.addEventListener('click',function(){Plotly.downloadImage('figure',"
    "Object.assign({format:b.dataset.format},__OPTIONS__));});});</script>"
)


def figure_html(figure: go.Figure, theme: Theme = "light") -> str:
    """A self-contained page: figure, caption, buttons for SVG and PNG; it asks no server."""
    meta = figure.layout.meta or {}
    name = str(meta.get("name", "figure"))
    alt = html.escape(str(meta.get("alt", name)), quote=True)
    colours = ink(theme)
    style = _STYLE.format(page=colours.page, text=colours.text, rule=colours.rule, font=FONT)
    body = figure.to_html(
        include_plotlyjs=True, full_html=False, config=figure_config(name), div_id="figure"
    )
    options = json.dumps({"filename": file_stem(name), "scale": 2})
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(name)}</title><style>{style}</style></head><body><figure>"
        f'<div role="img" aria-label="{alt}">{body}</div>'
        f"<figcaption>{html.escape(str(meta.get('caption', '')))}</figcaption></figure>"
        '<button data-format="svg">Save as SVG</button>'
        '<button data-format="png">Save as PNG</button>'
        f"{_BUTTONS.replace('__OPTIONS__', options)}</body></html>\n"
    )
