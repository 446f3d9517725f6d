"""Home: what was understood of the data and the models, corrected in place, with undo."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from components import cached
from components.column_editors import edit_columns
from components.kind_panels import show_data_doubt, show_data_kind, show_kind
from components.markup import plain
from components.panels import show_table
from components.state import AppState, ModelEntry, forget_widgets
from dashboard.contracts import Label, Task
from dashboard.data import ALL_ROWS, EvalSet, PredictionColumns, Table
from dashboard.data.roles import ROLES
from dashboard.errors import DiagnosticsError
from dashboard.wording import shorten

__all__ = ["show_columns", "show_ledger", "show_models", "show_understood"]


def _apply(state: AppState) -> None:
    """Rebuild after a correction; where that fails, say so and go back."""
    state.version += 1  # controls start anew, or a refused choice would be sent again
    try:
        state.rebuild()
    except DiagnosticsError as error:
        state.report("What was understood", error)
        state.step_back()
        try:
            state.rebuild()
        except DiagnosticsError as again:
            state.report("What was understood", again)
    forget_widgets("focus", "threshold")
    st.rerun()


def _choose_target(state: AppState, columns: list[str]) -> None:
    roles = state.roles
    if roles is None or not columns:
        return
    given = st.multiselect(
        "Target",
        columns,
        default=list(roles.target),
        key=f"correct-target-{state.version}",
        help="The column that the models predict. Several columns: one per output or label.",
    )
    if given and tuple(given) != roles.target:
        state.remember()
        state.roles, state.task, state.pos_label = roles.with_targets(given), None, None
        _apply(state)


def _choose_task(state: AppState, evalset: EvalSet | None) -> None:
    known = evalset.target.task if evalset else state.task
    options = list(Task)
    chosen = st.selectbox(
        "Task",
        options,
        index=options.index(known) if known else None,
        format_func=lambda task: str(task.value).capitalize(),
        key=f"correct-task-{state.version}",
        help="Binary: two classes. Multiclass: one of several. Multilabel: any number of labels. "
        "Regression: a number.",
    )
    if chosen is not None and chosen != known:
        state.remember()
        state.task = chosen
        _apply(state)


def _choose_positive(state: AppState, evalset: EvalSet | None) -> None:
    if evalset is None or evalset.target.task is not Task.BINARY:
        return
    labels: list[Label] = list(evalset.target.labels)
    now = evalset.target.pos_label or 0
    chosen = st.selectbox(
        "Positive class",
        range(len(labels)),
        index=now,
        format_func=lambda index: str(labels[index]),
        key=f"correct-positive-{state.version}",
        help="The class that a model should find. Example: “yes” in “did not pay back”.",
    )
    if chosen is not None and chosen != now:
        state.remember()
        state.pos_label = labels[chosen]
        _apply(state)


def _choose_split(state: AppState, evalset: EvalSet | None) -> None:
    roles, table = state.roles, state.table
    if roles is None or table is None or roles.split is None:
        return
    values = sorted(str(one) for one in table.frame[roles.split].dropna().unique())[:1_000]
    options: list[str | None] = [None, *values, ALL_ROWS]
    now = state.split_value if state.split_value in options else None
    chosen = st.selectbox(
        "Rows evaluated",
        range(len(options)),
        index=options.index(now),
        format_func=lambda index: "chosen for you" if options[index] is None else options[index],
        key=f"correct-split-{state.version}",
        help=f"Rows whose column {plain(roles.split)} has this value. "
        "Judge a model on rows that it has not seen in training.",
    )
    if chosen is not None and options[chosen] != now:
        state.remember()
        state.split_value = options[chosen]
        _apply(state)


def show_understood(state: AppState) -> None:
    """Rows, columns, target, task, classes, positive class: read off, and editable in place."""
    if state.table is None:
        st.info(
            "Nothing is loaded. Choose a sample above, or upload a data file: a table with one row "
            "per case and one column that holds the truth.",
            icon=":material/upload_file:",
        )
        return
    evalset = state.evalset
    if evalset is None and state.before is not None:
        st.button(
            f"Back to {plain(state.before['table'].name)}",
            key="go-back",
            icon=":material/undo:",
            help="This file has nothing to evaluate as it is understood now. Correct it below, "
            "or go back to the data that was loaded before.",
            on_click=state.go_back,
        )
    show_data_doubt(state)
    facts = st.columns(4)
    facts[0].metric("Rows read", f"{state.table.n_read:,}")
    facts[1].metric("Rows evaluated", f"{evalset.ledger.n_evaluated:,}" if evalset else "–")
    facts[2].metric("Features", f"{_n_features(evalset):,}" if evalset else "–")
    facts[3].metric("Columns", f"{len(state.table.columns):,}")
    columns = list(state.table.columns)
    fields = st.columns(4)
    with fields[0]:
        _choose_target(state, columns)
    with fields[1]:
        _choose_task(state, evalset)
    with fields[2]:
        _choose_positive(state, evalset)
    with fields[3]:
        _choose_split(state, evalset)
    if evalset is not None:
        labels = [shorten(str(label), 30) for label in evalset.target.labels]
        if labels:
            more = f" and {len(labels) - 12} more" if len(labels) > 12 else ""
            word = "Labels" if evalset.target.task is Task.MULTILABEL else "Classes"
            if evalset.target.task is Task.MULTIOUTPUT_REGRESSION:
                word = "Outputs"
            st.markdown(plain(f"{word} ({len(labels)}): {', '.join(labels[:12])}{more}."))
        notes = [*state.table.source, *evalset.target.notes, *evalset.notes]
        st.caption(plain(" ".join(dict.fromkeys(notes))))


def _n_features(evalset: EvalSet | None) -> int:
    if evalset is None:
        return 0
    shape = evalset.X.shape
    size = 1
    for length in shape[1:]:
        size *= int(length)
    return size


def show_ledger(state: AppState) -> None:
    """Rows read, excluded and why, evaluated: always visible."""
    if state.evalset is not None:
        st.markdown(f":material/receipt_long: {plain(state.evalset.ledger.sentence())}")


def show_columns(state: AppState) -> None:
    """Every column with its role and the reason; roles are edited in the table, with undo."""
    roles, table = state.roles, state.table
    if roles is None or table is None:
        return
    frame = table.frame
    before = {str(column): roles.role_of(str(column)) for column in frame.columns}
    listing = pd.DataFrame(
        {
            "column": list(before),
            "role": list(before.values()),
            "type": [str(dtype) for dtype in frame.dtypes],
            "missing": frame.isna().sum().to_numpy(),
            "example": [_example(frame.iloc[:, i]) for i in range(frame.shape[1])],
            "why": [roles.reasons.get(column, "") for column in before],
        }
    )
    look = {
        "missing": st.column_config.NumberColumn("missing", format="localized"),
        "why": st.column_config.TextColumn("why", width="large"),
    }
    after = edit_columns(listing, "role", ROLES, f"role-editor-{state.version}", config=look)
    changes = [(column, role) for column, role in after.items() if before[column] != role]
    if changes:
        state.change_roles(changes)
        _apply(state)
    if st.button(
        "Undo the last change", key="undo", disabled=not state.undo, icon=":material/undo:"
    ):
        state.step_back()
        _apply(state)
    show_data_kind(state)


def _example(column: pd.Series[Any]) -> str:
    present = column.dropna()
    return shorten(str(present.iloc[0]), 40) if len(present) else ""


def show_models(state: AppState) -> None:
    """What each model file was understood as; prediction files with their column mapping."""
    if not state.entries and state.waiting:
        st.info("No model is open yet: see what waits, above.", icon=":material/hourglass_top:")
        return
    if not state.entries:
        st.info(
            "No models yet. Drop model files of any kind, or tables of predictions, into the "
            "uploader above.",
            icon=":material/model_training:",
        )
        return
    rows = []
    for entry in state.entries:
        info = entry.known
        features = "" if info is None else _features(info)
        rows.append(
            {
                "model": entry.name,
                "what it is": _kind(entry),
                "file": entry.file,
                "fits this data": _fit(state, entry),
                "features": features,
                "size": _size(info.size) if info and info.size else "",
                "notes": " ".join(info.notes) if info else "",
            }
        )
    listing = pd.DataFrame(rows)
    told = [name for name in listing.columns if (listing[name] != "").any()]
    # Another key for other rows: the browser keeps the column widths that it chose for a key.
    st.dataframe(listing[told], hide_index=True, key=f"models-table-{hash(str(rows))}")
    for entry in state.entries:
        if entry.table is not None and entry.columns is not None:
            with st.expander(f"Columns of {plain(entry.file)}"):
                if entry.uploaded:
                    show_kind(state, entry.key, entry.file)
                _show_mapping(state, entry)


def _fit(state: AppState, entry: ModelEntry) -> str:
    if state.evalset is None:
        return ""
    problem = cached.problem_of(state, entry)
    if problem is None:
        return "Seen when it is compared"
    return problem or "Yes"


def _kind(entry: ModelEntry) -> str:
    if entry.known is not None:
        return entry.known.kind
    return "Predictions from a file" if entry.table else "Loaded when it is first compared"


def _size(n: int) -> str:
    return f"{n / 1e6:,.1f} MB" if n >= 1e6 else f"{max(n / 1e3, 0.1):,.1f} kB"


def _features(info: Any) -> str:
    if info.feature_names:
        return f"{len(info.feature_names)} by name"
    if info.input_shape:
        return f"shape {tuple(info.input_shape)}"
    return f"{info.n_features} by order" if info.n_features else ""


def _show_mapping(state: AppState, entry: ModelEntry) -> None:
    """Correct which column is the label, the id and the score of which class."""
    columns, table, evalset = entry.columns, entry.table, state.evalset
    if columns is None or table is None or evalset is None:
        return
    changed = _corrected_columns(entry, columns, table, state.version)
    scores = _corrected_scores(entry, columns, table, evalset)
    if scores != dict(columns.scores):
        changed["scores"] = scores
    if changed:
        state.replace_columns(entry.key, **changed)
        st.rerun()
    show_table(table.frame.head(200), key=f"file-{entry.key}", name=entry.name)
    st.caption(f"The first {min(200, table.n_read):,} of {table.n_read:,} rows.")


def _corrected_columns(
    entry: ModelEntry, columns: PredictionColumns, table: Table, state_version: int
) -> dict[str, Any]:
    """Which column holds the predicted label, and which the id."""
    options = ["", *table.columns]  # None would mean "nothing selected" to Streamlit
    changed: dict[str, Any] = {}
    choices = (("label", "Predicted label"), ("id", "Id"))
    for field, (attribute, word) in zip(st.columns(2), choices, strict=True):
        now = getattr(columns, attribute) or ""
        got = field.selectbox(
            word,
            options,
            index=options.index(now) if now in options else 0,
            format_func=lambda name: name or "none",
            key=f"correct-{attribute}-{entry.key}-{state_version}",
        )
        if got != now:
            changed[attribute] = got or None
    return changed


def _corrected_scores(
    entry: ModelEntry, columns: PredictionColumns, table: Table, evalset: EvalSet
) -> dict[str, Label | None]:
    """Which column holds the score of which class."""
    by_name: dict[str, Label] = {str(label): label for label in evalset.target.labels}
    mapping = pd.DataFrame(
        {
            "column": table.columns,
            "score of": [_class_name(columns.scores, name) for name in table.columns],
        }
    )
    key = f"correct-scores-{entry.key}-{hash(str(columns))}"
    options = ["", "positive class", *by_name]
    said = edit_columns(mapping, "score of", options, key, required=False)
    return {
        column: None if of == "positive class" else by_name.get(of, columns.scores.get(column))
        for column, of in said.items()
        if of
    }


def _class_name(scores: Any, column: str) -> str:
    if column not in scores:
        return ""
    return "positive class" if scores[column] is None else str(scores[column])
