"""What lies around the sandbox while a hostile file is tried, and whether anything touched it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

__all__ = ["BREACH", "Listener", "Scene", "children_of"]

BREACH = "BREACH"  # an attack that got through says so in its error message
_ROOT = Path(__file__).resolve().parents[2]


class Listener:
    """TCP, UDP, a socket file and an abstract socket on this machine; `heard` is what reached it.

    Every connection counts, also one that sends nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.heard: list[str] = []
        self.unix = folder / "listener.sock"
        self.abstract = f"sidelight-test-{secrets.token_hex(4)}"
        self._sockets = [socket.create_server(("127.0.0.1", 0))]
        self.port = int(self._sockets[0].getsockname()[1])
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", self.port))
        self._sockets.append(udp)
        for address in [str(self.unix), *(["\0" + self.abstract] if _linux() else [])]:
            local = socket.socket(socket.AF_UNIX)
            local.bind(address)
            local.listen()
            self._sockets.append(local)

    def __enter__(self) -> Listener:
        for one in self._sockets:
            threading.Thread(target=self._listen, args=(one,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # closing alone does not wake who waits for it
            one.close()

    def _listen(self, one: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                if one.type == socket.SOCK_DGRAM:
                    self.heard.append(f"datagram {one.recv(100)!r}")
                    continue
                connection, _ = one.accept()
                self.heard.append(f"connection to {one.getsockname()!r}")
                connection.close()


def _linux() -> bool:
    return sys.platform == "linux"


@dataclass(eq=False)
class Scene:
    """Secrets that must not be read and files that must not change.

    Attributes
    ----------
    folder : beside the sandbox; every file in it is a canary.
    home : the folder of workspaces, with a file of somebody else in it.
    port, unix, abstract : where a listener waits.
    secret : stands in the canary, in the other workspace and in the environment.
    """

    folder: Path
    home: Path
    port: int = 9
    unix: str = ""
    abstract: str = ""
    secret: str = field(default_factory=lambda: f"secret{secrets.token_hex(8)}")
    before: dict[str, tuple[object, ...]] = field(default_factory=dict)

    @property
    def canary(self) -> Path:
        return self.folder / "canary.txt"

    @property
    def other(self) -> Path:
        """A file of another workspace."""
        return self.home / "somebody-else" / "uploaded"

    @property
    def variable(self) -> str:
        return "SIDELIGHT_TEST_SECRET"

    def set_up(self) -> None:
        """Lay out the canaries and remember how they look."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o777)  # not the mode of the folder protects it
        self.canary.write_text(self.secret)
        self.canary.chmod(0o666)
        self.other.parent.mkdir(parents=True, exist_ok=True)
        self.other.write_text(self.secret)
        os.environ[self.variable] = self.secret
        self.before = self._looks()

    def tear_down(self) -> None:
        os.environ.pop(self.variable, None)
        self.other.unlink(missing_ok=True)

    def leaks(self, text: str) -> list[str]:
        """What of the secrets stands in `text`, and attacks that say they got through."""
        return [word for word in (BREACH, self.secret, "root:x:0") if word in text]

    def changes(self) -> list[str]:
        """Watched files that are new, gone or altered since `set_up`."""
        now = self._looks()
        names = sorted(now.keys() | self.before.keys())
        return [name for name in names if now.get(name) != self.before.get(name)]

    def _looks(self) -> dict[str, tuple[object, ...]]:
        """Path → content digest and mode of every watched file."""
        return {str(path): _look(path) for path in self._watched()}

    def _watched(self) -> Iterator[Path]:
        yield from self.folder.rglob("*")
        yield from self.other.parent.glob("*")
        for folder in (_ROOT / "dashboard", _ROOT / "components", _ROOT / ".streamlit"):
            yield from (one for one in folder.rglob("*") if "__pycache__" not in one.parts)
        yield from Path(sys.prefix).glob("lib/python*/site-packages/*.pth")
        yield from Path(sys.prefix).glob("lib/python*/site-packages/*customize*")
        yield from Path.home().glob(".*rc")


def _look(path: Path) -> tuple[object, ...]:
    about = path.lstat()
    if path.is_symlink():
        return ("link", str(path.readlink()))
    if not path.is_file():
        return ("not a file", about.st_mode)
    return (hashlib.sha256(path.read_bytes()).hexdigest(), about.st_mode)


def children_of(pid: int) -> dict[int, str]:
    """Every living descendant of a process: id → command line (Linux)."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rsplit(") ", 1)[1].split()
                if fields[0] != "Z":
                    parents[int(entry.name)] = int(fields[1])
    found: dict[int, str] = {}
    for one in parents:
        line, at = [], one
        while at in parents and at != pid:
            line.append(at)
            at = parents[at]
        if at == pid and line:
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{one}/cmdline").read_bytes()
                found[one] = command.replace(b"\0", b" ").decode(errors="replace")
    return found
