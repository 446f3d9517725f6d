"""What to see in each chart of attributions, computed from its numbers; plain text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..diagnostics.attributions import the_unit
from ..wording import count, listing, number, percent, plural, quoted, shorten, threshold

if TYPE_CHECKING:
    from ..diagnostics.beeswarm import Beeswarm
    from ..diagnostics.clusters import ExplanationClusters
    from ..diagnostics.cohorts import ClassAttributions, CohortComparison
    from ..diagnostics.dependence import Dependence
    from ..diagnostics.interactions import InteractionMatrix
    from ..diagnostics.waterfalls import DecisionPaths, Waterfall

__all__ = [
    "caption_beeswarm",
    "caption_by_class",
    "caption_clusters",
    "caption_cohorts",
    "caption_decision_paths",
    "caption_dependence",
    "caption_interactions",
    "caption_waterfalls",
    "rows_note",
]


def rows_note(results: Sequence[Any]) -> str:
    """`200 of 10,000 rows`, `569 rows`, `200 to 2,000 of 10,000 rows`: those explained."""
    if not results:
        return "No rows"
    sizes = sorted({one.n for one in results})
    given = max(one.n_given for one in results)
    some = " to ".join(count(n) for n in dict.fromkeys((sizes[0], sizes[-1])))
    return plural(given, "row") if sizes == [given] else f"{some} of {plural(given, 'row')}"


def caption_beeswarm(swarms: Sequence[Beeswarm]) -> str:
    """The strongest feature of each model, and whether high values raise or lower."""
    parts = []
    for one in swarms:
        if not np.isfinite(one.strength).any():
            continue
        best = int(np.nanargmax(one.strength))
        name = one.features[best]
        text = (
            f"{one.model} is moved most by {shorten(name, 40)}, by "
            f"{number(float(one.strength[best]))} on average"
        )
        parts.append(text + _trend_words(one, best))
    thin = [
        one for one in swarms if one.points is not None and len(one.points.value) < one.n_points
    ]
    note = ""
    if thin:
        drawn = sum(len(one.points.value) for one in thin if one.points is not None)
        total = sum(one.n_points for one in thin)
        note = f" Drawn: {count(drawn)} of {count(total)} points, thinned only where they crowd."
    return f"{'; '.join(parts) or 'No feature moves the answers'}.{note}"


def _trend_words(one: Beeswarm, feature: int) -> str:
    """Rank correlation of the feature's own value with what it adds, where it is clear."""
    from ..diagnostics.attributions import by_names, column_of, output_position

    column = column_of(one.attributions, one.features[feature])
    if column.kind == "category":
        return ""
    place = int(by_names(one.attributions, [one.features[feature]])[0])
    values = one.attributions.values[:, place, output_position(one.attributions, one.output)]
    known = ~np.isnan(column.numbers)
    if known.sum() < 10 or np.ptp(column.numbers[known]) == 0 or np.ptp(values[known]) == 0:
        return ""
    from scipy.stats import spearmanr

    rho = float(spearmanr(column.numbers[known], values[known]).statistic)
    if abs(rho) < 0.5:
        return "; neither high nor low values only raise or lower it"
    return f": high values {'raise' if rho > 0 else 'lower'} its answer"


def caption_dependence(results: Sequence[Dependence]) -> str:
    """How far the feature moves each model over its range, and what its partner explains."""
    parts = []
    for one in results:
        if not len(one.trend):
            continue
        at, middle = one.trend["x"].to_numpy(), one.trend["median"].to_numpy()
        low, high = int(middle.argmin()), int(middle.argmax())
        span = float(middle[high] - middle[low])
        unit = the_unit(one.space, one.output)
        parts.append(
            f"{one.model}: {unit} is typically {number(span)} higher near "
            f"{_where(one, float(at[high]))} than near {_where(one, float(at[low]))}"
            if span > 0
            else f"{one.model}: {shorten(one.feature, 40)} moves nothing"
        )
    return f"{'; '.join(parts) or 'No values to show'}.{_partner_words(results)}"


def _where(one: Dependence, place: float) -> str:
    if one.column.kind == "category":
        return quoted(dict(one.ticks).get(place, "missing"))
    if one.column.kind == "number" and not place.is_integer() and abs(place) < 1_000:
        return threshold(place)  # three digits, as beside it; `text_of` has four for single rows
    return one.column.text_of(place)


def _partner_words(results: Sequence[Dependence]) -> str:
    known = [one for one in results if one.partner is not None]
    if not known or known[0].partner is None:
        return ""
    name = shorten(known[0].partner.name, 40)
    said = listing([f"{percent(one.explained)} ({one.model})" for one in known], 4)
    if max(one.explained for one in known) < 0.05:
        return f" {name} explains hardly any of the spread at equal values: {said}."
    return f" {name} explains {said} of the spread at equal values."


