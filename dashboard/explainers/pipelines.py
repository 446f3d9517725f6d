"""A model taken apart as far as it can be: pipelines, searches, boosters, networks, black boxes."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from ..contracts import Model, OutputSpace, Task, Work
from ..errors import DiagnosticsError, ModelError, NotApplicable
from ..frames import tag_values
from ..models import BoosterModel, EstimatorModel, KerasModel
from ..models.columns import first_line
from ..models.refused_rows import answer_in_parts, filled, taken
from .answers import Asked, booster_voice, estimator_voice, model_voice
from .networks import sees_pictures
from .sources import as_dense, follow
from .subjects import FloatArray, IntArray, Subject

__all__ = [
    "answered_rows",
    "cell_names",
    "is_sequence",
    "known_subject",
    "prepare_answered",
    "prepare_background",
    "prepared",
    "prepared_names",
    "raw_rows",
    "rows_at",
    "subject_of",
]

# Rows on which a model is tried while it is taken apart.
TRIED, FEWEST = 100, 5
TRYING = 2.0  # seconds
MOST_PREPARED = 2_000
# How far the last step may be from the whole model, relative to the largest answer.
_CLOSE = 2e-5
# Where a search, a threshold or a frozen model keeps the one fitted estimator.
_INSIDE = ("best_estimator_", "estimator_", "estimator")
_WRAPPERS = frozenset(
    (
        "GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV",
        "FixedThresholdClassifier", "TunedThresholdClassifierCV", "FrozenEstimator",
    )
)  # fmt: skip


def subject_of(model: Model, sample: Any, asked: Asked | None = None) -> Subject:
    """What engines are given of a model.

    Parameters
    ----------
    sample : some of the rows as the model is given them, tried on the way; 20 to 100 are enough.
    asked : what is predicted; None where only the model can say.

    Raises
    ------
    ModelError : the model fails on these rows.
    """
    asked = asked or _unasked(model)
    try:
        return _tried(model, sample, asked)
    except Exception:  # a stranger's estimator raises what it likes
        refused = model.refused(sample) if isinstance(model, EstimatorModel) else ()
        if not len(refused):
            raise
    return _tried(model, taken(sample, np.delete(np.arange(len(sample)), refused)), asked)


def _tried(model: Model, sample: Any, asked: Asked) -> Subject:
    sample = sample[: _affordable(model, sample)]
    if isinstance(model, EstimatorModel):
        return _of_estimator(model, sample, asked)
    if isinstance(model, BoosterModel):
        return _of_booster(model, sample, asked)
    return _of_any(model, sample, asked)


def _affordable(model: Model, sample: Any) -> int:
    """How many rows it may be tried on: fewer where one takes long."""
    for _ in range(2):  # the first call of a network takes long whatever it is asked
        begin = time.monotonic()
        model.predict(sample[:2])
        each = (time.monotonic() - begin) / 2
        if each * TRIED <= TRYING:
            return TRIED
    return max(FEWEST, int(TRYING / each))


def _unasked(model: Model) -> Asked:
    """A guess of the task from the model alone."""
    classes = model.info.classes or ()
    if model.info.task_hint != "classifier":
        return Asked(Task.REGRESSION, (), None, "the answer")
    task = Task.BINARY if len(classes) == 2 else Task.MULTICLASS
    return Asked(task, classes, 1 if task is Task.BINARY else None, "the class")


# ---- the rows as people have them ------------------------------------------------------------


@dataclass(frozen=True)
class _Columns:
    """The columns that a model reads, under the names of the person.

    Attributes
    ----------
    names : the features; None where rows are arrays, whose cells are.
    cell_shape : shape of one row, for pictures and sequences.
    """

    names: tuple[str, ...]
    is_frame: bool
    cell_shape: tuple[int, ...] | None = None

    def take(self, rows: Any) -> Any:
        """The rows with these columns only, in this order."""
        return rows[list(self.names)] if self.is_frame else rows


def _columns(model: Model, sample: Any) -> _Columns:
    if not isinstance(sample, pd.DataFrame):
        shape = tuple(np.shape(sample)[1:])
        wanted = model.info.feature_names
        if len(shape) > 1:
            return _Columns(cell_names(shape, steps=is_sequence(model, shape)), False, shape)
        m = shape[0] if shape else 1
        named = wanted is not None and len(wanted) == m
        return _Columns(tuple(wanted) if named and wanted else _numbered(m), False)
    available = [str(name) for name in sample.columns]
    wanted = model.info.feature_names
    if wanted is None:
        return _Columns(tuple(available), True)
    own = [_own_name(name, available) for name in wanted]
    found = tuple(dict.fromkeys(name for name in own if name is not None))
    return _Columns(found if len(found) == len(wanted) else tuple(available), True)


def _numbered(m: int) -> tuple[str, ...]:
    return tuple(f"x{at}" for at in range(m))


def _own_name(name: str, available: list[str]) -> str | None:
    """The person's column behind a name that a library wrote without spaces or signs."""
    if name in available:
        return name
    for pattern in (r"\s", r"[^0-9a-zA-Z]"):
        spelled = [re.sub(pattern, "_", one) for one in available]
        if spelled.count(re.sub(pattern, "_", name)) == 1:
            return available[spelled.index(re.sub(pattern, "_", name))]
    return None


