"""The seams: what a task, a target, a model and its predictions are, for everything downstream.

`Predictions.normalise` is the one place where shapes, labels and the positive class are
brought into one form; everything behind it assumes that form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import DiagnosticsError, NotApplicable, ParameterError
from .attributions import Attributions, Background, OutputSpace, normal_quantile
from .findings import SEVERITIES, Finding, Severity, findings_frame, worst_severity
from .networks import DropoutSpread, LayerSummary, NetworkSummary
from .normalisation import Answers, check_weights, known_labels, normalise_answers
from .runs import Histograms, Run, Series
from .score_columns import Expected
from .searches import SearchParameter, SearchResults, SearchScore, TrialStatus
from .targets import encode_target
from .vocabulary import (
    Label,
    ScoreKind,
    Task,
    canonical_label,
    listing,
    match_labels,
    plural,
    sorted_labels,
)
from .work import Work

__all__ = [
    "SEVERITIES",
    "Attributions",
    "Background",
    "DropoutSpread",
    "Finding",
    "Histograms",
    "Label",
    "LayerSummary",
    "Model",
    "ModelInfo",
    "NetworkSummary",
    "OutputSpace",
    "Predictions",
    "RawPredictions",
    "Result",
    "Run",
    "ScoreKind",
    "SearchParameter",
    "SearchResults",
    "SearchScore",
    "Series",
    "Severity",
    "Target",
    "Task",
    "TrialStatus",
    "Work",
    "canonical_label",
    "findings_frame",
    "normal_quantile",
    "worst_severity",
]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Target:
    """The truth to compare with, for n evaluated rows (rows without a label are gone already).

    Attributes
    ----------
    task : what is predicted.
    name : the target column, or several joined by ", ".
    labels : classification: the classes in sorted order (of a one-hot target: in the order of
        its columns, which is that of a network's outputs); multilabel: the label names;
        multi-output regression: the output names; regression: `()`.
    y : binary and multiclass: class codes `(n,)` int64, indices into `labels`;
        multilabel: `(n, n_labels)` uint8; regression: `(n,)` float64;
        multi-output regression: `(n, n_outputs)` float64.
    pos_label : binary only: index into `labels` of the positive class, else None.
    notes : sentences on what was understood (one-hot decoded, classes sorted, …).
    """

    task: Task
    name: str
    labels: tuple[Label, ...]
    y: npt.NDArray[Any]
    pos_label: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        return len(self.y)

    @classmethod
    def from_values(
        cls,
        values: Any,
        *,
        name: str = "target",
        task: Task | None = None,
        pos_label: Label | None = None,
        max_classes: int = 1_000,
    ) -> Target:
        """Infer the task where it is not given, encode the labels. `values` has no missing rows.

        Several columns of 0 and 1 with exactly one 1 a row are one-hot classes, other columns of
        0 and 1 are labels, other columns are outputs. Fractions are regression, and so are whole
        numbers with more than 20 distinct values unless these are consecutive and at most 5 % of
        the rows. `notes` say which was decided and why.

        Raises
        ------
        DataError : no rows, missing values, one class only, values that cannot be a target.
        LimitExceeded : more than `max_classes` classes.
        ParameterError : a task the values cannot be, or a positive class that is none of them.
        """
        encoded = encode_target(values, name, task, pos_label, max_classes)
        return cls(encoded.task, name, *encoded[1:])

    def with_labels(self, more: Sequence[Label]) -> Target:
        """The same target with classes added that a model knows and these rows lack.

        Labels that only are written differently, and codes 0 … k-1 for k classes, add nothing.
        A binary target that gains a class becomes multiclass.
        """
        if self.task not in (Task.BINARY, Task.MULTICLASS):
            return self
        given = [label for label in map(canonical_label, more) if label is not None]
        unknown = match_labels(given, self.labels, complete=True).unknown
        if not unknown:
            return self
        labels = (*self.labels, *unknown)
        if self.labels == sorted_labels(self.labels):  # one-hot columns keep their order
            labels = sorted_labels(labels)
        codes = np.array([labels.index(label) for label in self.labels], dtype=np.int64)
        note = (
            f"{plural(len(unknown), 'class', 'classes')} that no row has "
            f"({listing(unknown)}) {'is' if len(unknown) == 1 else 'are'} known to a model."
        )
        return Target(Task.MULTICLASS, self.name, labels, codes[self.y], None, (*self.notes, note))

    def known_to(self, raws: Iterable[RawPredictions]) -> Target:
        """A multiclass target with every class added that some predictions name or answer.

        A binary target stays binary: an answer that is neither class is that model's error.
        """
        target = self
        for raw in raws:
            # What cannot be read is said by `normalise`, for its own model only.
            with suppress(DiagnosticsError):
                target = target.with_labels(known_labels(raw._answers, target._expected))
        return target

    def take(self, rows: IntArray) -> Target:
        """The target of some rows, by position."""
        return replace(self, y=self.y[rows])

    def digest(self) -> str:
        """Hex digest of the task, the labels and the truth."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        return _digest_of(self.task, self.name, self.labels, self.pos_label, self.notes, self.y)

    @property
    def _expected(self) -> Expected:
        return Expected(self.task, self.labels, self.pos_label, self.n)


@dataclass(frozen=True, eq=False)
class RawPredictions:
    """What a model or a file said, unchanged. Every shape a framework produces is allowed here.

    Attributes
    ----------
    labels : predicted labels or values, `(n,)`, `(n, 1)` or `(n, k)`, or None.
    scores : `(n,)`, `(n, 1)`, `(n, 2)`, `(n, k)`, a list of arrays (multilabel
        `predict_proba`), a dict (exported networks), or None.
    classes : the order of the score columns (`classes_`), or None when the source has none.
    score_kind : None = detect.
    """

    labels: Any | None = None
    scores: Any | None = None
    classes: Sequence[Any] | None = None
    score_kind: ScoreKind | None = None
    notes: tuple[str, ...] = ()

    @property
    def _answers(self) -> Answers:
        return Answers(self.labels, self.scores, self.classes, self.score_kind)


@dataclass(frozen=True, eq=False)
class Predictions:
    """One model's answers beside the truth, in the one form that every diagnostic takes.

    Attributes
    ----------
    name : the model's display name.
    target : the truth of the *kept* rows (`target.n == n`).
    y_pred : same form as `target.y` (codes; uint8 matrix; floats), or None when only scores
        were given (binary and multilabel: derive it with a threshold).
    y_score : binary: `(n,)` float64 or float32, larger = more likely positive
        (`target.pos_label`); multiclass: `(n, n_classes)` in the order of `target.labels`;
        multilabel: `(n, n_labels)`; regression or labels only: None.
    score_kind : None without scores.
    sample_weight : `(n,)` float64 or None.
    rows : `(n,)` int64, positions of the kept rows in the evaluation set.
    n_given : rows of the evaluation set, before rows without a usable prediction were left out.
    notes : sentences to show: what was detected, converted, left out.
    """

    name: str
    target: Target
    y_pred: npt.NDArray[Any] | None
    y_score: FloatArray | None
    score_kind: ScoreKind | None
    sample_weight: FloatArray | None
    rows: IntArray
    n_given: int
    notes: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        return len(self.rows)

    @property
    def task(self) -> Task:
        return self.target.task

    @classmethod
    def normalise(
        cls,
        raw: RawPredictions,
        target: Target,
        *,
        name: str,
        sample_weight: FloatArray | None = None,
    ) -> Predictions:
        """Bring `raw` (one answer per row of `target`) into the one form.

        Raises
        ------
        PredictionError : shapes, classes or lengths that do not fit, named with both sides.
        ParameterError : weights of the wrong length, negative, or not finite.
        """
        form = normalise_answers(raw._answers, target._expected)
        all_kept = len(form.rows) == target.n
        weights = None
        if sample_weight is not None:
            weights = check_weights(sample_weight, target.n)[form.rows]
        found = cls(
            name=name,
            target=target if all_kept else target.take(form.rows),
            y_pred=form.y_pred,
            y_score=form.y_score,
            score_kind=form.score_kind,
            sample_weight=weights,
            rows=form.rows,
            n_given=target.n,
            notes=(*raw.notes, *form.notes),
        )
        return replace(found, notes=(*found.notes, *found._own_labels_differ()))

    def _own_labels_differ(self) -> list[str]:
        """Binary: a sentence where the model's own labels are not `score >= threshold`."""
        if self.task is not Task.BINARY or self.y_pred is None or self.y_score is None:
            return []
        positive = self.y_pred == self.target.pos_label
        differ = int(((self.y_score >= self.default_threshold) != positive).sum())
        if not differ:
            return []
        return [
            f"The model's own labels decide {differ:,} of {plural(self.n, 'row')} otherwise than "
            f"its scores do at {self.default_threshold:g}; here the scores count, and a score "
            "equal to the threshold is positive."
        ]

    @property
    def default_threshold(self) -> float:
        """The model's own operating point in units of `y_score`: .5, or 0 for log-odds."""
        return 0.0 if self.score_kind in (ScoreKind.LOGIT, ScoreKind.DECISION) else 0.5

    def threshold_from_share(self, share: float) -> float:
        """The threshold in units of `y_score` for a common control in [0, 1].

        Identity for probabilities; logit for log-odds; logit times the scale of the scores
        (their root mean square) for decision values, so that .5 is always the model's own
        threshold.
        """
        if not 0 <= share <= 1:
            raise ParameterError(f"Argument share must fulfil 0 <= share <= 1, got {share}.")
        if self.score_kind not in (ScoreKind.LOGIT, ScoreKind.DECISION):
            return float(share)
        with np.errstate(divide="ignore"):
            log_odds = float(np.log(share) - np.log1p(-share))
        return log_odds if self.score_kind is ScoreKind.LOGIT else log_odds * self._scale

    @cached_property
    def _scale(self) -> float:
        """Root mean square of the finite scores; 1 where there is none to measure."""
        scores = np.asarray([] if self.y_score is None else self.y_score, dtype=np.float64)
        finite = scores[np.isfinite(scores)]
        scale = float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0
        return scale if scale > 0 else 1.0

    def scores_of(self, label: int) -> FloatArray:
        """`(n,)` scores of one class or label against the rest; turned for the negative class.

        Raises
        ------
        NotApplicable : no scores, or a regression.
        ParameterError : no such label.
        """
        if self.y_score is None:
            raise NotApplicable(f"{self.name} gives no scores.")
        self._check_label(label)
        if self.task is not Task.BINARY:
            return self.y_score[:, label]
        if label == self.target.pos_label:
            return self.y_score
        unbounded = self.score_kind in (ScoreKind.LOGIT, ScoreKind.DECISION)
        # float64: 1 - x in float32 can make equal what was not
        return -self.y_score if unbounded else 1.0 - self.y_score.astype(np.float64)

    def truth_of(self, label: int) -> npt.NDArray[np.bool_]:
        """`(n,)` whether a row is of this class, or has this label."""
        self._check_label(label)
        if self.task is Task.MULTILABEL:
            return np.asarray(self.target.y[:, label] == 1)
        return np.asarray(self.target.y == label)

    def _check_label(self, label: int) -> None:
        if not self.task.is_classification:
            raise NotApplicable(f"{self.target.name} is a number to predict; it has no classes.")
        if not 0 <= label < len(self.target.labels):
            raise ParameterError(
                f"Argument label must be a position from 0 to {len(self.target.labels) - 1} "
                f"({listing(self.target.labels)}), got {label}."
            )

    def digest(self) -> str:
        """Hex digest of everything that a diagnostic can read, for cache keys."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        return _digest_of(
            self.name,
            self.target.digest(),
            self.score_kind,
            self.n_given,
            self.notes,
            self.y_pred,
            self.y_score,
            self.sample_weight,
            self.rows,
        )


def _digest_of(*parts: Any) -> str:
    """SHA-256 of values by their written form and of arrays by type, shape and bytes."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"array {part.dtype.str} {part.shape}:".encode())
            digest.update(np.ascontiguousarray(part).data)
        else:
            digest.update(f"{type(part).__name__} {part!r};".encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class ModelInfo:
    """What a loaded model says of itself; `None` = it does not say.

    Attributes
    ----------
    format : "skops", "pickle", "xgboost", "lightgbm", "catboost", "mlflow sklearn", "keras",
        "onnx", …; "in-memory" where it comes from no file.
    kind : a short human description, "Pipeline: StandardScaler → LogisticRegression".
    feature_names : the columns it was fitted on, in order.
    n_features : number of input columns, where names are not known.
    input_shape : shape of one row for networks, e.g. `(8, 8, 1)`.
    classes : the classes in the order of its score columns.
    task_hint : "classifier", "regressor" or None.
    digest : sha-256 of the file.
    size : bytes of the file.
    notes : sentences to show (versions differ, features matched by order, …).
    """

    format: str
    kind: str
    feature_names: tuple[str, ...] | None = None
    n_features: int | None = None
    input_shape: tuple[int | None, ...] | None = None
    classes: tuple[Label, ...] | None = None
    task_hint: str | None = None
    digest: str = ""
    size: int = 0
    notes: tuple[str, ...] = ()


@runtime_checkable
class Model(Protocol):
    """Anything that answers rows. In process or behind a worker, nobody downstream can tell."""

    @property
    def info(self) -> ModelInfo: ...

    def predict(self, X: pd.DataFrame | npt.NDArray[Any]) -> RawPredictions:
        """Answers for every row of `X`, in order.

        Raises
        ------
        ModelError : features missing or misnamed (named), or the model's own failure in one
            sentence.
        """
        ...


@runtime_checkable
class Result(Protocol):
    """What every `compute_*` returns: a frozen noun with the table behind its figure."""

    def frame(self) -> pd.DataFrame: ...
