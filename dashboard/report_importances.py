"""Importances of several models as text, CSV, JSON, Arrow or one HTML page."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .diagnostics.headlines import headline_importances
from .diagnostics.importance import Importance
from .diagnostics.importance_comparison import (
    ImportanceGap,
    compare_importances,
    importance_labels,
)
from .errors import ParameterError
from .figures import plot_agreement, plot_importance_gap, plot_importances, style_of
from .figures.importance_captions import caption_agreement, caption_gap
from .importance import Importances
from .report import package_versions, safe_csv, write_rendered
from .report_explanations import FORMATS, form_of
from .report_html import Section, bullet_list, facts_table, section_part, whole_page
from .report_scores import escaped
from .wording import count, interval, plural

__all__ = ["render_importances", "write_importances"]

SHOWN = 30  # features of a model in the text
ABREAST = 4


def _text(found: Importances) -> str:
    lines = [headline_importances(found.importances), ""]
    for one, label in zip(found.importances, importance_labels(found.importances), strict=True):
        lines.append(f"{label}: {one.title}, {one.unit}")
        lines += [f"  - {note}" for note in (*one.notes, one.warning) if note]
        best, worst = one.rank_bounds
        order = [int(at) for at in one.order()[:SHOWN]]
        width = max(len(one.features[at]) for at in order)
        for at in order:
            value = interval(float(one.values[at]), float(one.low[at]), float(one.high[at]))
            place = "" if np.isnan(best[at]) else f"rank {count(best[at])}"
            place += f" to {count(worst[at])}" if place and best[at] < worst[at] else ""
            lines.append(f"  {one.features[at]:<{width}}  {value:<24}  {place}".rstrip())
        if len(one.features) > SHOWN:
            lines.append(f"  {SHOWN} of {plural(len(one.features), 'feature')}")
        lines.append("")
    if len(found.importances) > 1:
        lines += [caption_agreement(compare_importances(found.importances)), ""]
    if found.gaps:
        lines += [caption_gap(found.gaps), ""]
    return "\n".join(lines)


def _json(found: Importances, facts: Mapping[str, Any]) -> str:
    import orjson

    content = {
        "provenance": dict(facts),
        "importances": [_one_as_json(one) for one in found.importances],
        "gaps": [_gap_as_json(one) for one in found.gaps],
        "failures": [{"model": one.name, "message": one.message} for one in found.failures],
    }
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
    return orjson.dumps(content, option=options).decode() + "\n"


def _one_as_json(one: Importance) -> dict[str, Any]:
    best, worst = one.rank_bounds
    repeats = None if one.repeats is None else np.ascontiguousarray(one.repeats)
    return {
        "model": one.model,
        "method": one.method,
        "title": one.title,
        "unit": one.unit,
        "metric": one.metric,
        "baseline": one.baseline,
        "rows": one.n,
        "rows_given": one.n_given,
        "level": one.level,
        "features": list(one.features),
        **{name: np.ascontiguousarray(getattr(one, name)) for name in ("values", "low", "high")},
        "rank_low": best,
        "rank_high": worst,
        "repeats": repeats,
        "signs": one.signs,
        "warning": one.warning,
        "notes": list(one.notes),
    }


def _gap_as_json(gap: ImportanceGap) -> dict[str, Any]:
    arrays = ("training", "evaluation", "difference", "low", "high")
    return {
        "model": gap.model,
        "unit": gap.unit,
        "rows": list(gap.n),
        "features": list(gap.features),
        **{name: np.ascontiguousarray(getattr(gap, name)) for name in arrays},
        "memorised": list(gap.memorised),
    }


def _arrow(found: Importances) -> bytes:
    import pyarrow as pa

    table = pa.Table.from_pandas(found.frame(), preserve_index=False)
    stream = io.BytesIO()
    with pa.ipc.new_file(stream, table.schema) as file:
        file.write_table(table)
    return stream.getvalue()


# ---- the page --------------------------------------------------------------------------------


def _sections(found: Importances) -> list[Section]:
    models = list(dict.fromkeys(one.model for one in found.importances))
    styles = {name: style_of(at) for at, name in enumerate(models)}
    said = headline_importances(found.importances)
    bars = plot_importances(list(found.importances), styles)
    sections = [Section("importances", "Which features does each model use?", said, (bars,))]
    if len(found.importances) > 1:
        compared = compare_importances(found.importances)
        drawn = plot_agreement(compared, styles)
        sections.append(Section("agreement", "Do they agree?", "", (drawn,)))
    if found.gaps:
        figures = tuple(
            plot_importance_gap(found.gaps[start : start + ABREAST], styles, among=found.gaps)
            for start in range(0, len(found.gaps), ABREAST)
        )
        said = caption_gap(found.gaps)
        sections.append(Section("training", "Learnt, or learnt by heart?", said, figures))
    return sections


def _html(found: Importances, facts: Mapping[str, Any]) -> str:
    title = escaped(f"{facts['data']}: importances of {plural(len(found.importances), 'model')}")
    made = "".join(
        f"<h3>{escaped(one.model)}</h3>{bullet_list((one.title, *one.notes, one.warning))}"
        for one in found.importances
    )
    failed = "".join(
        f'<p class="alert"><b>{escaped(one.name)}</b> has no importance. {escaped(one.message)}</p>'
        for one in found.failures
    )
    rows = [(name, value) for name, value in facts.items() if not isinstance(value, dict)]
    rows += list(facts["versions"].items())
    parts = [
        f"<header><h1>{title}</h1></header><main>{failed}",
        *(section_part(one) for one in _sections(found)),
        f'<section id="made"><h2>How this was measured</h2>{made}</section>',
        '<section id="provenance"><h2>Where these numbers come from</h2>'
        f"{facts_table(rows, 'facts digests')}</section></main>",
    ]
    return whole_page(title, parts)


# ---- writing ---------------------------------------------------------------------------------


def render_importances(found: Importances, form: str) -> bytes:
    """Importances as `form`: text, json, csv, arrow or html.

    Raises
    ------
    ParameterError : an unknown form, or nothing to write.
    """
    if form not in FORMATS:
        raise ParameterError(f"There is no format {form!r}. Formats: {', '.join(FORMATS)}.")
    if not found.importances:
        reasons = " ".join(f"{one.name}: {one.message}" for one in found.failures)
        raise ParameterError(f"No importance could be measured. {reasons}")
    facts = {
        "data": found.data,
        "data_digest": found.digest,
        "versions": package_versions(),
    }
    if form == "arrow":
        return _arrow(found)
    if form == "csv":
        return safe_csv(found.frame()).encode()
    if form == "json":
        return _json(found, facts).encode()
    return (_html(found, facts) if form == "html" else _text(found)).encode()


def write_importances(found: Importances, path: str | Path, form: str | None = None) -> Path:
    """Write importances; the format follows the suffix when it is not given.

    Raises
    ------
    ParameterError : the suffix names no known format, or nothing can be written there.
    """
    path = Path(path)
    return write_rendered(path, lambda: render_importances(found, form or form_of(path)))
