"""Why fits have no score, told once for all that failed alike."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["counted_reasons"]

_ROWS = re.compile(r" on [\d,]+ rows")  # a fold more or less makes no other reason


def counted_reasons(reasons: Iterable[str]) -> dict[str, int]:
    """Each reason in the words of its first fit, and how many fits share it; "" is none."""
    first: dict[str, str] = {}
    counts: dict[str, int] = {}
    for why in reasons:
        if why:
            told = first.setdefault(_ROWS.sub("", why), why)
            counts[told] = counts.get(told, 0) + 1
    return counts
