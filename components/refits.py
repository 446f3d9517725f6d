"""Models fitted anew for the page on learning: which rows, which folds, asked and kept."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import streamlit as st

from components import cached
from components.asking import Answer, Asked, Request, able, ask
from components.explaining import blocks_of
from components.markup import plain
from components.state import AppState, ModelEntry, following
from components.studies import KINDS, MOST_FOLDS, MOST_REPEATS
from components.turns import Stretch, get_fitting_turns
from dashboard.contracts import Model
from dashboard.data import ALL_ROWS, EvalSet, build_evalset
from dashboard.diagnostics.metrics import METRICS
from dashboard.explainers.kept import BlockStore
from dashboard.importance.measuring import metric_for
from dashboard.learning import Folds, Refit, choose_folds, refit_of
from dashboard.settings import get_settings
from dashboard.wording import quoted

__all__ = [
    "Ground",
    "choose_division",
    "fit_again",
    "ground",
    "labelled_rows",
    "refits",
    "show_division",
    "wanted_score",
    "within_reach",
]

T = TypeVar("T")

_KINDS = {
    "auto": "As the columns suggest",
    "stratified": "Same share of each class",
    "k-fold": "At random",
    "group": "Groups kept together",
    "time": "In order of time",
}
# asks for: model, rows, name, folds, store, turn → answers, each better than the last
Stages = Callable[[Model, EvalSet, str, Folds, BlockStore, Any], Iterator[T]]


@dataclass(frozen=True, eq=False)
class Ground:
    """The rows that models are fitted on again, and how they are divided; the same for all."""

    evalset: EvalSet
    folds: Folds

    @property
    def key(self) -> tuple[str, str]:
        return self.evalset.digest, self.folds.digest()


def ground(state: AppState) -> Ground:
    """All labelled rows of the data but its test part, in the chosen folds.

    Raises
    ------
    ParameterError, NotApplicable : folds that do not fit the rows.
    """
    now, rows = state.studied, labelled_rows(state)
    key = (rows.digest, now.splits, now.repeats, now.folds)
    divide = partial(
        choose_folds, rows, now.splits, now.repeats, get_settings().random_state, kind=now.folds
    )
    return Ground(rows, cached.computed("folds", key, divide))


def labelled_rows(state: AppState) -> EvalSet:
    """All labelled rows of the data, whatever their part."""
    evalset = state.need_evalset()

    def build() -> EvalSet:
        if state.table is None or state.roles is None or evalset.split is None:
            return evalset
        return build_evalset(
            state.table,
            state.roles,
            task=state.task,
            pos_label=state.pos_label,
            split_value=ALL_ROWS,
        )

    return cached.computed("rows to fit on", (evalset.digest,), build)


def choose_division(state: AppState, key: str) -> None:
    """Controls: how many folds, how often, of which kind."""
    now = state.studied
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.selectbox(
            "Rows are divided",
            list(KINDS),
            index=KINDS.index(now.folds),
            format_func=lambda one: _KINDS[one],
            key=f"learn-folds-{key}",
            width=230,
            help="Time and group columns are respected where they have that role on Home.",
        )
        splits = st.number_input(
            "Folds", 2, MOST_FOLDS, now.splits, key=f"learn-splits-{key}", width=100
        )
        repeats = st.number_input(
            "Repeats",
            1,
            MOST_REPEATS,
            now.repeats,
            key=f"learn-repeats-{key}",
            width=100,
            help="Divides the rows again with another seed: how much the score varies is known "
            "better, and it takes as many times as long.",
        )
        metric = _choose_metric(state, key)
        if key != "parameters":
            _choose_wanted(state, key, metric)
    if key != "parameters":
        _say_wanted(state, metric)
    state.study(folds=str(kind), splits=int(splits), repeats=int(repeats))


def _choose_metric(state: AppState, key: str) -> str:
    """The metric of everything that is fitted again; headline metrics cost no further fit."""
    task = state.need_evalset().target.task
    known = [name for name, one in METRICS.items() if one.has_overall(task)]
    usual = metric_for(None, task).name
    start = state.studied.scored if state.studied.scored in known else usual
    chosen = st.selectbox(
        "Scored by",
        known,
        format_func=lambda name: METRICS[name].title,
        **following(
            f"learn-scored-{key}",
            start,
            lambda name: state.study(scored=str(name)),
            index=known.index(start),
        ),
        width=260,
    )
    return str(chosen)


def _choose_wanted(state: AppState, key: str, metric: str) -> None:
    """Control: the score in that metric that is to be reached; empty = none.

    It is a text: a control of numbers can be empty only where that is what it starts with.
    """

    def take(text: Any) -> None:
        known = {name: one for name, one in _wanted(state).items() if name != metric}
        known |= {metric: str(text)} if str(text).strip() else {}
        state.study(wanted=json.dumps(known, ensure_ascii=False) if known else "")

    now = _wanted(state).get(metric, "")
    st.text_input(
        "Score wanted",
        placeholder="none",
        **following(f"learn-wanted-{key}-{metric}", now, take, value=now),
        width=150,
        help=f"The {METRICS[metric].title} that would be good enough for you, as .9 or 90 %. It is "
        "drawn as a line by training size, and each model is judged by whether it gets there.",
    )


def _say_wanted(state: AppState, metric: str) -> None:
    text = _wanted(state).get(metric, "")
    if text and wanted_score(state, metric) is None:
        st.warning(
            f"{plain(quoted(text))} is no score. Write a number, as .9 or 90 %.",
            icon=":material/edit_off:",
        )


def _wanted(state: AppState) -> dict[str, str]:
    """Metric → the score that is to be reached, as it was written."""
    try:
        given = json.loads(state.studied.wanted) if state.studied.wanted else {}
    except ValueError:
        return {}
    if not isinstance(given, dict):
        return {}
    return {name: str(one) for name, one in given.items() if isinstance(one, (str, int, float))}


def wanted_score(state: AppState, metric: str) -> float | None:
    """The score in a metric that a person wants to reach; None without one that can be read."""
    text = _wanted(state).get(metric, "").strip().replace("−", "-")
    try:
        value = float(text.removesuffix("%").replace(",", "."))
    except ValueError:
        return None
    value = value / 100 if text.endswith("%") else value
    return value if math.isfinite(value) else None


def within_reach(able: Sequence[Answer[Refit]], most: int) -> list[Answer[Refit]]:
    """At most so many models, with a word on those that are left out and how to see them."""
    if len(able) > most:
        rest = ", ".join(plain(one.entry.name) for one in able[most:])
        st.caption(
            f":material/info: {most} of {len(able)} models are fitted and drawn here. Left out: "
            f"{rest}. To see them, hide others with the eye in the sidebar."
        )
    return list(able[:most])


def refits(state: AppState) -> list[Answer[Refit]]:
    """For each shown model whether it can be fitted again; those that cannot say why."""
    requests: list[Request[Refit]] = [
        Request(entry, "can refit", (), f"Getting {entry.name} ready", partial(_refit, entry.name))
        for entry in able(state)
    ]
    answers = ask(state, requests, later=True)
    for one in answers:
        if not one.value.can:
            st.info(
                f"**{plain(one.entry.name)}**: {plain(one.value.reason)}", icon=":material/info:"
            )
    return [one for one in answers if one.value.can]


def show_division(rows: Ground, *, sizes: bool = False) -> None:
    """How the rows are divided, and what was left alone."""
    st.caption(rows.folds.reason)
    for note in rows.folds.notes:
        if sizes or not note.startswith("Smaller training sizes"):
            st.caption(f":material/info: {plain(note)}")


def _refit(name: str, model: Callable[[], Model], evalset: EvalSet, asked: Asked[Refit]) -> None:
    opened = asked.opened(model)
    with asked.turn(0, 0):
        asked.post(refit_of(opened, name))


def fit_again(
    state: AppState,
    kind: str,
    entries: Sequence[ModelEntry],
    rows: Ground,
    parameters: tuple[Any, ...],
    title: str,
    stages: Stages[T],
) -> list[Answer[T]]:
    """The newest answers of models that are being fitted again, the finished fits kept.

    `title` : "Growing {name}"; `parameters` : what the answer depends on beside rows and model.
    """
    requests: list[Request[T]] = [
        Request(
            entry,
            kind,
            (*rows.key, *parameters),
            title.format(name=entry.name),
            partial(_fit, stages, rows, entry.name, blocks_of(state, entry)),
        )
        for entry in entries
    ]
    return ask(state, requests)


def _fit(
    stages: Stages[T],
    rows: Ground,
    name: str,
    store: BlockStore,
    model: Callable[[], Model],
    evalset: EvalSet,
    asked: Asked[T],
) -> None:
    del evalset
    opened = asked.opened(model)
    cancelled = asked.job.cancelled
    stretch = Stretch(get_fitting_turns())
    turn = partial(stretch.turn, cancelled)
    for answer in stages(opened, rows.evalset, name, rows.folds, store, turn):
        asked.post(answer)
