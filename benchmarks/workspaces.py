"""How long a person waits for a workspace that is opened again, in a real browser."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from tests.browser import (
    ARGUMENTS,
    SETTLE,
    STOCK_APP,
    dashboard_command,
    free_port,
    get_browser,
    serving,
    stock_command,
    wait_until_idle,
)

Row = dict[str, object]


def _files(folder: Path, rows: int) -> tuple[Path, list[Path]]:
    """A table of `rows` × 20 with the truth, and two models that answer it."""
    import skops.io

    X, y = make_classification(rows, n_features=20, n_informative=8, random_state=0)
    names = [f"x{i}" for i in range(20)]
    frame = pd.DataFrame(X, columns=names)
    frame.assign(default=y).to_csv(folder / "rows.csv", index=False)
    models = []
    for model in (LogisticRegression(), RandomForestClassifier(50, max_depth=8, random_state=0)):
        models.append(folder / f"{type(model).__name__}.skops")
        skops.io.dump(model.fit(frame[:5_000], y[:5_000]), models[-1])
    return folder / "rows.csv", models


def _fill(browser: Any, url: str, data: Path, models: list[Path]) -> str:
    """Upload, compare once, and give the workspace's link to the comparison."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(url)
    wait_until_idle(page)
    uploads = page.get_by_test_id("stMain").get_by_test_id("stFileUploaderDropzoneInput")
    uploads.nth(0).set_input_files(data)
    page.get_by_test_id("stSidebar").get_by_text("rows.csv").wait_for(timeout=120_000)
    wait_until_idle(page)
    uploads.nth(1).set_input_files(models)
    for model in models:
        sidebar = page.get_by_test_id("stSidebar")
        sidebar.get_by_text(model.stem, exact=True).first.wait_for(timeout=120_000)
    wait_until_idle(page)
    page.get_by_test_id("stSidebarNavLink").filter(has_text="Performance").click()
    page.locator("table.sl-scores").wait_for(timeout=120_000)
    wait_until_idle(page)
    link = str(page.url)
    page.close()
    return link


def _seconds(browser: Any, url: str) -> float:
    """From an empty tab to a page at rest, in a profile that has been there before."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    started = time.perf_counter()
    page.goto(url)
    wait_until_idle(page)
    seconds = time.perf_counter() - started - SETTLE
    page.close()
    return seconds


def _row(name: str, times: list[float], against: list[float]) -> Row:
    median = statistics.median(times)
    return {
        "what": name,
        "median": f"{median:.2f} s",
        "× an empty page": f"{median / statistics.median(against):.2f}",
        "slowest": f"{max(times):.2f} s",
        "runs": len(times),
    }


def run(quick: bool = False) -> list[Row]:
    """An empty page, a workspace after a refresh, and one after a restart of the server."""
    from playwright.sync_api import sync_playwright

    runs, rows = (2, 2_000) if quick else (9, 100_000)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        data, models = _files(folder, rows)
        told = {"SIDELIGHT_HOME": str(folder / "home")}
        browser = playwright.chromium.launch(executable_path=get_browser(), args=ARGUMENTS)
        port, stock = free_port(), free_port()
        script = folder / "stock.py"
        script.write_text(STOCK_APP, encoding="utf-8")
        log = folder / "log"
        with serving(dashboard_command(port), port, log, environment=told) as server:
            link = _fill(browser, server.url, data, models)
        empty: list[float] = []
        refreshed: list[float] = []
        first: list[float] = []
        for _ in range(3 if not quick else 1):
            with (
                serving(stock_command(script, stock), stock, log, folder=folder) as other,
                serving(dashboard_command(port), port, log, environment=told),
            ):
                _seconds(browser, other.url)
                first.append(_seconds(browser, link))
                for _ in range(runs // 3 or 1):
                    empty.append(_seconds(browser, other.url))
                    refreshed.append(_seconds(browser, link))
        browser.close()
    return [
        _row("an empty page of Streamlit's own parts", empty, empty),
        _row(f"the comparison of a workspace, {rows:,} × 20, two models", refreshed, empty),
        _row("the same, first page after a restart of the server", first, empty),
    ]
