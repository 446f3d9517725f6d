"""Run the benchmarks and write their tables into benchmarks/README.md: `make bench`.

`python -m benchmarks [NAME ...] [--quick] [--full]`; a name is a module of this folder. Tables of
benchmarks that were not run stay as they are. `--quick` prints and writes nothing; `--full` takes
the largest size where there is a choice.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from inspect import signature
from pathlib import Path

Row = dict[str, object]

README = Path(__file__).with_name("README.md")
NAMES = (
    "thresholds",
    "server",
    "workers",
    "tables",
    "workspaces",
    "permutation",
    "gradients",
    "explanations",
    "logs",
    "overlay",
    "learning",
)
PACKAGES = ("numpy", "scikit-learn", "pandas", "streamlit", "plotly")


def facts() -> str:
    """The machine and the versions in one line; no names of hosts or people."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
        f"{platform.system()}, Python {platform.python_version()}, {versions}"
    )


def as_markdown(rows: Sequence[Row]) -> str:
    """A table with the columns of all rows, in the order they first appear."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    for row in rows:
        cells = (str(row.get(name, "")).replace("|", "\\|") for name in columns)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def replace_section(text: str, name: str, body: str) -> str:
    """`text` with everything between the two markers of `name` replaced."""
    opening, closing = f"<!-- {name} -->", f"<!-- end of {name} -->"
    if opening not in text or closing not in text:
        raise SystemExit(f"{README.name} has no place for {name}: add {opening} and {closing}.")
    before, _, rest = text.partition(opening)
    _, _, after = rest.partition(closing)
    return f"{before}{opening}\n{body}\n{closing}{after}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="small, and written nowhere")
    parser.add_argument("--full", action="store_true", help="the largest size there is")
    given = parser.parse_args(argv)
    unknown = set(given.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    for name in given.names or NAMES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        run = import_module(f"benchmarks.{name}").run
        sized = {"full": True} if given.full and "full" in signature(run).parameters else {}
        rows = run(quick=given.quick, **sized)
        table = as_markdown(rows)
        print(table, flush=True)
        if not given.quick:
            body = f"\n{table}\n\nMeasured {facts()}.\n"
            text = README.read_text(encoding="utf-8")
            README.write_text(replace_section(text, name, body), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
