"""Tables as people have them: each is understood, or one sentence says what to do."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable

import numpy as np
import openpyxl
import pandas as pd
import pytest

from dashboard.contracts import Task
from dashboard.data import EvalSet, Table, build_evalset, infer_roles, read_table
from dashboard.errors import DataError

N = 40
BASE = pd.DataFrame({"x": np.arange(N) * 0.5, "y": ["yes", "no"] * (N // 2)})
DAYS = pd.date_range("2024-01-05", periods=N)


def csv(frame: pd.DataFrame, **options: str) -> bytes:
    return frame.to_csv(index=False, **options).encode()  # type: ignore[call-overload,no-any-return]


def dated(form: str) -> bytes:
    return csv(BASE.assign(day=DAYS.strftime(form)))


def book(**sheets: list[list[object]]) -> bytes:
    opened = openpyxl.Workbook()
    opened.remove(opened.active)
    for title, rows in sheets.items():
        page = opened.create_sheet(title)
        for row in rows:
            page.append(row)
    stream = io.BytesIO()
    opened.save(stream)
    return stream.getvalue()


def with_macros(data: bytes) -> bytes:
    """A workbook as Excel writes .xlsm: the same parts, and a project of macros."""
    stream = io.BytesIO(data)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"\xd0\xcf\x11\xe0 Sub Auto_Open()")
    return stream.getvalue()


def understood(data: bytes | str, name: str = "t.csv") -> tuple[Table, EvalSet]:
    table = read_table(data.encode() if isinstance(data, str) else data, name)
    return table, build_evalset(table, infer_roles(table))


def notes(table: Table, evalset: EvalSet) -> str:
    return " ".join((*table.source, *evalset.notes, *evalset.target.notes))


# What is understood: the file, its types by column, words of the notes


UNDERSTOOD: dict[str, tuple[bytes | str, dict[str, str], str]] = {
    "byte-order mark, semicolons and decimal commas": (
        b"\xef\xbb\xbf" + csv(BASE, sep=";", decimal=","),
        {"x": "float64", "y": "str"},
        "separated by a semicolon; numbers have a decimal comma",
    ),
    "UTF-16 from Excel": (
        BASE.to_csv(index=False, sep="\t").encode("utf-16"),
        {"x": "float64"},
        "UTF-16",
    ),
    "Windows' own encoding": ("größe,y\n1,a\n2,b\n".encode("cp1252"), {"größe": "int64"}, "CP1252"),
    "names in other scripts": ("数,اسم,y\n1,سارة,a\n2,علي,b\n", {"数": "int64", "اسم": "str"}, ""),
    "numbers with a word among them": (
        csv(BASE.astype({"x": object}).replace({"x": {3.0: "kaputt"}})),
        {"x": "str"},
        "'x' holds numbers and 1 cell of text, such as 'kaputt'",
    ),
    "question marks for missing numbers": (
        csv(BASE.astype({"x": object}).replace({"x": {3.0: "?", 4.0: "-"}})),
        {"x": "str"},
        "such as '?' and '-'; it is read as text. Leave such cells empty",
    ),
    "booleans in capitals": (
        csv(BASE.assign(y=["TRUE", "FALSE"] * (N // 2))),
        {"y": "bool"},
        "2 classes: False, True",
    ),
    "booleans as Y and N": (
        csv(BASE.assign(y=["Y", "N"] * (N // 2))),
        {"y": "str"},
        "positive class is Y (by its name)",
    ),
    "six spellings of NA": (
        csv(BASE.assign(x=["NA", "n/a", "NULL", "", "nan", "#N/A", "1.5", "2"] * 5)),
        {"x": "float64"},
        "#N/A, NA, NULL, n/a and nan are read as missing",
    ),
    "ISO dates": (dated("%Y-%m-%d"), {"day": "datetime64[us]"}, "ISO dates"),
    "day first": (dated("%d.%m.%Y"), {"day": "datetime64[us]"}, "the day first"),
    "month first": (dated("%m/%d/%Y"), {"day": "datetime64[us]"}, "the month first"),
    "year first": (dated("%Y/%m/%d"), {"day": "datetime64[us]"}, "the year first"),
    "month by name": (dated("%d %B %Y"), {"day": "datetime64[us]"}, "month's name"),
    "dates of unclear order": (
        csv(BASE.assign(day=["01/02/2024", "03/04/2024"] * (N // 2))),
        {"day": "str"},
        "whether the day or the month comes first cannot be told",
    ),
    "codes with leading zeros": (
        csv(BASE.assign(zip=[f"0{i:04}" for i in range(N)])),
        {"zip": "str"},
        "Leading zeros are kept: 'zip'",
    ),
    "thousands in quotes": ('x,y\n"1,234.5",a\n"2,000.0",b\n', {"x": "float64"}, "Thousands"),
    "comments above the names": (
        "# from the lab, 2024\n# second\nx,y\n1,a\n2,b\n",
        {"x": "int64", "y": "str"},
        "The first 2 lines stand above the names",
    ),
    "names behind a comment sign": ("# x,y\n1,a\n2,b\n", {"# x": "int64"}, ""),
    "a title above a wide table": (
        "Sales of 2024\n\nx,z,y\n1,2,a\n2,3,b\n",
        {"x": "int64", "z": "int64", "y": "str"},
        "lines stand above the names",
    ),
    "a line of units below the names": ("x,y\nkg,a\n1.5,a\n2.5,b\n", {"x": "str"}, "'kg'"),
    "row names as R writes them": ('"x","y"\n"1",5,"a"\n"2",6,"b"\n', {"x": "int64"}, "row names"),
    "an index without a name": (",x,y\n0,1,a\n1,2,b\n", {"Unnamed: 0": "int64"}, ""),
    "no names at all": ("0.5,1.5,0\n1.5,2.5,1\n2.5,1.5,0\n", {"column_1": "float64"}, "not names"),
    "a delimiter after each row": ("x,y\n1,a,\n2,b,\n", {"x": "int64"}, "empty last column"),
    "line breaks in cells": ('x,y\n"a\nb, c",u\n"d",v\n', {"x": "str"}, ""),
    "line ends of an old Mac": ("x,y\r1,a\r2,b\r", {"x": "int64", "y": "str"}, ""),
    "a column without a value": (
        csv(BASE.assign(m=np.nan)),
        {"m": "float64"},
        "No row has a value in 'm'",
    ),
    "classes that differ in a blank": (
        "x,y\n1,yes\n2,yes \n3,no\n4,No\n",
        {"y": "str"},
        "differ only in blanks or capitals: 'No', 'no', 'yes' and 'yes '",
    ),
    "infinite numbers": ("x,y\n-inf,a\ninf,b\n-0,a\n", {"x": "float64"}, ""),
    "cells of HTML and formulas": (
        "x,y\n<script>alert(1)</script>,=1+1\n@SUM(A1),b\n",
        {"x": "str", "y": "str"},
        "2 classes: =1+1, b",
    ),
    "a cell of 10,000 characters": (f"x,y\n{'a' * 10_000},u\nb,v\n", {"x": "str"}, ""),
    "JSON of records in records": (
        json.dumps([{"a": {"b": 1, "c": {"d": "x"}}, "l": [1], "y": k} for k in "uvuv"]),
        {"a.b": "int64", "a.c.d": "str", "l": "object", "y": "str"},
        "'l' holds lists or nested records",
    ),
    "JSON under a name": (
        json.dumps({"n": 2, "rows": [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}]}),
        {"x": "int64", "y": "str"},
        "records under 'rows'",
    ),
    "JSON lines with gaps": (
        '{"x": 1, "y": "a"}\n{"y": "b", "z": true}\n{"x": 3, "y": "a"}\n',
        {"x": "float64", "z": "object"},
        "one record a line",
    ),
    "Excel with a cover sheet": (
        book(cover=[["Our report"], ["of 2024"]], data=[["x", "z", "y"], [1, 2, "a"], [2, 3, "b"]]),
        {"x": "int64", "y": "str"},
        "Read sheet 'data' (of 2)",
    ),
    "Excel with a title": (
        book(s=[["Sales of 2024"], [], ["x", "z", "y"], [1, 2, "a"], [2, 3, "b"]]),
        {"x": "int64", "z": "int64"},
        "The first 2 lines above the names",
    ),
    "Excel with formulas that were never computed": (
        book(s=[["x", "y"], ["=1+1", "a"], ["=2+2", "b"]]),
        {"x": "float64"},
        "No row has a value in 'x'",
    ),
    "Excel with macros": (
        with_macros(book(s=[["x", "y"], [1, "a"], [2, "b"]])),
        {"x": "int64", "y": "str"},
        "macros; they were not run",
    ),
}


@pytest.mark.parametrize("label", UNDERSTOOD)
def test_understood(label: str) -> None:
    data, types, words = UNDERSTOOD[label]
    table, evalset = understood(data)
    found = {name: str(table.frame[name].dtype) for name in types}
    assert found == types
    assert words in notes(table, evalset)
    assert evalset.n == table.n_read


# What is refused: the file and the sentence


REFUSED: dict[str, tuple[bytes | str, str]] = {
    "a total below the rows": (
        "x,y\n1,a\n2,b\nTotal: 2 rows\n",
        "t.csv has 1 field in line 4; the header has 2. Complete the row, or give another "
        "delimiter.",
    ),
    "apostrophes for quotes": (
        "x,y\n'a,b',1\n'c',2\n",
        "t.csv has 3 fields in line 2; the header has 2. Put cells that contain a comma in quotes, "
        "or give another delimiter.",
    ),
    "the same name twice": (
        "x,x,y\n1,2,a\n2,3,b\n",
        "t.csv has 1 column name more than once: 'x'. Give each column its own name.",
    ),
    "columns of a fixed width": (
        "x     y\n1.5   a\n2.5   b\n",
        "t.csv has one column, 'x     y'. A target and at least one feature are needed; if the "
        "columns run together, give the delimiter.",
    ),
    "one class": (
        csv(BASE.assign(y="yes")),
        "The target y has one class: yes in all 40 rows. At least two are needed; choose another "
        "column or rows with both classes.",
    ),
    "names and no rows": (
        "x,y\n",
        "t.csv has a header (2 columns) and no rows. At least one row is needed.",
    ),
    "a web page": (
        "<!DOCTYPE html><html>Sign in</html>",
        "t.csv is a web page, not a data table. Download the data itself, not the page that shows "
        "it.",
    ),
    "labels that are all missing": (
        csv(BASE.assign(y=np.nan)),
        "None of the 40 rows of t.csv can be evaluated: 40 without a label in 'y'. Choose another "
        "target, or complete the labels.",
    ),
}


@pytest.mark.parametrize("label", REFUSED)
def test_refused(label: str) -> None:
    data, sentence = REFUSED[label]
    with pytest.raises(DataError) as caught:
        understood(data)
    assert str(caught.value) == sentence


# What needs a closer look


def test_200_classes() -> None:
    frame = pd.DataFrame({"x": np.arange(1000.0), "y": [f"c{i % 200}" for i in range(1000)]})
    table, evalset = understood(csv(frame))
    assert evalset.target.task is Task.MULTICLASS
    assert len(evalset.target.labels) == 200
    assert "'y' has 200 classes in 1,000 rows: it looks like an id" in notes(table, evalset)


def test_duplicate_rows_and_ids() -> None:
    frame = pd.concat([BASE.assign(id=range(N))] * 2)
    _, evalset = understood(csv(frame))
    assert evalset.n == 2 * N
    assert (evalset.roles.id, evalset.roles.group) == (None, "id")
    assert evalset.roles.reasons["id"] == "Named like an id, but only 40 of 80 values differ."


def test_10_000_columns() -> None:
    wide = pd.DataFrame(np.arange(30_000.0).reshape(3, 10_000)).add_prefix("f")
    _, evalset = understood(csv(wide.assign(y=["a", "b", "a"])))
    assert len(evalset.roles.features) == 10_000
    assert isinstance(evalset.X, pd.DataFrame)
    assert evalset.X["f9999"].tolist() == [9999.0, 19999.0, 29999.0]


def test_dates_in_every_order_are_the_same_days() -> None:
    forms = ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%b-%Y", "%d %B %Y")
    for form in forms:
        table = read_table(dated(form), "t.csv")
        assert table.frame["day"].tolist() == DAYS.tolist(), form


def test_a_macro_workbook_is_read_as_values() -> None:
    data = with_macros(book(s=[["x", "y"], [1, "a"], [2, "b"]]))
    table = read_table(data, "book.xlsm")
    assert table.frame["x"].tolist() == [1, 2]
    assert not any("ends in" in note for note in table.source)


def test_text_columns_are_features() -> None:
    rng = np.random.default_rng(0)
    words = np.array(["the", "a", "cat", "dog", "sat", "ran", "on", "under", "mat", "hill"])
    texts = [" ".join(rng.choice(words, 9)) for _ in range(N)]
    _, evalset = understood(csv(BASE.assign(review=texts)))
    assert evalset.roles.features == ("x", "review")
    assert evalset.roles.reasons["review"] == "No other role fits this text."


@pytest.mark.parametrize("shape", [(6, 8, 8), (6, 8, 8, 3)])
def test_images_keep_their_shape(shape: tuple[int, ...]) -> None:
    stream = io.BytesIO()
    np.savez_compressed(stream, images=np.zeros(shape, dtype="uint8"), labels=np.arange(6) % 3)
    _, evalset = understood(stream.getvalue(), "digits.npz")
    assert evalset.X.shape == shape
    assert evalset.target.labels == (0, 1, 2)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("packer", PACKERS)
def test_packed(packer: str) -> None:
    table = read_table(PACKERS[packer](csv(BASE)), "t.csv.gz")
    pd.testing.assert_frame_equal(table.frame, BASE.astype({"y": "str"}))
