"""Permutation importance: asks a model for shuffled rows, a few features at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from ..contracts import Model, ScoreKind
from ..data import EvalSet
from ..diagnostics.importance import Importance
from ..diagnostics.intervals import check_level
from ..diagnostics.metrics import METRICS, Metric, find_metric
from ..errors import NotApplicable, ParameterError
from ..evaluation import rows_for
from ..explainers.asking import ask
from ..explainers.kept import BlockStore, KeptParts, parts_of
from ..explainers.ordering import digest_of
from ..explainers.permutation import truth
from ..frames import Frame, FrameError, plain_text
from ..sandbox.processes import tell_progress
from ..settings import get_settings
from ..wording import count, in_sentence, listing, number, plural, shorten
from .measuring import (
    OF_LABELS,
    Feature,
    Groups,
    change_of,
    check_arrays,
    grouped_features,
    metric_for,
    sampled_rows,
    worse,
)

__all__ = ["permutation_importance"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ASK_SECONDS = 1.5
"""How long a worker is kept busy at a time."""
TRIAL_SECONDS = 5.0
"""How long a model may be tried to see how slow it is."""
MOST_BLOCKS = 16
"""Parts in which the features are kept."""
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
    groups: Groups = None,
    random_state: int = 0,
    *,
    threshold: float | None = None,
    seconds: float | None = None,
    level: float = 0.95,
    part: str = "",
    store: BlockStore | None = None,
    turn: Callable[[], AbstractContextManager[Any]] = nullcontext,
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
    store : where finished blocks of features are kept and found again, for models of files.
    turn : gives what is entered for each question to the model, of a second or two.

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
    features, note = grouped_features(model, X, groups)
    order = sampled_rows(evalset, n_rows, random_state)
    told = (truth(evalset.target), n_repeats, random_state, threshold)
    kept = parts_of(store, model, evalset, "permutation", *told)
    run = _Permuting(model, evalset, X, features, n_repeats, random_state, threshold, kept, turn)
    run.notes += note
    found = _start(run, order, metric, seconds, named=metric is not None)
    return _permuted(run, name, found, run.all_features(), level, part)


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
        kept: KeptParts,
        turn: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self.model, self.evalset, self.features = model, evalset, features
        self.n_repeats, self.random_state, self.threshold = n_repeats, random_state, threshold
        self.kept, self._turn = kept, turn
        self.took = 0.0  # seconds of the last question, without waiting for its turn
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

    def unchanged(self, at: Ints, metric: Metric, *, fresh: bool = False) -> _Unchanged:
        """The score of the unchanged rows; what it finds out is told with every later question.

        `fresh`: asked even where the answer is known, to see how long it takes.
        """
        self.at, self.metric = at, metric
        self._tables["at"] = at
        what = ("unchanged", metric.name, digest_of(at))
        read = partial(_read_unchanged, n_groups=self.n_groups, n=len(at))
        found: _Unchanged = self.kept.answer(what, read, partial(self._ask, []), fresh=fresh)
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
        with self._turn():
            began = time.monotonic()
            try:
                return ask(self.model, "permute", arguments, self._tables, read=read)
            finally:
                self.took = time.monotonic() - began

    def all_features(self) -> _Shuffled:
        """The scores of every feature, from the store where it has them."""
        f, r = len(self.features), self.n_repeats
        found = _Shuffled(np.full((f, r), np.nan), np.full((f, self.n_groups), np.nan), [0] * f)
        blocks = self._blocks()
        todo = [at for block in blocks if not self._recall(block, found) for at in block]
        n_known, size, began = f - len(todo), 1, time.monotonic()
        while todo:
            these, todo = todo[:size], todo[size:]
            self._measure(these, found, (f - len(todo) - len(these)) * r)
            for block in blocks:
                if block[-1] in these:
                    self._keep(block, found)
            done = f - len(todo)
            size = max(1, min(4 * size, round(ASK_SECONDS * len(these) / max(self.took, 1e-3))))
            left = (time.monotonic() - began) * len(todo) / (done - n_known)
            tell_progress(done * r, f * r, f"{done} of {f} features, about {left:.0f} s left")
        return found

    def _blocks(self) -> list[list[int]]:
        """Places of the features that are kept together; the same in every run."""
        f = len(self.features)
        step = -(-f // MOST_BLOCKS) if f else 1
        return [list(range(start, min(start + step, f))) for start in range(0, f, step)]

    def _measure(self, these: list[int], found: _Shuffled, done: int) -> None:
        columns = [list(self.features[at].columns) for at in these]
        shape = (len(these), self.n_repeats, self.n_groups)
        got = self._ask(columns, lambda frame: _read_shuffled(frame, *shape), done)
        found.take(these, got)
        for place, sentence in got[2].items():
            found.failed[self.features[these[place]].name] = sentence

    def _block_key(self, block: list[int]) -> tuple[Any, ...]:
        columns = tuple(self.features[at].columns for at in block)
        return ("features", self.metric.name, digest_of(self.at), columns)

    def _recall(self, block: list[int], found: _Shuffled) -> bool:
        shape = (len(block), self.n_repeats, self.n_groups)
        got = self.kept.recall(self._block_key(block), lambda frame: _read_shuffled(frame, *shape))
        if got is None:
            return False
        found.take(block, got)
        return True

    def _keep(self, block: list[int], found: _Shuffled) -> None:
        """Keep a finished block; what failed is tried again next time."""
        if not any(self.features[at].name in found.failed for at in block):
            arrays = [found.scores[block], found.without[block]]
            header = {"failed": {}, "answered": [found.answered[at] for at in block]}
            self.kept.keep(self._block_key(block), header, arrays)


_Read = tuple[Floats, Floats, dict[int, str], list[int]]


@dataclass(frozen=True, eq=False)
class _Shuffled:
    """Scores `(f, repeats)`, `(f, groups)`, answered rows `(f,)`, feature → why it has none."""

    scores: Floats
    without: Floats
    answered: list[int]
    failed: dict[str, str] = field(default_factory=dict)

    def take(self, these: list[int], got: _Read) -> None:
        self.scores[these], self.without[these] = got[:2]
        for at, answered in zip(these, got[3], strict=True):
            self.answered[at] = answered


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
    answered: Ints


def _read_unchanged(frame: Frame, n_groups: int, n: int) -> _Unchanged:
    header, arrays = frame.header, frame.arrays
    check_arrays(arrays[:1], [(1 + n_groups,)])
    kind, labels, seconds = header.get("kind"), header.get("labels"), header.get("seconds")
    if kind is not None and kind not in [each.value for each in ScoreKind]:
        raise FrameError("The scores are of a kind that there is not.")
    if not isinstance(labels, list) or not isinstance(seconds, float):
        raise FrameError("The answer lacks the labels or the time.")
    answered: Any = arrays[1] if len(arrays) == 2 else np.empty((0, 0))
    if answered.dtype != np.int64 or answered.ndim != 1:
        raise FrameError("The answer does not say which rows were answered.")
    if (np.diff(np.concatenate([[-1], answered, [n]])) <= 0).any():
        raise FrameError("The answer names rows that there are not, or one twice.")
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


def _read_shuffled(frame: Frame, n_features: int, n_repeats: int, n_groups: int) -> _Read:
    check_arrays(frame.arrays, [(n_features, n_repeats), (n_features, n_groups)])
    failed = frame.header.get("failed")
    if not isinstance(failed, dict) or not set(failed) <= {str(k) for k in range(n_features)}:
        raise FrameError("The answer does not say which features failed.")
    answered = frame.header.get("answered")
    if not isinstance(answered, list) or [type(n) for n in answered] != [int] * n_features:
        raise FrameError("The answer does not say how many rows were answered.")
    return (
        np.asarray(frame.arrays[0], dtype=np.float64),
        np.asarray(frame.arrays[1], dtype=np.float64),
        {int(at): plain_text(sentence, 500) for at, sentence in failed.items()},
        answered,
    )


def _start(
    run: _Permuting, order: Ints, metric: str | None, seconds: float | None, *, named: bool
) -> _Unchanged:
    """Measure on a few rows, choose how many rows there is time for, score them unchanged."""
    task = run.evalset.target.task
    chosen = metric_for(metric, task)
    if len(order) < 2:
        raise NotApplicable(
            "Shuffling exchanges values among rows and needs at least 2; there is 1. Open data "
            "with more rows."
        )
    keep = _rows_of(run, order, chosen, seconds)
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
    if 1 < len(found.answered) < len(keep):
        # shuffled, they would get other rows' values, and then be answered and scored
        run.notes.append(
            f"{count(len(keep) - len(found.answered))} of {plural(len(keep), 'row')} got no usable "
            "answer and are left out."
        )
        found = run.unchanged(keep[found.answered], run.metric)
    if found.reason:
        run.notes.append(found.reason)
    if found.changes:
        run.notes.append(
            "The model answers the same rows differently when asked twice; part of what is shown "
            "is this noise."
        )
    return found


def _rows_of(run: _Permuting, order: Ints, metric: Metric, seconds: float | None) -> Ints:
    """The rows there is time for; those of the earlier run where one was stopped."""
    what = ("rows", metric.name, digest_of(order), seconds, len(run.features))
    size = run.kept.recall(what, lambda frame: _read_size(frame, len(order)))
    if size is not None:
        return _thinned(run, order, size)
    keep = _affordable(run, order, metric, seconds)
    run.kept.keep(what, {"rows": len(keep)}, [])
    return keep


def _read_size(frame: Frame, most: int) -> int:
    size = frame.header.get("rows")
    if not isinstance(size, int) or not 0 < size <= most:
        raise FrameError("The number of rows is none.")
    return size


def _affordable(run: _Permuting, order: Ints, metric: Metric, seconds: float | None) -> Ints:
    """As many of the rows as can be asked for within the time; all of them where there is none."""
    share, size = 1.0, 20
    for trial in range(3):  # a network's first answer takes long, its second tells
        few = np.sort(np.random.default_rng(run.random_state).permutation(order)[:size])
        with suppress(NotApplicable):  # twenty rows may hold one class only; the time counts
            run.unchanged(few, metric, fresh=True)
        asked = len(few) + 60  # again for the checks
        each = max(run.took, 1e-6) / asked
        share = _share(run, each, len(order), seconds)
        if share >= 1 or len(order) <= FEWEST:
            return order
        # what each question costs beside its rows looks like slow rows; more rows tell
        size = min(len(order), int(_trial_seconds(seconds) / each) - 60)
        if trial == 1 and size < 2 * len(few):
            break
        size = size if trial else 20
    return _thinned(run, order, max(FEWEST, int(len(order) * share)))


def _trial_seconds(seconds: float | None) -> float:
    return TRIAL_SECONDS if seconds is None else min(TRIAL_SECONDS, seconds / 4)


def _share(run: _Permuting, each: float, n: int, seconds: float | None) -> float:
    """The part of n rows that there is time for at so many seconds a row."""
    # of one question to a worker
    shares = [get_settings().predict_seconds / 3 / (each * run.n_repeats * n)]
    if seconds is not None:
        shares.append(seconds / (each * (len(run.features) * run.n_repeats + 1) * n))
    return min(shares)


def _thinned(run: _Permuting, order: Ints, size: int) -> Ints:
    """So many of the rows, drawn at random; all of them in their order."""
    if size >= len(order):
        return order
    picked = np.random.default_rng(run.random_state).permutation(len(order))[:size]
    return np.sort(order[picked])


def _permuted(
    run: _Permuting,
    name: str,
    found: _Unchanged,
    shuffled: _Shuffled,
    level: float,
    part: str,
) -> Importance:
    metric = run.metric
    repeats = worse(metric, found.scores[0], shuffled.scores)
    values = repeats.mean(axis=1)
    left = worse(metric, found.scores[1:], shuffled.without).T  # (groups, f)
    deviations, freedom = None, np.inf
    low, high = np.full(len(values), np.nan), np.full(len(values), np.nan)
    left = left[~np.isnan(found.scores[1:])]
    if len(left) > 1:
        freedom = len(left) - 1
        deviations = np.sqrt(freedom) * (left - left.mean(axis=0))
        reach = stdtrit(freedom, (1 + level) / 2) * np.sqrt((deviations**2).mean(axis=0))
        low, high = values - reach, values + reach
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
            *run.notes,
            *_left_out(run, found, shuffled),
        ),
    )


def _left_out(run: _Permuting, found: _Unchanged, shuffled: _Shuffled) -> Iterator[str]:
    """Which features have no value, or one of fewer rows than the unchanged ones."""
    for feature, sentence in shuffled.failed.items():
        yield f"{shorten(feature, 60)} could not be shuffled: {sentence}"
    n, lost = len(run.at) * run.n_repeats, list[str]()
    for one, answered in zip(run.features, shuffled.answered, strict=True):
        if one.name not in shuffled.failed and answered < len(found.answered) * run.n_repeats:
            lost.append(f"{shorten(one.name, 60)} ({count(n - answered)} of {count(n)})")
    if lost:
        yield (
            "The model gives no number for some of the rows once these are shuffled; they are "
            f"left out: {listing(lost, 5)}."
        )
