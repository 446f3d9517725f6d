"""Networks fitted anew: as their file says, from fresh weights, on the rows of each fit alone."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboard.contracts import Run, Series
from dashboard.data import EvalSet
from dashboard.errors import NotApplicable
from dashboard.evaluation import as_evalset
from dashboard.learning import (
    Fit,
    FitOptions,
    Folds,
    ParameterOptions,
    Request,
    choose_folds,
    estimate_fits,
    fits_in_lanes,
    parameter_curve_in_stages,
    refit_of,
    suggested_values,
    tunable_parameters,
)
from dashboard.learning.networks import epochs_in_logs, logged_training
from dashboard.models import KerasModel, adapt, load_native
from dashboard.models.network_training import training_words
from dashboard.refitting.network_compiling import made_loss, made_optimizer, recipe_of
from dashboard.refitting.network_copies import copying_of, layer_settings
from dashboard.sandbox.processes import WorkCancelled, watched

ROWS = 120


@pytest.fixture(scope="module")
def rows() -> EvalSet:
    """Two classes by four numbers, each row with a weight."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(3, 5, size=(ROWS, 4)), columns=list("abcd"))
    X["weight"] = rng.integers(1, 4, ROWS).astype(float)
    X["y"] = (X["a"] - X["b"] + rng.normal(size=ROWS) > 0).astype(int)
    return as_evalset(X.rename(columns={"weight": "sample_weight"}), None, "y")


def _dense(*first: Any, units: int = 1, activation: str = "sigmoid") -> Any:
    import keras

    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((4,)),
            *first,
            keras.layers.Dense(6, "relu", name="hidden"),
            keras.layers.Dropout(0.25, name="drop"),
            keras.layers.Dense(units, activation, name="last"),
        ]
    )


def _saved(network: Any, folder: Path, ending: str = "keras") -> KerasModel:
    path = folder / f"network.{ending}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras' own: of NumPy 2, and that HDF5 is of old
        network.save(path)
    model = load_native(path, path.name)
    assert isinstance(model, KerasModel)
    return model


def _fit(model: Any, data: EvalSet, request: Request, **more: Any) -> Fit:
    options = FitOptions(metrics=more.pop("metrics", ("roc_auc",)), answers=True, **more)
    (found,) = [fit for _, fit in fits_in_lanes(adapt(model, "m"), data, "m", [request], options)]
    return found


def _folds(data: EvalSet) -> Folds:
    return choose_folds(data, 3)


# ---- how it is compiled --------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_the_whole_optimizer_and_loss_of_a_file_are_used(tmp_path: Path, ending: str) -> None:
    import keras

    schedule = keras.optimizers.schedules.CosineDecayRestarts(0.02, 50, m_mul=0.5, alpha=0.1)
    told = {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-3, "clipnorm": 0.5}
    optimizer = keras.optimizers.SGD(schedule, **told)
    loss = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1)
    network = _dense(activation="linear")
    network.compile(optimizer, loss, loss_weights=[2.0])
    recipe = recipe_of(_saved(network, tmp_path, ending))
    assert recipe.notes == ()
    made = made_optimizer(recipe.optimizer).get_config()
    assert {**made, "name": ""} == {**optimizer.get_config(), "name": ""}
    assert {name: made[name] for name in told} == told
    (part,) = recipe.losses
    assert part is not None
    assert made_loss(part).get_config() == loss.get_config()
    assert recipe.weights == (2.0,)
    assert "SGD begun anew (learning rate 0.02 at first, then cosine decay restarts)" in (
        recipe.words()
    )


def test_each_output_has_its_own_loss_and_weight() -> None:
    import keras

    given = keras.Input((4,))
    heads = {name: keras.layers.Dense(1, name=name)(given) for name in ("size", "price")}
    network = keras.Model(given, [heads["size"], heads["price"]])
    network.compile(
        "adam",
        loss={"price": keras.losses.Huber(delta=0.3), "size": "mse"},  # Keras forgets this delta
        loss_weights={"price": 0.2, "size": 3.0},
    )
    recipe = recipe_of(adapt(network, "m"))  # type: ignore[arg-type]
    assert [one.kind for one in recipe.losses if one] == ["MeanSquaredError", "Huber"]
    assert recipe.notes == (
        "The file does not hold delta of the loss Huber; Keras' usual value is used.",
    )
    assert recipe.weights == (3.0, 0.2)


