"""Configurations of Keras 2 (and of Keras 3's HDF5 files) in the words of Keras 3.

Older files name layers without their module, give the shape of the input to the first layer, write
connections as bare lists and keep arguments that were dropped since. Shapes kept for building a
layer alone are left out: the layers are built where they are connected. Nothing is judged here:
what this returns still goes through `network_files.check_config`, and what it cannot put in
today's words stays as it is and is refused there by name.
"""

from __future__ import annotations

from typing import Any

from .network_files import INITIALIZERS, LAYERS, MODELS

__all__ = ["modern_config"]

_CONSTRAINTS = frozenset({"MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"})
_REGULARIZERS = frozenset({"L1", "L1L2", "L2", "OrthogonalRegularizer"})

# Arguments that Keras 3 no longer takes, with the values that change nothing; with another value
# they stay, and Keras names them. None: every value, since the shapes are known from the data.
_DROPPED: dict[str, tuple[Any, ...] | None] = {
    "time_major": (False,),
    "implementation": (0, 1, 2),
    "fused": (None, False, True),
    "virtual_batch_size": (None,),
    "adjustment": (None,),
    "activity_regularizer": (None,),
    "experimental_autocast": (True, False),
    "softmax_robust_masking": (False,),
    "query_shape": None,
    "key_shape": None,
    "value_shape": None,
}
_DROPPED_IN: dict[str, dict[str, tuple[Any, ...] | None]] = {
    "DepthwiseConv": {"groups": (1,)},
    "SeparableConv": {
        "groups": (1,),
        # what the other convolutions have in place of a depthwise and a pointwise kernel
        "kernel_initializer": None,
        "kernel_regularizer": (None,),
        "kernel_constraint": (None,),
    },
    "Conv2DTranspose": {"groups": (1,)},
    "Conv1DTranspose": {"groups": (1,)},
    "Conv3DTranspose": {"groups": (1,)},
}

_RECURRENT = ("Bidirectional", "ConvLSTM2D", "GRU", "LSTM", "RNN", "SimpleRNN")

# What Keras 2 called `a * 2` between layers.
_OPERATORS = {
    "math.add": "Add",
    "math.subtract": "Subtract",
    "math.multiply": "Multiply",
    "math.truediv": "TrueDivide",
    "math.divide": "Divide",
    "__operators__.add": "Add",
    "math.maximum": "Maximum",
    "math.minimum": "Minimum",
}


def modern_config(config: Any) -> dict[str, Any]:
    """The configuration of a whole network, new; `config` has `class_name` and `config`.

    Raises
    ------
    ValueError : no configuration of a network.
    """
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str):
        raise ValueError("no class_name")
    return _network(config)


def _network(node: dict[str, Any]) -> dict[str, Any]:
    inner = node.get("config")
    if node["class_name"] == "Sequential":
        if isinstance(inner, list):  # before Keras 2.2.3
            inner = {"name": "sequential", "layers": inner}
        return _node(node, _sequential(_settings(inner)))
    return _node(node, _functional(_settings(inner)))


def _settings(inner: Any) -> dict[str, Any]:
    if not isinstance(inner, dict) or not isinstance(inner.get("layers"), list):
        raise ValueError("no layers")
    return inner


def _sequential(inner: dict[str, Any]) -> dict[str, Any]:
    layers = [_layer(layer) for layer in inner["layers"] if isinstance(layer, dict)]
    first = inner["layers"][0] if layers else {}
    shape = _input_shape(first)
    if shape is not None and first.get("class_name") != "InputLayer":
        dtype = "float32"
        if first.get("class_name") != "Embedding":  # which takes whole numbers of any type
            dtype = _policy(first["config"].get("dtype"))
            dtype = dtype if isinstance(dtype, str) and "_" not in dtype else "float32"
        start = {"batch_shape": shape, "dtype": dtype, "name": f"{layers[0].get('name')}_input"}
        layers.insert(0, _node({"class_name": "InputLayer"}, start))
    return _with_policy({**inner, "layers": layers})


