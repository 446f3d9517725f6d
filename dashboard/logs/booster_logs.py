"""What boosters log: XGBoost's `evals_result`, LightGBM's `record_evaluation`, CatBoost's folder.

XGBoost and LightGBM give a dictionary of sets of rows, each a dictionary of metrics with one number
a round. CatBoost writes `learn_error.tsv`, `test_error.tsv` and `catboost_training.json`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..contracts import Run, Series
from ..errors import DataError
from ..wording import listing
from .columns import MOST_CELLS, numbers_of
from .names import Named, clean_name, part_of

__all__ = [
    "catboost_columns",
    "is_catboost_json",
    "is_catboost_table",
    "is_evaluations",
    "run_of_catboost",
    "run_of_evaluations",
    "writer_of",
]

Table = Mapping[str, Mapping[str, Sequence[Any]]]  # set of rows → metric → a number a round

_MOST_SETS = 20
_LIGHTGBM_METRICS = re.compile(r"^(l1|l2|binary_logloss|multi_logloss|binary_error|multi_error)$")
_TSV = re.compile(r"^(?P<metric>.+?)(:(?P<set>\d{1,3}))?$")


def is_evaluations(found: Any) -> bool:
    """Whether it is a dictionary of sets, metrics and numbers of one length."""
    if not isinstance(found, dict) or not found:
        return False
    sets = list(found.values())
    if not all(isinstance(metrics, dict) and metrics for metrics in sets):
        return False
    lists = [values for metrics in sets for values in metrics.values()]
    if not all(isinstance(values, list) and values for values in lists):
        return False
    return len({len(values) for values in lists}) == 1 and all(
        numbers_of(values) is not None for values in lists
    )


def writer_of(table: Table) -> str:
    """ "LightGBM" or "XGBoost", by the names of the sets and the metrics."""
    metrics = [metric for one in table.values() for metric in one]
    if any(name == "training" or re.fullmatch(r"valid_\d+", name) for name in table):
        return "LightGBM"
    return "LightGBM" if any(map(_LIGHTGBM_METRICS.match, metrics)) else "XGBoost"


def run_of_evaluations(table: Table, name: str, mapping: Mapping[str, Named] | None = None) -> Run:
    """The rounds of XGBoost or LightGBM. `mapping` : "set metric" → (metric, part)."""
    parts, notes = _parts(list(table))
    return _run(table, parts, name, writer_of(table), mapping, notes)


def _parts(sets: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The part of every set of rows, by its name or its place, and what was assumed."""
    found = {name: _part(name) for name in sets}
    validations = [name for name in sets if found[name] == "validation"]
    notes = []
    if len(validations) > 1 and "train" not in found.values() and _is_numbered(validations):
        found[validations[0]] = "train"
        notes.append(
            f"{clean_name(validations[0])} is taken for the training rows and "
            f"{clean_name(validations[1])} for the validation rows, as they are usually given; map "
            "them if it is otherwise."
        )
    elif "validation" not in found.values() and "test" in found.values():
        first = next(name for name in sets if found[name] == "test")
        found[first] = "validation"
        notes.append(
            f"{clean_name(first)} was watched during training, so it is shown as validation."
        )
    notes += _one_each(found)
    return found, notes


def _part(name: str) -> str:
    words = re.split(r"[^a-z]+", name.casefold())
    return next((part_of(word) for word in words if part_of(word)), "")


def _is_numbered(names: Sequence[str]) -> bool:
    return all(re.fullmatch(r"validation_\d+", name) for name in names)


def _one_each(found: dict[str, str]) -> list[str]:
    """Each part once: further sets take the parts that are free, what then is left stays out."""
    free = [part for part in ("train", "validation", "test") if part not in found.values()]
    taken: set[str] = set()
    moved, left = [], []
    for name, part in found.items():
        if part and part not in taken:
            taken.add(part)
            continue
        later = [one for one in free if one != "train" or not part]
        found[name] = later[0] if later else ""
        if later:
            free.remove(later[0])
            taken.add(later[0])
            moved.append(f"{clean_name(name)} is shown as {later[0]}.")
        else:
            left.append(clean_name(name))
    if left:
        moved.append(f"Left out, as there are more sets of rows than three: {listing(left)}.")
    return moved