def test_what_is_not_of_keras_is_named_with_what_is_used_instead(tmp_path: Path) -> None:
    import keras

    @keras.saving.register_keras_serializable("mine")
    class Slow(keras.optimizers.SGD):  # type: ignore[misc]
        pass

    @keras.saving.register_keras_serializable("mine")
    def odd(y: Any, found: Any) -> Any:
        return keras.ops.mean((y - found) ** 4, axis=-1)

    network = _dense()
    network.compile(Slow(0.25), odd)
    recipe = recipe_of(_saved(network, tmp_path))
    assert recipe.optimizer.kind == "Adam" and recipe.rate == 0.25 and recipe.losses == (None,)
    said = " ".join(recipe.notes)
    assert "Slow is not one of Keras; Adam with the rate 0.25 is used instead" in said
    assert "odd is not one of Keras; the usual one of its last layer is used instead" in said


def test_a_file_without_training_and_one_of_an_older_keras() -> None:
    network = _dense()
    assert "does not say how it was trained" in " ".join(
        recipe_of(KerasModel(network, name="m")).notes
    )
    older = {
        "optimizer_config": {
            "class_name": "Custom>Adam",
            "config": {"name": "Adam", "learning_rate": 0.004, "decay": 0.01, "beta_1": 0.8},
        },
        "loss": {"class_name": "BinaryCrossentropy", "config": {"reduction": "auto", "axis": -1}},
    }
    recipe = recipe_of(KerasModel(network, name="m", training=training_words(older)))
    assert dict(recipe.optimizer.config) == {"learning_rate": 0.004, "beta_1": 0.8}
    assert recipe.notes == ("Adam of this Keras takes no decay; it is left out.",)
    (loss,) = recipe.losses
    assert loss is not None and dict(loss.config) == {"axis": -1}


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"class_name": "Adam", "module": "keras.layers.evil", "config": {}}, None),
        ({"class_name": "Adam", "module": "os", "config": {}}, "Adam is not one of Keras"),
        ({"class_name": "<b>", "config": {}}, "of its own is not one of Keras"),
        ({"class_name": "Adam", "config": {"learning_rate": "fast"}}, "cannot be made"),
        ({"class_name": "MultiOptimizer", "config": {}}, "cannot be made"),
    ],
)
def test_no_name_of_a_file_is_looked_up_outside_of_keras(given: Any, what: str | None) -> None:
    words = training_words({"optimizer": given, "loss": "mse"})
    recipe = recipe_of(KerasModel(_dense(), name="m", training=words))
    assert recipe.optimizer.kind == "Adam"
    assert (what is None) == (not recipe.notes) and (what or "") in " ".join(recipe.notes)


# ---- the fit itself ------------------------------------------------------------------------------


def _by_hand(
    network: Any, data: EvalSet, at: Any, compiled: Mapping[str, Any], epochs: int, batch: int
) -> Any:
    """The same training by Keras alone."""
    import keras

    X = data.X.to_numpy(dtype=np.float32)  # type: ignore[union-attr]
    y = (data.target.y == data.target.pos_label).astype(np.float32)[:, None]
    keras.utils.set_random_seed(7)
    fresh = keras.models.clone_model(keras.Model(network.inputs[0], network.outputs[0]))
    for layer in fresh.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.adapt(X[at])
    fresh.compile(**compiled)
    w = data.sample_weight
    assert w is not None
    fresh.fit(X[at], y[at], sample_weight=w[at], epochs=epochs, batch_size=batch, verbose=0)
    return lambda rows: np.asarray(fresh(X[rows], training=False))


