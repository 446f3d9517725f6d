"""From tables and arrays to the tensors that a network takes; each guess is said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ModelError
from .columns import listed, match_columns, plain_frame, text_column

__all__ = ["InputSpec", "input_arrays"]


@dataclass(frozen=True)
class InputSpec:
    """One input of a network: its name, the shape of one row (None = any size) and its dtype."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str

    @property
    def width(self) -> int:
        """Columns that fill one row; 1 for a scalar."""
        return math.prod(size or 1 for size in self.shape)


def input_arrays(
    X: pd.DataFrame | npt.NDArray[Any], specs: Sequence[InputSpec], model: str
) -> tuple[list[npt.NDArray[Any]], list[str]]:
    """One array per input, by name where columns are named like inputs, else by order.

    Raises
    ------
    ModelError : columns or shapes that do not fit; both sides are named.
    """
    if isinstance(X, pd.DataFrame):
        return _from_frame(X, specs, model)
    array = np.asarray(X)
    if len(specs) > 1:
        return _split(pd.DataFrame(_flat(array)), specs, model)
    spec, notes = specs[0], list[str]()
    if spec.dtype == "string" and spec.width == 1:
        texts, notes = text_column(array, model)
        return [_shaped(texts, spec, model, notes)], notes
    return [_shaped(_typed(array, spec, None, model), spec, model, notes)], notes


