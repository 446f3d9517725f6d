"""What a worker gives up before it opens anything of an uploaded model, for good.

The first thing a worker does, while it still has one thread: Landlock holds for the thread
that asks for it and those it starts later, and a pool of OpenMP threads from before would be a
way round it. Reasons and limits: docs/decisions/0010-confinement.md.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..sandbox.orders import BUBBLEWRAP, LANDLOCK, PROCESS, Orders
from .path_rules import landlock_version, restrict_files
from .privileges import become, drop_capabilities, forget_capabilities, prctl, syscall
from .syscalls import build_program, install_program
from .threads_only import replace_locks

__all__ = ["Orders", "confine"]

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
SIGKILL = 9

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
# What OpenMP, OpenBLAS, TensorFlow and joblib read of the machine. joblib stops when these are
# there and cannot be read.
MACHINE = (
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/self",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup/cpu.max",
    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
    "/sys/fs/cgroup/cpu/cpu.cfs_period_us",
)


NICENESS = 10


def confine(orders: Orders) -> None:
    """Give up files, network, processes, signals and memory beyond `orders`; it cannot be undone.

    Raises
    ------
    OSError : the kernel refuses a part of it. Then nothing must be opened; end the process.
    """
    _settle(orders)
    _make_way()
    if not sys.platform.startswith("linux"):
        return
    if orders.kind != PROCESS and len(list(Path("/proc/self/task").iterdir())) != 1:
        raise OSError("threads were started before the confinement")
    _expect_to_be_killed_first()
    _limit(orders)
    if orders.kind == PROCESS:
        _die_with_parent(orders)
        return
    forget_capabilities()
    become(orders.user, orders.scratch)
    _die_with_parent(orders)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    drop_capabilities(orders.user)
    if orders.kind == LANDLOCK or landlock_version(syscall) > 0:
        _restrict_files(orders)
    install_program(build_program(os.getpid()), syscall)
    replace_locks()


def _settle(orders: Orders) -> None:
    """Home, caches and working directory are the temporary folder."""
    scratch = orders.scratch
    Path(scratch).mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chdir(scratch)
    for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "KERAS_HOME", "MPLCONFIGDIR"):
        os.environ[name] = scratch
    for name in ("NUMBA_CACHE_DIR", "JOBLIB_TEMP_FOLDER"):
        os.environ[name] = scratch
    sys.dont_write_bytecode = True


def _die_with_parent(orders: Orders) -> None:
    """Under bubblewrap the whole process namespace ends with the parent; here, by a signal."""
    if not orders.parent:
        return
    prctl(PR_SET_PDEATHSIG, SIGKILL)
    if os.getppid() != orders.parent:
        raise OSError("the parent ended before the worker began")


def _expect_to_be_killed_first() -> None:
    """When the machine runs out of memory, the worker is what the kernel ends."""
    try:
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    except OSError:
        return  # a host may forbid it; the limits on memory hold all the same


def _make_way() -> None:
    """The app answers people while models compute: it comes first where both want the processor."""
    if not hasattr(os, "nice"):
        return
    os.nice(NICENESS)
    if os.getsid(0) != os.getpid():
        return  # the session is somebody else's, too
    try:  # where sessions share the processor evenly, niceness counts within one only
        Path("/proc/self/autogroup").write_text(str(NICENESS), encoding="ascii")
    except OSError:
        return  # there is no such thing, or it is closed to us


def _limit(orders: Orders) -> None:
    import resource

    limits = {
        resource.RLIMIT_DATA: (orders.memory, orders.memory),
        resource.RLIMIT_AS: (orders.address_space, orders.address_space),
        resource.RLIMIT_FSIZE: (orders.file, orders.file),
        # The first limit ends it by a signal that tells why, the second one whatever it does.
        resource.RLIMIT_CPU: (orders.cpu_seconds, orders.cpu_seconds + 1),
        resource.RLIMIT_NPROC: (orders.tasks, orders.tasks),
        resource.RLIMIT_NOFILE: (512, 512),
        resource.RLIMIT_STACK: (8 << 20, 8 << 20),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_MEMLOCK: (0, 0),
        resource.RLIMIT_MSGQUEUE: (0, 0),
    }
    for which, (soft, hard) in limits.items():
        highest = resource.getrlimit(which)[1]
        if highest != resource.RLIM_INFINITY:
            soft, hard = min(soft, highest), min(hard, highest)
        resource.setrlimit(which, (soft, hard))


def _restrict_files(orders: Orders) -> None:
    if orders.kind == BUBBLEWRAP:
        # The view of the file system is the sandbox's own already; this is the second lock.
        restrict_files(("/",), (orders.scratch, *DEVICES), syscall)
        return
    readable = (*MACHINE, *orders.folders, orders.inbox)
    restrict_files(readable, (orders.scratch, *DEVICES), syscall)
