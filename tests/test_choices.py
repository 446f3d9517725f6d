"""What is chosen on the pages about explanations, in the link and in the workspace."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from components.checking import Wrong
from components.choices import Choices

OTHER = {
    "method": "permutation",
    "metric": "accuracy",
    "layout": "columns",
    "repeats": 12,
    "shuffled": 0,
    "together": "own",
    "groups": '{"size ü":["a, b","c"]}',
    "counted": "split",
    "compared": "forest.skops",
    "feature": "duration <b>",
    "second": "age",
    "row": 17,
    "pick": "table",
    "space": "log-odds",
    "game": "interventional",
    "background": 500,
    "sampler": "kernel",
    "draws": 800,
    "seed": 7,
    "rows": "all",
    "closer": "cohort",
    "effect": "ale",
    "cohort": "region",
    "group": "north",
    "around": "all",
    "beside": "saw",
    "nearest": "explanation",
    "pairs": "exact",
    "sought": "A-1183 ü",
}


def test_every_choice_goes_through_the_workspace_and_through_the_link() -> None:
    assert set(OTHER) == {one.name for one in fields(Choices)}
    chosen = Choices(**OTHER)
    assert Choices.from_json(chosen.to_json()) == chosen
    assert Choices().with_link(chosen.link()) == chosen


def test_a_link_leaves_defaults_out() -> None:
    assert Choices().link() == {}
    assert replace(Choices(), row=0).link() == {"row": "0"}


def test_an_older_workspace_has_the_defaults() -> None:
    assert Choices.from_json({}) == Choices()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("method", "rm -rf"),
        ("row", -1),
        ("row", True),
        ("row", "7"),
        ("background", 0),
        ("background", 5_001),  # what the control takes: a link cannot ask for more
        ("rows", 5),
        ("repeats", 0),
        ("repeats", 51),
        ("shuffled", -1),
        ("together", "all"),
        ("groups", "[1]"),
        ("groups", "{"),
        ("groups", '{"a":[]}'),
        ("groups", '{"a":["x"],"b":3}'),
        ("groups", "[" * 60_000),
        ("feature", 3),
        ("feature", "x" * 30_000),
        ("space", None),
    ],
)
def test_unsound_values_stop_a_workspace_and_are_left_out_of_a_link(
    name: str, value: object
) -> None:
    with pytest.raises(Wrong):
        Choices.from_json({name: value})
    if isinstance(value, str) and name != "row":
        assert Choices().with_link({name: value}) == Choices()


@pytest.mark.parametrize("text", ["", "x", "-3", "1e9", "²"])
def test_a_row_that_is_no_number_is_left_out_of_a_link(text: str) -> None:
    assert Choices().with_link({"row": text}) == Choices()


def test_what_is_no_mapping_is_no_choice() -> None:
    with pytest.raises(Wrong):
        Choices.from_json(["row"])
