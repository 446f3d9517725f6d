"""What a person waits for: the first page, a page switch, a slider move, in a real browser."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.person import Onlooker, visit
from tests.browser import (
    ARGUMENTS,
    SETTLE,
    dashboard_command,
    free_port,
    get_browser,
    serving,
    wait_until_idle,
)

Row = dict[str, object]


def _seconds(action: Callable[[], object], page: Any) -> float:
    """From the action to the moment the page has come to rest."""
    started = time.perf_counter()
    action()
    wait_until_idle(page)
    return time.perf_counter() - started - SETTLE


def timed_row(name: str, times: list[float]) -> Row:
    """Median and slowest of some times in seconds."""
    return {
        "what": name,
        "median": f"{statistics.median(times):.2f} s",
        "slowest": f"{max(times):.2f} s",
        "runs": len(times),
    }


def _wait_for_charts(page: Any) -> None:
    page.locator(".js-plotly-plot .main-svg").first.wait_for(timeout=60_000)


def measure_start(browser: Any, folder: Path, runs: int) -> list[Row]:
    """A new server process each time: until it answers, and until the first page stands."""
    answers, pages, charts = [], [], []
    for run in range(runs):
        port = free_port()
        started = time.perf_counter()
        with serving(dashboard_command(port), port, folder / f"start-{run}.log") as server:
            answers.append(time.perf_counter() - started)
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(server.url)
            wait_until_idle(page)
            pages.append(time.perf_counter() - started - SETTLE)
            page.get_by_test_id("stSidebarNavLink").filter(has_text="Performance").click()
            _wait_for_charts(page)
            wait_until_idle(page)
            charts.append(time.perf_counter() - started - SETTLE)
            page.close()
    return [
        timed_row("command → server answers", answers),
        timed_row("command → Home drawn, sample loaded", pages),
        timed_row("command → first comparison of four models drawn", charts),
    ]


def measure_session(browser: Any, folder: Path, runs: int) -> list[Row]:
    """One warm server: page switches and slider moves of one person."""
    port = free_port()
    switches, moves = [], []
    with serving(dashboard_command(port), port, folder / "session.log") as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(server.url)
        wait_until_idle(page)
        links = page.get_by_test_id("stSidebarNavLink")
        links.filter(has_text="Performance").click()
        _wait_for_charts(page)
        wait_until_idle(page)
        for _ in range(runs):
            links.filter(has_text="Home").click()
            wait_until_idle(page)
            switches.append(_seconds(links.filter(has_text="Performance").click, page))
        slider = page.locator('input[type="range"]').first
        for _ in range(runs):
            slider.focus()
            moves.append(_seconds(lambda: slider.press("ArrowRight"), page))
        page.close()
    return [
        timed_row("Home → Performance (seen before)", switches),
        timed_row("threshold moved by .01: every table and chart follows", moves),
    ]


def measure_beside_explanations(browser: Any, folder: Path, runs: int) -> list[Row]:
    """A slider of one person, idle, and while the models of another are explained.

    The other's four models are explained by all rows; the moves are made and counted while work
    goes on there. They are timed at the server's door, from the move to the last chart sent. Once
    the other has a browser that draws on the same two cores; then, with nothing kept from before,
    a machine of their own, so that the same work is done in fewer seconds.
    """
    idle, drawn, busy = list[float](), list[float](), list[float]()
    port = free_port()
    moves = cycle(0.2 + 0.01 * step for step in range(60))
    with (
        serving(dashboard_command(port), port, folder / "beside.log") as server,
        visit(server.url, "performance") as person,
    ):
        (slider,) = person.widgets
        person.move(slider, next(moves))
        idle += [person.move(slider, next(moves)) for _ in range(runs)]
        other = browser.new_page(viewport={"width": 1280, "height": 800})
        other.goto(f"{server.url}/explanations?rows=all")
        at_work = other.get_by_text("models so far")
        at_work.first.wait_for(timeout=60_000)
        while at_work.count() and len(drawn) < 10 * runs:
            drawn.append(person.move(slider, next(moves)))
        other.close()
    for turn in cycle(range(5)):
        busy += _moves_beside(folder / f"beside-{turn}.log", moves, 10 * runs - len(busy))
        if len(busy) >= 10 * runs:
            break
    return [
        _tail("threshold moved, answered; nobody else at work", idle),
        _tail(f"{_BESIDE}, whose browser draws on the same cores", drawn),
        _tail(f"{_BESIDE}, no browser on these cores", busy),
    ]


_BESIDE = "threshold moved, answered; somebody else has four models explained"


def _moves_beside(log: Path, moves: Iterator[float], most: int) -> list[float]:
    """Moves on a new server, from when somebody opens Explanations until the last answer."""
    found = list[float]()
    port = free_port()
    with (
        serving(dashboard_command(port), port, log) as server,
        visit(server.url, "performance") as person,
    ):
        (slider,) = person.widgets
        for _ in range(10):
            person.move(slider, next(moves))
        other = Onlooker(server.url, "explanations", "rows=all")
        other.start()
        until = time.monotonic() + 60
        while (other.at_work or not other.seen) and time.monotonic() < until:
            found.append(person.move(slider, next(moves)))
            if len(found) >= most:
                break
        other.leave()
    return found


def _tail(name: str, times: list[float]) -> Row:
    ordered = sorted(times)
    late = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return {**timed_row(name, times), "p95": f"{late:.3f} s"}


def run(quick: bool = False) -> list[Row]:
    """Rows `what, median, slowest, runs` for the default sample (12,000 rows, four models)."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=get_browser(), args=ARGUMENTS)
        rows = measure_start(browser, Path(name), 1 if quick else 3)
        rows += measure_session(browser, Path(name), 2 if quick else 10)
        rows += measure_beside_explanations(browser, Path(name), 5 if quick else 40)
        browser.close()
    return rows
