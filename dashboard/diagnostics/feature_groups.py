"""Columns that vary together, as groups: what one of them loses, the others still say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import NotApplicable, ParameterError
from ..wording import shorten

__all__ = ["FeatureGroups", "compute_feature_groups"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FeatureGroups:
    """Groups of two columns or more, in the order of the data.

    Attributes
    ----------
    groups : name → columns; named after the first, "age + 2".
    threshold : the least |rank correlation| within a group.
    n, n_given : rows used, of the rows there are.
    """

    groups: Mapping[str, tuple[str, ...]]
    threshold: float
    n: int
    n_given: int

    def frame(self) -> pd.DataFrame:
        """One row per column: group, feature."""
        rows = [(group, name) for group, names in self.groups.items() for name in names]
        return pd.DataFrame(rows, columns=["group", "feature"])


def compute_feature_groups(
    X: Any, threshold: float = 0.9, *, max_rows: int = 5_000, random_state: int = 0
) -> FeatureGroups:
    """Numeric columns whose |Spearman correlation| is at least `threshold`, every pair of a group.

    Complete linkage (Lance and Williams, The Computer Journal 9 (1967) 373–380), on at most
    `max_rows` rows. Columns that are no numbers, or constant, stay by themselves.

    Raises
    ------
    NotApplicable : rows that are no table.
    ParameterError : a threshold outside 0 < threshold <= 1.
    """
    if not isinstance(X, pd.DataFrame):
        raise NotApplicable("Columns that vary together are looked for in tables, not in arrays.")
    if not 0 < threshold <= 1:
        raise ParameterError(f"threshold must fulfil 0 < threshold <= 1, got {threshold}.")
    kept = np.sort(np.random.default_rng(random_state).permutation(len(X))[:max_rows])
    numeric = [at for at in range(X.shape[1]) if pd.api.types.is_numeric_dtype(X.dtypes.iloc[at])]
    columns = X.iloc[kept, numeric].astype(float)
    names = [str(name) for name in columns.columns]
    labels = _clusters(columns.rank().corr().to_numpy(), threshold)
    groups: dict[str, tuple[str, ...]] = {}
    for label in dict.fromkeys(labels):
        members = tuple(name for name, own in zip(names, labels, strict=True) if own == label)
        if len(members) > 1:
            groups[_name(members)] = members
    return FeatureGroups(groups, threshold, len(kept), len(X))


def _name(members: tuple[str, ...]) -> str:
    return f"{shorten(members[0], 60)} + {len(members) - 1}"


def _clusters(correlations: Floats, threshold: float) -> list[int]:
    """A label for each column."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    m = len(correlations)
    if m < 2:
        return list(range(m))
    distance = 1 - np.abs(np.nan_to_num(correlations))
    distance = np.clip((distance + distance.T) / 2, 0, None)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), method="complete")
    return [int(one) for one in fcluster(tree, 1 - threshold + 1e-12, criterion="distance")]
