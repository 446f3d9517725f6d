"""The samples that ship with Sidelight: data, models, and what to look at. Reads, never builds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .contracts import Label, OutputSpace, ScoreKind, Task
from .data import PredictionColumns, Roles, Table
from .errors import DataError, ParameterError

__all__ = ["Sample", "SampleModel", "list_samples", "read_sample"]


@dataclass(frozen=True)
class SampleModel:
    """One model or prediction file of a sample.

    Attributes
    ----------
    file : name in the sample's folder.
    name : display name.
    kind : "model" (a loadable file) or "predictions" (a table of answers).
    columns : predictions only: which column is what.
    scores : metric name → the value recorded when the sample was built, on the rows that the
        sample evaluates; classification at the model's own labels.
    units : in which units a model can be explained, its natural one first.
    """

    file: str
    name: str
    kind: str
    columns: PredictionColumns | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    units: tuple[OutputSpace, ...] = ()


@dataclass(frozen=True)
class Sample:
    """A data set with its models.

    Attributes
    ----------
    sentence : what it teaches.
    data : name of the data file in `folder`.
    roles : the role of each column that has one; the rest is ignored.
    split_value : the part of the split column that is evaluated, None = all rows.
    threshold : where the common threshold control starts, in [0, 1].
    headline : file name of the model to look at first.
    histories : training histories of the networks, CSV and JSON.
    size_tables : tables of training sizes and scores.
    digests, sizes : file name → hex sha-256, bytes.
    n_rows, n_evaluated : rows of the data file, rows of the evaluated part.
    weak_slice : `loans`: where a weakness was planted, empty elsewhere.
    """

    key: str
    title: str
    sentence: str
    task: Task
    folder: Path
    data: str
    roles: Roles
    pos_label: Label | None
    split_value: str | None
    threshold: float
    headline: str
    models: tuple[SampleModel, ...]
    histories: tuple[str, ...]
    size_tables: tuple[str, ...]
    digests: Mapping[str, str]
    sizes: Mapping[str, int]
    n_rows: int
    n_evaluated: int
    weak_slice: Mapping[str, Any]

    def path(self, file: str) -> Path:
        """Where a file of this sample lies.

        Raises
        ------
        ParameterError : the sample has no such file.
        """
        self.digest_of(file)
        return self.folder / file

    def digest_of(self, file: str) -> str:
        """The recorded sha-256 of a file, for cache keys.

        Raises
        ------
        ParameterError : the sample has no such file.
        """
        if file not in self.digests:
            raise ParameterError(
                f"Sample {self.key!r} has no file {file!r}. Files: {', '.join(self.digests)}."
            )
        return self.digests[file]

    def roles_for(self, table: Table) -> Roles:
        """The roles of every column of the sample's own table."""
        known = self.roles.as_dict()
        rest = tuple(name for name in table.columns if name not in known)
        features = tuple(name for name in self.roles.features if name in table.columns)
        reasons = dict.fromkeys(known, f"Set by the sample {self.title}.")
        reasons |= dict.fromkeys(rest, "No model of this sample uses it.")
        return Roles(
            target=self.roles.target,
            features=features,
            id=self.roles.id,
            weight=self.roles.weight,
            group=self.roles.group,
            time=self.roles.time,
            split=self.roles.split,
            ignore=rest,
            reasons={name: reasons[name] for name in table.columns if name in reasons},
        )


def list_samples() -> tuple[Sample, ...]:
    """Every sample, in the order in which they are offered."""
    return _read_all(_folder())


def read_sample(key: str) -> Sample:
    """One sample by its key.

    Raises
    ------
    ParameterError : no sample has this key; the known ones are named.
    """
    samples = {sample.key: sample for sample in list_samples()}
    if key not in samples:
        raise ParameterError(f"There is no sample {key!r}. Known: {', '.join(samples)}.")
    return samples[key]


def _folder() -> Path:
    """`sample_models` beside this package, or wherever it was installed; it is not imported."""
    beside = Path(__file__).resolve().parent.parent / "sample_models"
    if (beside / "manifest.json").is_file():
        return beside
    found = find_spec("sample_models")
    if found is not None and found.submodule_search_locations:
        return Path(next(iter(found.submodule_search_locations)))
    return beside


@lru_cache(maxsize=4)
def _read_all(folder: Path) -> tuple[Sample, ...]:
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            "The samples cannot be read: sample_models/manifest.json is missing or damaged. "
            "Remake them with `python -m sample_models.build`."
        ) from error
    return tuple(_sample(entry, folder) for entry in manifest["samples"])


def _sample(entry: Mapping[str, Any], folder: Path) -> Sample:
    files = entry["files"]
    return Sample(
        key=entry["key"],
        title=entry["title"],
        sentence=entry["sentence"],
        task=Task(entry["task"]),
        folder=folder / entry["key"],
        data=entry["data"],
        roles=_roles(entry),
        pos_label=entry["pos_label"],
        split_value=entry["split_value"],
        threshold=entry["threshold"],
        headline=entry["headline"],
        models=tuple(_model(model) for model in entry["models"]),
        histories=tuple(entry.get("histories", ())),
        size_tables=tuple(entry.get("size_tables", ())),
        digests={name: facts["sha256"] for name, facts in files.items()},
        sizes={name: facts["bytes"] for name, facts in files.items()},
        n_rows=entry["n_rows"],
        n_evaluated=entry["n_evaluated"],
        weak_slice=entry.get("weak_slice", {}),
    )


def _roles(entry: Mapping[str, Any]) -> Roles:
    roles = entry["roles"]
    return Roles(
        target=tuple(entry["target"]),
        features=tuple(entry["features"]),
        id=roles.get("id"),
        weight=roles.get("weight"),
        group=roles.get("group"),
        time=roles.get("time"),
        split=roles.get("split"),
        ignore=tuple(roles["ignore"]),
    )


def _model(entry: Mapping[str, Any]) -> SampleModel:
    columns = entry.get("columns")
    return SampleModel(
        file=entry["file"],
        name=entry["name"],
        kind=entry["kind"],
        columns=None if columns is None else _columns(columns),
        scores=dict(entry["scores"]),
        units=tuple(OutputSpace(unit) for unit in entry.get("units", ())),
    )


def _columns(entry: Mapping[str, Any]) -> PredictionColumns:
    return PredictionColumns(
        label=entry["label"],
        scores=dict(entry["scores"]),
        id=entry["id"],
        kind=ScoreKind(entry["kind"]),
    )
