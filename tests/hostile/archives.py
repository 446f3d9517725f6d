"""Model archives that bite: paths, links, bombs, tampered schemas and configurations."""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .scene import Scene

__all__ = ["keras_archives", "mlflow_archives", "overlapping", "skops_archives", "zipped"]

_SAMPLES = Path(__file__).resolve().parents[2] / "sample_models"
_LINK = (0o120777 << 16) | 0x20


def zipped(members: dict[str, bytes], links: dict[str, str] | None = None, **more: bytes) -> bytes:
    """A zip archive; `links` are symbolic links, name → where to."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**members, **more}.items():
            archive.writestr(name, data)
        for name, to in (links or {}).items():
            about = zipfile.ZipInfo(name)
            about.create_system, about.external_attr = 3, _LINK
            archive.writestr(about, to)
    return buffer.getvalue()


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def overlapping(names: list[str], size: int) -> bytes:
    """An archive whose members are all the same bytes: its directory names them many times.

    What a reader adds up from the directory is true, yet the file holds the zeros once.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(bytes(size)) + packer.flush()
    checksum = zlib.crc32(bytes(size))
    common = struct.pack("<HHHHIII", 0, 8, 0, 0x21, checksum, len(packed), size)
    first = names[0].encode()
    local = b"PK\3\4" + struct.pack("<H", 20) + common + struct.pack("<HH", len(first), 0) + first
    directory = b"".join(
        b"PK\1\2"
        + struct.pack("<HH", 20, 20)
        + common
        + struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0)
        + name.encode()
        for name in names
    )
    at = len(local) + len(packed)
    end = struct.pack("<HHHHIIH", 0, 0, len(names), len(names), len(directory), at, 0)
    return local + packed + directory + b"PK\5\6" + end


