"""Which loader opens which kind of file, in the process that calls it: the worker, or a caller
who vouches for the file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pandas as pd

from ..contracts import Model, ModelInfo, RawPredictions
from ..settings import Settings, get_settings
from .boosters import load_catboost, load_lightgbm, load_xgboost
from .columns import match_columns
from .estimators import load_skops
from .hdf5_files import load_architecture, load_hdf5, load_zipped_parts
from .identify import check_archive, identify, refusal
from .mlflow_folder import find_model, with_code
from .model_file import ModelFile, read_model
from .networks import load_keras
from .onnx_models import load_onnx
from .pickles import load_pickle
from .saved_models import load_saved_model

__all__ = ["is_model", "load_native"]


def load_native(
    source: Path | bytes,
    name: str,
    *,
    helpers_folder: Path | None = None,
    settings: Settings | None = None,
) -> Model:
    """Open a model file in *this* process: what code it carries runs here.

    `helpers_folder` holds the files uploaded beside it; `.py` files in it can be imported.

    Raises
    ------
    LimitExceeded : larger than `max_model_mb`, or an archive that unpacks to far more.
    UntrustedModel : types that are never opened (`.skops`, `.keras`), or a PyTorch file.
    ModelError : no usable model; the message says what it looks like and what to export.
    """
    settings = settings or get_settings()
    content = read_model(source, name, settings)
    return open_file(ModelFile(content, name, settings, helpers_folder))


def open_file(file: ModelFile) -> Model:
    """The model in `file`, by the kind that its content tells."""
    kind = identify(file.content, file.name)
    loader = _LOADERS.get(kind)
    if loader is None:
        raise refusal(kind, file.name)
    return loader(file)


def is_model(kind: str) -> bool:
    """Whether files of this kind are opened as models."""
    return kind in _LOADERS


def _skops(file: ModelFile) -> Model:
    with check_archive(file.content, file.name, file.settings) as archive:
        return load_skops(file.content, archive, file.name, digest=file.digest)


def _keras(file: ModelFile) -> Model:
    with check_archive(file.content, file.name, file.settings) as archive:
        return load_keras(file, archive)


_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []  # what was imported may import more later


def _mlflow(file: ModelFile) -> Model:
    found = find_model(file)
    inner = found.file
    if found.code:
        _FOLDERS.append(tempfile.TemporaryDirectory(prefix="sidelight-code-"))
        inner = with_code(found, Path(_FOLDERS[-1].name))
    if identify(inner.content, inner.name) == "mlflow":
        raise refusal("zip", file.name)
    model = open_file(inner)
    drift = tuple(
        f"Saved with {library} {there}; opened with {here}."
        for library, (there, here) in found.versions.items()
        if there != here and not any(library in note for note in model.info.notes)
    )
    info = replace(
        model.info,
        format=f"mlflow {found.flavour}",
        digest=file.digest,
        size=file.size,
        notes=(*model.info.notes, *drift),
    )
    is_unnamed = info.feature_names is None and info.input_shape is None
    if is_unnamed and found.columns and info.n_features in (None, len(found.columns)):
        info = replace(info, feature_names=found.columns)
    return _Described(model, info, file.name)


class _Described:
    """A model under another description; columns named by the description are picked by name."""

    def __init__(self, model: Model, info: ModelInfo, name: str) -> None:
        self._model, self._info, self._name = model, info, name

    @property
    def info(self) -> ModelInfo:
        return self._info

    def predict(self, X: pd.DataFrame | npt.NDArray[Any]) -> RawPredictions:
        """As the model itself."""
        names = self._info.feature_names
        if names is None or self._model.info.feature_names is not None:
            return self._model.predict(X)
        frame, notes = match_columns(X, names, self._name)
        raw = self._model.predict(frame)
        return replace(raw, notes=(*notes, *raw.notes))


# One row for each kind that `identify` tells; a loader takes the file and gives the model.
_LOADERS: dict[str, Callable[[ModelFile], Model]] = {
    "skops": _skops,
    "pickle": load_pickle,
    "joblib": load_pickle,
    "xgboost": load_xgboost,
    "lightgbm": load_lightgbm,
    "catboost": load_catboost,
    "mlflow": _mlflow,
    "keras": _keras,
    "keras json": load_architecture,
    "keras parts": load_zipped_parts,
    "hdf5": load_hdf5,
    "savedmodel": load_saved_model,
    "onnx": load_onnx,
}
