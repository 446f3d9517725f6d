"""SavedModel folders of TensorFlow, for every task and every shape of inputs and outputs."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
import pytest

from dashboard.contracts import Model, Predictions, ScoreKind, Target, Task
from dashboard.errors import LimitExceeded, ModelError, UntrustedModel
from dashboard.models import carries_code, identify, load_native
from dashboard.models.saved_models import foreign_operations, wrote_version
from dashboard.settings import Settings

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype("float32")
TASKS: dict[Task, tuple[int, str | None, ScoreKind | None, Any]] = {
    Task.BINARY: (1, "sigmoid", ScoreKind.PROBABILITY, (X[:, 0] > 0).astype(int)),
    Task.MULTICLASS: (3, "softmax", ScoreKind.PROBABILITY, np.digitize(X[:, 1], [-0.5, 0.5])),
    Task.MULTILABEL: (3, "sigmoid", ScoreKind.INDEPENDENT, (X[:, :3] > 0).astype(int)),
    Task.REGRESSION: (1, None, None, X @ [1.0, -2.0, 0.5, 0.0]),
    Task.MULTIOUTPUT_REGRESSION: (2, None, None, X[:, :2] * [1.5, -2.5]),
}


@pytest.fixture(scope="module")
def keras() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    return keras


@pytest.fixture(scope="module")
def tf() -> Any:
    import tensorflow

    return tensorflow


def zipped(folder: Path, top: str = "net/") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, f"{top}{path.relative_to(folder)}")
    return buffer.getvalue()


def exported(network: Any, folder: Path, top: str = "net/") -> bytes:
    network.export(folder, verbose=False)
    return zipped(folder, top)


def signed(tf: Any, function: Any, specs: list[Any], folder: Path) -> bytes:
    """A SavedModel of one plain function."""
    module = tf.Module()
    module.answer = tf.function(function, input_signature=specs)
    tf.saved_model.save(module, folder, signatures={"serving_default": module.answer})
    return zipped(folder, "")


@pytest.mark.parametrize("task", list(Task))
def test_exported_networks_answer_as_the_network(keras: Any, task: Task, tmp_path: Path) -> None:
    units, activation, kind, truth = TASKS[task]
    layers = [keras.Input((4,)), keras.layers.Dense(5), keras.layers.BatchNormalization()]
    network = keras.Sequential([*layers, keras.layers.Dense(units, activation=activation)])
    network.compile("adam", "mse", run_eagerly=True)  # one step needs no graph
    onehot = np.eye(3)[truth] if task is Task.MULTICLASS else truth
    network.fit(X, onehot, batch_size=50, verbose=0)
    content = exported(network, tmp_path / "net", top="" if task is Task.BINARY else "net/")
    assert identify(content, "net.zip") == "savedmodel"
    assert carries_code("savedmodel")
    model = load_native(content, "net.zip")
    assert isinstance(model, Model)
    raw = model.predict(X)
    np.testing.assert_allclose(raw.scores, network(X, training=False), atol=1e-6)
    assert raw.score_kind is kind
    assert model.info.format == "savedmodel"
    assert model.info.kind == "SavedModel, signature serving_default"
    assert model.info.n_features == 4
    assert model.info.task_hint == ("classifier" if kind else None)
    assert model.info.notes == ()
    target = Target.from_values(truth, task=task)
    assert Predictions.normalise(raw, target, name="net").n == len(X)


def test_inputs_by_name_text_and_several_outputs(keras: Any, tmp_path: Path, tf: Any) -> None:
    layers = keras.layers
    city = keras.Input((1,), name="city", dtype="string")
    zone, age = keras.Input((1,), name="zone", dtype="int64"), keras.Input((1,), name="age")
    words = layers.StringLookup(vocabulary=["Oslo", "Rome"], output_mode="one_hot")
    joined = layers.Concatenate()(
        [words(city), layers.Flatten()(layers.Embedding(4, 2)(zone)), age]
    )
    network = keras.Model([zone, city, age], {"price": layers.Dense(1)(joined), "size": joined})
    model = load_native(exported(network, tmp_path / "net"), "net.zip")
    assert model.info.feature_names == ("zone", "city", "age")
    frame = pd.DataFrame(
        {"city": ["Rome", None, "Oslo"], "age": [1.0, 2.0, 3.0], "other": 1, "zone": [0, 1, 3]}
    )
    raw = model.predict(frame)
    texts = tf.constant([["Rome"], [""], ["Oslo"]])
    numbers = tf.constant(frame[["zone"]].to_numpy()), tf.constant(frame[["age"]].to_numpy("f4"))
    expected = network([numbers[0], texts, numbers[1]])
    assert sorted(raw.scores) == sorted(expected)
    for name, theirs in expected.items():
        np.testing.assert_allclose(raw.scores[name], theirs, atol=1e-6)
    assert raw.notes == ("Columns the model does not use: other.",)
    with pytest.raises(ModelError, match=r"1 of them is not among the features: zone"):
        model.predict(frame.drop(columns="zone"))


def test_wide_inputs_keep_the_order_of_the_network(keras: Any, tmp_path: Path) -> None:
    second, first = keras.Input((2,), name="b"), keras.Input((3,), name="a")
    joined = keras.layers.Concatenate()([second, first])
    network = keras.Model([second, first], keras.layers.Dense(1)(joined))
    model = load_native(exported(network, tmp_path / "net"), "net.zip")
    rows = RNG.normal(size=(6, 5)).astype("float32")
    raw = model.predict(pd.DataFrame(rows))
    np.testing.assert_allclose(raw.scores, network([rows[:, :2], rows[:, 2:]]), atol=1e-6)
    assert raw.notes == ("Columns were dealt to the inputs by order: b (2,), a (3,).",)


def test_networks_of_own_layers_need_no_code(keras: Any, tmp_path: Path) -> None:
    class Twice(keras.layers.Layer):  # type: ignore[misc,name-defined]
        def call(self, inputs: Any) -> Any:
            return 2 * inputs

    network = keras.Sequential([keras.Input((8, 8, 1)), Twice(), keras.layers.Flatten()])
    model = load_native(exported(network, tmp_path / "net"), "net.zip")
    images = RNG.integers(0, 16, size=(5, 8, 8))
    np.testing.assert_allclose(model.predict(images).scores, 2 * images.reshape(5, 64))
    with pytest.raises(ModelError, match=r"images are \(8, 9\); net\.zip takes \(8, 8, 1\)"):
        model.predict(np.zeros((5, 8, 9)))


def test_plain_functions_of_tensorflow(tf: Any, tmp_path: Path) -> None:
    """A fixed number of rows, an unknown shape, half precision, more rows than one block."""
    fixed = [tf.TensorSpec((8, 4), tf.float32, "rows")]
    model = load_native(
        signed(tf, lambda rows: {"y": tf.cast(rows, tf.bfloat16)}, fixed, tmp_path / "a"), "a.zip"
    )
    for n in (3, 8, 21):
        raw = model.predict(X[:n])
        assert raw.scores.dtype == np.float32
        np.testing.assert_allclose(raw.scores, X[:n], rtol=0.01)
    unknown = [tf.TensorSpec(None, tf.float64, "rows")]
    model = load_native(signed(tf, lambda rows: {"y": 2 * rows}, unknown, tmp_path / "b"), "b.zip")
    np.testing.assert_array_equal(model.predict(pd.DataFrame(X)).scores, 2 * X.astype("float64"))
    rows = np.arange(70_000, dtype="float32")[:, None].repeat(4, axis=1)
    free = [tf.TensorSpec((None, 4), tf.float32, "rows")]
    model = load_native(
        signed(tf, lambda rows: {"y": tf.nn.sigmoid(rows)}, free, tmp_path / "c"), "c.zip"
    )
    raw = model.predict(rows)
    assert raw.scores.shape == rows.shape
    assert raw.score_kind is ScoreKind.INDEPENDENT
    assert model.predict(rows[:0]).scores.shape == (0, 4)


def test_folders_without_a_signature_say_what_is_needed(tf: Any, tmp_path: Path) -> None:
    tf.saved_model.save(tf.Module(), tmp_path / "none")
    with pytest.raises(ModelError, match="has no signature; serving_default is needed"):
        load_native(zipped(tmp_path / "none"), "none.zip")
    module = tf.Module()
    row = tf.TensorSpec((None, 4), tf.float32)
    module.twice = tf.function(lambda rows: {"y": 2 * rows}, input_signature=[row])
    module.half = tf.function(lambda rows: {"y": rows / 2}, input_signature=[row])
    both = {"twice": module.twice, "half": module.half}
    tf.saved_model.save(module, tmp_path / "two", signatures=both)
    with pytest.raises(ModelError, match="has the signatures half, twice"):
        load_native(zipped(tmp_path / "two"), "two.zip")
    tf.saved_model.save(module, tmp_path / "one", signatures={"twice": module.twice})
    one = load_native(zipped(tmp_path / "one"), "one.zip")
    np.testing.assert_array_equal(one.predict(X).scores, 2 * X)
    assert one.info.kind == "SavedModel, signature twice"


def test_operations_that_reach_outside_are_named_unopened(tf: Any, tmp_path: Path) -> None:
    def reading(rows: Any) -> dict[str, Any]:
        text = tf.io.read_file("/etc/hostname")
        with tf.control_dependencies([tf.io.write_file("/tmp/never", text)]):
            return {"y": rows + tf.cast(tf.strings.length(text), tf.float32)}

    row = [tf.TensorSpec((None, 4), tf.float32)]
    signed(tf, reading, row, tmp_path / "bad")
    graph = (tmp_path / "bad" / "saved_model.pb").read_bytes()
    assert foreign_operations(graph) == ["ReadFile", "WriteFile"]
    assert wrote_version(graph) == tf.__version__
    signed(tf, lambda rows: {"y": rows}, row, tmp_path / "good")
    graph = (tmp_path / "good" / "saved_model.pb").read_bytes()
    assert foreign_operations(graph) == []
    for bad in (graph[: len(graph) // 2], b"\xff" * 40, b"\x0b\x01"):
        with pytest.raises(ModelError, match="cannot be read"):
            foreign_operations(bad)
    assert wrote_version(b"\xff" * 40) == ""


def test_damaged_and_hostile_archives_are_one_sentence(tf: Any, tmp_path: Path) -> None:
    row = [tf.TensorSpec((None, 4), tf.float32)]
    content = signed(tf, lambda rows: {"y": rows}, row, tmp_path / "net")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    graph = parts["saved_model.pb"]

    def changed(**members: bytes) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, data in {**parts, **members}.items():
                archive.writestr(name, data)
        return buffer.getvalue()

    place = content.find(b"saved_model.pb") + 60  # inside the packed graph
    flipped = content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]
    for bad, error, words in [
        (changed(**{"saved_model.pb": graph[: len(graph) // 2]}), ModelError, "damaged or does"),
        (changed(**{"saved_model.pb": b""}), ModelError, "damaged or does not fit"),
        (changed(**{"b/saved_model.pb": graph}), ModelError, "holds 2 SavedModel folders"),
        (changed(**{"../evil": b""}), UntrustedModel, "leaves the archive"),
        (content[: len(content) // 2], ModelError, "cut off or damaged"),
        (flipped, ModelError, "cut off or damaged"),
        (changed(**{"assets/a": b"", "assets/a/b": b""}), LimitExceeded, "cannot be written"),
    ]:
        with pytest.raises(error, match=words) as caught:
            load_native(bad, "net.zip")
        assert "\n" not in str(caught.value)
        assert str(tmp_path) not in str(caught.value)
    with pytest.raises(LimitExceeded, match="max_model_mb"):
        load_native(
            changed(**{"variables/x": bytes(3 << 20)}),
            "net.zip",
            settings=Settings(max_model_mb=2),
        )


def test_a_graph_that_fails_gives_one_sentence(tf: Any, tmp_path: Path) -> None:
    def failing(rows: Any) -> dict[str, Any]:
        with tf.control_dependencies([tf.debugging.assert_greater(tf.size(rows), 10**9)]):
            return {"y": tf.identity(rows)}

    content = signed(tf, failing, [tf.TensorSpec((None, 4), tf.float32)], tmp_path / "net")
    with pytest.raises(ModelError, match=r"net\.zip failed on these rows") as caught:
        load_native(content, "net.zip").predict(X)
    assert "\n" not in str(caught.value)


def test_a_saved_model_is_explained_by_its_answers(tf: Any, tmp_path: Path) -> None:
    """Nothing is seen inside it: its features are exchanged with those of background rows."""
    from dashboard.explanation import ExplainOptions, explain

    def answer(x: Any) -> Any:
        return x[:, 0] * x[:, 1] + 2 * x[:, 2] + tf.cast(x[:, 3] > 0, tf.float32)

    content = signed(tf, answer, [tf.TensorSpec((None, 4), tf.float32, name="x")], tmp_path / "net")
    model = load_native(content, "net.zip")
    one = explain(model, X, X[:, 2], rows=[3, 4, 5], options=ExplainOptions(n_background=50))
    assert (one.engine, one.exact, one.background.n) == ("exact", True, 50)
    x, a, b = X[3:6].astype(float), X[:, 0].astype(float), X[:, 1].astype(float)
    both, apart = x[:, 0] * x[:, 1] - (a * b).mean(), x[:, 0] * b.mean() - x[:, 1] * a.mean()
    truth = np.column_stack(
        [
            (both + apart) / 2,
            (both - apart) / 2,
            2 * (x[:, 2] - X[:, 2].mean(dtype=float)),
            (x[:, 3] > 0) - (X[:, 3] > 0).mean(),
        ]
    )
    np.testing.assert_allclose(one.values[:, :, 0], truth, atol=1e-5)
    assert one.base_values == pytest.approx(answer(X).numpy().mean(dtype=float), abs=1e-6)
