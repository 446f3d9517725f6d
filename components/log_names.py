"""What the names in training logs mean, corrected in place where they do not say it themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from components.state import AppState

if TYPE_CHECKING:
    from components.training_logs import Logs

__all__ = ["mapping_of", "show_names"]

Named = tuple[str, str]

_STEPS, _OUT = "counts the steps", "left out"
_ROWS = {
    "training": "train",
    "validation": "validation",
    "test": "test",
    "none: a rate, a time": "",
}
_HELP = (
    "A metric has one name on all rows: the name val_acc stands for the metric accuracy on the "
    "rows for validation. Change what was understood wrongly."
)


def mapping_of(state: AppState) -> dict[str, Named]:
    """Name in a log → (metric, part), as a person has said; what is not sound is passed over."""
    try:
        given = json.loads(state.studied.names) if state.studied.names else {}
    except ValueError:
        return {}
    if not isinstance(given, dict):
        return {}
    return {
        name: (one[0], one[1])
        for name, one in given.items()
        if isinstance(one, list)
        and len(one) == 2
        and all(isinstance(word, str) for word in one)
        and one[1] in _ROWS.values()
    }


def show_names(state: AppState, logs: Logs) -> None:
    """A table of the names in the logs, each with the metric and the rows that it stands for."""
    mapping = mapping_of(state)
    known = _understood(logs, mapping)
    if not known:
        return
    with st.expander("What the names in the logs mean", icon=":material/label:"):
        table = pd.DataFrame(
            [(name, metric, _said(metric, part)) for name, (metric, part) in known.items()],
            columns=["Name in the log", "Metric", "Measured on"],
        )
        edited = st.data_editor(
            table,
            hide_index=True,
            disabled=["Name in the log"],
            column_config={
                "Metric": st.column_config.TextColumn(help=_HELP, required=True, max_chars=80),
                "Measured on": st.column_config.SelectboxColumn(
                    options=[*_ROWS, _STEPS, _OUT], required=True
                ),
            },
            key=f"learn-names-{logs.key[:12]}-{state.studied.names}",
        )
        clear = st.button(
            "Read the names as they are",
            disabled=not mapping,
            key="learn-names-clear",
            type="tertiary",
        )
    changed = {} if clear else _changed(mapping, table, edited)
    if changed != mapping:
        text = json.dumps({name: list(one) for name, one in changed.items()}, ensure_ascii=False)
        state.study(names=text if changed else "")
        st.rerun()


def _understood(logs: Logs, mapping: Mapping[str, Named]) -> dict[str, Named]:
    """What each name stands for now; one that stands for several is said by its folders."""
    found: dict[str, set[Named]] = {}
    for run in logs.runs:
        for one in run.series if run.name in logs.from_files else ():
            if one.logged_as:
                found.setdefault(one.logged_as, set()).add((one.metric, one.part))
    single = {name: next(iter(many)) for name, many in found.items() if len(many) == 1}
    return single | dict(mapping)


def _said(metric: str, part: str) -> str:
    if not part and metric in ("", "epoch"):
        return _STEPS if metric else _OUT
    return next(words for words, one in _ROWS.items() if one == part)


def _changed(
    mapping: Mapping[str, Named], table: pd.DataFrame, edited: pd.DataFrame
) -> dict[str, Named]:
    """What was said before, and what is said now in the rows that differ."""
    found = dict(mapping)
    rows = zip(
        table.itertuples(index=False, name=None),
        edited.itertuples(index=False, name=None),
        strict=True,
    )
    for before, now in rows:
        if before != now:
            name, metric, rows_of = (str(cell or "").strip() for cell in now)
            found[name] = {_STEPS: ("epoch", ""), _OUT: ("", "")}.get(
                rows_of, (metric or name, _ROWS.get(rows_of, "train"))
            )
    return found
