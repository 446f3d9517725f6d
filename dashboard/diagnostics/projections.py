"""How far a curve by training size may be drawn on: a power law, its interval, and its limits.

The validation score is `c - a n^-b` (`c + a n^-b` where lower is better), a ≥ 0, fitted by least
squares to the means over folds with weights from their spread; for a given b it is linear in c and
a (variable projection, Golub and Pereyra, Inverse Problems 19 (2003) R1–R26). Power laws of
learning: Cortes et al., NIPS 6 (1994) 327–334. The interval is a delete-one-fold jackknife with the
variance of means over folds that share training rows (Nadeau and Bengio, Machine Learning 52
(2003) 239–281).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import NotApplicable, ParameterError
from ..wording import count, number, percent
from .intervals import check_level
from .metric_list import METRICS
from .size_curves import SizeCurve

__all__ = ["FURTHEST", "Gain", "Projection", "project"]

Floats = npt.NDArray[np.float64]
Params = tuple[float, float, float]

FURTHEST = 4  # times the largest size
LEAST_SIZES, LEAST_FOLDS, LEAST_SPAN = 4, 3, 4.0
EXPONENTS = np.geomspace(0.05, 3.0, 120)
MOST_MISS = 3.0  # standard errors by which the largest size may be missed from the smaller ones
POOR_FIT = 2.5  # root mean square of the residuals in standard errors


@dataclass(frozen=True)
class Gain:
    """What more rows may bring: the change of the validation score, above zero for better.

    Attributes
    ----------
    more : further rows; value, low, high : the change and its interval.
    """

    more: int
    value: float
    low: float
    high: float
    sentence: str


@dataclass(frozen=True, eq=False)
class Projection:
    """A power law through the validation scores of one curve.

    Attributes
    ----------
    model, metric, title, larger_is_better : of the curve.
    limit, amplitude, exponent : c, a and b.
    base : the largest size that was fitted; furthest : the last size that is defensible.
    sizes, values, low, high : `(p,)` the law from the smallest size to `furthest`, with the
        interval of level `level`.
    miss : by how many standard errors the law of the smaller sizes misses the largest one.
    sentence : what was fitted and how well.
    """

    model: str
    metric: str
    title: str
    larger_is_better: bool
    limit: float
    amplitude: float
    exponent: float
    base: int
    furthest: int
    sizes: Floats
    values: Floats
    low: Floats
    high: Floats
    level: float
    miss: float
    sentence: str
    _params: tuple[Params, ...] = ()
    _independent: int = 0

    def gain(self, more: int) -> Gain:
        """What so many further rows may bring.

        Raises
        ------
        ParameterError : fewer than one row.
        NotApplicable : more rows than is defensible.
        """
        if more < 1:
            raise ParameterError(f"At least 1 further row is needed, got {more}.")
        reached = self.base + more
        if reached > self.furthest:
            raise NotApplicable(
                f"{count(reached)} rows are more than {FURTHEST} times the "
                f"{count(self.base)} of the largest fit; nothing is said beyond "
                f"{count(self.furthest)}."
            )
        sign = 1 if self.larger_is_better else -1

        def change(params: Params) -> Floats:
            ends = _law(params, np.array([self.base, reached]), sign)
            return sign * (ends[1:] - ends[:1])

        own: Params = (self.limit, self.amplitude, self.exponent)
        value, low, high = _jackknifed(change, own, self._params, self._independent, self.level)
        verb = "raise" if self.larger_is_better else "lower"
        sentence = (
            f"Another {count(more)} rows may {verb} {self.title} by {number(float(value[0]))} "
            f"({percent(self.level)} interval {number(float(low[0]))} to {number(float(high[0]))})."
        )
        return Gain(more, float(value[0]), float(low[0]), float(high[0]), sentence)


def project(curve: SizeCurve, *, level: float = 0.95) -> Projection:
    """The power law of a curve, up to four times its largest size.

    Raises
    ------
    NotApplicable : too few sizes or folds, no change beyond the spread, or a law that does not
        describe the scores; with the reason.
    ParameterError : level out of bounds.
    """
    check_level(level)
    sizes, scores = _usable(curve)
    sign = 1 if curve.larger_is_better else -1
    bounds = _bounds(curve)
    errors = _standard_errors(scores, curve.independent or scores.shape[1])
    _need_change(curve, scores, errors, sign)
    own = _fit(sizes, scores.mean(axis=1), errors, sign, bounds)
    residuals = (scores.mean(axis=1) - _law(own, sizes, sign)) / errors
    misfit = float(np.sqrt((residuals**2).sum() / max(1, len(sizes) - 3)))
    miss = _missed(sizes, scores, errors, sign, bounds)
    if misfit > POOR_FIT or miss > MOST_MISS or own[1] <= 0:
        raise NotApplicable(
            "The scores do not follow a power law well enough to be continued: "
            + (
                f"fitted on the smaller sizes, it misses the largest by {miss:.1f} standard errors."
                if miss > MOST_MISS
                else f"it misses them by {misfit:.1f} standard errors on average."
            )
        )
    parts = tuple(
        _fit(sizes, np.delete(scores, k, axis=1).mean(axis=1), errors, sign, bounds)
        for k in range(scores.shape[1])
    )
    return _projection(curve, sizes, own, parts, miss, level)


def _usable(curve: SizeCurve) -> tuple[Floats, Floats]:
    """Sizes at which every fold has a score, and these scores `(s, f)`.

    Raises
    ------
    NotApplicable : too few, or too close to each other.
    """
    folds = np.isfinite(curve.validation).sum(axis=0) >= LEAST_SIZES
    scores = curve.validation[:, folds]
    whole = np.isfinite(scores).all(axis=1) if scores.shape[1] else np.zeros(len(scores), bool)
    sizes, scores = curve.sizes[whole].astype(np.float64), scores[whole]
    if len(sizes) < LEAST_SIZES or scores.shape[1] < LEAST_FOLDS:
        raise NotApplicable(
            f"A projection needs at least {LEAST_SIZES} sizes in {LEAST_FOLDS} folds; here are "
            f"{len(sizes)} in {scores.shape[1]}. Fit more of them."
        )
    if sizes[-1] < LEAST_SPAN * sizes[0]:
        raise NotApplicable(
            f"The sizes reach from {count(sizes[0])} to {count(sizes[-1])} rows; a projection "
            f"needs a largest size of at least {LEAST_SPAN:g} times the smallest."
        )
    return sizes, scores


def _bounds(curve: SizeCurve) -> tuple[float, float]:
    known = METRICS.get(curve.metric)
    return (-math.inf, math.inf) if known is None else known.range


def _standard_errors(scores: Floats, n_splits: int) -> Floats:
    """`(s,)` of the means over folds; smoothed over the sizes, for few folds tell little."""
    spread = scores.std(axis=1, ddof=1)
    pooled = float(np.sqrt((spread**2).mean()))
    smooth = np.sqrt((spread**2 + pooled**2) / 2)
    errors: Floats = np.maximum(smooth * math.sqrt(_correction(scores.shape[1], n_splits)), 1e-12)
    return errors


def _correction(n_folds: int, n_splits: int) -> float:
    """The variance of a mean over folds, in variances of one: folds share training rows."""
    return 1 / n_folds + 1 / max(1, n_splits - 1)


def _need_change(curve: SizeCurve, scores: Floats, errors: Floats, sign: int) -> None:
    mean = scores.mean(axis=1)
    change = sign * float(mean[-1] - mean[0])
    within = float(np.hypot(errors[0], errors[-1]))
    if change > 2 * within:
        return
    raise NotApplicable(
        f"{curve.title} changes by {number(change)} between the smallest and the largest size, "
        f"with a standard error of {number(within)}: there is no trend to continue."
    )


def _law(params: Params, sizes: Floats, sign: int) -> Floats:
    limit, amplitude, exponent = params
    values: Floats = limit - sign * amplitude * np.asarray(sizes, dtype=np.float64) ** -exponent
    return values


def _fit(
    sizes: Floats, means: Floats, errors: Floats, sign: int, bounds: tuple[float, float]
) -> Params:
    """Limit, amplitude and exponent of the least weighted squares."""
    weight = 1 / errors**2
    exponents: Floats = EXPONENTS
    for _ in range(3):  # a finer grid around the best of the last
        loss, limits, amplitudes = _lines(sizes, means, weight, sign, bounds, exponents)
        best = int(np.argmin(loss))
        found = float(limits[best]), float(amplitudes[best]), float(exponents[best])
        around = exponents[max(0, best - 1)], exponents[min(len(exponents) - 1, best + 1)]
        exponents = np.geomspace(*around, 41)
    return found


def _lines(
    sizes: Floats,
    means: Floats,
    weight: Floats,
    sign: int,
    bounds: tuple[float, float],
    exponents: Floats,
) -> tuple[Floats, Floats, Floats]:
    """`(e,)` loss, limit and amplitude of the best line in n^-b for each b, within the bounds."""
    x = -sign * sizes[None, :] ** -exponents[:, None]
    total = weight.sum()
    mx, my = (x @ weight) / total, float(means @ weight) / total
    away = x - mx[:, None]
    amplitude = np.maximum((away * (means - my)) @ weight / np.maximum(away**2 @ weight, 1e-300), 0)
    limit = my - amplitude * mx
    inside = np.clip(limit, *bounds)
    bounded = (x * (means - inside[:, None])) @ weight / np.maximum(x**2 @ weight, 1e-300)
    amplitude = np.where(inside == limit, amplitude, np.maximum(bounded, 0))
    loss = (means - inside[:, None] - amplitude[:, None] * x) ** 2 @ weight
    return loss, inside, amplitude


def _missed(
    sizes: Floats, scores: Floats, errors: Floats, sign: int, bounds: tuple[float, float]
) -> float:
    """Standard errors by which the law of all but the largest size misses it; 0 if too few."""
    if len(sizes) <= LEAST_SIZES:
        return 0.0
    means = scores.mean(axis=1)
    before = _fit(sizes[:-1], means[:-1], errors[:-1], sign, bounds)
    told = float(_law(before, sizes[-1:], sign)[0])
    return abs(float(means[-1]) - told) / float(np.hypot(errors[-1], errors[-2]))


def _jackknifed(
    what: Callable[[Params], Floats],
    own: Params,
    parts: tuple[Params, ...],
    n_splits: int,
    level: float,
) -> tuple[Floats, Floats, Floats]:
    """The value and its interval from the fits without one fold each."""
    from scipy.special import stdtrit

    k = len(parts)
    value = what(own)
    pseudo = k * value - (k - 1) * np.array([what(one) for one in parts])
    spread = pseudo.std(axis=0, ddof=1)
    reach = stdtrit(k - 1, (1 + level) / 2) * spread * math.sqrt(_correction(k, n_splits))
    return value, value - reach, value + reach


def _projection(
    curve: SizeCurve,
    sizes: Floats,
    own: Params,
    parts: tuple[Params, ...],
    miss: float,
    level: float,
) -> Projection:
    sign = 1 if curve.larger_is_better else -1
    base, n_splits = int(sizes[-1]), curve.independent or len(parts)
    before = np.geomspace(sizes[0], base, 30)
    beyond = np.geomspace(base, FURTHEST * base, 30)
    grid: Floats = np.unique(np.round(np.concatenate([before, beyond]))).astype(np.float64)
    values, low, high = _jackknifed(lambda p: _law(p, grid, sign), own, parts, n_splits, level)
    lowest, highest = _bounds(curve)
    return Projection(
        model=curve.model,
        metric=curve.metric,
        title=curve.title,
        larger_is_better=curve.larger_is_better,
        limit=own[0],
        amplitude=own[1],
        exponent=own[2],
        base=base,
        furthest=FURTHEST * base,
        sizes=grid,
        values=values,
        low=np.maximum(low, lowest),
        high=np.minimum(high, highest),
        level=level,
        miss=miss,
        sentence=(
            f"A power law with exponent {number(own[2])} and the limit {number(own[0])}, fitted on "
            f"{len(parts)} folds of {len(sizes)} sizes; drawn to {FURTHEST} times the largest size."
        ),
        _params=parts,
        _independent=n_splits,
    )
