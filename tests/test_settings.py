"""Settings: the environment beats the file beats the default, and nothing wrong passes."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from dashboard.errors import ParameterError
from dashboard.settings import Settings, get_settings, home_folder, read_settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sidelight.toml"
    path.write_text('max_rows = 10\nport = 9000\naddress = "0.0.0.0"\nconfidence_level = 0.9\n')
    return path


def test_defaults(tmp_path: Path) -> None:
    assert read_settings({}, tmp_path / "absent.toml") == Settings()


def test_environment_beats_file_beats_default(file: Path) -> None:
    got = read_settings({"SIDELIGHT_PORT": "9100"}, file)
    assert (got.port, got.max_rows, got.max_models) == (9100, 10, Settings().max_models)
    assert (got.address, got.confidence_level) == ("0.0.0.0", 0.9)


def test_environment_names_the_file(file: Path) -> None:
    moved = file.rename(file.with_name("other.toml"))
    assert read_settings({"SIDELIGHT_CONFIG": str(moved)}).max_rows == 10


def test_file_of_the_working_directory(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    assert read_settings({}).max_rows == 10


def test_process_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIDELIGHT_MAX_MODELS", "3")
    get_settings.cache_clear()
    try:
        assert get_settings().max_models == 3
        assert get_settings() is get_settings()
    finally:
        get_settings.cache_clear()


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_every_field_has_a_variable(field: object, tmp_path: Path) -> None:
    name = getattr(field, "name", "")
    default = getattr(Settings(), name)
    words = {"sandbox": "landlock", "trust": "all"}
    value = (
        words.get(name, "text")
        if isinstance(default, str)
        else ("0.5" if isinstance(default, float) else "7")
    )
    got = read_settings({f"SIDELIGHT_{name.upper()}": value}, tmp_path / "absent.toml")
    assert getattr(got, name) == type(default)(value)
    assert type(getattr(got, name)) is type(default)


@pytest.mark.parametrize("name", ["sandbox", "trust"])
def test_words_are_checked(name: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=f"Setting {name} must be one of"):
        read_settings({f"SIDELIGHT_{name.upper()}": "maybe"}, tmp_path / "absent.toml")


@pytest.mark.parametrize(("text", "message"), [
    ("max_row = 10", "sets 'max_row', which is no setting. Known: port, address"),
    ("max_rows = 'many'", "Setting max_rows must be of type int, got 'many'"),
    ("max_rows = [1]", "Setting max_rows must be of type int"),
    ("max_rows = 1.5", "Setting max_rows must be of type int, got 1.5"),
    ("max_rows = true", "Setting max_rows must be of type int, got True"),
    ("address = 7", "Setting address must be of type str, got 7"),
    ("max_rows = -1", "Setting max_rows must not be negative, got -1"),
    ("max_models = 0", "Setting max_models must be at least 1, got 0"),
    ("confidence_level = 0", "0 < confidence_level < 1, got 0"),
    ("confidence_level = 1", "0 < confidence_level < 1, got 1"),
    ("confidence_level = nan", "0 < confidence_level < 1, got nan"),
    ("max_rows =", "sidelight.toml is no valid TOML"),
])  # fmt: skip
def test_refuses(text: str, message: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(ParameterError, match=message):
        read_settings({}, file)


@pytest.mark.parametrize("value", ["many", "", "1.5"])
def test_refuses_in_the_environment(value: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="Setting max_rows must be of type int"):
        read_settings({"SIDELIGHT_MAX_ROWS": value}, tmp_path / "absent.toml")


def test_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"SIDELIGHT_CONFIG names .*absent.toml.*no such file"):
        read_settings({"SIDELIGHT_CONFIG": str(tmp_path / "absent.toml")})


def test_whole_numbers_serve_as_fractions(file: Path) -> None:
    file.write_text("port = 0\nmax_rows = 10.0")
    assert read_settings({}, file).max_rows == 10
    assert read_settings({}, file).port == 0


def test_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("platform", "environment", "end"),
    [
        ("linux", {}, ".local/share/sidelight"),
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/sidelight"),
        ("darwin", {"XDG_DATA_HOME": "/data"}, "Library/Application Support/Sidelight"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/Sidelight"),
        ("win32", {}, "AppData/Local/Sidelight"),
    ],
)
def test_home_is_where_a_system_keeps_data(
    platform: str, environment: dict[str, str], end: str
) -> None:
    found = home_folder(Settings(), environment, platform)
    assert found.is_absolute()
    assert found.as_posix().endswith(end)


def test_home_by_setting() -> None:
    assert home_folder(Settings(home="/somewhere")) == Path("/somewhere")
    assert home_folder(Settings(home="~/mine")) == Path.home() / "mine"
