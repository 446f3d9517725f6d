"""Every format round trip by dtype, and every kind of unreadable file with its message."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
import pickle
import tarfile
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dashboard.data.dialects import decode, find_delimiter
from dashboard.data.readers import Table, read_table
from dashboard.data.tables import frame_digest
from dashboard.errors import DataError, LimitExceeded
from dashboard.settings import Settings

SETTINGS = Settings()


def rich_frame() -> pd.DataFrame:
    """One column per dtype that a file can carry."""
    return pd.DataFrame(
        {
            "whole": np.arange(5, dtype="int64"),
            "small": np.arange(5, dtype="int8"),
            "number": [0.5, -1.25, np.nan, 1e300, 3.0],
            "text": ["a", "b", None, "ü", ""],
            "flag": [True, False, True, True, False],
            "flag_gaps": pd.array([True, None, False, True, None], dtype="boolean"),
            "exact": pd.array([2**60 + 1, None, 3, 4, 5], dtype="Int64"),
            "kind": pd.Categorical(["x", "y", None, "x", "z"], categories=["z", "y", "x"]),
            "day": pd.to_datetime(["2024-01-31", None, "2024-02-29", "1999-12-31", "2030-06-01"]),
        }
    )


def to_bytes(frame: pd.DataFrame, kind: str) -> bytes:
    stream = io.BytesIO()
    getattr(frame, f"to_{kind}")(stream)
    return stream.getvalue()


def read(data: bytes, name: str = "data.csv", **options: object) -> Table:
    return read_table(data, name, **options)  # type: ignore[arg-type]


def refused(data: bytes, name: str = "data.csv", **options: object) -> str:
    with pytest.raises(DataError) as caught:
        read_table(data, name, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert message.endswith((".", "?")), message
    # A page that shows the name already takes it off the front.
    assert message.startswith(f"{name} ") or options, message
    return message


# Parquet, Feather, Arrow


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_columnar_files_keep_every_dtype(kind: str) -> None:
    frame = rich_frame()
    table = read(to_bytes(frame, kind), f"t.{kind}")
    pd.testing.assert_frame_equal(table.frame, frame)
    assert list(table.frame["kind"].cat.categories) == ["z", "y", "x"]
    assert table.frame["exact"].iloc[0] == 2**60 + 1


def test_arrow_stream_without_pandas_metadata_keeps_large_integers_and_booleans() -> None:
    batch = pa.table(
        {
            "exact": pa.array([2**60 + 1, None]),
            "whole": pa.array([1, None]),
            "flag": pa.array([True, None]),
            "amount": pa.array([Decimal("1.50"), None]),
            "day": pa.array([date(2024, 1, 31), None]),
            "kind": pa.array(["a", "b"]).dictionary_encode(),
        }
    )
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_table(batch)
    frame = read(sink.getvalue(), "t.arrow").frame
    assert [str(t) for t in frame.dtypes][:4] == ["Int64", "float64", "object", "float64"]
    assert frame["exact"][0] == 2**60 + 1
    assert frame["flag"].isna().tolist() == [False, True]
    assert pd.api.types.is_datetime64_any_dtype(frame["day"])
    assert isinstance(frame["kind"].dtype, pd.CategoricalDtype)


def test_parquet_index_is_a_column() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}, index=pd.Index([7, 9], name="key"))
    assert read(to_bytes(frame, "parquet")).columns == ("key", "a", "b")
    unnamed = frame.rename_axis(index=None)
    assert read(to_bytes(unnamed, "parquet")).columns == ("Unnamed: 0", "a", "b")


def test_parquet_with_lists_is_read_and_said() -> None:
    table = pa.table({"a": [1, 2], "embedding": [[1.0, 2.0], [3.0, 4.0]]})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    assert any("'embedding' holds lists" in note for note in read(sink.getvalue()).source)


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_truncated_columnar_file(kind: str) -> None:
    data = to_bytes(rich_frame(), kind)
    assert "cut off or damaged" in refused(data[: len(data) // 2], f"t.{kind}")


def test_parquet_with_duplicate_names() -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    sink = io.BytesIO()
    pq.write_table(table, sink)
    assert "'a'" in refused(sink.getvalue(), "t.parquet")


# Excel


def test_excel_dtypes_and_first_sheet_with_cells() -> None:
    stream = io.BytesIO()
    frame = pd.DataFrame(
        {
            "code": ["007", "010"],
            "n": [1, 2],
            "x": [0.5, None],
            "flag": [True, False],
            "day": pd.to_datetime(["2024-01-31", "2024-02-29"]),
            "mixed": [1, "a"],
        }
    )
    with pd.ExcelWriter(stream, engine="openpyxl") as writer:
        pd.DataFrame().to_excel(writer, sheet_name="empty", index=False)
        frame.to_excel(writer, sheet_name="numbers", index=False, startrow=2)
    table = read(stream.getvalue(), "book.xlsx")
    assert "Read sheet 'numbers' (of 2)." in table.source
    kinds = [str(dtype).split("[")[0] for dtype in table.frame.dtypes]
    assert kinds == ["str", "int64", "float64", "bool", "datetime64", "str"]
    assert table.frame["code"].tolist() == ["007", "010"]
    assert "has no sheet 'x'" in refused(stream.getvalue(), "book.xlsx", sheet="x")


def test_excel_called_csv_is_read_with_a_note() -> None:
    data = to_bytes(pd.DataFrame({"a": [1, 2], "b": ["#N/A", "x"]}), "excel")
    table = read(data, "renamed.csv")
    assert any("ends in .csv, but the file is an Excel workbook" in note for note in table.source)
    assert table.frame["b"].isna().tolist() == [True, False]


def test_damaged_excel() -> None:
    data = to_bytes(pd.DataFrame({"a": [1]}), "excel")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["xl/workbook.xml"] = b"<broken"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert "cut off or damaged" in refused(stream.getvalue(), "book.xlsx")


def test_excel_header_only_and_empty() -> None:
    assert "no rows" in refused(to_bytes(pd.DataFrame({"a": [], "b": []}), "excel"), "x.xlsx")
    stream = io.BytesIO()
    pd.DataFrame().to_excel(stream, index=False)
    assert "no sheet with cells" in refused(stream.getvalue(), "x.xlsx")


# JSON

RECORDS = [
    {"n": 1, "x": 0.5, "t": "a", "b": True, "d": "2024-01-31"},
    {"n": 2, "x": None, "t": None, "b": False, "d": "2024-02-29"},
    {"n": 3, "x": 2, "t": "007", "b": True, "d": None},
]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(RECORDS),
        "\n".join(map(json.dumps, RECORDS)),
        json.dumps({"rows": RECORDS}),
        json.dumps({key: [row[key] for row in RECORDS] for key in RECORDS[0]}),
        json.dumps({k: {str(i): row[k] for i, row in enumerate(RECORDS)} for k in RECORDS[0]}),
        json.dumps({"columns": list(RECORDS[0]), "data": [list(row.values()) for row in RECORDS]}),
        json.dumps([list(RECORDS[0]), *[list(row.values()) for row in RECORDS]]),
        json.dumps(RECORDS).replace("null", "NaN"),
        "\ufeff" + json.dumps(RECORDS, indent=2),
    ],
    ids=["records", "lines", "wrapped", "columns", "index", "split", "rows", "nan", "bom"],
)
def test_json_layouts(text: str) -> None:
    frame = read(text.encode(), "data.json").frame
    kinds = [str(dtype).split("[")[0] for dtype in frame.dtypes]
    assert kinds == ["int64", "float64", "str", "bool", "datetime64"]
    assert frame["t"].tolist()[2] == "007"
    assert frame.isna().sum().tolist() == [0, 1, 1, 0, 1]


def test_json_integers_stay_exact() -> None:
    frame = read(json.dumps([{"i": 2**60 + 1}, {"i": None}]).encode(), "d.json").frame
    assert frame["i"].dtype == "Int64"
    assert frame["i"][0] == 2**60 + 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"a": 1}, {"a": ', "not valid JSON"),
        ('[{"a\\ud800": 1, "y": 0}]', "not valid JSON"),  # half of a character
        ('{"a": 1}\n{"a": 2}\n{"a": ', "data.json is not valid JSON in line 3"),
        ('{"a": 1, "b": 2}', "not a table"),
        ('{"a": [1, 2], "b": [1]}', "different lengths: a 2, b 1"),
        ("[]", "no rows"),
        ('[{"a": 1}, 5]', "in record 2"),
        ('{"columns": ["a", "a"], "data": [[1, 2]]}', "'a'"),
        ('{"columns": ["a", "b"], "data": [[1, 2], [1]]}', "in row 2"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_bad_json(text: str, words: str) -> None:
    assert words in refused(text.encode(), "data.json")


# NPZ and NPY


def npz(**arrays: object) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def npy(array: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)  # type: ignore[arg-type]
    return stream.getvalue()


@pytest.mark.parametrize("shape", [(6, 3), (6, 8, 8), (6, 8, 8, 1)])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_npz_features_and_labels(shape: tuple[int, ...], dtype: str) -> None:
    X = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    table = read(npz(X=X, y=np.array(["a", "b"] * 3), sample_weight=np.ones(6)), "d.npz")
    np.testing.assert_array_equal(table.arrays["X"], X)
    assert table.arrays["X"].dtype == dtype
    assert table.columns == ("y", "sample_weight")
    assert table.n_read == 6


def test_npz_with_a_train_and_a_test_part_reads_the_test_part() -> None:
    data = npz(
        x_train=np.zeros((9, 4)), y_train=np.zeros(9), x_test=np.ones((5, 4)), y_test=[1] * 5
    )
    table = read(data, "mnist.npz")
    assert table.arrays["X"].shape == (5, 4)
    assert any("The test part is used" in note for note in table.source)


def test_npz_of_columns_and_npy_of_scores() -> None:
    table = read(
        npz(y_true=[0, 1, 1], y_pred=[0, 0, 1], when=np.array(["2024-01-01"] * 3, "M8[D]"))
    )
    assert table.columns == ("y_true", "y_pred", "when")
    assert not table.arrays
    scores = read(npy(np.full((4, 3), 1 / 3)), "scores.npy")
    assert scores.columns == ("column_0", "column_1", "column_2")
    assert read(npy(np.arange(4)), "y.npy").columns == ("column",)


def test_structured_npy() -> None:
    array = np.array([(1, 0.5), (2, 1.5)], dtype=[("a", "i4"), ("b", "f4")])
    assert read(npy(array), "s.npy").columns == ("a", "b")


def test_arrays_of_objects_are_not_opened() -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (pytest.fail, ("the pickle ran",))

    for data in (npy(np.array([Bomb()], dtype=object)), npz(X=np.array([Bomb()], dtype=object))):
        assert "Python objects" in refused(data, "d.npz")


def test_bad_arrays() -> None:
    assert "differ in length" in refused(npz(X=np.zeros((5, 2)), y=np.zeros(4)), "d.npz")
    assert "arrays of more than one length" in refused(npz(a=np.zeros(5), b=np.zeros(4)), "d.npz")
    assert "type complex128" in refused(npy(np.zeros(3, dtype=complex)), "d.npy")
    assert "one number" in refused(npy(np.float64(3)), "d.npy")
    assert "cut off or damaged" in refused(npy(np.zeros(100))[:-8], "d.npy")
    whole = npz(X=np.random.default_rng(0).random((50, 4)), y=np.zeros(50))
    assert "cut off or damaged" in refused(whole[:-30], "d.npz")


def test_npy_header_that_promises_too_much() -> None:
    data = npy(np.zeros((2, 2)))
    lie = data.replace(b"(2, 2)", b"(2, 9)")
    assert "promises 144 bytes and 32 follow" in refused(lie, "d.npy")


# Delimited text


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    numbers=st.lists(
        st.tuples(st.integers(-9999, 9999), st.floats(-1e6, 1e6).map(lambda v: round(v, 2))),
        min_size=3,
        max_size=30,
    ),
    words=st.lists(st.sampled_from(["käse", "bread, white", "a;b", 'say "x"', "tea|pot", "é"])),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    decimal=st.sampled_from([".", ","]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"]),
    pack=st.sampled_from(["none", "gzip", "bz2", "xz", "zst", "zip"]),
    newline=st.sampled_from(["\n", "\r\n"]),
)
@example([(1, 0.25)] * 3, ["a;b"], ";", ",", "cp1252", "zip", "\r\n")
def test_every_dialect_is_recognised(
    numbers: list[tuple[int, float]],
    words: list[str],
    delimiter: str,
    decimal: str,
    encoding: str,
    pack: str,
    newline: str,
) -> None:
    numbers = [*numbers, (1, 0.25)]  # one number that is surely a fraction
    frame = pd.DataFrame(numbers, columns=["whole", "fraction"])
    frame["word"] = [words[i % len(words)] if words else "ä" for i in range(len(frame))]
    text = frame.to_csv(index=False, sep=delimiter, decimal=decimal, lineterminator=newline)
    data = pack_bytes(text.encode(encoding), pack)
    table = read(data, "data.csv")
    pd.testing.assert_frame_equal(table.frame, frame)


def pack_bytes(data: bytes, kind: str) -> bytes:
    if kind == "gzip":
        return gzip.compress(data)
    if kind == "bz2":
        return bz2.compress(data)
    if kind == "xz":
        return lzma.compress(data)
    if kind == "zst":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(data)
        return bytes(sink.getvalue())
    if kind == "zip":
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("inside.csv", data)
            archive.writestr("__MACOSX/._inside.csv", b"noise")
        return sink.getvalue()
    return data


def csv(text: str, **options: object) -> pd.DataFrame:
    return read(text.encode(), **options).frame


def test_dtypes_as_in_the_file() -> None:
    frame = csv(
        "id,zip,n,gap,flag,flag_gap,when,word,long\n"
        "007,01234,1,1,True,True,2024-01-31 10:30,x,12345678901234567890123\n"
        "008,99999,2,,False,,2024-02-29 00:00,NA,2\n"
    )
    kinds = [str(dtype).split("[")[0] for dtype in frame.dtypes]
    assert kinds == [
        *("str", "str", "int64", "float64", "bool", "object", "datetime64", "str", "str"),
    ]
    assert frame["id"].tolist() == ["007", "008"]
    assert (
        frame["flag_gap"][0] is True
    )  # an object, as models fitted on pandas' own reading know it
    assert pd.isna(frame["flag_gap"][1])
    assert frame["zip"].tolist() == ["01234", "99999"]
    assert frame["word"].isna().tolist() == [False, True]
    assert frame["long"][0] == "12345678901234567890123"


def test_leading_zeros_after_the_sniffed_head() -> None:
    rows = [f"{i},{i % 7}" for i in range(100_000, 160_000)] + ["000123,5"]
    frame = csv("code,n\n" + "\n".join(rows) + "\n")
    assert frame["code"].iloc[-1] == "000123"
    assert frame["code"].iloc[0] == "100000"
    assert frame["n"].dtype == "int64"


def test_long_integers_stay_exact() -> None:
    frame = csv(
        "card,id,huge,x\n1234567890123456789,9007199254740993,1,1e300\n,,2,2\n"
        "5,6,99999999999999999999999,3\n"
    )
    assert frame["card"].iloc[0] == 1234567890123456789
    assert frame["id"].iloc[0] == 9007199254740993
    assert frame["huge"].iloc[2] == "99999999999999999999999"
    assert frame["x"].dtype == "float64"


def test_thousands() -> None:
    frame = csv('a,b,c\n"1,234.5",1,x\n"12,345,678.0",2,y\n')
    assert frame["a"].tolist() == [1234.5, 12345678.0]
    german = csv("a;b;c\n1.234,5;1.234;192.168.1.1\n0,5;12.345.678;10.0.0.1\n")
    assert german["a"].tolist() == [1234.5, 0.5]
    assert german["b"].tolist() == [1234, 12345678]
    assert german["c"].tolist() == ["192.168.1.1", "10.0.0.1"]
    swiss = csv("a,b\n1'234.5,1\n12'345.0,2\n")
    assert swiss["a"].tolist() == [1234.5, 12345.0]


def test_german_dates_are_not_numbers() -> None:
    frame = csv("when;x\n31.01.2024;1,5\n01.02.2024;2,5\n")
    assert frame["when"].tolist() == [pd.Timestamp("2024-01-31"), pd.Timestamp("2024-02-01")]
    assert frame["x"].tolist() == [1.5, 2.5]


def test_dates_of_unclear_order_stay_text_and_are_said() -> None:
    table = read(b"when,x\n01/02/2024,1\n03/04/2024,2\n")
    assert table.frame["when"].tolist() == ["01/02/2024", "03/04/2024"]
    assert any("cannot be told" in note for note in table.source)
    american = csv("when,x\n01/31/2024 10:30,1\n03/04/2024 11:00,2\n")
    assert american["when"][1] == pd.Timestamp("2024-03-04 11:00")


def test_one_odd_cell_keeps_a_date_column_text() -> None:
    rows = "\n".join(f"2024-01-{1 + i % 28:02d},{i}" for i in range(400))
    table = read(f"when,x\n{rows}\nsoon,1\n".encode())
    assert table.frame["when"].iloc[-1] == "soon"
    assert any("'soon'" in note for note in table.source)


def test_time_zones() -> None:
    same = csv("when,x\n2024-01-31T10:00:00Z,1\n2024-02-01T10:00:00Z,2\n")
    assert str(same["when"].dtype).endswith("UTC]")
    several = csv("when,x\n2024-01-31T10:00:00+01:00,1\n2024-07-01T10:00:00+02:00,2\n")
    assert several["when"][0] == pd.Timestamp("2024-01-31T09:00:00Z")


def test_headers() -> None:
    assert list(csv("sep=;\na;b\n1;2\n").columns) == ["a", "b"]
    assert list(csv("a,b\nr1,1,2\nr2,3,4\n").columns) == ["Unnamed: 0", "a", "b"]
    assert list(csv("0.5,1.5,0\n1.5,2.5,1\n").columns) == ["column_1", "column_2", "column_3"]
    assert list(csv("0,1,2\n1,2,3\n").columns) == ["0", "1", "2"]
    assert list(csv(",a\n0,1\n1,2\n").columns) == ["Unnamed: 0", "a"]
    trailing = csv("a,b\n1,2,\n3,4,\n")
    assert trailing["a"].tolist() == [1, 3]
    assert list(trailing.columns) == ["a", "b", "Unnamed: 2"]
    assert list(csv("a~b~c\n1~2~3\n4~5~6\n").columns) == ["a", "b", "c"]


def test_one_column_is_a_table() -> None:
    assert csv("y_pred\n1\n0\n").shape == (2, 1)
    assert csv("note\nhello world\ngood bye now\n").shape == (2, 1)


def test_find_delimiter_prefers_the_one_that_agrees() -> None:
    assert find_delimiter("a;b\n1,5;2,5\n3,5;4,5\n") == ";"
    assert find_delimiter('a,b\n"x;y",1\n"z;w;v",2\n') == ","
    assert find_delimiter("name\tnote\nx\ta, b, c\ny\td\n") == "\t"


def test_decode_reports_what_it_found() -> None:
    assert decode("a,é".encode("cp1252"), "x") == ("a,é".encode(), "CP1252")
    assert decode(b"\xef\xbb\xbfa", "x")[0] == b"a"
    late = b"a,b\n" + b"1,2\n" * 100_000 + "é,1\n".encode("cp1252")
    assert decode(late, "x")[1] == "CP1252"
    assert "no encoding 'klingon'" in refused(b"a,b\n1,2\n", encoding="klingon")
    assert "not valid ascii" in refused("a,é\n1,2\n".encode(), encoding="ascii")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("a,b,c\n", "a header (3 columns) and no rows"),
        ("a,b,a,b\n1,2,3,4\n", "2 column names more than once: 'a' and 'b'"),
        ("a,b\n1,2\n1,2,3\n", "data.csv has 3 fields in line 3; the header has 2"),
        ("a,b,c\n1,2,3\n1,2\n4,5,6\n", "data.csv has 2 fields in line 3; the header has 3"),
        ('a,b\n"x\ny",1\n\n"z"\n', "data.csv has 1 field in line 5; the header has 2"),
        ('a,b\n"x,1\n2,3\n', "quote"),
        ("a,b\n1,2,3\n1,2\n", "data.csv has 3 fields in line 2; the header has 2"),
        ("a,b\n1,2\n" * 1 + "1,2,3\n" * 9, "the header has 2"),
    ],
)
def test_bad_text(text: str, words: str) -> None:
    assert words in refused(text.encode())


def test_short_rows_are_found_across_blocks() -> None:
    from dashboard.data.delimited import _field_counts

    text = b'a,b\n"x\n,y",1\n\nz\n"q,""r",\n5,6'
    for block in (1, 2, 3, 7, 1000):
        lines = np.concatenate([line for line, _ in _field_counts(text, ord(","), 0, block)])
        counts = np.concatenate([count for _, count in _field_counts(text, ord(","), 0, block)])
        assert lines.tolist() == [1, 3, 4, 5, 6, 7]
        assert counts.tolist() == [1, 1, -1, 0, 1, 1]


def test_short_rows_beyond_the_head() -> None:
    rows = "1,2,3\n" * 100_000 + "4,5\n" + "1,2,\n" * 10
    assert "in line 100,002" in refused(f"a,b,c\n{rows}".encode())


def test_wrong_delimiter_given() -> None:
    message = refused(b"a;b\n1;2\n", delimiter=",")
    assert "one column, 'a;b'" in message
    assert "semicolon" in message
    assert "one character" in refused(b"a;b\n1;2\n", delimiter=";;")


# What is not a table at all


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "a PNG picture"),
        (b"\xff\xd8\xff\xe0" + bytes(50), "a JPEG picture"),
        (b"%PDF-1.7 abc", "a PDF document"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel workbook"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (pickle.dumps({"a": [1, 2]}), "a pickle"),
        (pickle.dumps(rich_frame()), "a pickle"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"a,b\n1,\0\0\0\n", "zero bytes"),
        (b"PK\x03\x04 nonsense", "cut off or damaged"),
        (gzip.compress(b"a,b\n" + bytes(range(256)) * 99)[:40], "cut off or damaged"),
        (bz2.compress(b"a,b\n1,2\n" * 9)[:-9], "cut off or damaged"),
        (lzma.compress(b"a,b\n1,2\n" * 9)[:-9], "cut off or damaged"),
        (b"\x28\xb5\x2f\xfd\x24\x10", "cut off or damaged"),
        (gzip.compress(gzip.compress(gzip.compress(b"a,b\n1,2\n"))), "packed more than twice"),
        (gzip.compress(b""), "empty file"),
    ],
)
def test_not_a_table(data: bytes, words: str) -> None:
    assert words in refused(data)


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def test_archives() -> None:
    message = refused(zipped(**{"a.csv": b"a", "b.csv": b"b"}), "x.zip")
    assert "a.csv has a header (1 column) and no rows" in message
    assert "3 files (a, b and c)" in refused(zipped(a=b"a", b=b"b", c=b"c"), "x.zip")
    assert "a model file" in refused(zipped(**{"config.json": b"", "metadata.json": b""}), "m.csv")
    assert "OpenDocument" in refused(zipped(**{"content.xml": b"", "mimetype": b""}), "m.ods")
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.csv"), io.BytesIO())
    assert "a tar archive" in refused(stream.getvalue(), "x.tar.gz")


# Limits


def limited(**limits: int) -> Settings:
    return Settings(**limits)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["csv", "parquet", "excel", "json", "npz"])
def test_rows_and_columns_are_limited(kind: str) -> None:
    frame = pd.DataFrame({"a": np.arange(20), "b": np.arange(20), "c": np.arange(20)})
    data = {
        "csv": lambda: frame.to_csv(index=False).encode(),
        "parquet": lambda: to_bytes(frame, "parquet"),
        "excel": lambda: to_bytes(frame, "excel"),
        "json": lambda: frame.to_json(orient="records").encode(),
        "npz": lambda: npz(**{name: frame[name].to_numpy() for name in frame}),
    }[kind]()
    with pytest.raises(LimitExceeded, match=r"max_rows.*SIDELIGHT_MAX_ROWS"):
        read_table(data, "d", settings=limited(max_rows=10))
    with pytest.raises(LimitExceeded, match=r"max_columns.*SIDELIGHT_MAX_COLUMNS"):
        read_table(data, "d", settings=limited(max_columns=2))


def test_a_wide_array_is_refused_before_it_becomes_columns() -> None:
    with pytest.raises(LimitExceeded, match="SIDELIGHT_MAX_COLUMNS"):
        read_table(npy(np.zeros((1, 30_000_000), dtype="uint8")), "w.npy")


def test_size_is_checked_before_reading(tmp_path: Path) -> None:
    class Untouchable(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            assert 0 < size <= 1024 * 1024 + 1
            return super().read(size)

    big = b"a,b\n" + b"1,2\n" * 300_000
    (tmp_path / "big.csv").write_bytes(big)
    for source in (big, tmp_path / "big.csv", Untouchable(big)):
        with pytest.raises(LimitExceeded, match=r"upload_limit_mb.*SIDELIGHT_UPLOAD_LIMIT_MB"):
            read_table(source, "big.csv", settings=limited(upload_limit_mb=1))


@pytest.mark.parametrize("kind", ["gzip", "bz2", "xz", "zst", "zip"])
def test_decompression_bombs(kind: str) -> None:
    bomb = pack_bytes(bytes(40 * 1024 * 1024), kind)
    assert len(bomb) < 100_000
    with pytest.raises(LimitExceeded, match="SIDELIGHT_MAX_ARCHIVE_RATIO"):
        read_table(bomb, "b", settings=limited(max_archive_ratio=50))
    with pytest.raises(LimitExceeded, match="SIDELIGHT_UPLOAD_LIMIT_MB"):
        read_table(bomb, "b", settings=limited(upload_limit_mb=1, max_archive_ratio=10**9))


def test_npz_bomb() -> None:
    bomb = npz(X=np.zeros((40 * 1024, 1024), dtype="uint8"), y=np.zeros(40 * 1024))
    with pytest.raises(LimitExceeded, match="SIDELIGHT_MAX_ARCHIVE_RATIO"):
        read_table(bomb, "b.npz", settings=limited(max_archive_ratio=50))


# Whatever the bytes are, the answer is a table or one sentence


def seed_files() -> dict[str, bytes]:
    frame = rich_frame()
    text = frame.to_csv(index=False).encode()
    files = {kind: to_bytes(frame, kind) for kind in ("parquet", "feather")}
    files["excel"] = to_bytes(frame.astype({"flag_gaps": object}), "excel")
    files["json"] = json.dumps(RECORDS).encode()
    files["npz"] = npz(X=np.zeros((6, 3)), y=np.arange(6) % 2)
    files["npy"] = npy(np.zeros((4, 3)))
    return files | {kind: pack_bytes(text, kind) for kind in ("csv", "gzip", "bz2", "xz", "zip")}


@pytest.mark.parametrize("kind", list(seed_files()))
def test_damaged_files_raise_nothing_but_data_errors(kind: str) -> None:
    rng = np.random.default_rng(0)
    whole = seed_files()[kind]
    for _ in range(60):
        data = bytearray(whole)
        for at in rng.integers(len(data), size=rng.choice([1, 2, 8])):
            data[at] = rng.integers(256)
        if rng.random() < 0.3:
            del data[int(rng.integers(1, len(data))) :]
        with contextlib.suppress(DataError):
            assert read_table(bytes(data), kind).n_read > 0


# Sources, digests


def test_sources_agree_and_digests_tell_contents_apart(tmp_path: Path) -> None:
    data = b"a,b\n1,2\n3,4\n"
    path = tmp_path / "d.csv"
    path.write_bytes(data)
    tables = [read_table(path), read_table(str(path)), read_table(data, "d.csv")]
    tables.append(read_table(io.BytesIO(data), "d.csv"))
    assert len({table.digest for table in tables}) == 1
    assert all(table.name == "d.csv" for table in tables)
    assert read(b"a,b\n1,2\n3,5\n").digest != tables[0].digest
    with pytest.raises(DataError, match="no file"):
        read_table(tmp_path / "missing.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path)


def test_frame_digest_sees_one_cell_of_many() -> None:
    frame = pd.DataFrame({"x": np.zeros(200_000), "t": ["a"] * 200_000})
    digest = frame_digest(frame)
    edited = frame.copy()
    edited.loc[123_456, "x"] = 1e-9
    assert frame_digest(edited) != digest
    edited = frame.copy()
    edited.loc[199_999, "t"] = "b"
    assert frame_digest(edited) != digest
    assert frame_digest(frame.rename(columns={"x": "z"})) != digest
    assert frame_digest(frame.astype({"x": "float32"})) != digest
    assert frame_digest(frame.copy()) == digest
    assert frame_digest(pd.DataFrame({"l": [[1], [2]]})) != frame_digest(
        pd.DataFrame({"l": [[1], [3]]})
    )


def test_tables_from_memory() -> None:
    frame = pd.DataFrame({0: [1, 2], "b": [3, 4]}, index=pd.Index(["u", "v"], name="key"))
    assert Table.from_frame("memory", frame).columns == ("key", "0", "b")
    with pytest.raises(DataError, match="levels of column names"):
        Table.from_frame("m", pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])))
    with pytest.raises(DataError, match="more than once"):
        Table.from_frame("m", pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(DataError, match="no rows"):
        Table.from_frame("m", pd.DataFrame({"a": []}))
    arrays = Table.from_arrays("m", {"X": np.zeros((3, 4, 4)), "y": [0, 1, 0]})
    assert arrays.columns == ("y",)
    assert arrays.n_read == 3


def test_housing(housing_path: Path) -> None:
    table = read_table(housing_path)
    frame = table.frame
    assert frame.shape == (20_640, 10)
    assert int(frame["total_bedrooms"].isna().sum()) == 207
    assert frame["ocean_proximity"].dtype == "str"
    assert int((frame["median_house_value"] == 500_001).sum()) == 965
    pd.testing.assert_frame_equal(frame, pd.read_csv(housing_path))
