"""How the scores of each class are spread."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Predictions, ScoreKind
from ..errors import ParameterError
from .thresholds import check_label

__all__ = ["ScoreDistribution", "compute_score_distribution"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ScoreDistribution:
    """Weight of each class by score.

    Attributes
    ----------
    labels : names of the rows of `counts`: the rest first, the class in question last.
    edges : `(b + 1,)` equal bins, [edge, next edge), the last closed.
    counts : `(k, b)` weight of rows; density : the same with each class summing to 1.
    below, above : `(k,)` weight at −inf and at inf, outside the bins.
    memo : what was made of it before and no threshold moves.
    """

    model: str
    labels: tuple[str, ...]
    edges: FloatArray
    counts: FloatArray
    below: FloatArray
    above: FloatArray
    threshold: float | None
    n: int
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def density(self) -> FloatArray:
        totals = self.counts.sum(axis=1, keepdims=True)
        return self.counts / np.where(totals > 0, totals, 1.0)

    def frame(self) -> pd.DataFrame:
        """model, label, low, high, count, share: one row per class and bin."""
        k, b = self.counts.shape
        return pd.DataFrame(
            {
                "model": self.model,
                "label": np.repeat(np.array(self.labels, dtype=object), b),
                "low": np.tile(self.edges[:-1], k),
                "high": np.tile(self.edges[1:], k),
                "count": self.counts.ravel(),
                "share": self.density.ravel(),
            }
        )


def compute_score_distribution(
    predictions: Predictions,
    label: int | None = None,
    threshold: float | None = None,
    n_bins: int = 40,
) -> ScoreDistribution:
    """Scores of one class or label and of the rest, on equal bins.

    Probabilities are binned over [0, 1], other scores over their finite range.
    """
    if n_bins < 1:
        raise ParameterError(f"n_bins must be at least 1, got {n_bins}.")
    label = check_label(predictions, label)
    truth, scores = predictions.truth_of(label), predictions.scores_of(label)
    weights = predictions.sample_weight
    span = (0.0, 1.0)
    if predictions.score_kind not in (ScoreKind.PROBABILITY, ScoreKind.INDEPENDENT):
        finite = scores[np.isfinite(scores)]
        span = (float(finite.min()), float(finite.max())) if len(finite) else span
        span = span if span[1] > span[0] else (span[0] - 0.5, span[1] + 0.5)
    edges = np.linspace(*span, n_bins + 1)
    rows = []
    for group in (~truth, truth):
        given = None if weights is None else weights[group]
        counts, _ = np.histogram(scores[group], bins=edges, weights=given)
        outside = [
            float(np.sum(hit if given is None else given[hit]))
            for hit in (np.isneginf(scores[group]), np.isposinf(scores[group]))
        ]
        rows.append((counts.astype(np.float64), *outside))
    names = predictions.target.labels
    rest = str(names[1 - label]) if predictions.target.pos_label is not None else "other"
    return ScoreDistribution(
        model=predictions.name,
        labels=(rest, str(names[label])),
        edges=edges,
        counts=np.array([row[0] for row in rows]),
        below=np.array([row[1] for row in rows]),
        above=np.array([row[2] for row in rows]),
        threshold=threshold,
        n=predictions.n,
    )
