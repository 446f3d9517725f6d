"""What a model answers, as numbers that an explanation can add up: one column for each output.

Columns stay in the model's own order and direction; `arranging` turns them to the target's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import (
    Label,
    Model,
    OutputSpace,
    RawPredictions,
    ScoreKind,
    Task,
    canonical_label,
)
from ..contracts.score_columns import Expected, number_array, read_columns
from ..errors import ModelError
from ..frames import FrameError, tag_values, untag_values

__all__ = [
    "CLIP",
    "INFINITE",
    "Asked",
    "Voice",
    "booster_voice",
    "estimator_voice",
    "family_of",
    "model_voice",
]

FloatArray = npt.NDArray[np.floating[Any]]

# Probabilities of exactly 0 and 1 have no log-odds; they count as this and its complement.
CLIP = 1e-6
INFINITE = (
    f"whose log-odds are infinite; they count as ±{math.log(1 / CLIP - 1):.1f}, the log-odds of "
    f"{f'{1 - CLIP:g}'[1:]}."
)
# How far the sigmoid of a decision value may be from the probability it is the log-odds of.
SAME = 1e-6


@dataclass(frozen=True)
class Asked:
    """What the models are asked for: the fields of a `Target` that outputs depend on."""

    task: Task
    labels: tuple[Label, ...]
    pos_label: int | None
    name: str

    def to_json(self) -> dict[str, Any]:
        return {
            "task": self.task.value,
            "labels": tag_values(self.labels),
            "pos_label": self.pos_label,
            "name": self.name,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Asked:
        labels = [canonical_label(value) for value in untag_values(told["labels"])]
        if any(label is None for label in labels):
            raise FrameError("A label of the target is missing.")
        known = tuple(label for label in labels if label is not None)
        return cls(Task(told["task"]), known, told["pos_label"], str(told["name"]))


@dataclass(frozen=True, eq=False)
class Voice:
    """How one model answers.

    Attributes
    ----------
    names : the classes of the columns in the model's own order, for two classes the second one;
        of a regression, as many empty texts as it has outputs.
    spaces : what it can answer in, its natural unit first.
    speak : rows as it takes them, and space → `(n, n_outputs)` float64.
    notes : how its answers are read.
    """

    names: tuple[Label, ...]
    spaces: tuple[OutputSpace, ...]
    speak: Callable[[Any, OutputSpace], FloatArray]
    notes: tuple[str, ...] = ()

    @property
    def k(self) -> int:
        return len(self.names)


# ---- from one unit to another ----------------------------------------------------------------


def log_odds(shares: FloatArray) -> FloatArray:
    """Of probabilities, each against all the rest; 0 and 1 are clipped."""
    inside = np.clip(shares, CLIP, 1 - CLIP)
    odds: FloatArray = np.log(inside) - np.log1p(-inside)
    return odds


def shares_of(margins: FloatArray) -> FloatArray:
    """Probabilities of log-odds: the sigmoid of one column, the softmax of several."""
    if margins.shape[1] == 1:
        with np.errstate(over="ignore"):
            sigmoid: FloatArray = 1.0 / (1.0 + np.exp(-margins))
        return sigmoid
    powers = np.exp(margins - margins.max(axis=1, keepdims=True))
    softmax: FloatArray = powers / powers.sum(axis=1, keepdims=True)
    return softmax


def _columns(values: Any) -> FloatArray:
    """`(n, k)` float64 of `(n,)`, `(n, k)` or sparse answers."""
    array = np.asarray(number_array(values, "The answer"), dtype=np.float64)
    return array.reshape(len(array), -1)


# ---- estimators ------------------------------------------------------------------------------


def family_of(estimator: Any) -> str:
    """ "xgboost", "lightgbm", "catboost", or "sklearn" for everything with its API."""
    for kind in type(estimator).__mro__:
        library = kind.__module__.split(".")[0]
        if library in ("xgboost", "lightgbm", "catboost"):
            return library
    return "sklearn"


_MARGIN: dict[str, dict[str, Any]] = {
    "xgboost": {"output_margin": True},
    "lightgbm": {"raw_score": True},
    "catboost": {"prediction_type": "RawFormulaVal"},
}


def _margins(estimator: Any, last: Any, given: Any) -> FloatArray:
    """Answers before the link function; `last` is the last step of a pipeline."""
    options = _MARGIN.get(family_of(last))
    if options is not None:
        return _columns(estimator.predict(given, **options))
    # half of the log-odds, where boosting has the loss of AdaBoost
    is_half = type(last).__name__ == "GradientBoostingClassifier" and last.loss == "exponential"
    return _columns(estimator.decision_function(given)) * (2.0 if is_half else 1.0)


def _shares(estimator: Any, given: Any) -> FloatArray:
    """`predict_proba`: of two classes the second, of several labels their presence."""
    found = estimator.predict_proba(given)
    if isinstance(found, list):
        return np.column_stack([_columns(one)[:, -1] for one in found])
    table = _columns(found)
    return table[:, 1:] if table.shape[1] == 2 and _n_classes(estimator) == 2 else table


def _n_classes(estimator: Any) -> int:
    classes = getattr(estimator, "classes_", None)
    if classes is None or isinstance(classes, list) or np.ndim(classes) != 1:
        return 0
    return len(classes)


def _can(estimator: Any, method: str) -> bool:
    return callable(getattr(estimator, method, None))


def estimator_voice(estimator: Any, last: Any, given: Any, asked: Asked, hint: str | None) -> Voice:
    """How a fitted estimator answers the rows `given`, which are a few to try it on.

    `last` is the last step of a pipeline, or the estimator itself; `hint` says "regressor" or
    "classifier".
    """
    classifies = hint == "classifier" or (hint is None and asked.task.is_classification)
    if not classifies:
        k = _columns(estimator.predict(given)).shape[1]

        def value(rows: Any, space: OutputSpace) -> FloatArray:
            return _columns(estimator.predict(rows))

        return Voice(("",) * k, (OutputSpace.TARGET,), value)
    if _can(estimator, "predict_proba"):
        return _of_shares(estimator, last, given, asked)
    if _can(estimator, "decision_function"):
        found = _columns(estimator.decision_function(given))
        names = _class_names(estimator, found.shape[1], asked)
        by_pair = getattr(last, "decision_function_shape", None) == "ovo" and len(names) != 1
        if names and not by_pair:

            def decide(rows: Any, space: OutputSpace) -> FloatArray:
                return _columns(estimator.decision_function(rows))

            return Voice(names, (OutputSpace.DECISION,), decide)
    return _of_labels(estimator.predict, estimator, asked)


def _class_names(estimator: Any, k: int, asked: Asked) -> tuple[Label, ...]:
    """A class for each of the k columns; () where they do not fit."""
    if asked.task is Task.MULTILABEL and k == len(asked.labels):
        return asked.labels
    classes = getattr(estimator, "classes_", None)
    if classes is None or isinstance(classes, list) or np.ndim(classes) != 1:
        return tuple(range(k)) if k != len(asked.labels) else asked.labels
    labels = [canonical_label(value) for value in np.asarray(classes).tolist()]
    known = tuple(label for label in labels if label is not None)
    if k == 1 and len(known) == 2:
        return known[1:]
    return known if len(known) == k else ()


def _of_shares(estimator: Any, last: Any, given: Any, asked: Asked) -> Voice:
    """Probabilities, and the log-odds that they are made of where there are such."""
    shares = _shares(estimator, given)
    names = _class_names(estimator, shares.shape[1], asked)
    if not names:
        names = tuple(range(shares.shape[1]))
    has_margins = asked.task is not Task.MULTILABEL and _is_link(estimator, last, given, shares)

    def speak(rows: Any, space: OutputSpace) -> FloatArray:
        if space is OutputSpace.LOG_ODDS:
            if has_margins:
                return _margins(estimator, last, rows)
            return log_odds(_shares(estimator, rows))
        return _shares(estimator, rows)

    spaces = (OutputSpace.LOG_ODDS, OutputSpace.PROBABILITY)
    return Voice(names, spaces if has_margins else spaces[::-1], speak)


def _is_link(estimator: Any, last: Any, given: Any, shares: FloatArray) -> bool:
    """Whether the probabilities are the sigmoid or softmax of sums inside the model."""
    if family_of(last) == "sklearn" and not _can(estimator, "decision_function"):
        return False
    try:
        margins = _margins(estimator, last, given)
    except (AttributeError, TypeError, ValueError):
        return False
    if margins.shape != shares.shape:
        return False
    slack = SAME if family_of(last) == "sklearn" else 10 * SAME
    return bool(np.allclose(shares_of(margins), shares, rtol=0, atol=slack))


def _of_labels(predict: Callable[[Any], Any], estimator: Any, asked: Asked) -> Voice:
    """1 where a class is answered, else 0."""
    classes = getattr(estimator, "classes_", None)
    if classes is None or isinstance(classes, list) or np.ndim(classes) != 1:
        known = asked.labels
    else:
        labels = [canonical_label(value) for value in np.asarray(classes).tolist()]
        known = tuple(label for label in labels if label is not None)
    names = known[1:] if len(known) == 2 else known

    def speak(rows: Any, space: OutputSpace) -> FloatArray:
        return _indicators(predict(rows), names)

    note = (
        "The model answers classes without scores: what is explained is 1 where it answers the "
        "class and 0 elsewhere."
    )
    return Voice(names, (OutputSpace.PROBABILITY,), speak, (note,))


def _indicators(labels: Any, names: Sequence[Label]) -> FloatArray:
    """`(n, k)`: whether each row is answered with each class."""
    flat = np.asarray(labels, dtype=object)
    if flat.ndim == 2 and flat.shape[1] == len(names) > 1:
        return flat.astype(np.float64)
    codes, distinct = pd.factorize(flat.reshape(-1))
    written = [str(canonical_label(value)) for value in distinct]
    table = np.array([[text == str(name) for name in names] for text in written], dtype=np.float64)
    answers: FloatArray = table[codes]
    return answers


# ---- native boosters -------------------------------------------------------------------------


def booster_voice(model: Any, given: Any, asked: Asked) -> Voice:
    """How a `BoosterModel` answers prepared rows."""
    labels, scores, kind = model.answers(given)
    if scores is None and model.info.task_hint == "classifier":
        return _of_labels(lambda rows: model.answers(rows)[0], None, asked)
    if scores is None:
        k = _columns(labels).shape[1]
        return Voice(
            ("",) * k, (OutputSpace.TARGET,), lambda rows, space: _columns(model.answers(rows)[0])
        )
    shares = _columns(scores)
    if kind is ScoreKind.LOGIT:

        def logits(rows: Any, space: OutputSpace) -> FloatArray:
            found = _columns(model.answers(rows)[1])
            return found if space is OutputSpace.LOG_ODDS else shares_of(found)

        names = asked.labels[1:] if shares.shape[1] == 1 else asked.labels
        return Voice(names, (OutputSpace.LOG_ODDS, OutputSpace.PROBABILITY), logits)
    return _booster_shares(model, given, shares, asked)


def _booster_shares(model: Any, given: Any, shares: FloatArray, asked: Asked) -> Voice:
    k = shares.shape[1]
    names: tuple[Label, ...] = tuple(range(k)) if k > 1 else (1,)
    if asked.task is Task.MULTILABEL and len(asked.labels) == k:
        names = asked.labels
    margins = _columns(model.margins(given))
    slack = 10 * SAME
    linked = margins.shape == shares.shape and np.allclose(
        shares_of(margins), shares, rtol=0, atol=slack
    )

    def speak(rows: Any, space: OutputSpace) -> FloatArray:
        if space is OutputSpace.LOG_ODDS and linked:
            return _columns(model.margins(rows))
        found = _columns(model.answers(rows)[1])
        return log_odds(found) if space is OutputSpace.LOG_ODDS else found

    spaces = (OutputSpace.LOG_ODDS, OutputSpace.PROBABILITY)
    return Voice(names, spaces if linked else spaces[::-1], speak)


# ---- anything that predicts ------------------------------------------------------------------


def model_voice(model: Model, rows: Any, asked: Asked, *, every_column: bool = False) -> Voice:
    """How any model answers raw rows, by what its `predict` gives for a few of them.

    `every_column` keeps both columns of two classes, as a network has them.
    """
    raw = model.predict(rows)
    if raw.scores is None:
        return _unscored(model, raw, asked)
    table, names, kind = _read_scores(raw, len(rows), asked)
    two = table.shape[1] == 2 and asked.task is Task.BINARY and not every_column
    if two:
        names = names[1:]

    def scores(given: Any) -> FloatArray:
        found, _, _ = _read_scores(model.predict(given), len(given), asked)
        if not two:
            return found
        return found[:, 1:] if kind not in _OPEN else found[:, 1:] - found[:, :1]

    return replace(_by_kind(kind, scores, names), notes=tuple(raw.notes))


_OPEN = (ScoreKind.LOGIT, ScoreKind.DECISION)


def _by_kind(
    kind: ScoreKind | None, scores: Callable[[Any], FloatArray], names: tuple[Label, ...]
) -> Voice:
    if kind is None:
        return Voice(names, (OutputSpace.TARGET,), lambda rows, space: scores(rows))
    if kind is ScoreKind.DECISION:
        return Voice(names, (OutputSpace.DECISION,), lambda rows, space: scores(rows))
    spaces = (OutputSpace.PROBABILITY, OutputSpace.LOG_ODDS)
    if kind is ScoreKind.LOGIT:

        def logits(rows: Any, space: OutputSpace) -> FloatArray:
            found = scores(rows)
            return found if space is OutputSpace.LOG_ODDS else shares_of(found)

        return Voice(names, spaces[::-1], logits)

    def shares(rows: Any, space: OutputSpace) -> FloatArray:
        found = scores(rows)
        return log_odds(found) if space is OutputSpace.LOG_ODDS else found

    return Voice(names, spaces, shares)


def _unscored(model: Model, raw: RawPredictions, asked: Asked) -> Voice:
    if asked.task.is_classification and model.info.task_hint != "regressor":
        voice = _of_labels(lambda rows: model.predict(rows).labels, None, asked)
        return replace(voice, notes=(*raw.notes, *voice.notes))
    k = _columns(raw.labels).shape[1]
    return Voice(
        ("",) * k,
        (OutputSpace.TARGET,),
        lambda rows, space: _columns(model.predict(rows).labels),
        tuple(raw.notes),
    )


def _read_scores(
    raw: RawPredictions, n: int, asked: Asked
) -> tuple[FloatArray, tuple[Label, ...], ScoreKind | None]:
    """`(n, k)` scores, the class of each column, and what they are; None for a regression."""
    classes = raw.classes
    if classes is not None and any(np.ndim(known) for known in classes):
        classes = None
    expected = Expected(asked.task, asked.labels, asked.pos_label, n)
    columns = read_columns(raw.scores, classes, raw.score_kind, expected)
    table = np.asarray(columns.values, dtype=np.float64)
    k = table.shape[1]
    if not asked.task.is_classification:
        return table, ("",) * k, None
    names = columns.classes
    if names is None or len(names) != k:
        names = asked.labels if len(asked.labels) == k else tuple(range(k))
        if k == 1 and len(asked.labels) == 2:
            names = asked.labels[1:] if not _texts(asked) else (asked.labels[_positive(asked)],)
    return table, tuple(names), columns.kind or _kind(table)


def _texts(asked: Asked) -> bool:
    return any(isinstance(label, str) for label in asked.labels)


def _positive(asked: Asked) -> int:
    return 1 if asked.pos_label is None else asked.pos_label


def _kind(table: FloatArray) -> ScoreKind:
    """What scores are that do not say so, as predictions are read."""
    finite = table[np.isfinite(table)]
    if not finite.size:
        raise ModelError("The model answers no number for any of the rows that were tried.")
    if finite.min() >= -CLIP and finite.max() <= 1 + CLIP:
        return ScoreKind.PROBABILITY
    return ScoreKind.LOGIT if finite.min() < 0 else ScoreKind.DECISION
