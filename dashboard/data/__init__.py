"""Data in: the one door to tables, roles, evaluation sets and prediction files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..settings import Settings
from .evalsets import (
    ALL_ROWS,
    EvalSet,
    LedgerLine,
    RowLedger,
    build_evalset,
    evalset_from_frame,
)
from .prediction_columns import PredictionColumns, infer_prediction_columns
from .prediction_files import evalset_and_predictions, infer_answers, read_predictions
from .readers import Table, read_table
from .roles import Roles, infer_roles

__all__ = [
    "ALL_ROWS",
    "EvalSet",
    "LedgerLine",
    "PredictionColumns",
    "Roles",
    "RowLedger",
    "Table",
    "build_evalset",
    "evalset_and_predictions",
    "evalset_from_frame",
    "infer_answers",
    "infer_prediction_columns",
    "infer_roles",
    "load_data",
    "read_predictions",
    "read_table",
]


def load_data(
    path: Path | str,
    *,
    target: str | Sequence[str] | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
    sheet: str | None = None,
    settings: Settings | None = None,
    **options: Any,
) -> EvalSet:
    """Read a file, guess the roles of its columns, and build the evaluation set.

    `options` as for `build_evalset`: `roles`, `task`, `pos_label`, `split_value`.

    Raises
    ------
    DataError : the file cannot be read, or cannot be evaluated as it is.
    """
    table = read_table(
        Path(path),
        settings=settings,
        delimiter=delimiter,
        encoding=encoding,
        decimal=decimal,
        sheet=sheet,
    )
    return build_evalset(table, target=target, settings=settings, **options)
