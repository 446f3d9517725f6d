"""Columns of a log → series: which one counts the steps, what blanks are, what every name means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import Run, Series
from ..contracts.runs import Scalar
from ..errors import DataError
from ..wording import listing
from .names import Meaning, Named, clean_name, meanings_of

__all__ = ["MOST_CELLS", "STEP_NAMES", "Column", "is_step_name", "numbers_of", "run_of_columns"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STEP_NAMES = {
    "epoch": "epoch",
    "epochs": "epoch",
    "iter": "iteration",
    "iteration": "iteration",
    "iterations": "iteration",
    "round": "iteration",
    "boosting_round": "iteration",
    "step": "step",
    "steps": "step",
    "global_step": "step",
    "train_step": "step",
    "batch": "batch",
}
_UNNAMED = ("", "unnamed: 0", "index")  # pandas' index; its steps are epochs
_BLANKS = frozenset(("", "na", "n/a", "none", "null", "-"))
MOST_CELLS = 20_000_000  # of a table that is put together out of what lies apart
_MOST_STEP = 1 << 62


@dataclass(frozen=True, eq=False)
class Column:
    """Cells as numbers.

    Attributes
    ----------
    values : `(n,)` float64.
    blank : `(n,)` where nothing was logged.
    """

    values: Floats
    blank: npt.NDArray[np.bool_]


def is_step_name(name: str) -> bool:
    """Whether a column of this name counts epochs or steps."""
    plain = name.strip().casefold().replace(" ", "_")
    return plain in STEP_NAMES or name.strip().casefold() in _UNNAMED


def numbers_of(cells: Sequence[Any], *, comma: bool = False) -> Column | None:
    """Cells as numbers, or None where one is neither a number nor blank.

    `comma` : 0,5 is a half. JSON's null is NaN, which JSON lacks; an empty cell is blank.
    """
    try:
        values = np.array(cells, dtype=np.float64)
        if values.ndim == 1 and not any(isinstance(one, bool) for one in cells):
            return Column(values, np.zeros(len(cells), dtype=bool))
    except (TypeError, ValueError, OverflowError):
        pass
    values, blank = np.full(len(cells), np.nan), np.zeros(len(cells), dtype=bool)
    for at, cell in enumerate(cells):
        number = _number(cell, comma)
        if number is None:
            if cell is not None and str(cell).strip().casefold() not in _BLANKS:
                return None
            blank[at] = cell is not None
        else:
            values[at] = number
    return Column(values, blank)


def _number(cell: Any, comma: bool) -> float | None:
    if isinstance(cell, (bool, list, dict)):
        return None
    try:
        return float(cell.replace(",", ".") if comma and isinstance(cell, str) else cell)
    except OverflowError:
        return float("inf")
    except (TypeError, ValueError):
        return None


def run_of_columns(
    name: str,
    source: str,
    columns: Mapping[str, Sequence[Any]],
    *,
    mapping: Mapping[str, Named] | None = None,
    comma: bool = False,
    notes: Sequence[str] = (),
    unit: str = "",
) -> Run:
    """A run out of a table with a row for each epoch or step.

    `mapping` : column → (metric, part) where names do not say it; ("epoch", "") or another name of
    steps makes it the count of steps, ("", "") leaves it out.
    `unit` : what a step is, where the column of steps does not say it.

    Raises
    ------
    DataError : no column of numbers beside the steps.
    """
    mapping = mapping or {}
    numeric = {column: numbers_of(cells, comma=comma) for column, cells in columns.items()}
    found = {column: one for column, one in numeric.items() if one is not None}
    counters = [column for column in found if _counts(column, mapping)]
    measured = [
        column for column in found if column not in counters and mapping.get(column) != ("", "")
    ]
    measured = [column for column in measured if not found[column].blank.all()]
    if not measured:
        raise DataError(
            f"{name} has no column of numbers beside its epochs. A training log has one for each "
            "metric, such as loss and val_loss."
        )
    said = list(notes)
    steps = _Steps({column: found[column] for column in counters}, mapping, unit)
    meanings = meanings_of(measured, mapping)
    kept = _kept(measured, meanings, found, said)
    series = [
        _series(column, meanings[column], found[column], kept[column], steps) for column in measured
    ]
    said += steps.notes()
    config, left = _constants(columns, numeric)
    if left:
        said.append(f"No numbers, left out: {listing(list(map(clean_name, left)), 4)}.")
    order = ("epoch", "step", "iteration", "batch")
    series.sort(key=lambda one: order.index(one.unit))
    return Run(name, source, tuple(series), (), config, tuple(said))


def _counts(column: str, mapping: Mapping[str, Named]) -> bool:
    given = mapping.get(column)
    return is_step_name(column) if given is None else bool(given[0]) and is_step_name(given[0])


def _kept(
    columns: Sequence[str],
    meanings: Mapping[str, Meaning],
    found: Mapping[str, Column],
    notes: list[str],
) -> dict[str, npt.NDArray[np.bool_]]:
    """Which cells were logged.

    A blank is no value where nothing of the same part was logged in that row. It is NaN where
    something was, or where the row holds nothing at all: pandas writes NaN as a blank.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for column in columns:
        one = meanings[column]
        groups.setdefault((one.part, one.unit) if one.part else (column, ""), []).append(column)
    empty = np.all([found[column].blank for column in columns], axis=0)
    kept, lost, rare = {}, [], []
    for names in groups.values():
        rows = ~np.all([found[column].blank for column in names], axis=0) | empty
        for column in names:
            kept[column] = rows
            if (found[column].blank & rows).any():
                lost.append(column)
            if not rows.all() and not empty.all():
                rare.append(f"{clean_name(column)} ({int(rows.sum()):,} of {len(rows):,} rows)")
    if lost:
        told = listing(list(map(clean_name, lost)), 4)
        notes.append(f"Blanks in {told} are taken for NaN: the rows were logged.")
    if rare:
        notes.append(f"Not logged in every row: {listing(rare, 4)}.")
    return kept


