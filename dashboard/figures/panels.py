"""Charts of one to four models side by side: shared rows and axis, one panel a model.

Every mark that can be clicked carries `[row, feature, model]` as custom data: the position in the
evaluation set, and places in `layout.meta["features"]` and `layout.meta["models"]`; -1 for none.
A mark of two features carries the place of the other one after these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from ..errors import ParameterError
from ..wording import shorten, shorten_all
from .canvas import canvas, model_title, models_title, number_ticks, wrapped
from .drawn import add_meta
from .theme import ModelStyle, Theme, escape, ink, style_for, translucent

__all__ = [
    "Clicked",
    "Panels",
    "add_targets_style",
    "clicked",
    "feature_axis",
    "looks_of",
    "marks_of",
    "panels",
    "panels_title",
    "shared_features",
    "span_axis",
]

Styles = Mapping[str, ModelStyle]
MOST_PANELS = 4
PANEL_WIDTHS = (680, 330, 210, 150)  # pixels, one to four abreast, on a screen of 1280
_GAP = 0.025


class Clicked(NamedTuple):
    """What a clicked mark stands for; None where it stands for none in particular."""

    row: int | None
    feature: str | None
    model: str | None
    second: str | None = None


def clicked(meta: Mapping[str, Any], customdata: Sequence[Any]) -> Clicked:
    """What `layout.meta` and a mark's custom data say together; nothing when they do not fit."""
    try:
        row, feature, model = (int(value) for value in customdata[:3])
        second = int(customdata[3]) if len(customdata) > 3 else -1
    except (TypeError, ValueError):
        return Clicked(None, None, None)
    features, models = meta.get("features", ()), meta.get("models", ())
    return Clicked(
        row if row >= 0 else None,
        features[feature] if 0 <= feature < len(features) else None,
        models[model] if 0 <= model < len(models) else None,
        features[second] if 0 <= second < len(features) and second != feature else None,
    )


def marks_of(rows: Any, features: Any, model: int) -> list[list[int]]:
    """Custom data of marks. Lists, since typed arrays come back from a browser as mappings."""
    sizes = (np.size(rows), np.size(features))
    n = max(sizes) if all(sizes) else 0
    columns = (np.broadcast_to(rows, n), np.broadcast_to(features, n), np.full(n, model))
    found: list[list[int]] = np.column_stack(columns).astype(np.int64).tolist()
    return found


class Panels(NamedTuple):
    """The figure and, for each panel, the names of its axes in traces ("x2", "y")."""

    figure: go.Figure
    axes: list[dict[str, str]]


def shared_features(results: Sequence[Any]) -> tuple[str, ...]:
    """The features of all results, which share rows.

    Raises
    ------
    ParameterError : results of separate calls, whose features or their order differ.
    """
    found = {tuple(one.features) for one in results}
    if len(found) > 1:
        raise ParameterError(
            "These results show different features or another order. Compute them in one call, so "
            "that they can share their rows."
        )
    return found.pop() if found else ()


def looks_of(models: Sequence[str], styles: Styles | None) -> list[ModelStyle]:
    """The style of each model."""
    return [style_for(styles, name, k) for k, name in enumerate(models)]


def panels(
    theme: Theme,
    models: Sequence[str],
    styles: Styles | None,
    *,
    features: Sequence[str] = (),
    xaxes: Sequence[dict[str, Any]],
    x_title: str | Sequence[str],
    yaxis: dict[str, Any],
    height: int,
    above: int = 0,
    below: int = 0,
    **options: Any,
) -> Panels:
    """An empty figure with one panel per model; all share the axis of rows on the left.

    `height` is that of the drawing; `x_title` is plain text, one for all or one for each, and is
    broken to the width of a panel. The other options are those of `canvas`.

    Raises
    ------
    ParameterError : no model, or more than four.
    """
    n = len(models)
    if not 1 <= n <= MOST_PANELS:
        raise ParameterError(f"{n} models were given; 1 to {MOST_PANELS} can stand side by side.")
    titles = [x_title] * n if isinstance(x_title, str) else list(x_title)
    lines = [wrapped(text, (72, 40, 28, 22)[n - 1]) for text in titles]
    deepest = max(text.count("<br>") for text in lines)
    named: dict[str, Any] = {}
    for k, (one, text) in enumerate(zip(xaxes, lines, strict=True)):
        named["xaxis" if k == 0 else f"xaxis{k + 1}"] = {
            **one,
            "title": {"text": text},
            "domain": _domain(k, n),
            "anchor": "y",
        }
    figure = canvas(
        theme,
        height=height,
        above=above + (24 if n > 1 else 0),
        below=below + 16 * deepest,
        yaxis=yaxis,
        clickmode="event+select",
        **named,
        **{"showlegend": False, **options},
    )
    add_meta(figure, features=[*features], models=[*models])
    if n > 1:
        _name_panels(figure, models, looks_of(models, styles), above)
    return Panels(
        figure, [{"xaxis": "x" if k == 0 else f"x{k + 1}", "yaxis": "y"} for k in range(n)]
    )


