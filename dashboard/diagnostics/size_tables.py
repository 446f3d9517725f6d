"""Tables of training sizes and scores that somebody computed elsewhere, read as curves."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts.size_columns import (
    METRIC_NAMES,
    MODELS,
    SECONDS,
    SIZES,
    SizeColumn,
    are_size_columns,
    find_column,
    plain_name,
    understood,
)
from ..errors import DataError
from ..wording import count, listing
from .metric_list import METRICS
from .size_curves import SizeCurve

__all__ = ["is_size_table", "read_size_table"]

Floats = npt.NDArray[np.float64]

_LOWER = re.compile(r"loss|error|rmse|mse|mae|deviance|brier|log_loss|perplexity")


def is_size_table(frame: pd.DataFrame) -> bool:
    """Whether the columns are those of a table of sizes and scores."""
    return are_size_columns(list(frame.columns))


def read_size_table(
    frame: pd.DataFrame, *, model: str = "", metric: str = ""
) -> tuple[SizeCurve, ...]:
    """The curves in a table, one for each model and metric.

    A row for each size, or for each size and fold. Columns: the size (`train_size`, `n`, …); the
    scores (`train_score`, `validation_score`, `test_accuracy` …), of single folds also as
    `test_score_0` or `split0_test_score`, means with their deviation as `test_score_mean` and
    `test_score_std`; where there are any, `fold`, `model`, `fit_time`.

    Parameters
    ----------
    model, metric : their names where the table has none.

    Raises
    ------
    DataError : no sizes or no validation scores, or sizes that are no whole numbers of rows.
    """
    at = find_column(list(frame.columns), SIZES)
    columns = [one for one in map(understood, frame.columns) if one is not None]
    scores = [one for one in columns if one.part == "validation" and one.what == "score"]
    if at is None or not scores or not len(frame):
        raise DataError(
            "A table of training sizes needs a column of sizes (train_size) and one of validation "
            "scores (validation_score); the columns here are "
            f"{listing([str(name) for name in frame.columns], 8)}. Name them so."
        )
    rows = frame.loc[frame[at].notna()]
    sizes = pd.to_numeric(rows[at], errors="coerce").to_numpy(dtype=np.float64)
    if not (np.isfinite(sizes) & (sizes >= 1) & (sizes == np.round(sizes))).all():
        raise DataError(
            f"The sizes in '{at}' must be whole numbers of rows, from 1. Write rows, not shares."
        )
    left = len(frame) - len(rows)
    notes = (
        [f"{count(left)} of {count(len(frame))} rows have no size and were left out."]
        if left
        else []
    )
    curves = []
    for name, part in _parts(rows, MODELS, model or "table"):
        for measure, lines in _parts(part, METRIC_NAMES, metric):
            for one in dict.fromkeys(column.metric for column in scores):
                own = [column for column in columns if column.metric == one]
                curves.append(_curve(lines, name, measure or one or "score", own, at, notes))
    return tuple(curves)


def _parts(
    rows: pd.DataFrame, names: tuple[str, ...], otherwise: str
) -> Iterable[tuple[str, pd.DataFrame]]:
    """The rows by the values of a column; all of them where there is none of these names."""
    by = find_column(list(rows.columns), names)
    if by is None:
        return [(otherwise, rows)]
    return [(str(value), rows[rows[by] == value]) for value in rows[by].dropna().unique()]


def _curve(
    rows: pd.DataFrame,
    model: str,
    named: str,
    own: list[SizeColumn],
    at: Hashable,
    notes: list[str],
) -> SizeCurve:
    numbers = pd.to_numeric(rows[at]).to_numpy(dtype=np.int64)
    sizes = np.unique(numbers)
    train = _scores(rows, numbers, sizes, [c for c in own if c.part == "train"])
    validation = _scores(rows, numbers, sizes, [c for c in own if c.part == "validation"])
    seconds_at = find_column(list(rows.columns), SECONDS)
    seconds = np.full(validation.shape, np.nan)
    if seconds_at is not None:
        timed = _stacked(pd.to_numeric(rows[seconds_at], errors="coerce"), numbers, sizes)
        seconds = np.hstack([timed, seconds])[:, : validation.shape[1]]
    if train.shape != validation.shape:
        same = np.full(validation.shape, np.nan)
        if train.shape[1] == 1:  # one number for all folds
            same[:, 0] = train[:, 0]
        train = same
    known = METRICS.get(named)
    larger, guess = _orientation(named)
    return SizeCurve(
        model=model,
        metric=named,
        title=known.title if known is not None else named.replace("_", " ").capitalize(),
        larger_is_better=larger,
        sizes=sizes.astype(np.int64),
        train=train,
        validation=validation,
        fit_seconds=seconds,
        folds="As in the table.",
        n_done=validation.size,
        n_fits=validation.size,
        notes=(*notes, *guess),
        deviations=_deviations(rows, numbers, sizes, own),
    )


def _orientation(metric: str) -> tuple[bool, list[str]]:
    known = METRICS.get(metric)
    if known is not None:
        return known.orientation == "higher", []
    plain = plain_name(metric)
    if plain.startswith("neg_"):
        return True, []
    if _LOWER.search(plain):
        return False, []
    return True, [f"A larger {metric.replace('_', ' ')} is taken as the better one."]


def _scores(
    rows: pd.DataFrame,
    numbers: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    own: list[SizeColumn],
) -> Floats:
    """`(s, f)`: the folds of wide columns, or of several rows of one size."""
    scores = [one for one in own if one.what == "score"]
    single = sorted((one for one in scores if one.fold >= 0), key=lambda one: one.fold)
    used = single or scores[:1]
    if not used:
        return np.full((len(sizes), 1), np.nan)
    stacks = [
        _stacked(pd.to_numeric(rows[one.name], errors="coerce"), numbers, sizes) for one in used
    ]
    return np.hstack(stacks)


def _stacked(
    values: pd.Series[float], numbers: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]
) -> Floats:
    """`(s, most rows of one size)`, in the order of the table."""
    given = values.to_numpy(dtype=np.float64)
    groups = [given[numbers == size] for size in sizes]
    out = np.full((len(sizes), max(len(group) for group in groups)), np.nan)
    for place, group in enumerate(groups):
        out[place, : len(group)] = group
    return out


def _deviations(
    rows: pd.DataFrame,
    numbers: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    own: list[SizeColumn],
) -> Floats | None:
    """`(s, 2)` of a table that has means and deviations and no folds."""
    if any(one.fold >= 0 for one in own) or len(numbers) > len(sizes):
        return None
    found = {one.part: one.name for one in own if one.what == "sd"}
    if not found:
        return None
    out = np.full((len(sizes), 2), np.nan)
    for place, part in enumerate(("train", "validation")):
        if part in found:
            values = pd.to_numeric(rows[found[part]], errors="coerce")
            out[:, place] = _stacked(values, numbers, sizes)[:, 0]
    return out
