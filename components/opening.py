"""How a dropped file gets in: identified, looked into, asked about, opened. Nothing here draws.

A model file is opened by its confined worker, never here. One that carries code is opened only
after a person has seen what is inside and agreed, once for each file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.entries import Companion, History, ModelEntry, Said, Source, Waiting
from components.jobs import Job
from components.recognising import (
    check_source,
    is_event_name,
    is_source,
    recognise,
    takes_no_place,
)
from dashboard.contracts import Model
from dashboard.data import (
    PredictionColumns,
    Roles,
    Table,
    infer_answers,
    infer_prediction_columns,
    infer_roles,
    is_training_log,
    read_data_files,
    read_table,
    read_tables,
)
from dashboard.errors import DiagnosticsError, LimitExceeded, ModelError, UntrustedModel
from dashboard.models import carries_code, identify, inspect_model, is_model, load_model
from dashboard.sandbox.confinement import Confinement, find_confinement
from dashboard.sandbox.pool import get_pool
from dashboard.sandbox.processes import watched
from dashboard.settings import get_settings
from dashboard.wording import listing

if TYPE_CHECKING:
    from components.state import AppState

__all__ = [
    "Reading",
    "add_now",
    "cancel",
    "cancel_reading",
    "consent",
    "consent_to_all",
    "discard",
    "get_ready",
    "is_for_models",
    "loader",
    "read_data",
    "settle",
    "stage_data",
    "stage_folder_file",
    "stage_joined",
    "stage_model",
    "try_again",
]

TABLES = frozenset({"text", "parquet", "feather", "excel", "json", "npz", "npy", "compressed"})

Content = bytes | Path


# -- data ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Reading:
    """Data files as read and understood; `contents` : the uploaded ones among them, by digest."""

    table: Table
    roles: Roles
    answers: Mapping[str, PredictionColumns]
    sources: tuple[Source, ...]
    contents: Mapping[str, Content]


def read_data(files: Sequence[tuple[str, Content | None]]) -> Reading:
    """Read one data set from one or more files of the same columns; None: in the data folder.

    A file that holds the truth and predictions brings its models along.

    Raises
    ------
    DataError : a file cannot be read, or two do not belong together.
    """
    uploads = [(content, name) for name, content in files if content is not None]
    if not uploads:
        table = read_data_files([name for name, _ in files])
    else:  # one alone may be any kind of file, also an archive of several
        table = read_table(*uploads[0]) if len(uploads) == 1 else read_tables(uploads)
    sources = [Source(name, _digest(content)) for content, name in uploads]
    contents = {one.digest: content for one, (content, _) in zip(sources, uploads, strict=True)}
    # A file of the data folder stays where it lies.
    sources += [Source(name, table.digest) for name, content in files if content is None]
    try:
        evalset, answers = infer_answers(table)
        return Reading(table, evalset.roles, answers, tuple(sources), contents)
    except DiagnosticsError:
        return Reading(table, infer_roles(table), {}, tuple(sources), contents)


def _digest(content: Content) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def get_ready() -> None:
    """Have a worker ready before the first model is dropped; returns at once."""
    get_pool(get_settings()).warm()


def stage_data(state: AppState, files: Sequence[tuple[str, Content | None]]) -> None:
    """Begin to read a data set; what is loaded now stays until it is read."""
    if state.reading is not None:
        state.reading.cancel()
    kept = list(files)
    names = listing([name for name, _ in files], 3)
    state.reading = Job(f"Reading {names}", lambda _: read_data(kept))


def stage_joined(state: AppState) -> None:
    """Read the data at hand and the files before it as one data set."""
    sources = (*state.earlier, *state.sources)
    stage_data(state, [(one.name, state.files.get(one.digest)) for one in sources])


def stage_folder_file(state: AppState, name: str) -> None:
    """Read a file of the data folder where it lies."""
    stage_data(state, [(name, None)])


def is_for_models(name: str, content: Content) -> bool:
    """Whether a file is a model, belongs to one or is a log of one, wherever it was dropped."""
    if is_source(name) or is_event_name(name) or is_training_log(_whole(content)):
        return True
    kind = identify(_whole(content), name)
    return is_model(kind) or carries_code(kind)


def _whole(content: Content) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()


# -- models -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Found:
    """What a file in the models' uploader turned out to be: exactly one of these."""

    table: Table | None = None
    history: Any = None
    doubt: str = ""
    companion: bool = False
    inspection: Any = None
    model: Model | None = None
    helpers: tuple[Companion, ...] = field(default=())


