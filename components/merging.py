"""Snapshots as plain JSON: the files that one names, and those of two windows put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["LISTS", "digests", "merge"]

LISTS = ("sources", "earlier", "waiting", "companions", "histories")  # of names and digests
_FILES = ("sample", "sources")
_DATA = ("sample", "sources", "earlier", "roles", "task", "pos_label", "split_value")
_LISTS = {"waiting": 1, "failed": 1, "companions": 1, "histories": 1}


def merge(
    base: Mapping[str, Any], mine: Mapping[str, Any], theirs: Mapping[str, Any]
) -> dict[str, Any]:
    """What another window saved (`theirs`) with what was changed here since `base`.

    Where both changed the same thing, what was done here, which is later, counts; but for roles
    given to data that they have replaced, whose files are gone.
    """
    merged = _newer(base, mine, theirs)
    changed = any(mine[name] != base[name] for name in _DATA)
    replaced = any(theirs[name] != base[name] for name in _FILES)
    data = mine if any(mine[name] != base[name] for name in _FILES) else theirs
    data = mine if changed and not replaced else data
    merged |= {name: data[name] for name in _DATA}
    merged["view"] = _newer(base["view"], mine["view"], theirs["view"])
    merged["consented"] = sorted({*mine["consented"], *theirs["consented"]})
    for name, at in _LISTS.items():
        merged[name] = _merge_list(*(_by(at, one[name]) for one in (base, mine, theirs)))
    merged["models"] = _merge_list(*(_by("key", one["models"]) for one in (base, mine, theirs)))
    return merged


def digests(given: Mapping[str, Any]) -> set[str]:
    """The digests of all uploads that a snapshot names."""
    lists = [given[name] for name in LISTS]
    found = {digest for pairs in lists for _, digest in pairs}
    found |= {digest for _, digest, _ in given["failed"]}
    for entry in (*given["models"], *given.get("returning", ())):
        if entry["kind"] in ("model", "predictions"):
            found |= {entry["key"], *(digest for _, digest in entry["helpers"])}
    return found


def _newer(
    base: Mapping[str, Any], mine: Mapping[str, Any], theirs: Mapping[str, Any]
) -> dict[str, Any]:
    return {**theirs, **{name: value for name, value in mine.items() if value != base.get(name)}}


def _by(at: Any, values: Sequence[Any]) -> dict[str, Any]:
    return {value[at]: value for value in values}


def _merge_list(
    base: Mapping[str, Any], mine: Mapping[str, Any], theirs: Mapping[str, Any]
) -> list[Any]:
    """In the order of mine, then what they added; what either removed is gone."""
    kept = []
    for key, value in mine.items():
        if key not in base:
            kept.append(value)
        elif key in theirs:
            one = isinstance(value, dict)
            kept.append(_newer(base[key], value, theirs[key]) if one else theirs[key])
    added = [value for key, value in theirs.items() if key not in base and key not in mine]
    return [*kept, *added]
