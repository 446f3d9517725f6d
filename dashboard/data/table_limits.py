"""What every reader checks alike: rows, columns, unpacked sizes, names that occur twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ..errors import DataError, LimitExceeded
from ..settings import Settings
from ..wording import listing, plural

__all__ = ["MEGABYTE", "check_columns", "check_rows_given", "check_shape", "check_unpacked_size"]

MEGABYTE = 1024 * 1024
SAFE_SIZE = 16 * MEGABYTE  # below this no ratio of sizes is a danger


def check_columns(names: Iterable[Any], name: str) -> None:
    """Raise `DataError` naming the columns that occur more than once."""
    repeated = [repr(str(column)) for column, n in Counter(names).items() if n > 1]
    if repeated:
        raise DataError(
            f"{name} has {plural(len(repeated), 'column name')} more than once: "
            f"{listing(repeated, limit=6)}. Give each column its own name."
        )


def check_rows_given(rows: int, columns: int, name: str) -> None:
    """Raise `DataError` for a header without rows."""
    if rows == 0:
        raise DataError(
            f"{name} has a header ({plural(columns, 'column')}) and no rows. "
            f"At least one row is needed."
        )


def check_shape(rows: int, columns: int, name: str, settings: Settings) -> None:
    """Raise `LimitExceeded` beyond `max_rows` or `max_columns`."""
    for given, limit, noun, setting in (
        (rows, settings.max_rows, "rows", "max_rows"),
        (columns, settings.max_columns, "columns", "max_columns"),
    ):
        if given > limit:
            raise LimitExceeded(
                f"{name} has {given:,} {noun}; the limit {setting} is {limit:,}. Load fewer "
                f"{noun}, or raise the limit with SIDELIGHT_{setting.upper()}."
            )


def check_unpacked_size(size: int, packed: int, name: str, settings: Settings) -> None:
    """Refuse what grows too large when unpacked, by size and by ratio to its packed size.

    Raises
    ------
    LimitExceeded : the message names the limit and its setting.
    """
    if size > 4 * settings.upload_limit_mb * MEGABYTE:
        raise LimitExceeded(
            f"{name} unpacks to more than {4 * settings.upload_limit_mb:,} MB, four times the "
            f"limit upload_limit_mb. Load a smaller file, or raise the limit with "
            f"SIDELIGHT_UPLOAD_LIMIT_MB."
        )
    if size > SAFE_SIZE and size > packed * settings.max_archive_ratio:
        raise LimitExceeded(
            f"{name} unpacks to more than {settings.max_archive_ratio:,} times its size, as only "
            f"a damaged or hostile file does; the limit is max_archive_ratio. If you trust the "
            f"file, raise the limit with SIDELIGHT_MAX_ARCHIVE_RATIO."
        )
