"""One confined child process: started, asked, listened to with suspicion, and ended.

A call is one request frame, then progress frames, then an answer or an error. Whatever the child
does (nothing, too much, nonsense, dying), the call ends within its time with one sentence.
"""

from __future__ import annotations

import io
import itertools
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from .. import errors
from ..errors import DiagnosticsError, ModelError
from ..frames import Frame, FrameError, FrameLimits, plain_text, read_frame, write_frame
from ..settings import Settings, get_settings
from .orders import UNCONFINED

__all__ = [
    "WorkCancelled",
    "Worker",
    "WorkerGone",
    "explain_exit",
    "is_unwanted",
    "tell_progress",
    "watched",
]

Progress = Callable[[int, int, str], object]
Cancelled = Callable[[], bool]

GRACE_SECONDS = 2.0
SEND_SECONDS = 10.0
POLL_SECONDS = 0.05
PIPE_BYTES = 1 << 20
KEPT_OUTPUT = 64 << 10
MOST_OUTPUT = 256 << 20
MAX_MESSAGE = 2_000
LINUX_SET_PIPE_SIZE = 1031

_log = logging.getLogger(__name__)

# What a worker may say that a failure is; anything else is a ModelError.
_ERRORS: dict[str, type[DiagnosticsError]] = {
    name: getattr(errors, name) for name in errors.__all__ if name != "DiagnosticsError"
}
_CRASHES = {"SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGTRAP"}
_OUT_OF_MEMORY = (b"MemoryError", b"bad_alloc", b"Unable to allocate", b"Cannot allocate memory")

# The kernel ends a child when the *thread* that started it ends, and the threads of a web server
# come and go; so one thread that stays starts them all.
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker-starter")


_WATCHER: ContextVar[tuple[Progress | None, Cancelled | None]] = ContextVar(
    "watcher", default=(None, None)
)


@contextmanager
def watched(
    on_progress: Progress | None = None, cancelled: Cancelled | None = None
) -> Iterator[None]:
    """Whatever workers are asked for within, in this thread, reports here and can be stopped.

    `on_progress(done, total, sentence)` is called as news comes, `cancelled()` some twenty times a
    second; when it says True, the call raises `WorkCancelled` within two seconds.
    """
    token = _WATCHER.set((on_progress, cancelled))
    try:
        yield
    finally:
        _WATCHER.reset(token)


def is_unwanted() -> bool:
    """Whether the watcher of this thread wants its work to stop."""
    cancelled = _WATCHER.get()[1]
    return cancelled is not None and cancelled()


def tell_progress(done: int, total: int, sentence: str) -> None:
    """Report to the watcher of this thread, for work that is done in this process."""
    on_progress = _WATCHER.get()[0]
    if on_progress is not None:
        on_progress(done, total, sentence)


class WorkerGone(ModelError):
    """The worker was no longer there when it was asked; a new one can be."""


class WorkCancelled(ModelError):
    """The person stopped the work."""


