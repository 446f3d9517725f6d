"""One frozen `Settings`: defaults ← settings file ← environment (`SIDELIGHT_*`).

Sources: `sidelight.toml` in the working directory (or the file `SIDELIGHT_CONFIG` names),
then one environment variable per field, e.g. `SIDELIGHT_MAX_ROWS=2000000`.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from .errors import ParameterError

__all__ = ["Settings", "get_settings", "home_folder", "read_settings"]

# 0 means: any free port; this seed; no bootstrap intervals; one thread; no spare worker; kept
# for ever.
_MAY_BE_ZERO = (
    "port",
    "random_state",
    "n_bootstrap",
    "threads",
    "confidence_level",
    "spare_workers",
    "workspace_days",
)
_WORDS = {"sandbox": ("auto", "bubblewrap", "landlock", "none"), "trust": ("", "all")}


@dataclass(frozen=True)
class Settings:
    """Limits, seeds and caps. Sizes in bytes, times in seconds unless the name says otherwise."""

    port: int = 8501
    address: str = "localhost"
    upload_limit_mb: int = 1024
    max_rows: int = 5_000_000
    max_columns: int = 20_000
    max_classes: int = 1_000
    max_models: int = 8
    max_runs: int = 1_000
    max_model_mb: int = 1024
    max_archive_ratio: int = 1_000
    threads: int = 2
    random_state: int = 0
    n_bootstrap: int = 1_000
    confidence_level: float = 0.95
    curve_marks: int = 2_000
    scatter_marks: int = 4_000
    matrix_classes: int = 50
    cache_entries: int = 64
    # folders
    home: str = ""  # where workspaces are kept; empty: the user's data folder
    data_dir: str = ""  # data too large to upload is opened from here; empty: not offered
    # confined workers
    sandbox: str = "auto"  # auto, bubblewrap, landlock or none
    trust: str = ""  # "all": open files that carry code without confinement
    max_workers: int = 6
    spare_workers: int = 2
    worker_memory_mb: int = 4096
    worker_file_mb: int = 512
    worker_cpu_seconds: int = 3_600
    worker_idle_seconds: int = 900
    load_seconds: int = 180
    predict_seconds: int = 900
    # workspaces
    workspace_quota_mb: int = 20_480
    workspace_days: int = 90

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, (int, float)) and value < 0:
                raise ParameterError(f"Setting {field.name} must not be negative, got {value}.")
            if value == 0 and field.name not in _MAY_BE_ZERO:
                raise ParameterError(f"Setting {field.name} must be at least 1, got 0.")
        for name, words in _WORDS.items():
            if getattr(self, name) not in words:
                known = ", ".join(word or "empty" for word in words)
                raise ParameterError(
                    f"Setting {name} must be one of {known}; got {getattr(self, name)!r}."
                )
        if not 0 < self.confidence_level < 1:
            raise ParameterError(
                "Setting confidence_level must fulfil 0 < confidence_level < 1, "
                f"got {self.confidence_level}."
            )


def _convert(name: str, value: Any, default: Any) -> Any:
    """The value as the type of the default; text of numbers counts, 1.5 or true for 1 does not."""
    kind = type(default)
    if type(value) is kind:
        return value
    try:
        converted = kind(value)
        if isinstance(value, str) or (not isinstance(value, bool) and converted == value):
            return converted
        raise ValueError(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ParameterError(
            f"Setting {name} must be of type {kind.__name__}, got {value!r}. Correct it."
        ) from error


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParameterError(
            f"{path.name} is no valid TOML ({error}). Write one `name = value` per line."
        ) from error


def _path(environment: Mapping[str, str], file: Path | None) -> Path:
    named = environment.get("SIDELIGHT_CONFIG")
    if file is None and named and not Path(named).is_file():
        raise ParameterError(
            f"SIDELIGHT_CONFIG names {named}; there is no such file. Correct or unset it."
        )
    return file or Path(named or "sidelight.toml")


def read_settings(
    environment: Mapping[str, str] | None = None, file: Path | None = None
) -> Settings:
    """Settings from defaults, then `file` (TOML), then `environment`; unknown names raise.

    Raises
    ------
    ParameterError : a name that is no setting, a value of the wrong type or out of bounds, a file
        that is no TOML, or a file that `SIDELIGHT_CONFIG` names and that is not there.
    """
    environment = os.environ if environment is None else environment
    defaults = {field.name: field.default for field in fields(Settings)}
    values: dict[str, Any] = {}
    path = _path(environment, file)
    if path.is_file():
        for name, value in _read_file(path).items():
            if name not in defaults:
                raise ParameterError(
                    f"{path.name} sets {name!r}, which is no setting. Known: {', '.join(defaults)}."
                )
            values[name] = _convert(name, value, defaults[name])
    for name, default in defaults.items():
        given = environment.get(f"SIDELIGHT_{name.upper()}")
        if given is not None:
            values[name] = _convert(name, given, default)
    return Settings(**values)


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return read_settings()


def home_folder(
    settings: Settings | None = None,
    environment: Mapping[str, str] | None = None,
    platform: str = sys.platform,
) -> Path:
    """Where Sidelight keeps its own files: setting `home`, else the user's data folder.

    Nothing is created.
    """
    settings = settings or get_settings()
    environment = os.environ if environment is None else environment
    if settings.home:
        return Path(settings.home).expanduser().absolute()
    if platform == "win32":
        local = environment.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "Sidelight"
    if platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Sidelight"
    shared = environment.get("XDG_DATA_HOME")
    return (Path(shared) if shared else Path.home() / ".local" / "share") / "sidelight"
