"""Prediction files: each answer beside the row of the data that it is for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import IntArray, Label, RawPredictions, ScoreKind, Target, Task
from ..errors import DataError, PredictionError
from ..settings import Settings
from ..wording import listing, plural
from .evalsets import EvalSet, build_evalset
from .prediction_columns import (
    UNBOUNDED,
    PredictionColumns,
    comparable_ids,
    infer_prediction_columns,
    is_fraction,
    is_number,
)
from .readers import Table
from .roles import TARGET_NAMES, infer_roles, snake_name

__all__ = ["evalset_and_predictions", "infer_answers", "read_predictions"]

JOINED = re.compile(
    r"^(?P<kind>y_pred|y_hat|yhat|prediction|predicted|pred|y_score|score|y_proba|y_prob|"
    r"probability|proba|prob|p|logit|decision)(?:[_ .:-]++(?P<rest>.+))?$"
    r"|^(?P<front>.+?)(?<![_ .:-])[_ .:-]++(?P<last>y_pred|prediction|predicted|pred|y_score|"
    r"score|y_proba|y_prob|probability|proba|prob|logit|decision)$",
    re.IGNORECASE,
)
# `score` or `p` alone may well be a feature: one column must be named beyond doubt
CLEAR = re.compile(r"pred|proba|y_?score|y_?hat", re.IGNORECASE)
FIRST_FEW = 5


# Reading


def read_predictions(
    table: Table, evalset: EvalSet, columns: PredictionColumns | None = None
) -> RawPredictions:
    """One answer for each evaluated row, joined by id when both sides have one, else by position.

    Rows of the data without an answer get missing values; a note counts them.

    Raises
    ------
    PredictionError : no column of predictions; ids that are unknown or repeated; a length that
        fits neither the file's rows nor the evaluated rows. Counts and the first ids are named.
    """
    columns = columns or infer_prediction_columns(table, evalset)
    _check_mapping(table, evalset, columns)
    if columns.id is not None and evalset.all_ids is not None:
        rows, notes = _rows_by_id(table, evalset, columns.id)
    else:
        rows, notes = _rows_by_position(table, evalset)
    notes += [*columns.notes, *_disagreement(table, evalset, columns, rows)]
    labels, classes, scores = None, None, None
    if columns.label is not None:
        labels = _take_values(table.frame[columns.label], rows)
    if columns.scores:
        scores = np.column_stack([_take_numbers(table.frame[c], rows, c) for c in columns.scores])
        named = [of for of in columns.scores.values() if of is not None]
        classes = named if len(named) == len(columns.scores) else None
    if columns.labels and labels is None:
        labels = np.column_stack([_take_numbers(table.frame[c], rows, c) for c in columns.labels])
        labels, scores, classes = _both(labels, scores, columns, classes)
    if not evalset.target.task.is_classification and scores is not None:
        labels, scores = (scores if labels is None else labels), None
    return RawPredictions(labels, scores, classes, columns.kind, tuple(notes))


def _both(
    labels: Any, scores: Any, columns: PredictionColumns, classes: list[Label] | None
) -> tuple[Any, Any, list[Label]]:
    """Label and score columns of a multilabel file in one order, that of the label columns."""
    order = list(columns.labels.values())
    if scores is None or classes is None:
        return labels, scores, order
    if set(order) != set(classes):
        raise PredictionError(
            f"Predicted labels are given for {listing(list(map(str, order)), 6)} and scores for "
            f"{listing(list(map(str, classes)), 6)}. Map both to the same labels."
        )
    return labels, scores[:, [classes.index(label) for label in order]], order


def _check_mapping(table: Table, evalset: EvalSet, columns: PredictionColumns) -> None:
    used = [columns.label, columns.id, *columns.scores, *columns.labels]
    unknown = [name for name in used if name is not None and name not in table.columns]
    if unknown:
        raise PredictionError(
            f"{table.name} has no column {listing([repr(n) for n in unknown], 4)}. Its columns are "
            f"{listing([repr(n) for n in table.columns], 10)}."
        )
    if columns.label is None and not columns.scores and not columns.labels:
        kind = (
            "a class or a score" if evalset.target.task.is_classification else "a predicted value"
        )
        raise PredictionError(
            f"No column of {table.name} looks like a prediction; its columns are "
            f"{listing([repr(name) for name in table.columns], 10)}. Choose the column that holds "
            f"{kind}, or name it y_pred{' or y_score' if 'score' in kind else ''}."
        )


def _rows_by_position(table: Table, evalset: EvalSet) -> tuple[IntArray, list[str]]:
    given, n, n_read = table.n_read, evalset.n, evalset.ledger.n_read
    if given == n_read:
        note = "Joined by position: the rows are taken in the order of the data."
        return evalset.row_numbers, [note]
    if given == n:
        return np.arange(n, dtype=np.int64), ["Joined by position to the evaluated rows."]
    evaluated = "" if n == n_read else f", {n:,} of them evaluated"
    raise PredictionError(
        f"{table.name} has {plural(given, 'row')}; {evalset.name} has {n_read:,}{evaluated}. Give "
        f"one prediction per row in the same order, or add an id column to both files."
    )


def _rows_by_id(table: Table, evalset: EvalSet, column: str) -> tuple[IntArray, list[str]]:
    """For each evaluated row the row of the file with its id, -1 without one."""
    if evalset.all_ids is None:
        return _rows_by_position(table, evalset)
    given, known = comparable_ids(table.frame[column], evalset.all_ids)
    blank = int(given.isna().sum())
    if blank:
        raise PredictionError(
            f"Column '{column}' of {table.name} has no id in {plural(blank, 'row')}. Fill them in, "
            f"or join by position."
        )
    _refuse(given[given.duplicated()], "more than once", table, column)
    repeated = known[known.duplicated() & known.notna()]
    if len(repeated):
        raise PredictionError(
            f"{evalset.name} has {plural(repeated.nunique(), 'id')} in '{evalset.roles.id}' more "
            f"than once (first: {_first(repeated)}). Choose a column with one id per row, or join "
            f"by position."
        )
    _refuse(given[~given.isin(known)], f"that {evalset.name} does not have", table, column)
    wanted = pd.Index(known.iloc[evalset.row_numbers])
    rows = pd.Index(given).get_indexer(wanted).astype(np.int64)
    missing = int((rows < 0).sum())
    notes = [f"Joined by '{column}'."]
    if missing == len(rows):
        raise PredictionError(
            f"{table.name} has no prediction for any of the {plural(len(rows), 'evaluated row')}. "
            f"Check that both files are about the same rows, or choose another split."
        )
    if missing:
        notes.append(
            f"{missing:,} of {plural(len(rows), 'evaluated row')} have no prediction in "
            f"{table.name} (first ids: {_first(wanted[rows < 0])})."
        )
    return rows, notes


def _refuse(ids: pd.Series[Any], problem: str, table: Table, column: str) -> None:
    if len(ids):
        raise PredictionError(
            f"{table.name} has {plural(ids.nunique(), 'id')} in '{column}' {problem} "
            f"(first: {_first(ids)}). Correct the ids, or join by position."
        )


def _first(ids: Iterable[Any]) -> str:
    distinct = list(dict.fromkeys(str(value) for value in ids))
    return ", ".join(distinct[:FIRST_FEW]) + (", …" if len(distinct) > FIRST_FEW else "")


def _take_values(column: pd.Series[Any], rows: IntArray) -> npt.NDArray[Any]:
    """Labels or values in the order of the rows; missing where there is no row."""
    if is_number(column) and not pd.api.types.is_bool_dtype(column.dtype):
        if not pd.api.types.is_integer_dtype(column.dtype) or (rows < 0).any():
            return _take_numbers(column, rows, str(column.name))
        return np.asarray(column.iloc[rows].to_numpy())
    values = column.astype(object).to_numpy()[rows]
    values[(rows < 0) | pd.isna(values)] = None
    return np.asarray(values)


def _take_numbers(column: pd.Series[Any], rows: IntArray, name: str) -> npt.NDArray[np.float64]:
    try:
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)[rows]
    except (TypeError, ValueError) as error:
        odd = column[pd.to_numeric(column, errors="coerce").isna() & column.notna()]
        raise PredictionError(
            f"Column '{name}' holds scores and is not all numbers: {_first(odd.iloc[:1])!r}. "
            f"Choose it as the predicted label, or correct it."
        ) from error
    numbers[rows < 0] = np.nan
    return np.asarray(numbers)


def _disagreement(
    table: Table, evalset: EvalSet, columns: PredictionColumns, rows: IntArray
) -> list[str]:
    """A prediction file that repeats the truth shows whether its rows are in the same order."""
    used = {columns.label, *columns.scores, *columns.labels}
    names = [name for name in (*evalset.roles.target, "y_true") if name in table.columns]
    if len(evalset.roles.target) > 1 or not names or names[0] in used:
        return []
    there = rows >= 0
    told = table.frame[names[0]].iloc[rows[there]].reset_index(drop=True)
    truth = evalset.frame[evalset.roles.target[0]][there].reset_index(drop=True)
    a, b = comparable_ids(told, truth)
    differing = int(((a != b) & a.notna()).fillna(False).sum())
    if not differing:
        return []
    return [
        f"'{names[0]}' in {table.name} differs from the data in {differing:,} of "
        f"{plural(int(there.sum()), 'row')}: the rows may be in another order."
    ]


# One file with the truth and the predictions


def evalset_and_predictions(
    table: Table,
    target: str | Sequence[str] | None = None,
    *,
    settings: Settings | None = None,
    **options: Any,
) -> tuple[EvalSet, dict[str, RawPredictions]]:
    """The evaluation set and each model's answers from one file; as `infer_answers`."""
    evalset, found = infer_answers(table, target, settings=settings, **options)
    return evalset, {
        model: read_predictions(table, evalset, columns) for model, columns in found.items()
    }


