"""The mergeable engine: score counts on fixed bins that add up over blocks, slices, machines.

Bins are cut where the bits of a score change, so that their edges are exact floating-point
numbers: a count at an edge is the exact count. Two scales:

- "probability": 512 bins to each halving of the distance to 0 *and* to 1 (steps of log-odds
  below 1/256), because rare events live at the ends, where linear bins lose them;
- "any": the leading 16 bits of a 32-bit float, 128 bins to each doubling, both signs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ParameterError
from .ordering import check_scores, check_weights
from .thresholds import ThresholdTable, delong_interval

__all__ = ["Areas", "ScoreHistogram", "average_precision_interval", "bootstrap_areas"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Scale = Literal["probability", "any"]

_BLOCK = 1 << 17
_BOOTSTRAP_BINS = 2_048
_CELLS_AT_ONCE = 1 << 20
_EXPONENT_BIAS = 1_023


class _Prefix(NamedTuple):
    """Magnitudes by the leading bits of a float64: `shift` bits dropped, exponents clipped."""

    shift: int
    base: int
    size: int

    def of(self, bits: IntArray) -> IntArray:
        bits >>= self.shift
        bits -= self.base
        return np.clip(bits, 0, self.size - 1, out=bits)

    def edge(self, code: IntArray) -> FloatArray:
        """Smallest magnitude of each prefix; 0 for the first, inf beyond the last."""
        bits = (code + self.base) << self.shift
        edges = np.where(code > 0, bits, 0).view(np.float64)
        return np.where(code < self.size, edges, np.inf)


_HALVINGS = 63
_PROBABILITY = _Prefix(52 - 9, (_EXPONENT_BIAS - 1 - _HALVINGS) << 9, _HALVINGS << 9)
_ANY = _Prefix(52 - 7, (_EXPONENT_BIAS - 127) << 7, 256 << 7)
_SIZES: dict[str, int] = {"probability": 2 * _PROBABILITY.size, "any": 2 * _ANY.size}


def _bins_of(scores: FloatArray, scale: Scale) -> IntArray:
    """Ascending bin of each score. Bins are closed below, as `score >= threshold` needs."""
    if scale == "probability":
        upper = scores >= 0.5
        prefix, distance = _PROBABILITY, np.where(upper, 1.0 - scores, scores)
    else:
        upper = scores < 0
        prefix, distance = _ANY, np.abs(scores)
    # where the distance grows downwards, (edge, next edge] of it is [.., ..) of the score
    codes = prefix.of(distance.view(np.int64) - upper)
    if scale == "probability":
        return np.where(upper, 2 * prefix.size - 1 - codes, codes)
    return np.where(upper, prefix.size - 1 - codes, prefix.size + codes)


def _lower_edges(bins: IntArray, scale: Scale) -> FloatArray:
    """The smallest score that falls into each bin."""
    if scale == "any":
        size = _ANY.size
        return np.where(bins >= size, _ANY.edge(bins - size), -_ANY.edge(size - bins))
    size = _PROBABILITY.size
    reach = _PROBABILITY.edge(2 * size - bins)
    grid = 2.0**53  # floats in [.5, 1] are multiples of 2^-53
    upper = 1.0 - np.floor(np.where(bins >= size, np.minimum(reach, 0.5), 0.0) * grid) / grid
    return np.where(bins >= size, upper, _PROBABILITY.edge(np.minimum(bins, size)))


@dataclass(frozen=True, eq=False)
class ScoreHistogram:
    """Weight of positives and of negatives in each bin. Add two to merge them.

    Counts merge exactly, in any order; sums of weights up to the rounding of addition.

    Attributes
    ----------
    scale : "probability" or "any"; only equal scales merge.
    weights : `(bins, 2)` float64, negatives first, bins in ascending order of score.
    squares : `(2,)` sums of squared weights of negatives and positives.
    n_rows : rows counted.
    """

    scale: Scale
    weights: FloatArray
    squares: FloatArray
    n_rows: int
    weighted: bool = False

    @classmethod
    def from_scores(
        cls,
        y_true: npt.ArrayLike,
        y_score: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        *,
        scale: Scale | None = None,
    ) -> ScoreHistogram:
        """Count `(n,)` boolean truth and `(n,)` scores.

        Parameters
        ----------
        scale : None = "probability" when all scores are within [0, 1]. Name it for data that
            comes in blocks, so that the blocks merge.

        Raises
        ------
        ParameterError : as `ThresholdTable.from_scores`; also scores outside [0, 1] on the
            probability scale.
        """
        truth, scores = check_scores(y_true, y_score)
        given = None if sample_weight is None else check_weights(sample_weight, len(truth))
        inside = not len(scores) or bool(scores.min() >= 0 and scores.max() <= 1)
        scale = scale or ("probability" if inside else "any")
        if scale not in _SIZES or (scale == "probability" and not inside):
            raise ParameterError(
                f"scale is {scale!r} and scores run from {scores.min()} to {scores.max()}. "
                "Use 'probability' within [0, 1], 'any' otherwise."
            )
        size = 2 * _SIZES[scale]
        weights, squares = np.zeros(size), np.zeros(2)
        for start in range(0, len(scores), _BLOCK):  # blocks stay in the processor's cache
            rows = slice(start, start + _BLOCK)
            places = 2 * _bins_of(scores[rows].astype(np.float64), scale) + truth[rows]
            block = None if given is None else given[rows]
            weights += np.bincount(places, block, minlength=size)
            if block is not None:
                squares += np.bincount(truth[rows], block**2, minlength=2)
        cells = weights.reshape(-1, 2)
        if given is None:
            squares = cells.sum(axis=0)
        return cls(scale, cells, squares, len(truth), given is not None)

    def __add__(self, other: ScoreHistogram) -> ScoreHistogram:
        if self.scale != other.scale:
            raise ParameterError(
                f"Histograms on the scales {self.scale!r} and {other.scale!r} cannot be merged; "
                "name the same `scale` for every block."
            )
        return ScoreHistogram(
            self.scale,
            self.weights + other.weights,
            self.squares + other.squares,
            self.n_rows + other.n_rows,
            self.weighted or other.weighted,
        )

    def table(self) -> ThresholdTable:
        """The same interface as the exact engine, with the bins' lower edges as thresholds."""
        held = np.flatnonzero(self.weights.any(axis=1))[::-1]
        sums = np.cumsum(np.vstack((np.zeros((1, 2)), self.weights[held])), axis=0)
        thresholds = np.append(np.inf, _lower_edges(held, self.scale))
        totals = sums[-1]
        effective = np.divide(totals**2, self.squares, out=np.zeros(2), where=self.squares > 0)
        return ThresholdTable(
            steps=(thresholds, sums[:, 1].copy(), sums[:, 0].copy()),
            n_rows=self.n_rows,
            weighted=self.weighted,
            effective=(float(effective[1]), float(effective[0])),
        )

    @property
    def auc_error_bound(self) -> float:
        """The binned area under ROC is at most this far from the exact one.

        Pairs in one bin count half; each may truly count 0 or 1.
        """
        negative, positive = self.weights.sum(axis=0)
        if not (negative and positive):
            return float("nan")
        together = np.prod(self.weights, axis=1).sum()
        return float(together / (2 * negative * positive))

    def delong_variance(self) -> float:
        """Variance of the binned area under ROC."""
        return self.table().delong_variance()

    def delong_interval(self, level: float = 0.95) -> tuple[float, float, float, float]:
        """(auc, se, low, high) of the binned area under ROC."""
        return delong_interval(self.table(), level)

    def bootstrap(self, n_bootstrap: int = 1_000, random_state: int = 0) -> Areas:
        """Replicates of both areas, rows redrawn within their class; see `bootstrap_areas`."""
        return bootstrap_areas(self.table(), n_bootstrap, random_state)


