"""Curves by parameter and results of searches: every trial, and whether the range was enough."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from components import cached
from components.asking import Answer, Asked, Request, ask
from components.finding_panels import show_findings
from components.markup import plain
from components.network_refits import show_estimates, without_networks
from components.panels import guard, show_figure, show_table, theme
from components.pointing import marked
from components.refits import Ground, choose_division, fit_again, ground, refits, show_division
from components.state import AppState, ModelEntry, following, widget_value
from dashboard.contracts import Model, SearchResults
from dashboard.data import EvalSet
from dashboard.diagnostics.parameter_curves import ParameterCurve, find_in_parameter_curve
from dashboard.diagnostics.search_rounds import compute_rounds
from dashboard.diagnostics.searches import find_in_search
from dashboard.errors import DiagnosticsError, NotApplicable
from dashboard.explainers.kept import BlockStore
from dashboard.figures import (
    plot_parameter_curves,
    plot_search_lines,
    plot_search_map,
    plot_search_parameter,
    plot_search_rounds,
    plot_search_times,
    plot_search_training,
)
from dashboard.learning import Folds, Refit
from dashboard.learning.estimating import Estimate, estimate_parameter_curve
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

_BETTER = {"": None, "Larger": True, "Smaller": False}


def show_parameters(state: AppState) -> None:
    """All of the fourth tab."""
    if state.evalset is not None and any(one.table is None for one in state.shown):
        st.subheader("One parameter", anchor=False)
        with guard("The curve by parameter"):
            _show_one(state)
    st.subheader("Searches", anchor=False)
    _show_searches(state)


# -- one parameter --------------------------------------------------------------------------------


def _show_one(state: AppState) -> None:
    choose_division(state, "parameters")
    able_to = without_networks(state, refits(state), "parameters")
    known = {one.entry.name: one for one in able_to if tunable_parameters(one.value)}
    _say_without(able_to)
    if not known:
        return
    chosen = _choose(state, known)
    if chosen is None:
        return
    answer, parameter, values = chosen
    rows = ground(state)
    show_division(rows)
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
        if len(values) > 1:
            options = _options(state, parameter, values)
            show_estimates(state, [answer], rows, (repr(options),), partial(_timed, options))
        return
    _vary(state, answer.entry, rows, parameter, values)
    st.button(
        "Close",
        key="learn-put-away-parameter",
        type="tertiary",
        icon=":material/close:",
        on_click=partial(state.study, varied=False),
    )


def _say_without(answers: Sequence[Answer[Refit]]) -> None:
    """Which models have no parameter to vary, and why."""
    for one in answers:
        if tunable_parameters(one.value):
            continue
        st.caption(
            f":material/info: {plain(one.entry.name)}: it has no parameter that could be varied."
        )


def _timed(
    options: ParameterOptions, model: Model, evalset: EvalSet, name: str, folds: Folds
) -> Estimate:
    return estimate_parameter_curve(model, evalset, name, options, folds=folds)


def _options(state: AppState, parameter: str, values: tuple[Any, ...]) -> ParameterOptions:
    now = state.studied
    return ParameterOptions(
        parameter,
        values,
        metric=now.scored or None,
        n_splits=now.splits,
        n_repeats=now.repeats,
        seed=get_settings().random_state,
        epochs=now.epochs or None,
        batch_size=now.batch or None,
        patience=now.stop,
    )


def _vary(
    state: AppState, entry: ModelEntry, rows: Ground, parameter: str, values: tuple[Any, ...]
) -> None:
    """The curve, as far as it is there, and what it says."""
    options = _options(state, parameter, values)
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
        figure = marked(figure, "parameter_curve")
        show_figure(figure, key="parameter", tables={one.entry.name: one.value})
        show_findings(find_in_parameter_curve(one.value), key="parameter")
        for note in one.value.notes:
            if note not in rows.folds.notes:  # those stand above
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
    """As it is read again: 1.0 stays a real number, where 1 would be a count."""
    if not isinstance(value, float):
        return str(value)
    short = f"{value:g}"
    return short if "." in short and float(short) == value else repr(value)


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
            "file on Home: cv_results_ as CSV or JSON, a KerasTuner folder (zipped), Optuna's "
            "trials_dataframe() as CSV, or a table with a row per trial.",
            icon=":material/grid_on:",
        )
        st.page_link("../pages/home.py", label="Add a search on Home", icon=":material/upload:")
        return
    names = [one.name for one in found]
    start = state.studied.search if state.studied.search in names else names[0]
    chosen = start
    if len(names) > 1:
        chosen = str(
            st.selectbox(
                "Search",
                names,
                **following(
                    "learn-search",
                    start,
                    lambda name: state.study(search=str(name)),
                    index=names.index(start),
                ),
                width=400,
            )
        )
    _draw_search(state, found[names.index(chosen)])


def _uploaded(state: AppState) -> list[SearchResults]:
    """Kept files of searches."""
    found, known = [], _directions(state)
    for one in state.histories:
        content: bytes | Path | None = state.files.get(one.digest)
        if content is None or not isinstance(one.about, SearchKind):
            continue
        said = state.said.get(one.digest)
        mapping = dict(said.columns) if said is not None and said.columns else None
        better = known.get(one.name, said.larger if said is not None else None)
        try:
            read = partial(
                read_search, {one.name: content}, mapping=mapping, larger_is_better=better
            )
            key = (one.name, one.digest, better, repr(mapping))
            found.append(cached.computed("search", key, read))
        except DiagnosticsError as error:
            st.error(f"**{plain(one.name)}**: {plain(str(error))}", icon=":material/error:")
    return found


def _carried(state: AppState) -> list[SearchResults]:
    """Those inside shown models."""
    requests: list[Request[list[SearchResults]]] = [
        Request(entry, "search", (), f"Reading {entry.name}", partial(_ask, entry.name))
        for entry in (state.shown if state.evalset is not None else ())
        if entry.table is None
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


def _directions(state: AppState) -> dict[str, bool]:
    """File of a search → whether larger scores are better, as a person has said."""
    try:
        given = json.loads(state.studied.scores) if state.studied.scores else {}
    except ValueError:
        return {}
    if not isinstance(given, dict):
        return {}
    return {name: one for name, one in given.items() if isinstance(one, bool)}


def _direct(state: AppState, name: str, key: str) -> None:
    """Keep what was said of one file, before the page is drawn with it."""
    said = _BETTER[str(widget_value(key) or "")]
    known = {one: way for one, way in _directions(state).items() if one != name}
    known |= {} if said is None else {name: said}
    state.study(scores=json.dumps(known, ensure_ascii=False) if known else "")


def _choose_score(state: AppState, results: SearchResults) -> str | None:
    """The metric of a search with several, and which way is better where nothing says it."""
    named = list(results.metrics)
    metric = named[0] if named else None
    unsure = bool(results.scores) and results.scores[0].larger_is_better is None
    key, said = f"learn-search-better-{results.name}", _directions(state).get(results.name)
    asked = unsure or said is not None
    if len(named) < 2 and not asked:
        return metric
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(named) > 1:
            metric = str(
                st.selectbox("Metric", named, key=f"learn-search-metric-{results.name}", width=310)
            )
        if asked:
            st.segmented_control(
                f"A better {named[0]} is",
                list(_BETTER),
                default=next(word for word, way in _BETTER.items() if way is said),
                required=True,
                format_func=lambda one: one or "Not known",
                key=key,
                on_change=partial(_direct, state, results.name, key),
                help="The file does not say whether it was maximised or minimised; without that no "
                "trial is called the best.",
            )
    return metric


def _draw_search(state: AppState, results: SearchResults) -> None:
    metric = _choose_score(state, results)
    key = f"{results.name}-{metric}"
    with guard("What it shows"):
        show_findings(find_in_search(results, metric), key="search")
    tables = {results.name: results}
    with guard("The chart of all trials"):
        figure = plot_search_lines(results, metric, theme=theme())
        show_figure(figure, key=f"trials-{key}", tables=tables)
    with guard("The chart of rounds"):
        _draw_rounds(results, metric, tables)
    with guard("The chart of fit times"):
        figure = plot_search_times(results, metric, theme=theme())
        show_figure(figure, key=f"search-times-{key}", tables=tables)
    with guard("The chart of training scores"):
        figure = plot_search_training(results, metric, theme=theme())
        show_figure(figure, key=f"search-training-{key}", tables=tables)
    if results.varied:
        _draw_pairs(results, metric, tables)
    with st.expander(f"Every trial ({len(results.trials)})", icon=":material/table:"):
        show_table(results.frame(), key="search", name=results.name)
    for note in results.notes:
        st.caption(f":material/info: {plain(note)}")


def _draw_rounds(results: SearchResults, metric: str | None, tables: dict[str, Any]) -> None:
    """Of searches that give their best candidates more and more; nothing of others."""
    try:
        rounds = compute_rounds(results)
    except NotApplicable:
        return
    figure = plot_search_rounds(results, rounds, metric, theme=theme())
    show_figure(figure, key=f"search-rounds-{results.name}-{metric}", tables=tables)


def _draw_pairs(results: SearchResults, metric: str | None, tables: dict[str, Any]) -> None:
    """One parameter against the score, or two as a map."""
    names = [one.name for one in results.varied]
    left, right = st.columns(2)
    with left:
        first = str(st.selectbox("Parameter", names, key=f"learn-search-first-{results.name}"))
    others = [name for name in names if name != first]
    with right:
        second = st.selectbox(
            "And",
            ["", *others],
            format_func=lambda one: one or "(none)",
            key=f"learn-search-second-{results.name}",
        )
    with guard("The chart by parameter"):
        if second:
            figure = plot_search_map(results, first, str(second), metric, theme=theme())
        else:
            figure = plot_search_parameter(results, first, metric, theme=theme())
        show_figure(figure, key=f"search-pair-{results.name}-{metric}", tables=tables)
