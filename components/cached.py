"""What is computed once: the only user of `st.cache_*`.

Keys are full content digests and plain parameters; arguments with a leading underscore ride
along unhashed. Entries are bounded. A digest can only be asked for by whoever holds the same
bytes, so a cache that sessions share shows nobody another person's data.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st

from components import results
from components.jobs import Job
from components.state import AppState, ModelEntry
from dashboard.contracts import Model, Predictions, RawPredictions, Task
from dashboard.data import EvalSet, Table, read_predictions, read_table
from dashboard.diagnostics import DIAGNOSTICS
from dashboard.diagnostics.metrics import METRICS, MetricTable, compute_metrics
from dashboard.diagnostics.thresholds import ThresholdTable, compute_thresholds
from dashboard.errors import DiagnosticsError
from dashboard.evaluation import Answers, Failure, gather, predict_evalset
from dashboard.gallery import View
from dashboard.models import load_model, load_native
from dashboard.samples import Sample
from dashboard.sandbox.processes import watched
from dashboard.settings import get_settings
from dashboard.wording import listing

if TYPE_CHECKING:
    from components.workspaces import Kept

__all__ = [
    "answers",
    "asked",
    "computed",
    "diagnostic",
    "metrics",
    "problem_of",
    "sample_model",
    "sample_table",
    "sample_worker",
    "score_table",
    "threshold_table",
]

T = TypeVar("T")
_ENTRIES = get_settings().cache_entries
_SLOW = 0.3  # seconds; what takes longer is worth a place in the workspace


@st.cache_resource(max_entries=_ENTRIES, show_spinner="Reading the sample data …")
def _sample_table(key: str, file: str, digest: str, _path: Path) -> Table:
    return read_table(_path, file)


def sample_table(sample: Sample, file: str) -> Table:
    """A sample's table, read once for all sessions."""
    return _sample_table(sample.key, file, sample.digest_of(file), sample.path(file))


# Without a spinner: models are loaded in threads, which draw nothing.
@st.cache_resource(max_entries=_ENTRIES, show_spinner=False)
def _sample_model(key: str, file: str, digest: str, _path: Path) -> Model:
    content = _path.read_bytes()
    if file.endswith(".skops") and hashlib.sha256(content).hexdigest() == digest:
        return load_native(content, file)  # our own file, byte for byte
    return load_model(_path, file)


def sample_model(sample: Sample, file: str) -> Model:
    """A sample's model, loaded once for all sessions; networks in a confined worker."""
    return _sample_model(sample.key, file, sample.digest_of(file), sample.path(file))


@st.cache_resource(max_entries=_ENTRIES, show_spinner=False)
def _sample_worker(key: str, file: str, digest: str, _path: Path) -> Model:
    return load_model(_path, file)


def sample_worker(sample: Sample, file: str) -> Model:
    """A sample's model in a confined worker, once for all sessions: engines hold up a process."""
    return _sample_worker(sample.key, file, sample.digest_of(file), sample.path(file))


