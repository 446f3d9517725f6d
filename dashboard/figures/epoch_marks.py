"""Lines of curves by epoch and the marks on them: best epochs, early stopping, gaps, rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..wording import count, in_sentence, number
from .canvas import axis
from .drawn import Trace, scatter
from .epoch_captions import best_first, stop_sentence
from .epoch_lines import DrawnLine, Frame, thin
from .epoch_scene import GAP_MARKS, Scene, number_axis
from .theme import ModelStyle, escape, ink, label

if TYPE_CHECKING:
    from ..diagnostics.epochs import EpochCurve, LoggedPart

__all__ = [
    "Line",
    "best_marks",
    "gap_marks",
    "legend_entry",
    "line_trace",
    "lines_of",
    "pale_lines",
    "rate_axis",
    "rate_line",
    "rate_lines",
]


Line = tuple[Trace, DrawnLine]


def lines_of(scene: Scene, k: int, part: LoggedPart) -> list[Line]:
    """The smoothed line of run k, before it the raw one where it is shown."""
    curve, look, x = scene.curves[k], scene.looks[k], scene.places(part.places)
    thick = part.part != "train" or curve.validation is None
    found = []
    if scene.raw:
        ghost = thin(x, part.values, scene.frame, scene.budget)
        line = {**look.line, "width": 1, "dash": "solid"}
        group = {"legendgroup": curve.run, "hoverinfo": "skip"}
        found.append((line_trace(ghost, line, _pale(scene, 0.3), **group), ghost))
    drawn = thin(x, part.smoothed, scene.frame, scene.budget)
    trace = line_trace(
        drawn,
        {**look.line, "width": 2.25 if thick else 1.3},
        1.0 if thick else _pale(scene, 0.75),
        text=_hover(curve, part, drawn),
        hovertemplate="%{text}<extra></extra>",
        name=label(curve.run),
        legendgroup=curve.run,
    )
    return [*found, (trace, drawn)]


def _pale(scene: Scene, opacity: float) -> float:
    """An opacity; on black, thin lines need more to be seen."""
    return opacity if scene.theme == "light" else min(1.0, 1.5 * opacity)


def pale_lines(scene: Scene, which: Sequence[int]) -> list[Line]:
    """Many runs, grey and thin, since there are fewer colours; each part is one trace."""
    joined: dict[bool, list[tuple[DrawnLine, list[str]]]] = {}
    for k in which:
        curve = scene.curves[k]
        for part in curve.parts:
            drawn = thin(scene.places(part.places), part.smoothed, scene.frame, scene.budget)
            thick = part.part != "train" or curve.validation is None
            joined.setdefault(thick, []).append((drawn, _hover(curve, part, drawn)))
    found = []
    for thick, lines in sorted(joined.items()):  # validation on top
        every = _joined([line for line, _ in lines])
        line = {"color": ink(scene.theme).muted, "width": 1.25 if thick else 0.75}
        said = [text for _, texts in lines for text in (*texts, "")][:-1]
        hover = {"text": said, "hovertemplate": "%{text}<extra></extra>"}
        seen = _pale(scene, 0.45 if thick else 0.25)
        found.append((line_trace(every, line, seen, **hover), every))
    return found


def _joined(lines: Sequence[DrawnLine]) -> DrawnLine:
    """One after the other, with a break between two."""
    gap, no, off = np.array([np.nan]), np.array([-1]), np.array([False])
    return DrawnLine(
        np.concatenate([part for one in lines for part in (one.x, gap)])[:-1],
        np.concatenate([part for one in lines for part in (one.y, gap)])[:-1],
        np.concatenate([part for one in lines for part in (one.at, no)])[:-1],
        sum(one.n for one in lines),
        max(one.error for one in lines),
        np.concatenate([part for one in lines for part in (one.lone, off)])[:-1],
    )


def line_trace(drawn: DrawnLine, line: dict[str, Any], opacity: float, **more: Any) -> Trace:
    """A line; a value between two gaps is a dot, since no line can show it."""
    dots: dict[str, Any] = {}
    if drawn.lone.any():
        sizes = np.where(drawn.lone, 5, 0).astype(np.float32)
        dots = {"marker": {"size": sizes, "color": line["color"], "line": {"width": 0}}}
    return scatter(
        x=drawn.x.astype(np.float32),
        y=drawn.y.astype(np.float32),
        mode="lines+markers" if dots else "lines",
        line=line,
        opacity=opacity,
        showlegend=False,
        **dots,
        **more,
    )


def _hover(curve: EpochCurve, part: LoggedPart, drawn: DrawnLine) -> list[str]:
    who = f"{_rows(part)} {escape(in_sentence(curve.title))} of<br><i>{label(curve.run, 40)}</i>"
    said = []
    for at in drawn.at:
        value = number(float(part.values[at])) if at >= 0 else ""
        more = f" (smoothed {number(float(part.smoothed[at]))})" if curve.smoothing else ""
        said.append(f"{_unit(curve)} {count(int(part.steps[at]))}: {who} {value}{more}")
    return said


def _unit(curve: EpochCurve) -> str:
    return curve.unit[:1].upper() + curve.unit[1:]


def _rows(part: LoggedPart) -> str:
    return "training" if part.part == "train" else part.part


def best_marks(scene: Scene, chosen: Sequence[int]) -> list[Trace]:
    """Each run's marker at its best epoch, and where early stopping would have ended."""
    best = [n for n in chosen if scene.curves[n].best is not None]
    stops = [n for n in best if _stopped(scene.curves[n]) is not None]
    found = []
    if best:
        size = 10 if len(best) <= 12 else 7
        found.append(_marked(scene, best, size, [look.symbol for look in scene.looks], _best_at))
    if stops:
        found.append(_marked(scene, stops, 18, ["line-ns-open"] * len(scene.curves), _stop_at))
    return found