def _functional(inner: dict[str, Any]) -> dict[str, Any]:
    if not all(isinstance(layer, dict) for layer in inner["layers"]):
        raise ValueError("a layer without settings")
    nested = {str(layer.get("name")) for layer in inner["layers"] if _has_first_node(layer)}
    layers, is_old = [], False
    for layer in inner["layers"]:
        modern = _layer(layer)
        if not isinstance(layer.get("inbound_nodes"), list):
            raise ValueError("a layer without connections")
        modern["name"] = layer.get("name") or modern["config"].get("name")
        calls = [_connection(one, nested) for one in layer["inbound_nodes"]]
        is_recurrent = modern["class_name"] in _RECURRENT
        modern["inbound_nodes"] = [_with_state(call) for call in calls] if is_recurrent else calls
        is_old |= any(isinstance(one, list) for one in layer["inbound_nodes"])
        layers.append(modern)
    changed = {**inner, "layers": layers}
    if is_old:  # for a nested Functional, Keras 3 does this itself
        chains = {layer["name"] for layer in layers if layer["class_name"] == "Sequential"}
        changed["output_layers"] = _shifted(inner.get("output_layers"), nested & chains)
    return _with_policy(changed)


def _with_policy(inner: dict[str, Any]) -> dict[str, Any]:
    return {key: _policy(value) if key == "dtype" else value for key, value in inner.items()}


def _has_first_node(layer: dict[str, Any]) -> bool:
    """Whether Keras 2 counts the calls of a layer from 1: a network built with its own input."""
    inner = layer.get("config")
    if layer.get("class_name") not in MODELS or layer["class_name"] != "Sequential":
        return layer.get("class_name") in MODELS
    first = inner.get("layers") if isinstance(inner, dict) else inner
    if not isinstance(first, list) or not first or not isinstance(first[0], dict):
        return False
    return first[0].get("class_name") == "InputLayer" or _input_shape(first[0]) is not None


def _shifted(value: Any, nested: set[str]) -> Any:
    """References `[layer, call, output]` to networks inside, with their calls counted from 0."""
    if not isinstance(value, list):
        return value
    if _is_reference(value):
        return [value[0], value[1] - (value[0] in nested), value[2]]
    return [_shifted(one, nested) for one in value]


def _connection(node: Any, nested: set[str]) -> Any:
    """One call of a layer: Keras 2 lists `[layer, call, output, arguments]` for each tensor."""
    if not isinstance(node, list):
        return node
    flat = bool(node) and isinstance(node[0], str)
    calls = [call for call in ([node] if flat else node) if isinstance(call, list)]
    tensors = [_tensor(call, nested) for call in calls]
    named: dict[str, Any] = {}
    for call in calls:
        if len(call) == 4 and isinstance(call[3], dict):
            named.update({key: _argument(value, nested) for key, value in call[3].items()})
    if flat and set(named) <= {"x", "y", "name"}:  # an operator: its second side has no name now
        named.pop("name", None)
        return {"args": [*tensors, *named.values()], "kwargs": {}}
    return {"args": tensors if len(tensors) == 1 else [tensors], "kwargs": named}


def _with_state(call: Any) -> Any:
    """A call of a recurrent layer whose first state was listed behind its input."""
    args = call.get("args") if isinstance(call, dict) else None
    if not args or not isinstance(args[0], list):
        return call
    start, *state = args[0]
    return {"args": [start], "kwargs": {"initial_state": state, **call["kwargs"]}}


def _tensor(call: list[Any], nested: set[str]) -> Any:
    if call[:1] == ["_CONSTANT_VALUE"]:  # the 1 of `1 - x`
        return call[2]
    return {
        "class_name": "__keras_tensor__",
        "config": {
            "shape": [],
            "dtype": "float32",
            "keras_history": _shifted(call[:3], nested),
        },
    }


def _argument(value: Any, nested: set[str]) -> Any:
    if not isinstance(value, list):
        return value
    if _is_reference(value):
        return _tensor(value, nested)
    return [_argument(one, nested) for one in value]


def _is_reference(value: list[Any]) -> bool:
    return (
        len(value) == 3
        and isinstance(value[0], str)
        and all(isinstance(number, int) for number in value[1:])
    )


