"""Linear models of many features in probability: walks along their sums, without asking the model.

The answer to a mixed row is a known function of a sum, so a walk over all features takes one
cumulative sum. The same estimator as `agnostic.PermutationEngine` (Castro et al. 2009,
doi:10.1016/j.cor.2008.04.004), with every background row in every order.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..contracts import OutputSpace, Work, normal_quantile
from ..errors import ModelError
from .agnostic import MOST_KERNEL
from .arranging import summed_back
from .forests import dense
from .linear import LINEAR, linear_parts
from .subjects import EngineResult, FloatArray, Game, IntArray, Subject

__all__ = ["LINEAR_SHARES", "LinearShares"]

ORDERS = 8  # of the features for each row, each walked forwards and backwards
LEAST_ORDERS = 4
CELLS = 2_000_000  # of one part of the walks
STEP_SECONDS = 4e-8  # of one step of one walk
SAME = 1e-9  # between the model's probabilities and those of its sums


@dataclass(frozen=True)
class LinearShares:
    """Probabilities of linear models with more than `least` features."""

    least: int = MOST_KERNEL
    key: str = "linear-shares"
    method: str = "Linear model in probability, random orders"
    game: Game = "interventional"
    exact: bool = False
    level: Literal["raw", "prepared"] = "prepared"

    def refuses(self, subject: Subject, space: OutputSpace) -> str:
        """Why not: another unit, no linear model, so few features that the model can be asked."""
        if space is not OutputSpace.PROBABILITY:
            return "It is for probabilities: in other units a linear model is explained exactly."
        if why := LINEAR.refuses(subject, OutputSpace.LOG_ODDS):
            return why
        if len(subject.features) <= self.least:
            return f"Up to {self.least:,} features the model itself is asked."
        return ""

    def seconds(self, subject: Subject, n_rows: int, n_background: int) -> float:
        """Two walks an order and background row."""
        steps = 2 * ORDERS * n_background * len(subject.features) * subject.n_outputs
        return 0.01 + n_rows * steps * STEP_SECONDS

    def explain(
        self,
        subject: Subject,
        rows: Any,
        background: Any,
        space: OutputSpace,
        work: Work,
        options: Mapping[str, Any],
    ) -> EngineResult:
        """Values `(n, m, n_outputs)`, each source's at the first of its columns, and errors.

        `options`: "draws" (orders a row, 8), "random_state", "level" of the intervals.

        Raises
        ------
        ModelError : the model's probabilities are no known function of its sums.
        """
        sums = _sums(subject, rows, background, space)
        orders = max(LEAST_ORDERS, int(options.get("draws") or ORDERS))
        wider = _wider(orders, float(options.get("level") or 0.95))
        seed, n, f = int(options.get("random_state") or 0), len(sums.rows), len(subject.features)
        values, errors = (np.zeros((n, f, subject.n_outputs)) for _ in range(2))
        for row in range(n):
            work.check()
            rng = np.random.default_rng([seed, zlib.crc32(sums.rows[row].tobytes())])
            drawn = np.stack([sums.walked(row, rng.permutation(f)) for _ in range(orders)])
            values[row] = drawn.mean(axis=0)
            errors[row] = wider * drawn.std(axis=0, ddof=1) / np.sqrt(orders)
            work.progress(row + 1, n, "Walking along linear sums")
        note = (
            f"{orders:,} orders a row, each forwards and backwards, over all "
            f"{len(sums.background):,} background rows; the model's probabilities are known from "
            "its linear sums."
        )
        return EngineResult(sums.to_columns(values), sums.base, sums.to_columns(errors), (note,))


LINEAR_SHARES = LinearShares()


def _wider(orders: int, level: float) -> float:
    """How much wider intervals are for so few orders, by Student's distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(orders - 1, (1 + level) / 2) / normal_quantile(level))


@dataclass(frozen=True, eq=False)
class _Sums:
    """A linear model taken apart.

    Attributes
    ----------
    rows, background : `(n, m)` prepared; coefficients : `(k, m)`; starts : `(b, k)` sums of the
        background rows; sources : `(m,)` the feature of each column, of f.
    link : sums `(…, k)` → answers; base : `(k,)`.
    """

    rows: FloatArray
    background: FloatArray
    coefficients: FloatArray
    starts: FloatArray
    sources: IntArray
    f: int
    link: Callable[[FloatArray], FloatArray]
    base: FloatArray

    def walked(self, row: int, order: IntArray) -> FloatArray:
        """`(f, k)` what each feature adds in this order and its reverse, over all background."""
        b, k = self.starts.shape
        total = np.zeros((self.f, k))
        size = max(1, CELLS // (max(self.f, self.rows.shape[1]) * k))
        for start in range(0, b, size):
            some = slice(start, start + size)
            away = (self.rows[row] - self.background[some])[:, :, None] * self.coefficients.T
            steps = summed_back(away, self.sources, self.f)
            for way in (order, order[::-1]):
                sums = np.empty((len(steps), self.f + 1, k))
                sums[:, 0] = self.starts[some]
                np.cumsum(steps[:, way], axis=1, out=sums[:, 1:])
                sums[:, 1:] += self.starts[some][:, None]
                total[way] += np.diff(self.link(sums), axis=1).sum(axis=0)
        mean: FloatArray = total / (2 * b)
        return mean

    def to_columns(self, values: FloatArray) -> FloatArray:
        """`(n, f, k)` → `(n, m, k)`: summed back they are the same."""
        found = np.zeros((len(values), len(self.sources), values.shape[2]))
        features, first = np.unique(self.sources, return_index=True)
        found[:, first] = values[:, features]
        return found


def _sums(subject: Subject, rows: Any, background: Any, space: OutputSpace) -> _Sums:
    parts, sources = linear_parts(subject), subject.sources
    if parts is None or sources is None:
        raise AssertionError  # refused before
    coefficients, intercept = parts
    x, b = (dense(part).astype(np.float64) for part in (rows, background))
    own, known = (
        np.asarray(subject.answer_prepared(part, space), dtype=np.float64)
        for part in (rows, background)
    )
    ends = np.concatenate([x, b]) @ coefficients.T + intercept
    wanted = np.concatenate([own, known])
    for link in (_sigmoids, _softmax, _in_turn):
        if np.allclose(link(ends), wanted, rtol=0, atol=SAME):
            f = len(subject.features)
            return _Sums(x, b, coefficients, ends[len(x) :], sources, f, link, known.mean(axis=0))
    raise ModelError(
        "The model's probabilities are not those of its linear sums; the model itself is asked."
    )


def _sigmoids(sums: FloatArray) -> FloatArray:
    """Each output by itself."""
    with np.errstate(over="ignore"):
        found: FloatArray = 1 / (1 + np.exp(-sums))
    return found


def _softmax(sums: FloatArray) -> FloatArray:
    raised = np.exp(sums - sums.max(axis=-1, keepdims=True))
    found: FloatArray = raised / raised.sum(axis=-1, keepdims=True)
    return found


def _in_turn(sums: FloatArray) -> FloatArray:
    """Each class against the others, then made to sum to 1."""
    each = _sigmoids(sums)
    found: FloatArray = each / np.maximum(each.sum(axis=-1, keepdims=True), 1e-300)
    return found
