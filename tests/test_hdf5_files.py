"""HDF5 files of Keras 3, whole or as weights beside their architecture, for every task."""

from __future__ import annotations

import io
import json
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import h5py
import numpy as np
import pytest

from dashboard.contracts import Predictions, Target, Task
from dashboard.errors import LimitExceeded, ModelError, UntrustedModel
from dashboard.models import carries_code, identify, load_native
from dashboard.settings import Settings

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype("float32")
TRUTH: dict[Task, Any] = {
    Task.BINARY: (X[:, 0] > 0).astype(int),
    Task.MULTICLASS: np.digitize(X[:, 1], [-0.5, 0.5]),
    Task.MULTILABEL: (X[:, :3] > 0).astype(int),
    Task.REGRESSION: X @ [1.0, -2.0, 0.5, 0.0],
    Task.MULTIOUTPUT_REGRESSION: X[:, :2] * [1.5, -2.5],
}
ENDS = {
    Task.BINARY: (1, "sigmoid", "binary_crossentropy"),
    Task.MULTICLASS: (3, "softmax", "sparse_categorical_crossentropy"),
    Task.MULTILABEL: (3, "sigmoid", "binary_crossentropy"),
    Task.REGRESSION: (1, None, "mse"),
    Task.MULTIOUTPUT_REGRESSION: (2, None, "mse"),
}


@pytest.fixture(scope="module")
def keras() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    return keras


def own_loss(y_true: Any, y_pred: Any) -> Any:
    return (y_true - y_pred) ** 2


def trained(keras: Any, task: Task) -> Any:
    units, activation, loss = ENDS[task]
    start = keras.Input((4,), name="rows")
    hidden = keras.layers.BatchNormalization()(keras.layers.Dense(6, activation="relu")(start))
    network = keras.Model(start, keras.layers.Dense(units, activation=activation)(hidden))
    loss = own_loss if task is Task.REGRESSION else loss
    network.compile("adam", loss, run_eagerly=True)  # one step needs no graph
    network.fit(X, TRUTH[task], batch_size=60, verbose=0)
    return network


class Saved:
    """One trained network in all its files."""

    def __init__(self, keras: Any, folder: Path, task: Task) -> None:
        self.network = trained(keras, task)
        self.answers = np.asarray(self.network(X, training=False))
        with warnings.catch_warnings():
            # Keras 3.15 copies its variables in a way that NumPy 2.4 deprecates.
            warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
            self.network.save(folder / "model.h5")
            self.network.save_weights(folder / "model.weights.h5")
        self.whole = (folder / "model.h5").read_bytes()
        self.weights = (folder / "model.weights.h5").read_bytes()
        self.architecture = self.network.to_json().encode()


@pytest.fixture(scope="module")
def saved(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Task], Saved]:
    made: dict[Task, Saved] = {}

    def get(task: Task) -> Saved:
        if task not in made:
            made[task] = Saved(keras, tmp_path_factory.mktemp("networks"), task)
        return made[task]

    return get


def zipped(*members: bytes, names: tuple[str, ...] = ("net/a.json", "net/a.weights.h5")) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, member in zip(names, members, strict=True):
            archive.writestr(name, member)
    return buffer.getvalue()


@pytest.mark.parametrize("task", list(Task))
def test_whole_models_answer_as_the_network(saved: Any, task: Task) -> None:
    made = saved(task)
    assert identify(made.whole, "model.h5") == "hdf5"
    assert not carries_code("hdf5")
    model = load_native(made.whole, "model.h5")
    raw = model.predict(X)
    np.testing.assert_allclose(raw.scores, made.answers, atol=1e-6)
    assert model.info.format == "hdf5"
    assert model.info.size == len(made.whole)
    assert model.info.n_features == 4
    assert model.info.notes == ()
    target = Target.from_values(TRUTH[task], task=task)
    found = Predictions.normalise(raw, target, name="net")
    assert found.n == len(X)


@pytest.mark.parametrize("task", list(Task))
def test_architecture_and_weights_answer_as_the_network(
    saved: Any, task: Task, tmp_path: Path
) -> None:
    made = saved(task)
    assert identify(made.architecture, "model.json") == "keras json"
    content = zipped(made.architecture, made.weights)
    assert identify(content, "net.zip") == "keras parts"
    model = load_native(content, "net.zip")
    np.testing.assert_allclose(model.predict(X).scores, made.answers, atol=1e-6)
    # Uploaded beside each other, whichever of the two comes first.
    (tmp_path / "other.py").write_text("")
    for first, other, name in [
        (made.architecture, made.weights, "model.weights.h5"),
        (made.weights, made.architecture, "model.json"),
    ]:
        (tmp_path / name).write_bytes(other)
        beside = load_native(first, "first", helpers_folder=tmp_path)
        np.testing.assert_allclose(beside.predict(X).scores, made.answers, atol=1e-6)
        assert beside.info.format == "architecture and weights"
        assert f"Opened together with {name}." in beside.info.notes
        (tmp_path / name).unlink()


