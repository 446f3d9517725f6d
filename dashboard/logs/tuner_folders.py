"""KerasTuner's folders: one `trial.json` for each trial, the unfinished and failed ones too."""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from ..contracts.searches import (
    NOTHING,
    SearchParameter,
    SearchResults,
    SearchScore,
    TrialStatus,
)
from ..errors import DataError
from ..wording import plural
from .search_values import direction_of, scalar

__all__ = ["MOST_TRIALS", "is_trial", "read_tuner_folder", "tuner_members"]

Floats = npt.NDArray[np.float64]
Scalar = str | int | float | bool
MOST_TRIALS = 20_000
_MOST_BYTES = 64 << 20  # of all trials unpacked; one has a few thousand
_MOST_OF_ONE = 4 << 20
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)
_STATUS: dict[str, TrialStatus] = {
    "COMPLETED": "complete",
    "STOPPED": "partial",
    "INVALID": "failed",
    "FAILED": "failed",
    "RUNNING": "running",
    "IDLE": "waiting",
}
_OWN = "tuner/"  # Hyperband's own entries among the values of a trial


def is_trial(content: bytes) -> bool:
    """Whether this is one `trial.json`."""
    head = content[: 1 << 20].lstrip()
    if head[:1] != b"{" or b'"trial_id"' not in head or len(content) > _MOST_OF_ONE:
        return False
    try:
        return _is_trial(json.loads(content))
    except (ValueError, RecursionError):
        return False


def _is_trial(found: Any) -> TypeGuard[dict[str, Any]]:
    return (
        isinstance(found, dict)
        and "trial_id" in found
        and isinstance(found.get("hyperparameters"), dict)
        and isinstance(found["hyperparameters"].get("values"), dict)
    )


def tuner_members(content: bytes) -> dict[str, bytes]:
    """The trials in a zip archive of a folder, by their paths; empty where there are none.

    Raises
    ------
    DataError : more trials than are read, or larger ones.
    """
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [one for one in archive.infolist() if _named(one.filename)]
            _check_size(members)
            for one in members:
                with archive.open(one) as stream:
                    found[one.filename] = stream.read(one.file_size + 1)
    except _DAMAGED:
        return found
    return {name: part for name, part in found.items() if is_trial(part)}


def _named(path: str) -> bool:
    return PurePosixPath(path.replace("\\", "/")).name == "trial.json" and "__MACOSX" not in path


def _check_size(members: Sequence[zipfile.ZipInfo]) -> None:
    size = sum(one.file_size for one in members)
    if len(members) > MOST_TRIALS or size > _MOST_BYTES:
        raise DataError(
            f"The archive holds {plural(len(members), 'trial')} of {size / 2**20:,.0f} MB; up to "
            f"{MOST_TRIALS:,} of {_MOST_BYTES >> 20} MB are read. Give the best ones only."
        )


def read_tuner_folder(files: Mapping[str, bytes], name: str) -> SearchResults:
    """The trials of one search, in the order of their numbers.

    A trial's score is KerasTuner's own: the mean over the executions at its best step. Conditional
    parameters that do not apply to a trial are absent in it. Of Hyperband, trials that were given
    fewer epochs than others are partial.

    Raises
    ------
    DataError : no trial that can be read.
    """
    trials, broken = _trials(files)
    if not trials:
        raise DataError(
            f"{name} holds no readable trial of KerasTuner (trial.json). Pack the folder of one "
            "project (the one with oracle.json) as a zip archive."
        )
    projects = {str(PurePosixPath(path).parent.parent) for path in files if _named(path)}
    metric, scores = _scores(trials)
    epochs = np.array([_epochs(one) for one in trials])
    resource = epochs if np.isfinite(epochs).any() else None
    status = [_status(one, resource, k) for k, one in enumerate(trials)]
    notes = [f"{plural(broken, 'file')} could not be read as a trial."] if broken else []
    if len(projects) > 1:
        notes.append(f"Trials of {len(projects)} folders are taken as one search.")
    if metric and not any(one.larger_is_better is not None for one in scores[:1]):
        notes.append("The files do not say whether larger scores are better.")
    failed = status.count("failed")
    if failed:
        notes.append(
            f"{plural(failed, 'trial')} failed and {'has' if failed == 1 else 'have'} no score."
        )
    return SearchResults(
        name=name,
        source="KerasTuner Hyperband" if resource is not None else "KerasTuner",
        trials=tuple(str(one["trial_id"])[:40] for one in trials),
        status=tuple(status),
        parameters=_parameters(trials),
        scores=scores,
        resource=resource,
        resource_name="epochs" if resource is not None else "",
        notes=tuple(notes),
    )


def _trials(files: Mapping[str, bytes]) -> tuple[list[dict[str, Any]], int]:
    found, broken = [], 0
    for path in sorted(files, key=_natural):
        if not _named(path):
            continue
        try:
            one = json.loads(files[path])
        except (ValueError, RecursionError):
            one = None
        if _is_trial(one):
            found.append(one)
        else:
            broken += 1
    return found, broken


