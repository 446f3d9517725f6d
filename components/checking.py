"""Single values from a snapshot or a link, checked: what is no text, number or known word stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from dashboard.contracts import Label, canonical_label
from dashboard.frames import plain_text, untag_value

__all__ = [
    "MAX_NAME",
    "Wrong",
    "maybe",
    "read_digest",
    "read_each",
    "read_flag",
    "read_label",
    "read_names",
    "read_number",
    "read_text",
    "read_whole",
    "read_word",
]

MAX_NAME = 20_000
T = TypeVar("T")


class Wrong(Exception):
    """A value is not what it should be."""


def read_text(value: Any, limit: int = MAX_NAME) -> str:
    if not isinstance(value, str) or len(value) > limit:
        raise Wrong
    return plain_text(value, limit)


def maybe(read: Callable[[Any], T], value: Any) -> T | None:
    return None if value is None else read(value)


def read_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong
    return value


def read_number(value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise Wrong
    return float(value)


def read_whole(value: Any, high: int) -> int:
    if type(value) is not int or not 0 <= value <= high:
        raise Wrong
    return value


def read_word(value: Any, words: Any) -> Any:
    if not isinstance(value, str) or value not in words:
        raise Wrong
    return value


def read_digest(value: Any) -> str:
    text = read_text(value, 64)
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise Wrong
    return text


def read_each(read: Callable[[Any], T], values: Any, limit: int = 100_000) -> list[T]:
    if not isinstance(values, list) or len(values) > limit:
        raise Wrong
    return [read(value) for value in values]


def read_names(values: Any) -> tuple[str, ...]:
    return tuple(read_each(read_text, values))


def read_label(value: Any) -> Label | None:
    return maybe(canonical_label, untag_value(value, MAX_NAME))
