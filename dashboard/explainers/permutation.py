"""Permutation importance inside a worker: shuffled copies stacked, predicted in few calls.

The shuffles are those of `sklearn.inspection.permutation_importance` for the same seed, so that
on the same rows the repeats are the same numbers. The spread over rows is a delete-a-group
jackknife: a pair of a row and the row that lent it its value is left out when either is in the
group, as for a U-statistic (Arvesen, Ann. Math. Stat. 40 (1969) 2076–2100).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Model, Predictions, RawPredictions, ScoreKind, Target, Task, Work
from ..diagnostics.confusion import decide
from ..diagnostics.metrics import compute_metrics, find_metric
from ..errors import ModelError, NotApplicable
from ..frames import tag_values, untag_values
from .answers import Asked
from .retracing import Retraced, retraced

__all__ = ["permute", "shuffles", "told_target", "truth"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Rows = pd.DataFrame | npt.NDArray[Any]

# One predict call takes at most so many rows and cells, and about so long.
CALL_ROWS, CALL_CELLS, CALL_SECONDS = 200_000, 20_000_000, 1.0
TWICE = 20  # rows that are asked a second time, to see whether answers are always the same


def shuffles(n: int, n_repeats: int, random_state: int) -> Ints:
    """`(n_repeats, n)`: which row lends each row its value, as scikit-learn shuffles them."""
    generator = np.random.RandomState(random_state)
    seed = generator.randint(np.iinfo(np.int32).max + 1)
    generator, lent = np.random.RandomState(seed), np.arange(n)
    out = np.empty((n_repeats, n), dtype=np.int64)
    shuffle = np.arange(n)
    for repeat in range(n_repeats):
        generator.shuffle(shuffle)
        lent = lent[shuffle]  # each repeat shuffles what the last one left
        out[repeat] = lent
    return out


def truth(target: Target) -> dict[str, Any]:
    """The JSON beside the table "y", from which `told_target` makes the target again."""
    return {
        "task": target.task.value,
        "name": target.name,
        "labels": tag_values(target.labels),
        "pos_label": target.pos_label,
    }


def told_target(told: Mapping[str, Any], y: Any) -> Target:
    """The target that `truth` told of, on the rows whose truth is `y`."""
    labels = tuple(untag_values(told["labels"]))
    return Target(Task(told["task"]), told["name"], labels, y, told["pos_label"])


@dataclass(frozen=True, eq=False)
class _Trial:
    """Everything that stays the same while features are shuffled.

    Attributes
    ----------
    rows : the n rows used; target, weight : theirs.
    kind : what the scores are, found on the unchanged rows; None before.
    alone : the scores tell everything, so labels need not be predicted.
    """

    model: Model
    name: str
    rows: Rows
    target: Target
    weight: Floats | None
    metric: str
    threshold: float | None
    kind: ScoreKind | None = None
    alone: bool = False

    @property
    def n(self) -> int:
        return len(self.rows)

    def answers(self, rows: Rows, copies: int) -> Predictions:
        """The model's answers for so many copies of the rows, one below the other."""
        return self.read(self._raw(rows), copies)

    def read(self, raw: RawPredictions, copies: int) -> Predictions:
        """Raw answers for so many copies of the rows beside their truth."""
        if self.kind is not None and raw.score_kind is None:
            raw = replace(raw, score_kind=self.kind)
        at = np.tile(np.arange(self.n), copies)
        target = self.target.take(at) if copies > 1 else self.target
        weight = None if self.weight is None else self.weight[at]
        return Predictions.normalise(
            raw, target.known_to([raw]), name=self.name, sample_weight=weight
        )

    def _raw(self, rows: Rows) -> RawPredictions:
        scores_of = getattr(self.model, "predict_scores", None)
        return scores_of(rows) if self.alone and scores_of else self.model.predict(rows)

    def score(self, predictions: Predictions) -> tuple[float, str]:
        """The metric, and why it has no value or is a convention."""
        table = compute_metrics(
            predictions,
            metrics=[self.metric],
            n_bootstrap=2,
            per_class=False,
            threshold=self.threshold,
        )
        row = next((row for row in table.rows if row.label == ""), None)
        if row is None:
            raise NotApplicable(f"{find_metric(self.metric).title} has no value for the whole.")
        return row.value, row.reason


