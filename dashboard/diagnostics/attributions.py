"""What all results made from `Attributions` share: outputs, features in order, cells as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Attributions, Label, OutputSpace
from ..errors import NotApplicable, ParameterError
from ..wording import count, listing, number, shorten

__all__ = [
    "MISSING",
    "FeatureColumn",
    "by_names",
    "column_of",
    "common_features",
    "in_unit",
    "output_position",
    "place_of_row",
    "same_unit",
    "strengths",
    "the_unit",
    "unit_title",
    "value_ranks",
]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]

MISSING = "missing"


def output_position(attributions: Attributions, output: Label | None = None) -> int:
    """Where an output stands; None is the first one, which is the only one for two classes.

    Raises
    ------
    ParameterError : no such output.
    """
    if output is None:
        return 0
    names = attributions.output_names
    for place, name in enumerate(names):
        if name == output and isinstance(name, bool) == isinstance(output, bool):
            return place
    texts = [str(name) for name in names]
    if str(output) in texts:
        return texts.index(str(output))
    raise ParameterError(
        f"{attributions.model} has no output {output!r}. It has {listing(texts, 8)}."
    )


def place_of_row(attributions: Attributions, row: int) -> int:
    """Where a row of the evaluation set stands among the explained rows.

    Raises
    ------
    NotApplicable : this row was not explained.
    """
    found = np.flatnonzero(attributions.rows == row)
    if not len(found):
        raise NotApplicable(
            f"Row {row:,} is not among the {attributions.n:,} rows that are explained for "
            f"{attributions.model}. Explain this row first."
        )
    return int(found[0])


def strengths(attributions: Attributions, output: Label | None = None) -> Floats:
    """`(n_features,)` mean absolute value: how far each feature moves the answer, on average."""
    if not attributions.n:
        return np.zeros(len(attributions.feature_names))
    values = attributions.output(output_position(attributions, output))
    return np.asarray(np.abs(values).mean(axis=0), dtype=np.float64)


def common_features(
    explanations: Sequence[Attributions], output: Label | None = None, limit: int = 20
) -> tuple[tuple[str, ...], int]:
    """At most `limit` features for charts that models share, and of how many they are.

    Ordered by the mean over models of each feature's share of that model's strengths, so that
    models of different units count alike; a feature that a model lacks counts 0 there. Ties keep
    the order of the data.
    """
    shares: dict[str, float] = {}
    for one in explanations:
        found = strengths(one, output)
        found = found / (found.sum() or 1.0)
        for name, share in zip(one.feature_names, found.tolist(), strict=True):
            shares[name] = shares.get(name, 0.0) + share
    order = sorted(shares, key=lambda name: -shares[name])
    return tuple(order[:limit]), len(order)


def by_names(attributions: Attributions, features: Sequence[str]) -> Ints:
    """`(len(features),)` place of each feature, -1 where this model does not use it."""
    places = {name: k for k, name in enumerate(attributions.feature_names)}
    return np.asarray([places.get(name, -1) for name in features], dtype=np.int64)


def same_unit(explanations: Sequence[Attributions]) -> bool:
    """Whether values of all of them can stand on one axis."""
    return len({one.space for one in explanations}) <= 1


def in_unit(space: OutputSpace, output: object, n: int = 24) -> str:
    """What the values add up to: "probability of yes", "log-odds of yes", "price"."""
    name = shorten(str(output), n)
    return name if space is OutputSpace.TARGET else f"{space.value} of {name}"


def the_unit(space: OutputSpace, output: object, n: int = 24) -> str:
    """The same inside a sentence: "the probability of yes"; a column's name takes no article."""
    unit = in_unit(space, output, n)
    return unit if space is OutputSpace.TARGET else f"the {unit}"


def unit_title(space: OutputSpace, output: object) -> str:
    """The same above a column or below an axis; a column's name stays as it is written."""
    unit = in_unit(space, output)
    return unit if space is OutputSpace.TARGET else unit[:1].upper() + unit[1:]


