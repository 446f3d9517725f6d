"""What a session has loaded and chosen as plain JSON, and back: `snapshot`, `restore`.

A snapshot names files by digest and holds none. It may come from a file that a stranger exported,
so every value is checked on its way in: what is no text, no number in its bounds or no known word
stops the whole, with one sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args
from weakref import WeakValueDictionary

from components.checking import (
    Wrong,
    maybe,
    read_digest,
    read_each,
    read_flag,
    read_label,
    read_names,
    read_number,
    read_text,
    read_whole,
    read_word,
)
from components.choices import Choices
from components.entries import (
    Companion,
    History,
    ModelEntry,
    Problem,
    Said,
    Source,
    Waiting,
)
from components.opening import loader, stage_model
from components.recognising import recognise
from components.state import AppState
from components.studies import Studied
from dashboard.contracts import Model, ScoreKind, Task
from dashboard.data import (
    PredictionColumns,
    Roles,
    Table,
    infer_roles,
    read_data_files,
    read_table,
    read_tables,
)
from dashboard.diagnostics.operating import RULES
from dashboard.errors import DiagnosticsError, WorkspaceError
from dashboard.frames import (
    FrameError,
    decode_info,
    encode_info,
    tag_value,
)
from dashboard.gallery import EXHIBITS, Cells
from dashboard.logs.search_columns import ROLES
from dashboard.models import carries_code, identify
from dashboard.samples import Sample, list_samples, read_sample
from dashboard.settings import get_settings

__all__ = ["Readers", "restore", "snapshot"]

VERSION = 1
SLOTS = 64
SINGLE = ("id", "weight", "group", "time", "split")
T = TypeVar("T")

# Tables that some session of this server still holds: a refresh reads nothing anew.
_HELD: WeakValueDictionary[tuple[tuple[str, str], ...], Table] = WeakValueDictionary()


@dataclass(frozen=True)
class Readers:
    """Where contents come from.

    Attributes
    ----------
    path : digest → where the upload lies; raises `WorkspaceError` when it is gone.
    model, table : the cached readers of samples.
    foreign : somebody else may have put the files there: those that carry code are asked about.
    """

    path: Callable[[str], Path]
    model: Callable[[Sample, str], Model]
    table: Callable[[Sample, str], Table]
    foreign: bool = False


# -- out ---------------------------------------------------------------------------------------


def snapshot(state: AppState) -> dict[str, Any]:
    """The state as JSON values; equal states give equal snapshots."""
    if state.table is not None and state.sources:
        _HELD.setdefault(_key(state.sources), state.table)
    return {
        "version": VERSION,
        "sample": state.sample,
        "sources": _pairs(state.sources),
        "earlier": _pairs(state.earlier),
        "roles": None if state.roles is None else _roles_out(state.roles),
        "task": None if state.task is None else state.task.value,
        "pos_label": tag_value(state.pos_label),
        "split_value": state.split_value,
        "reference": state.reference,
        "view": {name: getattr(state, name) for name in _VIEW}
        | {"explored": state.explored.to_json(), "studied": state.studied.to_json()},
        "models": [_entry_out(state, entry) for entry in state.entries],
        "waiting": [[one.name, one.key] for one in state.waiting],
        "returning": [
            {**_entry_out(state, one.known), "above": list(one.above)}
            for one in (*state.waiting, *state.failed.values())
            if one.known is not None
        ],
        "failed": [
            [one.source, one.key, one.message] for one in state.problems if one.key in state.failed
        ],
        "companions": _pairs(state.companions),
        "histories": _pairs(state.histories),
        "said": {digest: _said_out(one) for digest, one in sorted(state.said.items())},
        "consented": sorted(state.consented),
    }


def _key(sources: Sequence[Source]) -> tuple[tuple[str, str], ...]:
    return tuple((one.name, one.digest) for one in sources)


def _pairs(sources: Sequence[Any]) -> list[list[str]]:
    return [[one.name, one.digest] for one in sources]


def _roles_out(roles: Roles) -> dict[str, Any]:
    return {
        "target": list(roles.target),
        "features": list(roles.features),
        "ignore": list(roles.ignore),
        **{name: getattr(roles, name) for name in SINGLE},
        "reasons": dict(roles.reasons),
        "columns": list(roles.columns),
        "named": list(roles.named),
    }


def _entry_out(state: AppState, entry: ModelEntry) -> dict[str, Any]:
    info = entry.known
    return {
        "key": entry.key,
        "kind": _kind(state, entry),
        "name": entry.name,
        "file": entry.file,
        "slot": entry.slot,
        "shown": entry.shown,
        "arrival": entry.arrival,
        "columns": None if entry.columns is None else _columns_out(entry.columns),
        "helpers": _pairs(entry.helpers),
        "info": None if info is None else encode_info(info),
        "size": 0 if info is None else info.size,
    }


def _kind(state: AppState, entry: ModelEntry) -> str:
    if not entry.uploaded:
        return "columns" if "#" in entry.key else "sample"
    return "model" if entry.table is None else "predictions"


def _said_out(said: Said) -> list[Any]:
    return [said.kind, [[name, role] for name, role in said.columns.items()], said.larger]


def _columns_out(columns: PredictionColumns) -> dict[str, Any]:
    return {
        "label": columns.label,
        "scores": [[name, tag_value(of)] for name, of in columns.scores.items()],
        "id": columns.id,
        "labels": [[name, tag_value(of)] for name, of in columns.labels.items()],
        "kind": None if columns.kind is None else columns.kind.value,
        "notes": list(columns.notes),
    }


# -- in: single values ---------------------------------------------------------------------------


def _source(value: Any) -> Source:
    name, digest = read_each(read_text, value, 2)
    return Source(name, read_digest(digest))


_VIEW: dict[str, Callable[[Any], Any]] = {
    "threshold": lambda value: read_number(value, 0.0, 1.0),
    "rule": lambda value: read_word(value, RULES),
    "label": lambda value: maybe(read_text, value),
    "normalise": lambda value: read_word(value, get_args(Cells)),
    "against_rest": read_flag,
    "cost_fp": lambda value: read_number(value, 0.0, 1e9),
    "cost_fn": lambda value: read_number(value, 0.0, 1e9),
    "tab": lambda value: read_word(value, ("", *EXHIBITS)),
    "picture": lambda value: read_word(value, ("png", "svg")),
}


def _roles(value: Any) -> Roles:
    reasons = value["reasons"]
    if not isinstance(reasons, dict):
        raise Wrong
    return Roles(
        target=read_names(value["target"]),
        features=read_names(value["features"]),
        ignore=read_names(value["ignore"]),
        **{name: maybe(read_text, value[name]) for name in SINGLE},
        reasons={read_text(column): read_text(reason) for column, reason in reasons.items()},
        columns=read_names(value["columns"]),
        named=read_names(value["named"]),
    )


def _said(value: Any) -> Said:
    kind, columns, larger = read_each(lambda one: one, value, 3)
    pairs = [(name, role) for name, role in read_each(read_names, columns)]
    return Said(
        read_word(kind, ("predictions", "log", "search")),
        {name: read_word(role, ROLES) for name, role in pairs},
        maybe(read_flag, larger),
    )


def _columns(value: Any) -> PredictionColumns:
    def pairs(given: Any) -> dict[str, Any]:
        return {read_text(name): read_label(of) for name, of in read_each(tuple, given)}

    return PredictionColumns(
        label=maybe(read_text, value["label"]),
        scores=pairs(value["scores"]),
        id=maybe(read_text, value["id"]),
        labels=pairs(value["labels"]),
        kind=maybe(ScoreKind, value["kind"]),
        notes=read_names(value["notes"]),
    )


# -- in ------------------------------------------------------------------------------------------


def restore(state: AppState, given: Mapping[str, Any], readers: Readers) -> None:
    """Make a fresh state what the snapshot says. No model is opened and no worker started.

    A file that is gone is reported, and the rest goes on.

    Raises
    ------
    WorkspaceError : it is no snapshot, of a newer version, or a value in it is not sound.
    """
    if not given:
        return
    if given.get("version") != VERSION:
        raise WorkspaceError(
            f"This workspace was written by another version of Sidelight "
            f"({str(given.get('version'))[:20]}; this one reads {VERSION}). Update Sidelight."
        )
    try:
        state.consented = set(read_each(read_digest, given["consented"], 10_000))
        told = given.get("said", {}).items()
        state.said = {read_digest(digest): _said(one) for digest, one in told}
        _restore_data(state, given, readers)
        _restore_models(state, given, readers)
        _restore_rest(state, given, readers)
    except (Wrong, FrameError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise WorkspaceError(
            "The description of this workspace is damaged. Start a new one, or import a backup."
        ) from error


def _restore_data(state: AppState, given: Mapping[str, Any], readers: Readers) -> None:
    state.task = maybe(Task, given["task"])
    state.pos_label = read_label(given["pos_label"])
    state.split_value = maybe(read_text, given["split_value"])
    roles = maybe(_roles, given["roles"])
    state.sources = tuple(read_each(_source, given["sources"], 10_000))
    try:
        if given["sample"] is not None:
            sample = read_sample(read_word(given["sample"], {one.key for one in list_samples()}))
            state.table, state.sample = readers.table(sample, sample.data), sample.key
        elif state.sources:
            state.table = _read(state, readers)
        if state.table is not None and roles is not None:
            _give_roles(state, state.table, roles)
        state.rebuild()
    except DiagnosticsError as error:
        state.report(state.sources[0].name if state.sources else "The data", error)


def _give_roles(state: AppState, table: Table, roles: Roles) -> None:
    """The roles as they were; guessed anew where the columns are others now."""
    if set(roles.as_dict()) == set(table.columns):
        state.roles = roles
        return
    state.roles = infer_roles(table)
    state.task = state.pos_label = state.split_value = None
    text = "Its columns are others than before; their roles are guessed anew."
    state.problems.append(Problem(f"Roles in {table.name}", text))


def _read(state: AppState, readers: Readers) -> Table:
    """The data as it was read before: uploads, or files of the server's folder of large data."""
    key = _key(state.sources)
    names = [one.name for one in state.sources]
    try:
        paths = [readers.path(one.digest) for one in state.sources]
    except WorkspaceError:
        if not get_settings().data_dir:
            raise
        return _read_on_server(state, names)
    state.files.update({one.digest: path for one, path in zip(state.sources, paths, strict=True)})
    table = _HELD.get(key)
    if table is None:
        uploads = list(zip(paths, names, strict=True))
        table = read_table(*uploads[0]) if len(uploads) == 1 else read_tables(uploads)
    return _HELD.setdefault(key, table)


