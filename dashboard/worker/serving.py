"""The conversation as the worker sees it: requests one by one, progress, cancelling, errors."""

from __future__ import annotations

import os
import queue
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from ..errors import DiagnosticsError
from ..frames import FrameError, FrameLimits, read_frame, write_frame
from .operations import OPERATIONS, Call, Cancelled, Desk

__all__ = ["serve"]

PROGRESS_SECONDS = 0.1
_REQUESTS = FrameLimits(header_bytes=8 << 20, array_bytes=0, arrays=0)


class _Line:
    """The two ends of the conversation; requests are read in a thread of their own."""

    def __init__(self, requests: int, answers: int) -> None:
        self._in = open(requests, "rb", buffering=0)  # noqa: SIM115 - as long as the process
        self._out = open(answers, "wb", buffering=0)  # noqa: SIM115 - as long as the process
        self._told = 0.0
        self.waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.cancelled: set[int] = set()
        threading.Thread(target=self._read, daemon=True, name="requests").start()

    def _read(self) -> None:
        try:
            while True:
                request = read_frame(self._in, _REQUESTS).header
                if request["op"] == "cancel":
                    self.cancelled.add(request["id"])
                else:
                    self.waiting.put(request)
        except (EOFError, OSError, FrameError):
            os._exit(0)  # the parent is gone: nobody wants an answer

    def tell(self, number: int, done: int, total: int, sentence: str) -> None:
        """Progress, not more often than a person can see."""
        now = time.monotonic()
        if now - self._told >= PROGRESS_SECONDS:
            self._told = now
            write_frame(self._out, {"id": number, "progress": [done, total, sentence]})

    def answer(self, number: int, header: dict[str, Any], arrays: Any = ()) -> None:
        used = {"cpu": round(time.process_time(), 2)}
        write_frame(self._out, {"id": number, **used, **header}, arrays)


def serve(requests: int, answers: int, inbox: str) -> int:
    """Answer operations until the parent closes the pipe.

    Parameters
    ----------
    requests, answers : file descriptors.
    """
    line, desk = _Line(requests, answers), Desk(Path(inbox))
    while True:
        request = line.waiting.get()
        _answer(line, desk, request["id"], request["op"], request["args"])


def _answer(line: _Line, desk: Desk, number: int, name: str, arguments: dict[str, Any]) -> None:
    call = Call(
        arguments,
        lambda done, total, sentence: line.tell(number, done, total, sentence),
        lambda: number in line.cancelled,
    )
    try:
        header, arrays = OPERATIONS[name](desk, call)
        line.answer(number, {"answer": header}, arrays)
    except Cancelled:
        line.answer(number, {"error": "ModelError", "message": "It was stopped."})
    except DiagnosticsError as error:
        line.answer(number, {"error": type(error).__name__, "message": str(error)})
    # A stranger's code raises what it likes, `SystemExit` included; the parent gets a sentence.
    except BaseException as error:  # noqa: BLE001
        traceback.print_exc()
        line.answer(number, {"error": "ModelError", "message": _sentence(error, call)})


def _sentence(error: BaseException, call: Call) -> str:
    name = str(call.arguments.get("name", "The model"))
    if isinstance(error, MemoryError):
        return f"{name} needs more memory than a worker may use (setting worker_memory_mb)."
    if isinstance(error, (SystemExit, KeyboardInterrupt)):
        return f"{name} tried to end the program that opened it, so it was not opened."
    if isinstance(error, RecursionError):
        return f"{name} is nested too deeply to be opened."
    first = str(error).strip().splitlines()[:1]
    detail = f"{type(error).__name__}: {first[0][:300]}" if first else type(error).__name__
    return f"{name} failed: {detail}. Check the file, or export it again."
