"""A seccomp filter: the system calls that reading a model and computing need, and no others.

A list of what may be called, because a list of what may not is out of date with the next
kernel. Numbers are those of `asm/unistd.h`; the program is classic BPF as in
https://docs.kernel.org/userspace-api/seccomp_filter.html. It is written here, and not by
libseccomp, so that it works on hosts that lack this library.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["CONDITIONS", "Condition", "build_program", "install_program", "numbers"]

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
REFUSE = 0x00050000 | errno.EPERM
UNKNOWN = 0x00050000 | errno.ENOSYS

# From this number on all architectures count alike. What is newer than the C library at hand
# must look unknown to it, so that it falls back.
FIRST_COMMON = 424
X32_BIT = 0x40000000

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

# name: (x86-64, aarch64); None where there is no such call. Most frequent first.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    # threads and waiting
    "futex": (202, 98),
    "sched_yield": (24, 124),
    "futex_waitv": (449, 449),
    "futex_wake": (454, 454),
    "futex_wait": (455, 455),
    "futex_requeue": (456, 456),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    "sched_getaffinity": (204, 123),
    "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120),
    "sched_get_priority_max": (146, 125),
    "sched_get_priority_min": (147, 126),
    "sched_getattr": (315, 275),
    "getcpu": (309, 168),
    "get_mempolicy": (239, 236),
    "set_robust_list": (273, 99),
    "get_robust_list": (274, 100),
    "set_tid_address": (218, 96),
    "rseq": (334, 293),
    "membarrier": (324, 283),
    "restart_syscall": (219, 128),
    "exit": (60, 93),
    "exit_group": (231, 94),
    # memory
    "munmap": (11, 215),
    "mprotect": (10, 226),
    "pkey_mprotect": (329, 288),
    "pkey_alloc": (330, 289),
    "pkey_free": (331, 290),
    "madvise": (28, 233),
    "brk": (12, 214),
    "mremap": (25, 216),
    "msync": (26, 227),
    "mincore": (27, 232),
    # reading and writing what is open
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "close_range": (436, 436),
    "lseek": (8, 62),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "readv": (19, 65),
    "writev": (20, 66),
    "preadv": (295, 69),
    "pwritev": (296, 70),
    "preadv2": (327, 286),
    "pwritev2": (328, 287),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    "pipe": (22, None),
    "pipe2": (293, 59),
    "dup": (32, 23),
    "dup2": (33, None),
    "dup3": (292, 24),
    "epoll_create": (213, None),
    "epoll_create1": (291, 20),
    "epoll_ctl": (233, 21),
    "epoll_wait": (232, None),
    "epoll_pwait": (281, 22),
    "epoll_pwait2": (441, 441),
    "eventfd": (284, None),
    "eventfd2": (290, 19),
    "timerfd_create": (283, 85),
    "timerfd_settime": (286, 86),
    "timerfd_gettime": (287, 87),
    "sendfile": (40, 71),
    "splice": (275, 76),
    "tee": (276, 77),
    "copy_file_range": (326, 285),
    "fadvise64": (221, 223),
    "readahead": (187, 213),
    # files: which ones, the view of the file system and Landlock decide
    "stat": (4, None),
    "fstat": (5, 80),
    "lstat": (6, None),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "getdents": (78, None),
    "getdents64": (217, 61),
    "statfs": (137, 43),
    "fstatfs": (138, 44),
    "getxattr": (191, 8),
    "lgetxattr": (192, 9),
    "fgetxattr": (193, 10),
    "getcwd": (79, 17),
    "chdir": (80, 49),
    "fchdir": (81, 50),
    "umask": (95, 166),
    "creat": (85, None),
    "ftruncate": (77, 46),
    "fallocate": (285, 47),
    "flock": (73, 32),
    "fsync": (74, 82),
    "fdatasync": (75, 83),
    "sync_file_range": (277, 84),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "rmdir": (84, None),
    "link": (86, None),
    "linkat": (265, 37),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    # signals of its own
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "rt_sigpending": (127, 136),
    "rt_sigtimedwait": (128, 137),
    "rt_sigsuspend": (130, 133),
    "sigaltstack": (131, 132),
    "alarm": (37, None),
    "setitimer": (38, 103),
    "getitimer": (36, 102),
    "pause": (34, None),
    # itself and the machine, to read
    "getpid": (39, 172),
    "getppid": (110, 173),
    "gettid": (186, 178),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getresuid": (118, 148),
    "getresgid": (120, 150),
    "getgroups": (115, 158),
    "getpgrp": (111, None),
    "getpgid": (121, 155),
    "getsid": (124, 156),
    "getpriority": (140, 141),
    "getrlimit": (97, 163),
    "getrusage": (98, 165),
    "uname": (63, 160),
    "sysinfo": (99, 179),
    "getrandom": (318, 278),
    "arch_prctl": (158, None),
    # under a condition, below
    "clone": (56, 220),
    "mmap": (9, 222),
    "open": (2, None),
    "openat": (257, 56),
    "fcntl": (72, 25),
    "ioctl": (16, 29),
    "prctl": (157, 167),
    "kill": (62, 129),
    "tgkill": (234, 131),
    "prlimit64": (302, 261),
    "sched_setaffinity": (203, 122),
}

# Answered with "no such call", for which the C library has a way round.
_ABSENT = {"clone3": (435, 435), "memfd_create": (319, 279)}


@dataclass(frozen=True)
class Condition:
    """A call is let through when `argument & mask` is one of `values` (its lower 32 bits).

    high : the upper 32 bits must be zero as well.
    """

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    high: bool = False


CLONE_THREAD = 0x00010000
CLONE_NEW = 0x7E020080  # every kind of namespace
MAP_SHARED, MAP_ANONYMOUS, MAP_GROWSDOWN, MAP_HUGETLB = 0x01, 0x20, 0x0100, 0x40000
O_ACCMODE, O_TRUNC = 0o3, 0o1000
F_DUPFD_CLOEXEC, F_GETPIPE_SZ = 1030, 1032
F_OFD_GETLK, F_OFD_SETLKW = 36, 38
PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_CAPBSET_READ = 15, 16, 3, 23
PR_SET_VMA, PR_GET_SECCOMP, PR_GET_NO_NEW_PRIVS, PR_GET_TID_ADDRESS = 0x53564D41, 21, 39, 40
TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX = (
    0x5401,
    0x5413,
    0x541B,
    0x5421,
    0x5451,
    0x5450,
)

CONDITIONS: dict[str, Condition] = {
    # A thread, never a process, never in a namespace of its own.
    "clone": Condition(0, (CLONE_THREAD,), CLONE_THREAD | CLONE_NEW),
    # Shared anonymous memory, stacks that grow and huge pages escape the limit on memory.
    "mmap": Condition(
        3,
        (0, MAP_ANONYMOUS, MAP_SHARED),
        MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_HUGETLB,
    ),
    # Opened to read and emptied by that: before its ABI 3, Landlock lets it through.
    "open": Condition(
        1, (0, 1, 2, 3, O_TRUNC | os.O_WRONLY, O_TRUNC | os.O_RDWR), O_TRUNC | O_ACCMODE
    ),
    "openat": Condition(
        2, (0, 1, 2, 3, O_TRUNC | os.O_WRONLY, O_TRUNC | os.O_RDWR), O_TRUNC | O_ACCMODE
    ),
    # Not F_SETOWN, F_SETOWN_EX, F_SETSIG: through them the kernel signals any process.
    "fcntl": Condition(
        1, (*range(8), *range(F_OFD_GETLK, F_OFD_SETLKW + 1), F_DUPFD_CLOEXEC, F_GETPIPE_SZ)
    ),
    "ioctl": Condition(1, (TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX)),
    "prctl": Condition(
        0,
        (
            PR_SET_NAME,
            PR_GET_NAME,
            PR_GET_DUMPABLE,
            PR_CAPBSET_READ,
            PR_SET_VMA,
            PR_GET_SECCOMP,
            PR_GET_NO_NEW_PRIVS,
            PR_GET_TID_ADDRESS,
        ),
    ),
    # Its limits may be read, not raised.
    "prlimit64": Condition(2, (0,), high=True),
    "sched_setaffinity": Condition(0, (0,)),
}
# Signals to itself: abort() and raise() send them. Which process that is, is known at run time.
_OWN = ("kill", "tgkill")


def numbers(machine: str) -> dict[str, int]:
    """Name to number of every call that may pass on `machine`, some of them under a condition."""
    column = _MACHINES[machine][0]
    every = {name: row[column] for name, row in _NUMBERS.items()}
    return {name: number for name, number in every.items() if number is not None}


def _instruction(code: int, k: int, jt: int = 0, jf: int = 0) -> bytes:
    return struct.pack("=HBBI", code, jt, jf, k)


_LOAD, _JEQ, _JGE, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_NR, _ARCH, _ARGS = 0, 4, 16


def _checked(number: int, condition: Condition) -> list[bytes]:
    """Allow `number` when its argument fulfils the condition, else refuse; others pass by."""
    at = _ARGS + 8 * condition.argument
    body = []
    if condition.high:
        body += [
            _instruction(_LOAD, at + 4),
            _instruction(_JEQ, 0, 1, 0),
            _instruction(_RETURN, REFUSE),
        ]
    body += [_instruction(_LOAD, at), _instruction(_AND, condition.mask)]
    for value in condition.values:
        body += [_instruction(_JEQ, value, 0, 1), _instruction(_RETURN, ALLOW)]
    body.append(_instruction(_RETURN, REFUSE))
    return [_instruction(_JEQ, number, 0, len(body)), *body]


def build_program(pid: int, machine: str | None = None) -> bytes:
    """The filter for a process of number `pid`, as BPF instructions of 8 bytes each.

    Parameters
    ----------
    machine : as `platform.machine()` says, which is the default.

    Raises
    ------
    OSError : there is no table of calls for this machine.
    """
    machine = machine or platform.machine()
    if machine not in _MACHINES or struct.calcsize("P") != 8:
        raise OSError(errno.ENOSYS, f"no table of system calls for {machine}")
    column, arch = _MACHINES[machine]
    conditions = {**CONDITIONS, **{name: Condition(0, (pid,)) for name in _OWN}}
    program = [
        _instruction(_LOAD, _ARCH),
        _instruction(_JEQ, arch, 1, 0),
        _instruction(_RETURN, KILL_PROCESS),
        _instruction(_LOAD, _NR),
        _instruction(_JGE, X32_BIT, 0, 1),
        _instruction(_RETURN, KILL_PROCESS),
    ]
    for name, number in numbers(machine).items():
        if name in conditions:
            program += _checked(number, conditions[name])
        else:
            program += [_instruction(_JEQ, number, 0, 1), _instruction(_RETURN, ALLOW)]
    for row in _ABSENT.values():
        program += [_instruction(_JEQ, row[column], 0, 1), _instruction(_RETURN, UNKNOWN)]
    program += [
        _instruction(_JGE, FIRST_COMMON, 0, 1),
        _instruction(_RETURN, UNKNOWN),
        _instruction(_RETURN, REFUSE),
    ]
    return b"".join(program)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def install_program(program: bytes, call: Callable[..., int]) -> None:
    """Put the filter on every thread of this process; `no_new_privs` must be set.

    Parameters
    ----------
    call : `syscall` of the C library, raising OSError.
    """
    buffer = ctypes.create_string_buffer(program, len(program))
    told = _Program(len(program) // 8, ctypes.addressof(buffer))
    number = 317 if platform.machine() == "x86_64" else 277
    set_filter, all_threads = 1, 1
    failed = call(number, set_filter, all_threads, ctypes.byref(told))
    if failed:
        raise OSError(errno.EBUSY, f"thread {failed} could not take the filter")
