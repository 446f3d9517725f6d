"""Table + roles → `EvalSet`: the evaluated rows, and a ledger of the rows that were left out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import FloatArray, IntArray, Label, Target, Task
from ..errors import DataError, ParameterError
from ..settings import Settings, get_settings
from ..wording import count, listing, plural
from .dtypes import is_text
from .readers import Table
from .roles import Roles, infer_roles
from .table_limits import check_shape

__all__ = [
    "ALL_ROWS",
    "EvalSet",
    "LedgerLine",
    "RowLedger",
    "build_evalset",
    "evalset_from_frame",
]

ALL_ROWS = "all rows"  # the choice of a split that evaluates every part
TEST_VALUES = ("test", "testing", "holdout", "eval", "valid", "validation", "val", "dev")
MANY_CLASSES = 100
FEW_VALUES = 20


@dataclass(frozen=True)
class LedgerLine:
    """`n` rows were left out for one reason."""

    reason: str
    n: int


@dataclass(frozen=True)
class RowLedger:
    """Rows read, left out and why, evaluated. Every row is counted exactly once."""

    n_read: int
    excluded: tuple[LedgerLine, ...]
    n_evaluated: int

    def frame(self) -> pd.DataFrame:
        """Columns `rows`, `n`: read, one line per reason, evaluated."""
        lines = [("read", self.n_read), *((line.reason, line.n) for line in self.excluded)]
        lines.append(("evaluated", self.n_evaluated))
        return pd.DataFrame(lines, columns=["rows", "n"])

    def sentence(self) -> str:
        """`11,900 of 12,000 rows are evaluated; left out: 100 without a label in 'default'.`"""
        if not self.excluded:
            verb = "is" if self.n_read == 1 else "are"
            return f"All {plural(self.n_read, 'row')} {verb} evaluated."
        out = listing([f"{count(line.n)} {line.reason}" for line in self.excluded], limit=9)
        return (
            f"{count(self.n_evaluated)} of {plural(self.n_read, 'row')} are evaluated; "
            f"left out: {out}."
        )


@dataclass(frozen=True, eq=False)
class EvalSet:
    """The rows that models are judged on.

    Attributes
    ----------
    name : the file's name.
    X : features of the evaluated rows: a frame with the feature columns in file order, or an
        array `(n, …)`. Missing values stay.
    target : the truth of the evaluated rows.
    sample_weight : `(n,)` float64, finite and not negative, or None.
    id, group, time, split : columns of the evaluated rows, or None.
    row_numbers : `(n,)` int64, positions of the evaluated rows in the file, from 0.
    frame : all columns of the evaluated rows, index 0 … n-1.
    roles, ledger : what each column is; what happened to each row.
    digest : sha-256 over the full content, the roles, the task, the positive class, the split.
    all_ids : the id of every row of the file, or None; prediction files may name any of them.
    """

    name: str
    X: pd.DataFrame | npt.NDArray[Any]
    target: Target
    sample_weight: FloatArray | None
    id: pd.Series[Any] | None
    group: pd.Series[Any] | None
    time: pd.Series[Any] | None
    split: pd.Series[Any] | None
    row_numbers: IntArray
    roles: Roles
    ledger: RowLedger
    digest: str
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    all_ids: pd.Series[Any] | None = None

    @property
    def n(self) -> int:
        return len(self.row_numbers)

    def time_order(self) -> IntArray | None:
        """Positions `(n,)` of the rows from the earliest to the latest, undated last; or None."""
        if self.time is None:
            return None
        order: IntArray = (
            self.time.reset_index(drop=True).sort_values(kind="stable").index.to_numpy()
        )
        return order


def build_evalset(
    table: Table,
    roles: Roles | None = None,
    *,
    target: str | Sequence[str] | None = None,
    task: Task | str | None = None,
    pos_label: Label | None = None,
    split_value: str | None = None,
    settings: Settings | None = None,
) -> EvalSet:
    """Leave out what cannot be evaluated, count it, and encode the target of the rest.

    Several targets are taken in the order of the table, whatever order they are named in.
    With a split column and no `split_value` the test part is evaluated (`ALL_ROWS` takes all).

    Raises
    ------
    DataError : no usable row, one class only, or a target that cannot be predicted.
    ParameterError : roles, split, task or positive class that are not in the table.
    """
    settings = settings or get_settings()
    roles = roles or infer_roles(table, target=target)
    check_shape(table.n_read, table.frame.shape[1], table.name, settings)
    _check_roles(table, roles)
    roles = roles.in_order_of(table.columns)
    split_value, split_notes = _choose_split(table, roles, split_value)
    kept, ledger = _sift(table, roles, split_value)
    if not len(kept):
        raise DataError(_nothing_left(table, roles, ledger))
    everything = len(kept) == table.n_read
    frame = table.frame if everything else table.frame.iloc[kept].reset_index(drop=True)
    truth = frame[roles.target[0]] if len(roles.target) == 1 else frame[list(roles.target)]
    encoded = Target.from_values(
        truth,
        name=", ".join(roles.target),
        task=Task(task) if task is not None else None,
        pos_label=pos_label,
        max_classes=settings.max_classes,
    )
    features = _feature_columns(table, roles)

    def column(name: str | None) -> pd.Series[Any] | None:
        return None if name is None else frame[name]

    return EvalSet(
        name=table.name,
        X=_features(table, frame, features, kept, everything),
        target=encoded,
        sample_weight=None if roles.weight is None else _numbers(frame[roles.weight]),
        id=column(roles.id),
        group=column(roles.group),
        time=column(roles.time),
        split=column(roles.split),
        row_numbers=kept,
        roles=roles,
        ledger=ledger,
        digest=_digest(table, roles, encoded, split_value),
        frame=frame,
        notes=(*_choice_notes(roles), *split_notes, *_target_notes(encoded, truth)),
        all_ids=None if roles.id is None else table.frame[roles.id],
    )


def evalset_from_frame(
    frame: pd.DataFrame,
    target: str | Sequence[str] | None = None,
    *,
    name: str = "in memory",
    roles: Roles | None = None,
    **options: Any,
) -> EvalSet:
    """An evaluation set from a frame in memory; `options` as for `build_evalset`."""
    table = Table.from_frame(name, frame)
    return build_evalset(table, roles or infer_roles(table, target=target), **options)


def _check_roles(table: Table, roles: Roles) -> None:
    if not roles.target:
        raise DataError(f"No target is chosen for {table.name}. Choose the column to predict.")
    known = set(table.columns)
    unknown = [name for name in roles.as_dict() if name not in known]
    if unknown:
        raise ParameterError(
            f"{table.name} has no column {listing([repr(name) for name in unknown], 6)}, to which "
            f"a role was given. Choose columns of this table."
        )


def _feature_columns(table: Table, roles: Roles) -> list[str]:
    chosen = set(roles.features)
    return [name for name in table.columns if name in chosen]


def _features(
    table: Table, frame: pd.DataFrame, features: list[str], kept: IntArray, everything: bool
) -> pd.DataFrame | npt.NDArray[Any]:
    if "X" in table.arrays:
        array = table.arrays["X"]
        return array if everything else array[kept]
    return frame[features]


def _choose_split(
    table: Table, roles: Roles, split_value: str | None
) -> tuple[str | None, list[str]]:
    if roles.split is None:
        if split_value not in (None, "", ALL_ROWS):
            raise ParameterError(
                f"The split {split_value!r} was asked for, and {table.name} has no split column. "
                f"Give a column the role split, or leave it out."
            )
        return None, []
    if split_value == ALL_ROWS:
        return None, []
    values = [str(value) for value in table.frame[roles.split].dropna().unique()]
    if split_value:
        if split_value not in values:
            raise ParameterError(
                f"Column '{roles.split}' has no value {split_value!r}. "
                f"Its values are {listing(sorted(values), 8)}."
            )
        return split_value, []
    folded = {value.strip().lower(): value for value in values}
    chosen = next((folded[name] for name in TEST_VALUES if name in folded), None)
    if chosen is None or len(values) == 1:
        return None, []
    return chosen, [
        f"Only rows whose '{roles.split}' is '{chosen}' are evaluated: models should be judged "
        f"on rows they were not trained on."
    ]


def _sift(table: Table, roles: Roles, split_value: str | None) -> tuple[IntArray, RowLedger]:
    """Positions of the usable rows; each other row is counted under its first reason."""
    frame = table.frame
    remaining = np.ones(table.n_read, dtype=bool)
    lines: list[LedgerLine] = []

    def leave_out(mask: npt.NDArray[np.bool_], reason: str) -> None:
        hit = remaining & mask
        if hit.any():
            lines.append(LedgerLine(reason, int(hit.sum())))
            remaining[hit] = False

    if roles.split is not None and split_value is not None:
        other = (frame[roles.split].astype("str") != split_value).fillna(True).to_numpy(dtype=bool)
        leave_out(other, f"not in the split '{split_value}'")
    targets = listing([f"'{name}'" for name in roles.target], 4)
    leave_out(_no_label(frame[list(roles.target)]), f"without a label in {targets}")
    for name in roles.target:
        leave_out(_infinite(frame[name]), f"with an infinite '{name}'")
    if roles.weight is not None:
        weight = _numbers(frame[roles.weight])
        leave_out(~np.isfinite(weight), f"without a weight in '{roles.weight}'")
        leave_out(weight < 0, f"with a negative weight in '{roles.weight}'")
        if remaining.any() and not (weight[remaining] > 0).any():
            raise DataError(
                f"Every weight in '{roles.weight}' is zero. Choose another weight column, or none."
            )
    kept = np.flatnonzero(remaining).astype(np.int64)
    return kept, RowLedger(table.n_read, tuple(lines), len(kept))


def _no_label(targets: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Missing in any target column; a text of blanks is no label either."""
    missing = targets.isna().any(axis="columns").to_numpy(dtype=bool)
    for name in targets.columns:
        if is_text(targets[name]):
            missing = missing | (targets[name].str.strip() == "").fillna(False).to_numpy(dtype=bool)
    return missing


