"""Inside networks: logged histograms over the steps, and the layers of loaded networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from components import cached
from components.asking import Answer, Asked, Request, ask
from components.finding_panels import show_findings
from components.markup import plain
from components.panels import guard, show_figure, show_table, theme
from components.refits import labelled_rows
from components.state import AppState, ModelEntry, following
from components.training_logs import Logs
from dashboard.contracts import Finding, Model, NetworkSummary
from dashboard.data import EvalSet
from dashboard.diagnostics.layer_histograms import (
    LayerCurve,
    compute_layer_curves,
    find_in_layers,
)
from dashboard.diagnostics.network_findings import find_in_network
from dashboard.errors import NotApplicable
from dashboard.figures import plot_layer_heatmap, plot_layer_norms, plot_layers, plot_ridges
from dashboard.learning.networks import network_summary
from dashboard.learning.rows import count_training_rows
from dashboard.wording import threshold

__all__ = ["layer_findings", "show_inside"]

_KINDS = {
    "weight": "Weights",
    "bias": "Biases",
    "gradient": "Gradients",
    "activation": "Activations",
    "": "Others",
}


def _curves(logs: Logs, left: Sequence[str]) -> list[LayerCurve]:
    runs = [one for one in logs.shown(left) if one.histograms]

    def compute() -> list[LayerCurve]:
        return [curve for run in runs for curve in compute_layer_curves(run)]

    names = tuple(one.name for one in runs)
    return cached.computed("layer curves", (logs.key, names), compute)


def layer_findings(logs: Logs, left: Sequence[str]) -> list[Finding]:
    """What the logged histograms say."""
    curves = _curves(logs, left)
    key = (logs.key, tuple(left))
    return cached.computed("layer findings", key, partial(find_in_layers, curves))


def show_inside(state: AppState, logs: Logs, left: Sequence[str]) -> None:
    """All of the second tab."""
    curves = _curves(logs, left)
    networks = [one for one in state.shown if _is_network(one)]
    if not curves and not networks:
        st.info(
            "There is no network to look into. Show a Keras model, or drop TensorBoard event files "
            "with histograms on Home (keras.callbacks.TensorBoard with histogram_freq=1).",
            icon=":material/hub:",
        )
        st.page_link("../pages/home.py", label="Add one on Home", icon=":material/upload:")
        return
    if curves:
        with guard("The histograms"):
            _show_histograms(state, curves)
    for answer in _ask(state, networks):
        with guard(f"The layers of {answer.entry.name}"):
            _show_network(state, answer)


def _is_network(entry: ModelEntry) -> bool:
    name = entry.file.casefold()
    kind = "" if entry.info is None else entry.info.kind
    return entry.table is None and (name.endswith((".keras", ".h5", ".hdf5")) or " network" in kind)


def _show_histograms(state: AppState, curves: Sequence[LayerCurve]) -> None:
    kinds = list(dict.fromkeys(one.kind for one in curves))
    start = state.studied.kind if state.studied.kind in kinds else kinds[0]
    left, right = st.columns(2)
    with left:
        kind = st.segmented_control(
            "Of each layer",
            kinds,
            required=True,
            format_func=lambda one: _KINDS.get(one, one),
            **following(
                "learn-kind", start, lambda one: state.study(kind=str(one or start)), default=start
            ),
        )
    shown = [one for one in curves if one.kind == (kind if kind is not None else start)]
    names = [f"{one.run}: {one.layer}" for one in shown]
    wanted = state.studied.layer if state.studied.layer in names else names[0]
    with right:
        layer = st.selectbox(
            "Layer",
            names,
            **following(
                "learn-layer",
                wanted,
                lambda one: state.study(layer=str(one)),
                index=names.index(wanted),
            ),
        )
    chosen = shown[names.index(str(layer))]
    figures = [plot_ridges(chosen, theme=theme()), plot_layer_heatmap(chosen, theme=theme())]
    for place, figure, key in zip(st.columns(2), figures, ("ridges", "density"), strict=True):
        with place:
            show_figure(figure, key=f"{key}-{kind}", tables={str(layer): chosen})
    figure = plot_layer_norms(shown, theme=theme())
    show_figure(figure, key=f"norms-{kind}", tables=dict(zip(names, shown, strict=True)))
    show_findings(find_in_layers(curves), key="layers")


def _ask(state: AppState, entries: Sequence[ModelEntry]) -> list[Answer[NetworkSummary]]:
    requests: list[Request[NetworkSummary]] = [
        Request(entry, "layers", (), f"Looking into {entry.name}", partial(_look, entry.name))
        for entry in entries
    ]
    return ask(state, requests)


def _look(
    name: str, model: Callable[[], Model], evalset: EvalSet, asked: Asked[NetworkSummary]
) -> None:
    opened = asked.opened(model)
    with asked.turn(0, 0):
        asked.post(network_summary(opened, evalset, name))


def _show_network(state: AppState, answer: Answer[NetworkSummary]) -> None:
    summary, name = answer.value, answer.entry.name
    st.subheader(f"Layers of {plain(name)}", anchor=False)
    trained = [one.replace("_", " ") for one in summary.losses if one]
    said = [f"{summary.n_trainable:,} trained parameters"]
    if trained:
        said.append(f"trained with {', '.join(trained)}")
    if summary.optimizer:
        rate = "" if summary.rate is None else f", learning rate {threshold(summary.rate)}"
        said.append(f"by {summary.optimizer}{rate}")
    st.caption(f"{', '.join(said)}. Measured on {summary.n_rows:,} of {summary.n_given:,} rows.")
    try:
        figure = plot_layers(summary, theme=theme())
        show_figure(figure, key=f"layers-{answer.entry.key}", tables={name: summary})
    except NotApplicable as error:
        st.caption(plain(error.reason))
    rows = labelled_rows(state)
    found = find_in_network(summary, rows.target.task, count_training_rows(rows))
    show_findings(found, key=f"net-{answer.entry.key}")
    with st.expander("Every layer", icon=":material/table:"):
        show_table(summary.frame(), key=f"every-layer-{answer.entry.key}", name=f"layers {name}")
    for note in summary.notes:
        st.caption(f":material/info: {plain(note)}")
