"""What a worker says of the layers of a network, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..contracts import DropoutSpread, LayerSummary, NetworkSummary
from ..frames import Frame, FrameError, plain_text

__all__ = ["read_summary"]

_LAYERS, _TEXT = 1_000, 200


def read_summary(frame: Frame) -> NetworkSummary:
    """The summary in the answer of operation "layers".

    Raises
    ------
    FrameError : anything else.
    """
    told = frame.header
    layers = told.get("layers")
    if not isinstance(layers, list) or len(layers) > _LAYERS:
        raise FrameError("The layers of the network are not told.")
    return NetworkSummary(
        model=plain_text(told.get("model"), _TEXT),
        layers=tuple(_layer(one) for one in layers),
        **{name: _count(told, name) for name in ("n_parameters", "n_trainable")},
        **{name: _count(told, name) for name in ("n_rows", "n_given")},
        losses=_texts(told, "losses"),
        from_logits=told.get("from_logits") is True,
        optimizer=plain_text(told.get("optimizer"), _TEXT),
        rate=_number(told, "rate"),
        measured_loss=plain_text(told.get("measured_loss"), _TEXT),
        input_mean=_number(told, "input_mean"),
        input_sd=_number(told, "input_sd"),
        input_largest=_number(told, "input_largest"),
        dropout=_dropout(told.get("dropout")),
        notes=_texts(told, "notes"),
    )


def _dropout(told: Any) -> DropoutSpread | None:
    if told is None:
        return None
    if not isinstance(told, dict):
        raise FrameError("What dropout changes is no mapping.")
    sure, shaky = (
        None if told.get(name) is None else _count(told, name) for name in ("n_sure", "n_shaky")
    )
    passes, rows = (_count(told, name) for name in ("n_passes", "n_rows"))
    mean, largest = (_number(told, name) for name in ("mean_sd", "largest_sd"))
    if mean is None or largest is None:
        raise FrameError("The spread over the passes with dropout is missing.")
    changed, over_rows = (_number(told, name) for name in ("changed", "answers_sd"))
    return DropoutSpread(passes, rows, mean, largest, changed, sure, shaky, over_rows)


def _layer(told: Any) -> LayerSummary:
    if not isinstance(told, dict):
        raise FrameError("A layer of the network is no mapping.")
    shape = told.get("shape")
    if not isinstance(shape, (list, tuple)) or len(shape) > 20:
        raise FrameError("The shape of a layer is no list.")
    sizes = [None if one is None else _count({"shape": one}, "shape") for one in shape]
    numbers: dict[str, Any] = {
        name: _number(told, name)
        for name in ("mean", "sd", "dead", "saturated", "weight_norm", "gradient_norm")
    }
    return LayerSummary(
        name=plain_text(told.get("name"), _TEXT),
        kind=plain_text(told.get("kind"), _TEXT),
        shape=tuple(sizes),
        n_parameters=_count(told, "n_parameters"),
        trainable=told.get("trainable") is True,
        activation=plain_text(told.get("activation"), _TEXT),
        initializer=plain_text(told.get("initializer"), _TEXT),
        n_units=None if told.get("n_units") is None else _count(told, "n_units"),
        **numbers,
    )


def _texts(told: Mapping[str, Any], name: str) -> tuple[str, ...]:
    given = told.get(name)
    if not isinstance(given, (list, tuple)) or len(given) > 50:
        raise FrameError(f"What the network says of its {name} is no list.")
    return tuple(plain_text(one, 500) for one in given)


def _count(told: Mapping[str, Any], name: str) -> int:
    value = told.get(name)
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise FrameError(f"The network's {name} is no count.")
    return value


def _number(told: Mapping[str, Any], name: str) -> float | None:
    """A number; NaN where a layer's outputs are not finite."""
    value = told.get(name)
    if value is None or value == "nan":
        return None if value is None else math.nan
    if type(value) not in (int, float):
        raise FrameError(f"The network's {name} is no number.")
    return float(value) if math.isfinite(value) else math.nan
