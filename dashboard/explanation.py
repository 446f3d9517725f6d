"""From data and a model to its explanation: planned, computed in stages, checked, kept.

The path of the app, the command line and Python; nothing here looks into a model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .contracts import Attributions, Model, OutputSpace, RawPredictions, Target, Task
from .data import EvalSet
from .diagnostics.words import WordExplanation
from .errors import ParameterError
from .evaluation import as_evalset, as_model, named, read_helpers, rows_for
from .explainers.answers import Asked
from .explainers.asking import ask
from .explainers.blocks import PlanAnswer, read_plan
from .explainers.kept import BlockStore, parts_of
from .explainers.ordering import background_of, background_positions, stratified_order
from .explainers.plans import ExplainOptions, Plan, choose_game
from .explainers.running import Run, promised_seconds
from .explainers.staging import Collected, most_rows
from .explainers.subjects import FloatArray, IntArray
from .frames import Frame, FrameError
from .settings import Settings, get_settings
from .wording import count, listing

__all__ = [
    "MEASURED_ROWS",
    "BlockStore",
    "ExplainOptions",
    "Plan",
    "background_positions",
    "explain",
    "explain_in_stages",
    "explain_rows",
    "explain_words",
    "interaction_values",
    "offered_units",
    "plan_explanation",
    "promised_seconds",
    "read_evalset",
    "stratified_order",
]

MEASURED_ROWS = 20
# Interaction values that are held at once, and that one call answers with.
MOST_PAIRS, PAIRS_OF_CALL = 64 << 20, 4 << 20
KEPT_PAIRS = 250  # rows of a call, where its answer is kept


# ---- planning --------------------------------------------------------------------------------


def plan_explanation(
    model: Model,
    evalset: EvalSet,
    options: ExplainOptions | None = None,
    *,
    sampler: str = "",
) -> Plan:
    """Ask a model which engines can explain it, with the times of the best ones measured.

    `sampler`: the engine of `explainers.plans.SAMPLERS` where one of them is to answer at all;
    models into which an engine looks are answered by that one.

    Raises
    ------
    NotApplicable : the model does not answer in this space, or no engine fits the options.
    ModelError : the model fails on some of the rows.
    """
    options = options or ExplainOptions()
    background = background_positions(evalset, options.n_background, options.seed)
    found = _asked_plan(model, evalset, options, background, engine=options.engine or sampler)
    game = choose_game(found, options)
    unknown = background_of(evalset, background, game)
    plan = Plan(found, options, game, unknown, background, evalset.n)
    if not options.engine and sampler in [one.key for one in plan.samplers]:
        return replace(plan, options=replace(options, engine=sampler))
    return plan


def offered_units(
    model: Model, evalset: EvalSet, options: ExplainOptions | None = None
) -> tuple[OutputSpace, ...]:
    """In which units a model can be explained, its natural one first; nothing is measured.

    Raises
    ------
    ModelError : the model fails on some of the rows.
    """
    options = options or ExplainOptions()
    background = background_positions(evalset, options.n_background, options.seed)
    return _asked_plan(model, evalset, options, background, bare=True).spaces


def _asked_plan(
    model: Model, evalset: EvalSet, options: ExplainOptions, background: IntArray, **more: Any
) -> PlanAnswer:
    rows = rows_for(model, evalset)
    few = stratified_order(evalset, options.seed)[:MEASURED_ROWS]
    told = _told(evalset, options, background) | {"rows": few.tolist(), "game": options.game}
    return ask(model, "plan", told | more, {"X": rows}, read=partial(_believed_plan, rows))


def _told(evalset: EvalSet, options: ExplainOptions, background: IntArray) -> dict[str, Any]:
    target = evalset.target
    asked = Asked(target.task, target.labels, target.pos_label, target.name)
    return {
        "asked": asked.to_json(),
        "background": background.tolist(),
        "space": options.space,
        "seed": options.seed,
        "budget": options.budget or None,
        "level": options.level,
    }


def _believed_plan(rows: Any, frame: Frame) -> PlanAnswer:
    """A plan whose features are columns of these rows."""
    found = read_plan(frame)
    if isinstance(rows, pd.DataFrame):
        known = {str(name) for name in rows.columns}
        fits = set(found.features) <= known and len(set(found.features)) == len(found.features)
    else:
        fits = len(found.features) == max(1, int(np.prod(np.shape(rows)[1:])))
    if not fits or not found.features:
        raise FrameError("The explanation is of columns that are not among the features.")
    return found


# ---- explaining ------------------------------------------------------------------------------


def _run(
    model: Model,
    evalset: EvalSet,
    name: str,
    plan: Plan,
    store: BlockStore | None,
    order: IntArray,
) -> Run:
    told = _told(evalset, plan.options, plan.background_rows) | {"space": plan.space.value}
    collected = Collected(order, len(plan.features), len(plan.output_names))
    return Run(model, evalset, name, plan, store, rows_for(model, evalset), told, collected)


def explain_in_stages(
    model: Model,
    evalset: EvalSet,
    name: str,
    options: ExplainOptions | None = None,
    *,
    plan: Plan | None = None,
    stages: Sequence[int | None] = (200, 2_000, None),
    store: BlockStore | None = None,
    turn: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Iterator[Attributions]:
    """The explanation of a few rows, then of more, each replacing the last.

    Parameters
    ----------
    stages : numbers of rows, None = all; every stage is a random sample stratified by the target.
    store : where finished blocks are kept and found again.
    turn : gives what is entered for each question to the model, of a second or two.

    Yields
    ------
    Attributions : of the first rows of `stratified_order`; the last one has all that were asked.

    Raises
    ------
    NotApplicable : no engine can explain the model; each with its reason.
    ModelError : the model's own failure.
    WorkCancelled : the watcher stopped it; finished blocks stay in the store.
    """
    plan = _settled(model, evalset, options, plan)
    order = _held_order(evalset, plan)
    run = _run(model, evalset, name, plan, store, order)
    run.turn = turn
    reached = 0
    for stage in stages:
        n = len(order) if stage is None else min(stage, len(order))
        if n <= reached:
            continue
        run.reach(n)
        reached = n
        yield run.attributions()


def _held_order(evalset: EvalSet, plan: Plan) -> IntArray:
    """The order in which rows are explained, as many as can be held."""
    order = stratified_order(evalset, plan.options.seed)
    return order[: most_rows(len(plan.features), len(plan.output_names))]


def explain_rows(
    model: Model,
    evalset: EvalSet,
    name: str,
    positions: Sequence[int] | IntArray,
    options: ExplainOptions | None = None,
    *,
    plan: Plan | None = None,
    store: BlockStore | None = None,
) -> Attributions:
    """The explanation of these rows, in this order; rows without an answer are left out.

    Rows that stages kept in the same store are not computed again.

    Raises
    ------
    ParameterError : positions that are no rows of the data.
    """
    order = _checked(positions, evalset)
    plan = _settled(model, evalset, options, plan)
    run = _run(model, evalset, name, plan, store, order)
    run.larger = _held_order(evalset, plan)
    run.reach(len(order))
    return run.attributions()


def interaction_values(
    model: Model,
    evalset: EvalSet,
    name: str,
    options: ExplainOptions | None = None,
    *,
    n_rows: int = 500,
    positions: Sequence[int] | IntArray | None = None,
    store: BlockStore | None = None,
) -> tuple[FloatArray, Attributions]:
    """What pairs of features add together, for tree models, and the values they sum to.

    Parameters
    ----------
    n_rows : of the stratified order, where no `positions` are given.
    store : where finished parts are kept and found again, for models of files.

    Returns
    -------
    `(n, n_features, n_features, n_outputs)` with half of a pair's effect on each side of the
    diagonal, and the path-dependent attributions of the same rows: `values.sum(axis=2)`.

    Raises
    ------
    NotApplicable : no tree model, or values that do not add up.
    """
    options = options or ExplainOptions(seed=get_settings().random_state)
    plan = plan_explanation(model, evalset, replace(options, game="auto", engine=""))
    order = (
        stratified_order(evalset, options.seed)
        if positions is None
        else _checked(positions, evalset)
    )
    f, k = len(plan.features), len(plan.output_names)
    most = max(1, MOST_PAIRS // (f * f * k))
    wanted = len(order) if positions is not None else min(n_rows, len(order))
    order = order[: min(wanted, most)]
    run = _run(model, evalset, name, plan, store, order)
    size = PAIRS_OF_CALL // (max(f, plan.found.n_columns) ** 2 * k)
    found = run.interactions(max(1, size if store is None else min(size, KEPT_PAIRS)))
    attributions = run.attributions()
    if len(order) < wanted:
        note = f"{count(len(order))} of {count(wanted)} rows: more pairs cannot be held at once."
        attributions = replace(attributions, notes=(*attributions.notes, note))
    return found, attributions


def _settled(
    model: Model, evalset: EvalSet, options: ExplainOptions | None, plan: Plan | None
) -> Plan:
    """The plan for these options: the given one where it answers them, else a new one."""
    if plan is None:
        options = options or ExplainOptions(seed=get_settings().random_state)
        return plan_explanation(model, evalset, options)
    if options is None or options == plan.options:
        return plan
    same = replace(options, space=plan.options.space, game=plan.options.game) == plan.options
    fits = options.space in ("auto", plan.space) and options.game in ("auto", plan.game)
    if same and fits:
        return replace(plan, options=options)
    return plan_explanation(model, evalset, options)


def _checked(positions: Sequence[int] | IntArray, evalset: EvalSet) -> IntArray:
    order: IntArray = np.asarray(positions, dtype=np.int64).reshape(-1)
    if not len(order) or order.min() < 0 or order.max() >= evalset.n:
        raise ParameterError(
            f"Rows must be positions from 0 to {evalset.n - 1:,}, at least one; got "
            f"{listing([str(at) for at in order.tolist()], 5) or 'none'}."
        )
    return order


def explain_words(
    model: Model,
    evalset: EvalSet,
    name: str,
    row: int,
    options: ExplainOptions | None = None,
    *,
    column: str = "",
    store: BlockStore | None = None,
) -> WordExplanation:
    """What each word of a text adds to the answer for one row; all other columns stay as they are.

    `column`: the one whose words are taken out; "" is the longest that the model reads as text.

    Raises
    ------
    NotApplicable : the model reads no text of this row word by word, or is too slow for it.
    ModelError : the model's own failure.
    """
    from .explainers.words import word_values

    options = options or ExplainOptions(seed=get_settings().random_state)
    target = evalset.target
    return word_values(
        model,
        rows_for(model, evalset),
        row,
        Asked(target.task, target.labels, target.pos_label, target.name),
        name=name,
        space=options.space,
        column=column,
        random_state=options.seed,
        level=options.level,
        kept=parts_of(store, model, evalset, "words"),
    )


# ---- for Python callers and the command line -------------------------------------------------


def explain(
    model: Any,
    data: Any,
    y: Any = None,
    *,
    target: str | Sequence[str] | None = None,
    name: str = "",
    rows: int | Sequence[int] | None = None,
    options: ExplainOptions | None = None,
    helpers: Sequence[str | Path] = (),
    store: BlockStore | None = None,
    settings: Settings | None = None,
    **more: Any,
) -> Attributions:
    """Explain one model on some data: what each feature adds to each answer.

    Parameters
    ----------
    model : a fitted object (explained in this process) or the path of a model file (in a worker).
    data : a path, a frame, an array `X`, or an `EvalSet`; with `y` or `target` rows are drawn in
        proportion to the target, and outputs carry its names. Both may be left out.
    rows : how many rows (a stratified sample), or which; None = all.
    options : what is computed and how; see `ExplainOptions`.
    helpers : paths of files that the model file needs beside it.
    more : column roles, task and positive class, passed on to the reader.

    Raises
    ------
    NotApplicable : no engine can explain the model; each with its reason.
    DataError, ModelError, ParameterError : as for `evaluate`.
    """
    settings = settings or get_settings()
    ((given, item),) = named({name: model} if name else model).items()
    opened = as_model(given, item, read_helpers(helpers), settings)
    data = _with_names(opened, data)
    bare = y is None and target is None and not isinstance(data, str | Path | EvalSet)
    evalset = _without_truth(opened, data) if bare else as_evalset(data, y, target, **more)
    options = options or ExplainOptions(seed=settings.random_state, level=settings.confidence_level)
    if rows is not None and not isinstance(rows, int):
        return explain_rows(opened, evalset, given, rows, options, store=store)
    if rows is not None and rows < 1:
        raise ParameterError(f"Argument rows must be at least 1, got {rows}.")
    (found,) = explain_in_stages(opened, evalset, given, options, stages=(rows,), store=store)
    return found


def read_evalset(
    path: Path, targets: Sequence[str] | None, positive: Any = None, split: str | None = None
) -> EvalSet:
    """The rows of a file for the command line.

    Raises
    ------
    DataError : the file cannot be read or has no usable target.
    """
    more = {"split_value": split} if split else {}
    if positive is not None:
        more["pos_label"] = positive
    target = targets[0] if targets and len(targets) == 1 else targets
    return as_evalset(path, None, target, **more)


def _with_names(model: Model, data: Any) -> Any:
    """A table for an array whose columns a model knows by name."""
    wanted = model.info.feature_names
    plain = isinstance(data, np.ndarray) and data.ndim == 2
    if plain and wanted is not None and data.shape[1] == len(wanted):
        return pd.DataFrame(data, columns=list(wanted))
    return data


def _without_truth(model: Model, data: Any) -> EvalSet:
    """Rows whose truth nobody knows: the model's own answers stand in for it."""
    dummy = np.arange(len(data)) / max(1, len(data)) + 0.5
    evalset = as_evalset(data, dummy, "the answer", task=Task.REGRESSION)
    raw: RawPredictions = model.predict(rows_for(model, evalset))
    target = evalset.target
    if raw.scores is not None or model.info.classes is not None:
        classes = model.info.classes or ()
        labels = np.asarray(raw.labels).reshape(-1) if raw.labels is not None else dummy > 0
        if len(classes) >= 2:
            codes = np.array([_place(label, classes) for label in labels.tolist()], dtype=np.int64)
            task = Task.BINARY if len(classes) == 2 else Task.MULTICLASS
            positive = 1 if task is Task.BINARY else None
            target = Target(task, "the answer", classes, codes, positive)
    return replace(evalset, target=target)


def _place(label: Any, classes: Sequence[Any]) -> int:
    written = [str(one) for one in classes]
    text = str(label)
    return written.index(text) if text in written else 0
