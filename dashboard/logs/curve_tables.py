"""Plain tables of epochs: Keras' CSVLogger, frames of histories, exports of any other logger.

Also the long form with a row for each number: what TensorBoard's page offers for download (Wall
time, Step, Value), and what `Run.frame` gives.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..contracts import Run
from ..errors import DataError
from ..wording import listing
from .columns import MOST_CELLS, is_step_name, run_of_columns
from .names import Named, clean_name, is_known_metric, meaning_of

__all__ = [
    "RUN_NAMES",
    "are_curve_names",
    "check_names",
    "is_download",
    "is_long",
    "read_csv_columns",
    "runs_of_table",
]

Columns = dict[str, list[str]]

_SEPARATORS = ",;\t"
_MOST_ROWS = 1_000_000
_MOST_COLUMNS = 2_000
_EXPORTED = re.compile(r"^run-(?P<run>.*)-tag-(?P<tag>.*)$")
RUN_NAMES = ("run", "run_id", "run_name")
_DOWNLOAD = {"wall_time", "step", "value"}  # what TensorBoard's page offers
_LONG = ("metric", "tag", "measure")


def read_csv_columns(content: bytes, name: str, *, strict: bool = False) -> tuple[Columns, bool]:
    """Cells of a delimited text by column, and whether commas are decimal points.

    `strict` : the last row too has all its cells.

    Raises
    ------
    DataError : it is no table: no header, no rows, rows of other lengths, a name twice.
    """
    text = content.decode("utf-8-sig", "replace")
    header = text.split("\n", 1)[0]
    separator = max(_SEPARATORS, key=header.count)
    if content.count(b"\n") > _MOST_ROWS or header.count(separator) > _MOST_COLUMNS:
        raise DataError(
            f"{name} has more than {_MOST_ROWS:,} rows or {_MOST_COLUMNS:,} columns; a training "
            "log has a row for each epoch. Thin it out before."
        )
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if row]
    except csv.Error as error:
        raise DataError(f"{name} is no table of epochs ({error}).") from error
    if len(rows) < 2:
        raise DataError(f"{name} has no rows. A training log has one for each epoch.")
    names = [column.strip() for column in rows[0]]
    if len(set(names)) < len(names):
        raise DataError(f"{name} names a column twice. Give each column a name of its own.")
    if not strict and len(rows) > 2 and len(rows[-1]) < len(names):
        rows.pop()  # a log that is still being written ends anywhere
    if any(len(row) != len(names) for row in rows):
        raise DataError(
            f"{name} has rows of several lengths. A training log has a row for each epoch with a "
            f"cell for each of its {len(names):,} columns."
        )
    columns = dict(zip(names, map(list, zip(*rows[1:], strict=True)), strict=True))
    return columns, separator == ";"


def are_curve_names(names: Sequence[str], *, counted: bool = True) -> bool:
    """Whether columns of these names can only be those of a log.

    All are metrics that are known or come with several parts, and one is a loss or says its part.
    `counted` : and something counts the steps.
    """
    others = [name for name in names if not is_step_name(name)]
    meanings = [meaning_of(name) for name in others]
    parts = Counter(metric for metric, _ in {one[:2] for one in meanings})
    known = [
        one
        for one in meanings
        if not one.part or is_known_metric(one.metric) or parts[one.metric] > 1
    ]
    if (counted and len(others) == len(names)) or len(known) < len(others):
        return False
    return any(one.said or (one.part and "loss" in one.metric) for one in meanings)


def check_names(names: Sequence[str], name: str) -> None:
    """Refuse a table in which nothing looks like a log.

    Raises
    ------
    DataError : no count of steps, and no metric that is known.
    """
    meanings = [meaning_of(one) for one in names]
    if any(map(is_step_name, names)) or any(
        one.said or is_known_metric(one.metric) for one in meanings
    ):
        return
    raise DataError(
        f"{name} has neither a column of epochs nor a metric that is known "
        f"({listing(list(map(clean_name, names)), 4)}). Say what its columns are."
    )


def runs_of_table(
    columns: Mapping[str, Sequence[Any]],
    name: str,
    mapping: Mapping[str, Named] | None = None,
    *,
    comma: bool = False,
    unit: str = "",
) -> list[Run]:
    """The runs in a table: one, or as many as its column `run` names.

    `unit` : what a row is where nothing counts them; "epoch" for histories.

    Raises
    ------
    DataError : nothing in it is a number beside the epochs.
    """
    split = next((column for column in columns if column.casefold() in RUN_NAMES), None)
    if split is None or split in (mapping or {}):
        return [_run(dict(columns), name, mapping, comma, unit)]
    cells = [clean_name(str(cell)) or "run" for cell in columns[split]]
    rest = {column: values for column, values in columns.items() if column != split}
    rows: dict[str, list[int]] = {}
    for at, cell in enumerate(cells):
        rows.setdefault(cell, []).append(at)
    return [
        _run(
            {column: [values[at] for at in chosen] for column, values in rest.items()},
            run,
            mapping,
            comma,
            unit,
        )
        for run, chosen in rows.items()
    ]


def is_download(columns: Mapping[str, Sequence[Any]]) -> bool:
    """Whether a table has the columns that TensorBoard's page offers for download."""
    return set(_plain(columns)) == _DOWNLOAD


