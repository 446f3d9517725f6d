"""The shelf of files for workers: private, written once, gone when nobody needs them."""

from __future__ import annotations

import errno
import gc
import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard.errors import ModelError
from dashboard.frames import read_rows
from dashboard.sandbox import shelf as shelf_module
from dashboard.sandbox.shelf import Shelf
from dashboard.settings import Settings
from tests.browser import ROOT


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(Settings(home=str(tmp_path)))
    yield made
    made.close()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def files(shelf: Shelf) -> list[Path]:
    return sorted((shelf.folder / "files").iterdir())


def test_nothing_is_created_before_it_is_needed(shelf: Shelf, tmp_path: Path) -> None:
    assert not (tmp_path / "run").exists()
    assert shelf.folder.parent == tmp_path / "run"
    assert shelf.folder.stat().st_mode & 0o777 == 0o700
    assert shelf.new_inbox().stat().st_mode & 0o777 == 0o700


def test_models_are_copied_once_and_lent_as_links(shelf: Shelf, tmp_path: Path) -> None:
    source = tmp_path / "model.pkl"
    source.write_bytes(b"content")
    first = shelf.shelve_file(source, digest(b"content"))
    assert shelf.shelve_file(b"content", digest(b"content")) is first
    source.write_bytes(b"changed")  # the person's file is theirs
    assert first.path.read_bytes() == b"content"
    inboxes = [shelf.new_inbox(), shelf.new_inbox()]
    for inbox in inboxes:
        assert first.lend(inbox, "folder/model") == "folder/model"
        assert first.lend(inbox, "folder/model") == "folder/model"
        assert (inbox / "folder" / "model").samefile(first.path)
    assert len(files(shelf)) == 1
    del first
    gc.collect()
    assert not files(shelf)
    assert not any((inbox / "folder" / "model").exists() for inbox in inboxes)


def test_a_file_that_is_another(shelf: Shelf) -> None:
    with pytest.raises(ModelError, match="changed while it was read"):
        shelf.shelve_file(b"content", digest(b"other"))
    assert not files(shelf)


def test_a_file_that_is_not_there(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be written"):
        shelf.shelve_file(tmp_path / "none", digest(b""))


def test_rows_are_written_once_and_leave_with_their_frame(shelf: Shelf) -> None:
    frame, array = pd.DataFrame({"a": [1.5, 2.5]}), np.arange(6).reshape(2, 3)
    shelved = shelf.shelve_rows(frame)
    assert shelf.shelve_rows(frame) is shelved
    inbox = shelf.new_inbox()
    pd.testing.assert_frame_equal(read_rows(inbox / shelved.lend(inbox)), frame)
    assert read_rows(shelf.shelve_rows(array).path).tolist() == array.tolist()
    assert len(files(shelf)) == 2
    del shelved, frame
    gc.collect()
    assert len(files(shelf)) == 1
    assert not list(inbox.iterdir())


def test_rows_of_equal_content_are_others(shelf: Shelf) -> None:
    one, two = np.zeros(3), np.zeros(3)
    assert shelf.shelve_rows(one) is not shelf.shelve_rows(two)


def test_rows_that_somebody_wrote_into(shelf: Shelf) -> None:
    array = np.zeros((10, 2))
    before = shelf.shelve_rows(array)
    assert shelf.is_unchanged(array)
    assert shelf.is_unchanged(array)
    array[3, 1] = 7
    assert not shelf.is_unchanged(array)
    after = shelf.shelve_rows(array)
    assert after is not before
    assert read_rows(after.path)[3, 1] == 7
    assert shelf.is_unchanged(array)


def test_threads_write_the_same_rows_once(shelf: Shelf) -> None:
    frame = pd.DataFrame({str(at): np.zeros(200_000) for at in range(5)})
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(shelf.shelve_rows(frame))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
    assert len(files(shelf)) == 1


def test_rows_that_cannot_be_written_leave_nothing(shelf: Shelf) -> None:
    with pytest.raises(ModelError, match="Column 'a'"):
        shelf.shelve_rows(pd.DataFrame({"a": [object()]}))
    assert not files(shelf)


def test_no_room(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shelf_module, "write_rows", full)
    with pytest.raises(ModelError, match=r"No space left on device.*setting home"):
        shelf.shelve_rows(np.zeros(3))


def test_home_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelError, match="cannot be written"):
        Shelf(Settings(home=str(tmp_path / "file"))).new_inbox()


