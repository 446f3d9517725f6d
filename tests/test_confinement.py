"""Which confinement is found, how it is told, what a worker is started with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.sandbox import confinement as confinements
from dashboard.sandbox.confinement import (
    Confinement,
    describe_confinement,
    find_confinement,
    scratch_folder,
    worker_command,
    worker_environment,
)
from dashboard.sandbox.orders import Orders
from dashboard.sandbox.views import exposed_folders, is_root, readable_folders
from dashboard.settings import Settings
from tests.confined import BOTH, Place

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """What one test found is nothing to the next."""
    confinements._FOUND.clear()
    yield
    confinements._FOUND.clear()


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ("auto", Confinement.BUBBLEWRAP),
        ("bubblewrap", Confinement.BUBBLEWRAP),
        ("landlock", Confinement.LANDLOCK),
        ("none", Confinement.PROCESS),
    ],
)
def test_what_is_asked_for_is_found(setting: str, found: Confinement) -> None:
    assert find_confinement(Settings(sandbox=setting)) is found


def test_without_bubblewrap_it_is_landlock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_confinement(Settings()) is Confinement.LANDLOCK
    assert find_confinement(Settings(sandbox="bubblewrap")) is Confinement.PROCESS
    said = describe_confinement(Confinement.PROCESS, Settings(sandbox="bubblewrap"))
    assert "bubblewrap is not installed" in said
    assert "files that carry code are refused" in said


def test_a_bubblewrap_that_confines_nothing_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried, not looked up: this one runs the command as it is."""
    fake = tmp_path / "bwrap"
    fake.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_confinement(Settings(sandbox="bubblewrap")) is Confinement.PROCESS
    assert "bubblewrap: " in describe_confinement(
        Confinement.PROCESS, Settings(sandbox="bubblewrap")
    )


def test_a_bubblewrap_that_is_not_allowed_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_confinement(Settings()) is Confinement.LANDLOCK
    said = describe_confinement(Confinement.PROCESS, Settings(sandbox="bubblewrap"))
    assert "bubblewrap: bwrap: No permissions to create new namespace" in said


