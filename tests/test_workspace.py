"""Workspaces on the disk: nothing lost, nothing half there, nothing seen by anybody else."""

from __future__ import annotations

import hashlib
import io
import json
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import time
import warnings
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dashboard.errors import LimitExceeded, WorkspaceError
from dashboard.settings import Settings
from dashboard.workspace import Store, export_workspace, import_workspace
from dashboard.workspace.schema import MIGRATIONS, Database

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = Settings()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "workspaces", SETTINGS)


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _everything(folder: Path) -> list[Path]:
    return [one for one in folder.rglob("*") if one.is_file() and "sqlite" not in one.name]


# -- opening and saving ------------------------------------------------------------------------


def test_a_workspace_is_there_again_after_a_restart(tmp_path: Path) -> None:
    first = Store(tmp_path, SETTINGS)
    id = first.create(title="Loans")
    digest = first.add_file(id, "loans.csv", b"a,b\n1,2\n")
    assert first.save_state(id, {"names": ["Ä 🦊", None, 0.1]}, revision=0, title="Loans") == 1
    first.put_result(id, "scores", b"0123", model=digest)

    again = Store(tmp_path, SETTINGS)
    found, snapshot = again.open(id)
    assert snapshot == {"names": ["Ä 🦊", None, 0.1]}
    assert (found.title, found.revision, found.writable) == ("Loans", 1, True)
    assert again.file_path(id, digest).read_bytes() == b"a,b\n1,2\n"
    assert [(one.name, one.size) for one in again.files(id)] == [("loans.csv", 8)]
    assert again.get_result(id, "scores") == b"0123"
    assert again.get_result(id, "others") is None


def test_ids_cannot_be_guessed(store: Store) -> None:
    ids = {store.create() for _ in range(50)}
    assert len(ids) == 50
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", id) for id in ids)  # 22 × 6 bits ≥ 128


@pytest.mark.parametrize(
    "id", ["", "x", "A" * 22, "../../../etc/passwd", "' OR 1=1 --", "%", "_" * 22, None, 7]
)
def test_a_wrong_link_is_one_sentence(store: Store, id: Any) -> None:
    store.create()
    with pytest.raises(WorkspaceError, match="There is no workspace with this link"):
        store.open(id)
    with pytest.raises(WorkspaceError):
        store.delete(id)


def test_only_the_latest_revision_is_replaced(store: Store) -> None:
    id = store.create()
    assert store.save_state(id, {"by": "one"}, revision=0) == 1
    assert store.save_state(id, {"by": "two"}, revision=0) is None
    assert store.open(id)[1] == {"by": "one"}
    assert store.save_state(id, {"by": "two"}, revision=1) == 2


def test_numbers_that_json_lacks_are_refused_before_anything_is_written(store: Store) -> None:
    id = store.create()
    with pytest.raises(ValueError, match="JSON"):
        store.save_state(id, {"threshold": float("nan")}, revision=0)
    assert store.open(id)[1] == {}


def test_nobody_else_on_the_machine_may_look(store: Store) -> None:
    id = store.create()
    path = store.file_path(id, store.add_file(id, "a", b"secret"))
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


# -- owners and sharing ------------------------------------------------------------------------


def test_a_workspace_belongs_to_its_owner(store: Store) -> None:
    id = store.create("ada")
    digest = store.add_file(id, "a.csv", b"hers", "ada")
    for other in ("bob", ""):
        for ask in (
            lambda who: store.open(id, who),
            lambda who: store.files(id, who),
            lambda who: store.file_path(id, digest, who),
            lambda who: store.get_result(id, "k", who),
            lambda who: store.put_result(id, "k", b"", owner=who),
            lambda who: store.add_file(id, "b", b"", who),
            lambda who: store.save_state(id, {}, owner=who, revision=0),
            lambda who: store.share(id, True, who),
            lambda who: store.copy(id, who),
            lambda who: store.delete(id, who),
            lambda who: store.contents(id, who),
        ):
            with pytest.raises(WorkspaceError, match="no workspace with this link"):
                ask(other)
    assert store.open(id, "ada")[0].writable


