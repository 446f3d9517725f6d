"""Cross-validation: the score of each fold, and models compared on the same folds.

The folds of one data set share training rows, so their scores are not independent. Intervals are
those of the corrected resampled t-test: the variance of the mean over J folds is
(1/J + n_validation/n_train) s² (Nadeau and Bengio, "Inference for the generalization error",
Machine Learning 52 (2003) 239–281; for repeated folds Bouckaert and Frank, PAKDD 2004).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import NotApplicable, ParameterError
from ..wording import in_sentence, interval, number, plural, shorten
from .intervals import check_level

__all__ = ["FoldDifference", "FoldScores", "MeanInterval", "compare_folds", "corrected_interval"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class MeanInterval(NamedTuple):
    """A mean over folds, its corrected interval, the p-value of "the mean is 0", how many folds."""

    mean: float
    low: float
    high: float
    p_value: float
    n: int


def corrected_interval(values: Floats, ratio: float, level: float = 0.95) -> MeanInterval:
    """Mean of `(f,)` values of folds that share training rows, with the corrected t interval.

    Parameters
    ----------
    values : scores or differences of scores; those that are NaN are left out.
    ratio : rows judged over rows learned from in one fold, 1/(k - 1) for k folds.

    Returns
    -------
    MeanInterval : ends and p-value are nan with fewer than two folds.
    """
    from scipy.special import stdtr, stdtrit

    check_level(level)
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    n = len(known)
    if n < 2:
        return MeanInterval(float(known[0]) if n else np.nan, np.nan, np.nan, np.nan, n)
    mean = float(known.mean())
    error = float(np.sqrt((1 / n + ratio) * known.var(ddof=1)))
    reach = float(stdtrit(n - 1, (1 + level) / 2)) * error
    p_value = 2 * float(stdtr(n - 1, -abs(mean) / error)) if error > 0 else float(mean == 0)
    return MeanInterval(mean, mean - reach, mean + reach, p_value, n)


@dataclass(frozen=True, eq=False)
class FoldScores:
    """One metric of one model in every fold.

    Attributes
    ----------
    model : its display name; metric : a name in `metrics.METRICS`; title : as people read it.
    train, validation : `(f,)` scores on the rows learned from and on the others; NaN where a fold
        is not done, failed, or has no value.
    fit_seconds : `(f,)`, NaN where unknown.
    n_train, n_validation : `(f,)` rows of each.
    repeats : `(f,)` which repetition each fold belongs to.
    failures : `(f,)` why a fold has no score; "" where it has one.
    folds : how the rows were divided, in a sentence; digest : of all positions.
    n_given : rows of the data.
    n_done, n_fits : fits that are done, failed ones among them, and all.
    apart : score of a fit on all these rows on others that were kept apart; NaN where unknown.
    n_apart : rows kept apart.
    baseline : score of a model that looks at no feature; NaN where unknown.
    """

    model: str
    metric: str
    title: str
    larger_is_better: bool
    train: Floats
    validation: Floats
    fit_seconds: Floats
    n_train: Ints
    n_validation: Ints
    repeats: Ints
    failures: tuple[str, ...]
    folds: str = ""
    digest: str = ""
    n_given: int = 0
    n_done: int = 0
    n_fits: int = 0
    notes: tuple[str, ...] = ()
    apart: float = np.nan
    n_apart: int = 0
    baseline: float = np.nan

    def __post_init__(self) -> None:
        n = len(self.validation)
        arrays = (self.train, self.fit_seconds, self.n_train, self.n_validation, self.repeats)
        if any(each.shape != (n,) for each in arrays) or len(self.failures) != n:
            raise ParameterError(f"Cross-validation of {n} folds needs {n} values of everything.")

    @property
    def is_complete(self) -> bool:
        return self.n_done >= self.n_fits

    @property
    def n_scored(self) -> int:
        """Folds with a score."""
        return int(np.isfinite(self.validation).sum())

    @property
    def mean(self) -> float:
        """Mean of the validation scores that there are; nan without any."""
        return _mean(self.validation)

    @property
    def sd(self) -> float:
        """Their population standard deviation, as `numpy.std`; nan without any."""
        known = self.validation[np.isfinite(self.validation)]
        return float(known.std()) if len(known) else np.nan

    @property
    def train_mean(self) -> float:
        return _mean(self.train)

    @property
    def ratio(self) -> float:
        """Rows judged over rows learned from, the mean over the folds."""
        return float(np.mean(self.n_validation / np.maximum(self.n_train, 1)))

    def interval(self, level: float = 0.95) -> MeanInterval:
        """The mean with the corrected interval."""
        return corrected_interval(self.validation, self.ratio, level)

    def frame(self) -> pd.DataFrame:
        """A row a fold: model, metric, repeat, fold, n_train, n_validation, train, validation,
        fit_seconds, failure."""
        n = len(self.validation)
        return pd.DataFrame(
            {
                "model": self.model,
                "metric": self.metric,
                "repeat": self.repeats,
                "fold": np.arange(n) - np.searchsorted(self.repeats, self.repeats),
                "n_train": self.n_train,
                "n_validation": self.n_validation,
                "train": self.train,
                "validation": self.validation,
                "fit_seconds": self.fit_seconds,
                "failure": list(self.failures),
            }
        )


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


@dataclass(frozen=True, eq=False)
class FoldDifference:
    """What one model scores more than another in the same folds.

    Attributes
    ----------
    first, second : models; differences are first minus second.
    differences : `(f,)`, NaN where either has no score.
    mean, low, high : over the folds that both have, with the corrected interval at `level`.
    p_value : of "both are equally good", two-sided.
    n : folds compared.
    """

    first: str
    second: str
    metric: str
    title: str
    larger_is_better: bool
    differences: Floats
    mean: float
    low: float
    high: float
    p_value: float
    n: int
    level: float

    @property
    def decided(self) -> bool:
        """The interval does not hold 0."""
        return bool(self.low > 0 or self.high < 0)

    @property
    def better(self) -> str | None:
        """The better model, None where it is too close to call."""
        if not self.decided:
            return None
        return self.first if (self.mean > 0) == self.larger_is_better else self.second

    def frame(self) -> pd.DataFrame:
        """A row a fold: first, second, metric, fold, difference."""
        return pd.DataFrame(
            {
                "first": self.first,
                "second": self.second,
                "metric": self.metric,
                "fold": np.arange(len(self.differences)),
                "difference": self.differences,
            }
        )

    @property
    def sentence(self) -> str:
        """Who is better by how much, with the interval; or that it is too close to call."""
        first, second = shorten(self.first, 28), shorten(self.second, 28)
        if self.n < 2:
            return f"{first} and {second} share {plural(self.n, 'fold')}: nothing can be said."
        if not self.differences[np.isfinite(self.differences)].any():
            return f"{first} and {second} score the same in all {self.n} folds."
        title, over = in_sentence(self.title), f"over {plural(self.n, 'fold')}"
        if self.better is None:
            ends = f"[{signed(self.low)}, {signed(self.high)}]"
            return (
                f"Too close to call between {first} and {second}: {first} differs by "
                f"{signed(self.mean)} {ends} {title} {over}."
            )
        winner, loser = (first, second) if self.better == self.first else (second, first)
        low, high = sorted((abs(self.low), abs(self.high)))
        way = "more" if self.larger_is_better else "less"
        return (
            f"{winner} is better than {loser}: {interval(abs(self.mean), low, high)} {way} {title} "
            f"{over}."
        )


def signed(value: float) -> str:
    """`+.012`, `−.030`, `0`."""
    return f"+{number(value)}" if value > 0 else number(value)


def compare_folds(
    scores: Sequence[FoldScores], reference: str | None = None, *, level: float = 0.95
) -> list[FoldDifference]:
    """Every other model minus the reference, in the same folds.

    Parameters
    ----------
    reference : the model to compare with; the one with the best mean where None.

    Raises
    ------
    NotApplicable : fewer than two models.
    ParameterError : other folds or another metric; a reference that is none of them.
    """
    check_level(level)
    if len(scores) < 2:
        raise NotApplicable("One model has nothing to be compared with. Show two or more.")
    first = scores[0]
    if any(one.metric != first.metric for one in scores):
        raise ParameterError("Models are compared in one metric; these hold several.")
    if any(
        one.digest != first.digest or len(one.validation) != len(first.validation) for one in scores
    ):
        raise ParameterError(
            "These models were fitted on different folds. Cross-validate them in one go."
        )
    base = best_of(scores) if reference is None else _named(scores, reference)
    return [_difference(one, base, level) for one in scores if one is not base]


def best_of(scores: Sequence[FoldScores]) -> FoldScores:
    """The one with the best mean; those without a score come last."""
    sign = 1 if scores[0].larger_is_better else -1
    return max(scores, key=lambda one: sign * one.mean if np.isfinite(one.mean) else -np.inf)


def _named(scores: Sequence[FoldScores], name: str) -> FoldScores:
    found = next((one for one in scores if one.model == name), None)
    if found is None:
        raise ParameterError(
            f"There are no scores of {name!r}; there are some of {[one.model for one in scores]}."
        )
    return found


def _difference(one: FoldScores, base: FoldScores, level: float) -> FoldDifference:
    differences = one.validation - base.validation
    found = corrected_interval(differences, one.ratio, level)
    return FoldDifference(
        first=one.model,
        second=base.model,
        metric=one.metric,
        title=one.title,
        larger_is_better=one.larger_is_better,
        differences=differences,
        mean=found.mean,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        n=found.n,
        level=level,
    )
