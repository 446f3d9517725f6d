"""The steps of a pipeline before its last: fitted once for the same settings and rows, then shared.

Only where that is exact: every step is one of scikit-learn's own, its settings are plain values and
its seed is fixed, so that fitting it a second time on the same rows would give the same numbers.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .tasks import Task, rows_at

__all__ = ["Ready", "forget", "prepared", "shared_steps"]

KEPT_BYTES = 256 << 20  # of prepared rows between two fits


class Ready:
    """The rows of one fit as the last step is given them, and that step.

    Attributes
    ----------
    last : what is fitted: the last step, or the whole estimator where nothing is shared.
    shared : the steps before were fitted on the same rows by an earlier fit.
    """

    def __init__(self, last: Any, given: Any, task: Task, steps: _Steps | None, shared: bool):
        self.last, self.shared = last, shared
        self._given, self._task, self._steps = given, task, steps
        self._train = rows_at(given, task.train) if steps is None else None

    def fit(self, y: Any, weight: Any) -> None:
        """Fit the last step."""
        X = self._train if self._steps is None else self._steps.fitted
        more = {} if weight is None else {"sample_weight": weight}
        self.last.fit(X, y, **more)

    def train(self) -> Any:
        """The rows to learn from, as the last step answers them."""
        if self._steps is None:
            return self._train
        return self._steps.train

    def validation(self) -> Any:
        """The rows to be judged on."""
        if self._steps is None:
            return rows_at(self._given, self._task.validation)
        return self._steps.of(self._given, self._task)  # fitted, perhaps, for another task


@dataclass(eq=False)
class _Steps:
    """The steps before the last, fitted on some rows, and what they made of these and of others."""

    transformer: Any
    given: Any
    task: Task
    fitted: Any
    same: bool  # what fitting gave is what transforming the same rows gives
    _train: Any = None
    _validation: dict[bytes, Any] | None = None

    @property
    def train(self) -> Any:
        if self.same:
            return self.fitted
        if self._train is None:
            self._train = _locked(self.transformer.transform(rows_at(self.given, self.task.train)))
        return self._train

    def of(self, given: Any, task: Task) -> Any:
        """The prepared validation rows of a task."""
        held = self._validation = {} if self._validation is None else self._validation
        key = hashlib.sha256(task.validation.tobytes()).digest()
        if key not in held:
            held.clear()
            held[key] = _locked(self.transformer.transform(rows_at(given, task.validation)))
        return held[key]

    @property
    def nbytes(self) -> int:
        made = [self.fitted, self._train, *(self._validation or {}).values()]
        return sum(_size(one) for one in made)


class _Kept:
    """What was prepared last, up to so many bytes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[str, _Steps] = OrderedDict()

    def get(self, key: str) -> _Steps | None:
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
            return found

    def put(self, key: str, steps: _Steps) -> None:
        with self._lock:
            self._held[key] = steps
            while len(self._held) > 1 and sum(s.nbytes for s in self._held.values()) > KEPT_BYTES:
                self._held.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._held.clear()


_KEPT = _Kept()


def forget() -> None:
    """Let go of all that was prepared."""
    _KEPT.clear()


def prepared(fresh: Any, given: Any, task: Task, y: Any) -> Ready:
    """The rows of a fit for an unfitted estimator, with its shared steps fitted or found."""
    found = shared_steps(fresh)
    if not found:
        return Ready(fresh, given, task, None, shared=False)
    key = _key(found, given, task) if task.data else ""
    steps = _KEPT.get(key) if key else None
    known = steps is not None
    if steps is None:
        steps = _fit_steps(found, given, task, y)
        if key:
            _KEPT.put(key, steps)
    return Ready(fresh.steps[-1][1], given, task, steps, shared=known)


def _fit_steps(found: list[tuple[str, Any]], given: Any, task: Task, y: Any) -> _Steps:
    from sklearn.pipeline import Pipeline

    transformer = Pipeline(found)
    fitted = _locked(transformer.fit_transform(rows_at(given, task.train), y))
    same = all(_transforms_as_it_fits(step) for _, step in found)
    return _Steps(transformer, given, task, fitted, same)