def test_shared_by_link_means_for_reading_only(store: Store) -> None:
    id = store.create("ada")
    digest = store.add_file(id, "a.csv", b"hers", "ada")
    store.save_state(id, {"n": 1}, owner="ada", revision=0)
    store.share(id, True, "ada")
    found, snapshot = store.open(id, "bob")
    assert (found.writable, found.owner, snapshot) == (False, "ada", {"n": 1})
    assert store.file_path(id, digest, "bob").read_bytes() == b"hers"
    for change in (
        lambda: store.save_state(id, {}, owner="bob", revision=1),
        lambda: store.add_file(id, "b", b"", "bob"),
        lambda: store.put_result(id, "k", b"", owner="bob"),
        lambda: store.share(id, False, "bob"),
        lambda: store.delete(id, "bob"),
    ):
        with pytest.raises(WorkspaceError, match="for reading only"):
            change()
    mine = store.copy(id, "bob")
    store.delete(id, "ada")
    assert store.open(mine, "bob")[1] == {"n": 1}
    assert store.file_path(mine, digest, "bob").read_bytes() == b"hers"
    store.share(mine, True, "bob")
    store.share(mine, False, "bob")
    with pytest.raises(WorkspaceError):
        store.open(mine, "ada")


def test_who_signs_in_first_takes_over_a_workspace_from_before(store: Store) -> None:
    id = store.create()
    assert store.open(id, "ada")[0].writable
    with pytest.raises(WorkspaceError):
        store.open(id, "bob")
    with pytest.raises(WorkspaceError):
        store.open(id, "")


def test_recent_workspaces_are_the_owners_only(store: Store) -> None:
    first, second = store.create("ada", "one"), store.create("ada", "two")
    store.create("bob")
    store.create()
    store.open(first, "ada")
    assert [one.id for one in store.recent("ada")] == [first, second]
    assert [one.id for one in store.recent("ada", limit=1)] == [first]


# -- files -------------------------------------------------------------------------------------


def test_one_content_is_stored_once_and_seen_by_those_who_brought_it(store: Store) -> None:
    one, two, three = store.create(), store.create(), store.create()
    digest = store.add_file(one, "mine.csv", b"same")
    assert store.add_file(two, "yours.csv", io.BytesIO(b"same")) == digest
    assert len(_everything(store.folder)) == 1 and store.usage() == 4
    assert store.files(two)[0].name == "yours.csv"
    with pytest.raises(WorkspaceError, match="no longer in this workspace"):
        store.file_path(three, digest)
    store.delete(one)
    assert store.file_path(two, digest).read_bytes() == b"same"


def test_delete_really_removes(store: Store, tmp_path: Path) -> None:
    id = store.create(title="Zebra title")
    source = tmp_path / "upload"
    source.write_bytes(b"Zebra content")
    store.add_file(id, "Zebra.csv", source)
    store.put_result(id, "key", b"Zebra result")
    store.save_state(id, {"note": "Zebra snapshot"}, revision=0)
    store.delete(id)
    assert _everything(store.folder) == []
    for path in store.folder.rglob("*"):
        assert not path.is_file() or b"Zebra" not in path.read_bytes(), path
    with pytest.raises(WorkspaceError):
        store.open(id)


def test_what_the_state_no_longer_uses_goes(store: Store) -> None:
    id = store.create()
    data, model = store.add_file(id, "d.csv", b"data"), store.add_file(id, "m.skops", b"model")
    store.put_result(id, "raw", b"answers", model=model)
    store.put_result(id, "other", b"numbers", model="sample/file")
    store.save_state(id, {}, revision=0, drop={model})
    assert store.file_path(id, data).read_bytes() == b"data"
    assert [one.name for one in store.files(id)] == ["d.csv"]
    assert store.get_result(id, "raw") is None
    assert store.get_result(id, "other") == b"numbers"
    assert len(_everything(store.folder)) == 2


