"""The truth in the form in which the losses of a network take it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import Target, canonical_label
from ..contracts import Task as Kind
from ..contracts.vocabulary import match_labels
from ..errors import NotApplicable
from ..wording import listing, plural
from .network_compiling import Part

__all__ = ["is_bounded", "truths", "width_of"]

_CODES = ("SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy")


def width_of(output: Any) -> int:
    """Numbers that an output gives for one row; 1 where that is not known."""
    return math.prod(size or 1 for size in output.shape[1:])


def is_bounded(output: Any) -> bool:
    """Whether an output is between 0 and 1 by its last activation."""
    last = output._keras_history.operation
    while getattr(last, "layers", None):
        last = last.layers[-1]
    name = getattr(getattr(last, "activation", None), "__name__", type(last).__name__)
    return name.lower() in ("sigmoid", "softmax")


def truths(
    target: Target, names: Sequence[str], outputs: Sequence[Any], losses: Sequence[Part]
) -> list[npt.NDArray[Any]]:
    """One array for each output, for all rows of the target.

    Raises
    ------
    NotApplicable : outputs and target that do not correspond.
    """
    if len(outputs) == 1:
        return [_shaped(_single(target, losses[0], width_of(outputs[0])), outputs[0], losses[0])]
    columns = _columns(target, names)
    if columns is None or any(width_of(output) != 1 for output in outputs):
        raise NotApplicable(
            f"The network has {plural(len(outputs), 'output')} ({listing(names, 5)}) and the "
            f"target {plural(len(target.labels) or 1, 'column')}; only networks with one output, "
            "or with one number for each column of the target, can be trained again here. Its "
            "logs by epoch can be shown."
        )
    y = np.asarray(target.y, dtype=np.float32).reshape(len(target.y), -1)
    return [
        _shaped(y[:, column], output, loss)
        for column, output, loss in zip(columns, outputs, losses, strict=True)
    ]


def _columns(target: Target, names: Sequence[str]) -> list[int] | None:
    """The column of the target that each output answers: by name, else by order."""
    if target.task not in (Kind.MULTILABEL, Kind.MULTIOUTPUT_REGRESSION):
        return None
    if len(names) != len(target.labels):
        return None
    given = [canonical_label(name) for name in names]
    known = [label for label in given if label is not None]
    found = match_labels(known, target.labels, complete=True)
    if found.unknown or found.note or len(set(found.positions.values())) != len(names):
        return list(range(len(names)))
    return [found.positions[label] for label in known]


def _single(target: Target, loss: Part, width: int) -> npt.NDArray[Any]:
    y = np.asarray(target.y)
    if not target.task.is_classification or target.task is Kind.MULTILABEL:
        table = np.asarray(y, dtype=np.float32).reshape(len(y), -1)
        if table.shape[1] != width:
            raise NotApplicable(
                f"The network answers {plural(width, 'number')} for a row and the target has "
                f"{plural(table.shape[1], 'column')}."
            )
        return table
    if width == 1:
        if target.task is not Kind.BINARY:
            raise NotApplicable(
                f"The network has one output and the target {len(target.labels)} classes."
            )
        return np.asarray(y == target.pos_label, dtype=np.float32)[:, None]
    codes = np.asarray(_codes(target, width)[y])
    if loss.kind in _CODES:
        return codes
    return np.asarray(np.eye(width, dtype=np.float32)[codes])


def _codes(target: Target, width: int) -> npt.NDArray[np.int64]:
    """`(k,)` output of each label: whole numbers are their own place, else the order counts."""
    labels = target.labels
    if all(type(label) is int and 0 <= label < width for label in labels):
        return np.array(labels, dtype=np.int64)
    if len(labels) != width:
        raise NotApplicable(
            f"The network has {width} outputs and the target {len(labels)} classes, so which "
            "output stands for which class is unknown."
        )
    return np.arange(width)


def _shaped(truth: npt.NDArray[Any], output: Any, loss: Part) -> npt.NDArray[Any]:
    """The truth with the dimensions of the output; those of codes lack the last."""
    shape = tuple(size or 1 for size in output.shape[1:])
    if loss.kind in _CODES and len(truth.shape) == 1:
        return truth.reshape(len(truth), *(1 for _ in shape[:-1]))
    return truth.reshape(len(truth), *shape)
