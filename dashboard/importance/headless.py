"""Importances of several models in one call, for Python: objects, model files, frames or paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..contracts import Model
from ..data import EvalSet, Table, read_table
from ..diagnostics.importance import Importance, compute_shap_importance
from ..diagnostics.importance_comparison import ImportanceGap, compute_importance_gap
from ..errors import DiagnosticsError, ParameterError
from ..evaluation import Failure, as_evalset, as_model, named, read_helpers, rows_for
from ..explainers.kept import BlockStore
from ..explanation import explain
from ..settings import Settings, get_settings
from .counted import native_importance
from .measuring import correlated_groups
from .permuted import permutation_importance
from .refitted import drop_column_importance
from .training import training_rows

__all__ = ["METHODS", "Importances", "importance_gap", "importances", "same_groups"]


@dataclass(frozen=True, eq=False)
class Importances:
    """One importance for each model that has one, and why the others have none.

    Attributes
    ----------
    gaps : importance on training rows against that on evaluation rows, where it was asked for.
    data, digest : name and digest of the rows.
    """

    importances: tuple[Importance, ...]
    failures: tuple[Failure, ...] = ()
    gaps: tuple[ImportanceGap, ...] = ()
    data: str = ""
    digest: str = ""

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
    training: Any = None,
    store: BlockStore | None = None,
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
    training : rows that the models were trained on, read as `data` is; True = those that the
        split column of `data` tells. Permutation only: `gaps` then says what was learnt by heart.
    store : where finished parts are kept and found again (permutation, drop-column); anything
        with `get(key)` and `put(key, bytes)`. For models of files.
    options : those of the method: `metric`, `n_repeats`, `n_rows`, `groups` ("correlated", or
        name → columns), `random_state`, `n_folds`, ….

    Raises
    ------
    ParameterError : no such method; options out of bounds.
    DataError : the data cannot be read or has no usable target.
    """
    if method not in METHODS:
        raise ParameterError(f"There is no method {method!r}; there are {', '.join(METHODS)}.")
    if training is not None and training is not False and method != "permutation":
        raise ParameterError("Training rows are compared by permutation; choose that method.")
    settings = settings or get_settings()
    evalset = as_evalset(data, y, target, **(roles or {}))
    learnt = _training(training, data, evalset, target, roles or {})
    beside = read_helpers(helpers)
    kept = {"store": store} if store is not None and method in _STORED else {}
    found: list[Importance] = []
    gaps: list[ImportanceGap] = []
    failures: list[Failure] = []
    for name, item in named(models).items():
        try:
            model = as_model(name, item, beside, settings)
            one = METHODS[method](model, evalset, name, **kept, **options)
            found.append(one)
            if learnt is not None:
                more = {**kept, **same_groups(model, evalset, options), "metric": one.metric}
                before = permutation_importance(model, learnt, name, part="training", **more)
                gaps.append(compute_importance_gap(before, one))
        except ParameterError:
            raise
        except DiagnosticsError as error:
            failures.append(Failure(name, str(error)))
    return Importances(tuple(found), tuple(failures), tuple(gaps), evalset.name, evalset.digest)


_STORED = ("permutation", "drop-column")


def _training(
    given: Any, data: Any, evalset: EvalSet, target: Any, roles: dict[str, Any]
) -> EvalSet | None:
    """The training rows: those of the split column, or others that are read in the same way."""
    if given is None or given is False:
        return None
    if given is not True:
        return as_evalset(given, None, target, **roles)
    if isinstance(data, pd.DataFrame):
        table = Table.from_frame(evalset.name, data)
    elif isinstance(data, str | Path):
        table = read_table(Path(data))
    elif isinstance(data, Table):
        table = data
    else:
        raise ParameterError(
            "training=True reads the split column of a table; give the training rows themselves."
        )
    return training_rows(table, evalset)


def same_groups(model: Model, evalset: EvalSet, options: dict[str, Any]) -> dict[str, Any]:
    """The options with the groups that "correlated" means on these rows, for other rows too."""
    if not isinstance(options.get("groups"), str) or options["groups"] != "correlated":
        return options
    return {**options, "groups": correlated_groups(model, rows_for(model, evalset))}


def importance_gap(
    model: Model, training: EvalSet, evaluation: EvalSet, name: str, **options: Any
) -> ImportanceGap:
    """Permutation importance on training rows against that on evaluation rows.

    `options` are those of `permutation_importance`, the same for both.

    Raises
    ------
    NotApplicable, ModelError, ParameterError : as for `permutation_importance`.
    """
    options = same_groups(model, evaluation, options)
    one = permutation_importance(model, training, name, part="training", **options)
    two = permutation_importance(model, evaluation, name, part="evaluation", **options)
    return compute_importance_gap(one, two)
