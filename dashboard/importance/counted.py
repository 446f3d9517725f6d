"""Native importance: what a model itself counts of its features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import Model
from ..data import EvalSet
from ..diagnostics.importance import Importance
from ..errors import NotApplicable
from ..evaluation import rows_for
from ..explainers.answers import Asked
from ..explainers.asking import ask
from ..explainers.native_importance import KINDS
from ..frames import Frame, FrameError, plain_text
from ..wording import listing
from .measuring import check_arrays, sampled_rows

__all__ = ["native_importance", "native_importances"]

Floats = npt.NDArray[np.float64]

MOST_ROWS = 2_000
"""Rows on which the spread of columns is measured for coefficients."""


def native_importance(
    model: Model,
    evalset: EvalSet,
    name: str,
    kind: str | None = None,
    *,
    prepared: bool = False,
) -> Importance:
    """What the model itself counts of its features: gain, impurity, splits or coefficients.

    Parameters
    ----------
    kind : a key of `explainers.native_importance.KINDS`; None = the most telling one it has.

    prepared : on the columns that reach the model's last step, as they are called there.

    Returns
    -------
    Importance : on the person's columns; where the model mixes columns on the way in, on the
        columns that reach its last step. No intervals; the model was fitted once.

    Raises
    ------
    NotApplicable : the model keeps no counts, or not of this kind.
    """
    every = native_importances(model, evalset, name, prepared=prepared)
    for each in every:
        if kind in (None, each.method):
            return each
    known = listing([each.method for each in every])
    raise NotApplicable(f"This model counts no {kind!r}; it has {known}.")


def native_importances(
    model: Model, evalset: EvalSet, name: str, *, prepared: bool = False
) -> tuple[Importance, ...]:
    """Every kind of importance that the model itself has, the most telling first.

    Raises
    ------
    NotApplicable : the model keeps no counts of its features.
    """
    X = rows_for(model, evalset)
    at = sampled_rows(evalset, MOST_ROWS, 0)
    target = evalset.target
    asked = Asked(target.task, target.labels, target.pos_label, target.name)
    told = {"rows": at.tolist(), "asked": asked.to_json(), "prepared": prepared}
    counts = ask(model, "native_importance", told, {"X": X}, read=_read_native)
    return tuple(_counted(counts, k, name, len(at), evalset.n) for k in range(len(counts.kinds)))


def _counted(counts: _Counts, k: int, name: str, n: int, n_given: int) -> Importance:
    title, unit, warning = KINDS[counts.kinds[k]]
    nothing = np.full(len(counts.features), np.nan)
    return Importance(
        model=name,
        method=counts.kinds[k],
        title=title,
        unit=unit,
        features=counts.features,
        values=counts.values[k],
        low=nothing,
        high=nothing,
        n=n if counts.signed[k] else 0,
        n_given=n_given,
        signs=counts.signs[k] if counts.signed[k] else None,
        warning=warning,
        notes=counts.notes,
    )


@dataclass(frozen=True, eq=False)
class _Counts:
    """What `explainers.native_importance` answers, checked."""

    features: tuple[str, ...]
    kinds: tuple[str, ...]
    signed: tuple[bool, ...]
    notes: tuple[str, ...]
    values: Floats
    signs: npt.NDArray[np.int64]


def _read_native(frame: Frame) -> _Counts:
    features, kinds, signed, notes = (
        _list(frame, key) for key in ("features", "kinds", "signed", "notes")
    )
    names = tuple(plain_text(one, 10_000) for one in features)
    known = tuple(kind for kind in KINDS if kind in kinds)
    if len(known) != len(kinds) or len(signed) != len(kinds) or not kinds:
        raise FrameError("The answer holds a kind of importance that there is not.")
    if len(set(names)) < len(names):
        raise FrameError("Two features have the same name.")
    check_arrays(frame.arrays, [(len(kinds), len(names))] * 2)
    values, signs = (np.asarray(array, dtype=np.float64) for array in frame.arrays)
    if not np.isfinite(values).all() or not np.isin(signs, (-1, 0, 1)).all():
        raise FrameError("The importances are not all numbers.")
    return _Counts(
        names,
        tuple(kinds),
        tuple(one is True for one in signed),
        tuple(plain_text(one, 500) for one in notes),
        values,
        signs.astype(np.int64),
    )


def _list(frame: Frame, key: str) -> list[Any]:
    found = frame.header.get(key)
    if not isinstance(found, list):
        raise FrameError(f"The answer lacks its {key}.")
    return found
