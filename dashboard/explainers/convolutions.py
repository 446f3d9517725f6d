"""Gradients of convolutions with few input channels, by one product of matrices.

A network's first convolution takes most of the time of its gradients by pixels: TensorFlow's own
code is made for many channels. While a graph is traced the layers' documented `convolution_op` is
another one, with the same answers; nothing of TensorFlow or of its registry is changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["quick_convolutions"]

MOST_CHANNELS = 4
MOST_TOGETHER = 128  # answers in one row of the product: more are mostly products with nothing


@contextmanager
def quick_convolutions(layers: Iterable[Any]) -> Iterator[None]:
    """Within it calls of these layers have gradients of their own; nobody else may call them."""
    changed = [layer for layer in layers if _fits(layer)]
    try:
        for layer in changed:
            vars(layer)["convolution_op"] = _operation(layer)
        yield
    finally:
        for layer in changed:
            vars(layer).pop("convolution_op", None)


def _fits(layer: Any) -> bool:
    import keras

    return (
        type(layer) in (keras.layers.Conv1D, keras.layers.Conv2D)
        and layer.data_format == "channels_last"
        and layer.padding in ("valid", "same")
        and {*layer.strides, *layer.dilation_rate, layer.groups} == {1}
        and layer.kernel.shape[-2] <= MOST_CHANNELS
    )


def _operation(layer: Any) -> Callable[[Any, Any], Any]:
    import tensorflow as tf

    padding, is_line = layer.padding.upper(), layer.rank == 1

    def operation(inputs: Any, kernel: Any) -> Any:
        if None in inputs.shape[1:]:
            return type(layer).convolution_op(layer, inputs, kernel)
        weights = tf.convert_to_tensor(kernel)
        if not is_line:
            return _convolved(inputs, weights, padding)
        return _convolved(inputs[:, None], weights[None], padding)[:, 0]

    return operation


def _convolved(inputs: Any, weights: Any, padding: str) -> Any:
    import tensorflow as tf

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def convolved(inputs: Any) -> tuple[Any, Callable[[Any], Any]]:
        def back(slopes: Any) -> Any:
            return _to_inputs(slopes, weights, padding)

        return tf.nn.conv2d(inputs, weights, 1, padding), back

    return convolved(inputs)


def _to_inputs(slopes: Any, weights: Any, padding: str) -> Any:
    """`(n, rows, columns, channels)`: slopes at the pixels, from those at the answers.

    Neighbours in a line are one row of the product, so that it is a large one and few parts are
    left to be moved to the pixels that they belong to.
    """
    import tensorflow as tf

    high, wide, channels, filters = weights.shape
    rows, columns = slopes.shape[1], slopes.shape[2]
    beside = _beside(columns, filters)
    count = columns // beside
    # parts reach beyond their own neighbours; a whole line's do not have to meet others
    reach, width = (1, columns + wide - 1) if count == 1 else (-(-(wide - 1) // beside) + 1, beside)
    flat = tf.concat([tf.reshape(weights, (-1,)), tf.zeros(1, weights.dtype)], 0)
    spread = tf.gather(flat, _spread(tuple(weights.shape), beside, reach * width))
    parts = tf.matmul(tf.reshape(slopes, (-1, beside * filters)), spread)
    parts = tf.reshape(parts, (-1, rows, count, high * reach, width * channels))
    moved = [
        tf.pad(part, ((0, 0), (i, high - 1 - i), (j, reach - 1 - j), (0, 0)))
        for (i, j), part in zip(np.ndindex(high, reach), tf.unstack(parts, axis=3), strict=True)
    ]
    whole = tf.reshape(
        tf.add_n(moved), (-1, rows + high - 1, (count + reach - 1) * width, channels)
    )
    top, left = ((high - 1) // 2, (wide - 1) // 2) if padding == "SAME" else (0, 0)
    lines, places = (rows, columns) if padding == "SAME" else (rows + high - 1, columns + wide - 1)
    return whole[:, top : top + lines, left : left + places]


def _beside(columns: int, filters: int) -> int:
    """How many neighbours go into one row of the product: a whole part of a line."""
    fit = (each for each in range(1, columns + 1) if columns % each == 0)
    return max((each for each in fit if each * filters <= MOST_TOGETHER), default=1)


def _spread(shape: tuple[int, ...], beside: int, width: int) -> npt.NDArray[np.int32]:
    """`(beside * filters, high * width * channels)` places in the flat weights, the last + 1: none.

    Which weight leads from an answer (a neighbour and its filter) to a pixel (its line, its place
    in the line from the first neighbour's and its channel).
    """
    high, wide, channels, filters = shape
    at, f, i, u, c = np.ogrid[:beside, :filters, :high, :width, :channels]
    places = ((i * wide + u - at) * channels + c) * filters + f
    found = np.where((u >= at) & (u < at + wide), places, math.prod(shape))
    return found.reshape(beside * filters, -1).astype(np.int32)
