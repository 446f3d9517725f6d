"""What a model that looks at no feature would score, for verdicts on models that are fitted."""

from __future__ import annotations

import math

from ..data import EvalSet
from ..diagnostics.baseline import compute_baseline
from ..diagnostics.metrics import compute_metrics
from ..errors import DiagnosticsError

__all__ = ["baseline_score"]


def baseline_score(evalset: EvalSet, metric: str) -> float | None:
    """The metric of the commonest class, of the shares of the classes, or of the mean answer.

    None where the metric has no value for it.
    """
    try:
        predictions = compute_baseline(evalset.target, sample_weight=evalset.sample_weight)
        table = compute_metrics(predictions, metrics=[metric], n_bootstrap=2, per_class=False)
    except DiagnosticsError:
        return None
    value = next((row.value for row in table.rows if row.label == ""), math.nan)
    return None if math.isnan(value) else float(value)
