"""A zipped MLflow model folder: its `MLmodel` names the flavour, the flavour names the file.

Nothing of MLflow is needed, and `MLmodel` is read as text: a small part of YAML, the part that
MLflow writes (mappings by indentation, lists, plain and quoted texts over several lines).
"""

from __future__ import annotations

import io
import json
import posixpath
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import ModelError
from .findings import installed_version
from .identify import check_archive
from .model_file import ModelFile

__all__ = ["MlflowModel", "find_model", "parse_mlmodel"]

_LONGEST = 1 << 20  # of MLmodel
_MANIFEST = "MLmodel"


@dataclass(frozen=True)
class MlflowModel:
    """The model inside an MLflow folder.

    Attributes
    ----------
    flavour : as `MLmodel` names it: sklearn, xgboost, …
    file : the model's own file, for the loader of its kind.
    versions : library → (as recorded, the one here).
    columns : the columns of the recorded signature, or None.
    code : file name → content of the `.py` files that were logged with it.
    """

    flavour: str
    file: ModelFile
    versions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None
    code: Mapping[str, bytes] = field(default_factory=dict)


def find_model(file: ModelFile) -> MlflowModel:
    """The model's own file inside the zipped folder, unopened.

    Raises
    ------
    LimitExceeded, UntrustedModel : an archive that unpacks to too much or leaves its folder.
    ModelError : no flavour that is opened here, or a part that is missing.
    """
    with check_archive(file.content, file.name, file.settings) as archive:
        members = archive.namelist()
        manifest = min(
            (name for name in members if posixpath.basename(name) == _MANIFEST),
            key=lambda name: name.count("/"),
        )
        root = manifest[: -len(_MANIFEST)]
        if archive.getinfo(manifest).file_size > _LONGEST:
            raise _odd(file, "its MLmodel is far too long")
        known = parse_mlmodel(archive.read(manifest).decode("utf-8", "replace"))
        flavour, member = _chosen(known, file)
        path = _found(members, root + member, file)
        content = archive.read(path) if path in members else _zipped(archive, path)
        return MlflowModel(
            flavour=flavour,
            file=file.inner(content, posixpath.basename(path.rstrip("/"))),
            versions=_versions(archive, root, known["flavors"][flavour]),
            columns=_columns(known),
            code=_code(archive, root, known),
        )


def _odd(file: ModelFile, why: str) -> ModelError:
    return ModelError(
        f"{file.name} is a zipped MLflow model, and {why}; zip the whole folder that MLflow wrote, "
        "or upload the model file in it by itself."
    )


def _chosen(known: Mapping[str, Any], file: ModelFile) -> tuple[str, str]:
    flavours = known.get("flavors")
    if not isinstance(flavours, dict) or not flavours:
        raise _odd(file, "its MLmodel names no flavour")
    for flavour, member_of in _FLAVOURS.items():
        facts = flavours.get(flavour)
        if isinstance(facts, dict):
            return flavour, str(member_of(facts)).strip("/")
    named = [name for name in flavours if name != "python_function"]
    if not named:
        raise ModelError(
            f"{file.name} is an MLflow model of own Python code (flavour python_function), which "
            "only MLflow can run; upload the model inside it, or load a table of its predictions."
        )
    raise ModelError(
        f"{file.name} is an MLflow model of flavour {', '.join(map(str, named))[:100]}, which is "
        f"not opened here; opened are {', '.join(_FLAVOURS)}. Load a table of its predictions."
    )


def _keras_data(facts: Mapping[str, Any]) -> str:
    """A folder with the network in it: `data/model.keras`, `data/model`, or a SavedModel."""
    return str(facts.get("saved_model_dir") or f"{facts.get('data', 'data')}/model")


# In the order of preference; each gives the member that holds the model.
_FLAVOURS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "sklearn": lambda facts: facts.get("pickled_model", "model.pkl"),
    "xgboost": lambda facts: facts.get("data", "model.xgb"),
    "lightgbm": lambda facts: facts.get("data", "model.lgb"),
    "catboost": lambda facts: facts.get("data", "model.cb"),
    "onnx": lambda facts: facts.get("data", "model.onnx"),
    "keras": _keras_data,
    "tensorflow": _keras_data,
}


def _found(members: list[str], wanted: str, file: ModelFile) -> str:
    """The member, with one of Keras' suffixes where it has one, or the folder of that name."""
    path = posixpath.normpath(wanted)
    for suffix in ("", ".keras", ".h5", ".hdf5"):
        if path + suffix in members:
            return path + suffix
    if any(name.startswith(f"{path}/") for name in members):
        return f"{path}/"
    raise _odd(file, f"the file {path!r} that its MLmodel names is not in it")


