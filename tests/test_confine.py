"""A worker that was confined: every way out that we could think of, in both confinements.

The attempts are in tests/escapes.py. The same attempts, as far as they are harmless, succeed
without a confinement, so that none of them fails for a reason of its own.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.sandbox.confinement import Confinement, worker_environment
from dashboard.sandbox.views import is_root
from dashboard.settings import Settings
from tests.confined import BOTH, Place, signal_of

ESCAPES = (Path(__file__).parent / "escapes.py").read_text(encoding="utf-8")
SECRET = "sidelight-secret-7"


@pytest.fixture(params=BOTH)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(tmp_path, request.param)


def _outcomes(place: Place, parent: int, attempts: str = "", early: str = "") -> dict[str, str]:
    """Try to escape from `place`, with listeners waiting outside; attempt to outcome."""
    outside = place.folder
    (outside / "canary").write_text(SECRET)
    (outside / "workspace").mkdir()
    (outside / "workspace" / "data.csv").write_text(SECRET)
    name = f"sidelight-{outside.name}-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_UNIX) as path,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        path.bind(str(outside / "unix"))
        abstract.bind(f"\0{name}")
        for each in (listener, path, abstract):
            each.listen()
            each.settimeout(0)
        context = {
            "attempts": attempts,
            "kind": str(place.kind),
            "outside": str(outside),
            "parent": parent,
            "port": listener.getsockname()[1],
            "unix": str(outside / "unix"),
            "abstract": name,
            "home": str(Path.home()),
            "project": str(Path(__file__).parent.parent),
        }
        done = place.run(ESCAPES, context, early=early)
        heard = [_accepts(each) for each in (listener, path, abstract)]
    assert "OUTCOMES" in done.stdout, done.stderr
    outcomes = json.loads(done.stdout.split("OUTCOMES", 1)[1])
    outcomes["heard"] = str(heard)
    return outcomes


def _accepts(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process of this user to be attacked in place of the test run."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_every_attempt_to_escape_is_refused(
    place: Place, bystander: subprocess.Popen[bytes]
) -> None:
    outcomes = _outcomes(place, bystander.pid)
    assert outcomes.pop("heard") == "[False, False, False]"
    assert {name: said for name, said in outcomes.items() if not said.startswith("refused")} == {}
    assert len(outcomes) >= 130
    assert bystander.poll() is None
    left = {path.name for path in place.folder.iterdir()} - {place.scratch.name}
    assert left == {"canary", "inbox", "unix", "workspace"}
    assert (place.folder / "canary").read_text() == SECRET
    assert {path.name for path in place.inbox.iterdir()} == {"code.py", "context.json"}


def test_the_harmless_attempts_succeed_without_confinement(
    tmp_path: Path, bystander: subprocess.Popen[bytes]
) -> None:
    place = Place(tmp_path, Confinement.PROCESS)
    outcomes = _outcomes(place, bystander.pid, "harmless")
    assert outcomes.pop("heard") == "[True, True, True]"
    assert {name: said for name, said in outcomes.items() if not said.startswith("done")} == {}
    assert len(outcomes) >= 55


FILES = """
    read_passwd read_another_workspace list_another_workspace read_by_a_link read_by_dots
    read_by_root_of_proc read_by_working_directory list_the_temporary_folder_of_all read_the_tests
    environment_of_the_parent files_of_the_parent memory_of_the_parent write_outside
    write_the_canary append_to_the_canary write_the_model write_into_the_inbox
    make_a_folder_outside make_a_link_outside make_a_pipe_outside write_to_root write_to_usr
    write_to_the_interpreter write_beside_the_libraries write_to_this_package empty_the_canary
    write_to_shared_memory hard_link_into_scratch rename_into_scratch remove_the_model
    abstract_socket connect_to_the_listener