def panels_title(kind: str, models: Sequence[str]) -> str:
    """What is shown, and of which model; several are named above their panels."""
    return models_title(kind, models if len(models) == 1 else [], width=70)


def _domain(k: int, n: int) -> list[float]:
    width = (1 - _GAP * (n - 1)) / n
    return [k * (width + _GAP), k * (width + _GAP) + width]


def _name_panels(
    figure: go.Figure, models: Sequence[str], looks: Sequence[ModelStyle], above: int
) -> None:
    n = len(models)
    short = shorten_all(list(models), (60, 34, 24, 19)[n - 1])
    for k, (name, style) in enumerate(zip(short, looks, strict=True)):
        figure.add_annotation(
            x=_domain(k, n)[0],
            y=1,
            xref="paper",
            yref="paper",
            xanchor="left",
            yanchor="bottom",
            yshift=4 + above,
            showarrow=False,
            text=model_title(name, style, 60),
        )


def feature_axis(features: Sequence[str], letters: int = 22, **options: Any) -> dict[str, Any]:
    """Features downwards, the first on top; long names cut in the middle, still distinct."""
    n = len(features)
    return {
        "tickmode": "array",
        "tickvals": list(range(n)),
        "ticktext": [escape(name) for name in shorten_all(list(features), letters)],
        "range": [n - 0.4, -0.6],
        "ticks": "",
        "showline": False,
        "fixedrange": True,
        **options,
    }


def span_axis(
    span: tuple[float, float], n_panels: int = 1, air: float = 0.04, most: int = 8
) -> dict[str, Any]:
    """An axis over a span with a little air, and as many ticks as a panel's width has room for."""
    low, high = span
    more = air * ((high - low) or abs(high) or 1.0)
    ends = (low - more, high + more)
    found: dict[str, Any] = {}
    for ticks in range(most, 1, -1):
        found = number_ticks(*ends, most=ticks)
        letters = sum(len(text) + 2 for text in found.get("ticktext", ()))
        if 7 * letters <= PANEL_WIDTHS[min(n_panels, MOST_PANELS) - 1]:
            break
    return {"range": list(ends), "tickangle": 0, **found}


def add_targets_style(theme: Theme, size: float | None = None) -> dict[str, Any]:
    """How near-invisible marks look that take hover and clicks over a raster."""
    return {
        "marker": {"symbol": "square", "opacity": 0.01, "color": "rgba(0,0,0,0)", "size": size},
        "selected": {"marker": {"opacity": 0.35, "color": ink(theme).rule}},
        "unselected": {"marker": {"opacity": 0.01}},
    }


def zero_line(theme: Theme) -> dict[str, Any]:
    """Zero as a thin line in each panel."""
    return {
        "zeroline": True,
        "zerolinecolor": translucent(ink(theme).rule, 0.7),
        "zerolinewidth": 1.5,
    }


def panel_letters(n: int) -> int:
    """How long the names of features are at most, beside `n` panels."""
    return {1: 30, 2: 26, 3: 22}.get(n, 20)


def brief(name: object, n: int = 28) -> str:
    """A name in a hover sentence: escaped, cut in the middle."""
    return escape(shorten(str(name), n))
