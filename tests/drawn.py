"""Predictions drawn from known distributions, for every task; arrays in the form of `contracts`."""

from __future__ import annotations

from typing import Any

import numpy as np

from dashboard.contracts import Predictions, ScoreKind, Target, Task


def given(
    task: Task,
    y: Any,
    *,
    y_pred: Any = None,
    y_score: Any = None,
    score_kind: ScoreKind | None = None,
    labels: tuple[Any, ...] = (),
    pos_label: int | None = None,
    sample_weight: Any = None,
    name: str = "m",
) -> Predictions:
    y = np.asarray(y)
    if y_score is not None and score_kind is None:
        score_kind = ScoreKind.PROBABILITY
    return Predictions(
        name=name,
        target=Target(task, "target", labels, y, pos_label),
        y_pred=None if y_pred is None else np.asarray(y_pred),
        y_score=None if y_score is None else np.asarray(y_score),
        score_kind=score_kind,
        sample_weight=None if sample_weight is None else np.asarray(sample_weight, float),
        rows=np.arange(len(y)),
        n_given=len(y),
    )


def binary_labels(y: Any, y_pred: Any, **options: Any) -> Predictions:
    """Two classes "no" and "yes"; "yes" is positive; codes or booleans."""
    y, y_pred = np.asarray(y, np.int64), np.asarray(y_pred, np.int64)
    return given(Task.BINARY, y, y_pred=y_pred, labels=("no", "yes"), pos_label=1, **options)


def from_matrix(matrix: Any, labels: tuple[Any, ...] | None = None) -> Predictions:
    """The rows behind a printed matrix (rows are true classes)."""
    matrix = np.asarray(matrix)
    k = len(matrix)
    true, pred = np.divmod(np.repeat(np.arange(k * k), matrix.ravel()), k)
    if k == 2:
        return binary_labels(true, pred)
    return given(Task.MULTICLASS, true, y_pred=pred, labels=labels or tuple(range(k)))


def drawn_binary(
    n: int = 200, seed: int = 0, ties: bool = False, weight: Any = None
) -> Predictions:
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(np.int64)
    y[:2] = 0, 1
    score = 1 / (1 + np.exp(-(rng.normal(size=n) + 1.5 * y - 1)))
    score = score.round(1) if ties else score
    return given(
        Task.BINARY, y, y_score=score, labels=("no", "yes"), pos_label=1, sample_weight=weight
    )


def drawn_multiclass(
    n: int = 200, k: int = 7, seed: int = 0, ties: bool = False, weight: Any = None
) -> Predictions:
    rng = np.random.default_rng(seed)
    y = rng.choice(k, n, p=np.arange(1, k + 1) / np.arange(1, k + 1).sum())
    y[:k] = np.arange(k)
    z = rng.normal(size=(n, k))
    z[np.arange(n), y] += 1
    score = np.exp(z.round() if ties else z)
    score /= score.sum(axis=1, keepdims=True)
    labels = tuple("abcdefghijklmnopqrstuvwxyz"[:k])
    return given(
        Task.MULTICLASS, y, y_pred=score.argmax(axis=1), y_score=score, labels=labels,
        sample_weight=weight,
    )  # fmt: skip


def drawn_multilabel(
    n: int = 200, k: int = 4, seed: int = 0, ties: bool = False, weight: Any = None
) -> Predictions:
    rng = np.random.default_rng(seed)
    y = (rng.random((n, k)) < np.linspace(0.2, 0.6, k)).astype(np.uint8)
    y[0], y[1] = 0, 1
    score = 1 / (1 + np.exp(-(rng.normal(size=(n, k)) + 1.5 * y - 0.8)))
    score = score.round(1) if ties else score
    return given(
        Task.MULTILABEL, y, y_score=score, score_kind=ScoreKind.INDEPENDENT,
        labels=tuple(f"tag {j}" for j in range(k)), sample_weight=weight,
    )  # fmt: skip


def drawn_regression(
    n: int = 200, k: int = 1, seed: int = 0, ties: bool = False, weight: Any = None
) -> Predictions:
    rng = np.random.default_rng(seed)
    shape = n if k == 1 else (n, k)
    y = 10 + 3 * rng.normal(size=shape)
    pred = y + 0.3 + rng.standard_t(5, size=shape)
    if ties:
        y, pred = y.round(), pred.round()
    task = Task.REGRESSION if k == 1 else Task.MULTIOUTPUT_REGRESSION
    labels = () if k == 1 else tuple(f"output {j}" for j in range(k))
    return given(task, y, y_pred=pred, labels=labels, sample_weight=weight)


def drawn(task: Task, **options: Any) -> Predictions:
    """Predictions of any task with sensible errors, every class in truth and prediction."""
    if task is Task.MULTIOUTPUT_REGRESSION:
        return drawn_regression(k=3, **options)
    return {
        Task.BINARY: drawn_binary,
        Task.MULTICLASS: drawn_multiclass,
        Task.MULTILABEL: drawn_multilabel,
        Task.REGRESSION: drawn_regression,
    }[task](**options)