def infer_answers(
    table: Table,
    target: str | Sequence[str] | None = None,
    *,
    settings: Settings | None = None,
    **options: Any,
) -> tuple[EvalSet, dict[str, PredictionColumns]]:
    """The evaluation set, and which columns of the same file are each model's answers.

    Columns such as `y_true, y_pred, y_score` are one model, `score_a, score_b` or `a_pred, b_pred`
    two; `proba_<class>` columns belong to one. `options` as for `build_evalset`.

    Raises
    ------
    DataError : no column is named like the truth, and none is given.
    PredictionError : no column is named like a prediction.
    """
    folded = {snake_name(name): name for name in reversed(table.columns)}
    if target is None:
        found = next((folded[name] for name in TARGET_NAMES if name in folded), None)
        if found is None:
            raise DataError(
                f"No column of {table.name} is named like the truth (y_true, target, label …). "
                f"Name the target column."
            )
        target = found
    truths = {target} if isinstance(target, str) else set(target)
    answers = _answer_columns([name for name in table.columns if name not in truths])
    if not any(CLEAR.search(name) for name in answers):
        raise PredictionError(
            f"No column of {table.name} is named like a prediction (y_pred, y_score, "
            f"proba_<class>, pred_<model> …). Rename the columns, or load predictions as a file "
            f"of their own."
        )
    roles = infer_roles(table, target=target)
    for name in answers:
        roles = roles.replace_role(name, "ignore")
        roles.reasons[name] = "A prediction, not a feature."
    evalset = build_evalset(table, roles, settings=settings, **options)
    grouped = _by_model(answers, evalset.target)
    own_name = Path(table.name).stem
    return evalset, {
        model or own_name: _one_model(table, columns, evalset) for model, columns in grouped.items()
    }