@st.cache_resource(max_entries=_ENTRIES // 2, show_spinner=False)
def _asked(
    digest: str,
    evalset_digest: str,
    scope: str,
    attempt: int,
    _entry: ModelEntry,
    _evalset: EvalSet,
    _state: AppState,
) -> Job[RawPredictions]:
    recall, keep = _state.recall, _state.keep
    return Job(
        f"Asking {_entry.name}", lambda job: _ask(job, _entry, _evalset, digest, recall, keep)
    )


def _ask(
    job: Job[RawPredictions],
    entry: ModelEntry,
    evalset: EvalSet,
    digest: str,
    recall: Callable[[str, str], RawPredictions | None] | None,
    keep: Callable[[str, str, RawPredictions], None] | None,
) -> RawPredictions:
    """In a thread: the raw answers, from the workspace where it has them."""
    if entry.table is not None:
        return read_predictions(entry.table, evalset, entry.columns)
    known = recall(digest, evalset.digest) if recall else None
    if known is not None:
        return known
    with watched(job.report, job.cancelled):
        raw = predict_evalset(entry.need_model(), evalset)
    if keep is not None:
        keep(digest, evalset.digest, raw)
    return raw


def asked(state: AppState, entry: ModelEntry) -> Job[RawPredictions]:
    """The model at work on the data, or done; begun by whoever asks first.

    Sessions share a sample's answers. Those of an uploaded model are the session's own, and so
    are its failures.
    """
    evalset = state.need_evalset()
    scope = _scope(state, entry)
    return _asked(  # by name: Streamlit looks up the names of others each time
        digest=entry.digest,
        evalset_digest=evalset.digest,
        scope=scope,
        attempt=entry.attempt,
        _entry=entry,
        _evalset=evalset,
        _state=state,
    )


def _scope(state: AppState, entry: ModelEntry) -> str:
    return "" if state.sample is not None and not entry.uploaded else state.scope


def _raw(state: AppState, entry: ModelEntry) -> RawPredictions | str:
    """The raw answers, or the sentence why there are none."""
    if entry.stopped:
        return "Asking it was cancelled."
    try:
        return asked(state, entry).result()
    except DiagnosticsError as error:
        return str(error)


@st.cache_resource(max_entries=_ENTRIES // 8, show_spinner=False)
def _answers(
    evalset_digest: str,
    entries: tuple[tuple[str, str, int, str], ...],
    _evalset: EvalSet,
    _raws: dict[str, RawPredictions],
) -> Answers:
    return gather(_evalset, _raws)


def problem_of(state: AppState, entry: ModelEntry) -> str | None:
    """Why a model or prediction file does not fit the data; "" = it fits, None = not known yet.

    Looks at names and shapes only; a model is asked when it is compared.
    """
    if entry.table is not None:
        raw = _raw(state, entry)
        return raw if isinstance(raw, str) else ""
    if entry.known is None:
        return None
    wanted = entry.known.feature_names or ()
    given = set(state.need_evalset().frame.columns)
    missing = [name for name in wanted if name not in given]
    if missing:
        return f"The data has no column {listing([repr(name) for name in missing], 3)}."
    return "" if wanted else None


def answers(state: AppState) -> Answers:
    """Predictions of the shown models that have answered; those that failed with their reason."""
    evalset = state.need_evalset()
    raws: dict[str, RawPredictions] = {}
    failed: list[Failure] = []
    for entry in state.shown:
        if not (entry.stopped or asked(state, entry).done):
            continue  # the page has shown that it is still at work
        raw = _raw(state, entry)
        if isinstance(raw, str):
            failed.append(Failure(entry.name, raw))
        else:
            raws[entry.name] = raw
    key = tuple(
        (entry.digest, entry.name, entry.attempt, _scope(state, entry))
        for entry in state.shown
        if entry.name in raws
    )
    found = _answers(evalset_digest=evalset.digest, entries=key, _evalset=evalset, _raws=raws)
    return replace(found, failures=(*failed, *found.failures))


def threshold_table(predictions: Predictions, label: int | None = None) -> ThresholdTable:
    """The exact engine for one model and class: sorted once, asked often.

    `compute_thresholds` keeps the table as long as the predictions live, which `_answers` bounds.
    """
    return compute_thresholds(predictions, label)


@st.cache_resource(max_entries=8 * _ENTRIES, show_spinner=False)
def _metrics(
    digest: str,
    name: str,
    names: tuple[str, ...],
    threshold: float | None,
    _predictions: Predictions,
    _kept: Kept | None,
) -> MetricTable:
    settings = get_settings()
    options = (settings.confidence_level, settings.n_bootstrap, settings.random_state)
    asked = (digest, names, threshold, *options)
    known = results.recall_metrics(_kept, name, *asked) if _kept else None
    if known is not None:
        return known
    started = time.perf_counter()
    table = compute_metrics(
        _predictions,
        threshold=threshold,
        metrics=names,
        level=settings.confidence_level,
        n_bootstrap=settings.n_bootstrap,
        random_state=settings.random_state,
    )
    if _kept and time.perf_counter() - started > _SLOW:
        results.keep_metrics(_kept, table, *asked)
    return table


def metrics(
    predictions: Predictions,
    names: Sequence[str],
    threshold: float | None = None,
    kept: Kept | None = None,
) -> MetricTable:
    """Metrics with intervals; pass a threshold only for metrics that depend on it."""
    digest = predictions.digest()
    return _metrics(
        digest=digest,
        name=predictions.name,
        names=tuple(names),
        threshold=threshold,
        _predictions=predictions,
        _kept=kept,
    )


@st.cache_resource(max_entries=2 * _ENTRIES, show_spinner=False)
def _diagnostic(
    name: str, digest: str, model: str, parameters: tuple[tuple[str, Any], ...], _predictions: Any
) -> Any:
    compute: Callable[..., Any] = DIAGNOSTICS[name].load()
    return compute(_predictions, **dict(parameters))


def diagnostic(name: str, predictions: Predictions, **parameters: Any) -> Any:
    """The result of one diagnostic of the catalogue for one model."""
    key = tuple(sorted(parameters.items()))
    return _diagnostic(
        name=name,
        digest=predictions.digest(),
        model=predictions.name,
        parameters=key,
        _predictions=predictions,
    )


@st.cache_resource(max_entries=4 * _ENTRIES, show_spinner=False)
def _computed(name: str, key: tuple[Hashable, ...], _compute: Callable[[], Any]) -> Any:
    return _compute()


def computed(name: str, key: tuple[Hashable, ...], compute: Callable[[], T]) -> T:
    """What `compute` gives, computed once for each name and key of digests and parameters."""
    found: T = _computed(name=name, key=key, _compute=compute)
    return found


def score_table(answers: Answers, view: View, kept: Kept | None = None) -> MetricTable:
    """Every metric that applies, for every model; only what a threshold moves is computed anew.

    What takes long is kept in the workspace.
    """
    task = answers.evalset.target.task
    names = [name for name, metric in METRICS.items() if task in metric.tasks]
    moved = [name for name in names if METRICS[name].needs == "labels"]
    still = [name for name in names if METRICS[name].needs != "labels"]
    tables = []
    for each in answers.everyone:
        threshold = view.threshold(each.name) if task is Task.BINARY else None
        if task is Task.MULTILABEL and view.operating and each.y_score is not None:
            threshold = view.threshold(each.name)
        tables.append(metrics(each, moved, threshold, kept))
        tables.append(metrics(each, still, None, kept))
    return MetricTable.concat(tables)
