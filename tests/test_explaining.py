"""Which unit several models are asked for, and when that is settled."""

from __future__ import annotations

import pytest

from components.explaining import Units, common_space, shared_units
from components.state import AppState
from dashboard.contracts import OutputSpace

SHARE, ODDS, MARGIN = OutputSpace.PROBABILITY, OutputSpace.LOG_ODDS, OutputSpace.DECISION
LINEAR, FOREST, MACHINE = (ODDS, SHARE), (SHARE, ODDS), (MARGIN,)


@pytest.mark.parametrize(
    ("offered", "wanted"),
    [
        ([None, FOREST], ""),  # the first decides between equals
        ([LINEAR], "log-odds"),
        ([LINEAR, None], "log-odds"),  # the other can make them equal at most
        ([LINEAR, None, None], ""),
        ([LINEAR, LINEAR, None, None], "log-odds"),
        ([LINEAR, FOREST, None], ""),
        ([LINEAR, FOREST, FOREST], "probability"),
        ([FOREST, FOREST, LINEAR, LINEAR], "probability"),
        ([LINEAR, MACHINE], "auto"),
        ([], ""),
    ],
)
def test_the_unit_is_settled_when_nobody_can_change_it(
    offered: list[Units | None], wanted: str
) -> None:
    assert common_space(AppState(), offered) == wanted


def test_a_unit_that_was_chosen_waits_for_nobody() -> None:
    state = AppState()
    state.explore(space="probability")
    assert common_space(state, [None, LINEAR]) == "probability"
    assert common_space(state, [MACHINE, None]) == "decision value"


def test_shared_units_are_those_of_all() -> None:
    assert shared_units([LINEAR, FOREST, FOREST]) == [SHARE, ODDS]
    assert shared_units([LINEAR, MACHINE]) == shared_units([]) == []
