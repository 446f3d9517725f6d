"""Models from files and from memory, behind one protocol: `load_model`, `adapt`, `identify`.

Formats: `.skops` (scikit-learn) and `.keras` (Keras). Files are told apart by content. Anything
that could run code when opened (pickle, joblib, PyTorch) is refused with the export to use instead.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

from ..contracts import Model, ModelInfo
from ..errors import LimitExceeded, ModelError, ParameterError
from ..settings import Settings, get_settings
from .estimators import CallableModel, EstimatorModel, load_skops
from .identify import check_archive, identify, refusal
from .networks import KerasModel, load_keras

__all__ = ["CallableModel", "EstimatorModel", "KerasModel", "adapt", "identify", "load_model"]


def load_model(source: Path | bytes, name: str, *, settings: Settings | None = None) -> Model:
    """A model from a `.skops` or `.keras` file; `name` is the file name that messages use.

    Raises
    ------
    LimitExceeded : larger than `max_model_mb`, or an archive that unpacks to far more.
    UntrustedModel : opening the file could run code, or it names types that are not allowed.
    ModelError : no usable model; the message says what it looks like and what to export.
    """
    settings = settings or get_settings()
    content = _read_model(source, name, settings)
    kind = identify(content, name)
    if kind not in ("skops", "keras"):
        raise refusal(kind, name)
    digest = hashlib.sha256(content).hexdigest()
    with check_archive(content, name, settings) as archive:
        if kind == "skops":
            return load_skops(content, archive, name, digest=digest)
        return load_keras(content, archive, name, digest=digest, settings=settings)


def _read_model(source: Path | bytes, name: str, settings: Settings) -> bytes:
    try:
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        if size > settings.max_model_mb << 20:
            raise LimitExceeded(
                f"{name} has {size / (1 << 20):,.0f} MB; the limit is {settings.max_model_mb:,} MB "
                "(setting max_model_mb)."
            )
        return source if isinstance(source, bytes) else source.read_bytes()
    except OSError as error:
        reason = "it is a folder" if isinstance(error, IsADirectoryError) else error.strerror
        raise ModelError(f"{name} cannot be read: {reason}. Give the path of a file.") from error


def adapt(obj: Any, name: str | None = None) -> Model:
    """A `Model` around an object in memory; the caller vouches for it.

    Accepted: a fitted scikit-learn style estimator (anything with `predict`), a `keras.Model`,
    a callable X → array, or an object that is a `Model` already.

    Raises
    ------
    ParameterError : an object of another kind, or one that is not fitted or not built.
    """
    if isinstance(obj, Model) and isinstance(obj.info, ModelInfo):
        return obj
    label = name or type(obj).__name__
    if isinstance(obj, type):
        raise ParameterError(
            f"{label} is a class; a model is a fitted object. Create and fit it first."
        )
    keras = sys.modules.get("keras")  # an object of a library that is not loaded cannot exist
    if keras is not None and isinstance(obj, keras.Model):
        return KerasModel(obj, name=label)
    if callable(getattr(obj, "predict", None)):
        return EstimatorModel(obj, name=label)
    if callable(obj):
        return CallableModel(obj, name=label)
    raise ParameterError(
        f"{label} is of type {type(obj).__name__}; needed is a fitted estimator with predict, a "
        "keras.Model, or a callable that maps X to an array."
    )
