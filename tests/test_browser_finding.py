"""Which browser the tests take, and what they do where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import browser
from tests.browser import NoBrowserError, Traffic, find_browser, package_commands


def nothing(command: str) -> str | None:
    return None


def only(*commands: str):
    return lambda command: f"/usr/bin/{command}" if command in commands else None


def always(path: Path) -> bool:
    return True


def test_named_browser_wins() -> None:
    environment = {"SIDELIGHT_BROWSER": "/opt/mine"}
    assert find_browser(environment, "linux", only("chromium"), always) == Path("/opt/mine")


def test_named_browser_must_exist() -> None:
    with pytest.raises(NoBrowserError, match="SIDELIGHT_BROWSER names /opt/mine"):
        find_browser({"SIDELIGHT_BROWSER": "/opt/mine"}, "linux", nothing, lambda path: False)


@pytest.mark.parametrize("command", ["chromium", "chromium-browser", "google-chrome"])
def test_command_on_the_path(command: str) -> None:
    assert find_browser({}, "linux", only(command), always) == Path(f"/usr/bin/{command}")


def test_chromium_before_chrome() -> None:
    which = only("google-chrome", "chromium")
    assert find_browser({}, "linux", which, always) == Path("/usr/bin/chromium")


def test_mac_app_of_one_user() -> None:
    wanted = Path("/Users/ada/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
    found = find_browser({"HOME": "/Users/ada"}, "darwin", nothing, lambda path: path == wanted)
    assert found == wanted


def test_windows_program() -> None:
    environment = {"PROGRAMFILES": "/c/Program Files", "LOCALAPPDATA": "/c/Users/ada/AppData"}
    found = find_browser(environment, "win32", nothing, lambda path: "AppData" in str(path))
    assert found is not None
    assert str(found).startswith("/c/Users/ada/AppData")
    assert "chrome.exe" in str(found)


def test_none() -> None:
    assert find_browser({}, "linux", nothing, always) is None


def test_packages_as_root_and_with_sudo() -> None:
    as_root = package_commands(only("apt-get"), is_root=True)
    assert as_root[0] == ["apt-get", "update"]
    assert as_root[1][:2] == ["apt-get", "install"]
    assert "chromium" in as_root[1]
    with_sudo = package_commands(only("apt-get", "sudo"), is_root=False)
    assert with_sudo[0] == ["sudo", "--non-interactive", "apt-get", "update"]


def test_no_packages_without_rights_or_apt() -> None:
    assert package_commands(only("apt-get"), is_root=False) == []
    assert package_commands(nothing, is_root=True) == []


@pytest.fixture
def empty_machine(monkeypatch: pytest.MonkeyPatch):
    """No browser anywhere; every command that is run is recorded."""
    ran: list[list[str]] = []
    browser.get_browser.cache_clear()
    monkeypatch.setattr(browser, "find_browser", lambda: None)
    monkeypatch.setattr(browser, "playwright_browser", lambda: None)
    monkeypatch.setattr(browser, "package_commands", lambda: [["update"], ["install"]])
    monkeypatch.setattr(browser, "_succeeds", lambda command: ran.append(command))
    yield ran
    browser.get_browser.cache_clear()


def test_says_what_was_tried(empty_machine: list[list[str]]) -> None:
    with pytest.raises(NoBrowserError, match=r"apt-get for chromium, then asked Playwright"):
        browser.get_browser()
    assert [command[-1] for command in empty_machine] == ["update", "install", "chromium"]


def test_installs_a_package(empty_machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers = iter([None, tmp_path])
    monkeypatch.setattr(browser, "find_browser", lambda: next(answers))
    monkeypatch.setattr(browser, "_succeeds", lambda command: command == ["install"])
    assert browser.get_browser() == tmp_path


def test_downloads_one(empty_machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers = iter([None, tmp_path])
    monkeypatch.setattr(browser, "playwright_browser", lambda: next(answers))
    monkeypatch.setattr(browser, "_succeeds", lambda command: "playwright" in command)
    assert browser.get_browser() == tmp_path


def test_outside_requests() -> None:
    traffic = Traffic(
        requests=[
            "http://localhost:8501/",
            "ws://127.0.0.1:8501/_stcore/stream",
            "data:image/png;base64,AA",
            "blob:http://localhost:8501/1",
            "https://fonts.example/a.woff2",
        ]
    )
    assert traffic.outside() == ["https://fonts.example/a.woff2"]


class Message:
    """What Playwright hands over for a line of the console."""

    def __init__(self, kind: str, text: str, url: str) -> None:
        self.type, self.text, self.location = kind, text, {"url": url}


def test_console_errors_count_but_for_streamlits_own_search() -> None:
    traffic = Traffic()
    missing = "Failed to load resource: the server responded with a status of 404 (Not Found)"
    traffic._hear(Message("error", missing, "http://localhost:1/page/_stcore/health"))
    traffic._hear(Message("error", missing, "http://localhost:1/page/_stcore/host-config"))
    traffic._hear(Message("warning", "slow", "http://localhost:1/"))
    assert traffic.errors == []
    traffic._hear(Message("error", missing, "http://localhost:1/_stcore/health"))
    traffic._hear(Message("error", "boom", "http://localhost:1/page/_stcore/health"))
    assert len(traffic.errors) == 2


class TestSkipsInContinuousIntegration:
    """A skipped test passes on a laptop and fails in CI; an expected failure passes in both."""

    SUITE = """
import pytest
{setup}
def test_skipped():
    pytest.skip("no browser here")

@pytest.mark.xfail(reason="known")
def test_expected():
    assert False
"""

    @staticmethod
    def run(tmp_path: Path, ci: str, setup: str = "") -> tuple[int, str]:
        import os
        import subprocess
        import sys

        suite = tmp_path / "test_suite.py"
        suite.write_text(TestSkipsInContinuousIntegration.SUITE.format(setup=setup))
        command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", os.devnull]
        done = subprocess.run(
            [*command, "--rootdir", str(tmp_path), "-p", "no:cacheprovider", str(suite)],
            cwd=browser.ROOT,
            env={**os.environ, "CI": ci},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def test_laptop(self, tmp_path: Path) -> None:
        code, said = self.run(tmp_path, "")
        assert code == 0
        assert "1 skipped, 1 xfailed" in said

    def test_ci(self, tmp_path: Path) -> None:
        code, said = self.run(tmp_path, "true")
        assert code == 1
        assert "1 failed, 1 xfailed" in said
        assert "In CI every test must run. Skipped: no browser here" in said

    def test_whole_module_in_ci(self, tmp_path: Path) -> None:
        setup = 'pytest.importorskip("no_such_module_anywhere")'
        code, said = self.run(tmp_path, "true", setup)
        assert code != 0
        assert "In CI every test must run" in said
