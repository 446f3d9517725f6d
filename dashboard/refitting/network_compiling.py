"""How a copy of a network is compiled: the optimizer, the losses and their weights, as in its file.

Only classes of Keras itself are made, from plain values: nothing that a file names is looked up
anywhere else. Metrics of the file are left out, because they change no weight.
"""

from __future__ import annotations

import inspect
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..contracts import Task as Kind
from ..models import KerasModel
from ..wording import listing

__all__ = ["Part", "Recipe", "last_layer_loss", "made_loss", "made_optimizer", "recipe_of"]

ADAM_RATE = 0.001  # Keras' own default
_NAME = re.compile(r"[A-Za-z_][\w>. ]{0,60}")
_ALIASES = {
    "bce": "binarycrossentropy",
    "mse": "meansquarederror",
    "mae": "meanabsoluteerror",
    "mape": "meanabsolutepercentageerror",
    "msle": "meansquaredlogarithmicerror",
    "kld": "kldivergence",
    "kullbackleiblerdivergence": "kldivergence",
}
_NO_LOSSES = ("loss", "lossfunctionwrapper", "ctc")
# What says nothing, or only how fast it is computed.
_IDLE = ("name", "dtype", "fn", "jit_compile", "is_legacy_optimizer", "registered_name")
_RATES = ("initial_learning_rate", "end_learning_rate", "warmup_target", "values")


@dataclass(frozen=True)
class Part:
    """A class of Keras and what it is made with: plain values, and further parts."""

    kind: str
    config: Mapping[str, Any] = field(default_factory=dict)

    def words(self) -> str:
        """Its name as one reads it."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", self.kind)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes
    ----------
    optimizer : with all its settings, a schedule of the rate among them.
    losses : one for each output; None = the usual one of the last layer.
    weights : of each output's loss; None = 1.
    notes : what the file does not tell or asks for in vain, and what is used in its place.
    """

    optimizer: Part
    losses: tuple[Part | None, ...]
    weights: tuple[float | None, ...]
    notes: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        """The learning rate, of a schedule the first one."""
        return _first_rate(_inner(self.optimizer).config.get("learning_rate"), self.optimizer)

    def numbers(self) -> dict[str, float]:
        """Settings of the optimizer that can be varied."""
        config = _inner(self.optimizer).config
        found = {"learning_rate": self.rate}
        for name in ("momentum", "weight_decay"):
            if isinstance(config.get(name), float | int) and not isinstance(config[name], bool):
                found[name] = float(config[name])
        return found

    def changed(self, values: Mapping[str, float]) -> Recipe:
        """With other numbers of the optimizer; a schedule keeps its shape."""
        inner = _inner(self.optimizer)
        config = dict(inner.config)
        for name, value in values.items():
            known = config.get(name)
            if isinstance(known, Part):
                config[name] = _scaled(known, value / self.rate)
            else:
                config[name] = float(value)
        fresh = replace(inner, config=config)
        if inner is not self.optimizer:
            fresh = replace(
                self.optimizer, config={**self.optimizer.config, "inner_optimizer": fresh}
            )
        return replace(self, optimizer=fresh)

    def words(self) -> str:
        """Optimizer, rate and losses in one line."""
        inner = _inner(self.optimizer)
        rate = f"learning rate {self.rate:g}"
        schedule = inner.config.get("learning_rate")
        if isinstance(schedule, Part):
            rate = f"{rate} at first, then {schedule.words().lower()}"
        losses = dict.fromkeys("" if one is None else one.words().lower() for one in self.losses)
        told = " and ".join(one or "by its last layer" for one in losses)
        return f"optimizer {inner.kind} begun anew ({rate}), loss {told}"


def _inner(optimizer: Part) -> Part:
    """What a scaling of the loss is put around."""
    within = optimizer.config.get("inner_optimizer")
    return within if isinstance(within, Part) else optimizer


def _first_rate(rate: Any, optimizer: Part) -> float:
    if isinstance(rate, Part):
        known = rate.config.get("initial_learning_rate", rate.config.get("values"))
        if isinstance(known, list):
            known = known[0]
        if rate.config.get("warmup_target"):
            known = rate.config["warmup_target"]
        return float(known)
    if rate is None:
        parameters = inspect.signature(_classes("optimizer")[_key(optimizer.kind)]).parameters
        rate = parameters["learning_rate"].default if "learning_rate" in parameters else ADAM_RATE
    return float(rate)


