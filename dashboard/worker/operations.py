"""What a worker can be asked: one function for each operation, listed in `OPERATIONS`.

An operation takes the desk (the model and the inbox) and the call (arguments, progress, cancel)
and gives the body and the arrays of its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import Any

from ..contracts import Model
from ..errors import ModelError
from ..frames import FrameError, encode_info, encode_raw, read_rows
from ..settings import Settings
from .held_tables import HeldTables, Rows
from .threads_only import replace_pools

__all__ = ["OPERATIONS", "Call", "Cancelled", "Desk", "Operation"]

# What is loaded before the first model comes, for each family of model files.
LIBRARIES: dict[str, tuple[str, ...]] = {
    "sklearn": (
        "pandas",
        "pyarrow",
        "sklearn.pipeline",
        "sklearn.compose",
        "sklearn.ensemble",
        "sklearn.linear_model",
        "skops.io",
        "dashboard.models",
    ),
    "tensorflow": ("keras",),
}

# The keys of `dashboard.explainers.operations.OPERATIONS`, which is loaded when one is asked for.
EXPLAINING = (
    "plan",
    "explain",
    "interactions",
    "effects",
    "prepared",
    "native_importance",
    "permute",
    "drop_columns",
    "lime",
    "words",
    "can_refit",
    "fit_fold",
    "inner_curves",
    "layers",
    "search_results",
)

Answer = tuple[dict[str, Any], Sequence[Any]]


class Cancelled(Exception):
    """The parent wants this operation to stop."""


@dataclass
class Desk:
    """What a worker holds between operations.

    Attributes
    ----------
    inbox : the folder into which the parent puts the model and the data, read-only here.
    model : what `load` opened.
    """

    inbox: Path
    model: Model | None = None
    _tables: HeldTables = field(default_factory=HeldTables)

    def path(self, name: str) -> Path:
        """A file of the inbox."""
        return self.inbox / name

    def tables(self, names: Sequence[str]) -> list[Rows]:
        """Rows of files of the inbox."""
        return self._tables.take([self.path(name) for name in names])

    def helpers(self, call: Call) -> Path | None:
        """The folder of the files uploaded beside the model, if there are any."""
        name = call.arguments.get("helpers")
        return self.path(name) if name else None

    def need_model(self) -> Model:
        """What `load` opened.

        Raises
        ------
        ModelError : nothing was opened.
        """
        if self.model is None:
            raise ModelError("No model was opened in this worker. Load the model again.")
        return self.model


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes
    ----------
    arguments : plain JSON values.
    progress : done, total and a sentence, for a person who waits.
    is_cancelled : whether to stop.
    """

    arguments: dict[str, Any]
    progress: Callable[[int, int, str], None]
    is_cancelled: Callable[[], bool]

    def check(self) -> None:
        """To be called now and then by whatever takes long.

        Raises
        ------
        Cancelled : the parent wants it to stop.
        """
        if self.is_cancelled():
            raise Cancelled

    @property
    def settings(self) -> Settings:
        known = {field.name for field in fields(Settings)}
        told = self.arguments.get("settings", {})
        return Settings(**{name: value for name, value in told.items() if name in known})


Operation = Callable[[Desk, Call], Answer]


def warm(desk: Desk, call: Call) -> Answer:
    """Import libraries, so that the first model need not wait for them."""
    for family in call.arguments["libraries"]:
        for name in LIBRARIES[family]:
            import_module(name)
    return {}, ()


def load(desk: Desk, call: Call) -> Answer:
    """Open the model file of the inbox; answers with what it says of itself."""
    from ..models import load_native

    replace_pools()
    desk.model = load_native(
        desk.path(call.arguments["file"]),
        call.arguments["name"],
        helpers_folder=desk.helpers(call),
        settings=call.settings,
    )
    return {"info": encode_info(desk.model.info)}, ()


def predict(desk: Desk, call: Call) -> Answer:
    """The model's raw answers for the rows of a file of the inbox."""
    name, model = call.arguments["rows"], desk.need_model()
    (rows,) = desk.tables([name])
    try:
        raw = model.predict(rows)
    except ModelError as error:
        if "read-only" not in str(error):
            raise
        # some models write into what they are given
        raw = model.predict(read_rows(desk.path(name), writable=True))
    try:
        return encode_raw(raw, len(rows))
    except FrameError as error:
        raise ModelError(
            f"{call.arguments['name']} gave answers that cannot be used: {error} A model must "
            "answer every row with one label, or with numbers."
        ) from error


def inspect(desk: Desk, call: Call) -> Answer:
    """What is in the model file of the inbox, without opening it."""
    from ..models.inspection import inspect_file

    found = inspect_file(
        desk.path(call.arguments["file"]),
        call.arguments["name"],
        helpers_folder=desk.helpers(call),
        settings=call.settings,
    )
    return {"inspection": found.to_json()}, ()


def explaining(name: str) -> Operation:
    """An operation of `dashboard.explainers`, on the tables of the inbox."""

    def run(desk: Desk, call: Call) -> Answer:
        from ..explainers.operations import OPERATIONS as known

        told = dict(call.arguments)
        files: dict[str, str] = told.pop("tables")
        tables = dict(zip(files, desk.tables(list(files.values())), strict=True))
        return known[name](desk.need_model(), tables, told, call)

    return run


OPERATIONS: dict[str, Operation] = {
    "warm": warm,
    "load": load,
    "predict": predict,
    "inspect": inspect,
    **{name: explaining(name) for name in EXPLAINING},
}
