"""Curves that fitted models carry, asked of them where they live."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ..contracts import Model, Run
from ..data import EvalSet
from ..evaluation import rows_for
from ..explainers.asking import ask
from ..explainers.permutation import truth
from ..refitting.inner_curves import read_inner_curves
from .stages import fitted_metrics

__all__ = ["curves_of_model"]


def curves_of_model(
    model: Model,
    evalset: EvalSet | None,
    name: str,
    *,
    metrics: Sequence[str] = (),
    stages: int = 50,
) -> list[Run]:
    """What was logged while a model was fitted, and the scores of its stages on the loaded rows.

    Parameters
    ----------
    evalset : the rows for the stages of boosting; None = only what was logged.
    metrics : for the stages; none = the headline metrics of the task.
    stages : at most so many.

    Raises
    ------
    NotApplicable : it carries no curve and has no stages.
    """
    tables: dict[str, Any] = {}
    arguments: dict[str, Any] = {"name": name, "stages": stages}
    if evalset is not None:
        tables = {"X": rows_for(model, evalset), "y": evalset.target.y}
        if evalset.sample_weight is not None:
            tables["w"] = evalset.sample_weight
        asked = tuple(metrics) or fitted_metrics(None, evalset.target.task)
        arguments |= {"target": truth(evalset.target), "metrics": list(asked)}
    read = partial(read_inner_curves, name=name)
    return ask(model, "inner_curves", arguments, tables, read=read)
