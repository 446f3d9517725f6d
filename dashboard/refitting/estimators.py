"""Fresh copies of estimators with scikit-learn's interface, pipelines and boosters among them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..contracts import Model, RawPredictions, canonical_label
from ..contracts import Task as Kind
from ..contracts.vocabulary import match_labels
from ..errors import NotApplicable, ParameterError
from ..models import EstimatorModel
from .tasks import Task

__all__ = ["Estimator", "without_trees"]

# Estimators that keep what they were given already fitted: a new fit would not be one.
_FROZEN = ("FrozenEstimator", "PrefitEstimator")
INSTEAD = (
    "Its logs by epoch, the curves that it carries, and a table of sizes and scores can be shown."
)


class Estimator:
    """What fits copies of one fitted estimator."""

    def __init__(self, model: EstimatorModel) -> None:
        self._model = model
        self._estimator = model.estimator
        self._check()

    def _check(self) -> None:
        estimator, kind = self._estimator, type(self._estimator).__name__
        if not hasattr(estimator, "get_params") or not callable(getattr(estimator, "fit", None)):
            raise NotApplicable(
                f"A {kind} cannot be copied and fitted again: it has no get_params and fit. "
                + INSTEAD
            )
        for name, part in parts(estimator):
            if type(part).__name__ in _FROZEN:
                raise NotApplicable(
                    f"{name or kind} holds an estimator that stays as it was fitted, so a new fit "
                    f"would still know all rows. {INSTEAD}"
                )
            if isinstance(part, str) and part == "prefit" and name.rpartition("__")[2] == "cv":
                raise NotApplicable(
                    f"{name} is 'prefit': a new fit would still know all rows. {INSTEAD}"
                )

    def described(self, name: str) -> dict[str, Any]:
        """What `fits.Refit` holds, as JSON."""
        from .preparing import shared_steps

        fresh, notes = copy_of(self._estimator, {}, 0)
        plain = (bool, int, float, str, type(None))
        parameters = {
            key: value
            for key, value in self._estimator.get_params(deep=True).items()
            if isinstance(value, plain) and not (isinstance(value, float) and value != value)
        }
        return {
            "kind": "estimator",
            "sentence": " ".join(
                (f"Each fit is a fresh copy of {name} with the same settings.", *notes)
            ),
            "shared": [step for step, _ in shared_steps(fresh)],
            "parameters": parameters,
        }

    def fit(self, task: Task, arguments: Mapping[str, Any]) -> FittedEstimator:
        """A copy fitted on the rows to learn from."""
        seed, params = int(arguments.get("seed") or 0), dict(arguments.get("params") or {})
        fresh, notes = copy_of(self._estimator, params, seed)
        notes += capped(fresh, arguments.get("threads"))
        return FittedEstimator(self._model, fresh, task, tuple(notes))


def without_trees(model: Model) -> Model:
    """The same without its fitted trees, which are large and tell a new fit nothing.

    It cannot answer; whatever else it was fitted to (classes, columns) is there.
    """
    if not isinstance(model, EstimatorModel):
        return model
    light = copy.copy(model)
    light._estimator = _lightened(model.estimator)
    return light


def _lightened(estimator: Any) -> Any:
    from sklearn.pipeline import Pipeline

    if type(estimator) is Pipeline:
        light = copy.copy(estimator)
        name, last = estimator.steps[-1]
        light.steps = [*estimator.steps[:-1], (name, _lightened(last))]
        return light
    if not type(estimator).__module__.startswith("sklearn.ensemble"):
        return estimator
    light = copy.copy(estimator)
    for held in ("estimators_", "_predictors"):
        vars(light).pop(held, None)
    return light


class FittedEstimator:
    """A fresh copy, fitted when it is made."""

    def __init__(
        self, model: EstimatorModel, fresh: Any, task: Task, notes: tuple[str, ...]
    ) -> None:
        from .preparing import prepared

        self.notes = notes
        y = truth_for(model, task)
        self._rows = prepared(fresh, model.prepare(task.X), task, y)
        self.shared = self._rows.shared
        self._rows.fit(y, weights_for(self._rows.last, task))
        self._model = EstimatorModel(self._rows.last, name=task.name)
        self._is_forest = is_forest(self._rows.last)

    def on_train(self) -> RawPredictions:
        return self._answers(self._rows.train())

    def on_validation(self) -> RawPredictions:
        return self._answers(self._rows.validation())

    def _answers(self, rows: Any) -> RawPredictions:
        """Labels and scores; a forest would work twice for both, and its labels are its scores'."""
        if not self._is_forest:
            return self._model.answer_prepared(rows)
        raw = self._model.answer_prepared(rows, with_labels=False)
        classes = self._model.estimator.classes_
        return replace(raw, labels=classes.take(np.argmax(np.asarray(raw.scores), axis=1), axis=0))


def is_forest(estimator: Any) -> bool:
    """Whether it is a forest of scikit-learn for one column of classes, which answers argmax."""
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

    kinds = (RandomForestClassifier, ExtraTreesClassifier)
    return type(estimator) in kinds and getattr(estimator, "n_outputs_", 0) == 1


