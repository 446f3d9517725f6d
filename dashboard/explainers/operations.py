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

# Module and function; those of another package with its name before them.
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
    "can_refit": "refitting.fitting.can_refit",
    "fit_fold": "refitting.fitting.fit_fold",
    "inner_curves": "refitting.inner_curves.inner_curves",
    "layers": "refitting.layers.layers",
    "search_results": "refitting.search_results.search_results",
}


def _late(home: str) -> Operation:
    def run(
        model: Model, tables: Mapping[str, Any], arguments: Mapping[str, Any], work: Work
    ) -> Answer:
        module, _, function = home.rpartition(".")
        place = f".{module}" if "." not in module else f"..{module}"
        operation: Operation = getattr(import_module(place, __package__), function)
        return operation(model, tables, arguments, work)

    return run


OPERATIONS: dict[str, Operation] = {name: _late(home) for name, home in _HOMES.items()}
