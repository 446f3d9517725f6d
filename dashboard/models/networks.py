"""Keras networks: loaded in safe mode, fed by column name or order, run in one traced call."""

from __future__ import annotations

import copy
import logging
import math
import os
import re
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import ModelInfo, RawPredictions, ScoreKind
from ..errors import DiagnosticsError, LimitExceeded, ModelError, ParameterError
from ..settings import Settings
from .columns import failure, first_line
from .legacy_networks import modern_config
from .model_file import ModelFile
from .network_files import SAVE, check_config, check_weights, read_config, rewritten
from .network_inputs import InputSpec, described, input_arrays
from .network_training import TrainingWords, read_training

__all__ = [
    "KERAS_LOCK",
    "KerasModel",
    "input_specs",
    "load_keras",
    "modern",
    "network_batch",
    "open_network",
]

_BATCH = 4096
_BATCH_BYTES = 256 << 20  # what the widest layer may take for one batch
_ROW_BYTES = 2 << 30  # what it may take for one row
KERAS_LOCK = threading.RLock()  # Keras is not safe to build or trace in two threads at once


def _import_keras() -> Any:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return keras


def load_keras(file: ModelFile, archive: zipfile.ZipFile, *, format: str = "keras") -> KerasModel:
    """The network in a `.keras` file, without its training configuration and without own code.

    Raises
    ------
    UntrustedModel : lambdas, own classes or functions, links out of the weights file.
    LimitExceeded : a network that asks for far more memory than its weights explain.
    ModelError : a damaged file, or weights that do not fit.
    """
    config, metadata = read_config(archive, file.name)
    training = read_training(archive)
    wrote = str(metadata.get("keras_version", "an unknown version"))
    if wrote.startswith("2."):
        config = modern(config, file.name)
    check_config(config, file.name)
    return open_network(
        config,
        lambda keras: _open(keras, rewritten(archive, config, metadata)),
        file,
        stored=check_weights(archive, file.name, file.settings),
        wrote=wrote,
        format=format,
        training=training,
    )


def modern(config: Any, name: str) -> dict[str, Any]:
    """An older configuration in the words of Keras 3, not yet judged.

    Raises
    ------
    ModelError : no configuration of a network.
    """
    try:
        return modern_config(config)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise ModelError(
            f"{name} describes no network that Keras 3 can rebuild ({first_line(error)}). Save it "
            f"as a SavedModel folder, zipped, or with Keras 3: {SAVE}."
        ) from error


def open_network(
    config: dict[str, Any],
    build: Callable[[Any], Any],
    file: ModelFile,
    *,
    stored: int,
    wrote: str,
    format: str,
    training: TrainingWords | None = None,
) -> KerasModel:
    """The network that `build(keras)` makes of a configuration that was judged.

    `stored` are the bytes of weights in the file, `wrote` the version of Keras that wrote it, or
    an empty text.

    Raises
    ------
    LimitExceeded : a network that asks for far more memory than its weights explain.
    ModelError : weights that do not fit.
    """
    with KERAS_LOCK:
        keras = _import_keras()
        try:
            _check_memory(config, stored, file.name, file.settings)
            network = build(keras)
        except DiagnosticsError:
            raise
        except Exception as error:
            raise ModelError(
                f"{file.name} is damaged or does not fit Keras {keras.__version__} "
                f"({_reason(error)[:200]}); save it again with {SAVE}."
            ) from error
        try:
            return KerasModel(
                network,
                name=file.name,
                format=format,
                digest=file.digest,
                size=file.size,
                notes=(*file.notes, *_version_notes(wrote, keras.__version__)),
                training=training,
            )
        except ParameterError as error:
            raise ModelError(str(error)) from error


def _reason(error: Exception) -> str:
    """What went wrong innermost: Keras wraps a message once for each layer around the place."""
    return first_line(str(error).rsplit("Exception encountered: ", 1)[-1]) or first_line(error)


def _open(keras: Any, content: bytes) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(content)
        return keras.saving.load_model(path, compile=False, safe_mode=True)


