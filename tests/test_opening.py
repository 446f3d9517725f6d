"""What happens to a dropped file: identified, looked into, asked about, opened, or refused."""

from __future__ import annotations

import hashlib
import io
import pickle
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from components import opening
from components.entries import Companion, ModelEntry, Waiting
from components.state import AppState
from dashboard.errors import LimitExceeded, ModelError, UntrustedModel
from dashboard.logs import read_runs
from dashboard.settings import get_settings

from .event_writing import event, event_file, simple

ROWS = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=["a", "b", "c"])
ANSWER = np.where(ROWS["a"] > 0, "yes", "no")
DATA = ROWS.assign(bought=ANSWER).to_csv(index=False).encode()


class Clip(BaseEstimator, TransformerMixin):
    """Stands for a class of a person's own; pickled as if it came from `own_steps`."""

    def fit(self, X: object, y: object = None) -> Clip:
        self.fitted_ = True
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        return X.clip(-1, 1)


OWN_STEPS = b"""
from sklearn.base import BaseEstimator, TransformerMixin

class Clip(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X.clip(-1, 1)
"""


def _linear() -> LogisticRegression:
    return LogisticRegression().fit(ROWS, ANSWER)


def _skops() -> bytes:
    return skops.io.dumps(_linear())


def _said(first: str = "yes") -> bytes:
    """A table of predictions, which is taken in without a worker."""
    said = pd.DataFrame({"prediction": [first, *ANSWER[1:]]})
    return said.to_csv(index=False).encode()


def _joblib() -> bytes:
    buffer = io.BytesIO()
    joblib.dump(_linear(), buffer)
    return buffer.getvalue()


@pytest.fixture
def own_class(monkeypatch: pytest.MonkeyPatch) -> Iterator[bytes]:
    """A pickled pipeline that needs the class of a file beside it."""
    import sys
    from types import ModuleType

    module = ModuleType("own_steps")
    monkeypatch.setattr(Clip, "__module__", "own_steps")
    monkeypatch.setattr(module, "Clip", Clip, raising=False)
    monkeypatch.setitem(sys.modules, "own_steps", module)
    content = pickle.dumps(make_pipeline(Clip(), LogisticRegression()).fit(ROWS, ANSWER))
    yield content