def cell_names(shape: tuple[int, ...], *, steps: bool = False) -> tuple[str, ...]:
    """Names of the cells of one row, counted from 1: "pixel 3, 4", "pixel 3, 4, channel 1".

    With `steps` rows are sequences: "step 5", or "step 5, channel 2" where steps hold several
    numbers.
    """
    wide = shape[:-1] if shape[-1] == 1 and len(shape) > 1 else shape
    names = []
    for place in np.ndindex(*wide):
        at = [str(number + 1) for number in place]
        if steps:
            names.append(", channel ".join([f"step {at[0]}", *at[1:]]))
        elif len(at) < 4:
            names.append(", channel ".join([f"pixel {', '.join(at[:2])}", *at[2:]]))
        else:
            names.append(f"cell {', '.join(at)}")
    return tuple(names)


def is_sequence(model: Model, shape: tuple[int, ...]) -> bool:
    """Whether a network takes rows of this shape as steps in time."""
    wanted = model.info.input_shape
    if isinstance(model, KerasModel) and sees_pictures(model.network):
        return False
    return len(shape) == 2 and ((wanted is not None and len(wanted) == 2) or shape[1] == 1)


def raw_rows(subject: Subject, rows: Any) -> Any:
    """Rows with the columns of a subject's features only, as its functions take them."""
    if isinstance(rows, pd.DataFrame) and subject.cell_shape is None:
        names = list(subject.features)
        return rows if list(rows.columns) == names else rows[names]
    return rows


# ---- estimators ------------------------------------------------------------------------------


def _of_estimator(model: EstimatorModel, sample: Any, asked: Asked) -> Subject:
    columns = _columns(model, sample)
    given = model.prepare(columns.take(sample))
    if np.ndim(given) == 1:
        columns = _text_column(sample)
    whole, hint = _unwrapped(model.estimator), model.info.task_hint
    steps = _steps(whole) or [whole]
    voice = estimator_voice(whole, steps[-1], given, asked, hint)

    def answer(rows: Any, space: OutputSpace) -> FloatArray:
        return _guarded(lambda given: voice.speak(given, space), model.prepare(rows))

    def prepare(rows: Any) -> Any:
        changed = model.prepare(rows)
        for step in steps[:-1]:
            if not _passes(step):
                changed = step.transform(changed)
        return as_dense(changed)

    sources = _sources(steps[:-1], given, len(columns.names))
    inner = voice
    if len(steps) > 1:
        inner = estimator_voice(steps[-1], steps[-1], prepare(columns.take(sample)), asked, hint)
    subject = Subject(
        estimator=steps[-1],
        prepare=prepare,
        answer=answer,
        answer_prepared=inner.speak,
        features=columns.names,
        sources=sources,
        output_names=voice.names,
        spaces=voice.spaces,
        cell_shape=columns.cell_shape,
        notes=(*voice.notes, *_mixing_note(sources, steps)),
    )
    return _compared(subject, columns.take(sample))


def _passes(step: Any) -> bool:
    return step is None or (isinstance(step, str) and step == "passthrough")


def _unwrapped(estimator: Any) -> Any:
    """Through searches and thresholds to the estimator that gives the scores."""
    if type(estimator).__name__ in _WRAPPERS:
        for name in _INSIDE:
            inner = getattr(estimator, name, None)
            if inner is not None:
                return _unwrapped(inner)
    return estimator


def _steps(estimator: Any) -> list[Any] | None:
    """The steps of a pipeline, those of a pipeline at its end one by one; else None."""
    if type(estimator).__name__ == "TransformedTargetRegressor":
        return _steps_below(estimator)
    steps = getattr(estimator, "steps", None)
    if not isinstance(steps, list) or not steps:
        return None
    last = _unwrapped(steps[-1][1])
    return [*(step for _, step in steps[:-1]), *(_steps(last) or [last])]


