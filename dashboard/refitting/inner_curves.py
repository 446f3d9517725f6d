"""Curves that a fitted model carries: what was logged while it was fitted, and its stages.

Stages are what a boosted model answers after its first rounds, scored on the loaded rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import Model, Run, Series, Work
from ..diagnostics.metrics import find_metric
from ..errors import NotApplicable
from ..explainers.permutation import told_target
from ..frames import Frame, FrameError, plain_text
from ..logs.booster_logs import run_of_evaluations
from ..models import EstimatorModel, KerasModel
from .fitting import Answer, scores_of
from .stages import Stages, last_step, stages_of

__all__ = ["inner_curves", "read_inner_curves"]

MOST_RUNS, MOST_SERIES, MOST_STEPS = 20, 200, 1_000_000
STAGES = "Stages of boosting"
_SENTENCE = 500
_UNITS = ("epoch", "batch", "iteration", "step")
_PARTS = ("train", "validation", "test", "")


def inner_curves(
    model: Model, tables: Mapping[str, Any], arguments: Mapping[str, Any], work: Work
) -> Answer:
    """What the fitted model tells of its own fitting.

    Parameters
    ----------
    tables : "X" and "y", for stages; without them only what was logged. "w" weights.
    arguments : "target" as `truth` tells it; "metrics" for the stages; "stages": at most so many.

    Returns
    -------
    As `read_inner_curves` reads it.

    Raises
    ------
    NotApplicable : it carries no curve and has no stages.
    """
    name = str(arguments.get("name", "The model"))
    runs = list(_logged(model, name))
    stages = stages_of(model, int(arguments.get("stages") or 50)) if "X" in tables else None
    if stages is not None:
        runs.append(_staged(stages, tables, arguments, name, work))
    if not runs:
        raise NotApplicable(
            f"{name} ({model.info.kind}) carries no curve of its fitting. Upload its log by epoch, "
            "or fit it anew by training size."
        )
    return _encoded(runs)


# ---- what was logged ---------------------------------------------------------------------------


def _logged(model: Model, name: str) -> Iterator[Run]:
    if isinstance(model, KerasModel):
        history = getattr(getattr(model.network, "history", None), "history", None)
        if isinstance(history, dict) and history:
            yield _history(history, name)
        return
    if not isinstance(model, EstimatorModel):
        return
    last = last_step(model.estimator)
    for reader in (_perceptron, _hist_boosting, _gradient_boosting, _boosters):
        found = reader(last, name)
        if found is not None:
            yield found


def _history(history: Mapping[str, Sequence[float]], name: str) -> Run:
    series = []
    for key, values in history.items():
        part = "validation" if key.startswith("val_") else "train"
        metric = key.removeprefix("val_")
        part = "" if metric in ("lr", "learning_rate") else part
        series.append(_series(metric, part, values, "epoch", key))
    return Run(name, "Keras History", tuple(series))


def _series(
    metric: str, part: str, values: Any, unit: str, logged_as: str, first: int = 1
) -> Series:
    numbers = np.asarray(values, dtype=np.float64).reshape(-1)
    steps = np.arange(first, first + len(numbers), dtype=np.int64)
    return Series(metric, part, steps, numbers, unit, None, logged_as)


def _perceptron(last: Any, name: str) -> Run | None:
    """MLPClassifier and MLPRegressor: the loss with its penalty, and the score of held-out rows."""
    curve = getattr(last, "loss_curve_", None)
    if curve is None or not len(curve):
        return None
    series = [_series("loss", "train", curve, "epoch", "loss_curve_")]
    scores = getattr(last, "validation_scores_", None)
    if scores is not None and len(scores):
        metric = "accuracy" if hasattr(last, "classes_") else "r2"
        series.append(_series(metric, "validation", scores, "epoch", "validation_scores_"))
    note = "The training loss holds the penalty alpha and is a mean over each epoch as it went."
    return Run(name, type(last).__name__, tuple(series), notes=(note,))


def _hist_boosting(last: Any, name: str) -> Run | None:
    """Histogram boosting that stops early: scores before the first and after each round."""
    if not type(last).__name__.startswith("HistGradientBoosting"):
        return None
    scoring = getattr(last, "scoring", None)
    metric, sign = ("loss", -1.0) if scoring == "loss" else (str(scoring or "score"), 1.0)
    if metric.startswith("neg_"):
        metric, sign = metric.removeprefix("neg_"), -1.0
    series = [
        _series(metric, part, sign * np.asarray(scores), "iteration", key, first=0)
        for part, key in (("train", "train_score_"), ("validation", "validation_score_"))
        if len(scores := getattr(last, key, ()))
    ]
    return Run(name, type(last).__name__, tuple(series)) if series else None


def _gradient_boosting(last: Any, name: str) -> Run | None:
    """Gradient boosting: the loss of the rows of each round, and of those it left out."""
    scores = getattr(last, "train_score_", None)
    if not type(last).__name__.startswith("GradientBoosting") or scores is None:
        return None
    series = [_series("loss", "train", scores, "iteration", "train_score_")]
    left_out = getattr(last, "oob_scores_", None)
    notes = ["The loss is scikit-learn's deviance, on the rows that each round drew."]
    if left_out is not None and len(left_out):
        series.append(_series("loss", "validation", left_out, "iteration", "oob_scores_"))
        notes.append("Validation: the rows that each round left out.")
    return Run(name, type(last).__name__, tuple(series), notes=tuple(notes))


def _boosters(last: Any, name: str) -> Run | None:
    """What XGBoost, LightGBM and CatBoost kept of the rows that they were given to watch."""
    package = type(last).__module__.split(".")[0]
    told: Any = None
    if package == "xgboost":
        told = getattr(last, "evals_result_", None)
    elif package == "lightgbm":
        told = getattr(last, "evals_result_", None) or getattr(last, "_evals_result", None)
    elif package == "catboost":
        told = last.get_evals_result()
    if not told:
        return None
    table = {
        str(rows): {str(metric): [float(v) for v in values] for metric, values in found.items()}
        for rows, found in told.items()
    }
    run = run_of_evaluations(table, name)
    source = {"xgboost": "XGBoost", "lightgbm": "LightGBM", "catboost": "CatBoost"}[package]
    return replace(run, source=source)


# ---- stages ------------------------------------------------------------------------------------


def _staged(
    stages: Stages,
    tables: Mapping[str, Any],
    arguments: Mapping[str, Any],
    name: str,
    work: Work,
) -> Run:
    target = told_target(arguments["target"], np.asarray(tables["y"]))
    weight = np.asarray(tables["w"], dtype=np.float64) if "w" in tables else None
    metrics = [find_metric(one).name for one in arguments["metrics"]]
    reasons: dict[str, str] = {}
    values = np.full((len(stages.rounds), len(metrics)), np.nan)
    for place, raw in enumerate(stages.answers(tables["X"])):
        work.check()
        work.progress(place, len(stages.rounds), f"{name} after {stages.rounds[place]} rounds")
        values[place] = scores_of(raw, target, weight, name, metrics, reasons)
    steps = np.asarray(stages.rounds, dtype=np.int64)
    series = tuple(
        Series(metric, "validation", steps, values[:, k].copy(), "iteration", None, "stages")
        for k, metric in enumerate(metrics)
        if np.isfinite(values[:, k]).any()
    )
    cut = f"{len(steps)} of {stages.n_rounds} rounds were scored. " * (len(steps) < stages.n_rounds)
    note = f"{cut}Validation: the loaded rows; if the model learned from them, its scores flatter."
    return Run(name, STAGES, series, notes=(note, *reasons.values()))


# ---- messages ----------------------------------------------------------------------------------


def _encoded(runs: Sequence[Run]) -> Answer:
    arrays: list[npt.NDArray[Any]] = []
    told = []
    for run in runs[:MOST_RUNS]:
        lines = []
        for one in run.series[:MOST_SERIES]:
            lines.append([one.metric, one.part, one.unit, one.logged_as])
            arrays += [one.steps.astype(np.int64), one.values.astype(np.float64)]
        told.append({"source": run.source, "series": lines, "notes": list(run.notes)})
    return {"runs": told}, arrays


def read_inner_curves(frame: Frame, *, name: str) -> list[Run]:
    """The runs that "inner_curves" answered, under a name.

    Raises
    ------
    FrameError : anything else.
    """
    told = frame.header.get("runs")
    if not isinstance(told, list) or not 0 < len(told) <= MOST_RUNS:
        raise FrameError("The curves of a model are no list of runs.")
    arrays = iter(frame.arrays)
    runs = [_read_run(one, arrays, name) for one in told]
    if next(arrays, None) is not None:
        raise FrameError("There are more arrays than curves.")
    return runs


def _read_run(told: Any, arrays: Iterator[npt.NDArray[Any]], name: str) -> Run:
    lines, notes = (told.get("series"), told.get("notes")) if isinstance(told, dict) else (0, 0)
    if not isinstance(lines, list) or not isinstance(notes, list) or len(lines) > MOST_SERIES:
        raise FrameError("A curve of a model is not described.")
    return Run(
        name=f"{name}, stages" if told.get("source") == STAGES else name,
        source=plain_text(told.get("source"), 100),
        series=tuple(_read_series(line, arrays) for line in lines),
        notes=tuple(plain_text(note, _SENTENCE) for note in notes[:20]),
    )


def _read_series(line: Any, arrays: Iterator[npt.NDArray[Any]]) -> Series:
    steps, values = next(arrays, None), next(arrays, None)
    if not isinstance(line, list) or len(line) != 4 or steps is None or values is None:
        raise FrameError("A curve of a model lacks its numbers.")
    metric, part, unit, logged_as = (plain_text(text, 200) for text in line)
    shapes = steps.ndim == 1 and steps.shape == values.shape and len(steps) <= MOST_STEPS
    if not shapes or steps.dtype.kind != "i" or values.dtype.kind != "f":
        raise FrameError("A curve of a model has steps and values that do not fit.")
    if part not in _PARTS or unit not in _UNITS:
        raise FrameError("A curve of a model is of unknown rows or steps.")
    return Series(
        metric, part, steps.astype(np.int64), values.astype(np.float64), unit, None, logged_as
    )
