"""Curves by epoch of several runs: overlaid, or one panel each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from ..errors import ParameterError
from ..wording import count, plural, shorten, shorten_all
from .canvas import canvas, model_title, models_title
from .drawn import Trace, add_meta
from .epoch_captions import best_first, caption_curves, key_sentence
from .epoch_lines import DrawnLine, Frame, drawing_note
from .epoch_marks import (
    Line,
    best_marks,
    gap_marks,
    legend_entry,
    lines_of,
    pale_lines,
    rate_axis,
    rate_line,
    rate_lines,
)
from .epoch_scene import Layout, Scene, Styles, make_scene, x_axis, y_axis
from .theme import Theme, ink

if TYPE_CHECKING:
    from ..diagnostics.epochs import EpochCurve

__all__ = ["plot_epoch_curves"]

DETAIL = 150  # marks of a line of the best of many runs
ABREAST = 4
PANEL, ROW_GAP = 150, 56  # pixels


def plot_epoch_curves(
    curves: Sequence[EpochCurve],
    styles: Styles | None = None,
    *,
    layout: Layout = "overlay",
    log_x: bool = False,
    log_y: bool = False,
    show_raw: bool = True,
    rate: bool = False,
    robust: bool = False,
    theme: Theme = "light",
) -> go.Figure:
    """One metric by epoch: validation thick, training thin, raw values faint behind smoothed ones.

    The run's own marker stands at its best epoch, a short upright line where early stopping would
    have ended, a cross where values are not finite. At most 5,000 marks in all.

    Parameters
    ----------
    layout : all runs in one drawing, or one panel each (at most 24).
    log_x, log_y : logarithmic axes; steps that begin at 0 then stand one further right.
    rate : the learning rate, dotted, on a second axis.
    robust : the axis leaves out the outer 5 % of values on each side, as TensorBoard does.

    Raises
    ------
    ParameterError : no curves, an unknown layout, curves of different metrics.
    NotApplicable : none of the curves holds a value.
    """
    if layout not in ("overlay", "grid"):
        raise ParameterError(f"There is no layout {layout!r}; there are overlay and grid.")
    if len({one.metric for one in curves}) != 1:
        raise ParameterError(
            "Curves of one metric are needed, got "
            f"{plural(len({one.metric for one in curves}), 'metric')}. Draw one figure for each."
        )
    scene = make_scene(curves, styles, layout, log_x, log_y, show_raw, rate, robust, theme)
    return _grid(scene, curves) if layout == "grid" else _overlay(scene, curves)


# Words


def _words(
    scene: Scene, curves: Sequence[EpochCurve], lines: Sequence[DrawnLine], width: int
) -> dict[str, Any]:
    names = [one.run for one in scene.curves]
    one = scene.curves[0]
    said = [caption_curves(curves), scene.left_out, _outside(scene), drawing_note(lines)]
    if any(curve.shifted for curve in scene.curves):
        said.append(
            "Training values are means over an epoch while the weights still changed, so they "
            "stand half an epoch earlier."
        )
    caption = " ".join(part for part in said if part)
    return {
        "title": models_title(f"{one.title} by {one.unit}", names, width),
        "subtitle": _key(scene),
        "name": f"{one.metric} by {one.unit} " + " ".join(names[:6]),
        "alt": f"{one.title} of {plural(len(names), 'run')} by {one.unit}. {caption}",
        "caption": caption,
        "width": 110,
    }


def _key(scene: Scene) -> str:
    said = key_sentence(scene.curves, raw=scene.raw, rates=scene.rate)
    best = best_first(scene.curves)[:1]
    return (
        f"{said}; strong: {shorten(best[0].run, 28)}, the best" if best and scene.crowded else said
    )


def _outside(scene: Scene) -> str:
    """Values that the axes have no place for."""
    values = [part.smoothed for one in scene.curves for part in one.parts]
    every = np.concatenate(values)
    every = every[np.isfinite(every)]
    said = ""
    if scene.frame.log_y and (every <= 0).any():
        said = f"{count(int((every <= 0).sum()))} values of 0 or less have no place on a log axis. "
    if scene.robust is not None:
        low, high = scene.robust
        beyond = int(((every < low) | (every > high)).sum())
        said += f"{count(beyond)} of {count(len(every))} values lie outside of the range shown."
    return said.strip()


# Layouts


def _overlay(scene: Scene, curves: Sequence[EpochCurve]) -> go.Figure:
    n = len(scene.curves)
    lines = _pale(scene) if scene.crowded else _strong(scene)
    rates, second = rate_lines(scene) if scene.rate else ([], {})
    figure = canvas(
        scene.theme,
        height=400,
        legend_rows=0 if scene.crowded else n,
        showlegend=not scene.crowded,
        xaxis=x_axis(scene),
        yaxis=y_axis(scene),
        **second,
        **_words(scene, curves, [line for _, line in [*lines, *rates]], 100),
    )
    together = [list(range(n))] if scene.crowded else [[k] for k in range(n)]
    marks = [mark for chosen in together for mark in best_marks(scene, chosen)]
    marks += gap_marks(scene, range(n))
    if not scene.crowded:
        marks += [legend_entry(c, look) for c, look in zip(scene.curves, scene.looks, strict=True)]
    figure.add_traces([*(trace for trace, _ in [*rates, *lines]), *marks])
    return _named(figure, scene)


def _strong(scene: Scene) -> list[Line]:
    return [
        line
        for k, curve in enumerate(scene.curves)
        for part in curve.parts
        for line in lines_of(scene, k, part)
    ]


def _pale(scene: Scene) -> list[Line]:
    """All but the best run step back; that one is drawn in more detail."""
    best = best_first(scene.curves)[:1]
    first = scene.curves.index(best[0]) if best else -1
    others = [k for k in range(len(scene.curves)) if k != first]
    found = pale_lines(scene, others)
    if first >= 0:
        finer = replace(scene, budget=max(scene.budget, DETAIL), raw=False)
        found += [one for part in best[0].parts for one in lines_of(finer, first, part)]
    return found


def _named(figure: go.Figure, scene: Scene) -> go.Figure:
    names = [one.run for one in scene.curves]
    add_meta(figure, models=names, shift=scene.shift)
    return figure


def _grid(scene: Scene, curves: Sequence[EpochCurve]) -> go.Figure:
    """One panel for each run, all on the same axes."""
    n = len(scene.curves)
    across = min(ABREAST, n)
    rows = -(-n // across)
    height = rows * PANEL + (rows - 1) * ROW_GAP
    lines: list[DrawnLine] = []
    traces: list[Trace] = []
    layout: dict[str, Any] = {}
    notes: list[dict[str, Any]] = []
    names = shorten_all([one.run for one in scene.curves], 20)
    plain = replace(scene, crowded=False)
    rates = rate_axis(scene) if scene.rate else None
    for k, (curve, look) in enumerate(zip(scene.curves, scene.looks, strict=True)):
        x, y = _domains(k, n, across, rows, height)
        suffix = "" if k == 0 else str(k + 1)
        last = k + across >= n
        layout[f"xaxis{suffix}"] = {**x_axis(scene), **_inner(x, f"y{suffix}", last, k, "x")}
        layout[f"yaxis{suffix}"] = {
            **y_axis(scene),
            **_inner(y, f"x{suffix}", not k % across, k, "y"),
        }
        pairs = [pair for part in curve.parts for pair in lines_of(scene, k, part)]
        for trace in [*(t for t, _ in pairs), *best_marks(plain, [k]), *gap_marks(plain, [k])]:
            trace.update(xaxis=f"x{suffix}", yaxis=f"y{suffix}")
            traces.append(trace)
        if rates is not None:
            beyond = scene.curves[k + 1 : k - k % across + across]  # in its row
            edge = bool(len(curve.rates)) and not any(len(one.rates) for one in beyond)
            layout[f"yaxis{n + k + 1}"] = _right_axis(rates, suffix, y, k, edge, n)
            if len(curve.rates):
                pair = rate_line(scene, curve, rates[0], ink(scene.theme).rule, f"y{n + k + 1}")
                pairs.append(pair)
                traces.append({**pair[0], "xaxis": f"x{suffix}"})
        lines += [line for _, line in pairs]
        notes.append(_panel_title(x[0], y[1], model_title(names[k], look, 20)))
    figure = canvas(
        scene.theme,
        height=height + 80,
        above=24,
        showlegend=False,
        annotations=notes,
        **layout,
        **_words(plain, curves, lines, 100),
    )
    figure.add_traces(traces)
    return _named(figure, scene)


def _right_axis(
    rates: tuple[Frame, dict[str, Any]],
    suffix: str,
    domain: list[float],
    k: int,
    edge: bool,
    n: int,
) -> dict[str, Any]:
    """The learning rate of one panel; numbers stand only beside the last of a row."""
    found = {**rates[1], "domain": domain, "anchor": f"x{suffix}", "overlaying": f"y{suffix}"}
    if not edge:
        found |= {"showticklabels": False, "title": None, "ticks": ""}
    return found | ({"matches": f"y{n + 1}"} if k else {})


def _domains(
    k: int, n: int, across: int, rows: int, height: int
) -> tuple[list[float], list[float]]:
    del n
    gap_x, gap_y = 0.03, ROW_GAP / height
    width = (1 - gap_x * (across - 1)) / across
    tall = (1 - gap_y * (rows - 1)) / rows
    column, row = k % across, k // across
    left, top = column * (width + gap_x), 1 - row * (tall + gap_y)
    return [left, left + width], [max(0.0, top - tall), top]


def _inner(domain: list[float], anchor: str, outer: bool, k: int, side: str) -> dict[str, Any]:
    """Ticks and titles only along the edges; zooming into one panel zooms all."""
    found: dict[str, Any] = {"domain": domain, "anchor": anchor}
    if not outer:
        found |= {"showticklabels": False, "title": None, "ticks": ""}
    return found | ({"matches": side} if k else {})


def _panel_title(x: float, y: float, text: str) -> dict[str, Any]:
    return {
        "x": x,
        "y": y,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "left",
        "yanchor": "bottom",
        "yshift": 3,
        "showarrow": False,
        "text": text,
    }
