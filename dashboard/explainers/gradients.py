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
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import normal_quantile
from ..models.network_inputs import InputSpec

__all__ = [
    "Design",
    "Sums",
    "design_for",
    "integrand",
    "outputs_at",
    "samples_for",
    "slopes_at",
    "summed",
]

FloatArray = npt.NDArray[np.floating[Any]]
Graph = Callable[..., Any]
Read = Callable[[list[Any]], Any]

_MOST_DRAWN = 4_000_000  # random numbers at a time


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
    first = (np.arange(rounds) * used)[:, None]
    starts = _starts(arrays, seed, turn)
    together = max(1, _MOST_DRAWN // (n_background + 2 * samples))
    for at in range(0, n, together):
        some = slice(at, at + together)
        draws = _drawn(starts[some], n_background + 2 * samples)
        backs, orders, within = np.split(draws, [n_background, n_background + samples], axis=1)
        chosen = np.argsort(backs, axis=1)[:, :used]
        parts = np.argsort(orders.reshape(-1, rounds, used), axis=2) + first
        picks[some] = np.repeat(chosen, rounds, axis=1)
        ordered = parts.transpose(0, 2, 1).reshape(-1, samples)
        places[some] = (ordered + (within >> np.uint64(11)) * 2.0**-53) / samples
    return Design(picks, places)


def _starts(arrays: Sequence[npt.NDArray[Any]], seed: int, turn: int) -> npt.NDArray[np.uint64]:
    """`(n,)` numbers from what each row holds."""
    found = np.zeros(len(arrays[0]), dtype=np.uint64)
    for array in arrays:
        whole = np.ascontiguousarray(array)
        content = [zlib.crc32(row.data) for row in whole]
        found = _mixed(found + np.array(content, dtype=np.uint64))
    return _mixed(found + np.array([seed % (1 << 60) * 8 + turn], dtype=np.uint64))


def _drawn(starts: npt.NDArray[np.uint64], count: int) -> npt.NDArray[np.uint64]:
    """`(n, count)` pseudo-random bits, each row from its own start (SplitMix64)."""
    steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return _mixed(starts[:, None] + steps)


def _mixed(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


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

    def settled(self, gaps: FloatArray, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
        """Values whose sum is exact, and their errors for intervals of `level`; both `(n, M, k)`.

        What the sum must be is known, so its sampling error is, too; each cell gives up the part
        of it that goes with its own (a control variate). `gaps` are `(n, k)`: truth less sum. What
        a gap larger than two standard errors moves is counted as error; beyond three it is no
        chance, and may belong to any cell: it is an error of each of them.
        """
        known = self.whole[:, None, :] > 0
        share = np.divide(
            self.products, self.whole[:, None, :], out=np.zeros_like(self.totals), where=known
        )
        left = np.maximum(self.squares - share * self.products, 0)
        values = self.values + share * gaps[:, None, :]
        beyond = np.maximum(gaps**2 - 4 * self.whole_errors**2, 0)
        errors = left * (self._scale()[:, None] * self._few(level) ** 2)[:, None, :]
        errors += share**2 * beyond[:, None, :]
        errors += np.maximum(gaps**2 - 9 * self.whole_errors**2, 0)[:, None, :]
        return values, np.sqrt(errors)

    def _scale(self) -> FloatArray:
        """From a sum of squared differences of pairs to the variance of the mean."""
        pairs = self.samples / 2
        scale: FloatArray = pairs / (pairs - 1) / self.samples.astype(np.float64) ** 2
        return scale

    def _few(self, level: float = 0.95) -> FloatArray:
        """`(n, k)` how much wider intervals of `level` must be, by Student's distribution.

        Its degrees: as many differences of one size as would tell as little (Satterthwaite).
        """
        from scipy.special import stdtrit

        some = self.fourths > 0
        degrees = np.divide(self.whole**2, self.fourths, out=np.ones_like(self.whole), where=some)
        wider: FloatArray = stdtrit(np.maximum(degrees, 1), (1 + level) / 2)
        wider /= normal_quantile(level)
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
    What is left to sample is little near both ends then, so that more samples go between them.
    """
    n, samples = design.picks.shape
    if ends is not None:
        design = Design(design.picks, _inward(design.places))
    threads = _threads()
    straight = None if ends is None else _straight(rows, background, *ends)
    together = max(1, batch // threads // samples)
    pieces = max(2, batch // threads // 2 * 2, min(batch, samples) // 2 * 2)
    # a mean slope of some of the samples, of some of the background rows each, would be biased
    level = np.float32(samples <= min(pieces, len(background[0])))

    def one_block(block: slice) -> list[Any]:
        part, given = design.part(block), [array[block] for array in rows]
        known = [] if ends is None else [ends[0][:, block], ends[1]]
        total: list[Any] = []
        for at in range(0, samples, pieces):
            # the first of all pairs, then the second
            some = np.arange(at, min(at + pieces, samples)).reshape(-1, 2).T.reshape(-1)
            where = part.picks[:, some], part.places[:, some]
            sums = graph(*given, *background, *known, level, *where)
            one = [np.asarray(each, dtype=np.float64) for each in sums]
            total = [a + b for a, b in zip(total, one, strict=True)] if total else one
        if straight is not None:
            total[0] += samples * straight(block)
        return total

    found: list[list[Any]] = []
    blocks = _blocks(n, together, threads)
    for block, total in zip(blocks, _beside(one_block, blocks, threads), strict=True):
        found.append(total)
        each(block.stop)
    totals, squares, products, whole, fourths = map(np.concatenate, zip(*found, strict=True))
    taken = np.full(n, samples, dtype=np.int64)
    return Sums(totals, squares, products, whole, fourths, taken)


def _inward(places: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Evenly spread places, moved so that they are as dense as `_density` says."""
    grid = np.linspace(0, 1, 4_097)
    below = grid * (1 / 4 + 9 / 4 * grid - 3 / 2 * grid**2)
    return np.interp(places, below, grid).astype(np.float32)


def _density(places: Any) -> Any:
    """A quarter everywhere and three quarters as a parabola that is 0 at both ends; sums to 1."""
    return 1 / 4 + 9 / 2 * places * (1 - places)


def _straight(
    rows: Sequence[npt.NDArray[Any]], background: Sequence[Any], at_rows: Any, at_background: Any
) -> Callable[[slice], FloatArray]:
    """From some rows to `(n, M, k)`: what straight lines between the slopes at both ends add.

    The mean over all lines is known without any sample.
    """
    x, b = (
        np.concatenate([np.reshape(a, (len(a), -1)) for a in each], axis=1, dtype=np.float64)
        for each in (rows, background)
    )
    back = np.asarray(at_background)
    mean, slope = b.mean(axis=0), back.mean(axis=1, dtype=np.float64).T
    taken = np.einsum("knm,nm->mk", back, b)

    def known(block: slice) -> FloatArray:
        own = x[block, :, None]
        from_rows = at_rows[:, block].transpose(1, 2, 0) * (own - mean[:, None])
        added: FloatArray = (from_rows + own * slope - taken / len(b)) / 2
        return added

    return known


def _threads() -> int:
    """Calls at the same time: many operations of a network use one processor only."""
    import tensorflow as tf

    most = tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count() or 1
    return max(1, min(2, most))


def _blocks(n: int, together: int, threads: int) -> list[slice]:
    """All rows, no more than `together` at a time and as many for each thread."""
    count = min(n, -(-n // (together * threads)) * threads)
    ends = np.arange(count + 1) * n // max(1, count)
    return [slice(int(start), int(end)) for start, end in pairwise(ends)]


def _beside(work: Callable[[slice], Any], blocks: Iterable[slice], threads: int) -> Iterator[Any]:
    """The results in their order; when nobody wants more, what was begun is finished at most."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Any] = deque()
        for block in blocks:
            waiting.append(pool.submit(work, block))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def integrand(specs: Sequence[InputSpec], read: Read, *, ends: bool) -> Graph:
    """The traced graph that `summed` calls; `read` gives `(n, k)` from tensors of all inputs.

    It takes rows and background rows; with `ends` the slopes there, each `(k, n, M)` as
    `slopes_at` gives them; whether all samples are there and a mean slope is taken; picks; places.

    Slopes at the ends cost next to nothing, being shared by all lines that end there. The straight
    line between them is taken from each sample (a control variate; `summed` adds its own mean over
    all lines), and so is what is due to how the background rows that were met differ from all.
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
                start = tf.gather(last[1][at], picks)
                slopes -= start + places[:, :, None] * (last[0][at][:, None] - start)
                slopes *= (1 / _density(places))[:, :, None]
            found.append(_moments(slopes, ways, mean, level))
        return tuple(tf.stack(each, axis=-1) for each in zip(*found, strict=True))

    rows = [tf.TensorSpec((None, *spec.shape), tf.float32) for spec in specs]
    known = [tf.TensorSpec((None, None, None), tf.float32)] * (2 if ends else 0)
    where = [tf.TensorSpec((None, None), dtype) for dtype in (tf.int32, tf.float32)]
    signature = [*rows, *rows, *known, tf.TensorSpec((), tf.float32), *where]
    return _traced(sums, signature)


def outputs_at(specs: Sequence[InputSpec], read: Read) -> Graph:
    """A traced graph from rows to what `read` gives there, `(n, k)`."""
    import tensorflow as tf

    def outputs(*rows: Any) -> Any:
        return read(list(rows))

    return _traced(outputs, [tf.TensorSpec((None, *spec.shape), tf.float32) for spec in specs])


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

    The second half of the samples are the partners of the first.
    The ways' mean `(rows, cells)` over the background is known, so a `share` of the mean slope
    goes with it rather than with the ways that were met.
    """
    import tensorflow as tf

    samples = tf.cast(tf.shape(slopes)[1], tf.float32)
    level = share * tf.reduce_mean(slopes, axis=1)
    products = (slopes - level[:, None]) * ways
    first, second = tf.split(products, 2, axis=1)
    apart = first - second
    whole = tf.reduce_sum(apart, axis=2)
    return (
        tf.reduce_sum(products, axis=1) + samples * level * mean,
        tf.reduce_sum(apart**2, axis=1),
        tf.reduce_sum(apart * whole[:, :, None], axis=1),
        tf.reduce_sum(whole**2, axis=1),
        tf.reduce_sum(whole**4, axis=1),
    )