def _series(
    column: str,
    meaning: Meaning,
    cells: Column,
    rows: npt.NDArray[np.bool_],
    steps: _Steps,
) -> Series:
    numbers, unit = steps.of(rows, meaning.unit)
    return Series(
        meaning.metric, meaning.part, numbers, cells.values[rows], unit, None, clean_name(column)
    )


class _Steps:
    """The columns that count epochs and steps, of which each series takes one."""

    def __init__(
        self, counters: Mapping[str, Column], mapping: Mapping[str, Named], unit: str
    ) -> None:
        self.counters: list[tuple[str, Ints]] = []
        self._left: list[str] = []
        self._unit = unit
        self._counted = False
        for column, cells in counters.items():
            named = mapping.get(column, (column, ""))[0].strip().casefold().replace(" ", "_")
            with np.errstate(invalid="ignore"):
                whole = cells.values == np.floor(cells.values)
            if whole.all() and (np.abs(cells.values) < _MOST_STEP).all():
                unit_of = STEP_NAMES.get(named, self._unit or "epoch")
                self.counters.append((unit_of, cells.values.astype(np.int64)))
            else:
                self._left.append(column)
        self.counters.sort(key=lambda one: one[0] != "epoch")

    def of(self, rows: npt.NDArray[np.bool_], wanted: str) -> tuple[Ints, str]:
        """The steps of some rows and what they are: epochs, unless several rows share one."""
        offered = [(unit, steps[rows]) for unit, steps in self.counters]
        for unit, steps in offered:
            if unit == wanted:
                return steps, unit
        for unit, steps in offered:
            if not (np.diff(steps) == 0).any():
                return steps, unit
        if offered:
            return offered[-1][1], offered[-1][0]
        self._counted = not self._unit
        return np.flatnonzero(rows).astype(np.int64), self._unit or wanted or "epoch"

    def notes(self) -> list[str]:
        said = []
        if self._left:
            names = listing(list(map(clean_name, self._left)), 3)
            said.append(f"{names} does not count in whole numbers and is not used.")
        if self._counted:
            said.append("Nothing counts the steps; rows are counted from 0.")
        return said


def _constants(
    columns: Mapping[str, Sequence[Any]], numeric: Mapping[str, Column | None]
) -> tuple[dict[str, Scalar], list[str]]:
    """Texts that are the same in every row describe the run; other texts are left out."""
    config: dict[str, Scalar] = {}
    left = []
    for column, cells in columns.items():
        if numeric[column] is None:
            texts = {str(cell) for cell in cells}
            if len(texts) == 1:
                config[clean_name(column)] = clean_name(texts.pop())
            else:
                left.append(column)
    return config, left
