"""Networks looked into: outputs, gradients and words of training against Keras itself."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboard.contracts import NetworkSummary, Task
from dashboard.data import EvalSet, evalset_from_frame
from dashboard.diagnostics.network_findings import find_in_network
from dashboard.errors import NotApplicable
from dashboard.evaluation import as_model
from dashboard.figures import plot_layers
from dashboard.frames import Frame, FrameError
from dashboard.learning.networks import network_summary
from dashboard.models import adapt
from dashboard.models.network_training import training_words
from dashboard.refitting.network_summaries import read_summary
from dashboard.settings import get_settings


def _evalset(scale: float = 1.0) -> EvalSet:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(300, 4)) * scale, columns=list("abcd"))
    return evalset_from_frame(X.assign(y=(X["a"] > 0).astype(int)), target="y", pos_label=1)


@pytest.fixture(scope="module")
def network() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    made = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, "relu", name="first"),
            keras.layers.Dropout(0.5, name="drop"),
            keras.layers.Dense(5, "tanh", name="second"),
            keras.layers.Dense(1, "sigmoid", name="last"),
        ]
    )
    # one unit that never fires
    kernel, bias = made.get_layer("first").get_weights()
    bias[3] = -1e6
    made.get_layer("first").set_weights([kernel, bias])
    made.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
    return made


@pytest.fixture(scope="module")
def summary(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NetworkSummary]:
    """Through a real worker, from the file."""
    path = tmp_path_factory.mktemp("layers") / "net.keras"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras' own, on NumPy 2
        network.save(path)
    yield network_summary(as_model("net", path, {}, get_settings()), _evalset(), "Net")


def _by_hand(network: Any, n: int) -> tuple[list[Any], Any, Any]:
    """Outputs of all layers, and the gradients of the loss of 256 rows, by Keras alone."""
    import tensorflow as tf

    from dashboard.explainers.ordering import stratified_order

    evalset = _evalset()
    at = stratified_order(evalset, 0)[:n]
    X = evalset.X.to_numpy(dtype=np.float32)[at]
    outputs, values = [], tf.constant(X)
    for layer in network.layers:
        values = layer(values, training=False)
        outputs.append(values.numpy())
    truth = tf.constant((evalset.target.y[at[:256]] == 1).astype(np.float32))
    with tf.GradientTape() as tape:
        p = network(X[:256], training=False)[:, 0]
        loss = -tf.reduce_mean(truth * tf.math.log(p) + (1 - truth) * tf.math.log(1 - p))
    kernels = [network.get_layer(name).kernel for name in ("first", "second", "last")]
    return outputs, tape.gradient(loss, [one.value for one in kernels]), kernels


def test_outputs_of_every_layer_are_those_of_keras(summary: NetworkSummary, network: Any) -> None:
    outputs, _, _ = _by_hand(network, 300)
    assert [one.name for one in summary.layers] == ["first", "drop", "second", "last"]
    for layer, values in zip(summary.layers, outputs, strict=True):
        assert layer.mean == pytest.approx(values.mean(), abs=1e-5)
        assert layer.sd == pytest.approx(values.std(), abs=1e-5)
        assert layer.n_units == values.shape[-1]
        assert layer.dead == pytest.approx(np.mean(values.min(axis=0) == values.max(axis=0)))
    first, _, second, last = summary.layers
    assert first.saturated == pytest.approx((outputs[0] <= 0).mean(), abs=1e-6)
    assert second.saturated == pytest.approx((np.abs(outputs[2]) > 0.99).mean(), abs=1e-3)
    assert last.saturated == pytest.approx(
        ((outputs[3] < 0.01) | (outputs[3] > 0.99)).mean(), abs=1e-3
    )
    assert first.dead == pytest.approx(1 / 8)


def test_gradients_and_norms_are_those_of_keras(summary: NetworkSummary, network: Any) -> None:
    _, gradients, kernels = _by_hand(network, 300)
    measured = [one for one in summary.layers if one.gradient_norm is not None]
    assert [one.name for one in measured] == ["first", "second", "last"]
    for layer, gradient, kernel in zip(measured, gradients, kernels, strict=True):
        assert layer.gradient_norm == pytest.approx(np.linalg.norm(gradient), rel=1e-3)
        assert layer.weight_norm == pytest.approx(np.linalg.norm(kernel), rel=1e-5)


def test_what_the_file_says_of_the_training(summary: NetworkSummary, network: Any) -> None:
    assert summary.losses == ("binary_crossentropy",)
    assert (summary.optimizer, summary.rate) == ("Adam", pytest.approx(0.02))
    assert summary.n_parameters == summary.n_trainable == network.count_params()
    assert (summary.n_rows, summary.n_given, summary.model) == (300, 300, "Net")
    frame = summary.frame()
    assert frame["shape"].tolist() == ["8", "8", "5", "1"]
    assert find_in_network(summary, Task.BINARY) != []  # Glorot before a ReLU
    assert plot_layers(summary).data


def test_unscaled_inputs_are_found_and_named(network: Any) -> None:
    found = network_summary(adapt(network, "net"), _evalset(255), "Net")
    codes = {one.code: one for one in find_in_network(found, Task.BINARY)}
    assert "255" not in codes["unscaled_inputs"].sentence
    assert codes["unscaled_inputs"].evidence["standard_deviation"] > 200
    assert codes["saturated_units"].subject == "Net: second"  # tanh, behind unscaled inputs


def test_only_networks_have_layers() -> None:
    from sklearn.linear_model import LogisticRegression

    evalset = _evalset()
    model = LogisticRegression().fit(evalset.X, evalset.target.y)
    with pytest.raises(NotApplicable, match="Keras"):
        network_summary(adapt(model, "m"), evalset, "m")


def _summary(**more: Any) -> NetworkSummary:
    from dataclasses import replace

    from dashboard.contracts import LayerSummary

    last = LayerSummary("out", "Dense", (more.pop("units", 1),), 5, True, more.pop("ends", ""))
    return replace(NetworkSummary("n", (last,), 5, 5, 10, 10), **more)


@pytest.mark.parametrize(
    ("given", "task", "code"),
    [
        ({"ends": "softmax"}, Task.BINARY, "output_mismatch"),
        ({"ends": "relu", "units": 3}, Task.MULTICLASS, "output_mismatch"),
        ({"ends": "sigmoid"}, Task.REGRESSION, "output_mismatch"),
        ({"ends": "sigmoid", "losses": ("mean_squared_error",)}, Task.BINARY, "loss_mismatch"),
        (
            {"ends": "sigmoid", "losses": ("binary_crossentropy",), "from_logits": True},
            Task.BINARY,
            "logits_mismatch",
        ),
        ({"ends": "", "losses": ("binary_crossentropy",)}, Task.BINARY, "logits_mismatch"),
    ],
)
def test_outputs_and_losses_that_do_not_fit(given: dict[str, Any], task: Task, code: str) -> None:
    assert code in {one.code for one in find_in_network(_summary(**given), task)}


@pytest.mark.parametrize(
    ("given", "task"),
    [
        ({"ends": "sigmoid", "losses": ("binary_crossentropy",)}, Task.BINARY),
        (
            {"ends": "softmax", "units": 3, "losses": ("sparse_categorical_crossentropy",)},
            Task.MULTICLASS,
        ),
        ({"ends": "linear", "losses": ("mean_squared_error",)}, Task.REGRESSION),
        ({"losses": ("binary_crossentropy",), "from_logits": True}, Task.BINARY),
        ({"ends": "linear", "losses": ("my_own_loss",)}, Task.REGRESSION),
    ],
)
def test_outputs_and_losses_that_fit(given: dict[str, Any], task: Task) -> None:
    assert find_in_network(_summary(**given), task) == []


def test_more_parameters_than_rows() -> None:
    big = _summary(n_trainable=1_000)
    assert [one.code for one in find_in_network(big, None, 500)] == ["more_parameters_than_rows"]
    assert find_in_network(big, None, 5_000) == []


def test_words_of_training_are_names_only() -> None:
    assert training_words(None) is None
    own = training_words({"loss": {"class_name": "X", "config": "<script>"}, "optimizer": "adam"})
    assert own is not None
    assert own.losses == ("",)
    schedule = {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.3}}
    found = training_words(
        {
            "loss": {"a": "mse", "b": {"class_name": "BinaryCrossentropy", "config": {}}},
            "optimizer": {"class_name": "SGD", "config": {"learning_rate": schedule}},
        }
    )
    assert found is not None
    assert (found.losses, found.optimizer, found.rate) == (
        ("mse", "binary_crossentropy"),
        "SGD",
        0.3,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"layers": "many"},
        {"n_rows": -1},
        {"rate": "fast"},
        {"layers": [{"name": "x", "kind": "Dense", "shape": "3"}]},
        {"losses": 3},
    ],
)
def test_forged_answers_are_refused(change: dict[str, Any]) -> None:
    from dataclasses import asdict

    told = json.loads(json.dumps(asdict(_summary())))
    assert read_summary(Frame(told)).layers[0].name == "out"
    with pytest.raises(FrameError):
        read_summary(Frame({**told, **change}))
