"""Labels: one Python value each, an order that never fails, and how two sets of them match."""

from __future__ import annotations

import datetime
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.contracts.vocabulary import (
    Label,
    canonical_label,
    encode_labels,
    in_style_of,
    listing,
    match_labels,
    plural,
    sorted_labels,
)
from dashboard.errors import DataError


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 2


@pytest.mark.parametrize(("value", "label"), [
    ("a", "a"),
    (np.str_("a"), "a"),
    (b"a", "a"),
    (1, 1),
    (np.uint8(200), 200),
    (1.0, 1),
    (-0.0, 0),
    (np.float32(2), 2),
    (Decimal("2.0"), 2),
    (1.5, 1.5),
    (np.float64(1.5), 1.5),
    (1e300, 1e300),
    (np.inf, np.inf),
    (True, True),
    (np.bool_(False), False),
    (Level.HIGH, 2),
    (Colour.RED, "Colour.RED"),
    (np.array(3), 3),
    (np.array(["x"]), "x"),
    (datetime.date(2020, 1, 2), "2020-01-02"),
    (pd.Timestamp("2020-01-02"), "2020-01-02T00:00:00"),
    (np.datetime64("2020-01-02"), "2020-01-02"),
    (pd.Interval(0, 1), "(0, 1]"),
    (None, None),
    (np.nan, None),
    (np.float32("nan"), None),
    (pd.NA, None),
    (pd.NaT, None),
    (np.datetime64("NaT", "ns"), None),
    (Decimal("NaN"), None),
])  # fmt: skip
def test_canonical_label(value: Any, label: Label | None) -> None:
    got = canonical_label(value)
    assert got == label
    assert type(got) is type(label)


def test_canonical_label_of_an_arrow_scalar() -> None:
    assert canonical_label(pa.scalar(3)) == 3
    assert canonical_label(pa.scalar(None)) is None


@given(st.lists(st.one_of(st.text(), st.integers(), st.floats(allow_nan=False), st.booleans())))
def test_sorting_mixed_labels_never_fails(labels: list[Label]) -> None:
    ordered = sorted_labels(labels)
    assert len(ordered) == len(labels)
    texts = [isinstance(label, str) for label in ordered]
    assert texts == sorted(texts)


def test_encode_labels() -> None:
    codes, labels = encode_labels(["b", 1, None, 1.0, np.nan, "b", "1"])
    assert labels == ("b", 1, "1")
    assert codes.tolist() == [0, 1, -1, 1, -1, 0, 2]
    with pytest.raises(DataError, match="single values"):
        encode_labels([["a"], ["b"]])


@pytest.mark.parametrize(("given_", "labels", "complete", "positions", "unknown"), [
    (["a", "b"], ["a", "b"], False, {"a": 0, "b": 1}, ()),
    (["a", "x"], ["a", "b"], False, {"a": 0}, ("x",)),
    ([" 1 ", "2.0"], [1, 2], False, {" 1 ": 0, "2.0": 1}, ()),
    (["1e0"], [1, 2], False, {"1e0": 0}, ()),
    (["1_0"], [1, 10], False, {}, ("1_0",)),
    (["nan", "inf"], [1, 2], False, {}, ("nan", "inf")),
    ([1, "1"], ["1", "2"], False, {1: 0, "1": 0}, ()),
    # "01" and 1 are two labels here, so that only equality tells them apart
    ([1, "1"], ["01", 1], False, {1: 1}, ("1",)),
    ([0, 1], ["a", "b"], True, {0: 0, 1: 1}, ()),
    ([1], ["a", "b"], False, {1: 1}, ()),
    ([1], ["a", "b"], True, {}, (1,)),
    ([0], [1, 2], True, {}, (0,)),
    ([0, 1, 2], [1, 2, 3], True, {0: 0, 1: 1, 2: 2}, ()),
    ([0, 1], [1, 2, 3], False, {1: 0}, (0,)),
    ([0, 2], ["a", "b"], False, {}, (0, 2)),
    ([-1, 1], ["a", "b"], False, {}, (-1, 1)),
    ([0.5], ["a", "b"], False, {}, (0.5,)),
])  # fmt: skip
def test_match_labels(
    given_: list[Label],
    labels: list[Label],
    complete: bool,
    positions: dict[Label, int],
    unknown: tuple[Label, ...],
) -> None:
    match = match_labels(given_, labels, complete=complete)
    assert match.positions == positions
    assert match.unknown == unknown


@pytest.mark.parametrize(("label", "labels", "styled"), [
    (4, [1, 2], 4),
    ("4", [1, 2], 4),
    ("x", [1, 2], None),
    ("x", ["a", "b"], "x"),
    (4, ["a", "b"], None),
    (4, ["1", "2"], "4"),
    ("x", [1, "a"], "x"),
    (4, [1, "a"], 4),
])  # fmt: skip
def test_in_style_of(label: Label, labels: list[Label], styled: Label | None) -> None:
    got = in_style_of(label, labels)
    assert got == styled
    assert type(got) is type(styled)


def test_wording() -> None:
    assert listing([]) == ""
    assert listing(range(8)) == "0, 1, 2, 3, 4, 5, 6, 7"
    assert listing(range(2000), most=2) == "0, 1 and 1,998 more"
    assert (plural(1, "row"), plural(1200, "row")) == ("1 row", "1,200 rows")
    assert plural(2, "class", "classes") == "2 classes"
