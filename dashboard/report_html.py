"""One HTML page that needs nothing else: the answer, the scores, every chart with its caption."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .contracts import Predictions, Task
from .diagnostics.metrics import MetricTable, compute_metrics, find_metric
from .diagnostics.thresholds import compute_thresholds
from .errors import NotApplicable
from .evaluation import Evaluation
from .figures import figure_config
from .figures.theme import FONT, ModelStyle, style_of
from .gallery import View, compute_now, exhibits, hardest_class, headline, per_row
from .report_scores import ScoreTable, escaped
from .settings import get_settings
from .wording import count, listing, percent, plural, quoted, threshold

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = [
    "Section",
    "build_sections",
    "bullet_list",
    "facts_table",
    "html_page",
    "report_title",
    "section_part",
    "whole_page",
]

_NEEDED = {
    Task.BINARY: ("roc_auc", "accuracy"),
    Task.MULTICLASS: ("accuracy",),
    Task.MULTILABEL: ("f1_micro",),
    Task.REGRESSION: ("rmse",),
    Task.MULTIOUTPUT_REGRESSION: ("rmse",),
}


@dataclass(frozen=True)
class Section:
    """One exhibit: its question, and the figures that answer it, `per_row` side by side."""

    name: str
    title: str
    question: str
    figures: tuple[go.Figure, ...] = ()
    per_row: int = 1
    reason: str = ""


# What is shown


def report_title(evaluation: Evaluation) -> str:
    """`loans.parquet: 4 models side by side`."""
    models = evaluation.models
    if len(models) == 1:
        return f"{evaluation.evalset.name}: {models[0].name} beside the baseline"
    return f"{evaluation.evalset.name}: {plural(len(models), 'model')} side by side"


def _view(evaluation: Evaluation) -> View:
    models = evaluation.models
    task = evaluation.evalset.target.task
    label = hardest_class(models) if task in (Task.MULTICLASS, Task.MULTILABEL) else None
    operating = {
        each.name: compute_thresholds(each, label).at(
            evaluation.thresholds.get(each.name, each.default_threshold)
        )
        for each in models
        if each.y_score is not None
    }
    return View(
        styles={each.name: style_of(at) for at, each in enumerate(models)},
        label=label,
        output=0 if task is Task.MULTIOUTPUT_REGRESSION else None,
        operating=operating,
        rule="given" if any(_chosen(evaluation, each) for each in models) else "score",
    )


def _chosen(evaluation: Evaluation, each: Predictions) -> bool:
    """Whether somebody set this model's threshold on purpose."""
    threshold = evaluation.thresholds.get(each.name)
    return threshold is not None and threshold != each.default_threshold


def _focus(evaluation: Evaluation, view: View) -> str:
    """Which of several classes, labels or outputs the charts look at."""
    target = evaluation.predictions[0].target
    if view.output is not None:
        return f" Shown: {quoted(target.labels[view.output])}, the first of {len(target.labels)}."
    if view.label is None:
        return ""
    name = quoted(target.labels[view.label])
    if target.task is Task.MULTILABEL:
        return f" Shown: {name}, the first of {len(target.labels)} labels."
    return f" Shown: {name} against the rest, the class that the models find least often."


def build_sections(evaluation: Evaluation, view: View) -> list[Section]:
    """Every exhibit that applies to the task, in the order of the app."""
    models = evaluation.models
    task = evaluation.evalset.target.task
    sections = []
    for exhibit in exhibits(task, models) if models else ():
        name, title, question = exhibit.name, exhibit.title, exhibit.question
        needs_focus = exhibit.needs_scores or task is not Task.MULTICLASS
        question += _focus(evaluation, view) if needs_focus else ""
        try:
            drawings = exhibit.draw(models, view, compute_now)
        except NotApplicable as error:
            sections.append(Section(name, title, question, reason=error.reason))
            continue
        figures = tuple(one.figure for one in drawings)
        sections.append(Section(name, title, question, figures, per_row(exhibit, drawings)))
    return sections


def _said(evaluation: Evaluation, view: View) -> str:
    """The headline; what it needs and was not asked for is computed here."""
    table, everyone = evaluation.scores, evaluation.predictions
    if not evaluation.models:
        return "No model gave usable answers."
    have = {row.metric for row in table.rows}
    missing = [name for name in _NEEDED[everyone[0].task] if name not in have]
    if missing:
        settings = get_settings()
        more = [
            compute_metrics(
                each,
                threshold=evaluation.thresholds.get(each.name),
                metrics=missing,
                level=settings.confidence_level,
                n_bootstrap=settings.n_bootstrap,
                random_state=settings.random_state,
                per_class=False,
            )
            for each in everyone
        ]
        table = MetricTable.concat([table, *more])
    return headline(everyone, table, view.operating, rule=view.rule)


# Parts of the page; every text from outside goes through `escaped`


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>{body}</details>"


