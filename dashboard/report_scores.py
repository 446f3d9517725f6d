"""Score tables: numbers with their intervals as text, and as HTML cells and tables."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence

from .diagnostics.baseline import Verdict, beats_baseline
from .diagnostics.metrics import (
    Metric,
    MetricRow,
    MetricTable,
    Orientation,
    find_metric,
    headline_metrics,
)
from .evaluation import Evaluation
from .figures.theme import ModelStyle, baseline_style
from .wording import count, number, tidy

__all__ = ["ARROWS", "ScoreTable", "against_baseline", "best_models", "bounds", "escaped"]

ARROWS = {Orientation.HIGHER: "↑", Orientation.LOWER: "↓", Orientation.ZERO: "→0"}
_MARKS = {
    Verdict.NOT_BETTER: ("▼", "Not better than the baseline"),
    Verdict.TOO_CLOSE: ("≈", "Too close to the baseline to call"),
}


def bounds(row: MetricRow) -> tuple[str, str]:
    """The value and its interval as text, rounding noise as 0; no interval is ""."""
    value, low, high = tidy(row.value, row.low, row.high)
    if math.isnan(low) or math.isnan(high):
        return number(value), ""
    return number(value), f"[{number(low)}, {number(high)}]"


def escaped(text: object) -> str:
    """Any text as plain text of a page, on one line."""
    return html.escape(" ".join(str(text).split()))


def _swatch(style: ModelStyle) -> str:
    dash = {"dash": "8,4", "solid": ""}.get(style.dash, style.dash.replace("px", ""))
    return (
        '<svg width="34" height="8" aria-hidden="true"><line x1="0" y1="4" x2="34" y2="4" '
        f'stroke="{style.colour}" stroke-width="3" stroke-dasharray="{dash}"/></svg>'
    )


def _name(model: str, styles: Mapping[str, ModelStyle]) -> str:
    return f"{_swatch(styles.get(model, baseline_style()))} {escaped(model)}"


def _heading(metric: Metric) -> str:
    return (
        f'<span title="{escaped(metric.sentence)}">{escaped(metric.title)}&nbsp;'
        f"{ARROWS[metric.orientation]}</span>"
    )


def best_models(rows: Sequence[MetricRow], metric: Metric, baseline: str) -> set[str]:
    """Names of the models that lead in one metric; none where only one was scored."""
    loss = {
        Orientation.HIGHER: lambda value: -value,
        Orientation.LOWER: lambda value: value,
        Orientation.ZERO: abs,
    }[metric.orientation]
    known = [row for row in rows if row.model != baseline and not math.isnan(row.value)]
    if len(known) < 2:
        return set()
    top = min(loss(row.value) for row in known)
    return {row.model for row in known if loss(row.value) == top}


def against_baseline(row: MetricRow, baseline: MetricRow | None, metric: Metric) -> tuple[str, str]:
    """A sign and its words where a model does not clearly beat the baseline, else two ""."""
    # a constant mean has no bias by construction; nobody can beat that
    if baseline is None or row is baseline or metric.orientation is Orientation.ZERO:
        return "", ""
    verdict = beats_baseline(
        MetricTable((row,)), MetricTable((baseline,)), metric.name, label=row.label
    )
    return _MARKS.get(verdict, ("", "")) if verdict else ("", "")


def _mark(row: MetricRow, baseline: MetricRow | None, metric: Metric) -> str:
    sign, words = against_baseline(row, baseline, metric)
    return f' <span class="mark" title="{words}">{sign}</span>' if sign else ""


class ScoreTable:
    """The score table of one evaluation, cell by cell."""

    def __init__(self, evaluation: Evaluation, styles: Mapping[str, ModelStyle]) -> None:
        self.models = [each.name for each in evaluation.predictions]
        self.baseline = evaluation.baseline.name
        self.n = {each.name: each.n for each in evaluation.predictions}
        self.styles = styles
        self._rows = {(row.metric, row.label, row.model): row for row in evaluation.scores.rows}
        have = dict.fromkeys(row.metric for row in evaluation.scores.rows)
        task = evaluation.evalset.target.task
        whole = [find_metric(name) for name in have]
        whole = [metric for metric in whole if metric.has_overall(task)]
        usual = {metric.name for metric in headline_metrics(task)}
        self.first = [metric for metric in whole if metric.name in usual] or whole
        self.other = [metric for metric in whole if metric not in self.first]
        self.parts = list(
            dict.fromkeys((row.metric, row.label) for row in evaluation.scores.rows if row.label)
        )

    def row(self, metric: Metric, label: str) -> list[MetricRow]:
        found = (self._rows.get((metric.name, label, model)) for model in self.models)
        return [one for one in found if one is not None]

    def cells(self, metric: Metric, label: str = "") -> dict[str, str]:
        """Model → table cell, for one metric of the whole or of one class."""
        rows = self.row(metric, label)
        best = best_models(rows, metric, self.baseline)
        dummy = next((row for row in rows if row.model == self.baseline), None)
        out = {}
        for row in rows:
            if math.isnan(row.value):
                out[row.model] = f'<td title="{escaped(row.reason)}">–</td>'
                continue
            value, interval = bounds(row)
            value = f"<b>{value}</b>" if row.model in best else value
            small = f" <small>{interval}</small>" if interval else ""
            out[row.model] = f"<td>{value}{_mark(row, dummy, metric)}{small}</td>"
        return out

    def main(self) -> str:
        """One line per model, the baseline first; one column per headline metric."""
        columns = {metric.name: self.cells(metric) for metric in self.first}
        heads = "".join(f'<th scope="col">{_heading(metric)}</th>' for metric in self.first)
        body = []
        for model in self.models:
            cells = "".join(one.get(model, "<td>–</td>") for one in columns.values())
            css = ' class="dummy"' if model == self.baseline else ""
            body.append(
                f'<tr{css}><th scope="row">{_name(model, self.styles)}</th>{cells}'
                f"<td>{count(self.n[model])}</td></tr>"
            )
        wide = " stacked" if len(self.first) > 5 else ""
        return (
            f'<div class="scroll"><table class="scores{wide}"><thead><tr><th scope="col">Model'
            f'</th>{heads}<th scope="col">n</th></tr></thead><tbody>{"".join(body)}</tbody>'
            "</table></div>"
        )

    def turned(self, lines: Iterable[tuple[Metric, str]], part: str = "") -> str:
        """One line per metric (and class), one column per model."""
        heads = "".join(f'<th scope="col">{_name(m, self.styles)}</th>' for m in self.models)
        heads = f'<th scope="col">{part}</th>{heads}' if part else heads
        body = []
        for metric, label in lines:
            cells = self.cells(metric, label)
            name = f"<td>{escaped(label)}</td>" if part else ""
            row = "".join(cells.get(model, "<td>–</td>") for model in self.models)
            body.append(f'<tr><th scope="row">{_heading(metric)}</th>{name}{row}</tr>')
        return (
            f'<div class="scroll"><table class="scores"><thead><tr><th scope="col">Metric</th>'
            f"{heads}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
        )
