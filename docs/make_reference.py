"""Write the tables of docs/reference.md from the code: `python docs/make_reference.py`.

The text around the tables is written by hand. tests/test_docs.py fails when a table is not what
this script would write.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference.md"

SETTINGS = {
    "port": "port to serve on; the next free one is taken when it is in use",
    "address": "address to bind to; `localhost` is reachable from this machine only",
    "upload_limit_mb": "largest file that the browser may upload, in MB",
    "max_rows": "rows of a data file; more are refused with a message",
    "max_columns": "columns of a data file",
    "max_classes": "classes of a target",
    "max_models": "models compared at once",
    "max_runs": "training runs read from one upload, folder or archive",
    "max_model_mb": "size of a model file, and of what it unpacks to, in MB",
    "max_archive_ratio": "how many times its size an archive may unpack to",
    "threads": "threads of the numeric libraries in one process",
    "random_state": "seed of everything that is drawn at random",
    "n_bootstrap": "resamples behind an interval",
    "confidence_level": "share of intervals that hold the true value",
    "curve_marks": "marks of a drawn curve; the data download is exact",
    "scatter_marks": "points of a scatter chart; beyond, a density is drawn",
    "matrix_classes": "classes of a drawn confusion matrix; beyond, the most confused ones",
    "cache_entries": "results kept in memory for each kind of computation",
    "home": "folder of the workspaces; empty: the user's data folder",
    "data_dir": "folder from which data too large to upload is opened; empty: not offered",
    "sandbox": "how workers are confined: `auto` (the best there is), `bubblewrap`, `landlock`, "
    "`none`",
    "trust": "`all`: open files that carry code even where no confinement is to be had; for a "
    "machine of your own",
    "max_workers": "worker processes at once; the one least recently used gives way",
    "spare_workers": "workers started in advance, so that the first upload loads at once; 0: none",
    "worker_memory_mb": "memory of one worker, in MB",
    "worker_file_mb": "what a worker may write into its own temporary folder, in MB",
    "worker_cpu_seconds": "processor time of one worker over its life, in seconds",
    "worker_idle_seconds": "after so many idle seconds a worker is ended; its model stays listed",
    "load_seconds": "time that loading a model may take, in seconds",
    "predict_seconds": "time that one model may take to answer all rows, in seconds",
    "workspace_quota_mb": "disk space of all workspaces together, in MB",
    "workspace_days": "a workspace that nobody opened for so many days is deleted; 0: kept",
}


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    for row in rows:
        cells = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in row)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def settings_table() -> str:
    """Every field of `Settings`; a new one without a sentence is an error."""
    from dashboard.settings import Settings

    rows = [
        (f"`{one.name}`", f"`{one.default}`", f"`SIDELIGHT_{one.name.upper()}`", SETTINGS[one.name])
        for one in fields(Settings)
    ]
    return table(("setting", "default", "environment", "meaning"), rows)


def subcommands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The commands of a parser, in order."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def flags(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Everything that can be given to one command, but not --help."""
    for action in parser._actions:
        if not isinstance(action, (argparse._HelpAction, argparse._SubParsersAction)):
            yield action


def _usage(action: argparse.Action) -> str:
    name = ", ".join(action.option_strings) or action.dest
    if action.nargs == 0:
        return f"`{name}`"
    given = action.metavar or ("|".join(map(str, action.choices or ())) or action.dest.upper())
    return f"`{name} {given}`"


def command_tables() -> str:
    """One table of flags for each command."""
    from dashboard.__main__ import build_parser

    parts = []
    for name, parser in subcommands(build_parser()):
        rows = [
            (_usage(action), "yes" if action.required else "", action.help or "")
            for action in flags(parser)
        ]
        parts.append(f"### `{name}`\n\n" + table(("flag", "required", "meaning"), rows))
    return "\n\n".join(parts)


def error_table() -> str:
    """Every class of the exception tree, children under their parents."""
    from dashboard import errors

    def walk(kind: type, depth: int) -> Iterator[tuple[str, str]]:
        summary = (inspect.getdoc(kind) or "").splitlines()[0]
        yield "&nbsp;" * 4 * depth + f"`{kind.__name__}`", summary
        for child in sorted(kind.__subclasses__(), key=lambda one: one.__name__):
            if child.__module__ == errors.__name__:
                yield from walk(child, depth + 1)

    return table(("error", "meaning"), walk(errors.DiagnosticsError, 0))


def metric_table() -> str:
    """Every metric, by family."""
    from dashboard.contracts import Task
    from dashboard.diagnostics.metrics import METRICS

    short = {
        Task.BINARY: "binary",
        Task.MULTICLASS: "multiclass",
        Task.MULTILABEL: "multilabel",
        Task.REGRESSION: "regression",
        Task.MULTIOUTPUT_REGRESSION: "multi-output",
    }
    better = {"higher": "higher", "lower": "lower", "zero": "nearest to 0"}
    rows = []
    for metric in METRICS.values():
        tasks = ", ".join(short[task] for task in Task if task in metric.tasks)
        low, high = metric.range
        bounds = f"{low:g} to {high:g}".replace("inf", "∞").replace("-", "−")
        rows.append(
            (
                f"`{metric.name}`",
                metric.title,
                better[metric.orientation],
                bounds,
                tasks,
                metric.needs,
                metric.sentence,
                metric.reference,
            )
        )
    columns = ("name", "title", "better", "range", "tasks", "needs", "meaning", "source")
    return table(columns, rows)


def _parameter(given: Any) -> str:
    sentence = given.sentence[0].lower() + given.sentence[1:].rstrip(".")
    return f"`{given.name}` = {given.default:g}: {sentence}"


def diagnostic_table() -> str:
    """Every row of the catalogue."""
    from dashboard.diagnostics import DIAGNOSTICS

    rows = []
    for one in DIAGNOSTICS.values():
        home, _, function = one.function.rpartition(".")
        importlib.import_module(f"dashboard.diagnostics.{home}")
        parameters = "; ".join(map(_parameter, one.parameters))
        rows.append((f"`{one.name}`", one.question, f"`{function}`", parameters))
    return table(("name", "question", "function", "parameters"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "settings": settings_table,
    "commands": command_tables,
    "errors": error_table,
    "metrics": metric_table,
    "diagnostics": diagnostic_table,
}


def render(text: str) -> str:
    """`text` with every marked table replaced by what the code says."""
    for name, make in TABLES.items():
        opening, closing = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, found, rest = text.partition(opening)
        _, ended, after = rest.partition(closing)
        if not found or not ended:
            raise SystemExit(f"{REFERENCE.name} lacks {opening} or {closing}.")
        text = f"{before}{opening}\n\n{make()}\n\n{closing}{after}"
    return text


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    REFERENCE.write_text(render(REFERENCE.read_text(encoding="utf-8")), encoding="utf-8")
