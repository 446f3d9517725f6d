"""What is inside a file, told without opening it: nothing here may run a payload."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import pickletools
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pytest
import skops.io
import xgboost
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from dashboard.errors import LimitExceeded, ModelError
from dashboard.models import Inspection, inspect_model, load_model
from dashboard.models.findings import installed_version, same_version
from dashboard.models.inspection import inspect_file
from dashboard.models.known_names import known_names
from dashboard.models.pickle_program import read_program, text_of
from dashboard.settings import Settings
from tests.test_boosters import ARRAY, BINARY, TYPED, cat, lgb, xgb
from tests.test_models import ESTIMATORS

CONFINED = "Opening this file runs what its author put in."


class Payload:
    """Runs a command when it is unpickled, if it ever is."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        function, *arguments = self.call
        return function, tuple(arguments)


def joblib_bytes(model: Any, compress: Any = 0) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(model, buffer, compress=compress)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", list(ESTIMATORS))
def test_honest_models_name_nothing_unknown(kind: str) -> None:
    make, features, target = ESTIMATORS[kind]
    model = make().fit(features, target)
    for content in (pickle.dumps(model), pickle.dumps(model, 2), joblib_bytes(model)):
        found = inspect_file(content, "m.pkl")
        assert (found.names, found.calls, found.missing, found.private) == ((), (), (), ())
        assert found.drift == ()
        assert found.sentences() == (CONFINED, f"It holds a {class_name(model)}.")
    assert inspect_file(skops.io.dumps(model), "m.skops").names == ()


def class_name(model: Any) -> str:
    return f"{type(model).__module__}.{type(model).__qualname__}"