def _flat(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array[:, None] if array.ndim == 1 else array.reshape(len(array), -1)


def _from_frame(
    X: pd.DataFrame, specs: Sequence[InputSpec], model: str
) -> tuple[list[npt.NDArray[Any]], list[str]]:
    columns = [str(column) for column in X.columns]
    scalars = [spec.name for spec in specs if spec.width == 1]
    if len(specs) > 1 and len(scalars) < len(specs) and not set(scalars) <= set(columns):
        return _split(X, specs, model)
    if len(specs) > 1 and not set(scalars) & set(columns) and len(specs) == len(columns):
        return _split(X, specs, model)
    if len(scalars) == len(specs) and (len(specs) > 1 or specs[0].name in columns):
        return _by_name(X, specs, model)
    if len(specs) > 1:
        return _mixed(X, specs, model)
    spec = specs[0]
    if spec.dtype == "string" and spec.width == 1:
        texts, notes = text_column(X, model)
        return [_shaped(texts, spec, model, notes)], notes
    notes = [f"Columns matched by order: {listed(columns)}."]
    return [_block(X, spec, model, notes)], notes


def _by_name(
    X: pd.DataFrame, specs: Sequence[InputSpec], model: str
) -> tuple[list[npt.NDArray[Any]], list[str]]:
    frame, notes = match_columns(X, [spec.name for spec in specs], model)
    return [_block(frame[[spec.name]], spec, model, notes) for spec in specs], notes


def _mixed(
    X: pd.DataFrame, specs: Sequence[InputSpec], model: str
) -> tuple[list[npt.NDArray[Any]], list[str]]:
    """Scalars by name, and the other columns in order for the wide inputs."""
    scalars = {spec.name for spec in specs if spec.width == 1}
    rest = [column for column in X.columns if str(column) not in scalars]
    wide, notes = _split(X[rest], [spec for spec in specs if spec.width != 1], model)
    remaining = iter(wide)
    named = X.set_axis([str(column) for column in X.columns], axis=1)
    return [
        _block(named[[spec.name]], spec, model, notes) if spec.width == 1 else next(remaining)
        for spec in specs
    ], notes


def _split(
    X: pd.DataFrame, specs: Sequence[InputSpec], model: str
) -> tuple[list[npt.NDArray[Any]], list[str]]:
    """Consecutive columns for each input in turn, when the counts add up."""
    needed = sum(spec.width for spec in specs)
    inputs = listed([f"{spec.name} {spec.shape}" for spec in specs])
    if needed != X.shape[1]:
        raise ModelError(
            f"{model} takes {len(specs):,} inputs ({inputs}), {needed:,} columns in all; the "
            f"features here are {X.shape[1]:,} columns ({listed(list(X.columns))}). Name the "
            "columns like the inputs, or set the same columns as features."
        )
    notes = [f"Columns were dealt to the inputs by order: {inputs}."]
    arrays, start = [], 0
    for spec in specs:
        arrays.append(_block(X.iloc[:, start : start + spec.width], spec, model, notes))
        start += spec.width
    return arrays, notes


def _block(frame: pd.DataFrame, spec: InputSpec, model: str, notes: list[str]) -> npt.NDArray[Any]:
    """The columns of one input as an array of its dtype and shape."""
    if len(spec.shape) == 1 and spec.shape[0] not in (None, frame.shape[1]):
        raise ModelError(
            f"{model} takes {spec.shape[0]:,} columns; the features here are "
            f"{frame.shape[1]:,} ({listed(list(frame.columns))}). Set the same columns as "
            "features, in the order used for training."
        )
    plain = plain_frame(frame)
    if spec.dtype == "string":
        return _shaped(_texts(plain), spec, model, notes)
    kinds = {column: _kind(plain[column]) for column in plain.columns}
    text = [column for column, kind in kinds.items() if kind == "text"]
    if text:
        raise ModelError(
            f"{model} takes numbers; {listed(text)} {'holds' if len(text) == 1 else 'hold'} text "
            "or dates. Leave them out of the features, or save the network with its encoding."
        )
    return _shaped(_typed(_numbers(plain), spec, plain, model, notes), spec, model, notes)


def _kind(series: pd.Series[Any]) -> str:
    values = series.cat.categories.dtype if isinstance(series.dtype, pd.CategoricalDtype) else None
    dtype = series.dtype if values is None else values
    if dtype.kind == "O":
        return "number" if pd.api.types.infer_dtype(series, skipna=True) in _NUMERIC else "text"
    return "number" if pd.api.types.is_numeric_dtype(dtype) else "text"


_NUMERIC = ("boolean", "floating", "integer", "mixed-integer-float", "empty", "decimal")


def _numbers(frame: pd.DataFrame) -> npt.NDArray[Any]:
    if all(dtype == frame.dtypes.iloc[0] for dtype in frame.dtypes):
        values = frame.to_numpy()
        if values.dtype.kind in "iuf":
            return values
    return np.column_stack(
        [frame.iloc[:, column].to_numpy(dtype="float64") for column in range(frame.shape[1])]
    )


def _texts(frame: pd.DataFrame) -> npt.NDArray[Any]:
    values = frame.astype("object").to_numpy(copy=True)
    missing = pd.isna(values)
    values = np.frompyfunc(str, 1, 1)(values)
    values[missing] = ""
    return np.asarray(values, dtype=object)


def _typed(
    values: npt.NDArray[Any],
    spec: InputSpec,
    frame: pd.DataFrame | None,
    model: str,
    notes: list[str] | None = None,
) -> npt.NDArray[Any]:
    """The dtype of the input; missing numbers pass as NaN and are said."""
    if spec.dtype == "string":
        return _texts(pd.DataFrame(values))
    if values.dtype.kind == "f" and np.isnan(values).any():
        where = [] if frame is None else [c for c in frame.columns if frame[c].isna().any()]
        named = f" in {listed(where)}" if where else ""
        if "int" in spec.dtype:
            raise ModelError(
                f"{model} takes whole numbers for {spec.name}; values are missing{named}. "
                "Fill them first."
            )
        if notes is not None:
            notes.append(f"Missing values{named} reach the network as NaN.")
    try:
        return values.astype(spec.dtype)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{model} takes numbers ({spec.dtype}); the features here are {values.dtype} values."
        ) from error


def _shaped(
    values: npt.NDArray[Any], spec: InputSpec, model: str, notes: list[str]
) -> npt.NDArray[Any]:
    """Rows of the input's shape: as they are, with a channel axis added, or flattened."""
    each, shape = values.shape[1:], spec.shape
    if _fits(each, shape):
        return values
    if shape and shape[-1] == 1 and _fits((*each, 1), shape):
        if each:
            notes.append(f"A channel axis was added: rows of {each} became {(*each, 1)}.")
        return values[..., None]
    if each and each[-1] == 1 and _fits(each[:-1], shape):
        return values[..., 0]
    sizes = [size for size in shape if size is not None]
    # Only between a flat row and a picture: equal products of other shapes are coincidence.
    if (
        len(sizes) == len(shape)
        and 1 in (len(each), len(shape))
        and math.prod(each) == math.prod(sizes)
    ):
        notes.append(f"Rows of shape {each} were reshaped to {shape}.")
        return values.reshape(len(values), *sizes)
    what = "images are" if len(each) > 1 else "rows are"
    raise ModelError(
        f"The {what} {each}; {model} takes {shape}. Load data of that shape, or set the same "
        "features as in training."
    )


def _fits(each: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    return len(each) == len(shape) and all(
        need in (None, size) for size, need in zip(each, shape, strict=True)
    )
