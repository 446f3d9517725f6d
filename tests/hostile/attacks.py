"""Python that a hostile file runs, as text. Each raises BREACH when it got what it wanted.

`ATTACKS` maps a name to the code; `prelude(scene)` defines what the code uses. The same code is
run once without any sandbox (tests/test_hostile.py), to see that it would bite.
"""

from __future__ import annotations

from textwrap import dedent

from .scene import BREACH, Scene

__all__ = ["ATTACKS", "FORGERIES", "PREDICTORS", "SWELLING", "THROUGH_THE_PIPE", "prelude"]


def prelude(scene: Scene) -> str:
    """The names that attacks use: where the canary lies, who listens, how success is told."""
    return dedent(f"""\
        import os, sys, glob, time, struct, json
        CANARY, OTHER, FOLDER = {str(scene.canary)!r}, {str(scene.other)!r}, {str(scene.folder)!r}
        PORT, UNIX, ABSTRACT = {scene.port}, {scene.unix!r}, {scene.abstract!r}
        VARIABLE = {scene.variable!r}
        def breach(what):
            raise RuntimeError({BREACH!r} + " " + str(what)[:300])
        def pipes():
            "Every open file of this process that is no terminal and no folder, but the first three"
            found = []
            for fd in range(3, 256):
                try:
                    os.fstat(fd)
                except OSError:
                    continue
                found.append(fd)
            return found
        """)