def test_a_file_that_somebody_removed_by_hand_is_missed_with_a_sentence(store: Store) -> None:
    id = store.create()
    digest = store.add_file(id, "d.csv", b"data")
    store.put_result(id, "k", b"result")
    for path in _everything(store.folder):
        path.unlink()
    with pytest.raises(WorkspaceError, match=r"d\.csv is no longer .* Upload it again"):
        store.file_path(id, digest)
    assert store.get_result(id, "k") is None


def test_results_of_one_workspace_are_bounded(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.workspace.store.MAX_RESULTS", 3)
    id = store.create()
    for i in range(5):
        store.put_result(id, f"k{i}", b"%d" % i)
    store.put_result(id, "k2", b"again")
    found = [store.get_result(id, f"k{i}") for i in range(5)]
    assert found == [None, None, b"again", b"3", b"4"]


# -- limits ------------------------------------------------------------------------------------


def test_the_quota_holds_for_all_together_and_makes_room_from_what_is_old(tmp_path: Path) -> None:
    small = Store(tmp_path, Settings(workspace_quota_mb=1, workspace_days=1))
    old, id = small.create(), small.create()
    small.add_file(old, "old.bin", b"o" * 600_000)
    with pytest.raises(LimitExceeded, match=r"new\.bin needs 0\.5 MB.*WORKSPACE_QUOTA_MB"):
        small.add_file(id, "new.bin", b"n" * 500_000)
    with pytest.raises(LimitExceeded):  # its size is not known before it is read
        small.add_file(id, "new.bin", io.BytesIO(b"n" * 500_000))
    with pytest.raises(LimitExceeded):
        small.put_result(id, "key", b"n" * 500_000)
    assert len(_everything(tmp_path)) == 1
    with sqlite3.connect(tmp_path / "workspaces.sqlite") as db:
        db.execute("UPDATE workspaces SET opened = opened - 200000 WHERE id = ?", (old,))
    db.close()
    small.add_file(id, "new.bin", b"n" * 500_000)
    with pytest.raises(WorkspaceError):
        small.open(old)


def test_retention_deletes_what_nobody_opened(tmp_path: Path) -> None:
    store = Store(tmp_path, Settings(workspace_days=30))
    id = store.create()
    store.add_file(id, "a", b"a")
    assert store.apply_retention(time.time() + 29 * 86_400) == 0
    assert store.apply_retention(time.time() + 31 * 86_400) == 1
    assert _everything(tmp_path) == []
    for_ever = Store(tmp_path, Settings(workspace_days=0))
    for_ever.create()
    assert for_ever.apply_retention(time.time() + 1e9) == 0


# -- the database itself -----------------------------------------------------------------------


def test_an_older_database_is_brought_up_to_date(tmp_path: Path) -> None:
    store = Store(tmp_path, SETTINGS)
    id = store.create(title="kept")
    step = ("ALTER TABLE workspaces ADD COLUMN note TEXT NOT NULL DEFAULT 'new'",)
    newer = Database(tmp_path / "workspaces.sqlite", (*MIGRATIONS, step))
    Database(tmp_path / "workspaces.sqlite", (*MIGRATIONS, step))  # not applied twice
    with newer.reading() as db:
        row = db.execute("SELECT title, note FROM workspaces WHERE id = ?", (id,)).fetchone()
    assert row == ("kept", "new")
    with pytest.raises(WorkspaceError, match="newer Sidelight"):
        Store(tmp_path, SETTINGS)


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    Store(tmp_path, SETTINGS)
    path = tmp_path / "workspaces.sqlite"
    with pytest.raises(WorkspaceError):
        Database(path, (*MIGRATIONS, ("CREATE TABLE extra (a)", "CREATE TABLE workspaces (a)")))
    with Database(path).reading() as db:
        names = {row[0] for row in db.execute("SELECT name FROM sqlite_master")}
    assert "extra" not in names


@pytest.mark.parametrize(
    "content", [b"no database at all, " * 100, b"SQLite format 3\0" + b"x" * 4000]
)
def test_a_damaged_database_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "workspaces.sqlite").write_bytes(content)
    with pytest.raises(WorkspaceError, match="damaged"):
        Store(tmp_path, SETTINGS)


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "workspaces.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (a)")
    db.close()
    with pytest.raises(WorkspaceError, match="another program"):
        Store(tmp_path, SETTINGS)
    with sqlite3.connect(path) as db:
        assert [row[0] for row in db.execute("SELECT name FROM sqlite_master")] == ["theirs"]
    db.close()


