"""Gradients of convolutions with few input channels, by one product of matrices.

A network's first convolution takes most of the time of its gradients by pixels: TensorFlow's own
code is made for many channels. While a graph is traced the layers' documented `convolution_op` is
another one, with the same answers; nothing of TensorFlow or of its registry is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["quick_convolutions"]

MOST_CHANNELS = 4


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
    """`(n, rows, columns, channels)`: each weight's part, moved to the pixel that it looked at."""
    import tensorflow as tf

    high, wide, channels, filters = weights.shape
    rows, columns = slopes.shape[1], slopes.shape[2]
    flat = tf.reshape(weights, (-1, filters))
    parts = tf.matmul(flat, tf.reshape(slopes, (-1, filters)), transpose_b=True)
    parts = tf.reshape(parts, (high, wide, channels, -1, rows, columns))
    whole = tf.add_n(
        [
            tf.pad(parts[i, j], ((0, 0), (0, 0), (i, high - 1 - i), (j, wide - 1 - j)))
            for i in range(high)
            for j in range(wide)
        ]
    )
    if padding == "SAME":
        top, left = (high - 1) // 2, (wide - 1) // 2
        whole = whole[:, :, top : top + rows, left : left + columns]
    return tf.transpose(whole, (1, 2, 3, 0))