def _natural(path: str) -> list[tuple[int, str]]:
    """`trial_2` before `trial_10`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path)]


def _epochs(trial: Mapping[str, Any]) -> float:
    value = scalar(trial["hyperparameters"]["values"].get(f"{_OWN}epochs"))
    return float(value) if isinstance(value, (int, float)) else math.nan


def _status(trial: Mapping[str, Any], epochs: Floats | None, k: int) -> TrialStatus:
    status = _STATUS.get(str(trial.get("status")), "failed")
    if status == "complete" and epochs is not None and epochs[k] < np.nanmax(epochs):
        return "partial"
    return status


# --- scores ------------------------------------------------------------------------------------


def _scores(trials: Sequence[Mapping[str, Any]]) -> tuple[str, tuple[SearchScore, ...]]:
    """The metric searched for, then the others that were measured on validation rows."""
    objective = _objective(trials)
    own = np.array([_number(one.get("score")) for one in trials])
    names = list(dict.fromkeys(name for one in trials for name in _metrics(one)))
    first = SearchScore(
        _bare(objective),
        _direction(trials, objective),
        own,
        train=_train(trials, objective, names),
    )
    others = [
        SearchScore(
            _bare(name),
            _direction(trials, name),
            _at_best(trials, name),
            train=_train(trials, name, names),
        )
        for name in names
        if name.startswith("val_") and name != objective
    ]
    return objective, (first, *others)


def _objective(trials: Sequence[Mapping[str, Any]]) -> str:
    """Its name is nowhere in the trials: it is the metric whose value the scores repeat."""
    names = list(dict.fromkeys(name for one in trials for name in _metrics(one)))
    own = np.array([_number(one.get("score")) for one in trials])
    for name in sorted(names, key=lambda name: not name.startswith("val_")):
        same = _at_best(trials, name)
        known = np.isfinite(own)
        if known.any() and np.allclose(same[known], own[known], rtol=1e-9, atol=0, equal_nan=False):
            return name
    return "score"


def _bare(name: str) -> str:
    return name.removeprefix("val_")


def _metrics(trial: Mapping[str, Any]) -> Mapping[str, Any]:
    held = trial.get("metrics")
    found = held.get("metrics") if isinstance(held, dict) else None
    return found if isinstance(found, dict) else {}


def _at_best(trials: Sequence[Mapping[str, Any]], name: str) -> Floats:
    """`(n,)` mean over the executions at each trial's best step; nan where not measured."""
    out = np.full(len(trials), math.nan)
    for k, one in enumerate(trials):
        measured = _metrics(one).get(name)
        seen = measured.get("observations") if isinstance(measured, dict) else None
        for each in seen if isinstance(seen, list) else ():
            if isinstance(each, dict) and each.get("step") == one.get("best_step"):
                values = each.get("value")
                numbers = [_number(v) for v in (values if isinstance(values, list) else [values])]
                out[k] = float(np.mean(numbers)) if numbers else math.nan
    return out


def _train(trials: Sequence[Mapping[str, Any]], name: str, names: Sequence[str]) -> Floats | None:
    bare = _bare(name)
    return _at_best(trials, bare) if bare != name and bare in names else None


def _direction(trials: Sequence[Mapping[str, Any]], name: str) -> bool | None:
    for one in trials:
        measured = _metrics(one).get(name)
        told = measured.get("direction") if isinstance(measured, dict) else None
        if told in ("min", "max"):
            return bool(told == "max")
    return direction_of(name)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


# --- parameters --------------------------------------------------------------------------------


def _parameters(trials: Sequence[Mapping[str, Any]]) -> tuple[SearchParameter, ...]:
    space: dict[str, Mapping[str, Any]] = {}
    for one in trials:
        for entry in one["hyperparameters"].get("space") or ():
            config = entry.get("config") if isinstance(entry, dict) else None
            if isinstance(config, dict) and isinstance(config.get("name"), str):
                space[config["name"]] = config
    names = list(
        dict.fromkeys(
            name
            for one in trials
            for name in one["hyperparameters"]["values"]
            if not name.startswith(_OWN)
        )
    )
    fixed = {name for name, config in space.items() if "value" in config}
    return tuple(
        SearchParameter(
            name,
            tuple(_value(one["hyperparameters"]["values"], name, space) for one in trials),
            declared=_ends(space.get(name, {})),
            declared_scale=_scale(space.get(name, {})),
        )
        for name in names
        if name not in fixed
    )


def _value(
    values: Mapping[str, Any], name: str, space: Mapping[str, Mapping[str, Any]]
) -> Scalar | None:
    """The value of a trial, None where its conditions do not hold."""
    if name not in values:
        return None
    conditions = space.get(name, {}).get("conditions")
    for each in conditions if isinstance(conditions, list) else ():
        config = each.get("config") if isinstance(each, dict) else None
        allowed = config.get("values") if isinstance(config, dict) else None
        if isinstance(allowed, list) and values.get(str(config.get("name"))) not in allowed:  # type: ignore[union-attr]
            return None
    return NOTHING if values[name] is None else scalar(values[name])


def _ends(config: Mapping[str, Any]) -> tuple[float, float] | None:
    low, high = _number(config.get("min_value")), _number(config.get("max_value"))
    listed = config.get("values")
    if isinstance(listed, list) and listed:
        numbers = [_number(value) for value in listed]
        low, high = min(numbers), max(numbers)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def _scale(config: Mapping[str, Any]) -> Any:
    told = config.get("sampling")
    return "log" if told in ("log", "reverse_log") else "linear" if told == "linear" else None
