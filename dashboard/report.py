"""What an evaluation says as text, JSON, CSV or one HTML page, and where its numbers come from."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from .contracts import Task
from .diagnostics.confusion import ConfusionMatrix
from .diagnostics.metrics import find_metric
from .errors import ParameterError
from .evaluation import Evaluation
from .report_html import html_page
from .report_scores import ARROWS, bounds
from .wording import MISSING, count, listing, threshold

__all__ = [
    "FORMATS",
    "package_versions",
    "render_report",
    "safe_csv",
    "write_rendered",
    "write_report",
]

FORMATS = ("text", "json", "csv", "html")
# The last four are what an East Asian Excel takes for the first four.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_PACKAGES = ("sidelight", "scikit-learn", "keras", "numpy", "pandas", "plotly")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        from . import __version__

        return __version__ if package == "sidelight" else "not installed"


def provenance(evaluation: Evaluation) -> dict[str, Any]:
    """Digests, versions and the time of writing, so that a number can be traced."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": evaluation.evalset.name,
        "data_digest": evaluation.evalset.digest,
        "predictions_digests": {each.name: each.digest() for each in evaluation.models},
        "python": platform.python_version(),
        "versions": package_versions(),
    }


def package_versions() -> dict[str, str]:
    """The libraries that numbers come from, by name."""
    return {name: _version(name) for name in _PACKAGES}


def safe_csv(frame: pd.DataFrame) -> str:
    """CSV in which no text cell or heading can be taken for a formula by a spreadsheet."""

    def neutral(value: Any) -> Any:
        risky = isinstance(value, str) and value.startswith(_FORMULA_STARTS)
        return f"'{value}" if risky and not _is_number(value) else value

    safe = frame.rename(columns=neutral)
    for position, dtype in enumerate(safe.dtypes):
        if not pd.api.types.is_numeric_dtype(dtype):
            column = safe.iloc[:, position].astype(object).map(neutral)
            safe.isetitem(position, column.to_numpy())
    return safe.to_csv(index=False)


