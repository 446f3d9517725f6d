"""Logs, recognised by content: histories, boosters' logs, event files, archives, searches.

They are kept for the page on learning; here only what they are and how much they hold is found, so
strictly that no data table is taken for one. `dashboard.logs` reads them.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from ..contracts.size_columns import SIZES, are_only_size_columns, find_column
from ..contracts.vocabulary import plural
from ..errors import DataError
from ..logs import read_runs
from ..logs.booster_logs import is_catboost_json, is_catboost_table, is_evaluations, writer_of
from ..logs.columns import STEP_NAMES, is_step_name, numbers_of
from ..logs.curve_tables import are_curve_names, is_download, read_csv_columns
from ..logs.events import is_event_file
from ..logs.keras_logs import columns_of_history, even_out, read_json
from ..logs.names import clean_name, is_known_metric, meaning_of
from ..logs.records import split_records
from ..logs.search_columns import are_of_trials, judge_trials
from ..logs.search_logs import SearchKind, identify_search, search_as_said
from ..wording import listing
from .epoch_tables import EPOCHS, UNNAMED, count_epochs, counts_up, judge_epochs, metrics_of
from .unpacking import DAMAGED

__all__ = [
    "Doubt",
    "HistoryKind",
    "history_as_said",
    "identify_history",
    "is_training_log",
    "may_be_history",
]

Kind = Literal["csv", "json", "tensorboard", "booster", "runs", "sizes"]

_MOST_BYTES = 16 << 20  # of CSV and JSON: a history has one row for each epoch
_HEADER = 1 << 16
_SNIFFED = 256
# Words of which one is in every history as JSON; the last: TensorBoard's rows of three numbers.
_HINTS = (b"loss", b'"learn_metrics"', b"acc", b"epoch", b"log_history", b"[[", b"step")
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


@dataclass(frozen=True)
class Doubt:
    """A table that may be a log: which kind, and why."""

    kind: Literal["log", "search"]
    why: str

    def sentence(self) -> str:
        what = "a training log" if self.kind == "log" else "results of a search"
        return f"may be {what}: {self.why}."


def identify_history(
    content: bytes, name: str, shared: Collection[str] = ()
) -> HistoryKind | SearchKind | None:
    """The log of a training or of a search in a file, or None for every other; by content alone.

    `shared` : the columns of the data at hand; a table that has some of them is none by numbers.
    """
    return identify_search(content, name) or _training_log(content, shared)


def may_be_history(content: bytes) -> Doubt | None:
    """What a table may be beside data or predictions, where only a person can tell."""
    if not content or content[:4] == _ZIP or len(content) > _MOST_BYTES:
        return None
    columns = _columns(content)
    if not columns:
        return None
    if judge_trials(columns) == "perhaps":
        return Doubt("search", "it has scores beside what may be parameters")
    if judge_epochs(columns) == "perhaps":
        return Doubt("log", "it counts epochs or steps")
    return None


def _columns(content: bytes) -> Mapping[str, Sequence[Any]] | None:
    """A table's cells; of JSON too."""
    start = content[:_HEADER].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] not in (b"{", b"["):
        worth = bool(start) and b"\0" not in start and _is_worth_reading(_header(content))
        return _cells(content) if worth else None
    if not any(word in start for word in _HINTS):
        return None
    try:
        columns = columns_of_history(read_json(content, ""))
        return None if columns is None else even_out(columns, "")[0]
    except DataError:
        return None


def history_as_said(
    content: bytes | Path, name: str, kind: Literal["log", "search"]
) -> HistoryKind | SearchKind:
    """What a person says that a file is.

    Raises
    ------
    DataError : it cannot be read as that.
    """
    if kind == "search":
        return search_as_said(content, name)
    runs = read_runs({name: content})
    series = [one for run in runs for one in run.series]
    metrics = tuple(dict.fromkeys(one.metric for one in series))
    unit = "epoch" if any(one.unit == "epoch" for one in series) else "step"
    steps = max((len(one.steps) for one in series), default=0)
    return HistoryKind("csv", steps, metrics, unit=unit)


def _training_log(content: bytes, shared: Collection[str] = ()) -> HistoryKind | SearchKind | None:
    if is_event_file(content[:_SNIFFED]):
        return _events(content)
    if content[:4] == _ZIP:
        return _archive(content)
    start = content[:_HEADER].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start or len(content) > _MOST_BYTES:
        return None
    if start[:1] in (b"{", b"["):
        return _json(content, shared)
    return None if b"\0" in start else _csv(content, shared)


def is_training_log(content: bytes) -> bool:
    """Whether a file can be nothing but a log: a table of epochs could be meant as data."""
    if content[:4] != _ZIP and not is_event_file(content[:_SNIFFED]):
        return False
    found = identify_history(content, "")
    return found is not None


# --- tables ------------------------------------------------------------------------------------


