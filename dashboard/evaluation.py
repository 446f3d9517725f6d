"""From data and models to one `Evaluation`: the path of the app, the command line and Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import pandas as pd

from .contracts import (
    Label,
    Model,
    Predictions,
    RawPredictions,
    Task,
)
from .data import (
    EvalSet,
    Table,
    build_evalset,
    evalset_and_predictions,
    evalset_from_frame,
    infer_prediction_columns,
    load_data,
    read_predictions,
    read_table,
)
from .diagnostics.baseline import compute_baseline
from .diagnostics.confusion import ConfusionMatrix, compute_confusion
from .diagnostics.metrics import MetricTable, compute_metrics
from .errors import DataError, DiagnosticsError, ModelError, ParameterError, PredictionError
from .models import adapt, load_model
from .settings import Settings, get_settings

__all__ = [
    "Answers",
    "Evaluation",
    "Failure",
    "as_evalset",
    "as_model",
    "evaluate",
    "gather",
    "named",
    "predict_evalset",
    "read_helpers",
    "rows_for",
]


@dataclass(frozen=True)
class Failure:
    """A model that gave no usable answers, and the one sentence why. The others go on."""

    name: str
    message: str


@dataclass(frozen=True, eq=False)
class Answers:
    """Every model's predictions on one evaluation set, the baseline beside them."""

    evalset: EvalSet
    baseline: Predictions
    predictions: tuple[Predictions, ...]
    failures: tuple[Failure, ...] = ()

    @property
    def everyone(self) -> tuple[Predictions, ...]:
        """The baseline first."""
        return (self.baseline, *self.predictions)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Several models on one evaluation set, the baseline first.

    Attributes
    ----------
    evalset : the rows, the target and the ledger of what was left out.
    predictions : one per model that answered, in the order given; the baseline comes first.
    scores : columns `model, label, metric, value, low, high, n, reason`.
    thresholds : model name → the operating point in units of its scores (binary, multilabel).
    failures : models that gave no usable answers.
    """

    evalset: EvalSet
    predictions: tuple[Predictions, ...]
    scores: MetricTable
    thresholds: Mapping[str, float]
    failures: tuple[Failure, ...] = ()

    def frame(self) -> pd.DataFrame:
        """The score table, one row per model, label and metric."""
        return self.scores.frame()

    @property
    def baseline(self) -> Predictions:
        return self.predictions[0]

    @property
    def models(self) -> tuple[Predictions, ...]:
        """The predictions of real models, without the baseline."""
        return self.predictions[1:]

    def confusion(self, label: int | None = None) -> dict[str, ConfusionMatrix]:
        """Model name → confusion matrix at its operating point.

        `label`: position of one class or label, which is set against the rest (2 × 2).

        Raises
        ------
        NotApplicable : for regression, and for multilabel without `label`.
        """
        return {
            each.name: compute_confusion(
                each, threshold=self.thresholds.get(each.name), label=label
            )
            for each in self.models
        }


def predict_evalset(model: Model, evalset: EvalSet) -> RawPredictions:
    """The model's raw answers for every evaluated row.

    Raises
    ------
    ModelError : the model cannot take these rows, or fails on them.
    """
    return model.predict(rows_for(model, evalset))


def rows_for(model: Model, evalset: EvalSet) -> pd.DataFrame | npt.NDArray[Any]:
    """The evaluated rows as the model is given them: the same object each time.

    A model that was fitted on a column which is not a feature here (an id, a time) gets that
    column from the whole table; its own roles are its business.
    """
    rows: pd.DataFrame | npt.NDArray[Any] = evalset.X
    wanted = model.info.feature_names
    if wanted and isinstance(rows, pd.DataFrame):
        borrowed = [
            name
            for name in wanted
            if name not in rows.columns
            and name in evalset.frame.columns
            and name not in evalset.roles.target
        ]
        if borrowed:
            rows = _with_columns(rows, evalset, tuple(borrowed))
    return rows


_WIDENED: WeakKeyDictionary[EvalSet, dict[tuple[str, ...], pd.DataFrame]] = WeakKeyDictionary()


def _with_columns(rows: pd.DataFrame, evalset: EvalSet, names: tuple[str, ...]) -> pd.DataFrame:
    """The features and further columns: one frame for all models, which workers are given once."""
    made = _WIDENED.setdefault(evalset, {})
    if names not in made:
        made[names] = pd.concat([rows, evalset.frame[list(names)]], axis="columns")
    return made[names]


def gather(evalset: EvalSet, raws: Mapping[str, RawPredictions]) -> Answers:
    """Normalise every model's answers against one common target; one failure stops nobody else."""
    # classes that only a model knows are added for all, so that matrices have one shape
    target = evalset.target.known_to(raws.values())
    done: list[Predictions] = []
    failures: list[Failure] = []
    for name, raw in raws.items():
        try:
            done.append(
                Predictions.normalise(raw, target, name=name, sample_weight=evalset.sample_weight)
            )
        except DiagnosticsError as error:
            failures.append(Failure(name, str(error)))
    baseline = compute_baseline(
        target, sample_weight=evalset.sample_weight, time_order=evalset.time_order()
    )
    return Answers(evalset, baseline, tuple(done), tuple(failures))


