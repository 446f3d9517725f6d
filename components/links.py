"""The address bar mirrors the state, so that a link reproduces the view.

Models are named by their files, which renaming does not change. The page is in the path. Data and
models that a person uploaded are in the workspace that the link names; a sample is named itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

import streamlit as st

from components import workspaces
from components.state import AppState, Problem, forget_widgets
from dashboard.contracts import Model
from dashboard.data import Table
from dashboard.diagnostics.operating import RULES
from dashboard.errors import DiagnosticsError
from dashboard.gallery import EXHIBITS, Cells
from dashboard.samples import Sample, list_samples, read_sample

__all__ = ["start", "write_link"]

_DEFAULT_SAMPLE = "loans"


def start(
    state: AppState, load: Callable[[Sample, str], Model], read: Callable[[Sample, str], Table]
) -> None:
    """On a session's first run open what the link names, else the default sample.

    Only once all is there is the session started: a run that is interrupted begins again.
    """
    if state.started:
        return
    if not _open_workspace(state):
        _open_sample(state, load, read)
        _read_models(state)
    _read_view(state)
    state.started = True


def _open_workspace(state: AppState) -> bool:
    """Open the workspace that the link names; whether there is one."""
    id = st.query_params.get("w")
    if id is None:
        return False
    try:
        with st.spinner("Opening the workspace …"):
            workspaces.open_workspace(state, id)
    except DiagnosticsError as error:
        state.problems.append(Problem("The link", str(error), in_link=True))
        return False
    return True


def _open_sample(
    state: AppState, load: Callable[[Sample, str], Model], read: Callable[[Sample, str], Table]
) -> None:
    known = [sample.key for sample in list_samples()]
    wanted = st.query_params.get("sample", _DEFAULT_SAMPLE)
    if wanted not in known:
        there = f"which does not exist. There are: {', '.join(known)}."
        state.problems.append(
            Problem(
                f"sample {wanted}", f"The link names the sample {wanted!r}, {there}", in_link=True
            )
        )
        wanted = _DEFAULT_SAMPLE
    try:
        state.open_sample(wanted, load, read)
    except DiagnosticsError as error:
        state.report(wanted, error)


def _number(state: AppState, name: str, now: float, high: float) -> float:
    given = st.query_params.get(name)
    if given is None:
        return now
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        said = f"Its {name} {given!r} is no number: left out."
        state.problems.append(Problem("link", said, in_link=True))
        return now
    return min(max(value, 0.0), high)


def _read_view(state: AppState) -> None:
    """Threshold, focus, cells, costs, tabs and what is explained; unknown words are left out.

    What the link does not say stays as the sample or the workspace has it.
    """
    link = st.query_params
    state.threshold = _number(state, "threshold", state.threshold, 1.0)
    state.cost_fp = _number(state, "cost_fp", state.cost_fp, 1e9)
    state.cost_fn = _number(state, "cost_fn", state.cost_fn, 1e9)
    state.rule = link["rule"] if link.get("rule") in RULES else state.rule
    state.tab = link["tab"] if link.get("tab") in EXHIBITS else state.tab
    state.against_rest = state.against_rest or link.get("rest") == "1"
    cells = link.get("cells")
    state.normalise = next((one for one in get_args(Cells) if one == cells), state.normalise)
    state.label = link.get("class", state.label)
    state.explored = state.explored.with_link(link.to_dict())
    state.studied = state.studied.with_link(link.to_dict())


def _read_models(state: AppState) -> None:
    """Which models are shown in which order, their new names, and the reference."""
    link = st.query_params
    for given in link.get_all("name"):
        file, _, name = given.partition("=")
        for entry in state.entries:
            if entry.file == file and name:
                state.rename(entry.key, name)
    if "models" in link:
        state.arrange(link.get_all("models"))
    reference = link.get("reference")
    state.reference = next((one.key for one in state.entries if one.file == reference), None)


def _view(state: AppState) -> dict[str, str | list[str]]:
    """The present view as parameters; what equals its default is left out."""
    start = 0.5 if state.sample is None else read_sample(state.sample).threshold
    fresh = AppState()
    candidates: dict[str, tuple[str, bool]] = {
        "w": (state.workspace.id if state.workspace else "", state.workspace is not None),
        "sample": (state.sample or "", state.sample is not None and state.workspace is None),
        "threshold": (f"{state.threshold:g}", state.threshold != start),
        "rule": (state.rule, state.rule != fresh.rule),
        "cells": (state.normalise, state.normalise != fresh.normalise),
        "rest": ("1", state.against_rest),
        "cost_fp": (f"{state.cost_fp:g}", state.cost_fp != fresh.cost_fp),
        "cost_fn": (f"{state.cost_fn:g}", state.cost_fn != fresh.cost_fn),
        "tab": (state.tab, bool(state.tab)),
    }
    wanted: dict[str, str | list[str]] = {
        name: value for name, (value, differs) in candidates.items() if differs
    }
    if state.label is not None:
        wanted["class"] = state.label
    return wanted | state.explored.link() | state.studied.link()


def _models(state: AppState) -> dict[str, str | list[str]]:
    if state.sample is None or state.workspace is not None:
        return {}
    recorded = {item.file: item.name for item in read_sample(state.sample).models}
    wanted: dict[str, str | list[str]] = {}
    shown = [entry.file for entry in state.shown]
    if shown != list(recorded):
        wanted["models"] = shown
    names = [
        f"{entry.file}={entry.name}"
        for entry in state.entries
        if recorded.get(entry.file, entry.name) != entry.name
    ]
    if names:
        wanted["name"] = names
    reference = next((one for one in state.entries if one.key == state.reference), None)
    if reference is not None:
        wanted["reference"] = reference.file
    return wanted


def write_link(state: AppState) -> None:
    """Keep what has changed, and mirror the state in the address bar."""
    replaced = workspaces.keep(state)
    wanted = {**_view(state), **_models(state)}
    present = {name: st.query_params.get_all(name) for name in st.query_params}
    if present != {k: v if isinstance(v, list) else [v] for k, v in wanted.items()}:
        st.query_params.from_dict(wanted)
    if replaced:
        forget_widgets("focus", "threshold", "rule")
        st.rerun()
