"""Findings on learning curves, and answers out of fold, as tables that other tools read."""

from __future__ import annotations

import io
import re
from functools import partial
from pathlib import Path

import pandas as pd

from .errors import ParameterError
from .learning.gathered import Learning
from .learning.rows import PART, TRAIN
from .report import safe_csv, write_rendered

__all__ = ["write_findings", "write_out_of_fold"]


def write_findings(found: Learning, path: str | Path) -> Path:
    """The findings themselves: code, severity, sentence, evidence, remedies; verdicts first.

    Raises
    ------
    ParameterError : the suffix names no table format, or nothing can be written there.
    """
    path = Path(path)
    return write_rendered(path, lambda: _table_bytes(found.findings_table(), path))


def write_out_of_fold(found: Learning, path: str | Path) -> list[Path]:
    """The answers of every cross-validated model, each a file of predictions for the same rows.

    One model's are written to `path`; of several each to a file of its own, its name added.

    Raises
    ------
    ParameterError : no model was cross-validated, the suffix names no table format, or nothing can
        be written there; CSV that would have to change a label so that no spreadsheet runs it.
    """
    path, made = Path(path), []
    if found.evalset is None or not found.validations:
        raise ParameterError("No model was cross-validated, so there are no answers out of fold.")
    for name, one in zip(_file_names(found, path), found.validations, strict=True):
        frame = one.out_of_fold(found.evalset).frame(found.evalset)
        if PART in found.evalset.frame:  # test rows came as a file of their own
            own = found.evalset.frame[PART].to_numpy() == TRAIN
            frame = frame[own].reset_index(drop=True)
        made.append(write_rendered(name, partial(_answer_bytes, frame, name)))
    return made


def _file_names(found: Learning, path: Path) -> list[Path]:
    if len(found.validations) == 1:
        return [path]
    names: list[Path] = []
    for one in found.validations:
        bare = re.sub(r"[^\w.-]+", "_", one.model)
        name, times = path.with_name(f"{path.stem}-{bare}{path.suffix}"), 1
        while name in names:
            times += 1
            name = path.with_name(f"{path.stem}-{bare}-{times}{path.suffix}")
        names.append(name)
    return names


def _answer_bytes(frame: pd.DataFrame, path: Path) -> bytes:
    content = _table_bytes(frame, path)
    if path.suffix.lower() == ".csv" and content != frame.to_csv(index=False).encode():
        raise ParameterError(
            f"{path} would change labels or ids that begin like a formula, so that no spreadsheet "
            "runs them, and could not be read back. Write .parquet instead."
        )
    return content


def _table_bytes(frame: pd.DataFrame, path: Path) -> bytes:
    """A table as its suffix says: .csv, .json, .parquet, .feather or .arrow.

    Raises
    ------
    ParameterError : another suffix.
    """
    suffix = path.suffix.lower()
    stream = io.BytesIO()
    if suffix == ".csv":
        return safe_csv(frame).encode()
    if suffix == ".json":
        return (frame.to_json(orient="records", double_precision=15) or "").encode()
    if suffix in (".parquet", ".pq"):
        frame.to_parquet(stream, index=False)
    elif suffix in (".feather", ".arrow"):
        frame.to_feather(stream)
    else:
        raise ParameterError(
            f"{path} names no table format. Use .csv, .json, .parquet, .feather or .arrow."
        )
    return stream.getvalue()
