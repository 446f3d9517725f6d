"""Which column is what: the target, features, ids, weights, groups, times, splits, with reasons.

Every guess is cautious, has a sentence that says why, and can be changed with `replace_role`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError, ParameterError
from ..wording import listing, plural
from .concatenation import SOURCE_FILE
from .dtypes import is_text
from .readers import Table

__all__ = ["ROLES", "Roles", "infer_roles", "snake_name"]

ROLES = ("target", "feature", "id", "weight", "group", "time", "split", "ignore")
SINGLE = ("id", "weight", "group", "time", "split")

# fmt: off
TARGET_NAMES = (
    "target", "targets", "y", "y_true", "label", "labels", "class", "outcome", "outcomes",
    "response", "truth", "ground_truth", "actual", "default", "defaulted", "churn", "churned",
    "is_fraud", "fraud", "survived", "diagnosis",
)
WEIGHT_NAMES = (
    "sample_weight", "sample_weights", "weights", "case_weight", "case_weights",
    "instance_weight", "survey_weight", "observation_weight",
)
GROUP_WORDS = (
    "customer", "patient", "user", "client", "subject", "group", "household", "account",
    "member", "person", "participant", "session", "store", "shop", "cohort",
)
# fmt: on
TARGET_ENDINGS = ("_target", "_label", "_class", "_outcome")
ID_NAMES = ("id", "row_id", "rowid", "uuid", "guid", "record_id", "sample_id", "index", "key")
TIME_NAMES = ("time", "date", "datetime", "timestamp", "day", "month", "ts", "event_time")
EPOCH_NAMES = ("timestamp", "unix_time", "epoch", "unixtime")
SPLIT_NAMES = ("split", "subset", "partition", "dataset", "set", "fold", "part", "sample_set")
SPLIT_VALUES = frozenset(
    {"train", "training", "test", "testing", "valid", "validation", "val", "dev", "holdout", "eval"}
)
_LAST_COLUMN = "The last column: no column has a name that is usual for a target."
CODE = re.compile(r"[A-Za-z]{0,6}[-_]?\d+|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|[0-9a-fA-F]{16,64}")


@dataclass(frozen=True)
class Roles:
    """One role for each column of a table.

    Attributes
    ----------
    target : one column, or several (multilabel, several outputs, one-hot), in table order: a
        model that names no outputs was fitted on columns in that order.
    features : in file order; empty when the features are an array.
    id, weight, group, time, split : at most one column each.
    ignore : columns that nothing uses.
    reasons : column → one sentence why it has its role.
    columns : every column of the table, in its order; `()` when not known.
    named : the targets in the order in which a person named them; `()` when nobody did.
    """

    target: tuple[str, ...]
    features: tuple[str, ...] = ()
    id: str | None = None
    weight: str | None = None
    group: str | None = None
    time: str | None = None
    split: str | None = None
    ignore: tuple[str, ...] = ()
    reasons: dict[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    named: tuple[str, ...] = ()

    @property
    def target_is_guess(self) -> bool:
        """Whether nothing but being the last column speaks for the target."""
        return [self.reasons.get(column) for column in self.target] == [_LAST_COLUMN]

    def in_order_of(self, columns: Sequence[str]) -> Roles:
        """The same roles with the targets in the order of these columns of the table."""
        place = {column: i for i, column in enumerate(columns)}
        ordered = tuple(sorted(self.target, key=lambda column: place.get(column, len(place))))
        return replace(self, target=ordered, columns=tuple(columns), named=self._picked)

    @property
    def _picked(self) -> tuple[str, ...]:
        """The targets as named, or as they stand where nobody named exactly these."""
        return self.named if set(self.named) == set(self.target) else self.target

    def role_of(self, column: str) -> str:
        """The role of a column, one of `ROLES`.

        Raises
        ------
        ParameterError : no such column.
        """
        chosen = self.as_dict()
        if column not in chosen:
            raise ParameterError(_unknown(column, tuple(chosen)))
        return chosen[column]

    def as_dict(self) -> dict[str, str]:
        """Column → role, features first."""
        chosen = dict.fromkeys(self.features, "feature")
        chosen |= dict.fromkeys(self.ignore, "ignore")
        chosen |= dict.fromkeys(self.target, "target")
        for role in SINGLE:
            column = getattr(self, role)
            if column is not None:
                chosen[column] = role
        return chosen

    def replace_role(self, column: str, role: str) -> Roles:
        """The same roles with one column moved to another role.

        A column that held a role for one (id, weight, group, time, split) becomes a feature.
        "target" adds the column to the targets; `with_targets` replaces them. Targets stay in
        table order.

        Raises
        ------
        ParameterError : unknown column or role.
        """
        if role not in ROLES:
            raise ParameterError(f"There is no role {role!r}. Roles: {', '.join(ROLES)}.")
        if self.role_of(column) == role:
            return self
        chosen, reasons = self.as_dict(), dict(self.reasons)
        holder = getattr(self, role) if role in SINGLE else None
        if holder is not None:
            chosen[holder] = "feature"
            reasons[holder] = f"Was the {role} column before '{column}' was chosen."
        chosen[column], reasons[column] = role, "Chosen by you."
        targets = (*self._picked, column) if role == "target" else self._picked
        targets = tuple(t for t in targets if chosen[t] == "target")
        return _from_choice(chosen, reasons, targets, self.columns)

    def with_targets(self, columns: Sequence[str]) -> Roles:
        """The same roles with exactly these targets; former targets become features."""
        chosen = self.as_dict() | dict.fromkeys(self.target, "feature")
        unknown = next((column for column in columns if column not in chosen), None)
        if unknown is not None:
            raise ParameterError(_unknown(unknown, tuple(chosen)))
        chosen |= dict.fromkeys(columns, "target")
        former = [column for column in self.target if column not in columns]
        reasons = {**self.reasons, **dict.fromkeys(columns, "Chosen by you.")}
        reasons |= dict.fromkeys(former, "Was the target before another was chosen.")
        return _from_choice(chosen, reasons, tuple(columns), self.columns)


def _from_choice(
    chosen: dict[str, str],
    reasons: dict[str, str],
    target: tuple[str, ...],
    columns: tuple[str, ...],
) -> Roles:
    holders: dict[str, Any] = {r: column for column, r in chosen.items() if r in SINGLE}
    in_order = {column: chosen[column] for column in columns} | chosen
    return Roles(
        target=target,
        features=tuple(column for column, role in in_order.items() if role == "feature"),
        ignore=tuple(column for column, role in in_order.items() if role == "ignore"),
        reasons=reasons,
        **holders,
    ).in_order_of(columns or tuple(chosen))


def snake_name(column: str) -> str:
    """`PassengerId`, `passenger id` and `passenger-id` → `passenger_id`."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column.strip())
    return re.sub(r"\W+", "_", split).strip("_").lower()


