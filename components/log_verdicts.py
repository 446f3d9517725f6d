"""On Home: what is known of how the models learned, in a line that leads to the page on it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from components import cached
from components.markup import plain
from components.state import AppState
from components.telling import heard, heard_of_rows, tell
from dashboard.contracts import Finding, Run
from dashboard.errors import DiagnosticsError

__all__ = ["show_log_verdicts"]


def show_log_verdicts(state: AppState) -> None:
    """What logs say that are quickly read, and what fits, folds and layers have said so far.

    Nothing where no log was uploaded and nothing was asked on that page.
    """
    _show_division(state)
    told = heard(state)
    if not state.histories and not told:
        return
    from components.finding_panels import in_brief
    from components.training_logs import gather_uploads
    from dashboard.diagnostics.verdicts import judge

    try:
        logs = gather_uploads(state)
    except (DiagnosticsError, OSError):
        return  # a file that is gone: the page on learning says so
    if not logs.runs and not told:
        return
    found = cached.computed("log verdicts", (logs.key,), partial(_find, logs.runs))
    said = in_brief(judge([*told, *found]))
    with st.container(horizontal=True, vertical_alignment="center"):
        if said:
            st.markdown(f":material/show_chart: {plain(said)}")
        st.page_link("../pages/learning.py", label="See how they learned")


def _show_division(state: AppState) -> None:
    """A warning where rows have a time that their parts do not follow."""
    evalset = state.evalset
    if evalset is not None and evalset.time is not None and evalset.split is not None:
        from components.refits import labelled_rows
        from dashboard.learning.folding import find_in_split

        try:
            rows = labelled_rows(state)
        except DiagnosticsError:
            return  # the page on learning says so
        tell(state, "split", cached.computed("split", (rows.digest,), partial(find_in_split, rows)))
    for one in heard_of_rows(state):
        st.warning(plain(one.sentence), icon=":material/schedule:")


def _find(runs: tuple[Run, ...]) -> list[Finding]:
    from dashboard.diagnostics.epoch_findings import find_in_epochs
    from dashboard.diagnostics.layer_histograms import compute_layer_curves, find_in_layers
    from dashboard.diagnostics.run_comparison import curves_of_runs, find_behind

    found: list[Finding] = []
    for run in runs:
        found += find_in_epochs(run) if run.metrics else []
        found += find_in_layers(compute_layer_curves(run)) if run.histograms else []
    return [*found, *find_behind(curves_of_runs(runs), found)]
