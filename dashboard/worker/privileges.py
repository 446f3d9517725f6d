"""The user and the capabilities that a worker has, taken from it.

A server that runs as root would have workers that are root. They would own root's files, and
the kernel does not count root's threads; so they become a user that owns nothing at all.
"""

from __future__ import annotations

import ctypes
import functools
import os

__all__ = ["become", "drop_capabilities", "forget_capabilities", "prctl", "syscall"]

PR_CAPBSET_DROP, PR_SET_KEEPCAPS, PR_CAP_AMBIENT = 24, 8, 47
PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP = 28, 1 << 2
PR_CAP_AMBIENT_CLEAR_ALL = 4
CAPABILITY_VERSION = 0x20080522
CAP_DAC_READ_SEARCH = 2
LAST_CAPABILITY = 63


@functools.cache
def _libc() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return library


def _check(result: int) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def prctl(option: int, *arguments: int) -> int:
    """`prctl`, raising OSError."""
    given = [ctypes.c_ulong(one) for one in (*arguments, 0, 0, 0, 0)[:4]]
    return _check(_libc().prctl(ctypes.c_int(option), *given))


def syscall(number: int, *arguments: object) -> int:
    """A system call by its number, raising OSError; whole numbers are passed as long."""
    given = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return _check(_libc().syscall(ctypes.c_long(number), *given))


def become(user: int, scratch: str) -> None:
    """Turn from root into `user`, who owns nothing but this folder; 0 changes nothing."""
    if not user:
        return
    os.chmod(scratch, 0o1777)  # noqa: S103, PTH101 - it lies where nobody else can enter
    prctl(PR_SET_KEEPCAPS, 1)
    # So that `access`, which TensorFlow asks, counts the capability to read as `open` does.
    prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def forget_capabilities() -> None:
    """No program that is started later can gain one. To be called while still root, if so."""
    for capability in range(LAST_CAPABILITY + 1):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            break  # beyond the last one, or not root: then there is none to be gained
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)


def drop_capabilities(user: int) -> None:
    """Nothing of root's is left, but that a former root may still read what root may.

    The interpreter or the model may lie where only root can enter; what can be read at all, the
    other locks say.
    """
    kept = 1 << CAP_DAC_READ_SEARCH if user else 0
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0)
    _check(_libc().capset(ctypes.byref(header), ctypes.byref(sets)))
