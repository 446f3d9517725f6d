"""As a person uses it: a real server, a real browser, real files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from playwright.sync_api import expect
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.browser import Server, Traffic, axe_violations, wait_until_idle

pytestmark = pytest.mark.browser


def _open(page: Any, server: Server, path: str = "") -> None:
    page.goto(f"{server.url}/{path}")
    expect(page.get_by_test_id("stHeading").first).to_be_visible(timeout=60_000)
    wait_until_idle(page)


def _clean(page: Any) -> None:
    assert "Traceback" not in page.inner_text("body")
    assert page.get_by_test_id("stException").count() == 0


def _cell(page: Any, model: str, metric: str) -> str:
    """What the score table says, e.g. `.924 [.911, .936]`."""
    table = page.locator("table.sl-scores")
    heads = [head.strip() for head in table.locator("thead th").all_inner_texts()]
    at = next(i for i, head in enumerate(heads) if head.lower().startswith(metric.lower()))
    row = table.locator("tbody tr").filter(has_text=model).first
    return str(row.locator("th, td").nth(at).inner_text())


def _number(text: str) -> float:
    found = re.search(r"[−-]?[\d,]*\.?\d+", text)
    assert found, text
    return float(found.group().replace("−", "-").replace(",", ""))


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data file, two models and a prediction file that a person would bring."""
    folder = tmp_path_factory.mktemp("wine")
    bunch = load_wine(as_frame=True)
    cheap = np.where(bunch.target == 2, "cheap", "fine")
    bunch.data.assign(price=cheap).to_csv(folder / "wine.csv", index=False)
    linear = make_pipeline(StandardScaler(), LogisticRegression()).fit(bunch.data[::2], cheap[::2])
    forest = RandomForestClassifier(30, max_depth=2, random_state=0)
    forest.fit(bunch.data[::2], cheap[::2])
    skops.io.dump(linear, folder / "linear.skops")
    skops.io.dump(forest, folder / "forest.skops")
    chance = linear.predict_proba(bunch.data)
    pd.DataFrame(chance, columns=[f"proba_{c}" for c in linear.classes_]).to_csv(
        folder / "colleague.csv", index=False
    )
    (folder / "old.pkl").write_bytes(b"\x80\x04K\x01.")
    return folder


def test_opens_at_once_with_a_sample_and_compares(
    page: Any, server: Server, screenshots: Path
) -> None:
    _open(page, server)
    expect(page.get_by_text("12,000").first).to_be_visible()
    page.get_by_test_id("stSidebarNavLink").filter(has_text="Performance").click()
    expect(page.locator("table.sl-scores")).to_be_visible(timeout=60_000)
    wait_until_idle(page)
    assert page.locator("table.sl-scores tbody tr").count() == 5  # baseline and four models
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    _clean(page)
    page.screenshot(path=screenshots / "first-comparison.png", full_page=True)


def test_upload_compare_move_the_threshold(
    page: Any, server: Server, wine: Path, screenshots: Path
) -> None:
    _open(page, server)
    uploads = page.get_by_test_id("stFileUploaderDropzoneInput")
    uploads.nth(0).set_input_files(wine / "wine.csv")
    expect(page.get_by_text("All 178 rows").first).to_be_visible(timeout=30_000)
    wait_until_idle(page)
    uploads.nth(1).set_input_files([wine / "linear.skops", wine / "forest.skops"])
    expect(page.get_by_test_id("stSidebar").get_by_text("forest").first).to_be_visible(
        timeout=60_000
    )
    wait_until_idle(page)
    uploads.nth(1).set_input_files([wine / "colleague.csv", wine / "old.pkl"])
    expect(page.get_by_text("old.pkl").first).to_be_visible(timeout=30_000)
    wait_until_idle(page)
    page.screenshot(path=screenshots / "home-uploaded.png", full_page=True)
    page.get_by_test_id("stSidebarNavLink").filter(has_text="Performance").click()
    table = page.locator("table.sl-scores")
    expect(table.get_by_text("colleague")).to_be_visible(timeout=30_000)
    wait_until_idle(page)

    data = pd.read_csv(wine / "wine.csv")
    forest = skops.io.load(
        wine / "forest.skops",
        trusted=skops.io.get_untrusted_types(file=wine / "forest.skops"),
    )
    chance = forest.predict_proba(data.drop(columns="price"))[:, 0]  # cheap comes first
    positive = "cheap" if "cheap" in page.inner_text(".sl-headline") else "fine"
    score = chance if positive == "cheap" else 1 - chance
    truth = data["price"] == positive

    def expected(threshold: float) -> float:
        return float(recall_score(truth, score >= threshold))

    assert _number(_cell(page, "forest", "recall")) == pytest.approx(expected(0.5), abs=5e-4)
    assert (
        _cell(page, "linear", "roc auc").split()[0]
        == _cell(page, "colleague", "roc auc").split()[0]
    )
    slider = page.locator('input[type="range"]').first
    slider.focus()
    for _ in range(40):
        slider.press("ArrowRight")
    wait_until_idle(page)
    assert _number(_cell(page, "forest", "recall")) == pytest.approx(expected(0.9), abs=5e-4)
    expect(page).to_have_url(re.compile(r"threshold=0\.9(&|$)"))  # written when all is drawn
    _clean(page)
    page.screenshot(path=screenshots / "performance-uploaded.png", full_page=True)