"""
# With the other locks left open, and the user who owns what lies outside: what each holds by
# itself.
OPEN = "lambda *ignored: None"
ALONE = {
    "namespaces": (
        Confinement.BUBBLEWRAP,
        ("install_program", "restrict_files", "become"),
        FILES + "signal_to_a_thread_of_the_parent unix_socket mount",
    ),
    "Landlock": (
        Confinement.LANDLOCK,
        ("install_program", "become"),
        FILES + "signal_to_the_parent signal_to_a_thread_of_the_parent run_a_program",
    ),
    "Landlock within namespaces": (
        Confinement.BUBBLEWRAP,
        ("install_program", "become"),
        "run_a_program spawn_a_program write_to_own_memory",
    ),
}


@pytest.mark.parametrize("lock", ALONE)
def test_each_lock_holds_by_itself(
    lock: str, tmp_path: Path, bystander: subprocess.Popen[bytes]
) -> None:
    kind, open_locks, attempts = ALONE[lock]
    early = "import dashboard.worker.confine as module"
    early += "".join(f"; module.{name} = {OPEN}" for name in open_locks)
    outcomes = _outcomes(Place(tmp_path, kind), bystander.pid, attempts, early)
    assert outcomes.pop("heard") == "[False, False, False]"
    assert {name: said for name, said in outcomes.items() if not said.startswith("refused")} == {}
    assert set(outcomes) == set(attempts.split())
    assert (tmp_path / "canary").read_text() == SECRET


def test_nothing_of_our_environment_and_files_is_handed_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIDELIGHT_SECRET", SECRET)
    kept = os.open(__file__, os.O_RDONLY)
    os.set_inheritable(kept, True)
    done = place.run(
        "import json, os\n"
        "print(json.dumps([dict(os.environ), open('/proc/self/environ').read(),"
        " sorted(os.listdir('/proc/self/fd')), os.getcwd(), os.listdir('.')]))"
    )
    os.close(kept)
    environment, initial, descriptors, folder, files = json.loads(done.stdout)
    own = {"HOME", "TMPDIR", "XDG_CACHE_HOME", "KERAS_HOME", "MPLCONFIGDIR", "PWD", "LC_CTYPE"}
    own |= {"NUMBA_CACHE_DIR", "JOBLIB_TEMP_FOLDER"}
    assert set(environment) - own == set(worker_environment(place.settings))
    assert SECRET not in done.stdout and "PATH=" not in initial
    assert descriptors == ["0", "1", "2", "3"]  # the last one lists the others
    assert folder == environment["HOME"]
    assert set(files) <= {*Path(__file__).parts, *Path(sys.prefix).parts}  # when they lie in /tmp


def test_the_numbers_of_other_processes_are_not_told(place: Place) -> None:
    done = place.run("import os\nprint(os.getpid(), os.path.exists('/proc/1/exe'))")
    own = int(done.stdout.split()[0])
    assert (own < 10) is (place.kind is Confinement.BUBBLEWRAP)


def test_threads_are_confined_too(place: Place) -> None:
    done = place.run(
        """
import threading
said = []
def look():
    try:
        said.append(open('/etc/passwd').read())
    except OSError as error:
        said.append(type(error).__name__)
threads = [threading.Thread(target=look) for _ in range(20)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(sorted(set(said)))
"""
    )
    expected = {"bubblewrap": "['FileNotFoundError']", "landlock": "['PermissionError']"}
    assert done.stdout.strip() == expected[place.kind]


def test_a_thread_from_before_is_no_way_round(place: Place) -> None:
    early = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"
    done = place.run("print('opened')", early=early)
    assert "opened" not in done.stdout
    assert "threads were started before the confinement" in done.stderr


def test_confinement_cannot_be_undone_by_a_second_one(place: Place) -> None:
    code = """
import dataclasses
from dashboard.worker.confine import confine
try:
    confine(dataclasses.replace(orders, folders=("/",), memory=1 << 40))
except (OSError, ValueError):
    print("refused")
try:
    open("/etc/passwd")
except OSError:
    print("refused")
"""
    assert place.run(code).stdout.split() == ["refused", "refused"]


def test_without_privileges(place: Place) -> None:
    status = place.run("print(open('/proc/self/status').read())").stdout
    told = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    sets = {name: int(told[f"Cap{name}"], 16) for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")}
    # What once was root keeps the right to read where only root can enter: nothing else.
    reading = 1 << 2 if is_root() else 0
    assert {sets["Prm"], sets["Eff"]} == {reading}
    assert {sets["Inh"], sets["Amb"]} == {0}
    assert not is_root() or sets["Bnd"] == 0
    assert "0" not in told["Uid"].split() + told["Gid"].split()
    assert not is_root() or told["Groups"].split() == []
    assert told["NoNewPrivs"].strip() == "1"
    assert told["Seccomp"].strip() == "2"


# --- limits --------------------------------------------------------------------------------------

SMALL = Settings(worker_memory_mb=256, worker_file_mb=4, worker_cpu_seconds=1)


@pytest.fixture(params=BOTH)
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(tmp_path, request.param, SMALL, mapped_mb=64)


MEMORY = {
    "bytes": "kept.append(b'x' * (1 << 20))",
    "reserved": "kept.append(mmap.mmap(-1, 1 << 20, mmap.MAP_PRIVATE))",
    "private file": "kept.append(mmap.mmap(f, 1 << 20, mmap.MAP_PRIVATE, mmap.PROT_WRITE))",
}


@pytest.mark.parametrize("way", MEMORY)
def test_memory_without_end(small: Place, way: str) -> None:
    code = f"""
import mmap, os
kept = []
f = os.open("file", os.O_RDWR | os.O_CREAT)
os.ftruncate(f, 1 << 20)
try:
    while True:
        {MEMORY[way]}
except (MemoryError, OSError) as error:
    number = len(kept)
    del kept
    print(type(error).__name__, number)
"""
    error, number = small.run(code).stdout.split()
    assert error in ("MemoryError", "OSError")
    assert 100 < int(number) < 256


def test_memory_that_is_made_unwritable_counts(small: Place) -> None:
    """Pages that were written and then closed leave the kernel's count of data, not of all."""
    code = """
import ctypes, mmap
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_long)
libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
number, size = 0, 64 << 20
while True:
    found = libc.mmap(None, size, 3, 0x22, -1, 0)
    if found == ctypes.c_void_p(-1).value:
        break
    assert libc.mprotect(found, size, 1) == 0
    number += 1
print(number * 64)
"""
    assert 1024 < int(small.run(code).stdout) < 256 + 2048 + 64


def test_read_only_files_do_not_count_as_memory(small: Place) -> None:
    (small.folder / "inbox").mkdir()
    with (small.inbox / "rows").open("wb") as stream:
        stream.truncate(1 << 30)
    code = """
import mmap, os
f = os.open(orders.inbox + "/rows", os.O_RDONLY)
seen = mmap.mmap(f, 0, mmap.MAP_SHARED, mmap.PROT_READ)
print(len(seen), seen[1 << 29])
"""
    assert small.run(code).stdout.split() == [str(1 << 30), "0"]


def test_computing_without_end(small: Place) -> None:
    done = small.run("while True: pass")
    assert signal_of(done.returncode) == signal.SIGXCPU


def test_computing_without_end_and_deaf_to_signals(tmp_path: Path) -> None:
    place = Place(tmp_path, Confinement.LANDLOCK, SMALL)
    done = place.run(
        "import signal\n"
        "for one in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:\n"
        "    signal.signal(one, signal.SIG_IGN)\n"
        "while True: pass"
    )
    assert signal_of(done.returncode) == signal.SIGKILL


def test_threads_without_end(small: Place) -> None:
    code = """
import _thread, os
_thread.stack_size(32 << 10)
wait, number = _thread.allocate_lock(), 0
wait.acquire()
try:
    while True:
        _thread.start_new_thread(wait.acquire, ())
        number += 1
except RuntimeError:
    print(number, flush=True)
os._exit(0)
"""
    assert 100 < int(small.run(code).stdout) < (512 if is_root() else 4_000)


@pytest.mark.parametrize(
    ("code", "number"),
    [
        ("import os; os.abort()", signal.SIGABRT),
        ("import ctypes; ctypes.string_at(0)", signal.SIGSEGV),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", signal.SIGKILL),
    ],
)
def test_how_it_ended_is_seen_from_outside(small: Place, code: str, number: int) -> None:
    assert signal_of(small.run(code).returncode) == number


def test_leaving_with_a_number(small: Place) -> None:
    assert small.run("import os; os._exit(42)").returncode == 42


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="machine code of x86-64")
@pytest.mark.parametrize(
    ("code", "way"),
    [
        ("b8 14 00 00 00 cd 80 c3", "as a 32-bit program"),  # getpid by int 0x80
        ("b8 27 00 00 40 0f 05 c3", "as an x32 program"),  # getpid with the x32 bit
    ],
)
def test_calls_of_another_convention_end_it(small: Place, code: str, way: str) -> None:
    done = small.run(
        "import ctypes, mmap\n"
        "page = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE | 4)\n"
        f"page.write(bytes.fromhex('{code}'))\n"
        "at = ctypes.addressof(ctypes.c_char.from_buffer(page))\n"
        "print(ctypes.CFUNCTYPE(ctypes.c_int)(at)())"
    )
    assert (done.stdout, signal_of(done.returncode)) == ("", signal.SIGSYS), way


