"""How workers are confined on this machine, and the command that starts one.

A worker sees the interpreter, the libraries and its own inbox, all read-only, and writes to a
temporary folder of its own. `bubblewrap` gives it namespaces of its own; where there is none,
Landlock does for files what namespaces do. In both, the worker then confines itself further
(`dashboard/worker/confine.py`) before it opens anything.
Reasons and limits: docs/decisions/0010-confinement.md.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from ..settings import Settings, get_settings, home_folder
from ..threads import numeric_environment
from .orders import BUBBLEWRAP, LANDLOCK, PROCESS, Orders
from .views import (
    INBOX,
    SCRATCH,
    bubblewrap_arguments,
    exposed_folders,
    granted_folders,
    is_root,
    readable_folders,
    search_path,
)

__all__ = [
    "Confinement",
    "describe_confinement",
    "find_confinement",
    "scratch_folder",
    "worker_command",
    "worker_environment",
]

PROBE_SECONDS = 30
RETRY_SECONDS = 60  # what failed may have failed because the machine was busy
MOST_FOUND = 32
THREADS = 512  # more than any library starts, less than what hurts
FIRST_USER = 1_900_000_000
CODE_MB = 2048  # what libraries map to be run and read; TensorFlow takes half of it

# Isolated mode knows neither a checkout nor the packages of a person; arguments: two lists of
# folders, the module, what is for the module.
START = (
    "import sys, json, runpy; before, after, module = map(json.loads, sys.argv[1:4]); "
    "del sys.argv[1:4]; sys.path[:0] = before; "
    "sys.path += [path for path in after if path not in sys.path]; "
    "runpy.run_module(module, run_name='__main__', alter_sys=True)"
)


class Confinement(StrEnum):
    """The ways to confine a worker, the strongest first."""

    BUBBLEWRAP = BUBBLEWRAP
    LANDLOCK = LANDLOCK
    PROCESS = PROCESS


_TRIED = {
    "auto": (Confinement.BUBBLEWRAP, Confinement.LANDLOCK),
    "bubblewrap": (Confinement.BUBBLEWRAP,),
    "landlock": (Confinement.LANDLOCK,),
    "none": (),
}


def find_confinement(settings: Settings | None = None) -> Confinement:
    """The strongest confinement that works here and that setting `sandbox` admits.

    Each is tried with a real worker that attempts what must fail, and takes a tenth of a second;
    PROCESS means that nothing confines. What worked is remembered, what failed is tried again
    a minute later.
    """
    return _found(settings or get_settings())[0]


def describe_confinement(confinement: Confinement, settings: Settings | None = None) -> str:
    """One sentence for people: what is in force, or why nothing is."""
    if confinement is Confinement.BUBBLEWRAP:
        return (
            "Models open in a process of their own, confined by bubblewrap: no network, no other "
            "files, limited memory and time."
        )
    if confinement is Confinement.LANDLOCK:
        return (
            "Models open in a process of their own, confined by Landlock and seccomp: no network, "
            "no other files, limited memory and time."
        )
    settings = settings or get_settings()
    opened = "opened all the same (setting trust)" if settings.trust == "all" else "refused"
    return (
        "Models open in a process of their own that is not confined, so files that carry code are "
        f"{opened}: {_reason(settings)}."
    )


def _reason(settings: Settings) -> str:
    if settings.sandbox == "none":
        return "setting sandbox is none"
    if not sys.platform.startswith("linux"):
        return "confinement needs Linux"
    return "; ".join(_found(settings)[1])


_Found = tuple[Confinement, tuple[str, ...]]
_FOUND: dict[Settings, tuple[_Found, float]] = {}
_FOUND_LOCK = threading.Lock()


def _found(settings: Settings) -> _Found:
    """The first that works, and why those before it did not."""
    with _FOUND_LOCK:
        found, until = _FOUND.get(settings, (None, 0.0))
        if found is None or time.monotonic() > until:
            if len(_FOUND) >= MOST_FOUND:
                _FOUND.clear()
            found = _search(settings)
            until = time.monotonic() + RETRY_SECONDS if found[1] else float("inf")
            _FOUND[settings] = found, until
        return found


def _search(settings: Settings) -> _Found:
    reasons: list[str] = []
    for confinement in _TRIED[settings.sandbox]:
        problem = _problem(confinement, settings)
        if problem is None:
            return confinement, tuple(reasons)
        reasons.append(f"{confinement}: {problem}")
    return Confinement.PROCESS, tuple(reasons)


def _problem(confinement: Confinement, settings: Settings) -> str | None:
    """Why a confinement cannot be used here; None when it can."""
    if not sys.platform.startswith("linux"):
        return "only on Linux"
    if confinement is Confinement.BUBBLEWRAP and shutil.which("bwrap") is None:
        return "bubblewrap is not installed"
    if confinement is Confinement.LANDLOCK and exposed_folders(
        settings, home_folder(settings), granted_folders()
    ):
        return "the folder of workspaces or data lies within that of the libraries"
    with tempfile.TemporaryDirectory(prefix="sidelight-probe-") as folder:
        return _try(confinement, Path(folder), settings)


def _try(confinement: Confinement, folder: Path, settings: Settings) -> str | None:
    """Start a probe that confines itself as a worker does and attempts what must fail."""
    inbox, canary = folder / "inbox", folder / "canary"
    inbox.mkdir()
    (inbox / "note").write_bytes(b"")
    canary.write_bytes(b"secret")
    command = _command(confinement, inbox, (), settings, "dashboard.worker.probe", [str(canary)])
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_SECONDS,
            env=worker_environment(settings),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.stdout.strip() == "confined":
        return None
    said = (done.stdout.strip() or done.stderr.strip() or f"exit code {done.returncode}").split(
        "\n"
    )
    return said[-1][:200].rstrip(".")


def worker_command(
    confinement: Confinement,
    inbox: Path,
    fds: Sequence[int],
    settings: Settings | None = None,
    *,
    mapped_mb: int = 4096,
) -> list[str]:
    """The full command of one worker: `dashboard.worker` with its `Orders` as only argument.

    Start it with `worker_environment`, its `fds` passed on (and no others), and from a thread
    that lives as long as this process: on Linux a child dies with the *thread* that started it.
    Under bubblewrap the exit code is 128 + signal number when a signal ended the worker.

    Parameters
    ----------
    inbox : folder of this worker alone; files that are put there later are seen, never written.
    fds : descriptors of the conversation.
    mapped_mb : how much may be mapped to be read (data files), beyond the limit on memory.
    """
    settings = settings or get_settings()
    return _command(confinement, inbox, fds, settings, "dashboard.worker", [], mapped_mb)


def scratch_folder(inbox: Path) -> Path:
    """The temporary folder of the worker with this inbox where it has no file system of its own.

    Whoever removes the inbox removes this one too.
    """
    return inbox.with_name(f"{inbox.name}-scratch")


def _command(
    confinement: Confinement,
    inbox: Path,
    fds: Sequence[int],
    settings: Settings,
    module: str,
    arguments: list[str],
    mapped_mb: int = 0,
) -> list[str]:
    inbox = inbox.resolve()
    within = confinement is Confinement.BUBBLEWRAP
    user = _new_user() if is_root() and confinement is not Confinement.PROCESS else 0
    orders = Orders(
        kind=str(confinement),
        user=user,
        parent=0 if within else os.getpid(),
        inbox=INBOX if within else str(inbox),
        scratch=SCRATCH if within else str(scratch_folder(inbox)),
        folders=() if within else granted_folders(),
        fds=tuple(fds),
        memory=settings.worker_memory_mb << 20,
        address_space=(settings.worker_memory_mb + CODE_MB + mapped_mb) << 20,
        file=settings.worker_file_mb << 20,
        cpu_seconds=settings.worker_cpu_seconds,
        tasks=THREADS + (0 if user else _tasks()),
    )
    before, after = map(json.dumps, search_path())
    python = [sys.executable, "-I", "-X", "utf8", "-c", START, before, after]
    python += [json.dumps(module), orders.to_json(), *arguments]
    if not within:
        return python
    hidden = exposed_folders(settings, home_folder(settings), ("/usr", *readable_folders()))
    return [*bubblewrap_arguments(inbox, settings, hidden), *python]


def _new_user() -> int:
    """A user number that no person, service or other worker has."""
    return FIRST_USER + secrets.randbelow(10**8)


def _tasks() -> int:
    """Threads of this user now: the kernel's limit counts them all, not the worker's alone."""
    count = 0
    for process in Path("/proc").glob("[0-9]*") if sys.platform.startswith("linux") else ():
        try:
            if process.stat().st_uid == os.getuid():
                count += sum(1 for _ in (process / "task").iterdir())
        except OSError:
            continue  # it ended meanwhile
    return count


def worker_environment(settings: Settings | None = None) -> dict[str, str]:
    """The whole environment of a worker: thread limits, and nothing of this process's own."""
    settings = settings or get_settings()
    environment = {
        **numeric_environment(settings),
        "LOKY_MAX_CPU_COUNT": str(max(1, settings.threads)),
        "LANG": "C.UTF-8",
        # Arenas reserve address space for every thread, and that is limited.
        "MALLOC_ARENA_MAX": "4",
        # Files of models lie on the parent's disk, where a lock cannot be had.
        "HDF5_USE_FILE_LOCKING": "FALSE",
    }
    if sys.platform == "win32":
        environment["SYSTEMROOT"] = os.environ.get("SYSTEMROOT", "")
    return environment
