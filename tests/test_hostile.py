"""Files of strangers who mean harm, through the app's own path: what is seen, and what is not done.

Nothing outside the sandbox changes, nobody on this machine is spoken to, the secrets stay where
they are, and the models that were there before still answer.
"""

from __future__ import annotations

import io
import os
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from streamlit.testing.v1 import AppTest

from components.state import AppState
from dashboard.data import read_table
from dashboard.errors import DataError, DiagnosticsError
from dashboard.models import load_model
from dashboard.sandbox.confinement import Confinement, find_confinement
from dashboard.sandbox.pool import get_pool
from dashboard.settings import Settings, get_settings
from tests.hostile import attacks, corpus, pickles
from tests.hostile.corpus import HostileFile
from tests.hostile.scene import BREACH, Listener, Scene, children_of

ROOT = Path(__file__).resolve().parent.parent
APP = str(ROOT / "dashboard" / "app.py")
HOME_PAGE = str(ROOT / "pages" / "home.py")
PERFORMANCE = str(ROOT / "pages" / "performance.py")
LINUX = sys.platform == "linux"
pytestmark = pytest.mark.skipif(not LINUX, reason="Only Linux confines what a model file may do.")

ROWS = pd.DataFrame(np.random.default_rng(1).normal(size=(60, 4)), columns=list("abcd"))
ANSWER = np.where(ROWS["a"] + 0.3 * ROWS["b"] > 0, "yes", "no")
DATA = ROWS.assign(bought=ANSWER).to_csv(index=False).encode()
# Small limits, so that what has no end reaches them soon. No spare worker: nothing here needs
# what it would import.
LIMITS = {
    "worker_memory_mb": "3000",
    "worker_file_mb": "64",
    "max_model_mb": "300",  # more than the bombs whose ratio tells them apart
    "max_workers": "8",
    "spare_workers": "0",
    "load_seconds": "60",
    "predict_seconds": "60",
    "n_bootstrap": "20",
}
HURRY = {"load_seconds": "5", "predict_seconds": "5"}
AT_ONCE = 6  # files of one upload
MEMORY_MB = 900  # what the app itself may grow by, the pictures of pages included


@contextmanager
def limits(**changes: str) -> Iterator[Settings]:
    """Settings by environment, as an operator sets them."""
    given = {f"SIDELIGHT_{name.upper()}": value for name, value in {**LIMITS, **changes}.items()}
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    get_settings.cache_clear()
    try:
        yield get_settings()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        get_settings.cache_clear()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("outside")
    with Listener(tmp_path_factory.mktemp("socket")) as listener:
        home = Path(os.environ["SIDELIGHT_HOME"])
        set_up = Scene(folder, home, listener.port, str(listener.unix), listener.abstract)
        set_up.set_up()
        yield set_up
        assert set_up.changes() == []
        assert listener.heard == []
        set_up.tear_down()


@cache
def _files(scene: Scene) -> list[HostileFile]:
    return list(corpus.models(scene))


@cache
def _tables(scene: Scene) -> list[tuple[str, bytes, str]]:
    return list(corpus.read_as_data(scene))


@cache
def _networks(scene: Scene) -> list[HostileFile]:
    return list(corpus.network_models(scene))


def _batches(files: Sequence[HostileFile], size: int = AT_ONCE) -> Iterator[list[HostileFile]]:
    rest = iter(files)
    while batch := list(islice(rest, size)):
        yield batch


def _judge(file: HostileFile, seen: str, scene: Scene) -> None:
    """What is seen is one short sentence, the one that is expected, and no secret."""
    assert scene.leaks(seen) == [], seen
    assert "Traceback" not in seen
    assert len(seen) < 2_200, f"{file.name}: {len(seen):,} characters"
    if file.says:
        assert re.search(file.says, seen), f"{file.name}: {seen}"


# -- the attacks are real ------------------------------------------------------------------------