@pytest.mark.parametrize(
    "pause",
    [150, *(pytest.param(pause, marks=pytest.mark.slow) for pause in (50, 100, 200))],
)
def test_files_dropped_in_a_hurry_are_not_lost(
    page: Any, server: Server, wine: Path, pause: int
) -> None:
    _open(page, server)
    uploads = page.get_by_test_id("stFileUploaderDropzoneInput")
    uploads.nth(0).set_input_files(wine / "wine.csv")
    page.wait_for_timeout(pause)
    uploads.nth(1).set_input_files([wine / "linear.skops", wine / "forest.skops"])
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_text("linear", exact=True).first).to_be_visible(timeout=30_000)
    expect(sidebar.get_by_text("forest", exact=True).first).to_be_visible(timeout=30_000)
    _clean(page)


def test_click_the_worst_cell_and_see_the_rows(
    page: Any, server: Server, screenshots: Path
) -> None:
    _open(page, server, "performance?sample=digits")
    plot = page.locator(".js-plotly-plot").first
    expect(plot).to_be_visible(timeout=60_000)
    wait_until_idle(page)
    points = plot.locator(".scatterlayer .point")
    assert points.count() == 100  # ten classes by ten
    plot.scroll_into_view_if_needed()
    box = points.nth(11).bounding_box()  # a diagonal cell: never empty
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_text(re.compile(r"rows are 1 and were called 1")).first).to_be_visible()
    wait_until_idle(page)
    _clean(page)
    page.screenshot(path=screenshots / "rows-of-a-cell.png", full_page=True)


def test_a_link_gives_the_same_view_in_a_new_browser(
    page: Any, server: Server, browser: Any, traffic: Traffic
) -> None:
    _open(page, server, "performance?sample=cancer&threshold=0.3")
    expect(page.locator("table.sl-scores")).to_be_visible(timeout=60_000)
    page.get_by_test_id("stSidebar").locator('[class*="st-key-eye-"] button:visible').nth(1).click()
    wait_until_idle(page)
    expect(page.get_by_text("2 of 3 models shown")).to_be_visible()
    before = page.locator("table.sl-scores").inner_text()
    other = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    traffic.watch(other)
    other.goto(page.url)
    expect(other.locator("table.sl-scores")).to_be_visible(timeout=60_000)
    wait_until_idle(other)
    assert other.locator("table.sl-scores").inner_text() == before
    other.context.close()
    # what is drawn only when it is unfolded
    page.get_by_text("Data and download").first.click()
    with page.expect_download() as taken:
        page.get_by_text("Exact data:").first.click()
    assert Path(taken.value.path()).read_text(encoding="utf-8").count("\n") > 4
    page.keyboard.press("Escape")
    numbers = page.get_by_test_id("stExpander").filter(has_text="Every number")
    numbers.locator("summary").click()
    with page.expect_download() as taken:
        numbers.get_by_text("CSV").click()
    found = pd.read_csv(taken.value.path())
    assert {"accuracy", "roc_auc"} <= set(found["metric"])
    _clean(page)


def test_names_are_shown_as_text(page: Any, server: Server, wine: Path, tmp_path: Path) -> None:
    nasty = tmp_path / "<img src=x onerror=alert(1)> **bold** $x$.csv"
    nasty.write_text((wine / "wine.csv").read_text())
    _open(page, server)
    page.get_by_test_id("stFileUploaderDropzoneInput").nth(0).set_input_files(nasty)
    expect(page.get_by_text("All 178 rows").first).to_be_visible(timeout=30_000)
    wait_until_idle(page)
    assert page.locator('img[src="x"]').count() == 0
    _clean(page)


SAMPLES = (
    "loans",
    "cancer",
    "digits",
    "five",
    "diabetes",
    "parabola",
    "demand",
    "churn_predictions",
)


# the others' pages are drawn without a browser in test_pages.py
DRAWN = ("loans", "digits", "diabetes")


@pytest.mark.parametrize(
    "sample",
    [one if one in DRAWN else pytest.param(one, marks=pytest.mark.slow) for one in SAMPLES],
)
def test_every_sample_draws(page: Any, server: Server, sample: str, screenshots: Path) -> None:
    _open(page, server, f"performance?sample={sample}")
    expect(page.locator("table.sl-scores")).to_be_visible(timeout=60_000)
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    wait_until_idle(page)
    assert page.get_by_test_id("stAlertContentError").count() == 0
    _clean(page)
    page.screenshot(path=screenshots / f"sample-{sample}.png", full_page=True)


@pytest.mark.parametrize("path", ["", "performance?sample=cancer"])
def test_accessibility_adds_nothing_to_stock_streamlit(
    page: Any, server: Server, axe_baseline: frozenset[str], path: str
) -> None:
    _open(page, server, path)
    if path:
        expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=60_000)
        wait_until_idle(page)
        charts = page.get_by_test_id("stPlotlyChart")
        labelled = page.locator(
            '[data-testid="stPlotlyChart"] [aria-label], [data-testid="stPlotlyChart"][aria-label]'
        )
        assert labelled.count() >= charts.count() > 0
    found = axe_violations(page)
    assert set(found) <= axe_baseline, {k: v for k, v in found.items() if k not in axe_baseline}


def test_dark_follows_the_browser(
    server: Server, browser: Any, traffic: Traffic, screenshots: Path
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="dark")
    page = context.new_page()
    traffic.watch(page)
    _open(page, server, "performance?sample=cancer")
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=60_000)
    wait_until_idle(page)
    colour = page.locator(".js-plotly-plot .xtitle").first.evaluate("e => getComputedStyle(e).fill")
    levels = [int(one) for one in re.findall(r"\d+", colour)[:3]]
    assert min(levels) > 120, colour  # light text on the dark page
    page.screenshot(path=screenshots / "dark.png", full_page=True)
    context.close()
    assert not traffic.errors
    assert not traffic.outside()
