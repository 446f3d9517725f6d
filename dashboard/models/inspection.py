"""What is inside a model file, found out without opening it. Runs in the confined worker."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..settings import Settings, get_settings
from .boosters import xgboost_version
from .columns import first_line, listed
from .compressed import open_stream
from .findings import Inspection, installed_version, own_names
from .identify import carries_code, check_archive, identify
from .known_names import known_names
from .mlflow_folder import find_model
from .model_file import ModelFile, read_model
from .pickle_program import Call, Program, read_program, text_of
from .saved_models import foreign_operations, graph_of, wrote_version

__all__ = ["Inspection", "inspect_content", "inspect_file"]

_MOST_CALLS = 20
_MOST_NAMES = 200
_CLOUDPICKLE = "cloudpickle.cloudpickle."


def inspect_file(
    path: Path | bytes,
    name: str,
    *,
    helpers_folder: Path | None = None,
    settings: Settings | None = None,
) -> Inspection:
    """What a model file would import and call, and which versions it was saved with.

    Raises
    ------
    LimitExceeded : larger than `max_model_mb`, also once it is unpacked.
    ModelError : it cannot be read.
    """
    settings = settings or get_settings()
    return inspect_content(
        ModelFile(read_model(path, name, settings), name, settings, helpers_folder)
    )


def inspect_content(file: ModelFile) -> Inspection:
    """As `inspect_file`, for a file in memory or one inside another."""
    kind = identify(file.content, file.name)
    looked = Inspection(kind, carries_code(kind))
    look = _READERS.get(kind)
    return looked if look is None else look(file, looked)


def _pickle(file: ModelFile, looked: Inspection) -> Inspection:
    try:
        program = read_program(open_stream(file.content, file.name, file.settings))
    except ModelError as error:
        return replace(looked, notes=(str(error),))
    unknown = [name for name in program.names if str(name) not in known_names()]
    missing, private = own_names(
        ((_plain(name.module), _plain(name.name)) for name in unknown[:_MOST_NAMES]),
        file.helpers_folder,
    )
    return replace(
        looked,
        names=tuple(_plain(str(name)) for name in unknown[:_MOST_NAMES]),
        calls=tuple(dict.fromkeys(text_of(call) for call in islice(_calls(program), 500)))[
            :_MOST_CALLS
        ],
        versions=dict(_versions(program)),
        missing=missing,
        private=private,
        notes=tuple(_notes(program)),
    )


def _plain(text: str) -> str:
    """Short, and of characters that can be sent."""
    return text[:200].encode("utf-8", "replace").decode()


def _calls(program: Program) -> Iterator[Call]:
    """Calls of functions that are not known; what cloudpickle calls to make functions is noted."""
    for call in program.calls:
        made_by = call.function.kind if isinstance(call.function, Call) else call.kind
        if call.kind not in known_names() and not made_by.startswith(_CLOUDPICKLE):
            yield call


def _notes(program: Program) -> Iterator[str]:
    root = program.root.kind if isinstance(program.root, Call) else ""
    if root.rpartition(".")[2][:1].isupper():  # a class, not a function with any result
        yield f"It holds a {root}."
    functions = sum(call.kind == f"{_CLOUDPICKLE}_make_function" for call in program.calls)
    if functions:
        used = dict.fromkeys(name for call in program.calls for name in _names_in_code(call))
        yield (
            f"{functions:,} of its author's functions are inside as Python bytecode, which only "
            "the version of Python that wrote it can run"
            + (f"; they use {listed(list(used), 12)}." if used else ".")
        )
    if len(program.names) > 10 * _MOST_NAMES:
        yield f"It names {len(program.names):,} things; only the first are listed."
    if program.fault:
        yield (
            f"It could be read only in part ({program.fault}), so more than what is listed may "
            "be inside."
        )


def _names_in_code(call: Call) -> Iterator[str]:
    """What the bytecode of a function mentions: globals, modules, attributes."""
    made_by = call.function
    if isinstance(made_by, Call) and made_by.kind == f"{_CLOUDPICKLE}_builtin_type":
        names = call.arguments[8] if len(call.arguments) > 8 else ()
        yield from (name for name in names if isinstance(name, str))


def _versions(program: Program) -> Iterator[tuple[str, tuple[str, str]]]:
    """Versions that the libraries themselves write into the states of their objects."""
    for found in dict.fromkeys(_recorded(program)):
        library, version = found
        yield library, (version, installed_version(library))
    if any(name.module.startswith("numpy.core.") for name in program.names):
        yield "numpy", ("1", installed_version("numpy"))


def _recorded(program: Program) -> Iterator[tuple[str, str]]:
    for call, state in program.states:
        version = state.get("_sklearn_version")
        if isinstance(version, str):
            yield "scikit-learn", version
        if call.kind == "xgboost.core.Booster":
            yield from _of_xgboost(state.get("handle"))


def _of_xgboost(handle: Any) -> Iterator[tuple[str, str]]:
    raw = handle.arguments[0] if isinstance(handle, Call) and handle.arguments else handle
    version = xgboost_version(bytes(raw)) if isinstance(raw, (bytes, bytearray)) else ""
    if version:
        yield "xgboost", version


def _xgboost(file: ModelFile, looked: Inspection) -> Inspection:
    found = dict(_of_xgboost(file.content))
    return replace(
        looked, versions={name: (text, installed_version(name)) for name, text in found.items()}
    )


def _skops(file: ModelFile, looked: Inspection) -> Inspection:
    try:
        with check_archive(file.content, file.name, file.settings) as archive:
            schema = json.loads(archive.read("schema.json"))
        nodes = list(_nodes(schema))
    except (ValueError, KeyError, RecursionError, OSError) as error:
        return replace(looked, notes=(f"Its schema cannot be read ({first_line(error)}).",))
    kinds = dict.fromkeys(
        (str(node.get("__module__")), str(node.get("__class__"))) for node in nodes
    )
    foreign = (pair for pair in kinds if ".".join(pair) not in known_names())
    versions = {
        "skops": str(schema.get("_skops_version")),
        "scikit-learn": next((found for node in nodes if (found := _sklearn_of(node))), ""),
    }
    return replace(
        looked,
        names=tuple(".".join(pair) for pair in foreign),
        versions={
            name: (found, installed_version(name))
            for name, found in versions.items()
            if re.match(r"\d", found)
        },
    )


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    stack = [schema]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if "__loader__" in value and isinstance(value.get("__module__"), str):
                yield value
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)


def _sklearn_of(node: dict[str, Any]) -> str:
    content = node.get("content")
    found = content.get("_sklearn_version") if isinstance(content, dict) else None
    text = found.get("content") if isinstance(found, dict) else None
    return text.strip('"') if isinstance(text, str) else ""


def _mlflow(file: ModelFile, looked: Inspection) -> Inspection:
    found = find_model(file)
    inner = inspect_content(found.file)
    return replace(
        inner,
        kind=looked.kind,
        versions={**dict(found.versions), **inner.versions},
        notes=(f"It is an MLflow folder with a model of {found.flavour}.", *inner.notes),
    )


def _saved_model(file: ModelFile, looked: Inspection) -> Inspection:
    graph = graph_of(file)
    there = wrote_version(graph)
    return replace(
        looked,
        calls=tuple(f"operation {name}" for name in foreign_operations(graph)),
        versions={"tensorflow": (there, installed_version("tensorflow"))} if there else {},
    )


_READERS: dict[str, Callable[[ModelFile, Inspection], Inspection]] = {
    "joblib": _pickle,
    "mlflow": _mlflow,
    "pickle": _pickle,
    "savedmodel": _saved_model,
    "skops": _skops,
    "xgboost": _xgboost,
}
