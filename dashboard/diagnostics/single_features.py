"""What each feature alone says about the target: one that says nearly all may be a leak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from ..contracts import Target, Task
from ..errors import NotApplicable, ParameterError
from ..wording import listing, number, shorten

__all__ = ["LEAK_AUC", "LEAK_R2", "SingleFeatures", "compute_single_features"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEAK_AUC, LEAK_R2 = 0.99, 0.97
"""From here on one feature alone is suspicious."""
BINS, CATEGORIES = 32, 200
"""Groups that a number is cut into, and the most frequent values of a category that count."""


@dataclass(frozen=True, eq=False)
class SingleFeatures:
    """How well the target can be told from each feature by itself.

    Attributes
    ----------
    features : in the order of the data.
    scores : `(n_features,)` means over the folds: "roc_auc" (.5 = nothing; for several classes
        the mean of one against the rest) or "r2" (0 = nothing).
    limit : from which score on a feature is called leaky.
    n, n_given : rows used, of the rows there are.
    """

    features: tuple[str, ...]
    scores: Floats
    metric: str
    limit: float
    n: int
    n_given: int

    @property
    def leaky(self) -> tuple[str, ...]:
        """Features that nearly give the target away, the worst first."""
        order = np.argsort(-np.nan_to_num(self.scores, nan=-np.inf), kind="stable")
        return tuple(self.features[at] for at in order if self.scores[at] >= self.limit)

    def sentence(self) -> str:
        """Which features nearly give the target away, or which one says most, and how much."""
        known = ~np.isnan(self.scores)
        if not known.any():
            return ""
        title = "ROC AUC" if self.metric == "roc_auc" else "R²"
        score = dict(zip(self.features, self.scores.tolist(), strict=True))
        if self.leaky:
            said = [f"{shorten(name, 40)} ({title} {number(score[name])})" for name in self.leaky]
            them = "this was" if len(said) == 1 else "these were"
            return (
                f"By itself nearly gives the target away: {listing(said)}. Make sure that {them} "
                "known before the outcome was."
            )
        best = self.features[int(np.nanargmax(self.scores))]
        return (
            f"No feature gives the target away by itself; the most telling one, "
            f"{shorten(best, 40)}, alone reaches {title} {number(score[best])}."
        )

    def frame(self) -> pd.DataFrame:
        """One row per feature, the most telling first: feature, metric, score, leaky, n."""
        table = pd.DataFrame(
            {
                "feature": list(self.features),
                "metric": self.metric,
                "score": self.scores,
                "leaky": self.scores >= self.limit,
                "n": self.n,
            }
        )
        return table.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def compute_single_features(
    X: Any,
    target: Target,
    *,
    max_rows: int = 20_000,
    n_folds: int = 5,
    random_state: int = 0,
) -> SingleFeatures:
    """Score of the mean target by groups of each feature, on folds that did not make the means.

    Numbers are cut at quantiles, missing values are a group of their own. No model is asked: what
    is found is in the data, whatever the models make of it.

    Raises
    ------
    NotApplicable : rows that are no table; a target of several labels or outputs.
    ParameterError : fewer than two folds.
    """
    if not isinstance(X, pd.DataFrame):
        raise NotApplicable("Single features are looked at in tables, not in arrays.")
    if target.task in (Task.MULTILABEL, Task.MULTIOUTPUT_REGRESSION):
        raise NotApplicable("Single features are looked at for one target, not for several.")
    if n_folds < 2:
        raise ParameterError(f"n_folds must be at least 2, got {n_folds}.")
    rng = np.random.default_rng(random_state)
    kept = np.sort(rng.permutation(len(X))[:max_rows])
    fold = rng.permutation(len(kept)) % n_folds
    truth = _truth(target, kept)
    scores = [
        _score(_codes(X.iloc[:, at].iloc[kept]), truth, fold, target) for at in range(X.shape[1])
    ]
    is_class = target.task.is_classification
    return SingleFeatures(
        tuple(str(name) for name in X.columns),
        np.array(scores, dtype=np.float64),
        "roc_auc" if is_class else "r2",
        LEAK_AUC if is_class else LEAK_R2,
        len(kept),
        len(X),
    )


def _truth(target: Target, kept: Ints) -> Floats:
    """`(n, k)`: one column of 0 and 1 for each class, for two classes one; or the values."""
    y = target.y[kept]
    if target.task is Task.REGRESSION:
        return np.asarray(y, dtype=np.float64)[:, None]
    if target.task is Task.BINARY:
        return np.asarray(y == target.pos_label, dtype=np.float64)[:, None]
    found: Floats = (y[:, None] == np.arange(len(target.labels))[None, :]).astype(np.float64)
    return found


def _codes(column: pd.Series[Any]) -> Ints:
    """`(n,)` group of each row, 0 for missing values."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        missing = column.isna().to_numpy()
        values = np.where(missing, np.nan, column.astype("int64").to_numpy().astype(float))
        return _binned(values)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return _binned(pd.to_numeric(column, errors="coerce").astype(float).to_numpy())
    codes, _ = pd.factorize(column.astype(str).where(column.notna(), None))
    counts = np.bincount(codes[codes >= 0], minlength=1)
    rare = np.argsort(np.argsort(-counts, kind="stable"), kind="stable") >= CATEGORIES
    moved = np.where(rare, CATEGORIES, np.argsort(np.argsort(-counts, kind="stable")))
    return np.where(codes >= 0, moved[np.maximum(codes, 0)] + 1, 0).astype(np.int64)


def _binned(values: npt.NDArray[Any]) -> Ints:
    """Each distinct number by itself where they are few, else equal shares of the rows."""
    known = values[np.isfinite(values)]
    distinct = np.unique(known)
    if len(distinct) > BINS:
        distinct = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1]))
    codes = np.searchsorted(distinct, values, side="left") + 1
    return np.where(np.isfinite(values), codes, 0).astype(np.int64)


def _score(codes: Ints, truth: Floats, fold: Ints, target: Target) -> float:
    """The mean score over the folds; nan where no fold has one."""
    found = []
    groups = int(codes.max(initial=0)) + 1
    for k in range(int(fold.max(initial=0)) + 1):
        rest, here = fold != k, fold == k
        if not rest.any() or not here.any():
            continue
        counts = np.bincount(codes[rest], minlength=groups)
        overall = truth[rest].mean(axis=0)
        means = np.empty((groups, truth.shape[1]))
        for column in range(truth.shape[1]):
            sums = np.bincount(codes[rest], truth[rest, column], minlength=groups)
            # a group of few rows counts little: one row of the overall mean is added
            means[:, column] = (sums + overall[column]) / (counts + 1)
        found.append(_fold_score(means[codes[here]], truth[here], overall, target))
    return float(np.nanmean(found)) if found and not np.isnan(found).all() else np.nan


def _fold_score(told: Floats, truth: Floats, overall: Floats, target: Target) -> float:
    if target.task is Task.REGRESSION:
        spread = float(((truth - overall) ** 2).sum())
        return 1 - float(((truth - told) ** 2).sum()) / spread if spread > 0 else np.nan
    areas = [_area(told[:, k], truth[:, k] == 1) for k in range(truth.shape[1])]
    known = [area for area in areas if not np.isnan(area)]
    return float(np.mean(known)) if known else np.nan


def _area(score: Floats, positive: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve from mid-ranks; nan with one class only."""
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return np.nan
    ranks = rankdata(score)
    above = float(ranks[positive].sum()) - n_positive * (n_positive + 1) / 2
    return above / (n_positive * n_negative)
