"""Learning curves and what they say as text, CSV, JSON, Arrow or one HTML page."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .contracts import SEVERITIES, Finding, SearchResults, worst_severity
from .diagnostics.epochs import EpochCurve
from .diagnostics.layer_histograms import compute_layer_curves
from .diagnostics.projections import Projection
from .diagnostics.search_rounds import compute_rounds
from .errors import NotApplicable, ParameterError
from .figures import (
    plot_epoch_curves,
    plot_fit_times,
    plot_fold_differences,
    plot_fold_scores,
    plot_layer_norms,
    plot_layers,
    plot_parameter_curves,
    plot_rate_search,
    plot_search_lines,
    plot_search_map,
    plot_search_parameter,
    plot_search_rounds,
    plot_search_times,
    plot_search_training,
    plot_size_curves,
    style_of,
)
from .figures.search_captions import statuses_words
from .learning.gathered import Learning
from .report import package_versions, safe_csv, write_rendered
from .report_explanations import FORMATS, form_of
from .report_html import Section, bullet_list, facts_table, section_part, whole_page
from .report_learning_text import (
    SEVERITY_WORDS,
    by_metric,
    laws_of,
    notes_of,
    remedies_of,
    sentence_of,
    text_of,
)
from .report_scores import escaped
from .settings import get_settings
from .wording import count, number

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["at_least", "render_learning", "write_learning"]

ABREAST = 8  # models in one figure


# ---- JSON and tables -------------------------------------------------------------------------


def _json(found: Learning, facts: Mapping[str, Any]) -> str:
    import orjson

    content = {
        "provenance": dict(facts),
        "worst": worst_severity(found.findings),
        "verdicts": [one.to_json() for one in found.verdicts],
        "findings": [one.to_json() for one in found.findings],
        "fits": {"done": found.n_done, "reused": found.reused, "stopped": found.stopped},
        "runs": [
            {"name": one.name, "source": one.source, "settings": dict(one.config)}
            for one in found.runs
        ],
        "epochs": [_epochs_as_json(one) for one in found.epochs],
        "rate_searches": [_rates_as_json(one) for one in found.rate_searches],
        "wanted": found.wanted,
        "sizes": [_curve_as_json(one, "sizes", found) for one in found.sizes],
        "parameters": [_curve_as_json(one, "values", found) for one in found.parameters],
        "folds": [_folds_as_json(one) for one in found.folds],
        "differences": [_difference_as_json(one) for one in found.differences],
        "searches": [_search_as_json(one) for one in found.searches],
        "notes": list(dict.fromkeys(notes_of(found))),
        "failures": [{"name": one.name, "message": one.message} for one in found.failures],
    }
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    return orjson.dumps(content, option=options, default=_plain).decode() + "\n"


def _plain(value: Any) -> Any:
    return np.ascontiguousarray(value) if isinstance(value, np.ndarray) else str(value)


def _epochs_as_json(curve: EpochCurve) -> dict[str, Any]:
    stop = curve.early_stop
    return {
        "run": curve.run,
        "source": curve.source,
        "metric": curve.metric,
        "larger_is_better": curve.larger_is_better,
        "best_from": curve.best_from,
        "best": curve.best,
        "best_value": curve.best_value,
        "early_stop": None
        if stop is None
        else {"patience": stop.patience, "after": stop.stop, "best": stop.best},
        "parts": [
            {
                "part": one.part,
                "unit": one.unit,
                "steps": one.steps,
                "values": one.values,
                "gaps": [gap._asdict() for gap in one.gaps],
            }
            for one in curve.parts
        ],
        "notes": list(curve.notes),
    }


def _rates_as_json(one: Any) -> dict[str, Any]:
    names = ("run", "steepest", "minimum", "turning", "suggested", "low", "high", "reason")
    return {name: getattr(one, name) for name in names}


def _curve_as_json(curve: Any, marks: str, found: Learning) -> dict[str, Any]:
    """Of a curve by size or by parameter; arrays are (size or value, fold)."""
    told = {
        "model": curve.model,
        "metric": curve.metric,
        "larger_is_better": curve.larger_is_better,
        marks: getattr(curve, marks),
        "train": curve.train,
        "validation": curve.validation,
        "fit_seconds": curve.fit_seconds,
        "fits": curve.n_fits,
        "fits_done": curve.n_done,
        "rows_given": curve.n_given,
        "folds": curve.folds,
        "notes": list(curve.notes),
    }
    if marks == "values":
        return {"parameter": curve.parameter, "current": curve.current, **told}
    return {
        **told,
        "projection": _law_as_json(laws_of(found, [curve]).get(curve.model), found, curve),
    }


def _law_as_json(law: Projection | None, found: Learning, curve: Any) -> dict[str, Any]:
    if law is None:
        return {"withheld": found.withheld.get(curve.model, "")}
    names = ("limit", "amplitude", "exponent", "base", "furthest", "level", "sizes", "values")
    return {name: getattr(law, name) for name in (*names, "low", "high", "sentence")}


def _folds_as_json(one: Any) -> dict[str, Any]:
    mean = one.interval(get_settings().confidence_level)
    return {
        "model": one.model,
        "metric": one.metric,
        "larger_is_better": one.larger_is_better,
        "mean": one.mean,
        "sd": one.sd,
        "low": mean.low,
        "high": mean.high,
        "train": one.train,
        "validation": one.validation,
        "repeats": one.repeats,
        "apart": one.apart,
        "rows_apart": one.n_apart,
        "baseline": one.baseline,
        "fits": one.n_fits,
        "failures": list(one.failures),
        "notes": list(one.notes),
    }


def _difference_as_json(one: Any) -> dict[str, Any]:
    names = ("first", "second", "metric", "differences", "mean", "low", "high", "p_value", "level")
    return {**{name: getattr(one, name) for name in names}, "better": one.better}


def _search_as_json(one: SearchResults) -> dict[str, Any]:
    best = one.best() if one.scores else None
    frame = one.frame().astype(object)
    return {
        "name": one.name,
        "source": one.source,
        "best": None if best is None else one.trials[best],
        "trials": frame.where(frame.notna(), None).to_dict(orient="records"),
        "notes": list(one.notes),
    }


def _arrow(found: Learning) -> bytes:
    import pyarrow as pa

    table = pa.Table.from_pandas(found.frame(), preserve_index=False)
    stream = io.BytesIO()
    with pa.ipc.new_file(stream, table.schema) as file:
        file.write_table(table)
    return stream.getvalue()


# ---- the page --------------------------------------------------------------------------------


def _drawn(*plots: Callable[[], go.Figure]) -> tuple[go.Figure, ...]:
    """Those figures that have something to show."""
    figures = []
    for plot in plots:
        try:
            figures.append(plot())
        except NotApplicable:
            continue
    return tuple(figures)


def _parts(curves: Sequence[Any]) -> list[Sequence[Any]]:
    return [
        group[start : start + ABREAST]
        for group in by_metric(curves)
        for start in range(0, len(group), ABREAST)
    ]


def _sections(found: Learning) -> Iterator[Section]:
    styles = {name: style_of(at) for at, name in enumerate(_names(found))}
    if found.epochs:
        figures = tuple(plot_epoch_curves(group, styles) for group in by_metric(found.epochs))
        yield Section("epochs", "By epoch", "How each run went while it was trained.", figures)
    if found.rate_searches:
        figures = (plot_rate_search(found.rate_searches, styles),)
        yield Section("rates", "Search for a learning rate", "", figures)
    yield from _inside(found)
    if found.sizes:
        figures = tuple(
            figure
            for group in _parts(found.sizes)
            for figure in (
                plot_size_curves(
                    group, styles, projection=laws_of(found, group), wanted=found.wanted
                ),
                plot_fit_times(group, styles),
            )
        )
        yield Section("sizes", "By training size", "What more rows would bring.", figures)
    if found.parameters:
        figures = tuple(plot_parameter_curves(group, styles) for group in _parts(found.parameters))
        yield Section("parameter", "By parameter", "What another setting would bring.", figures)
    if found.folds:
        figures = tuple(plot_fold_scores(group, styles) for group in _parts(found.folds))
        if found.differences:
            figures += (plot_fold_differences(found.differences, styles),)
        yield Section("folds", "Across folds", "How much depends on the rows held out.", figures)
    for k, search in enumerate(found.searches):
        figures = _search_figures(search)
        title = f"Search: {search.name}"
        yield Section(f"search-{k}", title, statuses_words(search), figures)


def _names(found: Learning) -> list[str]:
    """Models and runs in the order of their first appearance, so that each keeps its style."""
    return list(dict.fromkeys([*_models(found), *(run.name for run in found.runs)]))


def _models(found: Learning) -> list[str]:
    return list(dict.fromkeys(one.model for one in found.fitted))


def _inside(found: Learning) -> Iterator[Section]:
    logged = [compute_layer_curves(run) for run in found.runs if run.histograms]
    figures = tuple(plot_layer_norms(curves) for curves in logged if curves)
    figures += tuple(plot_layers(one) for one in found.networks)
    if figures:
        question = "Weights, gradients and activations layer by layer."
        yield Section("inside", "Inside the network", question, figures)


def _search_figures(search: SearchResults) -> tuple[go.Figure, ...]:
    names = [one.name for one in search.varied]
    plots: list[Callable[[], go.Figure]] = [lambda: plot_search_lines(search)]
    if len(names) > 1:
        plots.append(lambda: plot_search_map(search, names[0], names[1]))
    elif names:
        plots.append(lambda: plot_search_parameter(search, names[0]))
    plots.append(lambda: plot_search_rounds(search, compute_rounds(search)))
    plots += [lambda: plot_search_times(search), lambda: plot_search_training(search)]
    return _drawn(*plots)


def _findings_part(found: Learning) -> str:
    """Verdicts, what else was found, and all of it with its numbers."""
    verdicts, remarks = _found_list(found.verdicts), _found_list(found.remarks)
    beside = f"<h3>What else was found</h3>{remarks}" if verdicts and remarks else remarks
    said = verdicts + beside
    return (
        f'<section id="findings"><h2>What they say</h2>{said or "<p>Nothing was found.</p>"}'
        f"{_numbers_table([*found.verdicts, *found.remarks])}</section>"
    )


def _found_list(findings: Sequence[Finding]) -> str:
    items = "".join(
        f"<li><b>{SEVERITY_WORDS[one.severity]}.</b> {escaped(sentence_of(one))} "
        f"<small>{escaped(remedies_of(one))}</small></li>"
        for one in findings
    )
    return f"<ul>{items}</ul>" if items else ""


def _numbers_table(findings: Sequence[Finding]) -> str:
    """Code, severity and evidence of each, folded away."""
    if not findings:
        return ""
    rows = "".join(
        f"<tr><td>{escaped(one.subject)}</td><td>{escaped(one.code)}</td>"
        f"<td>{escaped(one.severity)}</td>"
        f'<td style="white-space:normal">{escaped(_evidence_words(one))}</td></tr>'
        for one in findings
    )
    names = ("subject", "code", "severity", "evidence")
    heads = "".join(f'<th scope="col">{name}</th>' for name in names)
    return (
        "<details><summary>The numbers behind them</summary>"
        f'<div class="scroll"><table class="scores"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def _evidence_words(one: Finding) -> str:
    def said(value: float | int | str) -> str:
        if isinstance(value, str):
            return value
        return count(value) if isinstance(value, int) else number(float(value))

    return ", ".join(
        f"{name.replace('_', ' ')} {said(value)}" for name, value in one.evidence.items()
    )


def _html(found: Learning, facts: Mapping[str, Any]) -> str:
    models = len(_models(found))
    counted = [("model", models), ("run", len(found.runs)), ("search", len(found.searches))]
    several = {"search": "searches"}
    what = ", ".join(
        f"{count(n)} {name if n == 1 else several.get(name, name + 's')}"
        for name, n in counted
        if n
    )
    title = escaped(f"Learning curves: {what}" if what else "Learning curves")
    failed = "".join(
        f'<p class="alert"><b>{escaped(one.name)}</b> has no curve. {escaped(one.message)}</p>'
        for one in found.failures
    )
    rows = [(name, value) for name, value in facts.items() if not isinstance(value, dict)]
    rows += list(facts["versions"].items())
    parts = [
        f"<header><h1>{title}</h1></header><main>{failed}",
        _findings_part(found),
        *(section_part(one) for one in _sections(found)),
        _made_part(found),
        '<section id="provenance"><h2>Where these numbers come from</h2>'
        f"{facts_table(rows, 'facts digests')}</section></main>",
    ]
    return whole_page(title, parts)


def _made_part(found: Learning) -> str:
    notes = bullet_list(dict.fromkeys((*notes_of(found), *_curve_notes(found))))
    return f'<section id="made"><h2>How this was made</h2>{notes}</section>' if notes else ""


def _curve_notes(found: Learning) -> Iterator[str]:
    for one in found.fitted:
        yield from (f"{one.model}: {note}" for note in one.notes if note not in found.notes)
    yield from (f"{model} is not drawn on: {why}" for model, why in found.withheld.items())
    yield from (f"{one.name}: {note}" for one in found.searches for note in one.notes)


# ---- writing ---------------------------------------------------------------------------------


def render_learning(found: Learning, form: str) -> bytes:
    """Learning curves as `form`: text, json, csv, arrow or html.

    Raises
    ------
    ParameterError : an unknown form, or nothing to write.
    """
    if form not in FORMATS:
        raise ParameterError(f"There is no format {form!r}. Formats: {', '.join(FORMATS)}.")
    if found.is_empty:
        reasons = " ".join(f"{one.name}: {one.message}" for one in found.failures)
        raise ParameterError(f"No curve could be drawn. {reasons}".strip())
    rows = found.evalset
    facts: dict[str, Any] = {"data": "" if rows is None else rows.name}
    facts |= {"data_digest": "" if rows is None else rows.digest, "versions": package_versions()}
    if form == "arrow":
        return _arrow(found)
    if form == "csv":
        return safe_csv(found.frame()).encode()
    if form == "json":
        return _json(found, facts).encode()
    return (_html(found, facts) if form == "html" else text_of(found)).encode()


def write_learning(found: Learning, path: str | Path, form: str | None = None) -> Path:
    """Write learning curves; the format follows the suffix when it is not given.

    Raises
    ------
    ParameterError : the suffix names no known format, or nothing can be written there.
    """
    path = Path(path)
    return write_rendered(path, lambda: render_learning(found, form or form_of(path)))


def at_least(findings: Sequence[Finding], severity: str) -> list[Finding]:
    """Findings of this severity or a worse one."""
    least = SEVERITIES.index(severity)
    return [one for one in findings if SEVERITIES.index(one.severity) >= least]
