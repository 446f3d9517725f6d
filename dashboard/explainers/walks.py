"""Walks from background rows to an explained row, one feature at a time, forwards and backwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .coalitions import chains, neighbours_mean, stratified_mean
from .mixing import BATCH_CELLS, Mixer
from .subjects import FloatArray, IntArray

__all__ = ["Walks", "adding_up", "average", "strata", "walks_of"]


@dataclass(frozen=True, eq=False)
class Walks:
    """p walks to one row, and what has to be asked about them.

    Attributes
    ----------
    row : the explained row; who : `(p,)` the background row where each walk begins.
    order : `(p, f)` the features in the order in which they change forwards; backwards : likewise.
    pair, step : `(m,)` which walk and how far, of the rows between both ends.
    at : `(2 m, f)` those rows, forwards then backwards, as positions in the stock.
    """

    row: int
    who: IntArray
    order: IntArray
    backwards: IntArray
    pair: IntArray
    step: IntArray
    at: IntArray

    def contributions(self, mixer: Mixer, answers: FloatArray) -> FloatArray:
        """`(p, f, k)` what each feature adds, the mean of both ways."""
        p, f = self.order.shape
        m = len(self.pair)
        added = np.zeros((p, f, answers.shape[1]))
        for order, said in ((self.order, answers[:m]), (self.backwards, answers[m:])):
            heights = np.empty((p, f + 1, answers.shape[1]))
            heights[:] = mixer.own[self.row]
            heights[:, 0] = mixer.background[self.who]
            heights[self.pair, self.step] = said
            at = np.broadcast_to(order[:, :, None], added.shape)
            one_way = np.zeros_like(added)
            np.put_along_axis(one_way, at, np.diff(heights, axis=1) / 2, axis=1)
            added += one_way
        return added


def walks_of(mixer: Mixer, row: int, orders: int, rng: np.random.Generator) -> Iterator[Walks]:
    """All walks to one row, in parts of which each can be asked at once."""
    who = strata(mixer.background, orders, rng)
    # rows between both ends of all walks, with as many cells each
    cells = 2 * orders * mixer.n_features**2
    for part in np.array_split(who, min(orders, -(-cells // BATCH_CELLS))):
        yield _walks(mixer, row, part, rng)


def _walks(mixer: Mixer, row: int, who: IntArray, rng: np.random.Generator) -> Walks:
    differ = mixer.differ(row)[who]
    order, pair, step, masks = chains(differ, rng)
    length, places = differ.sum(axis=1)[:, None], np.arange(order.shape[1])[None, :]
    # those that differ in reverse, the others where they are
    turned = np.where(places < length, length - 1 - places, places)
    start = (mixer.n + who[np.tile(pair, 2)]).astype(np.int32)
    at: IntArray = np.where(masks, np.int32(row), start[:, None])
    backwards = np.take_along_axis(order, turned, axis=1)
    return Walks(row, who, order, backwards, pair, step, at)


def strata(background: FloatArray, orders: int, rng: np.random.Generator) -> IntArray:
    """Background rows for each walk, sorted by what the model says of them, evenly spread."""
    n = len(background)
    ranked: IntArray = background.mean(axis=1).argsort(kind="stable")
    if orders >= n:
        return np.repeat(ranked, orders // n)
    places = (np.arange(orders) + rng.random()) * (n / orders)
    chosen: IntArray = ranked[places.astype(np.int64).clip(max=n - 1)]
    return chosen


def average(
    draws: FloatArray, who: IntArray, n_background: int, *, level: float
) -> tuple[FloatArray, FloatArray]:
    """Means `(f, k)` of the contributions `(p, f, k)`, and their errors."""
    # with one walk for each background row nothing tells chance from what they differ in
    if len(who) > n_background:
        return stratified_mean(draws, who, level=level)
    return neighbours_mean(draws, level=level)


def adding_up(values: FloatArray, errors: FloatArray, total: FloatArray) -> FloatArray:
    """The values with what they lack of `total`, which goes where the errors are."""
    variance = errors**2
    whole = variance.sum(axis=0)
    share = np.divide(variance, whole, out=np.zeros_like(variance), where=whole > 0)
    complete: FloatArray = values + share * (total - values.sum(axis=0))
    return complete
