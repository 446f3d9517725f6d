"""What a command says on stderr while it works."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pandas as pd
import pytest
import skops.io
from sklearn.neighbors import KNeighborsRegressor

from dashboard import command_progress
from dashboard.__main__ import main
from dashboard.command_progress import telling
from dashboard.sandbox.processes import tell_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Within a test: pytest sets its own stream when one begins."""
    seen = Terminal()
    monkeypatch.setattr(sys, "stderr", seen)
    return seen


def test_a_terminal_sees_one_line_that_is_written_over_and_taken_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = _terminal(monkeypatch)
    monkeypatch.setattr(command_progress, "SHOWN_EVERY", 0.0)
    with pytest.raises(ValueError, match="stopped"), telling():
        tell_progress(1, 9, "1 of 9 rows")
        tell_progress(2, 9, "2 of 9")
        raise ValueError("stopped")
    # also after a failure, whose sentence begins at the margin
    assert terminal.getvalue() == "\r1 of 9 rows\r2 of 9     \r           \r"


def test_a_log_gets_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with telling():
        tell_progress(1, 9, "1 of 9 rows")  # before ten seconds are over
    assert not capsys.readouterr().err
    monkeypatch.setattr(command_progress, "LOGGED_EVERY", 0.0)
    heard: list[str] = []
    with telling(lambda: heard.append("news")):
        tell_progress(1, 9, "1 of 9 rows")
        tell_progress(2, 9, "2 of 9")
    assert capsys.readouterr().err == "1 of 9 rows\n2 of 9\n"
    assert heard == ["news", "news"]


@pytest.mark.parametrize("command", ["explain", "importances"])
def test_commands_that_take_long_say_how_far_they_are(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = _terminal(monkeypatch)
    table = pd.DataFrame(
        {"a": range(40), "b": [3, 1, 4, 1] * 10, "y": [i * 1.1 for i in range(40)]}
    )
    model = KNeighborsRegressor(3).fit(table[["a", "b"]], table["y"])
    skops.io.dump(model, tmp_path / "near.skops")
    table.to_csv(tmp_path / "d.csv", index=False)
    asked = [command, "--data", str(tmp_path / "d.csv"), "--target", "y"]
    out = ["--output", str(tmp_path / "o.json")]
    assert main([*asked, "--model", str(tmp_path / "near.skops"), *out]) == 0
    said = {"explain": "\rMeasuring Exact", "importances": "\rShuffling one feature"}[command]
    assert said in terminal.getvalue()
    assert terminal.getvalue().endswith(" \r")
