"""Models from files and from memory, behind one protocol: `load_model`, `adapt`, `identify`.

Files are told apart by content. `load_model` opens none of them in this process: each gets a
confined worker of its own. `load_native` opens a file right here, for the worker and for callers
who vouch for it.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..contracts import Model
from ..settings import Settings, get_settings
from .adapting import adapt
from .boosters import BoosterModel
from .estimators import CallableModel, EstimatorModel
from .findings import Inspection
from .identify import carries_code, identify, refusal, unconfined
from .loaders import is_model, load_native
from .model_file import read_model
from .networks import KerasModel

__all__ = [
    "BoosterModel",
    "CallableModel",
    "EstimatorModel",
    "Inspection",
    "KerasModel",
    "adapt",
    "carries_code",
    "identify",
    "inspect_model",
    "is_model",
    "load_model",
    "load_native",
]


def load_model(
    source: Path | bytes,
    name: str,
    *,
    helpers: Mapping[str, bytes] | None = None,
    trust: bool = False,
    scope: str = "",
    settings: Settings | None = None,
) -> Model:
    """A model from a file, opened in a confined worker process; `name` is what messages call it.

    Parameters
    ----------
    helpers : file name → content of the files beside it: `.py` with own classes, or weights.
    trust : open it in this very process; for callers who vouch for every byte.
    scope : whose worker it is; two scopes never share one.

    Raises
    ------
    LimitExceeded : larger than `max_model_mb`, or an archive that unpacks to far more.
    UntrustedModel : it carries code and nothing can confine it here, or it names types that are
        never opened.
    ModelError : no usable model; the message says what it looks like and what to export.
    """
    settings = settings or get_settings()
    content = read_model(source, name, settings)
    kind = _model_kind(content, name)
    if trust:
        folder = _beside(helpers)
        return load_native(content, name, helpers_folder=folder, settings=settings)
    if carries_code(kind):
        _check_confined(kind, name, settings)
    from .confined import confined_load

    digest = hashlib.sha256(content).hexdigest()
    return confined_load(source, name, digest, helpers=helpers, scope=scope, settings=settings)


def inspect_model(
    source: Path | bytes,
    name: str,
    *,
    helpers: Mapping[str, bytes] | None = None,
    scope: str = "",
    settings: Settings | None = None,
) -> Inspection:
    """What is inside a model file, found out by a worker that does not open it.

    Raises
    ------
    LimitExceeded : larger than `max_model_mb`, also once it is unpacked.
    ModelError : it is no model or cannot be read.
    """
    settings = settings or get_settings()
    content = read_model(source, name, settings)
    _model_kind(content, name)
    from .confined import confined_inspect

    digest = hashlib.sha256(content).hexdigest()
    return confined_inspect(source, name, digest, helpers=helpers, scope=scope, settings=settings)


def _model_kind(content: bytes, name: str) -> str:
    kind = identify(content, name)
    if not is_model(kind):
        raise refusal(kind, name)
    return kind


def _check_confined(kind: str, name: str, settings: Settings) -> None:
    from ..sandbox.confinement import Confinement, describe_confinement, find_confinement

    found = find_confinement(settings)
    if found is Confinement.PROCESS and settings.trust != "all":
        _, _, why = describe_confinement(found, settings).partition(": ")
        raise unconfined(kind, name, why)


_BESIDE: list[tempfile.TemporaryDirectory[str]] = []  # modules are imported from these later on


def _beside(helpers: Mapping[str, bytes] | None) -> Path | None:
    """A folder with the helper files, for as long as this process lives."""
    if not helpers:
        return None
    _BESIDE.append(tempfile.TemporaryDirectory(prefix="sidelight-helpers-"))
    folder = Path(_BESIDE[-1].name)
    for name, content in helpers.items():
        (folder / Path(name).name).write_bytes(content)
    return folder
