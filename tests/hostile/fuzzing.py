"""Files turned bit by bit against everything that the app itself reads of a stranger.

`python -m tests.hostile.fuzzing TARGET SECONDS SEED FOLDER` tries one target until the time is
up. A parser written in C may take the whole process with it, so every input is first written to
`FOLDER/input`, and the test that started this looks at the exit code. `replay(target, content)`
tries a single input again.
"""

from __future__ import annotations

import faulthandler
import io
import json
import pickle
import resource
import sys
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.errors import DiagnosticsError

from . import archives, tables
from .scene import Scene

__all__ = ["TARGETS", "main", "mutated", "replay"]

MEMORY = 6 << 30
SLOW_SECONDS = 30.0
LEAST = 30
_TROUBLE = (b"\xff", b"\x00", b"\x7f", b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\xff" * 8)
_ROWS = 7


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """`content` with one to eight small changes."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 9))):
        at = int(rng.integers(max(1, len(changed))))
        match int(rng.integers(6)):
            case 0 if changed:
                changed[at % len(changed)] ^= 1 << int(rng.integers(8))
            case 1:
                word = _TROUBLE[int(rng.integers(len(_TROUBLE)))]
                changed[at : at + len(word)] = word
            case 2:
                del changed[at : at + int(rng.integers(1, 64))]
            case 3:
                other = int(rng.integers(max(1, len(changed))))
                changed[at:at] = changed[other : other + int(rng.integers(1, 64))]
            case 4:
                changed[at:at] = rng.bytes(int(rng.integers(1, 16)))
            case _ if rng.random() < 0.2:
                del changed[at:]
    return bytes(changed)


_NASTY: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 7, 64, 1 << 31, 1 << 47, 1 << 63, 10**400, -(10**4200)),
    *(0.5, 1e308, -0.0, "", "a", "yes", "\ud800", "x" * 30_000, "\x00", "<b>", "0" * 64, "f" * 64),
    *([], {}, [[]], [None], [[[[[[[[[[]]]]]]]]]], {"a": {"b": {}}}, ["x", "0" * 64]),
    *(["nan"], ["inf"], ["NaT"], ["NA"], ["Decimal", "1E+999999"], ["Decimal", "sNaN"]),
    *(["bytes", "zz"], ["bytes", "00ff"], ["timedelta", 1e300], ["Timestamp", "0001-01-01"]),
    *(["Timestamp", "9999-12-31T23:59:59"], ["datetime64", "NaT"], ["datetime64", "2024"]),
    *(["date", "2024-13-01"], ["time", "25:00"], ["list", [1, 2]], ["tuple", [1, ["nan"]]]),
    *(["dict", [[1, 2], [1, 3]]], ["dict", [[["list", []], 1]]]),
    *({"at": 0}, {"at": 1, "values": ["a"]}, {"at": -1}, {"at": 0, "values": ["a", "b", ["nan"]]}),
    {"list": 2, "parts": [{"at": 0}, {"at": 1}]},
    {"dict": ["a", "b"], "parts": [{"at": 0}, {"at": 1}]},
    {"frame": [1, 1], "parts": [{"at": 0}, {"at": 1}]},
)


def altered(content: bytes, rng: np.random.Generator) -> bytes:
    """JSON with one to four values replaced, removed, moved or doubled."""
    value = json.loads(content)
    for _ in range(int(rng.integers(1, 3))):
        places = list(_places(value))
        if not places:
            break
        holder, key = places[int(rng.integers(len(places)))]
        match int(rng.integers(5)):
            case 0 | 1:
                holder[key] = _copy(_NASTY[int(rng.integers(len(_NASTY)))])
            case 2 if len(places) < 2_000:
                other, name = places[int(rng.integers(len(places)))]
                holder[key] = _copy(other[name])
            case 3 if isinstance(holder, dict):
                del holder[key]
            case _ if isinstance(holder, list):
                holder.insert(int(rng.integers(len(holder) + 1)), _copy(holder[key]))
    return json.dumps(value).encode()


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in JSON."""
    stack = [value]
    while stack:
        holder = stack.pop()
        pairs = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, inner in list(pairs):
            yield holder, key
            if isinstance(inner, (dict, list)):
                stack.append(inner)


# --- seeds ---------------------------------------------------------------------------------------


def _nowhere() -> Scene:
    return Scene(Path("nowhere"), Path("nowhere"))


def _tables() -> list[bytes]:
    whole = [data for name, data in tables.damaged().items() if name.startswith("called")]
    return [*whole, tables.formulas(), tables.marked_up()["markup-control.csv"]]


def _archives() -> list[bytes]:
    skops, keras = (
        {name: data for name, data in found(_nowhere()).items() if "bomb" not in name}
        for found in (archives.skops_archives, archives.keras_archives)
    )
    packed = (*skops.values(), *keras.values(), *archives.mlflow_archives(_nowhere()).values())
    return [*packed, *_pickles()]


def _pickles() -> list[bytes]:
    import joblib
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    X = np.random.default_rng(0).normal(size=(20, 3))
    model = make_pipeline(LogisticRegression()).fit(X, X[:, 0] > 0)
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    return [buffer.getvalue(), *(pickle.dumps(model, protocol) for protocol in (0, 2, 4, 5))]


def _messages() -> list[bytes]:
    from dashboard.contracts import ModelInfo, RawPredictions
    from dashboard.frames import encode_info, encode_raw, write_frame

    found = []
    labels = np.array(["a", "b", None, "d", "e", "f", 1.5], dtype=object)
    answers = [
        RawPredictions(labels=labels, notes=("A note.",)),
        RawPredictions(scores=np.eye(_ROWS, 3), classes=("x", 1, 2.5)),
        RawPredictions(scores=[np.eye(_ROWS, 2)] * 2, classes=((0, 1), ("a", "b"))),
        RawPredictions(scores={"a": np.zeros(_ROWS), "b": np.ones(_ROWS, "f4")}),
        RawPredictions(labels=np.arange(_ROWS)),
    ]
    for answer in answers:
        stream = io.BytesIO()
        write_frame(stream, *encode_raw(answer))
        found.append(stream.getvalue())
    info = ModelInfo(format="skops", kind="Pipeline", feature_names=("a", "b"), classes=(0, "x"))
    stream = io.BytesIO()
    write_frame(stream, {"info": encode_info(info)})
    return [*found, stream.getvalue()]


def _headers() -> list[bytes]:
    """What a worker says, as JSON: predictions, a description, an inspection."""
    from dashboard.frames import FrameLimits, read_frame
    from dashboard.models.inspection import inspect_file

    found = [read_frame(io.BytesIO(one), FrameLimits()).header for one in _messages()]
    looked = [inspect_file(one, "fuzz.pkl").to_json() for one in _pickles()]
    return [json.dumps(one).encode() for one in (*found, *looked)]


def _snapshots() -> list[bytes]:
    """A workspace with data, models, predictions, files that wait and files that failed."""
    import pandas as pd
    import skops.io
    from sklearn.linear_model import LogisticRegression

    from components.snapshots import snapshot
    from components.state import AppState

    X = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "b"])
    y = np.where(X["a"] > 0, "yes", "no")
    state = AppState()
    state.open_data("data.csv", X.assign(kind=y, split="test").to_csv(index=False).encode())
    model = skops.io.dumps(LogisticRegression().fit(X, y))
    said = pd.DataFrame({"prediction": y}).to_csv(index=False).encode()
    for name, content in (("m.skops", model), ("said.csv", said), ("own.py", b"class A: pass")):
        state.add_file(name, content)
    state.add_file("log.csv", b"epoch,loss,val_loss\n0,0.9,1.0\n1,0.5,0.8\n")
    _KEPT.update(state.files)
    return [json.dumps(snapshot(state)).encode()]