def _read_on_server(state: AppState, names: list[str]) -> Table:
    table = read_data_files(names)
    if any(one.digest != table.digest for one in state.sources):
        text = "The file has changed since this workspace was last open; it is read as it is now."
        state.problems.append(Problem(names[0], text))
        state.sources = tuple(Source(name, table.digest) for name in names)
    return table


def _restore_models(state: AppState, given: Mapping[str, Any], readers: Readers) -> None:
    for value in read_each(dict, given["models"], SLOTS):
        entry, fill = _entry(state, value), _FILL[value["kind"]]
        try:
            if fill(state, entry, readers):
                state.entries.append(entry)
        except DiagnosticsError as error:
            _set_aside(state, entry, error)
    state.reference = maybe(read_text, given["reference"])


def _entry(state: AppState, value: Mapping[str, Any]) -> ModelEntry:
    key, _ = read_text(value["key"]), read_word(value["kind"], _FILL)
    entry = ModelEntry(
        key=key,
        name=state.free_name(read_text(value["name"], 200)),
        file=read_text(value["file"]),
        slot=_free(state, read_whole(value["slot"], SLOTS)),
        shown=read_flag(value["shown"]),
        arrival=read_whole(value["arrival"], 1 << 48),
        columns=maybe(_columns, value["columns"]),
        helpers=tuple(read_each(_source, value["helpers"], 1_000)),
    )
    if value["info"] is not None:
        size = read_whole(value["size"], 1 << 48)
        entry.info = decode_info(value["info"], digest=key, size=size)
    return entry