def _is_number(text: str) -> bool:
    """Class labels such as -1 and +1 are no formulas."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _matrix(matrix: ConfusionMatrix) -> dict[str, Any]:
    return {"labels": list(matrix.labels), "counts": matrix.counts.tolist()}


def _matrices(evaluation: Evaluation) -> dict[str, Any]:
    """Model → matrix; multilabel: model → label → 2 × 2; nothing for a regression."""
    target = evaluation.evalset.target
    if not target.task.is_classification:
        return {}
    if target.task is not Task.MULTILABEL:
        return {name: _matrix(one) for name, one in evaluation.confusion().items()}
    found: dict[str, Any] = {each.name: {} for each in evaluation.models}
    for at, label in enumerate(target.labels):
        for name, one in evaluation.confusion(at).items():
            found[name][str(label)] = _matrix(one)
    return found


def _json(evaluation: Evaluation) -> str:
    import orjson

    evalset = evaluation.evalset
    target = evalset.target
    positive = None if target.pos_label is None else target.labels[target.pos_label]
    content = {
        "provenance": provenance(evaluation),
        "task": target.task.value,
        "target": target.name,
        "labels": list(target.labels),
        "positive": positive,
        "rows": {
            "read": evalset.ledger.n_read,
            "excluded": [{"reason": line.reason, "n": line.n} for line in evalset.ledger.excluded],
            "evaluated": evalset.ledger.n_evaluated,
        },
        "thresholds": dict(evaluation.thresholds),
        "scores": evaluation.frame().to_dict(orient="records"),
        "confusion": _matrices(evaluation),
        "notes": {each.name: list(each.notes) for each in evaluation.models},
        "failures": [{"model": one.name, "message": one.message} for one in evaluation.failures],
    }
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    return orjson.dumps(content, option=options, default=str).decode() + "\n"


def _columns(cells: Sequence[tuple[str, str]], head: str) -> list[str]:
    """Values flush right, their intervals beside them; all of one width, the heading first."""
    widths = [max((len(cell[part]) for cell in cells), default=0) for part in (0, 1)]
    body = [f"{value:>{widths[0]}} {small:<{widths[1]}}" for value, small in cells]
    width = max(len(head), *map(len, body)) if body else len(head)
    return [f"{line:<{width}}" for line in (head, *body)]


def _grid(evaluation: Evaluation) -> list[str]:
    """The overall metrics, one a line under the name that --metric takes, models across."""
    rows = {(row.metric, row.model): row for row in evaluation.scores.rows if not row.label}
    names = [
        name
        for name in dict.fromkeys(name for name, _ in rows)
        if any(not math.isnan(row.value) for (one, _), row in rows.items() if one == name)
    ]
    metrics = [find_metric(name) for name in names]
    titles = [f"{metric.title} {ARROWS[metric.orientation]}" for metric in metrics]
    limits = {name: threshold(value) for name, value in evaluation.thresholds.items()}
    more = [("n", "rows")] + ([("threshold", "positive at and above")] if limits else [])
    columns = [_flush_left("metric", [*names, *(one for one, _ in more)])]
    columns.append(_flush_left("", [*titles, *(one for _, one in more)]))
    for each in evaluation.predictions:
        cells = [bounds(rows[name, each.name]) for name in names]
        cells.append((count(each.n), ""))
        if limits:
            cells.append((limits.get(each.name, MISSING), ""))
        columns.append(_columns(cells, each.name))
    return ["  ".join(line).rstrip() for line in zip(*columns, strict=True)]


def _flush_left(head: str, cells: Sequence[str]) -> list[str]:
    width = max(map(len, (head, *cells)))
    return [f"{line:<{width}}" for line in (head, *cells)]


def _text(evaluation: Evaluation) -> str:
    """What was evaluated, then the score table with metrics down and models across."""
    evalset = evaluation.evalset
    target = evalset.target
    labels = f" ({listing([str(label) for label in target.labels], 12)})" if target.labels else ""
    lines = [
        f"{evalset.name}: {target.task.value}, target {target.name}{labels}",
        evalset.ledger.sentence(),
        *(f"- {note}" for note in target.notes),
        *(f"- {each.name}: {note}" for each in evaluation.models for note in each.notes),
        "",
        *_grid(evaluation),
        "",
        "In brackets: intervals. ↑ larger is better, ↓ smaller, →0 nearer to zero.",
    ]
    return "\n".join(lines) + "\n"


def render_report(evaluation: Evaluation, form: str = "text") -> str:
    """The report as a string in one of `FORMATS`.

    Raises
    ------
    ParameterError : an unknown format.
    """
    if form == "html":
        return html_page(evaluation, provenance(evaluation))
    if form == "json":
        return _json(evaluation)
    if form == "csv":
        return safe_csv(evaluation.frame())
    if form == "text":
        return _text(evaluation)
    raise ParameterError(f"Format {form!r} is unknown. Known: {', '.join(FORMATS)}.")


def write_report(evaluation: Evaluation, path: Path | str, form: str | None = None) -> Path:
    """Write the report; the format follows the suffix when it is not given.

    Raises
    ------
    ParameterError : the suffix names no known format, or nothing can be written there.
    """
    path = Path(path)
    suffix = path.suffix.lstrip(".").lower()
    form = form or {"htm": "html", "txt": "text", "": "text"}.get(suffix, suffix)
    chosen = form
    return write_rendered(path, lambda: render_report(evaluation, chosen).encode())


def write_rendered(path: Path, render: Callable[[], bytes]) -> Path:
    """Write what is rendered once it is known that there is a place for it.

    Raises
    ------
    ParameterError : no such folder, or nothing can be written there.
    """
    if not path.parent.is_dir():
        raise ParameterError(f"There is no folder {path.parent}. Make it, or choose another.")
    content = render()
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ParameterError(
            f"{path} cannot be written: {error.strerror}. Choose another file."
        ) from error
    return path
