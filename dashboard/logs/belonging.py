"""Loose files that are one training: uploads come without the folders that would say so.

CatBoost's `learn_error.tsv` and `test_error.tsv` belong together where they have equally many
rounds. Keras and others write an event file for the training rows and one for the validation rows,
in folders of their own but by one process, which the names of the files hold.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath

from ..errors import DataError
from .booster_logs import is_catboost_json, is_catboost_table
from .curve_tables import read_csv_columns
from .events import is_event_file, read_events
from .keras_logs import read_json

__all__ = ["group_files"]

Content = bytes | Path
Group = dict[str, int]

_NAMED = re.compile(
    r"events\.out\.tfevents\.(?P<began>\d{1,12})\.(?P<process>.+\.\d+)\.(?P<number>\d+)(?:\.v2)?$"
)
_EVALUATED = re.compile(r"evaluation_.*_vs_")  # how Keras names what it validates each epoch
_ROWS = re.compile(r"(?:learn|test)[ _.-]*error|catboost_training", re.I)
_APART = 86_400  # seconds between the starts of two files of one training
_TABLE = 16 << 20
_START = 1 << 16  # of an event file: enough for the names of what it holds


def group_files(files: Sequence[tuple[str, Content]]) -> list[Group]:
    """Which files are read together, in the order of the first of each group.

    Returns
    -------
    list : for each group: the path under which a file is read → its position in `files`. A file
        on its own keeps its name; two of one training get folders that say what they are.
    """
    names = [PurePosixPath(name.replace("\\", "/")).name for name, _ in files]
    groups = _catboost(names, files) + _events(names, files)
    taken = {at for group in groups for at in group.values()}
    groups += [{names[at]: at} for at in range(len(files)) if at not in taken]
    return sorted(groups, key=lambda group: min(group.values()))


def _catboost(names: Sequence[str], files: Sequence[tuple[str, Content]]) -> list[Group]:
    """Each table of learning rows with the next one of test rows, and with the JSON."""
    open_groups: list[tuple[str, int, dict[str, int]]] = []  # what names share, rounds, role → file
    for at, name in enumerate(names):
        role = _catboost_role(name)
        n_rounds = _rounds(name, files[at][1]) if role else 0
        if not n_rounds:
            continue
        stem = _ROWS.sub("", PurePosixPath(name).stem).strip(" _.-")
        for shared, rounds, roles in open_groups:
            if shared == stem and rounds == n_rounds and role not in roles:
                roles[role] = at
                break
        else:
            open_groups.append((stem, n_rounds, {role: at}))
    return [
        {f"CatBoost {stem}".strip() + f"/{names[at]}": at for at in roles.values()}
        for stem, _, roles in open_groups
        if len(roles) > 1
    ]


def _catboost_role(name: str) -> str:
    folded = name.casefold()
    if folded.endswith(".json") and "catboost" in folded:
        return "json"
    if "error" not in folded:
        return ""
    return "test" if "test" in folded else "learn" if "learn" in folded else ""


def _rounds(name: str, content: Content) -> int:
    """How many rounds one of CatBoost's files has; 0 for every other file."""
    try:
        data = _read(content, _TABLE)
        if name.casefold().endswith(".json"):
            found = read_json(data, name)
            return len(found["iterations"]) if is_catboost_json(found) else 0
        columns, _ = read_csv_columns(data, name)
    except (DataError, OSError):
        return 0
    return len(columns["iter"]) if is_catboost_table(columns) else 0


def _read(content: Content, most: int) -> bytes:
    if isinstance(content, bytes):
        return content[:most]
    with content.open("rb") as file:
        return file.read(most)


def _events(names: Sequence[str], files: Sequence[tuple[str, Content]]) -> list[Group]:
    """What Keras logged of an evaluation, with the file that its process began just before.

    Other writers' files do not say which rows they are of, and stay runs of their own.
    """
    processes: dict[str, list[tuple[int, int, int]]] = {}  # → began, number, position
    for at, name in enumerate(names):
        told = _NAMED.match(name)
        if told is not None and is_event_file(_read(files[at][1], 256)):
            found = processes.setdefault(told["process"], [])
            found.append((int(told["began"]), int(told["number"]), at))
    groups = []
    for members in processes.values():
        tags = {at: _tags(names[at], files[at][1]) for *_, at in members if len(members) > 1}
        for (began, _, train), (later, _, other) in pairwise(sorted(members)):
            evaluated = [any(map(_EVALUATED.match, tags[at])) for at in (train, other)]
            if evaluated == [False, True] and tags[train] & tags[other] and later - began < _APART:
                run = names[train]
                paths = f"{run}/train/{run}", f"{run}/validation/{names[other]}"
                groups.append(dict(zip(paths, (train, other), strict=True)))
    return groups


def _tags(name: str, content: Content) -> set[str]:
    try:
        return set(read_events(_read(content, _START), name).tags)
    except (DataError, OSError):
        return set()