def as_evalset(data: Any, y: Any, target: str | Sequence[str] | None, **options: Any) -> EvalSet:
    """An evaluation set from a path, a frame, an array with `y`, or one that is one already.

    Raises
    ------
    DataError : the data cannot be read or has no usable target.
    ParameterError : data of another kind, or without a target.
    """
    if isinstance(data, EvalSet):
        return data
    if isinstance(data, Table):
        return build_evalset(data, target=target, **options)
    if isinstance(data, str | Path):
        return load_data(Path(data), target=target, **options)
    if y is not None and isinstance(data, pd.DataFrame):
        return _with_truth(data, y, target, options)
    if isinstance(data, pd.DataFrame):
        if target is None:
            raise ParameterError("A frame was given without y or target. Pass target='column'.")
        return evalset_from_frame(data, target=target, **options)
    if y is not None:
        X = np.asarray(data)
        if X.ndim == 2:
            named = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
            return _with_truth(named, y, target, options)
        arrays = {"X": X, "y": np.asarray(y)}
        return build_evalset(Table.from_arrays("in memory", arrays), **options)
    raise ParameterError(
        f"data is {type(data).__name__}; needed is a path, a frame with target=, an EvalSet, "
        "or X with y."
    )


def _with_truth(
    frame: pd.DataFrame, y: Any, target: str | Sequence[str] | None, options: Mapping[str, Any]
) -> EvalSet:
    """Features and truth given apart; `y` is `(n,)`, or `(n, k)` with one column an output."""
    truth = y if isinstance(y, pd.DataFrame) else np.asarray(y)
    if len(truth) != len(frame):
        raise DataError(
            f"X has {len(frame):,} rows and y has {len(truth):,}. Give one truth per row."
        )
    if isinstance(truth, pd.DataFrame):
        names = [str(name) for name in truth.columns]
    elif truth.ndim == 1 or truth.shape[1] == 1:
        given = target if isinstance(target, str) else None
        names = [str(getattr(y, "name", None) or given or "target")]
    else:
        wide = isinstance(target, Sequence) and not isinstance(target, str)
        names = list(target) if wide and target else []
        names = names or [f"target_{at}" for at in range(truth.shape[1])]
    columns = np.asarray(truth).reshape(len(frame), -1)
    if len(names) != columns.shape[1]:
        raise ParameterError(
            f"y has {columns.shape[1]} columns and {len(names)} targets are named. "
            "Name one for each column."
        )
    clash = [name for name in names if name in frame.columns]
    if clash:
        raise ParameterError(
            f"The frame already has a column {clash[0]!r}, and y was given as well. "
            f"Pass target={clash[0]!r} without y, or rename y."
        )
    data = frame.assign(**{name: columns[:, at] for at, name in enumerate(names)})
    return evalset_from_frame(data, target=names if len(names) > 1 else names[0], **options)


