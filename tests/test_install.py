"""What `make` runs to set up: `.ci/install.py`, as far as it can be tested without installing."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.browser import ROOT


@pytest.fixture(scope="module")
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", ROOT / ".ci" / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ((3, 10, 14), False),
        ((3, 11, 0), True),
        ((3, 12, 1), True),
        ((3, 13, 9), True),
        ((3, 14, 0), False),
        ((2, 7), False),
    ],
)
def test_versions(install: ModuleType, version: tuple[int, ...], expected: bool) -> None:
    assert install.fits(version) is expected


def test_uv_takes_the_index_that_pip_takes(install: ModuleType) -> None:
    environment = {
        "PIP_INDEX_URL": "https://mirror.example/simple",
        "PIP_EXTRA_INDEX_URL": "https://one.example https://two.example",
        "PIP_FIND_LINKS": "/a /b",
        "PIP_CERT": "/etc/ssl/mirror.pem",
    }
    given = install.uv_environment(environment, {"index-url": "https://other.example"})
    assert given["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert given["UV_INDEX"] == "https://one.example https://two.example"
    assert given["UV_INDEX_STRATEGY"] == "unsafe-best-match"  # as pip does
    assert given["UV_FIND_LINKS"] == "/a,/b"
    assert given["SSL_CERT_FILE"] == "/etc/ssl/mirror.pem"


def test_uv_takes_the_index_of_pips_configuration_file(install: ModuleType) -> None:
    listing = (
        "global.index-url='https://mirror.example/simple'\n"
        "install.find-links='/a\\n/b'\n"
        ":env:.timeout='180'\n"
        "freeze.all='true'\n"
    )
    options = install.parse_pip_options(listing)
    assert options == {"index-url": "https://mirror.example/simple", "find-links": "/a /b"}
    given = install.uv_environment({}, options)
    assert given["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert given["UV_FIND_LINKS"] == "/a,/b"


def test_uvs_own_variables_win(install: ModuleType) -> None:
    environment = {"UV_DEFAULT_INDEX": "https://mine.example", "PIP_INDEX_URL": "https://x.example"}
    assert install.uv_environment(environment, {})["UV_DEFAULT_INDEX"] == "https://mine.example"


def test_nothing_configured_changes_nothing(install: ModuleType) -> None:
    assert install.uv_environment({"HOME": "/root"}, {}) == {"HOME": "/root"}


def test_broken_environment_is_noticed(install: ModuleType, tmp_path: Path) -> None:
    assert not install.works(tmp_path / "bin" / "python")
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    assert not install.works(broken)
    assert install.works(Path(sys.executable))


def test_requirements_hold_exact_versions_and_no_place() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
        assert all("==" in line or line == "-r requirements.txt" for line in lines), name
        assert "://" not in text, name
        assert "--" not in text, name
        assert "nvidia" not in text, name


def test_both_lists_agree() -> None:
    def pins(name: str) -> set[str]:
        text = (ROOT / name).read_text(encoding="utf-8")
        # on which platforms may differ: a tool may need everywhere what we need on some
        return {line.partition(";")[0].strip() for line in text.splitlines() if "==" in line}

    def names(lines: set[str]) -> set[str]:
        return {line.partition("==")[0] for line in lines}

    runtime, tools = pins("requirements.txt"), pins("requirements-dev.txt")
    common = names(runtime) & names(tools)
    assert common  # numpy and packaging at least
    for line in tools:
        if line.partition("==")[0] in common:
            assert line in runtime


def test_every_wish_is_locked() -> None:
    import re
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = {"runtime": "requirements.txt", "dev": "requirements-dev.txt"}
    for group, name in groups.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        for wish in project["dependency-groups"][group]:
            package = re.split(r"[><=;\[ ]", wish)[0]
            assert re.search(rf"^{re.escape(package)}==", text, re.MULTILINE), (
                f"run make lock: {wish}"
            )


def test_makefile_says_what_there_is() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        for target in ("run", "test", "check", "samples", "bench", "screenshots", "lock", "clean"):
            assert f"make {target} " in done.stdout


def test_bubblewrap_is_installed_where_it_may_be(install: ModuleType) -> None:
    def without(*gone: str) -> object:
        return lambda name: None if name in gone else f"/usr/bin/{name}"

    commands = install.sandbox_commands(without("bwrap"), is_root=True)
    assert [command[1] for command in commands] == ["install", "update", "install"]
    assert "bubblewrap" in commands[0]
    asked = install.sandbox_commands(without("bwrap"), is_root=False)
    assert all(command[:2] == ["sudo", "--non-interactive"] for command in asked)
    assert install.sandbox_commands(without(), is_root=True) == []  # there already
    assert install.sandbox_commands(without("bwrap", "apt-get"), is_root=True) == []
    assert install.sandbox_commands(without("bwrap", "sudo"), is_root=False) == []


def test_no_bubblewrap_stops_nothing(
    install: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    fails = [[sys.executable, "-c", "raise SystemExit(1)", "install"]]
    assert install.install_sandbox(fails) is False
    assert "apt-get install bubblewrap" in capsys.readouterr().out
    works = [[sys.executable, "-c", "", "update"], [sys.executable, "-c", "", "install"]]
    assert install.install_sandbox(fails + works) is True
    assert install.install_sandbox([["/no/such/program", "install"]]) is False
