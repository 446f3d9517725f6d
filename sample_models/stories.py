"""Six training runs on the digits, each the story of a book: what its log shows is known.

Only their logs ship, as one archive: CSV files as `keras.callbacks.CSVLogger` writes them, and for
the run with unscaled inputs event files with histograms of its layers. `tests/test_stories.py`
says what must be found in each.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .event_logs import event_log
from .networks import seeded_keras
from .writing import write_zip

__all__ = ["ARCHIVE", "STORIES", "Story", "log_of", "train_stories", "train_story"]

ARCHIVE = "training_runs.zip"
WRONG = 0.15  # share of labels drawn anew, in both parts, for the three sizes of a network
_EACH = 3  # epochs between two histograms
_WATCHED = 300  # rows that gradients and activations are measured on

History = dict[str, list[float]]
Arrays = dict[int, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Story:
    """How one network is trained.

    Attributes
    ----------
    units : of its hidden layers; dropout : after each of them.
    scale : what the pixels, 0 to 1, are multiplied by.
    wrong : share of labels drawn anew; rows : learned from; 400 others validate.
    """

    name: str
    units: tuple[int, ...]
    rate: float
    optimizer: str = "RMSprop"
    activation: str = "relu"
    dropout: float = 0.0
    scale: float = 1.0
    wrong: float = 0.0
    rows: int = 600
    epochs: int = 30
    has_histograms: bool = False


STORIES = (
    Story("Small network", (4,), 0.01, wrong=WRONG),
    Story("Reference network", (16,), 0.01, wrong=WRONG),
    Story("Large network", (512, 512), 0.001, wrong=WRONG),
    Story("Rate too high", (16, 16), 0.8, "SGD", rows=300),
    Story("Dropout of one half", (64,), 0.002, dropout=0.5, epochs=40),
    Story(
        "Inputs times 255",
        (16, 16),
        0.01,
        activation="tanh",
        scale=16 * 255,  # the pixels as they are, 0 to 16, times 255
        has_histograms=True,
    ),
)


def _network(keras: Any, story: Story) -> Any:
    layers = [keras.Input((64,), name="pixels")]
    for place, units in enumerate(story.units, 1):
        layers.append(
            keras.layers.Dense(units, activation=story.activation, name=f"hidden_{place}")
        )
        if story.dropout:
            layers.append(keras.layers.Dropout(story.dropout, name=f"dropout_{place}"))
    layers.append(keras.layers.Dense(10, activation="softmax", name="digit"))
    network = keras.Sequential(layers, name="story")
    network.compile(
        getattr(keras.optimizers, story.optimizer)(story.rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return network


def _rows(story: Story, X: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
    """(pixels, labels) to learn from and to validate on; the same rows in every story."""
    rng = np.random.default_rng(9)
    order = np.random.default_rng(5).permutation(len(X))
    drawn = np.where(rng.random(len(y)) < story.wrong, rng.integers(0, 10, len(y)), y)
    pixels = (X.reshape(len(X), 64) / 16 * story.scale).astype("float32")
    seen, held = order[: story.rows], order[story.rows : story.rows + 400]
    return (pixels[seen], drawn[seen]), (pixels[held], drawn[held])


def train_story(story: Story, X: np.ndarray, y: np.ndarray) -> tuple[History, Arrays, float]:
    """What Keras logs by epoch; histograms by epoch and tag; the training loss at the end.

    That loss is measured when training is over: without dropout, and with the last weights.
    """
    keras = seeded_keras(31)
    network = _network(keras, story)
    seen, held = _rows(story, X, y)
    arrays: Arrays = {}

    def watch(epoch: int, logs: Any) -> None:
        del logs
        if epoch % _EACH == 0 or epoch == story.epochs - 1:
            arrays[epoch] = _inside(keras, network, seen)

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=watch)] * story.has_histograms
    fitted = network.fit(
        *seen,
        validation_data=held,
        epochs=story.epochs,
        batch_size=32,
        verbose=0,
        callbacks=callbacks,
    )
    loss, _ = network.evaluate(*seen, verbose=0)
    return {k: [float(v) for v in told] for k, told in fitted.history.items()}, arrays, float(loss)


def _inside(keras: Any, network: Any, seen: tuple[np.ndarray, np.ndarray]) -> dict[str, np.ndarray]:
    """Kernel, gradient of the loss and activations of every dense layer, on some rows."""
    import tensorflow as tf

    pixels, labels = (part[:_WATCHED] for part in seen)
    dense = [one for one in network.layers if one.name.startswith(("hidden", "digit"))]
    found: dict[str, np.ndarray] = {}
    with tf.GradientTape() as tape:
        loss = keras.losses.SparseCategoricalCrossentropy()(labels, network(pixels))
    gradients = tape.gradient(loss, [one.kernel for one in dense])
    values = pixels
    for layer, gradient in zip(dense, gradients, strict=True):
        values = layer(values)
        found[f"{layer.name}/kernel/histogram"] = np.asarray(layer.kernel)
        found[f"{layer.name}/gradient/histogram"] = np.asarray(gradient)
        found[f"{layer.name}/activation/histogram"] = np.asarray(values)
    return found


def _csv(history: Mapping[str, list[float]]) -> bytes:
    frame = pd.DataFrame({name: history[name] for name in sorted(history)}).round(6)
    frame.insert(0, "epoch", range(len(frame)))
    text = io.StringIO()
    frame.to_csv(text, index=False, lineterminator="\n")
    return text.getvalue().encode()


def _events(history: History, arrays: Arrays) -> dict[str, bytes]:
    """As Keras' TensorBoard callback lays them out: a folder for each part."""
    parts = {
        "train": [name for name in history if not name.startswith("val_")],
        "validation": [name for name in history if name.startswith("val_")],
    }
    return {
        f"{part}/events.out.tfevents.1700000000.story.v2": event_log(
            {f"epoch_{name.removeprefix('val_')}": history[name] for name in names},
            arrays if part == "train" else {},
        )
        for part, names in parts.items()
    }


def log_of(story: Story, history: History, arrays: Arrays) -> dict[str, bytes]:
    """The files of one training, by their places in the archive."""
    if story.has_histograms:
        logs = _events(history, arrays)
        return {f"{story.name}/{name}": content for name, content in logs.items()}
    return {f"{story.name}.csv": _csv(history)}


def train_stories(folder: Path, X: np.ndarray, y: np.ndarray) -> None:
    """Train all of them and write their logs; `X` `(n, 8, 8)` pixels from 0 to 16."""
    members: dict[str, bytes] = {}
    for story in STORIES:
        history, arrays, loss = train_story(story, X, y)
        if story.dropout:
            print(f"  {story.name}: logged {history['loss'][-1]:.3f}, measured {loss:.3f}")
        members |= log_of(story, history, arrays)
    write_zip(folder / ARCHIVE, members)
