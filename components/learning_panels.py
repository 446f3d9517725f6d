"""The page on learning: its answer, and its tabs, of which only the open one works."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from components.asking import show_held
from components.epoch_panels import epoch_findings, left_out, show_epochs
from components.finding_panels import show_verdict
from components.fold_panels import show_folds
from components.network_panels import layer_findings, show_inside
from components.panels import guard, needs
from components.parameter_panels import show_parameters
from components.size_panels import show_sizes
from components.state import AppState
from components.steady_tabs import steady_tabs
from components.training_logs import Logs

__all__ = ["show_answer", "show_tabs"]

_SENTENCES = {
    "epochs": "How the loss and the metrics went while each run was trained.",
    "inside": "Weights, gradients and activations layer by layer.",
    "sizes": "What more rows would bring: each model fitted again on growing parts of the data.",
    "parameters": "What another setting would bring, and what searches have tried.",
    "folds": "How much the score depends on which rows were held out.",
}
_TITLES = {
    "epochs": "By epoch",
    "inside": "Inside the network",
    "sizes": "By training size",
    "parameters": "By parameter",
    "folds": "Across folds",
}


def show_answer(state: AppState, logs: Logs, place: Any) -> None:
    """The worst that the logs say, above everything."""
    left = left_out(state)
    show_verdict([*epoch_findings(logs, left), *layer_findings(logs, left)], place)


def show_tabs(state: AppState, logs: Logs) -> None:
    """Only the open tab is computed; the one with something to show is open at first."""
    first = "epochs" if logs.runs or state.evalset is None else "sizes"
    start = _TITLES.get(state.studied.tab, _TITLES[first])
    tabs = steady_tabs(list(_TITLES.values()), start, "learning")
    for tab, name in zip(tabs, _TITLES, strict=True):
        if tab.open:
            state.study(tab=name if name != first else "")
            with tab, guard(_TITLES[name]):
                st.caption(_SENTENCES[name])
                _SHOW[name](state, logs)
    show_held()


def _on_data(show: Callable[[AppState], Any]) -> Callable[[AppState, Logs], None]:
    def run(state: AppState, logs: Logs) -> None:
        del logs
        needs(state)
        show(state)

    return run


_SHOW: dict[str, Callable[[AppState, Logs], None]] = {
    "epochs": show_epochs,
    "inside": lambda state, logs: show_inside(state, logs, left_out(state)),
    "sizes": _on_data(show_sizes),
    "parameters": _on_data(show_parameters),
    "folds": _on_data(show_folds),
}
