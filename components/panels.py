"""Draw results: guarded, with caption, table and downloads; return what was selected."""

from __future__ import annotations

import html
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from components import cached
from components.courtesy import get_courtesy
from components.markup import message, plain, swatch
from components.progress import stop_here
from components.state import AppState, app_state, widget_value
from components.steady_tabs import steady_tabs
from dashboard.contracts import Predictions, Result, Task
from dashboard.diagnostics.confusion import confusion_rows
from dashboard.diagnostics.metric_list import headline_metrics
from dashboard.diagnostics.metrics import METRICS, MetricRow, MetricTable
from dashboard.errors import DiagnosticsError, NotApplicable
from dashboard.evaluation import Answers
from dashboard.figures import Clicked, clicked, figure_config, figure_html, meta_of
from dashboard.gallery import Exhibit, View, headline, per_row
from dashboard.report import safe_csv
from dashboard.report_scores import ARROWS, against_baseline, best_models, bounds
from dashboard.settings import get_settings
from dashboard.wording import number, per_thousand, percent

__all__ = [
    "HEADLINE",
    "guard",
    "guard_page",
    "needs",
    "needs_answers",
    "places",
    "show_every_number",
    "show_exhibit",
    "show_failures",
    "show_figure",
    "show_headline",
    "show_rows",
    "show_scores",
    "show_table",
    "theme",
]

_ROWS_SHOWN = 1_000
_PICTURES = 12
_LOG = logging.getLogger("sidelight")


def theme() -> Literal["light", "dark"]:
    """The theme the browser shows now."""
    return "dark" if st.context.theme.type == "dark" else "light"


@contextmanager
def guard(what: str) -> Iterator[None]:
    """One message for one problem; the rest of the page goes on."""
    get_courtesy().give_way()
    try:
        yield
    except NotApplicable as error:
        st.info(f"{what} does not apply here: {plain(error.reason)}", icon=":material/info:")
    except DiagnosticsError as error:
        _LOG.warning("%s: %s", what, error)
        st.error(message(what, str(error)), icon=":material/error:")


def needs(state: AppState) -> None:
    """Stop the page with what to do next while there is nothing to compare."""
    if state.evalset is None:
        st.info(
            "There is no data to evaluate yet. Choose a sample or upload a data file on Home.",
            icon=":material/table:",
        )
        st.page_link("../pages/home.py", label="Go to Home", icon=":material/home:")
        stop_here(state)
    if not state.entries:
        st.info(
            f"{plain(state.evalset.name)} is loaded, "
            f"{state.evalset.ledger.n_evaluated:,} rows are ready. "
            "Add model files or files of predictions on Home to compare them.",
            icon=":material/model_training:",
        )
        st.page_link("../pages/home.py", label="Add models on Home", icon=":material/upload:")
        stop_here(state)


@contextmanager
def guard_page(what: str) -> Iterator[None]:
    """As `guard`, for what the rest of the page cannot do without."""
    with guard(what):
        yield
        return
    stop_here(app_state())


def needs_answers(answers: Answers) -> None:
    """Stop the page where no model gave an answer; the reasons stand above."""
    if not answers.predictions:
        st.info(
            "None of the shown models fits this data. Show or add another one, or correct on Home "
            "what was understood.",
            icon=":material/model_training:",
        )
        st.page_link("../pages/home.py", label="Go to Home", icon=":material/home:")
        stop_here(app_state())


def show_failures(failures: Sequence[Any]) -> None:
    """Models that gave no answers, one sentence each, with a way to ask again."""
    entries = {entry.name: entry for entry in app_state().shown}
    for failure in failures:
        text, button = st.columns([6, 1], vertical_alignment="center")
        text.error(
            f"**{plain(failure.name)}** gave no answers. {plain(failure.message.replace('`', ''))}",
            icon=":material/error:",
        )
        entry = entries.get(failure.name)
        if entry is not None and entry.table is None:
            button.button(
                "Ask again",
                key=f"ask-{entry.key}",
                type="tertiary",
                icon=":material/refresh:",
                on_click=entry.ask_again,
            )


def show_table(frame: pd.DataFrame, *, key: str, name: str) -> None:
    """A folded-away table with its download."""
    st.dataframe(frame, hide_index=True, key=f"table-{key}", height=280)
    st.download_button(
        "CSV",
        data=lambda: safe_csv(frame).encode(),
        file_name=f"{name}.csv",
        mime="text/csv",
        key=f"csv-{key}",
        icon=":material/download:",
        on_click="ignore",
    )


