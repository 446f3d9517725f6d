"""Drop-column importance: the model fitted again without each feature."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from ..contracts import Model
from ..data import EvalSet
from ..diagnostics.importance import Importance
from ..diagnostics.intervals import check_level
from ..diagnostics.metrics import Metric
from ..errors import ParameterError
from ..evaluation import rows_for
from ..explainers.asking import ask
from ..explainers.permutation import truth
from ..frames import Frame
from ..sandbox.processes import tell_progress
from ..wording import count, number, plural
from .measuring import (
    Feature,
    change_of,
    check_arrays,
    features_of,
    metric_for,
    sampled_rows,
    worse,
)

__all__ = ["drop_column_importance"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def drop_column_importance(
    model: Model,
    evalset: EvalSet,
    name: str,
    metric: str | None = None,
    n_folds: int = 5,
    n_rows: int | None = 5_000,
    groups: Mapping[str, Sequence[str]] | None = None,
    random_state: int = 0,
    *,
    level: float = 0.95,
) -> Importance:
    """How much worse the metric is when the model is fitted again without a feature.

    The model is fitted anew on folds of the evaluation rows, with and without each feature, and
    scored on the fold left out; its own training rows are not known here.

    Parameters
    ----------
    metric, n_rows, groups : as for `permutation_importance`.
    n_folds : parts of the rows, alike in the target.

    Returns
    -------
    Importance : `values` are means over the folds, which `repeats` shows one by one. Intervals
        are of the corrected resampled t-test, since the folds share training rows
        (Nadeau and Bengio, Machine Learning 52 (2003) 239–281).

    Raises
    ------
    NotApplicable : the model cannot be fitted again, or the metric has no value in a fold.
    ParameterError : unknown metric or columns; fewer than two folds; fewer rows than folds.
    """
    check_level(level)
    X = rows_for(model, evalset)
    features = features_of(model, X, groups or {})
    at = sampled_rows(evalset, n_rows, random_state)
    if not 2 <= n_folds <= len(at):
        raise ParameterError(
            f"n_folds must be at least 2 and at most the {count(len(at))} rows, got {n_folds}."
        )
    chosen = metric_for(metric, evalset.target.task)
    tables: dict[str, Any] = {"X": X, "y": evalset.target.y, "at": at}
    tables["fold"] = _folds(evalset, at, n_folds, random_state)
    if evalset.sample_weight is not None:
        tables["w"] = evalset.sample_weight
    scores = _refitted(model, tables, evalset, features, chosen, n_folds)
    return _dropped(name, evalset, features, chosen, scores, len(at), level)


def _folds(evalset: EvalSet, at: Ints, n_folds: int, random_state: int) -> Ints:
    """`(n,)` fold of each row, alike in the target."""
    y = evalset.target.y[at]
    y = y if y.ndim == 1 else y.sum(axis=1)
    rng = np.random.default_rng(random_state)
    fold = np.empty(len(at), dtype=np.int64)
    fold[np.lexsort((rng.random(len(at)), y))] = np.arange(len(at)) % n_folds
    return fold


def _refitted(
    model: Model,
    tables: Mapping[str, Any],
    evalset: EvalSet,
    features: Sequence[Feature],
    metric: Metric,
    n_folds: int,
) -> Floats:
    """`(1 + f, n_folds)` scores, the first with every feature; one fit at a time is asked for."""
    every = [(), *(feature.columns for feature in features)]
    scores = np.empty((len(every), n_folds))
    began = time.monotonic()
    for place, columns in enumerate(every):
        for fold in range(n_folds):
            arguments = {
                "target": truth(evalset.target),
                "metric": metric.name,
                "columns": [list(columns)],
                "folds": [fold],
            }
            scores[place, fold] = ask(model, "drop_columns", arguments, tables, read=_read_refitted)
            done, total = place * n_folds + fold + 1, scores.size
            left = (time.monotonic() - began) * (total - done) / done
            tell_progress(done, total, f"{done} of {total} fits, about {left:.0f} s left")
    return scores


def _read_refitted(frame: Frame) -> float:
    check_arrays(frame.arrays, [(1, 1)])
    return float(frame.arrays[0][0, 0])


def _dropped(
    name: str,
    evalset: EvalSet,
    features: Sequence[Feature],
    metric: Metric,
    scores: Floats,
    n: int,
    level: float,
) -> Importance:
    n_folds = scores.shape[1]
    repeats = worse(metric, scores[0], scores[1:])
    values = repeats.mean(axis=1)
    # a fold is 1/k of the rows and its training part the rest: 1/k + (1/k) / (1 - 1/k)
    correction = 1 / n_folds + 1 / (n_folds - 1)
    spread = (repeats - values[:, None]) * np.sqrt(correction * n_folds / (n_folds - 1))
    reach = stdtrit(n_folds - 1, (1 + level) / 2) * np.sqrt((spread**2).mean(axis=1))
    return Importance(
        model=name,
        method="drop-column",
        title="Drop-column importance",
        unit=change_of(metric),
        features=tuple(feature.name for feature in features),
        values=values,
        low=values - reach,
        high=values + reach,
        n=n,
        n_given=evalset.n,
        level=level,
        repeats=repeats,
        deviations=np.ascontiguousarray(spread.T),
        freedom=n_folds - 1,
        metric=metric.name,
        baseline=float(scores[0].mean()),
        warning=(
            "What a newly fitted model loses without the feature: near zero where others carry the "
            "same information. It is about the kind of model, not about this fitted one."
        ),
        notes=(
            f"Fitted again {count(scores.size)} times, on folds of {count(n)} of "
            f"{plural(evalset.n, 'row')}; with every feature {metric.title} is "
            f"{number(float(scores[0].mean()))}. A feature is taken away by giving it the same "
            "value in every row.",
        ),
    )
