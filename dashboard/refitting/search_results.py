"""The trials that a loaded search object carries in its `cv_results_`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..contracts import Model, Work
from ..errors import NotApplicable
from ..frames import Frame, FrameError, plain_text
from ..models import EstimatorModel

__all__ = ["read_search_columns", "search_results"]

Answer = tuple[dict[str, Any], Sequence[Any]]
Columns = dict[str, list[Any]]

_MOST_TRIALS, _MOST_COLUMNS, _LETTERS = 20_000, 2_000, 200


def search_results(
    model: Model, tables: Mapping[str, Any], arguments: Mapping[str, Any], work: Work
) -> Answer:
    """`cv_results_` of a fitted grid, random or halving search, or of the last step of a pipeline.

    Returns
    -------
    Header "columns": name → one plain value for each trial, None where there is none; values that
    are no plain values are their text. No arrays.

    Raises
    ------
    NotApplicable : the model is no search.
    """
    found = _held(model)
    columns: Columns = {}
    for name, values in found.items():
        if name != "params":
            absent = getattr(values, "mask", None)
            columns[str(name)] = [
                None if absent is not None and absent is not False and _at(absent, k) else _plain(v)
                for k, v in enumerate(getattr(values, "data", values))
            ]
    return {"columns": columns}, ()


def _at(mask: Any, k: int) -> bool:
    return bool(mask[k]) if getattr(mask, "shape", ()) else bool(mask)


def _held(model: Model) -> Mapping[str, Any]:
    estimator = model.estimator if isinstance(model, EstimatorModel) else None
    steps = getattr(estimator, "steps", None)
    for one in (estimator, steps[-1][1] if steps else None):
        results = getattr(one, "cv_results_", None)
        if isinstance(results, dict) and any(name.startswith("mean_test_") for name in results):
            return results
    raise NotApplicable(
        "This model carries no results of a search: it is no fitted GridSearchCV or the like. Give "
        "the results as a file: pandas.DataFrame(search.cv_results_).to_csv(path)."
    )


def _plain(value: Any) -> Any:
    """A parameter that was set to None is the text "None"; no value at all is None."""
    if value is None:
        return "None"
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (bool, int)):
        return value
    return " ".join(str(value).split())[:_LETTERS]


def read_search_columns(frame: Frame) -> Columns:
    """What "search_results" answers.

    Raises
    ------
    FrameError : anything else.
    """
    told = frame.header.get("columns")
    if not isinstance(told, dict) or not 1 <= len(told) <= _MOST_COLUMNS:
        raise FrameError("The results of a search are missing.")
    lengths = {len(values) if isinstance(values, list) else -1 for values in told.values()}
    if len(lengths) != 1 or not 1 <= lengths.pop() <= _MOST_TRIALS:
        raise FrameError("The columns of a search differ in length.")
    return {plain_text(name, _LETTERS): [_checked(v) for v in held] for name, held in told.items()}


def _checked(value: Any) -> Any:
    if value is None or type(value) in (bool, int):
        return value
    if type(value) is float and math.isfinite(value):
        return value
    return plain_text(value, _LETTERS)
