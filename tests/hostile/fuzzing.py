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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.errors import DiagnosticsError

from . import archives, tables
from .scene import Scene

__all__ = ["TARGETS", "main", "replay"]

MEMORY = 6 << 30
SLOW_SECONDS = 30.0
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
    return [*skops.values(), *keras.values(), *archives.mlflow_archives(_nowhere()).values()]


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


def _histories() -> list[bytes]:
    samples = Path(__file__).resolve().parents[2] / "sample_models" / "loans"
    record = b"\x0d\0\0\0\0\0\0\0" + b"abcd" + b"\x09\0\0\0\0\0\0\0\0\x10\x01\x18\x02" + b"efgh"
    names = ("network_history.csv", "network_history.json")
    return [record * 5, *((samples / name).read_bytes() for name in names)]


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


def _history(content: bytes) -> None:
    from dashboard.data.histories import identify_history

    for name in ("fuzz.csv", "events.out.tfevents.1"):
        identify_history(content, name)


# name: (seeds, what is tried, errors besides DiagnosticsError that its callers expect)
Target = tuple[Callable[[], list[bytes]], Callable[[bytes], None], tuple[type[Exception], ...]]
TARGETS: dict[str, Target] = {
    "tables": (_tables, _read_table, ()),
    "archives": (_archives, _identify, ()),
    "pickles": (_pickles, _inspect, ()),
    "frames": (_messages, _message, (EOFError,)),
    "histories": (_histories, _history, ()),
}


def replay(target: str, content: bytes) -> None:
    """Try one input; whatever its callers do not expect is raised."""
    _, attempt, expected = TARGETS[target]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            attempt(content)
    except (DiagnosticsError, *expected) as problem:
        text = str(problem)
        assert "\n" not in text.strip(), f"several lines: {text[:300]!r}"
        assert len(text) < 2_500, f"{len(text):,} characters: {text[:300]!r}"
        assert "Traceback" not in text


def _inputs(seeds: list[bytes], rng: np.random.Generator) -> Iterator[bytes]:
    yield from seeds
    while True:
        content = seeds[int(rng.integers(len(seeds)))]
        for _ in range(int(rng.integers(1, 4))):
            content = mutated(content, rng)
        yield content


def main(arguments: list[str]) -> int:
    """Try inputs until the time is up; prints how many."""
    target, seconds, seed, folder = arguments
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    kept, end, count = Path(folder) / "input", time.monotonic() + float(seconds), 0
    for content in _inputs(TARGETS[target][0](), np.random.default_rng(int(seed))):
        kept.write_bytes(content)
        start = time.monotonic()
        replay(target, content)
        took = time.monotonic() - start
        assert took < SLOW_SECONDS, f"one input of {len(content):,} bytes took {took:.0f} s"
        count += 1
        if time.monotonic() > end:
            break
    print(f"{count} inputs")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
