"""The workspace of a session, through the app: opened again it is the same, and nobody else's."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import zipfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from streamlit.testing.v1 import AppTest

from components import opening, results, snapshots, workspaces
from components.jobs import Job
from components.merging import digests, merge
from components.snapshots import snapshot
from components.state import AppState
from components.visitors import Visitor
from dashboard.contracts import RawPredictions, Target
from dashboard.diagnostics.metrics import MetricRow, compute_metrics
from dashboard.errors import WorkspaceError
from dashboard.logs import read_runs
from dashboard.settings import Settings, home_folder
from dashboard.workspace import Store

ROOT = Path(__file__).resolve().parent.parent
APP = str(ROOT / "dashboard" / "app.py")
PERFORMANCE = str(ROOT / "pages" / "performance.py")
NAMES = list("abcd")


def _case() -> tuple[pd.DataFrame, LogisticRegression]:
    X, y = make_classification(150, n_features=4, random_state=3)
    frame = pd.DataFrame(X, columns=NAMES).assign(kind=np.array(["no", "yes"])[y])
    return frame, LogisticRegression().fit(frame[NAMES], frame["kind"])


FRAME, MODEL = _case()
DATA = FRAME.to_csv(index=False).encode()
ANSWERS = pd.DataFrame({"prediction": MODEL.predict(FRAME[NAMES])}).to_csv(index=False).encode()


def _sound(at: AppTest) -> AppTest:
    assert not at.exception, [one.value for one in at.exception]
    return at


def _app(**link: str) -> AppTest:
    at = AppTest.from_file(APP, default_timeout=120)
    at.query_params.update(link)
    return _sound(at.run())


def _state(at: AppTest) -> AppState:
    state: AppState = at.session_state["sidelight"]
    return state


def _upload(at: AppTest, key: str, name: str, content: bytes) -> AppTest:
    at.file_uploader(key=key).upload(name, content, "application/octet-stream")
    return _sound(at.run())


def _filled(model: bytes | None = None) -> AppTest:
    """A session with data and two models; without `model` both are files of predictions."""
    at = _upload(_app(sample="cancer"), "upload-data", "rows.csv", DATA)
    if model is None:
        at = _upload(at, "upload-models", "linear.csv", ANSWERS.replace(b"yes", b"no", 3))
    else:
        at = _upload(at, "upload-models", "linear.skops", model)
    return _upload(at, "upload-models", "colleague.csv", ANSWERS)


@pytest.fixture(scope="module")
def filled() -> AppTest:
    at = _filled(skops.io.dumps(MODEL))
    linear, _ = _state(at).entries
    at.text_input(key=f"name-{linear.key}").set_value("Ours 🦊")
    _sound(at.run())
    at.button(key=f"move1-{linear.key}").click()
    _sound(at.run())
    at.button(key=f"reference-{linear.key}").click()
    _sound(at.run())
    at.selectbox(key=f"correct-positive-{_state(at).version}").set_value(0)
    _sound(at.run())
    _sound(at.switch_page(PERFORMANCE).run())
    at.slider(key="threshold").set_value(0.3)
    return _sound(at.run())


def _seen(state: AppState) -> dict[str, Any]:
    assert state.table is not None and state.evalset is not None
    return {
        "rows": state.table.frame,
        "roles": state.roles,
        "evalset": state.evalset.digest,
        "positive": state.evalset.target.pos_label,
        "threshold": state.threshold,
        "reference": state.reference,
        "models": [
            (one.key, one.name, one.file, one.slot, one.shown, one.columns, one.digest, one.known)
            for one in state.entries
        ],
    }


def _equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    pd.testing.assert_frame_equal(one.pop("rows"), other.pop("rows"))
    assert one == other


# -- a refresh and a restart ---------------------------------------------------------------------


def test_a_look_at_a_sample_leaves_no_trace() -> None:
    at = _app(sample="cancer")
    _sound(at.switch_page(PERFORMANCE).run())
    assert "w" not in at.query_params and _state(at).workspace is None


def test_the_link_brings_everything_back(filled: AppTest) -> None:
    again = _app(w=filled.query_params["w"])
    assert not again.error
    _equal(_seen(_state(filled)), _seen(_state(again)))
    assert "sample" not in again.query_params
    assert again.query_params["w"] == filled.query_params["w"]
    _sound(again.switch_page(PERFORMANCE).run())
    assert again.slider(key="threshold").value == 0.3
    assert _state(again).entries[1].model is None  # answers were there, nothing was opened
    assert _state(again).scope == _state(filled).scope


RESTARTED = """
import sys
from streamlit.testing.v1 import AppTest
app, page, link = sys.argv[1:]
at = AppTest.from_file(app, default_timeout=120)
at.query_params["w"] = link
at.run()
at.switch_page(page).run()
assert not at.exception and not at.error, (at.exception, at.error)
state = at.session_state["sidelight"]
assert [one.name for one in state.entries] == ["colleague", "Ours 🦊"], state.entries
assert all(one.model is None for one in state.entries)
assert at.slider(key="threshold").value == 0.3
heads = {one.value for one in at.header}
assert "Confusion matrices" in heads, heads
assert "skops" not in sys.modules
print("restored", [one.info.kind for one in state.entries if one.info])
"""


def test_after_a_restart_no_model_is_opened_and_nothing_is_computed_again(filled: AppTest) -> None:
    command = [sys.executable, "-c", RESTARTED, APP, PERFORMANCE, filled.query_params["w"]]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "LogisticRegression" in done.stdout


def test_a_wrong_link_is_one_sentence_and_the_sample_opens() -> None:
    at = _app(w="A" * 22)
    assert len(at.error) == 1 and "no workspace with this link" in at.error[0].value
    assert _state(at).sample == "loans" and "w" not in at.query_params


def test_two_sessions_never_see_each_other() -> None:
    one, other = _filled(), _app(sample="cancer")
    other = _upload(other, "upload-data", "mine.csv", DATA.replace(b"yes", b"zzz"))
    kept_one, kept_other = _state(one).workspace, _state(other).workspace
    assert kept_one is not None and kept_other is not None
    assert one.query_params["w"] != other.query_params["w"]
    assert _state(one).scope != _state(other).scope
    mine = digests(snapshot(_state(one)))
    assert len(mine) == 3 and not mine & digests(snapshot(_state(other)))
    for digest in mine:
        with pytest.raises(WorkspaceError):
            kept_other.store.file_path(kept_other.id, digest)


def test_a_removed_model_is_removed_from_the_disk_too() -> None:
    at = _filled()
    kept = _state(at).workspace
    assert kept is not None
    linear = _state(at).entries[0].key
    path = kept.store.file_path(kept.id, linear)
    others = kept.store.create()
    assert path.is_file()
    at.button(key=f"remove-{linear}").click()
    _sound(at.run())
    assert linear not in {one.digest for one in kept.store.files(kept.id)}
    with pytest.raises(WorkspaceError):
        kept.store.file_path(kept.id, linear)
    kept.store.delete(others)
    assert [one.name for one in _state(_app(w=at.query_params["w"])).entries] == ["colleague"]


def test_two_windows_on_one_workspace_lose_nothing_of_each_other() -> None:
    one = _filled()
    two = _app(w=one.query_params["w"])
    first, second = (entry.key for entry in _state(one).entries)
    one.text_input(key=f"name-{first}").set_value("Renamed in one")
    _sound(one.run())
    extra = FRAME.assign(prediction=FRAME["kind"])[["prediction"]].to_csv(index=False).encode()
    two = _upload(two, "upload-models", "extra.csv", extra)
    names = ["Renamed in one", "colleague", "extra"]
    assert [entry.name for entry in _state(two).entries] == names
    one.button(key=f"remove-{second}").click()
    _sound(one.run())
    assert [entry.name for entry in _state(one).entries] == ["Renamed in one", "extra"]
    slots = [entry.slot for entry in _state(one).entries]
    assert len(set(slots)) == 2
    third = _app(w=one.query_params["w"])
    assert [entry.name for entry in _state(third).entries] == ["Renamed in one", "extra"]


# -- the popover ---------------------------------------------------------------------------------


def test_delete_really_removes_and_starts_anew() -> None:
    at = _filled()
    kept = _state(at).workspace
    assert kept is not None
    paths = [kept.store.file_path(kept.id, one) for one in digests(snapshot(_state(at)))]
    store, id = kept.store, kept.id
    assert at.button(key="delete-workspace").disabled
    at.checkbox(key=f"sure-{id}").check()
    _sound(at.run())
    at.button(key="delete-workspace").click()
    _sound(at.run())
    assert "w" not in at.query_params and not _state(at).entries and _state(at).table is None
    with pytest.raises(WorkspaceError):
        store.open(id)
    shared = {one for other in store.recent() for one in store.files(other.id)}
    kept_by_others = {one.digest for one in shared}
    assert all(not path.exists() or path.name in kept_by_others for path in paths)
    assert "no workspace with this link" in _app(w=id).error[0].value


def test_new_leaves_the_old_one_in_the_list() -> None:
    at = _filled()
    id = at.query_params["w"]
    at.button(key="new-workspace").click()
    _sound(at.run())
    assert "w" not in at.query_params and _state(at).table is None
    at.button(key=f"open-{id}").click()
    _sound(at.run())
    assert at.query_params["w"] == id and len(_state(at).entries) == 2


def test_export_and_import_through_the_app(filled: AppTest) -> None:
    kept = _state(filled).workspace
    assert kept is not None
    content = workspaces.export(kept)
    assert kept.id.encode() not in content
    at = _app(sample="cancer")
    widget = next(one for one in at.file_uploader if str(one.key).startswith("import-"))
    widget.upload("ours.zip", content, "application/zip")
    _sound(at.run())
    assert not at.error
    state = _state(at)
    assert state.workspace is not None and state.workspace.id != kept.id
    assert state.scope != _state(filled).scope
    _equal(_seen(_state(filled)), _seen(state))
    _sound(at.switch_page(PERFORMANCE).run())
    assert not at.error
    assert state.entries[1].model is None  # its answers came with the file


def _changed(content: bytes, change: Any) -> bytes:
    """The exported file with a change in its snapshot."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for member in old.infolist():
            text = old.read(member)
            if member.filename == "workspace.json":
                listing = json.loads(text)
                change(listing["snapshot"])
                text = json.dumps(listing).encode()
            new.writestr(member.filename, text)
    return buffer.getvalue()