class _Reply:
    """What one call has heard so far; the listening thread writes, the calling thread reads."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.progress: Any = None
        self.answer: Frame | None = None
        self.problem: Exception | None = None

    def tell(self, **news: Any) -> None:
        with self.changed:
            for name, value in news.items():
                setattr(self, name, value)
            self.changed.notify()

    @property
    def is_final(self) -> bool:
        return self.answer is not None or self.problem is not None


class Worker:
    """A child process that answers named operations, one at a time.

    Parameters
    ----------
    command, environment : what to start; frames go through its standard input and output.
    inbox : the folder that the child can read.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        inbox: Path,
        *,
        settings: Settings | None = None,
    ) -> None:
        self.inbox = inbox
        self.used = time.monotonic()
        self._settings = settings or get_settings()
        self._numbers = itertools.count(1)
        self._turn = threading.RLock()
        self._output = bytearray()
        self._why = ""  # why we ended it, when we did
        self._cpu_seconds = 0.0
        try:
            start = _STARTER.submit(_start, list(command), dict(environment))
        except RuntimeError as error:
            raise ModelError("Sidelight is stopping; no further model is opened.") from error
        self._process = start.result()
        self._stdin = _raw(self._process.stdin)
        self._stdout = _raw(self._process.stdout)
        self._drain = threading.Thread(target=self._keep_output, daemon=True, name="worker-output")
        self._drain.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def is_spent(self) -> bool:
        """Whether it used half of the processor time of its life; a fresh one goes on.

        As it says itself. One that lies is ended by the kernel when it used all of it.
        """
        return self._cpu_seconds > self._settings.worker_cpu_seconds / 2

    @property
    def output(self) -> str:
        """The end of what it printed, for the log."""
        return bytes(self._output).decode("utf-8", "replace")

    def kill(self, why: str = "") -> None:
        """End it now, and wait until it has ended."""
        self._why = self._why or why
        if self._process.poll() is None:
            _end_group(self._process)
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            _log.warning("Worker %s did not end when killed.", self.pid)

    def close(self) -> None:
        """End it and give back its pipes."""
        self.kill("it was no longer needed")
        self._drain.join(GRACE_SECONDS)
        for stream in (self._stdin, self._stdout, self._process.stderr):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    _log.debug("A pipe of worker %s was broken.", self.pid)

    def call(
        self,
        operation: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        seconds: float,
        doing: str,
        limits: FrameLimits | None = None,
    ) -> Frame:
        """Ask for an operation and wait for its answer, `watched` by whoever cares.

        `doing` completes sentences: "opening a.pkl".

        Raises
        ------
        WorkerGone : it had ended before it was asked.
        WorkCancelled : the watcher said so.
        DiagnosticsError : what the operation raised, of the same class; `ModelError` when the
            worker died, took too long or answered nonsense (it is ended then).
        """
        with self._turn:
            if not self.is_alive:
                raise WorkerGone(f"The worker had ended before {doing}.")
            number = next(self._numbers)
            deadline = time.monotonic() + seconds
            reply = _Reply()
            threading.Thread(
                target=self._listen,
                args=(reply, number, limits or FrameLimits()),
                daemon=True,
                name="worker-listener",
            ).start()
            self._send({"id": number, "op": operation, "args": dict(arguments or {})})
            try:
                self._wait(reply, number, deadline, doing)
            except BaseException:  # the page was left: nobody will read the answer
                if not reply.is_final:
                    self.kill("nobody waited for its answer any more")
                raise
            self.used = time.monotonic()
            return self._judge(reply, doing, seconds)

    # ---- sending ---------------------------------------------------------------------------

    def _send(self, header: dict[str, Any]) -> None:
        """Write a request; a child that reads nothing is ended instead of waited for."""
        with self._killed_after(SEND_SECONDS):
            try:
                write_frame(self._stdin, header)
            except (OSError, ValueError):
                _log.debug("Worker %s does not read.", self.pid)  # its silence is judged below

    @contextmanager
    def _killed_after(self, seconds: float) -> Iterator[None]:
        watchdog = threading.Timer(seconds, self.kill, args=("it did not listen",))
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()

    # ---- listening -------------------------------------------------------------------------

    def _listen(self, reply: _Reply, number: int, limits: FrameLimits) -> None:
        """Read frames until the answer; runs in a thread, since a pipe has no time-out."""
        try:
            while not reply.is_final:
                start = time.thread_time()
                frame = read_frame(self._stdout, limits)
                if frame.header.get("id") != number:
                    raise FrameError("The message answers a question that was not asked.")
                if "progress" in frame.header:
                    if frame.arrays:
                        raise FrameError("A message about progress holds arrays.")
                    reply.tell(progress=frame.header["progress"])
                    # A flood of messages waits in the pipe, one of large messages for longer.
                    time.sleep(POLL_SECONDS / 5 + 9 * (time.thread_time() - start))
                else:
                    reply.tell(answer=frame)
        except (EOFError, OSError, ValueError, FrameError, MemoryError) as problem:
            reply.tell(problem=problem)

    def _wait(self, reply: _Reply, number: int, deadline: float, doing: str) -> None:
        on_progress, cancelled = _WATCHER.get()
        shown: Any = None
        stopped = False
        while True:
            with reply.changed:
                if not reply.is_final and reply.progress is shown:
                    left = deadline - time.monotonic()
                    reply.changed.wait(min(left, POLL_SECONDS if cancelled else left))
                final, news = reply.is_final, reply.progress
            if final and not stopped:
                return
            if stopped and (final or time.monotonic() >= deadline):
                if not final:
                    self.kill("it did not stop when told to")
                raise WorkCancelled(f"You stopped {doing}.")
            if time.monotonic() >= deadline:
                self.kill("time")
                return
            if news is not shown:
                shown = news
                _show_progress(news, on_progress)
            if cancelled is not None and not stopped and cancelled():
                stopped, deadline = True, time.monotonic() + GRACE_SECONDS
                self._send({"id": number, "op": "cancel", "args": {}})

    # ---- judging ---------------------------------------------------------------------------

    def _judge(self, reply: _Reply, doing: str, seconds: float) -> Frame:
        if self._why == "time":
            raise ModelError(
                f"{_capital(doing)} took longer than {seconds:,.0f} s, so it was stopped. Try "
                "fewer rows or a smaller model, or raise its time limit in the settings."
            )
        if reply.answer is not None:
            used = reply.answer.header.get("cpu")
            self._cpu_seconds = used if isinstance(used, float) else 0.0
            return self._unwrap(reply.answer, doing)
        if isinstance(reply.problem, (FrameError, ValueError, MemoryError)) and self.is_alive:
            self.kill("it answered nonsense")
            reason = str(reply.problem).rstrip(".") or "out of memory"
            raise ModelError(
                f"{_capital(doing)} gave an answer that cannot be used ({reason}), so its worker "
                "was ended. Other models are not affected."
            ) from reply.problem
        raise ModelError(self._death(doing)) from reply.problem

    def _unwrap(self, frame: Frame, doing: str) -> Frame:
        header = frame.header
        if "error" in header:
            kind = header["error"]
            raised = _ERRORS.get(kind, ModelError) if isinstance(kind, str) else ModelError
            try:
                message = " ".join(plain_text(header.get("message"), MAX_MESSAGE).split())
            except FrameError:
                message = f"{_capital(doing)} failed without a reason."
            raise raised(message)
        answer = header.get("answer")
        if not isinstance(answer, dict):
            self.kill("it answered nonsense")
            raise ModelError(f"{_capital(doing)} gave an answer that cannot be used.")
        return Frame(answer, frame.arrays)

    def _death(self, doing: str) -> str:
        """How it ended, in a sentence; it is gone, or about to be."""
        try:
            code = self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill("it closed its pipe")
            code = 0
        self._drain.join(GRACE_SECONDS)
        _log.info("Worker %s ended with %s while %s.\n%s", self.pid, code, doing, self.output)
        reason = self._why or explain_exit(code, bytes(self._output), self._settings)
        return (
            f"{_capital(doing)} ended its worker: {reason}. {_remedy(reason)} Other models are not "
            "affected."
        )

    def _keep_output(self) -> None:
        """Read everything that it prints, keep the end; too much of it ends the worker."""
        stream, total = self._process.stderr, 0
        while stream is not None:
            try:
                chunk = stream.read(KEPT_OUTPUT)
            except (OSError, ValueError):
                break
            if not chunk:
                break
            total += len(chunk)
            self._output += chunk
            del self._output[:-KEPT_OUTPUT]
            if total > MOST_OUTPUT and self.is_alive:
                self.kill(f"it printed more than {MOST_OUTPUT >> 20} MB")


