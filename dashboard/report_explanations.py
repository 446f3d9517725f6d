"""What explanations say as text, CSV, JSON, Arrow or one HTML page, and how they were made."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .contracts import Attributions
from .diagnostics.attributions import common_features
from .diagnostics.beeswarm import compute_beeswarm
from .diagnostics.dependence import compute_dependence
from .diagnostics.importance import compute_shap_importance
from .errors import NotApplicable, ParameterError
from .evaluation import Failure
from .figures import plot_beeswarm, plot_dependence, plot_importances, style_of
from .figures.theme import ModelStyle
from .frames import tag_values
from .report import package_versions, safe_csv, write_rendered
from .report_html import Section, bullet_list, facts_table, section_part, whole_page
from .report_scores import escaped
from .settings import get_settings
from .wording import count, listing, number, percent, plural

__all__ = ["FORMATS", "render_explanations", "write_explanations"]

FORMATS = ("text", "json", "csv", "arrow", "html")
SHOWN = 3  # features with a chart of their own
_SUFFIXES = {"htm": "html", "txt": "text", "": "text", "feather": "arrow", "ipc": "arrow"}


def how_made(one: Attributions) -> list[tuple[str, str]]:
    """What to know of an explanation: engine, question, background, additivity."""
    rows = [
        ("Rows", f"{count(one.n)} of {count(one.n_given)}"),
        ("Unit", one.space.value),
        ("Method", f"{one.method} ({'exact' if one.exact else 'sampled, with standard errors'})"),
        ("Unknown features are", one.background.how),
        (
            "Largest difference between an answer and the sum of its parts",
            f"{number(one.additivity_error)} (allowed: {number(one.tolerance)})",
        ),
    ]
    if one.errors is not None and one.errors.size:
        middle = number(float(np.median(one.spread())))
        rows.append((f"Median half-width of the {percent(one.level)} intervals", middle))
    return rows


def _text(found: Sequence[Attributions]) -> str:
    lines: list[str] = []
    for one in found:
        lines += [f"{one.model}: explained in {one.space.value}"]
        lines += [f"  {name}: {value}" for name, value in how_made(one)]
        lines += [f"  - {note}" for note in one.notes]
        importance = _importance(one)
        order = np.argsort(-importance.values, kind="stable")[:20]
        width = max(len(one.feature_names[at]) for at in order)
        for at in order:
            bounds = f"[{number(importance.low[at])}, {number(importance.high[at])}]"
            name = one.feature_names[at]
            lines.append(f"  {name:<{width}}  {number(importance.values[at])} {bounds}")
        if len(one.feature_names) > len(order):
            lines.append(f"  {len(order)} of {plural(len(one.feature_names), 'feature')}")
        lines.append("")
    return "\n".join(lines)


def _importance(one: Attributions) -> Any:
    settings = get_settings()
    return compute_shap_importance(
        one,
        level=settings.confidence_level,
        n_bootstrap=max(2, settings.n_bootstrap),
        random_state=settings.random_state,
    )


def _json(
    found: Sequence[Attributions], failures: Sequence[Failure], facts: Mapping[str, Any]
) -> str:
    import orjson

    content = {
        "provenance": dict(facts),
        "explanations": [_one_as_json(one) for one in found],
        "failures": [{"model": one.name, "message": one.message} for one in failures],
    }
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
    return orjson.dumps(content, option=options, default=str).decode() + "\n"


def _one_as_json(one: Attributions) -> dict[str, Any]:
    data = np.asarray(one.data, dtype=object).reshape(one.n, -1)
    return {
        "model": one.model,
        "space": one.space.value,
        "engine": one.engine,
        "method": one.method,
        "exact": one.exact,
        "background": {
            "n": one.background.n,
            "how": one.background.how,
            "rows": list(one.background.rows),
        },
        "rows_given": one.n_given,
        "additivity_error": one.additivity_error,
        "tolerance": one.tolerance,
        "notes": list(one.notes),
        "features": list(one.feature_names),
        "outputs": tag_values(one.output_names),
        "cell_shape": one.cell_shape,
        "rows": one.rows,
        "base_values": np.ascontiguousarray(one.base_values),
        "predictions": np.ascontiguousarray(one.predictions),
        "values": np.ascontiguousarray(one.values),
        "errors": None if one.errors is None else np.ascontiguousarray(one.errors),
        "data": [[_plain(cell) for cell in row] for row in data],
    }


def _plain(cell: Any) -> Any:
    """A cell as JSON has it: missing is null, dates are texts."""
    if isinstance(cell, float) and not np.isfinite(cell):
        return None
    if isinstance(cell, np.generic):
        return _plain(cell.item())
    return (
        cell if isinstance(cell, (str, int, float, bool)) else None if pd.isna(cell) else str(cell)
    )


def _frame(found: Sequence[Attributions]) -> pd.DataFrame:
    return pd.concat([one.frame() for one in found], ignore_index=True)


def _arrow(found: Sequence[Attributions]) -> bytes:
    """An Arrow file of the long table; values of the data as texts, since types differ."""
    import pyarrow as pa

    frame = _frame(found)
    for name in ("data", "output"):
        frame[name] = frame[name].map(lambda cell: None if pd.isna(cell) else str(cell))
    table = pa.Table.from_pandas(frame, preserve_index=False)
    stream = io.BytesIO()
    with pa.ipc.new_file(stream, table.schema) as file:
        file.write_table(table)
    return stream.getvalue()


# ---- the page --------------------------------------------------------------------------------


def _sections(found: Sequence[Attributions], styles: Mapping[str, ModelStyle]) -> list[Section]:
    """Bars, swarms, and what the strongest features do."""
    bars = plot_importances([_importance(one) for one in found], styles)
    sections = [
        Section(
            "importances",
            "Which features does each model use?",
            "Mean size of what a feature adds to an answer, with intervals over the rows.",
            (bars,),
        )
    ]
    try:
        swarm = plot_beeswarm(compute_beeswarm(found), styles)
    except NotApplicable as error:
        sections.append(Section("rows", "Row by row", "", reason=error.reason))
        return sections
    sections.append(
        Section("rows", "How does each feature move the prediction?", "A dot is a row.", (swarm,))
    )
    features, _ = common_features(found, None, SHOWN)
    figures = tuple(plot_dependence(compute_dependence(found, each), styles) for each in features)
    question = f"{listing(list(features), SHOWN)}: the strongest over all models."
    sections.append(Section("dependence", "What the strongest features do", question, figures))
    return sections


def _html(
    found: Sequence[Attributions], failures: Sequence[Failure], facts: Mapping[str, Any]
) -> str:
    styles = {one.model: style_of(at) for at, one in enumerate(found)}
    title = escaped(f"{facts['data']}: {plural(len(found), 'model')} explained")
    made = "".join(
        f"<h3>{escaped(one.model)}</h3>{facts_table(how_made(one))}{bullet_list(one.notes)}"
        for one in found
    )
    failed = "".join(
        f'<p class="alert"><b>{escaped(one.name)}</b> is not explained. {escaped(one.message)}</p>'
        for one in failures
    )
    rows = [(name, value) for name, value in facts.items() if not isinstance(value, dict)]
    rows += list(facts["versions"].items())
    parts = [
        f"<header><h1>{title}</h1></header><main>{failed}",
        *(section_part(one) for one in _sections(found, styles)),
        f'<section id="made"><h2>How this was computed</h2>{made}</section>',
        '<section id="provenance"><h2>Where these numbers come from</h2>'
        f"{facts_table(rows, 'facts digests')}</section></main>",
    ]
    return whole_page(title, parts)


# ---- writing ---------------------------------------------------------------------------------


def render_explanations(
    found: Sequence[Attributions],
    form: str,
    *,
    failures: Sequence[Failure] = (),
    data: str = "the data",
    digest: str = "",
) -> bytes:
    """Explanations of one or several models as `form`, one of `FORMATS`.

    Raises
    ------
    ParameterError : an unknown form, or nothing to write.
    """
    if form not in FORMATS:
        raise ParameterError(f"There is no format {form!r}. Formats: {', '.join(FORMATS)}.")
    if not found:
        reasons = " ".join(f"{one.name}: {one.message}" for one in failures)
        raise ParameterError(f"No model could be explained. {reasons}")
    facts = {"data": data, "data_digest": digest, "versions": package_versions()}
    if form == "arrow":
        return _arrow(found)
    if form == "csv":
        return safe_csv(_frame(found)).encode()
    if form == "json":
        return _json(found, failures, facts).encode()
    return (_html(found, failures, facts) if form == "html" else _text(found)).encode()


def form_of(path: Path) -> str:
    """The format that a suffix names."""
    suffix = path.suffix.lstrip(".").lower()
    return _SUFFIXES.get(suffix, suffix)


def write_explanations(
    found: Sequence[Attributions], path: str | Path, form: str | None = None, **about: Any
) -> Path:
    """Write explanations; the format follows the suffix when it is not given.

    Raises
    ------
    ParameterError : the suffix names no known format, or nothing can be written there.
    """
    path = Path(path)
    return write_rendered(path, lambda: render_explanations(found, form or form_of(path), **about))