def _unknown(column: str, columns: Sequence[str]) -> str:
    near = close_names(column, columns)
    hint = (
        f"Did you mean {listing(near, 3)}?"
        if near
        else f"Columns: {listing(_quoted(columns), 12)}."
    )
    return f"There is no column '{column}'. {hint}"


def close_names(column: str, columns: Sequence[str]) -> list[str]:
    """Up to three column names that look like a misspelt one, quoted."""
    folded = {snake_name(name): name for name in columns}
    near = difflib.get_close_matches(snake_name(column), list(folded), n=3, cutoff=0.6)
    inside = [k for k in folded if len(column) > 2 and snake_name(column) in k and k not in near]
    return _quoted([folded[key] for key in (*near, *inside)][:3])


def _quoted(names: Sequence[str]) -> list[str]:
    return [f"'{name}'" for name in names]


def infer_roles(table: Table, *, target: str | Sequence[str] | None = None) -> Roles:
    """Guess the role of every column; `target` overrules the guess for the target.

    Raises
    ------
    DataError : the target is not in the table (close names are suggested), or the table has
        one column and no features.
    """
    frame: dict[str, pd.Series[Any]] = {str(name): cells for name, cells in table.frame.items()}
    reasons: dict[str, str] = {}
    chosen: dict[str, str] = {}
    if not table.columns:
        raise DataError(
            f"{table.name} has features and no labels. Save the labels with it, as an array y "
            f"with one value per row."
        )
    if len(table.columns) == 1 and not table.arrays:
        raise DataError(
            f"{table.name} has one column, '{table.columns[0]}'. A target and at least one feature "
            f"are needed; if the columns run together, give the delimiter."
        )
    if target is not None:
        for name in _given_target(table, target):
            chosen[name], reasons[name] = "target", "Chosen by you."
    for role, judge in _JUDGES:
        if role in chosen.values():
            continue
        for name in _by_name_order(role, [c for c in frame if c not in chosen]):
            reason = judge(name, snake_name(name), frame[name])
            if reason:
                chosen[name], reasons[name] = role, reason
                if role != "ignore":
                    break
    if "target" not in chosen.values():
        for name, reason in _guess_target(table, chosen):
            chosen[name], reasons[name] = "target", reason
    targets = tuple(name for name, role in chosen.items() if role == "target")
    in_order = {name: chosen.get(name, "feature") for name in table.columns}
    rest = (name for name in table.columns if name not in chosen)
    reasons |= {name: _feature_reason(frame[name]) for name in rest}
    return _from_choice(in_order, reasons, targets, table.columns)


