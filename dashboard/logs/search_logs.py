"""Searches over parameters as tables: scikit-learn's `cv_results_`, Optuna's trials, plain CSV.

`search.cv_results_` as CSV or JSON of any of pandas' forms; `study.trials_dataframe()` as CSV;
KerasTuner's folders as a zip archive or as files by name; any table with one row a trial.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from ..contracts import SearchResults
from ..errors import DataError
from ..wording import listing, plural
from .search_columns import HINTS, read_plain, roles_of
from .search_tables import read_cv_results, read_optuna
from .tuner_folders import MOST_TRIALS, is_trial, read_tuner_folder, tuner_members

__all__ = [
    "SearchKind",
    "identify_search",
    "read_search",
    "search_as_said",
    "search_files",
    "suggest_roles",
]

_MOST_BYTES = 64 << 20
_HEADER = 1 << 18  # with 200 parameters a header has some thousand letters
Kind = Literal["scikit-learn", "Optuna", "KerasTuner", "table"]
Content = bytes | Path


@dataclass(frozen=True)
class SearchKind:
    """A file of search results.

    Attributes
    ----------
    kind : who wrote it; "table" for plain ones, whose columns may need to be told.
    n_trials : all, unfinished ones included.
    """

    kind: Kind
    n_trials: int

    def sentence(self) -> str:
        """What was recognised, and what happens with it."""
        trials = plural(self.n_trials, "trial")
        who = "a" if self.kind == "table" else f"a {self.kind}"
        return f"Results of {who} search with {trials}; kept for the page on learning."


def identify_search(content: bytes, name: str) -> SearchKind | None:
    """What search wrote a file, or None for every other file; `name` decides nothing.

    A plain table of trials is not recognised here; see `judge_trials` and `search_as_said`.
    """
    del name
    if not content or len(content) > _MOST_BYTES:
        return None
    if content[:4] == b"PK\x03\x04":
        return _archive(content)
    start = content[:_HEADER].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] in (b"{", b"["):
        hinted = any(word in start for word in (b"mean_test_", b"params_", b"trial_id"))
    else:
        hinted = _kind(_header(start.decode("utf-8", "replace"))[0]) is not None
    if not hinted:
        return None
    try:
        if is_trial(content):
            return SearchKind("KerasTuner", 1)
        columns = _columns(content, "")
    except DataError:
        return None
    kind = _kind(list(columns))
    return None if kind is None else SearchKind(kind, _length(columns))


def search_as_said(content: Content, name: str) -> SearchKind:
    """A table that a person says to hold one trial a row.

    Raises
    ------
    DataError : it is no table.
    """
    columns = _columns(_bytes(name, content), name)
    return SearchKind(_kind(list(columns)) or "table", _length(columns))


def suggest_roles(content: Content, name: str) -> dict[str, str]:
    """Column → role, as the names of a plain table say it; see `read_search`.

    Raises
    ------
    DataError : it is no table.
    """
    return roles_of(_columns(_bytes(name, content), name))


def search_files(path: Path) -> dict[str, Path]:
    """What `read_search` takes of a path: the file, or every trial below KerasTuner's folder.

    Raises
    ------
    DataError : no such file; a folder without trials, or with more than are read.
    """
    if path.is_file():
        return {path.name: path}
    found = sorted(path.rglob("trial.json")) if path.is_dir() else []
    if not 1 <= len(found) <= MOST_TRIALS:
        raise DataError(
            f"{path.name} holds {plural(len(found), 'trial')} of KerasTuner (trial.json); 1 to "
            f"{MOST_TRIALS:,} are read. Name a table of trials, or the folder of one project."
        )
    return {str(one.relative_to(path.parent)): one for one in found}


def _archive(content: bytes) -> SearchKind | None:
    try:
        trials = len(tuner_members(content))
    except DataError:
        return None
    return SearchKind("KerasTuner", trials) if trials else None


def read_search(
    files: Mapping[str, Content],
    *,
    mapping: Mapping[str, str] | None = None,
    larger_is_better: bool | None = None,
) -> SearchResults:
    """The trials of one search.

    Parameters
    ----------
    files : names → contents: one table, one zip archive, or all `trial.json` of a folder.
    mapping : for plain tables, column → "parameter", "score", "train", "sd", "seconds", "status",
        "trial", "resource" or "ignore"; overrides what the names say.
    larger_is_better : of the first metric, where neither the file nor its name says it.

    Raises
    ------
    DataError : no search, or nothing that can be read as one; a mapping that does not fit.
    """
    if not files:
        raise DataError("No file was given. Give a table of trials or a folder of KerasTuner.")
    contents = {name: _bytes(name, content) for name, content in files.items()}
    first = next(iter(contents))
    if contents[first][:4] == b"PK\x03\x04":
        return read_tuner_folder(tuner_members(contents[first]), first)
    trials = {name: content for name, content in contents.items() if is_trial(content)}
    if trials:
        return read_tuner_folder(contents, _folder_of(list(trials)))
    columns = _columns(contents[first], first)
    kind = _kind(list(columns)) if mapping is None else None
    if kind == "scikit-learn":
        return read_cv_results(columns, first)
    if kind == "Optuna":
        return read_optuna(columns, first, larger_is_better)
    return read_plain(columns, first, mapping or {}, larger_is_better)


def _bytes(name: str, content: Content) -> bytes:
    size = content.stat().st_size if isinstance(content, Path) else len(content)
    if size > _MOST_BYTES:
        raise DataError(
            f"{name} has {size / 2**20:,.0f} MB; results of a search are read up to "
            f"{_MOST_BYTES >> 20} MB. Leave out columns that are not needed."
        )
    return content.read_bytes() if isinstance(content, Path) else bytes(content)


def _folder_of(names: Sequence[str]) -> str:
    parts = Path(names[0].replace("\\", "/")).parts
    return parts[-3] if len(parts) > 2 else parts[0]


def _kind(names: Sequence[str]) -> Kind | None:
    """Who writes such columns."""
    if any(name.startswith("mean_test_") for name in names) and any(
        name.startswith("param_") or name == "params" for name in names
    ):
        return "scikit-learn"
    values = any(name == "value" or name.startswith("values_") for name in names)
    if values and {"number", "state"} <= set(names):
        return "Optuna"
    return None


def _length(columns: Mapping[str, Sequence[Any]]) -> int:
    return len(next(iter(columns.values()), ()))


# --- tables of any form → columns --------------------------------------------------------------


def _columns(content: bytes, name: str) -> dict[str, list[Any]]:
    """Columns by name: texts from CSV, values from JSON."""
    start = content[:_HEADER].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start or b"\0" in start:
        raise DataError(
            f"{name or 'The file'} is empty or no text. Give the results as CSV or JSON: {HINTS}."
        )
    text = content.decode("utf-8-sig", "replace")
    found = _json_columns(text, name) if start[:1] in (b"{", b"[") else _csv_columns(text, name)
    if not found or not _length(found):
        raise DataError(f"{name or 'The file'} holds no trial. Save the results after the search.")
    return found


def _header(text: str) -> tuple[list[str], str]:
    """The names of the first line, and what parts them."""
    line = text.split("\n", 1)[0]
    separator = max(",;\t", key=line.count)
    return [one.strip(' "\r') for one in line.split(separator)], separator


def _csv_columns(text: str, name: str) -> dict[str, list[Any]]:
    separator = _header(text)[1]
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if row]
    except csv.Error as error:
        raise DataError(f"{name} is no table ({error}). Save it as CSV again.") from error
    if len(rows) < 2:
        raise DataError(f"{name} holds no trial. Save the results after the search.")
    names = [column.strip() for column in rows[0]]
    short = [k for k, row in enumerate(rows) if len(row) != len(names)]
    if short:
        raise DataError(
            f"Line {short[0] + 1:,} of {name} has {len(rows[short[0]])} fields, the header has "
            f"{len(names)}. Save the file as CSV again."
        )
    if len(set(names)) < len(names):
        twice = sorted({one for one in names if names.count(one) > 1})
        raise DataError(f"{name} names {listing(twice)} twice. Name each column once.")
    return {one: [row[k] for row in rows[1:]] for k, one in enumerate(names)}


def _json_columns(text: str, name: str) -> dict[str, list[Any]]:
    try:
        found = _loaded(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} is no complete JSON. Save the results again.") from error
    if isinstance(found, dict) and isinstance(found.get("cv_results_"), dict):
        found = found["cv_results_"]
    if isinstance(found, dict) and {"columns", "data"} <= set(found):
        found = [dict(zip(map(str, found["columns"]), row, strict=True)) for row in found["data"]]
    if isinstance(found, list):
        return _records(found, name)
    columns = {
        str(key): list(values.values()) if isinstance(values, dict) else values
        for key, values in (found.items() if isinstance(found, dict) else ())
    }
    columns = {key: values for key, values in columns.items() if isinstance(values, list)}
    if len({len(values) for values in columns.values()}) != 1:
        raise DataError(
            f"{name} holds no table: columns of equal length are needed. Save the results with "
            "pandas: DataFrame(…).to_json(path)."
        )
    return columns


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]


def _records(found: list[Any], name: str) -> dict[str, list[Any]]:
    if not all(isinstance(row, dict) for row in found):
        raise DataError(f"{name} holds a list of other things than trials. Save it as CSV.")
    names = list(dict.fromkeys(str(key) for row in found for key in row))
    return {key: [row.get(key) for row in found] for key in names}


def frame_columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """The columns of a frame in memory, missing values as None."""
    return {
        str(name): [None if isinstance(v, float) and math.isnan(v) else v for v in column]
        for name, column in zip(frame.columns, (frame[c].tolist() for c in frame), strict=True)
    }
