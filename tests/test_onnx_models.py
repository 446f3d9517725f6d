"""ONNX files of scikit-learn's and Keras' converters, equal to onnxruntime and to the original."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC

from dashboard.contracts import Model, Predictions, ScoreKind, Target, Task
from dashboard.errors import ModelError, UntrustedModel
from dashboard.models import carries_code, identify, load_native

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from skl2onnx import to_onnx

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype("float32")
Y2 = (X[:, 0] > 0).astype(int)
Y3 = np.array(["low", "mid", "high"])[np.digitize(X[:, 1], [-0.5, 0.5])]
YML = np.column_stack([Y2, X[:, 2] > 0]).astype(int)
YV = X @ [1.0, -2.0, 0.5, 0.0]
FRAME = pd.DataFrame(X.astype("float64"), columns=["income", "age", "rooms per head", "score"])
FRAME = FRAME.assign(city=np.where(X[:, 3] > 0, "Rome", "Oslo"), floor=np.arange(60) % 3)


def converted(estimator: Any, rows: Any = X, options: Any = None) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = to_onnx(estimator, rows[:1], options=options)
    return bytes(found.SerializeToString())


CASES: dict[str, tuple[Any, Any, Task, dict[str, Any]]] = {
    "logistic": (LogisticRegression(), Y2, Task.BINARY, {}),
    "logistic, tensor": (LogisticRegression(), Y2, Task.BINARY, {"zipmap": False}),
    "logistic, columns": (LogisticRegression(), Y3, Task.MULTICLASS, {"zipmap": "columns"}),
    "logistic of texts": (LogisticRegression(), Y3, Task.MULTICLASS, {}),
    "texts, tensor": (LogisticRegression(), Y3, Task.MULTICLASS, {"zipmap": False}),
    "forest": (RandomForestClassifier(4), Y3, Task.MULTICLASS, {}),
    "boosting": (GradientBoostingClassifier(n_estimators=4), Y3, Task.MULTICLASS, {}),
    "several labels": (RandomForestClassifier(4), YML, Task.MULTILABEL, {}),
    "several labels, tensor": (RandomForestClassifier(4), YML, Task.MULTILABEL, {"zipmap": False}),
    "a list of labels": (MultiOutputClassifier(LogisticRegression()), YML, Task.MULTILABEL, {}),
    "one against the rest": (OneVsRestClassifier(LogisticRegression()), YML, Task.MULTILABEL, {}),
    "a network": (MLPClassifier(4, max_iter=20, random_state=0), YML, Task.MULTILABEL, {}),
    "ridge": (Ridge(), YV, Task.REGRESSION, {}),
    "forest of values": (RandomForestRegressor(4), YV, Task.REGRESSION, {}),
    "two values": (Ridge(), X[:, :2] * [1.5, -2.5], Task.MULTIOUTPUT_REGRESSION, {}),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("case", list(CASES))
def test_converted_estimators_answer_as_the_original(case: str) -> None:
    estimator, truth, task, options = CASES[case]
    native = make_pipeline(StandardScaler(), estimator).fit(X, truth)
    content = converted(native, options={id(estimator): options} if options else None)
    assert identify(content, "model.onnx") == "onnx"
    assert not carries_code("onnx")
    model = load_native(content, "model.onnx")
    assert isinstance(model, Model)
    raw = model.predict(X)
    target = Target.from_values(truth, task=task)
    found = Predictions.normalise(raw, target, name="model")
    assert found.n == 60
    if not task.is_classification:
        np.testing.assert_allclose(np.squeeze(raw.scores), native.predict(X), atol=2e-6)
        np.testing.assert_allclose(found.y_pred, native.predict(X), atol=2e-6)
        assert model.info.task_hint is None
        return
    np.testing.assert_array_equal(raw.labels, native.predict(X))
    scores = native.predict_proba(X)
    if isinstance(scores, list):
        scores = np.column_stack([score[:, 1] for score in scores])
    if task is Task.BINARY:
        scores = scores[:, 1]
    np.testing.assert_allclose(found.y_score, scores, atol=1e-6)
    assert model.info.task_hint == "classifier"
    assert model.info.n_features == 4
    assert model.info.kind.startswith("ONNX graph of ")
    assert "from skl2onnx 1." in model.info.kind
    if task is not Task.MULTILABEL:
        assert raw.classes == native.classes_.tolist()
        assert model.info.classes == tuple(native.classes_.tolist())


@pytest.mark.parametrize("estimator", [LinearSVC(), SVC()], ids=["linear", "kernel"])
def test_decision_values(estimator: Any) -> None:
    native = estimator.fit(X, Y2)
    raw = load_native(converted(native), "model.onnx").predict(X)
    np.testing.assert_array_equal(raw.labels, native.predict(X))
    found = Predictions.normalise(raw, Target.from_values(Y2), name="svm")
    order = np.argsort(found.y_score)
    np.testing.assert_array_equal(order, np.argsort(native.decision_function(X).astype("f4")))


def test_columns_by_name_numbers_text_and_whole_numbers() -> None:
    numbers = ["income", "age", "rooms per head"]
    steps = [("n", StandardScaler(), numbers), ("c", OneHotEncoder(), ["city", "floor"])]
    native = make_pipeline(ColumnTransformer(steps), LogisticRegression()).fit(
        FRAME.drop(columns="score"), Y3
    )
    rows = FRAME.drop(columns="score")
    model = load_native(converted(native, rows), "model.onnx")
    names = [name.replace(" ", "_") for name in rows.columns]  # the converter renames
    assert model.info.feature_names == tuple(names)
    given = FRAME[["score", "floor", "city", "rooms per head", "age", "income"]]
    raw = model.predict(given)
    np.testing.assert_array_equal(raw.labels, native.predict(rows))
    np.testing.assert_allclose(raw.scores, native.predict_proba(rows), atol=1e-6)
    assert raw.notes == (
        "Column rooms per head is read as rooms_per_head.",
        "Columns the model does not use: score.",
    )
    arrow = given.convert_dtypes(dtype_backend="pyarrow")
    np.testing.assert_array_equal(model.predict(arrow).scores, raw.scores)
    with pytest.raises(ModelError, match=r"not among the features: city"):
        model.predict(given.drop(columns="city"))
    with pytest.raises(ModelError, match="values are missing in floor"):
        model.predict(given.assign(floor=np.nan))
    with pytest.raises(ModelError, match="age holds text"):
        model.predict(given.assign(age="old"))


@pytest.fixture(scope="module")
def keras() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    return keras


def exported(network: Any, folder: Path) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what tf2onnx uses is on its way out
        network.export(folder / "net.onnx", format="onnx", verbose=False)
    return (folder / "net.onnx").read_bytes()


KERAS: dict[Task, tuple[int, str | None, ScoreKind | None, Any]] = {
    Task.BINARY: (1, "sigmoid", ScoreKind.PROBABILITY, Y2),
    Task.MULTICLASS: (3, "softmax", ScoreKind.PROBABILITY, Y3),
    Task.MULTILABEL: (3, "sigmoid", ScoreKind.INDEPENDENT, (X[:, :3] > 0).astype(int)),
    Task.REGRESSION: (1, None, None, YV),
    Task.MULTIOUTPUT_REGRESSION: (2, None, None, X[:, :2] * [1.5, -2.5]),
}


@pytest.mark.parametrize("task", list(Task))
def test_exported_networks_answer_as_the_network(keras: Any, tmp_path: Path, task: Task) -> None:
    units, activation, kind, truth = KERAS[task]
    layers = [keras.Input((4,)), keras.layers.Dense(5, activation="relu")]
    network = keras.Sequential([*layers, keras.layers.Dense(units, activation=activation)])
    coded = np.unique(truth, return_inverse=True)[1] if task is Task.MULTICLASS else truth
    network.compile("adam", "mse", run_eagerly=True)
    network.fit(X, np.eye(3)[coded] if task is Task.MULTICLASS else coded, verbose=0)
    model = load_native(exported(network, tmp_path), "net.onnx")
    raw = model.predict(X)
    np.testing.assert_allclose(raw.scores, network(X), atol=1e-6)
    assert raw.score_kind is kind
    assert raw.labels is None
    assert model.info.task_hint == ("classifier" if kind else None)
    target = Target.from_values(truth, task=task)
    assert Predictions.normalise(raw, target, name="net").n == 60


def test_networks_of_images_and_several_outputs(keras: Any, tmp_path: Path) -> None:
    start = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(keras.layers.Conv2D(2, 3)(start))
    ends = [keras.layers.Dense(1, name="price")(flat), keras.layers.Dense(2, name="size")(flat)]
    network = keras.Model(start, ends)
    images = RNG.integers(0, 16, size=(20, 8, 8))
    expected = network(images[..., None].astype("float32"))
    raw = load_native(exported(network, tmp_path), "net.onnx").predict(images)
    assert raw.notes == ("A channel axis was added: rows of (8, 8) became (8, 8, 1).",)
    for ours, theirs in zip(raw.scores, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


# --- graphs made by hand -------------------------------------------------------------------------


def graph(
    nodes: list[Any],
    inputs: list[tuple[str, Any, Any]],
    outputs: list[tuple[str, Any, Any]],
    initializers: tuple[Any, ...] = (),
    domains: tuple[str, ...] = (),
) -> bytes:
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(*one) for one in inputs],
        [helper.make_tensor_value_info(*one) for one in outputs],
        list(initializers),
    )
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(one, 1) for one in domains)]
    return bytes(helper.make_model(made, opset_imports=opsets, ir_version=9).SerializeToString())


FLOAT, HALF, INT = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64


def test_graphs_for_a_fixed_number_of_rows() -> None:
    node = helper.make_node("Softmax", ["X"], ["Y"])
    content = graph([node], [("X", FLOAT, [8, 4])], [("Y", FLOAT, [8, 4])])
    model = load_native(content, "fixed.onnx")
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    expected = np.concatenate([session.run(None, {"X": X[i : i + 8]})[0] for i in range(0, 56, 8)])
    for n in (3, 8, 56):
        np.testing.assert_array_equal(model.predict(X[:n]).scores, expected[:n])
    assert model.predict(X).score_kind is ScoreKind.PROBABILITY


def test_half_precision_labels_alone_and_text() -> None:
    content = graph(
        [helper.make_node("Cast", ["X"], ["Y"], to=HALF)],
        [("X", FLOAT, ["n", 4])],
        [("Y", HALF, ["n", 4])],
    )
    assert load_native(content, "half.onnx").predict(X).scores.dtype == np.float32
    content = graph(
        [helper.make_node("ArgMax", ["X"], ["Y"], axis=1, keepdims=0)],
        [("X", FLOAT, ["n", 4])],
        [("Y", INT, ["n"])],
    )
    raw = load_native(content, "labels.onnx").predict(FRAME.iloc[:, :4])
    np.testing.assert_array_equal(raw.labels, X.argmax(axis=1))
    assert raw.scores is None
    text = TensorProto.STRING
    content = graph(
        [helper.make_node("Identity", ["city"], ["Y"])],
        [("city", text, ["n", 1])],
        [("Y", text, ["n", 1])],
    )
    raw = load_native(content, "text.onnx").predict(FRAME)
    assert raw.labels.ravel().tolist() == FRAME["city"].tolist()


def test_functions_inside_the_file_are_fine() -> None:
    double = helper.make_function(
        "own", "Double", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    node = helper.make_node("Double", ["X"], ["Y"], domain="own")
    made = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("X", FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("Y", FLOAT, ["n", 4])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model = helper.make_model(made, functions=[double], opset_imports=opsets, ir_version=9)
    raw = load_native(model.SerializeToString(), "own.onnx").predict(X)
    np.testing.assert_array_equal(raw.scores, 2 * X)


def test_no_threads_decide_the_answer_and_blocks_join() -> None:
    node = helper.make_node("Sigmoid", ["X"], ["Y"])
    content = graph([node], [("X", FLOAT, ["n", 4])], [("Y", FLOAT, ["n", 1])])
    rows = np.arange(70_000, dtype="float32")[:, None].repeat(4, axis=1) / 70_000
    model = load_native(content, "net.onnx")
    first = model.predict(rows)
    assert first.scores.shape == (70_000, 4)
    np.testing.assert_array_equal(model.predict(rows).scores, first.scores)
    assert model.predict(rows[:0]).scores.shape == (0, 4)


def test_shapes_that_do_not_fit_are_named() -> None:
    content = converted(LogisticRegression().fit(X, Y2))
    model = load_native(content, "model.onnx")
    with pytest.raises(ModelError, match=r"takes 4 columns; the features here are 2"):
        model.predict(FRAME[["income", "age"]])
    with pytest.raises(ModelError, match=r"rows are \(3,\); model\.onnx takes \(4,\)"):
        model.predict(X[:, :3])


def test_a_graph_that_fails_gives_one_sentence() -> None:
    weights = numpy_helper.from_array(np.ones((3, 1), dtype="float32"), "W")
    node = helper.make_node("MatMul", ["X", "W"], ["Y"])
    content = graph([node], [("X", FLOAT, ["n", "m"])], [("Y", FLOAT, ["n", 1])], (weights,))
    model = load_native(content, "model.onnx")
    with pytest.raises(ModelError, match=r"model\.onnx failed on these rows") as caught:
        model.predict(X)
    assert "\n" not in str(caught.value)


def external(location: str) -> Any:
    weights = numpy_helper.from_array(np.ones((4, 1), dtype="float32"), "W")
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    return weights


def nested(tensor: Any) -> list[Any]:
    """The tensor inside a branch inside a branch."""
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=tensor)],
        "inner",
        [],
        [helper.make_tensor_value_info("c", FLOAT, [4, 1])],
    )
    node = helper.make_node("If", ["X"], ["c"], then_branch=inner, else_branch=inner)
    outer = helper.make_graph([node], "outer", [], inner.output)
    return [helper.make_node("If", ["X"], ["Y"], then_branch=outer, else_branch=outer)]


@pytest.mark.parametrize("place", ["/etc/passwd", "../../secret", "weights.bin"])
def test_weights_in_other_files_are_refused(place: str) -> None:
    ends = [("X", FLOAT, ["n", 4])], [("Y", FLOAT, ["n", 1])]
    node = helper.make_node("MatMul", ["X", "W"], ["Y"])
    constant = helper.make_node("Constant", [], ["W"], value=external(place))
    sparse = helper.make_sparse_tensor(external(place), numpy_helper.from_array(np.arange(4)), [4])
    hidden = helper.make_node("Constant", [], ["W"], sparse_value=sparse)
    below = helper.make_model(helper.make_graph([node], "g", [], [], sparse_initializer=[sparse]))
    for content in (
        graph([node], *ends, (external(place),)),
        graph([constant, node], *ends),
        graph([hidden, node], *ends),
        graph(nested(external(place)), *ends),
        below.SerializeToString(),
    ):
        with pytest.raises(UntrustedModel, match="keeps weights in another file"):
            load_native(content, "model.onnx")


def test_foreign_operations_and_inputs_are_named() -> None:
    ends = [("X", FLOAT, ["n", 4])], [("Y", FLOAT, ["n", 1])]
    node = helper.make_node("PyOp", ["X"], ["Y"], domain="ai.onnx.contrib", module="os")
    with pytest.raises(UntrustedModel, match=r"needs PyOp of ai\.onnx\.contrib"):
        load_native(graph([node], *ends, domains=("ai.onnx.contrib",)), "model.onnx")
    with pytest.raises(ModelError, match="does not fit onnxruntime"):
        load_native(graph([helper.make_node("NoSuch", ["X"], ["Y"])], *ends), "model.onnx")
    constant = helper.make_node("Constant", [], ["Y"], value_float=1.0)
    with pytest.raises(ModelError, match="takes no input"):
        load_native(graph([constant], [], [("Y", FLOAT, [])]), "model.onnx")
    complex_ = [("X", TensorProto.BFLOAT16, ["n", 4])], [("Y", TensorProto.BFLOAT16, ["n", 4])]
    with pytest.raises(ModelError, match=r"tensor\(bfloat16\)|does not fit"):
        load_native(graph([helper.make_node("Identity", ["X"], ["Y"])], *complex_), "model.onnx")


def test_damaged_files_are_one_sentence() -> None:
    content = converted(LogisticRegression().fit(X, Y2))
    for length in range(12, len(content), 37):
        with pytest.raises(ModelError, match=r"damaged|takes no input") as caught:
            load_native(content[:length], "model.onnx")
        assert "\n" not in str(caught.value)