def _run(
    table: Table,
    parts: Mapping[str, str],
    name: str,
    source: str,
    mapping: Mapping[str, Named] | None,
    notes: Sequence[str],
    steps: Any = None,
) -> Run:
    series = []
    for rows, metrics in table.items():
        for metric, values in metrics.items():
            logged = f"{rows} {metric}"
            called, part = (mapping or {}).get(logged, (_metric(metric), parts[rows]))
            cells = numbers_of(values)
            if cells is None or not part or not called:
                continue
            count = np.arange(len(values)) if steps is None else steps
            series.append(
                Series(called, part, count, cells.values, "iteration", None, clean_name(logged))
            )
    if not series:
        raise DataError(f"{name} holds no number of a training. Log at least one round.")
    return Run(name, source, tuple(series), (), {}, tuple(notes))


def _metric(name: str) -> str:
    """The metric's own name, in small letters: XGBoost's and LightGBM's are, CatBoost's are not."""
    plain = clean_name(name).casefold()
    return {"multiclass": "multi_logloss"}.get(plain, plain)


# --- CatBoost ------------------------------------------------------------------------------------


def is_catboost_table(columns: Mapping[str, Sequence[Any]]) -> bool:
    """Whether a table is `learn_error.tsv` or `test_error.tsv`."""
    names = list(columns)
    if names[:1] != ["iter"] or len(names) < 2 or set(names) == {"iter", "Passed", "Remaining"}:
        return False
    cells = [numbers_of(values) for values in columns.values()]
    if cells[0] is None or any(one is None for one in cells):
        return False
    return np.array_equal(np.diff(cells[0].values), np.ones(len(cells[0].values) - 1))


def is_catboost_json(found: Any) -> bool:
    """Whether it is `catboost_training.json`."""
    return (
        isinstance(found, dict)
        and isinstance(found.get("meta"), dict)
        and isinstance(found.get("iterations"), list)
        and "learn_metrics" in found["meta"]
    )


def catboost_columns(columns: Mapping[str, Sequence[Any]], is_test: bool) -> Table:
    """Sets and metrics out of the columns of one of CatBoost's tables.

    Of several sets all but the last carry their number, "AUC:0".
    """
    told = {column: _TSV.match(column) for column in columns if column != "iter"}
    numbers = [int(one["set"]) for one in told.values() if one is not None and one["set"]]
    last = max(numbers, default=-1) + 1
    found: dict[str, dict[str, Sequence[Any]]] = {}
    for column, one in told.items():
        if one is not None:
            number = int(one["set"]) if one["set"] else last
            rows = f"test{number or ''}" if is_test else "learn"
            found.setdefault(rows, {})[one["metric"]] = columns[column]
    return dict(sorted(found.items()))


def run_of_catboost(
    found: Any,
    learn: Mapping[str, Sequence[Any]] | None,
    test: Mapping[str, Sequence[Any]] | None,
    name: str,
    mapping: Mapping[str, Named] | None = None,
) -> Run:
    """CatBoost's rounds out of its JSON, or out of its tables where there is none.

    Raises
    ------
    DataError : the JSON is not what CatBoost writes, or no round was logged.
    """
    steps = None
    if found is not None:
        table, steps = _catboost_json(found, name)
    else:
        table = {
            **(catboost_columns(learn, is_test=False) if learn else {}),
            **(catboost_columns(test, is_test=True) if test else {}),
        }
    parts, notes = _parts(list(table))
    return _run(table, parts, name, "CatBoost", mapping, notes, steps)


def _catboost_json(found: Any, name: str) -> tuple[Table, Any]:
    table: dict[str, dict[str, Sequence[Any]]] = {}
    try:
        meta, rounds = found["meta"], found["iterations"]
        steps = np.array([int(one["iteration"]) for one in rounds], dtype=np.int64)
        for kind in ("learn", "test"):
            metrics = [str(one["name"]) for one in meta.get(f"{kind}_metrics", ())]
            sets = [str(one) for one in meta.get(f"{kind}_sets", ())][:_MOST_SETS]
            if len(metrics) * len(rounds) > MOST_CELLS:
                raise ValueError("more metrics than rounds could have")
            for rows in sets:
                held = [one.get(rows) or () for one in rounds]
                if any(held):
                    table[rows] = {
                        metric: [one[at] if at < len(one) else None for one in held]
                        for at, metric in enumerate(metrics)
                    }
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DataError(
            f"{name} is not the catboost_training.json that CatBoost writes. Give that file, or "
            "learn_error.tsv and test_error.tsv."
        ) from error
    return table, steps
