"""Gradients along lines between a row and background rows, summed inside one traced graph.

Expected gradients (Erion et al., "Improving performance of deep learning models with axiomatic
attribution priors and expected gradients", 2021). Places along the line and background rows are
stratified, so that the same error needs fewer samples. Nothing of TensorFlow is patched.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..models.network_inputs import InputSpec

__all__ = ["Design", "Sums", "design_for", "integrand", "samples_for", "summed"]

FloatArray = npt.NDArray[np.floating[Any]]
Graph = Callable[..., Any]
Read = Callable[[list[Any]], Any]


@dataclass(frozen=True, eq=False)
class Design:
    """Where gradients are taken for each row: `(n, S)` background rows and places in [0, 1]."""

    picks: npt.NDArray[np.int32]
    places: npt.NDArray[np.float32]

    def part(self, rows: slice) -> Design:
        return Design(self.picks[rows], self.places[rows])


def samples_for(wanted: int, n_background: int) -> int:
    """An even number of samples near `wanted`, every background row as often as the others."""
    if wanted <= n_background:
        return max(2, wanted // 2 * 2)
    rounds = -(-wanted // n_background)
    return (rounds + (rounds * n_background) % 2) * n_background


def design_for(
    arrays: Sequence[npt.NDArray[Any]], n_background: int, samples: int, seed: int, turn: int = 0
) -> Design:
    """The samples of every row, from its own content: the same in whatever block it comes.

    `samples` places, one in each of as many equal parts of the line. Each background row is met
    equally often, in each equal part of its own line; samples of the same one follow each other.
    """
    n = len(arrays[0])
    picks = np.empty((n, samples), dtype=np.int32)
    places = np.empty((n, samples), dtype=np.float32)
    rounds = max(1, samples // n_background)
    used = samples // rounds
    first, within = np.arange(rounds) * used, np.tile(np.arange(used), (rounds, 1))
    for row in range(n):
        content = 0
        for array in arrays:
            content = zlib.crc32(np.ascontiguousarray(array[row]).tobytes(), content)
        rng = np.random.default_rng([seed, turn, content])
        picks[row] = np.repeat(rng.permutation(n_background)[:used], rounds)
        parts = rng.permuted(within, axis=1).T + first
        places[row] = (parts.reshape(-1) + rng.random(samples)) / samples
    return Design(picks, places)


@dataclass(frozen=True, eq=False)
class Sums:
    """What is left of all samples of some rows; `M` cells, `k` outputs.

    Samples are paired: of the same background row where it is met twice or more, since all of them
    are met and their differences are no noise. Sums of squared differences within pairs say how
    far the total can be off; they hold some of the trend along the line, so rather too far.

    Attributes
    ----------
    totals : `(n, M, k)` sums of gradient times distance.
    squares : `(n, M, k)` sums of squared differences within pairs.
    products : `(n, M, k)` of the differences with those of the sum over all cells.
    whole, fourths : `(n, k)` sums of squared differences of the sum over all cells, and of their
        squares: few large ones among many small ones tell less than their number.
    samples : `(n,)` samples behind each row.
    """

    totals: FloatArray
    squares: FloatArray
    products: FloatArray
    whole: FloatArray
    fourths: FloatArray
    samples: npt.NDArray[np.int64]

    def plus(self, rows: npt.NDArray[Any], more: Sums) -> Sums:
        """With further samples of some rows."""
        return Sums(
            _added(self.totals, rows, more.totals),
            _added(self.squares, rows, more.squares),
            _added(self.products, rows, more.products),
            _added(self.whole, rows, more.whole),
            _added(self.fourths, rows, more.fourths),
            _added(self.samples, rows, more.samples),
        )

    @property
    def values(self) -> FloatArray:
        """`(n, M, k)` means over the samples."""
        mean: FloatArray = self.totals / self.samples[:, None, None]
        return mean

    @property
    def whole_errors(self) -> FloatArray:
        """`(n, k)` standard errors of the sum over all cells."""
        errors: FloatArray = np.sqrt(self.whole * self._scale()[:, None]) * self._few()
        return errors

    def settled(self, gaps: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values whose sum is exact, and their standard errors; both `(n, M, k)`.

        What the sum must be is known, so its sampling error is, too; each cell gives up the part
        of it that goes with its own (a control variate). `gaps` are `(n, k)`: truth less sum. What
        a gap larger than two standard errors moves is counted as error.
        """
        known = self.whole[:, None, :] > 0
        share = np.divide(
            self.products, self.whole[:, None, :], out=np.zeros_like(self.totals), where=known
        )
        left = np.maximum(self.squares - share * self.products, 0)
        values = self.values + share * gaps[:, None, :]
        beyond = np.maximum(gaps**2 - 4 * self.whole_errors**2, 0)
        errors = left * (self._scale()[:, None] * self._few() ** 2)[:, None, :]
        errors += share**2 * beyond[:, None, :]
        return values, np.sqrt(errors)

    def _scale(self) -> FloatArray:
        """From a sum of squared differences of pairs to the variance of the mean."""
        pairs = self.samples / 2
        scale: FloatArray = pairs / (pairs - 1) / self.samples.astype(np.float64) ** 2
        return scale

    def _few(self) -> FloatArray:
        """`(n, k)` how much wider 1.96 standard errors must be, by Student's distribution.

        Its degrees: as many differences of one size as would tell as little (Satterthwaite).
        """
        from scipy.special import stdtrit

        some = self.fourths > 0
        degrees = np.divide(self.whole**2, self.fourths, out=np.ones_like(self.whole), where=some)
        wider: FloatArray = stdtrit(np.maximum(degrees, 1), 0.975) / 1.959963984540054
        return wider