def test_file_systems_without_links(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "not here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    shelved, inbox = shelf.shelve_file(b"x", digest(b"x")), shelf.new_inbox()
    assert (inbox / shelved.lend(inbox, "model")).read_bytes() == b"x"


def test_an_inbox_goes_with_its_worker(shelf: Shelf) -> None:
    shelved, inbox = shelf.shelve_file(b"x", digest(b"x")), shelf.new_inbox()
    shelved.lend(inbox)
    scratch = inbox.with_name(f"{inbox.name}-scratch")
    scratch.mkdir()
    (scratch / "left").write_bytes(b"")
    shelf.remove_inbox(inbox)
    assert not inbox.exists()
    assert not scratch.exists()
    assert shelved.path.exists()
    inbox.mkdir()
    assert (inbox / shelved.lend(inbox)).exists()  # the old link is forgotten


def test_files_that_were_removed(shelf: Shelf) -> None:
    shelved = shelf.shelve_file(b"x", digest(b"x"))
    shelf.close()
    with pytest.raises(ModelError, match="Load the model again"):
        shelved.lend(shelf.new_inbox())


def test_what_somebody_removed_is_put_there_again(shelf: Shelf) -> None:
    frame = pd.DataFrame({"a": [1.0]})
    first = shelf.shelve_file(b"x", digest(b"x")), shelf.shelve_rows(frame)
    shutil.rmtree(shelf.folder)
    again = shelf.shelve_file(b"x", digest(b"x")), shelf.shelve_rows(frame)
    inbox = shelf.new_inbox()
    for one in again:
        assert (inbox / one.lend(inbox)).exists()
    assert not any(one.path.exists() for one in first)


def test_text_in_the_place_of_other_text_is_sent_anew(shelf: Shelf) -> None:
    frame = pd.DataFrame({"a": range(2_000)})
    for letter in "xyzxyz":
        frame["b"] = pd.Series([f"{letter}{at:06d}" for at in range(2_000)], dtype="str")
        found = read_rows(shelf.shelve_rows(frame).path)
        if not shelf.is_unchanged(frame):
            found = read_rows(shelf.shelve_rows(frame).path)
            assert shelf.is_unchanged(frame)
        assert found["b"].tolist() == frame["b"].tolist()
        del frame["b"], found
        gc.collect()


def test_inboxes_leave_while_others_are_filled(shelf: Shelf) -> None:
    inboxes = [shelf.new_inbox() for _ in range(200)]
    shared = shelf.shelve_file(b"x", digest(b"x"))
    for inbox in inboxes:
        shared.lend(inbox)
    stop, kept = threading.Event(), []

    def lend() -> None:
        for number in itertools.takewhile(lambda _: not stop.is_set(), range(2_000)):
            shared.lend(inboxes[0], f"{number}")
            content = str(number).encode()
            kept.append(shelf.shelve_file(content, digest(content)))

    thread, end = threading.Thread(target=lend), time.monotonic() + 2
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread.start()
    try:
        while thread.is_alive() and time.monotonic() < end:
            shelf.remove_inbox(shelf.folder / "inbox-none")
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        thread.join()


def test_closing_removes_everything_and_it_can_be_used_again(tmp_path: Path) -> None:
    shelf = Shelf(Settings(home=str(tmp_path)))
    shelf.close()
    shelf.new_inbox()
    shelf.close()
    assert not list((tmp_path / "run").iterdir())
    shelf.new_inbox()
    shelf.close()


def test_folders_of_ended_processes_are_removed_and_no_others(tmp_path: Path) -> None:
    code = (
        "import os, sys; from dashboard.sandbox.shelf import Shelf\n"
        "from dashboard.settings import Settings\n"
        "shelf = Shelf(Settings(home=sys.argv[1])); print(shelf.new_inbox(), flush=True)\n"
        "sys.stdin.read(); os._exit(1)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip()).parent
        young, old = tmp_path / "run" / ".1-young", tmp_path / "run" / ".1-old"
        for folder in (young, old):
            folder.mkdir()
        os.utime(old, (0, 0))
        mine = Shelf(Settings(home=str(tmp_path)))
        mine.new_inbox()
        assert theirs.exists()
        assert young.exists()
        assert not old.exists()
        other.communicate("")
    assert theirs.exists()  # it was killed, as it were
    third = Shelf(Settings(home=str(tmp_path)))
    third.new_inbox()
    assert not theirs.exists()
    assert mine.folder.exists()
    mine.close()
    third.close()


def test_a_folder_that_somebody_removed_is_made_anew(shelf: Shelf) -> None:
    first = shelf.folder
    shutil.rmtree(first)
    assert shelf.new_inbox().parent != first
