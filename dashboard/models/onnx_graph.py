"""What an ONNX file holds, read before onnxruntime opens it: foreign files, classes, activations.

Also takes `ZipMap` out: converters of scikit-learn end classifiers with it, and it turns a table of
probabilities into one dictionary per row, slowly, or not at all for several labels. Field numbers
are those of onnx.proto: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import ModelError, UntrustedModel
from .wire import Malformed, delimited, fields, pieces, text_of, varint, within

__all__ = ["OnnxGraph", "read_graph"]

_PRODUCER, _PRODUCER_VERSION, _GRAPH, _FUNCTIONS = 2, 3, 7, 25
_NODE, _INITIALIZER, _OUTPUT, _SPARSE = 1, 5, 12, 15
_OP_TYPE, _ATTRIBUTE, _DOMAIN = 4, 5, 7
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14

# Where tensors can be, by the kind of message: field number → kind of the message in it.
_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
_LABELS = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")
_COPIES = ("Cast", "Identity")


@dataclass(frozen=True)
class OnnxGraph:
    """What is known of a graph.

    Attributes
    ----------
    content : the file for onnxruntime, without `ZipMap`.
    producer : the program that wrote it, with its version.
    n_nodes : operations at the top.
    classes : the classes that a classifier in it names, or None (several lists differ).
    """

    content: bytes
    producer: str
    n_nodes: int
    classes: tuple[Any, ...] | None
    _makers: dict[str, tuple[str, str]] = field(default_factory=dict)

    def last_operation(self, output: str) -> str:
        """The kind of operation that makes an output, behind casts and copies."""
        for _ in range(len(self._makers)):
            kind, start = self._makers.get(output, ("", ""))
            if kind not in _COPIES:
                return kind
            output = start
        return ""


def read_graph(content: bytes, name: str) -> OnnxGraph:
    """Look through the file; nothing is run and no other file is opened.

    Raises
    ------
    UntrustedModel : weights in other files, or operations of libraries that are not here.
    ModelError : no ONNX file that can be read.
    """
    try:
        view = memoryview(content)
        _check_tensors(view, name)
        graphs = list(within(view, _GRAPH))
        if len(graphs) != 1:
            raise Malformed(f"{len(graphs)} graphs")
        nodes = list(within(graphs[0], _NODE))
        _check_domains(view, name)
        labels = [found for node in nodes for found in _class_labels(node)]
        makers = dict(pair for node in nodes for pair in _makers(node))
        version = text_of(view, _PRODUCER_VERSION).split()[:1]
        producer = " ".join([text_of(view, _PRODUCER), *version])[:80]
        return OnnxGraph(
            _without_zipmap(view, nodes) or content,
            producer.strip(),
            len(nodes),
            labels[0] if labels and len(set(labels)) == 1 else None,
            makers,
        )
    except Malformed as error:
        raise ModelError(
            f"{name} is a damaged ONNX file ({error}); export or upload it again."
        ) from error


def _check_tensors(view: memoryview, name: str) -> None:
    stack = [("model", view)]
    while stack:
        kind, message = stack.pop()
        children = _CHILDREN[kind]
        for number, value in fields(message):
            if kind == "tensor" and (
                number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value == 1)
            ):
                raise UntrustedModel(
                    f"{name} keeps weights in another file, which is not read here; save it with "
                    "everything inside: `onnx.save(onnx.load('model.onnx'), 'whole.onnx')`."
                )
            if number in children and isinstance(value, memoryview):
                stack.append((children[number], value))


def _check_domains(view: memoryview, name: str) -> None:
    """Operations come from ONNX, from onnxruntime, or from functions inside the file."""
    own = {text_of(function, 10) for function in within(view, _FUNCTIONS)}
    for imported in within(view, 8):
        domain = text_of(imported, 1)
        if domain not in _DOMAINS and domain not in own:
            used = {
                text_of(node, _OP_TYPE)
                for node in within(view, _GRAPH, _NODE)
                if text_of(node, _DOMAIN) == domain
            }
            if used:
                raise UntrustedModel(
                    f"{name} needs {sorted(used)[0]} of {domain}, which onnxruntime does not have; "
                    "export it with standard operations only."
                )


def _class_labels(node: memoryview) -> Iterator[tuple[Any, ...]]:
    for attribute in within(node, _ATTRIBUTE):
        if text_of(attribute, 1) in _LABELS:
            texts = tuple(bytes(one).decode("utf-8", "replace") for one in within(attribute, 9))
            numbers = tuple(_integers(attribute))
            if texts or numbers:
                yield texts or numbers


def _integers(attribute: memoryview) -> Iterator[int]:
    """Repeated int64 (field 8), packed or one by one."""
    for number, value in fields(attribute):
        if number == 8:
            values = [value] if isinstance(value, int) else _packed(value)
            yield from (one - (1 << 64) if one >= 1 << 63 else one for one in values)


def _packed(value: memoryview) -> list[int]:
    found, position = [], 0
    while position < len(value):
        one, position = varint(value, position)
        found.append(one)
    return found


def _makers(node: memoryview) -> Iterator[tuple[str, tuple[str, str]]]:
    kind = text_of(node, _OP_TYPE)
    inputs = [bytes(one).decode("utf-8", "replace") for one in within(node, 1)]
    for output in within(node, 2):
        name = bytes(output).decode("utf-8", "replace")
        yield name, (kind, inputs[0] if inputs else "")


def _without_zipmap(view: memoryview, nodes: list[memoryview]) -> bytes | None:
    """The file with each `ZipMap` made a copy and its output a table; None without any."""
    zipped = {bytes(one) for node in nodes if _is_zipmap(node) for one in within(node, 2)}
    if not zipped:
        return None
    graph = b"".join(_rewritten(view, zipped))
    return b"".join(
        delimited(number, graph) if number == _GRAPH else raw for number, _, raw in pieces(view)
    )


def _rewritten(view: memoryview, zipped: set[bytes]) -> Iterator[bytes]:
    for number, value, raw in pieces(next(within(view, _GRAPH))):
        if number == _NODE and isinstance(value, memoryview) and _is_zipmap(value):
            ends = [(1, next(within(value, 1))), (2, next(within(value, 2)))]
            copy = b"".join(delimited(side, one) for side, one in ends)
            yield delimited(_NODE, copy + delimited(_OP_TYPE, b"Identity"))
        elif number == _OUTPUT and isinstance(value, memoryview) and _name(value) in zipped:
            yield delimited(_OUTPUT, delimited(1, _name(value)))  # onnxruntime infers its type
        else:
            yield bytes(raw)


def _name(value: memoryview) -> bytes:
    return bytes(next(within(value, 1), b""))


def _is_zipmap(node: memoryview) -> bool:
    return text_of(node, _OP_TYPE) == "ZipMap" and text_of(node, _DOMAIN) == "ai.onnx.ml"
