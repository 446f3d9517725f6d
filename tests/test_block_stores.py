"""Where finished blocks lie: bounded, of one session alone, and found again by an explanation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

from components.blocks import MemoryBlocks, ScopedBlocks, WorkspaceBlocks
from components.workspaces import Kept
from dashboard.data import evalset_from_frame
from dashboard.effects import feature_effects
from dashboard.explanation import explain_rows
from dashboard.models import adapt
from dashboard.settings import Settings
from dashboard.workspace import Store


def test_the_least_recently_used_blocks_go_first() -> None:
    blocks = MemoryBlocks(10)
    blocks.put("a", b"1234")
    blocks.put("b", b"1234")
    assert blocks.get("a") == b"1234"
    blocks.put("c", b"1234")
    assert (blocks.get("a"), blocks.get("b"), blocks.get("c")) == (b"1234", None, b"1234")
    blocks.put("a", b"12")  # in the place of the older one
    blocks.put("d", b"1234")
    assert [blocks.get(key) for key in "acd"] == [b"12", b"1234", b"1234"]
    blocks.put("e", b"x" * 11)  # larger than all there is room for
    assert [blocks.get(key) for key in "acde"] == [None] * 4


def test_sessions_do_not_see_each_others_blocks_and_find_their_own() -> None:
    blocks = MemoryBlocks(1 << 20)
    mine, other = ScopedBlocks(blocks, "mine"), ScopedBlocks(blocks, "other")
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    evalset = evalset_from_frame(X.assign(y=X["a"]), target="y")
    model = adapt(LinearRegression().fit(X, X["a"]), "m")
    object.__setattr__(model.info, "digest", "of a file")
    first = explain_rows(model, evalset, "m", [1, 2], store=mine)
    keys = list(blocks._blocks)
    assert keys and all(key.startswith("mine/") for key in keys)
    again = explain_rows(model, evalset, "m", [1, 2], store=mine)
    assert list(blocks._blocks) == keys
    np.testing.assert_array_equal(again.values, first.values)
    explain_rows(model, evalset, "m", [1, 2], store=other)
    assert len(blocks._blocks) == 2 * len(keys)


def test_effects_are_found_in_the_workspace_by_another_server(tmp_path: Path) -> None:
    asked = list[int]()

    def double(X: pd.DataFrame) -> Any:
        asked.append(len(X))
        return 2 * X["a"]

    X = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 2)), columns=["a", "b"])
    evalset = evalset_from_frame(X.assign(y=X["a"]), target="y")
    model = adapt(double, "m")
    object.__setattr__(model.info, "digest", "of a file")

    def effects(kept: Kept) -> Any:
        (found,) = feature_effects(model, evalset, ["a"], store=WorkspaceBlocks(kept, "m"))
        assert not kept.problem
        return found.value

    def is_asked(kept: Kept) -> bool:
        before = len(asked)
        np.testing.assert_array_equal(effects(kept), first)
        return len(asked) > before

    one = Store(tmp_path, Settings())
    kept = Kept(one, one.create(), "")
    first = effects(kept)
    assert not is_asked(Kept(Store(tmp_path, Settings()), kept.id, ""))
    assert is_asked(Kept(one, one.create(), ""))
    read_only = Kept(one, one.create(), "", writable=False)
    assert is_asked(read_only) and is_asked(read_only)