def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WorkspaceError, match="may be written"):
        Store(tmp_path / "file" / "workspaces", SETTINGS)


# -- many at once, and the worst moment --------------------------------------------------------


def _at_once(work: Callable[[int], None], n: int = 4) -> None:
    with ThreadPoolExecutor(n) as pool:
        for done in [pool.submit(work, who) for who in range(n)]:
            done.result()


def test_writers_in_many_threads_lose_nothing(store: Store) -> None:
    id = store.create()

    def write(who: int) -> None:
        for i in range(8):
            store.add_file(id, f"{who}-{i}", b"%d %d" % (who, i))
            done = None
            while done is None:
                found, snapshot = store.open(id)
                snapshot[f"{who}-{i}"] = True
                done = store.save_state(id, snapshot, revision=found.revision)

    _at_once(write)
    assert len(store.open(id)[1]) == 32 and store.open(id)[0].revision == 32
    assert len(store.files(id)) == 32


def test_a_content_that_comes_and_goes_at_once_is_never_lost(store: Store) -> None:
    """One adds what the other removes; whoever has added it, has it."""

    def come_and_go(who: int) -> None:
        for _ in range(15):
            id = store.create()
            digest = store.add_file(id, "same", b"the same content for all")
            assert store.file_path(id, digest).read_bytes() == b"the same content for all"
            store.delete(id)

    _at_once(come_and_go)
    assert _everything(store.folder) == []


WRITER = """
import os, signal, sys
from pathlib import Path
from dashboard.settings import Settings
from dashboard.workspace import Store
store = Store(Path(sys.argv[1]), Settings())
id = store.create()
old = store.add_file(id, "old", b"old" * 1000)
store.put_result(id, "old result", b"old result", model=old)
store.save_state(id, {"files": [old]}, revision=0)
print(id, flush=True)
left = int(sys.argv[2])

def hook(event, args):
    global left
    if event in ("open", "os.rename", "os.remove", "os.mkdir", "sqlite3.connect"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
new = store.add_file(id, "new", b"new" * 100_000)
print("added", flush=True)
store.put_result(id, "new result", b"new result", model=new)
store.save_state(id, {"files": [new]}, revision=1, drop={old})
print("saved", flush=True)
store.delete(id)
print("deleted", flush=True)
"""


def _run(code: str, *args: object) -> tuple[int, list[str]]:
    command = [sys.executable, "-c", code, *map(str, args)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60)
    return done.returncode, done.stdout.splitlines()


def test_killed_at_any_step_nothing_is_half_there(tmp_path: Path) -> None:
    """The process is killed at its first touch of the disk, at its second, and so on."""
    code, step, left_behind = -signal.SIGKILL, 0, 0
    while code:
        step += 1
        folder = tmp_path / str(step)
        code, said = _run(WRITER, folder, step)
        assert code in (0, -signal.SIGKILL)
        left_behind += len(list((folder / "drafts").iterdir()))
        store = Store(folder, SETTINGS)
        assert list((folder / "drafts").iterdir()) == []
        for path in _everything(folder):
            assert _sha(path.read_bytes()) == path.name
        assert store.usage() == sum(path.stat().st_size for path in _everything(folder))
        if not store.recent():
            assert "saved" in said and _everything(folder) == []
            continue
        _, snapshot = store.open(said[0])
        names = {one.digest: one.name for one in store.files(said[0])}
        (last,) = snapshot["files"]  # what the snapshot names is there, whole
        assert "added" in said or names[last] == "old"
        assert "saved" not in said or names[last] == "new"
        assert "added" not in said or "new" in names.values()
        for digest in names:
            assert _sha(store.file_path(said[0], digest).read_bytes()) == digest
    assert step > 15 and left_behind > 0