def _scaled(schedule: Part, factor: float) -> Part:
    """A schedule whose rates are all multiplied."""
    config = dict(schedule.config)
    for name in _RATES:
        value = config.get(name)
        if isinstance(value, list):
            config[name] = [one * factor for one in value]
        elif isinstance(value, float | int):
            config[name] = value * factor
    return replace(schedule, config=config)


# ---- reading ---------------------------------------------------------------------------------


def recipe_of(model: KerasModel) -> Recipe:
    """How a network was compiled, as far as its file tells and Keras knows it."""
    compiled, notes = _compiled(model), list[str]()
    names = list(output_names(model.network))
    if not compiled:
        notes.append(
            "The file does not say how it was trained: Adam with Keras' usual rate is used, and "
            "the usual loss of its last layer."
        )
    optimizer = _read_optimizer(compiled, notes)
    given = _by_output(compiled.get("loss"), names)
    losses = tuple(_read_loss(one, notes) for one in given)
    weights = tuple(_number(one) for one in _by_output(compiled.get("loss_weights"), names))
    return Recipe(optimizer, losses, weights, tuple(dict.fromkeys(notes)))


def output_names(network: Any) -> Sequence[str]:
    """The names of the outputs, in their order."""
    structure = getattr(network, "_outputs_struct", None)
    if isinstance(structure, dict):
        return sorted(structure)
    return [tensor._keras_history.operation.name for tensor in network.outputs]


def _compiled(model: KerasModel) -> Mapping[str, Any]:
    """The configuration of the file; of a network in memory its own."""
    if model.training is not None and model.training.compiled:
        return model.training.compiled
    if not getattr(model.network, "compiled", False):
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of functions without a name
        try:
            found = model.network.get_compile_config()
        except (TypeError, ValueError, AttributeError, NotImplementedError):
            return {}
    return found if isinstance(found, Mapping) else {}


def _by_output(given: Any, names: Sequence[str]) -> list[Any]:
    """One entry for each output, from one for all, a list, or a mapping by name."""
    if isinstance(given, Mapping) and "class_name" not in given:
        return [given.get(name) for name in names]
    if isinstance(given, list | tuple):
        return list(given) if len(given) == len(names) else [None] * len(names)
    return [given] * len(names)


def _number(value: Any) -> float | None:
    told = isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if told else None


def _read_optimizer(compiled: Mapping[str, Any], notes: list[str]) -> Part:
    """That of a `compile_config`, or of the `training_config` of an HDF5 file; else Adam."""
    given = compiled.get("optimizer", compiled.get("optimizer_config"))
    if given is None:
        return Part("Adam")
    try:
        part = _judged(given, "optimizer", notes)
        made_optimizer(part)
    except _Foreign as error:
        rate = _told_rate(given)
        usual = "Keras' usual rate" if rate is None else f"the rate {rate:g}"
        notes.append(
            f"The optimizer {error} is not one of Keras; Adam with {usual} is used instead."
        )
        return Part("Adam", {} if rate is None else {"learning_rate": rate})
    except (TypeError, ValueError) as error:
        notes.append(
            f"The optimizer of the file cannot be made ({str(error)[:100]}); Adam is used instead."
        )
        return Part("Adam")
    return part


def _told_rate(given: Any) -> float | None:
    config = given.get("config") if isinstance(given, Mapping) else None
    rate = _number(config.get("learning_rate")) if isinstance(config, Mapping) else None
    return rate if rate is None or 0 < rate < 1e3 else None


def _read_loss(given: Any, notes: list[str]) -> Part | None:
    if given is None:
        return None
    try:
        part = _judged(given, "loss", notes)
        made_loss(part)
    except _Foreign as error:
        notes.append(
            f"The loss {error} is not one of Keras; the usual one of its last layer is used "
            "instead."
        )
        return None
    except (TypeError, ValueError) as error:
        notes.append(
            f"The loss of the file cannot be made ({str(error)[:100]}); the usual one of the last "
            "layer is used instead."
        )
        return None
    return part


# ---- judging ---------------------------------------------------------------------------------


class _Foreign(Exception):
    """The name of what is not part of Keras."""


