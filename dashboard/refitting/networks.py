"""Fresh copies of Keras networks: the same layers with new weights, trained as the file tells.

The optimizer begins anew; how many epochs the original was trained is in no file, so that is asked.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import RawPredictions
from ..errors import NotApplicable, ParameterError
from ..models import KerasModel
from ..models.networks import KERAS_LOCK
from ..wording import count, listing, plural
from .fits import Value
from .network_compiling import (
    Part,
    Recipe,
    last_layer_loss,
    made_loss,
    made_optimizer,
    output_names,
    recipe_of,
)
from .network_copies import Copying, copying_of, layer_settings, packed
from .network_targets import is_bounded, truths, width_of
from .tasks import Task, rows_at

__all__ = ["EPOCHS", "Network"]

EPOCHS, BATCH = 20, 32
MOST_EPOCHS, MOST_BATCH = 10_000, 1 << 20
HELD_OUT, FEWEST_HELD = 0.1, 5  # of the rows to learn from, to see when to stop
_EACH = 0.1  # seconds between two looks whether anybody still waits


@dataclass(frozen=True)
class Schedule:
    """How long and in what steps a network is trained.

    Attributes
    ----------
    patience : epochs without gain on held-out rows after which it stops; 0 = never.
    """

    epochs: int
    batch: int
    patience: int = 0

    def words(self) -> str:
        """The same as a sentence."""
        size = f"batches of {plural(self.batch, 'row')}"
        if not self.patience:
            return f"Trained for {plural(self.epochs, 'epoch')} with {size}."
        return (
            f"Trained for at most {plural(self.epochs, 'epoch')} with {size}; a tenth of the "
            f"training rows is held out, and when {plural(self.patience, 'epoch')} bring nothing "
            "more there, the best weights are taken."
        )


class Network:
    """What trains copies of one network."""

    def __init__(self, model: KerasModel) -> None:
        self._model = model
        with KERAS_LOCK:
            self._copying = copying_of(model.network)
            self._recipe = recipe_of(model)

    def described(self, name: str) -> dict[str, Any]:
        """What `fits.Refit` holds, as JSON."""
        epochs = self._epochs()
        known = (
            "The file does not say for how many epochs it was trained"
            if epochs is None
            else f"It was trained for {plural(epochs, 'epoch')}"
        )
        notes = " ".join((*self._recipe.notes, *self._copying.notes()))
        return {
            "kind": "network",
            "sentence": (
                f"Each fit is {name} with the same layers and new weights: {self._recipe.words()}. "
                f"{known}; {count(epochs or EPOCHS)} are proposed. {notes}"
            ).strip(),
            "epochs": epochs or EPOCHS,
            "parameters": self._settings(),
        }

    def _epochs(self) -> int | None:
        """How many epochs a network in memory was trained."""
        told = getattr(getattr(self._model.network, "history", None), "epoch", None)
        return len(told) if isinstance(told, list) and told else None

    def _settings(self) -> dict[str, Value]:
        """All that can be varied, with what it is now."""
        return {
            "epochs": self._epochs() or EPOCHS,
            "batch_size": BATCH,
            **self._recipe.numbers(),
            **layer_settings(self._copying.plain),
        }

    def fit(self, task: Task, arguments: Mapping[str, Any]) -> TrainedNetwork:
        """A copy trained on the rows to learn from."""
        told = {
            "epochs": arguments.get("epochs") or self._epochs() or EPOCHS,
            "batch_size": arguments.get("batch_size") or BATCH,
            **dict(arguments.get("params") or {}),
        }
        known = self._settings()
        unknown = [name for name in told if name not in known]
        if unknown:
            raise ParameterError(
                f"{task.name} has no setting {unknown[0]!r}. Choose one of its own: "
                f"{listing(list(known), 12)}."
            )
        schedule = Schedule(
            _whole(told.pop("epochs"), "epochs", MOST_EPOCHS),
            _whole(told.pop("batch_size"), "batch_size", MOST_BATCH),
            int(arguments.get("patience") or 0),
        )
        numbers = {
            name: _number(told.pop(name), name) for name in self._recipe.numbers() if name in told
        }
        recipe = self._recipe.changed(numbers)
        made = _Making(self._model, self._copying, recipe, schedule, told)
        return TrainedNetwork(made, task, int(arguments.get("seed") or 0))


def _whole(value: Value, name: str, most: int) -> int:
    told = isinstance(value, int | float) and not isinstance(value, bool)
    whole = told and float(value).is_integer()  # type: ignore[arg-type]
    if not whole or not 1 <= value <= most:  # type: ignore[operator]
        raise ParameterError(
            f"{name} is {value!r}; a whole number from 1 to {count(most)} is needed."
        )
    return int(value)  # type: ignore[arg-type]


def _number(value: Value, name: str) -> float:
    told = isinstance(value, int | float) and not isinstance(value, bool)
    if not told or not 0 <= value < 1e6:  # type: ignore[operator]
        raise ParameterError(f"{name} is {value!r}; a number that is not negative is needed.")
    return float(value)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class _Making:
    """What a copy is made of."""

    model: KerasModel
    copying: Copying
    recipe: Recipe
    schedule: Schedule
    settings: Mapping[str, Value]

    def losses(self, task: Task) -> list[Part]:
        """The loss of each output; the usual one of its last layer where none is known."""
        kind, outputs = task.target.task, self.model.network.outputs
        return [
            last_layer_loss(kind, width_of(output), is_bounded(output)) if loss is None else loss
            for loss, output in zip(self.recipe.losses, outputs, strict=True)
        ]


class TrainedNetwork:
    """A copy with new weights, trained when it is made."""

    shared = False

    def __init__(self, made: _Making, task: Task, seed: int) -> None:
        self._task = task
        with KERAS_LOCK, _seeded(seed):
            network = _trained(made, task)
        self._model = KerasModel(network, name=task.name)
        self.notes = (made.schedule.words(), *made.recipe.notes, *made.copying.notes())

    def on_train(self) -> RawPredictions:
        return self._model.predict(rows_at(self._task.X, self._task.train))

    def on_validation(self) -> RawPredictions:
        return self._model.predict(rows_at(self._task.X, self._task.validation))


def _trained(made: _Making, task: Task) -> Any:
    """The copy, compiled and fitted."""
    rows = made.model.prepare(rows_at(task.X, task.train))
    losses = made.losses(task)
    names, outputs = output_names(made.model.network), made.model.network.outputs
    y = truths(task.target.take(task.train), names, outputs, losses)
    weight = None if task.weight is None else task.weight[task.train]
    n = len(task.train)
    held = max(FEWEST_HELD, round(HELD_OUT * n)) if made.schedule.patience else 0
    if held and n < 2 * FEWEST_HELD:
        raise NotApplicable(
            f"{plural(n, 'row')} are too few to hold any out; train without stopping early."
        )
    learnt = [one[: n - held] for one in rows]
    network = made.copying.build(learnt, made.settings)
    task.work.check()
    weights = [1.0 if one is None else one for one in made.recipe.weights]
    network.compile(
        optimizer=made_optimizer(made.recipe.optimizer),
        loss=_put(network, [made_loss(loss) for loss in losses]),
        loss_weights=None if set(weights) == {1.0} else _put(network, weights),
    )
    network.fit(
        **_given(network, learnt, [one[: n - held] for one in y], weight, slice(0, n - held)),
        epochs=made.schedule.epochs,
        batch_size=made.schedule.batch,
        validation_data=_held_out(network, rows, y, weight, n - held) if held else None,
        callbacks=_callbacks(task, made.schedule),
        verbose=0,
    )
    return network


def _put(network: Any, each: list[Any]) -> Any:
    """One thing for each output, in the form of the network's answer."""
    import keras

    structure = getattr(network, "_outputs_struct", None)
    if len(each) == 1 and not isinstance(structure, dict | list | tuple):
        return each[0]
    return keras.tree.pack_sequence_as(structure, each)