def show_figure(
    figure: go.Figure,
    *,
    key: str,
    tables: Mapping[str, Result],
    on_click: bool = False,
    on_pick: Callable[[Clicked], None] | None = None,
    caption: bool = True,
) -> tuple[int, int] | None:
    """A figure with its caption, the data behind it and downloads.

    Returns the `customdata` of the clicked mark when `on_click` is set, else None; `on_pick` is
    told once what a clicked mark stands for, before the page is drawn anew.
    """
    get_courtesy().give_way()
    meta = meta_of(figure)
    name = str(meta.get("name", key))
    options: dict[str, Any] = {}
    if on_click or on_pick is not None:
        options = {"on_select": "rerun", "selection_mode": "points"}
    if on_pick is not None:
        options["on_select"] = partial(_hand_on, f"figure-{key}", meta, on_pick)
    event = st.plotly_chart(
        figure,
        theme=None,
        key=f"figure-{key}",
        config=figure_config(name, app_state().picture),
        alt=str(meta.get("alt", "")) or None,
        **options,
    )
    if caption and meta.get("caption"):
        st.caption(plain(str(meta["caption"])))
    _show_downloads(figure, name, key, tables)
    if not on_click:
        return None
    chosen = event.selection.points if event else []
    data = chosen[0].get("customdata") if chosen else None
    return (int(data[0]), int(data[1])) if data else None


def _show_downloads(figure: go.Figure, name: str, key: str, tables: Mapping[str, Result]) -> None:
    """Drawn when they are unfolded: a page of charts has more buttons than all else together."""
    place = st.popover(
        "Data and download",
        icon=":material/download:",
        type="tertiary",
        key=f"downloads-{key}",
        on_change="rerun",
    )
    if not place.open:
        return
    shade = theme()  # a download runs in another thread, which knows no theme
    with place:
        st.caption("PNG or SVG: the camera above the chart; choose which in the sidebar.")
        st.download_button(
            "Interactive page (HTML)",
            data=lambda: figure_html(figure, shade).encode(),
            file_name=f"{name}.html",
            mime="text/html",
            key=f"html-{key}",
            icon=":material/html:",
            on_click="ignore",
        )
        for model, result in tables.items():
            st.download_button(
                f"Exact data: {plain(model)} (CSV)",
                data=_csv_of(result),
                file_name=f"{name}-{model}.csv",
                mime="text/csv",
                key=f"data-{key}-{model}",
                icon=":material/table:",
                on_click="ignore",
            )


def _hand_on(widget: str, meta: Mapping[str, Any], on_pick: Callable[[Clicked], None]) -> None:
    """Tell what was clicked; a click beside the marks says nothing."""
    event: Any = widget_value(widget)
    chosen = event["selection"]["points"] if event else []
    data = chosen[0].get("customdata") if chosen else None
    if isinstance(data, str):
        on_pick(Clicked(None, data, None))
    elif data:
        on_pick(clicked(meta, list(data)))


def _csv_of(result: Result) -> Callable[[], bytes]:
    return lambda: safe_csv(result.frame()).encode()


def _rows_csv(
    frame: pd.DataFrame, each: Predictions, rows: Any, label: int | None
) -> Callable[[], bytes]:
    return lambda: safe_csv(_with_answers(frame.iloc[rows], each, rows, label)).encode()


# The score table: value, interval in grey, difference to the reference, mark against the baseline.

_STYLE = """<style>
.sl-scroll{overflow-x:auto}
.sl-scores{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.85rem}
.sl-scores th,.sl-scores td{padding:.3rem .35rem;text-align:left;border-bottom:1px solid #8884;
 vertical-align:top;white-space:nowrap}
.sl-scores thead th{font-weight:600}
.sl-scores thead th,.sl-scores tbody th{white-space:normal}
.sl-scores tbody th{font-weight:500;min-width:8.5rem;max-width:15rem;overflow-wrap:anywhere}
.sl-scores small{opacity:.78;font-size:.75rem;display:block}
.sl-scores .dummy{font-style:italic}
.sl-scores .best{font-weight:700}
</style>"""


def _cell(rows: Sequence[MetricRow], model: str, baseline: str, reference: str | None) -> str:
    """One model's value of one metric; `rows` are those of all models."""
    by_model = {row.model: row for row in rows}
    row, metric = by_model[model], METRICS[rows[0].metric]
    if math.isnan(row.value):
        return f'<td title="{html.escape(row.reason)}">–</td>'
    value, interval = bounds(row)
    small = [interval]
    if reference is not None and model not in (reference, baseline):
        difference = row.value - by_model[reference].value
        if not math.isnan(difference):
            small.append(f"{'+' if difference > 0 else ''}{number(difference)} ★")
    sign, words = against_baseline(row, by_model.get(baseline), metric)
    if sign:
        small.append(f'<span title="{words}">{sign} baseline</span>')
    best = ' class="best"' if model in best_models(rows, metric, baseline) else ""
    text = "".join(f"<small>{part}</small>" for part in small if part)
    return f"<td><span{best}>{value}</span>{text}</td>"