def named(items: Any) -> dict[str, Any]:
    """Mapping, sequence or single object → name → object; equal names are told apart."""
    if items is None:
        return {}
    if isinstance(items, Mapping):
        return {str(name): item for name, item in items.items()}
    if isinstance(items, str | Path) or not isinstance(items, Sequence):
        items = [items]
    named: dict[str, Any] = {}
    for item in items:
        stem = Path(item).stem if isinstance(item, str | Path) else type(item).__name__
        name, count = stem, 1
        while name in named:
            count += 1
            name = f"{stem} ({count})"
        named[name] = item
    return named


def read_helpers(paths: Sequence[str | Path]) -> dict[str, bytes]:
    """File name → content."""
    try:
        return {Path(path).name: Path(path).read_bytes() for path in paths}
    except OSError as error:
        raise ParameterError(
            f"The helper file {error.filename} cannot be read ({error.strerror}). Check the path."
        ) from error


def _raw_of_model(
    name: str, item: Any, evalset: EvalSet, helpers: Mapping[str, bytes], settings: Settings
) -> RawPredictions:
    return predict_evalset(as_model(name, item, helpers, settings), evalset)


def as_model(name: str, item: Any, helpers: Mapping[str, bytes], settings: Settings) -> Model:
    """A model from the path of its file (in a worker), or from an object in memory (in here).

    Raises
    ------
    ModelError : no such file, or no usable model.
    ParameterError : an object that is no model.
    """
    if isinstance(item, str | Path):
        path = Path(item)
        if not path.is_file():
            raise ModelError(f"There is no model file {path}. Check the path.")
        return load_model(path, path.name, helpers=helpers, settings=settings)
    return item if isinstance(item, Model) else adapt(item, name)


def _raw_of_predictions(name: str, item: Any, evalset: EvalSet) -> RawPredictions:
    if isinstance(item, RawPredictions):
        return item
    if isinstance(item, str | Path):
        item = read_table(Path(item), Path(item).name)
    elif isinstance(item, pd.DataFrame):
        item = Table.from_frame(name, item)
    elif not isinstance(item, Table):
        values = np.asarray(item)
        if evalset.target.task.is_classification and values.dtype.kind == "f":
            return RawPredictions(scores=values)
        return RawPredictions(labels=values)
    return read_predictions(item, evalset, infer_prediction_columns(item, evalset))


def _collect(
    evalset: EvalSet,
    models: Any,
    predictions: Any,
    helpers: Mapping[str, bytes],
    settings: Settings,
) -> tuple[dict[str, RawPredictions], list[Failure]]:
    ask = partial(_raw_of_model, helpers=helpers, settings=settings)
    sources: list[tuple[str, Any, Callable[[str, Any, EvalSet], RawPredictions]]]
    sources = [(name, item, ask) for name, item in named(models).items()]
    taken = {name for name, _, _ in sources}
    for name, item in named(predictions).items():
        free = name
        while free in taken:
            free = f"{free} (file)"
        taken.add(free)
        sources.append((free, item, _raw_of_predictions))
    raws: dict[str, RawPredictions] = {}
    failures: list[Failure] = []
    for name, item, read in sources:
        try:
            raws[name] = read(name, item, evalset)
        except DiagnosticsError as error:
            failures.append(Failure(name, str(error)))
    return raws, failures


def _from_one_file(
    path: Path, target: str | Sequence[str] | None, options: Mapping[str, Any]
) -> tuple[EvalSet, dict[str, RawPredictions]]:
    """A file that holds the truth and predictions; without predictions there are no answers."""
    table = read_table(path, path.name)
    try:
        return evalset_and_predictions(table, target, **options)
    except PredictionError:
        return build_evalset(table, target=target, **options), {}


