"""From the columns of an evaluation set to what a model was fitted on; each guess is said."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ModelError

__all__ = [
    "as_matrix",
    "failure",
    "first_line",
    "listed",
    "match_columns",
    "plain_frame",
    "text_column",
]


def listed(names: Sequence[Any], limit: int = 6) -> str:
    """ "a, b, c and 4 more" for a sentence."""
    shown = ", ".join(str(name) for name in names[:limit])
    return shown + (f" and {len(names) - limit:,} more" if len(names) > limit else "")


def match_columns(
    X: pd.DataFrame | npt.NDArray[Any], names: Sequence[str], model: str
) -> tuple[pd.DataFrame, list[str]]:
    """The columns a model names, in its order, as a frame of plain dtypes.

    Raises
    ------
    ModelError : columns that are missing (named, with the closest names at hand).
    """
    if not isinstance(X, pd.DataFrame):
        matrix, notes = as_matrix(X, len(names), model)
        notes.append(f"Columns matched by order: {listed(names)}.")
        return pd.DataFrame(matrix, columns=list(names)), notes
    available = {str(column): column for column in X.columns}
    missing = [name for name in names if name not in available]
    if missing:
        raise ModelError(_missing(missing, names, list(available), model))
    wanted = set(names)
    extra = [column for column in available if column not in wanted]
    notes = [f"Columns the model does not use: {listed(extra)}."] if extra else []
    frame = X[[available[name] for name in names]]
    return plain_frame(frame.set_axis(list(names), axis=1)), notes


def _missing(missing: list[str], names: Sequence[str], available: list[str], model: str) -> str:
    wanted = set(names)
    spare = [column for column in available if column not in wanted]
    pairs = [(name, _closest(name, spare)) for name in missing]
    close = [f"{name} may be {found!r} here" for name, found in pairs if found is not None]
    hint = f" ({listed(close, 4)})" if close else ""
    none = len(missing) == len(names) > 1
    share = "none of them is" if none else f"{len(missing):,} of them "
    if not none:
        share += "is not" if len(missing) == 1 else "are not"
    return (
        f"{model} was fitted on {len(names):,} columns, and {share} among the features: "
        f"{listed(missing)}{hint}. "
        f"The features here are {listed(available)}. Rename the columns, or set them as features."
    )


def _closest(name: str, available: list[str]) -> str | None:
    def bare(text: str) -> str:
        return re.sub(r"[\W_]+", "", text).casefold()

    for column in available:
        if bare(column) == bare(name):
            return column
    found = difflib.get_close_matches(name, available, n=1, cutoff=0.75)
    return found[0] if found else None


def as_matrix(
    X: pd.DataFrame | npt.NDArray[Any], n_features: int | None, model: str
) -> tuple[npt.NDArray[Any], list[str]]:
    """`(n, n_features)` for a model that knows no column names; images are flattened.

    Raises
    ------
    ModelError : another number of columns; both numbers are named.
    """
    notes: list[str] = []
    if isinstance(X, pd.DataFrame):
        values = plain_frame(X)
        matrix = _frame_values(values)
        if n_features in (None, matrix.shape[1]):
            notes.append(f"Columns matched by order: {listed(list(X.columns))}.")
        columns = f" ({listed(list(X.columns))})"
    else:
        matrix, columns = np.asarray(X), ""
    if matrix.ndim == 1:
        matrix = matrix[:, None]
    if n_features is None or (matrix.ndim == 2 and matrix.shape[1] == n_features):
        return matrix, notes
    each = matrix.shape[1:]
    if matrix.ndim > 2 and int(np.prod(each)) == n_features:
        notes.append(f"Images of shape {each} were flattened to {n_features:,} columns.")
        return matrix.reshape(len(matrix), n_features), notes
    given = f"{each[0]:,} columns{columns}" if matrix.ndim == 2 else f"arrays of shape {each}"
    raise ModelError(
        f"{model} was fitted on {n_features:,} columns without names; the features here are "
        f"{given}. Set the same columns as features, in the order used for fitting."
    )


def text_column(
    X: pd.DataFrame | npt.NDArray[Any], model: str
) -> tuple[npt.NDArray[Any], list[str]]:
    """`(n,)` texts for a model whose first step splits text into words; missing becomes "".

    Raises
    ------
    ModelError : no text column, or several.
    """
    if not isinstance(X, pd.DataFrame):
        values = np.asarray(X)
        if values.ndim > 1 and values.shape[1:] != (1,):
            raise ModelError(
                f"{model} reads one column of text; the features here are arrays of shape "
                f"{values.shape[1:]}. Load a table and set the text column as the only feature."
            )
        X = pd.DataFrame({"text": values.ravel()})
    texts = [column for column in X.columns if _holds_text(X[column])]
    if len(texts) != 1:
        found = f"{len(texts):,} ({listed(texts)})" if texts else "none"
        raise ModelError(
            f"{model} reads one column of text; the features here hold {found}. "
            "Set the text column as the only text feature."
        )
    notes = [f"Column {texts[0]} is read as text."] if X.shape[1] > 1 else []
    values = X[texts[0]].astype("object").to_numpy(copy=True)
    values[pd.isna(values)] = ""
    return values, notes


def _holds_text(series: pd.Series[Any]) -> bool:
    return pd.api.types.infer_dtype(series, skipna=True) in ("string", "categorical")


def plain_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with nullable, Arrow and string columns as the NumPy dtypes that libraries expect.

    Missing becomes NaN; text becomes object; categories and dates stay.
    """
    changed = {}
    for column, dtype in zip(frame.columns, frame.dtypes, strict=True):
        if isinstance(dtype, _KEPT):  # a look at the column itself takes far longer
            continue
        series = frame[column]
        plain = _plain(series)
        if plain is not series:
            changed[column] = plain
    return frame.assign(**changed) if changed else frame


