"""Curves by training size: asked for, drawn while they grow, continued as far as is defensible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import streamlit as st

from components import cached
from components.asking import Answer
from components.finding_panels import show_findings
from components.markup import plain
from components.panels import guard, show_figure, theme
from components.refits import Ground, choose_division, fit_again, ground, refits
from components.state import AppState
from components.studies import MOST_EPOCHS, MOST_SIZES
from dashboard.contracts import Finding, Model
from dashboard.data import EvalSet
from dashboard.diagnostics.projections import Projection, project
from dashboard.diagnostics.size_curves import SizeCurve
from dashboard.diagnostics.verdicts import judge_size_curves
from dashboard.errors import NotApplicable
from dashboard.explainers.staging import BlockStore
from dashboard.figures import plot_fit_times, plot_size_curves
from dashboard.learning import Folds, Refit
from dashboard.learning.baselines import baseline_score
from dashboard.learning.sizes import SizeOptions, size_curve_in_stages
from dashboard.settings import get_settings
from dashboard.wording import count, plural

__all__ = ["show_sizes"]

_MOST = 8


def show_sizes(state: AppState) -> list[SizeCurve]:
    """All of the third tab; the curves, as far as they are there."""
    choose_division(state, "sizes")
    able = refits(state)
    if not able:
        return []
    now = state.studied
    sizes = st.slider(
        "Training sizes",
        2,
        MOST_SIZES,
        now.sizes,
        key="learn-sizes",
        help="Each larger than the last by the same factor; every size is the beginning of the "
        "same order, so that sizes can be compared.",
        width=360,
    )
    state.study(sizes=int(sizes))
    rows = ground(state)
    able = _without_networks(state, able)
    st.caption(rows.folds.reason)
    for note in rows.folds.notes:
        st.caption(f":material/info: {plain(note)}")
    show_findings(rows.folds.findings, key="division")
    n_fits = len(rows.folds) * int(sizes)
    if not state.studied.grown:
        _show_start(state, able, n_fits)
        return []
    answers = _grow(state, able, rows)
    curves = [one.value for one in answers]
    if curves:
        with guard("The curves"):
            _draw(state, curves, rows.folds.notes, rows.evalset)
    _show_stop(state)
    return curves


def _without_networks(state: AppState, able: Sequence[Answer[Refit]]) -> list[Answer[Refit]]:
    """Networks are trained again only when somebody says for how many epochs."""
    networks = [one for one in able if one.value.kind == "network"]
    if not networks:
        return list(able)
    names = ", ".join(plain(one.entry.name) for one in networks)
    proposed = networks[0].value.epochs or 20
    epochs = st.number_input(
        f"Epochs for {names}",
        0,
        MOST_EPOCHS,
        state.studied.epochs,
        key="learn-epochs",
        help=f"{plain(networks[0].value.sentence)} 0 leaves networks out; {proposed} is usual. The "
        "time left is measured after the first fit.",
        width=360,
    )
    state.study(epochs=int(epochs))
    return [one for one in able if one.value.kind != "network" or epochs]


def _show_start(state: AppState, able: Sequence[Answer[Refit]], n_fits: int) -> None:
    with st.container(border=True):
        st.markdown(
            f"**{plural(len(able), 'model')}** would be fitted **{count(n_fits)}** times each, on "
            "growing parts of the rows. It runs beside everything else; curves are drawn as fits "
            "come in, can be stopped at any moment, and go on where they stopped."
        )
        st.button(
            "Fit on growing parts",
            type="primary",
            icon=":material/play_arrow:",
            key="learn-grow",
            disabled=not able,
            on_click=partial(state.study, grown=True),
        )


def _show_stop(state: AppState) -> None:
    st.button(
        "Put away",
        key="learn-put-away-sizes",
        type="tertiary",
        icon=":material/close:",
        help="Back to the choices. Finished fits are kept and need not be done again.",
        on_click=partial(state.study, grown=False),
    )


def _grow(state: AppState, able: Sequence[Answer[Refit]], rows: Ground) -> list[Answer[SizeCurve]]:
    now = state.studied
    options = SizeOptions(
        metric=now.scored or None,
        n_sizes=now.sizes,
        n_splits=now.splits,
        n_repeats=now.repeats,
        seed=get_settings().random_state,
        epochs=now.epochs or None,
    )
    entries = [one.entry for one in able[:_MOST]]
    return fit_again(
        state, "sizes", entries, rows, (repr(options),), "Growing {name}", partial(_stages, options)
    )


def _stages(
    options: SizeOptions,
    model: Model,
    evalset: EvalSet,
    name: str,
    folds: Folds,
    store: BlockStore,
    turn: Any,
) -> Iterator[SizeCurve]:
    return size_curve_in_stages(model, evalset, name, options, folds=folds, store=store, turn=turn)


def size_findings(state: AppState, curves: Sequence[SizeCurve], evalset: EvalSet) -> list[Finding]:
    """Verdicts on the curves that are complete, beside each other and the baseline."""
    done = [one for one in curves if one.is_complete]
    if not done:
        return []
    metric = done[0].metric
    base = cached.computed(
        "baseline score", (evalset.digest, metric), partial(baseline_score, evalset, metric)
    )
    baselines = {} if base is None else {metric: base}
    return judge_size_curves(done, baselines=baselines, level=get_settings().confidence_level)


def _draw(
    state: AppState, curves: Sequence[SizeCurve], said: Sequence[str], evalset: EvalSet
) -> None:
    styles, tables = state.styles(), {one.model: one for one in curves}
    wanted = st.toggle(
        "Continue the curves",
        state.studied.project,
        key="learn-project",
        help="A power law fitted to the folds, at most four times as far as the data reach, and "
        "only where it describes the scores.",
    )
    state.study(project=bool(wanted))
    laws: dict[str, Projection] = {}
    why: list[str] = []
    if wanted:
        for curve in (one for one in curves if one.is_complete):
            try:
                laws[curve.model] = cached.computed(
                    "projection", (curve.model, curve.validation.tobytes()), partial(project, curve)
                )
            except NotApplicable as error:
                why.append(f"{curve.model} is not continued: {error.reason}")
    show_findings(size_findings(state, curves, evalset), key="sizes")
    figure = plot_size_curves(curves, styles, projection=laws, theme=theme())
    show_figure(figure, key="sizes", tables=tables)
    _show_gains(laws)
    for sentence in why:
        st.caption(f":material/info: {plain(sentence)}")
    notes = [f"{one.model}: {note}" for one in curves for note in one.notes if note not in said]
    with st.expander("Fit times and notes", icon=":material/timer:"):
        with guard("The fit times"):
            show_figure(
                plot_fit_times(curves, styles, theme=theme()), key="fit-times", tables=tables
            )
        if notes:
            st.markdown("\n".join(f"- {plain(note)}" for note in dict.fromkeys(notes)))


def _show_gains(laws: dict[str, Projection]) -> None:
    """What more rows may bring, for each model that can be continued."""
    for name, law in laws.items():
        more = min(10_000, law.furthest - law.base)
        if more >= 1:
            with guard(name):
                st.markdown(f"**{plain(name)}**: {plain(law.gain(more).sentence)}")
