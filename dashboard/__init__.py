"""Sidelight: model diagnostics, side by side. The headless API, loaded on first use.

import dashboard
result = dashboard.evaluate("loans.parquet", target="default", models=["a.skops", "b.keras"])
result.frame()
dashboard.write_report(result, "comparison.html")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .data import load_data
    from .evaluation import evaluate
    from .explanation import explain
    from .importance import importances
    from .learning.headless import learning_curves
    from .models import load_model
    from .report import write_report

__version__ = "0.1.0"
__all__ = [
    "evaluate",
    "explain",
    "importances",
    "learning_curves",
    "load_data",
    "load_model",
    "write_report",
]

_HOMES = {
    "evaluate": "evaluation",
    "explain": "explanation",
    "importances": "importance",
    "learning_curves": "learning.headless",
    "load_data": "data",
    "load_model": "models",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    """Import the room behind a public name when it is first asked for."""
    if name == "learning":  # the package behind `learning_curves` is public as well
        return import_module(".learning", __name__)
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{home}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
