"""One picture or sequence: what each of its cells adds to the model's answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Attributions, Label, OutputSpace
from ..errors import NotApplicable
from .attributions import output_position, place_of_row, same_unit

__all__ = ["Picture", "compute_pictures"]

Floats = npt.NDArray[np.float64]

# Brightness of red, green and blue (Rec. 709).
_GREY = (0.2126, 0.7152, 0.0722)


@dataclass(frozen=True, eq=False)
class Picture:
    """One model's answer for one row of cells: `base + values.sum()` is `prediction`.

    Attributes
    ----------
    row : position in the evaluation set.
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
        values, spread = self.values.reshape(-1), 1.96 * self.errors.reshape(-1)
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
    if not explanations:
        raise NotApplicable("No model is explained yet, so there is no picture to draw.")
    for one in explanations:
        if one.cell_shape is None:
            raise NotApplicable(
                f"{one.model} was explained on columns of a table; pictures are drawn where rows "
                "are arrays of pixels or steps."
            )
    spans = [float(np.abs(_heat(one, row, output)).max(initial=0)) for one in explanations]
    common = max(spans) if same_unit(explanations) else None
    return [
        _picture(one, row, output, common if common is not None else span)
        for one, span in zip(explanations, spans, strict=True)
    ]


def _heat(one: Attributions, row: int, output: Label | None) -> Floats:
    return _picture(one, row, output, 0.0).heat


def _picture(one: Attributions, row: int, output: Label | None, span: float) -> Picture:
    place, column = place_of_row(one, row), output_position(one, output)
    steps = one.feature_names[0].startswith("step ")
    shape = tuple(one.cell_shape or ())
    if len(shape) > (1 if steps else 2) and shape[-1] == 1:
        shape = shape[:-1]
    if not 1 <= len(shape) <= (2 if steps else 3):
        raise NotApplicable(f"Rows of shape {shape} cannot be drawn as a picture or a sequence.")
    errors = np.zeros_like(one.values) if one.errors is None else one.errors
    values, errors = (
        np.asarray(part[place, :, column], dtype=np.float64).reshape(shape)
        for part in (one.values, errors)
    )
    return Picture(
        model=one.model,
        row=row,
        output=one.output_names[column],
        space=one.space,
        base=float(one.base_values[column]),
        prediction=float(one.predictions[place, column]),
        cells=np.asarray(one.data[place]).reshape(shape),
        values=values,
        errors=errors,
        span=span,
        feature_names=one.feature_names,
        exact=one.exact,
        method=one.method,
        is_sequence=steps,
        n_outputs=len(one.output_names),
    )
