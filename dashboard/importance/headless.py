"""Importances of several models in one call, for Python: objects, model files, frames or paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..contracts import Model
from ..data import EvalSet
from ..diagnostics.importance import Importance, compute_shap_importance
from ..diagnostics.importance_comparison import ImportanceGap, compute_importance_gap
from ..errors import DiagnosticsError, ParameterError
from ..evaluation import Failure, as_evalset, as_model, named, read_helpers
from ..explanation import explain
from ..settings import Settings, get_settings
from .counted import native_importance
from .permuted import permutation_importance
from .refitted import drop_column_importance

__all__ = ["METHODS", "Importances", "importance_gap", "importances"]


@dataclass(frozen=True, eq=False)
class Importances:
    """One importance for each model that has one, and why the others have none."""

    importances: tuple[Importance, ...]
    failures: tuple[Failure, ...] = ()

    def frame(self) -> pd.DataFrame:
        """One row per model and feature, as in `Importance.frame`."""
        frames = [one.frame() for one in self.importances]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


Measure = Callable[..., Importance]


def _by_contributions(model: Model, evalset: EvalSet, name: str, **options: Any) -> Importance:
    """Mean |SHAP|; `rows` as for `explain`."""
    rows = options.pop("n_rows", 2_000)
    found = explain(model, evalset, name=name, rows=rows, **options)
    settings = get_settings()
    return compute_shap_importance(
        found,
        level=settings.confidence_level,
        n_bootstrap=settings.n_bootstrap,
        random_state=settings.random_state,
    )


METHODS: dict[str, Measure] = {
    "permutation": permutation_importance,
    "native": native_importance,
    "drop-column": drop_column_importance,
    "shap": _by_contributions,
}


def importances(
    models: Any,
    data: Any,
    y: Any = None,
    *,
    target: str | Sequence[str] | None = None,
    method: str = "permutation",
    helpers: Sequence[str | Path] = (),
    settings: Settings | None = None,
    roles: dict[str, Any] | None = None,
    **options: Any,
) -> Importances:
    """How much each model relies on each feature.

    Parameters
    ----------
    models : fitted objects (asked in this process) or paths of model files (each in a worker); a
        mapping from display names, a sequence, or one of them.
    data, y, target, helpers : as for `evaluate`.
    method : "permutation", "native", "drop-column" or "shap".
    roles : what the reader of `data` takes beside the target (`task`, `pos_label`, …).
    options : those of the method: `metric`, `n_repeats`, `n_rows`, `groups`, `random_state`, ….

    Raises
    ------
    ParameterError : no such method; options out of bounds.
    DataError : the data cannot be read or has no usable target.
    """
    if method not in METHODS:
        raise ParameterError(f"There is no method {method!r}; there are {', '.join(METHODS)}.")
    settings = settings or get_settings()
    evalset = as_evalset(data, y, target, **(roles or {}))
    beside = read_helpers(helpers)
    found: list[Importance] = []
    failures: list[Failure] = []
    for name, item in named(models).items():
        try:
            model = as_model(name, item, beside, settings)
            found.append(METHODS[method](model, evalset, name, **options))
        except ParameterError:
            raise
        except DiagnosticsError as error:
            failures.append(Failure(name, str(error)))
    return Importances(tuple(found), tuple(failures))


def importance_gap(
    model: Model, training: EvalSet, evaluation: EvalSet, name: str, **options: Any
) -> ImportanceGap:
    """Permutation importance on training rows against that on evaluation rows.

    `options` are those of `permutation_importance`, the same for both.

    Raises
    ------
    NotApplicable, ModelError, ParameterError : as for `permutation_importance`.
    """
    one = permutation_importance(model, training, name, part="training", **options)
    two = permutation_importance(model, evaluation, name, part="evaluation", **options)
    return compute_importance_gap(one, two)
