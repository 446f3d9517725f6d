"""Where along a feature an effect is asked for: values that rows really hold, and how many do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import NotApplicable
from ..wording import count, number

__all__ = ["EffectGrid", "bin_grid", "order_levels", "value_grid"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Kind = Literal["number", "date", "category"]

NEAR = 0.05  # of the span of the grid, on either side
SPARSE = 0.01  # share of rows: fewer near a value, and the model is asked for what it hardly saw
TAILS = 0.01  # share of rows beyond either end of a grid
ENOUGH_FOR_TAILS = 100
HISTOGRAM_BINS = 30
MILLISECOND = 1_000_000  # nanoseconds


@dataclass(frozen=True, eq=False)
class EffectGrid:
    """g values of one feature, each by a row that holds it.

    Attributes
    ----------
    places : `(g,)` on the axis: the number; milliseconds since 1970; 0 … g-1 for categories.
    labels : the values in words.
    rows : `(g,)` positions of rows that hold the values.
    near : `(g,)` share of the rows that hold a value near it (a category: this one).
    edges, counts : the feature's distribution, `(b + 1,)` and `(b,)`; of categories `counts` only.
    held : `(b,)` for each of these counts a row that is one of them; -1 where there is none.
    missing_row, n_missing : a row without a value, None where every row has one.
    n : rows of the data; n_outside : rows beyond the ends of the grid, or of other categories.
    """

    feature: str
    kind: Kind
    places: FloatArray
    labels: tuple[str, ...]
    rows: IntArray
    near: FloatArray
    edges: FloatArray
    counts: IntArray
    held: IntArray
    missing_row: int | None
    n_missing: int
    n: int
    n_outside: int = 0
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.places)

    @property
    def sparse(self) -> npt.NDArray[np.bool_]:
        """`(g,)` where hardly any row lies: answers there are extrapolated."""
        few: npt.NDArray[np.bool_] = self.near < SPARSE
        return few

    def nearest(self, places: FloatArray) -> IntArray:
        """The grid value nearest to each place on the axis."""
        found: IntArray = np.abs(places[:, None] - self.places[None, :]).argmin(axis=1)
        return found


def places_of(column: pd.Series[Any]) -> tuple[Kind, FloatArray]:
    """Kind of a column and the place of each row on its axis; NaN where missing.

    Categories are numbered in order of appearance, ordered ones in their order.
    """
    dtype = column.dtype
    missing = column.isna().to_numpy(dtype=bool)
    if isinstance(dtype, pd.CategoricalDtype):
        codes = column.cat.codes.to_numpy().astype(np.float64)
    elif pd.api.types.is_datetime64_any_dtype(dtype):
        plain = column.dt.tz_convert("UTC").dt.tz_localize(None) if _has_zone(dtype) else column
        stamps = plain.to_numpy(dtype="datetime64[ns]").astype(np.int64) / MILLISECOND
        return "date", np.where(missing, np.nan, stamps)
    elif pd.api.types.is_timedelta64_dtype(dtype):
        seconds = column.dt.total_seconds().to_numpy(dtype=np.float64, na_value=np.nan)
        return "number", seconds
    elif pd.api.types.is_bool_dtype(dtype):
        codes = column.to_numpy(dtype=np.float64, na_value=np.nan)
    elif pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return "number", np.where(np.isinf(values), np.nan, values)
    else:
        codes = pd.factorize(column.astype("str").where(~missing))[0].astype(np.float64)
    return "category", np.where(missing, np.nan, codes)


def _has_zone(dtype: Any) -> bool:
    return getattr(dtype, "tz", None) is not None


def value_grid(
    column: pd.Series[Any],
    feature: str,
    *,
    n_points: int = 40,
    most_categories: int = 20,
) -> EffectGrid:
    """Values at which a feature is set for every row: half quantiles, half evenly spaced.

    Every value is one that some row holds, so that whole numbers stay whole and categories known.

    Raises
    ------
    NotApplicable : no row has a value.
    """
    kind, places = places_of(column)
    known = _known(places, feature)
    if kind == "category":
        return _category_grid(column, feature, places, most_categories)
    distinct, first = np.unique(places[known], return_index=True)
    chosen = np.arange(len(distinct))
    if len(distinct) > n_points:
        chosen = _spread(places[known], distinct, n_points)
    return _grid(column, feature, kind, places, known[first[chosen]])


def bin_grid(
    column: pd.Series[Any],
    feature: str,
    among: IntArray,
    *,
    n_bins: int = 20,
    levels: IntArray | None = None,
) -> EffectGrid:
    """Edges of bins that hold about equally many of the rows `among`; of categories all levels.

    `levels` gives rows of the categories in the order in which they are to be walked.
    """
    kind, places = places_of(column)
    known = among[np.isfinite(places[among])]
    if not len(known):
        raise NotApplicable(f"None of the rows used has a value in {feature!r}.")
    if kind == "category":
        rows = levels if levels is not None else _levels(places)
        return _grid(column, feature, kind, places, rows)
    shares = np.linspace(0, 1, n_bins + 1)
    edges = np.unique(np.quantile(places[known], shares, method="inverted_cdf"))
    order = known[np.argsort(places[known], kind="stable")]
    rows = order[np.searchsorted(places[order], edges)]
    return _grid(column, feature, kind, places, rows)


def _known(places: FloatArray, feature: str) -> IntArray:
    known = np.flatnonzero(np.isfinite(places))
    if not len(known):
        raise NotApplicable(f"No row has a value in {feature!r}, so it has no effect to show.")
    return known


def _spread(values: FloatArray, distinct: FloatArray, n_points: int) -> IntArray:
    """Places among the distinct values: quantiles, and what lies nearest to even steps."""
    tail = TAILS if len(values) >= ENOUGH_FOR_TAILS else 0.0
    half = n_points // 2
    by_rank = np.quantile(
        values, np.linspace(tail, 1 - tail, n_points - half), method="inverted_cdf"
    )
    even = np.linspace(by_rank[0], by_rank[-1], half)
    right = np.searchsorted(distinct, even).clip(1, len(distinct) - 1)
    left_is_nearer = even - distinct[right - 1] <= distinct[right] - even
    nearest = distinct[np.where(left_is_nearer, right - 1, right)]
    inside = nearest[(nearest >= by_rank[0]) & (nearest <= by_rank[-1])]
    chosen: IntArray = np.searchsorted(distinct, np.unique(np.concatenate([by_rank, inside])))
    return chosen


def _levels(places: FloatArray) -> IntArray:
    """A row of every category, in their order."""
    _, first = np.unique(np.where(np.isfinite(places), places, np.inf), return_index=True)
    rows: IntArray = first[np.isfinite(places[first])]
    return rows


def _category_grid(
    column: pd.Series[Any], feature: str, places: FloatArray, most: int
) -> EffectGrid:
    rows = _levels(places)
    notes: tuple[str, ...] = ()
    if len(rows) > most:
        codes = places[rows].astype(np.int64)
        known = places[np.isfinite(places)].astype(np.int64)
        size = np.bincount(known, minlength=int(codes.max()) + 1)[codes]
        kept = np.sort(np.argsort(-size, kind="stable")[:most])
        notes = (f"The {count(most)} most frequent of {count(len(rows))} categories.",)
        rows = rows[kept]
    return _grid(column, feature, "category", places, rows, notes)


def _grid(
    column: pd.Series[Any],
    feature: str,
    kind: Kind,
    places: FloatArray,
    rows: IntArray,
    notes: tuple[str, ...] = (),
) -> EffectGrid:
    values, missing = places[np.isfinite(places)], np.flatnonzero(column.isna().to_numpy())
    chosen = places[rows]
    if kind == "category":
        counts = np.array([(values == one).sum() for one in chosen], dtype=np.int64)
        at, near, edges = np.arange(len(rows), dtype=np.float64), counts / len(values), np.empty(0)
        held = rows
    else:
        at, near = chosen, _near(values, chosen)
        counts, edges = _histogram(values, at)
        held = _held(places, edges)
    return EffectGrid(
        feature=feature,
        kind=kind,
        places=at,
        labels=tuple(_in_words(column.iloc[int(row)], kind, place) for row, place in
                     zip(rows, chosen, strict=True)),
        rows=rows.astype(np.int64),
        near=near,
        edges=edges,
        counts=counts,
        held=held.astype(np.int64),
        missing_row=int(missing[0]) if len(missing) else None,
        n_missing=len(missing),
        n=len(column),
        n_outside=len(values) - int(counts.sum()),
        notes=notes,
    )  # fmt: skip


def _near(values: FloatArray, at: FloatArray) -> FloatArray:
    """Share of the values within a twentieth of the span of the grid."""
    ordered, reach = np.sort(values), NEAR * float(np.ptp(at))
    low = np.searchsorted(ordered, at - reach, side="left")
    high = np.searchsorted(ordered, at + reach, side="right")
    share: FloatArray = (high - low) / len(values)
    return share


def _histogram(values: FloatArray, at: FloatArray) -> tuple[IntArray, FloatArray]:
    low, high = float(at.min()), float(at.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(values, bins=HISTOGRAM_BINS, range=(low, high))
    return counts.astype(np.int64), edges


def _held(places: FloatArray, edges: FloatArray) -> IntArray:
    """For each bar of a histogram the first row in it, -1 for none."""
    found = np.full(len(edges) - 1, -1, dtype=np.int64)
    rows = np.flatnonzero((places >= edges[0]) & (places <= edges[-1]))
    bars = np.searchsorted(edges, places[rows], side="right") - 1
    some, first = np.unique(bars.clip(0, len(found) - 1), return_index=True)
    found[some] = rows[first]
    return found


def _in_words(value: Any, kind: Kind, place: float) -> str:
    if kind == "number":
        return count(place) if place == round(place) and abs(place) < 1e12 else number(place)
    if kind == "date":
        stamp = pd.Timestamp(value)
        midnight = stamp == stamp.normalize()
        return f"{stamp:%Y-%m-%d}" if midnight else f"{stamp:%Y-%m-%d %H:%M}"
    return str(value)


def order_levels(column: pd.Series[Any], others: list[pd.Series[Any]]) -> IntArray:
    """A row of each category, similar ones side by side; ordered categories in their order.

    Two categories are the more similar the less the other features differ between them: the sum
    of Kolmogorov–Smirnov distances (numbers) and of half the absolute differences of shares
    (categories), laid on a line by classical scaling (Apley & Zhu, 2020).
    """
    _, places = places_of(column)
    rows = _levels(places)
    if len(rows) < 3 or (isinstance(column.dtype, pd.CategoricalDtype) and column.cat.ordered):
        return rows
    apart = np.zeros((len(rows), len(rows)))
    groups = [np.flatnonzero(places == one) for one in places[rows]]
    for other in others:
        apart += _apart(other, groups)
    squared = apart**2
    middle = np.eye(len(rows)) - 1 / len(rows)
    scaled = -middle @ squared @ middle / 2
    line = np.linalg.eigh((scaled + scaled.T) / 2)[1][:, -1]
    # a direction is arbitrary: the first category of the data comes first
    line = line if line[0] <= np.median(line) else -line
    return rows[np.argsort(line, kind="stable")]


def _apart(other: pd.Series[Any], groups: list[IntArray]) -> FloatArray:
    kind, places = places_of(other)
    values = np.unique(places[np.isfinite(places)])
    if not len(values):
        return np.zeros((len(groups), len(groups)))
    if kind != "category" and len(values) > 200:
        values = np.quantile(places[np.isfinite(places)], np.linspace(0, 1, 200))
    shares = []
    for group in groups:
        mine = places[group][np.isfinite(places[group])]
        if kind == "category":
            found = np.array([(mine == one).sum() for one in values], dtype=np.float64)
        else:
            found = np.searchsorted(np.sort(mine), values, side="right").astype(np.float64)
        shares.append(found / max(1, len(mine)))
    table = np.array(shares)
    between = np.abs(table[:, None, :] - table[None, :, :])
    apart: FloatArray = between.sum(axis=2) / 2 if kind == "category" else between.max(axis=2)
    return apart
