"""Which rows come first, and which stand in for "unknown": drawn once, the same for every model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from ..contracts import Background, Target
from ..data import EvalSet
from ..wording import count, plural
from .subjects import IntArray

__all__ = ["background_of", "background_positions", "digest_of", "strata_of", "stratified_order"]

# Parts of equal size into which a target of numbers is cut.
STRATA = 20


def digest_of(positions: IntArray) -> str:
    """A short name for some rows."""
    return hashlib.sha256(np.ascontiguousarray(positions, dtype=np.int64).data).hexdigest()[:16]


def background_positions(evalset: EvalSet, n: int, seed: int) -> IntArray:
    """`(min(n, rows),)` positions drawn at random without replacement, in ascending order."""
    rng = np.random.default_rng([seed, 1])
    drawn = rng.permutation(evalset.n)[: max(1, n)]
    found: IntArray = np.sort(drawn).astype(np.int64)
    return found


def background_of(
    evalset: EvalSet, positions: IntArray, game: str, unanswered: Sequence[int] = ()
) -> Background:
    """What "unknown" means in this game, in a sentence.

    `unanswered`: places in `positions` of rows for which the model gives no number.
    """
    total, drawn = evalset.n, len(positions)
    if game == "path-dependent":
        how = "the rows that the trees were trained on, as the trees counted them"
        return Background(0, total, how, "training")
    if drawn == total:
        how = f"all {plural(drawn, 'row')} of the data"
    else:
        how = f"{count(drawn)} of {plural(total, 'row')} drawn at random"
    without = [place for place in unanswered if place < drawn]
    if without:
        positions = np.delete(positions, without)
        how += f", but for {count(len(without))} for which the model gives no number"
    else:
        how += ", the same for every model"
    rows = tuple(positions.tolist())
    return Background(len(rows), total, how, digest_of(positions), rows)


def stratified_order(evalset: EvalSet, seed: int) -> IntArray:
    """All positions in an order of which every beginning has the target's classes in proportion.

    Numbers are cut into 20 parts of equal size. Within a class the order is random; the i-th of
    its m rows comes at a random place of the i-th of m equal parts of the whole.
    """
    rng = np.random.default_rng([seed, 2])
    strata = strata_of(evalset.target)
    order = rng.permutation(evalset.n)
    order = order[np.argsort(strata[order], kind="stable")]
    sizes = np.bincount(strata)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    within = np.arange(evalset.n) - starts
    places = (within + rng.random(evalset.n)) / np.repeat(sizes, sizes)
    found: IntArray = order[np.argsort(places, kind="stable")].astype(np.int64)
    return found


def strata_of(target: Target) -> IntArray:
    """`(n,)` class codes, or the parts of a target of numbers; from 0 without gaps of meaning."""
    y = np.asarray(target.y)
    if y.ndim == 2:
        y = y.sum(axis=1) if target.task.is_classification else y[:, 0]
        return _ranked(y)
    return y.astype(np.int64) if target.task.is_classification else _ranked(y)


def _ranked(values: np.ndarray) -> IntArray:
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    parts: IntArray = (ranks * min(STRATA, len(values)) // max(1, len(values))).astype(np.int64)
    return parts