def test_the_folder_under_bubblewrap_holds_no_more_than_allowed(tmp_path: Path) -> None:
    code = """
kept = 0
try:
    while True:
        with open(f"file-{kept}", "wb") as stream:
            stream.write(b"x" * (1 << 20))
        kept += 1
except OSError as error:
    print(kept, error.strerror)
"""
    done = Place(tmp_path, Confinement.BUBBLEWRAP, SMALL).run(code)
    assert done.stdout.strip() == "4 No space left on device"


def test_one_file_is_no_larger_than_allowed(small: Place) -> None:
    code = """
try:
    with open("file", "wb") as stream:
        while True:
            stream.write(b"x" * (1 << 16))
except OSError as error:
    print(error.strerror)
"""
    assert small.run(code).stdout.strip() in ("File too large", "No space left on device")


def test_it_dies_with_its_parent(place: Place) -> None:
    command = place.command("import time\nprint('ready', flush=True)\ntime.sleep(120)")
    # Worker and parent share the pipe: it ends when both have ended.
    command = [part.replace(f'"parent":{os.getpid()}', '"parent":PARENT') for part in command]
    parent = (
        "import json, os, subprocess, sys\n"
        "command = json.loads(sys.argv[1].replace('PARENT', str(os.getpid())))\n"
        "subprocess.run(command, env=json.loads(sys.argv[2]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent, json.dumps(command), json.dumps(worker_environment())],
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.kill()
        began = time.monotonic()
        assert process.stdout.read() == b""
        assert time.monotonic() - began < 30


def test_it_does_not_begin_when_its_parent_has_gone(tmp_path: Path) -> None:
    place = Place(tmp_path, Confinement.LANDLOCK)
    command = place.command("print('began')")
    command = [part.replace(f'"parent":{os.getpid()}', '"parent":1') for part in command]
    done = subprocess.run(command, env=worker_environment(), capture_output=True, text=True)
    assert "began" not in done.stdout
    assert "the parent ended before the worker began" in done.stderr
