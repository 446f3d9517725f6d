"""Keras models in HDF5: whole models of Keras 2 and 3, and weights beside their architecture.

Keras' own readers are not asked to open a file. The configuration is taken out, put in today's
words, judged like that of a `.keras` file, and only its weights are then read, from memory.
"""

from __future__ import annotations

import copy
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..errors import ModelError, UntrustedModel
from .identify import check_archive, identify, read_member
from .model_file import ModelFile
from .network_files import SAVE, check_config, check_hdf5, open_hdf5
from .network_training import TrainingWords, training_words
from .networks import KerasModel, load_keras, modern, open_network

__all__ = ["load_architecture", "load_hdf5", "load_zipped_parts"]

_ARCHITECTURE = "`open('model.json', 'w').write(model.to_json())`"
_PARTS = "architecture and weights"
_WEIGHTS = '`model.save_weights("model.weights.h5")`'


def load_hdf5(file: ModelFile) -> KerasModel:
    """The network in an `.h5` file that Keras 2 or 3 wrote: whole, or weights beside a JSON file.

    Raises
    ------
    UntrustedModel : lambdas, own classes or functions, links out of the file.
    LimitExceeded : a network that asks for far more memory than its weights explain.
    ModelError : weights alone, a damaged file, or weights that do not fit.
    """
    with open_hdf5(file.content, file.name) as stored:
        n_bytes = check_hdf5(stored, file.name, file.settings)
        written = stored.attrs.get("model_config")
        if written is not None and "model_weights" in stored:
            config = _judged(written, file.name)
            return _open(config, stored["model_weights"], file, n_bytes, _version(stored.attrs))
    beside = _beside(file, "keras json")
    if not beside:
        raise ModelError(
            f"{file.name} holds weights without the network they belong to. Load the architecture "
            f"beside it ({_ARCHITECTURE}), or save the whole model with {SAVE}."
        )
    return _first_fit(beside, file, lambda other, whole: _from_parts(other, file.content, whole))


def load_architecture(file: ModelFile) -> KerasModel:
    """The network of a `model.to_json()` file with the weights that lie beside it.

    Raises
    ------
    UntrustedModel, LimitExceeded : as in `load_hdf5`.
    ModelError : no weights, one of the two is damaged, or they do not belong together.
    """
    beside = _beside(file, "hdf5")
    if not beside:
        raise ModelError(
            f"{file.name} is the architecture of a network without its weights. Load the weights "
            f"beside it ({_WEIGHTS}), or save the whole model with {SAVE}."
        )
    return _first_fit(beside, file, lambda other, whole: _from_parts(file.content, other, whole))


def load_zipped_parts(file: ModelFile) -> KerasModel:
    """The network of a zip with its architecture (JSON) and its weights (HDF5).

    Raises
    ------
    UntrustedModel, LimitExceeded, ModelError : as in `load_architecture`.
    """
    found: dict[str, bytes] = {}
    with check_archive(file.content, file.name, file.settings) as archive:
        for member in archive.namelist():
            if not member.endswith(("/", ".py")):
                content = read_member(archive, member, file.name)
                found.setdefault(identify(content, member), content)
    if "keras json" not in found or "hdf5" not in found:
        raise ModelError(
            f"{file.name} is no network in two parts: the architecture ({_ARCHITECTURE}) and the "
            f"weights ({_WEIGHTS}) are needed. Put both in one zip."
        )
    return _from_parts(found["keras json"], found["hdf5"], file)


def _beside(file: ModelFile, kind: str) -> list[tuple[str, bytes]]:
    """Files of this kind uploaded beside the model: name and content, same stems first."""
    if file.helpers_folder is None:
        return []
    stem = file.name.split(".")[0]
    paths = [path for path in file.helpers_folder.iterdir() if path.suffix != ".py"]
    found = []
    for path in sorted(paths, key=lambda path: (path.name.split(".")[0] != stem, path.name)):
        content = path.read_bytes() if path.is_file() else b""
        if identify(content, path.name) == kind:
            found.append((path.name, content))
    return found


def _first_fit(
    beside: list[tuple[str, bytes]],
    file: ModelFile,
    load: Callable[[bytes, ModelFile], KerasModel],
) -> KerasModel:
    """The network with the first of the other halves that belongs to it; its name is noted."""
    problem: ModelError | None = None
    for name, other in beside:
        try:
            note = f"Opened together with {name}."
            return load(other, replace(file, notes=(*file.notes, note)))
        except UntrustedModel:
            raise
        except ModelError as error:
            problem = problem or error
    raise problem or ModelError(f"{file.name} has no other half.")


def _from_parts(architecture: bytes, weights: bytes, file: ModelFile) -> KerasModel:
    config = _judged(architecture, file.name)
    with open_hdf5(weights, file.name) as stored:
        n_bytes = check_hdf5(stored, file.name, file.settings)
        group = stored.get("model_weights", stored)
        if any(str(key).startswith("layer_names") for key in group.attrs):
            wrote = _version(group.attrs, architecture)
            return _open(config, group, file, n_bytes, wrote, _PARTS)
    # The layout of today: that of the weights inside a `.keras` file.
    metadata = {"keras_version": _version({}, architecture)}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("metadata.json", json.dumps(metadata))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights)
        return load_keras(file, archive, format=_PARTS)


def _open(
    config: dict[str, Any],
    group: Any,
    file: ModelFile,
    n_bytes: int,
    wrote: str,
    format: str = "hdf5",
) -> KerasModel:
    return open_network(
        config,
        lambda keras: _filled(config, group),
        file,
        stored=n_bytes,
        wrote=wrote,
        format=format,
        training=_training(group),
    )


def _training(group: Any) -> TrainingWords | None:
    """How it was trained, where the file of these weights tells."""
    try:
        return training_words(json.loads(group.file.attrs.get("training_config", "null")))
    except (ValueError, TypeError, RecursionError):
        return None


def _judged(written: Any, name: str) -> dict[str, Any]:
    """The configuration in today's words, once every object in it is one of Keras' own."""
    try:
        config = json.loads(written)
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelError(
            f"{name} is damaged: its architecture is no JSON. Save it again with {SAVE}."
        ) from error
    config = modern(config, name)
    check_config(config, name)
    return config


def _filled(config: dict[str, Any], group: Any) -> Any:
    """The network with the weights of a group that lists them layer by layer."""
    from keras.src.legacy.saving.legacy_h5_format import load_weights_from_hdf5_group
    from keras.src.saving.serialization_lib import deserialize_keras_object

    # A copy: Keras takes parts out of the configuration while it reads it.
    network = deserialize_keras_object(copy.deepcopy(config), safe_mode=True)
    load_weights_from_hdf5_group(group, network)
    return network


def _version(attributes: Any, architecture: bytes = b"{}") -> str:
    """The version of Keras that wrote the file, empty where it does not say."""
    found = attributes.get("keras_version")
    if found is None:
        found = json.loads(architecture).get("keras_version")
    text = found.decode("utf-8", "replace") if isinstance(found, bytes) else found
    return str(text)[:40] if text is not None else ""
