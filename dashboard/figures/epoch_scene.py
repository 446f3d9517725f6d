"""Which curves by epoch are drawn, on which axes, and with how many marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ..diagnostics.smoothing import robust_limits
from ..errors import NotApplicable
from ..wording import count, listing, plural, threshold
from .canvas import axis, number_ticks
from .epoch_captions import best_first
from .epoch_lines import BUDGET, Frame, log_ticks
from .theme import ModelStyle, Theme, style_for

if TYPE_CHECKING:
    from ..diagnostics.epochs import EpochCurve

__all__ = [
    "GAP_MARKS",
    "NAMED",
    "Layout",
    "Scene",
    "Styles",
    "make_scene",
    "number_axis",
    "x_axis",
    "y_axis",
]

Floats = npt.NDArray[np.float64]
Styles = Mapping[str, ModelStyle]
Layout = Literal["overlay", "grid"]

MOST_RUNS = 200  # drawn in one figure
NAMED = 12  # overlaid runs in the legend; of more, all but the best are pale
GRID = 24  # panels
GAP_MARKS = 300  # of one figure


@dataclass(frozen=True, eq=False)
class Scene:
    """What is drawn and how."""

    curves: tuple[EpochCurve, ...]
    looks: tuple[ModelStyle, ...]
    frame: Frame
    shift: float
    budget: int
    raw: bool
    rate: bool
    theme: Theme
    robust: tuple[float, float] | None
    left_out: str
    crowded: bool

    def places(self, values: npt.NDArray[Any]) -> Floats:
        """Where steps stand: a log axis begins behind 0."""
        return np.asarray(values, np.float64) + self.shift


def make_scene(
    curves: Sequence[EpochCurve],
    styles: Styles | None,
    layout: Layout,
    log_x: bool,
    log_y: bool,
    show_raw: bool,
    rate: bool,
    robust: bool,
    theme: Theme,
) -> Scene:
    found = {one.run: style_for(styles, one.run, k) for k, one in enumerate(curves)}
    kept, left_out = _shown([one for one in curves if one.parts], layout)
    parts = [part for one in kept for part in one.parts]
    first = min(float(part.places.min()) for part in parts)
    shift = 1.0 - min(float(part.steps.min()) for part in parts) if log_x and first <= 0 else 0.0
    smoothed = any(one.smoothing for one in kept)
    raw = show_raw and smoothed and (len(kept) <= NAMED or layout == "grid")
    if show_raw and smoothed and not raw:
        left_out += " Raw values are left out behind so many runs."
    values = [part.smoothed for part in parts] + [part.values for part in parts if raw]
    limits = robust_limits(np.concatenate(values)) if robust else None
    frame = Frame.around([part.places + shift for part in parts], values, log_x=log_x, log_y=log_y)
    if limits is not None and not (log_y and limits[0] <= 0):
        frame = replace(frame, y=limits)
    n_lines = len(parts) * (2 if raw else 1)
    rated = rate and any(len(one.rates) for one in kept)
    n_lines += sum(bool(len(one.rates)) for one in kept) if rated else 0
    budget = (BUDGET - 3 * len(kept) - 2 * GAP_MARKS) // max(1, n_lines)
    looks = tuple(found[one.run] for one in kept)
    return Scene(
        tuple(kept),
        looks,
        frame,
        shift,
        budget,
        raw,
        rated,
        theme,
        limits,
        left_out.strip(),
        len(kept) > NAMED,
    )


def _shown(curves: Sequence[EpochCurve], layout: Layout) -> tuple[list[EpochCurve], str]:
    if not curves:
        raise NotApplicable("None of these runs logged the metric.")
    most = GRID if layout == "grid" else MOST_RUNS
    if len(curves) <= most:
        return list(curves), ""
    best = {one.run for one in best_first(curves)[:most]} or {one.run for one in curves[:most]}
    kept = [one for one in curves if one.run in best]
    return kept, f"Drawn are {count(len(kept))} of {plural(len(curves), 'run')}, the best ones."


def x_axis(scene: Scene) -> dict[str, Any]:
    counted = list(dict.fromkeys(curve.unit for curve in scene.curves))
    unit = listing(counted, 4).replace(" and ", " or ")
    unit = unit[:1].upper() + unit[1:]
    if len(counted) > 1:  # the same place is not the same work
        unit += ", as each run counts"
    first = min(int(part.steps.min()) for curve in scene.curves for part in curve.parts)
    title = f"{unit} + {threshold(scene.shift)}" if scene.shift else unit
    if first == 0 and not scene.shift:
        title += " (from 0)"
    return {**axis(title), **number_axis(scene.frame.x, scene.frame.log_x, 8)}


def y_axis(scene: Scene) -> dict[str, Any]:
    return {**axis(scene.curves[0].title), **number_axis(scene.frame.y, scene.frame.log_y, 6)}


def number_axis(span: tuple[float, float], log: bool, most: int) -> dict[str, Any]:
    """Range with a little air, and ticks in house style."""
    low, high = span
    if log:
        a, b = float(np.log10(low)), float(np.log10(high))
        air = 0.04 * ((b - a) or 1.0)
        return {"type": "log", "range": [a - air, b + air], **log_ticks(low, high, most)}
    air = 0.04 * ((high - low) or abs(high) or 1.0)
    return {"range": [low - air, high + air], **number_ticks(low - air, high + air, most)}
