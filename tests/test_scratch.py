"""Folders that hostile code has written to: measured, watched, removed."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from dashboard.sandbox.scratch import remove_folder, watch_folder, written_bytes

DEPTH = 1_100  # beyond Python's recursion, and with such names beyond the longest path
NAME = "d" * 10


def nest(folder: Path, depth: int) -> None:
    """Folders within folders, now and then a link and a file."""
    folder.mkdir()
    here = os.open(folder, os.O_RDONLY)
    for level in range(depth):
        os.mkdir(NAME, dir_fd=here)
        if level % 100 == 0:
            os.symlink("/", "link", dir_fd=here)
            os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        deeper = os.open(NAME, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)


def test_bytes_are_counted_with_what_names_alone_take(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_bytes(b"x" * 100_000)
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to("/usr")
    assert 100_000 + 3 * 4096 <= written_bytes(tmp_path, 1 << 30) < 130_000


def test_counting_stops_when_it_is_enough(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / str(number)).touch()
    assert 8192 < written_bytes(tmp_path, 8192) <= 8192 + 4096


def test_no_folder_is_no_bytes(tmp_path: Path) -> None:
    assert written_bytes(tmp_path / "missing", 1) == 0


def test_too_deep_to_be_counted_is_too_much(tmp_path: Path) -> None:
    nest(tmp_path / "deep", DEPTH)
    assert written_bytes(tmp_path, 1 << 40) > 1 << 40
    remove_folder(tmp_path / "deep")


def test_deep_closed_and_linked_folders_are_removed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    folder = tmp_path / "scratch"
    nest(folder, DEPTH)
    (folder / "to-outside").symlink_to(outside)
    (folder / NAME / "to-file").symlink_to(outside / "kept")
    (folder / ".0").mkdir()  # the name that moving up would take first
    (folder / ".0" / "x").mkdir()
    (folder / "closed").mkdir()
    (folder / "closed" / "x").mkdir(mode=0)
    (folder / "closed").chmod(0)
    remove_folder(folder)
    assert not folder.exists()
    assert (outside / "kept").read_text() == "kept"


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").touch()
    (tmp_path / "scratch").symlink_to(tmp_path / "outside")
    remove_folder(tmp_path / "scratch")
    remove_folder(tmp_path / "missing")
    assert (tmp_path / "outside" / "kept").exists()


@pytest.mark.parametrize("size", [0, 300_000])
def test_who_writes_too_much_is_ended(tmp_path: Path, size: int) -> None:
    ended, alive = threading.Event(), threading.Event()
    alive.set()
    reasons: list[str] = []

    def end(reason: str) -> None:
        reasons.append(reason)
        ended.set()

    watch_folder(tmp_path, 200_000, alive.is_set, end)
    (tmp_path / "file").write_bytes(b"x" * size)
    assert ended.wait(3 if size else 0.8) is (size > 0)
    alive.clear()
    assert len(reasons) == (size > 0)
    time.sleep(0.6)  # its thread ends before the folder does
