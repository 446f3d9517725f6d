"""What a person has chosen on the pages about explanations: kept in the link and the workspace."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from components.checking import (
    MAX_NAME,
    Wrong,
    maybe,
    read_names,
    read_text,
)
from components.chosen import Chosen, between, one_of
from dashboard.contracts import OutputSpace
from dashboard.explainers.plans import SAMPLERS

__all__ = [
    "BESIDE",
    "CLOSER",
    "COUNTED",
    "EFFECTS",
    "GAMES",
    "LAYOUTS",
    "METHODS",
    "MOST_BACKGROUND",
    "MOST_DRAWS",
    "MOST_REPEATS",
    "MOST_SEED",
    "NEAREST",
    "PAIRS",
    "PICKS",
    "SAMPLINGS",
    "SIZES",
    "TOGETHER",
    "Choices",
    "read_groups",
    "write_groups",
]

METHODS = ("shap", "permutation", "native", "drop")
LAYOUTS = ("dots", "columns")
TOGETHER = ("alone", "correlated", "own")
COUNTED = ("first", "split", "every")
MOST_REPEATS, MOST_GROUPS = 50, 200
PICKS = ("wrong", "confident", "disagree", "random", "table")
SIZES = ("first", "some", "all")
GAMES = ("auto", "path-dependent", "interventional", "expected gradients")
SAMPLINGS = ("auto", *SAMPLERS)
EFFECTS = ("pdp", "ice", "ale")
BESIDE = ("paths", "near", "saw", "lime", "words")
NEAREST = ("features", "explanation")
PAIRS = ("hint", "exact")
CLOSER = ("where", "effects", "interactions", "clusters", "by_class", "cohort")
_SPACES = ("auto", *(one.value for one in OutputSpace))
_MOST_ROWS = 1 << 40
MOST_BACKGROUND = 5_000
MOST_DRAWS, MOST_SEED = 20_000, (1 << 31) - 1


def write_groups(groups: Mapping[str, Sequence[str]]) -> str:
    """Groups of columns as one text; "" where there are none."""
    made = {name: list(columns) for name, columns in groups.items() if columns}
    return json.dumps(made, ensure_ascii=False, separators=(",", ":")) if made else ""


def read_groups(text: str) -> dict[str, tuple[str, ...]]:
    """What `write_groups` wrote.

    Raises
    ------
    Wrong : anything else.
    """
    try:
        given = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise Wrong from error
    if not isinstance(given, dict) or len(given) > MOST_GROUPS:
        raise Wrong
    found = {read_text(name, 200): read_names(columns) for name, columns in given.items()}
    if not all(name.strip() and columns for name, columns in found.items()):
        raise Wrong
    return found


def _groups(value: Any) -> str:
    text = read_text(value, 4 * MAX_NAME)
    return write_groups(read_groups(text))


_READ: dict[str, Callable[[Any], Any]] = {
    "method": one_of(*METHODS),
    "metric": read_text,
    "layout": one_of(*LAYOUTS),
    "repeats": between(1, MOST_REPEATS),
    "shuffled": between(0, _MOST_ROWS),
    "together": one_of(*TOGETHER),
    "groups": _groups,
    "counted": one_of(*COUNTED),
    "compared": read_text,
    "feature": read_text,
    "second": read_text,
    "row": partial(maybe, between(0, _MOST_ROWS)),
    "pick": one_of(*PICKS),
    "space": one_of(*_SPACES),
    "game": one_of(*GAMES),
    "sampler": one_of(*SAMPLINGS),
    "draws": between(0, MOST_DRAWS),
    "seed": partial(maybe, between(0, MOST_SEED)),
    "background": between(1, MOST_BACKGROUND),
    "rows": one_of(*SIZES),
    "closer": one_of("", *CLOSER),
    "effect": one_of(*EFFECTS),
    "cohort": read_text,
    "group": read_text,
    "around": one_of(*SIZES),
    "beside": one_of("", *BESIDE),
    "nearest": one_of(*NEAREST),
    "pairs": one_of(*PAIRS),
    "sought": read_text,
}


@dataclass(frozen=True)
class Choices(Chosen):
    """Each with its default, which the link leaves out.

    Attributes
    ----------
    method, metric, layout : importances: how they are measured, on which metric, how drawn.
    repeats, shuffled : how often columns are shuffled, and in how many rows; 0 = all rows.
    together, groups : which columns are shuffled together; those that a person grouped, as the
        JSON object of `write_groups`.
    counted : which of the counts of a model is shown, where it has several.
    compared : the file of the model whose methods are compared; "" = the models are.
    feature, second : the features that are looked at closely; "" = the most important one.
    row : the position of the row that is explained; None = the first that is picked.
    pick : how rows are proposed.
    space, game, background : see `dashboard.explanation.ExplainOptions`.
    sampler : which of the engines that only ask the model is taken where one of them answers.
    draws : coalitions, orders or gradients for each row, 0 = each engine's own choice; `seed` of
        everything that is drawn, None = setting `random_state`.
    rows : how many are explained: 200, up to 2,000, or all.
    closer : the open tab; `effect` : how an effect is measured there.
    cohort, group : the column and the value of the rows that are set against the rest.
    around : as `rows`, for the rows around the one that is explained.
    beside : the tab that is open beside a row; `nearest` : in what rows are like it.
    pairs : whether pairs are hinted at or exact; `sought` : the text that rows are searched for.
    """

    method: str = "shap"
    metric: str = ""
    layout: str = "dots"
    repeats: int = 5
    shuffled: int = 2_000
    together: str = "alone"
    groups: str = ""
    counted: str = "first"
    compared: str = ""
    feature: str = ""
    second: str = ""
    row: int | None = None
    pick: str = "wrong"
    space: str = "auto"
    game: str = "auto"
    background: int = 100
    sampler: str = "auto"
    draws: int = 0
    seed: int | None = None
    rows: str = "some"
    closer: str = ""
    effect: str = "pdp"
    cohort: str = ""
    group: str = ""
    around: str = "first"
    beside: str = ""
    nearest: str = "features"
    pairs: str = "hint"
    sought: str = ""

    READERS: ClassVar[Mapping[str, Callable[[Any], Any]]] = _READ
