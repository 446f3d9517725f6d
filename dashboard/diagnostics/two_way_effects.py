"""Two features at once: what a model answers for every pair of values, and what is interaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Label, OutputSpace
from ..wording import count, plural
from .effect_grids import EffectGrid
from .effects import EffectKind, Told, unknown_values, usable_rows

__all__ = [
    "RowsOfPairs",
    "TwoWayEffect",
    "compute_accumulated_pair",
    "compute_two_way",
    "rows_of_pairs",
]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

NEAR = 0.05  # of the span of either grid
CHUNK = 65_536  # rows that are compared with all values at once


@dataclass(frozen=True, eq=False)
class TwoWayEffect:
    """Two features together, for one output of one model.

    Attributes
    ----------
    grids : of the first feature (rows of `value`) and the second (columns).
    value : `(g1, g2)`: the average answer (pdp), or what the two add beyond both single effects
        (ale, around zero); NaN where nothing is known.
    near : `(g1, g2)` share of the rows whose two values are near.
    rows : `(g1, g2)` the row whose two values are nearest, of at most `CHUNK` evenly spread ones;
        -1 where none has both.
    shares : `(g1,)` and `(g2,)` of the rows, those nearest to each value; without rows that have
        no value, or another category.
    strength : share of the joint effect's variation that is interaction, 0 … 1 (Friedman's H,
        squared and unweighted); None for ale.
    """

    model: str
    features: tuple[str, str]
    output: Label
    kind: EffectKind
    space: OutputSpace
    grids: tuple[EffectGrid, EffectGrid]
    value: FloatArray
    near: FloatArray
    rows: IntArray
    shares: tuple[FloatArray, FloatArray]
    average: float
    n: int
    n_given: int
    strength: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def sparse(self) -> npt.NDArray[np.bool_]:
        """`(g1, g2)` where no row of the data is near: what the model says there is a guess."""
        none: npt.NDArray[np.bool_] = self.near <= 0
        return none

    def frame(self) -> pd.DataFrame:
        """Columns `model, output, kind, feature_1, at_1, feature_2, at_2, value, near, n`."""
        first, second = self.grids
        g1, g2 = self.value.shape
        return pd.DataFrame(
            {
                "model": self.model,
                "output": [self.output] * (g1 * g2),
                "kind": self.kind,
                "feature_1": self.features[0],
                "at_1": np.repeat(np.array(first.labels, dtype=object), g2),
                "feature_2": self.features[1],
                "at_2": np.tile(np.array(second.labels, dtype=object), g1),
                "value": self.value.ravel(),
                "near": self.near.ravel(),
                "n": self.n,
            }
        )


def compute_two_way(
    grids: Sequence[EffectGrid],
    answers: FloatArray,
    own: FloatArray,
    where: RowsOfPairs,
    told: Told,
) -> TwoWayEffect:
    """Two-way partial dependence from `(n, g1, g2)` answers with both features set."""
    usable, notes = usable_rows(answers, own)
    joint = answers[usable].mean(axis=0)
    known = [np.isfinite(joint).any(axis=other) for other in (1, 0)]
    first, second = grids
    for grid, some in zip(grids, known, strict=True):
        lacking = [label for label, one in zip(grid.labels, some, strict=True) if not one]
        notes = (*notes, *unknown_values(grid.feature, lacking))
    return TwoWayEffect(
        model=told.model,
        features=(first.feature, second.feature),
        output=told.output,
        kind="pdp",
        space=told.space,
        grids=(first, second),
        value=joint,
        **where._asdict(),
        average=float(own[usable].mean()),
        n=int(usable.sum()),
        n_given=told.n_given,
        strength=_strength(joint[np.ix_(*known)]),
        notes=(*told.notes, *first.notes, *second.notes, *notes),
    )


def _strength(joint: FloatArray) -> float | None:
    """The share of what two features change together that their own effects do not add up to."""
    if not np.isfinite(joint).all():
        return None
    free = joint - joint.mean()
    alone = free.mean(axis=1, keepdims=True) + free.mean(axis=0, keepdims=True)
    whole = float((free**2).sum())
    return float(((free - alone) ** 2).sum() / whole) if whole > 0 else 0.0


class RowsOfPairs(NamedTuple):
    """As the attributes of a `TwoWayEffect` of these names."""

    near: FloatArray
    rows: IntArray
    shares: tuple[FloatArray, FloatArray]


def rows_of_pairs(
    grids: Sequence[EffectGrid], places: tuple[FloatArray, FloatArray]
) -> RowsOfPairs:
    """Where the rows are, from the `places` of all of them on both axes."""
    first, second = (
        place[grid.rows] if grid.kind == "category" else grid.places
        for grid, place in zip(grids, places, strict=True)
    )
    n = len(places[0])
    some = np.unique(np.linspace(0, n - 1, min(n, CHUNK)).astype(np.int64))
    one = _apart(grids[0], first, places[0][some])
    other = _apart(grids[1], second, places[1][some])
    nearest = np.full((len(first), len(second)), -1, dtype=np.int64)
    for at in range(len(first)):
        distance = np.maximum(one[:, at, None], other)
        best = distance.argmin(axis=0)
        known = np.isfinite(distance[best, np.arange(len(second))])
        nearest[at, known] = some[best[known]]
    shares = tuple(
        _share(grid, at, place)
        for grid, at, place in zip(grids, (first, second), places, strict=True)
    )
    return RowsOfPairs(_near(grids, (first, second), places), nearest, (shares[0], shares[1]))


def _share(grid: EffectGrid, at: FloatArray, places: FloatArray) -> FloatArray:
    """`(g,)` of the rows, those nearest to each value."""
    known = places[np.isfinite(places)]
    order = np.argsort(at, kind="stable")
    ordered = at[order]
    if grid.kind == "category":
        known = known[np.isin(known, ordered)]
        found = np.searchsorted(ordered, known)
    else:
        found = np.searchsorted((ordered[1:] + ordered[:-1]) / 2, known)
    counted = np.zeros(len(at))
    counted[order] = np.bincount(found, minlength=len(at))
    return counted / max(1, len(places))


def _apart(grid: EffectGrid, at: FloatArray, places: FloatArray) -> FloatArray:
    """`(n, g)` in spans of the grid, 1 between two categories; infinite where missing."""
    apart: FloatArray = np.abs(places[:, None] - at[None, :])
    apart = np.sign(apart) if grid.kind == "category" else apart / (float(np.ptp(at)) or 1.0)
    return np.where(np.isnan(apart), np.inf, apart)


def _near(
    grids: Sequence[EffectGrid],
    ats: tuple[FloatArray, FloatArray],
    places: tuple[FloatArray, FloatArray],
) -> FloatArray:
    first, second = ats
    n = len(places[0])
    near = np.zeros((len(first), len(second)))
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        one = _is_near(grids[0], first, places[0][part])
        near += one.T @ _is_near(grids[1], second, places[1][part])
    return near / max(1, n)


def _is_near(grid: EffectGrid, at: FloatArray, places: FloatArray) -> FloatArray:
    """`(n, g)` 0 or 1; categories are near themselves only."""
    reach = 0.0 if grid.kind == "category" else NEAR * float(np.ptp(at))
    return (np.abs(places[:, None] - at[None, :]) <= reach).astype(np.float64)


def compute_accumulated_pair(
    grids: Sequence[EffectGrid],
    cells: tuple[IntArray, IntArray],
    corners: FloatArray,
    own: FloatArray,
    where: RowsOfPairs,
    told: Told,
) -> TwoWayEffect:
    """Second-order accumulated effect: what two numbers add beyond both of their own effects.

    Parameters
    ----------
    grids : edges of the bins, K1 + 1 and K2 + 1 of them.
    cells : `(n,)` each: the bin of every row in both features.
    corners : `(n, 2, 2)` answers with the features set to the ends of the row's bins.

    Bins that hold no row get the value of the nearest that does (as the authors' ALEPlot does).
    """
    usable, notes = usable_rows(corners, own)
    i, j = (cell[usable] for cell in cells)
    corners = corners[usable]
    twists = corners[:, 1, 1] - corners[:, 0, 1] - corners[:, 1, 0] + corners[:, 0, 0]
    shape = (len(grids[0]) - 1, len(grids[1]) - 1)
    sizes, sums = np.zeros(shape), np.zeros(shape)
    np.add.at(sizes, (i, j), 1.0)
    np.add.at(sums, (i, j), twists)
    means = _filled(sums / np.maximum(sizes, 1), sizes)
    value = np.zeros((shape[0] + 1, shape[1] + 1))
    value[1:, 1:] = means.cumsum(axis=0).cumsum(axis=1)
    empty = int((sizes == 0).sum())
    more = (
        f"{plural(empty, 'cell')} of {count(sizes.size)} hold no row used; they take the value of "
        "the nearest that does.",
    )
    first, second = grids
    return TwoWayEffect(
        model=told.model,
        features=(first.feature, second.feature),
        output=told.output,
        kind="ale",
        space=told.space,
        grids=(first, second),
        value=_without_main_effects(value, sizes),
        **where._asdict(),
        average=float(own[usable].mean()),
        n=int(usable.sum()),
        n_given=told.n_given,
        notes=(*told.notes, *notes, *(more if empty else ())),
    )


def _filled(means: FloatArray, sizes: FloatArray) -> FloatArray:
    """Cells without rows take the mean of the nearest cell with some."""
    held = np.argwhere(sizes > 0)
    filled = means.copy()
    for i, j in np.argwhere(sizes == 0):
        near = held[np.abs((held - (i, j)) / sizes.shape).sum(axis=1).argmin()]
        filled[i, j] = means[near[0], near[1]]
    return filled


def _without_main_effects(value: FloatArray, sizes: FloatArray) -> FloatArray:
    """Less what either feature adds alone, and less the mean over the rows."""
    for axis, held in ((0, sizes), (1, sizes.T)):
        turned = value if axis == 0 else value.T
        steps = np.diff(turned, axis=0)
        between = (steps[:, 1:] + steps[:, :-1]) / 2  # at the middle of each bin of the other
        mean = (between * held).sum(axis=1) / np.maximum(held.sum(axis=1), 1)
        alone = np.concatenate([[0.0], np.cumsum(mean)])[:, None]
        value = value - (alone if axis == 0 else alone.T)
    middles = (value[1:, 1:] + value[1:, :-1] + value[:-1, 1:] + value[:-1, :-1]) / 4
    centred: FloatArray = value - (middles * sizes).sum() / max(1.0, sizes.sum())
    return centred
