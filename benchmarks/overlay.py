"""Fifty training runs overlaid on the page Learning: until the curves stand, in a real browser.

A zipped folder of event files, as Keras' callback writes them, is dropped on Home. The page is
opened once, so that everything is read and kept, and timed when it is opened again: from Home by a
click, and by its link in a new tab. A chart stands when its lines are on screen; its marks are
counted there.
"""

from __future__ import annotations

import io
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.server import Row, timed_row
from tests.browser import (
    ARGUMENTS,
    SETTLE,
    dashboard_command,
    free_port,
    get_browser,
    serving,
    wait_until_idle,
)
from tests.event_writing import event, event_file, simple

_WRITTEN = 5  # runs; the others have the same values under other names
_LINES = ".js-plotly-plot .scatterlayer .trace path.js-line"
_MARKS = """() => document.querySelector('.js-plotly-plot').calcdata
    .reduce((n, trace) => n + trace.length, 0)"""


def run(*, quick: bool = False) -> list[Row]:
    """Rows `work, what, median, slowest, runs, marks`; `quick` takes 10 runs of 300 epochs."""
    from playwright.sync_api import sync_playwright

    n, epochs, times = (10, 300, 2) if quick else (50, 3_000, 15)
    port = free_port()
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        here = Path(name)
        (here / "runs.zip").write_bytes(_run_folder(n, epochs))
        browser = playwright.chromium.launch(executable_path=get_browser(), args=ARGUMENTS)
        with serving(dashboard_command(port), port, here / "server.log") as server:
            rows = _measured(browser, server.url, here / "runs.zip", times)
        browser.close()
    work = f"{n} runs × {epochs:,} epochs × 2 parts"
    return [{"work": work, **row} for row in rows]


def _run_folder(n: int, epochs: int) -> bytes:
    logs = [_logs(np.random.default_rng(seed), epochs) for seed in range(_WRITTEN)]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for at in range(n):
            for part, content in logs[at % _WRITTEN].items():
                archive.writestr(f"runs/run-{at:02d}/{part}/events.out.tfevents.1.host", content)
    return buffer.getvalue()


def _logs(rng: np.random.Generator, epochs: int) -> dict[str, bytes]:
    at = np.arange(epochs) / epochs
    loss = 0.2 + np.exp(-8 * at) + 0.02 * rng.normal(size=epochs)
    parts = {"train": loss, "validation": loss + 0.3 * at * rng.random()}
    return {
        part: event_file(
            *(
                event(k, simple("epoch_loss", float(value)), wall=1e9 + k)
                for k, value in enumerate(v)
            )
        )
        for part, v in parts.items()
    }


def _measured(browser: Any, url: str, archive: Path, times: int) -> list[Row]:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(url)
    wait_until_idle(page)
    upload = page.get_by_test_id("stFileUploaderDropzoneInput").nth(1)
    upload.set_input_files(archive, timeout=120_000)
    page.get_by_text("training logs").first.wait_for(timeout=120_000)
    wait_until_idle(page, 120)
    links = page.get_by_test_id("stSidebarNavLink")
    first = _until_drawn(page, links.filter(has_text="Learning").click)
    wait_until_idle(page, 120)
    link, marks = page.url, page.evaluate(_MARKS)
    drawn, settled = list[float](), list[float]()
    for _ in range(times):
        links.filter(has_text="Home").click()
        wait_until_idle(page)
        started = time.perf_counter()
        drawn.append(_until_drawn(page, links.filter(has_text="Learning").click))
        wait_until_idle(page)
        settled.append(time.perf_counter() - started - SETTLE)
    page.close()
    tabs = [_in_a_new_tab(browser, link) for _ in range(max(2, times // 3))]
    return [
        timed_row("opened for the first time, files read", [first]),
        {**timed_row("opened again from Home: lines on screen", drawn), "marks": f"{marks:,}"},
        timed_row("opened again from Home: page at rest", settled),
        timed_row("its link opened in a new tab: lines on screen", tabs),
    ]


def _until_drawn(page: Any, action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    page.locator(_LINES).first.wait_for(timeout=120_000)
    return time.perf_counter() - started


def _in_a_new_tab(browser: Any, link: str) -> float:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    found = _until_drawn(page, lambda: page.goto(link))
    page.close()
    return found