def test_it_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text(f"#!/bin/sh\necho . >> {tmp_path}/calls\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for _ in range(3):
        find_confinement(Settings(sandbox="bubblewrap"))
    assert (tmp_path / "calls").read_text() == ".\n"


def test_what_failed_is_tried_again_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe may fail because the machine was busy for a while."""
    settings = Settings(sandbox="bubblewrap")
    real = shutil.which("bwrap")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_confinement(settings) is Confinement.PROCESS
    (tmp_path / "bwrap").symlink_to(str(real))
    assert find_confinement(settings) is Confinement.PROCESS  # not at every question
    monkeypatch.setattr(confinements, "RETRY_SECONDS", -1)
    confinements._FOUND.clear()
    (tmp_path / "bwrap").unlink()
    assert find_confinement(settings) is Confinement.PROCESS
    (tmp_path / "bwrap").symlink_to(str(real))
    assert find_confinement(settings) is Confinement.BUBBLEWRAP
    (tmp_path / "bwrap").unlink()
    assert find_confinement(settings) is Confinement.BUBBLEWRAP  # what worked is remembered
    assert "is not confined" in describe_confinement(Confinement.PROCESS, Settings(sandbox="none"))


@pytest.mark.parametrize("kind", BOTH)
def test_a_worker_leaves_the_processor_to_the_app(kind: Confinement, tmp_path: Path) -> None:
    done = Place(tmp_path, kind).run(
        "print(open('/proc/self/stat').read().rpartition(')')[2].split()[16])"
    )
    assert done.stdout.split() == [str(min(19, os.nice(0) + 10))], done.stderr


def test_a_probe_leaves_the_app_its_priority() -> None:
    group = Path("/proc/self/autogroup")
    before = group.read_text() if group.exists() else ""
    for kind in BOTH:
        assert find_confinement(Settings(sandbox=str(kind))) is kind
    assert (group.read_text() if group.exists() else "") == before


@pytest.mark.parametrize("kind", list(Confinement))
def test_people_are_told_in_one_sentence(kind: Confinement) -> None:
    said = describe_confinement(kind, Settings(sandbox="none"))
    assert said.startswith("Models open in a process of their own")
    assert said.endswith(".") and ". " not in said
    trusted = describe_confinement(kind, Settings(sandbox="none", trust="all"))
    assert ("opened all the same" in trusted) is (kind is Confinement.PROCESS)


# --- what a worker is started with ---------------------------------------------------------------


def _orders(command: list[str]) -> Orders:
    return Orders.from_json(next(part for part in command if part.startswith('{"kind"')))


@pytest.mark.parametrize("kind", list(Confinement))
def test_the_command_states_what_the_settings_say(kind: Confinement, tmp_path: Path) -> None:
    settings = Settings(worker_memory_mb=100, worker_file_mb=7, worker_cpu_seconds=9)
    command = worker_command(kind, tmp_path / "inbox", (5, 6), settings, mapped_mb=50)
    orders = _orders(command)
    assert (orders.kind, orders.fds, orders.cpu_seconds) == (kind.value, (5, 6), 9)
    assert (orders.memory, orders.file) == (100 << 20, 7 << 20)
    assert (100 + 50) << 20 < orders.address_space < 4096 << 20
    assert orders == Orders.from_json(orders.to_json())
    if kind is Confinement.BUBBLEWRAP:
        assert (orders.inbox, orders.scratch, orders.parent) == ("/inbox", "/tmp", 0)
        assert Path(command[0]).name == "bwrap"
    else:
        assert orders.inbox == str(tmp_path / "inbox")
        assert orders.scratch == str(scratch_folder(tmp_path / "inbox"))
        assert (orders.parent, command[0]) == (os.getpid(), sys.executable)


def test_bubblewrap_shows_nothing_of_the_host_but_libraries(tmp_path: Path) -> None:
    command = worker_command(Confinement.BUBBLEWRAP, tmp_path, (), Settings())
    flags = command[: command.index("--")]
    for flag in ("pid", "net", "ipc", "uts"):
        assert f"--unshare-{flag}" in flags
    # Root needs no users of its own to make the others; its worker becomes somebody else.
    assert ("--unshare-user" in flags) is not is_root()
    assert (_orders(command).user > 1_000_000) is is_root()
    for flag in ("--die-with-parent", "--new-session", "--cap-drop"):
        assert flag in flags
    shown = {
        flags[at + 1] for at, flag in enumerate(flags) if flag in ("--ro-bind", "--ro-bind-try")
    }
    assert "/etc/passwd" not in shown and "/etc" not in shown and "/" not in shown
    assert "--bind" not in flags
    assert str(ROOT) not in shown and str(ROOT / "dashboard") in shown


def test_the_environment_is_made_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    given = worker_environment(Settings(threads=3))
    assert given["OMP_NUM_THREADS"] == given["LOKY_MAX_CPU_COUNT"] == "3"
    assert not {"AWS_SECRET_ACCESS_KEY", "PATH", "HOME", "SIDELIGHT_HOME"} & set(given)


def test_only_what_python_needs_is_readable() -> None:
    folders = readable_folders()
    assert ROOT / "dashboard" in folders
    for private in (Path.home(), Path("/"), Path("/etc"), ROOT, Path(tempfile.gettempdir())):
        assert not any(private.is_relative_to(folder) for folder in folders), private
    assert not any(a != b and a.is_relative_to(b) for a in folders for b in folders)


@pytest.fixture
def within() -> Iterator[Path]:
    """A folder among the libraries, as somebody's home may lie there."""
    folder = Path(tempfile.mkdtemp(dir=Path(sys.prefix, "lib"), prefix="sidelight-test-"))
    (folder / "secret").write_text("secret")
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("which", ["home", "data_dir"])
def test_workspaces_among_the_libraries_are_covered(
    within: Path, which: str, tmp_path: Path
) -> None:
    settings = Settings(**{"home": str(tmp_path), which: str(within)})
    assert exposed_folders(settings, Path(settings.home), readable_folders()) == [within]
    code = f"import os\nprint(os.listdir({str(within)!r}))"
    assert Place(tmp_path, Confinement.BUBBLEWRAP, settings).run(code).stdout == "[]\n"
    assert find_confinement(settings) is Confinement.BUBBLEWRAP
    only = Settings(**{"home": str(tmp_path), which: str(within), "sandbox": "landlock"})
    assert find_confinement(only) is Confinement.PROCESS
    assert "lies within that of the libraries" in describe_confinement(Confinement.PROCESS, only)


def test_an_inbox_among_the_hidden_is_seen_all_the_same(within: Path) -> None:
    """Run folders lie in the home, and the home may be covered."""
    place = Place(within, Confinement.BUBBLEWRAP, Settings(home=str(within)))
    assert place.run("print(open(orders.inbox + '/context.json').read())", 7).stdout == "7\n"


@pytest.mark.parametrize("kind", BOTH)
def test_files_that_come_later_are_seen_and_never_written(
    kind: Confinement, tmp_path: Path
) -> None:
    place = Place(tmp_path, kind)
    (tmp_path / "rows").write_text("rows")
    code = """
import sys
print("ready", flush=True)
sys.stdin.readline()
print(open(orders.inbox + "/rows").read())
try:
    open(orders.inbox + "/rows", "a")
except OSError:
    print("read-only")
"""
    with subprocess.Popen(
        place.command(code),
        env=worker_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
        (place.inbox / "rows").hardlink_to(tmp_path / "rows")
        said, _ = worker.communicate("go\n", timeout=60)
    assert said.split() == ["rows", "read-only"]


# --- libraries -----------------------------------------------------------------------------------

LIBRARIES = """
import os, sys, warnings
warnings.simplefilter("ignore")
from dashboard.worker.threads_only import replace_pools
replace_pools()
import numpy as np
X = np.random.default_rng(0).normal(size=(300, 4)).astype("float32")
y = (X[:, 0] > 0).astype(int)

def scikit_learn():
    import skops.io
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from threadpoolctl import threadpool_info
    forest = RandomForestClassifier(10, n_jobs=-1).fit(X, y)
    HistGradientBoostingClassifier(max_iter=5).fit(X, y).predict(X)
    written = skops.io.dumps(forest)
    read = skops.io.loads(written, trusted=skops.io.get_untrusted_types(data=written))
    assert (read.predict(X) == forest.predict(X)).all()
    assert {each["num_threads"] for each in threadpool_info()} == {2}, threadpool_info()

def xgboost():
    import xgboost
    model = xgboost.XGBClassifier(n_estimators=3, n_jobs=2).fit(X, y)
    model.save_model("m.ubj")
    xgboost.Booster(model_file="m.ubj").predict(xgboost.DMatrix(X))

def lightgbm():
    import lightgbm
    lightgbm.train({"verbose": -1, "num_threads": 2}, lightgbm.Dataset(X, y), 3).predict(X)

def catboost():
    import catboost
    model = catboost.CatBoostClassifier(
        iterations=3, verbose=0, thread_count=2, allow_writing_files=False
    ).fit(X, y)
    model.save_model("m.cbm")
    catboost.CatBoost().load_model("m.cbm").predict(X)

def onnxruntime():
    import onnxruntime
    from onnx import TensorProto, helper
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])], "g",
        [value("x", TensorProto.FLOAT, [None, 4])], [value("y", TensorProto.FLOAT, [None, 4])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    assert np.allclose(session.run(None, {"x": X})[0], 2 * X)

def numba():
    with open("compiled.py", "w") as stream:
        stream.write(
            "import numba\\n"
            "@numba.njit(cache=True)\\ndef one(x): return x + 1\\n"
            "@numba.njit(parallel=True)\\n"
            "def total(x):\\n  s = 0.0\\n  for i in numba.prange(len(x)): s += x[i]\\n  return s\\n"
        )
    sys.path.insert(0, os.getcwd())
    import compiled
    assert compiled.one(2) == 3
    assert compiled.total(np.ones(1000)) == 1000
    assert any(name.endswith(".nbi") for _, _, names in os.walk(".") for name in names)

def tables():
    import h5py, pandas, pyarrow.parquet
    pandas.DataFrame(X).to_parquet("t.parquet")
    assert len(pandas.read_parquet("t.parquet")) == 300
    with h5py.File("t.h5", "w") as file:
        file["x"] = X
    with h5py.File("t.h5") as file:
        assert file["x"].shape == X.shape

def tensorflow():
    import keras
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, y, verbose=0)
    model.save("m.keras")
    read = keras.models.load_model("m.keras", compile=False)
    assert np.allclose(read.predict(X, verbose=0), model.predict(X, verbose=0))
    model.export("exported", verbose=False)
    keras.layers.TFSMLayer("exported", call_endpoint="serve")(X)

def shap():
    import shap
    from sklearn.ensemble import RandomForestClassifier
    forest = RandomForestClassifier(5).fit(X, y)
    assert shap.TreeExplainer(forest)(X[:3]).values.shape == (3, 4, 2)

for name in CONTEXT:
    globals()[name]()
    print(name, flush=True)
"""
QUICK = ["scikit_learn", "xgboost", "lightgbm", "catboost", "onnxruntime", "tables"]
SLOW = ["numba", "tensorflow", "shap"]


def _use(kind: Confinement, folder: Path, libraries: list[str]) -> None:
    done = Place(folder, kind).run(f"CONTEXT = {libraries}\n{LIBRARIES}", seconds=240)
    assert done.stdout.split() == libraries, done.stderr


@pytest.mark.parametrize("kind", BOTH)
def test_libraries_work_with_their_threads(kind: Confinement, tmp_path: Path) -> None:
    _use(kind, tmp_path, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("kind", BOTH)
def test_large_libraries_work_too(kind: Confinement, tmp_path: Path) -> None:
    _use(kind, tmp_path, SLOW)


# --- without privileges --------------------------------------------------------------------------

# As root, a user without privileges is made for the purpose. What it needs may lie in folders
# that only root can enter, so it gets a view of its own with these in reach.
DEMOTE = """
set -e
mount -t tmpfs none /mnt
n=0
for path in "$1" "$2" "$3"; do
    n=$((n + 1)); mkdir /mnt/$n; mount --bind "$path" /mnt/$n
done
for path in "$1" "$2" "$3"; do
    setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$path" ||
        mount -t tmpfs -o mode=1777 none /$(echo "$path" | cut -d/ -f2)
done
n=0
for path in "$1" "$2" "$3"; do
    n=$((n + 1)); mkdir -p "$path"; mount --bind /mnt/$n "$path"
done
cd "$3"
shift 3
exec setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all -- "$@"
"""
ASK = """
import os
from dashboard.sandbox.confinement import find_confinement, describe_confinement
from dashboard.settings import Settings
assert os.getuid() != 0
for kind in ("bubblewrap", "landlock"):
    settings = Settings(sandbox=kind, home="/tmp/home")
    print(find_confinement(settings), describe_confinement(find_confinement(settings), settings))
"""


def test_it_needs_no_privileges() -> None:
    command = [sys.executable, "-B", "-c", ASK]
    if os.getuid() == 0:
        needed = (sys.base_prefix, sys.prefix, str(ROOT))
        command = ["unshare", "--mount", "sh", "-c", DEMOTE, "sh", *needed, *command]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, env={"PATH": os.defpath}
    )
    said = [line.split()[0] for line in done.stdout.splitlines()]
    assert said == ["bubblewrap", "landlock"], done.stdout + done.stderr