def _stopped(curve: EpochCurve) -> int | None:
    return curve.early_stop.stop if curve.early_stop is not None else None


def _best_at(curve: EpochCurve) -> tuple[int, str]:
    step = curve.best or 0
    who = f"Best {curve.unit} of <i>{label(curve.run, 40)}</i>"
    value = f"{escape(in_sentence(curve.title))} {number(curve.best_value)}"
    return step, f"{who}:<br>{curve.unit} {count(step)}, {value}."


def _stop_at(curve: EpochCurve) -> tuple[int, str]:
    said = stop_sentence(curve)
    for word in (" would have", " and kept"):
        said = said.replace(word, f"<br>{word.strip()}")
    return _stopped(curve) or 0, f"<i>{label(curve.run, 40)}</i><br>{said}"


def _marked(
    scene: Scene, which: Sequence[int], size: int, symbols: Sequence[str], where: Any
) -> Trace:
    x, y, said = [], [], []
    for k in which:
        curve = scene.curves[k]
        step, sentence = where(curve)
        x.append(float(_drawn_at(curve, step)))
        y.append(_value_at(curve, step))
        said.append(sentence)
    first = best_first(scene.curves)[:1] if scene.crowded else scene.curves
    colours = [
        scene.looks[k].colour if scene.curves[k] in first else ink(scene.theme).muted for k in which
    ]
    alone = {"legendgroup": scene.curves[which[0]].run} if len(which) == 1 else {}
    return scatter(
        x=scene.places(np.array(x)).astype(np.float32),
        y=np.array(y, dtype=np.float32),
        mode="markers",
        marker={
            "symbol": [symbols[k] for k in which],
            "size": size,
            "color": colours,
            "line": {"color": colours if size > 12 else ink(scene.theme).page, "width": 2},
        },
        **alone,
        showlegend=False,
        cliponaxis=False,
        text=said,
        hovertemplate="%{text}<extra></extra>",
        zorder=2,
    )


def _drawn_at(curve: EpochCurve, step: int) -> float:
    part = curve.watched
    return float(part.places[np.searchsorted(part.steps, step)]) if part is not None else step


def _value_at(curve: EpochCurve, step: int) -> float:
    """On the line that is drawn: at the smoothed value."""
    part = curve.watched
    if part is None:
        return float("nan")
    at = min(int(np.searchsorted(part.steps, step)), len(part.steps) - 1)
    finite = np.flatnonzero(part.finite[: at + 1])
    return float(part.smoothed[finite[-1]]) if len(finite) else float("nan")


