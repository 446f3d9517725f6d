"""Models with the scikit-learn API, plain callables, and the columns that they are given."""

from __future__ import annotations

import json
import threading
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import ModelInfo, RawPredictions, ScoreKind, canonical_label
from ..errors import ModelError, ParameterError, UntrustedModel
from .allowed import TRUSTED, check_schema
from .columns import as_matrix, failure, first_line, match_columns, text_column
from .structure import check_structure

__all__ = ["CallableModel", "EstimatorModel", "load_skops"]

# `warnings.catch_warnings` swaps process-wide state; two sessions must not interleave in it.
_WARNINGS = threading.RLock()

# Names from these are nobody's own; what is left out of them is judged in `allowed`.
_LIBRARIES = frozenset(
    {"builtins", "collections", "functools", "numpy", "operator", "pandas", "scipy", "sklearn"}
)
_MODEL_PACKAGES = frozenset(
    {"catboost", "category_encoders", "imblearn", "lightgbm", "quantile_forest", "xgboost"}
)


def load_skops(
    content: bytes, archive: zipfile.ZipFile, name: str, *, digest: str = ""
) -> EstimatorModel:
    """The estimator in a `.skops` file whose every type is on our own list.

    Raises
    ------
    UntrustedModel : types that are not on the list (named).
    ModelError : a damaged file, or an object that does not predict.
    """
    import skops.io

    try:
        schema = json.loads(archive.read("schema.json"))
        check_schema(schema, name)
        foreign = sorted(set(skops.io.get_untrusted_types(data=content)) - set(TRUSTED))
        if foreign:
            raise UntrustedModel(_foreign_types(foreign, name))
        with _WARNINGS, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            estimator = skops.io.loads(content, trusted=TRUSTED)
        check_structure(estimator, name)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"{name} is damaged or was written by another version of skops "
            f"({first_line(error)}); export it again."
        ) from error
    try:
        return EstimatorModel(
            estimator,
            name=name,
            format="skops",
            digest=digest,
            size=len(content),
            notes=tuple(_version_notes(schema, caught)),
        )
    except ParameterError as error:
        raise ModelError(str(error)) from error


def _foreign_types(foreign: list[str], name: str) -> str:
    shown = ", ".join(foreign[:5]) + (f" and {len(foreign) - 5} more" if len(foreign) > 5 else "")
    return (
        f"{name} needs {shown}, which {'is' if len(foreign) == 1 else 'are'} not on the list of "
        f"types that are opened here, so it was not opened; {_in_their_place(foreign)}, or load a "
        "table of predictions."
    )


def _in_their_place(foreign: list[str]) -> str:
    """What to do without these names, by where they come from."""
    packages = list(dict.fromkeys(name.split(".")[0] for name in foreign))
    others = [package for package in packages if package not in _LIBRARIES]
    known = [package for package in others if package in _MODEL_PACKAGES]
    if known:
        return f"{' and '.join(known)} is not opened here: use an estimator of scikit-learn itself"
    if others:
        return (
            "leave own classes and functions out of the model, for a search export "
            "`search.best_estimator_`"
        )
    return (
        "use a step of scikit-learn or a NumPy function such as np.log1p in "
        f"{'its' if len(foreign) == 1 else 'their'} place and fit again"
        + (", for a search export `search.best_estimator_`" if "scipy" in packages else "")
    )


def _version_notes(schema: dict[str, Any], caught: list[warnings.WarningMessage]) -> list[str]:
    import sklearn
    import skops

    wrote = {getattr(item.message, "original_sklearn_version", None) for item in caught} - {None}
    notes = [
        f"Saved with scikit-learn {version}; opened with {sklearn.__version__}: answers can differ."
        for version in sorted(str(version) for version in wrote)
    ]
    saved = schema.get("_skops_version")
    if isinstance(saved, str) and saved.split(".")[:2] != skops.__version__.split(".")[:2]:
        notes.append(f"Saved with skops {saved}; opened with {skops.__version__}.")
    return notes


class EstimatorModel:
    """A fitted estimator: `predict` for labels or values, then the best scores that it offers."""

    def __init__(
        self,
        estimator: Any,
        *,
        name: str,
        format: str = "in-memory",
        digest: str = "",
        size: int = 0,
        notes: tuple[str, ...] = (),
    ) -> None:
        if not callable(getattr(estimator, "predict", None)):
            raise ParameterError(
                f"{name} holds a {type(estimator).__name__}, which has no predict; export the "
                "whole fitted pipeline with its last step."
            )
        _check_fitted(estimator, name)
        self._estimator = estimator
        self._name = name
        names = _find(estimator, "feature_names_in_")
        count = _find(estimator, "n_features_in_")
        self._info = ModelInfo(
            format=format,
            kind=describe(estimator),
            feature_names=None if names is None else tuple(str(column) for column in names),
            n_features=None if count is None else int(count),
            classes=_classes(estimator),
            task_hint=_task_hint(estimator),
            digest=digest,
            size=size,
            notes=notes,
        )

    @property
    def info(self) -> ModelInfo:
        return self._info

    def predict(self, X: pd.DataFrame | npt.NDArray[Any]) -> RawPredictions:
        """Answers for every row of `X`, columns matched by name where the model knows names."""
        given, notes = self._prepare(X)
        try:
            with _WARNINGS, warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                labels = self._estimator.predict(given)
                scores, kind = self._scores(given)
        except Exception as error:
            raise ModelError(failure(self._name, error, X)) from error
        notes += _warning_notes(caught)
        classes = None if np.ndim(labels) > 1 else self._class_order(scores)
        if kind is ScoreKind.DECISION and np.ndim(scores) == 2 and classes is not None:
            # One-vs-one decision values have a column per pair; three classes have three pairs.
            by_pair = getattr(self._estimator, "decision_function_shape", None) == "ovo"
            if by_pair or np.shape(scores)[1] != len(classes):
                scores, kind = None, None
                notes.append("The decision values compare pairs of classes, so they are not used.")
        return RawPredictions(
            labels=labels, scores=scores, classes=classes, score_kind=kind, notes=tuple(notes)
        )

    def _class_order(self, scores: Any) -> list[Any] | None:
        classes = getattr(self._estimator, "classes_", None)
        return (
            None if classes is None or isinstance(classes, list) else np.asarray(classes).tolist()
        )

    def _prepare(self, X: pd.DataFrame | npt.NDArray[Any]) -> tuple[Any, list[str]]:
        info = self._info
        if info.n_features is None and callable(
            getattr(_first(self._estimator), "build_analyzer", None)
        ):
            return text_column(X, self._name)
        if info.feature_names is not None:
            return match_columns(X, info.feature_names, self._name)
        return as_matrix(X, info.n_features, self._name)

    def _scores(self, given: Any) -> tuple[Any, ScoreKind | None]:
        estimator = self._estimator
        if self._info.task_hint == "regressor":
            return None, None
        if callable(getattr(estimator, "predict_proba", None)):
            scores = estimator.predict_proba(given)
            if isinstance(scores, list):
                return _two_columns(scores, getattr(estimator, "classes_", None)), None
            return scores, None
        if self._info.task_hint == "classifier" and callable(
            getattr(estimator, "decision_function", None)
        ):
            return estimator.decision_function(given), ScoreKind.DECISION
        return None, None