HEADLINE = "font-size:1.15rem;line-height:1.5;max-width:62rem;margin:0"


def show_scores(state: AppState, answers: Answers, table: MetricTable) -> None:
    """The score table: the baseline first, then every model, differences to the reference."""
    baseline = answers.baseline.name
    entry = state.reference_entry
    answering = [each.name for each in answers.predictions]
    reference = entry.name if entry and entry.name in answering and len(answering) > 1 else None
    names = [one.name for one in headline_metrics(answers.evalset.target.task)]
    head = "".join(
        f'<th scope="col" title="{html.escape(METRICS[name].sentence)}">'
        f"{html.escape(METRICS[name].title)}&nbsp;{ARROWS[METRICS[name].orientation]}</th>"
        for name in names
    )
    rows = [[row for row in table.rows if row.metric == name and not row.label] for name in names]
    body = []
    for each in answers.everyone:
        cells = "".join(_cell(of_metric, each.name, baseline, reference) for of_metric in rows)
        mark = " ★ reference" if each.name == reference else ""
        css = ' class="dummy"' if each.name == baseline else ""
        body.append(
            f'<tr><th scope="row"{css} title="{html.escape(each.name)}">'
            f"{swatch(state.style_for(each.name))} {html.escape(each.name)}<small>{mark}</small>"
            f"</th>{cells}<td>{each.n:,}</td></tr>"
        )
    st.html(
        f'{_STYLE}<div class="sl-scroll" tabindex="0" role="region" aria-label="Score table">'
        f'<table class="sl-scores"><thead><tr><th scope="col">Model</th>{head}'
        f'<th scope="col">n</th></tr></thead><tbody>{"".join(body)}</tbody></table></div>'
    )
    level = get_settings().confidence_level
    target = answers.evalset.target
    over = ""
    if target.task is Task.MULTIOUTPUT_REGRESSION:
        over = f"Means over {len(target.labels)} outputs; the charts show one. "
    st.caption(
        f"{over}In brackets: {percent(level)} intervals; ★ difference to the reference. "
        "▼ not better than the baseline, ≈ too close to the baseline to call. "
        "↑ larger is better, ↓ smaller is better."
    )
    notes = [f"{each.name}: {note}" for each in answers.predictions for note in each.notes]
    if notes:
        with st.expander(f"What was converted or left out ({len(notes)})", icon=":material/info:"):
            st.markdown("\n".join(f"- {plain(note)}" for note in notes))


def show_headline(answers: Answers, table: MetricTable, view: View, place: Any) -> None:
    """The one sentence that answers the page's question, put at `place`, above the controls.

    Below it, for two classes, what one model means for a thousand rows: the reference, or the
    only one.
    """
    said = headline(answers.everyone, table, view.operating, cached.diagnostic, view.rule)
    first, stop, rest = said.partition(". ")
    lead = f"<strong>{html.escape(first + stop.strip())}</strong> {html.escape(rest)}"
    place.html(f'<p class="sl-headline" style="{HEADLINE}">{lead}</p>')
    counts = view.operating.get(view.reference or "")
    if counts is not None and view.label is None:
        place.caption(plain(per_thousand(counts, model=view.reference or "")))


def places(state: AppState, shown: Sequence[Exhibit]) -> Iterator[tuple[Exhibit, Any]]:
    """Each exhibit with the place to draw it: under a heading, or in the tab that is open.

    What stands in a closed tab is not computed.
    """
    for exhibit in shown:
        if not exhibit.folded:
            st.header(exhibit.title, anchor=False, help=exhibit.question)
            yield exhibit, st.container()
    folded = [exhibit for exhibit in shown if exhibit.folded]
    if folded:
        st.header("Look closer", anchor=False)
        start = next((one.title for one in folded if one.name == state.tab), folded[0].title)
        names = [one.title for one in folded]
        tabs = steady_tabs(names, start, "exhibits")
        for exhibit, tab in zip(folded, tabs, strict=True):
            if tab.open:
                state.tab = exhibit.name if exhibit is not folded[0] else ""
                tab.caption(exhibit.question)
                yield exhibit, tab


def show_exhibit(exhibit: Exhibit, answers: Answers, view: View) -> dict[str, tuple[int, int]]:
    """Draw one exhibit; returns model → clicked cell for those that can be clicked."""
    drawings = exhibit.draw(answers.predictions, view, cached.diagnostic)
    columns = per_row(exhibit, drawings)
    clicked: dict[str, tuple[int, int]] = {}
    for start in range(0, len(drawings), columns):
        part = drawings[start : start + columns]
        for at, (column, drawing) in enumerate(zip(st.columns(columns), part, strict=False)):
            with column:
                hit = show_figure(
                    drawing.figure,
                    key=f"{exhibit.name}-{start + at}",
                    tables=drawing.results,
                    on_click=exhibit.name == "confusion",
                )
            if hit is not None:
                clicked[drawing.model] = drawing.cell(hit)
    return clicked


