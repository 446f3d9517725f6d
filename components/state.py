"""One typed `AppState` for a browser session: the only user of `st.session_state`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, Literal

import streamlit as st

from dashboard.contracts import Label, Model, Task
from dashboard.data import (
    EvalSet,
    PredictionColumns,
    Roles,
    Table,
    build_evalset,
    infer_answers,
    infer_prediction_columns,
    infer_roles,
    read_table,
)
from dashboard.errors import DiagnosticsError, LimitExceeded, ModelError
from dashboard.figures.theme import ModelStyle, baseline_style, style_of
from dashboard.gallery import Cells
from dashboard.models import identify, load_model
from dashboard.samples import Sample, read_sample
from dashboard.settings import get_settings

__all__ = ["AppState", "ModelEntry", "Problem", "app_state"]

_KEY = "sidelight"
_TABLES = {"text", "parquet", "feather", "excel", "json", "npz", "npy", "compressed"}
# What belongs to the data set at hand, and comes back when another turns out to be unusable.
_OF_THE_DATA = (
    "sample",
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
)


@dataclass
class ModelEntry:
    """One model or prediction file of this session; `slot` fixes its colour and dash for good.

    A sample's models are loaded when they are first asked, so that the first page is there at
    once: `load` brings the model, which all sessions share.
    """

    key: str
    name: str
    file: str
    slot: int
    model: Model | None = None
    table: Table | None = None
    columns: PredictionColumns | None = None
    shown: bool = True
    load: Callable[[], Model] | None = None

    @property
    def uploaded(self) -> bool:
        """A file of its own, neither a sample's nor columns of the data file."""
        return "/" not in self.key and "#" not in self.key

    def need_model(self) -> Model:
        """The model, loaded now if it was not.

        Raises
        ------
        ModelError : it cannot be loaded, or this entry holds predictions only.
        """
        if self.model is None and self.load is not None:
            self.model = self.load()
        if self.model is None:
            raise ModelError(f"{self.name} holds predictions only; this needs a model.")
        return self.model

    @property
    def style(self) -> ModelStyle:
        return style_of(self.slot)

    @property
    def digest(self) -> str:
        """Changes with the file and with a corrected column mapping, not with the name."""
        return f"{self.key}:{self.columns!r}" if self.columns else self.key


@dataclass(frozen=True)
class Problem:
    """A file that could not be used, and the one sentence why."""

    source: str
    message: str


@dataclass
class AppState:
    """What this person has loaded and chosen. Methods change it; none of them draws."""

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
    started: bool = False
    before: dict[str, Any] | None = None
    version: int = 0
    undo: list[tuple[Roles, Task | None, Label | None, str | None]] = field(default_factory=list)

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

    def _free_slot(self) -> int:
        taken = {entry.slot for entry in self.entries}
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
        if self.entries and not self.shown:
            self.entries[0].shown = True

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
                slot=self._free_slot(),
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
            entry.slot = self._free_slot()
            self.entries.append(entry)

    def forget_data(self) -> None:
        self.sample = self.table = self.roles = self.evalset = None
        self.task = self.pos_label = self.split_value = None
        self.threshold, self.rule, self.label = 0.5, "score", None
        self.undo.clear()

    def open_data(self, name: str, content: bytes) -> None:
        """Replace the data by an uploaded file; a sample's models go with the sample.

        Raises
        ------
        DataError : the file cannot be read, and what was loaded before is untouched; or it can
            be read and has nothing to evaluate with the roles as guessed. Then it stays, so that
            the roles can be corrected, and `go_back` brings back what was loaded before.
        """
        table = read_table(content, name)
        roles, answers = self._understood(table)
        before = {one.name: getattr(self, one.name) for one in fields(self)}
        before["entries"] = [replace(entry) for entry in self.entries]
        entries = [entry for entry in self.entries if entry.uploaded]
        self.forget_data()
        for entry in entries:
            entry.columns = None  # understood anew against the new data
        self.table, self.roles, self.entries = table, roles, entries
        self._add_answers(table, name, answers)
        self.before = {name: before[name] for name in _OF_THE_DATA} if before["table"] else None
        self.rebuild()
        self.before = None

    def _understood(self, table: Table) -> tuple[Roles, dict[str, PredictionColumns]]:
        """Roles as guessed; a file that holds the truth and predictions brings its models along."""
        try:
            evalset, answers = infer_answers(table)
        except DiagnosticsError:
            return infer_roles(table), {}
        return evalset.roles, answers

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
                slot=self._free_slot(),
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

    def add_file(self, name: str, content: bytes) -> None:
        """Add a model or a prediction file.

        Raises
        ------
        DiagnosticsError : it cannot be used; the other models stay as they are.
        """
        limit = get_settings().max_models
        if len(self.entries) >= limit:
            raise LimitExceeded(
                f"{limit} models are loaded already, the most that are compared at once. "
                "Remove one in the sidebar, then add this file again."
            )
        key = hashlib.sha256(content).hexdigest()
        twin = next((entry for entry in self.entries if entry.key == key), None)
        if twin is not None:
            raise ModelError(f"This is the same file as {twin.name!r}, which is loaded already.")
        stem = name.rsplit(".", 1)[0] if "." in name else name
        entry = ModelEntry(key=key, name=self.free_name(stem), file=name, slot=self._free_slot())
        if identify(content, name) in _TABLES:
            entry.table = read_table(content, name)
            if self.evalset is not None:
                entry.columns = infer_prediction_columns(entry.table, self.evalset)
        else:
            entry.model = load_model(content, name)
        self.entries.append(entry)

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

    def report(self, source: str, error: DiagnosticsError) -> None:
        """Keep a problem until it is dismissed; the newest of one file counts."""
        self.problems = [one for one in self.problems if one.source != source]
        self.problems.append(Problem(source, str(error)))

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


def forget_widgets(*prefixes: str) -> None:
    """Drop the values of controls whose options have changed, so that defaults apply again."""
    for key in list(st.session_state):
        if str(key).startswith(prefixes):
            del st.session_state[key]
