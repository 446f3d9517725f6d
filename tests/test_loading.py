"""Home's way in, through the app: what is asked, shown, taken, refused and taken back."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from streamlit.testing.v1 import AppTest

from components.state import AppState
from dashboard.settings import get_settings

ROOT = Path(__file__).resolve().parent.parent
APP = str(ROOT / "dashboard" / "app.py")
PERFORMANCE = str(ROOT / "pages" / "performance.py")
ROWS = pd.DataFrame(np.random.default_rng(1).normal(size=(80, 3)), columns=["a", "b", "c"])
ANSWER = np.where(ROWS["a"] + 0.3 * ROWS["b"] > 0, "yes", "no")
DATA = ROWS.assign(bought=ANSWER).to_csv(index=False).encode()


def _model() -> LogisticRegression:
    return LogisticRegression().fit(ROWS, ANSWER)


def _key(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _state(at: AppTest) -> AppState:
    state: AppState = at.session_state["sidelight"]
    return state


def _run(at: AppTest) -> AppTest:
    at.run()
    assert not at.exception, [one.value for one in at.exception]
    return at


def _text(at: AppTest) -> str:
    parts = [*at.markdown, *at.caption, *at.error, *at.info, *at.warning]
    return "\n".join(str(one.value) for one in parts)


def _upload(at: AppTest, where: str, *files: tuple[str, bytes]) -> AppTest:
    for name, content in files:
        at.file_uploader(key=f"upload-{where}").upload(name, content)
    return _run(at)


def _app() -> AppTest:
    return _upload(_run(AppTest.from_file(APP, default_timeout=120)), "data", ("data.csv", DATA))


def test_code_is_shown_and_asked_about_before_it_is_opened() -> None:
    at, content = _app(), pickle.dumps(_model())
    _upload(at, "models", ("linear.pkl", content))
    assert not _state(at).entries and not at.warning
    assert "**linear.pkl** carries code" in _text(at)
    assert "parts of known models" in _text(at)
    at.button(key=f"open-{_key(content)}").click()
    _run(at)
    assert [one.name for one in _state(at).entries] == ["linear"]
    _run(at.switch_page(PERFORMANCE))
    assert not at.error and "Confusion matrices" in {one.value for one in at.header}


def test_what_a_hostile_file_would_call_is_listed_as_text() -> None:
    class Bite:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            import os

            return os.system, ("echo **bold** <b>x</b> > /tmp/bitten-by-a-test",)

    at, content = _app(), pickle.dumps(Bite())
    _upload(at, "models", ("bite.pkl", content))
    assert len(at.warning) == 1 and "bite.pkl" in _text(at)
    assert "posix.system" in _text(at).replace("\\", "")
    assert "<b>" not in _text(at) and "**bold**" not in _text(at)
    at.button(key=f"discard-{_key(content)}").click()
    _run(at)
    assert "bite" not in _text(at)
    assert not _state(at).waiting and not Path("/tmp/bitten-by-a-test").exists()


def test_a_file_that_fails_is_one_message_with_another_try() -> None:
    at = _app()
    content = pickle.dumps({"no": "model"})
    _upload(at, "models", ("dict.pkl", content))
    at.button(key=f"open-{_key(content)}").click()
    _run(at)
    assert len(at.error) == 1 and "dict.pkl" in at.error[0].value.replace("\\", "")
    at.button(key=f"again-{_key(content)}").click()
    _run(at)
    assert len(at.error) == 1
    at.button(key="dismiss-dict.pkl").click()
    _run(at)
    assert not at.error and not _state(at).failed and len(_state(at).files) == 1


def test_files_dropped_together_are_read_as_one() -> None:
    at = _run(AppTest.from_file(APP, default_timeout=120))
    lines = DATA.splitlines(keepends=True)
    parts = [b"".join(lines[:41]), lines[0] + b"".join(lines[41:])]
    _upload(at, "data", ("one.csv", parts[0]), ("two.csv", parts[1]))
    assert not at.error and "All 80 rows" in _text(at)


def test_a_part_that_came_later_can_be_joined() -> None:
    at = _run(AppTest.from_file(APP, default_timeout=120))
    lines = DATA.splitlines(keepends=True)
    _upload(at, "data", ("one.csv", b"".join(lines[:41])))
    _upload(at, "data", ("two.csv", lines[0] + b"".join(lines[41:])))
    assert "All 40 rows" in _text(at)
    assert "one" in at.button(key="join").label
    at.button(key="join").click()
    _run(at)
    assert "All 80 rows" in _text(at)
    assert not any(one.key == "join" for one in at.button)


def test_a_model_in_the_wrong_uploader_is_a_model_all_the_same() -> None:
    at = _run(AppTest.from_file(APP, default_timeout=120))
    _upload(at, "data", ("data.csv", DATA), ("linear.skops", skops.io.dumps(_model())))
    assert not at.error and "All 80 rows" in _text(at)
    assert [one.name for one in _state(at).entries] == ["linear"]


def test_what_is_kept_can_be_removed() -> None:
    at = _app()
    history = b"epoch,loss,val_loss\n0,0.9,1.0\n1,0.5,0.8\n"
    _upload(at, "models", ("log.csv", history), ("own.py", b"class Mine: pass\n"))
    assert "log.csv" in _text(at) and "own.py" in _text(at).replace("\\", "")
    for content in (history, b"class Mine: pass\n"):
        at.button(key=f"discard-{_key(content)}").click()
        _run(at)
    assert not _state(at).histories and not _state(at).companions


def test_the_confinement_in_force_is_shown() -> None:
    at = _run(AppTest.from_file(APP, default_timeout=120))
    said = [one.value for one in at.caption if "process of their own" in one.value]
    assert len(said) == 1 and "shield" in said[0]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch
    monkeypatch.undo()
    get_settings.cache_clear()


def test_without_confinement_it_says_so_and_code_is_refused(
    settings: pytest.MonkeyPatch,
) -> None:
    settings.setenv("SIDELIGHT_SANDBOX", "none")
    get_settings.cache_clear()
    at = _app()
    assert "not confined" in _text(at)
    _upload(at, "models", ("linear.pkl", pickle.dumps(_model())))
    assert len(at.error) == 1 and not _state(at).waiting and not _state(at).entries


def test_a_file_of_the_data_folder_is_opened_where_it_lies(
    settings: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "big.csv").write_bytes(DATA)
    settings.setenv("SIDELIGHT_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    at = _run(AppTest.from_file(APP, default_timeout=120))
    at.selectbox(key="folder-file").set_value("big.csv")
    _run(at)
    assert not at.error and "All 80 rows" in _text(at)
    assert at.selectbox(key="folder-file").value is None


def test_files_on_their_way_arrive_on_any_page() -> None:
    at = _app()
    _run(at.switch_page(PERFORMANCE))
    from components import opening

    opening.stage_model(_state(at), "linear.skops", skops.io.dumps(_model()))
    _run(at)
    assert [one.name for one in _state(at).entries] == ["linear"]
    assert "Confusion matrices" in {one.value for one in at.header}


def test_a_helper_beside_a_model_that_does_not_name_it_is_not_called_its_own() -> None:
    at, content = _app(), pickle.dumps(_model())
    _upload(at, "models", ("own.py", b"class Mine: pass\n"))
    _upload(at, "models", ("linear.pkl", content))
    assert "opened together with" in _text(at) and "parts of known models" in _text(at)


def test_files_that_are_no_models_take_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDELIGHT_MAX_MODELS", "1")
    get_settings.cache_clear()
    at, content = _app(), pickle.dumps(_model())
    history = b"epoch,loss\n0,0.5\n1,0.4\n"
    _upload(at, "models", ("own.py", b"a = 1\n"), ("linear.pkl", content), ("log.csv", history))
    assert not at.error and [one.name for one in _state(at).histories] == ["log.csv"]
    _upload(at, "models", ("other.pkl", content + b" "))
    assert "on their way in" in at.error[0].value
    get_settings.cache_clear()


def test_home_says_what_an_uploaded_log_shows() -> None:
    """A line without numbers that leads to the page on learning; data without logs have none."""
    at = _app()
    assert "still improving" not in _text(at)
    losses = "".join(f"{k},{2.2 - 0.05 * k},{2.3 - 0.05 * k}\n" for k in range(20))
    _upload(at, "models", ("short.csv", f"epoch,loss,val_loss\n{losses}".encode()))
    assert not at.error and not at.exception
    assert "short was still improving when it stopped." in _text(at)
