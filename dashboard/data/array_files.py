"""NPZ and NPY files → a feature array and the columns beside it. Nothing is ever unpickled."""

from __future__ import annotations

import io
import re
import tokenize
import zipfile
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import DataError
from ..settings import Settings
from ..wording import listing, shorten
from .table_limits import check_shape, check_unpacked_size
from .unpacking import DAMAGED

__all__ = ["read_npy", "read_npz", "table_of_arrays"]

Array = npt.NDArray[Any]
FEATURES = ("x", "features", "data", "images", "inputs", "image", "input")
TARGETS = ("y", "target", "targets", "label", "labels", "y_true", "output", "outputs")
TEST = ("test", "eval", "holdout", "valid", "validation", "val")
TRAIN = ("train", "training")
PLAIN_KINDS = "biufUSM"


def read_npy(
    data: bytes, name: str, settings: Settings
) -> tuple[pd.DataFrame, dict[str, Array], list[str]]:
    """One array: a vector or matrix becomes columns, images become `arrays["X"]`."""
    array = _load(data, name, settings)
    if array.dtype.names:
        return _structured(array), {}, ["An NPY array with named fields."]
    if array.ndim == 0:
        raise DataError(f"{name} holds one number. An array with one row per example is needed.")
    if array.ndim > 2:
        return pd.DataFrame(index=range(len(array))), {"X": array}, [_shape_note("An NPY", array)]
    frame = _columns({"column": array}, name, settings)
    return frame, {}, [_shape_note("An NPY", array)]


def _structured(array: Array) -> pd.DataFrame:
    return pd.DataFrame({field: array[field] for field in array.dtype.names or ()})


def _shape_note(what: str, array: Array) -> str:
    return f"{what} array of {' × '.join(f'{size:,}' for size in array.shape)} ({array.dtype})."