_KEPT = (np.dtype, pd.CategoricalDtype, pd.DatetimeTZDtype, pd.PeriodDtype, pd.SparseDtype)


def _plain(series: pd.Series[Any]) -> pd.Series[Any]:
    dtype = series.dtype
    if isinstance(dtype, _KEPT):
        return series
    if pd.api.types.is_bool_dtype(dtype):
        return series.astype("object" if series.hasnans else "bool")
    if pd.api.types.is_numeric_dtype(dtype):
        if pd.api.types.is_integer_dtype(dtype) and not series.hasnans:
            return series.astype("int64")
        values = series.to_numpy(dtype="float64", na_value=np.nan)
        return pd.Series(values, index=series.index, name=series.name)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        zone = series.dt.tz
        return series.astype("datetime64[ns]" if zone is None else pd.DatetimeTZDtype("ns", zone))
    values = series.astype("object").to_numpy(copy=True)
    values[series.isna().to_numpy()] = np.nan
    return pd.Series(values, index=series.index, name=series.name, dtype="object")


def _frame_values(frame: pd.DataFrame) -> npt.NDArray[Any]:
    """One array: the common number type, or object where a column holds no numbers."""
    kinds = {dtype.kind if isinstance(dtype, np.dtype) else "O" for dtype in frame.dtypes}
    if not kinds <= set("iufb"):
        return frame.astype("object").to_numpy()
    return frame.to_numpy() if len(kinds) == 1 else frame.to_numpy(dtype="float64")


def first_line(problem: Any) -> str:
    """The first line of an exception's message without its full stop, or its class."""
    text = str(problem).strip()
    return text.splitlines()[0].strip().rstrip(".:") if text else type(problem).__name__


def failure(name: str, error: Exception, X: Any, some: tuple[int, int] | None = None) -> str:
    """A model's own failure in one sentence, and what to check in the data.

    `some` : how many of how many rows it failed on, where it answers the others.
    """
    where = "these rows" if some is None else f"{some[0]:,} of {some[1]:,} rows"
    message = f"{name} failed on {where}: {type(error).__name__}: {first_line(error)}"[:400]
    return f"{message}. {_advice(X, str(error))}"


def _advice(X: Any, message: str) -> str:
    """What to check in the data for a failure with this message; one sentence."""
    if not isinstance(X, pd.DataFrame):
        return "Check that these rows look like the ones that the model was fitted on."
    missing = [column for column in X.columns if X[column].isna().any()]
    text = [
        column
        for column in X.columns
        if not pd.api.types.is_numeric_dtype(X[column].dtype)
        and not pd.api.types.is_datetime64_any_dtype(X[column].dtype)
    ]
    if re.search(r"\bnan\b|missing|null", message, re.IGNORECASE) and missing:
        return (
            f"Missing values are in {listed(missing)}: fill them, or export the pipeline that does."
        )
    if re.search(r"convert|string|float|dtype|isnan|ufunc", message, re.IGNORECASE) and text:
        return (
            f"Text is in {listed(text)}: leave these columns out, or export the pipeline that "
            "encodes them."
        )
    return "Check that these columns look like the ones that the model was fitted on."
