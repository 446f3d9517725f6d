"""Networks fitted anew: on request only, for how long and in what steps, how long it will take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import streamlit as st

from components.asking import Answer
from components.markup import plain
from components.refits import Ground, fit_again
from components.state import AppState
from components.studies import MOST_BATCH, MOST_EPOCHS, MOST_STOP
from components.training_logs import run_of
from dashboard.contracts import Model
from dashboard.data import EvalSet
from dashboard.explainers.kept import BlockStore
from dashboard.learning import Folds, Refit
from dashboard.learning.estimating import Estimate
from dashboard.learning.networks import LoggedTraining, logged_training
from dashboard.wording import plural

__all__ = ["show_estimates", "without_networks"]

# asks for: model, rows, name, folds → how long it takes
Timing = Callable[[Model, EvalSet, str, Folds], Estimate]


def without_networks(
    state: AppState, able: Sequence[Answer[Refit]], key: str
) -> list[Answer[Refit]]:
    """The models to fit; networks only when somebody says for how many epochs."""
    networks = [one for one in able if one.value.kind == "network"]
    if not networks:
        return list(able)
    names = ", ".join(plain(one.entry.name) for one in networks)
    logged = _logged(state, networks)
    proposed = logged.epochs if logged is not None else networks[0].value.epochs or 20
    batch = logged.batch_size if logged is not None and logged.batch_size else 0
    epochs = _choose(state, key, names, networks[0].value, proposed, batch)
    told = f"{proposed} is usual" if logged is None else f"its log has {plural(proposed, 'epoch')}"
    if batch:
        told += f", with batches of {plural(batch, 'row')}"
    if not epochs:
        st.caption(
            f":material/info: {names}: left out, because training a network again takes long. Give "
            f"a number of epochs to have it fitted too; {told}."
        )
    return [one for one in able if one.value.kind != "network" or epochs]


def _logged(state: AppState, networks: Sequence[Answer[Refit]]) -> LoggedTraining | None:
    """How the first of them was trained that has a log."""
    for one in networks:
        run = run_of(state, one.entry)
        if run is not None and (found := logged_training(run)) is not None:
            return found
    return None


def _choose(
    state: AppState, key: str, names: str, refit: Refit, proposed: int, logged_batch: int
) -> int:
    """Controls: how many epochs, how many rows in a batch, when to stop early."""
    now = state.studied
    with st.container(horizontal=True, vertical_alignment="bottom"):
        epochs = st.number_input(
            f"Epochs for {names}",
            0,
            MOST_EPOCHS,
            now.epochs,
            key=f"learn-epochs-{key}",
            help=f"{plain(refit.sentence)} 0 leaves networks out; {proposed} is proposed.",
            width=360,
        )
        batch = stop = 0
        if epochs:
            batch = st.number_input(
                "Rows in a batch",
                0,
                MOST_BATCH,
                now.batch or min(logged_batch, MOST_BATCH),
                key=f"learn-batch-{key}",
                help="Rows that each step of the training looks at; 0 takes 32, as Keras does.",
                width=150,
            )
            stop = st.number_input(
                "Stop early after",
                0,
                MOST_STOP,
                now.stop,
                key=f"learn-stop-{key}",
                help="So many epochs that bring nothing more on a tenth of the training rows, "
                "which is held out for that; the best weights are then taken. 0 never stops early.",
                width=150,
            )
            state.study(batch=int(batch), stop=int(stop))
    state.study(epochs=int(epochs))
    return int(epochs)


def show_estimates(
    state: AppState,
    able: Sequence[Answer[Refit]],
    rows: Ground,
    parameters: tuple[Any, ...],
    timing: Timing,
) -> None:
    """How long networks would take, from two small fits, before anybody starts them all.

    `parameters` : what the time depends on.
    """
    networks = [one.entry for one in able if one.value.kind == "network"]
    answers = fit_again(
        state, "estimate", networks, rows, parameters, "Timing {name}", partial(_timed, timing)
    )
    for one in answers:
        st.caption(f":material/timer: {plain(one.value.sentence)}")


def _timed(
    timing: Timing,
    model: Model,
    evalset: EvalSet,
    name: str,
    folds: Folds,
    store: BlockStore,
    turn: Any,
) -> Iterator[Estimate]:
    del store
    with turn():
        yield timing(model, evalset, name, folds)
