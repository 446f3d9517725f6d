"""Ordered sections (text, table, figure) → text, JSON, CSV or one HTML file, with provenance."""

from __future__ import annotations

import html
import io
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from .contracts import Task
from .diagnostics.thresholds import compute_thresholds
from .errors import ParameterError
from .evaluation import Evaluation
from .figures.theme import style_of
from .gallery import View, compute_now, exhibits, headline
from .wording import interval, number

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = [
    "FORMATS",
    "Report",
    "Section",
    "build_report",
    "render_report",
    "safe_csv",
    "write_report",
]

FORMATS = ("text", "json", "csv", "html")
_PACKAGES = ("sidelight", "scikit-learn", "keras", "numpy", "pandas", "plotly")


@dataclass(frozen=True)
class Section:
    """One heading with sentences, then tables, then figures."""

    title: str
    text: tuple[str, ...] = ()
    tables: tuple[pd.DataFrame, ...] = ()
    figures: tuple[go.Figure, ...] = ()


@dataclass(frozen=True)
class Report:
    """What is written: sections in reading order and where the numbers come from."""

    title: str
    sections: tuple[Section, ...]
    provenance: Mapping[str, Any]


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
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def safe_csv(frame: pd.DataFrame) -> str:
    """CSV in which no text cell or heading can be taken for a formula by a spreadsheet."""

    def neutral(value: Any) -> Any:
        risky = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r")
        return f"'{value}" if risky else value

    safe = frame.rename(columns=neutral)
    for position, dtype in enumerate(safe.dtypes):
        if not pd.api.types.is_numeric_dtype(dtype):
            column = safe.iloc[:, position].astype(object).map(neutral)
            safe.isetitem(position, column.to_numpy())
    return safe.to_csv(index=False)


def score_grid(evaluation: Evaluation) -> pd.DataFrame:
    """Overall metrics as text, one row per model: value with its interval, and n."""
    rows = []
    frame = evaluation.frame()
    overall = frame[frame["label"] == ""]
    for name, part in overall.groupby("model", sort=False):
        row = {"model": str(name)}
        for metric, value, low, high in part[["metric", "value", "low", "high"]].to_numpy():
            if not math.isnan(value):
                row[str(metric)] = interval(value, low, high)
        row["n"] = f"{part['n'].max():,}"
        rows.append(row)
    return pd.DataFrame(rows).fillna("–")


def _figures(evaluation: Evaluation, theme: Literal["light", "dark"]) -> list[Section]:
    """The figures that apply to the task, each kind for all models."""
    models = evaluation.models
    target = evaluation.evalset.target
    label = 0 if target.task in (Task.MULTICLASS, Task.MULTILABEL) else None
    operating = {
        each.name: compute_thresholds(each, label).at(
            evaluation.thresholds.get(each.name, each.default_threshold)
        )
        for each in models
        if each.y_score is not None
    }
    styles = {each.name: style_of(at) for at, each in enumerate(models)}
    output = 0 if target.task is Task.MULTIOUTPUT_REGRESSION else None
    view = View(styles=styles, label=label, output=output, operating=operating, theme=theme)
    sections = [
        Section(
            "In one sentence",
            text=(headline(evaluation.predictions, evaluation.scores, operating),),
        )
    ]
    for exhibit in exhibits(target.task, models):
        drawings = exhibit.draw(models, view, compute_now)
        captions = [str((one.figure.layout.meta or {}).get("caption", "")) for one in drawings]
        sections.append(
            Section(
                exhibit.title,
                text=tuple(dict.fromkeys(one for one in captions if one)),
                figures=tuple(one.figure for one in drawings),
            )
        )
    return sections


def build_report(evaluation: Evaluation, *, theme: Literal["light", "dark"] = "light") -> Report:
    """Everything a reader without the app needs, in reading order."""
    evalset = evaluation.evalset
    notes = [f"{each.name}: {note}" for each in evaluation.models for note in each.notes]
    failed = [f"{one.name} gave no answers. {one.message}" for one in evaluation.failures]
    data = Section(
        "What was evaluated",
        text=(evalset.ledger.sentence(), *evalset.target.notes, *notes, *failed),
        tables=(evalset.ledger.frame(),),
    )
    scores = Section("Scores", tables=(score_grid(evaluation),))
    detail = Section("Every number", tables=(evaluation.frame(),))
    first, *figures = _figures(evaluation, theme)
    return Report(
        title=f"{evalset.name}: {len(evaluation.models)} models side by side",
        sections=(first, scores, data, *figures, detail),
        provenance=provenance(evaluation),
    )


