"""Loss against learning rate in a search, and the schedule of rates beside the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from ..errors import ParameterError
from ..wording import count, in_sentence, number, plural
from .canvas import axis, canvas, models_title, note
from .drawn import Trace, scatter
from .epoch_captions import said_gaps
from .epoch_lines import DrawnLine, Frame, drawing_note, log_ticks, thin
from .epoch_marks import line_trace
from .epoch_scene import Styles, number_axis
from .theme import ModelStyle, Theme, escape, ink, label, style_for, translucent

if TYPE_CHECKING:
    from ..diagnostics.epochs import EpochCurve
    from ..diagnostics.rate_search import RateSearch
    from ..diagnostics.schedules import Schedule

__all__ = ["plot_rate_search", "plot_schedule"]

BUDGET = 4_000
NAMES = (("steepest", "steepest descent"), ("minimum", "minimum"), ("turning", "turning point"))


def plot_rate_search(
    searches: Sequence[RateSearch],
    styles: Styles | None = None,
    *,
    theme: Theme = "light",
) -> go.Figure:
    """Loss against rate on a log axis, with what it suggests.

    The band is the suggested range, of a single search. The axis of losses ends a little above
    the start; what exploded beyond it is cut off there and said.

    Raises
    ------
    ParameterError : no searches.
    """
    if not searches:
        raise ParameterError("No searches were given; pass at least one.")
    looks = [style_for(styles, one.run, k) for k, one in enumerate(searches)]
    frame = _frame(searches)
    marks = BUDGET // (2 * len(searches))
    raw = [thin(one.rates, one.losses, frame, marks) for one in searches]
    fits = [thin(one.places, one.smoothed, frame, marks) for one in searches]
    names = [one.run for one in searches]
    caption = _search_caption(searches, frame, [*raw, *fits])
    first = searches[0]
    figure = canvas(
        theme,
        title=models_title("Learning-rate search", names, 100),
        subtitle=f"{_rows(first)} loss of each step, faint; thick: smoothed over nearby rates",
        name="rate search " + " ".join(names[:6]),
        alt=f"Loss against learning rate of {plural(len(searches), 'search')}. {caption}",
        caption=caption,
        height=380,
        width=110,
        legend_rows=len(searches) if len(searches) > 1 else 0,
        showlegend=len(searches) > 1,
        xaxis={**axis("Learning rate"), **number_axis(frame.x, True, 8)},
        yaxis={**axis("Loss"), **number_axis(frame.y, False, 6)},
        shapes=_range_shapes(first, looks[0]) if len(searches) == 1 else [],
    )
    for one, look, faint, fit in zip(searches, looks, raw, fits, strict=True):
        figure.add_traces(_search_traces(one, look, faint, fit, frame, theme))
    if len(searches) == 1:
        _name_marks(figure, first, theme)
    return figure


def _rows(search: RateSearch) -> str:
    return "Training" if search.part == "train" else search.part.capitalize()


def _frame(searches: Sequence[RateSearch]) -> Frame:
    plain = Frame.around(
        [one.rates for one in searches], [one.smoothed for one in searches], log_x=True
    )
    losses = np.concatenate([one.losses[np.isfinite(one.losses)] for one in searches])
    low = min(plain.y[0], float(losses.min()))
    start = max(one.start for one in searches)
    high = min(start + 0.6 * max(start - low, 0.05 * abs(start), 1e-12), float(losses.max()))
    high = max(high, plain.y[0])
    return Frame(plain.x, (low - 0.08 * (high - low), high), log_x=True)  # room for a label below


def _search_caption(
    searches: Sequence[RateSearch], frame: Frame, lines: Sequence[DrawnLine]
) -> str:
    said = [f"{one.run}: {one.reason}" if len(searches) > 1 else one.reason for one in searches]
    if len(searches) == 1 and searches[0].suggested is not None:
        one = searches[0]
        low, high = number(one.low or 0.0), number(one.high or 0.0)
        about = f"Suggested: {number(one.suggested or 0.0)}"
        said.append(about + (f", from {low} to {high}." if low != high else "."))
    over = sum(int((one.losses > frame.y[1] * 1.0001).sum()) for one in searches)
    if over:
        said.append(f"{plural(over, 'loss')} above the drawing, where the search has exploded.")
    bad = sum(int((~np.isfinite(one.losses)).sum()) for one in searches)
    if bad:
        said.append(f"{plural(bad, 'loss')} not finite, drawn as crosses along the upper edge.")
    return " ".join([*said, drawing_note(lines)]).strip()


def _range_shapes(search: RateSearch, look: ModelStyle) -> list[dict[str, Any]]:
    if search.low is None or search.high is None:
        return []
    return [
        {
            "type": "rect",
            "x0": search.low,
            "x1": search.high,
            "y0": 0,
            "y1": 1,
            "yref": "paper",
            "line": {"width": 0},
            "fillcolor": translucent(look.colour, 0.14),
            "layer": "below",
        }
    ]


def _search_traces(
    one: RateSearch,
    look: ModelStyle,
    faint: DrawnLine,
    fit: DrawnLine,
    frame: Frame,
    theme: Theme,
) -> list[Trace]:
    said = [
        f"At a rate of {number(float(one.rates[at]))} the loss of<br><i>{label(one.run, 40)}</i> "
        f"is {number(float(one.losses[at]))}."
        for at in faint.at
    ]
    hover: dict[str, Any] = {"text": said, "hovertemplate": "%{text}<extra></extra>"}
    found = [
        line_trace(faint, {**look.line, "width": 1, "dash": "solid"}, 0.4, **hover),
        line_trace(fit, {**look.line, "width": 2.5}, 1.0, hoverinfo="skip"),
    ]
    found[1].update(name=label(one.run), showlegend=True)
    marked = [(getattr(one, field), words) for field, words in NAMES]
    known = [(value, words) for value, words in marked if value is not None]
    if known:
        found.append(_marks(one, look, known, frame, theme))
    bad = one.rates[~np.isfinite(one.losses)]
    if len(bad):
        found.append(_crosses(one, look, bad, frame))
    return found


def _height(one: RateSearch, rate: float, frame: Frame) -> float:
    height = float(np.interp(np.log10(rate), np.log10(one.places), one.smoothed))
    return min(height, frame.y[1])


def _marks(
    one: RateSearch,
    look: ModelStyle,
    known: Sequence[tuple[float, str]],
    frame: Frame,
    theme: Theme,
) -> Trace:
    return scatter(
        x=[rate for rate, _ in known],
        y=[_height(one, rate, frame) for rate, _ in known],
        mode="markers",
        marker={
            "symbol": look.symbol,
            "size": 11,
            "color": look.colour,
            "line": {"color": ink(theme).page, "width": 1.5},
        },
        showlegend=False,
        text=[
            f"{words.capitalize()} of <i>{label(one.run, 40)}</i>:<br>a rate of {number(rate)}."
            for rate, words in known
        ],
        hovertemplate="%{text}<extra></extra>",
        cliponaxis=False,
        zorder=2,
    )


def _crosses(one: RateSearch, look: ModelStyle, bad: Any, frame: Frame) -> Trace:
    shown = bad[:: max(1, len(bad) // 100)]
    return scatter(
        x=shown.astype(np.float32),
        y=np.full(len(shown), frame.y[1], dtype=np.float32),
        mode="markers",
        marker={
            "symbol": "x-thin",
            "size": 9,
            "color": look.colour,
            "line": {"color": look.colour, "width": 2},
        },
        showlegend=False,
        text=[
            f"At a rate of {number(float(rate))} the loss of<br><i>{label(one.run, 40)}</i> is not "
            "finite."
            for rate in shown
        ],
        hovertemplate="%{text}<extra></extra>",
        cliponaxis=False,
    )


def _name_marks(figure: go.Figure, one: RateSearch, theme: Theme) -> None:
    """Direct labels beside the marks and on the band."""
    frame = _frame([one])
    places = {
        "steepest": ("right", -12, 0),
        "minimum": ("center", 0, -18),
        "turning": ("left", 12, 0),
    }
    for field, words in NAMES:
        rate = getattr(one, field)
        if rate is None:
            continue
        anchor, across, up = places[field]
        text = f"{words} {number(rate)}"
        at = (float(np.log10(rate)), _height(one, rate, frame))
        figure.add_annotation(note(*at, text, theme, xanchor=anchor, xshift=across, yshift=up))
    if one.low is not None and one.high is not None:
        middle = float(np.log10(one.low) + np.log10(one.high)) / 2
        figure.add_annotation(
            note(middle, 1, "suggested", theme, yref="paper", yanchor="bottom", yshift=2)
        )


# Schedules


def plot_schedule(
    curve: EpochCurve,
    schedule: Schedule,
    style: ModelStyle | None = None,
    *,
    log_y: bool = False,
    theme: Theme = "light",
) -> go.Figure:
    """The loss above, the learning rate below it on the same steps; upright lines at restarts."""
    look = style or style_for(None, curve.run, 0)
    parts = curve.parts
    rate_x = schedule.steps.astype(np.float64)
    places = [*(part.places for part in parts), rate_x]
    above = Frame.around(places, [part.smoothed for part in parts], log_y=log_y)
    log = bool(schedule.floor > 0 and schedule.peak > 30 * schedule.floor)
    below = Frame(above.x, (float(schedule.rates.min()), schedule.peak), log_y=log)
    lines = [thin(part.places, part.smoothed, above, 1_000) for part in parts]
    rate_line = thin(rate_x, schedule.rates, below, 1_000)
    caption = _schedule_caption(curve, schedule, [*lines, rate_line])
    unit = schedule.unit[:1].upper() + schedule.unit[1:]
    held = " thick: validation; thin: training" if len(parts) > 1 else ""
    figure = canvas(
        theme,
        title=models_title(f"{curve.title} and learning rate", [curve.run], 100),
        subtitle=f"Above: {in_sentence(curve.title)};{held}\nBelow: learning rate",
        name=f"schedule {curve.run}",
        alt=f"{curve.title} and learning rate of {curve.run}. {caption}",
        caption=caption,
        height=460,
        width=110,
        showlegend=False,
        xaxis={**axis(unit), **number_axis(above.x, False, 8), "anchor": "y2"},
        yaxis={**axis(curve.title), **number_axis(above.y, log_y, 5), "domain": [0.42, 1]},
        yaxis2={**axis("Learning rate"), **_rate_axis(below), "domain": [0, 0.34]},
        shapes=[_upright(step, theme) for step in schedule.restarts[:60]],
    )
    for part, line in zip(parts, lines, strict=True):
        figure.add_trace(_loss_line(curve, part, look, line))
    figure.add_trace(_rate_trace(schedule, look, rate_line))
    return figure


def _rate_axis(frame: Frame) -> dict[str, Any]:
    if frame.log_y:
        return {**number_axis(frame.y, True, 4), **log_ticks(*frame.y, 4)}
    return number_axis((min(0.0, frame.y[0]), frame.y[1]), False, 4)


def _schedule_caption(curve: EpochCurve, schedule: Schedule, lines: Sequence[DrawnLine]) -> str:
    return " ".join(
        filter(
            None,
            [
                schedule.sentence,
                _best_in_cycle(curve, schedule),
                said_gaps([curve]),
                drawing_note(lines),
            ],
        )
    )


def _best_in_cycle(curve: EpochCurve, schedule: Schedule) -> str:
    """Where within the schedule the best value lies."""
    if curve.best is None:
        return ""
    at = int(np.searchsorted(schedule.steps, curve.best, side="right")) - 1
    rate = f", at a rate of {number(float(schedule.rates[at]))}" if at >= 0 else ""
    rows = "training" if curve.best_from == "train" else curve.best_from
    ends = ""
    if schedule.restarts:
        bounds = [*schedule.restarts, int(schedule.steps[-1]) + 1]
        cycle = 1 + sum(curve.best >= step for step in schedule.restarts)
        ends = f" in cycle {count(cycle)} of {count(len(bounds))}"
    return (
        f"The best {rows} {in_sentence(curve.title)}, {number(curve.best_value)}, is at "
        f"{curve.unit} {count(curve.best)}{ends}{rate}."
    )


def _upright(step: int, theme: Theme) -> dict[str, Any]:
    return {
        "type": "line",
        "x0": step,
        "x1": step,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": ink(theme).rule, "width": 1, "dash": "dot"},
        "layer": "below",
    }


def _loss_line(curve: EpochCurve, part: Any, look: ModelStyle, line: DrawnLine) -> Trace:
    thick = part.part != "train" or curve.validation is None
    rows = "training" if part.part == "train" else part.part
    said = [
        f"{curve.unit[:1].upper()}{curve.unit[1:]} {count(int(part.steps[at]))}: {rows} "
        f"{escape(in_sentence(curve.title))} {number(float(part.smoothed[at]))}"
        for at in line.at
    ]
    more: dict[str, Any] = {"text": said, "hovertemplate": "%{text}<extra></extra>"}
    width = 2.25 if thick else 1.1
    return line_trace(line, {**look.line, "width": width}, 1.0 if thick else 0.75, **more)


def _rate_trace(schedule: Schedule, look: ModelStyle, line: DrawnLine) -> Trace:
    said = [
        f"{schedule.unit[:1].upper()}{schedule.unit[1:]} {count(int(schedule.steps[at]))}: the "
        f"rate is {number(float(schedule.rates[at]))}"
        for at in line.at
    ]
    more: dict[str, Any] = {"text": said, "hovertemplate": "%{text}<extra></extra>", "yaxis": "y2"}
    return line_trace(line, {**look.line, "dash": "solid", "width": 2}, 1.0, **more)