def _given(
    network: Any,
    rows: list[npt.NDArray[Any]],
    y: list[npt.NDArray[Any]],
    weight: npt.NDArray[Any] | None,
    at: slice,
) -> dict[str, Any]:
    """What `fit` takes of some rows."""
    w = None if weight is None else _put(network, [weight[at]] * len(y))
    return {"x": packed(network, rows), "y": _put(network, y), "sample_weight": w}


def _held_out(
    network: Any,
    rows: list[npt.NDArray[Any]],
    y: list[npt.NDArray[Any]],
    weight: npt.NDArray[Any] | None,
    start: int,
) -> tuple[Any, ...]:
    """The last rows, as `fit` takes them to judge by."""
    rest = slice(start, None)
    told = _given(network, [one[rest] for one in rows], [one[rest] for one in y], weight, rest)
    return tuple(one for one in told.values() if one is not None)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Keras draws with this seed within; the generators of others go on as they were."""
    import keras

    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - Keras draws from it
    try:
        keras.utils.set_random_seed(seed)
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def _callbacks(task: Task, schedule: Schedule) -> list[Any]:
    import keras

    class Stopper(keras.callbacks.Callback):  # type: ignore[misc]
        """Stops where nobody waits any more."""

        looked = 0.0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            now = time.monotonic()
            if now - self.looked > _EACH:
                self.looked = now
                task.work.check()

    found: list[Any] = [Stopper()]
    if schedule.patience:
        found.append(
            keras.callbacks.EarlyStopping(
                monitor="val_loss", patience=schedule.patience, restore_best_weights=True
            )
        )
    return found
