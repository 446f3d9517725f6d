"""Curves by training size: asked for, drawn while they grow, continued as far as is defensible."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from components import cached
from components.asking import Answer
from components.entries import History
from components.finding_panels import show_findings
from components.markup import plain
from components.network_refits import show_estimates, without_networks
from components.panels import guard, show_figure, theme
from components.pointing import marked
from components.refits import (
    Ground,
    choose_division,
    fit_again,
    ground,
    refits,
    show_division,
)
from components.state import AppState
from components.studies import MOST_SIZES
from dashboard.contracts import Finding, Model
from dashboard.data import EvalSet
from dashboard.diagnostics.projections import Projection, project
from dashboard.diagnostics.size_curves import SizeCurve
from dashboard.diagnostics.size_tables import read_size_table
from dashboard.diagnostics.verdicts import judge_size_curves
from dashboard.errors import NotApplicable
from dashboard.explainers.staging import BlockStore
from dashboard.figures import plot_fit_times, plot_size_curves
from dashboard.learning import Folds, Refit
from dashboard.learning.baselines import baseline_score
from dashboard.learning.estimating import Estimate, estimate_size_curve
from dashboard.learning.sizes import SizeOptions, size_curve_in_stages
from dashboard.settings import get_settings
from dashboard.wording import count, plural

__all__ = ["choose_continuing", "show_size_tables", "show_sizes"]

_MOST = 8


def show_sizes(state: AppState) -> list[Finding]:
    """All of the third tab; what the curves say, as far as they are there."""
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
    able = without_networks(state, able, "sizes")
    show_division(rows, sizes=True)
    show_findings(rows.folds.findings, key="division")
    n_fits = len(rows.folds) * int(sizes)
    if not state.studied.grown:
        _show_start(state, able, n_fits)
        options = _options(state)
        show_estimates(state, able, rows, (repr(options),), partial(_timed, options))
        return []
    answers = _grow(state, able, rows)
    curves, findings = [one.value for one in answers], list[Finding]()
    if curves:
        with guard("The curves"):
            findings = size_findings(state, curves, rows.evalset)
            _draw(state, curves, rows.folds.notes, findings)
    _show_stop(state)
    return findings


def choose_continuing(state: AppState) -> None:
    """Whether curves are continued, once for all of them, where there is any."""
    if not (state.studied.grown or _tables(state)):
        return
    wanted = st.toggle(
        "Continue the curves",
        state.studied.project,
        key="learn-project",
        help="A power law fitted to the folds, at most four times as far as the data reach, and "
        "only where it describes the scores.",
    )
    state.study(project=bool(wanted))


def _tables(state: AppState) -> list[tuple[History, bytes | Path]]:
    """Uploaded tables of sizes and scores."""
    found = [one for one in state.histories if getattr(one.about, "kind", "") == "sizes"]
    return [(one, state.files[one.digest]) for one in found if one.digest in state.files]


def show_size_tables(state: AppState) -> None:
    """Curves that were computed elsewhere and uploaded as tables of sizes and scores."""
    for one, content in _tables(state):
        with guard(one.name):
            read = partial(_read_table, one.name, content)
            curves = cached.computed("size table", (one.name, one.digest), read)
            st.subheader(plain(one.name), anchor=False)
            by_metric: dict[str, list[SizeCurve]] = {}
            for curve in curves:
                by_metric.setdefault(curve.metric, []).append(curve)
            for metric, some in by_metric.items():
                findings = judge_size_curves(some, level=get_settings().confidence_level)
                _draw(state, some, (), findings, key=f"table-{one.digest[:8]}-{metric}")


def _read_table(name: str, content: bytes | Path) -> tuple[SizeCurve, ...]:
    source = io.BytesIO(content) if isinstance(content, bytes) else content
    return read_size_table(pd.read_csv(source, sep=None, engine="python"), model=Path(name).stem)


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


def _timed(
    options: SizeOptions, model: Model, evalset: EvalSet, name: str, folds: Folds
) -> Estimate:
    return estimate_size_curve(model, evalset, name, options, folds=folds)


def _show_stop(state: AppState) -> None:
    st.button(
        "Close",
        key="learn-put-away-sizes",
        type="tertiary",
        icon=":material/close:",
        help="Back to the choices. Finished fits are kept and need not be done again.",
        on_click=partial(state.study, grown=False),
    )


def _grow(state: AppState, able: Sequence[Answer[Refit]], rows: Ground) -> list[Answer[SizeCurve]]:
    options = _options(state)
    entries = [one.entry for one in able[:_MOST]]
    return fit_again(
        state,
        "sizes",
        entries,
        rows,
        (repr(options),),
        "Fitting {name} on growing parts",
        partial(_stages, options),
    )


def _options(state: AppState) -> SizeOptions:
    now = state.studied
    return SizeOptions(
        metric=now.scored or None,
        n_sizes=now.sizes,
        n_splits=now.splits,
        n_repeats=now.repeats,
        seed=get_settings().random_state,
        epochs=now.epochs or None,
        batch_size=now.batch or None,
        patience=now.stop,
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
    state: AppState,
    curves: Sequence[SizeCurve],
    said: Sequence[str],
    findings: Sequence[Finding],
    key: str = "sizes",
) -> None:
    styles, tables = state.styles(), {one.model: one for one in curves}
    laws: dict[str, Projection] = {}
    why: list[str] = []
    if state.studied.project:
        for curve in (one for one in curves if one.is_complete):
            try:
                laws[curve.model] = cached.computed(
                    "projection", (curve.model, curve.validation.tobytes()), partial(project, curve)
                )
            except NotApplicable as error:
                why.append(f"{curve.model} is not continued: {error.reason}")
    show_findings(findings, key=key)
    figure = plot_size_curves(curves, styles, projection=laws, theme=theme())
    show_figure(marked(figure, "size_curve"), key=key, tables=tables)
    _show_gains(laws)
    for sentence in why:
        st.caption(f":material/info: {plain(sentence)}")
    notes = [f"{one.model}: {note}" for one in curves for note in one.notes if note not in said]
    with st.expander("Fit times and notes", icon=":material/timer:"):
        with guard("The fit times"):
            figure = plot_fit_times(curves, styles, theme=theme())
            show_figure(figure, key=f"fit-times-{key}", tables=tables)
        if notes:
            st.markdown("\n".join(f"- {plain(note)}" for note in dict.fromkeys(notes)))


def _show_gains(laws: dict[str, Projection]) -> None:
    """What more rows may bring, for each model that can be continued."""
    for name, law in laws.items():
        more = min(10_000, law.furthest - law.base)
        if more >= 1:
            with guard(name):
                gain = law.gain(more)
                close = " Whether they help at all is too close to call." * (gain.low <= 0)
                st.markdown(f"**{plain(name)}**: {plain(gain.sentence)}{close}")