# Tried while the file is opened. Each is refused by the sandbox, or raises BREACH.
ATTACKS: dict[str, str] = {
    "runs a command": """
        if os.system("touch " + CANARY + ".command") == 0:
            breach("a shell ran")
        raise OSError("no shell")
    """,
    "starts a program": """
        import subprocess
        subprocess.run([sys.executable, "-c", "open(%r, 'w')" % (CANARY + ".program")], check=True)
        breach("a program ran")
    """,
    "becomes a program": """
        os.execv("/bin/sh", ["sh", "-c", "echo > " + CANARY + ".exec"])
    """,
    "opens a TCP socket": """
        import socket
        socket.create_connection(("127.0.0.1", PORT), timeout=2).sendall(b"hello")
        breach("connected")
    """,
    "sends a datagram": """
        import socket
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"hello", ("127.0.0.1", PORT))
        breach("sent")
    """,
    "opens a socket file": """
        import socket
        one = socket.socket(socket.AF_UNIX)
        one.connect(UNIX)
        breach("connected")
    """,
    "opens an abstract socket": """
        import socket
        one = socket.socket(socket.AF_UNIX)
        one.connect("\\0" + ABSTRACT)
        breach("connected")
    """,
    "reads the password file": """
        breach(open("/etc/passwd").read())
    """,
    "reads another workspace": """
        breach(open(OTHER).read())
    """,
    "lists the folder of workspaces": """
        breach(os.listdir(os.path.dirname(OTHER)))
    """,
    "writes outside": """
        open(CANARY, "a").write("changed")
        breach("written")
    """,
    "writes beside the program": """
        import dashboard
        path = os.path.dirname(dashboard.__file__) + "/hostile_test.py"
        open(path, "w").write("")
        os.unlink(path)
        breach("written")
    """,
    "writes into the interpreter": """
        import sysconfig
        path = sysconfig.get_paths()["purelib"] + "/hostile_test.pth"
        open(path, "w").write("")
        os.unlink(path)
        breach("written")
    """,
    "renames and removes outside": """
        os.rename(CANARY, CANARY + ".moved")
        os.rename(CANARY + ".moved", CANARY)
        breach("renamed")
    """,
    "makes links to outside": """
        import tempfile
        link = tempfile.mkdtemp() + "/link"
        os.symlink(CANARY, link)
        breach(open(link).read())
    """,
    "changes the file that others open too": """
        import shutil, tempfile
        orders = [one for one in open("/proc/self/cmdline").read().split("\\0") if "inbox" in one]
        inbox = json.loads(orders[0])["inbox"]
        found = glob.glob(inbox + "/*") + glob.glob(inbox + "/*/*")
        problems = []
        for path in found:
            own = tempfile.mktemp()
            for attempt in (
                lambda: open(path, "r+b").write(b"changed"),
                lambda: os.chmod(path, 0o777),
                lambda: (os.link(path, own), open(own, "r+b").write(b"changed")),
                lambda: (os.rename(path, own), open(own, "r+b").write(b"changed")),
                lambda: open("/proc/self/fd/%d" % os.open(path, os.O_RDONLY), "r+b"),
                lambda: os.truncate(path, 0),
                lambda: os.utime(path, (0, 0)),
                lambda: os.unlink(path),
            ):
                try:
                    attempt()
                except OSError as error:
                    problems.append(error)
                else:
                    breach(path)
        raise problems[-1]
    """,
    "looks into the inboxes of others": """
        orders = [one for one in open("/proc/self/cmdline").read().split("\\0") if "inbox" in one]
        inbox = json.loads(orders[0])["inbox"]
        others = os.listdir(os.path.dirname(inbox.rstrip("/")))
        breach(others) if inbox != "/inbox" else None
        raise OSError("nobody there")
    """,
    "reads the environment": """
        found = [VARIABLE] if VARIABLE in os.environ else []
        found += [name for name in os.environ if name.startswith(("AWS_", "SIDELIGHT_"))]
        if found or b"SECRET" in open("/proc/self/environ", "rb").read():
            breach(found)
        raise OSError("nothing there")
    """,
    "reads the environment of others": """
        for path in glob.glob("/proc/[0-9]*/environ"):
            try:
                content = open(path, "rb").read()
            except OSError:
                continue
            if VARIABLE.encode() in content:
                breach(content)
        raise OSError("nothing there")
    """,
    "looks at other processes": """
        mine = {str(os.getpid()), str(os.getppid())}
        seen = []
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                if path.split("/")[2] not in mine and open(path, "rb").read():
                    seen.append(path)
            except OSError:
                pass
        if seen:
            breach(seen)
        raise OSError("nobody there")
    """,
    "kills its parent": """
        import signal
        parent = os.getppid()
        if parent > 1:
            os.kill(parent, signal.SIGKILL)
            breach("killed")
        raise OSError("no parent to be seen")
    """,
    "kills everybody": """
        import signal
        os.kill(-1, signal.SIGKILL)
        raise OSError("nobody died")
    """,
    "traces its parent": """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        if os.getppid() > 1 and libc.ptrace(16, os.getppid(), 0, 0) == 0:
            breach("attached")
        raise OSError(ctypes.get_errno(), "ptrace")
    """,
    "enters namespaces of its own": """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(0x10000000 | 0x00020000) == 0:
            breach("unshared")
        raise OSError(ctypes.get_errno(), "unshare")
    """,
    "mounts": """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0:
            libc.umount2(b"/tmp", 2)
            breach("mounted")
        raise OSError(ctypes.get_errno(), "mount")
    """,
    "leaves by chroot": """
        os.chroot("/tmp")
        os.chdir("/")
        for _ in range(20):
            os.chdir("..")
        breach("chrooted")
    """,
    "exits": """
        os._exit(0)
    """,
    "raises SystemExit": """
        sys.exit(3)
    """,
    "segfaults": """
        import ctypes
        ctypes.string_at(0)
    """,
    "aborts": """
        os.abort()
    """,
    "stops itself": """
        import signal
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(1e6)
    """,
    "says HTML in its error": """
        raise ValueError("<script>alert(1)</script> [link](http://example.com) " + "x" * 100_000)
    """,
    "raises what is no error": """
        class Odd(BaseException):
            def __str__(self):
                raise ValueError("no text either")
            __repr__ = __str__
        raise Odd()
    """,
}