HOSTILE = {
    "version": lambda s: s.update(version=99),
    "view": lambda s: s["view"].update(threshold=7),
    "bool as number": lambda s: s["view"].update(cost_fp=True),
    "huge number": lambda s: s["view"].update(cost_fn=1e300),
    "rule": lambda s: s["view"].update(rule="rm -rf"),
    "view missing": lambda s: s.pop("view"),
    "slot": lambda s: s["models"][0].update(slot=-1),
    "kind": lambda s: s["models"][0].update(kind="pickle"),
    "key": lambda s: s["models"][1].update(key="../../../etc/passwd"),
    "models": lambda s: s.update(models={"a": 1}),
    "many models": lambda s: s.update(models=s["models"] * 100),
    "info": lambda s: s["models"][1].update(info={"kind": 7}),
    "roles": lambda s: s["roles"].update(target="kind"),
    "reasons": lambda s: s["roles"].update(reasons=["x"]),
    "task": lambda s: s.update(task="anything"),
    "sample": lambda s: s.update(sample="../x"),
    "sources": lambda s: s.update(sources=[["a", "b", "c"]]),
    "digest": lambda s: s.update(sources=[["a", "/etc/passwd"]]),
    "label": lambda s: s.update(pos_label=["bytes", "zz"]),
    "name": lambda s: s["models"][0].update(name=["x"]),
    "long name": lambda s: s["models"][0].update(name="x" * 1_000_000),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_snapshot_is_one_sentence_and_changes_nothing(filled: AppTest, case: str) -> None:
    kept = _state(filled).workspace
    assert kept is not None
    content = _changed(workspaces.export(kept), HOSTILE[case])
    state = AppState()
    before = len(kept.store.recent(limit=1000))
    with pytest.raises(WorkspaceError) as caught:
        workspaces.import_file(state, content, "theirs.zip")
    assert str(caught.value).count(". ") <= 1
    assert state.table is None and state.workspace is None
    assert len(kept.store.recent(limit=1000)) == before


def test_names_that_are_taken_and_text_that_is_markup_stay_text(filled: AppTest) -> None:
    kept = _state(filled).workspace
    assert kept is not None

    def change(given: dict[str, Any]) -> None:
        for entry in given["models"]:
            entry.update(name="<script>alert(1)</script>\x07", slot=3)

    state = AppState()
    workspaces.import_file(state, _changed(workspaces.export(kept), change), "theirs.zip")
    assert [one.name for one in state.entries] == [
        "<script>alert(1)</script>",
        "<script>alert(1)</script> (2)",
    ]
    assert len({one.slot for one in state.entries}) == 2


def test_a_model_that_carries_code_is_asked_about_anew_by_whoever_imports_it() -> None:
    buffer = io.BytesIO()
    joblib.dump(MODEL, buffer)
    at = _upload(_app(sample="cancer"), "upload-data", "rows.csv", DATA)
    _state(at).add_file("ours.joblib", buffer.getvalue(), consent=True)
    _sound(at.run())
    kept = _state(at).workspace
    assert kept is not None and [one.name for one in _state(at).entries] == ["ours"]
    same = _app(w=at.query_params["w"])
    assert [one.name for one in _state(same).entries] == ["ours"]  # asked once
    state = AppState()
    workspaces.import_file(state, workspaces.export(kept), "theirs.zip")
    assert not state.entries and [one.name for one in state.waiting] == ["ours.joblib"]
    assert not state.consented


def test_after_consent_an_imported_model_is_what_it_was() -> None:
    """Name, place, colour, hidden or shown, reference and the files that it was opened with."""
    contents = []
    for cost in (1.0, 2.0):
        buffer = io.BytesIO()
        model = LogisticRegression(C=cost).fit(FRAME[NAMES], FRAME["kind"])
        joblib.dump(model, buffer)
        contents.append(buffer.getvalue())
    at = _upload(_app(sample="cancer"), "upload-data", "rows.csv", DATA)
    state = _state(at)
    state.add_file("beside.py", b"class Mine:\n    pass\n")
    state.add_file("ours.joblib", contents[0], consent=True)
    state.add_file("answers.csv", ANSWERS)
    state.add_file("other.joblib", contents[1], consent=True)
    ours, _, other = state.entries
    state.rename(ours.key, "Ours 🦊")
    state.move(ours.key, 1)
    ours.shown, state.reference, other.helpers = False, other.key, ()
    state.move(other.key, -2)
    expected = _seen(state)
    assert [one.file for one in state.entries] == ["other.joblib", "answers.csv", "ours.joblib"]
    _sound(at.run())
    assert state.workspace is not None
    theirs = AppState()
    workspaces.import_file(theirs, workspaces.export(state.workspace), "theirs.zip")
    assert [one.file for one in theirs.entries] == ["answers.csv"] and len(theirs.waiting) == 2
    workspaces.keep(theirs)
    assert theirs.workspace is not None
    again = AppState()  # a refresh before anything was agreed to
    workspaces.open_workspace(again, theirs.workspace.id)
    for one in (theirs, again):
        for waiting in list(one.waiting):
            assert waiting.job is not None and waiting.job.wait(60)
        opening.settle(one)
        opening.consent_to_all(one, [waiting.key for waiting in one.waiting][::-1])
        for waiting in list(one.waiting)[::-1]:
            assert waiting.job is None or waiting.job.wait(60)  # the last one is opened first
            opening.settle(one)
        assert not one.problems and not one.waiting
        _equal(dict(expected), _seen(one))


# -- what goes wrong with the disk ---------------------------------------------------------------


def test_a_store_that_cannot_be_used_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").write_text("a file in the way")
    settings = Settings(home=str(tmp_path / "home"))
    monkeypatch.setattr("components.workspaces.get_settings", lambda: settings)
    at = _upload(_app(sample="cancer"), "upload-data", "rows.csv", DATA)
    assert _state(at).evalset is not None and "w" not in at.query_params
    assert "may be written" in _state(at).unkept
    assert "may be written" in at.sidebar.error[0].value


def test_no_room_left_is_said_and_the_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Store(tmp_path, Settings(workspace_quota_mb=1))
    monkeypatch.setattr("components.workspaces._store", lambda folder: small)
    head, _, rows = DATA.partition(b"\n")
    at = _upload(_app(sample="cancer"), "upload-data", "large.csv", head + b"\n" + rows * 150)
    assert "WORKSPACE_QUOTA_MB" in _state(at).unkept
    assert _state(at).table is not None and _state(at).table.name == "large.csv"


def test_files_that_wait_and_files_beside_models_come_back() -> None:
    buffer = io.BytesIO()
    joblib.dump(MODEL, buffer)
    history = b"epoch,loss,val_loss\n0,0.9,1.0\n1,0.5,0.8\n2,0.4,0.7\n"
    at = _upload(_app(sample="cancer"), "upload-data", "rows.csv", DATA)
    at = _upload(at, "upload-models", "classes.py", b"class Mine:\n    pass\n")
    at = _upload(at, "upload-models", "training.csv", history)
    at = _upload(at, "upload-models", "waits.joblib", buffer.getvalue())
    state = _state(_app(w=at.query_params["w"]))
    assert [one.name for one in state.companions] == ["classes.py"]
    assert [one.about for one in state.histories] == [one.about for one in _state(at).histories]
    assert [one.name for one in state.waiting] == ["waits.joblib"] and not state.entries
    assert len(state.files) == 4


def test_data_of_several_files_is_put_together_again() -> None:
    at = _app(sample="cancer")
    head, _, rows = DATA.partition(b"\n")
    more = head + b"\n" + rows[: rows.index(b"\n", 2_000) + 1]
    _state(at).use_data(opening.read_data([("train.csv", DATA), ("test.csv", more)]))
    _sound(at.run())
    again = _app(w=at.query_params["w"])
    assert len(_state(again).sources) == 2
    _equal(_seen(_state(at)), _seen(_state(again)))


def test_data_that_is_gone_is_reported_and_not_forgotten() -> None:
    at = _filled()
    kept, id = _state(at).workspace, at.query_params["w"]
    assert kept is not None
    path = kept.store.file_path(kept.id, _state(at).sources[0].digest)
    content = path.read_bytes()
    path.unlink()
    again = _app(w=id)
    assert any("no longer in this workspace" in one.value or "data folder" in one.value
               for one in again.error)  # fmt: skip
    _state(again).entries[0].name = "changed meanwhile"
    _sound(again.run())
    path.write_bytes(content)
    assert _state(_app(w=id)).evalset is not None  # nothing was saved over it


def test_predictions_that_cannot_be_read_are_reported_and_not_deleted() -> None:
    at = _filled()
    kept, id = _state(at).workspace, at.query_params["w"]
    assert kept is not None
    key = _state(at).entries[1].key
    path = kept.store.file_path(kept.id, key)
    content = path.read_bytes()
    path.write_bytes(b"")
    snapshots._HELD.pop((("colleague.csv", key),), None)
    again = _app(w=id)
    assert [one.source for one in _state(again).problems] == ["colleague.csv"]
    assert len(_state(again).entries) == 1
    _state(again).entries[0].name = "changed meanwhile"
    _sound(again.run())
    assert key in {one.digest for one in kept.store.files(kept.id)}
    path.write_bytes(content)
    last = _state(_app(w=id))
    assert last.entries[0].name == "changed meanwhile" and key in last.failed
    opening.try_again(last, key)
    assert last.waiting[0].job is not None and last.waiting[0].job.wait(60)
    opening.settle(last)
    assert [one.name for one in last.entries] == ["changed meanwhile", "colleague"]


# -- single parts --------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path: Path) -> workspaces.Kept:
    store = Store(tmp_path, Settings())
    return workspaces.Kept(store, store.create(), "")


RAWS = {
    "labels": RawPredictions(labels=np.array(["a", "b", "a"], dtype=object)),
    "scores": RawPredictions(
        scores=np.array([[0.1, 0.9], [1, 0], [np.nan, 0.5]]), classes=["a", 1]
    ),
    "float32": RawPredictions(scores=np.array([0.1, 0.2, 0.3], dtype=np.float32), notes=("x",)),
    "list": RawPredictions(scores=[np.zeros((3, 2)), np.ones((3, 2))]),
}


@pytest.mark.parametrize("name", RAWS)
def test_answers_are_kept_to_the_last_bit(kept: workspaces.Kept, name: str) -> None:
    raw = RAWS[name]
    results.keep_raw(kept, "model:columns", "evalset", raw)
    assert kept.problem == ""
    found = results.recall_raw(kept, "model:columns", "evalset")
    assert found is not None and results.recall_raw(kept, "model", "evalset") is None
    np.testing.assert_array_equal(np.asarray(found.labels), np.asarray(raw.labels))
    if raw.scores is not None:
        np.testing.assert_array_equal(np.asarray(found.scores), np.asarray(raw.scores))
        assert np.asarray(found.scores).dtype == np.asarray(raw.scores).dtype
    assert (found.classes, found.notes) == (raw.classes, raw.notes)


def test_columns_of_logs_are_kept(kept: workspaces.Kept) -> None:
    runs = read_runs({"log.csv": b"epoch,loss,val_loss\n0,0.9,1.0\n1,nan,0.8\n"})
    results.keep_runs(kept, "log.csv", "digest", runs)
    found = results.recall_runs(kept, "log.csv", "digest")
    assert found is not None and kept.problem == ""
    pd.testing.assert_frame_equal(found[0].frame(), runs[0].frame(), check_exact=True)
    assert results.recall_runs(kept, "log.csv", "other") is None
    for path in kept.store.blobs.files.glob("*/*"):
        path.write_bytes(b"no columns")
    assert results.recall_runs(kept, "log.csv", "digest") is None
    read_only = replace(kept, writable=False)
    results.keep_runs(read_only, "new.csv", "digest", runs)
    assert results.recall_runs(kept, "new.csv", "digest") is None


def test_results_that_are_damaged_are_computed_anew(kept: workspaces.Kept) -> None:
    results.keep_raw(kept, "m", "e", RAWS["labels"])
    for path in kept.store.blobs.files.glob("*/*"):
        path.write_bytes(b"no frame")
    assert results.recall_raw(kept, "m", "e") is None
    results.keep_raw(kept, "m", "e", RAWS["labels"])
    for path in kept.store.blobs.files.glob("*/*"):
        path.write_bytes(path.read_bytes()[:-5])
    assert results.recall_raw(kept, "m", "e") is None


def test_score_tables_are_kept_whole_and_follow_a_new_name(kept: workspaces.Kept) -> None:
    y = np.array(["no", "yes"] * 50)
    target = Target.from_values(y)
    from dashboard.contracts import Predictions

    raw = RawPredictions(scores=np.linspace(0, 1, 100))
    table = compute_metrics(Predictions.normalise(raw, target, name="old"), n_bootstrap=20)
    results.keep_metrics(kept, table, "digest", ("accuracy",), None)
    found = results.recall_metrics(kept, "new", "digest", ("accuracy",), None)
    assert found is not None
    expected = table.frame().assign(model="new")
    pd.testing.assert_frame_equal(found.frame(), expected, check_exact=True)
    assert results.recall_metrics(kept, "new", "digest", ("accuracy",), 0.5) is None
    assert {field.name for field in fields(MetricRow)} == {
        *("model", "label", "metric", "value", "low", "high", "n", "reason")
    }


def test_windows_agree_on_what_both_did() -> None:
    def state(**changes: Any) -> dict[str, Any]:
        empty: dict[str, Any] = {"waiting": [], "failed": [], "companions": [], "histories": []}
        data = {"sample": None, "sources": [], "earlier": [], "roles": None, "task": None}
        data |= {"pos_label": None, "split_value": None}
        models = [{"key": "a", "name": "A", "shown": True}, {"key": "b", "name": "B"}]
        view = {"threshold": 0.5, "rule": "score"}
        return {**empty, **data, "models": models, "view": view, "consented": [], **changes}

    base = state()
    mine = state(
        models=[{"key": "b", "name": "B"}, {"key": "a", "name": "Mine", "shown": True}],
        view={"threshold": 0.2, "rule": "score"},
        companions=[["h.py", "1"]],
        consented=["x"],
    )
    theirs = state(
        models=[{"key": "a", "name": "A", "shown": False}, {"key": "c", "name": "C"}],
        view={"threshold": 0.9, "rule": "recall"},
        companions=[["g.py", "2"]],
        consented=["y"],
        sources=[["d.csv", "3"]],
    )
    merged = merge(base, mine, theirs)
    assert merged["models"] == [
        {"key": "a", "name": "Mine", "shown": False},
        {"key": "c", "name": "C"},
    ]
    assert merged["view"] == {"threshold": 0.2, "rule": "recall"}
    assert merged["companions"] == [["h.py", "1"], ["g.py", "2"]]
    assert merged["consented"] == ["x", "y"]
    assert merged["sources"] == [["d.csv", "3"]]


def test_a_refresh_reads_no_table_twice(filled: AppTest) -> None:
    first = _app(w=filled.query_params["w"])
    again = _app(w=filled.query_params["w"])
    assert _state(again).table is _state(first).table is not None


def test_the_store_lies_in_the_home_folder(filled: AppTest) -> None:
    kept = _state(filled).workspace
    assert kept is not None and kept.store.folder == home_folder() / "workspaces"


def test_data_of_the_servers_folder_is_read_again_where_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "big.csv").write_bytes(DATA)
    settings = Settings(data_dir=str(tmp_path), home=str(home_folder()))
    monkeypatch.setattr("dashboard.data.data_folder.get_settings", lambda: settings)
    monkeypatch.setattr("components.snapshots.get_settings", lambda: settings)
    at = _app(sample="cancer")
    _state(at).use_data(opening.read_data([("big.csv", None)]))
    _sound(at.run())
    kept = _state(at).workspace
    assert kept is not None and kept.store.files(kept.id) == []
    again = _app(w=at.query_params["w"])
    assert not again.error
    _equal(_seen(_state(at)), _seen(_state(again)))
    (tmp_path / "big.csv").write_bytes(DATA.replace(b"yes", b"maybe"))
    changed = _app(w=at.query_params["w"])
    assert "has changed" in changed.error[0].value
    assert _state(changed).evalset is not None
    (tmp_path / "big.csv").write_bytes(DATA.replace(b"kind", b"label"))
    changed = _app(w=at.query_params["w"])  # not even the target is there
    assert "columns are others" in changed.error[1].value
    assert _state(changed).evalset is not None


