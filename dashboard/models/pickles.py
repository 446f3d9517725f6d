"""Pickles of fitted models: pickle, joblib and cloudpickle, plain or compressed.

Opening one runs what its author put in. Only two callers may: the confined worker, and a caller
who vouches for the file. Nothing here makes that safer; it finds own classes in helper files, and
says in one sentence what is missing.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from typing import Any

from ..contracts import Model
from ..errors import DiagnosticsError, ModelError, ParameterError, UntrustedModel
from .adapting import wrap
from .boosters import is_booster
from .columns import first_line, listed
from .compressed import compression_of, open_stream
from .estimators import describe
from .findings import plain_name
from .helper_files import HelperFiles
from .inspection import inspect_content
from .known_names import LIBRARIES
from .model_file import ModelFile
from .model_warnings import recorded, version_notes
from .structure import check_structure

__all__ = ["load_pickle"]

_MAIN = ("__main__", "__mp_main__")
_TABLE = "load a table of its predictions"


class _Absent(Exception):
    """A name that the file needs and that is nowhere."""

    def __init__(self, module: str, name: str, lacks: str = "") -> None:
        super().__init__(f"{module}.{name}")
        self.module, self.name, self.lacks = module, name, lacks


def load_pickle(file: ModelFile) -> Model:
    """The model in a pickle, which runs here.

    A dict, list or tuple with exactly one model in it counts as that model.

    Raises
    ------
    LimitExceeded : compressed data that unpack to far more than the limits.
    ModelError : what is missing (a library, an own class, another version), or no model.
    """
    helpers = HelperFiles(file.helpers_folder)
    try:
        with recorded() as caught:
            found = _unpickle(file, helpers)
    except DiagnosticsError:
        raise
    except (Exception, SystemExit) as error:
        raise ModelError(_explained(error, file, helpers)) from error
    model, notes = _only_model(found, file.name)
    if not is_booster(model) and not hasattr(model, "count_params"):  # neither booster nor network
        _check(model, file)
    try:
        return wrap(
            model,
            file.name,
            format="pickle",
            digest=file.digest,
            size=file.size,
            notes=(*file.notes, *version_notes(caught), *notes),
        )
    except ParameterError as error:
        raise ModelError(str(error)) from error


def _unpickle(file: ModelFile, helpers: HelperFiles) -> Any:
    stream = open_stream(file.content, file.name, file.settings)
    # joblib writes arrays between the opcodes, which only its own reader passes over; it is
    # written in Python, so it reads no other pickles than it must.
    if b"joblib" in file.content or compression_of(file.content):
        from joblib.numpy_pickle import NumpyUnpickler

        class Reader(_Finding, NumpyUnpickler):  # type: ignore[misc]
            pass

        reader: Any = Reader("", stream, ensure_native_byte_order=True)
    else:

        class PlainReader(_Finding, pickle.Unpickler):
            pass

        reader = PlainReader(stream)
    reader.helpers = helpers
    return reader.load()


class _Finding:
    """Looks in the helper files for what is neither installed nor defined."""

    helpers: HelperFiles

    def find_class(self, module: str, name: str) -> Any:
        if module in _MAIN:
            owner = self.helpers.with_name(name)
            if owner is not None:
                return _attribute(owner, name)
        try:
            return super().find_class(module, name)  # type: ignore[misc]
        except (ModuleNotFoundError, AttributeError) as error:
            missing = getattr(error, "name", None)
            if isinstance(error, ModuleNotFoundError) and not _is_part(missing, module):
                raise  # a library that the named one needs in turn
            owner = None if module in _MAIN else self.helpers.named(module)
            if owner is None:
                raise _Absent(module, name) from error
            try:
                return _attribute(owner, name)
            except AttributeError:
                raise _Absent(module, name, lacks=str(owner.__file__)) from error


def _is_part(missing: Any, module: str) -> bool:
    return isinstance(missing, str) and (module == missing or module.startswith(f"{missing}."))


def _attribute(owner: Any, name: str) -> Any:
    for part in name.split("."):
        owner = getattr(owner, part)
    return owner


def _only_model(found: Any, name: str) -> tuple[Any, tuple[str, ...]]:
    """The model, also where it lies in a dict or list with other things."""
    parts = dict(_parts(found))
    models = [key for key, part in parts.items() if _predicts(part)]
    if not parts or not models:
        return found, ()
    steps = [key for key, part in parts.items() if hasattr(part, "transform")]
    steps = [key for key in steps if key not in models]
    if len(models) > 1 or steps:
        what = f"several models ({listed(models)})" if len(models) > 1 else "steps beside the model"
        told = listed([f"{key}: {describe(parts[key])}" for key in (*steps, *models)])
        raise ModelError(
            f"{name} holds a {type(found).__name__} with {what}: {told}. Put the steps and the "
            "model into one Pipeline and save that, or save each model in a file of its own."
        )
    note = f"The file holds a {type(found).__name__}; the model is its entry {models[0]!r}."
    return parts[models[0]], (note,)


def _parts(found: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(found, Mapping):
        yield from ((str(key), part) for key, part in found.items())
    elif isinstance(found, (list, tuple)):
        yield from ((str(at), part) for at, part in enumerate(found))


def _predicts(part: Any) -> bool:
    return callable(getattr(part, "predict", None)) and not isinstance(part, type)


def _check(model: Any, file: ModelFile) -> None:
    try:
        check_structure(model, file.name, threads=file.settings.threads)
    except UntrustedModel as error:
        drift = _drift(file)
        raise ModelError(f"{error} {drift}" if drift else str(error)) from error


def _drift(file: ModelFile) -> str:
    """Other versions than here, as a sentence; "" where there are none."""
    return " ".join(inspect_content(file).drift)


def _explained(error: BaseException, file: ModelFile, helpers: HelperFiles) -> str:
    if isinstance(error, _Absent):
        return _absent(error, file, helpers)
    if isinstance(error, ModuleNotFoundError):
        return _no_library(str(error.name), file)
    if isinstance(error, MemoryError):
        return (
            f"{file.name} needs more memory than a model may have here "
            f"({file.settings.worker_memory_mb:,} MB, setting worker_memory_mb)."
        )
    if isinstance(error, SystemExit):
        return f"{file.name} tried to end the process when it was opened, so it is not used."
    if isinstance(error, (EOFError, pickle.UnpicklingError)):
        return (
            f"{file.name} is cut off or damaged ({first_line(error)[:200]}); save or upload it "
            "again."
        )
    drift = _drift(file)
    return (
        f"{file.name} cannot be opened here ({type(error).__name__}: {first_line(error)[:200]}). "
        f"{drift + ' ' if drift else ''}Save it again with the versions that are installed here, "
        f"or {_TABLE}."
    )


def _absent(error: _Absent, file: ModelFile, helpers: HelperFiles) -> str:
    dotted = f"{error.module}.{error.name}"
    if error.module in _MAIN:
        given = f" ({listed(helpers.files)} does not)" if helpers.files else ""
        return (
            f"{file.name} needs {plain_name(dotted)}, which the script or notebook defined that "
            f"it was saved from; upload the .py file that defines it beside the model{given}."
        )
    top = error.module.partition(".")[0]
    if top not in LIBRARIES:
        stem = error.module.rpartition(".")[2]
        if stem + ".py" in helpers.files:
            return f"{file.name} needs {dotted}, which the uploaded {stem}.py does not define."
        return (
            f"{file.name} needs {dotted}, which is not installed here; upload {stem}.py, which "
            "defines it, beside the model, or install the library if it is one."
        )
    if isinstance(error.__cause__, ModuleNotFoundError) and error.__cause__.name == top:
        return _no_library(top, file)
    drift = _drift(file)
    return (
        f"{file.name} needs {dotted}, which the installed {LIBRARIES[top]} does not have. "
        f"{drift + ' ' if drift else ''}Save it again with the version that is installed here, or "
        f"{_TABLE}."
    )


def _no_library(module: str, file: ModelFile) -> str:
    top = module.partition(".")[0]
    library = LIBRARIES.get(top, top)
    return (
        f"{file.name} needs the library {library}, which is not installed here; install it beside "
        f"Sidelight (`pip install {library}`), or {_TABLE}."
    )