def _infinite(column: pd.Series[Any]) -> npt.NDArray[np.bool_]:
    if not pd.api.types.is_float_dtype(column.dtype):
        return np.zeros(len(column), dtype=bool)
    infinite: npt.NDArray[np.bool_] = np.isinf(column.to_numpy(dtype=np.float64, na_value=np.nan))
    return infinite


def _numbers(column: pd.Series[Any]) -> npt.NDArray[np.float64]:
    """A weight column as floats; what is no number is missing."""
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers.to_numpy(dtype=np.float64, na_value=np.nan)


def _nothing_left(table: Table, roles: Roles, ledger: RowLedger) -> str:
    why = listing([f"{count(line.n)} {line.reason}" for line in ledger.excluded], 6)
    return (
        f"None of the {plural(ledger.n_read, 'row')} of {table.name} can be evaluated: {why}. "
        f"Choose another target{' or weight' if roles.weight else ''}, or complete the labels."
    )


def _choice_notes(roles: Roles) -> list[str]:
    """What a person must know first of the choice of the target columns."""
    if roles.target_is_guess:
        return [
            f"The target is a guess: '{roles.target[0]}' is the last column. Choose another if it "
            "is not what the models predict."
        ]
    if roles.named == roles.target:
        return []
    return [
        f"The target columns are taken in the order of the file ({listing(roles.target, 9)}), not "
        f"in the order in which they were chosen ({listing(roles.named, 9)}); a model that names "
        "no outputs must give them in it."
    ]