def _thresholds(everyone: Sequence[Predictions], share: float | None) -> dict[str, float]:
    """Model name → operating point in units of its scores, where a threshold decides."""
    task = everyone[0].task
    if task not in (Task.BINARY, Task.MULTILABEL):
        if share is None:
            return {}
        raise ParameterError(
            f"A threshold decides between two classes or about each of several labels; this "
            f"target is {task.value}. Leave the threshold out."
        )
    return {
        each.name: each.default_threshold if share is None else each.threshold_from_share(share)
        for each in everyone
        if each.y_score is not None
    }


def evaluate(
    data: Any,
    y: Any = None,
    *,
    target: str | Sequence[str] | None = None,
    models: Any = None,
    predictions: Any = None,
    helpers: Sequence[str | Path] = (),
    task: Task | str | None = None,
    pos_label: Label | None = None,
    threshold: float | None = None,
    metrics: Sequence[str] | None = None,
    settings: Settings | None = None,
    **options: Any,
) -> Evaluation:
    """Score several models on one data set.

    Parameters
    ----------
    data : path of a table or array file, a frame, an array `X` (with `y`), or an `EvalSet`.
    y : the target values, when `data` holds only features.
    target : name of the target column, or names of several.
        A file may hold predictions beside the truth (`y_pred`, `proba_yes`, `forest_pred` …).
    models : estimators, Keras models, callables or paths of model files; a mapping from
        display names, a sequence, or one of them.
    predictions : paths of prediction files, frames or arrays; likewise.
    helpers : paths of files that model files need beside them: `.py` with own classes, weights.
    task, pos_label : overrule what is inferred.
    threshold : common operating point in [0, 1]; None = each model's own. Binary and multilabel.
    metrics : names in `dashboard.diagnostics.metrics.METRICS`; None = all that apply.
    options : passed on to the reader (`split_value`, column roles).

    Returns
    -------
    Evaluation : the baseline first; `failures` tells which models gave no answers and why.

    Raises
    ------
    DataError : the data cannot be read or has no usable target.
    ParameterError : a parameter out of bounds; a threshold where none applies; no models and
        no predictions.
    """
    settings = settings or get_settings()
    if threshold is not None and not 0 <= threshold <= 1:
        raise ParameterError(f"threshold must fulfil 0 <= threshold <= 1, got {threshold}.")
    if task is not None:
        known = [one.value for one in Task]
        if task not in known:
            raise ParameterError(f"There is no task {str(task)!r}. Tasks: {', '.join(known)}.")
        options["task"] = Task(task)
    if pos_label is not None:
        options["pos_label"] = pos_label
    if models is None and predictions is None and isinstance(data, str | Path):
        evalset, raws = _from_one_file(Path(data), target, options)
        failures: list[Failure] = []
    else:
        evalset = as_evalset(data, y, target, **options)
        raws, failures = _collect(evalset, models, predictions, read_helpers(helpers), settings)
    if not raws and not failures:
        raise ParameterError(
            "No models and no predictions were given, and no column of the data is named like a "
            "prediction (y_pred, y_score, proba_<class> …). Pass at least one."
        )
    answers = gather(evalset, raws)
    everyone = answers.everyone
    thresholds = _thresholds(everyone, threshold)
    tables = [
        compute_metrics(
            each,
            # the baseline's constant scores would all pass or all fail a common threshold
            threshold=thresholds.get(each.name)
            if threshold is not None and each is not answers.baseline
            else None,
            metrics=metrics,
            level=settings.confidence_level,
            n_bootstrap=settings.n_bootstrap,
            random_state=settings.random_state,
        )
        for each in everyone
    ]
    return Evaluation(
        evalset=evalset,
        predictions=everyone,
        scores=MetricTable.concat(tables),
        thresholds=thresholds,
        failures=(*failures, *answers.failures),
    )