def permute(
    model: Model, tables: Mapping[str, Any], arguments: Mapping[str, Any], work: Work
) -> tuple[dict[str, Any], Sequence[Any]]:
    """The score of the unchanged rows, or those with each of some features shuffled.

    Parameters
    ----------
    tables : "X" rows for the model; "y" their truth, `(n,)` or `(n, k)`; "at" positions of the
        rows to use; "w" weights, where there are any.
    arguments : "target" (see `truth`), "metric", "threshold", "seed", "repeats", "groups" (of the
        jackknife), "columns": for each feature the positions of its columns in X (or of its cells
        in a flat row of an array); empty asks for the unchanged rows. "kind" and "alone": what
        that answer said. "done", "total": for the progress.

    Returns
    -------
    Header "seconds" of the predict calls; and for the unchanged rows "labels", "kind", "alone",
    "changes" (answers differ when asked twice), "reason". Arrays: scores `(1 + groups,)` of
    the unchanged rows and the places of those that were answered, or scores `(f, repeats)` and
    `(f, groups)`; nan where the model failed, and then header "failed" holds a sentence for the
    feature, and "answered" how many rows of all its shuffled copies were.
    """
    trial = _trial(model, tables, arguments)
    if not arguments["columns"]:
        return _unchanged(trial, arguments, work)
    return _shuffled(trial, arguments, work)


def _trial(model: Model, tables: Mapping[str, Any], arguments: Mapping[str, Any]) -> _Trial:
    at = np.asarray(tables["at"])
    X, told = tables["X"], arguments["target"]
    rows = X.iloc[at].reset_index(drop=True) if isinstance(X, pd.DataFrame) else np.asarray(X)[at]
    target = told_target(told, np.asarray(tables["y"])[at])
    kind = arguments.get("kind")
    return _Trial(
        model,
        str(arguments.get("name", "The model")),
        rows,
        target,
        np.asarray(tables["w"])[at] if "w" in tables else None,
        arguments["metric"],
        arguments.get("threshold"),
        None if kind is None else ScoreKind(kind),
        bool(arguments.get("alone")),
    )


def _groups(trial: _Trial, n_groups: int, seed: int) -> Ints:
    """`(n,)` group of each row, drawn at random; with classes alike in them.

    Groups alike in a number would differ less than chance has it, and so would the intervals.
    """
    rng = np.random.default_rng(seed)
    chance = rng.random(trial.n)
    order = np.argsort(chance)
    if trial.target.task in (Task.BINARY, Task.MULTICLASS):
        order = np.lexsort((chance, trial.target.y))
    groups = np.empty(trial.n, dtype=np.int64)
    groups[order] = np.arange(trial.n) % max(n_groups, 1)
    return groups


def _unchanged(
    trial: _Trial, arguments: Mapping[str, Any], work: Work
) -> tuple[dict[str, Any], Sequence[Any]]:
    work.check()
    start = time.perf_counter()
    predictions = trial.answers(trial.rows, 1)
    seconds = time.perf_counter() - start
    value, reason = trial.score(predictions)
    if np.isnan(value):
        raise NotApplicable(reason or f"{find_metric(trial.metric).title} has no value here.")
    lent = shuffles(trial.n, arguments["repeats"], arguments["seed"])
    groups = _groups(trial, arguments["groups"], arguments["seed"])
    # of the same pairs as for a shuffled feature, so that what both share cancels
    same = [predictions] * len(lent)
    without = _without_groups(trial, same, lent, groups, arguments["groups"], work)
    kind = predictions.score_kind
    header = {
        "seconds": seconds,
        "labels": tag_values(predictions.target.labels),
        "kind": None if kind is None else kind.value,
        "alone": _scores_suffice(trial, predictions),
        "changes": _changes(trial),
        "reason": reason,
        "notes": list(predictions.notes),
    }
    return header, [np.array([value, *without]), predictions.rows]


def _score_of(trial: _Trial, predictions: Predictions, kept: npt.NDArray[np.bool_]) -> float:
    """The score of some of the rows."""
    at = np.flatnonzero(kept)
    return trial.score(_some(predictions, at))[0] if len(at) else np.nan


def _some(predictions: Predictions, at: Ints) -> Predictions:
    def taken(values: Any) -> Any:
        return None if values is None else values[at]

    return replace(
        predictions,
        target=predictions.target.take(at),
        y_pred=taken(predictions.y_pred),
        y_score=taken(predictions.y_score),
        sample_weight=taken(predictions.sample_weight),
        rows=predictions.rows[at],
    )