def _free(state: AppState, slot: int) -> int:
    """The slot unless another model has it: each has a colour of its own."""
    taken = {one.slot for one in state.entries} | {one.slot for one in state.waiting}
    return state.free_slot() if slot in taken else slot


def _above(state: AppState) -> tuple[str, ...]:
    """The keys of the models that the snapshot has named so far."""
    return tuple([one.key for one in state.entries] + [one.key for one in state.waiting])


def _set_aside(state: AppState, entry: ModelEntry, error: DiagnosticsError) -> None:
    """Report it; a file that is there but cannot be used stays, and can be tried again."""
    if entry.key not in state.files or not entry.uploaded:
        state.report(entry.file, error)
        return
    entry.helpers = tuple(one for one in entry.helpers if one.digest in state.files)
    _stay(state, Source(entry.file, entry.key), str(error), entry, _above(state))


def _stay(
    state: AppState, file: Source, why: str, known: ModelEntry | None, above: tuple[str, ...]
) -> None:
    """Keep a file that was not usable, so that it can be tried again."""
    slot, arrival = (known.slot, known.arrival) if known else (state.free_slot(), 0)
    waiting = Waiting(file.digest, file.name, slot, arrival, "failed", known=known, above=above)
    state.failed[file.digest] = waiting
    state.problems.append(Problem(file.name, why, file.digest))


