"""Cross-validation: every fold as a dot, models compared fold by fold, answers out of fold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import streamlit as st

from components.asking import Answer
from components.finding_panels import show_findings
from components.markup import plain
from components.network_refits import show_estimates, without_networks
from components.out_of_fold import offer, offer_all_rows
from components.panels import guard, show_figure, show_table, theme
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
from components.state import AppState
from dashboard.contracts import Model
from dashboard.data import EvalSet
from dashboard.diagnostics.folds import FoldScores, compare_folds
from dashboard.diagnostics.verdicts import judge_folds
from dashboard.explainers.kept import BlockStore
from dashboard.figures import plot_fold_differences, plot_fold_scores
from dashboard.learning import Folds
from dashboard.learning.cross_validation import (
    CrossValidation,
    FoldOptions,
    cross_validation_in_stages,
)
from dashboard.learning.estimating import Estimate, estimate_cross_validation
from dashboard.settings import get_settings
from dashboard.wording import count, plural

__all__ = ["show_folds"]

_MOST = 12


def show_folds(state: AppState) -> None:
    """All of the fifth tab."""
    choose_division(state, "folds")
    able = within_reach(without_networks(state, refits(state), "folds"), _MOST)
    if not able:
        return
    rows = ground(state)
    show_division(rows)
    show_findings(rows.folds.findings, key="folds-division")
    if not state.studied.crossed:
        n = len(rows.folds)
        with st.container(border=True):
            st.markdown(
                f"**{plural(len(able), 'model')}** would be fitted **{count(n)}** times each. "
                "Every row that is held out gets an answer from a fit that never saw it, which "
                "other pages can take."
            )
            st.button(
                "Cross-validate",
                type="primary",
                icon=":material/play_arrow:",
                key="learn-cross",
                on_click=partial(state.study, crossed=True),
            )
        options = _options(state)
        show_estimates(state, able, rows, (repr(options),), partial(_timed, options))
        return
    answers = _validate(state, [one.entry for one in able], rows)
    if answers:
        _draw(state, answers)
    _show_answers(state, answers, rows)
    st.button(
        "Close",
        key="learn-put-away-folds",
        type="tertiary",
        icon=":material/close:",
        on_click=partial(state.study, crossed=False),
    )


def _timed(
    options: FoldOptions, model: Model, evalset: EvalSet, name: str, folds: Folds
) -> Estimate:
    return estimate_cross_validation(model, evalset, name, options, folds=folds)


def _options(state: AppState) -> FoldOptions:
    now = state.studied
    return FoldOptions(
        metric=now.scored or None,
        n_splits=now.splits,
        n_repeats=now.repeats,
        seed=get_settings().random_state,
        epochs=now.epochs or None,
        batch_size=now.batch or None,
        patience=now.stop,
    )


def _validate(
    state: AppState, entries: Sequence[Any], rows: Ground
) -> list[Answer[CrossValidation]]:
    options = _options(state)
    return fit_again(
        state,
        "folds",
        entries,
        rows,
        (repr(options),),
        "Cross-validating {name}",
        partial(_stages, options),
    )


def _stages(
    options: FoldOptions,
    model: Model,
    evalset: EvalSet,
    name: str,
    folds: Folds,
    store: BlockStore,
    turn: Any,
) -> Iterator[CrossValidation]:
    return cross_validation_in_stages(
        model, evalset, name, options, folds=folds, store=store, turn=turn
    )


def _draw(state: AppState, answers: Sequence[Answer[CrossValidation]]) -> None:
    scores = [one.value.scores() for one in answers]
    tables: dict[str, FoldScores] = {one.model: one for one in scores}
    with guard("The folds"):
        show_figure(
            plot_fold_scores(scores, state.styles(), theme=theme()), key="folds", tables=tables
        )
    if len(scores) > 1:
        with guard("The differences"):
            differences = compare_folds(scores, level=get_settings().confidence_level)
            show_figure(
                plot_fold_differences(differences, state.styles(), theme=theme()),
                key="fold-differences",
                tables=tables,
            )
    done = [one for one in scores if one.is_complete]
    wanted = wanted_score(state, done[0].metric) if done else None
    found = judge_folds(done, target=wanted, level=get_settings().confidence_level)
    show_findings(found, key="across-folds")
    said = set(answers[0].value.folds.notes)  # stands above
    notes = [f"{one.model}: {note}" for one in scores for note in one.notes if note not in said]
    for note in dict.fromkeys(notes):
        st.caption(f":material/info: {plain(note)}")


def _show_answers(
    state: AppState, answers: Sequence[Answer[CrossValidation]], rows: Ground
) -> None:
    """Answers out of fold, for the other pages and as files."""
    done = [one for one in answers if one.value.is_complete]
    if not done:
        return
    st.subheader("Answers out of fold", anchor=False)
    st.caption(
        "One answer for each row that was held out, by a fit that never saw it: what a model says "
        "of new rows, where its answers to the rows it learned from would flatter it."
    )
    found = []
    for one in done:
        with guard(one.entry.name):
            found.append((one, offer(state, one, rows.evalset)))
    offer_all_rows(state, [answered for _, answered in found])
    if any(one.key == answered.digest for one in state.entries for _, answered in found):
        st.page_link(
            "../pages/performance.py", label="Compare them on Performance", icon=":material/target:"
        )
    with st.expander("As files", icon=":material/download:"):
        for one, answered in found:
            show_table(answered.frame, key=f"out-of-fold-{one.entry.key}", name=answered.name)
