"""One row: from the average answer to the model's own, feature by feature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Attributions, Label, OutputSpace, normal_quantile
from ..errors import NotApplicable
from .attributions import (
    by_names,
    column_of,
    common_features,
    output_position,
    place_of_row,
    same_unit,
)

__all__ = ["DecisionPaths", "Waterfall", "compute_decision_paths", "compute_waterfalls"]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Waterfall:
    """One model's answer for one row: `base + values.sum() + rest` is `prediction`.

    Attributes
    ----------
    row : position in the evaluation set.
    features : shown ones, the same order for all models of one call, strongest first.
    values : `(n_shown,)`; NaN where this model does not use the feature.
    errors : standard errors of sampled values, 0 where exact; `spread` half of their intervals of
        `level`.
    cells : the row's own value of each feature, as text; "" where it is not used.
    rest : sum over the `n_rest` features that are folded.
    gap : prediction − (base + sum): within the tolerance that was checked.
    span : from the lowest to the highest sum on the way; of all models where units are the same.
    """

    model: str
    row: int
    output: Label
    space: OutputSpace
    base: float
    prediction: float
    features: tuple[str, ...]
    values: Floats
    errors: Floats
    cells: tuple[str, ...]
    rest: float
    n_rest: int
    gap: float
    span: tuple[float, float]
    exact: bool
    method: str
    n_outputs: int = 1
    level: float = 0.95

    @property
    def spread(self) -> Floats:
        return np.asarray(normal_quantile(self.level) * self.errors)

    @property
    def used(self) -> npt.NDArray[np.bool_]:
        return ~np.isnan(self.values)

    @property
    def sums(self) -> Floats:
        """`(n_shown + 2,)` where each step ends, from below: base, folded rest, weakest, …"""
        steps = np.concatenate([[self.base, self.rest], np.nan_to_num(self.values[::-1])])
        return np.asarray(np.cumsum(steps))

    def frame(self) -> pd.DataFrame:
        """Columns model, row, output, feature, data, value, low, high, base, prediction."""
        spread = self.spread
        table = pd.DataFrame(
            {
                "model": self.model,
                "row": self.row,
                "output": self.output,
                "feature": [*self.features, *self._rest_name()],
                "data": [*self.cells, *([""] * bool(self.n_rest))],
                "value": [*self.values, *([self.rest] * bool(self.n_rest))],
                "low": [*(self.values - spread), *([np.nan] * bool(self.n_rest))],
                "high": [*(self.values + spread), *([np.nan] * bool(self.n_rest))],
                "base": self.base,
                "prediction": self.prediction,
            }
        )
        return table

    def _rest_name(self) -> list[str]:
        return [f"{self.n_rest:,} other features"] if self.n_rest else []


def compute_waterfalls(
    explanations: Sequence[Attributions],
    row: int,
    output: Label | None = None,
    *,
    limit: int = 10,
) -> list[Waterfall]:
    """One waterfall per model for the same row, on the same features and one axis.

    The order is by each feature's share of all movement in this row, averaged over models; for
    one model that is the order of |value|. At most `limit` features stand alone; when just one
    more is left it stands alone too, since "1 other feature" would be as long as its name.

    Raises
    ------
    NotApplicable : the row is not explained for one of the models, or no model is given.
    """
    if not explanations:
        raise NotApplicable("No model is explained yet, so there is no row to take apart.")
    alone = [one.take(np.asarray([place_of_row(one, row)])) for one in explanations]
    n_all = len({name for one in alone for name in one.feature_names})
    features, _ = common_features(alone, output, limit + 1 if n_all == limit + 1 else limit)
    found = [_waterfall(one, output, features) for one in alone]
    if not same_unit(explanations):
        return found
    low, high = min(one.span[0] for one in found), max(one.span[1] for one in found)
    return [_with_span(one, (low, high)) for one in found]


def _with_span(one: Waterfall, span: tuple[float, float]) -> Waterfall:
    return replace(one, span=span)


def _waterfall(one: Attributions, output: Label | None, features: tuple[str, ...]) -> Waterfall:
    at = output_position(one, output)
    places = by_names(one, features)
    used = places >= 0
    own = np.asarray(one.values[0, :, at], dtype=np.float64)
    values = np.where(used, own[places], np.nan)
    errors = np.zeros(len(features))
    if one.errors is not None:
        errors = np.where(used, one.errors[0, places, at], 0.0)
    shown = places[used]
    base, prediction = float(one.base_values[at]), float(one.predictions[0, at])
    rest = float(np.delete(own, shown).sum())
    found = Waterfall(
        model=one.model,
        row=int(one.rows[0]),
        output=one.output_names[at],
        space=one.space,
        base=base,
        prediction=prediction,
        features=features,
        values=values,
        errors=errors,
        cells=tuple(
            column_of(one, name).text(0) if use else ""
            for name, use in zip(features, used, strict=True)
        ),
        rest=rest,
        n_rest=len(own) - len(shown),
        gap=prediction - base - float(own.sum()),
        span=(0.0, 0.0),
        exact=one.exact,
        method=one.method,
        n_outputs=len(one.output_names),
        level=one.level,
    )
    sums = [*found.sums.tolist(), prediction]
    return _with_span(found, (min(sums), max(sums)))


@dataclass(frozen=True, eq=False)
class DecisionPaths:
    """How the answers of many rows build up, from the average answer to each row's own.

    Attributes
    ----------
    features : from the weakest (first step) to the strongest (last); the same for all models.
    paths : `(n_shown_rows, n_features + 2)`: base, after the folded features, after each feature.
    rows : positions in the evaluation set; `highlight` those that are asked for.
    n_rest : features folded into the first step; `n_used` rows explained, of which these are.
    """

    model: str
    output: Label
    space: OutputSpace
    features: tuple[str, ...]
    paths: Floats
    predictions: Floats
    rows: Ints
    highlight: tuple[int, ...]
    n_rest: int
    n_explained: int
    n_given: int
    span: tuple[float, float]
    cells: tuple[tuple[str, ...], ...]

    @property
    def n(self) -> int:
        return len(self.rows)

    def frame(self) -> pd.DataFrame:
        """One line per row and step: columns model, output, row, step, feature, sum, prediction."""
        names = ["average", "other features", *self.features]
        n_steps = len(names)
        return pd.DataFrame(
            {
                "model": self.model,
                "output": self.output,
                "row": np.repeat(self.rows, n_steps),
                "step": np.tile(np.arange(n_steps), self.n),
                "feature": np.tile(np.asarray(names, dtype=object), self.n),
                "sum": self.paths.reshape(-1),
                "prediction": np.repeat(self.predictions, n_steps),
            }
        )


def compute_decision_paths(
    explanations: Sequence[Attributions],
    output: Label | None = None,
    *,
    rows: Sequence[int] | None = None,
    highlight: Sequence[int] = (),
    limit: int = 12,
    max_rows: int = 60,
) -> list[DecisionPaths]:
    """One set of paths per model, over the same rows and features.

    Parameters
    ----------
    rows : positions in the evaluation set; None takes rows at equal steps of the first model's
        sorted predictions, so that all of its range is seen.
    highlight : rows to draw strongly; they are added where they are explained.
    max_rows : rows for each model.

    Raises
    ------
    NotApplicable : no rows are explained for all of these models.
    """
    common = _common_rows(explanations)
    if not len(common):
        raise NotApplicable("These models have no explained row in common.")
    wanted = [row for row in dict.fromkeys(highlight) if row in set(common.tolist())]
    chosen = _rows_to_draw(explanations[0], common, rows, output, max_rows)
    drawn = np.asarray(list(dict.fromkeys([*chosen.tolist(), *wanted])), dtype=np.int64)
    features, _ = common_features(explanations, output, limit)
    features = features[::-1]
    found = [_paths(one, output, drawn, features, tuple(wanted)) for one in explanations]
    if not same_unit(explanations):
        return found
    low, high = min(one.span[0] for one in found), max(one.span[1] for one in found)
    return [replace(one, span=(low, high)) for one in found]


def _common_rows(explanations: Sequence[Attributions]) -> Ints:
    if not explanations:
        return np.zeros(0, dtype=np.int64)
    common = explanations[0].rows
    for one in explanations[1:]:
        common = common[np.isin(common, one.rows)]
    return np.asarray(common, dtype=np.int64)


def _rows_to_draw(
    first: Attributions,
    common: Ints,
    rows: Sequence[int] | None,
    output: Label | None,
    max_rows: int,
) -> Ints:
    if rows is not None:
        return np.asarray([row for row in rows if row in set(common.tolist())][:max_rows], np.int64)
    kept = np.flatnonzero(np.isin(first.rows, common))
    answers = first.predictions[kept, output_position(first, output)]
    order = kept[np.argsort(answers, kind="stable")]
    steps = np.unique(np.linspace(0, len(order) - 1, min(max_rows, len(order))).astype(np.int64))
    return np.asarray(first.rows[order[steps]], dtype=np.int64)


def _paths(
    one: Attributions,
    output: Label | None,
    rows: Ints,
    features: tuple[str, ...],
    highlight: tuple[int, ...],
) -> DecisionPaths:
    at = output_position(one, output)
    part = one.take(np.asarray([place_of_row(one, int(row)) for row in rows]))
    places = by_names(part, features)
    values = part.output(at)
    shown = np.where(places >= 0, values[:, places], 0.0)
    rest = values.sum(axis=1) - shown.sum(axis=1)
    base = np.full(part.n, part.base_values[at])
    paths = np.cumsum(np.column_stack([base, rest, shown]), axis=1)
    columns = [
        column_of(part, name) if k >= 0 else None for name, k in zip(features, places, strict=True)
    ]
    return DecisionPaths(
        model=one.model,
        output=one.output_names[at],
        space=one.space,
        features=features,
        paths=paths,
        predictions=np.asarray(part.predictions[:, at]),
        rows=rows,
        highlight=highlight,
        n_rest=len(one.feature_names) - int((places >= 0).sum()),
        n_explained=one.n,
        n_given=one.n_given,
        span=(float(paths.min()), float(paths.max())),
        cells=tuple(
            tuple(column.text(k) if column else "" for column in columns) for k in range(part.n)
        ),
    )
