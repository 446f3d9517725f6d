"""Temporary folders that hostile code has written to: measured and removed with care.

Under bubblewrap a worker's temporary folder is memory of its own, limited and gone with it.
Elsewhere it is a folder on disk: the kernel limits each file, and here the sum of them.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["remove_folder", "watch_folder", "written_bytes"]

LEAST_BYTES = 4096  # what an empty file, a link or a folder takes
WATCH_SECONDS = 0.5


def written_bytes(folder: Path, enough: int) -> int:
    """The bytes on disk beneath a folder; counting stops beyond `enough`. Links are not followed.

    0 when there is no such folder.
    """
    total, waiting = 0, [str(folder)]
    while waiting and total <= enough:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    known = entry.stat(follow_symlinks=False)
                    total += max(LEAST_BYTES, known.st_blocks * 512)
                    if stat.S_ISDIR(known.st_mode):
                        waiting.append(entry.path)
                    if total > enough:
                        break
        except FileNotFoundError:
            continue  # removed meanwhile
        except OSError:
            total = enough + 1  # too deep to be named, or closed to us: nothing honest does that
    return total


def watch_folder(
    folder: Path, most: int, is_alive: Callable[[], bool], end: Callable[[str], object]
) -> None:
    """From a thread of its own, call `end(reason)` once more than `most` bytes were written.

    Parameters
    ----------
    is_alive : whether the one who writes still does; the thread ends with it.
    """

    def watch() -> None:
        while is_alive():
            if written_bytes(folder, most) > most:
                end(f"it wrote more than {most >> 20:,} MB (setting worker_file_mb)")
                return
            time.sleep(WATCH_SECONDS)

    threading.Thread(target=watch, daemon=True, name="worker-scratch").start()


def remove_folder(folder: Path) -> None:
    """Remove a folder and all in it, however deep, closed or linked; what cannot be removed stays.

    Nobody may write to it any more. Folders are moved up before they are emptied, so that depth
    costs neither recursion nor long paths.
    """
    if os.name == "nt":  # no deep paths there, and nothing that opens a folder to work within
        shutil.rmtree(folder, ignore_errors=True)
        return
    try:
        top = _open_folder(folder.name, _open_folder(str(folder.parent)))
    except OSError:
        return
    try:
        while _empty_once(top):
            pass
        folder.rmdir()
    except OSError:
        return
    finally:
        os.close(top)


def _open_folder(name: str, parent: int | None = None) -> int:
    """A descriptor of a folder, which is made ours to read and write; `parent` is closed."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    if parent is None:
        return os.open(name, flags & ~os.O_NOFOLLOW)
    try:
        if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            os.chmod(name, 0o700, dir_fd=parent)
        return os.open(name, flags, dir_fd=parent)
    finally:
        os.close(parent)


def _empty_once(top: int) -> bool:
    """Remove the files of a folder, and its folders once theirs have moved up; whether any did."""
    moved = False
    for name in os.listdir(top):
        if not _is_folder(name, top):
            os.unlink(name, dir_fd=top)
            continue
        inner = _open_folder(name, os.dup(top))
        try:
            for entry in os.listdir(inner):  # noqa: PTH208 - a descriptor
                if _is_folder(entry, inner):
                    os.chmod(entry, 0o700, dir_fd=inner)
                    os.rename(entry, secrets.token_hex(16), src_dir_fd=inner, dst_dir_fd=top)
                    moved = True
                else:
                    os.unlink(entry, dir_fd=inner)
        finally:
            os.close(inner)
        os.rmdir(name, dir_fd=top)
    return moved


def _is_folder(name: str, parent: int) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
