"""Parsing on all cores gives what pandas gives, or nothing."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.data import delimited
from dashboard.data.large_text import LARGE, has_leading_zeros
from dashboard.data.readers import read_table
from dashboard.errors import DataError, LimitExceeded
from dashboard.settings import Settings

SETTINGS = Settings()
RNG = np.random.default_rng(3)


def both(data: bytes) -> tuple[pd.DataFrame | None, pd.DataFrame]:
    """The large reading (None: left to pandas) and pandas' own, of the same bytes."""
    large = delimited._read_large(data, "t.csv", SETTINGS, None, None)
    whole = delimited._read_whole(data, "t.csv", SETTINGS, None, None, None)
    return None if large is None else large.frame, whole.frame


def same(text: str | bytes) -> pd.DataFrame:
    ours, theirs = both(text.encode() if isinstance(text, str) else text)
    assert ours is not None
    pd.testing.assert_frame_equal(ours, theirs, check_exact=False, rtol=1e-15, atol=0)
    return ours


def rows(n: int, *cells: str) -> str:
    return "".join(",".join(cells).replace("#", str(i)) + "\n" for i in range(n))


def test_every_type() -> None:
    frame = same(
        "i,f,gap,flag,flag_gap,t,none,when,long\n"
        + rows(50, "#", "#.25", "3", "True", "false", "w#", "", "2024-01-31", "-#")
        + "7,1e5,,False,,NA,,,0\n8,-.5,NaN,TRUE,null,,,2024-02-29,9007199254740993\n"
    )
    kinds = [str(dtype) for dtype in frame.dtypes]
    assert kinds[:4] == ["int64", "float64", "float64", "bool"]
    assert kinds[4:8] == ["object", "str", "float64", "str"]
    assert frame["t"].isna().sum() == 2


def test_long_integers_with_gaps_stay_exact() -> None:
    data = ("a,b\n" + rows(50, "#", "x") + "9007199254740993,x\n,y\n").encode()
    ours = delimited._read_large(data, "t.csv", SETTINGS, None, None)
    assert ours is not None
    assert ours.frame["a"].dtype == "Int64"
    assert ours.frame["a"][50] == 9007199254740993


def test_types_that_the_sample_does_not_show() -> None:
    """Each column changes its mind half a million rows on, where no sample looks."""
    head = rows(60_000, "#", "#", "1.5", "True", "", "", "", "5")
    late = "1.5,word,NA,no,7,late,True,N/A\n"
    tail = rows(60_000, "#", "#", "1.5", "True", "", "", "", "5")
    frame = same("a,b,c,d,e,f,g,h\n" + head + late + tail)
    kinds = [str(dtype) for dtype in frame.dtypes]
    assert kinds == [
        *("float64", "str", "float64", "str", "float64", "str", "object", "float64"),
    ]


@pytest.mark.parametrize(
    "cells",
    [
        "99999999999999999999,x",  # whole, and beyond 64 bits
        "5 ,x",  # pandas takes it for a number
        "True,x",  # neither a number nor a word
        "NAN,x",  # polars takes it for a missing number, pandas for a word
        "0x1F,x",
    ],
)
def test_cells_that_the_two_see_differently(cells: str) -> None:
    for column in ("#", "#.5"):
        ours, theirs = both(("a,b\n" + rows(200_000, column, "y") + f"{cells}\n").encode())
        if ours is not None:
            pd.testing.assert_frame_equal(ours, theirs, check_exact=False, rtol=1e-15, atol=0)


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        ("a,b\n#,x\n", "\n5,\n"),  # a blank line: a row of gaps to polars
        ("a,b\n#,x\n", "  \n5,\n"),
        ("a,b\nw#,x\n", "  \n5,\n"),
        ("a,b\nw#,x\n", ",\n"),  # no blank line, but alike
        ('a,b\n#,"x"\n', '5,"y\n'),  # a quote that is never closed
        ("a,b\n#,x\n", '5" pipe,1\n6" pipe,2\n'),
        ("a,b\nw#,x\n", "w5\rw6,z\n"),  # a bare carriage return ends a line for pandas
        ("a;b\n1,5;#\n", "2.5;2\n"),  # a point is no decimal comma
        ("a,b\n1,#,3\n", ""),  # row names without a header
        ("\n\na,b\n#,x\n", ""),  # the names are not in the first line
        ("sep=,\na,b\n#,x\n", ""),
        ("a\n#\n", ""),
    ],
)
def test_left_to_pandas(text: str, odd: str) -> None:
    """Far from the samples, so that nothing but the check in question can see it."""
    *head, row = text.splitlines(keepends=True)
    many = "".join(row.replace("#", str(i % 1000)) for i in range(120_000))
    data = ("".join(head) + many + odd + many).encode()
    try:
        ours, theirs = both(data)
    except DataError:  # pandas' parser sees it at once
        assert delimited._read_large(data, "t.csv", SETTINGS, None, None) is None
        return
    if ours is not None:
        pd.testing.assert_frame_equal(ours, theirs)