def test_a_fit_is_what_keras_trains_itself(rows: EvalSet, tmp_path: Path) -> None:
    """Loss with its settings, clipped SGD with momentum, weights of rows, adapted means."""
    import keras

    def compiled() -> dict[str, Any]:
        return {
            "optimizer": keras.optimizers.SGD(0.3, momentum=0.8, clipvalue=0.05),
            "loss": keras.losses.BinaryCrossentropy(label_smoothing=0.2),
        }

    network = _dense(keras.layers.Normalization(name="scaled"))
    network.get_layer("scaled").adapt(rows.X.to_numpy() * 100)  # type: ignore[union-attr]
    network.compile(**compiled())
    model = _saved(network, tmp_path)
    fold = _folds(rows).pairs[0]
    fit = _fit(model, rows, Request(fold, 50), seed=7, epochs=3, batch_size=16)
    answer = _by_hand(network, rows, fold.train[:50], compiled(), 3, 16)
    assert fit.answers is not None
    found = np.asarray(fit.answers.scores).reshape(-1)
    assert np.abs(found - answer(fold.validation).reshape(-1)).max() < 1e-5
    assert any("Learnt anew" in note and "scaled (Normalization)" in note for note in fit.notes)
    assert "batches of 16 rows" in fit.notes[0] and "3 epochs" in fit.notes[0]


def test_outputs_of_a_number_each_are_trained_on_the_columns_of_their_names() -> None:
    import keras

    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3)).astype(np.float32)
    frame = pd.DataFrame(X, columns=list("abc"))
    frame["price"], frame["size"] = 5 * X[:, 0] + 50, X[:, 1]
    data = as_evalset(frame, None, ["price", "size"])
    keras.utils.set_random_seed(0)
    given = keras.Input((3,))
    size, price = (keras.layers.Dense(1, name=name)(given) for name in ("size", "price"))
    network = keras.Model(given, [size, price])
    network.compile(keras.optimizers.Adam(0.5), ["mse", "mae"], loss_weights=[1.0, 0.5])
    fold = _folds(data).pairs[0]
    fit = _fit(network, data, Request(fold), metrics=("r2",), epochs=60)
    assert fit.failure == "" and fit.answers is not None
    assert isinstance(fit.answers.scores, Mapping)
    truth = frame["price"].to_numpy()[fold.validation]
    assert np.abs(np.asarray(fit.answers.scores["price"]).ravel() - truth).mean() < 10
    one = as_evalset(frame.drop(columns="size"), None, "price")
    with pytest.raises(NotApplicable, match="one number for each column of the target"):
        _fit(network, one, Request(_folds(one).pairs[0]), metrics=("r2",))


def test_several_inputs_of_words_and_numbers(tmp_path: Path) -> None:
    """Vocabularies of the file know all rows; those of a fit know its own."""
    import keras

    rng = np.random.default_rng(0)
    town = np.array([f"town {k}" for k in rng.integers(0, 6, 90)])
    frame = pd.DataFrame({"age": rng.normal(40, 9, 90).astype(np.float32), "town": town})
    frame["y"] = (frame["town"] < "town 3").astype(int)
    data = as_evalset(frame, None, "y")
    keras.utils.set_random_seed(0)
    age, place = keras.Input((1,), name="age"), keras.Input((1,), name="town", dtype="string")
    known = keras.layers.StringLookup(output_mode="multi_hot", name="known")
    known.adapt(np.append(town, ["elsewhere", "nowhere"]))
    scaled = keras.layers.Normalization(mean=40.0, variance=81.0, name="scaled")
    both = keras.layers.Concatenate()([scaled(age), known(place)])
    network = keras.Model(
        {"age": age, "town": place}, keras.layers.Dense(1, "sigmoid", name="p")(both)
    )
    network.compile(keras.optimizers.Adam(0.3), "binary_crossentropy")
    model = _saved(network, tmp_path)
    fit = _fit(model, data, Request(_folds(data).pairs[0]), epochs=20)
    assert fit.failure == "" and fit.validation[0] > 0.95
    said = " ".join(fit.notes)
    assert "Learnt anew" in said and "known (StringLookup)" in said
    assert "Constants of the file" in said and "scaled (Normalization)" in said
    copying = copying_of(model.network)
    few = [np.array([[30.0], [50.0]], np.float32), np.array([["town 1"], ["town 4"]], object)]
    fresh = copying.build(few, {})
    assert fresh.get_layer("known").get_vocabulary() == ["[UNK]", "town 4", "town 1"]
    assert fresh.get_layer("p").kernel.shape == (4, 1)


