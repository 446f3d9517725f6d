"""Every row's value of every feature at a glance: strip charts whose width is the number of rows.

The layout follows shap's summary plot (Lundberg and others, Nature Machine Intelligence 2, 2020):
rows of nearly equal value stand on each other. Within such a column they are sorted by the
feature's own value, low ones below, so that a mixture is seen as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Attributions, Label, OutputSpace
from ..errors import NotApplicable
from .attributions import (
    FeatureColumn,
    by_names,
    column_of,
    common_features,
    output_position,
    same_unit,
    value_ranks,
)

__all__ = ["RASTER_ABOVE", "Beeswarm", "SwarmCells", "SwarmPoints", "compute_beeswarm"]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]

RASTER_ABOVE = 20_000  # values in a panel; beyond that a picture with one target per column
COLUMNS = 160  # places along the axis of values
LAYERS = 11  # of a raster, from the lower to the upper edge of a feature's strip
HALF = 0.4  # of the distance between two features


class SwarmPoints(NamedTuple):
    """Points to draw, `(m,)` each: place among the features, value, height, colour, row, text."""

    feature: Ints
    value: Floats
    offset: Floats
    colour: Floats
    row: Ints
    text: list[str]


class SwarmCells(NamedTuple):
    """A raster: mean colour `(n_features, LAYERS, COLUMNS)`, and one target per filled column.

    `shade` is NaN where no rows are, -1 where they have no order (categories, missing).
    `sizes` is the number of rows behind each target; its point is the row in the middle.
    """

    shade: Floats
    targets: SwarmPoints
    sizes: Ints


@dataclass(frozen=True, eq=False)
class Beeswarm:
    """One model's values of the strongest features, ready to be drawn.

    Attributes
    ----------
    features : shown ones, strongest first; the same for all models of one call.
    n_features : of how many features they are.
    used : `(n_shown,)` whether this model uses the feature.
    strength : `(n_shown,)` mean absolute value, NaN where it is not used.
    span : lowest and highest value, over all models where their unit is the same.
    points, cells : one of them is None; points beyond `max_marks` are thinned only where they
        would lie on each other, `n_points` says of how many they are.
    """

    model: str
    output: Label
    space: OutputSpace
    features: tuple[str, ...]
    n_features: int
    used: npt.NDArray[np.bool_]
    strength: Floats
    span: tuple[float, float]
    n: int
    n_given: int
    n_points: int
    points: SwarmPoints | None
    cells: SwarmCells | None
    attributions: Attributions

    def of_row(self, row: int) -> SwarmPoints | None:
        """The points of one row of the evaluation set, None where it is not explained."""
        one = self.attributions
        found = np.flatnonzero(one.rows == row)
        if not len(found):
            return None
        at, shown = int(found[0]), np.flatnonzero(self.used)
        names = [self.features[k] for k in shown]
        columns = [column_of(one, name) for name in names]
        output = output_position(one, self.output)
        return SwarmPoints(
            shown.astype(np.int64),
            np.asarray(one.values[at, by_names(one, names), output], dtype=np.float64),
            np.zeros(len(shown)),
            np.asarray([value_ranks(column)[at] for column in columns]),
            np.full(len(shown), row, dtype=np.int64),
            [column.text(at) for column in columns],
        )

    def frame(self) -> pd.DataFrame:
        """All values of the shown features: columns model, output, row, feature, value, data."""
        one = self.attributions
        place = output_position(one, self.output)
        parts = []
        for name, at in zip(self.features, by_names(one, self.features), strict=True):
            if at < 0:
                continue
            column = column_of(one, name)
            cells = column.texts(np.arange(one.n))
            parts.append(
                pd.DataFrame({"row": one.rows, "value": one.values[:, at, place], "data": cells})
            )
            parts[-1].insert(1, "feature", name)
        table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
        table.insert(0, "output", self.output)
        table.insert(0, "model", self.model)
        return table


def compute_beeswarm(
    explanations: Sequence[Attributions],
    output: Label | None = None,
    *,
    limit: int = 20,
    max_marks: int = 4_000,
    max_rows: int = 50_000,
    random_state: int = 0,
) -> list[Beeswarm]:
    """One beeswarm per model, on the same features and, where the unit is the same, one axis.

    `max_marks` is for all models together. Above `RASTER_ABOVE` values a model's swarm is a
    raster, of at most `max_rows` rows at equal steps of those explained.

    Raises
    ------
    NotApplicable : no rows are explained.
    """
    if not explanations or any(not one.n for one in explanations):
        raise NotApplicable("No rows are explained yet, so there is nothing to draw.")
    features, n_all = common_features(explanations, output, limit)
    explanations = [_at_most(one, max_rows) for one in explanations]
    spans = [_span(one, features, output) for one in explanations]
    if same_unit(explanations):
        spans = [(min(low for low, _ in spans), max(high for _, high in spans))] * len(spans)
    marks = max(len(features), max_marks // len(explanations))
    return [
        _swarm(one, output, features, n_all, span, marks, random_state)
        for one, span in zip(explanations, spans, strict=True)
    ]


def _at_most(one: Attributions, n: int) -> Attributions:
    return one if one.n <= n else one.take(np.linspace(0, one.n - 1, n).astype(np.int64))


def _span(one: Attributions, features: Sequence[str], output: Label | None) -> tuple[float, float]:
    places = [k for k in by_names(one, features) if k >= 0]
    values = one.output(output_position(one, output))[:, places]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    low, high = min(low, 0.0), max(high, 0.0)
    return (low, high) if high > low else (-1.0, 1.0)


class _Strip(NamedTuple):
    """One feature's rows in drawing order: by column, then by the feature's own value."""

    feature: int
    order: Ints  # places of rows
    start: Ints  # (n,) where the column of each begins
    size: Ints  # (n,) rows in the column of each
    bin: Ints  # (n,) the column of each
    values: Floats
    colour: Floats
    column: FeatureColumn


def _swarm(
    one: Attributions,
    output: Label | None,
    features: tuple[str, ...],
    n_all: int,
    span: tuple[float, float],
    marks: int,
    seed: int,
) -> Beeswarm:
    places = by_names(one, features)
    at = output_position(one, output)
    n_points = int((places >= 0).sum()) * one.n
    raster = n_points > RASTER_ABOVE
    n_columns = COLUMNS if raster else max(8, min(COLUMNS, marks // max(1, len(features))))
    strips = [
        _strip(k, one.values[:, place, at], column_of(one, name), span, n_columns)
        for k, (name, place) in enumerate(zip(features, places, strict=True))
        if place >= 0
    ]
    strength = np.full(len(features), np.nan)
    for strip in strips:
        strength[strip.feature] = float(np.abs(strip.values).mean())
    return Beeswarm(
        model=one.model,
        output=one.output_names[at],
        space=one.space,
        features=features,
        n_features=n_all,
        used=places >= 0,
        strength=strength,
        span=span,
        n=one.n,
        n_given=one.n_given,
        n_points=n_points,
        points=None if raster else _points(strips, one.rows, marks, seed),
        cells=_cells(strips, one.rows, len(features)) if raster else None,
        attributions=one,
    )


def _strip(
    feature: int,
    values: npt.NDArray[np.floating],
    column: FeatureColumn,
    span: tuple[float, float],
    n_columns: int,
) -> _Strip:
    low, high = span
    values = np.asarray(values, dtype=np.float64)
    bins = np.clip(((values - low) / (high - low) * n_columns).astype(np.int64), 0, n_columns - 1)
    colour = value_ranks(column)
    height = np.where(np.isnan(colour), -1.0, colour)
    order = np.lexsort((values, height, bins)).astype(np.int64)
    sizes = np.bincount(bins, minlength=n_columns)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    sorted_bins = bins[order]
    return _Strip(
        feature,
        order,
        starts[sorted_bins],
        sizes[sorted_bins],
        sorted_bins,
        values,
        colour,
        column,
    )


def _offsets(strip: _Strip) -> Floats:
    """Height of each point in drawing order, 0 for a lone one, at most `HALF` either way."""
    place = np.arange(len(strip.order)) - strip.start
    most = max(int(strip.size.max(initial=1)) - 1, 1)
    width = HALF * np.sqrt((strip.size - 1) / most)
    across = np.divide(
        2.0 * place - (strip.size - 1),
        strip.size - 1,
        out=np.zeros(len(place)),
        where=strip.size > 1,
    )
    return np.asarray(width * across, dtype=np.float64)


def _points(strips: Sequence[_Strip], rows: Ints, marks: int, seed: int) -> SwarmPoints:
    kept = _thinned(strips, marks, seed)
    text: list[str] = []
    columns: list[list[npt.NDArray[Any]]] = [[np.zeros(0)] for _ in range(5)]
    feature, value, offset, colour, row = columns
    for strip, keep in zip(strips, kept, strict=True):
        order = strip.order[keep]
        text += strip.column.texts(order)
        feature.append(np.full(len(order), strip.feature))
        value.append(strip.values[order])
        offset.append(_offsets(strip)[keep])
        colour.append(strip.colour[order])
        row.append(rows[order])
    return SwarmPoints(
        np.concatenate(feature).astype(np.int64),
        np.concatenate(value),
        np.concatenate(offset),
        np.concatenate(colour),
        np.concatenate(row).astype(np.int64),
        text,
    )


def _thinned(strips: Sequence[_Strip], marks: int, seed: int) -> list[npt.NDArray[np.bool_]]:
    """Which points are drawn: all, or in every column at most so many that `marks` suffice."""
    if sum(len(strip.order) for strip in strips) <= marks:
        return [np.ones(len(strip.order), dtype=bool) for strip in strips]
    sizes = np.concatenate([np.bincount(strip.bin, minlength=1) for strip in strips])
    low, high = 1, int(sizes.max())
    while low < high:  # the largest cap that keeps within the marks
        middle = (low + high + 1) // 2
        low, high = (
            (middle, high) if np.minimum(sizes, middle).sum() <= marks else (low, middle - 1)
        )
    rng = np.random.default_rng(seed)
    kept = []
    for strip in strips:
        draw = rng.random(len(strip.order))
        shuffled = np.lexsort((draw, strip.bin))
        place = np.empty(len(draw), dtype=np.int64)
        place[shuffled] = np.arange(len(draw)) - strip.start[shuffled]
        kept.append(place < low)
    return kept


def _cells(strips: Sequence[_Strip], rows: Ints, n_features: int) -> SwarmCells:
    shade = np.full((n_features, LAYERS, COLUMNS), np.nan)
    features, values, colours, at, texts, counts = [], [], [], [], [], []
    for strip in strips:
        shade[strip.feature] = _shades(strip)
        first = np.flatnonzero(np.arange(len(strip.order)) == strip.start)
        size = strip.size[first]
        middle = strip.order[first + size // 2]
        features.append(np.full(len(first), strip.feature, dtype=np.int64))
        values.append(strip.values[middle])
        colours.append(strip.colour[middle])
        at.append(rows[middle])
        counts.append(size)
        texts += _ranges(strip, first, size)
    targets = SwarmPoints(
        np.concatenate(features),
        np.concatenate(values),
        np.zeros(len(texts)),
        np.concatenate(colours),
        np.concatenate(at),
        texts,
    )
    return SwarmCells(shade, targets, np.concatenate(counts))


def _shades(strip: _Strip) -> Floats:
    """`(LAYERS, COLUMNS)` mean colour of the rows that fall into each cell of one strip."""
    half = LAYERS // 2
    most = max(int(strip.size.max(initial=1)) - 1, 1)
    reach = np.rint(half * np.sqrt((strip.size - 1) / most)).astype(np.int64)
    place = np.arange(len(strip.order)) - strip.start
    thick = 2 * reach + 1
    layer = half - reach + (place * thick) // strip.size
    cell = layer * COLUMNS + strip.bin
    colour = strip.colour[strip.order]
    known = ~np.isnan(colour)
    total = np.bincount(cell, minlength=LAYERS * COLUMNS)
    ranked = np.bincount(cell[known], minlength=LAYERS * COLUMNS)
    summed = np.bincount(cell[known], weights=colour[known], minlength=LAYERS * COLUMNS)
    shade = np.divide(summed, ranked, out=np.full(len(total), -1.0), where=ranked > 0)
    shade[total == 0] = np.nan
    grid: Floats = shade.reshape(LAYERS, COLUMNS)
    _fill_gaps(grid, strip)
    return grid


def _fill_gaps(grid: Floats, strip: _Strip) -> None:
    """Columns of fewer rows than layers would be dotted: empty layers take the one below."""
    filled = ~np.isnan(grid)
    lowest, highest = filled.argmax(axis=0), LAYERS - 1 - filled[::-1].argmax(axis=0)
    for layer in range(1, LAYERS):
        inside = (layer > lowest) & (layer < highest) & ~filled[layer] & filled.any(axis=0)
        grid[layer, inside] = grid[layer - 1, inside]


def _ranges(strip: _Strip, first: Ints, size: Ints) -> list[str]:
    """ "2.1 to 3.4" for the rows of each column; for categories that of the row in the middle."""
    column = strip.column
    if column.kind == "category":
        return column.texts(strip.order[first + size // 2])
    numbers = column.numbers[strip.order]
    low = np.minimum.reduceat(np.where(np.isnan(numbers), np.inf, numbers), first)
    high = np.maximum.reduceat(np.where(np.isnan(numbers), -np.inf, numbers), first)
    words = []
    for a, b in zip(low, high, strict=True):
        start = column.text_of(float(a) if np.isfinite(a) else np.nan)
        end = column.text_of(float(b) if np.isfinite(b) else np.nan)
        words.append(start if start == end else f"{start} to {end}")
    return words
