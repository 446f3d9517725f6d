"""What to see in charts of importances, in one to three sentences computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..diagnostics.importance_comparison import importance_labels
from ..wording import count, interval, listing, number, percent, plural, shorten, shorten_all

if TYPE_CHECKING:
    from ..diagnostics.importance import Importance
    from ..diagnostics.importance_comparison import ImportanceComparison, ImportanceGap

__all__ = [
    "caption_agreement",
    "caption_gap",
    "caption_importances",
    "caption_ranks",
    "place_words",
]

_NAME = 40  # letters of one feature inside a sentence
_MODEL = 44  # of one model


def place_words(rank: float, low: float, high: float, n: int) -> str:
    """`rank 3 of 12`, or `rank 3 of 12, between 2 and 4`; "" without a value."""
    if np.isnan(rank):
        return ""
    text = f"rank {count(rank)} of {count(n)}"
    return text if low == high else f"{text}, between {count(low)} and {count(high)}"


def caption_importances(importances: Sequence[Importance], shown: int, total: int) -> str:
    """Each model's first feature, whether that is clear, and what is folded away."""
    names = shorten_all(list(importance_labels(importances)), _MODEL)
    firsts = {_leader(one) for one in importances}
    if len(importances) > 1 and len(firsts) == 1 and None not in firsts:
        every = "Both" if len(importances) == 2 else f"All {count(len(importances))}"
        text = f"{every} put {shorten(str(firsts.pop()), _NAME)} first."
    else:
        said = [
            _first(one, name, len(importances) > 1)
            for one, name in zip(importances, names, strict=True)
        ]
        text = " ".join(part for part in said[:4] if part)
    if shown < total:
        text += f" Shown are {count(shown)} of {plural(total, 'feature')}."
    return text.strip() or "No importance could be measured."


def _leader(one: Importance) -> str | None:
    """The first feature, where no other could be first as well."""
    if np.isnan(one.values).all() or not np.nanmax(np.abs(one.values)):
        return None
    at = int(one.order()[0])
    return None if _tied(one, at) else one.features[at]


def _first(one: Importance, name: str, several: bool) -> str:
    known = int((~np.isnan(one.values)).sum())
    if not known or np.nanmax(np.abs(one.values)) == 0:
        return f"{name} relies on none of its features measurably."
    at = int(one.order()[0])
    value = interval(float(one.values[at]), float(one.low[at]), float(one.high[at]))
    lead = f"{name} relies most on" if several else "The model relies most on"
    text = f"{lead} {shorten(one.features[at], _NAME)} ({value})"
    tied = _tied(one, at)
    if tied:
        return f"{text}; too close to call against {listing(tied)}."
    return f"{text}."


def _tied(one: Importance, at: int) -> list[str]:
    """The features that could as well be first."""
    best, _ = one.rank_bounds
    others = [k for k in np.flatnonzero(best == 1) if k != at]
    return [shorten(one.features[k], _NAME) for k in others]


def caption_agreement(compared: ImportanceComparison) -> str:
    """The most and the least alike pair."""
    known = [pair for pair in compared.pairs if not np.isnan(pair.spearman)]
    if not known:
        return "Too few shared features to compare their order."
    best = max(known, key=lambda pair: pair.spearman)
    text = (
        f"{best.first} and {best.second} order {plural(best.n_shared, 'shared feature')} "
        f"{_alike(best.spearman)} (rank correlation {number(best.spearman)}; "
        f"{count(round(best.overlap * best.top))} of the first {count(best.top)} are the same)"
    )
    worst = min(known, key=lambda pair: pair.spearman)
    if worst is not best:
        text += f"; least alike are {worst.first} and {worst.second} ({number(worst.spearman)})"
    return f"{text}."


def _alike(correlation: float) -> str:
    if correlation >= 0.9:
        return "almost the same"
    if correlation >= 0.6:
        return "much alike"
    return "somewhat alike" if correlation >= 0.3 else "differently"


def caption_ranks(importances: Sequence[Importance], features: Sequence[str]) -> str:
    """Which feature changes its place most from one end to the other."""
    moves = []
    for feature in features:
        places = [
            float(one.ranks[one.features.index(feature)])
            for one in importances
            if feature in one.features
        ]
        places = [place for place in places if not np.isnan(place)]
        if len(places) > 1:
            moves.append((max(places) - min(places), feature, min(places), max(places)))
    if not moves or max(moves)[0] == 0:
        return "Every feature keeps its place."
    _, feature, best, worst = max(moves)
    return (
        f"{shorten(feature, _NAME)} changes its place most, from {count(best)} to {count(worst)}."
    )


def caption_gap(gaps: Sequence[ImportanceGap]) -> str:
    """What helps on training rows and not on others, for each model."""
    names = shorten_all([gap.model for gap in gaps], _MODEL)
    found = [(gap, name) for gap, name in zip(gaps, names, strict=True) if gap.memorised]
    if not found:
        return "No feature helps clearly more on the training rows than on the evaluation rows."
    found.sort(key=lambda one: -np.nan_to_num(one[0].lost))
    said = [_lost(gap, name if len(gaps) > 1 else "") for gap, name in found]
    clean = [name for gap, name in zip(gaps, names, strict=True) if not gap.memorised]
    if clean:
        said.append(f"{listing(clean, 4)}: no feature helps clearly more on the training rows.")
    return " ".join(said)


def _lost(gap: ImportanceGap, model: str) -> str:
    names = listing([shorten(name, _NAME) for name in gap.memorised])
    verb = "helps" if len(gap.memorised) == 1 else "help"
    lead = f"{model}: " if model else ""
    return (
        f"{lead}{names} {verb} clearly more on the training rows than on others; "
        f"{percent(gap.lost)} of all importance in training does not carry over."
    )
