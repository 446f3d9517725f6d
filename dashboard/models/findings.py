"""What was found inside a model file before it is opened, for people and for frames."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import ModelError
from .columns import listed
from .known_names import LIBRARIES

__all__ = ["Inspection", "installed_version", "own_names", "same_version"]

_MOST = 200
_LONGEST = 300
_MAIN = ("__main__", "__mp_main__")


@dataclass(frozen=True)
class Inspection:
    """What a model file holds, without opening it.

    Attributes
    ----------
    kind : as `identify` tells it.
    carries_code : opening it can run code from inside it.
    names : what it would import beyond the names known from honest models, "module.name".
    calls : the calls that it would make with those, as short text.
    versions : library → (as recorded in the file, the one here).
    missing : modules that it needs and that are not installed here.
    private : own classes and functions, "module.name", that no helper file provides yet.
    notes : further sentences.
    """

    kind: str
    carries_code: bool = False
    names: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    versions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values for a frame."""
        return {
            **asdict(self),
            "versions": {key: list(pair) for key, pair in self.versions.items()},
        }

    @classmethod
    def from_json(cls, data: Any) -> Inspection:
        """The inspection in an answer of a worker; texts are shortened, nothing is believed.

        Raises
        ------
        ModelError : not the values of an inspection.
        """
        try:
            if set(data) - {part.name for part in fields(cls)}:
                raise TypeError("unknown parts")
            return cls(
                kind=_text(data["kind"]),
                carries_code=data["carries_code"] is True,
                versions={
                    _text(library): (_text(there), _text(here))
                    for library, (there, here) in list(data["versions"].items())[:_MOST]
                },
                **{
                    part: tuple(_text(item) for item in list(data[part])[:_MOST])
                    for part in ("names", "calls", "missing", "private", "notes")
                },
            )
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise ModelError(
                "The answer of the worker that looked into the file cannot be understood; "
                "export the model again."
            ) from error

    @property
    def drift(self) -> tuple[str, ...]:
        """One sentence for each library of another version than here."""
        return tuple(
            f"Saved with {library} {there}; here is {here}: answers can differ, or it may not open."
            for library, (there, here) in self.versions.items()
            if not same_version(there, here)
        )

    def sentences(self) -> tuple[str, ...]:
        """What a person should know before opening it, the gravest first."""
        found = []
        if self.carries_code:
            found.append("Opening this file runs what its author put in.")
        own = tuple(f"{name}(" for name in self.private)
        calls = [call for call in self.calls if not call.startswith(own)]
        names = [name for name in self.names if name not in self.private]
        if calls:
            found.append(f"It makes calls that models rarely need: {listed(calls, 8)}.")
        if names:
            found.append(f"It uses names beyond those of known models: {listed(names, 8)}.")
        if self.missing:
            found.append(_missing_modules(self.missing))
        if self.private:
            found.append(_own_classes(self.private))
        return (*found, *self.drift, *self.notes)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return re.sub(r"[\x00-\x1f\x7f\u2028\u2029]", "�", value[:_LONGEST])


def _missing_modules(missing: tuple[str, ...]) -> str:
    known = [LIBRARIES.get(name.partition(".")[0], name) for name in missing]
    count = "a module that is" if len(missing) == 1 else f"{len(missing):,} modules that are"
    return (
        f"It needs {count} not installed here: {listed(list(dict.fromkeys(known)))}. Install what "
        "is missing beside Sidelight, or load a table of predictions."
    )


def _own_classes(private: tuple[str, ...]) -> str:
    files = dict.fromkeys(name.rpartition(".")[0] for name in private)
    modules = [name for name in files if name not in _MAIN]
    which = (
        f"{modules[0].rpartition('.')[2]}.py" if len(files) == len(modules) == 1 else "the .py file"
    )
    it = "it" if len(private) == 1 else "them"
    return (
        f"It needs its author's own {listed([plain_name(name) for name in private])}: upload "
        f"{which} that defines {it} beside the model"
        + (", or install the library if it is one." if modules else ".")
    )


def plain_name(name: str) -> str:
    """Without the module where that is only the script it was saved from."""
    return re.sub(r"^__(mp_)?main__\.", "", name)


def same_version(there: str, here: str) -> bool:
    """Equal up to the minor version, as far as both say."""
    pairs = zip(there.split(".")[:2], here.split(".")[:2], strict=False)
    return all(mine == theirs for mine, theirs in pairs)


def installed_version(library: str) -> str:
    """The version installed here by its name on the package index, "" if it is not."""
    from importlib.metadata import PackageNotFoundError, version

    for name in (library, f"{library}-cpu"):  # xgboost and tensorflow come under two names
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return ""


def own_names(
    names: Iterable[tuple[str, str]], helpers_folder: Path | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(missing modules, own names without a helper file) among (module, name) pairs."""
    defined = _defined(helpers_folder)
    missing: dict[str, None] = {}
    private: dict[str, None] = {}
    for module, name in names:
        if module in _MAIN:
            if not any(name.split(".")[0] in names for names in defined.values()):
                private.setdefault(f"{module}.{name}")
        elif not _is_there(module) and module.rpartition(".")[2] not in defined:
            missing.setdefault(module)
            if module.partition(".")[0] not in LIBRARIES:
                private.setdefault(f"{module}.{name}")
    lacking = [module for module in missing if not _is_own(module, private)]
    return tuple(lacking), tuple(private)


def _is_own(module: str, private: Iterable[str]) -> bool:
    return any(name.startswith(f"{module}.") for name in private)


def _is_there(module: str) -> bool:
    """Whether a module could be imported, found out without importing any."""
    top, *rest = module.split(".")
    if not re.fullmatch(r"\w+", top):
        return False
    try:
        spec = find_spec(top)
        # Some libraries make their submodules as they are imported; only these are looked into.
        if spec is None or top not in ("sklearn", "xgboost", "lightgbm", "catboost"):
            return spec is not None
        for part in rest:
            top = f"{top}.{part}"
            spec = PathFinder.find_spec(top, spec.submodule_search_locations or [])
            if spec is None:
                return False
    except (ImportError, ValueError, AttributeError):
        return False
    return True


def _defined(helpers_folder: Path | None) -> dict[str, set[str]]:
    """Module → the names that a helper file defines at its top, read and not run."""
    found: dict[str, set[str]] = {}
    for path in sorted(helpers_folder.glob("*.py")) if helpers_folder is not None else ():
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, OSError):
            found[path.stem] = set()
            continue
        found[path.stem] = {name for node in tree.body for name in _names_of(node)}
    return found


def _names_of(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name for alias in node.names]
    return []
