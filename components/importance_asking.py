"""What is asked of the models on the page of importances, beside the page itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd

from components.asking import Answer, Asked, Request
from components.choices import Choices, read_groups, write_groups
from components.explaining import blocks_of
from components.state import AppState, ModelEntry
from dashboard.contracts import Model, Task
from dashboard.data import EvalSet
from dashboard.diagnostics.importance import Importance
from dashboard.explanation import BlockStore
from dashboard.importance import (
    RefittingPlan,
    drop_column_importance,
    native_importances,
    permutation_importance,
    plan_refitting,
    same_groups,
)
from dashboard.settings import get_settings

__all__ = [
    "Wish",
    "dropping",
    "importances_of",
    "native",
    "permuting",
    "planning_to_drop",
    "refit_key",
    "refitting",
    "usual_metric",
    "wish",
]

FIRST_ROWS = 2_000
MANY_COLUMNS = 300
Importances = Sequence[Importance]


@dataclass(frozen=True)
class Wish:
    """How columns are shuffled or left out, as chosen; equal wishes have equal answers.

    Attributes
    ----------
    rows : at most so many; None = all.
    together : "alone", "correlated" or "own"; `groups` are those of `choices.write_groups`.
    part : "training", "evaluation" or "".
    """

    metric: str
    repeats: int
    rows: int | None
    together: str
    groups: str
    seed: int
    part: str = ""

    @property
    def told_groups(self) -> Any:
        """As `permutation_importance` takes them."""
        if self.together == "own":
            return read_groups(self.groups)
        return "correlated" if self.together == "correlated" else None

    @property
    def stages(self) -> tuple[int | None, ...]:
        """Rows of the first answer and of the better ones."""
        quick = self.rows is not None and self.rows <= FIRST_ROWS
        return (self.rows,) if quick else (FIRST_ROWS, self.rows)


def usual_metric(task: Task) -> str:
    """What is watched first: a metric that people know, with one number for the whole."""
    if task is Task.BINARY:
        return "roc_auc"
    if task is Task.MULTILABEL:
        return "roc_auc_macro"
    return "accuracy" if task.is_classification else "rmse"


def wish(state: AppState, metric: str, **changes: Any) -> Wish:
    """What is chosen now."""
    now: Choices = state.explored
    groups = _groups_here(state) if now.together == "own" else ""
    together = "alone" if now.together == "own" and not groups else now.together
    seed = get_settings().random_state
    made = Wish(metric, now.repeats, now.shuffled or None, together, groups, seed)
    return replace(made, **changes)


def _groups_here(state: AppState) -> str:
    """The chosen groups, without columns that are no features now."""
    X = state.need_evalset().X
    known = {str(one) for one in X} if isinstance(X, pd.DataFrame) else set()
    groups = read_groups(state.explored.groups)
    return write_groups(
        {name: [one for one in columns if one in known] for name, columns in groups.items()}
    )


def importances_of(answer: Answer[Any]) -> list[Importance]:
    """One model's importances (native ones may be several), under the name it has now."""
    found = answer.value if isinstance(answer.value, (list, tuple)) else [answer.value]
    return [replace(one, model=answer.entry.name) for one in found]


# -- requests -------------------------------------------------------------------------------------


def permuting(
    state: AppState, entry: ModelEntry, wish: Wish, training: EvalSet | None = None
) -> Request[Importance]:
    """The wish on the evaluated rows, or on training rows."""
    which = "training rows for " if training else ""
    work = partial(_permute, wish, entry.name, blocks_of(state, entry), training)
    known = ("" if training is None else training.digest, wish)
    return Request(entry, "permutation", known, f"Shuffling columns: {which}{entry.name}", work)


def _permute(
    wish: Wish,
    name: str,
    store: BlockStore,
    training: EvalSet | None,
    model: Callable[[], Model],
    evalset: EvalSet,
    asked: Asked[Importance],
) -> None:
    opened, rows = asked.opened(model), training or evalset
    groups = same_groups(opened, evalset, {"groups": wish.told_groups})["groups"]
    for rank, (n, repeats) in enumerate(_steps(wish, rows), start=1):
        asked.post(
            permutation_importance(
                opened,
                rows,
                name,
                wish.metric,
                repeats,
                n,
                groups if training else wish.told_groups,
                wish.seed,
                level=get_settings().confidence_level,
                part=wish.part,
                store=store,
                turn=partial(asked.turn, rank + (2 if training else 0), 0),
            )
        )


def _steps(wish: Wish, rows: EvalSet) -> list[tuple[int | None, int]]:
    """Rows and repeats of the first answer and of the better ones.

    Many columns take long: they are shuffled once before they are as often as is wished.
    """
    stages = wish.stages if rows.n > FIRST_ROWS else wish.stages[:1]
    steps = [(n, wish.repeats) for n in stages]
    many = len(rows.X.shape) > 1 and rows.X.shape[1] >= MANY_COLUMNS
    return [(stages[0], 1), *steps] if many and wish.repeats > 1 else steps


def native(entry: ModelEntry) -> Request[Importances]:
    """What the model counts itself."""
    return Request(entry, "native", (), f"Asking {entry.name}", partial(_native, entry.name))


def _native(
    name: str, model: Callable[[], Model], evalset: EvalSet, asked: Asked[Importances]
) -> None:
    opened = asked.opened(model)
    with asked.turn(0, 0):
        asked.post(native_importances(opened, evalset, name))


def refitting(chosen: Wish) -> Wish:
    """As chosen, of what counts where columns are left out: all rows, each fit once."""
    return replace(chosen, repeats=0, rows=None)


def refit_key(state: AppState, entry: ModelEntry, asked: Wish) -> tuple[Any, ...]:
    """What `AppState.refitted` holds for a model that may be fitted again like this."""
    return (entry.key, state.need_evalset().digest, asked)


def planning_to_drop(state: AppState, entry: ModelEntry, wish: Wish) -> Request[RefittingPlan]:
    """How long fitting again would take."""
    work = partial(_plan_to_drop, wish, blocks_of(state, entry))
    return Request(entry, "drop-plan", (wish,), f"Fitting {entry.name} once", work)


def _plan_to_drop(
    wish: Wish,
    store: BlockStore,
    model: Callable[[], Model],
    evalset: EvalSet,
    asked: Asked[RefittingPlan],
) -> None:
    found = plan_refitting(
        asked.opened(model),
        evalset,
        wish.metric,
        groups=wish.told_groups,
        random_state=wish.seed,
        store=store,
        turn=partial(asked.turn, 2, 0),
    )
    asked.post(found)


def dropping(state: AppState, entry: ModelEntry, wish: Wish) -> Request[Importance]:
    """The model fitted again without each feature."""
    work = partial(_drop, wish, entry.name, blocks_of(state, entry))
    return Request(entry, "drop", (wish,), f"Refitting {entry.name}", work)


def _drop(
    wish: Wish,
    name: str,
    store: BlockStore,
    model: Callable[[], Model],
    evalset: EvalSet,
    asked: Asked[Importance],
) -> None:
    found = drop_column_importance(
        asked.opened(model),
        evalset,
        name,
        wish.metric,
        groups=wish.told_groups,
        random_state=wish.seed,
        level=get_settings().confidence_level,
        store=store,
        turn=partial(asked.turn, 2, 0),
    )
    asked.post(found)
