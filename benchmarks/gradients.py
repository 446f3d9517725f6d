"""Expected gradients of Keras networks against `shap.GradientExplainer`.

Once with the same samples, once with as few as give an error no larger than that of shap. Errors
are root mean squares over some of the rows, relative to the values themselves, against a
quadrature of every line from every background row, which neither side computes. Times are wall
time on a machine that does nothing else, medians of runs in which all take turns after a first
one that traces the graphs; ours include the check against the network's own answers.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

Row = dict[str, object]
Values = npt.NDArray[np.float64]

ROWS, SAMPLES, BACKGROUND, CHECKED = 256, 200, 100, 48
FEWER = (*range(20, 100, 2), 100, 150, SAMPLES)
NODES = 48  # of the quadrature, for each background row


class _Alone:
    """Nobody waits."""

    def progress(self, done: int, total: int, sentence: str, /) -> None:
        return

    def check(self) -> None:
        return


def _dense(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((20,)),
            layers.Dense(64, activation="relu"),
            layers.Dense(32, activation="tanh"),
            layers.Dense(1),
        ]
    )


def _pictures(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dense(1),
        ]
    )


def _classes(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((20,)),
            layers.Dense(64, activation="gelu"),
            layers.Dense(32, activation="gelu"),
            layers.Dense(4, activation="softmax"),
        ]
    )


NETWORKS: dict[str, Callable[[Any], Any]] = {
    "dense, 20 columns": _dense,
    "dense, 20 columns, 4 classes": _classes,
    "convolution, 16 × 16 pixels": _pictures,
}


def _subject(network: Any, shape: tuple[int, ...]) -> Any:
    from dashboard.contracts import OutputSpace
    from dashboard.explainers.subjects import Subject
    from dashboard.models import adapt

    k, m = network.output_shape[1], int(np.prod(shape))
    model = adapt(network, "network")

    def answer(rows: Any, space: OutputSpace) -> Values:
        return np.asarray(model.predict(rows).scores, dtype=np.float64)

    return Subject(
        estimator=network,
        prepare=lambda rows: rows,
        answer=answer,
        answer_prepared=answer,
        features=tuple(f"x{at}" for at in range(m)),
        sources=np.arange(m),
        output_names=tuple(range(k)),
        spaces=(OutputSpace.TARGET,),
    )


def quadrature(network: Any, row: Any, background: Any) -> Values:
    """`(m, k)` expected gradients of one row: Gauss-Legendre along the line from each row."""
    import tensorflow as tf

    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    places, weights = (nodes + 1) / 2, weights / 2
    way = row - background
    shape = (NODES, *([1] * background.ndim))
    points = background + places.reshape(shape) * way
    points = tf.constant(points.reshape(-1, *row.shape), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(points)
        outputs = tf.unstack(network(points, training=False), axis=1)
    found = []
    for output in outputs:
        slopes = np.asarray(tape.gradient(output, points), dtype=np.float64)
        slopes = slopes.reshape(NODES, len(background), -1)
        mean = np.einsum("a,abm,bm->m", weights, slopes, way.reshape(len(background), -1))
        found.append(mean / len(background))
    return np.stack(found, axis=1)


def _error(values: Values, truth: Values) -> float:
    part = values.reshape(len(values), truth.shape[1], -1)[: len(truth)]
    return float(np.sqrt(((part - truth) ** 2).mean() / (truth**2).mean()))


def _measured(name: str, build: Callable[[Any], Any], n: int, repeats: int) -> Row:
    import keras
    import shap

    from dashboard.contracts import OutputSpace
    from dashboard.explainers.networks import GRADIENTS

    keras.utils.set_random_seed(1)
    network = build(keras)
    shape = tuple(network.input_shape[1:])
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n + BACKGROUND, *shape)).astype("float32")
    y = np.tanh(X.reshape(len(X), -1)[:, :6] @ rng.normal(size=(6, network.output_shape[1])))
    network.compile("adam", "mse")
    network.fit(X, y, epochs=8, verbose=0)
    rows, background = X[BACKGROUND:], X[:BACKGROUND]
    subject = _subject(network, shape)
    explainer = shap.GradientExplainer(network, background)

    def ours(samples: int = SAMPLES) -> Values:
        told = {"budget": samples, "random_state": 1}
        space = OutputSpace.TARGET
        return GRADIENTS.explain(subject, rows, background, space, _Alone(), told).values

    def theirs() -> Values:
        with warnings.catch_warnings():  # of how shap calls the network
            warnings.simplefilter("ignore")
            return np.asarray(explainer.shap_values(rows, nsamples=SAMPLES, rseed=1))

    truth = np.stack([quadrature(network, row, background) for row in rows[:CHECKED]])
    limit = _error(theirs(), truth)
    errors = {samples: _error(ours(samples), truth) for samples in FEWER}
    few = next((samples for samples, error in errors.items() if error <= limit), 0)
    if not few:
        raise AssertionError(f"{name}: our error is {errors[SAMPLES]:.3f}, that of shap {limit}.")
    turns = [
        (_seconds(ours), _seconds(partial(ours, few)), _seconds(theirs)) for _ in range(repeats)
    ]
    return {
        "network": name,
        "rows": f"{n:,}",
        "shap": f"{median(turn[2] for turn in turns):.2f} s, {SAMPLES} samples",
        "its error": f"{limit:.1%}",
        "ours, same samples": f"{median(turn[0] for turn in turns):.3f} s",
        "error": f"{errors[SAMPLES]:.1%}",
        "times as fast": f"{median(turn[2] / turn[0] for turn in turns):.0f}",
        "ours, no larger error": f"{median(turn[1] for turn in turns):.3f} s, {few} samples",
        "our error": f"{errors[few]:.1%}",
        "times as fast then": f"{median(turn[2] / turn[1] for turn in turns):.0f}",
    }


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def run(*, quick: bool = False) -> list[Row]:
    """One row per network; an error larger than that of shap stops the run."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    n, repeats = (32, 1) if quick else (ROWS, 5)
    return [_measured(name, build, n, repeats) for name, build in NETWORKS.items()]
