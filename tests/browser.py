"""Finding a browser, and what a browser test needs around it: a server, watched pages, axe.

`python -m tests.browser` prints the browser that the tests use, and installs one if need be.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
# Opened at /page, Streamlit's own front end looks for its server under /page/ first, gets two
# 404s, and finds it under / then.
DEEP_LINK = re.compile(r"//[^/]+/[^/]+/_stcore/(health|host-config)$")
LOCAL = {"localhost", "127.0.0.1", "[::1]", "::1"}

# --no-sandbox: Chromium refuses to start as root otherwise, as in most containers. The rest
# keeps it from calling home, which the tests would count against us.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

COMMANDS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "msedge",
)
MAC_APPS = ("Google Chrome", "Chromium", "Microsoft Edge")
WINDOWS_APPS = (
    r"Google\Chrome\Application\chrome.exe",
    r"Chromium\Application\chrome.exe",
    r"Microsoft\Edge\Application\msedge.exe",
)


class NoBrowserError(Exception):
    """There is no browser and none could be installed; the message says what was tried."""


def candidates(
    environment: Mapping[str, str], platform: str, which: Callable[[str], str | None]
) -> Iterator[Path]:
    """Where a Chrome, Chromium or Edge may be, the best first."""
    for command in COMMANDS:
        found = which(command)
        if found:
            yield Path(found)
    if platform == "darwin":
        for folder in ("/Applications", f"{environment.get('HOME', '')}/Applications"):
            for app in MAC_APPS:
                yield Path(f"{folder}/{app}.app/Contents/MacOS/{app}")
    if platform == "win32":
        for variable in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"):
            for app in WINDOWS_APPS:
                if environment.get(variable):
                    yield Path(environment[variable]) / app


def find_browser(
    environment: Mapping[str, str] = os.environ,
    platform: str = sys.platform,
    which: Callable[[str], str | None] = shutil.which,
    exists: Callable[[Path], bool] = Path.exists,
) -> Path | None:
    """An installed browser; `SIDELIGHT_BROWSER` wins, and must exist when it is set."""
    chosen = environment.get("SIDELIGHT_BROWSER")
    if chosen:
        path = Path(chosen)
        if not exists(path):
            raise NoBrowserError(f"SIDELIGHT_BROWSER names {chosen}, which does not exist.")
        return path
    return next((path for path in candidates(environment, platform, which) if exists(path)), None)


def package_commands(
    which: Callable[[str], str | None] = shutil.which, is_root: bool | None = None
) -> list[list[str]]:
    """The commands that install Debian's Chromium; none where that is not allowed."""
    if which("apt-get") is None:
        return []
    if is_root is None:
        is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    prefix = [] if is_root else ["sudo", "--non-interactive"]
    if prefix and which("sudo") is None:
        return []
    install = ["apt-get", "install", "--yes", "--no-install-recommends"]
    return [[*prefix, "apt-get", "update"], [*prefix, *install, "chromium", "fonts-dejavu-core"]]


def _succeeds(command: list[str]) -> bool:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            timeout=900,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def playwright_browser() -> Path | None:
    """The browser that Playwright downloaded for itself, if it did."""
    code = (
        "from playwright.sync_api import sync_playwright as start\n"
        "with start() as it: print(it.chromium.executable_path)"
    )
    asked = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    path = Path(asked.stdout.strip() or "nowhere")
    return path if asked.returncode == 0 and path.exists() else None


@lru_cache(maxsize=1)
def get_browser() -> Path:
    """A browser, installed first where there is none.

    Raises
    ------
    NoBrowserError : with what was tried.
    """
    found = find_browser() or playwright_browser()
    if found:
        return found
    tried = ["looked for Chrome, Chromium and Edge"]
    commands = package_commands()
    if commands:
        tried.append("asked apt-get for chromium")
        # An outdated package list may still do, so only the last command has to succeed.
        if [_succeeds(command) for command in commands][-1] and (found := find_browser()):
            return found
    tried.append("asked Playwright to download one")
    if _succeeds([sys.executable, "-m", "playwright", "install", "chromium"]) and (
        found := playwright_browser()
    ):
        return found
    raise NoBrowserError(
        f"No browser for the browser tests: {', then '.join(tried)}, without success. "
        "Install Chrome or Chromium, or name one in SIDELIGHT_BROWSER."
    )


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A started server: `url` without a trailing slash, `log` the file of all it printed."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def stop(self, seconds: float = 60) -> int:
        """Ask it to stop as a person's Ctrl+C would; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT if os.name != "nt" else signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def is_up(url: str) -> bool:
    """Whether the server answers its health check."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/_stcore/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextlib.contextmanager
