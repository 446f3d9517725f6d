"""Which of a network's numbers are the model's answers, and in what unit: found by comparing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Answer", "before_activation", "flat_outputs", "match_answers"]

FloatArray = npt.NDArray[np.floating[Any]]

# float32 networks, run in batches of other sizes
_CLOSE = 1e-4
_SAME = 1e-6


@dataclass(frozen=True)
class Answer:
    """One of the model's answers: column `column` of the flat outputs, under `change`.

    `change` is "same", "complement" (1 - p), "sigmoid", "softmax", "log-odds", "opposite" (minus
    the log-odds), or "softmax log-odds" (of one class against all others, from raw scores).
    Beyond ± `cut` the answer stays as it is: probabilities of 0 and 1 have no log-odds.
    """

    column: int
    change: str = "same"
    cut: float | None = None

    def read(self, outputs: Any, ops: Any) -> Any:
        """`(n,)` from `(n, K)`; `ops` is keras.ops, or NumPy's namesake functions below."""
        found = self._read(outputs, ops)
        return found if self.cut is None else ops.clip(found, -self.cut, self.cut)

    def _read(self, outputs: Any, ops: Any) -> Any:
        one = outputs[:, self.column]
        match self.change:
            case "complement":
                return 1 - one
            case "sigmoid":
                return ops.sigmoid(one)
            case "opposite":
                return -one
            case "softmax":
                return ops.softmax(outputs)[:, self.column]
            case "softmax log-odds":
                rest = [outputs[:, : self.column], outputs[:, self.column + 1 :]]
                return one - ops.logsumexp(ops.concatenate(rest, axis=1), axis=1)
            case _:
                return one


class _NumPy:
    """The few functions of keras.ops that `Answer.read` needs, in float64."""

    clip = staticmethod(np.clip)
    concatenate = staticmethod(np.concatenate)

    @staticmethod
    def sigmoid(x: FloatArray) -> FloatArray:
        from scipy.special import expit

        return np.asarray(expit(x))

    @staticmethod
    def softmax(x: FloatArray) -> FloatArray:
        from scipy.special import softmax

        return np.asarray(softmax(x, axis=1))

    @staticmethod
    def logsumexp(x: FloatArray, axis: int) -> FloatArray:
        from scipy.special import logsumexp

        return np.asarray(logsumexp(x, axis=axis))


def flat_outputs(network: Any, packed: Any, dtype: str = "float32") -> Any:
    """All outputs side by side, `(n, K)`."""
    import keras

    outputs = keras.tree.flatten(network(packed, training=False))
    flat = [keras.ops.reshape(keras.ops.cast(one, dtype), (len_of(one), -1)) for one in outputs]
    return flat[0] if len(flat) == 1 else keras.ops.concatenate(flat, axis=1)


def len_of(tensor: Any) -> Any:
    """The number of rows, also of a tensor whose size is not known yet."""
    import keras

    return keras.ops.shape(tensor)[0]


def match_answers(
    outputs: FloatArray, answers: FloatArray, changes: Sequence[str], cut: float | None = None
) -> tuple[Answer, ...] | None:
    """For each column of `answers` `(n, k)` the output that gives it; None where one has none."""
    found: list[Answer] = []
    for column in answers.T:
        place = len(found)
        tried = [Answer(at, change, cut) for change in changes for at in range(outputs.shape[1])]
        tried.sort(key=lambda each: (changes.index(each.change), each.column != place))
        match = _match(np.asarray(outputs, dtype=np.float64), column, tried)
        if match is None:
            return None
        found.append(match)
    return tuple(found)


def _match(outputs: FloatArray, wanted: FloatArray, tried: Sequence[Answer]) -> Answer | None:
    """The candidate that agrees; the first unless another is ten times closer."""
    best, least = None, _CLOSE
    for candidate in tried:
        size = np.maximum(np.abs(wanted), 1)
        if candidate.cut is not None:  # log-odds of what float32 holds of a probability
            size = size + 2e-3 * np.exp(np.abs(wanted))
        apart = np.abs(candidate.read(outputs, _NumPy) - wanted) / size
        worst = max(_SAME, float(np.max(apart, initial=0)))
        if worst < least * 0.1 or (best is None and worst < least):
            best, least = candidate, worst
    return best


def before_activation(network: Any) -> Any:
    """A network that ends before its last softmax or sigmoid, or None where that is not plain.

    It shares every weight with the one given.
    """
    import keras

    head = network.layers[-1] if getattr(network, "layers", None) else None
    if head is None or len(getattr(network, "outputs", None) or []) != 1:
        return None
    if network.outputs[0]._keras_history.operation is not head:
        return None
    name, kind = getattr(getattr(head, "activation", None), "__name__", ""), type(head).__name__
    if kind == "Softmax" or (kind == "Activation" and name in ("softmax", "sigmoid")):
        return keras.Model(network.inputs, head.input)
    if kind != "Dense" or name not in ("softmax", "sigmoid"):
        return None
    scores = keras.ops.matmul(head.input, head.kernel)
    if head.use_bias:
        scores = keras.ops.add(scores, head.bias)
    return keras.Model(network.inputs, scores)