@pytest.mark.parametrize("make", [xgb, lgb, cat])
def test_boosters_name_nothing_unknown(make: Any) -> None:
    model = make().fit(ARRAY, BINARY)
    for content in (pickle.dumps(model), joblib_bytes(model, 3)):
        found = inspect_file(content, "m.pkl")
        assert (found.names, found.calls, found.missing) == ((), (), ())
    if make is xgb:
        assert found.versions["xgboost"] == (xgboost.__version__,) * 2


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_payload_is_shown_and_never_run(protocol: int, pack: Any, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    payload = Payload(os.system, f"touch {canary}")
    content = pack(pickle.dumps({"model": LogisticRegression(), "x": [payload]}, protocol))
    found = inspect_file(content, "m.pkl")
    assert found.names == ("posix.system",)
    assert found.calls == (f"posix.system({text_of(f'touch {canary}')})",)
    assert found.carries_code
    assert found.sentences()[:2] == (
        CONFINED,
        f"It makes calls that models rarely need: {found.calls[0]}.",
    )
    assert not canary.exists()


PROGRAMS: dict[str, tuple[bytes, str]] = {
    "INST": (b"(S'id'\nios\nsystem\n.", "os.system('id')"),
    "OBJ": (b"(cos\nsystem\nS'id'\no.", "os.system('id')"),
    "a call of a call": (
        b"cbuiltins\ngetattr\n(cos\nsystem\nS'x'\ntRS'y'\n\x85R.",
        "builtins.getattr(os.system, 'x')('y')",
    ),
    "NEWOBJ_EX": (b"\x80\x04cos\nsystem\n)}\x92.", "os.system({})"),
    "through the memo": (b"\x80\x04cos\nsystem\n\x940S'id'\n\x85h\x00N0h\x00)R.", "os.system()"),
    "a name from the stack": (b"\x80\x04\x8c\x02os\x8c\x06system\x93)R.", "os.system()"),
    "a stack name from the memo": (
        b"\x80\x04\x8c\x02os\x940\x8c\x06system\x940h\x00h\x01\x93)R.",
        "os.system()",
    ),
    "a state for a call": (b"\x80\x04cos\nsystem\n)R}b.", "os.system()"),
    "an extension": (b"\x80\x02\x82\x05)R.", "copyreg extension.5()"),
}


@pytest.mark.parametrize("kind", list(PROGRAMS))
def test_every_way_to_call_is_listed(kind: str) -> None:
    content, call = PROGRAMS[kind]
    found = inspect_file(content, "m.pkl")
    assert call in found.calls
    assert call.partition("(")[0] in ".".join(found.names)
    assert not any("only in part" in note for note in found.notes)


def test_what_cannot_be_followed_is_said() -> None:
    cut = pickle.dumps(LogisticRegression().fit(ARRAY[4:40, 1:], BINARY[4:40]))[:-40]
    assert "could be read only in part (ValueError" in inspect_file(cut, "m.pkl").notes[-1]
    flood = b"\x80\x04" + b"N0" * 1_600_000 + b"."
    assert "3,000,000 steps" in inspect_file(flood, "m.pkl").notes[-1]
    odd = joblib_bytes(np.zeros(90))[:-200]
    assert "an array is cut off" in inspect_file(odd, "m.pkl").notes[-1]
    before = inspect_file(b"ZF0x12" + b"\x00" * 40, "m.joblib")
    assert "joblib before 0.10" in before.notes[0]
    bomb = gzip.compress(pickle.dumps(bytes(30 << 20)))
    with pytest.raises(LimitExceeded, match="unpacks to more than 8 MB"):
        inspect_file(bomb, "bomb.pkl", settings=replace(Settings(), max_model_mb=8))


def test_arrays_of_joblib_are_passed_over_to_what_follows() -> None:
    parts = [
        np.zeros(100),
        np.arange(24).reshape(2, 3, 4).transpose(),
        np.array(["Oslo", None, 3], dtype=object),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array(["Rome"]),
        np.array(7.5),
        Payload(os.system, "id"),
    ]
    for compress in (0, 3, ("xz", 2)):
        found = inspect_file(joblib_bytes(parts, compress), "m.joblib")
        assert found.calls == ("posix.system('id')",)
        assert not found.notes


def test_functions_by_value_are_noted_with_what_they_use() -> None:
    def own(rows: Any) -> Any:
        import subprocess

        return subprocess.run(rows)

    model = make_pipeline(FunctionTransformer(own), LogisticRegression())
    found = inspect_file(cloudpickle.dumps(model), "m.pkl")
    note = next(note for note in found.notes if "bytecode" in note)
    assert note.startswith("1 of its author's functions are inside as Python bytecode")
    assert "subprocess, run" in note
    assert found.calls == ()
    assert "cloudpickle.cloudpickle._make_function" in found.names


def test_versions_missing_modules_and_own_classes(tmp_path: Path) -> None:
    import sklearn

    forest = RandomForestClassifier(2, random_state=0).fit(np.nan_to_num(ARRAY), BINARY)
    old = pickle.dumps(forest).replace(sklearn.__version__.encode(), b"1.2.1")
    found = inspect_file(old, "old.pkl")
    assert found.versions == {"scikit-learn": ("1.2.1", sklearn.__version__)}
    assert found.drift[0].startswith("Saved with scikit-learn 1.2.1; here is ")
    assert found.drift[0] in found.sentences()
    older = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncsklearn.externals.joblib\nX\n\x86."
    found = inspect_file(older, "older.pkl")
    assert found.versions["numpy"] == ("1", np.__version__)
    assert found.missing == ("sklearn.externals",) or found.missing == ("sklearn.externals.joblib",)
    foreign = b"\x80\x04cimblearn.pipeline\nPipeline\nc__main__\nScaler\nmy.steps\nLog\n\x86."
    foreign = foreign.replace(b"my.steps", b"cmy.steps").replace(b"\x86.", b"\x87.")
    found = inspect_file(foreign, "m.pkl")
    assert found.missing == ("imblearn.pipeline",)
    assert found.private == ("__main__.Scaler", "my.steps.Log")
    sentences = " ".join(found.sentences())
    assert "not installed here: imbalanced-learn." in sentences
    assert "its author's own Scaler, my.steps.Log: upload the .py file" in sentences
    (tmp_path / "steps.py").write_text("class Log: ...\nScaler = Log\n")
    (tmp_path / "damaged.py").write_text("class (")
    found = inspect_file(foreign, "m.pkl", helpers_folder=tmp_path)
    assert found.private == ()
    assert found.missing == ("imblearn.pipeline",)


def test_other_kinds() -> None:
    native = xgb().fit(TYPED, BINARY).get_booster()
    for form in ("json", "ubj"):
        found = inspect_file(bytes(native.save_raw(form)), "m")
        assert found.versions == {"xgboost": (xgboost.__version__, installed_version("xgboost"))}
        assert not found.carries_code
    old = skops.io.dumps(make_pipeline(FunctionTransformer(os.path.join), LogisticRegression()))
    found = inspect_file(old, "m.skops")
    assert "posixpath.join" in found.names
    assert set(found.versions) == {"skops", "scikit-learn"}
    assert inspect_file(b"\x89HDF\r\n\x1a\n" + bytes(40), "m.h5") == Inspection("hdf5")
    with pytest.raises(ModelError, match="cannot be read"):
        inspect_file(Path("/nowhere/at/all"), "m")


def test_the_worker_tells_the_same_as_this_process() -> None:
    content = pickle.dumps([Payload(os.system, "echo hello"), LogisticRegression()])
    assert inspect_model(content, "m.pkl") == inspect_file(content, "m.pkl")
    with pytest.raises(ModelError, match="PNG image"):
        inspect_model(b"\x89PNG\r\n\x1a\n", "m.png")
    with pytest.raises(ModelError, match="PNG image"):
        load_model(b"\x89PNG\r\n\x1a\n", "m.png")


# --- what crosses the border between worker and app -------------------------------------------

FULL = Inspection(
    "pickle",
    True,
    names=("os.system",),
    calls=("os.system('id')",),
    versions={"scikit-learn": ("1.2.1", "1.9.1")},
    missing=("imblearn",),
    private=("__main__.A",),
    notes=("Note.",),
)


def test_an_inspection_survives_the_journey() -> None:
    assert Inspection.from_json(json.loads(json.dumps(FULL.to_json()))) == FULL


@pytest.mark.parametrize(
    "change",
    [
        {"names": 3},
        {"names": [3]},
        {"versions": []},
        {"versions": {"a": "bcd"}},
        {"kind": None},
        {"more": 1},
        {"notes": None},
    ],
)
def test_an_answer_that_is_no_inspection_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="cannot be understood"):
        Inspection.from_json({**FULL.to_json(), **change})
    for nonsense in (None, [], "text", {"kind": "pickle"}):
        with pytest.raises(ModelError, match="cannot be understood"):
            Inspection.from_json(nonsense)