def _csv(content: bytes, shared: Collection[str]) -> HistoryKind | SearchKind | None:
    """A frame of `history.history`, what `CSVLogger` writes, tables that can be nothing else."""
    names = _header(content)
    by_epoch = any(name.casefold() in EPOCHS for name in names)
    if are_only_size_columns(names) and not by_epoch:
        return _sizes(content)
    if not _is_worth_reading(names):
        return None
    columns = _cells(content)
    if columns is None:
        return None
    if is_catboost_table(columns):
        rounds = len(columns["iter"])
        return HistoryKind("booster", rounds, _shown(list(columns)[1:]), source="CatBoost")
    return _table("csv", columns, shared)


def _header(content: bytes) -> list[str]:
    line = content[:_HEADER].split(b"\n", 1)[0].decode("utf-8-sig", "replace")
    return [one.strip(' "\r') for one in line.replace(";", ",").replace("\t", ",").split(",")]


def _is_worth_reading(names: Sequence[str]) -> bool:
    """Most tables are told by their header, however large they are."""
    return (
        any(is_step_name(name) and name.casefold() not in UNNAMED for name in names)
        or any("loss" in name.casefold() for name in names)
        or are_of_trials(names)
    )


def _cells(content: bytes) -> dict[str, list[str]] | None:
    try:
        return read_csv_columns(content, "", strict=True)[0]
    except DataError:
        return None


def _table(
    kind: Literal["csv", "json"], columns: Mapping[str, Sequence[Any]], shared: Collection[str]
) -> HistoryKind | SearchKind | None:
    """A table of epochs; of trials; or with a loss, whose epochs are not counted."""
    if judge_epochs(columns, shared) == "sure":
        by_epoch = any(name.casefold() in EPOCHS for name in columns)
        by_step = not by_epoch and any(name.casefold() in STEP_NAMES for name in columns)
        unit = "step" if by_step or is_download(columns) else "epoch"
        return HistoryKind(kind, count_epochs(columns), _shown(metrics_of(columns)), unit=unit)
    if not set(columns) & set(shared) and judge_trials(columns) == "sure":
        return SearchKind("table", len(next(iter(columns.values()))))
    return _measured(kind, columns)


def _sizes(content: bytes) -> HistoryKind | None:
    """A table of training sizes and scores that somebody computed elsewhere."""
    columns = _cells(content)
    at = None if columns is None else find_column(list(columns), SIZES)
    found = None if at is None or columns is None else numbers_of(columns[str(at)], comma=True)
    if found is None or not ((found.values >= 1) & (found.values % 1 == 0)).all():
        return None
    if columns is None or len(set(found.values.tolist())) < 2:
        return None
    return HistoryKind("sizes", len(found.values), _shown(list(columns)))


def _json(content: bytes, shared: Collection[str]) -> HistoryKind | SearchKind | None:
    """`json.dump(history.history)`, a frame of it in any of pandas' forms, or a list of epochs."""
    start = content[:_HEADER]
    if not any(word in start for word in _HINTS) and not _NESTED.match(start):
        return None
    try:
        found = read_json(content, "")
    except DataError:
        return None
    if is_catboost_json(found):
        metrics = [one.get("name") for one in _dicts(found["meta"].get("learn_metrics"))]
        rounds = len(found["iterations"])
        return HistoryKind("booster", rounds, _shown(metrics), source="CatBoost")
    if is_evaluations(found):
        return _evaluations(found)
    columns = columns_of_history(found)
    if columns is None or not _is_even(found):
        return None
    try:
        columns, _ = even_out(columns, "")
    except DataError:
        return None
    if is_download(columns) and judge_epochs(columns) != "sure":
        return None
    names = [name for name in columns if not is_step_name(name)]
    bare = are_curve_names(names, counted=False) and any("loss" in one.casefold() for one in names)
    if bare and all(_is_number(cell) for name in names for cell in columns[name]):
        return HistoryKind("json", count_epochs(columns), _shown(names))
    return _table("json", columns, shared)


def _is_even(found: Any) -> bool:
    """Epochs that lack a measure must be counted: other lists of things lack what they like."""
    rows = found if isinstance(found, list) else []
    rows = [row for row in rows if isinstance(row, dict)]
    even = all(list(row) == list(rows[0]) for row in rows)
    return even or all(any(map(is_step_name, map(str, row))) for row in rows)


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


def _measured(
    kind: Literal["csv", "json"], columns: Mapping[str, Sequence[Any]]
) -> HistoryKind | None:
    """A history is numbers by epoch, one of them a loss, and epochs that count up by one."""
    lengths = {len(values) for values in columns.values()}
    epochs = [name for name in columns if name.casefold() in ("epoch", "")]
    metrics = [name for name in columns if name not in epochs]
    if len(lengths) != 1 or not lengths - {0} or not _is_history(metrics, bool(epochs)):
        return None
    # A measure that has no value in an epoch is written as NA, nan or null.
    if not all(_is_number(value) for name in metrics for value in columns[name]):
        return None
    for name in epochs:
        if not counts_up(columns[name]):
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
    return not hidden and not about.is_dir() and about.file_size > 0


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
        is_log = isinstance(found, HistoryKind)
        logs += is_log
        if not is_log and PurePosixPath(one.filename).name != "time_left.tsv":
            return None
    return HistoryKind("runs", logs) if logs else None
