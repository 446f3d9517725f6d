"""Many files → runs: single logs, folders and zip archives of them, in one go.

Nothing is unpacked to disk. A folder or an archive may hold other files too: these are counted and
named in the notes of the first run.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from ..contracts import Run
from ..errors import DataError, LimitExceeded, ParameterError
from ..settings import Settings, get_settings
from ..wording import listing, plural
from .booster_logs import (
    is_catboost_json,
    is_catboost_table,
    is_evaluations,
    run_of_catboost,
    run_of_evaluations,
)
from .curve_tables import (
    are_curve_names,
    check_names,
    is_long,
    read_csv_columns,
    runs_of_table,
)
from .event_runs import EventFile, join_folders
from .events import is_event_file, read_events
from .keras_logs import columns_of_history, even_out, read_json, written
from .names import PARTS, Named, clean_name

__all__ = ["Member", "list_members", "read_runs"]

Content = bytes | Path

_MEGABYTE = 1 << 20
_SAFE = 16 * _MEGABYTE  # below this no ratio of sizes is a danger
_TEXT = 16 * _MEGABYTE  # a log has a row for each epoch
_SNIFFED = 256
_FILES = 10  # of one run, on average
_TEXTS = (".csv", ".tsv", ".txt", ".log", ".json", ".jsonl", ".ndjson")
_ZIP = b"PK\x03\x04"
# What zipfile and zlib raise on broken archives; RuntimeError: a password.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)


@dataclass(frozen=True, eq=False)
class Member:
    """One file: its path with slashes, its size, how to read it.

    `read` gives at most so many bytes from the beginning; `is_named` : a person named this file,
    so that a sentence is owed where it is no log.
    """

    path: str
    size: int
    read: Callable[[int], bytes]
    is_named: bool = True


def read_runs(
    files: Mapping[str, Content | Mapping[str, Any]],
    *,
    mapping: Mapping[str, Named] | None = None,
    settings: Settings | None = None,
) -> list[Run]:
    """The runs in one or more training logs, in the order of the files.

    Parameters
    ----------
    files : name → bytes, the path of a file or a folder, or a history in memory. A zip archive
        stands for its files.
    mapping : name in the log → (metric, part) where the name itself does not say it; a count of
        steps is ("epoch", ""), what is to be left out ("", "").

    Raises
    ------
    DataError : a file is empty or no training log, or none is in a folder or an archive.
    LimitExceeded : larger than `upload_limit_mb` or more runs than `max_runs`.
    ParameterError : a part in `mapping` that is none; something else than a log.
    """
    settings = settings or get_settings()
    _check_mapping(mapping or {})
    reading = _Reading(mapping, settings)
    for member in list_members(_contents(files), settings):
        reading.take(member)
    runs = reading.runs()
    if not runs:
        names = listing(list(map(clean_name, files)), 3) or "Nothing"
        why = reading.reasons[0] if reading.reasons else "No file in it is one."
        raise DataError(
            f"{names} holds no training log. {why} Known are event files of TensorBoard, histories "
            "of Keras, and logs of XGBoost, LightGBM and CatBoost."
        )
    if len(runs) > settings.max_runs:
        raise LimitExceeded(
            f"{plural(len(runs), 'run')} were found; the limit max_runs is {settings.max_runs:,}. "
            "Give fewer, or raise the limit with SIDELIGHT_MAX_RUNS."
        )
    return runs


def _contents(files: Mapping[str, Content | Mapping[str, Any]]) -> dict[str, Content]:
    return {
        name: one if isinstance(one, bytes | Path) else written(one, name)
        for name, one in files.items()
    }


def _check_mapping(mapping: Mapping[str, Named]) -> None:
    for name, (_, part) in mapping.items():
        if part not in PARTS:
            raise ParameterError(
                f"Argument mapping gives {name!r} the part {part!r}; it must be one of "
                f"{', '.join(map(repr, PARTS))}."
            )


# --- one file after the other --------------------------------------------------------------------


@dataclass
class _CatBoost:
    """The files of one training of CatBoost, in one folder."""

    found: Any = None
    learn: Mapping[str, Sequence[Any]] | None = None
    test: Mapping[str, Sequence[Any]] | None = None
    name: str = ""


@dataclass
class _Reading:
    mapping: Mapping[str, Named] | None
    settings: Settings
    events: list[EventFile] = field(default_factory=list)
    catboost: dict[str, _CatBoost] = field(default_factory=dict)
    others: list[Run] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def take(self, member: Member) -> None:
        """Read one file; one that nobody named may be anything."""
        if len(self.events) + len(self.others) > _FILES * self.settings.max_runs:
            raise LimitExceeded(
                f"More than {_FILES * self.settings.max_runs:,} logs were found, {_FILES} times "
                "the limit max_runs. Give fewer, or raise the limit with SIDELIGHT_MAX_RUNS."
            )
        try:
            if not self._take(member):
                self.left.append(member.path)
        except DataError as error:
            if member.is_named or isinstance(error, LimitExceeded):
                raise
            self.left.append(member.path)
            self.reasons.append(str(error))

    def _take(self, member: Member) -> bool:
        path = PurePosixPath(member.path)
        if is_event_file(member.read(_SNIFFED)) or (member.is_named and "tfevents" in path.name):
            folder = "" if str(path.parent) == "." else str(path.parent)
            log = read_events(member.read(member.size), path.name, self.settings)
            self.events.append(EventFile(folder, path.name, log))
            return True
        if not member.is_named and path.suffix.casefold() not in _TEXTS:
            return False
        if not member.size:
            raise DataError(f"{path.name} is empty. Give a log of at least one epoch.")
        if member.size > _TEXT:
            raise DataError(
                f"{path.name} has {member.size / _MEGABYTE:,.0f} MB; a training log with a row for "
                f"each epoch has at most {_TEXT // _MEGABYTE:,} MB. Thin it out before."
            )
        return self._take_text(path, member.read(member.size), member.is_named)

    def _take_text(self, path: PurePosixPath, content: bytes, named: bool) -> bool:
        start = content[:_SNIFFED].lstrip(b"\xef\xbb\xbf \t\r\n")
        if b"\0" in content[:_SNIFFED] or not start:
            raise DataError(f"{path.name} is no training log: neither events, nor JSON, nor CSV.")
        if start[:1] in (b"{", b"["):
            return self._take_json(path, read_json(content, path.name), named)
        columns, comma = read_csv_columns(content, path.name)
        if set(columns) == {"iter", "Passed", "Remaining"}:
            return True  # CatBoost's clock
        if is_catboost_table(columns):
            part = self._catboost(path)
            if "test" in path.name.casefold():
                part.test = columns
            else:
                part.learn = columns
            return True
        return self._take_table(path, columns, named, comma=comma)

    def _take_json(self, path: PurePosixPath, found: Any, named: bool) -> bool:
        name = clean_name(path.stem)
        if is_catboost_json(found):
            self._catboost(path).found = found
            return True
        if is_evaluations(found):
            self.others.append(run_of_evaluations(found, name, self.mapping))
            return True
        columns = columns_of_history(found)
        if columns is None:
            raise DataError(
                f"{path.name} is JSON, but no training log: a dictionary with a list of numbers "
                "for each metric, as history.history is."
            )
        even, notes = even_out(columns, path.name)
        before = len(self.others)
        taken = self._take_table(path, even, named, unit="epoch")
        for at in range(before, len(self.others)):
            run = self.others[at]
            self.others[at] = replace(run, notes=(*notes, *run.notes))
        return taken

    def _take_table(
        self,
        path: PurePosixPath,
        columns: Mapping[str, Sequence[Any]],
        named: bool,
        *,
        comma: bool = False,
        unit: str = "",
    ) -> bool:
        """A table that nobody named must be a log by its names: data may lie beside runs."""
        is_known = is_long(columns) or are_curve_names(list(columns), counted=False)
        if not named and not is_known:
            return False
        if not is_known and not self.mapping:
            check_names(list(columns), path.name)
        name = clean_name(path.stem)
        self.others += runs_of_table(columns, name, self.mapping, comma=comma, unit=unit)
        return True

    def _catboost(self, path: PurePosixPath) -> _CatBoost:
        folder = str(path.parent)
        part = self.catboost.setdefault(folder, _CatBoost())
        part.name = clean_name(path.parent.name or path.stem)
        return part

    def runs(self) -> list[Run]:
        """All runs, each with a name of its own; what was left out is said by the first."""
        found = []
        for folder, one in self.catboost.items():
            below = [file for file in self.events if _is_catboosts(file.folder, folder)]
            self.events = [file for file in self.events if file not in below]
            run = run_of_catboost(one.found, one.learn, one.test, one.name, self.mapping)
            if below:
                note = "CatBoost's event files below it hold the same numbers."
                run = replace(run, notes=(*run.notes, note))
            found.append(run)
        events = join_folders(self.events, self.mapping)
        tops = _short_names(list(events), self.events)
        found += [
            replace(run, name=tops[folder])
            for folder, run in events.items()
            if run.series or run.histograms or run.config
        ]
        found += self.others
        return _named_apart(_with_left_out(found, self.left))


def _is_catboosts(folder: str, top: str) -> bool:
    """CatBoost writes event files into `learn`, `test`, `test1`, … below its tables."""
    within = folder if top == "." else folder.removeprefix(f"{top}/")
    return re.fullmatch(r"learn|test\d*", within) is not None


def _short_names(folders: Sequence[str], files: Sequence[EventFile]) -> dict[str, str]:
    """Names of runs: their folders without what all share; of one at the top, its file's."""
    split = {folder: PurePosixPath(folder).parts for folder in folders}
    common = 0
    if len(folders) > 1:
        while len({parts[common : common + 1] for parts in split.values()}) == 1 and all(
            len(parts) > common for parts in split.values()
        ):
            common += 1
    found = {}
    for folder, parts in split.items():
        own = parts[common:] if len(folders) > 1 else parts[-1:]
        at_top = [file.name for file in files if file.folder == folder]
        fallback = parts[-1] if parts else (at_top[0] if at_top else "run")
        found[folder] = clean_name("/".join(own) or fallback)
    return found


