"""What charts have said of the models so far: for the answer above them, and on Home."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dashboard.contracts import Finding

if TYPE_CHECKING:
    from components.state import AppState

__all__ = ["Told", "heard", "heard_of_rows", "tell"]

_OF_ROWS = ("split_ignores_time", "random_split_of_time")
_OF_MODELS = ("size_curve", "folds", "network")  # what logs say is read from the logs


@dataclass
class Told:
    """Chart → its findings when it was last drawn; `of`: the digest of the data they are about.

    `plans`: digests of data and model → how that was last explained, while it is planned anew.
    """

    by_chart: dict[str, tuple[Finding, ...]] = field(default_factory=dict)
    of: str = ""
    plans: dict[tuple[str, str], Any] = field(default_factory=dict)


def tell(state: AppState, chart: str, findings: Sequence[Finding]) -> None:
    """Keep what a chart says."""
    _known(state)[chart] = tuple(findings)


def heard(state: AppState) -> list[Finding]:
    """What fits, folds and layers have said of the shown models on this data."""
    names = {one.name for one in state.shown}
    return [
        one
        for found in _known(state).values()
        for one in found
        if one.chart in _OF_MODELS and one.subject.partition(": ")[0] in names
    ]


def heard_of_rows(state: AppState) -> list[Finding]:
    """What is wrong with how these rows are divided, each once."""
    found = {
        one.code: one for some in _known(state).values() for one in some if one.code in _OF_ROWS
    }
    return list(found.values())


def _known(state: AppState) -> dict[str, tuple[Finding, ...]]:
    of = "" if state.evalset is None else state.evalset.digest
    if state.told.of != of:
        state.told = Told(of=of)
    return state.told.by_chart
