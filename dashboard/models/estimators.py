"""Models with the scikit-learn API, plain callables, and the columns that they are given."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import ModelInfo, RawPredictions, ScoreKind, canonical_label
from ..errors import ModelError, ParameterError, UntrustedModel
from .allowed import TRUSTED, check_schema
from .boosted_columns import BoostedColumns, boosted_columns
from .columns import as_matrix, failure, first_line, match_columns, text_column
from .model_warnings import recorded, version_notes, warning_notes
from .refused_rows import InParts, answer_in_parts, filled, taken
from .structure import check_structure

__all__ = ["CallableModel", "EstimatorModel", "load_skops"]

# Names from these are nobody's own; what is left out of them is judged in `allowed`.
_LIBRARIES = frozenset(
    {"builtins", "collections", "functools", "numpy", "operator", "pandas", "scipy", "sklearn"}
)
_MODEL_PACKAGES = frozenset({"category_encoders", "imblearn", "quantile_forest"})


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
        with recorded() as caught:
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
            notes=(*version_notes(caught), *_skops_notes(schema)),
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


def _skops_notes(schema: dict[str, Any]) -> list[str]:
    import skops

    saved = schema.get("_skops_version")
    if isinstance(saved, str) and saved.split(".")[:2] != skops.__version__.split(".")[:2]:
        return [f"Saved with skops {saved}; opened with {skops.__version__}."]
    return []


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
        self._columns = boosted_columns(_first(estimator))
        names, count = _fitted_on(estimator, self._columns)
        self._info = ModelInfo(
            format=format,
            kind=describe(estimator),
            feature_names=names,
            n_features=count,
            classes=None if self._columns and self._columns.multilabel else _classes(estimator),
            task_hint=_task_hint(estimator),
            digest=digest,
            size=size,
            notes=notes,
        )

    @property
    def info(self) -> ModelInfo:
        return self._info

    @property
    def estimator(self) -> Any:
        """The fitted estimator itself, for what looks into it."""
        return self._estimator

    def prepare(self, X: pd.DataFrame | npt.NDArray[Any]) -> Any:
        """What the estimator is given for the rows `X`: its columns, in its order and types."""
        return self._prepare(X)[0]

    def predict(self, X: pd.DataFrame | npt.NDArray[Any]) -> RawPredictions:
        """Answers for every row of `X`, columns matched by name where the model knows names."""
        return self._answers(X, with_labels=True)

    def predict_scores(self, X: pd.DataFrame | npt.NDArray[Any]) -> RawPredictions:
        """The scores alone, for callers that ask often: a forest works twice for both."""
        return self._answers(X, with_labels=False)

    def _answers(self, X: pd.DataFrame | npt.NDArray[Any], *, with_labels: bool) -> RawPredictions:
        given, notes = self._prepare(X)
        return self._answered(given, notes, X, with_labels=with_labels)

    def answer_prepared(self, given: Any, *, with_labels: bool = True) -> RawPredictions:
        """Answers for rows that are as `prepare` gives them; without labels only the scores."""
        return self._answered(given, [], given, with_labels=with_labels)

    def _answered(
        self, given: Any, notes: list[str], X: Any, *, with_labels: bool
    ) -> RawPredictions:
        try:
            with recorded() as caught:
                labels, scores, kind = self._asked(given, with_labels)
        except Exception as error:  # noqa: BLE001 - a stranger's; raised where no row is answered
            labels, scores, kind, said = self._asked_in_parts(given, with_labels, X, error)
            notes.append(said)
        notes += warning_notes(caught)
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

    def refused(self, X: pd.DataFrame | npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Positions of a few rows that it fails on while it answers the others."""
        parts = self._in_parts(self.prepare(X), with_labels=True)
        return np.empty(0, dtype=np.int64) if parts is None else parts.refused

    def _asked(self, given: Any, with_labels: bool) -> tuple[Any, Any, ScoreKind | None]:
        labels = _one_column(self._estimator.predict(given)) if with_labels else None
        return labels, *self._scores(given)

    def _in_parts(self, given: Any, with_labels: bool) -> InParts[Any] | None:
        with recorded():
            return answer_in_parts(
                lambda at: self._asked(taken(given, at), with_labels), len(given), given
            )

    def _asked_in_parts(
        self, given: Any, with_labels: bool, X: Any, error: Exception
    ) -> tuple[Any, Any, ScoreKind | None, str]:
        """The same for all rows but those that it fails on, and a sentence about these."""
        parts = None
        if not isinstance(error, MemoryError):
            parts = self._in_parts(given, with_labels)
        if parts is None:
            raise ModelError(failure(self._name, error, X)) from error
        try:
            labels, scores = _together(parts, self._info.task_hint == "regressor")
        except (TypeError, ValueError):
            raise ModelError(failure(self._name, error, X)) from error
        said = failure(self._name, error, X, (len(parts.refused), parts.n))
        return labels, scores, parts.parts[0][1][2], said

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
        if info.feature_names is None:
            return as_matrix(X, info.n_features, self._name)
        if self._columns is None:
            return match_columns(X, info.feature_names, self._name)
        return boosted_frame(X, self._columns, self._name)

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


