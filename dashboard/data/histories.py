"""Training histories, recognised by content: Keras' CSV and JSON, TensorBoard's event files.

They are kept for the page on learning; here only what they are and how much they hold is found.
Event files are records of TFRecord: length, its checksum, content, its checksum
(https://www.tensorflow.org/tutorials/load_data/tfrecord); TensorFlow is not needed to count them.
"""

from __future__ import annotations

import csv
import io
import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

from ..wording import listing

__all__ = ["HistoryKind", "identify_history"]

_MOST_BYTES = 16 << 20  # of CSV and JSON: a history has one row for each epoch
_HEADER = 1 << 16
_CHECKED_BYTES = 1 << 20  # of records whose content is checked as well as its length
_EVENT_VERSION = b"brain.Event:"


@dataclass(frozen=True)
class HistoryKind:
    """A training history.

    Attributes
    ----------
    kind : "csv" or "json" as Keras writes them, or "tensorboard".
    steps : epochs; of an event file: records.
    metrics : the names of what was measured; unknown for event files.
    is_complete : False for an event file whose last record is cut off or damaged.
    """

    kind: Literal["csv", "json", "tensorboard"]
    steps: int
    metrics: tuple[str, ...] = ()
    is_complete: bool = True

    def sentence(self) -> str:
        """What was recognised, and what happens with it."""
        if self.kind == "tensorboard":
            records = f"{self.steps:,} record" + ("" if self.steps == 1 else "s")
            cut = "" if self.is_complete else ", cut off behind them"
            return f"A TensorBoard event file with {records}{cut}; kept for the page on learning."
        epochs = f"{self.steps:,} epoch" + ("" if self.steps == 1 else "s")
        return (
            f"A training history of {epochs} with {listing(self.metrics)}; kept for the page on "
            "learning."
        )


def identify_history(content: bytes, name: str) -> HistoryKind | None:
    """The training history in a file, or None for every other file; `name` decides nothing."""
    del name
    if _EVENT_VERSION in content[:200]:
        return _events(content)
    start = content[:_HEADER].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start or len(content) > _MOST_BYTES:
        return None
    return _json(content) if start[:1] in (b"{", b"[") else _csv(content)


# --- tables ------------------------------------------------------------------------------------


def _csv(content: bytes) -> HistoryKind | None:
    """What `keras.callbacks.CSVLogger` writes, or a frame of `history.history`."""
    header = content[:_HEADER].split(b"\n", 1)[0].decode("utf-8-sig", "replace")
    if "loss" not in header.casefold():
        return None
    separator = max(",;\t", key=header.count)
    text = content.decode("utf-8-sig", "replace")
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if row]
    except csv.Error:
        return None
    names = [column.strip() for column in rows[0]]
    if len(set(names)) < len(names) or any(len(row) != len(names) for row in rows):
        return None
    columns = dict(zip(names, zip(*rows[1:], strict=True), strict=False))
    return _measured("csv", {name: list(values) for name, values in columns.items()})


def _json(content: bytes) -> HistoryKind | None:
    """`json.dump(history.history)`, a frame of it in any of pandas' forms, or a list of epochs."""
    if b"loss" not in content[:_HEADER]:
        return None
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = _lines(content)
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


# --- event files -------------------------------------------------------------------------------


def _events(content: bytes) -> HistoryKind | None:
    count, position = 0, 0
    for end in _records(content):
        if count == 0 and _EVENT_VERSION not in content[:end]:
            return None
        count, position = count + 1, end
    if count == 0:
        return None
    return HistoryKind("tensorboard", count, is_complete=position == len(content))


def _records(content: bytes) -> Iterator[int]:
    """Where each sound record ends; stops at the first that is cut off or damaged."""
    position = 0
    while position + 16 <= len(content):
        head = content[position : position + 8]
        (length,) = struct.unpack("<Q", head)
        (stated,) = struct.unpack_from("<I", content, position + 8)
        end = position + 12 + length + 4
        if _checksum(head) != stated or end > len(content):
            return
        if end <= _CHECKED_BYTES:
            (stated,) = struct.unpack_from("<I", content, end - 4)
            if _checksum(content[position + 12 : end - 4]) != stated:
                return
        yield end
        position = end


def _checksum(part: bytes) -> int:
    """CRC-32C, turned and shifted as TFRecord does."""
    table, value = _table(), 0xFFFFFFFF
    for byte in part:
        value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
    value ^= 0xFFFFFFFF
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


@lru_cache(maxsize=1)
def _table() -> tuple[int, ...]:
    """Castagnoli's polynomial, lowest bit first."""
    found = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        found.append(value)
    return tuple(found)
