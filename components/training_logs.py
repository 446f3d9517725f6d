"""The runs that the page on learning shows: of uploaded logs, of a sample, of the models."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from components import cached, results
from components.asking import Answer, Asked, Request, ask
from components.log_names import mapping_of
from components.markup import plain
from components.state import AppState, ModelEntry
from dashboard.contracts import Model, Run
from dashboard.data import EvalSet
from dashboard.diagnostics.metrics import METRICS
from dashboard.errors import DiagnosticsError
from dashboard.figures.theme import MODEL_COLOURS, ModelStyle, style_of
from dashboard.learning.inner import curves_of_model
from dashboard.logs import read_runs
from dashboard.logs.belonging import group_files
from dashboard.logs.names import meaning_of
from dashboard.logs.search_logs import SearchKind
from dashboard.samples import read_sample

if TYPE_CHECKING:
    from components.workspaces import Kept

__all__ = ["Logs", "gather_logs", "gather_uploads", "run_of", "run_styles"]

_MOST_MODELS = 8
_QUICK = 2 << 20  # bytes of logs that are read while Home is drawn
_SLOW = 0.5  # seconds of reading, after which the columns are kept


@dataclass(frozen=True, eq=False)
class Logs:
    """All runs there are, under names that differ; `key` changes with them.

    `from_files` : the names of those that were read from files, not asked from models.
    """

    runs: tuple[Run, ...]
    key: str
    from_files: frozenset[str] = frozenset()

    def shown(self, left: Sequence[str]) -> list[Run]:
        """Those that are not left out; all where that would be none."""
        return [one for one in self.runs if one.name not in left] or list(self.runs)


@dataclass(frozen=True, eq=False)
class _Log:
    """What is read as one: a file, or the loose files of one training."""

    name: str
    digest: str
    contents: Mapping[str, bytes | Path]


def gather_logs(state: AppState) -> Logs:
    """Read what was uploaded or comes with the sample, and ask the shown models for theirs."""
    found: list[tuple[str, Run]] = []
    for log in _together(_files(state)):
        try:
            found += _runs(state, log)
        except DiagnosticsError as error:
            st.error(f"**{plain(log.name)}**: {plain(str(error))}", icon=":material/error:")
    n_files = len(found)
    for answer in _carried(state):
        digest = hashlib.sha256(repr(answer.key).encode()).hexdigest()
        found += [(digest, run) for run in _named(answer)]
    return _distinct(found, n_files)


def gather_uploads(state: AppState) -> Logs:
    """Uploaded logs alone, where they are small enough to be read while a page is drawn."""
    files = _uploads(state)
    sizes = [len(one) if isinstance(one, bytes) else one.stat().st_size for _, _, one in files]
    if not files or sum(sizes) > _QUICK:
        return Logs((), "")
    found: list[tuple[str, Run]] = []
    for log in _together(files):
        try:
            found += _runs(state, log)
        except DiagnosticsError:
            continue  # the page on learning says why
    return _distinct(found, len(found))


def run_of(state: AppState, entry: ModelEntry) -> Run | None:
    """The run in a log file that is a model's own, by the names of both files."""
    for log in _together(_files(state)):
        if _owner(state, log.name) is not entry:
            continue
        try:
            runs = _runs(state, log)
        except DiagnosticsError:
            continue  # where logs are drawn it is said why
        if len(runs) == 1:
            return runs[0][1]
    return None


def _runs(state: AppState, log: _Log) -> list[tuple[str, Run]]:
    """The digest of a log with each of its runs."""
    mapping = mapping_of(state)
    read = partial(_read, state.workspace, log, mapping)
    runs = cached.computed("training log", (log.name, log.digest, repr(mapping)), read)
    return [(log.digest, _called(state, log.name, runs, run)) for run in runs]


def _together(files: Sequence[tuple[str, str, bytes | Path]]) -> list[_Log]:
    """Each file on its own, but for those that are one training."""
    if len(files) < 2:
        return [_Log(name, digest, {name: content}) for name, digest, content in files]
    key = tuple((name, digest) for name, digest, _ in files)
    pairs = [(name, content) for name, _, content in files]
    found = []
    for group in cached.computed("log groups", (key,), partial(group_files, pairs)):
        first, digests = min(group.values()), [files[at][1] for at in group.values()]
        joined = hashlib.sha256("".join(digests).encode()).hexdigest()
        digest = joined if len(digests) > 1 else digests[0]
        contents = {path: files[at][2] for path, at in group.items()}
        found.append(_Log(files[first][0], digest, contents))
    return found


def _uploads(state: AppState) -> list[tuple[str, str, bytes | Path]]:
    return [
        (one.name, one.digest, state.files[one.digest])
        for one in state.histories
        if one.digest in state.files
        and not isinstance(one.about, SearchKind)
        and one.about.kind != "sizes"
    ]