# What each does where nothing confines it: says so, changes the canary, or is heard.
BITING = {
    "runs a command": "changes",
    "starts a program": "says",
    "becomes a program": "changes",
    "opens a TCP socket": "heard",
    "sends a datagram": "heard",
    "opens a socket file": "heard",
    "opens an abstract socket": "heard",
    "reads the password file": "says",
    "reads another workspace": "says",
    "lists the folder of workspaces": "says",
    "writes outside": "changes",
    "renames and removes outside": "says",
    "makes links to outside": "says",
    "reads the environment": "says",
    "reads the environment of others": "says",
    "looks at other processes": "says",
}


@pytest.mark.parametrize("name", BITING)
def test_without_a_sandbox_it_bites(name: str, tmp_path: Path) -> None:
    """Else a green test below would only show that the attack is broken."""
    with Listener(tmp_path) as listener:
        outside = Scene(
            tmp_path / "outside",
            tmp_path / "home",
            listener.port,
            str(listener.unix),
            listener.abstract,
        )
        outside.set_up()
        content = pickles.running(attacks.ATTACKS[name], outside)
        code = "import pickle, sys; pickle.loads(sys.stdin.buffer.read())"
        done = subprocess.run(
            [sys.executable, "-I", "-c", code], input=content, capture_output=True
        )
        time.sleep(0.05)
        changed = [one for one in outside.changes() if str(tmp_path) in one]
        outside.tear_down()
    said = BREACH in done.stderr.decode()
    bitten = {"says": said, "changes": bool(changed), "heard": bool(listener.heard)}
    assert bitten[BITING[name]], done.stderr.decode()


def test_a_scene_notices(tmp_path: Path) -> None:
    outside = Scene(tmp_path / "outside", tmp_path / "home")
    outside.set_up()
    assert outside.changes() == []
    outside.canary.write_text("other")
    (outside.folder / "new").touch()
    assert len(outside.changes()) == 2
    assert outside.leaks(f"it is {outside.secret}") and not outside.leaks("nothing")
    outside.tear_down()


# -- through the app -------------------------------------------------------------------------------


def _state(at: AppTest) -> AppState:
    state: AppState = at.session_state["sidelight"]
    return state


def _text(at: AppTest) -> str:
    parts = [*at.markdown, *at.caption, *at.error, *at.info, *at.warning, *at.title, *at.header]
    return "\n".join(str(one.value) for one in parts)


def _run(at: AppTest) -> AppTest:
    at.run()
    assert not at.exception, [one.value for one in at.exception]
    return at


def _upload(at: AppTest, where: str, files: Sequence[tuple[str, bytes]]) -> AppTest:
    for name, content in files:
        at.file_uploader(key=f"upload-{where}").upload(name, content)
    _run(at)
    while _state(at).reading is not None or any(one.busy for one in _state(at).waiting):
        _run(at)
    return at


@cache
def _good() -> tuple[bytes, Any]:
    native = LogisticRegression().fit(ROWS, ANSWER)
    return skops.io.dumps(native), native.predict_proba(ROWS)


def _said(column: str) -> bytes:
    return pd.DataFrame({column: ANSWER}).to_csv(index=False).encode()


def _app() -> AppTest:
    """The app with a data set, a decent model and a table of predictions."""
    at = _run(AppTest.from_file(APP, default_timeout=300))
    _upload(at, "data", [("data.csv", DATA)])
    _upload(at, "models", [("decent.skops", _good()[0]), ("said.csv", _said("prediction"))])
    assert [one.name for one in _state(at).entries] == ["decent", "said"]
    return at


def _others_answer(at: AppTest) -> None:
    """What was loaded before is there and gives the same answers."""
    state = _state(at)
    assert [one.name for one in state.entries[:2]] == ["decent", "said"]
    np.testing.assert_array_equal(state.entries[0].need_model().predict(ROWS).scores, _good()[1])


def _agree(at: AppTest) -> None:
    """Press the button of every file that carries code; each was asked about."""
    for waiting in [one for one in _state(at).waiting if one.stage == "asking"]:
        at.button(key=f"open-{waiting.key}").click()
    _run(at)
    while any(one.busy for one in _state(at).waiting):
        _run(at)