def shared_steps(estimator: Any) -> list[tuple[str, Any]]:
    """The steps of a pipeline before its last, where fitting them anew gives the same numbers."""
    from sklearn.pipeline import Pipeline

    if type(estimator) is not Pipeline or estimator.memory is not None:
        return []
    steps = list(estimator.steps)
    if len(steps) < 2 or not hasattr(steps[-1][1], "fit") or estimator.transform_input:
        return []
    return steps[:-1] if all(_is_exact(step) for _, step in steps[:-1]) else []


def _is_exact(step: Any) -> bool:
    """Whether a transformer of scikit-learn draws nothing at random and holds plain settings."""
    try:
        _signature(step)
    except _Unknown:
        return False
    return True


class _Unknown(Exception):
    """A setting whose meaning cannot be told from its value."""


def _signature(value: Any) -> str:
    """The kind and all settings of a part, as text that is equal where these are.

    Raises
    ------
    _Unknown : own classes and functions, or no fixed seed.
    """
    if value is None or isinstance(value, (bool, int, float, str, bytes, np.generic)):
        return f"{type(value).__name__}:{value!r}"
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [_signature(one) for one in value]
        return f"{type(value).__name__}({','.join(items)})"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_signature(k)}={_signature(v)}" for k, v in value.items()) + "}"
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufUS":
        return f"{value.dtype}{value.shape}{hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, slice):
        return repr(value)
    if isinstance(value, (np.ufunc, type)):
        return f"{getattr(value, '__module__', '')}.{value.__name__}"
    if type(value).__module__.startswith("sklearn.model_selection._split"):
        return _division(value)
    if not type(value).__module__.startswith("sklearn.") or not hasattr(value, "get_params"):
        raise _Unknown
    settings = value.get_params(deep=False)
    seed = settings.get("random_state", 0)
    by_division = seed == "deprecated" and not isinstance(settings.get("cv"), int)
    if not isinstance(seed, int) and not by_division:
        raise _Unknown
    told = ",".join(f"{name}={_signature(settings[name])}" for name in sorted(settings))
    output = getattr(value, "_sklearn_output_config", None)
    return f"{type(value).__module__}.{type(value).__qualname__}({told};{_signature(output)})"


def _division(splitter: Any) -> str:
    """A way of dividing rows, where it divides them the same each time."""
    settings = vars(splitter)
    if settings.get("shuffle", True) and not isinstance(settings.get("random_state"), int):
        raise _Unknown
    return f"{type(splitter).__name__}({','.join(f'{k}={v!r}' for k, v in settings.items())})"


def _transforms_as_it_fits(step: Any) -> bool:
    """Whether `fit_transform` is `fit` and `transform` of the same rows, in it and its parts."""
    from sklearn.base import OneToOneFeatureMixin, TransformerMixin
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    if isinstance(step, str) or step is None:
        return True
    if isinstance(step, ColumnTransformer):
        return all(_transforms_as_it_fits(each[1]) for each in step.transformers)
    if isinstance(step, Pipeline):
        return all(_transforms_as_it_fits(each) for _, each in step.steps)
    own = type(step).fit_transform
    usual = (TransformerMixin.fit_transform, getattr(OneToOneFeatureMixin, "fit_transform", None))
    return getattr(own, "__wrapped__", own) in usual or own in usual


def _key(found: list[tuple[str, Any]], given: Any, task: Task) -> str:
    columns = (
        [(str(name), str(dtype)) for name, dtype in given.dtypes.items()]
        if isinstance(given, pd.DataFrame)
        else [(str(given.shape[1:]), str(given.dtype))]
    )
    told = [(name, _signature(step)) for name, step in found]
    digest = hashlib.sha256(repr((task.data, columns, told)).encode())
    digest.update(np.ascontiguousarray(task.train).tobytes())
    return digest.hexdigest()


def _locked(rows: Any) -> Any:
    """The same rows, which nobody can write into: they are shared."""
    if isinstance(rows, np.ndarray):
        rows.flags.writeable = False
    return rows


def _size(rows: Any) -> int:
    if rows is None:
        return 0
    if isinstance(rows, pd.DataFrame):
        return int(rows.memory_usage(index=True).sum())
    data = getattr(rows, "data", None)  # of a sparse matrix
    return int(getattr(rows, "nbytes", 0) or getattr(data, "nbytes", 0))
