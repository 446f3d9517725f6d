"""One typed `AppState` for a browser session: the only user of `st.session_state`."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from components import opening
from components.choices import Choices
from components.entries import (
    Companion,
    History,
    ModelEntry,
    Move,
    Problem,
    Said,
    Source,
    Waiting,
)
from components.jobs import Job
from components.studies import Studied
from components.telling import Told
from dashboard.contracts import Label, Model, RawPredictions, Task
from dashboard.data import (
    EvalSet,
    PredictionColumns,
    Roles,
    Table,
    build_evalset,
    infer_prediction_columns,
)
from dashboard.errors import DiagnosticsError, ModelError
from dashboard.figures.theme import ModelStyle, baseline_style
from dashboard.gallery import Cells
from dashboard.samples import Sample, read_sample
from dashboard.settings import get_settings

if TYPE_CHECKING:
    from components.workspaces import Kept

__all__ = [
    "AppState",
    "ModelEntry",
    "Problem",
    "app_state",
    "following",
    "forget_widgets",
    "widget_value",
]

_KEY = "sidelight"
# What belongs to the data set at hand, and comes back when another turns out to be unusable.
_OF_THE_DATA = (
    "sample",
    "sources",
    "earlier",
    "table",
    "roles",
    "evalset",
    "entries",
    "task",
    "pos_label",
    "split_value",
    "threshold",
    "rule",
    "label",
    "explored",
    "studied",
)


@dataclass
class AppState:
    """What this person has loaded and chosen. Methods change it; none of them draws.

    Attributes
    ----------
    scope : names this session to the confined workers, which no two sessions share.
    sources : the files that the table was read from, none for a sample.
    earlier : those of the data before, where it had the same columns.
    files : digest → every upload that is in use, in memory or where it lies on disk.
    waiting : model files on their way in; `failed` : those that can be tried again.
    companions : files that models may need beside their own (`.py`, weights).
    said : digest → what a person has said that a file is; moves : the last of these changes.
    consented : digests of model files that carry code and may be opened.
    recall, keep : answers that were computed before. Called from threads, with the entry's
        digest and the evaluation set's.
    explored : what is chosen on the pages about explanations.
    studied : what is chosen on the page about learning.
    told : what charts have said of the models.
    next_page : where a click on a chart leads, once; `next_place` : to which place on a page.
    began : the tab that each row of tabs on screen opened with.
    paused : slow questions to models that this person stopped.
    refitted : models that may be fitted again, each with all that was chosen for it.
    workspace, unkept : where all this is kept, if it is; why the last change was not.
    changing : held while files are taken in or the state is kept, which must be whole.
    """

    scope: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    sources: tuple[Source, ...] = ()
    earlier: tuple[Source, ...] = ()
    files: dict[str, bytes | Path] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)
    failed: dict[str, Waiting] = field(default_factory=dict)
    companions: list[Companion] = field(default_factory=list)
    histories: list[History] = field(default_factory=list)
    said: dict[str, Said] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)
    consented: set[str] = field(default_factory=set)
    reading: Job[opening.Reading] | None = None
    recall: Callable[[str, str], RawPredictions | None] | None = None
    keep: Callable[[str, str, RawPredictions], None] | None = None
    workspace: Kept | None = None
    unkept: str = ""
    sample: str | None = None
    table: Table | None = None
    roles: Roles | None = None
    evalset: EvalSet | None = None
    entries: list[ModelEntry] = field(default_factory=list)
    reference: str | None = None
    problems: list[Problem] = field(default_factory=list)
    seen_uploads: set[str] = field(default_factory=set)
    task: Task | None = None
    pos_label: Label | None = None
    split_value: str | None = None
    threshold: float = 0.5
    rule: str = "score"
    label: str | None = None
    normalise: Cells = "true"
    against_rest: bool = False
    cost_fp: float = 1.0
    cost_fn: float = 5.0
    tab: str = ""
    picture: Literal["png", "svg"] = "png"
    explored: Choices = field(default_factory=Choices)
    studied: Studied = field(default_factory=Studied)
    told: Told = field(default_factory=Told)
    next_page: str = ""
    next_place: str = ""
    began: dict[str, str] = field(default_factory=dict)
    paused: set[tuple[Hashable, ...]] = field(default_factory=set)
    refitted: set[tuple[Hashable, ...]] = field(default_factory=set)
    started: bool = False
    before: dict[str, Any] | None = None
    version: int = 0
    undo: list[tuple[Roles, Task | None, Label | None, str | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Two runs of one session overlap: Streamlit begins the next before the last has stopped.
        self.changing = threading.RLock()

    # -- models ---------------------------------------------------------------------------

    @property
    def shown(self) -> list[ModelEntry]:
        return [entry for entry in self.entries if entry.shown]

    @property
    def reference_entry(self) -> ModelEntry | None:
        """The model that differences are taken against: the chosen one while it is shown."""
        chosen = next((one for one in self.shown if one.key == self.reference), None)
        return chosen or next(iter(self.shown), None)

    def styles(self) -> dict[str, ModelStyle]:
        """Display name → colour, dash and marker; the baseline is always grey and dashed."""
        return {entry.name: entry.style for entry in self.entries}

    def style_for(self, name: str) -> ModelStyle:
        return self.styles().get(name, baseline_style())

    def free_name(self, name: str, *, besides: str = "") -> str:
        """`name`, or `name (2)` … when another model has it already."""
        taken = {entry.name for entry in self.entries if entry.key != besides}
        base, count = name.strip()[:120] or "Model", 1
        unique = base
        while unique in taken or unique.startswith("Baseline"):
            count += 1
            unique = f"{base} ({count})"
        return unique

    def free_slot(self) -> int:
        taken = {one.slot for one in self.entries} | {one.slot for one in self.waiting}
        return next(slot for slot in range(len(taken) + 1) if slot not in taken)

    def move(self, key: str, step: int) -> None:
        """Move a model up (−1) or down (+1) in every list and chart."""
        at = next(i for i, entry in enumerate(self.entries) if entry.key == key)
        to = min(max(at + step, 0), len(self.entries) - 1)
        self.entries.insert(to, self.entries.pop(at))

    def rename(self, key: str, name: str) -> None:
        for entry in self.entries:
            if entry.key == key and name.strip():
                entry.name = self.free_name(name, besides=key)

    def arrange(self, files: Sequence[str]) -> None:
        """Show exactly the models of these files, in this order; the others follow, hidden."""
        place = {file: at for at, file in enumerate(files)}
        if any(entry.file in place for entry in self.entries):
            self.entries.sort(key=lambda entry: place.get(entry.file, len(place)))
            for entry in self.entries:
                entry.shown = entry.file in place

    def remove(self, key: str) -> None:
        self.entries = [entry for entry in self.entries if entry.key != key]
        self.moves = [one for one in self.moves if one.digest != key]
        self.forget_files()
        if self.entries and not self.shown:
            self.entries[0].shown = True

    def explore(self, **changes: Any) -> None:
        """Choose on the pages about explanations."""
        self.explored = replace(self.explored, **changes)

    def study(self, **changes: Any) -> None:
        """Choose on the page about learning."""
        self.studied = replace(self.studied, **changes)

    # -- loading --------------------------------------------------------------------------

    def open_sample(
        self, key: str, load: Callable[[Sample, str], Model], read: Callable[[Sample, str], Table]
    ) -> None:
        """Replace everything by a sample: its data, its roles and its models.

        `load` and `read` are the cached readers, passed in so that sessions share one copy.
        """
        sample = read_sample(key)
        table = read(sample, sample.data)
        self.forget_data()
        mine = [entry for entry in self.entries if entry.uploaded]
        for entry in mine:
            entry.shown, entry.columns = False, None  # kept, but hardly made for this sample
        self.entries, self.sample, self.table = [], key, table
        self.roles = sample.roles_for(table)
        self.task, self.pos_label = sample.task, sample.pos_label
        self.split_value, self.threshold = sample.split_value, sample.threshold
        self.rebuild()
        for item in sample.models:
            entry = ModelEntry(
                key=f"{key}/{item.file}",
                name=item.name,
                file=item.file,
                slot=self.free_slot(),
            )
            try:
                if item.kind == "predictions":
                    entry.table = read(sample, item.file)
                    entry.columns = item.columns or infer_prediction_columns(
                        entry.table, self.need_evalset()
                    )
                else:
                    entry.load = partial(load, sample, item.file)
            except DiagnosticsError as error:
                self.report(item.file, error)
                continue
            self.entries.append(entry)
        for entry in mine:
            entry.slot = self.free_slot()
            self.entries.append(entry)

    def forget_data(self) -> None:
        self.sample = self.table = self.roles = self.evalset = None
        self.sources = self.earlier = ()
        self.task = self.pos_label = self.split_value = None
        self.threshold, self.rule, self.label = 0.5, "score", None
        self.explored, self.studied = Choices(), Studied()
        self.undo.clear()

    def open_data(self, name: str, content: bytes) -> None:
        """As `use_data`, for one file that is read now.

        Raises
        ------
        DataError : as `use_data`; or the file cannot be read, and nothing has changed.
        """
        self.use_data(opening.read_data([(name, content)]))

    def use_data(self, reading: opening.Reading) -> None:
        """Replace the data by what was read; a sample's models go with the sample.

        Raises
        ------
        DataError : there is nothing to evaluate with the roles as guessed. The data stays, so
            that they can be corrected, and `go_back` brings back what was loaded before.
        """
        before = {one.name: getattr(self, one.name) for one in fields(self)}
        before["entries"] = [replace(entry) for entry in self.entries]
        entries = [entry for entry in self.entries if entry.uploaded]
        earlier = self._earlier(reading)
        gone = {one.name for one in self.sources} | {"What was understood"}
        self.problems = [one for one in self.problems if one.source not in gone]
        self.forget_data()
        for entry in entries:
            entry.columns = None  # understood anew against the new data
        self.table, self.roles, self.entries = reading.table, reading.roles, entries
        self.sources, self.earlier = reading.sources, earlier
        self.files.update(reading.contents)
        self._add_answers(reading.table, reading.table.name, reading.answers)
        self.before = {name: before[name] for name in _OF_THE_DATA} if before["table"] else None
        self.rebuild()
        self.before = None
        self.forget_files()

    def _earlier(self, reading: opening.Reading) -> tuple[Source, ...]:
        """The files of the data at hand, which the new data may have been meant to join."""
        if self.table is None or set(self.table.columns) != set(reading.table.columns):
            return ()
        uploaded = bool(reading.contents) and all(one.digest in self.files for one in self.sources)
        return () if set(self.sources) & set(reading.sources) or not uploaded else self.sources

    def _add_answers(
        self, table: Table, file: str, answers: Mapping[str, PredictionColumns]
    ) -> None:
        """The models whose predictions stand in the data file itself."""
        room = max(get_settings().max_models - len(self.entries), 0)
        for model, columns in list(answers.items())[:room]:
            entry = ModelEntry(
                key=f"{table.digest}#{model}",
                name=self.free_name(model),
                file=f"{file}#{model}",
                slot=self.free_slot(),
                table=table,
                columns=columns,
            )
            self.entries.append(entry)
        if len(answers) > room:
            text = f"{room} of the {len(answers)} models in it are compared, the most at once."
            self.problems.append(Problem(file, text))

    def go_back(self) -> None:
        """Undo the last `open_data` that had nothing to evaluate."""
        for name, value in (self.before or {}).items():
            setattr(self, name, value)
        self.before = None
        self.problems.clear()

    def add_file(self, name: str, content: bytes, *, consent: bool = False) -> None:
        """Add a model, a prediction file or what a model needs, and wait until it is in.

        A model file that carries code waits in `waiting` until `opening.consent`, unless
        `consent` is given.

        Raises
        ------
        DiagnosticsError : it cannot be used; the other models stay as they are.
        """
        opening.add_now(self, name, content, consent)

    def add_entry(self, entry: ModelEntry, above: Sequence[str] | None = None) -> None:
        """Put a model in its place: after those `above`, or whose files were dropped earlier."""
        if above is not None:
            places = [at for at, one in enumerate(self.entries) if one.key in above]
            self.entries.insert(max(places, default=-1) + 1, entry)
            return
        at = len(self.entries)
        while at and self.entries[at - 1].arrival > entry.arrival:
            at -= 1
        self.entries.insert(at, entry)

    def forget_files(self) -> None:
        """Drop the uploads that nothing refers to any more."""
        before = self.before or {}
        used = {one.digest for one in (*self.sources, *self.earlier, *self.companions)}
        used |= {one.digest for one in self.histories}
        used |= {digest for move in self.moves for digest in move.digests}
        used |= {one.digest for one in before.get("sources", ())}
        used |= {one.key for one in (*self.entries, *self.waiting, *before.get("entries", ()))}
        used |= {one.digest for entry in self.entries for one in entry.helpers}
        used |= set(self.failed)
        coming = [one.known for one in (*self.waiting, *self.failed.values()) if one.known]
        used |= {one.digest for entry in coming for one in entry.helpers}
        self.files = {digest: kept for digest, kept in self.files.items() if digest in used}
        self.said = {digest: one for digest, one in self.said.items() if digest in used}

    def rebuild(self) -> None:
        """Build the evaluation set anew from the table, the roles and the choices.

        Raises
        ------
        DataError : with these roles there is nothing to evaluate; `evalset` is None then.
        """
        before = _understood_as(self.evalset)
        self.evalset = None
        if self.table is None or self.roles is None:
            return
        self.evalset = build_evalset(
            self.table,
            self.roles,
            task=self.task,
            pos_label=self.pos_label,
            split_value=self.split_value,
        )
        understood = _understood_as(self.evalset)
        if before is not None and understood != before:
            self.label = None
            for entry in self.entries:
                if entry.table is not None and entry.table is not self.table:
                    entry.columns = None
        for entry in self.entries:
            if entry.table is not None and entry.columns is None:
                entry.columns = infer_prediction_columns(entry.table, self.evalset)

    def need_evalset(self) -> EvalSet:
        if self.evalset is None:
            raise ModelError("No data set is loaded. Load data first.")
        return self.evalset

    # -- correcting what was understood ---------------------------------------------------

    def remember(self) -> None:
        """Keep the present choices so that they can be undone."""
        if self.roles is not None:
            self.undo.append((self.roles, self.task, self.pos_label, self.split_value))

    def step_back(self) -> None:
        if self.undo:
            self.roles, self.task, self.pos_label, self.split_value = self.undo.pop()

    def change_roles(self, changes: Sequence[tuple[str, str]]) -> None:
        """Give columns other roles; a new target drops the task and positive class of the old."""
        if self.roles is None:
            return
        self.remember()
        before = self.roles.target
        for column, role in changes:
            self.roles = self.roles.replace_role(column, role)
        if self.roles.target != before:
            self.task = self.pos_label = None
        if self.roles.split is None:
            self.split_value = None
        for entry in self.entries:
            if entry.table is not None:
                entry.columns = None

    def report(self, source: str, error: DiagnosticsError, key: str = "") -> None:
        """Keep a problem until it is dismissed; the newest of one file counts."""
        self.problems = [one for one in self.problems if one.source != source]
        self.problems.append(Problem(source, str(error), key))

    def dismiss(self, problem: Problem) -> None:
        if problem in self.problems:
            self.problems.remove(problem)
        self.failed.pop(problem.key, None)
        self.forget_files()

    def replace_columns(self, key: str, **changes: object) -> None:
        """Correct how a prediction file's columns are understood."""
        for entry in self.entries:
            if entry.key == key and entry.columns is not None:
                entry.columns = replace(entry.columns, **changes)  # type: ignore[arg-type]


