"""What to see in curves by epoch, computed; and what is not drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..diagnostics.epoch_trends import trend_of
from ..diagnostics.epochs import units
from ..wording import count, in_sentence, listing, number, plural, shorten, shorten_all

if TYPE_CHECKING:
    from ..diagnostics.epochs import EpochCurve, LoggedPart
    from ..diagnostics.run_groups import RunGroup

__all__ = [
    "best_first",
    "caption_curves",
    "caption_gap",
    "caption_groups",
    "key_sentence",
    "ordinal_epoch",
    "said_gaps",
    "stop_sentence",
]


def best_first(curves: Sequence[EpochCurve]) -> list[EpochCurve]:
    """Those with a best epoch, the best value first; behind them those known in training alone."""
    known = [one for one in curves if one.best is not None]
    return sorted(
        known,
        key=lambda one: (
            one.best_from == "train",
            -one.best_value if one.larger_is_better else one.best_value,
        ),
    )


def ordinal_epoch(curve: EpochCurve, step: int) -> str:
    """`epoch 9 (the 10th of 24)`: logs count from 0 or from 1."""
    part = curve.watched
    if part is None:
        return f"{curve.unit} {count(step)}"
    place = int(np.searchsorted(part.steps, step)) + 1
    if place == step and part.steps[0] == 1:
        return f"{curve.unit} {count(step)} of {count(int(part.steps[-1]))}"
    return f"{curve.unit} {count(step)} (the {_ordinal(place)} of {count(len(part.steps))})"


def _ordinal(n: int) -> str:
    ending = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{count(n)}{ending}"


def stop_sentence(curve: EpochCurve) -> str:
    """Where early stopping would have ended, what it would have kept, and at what price."""
    stop = curve.early_stop
    if stop is None:
        return ""
    with_patience = f"early stopping with patience {count(stop.patience)}"
    if stop.stop is None:
        return f"{with_patience[0].upper()}{with_patience[1:]} would not have ended it."
    kept = f"and kept {curve.unit} {count(stop.best)}"
    price = f"saving {units(stop.saved, curve.unit)}"
    if stop.later_best is not None and stop.later_value is not None:
        price = (
            f"too early: {curve.unit} {count(stop.later_best)} is better "
            f"({number(stop.later_value)} against {number(stop.best_value)})"
        )
    return (
        f"{with_patience[0].upper()}{with_patience[1:]} would have ended it after {curve.unit} "
        f"{count(stop.stop)} {kept}, {price}."
    )


def caption_curves(curves: Sequence[EpochCurve]) -> str:
    """Best epochs, early stopping, gaps and what the logs went through."""
    order = best_first(curves)
    if not order:
        first = _not_comparable(curves)
    elif len(order) == 1:
        one = order[0]
        what = f"best {_part_of(one)} {in_sentence(one.title)}, {number(one.best_value)}"
        where = ordinal_epoch(one, one.best or 0)
        first = f"{shorten(one.run, 60)} has its {what}, at {where}. {stop_sentence(one)}"
    else:
        first = _compared(order)
    return " ".join(part for part in (first, said_gaps(curves), _absent(curves)) if part)


def _part_of(curve: EpochCurve) -> str:
    return "training" if curve.best_from == "train" else curve.best_from


def _not_comparable(curves: Sequence[EpochCurve]) -> str:
    if any(one.parts and one.larger_is_better is None for one in curves):
        return (
            f"Whether {curves[0].title} should be high or low is not known from its name, so no "
            "epoch is marked as the best."
        )
    return "No value is finite, so no epoch is marked as the best."


def _compared(everyone: Sequence[EpochCurve]) -> str:
    order = [one for one in everyone if one.best_from == everyone[0].best_from]
    names = dict(
        zip((one.run for one in order), shorten_all([o.run for o in order], 28), strict=True)
    )
    best = order[0]
    said = [
        f"{names[one.run]} {number(one.best_value)} at {one.unit} {count(one.best or 0)}"
        for one in order[:3]
    ]
    more = f" and {plural(len(order) - 3, 'run')} behind" if len(order) > 3 else ""
    first = f"Best {_part_of(best)} {in_sentence(best.title)}: {', '.join(said)}{more}."
    other = [shorten(one.run, 28) for one in everyone if one not in order]
    if other:
        first += f" Not compared, without values on those rows: {listing(other, 4)}."
    for second in order[1:2]:
        scatter = max(_noise(best), _noise(second))
        apart = abs(best.best_value - second.best_value)
        if scatter and apart < 2 * scatter:
            first += (
                f" Too close to call between {names[best.run]} and {names[second.run]}: they "
                f"differ by {number(apart)}, and single {best.unit}s scatter by {number(scatter)}."
            )
    stops = [
        one for one in everyone if one.early_stop is not None and one.early_stop.stop is not None
    ]
    if stops and stops[0].early_stop is not None:
        first += (
            f" Early stopping with patience {count(stops[0].early_stop.patience)} would have ended "
            f"{count(len(stops))} of {plural(len(everyone), 'run')} before their end."
        )
    return first


def _noise(curve: EpochCurve) -> float:
    trend = trend_of(curve.watched, 1.0)
    return trend.single if trend is not None else 0.0


def said_gaps(curves: Sequence[EpochCurve]) -> str:
    """Where values are not finite: gaps in the lines, each with a cross."""
    said = []
    for curve in curves:
        for part in curve.parts:
            said += [_gap(curve, part)] if part.gaps else []
    if not said:
        return ""
    return f"Not finite, left open with a cross: {listing(said, 4)}."


def _gap(curve: EpochCurve, part: LoggedPart) -> str:
    gap, n = part.gaps[0], sum(one.n for one in part.gaps)
    where = f"from {curve.unit} {count(gap.first)} on" if n > 1 else f"at {curve.unit} {gap.first}"
    kinds = listing(list(dict.fromkeys(one.kind for one in part.gaps)))
    rows = "training" if part.part == "train" else part.part
    share = f"{count(n)} of {count(len(part.steps))} {rows} values"
    return f"{share} of {shorten(curve.run, 40)} ({kinds}, {where})"


def _absent(curves: Sequence[EpochCurve]) -> str:
    notes = [
        note
        for one in curves
        for note in one.notes
        if one.parts and one.larger_is_better is not None
    ]
    missing = [one.run for one in curves if not one.parts]
    said = f"Without {curves[0].title}: {listing(missing, 4)}." if missing else ""
    return " ".join([*dict.fromkeys(notes)][:4] + ([said] if said else []))


def key_sentence(
    curves: Sequence[EpochCurve], *, raw: bool = False, rates: bool = False, band: str = ""
) -> str:
    """What thick, thin, faint and dotted lines are, for the subtitle."""
    parts = list(dict.fromkeys(part.part for one in curves for part in one.parts))
    held = next((part for part in parts if part != "train"), "")
    shifted = any(one.shifted for one in curves)
    said = []
    if held:
        said.append(f"thick: {held}")
    if "train" in parts:
        early = ", half an epoch earlier" if shifted else ""
        said.append(f"{'thin: training' if held else 'training'}{early}")
    if band:
        said.append(f"bands: {band}")
    smoothing = max((one.smoothing for one in curves), default=0.0)
    if smoothing:
        said.append(f"smoothed by {number(smoothing, 2)}" + (", raw faint" if raw else ""))
    if rates:
        said.append("dotted: learning rate")
    text = "; ".join(said)
    return text[:1].upper() + text[1:]


def caption_gap(curves: Sequence[EpochCurve]) -> str:
    """How far training is ahead of validation at the end of each run."""
    said = []
    for one in curves:
        steps, values = one.gap()
        known = np.flatnonzero(np.isfinite(values))
        if len(known):
            last = known[-1]
            name = shorten(one.run, 40)
            said.append(f"{name} {number(float(values[last]))} at {one.unit} {steps[last]}")
    if not said:
        return "No run logged both training and validation values."
    name = in_sentence(curves[0].title)
    return (
        f"By how much the {name} is better on training than on validation rows, at the end: "
        f"{listing(said, 4)}. A gap that widens while validation gets worse is overfitting; a "
        "steady gap alone is not."
    )


def caption_groups(groups: Sequence[RunGroup]) -> str:
    """Median best values with their range over seeds, and whether they overlap."""
    known = [one for one in groups if np.isfinite(one.best_values).any()]
    if not known:
        return "No group has a best epoch."
    larger = bool(known[0].curves[0].larger_is_better)
    order = sorted(known, key=lambda one: float(np.nanmedian(one.best_values)) * (-1) ** larger)
    said = [_best_range(one) for one in order[:3]]
    more = f" and {plural(len(order) - 3, 'group')} behind" if len(order) > 3 else ""
    title = in_sentence(known[0].curves[0].title)
    text = (
        f"Best {title} over the runs of a group, median [lowest, highest]: {', '.join(said)}{more}."
    )
    if len(order) > 1 and _overlap(order[0], order[1]):
        text += (
            f" Too close to call between {order[0].name} and {order[1].name}: their runs overlap."
        )
    alone = [one.name for one in groups if len(one.runs) == 1]
    if alone:
        text += f" Without a band, for want of a second run: {listing(alone, 4)}."
    return text


def _best_range(group: RunGroup) -> str:
    values = group.best_values[np.isfinite(group.best_values)]
    middle, low, high = (float(f(values)) for f in (np.median, np.min, np.max))
    span = f" [{number(low)}, {number(high)}]" if len(values) > 1 else ""
    return f"{group.name} {number(middle)}{span} ({plural(len(values), 'run')})"


def _overlap(a: RunGroup, b: RunGroup) -> bool:
    return bool(
        np.nanmin(a.best_values) <= np.nanmax(b.best_values)
        and np.nanmin(b.best_values) <= np.nanmax(a.best_values)
    )