def _scores_suffice(trial: _Trial, full: Predictions) -> bool:
    """Whether the labels say nothing that the scores do not; a forest answers twice for both."""
    if full.task not in (Task.BINARY, Task.MULTICLASS) or full.y_score is None:
        return False
    if not hasattr(trial.model, "predict_scores"):
        return False
    alone = replace(full, y_pred=None)
    if not np.array_equal(decide(alone, trial.threshold), decide(full, trial.threshold)):
        return False
    few = _part(replace(trial, alone=True), np.arange(min(TWICE, trial.n)))
    answers = few.answers(few.rows, 1)
    at = np.isin(full.rows, answers.rows)
    return _same(answers.y_score, full.y_score[at])


def _changes(trial: _Trial) -> bool:
    """Whether it answers the same rows differently when asked twice."""
    few = _part(trial, np.arange(min(TWICE, trial.n)))
    one, two = (few.answers(few.rows, 1) for _ in range(2))
    return not (_same(one.y_score, two.y_score) and _same(one.y_pred, two.y_pred))


def _part(trial: _Trial, at: Ints) -> _Trial:
    return replace(
        trial,
        rows=_copies(trial.rows, [(at, ())], at),
        target=trial.target.take(at),
        weight=None if trial.weight is None else trial.weight[at],
    )


def _same(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    if a.shape != b.shape:
        return False
    return bool(np.allclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=a.dtype.kind == "f"))


def _copies(rows: Rows, changes: Sequence[tuple[Ints, Sequence[int]]], keep: Ints) -> Rows:
    """One copy of the rows `keep` for each change `(lent, columns)`, one below the other.

    In each copy those columns hold the values of the rows `lent`.
    """
    n, whole = len(keep), np.tile(keep, len(changes))
    if isinstance(rows, pd.DataFrame):
        kinds = set(rows.dtypes)
        if len(kinds) == 1 and isinstance(kind := kinds.pop(), np.dtype) and kind.kind in "fiu":
            values = _copies(rows.to_numpy(), changes, keep)
            return pd.DataFrame(values, columns=rows.columns, copy=False)
        moved: dict[int, Ints] = {}
        for place, (lent, columns) in enumerate(changes):
            for column in columns:
                at = moved.setdefault(column, whole.copy())
                at[place * n : (place + 1) * n] = lent
        taken = {
            at: rows.iloc[:, at].array.take(moved.get(at, whole)) for at in range(rows.shape[1])
        }
        frame = pd.DataFrame(taken)
        frame.columns = rows.columns
        return frame
    flat = np.ascontiguousarray(rows).reshape(len(rows), -1)
    out = np.ascontiguousarray(flat[whole])
    for place, (lent, columns) in enumerate(changes):
        block = out[place * n : (place + 1) * n]
        block[:, list(columns)] = flat[lent][:, list(columns)]
    return out.reshape(len(whole), *rows.shape[1:])


def _shuffled(
    trial: _Trial, arguments: Mapping[str, Any], work: Work
) -> tuple[dict[str, Any], Sequence[Any]]:
    columns, n_groups = arguments["columns"], arguments["groups"]
    lent = shuffles(trial.n, arguments["repeats"], arguments["seed"])
    groups = _groups(trial, n_groups, arguments["seed"])
    scores = np.full((len(columns), len(lent)), np.nan)
    without = np.full((len(columns), n_groups), np.nan)
    failed: dict[str, str] = {}
    answered = [0] * len(columns)
    clock = _Clock(work, arguments)
    waiting: dict[int, list[Predictions | None]] = {}
    for (feature, repeat), answer in _each_copy(trial, columns, lent, failed, clock):
        held = waiting.setdefault(feature, [])
        held.append(answer)
        if answer is not None:
            scores[feature, repeat] = trial.score(answer)[0]
            answered[feature] += answer.n
        if len(held) == len(lent):
            del waiting[feature]
            if all(one is not None for one in held):
                without[feature] = _without_groups(trial, held, lent, groups, n_groups, work)
    header = {"seconds": clock.seconds, "failed": failed, "answered": answered}
    return header, [scores, without]


