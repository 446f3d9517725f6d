"""From a model's own columns and outputs to the person's: summed back to features, turned round."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..contracts import Label, OutputSpace, Task
from ..contracts.vocabulary import match_labels
from .answers import Asked
from .subjects import FloatArray, IntArray

__all__ = ["Arrangement", "arrangement", "summed_back", "summed_both_axes"]


@dataclass(frozen=True)
class Arrangement:
    """Which of a model's outputs are shown, in which order, and whether they are turned round.

    Attributes
    ----------
    names : the positive class, every class in the order of the target, or the target's names.
    columns : for each of them the model's own column.
    turned : the model scores the other one of two classes.
    """

    names: tuple[Label, ...]
    columns: tuple[int, ...]
    turned: bool = False

    def parts(self, values: FloatArray) -> FloatArray:
        """`(…, n_outputs)` contributions, for which turning changes the sign."""
        if self.columns == tuple(range(values.shape[-1])):  # as they are: millions, not copied
            return -values if self.turned else values
        chosen = values[..., list(self.columns)]
        return -chosen if self.turned else chosen

    def spreads(self, errors: FloatArray) -> FloatArray:
        """`(…, n_outputs)` standard errors, which have no sign."""
        return errors[..., list(self.columns)]

    def totals(self, values: FloatArray, space: OutputSpace) -> FloatArray:
        """`(…, n_outputs)` answers or base values."""
        chosen = values[..., list(self.columns)]
        if not self.turned:
            return chosen
        return 1 - chosen if space is OutputSpace.PROBABILITY else -chosen


def arrangement(names: tuple[Label, ...], space: OutputSpace, asked: Asked) -> Arrangement:
    """How outputs with these names (see `Voice`) become those of the target."""
    k = len(names)
    every = tuple(range(k))
    if space is OutputSpace.TARGET or not asked.task.is_classification:
        if k == 1:
            return Arrangement((asked.name,), every)
        fits = len(asked.labels) == k
        return Arrangement(
            asked.labels if fits else tuple(f"output {at + 1}" for at in every), every
        )
    if asked.task is Task.MULTILABEL:
        return Arrangement(asked.labels if len(asked.labels) == k else names, every)
    match = match_labels(list(names), asked.labels, complete=k > 1)
    if asked.task is Task.BINARY and asked.pos_label is not None:
        return _of_two(names, match.positions, asked, asked.pos_label)
    known = sorted((match.positions[name], at) for at, name in enumerate(names) if name in match[0])
    rest = [at for at, name in enumerate(names) if name not in match.positions]
    shown = (*(asked.labels[place] for place, _ in known), *(names[at] for at in rest))
    return Arrangement(shown, (*(at for _, at in known), *rest))


def _of_two(
    names: tuple[Label, ...], positions: dict[Label, int], asked: Asked, positive: int
) -> Arrangement:
    places = [positions.get(name) for name in names]
    shown = (asked.labels[positive],)
    if positive in places:
        return Arrangement(shown, (places.index(positive),))
    if len(names) == 1 and places[0] is not None:
        return Arrangement(shown, (0,), turned=True)
    return Arrangement(names, tuple(range(len(names))))


def summed_back(values: FloatArray, sources: IntArray, n_features: int) -> FloatArray:
    """`(n, m, k)` contributions of prepared columns → `(n, n_features, k)` of their sources.

    The value of a feature is the sum of those of its columns only where each adds a part of its own
    (a linear model), or where an engine knew them together and gave one of them all. Standard
    errors summed like this are an upper bound, whatever their correlation.
    """
    if np.array_equal(sources, np.arange(n_features)):
        return values
    order = np.argsort(sources, kind="stable")
    found, starts = np.unique(sources[order], return_index=True)
    summed = np.zeros((len(values), n_features, values.shape[2]))
    summed[:, found] = np.add.reduceat(values[:, order], starts, axis=1)
    return summed


def summed_both_axes(values: FloatArray, sources: IntArray, n_features: int) -> FloatArray:
    """`(n, m, m, k)` → `(n, f, f, k)`, prepared columns summed on both axes."""
    n, m, _, k = values.shape
    once = summed_back(values.reshape(n, m, m * k), sources, n_features)
    once = once.reshape(n, n_features, m, k).transpose(0, 2, 1, 3).reshape(n, m, n_features * k)
    twice = summed_back(once, sources, n_features)
    return twice.reshape(n, n_features, n_features, k)