# Without end in time or in size: tried without a sandbox by nobody.
SWELLING: dict[str, str] = {
    "forks without end": """
        children = 0
        while True:
            try:
                child = os.fork()
            except OSError:
                break
            if child:
                children += 1
            else:
                time.sleep(30)
                os._exit(0)
        if children:
            breach("%d children" % children)
        raise OSError("no children")
    """,
    "starts threads without end": """
        import threading
        started = 0
        try:
            while True:
                threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
                started += 1
                if started > 100_000:
                    breach("threads without limit")
        except RuntimeError as error:
            if "BREACH" in str(error):
                raise
        raise MemoryError("%d threads" % started)
    """,
    "allocates without end": """
        kept = []
        while True:
            kept.append(bytearray(b"x") * (64 << 20))
    """,
    "maps memory without end": """
        import mmap
        kept = []
        while True:
            one = mmap.mmap(-1, 256 << 20)
            one.write(b"x" * (256 << 20))
            kept.append(one)
    """,
    "loops without end": """
        while True:
            pass
    """,
    "loops without end in C": """
        sum(iter(int, 1))
    """,
    "sleeps and ignores signals": """
        import signal
        for one in range(1, 32):
            try:
                signal.signal(one, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        while True:
            time.sleep(1e6)
    """,
    "prints 10 GB": """
        line = "z" * (1 << 20)
        for _ in range(10 << 10):
            print(line)
        raise ValueError("printed")
    """,
    "prints 10 GB of errors": """
        line = "z" * (1 << 20)
        for _ in range(10 << 10):
            sys.stderr.write(line)
        raise ValueError("printed")
    """,
    "fills the disk": """
        import tempfile
        folder = tempfile.mkdtemp()
        written = 0
        for number in range(4000):
            with open(folder + "/%d" % number, "wb") as file:
                for _ in range(5):
                    file.write(b"x" * (1 << 20))
                    written += 1
        breach("%d MB written" % written)
    """,
}

# Bytes on every open file of the worker, so also on the pipe to the app.
THROUGH_THE_PIPE: dict[str, str] = {
    "sends noise": """
        for fd in pipes():
            try:
                os.write(fd, os.urandom(4096))
            except OSError:
                pass
    """,
    "sends huge lengths": """
        for fd in pipes():
            for length in (b"\\xff" * 16, b"\\x7f" + b"\\xff" * 15, struct.pack("<QQ", 1 << 40, 1)):
                try:
                    os.write(fd, length)
                except OSError:
                    pass
    """,
    "sends text without end": """
        block = b"{" * (1 << 16)
        for _ in range(1 << 17):
            for fd in pipes():
                try:
                    os.write(fd, block)
                except OSError:
                    pass
    """,
    "sends a pickle": """
        import pickle
        class Evil:
            def __reduce__(self):
                return (open, (CANARY + ".pickle", "w"))
        content = pickle.dumps(Evil())
        for fd in pipes():
            for frame in (content, struct.pack("<I", len(content)) + content,
                          struct.pack(">I", len(content)) + content,
                          struct.pack("<Q", len(content)) + content):
                try:
                    os.write(fd, frame)
                except OSError:
                    pass
    """,
    "closes every file": """
        for fd in range(256):
            try:
                os.close(fd)
            except OSError:
                pass
        while True:
            time.sleep(0.1)
    """,
}

# Bodies of `predict(self, X)`: the file opens as a decent model and bites when it is asked.
PREDICTORS: dict[str, str] = {
    "answers with objects": """
        class Evil:
            def __reduce__(self):
                return (open, (CANARY + ".object", "w"))
        return np.array([Evil() for _ in range(len(X))], dtype=object)
    """,
    "answers with too few rows": """
        return np.zeros(3)
    """,
    "answers with too many rows": """
        return np.zeros(10_000_000)
    """,
    "answers with nothing": """
        return None
    """,
    "answers with text of 100 MB": """
        return np.array(["x" * 100_000_000] + ["no"] * (len(X) - 1), dtype=object)
    """,
    "answers with markup": """
        return np.array(["<img src=x onerror=alert(1)>"] * len(X), dtype=object)
    """,
    "answers with seven axes": """
        return np.zeros((len(X), 1, 2, 1, 2, 1, 2))
    """,
    "answers with a class of arrays that lies": """
        class Liar(np.ndarray):
            @property
            def shape(self):
                return (len(X), 10**9)
            def tobytes(self, *a, **k):
                return b"x"
            def __len__(self):
                return 10**9
        return np.zeros(len(X)).view(Liar)
    """,
    "predicts without end": """
        while True:
            pass
    """,
    "dies when asked": """
        os._exit(11)
    """,
    "swells when asked": """
        kept = []
        while True:
            kept.append(bytearray(b"x") * (64 << 20))
    """,
    "reads the canary when asked": """
        breach(open(CANARY).read())
    """,
    "sends a socket when asked": """
        import socket
        socket.create_connection(("127.0.0.1", PORT), timeout=2)
        breach("connected")
    """,
    "sends noise when asked": """
        for fd in pipes():
            try:
                os.write(fd, os.urandom(4096))
            except OSError:
                pass
        return np.zeros(len(X))
    """,
}

