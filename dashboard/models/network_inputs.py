"""From tables and arrays to the tensors that a network takes; each guess is said."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ModelError
from .columns import listed, match_columns, plain_frame, text_column

__all__ = ["InputSpec", "batch_rows", "blocks", "described", "input_arrays"]

_BATCH = 1 << 16
_BATCH_BYTES = 256 << 20
# Values inside a network for each value that goes in or comes out, at a guess.
_INSIDE, _INSIDE_PICTURE = 16, 64


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


def described(specs: Sequence[InputSpec]) -> dict[str, Any]:
    """What a `ModelInfo` says of these inputs: `feature_names`, `n_features`, `input_shape`."""
    only = specs[0].shape if len(specs) == 1 else None
    by_name = len(specs) > 1 and all(spec.width == 1 for spec in specs)
    return {
        "feature_names": tuple(spec.name for spec in specs) if by_name else None,
        "n_features": only[0] if only is not None and len(only) == 1 else None,
        "input_shape": only,
    }


def batch_rows(specs: Sequence[InputSpec], outputs: Iterable[int]) -> int:
    """Rows for one call of a graph whose insides are not known, from its inputs and outputs.

    `outputs` are the values that each output has for one row.
    """
    widest = max((1, *(spec.width for spec in specs), *outputs))
    inside = _INSIDE_PICTURE if any(len(spec.shape) > 1 for spec in specs) else _INSIDE
    return max(1, min(_BATCH, _BATCH_BYTES // (4 * inside * widest)))


def blocks(
    arrays: Sequence[npt.NDArray[Any]], size: int, fixed: int | None = None
) -> Iterator[tuple[list[npt.NDArray[Any]], int]]:
    """Consecutive rows of each array, at least one block, and how many rows of it count.

    A graph made for a `fixed` number of rows gets exactly that many: the last row is repeated.
    """
    step = fixed or size
    n = len(arrays[0])
    for start in range(0, max(n, 1), step):
        part = [array[start : start + step] for array in arrays]
        count = len(part[0])
        if fixed and 0 < count < fixed:
            part = [np.concatenate([one, one[-1:].repeat(fixed - count, axis=0)]) for one in part]
        yield part, count


def input_arrays(
    X: pd.DataFrame | npt.NDArray[Any], specs: Sequence[InputSpec], model: str
) -> tuple[list[npt.NDArray[Any]], list[str]]:
    """One array per input, by name where columns are named like inputs, else by order.

    Raises
    ------
    ModelError : columns or shapes that do not fit; both sides are named.
    """
    if isinstance(X, pd.DataFrame):
        frame, renamed = _respelled(X, specs)
        arrays, said = _from_frame(frame, specs, model)
        return arrays, [*renamed, *said]
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


def _respelled(X: pd.DataFrame, specs: Sequence[InputSpec]) -> tuple[pd.DataFrame, list[str]]:
    """Columns under the names of inputs: converters write `rooms_per_head` for `rooms per head`."""
    columns = [str(column) for column in X.columns]
    wanted = {_spelled(spec.name): spec.name for spec in specs if spec.width == 1}
    names = {spec.name for spec in specs}
    spelled = [_spelled(column) for column in columns]
    found = {
        position: wanted[spelling]
        for position, spelling in enumerate(spelled)
        if spelling in wanted
        and wanted[spelling] not in columns
        and columns[position] not in names
        and spelled.count(spelling) == 1
    }
    if not found:
        return X, []
    notes = [f"Column {columns[position]} is read as {name}." for position, name in found.items()]
    changed = [found.get(position, column) for position, column in enumerate(X.columns)]
    return X.set_axis(changed, axis=1), notes[:3]


def _spelled(name: str) -> str:
    return re.sub(r"[^0-9a-zA-Z]", "_", name)


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
