"""How a feature's value moves the answer: value against attribution, coloured by a partner.

The partner that is chosen automatically is the feature that explains most of what differs among
rows of nearly equal value. Of many features, shap's `approximate_interactions` says which to try.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Attributions, Label, OutputSpace
from ..errors import NotApplicable, ParameterError
from ..wording import listing
from .attributions import FeatureColumn, column_of, output_position

__all__ = ["AUTO", "Dependence", "compute_dependence", "interaction_strengths", "spread_explained"]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]
Partners = tuple[tuple[str, float], ...]

AUTO = "auto"
MOST_ROWS = 10_000  # looked at for choosing a partner
MOST_CATEGORIES = 20  # shown as places of their own
TREND_GROUPS = 20  # of at least so many rows each:
TREND_ROWS = 25
_NOTHING = (
    1e-6  # of a feature's squares: what rows of equal value differ by is rounding, or float32
)
_LABELS = 8  # of a partner's categories in one group; the rest shares the first
TRIED = 20  # candidates for a partner that are looked at closely


@dataclass(frozen=True, eq=False)
class Dependence:
    """One model's attributions of one feature, by the feature's value.

    Attributes
    ----------
    column, partner : the feature and what colours it (None: nothing), all explained rows.
    values : `(n,)` attributions; `rows` their positions in the evaluation set.
    partners : candidates and the share of the spread at equal value that each explains, best
        first; the partner's own is `explained`.
    shown : `(m,)` places of the rows to draw; all of them where they fit.
    places : `(n,)` where each row stands across: its number, or the place of its category;
        rows without a value stand at `missing_at`.
    ticks : for categories (place, text), from the lowest mean value to the highest.
    trend : columns x, median, low, high, n: medians and quartiles of groups of equal size, or
        of each category.
    """

    model: str
    output: Label
    space: OutputSpace
    feature: str
    column: FeatureColumn
    values: Floats
    rows: Ints
    partner: FeatureColumn | None
    explained: float
    partners: Partners
    places: Floats
    missing_at: float | None
    ticks: tuple[tuple[float, str], ...]
    trend: pd.DataFrame
    shown: Ints
    n_given: int

    @property
    def n(self) -> int:
        return len(self.rows)

    def frame(self) -> pd.DataFrame:
        """All rows: columns model, output, row, feature, data, value, partner, partner_data."""
        other = self.partner
        every = np.arange(self.n)
        return pd.DataFrame(
            {
                "model": self.model,
                "output": self.output,
                "row": self.rows,
                "feature": self.feature,
                "data": self.column.texts(every),
                "value": self.values,
                "partner": other.name if other else None,
                "partner_data": other.texts(every) if other else None,
            }
        )


def compute_dependence(
    explanations: Sequence[Attributions],
    feature: str,
    *,
    colour: str | None = AUTO,
    output: Label | None = None,
    max_marks: int = 4_000,
    random_state: int = 0,
) -> list[Dependence]:
    """One result per model that uses the feature.

    Parameters
    ----------
    colour : "auto" takes the partner that explains most in the first model that has one, the
        same for all; a feature's name; None for no colour.
    max_marks : for all models together; more rows are thinned where they lie on each other.

    Raises
    ------
    NotApplicable : no model uses the feature, or no rows are explained.
    """
    using = [one for one in explanations if feature in one.feature_names and one.n]
    if not using:
        raise NotApplicable(f"None of the models shown uses {feature!r}, or no row is explained.")
    partners = [_partners(one, feature, output) for one in using]
    partner = _chosen(using, partners, colour)
    ticks = _ticks(using, feature, output)
    marks = max(1, max_marks // len(using))
    return [
        _dependence(one, feature, partner, found, output, ticks, marks, random_state)
        for one, found in zip(using, partners, strict=True)
    ]


def _chosen(
    using: Sequence[Attributions], partners: Sequence[Partners], colour: str | None
) -> str | None:
    if colour is None:
        return None
    known = list(dict.fromkeys(name for one in using for name in one.feature_names))
    if colour != AUTO:
        if colour not in known:
            raise ParameterError(f"No model uses {colour!r}. They use {listing(known, 8)}.")
        return colour
    return next((found[0][0] for found in partners if found), None)


def _dependence(
    one: Attributions,
    feature: str,
    partner: str | None,
    partners: Partners,
    output: Label | None,
    ticks: tuple[tuple[float, str], ...],
    marks: int,
    seed: int,
) -> Dependence:
    at = output_position(one, output)
    column = column_of(one, feature)
    values = np.asarray(one.values[:, one.feature_names.index(feature), at], dtype=np.float64)
    other = column_of(one, partner) if partner in one.feature_names and partner else None
    places, missing_at = _places(column, ticks)
    return Dependence(
        model=one.model,
        output=one.output_names[at],
        space=one.space,
        feature=feature,
        column=column,
        values=values,
        rows=one.rows,
        partner=other,
        explained=spread_explained(column, values, other) if other else 0.0,
        partners=partners,
        places=places,
        missing_at=missing_at,
        ticks=ticks,
        trend=_trend(column, values, places),
        shown=_thinned(places, values, marks, seed),
        n_given=one.n_given,
    )


def _partners(one: Attributions, feature: str, output: Label | None, most: int = 5) -> Partners:
    """The features that explain most of the spread at equal value, with its share, best first.

    All are tried where they are few. Of many, those are whose correlation within groups is
    largest, and the categories, which have no order that a correlation could follow.
    """
    at = output_position(one, output)
    columns = {name: column_of(one, name) for name in one.feature_names}
    values = np.asarray(one.values[:, one.feature_names.index(feature), at], dtype=np.float64)
    found = interaction_strengths(one, feature, output)
    tried = [one.feature_names[k] for k in np.argsort(-found, kind="stable") if found[k] > 0]
    if len(tried) > TRIED:
        categories = [name for name in tried[TRIED:] if columns[name].kind == "category"]
        tried = [*tried[:TRIED], *categories[:TRIED]]
    around = _around(columns[feature], values)
    pairs = [(name, _share_explained(around, columns[name])) for name in tried]
    return tuple(sorted(pairs, key=lambda pair: -pair[1])[:most])


# ---- places ----------------------------------------------------------------------------------


def _ticks(
    using: Sequence[Attributions], feature: str, output: Label | None
) -> tuple[tuple[float, str], ...]:
    """Categories of all models in one order: by mean attribution; the frequent ones alone."""
    sums: dict[str, list[float]] = {}
    for one in using:
        column = column_of(one, feature)
        if column.kind != "category":
            continue
        values = one.values[:, one.feature_names.index(feature), output_position(one, output)]
        for code in np.unique(column.numbers[~np.isnan(column.numbers)]):
            mine = values[column.numbers == code]
            total = sums.setdefault(column.categories[int(code)], [0.0, 0.0])
            total[0] += float(mine.sum())
            total[1] += len(mine)
    frequent = sorted(sums, key=lambda name: -sums[name][1])
    kept = frequent[:MOST_CATEGORIES]
    order = sorted(kept, key=lambda name: sums[name][0] / (sums[name][1] or 1))
    found = [(float(k), name) for k, name in enumerate(order)]
    if len(frequent) > len(kept):
        found.append((float(len(order)), f"{len(frequent) - len(kept)} other values"))
    return tuple(found)


def _places(
    column: FeatureColumn, ticks: tuple[tuple[float, str], ...]
) -> tuple[Floats, float | None]:
    """Where rows stand across; rows without a value stand left of all others."""
    missing = np.isnan(column.numbers)
    if column.kind == "category":
        known = {text: place for place, text in ticks}
        rest = ticks[-1][0] if ticks else 0.0
        table = np.asarray([known.get(name, rest) for name in column.categories] or [0.0])
        places = table[np.where(missing, 0, column.numbers).astype(np.int64)]
        outside = -1.0
    else:
        low, high = _ends(column.numbers)
        outside = low - 0.08 * ((high - low) or abs(high) or 1.0)
        places = column.numbers
    places = np.where(missing, outside, places)
    return places.astype(np.float64), outside if missing.any() else None


def _ends(numbers: Floats) -> tuple[float, float]:
    known = numbers[~np.isnan(numbers)]
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)


def _trend(column: FeatureColumn, values: Floats, places: Floats) -> pd.DataFrame:
    """Median and quartiles of groups of about equal size, ties kept together."""
    known = np.flatnonzero(~np.isnan(column.numbers))
    if column.kind == "category":
        group = places[known]
    else:
        n_groups = int(np.clip(len(known) // TREND_ROWS, 4, TREND_GROUPS))
        steps = np.linspace(0, 1, n_groups + 1)[1:-1]
        cuts = np.unique(np.quantile(places[known], steps)) if len(known) else steps
        group = np.searchsorted(cuts, places[known], side="right").astype(np.float64)
    found = []
    for one in np.unique(group):
        rows = known[group == one]
        low, middle, high = np.percentile(values[rows], [25, 50, 75])
        found.append((float(np.median(places[rows])), middle, low, high, len(rows)))
    return pd.DataFrame(found, columns=["x", "median", "low", "high", "n"])


def _thinned(places: Floats, values: Floats, marks: int, seed: int) -> Ints:
    """At most `marks` rows: crowded cells of a grid lose rows first, lonely ones none."""
    n = len(places)
    if n <= marks:
        return np.arange(n)
    side = max(4, int(np.sqrt(marks) * 1.5))
    cell = _bins(places, side) * side + _bins(values, side)
    draw = np.random.default_rng(seed).random(n)
    order = np.lexsort((draw, cell))
    sizes = np.bincount(cell, minlength=side * side)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    turn = np.empty(n, dtype=np.int64)
    turn[order] = np.arange(n) - starts[cell[order]]
    # the first of every cell, then the second of every cell …; ties among equals by lot
    kept = np.lexsort((draw, turn))[:marks]
    return np.sort(kept).astype(np.int64)


def _bins(values: Floats, n_bins: int) -> Ints:
    low, high = float(np.min(values)), float(np.max(values))
    scaled = (values - low) / ((high - low) or 1.0) * n_bins
    return np.clip(scaled.astype(np.int64), 0, n_bins - 1)


# ---- partners --------------------------------------------------------------------------------


def _groups(n: int) -> tuple[int, int]:
    """Rows of a group and groups, when sorted by the feature's value; as in shap."""
    size = max(min(int(n / 10.0), 50), 1)
    return size, -(-n // size)


def interaction_strengths(
    attributions: Attributions, feature: str, output: Label | None = None
) -> Floats:
    """`(n_features,)` how strongly each other feature orders the attributions at equal value.

    Rows are sorted by the feature and cut into groups; the sum over groups of the absolute
    correlation between attribution and the other feature (or its being missing, if that is
    stronger) is shap's `approximate_interactions`. The feature itself is 0. More than 10,000
    rows are read at equal steps.
    """
    at = output_position(attributions, output)
    rows = _spread(attributions.n)
    place = attributions.feature_names.index(feature)
    own = column_of(attributions, feature).numbers[rows]
    order = np.argsort(own, kind="stable")
    values = np.asarray(attributions.values[rows, place, at], dtype=np.float64)[order]
    found = np.zeros(len(attributions.feature_names))
    for k, name in enumerate(attributions.feature_names):
        if k == place:
            continue
        other = column_of(attributions, name).numbers[rows][order]
        gaps = np.isnan(other)
        found[k] = _correlations(values, other)
        if gaps.any():
            found[k] = max(found[k], _correlations(values, gaps * 1.0))
    return found


def _spread(n: int) -> Ints:
    if n <= MOST_ROWS:
        return np.arange(n)
    return np.linspace(0, n - 1, MOST_ROWS).astype(np.int64)


def _correlations(values: Floats, other: Floats) -> float:
    """Sum over groups of |correlation|, 0 where either is constant or has a missing value."""
    size, n_groups = _groups(len(values))
    padded = n_groups * size - len(values)
    total = 0.0
    full = len(values) - (len(values) % size if padded else 0)
    blocks = [(values[:full].reshape(-1, size), other[:full].reshape(-1, size))]
    if full < len(values):
        blocks.append((values[None, full:], other[None, full:]))
    for ours, theirs in blocks:
        if not len(ours):
            continue
        a = ours - ours.mean(axis=1, keepdims=True)
        b = theirs - theirs.mean(axis=1, keepdims=True)
        scale = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
        usable = np.isfinite(scale) & (np.ptp(ours, axis=1) > 0) & (np.ptp(theirs, axis=1) > 0)
        inner = (a * b).sum(axis=1)[usable]
        total += float(np.abs(inner / np.where(scale[usable] > 0, scale[usable], np.inf)).sum())
    return total


def spread_explained(column: FeatureColumn, values: Floats, other: FeatureColumn | None) -> float:
    """Share of the spread at nearly equal value that the partner explains, 0 to 1.

    Within each group of rows sorted by the feature: squares explained by a straight line in the
    partner (by the means of its categories), over squares around the group's line in the feature
    itself; less what as many random partners would explain. 0 where rows of equal value hardly
    differ, as in a linear model.
    """
    if other is None or not len(values):
        return 0.0
    return _share_explained(_around(column, values), other)


class _Around(NamedTuple):
    """What a straight line in the feature's own value leaves in groups of neighbours.

    `rows` in the order of the feature; `group` of each and where each begins; `left` of each,
    mean 0 in every group; `squares` of each group.
    """

    rows: Ints
    group: Ints
    starts: Ints
    left: Floats
    squares: Floats
    whole: float  # squares of all rows around their mean

    @property
    def sizes(self) -> Ints:
        return np.diff(np.append(self.starts, len(self.rows)))

    def sums(self, values: Floats) -> Floats:
        return np.asarray(np.add.reduceat(values, self.starts))

    def centred(self, values: Floats) -> Floats:
        """Less the mean of the group's known cells; 0 where a cell is missing or all are equal."""
        known = ~np.isnan(values)
        means = _ratio(self.sums(np.where(known, values, 0.0)), self.sums(known * 1.0))
        usable = known & self.varies(values)[self.group]  # rounding around a mean is no variation
        return np.where(usable, values - means[self.group], 0.0)

    def varies(self, values: Floats) -> npt.NDArray[np.bool_]:
        """`(groups,)` whether any two known cells differ."""
        known = ~np.isnan(values)
        highest = np.maximum.reduceat(np.where(known, values, -np.inf), self.starts)
        lowest = np.minimum.reduceat(np.where(known, values, np.inf), self.starts)
        return np.asarray(highest > lowest)


def _around(column: FeatureColumn, values: Floats) -> _Around:
    rows = _spread(len(values))
    rows = rows[np.argsort(column.numbers[rows], kind="stable")]
    size = max(20, _groups(len(rows))[0])
    starts = np.arange(0, len(rows), size)
    y = values[rows]
    bare = _Around(rows, np.arange(len(rows)) // size, starts, y, np.zeros(0), 0.0)
    y, x = bare.centred(y), bare.centred(column.numbers[rows])
    slope = _ratio(bare.sums(x * y), bare.sums(x * x))
    left = y - x * slope[bare.group]
    deviations = values[rows] - values[rows].mean()
    return bare._replace(
        left=left, squares=bare.sums(left * left), whole=float(deviations @ deviations)
    )


def _share_explained(around: _Around, other: FeatureColumn) -> float:
    """A line in a partner's numbers, or its categories' means; and whether its cell is missing.

    Numbers around the mean of those that are known are orthogonal to what tells which are, so
    that the squares of both add up.
    """
    total = float(around.squares.sum())
    if not total > _NOTHING * around.whole:
        return 0.0
    cells = other.numbers[around.rows]
    known = ~np.isnan(cells)
    if other.kind == "category":
        explained, free = _by_label(around, _labels(around, cells, known))
    else:
        explained, free = _by_label(around, np.where(known, 0, 1))
        x = around.centred(cells)
        explained = explained + _ratio(around.sums(x * around.left) ** 2, around.sums(x * x))
        free = free + around.varies(cells)
    shares = _ratio(explained, around.squares)
    rest = np.maximum(around.sizes - 2, 1)
    adjusted = np.maximum(0.0, shares - (1 - shares) * free / np.maximum(rest - free, 1))
    more = np.where(free > 0, around.squares * adjusted, 0.0)
    return float(min(1.0, more.sum() / total))


def _labels(around: _Around, codes: Floats, known: npt.NDArray[np.bool_]) -> Ints:
    """Seven categories of each group have a label of their own, missing cells one; the rest 0."""
    most = int(np.nanmax(codes, initial=0)) + 1
    pairs = around.group * (most + 1) + np.where(known, codes, most).astype(np.int64)
    seen, place = np.unique(pairs, return_inverse=True)
    first = np.searchsorted(seen // (most + 1), np.arange(len(around.starts)))
    turn = np.arange(len(seen)) - first[seen // (most + 1)]
    labels = np.where(turn < _LABELS, turn, 0)[place]
    return np.where(known, labels, _LABELS)


def _by_label(around: _Around, labels: Ints) -> tuple[Floats, Ints]:
    """Squares of each group explained by the means of its labels, and how many are free."""
    width = _LABELS + 1
    cell = around.group * width + labels
    n = len(around.starts) * width
    sums = np.bincount(cell, weights=around.left, minlength=n)
    counts = np.bincount(cell, minlength=n).astype(np.float64)
    explained = _ratio(np.asarray(sums**2, dtype=np.float64), counts).reshape(-1, width).sum(axis=1)
    return explained, (counts.reshape(-1, width) > 0).sum(axis=1) - 1


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.zeros(len(above)), where=below > 0)
