"""Some rows against all others: those that are answered wrongly, or that share a value."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from components import cached, progress
from components.attribution_panels import in_fours, pick
from components.markup import plain
from components.panels import show_figure
from components.scene import Scene
from components.state import AppState, following
from components.thresholds import operating_thresholds, tell_thresholds
from dashboard.diagnostics.cohorts import Cohort, compute_cohorts
from dashboard.diagnostics.picking import wrong_rows
from dashboard.errors import NotApplicable
from dashboard.figures import plot_cohorts
from dashboard.wording import number, shorten

__all__ = ["show_cohorts"]

_ERRORS = ""  # in place of a column: how the rows are answered
_MOST_GROUPS = 50
_FEW_VALUES = 8


def show_cohorts(state: AppState, found: Scene) -> None:
    """Mean contributions of the chosen rows beside those of the rest, for every model."""
    cohort = _choose_cohort(state, found)
    if cohort is None:
        return
    compute = partial(compute_cohorts, found.attributions, cohort, found.output)
    for start, part in in_fours(found.computed("cohorts", compute, cohort.name)):
        figure = plot_cohorts(part, found.styles, theme=found.theme)
        show_figure(
            figure,
            key=f"cohorts-{start}",
            tables={one.model: one for one in part},
            on_pick=partial(pick, state),
        )
    st.caption("Click a mark to see above what its feature does.")


def _choose_cohort(state: AppState, found: Scene) -> Cohort | None:
    """Rows that are answered wrongly, or share a value or a quarter of the values of a column."""
    frame = state.need_evalset().frame
    columns = [_ERRORS, *(str(name) for name in frame.columns)]
    start = state.explored.cohort if state.explored.cohort in columns else _ERRORS
    left, right = st.columns(2)
    column = left.selectbox(
        "Rows by",
        columns,
        format_func=lambda name: shorten(name, 60) if name else "Whether the answer is right",
        **following(
            "cohort",
            start,
            lambda one: state.explore(cohort=str(one), group=""),
            index=columns.index(start),
        ),
    )
    rows = np.unique(np.concatenate([one.rows for one in found.attributions]))
    if column == _ERRORS:
        groups = _wrong(state, rows)
    else:
        groups = _groups(frame.iloc[rows, columns.index(column) - 1])
    if not groups:
        known = plain(column) if column else "None of the explained rows is answered wrongly"
        st.caption(f"{known} has no values in the explained rows." if column else f"{known}.")
        return None
    chosen = _choose_group(state, str(column), groups, right)
    name = f"{column}: {chosen}" if column else chosen
    return Cohort(name, frozenset(int(one) for one in rows[groups[chosen]]))


def _choose_group(state: AppState, column: str, groups: Mapping[str, Any], place: Any) -> str:
    names = list(groups)
    group = state.explored.group if state.explored.group in names else names[0]
    chosen = str(
        place.selectbox(
            "Those that are" if column else "Which rows",
            names,
            format_func=lambda one: (
                f"{shorten(one[:1].upper() + one[1:], 50)} ({int(groups[one].sum()):,} explained)"
            ),
            **following(
                "cohort-group",
                group,
                lambda one: state.explore(cohort=column, group=str(one)),
                index=names.index(group),
            ),
            help="They are set against all other explained rows.",
        )
    )
    return chosen


def _wrong(state: AppState, rows: Any) -> dict[str, Any]:
    """Which of the explained rows are answered wrongly, by each model and by all."""
    answers = progress.answered(state)
    try:
        cuts = operating_thresholds(state, answers)
        models = ((one.name, one.digest(), cuts.get(one.name)) for one in answers.predictions)
        compute = partial(wrong_rows, answers.predictions, thresholds=cuts)
        found = cached.computed("wrong rows", (answers.evalset.digest, *models), compute)
    except NotApplicable as error:
        st.info(plain(error.reason), icon=":material/info:")
        return {}
    if cuts:
        st.caption(tell_thresholds(state, answers, cuts))
    inside = {name: np.isin(rows, wrong) for name, wrong in found.items()}
    return {name: mask for name, mask in inside.items() if mask.any()}


def _groups(cells: pd.Series[Any]) -> dict[str, Any]:
    """Name → which rows: quarters of numbers and dates with many values, else the values."""
    dates = pd.api.types.is_datetime64_any_dtype(cells)
    if (dates or pd.api.types.is_numeric_dtype(cells)) and cells.nunique() > _FEW_VALUES:
        found = _quarters(cells, dates)
    else:
        texts = cells.astype(str).to_numpy()
        common = pd.Series(texts[cells.notna().to_numpy()]).value_counts().index[:_MOST_GROUPS]
        found = {str(one): texts == one for one in common}
    missing = cells.isna().to_numpy()
    return {**found, "missing": missing} if missing.any() else found


def _quarters(cells: pd.Series[Any], dates: bool) -> dict[str, Any]:
    if dates:
        naive = cells.dt.tz_convert("UTC").dt.tz_localize(None) if cells.dt.tz else cells
        moments = naive.to_numpy("datetime64[s]")
        values = np.where(np.isnat(moments), np.nan, moments.astype(np.int64).astype(float))
    else:
        values = cells.to_numpy(dtype=float, na_value=np.nan)
    text = _day if dates else number
    edges = np.unique(np.nanquantile(values, [0, 0.25, 0.5, 0.75, 1]))
    found = {}
    for at, (low, high) in enumerate(itertools.pairwise(edges)):
        last = at == len(edges) - 2
        inside = (values >= low) & ((values <= high) if last else (values < high))
        found[f"{text(low)} to {'' if last else 'below '}{text(high)}"] = inside
    return found


def _day(seconds: float) -> str:
    return str(np.datetime64(int(seconds), "s").astype("datetime64[m]")).replace("T", " ")