def _read(kept: Kept | None, log: _Log, mapping: Mapping[str, tuple[str, str]]) -> list[Run]:
    """The runs in a log; of one that takes long the columns are kept for the next opening."""
    known = results.recall_runs(kept, log.name, log.digest) if kept and not mapping else None
    if known is not None:
        return known
    started = time.perf_counter()
    runs = read_runs(log.contents, mapping=mapping)
    if kept and not mapping and time.perf_counter() - started > _SLOW:
        results.keep_runs(kept, log.name, log.digest, runs)
    return runs


def _called(state: AppState, file: str, runs: Sequence[Run], run: Run) -> Run:
    """A single run is that of the model whose file has the same name."""
    own = _owner(state, file)
    return replace(run, name=own.name) if own is not None and len(runs) == 1 else run


def _owner(state: AppState, file: str) -> ModelEntry | None:
    """The model of a log: `network_history.csv` is that of `network.keras`."""
    stem = Path(file).stem.removesuffix("_history").removesuffix("_log")
    return next((one for one in state.entries if Path(one.file).stem == stem), None)


def _files(state: AppState) -> list[tuple[str, str, bytes | Path]]:
    """Name, digest and content of each log; of a sample's the CSV, which the JSON repeats."""
    files = _uploads(state)
    if state.sample is not None:
        sample = read_sample(state.sample)
        stems = {Path(name).stem for name in sample.histories if name.endswith(".csv")}
        files += [
            (name, sample.digests[name], sample.path(name))
            for name in sample.histories
            if name.endswith(".csv") or Path(name).stem not in stems
        ]
    return files


def _carried(state: AppState) -> list[Answer[list[Run]]]:
    """The curves inside the shown models; models without any say nothing here."""
    if state.evalset is None:
        return []
    entries = [one for one in state.shown if one.table is None][:_MOST_MODELS]
    requests: list[Request[list[Run]]] = [
        Request(
            entry,
            "inner curves",
            (),
            f"Reading the curves of {entry.name}",
            partial(_ask, entry.name),
        )
        for entry in entries
    ]
    return ask(state, requests, later=True)


def _ask(name: str, model: Callable[[], Model], evalset: EvalSet, asked: Asked[list[Run]]) -> None:
    opened = asked.opened(model)
    with asked.turn(0, 0):
        try:
            asked.post(curves_of_model(opened, evalset, name))
        except DiagnosticsError:
            asked.post([])  # most models carry none: no reason to say so on a page of logs


def _named(answer: Answer[list[Run]]) -> list[Run]:
    """Under the name that the model has now."""
    name, runs = answer.entry.name, [_as_logged(run) for run in answer.value]
    if len(runs) == 1:
        return [replace(runs[0], name=name)]
    return [
        one if one.name.startswith(name) else replace(one, name=f"{name}: {one.name}")
        for one in runs
    ]


def _as_logged(run: Run) -> Run:
    """Our own metrics under the names that logs have: "roc_auc" and a logged "auc" are one."""
    named = [
        replace(one, metric=meaning_of(one.metric).metric) if one.metric in METRICS else one
        for one in run.series
    ]
    return replace(run, series=tuple(named))


def _distinct(found: Sequence[tuple[str, Run]], n_files: int) -> Logs:
    counts: dict[str, int] = {}
    runs = []
    for _, run in found:
        counts[run.name] = n = counts.get(run.name, 0) + 1
        runs.append(run if n == 1 else replace(run, name=f"{run.name} ({n})"))
    told = json.dumps([[digest, run.name, _meant(run)] for digest, run in found])
    key = hashlib.sha256(told.encode()).hexdigest()
    return Logs(tuple(runs), key, frozenset(one.name for one in runs[:n_files]))


def _meant(run: Run) -> list[tuple[str, str]]:
    """What a person can correct, so that everything computed from it follows."""
    return [(one.metric, one.part) for one in run.series]


def run_styles(state: AppState, runs: Sequence[Run]) -> Mapping[str, ModelStyle]:
    """A model's own run looks like the model; the others take what no model has, as far as it goes.

    Then come the colours of models that have no run here: two runs look alike last of all.
    """
    slots = {one.name: one.slot for one in state.entries}
    own = {run.name: slots[run.name] for run in runs if run.name in slots}
    usual = range(len(MODEL_COLOURS))
    unused = [slot for slot in usual if slot not in slots.values()]
    elsewhere = [slot for slot in usual if slot in slots.values() and slot not in own.values()]
    free = chain(unused, elsewhere, count(len(MODEL_COLOURS)))
    return {run.name: style_of(own[run.name] if run.name in own else next(free)) for run in runs}
