"""Single Python values as JSON and back, each with its type: 1, 1.0, True, "1" stay apart.

Text, whole numbers, finite floats, booleans and None are themselves; everything else is a list
whose first element names its type, such as `["nan"]` or `["date", "2024-01-31"]`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from .wire import FrameError

__all__ = ["plain_text", "tag_value", "tag_values", "untag_value", "untag_values"]

MAX_TEXT = 100_000
_DEEPEST = 20
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def plain_text(value: Any, limit: int = MAX_TEXT) -> str:
    """Text from a stranger: no lone surrogates or control characters, at most `limit` characters.

    Raises
    ------
    FrameError : no text.
    """
    if not isinstance(value, str):
        raise FrameError(f"A text of the message is of type {type(value).__name__}.")
    shown = _CONTROL.sub("", value.encode("utf-8", "replace").decode("utf-8"))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def tag_values(values: Iterable[Any]) -> list[Any]:
    """One JSON value for each of `values`; see `tag_value`."""
    return [tag_value(value) for value in values]


def tag_value(value: Any, depth: int = 0) -> Any:
    """`value` as something that `json.dumps` takes.

    Raises
    ------
    FrameError : a type that does not travel.
    """
    if value is None or isinstance(value, (bool, np.bool_)):
        return None if value is None else bool(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return number if math.isfinite(number) else [str(number)]
    if depth > _DEEPEST:
        raise FrameError("A value is nested too deeply to be sent.")
    return _tag_other(value, depth)


def _tag_other(value: Any, depth: int) -> list[Any]:
    if value is pd.NaT or value is pd.NA:
        return ["NaT" if value is pd.NaT else "NA"]
    if isinstance(value, np.ndarray):
        return ["list", [tag_value(item, depth + 1) for item in value.tolist()]]
    if isinstance(value, (list, tuple)):
        name = "list" if isinstance(value, list) else "tuple"
        return [name, [tag_value(item, depth + 1) for item in value]]
    if isinstance(value, dict):
        pairs = [
            [tag_value(key, depth + 1), tag_value(item, depth + 1)] for key, item in value.items()
        ]
        return ["dict", pairs]
    for name, kind, write, _ in _WRITTEN:
        if isinstance(value, kind):
            return [name, write(value)]
    raise FrameError(f"A value of type {type(value).__name__} cannot be sent.")


def _decimal(text: Any) -> Decimal:
    number = Decimal(text)
    if number.is_snan():
        raise ValueError("a NaN that raises wherever it is used")
    return number


Writer = Callable[[Any], Any]
# name, type, how to write it, how to read it; subclasses before their parents
_WRITTEN: tuple[tuple[str, Any, Writer, Writer], ...] = (
    ("Timestamp", pd.Timestamp, lambda v: v.isoformat(), pd.Timestamp),
    ("Timedelta", pd.Timedelta, lambda v: v.isoformat(), pd.Timedelta),
    ("datetime", datetime, datetime.isoformat, datetime.fromisoformat),
    ("date", date, date.isoformat, date.fromisoformat),
    ("time", time, time.isoformat, time.fromisoformat),
    ("timedelta", timedelta, lambda v: v.total_seconds(), lambda v: timedelta(seconds=v)),
    ("datetime64", np.datetime64, str, np.datetime64),
    ("Decimal", Decimal, str, _decimal),
    ("bytes", bytes, bytes.hex, bytes.fromhex),
)
_READERS = {name: read for name, _, _, read in _WRITTEN}
_ALONE: dict[str, Any] = {
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "NaT": pd.NaT,
    "NA": pd.NA,
}


def untag_values(values: Any, limit: int = MAX_TEXT) -> list[Any]:
    """The values that `tag_values` wrote; `limit` is the longest text.

    Raises
    ------
    FrameError : no list, or something that `tag_value` does not write.
    """
    if not isinstance(values, list):
        raise FrameError("A list of values is missing in the message.")
    return [untag_value(value, limit) for value in values]


def untag_value(value: Any, limit: int = MAX_TEXT, depth: int = 0) -> Any:
    """The value that `tag_value` wrote.

    Raises
    ------
    FrameError : something that it does not write, or a text of more than `limit` characters.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        if len(value) > limit:
            raise FrameError(
                f"A text of the message has {len(value):,} characters; {limit:,} are allowed."
            )
        return value.encode("utf-8", "replace").decode("utf-8")
    if not isinstance(value, list) or not value or not isinstance(value[0], str):
        raise FrameError("A value of the message has no known type.")
    if depth > _DEEPEST or len(value) > 2:
        raise FrameError("A value of the message is nested too deeply.")
    return _untag_other(value[0], value[1:], limit, depth)


def _untag_other(name: str, rest: list[Any], limit: int, depth: int) -> Any:
    if not rest:
        if name not in _ALONE:
            raise FrameError(f"A value of the message has the unknown type {name[:40]!r}.")
        return _ALONE[name]
    content = rest[0]
    if name in ("list", "tuple") and isinstance(content, list):
        items = [untag_value(item, limit, depth + 1) for item in content]
        return items if name == "list" else tuple(items)
    if name == "dict" and isinstance(content, list):
        return _untag_dict(content, limit, depth)
    if name not in _READERS or not isinstance(content, (str, float)):
        raise FrameError(f"A value of the message has the unknown type {name[:40]!r}.")
    if isinstance(content, str) and len(content) > limit:
        raise FrameError(f"A value of the message has {len(content):,} characters.")
    try:
        return _READERS[name](content)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise FrameError(f"A value of the message is no {name}.") from error


def _untag_dict(pairs: list[Any], limit: int, depth: int) -> dict[Any, Any]:
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise FrameError("A mapping of the message is no list of pairs.")
    try:
        return {
            untag_value(key, limit, depth + 1): untag_value(item, limit, depth + 1)
            for key, item in pairs
        }
    except TypeError as error:
        raise FrameError("A mapping of the message has a key that cannot be one.") from error
