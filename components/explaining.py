"""Explanations of the shown models: planned, computed in stages, each replacing the last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from components.asking import Answer, Asked, Request, able, ask, forget_held, is_awaited
from components.blocks import ScopedBlocks, WorkspaceBlocks, shared_blocks
from components.state import AppState, ModelEntry
from components.turns import get_turns
from dashboard.contracts import Attributions, Model, OutputSpace
from dashboard.data import EvalSet
from dashboard.errors import NotApplicable
from dashboard.explanation import (
    BlockStore,
    ExplainOptions,
    Plan,
    explain_in_stages,
    explain_rows,
    offered_units,
    plan_explanation,
    promised_seconds,
)
from dashboard.samples import read_sample
from dashboard.settings import get_settings

__all__ = [
    "common_space",
    "explained",
    "explained_rows",
    "joined",
    "planned",
    "promised",
    "shared_units",
    "to_explain",
]

Units = tuple[OutputSpace, ...]

_STAGES: dict[str, tuple[int | None, ...]] = {
    "first": (200,),
    "some": (200, 2_000),
    "all": (200, 2_000, None),
}
_AT_ONCE = (
    1.0  # seconds; first rows that take no longer are not kept waiting by other models' plans
)


def options(state: AppState) -> ExplainOptions:
    """What is chosen and holds for every model; units and games are chosen when it is known which
    there are."""
    chosen, settings = state.explored, get_settings()
    return ExplainOptions(
        n_background=chosen.background,
        seed=settings.random_state if chosen.seed is None else chosen.seed,
        level=settings.confidence_level,
        budget=chosen.draws,
    )


def blocks_of(state: AppState, entry: ModelEntry) -> BlockStore:
    """Where finished blocks are kept: a sample's for everybody, a person's own in the workspace."""
    if state.sample is not None and not entry.uploaded:
        return ScopedBlocks(shared_blocks(), "")
    if state.workspace is not None:
        return WorkspaceBlocks(state.workspace, entry.key)
    return ScopedBlocks(shared_blocks(), state.scope)


# -- plans ----------------------------------------------------------------------------------------


def planned(state: AppState, only: ModelEntry | None = None) -> list[Answer[Plan]]:
    """For each shown model what it could answer and how long that would take, measured.

    All are asked for the same unit, as soon as those that are still being loaded cannot change it;
    with `only` one of them, in that unit.
    """
    forget_held()
    entries = able(state) if only is None else [one for one in state.shown if one.table is None]
    known = _recorded_units(state, entries)
    requests = {
        entry.key: Request(
            entry,
            "units",
            (repr(options(state)),),
            f"Getting {entry.name} ready",
            partial(_tell_units, options(state), _is_slow(entry)),
        )
        for entry in entries
        if entry.key not in known
    }
    for answer in ask(state, list(requests.values()), later=True):
        known[answer.entry.key] = answer.value
    told = [
        entry for entry in entries if entry.key in known or is_awaited(state, requests[entry.key])
    ]
    space = common_space(state, [known.get(entry.key) for entry in told])
    if not space:
        st.container()  # in the place of what plans would say
        return []
    ready = [one for one in told if one.key in known and only in (None, one)]
    plans = [_plan_request(state, one, known[one.key], space) for one in ready]
    return ask(state, plans, later=True)


def _recorded_units(state: AppState, entries: Sequence[ModelEntry]) -> dict[str, Units]:
    """Those of a sample's models, which need not be opened to know them."""
    if state.sample is None:
        return {}
    recorded = {one.file: one.units for one in read_sample(state.sample).models}
    return {
        entry.key: recorded[entry.file]
        for entry in entries
        if not entry.uploaded and recorded.get(entry.file)
    }


def _is_slow(entry: ModelEntry) -> bool:
    """Whether its library alone takes as long to load as other models and their answers."""
    return entry.file.lower().endswith((".keras", ".h5", ".hdf5"))


