"""The page on learning: its answer, and its tabs, of which only the open one works."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from components.asking import show_held
from components.attribution_panels import show_sentence
from components.epoch_panels import epoch_findings, left_out, show_epochs
from components.finding_panels import show_verdict
from components.fold_panels import show_folds
from components.network_panels import layer_findings, show_inside
from components.panels import guard, needs
from components.parameter_panels import show_parameters
from components.size_panels import choose_continuing, show_size_tables, show_sizes
from components.state import AppState
from components.steady_tabs import steady_tabs
from components.studies import TITLES
from components.telling import heard
from components.training_logs import Logs
from dashboard.diagnostics.verdicts import judge

__all__ = ["show_answer", "show_tabs"]

_SENTENCES = {
    "epochs": "How the loss and the metrics went while each run was trained.",
    "inside": "Weights, gradients and activations layer by layer.",
    "sizes": "What more rows would bring: each model fitted again on growing parts of the data.",
    "parameters": "What another setting would bring, and what searches have tried.",
    "folds": "How much the score depends on which rows were held out.",
}


def show_answer(state: AppState, logs: Logs, place: Any) -> None:
    """The worst that the logs say, above everything."""
    left = left_out(state)
    findings = [
        *heard(state),
        *epoch_findings(logs, left, state.studied.patience),
        *layer_findings(logs, left),
    ]
    if findings:
        show_verdict(judge(findings) or findings, place)
    elif state.evalset is not None or logs.runs:
        show_sentence(_without_findings(state), place)


def _without_findings(state: AppState) -> str:
    if _has_models(state):
        return (
            "No log says how these models learned. By training size shows what more rows "
            "would bring, and by parameter what another setting would."
        )
    return (
        "Answers alone do not tell how a model learned. Add the model itself or the log of its "
        "training on Home."
    )


def _has_models(state: AppState) -> bool:
    return any(one.table is None for one in state.shown)


def _first(state: AppState, logs: Logs) -> str:
    """The tab that is open as long as nobody has chosen one."""
    return "epochs" if logs.runs or state.evalset is None else "sizes"


def show_tabs(state: AppState, logs: Logs, place: Any) -> None:
    """Only the open tab is computed; the one with something to show is open at first.

    `place` : of the answer, which fits, folds and layers change once they are complete.
    """
    first = _first(state, logs)
    start = TITLES.get(state.studied.tab, TITLES[first])
    tabs = steady_tabs(list(TITLES.values()), start, "learning")
    for tab, name in zip(tabs, TITLES, strict=True):
        if tab.open:
            state.study(tab=name if name != first else "")
            with tab, guard(TITLES[name]):
                st.caption(_SENTENCES[name])
                before = heard(state)
                _SHOW[name](state, logs)
                if heard(state) != before:
                    show_answer(state, logs, place)
    show_held()


def _on_data(show: Callable[[AppState], Any]) -> Callable[[AppState, Logs], Any]:
    def run(state: AppState, logs: Logs) -> Any:
        del logs
        needs(state)
        if _has_models(state):
            return show(state)
        st.info(
            "Only models can be fitted again, and what is shown are files of predictions. Open a "
            "model file on Home: of scikit-learn, XGBoost, LightGBM, CatBoost or Keras.",
            icon=":material/model_training:",
        )
        st.page_link("../pages/home.py", label="Add a model on Home", icon=":material/upload:")
        return None

    return run


def _show_sizes(state: AppState, logs: Logs) -> Any:
    choose_continuing(state)
    show_size_tables(state)
    return _on_data(show_sizes)(state, logs)


_SHOW: dict[str, Callable[[AppState, Logs], Any]] = {
    "epochs": show_epochs,
    "inside": lambda state, logs: show_inside(state, logs, left_out(state)),
    "sizes": _show_sizes,
    "parameters": lambda state, logs: show_parameters(state),
    "folds": _on_data(show_folds),
}