def _two_columns(scores: list[Any], classes: Any) -> list[Any]:
    """Multilabel `predict_proba` lists with the column added that a constant label lacks."""
    complete = []
    for index, score in enumerate(scores):
        if np.ndim(score) == 2 and np.shape(score)[1] == 1 and classes is not None:
            known = bool(np.asarray(classes[index]).ravel()[0])
            other = np.zeros_like(score)
            score = np.hstack([other, score] if known else [score, other])
        complete.append(score)
    return complete


class CallableModel:
    """A plain function X → array as a model; text, booleans and whole numbers are labels."""

    def __init__(self, function: Callable[[Any], Any], *, name: str) -> None:
        self._function = function
        self._name = name
        self._info = ModelInfo(
            format="in-memory", kind=f"Function: {getattr(function, '__name__', name)}"
        )

    @property
    def info(self) -> ModelInfo:
        return self._info

    def predict(self, X: pd.DataFrame | npt.NDArray[Any]) -> RawPredictions:
        """What the function returns for `X`, one answer per row."""
        try:
            answer = self._function(X)
        except Exception as error:
            raise ModelError(failure(self._name, error, X)) from error
        if isinstance(answer, RawPredictions):
            return answer
        if isinstance(answer, (list, dict)):
            return RawPredictions(scores=answer)
        values = np.asarray(answer)
        if values.dtype.kind == "f":
            return RawPredictions(scores=values)
        return RawPredictions(labels=values)


def describe(estimator: Any) -> str:
    """A short description: "Pipeline: StandardScaler → LogisticRegression"."""
    kind = type(estimator).__name__
    steps = getattr(estimator, "steps", None)
    if kind == "Pipeline" and isinstance(steps, list):
        parts = [describe(step) for _, step in steps if step not in (None, "passthrough")]
        return "Pipeline: " + " → ".join(parts)
    inner = getattr(estimator, "best_estimator_", None)
    if inner is None:
        inner = getattr(estimator, "regressor_", getattr(estimator, "estimator", None))
    return f"{kind} of {describe(inner)}" if hasattr(inner, "predict") else kind


def _first(estimator: Any) -> Any:
    """The part that sees the columns first."""
    steps = getattr(estimator, "steps", None)
    if isinstance(steps, list) and steps:
        return _first(steps[0][1])
    inner = getattr(estimator, "best_estimator_", getattr(estimator, "estimator_", None))
    return estimator if inner is None else _first(inner)


def _find(estimator: Any, attribute: str) -> Any:
    """The attribute from the estimator or from the first part that sees the columns."""
    found = getattr(estimator, attribute, None)
    if found is not None:
        return found
    steps = getattr(estimator, "steps", None)
    if isinstance(steps, list) and steps:
        return _find(steps[0][1], attribute)
    for part in ("best_estimator_", "estimator_", "regressor_"):
        if getattr(estimator, part, None) is not None:
            return _find(getattr(estimator, part), attribute)
    return None


def _check_fitted(estimator: Any, name: str) -> None:
    from sklearn.base import BaseEstimator
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if not isinstance(estimator, BaseEstimator):
        return
    try:
        check_is_fitted(estimator)
    except (NotFittedError, TypeError) as error:
        raise ParameterError(
            f"{name} holds a {type(estimator).__name__} that is not fitted; fit it, then export it."
        ) from error


def _classes(estimator: Any) -> tuple[Any, ...] | None:
    classes = getattr(estimator, "classes_", None)
    if classes is None or isinstance(classes, list) or np.ndim(classes) != 1:
        return None
    labels = [canonical_label(value) for value in classes]
    return tuple(label for label in labels if label is not None)


def _task_hint(estimator: Any) -> str | None:
    from sklearn.base import BaseEstimator, is_classifier, is_regressor

    if isinstance(estimator, BaseEstimator):
        if is_classifier(estimator):
            return "classifier"
        return "regressor" if is_regressor(estimator) else None
    return "classifier" if hasattr(estimator, "predict_proba") else None


def _warning_notes(caught: list[warnings.WarningMessage]) -> list[str]:
    lines = dict.fromkeys(first_line(item.message) for item in caught)
    return [f"The model warned: {line}" for line in list(lines)[:3]]