# The file opens as a decent model and takes over the worker: what it sends is made by hand.
# `say(info=…)` changes the description of the model, `answer(body, arrays)` the predictions.
FORGERIES: dict[str, str] = {
    "forges markup in its description": """
        text = "<script>window.hostile=1</script> [x](javascript:alert(1)) **b** $x$ :red[r] "
        say(kind=text * 20, format="<b>", notes=[text * 20] * 50, feature_names=list("abcd"))
    """,
    "forges long names": """
        say(feature_names=["<b>" + "x" * 200 + str(at) for at in range(20_000)], classes=None)
    """,
    "forges sizes": """
        say(n_features=2**47, input_shape=[2**47] * 16, feature_names=None)
    """,
    "forges classes": """
        say(classes=[["Decimal", "1E+999999"], 10**4000, ["nan"], ["inf"], True, None, "", "no",
                     ["dict", [["a", 1]]], ["list", []], ["bytes", "00"], -0.0, 1e308])
    """,
    "forges many classes": """
        say(classes=["class %d" % at for at in range(90_000)])
    """,
    "answers with numbers of 4,000 digits": """
        answer({"labels": {"at": 0, "values": [10**4000, -(10**4000)]}}, [np.arange(60) % 2])
    """,
    "answers with decimals without end": """
        values = [["Decimal", "1E+999999999"], ["Decimal", "sNaN"]]
        answer({"labels": {"at": 0, "values": values}}, [np.arange(60) % 2])
    """,
    "answers with what is no label": """
        values = [["list", [1]], ["dict", [["a", 1]]], ["timedelta", 1e18], ["nan"], ["NaT"]]
        answer({"labels": {"at": 0, "values": values}}, [np.arange(60) % 5])
    """,
    "answers with labels that are not there": """
        answer({"labels": {"at": 0, "values": ["no"]}}, [np.arange(60) - 30])
    """,
    "answers with scores beyond all bounds": """
        scores = np.array([[np.inf, -np.inf], [np.nan, 1e308], [-1e308, 1e308]] * 20)
        answer({"scores": {"at": 0}, "classes": ["yes", "no"], "score_kind": "probability"},
               [scores])
    """,
    "answers with scores of strange classes": """
        classes = ["yes", "yes", ["nan"], ["list", ["no"]]]
        answer({"scores": {"at": 0}, "classes": classes, "score_kind": "probability"},
               [np.ones((60, 4)) / 4])
    """,
    "answers with a dict of strange names": """
        parts = [{"at": 0}] * 3
        answer({"scores": {"dict": ["yes", 1, "<b>no</b>"], "parts": parts}}, [np.ones(60)])
    """,
    "answers with ten thousand parts": """
        parts = [{"at": 0}] * 10_000
        answer({"scores": {"list": 1, "parts": parts}, "classes": ["yes", "no"]},
               [np.ones((60, 2))])
    """,
    "answers with halves and tiny whole numbers": """
        answer({"labels": {"at": 0}, "scores": {"at": 1}},
               [np.full(60, -128, "i1"), np.full((60, 2), 6e4, "f2")])
    """,
    "answers with the number of another question": """
        import dashboard.worker.serving as serving
        tell = serving._Line.answer
        serving._Line.answer = lambda line, number, *rest: tell(line, number + 1, *rest)
    """,
    "answers with an error of a page": """
        text = "<script>window.hostile=1</script>\\n\\n# Big\\n![x](http://x.invalid/y.png)"
        answer({}, [], error={"error": "NotApplicable", "message": text * 30})
    """,
    "floods with progress": """
        import dashboard.worker.serving as serving
        old = serving.OPERATIONS["predict"]
        def predict(desk, call):
            cells = [one.cell_contents for one in call.progress.__closure__]
            line = next(one for one in cells if hasattr(one, "tell"))
            number = next(one for one in cells if isinstance(one, int))
            for at in range(300):
                line._told = 0.0
                line.tell(number, at, 10**18, "<b>" + "[[],[]]" * 100_000)
            return old(desk, call)
        serving.OPERATIONS["predict"] = predict
    """,
}

for _table in (ATTACKS, SWELLING, THROUGH_THE_PIPE, PREDICTORS, FORGERIES):
    for _name in _table:
        _table[_name] = dedent(_table[_name]).strip("\n") + "\n"