def _table_html(frame: pd.DataFrame) -> str:
    return frame.to_html(index=False, border=0, escape=True, na_rep="–", float_format=number)


_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:1180px;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;font-size:14px;display:block;overflow-x:auto}
td,th{padding:.25rem .75rem;text-align:left;border-bottom:1px solid #9996;white-space:nowrap}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(420px,1fr));gap:1rem;background:#fff}
details{margin:1rem 0}
"""


def _html(report: Report) -> str:
    from plotly.offline import get_plotlyjs

    from .figures import figure_config

    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        f"<title>{html.escape(report.title)}</title><style>{_STYLE}</style>",
        f"<script>{get_plotlyjs()}</script><h1>{html.escape(report.title)}</h1>",
    ]
    for section in report.sections:
        parts.append(f"<h2>{html.escape(section.title)}</h2>")
        parts.extend(f"<p>{html.escape(text)}</p>" for text in section.text)
        for table in section.tables:
            body = _table_html(table)
            folded = f"<details><summary>{len(table)} rows</summary>{body}</details>"
            parts.append(body if len(table) <= 12 else folded)
        drawn = [
            figure.to_html(
                full_html=False,
                include_plotlyjs=False,
                config=figure_config(str((figure.layout.meta or {}).get("name", section.title))),
            )
            for figure in section.figures
        ]
        parts.append(f"<div class='figures'>{''.join(drawn)}</div>" if drawn else "")
    facts = pd.DataFrame(
        [{"what": key, "value": str(value)} for key, value in report.provenance.items()]
    )
    parts.append(f"<h2>Where these numbers come from</h2>{_table_html(facts)}</html>")
    return "\n".join(parts)


def _json(evaluation: Evaluation) -> str:
    import orjson

    evalset = evaluation.evalset
    target = evalset.target
    matrices: dict[str, Any] = {}
    if target.task in (Task.BINARY, Task.MULTICLASS):
        matrices = {
            name: {"labels": list(matrix.labels), "counts": matrix.counts.tolist()}
            for name, matrix in evaluation.confusion().items()
        }
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
        "confusion": matrices,
        "notes": {each.name: list(each.notes) for each in evaluation.models},
        "failures": [{"model": one.name, "message": one.message} for one in evaluation.failures],
    }
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    return orjson.dumps(content, option=options, default=str).decode() + "\n"


def _text(evaluation: Evaluation) -> str:
    """The score table turned on its side (metrics down, models across) for a terminal."""
    buffer = io.StringIO()
    evalset = evaluation.evalset
    target = evalset.target
    labels = ", ".join(str(label) for label in target.labels)
    buffer.write(f"{evalset.name}: {target.task.value}, target {target.name}")
    buffer.write(f" ({labels})\n" if labels else "\n")
    buffer.write(f"{evalset.ledger.sentence()}\n")
    for note in (*target.notes, *(n for each in evaluation.models for n in each.notes)):
        buffer.write(f"- {note}\n")
    grid = score_grid(evaluation)
    turned = grid.set_index("model").T
    turned.columns.name = None
    buffer.write(f"\n{turned.to_string()}\n")
    return buffer.getvalue()


def render_report(evaluation: Evaluation, form: str = "text") -> str:
    """The report as a string in one of `FORMATS`.

    Raises
    ------
    ParameterError : an unknown format.
    """
    if form == "html":
        return _html(build_report(evaluation))
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
    ParameterError : the suffix names no known format, or the folder does not exist.
    """
    path = Path(path)
    suffix = path.suffix.lstrip(".").lower()
    form = form or {"htm": "html", "txt": "text"}.get(suffix, suffix)
    if not path.parent.is_dir():
        raise ParameterError(f"There is no folder {path.parent}. Make it, or choose another.")
    path.write_text(render_report(evaluation, form), encoding="utf-8")
    return path
