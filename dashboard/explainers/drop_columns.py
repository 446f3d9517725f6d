"""Drop-column importance inside a worker: the model fitted again with one feature told nothing.

A feature is taken away by giving it one and the same value in every row, for fitting and for
answering, so that pipelines that name their columns keep working. Trees and linear models treat
such a column as if it were not there.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Model, Predictions, Task, Work
from ..diagnostics.metrics import compute_metrics, find_metric
from ..errors import DiagnosticsError, ModelError, NotApplicable
from ..models import EstimatorModel
from ..models.columns import first_line
from .permutation import told_target

__all__ = ["drop_columns"]

Ints = npt.NDArray[np.int64]


def drop_columns(
    model: Model, tables: Mapping[str, Any], arguments: Mapping[str, Any], work: Work
) -> tuple[dict[str, Any], Sequence[Any]]:
    """Scores of the model fitted again on parts of the rows, without some of the features.

    Parameters
    ----------
    tables : "X" rows for the model; "y" their truth; "at" positions of the rows to use; "fold"
        `(n,)` the fold of each of them; "w" weights of all rows, where there are any.
    arguments : "target", "metric", "columns": for each fit the positions of the columns in X that
        are taken away (an empty list: none); "folds": in which folds each is answered, each time
        fitted on all other rows.

    Returns
    -------
    Header "seconds" of the fits. Array `(n_fits, n_folds)` of scores.

    Raises
    ------
    NotApplicable : the model cannot be fitted again, or the metric has no value.
    ModelError : fitting failed.
    """
    estimator = _refittable(model)
    at, fold = np.asarray(tables["at"]), np.asarray(tables["fold"])
    X = tables["X"]
    rows = X.iloc[at].reset_index(drop=True) if isinstance(X, pd.DataFrame) else np.asarray(X)[at]
    trial = _Refit(estimator, rows, tables, at, arguments)
    start = time.perf_counter()
    scores = np.empty((len(arguments["columns"]), len(arguments["folds"])))
    for place, columns in enumerate(arguments["columns"]):
        told = _without(rows, columns)
        for k, which in enumerate(arguments["folds"]):
            work.check()
            scores[place, k] = trial.score(
                told, np.flatnonzero(fold != which), np.flatnonzero(fold == which)
            )
    return {"seconds": time.perf_counter() - start}, [scores]


def _refittable(model: Model) -> Any:
    """The estimator, where it is one of scikit-learn's kind that can be copied unfitted."""
    if not isinstance(model, EstimatorModel) or not hasattr(model.estimator, "get_params"):
        raise NotApplicable(
            "Only models with scikit-learn's interface can be fitted again here; this one cannot. "
            "Use permutation importance."
        )
    return model.estimator


def _without(rows: Any, columns: Sequence[int]) -> Any:
    """The rows with the same value in every row of these columns: the most frequent one."""
    if not columns:
        return rows
    if not isinstance(rows, pd.DataFrame):
        flat = np.array(rows).reshape(len(rows), -1)
        for at in columns:
            flat[:, at] = _typical(pd.Series(flat[:, at]))
        return flat.reshape(np.shape(rows))
    out = rows.copy()
    for at in columns:
        column = rows.iloc[:, at]
        places = np.flatnonzero((column == _typical(column)).fillna(False).to_numpy(dtype=bool))
        one = int(places[0]) if len(places) else 0
        out.isetitem(at, column.array.take(np.full(len(rows), one)))
    return out


def _typical(column: pd.Series[Any]) -> Any:
    found = column.mode(dropna=True)
    return found.iloc[0] if len(found) else column.iloc[0]


class _Refit:
    """Copies of one estimator, fitted on some rows and scored on others."""

    def __init__(
        self,
        estimator: Any,
        rows: Any,
        tables: Mapping[str, Any],
        at: Ints,
        arguments: Mapping[str, Any],
    ) -> None:
        self._estimator = estimator
        self._name = str(arguments.get("name", "The model"))
        self._metric = arguments["metric"]
        self._target = told_target(arguments["target"], np.asarray(tables["y"])[at])
        self._weight = np.asarray(tables["w"])[at] if "w" in tables else None
        self._rows = rows

    def score(self, rows: Any, train: Ints, test: Ints) -> float:
        """The metric on the rows `test` of a copy fitted on the rows `train`."""
        model = self._fitted(_taken(rows, train), train)
        target = self._target.take(test)
        raw = model.predict(_taken(rows, test))
        predictions = Predictions.normalise(
            raw,
            target.known_to([raw]),
            name=self._name,
            sample_weight=None if self._weight is None else self._weight[test],
        )
        table = compute_metrics(predictions, metrics=[self._metric], n_bootstrap=2, per_class=False)
        row = next((row for row in table.rows if row.label == ""), None)
        if row is None or np.isnan(row.value):
            reason = row.reason if row is not None else ""
            title = find_metric(self._metric).title
            raise NotApplicable(reason or f"{title} has no value for a part of the rows.")
        return float(row.value)

    def _fitted(self, rows: Any, train: Ints) -> EstimatorModel:
        from sklearn.base import clone

        try:
            fresh = clone(self._estimator)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of constant columns, as was asked for
                fresh.fit(rows, self._truth(train), **self._weights(fresh, train))
                return EstimatorModel(fresh, name=self._name)
        except (DiagnosticsError, MemoryError):
            raise
        except Exception as error:  # a stranger's estimator raises what it likes
            raise ModelError(
                f"{self._name} could not be fitted again ({type(error).__name__}: "
                f"{first_line(error)[:200]}). Use permutation importance."
            ) from error

    def _truth(self, train: Ints) -> Any:
        target = self._target
        y = target.y[train]
        if target.task in (Task.BINARY, Task.MULTICLASS):
            return np.array(target.labels, dtype=object)[y].tolist()
        return y

    def _weights(self, estimator: Any, train: Ints) -> dict[str, Any]:
        from sklearn.utils.validation import has_fit_parameter

        if self._weight is None or not has_fit_parameter(estimator, "sample_weight"):
            return {}
        return {"sample_weight": self._weight[train]}


def _taken(rows: Any, at: Ints) -> Any:
    if isinstance(rows, pd.DataFrame):
        return rows.iloc[at].reset_index(drop=True)
    return rows[at]