def _load(data: bytes, name: str, settings: Settings) -> Array:
    """`numpy.load` without pickle, after the header's promise was compared with the bytes."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        reader = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = reader(stream)
        if not dtype.hasobject:
            promised = int(np.prod(shape, dtype=object)) * dtype.itemsize
            if promised != len(data) - stream.tell():
                raise DataError(
                    f"{name} is cut off or damaged: its header promises {promised:,} bytes and "
                    f"{len(data) - stream.tell():,} follow. Copy or save it again."
                )
            return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))
    except (ValueError, OSError, EOFError, KeyError, SyntaxError, tokenize.TokenError) as error:
        reason = shorten(str(error), 120)
        raise DataError(f"{name} is not a sound NumPy array: {reason}. Save it again.") from error
    raise DataError(
        f"{name} holds Python objects, which can run code when opened; it was not opened. Save "
        f"plain numbers or text: array.astype(float) or array.astype(str)."
    )


def read_npz(
    data: bytes, name: str, settings: Settings
) -> tuple[pd.DataFrame, dict[str, Array], list[str]]:
    """Features as `arrays["X"]`, everything else with one value a row as columns.

    With `X_train …, X_test …` the test part is read, and a note says so.
    """
    return table_of_arrays(_members(data, name, settings), name, settings)


def table_of_arrays(
    given: dict[str, Array], name: str, settings: Settings
) -> tuple[pd.DataFrame, dict[str, Array], list[str]]:
    """A feature array and the columns beside it, from arrays by name."""
    arrays, notes = _choose_part(given)
    key = _feature_key(arrays)
    if key is None:
        frame = _columns(_same_length(arrays, name), name, settings)
        return frame, {}, [*notes, f"An NPZ archive of columns: {listing(list(arrays), 6)}."]
    X = arrays.pop(key)
    if X.ndim == 1:
        X = X[:, None]
    if X.dtype.kind not in PLAIN_KINDS:
        raise DataError(f"{name} holds an array {key!r} of the type {X.dtype}. Numbers are needed.")
    others = {k: v for k, v in arrays.items() if v.ndim and len(v) == len(X)}
    left = [f"{k} {v.shape}" for k, v in arrays.items() if k not in others]
    if any(_bare(k) in TARGETS for k in arrays if k not in others):
        raise DataError(
            f"{name} has arrays that differ in length: {key} has {len(X):,} rows, and there are "
            f"{listing(left, 4)}. Save one label per row."
        )
    if left:
        notes.append(f"Not one value a row, not used: {listing(left, 4)}.")
    frame = _columns(others, name, settings) if others else pd.DataFrame(index=range(len(X)))
    return frame, {"X": X}, [_shape_note(f"Features are {key!r}, an NPZ", X), *notes]


def _members(data: bytes, name: str, settings: Settings) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            size = sum(member.file_size for member in members)
            check_unpacked_size(size, len(data), name, settings)
            return {
                member.filename.removesuffix(".npy"): _load(
                    archive.read(member), f"{name} (array {member.filename!r})", settings
                )
                for member in members
            }
    except (*DAMAGED, RuntimeError) as error:
        raise DataError(f"{name} is cut off or damaged. Copy or save it again.") from error


def _split_name(key: str) -> tuple[str, str]:
    """("x", "test") from `X_test`, `test_x`, `xTest`; ("x", "") from `X`."""
    words = re.sub(r"([a-z])([A-Z])", r"\1_\2", key).lower().split("_")
    part = next((word for word in words if word in (*TEST, *TRAIN)), "")
    return "_".join(word for word in words if word != part), part


def _bare(key: str) -> str:
    return _split_name(key)[0]


def _choose_part(arrays: dict[str, Array]) -> tuple[dict[str, Array], list[str]]:
    parts = {_split_name(key)[1] for key in arrays} - {""}
    chosen = next((part for part in (*TEST, *TRAIN) if part in parts), None)
    if chosen is None or len(parts) == 1:
        return arrays, []
    kept = {key: a for key, a in arrays.items() if _split_name(key)[1] in ("", chosen)}
    left = [key for key in arrays if key not in kept]
    return kept, [f"The {chosen} part is used; {listing(left, 6)} are left out."]


def _feature_key(arrays: dict[str, Array]) -> str | None:
    for wanted in FEATURES:
        for key, array in arrays.items():
            if _bare(key) == wanted and (array.ndim > 1 or wanted == "x"):
                return key
    wide = [key for key, a in arrays.items() if a.ndim > 1 and _bare(key) not in TARGETS]
    return wide[0] if len(wide) == 1 and len(arrays) > 1 else None


def _same_length(arrays: dict[str, Array], name: str) -> dict[str, Array]:
    if any(a.ndim == 0 for a in arrays.values()) or len({len(a) for a in arrays.values()}) != 1:
        sizes = listing([f"{key} {a.shape}" for key, a in arrays.items()], 6)
        raise DataError(
            f"{name} has arrays of more than one length ({sizes}). Save the features as X and "
            f"the labels as y, with one row per example."
        )
    return arrays


def _columns(arrays: dict[str, Array], name: str, settings: Settings) -> pd.DataFrame:
    """One column per vector; `key_0, key_1, …` for a matrix; texts and dates as pandas has them."""
    columns: dict[str, Any] = {}
    for key, array in arrays.items():
        if array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1):
            columns[key] = _plain(array.reshape(len(array)), name)
        else:
            flat = array.reshape(len(array), -1)
            check_shape(len(flat), flat.shape[1], name, settings)
            for i in range(flat.shape[1]):
                columns[f"{key}_{i}"] = _plain(flat[:, i], name)
    return pd.DataFrame(columns)


def _plain(vector: Array, name: str) -> Any:
    """One array as a column of numbers, text or dates."""
    kind = vector.dtype.kind
    if kind not in PLAIN_KINDS or (kind == "M" and np.datetime_data(vector.dtype)[0] == "generic"):
        raise DataError(
            f"{name} holds an array of the type {vector.dtype}, which cannot be a column. Save "
            "numbers, text or dates."
        )
    if kind == "S":
        vector = np.char.decode(vector, "utf-8", "replace")
    return pd.Series(vector, dtype="str") if vector.dtype.kind == "U" else pd.Series(vector)
