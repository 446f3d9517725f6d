"""Operation "layers": a Keras network looked into, on some rows of the evaluation data.

Outputs of every layer and the gradients of its loss are taken once, in bounded batches, with
everything as in prediction (dropout off, running means of batch normalisation).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import DropoutSpread, LayerSummary, Model, NetworkSummary, Target, Task, Work
from ..errors import NotApplicable
from ..explainers.permutation import told_target
from ..models import KerasModel
from ..models.networks import KERAS_LOCK
from .dropout import MOST_ROWS, dropout_spread, has_dropout

__all__ = ["layers"]

Floats = npt.NDArray[np.float64]

MOST_VALUES = 16 << 20  # outputs of all layers that one batch may hold
MOST_LAYERS = 500
GRADIENT_ROWS = 256
FLAT = 0.01  # how near its ends a sigmoid or tanh counts as saturated
_ENDS = {"sigmoid": (0.0, 1.0), "hard_sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}
_RELU = ("relu", "relu6")


@dataclass(eq=False)
class _Seen:
    """Running sums over the outputs of one layer, whose last axis is its units."""

    activation: str
    n: int = 0
    lost: int = 0
    total: float = 0.0
    squares: float = 0.0
    flat: int = 0
    low: Floats | None = None
    high: Floats | None = None

    def add(self, values: npt.NDArray[Any]) -> None:
        units = np.asarray(values, dtype=np.float64).reshape(-1, values.shape[-1])
        finite = units[np.isfinite(units)]
        self.n += finite.size
        self.lost += units.size - finite.size
        self.total += float(finite.sum())
        self.squares += float(np.square(finite).sum())
        self.flat += self._flat(finite)
        low, high = np.fmin.reduce(units, axis=0), np.fmax.reduce(units, axis=0)
        self.low = low if self.low is None else np.fmin(self.low, low)
        self.high = high if self.high is None else np.fmax(self.high, high)

    def _flat(self, units: Floats) -> int:
        if self.activation in _RELU:
            return int((units <= 0).sum())
        if self.activation in _ENDS:
            low, high = _ENDS[self.activation]
            return int(((units < low + FLAT) | (units > high - FLAT)).sum())
        return 0

    def told(self) -> dict[str, Any]:
        """The fields of a `LayerSummary`."""
        if not self.n or self.low is None or self.high is None:
            return {}
        mean = self.total / self.n
        known = self.activation in _RELU or self.activation in _ENDS
        return {
            "mean": mean,
            "sd": math.sqrt(max(0.0, self.squares / self.n - mean * mean)),
            "n_units": len(self.low),
            "dead": float((self.low == self.high).mean()),
            "saturated": self.flat / self.n if known else None,
        }


def layers(
    model: Model, tables: Mapping[str, Any], arguments: Mapping[str, Any], work: Work
) -> tuple[dict[str, Any], Sequence[Any]]:
    """A `NetworkSummary` as a header of plain values; no arrays.

    Parameters
    ----------
    tables : "X" rows for the model; "y" their truth, where there is one.
    arguments : "target" as `explainers.permutation.truth` tells it, or null; "rows": positions.

    Raises
    ------
    NotApplicable : no Keras network.
    """
    if not isinstance(model, KerasModel):
        raise NotApplicable(
            f"Layers are shown for Keras networks; this model is of the kind {model.info.kind}."
        )
    at = np.asarray(arguments["rows"], dtype=np.int64)
    X = tables["X"]
    arrays = model.prepare(X.iloc[at] if hasattr(X, "iloc") else np.asarray(X)[at])
    notes: list[str] = []
    with KERAS_LOCK:
        found = _layer_names(model.network)
        seen = _outputs(model.network, found, arrays, work)
        target = None
        if arguments.get("target") is not None and "y" in tables:
            target = told_target(arguments["target"], np.asarray(tables["y"])[at])
        gradients, loss = _gradients(model, found, arrays, target, notes)
        dropout = _dropout(model, arrays, target, notes, work)
    notes += [
        f"{one.lost:,} outputs of {name} are not finite and are left out."
        for name, one in seen.items()
        if one.lost
    ]
    told = [_told(one, seen.get(one.name), gradients.get(one.name)) for one in found]
    summary = NetworkSummary(
        model=str(arguments.get("name", "The network")),
        layers=tuple(told),
        n_parameters=int(model.network.count_params()),
        n_trainable=sum(math.prod(one.shape) for one in model.network.trainable_variables),
        n_rows=len(at),
        n_given=len(X),
        measured_loss=loss,
        dropout=dropout,
        notes=tuple(notes),
    )
    told_of = ("losses", "from_logits", "optimizer", "rate")
    words = model.training
    training = {} if words is None else {name: getattr(words, name) for name in told_of}
    inputs: dict[str, Any] = _inputs(arrays)
    summary = replace(summary, **training, **inputs)
    return _plain(asdict(summary)), ()


def _plain(value: Any) -> Any:
    """As JSON can hold it: what is not finite is the text "nan"."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return "nan" if isinstance(value, float) and not math.isfinite(value) else value


