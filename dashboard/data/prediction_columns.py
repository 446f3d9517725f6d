"""Which column of a prediction file is the label, the id, and the score of which class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..contracts import Label, ScoreKind, Target, Task, canonical_label
from ..wording import listing
from .dtypes import is_text
from .evalsets import EvalSet
from .readers import Table
from .roles import TARGET_NAMES, snake_name

__all__ = [
    "UNBOUNDED",
    "PredictionColumns",
    "comparable_ids",
    "infer_prediction_columns",
    "is_fraction",
    "is_number",
]

UNBOUNDED = {
    "logit": ScoreKind.LOGIT,
    "logits": ScoreKind.LOGIT,
    "log_odds": ScoreKind.LOGIT,
    "decision": ScoreKind.DECISION,
    "decision_function": ScoreKind.DECISION,
    "margin": ScoreKind.DECISION,
}
# fmt: off
LABEL_NAMES = (
    "y_pred", "prediction", "predictions", "predicted", "pred", "preds", "yhat", "y_hat",
    "predicted_label", "predicted_class", "predicted_value", "pred_label", "pred_class",
    "label_pred", "prediction_label", "y_predicted", "forecast", "estimate", "fitted",
)
SCORE_NAMES = (
    "y_score", "score", "scores", "y_proba", "y_prob", "proba", "probability", "prob", "p",
    "pred_proba", "predicted_proba", "predicted_probability", "prediction_score",
    "prediction_probability", "p_hat", "phat", "risk", "risk_score", "positive_proba",
    *UNBOUNDED,
)
PREFIXES = (
    "", "p", "prob", "proba", "probability", "probabilities", "score", "scores", "y_score",
    "y_prob", "y_proba", "pred", "prediction", "predicted", "pred_proba", "class", "p_class",
    "prob_class", "proba_class", "probability_class", "score_class", "column", *UNBOUNDED,
)
# fmt: on
SUFFIXES = ("p", "prob", "proba", "probability", "score", "logit", "pred", "prediction")


@dataclass(frozen=True)
class PredictionColumns:
    """How the columns of a prediction file are read. Every field can be corrected.

    Attributes
    ----------
    label : the column of predicted classes or values, or None.
    scores : column → the class, label or output it is for; None = the one score of the file.
    id : the column that joins the rows to the data's ids; None = by position.
    labels : multilabel only: column of predicted 0/1 → label.
    kind : what the scores are, where the names say it; None = detect.
    notes : sentences on guesses worth a look.
    """

    label: str | None = None
    scores: dict[str, Label | None] = field(default_factory=dict)
    id: str | None = None
    labels: dict[str, Label] = field(default_factory=dict)
    kind: ScoreKind | None = None
    notes: tuple[str, ...] = ()


def infer_prediction_columns(table: Table, evalset: EvalSet) -> PredictionColumns:
    """Guess the columns by name (`y_pred`, `proba_<class>`, `score` …), then by content."""
    ids = _id_column(table, evalset)
    known = set(evalset.frame.columns)
    free = [name for name in table.columns if name != ids and name not in known]
    usual = {name for name in free if snake_name(name) in TARGET_NAMES}
    named = [name for name in free if name not in usual]
    for choice in (named, [name for name in table.columns if name != ids and name not in named]):
        found = _columns_by_name(table.frame, choice, evalset.target)
        if found.label is not None or found.scores or found.labels:
            break
        found = _columns_by_content(table.frame, choice, evalset.target)
        if found.label is not None or found.scores:
            break
    return PredictionColumns(found.label, found.scores, ids, found.labels, found.kind, found.notes)


def _id_column(table: Table, evalset: EvalSet) -> str | None:
    """The column with the data's ids: of the same name, or id-like with only known values."""
    wanted = evalset.roles.id
    if wanted is None or evalset.all_ids is None:
        return None
    if wanted in table.columns:
        return wanted
    folded = {snake_name(name): name for name in table.columns}
    for name in (snake_name(wanted), "id", "row_id", "index"):
        if name in folded:
            given, known = comparable_ids(table.frame[folded[name]], evalset.all_ids)
            if given.isin(known).all():
                return folded[name]
    return None


