"""What a .keras file may ask for, judged from its parts before Keras opens it.

Keras' safe mode refuses lambdas; this goes further and asks that every object in `config.json` is
a built-in of Keras on the lists below (exact module, exact name), that the weights file keeps to
itself (no links, external or virtual storage), and that the network needs no more memory than its
weights explain. What reaches Keras is an archive that is written anew from the parts judged here,
without the training configuration, which could name further objects.

Judged and left out: `Lambda` (code), `TFSMLayer` (loads a graph from a path on this machine),
`TorchModuleWrapper` (unpickles), `JaxLayer` and `FlaxLayer` (call functions), operations that take
functions (`Map`, `Scan`, `Cond`, …), vocabularies given as a path, weights in NPZ.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from ..errors import LimitExceeded, ModelError, UntrustedModel
from ..settings import Settings

__all__ = [
    "INITIALIZERS",
    "LAYERS",
    "MODELS",
    "SAVE",
    "check_config",
    "check_hdf5",
    "check_weights",
    "open_hdf5",
    "read_config",
    "rewritten",
]

SAVE = '`model.save("model.keras")`'
_WEIGHTS = "model.weights.h5"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


LAYERS = _names(
    """
    Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D
    AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add
    AdditiveAttention AlphaDropout Attention AugMix AutoContrast Average AveragePooling1D
    AveragePooling2D AveragePooling3D BatchNormalization Bidirectional CategoryEncoding
    CenterCrop Concatenate Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose
    ConvLSTM1D ConvLSTM2D ConvLSTM3D Cropping1D Cropping2D Cropping3D CutMix Dense
    DepthwiseConv1D DepthwiseConv2D Discretization Dot Dropout ELU EinsumDense Embedding
    Equalization Flatten GRU GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D
    GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D
    GlobalMaxPooling3D GroupNormalization GroupQueryAttention HashedCrossing Hashing Identity
    InputLayer InputSpec IntegerLookup LSTM LSTMCell LayerNormalization LeakyReLU Masking
    MaxPooling1D MaxPooling2D MaxPooling3D Maximum MelSpectrogram Minimum MixUp
    MultiHeadAttention Multiply Normalization PReLU Permute Pipeline RMSNormalization RNN
    RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast
    RandomCrop RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur
    RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation
    RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom ReLU RepeatVector
    Rescaling Reshape Resizing ReversibleEmbedding STFTSpectrogram SeparableConv1D
    SeparableConv2D SimpleRNN SimpleRNNCell Softmax Solarization SpatialDropout1D
    SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells StringLookup
    Subtract TextVectorization TimeDistributed UnitNormalization UpSampling1D UpSampling2D
    UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
    """
)
INITIALIZERS = _names(
    """
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform
    Ones Orthogonal OrthogonalInitializer IdentityInitializer RandomNormal RandomUniform STFT
    STFTInitializer TruncatedNormal VarianceScaling Zeros
    """
)
MODELS = frozenset({"Functional", "Model", "Sequential"})
_CLASSES: dict[str, frozenset[str]] = {
    "keras": MODELS | {"DTypePolicy", "FloatDTypePolicy"},
    "keras.models": MODELS,
    "keras.src.models.functional": frozenset({"Functional"}),
    "keras.src.models.sequential": frozenset({"Sequential"}),
    "keras.layers": LAYERS,
    "keras.initializers": INITIALIZERS,
    "keras.regularizers": frozenset({"L1", "L1L2", "L2", "OrthogonalRegularizer"}),
    "keras.constraints": frozenset({"MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"}),
    "keras.dtype_policies": frozenset({"DTypePolicy", "FloatDTypePolicy", "DTypePolicyMap"}),
}
# Operations between layers (`a + b`, `keras.ops.relu(x)`): Keras finds in these modules only its
# own operation classes, and those that take a function live in `core`.
_OPERATIONS = frozenset(
    f"keras.src.ops.{part}" for part in ("numpy", "math", "nn", "image", "linalg", "einops")
)
_CORE = frozenset({"Cast", "SaturateCast", "Slice", "StopGradient", "Unstack", "Scatter"})
_VALUES = frozenset(
    {"__keras_tensor__", "__tensor__", "__numpy__", "__slice__", "__ellipsis__", "__bytes__"}
)
_FUNCTION_MODULES = frozenset({"builtins", "keras.activations", "keras.initializers", "keras.ops"})


def read_config(archive: zipfile.ZipFile, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The network's configuration and metadata; training configurations are taken out.

    Raises
    ------
    ModelError : parts that are missing or cannot be read.
    """
    members = set(archive.namelist())
    if _WEIGHTS not in members:
        raise ModelError(f"{name} holds no {_WEIGHTS}; save the whole model again with {SAVE}.")
    try:
        config = json.loads(archive.read("config.json"))
        metadata = json.loads(archive.read("metadata.json")) if "metadata.json" in members else {}
    except (ValueError, RuntimeError, zipfile.BadZipFile, OSError, zlib.error) as error:
        raise ModelError(
            f"{name} is a damaged .keras file: its configuration cannot be read. "
            f"Save it again with {SAVE}."
        ) from error
    if not isinstance(config, dict) or not isinstance(metadata, dict):
        raise ModelError(f"{name} describes no network; save it again with {SAVE}.")
    for node in _objects(config):
        node.pop("compile_config", None)
    return config, metadata