_KEPT: dict[str, Any] = {}


def _histories() -> list[bytes]:
    samples = Path(__file__).resolve().parents[2] / "sample_models" / "loans"
    record = b"\x0d\0\0\0\0\0\0\0" + b"abcd" + b"\x09\0\0\0\0\0\0\0\0\x10\x01\x18\x02" + b"efgh"
    names = ("network_history.csv", "network_history.json")
    return [record * 5, *((samples / name).read_bytes() for name in names)]


def _logs() -> list[bytes]:
    """Event files, which must have sound checksums to be looked into, and what boosters log."""
    folder = Path(__file__).resolve().parents[1] / "event_files"
    events = [path.read_bytes() for path in sorted(folder.rglob("events.out.tfevents.*"))]
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        for at, content in enumerate(events):
            archive.writestr(f"runs/{at}/events.out.tfevents.{at}", content)
    rounds = b'{"train": {"rmse": [2, 1]}, "eval": {"rmse": [3, 2]}}'
    catboost = (
        b'{"meta": {"learn_metrics": [{"name": "RMSE"}], "learn_sets": ["learn"], "test_sets": '
        b'["test"], "test_metrics": [{"name": "RMSE"}]}, "iterations": [{"iteration": 0, "learn": '
        b'[1], "test": [2]}]}'
    )
    return [*events, into.getvalue(), rounds, catboost, *_histories()[1:]]


