"""Choices of a person that the link and the workspace hold: read back with every value checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Self

from components.checking import Wrong, read_whole, read_word

__all__ = ["Chosen", "between", "one_of", "yes_or_no"]

Reader = Callable[[Any], Any]


def one_of(*words: str) -> Reader:
    """Reads one of these words."""
    return lambda value: str(read_word(value, words))


def between(low: int, high: int) -> Reader:
    """Reads a whole number within these bounds."""

    def read(value: Any) -> int:
        n = read_whole(value, high)
        if n < low:
            raise Wrong
        return n

    return read


def yes_or_no(value: Any) -> bool:
    """Reads a truth value, as JSON or as a link writes it.

    Raises
    ------
    Wrong : anything else.
    """
    known = {True: True, False: False, "True": True, "False": False}
    if not isinstance(value, (bool, str)) or value not in known:
        raise Wrong
    return known[value]


@dataclass(frozen=True)
class Chosen:
    """What a subclass's fields hold; every field has a default, which the link leaves out.

    Attributes
    ----------
    READERS : field → what checks its value and raises `Wrong`.
    PREFIX : before the names of the fields in the address.
    """

    READERS: ClassVar[Mapping[str, Reader]] = {}
    PREFIX: ClassVar[str] = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, given: Any) -> Self:
        """What `to_json` gave, checked; what is missing has its default.

        Raises
        ------
        Wrong : a value is not sound.
        """
        if not isinstance(given, dict):
            raise Wrong
        return cls(
            **{name: read(given[name]) for name, read in cls.READERS.items() if name in given}
        )

    def link(self) -> dict[str, str]:
        """What differs from the default, as parameters of the address."""
        fresh = type(self)()
        return {
            f"{self.PREFIX}{one.name}": str(getattr(self, one.name))
            for one in fields(self)
            if getattr(self, one.name) != getattr(fresh, one.name)
        }

    def with_link(self, given: Mapping[str, str]) -> Self:
        """What the address says instead; unknown words are left out."""
        found: dict[str, Any] = {}
        for one in fields(self):
            text = given.get(f"{self.PREFIX}{one.name}")
            if text is None:
                continue
            try:
                found[one.name] = self.READERS[one.name](_parsed(text, one.default))
            except (Wrong, ValueError):
                continue
        return replace(self, **found)


def _parsed(text: str, default: Any) -> Any:
    """As the default is: a whole number, a fraction, or text."""
    if isinstance(default, bool):
        return text
    if isinstance(default, int) or default is None:
        return int(text)
    return float(text) if isinstance(default, float) else text