def _layer(node: dict[str, Any]) -> dict[str, Any]:
    kind, inner = node.get("class_name"), node.get("config")
    if kind in MODELS:
        return _network(node)
    if not isinstance(inner, dict):
        return node
    if kind == "TFOpLambda" and inner.get("function") in _OPERATORS:
        return _operation(_OPERATORS[inner["function"]], {"name": str(inner.get("name"))})
    # Keras 3 writes operations between layers without their module too, but also without what
    # every layer has.
    if node.get("module") is None and "trainable" not in inner and kind != "InputLayer":
        return _operation(str(kind), inner)
    return _node(node, _layer_settings(str(kind), inner))


def _operation(kind: str, inner: dict[str, Any]) -> dict[str, Any]:
    import importlib

    for part in ("numpy", "nn", "math", "image", "linalg", "core"):
        module = f"keras.src.ops.{part}"
        if isinstance(getattr(importlib.import_module(module), kind, None), type):
            break
    else:
        module = ""
    return {
        "module": module or None,
        "class_name": kind,
        "registered_name": None,
        "config": inner,
    }


def _layer_settings(kind: str, inner: dict[str, Any]) -> dict[str, Any]:
    dropped = dict(_DROPPED)
    for start, more in _DROPPED_IN.items():
        if kind.startswith(start):
            dropped.update(more)
    changed = {
        key: _value(key, value)
        for key, value in inner.items()
        if key not in dropped or not _is_harmless(value, dropped[key])
    }
    shape = changed.pop("batch_input_shape", None)
    for key in ("input_length", "input_dim") if kind != "Embedding" else ("input_length",):
        changed.pop(key, None)
    if kind == "InputLayer" and shape is not None:
        changed["batch_shape"] = shape
    if kind == "LeakyReLU" and "alpha" in changed:
        changed["negative_slope"] = changed.pop("alpha")
    axis = changed.get("axis")
    if kind == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
        changed["axis"] = axis[0]
    return changed


def _is_harmless(value: Any, harmless: tuple[Any, ...] | None) -> bool:
    return harmless is None or value in harmless


def _value(key: str, value: Any) -> Any:
    if key == "dtype":
        return _policy(value)
    if not isinstance(value, dict) or not isinstance(value.get("class_name"), str):
        return [_value(key, one) for one in value] if isinstance(value, list) else value
    kind = value["class_name"]
    inner = value.get("config")
    if key.endswith(("initializer", "regularizer", "constraint")):
        return _node(value, inner, key.rsplit("_", 1)[-1])
    return _layer(value) if kind in LAYERS or kind in MODELS else value


def _policy(dtype: Any) -> Any:
    """A dtype policy by its name, as both versions of Keras read it."""
    if isinstance(dtype, dict) and dtype.get("class_name") in ("Policy", "PolicyV1"):
        inner = dtype.get("config")
        return inner.get("name", "float32") if isinstance(inner, dict) else "float32"
    return dtype


def _node(node: dict[str, Any], inner: Any, role: str = "layer") -> dict[str, Any]:
    """The object with its module, where it is one that Keras has."""
    kind = node["class_name"]
    modern = {
        "module": node.get("module") or _module(kind, role),
        "class_name": kind,
        "registered_name": node.get("registered_name"),
        "config": {} if inner is None else inner,
    }
    if modern["class_name"] in MODELS and role == "layer":
        is_chain = kind == "Sequential"
        modern["module"] = "keras" if is_chain else "keras.src.models.functional"
        modern["class_name"] = "Sequential" if is_chain else "Functional"
    if node.get("name") is not None:
        modern["name"] = node["name"]
    return modern


def _module(kind: str, role: str) -> str | None:
    known = {
        "layer": ("keras.layers", LAYERS),
        "initializer": ("keras.initializers", INITIALIZERS),
        "regularizer": ("keras.regularizers", _REGULARIZERS),
        "constraint": ("keras.constraints", _CONSTRAINTS),
    }
    module, kinds = known[role]
    return module if kind in kinds else None


def _input_shape(layer: Any) -> list[Any] | None:
    """The shape that the first layer of an older Sequential carries."""
    inner = layer.get("config") if isinstance(layer, dict) else None
    if not isinstance(inner, dict):
        return None
    if layer.get("class_name") in MODELS:
        first = inner.get("layers")
        return _input_shape(first[0]) if isinstance(first, list) and first else None
    shape = inner.get("batch_input_shape")
    return list(shape) if isinstance(shape, (list, tuple)) else None