def _given_target(table: Table, target: str | Sequence[str]) -> tuple[str, ...]:
    names = (target,) if isinstance(target, str) else tuple(target)
    if not names:
        raise DataError("No target column was given. Name at least one.")
    if len(names) == 1 and names[0] not in table.columns and "," in names[0]:
        parts = tuple(part.strip() for part in names[0].split(","))
        names = parts if all(part in table.columns for part in parts) else names
    for name in names:
        if name not in table.columns:
            hint = _unknown(name, table.columns).split(". ", 1)[1]
            raise DataError(f"The target '{name}' is not a column of {table.name}. {hint}")
    if len(set(names)) < len(names):
        raise DataError(f"The same target column was given twice: {listing(_quoted(names), 6)}.")
    return names


def _guess_target(table: Table, chosen: dict[str, str]) -> list[tuple[str, str]]:
    free = [name for name in table.columns if name not in chosen]
    if not free:
        raise DataError(
            f"{table.name} has no column left for the target: every column looks like an id, a "
            f"weight, a group, a time or a split. Name the target column."
        )
    if table.arrays:
        stems = [
            name for name in free if re.fullmatch(r"(y|targets?|labels?)_\d+", snake_name(name))
        ]
        if len(stems) > 1:
            return [(name, "Part of the array of labels.") for name in stems]
    snakes = {snake_name(name): name for name in reversed(free)}
    for wanted in TARGET_NAMES:
        if wanted in snakes:
            return [(snakes[wanted], f"The name '{snakes[wanted]}' is usual for a target.")]
    for name in reversed(free):
        if snake_name(name).endswith(TARGET_ENDINGS) or snake_name(name).startswith("target_"):
            return [(name, f"The name '{name}' looks like a target's.")]
    return [(free[-1], _LAST_COLUMN)]


def _feature_reason(column: pd.Series[Any]) -> str:
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "No other role fits these categories."
    if pd.api.types.is_bool_dtype(dtype):
        return "No other role fits a column of true and false."
    if _is_number(column):
        return "No other role fits these numbers."
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "No other role fits: another column is the time."
    return "No other role fits this text."


# One judge per role: (name, snake name, column) → a reason, or None when the column is not that.

_Judge = Callable[[str, str, "pd.Series[Any]"], str | None]


def _by_name_order(role: str, names: list[str]) -> list[str]:
    """Exact names before look-alikes: `id` before `order_id`."""
    preferred = {"id": ID_NAMES, "time": TIME_NAMES, "weight": WEIGHT_NAMES}.get(role, ())
    rank = {name: i for i, name in enumerate(preferred)}
    return sorted(names, key=lambda name: rank.get(snake_name(name), len(rank)))


