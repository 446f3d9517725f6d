"""Rows that a worker keeps between calls are those of the file, and nobody's but the call's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard.errors import ModelError
from dashboard.frames import write_rows
from dashboard.worker import held_tables
from dashboard.worker.held_tables import HeldTables, Rows

FRAMES = {
    "numbers": pd.DataFrame(np.arange(12.0).reshape(4, 3), columns=list("abc")),
    "mixed": pd.DataFrame({"a": [1, 2], "b": [0.5, np.nan], "c": [True, False]}),
    "texts": pd.DataFrame({"a": ["x", "y"], "b": [1, 2]}),
    "objects": pd.DataFrame({"a": pd.Series(["x", 2], dtype=object)}),
    "categories": pd.DataFrame({"a": pd.Categorical(["x", "y"])}),
}


def _written(folder: Path, rows: Rows, name: str = "rows") -> Path:
    write_rows(folder / name, rows)
    return folder / name


@pytest.mark.parametrize("kind", FRAMES)
def test_every_call_sees_the_file(kind: str, tmp_path: Path) -> None:
    given = FRAMES[kind]
    held, path = HeldTables(), _written(tmp_path, given)
    for _ in range(4):
        (rows,) = held.take([path])
        assert isinstance(rows, pd.DataFrame)
        pd.testing.assert_frame_equal(rows, given)
        rows["new"] = 1  # what a model does to its rows, the next call does not see
        if kind != "categories":  # whose codes are read-only
            rows.loc[0, given.columns[0]] = given.iloc[1, 0]


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays(order: str, tmp_path: Path) -> None:
    given = np.asarray(np.arange(12.0).reshape(4, 3), order=order)
    held, path = HeldTables(), _written(tmp_path, given)
    for _ in range(3):
        (rows,) = held.take([path])
        np.testing.assert_array_equal(rows, given)
        assert isinstance(rows, np.ndarray) and not rows.flags.writeable
        assert rows.flags.f_contiguous == (order == "F")


def test_a_small_table_that_is_asked_about_again_is_copied_once(tmp_path: Path) -> None:
    held, path = HeldTables(), _written(tmp_path, FRAMES["numbers"])
    places = []
    for _ in range(4):
        (rows,) = held.take([path])
        assert isinstance(rows, pd.DataFrame)
        places.append(rows.to_numpy().ctypes.data)
        assert not rows.to_numpy().flags.writeable
    assert places[0] != places[1] == places[2] == places[3]


def test_a_large_one_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_tables, "COPIED_BYTES", 95)
    held, path = HeldTables(), _written(tmp_path, FRAMES["numbers"])
    places = set()
    for _ in range(3):
        (rows,) = held.take([path])
        assert isinstance(rows, pd.DataFrame)
        places.add(rows.to_numpy().ctypes.data)
    assert len(places) == 1


def test_others_are_let_go(tmp_path: Path) -> None:
    held = HeldTables()
    one = _written(tmp_path, FRAMES["numbers"], "one")
    two = _written(tmp_path, FRAMES["mixed"], "two")
    assert len(held.take([one, two])) == 2
    one.unlink()
    held.take([one])  # still mapped
    held.take([two])
    with pytest.raises(ModelError, match="cannot be read"):
        held.take([one])