@pytest.fixture
def unconfined(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SIDELIGHT_SANDBOX", "none")
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def _until_settled(state: AppState, seconds: float = 120) -> None:
    give_up = time.monotonic() + seconds
    while state.reading is not None or any(one.job is not None for one in state.waiting):
        assert time.monotonic() < give_up
        opening.settle(state)
        time.sleep(0.01)


def _drop(state: AppState, name: str, content: bytes) -> None:
    opening.stage_model(state, name, content)
    _until_settled(state)


def _state() -> AppState:
    state = AppState()
    state.open_data("data.csv", DATA)
    return state


# -- models that carry no code --------------------------------------------------------------------


def test_a_safe_model_is_opened_at_once_and_can_be_opened_again() -> None:
    state, content = _state(), _skops()
    _drop(state, "linear.skops", content)
    entry = state.entries[0]
    assert (entry.name, entry.file, entry.key) == (
        "linear",
        "linear.skops",
        hashlib.sha256(content).hexdigest(),
    )
    assert state.files[entry.key] == content
    assert entry.info is not None and entry.info.feature_names == ("a", "b", "c")
    before = entry.need_model().predict(ROWS).scores
    entry.model = None
    assert entry.known is entry.info  # known without being loaded
    np.testing.assert_array_equal(entry.need_model().predict(ROWS).scores, before)


def test_files_stand_in_the_order_in_which_they_were_dropped() -> None:
    state = _state()
    slow = Waiting(key="x", name="slow.skops", slot=state.free_slot(), arrival=1)
    state.waiting.append(slow)
    _drop(state, "quick.csv", _said())
    assert (state.entries[0].arrival, state.entries[0].slot) == (2, 1)
    state.waiting.remove(slow)
    state.add_entry(ModelEntry("x", "slow", "slow.skops", slow.slot, arrival=slow.arrival))
    assert [one.name for one in state.entries] == ["slow", "quick"]


def test_the_same_file_twice_is_refused_by_name() -> None:
    state, content = _state(), _said()
    opening.stage_model(state, "one.csv", content)
    with pytest.raises(ModelError, match=r"one\.csv"):
        opening.stage_model(state, "two.csv", content)
    _until_settled(state)
    with pytest.raises(ModelError, match="one"):
        opening.stage_model(state, "two.csv", content)


def test_no_more_models_than_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDELIGHT_MAX_MODELS", "1")
    get_settings.cache_clear()
    try:
        state = _state()
        _drop(state, "one.csv", _said())
        with pytest.raises(LimitExceeded, match="1 models"):
            opening.stage_model(state, "two.csv", _said("no"))
        _drop(state, "own_steps.py", OWN_STEPS)  # no model, and never too many
    finally:
        get_settings.cache_clear()


def test_what_cannot_be_used_is_one_problem_and_leaves_nothing() -> None:
    state = _state()
    _drop(state, "photo.keras", b"\x89PNG\r\n\x1a\n" + b"\0" * 64)
    assert [one.source for one in state.problems] == ["photo.keras"]
    assert "PNG" in state.problems[0].message
    assert not state.waiting and not state.entries and not state.failed
    assert list(state.files) == [state.sources[0].digest]


def test_code_that_is_never_opened_is_not_tried_again() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("net/data.pkl", b"\x80\x02K\x01.")
    state = _state()
    _drop(state, "net.pt", buffer.getvalue())
    assert "PyTorch" in state.problems[0].message
    assert not state.waiting and not state.failed and len(state.files) == 1


def test_removing_a_model_drops_its_file() -> None:
    state = _state()
    _drop(state, "one.csv", _said())
    state.remove(state.entries[0].key)
    assert list(state.files) == [state.sources[0].digest]


def test_add_file_waits_and_raises() -> None:
    state = _state()
    state.add_file("one.csv", _said())
    assert [one.name for one in state.entries] == ["one"]
    with pytest.raises(ModelError):
        state.add_file("photo.keras", b"\x89PNG\r\n\x1a\n" + b"\0" * 64)
    assert not state.waiting


# -- files that carry code ------------------------------------------------------------------------


def test_code_is_asked_about_and_opened_once_agreed() -> None:
    state, content = _state(), _joblib()
    _drop(state, "linear.joblib", content)
    waiting = state.waiting[0]
    assert waiting.stage == "asking" and not state.entries
    assert waiting.inspection.carries_code
    opening.consent(state, waiting.key)
    _until_settled(state)
    assert [one.name for one in state.entries] == ["linear"]
    expected = _linear().predict_proba(ROWS)
    np.testing.assert_allclose(
        state.entries[0].need_model().predict(ROWS).scores, expected, rtol=0, atol=1e-12
    )


def test_it_is_asked_once_for_each_file() -> None:
    state, content = _state(), _joblib()
    state.add_file("linear.joblib", content)
    assert not state.entries  # which does not agree for a person
    opening.discard(state, state.waiting[0].key)
    assert not state.waiting and not state.consented
    assert list(state.files) == [state.sources[0].digest]
    _drop(state, "linear.joblib", content)
    opening.consent_to_all(state, [state.waiting[0].key])
    _until_settled(state)
    state.remove(state.entries[0].key)
    _drop(state, "again.joblib", content)
    assert [one.name for one in state.entries] == ["again"]


def test_an_own_class_comes_from_the_file_beside_it(own_class: bytes) -> None:
    state = _state()
    state.add_file("clipped.pkl", own_class)
    opening.consent(state, state.waiting[0].key)
    _until_settled(state)
    assert "Clip" in state.problems[0].message and not state.entries
    _drop(state, "own_steps.py", OWN_STEPS)  # what had failed is tried again by itself
    assert [one.name for one in state.entries] == ["clipped"]
    assert not state.problems and not state.failed
    assert [one.name for one in state.entries[0].helpers] == ["own_steps.py"]
    own = {one.digest for one in state.entries[0].helpers}
    assert own <= set(state.files) and own.issubset(state.entries[0].digest.split(":"))
    state.entries[0].model = None
    assert len(state.entries[0].need_model().predict(ROWS).scores) == 60


def test_the_file_beside_it_may_come_while_it_is_looked_into(own_class: bytes) -> None:
    state = AppState()
    waiting = opening.stage_model(state, "clipped.pkl", own_class)
    assert waiting.job is not None and waiting.job.wait(60)
    key = hashlib.sha256(OWN_STEPS).hexdigest()
    state.files[key] = OWN_STEPS
    state.companions.append(Companion("own_steps.py", key))
    _until_settled(state)
    assert [one.name for one in waiting.helpers] == ["own_steps.py"]
    assert not waiting.inspection.private


def test_the_file_beside_it_may_come_while_it_fails_without_it(own_class: bytes) -> None:
    state = _state()
    waiting = opening.stage_model(state, "clipped.pkl", own_class, consent=True)
    assert waiting.stage == "opening" and waiting.job is not None and waiting.job.wait(60)
    opening.stage_model(state, "own_steps.py", OWN_STEPS)
    source = state.waiting.pop()  # it is done first
    state.waiting.insert(0, source)
    assert source.job is not None and source.job.wait(60)
    _until_settled(state)
    assert [one.name for one in state.entries] == ["clipped"]
    assert not state.problems and not state.failed


def test_a_failure_is_not_tried_again_without_end(own_class: bytes) -> None:
    state = _state()
    waiting = opening.stage_model(state, "clipped.pkl", own_class, consent=True)
    assert waiting.job is not None and waiting.job.wait(60)
    _drop(state, "other_steps.py", b"class Other:\n    pass\n")
    assert [one.name for one in waiting.helpers] == ["other_steps.py"]
    assert "Clip" in state.problems[0].message and waiting.key in state.failed


def test_the_file_beside_it_may_come_first(own_class: bytes) -> None:
    state = _state()
    _drop(state, "own_steps.py", OWN_STEPS)
    _drop(state, "clipped.pkl", own_class)
    assert state.waiting[0].inspection.private == ()
    assert [one.name for one in state.waiting[0].helpers] == ["own_steps.py"]


@pytest.mark.parametrize(
    ("content", "word"), [(b"\xff\xfe\x00binary", "no text"), (b"#" * 2_000_000, "limit")]
)
def test_a_py_that_is_no_code_is_refused(content: bytes, word: str) -> None:
    state = _state()
    _drop(state, "own.py", content)
    assert word in state.problems[0].message and not state.companions


@pytest.mark.usefixtures("unconfined")
def test_without_confinement_code_stays_closed_and_safe_files_open() -> None:
    state = _state()
    with pytest.raises(UntrustedModel):
        state.add_file("linear.joblib", _joblib())
    state.add_file("linear.skops", _skops())
    assert [one.name for one in state.entries] == ["linear"]


def test_cancelled_it_can_be_tried_again() -> None:
    state = _state()
    waiting = opening.stage_model(state, "one.csv", _said())
    opening.cancel(state, waiting.key)
    assert not state.waiting and "cancelled" in state.problems[0].message
    opening.settle(state)
    assert not state.entries
    opening.try_again(state, waiting.key)
    _until_settled(state)
    assert [one.name for one in state.entries] == ["one"] and not state.problems


def test_no_two_sessions_share_a_worker() -> None:
    assert AppState().scope != AppState().scope
    assert len(AppState().scope) >= 20


# -- what is no model -----------------------------------------------------------------------------


def test_a_table_is_predictions() -> None:
    state = _state()
    _drop(state, "said.csv", pd.DataFrame({"prediction": ANSWER}).to_csv(index=False).encode())
    assert state.entries[0].columns is not None
    assert state.entries[0].columns.label == "prediction"


def test_a_training_history_is_kept() -> None:
    state = _state()
    _drop(state, "log.csv", b"epoch,loss,val_loss\n0,0.9,1.0\n1,0.5,0.8\n")
    assert [one.name for one in state.histories] == ["log.csv"]
    assert not state.entries and not state.problems
    opening.discard(state, state.histories[0].digest)
    assert not state.histories and list(state.files) == [state.sources[0].digest]


def test_a_folder_of_runs_is_kept_wherever_it_is_dropped() -> None:
    log = event_file(event(0, simple("loss", 1.0)), event(1, simple("loss", 0.5)))
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as archive:
        for name in ("one", "two"):
            archive.writestr(f"runs/{name}/events.out.tfevents.1", log)
    state = _state()
    for name, content in (("runs.zip", into.getvalue()), ("events.out.tfevents.1", log)):
        assert opening.is_for_models(name, content)
        _drop(state, name, content)
    assert not opening.is_for_models("log.csv", b"epoch,loss\n0,0.9\n1,0.5\n")
    kept = [(one.about.kind, one.about.steps) for one in state.histories]
    assert kept == [("runs", 2), ("tensorboard", 3)]
    runs = read_runs({"runs.zip": state.files[state.histories[0].digest]})
    assert [(run.name, run.metrics) for run in runs] == [("one", ("loss",)), ("two", ("loss",))]


def test_models_are_told_from_data() -> None:
    assert opening.is_for_models("a.txt", _joblib())
    assert opening.is_for_models("a.csv", _skops())
    assert opening.is_for_models("own.py", OWN_STEPS)
    assert not opening.is_for_models("a.skops", DATA)
    assert not opening.is_for_models("a.skops", b"")


# -- data -----------------------------------------------------------------------------------------


def test_data_is_read_beside_the_script() -> None:
    state = AppState()
    opening.stage_data(state, [("data.csv", DATA)])
    assert state.table is None
    _until_settled(state)
    assert state.table is not None and state.table.n_read == 60
    digest = hashlib.sha256(DATA).hexdigest()
    assert [(one.name, one.digest) for one in state.sources] == [("data.csv", digest)]
    assert state.files == {digest: DATA}


def test_files_dropped_together_are_one_data_set() -> None:
    state = AppState()
    lines = DATA.splitlines(keepends=True)
    files = [("one.csv", b"".join(lines[:31])), ("two.csv", lines[0] + b"".join(lines[31:]))]
    opening.stage_data(state, files)
    _until_settled(state)
    assert state.table is not None and state.table.n_read == 60
    assert [one.name for one in state.sources] == ["one.csv", "two.csv"]
    assert len(state.files) == 2


def test_a_second_file_of_the_same_columns_may_be_joined() -> None:
    state = AppState()
    lines = DATA.splitlines(keepends=True)
    state.open_data("one.csv", b"".join(lines[:31]))
    state.open_data("two.csv", lines[0] + b"".join(lines[31:]))
    assert state.table is not None and state.table.n_read == 30
    assert [one.name for one in state.earlier] == ["one.csv"]
    opening.stage_joined(state)
    _until_settled(state)
    assert state.table.n_read == 60 and not state.earlier
    state.open_data("other.csv", b"x,kind\n1,p\n2,q\n3,p\n4,q\n")
    assert not state.earlier and len(state.files) == 1


def test_a_second_read_replaces_the_first() -> None:
    state = AppState()
    opening.stage_data(state, [("one.csv", DATA)])
    first = state.reading
    opening.stage_data(state, [("two.csv", b"x,kind\n1,p\n2,q\n3,p\n4,q\n")])
    assert first is not None and first.cancelled()
    _until_settled(state)
    assert state.table is not None and state.table.name == "two.csv"
    opening.stage_data(state, [("one.csv", DATA)])
    opening.cancel_reading(state)
    _until_settled(state)
    assert state.table.name == "two.csv"


def test_data_that_cannot_be_read_is_one_problem() -> None:
    state = _state()
    opening.stage_data(state, [("empty.csv", b"")])
    _until_settled(state)
    assert [one.source for one in state.problems] == ["empty.csv"]
    assert state.table is not None and state.table.name == "data.csv"


def test_a_file_of_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "big.csv").write_bytes(DATA)
    (tmp_path / "secret.csv").write_bytes(DATA)
    monkeypatch.setenv("SIDELIGHT_DATA_DIR", str(folder))
    get_settings.cache_clear()
    try:
        state = AppState()
        opening.stage_folder_file(state, "big.csv")
        _until_settled(state)
        assert state.table is not None and state.table.n_read == 60
        assert state.sources[0].name == "big.csv" and not state.files  # it stays where it lies
        opening.stage_folder_file(state, "../secret.csv")
        _until_settled(state)
        assert "../secret.csv" in state.problems[0].message
        assert state.sources[0].name == "big.csv"
    finally:
        get_settings.cache_clear()
