"""Curves by epoch in sum: seeds of one configuration as median and band; the gap to validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from ..errors import NotApplicable, ParameterError
from ..wording import count, in_sentence, number, plural, threshold
from .canvas import axis, canvas, models_title, reference_line
from .drawn import Trace, add_meta, scatter
from .epoch_captions import caption_gap, caption_groups, key_sentence, said_gaps
from .epoch_lines import BUDGET, DrawnLine, Frame, drawing_note, thin
from .epoch_marks import line_trace
from .epoch_scene import Styles, number_axis
from .theme import ModelStyle, Theme, escape, label, style_for, translucent

if TYPE_CHECKING:
    from ..diagnostics.epochs import EpochCurve
    from ..diagnostics.run_groups import Band, RunGroup

__all__ = ["plot_epoch_groups", "plot_gap"]

NAMED = 12


def plot_epoch_groups(
    groups: Sequence[RunGroup],
    styles: Styles | None = None,
    *,
    log_x: bool = False,
    log_y: bool = False,
    theme: Theme = "light",
) -> go.Figure:
    """Runs that differ in their seed alone as one line, the median, with a band over them.

    Styles go by the names of the groups.

    Raises
    ------
    ParameterError : no groups, or curves of different metrics.
    NotApplicable : no run of any group holds a value.
    """
    if len({one.metric for group in groups for one in group.curves}) != 1:
        raise ParameterError("Groups of curves of one metric are needed. Draw one figure for each.")
    shown = [(one, style_for(styles, one.name, k)) for k, one in enumerate(groups) if one.bands]
    if not shown:
        raise NotApplicable("None of these runs logged the metric.")
    first = shown[0][0].curves[0]
    bands = [band for one, _ in shown for band in one.bands]
    lowest = min(float(band.places.min()) for band in bands)
    shift = 1.0 - np.floor(lowest) if log_x and lowest <= 0 else 0.0
    frame = Frame.around(
        [band.places + shift for band in bands],
        [getattr(band, name) for band in bands for name in ("low", "high")],
        log_x=log_x,
        log_y=log_y,
    )
    traces: list[Trace] = []
    lines: list[DrawnLine] = []
    for group, look in shown:
        for band in group.bands:
            made = _band_lines(group, band, look, frame, shift, BUDGET // (3 * len(bands)))
            traces += [trace for trace, _ in made]
            lines += [line for _, line in made]
    caption = " ".join(filter(None, [caption_groups(groups), _ended(groups), drawing_note(lines)]))
    curves = [one for group, _ in shown for one in group.curves if one.parts]
    unit = first.unit[:1].upper() + first.unit[1:]
    figure = canvas(
        theme,
        title=models_title(f"{first.title} by {first.unit}", [one.name for one, _ in shown], 100),
        subtitle=key_sentence(curves, band=_band_words(shown)),
        name=f"{first.metric} by {first.unit}, groups",
        alt=f"{first.title} of {plural(len(groups), 'group')} of runs. {caption}",
        caption=caption,
        height=400,
        width=110,
        legend_rows=len(shown) if len(shown) <= NAMED else 0,
        showlegend=len(shown) <= NAMED,
        xaxis={
            **axis(f"{unit} + {threshold(shift)}" if shift else unit),
            **number_axis(frame.x, log_x, 8),
        },
        yaxis={**axis(first.title), **number_axis(frame.y, log_y, 6)},
    )
    add_meta(figure, shift=float(shift))
    figure.update_layout(legend={"traceorder": "normal"})  # fills would turn it round
    figure.add_traces([*traces, *[_entry(group, look) for group, look in shown]])
    return figure


def _band_words(shown: Sequence[tuple[RunGroup, ModelStyle]]) -> str:
    several = [band.sentence for one, _ in shown if len(one.runs) > 1 for band in one.bands]
    return " or ".join(dict.fromkeys(several))


def _ended(groups: Sequence[RunGroup]) -> str:
    """Where a median is of fewer runs towards the end."""
    shorter = [one.name for one in groups if any(band.n[-1] < len(one.runs) for band in one.bands)]
    if not shorter:
        return ""
    return (
        f"In {plural(len(shorter), 'group')} some runs end before the others; the median is of "
        "those that are left."
    )


def _band_lines(
    group: RunGroup, band: Band, look: ModelStyle, frame: Frame, shift: float, marks: int
) -> list[tuple[Trace, DrawnLine]]:
    x = band.places + shift
    thick = band.part != "train" or group.validation is None
    found = []
    if len(group.runs) > 1:
        edge = {"width": 0, "color": look.colour}
        low, high = (thin(x, values, frame, marks) for values in (band.low, band.high))
        fill = {"fill": "tonexty", "fillcolor": translucent(look.colour, 0.22 if thick else 0.1)}
        found += [
            (line_trace(low, edge, 1.0, hoverinfo="skip"), low),
            (line_trace(high, edge, 1.0, hoverinfo="skip", **fill), high),
        ]
    middle = thin(x, band.median, frame, marks)
    line = {**look.line, "width": 2.25 if thick else 1.1}
    said = [_point(group, band, int(at)) for at in middle.at]
    trace = line_trace(
        middle,
        line,
        1.0 if thick else 0.75,
        text=said,
        hovertemplate="%{text}<extra></extra>",
        name=label(group.name),
    )
    return [*found, (trace, middle)]


def _point(group: RunGroup, band: Band, at: int) -> str:
    first = group.curves[0]
    rows = "training" if band.part == "train" else band.part
    span = f"<br>{number(float(band.low[at]))} to {number(float(band.high[at]))}"
    return (
        f"{first.unit[:1].upper()}{first.unit[1:]} {number(float(band.places[at]))}: {rows} "
        f"{escape(in_sentence(first.title))} of<br><i>{label(group.name, 40)}</i>, median "
        f"{number(float(band.median[at]))} of {plural(int(band.n[at]), 'run')}"
        + (span if band.n[at] > 1 else "")
    )


def _entry(group: RunGroup, look: ModelStyle) -> Trace:
    return scatter(
        x=[None],
        y=[None],
        mode="lines",
        line=look.line,
        name=f"{label(group.name)}  {plural(len(group.runs), 'run')}",
        hoverinfo="skip",
    )


def plot_gap(
    curves: Sequence[EpochCurve],
    styles: Styles | None = None,
    *,
    log_x: bool = False,
    theme: Theme = "light",
) -> go.Figure:
    """By how much training is better than validation, by epoch; 0 where they are equal.

    Raises
    ------
    ParameterError : no curves, or curves of different metrics.
    NotApplicable : no run logged both parts.
    """
    if len({one.metric for one in curves}) != 1:
        raise ParameterError("Curves of one metric are needed. Draw one figure for each.")
    shown = [
        (one, style_for(styles, one.run, k))
        for k, one in enumerate(curves)
        if np.isfinite(one.gap()[1]).any()
    ]
    if not shown:
        raise NotApplicable("No run logged both training and validation values of this metric.")
    gaps = {one.run: one.gap() for one, _ in shown}
    lowest = min(int(steps.min()) for steps, _ in gaps.values())
    shift = 1 - lowest if log_x and lowest <= 0 else 0
    xs = [(steps + shift).astype(np.float64) for steps, _ in gaps.values()]
    zero = np.zeros(1)
    frame = Frame.around(xs, [*(values for _, values in gaps.values()), zero], log_x=log_x)
    lines = [
        thin(x, values, frame, BUDGET // len(shown))
        for x, (_, values) in zip(xs, gaps.values(), strict=True)
    ]
    figure = _gap_canvas([one for one, _ in shown], curves, frame, shift, lines, theme)
    add_meta(figure, shift=float(shift))
    figure.add_trace(reference_line(frame.x, [0, 0], theme))
    for (curve, look), line in zip(shown, lines, strict=True):
        figure.add_trace(_gap_line(curve, look, line, len(shown)))
    return figure


def _gap_canvas(
    shown: Sequence[EpochCurve],
    curves: Sequence[EpochCurve],
    frame: Frame,
    shift: int,
    lines: Sequence[DrawnLine],
    theme: Theme,
) -> go.Figure:
    first = shown[0]
    absent = len(curves) - len(shown)
    left = (
        f"{plural(absent, 'run')} of {count(len(curves))} logged one part only." if absent else ""
    )
    caption = " ".join(
        filter(None, [caption_gap(shown), left, said_gaps(shown), drawing_note(lines)])
    )
    unit = first.unit[:1].upper() + first.unit[1:]
    way = "Training above validation" if first.larger_is_better else "Validation above training"
    names = [one.run for one in shown]
    return canvas(
        theme,
        title=models_title(f"Generalisation gap: {in_sentence(first.title)}", names, 100),
        subtitle="Above 0: better on training rows than on validation rows",
        name=f"gap {first.metric} " + " ".join(names[:6]),
        alt=f"Generalisation gap of {plural(len(shown), 'run')}. {caption}",
        caption=caption,
        height=300,
        width=110,
        legend_rows=len(shown) if len(shown) <= NAMED else 0,
        showlegend=len(shown) <= NAMED,
        xaxis={
            **axis(f"{unit} + {shift}" if shift else unit),
            **number_axis(frame.x, frame.log_x, 8),
        },
        yaxis={**axis(way), **number_axis(frame.y, False, 6)},
    )


def _gap_line(curve: EpochCurve, look: ModelStyle, line: DrawnLine, n: int) -> Trace:
    steps, values = curve.gap()
    said = [
        f"{curve.unit[:1].upper()}{curve.unit[1:]} {count(int(steps[at]))}: a gap of "
        f"{number(float(values[at]))}<br>for <i>{label(curve.run, 40)}</i>"
        for at in line.at
    ]
    more: dict[str, Any] = {"text": said, "hovertemplate": "%{text}<extra></extra>"}
    trace = line_trace(line, {**look.line, "width": 2 if n <= NAMED else 1}, 1.0, **more)
    trace.update(name=label(curve.run), showlegend=n <= NAMED)
    return trace
