"""The rows that models were trained on, from the column that says so."""

from __future__ import annotations

from ..data import EvalSet, Table, build_evalset
from ..errors import NotApplicable
from ..wording import listing

__all__ = ["training_rows", "training_value"]

TRAINING = ("train", "training", "fit", "learn", "learning", "development")


def training_value(table: Table, evalset: EvalSet) -> str:
    """The value of the split column that marks the training rows.

    Raises
    ------
    NotApplicable : no split column; all parts are evaluated; several could be meant.
    """
    if evalset.split is None or evalset.roles.split is None:
        raise NotApplicable(
            "The data does not say which rows the models were trained on. Give the column that "
            "does the role split, on Home."
        )
    evaluated = {str(value) for value in evalset.split.dropna().unique()}
    column = table.frame[evalset.roles.split].dropna()
    others = [one for one in dict.fromkeys(column.astype(str)) if one not in evaluated]
    if not others:
        raise NotApplicable(
            "Every part of the data is evaluated, so there are no training rows to compare with. "
            "Choose one part of the split on Home."
        )
    folded = {value.strip().lower(): value for value in others}
    named = next((folded[name] for name in TRAINING if name in folded), None)
    if named is None and len(others) > 1:
        raise NotApplicable(
            f"Which rows were trained on is not clear: the other parts are {listing(others, 6)}. "
            "Name one of them train."
        )
    return named or others[0]


def training_rows(table: Table, evalset: EvalSet) -> EvalSet:
    """The training rows of the same table, read as the evaluated ones are.

    Raises
    ------
    NotApplicable : as for `training_value`.
    DataError : there is nothing to evaluate in them, one class only.
    """
    target = evalset.target
    return build_evalset(
        table,
        evalset.roles,
        task=target.task,
        pos_label=None if target.pos_label is None else target.labels[target.pos_label],
        split_value=training_value(table, evalset),
    )
