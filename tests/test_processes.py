"""One worker process: whatever the child does, the call ends in time with one sentence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashboard.errors import LimitExceeded, ModelError
from dashboard.frames import FrameLimits, read_frame
from dashboard.sandbox import processes
from dashboard.sandbox.processes import (
    WorkCancelled,
    Worker,
    WorkerGone,
    explain_exit,
    is_unwanted,
    watched,
)
from dashboard.settings import Settings
from tests.browser import ROOT

SETTINGS = Settings()

# A child that speaks the language of frames, with the standard library alone: it starts quickly.
CHILD = """
import json, os, signal, struct, sys, threading, time
out, requests = sys.stdout.buffer, sys.stdin.buffer
def read():
    head = requests.read(8)
    if len(head) < 8: os._exit(0)
    return json.loads(requests.read(struct.unpack("<4sI", head)[1]))["body"]
def write(body, arrays=(), raw=b""):
    text = json.dumps({"body": body, "arrays": list(arrays)}).encode()
    out.write(struct.pack("<4sI", b"SLf1", len(text)) + text + raw); out.flush()
def answer(**body): write({"id": ask["id"], "answer": body})
"""

Start = Callable[..., Worker]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a child whose answer to each request is the given code."""
    workers = []

    def begin(code: str, settings: Settings = SETTINGS) -> Worker:
        loop = "".join(f"    {line}\n" for line in code.splitlines())
        script = f"{CHILD}while True:\n    ask = read()\n{loop}"
        command = [sys.executable, "-I", "-S", "-c", script]
        workers.append(Worker(command, dict(os.environ), tmp_path, settings=settings))
        return workers[-1]

    yield begin
    for worker in workers:
        worker.close()


def ask(worker: Worker, seconds: float = 10, **more: Any) -> Any:
    return worker.call("op", {"x": 1}, seconds=seconds, doing="opening a.pkl", **more)


def test_answers_with_arrays(start: Start) -> None:
    worker = start(
        'write({"id": ask["id"], "answer": {"told": ask["args"], "op": ask["op"]}},\n'
        '      [["<i4", [2]]], struct.pack("<2i", 5, 6))'
    )
    for _ in range(3):
        frame = ask(worker, limits=FrameLimits())
        assert frame.header == {"told": {"x": 1}, "op": "op"}
        assert frame.arrays[0].tolist() == [5, 6]
    assert worker.is_alive


def test_errors_keep_their_class(start: Start) -> None:
    worker = start(
        'write({"id": ask["id"], "error": ask["args"]["x"], "message": "Too\\x00 large."})'
    )
    with pytest.raises(LimitExceeded, match=r"^Too large\.$"):
        worker.call("op", {"x": "LimitExceeded"}, seconds=30, doing="opening")
    for unknown in ("SystemExit", "DiagnosticsError", ["x"], None):
        with pytest.raises(ModelError) as caught:
            worker.call("op", {"x": unknown}, seconds=30, doing="opening")
        assert type(caught.value) is ModelError
    assert worker.is_alive


def test_it_says_how_long_it_computed(start: Start) -> None:
    worker = start('write({"id": ask["id"], "cpu": ask["args"]["x"], "answer": {}})')
    half = SETTINGS.worker_cpu_seconds / 2
    for said, spent in ((1.5, False), (half + 0.1, True), ("9e9", False), ([1], False)):
        worker.call("op", {"x": said}, seconds=30, doing="opening")
        assert worker.is_spent is spent


def test_error_without_a_reason(start: Start) -> None:
    worker = start('write({"id": ask["id"], "error": "ModelError", "message": 5})')
    with pytest.raises(ModelError, match=r"Opening a\.pkl failed without a reason"):
        ask(worker)


def test_progress_reaches_the_watcher(start: Start) -> None:
    worker = start(
        "for part in (1, 2):\n"
        '    write({"id": ask["id"], "progress": [part, 2, "half\\x1b way"]}); time.sleep(.2)\n'
        'write({"id": ask["id"], "progress": [{}, "x"]}); time.sleep(.1)\n'
        "for odd in ([10**400, 1], [1, 10**400], [-1, 2], [2, 1]):\n"
        '    write({"id": ask["id"], "progress": [*odd, "x"]}); time.sleep(.1)\n'
        "answer()"
    )
    seen: list[Any] = []
    with watched(lambda *news: seen.append(news)):
        ask(worker)
    assert seen == [(1, 2, "half way"), (2, 2, "half way")]
    ask(worker)  # and nobody need watch


