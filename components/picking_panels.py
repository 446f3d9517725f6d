"""Which row is explained: proposed by what went wrong, by search, at random, or by a click."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from components import cached
from components.choices import PICKS as WAYS
from components.markup import plain
from components.state import AppState, following, widget_value
from components.thresholds import operating_thresholds, tell_thresholds
from dashboard.diagnostics.picking import PICKS, RowPick
from dashboard.errors import NotApplicable
from dashboard.evaluation import Answers
from dashboard.settings import get_settings
from dashboard.wording import number, shorten_all

__all__ = ["choose_in_table", "choose_row"]

_PROPOSED = 20
_FOUND = 200
_SEARCHED = 200_000  # rows that are looked through for a text
_HEIGHT = 248
_COLUMNS = {
    "score": "What these rows are ordered by: the larger, the more so.",
    "why": "What put this row here, in one sentence.",
}


def choose_row(state: AppState, answers: Answers) -> int:
    """The position of the chosen row in the evaluation set; without a choice the first proposed."""
    words = {name: pick.title for name, pick in PICKS.items()} | {"table": "Search"}
    sure = answers.evalset.target.task.is_classification  # numbers have no surest answer
    ways = [one for one in WAYS if sure or one != "confident"]
    now = state.explored.pick if state.explored.pick in ways else ways[0]
    row = st.container(horizontal=True, vertical_alignment="bottom")
    way = row.segmented_control(
        "Rows to look at",
        ways,
        required=True,
        format_func=lambda one: words[one],
        **following(
            "pick",
            now,
            lambda way: state.explore(pick=str(way)),
            default=now,
        ),
        help="  \n".join(
            f"**{PICKS[one].title}**: {PICKS[one].sentence}" for one in ways if one in PICKS
        ),
    )
    frame = _searched(state, row) if way == "table" else _proposed(state, answers, str(way))
    with row:
        chosen = _number(state, answers, frame)
    if frame is not None and len(frame):
        choose_in_table(
            state, frame, f"rows-{way}-{len(frame)}", None if way == "table" else _COLUMNS
        )
    return chosen


def _number(state: AppState, answers: Answers, frame: pd.DataFrame | None) -> int:
    """The row's number, which may be typed; the first of the table where none was chosen."""
    last = answers.evalset.n - 1
    first = int(frame["row"].iloc[0]) if frame is not None and len(frame) else 0
    now = first if state.explored.row is None else min(state.explored.row, last)
    given = st.number_input(
        "Row",
        min_value=0,
        max_value=last,
        **following("row-number", now, lambda row: state.explore(row=int(row)), value=now),
        width=160,
        help=f"Its position among the {last + 1:,} evaluated rows, from 0.",
    )
    return int(given)


def _proposed(state: AppState, answers: Answers, way: str) -> pd.DataFrame | None:
    cuts = operating_thresholds(state, answers)
    models = ((one.name, one.digest(), cuts.get(one.name)) for one in answers.predictions)
    key = (answers.evalset.digest, *models)
    options: dict[str, Any] = {"thresholds": cuts}
    if way == "random":
        options["random_state"] = get_settings().random_state
    compute = partial(PICKS[way].function, answers.predictions, _PROPOSED, **options)
    try:
        found: RowPick = cached.computed(f"pick-{way}", key, compute)
    except NotApplicable as error:
        st.info(plain(error.reason), icon=":material/info:")
        return None
    shown = len(found.rows)
    st.caption(
        f"{plain(PICKS[way].sentence)} {shown:,} of {found.n_found:,} such rows, of "
        f"{found.n:,} looked at. Choose one in the table. {tell_thresholds(state, answers, cuts)}"
    )
    frame = found.frame()
    short = shorten_all(list(found.answers), 20)
    frame = frame.rename(columns=dict(zip(found.answers, short, strict=True)))
    if frame["score"].isna().all():
        return frame.drop(columns=["score", "why"])
    return frame.assign(score=[number(one) for one in frame["score"]])


def _searched(state: AppState, place: Any) -> pd.DataFrame | None:
    """Rows in whose cells a text stands; without a text the first rows."""
    text = place.text_input(
        "Text in any column",
        placeholder="Berlin, 2024-03, A-1183 …",
        **following(
            "row-search",
            state.explored.sought,
            lambda text: state.explore(sought=text),
            value=state.explored.sought,
        ),
    )
    frame = state.need_evalset().frame
    part = frame.iloc[:_SEARCHED]
    at = np.flatnonzero(_matches(part, str(text).strip())) if text else np.arange(len(part))
    over = f"of the first {_SEARCHED:,} rows" if len(frame) > _SEARCHED else f"of {len(frame):,}"
    st.caption(f"{min(len(at), _FOUND):,} of {len(at):,} rows found are listed, {over}.")
    found = part.iloc[at[:_FOUND]].reset_index(drop=True)
    if found.shape[1]:
        found = pd.concat([_as_days(found.iloc[:, k]) for k in range(found.shape[1])], axis=1)
    found.insert(0, "row", at[:_FOUND], allow_duplicates=True)
    return found


def _as_days(column: pd.Series) -> pd.Series:
    """Dates without a time of day as such: `2022-01-03`, not `2022-01-03 00:00:00`."""
    if column.dtype.kind != "M" or not (column.dropna().dt.normalize() == column.dropna()).all():
        return column
    days: pd.Series[Any] = column.dt.strftime("%Y-%m-%d")
    return days


def _matches(frame: pd.DataFrame, text: str) -> Any:
    hit = np.zeros(len(frame), dtype=bool)
    for place in range(frame.shape[1]):
        cells = frame.iloc[:, place].astype(str)
        hit |= cells.str.contains(text, case=False, regex=False).to_numpy(dtype=bool)
    return hit


def choose_in_table(
    state: AppState, frame: pd.DataFrame, key: str, told: Mapping[str, str] | None = None
) -> None:
    """The table; a selected line is the row that is explained. `told`: column → its help."""

    def choose() -> None:
        event: Any = widget_value(key)
        lines = event["selection"]["rows"] if event else []
        if lines:
            state.explore(row=int(frame["row"].iloc[lines[0]]))

    st.dataframe(
        frame,
        key=key,
        hide_index=True,
        column_config={
            name: st.column_config.Column(help=text) for name, text in (told or {}).items()
        },
        height=min(_HEIGHT, 36 * (len(frame) + 1) + 2),
        on_select=choose,
        selection_mode="single-row",
    )
