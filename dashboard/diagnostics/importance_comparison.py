"""Several importances side by side: agreement, features only one model uses, memorised ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtrit

from ..errors import NotApplicable, ParameterError
from .importance import Importance

__all__ = [
    "Agreement",
    "ImportanceComparison",
    "ImportanceGap",
    "compare_importances",
    "compute_importance_gap",
    "importance_labels",
]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """How alike two importances order the features that both have.

    Attributes
    ----------
    spearman, kendall : rank correlations (tau-b), nan with fewer than three shared features.
    overlap : the share of the first `top` features of one that are among those of the other; of
        few features `top` is half, for of all of them all are the same.
    n_shared : features that both have.
    """

    first: str
    second: str
    spearman: float
    kendall: float
    overlap: float
    top: int
    n_shared: int


@dataclass(frozen=True, eq=False)
class ImportanceComparison:
    """Several importances on the features of all.

    Attributes
    ----------
    labels : one per importance; the model, and the method where models have several.
    features : all features, the largest mean share first.
    shares : `(n_features, n_importances)`, each column sums to 1; nan where a model lacks it.
    pairs : agreement of each pair.
    only : label → features that this one clearly uses and no other does, though others have them.
    alone : label → features that this one alone has.
    lacking : label → features that two others or more have, and this one has not.
    unused : features that are near zero, or absent, for all.
    """

    labels: tuple[str, ...]
    features: tuple[str, ...]
    shares: Floats
    pairs: tuple[Agreement, ...]
    only: dict[str, tuple[str, ...]]
    alone: dict[str, tuple[str, ...]]
    lacking: dict[str, tuple[str, ...]]
    unused: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """One row per pair: first, second, spearman, kendall, overlap, top, n_shared."""
        names = list(Agreement.__dataclass_fields__)
        return pd.DataFrame(
            {name: [getattr(pair, name) for pair in self.pairs] for name in names}, columns=names
        )

    def matrix(self, measure: str = "spearman") -> Floats:
        """`(n_importances, n_importances)` of one measure, symmetric, 1 on the diagonal."""
        if measure not in ("spearman", "kendall", "overlap"):
            raise ParameterError(
                f"There is no measure {measure!r}; there are spearman, kendall and overlap."
            )
        place = {label: at for at, label in enumerate(self.labels)}
        out = np.eye(len(self.labels))
        for pair in self.pairs:
            i, j = place[pair.first], place[pair.second]
            out[i, j] = out[j, i] = getattr(pair, measure)
        return out


def importance_labels(importances: Sequence[Importance]) -> tuple[str, ...]:
    """A distinct label for each: the model, the method, or both, then the part of the data."""
    models = {each.model for each in importances}
    if len(models) == len(importances):
        return tuple(each.model for each in importances)
    methods = {each.title for each in importances}
    parts = {each.part for each in importances}
    labels = []
    for each in importances:
        words = [each.model] if len(models) > 1 or len(methods) == 1 else []
        words += [each.title] if len(methods) > 1 else []
        words += [each.part] if len(parts) > 1 and each.part else []
        labels.append(", ".join(words))
    for at, label in enumerate(labels):
        if labels.index(label) < at:
            labels[at] = f"{label} ({labels[:at].count(label) + 1})"
    return tuple(labels)


def compare_importances(
    importances: Sequence[Importance], *, top: int = 10
) -> ImportanceComparison:
    """Agreement of each pair on shared features; what one alone uses; what none uses.

    Raises
    ------
    NotApplicable : fewer than two importances.
    ParameterError : top below 1.
    """
    if len(importances) < 2:
        raise NotApplicable("Agreement needs two models or two methods; one is shown.")
    if top < 1:
        raise ParameterError(f"Argument top must be at least 1, got {top}.")
    labels = importance_labels(importances)
    features, shares = _aligned(importances)
    used = np.stack([_among(features, each, ~each.near_zero) for each in importances], axis=1)
    clear = np.stack([_among(features, each, ~(each.low <= 0)) for each in importances], axis=1)
    pairs = tuple(
        _agreement(labels[i], labels[j], importances[i], importances[j], top)
        for i, j in combinations(range(len(labels)), 2)
    )
    has = ~np.isnan(shares)
    shared = (has.sum(axis=1) > 1)[:, None]
    only = used & clear & shared & (used.sum(axis=1) == 1)[:, None]

    def told(flags: npt.NDArray[np.bool_]) -> dict[str, tuple[str, ...]]:
        return {
            label: tuple(features[at] for at in np.flatnonzero(flags[:, k]))
            for k, label in enumerate(labels)
        }

    return ImportanceComparison(
        labels=labels,
        features=features,
        shares=shares,
        pairs=pairs,
        only=told(only),
        alone=told(has & ~shared),
        lacking=told(~has & shared),
        unused=tuple(features[at] for at in np.flatnonzero(~used.any(axis=1))),
    )


def _aligned(importances: Sequence[Importance]) -> tuple[tuple[str, ...], Floats]:
    """All features by mean share, and the shares `(f, k)`; nan where one lacks the feature."""
    everything = list(dict.fromkeys(name for each in importances for name in each.features))
    shares = np.full((len(everything), len(importances)), np.nan)
    place = {name: at for at, name in enumerate(everything)}
    for k, each in enumerate(importances):
        shares[[place[name] for name in each.features], k] = each.shares
    order = np.argsort(-np.nan_to_num(shares).mean(axis=1), kind="stable")
    return tuple(everything[at] for at in order), shares[order]


def _among(
    features: Sequence[str], importance: Importance, flags: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Which of all features are flagged among those of one importance."""
    flagged = {name for name, flag in zip(importance.features, flags, strict=True) if flag}
    return np.array([name in flagged for name in features], dtype=bool)