def stage_model(
    state: AppState,
    name: str,
    content: Content,
    *,
    consent: bool = False,
    known: ModelEntry | None = None,
    above: Sequence[str] = (),
) -> Waiting:
    """Begin to take in a file; it stands in `state.waiting` until `settle` finds it done.

    `known`, `above` : what it was in a workspace; see `Waiting`.

    Raises
    ------
    LimitExceeded : as many models as are compared at once are loaded already.
    ModelError : the same file is loaded already.
    """
    key = _digest(content)
    _refuse_too_many(state, name, content, key)
    _refuse_twin(state, key)
    state.failed.pop(key, None)
    slot = state.free_slot() if known is None else known.slot
    arrival = _next_arrival(state) if known is None else known.arrival
    waiting = Waiting(key, name, slot, arrival, known=known, above=tuple(above))
    state.files[key] = content
    state.waiting.append(waiting)
    if consent:
        state.consented.add(key)
    _look(state, waiting)
    return waiting


def _refuse_too_many(state: AppState, name: str, content: Content, key: str) -> None:
    """Files that are no models take no place; one that is being looked into may be a model."""
    limit = get_settings().max_models
    coming = [one for one in state.waiting if not is_source(one.name)]
    room = len(state.entries) + len(coming) < limit
    if room or takes_no_place(_whole(content), name, state.said.get(key)):
        return
    where = "loaded or on their way in" if coming else "loaded already"
    raise LimitExceeded(
        f"{limit} models are {where}, the most that are compared at once. "
        "Remove one, then add this file again."
    )


def _refuse_twin(state: AppState, key: str) -> None:
    twin = next((entry.name for entry in state.entries if entry.key == key), None)
    if twin is not None:
        raise ModelError(f"This is the same file as {twin!r}, which is loaded already.")
    other = next((one.name for one in state.waiting if one.key == key), None)
    if other is not None:
        raise ModelError(f"This is the same file as {other!r}, which is on its way in.")


def _next_arrival(state: AppState) -> int:
    here = [one.arrival for one in state.entries]
    coming = [one.arrival for one in (*state.waiting, *state.failed.values())]
    return max([*here, *coming], default=0) + 1


def _look(state: AppState, waiting: Waiting) -> None:
    waiting.stage = "opening" if waiting.key in state.consented else "looking"
    verb = "Opening" if waiting.stage == "opening" else "Looking into"
    request = _Request.of(state, waiting)
    waiting.helpers = request.helpers
    waiting.job = Job(f"{verb} {waiting.name}", partial(_find, request))


def _beside(state: AppState, waiting: Waiting) -> tuple[Companion, ...]:
    """What it is opened with: the files that it had before, or all that are here."""
    return tuple(state.companions) if waiting.known is None else waiting.known.helpers


@dataclass(frozen=True, eq=False)
class _Request:
    """All that the thread needs, so that it never reads the session's changing state."""

    waiting: Waiting
    content: Content
    helpers: tuple[Companion, ...]
    contents: Mapping[str, bytes]
    consented: bool
    scope: str
    said: Said | None
    shared: frozenset[str]

    @classmethod
    def of(cls, state: AppState, waiting: Waiting) -> _Request:
        helpers = _beside(state, waiting)
        contents = {one.name: _whole(state.files[one.digest]) for one in helpers}
        return cls(
            waiting,
            state.files[waiting.key],
            helpers,
            contents,
            waiting.key in state.consented,
            state.scope,
            state.said.get(waiting.key),
            frozenset(() if state.evalset is None else map(str, state.evalset.frame.columns)),
        )