NONSENSE = {
    "no frame": 'out.write(b"hello, I am no frame"); out.flush()',
    "a pickle": 'out.write(b"\\x80\\x04\\x95\\x10\\0\\0\\0\\0\\0\\0\\0"); out.flush()',
    "huge header": 'out.write(struct.pack("<4sI", b"SLf1", 1 << 31)); out.flush()',
    "no JSON": 'out.write(struct.pack("<4sI", b"SLf1", 2) + b"{["); out.flush()',
    "huge array": 'write({"id": ask["id"], "answer": {}}, [["<f8", [1 << 40]]])',
    "objects": 'write({"id": ask["id"], "answer": {}}, [["|O8", [1]]], b"12345678")',
    "another question": 'write({"id": ask["id"] + 1, "answer": {}})',
    "no answer": 'write({"id": ask["id"], "answer": [1]})',
    "neither": 'write({"id": ask["id"]})',
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_ends_the_worker(name: str, start: Start) -> None:
    worker = start(f"{NONSENSE[name]}\ntime.sleep(60)")
    with pytest.raises(ModelError, match=r"Opening a\.pkl gave an answer that cannot be used"):
        ask(worker)
    assert not worker.is_alive
    with pytest.raises(WorkerGone):
        ask(worker)


def test_unasked_messages_are_no_answers(start: Start) -> None:
    worker = start('answer(); write({"id": 7, "answer": {}})')
    ask(worker)
    with pytest.raises(ModelError, match="was not asked"):
        ask(worker)


def test_half_a_frame_is_a_matter_of_time(start: Start) -> None:
    worker = start('out.write(struct.pack("<4sI", b"SLf1", 100) + b"{"); out.flush()')
    with pytest.raises(ModelError, match=r"^Opening a\.pkl took longer than 1 s, so it was st"):
        ask(worker, seconds=1)
    assert not worker.is_alive


def test_silence_is_a_matter_of_time(start: Start) -> None:
    worker = start("time.sleep(60)")
    begun = time.monotonic()
    with pytest.raises(ModelError, match="took longer"):
        ask(worker, seconds=0.3)
    assert time.monotonic() - begun < 20


def test_a_flood_of_progress_waits_in_the_pipe(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[None] = []

    def counted(*arguments: Any) -> Any:
        heard.append(None)
        return read_frame(*arguments)

    monkeypatch.setattr(processes, "read_frame", counted)
    worker = start('while True: write({"id": ask["id"], "progress": [1, 2, "x" * 9]})')
    with pytest.raises(ModelError, match="took longer"):
        ask(worker, seconds=3)
    assert 0 < len(heard) < 400  # a hundred a second, instead of tens of thousands


AGAIN = "Try again, or load a table of its predictions."
EXPORT = "Export it again with the versions of its libraries"
RAISE = "Raise this setting, or try fewer rows"
DEATHS = {
    "os._exit(3)": (r"it ended by itself \(exit code 3\)", AGAIN),
    "os._exit(0)": (r"it ended by itself \(exit code 0\)", AGAIN),
    "os.kill(os.getpid(), signal.SIGSEGV)": (r"it crashed \(SIGSEGV\)", EXPORT),
    "os.abort()": (r"it crashed \(SIGABRT\)", EXPORT),
    "os.kill(os.getpid(), signal.SIGKILL)": ("the system ended it", "Try again with fewer rows"),
    "os.kill(os.getpid(), signal.SIGTERM)": ("it was ended by SIGTERM", AGAIN),
    'print("MemoryError", file=sys.stderr); os._exit(1)': ("more than 4,096 MB", RAISE),
    'print("std::bad_alloc", file=sys.stderr, flush=True); os.abort()': (
        "more than 4,096 MB",
        RAISE,
    ),
    "os.close(0); os.close(1); time.sleep(60)": ("it closed its pipe", AGAIN),
}


@pytest.mark.parametrize("code", DEATHS)
def test_deaths_are_explained(code: str, start: Start) -> None:
    worker = start(code)
    reason, remedy = DEATHS[code]
    with pytest.raises(ModelError, match=reason) as caught:
        ask(worker)
    assert str(caught.value).startswith("Opening a.pkl ended its worker: ")
    assert f". {remedy}" in str(caught.value)
    assert str(caught.value).endswith("Other models are not affected.")
    assert not worker.is_alive


@pytest.mark.parametrize(
    ("code", "output", "words"),
    [
        (128 + 11, b"", "crashed (SIGSEGV)"),
        (-signal.SIGXCPU, b"", "more than 3,600 s of processor time"),
        (128 + signal.SIGXFSZ, b"", "wrote more than 512 MB"),
        (-signal.SIGSYS, b"", "what a confined model may not do"),
        (128 + 9, b"Unable to allocate 5 GiB", "more than 4,096 MB"),
        (0, b"MemoryError", "ended by itself (exit code 0)"),
        (255, b"", "ended by itself (exit code 255)"),
        (78, b"", "did not let it be confined"),
    ],
)
def test_exit_codes(code: int, output: bytes, words: str) -> None:
    assert words in explain_exit(code, output, SETTINGS)


def test_printing_is_kept_short(start: Start) -> None:
    worker = start('sys.stderr.write("x" * 300_000 + "the end"); sys.stderr.flush(); answer()')
    ask(worker)
    deadline = time.monotonic() + 30
    while not worker.output.endswith("the end") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert worker.output.endswith("the end")
    assert len(worker.output) <= processes.KEPT_OUTPUT


def test_printing_without_end_ends_the_worker(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "MOST_OUTPUT", 8 << 20)
    worker = start('while True: os.write(2, b"x" * 65536)')
    with pytest.raises(ModelError, match="it printed more than 8 MB"):
        ask(worker, seconds=30)


def test_one_that_does_not_listen(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "SEND_SECONDS", 0.5)
    worker = start("time.sleep(60)")
    with pytest.raises(ModelError, match="took longer"):
        ask(worker, seconds=0.1)
    worker = start("answer(); time.sleep(60)")
    ask(worker)
    with pytest.raises(ModelError, match="it did not listen"):
        worker.call("op", {"x": "y" * (4 << 20)}, seconds=20, doing="opening")


def test_cancel_that_is_obeyed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "GRACE_SECONDS", 8)  # a busy machine is slow, not disobedient
    worker = start(
        'if ask["op"] == "op":\n'
        "    late = read()\n"
        '    assert late == {"id": ask["id"], "op": "cancel", "args": {}}, late\n'
        '    write({"id": ask["id"], "error": "ModelError", "message": "Stopped."})\n'
        "else: answer()"
    )
    begun = time.monotonic()
    with (
        pytest.raises(WorkCancelled, match=r"You stopped opening a\.pkl"),
        watched(cancelled=lambda: time.monotonic() > begun + 0.2),
    ):
        ask(worker)
    assert time.monotonic() - begun < 9
    worker.call("other", seconds=30, doing="asking")  # it lives, and hears the next question


def test_cancel_that_is_ignored(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "GRACE_SECONDS", 0.4)
    worker = start("time.sleep(60)")
    with pytest.raises(WorkCancelled), watched(cancelled=lambda: True):
        assert is_unwanted()
        ask(worker)
    assert not is_unwanted()
    assert not worker.is_alive


def test_leaving_in_the_middle_ends_the_worker(start: Start) -> None:
    worker = start('write({"id": ask["id"], "progress": [1, 2, ""]}); time.sleep(60)')

    def leave(*news: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), watched(leave):
        ask(worker)
    assert not worker.is_alive


def test_calls_take_turns(start: Start) -> None:
    worker = start("time.sleep(.05); answer(x=ask['args']['x'])")
    found: dict[int, Any] = {}

    def one(at: int) -> None:
        frame = worker.call("op", {"x": at}, seconds=20, doing="asking")
        found[at] = frame.header["x"]

    threads = [threading.Thread(target=one, args=(at,)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {at: at for at in range(6)}


def test_large_arrays_through_the_pipe(start: Start) -> None:
    size = 20_000_000
    worker = start(
        f'write({{"id": ask["id"], "answer": {{}}}}, [["|u1", [{size}]]], bytes(range(250)) * '
        f"{size // 250})"
    )
    frame = ask(worker, limits=FrameLimits(array_bytes=size))
    assert int(frame.arrays[0].sum(dtype=np.int64)) == sum(range(250)) * size // 250
    assert worker.is_alive


def test_a_worker_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    """The kernel's death signal follows the starting thread, and those of a server end."""
    script = (
        f"import ctypes; ctypes.CDLL(None).prctl(1, 9)\n{CHILD}while True: ask = read(); answer()"
    )
    made: list[Worker] = []

    def begin() -> None:
        made.append(Worker([sys.executable, "-I", "-S", "-c", script], {}, tmp_path))
        ask(made[0])  # by now it has asked for the signal

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    time.sleep(0.3)
    try:
        assert ask(made[0]).header == {}
    finally:
        made[0].close()


def test_no_such_command(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be started"):
        Worker([str(tmp_path / "none")], {}, tmp_path)


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    """A real worker of a parent that is killed without warning is gone soon after."""
    code = (
        "import os, sys, time; from pathlib import Path\n"
        "from dashboard.sandbox.pool import WorkerPool\n"
        "from dashboard.settings import Settings\n"
        "pool = WorkerPool(Settings(home=sys.argv[1], spare_workers=0, sandbox=sys.argv[2]))\n"
        "with pool.lease('a') as (worker, _):\n"
        "    worker.call('warm', {'libraries': []}, seconds=60, doing='warming')\n"
        "    print(worker.pid, flush=True); time.sleep(60)"
    )
    parents = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), sandbox],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        for sandbox in ("bubblewrap", "landlock")
    ]
    for parent in parents:
        assert parent.stdout is not None
        family = _with_children(int(parent.stdout.readline()))
        parent.kill()
        parent.wait()
        parent.stdout.close()
        deadline = time.monotonic() + 30
        while any(map(_is_running, family)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(map(_is_running, family))


def _with_children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _with_children(int(child)))]


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