def _with_left_out(runs: list[Run], left: Sequence[str]) -> list[Run]:
    if not runs or not left:
        return runs
    names = listing([clean_name(PurePosixPath(one).name) for one in left], 3)
    verb = "is" if len(left) == 1 else "are"
    note = f"{plural(len(left), 'file')} beside the logs {verb} none and left out: {names}."
    return [replace(runs[0], notes=(*runs[0].notes, note)), *runs[1:]]


def _named_apart(runs: Sequence[Run]) -> list[Run]:
    """A name that comes again gets a number."""
    taken: set[str] = set()
    found = []
    for run in runs:
        name, count = run.name, 1
        while name in taken:
            count += 1
            name = f"{run.name} ({count})"
        taken.add(name)
        found.append(run if name == run.name else replace(run, name=name))
    return found


# --- folders and archives ------------------------------------------------------------------------


def list_members(
    files: Mapping[str, Content], settings: Settings | None = None
) -> Iterator[Member]:
    """Every file, those in folders and archives too; names of archives are cleaned, not used.

    Raises
    ------
    DataError : no such file or folder, or a damaged archive.
    LimitExceeded : an upload, or what an archive unpacks to, is larger than allowed.
    """
    settings = settings or get_settings()
    for name, content in files.items():
        if isinstance(content, Path) and content.is_dir():
            yield from _in_folder(content, settings)
            continue
        member = _single(name, content, settings)
        if member.read(len(_ZIP)) == _ZIP:
            yield from _in_archive(member, settings)
        else:
            yield member