def _tell_units(
    chosen: ExplainOptions,
    late: bool,
    model: Callable[[], Model],
    evalset: EvalSet,
    asked: Asked[Units],
) -> None:
    opened = asked.opened(model, late=late)
    with asked.turn(0, 0):
        asked.post(offered_units(opened, evalset, chosen))


def _plan_request(state: AppState, entry: ModelEntry, units: Units, space: str) -> Request[Plan]:
    """In the common unit; in its own where it has no other."""
    own = space if space in [one.value for one in units] else "auto"
    chosen = replace(options(state), space=own, game=state.explored.game)
    sampler = state.explored.sampler
    work = partial(_plan, chosen, "" if sampler == "auto" else sampler, _is_slow(entry))
    return Request(entry, "plan", (repr(chosen), sampler), f"Measuring {entry.name}", work)


def _plan(
    chosen: ExplainOptions,
    sampler: str,
    late: bool,
    model: Callable[[], Model],
    evalset: EvalSet,
    asked: Asked[Plan],
) -> None:
    """The plan for the chosen question, or for the best one where it has no answer to it."""
    asked.job.report(0, 0, "opening the model")
    opened = asked.opened(model, late=late)
    asked.job.report(0, 0)
    with asked.turn(0, 1):
        try:
            found = plan_explanation(opened, evalset, chosen, sampler=sampler)
        except NotApplicable:
            if chosen.game == "auto":
                raise
            easier = replace(chosen, game="auto")
            found = plan_explanation(opened, evalset, easier, sampler=sampler)
        asked.post(found)


def shared_units(offered: Sequence[Units]) -> list[OutputSpace]:
    """The units in which all these models can be explained: the natural one of most first, of
    equals that which the first model prefers."""
    if not offered:
        return []
    natural = [each[0] for each in offered]
    shared = [one for one in offered[0] if all(one in each for each in offered)]
    return sorted(shared, key=lambda one: -natural.count(one))


def common_space(state: AppState, offered: Sequence[Units | None]) -> str:
    """The unit that is asked of every model: the chosen one, else one that all have; or "auto".

    None stands for a model that has not told its units yet; "" = they may still change the answer,
    and with it every number on screen.
    """
    known = [one for one in offered if one is not None]
    shared = shared_units(known)
    if state.explored.space in [one.value for one in shared]:
        return state.explored.space
    if not known or offered[0] is None:
        return ""
    if not shared:
        return "auto"
    lead, *others = shared
    likes, waiting = [one[0] for one in known], len(offered) - len(known)
    ahead = [likes.count(lead) - likes.count(one) - waiting for one in others]
    first = known[0]
    wins = [
        by > 0 or (by == 0 and first.index(lead) < first.index(one))
        for by, one in zip(ahead, others, strict=True)
    ]
    return lead.value if not waiting or all(wins) else ""


# -- all rows -------------------------------------------------------------------------------------


def explained(
    state: AppState, plans: Sequence[Answer[Plan]], rows: str = ""
) -> list[Answer[Attributions]]:
    """The newest explanation of each planned model; they are refined while the person reads.

    `rows`: how many, in place of what is chosen for all charts; one of `choices.SIZES`.
    """
    return [_named(one) for one in ask(state, to_explain(state, plans, rows))]


def to_explain(
    state: AppState, plans: Sequence[Answer[Plan]], rows: str = ""
) -> list[Request[Attributions]]:
    """What `explained` asks."""
    size = rows or state.explored.rows
    stages = _STAGES[size]
    return [
        Request(
            plan.entry,
            "explain",
            (repr(plan.value.options), size),
            f"Explaining {plan.entry.name}",
            partial(_explain, plan.value, plan.entry.name, stages, blocks_of(state, plan.entry)),
        )
        for plan in plans
    ]


