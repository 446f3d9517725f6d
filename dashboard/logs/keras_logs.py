"""Histories as JSON: `history.history`, the whole history, frames of it, lists of epochs.

Also what the Trainer of transformers keeps (`log_history`), and what TensorBoard's page offers for
download. Columns come out, as of a table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import DataError
from .columns import MOST_CELLS
from .names import meaning_of

__all__ = ["columns_of_history", "even_out", "read_json"]

Columns = dict[str, list[Any]]


def read_json(content: bytes, name: str) -> Any:
    """What a JSON file or one of JSON lines holds.

    Raises
    ------
    DataError : it is neither.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        pass
    try:
        return [json.loads(line) for line in content.splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} is no JSON. Write it with json.dump(history.history).") from error


def columns_of_history(found: Any) -> Columns | None:
    """Columns of equal lengths, or None where it is no history at all."""
    if isinstance(found, dict) and isinstance(found.get("log_history"), list):
        found = found["log_history"]
    epochs = None
    if isinstance(found, dict) and isinstance(found.get("history"), dict):
        epochs = found.get("epoch")
        found = found["history"]
    if isinstance(found, list):
        found = _by_column(found)
    if not isinstance(found, dict) or not found:
        return None
    columns = {
        str(name): list(values.values()) if isinstance(values, dict) else values
        for name, values in found.items()
    }
    if not all(isinstance(values, list) for values in columns.values()):
        return None
    if any(isinstance(one, (list, dict, bool)) for values in columns.values() for one in values):
        return None
    longest = max(map(len, columns.values()))
    if isinstance(epochs, list) and len(epochs) == longest and "epoch" not in columns:
        columns["epoch"] = epochs
    return columns if longest else None


def _by_column(rows: Sequence[Any]) -> Columns | None:
    """A list of epochs; those that lack a name logged nothing under it."""
    if rows and all(isinstance(row, list) and len(row) == 3 for row in rows):
        names = ("wall time", "step", "value")
        return {name: [row[at] for row in rows] for at, name in enumerate(names)}
    if not rows or not all(isinstance(row, dict) for row in rows):
        return None
    every = dict.fromkeys(name for row in rows for name in row)
    if len(every) * len(rows) > MOST_CELLS:
        return None
    return {str(name): [row.get(name, "") for row in rows] for name in every}


def even_out(columns: Mapping[str, Sequence[Any]], name: str) -> tuple[Columns, list[str]]:
    """Columns of one length: what was validated every k epochs gets a row at each k-th.

    Raises
    ------
    DataError : lengths that no such rule explains.
    """
    longest = max(map(len, columns.values()))
    if longest * len(columns) > MOST_CELLS:
        raise DataError(f"{name} has {len(columns):,} columns of {longest:,} values; too many.")
    found: Columns = {}
    notes = []
    for column, cells in columns.items():
        every, rest = divmod(longest, len(cells)) if cells else (0, 1)
        if len(cells) == longest:
            found[column] = list(cells)
        elif not rest and meaning_of(column).part != "train":
            spread: list[Any] = [""] * longest
            spread[every - 1 :: every] = cells
            found[column] = spread
            notes.append(
                f"{column} has {len(cells):,} values for {longest:,} epochs: taken for the last "
                f"of every {every:,} epochs."
            )
        else:
            raise DataError(
                f"{name} has {len(cells):,} values of {column!r} and {longest:,} of others. A "
                "history has as many of each as it has epochs."
            )
    return found, notes
