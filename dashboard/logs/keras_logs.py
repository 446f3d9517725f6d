"""Histories as JSON: `history.history`, the whole history, frames of it, lists of epochs.

Also what the Trainer of transformers keeps (`log_history`), and what TensorBoard's page offers for
download. Columns come out, as of a table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ..errors import DataError, ParameterError
from .columns import MOST_CELLS
from .names import meaning_of

__all__ = ["columns_of_history", "even_out", "read_json", "written"]

Columns = dict[str, list[Any]]

_MOST_PRINTED = 4 << 20
_TYPE = re.compile(r",\s*dtype=[\w.]+")
_WORDS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity", "None": "null"}
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'[^'\\\n]*'|\"[^\"\\\n]*\")|(?P<word>nan|-?inf|None)\b"
    r"|(?P<plain>[{}\[\]:,]|[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)"
    r"|(?:(?:np|numpy)\.)?(?:array|float\d*|int\d*)\(|\)|$)"
)


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
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(_printed_as_json(content))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} is no JSON. Write it with json.dump(history.history).") from error


def written(found: Any, name: str) -> bytes:
    """A history in memory as the file that it would be: a dictionary, a frame, Keras' `History`.

    Raises
    ------
    ParameterError : anything else.
    """
    inner = getattr(found, "history", None)
    if isinstance(inner, Mapping):
        found = {"history": inner, "epoch": getattr(found, "epoch", None)}
    elif isinstance(found, pd.DataFrame):
        found = {str(column): found[column].tolist() for column in found}
    try:
        if not isinstance(found, Mapping):
            raise TypeError
        return json.dumps(found, default=_plain_value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ParameterError(
            f"The log {name} is of type {type(found).__name__}, or holds what is no number. Give "
            "the path of a log, history.history, or another dictionary with a list of numbers for "
            "each metric."
        ) from error


def _plain_value(value: Any) -> Any:
    """Numbers and arrays of other libraries; a mapping of any kind."""
    if isinstance(value, Mapping):
        return dict(value)
    return value.tolist() if hasattr(value, "tolist") else float(value)


def _printed_as_json(content: bytes) -> str:
    """What Python prints of a dictionary of lists, as JSON; nothing is evaluated.

    Raises
    ------
    ValueError : any other text.
    """
    if len(content) > _MOST_PRINTED:
        raise ValueError
    text = _TYPE.sub("", content.decode("utf-8-sig").strip())
    found, at = [], 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise ValueError
        at = token.end()
        if token["text"] is not None:
            found.append(json.dumps(token["text"][1:-1]))
        elif token["word"] is not None:
            found.append(_WORDS[token["word"]])
        elif token["plain"] is not None:
            found.append(token["plain"])
    return "".join(found)


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
