"""Runs out of TensorBoard's event files: one for each folder, its subfolders joined.

Keras writes `train` and `validation` below a run, PyTorch a folder for each line of a chart
(`loss_train` below a run that logs `loss`) and one for hyper-parameters.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ..contracts import Histograms, Run, Series
from ..contracts.runs import Scalar
from ..wording import listing, plural
from .events import EventLog, Tag
from .histograms import stack_histograms
from .layouts import Malformed, fields_of
from .names import Meaning, Named, clean_name, meanings_of, part_of

__all__ = ["EventFile", "join_folders"]

Ints = npt.NDArray[np.int64]

_START = "_hparams_/session_start_info"
_RESULT = "hparam/"
_UNITS = ("epoch", "step", "iteration", "batch", "")  # of two series, the coarser comes first
_MOST_PARAMETERS = 1_000


@dataclass(frozen=True, eq=False)
class EventFile:
    """One event file: the folder in which it lies ("" at the top), its name, what it holds."""

    folder: str
    name: str
    log: EventLog


@dataclass(frozen=True, eq=False)
class _Line:
    """What was logged under one tag in one folder, all files one after the other."""

    tag: str
    part: str
    steps: Ints
    walls: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]


def join_folders(
    files: Sequence[EventFile], mapping: Mapping[str, Named] | None = None
) -> dict[str, Run]:
    """Runs by folder, each named by the folder; files of one folder follow each other in time."""
    folders: dict[str, list[EventFile]] = {}
    for file in files:
        folders.setdefault(file.folder, []).append(file)
    homes = _homes(folders)
    grouped: dict[str, list[tuple[str, str, list[EventFile]]]] = {}
    for folder, (home, part, line) in homes.items():
        grouped.setdefault(home, []).append((part, line, folders[folder]))
    return {home: _run(home, members, mapping) for home, members in grouped.items()}


def _homes(folders: Mapping[str, Sequence[EventFile]]) -> dict[str, tuple[str, str, str]]:
    """Of every folder: the run it belongs to, its part, and the name of its line in a chart."""
    found = {folder: (folder, "", "") for folder in folders}
    parts = {folder: part_of(PurePosixPath(folder).name) for folder in folders}
    beside = Counter(_parent(folder) for folder, part in parts.items() if part)
    for folder, part in parts.items():
        parent, name = _parent(folder), PurePosixPath(folder).name
        if part and (part == "train" or parent in folders or beside[parent] > 1):
            found[folder] = (parent, part, "")
        elif parent in folders and _is_line(name, folders[folder]):
            found[folder] = (parent, "", name)
        elif parent in folders and _is_session(folders[folder]):
            found[folder] = (parent, "", "")
    return found


def _parent(folder: str) -> str:
    parent = str(PurePosixPath(folder).parent)
    return "" if parent == "." else parent


def _is_line(name: str, files: Sequence[EventFile]) -> bool:
    """`add_scalars("loss", {"train": …})` writes the tag `loss` into a folder `loss_train`."""
    tags = {tag for file in files for tag in file.log.tags}
    return len(tags) == 1 and name.startswith(next(iter(tags)).replace("/", "_") + "_")


def _is_session(files: Sequence[EventFile]) -> bool:
    """`add_hparams` writes hyper-parameters and last results into a folder of their own."""
    tags = {tag for file in files for tag in file.log.tags}
    return _START in tags and all(one.startswith(("_hparams_/", _RESULT)) for one in tags)


def _run(
    home: str,
    members: Sequence[tuple[str, str, Sequence[EventFile]]],
    mapping: Mapping[str, Named] | None,
) -> Run:
    lines: list[_Line] = []
    histograms: list[Histograms] = []
    config: dict[str, Scalar] = {}
    notes: list[str] = []
    other: set[str] = set()
    for part, line, files in members:
        ordered = sorted(files, key=lambda one: (one.log.began, one.name))
        for file in ordered:
            notes += file.log.notes(file.name)
            other |= file.log.other
        for tag, parts in _tags(ordered).items():
            if parts[0].plugin == "hparams":
                config.update(_parameters(tag, parts))
                continue
            if tag.startswith(_RESULT):
                notes += _results(tag, parts)
                continue
            lines += _lines(line or tag, part, parts)
            drawn, said = _histograms(tag, parts)
            histograms += drawn
            notes += said
    if other:
        names = listing(sorted(map(clean_name, other)), 4)
        notes.append(f"Neither numbers nor histograms, left out: {names}.")
    series = _series(lines, mapping)
    notes += _fallen_back(lines)
    return Run(home, "TensorBoard", series, tuple(histograms), config, tuple(notes))


def _tags(files: Sequence[EventFile]) -> dict[str, list[Tag]]:
    found: dict[str, list[Tag]] = {}
    for file in files:
        for name, tag in file.log.tags.items():
            found.setdefault(name, []).append(tag)
    return found


# --- scalars -------------------------------------------------------------------------------------


def _ordered(tag: Tag, which: Sequence[Any]) -> Iterator[Any]:
    """The parts of a tag that hold something, and the order of all their records."""
    kept = [k for k, one in enumerate(which) if one is not None]
    if not kept:
        return
    order = np.argsort(np.concatenate([tag.order[k] for k in kept]), kind="stable")
    for many in (tag.steps, tag.walls):
        yield np.concatenate([many[k] for k in kept])[order]
    yield order


def _lines(name: str, part: str, tags: Sequence[Tag]) -> list[_Line]:
    found = []
    for tag in tags:
        arrays = list(_ordered(tag, tag.scalars))
        if arrays:
            values = np.concatenate([one for one in tag.scalars if one is not None])
            found.append((arrays[0], arrays[1], values[arrays[2]]))
    if not found:
        return []
    steps, walls, values = (np.concatenate(one) for one in zip(*found, strict=True))
    return [_Line(name, part, steps, walls, values)]


def _series(lines: Sequence[_Line], mapping: Mapping[str, Named] | None) -> tuple[Series, ...]:
    """What each line means, with the part that its folder says where its name says none."""
    meanings: dict[tuple[str, str], Meaning] = {}
    taken: set[tuple[str, str, str]] = set()
    for part in dict.fromkeys(line.part for line in lines):
        names = [line.tag for line in lines if line.part == part and not _is_out(line, mapping)]
        defaults = dict.fromkeys(names, part or "train")
        for name, one in meanings_of(names, mapping, defaults).items():
            while one[:3] in taken:  # a rate that both parts log
                one = one._replace(metric=clean_name(f"{part}/{one.metric}"))
            taken.add(one[:3])
            meanings[part, name] = one
    found = []
    for line in lines:
        if _is_out(line, mapping):
            continue
        meaning = meanings[line.part, line.tag]
        found.append(
            Series(
                meaning.metric,
                meaning.part,
                line.steps,
                line.values,
                meaning.unit or "step",
                line.walls,
                clean_name(line.tag),
            )
        )
    return tuple(sorted(found, key=lambda one: _UNITS.index(one.unit)))


def _is_out(line: _Line, mapping: Mapping[str, Named] | None) -> bool:
    return (mapping or {}).get(line.tag) == ("", "")


def _fallen_back(lines: Sequence[_Line]) -> list[str]:
    """Where steps begin again, a run was started anew in the same folder."""
    falls = [int((np.diff(line.steps) < 0).sum()) for line in lines]
    if not any(falls):
        return []
    return [
        f"The steps of {sum(map(bool, falls)):,} of {len(lines):,} series go back, at most "
        f"{plural(max(falls), 'time')}, as where training is started again: all that was logged is "
        "kept as it was."
    ]


# --- histograms and hyper-parameters -------------------------------------------------------------


def _histograms(name: str, tags: Sequence[Tag]) -> tuple[list[Histograms], list[str]]:
    steps: list[Ints] = []
    parts: list[Any] = []
    for tag in tags:
        arrays = list(_ordered(tag, tag.histograms))
        if not arrays:
            continue
        steps.append(arrays[0])
        parts += _in_order([one for one in tag.histograms if one is not None], arrays[2])
    if not parts:
        return [], []
    found, notes = stack_histograms(name, np.concatenate(steps), parts)
    return ([found] if found is not None else []), notes


def _in_order(parts: Sequence[Any], order: Ints) -> list[Any]:
    """Where parts interleave, histograms one by one."""
    if np.array_equal(order, np.arange(len(order))):
        return list(parts)
    rows = [(e[k : k + 1], c[k : k + 1]) for e, c in parts for k in range(len(c))]
    return [rows[int(at)] for at in order]


def _results(name: str, tags: Sequence[Tag]) -> list[str]:
    """What was said of the whole run beside its hyper-parameters."""
    values = [float(part[-1]) for tag in tags for part in tag.scalars if part is not None]
    if not values:
        return []
    metric = clean_name(name.removeprefix(_RESULT))
    return [f"Logged with the hyper-parameters as a result: {metric} = {values[-1]:.6g}."]


def _parameters(name: str, tags: Sequence[Tag]) -> dict[str, Scalar]:
    """HParamsPluginData → session_start_info → hparams, a map to google.protobuf.Value."""
    if name != _START:
        return {}
    found: dict[str, Scalar] = {}
    for tag in tags:
        content = tag.content
        try:
            for info in fields_of(content, 0, len(content)):
                if info[:2] == (3, 2):
                    entries = fields_of(content, info.start, info.end)
                    found.update(_entry(content, one) for one in entries if one[:2] == (1, 2))
        except Malformed:
            continue
    return dict(list(found.items())[:_MOST_PARAMETERS])


def _entry(content: bytes, entry: Any) -> tuple[str, Scalar]:
    key, found = "", cast(Scalar, "")
    for one in fields_of(content, entry.start, entry.end):
        if one[:2] == (1, 2):
            key = clean_name(content[one.start : one.end].decode("utf-8", "replace"))
        elif one[:2] == (2, 2):
            for inner in fields_of(content, one.start, one.end):
                part = content[inner.start : inner.end]
                if inner[:2] == (2, 1):
                    (found,) = struct.unpack("<d", part)
                elif inner[:2] == (3, 2):
                    found = clean_name(part.decode("utf-8", "replace"))
                elif inner[:2] == (4, 0):
                    found = part != b"\0"
    if isinstance(found, float) and found.is_integer() and abs(found) < 1 << 53:
        found = int(found)  # every number is written as a double
    return key, found