# --- targets -------------------------------------------------------------------------------------


def _read_table(content: bytes) -> None:
    from dashboard.data import read_table

    table = read_table(content, "fuzz.csv")
    assert table.n_read > 0


def _identify(content: bytes) -> None:
    from dashboard.models.identify import check_archive, identify
    from dashboard.settings import Settings

    assert identify(content, "fuzz.keras")
    check_archive(content, "fuzz.keras", Settings()).close()


def _inspect(content: bytes) -> None:
    from dashboard.models.inspection import Inspection, inspect_file

    looked = inspect_file(content, "fuzz.pkl")
    text = json.dumps(looked.to_json())
    assert Inspection.from_json(json.loads(text)).sentences is not None


def _message(content: bytes) -> None:
    from dashboard.contracts import RawPredictions
    from dashboard.frames import FrameLimits, decode_info, decode_raw, read_frame

    stream = io.BytesIO(content)
    frame = read_frame(stream, FrameLimits(array_bytes=1 << 16))
    if "info" in frame.header:
        decode_info(frame.header["info"])
    raw = decode_raw(frame, _ROWS)
    assert isinstance(raw, RawPredictions)
    _normalise(raw)


def _normalise(raw: Any) -> None:
    from dashboard.contracts import Predictions

    for evalset in _evalsets():
        try:
            Predictions.normalise(raw, evalset.target, name="fuzz")
        except DiagnosticsError:
            continue


def _evalsets(kept: list[Any] = []) -> list[Any]:  # noqa: B006 - made once
    import pandas as pd

    from dashboard.data import evalset_from_frame

    if not kept:
        base = pd.DataFrame({"a": np.arange(_ROWS) / 3, "b": np.arange(_ROWS) * 1.5})
        words = np.array(["a", "b", "d", "a", "b", "d", "a"])
        kept += [
            evalset_from_frame(base.assign(y=words), target="y"),
            evalset_from_frame(base.assign(y=words == "a"), target="y"),
            evalset_from_frame(base.assign(y=base["a"] ** 2 + 0.1), target="y"),
        ]
    return kept


def _header(content: bytes) -> None:
    from dashboard.frames import Frame, decode_info, decode_raw
    from dashboard.models.findings import Inspection

    try:
        header = json.loads(content)
    except ValueError:
        return
    arrays = (np.arange(_ROWS) % 3, np.eye(_ROWS, 3), np.full((_ROWS, 1), np.nan, "f4"))
    for attempt in (
        lambda: decode_info(header.get("info", header)),
        lambda: Inspection.from_json(header).sentences(),
        lambda: _normalise(decode_raw(Frame(header, arrays), _ROWS)),
    ):
        try:
            attempt()
        except DiagnosticsError as problem:
            assert len(str(problem)) < 2_500