def facts_table(rows: Iterable[tuple[object, object]], css: str = "facts") -> str:
    body = "".join(
        f'<tr><th scope="row">{escaped(a)}</th><td>{escaped(b)}</td></tr>' for a, b in rows
    )
    return f'<div class="scroll"><table class="{css}"><tbody>{body}</tbody></table></div>'


def _thresholds(evaluation: Evaluation) -> str:
    """`A row is positive at a score of at least .5 (logistic, forest) and 0 (svm).`"""
    at: dict[str, list[str]] = {}
    for each in evaluation.models:
        if each.name in evaluation.thresholds:
            at.setdefault(threshold(evaluation.thresholds[each.name]), []).append(each.name)
    if not at:
        return ""
    said = [f"{limit} ({listing(names, 9)})" for limit, names in at.items()]
    return (
        f"Predicted positive: a score of at least {listing(said if len(at) > 1 else list(at), 9)}."
    )


def _score_part(evaluation: Evaluation, styles: Mapping[str, ModelStyle]) -> list[str]:
    scores = ScoreTable(evaluation, styles)
    level = get_settings().confidence_level
    parts = [
        scores.main(),
        f'<p class="quiet">In brackets: {percent(level)} intervals. ↑ larger is better, '
        "↓ smaller is better. ▼ not better than the baseline, ≈ too close to it to call. "
        f"{escaped(_thresholds(evaluation))}</p>",
    ]
    parts += [
        f'<p class="alert"><b>{escaped(one.name)}</b> gave no answers. {escaped(one.message)}</p>'
        for one in evaluation.failures
    ]
    meanings = "".join(
        f"<dt>{escaped(metric.title)}</dt><dd>{escaped(metric.sentence)}</dd>"
        for metric in scores.first
    )
    parts.append(_folded("What the metrics mean", f"<dl>{meanings}</dl>"))
    if scores.other:
        table = scores.turned((metric, "") for metric in scores.other)
        parts.append(_folded(plural(len(scores.other), "more metric"), table))
    if scores.parts:
        several = evaluation.evalset.target.task
        part = {Task.MULTILABEL: "Label", Task.MULTIOUTPUT_REGRESSION: "Output"}.get(
            several, "Class"
        )
        table = scores.turned(((find_metric(m), label) for m, label in scores.parts), part)
        parts.append(_folded(f"Every metric by {part.lower()}", table))
    return parts


def _figure(figure: go.Figure, fallback: str) -> str:
    meta = figure.layout.meta or {}
    name = str(meta.get("name", fallback))
    drawn = figure.to_html(
        full_html=False, include_plotlyjs=False, config=figure_config(name), default_width="100%"
    )
    return (
        f'<figure><div role="img" aria-label="{escaped(meta.get("alt", name))}">{drawn}</div>'
        f"<figcaption>{escaped(meta.get('caption', ''))}</figcaption></figure>"
    )


def section_part(section: Section) -> str:
    reason = f"<p>This does not apply here: {escaped(section.reason)}</p>" if section.reason else ""
    figures = "".join(_figure(figure, section.name) for figure in section.figures)
    return (
        f'<section id="{section.name}"><h2>{escaped(section.title)}</h2>'
        f'<p class="quiet">{escaped(section.question)}</p>{reason}'
        f'<div class="row n{section.per_row}">{figures}</div></section>'
    )


def bullet_list(items: Iterable[str]) -> str:
    body = "".join(f"<li>{escaped(item)}</li>" for item in items)
    return f"<ul>{body}</ul>" if body else ""


def _evaluated(evaluation: Evaluation) -> str:
    evalset = evaluation.evalset
    ledger = [(reason, count(n)) for reason, n in evalset.ledger.frame().to_numpy()]
    ledger = [
        (f"Rows {reason}" if at in (0, len(ledger) - 1) else reason, n)
        for at, (reason, n) in enumerate(ledger)
    ]
    by_model = "".join(
        f"<h3>{escaped(each.name)}</h3>{bullet_list(each.notes)}"
        for each in evaluation.predictions
        if each.notes
    )
    return (
        '<section id="data"><h2>What was evaluated</h2>'
        f"<p>{escaped(evalset.ledger.sentence())}</p>{facts_table(ledger, 'facts numbers')}"
        f"{bullet_list(evalset.target.notes)}{by_model}</section>"
    )


def _provenance(facts: Mapping[str, Any]) -> str:
    rows: list[tuple[str, str]] = [
        ("Written", facts["created"].replace("T", " ").replace("+00:00", " UTC")),
        ("Data", facts["data"]),
        ("Data, digest", facts["data_digest"]),
        *(
            (f"Answers of {name}, digest", one)
            for name, one in facts["predictions_digests"].items()
        ),
        ("Python", facts["python"]),
        *facts["versions"].items(),
    ]
    return (
        '<section id="provenance"><h2>Where these numbers come from</h2>'
        f"{facts_table(rows, 'facts digests')}</section>"
    )


