"""Names and labels that are markup, in a real browser: they are seen as text, and nothing runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect

import dashboard
from dashboard.report import render_report
from tests.browser import Server, Traffic, wait_until_idle
from tests.hostile.tables import MARKUP

pytestmark = pytest.mark.browser

LABELS = (MARKUP["html"], MARKUP["image"], MARKUP["plotly"], MARKUP["markdown"], MARKUP["long"])
NAMES = (
    f"{MARKUP['image']}.csv".replace("/", ""),
    f"{MARKUP['picture']} {MARKUP['directive']}.csv".replace("/", ""),
    f"{MARKUP['right to left']} {MARKUP['emoji']}.csv",
)
HOSTILE = "typeof window.hostile !== 'undefined' || location.href.includes('hostile')"


@pytest.fixture(scope="module")
def files() -> dict[str, pd.DataFrame]:
    """A table of strange labels and columns, and tables of predictions for it."""
    rng = np.random.default_rng(0)
    truth = np.array(LABELS, dtype=object)[rng.integers(len(LABELS), size=300)]
    frame = pd.DataFrame(rng.normal(size=(300, 2)), columns=["a", f"b {MARKUP['html']}"])
    found = {"data.csv": frame.assign(kind=truth)}
    for name in NAMES:
        wrong = rng.random(300) < 0.3
        said = np.where(wrong, np.array(LABELS, dtype=object)[rng.integers(5, size=300)], truth)
        found[name] = pd.DataFrame({"prediction": said})
    return found


def _payload(name: str, frame: pd.DataFrame) -> dict[str, Any]:
    content = frame.to_csv(index=False).encode()
    return {"name": name, "mimeType": "text/csv", "buffer": content}


def _is_text(page: Any) -> None:
    """Nothing of it ran, and nothing of it became an element."""
    assert not page.evaluate(HOSTILE)
    for selector in ("img[src='x']", "img[src*='listener']", "a[href*='javascript']"):
        assert page.locator(selector).count() == 0, selector
    assert page.locator("script", has_text="window.hostile").count() == 0
    assert page.get_by_test_id("stException").count() == 0
    assert "long" * 100 not in page.inner_text("body")


def test_markup_is_text_on_every_page(
    page: Any, server: Server, files: dict[str, pd.DataFrame], screenshots: Path
) -> None:
    page.goto(server.url)
    expect(page.get_by_test_id("stHeading").first).to_be_visible(timeout=60_000)
    wait_until_idle(page)
    uploads = page.get_by_test_id("stFileUploaderDropzoneInput")
    uploads.nth(0).set_input_files([_payload("data.csv", files["data.csv"])])
    expect(page.get_by_text("All 300 rows").first).to_be_visible(timeout=60_000)
    wait_until_idle(page)
    uploads.nth(1).set_input_files([_payload(name, files[name]) for name in NAMES])
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_text("onerror").first).to_be_visible(timeout=60_000)
    wait_until_idle(page)
    _is_text(page)
    page.screenshot(path=screenshots / "hostile-home.png", full_page=True)
    page.get_by_test_id("stSidebarNavLink").filter(has_text="Performance").click()
    expect(page.locator("table.sl-scores")).to_be_visible(timeout=60_000)
    wait_until_idle(page)
    assert "<img src=x" in page.locator("table.sl-scores").inner_text()
    for tab in page.get_by_role("tab").all():
        tab.click()
        wait_until_idle(page)
        _is_text(page)
    for plot in page.locator(".js-plotly-plot").all()[:6]:
        plot.scroll_into_view_if_needed()
        plot.hover()
        page.wait_for_timeout(100)
    assert page.locator(".js-plotly-plot a").count() == 0
    _is_text(page)
    page.screenshot(path=screenshots / "hostile-performance.png", full_page=True)


def test_markup_is_text_in_reports(
    page: Any, traffic: Traffic, files: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    said = {name: files[name] for name in NAMES}
    evaluation = dashboard.evaluate(files["data.csv"], target="kind", predictions=said)
    path = tmp_path / "report.html"
    path.write_text(render_report(evaluation, "html"), encoding="utf-8")
    page.goto(path.as_uri())
    page.wait_for_timeout(500)
    _is_text(page)
    assert "<img src=x" in page.inner_text("body")
    traffic.requests.remove(path.as_uri())
