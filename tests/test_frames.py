"""Frames between a worker and its parent: everything there and back, and nothing else believed."""

from __future__ import annotations

import gc
import io
import json
import math
import struct
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dashboard.contracts import ModelInfo, Predictions, RawPredictions, ScoreKind, Target
from dashboard.errors import ModelError
from dashboard.frames import (
    Frame,
    FrameError,
    FrameLimits,
    decode_info,
    decode_raw,
    encode_info,
    encode_raw,
    fingerprint,
    held_for_fingerprint,
    plain_text,
    read_frame,
    read_rows,
    tag_value,
    untag_value,
    write_frame,
    write_rows,
)
from dashboard.frames import answers as answers

WIDE = FrameLimits(header_bytes=1 << 20, array_bytes=1 << 24, arrays=100)


def sent(header: dict[str, Any], arrays: Any = ()) -> bytes:
    stream = io.BytesIO()
    write_frame(stream, header, arrays)
    return stream.getvalue()


def raw_frame(text: bytes, buffers: bytes = b"", magic: bytes = b"SLf1") -> io.BytesIO:
    """A frame as a stranger would write it."""
    return io.BytesIO(struct.pack("<4sI", magic, len(text)) + text + buffers)


def declared(*arrays: Any) -> bytes:
    return json.dumps({"body": {}, "arrays": list(arrays)}).encode()


# ---- the wire --------------------------------------------------------------------------------


@given(
    hnp.arrays(
        st.sampled_from(["?", "i1", "u8", "<i4", ">i8", "f2", "f4", ">f8"]),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
    )
)
def test_arrays_arrive_as_they_were(array: np.ndarray) -> None:
    for view in (array, array.T):
        frame = read_frame(io.BytesIO(sent({"a": 1}, [view])), WIDE)
        assert frame.header == {"a": 1}
        np.testing.assert_array_equal(frame.arrays[0], view)
        assert frame.arrays[0].dtype == view.dtype.newbyteorder("<")


def test_several_frames_in_one_stream() -> None:
    stream = io.BytesIO(sent({"n": 1}, [np.arange(3)]) + sent({"n": 2}))
    assert [read_frame(stream, WIDE).header["n"] for _ in range(2)] == [1, 2]
    with pytest.raises(EOFError):
        read_frame(stream, WIDE)