def serving(
    command: list[str],
    port: int,
    log: Path,
    *,
    folder: Path = ROOT,
    environment: Mapping[str, str] | None = None,
    seconds: float = 60,
) -> Iterator[Server]:
    """Run a server command until the block ends; it is killed if it does not stop by itself."""
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "NO_COLOR": "1", **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    server = Server(f"http://localhost:{port}", log, process)
    try:
        give_up = time.monotonic() + seconds
        while not is_up(server.url):
            if process.poll() is not None or time.monotonic() > give_up:
                raise AssertionError(f"The server did not come up:\n{server.output}")
            time.sleep(0.05)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def dashboard_command(port: int) -> list[str]:
    """The command a person types, without the browser."""
    return [sys.executable, "-m", "dashboard", "run", "--no-browser", "--port", str(port)]


@dataclass
class Traffic:
    """What pages said and asked for while they were watched."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def watch(self, page: Any) -> None:
        """Record console errors, uncaught exceptions, failed answers and every request."""
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.errors.append(f"page error: {error}"))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda socket_: self.requests.append(socket_.url))

    def _hear(self, message: Any) -> None:
        url = message.location.get("url", "")
        if message.type == "error" and not ("404" in message.text and DEEP_LINK.search(url)):
            self.errors.append(f"console error: {message.text} ({url})")

    def outside(self) -> list[str]:
        """Requests to anything but this machine."""
        return [
            url
            for url in self.requests
            if urlsplit(url).scheme not in ("data", "blob", "about")
            and urlsplit(url).hostname not in LOCAL
        ]


SETTLE = 0.3
_POLL_MS = 50  # each frame would keep a processor busy, with the text of a page above all
_IS_IDLE = """(settle) => {
    const app = document.querySelector('[data-testid=stApp]');
    const main = document.querySelector('[data-testid=stMain]');
    const idle = app && main
        && app.getAttribute('data-test-script-state') === 'notRunning'
        && !document.querySelector('[data-testid=stSkeleton]')
        && !document.querySelector('[data-stale=true]')
        && main.innerText.trim() !== '';
    const now = performance.now();
    if (!idle) window.idleSince = undefined;
    else if (window.idleSince === undefined) window.idleSince = now;
    return idle && now - window.idleSince >= settle;
}"""


def wait_until_idle(page: Any, seconds: float = 60) -> None:
    """Wait until Streamlit has drawn the page and has run no script for `SETTLE` seconds.

    The quiet time matters: right after a click the script has not started yet.
    """
    page.evaluate("() => { window.idleSince = undefined }")
    timeout = seconds * 1000
    page.wait_for_function(_IS_IDLE, arg=SETTLE * 1000, timeout=timeout, polling=_POLL_MS)


@lru_cache(maxsize=1)
def _axe_source() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def axe_violations(page: Any) -> dict[str, list[str]]:
    """Accessibility rules that the page breaks now → the elements that break them (axe-core)."""
    page.evaluate(_axe_source())
    result = page.evaluate("async () => (await axe.run(document)).violations")
    return {
        rule["id"]: [" ".join(map(str, node["target"])) for node in rule["nodes"]]
        for rule in result
    }


# A plain Streamlit app with the kinds of parts that ours has, and none of our code.
STOCK_APP = """
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

def home():
    st.title("Stock")
    st.caption("A caption")
    st.file_uploader("File", accept_multiple_files=True)
    left, right = st.columns(2)
    left.selectbox("Select", ["a", "b"])
    right.slider("Slider", 0.0, 1.0, 0.5)
    right.segmented_control("Segments", ["a", "b"], default="a")
    left.multiselect("Several", ["a", "b"], default=["a"])
    st.checkbox("Check")
    st.toggle("Toggle")
    st.radio("Radio", ["a", "b"], horizontal=True)
    st.metric("Metric", 1.5, 0.5)
    st.dataframe(pd.DataFrame({"a": [1, 2]}))
    st.plotly_chart(go.Figure(go.Scatter(x=[1, 2], y=[3, 4])), alt="A line that rises")
    st.button("Button", type="primary")
    st.download_button("Download", "text")
    st.info("Info")
    st.warning("Warning")
    st.success("Success")
    first, second = st.tabs(["One", "Two"])
    first.write("One")
    second.write("Two")
    with st.expander("More"):
        st.write("More")
    with st.popover("Popover"):
        st.write("Inside")
    with st.sidebar:
        st.subheader("Sidebar")
        st.text_input("Text")
        st.number_input("Number")

def other():
    st.write("Other")

st.set_page_config(page_title="Stock", layout="wide")
st.navigation([
    st.Page(home, title="Home", icon=":material/home:", default=True),
    st.Page(other, title="Other", icon=":material/target:"),
]).run()
"""


def stock_command(script: Path, port: int) -> list[str]:
    """Streamlit's own command line on a script, with its default theme."""
    return [
        *(sys.executable, "-m", "streamlit", "run", str(script)),
        *("--server.port", str(port), "--server.headless", "true"),
        *("--server.address", "localhost", "--browser.gatherUsageStats", "false"),
    ]


if __name__ == "__main__":
    try:
        print(f"The browser tests use {get_browser()}.")
    except NoBrowserError as problem:
        sys.exit(str(problem))
