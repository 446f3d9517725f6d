"""The runs that the page on learning shows: of uploaded logs, of a sample, of the models."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from components import cached, results
from components.asking import Answer, Asked, Request, ask
from components.log_names import mapping_of
from components.markup import plain
from components.state import AppState
from dashboard.contracts import Model, Run
from dashboard.data import EvalSet
from dashboard.diagnostics.metrics import METRICS
from dashboard.errors import DiagnosticsError
from dashboard.figures.theme import ModelStyle, style_of
from dashboard.learning.inner import curves_of_model
from dashboard.logs import read_runs
from dashboard.logs.names import meaning_of
from dashboard.logs.search_logs import SearchKind
from dashboard.samples import read_sample

if TYPE_CHECKING:
    from components.workspaces import Kept

__all__ = ["Logs", "gather_logs", "gather_uploads", "run_styles"]

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


def gather_logs(state: AppState) -> Logs:
    """Read what was uploaded or comes with the sample, and ask the shown models for theirs."""
    found: list[tuple[str, Run]] = []
    mapping = mapping_of(state)
    for name, digest, content in _files(state):
        try:
            read = partial(_read, state.workspace, name, digest, content, mapping)
            runs = cached.computed("training log", (name, digest, repr(mapping)), read)
        except DiagnosticsError as error:
            st.error(f"**{plain(name)}**: {plain(str(error))}", icon=":material/error:")
            continue
        found += [(digest, _called(state, name, runs, run)) for run in runs]
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
    mapping = mapping_of(state)
    for name, digest, content in files:
        read = partial(_read, state.workspace, name, digest, content, mapping)
        try:
            runs = cached.computed("training log", (name, digest, repr(mapping)), read)
        except DiagnosticsError:
            continue  # the page on learning says why
        found += [(digest, _called(state, name, runs, run)) for run in runs]
    return _distinct(found, len(found))


def _uploads(state: AppState) -> list[tuple[str, str, bytes | Path]]:
    return [
        (one.name, one.digest, state.files[one.digest])
        for one in state.histories
        if one.digest in state.files
        and not isinstance(one.about, SearchKind)
        and one.about.kind != "sizes"
    ]


def _read(
    kept: Kept | None,
    name: str,
    digest: str,
    content: bytes | Path,
    mapping: Mapping[str, tuple[str, str]],
) -> list[Run]:
    """The runs in a log; of one that takes long the columns are kept for the next opening."""
    known = results.recall_runs(kept, name, digest) if kept and not mapping else None
    if known is not None:
        return known
    started = time.perf_counter()
    runs = read_runs({name: content}, mapping=mapping)
    if kept and not mapping and time.perf_counter() - started > _SLOW:
        results.keep_runs(kept, name, digest, runs)
    return runs


def _called(state: AppState, file: str, runs: Sequence[Run], run: Run) -> Run:
    """A single run in `network_history.csv` is that of the model `network.keras`."""
    stem = Path(file).stem.removesuffix("_history").removesuffix("_log")
    own = next((one for one in state.entries if Path(one.file).stem == stem), None)
    return replace(run, name=own.name) if own is not None and len(runs) == 1 else run


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
    """A model's own run looks like the model; the others take the styles that are free."""
    models = state.styles()
    styles: dict[str, Any] = {}
    free = iter(range(len(models), len(models) + len(runs)))
    for run in runs:
        own = next((look for name, look in models.items() if run.name == name), None)
        styles[run.name] = own if own is not None else style_of(next(free))
    return styles
