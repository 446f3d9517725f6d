"""A network's layers once more: new weights, other settings, and what they learn before training.

Layers that learn from rows before a network is trained (the means of `Normalization`, the words of
`TextVectorization`) learn anew from the rows of each fit: kept from the file they would know rows
that the fit is judged on. Frozen layers keep the weights of the file, which come from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import NotApplicable
from ..wording import listing
from .fits import Value

__all__ = ["Copying", "copying_of", "layer_settings", "packed"]

_LOOKUPS = ("StringLookup", "IntegerLookup", "TextVectorization")
_WORDS = {"Normalization": "mean", "Discretization": "bin_boundaries"} | dict.fromkeys(
    _LOOKUPS, "vocabulary"
)
_DROPOUT = (
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "GaussianDropout",
    "AlphaDropout",
)
_WIDE = {"Dense": "units", "LSTM": "units", "GRU": "units", "SimpleRNN": "units"} | dict.fromkeys(
    ("Conv1D", "Conv2D", "Conv3D"), "filters"
)
# What takes inputs of any width, so that a layer before it may change its own.
_ANY_WIDTH = (
    *_DROPOUT,
    *_WIDE,
    "Activation",
    "BatchNormalization",
    "Concatenate",
    "ELU",
    "Flatten",
    "LayerNormalization",
    "LeakyReLU",
    "ReLU",
    "Softmax",
)
_POOLING = "Pooling"
_BATCH = 4_096
_MOST = 12


def copying_of(network: Any) -> Copying:
    """How a network is copied.

    Raises
    ------
    NotApplicable : its layers are no graph that could be built again, or none can learn.
    """
    import keras

    if type(network).__name__ not in ("Functional", "Sequential") and not hasattr(
        network, "_inputs_struct"
    ):
        raise NotApplicable(
            f"The network is a {type(network).__name__} of its own code, so its layers cannot be "
            "built again here. Its logs by epoch can be shown."
        )
    if not network.trainable_weights:
        raise NotApplicable(
            "No layer of the network can learn: all are frozen or have no weights. Its logs by "
            "epoch can be shown."
        )
    # A model of its own: a copy of the network itself would be compiled as the network is.
    inputs = getattr(network, "_inputs_struct", None)
    outputs = getattr(network, "_outputs_struct", None)
    plain = keras.Model(
        network.inputs[0] if inputs is None else inputs,
        network.outputs[0] if outputs is None else outputs,
        name=network.name,
    )
    return Copying(plain)


@dataclass(frozen=True, eq=False)
class Copying:
    """The graph of a network that can be built again."""

    plain: Any

    @property
    def learning(self) -> list[Any]:
        """Layers that learn anew from the rows of each fit, in the order of the graph."""
        if self._is_pinned:
            return []
        return [one for one in self.plain.layers if _learnt(one) and len(self._places(one)) == 1]

    def _places(self, layer: Any) -> list[Any]:
        """What a layer is given, for each place in which it stands in the graph."""
        nodes = [node for each in self.plain._nodes_by_depth.values() for node in each]
        return [node.input_tensors[0] for node in nodes if node.operation is layer]

    @property
    def keeping(self) -> list[Any]:
        """Layers that had learnt from rows and keep what they knew."""
        anew = {id(one) for one in self.learning}
        return [one for one in flat(self.plain) if _learnt(one) and id(one) not in anew]

    @property
    def constant(self) -> list[Any]:
        """Layers whose means or words are written into them."""
        return [
            one
            for one in flat(self.plain)
            if (key := _WORDS.get(type(one).__name__))
            and not _learnt(one)
            and _config(one).get(key)
        ]

    @property
    def frozen(self) -> list[Any]:
        """Layers that are not trained and have weights."""
        return [one for one in flat(self.plain) if not one.trainable and one.weights]

    @property
    def _is_pinned(self) -> bool:
        """Frozen weights stand for the words and numbers that they were learnt on."""
        return bool(self.frozen)

    def notes(self) -> tuple[str, ...]:
        """What is not begun anew, and what that means for the scores."""
        found = []
        if self.learning:
            found.append(
                "Learnt anew from the training rows of each fit, so that nothing of the rows it is "
                f"judged on is known: {_named(self.learning)}."
            )
        if self.keeping:
            found.append(
                f"Kept as learnt for the file: {_named(self.keeping)}; if that was from rows that "
                "are judged here, the scores flatter a little."
            )
        if self.constant:
            found.append(
                f"Constants of the file (means, words or limits): {_named(self.constant)}; if they "
                "were measured on rows that are judged here, the scores flatter a little."
            )
        if self.frozen:
            found.append(f"Frozen, with the weights of the file: {_named(self.frozen)}.")
        return tuple(found)

    def build(self, rows: Sequence[npt.NDArray[Any]], settings: Mapping[str, Value]) -> Any:
        """A network of the same layers with new weights, ready to be compiled.

        Parameters
        ----------
        rows : one array for each input, the rows to learn from.
        settings : as `layer_settings` names them.
        """
        ready: dict[int, Any] = {}
        for layer in self.keeping:
            ready[id(layer)] = _as_it_was(layer)
        given = packed(self.plain, rows)
        for layer in self.learning:
            ready[id(layer)] = self._learning(layer, ready, given, len(rows[0]))
        made: dict[int, Any] = {}
        network = _cloned(self.plain, ready, _by_layer(self.plain, settings), made)
        for layer in self.frozen:
            if id(layer) in made and id(layer) not in ready:
                made[id(layer)].set_weights(layer.get_weights())
        return network

    def _learning(self, layer: Any, ready: Mapping[int, Any], given: Any, n: int) -> Any:
        """A copy of a layer that learnt from what reaches it of these rows."""
        import keras

        before = _cloned(keras.Model(self.plain.input, self._places(layer)[0]), ready, {}, {})
        config = _config(layer)
        if type(layer).__name__ == "Discretization":
            config["bin_boundaries"] = None
        if type(layer).__name__ in _LOOKUPS:
            config["vocabulary_size"] = None
            if config.get("output_mode") == "int":  # what follows has room for so many
                size = int(layer.vocabulary_size())
                config["max_tokens"] = min(config.get("max_tokens") or size, size)
        fresh = type(layer).from_config(config)
        fresh.adapt(_answers(before, given, n))
        return fresh


def packed(network: Any, rows: Sequence[npt.NDArray[Any]]) -> Any:
    """The arrays as the network is called with them; texts as tensors."""
    import keras
    import tensorflow as tf

    flat_rows = [
        tf.convert_to_tensor(one, dtype="string") if one.dtype.kind in "OUS" else one
        for one in rows
    ]
    structure = getattr(network, "_inputs_struct", None)
    if structure is None:
        return flat_rows[0] if len(flat_rows) == 1 else flat_rows
    return keras.tree.pack_sequence_as(structure, flat_rows)


def flat(network: Any) -> Iterator[Any]:
    """Layers, and those inside nested networks in place of these."""
    for layer in network.layers:
        if type(layer).__name__ in ("Functional", "Sequential"):
            yield from flat(layer)
        else:
            yield layer


def _named(layers: Sequence[Any]) -> str:
    return listing([f"{one.name} ({type(one).__name__})" for one in layers], 4)


def _config(layer: Any) -> dict[str, Any]:
    return dict(layer.get_config())


def _learnt(layer: Any) -> bool:
    """Whether a layer learnt from rows before the network was trained."""
    kind = type(layer).__name__
    if kind == "Normalization":
        return getattr(layer, "input_mean", None) is None
    if kind == "Discretization":
        return _config(layer).get("num_bins") is not None
    return kind in _LOOKUPS and _config(layer).get("vocabulary") is None


def _as_it_was(layer: Any) -> Any:
    """A copy with what the layer learnt written into it."""
    config, kind = _config(layer), type(layer).__name__
    if kind == "Normalization":
        config["mean"] = np.asarray(layer.adapt_mean).tolist()
        config["variance"] = np.asarray(layer.adapt_variance).tolist()
    elif kind in _LOOKUPS:
        words = layer.get_vocabulary(include_special_tokens=False)
        config |= {"vocabulary": list(words), "vocabulary_size": None}
        if config.get("output_mode") == "tf_idf":
            lookup = getattr(layer, "_lookup_layer", layer)
            first = int(layer.vocabulary_size()) - len(words)
            weights = np.asarray(lookup.idf_weights_const)[first : first + len(words)]
            config["idf_weights"] = weights.tolist()
    return type(layer).from_config(config)


def _cloned(
    network: Any,
    ready: Mapping[int, Any],
    changes: Mapping[int, Mapping[str, Any]],
    made: dict[int, Any],
) -> Any:
    """The graph with fresh layers; `made` takes each by the identity of its original."""
    import keras

    def fresh(layer: Any) -> Any:
        found = ready.get(id(layer))
        if found is None:
            config = {**layer.get_config(), **changes.get(id(layer), {})}
            found = layer.__class__.from_config(config)
        made[id(layer)] = found
        return found

    return keras.models.clone_model(network, clone_function=fresh, recursive=True)


def _answers(network: Any, given: Any, n: int) -> npt.NDArray[Any]:
    """What a graph makes of the rows."""
    import keras
    import tensorflow as tf

    parts = []
    for start in range(0, n, _BATCH):
        here = slice(start, start + _BATCH)
        part = keras.tree.map_structure(lambda one: tf.convert_to_tensor(one[here]), given)  # noqa: B023
        parts.append(np.asarray(network(part, training=False)))
    return np.concatenate(parts)


# ---- settings --------------------------------------------------------------------------------


def layer_settings(network: Any) -> dict[str, Value]:
    """Settings of layers that can be changed in a copy: shares that drop out, numbers of units.

    Units of the last layers are those of the target, and before layers of a fixed shape no other
    number would fit.
    """
    found: dict[str, Value] = {}
    rates = {one.name: one.rate for one in flat(network) if type(one).__name__ in _DROPOUT}
    if rates:
        only = set(rates.values())
        found["dropout_rate"] = float(only.pop()) if len(only) == 1 else None
    if len(rates) > 1:
        found |= {f"{name}__rate": float(rate) for name, rate in rates.items()}
    found |= {f"{one.name}__{key}": int(getattr(one, key)) for one, key in _widths(network)}
    return dict(list(found.items())[:_MOST])


def _widths(network: Any) -> list[tuple[Any, str]]:
    """Layers whose number of units can be another, and what it is called."""
    operations = [one for one in network.layers if type(one).__name__ != "InputLayer"]
    if len(operations) != len(
        [one for one in network.operations if one.name not in _inputs(network)]
    ):
        return []  # operations between layers ask for equal widths
    found = []
    for place, layer in enumerate(operations):
        after = [type(one).__name__ for one in operations[place + 1 :]]
        rest = sum(kind in _WIDE for kind in after)
        fits = all(kind in _ANY_WIDTH or _POOLING in kind for kind in after)
        if type(layer).__name__ in _WIDE and fits and rest >= len(network.outputs):
            found.append((layer, _WIDE[type(layer).__name__]))
    return found


def _inputs(network: Any) -> set[str]:
    return {one.name for one in network.layers if type(one).__name__ == "InputLayer"}


def _by_layer(network: Any, settings: Mapping[str, Value]) -> dict[int, dict[str, Any]]:
    """The changes of each layer."""
    changes: dict[int, dict[str, Any]] = {}
    for layer in flat(network):
        if "dropout_rate" in settings and type(layer).__name__ in _DROPOUT:
            changes.setdefault(id(layer), {})["rate"] = settings["dropout_rate"]
        for name, value in settings.items():
            of, _, key = name.rpartition("__")
            if of == layer.name:
                changes.setdefault(id(layer), {})[key] = value
    return changes
