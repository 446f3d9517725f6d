"""What the charts of a search say beneath them, computed from its trials."""

from __future__ import annotations

import numpy as np

from ..contracts import SearchResults, SearchScore
from ..wording import count, listing, number, plural, shorten

__all__ = ["best_words", "caption_best", "caption_lines", "incomplete_words", "statuses_words"]

_WORDS = {
    "complete": "complete",
    "partial": "partial (fewer rows or epochs, or stopped early)",
    "failed": "failed",
    "running": "still running",
    "waiting": "waiting",
}


def statuses_words(results: SearchResults) -> str:
    """`17 trials: 13 complete, 2 partial (…), 1 failed and 1 waiting.`"""
    parts = [f"{count(n)} {_WORDS[status]}" for status, n in results.counts.items()]
    return f"{plural(len(results), 'trial')}: {listing(parts, 5)}."


def incomplete_words(results: SearchResults, metric: str) -> str:
    """How many trials have no comparable score, as a sentence; "" where all have one."""
    left = len(results) - int(results.comparable(metric).sum())
    verb = "has" if left == 1 else "have"
    if not left:
        return ""
    are = "is" if left == 1 else "are"
    return f" {plural(left, 'trial')} {verb} no comparable score and {are} dotted or open."


def best_words(results: SearchResults, score: SearchScore) -> str:
    """`trial 7, accuracy .942 (classifier = svc, svc_c = 4.02213)`; "" where none is the best."""
    best = results.best(score.metric)
    if best is None:
        return ""
    set_ = [
        f"{one.name.rpartition('__')[2]} = {shorten(one.brief(best), 24)}"
        for one in results.varied
        if one.values[best] is not None
    ]
    held = f" ({listing(set_, 4)})" if set_ else ""
    value = number(float(score.validation[best]))
    return f"trial {results.trials[best]}, {score.metric} {value}{held}"


def caption_lines(results: SearchResults, score: SearchScore) -> str:
    """The best trial, how many come near, how many have no end."""
    best = results.best(score.metric)
    if best is None:
        return f"No trial is called the best: it is not known which {score.metric} is better." + (
            incomplete_words(results, score.metric)
        )
    fit = results.comparable(score.metric)
    known = score.validation[fit]
    gap = np.abs(known - score.validation[best])
    span = float(gap.max())
    near = int((gap <= 0.1 * span).sum()) - 1 if span > 0 else len(known) - 1
    text = f"The best is {best_words(results, score)}."
    if len(known) > 1:
        who = plural(near, "other trial") if near else "No other trial"
        text += (
            f" {who} of {count(len(known) - 1)} {'come' if near > 1 else 'comes'} within a tenth "
            "of the range of scores."
        )
    return text + incomplete_words(results, score.metric)


def caption_best(results: SearchResults, score: SearchScore) -> str:
    best = best_words(results, score)
    if not best:
        return (
            f"No trial is called the best: it is not known which {score.metric} is better."
            + incomplete_words(results, score.metric)
        )
    return f"The best is {best}.{incomplete_words(results, score.metric)}"
