"""Explanations as a person explores them: a click on a bar, on a point, a link, a picture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser import Server, Traffic, axe_violations, wait_until_idle

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PATIENT = 240_000
# Where the first mark with custom data lies on the screen, of the chart that holds a given text.
_A_MARK = """([text, wanted]) => {
    for (const chart of document.querySelectorAll('.js-plotly-plot')) {
        if (!chart.innerText.includes(text)) continue;
        for (const trace of chart._fullData) {
            const data = trace.customdata, layout = chart._fullLayout;
            if (!data || !data.length || trace.type.startsWith('heatmap')) continue;
            const at = Math.floor(data.length / 2);
            const name = axis => layout[axis.replace(/^([xy])/, '$1axis')];
            const x = name(trace.xaxis), y = name(trace.yaxis);
            if (wanted === 'row' && !(data[at][0] >= 0)) continue;
            if (wanted && wanted !== 'row' && trace.name !== wanted) continue;
            chart.scrollIntoView({block: 'center'});
            const box = chart.getBoundingClientRect();
            return [box.left + x._offset + x.d2p(trace.x[at]),
                    box.top + y._offset + y.d2p(trace.y[at])];
        }
    }
    return null;
}"""


def _open(page: Any, server: Server, path: str) -> None:
    page.goto(f"{server.url}/{path}")
    expect(page.get_by_test_id("stHeading").first).to_be_visible(timeout=120_000)


def _settled(page: Any) -> None:
    """Until every model has answered and nothing runs."""
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=PATIENT)
    expect(page.get_by_text("nothing is at work").first).to_be_visible(timeout=PATIENT)
    expect(page.get_by_text("so far ·")).to_have_count(0, timeout=PATIENT)
    wait_until_idle(page, 120)


def _click(page: Any, chart: str, wanted: str = "") -> None:
    page.evaluate(_A_MARK, [chart, wanted])  # scrolls there
    page.wait_for_timeout(400)
    place = page.evaluate(_A_MARK, [chart, wanted])
    assert place, f"No mark in a chart with {chart!r}."
    page.mouse.move(*place)
    page.wait_for_timeout(150)
    page.mouse.click(*place)


def _clean(page: Any) -> None:
    assert "Traceback" not in page.inner_text("body")
    assert page.get_by_test_id("stException").count() == 0
    assert page.get_by_test_id("stAlertContentError").count() == 0


def _accessible(page: Any, known: frozenset[str]) -> None:
    """Nothing that stock Streamlit does not break as well."""
    found = axe_violations(page)
    assert set(found) <= known, {k: v for k, v in found.items() if k not in known}


def _captions(page: Any) -> list[str]:
    found: list[str] = page.get_by_test_id("stCaptionContainer").all_inner_texts()
    return [one for one in found if "adds up" in one or "add up" in one]


MODELS = ("Logistic regression", "Histogram boosting", "Random forest", "Keras network")


def test_from_importances_to_a_feature_to_a_row_to_a_link(
    page: Any,
    server: Server,
    browser: Any,
    traffic: Traffic,
    screenshots: Path,
    axe_baseline: frozenset[str],
) -> None:
    _open(page, server, "importances?sample=loans&rows=first")
    _settled(page)
    how = page.locator("table.sl-how tbody tr")
    assert how.count() == 4
    for name in MODELS:
        expect(how.filter(has_text=name)).to_be_visible()
    expect(page.locator(".sl-headline")).to_contain_text("most on")
    _accessible(page, axe_baseline)
    page.screenshot(path=screenshots / "importances.png", full_page=True)

    _click(page, "Mean |")
    heading = page.get_by_test_id("stHeading").filter(has_text="moves the answers")
    expect(heading).to_be_visible(timeout=120_000)
    wait_until_idle(page, 120)
    expect(page).to_have_url(re.compile(r"feature=\w+"), timeout=60_000)
    page.screenshot(path=screenshots / "importances-dependence.png", full_page=True)

    _click(page, "What ", "row")
    expect(page.get_by_text("Why this row?")).to_be_visible(timeout=120_000)
    _settled(page)
    expect(page).to_have_url(re.compile(r"one_row.*row=\d+"), timeout=60_000)
    expect(page.locator("table.sl-how tbody tr")).to_have_count(4)
    said = page.locator(".sl-headline").inner_text()
    captions = _captions(page)
    assert captions and all(name in captions[0] for name in MODELS)
    _clean(page)
    _accessible(page, axe_baseline)
    page.screenshot(path=screenshots / "one-row.png", full_page=True)

    other = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    traffic.watch(other)
    other.goto(page.url)
    _settled(other)
    assert other.locator(".sl-headline").inner_text() == said
    assert _captions(other) == captions
    other.context.close()


def test_a_digit_is_explained_by_a_picture(page: Any, server: Server, screenshots: Path) -> None:
    # the other models of the sample would be explained, too, and are on the other pages
    _open(page, server, "one_row?sample=digits&row=3&rows=first&models=network.keras")
    _settled(page)
    expect(page.locator(".js-plotly-plot .heatmaplayer image").first).to_be_visible(timeout=120_000)
    expect(page.locator("table.sl-how")).to_contain_text("Small convolution network")
    _clean(page)
    page.screenshot(path=screenshots / "one-row-digits.png", full_page=True)


@pytest.mark.parametrize("page_name", ["importances", "explanations", "one_row"])
def test_predictions_alone_say_that_a_model_is_needed(
    page: Any, server: Server, page_name: str
) -> None:
    _open(page, server, f"{page_name}?sample=churn_predictions")
    wait_until_idle(page)
    expect(page.get_by_text("needs a model").first).to_be_visible(timeout=120_000)
    _clean(page)


@pytest.mark.slow
def test_a_click_on_any_chart_goes_on(page: Any, server: Server) -> None:
    """A tile to a row near it; a rule of LIME, a pair of features and a line to their chart."""
    some = "sample=diabetes&rows=first&row=5"
    _open(page, server, f"explanations?{some}&feature=bmi&second=s5")
    _settled(page)
    _click(page, "Joint partial dependence", "tiles")
    expect(page.get_by_text("Why this row?")).to_be_visible(timeout=120_000)
    _settled(page)
    for path, chart, trace, choice in (
        (f"one_row?{some}&beside=lime", "LIME: row", "", r"feature="),
        (f"explanations?{some}&closer=interactions", "work together", "cells", r"second="),
        (f"explanations?{some}&feature=bmi", "Partial dep", "Linear regression", r"feature=bmi"),
    ):
        _open(page, server, path)
        _settled(page)
        _click(page, chart, trace)
        feature = page.get_by_test_id("stHeading").filter(has_text="One feature")
        expect(feature).to_be_in_viewport(timeout=120_000)
        expect(page).to_have_url(re.compile(choice), timeout=60_000)
        _clean(page)
