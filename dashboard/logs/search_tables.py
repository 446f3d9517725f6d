"""Tables that searches write: scikit-learn's `cv_results_` and Optuna's `trials_dataframe()`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts.searches import (
    NOTHING,
    SearchParameter,
    SearchResults,
    SearchScore,
    TrialStatus,
)
from ..errors import DataError
from ..wording import plural
from .search_values import between, direction_of, numbers, scalar, seconds, told_params

__all__ = ["read_cv_results", "read_optuna"]

Columns = Mapping[str, Sequence[Any]]
Floats = npt.NDArray[np.float64]
_SPLIT = re.compile(r"split(\d+)_test_(.+)$", re.DOTALL)
_OPTUNA: dict[str, TrialStatus] = {
    "COMPLETE": "complete",
    "PRUNED": "partial",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}


# --- scikit-learn ------------------------------------------------------------------------------


def read_cv_results(columns: Columns, name: str) -> SearchResults:
    """`cv_results_` of a grid, random or halving search; every candidate of every round.

    Scores are scikit-learn's own, larger is better throughout. Of a halving search only the last
    round is complete; the earlier ones saw fewer rows.

    Raises
    ------
    DataError : the columns of scores do not hold numbers.
    """
    scores = tuple(
        _sklearn_score(columns, key.removeprefix("mean_test_"))
        for key in columns
        if key.startswith("mean_test_")
    )
    n = len(scores[0].validation)
    resource = numbers(columns["n_resources"], "n_resources") if "n_resources" in columns else None
    full = np.ones(n, dtype=bool)
    if "iter" in columns:
        rounds = numbers(columns["iter"], "iter")
        full = rounds == np.nanmax(rounds)
    scored = [bool(row) for row in np.isfinite(np.array([s.validation for s in scores])).any(0)]
    status: list[TrialStatus] = [
        "failed" if not ok else "complete" if whole else "partial"
        for ok, whole in zip(scored, full, strict=True)
    ]
    parameters = _sklearn_parameters(columns, n)
    given = "rows"
    for one in parameters:  # or one of them, such as n_estimators
        if resource is not None and np.array_equal(one.numbers, resource):
            given = one.name.rpartition("__")[2]
    notes = []
    if status.count("failed"):
        notes.append(f"{plural(status.count('failed'), 'trial')} could not be fitted or scored.")
    if "partial" in status:
        notes.append(
            f"{plural(status.count('partial'), 'trial')} of earlier rounds had fewer {given}; "
            "only those of the last round are compared."
        )
    time = columns.get("mean_fit_time")
    return SearchResults(
        name=name,
        source="scikit-learn halving search" if "iter" in columns else "scikit-learn search",
        trials=tuple(str(k) for k in range(n)),
        status=tuple(status),
        parameters=parameters,
        scores=scores,
        fit_seconds=None if time is None else numbers(time, "mean_fit_time"),
        resource=resource,
        resource_name=given if resource is not None else "",
        notes=tuple(notes),
    )


def _sklearn_score(columns: Columns, metric: str) -> SearchScore:
    splits = sorted(
        (int(match[1]), key)
        for key in columns
        if (match := _SPLIT.match(key)) and match[2] == metric
    )
    folds = np.column_stack([numbers(columns[key], key) for _, key in splits]) if splits else None
    train, spread = (columns.get(f"{word}_{metric}") for word in ("mean_train", "std_test"))
    key = f"mean_test_{metric}"
    return SearchScore(
        metric=metric,
        larger_is_better=True,
        validation=numbers(columns[key], key),
        spread=None if spread is None else numbers(spread, f"std_test_{metric}"),
        train=None if train is None else numbers(train, f"mean_train_{metric}"),
        folds=folds,
    )


def _sklearn_parameters(columns: Columns, n: int) -> tuple[SearchParameter, ...]:
    """A CSV writes None as it writes nothing; the column `params` tells them apart."""
    told = [told_params(cell) for cell in columns.get("params", [None] * n)]
    names = [key.removeprefix("param_") for key in columns if key.startswith("param_")]
    if not names:
        names = list(dict.fromkeys(key for one in told if one for key in one))
    found = []
    for name in names:
        cells = columns.get(f"param_{name}", [None] * n)
        values = [_sklearn_value(cell, one, name) for cell, one in zip(cells, told, strict=True)]
        found.append(SearchParameter(name, tuple(values)))
    return tuple(found)


def _sklearn_value(cell: Any, told: Mapping[str, Any] | None, name: str) -> Any:
    value = scalar(cell)
    if told is None or value is not None:
        return value
    if name not in told:
        return None
    return NOTHING if told[name] is None else scalar(told[name])


# --- Optuna ------------------------------------------------------------------------------------


def read_optuna(columns: Columns, name: str, larger_is_better: bool | None = None) -> SearchResults:
    """`study.trials_dataframe()`; trials that were pruned, failed or wait are kept.

    The table does not hold whether the study maximises: it is asked for, or told by the name of
    the metric.

    Raises
    ------
    DataError : states that Optuna does not know; values that are no numbers.
    """
    states = [str(state).rpartition(".")[2] for state in columns["state"]]
    unknown = sorted(set(states) - set(_OPTUNA))
    if unknown:
        raise DataError(
            f"Column 'state' of {name} holds {unknown[0]!r}; Optuna writes "
            f"{', '.join(_OPTUNA)}. Save study.trials_dataframe() again."
        )
    keys = [key for key in columns if key == "value" or key.startswith("values_")]
    scores: list[SearchScore] = []
    for key in keys:
        metric = key.removeprefix("values_")
        known = direction_of(metric) if key != "value" else None
        first = larger_is_better if not scores and larger_is_better is not None else known
        scores.append(SearchScore(metric, first, numbers(columns[key], key)))
    status = tuple(_OPTUNA[state] for state in states)
    return SearchResults(
        name=name,
        source="Optuna",
        trials=tuple(str(scalar(one)) for one in columns["number"]),
        status=status,
        parameters=tuple(
            SearchParameter(key.removeprefix("params_"), tuple(scalar(one) for one in values))
            for key, values in columns.items()
            if key.startswith("params_")
        ),
        scores=tuple(scores),
        fit_seconds=_duration(columns),
        notes=_optuna_notes(status, scores),
    )


def _duration(columns: Columns) -> Floats | None:
    found: Floats | None = None
    if "duration" in columns:
        found = seconds(columns["duration"])
    if (found is None or np.isnan(found).all()) and {
        "datetime_start",
        "datetime_complete",
    } <= set(columns):
        found = between(columns["datetime_start"], columns["datetime_complete"])
    return found


def _optuna_notes(status: Sequence[TrialStatus], scores: Sequence[SearchScore]) -> tuple[str, ...]:
    notes = []
    if status.count("partial"):
        notes.append(
            f"{plural(status.count('partial'), 'trial')} stopped early (pruned): the score is the "
            "last one reported and is not compared."
        )
    if any(one.larger_is_better is None for one in scores):
        notes.append("The table does not say whether the study maximises or minimises.")
    return tuple(notes)