def _check_memory(config: dict[str, Any], stored: int, name: str, settings: Settings) -> None:
    """Count the weights that the configuration asks for without allocating them.

    In a stateless scope Keras defers each variable to its shape, so a few bytes of configuration
    that ask for 16 GB cost nothing to judge.
    """
    from keras.src.backend.common import global_state
    from keras.src.backend.common.stateless_scope import StatelessScope
    from keras.src.saving.serialization_lib import deserialize_keras_object

    try:
        with StatelessScope(initialize_variables=False):
            # A copy: Keras takes parts out of the configuration while it reads it.
            network = deserialize_keras_object(copy.deepcopy(config), safe_mode=True)
    finally:
        global_state.set_global_attribute("uninitialized_variables", [])
    if not hasattr(network, "weights"):
        raise ModelError(f"{name} describes no network; save it again with `model.save(...)`.")
    needed = sum(math.prod(weight.shape) * _item_size(weight.dtype) for weight in network.weights)
    # Every weight must be in the file; the slack is for the seeds of dropout layers and the like.
    if needed > min(2 * stored + (1 << 20), settings.max_model_mb << 20):
        raise LimitExceeded(
            f"{name} asks for {needed / (1 << 20):,.0f} MB of weights and holds "
            f"{stored / (1 << 20):,.1f} MB; the limit is {settings.max_model_mb:,} MB (setting "
            "max_model_mb). Save the trained model again."
        )