def show_rows(answers: Answers, view: View, clicked: Mapping[str, tuple[int, int]]) -> None:
    """The rows behind the clicked cells of confusion matrices."""
    for each in answers.predictions:
        if each.name not in clicked:
            continue
        whole = each.task is Task.MULTICLASS and not view.against_rest
        label = None if whole or each.task is Task.BINARY else view.label
        threshold = None if whole else view.threshold(each.name)
        matrix = cached.diagnostic("confusion", each, threshold=threshold, label=label)
        true, pred = clicked[each.name]
        rows = confusion_rows(each, true, pred, threshold=threshold, label=label)
        if not len(rows):
            st.markdown(
                f"**{plain(each.name)}**: no row is {plain(matrix.labels[true])} and was called "
                f"{plain(matrix.labels[pred])}."
            )
            continue
        everything = answers.evalset.frame
        shown = _with_answers(everything.iloc[rows[:_ROWS_SHOWN]], each, rows[:_ROWS_SHOWN], label)
        st.markdown(
            f"**{plain(each.name)}**: {len(rows):,} rows are {plain(matrix.labels[true])} and were "
            f"called {plain(matrix.labels[pred])}; {len(shown):,} of {len(rows):,} shown. "
            "Choose one to see why."
        )
        _show_pictures(answers.evalset.X, rows)
        key = f"rows-{each.name}"
        st.dataframe(
            shown,
            key=key,
            hide_index=False,
            height=260,
            on_select=partial(_open_row, key, rows),
            selection_mode="single-row",
        )
        st.download_button(
            f"All {len(rows):,} rows (CSV)",
            data=_rows_csv(everything, each, rows, label),
            file_name="rows.csv",
            mime="text/csv",
            key=f"rows-csv-{each.name}",
            icon=":material/download:",
            on_click="ignore",
        )


def _open_row(key: str, rows: Any) -> None:
    """The chosen line of a table is explained on the page of its own."""
    event: Any = widget_value(key)
    lines = event["selection"]["rows"] if event else []
    if lines:
        app_state().explore(row=int(rows[lines[0]]))
        app_state().next_page = "one_row"


def _with_answers(
    frame: pd.DataFrame, each: Predictions, rows: Any, label: int | None
) -> pd.DataFrame:
    """The rows with the model's answer in front: its label and the score of the class in focus."""
    at = np.searchsorted(each.rows, rows)
    front: dict[str, Any] = {}
    if each.y_pred is not None and each.y_pred.ndim == 1:
        names = np.array([str(one) for one in each.target.labels], dtype=object)
        front["own label"] = names[each.y_pred[at]]
    if each.y_score is not None:
        score = each.y_score[at]
        if score.ndim == 2:
            score = score[:, label] if label is not None else score.max(axis=1)
        front["score"] = score
    front = {f"model: {name}": values for name, values in front.items()}
    return pd.concat([pd.DataFrame(front, index=frame.index), frame], axis="columns")


def _show_pictures(X: Any, rows: Any) -> None:
    """The first images among the rows, where the features are images."""
    if not isinstance(X, np.ndarray) or X.ndim not in (3, 4) or not len(rows):
        return
    if X.ndim == 4 and X.shape[-1] not in (1, 3, 4):
        return  # not a picture that a screen can show
    shown = X[rows[:_PICTURES]].astype(float)
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    scaled = np.nan_to_num((shown - low) / ((high - low) or 1.0)).clip(0, 1)
    times = max(1, 72 // scaled.shape[1])  # small pixels are shown as squares, not as a blur
    large = scaled.repeat(times, axis=1).repeat(times, axis=2)
    edge = [(0, 0), (2, 2), (2, 2), *[(0, 0)] * (large.ndim - 3)]
    large = np.pad(large, edge, constant_values=0.5)  # neighbours stay apart
    st.image(
        [one[..., 0] if one.ndim == 3 and one.shape[-1] == 1 else one for one in large],
        caption=[f"row {int(row)}" for row in rows[:_PICTURES]],
        width=72,
    )
    st.caption(f"{len(shown):,} of {len(rows):,} images.")


def show_every_number(table: MetricTable) -> None:
    """All metrics, per class and averaged, folded away."""
    classes = any(row.label for row in table.rows)
    place = st.expander(
        "Every number, per class and averaged" if classes else "Every number",
        icon=":material/table:",
        key="every-number",
        on_change="rerun",
    )
    if place.open:
        with place:
            show_table(table.frame(), key="numbers", name="scores")