def _judge_ignore(name: str, snake: str, column: pd.Series[Any]) -> str | None:
    if re.fullmatch(r"unnamed: \d+|unnamed_\d+", name.lower()) or not name.strip():
        return "A column without a name, as row numbers leave it."
    if name == SOURCE_FILE:
        return "Says which file a row came from."
    if column.dtype == object and not is_text(column):
        head = column.dropna().head(20)
        if any(isinstance(cell, (list, dict, tuple, np.ndarray)) for cell in head):
            return "Holds lists or nested records, which no model here takes."
    return None


def _judge_split(name: str, snake: str, column: pd.Series[Any]) -> str | None:
    if snake not in SPLIT_NAMES or not _is_label_like(column):
        return None
    values = {str(value).strip().lower() for value in column.dropna().unique()[:20]}
    if values and values <= SPLIT_VALUES:
        return f"Its values are {listing(sorted(values), 4)}."
    return None


def _judge_weight(name: str, snake: str, column: pd.Series[Any]) -> str | None:
    if snake not in WEIGHT_NAMES or not _is_number(column):
        return None
    if bool((column > 0).any()):
        return f"The name '{name}' says that rows are weighted by it; make it a feature if not."
    return None


def _judge_id(name: str, snake: str, column: pd.Series[Any]) -> str | None:
    named = snake in ID_NAMES or snake.endswith(("_id", "_uuid", "_key", "_guid"))
    coded = not named and is_text(column) and len(column) >= 20 and _look_like_codes(column)
    # Whether millions of values differ is asked last.
    if not (named or coded) or not (_is_label_like(column) and _is_unique(column)):
        return None
    if named:
        return f"Named like an id, and all {len(column):,} values differ."
    return f"All {len(column):,} values are codes and differ."


def _judge_group(name: str, snake: str, column: pd.Series[Any]) -> str | None:
    stem = snake.removesuffix("_id").removesuffix("_key").removesuffix("_number")
    repeated = snake in ("id", "uuid", "guid")
    named = stem in GROUP_WORDS or snake.endswith("_id") or repeated
    if not named or not _is_label_like(column):
        return None
    distinct = int(column.nunique())
    if repeated and 2 <= distinct < int(column.notna().sum()):
        return f"Named like an id, but only {distinct:,} of {len(column):,} values differ."
    if 2 <= distinct < int(column.notna().sum()) and (distinct >= 10 or snake.endswith("_id")):
        return f"Rows belong together by it: {plural(distinct, 'value')} in {len(column):,} rows."
    return None


def _judge_time(name: str, snake: str, column: pd.Series[Any]) -> str | None:
    if isinstance(column.dtype, pd.DatetimeTZDtype) or pd.api.types.is_datetime64_any_dtype(column):
        return "Holds dates."
    if snake in EPOCH_NAMES and _is_number(column):
        return f"The name '{name}' says that it is a time."
    return None


def _is_number(column: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(
        column.dtype
    )


def _is_label_like(column: pd.Series[Any]) -> bool:
    """Text, categories or integers: what names a thing."""
    return (
        is_text(column)
        or isinstance(column.dtype, pd.CategoricalDtype)
        or pd.api.types.is_integer_dtype(column.dtype)
    )


def _is_unique(column: pd.Series[Any]) -> bool:
    return len(column) > 1 and bool(column.notna().all()) and bool(column.is_unique)


def _look_like_codes(column: pd.Series[Any]) -> bool:
    return all(CODE.fullmatch(str(cell)) for cell in column.head(200))


_JUDGES: tuple[tuple[str, _Judge], ...] = (
    ("ignore", _judge_ignore),
    ("split", _judge_split),
    ("weight", _judge_weight),
    ("id", _judge_id),
    ("group", _judge_group),
    ("time", _judge_time),
)