@dataclass(frozen=True, eq=False)
class FeatureColumn:
    """One feature of the explained rows, readable by people and by charts.

    Attributes
    ----------
    kind : "number"; "date" (numbers are seconds since 1970); "category" (numbers are positions
        in `categories`).
    numbers : `(n,)` float64, NaN where the cell is missing.
    """

    name: str
    kind: Literal["number", "date", "category"]
    numbers: Floats
    categories: tuple[str, ...] = ()

    def text(self, place: int) -> str:
        """One cell as people write it; plain text, escaped by whoever shows it."""
        return self.text_of(float(self.numbers[place]))

    def texts(self, places: Ints) -> list[str]:
        """Many cells; each distinct one is written once."""
        distinct, turn = np.unique(self.numbers[places], return_inverse=True)
        written = [self.text_of(value) for value in distinct.tolist()]
        return [written[k] for k in turn.tolist()]

    def text_of(self, value: float) -> str:
        """Any value of this column as people write it."""
        if np.isnan(value):
            return MISSING
        if self.kind == "category":
            return self.categories[int(value)]
        if self.kind == "date":
            moment = pd.Timestamp(value, unit="s")
            return moment.strftime("%Y-%m-%d" if moment.normalize() == moment else "%Y-%m-%d %H:%M")
        if value == round(value) and abs(value) < 1e15:
            return count(value).replace("-", "−")
        text = number(value, 4)
        return text.rstrip("0").rstrip(".") if "." in text and "×" not in text else text


def column_of(attributions: Attributions, feature: str) -> FeatureColumn:
    """The explained rows' values of one feature.

    Raises
    ------
    ParameterError : the model does not use this feature.
    """
    if feature not in attributions.feature_names:
        raise ParameterError(
            f"{attributions.model} does not use {feature!r}. It uses "
            f"{listing(attributions.feature_names, 8)}."
        )
    place = attributions.feature_names.index(feature)
    data = attributions.data
    if not isinstance(data, pd.DataFrame):
        cells = np.asarray(data).reshape(attributions.n, -1)[:, place]
        return _of_array(feature, cells)
    # By place: a model may have been given two columns of one name.
    return _of_series(feature, data.iloc[:, place])


def _of_array(name: str, cells: npt.NDArray[Any]) -> FeatureColumn:
    if cells.dtype.kind in "iuf":
        return FeatureColumn(name, "number", _finite(cells.astype(np.float64)))
    return _of_series(name, pd.Series(cells))


def _of_series(name: str, cells: pd.Series) -> FeatureColumn:
    kind = getattr(cells.dtype, "kind", "O")
    if isinstance(cells.dtype, pd.CategoricalDtype):
        codes = cells.cat.codes.to_numpy().astype(np.float64)
        codes[codes < 0] = np.nan
        return FeatureColumn(name, "category", codes, tuple(map(str, cells.cat.categories)))
    if kind in "iuf":
        return FeatureColumn(name, "number", _finite(cells.to_numpy(np.float64, na_value=np.nan)))
    if kind == "M":
        return FeatureColumn(name, "date", _seconds(cells))
    return _of_objects(name, cells)


def _of_objects(name: str, cells: pd.Series) -> FeatureColumn:
    """Texts, flags and mixtures; objects that are all numbers are numbers."""
    known = cells.dropna()
    if cells.dtype == object and len(known) and all(_is_number(value) for value in known):
        numbers = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        return FeatureColumn(name, "number", _finite(numbers))
    codes, uniques = pd.factorize(known.map(str))
    order = np.argsort(np.asarray(uniques, dtype=object), kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    numbers = np.full(len(cells), np.nan)
    if len(known):
        numbers[cells.notna().to_numpy()] = rank[codes]
    return FeatureColumn(name, "category", numbers, tuple(str(uniques[k]) for k in order))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, np.bool_))


def _finite(numbers: Floats) -> Floats:
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _seconds(cells: pd.Series) -> Floats:
    naive = cells.dt.tz_convert("UTC").dt.tz_localize(None) if cells.dt.tz is not None else cells
    moments = naive.to_numpy("datetime64[us]")
    found = moments.astype(np.int64) / 1e6
    found[np.isnat(moments)] = np.nan
    return np.asarray(found, dtype=np.float64)


def value_ranks(column: FeatureColumn) -> Floats:
    """`(n,)` from 0 (low) to 1 (high) for colours; NaN where missing or without an order.

    Linear between the 5th and the 95th percentile, and between wider ones where these are equal,
    as in shap's summary plot.
    """
    if column.kind == "category":
        return np.full(len(column.numbers), np.nan)
    known = column.numbers[~np.isnan(column.numbers)]
    if not len(known):
        return np.full(len(column.numbers), np.nan)
    for low, high in ((5, 95), (1, 99), (0, 100)):
        start, end = np.percentile(known, [low, high])
        if end > start:
            return np.asarray(np.clip((column.numbers - start) / (end - start), 0, 1))
    return np.where(np.isnan(column.numbers), np.nan, 0.5)