def _zipped(archive: zipfile.ZipFile, folder: str) -> bytes:
    """A folder of the archive as an archive of its own."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name in archive.namelist():
            if name.startswith(folder) and not name.endswith("/"):
                target.writestr(name[len(folder) :], archive.read(name))
    return buffer.getvalue()


def _versions(
    archive: zipfile.ZipFile, root: str, facts: Mapping[str, Any]
) -> dict[str, tuple[str, str]]:
    """What the flavour and `requirements.txt` record, of the libraries that are installed here."""
    path = f"{root}requirements.txt"
    content = archive.read(path)[:_LONGEST] if path in archive.namelist() else b""
    text = content.decode("utf-8", "replace")
    found = {name.lower(): version for name, version in _PINNED.findall(text)}
    found |= {name: str(facts[key]) for key, name in _RECORDED.items() if facts.get(key)}
    pairs = {name: (version, installed_version(name)) for name, version in found.items()}
    return {name: pair for name, pair in pairs.items() if pair[1] and name in _LIBRARIES}


_PINNED = re.compile(r"^([\w.-]+)==([\w.]+)", re.MULTILINE)
_RECORDED = {
    "sklearn_version": "scikit-learn",
    "xgb_version": "xgboost",
    "lgb_version": "lightgbm",
    "catboost_version": "catboost",
    "keras_version": "keras",
}
_LIBRARIES = frozenset(
    {"catboost", "keras", "lightgbm", "numpy", "onnx", "pandas", "scikit-learn", "tensorflow"}
    | {"xgboost"}
)


def _columns(known: Mapping[str, Any]) -> tuple[str, ...] | None:
    signature = known.get("signature")
    text = signature.get("inputs") if isinstance(signature, dict) else None
    try:
        inputs = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    names = [item.get("name") for item in inputs or [] if isinstance(item, dict)]
    named = [name for name in names if isinstance(name, str)]
    return tuple(named) if named and len(named) == len(names) else None


def _code(archive: zipfile.ZipFile, root: str, known: Mapping[str, Any]) -> dict[str, bytes]:
    """Own modules that were logged with the model, by file name."""
    flavours = known.get("flavors") or {}
    folders = {
        str(facts["code"]).strip("/")
        for facts in flavours.values()
        if isinstance(facts, dict) and isinstance(facts.get("code"), str)
    }
    return {
        posixpath.basename(name): archive.read(name)
        for folder in sorted(folders)
        for name in archive.namelist()
        if name.startswith(f"{root}{folder}/") and name.endswith(".py")
    }


def with_code(found: MlflowModel, folder: Path) -> ModelFile:
    """The model's file with the modules that were logged with it as helper files in `folder`."""
    given = found.file.helpers_folder
    for path in given.iterdir() if given is not None else ():
        (folder / path.name).write_bytes(path.read_bytes())
    for name, content in found.code.items():
        if not (folder / name).exists():
            (folder / name).write_bytes(content)
    return replace(found.file, helpers_folder=folder)


# --- the part of YAML that MLflow writes --------------------------------------------------------


def parse_mlmodel(text: str) -> dict[str, Any]:
    """Nested mappings of texts, lists as tuples of texts; what is not understood is left out."""
    return _mapping(_lines(text), 0, 0)[0]


_ENTRY = re.compile(r"(-( |$)|[^\s'\"\[{][^:]*:( |$))")  # an item of a list, or `key:`


def _lines(text: str) -> list[tuple[int, str]]:
    """(indentation, text) of each entry; continued and quoted texts are joined into one line."""
    found: list[tuple[int, list[str]]] = []
    quote = ""
    for line in text.splitlines():
        body = line.strip()
        indent = len(line) - len(line.lstrip())
        if not body or body in ("---", "...") or body.startswith("#") or indent > _DEEPEST:
            continue
        if found and (quote or not _ENTRY.match(body)):
            # a line that ends in a backslash inside double quotes goes on without a blank
            goes_on = quote == '"' and found[-1][1][-1].endswith("\\")
            if goes_on:
                found[-1][1][-1] = found[-1][1][-1][:-1]
            found[-1][1].extend([body.removeprefix("\\")] if goes_on else [" ", body])
            quote = quote if quote and not _closes(body, quote) else ""
        else:
            found.append((indent, [body]))
            value = _BEFORE_VALUE.sub("", body)
            quote = value[0] if value[:1] in ("'", '"') else ""
            quote = quote if quote and not _closes(value[1:], quote) else ""
    return [(indent, "".join(parts)) for indent, parts in found]


_DEEPEST = 100
_BEFORE_VALUE = re.compile(r"^(- )?([^'\":]+: ?)?")


def _closes(text: str, quote: str) -> bool:
    if quote == "'":
        return text.replace("''", "").count("'") % 2 == 1
    return re.search(r'(?<!\\)(\\\\)*"', text) is not None


def _mapping(lines: list[tuple[int, str]], at: int, indent: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    while at < len(lines) and lines[at][0] >= indent:
        depth, body = lines[at]
        key, _, rest = body.partition(":")
        at += 1
        if depth > indent or body.startswith("-"):
            continue
        if rest.strip():
            found[_scalar(key)] = _scalar(rest)
        elif at < len(lines) and lines[at][1].startswith("-") and lines[at][0] >= indent:
            found[_scalar(key)], at = _sequence(lines, at, lines[at][0])
        elif at < len(lines) and lines[at][0] > indent:
            found[_scalar(key)], at = _mapping(lines, at, lines[at][0])
        else:
            found[_scalar(key)] = None
    return found, at


def _sequence(lines: list[tuple[int, str]], at: int, indent: int) -> tuple[tuple[str, ...], int]:
    found = []
    while at < len(lines) and lines[at][0] >= indent:
        if lines[at][0] == indent and not lines[at][1].startswith("-"):
            break
        if lines[at][0] == indent:
            found.append(str(_scalar(lines[at][1][1:])))
        at += 1
    return tuple(found), at


def _scalar(text: str) -> Any:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return json.loads(text)
        except ValueError:
            return text[1:-1]
    return None if text in ("null", "~", "") else text
