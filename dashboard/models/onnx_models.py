"""ONNX models through onnxruntime: converted scikit-learn estimators, boosters and networks."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import ModelInfo, RawPredictions, ScoreKind
from ..errors import DiagnosticsError, ModelError
from .columns import failure, first_line
from .model_file import ModelFile
from .network_inputs import InputSpec, batch_rows, blocks, described, input_arrays
from .onnx_graph import OnnxGraph, read_graph

__all__ = ["OnnxModel", "load_onnx"]

_TYPES = {
    "float": "float32",
    "double": "float64",
    "float16": "float16",
    "string": "string",
    "bool": "bool",
    **{f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
_AUTOMATIC = re.compile(r"(output|Identity)(_\d+)?(:\d+)?")  # names that nobody gave
_LABEL_TYPES = ("bool", "int32", "int64", "string")


def load_onnx(file: ModelFile) -> OnnxModel:
    """The graph in an `.onnx` file.

    Raises
    ------
    UntrustedModel : weights in other files, or operations of libraries that are not here.
    ModelError : a damaged file, or inputs that are no tables or arrays.
    """
    import onnxruntime

    graph = read_graph(file.content, file.name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = file.settings.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it says comes back as an exception as well
    try:
        session = onnxruntime.InferenceSession(
            graph.content, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise ModelError(
            f"{file.name} is damaged or does not fit onnxruntime {onnxruntime.__version__} "
            f"({_reason(error)}); export it again."
        ) from error
    return OnnxModel(session, graph, file)


def _reason(error: Exception) -> str:
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", first_line(error))[:200]


class OnnxModel:
    """A graph whose outputs are labels, scores, or both."""

    def __init__(self, session: Any, graph: OnnxGraph, file: ModelFile) -> None:
        self._session = session
        self._name = file.name
        self._inputs = [_input_spec(one, file.name) for one in session.get_inputs()]
        if not self._inputs:
            raise ModelError(f"{file.name} takes no input; export the fitted model again.")
        self._outputs = {one.name: _type(one.type) for one in session.get_outputs()}
        self._labels = next(
            (name for name, kind in self._outputs.items() if kind == "labels"), None
        )
        self._scores = [name for name, kind in self._outputs.items() if kind == "scores"]
        self._classes = graph.classes
        self._kind = _score_kind(self._scores, session, graph) if self._labels is None else None
        # (labels, rows, 2), as forests of several labels are converted
        self._stacked = {one.name for one in session.get_outputs() if _is_stacked(one.shape)}
        self._fixed = _fixed_rows(session.get_inputs())
        widths = [_width(one.shape) for one in session.get_outputs()]
        self._rows = batch_rows(self._inputs, widths)
        is_classifier = self._labels is not None or self._kind is not None
        self._info = ModelInfo(
            format="onnx",
            kind=f"ONNX graph of {graph.n_nodes:,} operations"
            + (f", from {graph.producer}" if graph.producer else ""),
            classes=graph.classes if self._labels is not None else None,
            task_hint="classifier" if is_classifier else None,
            digest=file.digest,
            size=file.size,
            notes=file.notes,
            **described(self._inputs),
        )

    @property
    def info(self) -> ModelInfo:
        return self._info

    def predict(self, X: pd.DataFrame | npt.NDArray[Any]) -> RawPredictions:
        """Labels and scores as the graph gives them, the classes in the order of its columns."""
        arrays, notes = input_arrays(X, self._inputs, self._name)
        try:
            answers = self._run(arrays)
        except DiagnosticsError:
            raise
        except Exception as error:
            raise ModelError(failure(self._name, error, X)) from error
        labels = None if self._labels is None else answers[self._labels]
        scores, classes = self._arranged({name: answers[name] for name in self._scores}, labels)
        return RawPredictions(
            labels=labels,
            scores=scores,
            classes=classes,
            score_kind=self._kind,
            notes=tuple(notes),
        )

    def _run(self, arrays: list[npt.NDArray[Any]]) -> dict[str, Any]:
        wanted = [name for name, kind in self._outputs.items() if kind is not None]
        if not wanted:
            raise ModelError(f"{self._name} gives no numbers or labels; export the fitted model.")
        parts: dict[str, list[Any]] = {name: [] for name in wanted}
        for block, count in blocks(arrays, self._rows, self._fixed):
            given = {spec.name: one for spec, one in zip(self._inputs, block, strict=True)}
            for name, answer in zip(wanted, self._session.run(wanted, given), strict=True):
                parts[name].append(_cut(answer, count, name in self._stacked))
        return {name: _joined(some, name in self._stacked) for name, some in parts.items()}

    def _arranged(self, scores: dict[str, Any], labels: Any) -> tuple[Any, list[Any] | None]:
        """Scores in one of the forms that predictions are read from, and their classes."""
        classes = None if self._classes is None else list(self._classes)
        several = labels is not None and np.ndim(labels) == 2 and np.shape(labels)[1] > 1
        if not scores:
            return None, None
        if len(scores) == 1:
            only = _sides(next(iter(scores.values())), labels, classes)
            if np.ndim(only) == 3 and several and len(only) == np.shape(labels)[1]:
                only = list(only)
            if several and np.shape(only)[1:] == (2 * np.shape(labels)[1],):
                # the network of several labels: each label's absence, then each label's presence
                only = only[:, np.shape(labels)[1] :]
            is_table = isinstance(only, np.ndarray) and only.ndim == 2
            fits = is_table and classes is not None and only.shape[1] == len(classes)
            return only, classes if fits and not several and labels is not None else None
        is_columns = all(np.ndim(one) == 1 for one in scores.values())
        if labels is not None and is_columns and classes and len(classes) == len(scores):
            return np.column_stack(list(scores.values())), classes
        if all(_AUTOMATIC.fullmatch(name) for name in scores):
            return list(scores.values()), None
        return scores, None


def _sides(scores: Any, labels: Any, classes: list[Any] | None) -> Any:
    """Two columns in the order of the classes: support vector machines turn the sign of theirs."""
    if classes is None or len(classes) != 2 or np.ndim(labels) != 1 or np.shape(scores)[1:] != (2,):
        return scores
    first = np.asarray(labels) == classes[0]
    decided = scores[:, 0] != scores[:, 1]
    against = ((scores[:, 0] > scores[:, 1]) != first) & decided
    return scores[:, ::-1] if 2 * against.sum() > decided.sum() else scores


def _is_stacked(shape: Any) -> bool:
    return len(shape or ()) == 3 and isinstance(shape[0], int) and not isinstance(shape[1], int)


def _cut(answer: Any, count: int, stacked: bool) -> Any:
    """The rows that count."""
    if isinstance(answer, list):
        return [_cut(one, count, stacked) for one in answer]
    if answer.dtype == np.float16:
        answer = answer.astype(np.float32)
    return answer[:, :count] if stacked else answer[:count]


def _joined(pieces: list[Any], stacked: bool) -> Any:
    if isinstance(pieces[0], list):
        return [np.concatenate(column) for column in zip(*pieces, strict=True)]
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=int(stacked))


def _input_spec(node: Any, name: str) -> InputSpec:
    found = re.fullmatch(r"tensor\((\w+)\)", node.type)
    if found is None or found[1] not in _TYPES:
        raise ModelError(
            f"{name} takes {node.type} for {node.name}; plain tensors of numbers or text are "
            "needed. Export it with such inputs."
        )
    sizes = node.shape[1:] if node.shape else [None]
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in sizes)
    return InputSpec(node.name, shape, _TYPES[found[1]])


def _type(text: str) -> str | None:
    """Whether an output is labels or scores; None for what is neither."""
    if re.fullmatch(rf"tensor\(({'|'.join(_LABEL_TYPES)})\)", text):
        return "labels"
    return "scores" if re.fullmatch(r"(seq\()?tensor\((float|double|float16)\)\)?", text) else None


def _fixed_rows(inputs: Any) -> int | None:
    """The number of rows that the graph was made for, where it takes no other."""
    sizes = {one.shape[0] for one in inputs if one.shape}
    size = next(iter(sizes)) if len(sizes) == 1 else None
    return size if isinstance(size, int) and size > 0 else None


def _width(shape: Any) -> int:
    return int(np.prod([size if isinstance(size, int) else 1 for size in (shape or [1])[1:]]))


def _score_kind(scores: list[str], session: Any, graph: OnnxGraph) -> ScoreKind | None:
    """Told from the operation that makes the one output; None where it does not say."""
    if len(scores) != 1:
        return None
    operation = graph.last_operation(scores[0])
    if operation == "Softmax":
        return ScoreKind.PROBABILITY
    if operation == "Sigmoid":
        shape = next(one.shape for one in session.get_outputs() if one.name == scores[0])
        return ScoreKind.PROBABILITY if shape and shape[-1] == 1 else ScoreKind.INDEPENDENT
    return None
