"""What a model that looks at no feature would score, for verdicts on models that are fitted."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..data import EvalSet
from ..diagnostics.baseline import compute_baseline
from ..diagnostics.metrics import compute_metrics
from ..errors import DiagnosticsError

__all__ = ["baseline_score"]


def baseline_score(
    evalset: EvalSet, metric: str, rows: npt.NDArray[np.int64] | None = None
) -> float | None:
    """The metric of the commonest class, of the shares of the classes, or of the mean answer.

    `rows` : positions of the rows that it is made of and judged on; None = all. None is returned
    where the metric has no value for it.
    """
    target, weight = evalset.target, evalset.sample_weight
    if rows is not None:
        target, weight = target.take(rows), None if weight is None else weight[rows]
    try:
        predictions = compute_baseline(target, sample_weight=weight)
        table = compute_metrics(predictions, metrics=[metric], n_bootstrap=2, per_class=False)
    except DiagnosticsError:
        return None
    value = next((row.value for row in table.rows if row.label == ""), math.nan)
    return None if math.isnan(value) else float(value)
