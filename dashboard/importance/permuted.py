"""Permutation importance: asks a model for shuffled rows, a few features at a time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtrit

from ..contracts import Model, ScoreKind
from ..data import EvalSet
from ..diagnostics.feature_groups import compute_feature_groups
from ..diagnostics.importance import Importance
from ..diagnostics.intervals import check_level
from ..diagnostics.metrics import METRICS, Metric, find_metric
from ..errors import NotApplicable, ParameterError
from ..evaluation import rows_for
from ..explainers.asking import ask
from ..explainers.permutation import truth
from ..frames import Frame, FrameError, plain_text
from ..sandbox.processes import tell_progress
from ..settings import get_settings
from ..wording import count, in_sentence, listing, number, plural, shorten
from .measuring import (
    OF_LABELS,
    Feature,
    change_of,
    check_arrays,
    features_of,
    metric_for,
    sampled_rows,
    worse,
)

__all__ = ["permutation_importance"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ASK_SECONDS = 1.5
"""How long a worker is kept busy at a time."""
FEWEST = 50
"""Rows below which a time budget does not go."""

WARNING = (
    "What the model loses without a feature's own values. Features that carry the same information "
    "cover for each other and all look unimportant: group them."
)


def permutation_importance(
    model: Model,
    evalset: EvalSet,
    name: str,
    metric: str | None = None,
    n_repeats: int = 5,
    n_rows: int | None = 2_000,
    groups: Mapping[str, Sequence[str]] | Literal["correlated"] | None = None,
    random_state: int = 0,
    *,
    threshold: float | None = None,
    seconds: float | None = None,
    level: float = 0.95,
    part: str = "",
) -> Importance:
    """How much worse the metric gets when one feature's values are dealt out anew among the rows.

    Parameters
    ----------
    metric : name in the catalogue of metrics; None = ROC AUC, for regression RMSE.
    n_rows : at most so many rows, drawn alike in the target; None = all. On all rows the repeats
        are those of `sklearn.inspection.permutation_importance` with the same seed.
    groups : name → columns that are shuffled together under that name; "correlated" finds
        columns that vary together (`diagnostics.feature_groups`) and groups these.
    threshold : in units of the scores, for metrics of decided classes; None = the model's own.
    seconds : fewer rows are taken where the model would take longer; the notes say so.
    level, part : of the intervals; which rows these are ("training", "evaluation").

    Returns
    -------
    Importance : `values` are means over the repeats, in units of the metric, larger = the metric
        got worse. Intervals are of a jackknife over groups of rows, so they hold what other rows
        and other shuffles would have changed.

    Raises
    ------
    ParameterError : unknown metric or columns; n_repeats or n_rows below 1.
    NotApplicable : the metric has no value for this model and data.
    ModelError : the model fails on the unchanged rows.
    """
    check_level(level)
    if n_repeats < 1 or (n_rows is not None and n_rows < 1):
        raise ParameterError(
            f"n_repeats and n_rows must be at least 1, got {n_repeats} and {n_rows}."
        )
    X = rows_for(model, evalset)
    features, note = _grouped(model, X, groups)
    order = sampled_rows(evalset, n_rows, random_state)
    run = _Permuting(model, evalset, X, features, n_repeats, random_state, threshold)
    run.notes += note
    found = _start(run, order, metric, seconds, named=metric is not None)
    scores, without, failed = run.all_features()
    return _permuted(run, name, found, scores, without, failed, level, part)


def _grouped(
    model: Model,
    X: Any,
    groups: Mapping[str, Sequence[str]] | Literal["correlated"] | None,
) -> tuple[list[Feature], list[str]]:
    """The features with their groups, and a sentence on groups that were found."""
    if groups != "correlated":
        return features_of(model, X, groups or {}), []
    if not isinstance(X, pd.DataFrame):
        return features_of(model, X, {}), ["Cells of arrays are not grouped by how they vary."]
    read = {feature.name for feature in features_of(model, X, {})}
    found = compute_feature_groups(X)
    kept = {name: [one for one in names if one in read] for name, names in found.groups.items()}
    kept = {name: names for name, names in kept.items() if len(names) > 1}
    said = [f"{name}: {listing(names, 9)}" for name, names in kept.items()]
    rule = f"rank correlation of at least {number(found.threshold, 1)}, all pairs of a group"
    note = f"Columns that vary together ({rule}) are shuffled together: {'; '.join(said)}."
    return features_of(model, X, kept), [note if kept else f"No columns vary together ({rule})."]


class _Permuting:
    """One model's permutations, asked for a few features at a time."""

    def __init__(
        self,
        model: Model,
        evalset: EvalSet,
        X: Any,
        features: Sequence[Feature],
        n_repeats: int,
        random_state: int,
        threshold: float | None,
    ) -> None:
        self.model, self.evalset, self.features = model, evalset, features
        self.n_repeats, self.random_state, self.threshold = n_repeats, random_state, threshold
        self.metric: Metric = METRICS["accuracy"]
        self.notes: list[str] = []
        self.at: Ints = np.arange(0)
        self._tables: dict[str, Any] = {"X": X, "y": evalset.target.y}
        if evalset.sample_weight is not None:
            self._tables["w"] = evalset.sample_weight
        self._told: dict[str, Any] = {"target": truth(evalset.target)}

    @property
    def n_groups(self) -> int:
        """Groups of the jackknife: enough for an error, few enough for many rows."""
        n = len(self.at)
        return 0 if n < 10 else min(20 if n <= 1_000 else 10, n // 2)

    def unchanged(self, at: Ints, metric: Metric) -> _Unchanged:
        """The score of the unchanged rows; what it finds out is told with every later question."""
        self.at, self.metric = at, metric
        self._tables["at"] = at
        found: _Unchanged = self._ask([], lambda frame: _read_unchanged(frame, self.n_groups))
        self._told |= {"kind": found.kind, "alone": found.alone}
        self._told["target"] = {**truth(self.evalset.target), "labels": found.labels}
        return found

    def _ask(self, columns: list[list[int]], read: Any, done: int = 0) -> Any:
        arguments = {
            "kind": None,
            "alone": False,
            **self._told,
            "metric": self.metric.name,
            "threshold": self.threshold,
            "seed": self.random_state,
            "repeats": self.n_repeats,
            "groups": self.n_groups,
            "columns": columns,
            "done": done,
            "total": len(self.features) * self.n_repeats if columns else 0,
        }
        return ask(self.model, "permute", arguments, self._tables, read=read)

    def all_features(self) -> tuple[Floats, Floats, dict[str, str]]:
        """Scores `(f, repeats)`, `(f, groups)`, and feature → why it has none."""
        f, r, g = len(self.features), self.n_repeats, self.n_groups
        scores, without = np.full((f, r), np.nan), np.full((f, g), np.nan)
        failed: dict[str, str] = {}
        size, start, began = 1, 0, time.monotonic()
        while start < f:
            these = self.features[start : start + size]
            before = time.monotonic()
            columns = [list(feature.columns) for feature in these]
            shape = (len(these), r, g)
            got = self._ask(columns, lambda frame, s=shape: _read_shuffled(frame, *s), start * r)
            scores[start : start + len(these)], without[start : start + len(these)] = got[:2]
            failed |= {these[at].name: sentence for at, sentence in got[2].items()}
            start += len(these)
            took = time.monotonic() - before
            size = max(1, min(4 * size, round(ASK_SECONDS * len(these) / max(took, 1e-3))))
            left = (time.monotonic() - began) * (f - start) / start
            tell_progress(start * r, f * r, f"{start} of {f} features, about {left:.0f} s left")
        return scores, without, failed


@dataclass(frozen=True, eq=False)
class _Unchanged:
    """What was found on the unchanged rows; see `explainers.permutation.permute`."""

    scores: Floats
    seconds: float
    labels: list[Any]
    kind: str | None
    alone: bool
    changes: bool
    reason: str
    answered: int


def _read_unchanged(frame: Frame, n_groups: int) -> _Unchanged:
    header, arrays = frame.header, frame.arrays
    check_arrays(arrays, [(1 + n_groups,)])
    kind, labels, seconds = header.get("kind"), header.get("labels"), header.get("seconds")
    if kind is not None and kind not in [each.value for each in ScoreKind]:
        raise FrameError("The scores are of a kind that there is not.")
    if not isinstance(labels, list) or not isinstance(seconds, float):
        raise FrameError("The answer lacks the labels or the time.")
    answered = header.get("answered")
    if not isinstance(answered, int):
        raise FrameError("The answer does not say how many rows were answered.")
    return _Unchanged(
        np.asarray(arrays[0], dtype=np.float64),
        seconds,
        labels,
        kind,
        header.get("alone") is True,
        header.get("changes") is True,
        plain_text(header.get("reason"), 500),
        answered,
    )


def _read_shuffled(
    frame: Frame, n_features: int, n_repeats: int, n_groups: int
) -> tuple[Floats, Floats, dict[int, str]]:
    check_arrays(frame.arrays, [(n_features, n_repeats), (n_features, n_groups)])
    failed = frame.header.get("failed")
    if not isinstance(failed, dict) or not set(failed) <= {str(k) for k in range(n_features)}:
        raise FrameError("The answer does not say which features failed.")
    return (
        np.asarray(frame.arrays[0], dtype=np.float64),
        np.asarray(frame.arrays[1], dtype=np.float64),
        {int(at): plain_text(sentence, 500) for at, sentence in failed.items()},
    )


def _start(
    run: _Permuting, order: Ints, metric: str | None, seconds: float | None, *, named: bool
) -> _Unchanged:
    """Measure on a few rows, choose how many rows there is time for, score them unchanged."""
    task = run.evalset.target.task
    chosen = metric_for(metric, task)
    keep = _affordable(run, order, chosen, seconds)
    if len(keep) < len(order):
        run.notes.append(
            f"The model is slow, so {count(len(keep))} of {plural(len(order), 'row')} are used."
        )
    try:
        found = run.unchanged(keep, chosen)
    except NotApplicable:
        if named or task not in OF_LABELS:
            raise
        other = find_metric(OF_LABELS[task])
        found = run.unchanged(keep, other)
        run.notes.append(
            f"The model gives no scores for {chosen.title}; {in_sentence(other.title)} is watched."
        )
    if found.reason:
        run.notes.append(found.reason)
    if found.answered < len(keep):
        run.notes.append(
            f"{count(len(keep) - found.answered)} of {plural(len(keep), 'row')} got no usable "
            "answer and are left out."
        )
    if found.changes:
        run.notes.append(
            "The model answers the same rows differently when asked twice; part of what is shown "
            "is this noise."
        )
    return found


def _affordable(run: _Permuting, order: Ints, metric: Metric, seconds: float | None) -> Ints:
    """As many of the rows as can be asked for within the time; all of them where there is none."""
    few = np.sort(np.random.default_rng(run.random_state).permutation(order)[:20])
    share = 1.0
    for _ in range(2):  # a network's first answer takes long, its second tells
        start = time.monotonic()
        with suppress(NotApplicable):  # twenty rows may hold one class only; the time counts
            run.unchanged(few, metric)
        each = (time.monotonic() - start) / (len(few) + 60)  # asked again for the checks
        # of one question to a worker
        shares = [get_settings().predict_seconds / 3 / (each * run.n_repeats * len(order))]
        if seconds is not None:
            times = len(run.features) * run.n_repeats + 1
            shares.append(seconds / (each * times * len(order)))
        share = min(shares)
        if share >= 1 or len(order) <= FEWEST:
            return order
    size = max(FEWEST, int(len(order) * share))
    picked = np.random.default_rng(run.random_state).permutation(len(order))[:size]
    return np.sort(order[picked])


def _permuted(
    run: _Permuting,
    name: str,
    found: _Unchanged,
    scores: Floats,
    without: Floats,
    failed: Mapping[str, str],
    level: float,
    part: str,
) -> Importance:
    metric = run.metric
    repeats = worse(metric, found.scores[0], scores)
    values = repeats.mean(axis=1)
    left = worse(metric, found.scores[1:], without).T  # (groups, f)
    deviations, freedom = None, np.inf
    low, high = np.full(len(values), np.nan), np.full(len(values), np.nan)
    left = left[~np.isnan(found.scores[1:])]
    if len(left) > 1:
        freedom = len(left) - 1
        deviations = np.sqrt(freedom) * (left - left.mean(axis=0))
        reach = stdtrit(freedom, (1 + level) / 2) * np.sqrt((deviations**2).mean(axis=0))
        low, high = values - reach, values + reach
    notes = [*run.notes]
    for feature, sentence in failed.items():
        notes.append(f"{shorten(feature, 60)} could not be shuffled: {sentence}")
    return Importance(
        model=name,
        method="permutation",
        title="Permutation importance",
        unit=change_of(metric),
        features=tuple(feature.name for feature in run.features),
        values=values,
        low=low,
        high=high,
        n=len(run.at),
        n_given=run.evalset.n,
        level=level,
        repeats=repeats,
        deviations=deviations,
        freedom=freedom,
        metric=metric.name,
        baseline=float(found.scores[0]),
        part=part,
        warning=WARNING,
        notes=(
            f"{count(len(run.at))} of {plural(run.evalset.n, 'row')}, "
            f"{plural(run.n_repeats, 'repeat')}; {metric.title} is "
            f"{number(float(found.scores[0]))} with nothing shuffled.",
            *notes,
        ),
    )
