"""How a Keras network was trained, as its file tells: names, numbers and JSON, never objects."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["TrainingWords", "read_training", "training_words"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,60}")


@dataclass(frozen=True)
class TrainingWords:
    """The words of a training configuration.

    Attributes
    ----------
    losses : snake_case names as Keras has them, one for each output that has its own; "" is a
        loss of somebody's own.
    from_logits : a loss takes raw scores.
    optimizer, rate : its class and first learning rate, as far as they are told.
    compiled : the whole configuration as the file has it, not judged yet.
    """

    losses: tuple[str, ...] = ()
    from_logits: bool = False
    optimizer: str = ""
    rate: float | None = None
    compiled: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def read_training(archive: zipfile.ZipFile) -> TrainingWords | None:
    """That of a `.keras` file, or None where it was saved without."""
    try:
        config = json.loads(archive.read("config.json"))
    except (KeyError, ValueError, RuntimeError, zipfile.BadZipFile, OSError, zlib.error):
        return None
    return training_words(config.get("compile_config")) if isinstance(config, dict) else None


def training_words(compiled: Any) -> TrainingWords | None:
    """The words of a `compile_config`, or of the `training_config` of an HDF5 file."""
    if not isinstance(compiled, Mapping):
        return None
    losses = [_loss(one) for one in _each(compiled.get("loss"))]
    optimizer = compiled.get("optimizer", compiled.get("optimizer_config"))
    name, rate = _optimizer(optimizer)
    if not losses and not name:
        return None
    logits = any(
        isinstance(one, Mapping)
        and isinstance(one.get("config"), Mapping)
        and one["config"].get("from_logits") is True
        for one in _each(compiled.get("loss"))
    )
    return TrainingWords(tuple(losses), logits, name, rate, compiled)


def _each(loss: Any) -> list[Any]:
    """One loss, a list of them, or a mapping by output."""
    if loss is None:
        return []
    if isinstance(loss, Mapping) and "class_name" not in loss:
        return list(loss.values())[:50]
    return list(loss)[:50] if isinstance(loss, list) else [loss]


def _loss(one: Any) -> str:
    if isinstance(one, Mapping):
        config = one.get("config")
        one = one.get("class_name") if not isinstance(config, str) else config
    if not isinstance(one, str) or not _NAME.fullmatch(one):
        return ""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", one).lower()


def _optimizer(given: Any) -> tuple[str, float | None]:
    if isinstance(given, str):
        return (given if _NAME.fullmatch(given) else ""), None
    if not isinstance(given, Mapping):
        return "", None
    name, config = given.get("class_name"), given.get("config")
    rate = config.get("learning_rate") if isinstance(config, Mapping) else None
    if isinstance(rate, Mapping) and isinstance(rate.get("config"), Mapping):  # a schedule
        rate = rate["config"].get("initial_learning_rate")
    known = isinstance(rate, (int, float)) and not isinstance(rate, bool)
    return (
        name if isinstance(name, str) and _NAME.fullmatch(name) else "",
        float(rate) if known and rate is not None else None,
    )
