"""What is read of an ONNX file before it is opened, against the library that defines the format."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from sklearn.linear_model import LogisticRegression

from dashboard.errors import DiagnosticsError
from dashboard.models.onnx_graph import read_graph

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from skl2onnx import to_onnx

X = np.random.default_rng(0).normal(size=(30, 3)).astype("float32")


def classifier(labels: Any) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = to_onnx(LogisticRegression().fit(X, labels), X[:1])
    return bytes(found.SerializeToString())


@pytest.mark.parametrize(
    "labels",
    [
        np.arange(30) % 3 - 1,
        np.array(["ja", "nein", "weiß nicht"])[np.arange(30) % 3],
        np.array([7, 900, -(2**40)])[np.arange(30) % 3],
    ],
    ids=["small", "texts", "large"],
)
def test_classes_and_producer_are_found(labels: Any) -> None:
    found = read_graph(classifier(labels), "model.onnx")
    assert found.classes == tuple(sorted(set(labels.tolist())))
    assert found.producer.startswith("skl2onnx 1.")


def test_only_zipmap_is_taken_out() -> None:
    content = classifier(np.arange(30) % 3)
    before = onnx.load_from_string(content)
    after = onnx.load_from_string(read_graph(content, "model.onnx").content)
    kinds = [node.op_type for node in before.graph.node]
    assert kinds[-1] == "ZipMap"
    assert [node.op_type for node in after.graph.node] == [*kinds[:-1], "Identity"]
    assert list(after.graph.node[-1].input) == list(before.graph.node[-1].input)
    assert [one.name for one in after.graph.output] == [one.name for one in before.graph.output]
    for model in (before, after):
        del model.graph.node[-1], model.graph.output[-1]
    assert before == after


def test_a_file_without_zipmap_stays_as_it_is() -> None:
    node = helper.make_node("Relu", ["a"], ["b"])
    copies = [
        helper.make_node("Identity", ["b"], ["c"]),
        helper.make_node("Cast", ["c"], ["d"], to=1),
    ]
    info = helper.make_tensor_value_info("d", TensorProto.FLOAT, [None])
    content = helper.make_model(
        helper.make_graph([node, *copies], "g", [], [info])
    ).SerializeToString()
    found = read_graph(content, "model.onnx")
    assert found.content == content
    assert found.n_nodes == 3
    assert found.classes is None
    assert found.last_operation("d") == "Relu"
    assert found.last_operation("a") == ""


def test_copies_in_a_ring_end() -> None:
    ring = [helper.make_node("Identity", [a], [b]) for a, b in ("ab", "ba")]
    content = helper.make_model(helper.make_graph(ring, "g", [], [])).SerializeToString()
    assert read_graph(content, "model.onnx").last_operation("a") == ""


@given(st.binary(max_size=200), st.integers(0, 400))
def test_damage_never_gives_more_than_a_sentence(noise: bytes, place: int) -> None:
    content = CONTENT[:place] + noise + CONTENT[place + len(noise) :]
    try:
        read_graph(content, "model.onnx")
    except DiagnosticsError as error:
        assert "\n" not in str(error)


CONTENT = classifier(np.arange(30) % 3)