def parts(estimator: Any) -> Iterator[tuple[str, Any]]:
    """The estimator and every setting of it and of its parts, by name."""
    yield "", estimator
    yield from estimator.get_params(deep=True).items()


def copy_of(estimator: Any, params: Mapping[str, Any], seed: int) -> tuple[Any, list[str]]:
    """An unfitted copy with some settings changed, and what else was set.

    Raises
    ------
    NotApplicable : it cannot be copied.
    ParameterError : settings that it does not have.
    """
    from sklearn.base import clone

    try:
        fresh = clone(estimator)
        known = fresh.get_params(deep=True)
    except (TypeError, RuntimeError, ValueError, AttributeError) as error:
        raise NotApplicable(
            f"{type(estimator).__name__} cannot be copied unfitted ({str(error)[:200]}). {INSTEAD}"
        ) from error
    unknown = [name for name in params if name not in known]
    if unknown:
        raise ParameterError(
            f"{type(estimator).__name__} has no setting {unknown[0]!r}. Choose one of its own: "
            f"{', '.join(sorted(known)[:12])} …"
        )
    notes = _seeded(fresh, known, seed) + _without_stopping(fresh, known, estimator)
    _quiet(fresh)
    if params:
        fresh.set_params(**params)
    return fresh, notes


def _seeded(fresh: Any, known: Mapping[str, Any], seed: int) -> list[str]:
    """The seed for whatever draws at random and has none."""
    names = [
        name
        for name, value in known.items()
        if name.rpartition("__")[2] == "random_state" and value is None
    ]
    if not names:
        return []
    fresh.set_params(**dict.fromkeys(names, seed))
    return [f"What it draws at random is drawn with the seed {seed}."]


def _without_stopping(fresh: Any, known: Mapping[str, Any], fitted: Any) -> list[str]:
    """Boosters that stop early ask for rows of their own; the rounds that were chosen are kept."""
    names = [
        name
        for name, value in known.items()
        if name.rpartition("__")[2] in ("early_stopping_rounds", "early_stopping_round")
        and value is not None
    ]
    for name in names:
        fresh.set_params(**{name: None})
        prefix = name.rpartition("__")[0]
        best = getattr(_part(fitted, prefix), "best_iteration", None)
        if isinstance(best, int) and best >= 0:
            key = f"{prefix}__n_estimators" if prefix else "n_estimators"
            fresh.set_params(**{key: best + 1})
    return ["Early stopping is off; the rounds that it chose are kept."] if names else []


def _quiet(fresh: Any) -> None:
    """CatBoost writes no files, for which a worker has no place, and prints no line a round."""
    for name, part in list(parts(fresh)):
        if type(part).__module__.split(".")[0] != "catboost" or not hasattr(part, "set_params"):
            continue
        prefix, given = f"{name}__" if name else "", part.get_params()
        silent = {"verbose", "silent", "logging_level", "verbose_eval"} & set(given)
        fresh.set_params(**{f"{prefix}allow_writing_files": False})
        if not silent:
            fresh.set_params(**{f"{prefix}verbose": False})


def _part(fitted: Any, prefix: str) -> Any:
    """The fitted part of a pipeline under a name; the estimator itself without one."""
    steps = getattr(fitted, "named_steps", None)
    return fitted if not prefix or steps is None else steps.get(prefix, fitted)


def capped(fresh: Any, threads: int | None) -> list[str]:
    """Boosters with threads of their own use at most so many."""
    if threads is None:
        return []
    for name, part in [("", fresh), *fresh.get_params(deep=True).items()]:
        package = type(part).__module__.split(".")[0]
        key = {"xgboost": "n_jobs", "lightgbm": "n_jobs", "catboost": "thread_count"}.get(package)
        if key is not None and hasattr(part, "set_params") and hasattr(part, "fit"):
            fresh.set_params(**{f"{name}__{key}" if name else key: threads})
    return []


def truth_for(model: EstimatorModel, task: Task) -> Any:
    """`(n,)` or `(n, k)` truth of the rows to learn from, as the estimator was given it."""
    target = task.target
    y = target.y[task.train]
    if target.task not in (Kind.BINARY, Kind.MULTICLASS):
        return y
    names = np.array(target.labels, dtype=object)
    own = getattr(model.estimator, "classes_", None)
    if own is not None and not isinstance(own, list) and np.ndim(own) == 1:
        known = [label for value in own if (label := canonical_label(value)) is not None]
        found = match_labels(known, target.labels, complete=True).positions
        if len(known) == len(own) and set(found.values()) == set(range(len(names))):
            place = {at: known.index(label) for label, at in found.items()}
            names = np.asarray(own)[[place[at] for at in range(len(names))]]
    picked = names[y]
    return np.array(picked.tolist()) if picked.dtype == object else picked


def weights_for(last: Any, task: Task) -> Any:
    """`(n,)` weights of the rows to learn from, where the estimator takes any."""
    from sklearn.utils.validation import has_fit_parameter

    if task.weight is None or not has_fit_parameter(last, "sample_weight"):
        return None
    return task.weight[task.train]
