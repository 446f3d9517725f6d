"""A model fitted again inside its worker: whether that can be done, and one fit with its scores.

`fit_fold` fits a fresh copy on the first `size` rows of an order and scores it on these and on
rows that it never saw, as `sklearn.model_selection.learning_curve` does for the same order.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import Model, Predictions, RawPredictions, Target, Work
from ..diagnostics.metrics import compute_metrics, find_metric
from ..errors import DiagnosticsError, ModelError, NotApplicable
from ..explainers.permutation import told_target
from ..models import EstimatorModel, KerasModel
from ..models.columns import first_line
from .fits import Fit, encode_fit
from .tasks import Task, Trained

__all__ = ["can_refit", "fit_fold", "scores_of"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Answer = tuple[dict[str, Any], Sequence[Any]]


def can_refit(
    model: Model, tables: Mapping[str, Any], arguments: Mapping[str, Any], work: Work
) -> Answer:
    """Whether a model can be fitted again, and how; nothing is fitted.

    Returns
    -------
    Header as `fits.Refit`; no arrays.
    """
    name = str(arguments.get("name", "The model"))
    try:
        found = _teacher(model).described(name)
    except NotApplicable as error:
        return {"kind": "", "reason": error.reason, "sentence": "", **_nothing()}, ()
    return {**_nothing(), "reason": "", **found}, ()


def _nothing() -> dict[str, Any]:
    return {"shared": [], "parameters": {}, "epochs": None}


def _teacher(model: Model) -> Any:
    """The module that fits models of this kind."""
    from . import estimators, networks

    if isinstance(model, KerasModel):
        return networks.Network(model)
    if isinstance(model, EstimatorModel):
        return estimators.Estimator(model)
    raise NotApplicable(
        "Only models with scikit-learn's interface and Keras networks can be fitted again here; "
        f"this one ({model.info.kind}) is only its answers. Upload the estimator itself "
        "(XGBClassifier in place of its booster), or show its logs by epoch, the curves that it "
        "carries, or a table of sizes and scores."
    )


def fit_fold(
    model: Model, tables: Mapping[str, Any], arguments: Mapping[str, Any], work: Work
) -> Answer:
    """Fit a fresh copy of the model on some rows and score it on these and on others.

    Parameters
    ----------
    tables : "X" rows for the model; "y" their truth; "w" weights where there are any; "train"
        positions of the rows to learn from, in order; "validation" positions of others.
    arguments : "target" as `explainers.permutation.truth` tells it; "metrics" their names;
        "size": how many of the first rows of "train" are used, None = all; "seed": for whatever
        draws at random and has no seed of its own; "params": settings for `set_params`;
        "answers": whether the answers for the validation rows are sent back; "threads": the most
        that numeric libraries may use, None = as they like; "data": digest of X and y;
        "epochs", "batch_size": of networks.

    Returns
    -------
    As `fits.encode_fit` writes a `Fit`.

    Raises
    ------
    NotApplicable : the model cannot be fitted again.
    ModelError : fitting or answering failed.
    ParameterError : unknown settings or metrics.
    """
    teacher = _teacher(model)
    task = _task(tables, arguments, work)
    work.check()
    fit = _fitted(teacher, task, arguments)
    return encode_fit(fit)


def _task(tables: Mapping[str, Any], arguments: Mapping[str, Any], work: Work) -> Task:
    train = np.asarray(tables["train"], dtype=np.int64)
    size = arguments.get("size")
    weight = np.asarray(tables["w"], dtype=np.float64) if "w" in tables else None
    return Task(
        X=tables["X"],
        target=told_target(arguments["target"], np.asarray(tables["y"])),
        weight=weight,
        train=train if size is None else train[:size],
        validation=np.asarray(tables["validation"], dtype=np.int64),
        name=str(arguments.get("name", "The model")),
        data=str(arguments.get("data", "")),
        work=work,
    )


def _fitted(teacher: Any, task: Task, arguments: Mapping[str, Any]) -> Fit:
    names = [find_metric(name).name for name in arguments["metrics"]]
    begin = time.perf_counter()
    with threads_capped(arguments.get("threads")), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of one class, of convergence: the scores tell
        trained: Trained = guarded(task, lambda: teacher.fit(task, arguments))
        fitted = time.perf_counter()
        known = guarded(task, trained.on_train)
        unknown = guarded(task, trained.on_validation)
    reasons: dict[str, str] = {}
    train = _scores(known, task, task.train, names, reasons)
    validation = _scores(unknown, task, task.validation, names, reasons)
    return Fit(
        train=train,
        validation=validation,
        fit_seconds=fitted - begin,
        score_seconds=time.perf_counter() - fitted,
        shared=trained.shared,
        reasons=reasons,
        notes=trained.notes,
        answers=unknown if arguments.get("answers") else None,
    )


def threads_capped(threads: int | None) -> AbstractContextManager[Any]:
    """Numeric libraries use at most so many threads within."""
    if threads is None:
        return nullcontext()
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(limits=threads)
    return limits


def guarded(task: Task, step: Any) -> Any:
    """The step's outcome; what a stranger's estimator raises becomes a sentence."""
    try:
        return step()
    except (DiagnosticsError, MemoryError):
        raise
    except Exception as error:
        raise ModelError(
            f"{task.name} could not be fitted on {len(task.train):,} rows "
            f"({type(error).__name__}: {first_line(error)[:300]})."
        ) from error


def _scores(
    raw: RawPredictions, task: Task, at: Ints, metrics: Sequence[str], reasons: dict[str, str]
) -> Floats:
    """`(m,)` of the answers for the rows `at`."""
    weight = None if task.weight is None else task.weight[at]
    return scores_of(raw, task.target.take(at), weight, task.name, metrics, reasons)


def scores_of(
    raw: RawPredictions,
    target: Target,
    weight: Floats | None,
    name: str,
    metrics: Sequence[str],
    reasons: dict[str, str],
) -> Floats:
    """`(m,)` one score for each metric; NaN where it has no value, with the reason added."""
    predictions = Predictions.normalise(
        raw, target.known_to([raw]), name=name, sample_weight=weight
    )
    rows = [
        row
        for one, asked in _parts(predictions, metrics)
        for row in compute_metrics(one, metrics=asked, n_bootstrap=2, per_class=False).rows
    ]
    found = {row.metric: row for row in rows if row.label == ""}
    values = np.full(len(metrics), np.nan)
    for place, metric in enumerate(metrics):
        row = found.get(metric)
        if row is None:
            reasons[metric] = f"{find_metric(metric).title} is a number for each class here."
        elif np.isnan(row.value):
            reasons[metric] = row.reason or f"{find_metric(metric).title} has no value here."
        else:
            values[place] = row.value
    return values


def _parts(predictions: Predictions, metrics: Sequence[str]) -> list[tuple[Predictions, list[str]]]:
    """What judges labels is told the model's own: nobody chose a threshold for a fit.

    At ties they differ from `score >= threshold`; scikit-learn judges them too.
    """
    if predictions.y_pred is None or predictions.y_score is None:
        return [(predictions, list(metrics))]
    own = replace(predictions, y_score=None, score_kind=None)
    labels = [name for name in metrics if find_metric(name).needs == "labels"]
    others = [name for name in metrics if name not in labels]
    return [(one, asked) for one, asked in ((own, labels), (predictions, others)) if asked]