def _ask(at: AppTest) -> str:
    """What is seen on the page that compares the models."""
    _run(at.switch_page(PERFORMANCE))
    seen = _text(at)
    assert "decent" in seen and "Confusion matrices" in seen
    _run(at.switch_page(HOME_PAGE))
    return seen


def _part(seen: str, name: str) -> str:
    """The lines that speak of a model."""
    stem = name.rpartition(".")[0]
    return "\n".join(line for line in seen.splitlines() if stem in line.replace("\\", ""))


def _try_in_app(at: AppTest, batch: Sequence[HostileFile], scene: Scene) -> None:
    _upload(at, "models", [(one.name, one.content) for one in batch])
    _agree(at)
    state = _state(at)
    problems = {one.source: one.message for one in state.problems}
    seen = _text(at)
    assert scene.leaks(seen) == []
    asked = []
    for file in batch:
        if file.when == "opening" or file.name in problems:
            assert file.name in problems, f"{file.name} was opened"
            if file.when == "opening":
                _judge(file, problems[file.name], scene)
            assert file.name in seen.replace("\\", "")
        else:
            asked.append(file)
    if asked:
        seen = _ask(at)
        for file in asked:
            _judge(file, _part(seen, file.name).replace("\\", ""), scene)
    for entry in state.entries[2:]:
        state.remove(entry.key)
    state.problems.clear()
    state.failed.clear()
    _others_answer(at)


def _in_order(files: Sequence[HostileFile]) -> Iterator[tuple[bool, list[HostileFile]]]:
    """What takes all the time it is given comes together, so that it is waited for once."""
    for slow in (False, True):
        for batch in _batches([one for one in files if one.slow is slow]):
            yield slow, batch


def _all_in_app(files: Sequence[HostileFile], scene: Scene) -> None:
    workers = _workers()
    with limits() as settings:
        assert find_confinement(settings) is Confinement.BUBBLEWRAP
        at = _app()
        before = _resident_mb(peak=False)
        _forget_peak()
        for slow, batch in _in_order(files):
            with limits(**(HURRY if slow else {})):
                _try_in_app(at, batch, scene)
        assert _resident_mb(peak=True) - before < MEMORY_MB
        _ask(at)
        get_pool(settings).close()
    assert scene.changes() == []
    _nobody_left(workers)


def _resident_mb(*, peak: bool) -> float:
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"{'VmHWM' if peak else 'VmRSS'}:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _workers() -> dict[int, str]:
    children = children_of(os.getpid())
    return {one: line for one, line in children.items() if "dashboard.worker" in line}


def _nobody_left(before: Collection[int]) -> None:
    """No child of a worker outlives it; those of earlier tests may wait for their models."""
    for _ in range(50):
        left = [line for one, line in _workers().items() if one not in before]
        if not left:
            return
        time.sleep(0.1)
    pytest.fail(f"still running: {left}")


@pytest.mark.timeout(600)
def test_through_the_app(scene: Scene) -> None:
    _all_in_app([one for one in _files(scene) if one.core], scene)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_rest_through_the_app(scene: Scene) -> None:
    rest = [one for one in _files(scene) if not one.core]
    _all_in_app([*rest, *_networks(scene)], scene)


