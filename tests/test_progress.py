"""Slow work in a real browser: it says what it does, can be cancelled, and freezes nothing."""

from __future__ import annotations

import pickle
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from playwright.sync_api import expect
from sklearn.linear_model import LogisticRegression

from tests.browser import Server, wait_until_idle

pytestmark = pytest.mark.browser

SLOW = """
import time

class Slow:
    classes_ = ["no", "yes"]

    def __init__(self, where):
        self.where = where

    def __setstate__(self, state):
        self.__dict__.update(state)
        if self.where == "opening":
            time.sleep(120)

    def predict(self, X):
        if self.where == "asking":
            time.sleep(120)
        return ["no"] * len(X)
"""


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, a quick model, one that never opens and one that never answers."""
    folder = tmp_path_factory.mktemp("slow")
    rows = pd.DataFrame(np.random.default_rng(2).normal(size=(90, 3)), columns=["a", "b", "c"])
    answer = np.where(rows["a"] > 0, "yes", "no")
    rows.assign(bought=answer).to_csv(folder / "data.csv", index=False)
    skops.io.dump(LogisticRegression().fit(rows, answer), folder / "quick.skops")
    (folder / "slow_steps.py").write_text(SLOW)
    module = ModuleType("slow_steps")
    exec(SLOW, module.__dict__)
    sys.modules["slow_steps"] = module
    for where in ("opening", "asking"):
        (folder / f"{where}.pkl").write_bytes(pickle.dumps(module.Slow(where)))
    del sys.modules["slow_steps"]
    return folder


def _button(page: Any, kind: str, at: int = 0) -> Any:
    return page.locator(f'[class*="st-key-{kind}-"] button:visible').nth(at)


def _go(page: Any, name: str) -> float:
    """Open a page from the sidebar; the seconds until its title is there."""
    start = time.monotonic()
    page.get_by_test_id("stSidebarNavLink").filter(has_text=name).click()
    title = {"Home": "What are we looking at?", "Performance": "Where does each model go wrong?"}
    expect(page.get_by_role("heading", name=title[name])).to_be_visible()
    return time.monotonic() - start


def _shows_scores(page: Any) -> None:
    """Once: while a page is drawn anew, the table that was stands beside the new one."""
    table = page.locator("table.sl-scores")
    expect(table).to_have_count(1, timeout=30_000)
    expect(table).to_be_visible()


def test_slow_work_is_told_cancelled_and_freezes_nothing(
    page: Any, server: Server, slow: Path, screenshots: Path
) -> None:
    page.goto(f"{server.url}/")
    uploads = page.get_by_test_id("stFileUploaderDropzoneInput")
    expect(uploads.first).to_be_attached(timeout=60_000)
    wait_until_idle(page)
    uploads.nth(0).set_input_files(slow / "data.csv")
    expect(page.get_by_text("All 90 rows").first).to_be_visible(timeout=30_000)
    files = ["quick.skops", "slow_steps.py", "opening.pkl", "asking.pkl"]
    uploads.nth(1).set_input_files([slow / name for name in files])
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_text("quick", exact=True).first).to_be_visible(timeout=60_000)
    expect(_button(page, "open", 1)).to_be_visible(timeout=60_000)
    _button(page, "open").click()
    expect(page.get_by_text("Opening opening.pkl").first).to_be_visible()
    _button(page, "open").click()
    expect(sidebar.get_by_text("asking", exact=True).first).to_be_visible(timeout=60_000)
    page.screenshot(path=screenshots / "opening.png")

    assert _go(page, "Performance") < 10  # while one file is still being opened
    expect(page.get_by_text("Asking asking").first).to_be_visible(timeout=30_000)
    page.screenshot(path=screenshots / "asking.png")
    assert _go(page, "Home") < 10  # while the other page still waits for an answer
    _go(page, "Performance")
    main = page.get_by_test_id("stMain")
    main.get_by_role("button", name="Cancel").first.click()
    _shows_scores(page)
    expect(main.get_by_text("was cancelled")).to_be_visible()
    expect(_button(page, "ask")).to_be_visible()
    page.screenshot(path=screenshots / "asking-cancelled.png")
    _button(page, "ask").click()  # again; after a while the page goes on without it
    expect(main.get_by_text("1 of 2 models so far")).to_be_visible(timeout=60_000)
    _shows_scores(page)
    expect(main.get_by_text("was cancelled")).to_have_count(0)
    expect(main.get_by_text("Asking asking")).to_be_visible()
    page.screenshot(path=screenshots / "asking-late.png")
    _button(page, "cancel-late").click()
    expect(main.get_by_text("was cancelled")).to_be_visible(timeout=30_000)
    _shows_scores(page)
    _button(sidebar, "cancel").click()
    expect(_button(sidebar, "cancel")).to_have_count(0)  # gone with the work
    _go(page, "Home")
    expect(main.get_by_text("was not opened")).to_be_visible()
    expect(_button(page, "again")).to_be_visible()
