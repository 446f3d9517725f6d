"""One row's explanation as a sentence that needs no chart beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import OutputSpace
from ..wording import listing, number, percent, plural, quoted, shorten
from .pictures import Picture
from .waterfalls import Waterfall
from .words import FREE_TEXT, WordExplanation

__all__ = ["explain_in_words"]

TELLING = 0.05  # share of all movement below which a feature is not worth a word
MOST = 3  # features named on either side


def explain_in_words(
    waterfall: Waterfall,
    target: str = "",
    unit: str = "",
    *,
    picture: Picture | None = None,
    words: WordExplanation | None = None,
) -> str:
    """What the model answers for this row, how that differs from its average, and why.

    Plain text. Probabilities and log-odds are told as percentages; a number to predict in its
    unit. Features are named with the row's own value, those that raise the answer first if the
    answer is above average; what speaks against it follows. Sampled values whose interval
    holds zero are not named.

    Parameters
    ----------
    target : name of what is predicted, for numbers to predict.
    picture : the same row as cells: it is told where they lie, since nobody knows a pixel by name.
    words : of the text of this row, for a model that reads nothing else: they are the reasons.
    """
    if picture is not None:
        reasons = _where(picture)
    elif words is not None:
        reasons = [_spoken(words, waterfall)]
    else:
        reasons = _reasons(waterfall)
    return " ".join([_answer(waterfall, target, unit), *reasons])


def _share(value: float, one: Waterfall) -> float | None:
    """The probability that a value stands for, None where it alone stands for none.

    With three or more classes the log-odds of one class say nothing without the others.
    """
    if one.space is OutputSpace.PROBABILITY:
        return value
    if one.space is OutputSpace.LOG_ODDS and one.n_outputs == 1:
        return float(1 / (1 + np.exp(-np.clip(value, -700, 700))))
    return None


def _answer(one: Waterfall, target: str, unit: str) -> str:
    model = shorten(one.model, 44)
    now, usual = _share(one.prediction, one), _share(one.base, one)
    above = one.prediction > one.base
    if now is not None and usual is not None:
        said = f"{model} gives {quoted(one.output)} a probability of {percent(now)}"
        if percent(now) == percent(usual):
            return f"{said}, which is what it says on average."
        word = "average" if one.space is OutputSpace.PROBABILITY else "starting point"
        return f"{said}, {'above' if above else 'below'} its {word} of {percent(usual)}."
    what = target or str(one.output)
    value = f"{model} answers {number(one.prediction, unit=unit)} for {shorten(what, 40)}"
    if one.space in (OutputSpace.DECISION, OutputSpace.LOG_ODDS):
        value = f"{model} scores {quoted(one.output)} at {number(one.prediction)}"
    if number(one.prediction) == number(one.base):
        return f"{value}, which is what it says on average."
    off = number(abs(one.prediction - one.base), unit=unit)
    usually = number(one.base, unit=unit)
    return f"{value}, {off} {'above' if above else 'below'} its average of {usually}."


def _sides(
    values: npt.NDArray[np.floating[Any]],
    spread: npt.NDArray[np.floating[Any]],
    movement: float,
    up: bool,
) -> tuple[list[int], list[int]]:
    """Where the telling values stand, strongest first: those that go the way `up`, the others."""
    telling = (np.abs(values) > spread) & (np.abs(values) >= TELLING * movement)
    order = [int(k) for k in np.argsort(-np.abs(values), kind="stable") if telling[k]]
    return [k for k in order if (values[k] > 0) == up], [k for k in order if (values[k] > 0) != up]


def _reasons(one: Waterfall) -> list[str]:
    values = np.nan_to_num(one.values)
    movement = float(np.abs(values).sum()) + abs(one.rest)
    if movement <= 0:
        return ["No feature moves its answer."]
    up = one.prediction >= one.base
    direction, other = ("up", "down") if up else ("down", "up")
    if len(one.features) == 1 and not one.n_rest and len(one.cells[0].split()) >= FREE_TEXT:
        name = shorten(one.features[0], 40)
        return [f"It reads nothing but {name}, and what that says brings it {direction}."]
    same, against = _sides(values, one.spread, movement, up)
    found = []
    if same:
        found.append(f"Mostly {_named(one, same)} {_bring(same)} it {direction}.")
    elif against:
        found.append(f"Many features bring it {direction} a little; none of these stands out.")
    if against:
        pull = "pulls" if len(against) == 1 else "pull"
        found.append(f"{_upper(_named(one, against))} {pull} it {other}.")
    if not found:
        found.append("Many features move it a little; none stands out.")
    return found


def _spoken(one: WordExplanation, fall: Waterfall) -> str:
    """The words that raise the answer and those that lower it; those that have their way first."""
    place = one.place(fall.output)
    values = one.values[:, place]
    up = fall.prediction >= fall.base
    same, against = _sides(values, one.errors[:, place], float(np.abs(values).sum()), up)
    words = ("raise", "raises"), ("lower", "lowers")
    said = [
        f"{listing([quoted(shorten(one.split.terms[k], 24)) for k in places[:MOST]])} "
        f"{verbs[len(places[:MOST]) == 1]} it"
        for places, verbs in zip((same, against), words if up else words[::-1], strict=True)
        if places
    ]
    column = shorten(one.column, 40)
    if not said:
        return f"Many words of {column} move it a little; none stands out."
    return f"Of the words of {column}, {'; '.join([f'{said[0]} most', *said[1:]])}."


def _where(one: Picture) -> list[str]:
    """How few cells make half of the movement, and where those lie that have their way."""
    heat = one.heat
    size = np.abs(heat)
    total = float(size.sum())
    what = "step" if one.is_sequence else "pixel"
    if total <= 0:
        return [f"No {what} moves its answer."]
    half = int(np.searchsorted(np.sort(size.reshape(-1))[::-1].cumsum() / total, 0.5)) + 1
    said = f"Half of all movement comes from {half:,} of {plural(heat.size, what)}"
    up = one.prediction >= one.base
    place = _region(np.maximum(heat if up else -heat, 0.0))
    return [f"{said}; most of what brings it {'up' if up else 'down'} lies {place}."]


_DOWN, _ACROSS = ("upper", "", "lower"), ("left", "", "right")


def _region(weight: npt.NDArray[np.floating[Any]]) -> str:
    """The ninth of a picture, or the third of a sequence, that holds most of the weight."""
    thirds = [np.arange(n) * 3 // n for n in weight.shape]
    if weight.ndim == 1:
        held = np.bincount(thirds[0], weight, minlength=3)
        return ("at the start", "in the middle", "at the end")[int(held.argmax())]
    cells = thirds[0][:, None] * 3 + thirds[1]
    held = np.bincount(cells.reshape(-1), weight.reshape(-1), minlength=9)
    down, across = divmod(int(held.argmax()), 3)
    words = f"{_DOWN[down]} {_ACROSS[across]}".split()
    return f"at the {' '.join(words)}" if words else "in the middle"


def _bring(places: list[int]) -> str:
    return "brings" if len(places) == 1 else "bring"


def _named(one: Waterfall, places: list[int]) -> str:
    words = [_feature(one, k) for k in places[:MOST]]
    if len(places) > MOST:
        words.append(f"{len(places) - MOST} more")
    return listing(words, MOST + 1)


def _feature(one: Waterfall, place: int) -> str:
    name, cell = shorten(one.features[place], 40), one.cells[place]
    return f"the missing {name}" if cell == "missing" else f"{name} ({shorten(cell, 24)})"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:] if text.startswith("the missing") else text
