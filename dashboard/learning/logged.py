"""What was logged, searched and tabled elsewhere: read for the headless call, and drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..contracts import Run
from ..data import read_table
from ..diagnostics.epochs import compute_epoch_curves, not_drawn
from ..diagnostics.rate_search import compute_rate_search
from ..diagnostics.size_curves import SizeCurve
from ..diagnostics.size_tables import read_size_table
from ..errors import DataError, NotApplicable
from ..logs import read_runs
from ..logs.search_logs import read_search, search_files
from ..settings import Settings
from .gathered import Learning

__all__ = ["distinct", "draw_epochs", "read_logs", "read_searches", "read_table_of_sizes"]


def read_logs(found: Learning, logs: Any, settings: Settings) -> None:
    """All together, so that files of one run meet; one by one where one of them is no log.

    `logs` : paths and histories in memory, or one of them.
    """
    files = _named(logs)
    if not files:
        return
    try:
        found.runs = distinct(read_runs(files, settings=settings))
        return
    except DataError:
        if len(files) == 1:
            raise
    runs: list[Run] = []
    for name, content in files.items():
        try:
            runs += read_runs({name: content}, settings=settings)
        except DataError as error:
            found.fail(name, str(error))
    found.runs = distinct(runs)


def _named(logs: Any) -> dict[str, Path | Mapping[str, Any]]:
    """Each log under a name of its own: its file's, its path's where that is shared."""
    given = list(logs) if isinstance(logs, list | tuple | set) else [logs]
    given = [one for one in given if one is not None]
    paths = [Path(one) for one in given if isinstance(one, str | Path)]
    missing = next((path for path in paths if not path.exists()), None)
    if missing is not None:
        raise DataError(f"There is no file {missing}. Check the path.")
    files: dict[str, Path | Mapping[str, Any]] = {}
    for one in given:
        if isinstance(one, str | Path):
            path = Path(one)
            files[path.name if _alone(path, paths) else str(path)] = path
            continue
        name, count = "history", 1
        while name in files:
            count += 1
            name = f"history {count}"
        files[name] = one
    return files


def _alone(path: Path, paths: Sequence[Path]) -> bool:
    """Whether no other path ends alike. Event files say by their folders what they are."""
    if "tfevents" in path.name and len({one.parent for one in paths}) > 1:
        return False
    return sum(other.name == path.name for other in paths) == 1


def distinct(runs: Sequence[Run]) -> list[Run]:
    """Equal names are told apart."""
    taken: dict[str, Run] = {}
    for run in runs:
        name, count = run.name, 1
        while name in taken:
            count += 1
            name = f"{run.name} ({count})"
        taken[name] = run if name == run.name else replace(run, name=name)
    return list(taken.values())


def read_searches(found: Learning, paths: Sequence[Path], better: bool | None) -> None:
    for path in paths:
        try:
            found.searches.append(read_search(search_files(path), larger_is_better=better))
        except DataError as error:
            if len(paths) == 1:
                raise
            found.fail(path.name, str(error))


def read_table_of_sizes(path: Path) -> list[list[SizeCurve]]:
    """The curves of one table, those of each metric together.

    Raises
    ------
    DataError : no table of sizes and scores.
    """
    groups: dict[str, list[SizeCurve]] = {}
    for curve in read_size_table(read_table(path).frame, model=path.stem):
        groups.setdefault(curve.metric, []).append(curve)
    return list(groups.values())


def draw_epochs(found: Learning, metric: str | None, patience: int) -> None:
    """Curves of every metric that was logged; runs that search a rate are no training.

    Raises
    ------
    NotApplicable : no log has the metric, and there is nothing else.
    """
    plain = []
    for run in found.runs:
        try:
            found.rate_searches.append(compute_rate_search(run))
        except NotApplicable:
            plain.append(run)
    if not plain:
        return
    several = bool(found.sizes or found.parameters or found.folds or found.searches)
    for name in [metric] if metric else _metrics(plain):
        try:
            curves = compute_epoch_curves(plain, metric=name, patience=patience)
        except NotApplicable as error:
            if not several:
                raise
            found.notes.append(str(error))
            continue
        found.epochs += [one for one in curves if one.parts]
        found.notes += [
            f"{one.run}: {note}" for one in curves if not one.parts for note in one.notes
        ]
        found.notes += [note for run in plain if (note := not_drawn(run, name))]


def _metrics(runs: Sequence[Run]) -> list[str]:
    names = dict.fromkeys(name for run in runs for name in run.metrics)
    return sorted(names, key=lambda name: name != "loss")
