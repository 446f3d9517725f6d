"""Own classes and functions that models need: `.py` files uploaded beside them.

They run where they are imported, so only the confined worker imports them, or the process of a
caller who vouches for them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import ModelError
from .columns import first_line

__all__ = ["HelperFiles"]


class HelperFiles:
    """The `.py` files of one folder, imported when a model first asks for something in them."""

    def __init__(self, folder: Path | None) -> None:
        paths = sorted(folder.glob("*.py")) if folder is not None and folder.is_dir() else []
        self._paths = {path.stem: path for path in paths}
        self._modules: dict[str, ModuleType] = {}
        if folder is not None and paths and str(folder) not in sys.path:
            sys.path.append(str(folder))  # last, so that none of them hides a library

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(path.name for path in self._paths.values())

    def named(self, module: str) -> ModuleType | None:
        """The file that stands for `module`: `steps.py` also for `project.steps`."""
        stem = module.rpartition(".")[2]
        return self._import(stem) if stem in self._paths else None

    def with_name(self, name: str) -> ModuleType | None:
        """The first file that defines `name`, which was defined in a script or notebook."""
        first = name.split(".")[0]
        return next((module for module in self._all() if hasattr(module, first)), None)

    def _all(self) -> Iterator[ModuleType]:
        for stem in self._paths:
            yield self._import(stem)

    def _import(self, stem: str) -> ModuleType:
        if stem not in self._modules:
            self._modules[stem] = self._run(stem)
        return self._modules[stem]

    def _run(self, stem: str) -> ModuleType:
        path = self._paths[stem]
        known = sys.modules.get(stem)
        if known is not None and getattr(known, "__file__", None) == str(path):
            return known
        # A library of the same name keeps it; the file is found through this object alone.
        name = stem if known is None else f"uploaded_{stem}"
        spec = spec_from_file_location(name, path)
        module = module_from_spec(_complete(spec))
        sys.modules[name] = module
        try:
            _execute(spec, module)
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            raise ModelError(
                f"{path.name} cannot be imported ({type(error).__name__}: "
                f"{first_line(error)[:200]}); upload a file that holds only the classes and "
                "functions that the model needs."
            ) from error
        return module


def _complete(spec: ModuleSpec | None) -> ModuleSpec:
    if spec is None or spec.loader is None:  # cannot happen for a path that ends in .py
        raise ModelError("A helper file cannot be read; upload it again.")
    return spec


def _execute(spec: Any, module: ModuleType) -> None:
    spec.loader.exec_module(module)
