"""The benchmark runner: its tables, its file, its complaints. The numbers are `make bench`."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import __main__ as runner


def test_table_has_every_column_and_escapes_bars() -> None:
    rows: list[dict[str, object]] = [{"rows": 10, "time": "1 s"}, {"rows": 20, "note": "a|b"}]
    assert runner.as_markdown(rows).splitlines() == [
        "| rows | time | note |",
        "| --- | --- | --- |",
        "| 10 | 1 s |  |",
        "| 20 |  | a\\|b |",
    ]


def test_section_is_replaced_and_the_rest_stays() -> None:
    text = "a\n<!-- x -->\nold\n<!-- end of x -->\nb\n"
    changed = runner.replace_section(text, "x", "new")
    assert changed == "a\n<!-- x -->\nnew\n<!-- end of x -->\nb\n"
    assert runner.replace_section(changed, "x", "new") == changed


def test_section_that_is_missing() -> None:
    with pytest.raises(SystemExit, match="no place for y"):
        runner.replace_section("", "y", "new")


def test_readme_has_a_place_for_each_benchmark() -> None:
    text = runner.README.read_text(encoding="utf-8")
    for name in runner.NAMES:
        assert runner.replace_section(text, name, "new") != text
        assert (Path(runner.__file__).parent / f"{name}.py").exists()


def test_facts_name_versions_and_no_host() -> None:
    import socket

    assert "Python 3." in runner.facts()
    assert socket.gethostname() not in runner.facts()


def test_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        runner.main(["nothing"])
    assert "no benchmark nothing; there are thresholds, server, workers" in capsys.readouterr().err