def _inputs(arrays: Sequence[npt.NDArray[Any]]) -> dict[str, float]:
    """Of the numbers that reach the first layer."""
    numbers = [
        np.asarray(one, dtype=np.float64).ravel() for one in arrays if one.dtype.kind in "fiu"
    ]
    flat = np.concatenate(numbers) if numbers else np.empty(0)
    flat = flat[np.isfinite(flat)]
    if not len(flat):
        return {}
    return {
        "input_mean": float(flat.mean()),
        "input_sd": float(flat.std()),
        "input_largest": float(np.abs(flat).max()),
    }


def _layer_names(network: Any) -> list[Any]:
    """The layers that hold or change something, at the top of the network."""
    found = [one for one in network.layers if type(one).__name__ != "InputLayer"]
    if len(found) > MOST_LAYERS:
        raise NotApplicable(
            f"The network has {len(found):,} layers; at most {MOST_LAYERS} are looked into."
        )
    return found


def _activation(layer: Any) -> str:
    name = type(layer).__name__
    if name in ("ReLU", "Softmax", "ELU", "LeakyReLU", "PReLU"):
        return name.lower()
    function = getattr(layer, "activation", None)
    return str(getattr(function, "__name__", "")) if function is not None else ""


def _initializer(layer: Any) -> str:
    given = getattr(layer, "kernel_initializer", None)
    return "" if given is None else type(given).__name__


def _single(layer: Any) -> Any:
    """Its output tensor; None for layers that are called more than once or give several."""
    try:
        output = layer.output
    except (AttributeError, ValueError):
        return None
    return None if isinstance(output, (list, tuple, dict)) or not output.shape[1:] else output