def _find(request: _Request, job: Job[Found]) -> Found:
    """In a thread: what the file is; models that carry no code are opened at once."""
    with watched(job.report, job.cancelled):
        return _found(request, job)


def _found(request: _Request, job: Job[Found]) -> Found:
    name, content = request.waiting.name, _whole(request.content)
    if is_source(name):
        check_source(name, content)
        return Found(companion=True)
    history, doubt = recognise(content, name, request.said, request.shared)
    if history is not None or doubt:
        return Found(history=history, doubt=doubt)
    kind = request.waiting.kind = identify(content, name)
    if kind in TABLES:
        return Found(table=read_table(content, name))
    if kind == "hdf5" and "weights" in name.lower():
        return Found(companion=True)
    helpers = request.helpers if _takes_companions(kind) else ()
    beside = {one.name: request.contents[one.name] for one in helpers}
    if carries_code(kind) and not request.consented and _may_open():
        inspection = inspect_model(content, name, helpers=beside, scope=request.scope)
        return Found(inspection=inspection, helpers=helpers)
    job.title = f"Opening {name}"
    # Where nothing confines it, `load_model` says why a file that carries code stays closed.
    model = load_model(request.content, name, helpers=beside, scope=request.scope)
    return Found(model=model, helpers=helpers)


def _takes_companions(kind: str) -> bool:
    """Code that needs its author's classes, an architecture that needs its weights."""
    return carries_code(kind) or kind == "keras json"


def _may_open() -> bool:
    settings = get_settings()
    return settings.trust == "all" or find_confinement(settings) is not Confinement.PROCESS


def consent(state: AppState, key: str) -> None:
    """Open a file that carries code: its person has seen what is inside and agreed."""
    state.consented.add(key)
    for waiting in state.waiting:
        if waiting.key == key and waiting.stage == "asking":
            _look(state, waiting)


def consent_to_all(state: AppState, keys: Sequence[str]) -> None:
    for key in keys:
        consent(state, key)


def cancel(state: AppState, key: str) -> None:
    """Stop taking in a file; it can be tried again."""
    for waiting in [one for one in state.waiting if one.key == key]:
        if waiting.job is not None:
            waiting.job.cancel()
        waiting.job, waiting.stage = None, "failed"
        state.waiting.remove(waiting)
        state.failed[key] = waiting
        state.report(waiting.name, ModelError(f"{waiting.name} was not opened: cancelled."), key)


def cancel_reading(state: AppState) -> None:
    """Stop reading a data file; what was loaded before stays."""
    if state.reading is not None:
        state.reading.cancel()
        state.reading = None


def discard(state: AppState, key: str) -> None:
    """Forget a file that waits, or that is kept and no model."""
    take_out(state, key)
    state.companions = [one for one in state.companions if one.digest != key]
    state.moves = [one for one in state.moves if one.digest != key]
    state.forget_files()


def take_out(state: AppState, key: str) -> None:
    """A file waits no more and is no history; its content stays."""
    for waiting in [one for one in state.waiting if one.key == key]:
        if waiting.job is not None:
            waiting.job.cancel()
        state.waiting.remove(waiting)
    state.histories = [one for one in state.histories if one.digest != key]


def try_again(state: AppState, key: str) -> None:
    """Take in anew a file that failed, with the companions that are here now."""
    waiting = state.failed.pop(key, None)
    if waiting is not None:
        state.problems = [one for one in state.problems if one.key != key]
        state.waiting.append(waiting)
        _look(state, waiting)


# -- what is done -------------------------------------------------------------------------------


def settle(state: AppState) -> bool:
    """Take over what the threads have finished; whether the data is another now."""
    done = [one for one in state.waiting if one.job is not None and one.job.done]
    for waiting in done:
        try:
            _take(state, waiting)
        except DiagnosticsError as error:
            _fail(state, waiting, error)
    reading = state.reading
    read = reading is not None and reading.done
    if reading is not None and read:
        state.reading = None
        try:
            state.use_data(reading.result())
        except DiagnosticsError as error:
            state.report(reading.title.removeprefix("Reading "), error)
    if done or read:
        state.version += 1
    return read


