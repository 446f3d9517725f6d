"""The entry of a worker: confine first, then listen for operations and answer them.

Started by its parent only, with its orders as one JSON argument. Frames come in through standard
input and leave through standard output; what models print goes to standard error.
"""

from __future__ import annotations

import os
import sys

from ..sandbox.orders import UNCONFINED
from .confine import Orders, confine


def _take_pipes() -> tuple[int, int]:
    """The conversation moves to descriptors of its own; prints go where nobody is disturbed."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers


def main(arguments: list[str]) -> int:
    """Serve until the parent closes the pipe; the exit code."""
    orders = Orders.from_json(arguments[0])
    requests, answers = _take_pipes()
    try:
        confine(orders)
    except OSError as error:
        print(f"The system refuses to confine the worker: {error}", file=sys.stderr)
        return UNCONFINED
    from .serving import serve  # numeric libraries start threads, so not before

    return serve(requests, answers, orders.inbox)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
