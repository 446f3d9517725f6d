"""One model file as every loader gets it: its bytes, its name for messages, what lies beside it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from ..errors import LimitExceeded, ModelError
from ..settings import Settings, get_settings

__all__ = ["ModelFile", "read_model"]


@dataclass(frozen=True)
class ModelFile:
    """The content of a model file.

    Attributes
    ----------
    name : the file name that messages use.
    helpers_folder : files uploaded beside it (own classes as `.py`, weights), or None.
    notes : sentences that go into the loaded model's notes.
    """

    content: bytes
    name: str
    settings: Settings = field(default_factory=get_settings)
    helpers_folder: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return len(self.content)

    @cached_property
    def digest(self) -> str:
        """Hex sha-256 of the content."""
        return hashlib.sha256(self.content).hexdigest()

    def inner(self, content: bytes, member: str, notes: tuple[str, ...] = ()) -> ModelFile:
        """A model inside this file, under the name of both."""
        return replace(
            self, content=content, name=f"{self.name} ({member})", notes=(*self.notes, *notes)
        )


def read_model(source: Path | bytes, name: str, settings: Settings) -> bytes:
    """The bytes of a model file.

    Raises
    ------
    LimitExceeded : larger than `max_model_mb`.
    ModelError : no file that can be read.
    """
    check_size(source, name, settings)
    try:
        return source if isinstance(source, bytes) else source.read_bytes()
    except OSError as error:
        raise _unreadable(name, error) from error


def check_size(source: Path | bytes, name: str, settings: Settings) -> int:
    """The size in bytes, once it is known to be within `max_model_mb`; raises as `read_model`."""
    try:
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
    except OSError as error:
        raise _unreadable(name, error) from error
    if size > settings.max_model_mb << 20:
        raise LimitExceeded(
            f"{name} has {size / (1 << 20):,.0f} MB; the limit is {settings.max_model_mb:,} MB "
            "(setting max_model_mb)."
        )
    return size


def _unreadable(name: str, error: OSError) -> ModelError:
    reason = "it is a folder" if isinstance(error, IsADirectoryError) else error.strerror
    return ModelError(f"{name} cannot be read: {reason}. Give the path of a file.")
