"""A `Model` around an object in memory, whatever library it is of."""

from __future__ import annotations

import sys
from typing import Any

from ..contracts import Model, ModelInfo
from ..errors import ParameterError
from .boosters import BoosterModel, is_booster
from .estimators import CallableModel, EstimatorModel
from .networks import KerasModel

__all__ = ["adapt", "wrap"]


def adapt(obj: Any, name: str | None = None) -> Model:
    """A `Model` around an object in memory; the caller vouches for it.

    Accepted: a fitted scikit-learn style estimator (anything with `predict`), a booster of
    XGBoost or LightGBM, a `keras.Model`, a callable X → array, or an object that is a `Model`
    already.

    Raises
    ------
    ParameterError : an object of another kind, or one that is not fitted or not built.
    """
    if isinstance(obj, Model) and isinstance(obj.info, ModelInfo):
        return obj
    return wrap(obj, name or type(obj).__name__)


def wrap(obj: Any, name: str, **facts: Any) -> Model:
    """As `adapt`; `facts` are `format`, `digest`, `size` and `notes` of the file it is from."""
    if isinstance(obj, type):
        raise ParameterError(
            f"{name} is a class; a model is a fitted object. Create and fit it first."
        )
    keras = sys.modules.get("keras")  # an object of a library that is not loaded cannot exist
    if keras is not None and isinstance(obj, keras.Model):
        return KerasModel(obj, name=name, **facts)
    if is_booster(obj):
        return BoosterModel(obj, name=name, **facts)
    if callable(getattr(obj, "predict", None)):
        return EstimatorModel(obj, name=name, **facts)
    if callable(obj):
        return CallableModel(obj, name=name, **facts)
    raise ParameterError(
        f"{name} is of type {type(obj).__name__}; needed is a fitted estimator with predict, a "
        "keras.Model, or a callable that maps X to an array."
    )