FULL = """
import resource, sys
from pathlib import Path
from dashboard.errors import WorkspaceError
from dashboard.settings import Settings
from dashboard.workspace import Store
store = Store(Path(sys.argv[1]), Settings())
id = store.create()
kept = store.add_file(id, "small", b"small")
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
try:
    store.add_file(id, "large", b"l" * 1_000_000)
except WorkspaceError as error:
    print(error)
print(store.file_path(id, kept).read_bytes(), list((store.folder / "drafts").iterdir()))
"""


def test_a_full_disk_is_one_sentence_and_leaves_no_trace(tmp_path: Path) -> None:
    said = _run(FULL, tmp_path)[1]
    assert "room on the disk" in said[0] and said[1] == "b'small' []"


# -- one file out, one file in -----------------------------------------------------------------


def _exported(store: Store, tmp_path: Path) -> bytes:
    id = store.create(title="Loans")
    data = store.add_file(id, "../odd name.csv", b"a,b\n")
    store.put_result(id, "raw", b"answers", model=data)
    store.save_state(id, {"data": data}, revision=0)
    target = tmp_path / "out.zip"
    export_workspace(store, id, target)
    content = target.read_bytes()
    assert id.encode() not in content  # the key to the original stays here
    return content


def test_export_and_import_give_the_same_workspace(store: Store, tmp_path: Path) -> None:
    content = _exported(store, tmp_path)
    other = Store(tmp_path / "other", SETTINGS)
    id = import_workspace(other, content, "out.zip", "bob")
    found, snapshot = other.open(id, "bob")
    assert found.title == "Loans"
    assert snapshot == {"data": _sha(b"a,b\n")}
    assert other.file_path(id, snapshot["data"], "bob").read_bytes() == b"a,b\n"
    assert other.files(id, "bob")[0].name == "../odd name.csv"
    assert other.get_result(id, "raw", "bob") == b"answers"
    with pytest.raises(WorkspaceError):
        other.open(id, "ada")
    again = import_workspace(other, tmp_path / "out.zip", "out.zip")
    assert again != id and len(_everything(other.folder)) == 2


GOOD = _sha(b"good")


def _listing(**changes: Any) -> bytes:
    listing = {
        "sidelight workspace": 1,
        "title": "t",
        "snapshot": {},
        "files": {GOOD: "good.csv"},
        "results": {},
    }
    return json.dumps({**listing, **changes}).encode()


def _zip(members: list[tuple[str | zipfile.ZipInfo, bytes]], pack: int = 0) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the same name twice is what is wanted
        with zipfile.ZipFile(buffer, "w", pack) as archive:
            for name, content in members:
                archive.writestr(name, content)
    return buffer.getvalue()


def _link(name: str) -> zipfile.ZipInfo:
    link = zipfile.ZipInfo(name)
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    return link


MEMBER = (f"files/{GOOD}", b"good")
WHOLE = [("workspace.json", _listing()), MEMBER]


def _as_listing(listing: bytes) -> bytes:
    return _zip([("workspace.json", listing), MEMBER])


def _packed(content: bytes, pack: int) -> bytes:
    listing = _listing(files={_sha(content): "b"})
    members = [("workspace.json", listing), (f"files/{_sha(content)}", content)]
    return _zip(members, pack)