def test_the_weights_that_fit_are_taken(saved: Any, tmp_path: Path) -> None:
    right, wrong = saved(Task.MULTICLASS), saved(Task.BINARY)
    (tmp_path / "a.weights.h5").write_bytes(wrong.weights)
    (tmp_path / "b.weights.h5").write_bytes(right.weights)
    model = load_native(right.architecture, "model.json", helpers_folder=tmp_path)
    np.testing.assert_allclose(model.predict(X).scores, right.answers, atol=1e-6)
    assert model.info.notes == ("Opened together with b.weights.h5.",)
    (tmp_path / "b.weights.h5").unlink()
    with pytest.raises(ModelError, match="does not fit Keras"):
        load_native(right.architecture, "model.json", helpers_folder=tmp_path)


def test_halves_of_a_network_say_what_is_missing(saved: Any, tmp_path: Path) -> None:
    made = saved(Task.BINARY)
    for helpers in (None, tmp_path):
        with pytest.raises(ModelError, match="weights without the network they belong to"):
            load_native(made.weights, "model.weights.h5", helpers_folder=helpers)
        with pytest.raises(ModelError, match="architecture of a network without its weights"):
            load_native(made.architecture, "model.json", helpers_folder=helpers)
    for members in [(b"{}", made.weights), (made.architecture, b"no HDF5")]:
        with pytest.raises(ModelError, match="no network in two parts"):
            load_native(zipped(*members), "net.zip")


def test_operations_between_layers(keras: Any, tmp_path: Path) -> None:
    """Keras itself cannot open these again: it takes them for layers of the same name."""
    start = keras.Input((4,))
    hidden = keras.ops.relu(keras.layers.Dense(3)(start) * 2 + 1)
    network = keras.Model(start, keras.layers.Dense(1)(1 - hidden))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        network.save(tmp_path / "model.h5")
    model = load_native(tmp_path / "model.h5", "model.h5")
    expected = network(X, training=False)
    np.testing.assert_allclose(model.predict(X).scores, expected, atol=1e-6)


def changed(content: bytes, change: Callable[[Any], None]) -> bytes:
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        change(file)
    return buffer.getvalue()


def configured(change: Callable[[Any], Any]) -> Callable[[Any], None]:
    def apply(file: Any) -> None:
        config = json.loads(file.attrs["model_config"])
        change(config["config"]["layers"])
        file.attrs["model_config"] = json.dumps(config)

    return apply


def linked(file: Any) -> None:
    file["model_weights/more"] = h5py.ExternalLink("/etc/passwd", "/")


def elsewhere(file: Any) -> None:
    file.create_dataset("model_weights/x", (8,), "u1", external=[("/etc/passwd", 0, 8)])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (configured(lambda layers: layers[1].update(class_name="Lambda")), "a Lambda layer"),
        (configured(lambda layers: layers[1].update(class_name="TFSMLayer")), "TFSMLayer"),
        (configured(lambda layers: layers[1].update(class_name="Own")), r"own code\.Own"),
        (
            configured(lambda layers: layers[1].update(module="os", class_name="system")),
            r"os\.system",
        ),
        (linked, "a link named 'more' to another place"),
        (elsewhere, "stored in another file"),
    ],
)
def test_hostile_files_are_refused(saved: Any, change: Any, words: str) -> None:
    with pytest.raises(UntrustedModel, match=words):
        load_native(changed(saved(Task.BINARY).whole, change), "model.h5")


def test_a_small_file_cannot_ask_for_much_memory(saved: Any) -> None:
    content = saved(Task.BINARY).whole
    wide = configured(lambda layers: layers[1]["config"].update(units=1 << 28))
    with pytest.raises(LimitExceeded, match="asks for"):
        load_native(changed(content, wide), "model.h5")

    def declared(file: Any) -> None:
        file.create_dataset("model_weights/x", (1 << 20,), "f8", chunks=(1 << 10,))

    with pytest.raises(LimitExceeded, match="max_model_mb"):
        load_native(changed(content, declared), "model.h5", settings=Settings(max_model_mb=4))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda file: file.attrs.__setitem__("model_config", "{"), "its architecture is no JSON"),
        (lambda file: file.attrs.__setitem__("model_config", "[" * 9999), "no JSON"),
        (lambda file: file.attrs.__setitem__("model_config", 7), "no JSON|no network"),
        (lambda file: file.attrs.__setitem__("model_config", "{}"), "describes no network"),
        (lambda file: file.__delitem__("model_weights"), "weights without the network"),
        (lambda file: file["model_weights"].clear(), "does not fit Keras"),
        (configured(lambda layers: layers[1]["config"].update(units=7)), "does not fit Keras"),
    ],
)
def test_damaged_files_are_one_sentence(saved: Any, change: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        load_native(changed(saved(Task.BINARY).whole, change), "model.h5")
    assert "\n" not in str(caught.value)


def test_truncated_files_are_one_sentence(saved: Any) -> None:
    content = saved(Task.BINARY).whole
    for length in (9, 500, len(content) // 2, len(content) - 10):
        with pytest.raises(ModelError, match=r"damaged or cut off|without the network") as caught:
            load_native(content[:length], "model.h5")
        assert "\n" not in str(caught.value)


def test_other_hdf5_files_say_what_is_needed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "table.h5", "w") as file:
        file["a"] = np.zeros(3)
    with pytest.raises(ModelError, match="holds weights without the network"):
        load_native(tmp_path / "table.h5", "table.h5")
