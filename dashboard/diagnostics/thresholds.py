"""The threshold engine: cumulative counts at every distinct score, from one sort.

Every curve, matrix and figure of a two-way decision is read from a `ThresholdTable`.
One rule everywhere: a row is flagged (predicted positive) when `score >= threshold`.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Predictions
from ..errors import NotApplicable, ParameterError
from .delong import auc_interval
from .ordering import Steps, accumulate, check_scores, check_weights
from .rates import CRITERIA, Counts, check_threshold, criterion, flagged, ratio

__all__ = [
    "CRITERIA",
    "Counts",
    "ThresholdTable",
    "auc_interval",
    "check_label",
    "compute_thresholds",
    "delong_interval",
    "flagged",
]

FloatArray = npt.NDArray[np.float64]
Strategy = Literal["uniform", "quantile"]

# intermediate arrays stay in the processor's cache, and dot products below the length from
# which OpenBLAS starts threads, whose waiting costs more than the work on a busy machine
_BLOCK = 1 << 13


@dataclass(frozen=True, eq=False)
class ThresholdTable:
    """Cumulative weights of positives and negatives at every distinct score, descending.

    Attributes
    ----------
    steps : thresholds, tps, fps, each `(m + 1,)` float64; row 0 is (inf, 0, 0).
        `thresholds`, `tps`, `fps` are the views `(m,)` without it.
    n_rows : rows counted; with weights, rows of weight 0 too.
    weighted : whether sample weights were given.
    single : whether the scores were float32 (thresholds are rounded to it, see `flagged`).
    effective : effective number of positives and of negatives for standard errors,
        (Σw)² / Σw² (Kish 1965); the counts themselves without weights.
    memo : what was derived from this table alone (marks of drawn curves, intervals), by key,
        so that moving a threshold computes none of it again.
    """

    steps: Steps = field(repr=False)
    n_rows: int
    weighted: bool = False
    single: bool = False
    effective: tuple[float, float] | None = None
    memo: dict[tuple[Any, ...], Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_scores(
        cls,
        y_true: npt.ArrayLike,
        y_score: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
    ) -> ThresholdTable:
        """Exact table of `(n,)` boolean truth and `(n,)` scores, ±inf allowed.

        Rows of weight 0 add no threshold, as in scikit-learn.

        Raises
        ------
        ParameterError : NaN scores, lengths that differ, negative or non-finite weights.
        """
        truth, scores = check_scores(y_true, y_score)
        weights = None if sample_weight is None else check_weights(sample_weight, len(truth))
        effective = None
        if weights is not None:
            effective = (_kish(weights[truth]), _kish(weights[~truth]))
        return cls(
            steps=accumulate(truth, scores, weights),
            n_rows=len(truth),
            weighted=weights is not None,
            single=scores.dtype == np.float32,
            effective=effective,
        )

    @property
    def thresholds(self) -> FloatArray:
        return self.steps[0][1:]

    @property
    def tps(self) -> FloatArray:
        return self.steps[1][1:]

    @property
    def fps(self) -> FloatArray:
        return self.steps[2][1:]

    @property
    def n_positive(self) -> float:
        return float(self.steps[1][-1])

    @property
    def n_negative(self) -> float:
        return float(self.steps[2][-1])

    @property
    def effective_sizes(self) -> tuple[float, float]:
        """Effective number of positives and negatives."""
        return self.effective or (self.n_positive, self.n_negative)

    # -- one threshold ---------------------------------------------------------------

    def at(self, threshold: float) -> Counts:
        """The matrix at a threshold, in O(log m)."""
        cut = check_threshold(threshold, single=self.single)
        row = bisect.bisect_right(self.thresholds, -cut, key=lambda score: -score)
        return self._counts(row, float(threshold))

    def _counts(self, row: int, threshold: float) -> Counts:
        tp, fp = float(self.steps[1][row]), float(self.steps[2][row])
        return Counts(tp, fp, self.n_positive - tp, self.n_negative - fp, threshold)

    def threshold_for_recall(self, recall: float) -> float:
        """The highest threshold with at least this recall; inf without positives to catch."""
        _check_share("recall", recall)
        if not self.n_positive:
            return float("inf")
        # the quotient decides, not the product: .07 * 100 exceeds 7
        row = bisect.bisect_left(self.steps[1], recall, key=lambda tp: tp / self.n_positive)
        return float(self.steps[0][row])

    def threshold_for_precision(self, precision: float) -> float | None:
        """The lowest threshold (the most recall) with at least this precision; None if none."""
        _check_share("precision", precision)
        rows = np.flatnonzero((self._rates[2] >= precision)[1:])
        return float(self.thresholds[rows[-1]]) if len(rows) else None

    def threshold_for_selection(self, share: float) -> float:
        """The lowest threshold that flags at most this share of the weight; inf if none does."""
        _check_share("share", share)
        flagged_weight, total = self.steps[1] + self.steps[2], self.n_positive + self.n_negative
        if not total:
            return float("inf")
        rows = np.searchsorted(flagged_weight / total, share, side="right")
        return float(self.steps[0][rows - 1])

    def best(self, metric: str = "f1") -> float:
        """The threshold with the largest value of one of `CRITERIA`; the highest of equals.

        inf means that flagging nothing is best (or that nothing is defined).
        """
        key = ("best", metric)
        if key not in self.memo:
            _, tps, fps = self.steps
            values = criterion(metric)(tps, fps, self.n_positive - tps, self.n_negative - fps)
            usable = np.where(np.isnan(values), -np.inf, values)
            self.memo[key] = float(self.steps[0][int(np.argmax(usable))])
        return float(self.memo[key])

    def cost(self, cost_fp: float = 1.0, cost_fn: float = 1.0) -> FloatArray:
        """`(m + 1,)` total cost at inf and then at each of `thresholds`."""
        for name, value in (("cost_fp", cost_fp), ("cost_fn", cost_fn)):
            if not (value >= 0 and np.isfinite(value)):
                raise ParameterError(f"{name} must be finite and not negative, got {value}.")
        return self.steps[2] * cost_fp + (self.n_positive - self.steps[1]) * cost_fn

    def cheapest(self, cost_fp: float = 1.0, cost_fn: float = 1.0) -> float:
        """The threshold of least total cost; the highest of equals, inf = flag nothing."""
        return float(self.steps[0][int(np.argmin(self.cost(cost_fp, cost_fn)))])

    # -- curves ----------------------------------------------------------------------

    @cached_property
    def _rates(self) -> Steps:
        """fpr, tpr and precision `(m + 1,)`; precision 1 where nothing is flagged."""
        _, tps, fps = self.steps
        fpr, tpr, precision = rates = np.empty((3, len(tps)))
        totals = self.n_negative or np.nan, self.n_positive or np.nan
        for rows, _ in self._blocks(0):
            np.divide(fps[rows], totals[0], out=fpr[rows])
            np.divide(tps[rows], totals[1], out=tpr[rows])
            flagged_weight = tps[rows] + fps[rows]
            if rows.start == 0:
                flagged_weight[0] = 1.0
            np.divide(tps[rows], flagged_weight, out=precision[rows])
        precision[0] = 1.0  # scikit-learn's convention for the curve
        return rates[0], rates[1], rates[2]

    def roc(self) -> Steps:
        """fpr, tpr, thresholds `(m + 1,)` from (0, 0, inf): `roc_curve(drop_intermediate=False)`.

        A rate is nan where its class is absent.
        """
        return self._rates[0], self._rates[1], self.steps[0]

    def precision_recall(self) -> Steps:
        """precision and recall `(m + 1,)`, thresholds `(m,)`: scikit-learn's form.

        Thresholds ascend and the last point is (1, 0). Without positives recall is 1 at
        every threshold, as scikit-learn has it.
        """
        recall = self._rates[1]
        if not self.n_positive:
            recall = np.ones_like(recall)
            recall[0] = 0.0
        return self._rates[2][::-1], recall[::-1], self.thresholds[::-1]

    def det(self) -> Steps:
        """fpr, fnr, thresholds `(m + 1,)`, thresholds descending from inf."""
        return self._rates[0], 1.0 - self._rates[1], self.steps[0]

    def gain(self) -> tuple[FloatArray, FloatArray]:
        """Share of weight flagged and recall `(m + 1,)`, from (0, 0) to (1, 1)."""
        return self._selected, self._rates[1]

    def lift(self) -> tuple[FloatArray, FloatArray]:
        """Share of weight flagged and lift (precision over prevalence) `(m + 1,)`.

        The first point, where nothing is flagged, repeats the second: lift has no value there.
        """
        prevalence = ratio(self.n_positive, self.n_positive + self.n_negative)
        lift: FloatArray = self._rates[2] / prevalence if prevalence else self._rates[1].copy()
        if len(lift) > 1:
            lift[0] = lift[1]
        return self._selected, lift

    @cached_property
    def _selected(self) -> FloatArray:
        return _share_of(self.steps[1] + self.steps[2], self.n_positive + self.n_negative)

    # -- figures ---------------------------------------------------------------------

    def _blocks(self, low: int = 1, high: int | None = None) -> Iterator[tuple[slice, slice]]:
        """Rows of `steps`, and the rows before them, in blocks that stay in the cache."""
        high = len(self.steps[0]) if high is None else high
        for start in range(low, high, _BLOCK):
            stop = min(start + _BLOCK, high)
            yield slice(start, stop), slice(start - 1, stop - 1)

    @property
    def _distinct(self) -> bool:
        """Whether every row has a score of its own and counts once."""
        return not self.weighted and len(self.steps[0]) == self.n_rows + 1

    @property
    def roc_auc(self) -> float:
        """Area under ROC, ties counted half (Mann–Whitney); nan where a class is absent."""
        return self._areas[0]

    @property
    def average_precision(self) -> float:
        """Step sum Σ (recall_i − recall_{i−1}) precision_i as in scikit-learn; nan if one-class."""
        return self._areas[1]

    @cached_property
    def _areas(self) -> tuple[float, float]:
        if not (self.n_positive and self.n_negative):
            return float("nan"), float("nan")
        _, tps, fps = self.steps
        won = caught = 0.0
        for rows, before in self._blocks():
            flagged_tp, negative = tps[rows], fps[rows] - fps[before]
            won += float(np.dot(negative, flagged_tp + tps[before]))
            precision = flagged_tp / (flagged_tp + fps[rows])
            caught += float(np.dot(flagged_tp - tps[before], precision))
        return won / (2 * self.n_positive * self.n_negative), caught / self.n_positive

    @cached_property
    def ks(self) -> float:
        """Kolmogorov–Smirnov statistic between the classes: the largest |tpr − fpr|."""
        if not (self.n_positive and self.n_negative):
            return float("nan")
        return float(np.abs(self._rates[1] - self._rates[0]).max())

    def _check_probabilities(self, what: str) -> None:
        scores = self.thresholds
        if len(scores) and not (scores[-1] >= 0 and scores[0] <= 1):
            raise NotApplicable(
                f"{what} needs probabilities; these scores run from {scores[-1]:.3g} "
                f"to {scores[0]:.3g}."
            )

    def log_loss(self) -> float:
        """Mean negative log-likelihood, probabilities clipped as scikit-learn clips them."""
        self._check_probabilities("Log loss")
        return self._losses[0]

    def brier(self) -> float:
        """Mean squared difference between probability and outcome."""
        self._check_probabilities("The Brier score")
        return self._losses[1]

    @cached_property
    def _losses(self) -> tuple[float, float]:
        total = self.n_positive + self.n_negative
        if not total:
            return float("nan"), float("nan")
        low = float(np.finfo(np.float32 if self.single else np.float64).eps)
        scores, tps, fps = self.steps
        clipped = scores[-1] < low or self.thresholds[0] > 1 - low
        log_loss, squares = 0.0, self.n_positive  # Σ (s − y)² = Σ s² − 2 Σ y s + Σ y
        for rows, before in self._blocks():
            block, positive = scores[rows], tps[rows] - tps[before]
            squares -= 2 * float(np.dot(positive, block))
            safe = np.clip(block, low, 1 - low) if clipped else block
            if self._distinct:  # probability of what happened: 1 - p for a negative
                squares += float(np.dot(block, block))
                positive -= 1.0
                log_loss -= _sum_of_logs(np.abs(safe + positive))
                continue
            negative = fps[rows] - fps[before]
            squares += float(np.dot(block * block, positive + negative))
            log_loss -= float(np.dot(negative, np.log(1.0 - safe)))
            log_loss -= float(np.dot(positive, np.log(safe)))
        return log_loss / total, squares / total

    def calibration(
        self, n_bins: int = 10, strategy: Strategy = "uniform"
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Share of positives, mean score and weight of each bin that holds rows.

        Bins are (edge, next edge] as in scikit-learn's `calibration_curve`.
        """
        self._check_probabilities("Calibration")
        edges = self.calibration_edges(n_bins, strategy)
        # rows of `steps` whose threshold lies above each inner edge: descending, closed below
        above = [
            bisect.bisect_left(self.thresholds, -edge, key=lambda score: -score)
            for edge in edges[1:-1]
        ]
        rows = np.array([0, *above[::-1], len(self.thresholds)])
        tps, fps = self.steps[1], self.steps[2]
        positive, weight = np.diff(tps[rows]), np.diff(tps[rows] + fps[rows])
        sums = np.array([self._score_sum(low, high) for low, high in pairwise(rows)])
        held = np.flatnonzero(weight > 0)[::-1]
        return positive[held] / weight[held], sums[held] / weight[held], weight[held]

    def _score_sum(self, low: int, high: int) -> float:
        """Sum of score times weight over rows `low` to `high` of `thresholds`."""
        scores, tps, fps = self.steps
        if self._distinct:
            return float(scores[low + 1 : high + 1].sum())
        total = 0.0
        for rows, before in self._blocks(low + 1, high + 1):
            both = slice(before.start, rows.stop)
            weight = tps[both] + fps[both]
            total += float(np.dot(scores[rows], weight[1:] - weight[:-1]))
        return total

    def calibration_edges(self, n_bins: int = 10, strategy: Strategy = "uniform") -> FloatArray:
        """`(n_bins + 1,)` edges: equal widths, or quantiles of the scores (of their weight)."""
        if n_bins < 1:
            raise ParameterError(f"n_bins must be at least 1, got {n_bins}.")
        if strategy == "uniform" or not len(self.thresholds):
            return np.linspace(0.0, 1.0, n_bins + 1)
        if strategy != "quantile":
            raise ParameterError(f"strategy must be 'uniform' or 'quantile', got {strategy!r}.")
        shares = np.linspace(0, 1, n_bins + 1) * 100 / 100  # rounded as np.percentile rounds
        total = self.n_positive + self.n_negative
        # rows counted from the top: the score with `rank` rows below it
        flagged_weight = self.steps[1] + self.steps[2]
        if self.weighted:
            rows = np.searchsorted(flagged_weight, (1 - shares) * total, side="left")
            return self.thresholds[np.clip(rows - 1, 0, None)]
        virtual = shares * (total - 1)
        below = np.floor(virtual)
        part = virtual - below
        ranks = total - np.minimum([below, below + 1], total - 1)
        lower, upper = self.thresholds[np.searchsorted(flagged_weight, ranks) - 1]
        step = (upper - lower).astype(np.float32 if self.single else np.float64)
        edges: FloatArray = np.where(part >= 0.5, upper - step * (1 - part), lower + step * part)
        return edges

    def frame(self) -> pd.DataFrame:
        """One row per distinct score: threshold, tp, fp, fn, tn and the rates of `CRITERIA`."""
        tp, fp = self.tps, self.fps
        fn, tn = self.n_positive - tp, self.n_negative - fp
        columns = {"threshold": self.thresholds, "tp": tp, "fp": fp, "fn": fn, "tn": tn}
        for name in ("precision", "recall", "fpr", "specificity", "accuracy", "f1"):
            columns[name] = CRITERIA[name](tp, fp, fn, tn)
        columns["selection_rate"] = self._selected[1:]
        return pd.DataFrame(columns)

    def delong_variance(self) -> float:
        """Variance of the area under ROC (DeLong, DeLong & Clarke-Pearson 1988), in O(m).

        The structural components depend on the score only, so they are summed by distinct
        score. With weights, effective sizes take the place of counts. nan below two rows
        of either class.
        """
        return self._delong_variance

    @cached_property
    def _delong_variance(self) -> float:
        n_positive, n_negative = self.effective_sizes
        if not (n_positive > 1 and n_negative > 1):
            return float("nan")
        _, tps, fps = self.steps
        spread_10 = spread_01 = 0.0
        for rows, before in self._blocks():
            beaten = (fps[rows] + fps[before]) * (0.5 / self.n_negative)
            beaten -= 1.0 - self.roc_auc
            spread_10 += float(np.dot(tps[rows] - tps[before], beaten * beaten))
            beating = (tps[rows] + tps[before]) * (0.5 / self.n_positive)
            beating -= self.roc_auc
            spread_01 += float(np.dot(fps[rows] - fps[before], beating * beating))
        spread_10 /= self.n_positive * (n_positive - 1)
        return spread_10 + spread_01 / (self.n_negative * (n_negative - 1))