def _overlapping() -> bytes:
    """The first file holds the header and content of the second, so the same bytes count twice."""
    inner = b"0" * 100_000
    head = _zip([(f"files/{_sha(inner)}", inner)]).partition(b"PK\x01\x02")[0]
    listing = _listing(files={_sha(head): "a", _sha(inner): "b"})
    whole = _zip([("workspace.json", listing), (f"files/{_sha(head)}", head)])
    at = whole.index(head)
    twice = _zip([("workspace.json", listing), (f"files/{_sha(inner)}", inner)])
    entry = twice[twice.rindex(b"PK\x01\x02") : twice.rindex(b"PK\x05\x06")]
    entry = entry[:42] + at.to_bytes(4, "little") + entry[46:]
    end = whole.rindex(b"PK\x05\x06")
    size = end + len(entry) - whole.index(b"PK\x01\x02")
    tail = whole[end : end + 8] + b"\3\0\3\0" + size.to_bytes(4, "little") + whole[end + 16 :]
    return whole[:end] + entry + tail


HOSTILE = {
    "text": (b"hello", "not a workspace"),
    "empty": (b"", "not a workspace"),
    "cut": (_zip(WHOLE)[:-30], "not a workspace"),
    "flipped": (_zip(WHOLE).replace(b"good", b"evil", 2), "not a workspace|content"),
    "other zip": (_zip([("data.csv", b"a")]), r"no workspace\.json"),
    "listing twice": (_zip([*WHOLE, WHOLE[0]]), "twice"),
    "file twice": (_zip([*WHOLE, MEMBER]), "no export holds"),
    "parent": (_zip([*WHOLE, ("../../evil", b"x")]), "no export holds"),
    "parent in files": (_zip([*WHOLE, ("files/../../evil", b"x")]), "no export holds"),
    "absolute": (_zip([*WHOLE, ("/etc/evil", b"x")]), "no export holds"),
    "link": (_zip([WHOLE[0], (_link(f"files/{GOOD}"), b"/etc/passwd")]), "content"),
    "stranger": (_zip([*WHOLE, (f"files/{'0' * 64}", b"x")]), "not those that it lists"),
    "missing": (_zip(WHOLE[:1]), "not those that it lists"),
    "other content": (_zip([WHOLE[0], (f"files/{GOOD}", b"evil")]), "content"),
    "other version": (_as_listing(_listing(**{"sidelight workspace": 2})), "version"),
    "no object": (_as_listing(b"[]"), "version"),
    "no JSON": (_as_listing(b"{"), "not a workspace"),
    "deep": (_as_listing(b"[" * 100_000), "deep|not a workspace"),
    "NaN": (_as_listing(b'{"snapshot": NaN}'), "not a workspace"),
    "snapshot": (_as_listing(_listing(snapshot=[])), "form"),
    "title": (_as_listing(_listing(title=7)), "form"),
    "path as digest": (_as_listing(_listing(files={"../x": "n"})), "form"),
    "name": (_as_listing(_listing(files={GOOD: ["n"]})), "form"),
    "result": (_as_listing(_listing(results={"k": ["m", "x"]})), "form"),
    "surrogate": (_as_listing(_listing(title="\ud800")), "not a workspace"),
    "bomb": (_packed(b"0" * 30_000_000, zipfile.ZIP_DEFLATED), "packed again"),
    "large": (_packed(b"0" * 30_000_000, zipfile.ZIP_STORED), "needs 30.0 MB"),
    "shared content": (_overlapping(), "share their content"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_import_is_one_sentence_and_leaves_nothing(tmp_path: Path, case: str) -> None:
    content, expected = HOSTILE[case]
    store = Store(tmp_path / "in" / "workspaces", Settings(workspace_quota_mb=20))
    with pytest.raises((WorkspaceError, LimitExceeded), match=expected) as caught:
        import_workspace(store, content, "in.zip")
    assert "in.zip" in str(caught.value)
    assert _everything(tmp_path) == []
    assert store.recent() == []


def test_the_sound_archive_that_the_hostile_ones_vary_is_accepted(store: Store) -> None:
    id = import_workspace(store, _zip(WHOLE), "in.zip")
    assert store.file_path(id, GOOD).read_bytes() == b"good"
