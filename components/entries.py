"""What a session holds of each file: models that answer, files that wait, files that failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from dashboard.contracts import Model, ModelInfo
from dashboard.data import PredictionColumns, Table
from dashboard.errors import ModelError
from dashboard.figures.theme import ModelStyle, style_of

if TYPE_CHECKING:
    from components.jobs import Job

__all__ = [
    "Companion",
    "History",
    "ModelEntry",
    "Move",
    "Problem",
    "Said",
    "Source",
    "Waiting",
]


@dataclass(frozen=True)
class Source:
    """An uploaded file: its name and the sha-256 of its bytes, which `AppState.files` holds."""

    name: str
    digest: str


# A file that a model needs beside its own: a `.py` with its classes, the weights of a network.
Companion = Source


@dataclass
class ModelEntry:
    """One model or prediction file of this session; `slot` fixes its colour and dash for good.

    A sample's models, and those of a workspace that was opened again, are loaded when they are
    first asked, so that the first page is there at once: `load` brings the model.

    Attributes
    ----------
    key : sha-256 of the file; `sample/file`; or `digest of the data file#model`.
    info : what the model said of itself when it was loaded last.
    helpers : the files that it was opened with.
    arrival : files that were dropped earlier stand earlier, whichever is opened first.
    stopped : the person cancelled asking it.
    attempt : counts up when it is asked again after a failure.
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
    info: ModelInfo | None = None
    helpers: tuple[Companion, ...] = ()
    arrival: int = 0
    stopped: bool = False
    attempt: int = 0

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
        self.info = self.model.info
        return self.model

    def ask_again(self) -> None:
        """Forget that it failed or was cancelled."""
        self.stopped = False
        self.attempt += 1

    @property
    def known(self) -> ModelInfo | None:
        """What is known of the model without loading it."""
        return self.model.info if self.model is not None else self.info

    @property
    def style(self) -> ModelStyle:
        return style_of(self.slot)

    @property
    def digest(self) -> str:
        """Changes with the file, its helpers and a corrected column mapping, not with the name."""
        parts = [self.key, *(one.digest for one in self.helpers)]
        if self.columns:
            parts.append(repr(self.columns))
        return ":".join(parts)


@dataclass
class Waiting:
    """A model file on its way in.

    Attributes
    ----------
    stage : "looking": it is identified, and what it holds is listed or, where nothing in it can
        run, opened; "asking": it carries code, and the person decides; "naming": only the person
        can tell what it is; "opening"; "failed": it was not usable, and can be tried again.
    inspection : what is inside, once that was listed.
    doubt : of "naming": why only the person can tell what it is.
    helpers : the files beside it that the last attempt had.
    known : the model that it was in a workspace, and is to be again; `above` : the keys of those
        that stood before it there.
    """

    key: str
    name: str
    slot: int
    arrival: int
    stage: Literal["looking", "asking", "naming", "opening", "failed"] = "looking"
    job: Job[Any] | None = None
    kind: str = ""
    inspection: Any = None
    doubt: str = ""
    helpers: tuple[Companion, ...] = field(default=())
    known: ModelEntry | None = None
    above: tuple[str, ...] = ()

    @property
    def busy(self) -> bool:
        return self.job is not None


@dataclass(frozen=True)
class Problem:
    """A file that could not be used, and the one sentence why; `key` where it can be retried.

    What is wrong with the link itself is told on whatever page it leads to.
    """

    source: str
    message: str
    key: str = ""
    in_link: bool = False


@dataclass(frozen=True)
class History:
    """A training log that was recognised, kept for the page on learning.

    `about` is what `dashboard.data.identify_history` said of it.
    """

    name: str
    digest: str
    about: Any = field(compare=False)


@dataclass(frozen=True)
class Said:
    """What a person has said that a file is.

    Attributes
    ----------
    kind : "predictions", "log" or "search".
    columns : of a search: column → role, where that is another than its name says.
    larger : of a search: whether larger scores are better, where it was said.
    """

    kind: Literal["predictions", "log", "search"]
    columns: Mapping[str, str] = field(default_factory=dict)
    larger: bool | None = None


@dataclass(frozen=True)
class Move:
    """One change of what a file is, so that it can be undone.

    Attributes
    ----------
    was, now : "predictions", "log", "search", "sizes" or "data"; was "" = it was asked about.
    said : what had been said of it before.
    sample, sources : what was loaded before.
    """

    name: str
    digest: str
    was: str
    now: str
    said: Said | None
    sample: str | None = None
    sources: tuple[Source, ...] = ()

    @property
    def digests(self) -> set[str]:
        """The files that going back needs."""
        return {self.digest, *(one.digest for one in self.sources)}
