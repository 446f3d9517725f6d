"""Whether a way to confine workers works on this machine: tried, not looked up.

`python -I -m dashboard.worker.probe ORDERS CANARY` confines itself as a worker does and then
tries what must fail. It prints `confined` when all of it failed.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from ..sandbox.orders import PROCESS, Orders
from .confine import confine

__all__ = ["main"]


def _succeeds(action: Callable[[], object]) -> bool:
    try:
        action()
    except OSError:
        return False
    return True


def main(arguments: list[str]) -> str:
    """`confined`, or one sentence on what did not hold."""
    orders, canary = Orders.from_json(arguments[0]), Path(arguments[1])
    try:
        confine(orders)
    except OSError as error:
        return f"the kernel refused ({error})"
    if orders.kind == PROCESS:
        return "nothing to confine with"
    if _succeeds(canary.read_bytes):
        return "a file outside could be read"
    if _succeeds(lambda: canary.with_name("written").write_bytes(b"")):
        return "a file outside could be written"
    if _succeeds(socket.socket):
        return "a socket could be opened"
    if _succeeds(os.fork):
        return "a process could be started"
    Path(orders.scratch, "note").write_bytes(b"own")
    if not list(Path(orders.inbox).iterdir()):
        return "the inbox is not there"
    return "confined"


if __name__ == "__main__":
    print(main(sys.argv[1:]))
