"""Files too large to upload, opened from the one folder that the operator allows (`data_dir`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ..errors import DataError
from ..settings import Settings, get_settings
from .readers import read_tables
from .tables import Table
from .unpacking import TABLE_NAME

__all__ = ["DataFile", "list_data_files", "read_data_files"]

MOST_FILES = 1_000
MOST_LEVELS = 5
ENDINGS = (".zip", ".txt", ".dat", ".data", ".gz", ".bz2", ".xz", ".zst")
SIZE_FACTOR = 4  # as much as an uploaded file may unpack to


@dataclass(frozen=True)
class DataFile:
    """A file below `data_dir`: its path from there, with slashes, and its size in bytes."""

    name: str
    size: int


def list_data_files(settings: Settings | None = None) -> list[DataFile]:
    """The data files below `data_dir` by name, at most 1,000; none when the setting is empty.

    Hidden files, and links that lead out of the folder, are not in the list.
    """
    root = _root(settings or get_settings())
    if root is None:
        return []
    found: list[DataFile] = []
    for folder, below, names in os.walk(root):
        here = Path(folder)
        deep = len(here.relative_to(root).parts) >= MOST_LEVELS
        below[:] = [] if deep else sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            path = here / name
            if _is_offered(path, root):
                found.append(DataFile(path.relative_to(root).as_posix(), path.stat().st_size))
        if len(found) >= MOST_FILES:
            break
    return sorted(found, key=lambda file: file.name)[:MOST_FILES]


def read_data_files(
    names: Sequence[str], settings: Settings | None = None, **options: str | None
) -> Table:
    """Files of `list_data_files` as one table; `options` as for `read_table`.

    Up to four times `upload_limit_mb` each.

    Raises
    ------
    DataError : no such folder or file, a name that leads out of the folder, not a table.
    LimitExceeded : too large.
    """
    settings = settings or get_settings()
    paths = [_inside(name, settings) for name in names]
    larger = replace(settings, upload_limit_mb=SIZE_FACTOR * settings.upload_limit_mb)
    sources = [(path, name) for path, name in zip(paths, names, strict=True)]
    return read_tables(sources, settings=larger, **options)


def _root(settings: Settings) -> Path | None:
    if not settings.data_dir:
        return None
    root = Path(settings.data_dir).expanduser()
    return root.resolve() if root.is_dir() else None


def _is_offered(path: Path, root: Path) -> bool:
    if path.name.startswith(".") or not path.is_file():
        return False
    usual = TABLE_NAME.search(path.name) or path.suffix.lower() in ENDINGS
    return bool(usual) and path.resolve().is_relative_to(root)


def _inside(name: str, settings: Settings) -> Path:
    """The real path of a file by its name below `data_dir`, links followed and checked."""
    root = _root(settings)
    if root is None:
        raise DataError(
            "No data folder is set. Set SIDELIGHT_DATA_DIR to the folder that files may be opened "
            "from, or upload the file."
        )
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith(".") for part in parts)
    try:
        path = root if hidden or "\0" in name else (root / name).resolve()
        found = path != root and path.is_relative_to(root) and path.is_file()
    except (OSError, RuntimeError):  # a name that is too long, links in a circle
        found = False
    if not found:
        raise DataError(f"There is no file {name} in the data folder. Choose one from the list.")
    return path