def _target_notes(target: Target, truth: Any) -> list[str]:
    """Doubts about the choice of task that a person can settle at once."""
    classes = len(target.labels)
    if twins := _twins(target.labels):
        return [
            f"Classes of '{target.name}' that differ only in blanks or capitals: "
            f"{listing(twins, 6)}. Write them alike if they are one class."
        ]
    if target.task is Task.MULTICLASS and classes > MANY_CLASSES:
        return [
            f"'{target.name}' has {classes:,} classes in {plural(target.n, 'row')}: it looks like "
            f"an id or a number. Choose another target, or regression, if it is one."
        ]
    if target.task is Task.MULTICLASS and classes * 2 > target.n > 10:
        return [
            f"'{target.name}' has {classes:,} classes in {plural(target.n, 'row')}, fewer than "
            f"two rows a class. Choose another target if these are not classes."
        ]
    if target.task is Task.REGRESSION:
        distinct = int(np.unique(target.y).size)
        if distinct <= FEW_VALUES and distinct * 5 <= target.n:
            return [
                f"'{target.name}' has only {plural(distinct, 'distinct value')}: classification "
                f"may be meant. Change the task if so."
            ]
    if target.task is Task.MULTICLASS and isinstance(truth, pd.Series) and _is_count(truth):
        return [
            f"'{target.name}' holds {classes:,} distinct numbers and is taken as classes. Choose "
            f"regression if it is a quantity."
        ]
    return []


def _twins(labels: Sequence[Label]) -> list[str]:
    folded: dict[str, list[str]] = {}
    for label in labels:
        folded.setdefault(str(label).strip().casefold(), []).append(repr(label))
    return [name for names in folded.values() if len(names) > 1 for name in names]


def _is_count(column: pd.Series[Any]) -> bool:
    dtype = column.dtype
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


def _digest(table: Table, roles: Roles, target: Target, split_value: str | None) -> str:
    parts = (
        table.digest,
        table.source,
        tuple(zip(table.columns, map(str, table.frame.dtypes), strict=True)),
        tuple(sorted((name, role) for name, role in roles.as_dict().items())),
        roles.target,
        target.task.value,
        target.pos_label,
        target.labels,
        split_value,
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()
