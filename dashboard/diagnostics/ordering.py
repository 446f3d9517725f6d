"""Scores in descending order with their labels: the one sort behind every curve.

A score and its label are packed into one unsigned integer. The bits of nonnegative floats
order as the floats do and their sign bit is free, so `(distance from the highest score) << 1
| label` loses nothing, and sorting integers replaces an argsort and its gathers.

Large arrays are sorted by two or three radix passes (a sparse matrix of one row turned from
row to column order *is* a stable counting sort) and then in staggered rows of 256, which
NumPy sorts with SIMD networks. On every processor tried this is at least as fast as
`np.sort`, and four times faster on AMD Zen 4, where the AVX-512 partition behind `np.sort`
is slow (numpy/x86-simd-sort issue 6).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ParameterError

__all__ = ["Steps", "accumulate", "check_scores", "check_weights"]

FloatArray = npt.NDArray[np.float64]
AnyFloat = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.signedinteger[Any]]
Keys = npt.NDArray[np.unsignedinteger[Any]]
Steps = tuple[FloatArray, FloatArray, FloatArray]

_BLOCK = 1 << 15  # intermediate arrays that stay in the processor's cache
_ROW = 256
_DIGIT = 9
_RADIX_FROM = 10_000
_THREE_DIGITS_FROM = 1_500_000
_OCTAVES = 64


def check_scores(y_true: npt.ArrayLike, y_score: npt.ArrayLike) -> tuple[Any, AnyFloat]:
    """Boolean truth and float32 or float64 scores of one length, without NaN."""
    truth, scores = np.asarray(y_true), np.asarray(y_score)
    if truth.dtype != np.bool_:
        raise ParameterError(
            f"y_true must be boolean (True = positive), got dtype {truth.dtype}. "
            "Compare the labels with the positive class first."
        )
    if truth.ndim != 1 or truth.shape != scores.shape:
        raise ParameterError(
            f"y_true has shape {truth.shape} and y_score {scores.shape}; "
            "one truth and one score per row are needed."
        )
    if scores.dtype not in (np.float32, np.float64):
        scores = scores.astype(np.float64)
    if len(scores) and np.isnan(scores.min()):
        raise ParameterError(
            f"y_score has {int(np.isnan(scores).sum())} missing values (NaN) in {len(scores)} "
            "rows. Leave these rows out, or give them a score."
        )
    return truth, np.ascontiguousarray(scores)


def check_weights(sample_weight: npt.ArrayLike, n: int) -> FloatArray:
    """Finite, nonnegative float64 weights, one per row."""
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (n,):
        raise ParameterError(
            f"sample_weight has shape {weights.shape}; one weight for each of {n} rows is needed."
        )
    if n and not (weights.min() >= 0 and np.isfinite(weights.max())):
        raise ParameterError(
            "sample_weight must be finite and not negative, got values from "
            f"{weights.min()} to {weights.max()}."
        )
    return weights


def accumulate(
    y_true: npt.NDArray[np.bool_], y_score: AnyFloat, sample_weight: FloatArray | None
) -> Steps:
    """Distinct scores in descending order with cumulative weight of positives and negatives.

    Returns
    -------
    thresholds, tps, fps : `(m + 1,)` float64; row 0 is (inf, 0, 0), "nothing is flagged".
        Rows of weight zero are left out, as scikit-learn does: they add no threshold.
    """
    if sample_weight is not None:
        return _accumulate_weighted(y_true, y_score, sample_weight)
    if not len(y_score):
        return np.array([np.inf]), np.zeros(1), np.zeros(1)
    code = _Code.of(y_score)
    if code is None:
        return _accumulate_weighted(y_true, y_score, None)
    return _count(_sort_keys(code.pack(y_score, y_true), code.span), code)


def _count(keys: Keys, code: _Code) -> Steps:
    """Cumulative counts at the last key of each distinct score, block by block."""
    one, n, rows, positives = keys.dtype.type(1), len(keys), 0, 0
    thresholds, tps, fps = _allocate(n)
    places = np.arange(1.0, _BLOCK + 1)
    for start in range(0, n, _BLOCK):
        block = keys[start : start + _BLOCK]
        counts = np.cumsum((block & one).view(code.int_type), dtype=code.int_type)
        before, positives = positives, positives + int(counts[-1])
        following = keys[start + 1 : start + 1 + _BLOCK]
        last = (block[: len(following)] ^ following) > one  # a change above the label bit
        if last.all():
            stop, reached = rows + len(block), places[: len(block)]
        else:
            ends = np.flatnonzero(last)
            if len(following) < len(block):
                ends = np.append(ends, len(block) - 1)
            block, counts, reached = block.take(ends), counts.take(ends), places.take(ends)
            stop = rows + len(block)
        np.add(counts, float(before), out=tps[rows + 1 : stop + 1])
        np.subtract(reached + start, tps[rows + 1 : stop + 1], out=fps[rows + 1 : stop + 1])
        thresholds[rows + 1 : stop + 1] = code.unpack(block >> one)
        rows = stop
    if rows < n // 2:  # many ties: do not hold on to the unused rest
        return thresholds[: rows + 1].copy(), tps[: rows + 1].copy(), fps[: rows + 1].copy()
    return thresholds[: rows + 1], tps[: rows + 1], fps[: rows + 1]


def _allocate(m: int) -> Steps:
    thresholds, tps, fps = np.empty((3, m + 1))
    thresholds[0], tps[0], fps[0] = np.inf, 0.0, 0.0
    return thresholds, tps, fps


def _accumulate_weighted(
    y_true: npt.NDArray[np.bool_], y_score: AnyFloat, sample_weight: FloatArray | None
) -> Steps:
    if sample_weight is not None and not sample_weight.all():
        kept = sample_weight > 0
        y_true, y_score, sample_weight = y_true[kept], y_score[kept], sample_weight[kept]
    if not len(y_score):
        return np.array([np.inf]), np.zeros(1), np.zeros(1)
    order = np.argsort(y_score)[::-1]
    scores, positive = y_score[order] + y_score.dtype.type(0), y_true[order]
    weights = np.ones(len(order)) if sample_weight is None else sample_weight[order]
    ends = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)
    thresholds, tps, fps = _allocate(len(ends))
    tps[1:] = np.cumsum(np.where(positive, weights, 0.0))[ends]
    fps[1:] = np.cumsum(np.where(positive, 0.0, weights))[ends]
    thresholds[1:] = scores[ends]
    return thresholds, tps, fps


class _Code:
    """How scores of one array become ordinals: their bits, signed, less the gap around zero."""

    def __init__(self, dtype: np.dtype[Any], signed: bool) -> None:
        self.dtype, self.signed = dtype, signed
        self.gap = self.top = self.span = 0
        self.int_type: type[Any] = np.int64 if dtype == np.float64 else np.int32
        self.key_type: type[Any] = np.uint64 if dtype == np.float64 else np.uint32

    @classmethod
    def of(cls, scores: AnyFloat) -> _Code | None:
        """None where ordinal and label need more bits than a score has (both signs and inf)."""
        low, high = scores.min(), scores.max()
        code = cls(scores.dtype, bool(low < 0))
        if code.signed:
            magnitudes = code._magnitudes(scores)
            # zero wraps to the largest value, so the minimum is that of the others
            code.gap = int((magnitudes.view(code.key_type) - code.key_type(1)).min())
        ends = [int(code._ordinals(np.array([end], dtype=scores.dtype))[0]) for end in (low, high)]
        code.top, code.span = ends[1], ends[1] - ends[0]
        return code if code.span <= np.iinfo(code.int_type).max else None

    def _magnitudes(self, scores: AnyFloat) -> Ints:
        bits: Ints = scores.view(self.int_type) & self.int_type(np.iinfo(self.int_type).max)
        return bits

    def _ordinals(self, scores: AnyFloat) -> Ints:
        ordinals = self._magnitudes(scores)  # drops the sign, so that -0.0 equals 0.0
        if self.gap:
            ordinals -= self.int_type(self.gap)
            np.maximum(ordinals, 0, out=ordinals)
        if self.signed:
            np.negative(ordinals, out=ordinals, where=scores < 0)
        return ordinals

    def pack(self, scores: AnyFloat, positive: npt.NDArray[np.bool_]) -> Keys:
        keys = np.empty(len(scores), dtype=self.key_type)
        for start in range(0, len(scores), _BLOCK):
            rows = slice(start, start + _BLOCK)
            ordinals = self._ordinals(scores[rows])
            np.subtract(self.int_type(self.top), ordinals, out=ordinals)
            ordinals <<= self.int_type(1)
            np.bitwise_or(ordinals.view(self.key_type), positive[rows], out=keys[rows])
        return keys

    def unpack(self, keys: Keys) -> AnyFloat:
        ordinals = self.int_type(self.top) - keys.view(self.int_type)
        scores: AnyFloat = ordinals.view(self.dtype)
        if not self.signed:
            return scores
        negative, zero = ordinals < 0, ordinals == 0
        np.abs(ordinals, out=ordinals)
        ordinals += self.int_type(self.gap)
        ordinals[zero] = 0
        np.negative(scores, out=scores, where=negative)
        return scores


def _sort_keys(keys: Keys, span: int) -> Keys:
    """Ascending by `key >> 1`; the label bit may stay unsorted among equal scores."""
    if len(keys) < _RADIX_FROM:
        keys.sort()
        return keys
    mantissa = 52 if keys.itemsize == 8 else 23
    limit = min(span, _OCTAVES << mantissa)
    count = 3 if len(keys) > _THREE_DIGITS_FROM else 2
    lowest = 1 + max(0, limit.bit_length() - count * _DIGIT)
    digits = np.empty(len(keys), dtype=np.int32)
    for shift in range(lowest, lowest + count * _DIGIT, _DIGIT):
        keys = _scatter(keys, digits, shift, (limit << 1) | 1)
    _sort_rows(keys, 0, _ROW)
    _sort_rows(keys, 3 * _ROW // 4, _ROW // 2)  # across the bounds of the rows
    if not _sorted(keys):
        _sort_rows(keys, _ROW // 2, _ROW)
        if not _sorted(keys):
            keys.sort(kind="stable")  # crowded digits: nearly sorted, where merging is quick
    return keys


def _sort_rows(keys: Keys, start: int, width: int) -> None:
    """Sort the first `width` keys of every row of 256 from `start` on, in place."""
    rows = (len(keys) - start) // _ROW
    keys[start : start + rows * _ROW].reshape(rows, _ROW)[:, :width].sort(axis=1)
    keys[-_ROW:].sort()


def _scatter(keys: Keys, digits: npt.NDArray[np.int32], shift: int, limit: int) -> Keys:
    """One stable counting-sort pass on the nine bits above `shift`."""
    from scipy.sparse import csr_array

    kind = keys.dtype.type
    for start in range(0, len(keys), _BLOCK):
        block = np.minimum(keys[start : start + _BLOCK], kind(limit))
        block >>= kind(shift)
        block &= kind((1 << _DIGIT) - 1)
        digits[start : start + _BLOCK] = block
    # as narrow as the digits, or SciPy widens (copies) them
    narrow = len(keys) <= np.iinfo(np.int32).max
    bounds = np.array([0, len(keys)], dtype=np.int32 if narrow else np.int64)
    parts: Any = (keys, digits, bounds)
    row = csr_array(parts, shape=(1, 1 << _DIGIT))
    scattered: Keys = row.tocsc().data
    return scattered


def _sorted(keys: Keys) -> bool:
    one = keys.dtype.type(1)
    for start in range(0, len(keys), _BLOCK):
        block = keys[start : start + _BLOCK + 1]
        if (block[1:] < block[:-1]).any():
            block = block >> one
            if (block[1:] < block[:-1]).any():
                return False
    return True