def promised(plans: Sequence[Plan], rows: str) -> list[tuple[int, float]]:
    """Rows and seconds of each stage: until every one of these models has answered.

    Models take turns: of the time of all together, or of the slowest, the longer one counts.
    """
    stages = _STAGES[rows]
    each = [promised_seconds(plan, stages) for plan in plans]
    n = max(plan.n_given for plan in plans)
    found = dict[int, float]()
    for at, stage in enumerate(stages):
        times = [one[at] for one in each]
        found.setdefault(
            n if stage is None else min(stage, n), max(max(times), sum(times) / get_turns().room)
        )
    return list(found.items())


def _explain(
    plan: Plan,
    name: str,
    stages: tuple[int | None, ...],
    store: BlockStore,
    model: Callable[[], Model],
    evalset: EvalSet,
    asked: Asked[Attributions],
) -> None:
    opened = model()
    rank, promised = (0.0, 0.0), 0.0
    until = promised_seconds(plan, stages)

    @contextmanager
    def turn() -> Iterator[None]:
        nonlocal promised
        with asked.turn(*rank):
            if promised:  # the first turn of a stage: waiting for it is not the model's time
                asked.job.promise(promised)
                promised = 0.0
            yield

    found = explain_in_stages(
        opened,
        evalset,
        name,
        plan.options,
        plan=plan,
        stages=stages,
        store=store,
        turn=turn,
    )
    shown = 0
    for at, n in enumerate(stages, start=1):
        if shown:
            asked.job.report(shown, n or evalset.n, f"{shown:,} rows shown, more wait their turn")
        seconds = plan.seconds(n)
        rank = (0 if at == 1 and seconds <= _AT_ONCE else at, seconds)
        promised = until[at - 1] - (until[at - 2] if at > 1 else 0.0)
        answer = next(found, None)
        if answer is None:
            return
        asked.post(answer)
        shown = answer.n


def _named(answer: Answer[Attributions]) -> Answer[Attributions]:
    """Under the name that the model has now."""
    return replace(answer, value=replace(answer.value, model=answer.entry.name))


# -- one row --------------------------------------------------------------------------------------


def explained_rows(
    state: AppState, plans: Sequence[Answer[Plan]], rows: Sequence[int], *, later: bool = False
) -> list[Answer[Attributions]]:
    """These rows, explained by every planned model; `later` as for `ask`."""
    at = tuple(rows)
    requests = [
        Request(
            plan.entry,
            "rows",
            (repr(plan.value.options), at),
            f"Explaining {plan.entry.name}",
            partial(_explain_rows, plan.value, plan.entry.name, at, blocks_of(state, plan.entry)),
        )
        for plan in plans
    ]
    return [_named(one) for one in ask(state, requests, later=later)]


def _explain_rows(
    plan: Plan,
    name: str,
    at: tuple[int, ...],
    store: BlockStore,
    model: Callable[[], Model],
    evalset: EvalSet,
    asked: Asked[Attributions],
) -> None:
    opened = model()
    with asked.turn(0, 0):
        asked.job.promise(plan.seconds(len(at)))
        asked.post(explain_rows(opened, evalset, name, at, plan.options, plan=plan, store=store))


def joined(many: Attributions, more: Attributions) -> Attributions:
    """Rows explained twice count once; both are of the same model, unit and background."""
    new = np.flatnonzero(~np.isin(more.rows, many.rows))
    if not len(new):
        return many
    part = more.take(new)
    data: Any = (
        pd.concat([many.data, part.data], ignore_index=True)
        if isinstance(many.data, pd.DataFrame)
        else np.concatenate([many.data, part.data])
    )
    errors = None
    if many.errors is not None or part.errors is not None:
        found = [
            np.zeros_like(one.values) if one.errors is None else one.errors for one in (many, part)
        ]
        errors = np.concatenate(found)
    return replace(
        many,
        values=np.concatenate([many.values, part.values]),
        predictions=np.concatenate([many.predictions, part.predictions]),
        rows=np.concatenate([many.rows, part.rows]),
        data=data,
        errors=errors,
        exact=many.exact and part.exact,
        additivity_error=max(many.additivity_error, part.additivity_error),
    )
