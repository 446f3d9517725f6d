"""Several files of one schema are one table that knows where each row is from."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard.data import build_evalset, infer_roles, load_data, read_table, read_tables
from dashboard.data.concatenation import SOURCE_FILE, split_of
from dashboard.errors import DataError, LimitExceeded
from dashboard.settings import Settings

TRAIN = b"x,city,y\n1,a,yes\n2,b,no\n3,a,yes\n"
TEST = b"city,x,y\nb,4,no\na,5,yes\n"


def archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return stream.getvalue()


def columns(*texts: str) -> pd.Series:  # type: ignore[type-arg]
    """One column `a` from files with these cells, one a line."""
    files = [
        (f"a,b\n{text}".replace("|", "\n").encode(), f"{i}.csv") for i, text in enumerate(texts)
    ]
    return read_tables(files).frame["a"]


def test_a_train_and_a_test_file_become_a_split() -> None:
    table = read_tables([(TRAIN, "churn_train.csv"), (TEST, "churn_test.csv")])
    assert table.columns == ("x", "city", "y", "split", SOURCE_FILE)
    assert table.frame["x"].tolist() == [1, 2, 3, 4, 5]
    assert table.frame["split"].tolist() == ["train"] * 3 + ["test"] * 2
    assert table.name == "churn_train.csv and churn_test.csv"
    assert table.source[0] == (
        "2 files of one schema: 3 from churn_train.csv and 2 from churn_test.csv."
    )
    roles = infer_roles(table)
    assert (roles.split, roles.target, roles.features) == ("split", ("y",), ("x", "city"))
    assert roles.ignore == (SOURCE_FILE,)
    assert roles.reasons[SOURCE_FILE] == "Says which file a row came from."
    evalset = build_evalset(table, roles)
    assert evalset.n == 2
    assert evalset.ledger.sentence().startswith("2 of 5 rows are evaluated")


def test_parts_without_a_split(tmp_path: Path) -> None:
    for name, content in (("part-1.csv", TRAIN), ("part-2.csv", TEST)):
        (tmp_path / name).write_bytes(content)
    evalset = load_data([tmp_path / "part-1.csv", tmp_path / "part-2.csv"], target="y")
    assert evalset.n == 5
    assert evalset.split is None
    assert evalset.frame[SOURCE_FILE].tolist() == ["part-1.csv"] * 3 + ["part-2.csv"] * 2


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.csv", "train"),
        ("X_TEST.parquet", "test"),
        ("churnTrain.csv", "train"),
        ("trainset.csv", "train"),
        ("validation/data.csv", "validation"),
        ("train_test.csv", None),
        ("latest.csv", None),
        ("contest.csv", None),
        ("data.csv", None),
    ],
)
def test_split_of_a_name(name: str, split: str | None) -> None:
    assert split_of(name) == split


def test_different_columns_are_named() -> None:
    with pytest.raises(DataError) as caught:
        read_tables([(TRAIN, "a.csv"), (b"x,town\n1,b\n", "b.csv")])
    assert str(caught.value) == (
        "b.csv lacks 'city' and 'y', which a.csv has, and has 'town', which a.csv lacks. Load "
        "files with the same columns together, or one of them alone."
    )
    with pytest.raises(DataError, match="No file was given"):
        read_tables([])


def test_types_that_join() -> None:
    assert columns("1,0|2,0", "3.5,0").tolist() == [1, 2, 3.5]
    assert columns("1,0|2,0", ",0|,1").isna().tolist() == [False, False, True, True]
    assert columns("True,0|False,0", "True,1").dtype == bool
    gaps = columns("True,0|,0", "False,1")
    assert gaps.tolist()[0] is True
    assert columns("007,0", "12,1").tolist() == ["007", "12"]
    assert columns("2024-01-31,0", ",1|2024-02-29,1").tolist()[2] == pd.Timestamp("2024-02-29")
    long = columns("9007199254740993,0", "1,1|,1")
    assert long[0] == 9007199254740993
    assert columns("9007199254740993,0", "1.5,1|,1").dtype == "float64"
    table = read_tables([(b"a,b\nx,1\n", "0.csv"), (b"a,b\n1.5,1\n", "1.csv")])
    assert "Read as text, as it is text in one of the files: 'a'." in table.source


def test_whole_numbers_with_gaps_are_the_same_text_as_without() -> None:
    files = [(b"a,b\n1,1\n,1\n3,1\n", "0.csv"), (b"a,b\nx,1\n1,1\n", "1.csv")]
    assert read_tables(files).frame["a"].dropna().tolist() == ["1", "3", "x", "1"]


def test_types_that_do_not_join() -> None:
    with pytest.raises(DataError, match=r"Column 'a' holds dates in 0.csv and numbers in 1.csv"):
        columns("2024-01-31,0", "5,1")


def test_categories_join() -> None:
    def file(*values: str) -> bytes:
        stream = io.BytesIO()
        frame = pd.DataFrame({"k": pd.Categorical(values), "y": range(len(values))})
        frame.to_parquet(stream)
        return stream.getvalue()

    joined = read_tables([(file("a", "b"), "1.parquet"), (file("c", "a"), "2.parquet")]).frame["k"]
    assert list(joined.cat.categories) == ["a", "b", "c"]
    assert joined.tolist() == ["a", "b", "c", "a"]
    same = read_tables([(file("a", "b"), "1.parquet"), (file("b", "a"), "2.parquet")]).frame["k"]
    assert list(same.cat.categories) == ["a", "b"]


def test_images_join() -> None:
    def file(n: int, size: int = 4) -> bytes:
        stream = io.BytesIO()
        rng = np.random.default_rng(n)
        np.savez(stream, X=rng.integers(0, 255, (n, size, size), dtype="uint8"), y=np.arange(n) % 2)
        return stream.getvalue()

    table = read_tables([(file(3), "train.npz"), (file(2), "test.npz")])
    assert table.arrays["X"].shape == (5, 4, 4)
    assert table.frame["split"].tolist() == ["train"] * 3 + ["test"] * 2
    with pytest.raises(DataError, match=r"features of the shape \(5, 5\) for each row"):
        read_tables([(file(3), "train.npz"), (file(2, 5), "test.npz")])


def test_a_file_given_twice_counts_once() -> None:
    table = read_tables([(TRAIN, "a.csv"), (TRAIN, "copy.csv")])
    assert table.n_read == 3
    assert table.name == "a.csv"
    assert table.source[0] == "copy.csv has the content of a.csv and is left out."


def test_digest_knows_contents_order_and_names() -> None:
    files = [(TRAIN, "a.csv"), (TEST, "b.csv")]
    digests = {
        read_tables(given).digest
        for given in (files, files[::-1], [(TRAIN, "train.csv"), (TEST, "test.csv")])
    }
    assert len(digests) == 3
    assert read_tables(files).digest == read_tables(files).digest


def test_rows_are_limited_together() -> None:
    with pytest.raises(LimitExceeded, match="5 rows; the limit max_rows is 4"):
        read_tables([(TRAIN, "a.csv"), (TEST, "b.csv")], settings=Settings(max_rows=4))


def test_a_zip_of_tables() -> None:
    packed = archive(**{"d/train.csv": TRAIN, "d/test.csv": TEST, "d/README.md": b"hello"})
    table = read_table(packed, "data.zip")
    assert table.name == "data.zip"
    assert table.frame["split"].tolist() == ["train"] * 3 + ["test"] * 2
    assert table.frame[SOURCE_FILE].iloc[0] == "train.csv"
    assert "Left out of the archive: d/README.md." in table.source
    one = read_table(archive(**{"data.csv": TRAIN, "LICENSE": b"free"}), "data.zip")
    assert one.columns == ("x", "city", "y")


def test_a_zip_that_is_no_table() -> None:
    def refused(**members: bytes) -> str:
        with pytest.raises(DataError) as caught:
            read_table(archive(**members), "data.zip")
        assert str(caught.value).startswith("data.zip ")
        return str(caught.value)

    assert "0 tables among them" in refused(**{"a.png": b"1", "b.png": b"2"})
    assert "1.csv lacks 'y'" in refused(**{"0.csv": TRAIN, "1.csv": b"x,city\n1,a\n"})
    inner = archive(**{"a.csv": TRAIN, "b.csv": TEST})
    assert "1.csv is an archive itself" in refused(**{"0.csv": TRAIN, "1.csv": inner})
    big = b"a,b\n" + b"1,2\n" * 10_000_000
    with pytest.raises(LimitExceeded, match="SIDELIGHT_MAX_ARCHIVE_RATIO"):
        read_table(
            archive(**{"a.csv": big, "b.csv": big}), "z", settings=Settings(max_archive_ratio=20)
        )
    three = b"a,b\n" + b"1,2\n" * 750_000
    with pytest.raises(LimitExceeded, match="SIDELIGHT_UPLOAD_LIMIT_MB"):
        read_table(
            archive(**{"a.csv": three, "b.csv": three}), "z", settings=Settings(upload_limit_mb=1)
        )