def is_long(columns: Mapping[str, Sequence[Any]]) -> bool:
    """Whether a table has a row for each number."""
    plain = _plain(columns)
    if is_download(columns):
        return True
    told = "value" in plain and any(word in plain for word in _LONG)
    return told and any(map(is_step_name, columns))


def _plain(columns: Iterable[str]) -> dict[str, str]:
    return {column.casefold().replace(" ", "_"): column for column in columns}


def _run(
    columns: dict[str, Sequence[Any]],
    name: str,
    mapping: Mapping[str, Named] | None,
    comma: bool,
    unit: str,
) -> Run:
    plain = _plain(columns)
    if is_download(columns):
        exported = _EXPORTED.match(name)
        run, tag = (exported["run"], exported["tag"]) if exported else (name, "value")
        columns = {"step": columns[plain["step"]], tag: columns[plain["value"]]}
        return run_of_columns(clean_name(run), "TensorBoard", columns, mapping=mapping)
    if is_long(columns):
        return _run_of_long(columns, name, mapping, comma, unit)
    source = _source(list(columns), unit)
    return run_of_columns(name, source, columns, mapping=mapping, comma=comma, unit=unit)


def _run_of_long(
    columns: Mapping[str, Sequence[Any]],
    name: str,
    mapping: Mapping[str, Named] | None,
    comma: bool,
    unit: str,
) -> Run:
    """Numbers that are counted in other units stand on their own."""
    plain = _plain(columns)
    metric = next(plain[word] for word in _LONG if word in plain)
    step = next(filter(is_step_name, columns))
    units = [str(cell) for cell in columns[plain["unit"]]] if "unit" in plain else []
    found: list[Run] = []
    for counted in dict.fromkeys(units) or [unit]:
        rows = [k for k, one in enumerate(units) if one == counted] or range(len(columns[step]))
        some = {column: [cells[k] for k in rows] for column, cells in columns.items()}
        wide = _wide(some, metric, step, plain)
        if units and is_step_name(counted):
            wide = {counted: wide.pop(step), **wide}
        source = _source(list(wide), unit)
        found.append(run_of_columns(name, source, wide, mapping=mapping, comma=comma, unit=unit))
    series = tuple(one for run in found for one in run.series)
    notes = tuple(dict.fromkeys(note for run in found for note in run.notes))
    return replace(found[0], series=series, notes=notes)


def _source(names: Sequence[str], unit: str) -> str:
    """What wrote a table of these columns, as far as their names tell."""
    if "loss" not in names:
        return "table of epochs"
    if unit:
        return "Keras history"
    return "Keras CSVLogger" if names[0] == "epoch" else "table of epochs"


def _wide(
    columns: Mapping[str, Sequence[Any]], metric: str, step: str, plain: Mapping[str, str]
) -> dict[str, Sequence[Any]]:
    """A row for each step out of a row for each number; a step that comes again is another row."""
    part = columns[plain["part"]] if "part" in plain else [""] * len(columns[step])
    rows: list[dict[str, Any]] = []
    at: dict[tuple[str, str], int] = {}
    found: dict[str, None] = {}
    for of, rows_of, count, value in zip(
        columns[metric], part, columns[step], columns[plain["value"]], strict=True
    ):
        name = f"{rows_of} {of}".strip()
        found[name] = None
        again = at.get((name, str(count)), -1) + 1
        at[name, str(count)] = again
        rows.append({step: count, name: value, "": again})
    joined: dict[tuple[str, int], dict[str, Any]] = {}
    for row in rows:
        joined.setdefault((str(row[step]), row.pop("")), {}).update(row)
    if len(found) * len(joined) > MOST_CELLS:
        raise DataError(f"{len(found):,} metrics at {len(joined):,} steps are too many for a log.")
    wide: dict[str, Sequence[Any]] = {step: [row[step] for row in joined.values()]}
    return wide | {name: [row.get(name, "") for row in joined.values()] for name in found}
