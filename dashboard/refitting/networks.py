"""Fresh copies of Keras networks: the same layers with new weights, trained as the file tells.

The optimizer begins anew; how many epochs the original was trained is in no file, so that is asked.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import RawPredictions
from ..contracts import Task as Kind
from ..errors import NotApplicable
from ..models import KerasModel
from ..models.network_training import TrainingWords
from ..models.networks import KERAS_LOCK
from .tasks import Task, rows_at

__all__ = ["EPOCHS", "Network"]

EPOCHS, BATCH = 20, 32
_OWN_LOSSES = {
    "binary_crossentropy": "one",
    "binary_focal_crossentropy": "one",
    "hinge": "sign",
    "squared_hinge": "sign",
    "categorical_crossentropy": "one-hot",
    "categorical_focal_crossentropy": "one-hot",
    "categorical_hinge": "one-hot",
    "kl_divergence": "one-hot",
    "sparse_categorical_crossentropy": "codes",
    "mean_squared_error": "as it is",
    "mse": "as it is",
    "mean_absolute_error": "as it is",
    "mae": "as it is",
    "mean_absolute_percentage_error": "as it is",
    "mean_squared_logarithmic_error": "as it is",
    "huber": "as it is",
    "log_cosh": "as it is",
    "poisson": "as it is",
}


class Network:
    """What trains copies of one network."""

    def __init__(self, model: KerasModel) -> None:
        outputs = getattr(model.network, "outputs", None) or []
        if len(outputs) != 1:
            raise NotApplicable(
                f"The network has {len(outputs)} outputs; only networks with one can be trained "
                "again here. Its logs by epoch can be shown."
            )
        self._model = model

    def described(self, name: str) -> dict[str, Any]:
        """What `fits.Refit` holds, as JSON."""
        told = self._model.training
        optimizer, loss = (told.optimizer, told.losses) if told is not None else ("", ())
        how = (
            f"optimizer {optimizer or 'Adam'} begun anew, loss "
            f"{loss[0].replace('_', ' ') if loss and loss[0] else 'by its last layer'}"
        )
        return {
            "kind": "network",
            "sentence": (
                f"Each fit is {name} with the same layers and new weights: {how}. The file does "
                f"not say for how many epochs it was trained; {EPOCHS} are proposed."
            ),
            "epochs": EPOCHS,
        }

    def fit(self, task: Task, arguments: Mapping[str, Any]) -> TrainedNetwork:
        """A copy trained on the rows to learn from."""
        epochs = int(arguments.get("epochs") or EPOCHS)
        batch = int(arguments.get("batch_size") or BATCH)
        if arguments.get("params"):
            raise NotApplicable("Networks have no settings that can be changed between two fits.")
        return TrainedNetwork(self._model, task, int(arguments.get("seed") or 0), epochs, batch)


class TrainedNetwork:
    """A copy with new weights, trained when it is made."""

    shared = False

    def __init__(self, model: KerasModel, task: Task, seed: int, epochs: int, batch: int) -> None:
        import keras

        self._task = task
        with KERAS_LOCK, _seeded(seed):
            network = keras.models.clone_model(model.network)
            rows = model.prepare(rows_at(task.X, task.train))
            given = _packed(network, rows)
            _adapted(network, rows)
            loss, form = _loss(model, task)
            network.compile(optimizer=_optimizer(model), loss=loss)
            network.fit(
                given,
                _truth(task, form, int(network.outputs[0].shape[-1] or 1)),
                sample_weight=None if task.weight is None else task.weight[task.train],
                epochs=epochs,
                batch_size=batch,
                callbacks=[_stopper(task)],
                verbose=0,
            )
        self._model = KerasModel(network, name=task.name)
        self.notes = (f"Trained for {epochs} epochs with batches of {batch} rows.",)

    def on_train(self) -> RawPredictions:
        return self._model.predict(rows_at(self._task.X, self._task.train))

    def on_validation(self) -> RawPredictions:
        return self._model.predict(rows_at(self._task.X, self._task.validation))


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


def _packed(network: Any, rows: list[npt.NDArray[Any]]) -> Any:
    """The arrays as the network is called with them."""
    structure = getattr(network, "_inputs_struct", None)
    if isinstance(structure, dict):
        return dict(zip(sorted(structure), rows, strict=True))
    return rows[0] if len(rows) == 1 else rows


def _adapted(network: Any, rows: list[npt.NDArray[Any]]) -> None:
    """Layers that standardise learn their means from these rows, as they did at first."""
    import keras

    given = _packed(network, rows)
    for layer in network.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.input_mean is None:
            before = keras.Model(network.inputs, layer.input)
            layer.adapt(before.predict(given, verbose=0))


def _optimizer(model: KerasModel) -> Any:
    """The one that it was trained with, as far as the file tells; else Adam."""
    import keras

    own = getattr(model.network, "optimizer", None)
    if own is not None:
        return type(own).from_config(own.get_config())
    told = model.training or TrainingWords()
    kind = getattr(keras.optimizers, told.optimizer, None) if told.optimizer else None
    if not (isinstance(kind, type) and issubclass(kind, keras.optimizers.Optimizer)):
        kind = keras.optimizers.Adam
    return kind() if told.rate is None else kind(learning_rate=told.rate)


def _loss(model: KerasModel, task: Task) -> tuple[Any, str]:
    """The loss, and the form in which it takes the truth."""
    import keras

    own = getattr(model.network, "loss", None)
    name = own if isinstance(own, str) else _snake(own) if own is not None else ""
    logits = bool(getattr(own, "from_logits", getattr(own, "_fn_kwargs", {}).get("from_logits")))
    if not name and model.training is not None and model.training.losses:
        name, logits = model.training.losses[0], model.training.from_logits
    if name not in _OWN_LOSSES:
        name, logits = _by_last_layer(model, task)
    made = keras.losses.get(name)
    if logits:
        camel = "".join(word.capitalize() for word in name.split("_"))
        made = getattr(keras.losses, camel)(from_logits=True)
    return made, _OWN_LOSSES[name]


def _snake(loss: Any) -> str:
    name = str(getattr(loss, "name", "") or getattr(loss, "__name__", ""))
    return name.removesuffix("_loss")


def _by_last_layer(model: KerasModel, task: Task) -> tuple[str, bool]:
    """The usual loss of the task for this last layer, and whether it takes raw scores."""
    kind = task.target.task
    if not kind.is_classification:
        return "mean_squared_error", False
    bounded = model.info.task_hint == "classifier"
    one = int(model.network.outputs[0].shape[-1] or 1) == 1
    if kind is Kind.MULTILABEL or one:
        return "binary_crossentropy", not bounded
    return "sparse_categorical_crossentropy", not bounded


def _truth(task: Task, form: str, width: int) -> npt.NDArray[Any]:
    """The truth of the rows to learn from, in the form that the loss takes.

    Raises
    ------
    NotApplicable : outputs and classes that do not correspond.
    """
    target = task.target
    y = np.asarray(target.y)[task.train]
    if not target.task.is_classification or target.task is Kind.MULTILABEL:
        return np.asarray(y, dtype=np.float32).reshape(len(y), -1)
    if width == 1:
        if target.task is not Kind.BINARY:
            raise NotApplicable(
                f"The network has one output and the target {len(target.labels)} classes."
            )
        positive = np.asarray(y == target.pos_label, dtype=np.float32)[:, None]
        return 2 * positive - 1 if form == "sign" else positive
    codes = np.asarray(_codes(task, width)[y])
    return codes if form != "one-hot" else np.asarray(np.eye(width, dtype=np.float32)[codes])


def _codes(task: Task, width: int) -> npt.NDArray[np.int64]:
    """`(k,)` output of each label: whole numbers are their own place, else the order counts."""
    labels = task.target.labels
    if all(type(label) is int and 0 <= label < width for label in labels):
        return np.array(labels, dtype=np.int64)
    if len(labels) != width:
        raise NotApplicable(
            f"The network has {width} outputs and the target {len(labels)} classes, so which "
            "output stands for which class is unknown."
        )
    return np.arange(width)


def _stopper(task: Task) -> Any:
    import keras

    class Stopper(keras.callbacks.Callback):  # type: ignore[misc]
        """Stops where nobody waits any more."""

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch % 20 == 0:
                task.work.check()

    return Stopper()