class _Clock:
    """How long predict calls took, and what is told of them."""

    def __init__(self, work: Work, arguments: Mapping[str, Any]) -> None:
        self.work = work
        self.seconds = 0.0
        self.copies = 0
        self._done = int(arguments.get("done", 0))
        self._total = int(arguments.get("total", 0))

    def tick(self, seconds: float, copies: int) -> None:
        self.seconds += seconds
        self.copies += copies
        self.work.check()
        if self._total:
            done = min(self._done + self.copies, self._total)
            self.work.progress(done, self._total, "Shuffling one feature after the other")


def _each_copy(
    trial: _Trial,
    columns: Sequence[Sequence[int]],
    lent: Ints,
    failed: dict[str, str],
    clock: _Clock,
) -> Any:
    """((feature, repeat), answers or None where the model failed), in order."""
    every = [(feature, repeat) for feature in range(len(columns)) for repeat in range(len(lent))]
    cells = max(1, int(np.prod(np.shape(trial.rows)[1:])))
    most = max(1, min(CALL_ROWS // trial.n, CALL_CELLS // (trial.n * cells)))
    size, start = min(most, len(lent)), 0
    keep = np.arange(trial.n)
    forest = _forest(trial)
    while start < len(every):
        these = every[start : start + size]
        changes = [(lent[r], columns[f]) for f, r in these]
        before = time.perf_counter()
        try:
            if forest is not None:
                told = trial.read(forest.answers(changes), len(these))
            else:
                told = trial.answers(_copies(trial.rows, changes, keep), len(these))
            answers = _split(told, trial, len(these))
        except ModelError as error:
            if len(these) > 1:
                size = 1  # find out which of them it is
                continue
            failed.setdefault(str(these[0][0]), str(error))
            answers = [None]
        took = time.perf_counter() - before
        yield from zip(these, answers, strict=True)
        clock.tick(took, len(these))
        start += len(these)
        size = max(1, min(most, round(CALL_SECONDS * len(these) / max(took, 1e-6))))


def _forest(trial: _Trial) -> Retraced | None:
    """The forest inside the model, where asking it alone says all and is quicker."""
    target = trial.target
    if target.task not in _ONE_ANSWER or (target.task is not Task.REGRESSION and not trial.alone):
        return None
    asked = Asked(target.task, target.labels, target.pos_label, target.name)
    return retraced(trial.model, trial.rows, asked)


_ONE_ANSWER = (Task.BINARY, Task.MULTICLASS, Task.REGRESSION)


def _split(predictions: Predictions, trial: _Trial, copies: int) -> list[Predictions | None]:
    """The answers of each copy; rows count from 0 in each."""
    ends = np.searchsorted(predictions.rows, np.arange(copies + 1) * trial.n)
    parts: list[Predictions | None] = []
    for copy in range(copies):
        part = _some(predictions, np.arange(ends[copy], ends[copy + 1]))
        parts.append(replace(part, rows=part.rows - copy * trial.n, n_given=trial.n))
    return parts


# Rows whose scores are computed again for each group, for the spread alone.
SPREAD_ROWS = 6_000


def _without_groups(
    trial: _Trial,
    held: Sequence[Predictions | None],
    lent: Ints,
    groups: Ints,
    n_groups: int,
    work: Work,
) -> Floats:
    """`(n_groups,)` scores without the pairs that a group has part in, over the repeats."""
    used = min(len(held), max(2, SPREAD_ROWS // trial.n))
    parts = [part for part in held[:used] if part is not None]
    pooled = _joined(parts)
    mine = np.concatenate([groups[part.rows] for part in parts])
    theirs = np.concatenate([groups[lent[r]][part.rows] for r, part in enumerate(parts)])
    out = np.empty(n_groups)
    for g in range(n_groups):
        work.check()
        out[g] = _score_of(trial, pooled, (mine != g) & (theirs != g))
    return out


def _joined(parts: Sequence[Predictions]) -> Predictions:
    first = parts[0]
    if len(parts) == 1:
        return first

    def joined(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        return None if any(one is None for one in values) else np.concatenate(values)

    return replace(
        first,
        target=replace(first.target, y=np.concatenate([part.target.y for part in parts])),
        y_pred=joined("y_pred"),
        y_score=joined("y_score"),
        sample_weight=joined("sample_weight"),
        rows=joined("rows"),
    )
