"""Which of the person's columns each column comes from that a pipeline makes of them.

Every step is tried on a few rows on the way, so that its own widths count. Where one column is
made of several (PCA, products), or a step cannot be followed, the answer is None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["as_dense", "by_trial", "follow"]

IntArray = npt.NDArray[np.integer[Any]]
Followed = tuple[Any, IntArray | None]

# Steps of unknown kinds are tried column by column up to this many.
MOST_TRIED = 300
# Column by column, nothing else of the row counts.
_ONE_TO_ONE = frozenset(
    (
        "StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "PowerTransformer",
        "QuantileTransformer", "Binarizer", "OrdinalEncoder",
    )
)  # fmt: skip


def as_dense(values: Any) -> Any:
    """Sparse matrices as arrays; everything else as it is."""
    return values.toarray() if hasattr(values, "toarray") else values


def follow(step: Any, given: Any, sources: IntArray) -> Followed:
    """What the fitted `step` makes of some rows, and `(m,)` where each column comes from.

    Parameters
    ----------
    given : `(n, m_in)` rows before the step, `(n,)` of texts for a step that takes one column.
    sources : `(m_in,)` for each column before the step the column of the person.
    """
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return given, sources
    kind = type(step).__name__
    if _steps(step) is not None:
        return _through_pipeline(step, given, sources)
    made = step.transform(given)
    width = made.shape[1] if np.ndim(made) == 2 or hasattr(made, "toarray") else 1
    if len(set(sources.tolist())) == 1:  # whatever it does, there is nothing to mix
        return made, np.full(width, sources[0])
    of_sklearn = type(step).__module__.split(".")[0] == "sklearn"
    known = _KNOWN.get(kind) if of_sklearn else None
    if known is not None:
        found = known(step, given, sources, width)
    elif of_sklearn and kind in _ONE_TO_ONE:
        found = sources
    elif of_sklearn and hasattr(step, "get_support"):
        found = sources[step.get_support()]
    else:
        found = by_trial(step.transform, given, sources)
    return made, found if found is not None and len(found) == width else None


def _steps(step: Any) -> list[Any] | None:
    steps = getattr(step, "steps", None)
    return [one for _, one in steps] if isinstance(steps, list) else None


def _through_pipeline(step: Any, given: Any, sources: IntArray) -> Followed:
    found: IntArray | None = sources
    for one in _steps(step) or ():
        if found is None:
            return given, None
        given, found = follow(one, given, found)
    return given, found


# ---- steps that make several columns of one --------------------------------------------------


def _one_hot(step: Any, given: Any, sources: IntArray, width: int) -> IntArray:
    return np.repeat(sources, step._n_features_outs)


def _binned(step: Any, given: Any, sources: IntArray, width: int) -> IntArray:
    encoder = getattr(step, "_encoder", None)
    return sources if encoder is None else _one_hot(encoder, given, sources, width)


def _evenly(step: Any, given: Any, sources: IntArray, width: int) -> IntArray | None:
    """As many columns of each: splines; target encodings of several classes."""
    each, rest = divmod(width, len(sources))
    return None if rest else np.repeat(sources, each)


def _imputed(step: Any, given: Any, sources: IntArray, width: int) -> IntArray:
    """Columns without any value are left out; indicators of missing values follow."""
    kept = sources
    if not getattr(step, "keep_empty_features", False):
        kept = sources[~pd.isna(np.asarray(step.statistics_, dtype=object))]
    indicator = getattr(step, "indicator_", None)
    return kept if indicator is None else np.append(kept, sources[indicator.features_])


def _indicated(step: Any, given: Any, sources: IntArray, width: int) -> IntArray:
    found: IntArray = sources[step.features_]
    return found


def _polynomial(step: Any, given: Any, sources: IntArray, width: int) -> IntArray | None:
    """Powers of one column; a product of two has no one source."""
    found = []
    for powers in step.powers_:
        of = set(sources[powers > 0].tolist())
        if len(of) > 1:
            return None
        found.append(of.pop() if of else int(sources[0]))  # the column of ones adds nothing
    return np.array(found, dtype=np.int64)


def _function(step: Any, given: Any, sources: IntArray, width: int) -> IntArray | None:
    if step.func is None or (isinstance(step.func, np.ufunc) and step.func.nin == 1):
        return sources
    return by_trial(step.transform, given, sources)


# ---- steps that send columns different ways --------------------------------------------------


def _by_columns(step: Any, given: Any, sources: IntArray, width: int) -> IntArray | None:
    """`ColumnTransformer`: each part on its columns, its results where it puts them."""
    found = np.full(width, -1, dtype=np.int64)
    for name, part, _ in step.transformers_:
        place = step.output_indices_.get(name)
        if place is None or place.start == place.stop or part == "drop":
            continue
        columns = np.asarray(step._transformer_to_input_indices[name], dtype=np.int64)
        text = isinstance(_columns_of(step, name), str)
        inner = _part_sources(part, _pick(given, columns, text), sources[columns])
        if inner is None or len(inner) != place.stop - place.start:
            return None
        found[place] = inner
    return None if (found < 0).any() else found


def _part_sources(part: Any, given: Any, sources: IntArray) -> IntArray | None:
    return follow(part, given, sources)[1]


def _columns_of(step: Any, name: str) -> Any:
    return next((columns for key, _, columns in step.transformers_ if key == name), None)


def _pick(given: Any, columns: IntArray, as_text: bool) -> Any:
    """Some columns; `(n,)` for a part that was given a single name."""
    if isinstance(given, pd.DataFrame):
        return given.iloc[:, int(columns[0])] if as_text else given.iloc[:, columns]
    return given[:, int(columns[0])] if as_text else given[:, columns]


def _united(step: Any, given: Any, sources: IntArray, width: int) -> IntArray | None:
    """`FeatureUnion`: the results of all parts, side by side."""
    found: list[IntArray] = []
    for _, part in step.transformer_list:
        if isinstance(part, str) and part == "drop":
            continue
        inner = _part_sources(part, given, sources)
        if inner is None:
            return None
        found.append(inner)
    return np.concatenate(found) if found else None


_KNOWN: dict[str, Callable[[Any, Any, IntArray, int], IntArray | None]] = {
    "OneHotEncoder": _one_hot,
    "KBinsDiscretizer": _binned,
    "SplineTransformer": _evenly,
    "TargetEncoder": _evenly,
    "SimpleImputer": _imputed,
    "MissingIndicator": _indicated,
    "PolynomialFeatures": _polynomial,
    "FunctionTransformer": _function,
    "ColumnTransformer": _by_columns,
    "FeatureUnion": _united,
}


# ---- steps of any kind -----------------------------------------------------------------------


def by_trial(transform: Callable[[Any], Any], given: Any, sources: IntArray) -> IntArray | None:
    """Sources found out by changing one of the person's columns at a time.

    None where a column reacts to several, or to none of them: that it never reacted on a few rows
    does not say what it is made of.
    """
    known = sorted(set(sources.tolist()))
    if len(known) > MOST_TRIED or len(given) < 2 or np.ndim(given) != 2:
        return None
    before = _table(transform(given))
    found = np.full(before.shape[1], -1, dtype=np.int64)
    for source in known:
        after = _table(transform(_shuffled(given, np.flatnonzero(sources == source))))
        if after.shape != before.shape:
            return None
        moved = (after != before).any(axis=0)
        if (found[moved] >= 0).any():
            return None
        found[moved] = source
    return None if (found < 0).any() else found


def _table(made: Any) -> npt.NDArray[Any]:
    """`(n, m)` cells that can be compared: missing values are equal to each other."""
    cells = np.asarray(as_dense(made), dtype=object)
    cells = cells.reshape(len(cells), -1)
    return np.where(pd.isna(cells), "", cells)


def _shuffled(given: Any, columns: IntArray) -> Any:
    """The rows with the values of some columns moved on by one row."""
    if isinstance(given, pd.DataFrame):
        changed = given.copy()
        for at in columns:
            changed.isetitem(at, given.iloc[np.r_[1 : len(given), 0], at].array)
        return changed
    table = np.array(as_dense(given))
    table[:, columns] = np.roll(table[:, columns], -1, axis=0)
    return table