def test_an_answer_is_shortened_and_kept_on_one_line() -> None:
    long = {**FULL.to_json(), "notes": ["a\nb\x00" + "x" * 5000] * 900, "carries_code": "yes"}
    found = Inspection.from_json(long)
    assert len(found.notes) == 200
    assert len(found.notes[0]) == 300
    assert "\n" not in found.notes[0]
    assert "\x00" not in found.notes[0]
    assert found.carries_code is False


def test_versions_are_compared_up_to_the_minor_part() -> None:
    assert same_version("1.9.1", "1.9.4")
    assert not same_version("1.8.1", "1.9.1")
    assert same_version("1", "1.26.4")
    assert not same_version("1", "2.4")
    assert installed_version("no-such-library-at-all") == ""


def test_known_names_are_exact_and_open_nothing() -> None:
    for name in known_names():
        assert "*" not in name
        last = name.rpartition(".")[2]
        assert last not in (
            "load",
            "loads",
            "open",
            "eval",
            "exec",
            "system",
            "getattr",
            "partial",
        ) or (name == "functools.partial")


OPCODES = [
    *(bytes([code]) for code in b"N)R(tbae]}sud0o21l\x85\x86\x87\x90\x91\x93\x94\x81\x92\x8f"),
    *(b"h\x00", b"K\x07", b"\x8c\x01a", b"cos\nsystem\n", b"(ios\nsystem\n", b"C\x01z", b"q\x00"),
    b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n",
    b"\x8c\x05dtype",
    b"\x8c\x03\xed\xa0\x80",  # half a character
    b"\x8b\x00\x08\x00\x00" + b"\x7f" * 2048,
]


@given(st.lists(st.sampled_from(OPCODES), max_size=40))
def test_any_program_is_described(parts: list[bytes]) -> None:
    found = inspect_file(b"\x80\x04" + b"".join(parts) + b".", "m.pkl")
    sent = json.dumps(found.to_json()).encode("utf-8")
    assert Inspection.from_json(json.loads(sent)).kind == found.kind
    assert all(len(sentence) < 20_000 for sentence in found.sentences())


def test_long_chains_and_many_names_are_described_shortly() -> None:
    chain = inspect_file(b"\x80\x04cos\nsystem\n" + b")R" * 200_000 + b".", "m.pkl")
    assert chain.calls == ("os.system()", "os.system()()", "…()()")
    many = b"".join(b"cmod%d\nname\n0" % at for at in range(3_000))
    found = inspect_file(b"\x80\x04" + many + b"N.", "m.pkl")
    assert len(found.names) == 200
    assert found.notes == ("It names 3,000 things; only the first are listed.",)
    long = inspect_file(b"\x80\x04c" + b"m" * 100_000 + b"\nname\n.", "m.pkl")
    assert len(long.names[0]) == 200


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_exception(content: bytes) -> None:
    program = read_program(io.BytesIO(content))
    for call in program.calls:
        assert len(text_of(call)) < 2_000


@given(st.recursive(st.none() | st.integers() | st.text() | st.floats(), st.lists, max_leaves=20))
def test_plain_values_have_no_calls(value: Any) -> None:
    for protocol in range(6):
        content = pickle.dumps(value, protocol)
        program = read_program(io.BytesIO(content))
        assert not program.calls
        assert not program.fault
        assert sum(1 for _ in pickletools.genops(content))
