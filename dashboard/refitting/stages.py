"""What boosted models answer after their first rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..contracts import Model, RawPredictions, ScoreKind
from ..models import BoosterModel, EstimatorModel

__all__ = ["Stages", "last_step", "stages_of"]

Answers = Callable[[Any], Iterator[RawPredictions]]


@dataclass(frozen=True, eq=False)
class Stages:
    """The stages of one model.

    Attributes
    ----------
    rounds : after how many rounds, increasing; the last is all of them.
    n_rounds : of so many.
    answers : rows as the model is given them → its answers after each of `rounds`.
    """

    rounds: tuple[int, ...]
    n_rounds: int
    answers: Answers


def stages_of(model: Model, most: int) -> Stages | None:
    """At most so many stages of a boosted model; None where it has none."""
    if isinstance(model, BoosterModel):
        return _of_booster(model, most)
    if not isinstance(model, EstimatorModel):
        return None
    last = last_step(model.estimator)
    n, told = _rounds(last), getattr(last, "classes_", None)
    if n is None or n < 2:
        return None
    rounds = _thinned(n, most)
    classes = None if told is None else np.asarray(told).tolist()

    def answers(X: Any) -> Iterator[RawPredictions]:
        given = _before(model.estimator, model.prepare(X))
        for values in _values(last, given, rounds):
            if classes is None:
                yield RawPredictions(labels=np.asarray(values).reshape(len(values), -1)[:, 0])
            else:
                yield RawPredictions(
                    scores=values, classes=classes, score_kind=ScoreKind.PROBABILITY
                )

    return Stages(rounds, n, answers) if _plain_end(model.estimator) else None


def last_step(estimator: Any) -> Any:
    """The fitted estimator at the end of pipelines and searches."""
    if hasattr(estimator, "estimators_"):  # an ensemble, which also names what it is made of
        return estimator
    for part in ("best_estimator_", "regressor_", "estimator_"):
        inner = getattr(estimator, part, None)
        if inner is not None and hasattr(inner, "predict"):
            return last_step(inner)
    steps = getattr(estimator, "steps", None)
    return last_step(steps[-1][1]) if isinstance(steps, list) and steps else estimator


def _plain_end(estimator: Any) -> bool:
    """Whether the last step's answers are the whole's: no target was transformed, none averaged."""
    kind = type(estimator).__name__
    inner = getattr(estimator, "best_estimator_", None)
    if inner is not None:
        return _plain_end(inner)
    steps = getattr(estimator, "steps", None)
    if isinstance(steps, list) and steps:
        return _plain_end(steps[-1][1])
    return kind not in ("TransformedTargetRegressor", "TunedThresholdClassifierCV")


def _before(estimator: Any, given: Any) -> Any:
    """The rows as the last step is given them."""
    inner = getattr(estimator, "best_estimator_", None)
    if inner is not None:
        return _before(inner, given)
    steps = getattr(estimator, "steps", None)
    if not isinstance(steps, list) or len(steps) < 2:
        return given if not steps else _before(steps[0][1], given)
    return _before(steps[-1][1], estimator[:-1].transform(given))


def _thinned(n: int, most: int) -> tuple[int, ...]:
    """At most so many numbers of rounds up to n, evenly, the first and the last among them."""
    picked = np.unique(np.round(np.linspace(1, n, min(n, max(2, most)))).astype(int))
    return tuple(int(one) for one in picked)


def _rounds(last: Any) -> int | None:
    """Rounds of boosting; None where it is not boosted."""
    package, kind = type(last).__module__.split(".")[0], type(last).__name__
    if package == "xgboost" and hasattr(last, "get_booster"):
        return int(last.get_booster().num_boosted_rounds())
    if package == "lightgbm" and hasattr(last, "booster_"):
        return int(last.booster_.current_iteration())
    if package == "catboost":
        return int(last.tree_count_)
    if package == "sklearn" and callable(getattr(last, "staged_predict", None)):
        return len(last.estimators_) if kind.startswith(("Ada", "Grad")) else int(last.n_iter_)
    return None


def _values(last: Any, given: Any, rounds: tuple[int, ...]) -> Iterator[Any]:
    """Probabilities, or values of a regression, after each of the rounds."""
    package = type(last).__module__.split(".")[0]
    of_classes = hasattr(last, "classes_")
    ask = last.predict_proba if of_classes else last.predict
    if package == "xgboost":
        yield from (ask(given, iteration_range=(0, n)) for n in rounds)
    elif package == "lightgbm":
        yield from (ask(given, num_iteration=n) for n in rounds)
    elif package == "catboost":
        yield from (ask(given, ntree_end=n) for n in rounds)
    else:
        staged = last.staged_predict_proba if of_classes else last.staged_predict
        wanted = set(rounds)
        for n, values in enumerate(staged(given), start=1):
            if n in wanted:
                yield values


def _of_booster(model: BoosterModel, most: int) -> Stages | None:
    """The first trees of a native booster as boosters of their own."""
    booster = model.booster
    of_xgboost = type(booster).__module__.startswith("xgboost")
    n = int(booster.num_boosted_rounds() if of_xgboost else booster.current_iteration())
    if n < 2:
        return None
    rounds = _thinned(n, most)

    def answers(X: Any) -> Iterator[RawPredictions]:
        for k in rounds:
            yield BoosterModel(_first(booster, k, of_xgboost), name="stage").predict(X)

    return Stages(rounds, n, answers)


def _first(booster: Any, k: int, of_xgboost: bool) -> Any:
    if of_xgboost:
        part = booster[:k]
        part.set_attr(best_iteration=None)  # what was chosen among all rounds
        return part
    import lightgbm

    return lightgbm.Booster(model_str=booster.model_to_string(num_iteration=k))
