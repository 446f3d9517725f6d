"""What a person has chosen on the pages about explanations: kept in the link and the workspace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Any

from components.checking import (
    Wrong,
    maybe,
    read_text,
    read_whole,
    read_word,
)
from dashboard.contracts import OutputSpace

__all__ = ["CLOSER", "EFFECTS", "GAMES", "LAYOUTS", "METHODS", "PICKS", "SIZES", "Choices"]

METHODS = ("shap", "permutation", "native", "drop")
LAYOUTS = ("dots", "columns")
PICKS = ("wrong", "confident", "disagree", "random", "table")
SIZES = ("first", "some", "all")
GAMES = ("auto", "path-dependent", "interventional")
EFFECTS = ("pdp", "ice", "ale")
CLOSER = ("effects", "interactions", "clusters", "by_class", "cohort")
_SPACES = ("auto", *(one.value for one in OutputSpace))
_MOST_ROWS = 1 << 40
_MOST_BACKGROUND = 10_000


@dataclass(frozen=True)
class Choices:
    """Each with its default, which the link leaves out.

    Attributes
    ----------
    method, metric, layout : importances: how they are measured, on which metric, how drawn.
    feature, second : the features that are looked at closely; "" = the most important one.
    row : the position of the row that is explained; None = the first that is picked.
    pick : how rows are proposed.
    space, game, background : see `dashboard.explanation.ExplainOptions`.
    rows : how many are explained: 200, up to 2,000, or all.
    closer : the open tab; `effect` : how an effect is measured there.
    cohort, group : the column and the value of the rows that are set against the rest.
    """

    method: str = "shap"
    metric: str = ""
    layout: str = "dots"
    feature: str = ""
    second: str = ""
    row: int | None = None
    pick: str = "wrong"
    space: str = "auto"
    game: str = "auto"
    background: int = 100
    rows: str = "some"
    closer: str = ""
    effect: str = "pdp"
    cohort: str = ""
    group: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, given: Any) -> Choices:
        """What `to_json` gave, checked; what is missing has its default.

        Raises
        ------
        Wrong : a value is not sound.
        """
        if not isinstance(given, dict):
            raise Wrong
        known = {name: read(given[name]) for name, read in _READ.items() if name in given}
        return cls(**known)

    def link(self) -> dict[str, str]:
        """What differs from the default, as parameters of the address."""
        fresh = Choices()
        return {
            one.name: str(getattr(self, one.name))
            for one in fields(self)
            if getattr(self, one.name) != getattr(fresh, one.name)
        }

    def with_link(self, given: Mapping[str, str]) -> Choices:
        """What the address says instead; unknown words are left out."""
        found: dict[str, Any] = {}
        for name, read in _READ.items():
            if name in given:
                try:
                    found[name] = read(_parsed(name, given[name]))
                except (Wrong, ValueError):
                    continue
        return replace(self, **found)


def _parsed(name: str, text: str) -> Any:
    return int(text) if name in ("row", "background") else text


def _background(value: Any) -> int:
    n = read_whole(value, _MOST_BACKGROUND)
    if n < 1:
        raise Wrong
    return n


def _one_of(*words: str) -> Callable[[Any], str]:
    return lambda value: str(read_word(value, words))


_READ: dict[str, Callable[[Any], Any]] = {
    "method": _one_of(*METHODS),
    "metric": read_text,
    "layout": _one_of(*LAYOUTS),
    "feature": read_text,
    "second": read_text,
    "row": partial(maybe, lambda value: read_whole(value, _MOST_ROWS)),
    "pick": _one_of(*PICKS),
    "space": _one_of(*_SPACES),
    "game": _one_of(*GAMES),
    "background": _background,
    "rows": _one_of(*SIZES),
    "closer": _one_of("", *CLOSER),
    "effect": _one_of(*EFFECTS),
    "cohort": read_text,
    "group": read_text,
}
