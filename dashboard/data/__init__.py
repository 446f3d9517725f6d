"""Data in: the one door to tables, roles, evaluation sets and prediction files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..settings import Settings
from .data_folder import DataFile, list_data_files, read_data_files
from .evalsets import (
    ALL_ROWS,
    EvalSet,
    LedgerLine,
    RowLedger,
    build_evalset,
    evalset_from_frame,
)
from .histories import (
    HistoryKind,
    history_as_said,
    identify_history,
    is_training_log,
    may_be_history,
)
from .prediction_columns import PredictionColumns, infer_prediction_columns
from .prediction_files import evalset_and_predictions, infer_answers, read_predictions
from .readers import Table, read_table, read_tables
from .roles import Roles, infer_roles

__all__ = [
    "ALL_ROWS",
    "DataFile",
    "EvalSet",
    "HistoryKind",
    "LedgerLine",
    "PredictionColumns",
    "Roles",
    "RowLedger",
    "Table",
    "build_evalset",
    "evalset_and_predictions",
    "evalset_from_frame",
    "history_as_said",
    "identify_history",
    "infer_answers",
    "infer_prediction_columns",
    "infer_roles",
    "is_training_log",
    "list_data_files",
    "load_data",
    "may_be_history",
    "read_data_files",
    "read_predictions",
    "read_table",
    "read_tables",
]


def load_data(
    path: Path | str | Sequence[Path | str],
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

    Several paths are files of one schema, such as a train and a test file (`read_tables`).
    `options` as for `build_evalset`: `roles`, `task`, `pos_label`, `split_value`.

    Raises
    ------
    DataError : the file cannot be read, or cannot be evaluated as it is.
    """
    paths = [path] if isinstance(path, (str, Path)) else path
    table = read_tables(
        [(Path(each), Path(each).name) for each in paths],
        settings=settings,
        delimiter=delimiter,
        encoding=encoding,
        decimal=decimal,
        sheet=sheet,
    )
    return build_evalset(table, target=target, settings=settings, **options)
