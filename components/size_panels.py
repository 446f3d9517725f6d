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
    wanted_score,
    within_reach,
)
from components.state import AppState, following
from components.studies import MOST_SIZES
from dashboard.contracts import Finding, Model
from dashboard.data import EvalSet
from dashboard.diagnostics.projections import Projection, project
from dashboard.diagnostics.size_curves import SizeCurve
from dashboard.diagnostics.size_tables import read_size_table
from dashboard.diagnostics.verdicts import judge_size_curves
from dashboard.diagnostics.wanted_scores import when_reached
from dashboard.errors import NotApplicable
from dashboard.explainers.kept import BlockStore
from dashboard.figures import plot_fit_times, plot_size_curves
from dashboard.learning import Folds, Refit
from dashboard.learning.baselines import baseline_score
from dashboard.learning.estimating import Estimate, estimate_size_curve
from dashboard.learning.size_texts import read_sizes
from dashboard.learning.sizes import (
    SizeOptions,
    chosen_sizes,
    size_curve_in_stages,
    too_large,
)
from dashboard.samples import read_sample
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
    _choose_sizes(state)
    rows = ground(state)
    able = within_reach(without_networks(state, able, "sizes"), _MOST)
    sizes = _say_sizes(state, rows)
    show_division(rows, sizes=True)
    show_findings(rows.folds.findings, key="division")
    if not state.studied.grown:
        _show_start(state, able, len(rows.folds) * len(sizes))
        options = _options(state)
        show_estimates(state, able, rows, (repr(options),), partial(_timed, options))
        return []
    answers = _grow(state, able, rows)
    curves, findings = [one.value for one in answers], list[Finding]()
    if curves:
        with guard("The curves"):
            findings = size_findings(state, curves, rows)
            _draw(state, curves, rows.folds.notes, findings)
    _show_stop(state)
    return findings


def _choose_sizes(state: AppState) -> None:
    """Controls: how many sizes, or the sizes themselves."""
    now = state.studied
    with st.container(horizontal=True, vertical_alignment="bottom"):
        sizes = st.slider(
            "Training sizes",
            2,
            MOST_SIZES,
            now.sizes,
            key="learn-sizes",
            help="How many: each larger than the last by the same factor. Every size is the "
            "beginning of the same order, so that sizes can be compared.",
            disabled=bool(read_sizes(now.typed).sizes),
            width=360,
        )
        st.text_input(
            "Or these sizes",
            placeholder="500, 1000, 25 %, 100 %",
            **following(
                "learn-typed",
                now.typed,
                lambda text: state.study(typed=str(text)),
                value=now.typed,
            ),
            help="Numbers of rows, or shares of the rows that a fold can learn from, with commas "
            "between them. Empty: as many as the slider says.",
            width=360,
        )
    state.study(sizes=int(sizes))


def _say_sizes(state: AppState, rows: Ground) -> tuple[int, ...]:
    """The sizes in rows, and what of the text is none."""
    written, n = read_sizes(state.studied.typed), rows.folds.n_train
    if written.problem:
        st.warning(plain(written.problem), icon=":material/edit_off:")
    options = _options(state)
    if written.sizes:
        st.caption(f"Training sizes: {plain(written.told(n))}.")
    for note in too_large(options, n):
        st.caption(f":material/info: {plain(note)}")
    return chosen_sizes(options, n)


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


def _tables(state: AppState) -> list[tuple[str, str, bytes | Path]]:
    """Name, digest and content of tables of sizes and scores: uploaded ones, a sample's."""
    found: list[tuple[str, str, bytes | Path]] = [
        (one.name, one.digest, state.files[one.digest])
        for one in state.histories
        if getattr(one.about, "kind", "") == "sizes" and one.digest in state.files
    ]
    if state.sample is not None:
        sample = read_sample(state.sample)
        found += [(name, sample.digests[name], sample.path(name)) for name in sample.size_tables]
    return found


def show_size_tables(state: AppState) -> None:
    """Curves that were computed elsewhere and are there as tables of sizes and scores."""
    for name, digest, content in _tables(state):
        with guard(name):
            read = partial(_read_table, name, content)
            curves = cached.computed("size table", (name, digest), read)
            st.subheader(plain(name), anchor=False)
            by_metric: dict[str, list[SizeCurve]] = {}
            for curve in curves:
                by_metric.setdefault(curve.metric, []).append(curve)
            for metric, some in by_metric.items():
                wanted, level = wanted_score(state, metric), get_settings().confidence_level
                findings = judge_size_curves(some, target=wanted, level=level)
                for start in range(0, len(some), _MOST):  # a table may hold any number of models
                    part, key = some[start : start + _MOST], f"table-{digest[:8]}-{metric}"
                    names = {each.model for each in part}
                    said = [each for each in findings if each.subject in names]
                    _draw(state, part, (), said, key=f"{key}-{start}" if start else key)


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
    entries = [one.entry for one in able]
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
        sizes=read_sizes(now.typed).sizes,
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


def size_findings(state: AppState, curves: Sequence[SizeCurve], rows: Ground) -> list[Finding]:
    """Verdicts on the curves that are complete, beside each other, the baseline and what is wanted.

    The baseline is judged on the rows that are in folds.
    """
    done = [one for one in curves if one.is_complete]
    if not done:
        return []
    metric = done[0].metric
    base = cached.computed(
        "baseline score",
        (*rows.key, metric),
        partial(baseline_score, rows.evalset, metric, rows.folds.rows),
    )
    return judge_size_curves(
        done,
        baselines={} if base is None else {metric: base},
        target=wanted_score(state, metric),
        level=get_settings().confidence_level,
    )


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
    wanted = wanted_score(state, curves[0].metric)
    figure = plot_size_curves(curves, styles, projection=laws, wanted=wanted, theme=theme())
    show_figure(marked(figure, "size_curve"), key=key, tables=tables)
    _show_gains(laws, wanted)
    for sentence in why:
        st.caption(f":material/info: {plain(sentence)}")
    notes = [f"{one.model}: {note}" for one in curves for note in one.notes if note not in said]
    with st.expander("Fit times and notes", icon=":material/timer:"):
        with guard("The fit times"):
            figure = plot_fit_times(curves, styles, theme=theme())
            show_figure(figure, key=f"fit-times-{key}", tables=tables)
        if notes:
            st.markdown("\n".join(f"- {plain(note)}" for note in dict.fromkeys(notes)))


def _show_gains(laws: dict[str, Projection], wanted: float | None) -> None:
    """What more rows may bring, for each model that can be continued, and what is wanted."""
    for name, law in laws.items():
        reached = "" if wanted is None else when_reached(law, wanted)
        more = min(10_000, law.furthest - law.base)
        if more >= 1:
            with guard(name):
                gain = law.gain(more)
                close = " Whether they help at all is too close to call." * (gain.low <= 0)
                told = f" {plain(reached)}" if reached else ""
                st.markdown(f"**{plain(name)}**: {plain(gain.sentence)}{close}{told}")