def _start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=environment,
            start_new_session=True,  # Ctrl+C is for the app
        )
    except OSError as error:
        raise ModelError(
            f"A worker for models cannot be started ({error.strerror}). Models that are files "
            "need one; load a table of predictions instead."
        ) from error


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a child and its group: at first, bubblewrap's own child would outlive it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (AttributeError, OSError):  # Windows; or it left its group
        process.kill()


def _raw(stream: Any) -> Any:
    """An unbuffered pipe, as large as the system lets it be: fewer switches for large arrays."""
    if isinstance(stream, io.RawIOBase) and sys.platform == "linux":
        import fcntl

        try:
            fcntl.fcntl(stream.fileno(), LINUX_SET_PIPE_SIZE, PIPE_BYTES)
        except OSError:
            _log.debug("Pipes keep their size.")  # an unprivileged user's allowance is used up
    return stream


def _show_progress(news: Any, on_progress: Progress | None) -> None:
    if on_progress is None or not isinstance(news, list) or len(news) != 3:
        return
    done, total, sentence = news
    if type(done) is not int or type(total) is not int or not 0 <= done <= total < 1 << 53:
        return
    if isinstance(sentence, str):
        on_progress(done, total, plain_text(sentence, 200))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _remedy(reason: str) -> str:
    """What to do about it, a sentence."""
    if "(setting worker_" in reason:
        return "Raise this setting, or try fewer rows or a smaller model."
    if reason.startswith("the system ended it"):
        return "Try again with fewer rows or a smaller model, or on a machine with more memory."
    if reason.startswith("it crashed"):
        return (
            "Export it again with the versions of its libraries that requirements.txt names, or "
            "load a table of its predictions."
        )
    if "confined" in reason:
        return "Load a table of its predictions instead."
    return "Try again, or load a table of its predictions."


def explain_exit(code: int, output: bytes, settings: Settings) -> str:
    """Why a child ended, from its exit code (128 + signal through bubblewrap) and last words."""
    if code == UNCONFINED:
        return "the system did not let it be confined, so it opened nothing"
    number = -code if code < 0 else code - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = ""
    if any(word in output for word in _OUT_OF_MEMORY) and (name in _CRASHES or code):
        return f"it needs more than {settings.worker_memory_mb:,} MB (setting worker_memory_mb)"
    if name in _CRASHES:
        return f"it crashed ({name})"
    if name == "SIGXCPU":
        limit = f"{settings.worker_cpu_seconds:,} s of processor time"
        return f"it used more than {limit} (setting worker_cpu_seconds)"
    if name == "SIGXFSZ":
        return f"it wrote more than {settings.worker_file_mb:,} MB (setting worker_file_mb)"
    if name == "SIGSYS":
        return "it tried what a confined model may not do"
    if name == "SIGKILL":
        return "the system ended it, most often for its memory or processor time"
    if name:
        return f"it was ended by {name}"
    return f"it ended by itself (exit code {code})"