def _steps_below(estimator: Any) -> list[Any] | None:
    """The same for the pipeline inside, whose last step keeps the change of the target."""
    below = _steps(getattr(estimator, "regressor_", None))
    if below is None:
        return None
    changed = copy(estimator)
    changed.regressor_ = below[-1]
    return [*below[:-1], changed]


def _sources(steps: list[Any], given: Any, n_features: int) -> IntArray | None:
    """For each column that reaches the last step, the feature it is made of; None if several."""
    m = math.prod(np.shape(given)[1:]) if np.ndim(given) > 1 else 1
    if m != n_features:
        return None
    found: IntArray | None = np.arange(m)
    for step in steps:
        if found is None:
            return None
        given, found = follow(step, given, found)
    return found


def _mixing_note(sources: IntArray | None, steps: list[Any]) -> tuple[str, ...]:
    if sources is not None or len(steps) == 1:
        return ()
    names = [type(step).__name__ for step in steps[:-1] if not _passes(step)]
    return (
        f"Inside the model ({' → '.join(names)}) columns are made of several features at once, so "
        "only the model as a whole can be explained on the features.",
    )


def _text_column(sample: Any) -> _Columns:
    if not isinstance(sample, pd.DataFrame):
        return _Columns(("text",), False)
    kinds = {str(name): pd.api.types.infer_dtype(sample[name]) for name in sample.columns}
    texts = [name for name, kind in kinds.items() if kind in ("string", "categorical", "mixed")]
    return _Columns(((texts or list(kinds))[0],), True)


def _guarded(speak: Callable[[Any], FloatArray], given: Any) -> FloatArray:
    """Answers, NaN for a few rows that the model fails on; its failure on more as a sentence."""
    try:
        return speak(given)
    except (DiagnosticsError, MemoryError):
        raise
    except Exception as error:  # a stranger's estimator raises what it likes
        parts = answer_in_parts(lambda at: speak(taken(given, at)), len(given), given)
        if parts is not None:
            return filled(parts)
        raise ModelError(
            f"The model failed on rows whose values were exchanged for an explanation "
            f"({type(error).__name__}: {first_line(error)[:200]}). It has to answer every "
            "combination of values that its columns hold."
        ) from error


def _compared(subject: Subject, sample: Any) -> Subject:
    """The same, without its inside where that does not answer like the whole model."""
    space = subject.spaces[0]
    whole = subject.answer(sample, space)
    try:
        inside = subject.answer_prepared(subject.prepare(sample), space)
    except (DiagnosticsError, ValueError, TypeError, AttributeError, IndexError):
        inside = np.full_like(whole, np.nan)
    if inside.shape == whole.shape:
        size = float(np.max(np.abs(whole[np.isfinite(whole)]), initial=0.0))
        if np.allclose(inside, whole, rtol=0, atol=_CLOSE * max(size, 1e-30), equal_nan=True):
            return subject
    note = "The last step alone does not answer like the whole model, so it is not looked into."
    return replace(
        subject, estimator=None, prepare=_same, answer_prepared=subject.answer, sources=None,
        notes=(*subject.notes, note),
    )  # fmt: skip


def _same(rows: Any) -> Any:
    return rows


# ---- boosters, networks and everything else --------------------------------------------------


def _of_booster(model: BoosterModel, sample: Any, asked: Asked) -> Subject:
    columns = _columns(model, sample)
    given = model.prepare(columns.take(sample))
    voice = booster_voice(model, given, asked)
    return Subject(
        estimator=model.booster,
        prepare=model.prepare,
        answer=lambda rows, space: _guarded(
            lambda given: voice.speak(given, space), model.prepare(rows)
        ),
        answer_prepared=voice.speak,
        features=columns.names,
        sources=_sources([], given, len(columns.names)),
        output_names=voice.names,
        spaces=voice.spaces,
        cell_shape=columns.cell_shape,
        notes=voice.notes,
    )


def _of_any(model: Model, sample: Any, asked: Asked) -> Subject:
    """Networks take the person's rows themselves; of the others nothing is known inside."""
    columns = _columns(model, sample)
    network = model.network if isinstance(model, KerasModel) else None
    voice = model_voice(model, columns.take(sample), asked, every_column=network is not None)

    def answer(rows: Any, space: OutputSpace) -> FloatArray:
        return _guarded(lambda given: voice.speak(given, space), rows)

    return Subject(
        estimator=network,
        prepare=_same,
        answer=answer,
        answer_prepared=answer,
        features=columns.names,
        sources=np.arange(len(columns.names)),
        output_names=voice.names,
        spaces=voice.spaces,
        cell_shape=columns.cell_shape,
        notes=voice.notes,
    )


