"""Curves by epoch: every run's metric, training and validation, and what they say."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from components import cached
from components.finding_panels import show_findings
from components.log_names import show_names
from components.markup import plain
from components.network_panels import layer_findings
from components.panels import guard, show_figure, show_table, theme
from components.pointing import marked
from components.state import AppState, following, widget_value
from components.studies import DRAWN, Studied
from components.training_logs import Logs, run_styles
from dashboard.contracts import Finding, Run
from dashboard.diagnostics.epoch_findings import find_in_epochs
from dashboard.diagnostics.epochs import EpochCurve, compute_epoch_curves
from dashboard.diagnostics.group_findings import find_in_groups
from dashboard.diagnostics.logged_metrics import metric_title
from dashboard.diagnostics.rate_search import compute_rate_search
from dashboard.diagnostics.run_comparison import curves_of_runs, find_behind
from dashboard.diagnostics.run_groups import group_runs
from dashboard.diagnostics.run_settings import settings_of_runs
from dashboard.diagnostics.schedules import compute_schedule
from dashboard.errors import NotApplicable
from dashboard.figures import (
    plot_epoch_curves,
    plot_epoch_groups,
    plot_gap,
    plot_rate_search,
    plot_schedule,
)
from dashboard.figures.theme import ModelStyle, Theme

__all__ = ["epoch_findings", "left_out", "show_epochs"]

T = TypeVar("T")
_DRAWN = {
    "overlay": "Together",
    "grid": "Side by side",
    "groups": "Seeds as bands",
    "gap": "Gap to validation",
}
# What each drawing shows of what can be chosen; the rest is disabled.
_USES = {
    "overlay": {"smoothing", "half", "log_x", "log_y", "robust", "rate"},
    "grid": {"smoothing", "half", "log_x", "log_y", "robust", "rate"},
    "groups": {"smoothing", "half", "log_x", "log_y"},
    "gap": {"half", "log_x"},
}
_MOST_BUTTONS = 6  # more metrics than that stand in a list
_MOST_CHIPS = 12  # runs that are named one beside the other
_MOST_RATES = 8  # runs whose learning rate is drawn
_SMOOTHING_HELP = (
    "As TensorBoard's slider: an average that leans on the past, corrected for its start. The raw "
    "values stay visible behind it; findings are always made of raw values."
)
_HALF_HELP = (
    "A training loss that Keras logs is a mean over the epoch, while the weights changed: it "
    "belongs to the middle of the epoch, half a step to the left of the validation loss."
)
_SWITCHES: dict[str, tuple[str, str | None]] = {
    "half": ("Training half an epoch earlier", _HALF_HELP),
    "log_x": ("Epochs logarithmic", None),
    "log_y": ("Values logarithmic", None),
    "robust": (
        "Leave outliers out of the axis",
        "The axis spans the middle 90 % of all values, as TensorBoard's does.",
    ),
    "rate": ("Learning rate on a second axis", None),
}
_IDLE_HELP = "Changes nothing in this drawing."
_PATIENCE_HELP = "Early stopping would end a run after so many values without a better one."


def left_out(state: AppState) -> list[str]:
    """Names of runs that are not drawn."""
    try:
        given = json.loads(state.studied.left) if state.studied.left else []
    except ValueError:
        return []
    return [str(one) for one in given] if isinstance(given, list) else []


def epoch_findings(logs: Logs, left: Sequence[str], patience: int) -> list[Finding]:
    """What all shown runs say, each judged by its own curves, and those that stay behind."""
    runs = logs.shown(left)

    def find() -> list[Finding]:
        own = [one for run in runs if run.metrics for one in find_in_epochs(run, patience)]
        inside = layer_findings(logs, left)  # a run whose layers fail is behind for that
        return [*own, *find_behind(curves_of_runs(runs), [*own, *inside])]

    return cached.computed("epoch findings", (logs.key, tuple(left), patience), find)


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
        runs = _show_rate_searches(state, logs, runs)
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
        _draw(state, logs, curves, key)
    if now.drawn == "groups":
        with guard("The configurations"):
            show_findings(find_in_groups(group_runs(curves)), key="groups")
    found = epoch_findings(logs, left_out(state), now.patience)
    show_findings(found, key="epochs", units=_units(logs.runs))
    _show_schedules(state, logs, runs, curves)
    _show_settings(runs)
    show_names(state, logs)
    _show_notes(runs, curves)


def _choose_runs(state: AppState, logs: Logs) -> list[Run]:
    names = [one.name for one in logs.runs]
    if len(names) == 1:
        return list(logs.runs)
    left = left_out(state)
    key = f"learn-runs-{logs.key[:12]}"
    now = widget_value(key)  # before the control is drawn, which may lie in a closed popover
    n = len(now) if isinstance(now, list) and now else len(logs.shown(left))
    place = (
        st.popover(f"Runs: {n} of {len(names)}", icon=":material/checklist:", key="learn-runs")
        if len(names) > _MOST_CHIPS
        else st.container()
    )
    chosen = place.multiselect(
        "Runs",
        names,
        default=[name for name in names if name not in left] or names,
        key=key,
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
    take = lambda name: state.study(metric=str(name or ""))  # noqa: E731
    if len(known) > _MOST_BUTTONS:
        chosen: str | None = st.selectbox(
            "Metric",
            known,
            format_func=partial(_with_runs, runs),
            **following("learn-metric", start, take, index=known.index(start)),
            width=400,
        )
    else:
        chosen = st.segmented_control(
            "Metric",
            known,
            required=True,
            format_func=metric_title,
            **following("learn-metric", start, take, default=start),
        )
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
            "Smoothing",
            0.0,
            0.99,
            now.smoothing,
            0.01,
            key="learn-smoothing",
            help=_SMOOTHING_HELP,
            disabled="smoothing" not in _USES[drawn or "overlay"],
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
            flags = _choose_axes(now, _USES[drawn or "overlay"])
    state.study(
        drawn=str(drawn or "overlay"), smoothing=float(smoothing), patience=int(patience), **flags
    )


def _choose_axes(now: Studied, used: Set[str]) -> dict[str, bool]:
    """Switches; those that change nothing in this drawing are disabled."""
    flags = {}
    for name, (label, said) in _SWITCHES.items():
        idle = name not in used
        flags[name] = st.toggle(
            label,
            getattr(now, name),
            key=f"learn-{name.replace('_', '-')}",
            help=_IDLE_HELP if idle else said,
            disabled=idle,
        )
    return flags


def _draw(state: AppState, logs: Logs, curves: list[EpochCurve], key: tuple[Any, ...]) -> None:
    """`key` : of the curves; the drawing of many is kept, since choosing their marks takes long."""
    now, styles, shade = state.studied, run_styles(state, logs.runs), theme()
    tables: dict[str, Any] = {one.run: one for one in curves if one.parts}
    chosen = (now.drawn, now.log_x, now.log_y, now.rate, now.robust, shade, repr(styles))
    figure = cached.computed(
        "epoch figure", (*key, *chosen), partial(_figure, now, curves, styles, shade)
    )
    if len(tables) > _MOST_CHIPS:  # a button each would be a wall
        tables = {f"{len(tables)} runs": _Together(tuple(tables.values()))}
    show_figure(marked(figure, "epochs"), key=f"epochs-{now.drawn}", tables=tables)


@dataclass(frozen=True, eq=False)
class _Together:
    """Many curves as one table."""

    curves: tuple[EpochCurve, ...]

    def frame(self) -> pd.DataFrame:
        return pd.concat([one.frame() for one in self.curves], ignore_index=True)


def _figure(
    now: Studied, curves: list[EpochCurve], styles: Mapping[str, ModelStyle], shade: Theme
) -> go.Figure:
    if now.drawn == "groups":
        groups = group_runs(curves)
        return plot_epoch_groups(groups, None, log_x=now.log_x, log_y=now.log_y, theme=shade)
    if now.drawn == "gap":
        return plot_gap(curves, styles, log_x=now.log_x, theme=shade)
    return plot_epoch_curves(
        curves,
        styles,
        layout="grid" if now.drawn == "grid" else "overlay",
        log_x=now.log_x,
        log_y=now.log_y,
        rate=now.rate,
        robust=now.robust,
        theme=shade,
    )


def _show_rate_searches(state: AppState, logs: Logs, runs: Sequence[Run]) -> list[Run]:
    """Runs whose rate rises throughout are searches: they get a chart of their own."""
    key = (logs.key, tuple(one.name for one in runs))
    searches = cached.computed("rate searches", key, partial(_each, compute_rate_search, runs))
    if searches:
        st.subheader("Search for a learning rate", anchor=False)
        found = list(searches.values())
        figure = plot_rate_search(found, run_styles(state, logs.runs), theme=theme())
        show_figure(figure, key="rate-search", tables=dict(searches))
    return [one for one in runs if one.name not in searches]


def _each(compute: Callable[[Run], T], runs: Sequence[Run]) -> dict[str, T]:
    """Name of a run → its result, of those that have one."""
    found = {}
    for run in runs:
        try:
            found[run.name] = compute(run)
        except NotApplicable:
            continue
    return found


def _show_schedules(
    state: AppState, logs: Logs, runs: Sequence[Run], curves: Sequence[EpochCurve]
) -> None:
    """The learning rate beside the loss, of each run that changed it; drawn once it is unfolded."""
    key = (logs.key, tuple(one.name for one in runs))
    schedules = cached.computed("schedules", key, partial(_each, compute_schedule, runs))
    found = [one for one in curves if one.parts and one.run in schedules]
    if not found:
        return
    n = len(found)
    label = (
        f"Learning rates ({n})" if n <= _MOST_RATES else f"Learning rates ({_MOST_RATES} of {n})"
    )
    place = st.expander(label, icon=":material/speed:", key="learn-rates", on_change="rerun")
    if not place.open:
        return
    styles = run_styles(state, logs.runs)
    for curve in found[:_MOST_RATES]:
        with place:
            figure = plot_schedule(
                curve,
                schedules[curve.run],
                styles.get(curve.run),
                log_y=state.studied.log_y,
                theme=theme(),
            )
            show_figure(figure, key=f"schedule-{curve.run}", tables={curve.run: curve})


def _units(runs: Sequence[Run]) -> dict[str, str]:
    """Run → what its steps are."""
    return {one.name: one.series[0].unit for one in runs if one.series}


def _show_settings(runs: Sequence[Run]) -> None:
    """The hyper-parameters that the logs hold, folded."""
    table = settings_of_runs(runs)
    if table.shape[1] > 1:
        with st.expander(f"Settings of the runs ({len(table)})", icon=":material/tune:"):
            show_table(table, key="run-settings", name="settings of the runs")


def _show_notes(runs: Sequence[Run], curves: Sequence[EpochCurve]) -> None:
    notes = [f"{run.name} ({run.source}): {note}" for run in runs for note in run.notes]
    notes += [f"{one.run}: {note}" for one in curves for note in one.notes]
    if notes:
        with st.expander(f"How the logs were read ({len(notes)})", icon=":material/info:"):
            st.markdown("\n".join(f"- {plain(note)}" for note in dict.fromkeys(notes)))