def _judged(given: Any, family: str, notes: list[str]) -> Part:
    """A part whose class is one of Keras' own, with the plain values that this class takes.

    Raises
    ------
    _Foreign : anybody's own class or function.
    """
    node: Any = {"class_name": given, "config": {}} if isinstance(given, str) else given
    if not isinstance(node, Mapping) or not isinstance(node.get("class_name"), str):
        raise _Foreign("of its own")
    name, config = node["class_name"], node.get("config")
    if name == "function":
        name, config = str(config), {}
    name = name.removeprefix("Custom>")  # as Keras 2 writes its own
    module = node.get("module")
    own = isinstance(module, str) and module.split(".")[0] not in ("keras", "builtins")
    kind = None if own else _classes(family).get(_key(name))
    if kind is None or ">" in str(node.get("registered_name") or "").removeprefix("Custom>"):
        raise _Foreign(name if _NAME.fullmatch(name) else "of its own")
    taken = _taken(kind, config if isinstance(config, Mapping) else {}, notes)
    if family == "loss" and config:
        notes += _lost(kind, config)
    return Part(kind.__name__, taken)


def _lost(kind: Any, config: Mapping[str, Any]) -> list[str]:
    """Keras does not write the settings of every loss into its files."""
    own = set(inspect.signature(kind).parameters) - {"reduction", "name", "dtype"}
    if not own or own & set(config):
        return []
    return [
        f"The file does not hold {listing(sorted(own))} of the loss {kind.__name__}; Keras' usual "
        "value is used."
    ]


def _key(name: str) -> str:
    bare = name.replace("_", "").replace(" ", "").lower()
    return _ALIASES.get(bare, bare)


def _classes(family: str) -> dict[str, Any]:
    """The classes of Keras by name, without capitals."""
    import keras

    module, base = {
        "optimizer": (keras.optimizers, keras.optimizers.Optimizer),
        "loss": (keras.losses, keras.losses.Loss),
        "schedule": (keras.optimizers.schedules, keras.optimizers.schedules.LearningRateSchedule),
    }[family]
    found = {
        name.lower(): one
        for name, one in vars(module).items()
        if isinstance(one, type) and issubclass(one, base) and one is not base
    }
    return {name: one for name, one in found.items() if name not in _NO_LOSSES}


def _taken(kind: Any, config: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """The settings that a class takes; those that it does not know are noted."""
    known = inspect.signature(kind).parameters
    taken: dict[str, Any] = {}
    for name, value in config.items():
        if name in _IDLE or (name == "reduction" and value == "auto"):
            continue
        if name == "inner_optimizer":
            taken[name] = _judged(value, "optimizer", notes)
        elif name == "learning_rate" and isinstance(value, Mapping):
            taken[name] = _schedule(value, notes)
        elif name in known and _is_plain(value):
            taken[name] = float(value) if name == "learning_rate" else value
        elif value not in (None, False, 0, [], {}) and _NAME.fullmatch(name):
            notes.append(f"{kind.__name__} of this Keras takes no {name}; it is left out.")
    return {name: value for name, value in taken.items() if value is not None}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) <= 10_000 and all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _schedule(node: Mapping[str, Any], notes: list[str]) -> Part | float | None:
    """A schedule of Keras, or a constant rate in place of somebody's own."""
    try:
        return _judged(node, "schedule", notes)
    except _Foreign as error:
        config = node.get("config")
        told = config.get("initial_learning_rate") if isinstance(config, Mapping) else None
        rate = _number(told)
        used = "Keras' usual rate" if rate is None else f"the constant rate {rate:g}"
        notes.append(f"The schedule {error} is not one of Keras; {used} is used instead.")
        return rate


# ---- making ----------------------------------------------------------------------------------


def made_optimizer(part: Part) -> Any:
    """A fresh optimizer, without any state."""
    config = dict(part.config)
    for name, value in config.items():
        if isinstance(value, Part):
            family = "schedule" if name == "learning_rate" else "optimizer"
            config[name] = (
                made_optimizer(value)
                if family == "optimizer"
                else _classes(family)[_key(value.kind)](**value.config)
            )
    return _classes("optimizer")[_key(part.kind)](**config)


def made_loss(part: Part) -> Any:
    return _classes("loss")[_key(part.kind)](**part.config)


def last_layer_loss(kind: Kind, width: int, is_bounded: bool) -> Part:
    """The usual loss of a task for an output of so many units; else of raw scores."""
    if not kind.is_classification:
        return Part("MeanSquaredError")
    logits = {} if is_bounded else {"from_logits": True}
    if kind is Kind.MULTILABEL or width == 1:
        return Part("BinaryCrossentropy", logits)
    return Part("SparseCategoricalCrossentropy", logits)