def _single(name: str, content: Content, settings: Settings) -> Member:
    path = _cleaned(name) or "log"
    if isinstance(content, bytes):
        _check_size(len(content), path, settings)
        return Member(path, len(content), lambda size: content[:size])
    try:
        size = content.stat().st_size
    except OSError as error:
        raise DataError(f"There is no log {content.name}. Check its path.") from error
    _check_size(size, path, settings)
    return Member(path, size, partial(_read_path, content))


def _read_path(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror}.") from error


def _check_size(size: int, name: str, settings: Settings, times: int = 1) -> None:
    if size > times * settings.upload_limit_mb * _MEGABYTE:
        most = f"{times * settings.upload_limit_mb:,} MB"
        what = f"unpacks to more than {most}, {times} times" if times > 1 else f"exceeds {most},"
        raise LimitExceeded(
            f"{name} {what} the limit upload_limit_mb. Give less, or raise the limit with "
            "SIDELIGHT_UPLOAD_LIMIT_MB."
        )


def _in_folder(folder: Path, settings: Settings) -> Iterator[Member]:
    """The files below a folder, in the order of their names; links are not followed."""
    total = 0
    for root, folders, names in os.walk(folder, followlinks=False):
        folders.sort()
        for name in sorted(names):
            path = Path(root) / name
            if path.is_symlink() or not path.is_file() or name.startswith("."):
                continue
            size = path.stat().st_size
            logged = "tfevents" in name or path.suffix.casefold() in _TEXTS
            total += size if logged else 0
            _check_size(total, folder.name, settings, times=4)
            relative = path.relative_to(folder.parent).as_posix()
            yield Member(relative, size, partial(_read_path, path), is_named=False)


