"""What workers say of explanations, as messages and back: plans and blocks of rows, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from ..contracts import Label, OutputSpace, canonical_label
from ..frames import (
    Frame,
    FrameError,
    plain_text,
    tag_values,
    untag_values,
)
from .subjects import FloatArray, IntArray, Offer

__all__ = [
    "NO_NUMBER",
    "Block",
    "PlanAnswer",
    "encode_block",
    "encode_plan",
    "gap",
    "read_block",
    "read_interactions",
    "read_plan",
]

NO_NUMBER = "gives no number for any of these rows"
MOST_FEATURES = 100_000
MOST_OUTPUTS = 1_000
MOST_OFFERS = 50
_SENTENCE = 1_000
_NOTES = 50
_GAMES = ("path-dependent", "interventional", "expected gradients")


@dataclass(frozen=True)
class PlanAnswer:
    """What a worker found out about a model before it explains it.

    Attributes
    ----------
    features, outputs : the person's columns, and what each value adds up to.
    spaces : units it can answer in, its natural one first; `space` is the one planned for.
    offers : every engine, the ones that cannot be had with the reason.
    n_columns : what the features become inside the model.
    """

    features: tuple[str, ...]
    outputs: tuple[Label, ...]
    spaces: tuple[OutputSpace, ...]
    space: OutputSpace
    offers: tuple[Offer, ...]
    cell_shape: tuple[int, ...] | None
    n_columns: int
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Block:
    """The explanation of some rows, as it came from one call.

    Attributes
    ----------
    engine : the one that answered; `refused` says of others that were tried first why not.
    kept : `(n,)` which of the asked rows these are: those that the model answers.
    values, predictions, base, errors : as in `Attributions`.
    unanswered : places of background rows that stood in for nothing, ascending.
    """

    engine: str
    method: str
    game: str
    exact: bool
    kept: IntArray
    values: FloatArray
    base: FloatArray
    predictions: FloatArray
    errors: FloatArray | None
    additivity_error: float
    tolerance: float
    notes: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    unanswered: tuple[int, ...] = ()


# ---- plans -----------------------------------------------------------------------------------


def encode_plan(plan: PlanAnswer) -> dict[str, Any]:
    """The plan as JSON."""
    return {
        "features": list(plan.features),
        "outputs": tag_values(plan.outputs),
        "spaces": [space.value for space in plan.spaces],
        "space": plan.space.value,
        "offers": [asdict(offer) | {"notes": list(offer.notes)} for offer in plan.offers],
        "cell_shape": None if plan.cell_shape is None else list(plan.cell_shape),
        "n_columns": plan.n_columns,
        "notes": list(plan.notes)[:_NOTES],
    }


def read_plan(frame: Frame) -> PlanAnswer:
    """What `encode_plan` wrote.

    Raises
    ------
    FrameError : anything else.
    """
    told = frame.header
    spaces = tuple(_space(one) for one in _list(told, "spaces", len(OutputSpace)))
    plan = PlanAnswer(
        features=_texts(told, "features", MOST_FEATURES),
        outputs=_labels(told.get("outputs")),
        spaces=spaces,
        space=_space(told.get("space")),
        offers=tuple(_offer(one) for one in _list(told, "offers", MOST_OFFERS)),
        cell_shape=_shape(told.get("cell_shape")),
        n_columns=int(_number(told.get("n_columns"))),
        notes=_texts(told, "notes", _NOTES),
    )
    if plan.space not in spaces:
        raise FrameError("The plan is for a unit that the model does not answer in.")
    cells = plan.cell_shape
    if cells is not None and math.prod(cells) != len(plan.features):
        raise FrameError("The plan names other cells than its shape has.")
    return plan


def _list(told: Mapping[str, Any], name: str, most: int) -> list[Any]:
    found = told.get(name)
    if not isinstance(found, list) or len(found) > most:
        raise FrameError(f"The {name} of an explanation are no list of at most {most:,}.")
    return found


def _texts(told: Mapping[str, Any], name: str, most: int) -> tuple[str, ...]:
    limit = _SENTENCE if name == "notes" else 20_000
    return tuple(plain_text(one, limit) for one in _list(told, name, most))


def _space(value: Any) -> OutputSpace:
    if not isinstance(value, str) or value not in [str(one.value) for one in OutputSpace]:
        raise FrameError("The unit of an explanation is unknown.")
    return OutputSpace(value)


def _labels(values: Any) -> tuple[Label, ...]:
    labels = [canonical_label(value) for value in untag_values(values, 20_000)]
    known = tuple(label for label in labels if label is not None)
    if not known or len(known) != len(labels) or len(known) > MOST_OUTPUTS:
        raise FrameError("The outputs of an explanation have no names, or too many.")
    return known


def _shape(value: Any) -> tuple[int, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not 0 < len(value) <= 8:
        raise FrameError("The shape of the cells is no list of lengths.")
    if not all(type(one) is int and 0 < one <= MOST_FEATURES for one in value):
        raise FrameError("The shape of the cells is no list of lengths.")
    return tuple(value)


def _offer(told: Any) -> Offer:
    if not isinstance(told, dict):
        raise FrameError("An engine of the plan is not described.")
    return Offer(
        key=plain_text(told.get("key"), 100),
        method=plain_text(told.get("method"), 200),
        game=_game(told.get("game")),
        exact=_bool(told.get("exact")),
        seconds_fixed=_number(told.get("seconds_fixed")),
        seconds_per_row=_number(told.get("seconds_per_row")),
        refusal=plain_text(told.get("refusal"), _SENTENCE),
        notes=_texts(told, "notes", _NOTES),
    )


def _game(value: Any) -> str:
    if value not in _GAMES:
        raise FrameError("The question that an engine answers is unknown.")
    return str(value)


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise FrameError("A yes or no is missing in the explanation.")
    return value


def _number(value: Any) -> float:
    """A finite number that is not negative."""
    if type(value) not in (int, float) or not 0 <= value < 1e300:
        raise FrameError("A number of the explanation is missing or out of bounds.")
    return float(value)


# ---- blocks ----------------------------------------------------------------------------------


def encode_block(block: Block) -> tuple[dict[str, Any], list[Any]]:
    """The header and the arrays of a message."""
    header = {
        "engine": block.engine,
        "method": block.method,
        "game": block.game,
        "exact": block.exact,
        "additivity_error": block.additivity_error,
        "tolerance": block.tolerance,
        "notes": list(block.notes)[:_NOTES],
        "refused": dict(block.refused),
        "sampled": block.errors is not None,
        "unanswered": list(block.unanswered),
    }
    arrays = [block.kept, block.values, block.base, block.predictions]
    return header, arrays if block.errors is None else [*arrays, block.errors]


def read_block(frame: Frame, *, asked: int, n_features: int, n_outputs: int) -> Block:
    """What `encode_block` wrote, for at most `asked` rows.

    Raises
    ------
    FrameError : anything else; values that are no numbers, or that do not add up as they say.
    """
    told = frame.header
    sampled = _bool(told.get("sampled"))
    if len(frame.arrays) != 4 + sampled:
        raise FrameError("A block of an explanation lacks some of its arrays.")
    kept = frame.arrays[0]
    n = len(kept) if kept.ndim == 1 else 0
    shapes = [(n,), (n, n_features, n_outputs), (n_outputs,), (n, n_outputs)]
    shapes += [shapes[1]] * sampled
    for array, shape in zip(frame.arrays, shapes, strict=True):
        if array.shape != shape:
            raise FrameError(f"A block of an explanation has an array of {array.shape}.")
        if array is not kept and (array.dtype.kind != "f" or not np.isfinite(array).all()):
            raise FrameError("A block of an explanation holds values that are no numbers.")
    if kept.dtype.kind not in "iu" or not _is_selection(kept, asked):
        raise FrameError("A block of an explanation is of rows that were not asked for.")
    refused = told.get("refused")
    if not isinstance(refused, dict) or len(refused) > MOST_OFFERS:
        raise FrameError("A block of an explanation does not say what was refused.")
    values, base, predictions = (each.astype(np.float64, copy=False) for each in frame.arrays[1:4])
    apart, tolerance = gap(values, base, predictions), _number(told.get("tolerance"))
    if apart > 1.001 * tolerance:
        raise FrameError(f"The values do not add up to the answers: they miss them by {apart:.2g}.")
    return Block(
        engine=plain_text(told.get("engine"), 100),
        method=plain_text(told.get("method"), 200),
        game=_game(told.get("game")),
        exact=_bool(told.get("exact")),
        kept=kept.astype(np.int64, copy=False),
        values=values,
        base=base,
        predictions=predictions,
        errors=frame.arrays[4].astype(np.float64, copy=False) if sampled else None,
        additivity_error=max(_number(told.get("additivity_error")), apart),
        tolerance=tolerance,
        notes=_texts(told, "notes", _NOTES),
        refused={plain_text(k, 100): plain_text(v, _SENTENCE) for k, v in refused.items()},
        unanswered=_places(told),
    )


def _places(told: Mapping[str, Any]) -> tuple[int, ...]:
    """Ascending places of background rows."""
    found = _list(told, "unanswered", MOST_FEATURES)
    sound = all(type(one) is int and one >= 0 for one in found)
    if not sound or any(b <= a for a, b in pairwise(found)):
        raise FrameError("A block of an explanation names background rows that are none.")
    return tuple(found)


def read_interactions(
    frame: Frame, *, asked: int, n_features: int, n_outputs: int
) -> tuple[Block, FloatArray]:
    """A block, and `(n, n_features, n_features, n_outputs)` that sum to its values.

    Raises
    ------
    FrameError : anything else.
    """
    if not frame.arrays:
        raise FrameError("The interactions lack their arrays.")
    inner, pairs = Frame(frame.header, frame.arrays[:-1]), frame.arrays[-1]
    block = read_block(inner, asked=asked, n_features=n_features, n_outputs=n_outputs)
    shape = (len(block.kept), n_features, n_features, n_outputs)
    if pairs.shape != shape or pairs.dtype.kind != "f" or not np.isfinite(pairs).all():
        raise FrameError("The interactions are no numbers for each pair of features.")
    return block, pairs.astype(np.float64, copy=False)


def gap(values: FloatArray, base: FloatArray, predictions: FloatArray) -> float:
    """The largest difference between an answer and the sum of its parts."""
    if not len(values):
        return 0.0
    return float(np.abs(base + values.sum(axis=1) - predictions).max(initial=0.0))


def _is_selection(kept: Any, asked: int) -> bool:
    if not kept.size:
        return True
    inside = int(kept.min()) >= 0 and int(kept.max()) < asked
    return inside and bool((np.diff(kept.astype(np.int64)) > 0).all())