def _fail(state: AppState, waiting: Waiting, error: DiagnosticsError) -> None:
    """Report it; a model that a missing class or a limit of time stopped can be tried again."""
    if waiting in state.waiting:
        state.waiting.remove(waiting)
    final = isinstance(error, (LimitExceeded, UntrustedModel)) or not is_model(waiting.kind)
    final = final or not _takes_companions(waiting.kind)
    if not final and waiting.helpers != _beside(state, waiting):
        state.waiting.append(waiting)  # what it may have missed came meanwhile
        _look(state, waiting)
    elif final and waiting.known is None:
        state.report(waiting.name, error)
        state.forget_files()
    else:
        waiting.stage = "failed"
        state.failed[waiting.key] = waiting
        state.report(waiting.name, error, waiting.key)


def _take(state: AppState, waiting: Waiting) -> None:
    job, waiting.job = waiting.job, None
    if job is None:
        return
    try:
        found: Found = job.result()
    except BaseException:
        state.waiting.remove(waiting)
        raise
    if found.inspection is not None and found.helpers != _beside(state, waiting):
        _look(state, waiting)  # a file that belongs to it came while it was looked into
    elif found.inspection is not None:
        waiting.inspection, waiting.stage = found.inspection, "asking"
    elif found.doubt:
        waiting.doubt, waiting.stage = found.doubt, "naming"
    if found.inspection is not None or found.doubt:
        return
    state.waiting.remove(waiting)
    if found.companion:
        _take_companion(state, Companion(waiting.name, waiting.key))
    elif found.history is not None:
        state.histories.append(History(waiting.name, waiting.key, found.history))
    else:
        state.add_entry(_entry(state, waiting, found), waiting.above if waiting.known else None)


def _take_companion(state: AppState, companion: Companion) -> None:
    """Keep it, and try again what may have waited for it."""
    state.companions = [one for one in state.companions if one.name != companion.name]
    state.companions.append(companion)
    for one in (*state.waiting, *state.failed.values()):
        if one.known is not None:
            others = [each for each in one.known.helpers if each.name != companion.name]
            one.known.helpers = (*others, companion)
    for key in list(state.failed):
        try_again(state, key)
    for waiting in state.waiting:
        if waiting.stage == "asking":
            _look(state, waiting)


def _entry(state: AppState, waiting: Waiting, found: Found) -> ModelEntry:
    name = waiting.name
    stem = name.rsplit(".", 1)[0] if "." in name else name
    fresh = ModelEntry(waiting.key, stem, name, waiting.slot, arrival=waiting.arrival)
    entry = waiting.known or fresh
    entry.name, entry.helpers = state.free_name(entry.name), found.helpers
    entry.model, entry.table = found.model, found.table
    if found.model is not None:
        entry.info = found.model.info
        entry.load = loader(state, entry.key, name, found.helpers)
    elif entry.table is not None and state.evalset is not None and entry.columns is None:
        entry.columns = infer_prediction_columns(entry.table, state.evalset)
    return entry


def loader(
    state: AppState, key: str, file: str, helpers: Sequence[Companion] = ()
) -> Callable[[], Model]:
    """What opens a kept model file again when it is first asked.

    The files are looked up then, wherever they lie by that time.
    """

    def load() -> Model:
        beside = {one.name: _whole(state.files[one.digest]) for one in helpers}
        return load_model(state.files[key], file, helpers=beside, scope=state.scope)

    return load


def add_now(state: AppState, name: str, content: Content, agreed: bool) -> None:
    """Take in one file and wait for it; see `AppState.add_file`."""
    waiting = stage_model(state, name, content, consent=agreed)
    if waiting.job is not None:
        waiting.job.wait(get_settings().load_seconds + 60)
    try:
        _take(state, waiting)
    except DiagnosticsError:
        state.forget_files()
        raise
