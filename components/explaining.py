"""Explanations of the shown models: planned, computed in stages, each replacing the last."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from components.asking import Answer, Asked, Request, able, ask
from components.blocks import ScopedBlocks, WorkspaceBlocks, shared_blocks
from components.state import AppState, ModelEntry
from dashboard.contracts import Attributions, Model, OutputSpace
from dashboard.data import EvalSet
from dashboard.explanation import (
    BlockStore,
    ExplainOptions,
    Plan,
    explain_in_stages,
    explain_rows,
    plan_explanation,
)
from dashboard.settings import get_settings

__all__ = ["common_space", "explained", "explained_rows", "joined", "planned", "spaces"]

_STAGES: dict[str, tuple[int | None, ...]] = {
    "first": (200,),
    "some": (200, 2_000),
    "all": (200, 2_000, None),
}


def options(state: AppState) -> ExplainOptions:
    """What is chosen and holds for every model; units and games are chosen when it is known which
    there are."""
    return ExplainOptions(n_background=state.explored.background, seed=get_settings().random_state)


def blocks_of(state: AppState, entry: ModelEntry) -> BlockStore:
    """Where finished blocks are kept: a sample's for everybody, a person's own in the workspace."""
    if state.sample is not None and not entry.uploaded:
        return ScopedBlocks(shared_blocks(), "")
    if state.workspace is not None:
        return WorkspaceBlocks(state.workspace, entry.key)
    return ScopedBlocks(shared_blocks(), state.scope)


# -- plans ----------------------------------------------------------------------------------------


def planned(state: AppState) -> list[Answer[Plan]]:
    """For each shown model what it could answer and how long that would take, measured.

    First as each model likes it best; then, where that differs, in the unit and for the question
    that all of them are asked.
    """
    first = _ask_plans(state, {entry.key: options(state) for entry in able(state)})
    if not first:
        return []
    space = common_space(state, first)
    wanted = {one.entry.key: _options_for(state, one.value, space) for one in first}
    again = {key: one for key, one in wanted.items() if one != options(state)}
    second = {one.entry.key: one for one in _ask_plans(state, again)} if again else {}
    return [
        second[one.entry.key] if one.entry.key in again else one
        for one in first
        if one.entry.key not in again or one.entry.key in second
    ]


def _ask_plans(state: AppState, wanted: Mapping[str, ExplainOptions]) -> list[Answer[Plan]]:
    requests = [
        Request(
            entry,
            "plan",
            (repr(wanted[entry.key]),),
            f"Measuring {entry.name}",
            partial(_plan, wanted[entry.key]),
        )
        for entry in state.shown
        if entry.key in wanted
    ]
    return ask(state, requests)


def _plan(
    chosen: ExplainOptions, model: Callable[[], Model], evalset: EvalSet, asked: Asked[Plan]
) -> None:
    with asked.turn(0, 0):
        asked.post(plan_explanation(model(), evalset, chosen))


def _options_for(state: AppState, plan: Plan, space: str) -> ExplainOptions:
    """The common unit, and the chosen question where this model has an answer to it."""
    game = state.explored.game if state.explored.game in plan.games else "auto"
    same = space in ("auto", plan.space.value)
    return replace(options(state), space="auto" if same else space, game=game)


def spaces(plans: Sequence[Answer[Plan]]) -> list[OutputSpace]:
    """The units in which all these models can be explained, the natural one of most first."""
    offered = [plan.value.spaces for plan in plans]
    if not offered:
        return []
    natural = [each[0] for each in offered]
    shared = [one for one in offered[0] if all(one in each for each in offered)]
    return sorted(shared, key=lambda one: -natural.count(one))


def common_space(state: AppState, plans: Sequence[Answer[Plan]]) -> str:
    """The unit that is asked of every model: the chosen one, else one that all have; or "auto"."""
    shared = [one.value for one in spaces(plans)]
    if state.explored.space in shared:
        return state.explored.space
    return shared[0] if shared else "auto"


# -- all rows -------------------------------------------------------------------------------------


def explained(state: AppState, plans: Sequence[Answer[Plan]]) -> list[Answer[Attributions]]:
    """The newest explanation of each planned model; they are refined while the person reads."""
    stages = _STAGES[state.explored.rows]
    requests = [
        Request(
            plan.entry,
            "explain",
            (repr(plan.value.options), state.explored.rows),
            f"Explaining {plan.entry.name}",
            partial(_explain, plan.value, plan.entry.name, stages, blocks_of(state, plan.entry)),
        )
        for plan in plans
    ]
    return [_named(one) for one in ask(state, requests)]


def _explain(
    plan: Plan,
    name: str,
    stages: tuple[int | None, ...],
    store: BlockStore,
    model: Callable[[], Model],
    evalset: EvalSet,
    asked: Asked[Attributions],
) -> None:
    with asked.turn(0, 0):
        opened = model()
    found = explain_in_stages(
        opened, evalset, name, plan.options, plan=plan, stages=stages, store=store
    )
    shown = 0
    for at, n in enumerate(stages, start=1):
        if shown:
            asked.job.report(shown, n or evalset.n, f"{shown:,} rows shown, more wait their turn")
        with asked.turn(at, plan.seconds(n)):
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
    state: AppState, plans: Sequence[Answer[Plan]], rows: Sequence[int]
) -> list[Answer[Attributions]]:
    """These rows, explained by every planned model."""
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
    return [_named(one) for one in ask(state, requests)]


def _explain_rows(
    plan: Plan,
    name: str,
    at: tuple[int, ...],
    store: BlockStore,
    model: Callable[[], Model],
    evalset: EvalSet,
    asked: Asked[Attributions],
) -> None:
    with asked.turn(0, 0):
        asked.post(explain_rows(model(), evalset, name, at, plan.options, plan=plan, store=store))


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