def _added(all_rows: Any, rows: npt.NDArray[Any], more: Any) -> Any:
    total = all_rows.copy()
    total[rows] += more
    return total


def summed(
    graph: Graph,
    rows: Sequence[npt.NDArray[Any]],
    background: Sequence[Any],
    design: Design,
    batch: int,
    each: Callable[[int], None],
) -> Sums:
    """The sums of all rows, `batch` samples in one call; `each(done)` after every call."""
    n, samples = design.picks.shape
    together = max(1, batch // samples)
    pieces = max(2, batch // 2 * 2)
    found: list[list[Any]] = []
    for start in range(0, n, together):
        block = slice(start, min(start + together, n))
        part, given = design.part(block), [array[block] for array in rows]
        total: list[Any] = []
        for at in range(0, samples, pieces):
            some = slice(at, at + pieces)
            sums = graph(*given, *background, part.picks[:, some], part.places[:, some])
            one = [np.asarray(each, dtype=np.float64) for each in sums]
            total = [a + b for a, b in zip(total, one, strict=True)] if total else one
        found.append(total)
        each(block.stop)
    totals, squares, products, whole, fourths = map(np.concatenate, zip(*found, strict=True))
    taken = np.full(n, samples, dtype=np.int64)
    return Sums(totals, squares, products, whole, fourths, taken)


def integrand(specs: Sequence[InputSpec], read: Read) -> Graph:
    """The traced graph that `summed` calls; `read` gives `(n, k)` from tensors of all inputs."""
    import tensorflow as tf

    count = len(specs)

    def points(flat: Sequence[Any], picks: Any, places: Any) -> tuple[list[Any], list[Any]]:
        lines, ways = [], []
        for row, back in zip(flat[:count], flat[count:], strict=True):
            start = tf.gather(back, picks)
            way = row[:, None] - start
            along = tf.reshape(places, tf.concat([tf.shape(picks), _ones(way.shape.rank - 2)], 0))
            shape = tf.concat([[-1], tf.shape(way)[2:]], 0)
            lines.append(tf.reshape(start + along * way, shape))
            ways.append(tf.reshape(way, shape))
        return lines, ways

    def sums(*given: Any) -> tuple[Any, ...]:
        *flat, picks, places = given
        lines, ways = points(flat, picks, places)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(lines)
            outputs = tf.unstack(read(lines), axis=1)
        shape = tf.concat([tf.shape(picks), [-1]], 0)
        found = []
        for output in outputs:
            slopes = tape.gradient(output, lines, unconnected_gradients="zero")
            cells = [
                tf.reshape(slope * way, shape) for slope, way in zip(slopes, ways, strict=True)
            ]
            found.append(_moments(tf.concat(cells, axis=2)))
        return tuple(tf.stack(each, axis=-1) for each in zip(*found, strict=True))

    rows = [tf.TensorSpec((None, *spec.shape), tf.float32) for spec in specs]
    where = [tf.TensorSpec((None, None), dtype) for dtype in (tf.int32, tf.float32)]
    signature = [*rows, *rows, *where]
    graph: Graph = tf.function(
        sums, input_signature=signature, autograph=False
    ).get_concrete_function()
    return graph


def _ones(count: int) -> Any:
    import tensorflow as tf

    return tf.ones([count], tf.int32)


def _moments(products: Any) -> tuple[Any, ...]:
    """The five sums of `Sums` for one output, from `(rows, samples, cells)`."""
    import tensorflow as tf

    apart = products[:, 0::2] - products[:, 1::2]
    whole = tf.reduce_sum(apart, axis=2)
    return (
        tf.reduce_sum(products, axis=1),
        tf.reduce_sum(apart**2, axis=1),
        tf.reduce_sum(apart * whole[:, :, None], axis=1),
        tf.reduce_sum(whole**2, axis=1),
        tf.reduce_sum(whole**4, axis=1),
    )
