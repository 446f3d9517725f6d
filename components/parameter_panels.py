"""Curves by parameter and results of searches: every trial, and whether the range was enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from components import cached
from components.asking import Answer, Asked, Request, able, ask
from components.finding_panels import show_findings
from components.markup import plain
from components.panels import guard, show_figure, show_table, theme
from components.refits import Ground, choose_division, fit_again, ground, refits
from components.state import AppState, ModelEntry
from dashboard.contracts import Model, SearchResults
from dashboard.data import EvalSet
from dashboard.diagnostics.parameter_curves import ParameterCurve, find_in_parameter_curve
from dashboard.diagnostics.searches import find_in_search
from dashboard.errors import DiagnosticsError, NotApplicable
from dashboard.explainers.staging import BlockStore
from dashboard.figures import (
    plot_parameter_curves,
    plot_search_lines,
    plot_search_map,
    plot_search_parameter,
    plot_search_times,
    plot_search_training,
)
from dashboard.learning import Folds, Refit
from dashboard.learning.parameters import (
    ParameterOptions,
    parameter_curve_in_stages,
    suggested_values,
    tunable_parameters,
)
from dashboard.learning.searches import search_of
from dashboard.logs.search_logs import SearchKind, read_search
from dashboard.settings import get_settings
from dashboard.wording import count

__all__ = ["show_parameters"]


def show_parameters(state: AppState) -> None:
    """All of the fourth tab."""
    st.subheader("One parameter", anchor=False)
    with guard("The curve by parameter"):
        _show_one(state)
    st.subheader("Searches", anchor=False)
    _show_searches(state)


# -- one parameter --------------------------------------------------------------------------------


def _show_one(state: AppState) -> None:
    choose_division(state, "parameters")
    able_to = refits(state)
    known = {one.entry.name: one for one in able_to if tunable_parameters(one.value)}
    if not known:
        st.caption("None of the shown models has a parameter that could be varied.")
        return
    chosen = _choose(state, known)
    if chosen is None:
        return
    answer, parameter, values = chosen
    rows = ground(state)
    st.caption(rows.folds.reason)
    n_fits = len(rows.folds) * len(values)
    if not state.studied.varied:
        st.button(
            f"Fit {count(n_fits)} times",
            type="primary",
            icon=":material/play_arrow:",
            key="learn-vary",
            disabled=len(values) < 2,
            on_click=partial(state.study, varied=True),
        )
        return
    _vary(state, answer.entry, rows, parameter, values)
    st.button(
        "Put away",
        key="learn-put-away-parameter",
        type="tertiary",
        icon=":material/close:",
        on_click=partial(state.study, varied=False),
    )


def _vary(
    state: AppState, entry: ModelEntry, rows: Ground, parameter: str, values: tuple[Any, ...]
) -> None:
    """The curve, as far as it is there, and what it says."""
    now = state.studied
    options = ParameterOptions(
        parameter,
        values,
        metric=now.scored or None,
        n_splits=now.splits,
        n_repeats=now.repeats,
        seed=get_settings().random_state,
        epochs=now.epochs or None,
    )
    answers = fit_again(
        state,
        "parameter",
        [entry],
        rows,
        (repr(options),),
        f"Varying {parameter} of {{name}}",
        partial(_stages, options),
    )
    for one in answers:
        figure = plot_parameter_curves(one.value, state.styles(), theme=theme())
        show_figure(figure, key="parameter", tables={one.entry.name: one.value})
        show_findings(find_in_parameter_curve(one.value), key="parameter")
        for note in one.value.notes:
            st.caption(f":material/info: {plain(note)}")


def _choose(
    state: AppState, known: dict[str, Answer[Refit]]
) -> tuple[Answer[Refit], str, tuple[Any, ...]] | None:
    """The model, the parameter and the values, as chosen."""
    names = list(known)
    now = state.studied
    left, middle, right = st.columns([2, 2, 3])
    with left:
        of = st.selectbox(
            "Model", names, index=names.index(now.of) if now.of in names else 0, key="learn-of"
        )
    answer = known[str(of)]
    parameters = tunable_parameters(answer.value)
    listed = list(parameters)
    with middle:
        parameter = st.selectbox(
            "Parameter",
            listed,
            index=listed.index(now.parameter) if now.parameter in listed else 0,
            key=f"learn-parameter-{of}",
        )
    proposed = suggested_values(str(parameter), parameters[str(parameter)])
    same = (str(of), str(parameter)) == (now.of, now.parameter)
    start = now.values if same and now.values else ", ".join(map(_written, proposed))
    with right:
        text = st.text_input(
            "Values",
            start,
            key=f"learn-values-{of}-{parameter}",
            help="Separated by commas: numbers, True, False, None, or words.",
        )
    values = tuple(_read(part) for part in str(text).split(",") if part.strip())
    told = {"of": str(of), "parameter": str(parameter), "values": str(text)}
    if not same or now.values != text:
        state.study(**told, varied=now.varied and same)
    if len(values) < 2:
        st.caption("Give at least two values.")
        return None
    return answer, str(parameter), values


def _written(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _read(text: str) -> Any:
    """A value as a person writes it."""
    bare = text.strip()
    words = {"none": None, "true": True, "false": False}
    if bare.casefold() in words:
        return words[bare.casefold()]
    for kind in (int, float):
        try:
            return kind(bare)
        except ValueError:
            continue
    return bare.strip("'\"")


def _stages(
    options: ParameterOptions,
    model: Model,
    evalset: EvalSet,
    name: str,
    folds: Folds,
    store: BlockStore,
    turn: Any,
) -> Iterator[ParameterCurve]:
    return parameter_curve_in_stages(
        model, evalset, name, options, folds=folds, store=store, turn=turn
    )


# -- searches -------------------------------------------------------------------------------------


def _show_searches(state: AppState) -> None:
    found = [*_uploaded(state), *_carried(state)]
    if not found:
        st.info(
            "There are no search results yet. Show a fitted GridSearchCV or its kin, or drop a "
            "file here on Home: cv_results_ as CSV or JSON, a KerasTuner folder (zipped), Optuna's "
            "trials_dataframe() as CSV.",
            icon=":material/grid_on:",
        )
        return
    names = [one.name for one in found]
    start = state.studied.search if state.studied.search in names else names[0]
    chosen = start
    if len(names) > 1:
        chosen = str(
            st.selectbox("Search", names, index=names.index(start), key=f"learn-search-{start}")
        )
        if chosen != start:
            state.study(search=chosen)
    _draw_search(found[names.index(chosen)])


def _uploaded(state: AppState) -> list[SearchResults]:
    """Kept files of searches."""
    found = []
    for one in state.histories:
        content: bytes | Path | None = state.files.get(one.digest)
        if content is None or not isinstance(one.about, SearchKind):
            continue
        try:
            read = partial(read_search, {one.name: content})
            found.append(cached.computed("search", (one.name, one.digest), read))
        except DiagnosticsError as error:
            st.error(f"**{plain(one.name)}**: {plain(str(error))}", icon=":material/error:")
    return found


def _carried(state: AppState) -> list[SearchResults]:
    """Those inside shown models."""
    requests: list[Request[list[SearchResults]]] = [
        Request(entry, "search", (), f"Reading {entry.name}", partial(_ask, entry.name))
        for entry in able(state)
    ]
    return [result for answer in ask(state, requests) for result in answer.value]


def _ask(
    name: str, model: Callable[[], Model], evalset: EvalSet, asked: Asked[list[SearchResults]]
) -> None:
    del evalset
    opened = asked.opened(model)
    with asked.turn(0, 0):
        try:
            asked.post([search_of(opened, name)])
        except NotApplicable:
            asked.post([])  # most models are no searches


def _draw_search(results: SearchResults) -> None:
    with guard("What it shows"):
        show_findings(find_in_search(results), key="search")
    tables = {results.name: results}
    varied = results.varied
    with guard("The trials"):
        show_figure(plot_search_lines(results, theme=theme()), key="trials", tables=tables)
    left, right = st.columns(2)
    with left, guard("The times"):
        show_figure(plot_search_times(results, theme=theme()), key="search-times", tables=tables)
    with right, guard("Training against validation"):
        show_figure(
            plot_search_training(results, theme=theme()), key="search-training", tables=tables
        )
    if varied:
        _draw_pairs(results, [one.name for one in varied], tables)
    with st.expander(f"Every trial ({len(results.trials)})", icon=":material/table:"):
        show_table(results.frame(), key="search", name=results.name)
    for note in results.notes:
        st.caption(f":material/info: {plain(note)}")


def _draw_pairs(results: SearchResults, names: Sequence[str], tables: dict[str, Any]) -> None:
    """One parameter against the score, or two as a map."""
    left, right = st.columns(2)
    with left:
        first = str(st.selectbox("Parameter", names, key="learn-search-first"))
    others = [name for name in names if name != first]
    with right:
        second = st.selectbox(
            "And", ["", *others], format_func=lambda one: one or "(none)", key="learn-search-second"
        )
    with guard("The parameters"):
        if second:
            figure = plot_search_map(results, first, str(second), theme=theme())
        else:
            figure = plot_search_parameter(results, first, theme=theme())
        show_figure(figure, key="search-pair", tables=tables)