def _in_archive(archive: Member, settings: Settings) -> Iterator[Member]:
    data = archive.read(archive.size)
    top = clean_name(PurePosixPath(archive.path).stem) or "runs"
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            about = [one for one in opened.infolist() if one.filename and not one.is_dir()]
            unpacked = sum(one.file_size for one in about)
            _check_size(unpacked, archive.path, settings, times=4)
            if unpacked > _SAFE and unpacked > len(data) * settings.max_archive_ratio:
                raise LimitExceeded(
                    f"{archive.path} unpacks to more than {settings.max_archive_ratio:,} times its "
                    "size, as only a damaged or hostile file does; the limit is max_archive_ratio. "
                    "If you trust the file, raise the limit with SIDELIGHT_MAX_ARCHIVE_RATIO."
                )
            for one in sorted(about, key=lambda one: one.filename):
                path = _cleaned(one.filename)
                if path is not None:
                    read = partial(_read_member, opened, one, archive.path)
                    yield Member(f"{top}/{path}", one.file_size, read, is_named=False)
    except _DAMAGED as error:
        raise _damaged(archive.path, error) from error


def _read_member(opened: zipfile.ZipFile, about: zipfile.ZipInfo, name: str, size: int) -> bytes:
    try:
        with opened.open(about) as file:
            return file.read(size)
    except _DAMAGED as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> DataError:
    if isinstance(error, RuntimeError) and not isinstance(error, NotImplementedError):
        return DataError(f"{name} is a zip archive with a password. Unpack it before.")
    return DataError(
        f"{name} is a zip archive that is cut off or damaged. Copy or download it again."
    )


def _cleaned(name: str) -> str | None:
    """A path inside an archive as a name to show: nothing is ever written there."""
    parts = [clean_name(one) for one in name.replace("\\", "/").split("/")]
    parts = [one for one in parts if one and one not in (".", "..")]
    if not parts or parts[0] == "__MACOSX" or parts[-1].startswith("."):
        return None
    return "/".join(parts)
