"""The tree of errors: complete in its drawing, and every branch caught by the root."""

from __future__ import annotations

import inspect
import re

import pytest

from dashboard import errors
from dashboard.errors import DiagnosticsError, NotApplicable

CLASSES = {
    name: item
    for name, item in vars(errors).items()
    if inspect.isclass(item) and item.__module__ == errors.__name__
}


def drawn() -> dict[str, str | None]:
    """Class → parent as the docstring draws them, from the indentation of each line."""
    assert errors.__doc__
    parents: dict[str, str | None] = {}
    above: list[tuple[int, str]] = []
    for line in errors.__doc__.splitlines():
        found = re.match(r"^([\s│├└─]*)([A-Z]\w+) {2,}\S", line)
        if not found:
            continue
        depth, name = len(found[1]), found[2]
        above = [(d, n) for d, n in above if d < depth]
        parents[name] = above[-1][1] if above else None
        above.append((depth, name))
    return parents


def test_docstring_draws_the_tree() -> None:
    actual = {
        name: item.__base__.__name__ if item is not DiagnosticsError else None
        for name, item in CLASSES.items()
    }
    assert drawn() == actual


def test_everything_is_exported_and_documented() -> None:
    assert sorted(CLASSES) == sorted(errors.__all__)
    for item in CLASSES.values():
        assert item.__doc__


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_root_catches(name: str) -> None:
    with pytest.raises(DiagnosticsError, match="because"):
        raise CLASSES[name]("because")


def test_not_applicable_says_why() -> None:
    error = NotApplicable("The task has no scores.")
    assert error.reason == str(error) == "The task has no scores."
