"""Native files of XGBoost, LightGBM and CatBoost, with categories and missing values.

None of them holds code, but the compiled readers trust what they read: a damaged file can end the
process. What can be told from the text is checked first; the rest is why a worker opens them.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Model, ModelInfo, RawPredictions, ScoreKind
from ..errors import ModelError, ParameterError
from .boosted_columns import boosted_columns, catboost_loss
from .columns import as_matrix, failure, first_line
from .estimators import EstimatorModel, boosted_frame
from .findings import same_version
from .model_file import ModelFile
from .model_warnings import recorded, warning_notes

__all__ = [
    "BoosterModel",
    "is_booster",
    "load_catboost",
    "load_lightgbm",
    "load_xgboost",
    "xgboost_version",
]

_SAVE_AGAIN = "load it where it was made and save it again"


def is_booster(obj: Any) -> bool:
    """Whether it is a native booster of XGBoost or LightGBM, without either being imported."""
    kind = type(obj)
    return kind.__name__ == "Booster" and kind.__module__.split(".")[0] in ("xgboost", "lightgbm")


class BoosterModel:
    """A native booster; what its answers mean is told by its objective."""

    def __init__(
        self,
        booster: Any,
        *,
        name: str,
        format: str = "in-memory",
        digest: str = "",
        size: int = 0,
        notes: tuple[str, ...] = (),
    ) -> None:
        columns = boosted_columns(booster)
        if columns is None:
            raise ParameterError(f"{name} is no booster of XGBoost or LightGBM; pass one of these.")
        of_xgboost = type(booster).__module__.startswith("xgboost")
        self._booster = booster
        self._columns = columns
        self._engine = _XGBoost(booster) if of_xgboost else _LightGBM(booster)
        self._name = name
        classes = self._engine.n_classes
        self._info = ModelInfo(
            format=format,
            kind=f"{columns.library} booster, {self._engine.description}",
            feature_names=columns.names,
            n_features=columns.count,
            classes=tuple(range(classes)) if classes else None,
            task_hint="classifier" if self._engine.classifies else "regressor",
            digest=digest,
            size=size,
            notes=(*notes, *self._engine.notes),
        )

    @property
    def info(self) -> ModelInfo:
        return self._info

    @property
    def booster(self) -> Any:
        """The native booster itself, for what looks into it."""
        return self._booster

    def prepare(self, X: pd.DataFrame | npt.NDArray[Any]) -> Any:
        """What the booster is given for the rows `X`: its columns, with the categories it knows."""
        return self._prepare(X)[0]

    def margins(self, given: Any) -> npt.NDArray[Any]:
        """`(n,)` or `(n, k)` sums of the trees for prepared rows, before any link function."""
        return np.asarray(self._engine.margins(given))

    def answers(self, given: Any) -> Answers:
        """Labels, scores and their kind for prepared rows."""
        return self._engine.answers(given)

    def _prepare(self, X: pd.DataFrame | npt.NDArray[Any]) -> tuple[Any, list[str]]:
        if self._columns.names is None:
            return as_matrix(X, self._columns.count, self._name)
        return boosted_frame(X, self._columns, self._name)

    def predict(self, X: pd.DataFrame | npt.NDArray[Any]) -> RawPredictions:
        """Probabilities, or values of a regression, for every row of `X`."""
        given, notes = self._prepare(X)
        try:
            with recorded() as caught:
                labels, scores, kind = self._engine.answers(given)
        except Exception as error:
            raise ModelError(failure(self._name, error, X)) from error
        classes = self._info.classes if scores is not None else None
        return RawPredictions(
            labels=labels,
            scores=scores,
            classes=None if classes is None else list(classes),
            score_kind=kind,
            notes=(*notes, *warning_notes(caught)),
        )


Answers = tuple[Any, Any, ScoreKind | None]


class _XGBoost:
    """https://xgboost.readthedocs.io/en/stable/parameter.html#learning-task-parameters"""

    def __init__(self, booster: Any) -> None:
        learner = json.loads(booster.save_config())["learner"]
        self._booster = booster
        self._objective = str(learner["objective"]["name"])
        shape = learner["learner_model_param"]
        self._targets = int(shape.get("num_target", 1) or 1)
        rounds = int(booster.num_boosted_rounds())
        best = booster.attributes().get("best_iteration", "")
        self._rounds = int(best) + 1 if best.isdigit() and int(best) + 1 < rounds else 0
        self.classifies = self._objective.startswith(("binary:", "multi:"))
        self.n_classes = self._count(int(shape.get("num_class", 0) or 0))
        self.description = f"{rounds:,} rounds, objective {self._objective}"
        self.notes = (
            (f"Early stopping chose {self._rounds:,} of {rounds:,} rounds; these are used.",)
            if self._rounds
            else ()
        )

    def _count(self, n_classes: int) -> int:
        if self._objective.startswith("multi:"):
            return n_classes
        return 2 if self.classifies and self._targets == 1 else 0

    def margins(self, given: Any) -> npt.NDArray[Any]:
        values: npt.NDArray[Any] = self._predict(given, margin=True)
        return values

    def _predict(self, given: Any, *, margin: bool) -> Any:
        import xgboost

        names = None if isinstance(given, pd.DataFrame) else self._booster.feature_names
        types = None if isinstance(given, pd.DataFrame) else self._booster.feature_types
        rows = xgboost.DMatrix(
            given, feature_names=names, feature_types=types, enable_categorical=True
        )
        return self._booster.predict(rows, iteration_range=(0, self._rounds), output_margin=margin)

    def answers(self, given: Any) -> Answers:
        margin = self._objective == "multi:softmax"  # which would answer classes alone
        values = self._predict(given, margin=margin)
        if self._objective == "binary:hinge":
            return values.astype(np.int64), None, None
        if self._objective == "binary:logitraw":
            return None, values, ScoreKind.LOGIT
        if margin:
            values = _softmax(values)
        if not self.classifies:
            return values, None, None
        several = self._objective == "binary:logistic" and values.ndim == 2
        return None, values, ScoreKind.INDEPENDENT if several else ScoreKind.PROBABILITY


