"""Makes networks.zip: files that Keras 2 wrote, with the answers that it gave.

Keras 2 cannot be installed beside Keras 3's dependencies, so this is run by hand, where there is
`tf_keras` (Keras 2.21, the last of its line) and its TensorFlow:

    python tests/keras2/build.py
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras

layers = keras.layers
RNG = np.random.default_rng(0)


def rows(*shape: int) -> Any:
    return RNG.normal(size=shape).astype("float32")


def chain() -> tuple[Any, list[Any]]:
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, activation="relu", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Dense(3, activation="softmax"),
        ]
    ), [rows(9, 4)]


def binary() -> tuple[Any, list[Any]]:
    start = layers.Dense(5, activation="relu", input_shape=(4,), kernel_constraint="max_norm")
    return keras.Sequential([start, layers.Dense(1, activation="sigmoid")]), [rows(9, 4)]


def labels() -> tuple[Any, list[Any]]:
    start = keras.Input((4,))
    hidden = layers.LeakyReLU(0.2)(layers.Dense(5)(start))
    return keras.Model(start, layers.Dense(3, activation="sigmoid")(hidden)), [rows(9, 4)]


def value() -> tuple[Any, list[Any]]:
    scaled = layers.Normalization(axis=-1)
    scaled.adapt(3 * rows(30, 4))
    start = keras.Input((4,))
    hidden = 1 - layers.Dense(3)(scaled(start)) * 2
    return keras.Model(start, layers.Dense(1)(hidden)), [rows(9, 4)]


def heads() -> tuple[Any, list[Any]]:
    left, right = keras.Input((2,), name="left"), keras.Input((3,), name="right")
    joined = layers.Concatenate()([layers.Dense(4)(left), layers.LayerNormalization()(right)])
    ends = [layers.Dense(1, name="price")(joined), layers.Dense(2, name="rooms")(joined)]
    return keras.Model([left, right], ends), [rows(9, 2), rows(9, 3)]


def images() -> tuple[Any, list[Any]]:
    return keras.Sequential(
        [
            layers.Conv2D(3, 3, input_shape=(8, 8, 1), activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(2),
            layers.SeparableConv2D(3, 2),
            layers.Conv2DTranspose(2, 2),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    ), [rows(5, 8, 8, 1)]


def sequences() -> tuple[Any, list[Any]]:
    network = keras.Sequential(
        [
            layers.Embedding(20, 4, input_length=6),
            layers.LSTM(3, return_sequences=True),
            layers.Bidirectional(layers.GRU(3, return_sequences=True)),
            layers.SimpleRNN(4),
            layers.Dense(1),
        ]
    )
    network.build((None, 6))
    return network, [RNG.integers(0, 20, size=(7, 6))]


def shared() -> tuple[Any, list[Any]]:
    start, inner = keras.Input((4,)), keras.Input((3,))
    chain = keras.Sequential([layers.Dense(3, activation="elu", input_shape=(4,)), layers.ReLU()])
    branch = keras.Model(inner, layers.Dense(2)(inner))
    ends = [branch(chain(start)), branch(layers.Average()([chain(start), chain(1 - start)]))]
    return keras.Model(start, ends), [rows(9, 4)]


def attention() -> tuple[Any, list[Any]]:
    start = keras.Input((6, 4))
    hidden = layers.MultiHeadAttention(2, 3)(start, start)
    hidden = layers.Reshape((2, 2))(layers.GlobalAveragePooling1D()(hidden))
    hidden = layers.Flatten()(layers.TimeDistributed(layers.Dense(2))(hidden))
    return keras.Model(start, hidden), [rows(5, 6, 4)]


def states() -> tuple[Any, list[Any]]:
    start = keras.Input((5, 3))
    sequence, *state = layers.LSTM(4, return_state=True, return_sequences=True)(start)
    again = layers.LSTM(4)(sequence, initial_state=state)
    return keras.Model(start, layers.Dense(1)(again)), [rows(5, 5, 3)]


def halves() -> tuple[Any, list[Any]]:
    start = layers.Dense(3, activation="swish", input_dim=4, dtype="mixed_float16")
    return keras.Sequential([start, layers.Softmax(dtype="float32")]), [rows(9, 4)]


NETWORKS = (
    chain, binary, labels, value, heads, images, sequences, shared, attention, states, halves
)  # fmt: skip
IN_PARTS = (chain, value, heads)


def trained(network: Any) -> Any:
    """With other weights than at the start; training itself would teach a reader nothing."""
    for weight in network.weights:
        fixed = weight.name.startswith(("mean", "variance"))  # of Normalization: read once
        if weight.dtype.is_floating and not fixed:
            weight.assign(weight + 0.1 * RNG.normal(size=weight.shape) ** 2)
    network.compile("adam", "mse")
    return network


def main() -> None:
    keras.utils.set_random_seed(0)
    target = Path(__file__).with_name("networks.zip")
    with (
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive,
        tempfile.TemporaryDirectory() as folder,
    ):
        for make in NETWORKS:
            network, given = make()
            answers = trained(network).predict(given, verbose=0)
            answers = answers if isinstance(answers, list) else [answers]
            path = Path(folder) / make.__name__
            network.save(path.with_suffix(".h5"))
            network.save(path.with_suffix(".keras"))
            if make in IN_PARTS:
                path.with_suffix(".json").write_text(network.to_json())
                network.save_weights(f"{path}.weights.h5")
                network.save_weights(f"{path}.older.h5")
                network.save(path, save_format="tf")
            buffer = io.BytesIO()
            named = {f"x{i}": one for i, one in enumerate(given)}
            np.savez(buffer, **named, **{f"y{i}": one for i, one in enumerate(answers)})
            archive.writestr(f"{make.__name__}.npz", buffer.getvalue())
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and path.name not in ("keras_metadata.pb", "fingerprint.pb"):
                archive.write(path, str(path.relative_to(folder)))


if __name__ == "__main__":
    main()