def _item_size(dtype: str) -> int:
    digits = "".join(character for character in dtype if character.isdigit())
    return 1 if dtype == "bool" else max(int(digits[:2] or 64) // 8, 1)


def _version_notes(wrote: str, version: str) -> tuple[str, ...]:
    if not wrote or wrote.split(".")[:2] == version.split(".")[:2]:
        return ()
    return (f"Saved with Keras {wrote}; opened with {version}.",)


class KerasModel:
    """A built Keras network; its raw outputs are the scores."""

    def __init__(
        self,
        network: Any,
        *,
        name: str,
        format: str = "in-memory",
        digest: str = "",
        size: int = 0,
        notes: tuple[str, ...] = (),
        training: TrainingWords | None = None,
    ) -> None:
        tensors = getattr(network, "inputs", None)
        if not tensors:
            raise ParameterError(
                f"{name} does not know its input shape; build it (`model.build(shape)` or one "
                "call on data) before it is used or saved."
            )
        self._network = network
        self._name = name
        self._training = training
        self._inputs = input_specs(network)
        self._call: Any = None
        self._kind = _score_kind(network)
        self._info = ModelInfo(
            format=format,
            kind=f"{type(network).__name__} network, {network.count_params():,} parameters",
            **described(self._inputs),
            task_hint="classifier" if self._kind is not None else None,
            digest=digest,
            size=size,
            notes=notes,
        )

    @property
    def info(self) -> ModelInfo:
        return self._info

    @property
    def network(self) -> Any:
        """The Keras network itself, for what looks into it."""
        return self._network

    @property
    def training(self) -> TrainingWords | None:
        """How it was trained, as far as its file tells."""
        return self._training

    def prepare(self, X: pd.DataFrame | npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """One array for each input of the network, in their order, for the rows `X`."""
        return input_arrays(X, self._inputs, self._name)[0]

    def predict(self, X: pd.DataFrame | npt.NDArray[Any]) -> RawPredictions:
        """The outputs for every row of `X`, float32; a list or dict for several outputs."""
        arrays, notes = input_arrays(X, self._inputs, self._name)
        try:
            scores = self._run(arrays)
        except DiagnosticsError:
            raise
        except Exception as error:
            raise ModelError(failure(self._name, error, X)) from error
        scores = _named_heads(self._network, scores)
        return RawPredictions(scores=scores, score_kind=self._kind, notes=tuple(notes))

    def _run(self, arrays: list[npt.NDArray[Any]]) -> Any:
        import tensorflow as tf

        keras = _import_keras()
        with KERAS_LOCK:
            if self._call is None:
                self._call = _traced(self._network, self._inputs)
        batch = network_batch(self._network, self._name)
        parts = []
        for start in range(0, max(len(arrays[0]), 1), batch):
            tensors = [
                tf.convert_to_tensor(array[start : start + batch], dtype=spec.dtype)
                for array, spec in zip(arrays, self._inputs, strict=True)
            ]
            parts.append(keras.tree.map_structure(np.asarray, self._call(*tensors)))
        return keras.tree.map_structure(lambda *pieces: np.concatenate(pieces), *parts)


def _named_heads(network: Any, scores: Any) -> Any:
    """A list of outputs as a dict by name, where a person named every output."""
    outputs = getattr(network, "outputs", None) or []
    if not isinstance(scores, (list, tuple)) or len(outputs) != len(scores):
        return scores
    heads = [tensor._keras_history.operation for tensor in outputs]
    named = {head.name: part for head, part in zip(heads, scores, strict=True)}
    given = not any(head.name.startswith(_automatic_name(head)) for head in heads)
    return named if given and len(named) == len(scores) else scores


def _automatic_name(layer: Any) -> str:
    """What Keras calls a layer without a name, but for the number: `dense`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(layer).__name__).lower()


def _traced(network: Any, specs: list[InputSpec]) -> Any:
    """One graph for every batch size: seven times faster than `model.predict`."""
    import tensorflow as tf

    keras = _import_keras()
    structure = getattr(network, "_inputs_struct", None)

    def call(*flat: Any) -> Any:
        packed = flat[0] if structure is None else keras.tree.pack_sequence_as(structure, flat)
        return keras.tree.map_structure(single, network(packed, training=False))

    def single(output: Any) -> Any:  # NumPy has no bfloat16, and halves are too coarse to rank
        return tf.cast(output, tf.float32) if output.dtype.is_floating else output

    signature = [tf.TensorSpec((None, *spec.shape), spec.dtype) for spec in specs]
    return tf.function(call, input_signature=signature).get_concrete_function()


def input_specs(network: Any) -> list[InputSpec]:
    """The inputs in the order in which the network is called with them."""
    structure = getattr(network, "_inputs_struct", None)
    if isinstance(structure, dict):  # flattened in the order of the sorted keys
        named = [(key, structure[key]) for key in sorted(structure)]
    else:
        named = [(tensor.name, tensor) for tensor in network.inputs]
    return [InputSpec(str(key), tuple(tensor.shape[1:]), tensor.dtype) for key, tensor in named]


def _layers(network: Any) -> Iterator[Any]:
    for layer in getattr(network, "layers", ()):
        yield layer
        yield from _layers(layer)


def network_batch(network: Any, name: str, *, kept: int = 1) -> int:
    """Rows for one call so that the widest layer, `kept` times, stays within bounds."""
    widest = 1
    for layer in _layers(network):
        try:
            outputs = layer.output
        except (AttributeError, ValueError):  # shared or nested layers have no single output
            continue
        for tensor in outputs if isinstance(outputs, (list, tuple)) else [outputs]:
            shape = getattr(tensor, "shape", (None,))
            widest = max(widest, math.prod(size or 1 for size in shape[1:]))
    if 4 * widest > _ROW_BYTES:
        raise ModelError(
            f"{name} needs {4 * widest / (1 << 30):,.1f} GB for each row inside one layer; the "
            f"limit is {_ROW_BYTES >> 30} GB. Use a smaller network."
        )
    return max(1, min(_BATCH, _BATCH_BYTES // (4 * widest * kept)))


def _score_kind(network: Any) -> ScoreKind | None:
    """Told from the last activation; None where it does not say (regression, log-odds)."""
    outputs = getattr(network, "outputs", None) or []
    if len(outputs) != 1:
        return None
    last = outputs[0]._keras_history.operation
    while getattr(last, "layers", None):
        last = last.layers[-1]
    name = getattr(getattr(last, "activation", None), "__name__", type(last).__name__).lower()
    if name == "softmax":
        return ScoreKind.PROBABILITY
    if name == "sigmoid":
        return ScoreKind.PROBABILITY if outputs[0].shape[-1] == 1 else ScoreKind.INDEPENDENT
    return None