# -- what must not be lost ---------------------------------------------------------------------


def test_data_that_one_may_go_back_to_stays_on_the_disk() -> None:
    at = _upload(_filled(), "upload-data", "bad.csv", b"u,v\n" + b"1,\n2,\n3,\n" * 5)
    assert _state(at).evalset is None
    at.button(key="go-back").click()
    assert _state(_sound(at.run())).unkept == ""
    again = _app(w=at.query_params["w"])
    assert not again.error
    _equal(_seen(_state(at)), _seen(_state(again)))
    kept = _state(again).workspace
    assert kept is not None
    assert "bad.csv" not in [one.name for one in kept.store.files(kept.id)]


def test_roles_given_to_data_that_another_window_replaced_bring_nothing_back() -> None:
    one = _filled()
    two = _app(w=one.query_params["w"])
    other = pd.DataFrame({"p": range(60), "q": np.arange(60) % 7, "target": ["x", "y"] * 30})
    _upload(two, "upload-data", "other.csv", other.to_csv(index=False).encode())
    one.selectbox(key=f"correct-positive-{_state(one).version}").set_value(0)
    _sound(one.run())
    for at in (one, _app(w=one.query_params["w"])):
        table = _state(at).table
        assert not at.error and table is not None and table.name == "other.csv"


