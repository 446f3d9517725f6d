"""Landlock: which files this process and its threads may read and write, until they end.

Done by the three system calls themselves, because what the kernel added since 2021 (network,
signals and abstract sockets) is missing from the Python package.
Source: https://docs.kernel.org/userspace-api/landlock.html.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Callable, Iterable

__all__ = ["landlock_version", "restrict_files"]

CREATE, ADD, RESTRICT = 444, 445, 446  # the same on every architecture
VERSION_FLAG = 1
PATH_BENEATH = 1

WRITE_FILE, READ_FILE, READ_DIR = 1 << 1, 1 << 2, 1 << 3
REFER, TRUNCATE, DEVICE_IOCTL = 1 << 13, 1 << 14, 1 << 15
READ = READ_FILE | READ_DIR
# Within the temporary folder: everything but to execute, and to make devices and sockets.
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG, MAKE_SYM = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 12
KEEP = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SYM
KEEP |= REFER | TRUNCATE
OF_FILES = 1 | WRITE_FILE | READ_FILE | TRUNCATE | DEVICE_IOCTL

# What version handles which rights: each row adds to those above it.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: REFER, 3: TRUNCATE, 5: DEVICE_IOCTL}
_NETWORK_RIGHTS = {4: 0b11}  # to bind and to connect TCP
_SCOPES = {6: 0b11}  # abstract sockets and signals of others


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def landlock_version(call: Callable[..., int]) -> int:
    """The kernel's Landlock version; 0 where it has none or it is switched off."""
    try:
        return call(CREATE, None, 0, VERSION_FLAG)
    except OSError:
        return 0


def _rights(rows: dict[int, int], version: int) -> int:
    return sum(bits for since, bits in rows.items() if since <= version)


def _add(call: Callable[..., int], ruleset: int, path: str, rights: int) -> None:
    """Grant `rights` beneath `path`; a path that is not there grants nothing."""
    try:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(folder).st_mode):
            rights &= OF_FILES
        rule = _Beneath(rights, folder)
        call(ADD, ruleset, PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(folder)


def restrict_files(
    readable: Iterable[str], writable: Iterable[str], call: Callable[..., int]
) -> int:
    """From now on only these paths, and what is beneath them, can be opened; the version in force.

    It holds for this thread and those it starts, so it comes before the first other thread.

    Parameters
    ----------
    call : `syscall` of the C library, raising OSError.

    Raises
    ------
    OSError : the kernel has no Landlock, or refuses.
    """
    version = call(CREATE, None, 0, VERSION_FLAG)
    handled = _rights(_FILE_RIGHTS, version)
    rules = _Ruleset(handled, _rights(_NETWORK_RIGHTS, version), _rights(_SCOPES, version))
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = call(CREATE, ctypes.byref(rules), size, 0)
    try:
        for path in readable:
            _add(call, ruleset, path, READ & handled)
        for path in writable:
            _add(call, ruleset, path, KEEP & handled)
        call(RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)
    return version