def _understood_as(evalset: EvalSet | None) -> object:
    """What prediction files are read against."""
    if evalset is None:
        return None
    return evalset.target.name, evalset.target.task, evalset.target.labels, evalset.roles.id


def app_state() -> AppState:
    """This session's state, created on first use."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = AppState()
    state: AppState = st.session_state[_KEY]
    return state


def widget_value(key: str) -> object:
    """What a control holds now, for callbacks, which run before the page."""
    return st.session_state.get(key)


def following(
    key: str, value: object, take: Callable[[Any], object], /, *, folded: bool = False, **start: Any
) -> dict[str, Any]:
    """Arguments of a control that shows what the state holds; `take` is told a choice at once.

    `start` : the control's own default, the same value. A browser is told only once what a control
    was set to; one that has not made it by the next run takes the default for a person's choice.
    `folded` : made only when its place is opened, so it is set in every run.
    """
    known = key in st.session_state  # one that is not there yet begins with its default
    if folded or (widget_value(key) != value and (known or not start)):
        st.session_state[key] = value
    return {"key": key, "on_change": lambda: take(widget_value(key)), **start}


def forget_widgets(*prefixes: str) -> None:
    """Drop the values of controls whose options have changed, so that defaults apply again."""
    for key in list(st.session_state):
        if str(key).startswith(prefixes):
            del st.session_state[key]