def _sum_of_logs(values: FloatArray) -> float:
    """Σ log(values) of values of at least 1e-16: logarithms of products of sixteen."""
    whole = len(values) // 16 * 16
    products = np.multiply.reduce(values[:whole].reshape(16, -1), axis=0)
    return float(np.log(products).sum() + np.log(values[whole:]).sum())


def _kish(weights: FloatArray) -> float:
    squares = float(np.dot(weights, weights))
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def _share_of(part: FloatArray, whole: float) -> FloatArray:
    return part / whole if whole else np.full(len(part), np.nan)


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ParameterError(f"{name} must fulfil 0 <= {name} <= 1, got {value}.")


def delong_interval(
    table: ThresholdTable, level: float = 0.95
) -> tuple[float, float, float, float]:
    """Area under ROC with its DeLong standard error and interval: (auc, se, low, high)."""
    auc, se = table.roc_auc, float(np.sqrt(table.delong_variance()))
    low, high = auc_interval(auc, se, table.effective_sizes, level)
    return auc, se, low, high


# one sort serves every curve of a model; gone with the predictions themselves
_TABLES: WeakKeyDictionary[Predictions, dict[int, ThresholdTable]] = WeakKeyDictionary()


def compute_thresholds(predictions: Predictions, label: int | None = None) -> ThresholdTable:
    """The exact table of one class or label against the rest.

    Parameters
    ----------
    label : index into `predictions.target.labels`; None = the positive class of a binary task.

    Raises
    ------
    NotApplicable : no scores, or no classes.
    ParameterError : `label` missing for several classes, or out of range.
    """
    label = check_label(predictions, label)
    tables = _TABLES.setdefault(predictions, {})
    if label not in tables:
        tables[label] = ThresholdTable.from_scores(
            predictions.truth_of(label), predictions.scores_of(label), predictions.sample_weight
        )
    return tables[label]


def check_label(predictions: Predictions, label: int | None) -> int:
    """The index of the class in question, checked; also that there are scores to order."""
    target = predictions.target
    if not target.task.is_classification:
        raise NotApplicable(f"Thresholds need classes; the task is {target.task.value}.")
    if predictions.y_score is None:
        raise NotApplicable(f"{predictions.name} gives labels without scores to order rows by.")
    if label is None:
        label = target.pos_label
    if label is None or not 0 <= label < len(target.labels):
        raise ParameterError(
            f"label is {label}; an index from 0 to {len(target.labels) - 1} is needed "
            f"({', '.join(map(str, target.labels[:10]))})."
        )
    return label
