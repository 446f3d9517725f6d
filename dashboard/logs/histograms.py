"""Histograms of one array over steps, brought to one number of bins without a change of counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import Histograms
from .names import clean_name

__all__ = ["layer_and_kind", "stack_histograms"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_MOST_BINS = 1_024
_KINDS = {
    **dict.fromkeys(("kernel", "weight", "weights", "gamma", "embeddings", "scale"), "weight"),
    **dict.fromkeys(("bias", "beta", "biases"), "bias"),
    **dict.fromkeys(("grad", "grads", "gradient", "gradients"), "gradient"),
    **dict.fromkeys(("activation", "activations", "output", "outputs", "act", "out"), "activation"),
}
_TAIL = ("histogram", "hist", "values")


def layer_and_kind(tag: str) -> tuple[str, str]:
    """`hidden/kernel/histogram` → ("hidden", "weight"), `fc1.weight.grad` → ("fc1", "gradient").

    The gradient of a bias is of the layer "fc1.bias", lest it be taken for that of the weights.
    """
    words = [word for word in tag.replace(".", "/").split("/") if word]
    while len(words) > 1 and words[-1].casefold() in _TAIL:
        words.pop()
    kinds: dict[int, str] = {}
    for at, word in enumerate(words):
        bare = word.casefold().rstrip("0123456789").rstrip("_")
        # a layer may be called out: only the first and the last words say what is counted
        if bare in _KINDS and (at in (0, len(words) - 1) or _KINDS[bare] in ("weight", "bias")):
            kinds[at] = _KINDS[bare]
    if len(kinds) == len(words) and len(words) > 1:  # out/bias: a layer with such a name
        kinds.pop(1 if kinds[0] == "gradient" else 0)
    found = list(kinds.values())
    if "gradient" in found:
        kept = [
            word for at, word in enumerate(words) if kinds.get(at) not in ("gradient", "weight")
        ]
        return clean_name("/".join(kept) or tag), "gradient"
    kind = found[-1] if found else ""
    return clean_name(
        "/".join(word for at, word in enumerate(words) if at not in kinds) or tag
    ), kind


def stack_histograms(
    tag: str, steps: Ints, parts: Sequence[tuple[Floats, Floats]]
) -> tuple[Histograms | None, list[str]]:
    """All steps as one array, and sentences on what was merged or left out.

    `parts` : (edges `(n, b + 1)`, counts `(n, b)`), together as many rows as there are steps. Where
    `b` differs, histograms with fewer bins get empty ones behind; with more than 1,024, or far more
    than the others have, neighbours are merged. Edges come out strictly increasing.
    """
    given = sum(counts.size for _, counts in parts)
    most = max((counts.shape[1] for _, counts in parts), default=0)
    # rectangular, but never more than four times what the file holds
    bins = max(1, min(most, _MOST_BINS, 4 * given // max(len(steps), 1)))
    rows = [_merged(edges, counts, bins) for edges, counts in parts]
    edges = np.concatenate([one for one, _ in rows]) if rows else np.empty((0, bins + 1))
    counts = np.concatenate([one for _, one in rows]) if rows else np.empty((0, bins))
    with np.errstate(invalid="ignore"):
        right = np.isfinite(counts) & (counts >= 0)
        sound = np.asarray(np.isfinite(edges).all(axis=1) & right.all(axis=1), dtype=bool)
    notes = []
    if not sound.all():
        left = int(len(sound) - sound.sum())
        notes.append(
            f"{left:,} of {len(sound):,} histograms of {clean_name(tag)} hold NaN, infinite or "
            "negative numbers and are left out."
        )
    if most > bins:
        notes.append(f"Histograms of {clean_name(tag)} are merged into {bins} bins of {most:,}.")
    if not sound.any():
        return None, notes
    layer, kind = layer_and_kind(tag)
    rising = _rising(edges[sound])
    return Histograms(layer, kind, steps[sound], rising, counts[sound], clean_name(tag)), notes


def _merged(edges: Floats, counts: Floats, bins: int) -> tuple[Floats, Floats]:
    """Exactly `bins` bins: neighbours together, or empty ones behind the last."""
    n, b = counts.shape
    if b > bins:
        borders = np.linspace(0, b, bins + 1).round().astype(np.int64)
        return edges[:, borders], np.add.reduceat(counts, borders[:-1], axis=1)
    behind = np.repeat(edges[:, -1:], bins - b, axis=1)
    return np.hstack([edges, behind]), np.hstack([counts, np.zeros((n, bins - b))])


def _rising(edges: Floats) -> Floats:
    """Strictly increasing: bins without a width get the least that can be told apart."""
    rising = np.maximum.accumulate(edges, axis=1)
    flat = (np.diff(rising, axis=1) <= 0).any(axis=1)
    if flat.any():
        some = rising[flat]
        size = np.maximum(np.abs(some).max(axis=1), np.ptp(some, axis=1))
        least: Any = np.where(size > 0, size, 1.0)[:, None] * 1e-12
        rising[flat] = some + least * np.arange(some.shape[1])
    return rising