def _answer_columns(names: Sequence[str]) -> dict[str, re.Match[str]]:
    """Columns named like predictions; `credit_score` is none beside a `y_score`."""
    found = {name: match for name in names if (match := JOINED.match(name.strip()))}
    sure = {
        name: match
        for name, match in found.items()
        if match["kind"] or "pred" in match["last"].lower() or "proba" in match["last"].lower()
    }
    models = {match["rest"] or match["front"] for match in sure.values()}
    return {
        name: match
        for name, match in found.items()
        if not sure or name in sure or match["front"] in models
    }


def _by_model(
    answers: dict[str, re.Match[str]], target: Target
) -> dict[str, list[tuple[str, str, Label | None]]]:
    """Model name → (column, kind word, class or None); "" is the model without a name."""
    classes = {str(label).lower(): label for label in target.labels}
    grouped: dict[str, list[tuple[str, str, Label | None]]] = {}
    for column, match in answers.items():
        kind = snake_name(match["kind"] or match["last"])
        rest = match["rest"] or match["front"] or ""
        model, label = _split_class(rest, classes)
        grouped.setdefault(model, []).append((column, kind, label))
    return grouped


def _split_class(rest: str, classes: dict[str, Label]) -> tuple[str, Label | None]:
    """`forest_no` → ("forest", "no"); `no` → ("", "no"); `forest` → ("forest", None)."""
    if rest.lower() in classes:
        return "", classes[rest.lower()]
    for text, label in classes.items():
        for mark in ("_", " ", "-", "."):
            if rest.lower().endswith(mark + text):
                return rest[: -len(text) - 1], label
            if rest.lower().startswith(text + mark):
                return rest[len(text) + 1 :], label
    return rest, None


def _one_model(
    table: Table, columns: list[tuple[str, str, Label | None]], evalset: EvalSet
) -> PredictionColumns:
    scores: dict[str, Label | None] = {}
    labels: dict[str, Label] = {}
    label: str | None = None
    kind: ScoreKind | None = None
    for name, word, of in columns:
        said = word in ("y_pred", "y_hat", "yhat", "prediction", "predicted", "pred")
        whole = not is_number(table.frame[name]) or not is_fraction(table.frame[name])
        if of is not None and evalset.target.task is Task.MULTILABEL and said and whole:
            labels[name] = of
        elif of is not None or not (said and (whole or not evalset.target.task.is_classification)):
            scores[name] = of
            kind = UNBOUNDED.get(word, kind)
        else:
            label = name
    if any(of is not None for of in scores.values()):
        scores = {name: of for name, of in scores.items() if of is not None}
    return PredictionColumns(label, scores, None, labels, kind)
