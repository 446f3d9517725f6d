"""Where Performance draws the line between two classes, for pages that speak of right and wrong."""

from __future__ import annotations

from collections.abc import Mapping

from components import cached
from components.markup import plain
from components.state import AppState
from dashboard.contracts import Task
from dashboard.diagnostics.operating import compute_operating
from dashboard.evaluation import Answers
from dashboard.wording import listing, percent, quoted, shorten_all, threshold

__all__ = ["operating_thresholds", "tell_thresholds"]


def operating_thresholds(state: AppState, answers: Answers) -> dict[str, float]:
    """Model → the score from which it calls a row positive; none but for two classes."""
    if answers.evalset.target.task is not Task.BINARY:
        return {}
    return {
        each.name: compute_operating(
            each, cached.threshold_table(each), rule=state.rule, value=state.threshold
        ).threshold
        for each in answers.predictions
        if each.y_score is not None
    }


def tell_thresholds(state: AppState, answers: Answers, found: Mapping[str, float]) -> str:
    """One sentence as Markdown, "" where there are none: from where on a row is called positive."""
    if not found:
        return ""
    target = answers.evalset.target
    positive = quoted(target.labels[1 if target.pos_label is None else target.pos_label])
    if state.rule == "score":
        said = f"A row is called {positive} from a score of {threshold(state.threshold)}"
        return plain(f"{said} on, the threshold of the page Performance.")
    share = percent(state.threshold)
    what = (
        f"calls at most {share} of the rows {positive}"
        if state.rule == "flagged"
        else f"finds at least {share} of the rows that are {positive}"
    )
    names = shorten_all(list(found), 28)
    from_score = [
        f"{name} from {threshold(one)}" for name, one in zip(names, found.values(), strict=True)
    ]
    return plain(f"Each model {what}, as on the page Performance: {listing(from_score, 8)}.")
