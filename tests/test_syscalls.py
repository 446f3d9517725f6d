"""The list of system calls: its numbers, and what the filter says to each."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

import pyseccomp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.worker.syscalls import (
    ALLOW,
    CONDITIONS,
    KILL_PROCESS,
    REFUSE,
    UNKNOWN,
    build_program,
    numbers,
)

ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MACHINES = tuple(ARCHES)
PID = 4321

# Never, whatever else changes: each is a way out, or a way to others.
NEVER = """
    execve execveat fork vfork socket socketpair connect bind listen accept accept4 sendto sendmsg
    ptrace process_vm_readv process_vm_writev process_madvise pidfd_open pidfd_getfd
    pidfd_send_signal kcmp tkill rt_sigqueueinfo rt_tgsigqueueinfo setns unshare mount umount2
    pivot_root chroot move_mount open_tree fsopen fsmount mount_setattr bpf perf_event_open
    userfaultfd keyctl add_key request_key io_uring_setup io_uring_enter io_uring_register
    init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff
    open_by_handle_at name_to_handle_at fanotify_init inotify_init1 inotify_add_watch shmget shmat
    semget msgget mq_open setuid setgid setreuid setresuid setgroups setfsuid capset setsid setpgid
    personality setrlimit setpriority sched_setscheduler sched_setparam sched_setattr ioprio_set
    chmod fchmod fchmodat chown lchown fchown fchownat utime utimes utimensat futimesat setxattr
    lsetxattr fsetxattr removexattr mknod mknodat truncate acct quotactl syslog settimeofday
    clock_settime clock_adjtime adjtimex sethostname setdomainname ioperm iopl modify_ldt mlock
    mlockall mbind migrate_pages move_pages seccomp landlock_create_ruleset memfd_create
    memfd_secret vmsplice
"""


def _resolve(name: str, arch: int) -> int:
    resolve = pyseccomp._libseccomp.seccomp_syscall_resolve_name_arch
    resolve.argtypes, resolve.restype = (ctypes.c_uint32, ctypes.c_char_p), ctypes.c_int
    return int(resolve(arch, name.encode()))


def verdict(program: bytes, arch: int, number: int, *arguments: int) -> int:
    """What the kernel would do: the program, interpreted."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, arch, 0, *padded)
    code = list(struct.iter_unpack("<HBBI", program))
    at = value = 0
    while True:
        operation, jump, otherwise, k = code[at]
        at += 1
        if operation == 0x20:
            value = struct.unpack_from("<I", data, k)[0]
        elif operation == 0x54:
            value &= k
        elif operation == 0x06:
            return int(k)
        else:
            holds = value == k if operation == 0x15 else value >= k
            at += jump if holds else otherwise


@pytest.mark.parametrize("machine", MACHINES)
def test_numbers_are_those_of_the_kernel(machine: str) -> None:
    """Against libseccomp, which knows the tables of all architectures."""
    newer = {"futex_wake": 454, "futex_wait": 455, "futex_requeue": 456}
    for name, number in numbers(machine).items():
        assert number == newer.get(name, _resolve(name, ARCHES[machine])), name
    assert len(set(numbers(machine).values())) == len(numbers(machine))
    assert numbers("x86_64")["arch_prctl"] == 158
    assert "arch_prctl" not in numbers("aarch64")


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_listed_passes_and_nothing_else(machine: str) -> None:
    program, arch = build_program(PID, machine), ARCHES[machine]
    free = {
        number
        for name, number in numbers(machine).items()
        if name not in (*CONDITIONS, "kill", "tgkill")
    }
    passing = {n for n in range(600) if verdict(program, arch, n, *[2**63 + 2**31] * 6) == ALLOW}
    assert passing - free <= {numbers(machine)["mmap"], *_opens(machine)}
    assert free <= passing


def _opens(machine: str) -> set[int]:
    return {number for name, number in numbers(machine).items() if name in ("open", "openat")}


