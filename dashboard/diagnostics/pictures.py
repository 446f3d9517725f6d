"""One picture or sequence: what each of its cells adds to the model's answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Attributions, Label, OutputSpace, normal_quantile
from ..errors import NotApplicable
from .attributions import output_position, place_of_row, same_unit

__all__ = ["Picture", "compute_mean_pictures", "compute_pictures"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.integer[Any]]

# Brightness of red, green and blue (Rec. 709).
_GREY = (0.2126, 0.7152, 0.0722)


@dataclass(frozen=True, eq=False)
class Picture:
    """One model's answer for one row of cells: `base + values.sum()` is `prediction`.

    Attributes
    ----------
    row : position in the evaluation set; -1 for the mean of `n_rows` rows.
    cells : `(height, width)` or `(height, width, channels)`, as given; of sequences `(steps,)` or
        `(steps, channels)`.
    values : of the shape of `cells`; errors : their standard errors, 0 where exact.
    span : largest |heat|; of all models where units are the same.
    feature_names : one per cell, in the order of `values.reshape(-1)`.
    """

    model: str
    row: int
    output: Label
    space: OutputSpace
    base: float
    prediction: float
    cells: npt.NDArray[np.generic]
    values: Floats
    errors: Floats
    span: float
    feature_names: tuple[str, ...]
    exact: bool
    method: str
    is_sequence: bool = False
    n_outputs: int = 1
    n_rows: int = 1
    level: float = 0.95

    @property
    def heat(self) -> Floats:
        """`(height, width)`, or `(steps,)`: values summed over channels."""
        flat = self.values.ndim > (1 if self.is_sequence else 2)
        return np.asarray(self.values.sum(axis=-1) if flat else self.values)

    @property
    def heat_errors(self) -> Floats:
        """Standard errors of `heat`, as if those of channels were independent."""
        flat = self.values.ndim > (1 if self.is_sequence else 2)
        errors = np.sqrt((self.errors**2).sum(axis=-1)) if flat else self.errors
        return np.asarray(errors)

    @property
    def heat_spread(self) -> Floats:
        """Half of the intervals of `heat`, of `level`."""
        return np.asarray(normal_quantile(self.level) * self.heat_errors)

    @property
    def grey(self) -> Floats:
        """Brightness of each cell from 0 (darkest of this picture) to 1, NaN where missing."""
        cells = np.asarray(self.cells, dtype=np.float64)
        if cells.ndim > (1 if self.is_sequence else 2):
            weights = _GREY if cells.shape[-1] == 3 else np.full(cells.shape[-1], 1.0)
            cells = cells @ (np.asarray(weights) / np.sum(weights))
        known = cells[np.isfinite(cells)]
        if not known.size or known.max() == known.min():
            return np.where(np.isfinite(cells), 0.0, np.nan)
        return np.asarray((cells - known.min()) / (known.max() - known.min()))

    def frame(self) -> pd.DataFrame:
        """Columns model, row, output, feature, data, value, low, high, base, prediction."""
        values = self.values.reshape(-1)
        spread = normal_quantile(self.level) * self.errors.reshape(-1)
        return pd.DataFrame(
            {
                "model": self.model,
                "row": self.row,
                "output": self.output,
                "feature": list(self.feature_names),
                "data": np.asarray(self.cells).reshape(-1),
                "value": values,
                "low": values - spread,
                "high": values + spread,
                "base": self.base,
                "prediction": self.prediction,
            }
        )


def compute_pictures(
    explanations: Sequence[Attributions], row: int, output: Label | None = None
) -> list[Picture]:
    """The same row for each model, on one scale of colours where units are the same.

    Raises
    ------
    NotApplicable : rows are no pictures or sequences, or this row is not explained.
    """
    _check(explanations)
    places = [np.asarray([place_of_row(one, row)]) for one in explanations]
    return _on_one_scale(explanations, places, output)


def compute_mean_pictures(
    explanations: Sequence[Attributions], output: Label | None = None, *, share: float = 0.1
) -> list[Picture]:
    """The mean of the explained rows with each model's highest answers, a `share` of all.

    Cells and values are means over those rows, so they add up to their mean answer; errors are
    those of sampled means, as if rows were independent.

    Raises
    ------
    NotApplicable : rows are no pictures or sequences, or none is explained.
    """
    _check(explanations)
    if any(not one.n for one in explanations):
        raise NotApplicable("No row is explained yet.")
    return _on_one_scale(
        explanations, [_highest(one, output, share) for one in explanations], output
    )


def _highest(one: Attributions, output: Label | None, share: float) -> Ints:
    answers = one.predictions[:, output_position(one, output)]
    found: Ints = np.argsort(-answers, kind="stable")[: max(1, round(share * one.n))]
    return found


def _check(explanations: Sequence[Attributions]) -> None:
    if not explanations:
        raise NotApplicable("No model is explained yet, so there is no picture to draw.")
    for one in explanations:
        if one.cell_shape is None:
            raise NotApplicable(
                f"{one.model} was explained on columns of a table; pictures are drawn where rows "
                "are arrays of pixels or steps."
            )


def _on_one_scale(
    explanations: Sequence[Attributions], places: Sequence[Ints], output: Label | None
) -> list[Picture]:
    found = [_picture(one, at, output) for one, at in zip(explanations, places, strict=True)]
    spans = [float(np.abs(one.heat).max(initial=0)) for one in found]
    if same_unit(explanations):
        spans = [max(spans)] * len(spans)
    return [replace(one, span=span) for one, span in zip(found, spans, strict=True)]


def _picture(one: Attributions, places: Ints, output: Label | None) -> Picture:
    """The mean of the rows at these places."""
    column, n = output_position(one, output), len(places)
    steps = one.feature_names[0].startswith("step ")
    shape = tuple(one.cell_shape or ())
    if len(shape) > (1 if steps else 2) and shape[-1] == 1:
        shape = shape[:-1]
    if not 1 <= len(shape) <= (2 if steps else 3):
        raise NotApplicable(f"Rows of shape {shape} cannot be drawn as a picture or a sequence.")
    errors = np.zeros_like(one.values) if one.errors is None else one.errors
    values = np.asarray(one.values[places, :, column].mean(axis=0), dtype=np.float64)
    spread = np.sqrt((errors[places, :, column] ** 2).sum(axis=0)) / n
    cells = np.asarray(one.data[places])
    return Picture(
        model=one.model,
        row=int(one.rows[places[0]]) if n == 1 else -1,
        output=one.output_names[column],
        space=one.space,
        base=float(one.base_values[column]),
        prediction=float(one.predictions[places, column].mean()),
        cells=(cells[0] if n == 1 else cells.mean(axis=0)).reshape(shape),
        values=values.reshape(shape),
        errors=spread.reshape(shape),
        span=0.0,
        feature_names=one.feature_names,
        exact=one.exact,
        method=one.method,
        is_sequence=steps,
        n_outputs=len(one.output_names),
        n_rows=n,
        level=one.level,
    )