# Each gives the entry what it needs; False: it does not stand among the models yet.


def _fill_model(state: AppState, entry: ModelEntry, readers: Readers) -> bool:
    for digest in (read_digest(entry.key), *(one.digest for one in entry.helpers)):
        state.files[digest] = readers.path(digest)
    path = readers.path(entry.key)
    if readers.foreign and carries_code(identify(path.read_bytes(), entry.file)):
        stage_model(state, entry.file, path, known=entry, above=_above(state))
        return False
    entry.load = loader(state, entry.key, entry.file, entry.helpers)
    return True


def _fill_predictions(state: AppState, entry: ModelEntry, readers: Readers) -> bool:
    path = state.files[entry.key] = readers.path(read_digest(entry.key))
    source = (Source(entry.file, entry.key),)
    entry.table = _HELD.get(_key(source)) or read_table(path, entry.file)
    _HELD[_key(source)] = entry.table
    return True


def _fill_columns(state: AppState, entry: ModelEntry, readers: Readers) -> bool:
    if state.table is None:
        raise WorkspaceError("The data file that holds these predictions is gone. Load it again.")
    entry.table = state.table
    return True


def _fill_sample(state: AppState, entry: ModelEntry, readers: Readers) -> bool:
    sample = read_sample(entry.key.partition("/")[0])
    item = next((one for one in sample.models if one.file == entry.file), None)
    if item is None:
        raise WorkspaceError(f"The sample {sample.title} no longer has this model. Remove it.")
    if item.kind == "predictions":
        entry.table = readers.table(sample, item.file)
    else:
        entry.load = partial(readers.model, sample, item.file)
    return True


_FILL: dict[str, Callable[[AppState, ModelEntry, Readers], bool]] = {
    "model": _fill_model,
    "predictions": _fill_predictions,
    "columns": _fill_columns,
    "sample": _fill_sample,
}


def _restore_rest(state: AppState, given: Mapping[str, Any], readers: Readers) -> None:
    """The view, files that wait or failed, and what else was dropped."""
    for name, read in _VIEW.items():
        setattr(state, name, read(given["view"][name]))
    state.explored = Choices.from_json(given["view"].get("explored", {}))
    state.studied = Studied.from_json(given["view"].get("studied", {}))

    def kept(source: Source) -> bool:
        try:
            state.files[source.digest] = readers.path(source.digest)
        except WorkspaceError as error:
            state.report(source.name, error)
            return False
        return True

    state.earlier = tuple(filter(kept, read_each(_source, given["earlier"], 10_000)))
    for one in filter(kept, read_each(_source, given["companions"], 1_000)):
        state.companions.append(Companion(one.name, one.digest))
    for one in filter(kept, read_each(_source, given["histories"], 1_000)):
        _restore_history(state, one, readers.path(one.digest))
    known = {}
    for value in read_each(dict, given.get("returning", []), SLOTS):
        entry = _entry(state, value)
        entry.helpers = tuple(filter(kept, entry.helpers))
        known[read_digest(entry.key)] = (entry, read_names(value["above"]))
    for one in filter(kept, read_each(_source, given["waiting"], 1_000)):
        was, above = known.get(one.digest, (None, ()))
        try:
            stage_model(state, one.name, state.files[one.digest], known=was, above=above)
        except DiagnosticsError as error:
            state.report(one.name, error)
    for name, key, message in read_each(tuple, given["failed"], 1_000):
        file = Source(read_text(name), read_digest(key))
        if kept(file):
            _stay(state, file, read_text(message), *known.get(key, (None, ())))


def _restore_history(state: AppState, file: Source, path: Path) -> None:
    """A log; what is none by now is asked about like any other file."""
    try:
        about, _ = recognise(path.read_bytes(), file.name, state.said.get(file.digest))
        if about is None:
            stage_model(state, file.name, path)
        else:
            state.histories.append(History(file.name, file.digest, about))
    except DiagnosticsError as error:
        state.report(file.name, error)