@pytest.mark.parametrize("machine", MACHINES)
def test_ways_out_are_refused(machine: str) -> None:
    program, arch = build_program(PID, machine), ARCHES[machine]
    for name in NEVER.split():
        number = _resolve(name, arch)
        if number >= 0:
            assert verdict(program, arch, number) in (REFUSE, UNKNOWN), name
    assert verdict(program, arch, numbers(machine)["clone"], 17) == REFUSE


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("name", "arguments", "passes"),
    [
        ("clone", (0x3D0F00,), True),  # what pthread_create asks for
        ("clone", (0x3D0F00 | 0x10000000,), False),  # in a namespace
        ("clone", (17,), False),
        ("mmap", (0, 4096, 3, 0x22), True),  # private, anonymous
        ("mmap", (0, 4096, 1, 0x01), True),  # a file
        ("mmap", (0, 4096, 3, 0x21), False),  # shared memory
        ("mmap", (0, 4096, 3, 0x122), False),  # a stack that grows
        ("mmap", (0, 4096, 3, 0x40022), False),  # huge pages
        ("openat", (0, 0, os.O_RDONLY | os.O_CLOEXEC), True),
        ("openat", (0, 0, os.O_WRONLY | os.O_TRUNC | os.O_CREAT), True),
        ("openat", (0, 0, os.O_RDONLY | os.O_TRUNC), False),
        ("openat", (0, 0, 3 | os.O_TRUNC), False),
        ("fcntl", (0, 4), True),
        ("fcntl", (0, 8), False),
        ("fcntl", (0, 10), False),
        ("fcntl", (0, 15), False),
        ("fcntl", (0, 1031), False),
        ("ioctl", (0, 0x5401), True),
        ("ioctl", (0, 0x5412), False),
        ("prctl", (15,), True),
        ("prctl", (1,), False),
        ("prctl", (4,), False),
        ("prctl", (22,), False),
        ("prlimit64", (0, 9, 0), True),
        ("prlimit64", (0, 9, 1), False),
        ("prlimit64", (0, 9, 1 << 32), False),
        ("kill", (PID,), True),
        ("kill", (PID + 1,), False),
        ("kill", (0,), False),
        ("kill", (0xFFFFFFFF,), False),
        ("kill", (2**64 - PID,), False),
        ("tgkill", (PID, 5), True),
        ("tgkill", (5, 5), False),
        ("sched_setaffinity", (0,), True),
        ("sched_setaffinity", (5,), False),
    ],
)
def test_conditions(machine: str, name: str, arguments: tuple[int, ...], passes: bool) -> None:
    said = verdict(build_program(PID, machine), ARCHES[machine], numbers(machine)[name], *arguments)
    assert said == (ALLOW if passes else REFUSE)


@pytest.mark.parametrize("machine", MACHINES)
def test_other_conventions_end_the_process(machine: str) -> None:
    program = build_program(PID, machine)
    assert verdict(program, 0x40000003, 3) == KILL_PROCESS
    assert verdict(program, ARCHES[machine], 0x40000000 | 1) == KILL_PROCESS
    assert verdict(program, ARCHES[machine], 0xFFFFFFFF) == KILL_PROCESS


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_newer_than_we_are_looks_unknown(machine: str) -> None:
    """So that a newer C library falls back: clone3 above all."""
    program = build_program(PID, machine)
    assert UNKNOWN == 0x00050000 | errno.ENOSYS
    for number in (425, 435, 437, 470, 5_000):
        assert verdict(program, ARCHES[machine], number) == UNKNOWN


@given(st.integers(0, 2**30 - 1), st.lists(st.integers(0, 2**64 - 1), max_size=6))
def test_every_call_has_a_verdict(number: int, arguments: list[int]) -> None:
    said = verdict(build_program(PID, "x86_64"), ARCHES["x86_64"], number, *arguments)
    assert said in (ALLOW, REFUSE, UNKNOWN)


def test_the_program_fits_the_kernel() -> None:
    for machine in MACHINES:
        assert len(build_program(PID, machine)) // 8 < 4096


def test_an_unknown_machine_has_no_filter() -> None:
    with pytest.raises(OSError, match="no table of system calls for riscv64"):
        build_program(PID, "riscv64")
