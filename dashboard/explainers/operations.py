"""What a model can be asked beyond predictions: one row for each operation.

An operation takes the model itself (in a worker, or in the process of a Python caller), the tables
by name, plain arguments and the work (progress, cancel); it gives JSON values and arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from ..contracts import Model, Work

__all__ = ["OPERATIONS", "Operation"]

Answer = tuple[dict[str, Any], Sequence[Any]]
Operation = Callable[[Model, Mapping[str, Any], Mapping[str, Any], Work], Answer]

# Module and function below this package.
_HOMES = {
    "plan": "planning.plan",
    "explain": "planning.explain",
    "interactions": "planning.interactions",
    "prepared": "pipelines.prepared",
    "effects": "effects.effects",
    "lime": "lime.explain_row",
    "native_importance": "native_importance.native_importance",
    "permute": "permutation.permute",
    "drop_columns": "drop_columns.drop_columns",
    "words": "words.take_words",
}


def _late(home: str) -> Operation:
    def run(
        model: Model, tables: Mapping[str, Any], arguments: Mapping[str, Any], work: Work
    ) -> Answer:
        module, _, function = home.partition(".")
        operation: Operation = getattr(import_module(f".{module}", __package__), function)
        return operation(model, tables, arguments, work)

    return run


OPERATIONS: dict[str, Operation] = {name: _late(home) for name, home in _HOMES.items()}