def _together(parts: InParts[Any], numbers: bool) -> tuple[Any, Any]:
    """Labels and scores of all rows; those of refused rows are missing."""
    labels, scores, _ = parts.parts[0][1]
    if labels is not None:
        labels = filled(parts.of(lambda one: one[0]))
        labels = labels.astype(np.float64) if numbers else labels
    if isinstance(scores, list):
        scores = [filled(parts.of(partial(_output, at))) for at in range(len(scores))]
    elif scores is not None:
        scores = filled(parts.of(lambda one: one[1]))
    return labels, scores


def _output(at: int, answer: tuple[Any, Any, Any]) -> Any:
    return answer[1][at]


def boosted_frame(X: Any, columns: BoostedColumns, name: str) -> tuple[Any, list[str]]:
    """The columns of a booster by name, with the categories of its training."""
    frame, notes = match_columns(columns.renamed(X), columns.names or (), name)
    frame, more = columns.as_categories(frame, name)
    return frame, [*notes, *more]


def _fitted_on(
    estimator: Any, columns: BoostedColumns | None
) -> tuple[tuple[str, ...] | None, int | None]:
    """Names and number of the columns that it was fitted on, as far as it knows them."""
    if columns is not None:
        return columns.names, columns.count
    names = _find(estimator, "feature_names_in_")
    count = _find(estimator, "n_features_in_")
    return (
        None if names is None else tuple(str(column) for column in names),
        None if count is None else int(count),
    )


def _one_column(labels: Any) -> Any:
    """CatBoost answers classes as a column; it means one answer a row."""
    wide = isinstance(labels, np.ndarray) and labels.ndim == 2 and labels.shape[1] == 1
    return labels[:, 0] if wide and labels.dtype.kind in "OUSib" else labels


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

    def __init__(
        self,
        function: Callable[[Any], Any],
        *,
        name: str,
        format: str = "in-memory",
        digest: str = "",
        size: int = 0,
        notes: tuple[str, ...] = (),
    ) -> None:
        self._function = function
        self._name = name
        self._info = ModelInfo(
            format=format,
            kind=f"Function: {getattr(function, '__name__', name)}",
            digest=digest,
            size=size,
            notes=notes,
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
    implied = kind.startswith(("RandomForest", "ExtraTrees"))  # of trees
    return f"{kind} of {describe(inner)}" if hasattr(inner, "predict") and not implied else kind


# Where a search, a threshold or a transformed target keeps the one fitted estimator inside.
_WHOLE = ("best_estimator_", "estimator_", "regressor_")


def _first(estimator: Any) -> Any:
    """The part that sees the columns first."""
    steps = getattr(estimator, "steps", None)
    if isinstance(steps, list) and steps:
        return _first(steps[0][1])
    union = getattr(estimator, "transformer_list", None)
    if isinstance(union, list) and union:
        return _first(union[0][1])
    for part in _WHOLE:
        if getattr(estimator, part, None) is not None:
            return _first(getattr(estimator, part))
    return estimator


def _find(estimator: Any, attribute: str) -> Any:
    """The attribute from the estimator or from the first part that sees the columns."""
    found = getattr(estimator, attribute, None)
    if found is not None:
        return found
    steps = getattr(estimator, "steps", None)
    if isinstance(steps, list) and steps:
        return _find(steps[0][1], attribute)
    for part in _WHOLE:
        if getattr(estimator, part, None) is not None:
            return _find(getattr(estimator, part), attribute)
    return None


def _check_fitted(estimator: Any, name: str) -> None:
    from sklearn.base import BaseEstimator
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        if isinstance(estimator, BaseEstimator):
            check_is_fitted(estimator)
        elif callable(getattr(estimator, "is_fitted", None)) and not estimator.is_fitted():
            raise NotFittedError  # CatBoost has a question of its own
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
    if getattr(estimator, "_estimator_type", None) in ("classifier", "regressor"):  # CatBoost
        return str(estimator._estimator_type)
    return "classifier" if hasattr(estimator, "predict_proba") else None
