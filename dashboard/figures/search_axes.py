"""What the charts of a search share: axes of parameters, the ring around the best trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import SearchParameter, SearchScore
from ..contracts.searches import NOTHING
from ..wording import shorten
from .canvas import number_ticks
from .drawn import Trace, scatter
from .epoch_lines import short_tick
from .search_lines import parameter_names
from .theme import escape, style_of

__all__ = [
    "Across",
    "along",
    "best_ring",
    "better_words",
    "equal_steps",
    "numbers_axis",
    "short_name",
    "short_number",
]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Across:
    """One axis of a chart: where each trial stands, and how it is written.

    Attributes
    ----------
    places : `(n,)`, nan for trials without a value.
    """

    places: Floats
    options: dict[str, Any]


def short_name(parameter: SearchParameter) -> str:
    return shorten(parameter_names([parameter])[0], 40)


def equal_steps(parameter: SearchParameter) -> Across:
    """Every distinct value in equal steps."""
    known = parameter.categories
    places = np.array(
        [
            known.index(parameter.text(k)) if v is not None else np.nan
            for k, v in enumerate(parameter.values)
        ]
    )
    every = max(1, -(-len(known) // 20))
    ticks = list(range(0, len(known), every))
    return Across(
        places,
        {
            "range": [-0.5, len(known) - 0.5],
            "tickvals": ticks,
            "ticktext": [escape(shorten(short_number(known[at]), 16)) for at in ticks],
            "tickangle": 0
            if sum(len(short_number(known[at])[:16]) + 2 for at in ticks) < 80
            else -35,
            "showgrid": False,
        },
    )


def short_number(text: str) -> str:
    """A number as people read it: `.001`; anything else as it is."""
    try:
        return short_tick(float(text))
    except ValueError:
        return text


def along(parameter: SearchParameter) -> Across:
    """Numbers on an axis of their scale; everything else in equal steps."""
    if not parameter.is_number or NOTHING in parameter.values:
        return equal_steps(parameter)
    known = parameter.numbers[np.isfinite(parameter.numbers)]
    return Across(parameter.numbers, numbers_axis(known, parameter.scale == "log"))


def numbers_axis(known: Floats, log: bool) -> dict[str, Any]:
    low, high = float(known.min()), float(known.max())
    if not log:
        air = 0.04 * ((high - low) or abs(high) or 1.0)
        return {"range": [low - air, high + air], **number_ticks(low - air, high + air, 6)}
    ends = [float(np.log10(low)), float(np.log10(high))]
    air = 0.04 * ((ends[1] - ends[0]) or 1.0)
    powers = np.arange(np.ceil(ends[0] - 0.01), np.floor(ends[1] + 0.01) + 1)
    ticks = 10.0**powers if len(powers) > 2 else _round_steps(low, high)
    ticks = ticks[:: max(1, -(-len(ticks) // 7))]
    return {
        "type": "log",
        "range": [ends[0] - air, ends[1] + air],
        "tickmode": "array",
        "tickvals": ticks.tolist(),
        "ticktext": [short_tick(float(tick)) for tick in ticks],
    }


def _round_steps(low: float, high: float) -> Floats:
    steps = np.array([m * 10.0**p for p in range(-12, 13) for m in (1, 2, 5)])
    return steps[(steps >= 0.95 * low) & (steps <= 1.05 * high)]


def better_words(score: SearchScore) -> str:
    if score.larger_is_better is None:
        return ""
    return " Higher is better." if score.larger_is_better else " Lower is better."


def best_ring(x: float, y: float) -> Trace:
    colour = style_of(3).colour
    return scatter(
        x=np.array([x], dtype=np.float32),
        y=np.array([y], dtype=np.float32),
        mode="markers",
        marker={
            "symbol": "circle-open",
            "size": 17,
            "color": colour,
            "line": {"width": 2, "color": colour},
        },
        hoverinfo="skip",
        name="best",
        cliponaxis=False,
    )
