"""Boosters, ONNX networks and SavedModels that bite or are damaged."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from .archives import zipped
from .scene import Scene

__all__ = ["boosters", "onnx_models", "saved_models"]


def boosters() -> dict[str, bytes]:
    """Small real boosters, cut off or with bits turned."""
    import lightgbm
    import xgboost

    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4))
    y = (X[:, 0] > 0).astype(int)
    boost = xgboost.XGBClassifier(n_estimators=4, max_depth=2).fit(X, y).get_booster()
    ubj, text = bytes(boost.save_raw("ubj")), bytes(boost.save_raw("json"))
    light = lightgbm.LGBMClassifier(n_estimators=4, verbose=-1).fit(X, y)
    lines = light.booster_.model_to_string().encode()
    tree = json.loads(text)
    model = tree["learner"]["gradient_booster"]["model"]["trees"][0]
    model["left_children"] = [10**8] * len(model["left_children"])
    wide = json.loads(text)
    wide["learner"]["learner_model_param"]["num_feature"] = str(1 << 31)
    return {
        "truncated.ubj": ubj[: len(ubj) // 2],
        "flipped.ubj": _flipped(ubj, 3, 40),
        "flipped-more.ubj": _flipped(ubj, 5, 400),
        "truncated.json": text[: len(text) // 2],
        "children-outside.json": json.dumps(tree).encode(),
        "wide.json": json.dumps(wide).encode(),
        "truncated.txt": lines[: len(lines) // 2],
        "counts-lie.txt": lines.replace(b"num_leaves=", b"num_leaves=9999999"),
        "split-outside.txt": _replaced_values(lines, b"split_feature="),
        "truncated.cbm": b"CBM1" + bytes(40),
        "noise.cbm": b"CBM1" + rng.bytes(4000),
    }


def _flipped(content: bytes, seed: int, count: int) -> bytes:
    """Bits turned at random behind the first bytes that tell what it is."""
    rng = np.random.default_rng(seed)
    changed = bytearray(content)
    for at in rng.integers(64, len(content), count):
        changed[at] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _replaced_values(lines: bytes, start: bytes) -> bytes:
    found = []
    for line in lines.splitlines():
        if line.startswith(start):
            line = start + b" ".join([b"99999999"] * len(line.split()))
        found.append(line)
    return b"\n".join(found) + b"\n"


def onnx_models(scene: Scene) -> dict[str, bytes]:
    """Networks with weights outside their file, with loops, and with sizes that lie."""
    return {
        "external-parent.onnx": _external("../../../../../../../../../etc/passwd"),
        "external-absolute.onnx": _external(str(scene.other)),
        "external-inbox.onnx": _external("model.onnx"),
        "loop.onnx": _endless(),
        "swollen.onnx": _swollen(),
        "foreign-operator.onnx": _foreign(),
        "truncated.onnx": _endless()[:60],
        "noise.onnx": b"\x08\x08\x12\x08skl2onnx" + np.random.default_rng(0).bytes(3000),
    }


def _saved(graph: Any) -> bytes:
    from onnx import helper

    sets = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=sets, ir_version=8).SerializeToString())


def _external(location: str) -> bytes:
    from onnx import TensorProto, helper

    weights = TensorProto(name="W", data_type=TensorProto.UINT8, dims=[100, 1])
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "100")):
        entry = weights.external_data.add()
        entry.key, entry.value = key, value
    nodes = [
        helper.make_node("Cast", ["W"], ["F"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["F"], ["S"], keepdims=0),
        helper.make_node("Add", ["X", "S"], ["Y"]),
    ]
    rows = helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 4])
    answer = helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None, 4])
    return _saved(helper.make_graph(nodes, "g", [rows], [answer], [weights]))


def _endless() -> bytes:
    """A loop of 2**62 turns."""
    from onnx import TensorProto, helper

    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Add", ["v", "v"], ["w"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, [None, 4]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, [None, 4]),
        ],
    )
    turns = helper.make_tensor("turns", TensorProto.INT64, [], [1 << 62])
    start = helper.make_tensor("start", TensorProto.BOOL, [], [True])
    nodes = [
        helper.make_node("Loop", ["turns", "start", "X"], ["L"], body=body),
        helper.make_node("ReduceSum", ["L", "axes"], ["Y"], keepdims=1),
    ]
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    rows = helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 4])
    answer = helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None, 1])
    return _saved(helper.make_graph(nodes, "g", [rows], [answer], [turns, start, axes]))


def _swollen() -> bytes:
    """A few bytes that ask for 64 GB."""
    from onnx import TensorProto, helper

    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [1 << 17, 1 << 17])
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["Z"]),
        helper.make_node("ReduceSum", ["Z"], ["S"], keepdims=0),
        helper.make_node("Add", ["X", "S"], ["Y"]),
    ]
    rows = helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 4])
    answer = helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None, 4])
    return _saved(helper.make_graph(nodes, "g", [rows], [answer], [shape]))


def _foreign() -> bytes:
    from onnx import TensorProto, helper

    nodes = [helper.make_node("PyOp", ["X"], ["Y"], domain="ai.onnx.contrib", module="os")]
    rows = helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 4])
    answer = helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None, 1])
    return _saved(helper.make_graph(nodes, "g", [rows], [answer]))


def saved_models(scene: Scene) -> dict[str, bytes]:
    """SavedModels whose graph reads and writes files, and archives of them that lie."""
    import tensorflow as tf

    canary, other = str(scene.canary), str(scene.other)

    class Reader(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
        def serve(self, x: Any) -> Any:
            text = tf.io.read_file(other)
            told = tf.cast(tf.strings.length(text), tf.float32)
            return {"y": tf.reduce_sum(x, 1, keepdims=True) + told}

    class Writer(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
        def serve(self, x: Any) -> Any:
            with tf.control_dependencies([tf.io.write_file(canary, "changed")]):
                return {"y": tf.reduce_sum(x, 1, keepdims=True)}

    reader, writer = _folder_of(Reader()), _folder_of(Writer())
    graph = reader["saved_model.pb"]
    return {
        "reads-files.zip": zipped(reader),
        "writes-files.zip": zipped(writer),
        "parent-path-model.zip": zipped({**reader, "../../canary.txt": b"changed"}),
        "link-model.zip": zipped(reader, links={"assets/link": canary}),
        "truncated-graph.zip": zipped({**reader, "saved_model.pb": graph[: len(graph) // 2]}),
        "noise-graph.zip": zipped({**reader, "saved_model.pb": io.BytesIO(graph[::-1]).getvalue()}),
    }


def _folder_of(module: Any) -> dict[str, bytes]:
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"serving_default": module.serve})
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in Path(folder).rglob("*")
            if path.is_file()
        }
