"""Rows in groups that are explained alike: the same answer for different reasons stands apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Attributions, Label, OutputSpace
from ..errors import NotApplicable, ParameterError
from .attributions import by_names, common_features, output_position

__all__ = ["ExplanationClusters", "RowGroup", "compute_explanation_clusters"]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]

MOST_GROUPS = 6


@dataclass(frozen=True)
class RowGroup:
    """One group: `[start, stop)` in the order of the rows, and what sets it apart.

    Attributes
    ----------
    reasons : features whose mean value differs most from that of all rows, with the group's own
        mean value.
    prediction : mean answer of the group.
    typical : position in the evaluation set of the row nearest to the group's mean.
    """

    start: int
    stop: int
    prediction: float
    reasons: tuple[tuple[str, float], ...]
    typical: int

    @property
    def n(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, eq=False)
class ExplanationClusters:
    """One model's rows ordered by their explanation.

    Attributes
    ----------
    features : shown ones, strongest first, the same for all models of one call.
    values : `(n, n_shown)` in the order of the rows, NaN where a feature is not used; `rest` `(n,)`
        the sum of those folded.
    rows : `(n,)` positions in the evaluation set, in that order; `predictions` `(n,)`.
    limit : the largest |value|, over all models where units are the same: the end of the colours.
    n_explained : rows explained, of which `n` are drawn.
    """

    model: str
    output: Label
    space: OutputSpace
    features: tuple[str, ...]
    n_features: int
    values: Floats
    rest: Floats
    rows: Ints
    predictions: Floats
    base: float
    groups: tuple[RowGroup, ...]
    limit: float
    n_explained: int
    n_given: int

    @property
    def n(self) -> int:
        return len(self.rows)

    def frame(self) -> pd.DataFrame:
        """In order: columns model, output, row, group, prediction, one per feature, the rest."""
        group = np.zeros(self.n, dtype=np.int64)
        for k, one in enumerate(self.groups, 1):
            group[one.start : one.stop] = k
        head = pd.DataFrame(
            {
                "model": self.model,
                "output": self.output,
                "row": self.rows,
                "group": group,
                "prediction": self.predictions,
            }
        )
        values = pd.DataFrame(self.values, columns=list(self.features))
        return pd.concat([head, values, pd.DataFrame({"other features": self.rest})], axis=1)


def compute_explanation_clusters(
    explanations: Sequence[Attributions],
    output: Label | None = None,
    *,
    limit: int = 12,
    max_rows: int = 1_000,
    n_groups: int | None = None,
) -> list[ExplanationClusters]:
    """Rows clustered by all their values (Ward's method), one result per model.

    Parameters
    ----------
    max_rows : the first so many explained rows, which are a stratified sample of all.
    n_groups : 2 to 6; None takes the number with the widest gap between merges (the largest drop
        of what remains unexplained by the groups).

    Raises
    ------
    NotApplicable : fewer than three rows are explained.
    """
    if not explanations or min(one.n for one in explanations) < 3:
        raise NotApplicable("Groups of rows need at least three explained rows.")
    if n_groups is not None and not 1 <= n_groups <= MOST_GROUPS:
        raise ParameterError(f"n_groups must be from 1 to {MOST_GROUPS}, got {n_groups}.")
    features, n_all = common_features(explanations, output, limit)
    found = [_clusters(one, output, features, n_all, max_rows, n_groups) for one in explanations]
    if len({one.space for one in found}) > 1:
        return found
    most = max(one.limit for one in found)
    return [replace(one, limit=most) for one in found]


def _clusters(
    one: Attributions,
    output: Label | None,
    features: tuple[str, ...],
    n_all: int,
    max_rows: int,
    n_groups: int | None,
) -> ExplanationClusters:
    at = output_position(one, output)
    values = np.asarray(one.output(at)[:max_rows], dtype=np.float64)
    predictions = np.asarray(one.predictions[:max_rows, at], dtype=np.float64)
    rows = one.rows[:max_rows]
    order, labels = _ordered(values, predictions, n_groups)
    values, predictions, rows, labels = (
        values[order],
        predictions[order],
        rows[order],
        labels[order],
    )
    places = by_names(one, features)
    used = places >= 0
    shown = np.where(used, values[:, places], np.nan)
    rest = values.sum(axis=1) - np.where(used, values[:, places], 0.0).sum(axis=1)
    return ExplanationClusters(
        model=one.model,
        output=one.output_names[at],
        space=one.space,
        features=features,
        n_features=n_all,
        values=shown,
        rest=rest,
        rows=rows,
        predictions=predictions,
        base=float(one.base_values[at]),
        groups=_groups(values, predictions, rows, labels, one.feature_names),
        limit=float(np.quantile(np.abs(shown[:, used]), 0.99)) if used.any() else 0.0,
        n_explained=one.n,
        n_given=one.n_given,
    )


def _ordered(values: Floats, predictions: Floats, n_groups: int | None) -> tuple[Ints, Ints]:
    """Leaves of the tree and the group of each row, low answers first where the tree allows."""
    if not np.ptp(values, axis=0).any():
        return np.argsort(predictions, kind="stable"), np.zeros(len(values), dtype=np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage

    merges = linkage(values, method="ward")
    k = n_groups or _natural_groups(merges)
    labels = fcluster(merges, k, criterion="maxclust")
    leaves = _leaves(merges, predictions)
    return leaves, labels


def _natural_groups(merges: Floats) -> int:
    """Where the height of the next merge drops most, among 2 to 6 groups."""
    heights = merges[::-1, 2][:MOST_GROUPS]
    if len(heights) < 2:
        return 1
    ratio = heights[:-1] / np.maximum(heights[1:], 1e-12 * heights[0])
    return int(np.argmax(ratio)) + 2 if len(ratio) else 1


def _leaves(merges: Floats, predictions: Floats) -> Ints:
    """The order of the leaves; of two branches that with the lower mean answer comes first."""
    n = len(predictions)
    total = np.concatenate([predictions, np.zeros(n - 1)])
    size = np.concatenate([np.ones(n), np.zeros(n - 1)])
    for k, (left, right) in enumerate(merges[:, :2].astype(np.int64)):
        total[n + k], size[n + k] = total[left] + total[right], size[left] + size[right]
    mean = total / size
    order: list[int] = []
    stack = [2 * n - 2]
    while stack:
        node = stack.pop()
        if node < n:
            order.append(node)
            continue
        left, right = merges[node - n, :2].astype(np.int64).tolist()
        first, second = (left, right) if mean[left] <= mean[right] else (right, left)
        stack += [second, first]
    return np.asarray(order, dtype=np.int64)


def _groups(
    values: Floats, predictions: Floats, rows: Ints, labels: Ints, names: Sequence[str]
) -> tuple[RowGroup, ...]:
    cuts = np.flatnonzero(np.diff(labels)) + 1
    edges = [0, *cuts.tolist(), len(labels)]
    overall = values.mean(axis=0)
    found = []
    for start, stop in itertools.pairwise(edges):
        mean = values[start:stop].mean(axis=0)
        apart = np.abs(mean - overall)
        best = [k for k in np.argsort(-apart, kind="stable")[:2] if apart[k] > 0]
        near = np.argmin(((values[start:stop] - mean) ** 2).sum(axis=1))
        found.append(
            RowGroup(
                start,
                stop,
                float(predictions[start:stop].mean()),
                tuple((names[k], float(mean[k])) for k in best),
                int(rows[start + near]),
            )
        )
    return tuple(found)
