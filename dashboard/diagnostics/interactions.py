"""Which features work together: exact interaction values, or a hint that any engine allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Attributions, Label, OutputSpace
from ..errors import NotApplicable, ParameterError
from ..wording import number
from .attributions import by_names, column_of, common_features, output_position
from .dependence import spread_explained

__all__ = [
    "InteractionMatrix",
    "align_interactions",
    "compute_interaction_hints",
    "compute_interaction_matrices",
    "compute_interaction_matrix",
]

Floats = npt.NDArray[np.floating[Any]]

TOLERANCE = 1e-4  # of the largest value: what sums of interactions may miss the attributions by
HINT_ROWS = 2_000


@dataclass(frozen=True, eq=False)
class InteractionMatrix:
    """How strongly pairs of features work together in one model.

    Attributes
    ----------
    values : `(n_shown, n_shown)` symmetric. Exact: mean |effect of the pair|, both halves of it
        together, and on the diagonal mean |effect of the feature alone|, in the unit of `space`.
        A hint: the share of the spread of one feature's values at equal value that the other
        explains, the larger of both directions; NaN on the diagonal.
    exact : whether these are interaction values, or a hint from attributions alone.
    limit : the largest value off the diagonal, over all models of one call.
    gap : largest difference between the sum of a feature's row and its attribution (exact only).
    """

    model: str
    output: Label
    space: OutputSpace
    features: tuple[str, ...]
    n_features: int
    values: Floats
    exact: bool
    limit: float
    gap: float
    n: int
    n_given: int

    def strongest(self) -> tuple[str, str, float] | None:
        """The pair with the largest value; None where no pair has any."""
        upper = np.triu(np.nan_to_num(self.values), k=1)
        if not upper.size or not upper.max() > 0:
            return None
        i, j = np.unravel_index(int(upper.argmax()), upper.shape)
        return self.features[int(i)], self.features[int(j)], float(upper[i, j])

    def frame(self) -> pd.DataFrame:
        """Columns model, output, feature, other, value: every pair once, and the diagonal."""
        i, j = np.triu_indices(len(self.features), k=0 if self.exact else 1)
        names = np.asarray(self.features, dtype=object)
        return pd.DataFrame(
            {
                "model": self.model,
                "output": self.output,
                "feature": names[i],
                "other": names[j],
                "value": self.values[i, j],
                "n": self.n,
            }
        )


def compute_interaction_matrix(
    values: Floats,
    attributions: Attributions,
    output: Label | None = None,
    *,
    limit: int = 12,
    features: Sequence[str] | None = None,
) -> InteractionMatrix:
    """From interaction values of the same rows as `attributions`.

    Parameters
    ----------
    values : `(n, n_features, n_features)` of the output, or with one more axis for all outputs;
        halves of a pair's effect on both sides of the diagonal, as shap gives them, so that each
        row of the matrix sums to that feature's attribution.
    features : those to show, to align models; None takes the `limit` strongest.

    Raises
    ------
    ParameterError : shapes that do not fit the attributions.
    NotApplicable : the values do not sum to the attributions: they explain something else.
    """
    at = output_position(attributions, output)
    own = values[..., at] if values.ndim == 4 else values
    n, f = attributions.n, len(attributions.feature_names)
    if own.shape != (n, f, f):
        raise ParameterError(f"Interaction values have shape {own.shape}; {(n, f, f)} is needed.")
    if not n:
        raise NotApplicable("No rows are explained yet, so there are no pairs to show.")
    single = attributions.output(at)
    gap = float(np.abs(own.sum(axis=2) - single).max()) if f else 0.0
    if not gap <= TOLERANCE * max(float(np.abs(single).max(initial=0.0)), 1e-12):
        raise NotApplicable(
            f"The interaction values of {attributions.model} do not sum to its attributions (they "
            f"miss them by up to {number(gap)}), so they are not shown."
        )
    # both halves belong to the pair; on the diagonal stands the effect of the feature alone
    pairs = own + np.swapaxes(own, 1, 2)
    diagonal = np.einsum("nii->ni", own)
    strength = np.abs(pairs).mean(axis=0)
    np.fill_diagonal(strength, np.abs(diagonal).mean(axis=0))
    shown = tuple(features) if features else _strongest(attributions, output, strength, limit)
    return _matrix(attributions, at, shown, strength, exact=True, gap=gap)


def compute_interaction_matrices(
    parts: Sequence[tuple[Floats, Attributions]],
    output: Label | None = None,
    *,
    limit: int = 12,
) -> list[InteractionMatrix]:
    """One matrix per model on the same features and, where the unit is the same, one scale.

    Parameters
    ----------
    parts : the values of each model and the attributions that they sum to, as for
        `compute_interaction_matrix`.
    """
    whole = [
        compute_interaction_matrix(values, one, output, limit=len(one.feature_names))
        for values, one in parts
    ]
    best: dict[str, float] = {}
    for matrix in whole:
        for name, share in _pair_shares(matrix).items():
            best[name] = max(best.get(name, 0.0), share)
    kept = sorted(best, key=lambda name: -best[name])[:limit]
    order, _ = common_features([one for _, one in parts], output, 10**9)
    shown = tuple(name for name in order if name in kept)
    return align_interactions(
        [compute_interaction_matrix(values, one, output, features=shown) for values, one in parts]
    )


def _pair_shares(matrix: InteractionMatrix) -> dict[str, float]:
    """Each feature's strongest pair as a share of the model's strongest."""
    off = matrix.values - np.diag(np.diag(matrix.values))
    shares = np.nan_to_num(off).max(axis=1, initial=0.0) / (matrix.limit or 1.0)
    return dict(zip(matrix.features, shares.tolist(), strict=True))


def _strongest(
    attributions: Attributions, output: Label | None, strength: Floats, limit: int
) -> tuple[str, ...]:
    """The features with the strongest pairs, in the order of their attributions."""
    outside = strength - np.diag(np.diag(strength))
    best = np.argsort(-outside.max(axis=1), kind="stable")[:limit]
    kept = {attributions.feature_names[int(k)] for k in best}
    order, _ = common_features([attributions], output, len(attributions.feature_names))
    return tuple(name for name in order if name in kept)


def _matrix(
    one: Attributions, at: int, shown: tuple[str, ...], strength: Floats, *, exact: bool, gap: float
) -> InteractionMatrix:
    places = by_names(one, shown)
    used = places >= 0
    values = np.where(used[:, None] & used[None, :], strength[np.ix_(places, places)], np.nan)
    if not exact:
        np.fill_diagonal(values, np.nan)
    off = np.nan_to_num(values - np.diag(np.diag(values))) if len(values) else np.zeros((0, 0))
    return InteractionMatrix(
        model=one.model,
        output=one.output_names[at],
        space=one.space,
        features=shown,
        n_features=len(one.feature_names),
        values=values,
        exact=exact,
        limit=float(off.max(initial=0.0)),
        gap=gap,
        n=one.n,
        n_given=one.n_given,
    )


def align_interactions(matrices: Sequence[InteractionMatrix]) -> list[InteractionMatrix]:
    """The same, with one scale of colours for all models whose values have one unit."""
    if len({(one.space, one.exact) for one in matrices}) > 1:
        return list(matrices)
    most = max((one.limit for one in matrices), default=0.0)
    return [replace(one, limit=most) for one in matrices]


def compute_interaction_hints(
    explanations: Sequence[Attributions], output: Label | None = None, *, limit: int = 10
) -> list[InteractionMatrix]:
    """What attributions alone say of pairs: how much of one's spread the other explains.

    No interaction values are needed, so that this works for every model; it shows where to look
    and is no amount of the answer. More than 2,000 rows are read at equal steps.

    Raises
    ------
    NotApplicable : fewer than 50 explained rows: groups of equal value would be too small.
    """
    if not explanations or min(one.n for one in explanations) < 50:
        raise NotApplicable("Pairs need at least 50 explained rows. Explain more rows.")
    features, _ = common_features(explanations, output, limit)
    return align_interactions([_hints(one, output, features) for one in explanations])


def _hints(one: Attributions, output: Label | None, features: tuple[str, ...]) -> InteractionMatrix:
    at = output_position(one, output)
    if one.n > HINT_ROWS:
        part = one.take(np.linspace(0, one.n - 1, HINT_ROWS).astype(np.int64))
    else:
        part = one
    f = len(one.feature_names)
    strength = np.zeros((f, f))
    used = [int(k) for k in by_names(one, features) if k >= 0]
    columns = {k: column_of(part, one.feature_names[k]) for k in used}
    scale = np.abs(part.values[:, :, at]).max() if part.values.size else 0.0
    for i in used:
        values = np.asarray(part.values[:, i, at], dtype=np.float64)
        if np.ptp(values) <= 1e-9 * scale:
            continue
        for j in used:
            if i != j:
                share = spread_explained(columns[i], values, columns[j])
                strength[i, j] = max(strength[i, j], share)
                strength[j, i] = max(strength[j, i], share)
    found = _matrix(one, at, features, strength, exact=False, gap=0.0)
    return replace(found, n=part.n)
