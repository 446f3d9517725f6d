"""The interval of an area under ROC from its standard error."""

from __future__ import annotations

import numpy as np

from ..errors import ParameterError

__all__ = ["auc_interval"]


def auc_interval(
    auc: float, se: float, sizes: tuple[float, float], level: float = 0.95
) -> tuple[float, float]:
    """Interval of an area under ROC on the logit scale, so that it stays within [0, 1].

    logit(auc) ± z · se / (auc (1 − auc)) (Pepe 2003, *The Statistical Evaluation of Medical
    Tests*, 5.2.5). At an area of exactly 1 or 0 the standard error is 0 and says nothing.
    There the bound is exact: the min(P, N) disjoint pairs of a positive and a negative are
    independent trials that all succeeded, so the area is at least (α/2)^(1/min(P, N))
    (Clopper & Pearson 1934), or at most one minus that.
    """
    if not 0 < level < 1:
        raise ParameterError(f"Argument level must fulfil 0 < level < 1, got {level}.")
    if np.isnan(auc):
        return float("nan"), float("nan")
    if auc in (0.0, 1.0):
        bound = ((1 - level) / 2) ** (1 / min(sizes))
        return (bound, 1.0) if auc else (0.0, 1.0 - bound)
    if np.isnan(se):
        return float("nan"), float("nan")
    from scipy.special import expit, logit, ndtri

    centre = logit(auc)
    reach = ndtri((1 + level) / 2) * se / (auc * (1 - auc))
    return float(expit(centre - reach)), float(expit(centre + reach))
