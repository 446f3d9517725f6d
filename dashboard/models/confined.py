"""A `Model` whose every method is a message to a confined worker."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import ModelInfo, RawPredictions
from ..errors import ModelError
from ..frames import Frame, FrameError, FrameLimits, decode_info, decode_raw
from ..sandbox.pool import WorkerPool, get_pool
from ..sandbox.processes import Worker, WorkerGone
from ..sandbox.shelf import Shelf, Shelved
from ..settings import Settings, get_settings
from .findings import Inspection

__all__ = ["ConfinedModel", "confined_inspect", "confined_load"]

Rows = pd.DataFrame | npt.NDArray[Any]
T = TypeVar("T")

MODEL, HELPERS = "model", "helpers"
# Names of columns, classes and texts that are predicted. Reading JSON holds up the whole app.
HEADER_BYTES = 8 << 20
# What a worker may send for its answers: enough for 250 numbers a row, however many rows.
LEAST_MOST, ROW_BYTES = 512 << 20, 2_000
# Settings that are none of a worker's business.
_OUTSIDE = ("home", "data_dir", "address", "port")
_FILE_NAME = re.compile(r"\w[\w .+-]{0,199}")


@dataclass(frozen=True, eq=False)
class _Upload:
    """A model's file and the helper files beside it, on the shelf, for one scope.

    Attributes
    ----------
    key : scope and digests; what the pool knows the worker by.
    """

    name: str
    digest: str
    size: int
    key: str
    content: Shelved
    helpers: tuple[tuple[str, Shelved], ...]
    settings: Settings
    pool: WorkerPool

    def lend(self, worker: Worker) -> dict[str, Any]:
        """Put the files into the worker's inbox; the arguments that say where they are."""
        for name, helper in self.helpers:
            helper.lend(worker.inbox, f"{HELPERS}/{name}")
        told = {key: value for key, value in asdict(self.settings).items() if key not in _OUTSIDE}
        return {
            "file": self.content.lend(worker.inbox, MODEL),
            "name": self.name,
            "helpers": HELPERS if self.helpers else None,
            "settings": told,
        }

    def open(self, worker: Worker) -> ModelInfo:
        """Have a fresh worker load the model; what it says of itself."""
        answer = worker.call(
            "load",
            self.lend(worker),
            seconds=self.settings.load_seconds,
            doing=f"opening {self.name}",
            limits=FrameLimits(header_bytes=HEADER_BYTES),
        )
        with _believing(worker, self.name):
            return decode_info(answer.header.get("info"), digest=self.digest, size=self.size)


@contextmanager
def _believing(worker: Worker, name: str) -> Iterator[None]:
    """What cannot be believed ends the worker that said it."""
    try:
        yield
    except FrameError as error:
        worker.kill("it answered nonsense")
        raise ModelError(
            f"{name} gave an answer that cannot be used: {error} Check the model; other models "
            "are not affected."
        ) from error


@contextmanager
def _comparing(shelf: Shelf, tables: Iterable[Rows]) -> Iterator[list[bool]]:
    """Whether each table is still what is on the shelf, found out while its worker computes.

    Reading all of a table takes a while, and the worker has its own processor.
    """
    same: list[bool] = []
    check = threading.Thread(
        target=lambda: same.extend(shelf.is_unchanged(X) for X in tables), daemon=True
    )
    check.start()
    try:
        yield same
    finally:
        check.join()


def _shelve(
    source: Path | bytes,
    name: str,
    digest: str,
    helpers: Mapping[str, bytes],
    scope: str,
    settings: Settings | None,
) -> _Upload:
    settings = settings or get_settings()
    pool = get_pool(settings)
    content = pool.shelf.shelve_file(source, digest)
    beside = {
        _checked_name(helper): (hashlib.sha256(text).hexdigest(), text)
        for helper, text in sorted(helpers.items())
    }
    # The names and times count as well as the contents: they are what messages and limits say.
    key = "|".join((scope, digest, name, *(f"{h}={d}" for h, (d, _) in beside.items())))
    upload = _Upload(
        name,
        digest,
        content.path.stat().st_size,
        key,
        content,
        tuple((helper, pool.shelf.shelve_file(text, d)) for helper, (d, text) in beside.items()),
        settings,
        pool,
    )
    pool.claim(key, upload)
    return upload


def _checked_name(name: str) -> str:
    """A plain file name, for a file that models may import."""
    if not _FILE_NAME.fullmatch(name):
        raise ModelError(
            f"The helper file {name[:80]!r} has a name that cannot be used; name it with letters, "
            "digits, dots and dashes, like my_classes.py."
        )
    return name


def confined_load(
    source: Path | bytes,
    name: str,
    digest: str,
    *,
    helpers: Mapping[str, bytes] | None = None,
    scope: str = "",
    settings: Settings | None = None,
) -> ConfinedModel:
    """Open a model file in a worker of its own; nothing of it is read here.

    Parameters
    ----------
    digest : sha-256 of the content, as hex.
    helpers : file name → content of what its code imports, seen by this worker only.
    scope : whose worker it is; one is never shared between two scopes.

    Raises
    ------
    ModelError : the file is no usable model, or its worker died over it; one sentence why.
    """
    upload = _shelve(source, name, digest, helpers or {}, scope, settings)
    with upload.pool.lease(upload.key, upload.open) as (_, info):
        return ConfinedModel(upload, info)