def caption_waterfalls(waterfalls: Sequence[Waterfall]) -> str:
    """From what to what each model goes, the feature that moves most, and that it adds up."""
    parts = []
    for one in waterfalls:
        text = f"{one.model} goes from {number(one.base)} to {number(one.prediction)}"
        if one.used.any() and np.nanmax(np.abs(one.values)) > 0:
            k = int(np.nanargmax(np.abs(one.values)))
            step = f"{'+' if one.values[k] > 0 else '−'}{number(abs(float(one.values[k])))}"
            text += f", most of all by {shorten(one.features[k], 40)} ({step})"
        parts.append(text)
    gap = max((abs(one.gap) for one in waterfalls), default=0.0)
    size = max((abs(one.prediction) + abs(one.base) for one in waterfalls), default=1.0)
    exact = gap <= 1e-6 * max(size, 1.0)
    ends = (
        "the steps add up to the model's own answer"
        if exact
        else (f"the steps miss the model's own answer by at most {number(gap)}")
    )
    return f"{'; '.join(parts) or 'No model is explained'}; {ends}."


def caption_decision_paths(results: Sequence[DecisionPaths]) -> str:
    """At which feature the paths part most."""
    parts = []
    for one in results:
        steps = np.abs(np.diff(one.paths[:, 1:], axis=1))
        if not steps.size or steps.max() <= 0:
            continue
        best = int(steps.mean(axis=0).argmax())
        parts.append(
            f"the paths of {one.model} turn most at {shorten(one.features[best], 40)}, "
            f"by {number(float(steps[:, best].mean()))} on average"
        )
    text = "; ".join(parts) or "No feature moves these rows"
    return f"{text[:1].upper()}{text[1:]}."


def caption_clusters(results: Sequence[ExplanationClusters]) -> str:
    """The groups: size, answer and what sets them apart; of several models only the largest."""
    parts = []
    for one in results:
        if len(one.groups) < 2:
            parts.append(f"{one.model} explains all these rows alike")
            continue
        shown = list(enumerate(one.groups, 1))
        if len(results) > 1:
            shown = [max(shown, key=lambda pair: pair[1].n)]
        words = "; ".join(f"{k}: {_group_words(group)}" for k, group in shown)
        most = "; the largest is group" if len(results) > 1 else ":"
        parts.append(f"{one.model} has {plural(len(one.groups), 'group')}{most} {words}")
    return f"{'. '.join(parts)}."


def _group_words(group: Any) -> str:
    reasons = [
        f"{shorten(name, 30)} {'raises' if value > 0 else 'lowers'} it by {number(abs(value))}"
        for name, value in group.reasons
    ]
    why = f", {listing(reasons)}" if reasons else ""
    return f"{plural(group.n, 'row')}, mean answer {number(group.prediction)}{why}"


def caption_by_class(results: Sequence[ClassAttributions]) -> str:
    """The feature that is most particular to one class."""
    parts = []
    for one in results:
        total = np.nansum(one.values, axis=1, keepdims=True)
        share = np.divide(one.values, total, out=np.zeros_like(one.values), where=total > 0)
        strong = np.nan_to_num(one.values) >= 0.3 * (one.limit or 1.0)
        known = np.where(strong & np.isfinite(share), share, 0.0)
        if not known.size or known.max() <= 0:
            continue
        i, j = np.unravel_index(int(known.argmax()), known.shape)
        parts.append(
            f"for {one.model}, {shorten(one.features[int(i)], 40)} is mostly about "
            f"{quoted(one.outputs[int(j)])}: {percent(float(share[i, j]))} of all that it moves"
        )
    text = "; ".join(parts) or "no feature moves any class"
    return f"{text[:1].upper()}{text[1:]}."


def caption_cohorts(results: Sequence[CohortComparison]) -> str:
    """How the cohort's answers differ, and which feature accounts for most of it."""
    return " ".join(_cohort_words(one) for one in results)


def _cohort_words(one: CohortComparison) -> str:
    ours, theirs = one.answer
    word = "higher" if ours >= theirs else "lower"
    text = (
        f"{one.model} answers {number(abs(ours - theirs))} {word} on average for {one.name} "
        f"({number(ours)}) than for the rest ({number(theirs)})"
    )
    known = np.flatnonzero(np.isfinite(one.difference) & one.clear)
    if not len(known):
        return f"{text}; no single feature clearly accounts for it."
    best = int(known[np.argmax(np.abs(one.difference[known]))])
    step = float(one.difference[best])
    return (
        f"{text}; the largest part comes through {shorten(one.features[best], 40)}, which is "
        f"{number(abs(step))} {'higher' if step > 0 else 'lower'} there."
    )


def caption_interactions(matrices: Sequence[InteractionMatrix]) -> str:
    """The strongest pair of each model, and what exact ones are measured against."""
    parts = []
    for one in matrices:
        best = one.strongest()
        if best is None:
            parts.append(f"in {one.model} every feature works alone")
            continue
        first, second = shorten(best[0], 40), shorten(best[1], 40)
        parts.append(
            f"in {one.model} {first} and {second} work together most ({number(best[2])} on average)"
            if one.exact
            else f"in {one.model} what {first} does differs most with {second}, which explains "
            f"{percent(best[2])} of the difference"
        )
    text = "; ".join(parts) or "no pairs to show"
    hint = "" if all(one.exact for one in matrices) else " This says where to look."
    if any(one.exact for one in matrices):
        hint += " Measured against the trees' own counts of their training rows."
    return f"{text[:1].upper()}{text[1:]}.{hint}"
