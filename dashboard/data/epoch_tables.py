"""Tables of epochs, told from data and from predictions: surely one, perhaps one, or none.

A table is surely one where its names can be those of a log only, or where it counts epochs one by
one and nothing in it is a prediction or a column of the data. A count of steps alone makes it one
perhaps: then a person is asked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

from ..logs.columns import is_step_name, numbers_of
from ..logs.curve_tables import RUN_NAMES, are_curve_names, is_download, is_long
from ..logs.names import is_known_metric, part_of
from .prediction_columns import LABEL_NAMES, SCORE_NAMES
from .roles import TARGET_NAMES, snake_name

__all__ = [
    "EPOCHS",
    "UNNAMED",
    "Certainty",
    "count_epochs",
    "counts_up",
    "judge_epochs",
    "metrics_of",
]

Certainty = Literal["sure", "perhaps", ""]
Columns = Mapping[str, Sequence[Any]]

EPOCHS = ("epoch", "epochs")
UNNAMED = ("", "index", "unnamed: 0")
_CLOCK = re.compile(r"(?:.*[_ ])?(?:timestamp|time|date|datetime|created(?:_at)?|logged_at)$", re.I)
_PREDICTED = re.compile(r"(?:y_)?(?:pred|proba?|probability)(?:_|$)")
_LONG = {"metric", "tag", "measure", "part", "unit", "value", "wall_time", "drawn_at", "smoothed"}
_BEGAN = 1e8  # seconds since 1970 that a wall time has at least
_FALLS = 4  # one step back in so many is a restart


def judge_epochs(columns: Columns, shared: Collection[str] = ()) -> Certainty:
    """Whether a table is a log. `shared` : the columns of the data at hand."""
    if is_download(columns):
        return "sure" if _is_download(columns) else ""
    if is_long(columns):
        return _judge_long(columns)
    kept = _measured(columns)
    names = list(kept)
    if any(numbers_of(cells, comma=True) is None for cells in kept.values()):
        return ""
    counted = [name for name in names if name.casefold() in EPOCHS]
    if are_curve_names(names) and (
        all(_are_whole(kept[name]) for name in counted) if counted else _steps_rise(columns, kept)
    ):
        return "sure"
    steps = [name for name in names if is_step_name(name) and name.casefold() not in UNNAMED]
    measured = [name for name in names if not is_step_name(name)]
    if not steps or not measured or _are_predictions(measured):
        return ""
    doubted = {snake_name(name) for name in measured} & {*SCORE_NAMES, *TARGET_NAMES}
    if len(counted) != 1 or doubted or set(names) & set(shared):
        return "perhaps"
    return "sure" if counts_up(kept[counted[0]]) else "perhaps"


def metrics_of(columns: Columns) -> list[str]:
    """The names of what was measured."""
    if is_download(columns):
        return ["value"]
    if is_long(columns):
        told = next(name for name in columns if name.casefold() in ("metric", "tag", "measure"))
        return list(dict.fromkeys(str(cell) for cell in columns[told]))
    return [name for name in _measured(columns) if not is_step_name(name)]


def count_epochs(columns: Columns) -> int:
    """How many epochs, or steps, a table has."""
    steps = [name for name in columns if name.casefold() in EPOCHS]
    steps += [name for name in columns if is_step_name(name)] if is_long(columns) else []
    if not steps:
        return len(next(iter(columns.values())))
    return len(
        set(zip(*(columns[name] for name in (steps[0], *_run_column(columns))), strict=True))
    )


def counts_up(values: Sequence[Any]) -> bool:
    """Whole numbers that rise by one, or start again: anew, or from an epoch that was kept."""
    numbers = _whole(values)
    if numbers is None:
        return False
    falls = 0
    for before, after in pairwise(numbers):
        if after in (before + 1, 0, 1):
            continue
        falls += 1
        if after > before:
            return False
    return falls * _FALLS < len(numbers)


def _run_column(columns: Iterable[str]) -> list[str]:
    return [name for name in columns if name.casefold() in RUN_NAMES][:1]


def _measured(columns: Columns) -> Columns:
    """Without the names of runs, clocks, and what is the same text in every row."""
    aside = set(_run_column(columns))
    for name, cells in columns.items():
        if is_step_name(name) or numbers_of(cells, comma=True) is not None:
            continue
        if _CLOCK.match(name.strip()) or (len(cells) > 1 and len(set(map(str, cells))) == 1):
            aside.add(name)
    return {name: cells for name, cells in columns.items() if name not in aside}


def _are_predictions(names: Sequence[str]) -> bool:
    plain = [snake_name(name) for name in names]
    return any(name in LABEL_NAMES or _PREDICTED.match(name) for name in plain)


def _whole(values: Sequence[Any]) -> list[float] | None:
    """Counts from 0 on, or None where one is something else."""
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        return None
    sound = all(math.isfinite(one) and one == int(one) and one >= 0 for one in numbers)
    return numbers if sound else None


def _are_whole(values: Sequence[Any]) -> bool:
    return _whole(values) is not None


def _steps_rise(columns: Columns, kept: Columns) -> bool:
    """Some column counts steps that rise within each run, but for some restarts."""
    runs = _run_column(columns)
    of = [str(cell) for cell in columns[runs[0]]] if runs else None
    for name in filter(is_step_name, kept):
        steps = _whole(kept[name])
        if steps is None:
            continue
        told = of if of is not None else [""] * len(steps)
        pairs = [
            (before, after)
            for (before, run), (after, other) in pairwise(zip(steps, told, strict=True))
            if run == other
        ]
        falls = sum(after < before for before, after in pairs)
        if falls * _FALLS <= len(pairs) or counts_up(kept[name]):
            return True
    return False


def _is_download(columns: Columns) -> bool:
    """Wall times, whole steps and numbers, as TensorBoard's page offers them."""
    plain = {name.casefold().replace(" ", "_"): cells for name, cells in columns.items()}
    walls, values = numbers_of(plain["wall_time"]), numbers_of(plain["value"])
    if walls is None or values is None or not _are_whole(plain["step"]):
        return False
    return bool((walls.values > _BEGAN).all())


def _judge_long(columns: Columns) -> Certainty:
    """A row for each number: the metrics or the rows that they name must be those of logs."""
    plain = {name.casefold().replace(" ", "_"): name for name in columns}
    steps = [name for name in columns if is_step_name(name)]
    if numbers_of(columns[plain["value"]], comma=True) is None or not _are_whole(columns[steps[0]]):
        return ""
    others = set(plain) - _LONG - set(RUN_NAMES) - {name.casefold() for name in steps}
    if any(not _CLOCK.match(name) for name in others):
        return "perhaps"
    parts = {str(cell) for cell in columns[plain["part"]]} if "part" in plain else set()
    told = all(part_of(part) or not part for part in parts) and any(parts)
    known = all(is_known_metric(name.casefold()) for name in metrics_of(columns))
    return "sure" if told or known else "perhaps"
