"""Plans and blocks as messages: what is sent comes back, and what a stranger forges is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from dashboard.contracts import OutputSpace
from dashboard.explainers.blocks import (
    Block,
    PlanAnswer,
    encode_block,
    encode_plan,
    read_block,
    read_plan,
)
from dashboard.explainers.staging import Collected
from dashboard.explainers.subjects import Offer
from dashboard.frames import Frame, FrameError

PLAN = PlanAnswer(
    features=("age", "city"),
    outputs=("yes",),
    spaces=(OutputSpace.LOG_ODDS, OutputSpace.PROBABILITY),
    space=OutputSpace.PROBABILITY,
    offers=(Offer("exact", "Enumeration", "interventional", True, 0.5, 0.01, "", ("Measured.",)),),
    cell_shape=None,
    n_columns=5,
    notes=("A note.",),
)
VALUES = np.arange(12.0).reshape(3, 2, 2)
BLOCK = Block(
    engine="exact",
    method="Enumeration",
    game="interventional",
    exact=True,
    kept=np.array([0, 2, 3]),
    values=VALUES,
    base=np.array([1.0, 2.0]),
    predictions=np.array([1.0, 2.0]) + VALUES.sum(axis=1),
    errors=None,
    additivity_error=0.0,
    tolerance=1e-9,
    notes=("n",),
    refused={"tree": "no trees"},
)
read = partial(read_block, asked=4, n_features=2, n_outputs=2)


def sent(block: Block, **changes: Any) -> Frame:
    header, arrays = encode_block(block)
    return Frame(json.loads(json.dumps({**header, **changes})), tuple(arrays))


def _part(n: int, sampled: bool) -> Block:
    values = np.ones((n, 2, 2))
    return replace(
        BLOCK,
        kept=np.arange(n),
        values=values,
        predictions=BLOCK.base + values.sum(axis=1),
        errors=np.full_like(values, 0.5) if sampled else None,
    )


def test_rows_that_are_expected_have_room_at_once_and_exact_ones_no_error() -> None:
    collected = Collected(np.arange(1_000), 2, 2, expected=600)
    collected.add(_part(200, False), 200)
    first = collected.fields(OutputSpace.LOG_ODDS)
    held = first["values"].base
    assert held.shape == (600, 2, 2) and first["errors"] is None
    collected.add(_part(400, True), 400)
    both = collected.fields(OutputSpace.LOG_ODDS)
    assert both["values"].base is held  # nothing was copied
    assert both["errors"].shape == (600, 2, 2)
    assert both["errors"][:200].max() == 0 and both["errors"][200:].min() == 0.5
    collected.expected = 1_000
    collected.add(_part(400, False), 400)
    more = collected.fields(OutputSpace.LOG_ODDS)
    assert more["errors"].shape == more["values"].shape == (1_000, 2, 2)
    assert more["errors"][200:600].min() == 0.5 and more["errors"][600:].max() == 0
    assert more["values"].min() == 1 and (first["values"] == 1).all()


def test_a_plan_comes_back() -> None:
    assert read_plan(Frame(json.loads(json.dumps(encode_plan(PLAN))))) == PLAN


@pytest.mark.parametrize(
    "forged",
    [
        {"spaces": ["odds"]},
        {"space": "decision value"},
        {"features": "age"},
        {"outputs": []},
        {"outputs": [["nan"]]},
        {"offers": [{"key": "x"}]},
        {"offers": [{**encode_plan(PLAN)["offers"][0], "seconds_fixed": -1}]},
        {"offers": [{**encode_plan(PLAN)["offers"][0], "game": "roulette"}]},
        {"offers": [{**encode_plan(PLAN)["offers"][0], "exact": "yes"}]},
        {"cell_shape": [2, 2]},
        {"cell_shape": [-1]},
        {"n_columns": None},
    ],
)
def test_a_forged_plan_is_refused(forged: dict[str, Any]) -> None:
    with pytest.raises(FrameError):
        read_plan(Frame({**encode_plan(PLAN), **forged}))


def test_a_block_comes_back() -> None:
    found = read(sent(BLOCK))
    np.testing.assert_array_equal(found.values, BLOCK.values)
    np.testing.assert_array_equal(found.kept, BLOCK.kept)
    assert (found.engine, found.notes, found.refused) == ("exact", ("n",), {"tree": "no trees"})
    sampled = replace(BLOCK, exact=False, errors=np.full_like(VALUES, 0.1))
    np.testing.assert_array_equal(read(sent(sampled)).errors, sampled.errors)


@pytest.mark.parametrize(
    "forged",
    [
        {"kept": np.array([0, 0, 1])},
        {"kept": np.array([0, 1, 4])},
        {"kept": np.array([-1, 0, 1])},
        {"kept": np.array([0.0, 1.0, 2.0])},
        {"values": VALUES[:, :1]},
        {"values": np.full_like(VALUES, np.nan)},
        {"values": VALUES.astype(np.int64)},
        {"base": np.zeros(3)},
        {"predictions": np.full((3, 2), np.inf)},
    ],
)
def test_a_forged_block_is_refused(forged: dict[str, Any]) -> None:
    with pytest.raises(FrameError):
        read(sent(replace(BLOCK, **forged)))


@pytest.mark.parametrize(
    "forged",
    [
        {"sampled": True},
        {"additivity_error": -1},
        {"tolerance": "much"},
        {"refused": ["tree"]},
        {"game": ""},
        {"notes": ["x"] * 51},
    ],
)
def test_a_forged_header_is_refused(forged: dict[str, Any]) -> None:
    with pytest.raises(FrameError):
        read(sent(BLOCK, **forged))


def test_a_gap_is_measured_here_and_what_does_not_add_up_is_refused() -> None:
    with pytest.raises(FrameError, match="add up"):
        read(sent(replace(BLOCK, predictions=BLOCK.predictions + 0.5)))
    loose = replace(BLOCK, predictions=BLOCK.predictions + 0.5, tolerance=0.6)
    assert read(sent(loose)).additivity_error == pytest.approx(0.5)
