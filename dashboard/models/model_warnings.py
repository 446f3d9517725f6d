"""What models and libraries warn of, as notes for people."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from .columns import first_line

__all__ = ["recorded", "version_notes", "warning_notes"]

# `warnings.catch_warnings` swaps process-wide state; two sessions must not interleave in it.
_LOCK = threading.RLock()


@contextmanager
def recorded() -> Iterator[list[warnings.WarningMessage]]:
    """The warnings raised inside, kept off the streams."""
    with _LOCK, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def version_notes(caught: list[warnings.WarningMessage]) -> list[str]:
    """A sentence for each other version of scikit-learn that parts of a model are from."""
    import sklearn

    wrote = {getattr(item.message, "original_sklearn_version", None) for item in caught} - {None}
    return [
        f"Saved with scikit-learn {version}; opened with {sklearn.__version__}: answers can differ."
        for version in sorted(str(version) for version in wrote)
    ]


def warning_notes(caught: list[warnings.WarningMessage]) -> list[str]:
    """The first three different warnings, one line each."""
    lines = dict.fromkeys(first_line(item.message) for item in caught)
    return [f"The model warned: {line}" for line in list(lines)[:3]]