@pytest.mark.slow
def test_texts_and_pictures_are_fitted_as_they_are_answered() -> None:
    import keras

    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["good", "bad", "plain"], 4, p=p)) for p in _MOODS]
    data = as_evalset(pd.DataFrame({"text": texts, "y": [0, 1] * 30}), None, "y")
    words = keras.layers.TextVectorization(output_sequence_length=4, name="words")
    words.adapt(texts)
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((1,), dtype="string"),
            words,
            keras.layers.Embedding(5, 4),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(2, "softmax"),
        ]
    )
    network.compile(keras.optimizers.Adam(0.1), "sparse_categorical_crossentropy")
    fit = _fit(network, data, Request(_folds(data).pairs[0]), epochs=15)
    assert fit.failure == "" and fit.validation[0] > 0.9
    rng = np.random.default_rng(0)
    pictures = rng.normal(size=(48, 6, 6)).astype(np.float32)
    pictures[::2] += 1
    shown = as_evalset(pictures, np.arange(48) % 2, None)
    convolution = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(2, 3, activation="relu", name="seen"),
            keras.layers.GlobalMaxPooling2D(),
            keras.layers.Dense(2, name="last"),
        ]
    )
    convolution.compile(
        keras.optimizers.Adam(0.1), keras.losses.CategoricalCrossentropy(from_logits=True)
    )
    fit = _fit(convolution, shown, Request(_folds(shown).pairs[0]), epochs=8)
    assert fit.failure == "" and fit.validation[0] > 0.9


_MOODS = [[0.7, 0.1, 0.2], [0.1, 0.7, 0.2]] * 30


def test_frozen_layers_keep_their_weights_and_what_their_numbers_mean(tmp_path: Path) -> None:
    import keras

    network = _dense(keras.layers.Normalization(name="scaled"))
    network.get_layer("scaled").adapt(np.full((9, 4), 7.0) + np.arange(9)[:, None])
    network.get_layer("hidden").trainable = False
    network.compile("adam", "binary_crossentropy")
    copying = copying_of(_saved(network, tmp_path).network)
    fresh = copying.build([np.zeros((5, 4), np.float32)], {})
    kernel = network.get_layer("hidden").get_weights()[0]
    assert np.array_equal(fresh.get_layer("hidden").get_weights()[0], kernel)
    assert not np.array_equal(
        fresh.get_layer("last").get_weights()[0], network.get_layer("last").get_weights()[0]
    )
    assert np.allclose(fresh.get_layer("scaled").mean, 11.0)  # of the file, which the kernel knows
    said = " ".join(copying.notes())
    assert "Kept as learnt for the file: scaled" in said and "Frozen" in said
    for layer in network.layers:
        layer.trainable = False
    with pytest.raises(NotApplicable, match="No layer of the network can learn"):
        copying_of(network)


@pytest.mark.slow
def test_early_stopping_holds_rows_out_and_takes_the_best(rows: EvalSet) -> None:
    network = _dense()
    network.compile("adam", "binary_crossentropy")
    fit = _fit(network, rows, Request(_folds(rows).pairs[0]), epochs=4, patience=1)
    assert "a tenth of the training rows is held out" in fit.notes[0]
    few = _fit(network, rows, Request(_folds(rows).pairs[0], 12), epochs=30, patience=1)
    assert np.isfinite(few.validation[0])
    with pytest.raises(NotApplicable, match="too few to hold any out"):
        _fit(network, rows, Request(_folds(rows).pairs[0], 8), epochs=2, patience=1)


# ---- by parameter --------------------------------------------------------------------------------


def test_what_can_be_varied_and_what_is_proposed(rows: EvalSet) -> None:
    import keras

    network = _dense()
    network.compile(keras.optimizers.SGD(0.05, momentum=0.9), "binary_crossentropy")
    refit = refit_of(adapt(network, "m"), "m")
    assert dict(refit.parameters) == {
        "epochs": 20,
        "batch_size": 32,
        "learning_rate": pytest.approx(0.05),
        "momentum": 0.9,
        "dropout_rate": 0.25,
        "hidden__units": 6,
    }
    assert next(iter(tunable_parameters(refit))) == "learning_rate"
    assert suggested_values("dropout_rate", 0.25) == (0.0, 0.1, 0.25, 0.5, 0.75)
    assert suggested_values("drop__rate", 0.3) == (0.0, 0.1, 0.25, 0.3, 0.5, 0.75)
    given = keras.Input((4,))
    sums = keras.layers.Add()([keras.layers.Dense(4, name="a")(given), given])
    fixed = keras.Model(given, keras.layers.Dense(1)(sums))
    assert layer_settings(copying_of(fixed).plain) == {}


