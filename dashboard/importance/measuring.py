"""What every way of measuring importance shares: features, rows, the metric that is watched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Model, Task
from ..data import EvalSet
from ..diagnostics.feature_groups import FeatureGroups, compute_feature_groups
from ..diagnostics.metrics import Metric, find_metric
from ..errors import NotApplicable, ParameterError
from ..explainers.pipelines import cell_names, is_sequence
from ..frames import FrameError
from ..wording import count, in_sentence, listing, number

__all__ = [
    "OF_LABELS",
    "USUAL",
    "Feature",
    "Groups",
    "change_of",
    "check_arrays",
    "correlated_groups",
    "features_of",
    "grouped_features",
    "metric_for",
    "sampled_rows",
    "worse",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Groups = Mapping[str, Sequence[str]] | Literal["correlated"] | None

# What is watched where no metric is named: it ranks, so that no threshold has a say.
USUAL = {
    Task.BINARY: "roc_auc",
    Task.MULTICLASS: "roc_auc_ovr",
    Task.MULTILABEL: "roc_auc_macro",
    Task.REGRESSION: "rmse",
    Task.MULTIOUTPUT_REGRESSION: "rmse",
}
OF_LABELS = {
    Task.BINARY: "balanced_accuracy",
    Task.MULTICLASS: "accuracy",
    Task.MULTILABEL: "hamming_loss",
}
MOST_CELLS = 4_096
"""Cells of an image or a sequence that are shuffled one by one at most."""


def metric_for(name: str | None, task: Task) -> Metric:
    """The metric of this name, or the usual one of a task.

    Raises
    ------
    ParameterError : no such metric.
    NotApplicable : a metric for other tasks, or without one number for the whole.
    """
    chosen = find_metric(name or USUAL[task])
    if task not in chosen.tasks:
        raise NotApplicable(f"{chosen.title} is not for {task.value} targets; choose another.")
    if not chosen.has_overall(task):
        raise NotApplicable(
            f"{chosen.title} is a number for each class here; choose one of its means."
        )
    return chosen


@dataclass(frozen=True)
class Feature:
    """A feature, or a group of columns, and where it lies in the rows."""

    name: str
    columns: tuple[int, ...]


def sampled_rows(evalset: EvalSet, n_rows: int | None, random_state: int) -> Ints:
    """Positions of at most `n_rows` rows, drawn alike in the target; all rows in order."""
    if n_rows is None or n_rows >= evalset.n:
        return np.arange(evalset.n)
    y = evalset.target.y if evalset.target.y.ndim == 1 else evalset.target.y.sum(axis=1)
    rng = np.random.default_rng(random_state)
    ordered = np.lexsort((rng.random(evalset.n), y))
    # one row from each of n_rows equal stretches of the rows sorted by their target
    edges = np.linspace(0, evalset.n, n_rows + 1)
    starts, widths = np.floor(edges[:-1]), np.floor(edges[1:]) - np.floor(edges[:-1])
    picks = starts + np.floor(rng.random(n_rows) * np.maximum(widths, 1))
    return np.sort(ordered[picks.astype(np.int64)])


def features_of(
    model: Model, X: pd.DataFrame | npt.NDArray[Any], groups: Mapping[str, Sequence[str]]
) -> list[Feature]:
    """The columns that the model reads, in their order; groups stand where their first column is.

    Columns of a group that are in the data and that the model does not read are left out of it.

    Raises
    ------
    ParameterError : a group of unknown columns, or columns in two groups.
    """
    single = _read_columns(model, X) if isinstance(X, pd.DataFrame) else _cells(model, X)
    places = {feature.name: feature for feature in single}
    given = set(places) | ({str(one) for one in X} if isinstance(X, pd.DataFrame) else set())
    owner: dict[str, str] = {}
    for group, names in groups.items():
        unknown = [name for name in names if name not in given]
        if unknown or not names:
            raise ParameterError(
                f"The group {group!r} names {listing(unknown) or 'no columns'}; name columns that "
                f"the model reads: {listing(list(places), 8)}."
            )
        for name in names:
            if owner.setdefault(name, group) != group:
                raise ParameterError(
                    f"The column {name!r} is in the groups {owner[name]!r} and {group!r}. "
                    "Put it into one."
                )
    taken = sorted(set(groups) & set(places))
    if taken:
        raise ParameterError(f"The group {taken[0]!r} is called like a column. Rename the group.")
    made: dict[str, Feature] = {}
    for feature in single:
        label = owner.get(feature.name, feature.name)
        held = made[label].columns if label in made else ()
        made[label] = Feature(label, (*held, *feature.columns))
    return list(made.values())


def grouped_features(model: Model, X: Any, groups: Groups) -> tuple[list[Feature], list[str]]:
    """As `features_of`; "correlated" finds columns that vary together, and says which they are.

    Raises
    ------
    ParameterError : as for `features_of`; another word than "correlated".
    """
    if isinstance(groups, str) and groups != "correlated":
        raise ParameterError(
            f"Argument groups must be 'correlated' or name columns for each group, got {groups!r}."
        )
    if groups != "correlated":
        return features_of(model, X, groups or {}), []
    if not isinstance(X, pd.DataFrame):
        return features_of(model, X, {}), ["Cells of arrays are not grouped by how they vary."]
    found, kept = _alike(model, X)
    said = [f"{name}: {listing(names, 9)}" for name, names in kept.items()]
    rule = f"rank correlation of at least {number(found.threshold, 1)}, all pairs of a group"
    note = f"Columns that vary together ({rule}) count as one: {'; '.join(said)}."
    return features_of(model, X, kept), [note if kept else f"No columns vary together ({rule})."]


def correlated_groups(model: Model, X: Any) -> dict[str, list[str]]:
    """The groups that "correlated" stands for on these rows, to take the same on others."""
    return _alike(model, X)[1] if isinstance(X, pd.DataFrame) else {}


def _alike(model: Model, X: pd.DataFrame) -> tuple[FeatureGroups, dict[str, list[str]]]:
    read = {feature.name for feature in features_of(model, X, {})}
    found = compute_feature_groups(X)
    kept = {name: [one for one in names if one in read] for name, names in found.groups.items()}
    return found, {name: names for name, names in kept.items() if len(names) > 1}


def _read_columns(model: Model, X: pd.DataFrame) -> list[Feature]:
    """The columns under the names that the model was fitted on; all where it names others."""
    names = [str(column) for column in X.columns]
    wanted = set(model.info.feature_names or ())
    every = not wanted or not wanted <= set(names)
    return [Feature(name, (at,)) for at, name in enumerate(names) if every or name in wanted]


def _cells(model: Model, X: npt.NDArray[Any]) -> list[Feature]:
    """Columns of a matrix, steps of sequences, pixels of images: all channels of one together."""
    shape = X.shape[1:]
    if len(shape) <= 1:
        wanted, m = model.info.feature_names, int(np.prod(shape))
        named = wanted is not None and len(wanted) == m
        names = list(wanted) if named and wanted else [f"x{at}" for at in range(m)]
        return [Feature(name, (at,)) for at, name in enumerate(names)]
    made: dict[str, list[int]] = {}
    for at, name in enumerate(cell_names(shape, steps=is_sequence(model, shape))):
        made.setdefault(name.partition(", channel ")[0], []).append(at)
    if len(made) > MOST_CELLS:
        raise NotApplicable(
            f"A row has {count(len(made))} pixels, too many to shuffle one by one; look at the "
            "explanations of single rows."
        )
    return [Feature(name, tuple(cells)) for name, cells in made.items()]


def check_arrays(arrays: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> None:
    given = [(array.shape, array.dtype.kind) for array in arrays]
    if given != [(shape, "f") for shape in shapes]:
        raise FrameError(f"There are arrays of {given}; expected are numbers of {list(shapes)}.")


def worse(metric: Metric, before: Any, after: Any) -> Any:
    """How much worse `after` is: above zero where the change did harm."""
    if metric.orientation == "higher":
        return before - after
    if metric.orientation == "lower":
        return after - before
    return np.abs(after) - np.abs(before)


def change_of(metric: Metric) -> str:
    """What importances measured by a metric are: `drop of ROC AUC`, `rise of RMSE`."""
    words = {"higher": "drop", "lower": "rise"}
    return f"{words.get(str(metric.orientation), 'shift')} of {in_sentence(metric.title)}"
