"""What is computed once: the only user of `st.cache_*`.

Keys are full content digests and plain parameters; arguments with a leading underscore ride
along unhashed. Entries are bounded. A digest can only be asked for by whoever holds the same
bytes, so a cache that sessions share shows nobody another person's data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from components.state import AppState, ModelEntry
from dashboard.contracts import Model, Predictions, RawPredictions, Task
from dashboard.data import EvalSet, Table, read_predictions, read_table
from dashboard.diagnostics import DIAGNOSTICS
from dashboard.diagnostics.metrics import METRICS, MetricTable, compute_metrics
from dashboard.diagnostics.thresholds import ThresholdTable, compute_thresholds
from dashboard.errors import DiagnosticsError
from dashboard.evaluation import Answers, Failure, gather, predict_evalset
from dashboard.gallery import View
from dashboard.models import load_model
from dashboard.samples import Sample
from dashboard.settings import get_settings
from dashboard.wording import listing

__all__ = [
    "answers",
    "diagnostic",
    "metrics",
    "problem_of",
    "sample_model",
    "sample_table",
    "score_table",
    "threshold_table",
]

_ENTRIES = get_settings().cache_entries


@st.cache_resource(max_entries=_ENTRIES, show_spinner="Reading the sample data …")
def _sample_table(key: str, file: str, digest: str, _path: Any) -> Table:
    return read_table(_path, file)


def sample_table(sample: Sample, file: str) -> Table:
    """A sample's table, read once for all sessions."""
    return _sample_table(sample.key, file, sample.digest_of(file), sample.path(file))


@st.cache_resource(max_entries=_ENTRIES, show_spinner="Loading the sample models …")
def _sample_model(key: str, file: str, digest: str, _path: Any) -> Model:
    return load_model(_path, file)


def sample_model(sample: Sample, file: str) -> Model:
    """A sample's model, loaded once for all sessions."""
    return _sample_model(sample.key, file, sample.digest_of(file), sample.path(file))


@st.cache_resource(max_entries=_ENTRIES // 2, show_spinner="Asking the models …")
def _raw(
    digest: str, evalset_digest: str, _entry: ModelEntry, _evalset: EvalSet
) -> RawPredictions | str:
    """The raw answers, or the sentence why there are none (failures are kept as well)."""
    try:
        if _entry.table is not None:
            return read_predictions(_entry.table, _evalset, _entry.columns)
        return predict_evalset(_entry.need_model(), _evalset)
    except DiagnosticsError as error:
        return str(error)


@st.cache_resource(max_entries=_ENTRIES // 8, show_spinner=False)
def _answers(
    evalset_digest: str,
    entries: tuple[tuple[str, str], ...],
    _evalset: EvalSet,
    _raws: dict[str, RawPredictions],
) -> Answers:
    return gather(_evalset, _raws)


def problem_of(entry: ModelEntry, evalset: EvalSet) -> str | None:
    """Why a model or prediction file does not fit the data; "" = it fits, None = not known yet.

    Looks at names and shapes only; a model is asked when it is compared.
    """
    if entry.table is not None:
        raw = _raw(entry.digest, evalset.digest, entry, evalset)
        return raw if isinstance(raw, str) else ""
    if entry.model is None:
        return None
    wanted = entry.model.info.feature_names or ()
    given = set(evalset.frame.columns)
    missing = [name for name in wanted if name not in given]
    if missing:
        return f"The data has no column {listing([repr(name) for name in missing], 3)}."
    return "" if wanted else None


def answers(state: AppState) -> Answers:
    """Predictions of the shown models; models that fail are listed with their reason."""
    evalset = state.need_evalset()
    raws: dict[str, RawPredictions] = {}
    failed: list[Failure] = []
    for entry in state.shown:
        raw = _raw(entry.digest, evalset.digest, entry, evalset)
        if isinstance(raw, str):
            failed.append(Failure(entry.name, raw))
        else:
            raws[entry.name] = raw
    key = tuple((entry.digest, entry.name) for entry in state.shown if entry.name in raws)
    found = _answers(evalset.digest, key, evalset, raws)
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
) -> MetricTable:
    settings = get_settings()
    return compute_metrics(
        _predictions,
        threshold=threshold,
        metrics=names,
        level=settings.confidence_level,
        n_bootstrap=settings.n_bootstrap,
        random_state=settings.random_state,
    )


def metrics(
    predictions: Predictions, names: Sequence[str], threshold: float | None = None
) -> MetricTable:
    """Metrics with intervals; pass a threshold only for metrics that depend on it."""
    return _metrics(predictions.digest(), predictions.name, tuple(names), threshold, predictions)


@st.cache_resource(max_entries=2 * _ENTRIES, show_spinner=False)
def _diagnostic(
    name: str, digest: str, model: str, parameters: tuple[tuple[str, Any], ...], _predictions: Any
) -> Any:
    compute: Callable[..., Any] = DIAGNOSTICS[name].load()
    return compute(_predictions, **dict(parameters))


def diagnostic(name: str, predictions: Predictions, **parameters: Any) -> Any:
    """The result of one diagnostic of the catalogue for one model."""
    key = tuple(sorted(parameters.items()))
    return _diagnostic(name, predictions.digest(), predictions.name, key, predictions)


def score_table(answers: Answers, view: View) -> MetricTable:
    """Every metric that applies, for every model; only what a threshold moves is computed anew."""
    task = answers.evalset.target.task
    names = [name for name, metric in METRICS.items() if task in metric.tasks]
    moved = [name for name in names if METRICS[name].needs == "labels"]
    still = [name for name in names if METRICS[name].needs != "labels"]
    tables = []
    for each in answers.everyone:
        threshold = view.threshold(each.name) if task is Task.BINARY else None
        if task is Task.MULTILABEL and view.operating and each.y_score is not None:
            threshold = view.threshold(each.name)
        tables.append(metrics(each, moved, threshold))
        tables.append(metrics(each, still))
    return MetricTable.concat(tables)