def test_a_quote_that_the_last_line_opens() -> None:
    data = ("a,b\n" + rows(120_000, "#", "x") + '5,"y').encode()
    assert delimited._read_large(data, "t.csv", SETTINGS, None, None) is None
    with pytest.raises(DataError, match="never closed"):
        delimited._read_whole(data, "t.csv", SETTINGS, None, None, None)


def test_not_utf_8_further_down() -> None:
    data = b"a,b\n" + b"1,x\n" * 200_000 + "2,é\n".encode("cp1252")
    assert delimited._read_large(data, "t.csv", SETTINGS, None, None) is None


def test_line_ends_marks_quotes_and_blank_last_lines() -> None:
    body = '1,"x, y",2.5\n2,"say ""z""",\n3,"two\nlines",1\n' * 40
    for text in (
        body,
        body.replace("\n", "\r\n"),
        body + "\n\n",
        body.replace("\n", "\r\n") + "\r\n",
    ):
        frame = same("a,b,c\n" + text)
        assert len(frame) == 120
        same(("\ufeffa,b,c\n" + text).encode())
    assert len(same("1.5,2\n3,4\n" * 30)) == 60  # no header


CELLS = {
    "int": ["1", "-5", "+7", "0", "123456"],
    "float": ["1.5", "-0.25", "1e-3", ".5", "3.", "inf"],
    "bool": ["True", "False"],
    "text": ["a", "b c", "x,y", 'say "z"', "ü", "two\nlines", "'", "é;f", " pad "],
    "gaps": ["", "", "NA", "7", "NaN"],
    "empty": [""],
    "any": ["1", "2.5", "word", "True", "", "NULL", "007"],
}


@given(
    kinds=st.lists(st.sampled_from(list(CELLS)), min_size=2, max_size=6),
    n=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_any_table_reads_alike(
    kinds: list[str], n: int, seed: int, delimiter: str, newline: str
) -> None:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({f"c{i}": rng.choice(CELLS[k], n) for i, k in enumerate(kinds)})
    stream = io.StringIO()
    frame.to_csv(stream, index=False, sep=delimiter, lineterminator=newline)
    data = stream.getvalue().encode()
    try:
        ours, theirs = both(data)
    except DataError:
        return
    if ours is not None:
        pd.testing.assert_frame_equal(ours, theirs, check_exact=False, rtol=1e-15, atol=0)


def test_leading_zeros_and_dates_in_a_large_file() -> None:
    lines = "".join(
        f"{100_000 + i},{i % 7},word number {i % 1000} of many,2024-01-{1 + i % 28:02d}\n"
        for i in range(450_000)
    )
    data = f"code,n,text,when\n{lines}000123,5,last,2024-02-29\n".encode()
    assert len(data) > LARGE
    table = read_table(data, "big.csv")
    assert table.frame["code"].iloc[-1] == "000123"
    assert [str(dtype) for dtype in table.frame.dtypes] == ["str", "int64", "str", "datetime64[us]"]
    assert any("Leading zeros are kept: 'code'" in note for note in table.source)
    with pytest.raises(LimitExceeded, match="SIDELIGHT_MAX_ROWS"):
        read_table(data, "big.csv", settings=Settings(max_rows=1000))
    with pytest.raises(DataError, match="3 fields in line 450,003; the header has 4"):
        read_table(data + b"1,2,x\n", "big.csv")
    with pytest.raises(DataError, match="5 fields in line 450,003; the header has 4"):
        read_table(data + b"1,2,x,2024-01-01,9\n", "big.csv")


def test_has_leading_zeros() -> None:
    assert has_leading_zeros(b"a,b\n1,02\n", ",")
    assert not has_leading_zeros(b"a,b\n1,0.2\n0,10\n", ",")


def test_quoted_cells_that_the_sample_does_not_show() -> None:
    """Exports that quote every cell: a gap, a missing word and a fraction far down."""
    many = '"5","1.5","word"\n' * 120_000
    for odd in ('"7","2",""\n', '"NA","NA","NA"\n', '"1.5","null","x"\n'):
        frame = same('"a","b","c"\n' + many + odd + many)
        assert [str(dtype) for dtype in frame.dtypes][1:] == ["float64", "str"]
        assert frame["a"].dtype.kind in "if"


def test_a_last_line_of_blanks_makes_no_text_of_numbers() -> None:
    data = ("a,b\n" + "5,x\n" * 120_000 + " \n").encode()
    ours, theirs = both(data)
    assert theirs["a"].dtype == "int64" and (ours is None or ours.equals(theirs))
