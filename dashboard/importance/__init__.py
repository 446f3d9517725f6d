"""Importances of models on an evaluation set, by asking the models: native, permuted, refitted.

from dashboard.importance import importances
found = importances(["a.skops", "b.keras"], "loans.parquet", target="default")
found.frame()
"""

from __future__ import annotations

from ..explainers.kept import BlockStore
from .counted import native_importance, native_importances
from .headless import METHODS, Importances, importance_gap, importances, same_groups
from .measuring import sampled_rows
from .permuted import permutation_importance
from .refitted import RefittingPlan, drop_column_importance, plan_refitting
from .training import training_rows, training_value

__all__ = [
    "METHODS",
    "BlockStore",
    "Importances",
    "RefittingPlan",
    "drop_column_importance",
    "importance_gap",
    "importances",
    "native_importance",
    "native_importances",
    "permutation_importance",
    "plan_refitting",
    "same_groups",
    "sampled_rows",
    "training_rows",
    "training_value",
]
