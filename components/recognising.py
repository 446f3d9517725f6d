"""What a file is beside models and data: by its content, or as a person has said."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from components.entries import Said
from dashboard.data import history_as_said, identify_history, may_be_history
from dashboard.errors import DataError, LimitExceeded, ModelError
from dashboard.logs import read_runs

__all__ = ["check_source", "is_event_name", "is_source", "recognise", "takes_no_place"]

_CODE_KB = 1_024  # a `.py` with a model's own classes is short


def recognise(
    content: bytes, name: str, said: Said | None, shared: Collection[str] = ()
) -> tuple[Any, str]:
    """The log of a training or of a search in a file, or what a person has to decide about it.

    `shared` : the columns of the data at hand. None and "" : it is neither.

    Raises
    ------
    DataError : a file with the name of an event file that is none.
    """
    if said is not None and said.kind in ("log", "search"):
        try:
            return history_as_said(content, name, said.kind), ""
        except DataError as error:
            return None, str(error)
    if said is not None:
        return None, ""
    found = identify_history(content, name, shared)
    if found is None and is_event_name(name):
        read_runs({name: content})  # says why not
    doubt = may_be_history(content) if found is None else None
    return found, "" if doubt is None else f"{name} {doubt.sentence()}"


def takes_no_place(content: bytes, name: str, said: Said | None) -> bool:
    """Whether it stands among no models, so that their limit is not its own."""
    if is_source(name) or is_event_name(name):
        return True
    found, doubt = recognise(content, name, said)
    return found is not None or bool(doubt)


def is_event_name(name: str) -> bool:
    """Whether a file is named as TensorBoard names its event files."""
    return "tfevents" in name.casefold()


def is_source(name: str) -> bool:
    return name.lower().endswith(".py")


def check_source(name: str, content: bytes) -> None:
    """A `.py` is kept as text and read by a confined worker only.

    Raises
    ------
    LimitExceeded : it is far too long for a module of classes.
    ModelError : it is no text.
    """
    if len(content) > _CODE_KB << 10:
        raise LimitExceeded(
            f"{name} has {len(content) / 1024:,.0f} kB; the limit for a file of Python code is "
            f"{_CODE_KB:,} kB. Upload only the module that defines the model's classes."
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ModelError(
            f"{name} is no text; a .py file holds Python code. Upload the file that defines the "
            "model's classes."
        )
