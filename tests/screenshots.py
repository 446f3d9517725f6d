"""Take the pictures of docs/screenshots, or a full set for review: `make screenshots`.

`make screenshots ARGS="--all FOLDER"` writes every sample and page, light and dark, at
1280 × 800 and 1920 × 1080, whole pages, into a folder of your choice.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.browser import (
    ARGUMENTS,
    ROOT,
    Traffic,
    dashboard_command,
    free_port,
    get_browser,
    serving,
    wait_until_idle,
)

FOLDER = ROOT / "docs" / "screenshots"
SIZES = ((1280, 800), (1920, 1080))
THEMES = ("light", "dark")


@dataclass(frozen=True)
class Shot:
    """One picture: `path` is what follows the server's address."""

    name: str
    path: str
    theme: str = "light"
    size: tuple[int, int] = (1280, 800)
    whole: bool = False


DOCS = (
    Shot("home-light", "?sample=loans"),
    Shot("performance-light", "performance?sample=loans"),
    Shot("performance-dark", "performance?sample=loans", "dark"),
    Shot("digits-light", "performance?sample=digits", whole=True),
    Shot("five-light", "performance?sample=five", whole=True),
    Shot("diabetes-light", "performance?sample=diabetes", whole=True),
)


def every_shot() -> Iterator[Shot]:
    """All samples × pages × themes × sizes."""
    manifest = json.loads((ROOT / "sample_models" / "manifest.json").read_text(encoding="utf-8"))
    samples = manifest.get("samples", manifest)
    keys = list(samples) if isinstance(samples, dict) else [one["key"] for one in samples]
    for key in keys:
        for page in ("", "performance"):
            for theme in THEMES:
                for size in SIZES:
                    name = f"{page or 'home'}-{key}-{theme}-{size[0]}"
                    yield Shot(name, f"{page}?sample={key}", theme, size, whole=True)


def _whole_height(page: Any) -> int:
    """Height at which Streamlit's scrolling pane shows everything."""
    return int(
        page.evaluate(
            "() => { const pane = document.querySelector('[data-testid=stMain]');"
            " return pane ? pane.scrollHeight : document.body.scrollHeight }"
        )
    )


def take(browser: Any, url: str, shot: Shot, folder: Path) -> list[str]:
    """Save one picture; what went wrong on the page meanwhile."""
    width, height = shot.size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=shot.theme
    )
    page, traffic = context.new_page(), Traffic()
    traffic.watch(page)
    page.goto(f"{url}/{shot.path}")
    wait_until_idle(page, 120)
    if "performance" in shot.path:
        page.locator(".js-plotly-plot .main-svg").first.wait_for(timeout=60_000)
    page.wait_for_timeout(500)  # fonts and chart transitions
    if shot.whole:
        page.set_viewport_size({"width": width, "height": max(height, _whole_height(page))})
        wait_until_idle(page)
        page.wait_for_timeout(500)
    page.screenshot(path=folder / f"{shot.name}.png", animations="disabled")
    context.close()
    return [f"{shot.name}: {problem}" for problem in (*traffic.errors, *traffic.outside())]


def main(argv: Sequence[str] | None = None) -> int:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(prog="python -m tests.screenshots", description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="the full set, written there")
    parser.add_argument("--only", default="", metavar="TEXT", help="pictures with TEXT in the name")
    given = parser.parse_args(argv)
    shots = [shot for shot in (every_shot() if given.all else DOCS) if given.only in shot.name]
    folder = given.all or FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    port, problems = free_port(), []
    with (
        tempfile.TemporaryDirectory() as name,
        serving(dashboard_command(port), port, Path(name) / "log") as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=get_browser(), args=ARGUMENTS)
        for shot in shots:
            problems += take(browser, server.url, shot, folder)
            print(folder / f"{shot.name}.png", flush=True)
        browser.close()
    print("\n".join(problems), file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