def _agreement(first: str, second: str, a: Importance, b: Importance, top: int) -> Agreement:
    from scipy.stats import kendalltau, spearmanr

    shared = [name for name in a.features if name in set(b.features)]
    x, y = (_values(each, shared) for each in (a, b))
    known = ~(np.isnan(x) | np.isnan(y))
    x, y = x[known], y[known]
    varied = len(x) > 2 and len(set(x)) > 1 and len(set(y)) > 1
    k = min(top, -(-len(x) // 2))
    return Agreement(
        first,
        second,
        float(spearmanr(x, y).statistic) if varied else np.nan,
        float(kendalltau(x, y).statistic) if varied else np.nan,
        len(_first(x, k) & _first(y, k)) / k if k else np.nan,
        k,
        len(x),
    )


def _values(importance: Importance, names: Sequence[str]) -> Floats:
    found = dict(zip(importance.features, importance.values, strict=True))
    return np.array([found[name] for name in names], dtype=np.float64)


def _first(values: Floats, k: int) -> set[int]:
    return set(np.argsort(-values, kind="stable")[:k].tolist())


@dataclass(frozen=True, eq=False)
class ImportanceGap:
    """Importance on training rows against importance on evaluation rows.

    Attributes
    ----------
    difference, low, high : `(n_features,)` training minus evaluation, with its interval.
    memorised : above zero in training, and clearly more than in evaluation: so that one of all
        features is called so by chance as rarely as the level has it (Bonferroni).
    unit : of the importances.
    n : rows used in training and in evaluation.
    """

    model: str
    features: tuple[str, ...]
    training: Floats
    evaluation: Floats
    difference: Floats
    low: Floats
    high: Floats
    memorised: tuple[str, ...]
    unit: str = ""
    n: tuple[int, int] = (0, 0)

    @property
    def lost(self) -> float:
        """The share of all importance in training that does not carry over; nan without any.

        Of the memorised features only: what differs by chance is not counted.
        """
        total = float(np.maximum(np.nan_to_num(self.training), 0).sum())
        mine = [self.features.index(name) for name in self.memorised]
        return float(np.maximum(self.difference[mine], 0).sum()) / total if total > 0 else np.nan

    def frame(self) -> pd.DataFrame:
        """One row per feature, the largest difference first."""
        table = pd.DataFrame(
            {
                "model": self.model,
                "feature": list(self.features),
                "training": self.training,
                "evaluation": self.evaluation,
                "difference": self.difference,
                "low": self.low,
                "high": self.high,
                "memorised": [name in self.memorised for name in self.features],
            }
        )
        return table.sort_values("difference", ascending=False, kind="stable", ignore_index=True)


def compute_importance_gap(training: Importance, evaluation: Importance) -> ImportanceGap:
    """Which features help on training rows only: what was learnt from them does not carry over.

    The two were measured on different rows, so their errors add up.

    Raises
    ------
    NotApplicable : two models, two methods or two metrics.
    """
    same = ("model", "method", "metric")
    differ = [name for name in same if getattr(training, name) != getattr(evaluation, name)]
    if differ:
        raise NotApplicable(
            f"Training and evaluation can be set against each other for one model, one method and "
            f"one metric; these differ in their {differ[0]}."
        )
    features = tuple(name for name in training.features if name in set(evaluation.features))
    x, y = _values(training, features), _values(evaluation, features)
    error = np.sqrt(_variance(training, features) + _variance(evaluation, features))
    freedom = min(training.freedom, evaluation.freedom)
    tail = (1 - evaluation.level) / 2
    reach = stdtrit(freedom, 1 - tail) * error
    low, high = x - y - reach, x - y + reach
    # one of many features differs by chance alone; together they are held to the level of one
    strict = stdtrit(freedom, 1 - tail / max(1, len(features))) * error
    with np.errstate(invalid="ignore"):
        more = (x - y - strict > 0) & (x > 0)
    return ImportanceGap(
        training.model,
        features,
        x,
        y,
        x - y,
        low,
        high,
        tuple(name for name, flag in zip(features, more, strict=True) if flag),
        evaluation.unit,
        (training.n, evaluation.n),
    )


def _variance(importance: Importance, names: Sequence[str]) -> Floats:
    if importance.deviations is None:
        return np.full(len(names), np.nan)
    place = {name: at for at, name in enumerate(importance.features)}
    kept = importance.deviations[:, [place[name] for name in names]]
    return np.asarray((kept**2).mean(axis=0))
