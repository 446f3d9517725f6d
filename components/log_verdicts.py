"""On Home: what uploaded training logs say, in a line that leads to the page on learning."""

from __future__ import annotations

from functools import partial

import streamlit as st

from components import cached
from components.markup import plain
from components.state import AppState
from dashboard.contracts import Finding, Run
from dashboard.errors import DiagnosticsError

__all__ = ["show_log_verdicts"]


def show_log_verdicts(state: AppState) -> None:
    """Nothing where no log was uploaded, or only such that take long to read."""
    if not state.histories:
        return
    from components.finding_panels import in_brief
    from components.training_logs import gather_uploads

    try:
        logs = gather_uploads(state)
    except (DiagnosticsError, OSError):
        return  # a file that is gone: the page on learning says so
    if not logs.runs:
        return
    said = in_brief(cached.computed("log verdicts", (logs.key,), partial(_judge, logs.runs)))
    with st.container(horizontal=True, vertical_alignment="center"):
        if said:
            st.markdown(f":material/show_chart: {plain(said)}")
        st.page_link("../pages/learning.py", label="See how they learned")


def _judge(runs: tuple[Run, ...]) -> list[Finding]:
    from dashboard.diagnostics.epoch_findings import find_in_epochs
    from dashboard.diagnostics.layer_histograms import compute_layer_curves, find_in_layers
    from dashboard.diagnostics.verdicts import judge

    found: list[Finding] = []
    for run in runs:
        found += find_in_epochs(run) if run.metrics else []
        found += find_in_layers(compute_layer_curves(run)) if run.histograms else []
    return judge(found)