def is_number(column: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(column.dtype)


def _columns_by_name(
    frame: pd.DataFrame, names: Sequence[str], target: Target
) -> PredictionColumns:
    numeric = [name for name in names if is_number(frame[name])]
    label = next((name for name in _by_rank(names, LABEL_NAMES)), None)
    if label is None:
        stems = {snake_name(part) for part in (target.name,)}
        wanted = [f"{a}_{s}" for s in stems for a in ("pred", "predicted", "prediction")]
        wanted += [f"{s}_{a}" for s in stems for a in ("pred", "predicted", "prediction", "hat")]
        label = next((name for name in _by_rank(names, wanted)), None)
    others = [name for name in numeric if name != label]
    if not target.task.is_classification:
        outputs = _class_columns(others, target.labels) if target.labels else {}
        return PredictionColumns(None if outputs else label, dict(outputs))
    scores: dict[str, Label | None] = dict(_class_columns(others, target.labels))
    notes: tuple[str, ...] = ()
    if len(scores) < 2:
        numbered, notes = _numbered_columns(others, target)
        scores = dict(numbered) or scores
    if not scores and target.task is Task.BINARY:
        single = next(iter(_by_rank(others, SCORE_NAMES)), None)
        scores = {single: None} if single is not None else {}
    kinds = {UNBOUNDED[k] for name in scores for k in UNBOUNDED if k in snake_name(name).split("_")}
    kind = kinds.pop() if len(kinds) == 1 else None
    if label is not None and not scores and is_fraction(frame[label]):
        return PredictionColumns(None, {label: None}, kind=kind)
    if (
        target.task is Task.MULTILABEL
        and scores
        and frame[list(scores)].isin([0, 1]).all(axis=None)
    ):
        decided = {name: of for name, of in scores.items() if of is not None}
        return PredictionColumns(None, {}, labels=decided, notes=notes)
    return PredictionColumns(label, scores, kind=kind, notes=notes)


def _by_rank(names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    folded = {snake_name(name): name for name in reversed(names)}
    return [folded[name] for name in wanted if name in folded]


def _class_columns(names: Sequence[str], labels: Sequence[Label]) -> dict[str, Label]:
    """Columns named after classes, with or without a word such as `proba` around the name."""
    forms: dict[str, Label] = {}
    for label in labels:
        text = str(label).strip().lower()
        for prefix in PREFIXES:
            for start, end in (("_", ""), (" ", ""), ("-", ""), ("=", ""), ("(", ")"), ("[", "]")):
                forms.setdefault(f"{prefix}{start}{text}{end}" if prefix else text, label)
            if prefix in ("p", "class", "prob", "proba"):
                forms.setdefault(prefix + text, label)
        for suffix in SUFFIXES:
            forms.setdefault(f"{text}_{suffix}", label)
            forms.setdefault(f"{text} {suffix}", label)
    found: dict[str, Label] = {}
    for name in names:
        of = forms.get(name.strip().lower(), forms.get(snake_name(name)))
        if of is not None and of not in found.values():
            found[name] = of
    return found


def _numbered_columns(
    names: Sequence[str], target: Target
) -> tuple[dict[str, Label], tuple[str, ...]]:
    """`proba_0 … proba_{k-1}` (or from 1) for classes that are no such numbers: in class order."""
    numbered: dict[str, dict[int, str]] = {}
    for name in names:
        match = re.fullmatch(r"(.*?)[_ .-]?(?<!\d)(\d{1,9})", name.strip())
        if match and snake_name(match[1]) in (*PREFIXES, "x", "output", "y_pred"):
            numbered.setdefault(match[1], {})[int(match[2])] = name
    k = len(target.labels)
    for columns in numbered.values():
        start = min(columns)
        if start in (0, 1) and sorted(columns) == list(range(start, start + k)):
            order = [columns[start + i] for i in range(k)]
            meaning = listing(
                [f"{c} = {label}" for c, label in zip(order, target.labels, strict=True)], 5
            )
            return dict(zip(order, target.labels, strict=True)), (
                f"Score columns are numbered and read in the order of the classes ({meaning}).",
            )
    return {}, ()


def is_fraction(column: pd.Series[Any]) -> bool:
    """Numbers with decimals: scores rather than class labels."""
    if not pd.api.types.is_float_dtype(column.dtype):
        return False
    values = column.dropna().to_numpy(dtype=np.float64)
    return bool(np.any(values != np.round(values)))


def _columns_by_content(
    frame: pd.DataFrame, names: Sequence[str], target: Target
) -> PredictionColumns:
    """What is left when no name helps: one column, or as many as there are classes."""
    numeric = [name for name in names if is_number(frame[name])]
    if not target.task.is_classification:
        if len(target.labels) == len(numeric) > 0:
            return PredictionColumns(None, dict(zip(numeric, target.labels, strict=True)))
        return PredictionColumns(numeric[0] if len(numeric) == 1 else None)
    if len(numeric) == len(target.labels) == len(names):
        note = "No column is named after a class; they are read in the order of the classes."
        return PredictionColumns(
            None, dict(zip(numeric, target.labels, strict=True)), notes=(note,)
        )
    classes = {str(label).lower() for label in target.labels}
    for name in names:
        seen = frame[name].dropna().unique()
        if (
            len(seen) <= len(classes) + 5
            and {str(canonical_label(value)).lower() for value in seen} <= classes
        ):
            return PredictionColumns(name)
    if len(numeric) == 1 and target.task is Task.BINARY:
        return PredictionColumns(None, {numeric[0]: None})
    return PredictionColumns()


def comparable_ids(a: pd.Series[Any], b: pd.Series[Any]) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """Two id columns as one type: numbers when both are, else text ("7" equals 7)."""
    if is_number(a) and is_number(b):
        return a, b
    return _as_text(a), _as_text(b)


def _as_text(ids: pd.Series[Any]) -> pd.Series[Any]:
    if pd.api.types.is_float_dtype(ids.dtype) and not is_fraction(ids):
        ids = ids.astype("Int64")
    text = ids.astype("str") if not is_text(ids) else ids
    return text.where(ids.notna())
