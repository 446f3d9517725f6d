"""Logs, recognised by content: histories, boosters' logs, event files, archives, searches.

They are kept for the page on learning; here only what they are and how much they hold is found, so
strictly that no data table is taken for one. `dashboard.logs` reads them.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby, islice, pairwise
from pathlib import PurePosixPath
from typing import Any, Literal

from ..contracts.size_columns import SIZES, are_only_size_columns, find_column
from ..contracts.vocabulary import plural
from ..errors import DataError
from ..logs.booster_logs import is_catboost_json, is_catboost_table, is_evaluations, writer_of
from ..logs.columns import STEP_NAMES, is_step_name, numbers_of
from ..logs.curve_tables import are_curve_names, is_curve_table, read_csv_columns
from ..logs.events import is_event_file
from ..logs.names import clean_name, is_known_metric, meaning_of
from ..logs.records import split_records
from ..logs.search_logs import SearchKind, identify_search
from ..wording import listing
from .unpacking import DAMAGED

__all__ = ["HistoryKind", "identify_history", "is_training_log"]

Kind = Literal["csv", "json", "tensorboard", "booster", "runs", "sizes"]

_MOST_BYTES = 16 << 20  # of CSV and JSON: a history has one row for each epoch
_HEADER = 1 << 16
_SNIFFED = 256
_EPOCHS = ("epoch", "epochs")
_ZIP = b"PK\x03\x04"
_MOST_RECORDS = 5_000_000
_MOST_MEMBERS = 20_000
_NESTED = re.compile(rb'\s*\{\s*"[^"]*"\s*:\s*\{\s*"[^"]*"\s*:\s*\[')
_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".txt")
# What is in an archive of a model, or of data, but in none of runs.
_MODEL = ("saved_model.pb", "MLmodel", "schema.json", "metadata.json", "[Content_Types].xml")


@dataclass(frozen=True)
class HistoryKind:
    """A training log.

    Attributes
    ----------
    kind : "csv" or "json" as Keras writes them and other tables of epochs, "booster",
        "tensorboard", or "runs" for an archive; "sizes" for scores by training size.
    steps : epochs or rounds; of an event file: records; of an archive: logs.
    metrics : the names of what was measured; unknown for event files and archives.
    is_complete : False for an event file whose last record is cut off or damaged.
    source : of "booster": whose log it is.
    unit : what is counted in a table: "epoch" or "step".
    """

    kind: Kind
    steps: int
    metrics: tuple[str, ...] = ()
    is_complete: bool = True
    source: str = ""
    unit: str = "epoch"

    def sentence(self) -> str:
        """What was recognised, and what happens with it."""
        if self.kind == "tensorboard":
            cut = "" if self.is_complete else ", cut off behind them"
            what = f"A TensorBoard event file with {plural(self.steps, 'record')}{cut}"
        elif self.kind == "runs":
            what = f"An archive with {plural(self.steps, 'training log')}"
        elif self.kind == "sizes":
            what = f"A table of {plural(self.steps, 'score')} by training size"
        elif self.kind == "booster":
            rounds = plural(self.steps, "round")
            article = "An" if self.source == "XGBoost" else "A"
            what = f"{article} {self.source} log of {rounds} with {listing(self.metrics)}"
        else:
            epochs = plural(self.steps, self.unit)
            what = f"A training history of {epochs} with {listing(self.metrics)}"
        return f"{what}; kept for the page on learning."


def identify_history(content: bytes, name: str) -> HistoryKind | SearchKind | None:
    """The log of a training or of a search in a file, or None for every other; by content alone."""
    return identify_search(content, name) or _training_log(content)


def _training_log(content: bytes) -> HistoryKind | None:
    if is_event_file(content[:_SNIFFED]):
        return _events(content)
    if content[:4] == _ZIP:
        return _archive(content)
    start = content[:_HEADER].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start or len(content) > _MOST_BYTES:
        return None
    return _json(content) if start[:1] in (b"{", b"[") else _csv(content)


def is_training_log(content: bytes) -> bool:
    """Whether a file can be nothing but a log: a table of epochs could be meant as data."""
    if content[:4] != _ZIP and not is_event_file(content[:_SNIFFED]):
        return False
    found = identify_history(content, "")
    return found is not None


# --- tables ------------------------------------------------------------------------------------


def _csv(content: bytes) -> HistoryKind | None:
    """A frame of `history.history`, what `CSVLogger` writes, tables that can be nothing else."""
    header = content[:_HEADER].split(b"\n", 1)[0].decode("utf-8-sig", "replace")
    names = [one.strip(' "\r') for one in header.replace(";", ",").replace("\t", ",").split(",")]
    by_epoch = any(name.casefold() in _EPOCHS for name in names)
    if are_only_size_columns(names) and not by_epoch:
        return _sizes(content)
    told = "loss" in header.casefold() or are_curve_names(names)
    if not told and not by_epoch and names[0] != "iter":
        return None
    try:
        columns, _ = read_csv_columns(content, "", strict=True)
    except DataError:
        return None
    if is_catboost_table(columns):
        rounds = len(columns["iter"])
        return HistoryKind("booster", rounds, _shown(list(columns)[1:]), source="CatBoost")
    if _is_by_epoch(columns):
        metrics = [column for column in columns if not is_step_name(column)]
        epochs = [cells for name, cells in columns.items() if name.casefold() in _EPOCHS]
        n = len(list(groupby(epochs[0]))) if epochs else len(columns[metrics[0]])
        by_step = not epochs and any(name.casefold() in STEP_NAMES for name in columns)
        return HistoryKind("csv", n, _shown(metrics), unit="step" if by_step else "epoch")
    return _measured("csv", dict(columns)) if "loss" in header.casefold() else None


def _sizes(content: bytes) -> HistoryKind | None:
    """A table of training sizes and scores that somebody computed elsewhere."""
    try:
        columns, _ = read_csv_columns(content, "", strict=True)
    except DataError:
        return None
    at = find_column(list(columns), SIZES)
    found = None if at is None else numbers_of(columns[str(at)], comma=True)
    if found is None or not ((found.values >= 1) & (found.values % 1 == 0)).all():
        return None
    if len(set(found.values.tolist())) < 2:
        return None
    return HistoryKind("sizes", len(found.values), _shown(list(columns)))


def _is_by_epoch(columns: dict[str, list[str]]) -> bool:
    """Known metrics over steps, or any numbers over epochs: names can be mapped where they lie."""
    if is_curve_table(columns):
        return _steps_rise(columns)
    counted = [cells for name, cells in columns.items() if name.casefold() in _EPOCHS]
    numbers = [numbers_of(cells, comma=True) for cells in columns.values()]
    return len(counted) == 1 < len(columns) and _counts_up(counted[0]) and None not in numbers


def _steps_rise(columns: dict[str, list[str]]) -> bool:
    """Some column counts up by ones, or by the same number of steps, or starts again."""
    for name, cells in columns.items():
        if is_step_name(name) and _counts_up(cells):
            return True
        if is_step_name(name):
            try:
                steps = [int(cell) for cell in cells]
            except ValueError:
                continue
            if steps[0] >= 0 and all(before <= after for before, after in pairwise(steps)):
                return True
    return False


def _json(content: bytes) -> HistoryKind | None:
    """`json.dump(history.history)`, a frame of it in any of pandas' forms, or a list of epochs."""
    start = content[:_HEADER]
    if b"loss" not in start and b'"learn_metrics"' not in start and not _NESTED.match(start):
        return None
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = _lines(content)
    if is_catboost_json(found):
        metrics = [one.get("name") for one in _dicts(found["meta"].get("learn_metrics"))]
        rounds = len(found["iterations"])
        return HistoryKind("booster", rounds, _shown(metrics), source="CatBoost")
    if is_evaluations(found):
        return _evaluations(found)
    if isinstance(found, dict) and isinstance(found.get("history"), dict):
        found = found["history"]
    if isinstance(found, list) and found and all(isinstance(row, dict) for row in found):
        names = list(found[0])
        if any(list(row) != names for row in found):
            return None
        found = {name: [row[name] for row in found] for name in names}
    if not isinstance(found, dict):
        return None
    columns = {
        str(name): list(values.values()) if isinstance(values, dict) else values
        for name, values in found.items()
    }
    return _measured("json", columns)