def test_an_upload_under_way_survives_what_another_window_saved() -> None:
    one = _filled()
    two = _app(w=one.query_params["w"])
    key = _state(one).entries[0].key
    two.text_input(key=f"name-{key}").set_value("Theirs")
    _sound(two.run())
    go_on = threading.Event()
    state = _state(one)
    job = state.reading = Job("Reading", lambda _: go_on.wait(60))  # type: ignore[assignment]
    state.entries[1].name = "Mine"
    assert workspaces.keep(state)
    assert [entry.name for entry in state.entries] == ["Theirs", "Mine"]
    assert state.reading is job and not job.cancelled()
    go_on.set()


def test_data_that_is_gone_can_be_uploaded_again() -> None:
    at = _filled()
    kept, id = _state(at).workspace, at.query_params["w"]
    assert kept is not None
    kept.store.file_path(kept.id, _state(at).sources[0].digest).unlink()
    again = _app(w=id)
    assert "nothing is saved" in _state(again).unkept
    again = _upload(again, "upload-data", "rows.csv", DATA)
    assert not _state(again).unkept
    assert not _app(w=id).error


def test_a_copy_is_kept_for_nobody_who_is_not_signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    at = _filled()
    kept = _state(at).workspace
    assert kept is not None
    kept.store.open(kept.id, "alice")
    kept.store.share(kept.id, True, "alice")
    for module in ("workspaces", "workspace_panel"):
        monkeypatch.setattr(f"components.{module}.visitor", lambda: Visitor(None))
    monkeypatch.setattr("components.workspace_panel.providers", lambda: [""])
    before = len(kept.store.recent())
    reader = _app(w=kept.id)
    reader = _upload(reader, "upload-models", "mine.csv", ANSWERS.replace(b"yes", b"no", 5))
    assert len(_state(reader).entries) == 3 and len(kept.store.recent()) == before
    reader.button(key="copy-workspace").click()
    assert "Sign in first" in _sound(reader.run()).error[0].value


def test_answers_of_another_version_are_not_shown(
    kept: workspaces.Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    results.keep_raw(kept, "m", "e", RAWS["labels"])
    monkeypatch.setattr(results, "__version__", "0.0.1")
    assert results.recall_raw(kept, "m", "e") is None