# ---- what a model saw ------------------------------------------------------------------------

_SUBJECTS: WeakKeyDictionary[Model, dict[str, Subject]] = WeakKeyDictionary()


def known_subject(model: Model, sample: Any, asked: Asked) -> Subject:
    """As `subject_of`, remembered for as long as the model is."""
    made = _SUBJECTS.setdefault(model, {})
    names = list(sample.columns) if isinstance(sample, pd.DataFrame) else list(sample.shape[1:])
    key = repr((asked, names))
    if key not in made:
        made[key] = subject_of(model, sample, asked)
    return made[key]


def prepared(
    model: Model, tables: Mapping[str, Any], arguments: Mapping[str, Any], work: Work
) -> tuple[dict[str, Any], list[Any]]:
    """What the last step of the model was given for some rows, and which feature each is of.

    `arguments`: "rows" (positions in table "X"), "asked". Answers with `columns` (names),
    `sources` (positions in `features`, -1 unknown), `cells` (rows of tagged values).
    """
    rows = rows_at(tables["X"], arguments["rows"])
    subject = known_subject(model, tables["X"][:TRIED], Asked.from_json(arguments["asked"]))
    made = subject.prepare(raw_rows(subject, rows))
    names = prepared_names(model, made, subject)
    cells = np.asarray(made, dtype=object).reshape(len(rows), -1)
    if cells.shape[1] > MOST_PREPARED:
        raise NotApplicable(
            f"The model makes {cells.shape[1]:,} columns of these features; at most "
            f"{MOST_PREPARED:,} are listed."
        )
    sources = [-1] * cells.shape[1] if subject.sources is None else subject.sources.tolist()
    return {
        "features": list(subject.features),
        "columns": names[: cells.shape[1]],
        "sources": sources,
        "cells": [tag_values(row) for row in cells],
        "notes": list(subject.notes),
    }, []


def prepared_names(model: Model, made: Any, subject: Subject) -> list[str]:
    """Names of the columns that reach the last step, `made` being some prepared rows."""
    if isinstance(made, pd.DataFrame):
        return [str(name) for name in made.columns]
    m = math.prod(np.shape(made)[1:])
    if isinstance(model, EstimatorModel):
        steps = getattr(_unwrapped(model.estimator), "steps", None)
        if isinstance(steps, list) and len(steps) > 1:
            try:
                found = _unwrapped(model.estimator)[:-1].get_feature_names_out()
            except (AttributeError, ValueError, TypeError):
                found = []
            if len(found) == m:
                return [str(name) for name in found]
    return list(subject.features) if len(subject.features) == m else [f"x{at}" for at in range(m)]


def answered_rows(subject: Subject, rows: Any, space: OutputSpace) -> IntArray:
    """Positions of the rows for which the model gives numbers."""
    found: IntArray = np.flatnonzero(np.isfinite(subject.answer(rows, space)).all(axis=1))
    return found


def prepare_answered(subject: Subject, rows: Any) -> tuple[Any, IntArray]:
    """Prepared rows, and their positions: without those that cannot be, as they have no answer."""
    try:
        return subject.prepare(rows), np.arange(len(rows))
    except Exception:  # an encoder's, for a category that it does not know
        answered = answered_rows(subject, rows, subject.spaces[0])
        if len(answered) in (0, len(rows)):
            raise
        return subject.prepare(rows_at(rows, answered)), answered


def prepare_background(
    subject: Subject, rows: Any, space: OutputSpace | None
) -> tuple[Any, IntArray]:
    """Prepared background rows, and the positions of those that can stand in for others.

    `space` : in which the model has to answer them itself; trees would walk on with what a model
    refuses. None where it need not.
    """
    if space is None:
        return prepare_answered(subject, rows)
    answered = answered_rows(subject, rows, space)
    if len(answered) in (0, len(rows)):
        return subject.prepare(rows), np.arange(len(rows))
    return subject.prepare(rows_at(rows, answered)), answered


def rows_at(table: Any, positions: Any) -> Any:
    """The rows of a table or array at these positions."""
    return taken(table, np.asarray(positions, dtype=np.int64))
