"""Every engine by its key; in the order in which equally fast ones are preferred."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from .subjects import Engine

__all__ = ["ENGINES"]

# Module and name, of the engine or of a mapping that has it, below this package.
_HOMES = {
    "linear": "linear.LINEAR",
    "linear-shares": "linear_shares.LINEAR_SHARES",
    "xgboost": "native.XGBOOST",
    "lightgbm": "native.LIGHTGBM",
    "catboost": "native.CATBOOST",
    "tree": "trees.SHAP_PATH",
    "tree-interventional": "trees.SHAP_BACKGROUND",
    "bulk-tree": "bulk_trees.BULK_PATH",
    "bulk-tree-interventional": "bulk_trees.BULK_BACKGROUND",
    "exact": "agnostic.AGNOSTIC",
    "kernel": "agnostic.AGNOSTIC",
    "permutation": "agnostic.AGNOSTIC",
    "gradients": "networks.GRADIENTS",
}


class _Engines(Mapping[str, Engine]):
    """A mapping that imports an engine's module when it is first wanted."""

    def __getitem__(self, key: str) -> Engine:
        module, _, name = _HOMES[key].partition(".")
        found = getattr(import_module(f".{module}", __package__), name)
        engine: Engine = found[key] if isinstance(found, Mapping) else found
        return engine

    def __iter__(self) -> Iterator[str]:
        return iter(_HOMES)

    def __len__(self) -> int:
        return len(_HOMES)


ENGINES: Mapping[str, Engine] = _Engines()