def _subtitle(evaluation: Evaluation) -> str:
    target = evaluation.evalset.target
    words = [f"Target {target.name}"]
    if target.labels:
        words[0] += f" ({listing([str(label) for label in target.labels], 12)})"
    if target.pos_label is not None:
        words.append(f"positive: {target.labels[target.pos_label]}")
    words.append(evaluation.evalset.ledger.sentence())
    return " · ".join(words)


_STYLE = f"""
*{{box-sizing:border-box}}
html{{background:#fff}}
body{{font:16px/1.5 {FONT};color:#1b2430;background:#fff;max-width:1240px;margin:0 auto;
 padding:1.5rem 1.25rem 4rem}}
h1{{font-size:1.7rem;line-height:1.25;margin:0 0 .25rem;overflow-wrap:anywhere}}
h2{{font-size:1.3rem;margin:2.5rem 0 0;break-after:avoid}}
h3{{font-size:1rem;margin:1rem 0 0;break-after:avoid;overflow-wrap:anywhere}}
p{{max-width:70rem;overflow-wrap:anywhere}}
a{{color:#0f766e}}
nav{{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;font-size:.9rem;margin:1.25rem 0 0}}
.quiet,figcaption,small{{color:#566170}}
.quiet{{font-size:.9rem;margin:.25rem 0 .75rem}}
.said{{font-size:1.2rem;margin:1rem 0}}
.alert{{border-left:4px solid #c21b0d;padding:.25rem .75rem}}
.scroll{{overflow-x:auto}}
table{{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}}
th,td{{padding:.35rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid #d8dde2;
 white-space:nowrap}}
thead th{{border-bottom:2px solid #9aa5b1;vertical-align:bottom}}
.scores{{width:100%}}
.scores thead th,.scores tbody th{{white-space:normal}}
.scores tbody th{{font-weight:500;min-width:9rem;max-width:18rem;overflow-wrap:anywhere}}
.scores th [title],.scores .mark{{cursor:help}}
.stacked small{{display:block}}
.stacked th,.stacked td{{padding-right:.35rem}}
small{{font-size:.8rem}}
.dummy th{{font-style:italic}}
.numbers td{{text-align:right}}
.facts th{{font-weight:500}}
.digests td{{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:.8rem;white-space:normal;
 overflow-wrap:anywhere}}
details{{margin:.5rem 0}}
summary{{cursor:pointer;color:#0f766e}}
dt{{font-weight:600;margin-top:.5rem}}
dd{{margin:0 0 0 1rem}}
.row{{display:grid;grid-template-columns:repeat(var(--n),minmax(0,1fr));gap:1.5rem 1.25rem;--n:1}}
.n2{{--n:2}}.n3{{--n:3}}.n4{{--n:4}}
figure{{margin:0;min-width:0;break-inside:avoid}}
figcaption{{font-size:.85rem;line-height:1.4;max-width:48rem;overflow-wrap:anywhere}}
@media (max-width:1000px){{.n3,.n4{{--n:2}}}}
@media (max-width:680px){{.row{{--n:1}}}}
@page{{size:A4 landscape;margin:12mm}}
@media print{{nav{{display:none}}body{{max-width:none;padding:0}}.modebar{{display:none}}}}
"""
# A browser lays a page out for paper without telling the charts, whose widths are fixed.
_PRINT = """
function fit(width){document.body.style.width=width;
document.querySelectorAll('.js-plotly-plot').forEach(function(one){Plotly.Plots.resize(one);});}
addEventListener('beforeprint',function(){fit('1020px');});
addEventListener('afterprint',function(){fit('');});
"""


def html_page(evaluation: Evaluation, facts: Mapping[str, Any]) -> str:
    """The whole page, light on white, with Plotly inside; `facts` says where it comes from."""
    view = _view(evaluation)
    sections = build_sections(evaluation, view)
    title = escaped(report_title(evaluation))
    links = [(one.name, one.title) for one in sections]
    links += [("data", "What was evaluated"), ("provenance", "Where these numbers come from")]
    parts = [
        f'<header><h1>{title}</h1><p class="quiet">{escaped(_subtitle(evaluation))}</p></header>',
        f'<main><p class="said">{escaped(_said(evaluation, view))}</p>',
        *_score_part(evaluation, view.styles),
        "<nav>" + "".join(f'<a href="#{at}">{escaped(text)}</a>' for at, text in links) + "</nav>",
        *(section_part(one) for one in sections),
        _evaluated(evaluation),
        _provenance(facts),
        "</main>",
    ]
    return whole_page(title, parts)


def whole_page(title: str, parts: Sequence[str]) -> str:
    """A page that needs nothing else, from parts and a title that are escaped already."""
    from plotly.offline import get_plotlyjs

    head = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style>"
        f"<script>{get_plotlyjs()}</script></head><body>"
    )
    return "\n".join([head, *parts, f"<script>{_PRINT}</script></body></html>\n"])
