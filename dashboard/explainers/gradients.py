"""Gradients along lines between a row and background rows, summed inside one traced graph.

Expected gradients (Erion et al., "Improving performance of deep learning models with axiomatic
attribution priors and expected gradients", 2021). Places along the line and background rows are
stratified, and what is known of both ends of a line is taken from its samples, so that the same
error needs fewer of them. Nothing of TensorFlow is patched.
"""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..models.network_inputs import InputSpec

__all__ = ["Design", "Sums", "design_for", "integrand", "samples_for", "slopes_at", "summed"]

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
    ends: tuple[npt.NDArray[Any], Any] | None = None,
) -> Sums:
    """The sums of all rows, `batch` samples at a time; `each(done)` when some rows are done.

    `ends` are the slopes at the rows and at the background rows, for an `integrand` with them.
    """
    n, samples = design.picks.shape
    threads = _threads()
    together = max(1, batch // threads // samples)
    pieces = max(2, batch // threads // 2 * 2, min(batch, samples) // 2 * 2)
    # a mean slope of some of the samples, of some of the background rows each, would be biased
    level = np.float32(samples <= min(pieces, len(background[0])))

    def one_block(start: int) -> list[Any]:
        block = slice(start, start + together)
        part, given = design.part(block), [array[block] for array in rows]
        known = [] if ends is None else [ends[0][:, block], ends[1]]
        total: list[Any] = []
        for at in range(0, samples, pieces):
            some = slice(at, at + pieces)
            where = part.picks[:, some], part.places[:, some]
            sums = graph(*given, *background, *known, level, *where)
            one = [np.asarray(each, dtype=np.float64) for each in sums]
            total = [a + b for a, b in zip(total, one, strict=True)] if total else one
        return total

    found: list[list[Any]] = []
    for total in _beside(one_block, range(0, n, together), threads):
        found.append(total)
        each(min(len(found) * together, n))
    totals, squares, products, whole, fourths = map(np.concatenate, zip(*found, strict=True))
    taken = np.full(n, samples, dtype=np.int64)
    return Sums(totals, squares, products, whole, fourths, taken)


def _threads() -> int:
    """Calls at the same time: many operations of a network use one processor only."""
    import tensorflow as tf

    most = tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count() or 1
    return max(1, min(2, most))


def _beside(work: Callable[[int], Any], starts: Iterable[int], threads: int) -> Iterator[Any]:
    """The results in their order; when nobody wants more, what was begun is finished at most."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Any] = deque()
        for start in starts:
            waiting.append(pool.submit(work, start))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def integrand(specs: Sequence[InputSpec], read: Read, *, ends: bool) -> Graph:
    """The traced graph that `summed` calls; `read` gives `(n, k)` from tensors of all inputs.

    It takes rows and background rows; with `ends` the slopes there, each `(k, n, M)` as
    `slopes_at` gives them; whether all samples are there and a mean slope is taken; picks; places.

    Slopes at the ends cost next to nothing, being shared by all lines that end there. How far they
    rise or fall along a line is taken from each sample (a control variate), and so is what is due
    to how the background rows that were met differ from all of them.
    """
    import tensorflow as tf

    count = len(specs)

    def points(flat: Sequence[Any], picks: Any, places: Any) -> tuple[list[Any], Any]:
        lines, ways = [], []
        for row, back in zip(flat[:count], flat[count:], strict=True):
            start = tf.gather(back, picks)
            way = row[:, None] - start
            along = tf.reshape(places, tf.concat([tf.shape(picks), _ones(way.shape.rank - 2)], 0))
            shape = tf.concat([[-1], tf.shape(way)[2:]], 0)
            lines.append(tf.reshape(start + along * way, shape))
            ways.append(tf.reshape(way, tf.concat([tf.shape(picks), [-1]], 0)))
        return lines, tf.concat(ways, axis=2)

    def sums(*given: Any) -> tuple[Any, ...]:
        *flat, level, picks, places = given
        last = flat[2 * count :]
        lines, ways = points(flat[: 2 * count], picks, places)
        mean = _mean_ways(flat[:count], flat[count : 2 * count])
        shape = tf.concat([tf.shape(picks), [-1]], 0)
        found = []
        for at, slopes in enumerate(_slopes(read, lines)):
            slopes = tf.reshape(slopes, shape)
            if ends:
                rise = last[0][at][:, None] - tf.gather(last[1][at], picks)
                slopes += (0.5 - places)[:, :, None] * rise
            found.append(_moments(slopes, ways, mean, level))
        return tuple(tf.stack(each, axis=-1) for each in zip(*found, strict=True))

    rows = [tf.TensorSpec((None, *spec.shape), tf.float32) for spec in specs]
    known = [tf.TensorSpec((None, None, None), tf.float32)] * (2 if ends else 0)
    where = [tf.TensorSpec((None, None), dtype) for dtype in (tf.int32, tf.float32)]
    signature = [*rows, *rows, *known, tf.TensorSpec((), tf.float32), *where]
    return _traced(sums, signature)


def slopes_at(specs: Sequence[InputSpec], read: Read) -> Graph:
    """A traced graph from rows to the slopes there, `(k, n, M)`."""
    import tensorflow as tf

    def slopes(*rows: Any) -> Any:
        return tf.stack(_slopes(read, list(rows)))

    signature = [tf.TensorSpec((None, *spec.shape), tf.float32) for spec in specs]
    return _traced(slopes, signature)


def _traced(work: Callable[..., Any], signature: Sequence[Any]) -> Graph:
    import tensorflow as tf

    traced = tf.function(work, input_signature=signature, autograph=False)
    graph: Graph = traced.get_concrete_function()
    return graph


def _slopes(read: Read, lines: list[Any]) -> list[Any]:
    """For each output its slopes `(n, M)` in the cells of all inputs."""
    import tensorflow as tf

    with tf.GradientTape(persistent=True) as tape:
        tape.watch(lines)
        outputs = tf.unstack(read(lines), axis=1)
    found = []
    for output in outputs:
        each = tape.gradient(output, lines, unconnected_gradients="zero")
        found.append(tf.concat([tf.reshape(one, (tf.shape(one)[0], -1)) for one in each], axis=1))
    return found


def _mean_ways(rows: Sequence[Any], background: Sequence[Any]) -> Any:
    """`(n, M)` from the mean of the background to each row."""
    import tensorflow as tf

    apart = [row - tf.reduce_mean(back, axis=0) for row, back in zip(rows, background, strict=True)]
    return tf.concat([tf.reshape(each, (tf.shape(each)[0], -1)) for each in apart], axis=1)


def _ones(count: int) -> Any:
    import tensorflow as tf

    return tf.ones([count], tf.int32)


def _moments(slopes: Any, ways: Any, mean: Any, share: Any) -> tuple[Any, ...]:
    """The five sums of `Sums` for one output; slopes and ways `(rows, samples, cells)`.

    The ways' mean `(rows, cells)` over the background is known, so a `share` of the mean slope
    goes with it rather than with the ways that were met.
    """
    import tensorflow as tf

    samples = tf.cast(tf.shape(slopes)[1], tf.float32)
    level = share * tf.reduce_mean(slopes, axis=1)
    products = (slopes - level[:, None]) * ways
    apart = products[:, 0::2] - products[:, 1::2]
    whole = tf.reduce_sum(apart, axis=2)
    return (
        tf.reduce_sum(products, axis=1) + samples * level * mean,
        tf.reduce_sum(apart**2, axis=1),
        tf.einsum("rsm,rs->rm", apart, whole),
        tf.reduce_sum(whole**2, axis=1),
        tf.reduce_sum(whole**4, axis=1),
    )