def gap_marks(scene: Scene, which: Sequence[int]) -> list[Trace]:
    """A cross where values are not finite: at the last finite value before, else at the next."""
    x, y, said, colours = [], [], [], []
    n_all = sum(len(part.gaps) for k in which for part in scene.curves[k].parts)
    stride = -(-n_all // GAP_MARKS) if n_all else 1
    for k in which:
        curve = scene.curves[k]
        for part in curve.parts:
            for gap in part.gaps[::stride]:
                at = int(np.searchsorted(part.steps, gap.first))
                x.append(float(part.places[at]))
                y.append(_beside(part, at, scene.frame))
                said.append(_gap_sentence(curve, part, gap))
                colours.append(scene.looks[k].colour)
    if not x:
        return []
    return [
        scatter(
            x=scene.places(np.array(x)).astype(np.float32),
            y=np.array(y, dtype=np.float32),
            mode="markers",
            marker={
                "symbol": "x-thin",
                "size": 9,
                "color": colours,
                "line": {"color": colours, "width": 2},
            },
            showlegend=False,
            cliponaxis=False,
            text=said,
            hovertemplate="%{text}<extra></extra>",
            zorder=3,
        )
    ]


def _beside(part: LoggedPart, at: int, frame: Frame) -> float:
    finite = np.flatnonzero(part.finite)
    if not len(finite):
        return float(np.mean(frame.y))
    before = finite[finite < at]
    return float(part.smoothed[before[-1] if len(before) else finite[0]])


def _gap_sentence(curve: EpochCurve, part: LoggedPart, gap: Any) -> str:
    rows = "training" if part.part == "train" else part.part
    until = f" to {count(gap.last)}" if gap.last > gap.first else ""
    return (
        f"{curve.unit[:1].upper()}{curve.unit[1:]} {count(gap.first)}{until}: the {rows} "
        f"{escape(in_sentence(curve.title))} of<br><i>{label(curve.run, 40)}</i> is {gap.kind}."
    )


def legend_entry(curve: EpochCurve, look: ModelStyle) -> Trace:
    """The legend's entry: line, marker, best value."""
    best = ""
    if curve.best is not None:
        best = f"  best {number(curve.best_value)} at {curve.unit} {count(curve.best)}"
    return scatter(
        x=[None],
        y=[None],
        mode="lines+markers",
        line=look.line,
        marker={"symbol": look.symbol, "size": 8, "color": look.colour},
        name=f"{label(curve.run)}{best}",
        legendgroup=curve.run,
        hoverinfo="skip",
    )


def rate_lines(scene: Scene) -> tuple[list[Line], dict[str, Any]]:
    """Learning rates, dotted, on an axis of their own; equal schedules are drawn once."""
    distinct: dict[bytes, EpochCurve] = {}
    for curve in scene.curves:
        if len(curve.rates):
            distinct.setdefault(curve.rate_steps.tobytes() + curve.rates.tobytes(), curve)
    frame, right = rate_axis(scene)
    found = []
    for curve in distinct.values():
        look = scene.looks[scene.curves.index(curve)]
        colour = look.colour if len(distinct) > 1 else ink(scene.theme).rule
        found.append(rate_line(scene, curve, frame, colour, "y2"))
    return found, {"yaxis2": {**right, "overlaying": "y"}}


def rate_axis(scene: Scene) -> tuple[Frame, dict[str, Any]]:
    """Where all runs' learning rates lie, and the axis for them, on the right."""
    shown = [one for one in scene.curves if len(one.rates)]
    values = [one.rates for one in shown]
    every = np.concatenate(values)
    every = every[np.isfinite(every)]
    log = bool(len(every) and every.min() > 0 and every.max() > 30 * every.min())
    span = Frame.around([scene.places(one.rate_steps) for one in shown], values, log_y=log)
    right = {
        **axis("Learning rate"),
        **number_axis(span.y, log, 5),
        "side": "right",
        "showgrid": False,
    }
    return replace(span, x=scene.frame.x, log_x=scene.frame.log_x), right


def rate_line(scene: Scene, curve: EpochCurve, frame: Frame, colour: str, beside: str) -> Line:
    """One run's learning rate, dotted, on the axis `beside`."""
    drawn = thin(scene.places(curve.rate_steps), curve.rates, frame, scene.budget)
    said = [
        f"{_unit(curve)} {count(int(curve.rate_steps[at]))}: the rate is "
        f"{number(float(curve.rates[at]))}"
        for at in drawn.at
    ]
    line = {"color": colour, "dash": "dot", "width": 1.5}
    more = {"text": said, "hovertemplate": "%{text}<extra></extra>", "yaxis": beside}
    return line_trace(drawn, line, 0.9, **more), drawn
