"""What of the file system a worker sees: the interpreter, the libraries, this package."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from ..settings import Settings

__all__ = [
    "INBOX",
    "SCRATCH",
    "bubblewrap_arguments",
    "exposed_folders",
    "granted_folders",
    "is_root",
    "readable_folders",
    "search_path",
]

PACKAGE = Path(__file__).resolve().parent.parent
INBOX, SCRATCH = "/inbox", "/tmp"  # noqa: S108 - of the sandbox itself, empty at its start
SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin")
# Under Landlock, where folders are granted one by one.
LIBRARIES = ("/usr/lib", "/usr/lib32", "/usr/lib64", "/lib", "/lib32", "/lib64", "/libx32")
ZONES = "/usr/share/zoneinfo"
CONFIGURATION = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
PROCESSORS = "/sys/devices/system/cpu"


def _site_folders() -> list[Path]:
    """Where installed packages are, those of the person (`pip install --user`) included."""
    named = [Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")]
    named += [Path(p) for p in sys.path if Path(p).name in ("site-packages", "dist-packages")]
    return [path for path in dict.fromkeys(named) if path.is_dir()]


def is_root() -> bool:
    """Whether this process is root on the machine, and not only within a container's own users."""
    try:
        everybody = Path("/proc/self/uid_map").read_text(encoding="ascii").split()
    except OSError:
        return False  # no Linux
    return os.geteuid() == 0 and everybody == ["0", "0", str(2**32 - 1)]


def search_path() -> tuple[list[str], list[str]]:
    """What a worker puts before and after its own `sys.path`: this checkout; installed packages."""
    sites = _site_folders()
    before = [] if PACKAGE.parent in sites else [str(PACKAGE.parent)]
    return before, [str(path) for path in sites]


def _interpreter() -> list[Path]:
    """The interpreter's own files. Not its whole prefix: that could be somebody's home."""
    prefixes = dict.fromkeys((sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix))
    names = ("bin", "lib", "lib64", "pyvenv.cfg")
    paths = [Path(prefix, name) for prefix in prefixes for name in names]
    return [*paths, *(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))]


def _links(path: Path) -> list[Path]:
    """A path and all that it leads through when it is a link."""
    hops = [path]
    while hops[-1].is_symlink() and len(hops) < 10:
        hops.append(hops[-1].parent / hops[-1].readlink())
    return hops


@lru_cache(maxsize=1)
def readable_folders() -> tuple[Path, ...]:
    """Files and folders outside the system's own that a worker reads, none within another."""
    wanted = [*_interpreter(), *_site_folders(), PACKAGE, *_links(Path(sys.executable))]
    wanted += [path.resolve() for path in wanted]
    there = sorted({path for path in wanted if path.exists()}, key=lambda path: len(path.parts))
    kept: list[Path] = []
    for path in there:
        if not any(path.is_relative_to(folder) for folder in kept):
            kept.append(path)
    return tuple(kept)


def granted_folders() -> tuple[str, ...]:
    """What a worker may read under Landlock: the system's libraries, and the folders above."""
    return (*LIBRARIES, ZONES, *CONFIGURATION, *map(str, readable_folders()))


def exposed_folders(settings: Settings, home: Path, visible: Iterable[Path | str]) -> list[Path]:
    """Folders of workspaces and data that lie within what a worker sees."""
    private = [home, *([Path(settings.data_dir)] if settings.data_dir else [])]
    private = [folder for folder in private if folder.is_dir()]
    roots = [Path(folder).resolve() for folder in visible]
    return [one for one in private if any(one.resolve().is_relative_to(folder) for folder in roots)]


def _system() -> list[str]:
    arguments = []
    for name in SYSTEM:
        path = Path(name)
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), name]
        elif path.exists():
            arguments += ["--ro-bind", name, name]
    for name in CONFIGURATION:
        arguments += ["--ro-bind-try", name, name]
    arguments += ["--ro-bind-try", PROCESSORS, PROCESSORS]
    for name in DEVICES:
        arguments += ["--dev-bind", name, name]
    return arguments


def bubblewrap_arguments(inbox: Path, settings: Settings, hidden: list[Path]) -> list[str]:
    """`bwrap` and its flags, up to the command: namespaces of its own and a file system of its own.

    Parameters
    ----------
    inbox : shown as `/inbox`, read-only.
    hidden : folders that are covered by an empty one.
    """
    size = str(settings.worker_file_mb << 20)
    mine = ["--cap-drop", "ALL"]
    if is_root():  # the worker gives up being root, and needs these to do so
        for capability in ("SETUID", "SETGID", "SETPCAP", "DAC_READ_SEARCH"):
            mine += ["--cap-add", f"CAP_{capability}"]
    else:
        mine += ["--unshare-user", "--uid", "65534", "--gid", "65534"]
    arguments = [
        shutil.which("bwrap") or "bwrap",
        *("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"),
    ]
    arguments += ["--unshare-cgroup-try", "--hostname", "worker"]
    arguments += ["--die-with-parent", "--new-session", *mine]
    # First the folder that can be written, so that libraries installed beneath it are seen.
    arguments += ["--size", size, "--tmpfs", SCRATCH, *_system()]
    for path in readable_folders():
        if not path.is_relative_to("/usr"):
            arguments += ["--ro-bind", str(path), str(path)]
    for path in hidden:
        arguments += ["--size", "4096", "--tmpfs", str(path), "--remount-ro", str(path)]
    arguments += ["--proc", "/proc", "--ro-bind", str(inbox), INBOX, "--remount-ro", "/"]
    return [*arguments, "--chdir", SCRATCH, "--"]