def check_config(config: dict[str, Any], name: str) -> None:
    """Refuse every object that is not a built-in on our lists, naming the layer it is in.

    Raises
    ------
    UntrustedModel : own classes or functions, lambdas, foreign modules, files by path.
    """
    for node in _objects(config):
        if "class_name" not in node:
            continue
        if not _is_allowed(node):
            raise UntrustedModel(_refused(node, name))
        inner = node.get("config")
        if isinstance(inner, dict) and isinstance(inner.get("vocabulary"), str):
            raise UntrustedModel(
                f"{name} reads a vocabulary from the file {inner['vocabulary']!r} on this machine, "
                f"so it was not opened; save it with Keras 3.15 or newer, {SAVE}."
            )


def _is_allowed(node: dict[str, Any]) -> bool:
    kind, module = node["class_name"], node.get("module")
    if not isinstance(kind, str) or not isinstance(module, (str, type(None))):
        return False
    if ">" in str(node.get("registered_name") or ""):  # "package>Name" of an own class
        return False
    if kind == "function":
        return module in _FUNCTION_MODULES and isinstance(node.get("config"), str)
    if module is None:  # values, and parts in the short form of older files
        return kind in _VALUES or kind in LAYERS or kind in INITIALIZERS
    if module in _OPERATIONS:
        return kind.isidentifier() and kind != "JVP"
    if module == "keras.src.ops.core":
        return kind in _CORE
    return kind in _CLASSES.get(module, frozenset())


def _refused(node: dict[str, Any], name: str) -> str:
    kind, module = node["class_name"], node.get("module")
    inner = node.get("config")
    label = inner.get("name") if isinstance(inner, dict) else inner if kind == "function" else None
    called = f" ({str(label)[:60]!r})" if label else ""
    if kind in ("Lambda", "__lambda__"):
        what = f"a Lambda layer{called}, which is Python code inside the file"
    elif kind == "function":
        what = f"the function {str(inner)[:60]!r} of {module}, which is not part of Keras"
    else:
        what = f"{module or 'own code'}.{kind}{called}, which is not among the layers opened here"
    return (
        f"{name} needs {what}, so it was not opened; rebuild that part from built-in layers and "
        f"save with {SAVE}, or load a table of its predictions."
    )


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object, outermost first; iterative, so depth cannot overflow."""
    stack = [config]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            yield value
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)


def check_weights(archive: zipfile.ZipFile, name: str, settings: Settings) -> int:
    """The bytes of weights that a `.keras` file declares; see `check_hdf5` for the errors."""
    try:
        content = archive.read(_WEIGHTS)
    except (RuntimeError, KeyError, ValueError, OSError, zlib.error, zipfile.BadZipFile) as error:
        raise _damaged(name) from error
    with open_hdf5(content, name) as file:
        return check_hdf5(file, name, settings)


def open_hdf5(content: bytes, name: str) -> Any:
    """An `h5py.File` for reading that knows of no other file.

    Raises
    ------
    ModelError : no readable HDF5.
    """
    import h5py

    try:
        return h5py.File(io.BytesIO(content), "r")
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise _damaged(name) from error


def check_hdf5(file: Any, name: str, settings: Settings) -> int:
    """The bytes of arrays that an open HDF5 file declares, once it is known to keep to itself.

    Raises
    ------
    UntrustedModel : links, external or virtual storage.
    LimitExceeded : arrays that declare more than `max_model_mb`.
    ModelError : no readable HDF5.
    """
    try:
        total = sum(_stored(item, name) for item in _items(file, name))
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise _damaged(name) from error
    if total > settings.max_model_mb << 20:
        raise LimitExceeded(
            f"{name} declares {total / (1 << 20):,.0f} MB of weights; the limit is "
            f"{settings.max_model_mb:,} MB (setting max_model_mb)."
        )
    return total


def _damaged(name: str) -> ModelError:
    return ModelError(
        f"{name} is damaged or cut off: its weights cannot be read. Save it again with {SAVE}."
    )


def _items(file: Any, name: str) -> Iterator[Any]:
    import h5py

    stack, seen = [file], set()
    while stack:
        group = stack.pop()
        for key in group:
            link = group.get(key, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise _outside(name, f"a link named {key!r} to another place")
            item = group[key]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:  # hard links can form a ring
                continue
            seen.add(address)
            if isinstance(item, h5py.Group):
                stack.append(item)
            elif isinstance(item, h5py.Dataset):
                yield item


def _stored(dataset: Any, name: str) -> int:
    if dataset.external or dataset.is_virtual:
        raise _outside(name, f"an array ({dataset.name}) that is stored in another file")
    return math.prod(dataset.shape or ()) * int(dataset.dtype.itemsize)


def _outside(name: str, what: str) -> UntrustedModel:
    return UntrustedModel(
        f"{name} holds {what}, which could read other files of this machine, so it was not opened; "
        f"save the model again with {SAVE}."
    )


def rewritten(archive: zipfile.ZipFile, config: dict[str, Any], metadata: dict[str, Any]) -> bytes:
    """The archive that Keras reads: the configuration judged here, the weights, the assets."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.writestr("metadata.json", json.dumps(metadata))
        target.writestr("config.json", json.dumps(config))
        for member in archive.namelist():
            if member == _WEIGHTS or (member.startswith("assets/") and not member.endswith("/")):
                target.writestr(member, archive.read(member))
    return buffer.getvalue()