_OPENED = """
import sys
from pathlib import Path
from components import opening
from components.state import AppState
from dashboard.errors import DiagnosticsError

state = AppState()
state.open_data("data.csv", Path(sys.argv[1], "data.csv").read_bytes())
before = set(sys.modules)
for path in sorted(Path(sys.argv[1]).glob("model*")):
    try:
        state.add_file(path.name, path.read_bytes())
    except DiagnosticsError as error:
        print(path.name, error)
for waiting in list(state.waiting):
    opening.consent(state, waiting.key)
while any(one.job is not None for one in state.waiting):
    opening.settle(state)
print(len(state.entries), "models")
print("imported", sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""
READERS = ("h5py", "keras", "tensorflow", "onnxruntime", "onnx", "xgboost", "lightgbm", "catboost")


def test_the_app_imports_nothing_that_reads_models(tmp_path: Path) -> None:
    """In a fresh process: what is not there has deserialised nothing."""
    import lightgbm

    lines = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(ROWS, ANSWER)
    (tmp_path / "data.csv").write_bytes(DATA)
    (tmp_path / "model.txt").write_text(lines.booster_.model_to_string())
    (tmp_path / "model.skops").write_bytes(_good()[0])
    decent = LogisticRegression().fit(ROWS, ANSWER)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(decent))
    found = subprocess.run(
        [sys.executable, "-c", _OPENED, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert "3 models" in found.stdout, found.stdout + found.stderr
    imported = found.stdout.rpartition("imported ")[2]
    for name in (*READERS, "skops", "joblib", "cloudpickle"):
        assert f"'{name}'" not in imported, imported


# -- directly, with both confinements -------------------------------------------------------------


def _seen(file: HostileFile, settings: Settings) -> str:
    """What a caller of the library is told."""
    try:
        model = load_model(file.content, file.name, scope="hostile", settings=settings)
    except DiagnosticsError as error:
        assert file.when == "opening" or re.search(file.says, str(error)), str(error)
        return str(error)
    assert file.when == "asked", f"{file.name} was opened"
    try:
        return repr(model.predict(ROWS))[:2_000]
    except DiagnosticsError as error:
        return str(error)


def _all_directly(files: Sequence[HostileFile], scene: Scene, sandbox: str) -> None:
    workers = _workers()
    with limits(sandbox=sandbox) as settings, limits(sandbox=sandbox, **HURRY) as hurry:
        assert find_confinement(settings) == sandbox
        with ThreadPoolExecutor(3) as threads:
            jobs = [
                (file, threads.submit(_seen, file, hurry if file.slow else settings))
                for file in sorted(files, key=lambda one: one.slow)
            ]
        for file, job in jobs:
            seen = job.result()
            if file.says and not _is_answer(seen):
                _judge(file, seen, scene)
            assert scene.leaks(seen) == []
        get_pool(settings).close()
    assert scene.changes() == []
    _nobody_left(workers)


def _is_answer(seen: str) -> bool:
    return seen.startswith("RawPredictions")


@pytest.mark.slow  # each lock of it is tried by itself in test_confine.py
@pytest.mark.timeout(600)
def test_directly_under_landlock(scene: Scene) -> None:
    walls = [one for one in _files(scene) if one.name in _WALLS]
    assert len(walls) > 30
    networks = [one for one in _networks(scene) if one.core]
    _all_directly([*walls, *networks], scene, "landlock")


# Limits of memory, time and output, and ends of the worker, are the same code under both: they are
# tried through the app on every run, and under Landlock by `make test-slow`.
_SAME_UNDER_BOTH = {
    "exits",
    "raises SystemExit",
    "segfaults",
    "aborts",
    "stops itself",
    "says HTML in its error",
    "allocates without end",
    "maps memory without end",
    "loops without end in C",
    "prints 10 GB",
    "prints 10 GB of errors",
    "sends text without end",
    "sends a pickle",
}
_WALLS = {
    f"{name}.pkl"
    for code in (attacks.ATTACKS, attacks.SWELLING, attacks.THROUGH_THE_PIPE)
    for name in code
    if name not in _SAME_UNDER_BOTH
}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("sandbox", ["bubblewrap", "landlock"])
def test_all_directly(scene: Scene, sandbox: str) -> None:
    _all_directly([*_files(scene), *_networks(scene)], scene, sandbox)


# -- tables ----------------------------------------------------------------------------------------


def test_hostile_tables_are_refused_or_read_as_values(scene: Scene) -> None:
    count = 0
    for name, content, says in _tables(scene):
        count += 1
        try:
            table = read_table(content, name)
        except DataError as error:
            message = str(error)
            assert says and re.search(says, message), f"{name}: {message}"
            assert len(message) < 600 and "\n" not in message, message
            assert scene.leaks(message) == []
        else:
            assert not says, f"{name} was read"
            assert scene.leaks(table.frame.to_csv()) == []
    assert count > 50
    assert scene.changes() == []


REFUSED_IN_APP = (
    "objects.npz",
    "header-deep.npy",
    "pickle.csv",
    "bomb.zip",
    "deep.json",
    "entities.xlsx",
    "offsets.feather",
    "cut.parquet",
)


def test_a_refused_table_leaves_the_app_as_it_was(scene: Scene) -> None:
    with limits():
        at = _app()
        for name, content, says in _tables(scene):
            if name not in REFUSED_IN_APP:
                continue
            assert says
            _upload(at, "data", [(name, content)])
            assert name in _text(at).replace("\\", "")
            state = _state(at)
            assert state.table is not None and state.table.name == "data.csv", name
            state.problems.clear()
        _others_answer(at)
    assert scene.changes() == []


def test_excel_formulas_and_macros_do_not_run(scene: Scene) -> None:
    found = {name: content for name, content, _ in _tables(scene)}
    table = read_table(found["macro.xlsm"], "macro.xlsm")
    assert any("macros" in note for note in table.source)
    assert pd.isna(table.frame["a"].iloc[0])  # a formula whose value was never computed


# -- names -----------------------------------------------------------------------------------------

FILE_NAMES = (
    "../../../tmp/evil.skops",
    "/etc/cron.d/evil.skops",
    "..\\..\\evil.skops",
    "<img src=x onerror=alert(1)>.skops",
    "[click](javascript:alert(1)) **bold** $x$ :red[x].skops",
    "\u202egnp.evil\u202c שלום 🙂.skops",
    "evil\nname\r\0.skops",
    "a" * 10_000 + ".skops",
    ".skops",
    "",
)


def test_the_name_of_a_file_is_only_shown(scene: Scene) -> None:
    """A decent model and tables of predictions under every name: they open, the name is text."""
    with limits():
        at = _app()
        for part in (FILE_NAMES[:5], FILE_NAMES[5:]):
            model = skops.io.dumps(LogisticRegression(C=len(part[0])).fit(ROWS, ANSWER))
            tables = [_said(f"prediction {number}") for number in range(1, 5)]
            _upload(at, "models", list(zip(part, [model, *tables], strict=True)))
            state = _state(at)
            assert len(state.entries) == 7, [one.message for one in state.problems]
            seen = _text(at) + _ask(at)
            assert "<img" not in seen and "](javascript" not in seen
            for entry in state.entries[2:]:
                state.remove(entry.key)
    assert scene.changes() == []


HELPERS = {
    "helper.py": "bites when it is imported",
    "numpy.py": "stands before a library",
    "sitecustomize.py": "would run at the start of Python",
    "../helper.py": "leaves its folder",
    "é" * 150 + ".py": "is too long for a file system",
}


@pytest.mark.parametrize("name", HELPERS)
def test_a_helper_file_stays_in_the_worker(name: str, scene: Scene) -> None:
    class Thing:
        pass

    Thing.__module__, Thing.__qualname__ = "helper", "Thing"
    module = type(sys)("helper")
    module.Thing = Thing
    sys.modules["helper"] = module
    try:
        content = pickle.dumps(Thing())
    finally:
        del sys.modules["helper"]
    code = attacks.prelude(scene) + attacks.ATTACKS["writes outside"]
    with limits() as settings, pytest.raises(DiagnosticsError) as caught:
        load_model(content, "own.pkl", helpers={name: code.encode()}, settings=settings)
    assert scene.leaks(str(caught.value)) == []
    assert name.removesuffix(".py") not in sys.modules or name == "numpy.py"
    assert scene.changes() == []


# -- without any confinement ---------------------------------------------------------------------


def test_without_confinement_no_code_is_opened(scene: Scene) -> None:
    with limits(sandbox="none") as settings:
        for file in [one for one in _files(scene) if one.name.endswith(".pkl")][:8]:
            with pytest.raises(DiagnosticsError) as caught:
                load_model(file.content, file.name, settings=settings)
            assert "not confined" in str(caught.value) or "confine" in str(caught.value)
    assert scene.changes() == []


def test_the_corpus_is_large_enough(scene: Scene) -> None:
    names = [one.name for one in _files(scene)]
    assert len(names) == len(set(names))
    assert sum(one.core for one in _files(scene)) >= 60
    assert io.BytesIO(_files(scene)[0].content).read(1) == b"\x80"
