"""How the average answer changes along a feature: partial dependence, and accumulated effects.

Partial dependence (Friedman, 2001) sets the feature to a value for every row and averages; its
rows are the individual curves (Goldstein et al., 2015). Accumulated local effects (Apley & Zhu,
2020) add up what small steps of the feature change for the rows that are there, so that features
that go together are not torn apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Label, OutputSpace
from ..errors import NotApplicable
from ..wording import count, listing, plural
from .effect_grids import EffectGrid

__all__ = [
    "FeatureEffect",
    "Told",
    "compute_accumulated_effect",
    "compute_partial_dependence",
    "unknown_values",
    "usable_rows",
]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
EffectKind = Literal["pdp", "ale"]


@dataclass(frozen=True, eq=False)
class FeatureEffect:
    """One feature's effect on one output of one model.

    Attributes
    ----------
    kind : "pdp" partial dependence; "ale" accumulated local effect, around zero.
    grid : the g values of the feature, and the data's distribution.
    value, low, high : `(g,)` in the unit of `space`; intervals over rows.
    missing : the average answer, and its interval, where the feature is unknown; or None.
    curves : `(n, g)` one for each row (pdp), else None; rows : `(n,)` their positions.
    average : the model's mean answer to the rows as they are.
    n, n_given : rows used, of those there are.
    centred_at : the grid value at which curves were set to zero, or None.
    """

    model: str
    feature: str
    output: Label
    kind: EffectKind
    space: OutputSpace
    grid: EffectGrid
    value: FloatArray
    low: FloatArray
    high: FloatArray
    average: float
    rows: IntArray
    n_given: int
    level: float
    curves: FloatArray | None = None
    missing: tuple[float, float, float] | None = None
    centred_at: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        return len(self.rows)

    @property
    def range(self) -> float:
        """Largest minus smallest value where rows are: how much the feature moves the answer."""
        known = self.value[np.isfinite(self.value)]
        shown = self.value[~self.grid.sparse & np.isfinite(self.value)]
        return float(np.ptp(shown if len(shown) else known))

    def centred(self, at: int | None = None) -> FeatureEffect:
        """Every curve as its change from the grid value in place `at`; None = the first answered.

        Raises
        ------
        NotApplicable : accumulated effects have no curves of rows.
        """
        if self.curves is None:
            raise NotApplicable("Accumulated effects are centred already and have no single rows.")
        at = int(np.flatnonzero(np.isfinite(self.value))[0]) if at is None else at
        moved = self.curves - self.curves[:, at : at + 1]
        value, low, high = _means(moved, self.level)
        return replace(
            self, curves=moved, value=value, low=low, high=high, missing=None, centred_at=at
        )

    def frame(self) -> pd.DataFrame:
        """Columns `model, feature, output, kind, at, place, value, low, high, near, n`.

        `at` is the value in words, `place` its place on the axis; a last row "missing" where the
        feature is unknown for some rows.
        """
        table = pd.DataFrame(
            {
                "at": list(self.grid.labels),
                "place": self.grid.places,
                "value": self.value,
                "low": self.low,
                "high": self.high,
                "near": self.grid.near,
            }
        )
        if self.missing is not None:
            share = self.grid.n_missing / self.grid.n
            last = dict(zip(("value", "low", "high"), self.missing, strict=True))
            more = pd.DataFrame([{"at": "missing", "place": np.nan, **last, "near": share}])
            table = pd.concat([table, more], ignore_index=True)
        table.insert(0, "kind", self.kind)
        table.insert(0, "output", [self.output] * len(table))
        table.insert(0, "feature", self.feature)
        table.insert(0, "model", self.model)
        return table.assign(n=self.n)


def _means(curves: FloatArray, level: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Means over the rows `(n, …)` and their t intervals; no interval of a single row."""
    from scipy.special import stdtrit

    n, mean = len(curves), curves.mean(axis=0)
    if n < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    reach = stdtrit(n - 1, 0.5 + level / 2) * curves.std(axis=0, ddof=1) / np.sqrt(n)
    return mean, mean - reach, mean + reach


def usable_rows(answers: FloatArray, own: FloatArray) -> tuple[Any, tuple[str, ...]]:
    """Which rows were answered with numbers throughout, and a note on the others.

    Values with which no row at all is answered do not count.
    """
    flat = answers.reshape(len(answers), -1)
    known = np.isfinite(flat).any(axis=0)
    usable = np.isfinite(flat[:, known]).all(axis=1) & np.isfinite(own)
    if not usable.any() or not known.any():
        raise NotApplicable(
            "The model gives no number for any of the rows at some of the values that are tried, "
            "so no curve can be drawn. It has to answer every value that the column holds."
        )
    left_out = int((~usable).sum())
    if not left_out:
        return usable, ()
    return usable, (
        f"{plural(left_out, 'row')} of {count(len(usable))} left out: the model gives no finite "
        "number for some values there.",
    )


