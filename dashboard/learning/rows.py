"""The rows that models are fitted on again, and those that are kept apart to test them on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..data import ALL_ROWS, EvalSet, Table, infer_roles, read_table
from ..data.concatenation import concatenate
from ..errors import ParameterError
from ..evaluation import as_evalset
from ..settings import Settings
from .folding import TEST_PARTS

__all__ = ["PART", "TRAIN", "count_training_rows", "rows_to_fit"]

PART = "part of the data"  # the column that tells rows of the two files apart
TRAIN, TEST = "train", "test"
TRAIN_PARTS = frozenset((TRAIN, "training", "fit"))


def rows_to_fit(
    data: Any,
    y: Any,
    target: str | Sequence[str] | None,
    roles: dict[str, Any],
    settings: Settings,
    test_data: Any = None,
) -> EvalSet:
    """All rows, those of a test part among them: folds leave these out.

    `roles` : what the reader takes, and the columns `group` and `time`; `test_data` : rows of the
    same columns that are the test part.

    Raises
    ------
    DataError : something cannot be read, or the columns of both differ.
    ParameterError : what does not go together.
    """
    chosen = {name: roles.pop(name) for name in ("group", "time") if roles.get(name) is not None}
    if test_data is not None:
        data = _both(data, y, test_data, roles, settings)
        chosen["split"], y = PART, None
    if isinstance(data, EvalSet):
        return data
    roles.setdefault("split_value", ALL_ROWS)
    if chosen:
        if not isinstance(data, str | Path | Table):
            raise ParameterError("group and time name columns of a file; give its path.")
        data = data if isinstance(data, Table) else read_table(Path(data))
        own = infer_roles(data, target=target)
        if "split" in chosen and own.split is not None:
            own = own.replace_role(own.split, "ignore")
        for role, column in chosen.items():
            own = own.replace_role(str(column), role)
        roles, target = {**roles, "roles": own}, None
    return as_evalset(data, y, target, **roles)


def count_training_rows(evalset: EvalSet) -> int | None:
    """How many rows its models learned from, by the split column; None where nothing tells it.

    `evalset` : all rows. Those called train count; where none is, all that are not the test part.
    """
    if evalset.split is None:
        return None
    parts = evalset.split.dropna().astype("str").str.strip().str.lower()
    test = parts.isin(TEST_PARTS)
    n = int(parts.isin(TRAIN_PARTS).sum()) or (int((~test).sum()) if test.any() else 0)
    return n or None


def _both(data: Any, y: Any, test_data: Any, roles: dict[str, Any], settings: Settings) -> Table:
    """One table of both, with the column `PART`."""
    if roles.get("split_value") is not None:
        raise ParameterError(
            "Test rows were given apart, and a part of the split as well. Give one of them."
        )
    if y is not None:
        raise ParameterError(
            "Test rows need the target among their columns, and so do the others: give it by its "
            "name instead of y."
        )
    tables = [_table(data), _table(test_data)]
    joined = concatenate(tables, settings)
    if joined.n_read != sum(table.n_read for table in tables):
        raise ParameterError(
            f"{tables[1].name} has the content of {tables[0].name}. Test on rows that no model "
            "learns from."
        )
    part = np.repeat([TRAIN, TEST], [table.n_read for table in tables])
    frame = joined.frame.assign(**{PART: pd.Series(part, dtype="str")})
    return replace(joined, frame=frame)


def _table(item: Any) -> Table:
    if isinstance(item, Table):
        return item
    if isinstance(item, str | Path):
        return read_table(Path(item))
    if isinstance(item, pd.DataFrame):
        return Table.from_frame("in memory", item)
    raise ParameterError(
        f"Rows and test rows are given as {type(item).__name__}; needed are two files, or two "
        "frames."
    )
