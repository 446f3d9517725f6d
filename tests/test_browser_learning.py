"""Learning as a person explores it: a run folder, smoothing, a curve that grows, stops, resumes."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from playwright.sync_api import expect
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier

from tests.browser import Server, Traffic, axe_violations, wait_until_idle
from tests.event_writing import event, event_file, simple

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

RUNS = ("small", "large", "wild")
PATIENT = 120_000


def _run_folder() -> bytes:
    """Three runs as Keras' TensorBoard callback lays them out, of 30 epochs each."""
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for k, name in enumerate(RUNS):
            at = np.arange(30)
            for part, lag in (("train", 0.0), ("validation", 0.02 * k)):
                loss = np.exp(-at / (4 + k)) + 0.2 + lag * at + 0.02 * rng.normal(size=30)
                records = [
                    event(step, simple("epoch_loss", float(value)), wall=1e9 + step)
                    for step, value in enumerate(loss)
                ]
                path = f"runs/{name}/{part}/events.out.tfevents.1000000000.host"
                archive.writestr(path, event_file(*records))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("learning")
    bunch = load_wine(as_frame=True)
    price = np.where(bunch.target == 0, "fine", "cheap")
    bunch.data.assign(price=price).to_csv(folder / "wine.csv", index=False)
    forest = RandomForestClassifier(150, random_state=0).fit(bunch.data, price)
    skops.io.dump(forest, folder / "forest.skops")
    (folder / "runs.zip").write_bytes(_run_folder())
    return folder


def _upload(page: Any, where: str, *files: Path) -> None:
    """By its name: which of the two uploaders comes first is open while the page is drawn."""
    place = page.locator(f".st-key-upload-{where}").get_by_test_id("stFileUploaderDropzoneInput")
    place.set_input_files(list(files))


def _clean(page: Any) -> None:
    assert "Traceback" not in page.inner_text("body")
    assert page.get_by_test_id("stException").count() == 0


def _heights(chart: Any) -> list[list[float]]:
    """What each trace draws, as the browser has it."""
    found: list[list[float]] = chart.evaluate("one => one.calcdata.map(t => t.map(p => p.y))")
    return found


def _roughness(curves: list[list[float]]) -> float:
    """How much the smoothest long trace bends from point to point."""
    known = [np.array(one, dtype=float) for one in curves if len(one) > 10]
    return min(float(np.nanmean(np.abs(np.diff(one, n=2)))) for one in known)


def _fits(chart: Any) -> tuple[int, int]:
    """Fits that are done and all, from the chart's title; equal when it no longer says so."""
    said = re.search(r"([\d,]+)\s*of\s*([\d,]+)\s*fits", chart.text_content())
    return (int(said[1]), int(said[2])) if said else (0, 0)


def _until(page: Any, there: Callable[[], bool]) -> None:
    for _ in range(PATIENT // 200):
        if there():
            return
        page.wait_for_timeout(200)
    raise AssertionError(page.inner_text("body"))


def test_a_run_folder_smoothing_and_a_size_curve_that_is_resumed(
    page: Any,
    server: Server,
    browser: Any,
    traffic: Traffic,
    files: Path,
    screenshots: Path,
    axe_baseline: frozenset[str],
) -> None:
    page.goto(server.url)
    expect(page.get_by_test_id("stHeading").first).to_be_visible(timeout=PATIENT)
    _upload(page, "data", files / "wine.csv")
    expect(page.get_by_text("All 178 rows").first).to_be_visible(timeout=PATIENT)
    wait_until_idle(page)
    _upload(page, "models", files / "forest.skops", files / "runs.zip")
    expect(page.get_by_text("training logs").first).to_be_visible(timeout=PATIENT)
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_text("forest").first).to_be_visible(timeout=PATIENT)
    wait_until_idle(page)

    page.get_by_test_id("stSidebarNavLink").filter(has_text="Learning").click()
    chart = page.locator(".js-plotly-plot").first
    expect(chart).to_contain_text("Loss by epoch", timeout=PATIENT)
    for name in RUNS:
        expect(chart).to_contain_text(name)
    expect(page.locator(".sl-headline")).to_contain_text("loss")
    slider = page.locator('[data-testid="stSlider"] input[type="range"], [role="slider"]').first
    before = _roughness(_heights(chart))
    slider.focus()
    for _ in range(60):
        slider.press("ArrowRight")
    expect(page).to_have_url(re.compile(r"learn_smoothing=0\.\d+"), timeout=PATIENT)
    wait_until_idle(page, 60)
    _until(page, lambda: _roughness(_heights(chart)) < 0.6 * before)
    found = axe_violations(page)
    assert set(found) <= axe_baseline, {k: v for k, v in found.items() if k not in axe_baseline}
    _clean(page)
    page.screenshot(path=screenshots / "learning-epochs.png", full_page=True)

    page.get_by_role("tab", name="By training size").click()
    page.get_by_role("button", name="Fit on growing parts").click(timeout=PATIENT)
    growing = page.locator(".js-plotly-plot").first
    expect(growing).to_be_visible(timeout=PATIENT)
    _until(page, lambda: _fits(growing)[0] > 0)
    first, total = _fits(growing)
    _until(page, lambda: _fits(growing)[0] > first)  # it grows while one looks
    page.get_by_text("Details").first.click()
    page.get_by_role("button", name="Cancel").first.click()
    expect(page.get_by_text("you stopped it").first).to_be_visible(timeout=PATIENT)
    expect(page).to_have_url(re.compile("learn_grown=True"), timeout=PATIENT)
    _clean(page)
    kept, _ = _fits(growing)
    assert first < kept < total

    other = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    traffic.watch(other)
    held: list[Any] = []
    other.route("**/Selectbox*.js", lambda one: held.append(one))  # a slow network: lists come last
    other.goto(page.url)
    resumed = other.locator(".js-plotly-plot").first
    expect(resumed).to_be_visible(timeout=PATIENT)
    # resumed by the link: what was finished is there at once; the rest may be before one looks
    seen, _ = _fits(resumed)
    assert seen >= kept or not seen  # no count: all are done
    expect(other.get_by_text("nothing is at work").first).to_be_visible(timeout=PATIENT)
    _until(other, lambda: _fits(resumed) == (0, 0))  # the title no longer counts what is all done
    expect(resumed).to_contain_text("on its training rows", timeout=PATIENT)
    for route in held:
        route.continue_()
    scored = other.get_by_role("combobox", name="Scored by")
    expect(scored).to_have_value("ROC AUC", timeout=PATIENT)
    other.get_by_text("Continue the curves").click()
    expect(other).to_have_url(re.compile("learn_project=False"), timeout=PATIENT)
    wait_until_idle(other)
    assert held and "learn_scored" not in other.url  # what lists show is nobody's choice
    expect(resumed).to_contain_text("ROC AUC by training size")
    _clean(other)
    other.screenshot(path=screenshots / "learning-sizes.png", full_page=True)
    other.context.close()
