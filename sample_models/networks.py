"""The two Keras networks among the samples. TensorFlow is imported when one is trained."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .writing import write_history, write_keras

History = Mapping[str, list[float]]


def seeded_keras(seed: int) -> Any:
    """Keras whose next network is the same on every run."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # one order of summation on every machine
    import keras
    import tensorflow as tf

    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    return keras


def network_inputs(
    frame: pd.DataFrame, numbers: Sequence[str], texts: Sequence[str]
) -> dict[str, Any]:
    """Raw columns as a network with named inputs takes them: `(n, 1)`, missing text is ""."""
    import tensorflow as tf

    given: dict[str, Any] = {name: frame[[name]].to_numpy(dtype="float32") for name in numbers}
    for name in texts:
        text = frame[name].astype("object").where(frame[name].notna(), "").to_numpy()
        given[name] = tf.constant(text[:, None].astype(str))
    return given


def _loans_network(
    keras: Any, train: pd.DataFrame, numbers: Sequence[str], texts: Sequence[str]
) -> Any:
    layers, ops = keras.layers, keras.ops
    inputs, parts = {}, []
    for name in numbers:
        column = train[name].to_numpy(dtype="float64")
        given = keras.Input((1,), name=name)
        scaled = layers.Normalization(
            mean=np.array([np.nanmean(column)]),
            variance=np.array([np.nanvar(column)]),
            name=f"{name}_scaled",
        )(given)
        inputs[name] = given
        parts.append(ops.nan_to_num(scaled))
        if np.isnan(column).any():
            parts.append(ops.cast(ops.isnan(given), "float32"))
    for name in texts:
        given = keras.Input((1,), dtype="string", name=name)
        words = sorted(train[name].dropna().unique())
        inputs[name] = given
        parts.append(
            layers.StringLookup(vocabulary=words, output_mode="multi_hot", name=f"{name}_known")(
                given
            )
        )
    hidden = layers.Concatenate(name="all_columns")(parts)
    hidden = layers.Dense(24, activation="relu", name="hidden_1")(hidden)
    hidden = layers.Dropout(0.1, name="dropout")(hidden)
    hidden = layers.Dense(12, activation="relu", name="hidden_2")(hidden)
    output = layers.Dense(1, activation="sigmoid", name="p_default")(hidden)
    return keras.Model(inputs, output, name="loans")


def train_loans(
    folder: Path,
    train: pd.DataFrame,
    label: np.ndarray,
    numbers: Sequence[str],
    texts: Sequence[str],
) -> None:
    """A dense network on raw columns: scaling, missing values and vocabularies are inside it."""
    keras = seeded_keras(11)
    network = _loans_network(keras, train, numbers, texts)
    network.compile(
        keras.optimizers.Adam(0.002),
        "binary_crossentropy",
        metrics=[keras.metrics.AUC(name="auc")],
    )
    rows = np.random.default_rng(11).permutation(len(train))
    seen, held = rows[: int(0.85 * len(rows))], rows[int(0.85 * len(rows)) :]
    fitted = network.fit(
        network_inputs(train.iloc[seen], numbers, texts),
        label[seen].astype("float32"),
        validation_data=(
            network_inputs(train.iloc[held], numbers, texts),
            label[held].astype("float32"),
        ),
        epochs=24,
        batch_size=64,
        verbose=0,
    )
    write_keras(folder / "network.keras", network)
    write_history(folder, "network_history", fitted.history)


def train_digits(folder: Path, X: np.ndarray, y: np.ndarray) -> None:
    """A small convolution net on 8 × 8 images; it takes the images as they are, 0 to 16."""
    keras = seeded_keras(12)
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((8, 8), name="image"),
            layers.Rescaling(1 / 16, name="to_unit"),
            layers.Reshape((8, 8, 1), name="one_channel"),
            layers.Conv2D(16, 3, padding="same", activation="relu", name="conv_1"),
            layers.Conv2D(24, 3, activation="relu", name="conv_2"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Flatten(name="flat"),
            layers.Dropout(0.3, name="dropout"),
            layers.Dense(32, activation="relu", name="hidden"),
            layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="digits",
    )
    network.compile(
        keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    rows = np.random.default_rng(12).permutation(len(X))
    seen, held = rows[: int(0.85 * len(rows))], rows[int(0.85 * len(rows)) :]
    fitted = network.fit(
        X[seen].astype("float32"),
        y[seen],
        validation_data=(X[held].astype("float32"), y[held]),
        epochs=30,
        batch_size=32,
        verbose=0,
    )
    write_keras(folder / "network.keras", network)
    write_history(folder, "network_history", fitted.history)
