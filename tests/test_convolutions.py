"""Convolutions with gradients of their own against TensorFlow's."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="module")
def keras() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    return keras


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("shape", "filters", "kernel"),
    [
        ((16, 16, 1), 8, (3, 3)),  # a whole line at once
        ((9, 12, 3), 32, (3, 2)),  # some neighbours at once
        ((7, 11, 2), 200, (2, 7)),  # one after the other, parts far beyond their neighbours
        ((5, 5, 4), 1, (1, 1)),
        ((20, 2), 4, (5,)),
    ],
)
def test_answers_and_slopes_are_those_of_tensorflow(
    keras: Any, shape: tuple[int, ...], filters: int, kernel: tuple[int, ...], padding: str
) -> None:
    import tensorflow as tf

    from dashboard.explainers.convolutions import quick_convolutions

    kind = keras.layers.Conv1D if len(kernel) == 1 else keras.layers.Conv2D
    layer = kind(filters, kernel, padding=padding, activation="tanh")
    rng = np.random.default_rng(0)
    rows = tf.constant(rng.normal(size=(3, *shape)).astype(np.float32))
    weights = tf.constant(rng.normal(size=layer(rows).shape).astype(np.float32))

    def both() -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(rows)
            answers = layer(rows)
            total = tf.reduce_sum(answers * weights)
        return np.asarray(answers), np.asarray(tape.gradient(total, rows))

    plain = both()
    with quick_convolutions([layer]):
        assert "convolution_op" in vars(layer)
        quick = both()
    assert "convolution_op" not in vars(layer)
    for one, other in zip(quick, plain, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-5 * float(np.abs(other).max()))


def test_others_keep_theirs(keras: Any) -> None:
    from dashboard.explainers.convolutions import quick_convolutions

    layers = keras.layers
    others = [layers.Conv2D(2, 3, strides=2), layers.Conv2D(2, 3), layers.Dense(2)]
    others[0].build((None, 8, 8, 1))
    others[1].build((None, 8, 8, 5))
    with quick_convolutions(others):
        assert not any("convolution_op" in vars(layer) for layer in others)
