"""Shared fixtures: real data, a real server, a real browser.

Browser tests take `server` and `page`; mark them `@pytest.mark.browser`:

    @pytest.mark.browser
    def test_page(server, page, screenshots):
        page.goto(f"{server.url}/performance")
        wait_until_idle(page)                       # from tests.browser
        page.screenshot(path=screenshots / "performance.png")

When the test ends, `page` fails it if the page logged an error to the console, raised one, or
asked anything of another machine.
"""

from __future__ import annotations

import compileall
import json
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from dashboard.figures.canvas import UNCHECKED
from tests.browser import (
    ARGUMENTS,
    ROOT,
    STOCK_APP,
    NoBrowserError,
    Server,
    Traffic,
    axe_violations,
    dashboard_command,
    free_port,
    get_browser,
    serving,
    stock_command,
    wait_until_idle,
)

# Time limits of single examples say more about the machine than about the code.
settings.register_profile("laptop", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("laptop"), derandomize=True, print_blob=True)
IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")

settings.load_profile("ci" if IN_CI else "laptop")

# Workspaces and run folders of tests, and of the servers they start, are not the developer's.
# Set on import: settings are read once per process, and perhaps while tests are collected.
HOME = Path(tempfile.mkdtemp(prefix="sidelight-tests-"))
os.environ["SIDELIGHT_HOME"] = str(HOME)
# A spare worker costs two seconds of processor time, once for each process that opens a model.
os.environ.setdefault("SIDELIGHT_SPARE_WORKERS", "0")


# Every figure that a test draws in this process is checked by Plotly, property by property.
UNCHECKED.clear()

# What takes longest comes first, so that no process is left alone with it at the end.
LONG = (
    "test_hostile.py",
    "test_browser_explaining.py",
    "test_browser.py",
    "test_workspace_browser.py",
    "test_browser_formats.py",
    "test_pages.py",
    "test_workspaces.py",
    "test_browser_learning.py",
    "test_loading.py",
    "test_learning_page.py",
    "test_explaining_pages.py",
    "test_progress.py",
    "test_report.py",
    "test_gradients.py",
    "test_confined.py",
    "test_intervals.py",
    "test_truth_table.py",
    "test_engine_matrix.py",
    "test_housing.py",
    "test_opening.py",
    "test_inner_curves.py",
    "test_pool.py",
    "test_inspection.py",
    "test_shelf.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """Compile the project once: confined workers may keep nothing, each would do it anew."""
    if not hasattr(config, "workerinput"):
        for folder in ("dashboard", "components", "pages"):
            compileall.compile_dir(ROOT / folder, quiet=2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: at for at, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.name, len(LONG)))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes may hold the time at which they were packed; the processes must agree on names."""
    return argname if isinstance(val, bytes) else None


def pytest_unconfigure() -> None:
    shutil.rmtree(HOME, ignore_errors=True)


def _fail_skipped(report: Any) -> None:
    """In CI a skipped test is a failed one: nobody would notice that it no longer runs."""
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"In CI every test must run. {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    report = yield
    _fail_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    report = yield
    _fail_skipped(report)
    return report


@pytest.fixture(scope="session")
def housing_path() -> Path:
    """The California housing table that lies beside the project, where there is one."""
    path = ROOT.parent / "shared" / "data" / "housing.csv"
    if not path.exists():
        pytest.skip("There is no ../shared/data/housing.csv beside the project.")
    return path


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """A folder for pictures: SIDELIGHT_SCREENSHOTS, or tests/screenshots (not committed)."""
    folder = Path(os.environ.get("SIDELIGHT_SCREENSHOTS", ROOT / "tests" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real server on a free port, as `python -m dashboard run` starts it.

    `server.url` has no trailing slash; `server.output` is all it printed so far. At the end of
    the session it must have printed no traceback and stop cleanly.
    """
    port = free_port()
    log = tmp_path_factory.mktemp("server") / "server.log"
    with serving(dashboard_command(port), port, log) as running:
        yield running
        assert running.stop() == 0, running.output
        assert "Traceback" not in running.output, running.output


@pytest.fixture(scope="session")
def browser_path() -> Path:
    """An installed browser; without one the test is skipped and says what was tried."""
    try:
        return get_browser()
    except NoBrowserError as problem:
        pytest.skip(str(problem))


@pytest.fixture(scope="module")
def browser(browser_path: Path) -> Iterator[Any]:
    """Playwright's Browser, one per test module."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)  # a busy machine is slow, not wrong
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser_path, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def traffic() -> Traffic:
    """What `page` said and asked for so far: `traffic.errors`, `traffic.requests`.

    A test that provokes a console error on purpose clears `traffic.errors` afterwards.
    """
    return Traffic()


@pytest.fixture
def page(browser: Any, traffic: Traffic) -> Iterator[Any]:
    """A watched Playwright Page of 1280 × 800 in a profile of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    context.set_default_timeout(20_000)
    opened = context.new_page()
    traffic.watch(opened)
    yield opened
    context.close()
    assert not traffic.errors, "\n".join(traffic.errors)
    assert not traffic.outside(), "\n".join(traffic.outside())


@pytest.fixture(scope="module")
def axe_baseline(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """The accessibility rules that a stock Streamlit app breaks; ours may break no others.

    assert set(axe_violations(page)) <= axe_baseline
    """
    # found once for all processes of this run, whose folders lie beside each other
    kept = tmp_path_factory.getbasetemp().with_name("axe-of-stock.json")
    if "PYTEST_XDIST_WORKER" in os.environ and kept.exists():
        return frozenset(json.loads(kept.read_text()))
    folder = tmp_path_factory.mktemp("stock")
    script = folder / "stock.py"
    script.write_text(STOCK_APP, encoding="utf-8")
    port = free_port()
    with serving(stock_command(script, port), port, folder / "log", folder=folder) as stock:
        opened = browser.new_page(viewport={"width": 1280, "height": 800})
        opened.goto(stock.url)
        wait_until_idle(opened)
        found = frozenset(axe_violations(opened))
        opened.close()
    if "PYTEST_XDIST_WORKER" in os.environ:
        (folder / "found").write_text(json.dumps(sorted(found)))
        (folder / "found").replace(kept)
    return found