def test_settings_reach_the_copy(rows: EvalSet) -> None:
    import keras

    network = _dense()
    network.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    copying = copying_of(network)
    fresh = copying.build([np.zeros((5, 4), np.float32)], {"dropout_rate": 0.5, "hidden__units": 9})
    assert fresh.get_layer("drop").rate == 0.5 and fresh.get_layer("hidden").units == 9
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([10], [0.1, 0.01])
    network.compile(keras.optimizers.Adam(schedule), "binary_crossentropy")
    recipe = recipe_of(adapt(network, "m")).changed({"learning_rate": 0.2})  # type: ignore[arg-type]
    told = made_optimizer(recipe.optimizer).get_config()["learning_rate"]
    assert told["config"]["values"] == [0.2, 0.02]


def test_a_curve_by_learning_rate(rows: EvalSet) -> None:
    import keras

    network = _dense()
    network.compile(keras.optimizers.Adam(0.05), "binary_crossentropy")
    options = ParameterOptions(
        "learning_rate", (0.0, 0.05, -1.0), n_splits=2, epochs=10, metric="roc_auc"
    )
    *_, curve = parameter_curve_in_stages(adapt(network, "m"), rows, "m", options)
    assert curve.values == (-1.0, 0.0, 0.05) and curve.current == pytest.approx(0.05)
    means = np.nanmean(np.where(np.isfinite(curve.validation), curve.validation, 0), axis=1)
    assert means[2] > 0.8 > means[1] > means[0] == 0
    assert any("learning_rate is -1.0" in note for note in curve.notes)


@pytest.mark.slow
def test_time_is_estimated_for_all_epochs_that_are_tried(rows: EvalSet) -> None:
    network = _dense()
    network.compile("adam", "binary_crossentropy")
    model = adapt(network, "m")
    fold = _folds(rows).pairs[0]
    requests = [Request(fold, None, {"epochs": n}) for n in (1, 3000)]
    told = estimate_fits(model, rows, "m", requests, FitOptions(metrics=("roc_auc",)))
    assert "of 1 to 3,000 epochs" in told.sentence
    one = estimate_fits(model, rows, "m", requests[:1], FitOptions(metrics=("roc_auc",)))
    assert told.seconds > 2 * one.seconds


# ---- stopping, and logs --------------------------------------------------------------------------


def test_a_fit_is_stopped_on_its_way(rows: EvalSet) -> None:
    network = _dense()
    network.compile("adam", "binary_crossentropy")
    stop, began = threading.Event(), []

    def end() -> None:
        began.append(time.monotonic())
        stop.set()

    timer = threading.Timer(1.5, end)
    timer.start()
    with watched(None, stop.is_set), pytest.raises(WorkCancelled):
        _fit(network, rows, Request(_folds(rows).pairs[0]), epochs=10_000)
    assert began and time.monotonic() - began[0] < 2
    timer.join()


def _logged(name: str, n: int, unit: str = "epoch", **config: Any) -> Run:
    steps = np.arange(n)
    return Run(
        name, "Keras", (Series("loss", "train", steps, 1.0 / (1 + steps), unit),), (), config
    )


def test_a_log_says_how_long_a_network_was_trained() -> None:
    found = logged_training(_logged("network_history.csv", 30, **{"hp/batch_size": 64}))
    assert found is not None and (found.epochs, found.batch_size) == (30, 64)
    assert logged_training(_logged("x", 30, "batch")) is None
    runs = [_logged("network_history.csv", 30), _logged("other.csv", 7)]
    assert epochs_in_logs(runs, ["network"]) == 30
    assert epochs_in_logs(runs, ["network", "other"]) is None
    assert epochs_in_logs(runs, ["forest"]) is None