class Areas(NamedTuple):
    """Bootstrap replicates `(n_bootstrap,)`, and the values on the same bins."""

    roc_auc: FloatArray
    average_precision: FloatArray
    binned_roc_auc: float
    binned_average_precision: float


def coarse_rows(table: ThresholdTable, max_bins: int = _BOOTSTRAP_BINS) -> IntArray:
    """Rows of `table.steps` that bound at most `max_bins` bins, both ends included.

    Half of the edges step evenly through positives and negatives, half through the logarithm
    of the weight flagged: average precision is decided among the first few.
    """
    _, tps, fps = table.steps
    last = len(tps) - 1
    if last <= max_bins:
        return np.arange(last + 1)
    even = tps / max(table.n_positive, 1e-300) + fps / max(table.n_negative, 1e-300)
    flagged = tps + fps
    half = max_bins // 2
    rows = np.concatenate(
        (
            np.searchsorted(even, np.linspace(0, even[-1], half)),
            np.searchsorted(flagged, np.geomspace(flagged[1], flagged[-1], half)),
            [0, last],
        )
    )
    return np.unique(np.minimum(rows, last))


def bootstrap_areas(
    table: ThresholdTable,
    n_bootstrap: int = 1_000,
    random_state: int = 0,
    max_bins: int = _BOOTSTRAP_BINS,
) -> Areas:
    """Stratified bootstrap of area under ROC and average precision, all replicates at once.

    Rows redrawn within a class fall into score bins multinomially, so only the bins are
    drawn; with weights, Kish's effective number of rows. Seeded: equal inputs, equal results.

    Raises
    ------
    ParameterError : `n_bootstrap` below 1.
    """
    if n_bootstrap < 1:
        raise ParameterError(f"n_bootstrap must be at least 1, got {n_bootstrap}.")
    if not (table.n_positive and table.n_negative):
        nothing = np.full(n_bootstrap, np.nan)
        return Areas(nothing, nothing, float("nan"), float("nan"))
    rows = coarse_rows(table, max_bins)
    shares = [
        np.diff(steps[rows]) / total
        for steps, total in (
            (table.steps[1], table.n_positive),
            (table.steps[2], table.n_negative),
        )
    ]
    sizes = [max(1, round(size)) for size in table.effective_sizes]
    prevalence = table.n_positive / (table.n_positive + table.n_negative)
    rng = np.random.default_rng(random_state)
    block = max(1, _CELLS_AT_ONCE // len(rows))
    found = []
    for start in range(0, n_bootstrap, block):
        count = min(block, n_bootstrap - start)
        drawn = [
            rng.multinomial(size, share, count) / size
            for size, share in zip(sizes, shares, strict=True)
        ]
        found.append(_areas(drawn[0], drawn[1], prevalence))
    exact = _areas(shares[0][None], shares[1][None], prevalence)
    roc_auc, average_precision = (np.concatenate(part) for part in zip(*found, strict=True))
    return Areas(roc_auc, average_precision, float(exact[0][0]), float(exact[1][0]))


def _areas(
    positive: FloatArray, negative: FloatArray, prevalence: float
) -> tuple[FloatArray, FloatArray]:
    """Areas `(b,)` from shares of each class per bin `(b, bins)`, highest scores first."""
    tpr, fpr = np.cumsum(positive, axis=1), np.cumsum(negative, axis=1)
    roc_auc = np.einsum("ij,ij->i", negative, tpr - positive / 2)
    flagged: Any = prevalence * tpr + (1 - prevalence) * fpr
    precision = np.divide(prevalence * tpr, flagged, out=np.zeros_like(tpr), where=flagged > 0)
    return roc_auc, np.einsum("ij,ij->i", positive, precision)


def average_precision_interval(
    table: ThresholdTable,
    level: float = 0.95,
    n_bootstrap: int = 1_000,
    random_state: int = 0,
) -> tuple[float, float]:
    """Percentile interval of average precision from the stratified bootstrap on bins.

    For tables of data read in blocks, whose rows are gone; where they are at hand, score table
    and curve use `ranking.rank_interval`.

    Replicates are shifted by what binning changes in the value itself, and cut at 0 and 1.
    """
    if not 0 < level < 1:
        raise ParameterError(f"Argument level must fulfil 0 < level < 1, got {level}.")
    key = ("average_precision_interval", level, n_bootstrap, random_state)
    if key not in table.memo:
        areas = bootstrap_areas(table, n_bootstrap, random_state)
        shifted = areas.average_precision + (
            table.average_precision - areas.binned_average_precision
        )
        tail = (1 - level) / 2
        low, high = np.clip(np.quantile(shifted, (tail, 1 - tail)), 0.0, 1.0)
        table.memo[key] = float(low), float(high)
    interval: tuple[float, float] = table.memo[key]
    return interval