def _softmax(margins: npt.NDArray[Any]) -> npt.NDArray[Any]:
    powers = np.exp(margins - margins.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


class _LightGBM:
    """https://lightgbm.readthedocs.io/en/stable/Parameters.html#objective"""

    def __init__(self, booster: Any) -> None:
        header = booster.model_to_string(num_iteration=1)
        found = re.search(r"^objective=(\S+)", header, re.MULTILINE)
        self._booster = booster
        self._objective = found.group(1) if found else "none"
        several = self._objective in ("multiclass", "multiclassova")
        self.classifies = several or self._objective == "binary"
        per_round = int(booster.num_model_per_iteration())
        self.n_classes = per_round if several else 2 if self.classifies else 0
        rounds = int(booster.num_trees()) // max(per_round, 1)
        self.description = f"{rounds:,} rounds, objective {self._objective}"
        self.notes = (
            (
                "A LightGBM text file does not keep the names of the classes; they are taken in "
                "sorted order.",
            )
            if self.classifies
            else ()
        )

    def margins(self, given: Any) -> npt.NDArray[Any]:
        values: npt.NDArray[Any] = self._booster.predict(given, raw_score=True)
        return values

    def answers(self, given: Any) -> Answers:
        values = self._booster.predict(given)
        if not self.classifies:
            return values, None, None
        # One booster for each class: their probabilities do not add up to one.
        kind = None if self._objective == "multiclassova" else ScoreKind.PROBABILITY
        return None, values, kind


def load_xgboost(file: ModelFile) -> Model:
    """The booster in an XGBoost file, JSON or universal binary JSON.

    Raises
    ------
    ModelError : a damaged file.
    """
    import xgboost

    booster = xgboost.Booster()
    try:
        with recorded():
            booster.load_model(bytearray(file.content))
            return _model(booster, file, "xgboost", _drift(file, xgboost.__version__))
    except (ValueError, KeyError, TypeError, xgboost.core.XGBoostError) as error:
        raise _damaged(file, "XGBoost", error, '`model.save_model("model.ubj")`') from error


# "version" as three numbers, in JSON and in universal binary JSON.
_VERSION = re.compile(
    rb'"version"\s*:\s*\[\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\]'
    rb"|version\[#L\x00{7}\x03[iU](.)[iU](.)[iU](.)",
    re.DOTALL,
)


def xgboost_version(content: bytes) -> str:
    """The version that an XGBoost file says it was written by, "" where it does not."""
    found = _VERSION.search(content)
    if found is None:
        return ""
    if found.group(1):
        return b".".join(found.groups()[:3]).decode()
    return ".".join(str(part[0]) for part in found.groups()[3:])


def _drift(file: ModelFile, here: str) -> tuple[str, ...]:
    there = xgboost_version(file.content)
    if not there or same_version(there, here):
        return ()
    return (f"Saved with XGBoost {there}; opened with {here}: answers can differ.",)


def load_lightgbm(file: ModelFile) -> Model:
    """The booster in a LightGBM text file.

    Raises
    ------
    ModelError : a damaged file; one that is cut off would end the process, so it is told first.
    """
    import lightgbm

    try:
        text = file.content.decode("utf-8")
        _check_trees(text)
        with recorded():
            return _model(lightgbm.Booster(model_str=text), file, "lightgbm")
    except (ValueError, KeyError, TypeError, lightgbm.basic.LightGBMError) as error:
        raise _damaged(file, "LightGBM", error, '`booster.save_model("model.txt")`') from error


def _check_trees(text: str) -> None:
    """Every tree that the header counts is there, each as long as the header says."""
    head, _, rest = text.partition("\nTree=0\n")
    sizes = re.search(r"^tree_sizes=([\d ]*)$", head, re.MULTILINE)
    if sizes is None or "end of trees" not in rest:
        raise ValueError("trees are missing")
    if "\nparameters:" in rest and "end of parameters" not in rest:
        raise ValueError("it ends within its parameters, before the categories of columns")
    lengths = [int(size) for size in sizes.group(1).split()]
    trees = f"Tree=0\n{rest.partition('end of trees')[0]}".encode()
    starts = [match.start() for match in re.finditer(rb"^Tree=\d+$", trees, re.MULTILINE)]
    ends = [*starts[1:], len(trees)]
    if [end - start for start, end in zip(starts, ends, strict=True)] != lengths:
        raise ValueError("trees are not as long as the file says")


def load_catboost(file: ModelFile) -> Model:
    """The model in a CatBoost file, binary or JSON.

    Raises
    ------
    ModelError : a damaged file.
    """
    import catboost

    of_json = not file.content.startswith(b"CBM1")
    try:
        with tempfile.TemporaryDirectory() as folder, recorded():
            path = Path(folder) / "model"
            path.write_bytes(file.content)
            model = catboost.CatBoost()
            model.load_model(str(path), format="json" if of_json else "cbm")
            kind = _catboost_kind(catboost, model)
            if kind is not None:
                model = kind().load_model(str(path), format="json" if of_json else "cbm")
        return EstimatorModel(
            model,
            name=file.name,
            format="catboost",
            digest=file.digest,
            size=file.size,
            notes=file.notes,
        )
    except (ValueError, KeyError, TypeError, ParameterError, catboost.CatBoostError) as error:
        raise _damaged(file, "CatBoost", error, '`model.save_model("model.cbm")`') from error


def _catboost_kind(catboost: Any, model: Any) -> Any:
    """Classifier or regressor, by the loss that it was trained with."""
    loss = catboost_loss(model)
    if len(model.classes_) or loss in ("CrossEntropy", "MultiCrossEntropy", "MultiLogloss"):
        return catboost.CatBoostClassifier
    ranks = re.match(r"Yeti|Pair|Query|StochasticRank|LambdaMart|GroupQuantile", loss)
    return None if ranks else catboost.CatBoostRegressor


def _model(booster: Any, file: ModelFile, format: str, notes: tuple[str, ...] = ()) -> Model:
    return BoosterModel(
        booster,
        name=file.name,
        format=format,
        digest=file.digest,
        size=file.size,
        notes=(*file.notes, *notes),
    )


def _damaged(file: ModelFile, library: str, error: Exception, save: str) -> ModelError:
    return ModelError(
        f"{file.name} is damaged or was written by a version of {library} that is not read here "
        f"({first_line(error)[:200]}); {_SAVE_AGAIN}, {save}."
    )