def unknown_values(feature: str, labels: Sequence[str]) -> tuple[str, ...]:
    """What is said of values with which no row is answered."""
    if not labels:
        return ()
    return (f"The model gives no number where {feature} = {listing(labels, 5)}.",)


@dataclass(frozen=True)
class Told:
    """What every effect of one model says of itself."""

    model: str
    output: Label
    space: OutputSpace
    n_given: int
    level: float = 0.95
    notes: tuple[str, ...] = ()


def compute_partial_dependence(
    grid: EffectGrid, answers: FloatArray, own: FloatArray, rows: IntArray, told: Told
) -> FeatureEffect:
    """From the answers with the feature set to each value.

    Parameters
    ----------
    answers : `(n, g)`, or `(n, g + 1)` with the feature missing in the last column.
    own : `(n,)` answers to the rows as they are.
    """
    usable, notes = usable_rows(answers, own)
    answers, own, rows = answers[usable], own[usable], rows[usable]
    value, low, high = _means(answers, told.level)
    g = len(grid)
    lacking = [label for label, one in zip(grid.labels, value, strict=False) if np.isnan(one)]
    notes = (*notes, *unknown_values(grid.feature, lacking))
    ends = (float(value[-1]), float(low[-1]), float(high[-1])) if len(value) > g else None
    if ends is not None and np.isnan(ends[0]):
        ends, notes = None, (*notes, f"The model gives no number where {grid.feature} is missing.")
    return FeatureEffect(
        model=told.model,
        feature=grid.feature,
        output=told.output,
        kind="pdp",
        space=told.space,
        grid=grid,
        value=value[:g],
        low=low[:g],
        high=high[:g],
        average=float(own.mean()),
        rows=rows,
        n_given=told.n_given,
        level=told.level,
        curves=answers[:, :g],
        missing=ends,
        notes=(*told.notes, *grid.notes, *notes),
    )


def compute_accumulated_effect(
    grid: EffectGrid,
    steps: IntArray,
    changes: FloatArray,
    own: FloatArray,
    rows: IntArray,
    told: Told,
) -> FeatureEffect:
    """From the changes of the answers over single steps of the feature.

    Parameters
    ----------
    steps : `(m,)` the step each change belongs to: from grid value s to s + 1.
    changes : `(m,)` what the step changes for one row; rows : `(n,)` the rows that were asked.

    The effect is centred so that its mean over the rows is zero.
    """
    from scipy.special import ndtri

    k = len(grid) - 1
    sizes = np.bincount(steps, minlength=k).astype(np.float64)
    means, variances, notes = _per_step(grid, steps, changes, sizes)
    weights = _step_weights(grid, sizes)
    # row j: how much each step counts for the value at grid point j, less the mean over the data
    reach = (np.arange(k)[None, :] < np.arange(k + 1)[:, None]).astype(np.float64)
    parts = reach - weights @ reach
    value = parts @ means
    spread = ndtri(0.5 + told.level / 2) * np.sqrt(parts**2 @ variances)
    return FeatureEffect(
        model=told.model,
        feature=grid.feature,
        output=told.output,
        kind="ale",
        space=told.space,
        grid=grid,
        value=value,
        low=value - spread,
        high=value + spread,
        average=float(own.mean()),
        rows=rows,
        n_given=told.n_given,
        level=told.level,
        notes=(*told.notes, *grid.notes, *notes),
    )


def _per_step(
    grid: EffectGrid, steps: IntArray, changes: FloatArray, sizes: FloatArray
) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    """Mean change of every step and the variance of that mean."""
    k = len(sizes)
    some = np.maximum(sizes, 1)
    means = np.bincount(steps, weights=changes, minlength=k) / some
    squares = np.bincount(steps, weights=(changes - means[steps]) ** 2, minlength=k)
    pooled = float(squares.sum() / max(1.0, (sizes - 1).clip(min=0).sum()))
    within = np.where(sizes > 1, squares / np.maximum(sizes - 1, 1), pooled)
    variances = within / some
    empty = sizes == 0
    if not empty.any() or empty.all():
        return means, np.where(empty, 0.0, variances), ()
    width = np.diff(grid.places)
    slope = np.interp(grid.places[:-1][empty], grid.places[:-1][~empty], (means / width)[~empty])
    means[empty] = slope * width[empty]
    note = f"{plural(int(empty.sum()), 'step')} of {count(k)} hold no row used; drawn as between."
    return means, np.where(empty, 0.0, variances), (note,)


def _step_weights(grid: EffectGrid, sizes: FloatArray) -> FloatArray:
    """`(g,)` how many of the rows stand for each grid value, summing to 1."""
    if grid.kind == "category":
        held = grid.counts.astype(np.float64)
    else:  # the rows of a bin lie half at either end
        held = np.zeros(len(grid))
        held[:-1] += sizes / 2
        held[1:] += sizes / 2
    total = held.sum()
    return held / total if total > 0 else np.full(len(grid), 1 / len(grid))
