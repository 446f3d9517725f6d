"""`import dashboard` and `python -m dashboard` stay light: heavy libraries load when used."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.browser import ROOT

SERVER = {"streamlit"}
HEAVY = {"tensorflow", "keras", "shap"}
NUMERIC = {"numpy", "scipy", "pandas", "sklearn", "pyarrow", "plotly", "skops", "numba"}


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after running `code`."""
    script = f"import json, sys\n{code}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize(
    "code",
    [
        "import dashboard",
        "import dashboard.launcher",
        "from dashboard.__main__ import build_parser; build_parser()",
    ],
)
def test_nothing_numeric_is_loaded(code: str) -> None:
    # The launcher sets variables that these libraries read once, when they load.
    assert not loaded_by(code) & (SERVER | HEAVY | NUMERIC)


def test_public_names_load_no_server_and_no_network_library() -> None:
    code = "import dashboard; [getattr(dashboard, name) for name in dashboard.__all__]"
    assert not loaded_by(code) & (SERVER | HEAVY)


def test_figures_and_diagnostics_load_no_server_and_no_network_library() -> None:
    code = "import dashboard.diagnostics, dashboard.figures"
    assert not loaded_by(code) & (SERVER | HEAVY)


def test_unknown_name_is_an_attribute_error() -> None:
    import dashboard

    with pytest.raises(AttributeError, match="no attribute 'evaluat'"):
        dashboard.evaluat


def test_help_is_quick() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dashboard", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "evaluate" in done.stdout
