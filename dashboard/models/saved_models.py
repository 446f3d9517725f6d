"""TensorFlow's SavedModel folders, zipped: run through their serving signature.

A SavedModel is a graph: it holds no Python, but operations in it can read and write files, so it
is opened in the confined worker only. Nothing of Keras is rebuilt, so own layers need no code.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import ModelInfo, RawPredictions, ScoreKind
from ..errors import DiagnosticsError, LimitExceeded, ModelError
from .columns import failure, first_line, listed
from .identify import check_archive, read_member
from .model_file import ModelFile
from .network_inputs import InputSpec, batch_rows, blocks, described, input_arrays
from .wire import Malformed, text_of, within

__all__ = ["SavedModel", "foreign_operations", "graph_of", "load_saved_model", "wrote_version"]

_GRAPH = "saved_model.pb"
_EXPORT = '`model.export("folder")`, then zip the folder'
_SIGNATURES = ("serving_default", "serve")

# Operations that reach beyond the graph: files, the network, Python. Those that every SavedModel
# has for its own weights are not counted.
_OWN = frozenset({"MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"})
_OUTWARD = re.compile(
    r"File|PyFunc|Checkpoint|^Save|^Restore|Dataset|Reader|LMDB|Summary|Print|Socket|Rpc|Grpc"
    r"|Bigtable|GcsConfig|HostCall|Debug"
)
_HARMLESS = frozenset({"PrintV2", "Print", "DebugGradientIdentity", "DebugIdentity"})


def load_saved_model(file: ModelFile) -> SavedModel:
    """The serving signature of a SavedModel folder in a zip.

    Raises
    ------
    LimitExceeded : an archive that unpacks to far more than a model.
    ModelError : a damaged folder, or one without a signature that takes rows.
    """
    with check_archive(file.content, file.name, file.settings) as archive:
        top = _top(archive, file.name)
        with tempfile.TemporaryDirectory() as folder:
            _unpack(archive, top, Path(folder), file.name)
            loaded = _load(folder, file.name)  # its weights and tables are in memory then
    return SavedModel(loaded, file)


def graph_of(file: ModelFile) -> bytes:
    """The `saved_model.pb` in a zipped folder, as bytes; it is not opened.

    Raises
    ------
    LimitExceeded, ModelError : as in `load_saved_model`.
    """
    with check_archive(file.content, file.name, file.settings) as archive:
        return read_member(archive, _top(archive, file.name) + _GRAPH, file.name)


def foreign_operations(graph: bytes) -> list[str]:
    """Operations of a `saved_model.pb` that reach files, the network or Python, by name.

    Raises
    ------
    ModelError : no graph that can be read.
    """
    try:
        found = set(_operations(graph)) - _OWN - _HARMLESS
    except Malformed as error:
        raise ModelError(
            f"The graph ({_GRAPH}) cannot be read: {error}. Export it again."
        ) from error
    return sorted(name for name in found if _OUTWARD.search(name))


def wrote_version(graph: bytes) -> str:
    """The version of TensorFlow that wrote a `saved_model.pb`, or an empty text."""
    try:
        for information in within(memoryview(graph), 2, 1):
            return text_of(information, 5)[:40]
    except Malformed:
        return ""
    return ""


def _operations(graph: bytes) -> Iterator[str]:
    """Of the graph and of every function in it (meta_graphs → graph_def → node, library)."""
    view = memoryview(graph)
    for path in ((2, 2, 1), (2, 2, 2, 1, 3)):
        for node in within(view, *path):
            yield text_of(node, 2)


def _top(archive: zipfile.ZipFile, name: str) -> str:
    """The path of the folder inside the archive, empty or with a slash at its end."""
    found = [path for path in archive.namelist() if PurePosixPath(path).name == _GRAPH]
    if len(found) != 1:
        raise ModelError(f"{name} holds {len(found)} SavedModel folders; one is needed: {_EXPORT}.")
    return found[0][: -len(_GRAPH)]


def _unpack(archive: zipfile.ZipFile, top: str, folder: Path, name: str) -> None:
    """Its graph, weights and assets; names were judged by `check_archive`."""
    for member in archive.infolist():
        inner = member.filename[len(top) :]
        if member.is_dir() or not member.filename.startswith(top):
            continue
        if inner == _GRAPH or inner.startswith(("variables/", "assets/")):
            target = folder / inner
            content = read_member(archive, member.filename, name)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            except OSError as error:
                raise LimitExceeded(
                    f"{name} holds {inner} of {len(content) / (1 << 20):,.0f} MB, which cannot be "
                    f"written to the worker's folder ({error.strerror}; setting worker_file_mb)."
                ) from error


def _load(folder: str, name: str) -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    try:
        return tf.saved_model.load(folder)
    except Exception as error:
        reason = first_line(error).replace(folder, "the folder")[:200]
        raise ModelError(
            f"{name} is damaged or does not fit TensorFlow {tf.__version__} ({reason}); export it "
            f"again: {_EXPORT}."
        ) from error


class SavedModel:
    """A graph behind one signature; its raw outputs are the scores."""

    def __init__(self, loaded: Any, file: ModelFile) -> None:
        self._loaded = loaded  # owns the weights
        self._name = file.name
        signature, self._call = _signature(loaded, file.name)
        self._inputs = _input_specs(loaded, self._call, file.name)
        self._fixed = _fixed_rows(self._call)
        self._kind = _score_kind(self._call)
        outputs = self._call.structured_outputs
        self._widths = [_width(spec.shape) for spec in outputs.values()]
        self._info = ModelInfo(
            format="savedmodel",
            kind=f"SavedModel, signature {signature}",
            task_hint="classifier" if self._kind is not None else None,
            digest=file.digest,
            size=file.size,
            notes=(*file.notes, *_version_notes(loaded)),
            **described(self._inputs),
        )

    @property
    def info(self) -> ModelInfo:
        return self._info

    def predict(self, X: pd.DataFrame | npt.NDArray[Any]) -> RawPredictions:
        """The outputs for every row of `X`; a list or dict for several outputs."""
        arrays, notes = input_arrays(X, self._inputs, self._name)
        try:
            scores = self._run(arrays)
        except DiagnosticsError:
            raise
        except Exception as error:
            raise ModelError(failure(self._name, error, X)) from error
        return RawPredictions(scores=scores, score_kind=self._kind, notes=tuple(notes))

    def _run(self, arrays: list[npt.NDArray[Any]]) -> Any:
        import tensorflow as tf

        rows = batch_rows(self._inputs, self._widths)
        parts: dict[str, list[npt.NDArray[Any]]] = {}
        for block, count in blocks(arrays, rows, self._fixed):
            answers = self._call(
                **{
                    spec.name: tf.convert_to_tensor(array, dtype=spec.dtype)
                    for array, spec in zip(block, self._inputs, strict=True)
                }
            )
            for key, answer in answers.items():
                parts.setdefault(key, []).append(_plain(answer)[:count])
        return _arranged({key: np.concatenate(pieces) for key, pieces in parts.items()})


def _plain(answer: Any) -> npt.NDArray[Any]:
    import tensorflow as tf

    if answer.dtype.is_floating and answer.dtype != tf.float64:
        answer = tf.cast(answer, tf.float32)  # NumPy has no bfloat16; halves are too coarse
    return np.asarray(answer)


def _arranged(answers: dict[str, npt.NDArray[Any]]) -> Any:
    """One output as it is, numbered ones as a list, named ones as a dict."""
    if len(answers) == 1:
        return next(iter(answers.values()))
    if all(re.fullmatch(r"output_\d+", key) for key in answers):
        return [answers[key] for key in sorted(answers, key=_natural)]
    return {key: answers[key] for key in sorted(answers, key=_natural)}


def _natural(name: str) -> list[Any]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _signature(loaded: Any, name: str) -> tuple[str, Any]:
    """The signature that answers rows."""
    found = dict(loaded.signatures)
    for known in _SIGNATURES:
        if known in found:
            return known, found[known]
    if len(found) == 1:
        return next(iter(found.items()))
    has = f"has the signatures {listed(sorted(found))}" if found else "has no signature"
    raise ModelError(
        f"{name} {has}; serving_default is needed. Export it with {_EXPORT}, or with "
        "`tf.saved_model.save(model, folder, signatures={'serving_default': function})`."
    )


def _input_specs(loaded: Any, call: Any, name: str) -> list[InputSpec]:
    import tensorflow as tf

    given = call.structured_input_signature[1]
    order = _order(loaded, set(given)) or sorted(given, key=_natural)
    specs = []
    for key in order:
        spec = given[key]
        if not isinstance(spec, tf.TensorSpec):
            raise ModelError(
                f"{name} takes {type(spec).__name__} for {key}; plain tensors are needed. "
                f"Export it with such a signature: {_EXPORT}."
            )
        shape = (None,) if spec.shape.rank is None else tuple(spec.shape.as_list()[1:])
        specs.append(InputSpec(key, shape, spec.dtype.name))
    if not specs:
        raise ModelError(f"The signature of {name} takes no rows. Export it again: {_EXPORT}.")
    return specs


def _order(loaded: Any, names: set[str]) -> list[str] | None:
    """The inputs in the order of the network: signatures forget it, the functions beside do not."""
    import tensorflow as tf

    for attribute in ("serve", "_default_save_signature"):
        function = getattr(loaded, attribute, None)
        if function is None:
            continue
        concrete = (getattr(function, "concrete_functions", None) or [function])[0]
        structure = getattr(concrete, "structured_input_signature", None)
        flat = [spec for spec in tf.nest.flatten(structure) if isinstance(spec, tf.TensorSpec)]
        order = [str(spec.name) for spec in flat]
        if len(order) == len(names) and set(order) == names:
            return order
    return None


def _fixed_rows(call: Any) -> int | None:
    """The number of rows that the graph was made for, where it takes no other."""
    sizes = {
        spec.shape[0]
        for spec in call.structured_input_signature[1].values()
        if spec.shape.rank  # unknown, or a scalar
    }
    return next(iter(sizes)) if len(sizes) == 1 else None


def _width(shape: Any) -> int:
    return int(np.prod([size or 1 for size in shape.as_list()[1:]])) if shape.rank else 1


def _version_notes(loaded: Any) -> tuple[str, ...]:
    import tensorflow as tf

    wrote = str(getattr(loaded, "tensorflow_version", ""))[:40]
    if not wrote or wrote.split(".")[:2] == tf.__version__.split(".")[:2]:
        return ()
    return (f"Saved with TensorFlow {wrote}; opened with {tf.__version__}.",)


def _score_kind(call: Any) -> ScoreKind | None:
    """Told from the operation that makes the one output; None where it does not say."""
    if len(call.outputs) != 1:
        return None
    operation = _last_operation(call.graph, call.outputs[0].op)
    if operation == "Softmax":
        return ScoreKind.PROBABILITY
    if operation == "Sigmoid":
        width = call.outputs[0].shape.as_list()[-1] if call.outputs[0].shape.rank else None
        return ScoreKind.PROBABILITY if width == 1 else ScoreKind.INDEPENDENT
    return None


def _last_operation(graph: Any, operation: Any) -> str:
    """The kind of operation behind an output, through copies and calls of functions."""
    while operation.type == "Identity":
        operation = operation.inputs[0].op
    if operation.type not in ("PartitionedCall", "StatefulPartitionedCall"):
        return str(operation.type)
    library = {one.signature.name: one for one in graph.as_graph_def().library.function}
    called = operation.get_attr("f").name
    for _ in range(50):  # functions call functions
        function = library.get(called)
        if function is None or len(function.ret) != 1:
            return ""
        nodes = {node.name: node for node in function.node_def}
        node = nodes.get(next(iter(function.ret.values())).split(":")[0])
        for _ in range(len(nodes)):
            if node is None or node.op != "Identity":
                break
            node = nodes.get(node.input[0].split(":")[0])
        if node is None or node.op not in ("PartitionedCall", "StatefulPartitionedCall"):
            return node.op if node is not None else ""
        called = node.attr["f"].func.name
    return ""
