"""Importances of models on an evaluation set, by asking the models: native, permuted, refitted.

from dashboard.importance import importances
found = importances(["a.skops", "b.keras"], "loans.parquet", target="default")
found.frame()
"""

from __future__ import annotations

from .counted import native_importance, native_importances
from .headless import METHODS, Importances, importance_gap, importances
from .measuring import sampled_rows
from .permuted import permutation_importance
from .refitted import drop_column_importance

__all__ = [
    "METHODS",
    "Importances",
    "drop_column_importance",
    "importance_gap",
    "importances",
    "native_importance",
    "native_importances",
    "permutation_importance",
    "sampled_rows",
]