def confined_inspect(
    source: Path | bytes,
    name: str,
    digest: str,
    *,
    helpers: Mapping[str, bytes] | None = None,
    scope: str = "",
    settings: Settings | None = None,
) -> Inspection:
    """What is inside a model file, found out by a worker that does not open it.

    Raises
    ------
    ModelError : it cannot be read, or its worker died over it.
    """
    upload = _shelve(source, name, digest, helpers or {}, scope, settings)
    with upload.pool.lease(upload.key) as (worker, _):
        answer = worker.call(
            "inspect",
            upload.lend(worker),
            seconds=upload.settings.load_seconds,
            doing=f"looking into {name}",
        )
        with _believing(worker, name):
            return Inspection.from_json(answer.header.get("inspection"))


class ConfinedModel:
    """A model that lives in a confined worker; the worker is started anew when it is needed."""

    def __init__(self, upload: _Upload, info: ModelInfo) -> None:
        self._upload = upload
        self._info = info

    @property
    def info(self) -> ModelInfo:
        return self._info

    def twin(self, number: int) -> ConfinedModel:
        """The same model in a further worker, which can be asked at the same time."""
        key = f"{self._upload.key}|{number}"
        upload = replace(self._upload, key=key)
        upload.pool.claim(key, upload)
        return ConfinedModel(upload, self._info)

    def predict(self, X: Rows) -> RawPredictions:
        """Answers for every row of `X`, from the worker.

        Raises
        ------
        ModelError : the model's own failure, or how its worker ended, in one sentence.
        """
        X = X if isinstance(X, pd.DataFrame) else np.asarray(X)
        if X.ndim == 0:
            raise ModelError(f"{self._upload.name} answers rows; pass a table or an array of them.")
        raw, unchanged = self._predict(X)
        if not unchanged:  # somebody wrote into X since another model was asked
            raw, _ = self._predict(X)
        return raw

    def _predict(self, X: Rows) -> tuple[RawPredictions, bool]:
        """The answers, and whether the rows on the shelf were those of `X`."""
        upload, n = self._upload, len(X)
        shelf = upload.pool.shelf
        rows = shelf.shelve_rows(X)
        with _comparing(shelf, [X]) as same:
            frame, worker = self._ask(rows, n)
            with _believing(worker, upload.name):
                raw = decode_raw(frame, n)
        return raw, same == [True]

    def _ask(self, rows: Shelved, n: int) -> tuple[Frame, Worker]:
        upload = self._upload
        limits = FrameLimits(
            header_bytes=HEADER_BYTES,
            # a worker cannot hold more; no sound answer is longer than 1 MB a row, and the app
            # has to hold what it sends
            array_bytes=min(
                min(upload.settings.worker_memory_mb, n + 1) << 20, max(LEAST_MOST, n * ROW_BYTES)
            ),
            arrays=10_000,
            rows=n,
        )
        return self._call("predict", {"name": upload.name}, {"rows": rows}, limits)

    def ask(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        tables: Mapping[str, Rows],
        *,
        limits: FrameLimits,
        read: Callable[[Frame], T],
    ) -> T:
        """A whole operation in the worker, which sees each table under its name.

        Parameters
        ----------
        arguments : plain JSON values.
        limits : what the answer may hold at most.
        read : checks the answer and makes of it what is returned; `FrameError` ends the worker.

        Raises
        ------
        ModelError : the operation's own failure, or how the worker ended, in one sentence.
        """
        upload = self._upload
        shelf = upload.pool.shelf
        told = {
            **arguments,
            "name": upload.name,
            "settings": {k: v for k, v in asdict(upload.settings).items() if k not in _OUTSIDE},
        }
        for _ in range(2):  # again when somebody wrote into a table since it was shelved
            shelved = {name: shelf.shelve_rows(X) for name, X in tables.items()}
            with _comparing(shelf, tables.values()) as same:
                frame, worker = self._call(operation, told, shelved, limits, inside="tables")
                with _believing(worker, upload.name):
                    answer = read(frame)
            if all(same) and len(same) == len(tables):
                break
        return answer

    def _call(
        self,
        operation: str,
        arguments: dict[str, Any],
        rows: Mapping[str, Shelved],
        limits: FrameLimits,
        inside: str = "",
    ) -> tuple[Frame, Worker]:
        """Ask the worker, a new one if it was gone; files go in beside the other arguments."""
        upload = self._upload
        for attempt in (1, 2):
            with upload.pool.lease(upload.key, upload.open) as (worker, _):
                lent = {name: each.lend(worker.inbox) for name, each in rows.items()}
                try:
                    frame = worker.call(
                        operation,
                        {**arguments, **({inside: lent} if inside else lent)},
                        seconds=upload.settings.predict_seconds,
                        doing=f"asking {upload.name}",
                        limits=limits,
                    )
                except WorkerGone:
                    if attempt == 2:
                        raise
                else:
                    return frame, worker
        raise AssertionError  # the loop returns or raises