class Trickle(io.RawIOBase):
    """A pipe that gives and takes a few bytes at a time."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = bytearray(content)

    def readinto(self, buffer: Any) -> int:
        part = self.content[: min(3, len(buffer))]
        del self.content[: len(part)]
        buffer[: len(part)] = part
        return len(part)

    def write(self, data: Any) -> int:
        self.content += bytes(data[:5])
        return min(5, len(data))


def test_partial_reads_and_writes() -> None:
    pipe = Trickle()
    write_frame(pipe, {"x": "ü"}, [np.arange(10.0)])
    frame = read_frame(Trickle(bytes(pipe.content)), WIDE)
    assert frame.header == {"x": "ü"}
    assert frame.arrays[0].tolist() == list(range(10))


def test_a_byte_that_is_no_boolean_becomes_one() -> None:
    found = read_frame(raw_frame(declared(["|b1", [3]]), bytes([0, 2, 255])), WIDE).arrays[0]
    assert found.view(np.uint8).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"no json", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b'{"body": {}, "arrays": [], "body": {}}', "occurs twice"),
        (b'{"body": {"a": NaN}, "arrays": []}', "NaN is no JSON"),
        (b'{"body": {"a": Infinity}, "arrays": []}', "is no JSON"),
        (b'{"body": {"a": ' + b"9" * 5_000 + b'}, "arrays": []}', "is no JSON"),
        (b'{"body": {}}', "lacks its body"),
        (b"[]", "lacks its body"),
        (b'{"body": [], "arrays": []}', "wrong type"),
        (b'{"body": {}, "arrays": {}}', "wrong type"),
        (declared(3), "not declared"),
        (declared(["|O8", [1]]), "has the type '|O8'"),
        (declared([["<f8"], [1]]), "has the type"),
        (declared(["<f8", 3]), "dimensions"),
        (declared(["<f8", [1] * 9]), "dimensions"),
        (declared(["<f8", [-1]]), "no list of lengths"),
        (declared(["<f8", [True]]), "no list of lengths"),
        (declared(["<f8", [1.0]]), "no list of lengths"),
        (declared(["<f8", [1 << 47, 1 << 47]]), "bytes of arrays"),
        (declared(["<f8", [0, 1 << 47, 1 << 47]]), "that no array can have"),
        (declared(["<f8", [1 << 60]]), "no list of lengths"),
        (declared(["<f8", [1 << 22]]), "bytes of arrays"),
        (declared(*[["|u1", [0]]] * 101), "101 arrays"),
    ],
)
def test_malformed_frames_are_refused_before_anything_is_read(text: bytes, reason: str) -> None:
    with pytest.raises(FrameError, match=reason):
        read_frame(raw_frame(text), WIDE)


def test_headers_are_bounded_before_they_are_read() -> None:
    with pytest.raises(FrameError, match="4,294,967,295 bytes"):
        read_frame(io.BytesIO(struct.pack("<4sI", b"SLf1", 0xFFFFFFFF)), WIDE)
    with pytest.raises(FrameError, match="does not start like a frame"):
        read_frame(raw_frame(b"{}", magic=b"\x80\x04\x95."), WIDE)


def test_the_end_in_the_middle() -> None:
    whole = sent({"a": 1}, [np.arange(5)])
    for cut in (3, 12, len(whole) - 1):
        with pytest.raises(EOFError):
            read_frame(io.BytesIO(whole[:cut]), WIDE)


def test_rows_that_were_not_asked_for() -> None:
    limits = FrameLimits(array_bytes=1 << 20, rows=3)
    assert read_frame(io.BytesIO(sent({}, [np.zeros((3, 2))])), limits).arrays[0].shape == (3, 2)
    for wrong, words in ((np.zeros(4), "4 answers for 3 rows"), (np.float64(1), "a single answer")):
        with pytest.raises(FrameError, match=words):
            read_frame(io.BytesIO(sent({}, [wrong])), limits)


@given(st.binary(max_size=200), st.integers(0, 40))
def test_noise_is_refused_or_ends(noise: bytes, cut: int) -> None:
    whole = sent({"labels": {"at": 0}}, [np.arange(4)])
    for content in (noise, whole[:cut] + noise, b"SLf1\x10\0\0\0" + noise):
        try:
            frame = read_frame(io.BytesIO(content), WIDE)
        except (FrameError, EOFError):
            continue
        assert isinstance(frame, Frame)


def test_what_cannot_be_sent() -> None:
    for array in (np.array(["a"]), np.array([object()]), np.array([1j]), np.datetime64("2024")):
        with pytest.raises(FrameError, match="cannot be sent"):
            sent({}, [array])
    for header in ({"a": math.nan}, {"a": object()}):
        with pytest.raises(FrameError, match="cannot be written as JSON"):
            sent(header)


# ---- single values ---------------------------------------------------------------------------

VALUES = [
    None, True, 1, 1.5, "1", "", -(2**70), math.inf, -math.inf, pd.NaT, pd.NA, b"\0\xff",
    Decimal("1.10"), date(2024, 1, 31), datetime(2024, 1, 31, 1, 2, 3), time(1, 2),
    timedelta(days=-1, seconds=5), pd.Timestamp("2024-01-31", tz="Europe/Berlin"),
    pd.Timedelta("1D"), np.datetime64("2024-01-31"), [1, [None, "a"]], (1, (2,)),
    {"a": 1, 2: [3]},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_arrive_with_their_types(value: Any) -> None:
    back = untag_value(json.loads(json.dumps(tag_value(value), allow_nan=False)))
    assert type(back) is type(value)
    assert back is value if value is pd.NA or value is pd.NaT else back == value


def test_numpy_values_become_plain() -> None:
    for value, plain in ((np.int8(3), 3), (np.float32(0.5), 0.5), (np.bool_(True), True)):
        assert tag_value(value) == plain
        assert type(tag_value(value)) is type(plain)
    assert math.isnan(untag_value(tag_value(np.float64("nan"))))


@pytest.mark.parametrize(
    "value",
    [
        {}, [], [1], ["unknown"], ["unknown", "x"], ["nan", "x", "y"], ["Decimal", "no"],
        ["date", "x"], ["bytes", "zz"], ["Timestamp", "no date"], ["datetime", 5.0],
        ["dict", [[1]]], ["dict", [[["list", []], 1]]], ["list", 3], "x" * 11, ["bytes", "0" * 12],
    ],
    ids=repr,
)  # fmt: skip
def test_values_that_nobody_writes(value: Any) -> None:
    with pytest.raises(FrameError):
        untag_value(value, limit=10)


def test_nesting_is_bounded() -> None:
    value: Any = 1
    for _ in range(30):
        value = ["list", [value]]
    with pytest.raises(FrameError, match="too deeply"):
        untag_value(value)
    own: list[Any] = []
    own.append(own)
    with pytest.raises(FrameError, match="too deeply"):
        tag_value(own)
    with pytest.raises(FrameError, match="type object"):
        tag_value(object())


def test_text_of_strangers() -> None:
    assert plain_text("a\0b\x1b[31m\nc\td") == "ab[31m\nc\td"
    assert plain_text("\ud800x") == "?x"
    assert plain_text("x" * 50, 10) == "x" * 9 + "…"
    with pytest.raises(FrameError, match="of type int"):
        plain_text(3)


# ---- predictions -----------------------------------------------------------------------------


def there_and_back(raw: RawPredictions, n: int) -> RawPredictions:
    header, arrays = encode_raw(raw)
    return decode_raw(read_frame(io.BytesIO(sent(header, arrays)), WIDE), n)


MIXED = np.array([1, "1", True, None], dtype=object)
RAWS = {
    "numbers": RawPredictions(scores=np.array([0.1, np.nan, np.inf, 1])),
    "float32": RawPredictions(scores=np.arange(8, dtype=np.float32).reshape(4, 2)),
    "texts": RawPredictions(
        labels=np.array(["b", "a", "b", "ü"]),
        scores=np.eye(4),
        classes=np.array(["a", "b", "c", "ü"]),
        score_kind=ScoreKind.PROBABILITY,
        notes=("One.", "Two."),
    ),
    "mixed": RawPredictions(labels=MIXED),
    "booleans": RawPredictions(labels=np.array([True, False, True, True]), classes=[False, True]),
    "objects of numbers": RawPredictions(labels=np.array([1, 2, 3, 2], dtype=object)),
    "list of arrays": RawPredictions(
        scores=[np.ones((4, 2)), np.zeros((4, 1))], classes=[np.array([0, 1]), np.array([1])]
    ),
    "dict": RawPredictions(scores={"head": np.ones((4, 1)), "tail": np.zeros(4)}),
    "frame": RawPredictions(scores=pd.DataFrame({"no": np.ones(4), "yes": [0, 1, 2, 3]})),
    "series": RawPredictions(labels=pd.Series(["x", "y", "x", "x"], index=[3, 1, 2, 0])),
    "python lists": RawPredictions(labels=["a", 1, "a", None]),
    "rows as lists": RawPredictions(scores=[[0.1, 0.9]] * 4),
    "masked": RawPredictions(labels=np.ma.array([1, 2, 3, 4], mask=[0, 1, 0, 0])),
    "images": RawPredictions(scores=np.zeros((4, 2, 3, 1))),
    "nothing": RawPredictions(),
}


def listed(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: listed(value) for key, value in values.items()}
    if isinstance(values, pd.DataFrame):
        return {key: listed(values[key]) for key in values}
    if isinstance(values, (list, tuple)):
        return [listed(value) for value in values]
    return values.tolist() if hasattr(values, "tolist") else values


@pytest.mark.parametrize("name", RAWS)
def test_predictions_arrive_as_they_were(name: str) -> None:
    raw, back = RAWS[name], there_and_back(RAWS[name], 4)
    for field in ("labels", "scores", "classes"):
        mine, theirs = listed(getattr(raw, field)), listed(getattr(back, field))
        assert repr(theirs) == repr(mine), field
    assert (back.score_kind, back.notes) == (raw.score_kind, raw.notes)
    assert isinstance(back.scores, pd.DataFrame) == isinstance(raw.scores, pd.DataFrame)


def test_types_of_numbers_stay() -> None:
    assert there_and_back(RAWS["float32"], 4).scores.dtype == np.float32
    long = RawPredictions(scores=np.ones(4, dtype=np.longdouble))
    assert there_and_back(long, 4).scores.dtype == np.float64
    whole = there_and_back(RawPredictions(labels=np.array([1, 2], dtype=np.int8)), 2)
    assert whole.labels.dtype == np.int8


def test_nobody_downstream_can_tell() -> None:
    target = Target.from_values(["no", "yes", "no", "yes"])
    raw = RawPredictions(
        labels=np.array(["no", "yes", "yes", "yes"]),
        scores=np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.1, 0.9]]),
        classes=np.array(["no", "yes"]),
    )
    mine, theirs = (
        Predictions.normalise(each, target, name="m") for each in (raw, there_and_back(raw, 4))
    )
    assert mine.digest() == theirs.digest()


TEXTS = st.lists(st.text(max_size=4), max_size=30)


@given(TEXTS)
def test_labels_of_any_text(texts: list[str]) -> None:
    fixed = np.array(texts, dtype=str)
    for labels in (fixed, fixed.astype(object), np.array(texts, dtype=object)):
        back = there_and_back(RawPredictions(labels=labels), len(texts)).labels
        assert back.tolist() == labels.tolist()
        assert back.dtype == object


def test_texts_of_one_hash_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_hashes", lambda flat: np.zeros(len(flat), dtype=np.uint64))
    raw = RawPredictions(labels=np.array(["a", "b", "a"]))
    assert there_and_back(raw, 3).labels.tolist() == ["a", "b", "a"]


def test_codes_are_as_small_as_they_can_be() -> None:
    for count, dtype in ((2, np.uint8), (300, np.uint16)):
        _, arrays = encode_raw(RawPredictions(labels=np.arange(count).astype(str)))
        assert arrays[0].dtype == dtype


def test_sparse_answers_are_filled() -> None:
    from scipy.sparse import csr_array

    back = there_and_back(RawPredictions(labels=csr_array(np.eye(3, dtype=int))), 3)
    assert back.labels.tolist() == np.eye(3).tolist()


def test_answers_that_are_none() -> None:
    for values, words in (
        (np.array([1j]), "neither labels nor numbers"),
        (np.array(["2024"], dtype="M8[D]"), "neither labels nor numbers"),
        (np.array([{}], dtype=object), "lists or other containers"),
        (np.array([object()], dtype=object), "type object cannot be sent"),
    ):
        with pytest.raises(FrameError, match=words):
            encode_raw(RawPredictions(labels=values))
    with pytest.raises(FrameError, match="a list is needed"):
        encode_raw(RawPredictions(classes="abc"))


ARRAYS = (np.arange(3), np.zeros((3, 2)), np.zeros(2), np.float64(1), np.array([0, 1, 9]))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"labels": []}, "not described"),
        ({"labels": {}}, "array that is not there"),
        ({"labels": {"at": 9}}, "array that is not there"),
        ({"labels": {"at": -1}}, "array that is not there"),
        ({"labels": {"at": True}}, "array that is not there"),
        ({"labels": {"at": 2}}, "2 answers for 3 rows"),
        ({"labels": {"at": 3}}, "a single answer for 3 rows"),
        ({"labels": {"at": 0, "values": "ab"}}, "list of values"),
        ({"labels": {"at": 4, "values": ["a", "b"]}}, "labels that are not there"),
        ({"labels": {"at": 1, "values": ["a"]}}, "no whole numbers"),
        ({"labels": {"at": 0, "values": ["a", "b", "x" * 20_001]}}, "20,001 characters"),
        ({"scores": {"list": 1, "parts": {}}}, "too many parts"),
        ({"scores": {"list": 1, "parts": [{"list": 1, "parts": []}]}}, "not there"),
        ({"scores": {"parts": [{"at": 0}]}}, "list of values"),
        ({"scores": {"dict": ["a", "b"], "parts": [{"at": 0}]}}, "do not fit"),
        ({"scores": {"dict": [["list", []]], "parts": [{"at": 0}]}}, "do not fit"),
        ({"scores": {"frame": ["a"], "parts": [{"at": 1}]}}, "no columns"),
        ({"classes": "ab"}, "list of values"),
        ({"classes": [{}]}, "no known type"),
        ({"score_kind": "other"}, "unknown"),
        ({"score_kind": []}, "unknown"),
        ({"labels": {"at": 0, "values": ["a", "b", ["list", [1]]]}}, "a list or another container"),
        ({"labels": {"at": 0, "values": ["a", "b", 1 << 1_001]}}, "too many digits"),
        ({"labels": {"at": 0, "values": ["a", "b", ["Decimal", "sNaN"]]}}, "no Decimal"),
        ({"classes": [["list", ["a", ["list", []]]]]}, "a list or another container"),
        ({"classes": [["dict", []]]}, "a list or another container"),
        ({"scores": {"list": 2, "parts": [{"at": 0}, {"at": 0}]}}, "array that is not there"),
        ({"labels": {"at": 0}, "scores": {"at": 0}}, "array that is not there"),
        ({"notes": "one"}, "no short list"),
        ({"notes": [1]}, "type int"),
        ({"notes": ["a"] * 51}, "no short list"),
    ],
)
def test_predictions_that_were_not_asked_for(answer: dict[str, Any], words: str) -> None:
    with pytest.raises(FrameError, match=words):
        decode_raw(Frame({"notes": [], **answer}, ARRAYS), 3)


def test_labels_that_would_fill_the_memory() -> None:
    codes = np.broadcast_to(np.uint8(0), (1 << 15, (1 << 14) + 1))  # of a single byte in memory
    with pytest.raises(FrameError, match="more labels than can be held"):
        decode_raw(Frame({"labels": {"at": 0, "values": ["a"]}, "notes": []}, (codes,)), 1 << 15)


# ---- what a model says of itself -------------------------------------------------------------

INFO = ModelInfo(
    format="skops",
    kind="Pipeline: a → b",
    feature_names=("x", "ü"),
    n_features=2,
    input_shape=(None, 8, 1),
    classes=("a", 1, 2.5, True),
    task_hint="classifier",
    notes=("Note.",),
)


def test_descriptions_arrive_as_they_were() -> None:
    back = decode_info(json.loads(json.dumps(encode_info(INFO))), digest="d", size=3)
    assert back == ModelInfo(**{**vars(INFO), "digest": "d", "size": 3})
    assert decode_info(encode_info(ModelInfo("a", "b"))) == ModelInfo("a", "b")


@pytest.mark.parametrize(
    "change",
    [
        {"format": 3}, {"kind": None}, {"task_hint": "x"}, {"notes": None},
        {"feature_names": "abc"}, {"feature_names": [1]}, {"feature_names": ["x" * 20_001]},
        {"n_features": -1}, {"n_features": True}, {"n_features": "3"}, {"input_shape": 3},
        {"input_shape": ["a"]}, {"classes": {}}, {"classes": [{}]},
        {"classes": [["list", []]]}, {"classes": [1 << 1_001]}, {"classes": [["Decimal", "sNaN"]]},
    ],
    ids=repr,
)  # fmt: skip
def test_descriptions_that_are_none(change: dict[str, Any]) -> None:
    with pytest.raises(FrameError):
        decode_info({**encode_info(INFO), **change})


def test_description_that_is_missing() -> None:
    with pytest.raises(FrameError, match="incomplete"):
        decode_info(None)


# ---- rows ------------------------------------------------------------------------------------

N = 12


def wide_frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "float": np.where(rng.random(N) < 0.3, np.nan, rng.random(N)),
            "whole": rng.integers(0, 9, N),
            "float32": rng.random(N).astype("f4"),
            "half": rng.random(N).astype("f2"),
            "flag": rng.random(N) < 0.5,
            "big-endian": rng.random(N).astype(">f8"),
            "text": pd.Series(["x", None, "ü"] * 4, dtype="str"),
            "python text": pd.array(["x", None, "y"] * 4, dtype="string"),
            "object text": pd.Series(["x"] * N, dtype=object),
            "mixed": pd.Series([1, "1", None, 1.5, True, math.nan] * 2, dtype=object),
            "lists": pd.Series([[1, "a"]] * N, dtype=object),
            "decimal": pd.Series([Decimal("1.10")] * N, dtype=object),
            "category": pd.Categorical(["u", "v"] * 6, categories=["v", "u", "t"], ordered=True),
            "number category": pd.Categorical([1, 2.5] * 6),
            "date": pd.date_range("2024-01-01", periods=N),
            "zoned": pd.date_range("2024-01-01", periods=N, tz="Europe/Berlin"),
            "duration": pd.to_timedelta(range(N), unit="s"),
            "nullable": pd.array([1, None] * 6, dtype="Int64"),
            "nullable flag": pd.array([True, None, False] * 4, dtype="boolean"),
            "arrow": pd.array([1, None] * 6, dtype="int64[pyarrow]"),
            "period": pd.period_range("2024-01", periods=N, freq="M"),
            "interval": pd.interval_range(0, N, N),
            7: range(N),
        }
    )


def test_every_kind_of_column_survives(tmp_path: Path) -> None:
    frame = wide_frame()
    write_rows(tmp_path / "rows", frame)
    back = read_rows(tmp_path / "rows")
    assert list(back.columns) == list(frame.columns)
    for name in frame:
        expected = frame[name].astype("f8") if name == "big-endian" else frame[name]
        pd.testing.assert_series_equal(back[name], expected)
    assert list(map(type, back["mixed"])) == list(map(type, frame["mixed"]))


@pytest.mark.parametrize("dtype", [object, "string[python]"])
def test_text_that_is_no_text(dtype: Any, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows", pd.DataFrame({"a": pd.Series(["ü", "\ud800"], dtype=dtype)}))
    assert read_rows(tmp_path / "rows")["a"].tolist() == ["ü", "?"]


def test_sparse_columns_become_dense(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows", pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 1.0])}))
    assert read_rows(tmp_path / "rows")["a"].tolist() == [0, 1]


def test_names_of_columns_may_repeat_and_be_numbers(tmp_path: Path) -> None:
    frame = pd.DataFrame(np.arange(6).reshape(2, 3), columns=["a", "a", 3])
    write_rows(tmp_path / "rows", frame)
    pd.testing.assert_frame_equal(read_rows(tmp_path / "rows"), frame)


@pytest.mark.parametrize("empty", [slice(0), slice(1)])
def test_frames_without_rows_or_columns(empty: slice, tmp_path: Path) -> None:
    frame = wide_frame().iloc[empty]
    for part in (frame, frame[[]]):
        write_rows(tmp_path / "rows", part)
        back = read_rows(tmp_path / "rows")
        assert back.shape == part.shape


def test_columns_come_back_as_one_block_without_a_copy(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    by_column = pd.DataFrame({str(at): rng.random(101) for at in range(5)}).copy()
    by_row = pd.DataFrame(rng.random((101, 5)), copy=False)
    for frame in (by_column, by_row):
        write_rows(tmp_path / "rows", frame)
        back = read_rows(tmp_path / "rows")
        pd.testing.assert_frame_equal(back, frame)
        matrix = back.to_numpy()
        assert np.shares_memory(matrix, back.iloc[:, 0].to_numpy())
        assert matrix.flags.writeable is False
        inner = np.argmin(np.abs(frame.to_numpy().strides))
        assert np.argmin(np.abs(matrix.strides)) == inner  # sums run in the same order


def test_scattered_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame(np.arange(60.0).reshape(10, 6), copy=False)[[1, 4]]
    write_rows(tmp_path / "rows", frame)
    pd.testing.assert_frame_equal(read_rows(tmp_path / "rows"), frame)


@pytest.mark.parametrize(
    "array",
    [
        np.random.default_rng(0).random((10, 4)),
        np.asfortranarray(np.random.default_rng(0).random((10, 4))),
        np.random.default_rng(0).random((10, 4))[::2],
        np.random.default_rng(0).random((3, 4, 5)).transpose(1, 0, 2),
        np.arange(640, dtype=np.uint8).reshape(10, 8, 8),
        np.array([["a", 1], [None, 2.5]], dtype=object),
        np.array(["ab", "ü"]),
        np.array(["2024-01-01"], dtype="M8[D]"),
        np.zeros((0, 3)),
        np.zeros((3, 0)),
        np.arange(7),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_as_rows(array: np.ndarray, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows", array)
    back = read_rows(tmp_path / "rows")
    assert (back.dtype, back.shape, back.tolist()) == (array.dtype, array.shape, array.tolist())
    assert back.flags.f_contiguous == array.flags.f_contiguous or not array.flags.f_contiguous


def test_rows_to_write_into(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows", np.zeros((3, 2)))
    assert not read_rows(tmp_path / "rows").flags.writeable
    assert read_rows(tmp_path / "rows", writable=True).flags.writeable


def test_rows_that_cannot_be_given(tmp_path: Path) -> None:
    for rows, words in (
        (pd.DataFrame({"a": [object()]}), "Column 'a' cannot be given"),
        (pd.DataFrame({"a": [1j]}), "Column 'a' cannot be given"),
        (np.array([1j]), "type complex128"),
        (pd.DataFrame([[1]], columns=[object()]), "names that are no text"),
    ):
        with pytest.raises(ModelError, match=words):
            write_rows(tmp_path / "rows", rows)


def test_files_that_are_no_rows(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows", np.zeros(100))
    whole = (tmp_path / "rows").read_bytes()
    for content in (b"", b"x" * 40, whole[:-1], whole[:-30] + whole[-12:]):
        (tmp_path / "other").write_bytes(content)
        with pytest.raises(ModelError, match="cannot be read"):
            read_rows(tmp_path / "other")
    with pytest.raises(ModelError, match="cannot be read"):
        read_rows(tmp_path / "none")


def test_large_rows_are_not_copied_here(tmp_path: Path) -> None:
    import tracemalloc

    frame = pd.DataFrame({str(at): np.zeros(500_000) for at in range(8)}).copy()
    matrix = np.zeros((500_000, 8))
    for rows in (frame, matrix, pd.DataFrame(matrix, copy=False)):
        tracemalloc.start()
        write_rows(tmp_path / "rows", rows)
        fingerprint(rows)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 << 20, (peak, type(rows))


def changes() -> list[Any]:
    def cell(name: Any, value: Any) -> Any:
        def change(frame: pd.DataFrame) -> None:
            frame.loc[1, name] = value

        return change

    return [
        cell("float", 9.0), cell("whole", 99), cell("flag", True), cell("text", "new"),
        cell("mixed", "new"), cell("category", "t"), cell("nullable", 7), cell("arrow", 7),
        cell("date", pd.Timestamp("2030-01-01")), cell("zoned", pd.Timestamp("2030", tz="UTC")),
    ]  # fmt: skip


@pytest.mark.parametrize("change", changes())
def test_writing_into_a_frame_is_noticed(change: Any) -> None:
    frame = wide_frame()
    frame.loc[1, "flag"] = False
    before = fingerprint(frame)
    assert fingerprint(frame) == before
    change(frame)
    assert fingerprint(frame) != before


def test_other_categories_of_the_same_codes_are_noticed() -> None:
    frame = pd.DataFrame({"a": pd.Categorical(["u", "v"])})
    before = fingerprint(frame)
    frame["a"] = frame["a"].cat.rename_categories({"u": "v", "v": "u"})
    assert fingerprint(frame) != before


@pytest.mark.parametrize("dtype", ["str", object])
def test_what_lies_in_the_place_of_what_was_dropped_is_noticed(dtype: Any) -> None:
    frame = pd.DataFrame({"a": range(2_000)})

    def texts(letter: str) -> pd.Series[Any]:
        return pd.Series([f"{letter}{at:06d}" for at in range(2_000)], dtype=dtype)

    for _ in range(5):
        frame["b"] = texts("x")
        before, held = fingerprint(frame), held_for_fingerprint(frame)
        del frame["b"]
        gc.collect()
        frame["b"] = texts("y")
        assert fingerprint(frame) != before
        del held, frame["b"]


def test_writing_into_an_array_is_noticed() -> None:
    base = np.random.default_rng(0).random((30, 8))
    for array in (base, base.T, base[::2], base.astype(object), base[:, ::2]):
        before = fingerprint(array)
        array[2, 3] = 9
        assert fingerprint(array) != before


@pytest.mark.parametrize("kind", ["object", "str"])
@pytest.mark.parametrize("k", [1, 2, 12, 13, 14, 300])
def test_labels_of_few_and_of_many_classes(k: int, kind: str) -> None:
    rng = np.random.default_rng(k)
    classes = np.array([f"class {at}" for at in range(k)], dtype=kind)
    at = np.concatenate([np.zeros(2_000, dtype=int), np.arange(k), rng.integers(0, k, 500)])
    header, arrays = encode_raw(RawPredictions(labels=classes[at]), len(at))
    assert arrays[0].dtype == (np.uint8 if k <= 256 else np.uint16)
    found = decode_raw(Frame(header, tuple(arrays)), len(at)).labels
    assert found is not None
    np.testing.assert_array_equal(found, classes[at].astype(object))
