"""Curves by epoch: every run's metric, training and validation, and what they say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from components import cached
from components.finding_panels import show_findings
from components.log_names import show_names
from components.markup import plain
from components.panels import guard, show_figure, theme
from components.state import AppState
from components.studies import DRAWN
from components.training_logs import Logs, run_styles
from dashboard.contracts import Finding, Run
from dashboard.diagnostics.epoch_findings import find_in_epochs
from dashboard.diagnostics.epochs import EpochCurve, compute_epoch_curves
from dashboard.diagnostics.logged_metrics import metric_title
from dashboard.diagnostics.rate_search import compute_rate_search
from dashboard.diagnostics.run_groups import group_runs
from dashboard.diagnostics.schedules import compute_schedule
from dashboard.errors import NotApplicable
from dashboard.figures import (
    plot_epoch_curves,
    plot_epoch_groups,
    plot_gap,
    plot_rate_search,
    plot_schedule,
)

__all__ = ["epoch_findings", "left_out", "show_epochs"]

_DRAWN = {"overlay": "Together", "grid": "One each", "groups": "Seeds as bands", "gap": "The gap"}
_MOST_BUTTONS = 6  # more metrics than that stand in a list
_SMOOTHING_HELP = (
    "As TensorBoard's slider: an average that leans on the past, corrected for its start. The raw "
    "values stay visible behind it; findings are always made of raw values."
)
_HALF_HELP = (
    "A training loss that Keras logs is a mean over the epoch, while the weights changed: it "
    "belongs to the middle of the epoch, half a step to the left of the validation loss."
)
_PATIENCE_HELP = "Early stopping would end a run after so many values without a better one."


def left_out(state: AppState) -> list[str]:
    """Names of runs that are not drawn."""
    try:
        given = json.loads(state.studied.left) if state.studied.left else []
    except ValueError:
        return []
    return [str(one) for one in given] if isinstance(given, list) else []


def epoch_findings(logs: Logs, left: Sequence[str]) -> list[Finding]:
    """What all shown runs say, each judged by its own curves."""
    runs = logs.shown(left)

    def find() -> list[Finding]:
        return [one for run in runs if run.metrics for one in find_in_epochs(run)]

    return cached.computed("epoch findings", (logs.key, tuple(left)), find)


def show_epochs(state: AppState, logs: Logs) -> None:
    """All of the first tab."""
    if not logs.runs:
        show_names(state, logs)
        st.info(
            "There is no training log yet. Drop one on Home among the model files: a Keras history "
            "(CSV or JSON), TensorBoard event files or a zipped folder of runs, an XGBoost, "
            "LightGBM or CatBoost log. Models that keep a curve show it by themselves.",
            icon=":material/show_chart:",
        )
        st.page_link("../pages/home.py", label="Add a log on Home", icon=":material/upload:")
        return
    runs = _choose_runs(state, logs)
    with guard("The rate search"):
        runs = _show_rate_searches(state, runs)
    if not runs:
        return
    metric = _choose_metric(state, runs)
    _choose_drawing(state)
    now = state.studied
    compute = partial(
        compute_epoch_curves,
        runs,
        metric=metric,
        smoothing=now.smoothing,
        patience=now.patience,
        half_epoch=now.half,
    )
    names = tuple(one.name for one in runs)
    key = (logs.key, names, metric, now.smoothing, now.patience, now.half)
    curves = cached.computed("epoch curves", key, compute)
    with guard("The curves"):
        _draw(state, runs, curves)
    show_findings(epoch_findings(logs, left_out(state)), key="epochs")
    _show_schedules(state, runs, curves)
    show_names(state, logs)
    _show_notes(runs, curves)


def _choose_runs(state: AppState, logs: Logs) -> list[Run]:
    names = [one.name for one in logs.runs]
    if len(names) == 1:
        return list(logs.runs)
    left = left_out(state)
    chosen = st.multiselect(
        "Runs",
        names,
        default=[name for name in names if name not in left] or names,
        key=f"learn-runs-{logs.key[:12]}",
        help="Uploaded logs, and the curves that the shown models keep.",
    )
    hidden = [name for name in names if name not in chosen] if chosen else []
    text = json.dumps(hidden, ensure_ascii=False) if hidden else ""
    if text != state.studied.left:
        state.study(left=text)
    return logs.shown(hidden)


def _choose_metric(state: AppState, runs: Sequence[Run]) -> str:
    known = list(dict.fromkeys(name for run in runs for name in run.metrics))
    known.sort(key=lambda name: (name != "loss", -sum(name in run.metrics for run in runs)))
    start = state.studied.metric if state.studied.metric in known else (known or ["loss"])[0]
    if len(known) < 2:
        return start
    if len(known) > _MOST_BUTTONS:
        chosen: str | None = st.selectbox(
            "Metric",
            known,
            index=known.index(start),
            format_func=partial(_with_runs, runs),
            key=f"learn-metric-{start}",
            width=400,
        )
    else:
        chosen = st.segmented_control(
            "Metric",
            known,
            default=start,
            required=True,
            format_func=metric_title,
            key=f"learn-metric-{start}",
        )
    if chosen and chosen != start:
        state.study(metric=str(chosen))
    return str(chosen or start)


def _with_runs(runs: Sequence[Run], metric: str) -> str:
    """A metric with how many of the runs have it, where not all do."""
    n = sum(metric in run.metrics for run in runs)
    return metric_title(metric) + (f" ({n} of {len(runs)} runs)" if n < len(runs) else "")


def _choose_drawing(state: AppState) -> None:
    now = state.studied
    with st.container(horizontal=True, vertical_alignment="bottom"):
        drawn = st.segmented_control(
            "Runs are drawn",
            list(DRAWN),
            default=now.drawn,
            required=True,
            format_func=lambda one: _DRAWN[one],
            key="learn-drawn",
        )
        smoothing = st.slider(
            "Smoothing", 0.0, 0.99, now.smoothing, 0.01, key="learn-smoothing", help=_SMOOTHING_HELP
        )
        patience = st.number_input(
            "Patience",
            1,
            1_000,
            min(now.patience, 1_000),
            key="learn-patience",
            help=_PATIENCE_HELP,
            width=130,
        )
        with st.popover("Axes", icon=":material/tune:"):
            flags = {
                "half": st.toggle(
                    "Training half an epoch earlier", now.half, key="learn-half", help=_HALF_HELP
                ),
                "log_x": st.toggle("Epochs logarithmic", now.log_x, key="learn-log-x"),
                "log_y": st.toggle("Values logarithmic", now.log_y, key="learn-log-y"),
                "robust": st.toggle(
                    "Leave outliers out of the axis",
                    now.robust,
                    key="learn-robust",
                    help="The axis spans the middle 90 % of all values, as TensorBoard's does.",
                ),
                "rate": st.toggle("Learning rate on a second axis", now.rate, key="learn-rate"),
            }
    state.study(
        drawn=str(drawn or "overlay"), smoothing=float(smoothing), patience=int(patience), **flags
    )


def _draw(state: AppState, runs: Sequence[Run], curves: list[EpochCurve]) -> None:
    now, styles = state.studied, run_styles(state, runs)
    tables: dict[str, Any] = {one.run: one for one in curves if one.parts}
    if now.drawn == "groups":
        groups = group_runs(curves)
        figure = plot_epoch_groups(groups, None, log_x=now.log_x, log_y=now.log_y, theme=theme())
    elif now.drawn == "gap":
        figure = plot_gap(curves, styles, log_x=now.log_x, theme=theme())
    else:
        figure = plot_epoch_curves(
            curves,
            styles,
            layout="grid" if now.drawn == "grid" else "overlay",
            log_x=now.log_x,
            log_y=now.log_y,
            rate=now.rate,
            robust=now.robust,
            theme=theme(),
        )
    few = dict(list(tables.items())[:12])
    show_figure(figure, key=f"epochs-{now.drawn}", tables=few)


def _show_rate_searches(state: AppState, runs: Sequence[Run]) -> list[Run]:
    """Runs whose rate rises throughout are searches: they get a chart of their own."""
    searches, others = [], []
    for run in runs:
        try:
            searches.append(
                cached.computed("rate search", _key_of(run), partial(compute_rate_search, run))
            )
        except NotApplicable:
            others.append(run)
    if searches:
        st.subheader("Search for a learning rate", anchor=False)
        figure = plot_rate_search(searches, run_styles(state, runs), theme=theme())
        show_figure(figure, key="rate-search", tables={one.run: one for one in searches})
    return others


def _key_of(run: Run) -> tuple[Any, ...]:
    return (run.name, *((s.metric, s.part, s.values.tobytes()) for s in run.series))


def _show_schedules(state: AppState, runs: Sequence[Run], curves: Sequence[EpochCurve]) -> None:
    """The learning rate beside the loss, of each run that changed it."""
    found = []
    for run, curve in zip(runs, curves, strict=True):
        try:
            found.append((curve, compute_schedule(run)))
        except NotApplicable:
            continue
    found = [(curve, one) for curve, one in found if curve.parts][:8]
    if not found:
        return
    with st.expander(f"Learning rates ({len(found)})", icon=":material/speed:"):
        styles = run_styles(state, runs)
        for curve, schedule in found:
            figure = plot_schedule(
                curve,
                schedule,
                styles.get(curve.run),
                log_y=state.studied.log_y,
                theme=theme(),
            )
            show_figure(figure, key=f"schedule-{curve.run}", tables={curve.run: curve})


def _show_notes(runs: Sequence[Run], curves: Sequence[EpochCurve]) -> None:
    notes = [f"{run.name} ({run.source}): {note}" for run in runs for note in run.notes]
    notes += [f"{one.run}: {note}" for one in curves for note in one.notes]
    if notes:
        with st.expander(f"How the logs were read ({len(notes)})", icon=":material/info:"):
            st.markdown("\n".join(f"- {plain(note)}" for note in dict.fromkeys(notes)))