def _duplicated(members: dict[str, bytes], name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")
        for member, content in members.items():
            archive.writestr(member, content)
        archive.writestr(name, data)
    return buffer.getvalue()


# --- skops ---------------------------------------------------------------------------------------


def _node(module: str, name: str, loader: str, **more: Any) -> dict[str, Any]:
    return {"__module__": module, "__class__": name, "__loader__": loader, **more}


def _text(value: Any) -> dict[str, Any]:
    return _node("builtins", "str", "JsonNode", content=json.dumps(value))


def _call(module: str, name: str, *values: Any) -> dict[str, Any]:
    content = _node("builtins", "tuple", "TupleNode", content=[_text(value) for value in values])
    return _node(module, name, "ConstructorFromReduceNode", content=content)


def _with_attribute(members: dict[str, bytes], node: dict[str, Any]) -> bytes:
    schema = json.loads(members["schema.json"])
    steps = schema["content"]["content"]
    steps["hostile"] = node
    return zipped({**members, "schema.json": json.dumps(schema).encode()})


def skops_archives(scene: Scene) -> dict[str, bytes]:
    """File name → content."""
    good = _members(_SAMPLES / "cancer" / "logistic.skops")
    touch = f"touch {scene.canary}.skops"
    deep = b'{"content":' * 100_000 + b"1" + b"}" * 100_000
    objects = io.BytesIO()
    np.save(objects, np.array([{1: 2}], dtype=object), allow_pickle=True)
    array = next(name for name in good if name.endswith(".npy"))
    whole = (_SAMPLES / "cancer" / "forest.skops").read_bytes()
    return {
        "system.skops": _with_attribute(good, _call("os", "system", touch)),
        "function.skops": _with_attribute(good, _node("os", "system", "FunctionNode")),
        "eval.skops": _with_attribute(
            good, _call("builtins", "eval", f"open({str(scene.canary)!r}+'x','w')")
        ),
        "numpy-load.skops": _with_attribute(good, _node("numpy", "load", "FunctionNode")),
        "reduce.skops": _with_attribute(good, _call("joblib", "load", str(scene.other))),
        "deep-schema.skops": zipped({**good, "schema.json": deep}),
        "object-array.skops": zipped({**good, array: objects.getvalue()}),
        "parent-path.skops": zipped({**good, "../../canary.txt": b"changed"}),
        "absolute-path.skops": zipped({**good, str(scene.canary): b"changed"}),
        "link.skops": zipped(good, links={"array.npy": str(scene.canary)}),
        "twice.skops": _duplicated(good, "schema.json", b'{"a": 1}'),
        "bomb.skops": zipped({**good, "more.npy": bytes(256 << 20)}),
        "overlap-bomb.skops": overlapping(
            ["schema.json", *(f"{i}.npy" for i in range(4000))], 4 << 20
        ),
        "bomb-in-bomb.skops": zipped({**good, "inner.npz": zipped({"a.npy": bytes(256 << 20)})}),
        "truncated.skops": whole[: len(whole) // 2],
        "header-only.skops": whole[:30],
    }


# --- Keras ---------------------------------------------------------------------------------------


def _configured(members: dict[str, bytes], change: Callable[[list[Any]], None]) -> bytes:
    config = json.loads(members["config.json"])
    change(config["config"]["layers"])
    return zipped({**members, "config.json": json.dumps(config).encode()})


def _lambda_layer(layers: list[Any]) -> None:
    body = {"class_name": "__lambda__", "config": {"code": "4wAA", "defaults": None}}
    layers.insert(
        1,
        {
            "module": "keras.layers",
            "class_name": "Lambda",
            "config": {"name": "twice", "function": body},
            "registered_name": None,
        },
    )


def _layer(**changes: Any) -> Callable[[list[Any]], None]:
    def change(layers: list[Any]) -> None:
        layers[-1].update(changes)

    return change


def _setting(name: str, value: Any) -> Callable[[list[Any]], None]:
    def change(layers: list[Any]) -> None:
        layers[-1]["config"][name] = value

    return change


def weights_with(content: bytes, build: Callable[[Any], None]) -> bytes:
    """An HDF5 file with something added."""
    import h5py

    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        build(file)
    return buffer.getvalue()


def keras_archives(scene: Scene) -> dict[str, bytes]:
    """File name → content; made by changing a sample, so that TensorFlow is not needed here."""
    import h5py

    whole = (_SAMPLES / "digits" / "network.keras").read_bytes()
    good = _members(_SAMPLES / "digits" / "network.keras")
    secret = str(scene.other)

    def weights(build: Callable[[Any], None]) -> bytes:
        data = weights_with(good["model.weights.h5"], build)
        return zipped({**good, "model.weights.h5": data})

    def external(file: Any) -> None:
        file["x"] = h5py.ExternalLink(secret, "/a")

    def stored_elsewhere(file: Any) -> None:
        file.create_dataset("x", (3,), "u1", external=[(secret, 0, h5py.h5f.UNLIMITED)])

    def virtual(file: Any) -> None:
        layout = h5py.VirtualLayout((3,), "f8")
        layout[:] = h5py.VirtualSource(secret, "a", (3,))
        file.create_virtual_dataset("x", layout)

    function = {"class_name": "function", "config": "system", "module": "os"}
    return {
        "lambda.keras": _configured(good, _lambda_layer),
        "module.keras": _configured(good, _layer(module="os", class_name="system")),
        "get-file.keras": _configured(good, _layer(module="keras.utils", class_name="get_file")),
        "function.keras": _configured(good, _setting("activation", function)),
        "tfsm.keras": _configured(good, _layer(module="keras.layers", class_name="TFSMLayer")),
        "vocabulary.keras": _configured(good, _setting("vocabulary", "/etc/passwd")),
        "swollen.keras": _configured(good, _setting("units", 1 << 30)),
        "external-link.keras": weights(external),
        "external-storage.keras": weights(stored_elsewhere),
        "virtual.keras": weights(virtual),
        "parent-path.keras": zipped({**good, "assets/../../../canary.txt": b"changed"}),
        "link.keras": zipped(good, links={"assets/words": str(scene.canary)}),
        "bomb.keras": zipped({**good, "assets/more": bytes(256 << 20)}),
        "deep.keras": zipped({**good, "config.json": b"[" * 200_000}),
        "truncated.keras": whole[: len(whole) // 2],
    }


def hdf5_models(scene: Scene) -> dict[str, bytes]:
    """Whole models in HDF5, as older Keras wrote them: the configuration is an attribute."""
    import h5py

    def model(layers: list[dict[str, Any]], build: Callable[[Any], None] | None = None) -> bytes:
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            config = {"class_name": "Sequential", "config": {"name": "net", "layers": layers}}
            file.attrs["model_config"] = json.dumps(config)
            file.attrs["keras_version"] = "2.11.0"
            file.attrs["backend"] = "tensorflow"
            weights = file.create_group("model_weights")
            weights.attrs["layer_names"] = np.array([b"dense"])
            weights.create_group("dense").attrs["weight_names"] = np.array([], "S1")
            if build:
                build(file)
        return buffer.getvalue()

    inputs = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 4], "name": "in"}}
    marshalled = ["4wAAAAAAAAAAAAAAAAEAAAABAAAAQwAAAHMEAAAAZAFTACkCTukBAAAAqQA=", None, None]
    twice = {
        "class_name": "Lambda",
        "config": {"name": "l", "function": marshalled, "function_type": "lambda"},
    }
    dense = {"class_name": "Dense", "config": {"name": "dense", "units": 1 << 30}}
    plain = {"class_name": "Dense", "config": {"name": "dense", "units": 1}}

    def external(file: Any) -> None:
        del file["model_weights"]
        file["model_weights"] = h5py.ExternalLink(str(scene.other), "/")

    whole = model([inputs, plain])
    return {
        "lambda.h5": model([inputs, twice]),
        "swollen.h5": model([inputs, dense]),
        "external.h5": model([inputs, plain], external),
        "own-class.hdf5": model([inputs, {"class_name": "os>system", "config": {"name": "x"}}]),
        "truncated.h5": whole[: len(whole) // 2],
    }


# --- MLflow --------------------------------------------------------------------------------------

_PYTHON_MODEL = """\
flavors:
  python_function:
    loader_module: hostile_loader
    code: code
    python_version: 3.11.7
"""


def mlflow_archives(scene: Scene) -> dict[str, bytes]:
    """Zipped MLflow folders."""

    def sklearn_flavour(path: str) -> bytes:
        return (
            f"flavors:\n  sklearn:\n    pickled_model: {path}\n    serialization_format: pickle\n"
        ).encode()

    aliases = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    for before, after in zip("abcdefghi", "bcdefghij", strict=True):
        aliases += f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    loader = f"open({str(scene.canary) + '.mlflow'!r}, 'w')\n".encode()
    command = f"touch {scene.canary}.yaml"
    return {
        "mlflow-parent.zip": zipped({"MLmodel": sklearn_flavour("../../../etc/passwd")}),
        "mlflow-absolute.zip": zipped({"MLmodel": sklearn_flavour(str(scene.other))}),
        "mlflow-loader.zip": zipped(
            {"m/MLmodel": _PYTHON_MODEL.encode(), "m/code/hostile_loader.py": loader}
        ),
        "mlflow-tag.zip": zipped(
            {"MLmodel": f"flavors: !!python/object/apply:os.system ['{command}']\n".encode()}
        ),
        "mlflow-aliases.zip": zipped({"MLmodel": (aliases + "flavors: *j\n").encode()}),
        "mlflow-link.zip": zipped(
            {"MLmodel": sklearn_flavour("model.pkl")}, links={"model.pkl": str(scene.other)}
        ),
    }