def _evaluations(found: dict[str, dict[str, list[Any]]]) -> HistoryKind | None:
    """Sets of rows that were watched: their names or those of their metrics say so."""
    if not all(meaning_of(f"{name} loss").said for name in found) and not all(
        is_known_metric(metric.casefold()) for one in found.values() for metric in one
    ):
        return None
    metrics = list(dict.fromkeys(metric for one in found.values() for metric in one))
    rounds = len(next(iter(next(iter(found.values())).values())))
    return HistoryKind("booster", rounds, _shown(metrics), source=writer_of(found))


def _dicts(found: Any) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _shown(names: Iterable[Any]) -> tuple[str, ...]:
    return tuple(clean_name(str(name)) for name in names)


def _lines(content: bytes) -> list[Any] | None:
    try:
        return [json.loads(line) for line in content.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        return None


def _measured(kind: Literal["csv", "json"], columns: dict[str, Any]) -> HistoryKind | None:
    """A history is numbers by epoch, one of them a loss, and epochs that count up by one."""
    if not all(isinstance(values, list) for values in columns.values()):
        return None
    lengths = {len(values) for values in columns.values()}
    epochs = [name for name in columns if name.casefold() in ("epoch", "")]
    metrics = [name for name in columns if name not in epochs]
    if len(lengths) != 1 or not lengths - {0} or not _is_history(metrics, bool(epochs)):
        return None
    # A measure that has no value in an epoch is written as NA, nan or null.
    if not all(_is_number(value) for name in metrics for value in columns[name]):
        return None
    for name in epochs:
        if not _counts_up(columns[name]):
            return None
    return HistoryKind(kind, lengths.pop(), tuple(metrics))


def _is_history(metrics: list[str], with_epochs: bool) -> bool:
    """Losses have fixed names; without a column of epochs, only words that Keras uses count."""
    known = {"loss", "val_loss", "learning_rate", "lr"}
    if "loss" not in metrics and "val_loss" not in metrics:
        return False
    if with_epochs:
        return True
    # A bare dictionary of lists could as well be a table that has a column called loss.
    paired = {name for name in metrics if f"val_{name}" in metrics or name.startswith("val_")}
    return bool(paired) or set(metrics) <= known or all(_is_metric(name) for name in metrics)


def _is_metric(name: str) -> bool:
    words = ("loss", "acc", "auc", "mae", "mse", "error", "precision", "recall", "lr", "rate", "f1")
    return any(word in name.casefold() for word in words)


def _is_number(value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, str) and value.strip().casefold() in ("", "na", "none", "null"):
        return True
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return not isinstance(value, bool)


def _counts_up(values: list[Any]) -> bool:
    """Whole numbers that rise by one, or start again where training was started again."""
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        return False
    if not all(math.isfinite(one) and one == int(one) and one >= 0 for one in numbers):
        return False
    return all(after in (before + 1, 0, 1) for before, after in pairwise(numbers))


# --- event files and archives --------------------------------------------------------------------


def _events(content: bytes) -> HistoryKind | None:
    """An event file whose first record is sound."""
    records = split_records(content, _MOST_RECORDS)
    if not len(records.starts) or int(records.starts[0]) != 12:
        return None
    whole = not records.left and not records.damaged
    return HistoryKind("tensorboard", len(records.starts), is_complete=whole)


def _archive(content: bytes) -> HistoryKind | None:
    """An archive with event files, or with nothing but tables that each are a log.

    Only the beginning of each file is unpacked, and of tables no more than one may have.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            about = [one for one in islice(archive.infolist(), _MOST_MEMBERS) if _counts(one)]
            if any(PurePosixPath(one.filename).name in _MODEL for one in about):
                return None
            events = [one for one in about if is_event_file(_beginning(archive, one))]
            tables = _tables(archive, [one for one in about if one not in events])
            n_logs = len(events) + (tables.steps if tables is not None else 0)
            return HistoryKind("runs", n_logs) if n_logs else None
    except (*DAMAGED, RuntimeError):  # the last: it has a password
        return None


def _counts(about: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(about.filename.replace("\\", "/")).parts
    hidden = not parts or parts[0] == "__MACOSX" or parts[-1].startswith(".")
    return not about.is_dir() and not hidden and about.file_size > 0


def _beginning(archive: zipfile.ZipFile, about: zipfile.ZipInfo, size: int = _SNIFFED) -> bytes:
    with archive.open(about) as file:
        return file.read(size)


def _tables(archive: zipfile.ZipFile, about: list[zipfile.ZipInfo]) -> HistoryKind | None:
    """One data table among them, and the archive is one of data."""
    left = _MOST_BYTES
    logs = 0
    for one in about:
        if not one.filename.casefold().endswith(_TABLES):
            return None
        left -= one.file_size
        if left < 0:
            return None
        whole = _beginning(archive, one, one.file_size)
        found = None if whole[:4] == _ZIP else _training_log(whole)
        logs += found is not None
        if found is None and PurePosixPath(one.filename).name != "time_left.tsv":
            return None
    return HistoryKind("runs", logs) if logs else None