def _outputs(
    network: Any, found: Sequence[Any], arrays: Sequence[npt.NDArray[Any]], work: Work
) -> dict[str, _Seen]:
    """What the layers answer to all rows, summed up."""
    import keras

    known = {one.name: _single(one) for one in found}
    known = {
        name: output
        for name, output in known.items()
        if output is not None and str(output.dtype).startswith(("float", "bfloat"))
    }
    seen = {one.name: _Seen(_activation(one)) for one in found if one.name in known}
    if not known:
        return {}
    structure = getattr(network, "_inputs_struct", None)
    inner = keras.Model(network.inputs if structure is None else structure, list(known.values()))
    width = sum(math.prod(size or 1 for size in one.shape[1:]) for one in known.values())
    step = max(1, min(1_024, MOST_VALUES // max(1, width)))
    n = len(arrays[0])
    for start in range(0, n, step):
        work.check()
        work.progress(start, n, f"Looking at the layers: {start:,} of {n:,} rows")
        given = _packed(network, [array[start : start + step] for array in arrays])
        answers = inner(given, training=False)
        answers = answers if isinstance(answers, (list, tuple)) else [answers]
        for name, values in zip(known, answers, strict=True):
            seen[name].add(np.asarray(keras.ops.cast(values, "float32")))
    return seen


def _packed(network: Any, arrays: Sequence[npt.NDArray[Any]]) -> Any:
    """Arrays in the order of the inputs as the network is called with them."""
    import keras
    import tensorflow as tf

    structure = getattr(network, "_inputs_struct", None)
    flat = [tf.convert_to_tensor(array) for array in arrays]
    return flat[0] if structure is None else keras.tree.pack_sequence_as(structure, flat)


def _kernel(layer: Any) -> Any:
    """The matrix that its inputs are multiplied with, if it has one."""
    for name in ("kernel", "_kernel", "embeddings", "_embeddings"):
        found = getattr(layer, name, None)
        if found is not None and hasattr(found, "shape"):
            return found
    cell = getattr(layer, "cell", None)
    return None if cell is None else getattr(cell, "kernel", None)


def _gradients(
    model: KerasModel,
    found: Sequence[Any],
    arrays: Sequence[npt.NDArray[Any]],
    target: Target | None,
    notes: list[str],
) -> tuple[dict[str, float], str]:
    """Norm of the gradient of the loss by each kernel, on the first rows, and which loss."""
    import keras
    import tensorflow as tf

    kernels = {one.name: _kernel(one) for one in found}
    kernels = {name: one for name, one in kernels.items() if one is not None and one.trainable}
    n = min(GRADIENT_ROWS, len(arrays[0]))
    chosen = None if target is None else _loss(model, target, n)
    if not kernels or chosen is None:
        if kernels and target is not None:
            notes.append("No gradients: the network's output and the target do not fit each other.")
        return {}, ""
    name, loss = chosen
    given = _packed(model.network, [array[:n] for array in arrays])
    with tf.GradientTape() as tape:
        answers = model.network(given, training=False)
        value = keras.ops.mean(loss(keras.ops.cast(answers, "float32")))
    taken = tape.gradient(value, [one.value for one in kernels.values()])
    norms = {
        layer: float(np.linalg.norm(np.asarray(tf.convert_to_tensor(one), dtype=np.float64)))
        for layer, one in zip(kernels, taken, strict=True)
        if one is not None
    }
    return norms, name


def _loss(model: KerasModel, target: Target, n: int) -> tuple[str, Any] | None:
    """The loss of the first rows by the network's output, as it was trained if that is known."""
    import keras

    outputs = getattr(model.network, "outputs", None) or []
    if len(outputs) != 1 or len(outputs[0].shape) != 2:
        return None
    k, y = outputs[0].shape[-1], np.asarray(target.y)[:n]
    logits = _last_activation(model.network) not in ("sigmoid", "softmax")
    if target.task is Task.BINARY and k == 1:
        truth = (y == (target.pos_label if target.pos_label is not None else 1)).astype("float32")
        entropy = keras.losses.BinaryCrossentropy(from_logits=logits)
        return "binary_crossentropy", lambda out: entropy(truth[:, None], out)
    if target.task in (Task.BINARY, Task.MULTICLASS):
        if k != len(target.labels):
            return None
        several = keras.losses.SparseCategoricalCrossentropy(from_logits=logits)
        return "sparse_categorical_crossentropy", lambda out: several(y.astype("int64"), out)
    if target.task is Task.MULTILABEL:
        if y.shape[1:] != (k,):
            return None
        entropy = keras.losses.BinaryCrossentropy(from_logits=logits)
        return "binary_crossentropy", lambda out: entropy(y.astype("float32"), out)
    truth = y.reshape(len(y), -1).astype("float32")
    if truth.shape[1] != k:
        return None
    words = model.training.losses if model.training is not None else ()
    absolute = words[:1] in (("mae",), ("mean_absolute_error",))
    regression = keras.losses.MeanAbsoluteError() if absolute else keras.losses.MeanSquaredError()
    name = "mean_absolute_error" if absolute else "mean_squared_error"
    return name, lambda out: regression(truth, out)


def _dropout(
    model: KerasModel,
    arrays: Sequence[npt.NDArray[Any]],
    target: Target | None,
    notes: list[str],
    work: Work,
) -> DropoutSpread | None:
    """What dropout changes in the answers to the first rows, where the network has any."""
    network = model.network
    if not has_dropout(network) or len(network.outputs) != 1:
        return None
    given = _packed(network, [array[:MOST_ROWS] for array in arrays])
    task = None if target is None else target.task
    return dropout_spread(network, given, task, _last_activation(network), notes, work)


def _last_activation(network: Any) -> str:
    last = network.outputs[0]._keras_history.operation
    while getattr(last, "layers", None):
        last = last.layers[-1]
    return _activation(last)


def _told(layer: Any, seen: _Seen | None, gradient: float | None) -> LayerSummary:
    kernel = _kernel(layer)
    output = _single(layer)
    told = LayerSummary(
        name=str(layer.name),
        kind=type(layer).__name__,
        shape=() if output is None else tuple(output.shape[1:]),
        n_parameters=int(layer.count_params()),
        trainable=bool(layer.trainable_weights),
        activation=_activation(layer),
        initializer=_initializer(layer),
        weight_norm=None if kernel is None else _norm(kernel),
        gradient_norm=gradient,
    )
    return told if seen is None else replace(told, **seen.told())


def _norm(kernel: Any) -> float:
    return float(np.linalg.norm(np.asarray(kernel, dtype=np.float64)))
