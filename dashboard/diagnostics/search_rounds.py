"""Searches in rounds (successive halving, Hyperband): many candidates on little, the best on more.

Li et al., Hyperband, Journal of Machine Learning Research 18 (2018) 1–52.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..contracts import Finding, SearchResults, SearchScore
from ..errors import NotApplicable
from ..wording import count, listing, plural
from .folds import corrected_interval

__all__ = ["SearchRounds", "compute_rounds", "find_in_rounds"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SHARE_CLOSE = 0.25  # of the candidates dropped in a round, from which chance had a say


@dataclass(frozen=True, eq=False)
class SearchRounds:
    """The trials of a search by what each was given.

    Attributes
    ----------
    name : what it is: rows, epochs, or a parameter such as n_estimators.
    levels : `(r,)` amounts of it, increasing.
    level : `(n,)` place in `levels` of each trial, -1 where unknown.
    candidate : `(n,)` number of its parameters: trials of one candidate share it.
    """

    name: str
    levels: Floats
    level: Ints
    candidate: Ints

    @property
    def counts(self) -> list[int]:
        """Candidates of each level."""
        return [len(set(self.candidate[self.level == k])) for k in range(len(self.levels))]

    @property
    def paths(self) -> list[Ints]:
        """For each candidate its trials, from the smallest amount to the largest."""
        known = np.flatnonzero(self.level >= 0)
        order = known[np.lexsort((self.level[known], self.candidate[known]))]
        if not len(order):
            return []
        return np.split(order, np.flatnonzero(np.diff(self.candidate[order])) + 1)

    @property
    def sentence(self) -> str:
        """`12 candidates with 40 rows, 4 with 120 and 2 with 360.`"""
        each = [
            f"{count(n)} with {count(float(level))}"
            for n, level in zip(self.counts, self.levels, strict=True)
        ]
        first = f"{plural(self.counts[0], 'candidate')} with {count(float(self.levels[0]))}"
        return f"{listing([f'{first} {self.name}', *each[1:]], 8)}."


def compute_rounds(results: SearchResults) -> SearchRounds:
    """Which trials are one candidate, given more and more.

    Raises
    ------
    NotApplicable : all trials were given the same, or nothing says what they were given.
    """
    given = results.resource
    levels = np.unique(given[np.isfinite(given)]) if given is not None else np.empty(0)
    if given is None or len(levels) < 2:
        raise NotApplicable(f"All trials of {results.name} were given the same rows or epochs.")
    level = np.where(np.isfinite(given), np.searchsorted(levels, given), -1)
    same = [one for one in results.parameters if np.array_equal(one.numbers, given)]
    own = [one for one in results.parameters if one not in same]
    seen: dict[tuple[str, ...], int] = {}
    keys = [tuple(one.text(k) for one in own) for k in range(len(results))]
    candidate = np.array([seen.setdefault(key, len(seen)) for key in keys], dtype=np.int64)
    name = same[0].name.rpartition("__")[2] if same else results.resource_name or "resource"
    return SearchRounds(name, levels, level.astype(np.int64), candidate)


def find_in_rounds(results: SearchResults, score: SearchScore) -> list[Finding]:
    """Whether candidates were dropped that the folds did not tell from one that was kept.

    Returns
    -------
    list : one finding, "dropped_by_chance" or "rounds_told_apart", with the round where it was
        closest; nothing for searches without rounds, without scores of single folds, or where
        nobody knows which score is better.
    """
    try:
        rounds = compute_rounds(results)
    except NotApplicable:
        return []
    if score.folds is None or score.folds.shape[1] < 2 or score.larger_is_better is None:
        return []
    seen = [one for k in range(len(rounds.levels) - 1) if (one := _cut(rounds, score, k))]
    if not seen:
        return []
    close, dropped, at = max(seen, key=lambda one: (one[0] / one[1], one[1]))
    where = f"with {count(float(rounds.levels[at]))} {rounds.name}"
    n_folds = score.folds.shape[1]
    by_chance = close >= SHARE_CLOSE * dropped
    numbers: dict[str, float | int | str] = {
        "dropped": dropped,
        "as_good": close,
        "given": float(rounds.levels[at]),
        "resource": rounds.name,
        "folds": n_folds,
    }
    verb, were = ("was", "it was") if close == 1 else ("were", "they were")
    tail = f"so {were} dropped by chance as much as by merit." if by_chance else ""
    said = (
        f"{count(close)} of the {plural(dropped, 'candidate')} that were dropped {where} {verb} as "
        f"good as the last one kept, within the spread of the {n_folds} folds"
    )
    return [
        Finding(
            "dropped_by_chance" if by_chance else "rounds_told_apart",
            "info",
            results.name,
            f"{said}, {tail}" if by_chance else f"{said}: its rounds chose by merit.",
            numbers,
            ("Start with more (min_resources).", "Keep more in each round (a smaller factor).")
            if by_chance
            else (),
            "search",
        )
    ]


def _cut(rounds: SearchRounds, score: SearchScore, k: int) -> tuple[int, int, int] | None:
    """How many dropped after a round are as good as the last kept, of how many; the round."""
    assert score.folds is not None  # noqa: S101 - asked before
    here = np.flatnonzero((rounds.level == k) & np.isfinite(score.validation))
    later = set(rounds.candidate[rounds.level > k])
    went = np.array([one in later for one in rounds.candidate[here]], dtype=bool)
    if not went.any() or went.all():
        return None
    sign = 1.0 if score.larger_is_better else -1.0
    kept, dropped = here[went], here[~went]
    last = kept[np.argmin(sign * score.validation[kept])]
    gaps = sign * (score.folds[last] - score.folds[dropped])
    ratio = 1 / (score.folds.shape[1] - 1)
    close = sum(bool(corrected_interval(gap, ratio).low <= 0) for gap in gaps)
    return close, len(dropped), k
