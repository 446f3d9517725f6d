"""The launcher: its options, its environment, and real servers that start and stop."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit import config

from dashboard import launcher
from dashboard.errors import ParameterError
from dashboard.settings import Settings
from tests.browser import ROOT, dashboard_command, free_port, serving

# Prints what the numeric libraries really use, once the server runs the script.
PROBE = """
import json, os
import numpy
import streamlit as st
import threadpoolctl
facts = {
    "threads": [pool["num_threads"] for pool in threadpoolctl.threadpool_info()],
    "wait": os.environ["OMP_WAIT_POLICY"],
    "options": {
        name: st.get_option(name)
        for name in ("theme.font", "theme.headingFontSizes", "server.allowedHosts")
    },
}
print("FACTS " + json.dumps(facts), flush=True)
"""

RUN = """
import sys
from pathlib import Path
from dashboard import launcher
sys.exit(launcher.run(port=int(sys.argv[1]), open_browser=False, script=Path(sys.argv[2])))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "probe.py"
    path.write_text(PROBE, encoding="utf-8")
    return path


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`run` writes to os.environ and to signal handlers; both are put back."""
    before = dict(os.environ)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(launcher, "_end_soon", lambda: None)  # it would end the test run
    yield
    os.environ.clear()
    os.environ.update(before)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@contextlib.contextmanager
def taken(port: int = 0) -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        yield other.getsockname()[1]


def flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in table.items():
        key = f"{prefix}{name}"
        result.update(flat(value, key + ".") if isinstance(value, dict) else {key: value})
    return result


# --- options ------------------------------------------------------------------------------------


def test_config_file_repeats_the_launchers_options() -> None:
    text = (ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8")
    assert flat(tomllib.loads(text)) == launcher.OPTIONS


def test_upload_limit_port_and_address_are_the_settings_defaults() -> None:
    assert launcher.OPTIONS["server.maxUploadSize"] == Settings().upload_limit_mb
    assert launcher.OPTIONS["server.port"] == Settings().port
    assert launcher.OPTIONS["server.address"] == Settings().address


def test_streamlit_knows_every_option_and_reads_our_variable() -> None:
    known = config._config_options_template
    for name in launcher.OPTIONS:
        assert name in known, name
        assert launcher._variable(name) == known[name].env_var, name


def test_safety_options() -> None:
    options = launcher.OPTIONS
    assert options["client.showErrorDetails"] == "none"
    assert options["browser.gatherUsageStats"] is False
    assert options["server.enableXsrfProtection"] is True
    assert options["server.enableAgentApi"] is False
    assert options["server.address"] == "localhost"
    assert "http" not in json.dumps(options)  # no fonts or themes from elsewhere


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_theme_has_enough_contrast(theme: str) -> None:
    colours = {
        name.rpartition(".")[2]: str(value)
        for name, value in launcher.OPTIONS.items()
        if name.startswith(f"theme.{theme}.")
    }
    assert contrast("#ffffff", colours["primaryColor"]) >= 4.5  # text of primary buttons
    assert contrast(colours["primaryColor"], colours["backgroundColor"]) >= 3
    for surface in ("backgroundColor", "secondaryBackgroundColor"):
        assert contrast(colours["textColor"], colours[surface]) >= 7
        assert contrast(colours["linkColor"], colours[surface]) >= 4.5


def test_server_environment_takes_settings_address_and_port() -> None:
    texts = launcher.server_environment(Settings(upload_limit_mb=7), "localhost", 9000)
    assert texts["STREAMLIT_SERVER_PORT"] == "9000"
    assert texts["STREAMLIT_SERVER_MAX_UPLOAD_SIZE"] == "7"
    assert texts["STREAMLIT_SERVER_ENABLE_XSRF_PROTECTION"] == "true"
    assert texts["STREAMLIT_SERVER_ALLOWED_HOSTS"].split() == ["localhost", "127.0.0.1", "[::1]"]


def test_other_addresses_accept_other_host_names() -> None:
    texts = launcher.server_environment(Settings(), "0.0.0.0", 9000)
    assert texts["STREAMLIT_SERVER_ALLOWED_HOSTS"] == "*"


# --- environment of numeric libraries -----------------------------------------------------------


def test_numeric_environment_caps_threads() -> None:
    given = launcher.numeric_environment(Settings(threads=3))
    assert given["OMP_WAIT_POLICY"] == "PASSIVE"
    assert {given[name] for name in given if name.endswith("_THREADS")} == {"3"}
    assert launcher.numeric_environment(Settings(threads=0))["OMP_NUM_THREADS"] == "1"


def test_prepare_environment_keeps_what_a_person_set() -> None:
    import numpy  # noqa: F401

    environment = {"OMP_NUM_THREADS": "16"}
    late = launcher.prepare_environment(Settings(), environment)
    assert environment["OMP_NUM_THREADS"] == "16"
    assert environment["OPENBLAS_NUM_THREADS"] == "2"
    assert "numpy" in late


# --- ports and addresses ------------------------------------------------------------------------


def test_find_port_takes_the_wanted_one_when_free() -> None:
    wanted = free_port()
    assert launcher.find_port("localhost", wanted) == wanted


def test_find_port_takes_the_next_one_when_taken() -> None:
    with taken() as port:
        assert launcher.find_port("localhost", port) > port


def test_find_port_any() -> None:
    port = launcher.find_port("localhost", 0)
    assert 0 < port < 65536


def test_find_port_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "PORTS_TRIED", 1)
    with taken() as port, pytest.raises(ParameterError, match="No port from"):
        launcher.find_port("localhost", port)


@pytest.mark.parametrize("port", [-1, 70000])
def test_impossible_port(port: int) -> None:
    with pytest.raises(ParameterError, match="from 0 to 65535"):
        launcher.find_port("localhost", port)


def test_unknown_address() -> None:
    with pytest.raises(ParameterError, match="Choose another with --address"):
        launcher.find_port("no.such.host.invalid", 8501)


def test_address_of_another_machine() -> None:
    # 192.0.2.0/24 is reserved for documentation: never an address of this machine.
    with pytest.raises(ParameterError, match=r"192\.0\.2\.1"):
        launcher.find_port("192.0.2.1", 8501)


# --- browser ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"BROWSER": "wslview"}, "linux", True),
        ({}, "linux", False),
        ({"SSH_CONNECTION": "1 2 3 4"}, "linux", False),
        ({"SSH_CONNECTION": "1 2 3 4", "DISPLAY": "localhost:10.0"}, "linux", True),
        ({}, "darwin", True),
        ({"SSH_CONNECTION": "1 2 3 4"}, "darwin", False),
        ({}, "win32", True),
        ({"CI": "true", "DISPLAY": ":0"}, "linux", False),
    ],
)
def test_has_browser(environment: dict[str, str], platform: str, expected: bool) -> None:
    assert launcher.has_browser(environment, platform) is expected


@pytest.mark.parametrize(
    ("address", "sample", "expected"),
    [
        ("localhost", None, "http://localhost:1/"),
        ("127.0.0.1", None, "http://localhost:1/"),
        ("0.0.0.0", None, "http://localhost:1/"),
        ("::", None, "http://localhost:1/"),
        ("10.0.0.5", None, "http://10.0.0.5:1/"),
        ("fe80::1", None, "http://[fe80::1]:1/"),
        ("localhost", "is it a 5?", "http://localhost:1/?sample=is+it+a+5%3F"),
    ],
)
def test_page_url(address: str, sample: str | None, expected: str) -> None:
    assert launcher._page_url(address, 1, sample) == expected


# --- run, with a stand-in for Streamlit's command line ------------------------------------------


def serve_health(script: Path) -> int:
    """Answers the health check on the chosen port, as Streamlit would, then ends."""
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *parts: object) -> None:
            pass

    port = int(os.environ["STREAMLIT_SERVER_PORT"])
    with HTTPServer(("127.0.0.1", port), Health) as web:
        web.handle_request()
    for thread in threading.enumerate():
        if thread.name == "announce":
            thread.join(10)
    return 0


@pytest.mark.usefixtures("clean_environment")
def test_run_prints_the_address_and_opens_the_browser(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(launcher.webbrowser, "open", opened.append)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    with taken() as port:
        assert launcher.run(port=port, sample="digits", serve=serve_health) == 0
    said = capsys.readouterr().out
    assert f"Port {port} is taken; using " in said
    assert "Sidelight is ready: http://localhost:" in said
    assert "Sidelight has stopped." in said
    assert opened[0].startswith("http://localhost:")
    assert opened[0].endswith("/?sample=digits")


@pytest.mark.usefixtures("clean_environment")
def test_run_serves_the_app_beside_the_launcher() -> None:
    seen: list[Path] = []

    def serve(script: Path) -> int:
        seen.append(script)
        return 3

    assert launcher.run(port=0, open_browser=False, serve=serve) == 3
    assert seen == [ROOT / "dashboard" / "app.py"]


@pytest.mark.usefixtures("clean_environment")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_before_streamlit_listens_to_signals(number: signal.Signals) -> None:
    def serve(script: Path) -> int:
        signal.raise_signal(number)
        return 3

    with pytest.raises(SystemExit) as end:
        launcher.run(port=0, open_browser=False, serve=serve)
    assert end.value.code == 0


def test_announce_gives_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launcher, "START_SECONDS", 0.0)
    launcher._announce("http://localhost:1/", "localhost", free_port(), None)
    assert "has not answered" in capsys.readouterr().out


# --- real servers -------------------------------------------------------------------------------


def run_command(port: int, script: Path) -> list[str]:
    return [sys.executable, "-c", RUN, str(port), str(script)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_server_stops_cleanly(script: Path, tmp_path: Path, number: signal.Signals) -> None:
    port = free_port()
    # From another working directory, with only the path to find the package by.
    places = {"PYTHONPATH": str(ROOT)}
    command = run_command(port, script)
    with serving(command, port, tmp_path / "log", folder=tmp_path, environment=places) as server:
        server.process.send_signal(number)
        assert server.process.wait(60) == 0
        assert "Sidelight has stopped." in server.output
        assert "Traceback" not in server.output


def test_two_servers_at_once(script: Path, tmp_path: Path) -> None:
    with taken() as port:
        process = subprocess.Popen(
            run_command(port, script),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        assert f"Port {port} is taken; using " in process.stdout.readline()
        assert "Sidelight is ready" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0


def test_the_servers_own_page_refuses_other_host_names(script: Path, tmp_path: Path) -> None:
    port = free_port()
    with serving(run_command(port, script), port, tmp_path / "log") as server:
        for host, expected in ((f"localhost:{port}", 101), ("evil.example", 403)):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
                request = (
                    f"GET /_stcore/stream HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                )
                line.sendall(request.encode())
                assert int(line.recv(4096).split()[1]) == expected, host
        assert server.stop() == 0


@pytest.mark.browser
def test_script_sees_caps_and_options(
    script: Path, tmp_path: Path, browser: Any, traffic: Any
) -> None:
    port = free_port()
    with serving(run_command(port, script), port, tmp_path / "log") as server:
        page = browser.new_page()
        traffic.watch(page)
        page.goto(server.url)
        give_up = time.monotonic() + 60
        while "FACTS" not in server.output and time.monotonic() < give_up:
            page.wait_for_timeout(100)
        page.close()
        line = next(part for part in server.output.splitlines() if part.startswith("FACTS "))
        facts = json.loads(line.removeprefix("FACTS "))
        assert set(facts["threads"]) == {Settings().threads}
        assert facts["wait"] == "PASSIVE"
        for name, value in facts["options"].items():
            given = json.loads(value) if str(value)[:2] == '["' else value
            assert given == launcher.OPTIONS[name], name
        assert server.stop() == 0


def test_command_line_reports_an_impossible_port_in_one_sentence() -> None:
    command = [*dashboard_command(0)[:-1], "99999"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "sidelight: A port is a number from 0 to 65535, got 99999. Choose another with --port."
    )


def test_a_computation_that_never_ends_does_not_keep_the_process() -> None:
    code = (
        "import threading, time\n"
        "from dashboard import launcher\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "launcher._end_soon(0.2)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=90, check=False)
    assert done.returncode == 0


def test_answers_leave_when_they_are_made() -> None:
    from streamlit.web.server.starlette import starlette_server

    bind = starlette_server._bind_socket
    try:
        launcher._send_at_once()
        launcher._send_at_once()  # a second call changes nothing
        listening = starlette_server._bind_socket("127.0.0.1", 0, 5)
        with listening, socket.create_connection(listening.getsockname()):
            listening.setblocking(True)
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    finally:
        starlette_server._bind_socket = bind
