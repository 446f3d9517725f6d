"""What a search over parameters shows beyond its winner: edges, ties, unfinished trials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..contracts import Finding, SearchParameter, SearchResults, SearchScore
from ..wording import count, interval, listing, number, plural, quoted, threshold
from .folds import corrected_interval
from .parameter_edges import Edge, edge_of
from .search_rounds import find_in_rounds

__all__ = ["edge_finding", "find_in_search"]

Floats = npt.NDArray[np.float64]
FEW_TRIALS = 10  # fewer say little about where the best lies
SHARE_LOST = 0.2  # of all trials without a comparable score, from which it is a warning


def find_in_search(results: SearchResults, metric: str | None = None) -> list[Finding]:
    """What to know before taking the winner, every trial counted.

    Codes: "best_at_edge" (the best value is the first or last tried), "tied" (others are as good
    within the spread of the folds), "trials_failed", "direction_unknown", "few_trials",
    "overfitting_trials" (the winner's training score is far better than its validation score),
    and those of `find_in_rounds`.

    Raises
    ------
    NotApplicable : no trial has a score.
    ParameterError : no such metric.
    """
    score = results.score(metric)
    found = _unfinished(results, score)
    best = results.best(score.metric)
    if score.larger_is_better is None:
        found.append(
            Finding(
                "direction_unknown",
                "info",
                results.name,
                f"Nothing in {results.name} says whether a larger {score.metric} is better, so no "
                "trial is called the best.",
                remedies=("Say whether larger is better.",),
                chart="search",
            )
        )
    if best is None:
        return found
    found += [
        one
        for parameter in results.varied
        if (one := _at_edge(results, score, parameter, best)) is not None
    ]
    found += _ties(results, score, best)
    return [*found, *find_in_rounds(results, score)]


# --- the edge ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Inside:
    """How much worse the best value inside is than the best of all, with its interval."""

    text: str
    loss: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Worse by more than the spread of the folds; also where no spread is known."""
        return not (self.low <= 0 <= self.high)


def _at_edge(
    results: SearchResults, score: SearchScore, parameter: SearchParameter, best: int
) -> Finding | None:
    if not parameter.is_number or not np.isfinite(parameter.numbers[best]):
        return None
    fit = results.comparable(score.metric)
    tried = np.where(fit, parameter.numbers, np.nan)
    edge = edge_of(
        parameter.name,
        tried,
        float(parameter.numbers[best]),
        log=parameter.scale == "log",
        declared=parameter.declared,
    )
    if edge is None or not edge.possible:
        return None
    with np.errstate(invalid="ignore"):
        inside = fit & ~edge.outer & np.isfinite(tried)
    if not inside.any():
        return None
    signed = score.validation * (1 if score.larger_is_better else -1)
    second = int(np.argmax(np.where(inside, signed, -np.inf)))
    beside = _loss(score, best, second, parameter.brief(second))
    if beside.loss <= 0:
        return None  # as good inside: the edge is a matter of order
    n_edge = int((edge.outer & fit).sum())
    return edge_finding(
        subject=f"{results.name}: {parameter.name}",
        parameter=parameter.name,
        value=parameter.brief(best),
        edge=edge,
        tried=f"{plural(int(np.isfinite(tried).sum()), 'trial')}, {count(n_edge)} at this end",
        score=f"{score.metric} {number(float(score.validation[best]))}",
        inside=beside,
        metric=score.metric,
        chart="search",
        at=float(parameter.numbers[best]),
        evidence={
            "best": float(score.validation[best]),
            "best_inside": float(score.validation[second]),
            "trials": len(results),
            "complete": int(fit.sum()),
            "at_edge": n_edge,
        },
        firm=_is_firm(results, score),
    )


def _is_firm(results: SearchResults, score: SearchScore) -> bool:
    """One parameter alone, or trials enough to tell several apart."""
    fit = int(results.comparable(score.metric).sum())
    return len(results.varied) <= 1 or fit >= FEW_TRIALS


def _loss(score: SearchScore, best: int, second: int, where: str) -> Inside:
    sign = 1 if score.larger_is_better else -1
    loss = sign * float(score.validation[best] - score.validation[second])
    if score.folds is not None and score.folds.shape[1] > 1:
        k = score.folds.shape[1]
        found = corrected_interval(sign * (score.folds[best] - score.folds[second]), 1 / (k - 1))
        if np.isfinite(found.low):
            return Inside(where, loss, found.low, found.high)
    if score.spread is not None and np.isfinite(score.spread[[best, second]]).all():
        spread = float(score.spread[[best, second]].max())
        return Inside(where, loss, loss - spread, loss + spread)
    return Inside(where, loss, loss, loss)


def edge_finding(
    *,
    subject: str,
    parameter: str,
    value: str,
    edge: Edge,
    tried: str,
    score: str,
    inside: Inside,
    metric: str,
    chart: str,
    at: float,
    evidence: dict[str, float | int | str],
    firm: bool = True,
) -> Finding:
    """ "best_at_edge": a warning; a hint where the values inside are as good within the spread.

    `firm`: there are trials enough to say that it is this parameter that matters.
    """
    beyond = "larger" if edge.side == "highest" else "smaller"
    lost = (
        interval(inside.loss, inside.low, inside.high)
        if inside.low < inside.high
        else number(inside.loss)
    )
    sentence = (
        f"The best {quoted(parameter)} ({value}, {score}) is at the {edge.side} end of the values "
        f"tried ({threshold(edge.end)}; {tried}). "
    )
    if inside.clear:
        sentence += f"The best value inside ({inside.text}) is worse by {lost} {metric}."
    else:
        sentence += (
            f"The best value inside ({inside.text}) is worse by only {lost} {metric}, which the "
            "spread of the folds does not tell from 0: undecided."
        )
    return Finding(
        code="best_at_edge",
        severity="warning" if inside.clear and firm else "info",
        subject=subject,
        sentence=sentence,
        evidence={"edge": edge.end, "loss_inside": inside.loss, **evidence},
        remedies=(f"Try {beyond} values of {parameter} as well.",),
        chart=chart,
        at=at,
    )


# --- ties and unfinished trials ----------------------------------------------------------------


def _ties(results: SearchResults, score: SearchScore, best: int) -> list[Finding]:
    """Trials that the folds do not tell from the winner."""
    fit = results.comparable(score.metric)
    others = np.flatnonzero(fit & (np.arange(len(results)) != best))
    if not len(others) or score.folds is None or score.folds.shape[1] < 2:
        return []
    sign = 1 if score.larger_is_better else -1
    ratio = 1 / (score.folds.shape[1] - 1)
    gaps = sign * (score.folds[best] - score.folds[others])
    close = [
        at for at, gap in zip(others, gaps, strict=True) if corrected_interval(gap, ratio).low <= 0
    ]
    if not close:
        return []
    cheaper = ""
    if results.fit_seconds is not None:
        fastest = min(close, key=lambda at: results.fit_seconds[at])  # type: ignore[index]
        if results.fit_seconds[fastest] < 0.5 * results.fit_seconds[best]:
            cheaper = (
                f" Trial {results.trials[fastest]} is among them and fits in "
                f"{number(float(results.fit_seconds[fastest]))} s instead of "
                f"{number(float(results.fit_seconds[best]))} s."
            )
    return [
        Finding(
            "tied",
            "info",
            results.name,
            f"{count(len(close))} of {plural(len(others), 'other complete trial')} are as good as "
            f"the best ({score.metric} {number(float(score.validation[best]))}) within the spread "
            f"of the {score.folds.shape[1]} folds.{cheaper}",
            evidence={"as_good": len(close), "complete": int(fit.sum())},
            remedies=("Take the simplest or fastest of them.", "Use more folds or repeats."),
            chart="search",
        )
    ]


def _unfinished(results: SearchResults, score: SearchScore) -> list[Finding]:
    n, fit = len(results), int(results.comparable(score.metric).sum())
    counts = results.counts
    failed = counts.get("failed", 0)
    found = []
    if failed:
        where = _where_failed(results)
        found.append(
            Finding(
                "trials_failed",
                "warning" if failed >= SHARE_LOST * n else "info",
                results.name,
                f"{count(failed)} of {plural(n, 'trial')} failed and have no score{where}.",
                evidence={"failed": failed, "trials": n},
                remedies=("Look at why they failed; their values may be ruled out or mended.",),
                chart="search",
            )
        )
    in_rounds = "partial" in results.status and results.resource is not None
    if fit and not in_rounds and not _is_firm(results, score):
        found.append(
            Finding(
                "few_trials",
                "info",
                results.name,
                f"{plural(fit, 'complete trial')} of {plural(len(results.varied), 'parameter')}: "
                "where the best lies is a guess.",
                evidence={"complete": fit, "parameters": len(results.varied)},
                remedies=("Try more, at random rather than on a grid.",),
                chart="search",
            )
        )
    return found


def _where_failed(results: SearchResults) -> str:
    """Values that all failed trials share and no other has."""
    failed = np.array([status == "failed" for status in results.status])
    told = []
    for parameter in results.varied:
        texts = np.array([parameter.text(k) for k in range(len(results))])
        bad = set(texts[failed])
        if len(bad) == 1 and failed.sum() > 1 and not bad & set(texts[~failed]):
            told.append(f"{parameter.name} = {bad.pop()}")
    return f", all with {listing(told)}" if told else ""