def _snapshot(content: bytes) -> None:
    import tempfile

    from components import cached
    from components.snapshots import Readers, restore
    from components.state import AppState
    from dashboard.errors import WorkspaceError

    def path(digest: str) -> Path:
        if digest not in _KEPT:
            raise WorkspaceError("It is gone. Load it again.")
        found = Path(tempfile.gettempdir()) / f"sidelight-fuzz-{digest}"
        if not found.exists():
            found.write_bytes(_KEPT[digest])
        return found

    if not _KEPT:
        _snapshots()
    try:
        given = json.loads(content)
    except ValueError:
        return
    if isinstance(given, dict):
        readers = Readers(path, cached.sample_model, cached.sample_table, foreign=True)
        restore(AppState(), given, readers)


def _history(content: bytes) -> None:
    from dashboard.data.histories import identify_history

    for name in ("fuzz.csv", "events.out.tfevents.1"):
        identify_history(content, name)


def _log(content: bytes) -> None:
    from dashboard.data.histories import identify_history
    from dashboard.logs import read_runs

    identify_history(content, "fuzz")
    assert read_runs({"fuzz": content})


def _record(content: bytes) -> None:
    """Turned bits within sound frames, which turned bits of a file hardly ever are."""
    from dashboard.logs import read_runs

    from ..event_writing import event_file

    step = max(1, len(content) // 5)
    parts = [content[at : at + step] for at in range(0, len(content), step)]
    read_runs({"events.out.tfevents.1": event_file(*parts, content, content)})


def _kept_runs(content: bytes) -> None:
    from dashboard.logs import decode_runs

    for run in decode_runs(content):
        run.frame()


def _records() -> list[bytes]:
    from dashboard.logs.records import split_records

    found = []
    for content in _logs()[:-5]:
        records = split_records(content)
        rows = zip(records.starts, records.lengths, strict=True)
        found += [records.data[at : at + size].tobytes() for at, size in rows]
    return found


def _columns() -> list[bytes]:
    from dashboard.logs import encode_runs, read_runs

    return [encode_runs(read_runs({"log": content})) for content in _logs()]


@dataclass(frozen=True)
class Target:
    """Seeds, what is tried, how seeds are changed, errors that callers expect besides ours."""

    seeds: Callable[[], list[bytes]]
    attempt: Callable[[bytes], None]
    change: Callable[[bytes, np.random.Generator], bytes] = mutated
    expected: tuple[type[Exception], ...] = ()


TARGETS = {
    "tables": Target(_tables, _read_table),
    "archives": Target(_archives, _identify),
    "pickles": Target(_pickles, _inspect),
    "frames": Target(_messages, _message, expected=(EOFError,)),
    "headers": Target(_headers, _header, altered),
    "snapshots": Target(_snapshots, _snapshot, altered),
    "histories": Target(_histories, _history),
    "training logs": Target(_logs, _log),
    "records of events": Target(_records, _record),
    "kept runs": Target(_columns, _kept_runs),
    "JSON histories": Target(lambda: _histories()[2:], _history, altered),
}


def replay(target: str, content: bytes) -> None:
    """Try one input; whatever its callers do not expect is raised."""
    chosen = TARGETS[target]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            chosen.attempt(content)
    except (DiagnosticsError, *chosen.expected) as problem:
        text = str(problem)
        assert "\n" not in text.strip(), f"several lines: {text[:300]!r}"
        assert len(text) < 2_500, f"{len(text):,} characters: {text[:300]!r}"
        assert "Traceback" not in text


def _inputs(target: Target, rng: np.random.Generator) -> Iterator[bytes]:
    seeds = target.seeds()
    yield from seeds
    while True:
        content = seeds[int(rng.integers(len(seeds)))]
        for _ in range(int(rng.integers(1, 4))):
            content = target.change(content, rng)
        yield content


def main(arguments: list[str]) -> int:
    """Try inputs until the time is up, but some on any machine; prints how many."""
    target, seconds, seed, folder = arguments
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    kept, end, count = Path(folder) / "input", time.monotonic() + float(seconds), 0
    for content in _inputs(TARGETS[target], np.random.default_rng(int(seed))):
        kept.write_bytes(content)
        start = time.process_time()
        replay(target, content)
        took = time.process_time() - start
        assert took < SLOW_SECONDS, f"one input of {len(content):,} bytes took {took:.0f} s"
        count += 1
        if time.monotonic() > end and count >= LEAST:
            break
    print(f"{count} inputs")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
